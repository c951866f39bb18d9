/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits and changes: what of a released item no list keeps is cut, and what goes on terms of a change is changed. One
 * walk over the spans of an item, in their order; where a path of a list ends, what is below is not looked at again
 * unless something is to be changed. The terms go by rule, party and policy, never by what else is cut: so the cuts do
 * not count as changes to numbered parts.
 */
#include "segmenting.h"

#include <time.h>

#include "change.h"
#include "ruling.h"

#define MAX_FRAMES 130u

/* A container on the way down. */
struct frame {
    uint32_t end;     /* its spans end before this */
    uint32_t step;    /* of the tree of lists; 0: on no path */
    uint32_t whole;   /* lists that keep all that is in it */
    uint32_t pending; /* changes by which all that is in it would go, but that some term keeps the whole without them */
    sl_r4_node node;  /* of the object; of an array, of its values */
    const struct sl_r4_element *element; /* of an array: whose values these are; NULL: it is an object */
};

struct walk {
    const struct sl_policy *policy;
    const struct sl_terms *terms;
    struct sl_item *item;
    struct sl_arena *arena;
    const struct sl_limit_calls *calls;
    void *context;
    int year;
    uint32_t changes; /* all that some term makes */
    struct frame frames[MAX_FRAMES];
    unsigned depth;
};

static uint32_t find_step(const struct sl_policy *policy, uint32_t above, sl_name name)
{
    uint32_t at = above ? policy->kept[above].child : 0;
    while (at && policy->kept[at].name != name)
        at = policy->kept[at].next;
    return at;
}

/* The lists that keep the whole of a type, and of those that name it the step. */
static uint32_t lists_of_type(const struct sl_policy *policy, sl_r4_node type, uint32_t *step)
{
    *step = policy->kept_types ? policy->kept_types[type] : 0;
    uint32_t named = *step ? policy->kept[*step].whole | policy->kept[*step].part : 0;
    return (policy->kept_others & ~named) | (*step ? policy->kept[*step].whole : 0) | 1;
}

bool sl_limit_keeps_type(const struct sl_policy *policy, const struct sl_terms *terms, sl_r4_node type)
{
    uint32_t step, whole = lists_of_type(policy, type, &step);
    return sl_terms_keep(policy, terms, whole | (step ? policy->kept[step].part : 0));
}

static bool is_half(const struct sl_doc *doc, uint32_t span)
{
    const struct sl_span *above = &doc->spans[doc->parents[span]];
    return (doc->spans[span].flags | (above->type == SL_SPAN_ARRAY ? above->flags : 0)) & SL_SPAN_SIBLING;
}

static enum sl_change_effect apply(
    const struct walk *w, uint32_t span, const struct sl_r4_element *element, uint32_t changes, struct sl_slice *text)
{
    const struct sl_change_place place = {.doc = w->item->doc,
        .span = span,
        .parent = element->parent,
        .element = element,
        .half = is_half(w->item->doc, span),
        .year = w->year,
        .arena = w->arena};
    return sl_change_apply(changes, &place, text);
}

/* Changes that are not made to the element as a whole, since one of several terms keeps it without them, and that would
 * have it go: what that term does not keep of it goes by them. */
static uint32_t find_pending(const struct walk *w, uint32_t span, const struct sl_r4_element *element, uint32_t made)
{
    uint32_t pending = 0;
    struct sl_slice text = {NULL, 0};
    for (uint32_t rest = w->changes & ~made; rest; rest &= rest - 1)
        if (apply(w, span, element, rest & -rest, &text) != SL_CHANGE_KEEP)
            pending |= rest & -rest;
    return pending;
}

/* All that the '_' half says; not the half itself, with which its value would go. */
static enum sl_status cut_half(const struct walk *w, uint32_t half)
{
    const struct sl_doc *doc = w->item->doc;
    uint32_t end = doc->spans[half].type == SL_SPAN_OBJECT ? doc->spans[half].next : half;
    for (uint32_t i = half + 1; i < end; i = doc->spans[i].next)
        SL_TRY(w->calls->cut(w->context, w->item, i));
    return SL_OK;
}

/* What is changed in one value; *gone: nothing below it is left to look at. */
static enum sl_status change_value(
    struct walk *w, uint32_t span, struct frame *inner, const struct sl_r4_element *element, uint32_t part, bool *gone)
{
    struct sl_slice text = {NULL, 0};
    uint32_t changes = sl_terms_changes(w->policy, w->terms, inner->whole | part);
    enum sl_change_effect effect = changes & inner->pending ? SL_CHANGE_CUT : apply(w, span, element, changes, &text);
    *gone = effect != SL_CHANGE_KEEP;
    if (effect == SL_CHANGE_CUT)
        return is_half(w->item->doc, span) ? cut_half(w, span) : w->calls->cut(w->context, w->item, span);
    if (effect == SL_CHANGE_REPLACE)
        return text.ptr ? w->calls->change(w->context, w->item, span, text) : SL_NO_MEMORY;
    inner->pending |= find_pending(w, span, element, changes);
    return SL_OK;
}

/* What becomes of one value; *into: the walk is to go into it. */
static enum sl_status judge_value(
    struct walk *w, uint32_t span, struct frame *inner, const struct sl_r4_element *element, bool *into)
{
    const struct sl_span *s = &w->item->doc->spans[span];
    uint32_t part = inner->step ? w->policy->kept[inner->step].part : 0;
    bool gone = false;
    if (w->changes && element && s->type != SL_SPAN_ARRAY)
        SL_TRY(change_value(w, span, inner, element, part, &gone));
    /* Kept as a whole on every term: nothing below can go. What is contained is an item of its own. */
    bool settled = !w->changes && sl_terms_keep(w->policy, w->terms, inner->whole);
    bool contained = element && element->flags & SL_R4_RESOURCE && s->type == SL_SPAN_OBJECT;
    *into = (s->type == SL_SPAN_OBJECT || s->type == SL_SPAN_ARRAY) && !gone && !settled && !contained;
    return SL_OK;
}

/* A span below the frame: what of the tree it stands at, and whether any list keeps it. */
static enum sl_status visit(struct walk *w, uint32_t span, bool *into)
{
    const struct frame *f = &w->frames[w->depth - 1];
    const struct sl_span *s = &w->item->doc->spans[span];
    bool member = !f->element;
    const struct sl_r4_element *element = member ? (f->node ? sl_r4_element(f->node, s->name) : NULL) : f->element;
    struct frame inner = {.end = s->next, .step = f->step, .whole = f->whole, .pending = f->pending};
    *into = false;
    if (member) {
        inner.step = find_step(w->policy, f->step, s->name);
        inner.whole |= inner.step ? w->policy->kept[inner.step].whole : 0;
        if (w->depth == 1 && sl_kept_always(s->name))
            inner.whole = ~(uint32_t)0;
    }
    uint32_t part = inner.step ? w->policy->kept[inner.step].part : 0;
    if (!sl_terms_keep(w->policy, w->terms, inner.whole | part))
        return w->calls->cut(w->context, w->item, span);
    SL_TRY(judge_value(w, span, &inner, element, into));
    if (!*into)
        return SL_OK;
    inner.element = s->type == SL_SPAN_ARRAY ? element : NULL;
    inner.node = is_half(w->item->doc, span) ? SL_R4_Element : element ? element->node : 0;
    if (w->depth < MAX_FRAMES)
        w->frames[w->depth++] = inner;
    return w->depth < MAX_FRAMES ? SL_OK : SL_LIMIT;
}

static enum sl_status walk_from(struct walk *w, uint32_t span, uint32_t end)
{
    while (span < end && w->calls->goes(w->context, w->item)) {
        bool into;
        while (w->depth > 1 && span >= w->frames[w->depth - 1].end)
            w->depth--;
        SL_TRY(visit(w, span, &into));
        span = into ? span + 1 : w->item->doc->spans[span].next;
    }
    return SL_OK;
}

static int year_of(int64_t now)
{
    time_t when = (time_t)now;
    struct tm tm;
    return gmtime_r(&when, &tm) ? tm.tm_year + 1900 : 9999;
}

static struct walk begin(struct sl_item *item, const struct sl_terms *terms, struct sl_arena *arena,
    const struct sl_limit_calls *calls, void *context)
{
    struct walk w = {.policy = item->ruling->policy,
        .terms = terms,
        .item = item,
        .arena = arena,
        .calls = calls,
        .context = context,
        .year = year_of(item->ruling->now)};
    struct frame *root = &w.frames[0];
    for (unsigned i = 0; i < terms->count; i++)
        for (uint64_t rest = terms->clause[i]; rest; rest &= rest - 1)
            w.changes |= w.policy->terms[__builtin_ctzll(rest)].changes;
    *root = (struct frame){.end = item->doc->spans[item->span].next, .node = item->type};
    root->whole = lists_of_type(w.policy, item->type, &root->step);
    w.depth = 1;
    return w;
}

enum sl_status sl_limit_item(struct sl_item *item, const struct sl_terms *terms, struct sl_arena *arena,
    const struct sl_limit_calls *calls, void *context)
{
    struct walk w = begin(item, terms, arena, calls, context);
    return walk_from(&w, item->span + 1, w.frames[0].end);
}

/* From the root of the item down to the span, then all that is in it. */
enum sl_status sl_limit_part(struct sl_item *item, uint32_t span, const struct sl_terms *terms, struct sl_arena *arena,
    const struct sl_limit_calls *calls, void *context)
{
    const struct sl_doc *doc = item->doc;
    struct walk w = begin(item, terms, arena, calls, context);
    uint32_t way[MAX_FRAMES];
    unsigned count = 0;
    bool into = true;
    for (uint32_t at = span; at != item->span && count < MAX_FRAMES; at = doc->parents[at]) {
        if (at == 0 || at < item->span)
            return SL_OK;
        way[count++] = at;
    }
    if (count == MAX_FRAMES)
        return SL_LIMIT;
    while (count && into && calls->goes(context, item))
        SL_TRY(visit(&w, way[--count], &into));
    return into && !count ? walk_from(&w, span + 1, doc->spans[span].next) : SL_OK;
}
