/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segmentation: decisions become cuts, cuts become edits. See sluice/segment.h.
 *
 * Order of work, over all items of a labeller at once, since one item's fate is another's reference:
 *   1. every item is decided by its classes;
 *   2. in each released item, what it may not show is cut: properties R4 does not know, narrative, elements with
 *      classes of their own, contained resources and references whose target is withheld. A cut climbs: a required
 *      element takes its parent, an emptied container goes, and at the root the item is withheld;
 *   3. items withheld in step 2 are taken out of the items that refer to them, until nothing changes;
 *   4. labels are computed from what is left.
 *
 * Nothing here looks at whether others are withheld but through references: the reference goes because its target
 * is not there for this recipient.
 */
#include "ccda.h"
#include "ruling.h"
#include "segmenting.h"

#include "sluice/fault.h"
#include "sluice/path.h"

#define ROUNDS 64u

struct segmenter {
    struct sl_labeller *labeller;
    struct sl_arena *arena;
    struct sl_segment_report *report;
    struct sl_item **items; /* by number */
    uint32_t count;
    struct sl_cutting cutting;
    struct sl_item **queue; /* items withheld in step 2 or 3, whose referrers must be told */
    uint32_t queued, told;
    struct sl_item **walk; /* contained resources that are kept, whose own references are still to be followed */
    uint32_t walked;
    uint32_t *referrers, *referrer_start; /* items that refer to item n: referrers[start[n] .. start[n + 1]) */
    const struct sl_reference **ways;     /* of what is reached by route, by number: the reference in item->route */
    struct sl_label_cache labels;
    struct limiting { /* the terms found last: neighbours mostly have the same */
        const struct sl_ruling *ruling;
        struct sl_classes classes;
        struct state state;
        struct sl_terms terms;
    } limiting;
};

/* ---- Withholding ---- */

static void report_withheld(
    struct segmenter *s, const struct sl_item *item, struct sl_slice path, struct sl_cause cause)
{
    struct sl_withheld *w = sl_arena_alloc(s->arena, sizeof *w);
    if (!w)
        return;
    *w = (struct sl_withheld){.item = item, .path = path, .cause = cause};
    if (s->report->last)
        ((struct sl_withheld *)(uintptr_t)s->report->last)->next = w;
    else
        s->report->first = w;
    s->report->last = w;
}

static bool is_released(const struct sl_item *item)
{
    return item->verdict && item->verdict->decision == SL_RELEASED;
}

static void withhold(struct segmenter *s, struct sl_item *item, struct sl_cause cause)
{
    if (!is_released(item))
        return;
    *item->verdict = (struct sl_verdict){.decision = SL_WITHHELD, .cause = cause};
    item->cuts = NULL;
    item->changes = NULL;
    s->queue[s->queued++] = item;
}

/* Cuts `span` out of a released item; see sl_cutting_cut. *out: NULL if nothing, or the whole, was cut. */
static enum sl_status make_cut(
    struct segmenter *s, struct sl_item *item, uint32_t span, struct sl_cause cause, bool always, struct sl_cut **out)
{
    *out = NULL;
    enum sl_cut_result result;
    uint32_t top = 0;
    if (!is_released(item))
        return SL_OK;
    SL_TRY(sl_cutting_cut(&s->cutting, item, span, always, &result, &top));
    if (result == SL_CUT_BEFORE)
        return SL_OK;
    if (result != SL_CUT_PART) {
        cause.why = result == SL_CUT_REQUIRED ? "required-element" : cause.why;
        withhold(s, item, cause);
        return SL_OK;
    }
    struct sl_cut *made = sl_arena_alloc(s->arena, sizeof *made);
    if (!made)
        return SL_NO_MEMORY;
    *made = (struct sl_cut){.span = top, .cause = cause, .next = item->cuts};
    item->cuts = *out = made;
    return SL_OK;
}

static enum sl_status cut(struct segmenter *s, struct sl_item *item, uint32_t span, struct sl_cause cause, bool always)
{
    struct sl_cut *made;
    return make_cut(s, item, span, cause, always, &made);
}

/* ---- What one released item may not show ---- */

/* Narrative that repeats what elements hold: of the resource, or of a section that has entries or sections. The text of
 * a section that has neither is what the section says: words like any other, with classes of their own. */
static bool is_narrative(const struct sl_item *item, uint32_t span)
{
    const struct sl_doc *doc = item->doc;
    uint32_t parent = doc->parents[span];
    if (doc->spans[span].name != SL_NAME_text || doc->spans[span].type != SL_SPAN_OBJECT)
        return false;
    return parent == item->span || item->type != SL_R4_Composition || sl_span_member(doc, parent, SL_NAME_entry) ||
           sl_span_member(doc, parent, SL_NAME_section);
}

static enum sl_status cut_all(
    struct segmenter *s, struct sl_item *item, const uint32_t *spans, uint32_t count, const char *why)
{
    struct sl_cause cause = {.class_bit = SL_CLASS_LIMIT, .why = why};
    for (uint32_t i = 0; i < count; i++) {
        struct sl_cut *made;
        SL_TRY(make_cut(s, item, spans[i], cause, true, &made));
        if (made)
            made->constant = true;
    }
    return SL_OK;
}

/* A url that leads to no record of the same server leads past every decision. */
static enum sl_status cut_stray_links(struct segmenter *s, struct sl_item *item)
{
    for (uint32_t i = 0; i < item->reference_count && is_released(item); i++) {
        const struct sl_reference *r = &item->references[i];
        if (r->link && !r->type && !r->item)
            SL_TRY(cut_all(s, item, r->content ? &r->span : &r->element, 1, "link-elsewhere"));
    }
    return SL_OK;
}

/* Is it of a kind that segmentation may change: a C-CDA, or what may be one once it is fetched? */
static bool is_segmentable(const struct sl_content *content)
{
    bool may_be = content->kind == SL_CONTENT_NONE || content->bytes.ptr == NULL;
    return content->kind == SL_CONTENT_CCDA ||
           (may_be && (!content->type.len || memmem(content->type.ptr, content->type.len, "xml", 3)));
}

/* A hash and a size over what may go out changed would tell that it was. */
static enum sl_status cut_hashes(struct segmenter *s, struct sl_item *item)
{
    for (uint32_t i = 0; i < item->content_count; i++) {
        const struct sl_content *content = &item->contents[i];
        if (content->span == item->span || !is_segmentable(content))
            continue;
        uint32_t spans[] = {sl_span_member(item->doc, content->span, SL_NAME_hash),
            sl_span_member(item->doc, content->span, SL_NAME_size)};
        for (unsigned k = 0; k < 2; k++)
            if (spans[k])
                SL_TRY(cut_all(s, item, &spans[k], 1, "hash"));
    }
    return SL_OK;
}

/* What goes always or never, by type, party and policy: never because of something else that goes. */
static enum sl_status cut_constants(struct segmenter *s, struct sl_item *item)
{
    SL_TRY(cut_all(s, item, item->unknown, item->unknown_count, "unknown-element"));
    SL_TRY(cut_all(s, item, item->signatures, item->signature_count, "signature"));
    SL_TRY(cut_hashes(s, item));
    SL_TRY(cut_stray_links(s, item));
    /* How many belong to a Group, and its narrative, speak of all its members: of those too whom this recipient may
     * know nothing of. */
    if ((sl_ruling_may_text(item->ruling) && item->type != SL_R4_Group) || sl_fault(SL_FAULT_COUNTS_KEPT))
        return SL_OK;
    SL_TRY(cut_all(s, item, item->counts, item->count_count, "count"));
    for (uint32_t i = 0; i < item->text_count; i++)
        if (is_narrative(item, item->texts[i]))
            SL_TRY(cut_all(s, item, &item->texts[i], 1, "narrative"));
    return SL_OK;
}

/* What is cut within a document in the item; where nothing of it may go, its place in the item. */
static enum sl_status cut_documents(struct segmenter *s, struct sl_item *item)
{
    for (uint32_t i = 0; i < item->content_count && is_released(item); i++) {
        struct sl_content *content = &item->contents[i];
        if (!content->ccda)
            continue;
        SL_TRY(sl_ccda_cut(item, content, s->arena));
        struct sl_cause cause = {.class_bit = SL_CLASS_LIMIT, .why = content->ccda->whole};
        if (cause.why || (content->ccda->cut_count && sl_r4_facts(item->type) & SL_R4_WHOLE))
            SL_TRY(cut(s, item, content->cut, cause, false));
    }
    return SL_OK;
}

/* ---- Limits and changes ---- */

static const char limited[] = "limited"; /* which, the release says; not told cut by cut */

static bool still_goes(void *context, const struct sl_item *item)
{
    (void)context;
    return is_released(item);
}

/* By rule and party, for every record of the kind: no cut that would show in a number. */
static enum sl_status cut_limited(void *context, struct sl_item *item, uint32_t span)
{
    return cut(context, item, span, (struct sl_cause){.class_bit = SL_CLASS_LIMIT, .why = limited}, true);
}

static enum sl_status change(void *context, struct sl_item *item, uint32_t span, struct sl_slice text)
{
    struct segmenter *s = context;
    struct sl_changed *made = sl_arena_alloc(s->arena, sizeof *made);
    if (!made)
        return SL_NO_MEMORY;
    *made = (struct sl_changed){.span = span, .text = text, .next = item->changes};
    item->changes = made;
    return SL_OK;
}

static const struct sl_limit_calls limit_calls = {still_goes, cut_limited, change};

/* The terms for some classes of an item, as facts of `of` decide; `judged`: what consents look at. */
static const struct sl_terms *terms_for(struct segmenter *s, const struct sl_ruling *ruling, const struct sl_item *of,
    const struct sl_classes *judged, const struct sl_classes *classes)
{
    struct limiting *l = &s->limiting;
    struct state state = sl_state_of(ruling, of, judged);
    bool same = l->ruling == ruling && l->state.kinds == state.kinds && l->state.facts == state.facts &&
                memcmp(&l->classes, classes, sizeof l->classes) == 0;
    if (!same) {
        *l = (struct limiting){.ruling = ruling, .classes = *classes, .state = state};
        sl_terms_add(ruling, &state, classes, &l->terms);
    }
    return &l->terms;
}

/* What of an item goes on no terms. What is contained goes on those of its container too. */
static enum sl_status limit_item(struct segmenter *s, struct sl_item *item)
{
    struct sl_cause none = {.class_bit = SL_CLASS_LIMIT, .why = "not-in-element-list"};
    for (const struct sl_item *of = item; of && is_released(item); of = of->container) {
        const struct sl_terms *terms = terms_for(s, item->ruling, of, &of->classes, &of->classes);
        if (!terms->count)
            continue;
        if (!sl_limit_keeps_type(item->ruling->policy, terms, item->type))
            withhold(s, item, none);
        else if (item->doc)
            SL_TRY(sl_limit_item(item, terms, s->arena, &limit_calls, s));
    }
    return SL_OK;
}

/* What of an element that goes, goes on no terms of its own classes. */
static enum sl_status limit_part(struct segmenter *s, struct sl_item *item, const struct sl_part *part)
{
    const struct sl_item *whole = part->lender ? part->lender : item;
    struct sl_classes judged = whole->classes;
    sl_classes_join(&judged, &part->classes);
    const struct sl_terms *terms = terms_for(s, item->ruling, whole, &judged, &part->classes);
    uint32_t span = part->inner ? part->inner->cut : part->span;
    return terms->count ? sl_limit_part(item, span, terms, s->arena, &limit_calls, s) : SL_OK;
}

/* Is it out of what goes already, by a limit? Then it is in no view, and stands in the way of nothing. */
static bool is_beyond(struct segmenter *s, const struct sl_item *item, uint32_t span)
{
    return item->ruling->terms && !sl_cutting_shows(&s->cutting, item, span);
}

static enum sl_status cut_parts(struct segmenter *s, struct sl_item *item)
{
    SL_TRY(sl_ccda_begin(s->labeller, item, s->arena));
    for (uint32_t i = 0; i < item->part_count && is_released(item); i++) {
        struct sl_part *part = &item->parts[i];
        if (is_beyond(s, item, part->inner ? part->inner->cut : part->span)) {
            part->cut = true;
            continue;
        }
        struct sl_verdict verdict = sl_decide_part(item->ruling, item, part);
        part->cut = verdict.decision != SL_RELEASED && !sl_fault(SL_FAULT_MENTION_KEPT);
        if (part->cut && part->inner)
            SL_TRY(sl_ccda_withhold(part, verdict.cause, s->arena));
        else if (part->cut)
            SL_TRY(cut(s, item, part->span, verdict.cause, false));
        else if (item->ruling->terms)
            SL_TRY(limit_part(s, item, part));
    }
    return cut_documents(s, item);
}

static bool is_person(struct sl_slice person, const struct sl_reference *reference)
{
    const struct sl_slice type = SL_LIT("Patient/");
    if (sl_slice_eq(person, reference->target))
        return true;
    return reference->item && reference->item->id.len && sl_slice_starts(person, type) &&
           sl_slice_eq(sl_slice_from(person, type.len), reference->item->id);
}

/* Is the Patient that the reference names one of those whom the item, for this recipient, is about? */
static bool is_about(const struct sl_item *item, const struct sl_reference *reference)
{
    size_t count;
    const struct sl_slice *persons = sl_ruling_persons(item->ruling, &count);
    for (size_t i = 0; i < count; i++)
        if (is_person(persons[i], reference))
            return true;
    return false;
}

/* Nobody can say what was there, and so not who could have had it. Whom the directory names is no secret, nor what is
 * had by who points at it. */
static bool leads_to_untold(const struct sl_reference *reference)
{
    return reference->untold && !reference->item &&
           !(sl_r4_facts(reference->type) & (SL_R4_BY_ROUTE | SL_R4_DIRECTORY));
}

/* The patient an item is about is no secret in the item. Another one, and what else is withheld, is not referred to. */
static bool leads_to_withheld(const struct sl_item *item, const struct sl_reference *reference)
{
    if (reference->kind == SL_REF_SUBJECT) /* a participant of several may be withheld where others are not */
        return item->named_count && !is_about(item, reference);
    if (reference->item ? is_released(reference->item) : !leads_to_untold(reference))
        return false;
    sl_r4_node type = reference->item ? reference->item->type : reference->type;
    return type != SL_R4_Patient || !is_about(item, reference);
}

/* What names a withheld record goes with it. What a record is made out of, it cannot do without: a report would still
 * say what the result said. */
static enum sl_status cut_references(struct segmenter *s, struct sl_item *item)
{
    struct sl_cause cause = {.class_bit = SL_CLASS_LIMIT, .why = "reference-withheld"};
    for (uint32_t i = 0; i < item->reference_count && is_released(item); i++) {
        const struct sl_reference *reference = &item->references[i];
        if (!leads_to_withheld(item, reference))
            continue;
        if (reference->kind != SL_REF_DEFINING && item->doc && is_beyond(s, item, reference->element))
            continue;
        if (reference->kind == SL_REF_DEFINING && reference->item)
            withhold(s, item, cause);
        else
            SL_TRY(cut(s, item, reference->element, cause, false));
    }
    return SL_OK;
}

static enum sl_status cut_contained(struct segmenter *s, struct sl_item *contained)
{
    struct sl_item *container = contained->container;
    if (is_released(contained) || !is_released(container))
        return SL_OK;
    struct sl_cause cause = contained->verdict ? contained->verdict->cause : (struct sl_cause){.why = "unlabelled"};
    return cut(s, container, contained->span, cause, false);
}

/* ---- Over all items ---- */

static enum sl_status number_items(struct segmenter *s)
{
    for (struct sl_item *item = sl_labeller_items(s->labeller); item; item = item->next)
        item->number = s->count++;
    s->items = sl_arena_raw(s->arena, s->count + 1u, sizeof *s->items);
    s->queue = sl_arena_raw(s->arena, s->count + 1u, sizeof *s->queue);
    if (!s->items || !s->queue)
        return SL_NO_MEMORY;
    for (struct sl_item *item = sl_labeller_items(s->labeller); item; item = item->next)
        s->items[item->number] = item;
    return SL_OK;
}

/* A Medication, a Substance, a Binary: about nobody by itself, it belongs to whoever's released record points at it.
 * What it is has classified the record that points (a defining reference), so nothing is decided here but whether one
 * does. */
static bool is_by_route(const struct sl_item *item)
{
    return (sl_r4_facts(item->type) & SL_R4_BY_ROUTE) && item->type != SL_R4_Provenance && !item->container &&
           item->patient_count == 0 && !item->unlabelled;
}

static struct sl_verdict first_verdict(const struct sl_item *item)
{
    if (is_by_route(item))
        return (struct sl_verdict){.decision = SL_RELEASED, .cause = {.class_bit = SL_CLASS_LIMIT, .why = "by-route"}};
    return sl_decide_item(item->ruling, item);
}

static enum sl_status decide_items(struct segmenter *s)
{
    struct sl_verdict *verdicts = sl_arena_raw(s->arena, s->count + 1u, sizeof *verdicts);
    if (!verdicts)
        return SL_NO_MEMORY;
    for (uint32_t i = 0; i < s->count; i++) {
        struct sl_item *item = s->items[i];
        SL_ASSERT(item->ruling);
        verdicts[i] = first_verdict(item);
        if (sl_fault(SL_FAULT_WITHHELD_RELEASED))
            verdicts[i].decision = SL_RELEASED;
        item->verdict = &verdicts[i];
        item->route = NULL;
        item->cuts = NULL;
        item->changes = NULL;
    }
    return SL_OK;
}

static enum sl_status cut_item(struct segmenter *s, struct sl_item *item)
{
    if (!is_released(item))
        return SL_OK;
    SL_TRY(cut_constants(s, item));
    if (item->ruling->terms)
        SL_TRY(limit_item(s, item));
    SL_TRY(cut_parts(s, item));
    return cut_references(s, item);
}

/* For each item, who refers to it: built once, and only if a withheld item needs it. */
static enum sl_status index_referrers(struct segmenter *s)
{
    if (s->referrer_start)
        return SL_OK;
    uint32_t *start = sl_arena_array(s->arena, s->count + 2u, sizeof *start);
    if (!start)
        return SL_NO_MEMORY;
    uint32_t total = 0;
    for (uint32_t i = 0; i < s->count; i++)
        for (uint32_t r = 0; r < s->items[i]->reference_count; r++)
            if (s->items[i]->references[r].item) {
                start[s->items[i]->references[r].item->number + 2]++;
                total++;
            }
    for (uint32_t i = 2; i < s->count + 2; i++)
        start[i] += start[i - 1];
    s->referrers = sl_arena_raw(s->arena, total + 1u, sizeof *s->referrers);
    if (!s->referrers)
        return SL_NO_MEMORY;
    for (uint32_t i = 0; i < s->count; i++)
        for (uint32_t r = 0; r < s->items[i]->reference_count; r++)
            if (s->items[i]->references[r].item)
                s->referrers[start[s->items[i]->references[r].item->number + 1]++] = i;
    s->referrer_start = start;
    return SL_OK;
}

static enum sl_status tell_referrers(struct segmenter *s)
{
    while (s->told < s->queued) {
        struct sl_item *gone = s->queue[s->told++];
        SL_TRY(index_referrers(s));
        if (gone->container)
            SL_TRY(cut_contained(s, gone));
        for (uint32_t i = s->referrer_start[gone->number]; i < s->referrer_start[gone->number + 1]; i++)
            SL_TRY(cut_references(s, s->items[s->referrers[i]]));
    }
    return SL_OK;
}

/* A Provenance belongs to its targets, and not its targets to it. */
static bool is_target(const struct sl_item *item, const struct sl_reference *reference)
{
    const struct sl_doc *doc = item->doc;
    uint32_t array = doc->parents[reference->span];
    return item->type == SL_R4_Provenance && doc->spans[array].name == SL_NAME_target &&
           doc->parents[array] == item->span;
}

/* What is reached belongs to what leads to it: it goes to whom that goes, on the same grounds, and what both are is
 * what its labels say. Only now is it known under which ruling it loses parts of its own. */
static enum sl_status reach(struct segmenter *s, const struct sl_item *from, struct sl_item *to)
{
    to->route = from;
    to->ruling = from->ruling;
    sl_classes_join(&to->classes, &from->classes);
    if (!to->program.len) {
        to->program = from->program;
        to->named_program = from->named_program;
    }
    if (!to->custodian.len)
        to->custodian = from->custodian;
    if (to->source == SL_SOURCE_UNKNOWN)
        to->source = from->source;
    return cut_item(s, to);
}

static enum sl_status follow_from(struct segmenter *s, const struct sl_item *item, bool *reached)
{
    for (uint32_t r = 0; r < item->reference_count; r++) {
        struct sl_item *target = item->references[r].item;
        if (!target || target == item || !is_by_route(target) || target->route || !is_released(target) ||
            is_target(item, &item->references[r]) || !sl_cutting_shows(&s->cutting, item, item->references[r].span))
            continue;
        s->ways[target->number] = &item->references[r];
        SL_TRY(reach(s, item, target));
        *reached = true;
    }
    return SL_OK;
}

/* Does it go, so that what it leads to may go? */
static bool leads(const struct sl_item *item)
{
    bool goes = is_released(item) && !item->context && (item->route || !is_by_route(item));
    return goes && (!item->container || is_released(item->container));
}

static enum sl_status spread(struct segmenter *s)
{
    for (bool reached = true; reached;) {
        reached = false;
        for (uint32_t i = 0; i < s->count; i++)
            if (leads(s->items[i]))
                SL_TRY(follow_from(s, s->items[i], &reached));
        SL_TRY(tell_referrers(s)); /* what lost too much of its own is referred to no more */
    }
    return SL_OK;
}

/* A way may have gone since it was taken; there may be another. */
static bool forget_broken(struct segmenter *s)
{
    bool broken = false;
    for (uint32_t i = 0; i < s->count; i++) {
        struct sl_item *item = s->items[i];
        if (item->route && item->route != item->lead &&
            !(leads(item->route) && sl_cutting_shows(&s->cutting, item->route, s->ways[i]->span))) {
            item->route = NULL;
            broken = true;
        }
    }
    return broken;
}

static void withhold_unreached(struct segmenter *s)
{
    struct sl_cause cause = {.class_bit = SL_CLASS_LIMIT, .why = "no-route"};
    for (uint32_t i = 0; i < s->count; i++)
        if (is_by_route(s->items[i]) && !s->items[i]->context && !s->items[i]->route)
            withhold(s, s->items[i], cause);
}

/* Nor is a statement about what nothing here leads to. */
static enum sl_status cut_targets(struct segmenter *s)
{
    struct sl_cause cause = {.class_bit = SL_CLASS_LIMIT, .why = "reference-withheld"};
    for (uint32_t i = 0; i < s->count; i++)
        for (uint32_t r = 0; s->items[i]->type == SL_R4_Provenance && r < s->items[i]->reference_count; r++) {
            const struct sl_reference *reference = &s->items[i]->references[r];
            if (reference->item && is_by_route(reference->item) && !reference->item->route &&
                is_target(s->items[i], reference))
                SL_TRY(cut(s, s->items[i], reference->element, cause, false));
        }
    return SL_OK;
}

/* What is reached by route alone goes only if something that goes leads to it, over any number of steps. What turns out
 * not to go takes more with it, so again until nothing changes: each time around something is withheld. */
static enum sl_status follow_routes(struct segmenter *s)
{
    bool any = false;
    for (uint32_t i = 0; i < s->count && !any; i++)
        any = is_by_route(s->items[i]);
    if (any && !s->ways) /* routes of an earlier round keep the ways by which they came */
        s->ways = sl_arena_array(s->arena, s->count, sizeof *s->ways);
    if (any && !s->ways)
        return SL_NO_MEMORY;
    for (uint32_t i = 0; i < s->count && any; i++)
        if (s->items[i]->lead && is_by_route(s->items[i]))
            SL_TRY(reach(s, s->items[i]->lead, s->items[i]));
    while (any) {
        SL_TRY(spread(s));
        any = forget_broken(s);
        if (any)
            continue;
        uint32_t before = s->queued;
        withhold_unreached(s);
        SL_TRY(cut_targets(s));
        SL_TRY(tell_referrers(s));
        any = s->queued > before;
    }
    return SL_OK;
}

/* ---- Contained resources ---- */

static bool is_contained(const struct sl_item *item)
{
    const struct sl_doc *doc = item->doc;
    return item->container && doc->spans[doc->parents[item->span]].name == SL_NAME_contained;
}

/* Marks what the item, which goes, leads to among the resources contained in `root`. */
static void mark_contained(struct segmenter *s, const struct sl_item *item, const struct sl_item *root, bool *live)
{
    for (uint32_t r = 0; r < item->reference_count; r++) {
        struct sl_item *target = item->references[r].item;
        if (!target || target->container != root || live[target->number] ||
            !sl_cutting_shows(&s->cutting, item, item->references[r].span))
            continue;
        live[target->number] = true;
        s->walk[s->walked++] = target;
    }
}

/* Does the contained resource point at the one that holds it? Then it is there for its own sake. */
static bool points_home(struct segmenter *s, const struct sl_item *item)
{
    for (uint32_t r = 0; r < item->reference_count; r++)
        if (item->references[r].item == item->container && sl_slice_eq(item->references[r].target, SL_LIT("#")) &&
            sl_cutting_shows(&s->cutting, item, item->references[r].span))
            return true;
    return false;
}

/* dom-3: a contained resource that nothing refers to any more goes, whether something did or not. */
static enum sl_status follow_contained(struct segmenter *s, const struct sl_item *root, bool *live, bool *changed)
{
    s->walked = 0;
    mark_contained(s, root, root, live);
    for (struct sl_item *c = root->next; c && c->container; c = c->next)
        if (c->container == root && is_released(c) && !live[c->number] && (!is_contained(c) || points_home(s, c))) {
            live[c->number] = true;
            s->walk[s->walked++] = c;
        }
    while (s->walked) {
        const struct sl_item *c = s->walk[--s->walked];
        mark_contained(s, c, root, live);
    }
    struct sl_cause cause = {.class_bit = SL_CLASS_LIMIT, .why = "not-referred-to"};
    for (struct sl_item *c = root->next; c && c->container; c = c->next)
        if (c->container == root && is_released(c) && !live[c->number] &&
            sl_cutting_shows(&s->cutting, root, c->span)) {
            SL_TRY(cut(s, c->container, c->span, cause, true));
            *changed = true;
        }
    return SL_OK;
}

static enum sl_status follow_all_contained(struct segmenter *s, bool *changed)
{
    bool *live = NULL;
    for (uint32_t i = 0; i < s->count; i++) {
        struct sl_item *item = s->items[i];
        if (item->context || !is_released(item) || !item->next || item->next->container != item)
            continue;
        if (!live) {
            live = sl_arena_array(s->arena, s->count, sizeof *live);
            s->walk = sl_arena_raw(s->arena, s->count, sizeof(struct sl_item *));
        }
        if (!live || !s->walk)
            return SL_NO_MEMORY;
        SL_TRY(follow_contained(s, item, live, changed));
    }
    return SL_OK;
}

/* What goes from either may have been the only way to the other. No real record takes more than a few rounds. */
static enum sl_status follow_ways(struct segmenter *s)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        bool changed = false;
        SL_TRY(follow_all_contained(s, &changed));
        if (round && !changed)
            return SL_OK;
        SL_TRY(follow_routes(s));
    }
    return SL_LIMIT;
}

/* A contained resource lives and dies with its container. */
static void follow_container(struct segmenter *s)
{
    for (uint32_t i = 0; i < s->count; i++) {
        struct sl_item *item = s->items[i];
        if (item->container && is_released(item) && !is_released(item->container))
            *item->verdict = (struct sl_verdict){.decision = SL_WITHHELD, .cause = item->container->verdict->cause};
    }
}

/* What is left of an item's parts and inline labels once everything has been cut: labels are of that alone. */
static void settle_parts(struct segmenter *s, struct sl_item *item)
{
    for (uint32_t i = 0; i < item->part_count; i++) {
        item->parts[i].cut |= !sl_cutting_shows(&s->cutting, item, item->parts[i].span);
        item->parts[i].label = (struct sl_slice){NULL, 0};
    }
    for (uint32_t i = 0; i < item->inline_count; i++)
        item->inlines[i].cut = !sl_cutting_shows(&s->cutting, item, item->inlines[i].span);
}

/* ---- The two doors of this module ---- */

/* In the order of cutting. */
static void report_document(
    struct segmenter *s, const struct sl_item *root, const struct sl_item *item, const struct sl_content *content)
{
    const struct sl_ccda *ccda = content->ccda;
    struct cda_place places[SL_CDA_DEPTH + 1] = {{0}};
    struct sl_slice data = sl_span_path(item->doc, root->span, content->data, s->arena);
    const struct cda_cut **cuts = sl_arena_raw(s->arena, ccda->cut_count, sizeof *cuts);
    size_t at = ccda->cut_count;
    for (const struct cda_cut *c = cuts ? ccda->cuts : NULL; c; c = c->next)
        cuts[--at] = c;
    for (at = 0; cuts && at < ccda->cut_count; at++) {
        const struct sl_slice parts[] = {data, sl_ccda_path(ccda, cuts[at]->node, places, s->arena)};
        report_withheld(s, root, sl_arena_join(s->arena, parts, 2), cuts[at]->cause);
    }
    s->report->elements_cut += ccda->cut_count;
}

static void report_inner(struct segmenter *s, const struct sl_item *root, const struct sl_item *item)
{
    for (uint32_t i = 0; i < item->content_count; i++) {
        const struct sl_ccda *ccda = item->contents[i].ccda;
        if (ccda && !ccda->whole && ccda->cuts)
            report_document(s, root, item, &item->contents[i]);
    }
}

/* What is cut out of a contained resource is cut out of the one that holds it: so it is told, and so it is edited. Told
 * in the order of cutting, which is nearly that of the document: so that places in arrays need not be counted anew. */
static void report_cuts(struct segmenter *s, const struct sl_item *item)
{
    const struct sl_item *root = item;
    while (root->container)
        root = root->container;
    if (root->context || !is_released(root) || !is_released(item))
        return;
    report_inner(s, root, item);
    size_t count = 0, at = 0;
    for (const struct sl_cut *c = item->cuts; c; c = c->next) {
        count += c->cause.why != limited;
        s->report->elements_cut += c->cause.why == limited;
    }
    const struct sl_cut **cuts = count ? sl_arena_array(s->arena, count, sizeof *cuts) : NULL;
    if (!cuts)
        return;
    for (const struct sl_cut *c = item->cuts; c; c = c->next)
        if (c->cause.why != limited)
            cuts[count - ++at] = c;
    struct sl_path_places places = {0};
    for (at = 0; at < count; at++) {
        struct sl_slice path = sl_span_path_next(item->doc, root->span, cuts[at]->span, &places, s->arena);
        report_withheld(s, root, path, cuts[at]->cause);
    }
    s->report->elements_cut += count;
}

static void count_item(struct segmenter *s, const struct sl_item *item)
{
    report_cuts(s, item);
    if (item->context || item->container)
        return;
    if (is_released(item)) {
        s->report->resources_released++;
        return;
    }
    s->report->resources_withheld++;
    report_withheld(s, item, (struct sl_slice){NULL, 0}, item->verdict->cause);
}

enum sl_status sl_segment_decide(struct sl_labeller *labeller, struct sl_arena *arena, struct sl_segment_report *report)
{
    struct segmenter s = {.labeller = labeller, .arena = arena, .report = report, .cutting = {.arena = arena}};
    *report = (struct sl_segment_report){0};
    SL_TRY(number_items(&s));
    SL_TRY(decide_items(&s));
    for (uint32_t i = 0; i < s.count; i++)
        if (!is_by_route(s.items[i]))
            SL_TRY(cut_item(&s, s.items[i]));
    for (uint32_t i = 0; i < s.count; i++)
        if (s.items[i]->container)
            SL_TRY(cut_contained(&s, s.items[i]));
    SL_TRY(tell_referrers(&s));
    SL_TRY(follow_ways(&s));
    follow_container(&s);
    for (uint32_t i = 0; i < s.count; i++)
        if (is_released(s.items[i]) && !s.items[i]->context)
            settle_parts(&s, s.items[i]);
    for (uint32_t i = 0; i < s.count; i++) {
        if (is_released(s.items[i]) && !s.items[i]->context && !s.items[i]->container)
            SL_TRY(sl_segment_label(&s.labels, s.arena, s.items[i]));
        count_item(&s, s.items[i]);
    }
    return sl_arena_failed(arena) ? SL_NO_MEMORY : SL_OK;
}

static void edit_cuts(const struct sl_item *item, struct sl_edits *edits)
{
    for (const struct sl_changed *c = item->changes; c; c = c->next)
        sl_edit_replace(edits, c->span, c->text);
    for (const struct sl_cut *c = item->cuts; c; c = c->next)
        sl_edit_cut(edits, c->span);
}

/* The same for every record of a type, whatever it holds and whether something was cut; and at its end, whether there
 * was a narrative or not. */
static enum sl_status add_narrative(const struct sl_item *item, struct sl_edits *edits, struct sl_arena *arena)
{
    if (!sl_r4_element(item->type, SL_NAME_text) || item->container)
        return SL_OK;
    struct sl_slice text = sl_arena_printf(arena,
        "\"text\":{\"status\":\"generated\",\"div\":\"<div xmlns=\\\"http://www.w3.org/1999/xhtml\\\">%.*s: what this "
        "record says stands in its elements.</div>\"}",
        SL_FMT(sl_r4_node_name(item->type)));
    if (!text.ptr)
        return SL_NO_MEMORY;
    sl_edit_add_member(edits, item->span, text);
    return SL_OK;
}

enum sl_status sl_segment_edit(const struct sl_item *item, struct sl_edits *edits, struct sl_arena *arena)
{
    if (!is_released(item)) {
        sl_edit_cut(edits, item->span);
        return SL_OK;
    }
    edit_cuts(item, edits);
    SL_TRY(sl_ccda_edit(item, edits, arena));
    /* What is contained follows its container: up to the next item that stands by itself. */
    for (const struct sl_item *within = item->next; within && within->container; within = within->next) {
        edit_cuts(within, edits);
        SL_TRY(sl_ccda_edit(within, edits, arena));
    }
    SL_TRY(sl_inline_edit(item, edits, arena));
    for (const struct sl_item *within = item->next; within && within->container; within = within->next)
        if (is_released(within))
            SL_TRY(sl_inline_edit(within, edits, arena));
    SL_TRY(sl_segment_edit_meta(item, edits, arena));
    return sl_ruling_regenerates(item->ruling) ? add_narrative(item, edits, arena) : SL_OK;
}
