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
#include "segmenting.h"

#include "sluice/path.h"

/* Deeper than any document the parser lets through. */
#define MAX_STEPS 130u

struct step {
    uint32_t span;
    sl_r4_node node;                     /* of the value */
    const struct sl_r4_element *element; /* NULL at the root, and where R4 knows none */
};

struct segmenter {
    struct sl_labeller *labeller;
    struct sl_arena *arena;
    struct sl_segment_report *report;
    struct sl_item **items; /* by number */
    uint32_t count;
    const struct sl_doc *doc; /* the document whose spans `gone` is about */
    struct gone *gone;
    struct sl_item **queue; /* items withheld in step 2 or 3, whose referrers must be told */
    uint32_t queued, told;
    uint32_t *referrers, *referrer_start; /* items that refer to item n: referrers[start[n] .. start[n + 1]) */
    const struct sl_reference **ways;     /* of what is reached by route, by number: the reference in item->route */
    struct sl_label_cache labels;
};

/* Which spans of a document are cut: one bit a span, made when a document gets its first cut. What is gone stays gone,
 * so a look for what is left in a large container goes on where the one before it found something: `left`, by
 * container, made when there is a large one. Without it a record of a hundred thousand notes would take hours. */
struct gone {
    const struct sl_doc *doc;
    uint64_t *bits;
    uint32_t *left;
    struct {
        uint32_t array, item, other;
    } pair; /* found last by same_place, which goes on from there in the same way */
    struct gone *next;
};

#define LARGE 32u /* children that are looked at before `left` is worth its memory */

/* ---- Bits ---- */

static struct gone *gone_of(struct segmenter *s, const struct sl_doc *doc)
{
    for (struct gone *g = s->gone; g; g = g->next)
        if (g->doc == doc)
            return g;
    struct gone *g = sl_arena_alloc(s->arena, sizeof *g);
    uint64_t *bits = sl_arena_array(s->arena, doc->count / 64 + 1, sizeof *bits);
    if (!g || !bits)
        return NULL;
    *g = (struct gone){.doc = doc, .bits = bits, .next = s->gone};
    s->gone = g;
    return g;
}

static bool is_gone(const struct gone *gone, uint32_t span)
{
    return gone->bits[span / 64] >> (span % 64) & 1;
}

/* The first child from c on that is left, among at most `most`; what it gives instead is gone too, or the end. */
static uint32_t skip_gone(const struct gone *gone, uint32_t c, uint32_t end, uint32_t most)
{
    const struct sl_span *spans = gone->doc->spans;
    for (; c < end && most && (is_gone(gone, c) || spans[c].type == SL_SPAN_NULL); most--)
        c = spans[c].next;
    return c;
}

static bool any_left(struct gone *gone, uint32_t container, struct sl_arena *arena)
{
    uint32_t end = gone->doc->spans[container].next, at = skip_gone(gone, container + 1, end, LARGE);
    if (at >= end)
        return false;
    if (!is_gone(gone, at) && gone->doc->spans[at].type != SL_SPAN_NULL)
        return true;
    if (!gone->left)
        gone->left = sl_arena_array(arena, gone->doc->count, sizeof *gone->left);
    if (!gone->left)
        return false; /* the arena has failed, and with it the whole */
    at = skip_gone(gone, gone->left[container] > at ? gone->left[container] : at, end, UINT32_MAX);
    gone->left[container] = at;
    return at < end;
}

/* ---- From the root of an item down to a span ---- */

static sl_r4_node node_of_value(const struct sl_doc *doc, uint32_t span, const struct sl_r4_element *element)
{
    if (!element)
        return 0;
    if (!(element->flags & SL_R4_RESOURCE))
        return element->node;
    uint32_t type = doc->spans[span].type == SL_SPAN_OBJECT ? sl_span_member(doc, span, SL_NAME_resourceType) : 0;
    return type ? sl_r4_resource(sl_span_raw(doc, type)) : 0;
}

static const struct sl_r4_element *element_of(const struct sl_doc *doc, const struct step *parent, uint32_t child)
{
    if (doc->spans[parent->span].type == SL_SPAN_ARRAY)
        return parent->element;
    return parent->node ? sl_r4_element(parent->node, doc->spans[child].name) : NULL;
}

/* The steps from the item's root to the span, both included; 0 if the span does not lie within the item. The way goes
 * up, by parents: down, it would have to be sought among children, of which there may be very many. */
static unsigned trace(const struct sl_item *item, uint32_t span, struct step *steps)
{
    const struct sl_doc *doc = item->doc;
    uint32_t way[MAX_STEPS];
    unsigned n = 0, depth = 0;
    if (span < item->span || span >= doc->spans[item->span].next)
        return 0;
    for (uint32_t at = span; at != item->span; at = doc->parents[at]) {
        if (depth == MAX_STEPS - 1)
            return 0;
        way[depth++] = at;
    }
    steps[n++] = (struct step){.span = item->span, .node = item->type};
    while (depth) {
        uint32_t child = way[--depth];
        const struct sl_r4_element *element = element_of(doc, &steps[n - 1], child);
        sl_r4_node node =
            doc->spans[child].flags & SL_SPAN_SIBLING ? SL_R4_Element : node_of_value(doc, child, element);
        steps[n++] = (struct step){.span = child, .node = node, .element = element};
    }
    return n;
}

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
    s->queue[s->queued++] = item;
}

/* Is one of the steps a numbered, counted or summed part, or the resource one that goes whole or not at all? Then
 * nothing in it is cut one by one: the resource is withheld, as if it did not exist. */
static bool is_counted(const struct sl_item *item, const struct step *steps, unsigned n)
{
    if (sl_r4_facts(item->type) & SL_R4_WHOLE)
        return true;
    for (unsigned i = 1; i < n; i++)
        if (steps[i].element && steps[i].element->flags & SL_R4_COUNTED)
            return true;
    return false;
}

/* The value at the same place of the other array; 0 if there is none. */
static uint32_t same_place(struct gone *gone, uint32_t array, uint32_t item, uint32_t other)
{
    const struct sl_doc *doc = gone->doc;
    uint32_t a = array + 1, b = other + 1;
    if (!other || doc->spans[other].type != SL_SPAN_ARRAY)
        return 0;
    if (gone->pair.array == array && gone->pair.item <= item) {
        a = gone->pair.item;
        b = gone->pair.other;
    }
    for (; a != item && b < doc->spans[other].next; a = doc->spans[a].next)
        b = doc->spans[b].next;
    if (b >= doc->spans[other].next)
        return 0;
    gone->pair.array = array;
    gone->pair.item = item;
    gone->pair.other = b;
    return b;
}

/* Is step i the '_' half of an element (or of one in an array) whose value stays? What such a half has lost is not the
 * element's, and emptied it goes by itself (sluice/edit.h). */
static bool has_value(struct gone *gone, const struct step *steps, unsigned i)
{
    const struct sl_doc *doc = gone->doc;
    bool in_array = i > 1 && doc->spans[steps[i - 1].span].type == SL_SPAN_ARRAY;
    unsigned member = in_array ? i - 1 : i;
    if (member == 0 || !(doc->spans[steps[member].span].flags & SL_SPAN_SIBLING))
        return false;
    uint32_t value = sl_span_member(doc, steps[member - 1].span, doc->spans[steps[member].span].name);
    if (in_array)
        value = same_place(gone, steps[member].span, steps[i].span, value);
    return value && doc->spans[value].type != SL_SPAN_NULL && !is_gone(gone, value);
}

/* Climbs from a span that must go to the span that goes: a required element takes its parent, and so does the last
 * thing in a container. Gives the index among the steps; 0: the resource itself goes. Marks what goes on the way. */
static unsigned climb(struct gone *gone, const struct step *steps, unsigned n, struct sl_arena *arena)
{
    const struct sl_doc *doc = gone->doc;
    unsigned i = n - 1;
    while (i > 0) {
        uint32_t span = steps[i].span, parent = steps[i - 1].span;
        gone->bits[span / 64] |= (uint64_t)1 << (span % 64);
        bool in_array = doc->spans[parent].type == SL_SPAN_ARRAY;
        bool required = !in_array && steps[i].element && steps[i].element->flags & SL_R4_REQUIRED;
        if (!required && (any_left(gone, parent, arena) || has_value(gone, steps, i - 1)))
            return i;
        i--;
    }
    return 0;
}

/* Cuts `span` out of a released item. `always`: it goes by type, party and policy alone, so that it does not count as
 * a change to a numbered part. */
static enum sl_status cut(struct segmenter *s, struct sl_item *item, uint32_t span, struct sl_cause cause, bool always)
{
    struct step steps[MAX_STEPS];
    struct gone *gone = gone_of(s, item->doc);
    if (!gone)
        return SL_NO_MEMORY;
    if (!is_released(item) || is_gone(gone, span))
        return SL_OK;
    unsigned n = trace(item, span, steps);
    if (n == 0 || (!always && is_counted(item, steps, n))) {
        withhold(s, item, cause);
        return SL_OK;
    }
    unsigned top = climb(gone, steps, n, s->arena);
    if (top == 0) {
        cause.why = n == 1 ? cause.why : "required-element";
        withhold(s, item, cause);
        return SL_OK;
    }
    struct sl_cut *made = sl_arena_alloc(s->arena, sizeof *made);
    if (!made)
        return SL_NO_MEMORY;
    *made = (struct sl_cut){.span = steps[top].span, .cause = cause, .next = item->cuts};
    item->cuts = made;
    return SL_OK;
}

/* ---- What one released item may not show ---- */

static bool is_narrative(const struct sl_doc *doc, uint32_t span)
{
    return doc->spans[span].name == SL_NAME_text && doc->spans[span].type == SL_SPAN_OBJECT;
}

/* A url that leads to no record of the same server leads past every decision. */
static enum sl_status cut_stray_links(struct segmenter *s, struct sl_item *item)
{
    struct sl_cause stray = {.class_bit = SL_CLASS_LIMIT, .why = "link-elsewhere"};
    for (uint32_t i = 0; i < item->reference_count && is_released(item); i++) {
        const struct sl_reference *r = &item->references[i];
        if (r->link && !r->type && !r->item)
            SL_TRY(cut(s, item, r->span, stray, true));
    }
    return SL_OK;
}

static enum sl_status cut_constants(struct segmenter *s, struct sl_item *item)
{
    struct sl_cause unknown = {.class_bit = SL_CLASS_LIMIT, .why = "unknown-element"};
    for (uint32_t i = 0; i < item->unknown_count; i++)
        SL_TRY(cut(s, item, item->unknown[i], unknown, true));
    SL_TRY(cut_stray_links(s, item));
    if (sl_ruling_may_text(item->ruling))
        return SL_OK;
    struct sl_cause narrative = {.class_bit = SL_CLASS_LIMIT, .why = "narrative"};
    for (uint32_t i = 0; i < item->text_count; i++)
        if (is_narrative(item->doc, item->texts[i]))
            SL_TRY(cut(s, item, item->texts[i], narrative, true));
    return SL_OK;
}

static enum sl_status cut_parts(struct segmenter *s, struct sl_item *item)
{
    for (uint32_t i = 0; i < item->part_count && is_released(item); i++) {
        struct sl_part *part = &item->parts[i];
        struct sl_verdict verdict = sl_decide_part(item->ruling, item, part);
        part->cut = verdict.decision != SL_RELEASED;
        if (part->cut)
            SL_TRY(cut(s, item, part->span, verdict.cause, false));
    }
    return SL_OK;
}

/* The patient an item is about is no secret in the item; what else is withheld is not referred to. */
static bool leads_to_withheld(const struct sl_reference *reference)
{
    return reference->kind != SL_REF_SUBJECT && reference->item && !is_released(reference->item);
}

static enum sl_status cut_references(struct segmenter *s, struct sl_item *item)
{
    struct sl_cause cause = {.class_bit = SL_CLASS_LIMIT, .why = "reference-withheld"};
    for (uint32_t i = 0; i < item->reference_count && is_released(item); i++)
        if (leads_to_withheld(&item->references[i]))
            SL_TRY(cut(s, item, item->references[i].element, cause, false));
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
        item->verdict = &verdicts[i];
        item->route = NULL;
        item->cuts = NULL;
    }
    return SL_OK;
}

static enum sl_status cut_item(struct segmenter *s, struct sl_item *item)
{
    if (!is_released(item))
        return SL_OK;
    SL_TRY(cut_constants(s, item));
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

/* Is the value still there, in what goes out? */
static bool is_left(const struct gone *gone, const struct sl_item *item, uint32_t span)
{
    const struct sl_doc *doc = item->doc;
    if (!gone || span < item->span || span >= doc->spans[item->span].next)
        return false;
    while (span != item->span && !is_gone(gone, span))
        span = doc->parents[span];
    return span == item->span && !is_gone(gone, span);
}

static bool is_shown(struct segmenter *s, const struct sl_item *item, const struct sl_reference *reference)
{
    return is_left(gone_of(s, item->doc), item, reference->span);
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
            is_target(item, &item->references[r]) || !is_shown(s, item, &item->references[r]))
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
        if (item->route && item->route != item->lead && !(leads(item->route) && is_shown(s, item->route, s->ways[i]))) {
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
    s->ways = any ? sl_arena_array(s->arena, s->count, sizeof *s->ways) : NULL;
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
    const struct gone *gone = item->part_count || item->inline_count ? gone_of(s, item->doc) : NULL;
    for (uint32_t i = 0; i < item->part_count; i++) {
        item->parts[i].cut |= !is_left(gone, item, item->parts[i].span);
        item->parts[i].label = (struct sl_slice){NULL, 0};
    }
    for (uint32_t i = 0; i < item->inline_count; i++)
        item->inlines[i].cut = !is_left(gone, item, item->inlines[i].span);
}

/* ---- The two doors of this module ---- */

/* What is cut out of a contained resource is cut out of the one that holds it: so it is told, and so it is edited. Told
 * in the order of cutting, which is nearly that of the document: so that places in arrays need not be counted anew. */
static void report_cuts(struct segmenter *s, const struct sl_item *item)
{
    const struct sl_item *root = item;
    while (root->container)
        root = root->container;
    if (root->context || !is_released(root) || !is_released(item))
        return;
    size_t count = 0, at = 0;
    for (const struct sl_cut *c = item->cuts; c; c = c->next)
        count++;
    const struct sl_cut **cuts = count ? sl_arena_array(s->arena, count, sizeof *cuts) : NULL;
    if (!cuts)
        return;
    for (const struct sl_cut *c = item->cuts; c; c = c->next)
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
    struct segmenter s = {.labeller = labeller, .arena = arena, .report = report};
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
    SL_TRY(follow_routes(&s));
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
    for (const struct sl_cut *c = item->cuts; c; c = c->next)
        sl_edit_cut(edits, c->span);
}

enum sl_status sl_segment_edit(const struct sl_item *item, struct sl_edits *edits, struct sl_arena *arena)
{
    if (!is_released(item)) {
        sl_edit_cut(edits, item->span);
        return SL_OK;
    }
    edit_cuts(item, edits);
    /* What is contained follows its container: up to the next item that stands by itself. */
    for (const struct sl_item *within = item->next; within && within->container; within = within->next)
        edit_cuts(within, edits);
    SL_TRY(sl_inline_edit(item, edits, arena));
    for (const struct sl_item *within = item->next; within && within->container; within = within->next)
        if (is_released(within))
            SL_TRY(sl_inline_edit(within, edits, arena));
    return sl_segment_edit_meta(item, edits, arena);
}
