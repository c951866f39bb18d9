/* SPDX-License-Identifier: Apache-2.0 */
/* Lookups in the table of R4 facts: see sluice/r4.h for what they give and r4_table.h for how the tables lie. */
#include "sluice/r4.h"

#include <endian.h>
#include <string.h>

#include "r4_table.h"

static uint64_t load_eight(const char *text)
{
    uint64_t word;
    memcpy(&word, text, sizeof word);
    return le64toh(word);
}

static uint64_t load_four(const char *text)
{
    uint32_t word;
    memcpy(&word, text, sizeof word);
    return le32toh(word);
}

/* The two words that stand for a text of at least two bytes; as ends_of in r4/generate.py. Never reads outside it. */
static inline void load_ends(const char *text, size_t len, uint64_t *first, uint64_t *last)
{
    if (len >= 8) {
        *first = load_eight(text);
        *last = load_eight(text + len - 8);
        return;
    }
    *last = 0;
    if (len >= 4)
        *first = load_four(text) | load_four(text + len - 4) << 32;
    else
        *first = (uint64_t)(unsigned char)text[0] | (uint64_t)(unsigned char)text[1] << 8 |
                 (uint64_t)(unsigned char)text[len - 1] << 16;
}

sl_name sl_name_find(const char *text, size_t len)
{
    uint64_t first, last;
    if (len < 2 || len > SL_NAME_LONGEST) /* R4 has no name of one letter */
        return 0;
    load_ends(text, len, &first, &last);
    uint64_t hash = (first + (last << 29 | last >> 35) + len) * sl_r4_name_factor;
    hash = (hash ^ hash >> 32) * sl_r4_name_factor;
    uint32_t slot = (uint32_t)(hash >> 32) ^ sl_r4_name_displacement[hash >> (64 - SL_R4_BUCKET_BITS)];
    const struct sl_r4_key *key = &sl_r4_keys[slot & ((1u << SL_R4_SLOT_BITS) - 1)];
    if (key->first != first || key->last != last || key->len != len)
        return 0;
    if (len > 16 && memcmp(text + 8, sl_r4_name_texts + sl_r4_name_offset[key->name] + 8, len - 16) != 0)
        return 0;
    return key->name;
}

struct sl_slice sl_name_text(sl_name name)
{
    if (name >= SL_NAMES)
        return (struct sl_slice){NULL, 0};
    size_t begin = sl_r4_name_offset[name];
    return (struct sl_slice){sl_r4_name_texts + begin, sl_r4_name_offset[name + 1] - begin};
}

const struct sl_r4_element *sl_r4_element(sl_r4_node parent, sl_name name)
{
    if (parent >= SL_R4_NODES || name >= SL_NAMES)
        return NULL;
    const struct sl_r4_element *element = &sl_r4_element_table[sl_r4_slots[sl_r4_base[parent] + name]];
    if (element->parent != parent || element->name != name || name == 0)
        return NULL;
    return element;
}

const struct sl_r4_element *sl_r4_elements(sl_r4_node node, size_t *count)
{
    if (node >= SL_R4_NODES) {
        *count = 0;
        return NULL;
    }
    *count = (size_t)(sl_r4_first[node + 1] - sl_r4_first[node]);
    return *count ? &sl_r4_element_table[sl_r4_first[node]] : NULL;
}

struct sl_slice sl_r4_node_name(sl_r4_node node)
{
    if (node >= SL_R4_NODES)
        return (struct sl_slice){NULL, 0};
    size_t begin = sl_r4_node_offset[node];
    return (struct sl_slice){sl_r4_node_texts + begin, sl_r4_node_offset[node + 1] - begin};
}

/* In byte order; a text that is the beginning of another comes before it. */
static int compare(struct sl_slice a, struct sl_slice b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common ? memcmp(a.ptr, b.ptr, common) : 0;
    if (order != 0)
        return order;
    return (a.len > b.len) - (a.len < b.len);
}

sl_r4_node sl_r4_resource(struct sl_slice type_name)
{
    uint64_t first, last;
    if (type_name.len < 2)
        return 0;
    load_ends(type_name.ptr, type_name.len, &first, &last);
    uint64_t hash = (first + (last << 29 | last >> 35) + type_name.len) * sl_r4_type_factor;
    sl_r4_node type = sl_r4_types[hash >> (64 - SL_R4_TYPE_BITS)];
    return sl_slice_eq(type_name, sl_r4_node_name(type)) ? type : 0;
}

bool sl_r4_is_resource(sl_r4_node node)
{
    return node >= 1 && node <= SL_R4_LAST_RESOURCE;
}

unsigned sl_r4_facts(sl_r4_node resource)
{
    return resource < SL_R4_NODES ? sl_r4_node_facts[resource] : 0;
}

const char *const *sl_r4_compartment_of(sl_r4_node compartment, sl_r4_node resource)
{
    static const sl_r4_node kinds[SL_COMPARTMENTS] = {[SL_IN_PATIENT] = SL_R4_Patient,
        [SL_IN_ENCOUNTER] = SL_R4_Encounter,
        [SL_IN_PRACTITIONER] = SL_R4_Practitioner,
        [SL_IN_RELATED] = SL_R4_RelatedPerson,
        [SL_IN_DEVICE] = SL_R4_Device};
    static const char *const none[] = {NULL};
    for (size_t i = 0; i < SL_COMPARTMENTS; i++)
        if (kinds[i] == compartment) {
            const char *const *found = sl_r4_is_resource(resource) ? sl_r4_compartments[i][resource] : NULL;
            return found ? found : none;
        }
    return NULL;
}

const char *const *sl_r4_compartment(sl_r4_node resource)
{
    return sl_r4_compartment_of(SL_R4_Patient, resource);
}

const struct sl_r4_param *sl_r4_params(sl_r4_node resource, size_t *count)
{
    if (!sl_r4_is_resource(resource)) {
        *count = 0;
        return NULL;
    }
    *count = (size_t)(sl_r4_param_first[resource + 1] - sl_r4_param_first[resource]);
    return *count ? &sl_r4_param_table[sl_r4_param_first[resource]] : NULL;
}

const struct sl_r4_param *sl_r4_param_find(sl_r4_node resource, struct sl_slice name)
{
    size_t count, low = 0;
    const struct sl_r4_param *params = sl_r4_params(resource, &count);
    while (low < count) {
        size_t middle = low + (count - low) / 2;
        int order = compare(name, sl_slice_of(params[middle].name));
        if (order == 0)
            return &params[middle];
        if (order < 0)
            count = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

/* The words of a text, one after the other; false at its end. */
static bool next_word(struct sl_slice *rest, struct sl_slice *word)
{
    const char *space = rest->len ? memchr(rest->ptr, ' ', rest->len) : NULL;
    size_t len = space ? (size_t)(space - rest->ptr) : rest->len;
    *word = (struct sl_slice){rest->ptr, len};
    *rest = sl_slice_from(*rest, space ? len + 1 : len);
    return word->len > 0;
}

bool sl_r4_param_implies(const struct sl_r4_param *param, struct sl_slice system, struct sl_slice code)
{
    for (const char *const *implied = param->systems; implied && *implied; implied++) {
        struct sl_slice rest = sl_slice_of(*implied), word;
        (void)next_word(&rest, &word);
        if (!sl_slice_eq(word, system))
            continue;
        bool all = rest.len == 0;
        while (!all && next_word(&rest, &word))
            all = sl_slice_eq(word, code);
        return all;
    }
    return false;
}
