/* SPDX-License-Identifier: Apache-2.0 */
/* Ledger records, read back: see recorded.h. */
#include "recorded.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "directive_model.h"
#include "item_facts.h"
#include "sluice/evidence.h"

struct reading {
    struct sl_arena *arena;
    struct sl_doc doc;
    struct sl_record *out;
};

/* ---- JSON ---- */

static uint32_t member(const struct reading *r, uint32_t object, const char *key)
{
    return r->doc.spans[object].type == SL_SPAN_OBJECT ? sl_span_member_key(&r->doc, object, sl_slice_of(key)) : 0;
}

static struct sl_slice text_at(const struct reading *r, uint32_t object, const char *key)
{
    uint32_t at = member(r, object, key);
    return at ? sl_span_string(&r->doc, at, r->arena) : (struct sl_slice){NULL, 0};
}

static uint64_t number_of(const struct reading *r, uint32_t at)
{
    char digits[24] = "";
    struct sl_slice text = sl_span_text(&r->doc, at);
    if (r->doc.spans[at].type != SL_SPAN_NUMBER || text.len >= sizeof digits)
        return 0;
    memcpy(digits, text.ptr, text.len);
    return strtoull(digits, NULL, 10);
}

static uint64_t number_at(const struct reading *r, uint32_t object, const char *key)
{
    uint32_t at = member(r, object, key);
    return at ? number_of(r, at) : 0;
}

static bool true_at(const struct reading *r, uint32_t object, const char *key)
{
    uint32_t at = member(r, object, key);
    return at && r->doc.spans[at].type == SL_SPAN_TRUE;
}

static uint32_t first_of(const struct reading *r, uint32_t array)
{
    return r->doc.spans[array].next > array + 1 ? array + 1 : 0;
}

static uint32_t next_of(const struct reading *r, uint32_t array, uint32_t at)
{
    uint32_t next = r->doc.spans[at].next;
    return next < r->doc.spans[array].next ? next : 0;
}

/* The array under a key; 0: there is none. */
static uint32_t array_at(const struct reading *r, uint32_t object, const char *key, size_t *count)
{
    uint32_t array = member(r, object, key);
    *count = 0;
    if (!array || r->doc.spans[array].type != SL_SPAN_ARRAY)
        return 0;
    for (uint32_t at = first_of(r, array); at; at = next_of(r, array, at))
        (*count)++;
    return array;
}

static struct sl_words words_at(const struct reading *r, uint32_t object, const char *key)
{
    size_t count, i = 0;
    uint32_t array = array_at(r, object, key, &count);
    struct sl_slice *words = count ? sl_arena_array(r->arena, count, sizeof *words) : NULL;
    for (uint32_t at = words ? first_of(r, array) : 0; at; at = next_of(r, array, at))
        words[i++] = sl_span_string(&r->doc, at, r->arena);
    return (struct sl_words){words, i};
}

/* ---- Grounds ---- */

static enum sl_voucher voucher_of(struct sl_slice name)
{
    for (enum sl_voucher v = SL_BY_NOBODY; v <= SL_BY_DECLARATION; v++)
        if (sl_voucher_name(v) && sl_slice_eq(name, sl_slice_of(sl_voucher_name(v))))
            return v;
    return SL_BY_NOBODY;
}

static void read_relationship(const struct reading *r, uint32_t array, struct sl_relationship *out)
{
    struct sl_slice words[4] = {{NULL, 0}};
    size_t i = 0;
    *out = (struct sl_relationship){.voucher = SL_BY_NOBODY};
    if (r->doc.spans[array].type != SL_SPAN_ARRAY)
        return;
    for (uint32_t at = first_of(r, array); at; at = next_of(r, array, at)) {
        if (i < 4)
            words[i] = sl_span_string(&r->doc, at, r->arena);
        else if (i == 4)
            out->since = (int64_t)number_of(r, at);
        i++;
    }
    out->kind = words[0];
    out->voucher = voucher_of(words[1]);
    out->patient = words[2];
    out->authority = words[3];
}

static enum sl_status read_ground(const struct reading *r, uint32_t object, struct sl_recorded_ground *out)
{
    size_t count, i = 0;
    *out = (struct sl_recorded_ground){.patients = words_at(r, object, "patients"),
        .parties = words_at(r, object, "parties"),
        .consents = words_at(r, object, "consents"),
        .holds = words_at(r, object, "holds"),
        .facts = words_at(r, object, "facts")};
    struct sl_words denied = words_at(r, object, "denied");
    if (denied.count)
        out->denied = denied.word[0];
    uint32_t array = array_at(r, object, "related", &count);
    struct sl_relationship *related = sl_arena_array(r->arena, count + 1, sizeof *related);
    if (!related)
        return SL_NO_MEMORY;
    for (uint32_t at = array ? first_of(r, array) : 0; at; at = next_of(r, array, at))
        read_relationship(r, at, &related[i++]);
    out->related = related;
    out->related_count = i;
    return SL_OK;
}

static enum sl_status read_grounds(const struct reading *r)
{
    size_t i = 0;
    uint32_t array = array_at(r, 0, "grounds", &r->out->ground_count);
    struct sl_recorded_ground *grounds = sl_arena_array(r->arena, r->out->ground_count + 1, sizeof *grounds);
    if (!grounds)
        return SL_NO_MEMORY;
    for (uint32_t at = array ? first_of(r, array) : 0; at; at = next_of(r, array, at))
        SL_TRY(read_ground(r, at, &grounds[i++]));
    r->out->grounds = grounds;
    return SL_OK;
}

static const struct sl_recorded_ground *ground_at(const struct reading *r, uint32_t object)
{
    uint64_t at = number_at(r, object, "ground");
    return member(r, object, "ground") && at < r->out->ground_count ? &r->out->grounds[at] : NULL;
}

/* ---- Items ---- */

static enum sl_status read_parts(const struct reading *r, uint32_t object, struct sl_recorded_item *out)
{
    size_t i = 0;
    uint32_t array = array_at(r, object, "parts", &out->part_count);
    struct sl_recorded_part *parts = sl_arena_array(r->arena, out->part_count + 1, sizeof *parts);
    if (!parts)
        return SL_NO_MEMORY;
    for (uint32_t at = array ? first_of(r, array) : 0; at; at = next_of(r, array, at))
        parts[i++] = (struct sl_recorded_part){
            .classes = words_at(r, at, "classes"), .ground = ground_at(r, at), .cut = true_at(r, at, "cut")};
    out->parts = parts;
    return SL_OK;
}

static enum sl_status read_item(const struct reading *r, uint32_t object, bool released, struct sl_recorded_item *out)
{
    *out = (struct sl_recorded_item){.released = released,
        .item = text_at(r, object, "item"),
        .patient = text_at(r, object, "patient"),
        .path = text_at(r, object, "path"),
        .why = text_at(r, object, "why"),
        .class = text_at(r, object, "class"),
        .rule = text_at(r, object, "rule"),
        .directive = text_at(r, object, "directive"),
        .unlabelled = text_at(r, object, "unlabelled"),
        .consent = text_at(r, object, "consent"),
        .classes = words_at(r, object, "classes"),
        .rules = words_at(r, object, "rules"),
        .duties = words_at(r, object, "duties"),
        .ground = ground_at(r, object)};
    const char *slash = out->item.len ? memchr(out->item.ptr, '/', out->item.len) : NULL;
    if (slash)
        out->type = sl_r4_resource((struct sl_slice){out->item.ptr, (size_t)(slash - out->item.ptr)});
    if (!out->patient.len && out->ground && out->ground->patients.count)
        out->patient = out->ground->patients.word[0];
    return read_parts(r, object, out);
}

static enum sl_status read_items(const struct reading *r)
{
    static const char *const keys[] = {"released", "withheld"};
    size_t counts[2], i = 0;
    uint32_t arrays[2];
    for (size_t k = 0; k < 2; k++)
        arrays[k] = array_at(r, 0, keys[k], &counts[k]);
    struct sl_recorded_item *items = sl_arena_array(r->arena, counts[0] + counts[1] + 1, sizeof *items);
    if (!items)
        return SL_NO_MEMORY;
    for (size_t k = 0; k < 2; k++)
        for (uint32_t at = arrays[k] ? first_of(r, arrays[k]) : 0; at; at = next_of(r, arrays[k], at))
            SL_TRY(read_item(r, at, k == 0, &items[i++]));
    r->out->items = items;
    r->out->item_count = i;
    return SL_OK;
}

/* ---- The record ---- */

static int64_t instant_of(struct sl_slice text)
{
    struct tm tm = {0};
    char copy[32] = "";
    if (text.len != 20)
        return 0;
    memcpy(copy, text.ptr, text.len);
    if (sscanf(copy, "%4d-%2d-%2dT%2d:%2d:%2dZ", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min,
            &tm.tm_sec) != 6)
        return 0;
    tm.tm_year -= 1900;
    tm.tm_mon--;
    return (int64_t)timegm(&tm);
}

static struct sl_agreement *agreements_at(const struct reading *r, uint32_t object, size_t *count)
{
    size_t i = 0;
    uint32_t array = array_at(r, object, "agreements", count);
    struct sl_agreement *out = *count ? sl_arena_array(r->arena, *count, sizeof *out) : NULL;
    for (uint32_t at = out ? first_of(r, array) : 0; at; at = next_of(r, array, at)) {
        struct sl_words services = words_at(r, at, "services");
        out[i++] = (struct sl_agreement){.kind = text_at(r, at, "kind"),
            .with = text_at(r, at, "with"),
            .services = services.word,
            .service_count = services.count};
    }
    *count = i;
    return out;
}

static void read_recipient(const struct reading *r)
{
    struct sl_recipient *out = &r->out->recipient;
    uint32_t object = member(r, 0, "recipient"), emergency = member(r, 0, "emergency");
    r->out->known = object && member(r, object, "client");
    if (object) {
        r->out->issuer = text_at(r, object, "issuer");
        struct sl_words roles = words_at(r, object, "roles"), kinds = words_at(r, object, "kinds"),
                        networks = words_at(r, object, "networks");
        *out = (struct sl_recipient){.client = text_at(r, object, "client"),
            .user = text_at(r, object, "user"),
            .user_reference = text_at(r, object, "reference"),
            .user_name = text_at(r, object, "name"),
            .organization = text_at(r, object, "organization"),
            .organization_name = text_at(r, object, "organization-name"),
            .purpose = text_at(r, object, "purpose"),
            .exchange_purpose = text_at(r, object, "exchange-purpose"),
            .roles = roles.word,
            .role_count = roles.count,
            .kinds = kinds.word,
            .kind_count = kinds.count,
            .networks = networks.word,
            .network_count = networks.count};
        out->agreements = agreements_at(r, object, &out->agreement_count);
    }
    if (!emergency)
        return;
    r->out->emergency = (struct sl_emergency){.clinician = text_at(r, emergency, "clinician"),
        .affiliation = text_at(r, emergency, "affiliation"),
        .discloser = text_at(r, emergency, "discloser"),
        .nature = text_at(r, emergency, "nature"),
        .made = instant_of(text_at(r, emergency, "made")),
        .consent_unobtainable = true_at(r, emergency, "consent-unobtainable")};
    out->emergency = &r->out->emergency;
}

enum sl_status sl_record_read(struct sl_arena *arena, uint64_t sequence, struct sl_slice text, struct sl_record *out)
{
    struct reading r = {.arena = arena, .out = out};
    *out = (struct sl_record){.sequence = sequence};
    enum sl_status status = sl_doc_parse(arena, text, NULL, &r.doc, NULL);
    if (status != SL_OK)
        return status == SL_NO_MEMORY ? status : SL_INVALID;
    if (r.doc.spans[0].type != SL_SPAN_OBJECT || !member(&r, 0, "exchange"))
        return SL_INVALID;
    out->version = number_at(&r, 0, "v");
    out->time_text = text_at(&r, 0, "time");
    out->time = instant_of(out->time_text);
    out->generation = number_at(&r, 0, "generation");
    out->digest = text_at(&r, 0, "policy");
    out->status = (unsigned)number_at(&r, 0, "status");
    out->outcome = text_at(&r, 0, "outcome");
    out->why = text_at(&r, 0, "why");
    out->parties = words_at(&r, 0, "parties");
    uint32_t interaction = member(&r, 0, "interaction");
    if (interaction) {
        out->kind = text_at(&r, interaction, "kind");
        out->type = text_at(&r, interaction, "type");
    }
    read_recipient(&r);
    SL_TRY(read_grounds(&r));
    SL_TRY(read_items(&r));
    return sl_arena_failed(arena) ? SL_NO_MEMORY : SL_OK;
}

/* ---- Under a policy ---- */

static const struct sl_yaml *entry_in(const struct sl_policy_source *source, const char *section, struct sl_slice id)
{
    const struct sl_yaml *list = sl_yaml_get(source->root, section);
    for (const struct sl_yaml *entry = list ? list->first : NULL; entry; entry = entry->next) {
        const struct sl_yaml *at = entry->kind == SL_YAML_MAP ? sl_yaml_get(entry, "id") : NULL;
        if (at && sl_slice_eq(at->text, id))
            return entry;
    }
    return NULL;
}

static bool same_yaml(const struct sl_yaml *a, const struct sl_yaml *b)
{
    if (!a || !b || a->kind != b->kind || !sl_slice_eq(a->key, b->key) || !sl_slice_eq(a->text, b->text))
        return a == b;
    const struct sl_yaml *x = a->first, *y = b->first;
    for (; x && y && same_yaml(x, y); y = y->next)
        x = x->next;
    return !x && !y;
}

bool sl_same_entry(
    const struct sl_policy *a, const struct sl_policy *b, const char *section, struct sl_slice id, const char *key)
{
    if (a == b)
        return true;
    const struct sl_yaml *in_a = NULL, *in_b = NULL;
    for (size_t i = 0; i < a->source_count && !in_a; i++)
        in_a = entry_in(&a->sources[i], section, id);
    for (size_t i = 0; i < b->source_count && !in_b; i++)
        in_b = entry_in(&b->sources[i], section, id);
    if (key && in_a && in_b) {
        in_a = sl_yaml_get(in_a, key);
        in_b = sl_yaml_get(in_b, key);
    }
    return same_yaml(in_a, in_b);
}

#define NAME_LIMIT 256u

static struct sl_slice predicate_name(const struct sl_predicate *predicate, char room[NAME_LIMIT])
{
    struct sl_buffer name;
    sl_buffer_init(&name, NAME_LIMIT);
    sl_predicate_name(&name, predicate);
    size_t len = sl_buffer_failed(&name) ? 0 : name.len;
    if (len)
        memcpy(room, name.ptr, len);
    sl_buffer_fini(&name);
    return (struct sl_slice){room, len};
}

/* Which kinds of consent held: by their names where the same forms count as them in both policies. Where no consent
 * permitted, none did, whatever counts as what. */
static void take_kinds(const struct sl_policy *policy, const struct sl_policy *by,
    const struct sl_recorded_ground *ground, struct state *state, struct state *unknown)
{
    for (unsigned k = 0; k < policy->kind_id_count; k++) {
        struct sl_slice id = policy->kind_ids[k];
        uint32_t bit = (uint32_t)1 << k;
        bool held = sl_words_have(&ground->holds, id);
        if (by && sl_same_entry(policy, by, "consents", id, NULL))
            state->kinds |= held ? bit : 0;
        else if (ground->consents.count)
            unknown->kinds |= bit;
    }
}

void sl_ground_state(const struct sl_policy *policy, const struct sl_policy *by,
    const struct sl_recorded_ground *ground, struct state *state, struct state *unknown)
{
    *state = (struct state){0};
    *unknown = (struct state){0};
    take_kinds(policy, by, ground, state, unknown);
    if (sl_words_have(&ground->holds, SL_LIT("named-in-consent")))
        state->kinds |= SL_KIND_NAMED;
    for (unsigned i = 0; i < policy->predicate_count; i++) {
        char name[NAME_LIMIT];
        struct sl_slice fact = predicate_name(&policy->predicates[i], name);
        bool asked = by && sl_predicate_find(by, &policy->predicates[i]);
        if (sl_words_have(&ground->facts, fact))
            state->facts |= (uint32_t)1 << i;
        else if (!asked)
            unknown->facts |= (uint32_t)1 << i;
    }
}

enum sl_status sl_ground_ruling(struct sl_arena *arena, const struct sl_policy *policy, const struct sl_record *record,
    const struct sl_recorded_ground *ground, const struct state *state, struct sl_ruling **out)
{
    struct sl_recipient *recipient = sl_arena_alloc(arena, sizeof *recipient);
    struct sl_directive *denial = ground->denied.len ? sl_arena_alloc(arena, sizeof *denial) : NULL;
    struct state given = *state;
    if (!recipient || (ground->denied.len && !denial))
        return SL_NO_MEMORY;
    *recipient = record->recipient;
    recipient->relationships = ground->related;
    recipient->relationship_count = ground->related_count;
    if (denial)
        denial->id = ground->denied;
    given.denial = denial;
    return sl_ruling_supposed(
        arena, policy, recipient, ground->patients.word, ground->patients.count, record->time, &given, out);
}

static struct sl_classes classes_of(const struct sl_policy *policy, const struct sl_words *names)
{
    struct sl_classes classes = {0};
    for (size_t i = 0; i < names->count; i++) {
        unsigned bit = sl_policy_class_find(policy, names->word[i]);
        if (bit < SL_CLASS_LIMIT)
            sl_classes_add(&classes, bit);
    }
    return classes;
}

enum sl_status sl_recorded_item(struct sl_arena *arena, const struct sl_policy *policy,
    const struct sl_recorded_item *recorded, struct sl_item *out)
{
    *out = (struct sl_item){.type = recorded->type, .classes = classes_of(policy, &recorded->classes)};
    const char *slash = recorded->item.len ? memchr(recorded->item.ptr, '/', recorded->item.len) : NULL;
    if (slash)
        out->id = sl_slice_from(recorded->item, (size_t)(slash - recorded->item.ptr) + 1);
    if (recorded->unlabelled.len)
        out->unlabelled = recorded->unlabelled.ptr;
    out->parts = sl_arena_array(arena, recorded->part_count + 1, sizeof *out->parts);
    if (!out->parts)
        return SL_NO_MEMORY;
    out->part_count = (uint32_t)recorded->part_count;
    for (size_t i = 0; i < recorded->part_count; i++) {
        out->parts[i].classes = classes_of(policy, &recorded->parts[i].classes);
        out->parts[i].cut = recorded->parts[i].cut;
    }
    return SL_OK;
}
