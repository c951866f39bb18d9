/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The labeller: its items, the names they are found by, and what became of references that are not here. Labelling
 * itself is in label_walk.c (what a resource tells by itself) and label_resolve.c (what references bring).
 *
 * Everything lives in the arena of the exchange. The index is a hash table with open addressing whose seed is random
 * (drawn with the policy: a system call for each labeller would cost more than its look-ups), since names come from the
 * wire.
 */
#include "labelling.h"

#include "hash.h"
#include "sluice/search.h"

#define INDEX_START 64u
#define ABSENT_START 64u
#define CONTAINED_KIND ((uint64_t)0xffff)

const char *sl_why_text(enum sl_why why)
{
    static const char *const texts[] = {[SL_WHY_NONE] = "none",
        [SL_WHY_TYPE] = "type",
        [SL_WHY_CODE] = "code",
        [SL_WHY_ORIGIN] = "origin",
        [SL_WHY_UNKNOWN_ORIGIN] = "unknown-origin",
        [SL_WHY_SECURITY] = "security-label",
        [SL_WHY_NOTE_TYPE] = "note-type",
        [SL_WHY_REFERENCE] = "reference",
        [SL_WHY_DRAFT] = "draft",
        [SL_WHY_TEXT] = "free-text",
        [SL_WHY_WORDS] = "words",
        [SL_WHY_UNREAD] = "unread",
        [SL_WHY_UNCLASSIFIED] = "unclassified",
        [SL_WHY_MODIFIER] = "modifier-extension",
        [SL_WHY_VISIT] = "visit",
        [SL_WHY_INSTRUMENT] = "instrument",
        [SL_WHY_REGISTER] = "register",
        [SL_WHY_PRESENCE] = "registered-by-program",
        [SL_WHY_RECEIVED] = "received-under-tpo",
        [SL_WHY_LATER] = "later-version"};
    return (size_t)why < sizeof texts / sizeof *texts ? texts[why] : "none";
}

/* ---- References ---- */

sl_r4_node sl_labeller_type(struct sl_labeller *labeller, struct sl_slice name)
{
    if (name.len < 4)
        return 0;
    unsigned hash = (unsigned)(unsigned char)name.ptr[0] * 7 + (unsigned)(unsigned char)name.ptr[name.len - 1] * 3 +
                    (unsigned)(unsigned char)name.ptr[3] + (unsigned)name.len;
    sl_r4_node *cached = &labeller->type_cache[hash % TYPE_CACHE];
    if (*cached && sl_slice_eq(sl_r4_node_name(*cached), name))
        return *cached;
    sl_r4_node node = sl_r4_resource(name);
    if (node)
        *cached = node;
    return node;
}

static unsigned place_of(uint64_t bytes)
{
    return (unsigned)sl_hash_fold(bytes, 0x9e3779b97f4a7c15u) & (CACHED - 1);
}

/* Was the place filled? It is now: whoever asks puts something there. */
static bool take_place(uint64_t *filled, unsigned at)
{
    uint64_t before = *filled;
    *filled |= (uint64_t)1 << at;
    return before >> at & 1;
}

sl_system sl_labeller_system(struct sl_labeller *labeller, struct sl_slice system)
{
    uint64_t tail;
    if (system.len < sizeof tail)
        return sl_terminology_system(labeller->earning->terminology, system);
    memcpy(&tail, system.ptr + system.len - sizeof tail, sizeof tail); /* systems differ at their ends */
    unsigned at = place_of(tail ^ system.len);
    struct system_cached *cached = &labeller->caches->systems[at];
    if (!take_place(&labeller->systems_cached, at) || !sl_slice_eq(cached->text, system)) {
        cached->number = sl_terminology_system(labeller->earning->terminology, system);
        cached->text = system;
    }
    return cached->number;
}

/* "…/_history/3" names the resource whose version it is. */
static struct sl_slice without_version(struct sl_slice text)
{
    const char *slash = text.len ? memrchr(text.ptr, '/', text.len) : NULL;
    struct sl_slice history = SL_LIT("/_history");
    size_t at = slash ? (size_t)(slash - text.ptr) : 0;
    if (at < history.len || memcmp(slash - history.len, history.ptr, history.len) != 0)
        return text;
    return (struct sl_slice){text.ptr, at - history.len};
}

/* Splits "…/Type/id" at its tail; false if it has none. base: what is in front of it, without the slash. */
static bool split_tail(struct sl_labeller *labeller, struct sl_slice text, struct sl_slice *base, struct target *out)
{
    const char *slash = text.len ? memrchr(text.ptr, '/', text.len) : NULL;
    if (!slash)
        return false;
    size_t at = (size_t)(slash - text.ptr);
    const char *before = memrchr(text.ptr, '/', at);
    size_t begin = before ? (size_t)(before + 1 - text.ptr) : 0;
    *out = (struct target){.type = sl_labeller_type(labeller, (struct sl_slice){text.ptr + begin, at - begin}),
        .name = sl_slice_from(text, at + 1),
        .text = sl_slice_from(text, begin)};
    *base = (struct sl_slice){text.ptr, begin ? begin - 1 : 0};
    return out->type && sl_id_valid(out->name);
}

static struct target read_target(struct sl_labeller *labeller, struct sl_slice reference, struct sl_slice base)
{
    struct target none = {0}, whole = {.name = reference, .text = reference}, out;
    struct sl_slice found;
    if (reference.len == 0)
        return none;
    if (reference.ptr[0] == '#')
        return (struct target){.name = sl_slice_from(reference, 1), .text = reference, .scoped = true};
    if (sl_slice_starts(reference, SL_LIT("urn:")))
        return whole;
    if (memchr(reference.ptr, '?', reference.len))
        return none; /* conditional: whoever it may be, it names no record */
    bool absolute = sl_slice_find(reference, SL_LIT("://"), 0) != NULL;
    if (!split_tail(labeller, without_version(reference), &found, &out))
        return absolute ? whole : none;
    if (!absolute)
        return found.len == 0 && out.text.ptr == reference.ptr ? out : none;
    /* Another server's record of that name is not ours: its origin could make a program's record ordinary. Those that
     * the table calls ours are. */
    bool ours = (base.len && sl_slice_eq(found, base)) || sl_programs_is_ours(labeller->programs, found);
    return ours ? out : whole;
}

struct target sl_target_read(struct sl_labeller *labeller, struct sl_slice reference, struct sl_slice base)
{
    return read_target(labeller, reference, base);
}

struct target sl_target_read_kept(struct sl_labeller *labeller, struct sl_slice reference, struct sl_slice base)
{
    uint64_t tail;
    if (reference.len < sizeof tail)
        return read_target(labeller, reference, base);
    memcpy(&tail, reference.ptr + reference.len - sizeof tail, sizeof tail); /* references differ at their ends */
    unsigned at = place_of(tail ^ reference.len);
    struct target_cached *cached = &labeller->caches->targets[at];
    if (!take_place(&labeller->targets_cached, at) || !sl_slice_eq(cached->text, reference) ||
        !sl_slice_eq(cached->base, base)) {
        cached->target = read_target(labeller, reference, base);
        cached->text = reference;
        cached->base = base;
    }
    return cached->target;
}

/* ---- The index ---- */

static uint64_t hash_name(const struct sl_labeller *labeller, uint64_t kind, struct sl_slice name)
{
    return sl_hash(name, labeller->seed ^ kind * 0x9e3779b97f4a7c15u);
}

static bool has_name(const struct labelled *item, sl_r4_node type, struct sl_slice name)
{
    if (item->scoped)
        return false;
    if (type)
        return item->item.type == type && sl_slice_eq(item->item.id, name);
    return sl_slice_eq(item->item.full_url, name);
}

uint64_t sl_labeller_hash(const struct sl_labeller *labeller, sl_r4_node type, struct sl_slice name)
{
    return hash_name(labeller, type, name);
}

struct labelled *sl_labeller_lookup(const struct sl_labeller *labeller, sl_r4_node type, struct sl_slice name)
{
    uint64_t hash = hash_name(labeller, type, name);
    for (size_t i = hash & labeller->index_mask; labeller->index[i].item; i = (i + 1) & labeller->index_mask)
        if (labeller->index[i].hash == hash && has_name(labeller->index[i].item, type, name))
            return labeller->index[i].item;
    return NULL;
}

static uint64_t hash_contained(const struct sl_labeller *labeller, const struct sl_item *container, struct sl_slice id)
{
    return hash_name(labeller, CONTAINED_KIND, id) ^ (uint64_t)(uintptr_t)container * 0xd6e8feb86659fd93u;
}

struct labelled *sl_labeller_contained(
    const struct sl_labeller *labeller, const struct sl_item *container, struct sl_slice id)
{
    uint64_t hash = hash_contained(labeller, container, id);
    for (size_t i = hash & labeller->index_mask; labeller->index[i].item; i = (i + 1) & labeller->index_mask) {
        struct labelled *item = labeller->index[i].item;
        if (labeller->index[i].hash == hash && item->scoped && item->item.container == container &&
            sl_slice_eq(item->item.id, id))
            return item;
    }
    return NULL;
}

static void put_slot(struct slot *index, size_t mask, struct slot slot)
{
    size_t i = slot.hash & mask;
    while (index[i].item)
        i = (i + 1) & mask;
    index[i] = slot;
}

static bool make_room(struct sl_labeller *labeller)
{
    if ((labeller->index_count + 2) * 2 <= labeller->index_mask)
        return true;
    size_t mask = labeller->index_mask * 2 + 1;
    struct slot *index = sl_arena_array(labeller->arena, mask + 1, sizeof *index);
    if (!index)
        return false;
    for (size_t i = 0; i <= labeller->index_mask; i++)
        if (labeller->index[i].item)
            put_slot(index, mask, labeller->index[i]);
    labeller->index = index;
    labeller->index_mask = mask;
    return true;
}

static void put_item(struct sl_labeller *labeller, uint64_t hash, struct labelled *item)
{
    put_slot(labeller->index, labeller->index_mask, (struct slot){hash, item});
    labeller->index_count++;
}

/* Items of one name hang on the first of them: what refers to the name refers to all. */
static void enter_name(struct sl_labeller *labeller, struct labelled *item, sl_r4_node type, struct sl_slice name)
{
    struct labelled *first = sl_labeller_lookup(labeller, type, name);
    if (!first) {
        put_item(labeller, hash_name(labeller, type, name), item);
    } else if (type) {
        item->same_id = first->same_id;
        first->same_id = item;
    } else {
        item->same_url = first->same_url;
        first->same_url = item;
    }
}

bool sl_labeller_enter(struct sl_labeller *labeller, struct labelled *item)
{
    if (!make_room(labeller))
        return false;
    labeller->entered |= sl_labeller_kind(item->item.type) | sl_labeller_kind(0);
    if (item->scoped) {
        if (item->item.id.len && !sl_labeller_contained(labeller, item->item.container, item->item.id))
            put_item(labeller, hash_contained(labeller, item->item.container, item->item.id), item);
        return true;
    }
    if (item->item.is_version)
        return true;
    if (item->item.id.len && item->item.type)
        enter_name(labeller, item, item->item.type, item->item.id);
    if (item->item.full_url.len)
        enter_name(labeller, item, 0, item->item.full_url);
    return true;
}

static void append(struct sl_labeller *labeller, struct labelled *item, const struct sl_doc *doc, uint32_t root)
{
    item->item.doc = doc;
    item->item.span = root;
    item->item.number = labeller->count;
    labeller->resolved = false;
    if (labeller->last)
        labeller->last->item.next = &item->item;
    else
        labeller->first = item;
    labeller->last = item;
    labeller->count++;
}

struct labelled *sl_labeller_append(struct sl_labeller *labeller, const struct sl_doc *doc, uint32_t root)
{
    struct labelled *item = sl_arena_alloc(labeller->arena, sizeof *item);
    if (item)
        append(labeller, item, doc, root);
    return item;
}

struct sl_item *sl_labeller_items(const struct sl_labeller *labeller)
{
    return labeller->first ? &labeller->first->item : NULL;
}

uint32_t sl_labeller_count(const struct sl_labeller *labeller)
{
    return labeller->count;
}

/* There is a person's name, and perhaps the record too. */
static struct labelled *find_record(const struct sl_labeller *labeller, sl_r4_node type, struct sl_slice id)
{
    struct labelled *found = sl_labeller_lookup(labeller, type, id);
    while (found && found->named_only)
        found = found->same_id;
    return found;
}

struct sl_item *sl_labeller_find_record(const struct sl_labeller *labeller, sl_r4_node type, struct sl_slice id)
{
    struct labelled *found = type && id.len ? find_record(labeller, type, id) : NULL;
    return found ? &found->item : NULL;
}

struct sl_item *sl_labeller_find(const struct sl_labeller *labeller, struct sl_slice reference)
{
    struct sl_slice patient = SL_LIT("Patient/"); /* what is asked for most */
    const char *slash = reference.len ? memchr(reference.ptr, '/', reference.len) : NULL;
    struct labelled *found = NULL;
    if (!reference.len)
        return NULL;
    if (sl_slice_starts(reference, patient)) {
        found = find_record(labeller, SL_R4_Patient, sl_slice_from(reference, patient.len));
    } else if (slash && !memchr(reference.ptr, ':', reference.len)) {
        size_t at = (size_t)(slash - reference.ptr);
        sl_r4_node type = sl_r4_resource((struct sl_slice){reference.ptr, at});
        found = type ? find_record(labeller, type, sl_slice_from(reference, at + 1)) : NULL;
    }
    if (!found)
        found = sl_labeller_lookup(labeller, 0, reference);
    return found ? &found->item : NULL;
}

/* ---- What is not here ---- */

static struct absent *absent_slot(
    struct absent *table, size_t mask, uint64_t hash, sl_r4_node type, struct sl_slice name)
{
    size_t i = hash & mask;
    while (table[i].used && !(table[i].type == type && sl_slice_eq(table[i].name, name)))
        i = (i + 1) & mask;
    return &table[i];
}

const struct absent *sl_labeller_is_absent(const struct sl_labeller *labeller, sl_r4_node type, struct sl_slice name)
{
    if (!labeller->absent_count)
        return NULL;
    const struct absent *slot =
        absent_slot(labeller->absent, labeller->absent_mask, hash_name(labeller, type, name), type, name);
    return slot->used ? slot : NULL;
}

static bool grow_absent(struct sl_labeller *labeller)
{
    if (labeller->absent && labeller->absent_count * 2 <= labeller->absent_mask)
        return true;
    size_t mask = labeller->absent ? labeller->absent_mask * 2 + 1 : ABSENT_START - 1;
    struct absent *table = sl_arena_array(labeller->arena, mask + 1, sizeof *table);
    if (!table)
        return false;
    for (size_t i = 0; labeller->absent && i <= labeller->absent_mask; i++) {
        const struct absent *old = &labeller->absent[i];
        if (old->used)
            *absent_slot(table, mask, hash_name(labeller, old->type, old->name), old->type, old->name) = *old;
    }
    labeller->absent = table;
    labeller->absent_mask = mask;
    return true;
}

static enum sl_status note_absent(struct sl_labeller *labeller, struct sl_slice reference, bool asked, bool untold)
{
    struct target target = sl_target_read(labeller, reference, (struct sl_slice){NULL, 0});
    if (!target.name.len || target.scoped)
        return SL_INVALID;
    if (!grow_absent(labeller))
        return SL_NO_MEMORY;
    uint64_t hash = hash_name(labeller, target.type, target.name);
    struct absent *slot = absent_slot(labeller->absent, labeller->absent_mask, hash, target.type, target.name);
    if (!slot->used) {
        *slot = (struct absent){target.type, sl_arena_copy(labeller->arena, target.name), true, asked, untold};
        labeller->absent_count++;
    }
    slot->asked = asked;
    slot->untold = untold;
    labeller->resolved = false;
    return slot->name.ptr ? SL_OK : SL_NO_MEMORY;
}

enum sl_status sl_labeller_absent(struct sl_labeller *labeller, struct sl_slice reference, bool asked)
{
    return note_absent(labeller, reference, asked, false);
}

enum sl_status sl_labeller_untold(struct sl_labeller *labeller, struct sl_slice reference)
{
    return note_absent(labeller, reference, true, true);
}

/* ---- Birth, and adding ---- */

void sl_reason_push(struct sl_arena *arena, const struct sl_reason **list, const struct sl_classes *classes,
    enum sl_why why, uint32_t span, struct sl_slice detail)
{
    struct sl_reason *reason = sl_arena_raw(arena, 1, sizeof *reason);
    if (!reason)
        return;
    *reason = (struct sl_reason){.classes = *classes, .why = why, .span = span, .detail = detail, .next = *list};
    *list = reason;
}

/* Labels compare by number of their system, so that a label's OID form is the label. */
static bool number_security(struct sl_labeller *labeller)
{
    const struct sl_earning *e = labeller->earning;
    labeller->security_systems = sl_arena_array(labeller->arena, e->security_count, sizeof *labeller->security_systems);
    if (!labeller->security_systems)
        return false;
    for (size_t i = 0; i < e->security_count; i++) {
        bool same = i && sl_slice_eq(e->security[i].system, e->security[i - 1].system); /* they stand in groups */
        labeller->security_systems[i] =
            same ? labeller->security_systems[i - 1] : sl_terminology_system(e->terminology, e->security[i].system);
    }
    labeller->system_value =
        sl_terminology_system(e->terminology, SL_LIT("http://terminology.hl7.org/CodeSystem/v3-ObservationValue"));
    labeller->system_act =
        sl_terminology_system(e->terminology, SL_LIT("http://terminology.hl7.org/CodeSystem/v3-ActCode"));
    labeller->system_level =
        sl_terminology_system(e->terminology, SL_LIT("http://terminology.hl7.org/CodeSystem/v3-Confidentiality"));
    return true;
}

struct sl_labeller *sl_labeller_new_earning(
    struct sl_arena *arena, const struct sl_earning *earning, const struct sl_programs *programs)
{
    struct sl_labeller *labeller = sl_arena_alloc(arena, sizeof *labeller);
    if (!labeller)
        return NULL;
    labeller->arena = arena;
    labeller->earning = earning;
    labeller->programs = programs;
    labeller->seed = sl_hash_fold(earning->seed ^ (uint64_t)(uintptr_t)labeller, 0xd6e8feb86659fd93u);
    labeller->index_mask = INDEX_START - 1;
    labeller->index = sl_arena_array(arena, INDEX_START, sizeof *labeller->index);
    labeller->caches = sl_arena_raw(arena, 1, sizeof *labeller->caches);
    labeller->type_reasons = sl_arena_array(arena, SL_R4_LAST_RESOURCE + 1, sizeof(struct sl_reason *));
    return labeller->index && labeller->caches && labeller->type_reasons && number_security(labeller) ? labeller : NULL;
}

void sl_labeller_registered(struct sl_labeller *labeller, const struct sl_registered *registered)
{
    labeller->registered = registered;
}

enum sl_status sl_labeller_add(struct sl_labeller *labeller, const struct sl_doc *doc, uint32_t root,
    struct sl_slice full_url, bool context, struct sl_item **out)
{
    *out = NULL;
    struct labelled *item = sl_labeller_append(labeller, doc, root);
    if (!item)
        return SL_NO_MEMORY;
    item->item.full_url = full_url;
    item->item.context = context;
    SL_TRY(sl_label_walk(labeller, item));
    *out = &item->item;
    return SL_OK;
}

enum sl_status sl_labeller_add_row(struct sl_labeller *labeller, const struct sl_doc *doc, uint32_t root,
    const struct sl_kept_row *row, bool context, struct sl_item **out)
{
    bool known = false;
    struct labelled *item = row && labeller->kept ? sl_label_recall(labeller, row, doc, root, &known) : NULL;
    if (!item) {
        SL_TRY(sl_labeller_add(labeller, doc, root, (struct sl_slice){NULL, 0}, context, out));
        if (row && labeller->kept && !known)
            sl_label_keep(labeller, row, (const struct labelled *)*out);
        return SL_OK;
    }
    append(labeller, item, doc, root);
    item->item.context = context;
    if (item->item.id.len)
        item->mark = sl_registered_find(labeller->registered, item->item.type, item->item.id);
    *out = &item->item;
    return sl_labeller_enter(labeller, item) ? SL_OK : SL_NO_MEMORY;
}

void sl_labeller_kept(struct sl_labeller *labeller, struct sl_kept *kept, uint64_t under)
{
    labeller->kept = kept;
    labeller->kept_under = under;
}

enum sl_status sl_labeller_add_version(
    struct sl_labeller *labeller, const struct sl_doc *doc, uint32_t root, struct sl_item **out)
{
    *out = NULL;
    struct labelled *item = sl_labeller_append(labeller, doc, root);
    if (!item)
        return SL_NO_MEMORY;
    item->item.is_version = true;
    SL_TRY(sl_label_walk(labeller, item));
    *out = &item->item;
    return SL_OK;
}
