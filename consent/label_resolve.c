/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Phase 2 of labelling: what references bring. Worked out anew, from what phase 1 found, each time something was added,
 * so that no order of adding matters.
 *
 *   1. link: each reference finds its item, or is lacked;
 *   2. sources: which directory entries lead to a program, then which records a program made (origin references);
 *   3. classes: by origin, then along defining references;
 *   4. parts: elements with evidence of their own, and mentions.
 *
 * "Leads to" is over any number of steps and through any cycle: what an edge passes on only ever grows, and it is
 * passed on until nothing changes.
 */
#include <stdlib.h>

#include "sluice/fault.h"

#include "ccda.h"
#include "hash.h"

#define PASSES 8u
#define LATELY 32u /* names remembered; a power of two */
#define LISTED 64u /* slots for what is missing, to begin with; the same */

struct edge {
    struct labelled *from, *to;
    bool notes; /* classes of notes kept apart alone pass */
};

struct edges {
    struct edge *list;
    size_t count;
};

struct piece { /* of evidence for a part, from either phase */
    uint32_t part, span;
    struct sl_classes classes;
    enum sl_why why;
    struct sl_slice detail;
    const struct sl_item *lender; /* of a mention: whose classes they are */
    const struct sl_security_rule *label;
    size_t order; /* of finding: the last resort of sorting */
};

/* What a name led to a moment ago: neighbours mostly refer to the same. */
struct recalled {
    sl_r4_node type; /* 0: nothing is remembered */
    struct sl_slice target;
    struct labelled *item;       /* by the index when it had so many names; NULL: none was so called */
    size_t names;                /* and one; 0: it was not looked up */
    struct sl_standing standing; /* by the table's names alone */
    bool stands;                 /* it was looked up */
};

struct resolving {
    struct sl_labeller *labeller;
    struct sl_arena *arena;
    const struct sl_earning *earning;
    struct edges lead, made, defined; /* directory to directory; record to record or its container; defining */
    struct sl_slice *missing;
    size_t missing_count, missing_limit;
    struct absent *listed; /* what stands in missing, by name */
    size_t listed_mask;
    struct piece *pieces;
    size_t piece_count, piece_limit;
    const struct evidence **labels; /* of one record, by their rule */
    struct recalled lately[LATELY];
    struct sl_standing spoken; /* what a reference itself says, looked up last */
};

static struct labelled *of(struct sl_item *item)
{
    return (struct labelled *)item; /* the item is its first member */
}

static bool is_directory(sl_r4_node type)
{
    return sl_r4_facts(type) & SL_R4_DIRECTORY;
}

static bool is_person(sl_r4_node type)
{
    return type == SL_R4_Patient || type == SL_R4_Practitioner || type == SL_R4_RelatedPerson || type == SL_R4_Person;
}

/* The id of a reference that names "Type/id". */
static struct sl_slice id_of(const struct sl_reference *r)
{
    return sl_slice_from(r->target, sl_r4_node_name(r->type).len + 1);
}

/* The next item of the same name: see struct labelled. */
static struct labelled *next_same(const struct sl_reference *r, const struct labelled *item)
{
    return r->type ? item->same_id : r->target.len && r->target.ptr[0] == '#' ? NULL : item->same_url;
}

/* Where that name is remembered, or will be. Of a reference that names "Type/id". */
static struct recalled *recalled_of(struct resolving *re, const struct sl_reference *r)
{
    size_t some = r->target.len < 8 ? r->target.len : 8; /* names differ at their ends */
    uint64_t tail = sl_hash_tail(r->target, r->target.ptr + r->target.len - some, some);
    struct recalled *recalled = &re->lately[sl_hash_fold(tail ^ r->target.len, 0x9e3779b97f4a7c15u) & (LATELY - 1)];
    if (recalled->type != r->type || !sl_slice_eq(recalled->target, r->target))
        *recalled = (struct recalled){.type = r->type, .target = r->target};
    return recalled;
}

/* As sl_label_standing, until the next is asked for. Where an identifier may say more, it is the reference that speaks,
 * not the name alone. */
static const struct sl_standing *standing_of(
    struct resolving *re, const struct labelled *from, const struct sl_reference *r)
{
    if (!r->type || !r->target.len || sl_programs_has_identifiers(re->labeller->programs)) {
        re->spoken = sl_label_standing(re->labeller, from, r);
        return &re->spoken;
    }
    struct recalled *recalled = recalled_of(re, r);
    if (!recalled->stands) {
        recalled->standing = sl_label_standing(re->labeller, from, r);
        recalled->stands = true;
    }
    return &recalled->standing;
}

/* ---- 1. Link ---- */

static struct labelled *find_named(struct resolving *re, const struct sl_reference *r)
{
    struct recalled *recalled = recalled_of(re, r);
    size_t names = re->labeller->index_count + 1;
    if (recalled->names != names) {
        recalled->item = sl_labeller_lookup(re->labeller, r->type, id_of(r));
        recalled->names = names;
    }
    return recalled->item;
}

static struct labelled *find(struct resolving *re, const struct labelled *from, const struct sl_reference *r)
{
    const struct sl_labeller *labeller = re->labeller;
    if (r->type)
        return find_named(re, r);
    if (!r->target.len)
        return NULL;
    if (r->target.ptr[0] != '#')
        return sl_labeller_lookup(labeller, 0, r->target);
    const struct sl_item *scope = from->scoped ? from->item.container : &from->item;
    if (r->target.len == 1)
        return (struct labelled *)(uintptr_t)scope; /* "#": the container */
    return sl_labeller_contained(labeller, scope, sl_slice_from(r->target, 1));
}

/* Of a practitioner the table may speak by an identifier, which the record alone tells; of other persons it never does.
 */
static bool may_tell(const struct sl_labeller *labeller, sl_r4_node type)
{
    return sl_programs_type(type) || (type == SL_R4_Practitioner && sl_programs_has_persons(labeller->programs));
}

/* Is it said by somebody else's record that this person is known here, and is that for a program to say? */
static bool is_whose_presence(
    const struct resolving *re, const struct labelled *from, const struct sl_reference *r, sl_r4_node target)
{
    return r->patient && target == SL_R4_Patient && sl_label_is_presence(from->item.type) &&
           !sl_classes_empty(&re->earning->presence);
}

static bool is_among(const struct sl_item *item, struct sl_slice person)
{
    for (; item; item = item->container)
        for (uint32_t i = 0; i < item->patient_count; i++)
            if (sl_slice_eq(item->patients[i], person))
                return true;
    return false;
}

/* A relative is somebody's, and his record alone says whose: it may be another patient than the record's. */
static bool is_somebodys(const struct labelled *from, const struct sl_reference *r)
{
    return r->type == SL_R4_RelatedPerson && r->kind != SL_REF_SUBJECT && !from->item.context &&
           !sl_fault(SL_FAULT_RELATIVE_UNASKED);
}

/* Does it name a patient beside those the record is about? Whether that one is known here, his own record alone tells.
 */
static bool is_beside(const struct resolving *re, const struct labelled *from, const struct sl_reference *r)
{
    return r->type == SL_R4_Patient && r->kind != SL_REF_SUBJECT && !from->item.context &&
           !sl_classes_empty(&re->earning->presence) && !is_among(&from->item, r->target);
}

/* Is the target known, as far as this reference needs it? Of a person whom a record names, the name may be enough. */
static bool is_here(const struct resolving *re, const struct labelled *from, const struct sl_reference *r)
{
    return r->item && !(of(r->item)->named_only && (is_whose_presence(re, from, r, r->type) || is_beside(re, from, r) ||
                                                       sl_label_facts_need(re->labeller, &from->item, r)));
}

/* Must the target be here before the item is labelled? */
static bool is_needed(struct resolving *re, const struct labelled *from, const struct sl_reference *r)
{
    if (!r->type)
        return false;
    if (sl_label_facts_need(re->labeller, &from->item, r))
        return true;
    if (is_person(r->type) || is_directory(r->type)) {
        if (is_whose_presence(re, from, r, r->type) || is_beside(re, from, r) || is_somebodys(from, r))
            return true;
        const struct sl_standing *standing = may_tell(re->labeller, r->type) ? standing_of(re, from, r) : NULL;
        if (!standing || (standing->named && !sl_during_is(standing->open)))
            return false; /* a person tells nothing; and of what the table names the record tells no more */
    }
    if (r->kind == SL_REF_ORIGIN || r->kind == SL_REF_DEFINING || r->note == SL_NOTE_SAME || r->pays)
        return true;
    return r->kind == SL_REF_MENTION && !from->item.context && !is_directory(from->item.type);
}

/* Where that name stands among what is missing, or would. */
static struct absent *listed_slot(const struct resolving *re, sl_r4_node type, struct sl_slice id)
{
    size_t i = (size_t)sl_labeller_hash(re->labeller, type, id) & re->listed_mask;
    while (re->listed[i].used && !(re->listed[i].type == type && sl_slice_eq(re->listed[i].name, id)))
        i = (i + 1) & re->listed_mask;
    return &re->listed[i];
}

/* Mostly many records lack the same few. */
static bool grow_missing(struct resolving *re)
{
    if (re->missing_count * 2 < re->listed_mask)
        return true;
    struct absent *old = re->listed;
    struct sl_slice *missing = re->missing;
    size_t slots = old ? (re->listed_mask + 1) * 2 : LISTED, before = old ? re->listed_mask + 1 : 0;
    re->listed = sl_arena_array(re->arena, slots, sizeof *re->listed);
    re->missing = sl_arena_raw(re->arena, slots / 2, sizeof *re->missing);
    if (!re->listed || !re->missing)
        return false;
    re->listed_mask = slots - 1;
    for (size_t i = 0; i < before; i++)
        if (old[i].used)
            *listed_slot(re, old[i].type, old[i].name) = old[i];
    if (re->missing_count)
        memcpy(re->missing, missing, re->missing_count * sizeof *missing);
    return true;
}

static bool list_missing(struct resolving *re, const struct sl_reference *r)
{
    struct sl_slice id = id_of(r);
    if (!grow_missing(re))
        return false;
    struct absent *slot = listed_slot(re, r->type, id);
    if (slot->used)
        return true;
    *slot = (struct absent){.type = r->type, .name = id, .used = true};
    re->missing[re->missing_count++] = r->target;
    return true;
}

static void link_reference(struct resolving *re, const struct labelled *from, struct sl_reference *r)
{
    struct labelled *found = find(re, from, r);
    if (!found)
        return;
    r->item = &found->item;
    r->kind = sl_reference_kind(r->kind, r->patient, found->item.type);
    /* One answer of several does not say what the panel is: it goes alone, and the total stays (instruments.c). */
    if (r->kind == SL_REF_DEFINING && sl_classes_meet(&found->base_classes, sl_instrument_answers(re->labeller)))
        r->kind = SL_REF_MENTION;
}

/* A URL or URN among the patients may turn out to be a group, a device, a practitioner. */
static void drop_others(const struct sl_labeller *labeller, struct sl_item *item)
{
    uint32_t kept = 0, named = 0, first_named = item->patient_count - item->named_count;
    for (uint32_t i = 0; i < item->patient_count; i++) {
        const struct labelled *known = sl_labeller_lookup(labeller, 0, item->patients[i]);
        if (known && known->item.type != SL_R4_Patient)
            continue;
        item->patients[kept++] = item->patients[i];
        named += i >= first_named;
    }
    item->patient_count = kept;
    item->named_count = named;
}

/* A person whom a record names beside the one it is about: what may be shown of that is what may be shown of the
 * Patient, of which nothing is known here but the name. */
static struct labelled *stand_in(struct sl_labeller *labeller, const struct sl_reference *r)
{
    struct labelled *item = sl_labeller_append(labeller, NULL, 0);
    struct sl_slice *patients = sl_arena_alloc(labeller->arena, sizeof *patients);
    if (!item || !patients)
        return NULL;
    *patients = r->target;
    item->item.type = SL_R4_Patient;
    item->item.id = id_of(r);
    item->item.context = true;
    item->item.patients = patients;
    item->item.patient_count = 1;
    item->named_only = item->known = true;
    item->base_classes = item->item.classes = labeller->earning->by_type[SL_R4_Patient];
    return sl_labeller_enter(labeller, item) ? item : NULL;
}

/* The record itself, where it has come since; else the name of a person, once. */
static void link_person(struct sl_labeller *labeller, struct sl_reference *r)
{
    struct labelled *item = r->item ? of(r->item) : NULL;
    if (item && !item->named_only)
        return;
    if (!item && r->type == SL_R4_Patient && r->kind != SL_REF_SUBJECT)
        item = stand_in(labeller, r);
    for (struct labelled *same = item; same; same = same->same_id)
        if (!same->named_only) {
            item = same;
            break;
        }
    r->item = item ? &item->item : NULL;
}

/* What led nowhere the last time leads somewhere now only if a name of its kind has come since. */
static bool may_be_found(
    const struct sl_labeller *labeller, uint64_t entered, const struct labelled *from, const struct sl_reference *r)
{
    uint64_t since = entered | labeller->entered; /* before this pass, and within it */
    return !r->item && (from->item.number >= labeller->linked || since & sl_labeller_kind(r->type));
}

/* True: something may be lacked. */
static bool link_items(struct resolving *re)
{
    bool lacked = false;
    uint64_t entered = re->labeller->entered;
    re->labeller->entered = 0;
    for (struct labelled *from = re->labeller->first; from; from = of(from->item.next)) {
        bool urls = false;
        for (uint32_t i = 0; i < from->item.reference_count; i++) {
            struct sl_reference *r = &from->item.references[i];
            if (may_be_found(re->labeller, entered, from, r))
                link_reference(re, from, r);
            if (r->type == SL_R4_Patient)
                link_person(re->labeller, r);
            urls |= r->patient && r->item && r->item->type != SL_R4_Patient;
            lacked = lacked || (!is_here(re, from, r) && is_needed(re, from, r));
        }
        if (urls)
            drop_others(re->labeller, &from->item);
    }
    re->labeller->linked = re->labeller->count;
    return lacked;
}

static enum sl_status judge_lacked(struct resolving *re)
{
    for (struct labelled *from = re->labeller->first; from; from = of(from->item.next))
        for (uint32_t i = 0; i < from->item.reference_count; i++) {
            struct sl_reference *r = &from->item.references[i];
            if (is_here(re, from, r) || !is_needed(re, from, r))
                continue;
            const struct absent *absent = sl_labeller_is_absent(re->labeller, r->type, id_of(r));
            if (!absent && !list_missing(re, r))
                return SL_NO_MEMORY;
            r->untold = absent && absent->untold;
            if (!absent || !absent->asked)
                from->item.unlabelled = absent ? "reference-not-asked" : "reference-pending";
        }
    return SL_OK;
}

/* An item from the label book is what the book says; nothing more can be followed. */
static void recall(struct labelled *item)
{
    item->reach = item->known_reach;
    item->mixed = item->known_mixed;
    item->item.program = item->known_program;
    item->item.named_program = item->known_named_program;
    item->item.custodian = item->known_custodian;
}

static void reset_items(struct resolving *re)
{
    for (struct labelled *item = re->labeller->first; item; item = of(item->item.next)) {
        item->item.classes = item->base_classes;
        item->item.reasons = item->base_reasons;
        item->item.unlabelled = item->base_unlabelled;
        item->item.source = SL_SOURCE_UNKNOWN;
        item->item.holding = SL_HOLDS_AS_PROGRAM;
        item->item.program = item->item.named_program = item->item.custodian = (struct sl_slice){NULL, 0};
        item->item.parts = NULL;
        item->item.part_count = 0;
        item->item.held = item->mark ? sl_registered_held(item->mark, NULL, re->arena) : NULL;
        item->candidate = item->base_candidate;
        item->reach = (struct sl_reach){0};
        item->open = SL_ALWAYS;
        item->mixed = false;
        item->declared = false;
        if (item->known)
            recall(item);
        if (item->mark)
            sl_label_declare(re->labeller, item);
    }
}

/* ---- 2. Sources ---- */

/* By what it is a program, and the entry of the table that says so: the first that is found. */
static void name_program(struct labelled *item, struct sl_slice program, struct sl_slice named)
{
    if (item->declared)
        return;
    if (!item->item.program.len) {
        item->item.program = program;
        item->item.named_program = named;
    } else if (!sl_slice_eq(item->item.named_program, named)) {
        item->mixed = true;
    }
}

static struct sl_slice own_name(const struct resolving *re, const struct labelled *item)
{
    struct sl_slice type = sl_r4_node_name(item->item.type);
    if (!item->item.id.len)
        return item->item.full_url;
    return sl_arena_printf(re->arena, "%.*s/%.*s", SL_FMT(type), SL_FMT(item->item.id));
}

/* The name that consents use: the table's, unless that is an id alone; then `own`, where there is one. */
static struct sl_slice name_in_table(struct sl_slice program, struct sl_slice own)
{
    bool whole = program.len && (memchr(program.ptr, '/', program.len) || memchr(program.ptr, ':', program.len));
    return whole || !own.len ? program : own;
}

static void add_edges(struct edges *edges, struct labelled *from, const struct sl_reference *r)
{
    for (struct labelled *to = of(r->item); to; to = next_same(r, to))
        if (to != from)
            edges->list[edges->count++] = (struct edge){from, to, false};
}

/* What the table says of a directory entry by its own names, for the time of which it speaks. */
static void take_standing(struct labelled *item, const struct sl_standing *standing, struct sl_slice own)
{
    struct sl_reach *reach = &item->reach;
    bool program = sl_during_join(&reach->program, standing->reach.program);
    program |= sl_during_join(&reach->received, standing->reach.received);
    sl_during_join_near(&reach->none, standing->reach.none);
    reach->unknown |= standing->reach.unknown;
    if (program)
        name_program(item, own.len ? own : standing->program, name_in_table(standing->program, own));
}

/* One origin reference of a directory entry: what it is part of, where the table does not speak of it itself. */
static void follow_lead(struct resolving *re, struct labelled *from, const struct sl_reference *r)
{
    struct sl_standing standing = *standing_of(re, from, r);
    if (!standing.named && !r->item)
        standing = sl_label_display(re->labeller, from, r);
    if (standing.named) {
        standing.reach.program = sl_during_both(standing.reach.program, from->open);
        standing.reach.received = sl_during_both(standing.reach.received, from->open);
        standing.reach.none = (struct sl_during){0, 0}; /* that the whole is none says nothing of this part */
        take_standing(from, &standing, r->target);
    }
    if (r->item && sl_during_is(standing.open))
        add_edges(&re->lead, from, r);
    else if (!r->item && !standing.named &&
             !is_person(r->type)) /* who fills a role tells nothing, unless the table says so */
        from->reach.unknown = true;
    if (r->type == SL_R4_Organization && !from->item.custodian.len)
        from->item.custodian = r->target;
}

static void start_directory(struct resolving *re, struct labelled *item)
{
    if (item->known)
        return;
    if (item->item.type == SL_R4_Organization)
        item->item.custodian = own_name(re, item);
    struct sl_standing standing = sl_label_standing_own(re->labeller, item);
    take_standing(item, &standing, item->scoped ? (struct sl_slice){NULL, 0} : own_name(re, item));
    item->open = standing.open;
    for (uint32_t i = 0; i < item->item.reference_count && sl_during_is(item->open); i++)
        if (item->item.references[i].kind == SL_REF_ORIGIN)
            follow_lead(re, item, &item->item.references[i]);
}

static bool pass_custodian(const struct edge *e)
{
    if (!e->to->item.custodian.len || e->from->item.custodian.len)
        return false;
    e->from->item.custodian = e->to->item.custodian;
    return true;
}

static bool pass_lead(const struct resolving *re, const struct edge *e)
{
    const struct sl_reach *to = &e->to->reach;
    struct sl_reach *from = &e->from->reach;
    (void)re;
    if (e->from->declared)
        return pass_custodian(e);
    bool program = sl_during_join(&from->program, sl_during_both(to->program, e->from->open));
    program |= sl_during_join(&from->received, sl_during_both(to->received, e->from->open));
    if (program)
        name_program(e->from, e->to->item.program, e->to->item.named_program);
    bool changed = pass_custodian(e) || program || (to->unknown && !from->unknown) || (e->to->mixed && !e->from->mixed);
    from->unknown |= to->unknown;
    e->from->mixed |= e->to->mixed;
    return changed;
}

/* An edge passes what its target has to where it comes from. True: that is news there. */
typedef bool passing(const struct resolving *re, const struct edge *edge);

/* Edges by their targets: those to item n are order[start[n] .. start[n + 1]). NULL if memory ran out. */
static uint32_t *order_edges(const struct resolving *re, const struct edges *edges, uint32_t *start)
{
    uint32_t *order = sl_arena_raw(re->arena, edges->count, sizeof *order);
    if (!order)
        return NULL;
    for (size_t i = 0; i < edges->count; i++)
        start[edges->list[i].to->item.number + 2]++;
    for (uint32_t n = 2; n < re->labeller->count + 2; n++)
        start[n] += start[n - 1];
    for (size_t i = 0; i < edges->count; i++)
        order[start[edges->list[i].to->item.number + 1]++] = (uint32_t)i;
    return order;
}

/* From each item that something came to, on to those that refer to it. */
static void follow_on(const struct resolving *re, const struct edges *edges, passing *pass)
{
    uint32_t count = re->labeller->count, head = 0, waiting = 0;
    uint32_t *start = sl_arena_array(re->arena, (size_t)count + 2, sizeof *start);
    uint32_t *order = start ? order_edges(re, edges, start) : NULL;
    struct labelled **queue = sl_arena_raw(re->arena, count, sizeof(struct labelled *));
    bool *queued = sl_arena_array(re->arena, count, sizeof *queued);
    if (!order || !queue || !queued)
        return; /* the arena has failed, and with it the whole */
    for (struct labelled *item = re->labeller->first; item; item = of(item->item.next)) {
        queue[waiting++] = item;
        queued[item->item.number] = true;
    }
    while (waiting) { /* a ring: nothing waits in it twice */
        uint32_t to = queue[head]->item.number;
        head = head + 1 == count ? 0 : head + 1;
        waiting--;
        queued[to] = false;
        for (uint32_t i = start[to]; i < start[to + 1]; i++) {
            struct labelled *from = edges->list[order[i]].from;
            if (!pass(re, &edges->list[order[i]]) || queued[from->item.number])
                continue;
            uint64_t at = (uint64_t)head + waiting++;
            queue[at < count ? at : at - count] = from;
            queued[from->item.number] = true;
        }
    }
}

/* Until nothing changes. Real records are settled by a few passes over the edges, to and fro; long chains are followed.
 */
static void settle(const struct resolving *re, const struct edges *edges, passing *pass)
{
    bool changed = edges->count > 0;
    for (unsigned round = 0; changed && round < PASSES; round++) {
        changed = false;
        for (size_t i = 0; i < edges->count; i++)
            changed |= pass(re, &edges->list[round % 2 ? i : edges->count - 1 - i]);
    }
    if (changed)
        follow_on(re, edges, pass);
}

/* A person or a device tells nothing of the program; what leads nowhere in a closed table is none. */
static void finish_directory(struct resolving *re, struct labelled *item)
{
    struct sl_reach *reach = &item->reach;
    if (!item->known && sl_programs_type(item->item.type) && !reach->unknown &&
        sl_programs_closed(re->labeller->programs))
        reach->none = SL_ALWAYS;
    bool program = sl_during_is(reach->program), received = sl_during_is(reach->received);
    item->item.source = program || received                        ? SL_SOURCE_PROGRAM
                        : sl_during_within(SL_ALWAYS, reach->none) ? SL_SOURCE_NOT
                                                                   : SL_SOURCE_UNKNOWN;
    item->item.holding = received && !program ? SL_HOLDS_UNDER_TPO : SL_HOLDS_AS_PROGRAM;
}

/* A way by which a record comes from a source: what is known of that, and when the record was there. */
struct way {
    const struct sl_reach *reach;
    struct sl_during stay; /* never: all the time */
    struct sl_slice program, named;
};

/* A time at a program joins the others; a visit that was there all of its time was there whenever anybody asks. */
static void join_stay(struct sl_reach *to, struct sl_during stay, bool first)
{
    if (first || !sl_during_is(stay))
        to->stay = stay;
    else if (sl_during_is(to->stay))
        (void)sl_during_join(&to->stay, stay);
}

/* Does the time meet the record's? Its own is read only where that matters. */
static bool meets_time(const struct resolving *re, struct labelled *item, struct sl_during during)
{
    if (!sl_during_is(during) || sl_during_within(SL_ALWAYS, during))
        return sl_during_is(during);
    sl_label_time(re->labeller, item);
    return sl_during_meets(during, item->days);
}

static bool within_time(const struct resolving *re, struct labelled *item, struct sl_during during)
{
    if (!sl_during_is(during) || sl_during_within(SL_ALWAYS, during))
        return sl_during_is(during);
    sl_label_time(re->labeller, item);
    return sl_during_within(item->days, during);
}

static bool was_there(const struct resolving *re, struct labelled *item, struct sl_during stay)
{
    if (!sl_during_is(stay))
        return true;
    sl_label_time(re->labeller, item);
    return sl_during_meets(stay, item->exact);
}

static bool is_from_program(const struct sl_reach *reach)
{
    return sl_during_is(reach->program) || sl_during_is(reach->received);
}

/* The record comes from a program by this way. What is known of that goes on to what hangs on it. True: it is news. */
static bool come_from(struct labelled *item, const struct way *way, bool program, bool received)
{
    struct sl_reach *reach = &item->reach;
    struct sl_during stay = reach->stay;
    bool first = !is_from_program(reach), better = program && !sl_during_is(reach->program);
    bool changed = program && sl_during_join(&reach->program, way->reach->program);
    changed |= received && sl_during_join(&reach->received, way->reach->received);
    join_stay(reach, way->stay, first);
    if (first || better) {
        item->item.program = way->program;
        item->item.named_program = way->named;
    }
    return changed || stay.begin != reach->stay.begin || stay.end != reach->stay.end;
}

/* Does the record come from a program by this way, or from what is none, in its time? True: it is news. */
static bool take_way(const struct resolving *re, struct labelled *item, const struct way *way)
{
    if (item->declared)
        return false;
    bool changed = false, there = is_from_program(way->reach) && was_there(re, item, way->stay);
    bool program = there && meets_time(re, item, way->reach->program);
    bool received = there && meets_time(re, item, way->reach->received);
    if (program || received)
        changed = come_from(item, way, program, received);
    if (!sl_during_is(item->reach.none) && within_time(re, item, way->reach->none)) {
        item->reach.none = SL_ALWAYS;
        changed = true;
    }
    return changed;
}

/* An origin reference to a directory entry. */
static void follow_entry(
    struct resolving *re, struct labelled *from, const struct sl_reference *r, struct sl_during stay)
{
    for (struct labelled *to = of(r->item); to; to = next_same(r, to)) {
        struct way way = {&to->reach, stay, r->target, to->mixed ? (struct sl_slice){NULL, 0} : to->item.named_program};
        (void)take_way(re, from, &way);
        (void)pass_custodian(&(struct edge){from, to, false});
    }
}

static bool tells_source(const struct sl_reach *reach)
{
    return is_from_program(reach) || sl_during_is(reach->none);
}

/* One origin reference of a record. Where neither table nor record tells what it is, its words may. */
static void follow_origin(struct resolving *re, struct labelled *from, const struct sl_reference *r)
{
    if (r->type == SL_R4_Organization && !from->item.custodian.len)
        from->item.custodian = r->target;
    bool entry = r->item && is_directory(r->item->type);
    struct sl_during stay = sl_label_stay(re->labeller, from, r);
    struct sl_standing standing = *standing_of(re, from, r);
    if (!standing.named && (!r->item || (entry && !tells_source(&of(r->item)->reach))))
        standing = sl_label_display(re->labeller, from, r);
    if (standing.named) {
        struct way way = {&standing.reach, stay, r->target.len ? r->target : standing.program,
            name_in_table(standing.program, r->target)};
        (void)take_way(re, from, &way);
    }
    if (entry)
        follow_entry(re, from, r, stay);
    else if (r->item &&
             !is_person(r->item->type)) /* whose word it is tells nothing of where that person is a patient */
        add_edges(&re->made, from, r);
}

/* Who made the documents within made the record. */
static void follow_documents(const struct resolving *re, struct labelled *from)
{
    for (uint32_t i = 0; i < from->item.content_count; i++) {
        const struct sl_item *program = NULL;
        const struct sl_ccda *ccda = from->item.contents[i].ccda;
        enum sl_source source = ccda ? sl_ccda_source(ccda, &program) : SL_SOURCE_UNKNOWN;
        struct sl_slice name = program ? program->program : (struct sl_slice){NULL, 0};
        struct sl_reach reach = {0};
        if (source == SL_SOURCE_PROGRAM)
            reach.program = SL_ALWAYS;
        else if (source == SL_SOURCE_NOT)
            reach.none = SL_ALWAYS;
        (void)take_way(re, from, &(struct way){&reach, {0, 0}, name, name});
    }
}

static void start_record(struct resolving *re, struct labelled *item)
{
    if (item->known)
        return;
    struct sl_standing standing = sl_label_standing_uri(re->labeller, item->item.source_uri);
    struct way way = {
        &standing.reach, {0, 0}, item->item.source_uri, name_in_table(standing.program, item->item.source_uri)};
    if (standing.named)
        (void)take_way(re, item, &way);
    for (uint32_t i = 0; i < item->item.reference_count; i++) {
        const struct sl_reference *r = &item->item.references[i];
        if (r->kind == SL_REF_ORIGIN)
            follow_origin(re, item, r);
        else if (r->item && is_whose_presence(re, item, r, r->item->type))
            add_edges(&re->made, item, r); /* who registered the patient knows of his coverage */
    }
    follow_documents(re, item);
    if (item->item.container && !is_directory(item->item.container->type)) /* who made the container made this */
        re->made.list[re->made.count++] = (struct edge){item, of(item->item.container), false};
}

static bool pass_made(const struct resolving *re, const struct edge *e)
{
    struct sl_reach reach = e->to->reach;
    struct way way = {&reach, reach.stay, e->to->item.program, e->to->item.named_program};
    if (&e->to->item == e->from->item.container) {
        way.stay = (struct sl_during){0, 0};
        if (sl_during_is(reach.program))
            reach.program = SL_ALWAYS;
        if (sl_during_is(reach.received))
            reach.received = SL_ALWAYS;
    }
    bool custodian = pass_custodian(e);
    return take_way(re, e->from, &way) || custodian;
}

static void finish_record(struct labelled *item)
{
    const struct sl_reach *reach = &item->reach;
    bool program = sl_during_is(reach->program), received = sl_during_is(reach->received);
    item->item.source = program || received         ? SL_SOURCE_PROGRAM
                        : sl_during_is(reach->none) ? SL_SOURCE_NOT
                                                    : SL_SOURCE_UNKNOWN;
    item->item.holding = received && !program ? SL_HOLDS_UNDER_TPO : SL_HOLDS_AS_PROGRAM;
}

static void find_sources(struct resolving *re)
{
    struct labelled *first = re->labeller->first;
    for (struct labelled *item = first; item; item = of(item->item.next))
        if (is_directory(item->item.type))
            start_directory(re, item);
    settle(re, &re->lead, pass_lead);
    for (struct labelled *item = first; item; item = of(item->item.next))
        if (is_directory(item->item.type))
            finish_directory(re, item);
    for (struct labelled *item = first; item; item = of(item->item.next))
        if (!is_directory(item->item.type))
            start_record(re, item);
    settle(re, &re->made, pass_made);
    for (struct labelled *item = first; item; item = of(item->item.next))
        if (!is_directory(item->item.type))
            finish_record(item);
}

/* ---- 3. Classes ---- */

/* Medication, Substance and their like say what, not who: whoever points at them has a source, they have none. */
static bool earns_by_candidate(const struct resolving *re, const struct labelled *item)
{
    return item->candidate && item->item.source == SL_SOURCE_UNKNOWN &&
           !sl_classes_meet(&item->item.classes, &re->earning->received) &&
           !(sl_r4_facts(item->item.type) & (SL_R4_BY_ROUTE | SL_R4_DIRECTORY));
}

static const struct sl_classes *or_program(const struct sl_earning *e, const struct sl_classes *classes)
{
    return sl_classes_empty(classes) ? &e->program : classes;
}

static bool carries(
    const struct resolving *re, const struct labelled *item, const struct sl_coding *labels, size_t count, bool all)
{
    for (size_t i = 0; i < count; i++)
        if (sl_label_carries(re->labeller, item, &labels[i]) != all)
            return !all;
    return all;
}

/* A label that forbids to pass it on: whoever sent it did so on a consent for something in particular. */
static bool must_stay(const struct resolving *re, const struct labelled *item)
{
    return item->labels && carries(re, item, re->earning->received_except, re->earning->received_except_count, false);
}

/* What a program's record earns, by as what it is held. That somebody is known here is a class of its own. */
static const struct sl_classes *program_classes(const struct resolving *re, const struct labelled *item)
{
    const struct sl_earning *e = re->earning;
    if (sl_label_is_presence(item->item.type))
        return or_program(e, &e->presence);
    bool received = item->item.holding == SL_HOLDS_UNDER_TPO && !must_stay(re, item);
    return received ? or_program(e, &e->received) : &e->program;
}

static bool is_labelled_program(const struct resolving *re, const struct labelled *item)
{
    for (const struct evidence *label = item->labels; label; label = label->next)
        if (sl_classes_meet(&label->classes, &re->earning->program))
            return true;
    return false;
}

/* A record that is labelled a program's, whose source is no program of ours, came to us under a TPO consent if it
 * carries what is put on records that are sent on one. */
static bool is_received(const struct resolving *re, const struct labelled *item)
{
    const struct sl_earning *e = re->earning;
    return item->labels && e->received_label_count && !sl_classes_empty(&e->received) &&
           item->item.source != SL_SOURCE_PROGRAM && is_labelled_program(re, item) && !must_stay(re, item) &&
           carries(re, item, e->received_labels, e->received_label_count, true);
}

/* In the place of what its label would earn: a label says nothing new of what goes out under it. */
static void earn_received(struct resolving *re, struct labelled *item)
{
    struct sl_classes classes = sl_label_but_not(item, &re->earning->received);
    if (sl_classes_empty(&classes))
        return;
    sl_classes_join(&item->item.classes, &classes);
    sl_reason_push(re->arena, &item->item.reasons, &classes, SL_WHY_RECEIVED, 0, item->item.program);
}

static void earn_by_source(struct resolving *re, struct labelled *item)
{
    const struct sl_earning *e = re->earning;
    if (item->known)
        return; /* its classes hold these already */
    if (is_received(re, item)) {
        earn_received(re, item);
        return;
    }
    bool program = item->item.source == SL_SOURCE_PROGRAM && !is_directory(item->item.type);
    struct sl_classes classes = sl_label_but_not(item, program ? program_classes(re, item) : &e->unknown_candidate);
    if ((!program && !earns_by_candidate(re, item)) || sl_classes_empty(&classes))
        return;
    sl_classes_join(&item->item.classes, &classes);
    enum sl_why why = !program                                   ? SL_WHY_UNKNOWN_ORIGIN
                      : sl_label_is_presence(item->item.type)    ? SL_WHY_PRESENCE
                      : item->item.holding == SL_HOLDS_UNDER_TPO ? SL_WHY_RECEIVED
                                                                 : SL_WHY_ORIGIN;
    sl_reason_push(re->arena, &item->item.reasons, &classes, why, 0, item->item.program);
}

/* A link to content that is not there: what was behind it, nobody has read. One that names no record is cut. */
static void add_unread(struct resolving *re, struct labelled *from, const struct sl_reference *r)
{
    struct sl_classes unread = sl_label_but_not(from, &re->earning->unread);
    if (!r->type || sl_classes_empty(&unread))
        return;
    sl_classes_join(&from->item.classes, &unread);
    sl_reason_push(re->arena, &from->item.reasons, &unread, SL_WHY_UNREAD, r->span, r->target);
}

/* A defining reference that names no record here: nobody knows what the item is. */
static void follow_defining(struct resolving *re, struct labelled *from, const struct sl_reference *r)
{
    if (r->item) {
        add_edges(&re->defined, from, r);
        return;
    }
    const struct absent *absent = r->type ? sl_labeller_is_absent(re->labeller, r->type, id_of(r)) : NULL;
    if (r->type && (!absent || !absent->asked))
        return; /* unlabelled already: see judge_lacked */
    if (r->content) {
        add_unread(re, from, r);
        return;
    }
    struct sl_classes unclassified = sl_label_but_not(from, &re->earning->unclassified);
    sl_classes_join(&from->item.classes, &unclassified);
    sl_reason_push(re->arena, &from->item.reasons, &unclassified, SL_WHY_UNCLASSIFIED, r->span, r->target);
}

/* That a person is known here is decided of the person, by all that goes of him: what leads to his record goes with it
 * (segment.c), and is no more secret than it. */
static struct sl_classes without_presence(const struct resolving *re, const struct sl_item *item)
{
    struct sl_classes rest = item->classes;
    for (unsigned i = 0; i < SL_CLASS_WORDS && sl_label_is_presence(item->type); i++)
        rest.word[i] &= ~re->earning->presence.word[i];
    return rest;
}

/* What the target has that the item would have by it. */
static struct sl_classes lends(const struct resolving *re, const struct edge *e)
{
    struct sl_classes has = without_presence(re, &e->to->item), lent = sl_label_but_not(e->from, &has);
    for (unsigned i = 0; i < SL_CLASS_WORDS; i++) {
        lent.word[i] &= ~re->earning->unread_unknown.word[i]; /* a doubt about the target's source */
        lent.word[i] &= e->notes ? re->earning->notes.word[i] : ~(uint64_t)0;
    }
    return lent;
}

static bool pass_defined(const struct resolving *re, const struct edge *e)
{
    bool changed = false;
    struct sl_classes lent = lends(re, e);
    if (!sl_classes_within(&lent, &e->from->item.classes)) {
        sl_classes_join(&e->from->item.classes, &lent);
        changed = true;
    }
    if (e->notes)
        return changed;
    if (e->to->candidate && !e->from->candidate)
        changed = e->from->candidate = true;
    if (e->to->item.unlabelled && !e->from->item.unlabelled) {
        e->from->item.unlabelled = "reference-unlabelled";
        changed = true;
    }
    return changed;
}

/* What says the same as a note kept apart, or is filed with such notes, is one. */
static void follow_link(struct resolving *re, struct labelled *item, const struct sl_reference *r)
{
    for (struct labelled *to = of(r->item); to; to = next_same(r, to)) {
        struct edge edge = r->note == SL_NOTE_SAME ? (struct edge){item, to, true} : (struct edge){to, item, true};
        if (to != item && sl_note_capable(re->earning, to->item.type))
            re->defined.list[re->defined.count++] = edge;
    }
}

/* The targets' classes as reasons: what the item would not have without them. */
static void give_reasons(struct resolving *re)
{
    for (size_t i = 0; i < re->defined.count; i++) {
        const struct edge *e = &re->defined.list[i];
        const struct sl_reason *own = e->from->item.reasons;
        struct sl_classes had = {{0}}, lent = lends(re, e);
        for (; own; own = own->next)
            sl_classes_join(&had, &own->classes);
        if (!sl_classes_within(&lent, &had))
            sl_reason_push(re->arena, &e->from->item.reasons, &lent, SL_WHY_REFERENCE, 0, own_name(re, e->to));
    }
}

/* A candidate code that came by a defining reference makes Part 2 of a record whose source is unknown; and that class
 * goes along defining references in turn. */
static bool earn_late(struct resolving *re)
{
    bool changed = false;
    for (struct labelled *item = re->labeller->first; item; item = of(item->item.next)) {
        if (item->candidate == item->base_candidate || !earns_by_candidate(re, item) ||
            sl_classes_within(&re->earning->unknown_candidate, &item->item.classes))
            continue;
        earn_by_source(re, item);
        changed = true;
    }
    return changed;
}

static bool is_visit(const struct sl_item *item)
{
    return item->type == SL_R4_Encounter || item->type == SL_R4_EpisodeOfCare;
}

/* What the visit has of the classes that pass through visits, and the record has not. */
static struct sl_classes visit_lends(const struct resolving *re, const struct edge *e)
{
    struct sl_classes lent = {{0}};
    if (!is_visit(&e->to->item))
        return lent;
    for (unsigned i = 0; i < SL_CLASS_WORDS; i++)
        lent.word[i] = e->to->item.classes.word[i] & re->earning->by_visit.word[i] & ~e->from->item.classes.word[i];
    return sl_label_but_not(e->from, &lent);
}

static bool pass_visit(const struct resolving *re, const struct edge *e)
{
    struct sl_classes lent = visit_lends(re, e);
    if (sl_classes_empty(&lent))
        return false;
    sl_classes_join(&e->from->item.classes, &lent);
    sl_reason_push(re->arena, &e->from->item.reasons, &lent, SL_WHY_VISIT, 0, own_name(re, e->to));
    return true;
}

/* An entry of the register that names a visit is about all that hangs on it. */
static bool pass_held(const struct resolving *re, const struct edge *e)
{
    const struct sl_held *before = e->from->item.held;
    for (const struct sl_held *held = is_visit(&e->to->item) ? e->to->item.held : NULL; held; held = held->next)
        e->from->item.held = sl_held_with(held->entry, e->from->item.held, re->arena);
    return e->from->item.held != before;
}

static void follow_held(struct resolving *re)
{
    bool any = false;
    for (struct labelled *item = re->labeller->first; item && !any; item = of(item->item.next))
        any = item->item.held;
    if (any)
        settle(re, &re->made, pass_held);
}

/* Flags of a visit are of all that hangs on it; its diagnoses are its own. */
static void follow_visits(struct resolving *re)
{
    if (!sl_classes_empty(&re->earning->by_visit))
        settle(re, &re->made, pass_visit);
}

/* ---- Labels that came with records ---- */

/* Does the level that meta gives say of the whole no more than its inline labels do of their elements? It is then the
 * highest of these (DS4P: high-water mark). */
static bool is_high_water(const struct labelled *item)
{
    return item->inlined && sl_level_rank(item->inline_level) >= sl_level_rank(item->level);
}

/* The labels of a record by their place in the policy's list, each once. */
static const struct evidence **order_labels(struct resolving *re, const struct labelled *item)
{
    size_t count = re->earning->security_count;
    if (!re->labels)
        re->labels = sl_arena_raw(re->arena, count, sizeof *re->labels);
    for (size_t i = 0; re->labels && i < count; i++)
        re->labels[i] = NULL;
    for (const struct evidence *e = item->labels; e && re->labels; e = e->next)
        if (!e->level || !is_high_water(item))
            re->labels[e->label - re->earning->security] = e;
    return re->labels;
}

/*
 * What the labels of the whole earn. A label that goes out with a class which the record has for another reason, or by
 * a label that the policy names before, says nothing new: what goes out as self-pay and as restricted by the patient
 * comes back as self-pay. True: something was earned.
 */
static bool earn_by_labels(struct resolving *re, struct labelled *item)
{
    const struct evidence **labels = order_labels(re, item);
    bool earned = false;
    for (size_t i = 0; labels && i < re->earning->security_count; i++) {
        const struct evidence *e = labels[i];
        if (!e || sl_classes_meet(&item->item.classes, &e->label->bearers))
            continue;
        struct sl_classes classes = sl_label_but_not(item, &e->classes);
        if (sl_classes_empty(&classes))
            continue;
        earned |= !sl_classes_within(&classes, &item->item.classes);
        sl_classes_join(&item->item.classes, &classes);
        sl_reason_push(re->arena, &item->item.reasons, &classes, SL_WHY_SECURITY, e->span, e->detail);
    }
    return earned;
}

/* After all other reasons, those that references bring among them. */
static bool judge_labels(struct resolving *re)
{
    bool earned = false;
    for (struct labelled *item = re->labeller->first; item; item = of(item->item.next)) {
        item->item.level = is_high_water(item) ? 0 : item->level;
        if (item->labels)
            earned |= earn_by_labels(re, item);
    }
    return earned;
}

/* What nobody can read, of a source nobody knows, may be a program's. Of what is reached by route alone, the record
 * that points there has the source. */
static bool may_hide_program(const struct resolving *re, const struct labelled *item, const struct sl_classes *classes)
{
    return !item->known && item->item.source == SL_SOURCE_UNKNOWN &&
           !(sl_r4_facts(item->item.type) & (SL_R4_BY_ROUTE | SL_R4_DIRECTORY)) &&
           sl_classes_meet(classes, &re->earning->unread);
}

static void doubt_unread(struct resolving *re)
{
    if (sl_classes_empty(&re->earning->unread_unknown))
        return;
    for (struct labelled *item = re->labeller->first; item; item = of(item->item.next)) {
        struct sl_classes doubt = sl_label_but_not(item, &re->earning->unread_unknown);
        if (!may_hide_program(re, item, &item->item.classes) || sl_classes_empty(&doubt))
            continue;
        sl_classes_join(&item->item.classes, &doubt);
        sl_reason_push(re->arena, &item->item.reasons, &doubt, SL_WHY_UNKNOWN_ORIGIN, 0, SL_LIT("unread"));
    }
}

/* What the patient alone pays for. */
static void earn_by_purse(struct resolving *re, struct labelled *item)
{
    const struct sl_reference *by;
    struct sl_classes classes = sl_purse_lends(item, &by);
    if (sl_classes_empty(&classes))
        return;
    sl_classes_join(&item->item.classes, &classes);
    sl_reason_push(re->arena, &item->item.reasons, &classes, SL_WHY_REFERENCE, by->span, by->target);
}

/* What AI wrote and nobody has signed. */
static void earn_draft(struct resolving *re, struct labelled *item)
{
    enum sl_draft draft = item->known ? SL_DRAFT_NONE : sl_draft_judge(re->labeller, item);
    if (draft != SL_DRAFT_LABELLED && draft != SL_DRAFT_SAID)
        return;
    struct sl_classes classes = sl_label_but_not(item, &re->earning->draft);
    if (sl_classes_empty(&classes))
        return;
    sl_classes_join(&item->item.classes, &classes);
    sl_reason_push(re->arena, &item->item.reasons, &classes, SL_WHY_DRAFT, item->ai,
        draft == SL_DRAFT_SAID ? SL_LIT("Provenance") : SL_LIT("AIAST"));
}

static void find_classes(struct resolving *re)
{
    for (struct labelled *item = re->labeller->first; item; item = of(item->item.next)) {
        earn_by_source(re, item);
        if (item->paid)
            earn_by_purse(re, item);
        earn_draft(re, item);
    }
    follow_visits(re);
    follow_held(re);
    for (struct labelled *item = re->labeller->first; item; item = of(item->item.next)) {
        for (uint32_t i = 0; i < item->item.reference_count; i++)
            if (item->item.references[i].kind == SL_REF_DEFINING)
                follow_defining(re, item, &item->item.references[i]);
            else if (item->item.references[i].note != SL_NOTE_NONE)
                follow_link(re, item, &item->item.references[i]);
    }
    settle(re, &re->defined, pass_defined);
    if (earn_late(re))
        settle(re, &re->defined, pass_defined);
    if (judge_labels(re)) {
        follow_visits(re);
        settle(re, &re->defined, pass_defined);
    }
    give_reasons(re);
    doubt_unread(re);
    for (struct labelled *item = re->labeller->first; item; item = of(item->item.next))
        if (item->mark)
            sl_label_explain(re->labeller, item);
}

/* ---- 4. Parts ---- */

static void add_piece(struct resolving *re, struct piece piece)
{
    if (re->piece_count == re->piece_limit) {
        size_t limit = re->piece_limit ? re->piece_limit * 2 : 64;
        struct piece *pieces = sl_arena_raw(re->arena, limit, sizeof *pieces);
        if (!pieces)
            return;
        if (re->piece_count)
            memcpy(pieces, re->pieces, re->piece_count * sizeof *pieces);
        re->pieces = pieces;
        re->piece_limit = limit;
    }
    piece.order = re->piece_count;
    re->pieces[re->piece_count++] = piece;
}

static void add_evidence(struct resolving *re, const struct labelled *item)
{
    struct sl_classes unknown = sl_label_but_not(item, &re->earning->unknown_candidate);
    for (const struct evidence *e = item->evidence; e; e = e->next) {
        struct sl_classes classes = sl_label_but_not(item, &e->classes);
        bool lifted = e->why == SL_WHY_DRAFT && sl_draft_judge(re->labeller, item) == SL_DRAFT_SIGNED;
        if (!sl_classes_empty(&classes) && !lifted)
            add_piece(re, (struct piece){e->part, e->span, classes, e->why, e->detail, NULL, e->label, 0});
        if (e->candidate && item->item.source == SL_SOURCE_UNKNOWN && !is_directory(item->item.type) &&
            !sl_classes_meet(&item->item.classes, &re->earning->received) && !sl_classes_empty(&unknown))
            add_piece(re, (struct piece){e->part, e->span, unknown, SL_WHY_UNKNOWN_ORIGIN, e->detail, NULL, NULL, 0});
    }
}

/* Stands in for a program that the table names and that is not here: what consents look at. */
static const struct sl_item *named_program(struct resolving *re, struct labelled *from, sl_r4_node type,
    struct sl_slice target, const struct sl_standing *standing)
{
    struct sl_item *item = sl_arena_alloc(re->arena, sizeof *item);
    bool program = meets_time(re, from, standing->reach.program);
    struct sl_slice named = name_in_table(standing->program, target);
    if (item)
        *item = (struct sl_item){.type = type,
            .source = SL_SOURCE_PROGRAM,
            .holding = program ? SL_HOLDS_AS_PROGRAM : SL_HOLDS_UNDER_TPO,
            .program = target.len ? target : named,
            .named_program = named,
            .custodian = named};
    return item;
}

static bool same_program(const struct sl_item *lender, const struct sl_item *item)
{
    return !lender || !lender->program.len || sl_slice_eq(lender->program, item->program) ||
           (lender->named_program.len && sl_slice_eq(lender->named_program, item->named_program));
}

/* The same classes of another program are not the item's own: consents tell disclosers apart. */
static void add_lent(struct resolving *re, const struct labelled *item, uint32_t element, uint32_t span,
    struct sl_slice detail, const struct sl_item *lender, const struct sl_classes *classes)
{
    bool own = sl_classes_within(classes, &item->item.classes) && same_program(lender, &item->item);
    if (!own && !sl_classes_empty(classes))
        add_piece(re, (struct piece){element, span, *classes, SL_WHY_REFERENCE, detail, lender, NULL, 0});
}

static void add_own(struct resolving *re, const struct labelled *item, const struct sl_reference *r,
    const struct sl_classes *classes, enum sl_why why)
{
    struct sl_classes own = sl_label_but_not(item, classes);
    if (!sl_classes_empty(&own))
        add_piece(re, (struct piece){r->element, r->span, own, why, r->target, NULL, NULL, 0});
}

/* What stands behind a link is content of the element that has the link: its classes are the item's own, and a
 * candidate code in it is one of the item. */
static void add_linked(struct resolving *re, const struct labelled *item, const struct sl_reference *r)
{
    const struct absent *absent = r->type && !r->item ? sl_labeller_is_absent(re->labeller, r->type, id_of(r)) : NULL;
    if (absent && absent->asked)
        add_own(re, item, r, &re->earning->unread, SL_WHY_UNREAD);
    for (const struct labelled *to = of(r->item); to; to = next_same(r, to)) {
        if (is_directory(to->item.type))
            continue;
        add_own(re, item, r, &to->item.classes, SL_WHY_REFERENCE);
        if (to->candidate && item->item.source == SL_SOURCE_UNKNOWN &&
            !sl_classes_meet(&item->item.classes, &re->earning->received))
            add_own(re, item, r, &re->earning->unknown_candidate, SL_WHY_UNKNOWN_ORIGIN);
    }
}

/* Is it a program at the time of the record that mentions it? */
static bool is_program_then(const struct resolving *re, const struct sl_reach *reach, struct labelled *item)
{
    return meets_time(re, item, reach->program) || meets_time(re, item, reach->received);
}

/* What the element that names this program earns. */
static const struct sl_classes *mention_classes(
    const struct resolving *re, const struct sl_reach *reach, struct labelled *item)
{
    bool received = !meets_time(re, item, reach->program);
    return received ? or_program(re->earning, &re->earning->received) : &re->earning->program;
}

static void lend_standing(
    struct resolving *re, struct labelled *item, const struct sl_reference *r, const struct sl_standing *standing)
{
    const struct sl_item *lender = named_program(re, item, r->type, r->target, standing);
    struct sl_slice detail = r->target.len ? r->target : standing->program;
    add_lent(re, item, r->element, r->span, detail, lender, mention_classes(re, &standing->reach, item));
}

/* A mention gives its element what its target is, where the item is not that already. Of a directory, only whether it
 * is a program; and whoever is not known by a record may be known by what the reference says besides. */
static void add_mention(struct resolving *re, struct labelled *item, const struct sl_reference *r)
{
    if (r->content) {
        add_linked(re, item, r);
        return;
    }
    struct sl_standing standing = *standing_of(re, item, r);
    if (!is_program_then(re, &standing.reach, item))
        standing = sl_label_display(re->labeller, item, r);
    bool said = is_program_then(re, &standing.reach, item), program = false;
    for (struct labelled *to = of(r->item); to; to = next_same(r, to)) {
        bool entry = is_directory(to->item.type);
        if (entry && is_program_then(re, &to->reach, item)) {
            add_lent(re, item, r->element, r->span, r->target, &to->item, mention_classes(re, &to->reach, item));
            program = true;
        } else if (!entry) {
            struct sl_classes lent = without_presence(re, &to->item);
            add_lent(re, item, r->element, r->span, r->target, &to->item, &lent);
        }
    }
    if (said && !program)
        lend_standing(re, item, r, &standing);
}

/* Of what says who is known here, what names the program is an element of its own: it stays behind where the rest may
 * go. */
static void add_registrar(struct resolving *re, struct labelled *item)
{
    const struct sl_doc *doc = item->item.doc;
    struct sl_standing standing = sl_label_standing_uri(re->labeller, item->item.source_uri);
    uint32_t meta = sl_span_member(doc, item->item.span, SL_NAME_meta);
    uint32_t source = meta && doc->spans[meta].type == SL_SPAN_OBJECT ? sl_span_member(doc, meta, SL_NAME_source) : 0;
    if (source && is_program_then(re, &standing.reach, item))
        add_lent(re, item, source, source, item->item.source_uri,
            named_program(re, item, 0, item->item.source_uri, &standing), mention_classes(re, &standing.reach, item));
}

/* Where an origin does not classify the whole, or says less than its words do, it is a mention. */
static bool is_mentioned(const struct resolving *re, const struct labelled *item, const struct sl_reference *r)
{
    if (r->kind == SL_REF_MENTION)
        return true;
    if (r->kind != SL_REF_ORIGIN || (r->item && !is_directory(r->item->type)))
        return false;
    bool presence = sl_label_is_presence(item->item.type) && !sl_classes_empty(&re->earning->presence);
    return presence || (sl_programs_has_words(re->labeller->programs) && item->item.source != SL_SOURCE_PROGRAM);
}

static int order_pieces(const void *a, const void *b)
{
    const struct piece *x = a, *y = b;
    if (x->part != y->part)
        return x->part < y->part ? -1 : 1;
    if (x->span != y->span)
        return x->span < y->span ? -1 : 1;
    if (x->why != y->why)
        return (int)x->why - (int)y->why;
    return x->order < y->order ? -1 : x->order > y->order;
}

/*
 * The inline labels of one element, the pieces [begin, end). What the element is for another reason says nothing new,
 * as of the whole. The rest, on an element that mentions a record, is about that record: its lender's consents speak.
 */
static void judge_inline(struct resolving *re, const struct sl_item *item, size_t begin, size_t end)
{
    struct sl_classes had = item->classes;
    const struct sl_item *lender = NULL;
    bool labels = false;
    for (size_t i = begin; i < end; i++) {
        labels |= re->pieces[i].label != NULL;
        if (!re->pieces[i].label)
            sl_classes_join(&had, &re->pieces[i].classes);
        if (!lender)
            lender = re->pieces[i].lender;
    }
    for (size_t i = begin; i < end && labels; i++) {
        struct piece *p = &re->pieces[i];
        if (p->label && sl_classes_meet(&had, &p->label->bearers))
            p->classes = (struct sl_classes){{0}};
        else if (p->label)
            p->lender = lender;
    }
}

/* Sorted, and without what earns nothing. */
static void settle_pieces(struct resolving *re, const struct sl_item *item)
{
    qsort(re->pieces, re->piece_count, sizeof *re->pieces, order_pieces);
    size_t kept = 0;
    for (size_t begin = 0, end; begin < re->piece_count; begin = end) {
        for (end = begin + 1; end < re->piece_count && re->pieces[end].part == re->pieces[begin].part;)
            end++;
        judge_inline(re, item, begin, end);
    }
    for (size_t i = 0; i < re->piece_count; i++)
        if (!sl_classes_empty(&re->pieces[i].classes))
            re->pieces[kept++] = re->pieces[i];
    re->piece_count = kept;
}

/* The same doubt about what is unread in a part, of its own or lent by what it leads to. */
static void doubt_pieces(struct resolving *re, const struct labelled *item)
{
    struct sl_classes doubt = sl_label_but_not(item, &re->earning->unread_unknown);
    for (size_t i = 0, count = re->piece_count; i < count && !sl_classes_empty(&doubt); i++) {
        struct piece p = re->pieces[i];
        if (may_hide_program(re, item, &p.classes))
            add_piece(
                re, (struct piece){p.part, p.span, doubt, SL_WHY_UNKNOWN_ORIGIN, SL_LIT("unread"), NULL, NULL, 0});
    }
}

static void make_parts(struct resolving *re, struct sl_item *item)
{
    if (!re->piece_count)
        return;
    settle_pieces(re, item);
    item->parts = sl_arena_array(re->arena, re->piece_count, sizeof *item->parts);
    if (!item->parts)
        return;
    for (size_t i = 0; i < re->piece_count; i++) {
        const struct piece *p = &re->pieces[i];
        struct sl_part *part = item->part_count ? &item->parts[item->part_count - 1] : NULL;
        if (!part || part->span != p->part || part->lender != p->lender) {
            part = &item->parts[item->part_count++];
            *part = (struct sl_part){.span = p->part, .lender = p->lender};
        }
        sl_classes_join(&part->classes, &p->classes);
        sl_reason_push(re->arena, &part->reasons, &p->classes, p->why, p->span, p->detail);
    }
}

/* A record that is labelled Part 2 and does not come from a program: what it mentions explains the label, if all of it
 * is one program's. Then that program's consents speak for it. Otherwise no program is known, and none does. */
static void explain_label(const struct resolving *re, struct sl_item *item)
{
    struct sl_slice program = {NULL, 0}, named = {NULL, 0};
    if (item->program.len || !sl_classes_meet(&item->classes, &re->earning->program))
        return;
    for (uint32_t i = 0; i < item->part_count; i++) {
        const struct sl_item *lender = item->parts[i].lender;
        if (!lender || !lender->program.len)
            continue;
        if (program.len && !sl_slice_eq(program, lender->program))
            return;
        program = lender->program;
        named = lender->named_program;
    }
    item->program = program;
    item->named_program = named;
}

static void find_parts(struct resolving *re)
{
    for (struct labelled *item = re->labeller->first; item; item = of(item->item.next)) {
        if (item->item.context || is_directory(item->item.type))
            continue;
        re->piece_count = 0;
        add_evidence(re, item);
        for (uint32_t i = 0; i < item->item.reference_count; i++)
            if (is_mentioned(re, item, &item->item.references[i]))
                add_mention(re, item, &item->item.references[i]);
        if (sl_label_is_presence(item->item.type) && item->item.source_uri.len)
            add_registrar(re, item);
        doubt_pieces(re, item);
        make_parts(re, &item->item);
        if (sl_ccda_settle(re->labeller, &item->item) != SL_OK)
            return; /* the arena has failed, and with it the whole */
        explain_label(re, &item->item);
    }
}

/* ---- All of it ---- */

/* Each reference gives as many edges as there are items of its name, each container one. */
static enum sl_status make_edges(struct resolving *re)
{
    size_t lead = 0, made = 0, defined = 0;
    for (struct labelled *item = re->labeller->first; item; item = of(item->item.next)) {
        made++;
        for (uint32_t i = 0; i < item->item.reference_count; i++) {
            const struct sl_reference *r = &item->item.references[i];
            bool whose = r->kind == SL_REF_ORIGIN || (r->item && is_whose_presence(re, item, r, r->item->type));
            bool what = r->kind == SL_REF_DEFINING || r->note != SL_NOTE_NONE;
            size_t count = 0;
            for (const struct labelled *to = whose || what ? of(r->item) : NULL; to; to = next_same(r, to))
                count++;
            *(is_directory(item->item.type) ? &lead : &made) += whose ? count : 0;
            defined += what ? count : 0;
        }
    }
    re->lead.list = sl_arena_raw(re->arena, lead, sizeof *re->lead.list);
    re->made.list = sl_arena_raw(re->arena, made, sizeof *re->made.list);
    re->defined.list = sl_arena_raw(re->arena, defined, sizeof *re->defined.list);
    return re->lead.list && re->made.list && re->defined.list ? SL_OK : SL_NO_MEMORY;
}

static enum sl_status find_all(struct resolving *re)
{
    SL_TRY(make_edges(re));
    find_sources(re);
    find_classes(re);
    find_parts(re);
    sl_label_facts(re->labeller);
    re->labeller->resolved = true;
    return SL_OK;
}

/* whole: all is worked out, whatever is lacked. */
static enum sl_status resolve(struct sl_labeller *labeller, bool whole, struct sl_slice **missing, size_t *count)
{
    struct resolving re = {.labeller = labeller, .arena = labeller->arena, .earning = labeller->earning};
    *missing = NULL;
    *count = 0;
    labeller->resolved = false;
    reset_items(&re);
    if (link_items(&re))
        SL_TRY(judge_lacked(&re));
    if (whole || !re.missing_count)
        SL_TRY(find_all(&re));
    if (sl_arena_failed(labeller->arena))
        return SL_NO_MEMORY;
    *missing = re.missing;
    *count = re.missing_count;
    return SL_OK;
}

enum sl_status sl_labeller_resolve(struct sl_labeller *labeller, struct sl_slice **missing, size_t *count)
{
    return resolve(labeller, true, missing, count);
}

enum sl_status sl_labeller_resolve_or_lack(struct sl_labeller *labeller, struct sl_slice **missing, size_t *count)
{
    return resolve(labeller, false, missing, count);
}

bool sl_labeller_is_resolved(const struct sl_labeller *labeller)
{
    return labeller->resolved;
}
