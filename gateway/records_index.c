/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The search indexes of the embedded store. One table serves all: a key is a kind, eight bytes of hash, and the id.
 *
 * 'v' hash(type, parameter's paths, value) id     tokens, references, urls: equal values stand together, ids in order
 * 's' hash(type, parameter's paths) text 0 id     strings: the first bytes of the folded text, so that a prefix is a
 * range
 *
 * Hashing the value bounds the key, and collisions only cost a look at a resource that then does not match. Parameters
 * that read the same paths (`patient` and `subject`) share their keys. What hardly divides a store (status, gender) has
 * none.
 */
#include <stdlib.h>

#include "records_parts.h"

#define STRING_BYTES 16u /* of a folded string, in a key */
#define MAX_KEYS 65536u  /* of one resource */
#define MAX_PLAN 1024u   /* of one parameter in one search */
#define FORMAT 2u        /* counts up when the keys change */

static const char *const unindexed[] = {
    "_content",
    "_id",
    "_profile",
    "_security",
    "_source",
    "_tag",
    "_text",
    "active",
    "address-use",
    "category",
    "class",
    "clinical-status",
    "criticality",
    "do-not-perform",
    "gender",
    "intent",
    "language",
    "priority",
    "status",
    "use",
    "verification-status",
};

static uint64_t hash_bytes(uint64_t hash, struct sl_slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        hash = (hash ^ (unsigned char)bytes.ptr[i]) * UINT64_C(0x100000001b3); /* FNV-1a */
    return (hash ^ 0xff) * UINT64_C(0x100000001b3); /* 0xff is in no UTF-8 text: it ends each part */
}

static uint64_t hash_param(sl_r4_node type, const struct sl_r4_param *param)
{
    uint64_t hash = hash_bytes(UINT64_C(0xcbf29ce484222325), sl_r4_node_name(type));
    char kind = (char)('A' + (int)param->type);
    hash = hash_bytes(hash, (struct sl_slice){&kind, 1});
    for (const char *const *path = param->paths; path && *path; path++)
        hash = hash_bytes(hash, sl_slice_of(*path));
    return hash;
}

static bool is_indexed(const struct sl_r4_param *param)
{
    if (param->type != SL_PARAM_TOKEN && param->type != SL_PARAM_REFERENCE && param->type != SL_PARAM_STRING &&
        param->type != SL_PARAM_URI)
        return false;
    if (!param->paths || !param->paths[0])
        return false;
    for (size_t i = 0; i < sizeof unindexed / sizeof *unindexed; i++)
        if (strcmp(param->name, unindexed[i]) == 0)
            return false;
    return true;
}

/* ---- Keys ---- */

static struct sl_index_key *add_key(struct sl_index_keys *keys, char kind, uint64_t hash)
{
    if (keys->count == keys->capacity) {
        size_t capacity = keys->capacity ? keys->capacity * 2 : 32;
        struct sl_index_key *list = sl_arena_raw(keys->arena, capacity, sizeof *list);
        if (!list)
            return NULL;
        if (keys->count)
            memcpy(list, keys->list, keys->count * sizeof *list);
        keys->list = list;
        keys->capacity = capacity;
    }
    struct sl_index_key *key = &keys->list[keys->count++];
    key->bytes[0] = kind;
    sl_record_number(key->bytes + 1, hash);
    key->len = 9;
    return key;
}

static void append(struct sl_index_key *key, struct sl_slice bytes)
{
    SL_ASSERT(bytes.len <= sizeof key->bytes - key->len);
    if (bytes.len)
        memcpy(key->bytes + key->len, bytes.ptr, bytes.len);
    key->len += bytes.len;
}

static struct sl_slice head_of(struct sl_slice text)
{
    /* A zero byte would end the text too early in the key, and the search for it would miss. */
    size_t len = text.len < STRING_BYTES ? text.len : STRING_BYTES;
    const char *zero = len ? memchr(text.ptr, '\0', len) : NULL;
    return (struct sl_slice){text.ptr, zero ? (size_t)(zero - text.ptr) : len};
}

struct indexing {
    struct sl_index_keys *keys;
    const struct sl_r4_param *param;
    uint64_t hash; /* of type and parameter */
    struct sl_slice id;
    bool failed;
};

static void add_value(struct indexing *indexing, char kind, uint64_t hash, struct sl_slice text)
{
    struct sl_index_key *key = indexing->keys->count < MAX_KEYS ? add_key(indexing->keys, kind, hash) : NULL;
    if (!key) {
        indexing->failed = true;
        return;
    }
    if (kind == 's') {
        append(key, text);
        append(key, (struct sl_slice){"", 1});
    }
    append(key, indexing->id);
}

/* A token stands under "system|code" and under its code alone. */
static void index_value(void *context, struct sl_slice value)
{
    struct indexing *indexing = context;
    if (indexing->param->type == SL_PARAM_STRING) {
        add_value(indexing, 's', indexing->hash, head_of(value));
        return;
    }
    add_value(indexing, 'v', hash_bytes(indexing->hash, value), value);
    const char *bar = indexing->param->type == SL_PARAM_TOKEN && value.len ? memchr(value.ptr, '|', value.len) : NULL;
    if (bar)
        add_value(
            indexing, 'v', hash_bytes(indexing->hash, sl_slice_from(value, (size_t)(bar + 1 - value.ptr))), value);
}

static int by_bytes(const void *a, const void *b)
{
    const struct sl_index_key *x = a, *y = b;
    int order = memcmp(x->bytes, y->bytes, x->len < y->len ? x->len : y->len);
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

enum sl_status sl_index_of(struct sl_arena *arena, const struct sl_doc *doc, struct sl_slice type, struct sl_slice id,
    struct sl_index_keys *out)
{
    sl_r4_node node = sl_r4_resource(type);
    size_t count, kept = 0;
    const struct sl_r4_param *params = sl_r4_params(node, &count);
    *out = (struct sl_index_keys){.arena = arena};
    struct indexing indexing = {.keys = out, .id = id};
    for (size_t i = 0; i < count; i++) {
        if (!is_indexed(&params[i]))
            continue;
        indexing.param = &params[i];
        indexing.hash = hash_param(node, &params[i]);
        /* Without its filter a parameter reads more: the index holds all, the match decides. */
        struct sl_r4_param whole = params[i];
        whole.filter = NULL;
        sl_search_values(&whole, doc, 0, arena, index_value, &indexing);
    }
    if (sl_arena_failed(arena))
        return SL_NO_MEMORY;
    if (indexing.failed)
        return SL_LIMIT;
    if (out->count > 1)
        qsort(out->list, out->count, sizeof *out->list, by_bytes);
    for (size_t i = 0; i < out->count; i++)
        if (i == 0 || by_bytes(&out->list[i], &out->list[kept - 1]) != 0)
            out->list[kept++] = out->list[i];
    out->count = kept;
    return SL_OK;
}

struct sl_slice sl_index_id(struct sl_slice key)
{
    size_t start = 9;
    if (key.len > start && key.ptr[0] == 's') {
        /* The hash may hold zeros; the text behind it does not, nor does an id. */
        const char *zero = memchr(key.ptr + start, '\0', key.len - start);
        start = zero ? (size_t)(zero - key.ptr) + 1 : key.len;
    }
    return sl_slice_from(key, start);
}

/* ---- Plans ---- */

static bool plan_string(struct sl_index_keys *out, uint64_t hash, struct sl_slice text)
{
    struct sl_slice folded = sl_search_fold(text, out->arena);
    struct sl_index_key *key = folded.ptr ? add_key(out, 's', hash) : NULL;
    if (key)
        append(key, head_of(folded));
    return key != NULL;
}

static bool plan_value(struct sl_index_keys *out, uint64_t hash, struct sl_slice value)
{
    return add_key(out, 'v', hash_bytes(hash, value)) != NULL;
}

static bool plan_pair(
    struct sl_index_keys *out, uint64_t hash, struct sl_slice first, char between, struct sl_slice second)
{
    struct sl_slice text = sl_arena_printf(out->arena, "%.*s%c%.*s", SL_FMT(first), between, SL_FMT(second));
    return text.ptr && plan_value(out, hash, text);
}

static bool plan_reference(
    struct sl_index_keys *out, uint64_t hash, const struct sl_r4_param *param, const struct sl_search_value *value)
{
    if (value->code.len == 0)
        return plan_value(out, hash, value->text);
    if (value->system.len)
        return plan_pair(out, hash, value->system, '/', value->code);
    if (!param->targets || !param->targets[0])
        return false;
    for (const char *const *target = param->targets; *target; target++)
        if (!plan_pair(out, hash, sl_slice_of(*target), '/', value->code))
            return false;
    return true;
}

static bool plan_token(struct sl_index_keys *out, uint64_t hash, const struct sl_search_value *value)
{
    if (!value->has_system)
        return plan_value(out, hash, value->text);
    if (value->code.len == 0)
        return false; /* any code of a system */
    return plan_pair(out, hash, value->system, '|', value->code);
}

bool sl_index_plan(sl_r4_node type, const struct sl_search_param *param, struct sl_index_keys *out)
{
    uint64_t hash = hash_param(type, param->param);
    bool plain = param->how == SL_MODIFIER_NONE || param->how == SL_MODIFIER_TYPE || param->how == SL_MODIFIER_EXACT;
    if (!is_indexed(param->param) || !plain || sl_slice_eq(sl_slice_of(param->param->filter), SL_LIT("exists")))
        return false;
    for (size_t i = 0; i < param->value_count; i++) {
        const struct sl_search_value *value = &param->values[i];
        bool known = param->param->type == SL_PARAM_STRING  ? plan_string(out, hash, value->text)
                     : param->param->type == SL_PARAM_URI   ? plan_value(out, hash, value->text)
                     : param->param->type == SL_PARAM_TOKEN ? plan_token(out, hash, value)
                                                            : plan_reference(out, hash, param->param, value);
        if (!known || out->count > MAX_PLAN)
            return false;
    }
    return true;
}

uint64_t sl_index_format(void)
{
    uint64_t hash = FORMAT;
    for (sl_r4_node node = 1; node < SL_R4_NODES; node++) {
        size_t count = 0;
        const struct sl_r4_param *params = sl_r4_is_resource(node) ? sl_r4_params(node, &count) : NULL;
        for (size_t i = 0; i < count; i++)
            if (is_indexed(&params[i]))
                hash = hash * 31 + hash_param(node, &params[i]);
    }
    return hash;
}
