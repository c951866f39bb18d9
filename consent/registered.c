/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of the officer's register is in force, compiled for one policy: a hash table from a record's type and id to what
 * entries say of it. It changes only while it is built, before it is shared.
 */
#include "registered.h"

#include <endian.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "directive_model.h"
#include "hash.h"
#include "policy_model.h"

#define ARENA_LIMIT ((size_t)4 << 30)
#define FOREVER INT64_MAX

struct slot {
    sl_r4_node type; /* 0: free */
    struct sl_slice id;
    const struct sl_mark *first;
    const struct sl_entry *entries; /* of a patient */
};

/* Of an entry about who represents whom. */
struct act {
    struct sl_slice person, patient, authority;
    uint64_t purposes;
    bool excluded;
};

struct sl_registered {
    atomic_size_t references;
    struct sl_arena *arena;
    struct slot *slots; /* open addressing, a power of two, at most half full; NULL: empty */
    size_t mask, count;
    struct act *acts; /* ordered by person */
    size_t act_count;
    const struct sl_entry *anybodys; /* about whoever */
    bool binds;                      /* something is about a person */
    uint64_t seed;
    int64_t until;
    unsigned char digest[32];
};

static struct slot *slot_of(const struct sl_registered *r, sl_r4_node type, struct sl_slice id)
{
    size_t i = (size_t)sl_hash(id, r->seed ^ type) & r->mask;
    while (r->slots[i].type && !(r->slots[i].type == type && sl_slice_eq(r->slots[i].id, id)))
        i = (i + 1) & r->mask;
    return &r->slots[i];
}

const struct sl_mark *sl_registered_find(const struct sl_registered *registered, sl_r4_node type, struct sl_slice id)
{
    return registered && registered->slots ? slot_of(registered, type, id)->first : NULL;
}

const struct sl_entry *sl_registered_entries(const struct sl_registered *registered, struct sl_slice patient)
{
    const struct sl_slice type = SL_LIT("Patient/");
    if (!registered || !registered->slots || !sl_slice_starts(patient, type))
        return NULL;
    return slot_of(registered, SL_R4_Patient, sl_slice_from(patient, type.len))->entries;
}

const struct sl_entry *sl_registered_anybodys(const struct sl_registered *registered)
{
    return registered ? registered->anybodys : NULL;
}

bool sl_registered_binds(const struct sl_registered *registered)
{
    return registered && registered->binds;
}

const struct sl_registered *sl_registered_within(const struct sl_entry *entries, struct sl_arena *arena)
{
    struct sl_registered *r = sl_arena_alloc(arena, sizeof *r);
    if (r)
        r->anybodys = entries;
    return r;
}

static bool is_held(const struct sl_held *held, const struct sl_entry *entry)
{
    while (held && held->entry != entry)
        held = held->next;
    return held;
}

const struct sl_held *sl_held_with(const struct sl_entry *entry, const struct sl_held *held, struct sl_arena *arena)
{
    struct sl_held *more = is_held(held, entry) ? NULL : sl_arena_alloc(arena, sizeof *more);
    if (!more)
        return held;
    *more = (struct sl_held){entry, held};
    return more;
}

const struct sl_held *sl_registered_held(
    const struct sl_mark *marks, const struct sl_held *held, struct sl_arena *arena)
{
    for (const struct sl_mark *mark = marks; mark; mark = mark->next)
        if (mark->entry)
            held = sl_held_with(mark->entry, held, arena);
    return held;
}

const unsigned char *sl_registered_digest(const struct sl_registered *registered)
{
    return registered && registered->count ? registered->digest : NULL;
}

int64_t sl_registered_until(const struct sl_registered *registered)
{
    return registered->until;
}

/* ---- When an entry counts ---- */

static void no_later(struct sl_registered *r, int64_t instant, int64_t now)
{
    if (instant > now && instant < r->until)
        r->until = instant;
}

/* NULL: in force at `now`; else why not, a literal. Notes when that changes by the entry's own dates. A date that
 * cannot be read begins at once and never ends: entries are checked before they are stored, and one that was not
 * restricts no less. */
static const char *out_of_force(struct sl_registered *r, const struct sl_register_entry *entry, int64_t now)
{
    struct sl_moment from, until;
    if (entry->ended)
        return "it was ended";
    bool begins = sl_moment_read(sl_register_value(entry, SL_REGISTER_FROM), &from);
    bool ends = sl_moment_read(sl_register_value(entry, SL_REGISTER_UNTIL), &until);
    if (begins)
        no_later(r, from.begin, now);
    if (ends)
        no_later(r, until.end, now);
    if (begins && from.begin > now)
        return "it has not begun yet";
    return ends && now >= until.end ? "it is past its last day" : NULL;
}

/* ---- What an entry says ---- */

static void unknown_class(const struct sl_register_entry *entry, struct sl_slice id, struct sl_issues *issues)
{
    sl_issue_add(issues, SL_GRADE_WARNING, "register-unknown-class",
        "The policy has no class \"%.*s\", of which entry %llu of the register speaks.", SL_FMT(id),
        (unsigned long long)entry->number);
}

/* True: every word is a class of the policy. */
static bool read_classes(const struct sl_policy *policy, const struct sl_register_entry *entry,
    enum sl_register_field field, struct sl_issues *issues, struct sl_classes *out)
{
    bool known = true;
    for (size_t i = 0; i < entry->field[field].count; i++) {
        struct sl_slice id = entry->field[field].value[i];
        unsigned bit = sl_policy_class_find(policy, id);
        if (bit < SL_CLASS_LIMIT) {
            sl_classes_add(out, bit);
            continue;
        }
        known = false;
        unknown_class(entry, id, issues);
    }
    return known;
}

/* Does some line of the policy ask for entries of that kind? */
static bool is_asked(const struct sl_policy *policy, enum sl_register_kind kind)
{
    for (unsigned i = 0; i < policy->predicate_count; i++)
        if (policy->predicates[i].asks == SL_ASKS_REGISTER && policy->predicates[i].kind == kind)
            return true;
    return false;
}

/* What the kind itself earns, by the policy, and what the entry names. A kind for which the policy has no class, and
 * an entry that names none either, would have no effect: what it is about is withheld instead. */
static enum sl_status read_mark(struct sl_registered *r, const struct sl_policy *policy,
    const struct sl_register_entry *entry, struct sl_issues *issues, struct sl_mark *out)
{
    *out = (struct sl_mark){.has = policy->earning.registered[entry->kind],
        .patient = sl_arena_copy(r->arena, sl_register_value(entry, SL_REGISTER_PATIENT)),
        .program = sl_arena_copy(r->arena, sl_register_value(entry, SL_REGISTER_PROGRAM)),
        .name = sl_arena_printf(r->arena, "register/%llu", (unsigned long long)entry->number)};
    out->unknown = !read_classes(policy, entry, SL_REGISTER_HAS, issues, &out->has);
    (void)read_classes(policy, entry, SL_REGISTER_HAS_NOT, issues, &out->has_not);
    bool counts = sl_entry_is_fact(entry->kind) && (!sl_entry_restricts(entry->kind) || is_asked(policy, entry->kind));
    if (sl_classes_empty(&out->has) && !entry->field[SL_REGISTER_HAS_NOT].count && !out->unknown && !counts) {
        out->unknown = true;
        unknown_class(entry, sl_register_kind_word(entry->kind), issues);
    }
    return sl_arena_failed(r->arena) ? SL_NO_MEMORY : SL_OK;
}

static enum sl_status enter(struct sl_registered *r, struct sl_slice item, const struct sl_mark *said)
{
    const char *slash = item.len ? memchr(item.ptr, '/', item.len) : NULL;
    size_t at = slash ? (size_t)(slash - item.ptr) : 0;
    sl_r4_node type = sl_r4_resource((struct sl_slice){item.ptr, at});
    struct sl_mark *mark = sl_arena_alloc(r->arena, sizeof *mark);
    if (!mark)
        return SL_NO_MEMORY;
    if (!type)
        return SL_CORRUPT; /* it was checked before it was stored */
    struct sl_slice id = sl_arena_copy(r->arena, sl_slice_from(item, at + 1));
    if (!id.ptr)
        return SL_NO_MEMORY;
    struct slot *slot = slot_of(r, type, id);
    *mark = *said;
    mark->next = slot->first;
    *slot = (struct slot){type, id, mark, slot->entries};
    r->count++;
    return SL_OK;
}

/* ---- Facts that lines ask for ---- */

static enum sl_status enter_fact(struct sl_registered *r, const struct sl_policy *policy,
    const struct sl_register_entry *from, const char *out_of, struct sl_issues *issues, const struct sl_entry **out)
{
    struct sl_classes known = {0};
    struct sl_entry *entry = sl_arena_alloc(r->arena, sizeof *entry);
    *out = NULL;
    if (!entry)
        return SL_NO_MEMORY;
    SL_TRY(sl_entry_read(policy, from, r->arena, entry));
    if (out_of)
        entry->lacking = out_of;
    else
        (void)read_classes(policy, from, SL_REGISTER_CLASSES, issues, &known);
    const struct sl_slice type = SL_LIT("Patient/");
    struct slot *slot = entry->patient.len ? slot_of(r, SL_R4_Patient, sl_slice_from(entry->patient, type.len)) : NULL;
    const struct sl_entry **list = slot ? &slot->entries : &r->anybodys;
    if (slot) {
        r->binds = true;
        slot->type = SL_R4_Patient;
        slot->id = sl_slice_from(entry->patient, type.len);
    }
    entry->next = *list;
    *list = entry;
    *out = entry->lacking ? NULL : entry;
    return sl_arena_failed(r->arena) ? SL_NO_MEMORY : SL_OK;
}

/* ---- The digest: what is in force, in the order of the log ---- */

static bool add_text(EVP_MD_CTX *md, struct sl_slice text)
{
    uint64_t len = htole64(text.len);
    return EVP_DigestUpdate(md, &len, sizeof len) == 1 && EVP_DigestUpdate(md, text.ptr, text.len) == 1;
}

static bool add_entry(EVP_MD_CTX *md, const struct sl_register_entry *entry)
{
    bool fine = add_text(md, sl_register_kind_word(entry->kind));
    uint64_t number = htole64(entry->number);
    fine = fine && EVP_DigestUpdate(md, &number, sizeof number) == 1;
    for (unsigned f = 0; f < SL_REGISTER_FIELDS; f++) {
        uint64_t count = htole64(entry->field[f].count);
        fine = fine && EVP_DigestUpdate(md, &count, sizeof count) == 1;
        for (size_t i = 0; i < entry->field[f].count; i++)
            fine = fine && add_text(md, entry->field[f].value[i]);
    }
    return fine;
}

/* ---- Building ---- */

static enum sl_status make_slots(struct sl_registered *r, const struct sl_register_entries *list)
{
    size_t items = 0, size = 16;
    for (size_t i = 0; i < list->count; i++)
        items += list->entry[i].field[SL_REGISTER_ITEMS].count + 1; /* and its patient */
    if (!items)
        return SL_OK;
    while (size < items * 2)
        size *= 2;
    r->slots = sl_arena_array(r->arena, size, sizeof *r->slots);
    r->mask = size - 1;
    return r->slots ? SL_OK : SL_NO_MEMORY;
}

/* ---- Who represents whom ---- */

static bool is_act(enum sl_register_kind kind)
{
    return kind == SL_REGISTER_REPRESENTATION || kind == SL_REGISTER_REPRESENTATION_EXCLUDED;
}

/* What it is limited to, for what lies below as well. A purpose that is not known reaches nothing. */
static uint64_t scope_of(const struct sl_register_entry *entry)
{
    const struct sl_register_values *scope = &entry->field[SL_REGISTER_SCOPE];
    uint64_t bits = 0;
    for (size_t i = 0; i < scope->count; i++)
        bits |= sl_purpose_bits(sl_purpose_find(scope->value[i]), false);
    return scope->count ? bits : ~(uint64_t)0;
}

static enum sl_status enter_act(struct sl_registered *r, const struct sl_register_entry *entry)
{
    struct act *act = &r->acts[r->act_count++];
    *act = (struct act){.person = sl_arena_copy(r->arena, sl_register_value(entry, SL_REGISTER_PERSON)),
        .patient = sl_arena_copy(r->arena, sl_register_value(entry, SL_REGISTER_PATIENT)),
        .authority = sl_arena_copy(r->arena, sl_register_value(entry, SL_REGISTER_AUTHORITY)),
        .purposes = scope_of(entry),
        .excluded = entry->kind == SL_REGISTER_REPRESENTATION_EXCLUDED};
    r->binds |= act->excluded;
    r->count++; /* it is part of the digest */
    return sl_arena_failed(r->arena) ? SL_NO_MEMORY : SL_OK;
}

static int order_acts(const void *a, const void *b)
{
    const struct act *x = a, *y = b;
    size_t shorter = x->person.len < y->person.len ? x->person.len : y->person.len;
    int order = shorter ? memcmp(x->person.ptr, y->person.ptr, shorter) : 0;
    return order ? order : (x->person.len > y->person.len) - (x->person.len < y->person.len);
}

/* Those about a person: the first, and how many. */
static const struct act *acts_of(const struct sl_registered *r, struct sl_slice person, size_t *count)
{
    const struct act wanted = {.person = person};
    size_t low = 0, high = r ? r->act_count : 0;
    *count = 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (order_acts(&r->acts[middle], &wanted) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    while (r && person.len && low + *count < r->act_count && sl_slice_eq(r->acts[low + *count].person, person))
        ++*count;
    return *count ? &r->acts[low] : NULL;
}

static bool is_excluded(const struct act *acts, size_t count, struct sl_slice patient)
{
    for (size_t i = 0; i < count; i++)
        if (acts[i].excluded && (sl_slice_eq(acts[i].patient, patient) || sl_slice_eq(patient, SL_LIT("*"))))
            return true;
    return false;
}

bool sl_registered_excludes(const struct sl_registered *registered, struct sl_slice person, struct sl_slice patient)
{
    size_t count;
    const struct act *acts = acts_of(registered, person, &count);
    return is_excluded(acts, count, patient);
}

bool sl_registered_excludes_any(const struct sl_registered *registered, struct sl_slice person)
{
    return sl_registered_excludes(registered, person, SL_LIT("*"));
}

enum sl_status sl_registered_relate(const struct sl_registered *registered, const struct sl_recipient *recipient,
    struct sl_arena *arena, const struct sl_relationship **out, size_t *count)
{
    size_t act_count, kept = 0;
    const struct act *acts = acts_of(registered, recipient->user_reference, &act_count);
    struct sl_relationship *list = sl_arena_array(arena, recipient->relationship_count + act_count + 1, sizeof *list);
    uint64_t purpose = sl_purpose_bit(sl_purpose_find(recipient->purpose));
    if (!list)
        return SL_NO_MEMORY;
    for (size_t i = 0; i < recipient->relationship_count; i++) {
        const struct sl_relationship *one = &recipient->relationships[i];
        if (!sl_slice_eq(one->kind, SL_LIT("representative")) || !is_excluded(acts, act_count, one->patient))
            list[kept++] = *one;
    }
    for (size_t i = 0; i < act_count; i++)
        if (!acts[i].excluded && acts[i].purposes & purpose && !is_excluded(acts, act_count, acts[i].patient))
            list[kept++] = (struct sl_relationship){.kind = SL_LIT("representative"),
                .patient = acts[i].patient,
                .voucher = SL_BY_REGISTER,
                .authority = acts[i].authority};
    *out = list;
    *count = kept;
    return SL_OK;
}

static enum sl_status enter_all(struct sl_registered *r, const struct sl_policy *policy,
    const struct sl_register_entries *list, int64_t now, struct sl_issues *issues, EVP_MD_CTX *md)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct sl_register_entry *entry = &list->entry[i];
        const struct sl_entry *fact = NULL;
        struct sl_mark mark;
        const char *out_of = out_of_force(r, entry, now);
        if (sl_entry_is_fact(entry->kind))
            SL_TRY(enter_fact(r, policy, entry, out_of, issues, &fact));
        if (out_of)
            continue;
        if (!add_entry(md, entry))
            return SL_CRYPTO;
        if (is_act(entry->kind)) {
            SL_TRY(enter_act(r, entry));
            continue;
        }
        SL_TRY(read_mark(r, policy, entry, issues, &mark));
        mark.entry = fact;
        for (size_t k = 0; k < entry->field[SL_REGISTER_ITEMS].count; k++)
            SL_TRY(enter(r, entry->field[SL_REGISTER_ITEMS].value[k], &mark));
    }
    return SL_OK;
}

static enum sl_status build(struct sl_registered *r, const struct sl_policy *policy,
    const struct sl_register_entries *list, int64_t now, struct sl_issues *issues)
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    enum sl_status status = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 ? SL_OK : SL_CRYPTO;
    r->until = FOREVER;
    r->seed = policy->earning.seed;
    r->acts = sl_arena_array(r->arena, list->count + 1, sizeof *r->acts);
    if (status == SL_OK)
        status = r->acts ? make_slots(r, list) : SL_NO_MEMORY;
    if (status == SL_OK)
        status = enter_all(r, policy, list, now, issues, md);
    if (status == SL_OK && r->act_count > 1)
        qsort(r->acts, r->act_count, sizeof *r->acts, order_acts);
    if (status == SL_OK && EVP_DigestFinal_ex(md, r->digest, NULL) != 1)
        status = SL_CRYPTO;
    EVP_MD_CTX_free(md);
    return status;
}

enum sl_status sl_registered_new(const struct sl_policy *policy, const struct sl_register_entries *list, int64_t now,
    struct sl_issues *issues, struct sl_registered **out)
{
    *out = NULL;
    struct sl_registered *r = calloc(1, sizeof *r);
    if (!r)
        return SL_NO_MEMORY;
    atomic_init(&r->references, 1);
    r->arena = sl_arena_new(ARENA_LIMIT);
    enum sl_status status = r->arena ? build(r, policy, list, now, issues) : SL_NO_MEMORY;
    if (status != SL_OK) {
        sl_registered_unref(r);
        return status;
    }
    *out = r;
    return SL_OK;
}

enum sl_status sl_registered_of(struct sl_store *store, const struct sl_policy *policy, int64_t now,
    struct sl_issues *issues, struct sl_registered **out)
{
    struct sl_register_entries list;
    struct sl_arena *arena = sl_arena_new(ARENA_LIMIT);
    *out = NULL;
    if (!arena)
        return SL_NO_MEMORY;
    enum sl_status status = sl_register_list(store, arena, &list);
    if (status == SL_OK)
        status = sl_registered_new(policy, &list, now, issues, out);
    sl_arena_free(arena);
    return status;
}

struct sl_registered *sl_registered_ref(struct sl_registered *registered)
{
    if (registered)
        atomic_fetch_add_explicit(&registered->references, 1, memory_order_relaxed);
    return registered;
}

void sl_registered_unref(struct sl_registered *registered)
{
    if (!registered || atomic_fetch_sub_explicit(&registered->references, 1, memory_order_acq_rel) > 1)
        return;
    sl_arena_free(registered->arena);
    free(registered);
}
