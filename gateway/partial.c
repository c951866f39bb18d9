/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parts of a view at the recipient's own wish: _summary and _elements. They are left out of the view as it would go out
 * whole, after everything else has been done to it: labels were read off the whole record, and what is left out here is
 * no cut and plays no part in anything. Whatever is asked for in this way says so, by the tag SUBSETTED, whether
 * anything was left out or not (http://hl7.org/fhir/R4/search.html#summary).
 */
#include "exchange.h"
#include "sluice/fault.h"
#include "sluice/r4_names.h"
#include "view.h"

#define SUBSETTED "{\"system\":\"http://terminology.hl7.org/CodeSystem/v3-ObservationValue\",\"code\":\"SUBSETTED\"}"

static bool is_summary(const struct sl_exchange *x, const char *which)
{
    return sl_slice_eq(x->interaction.search.summary, sl_slice_of(which));
}

/* _elements names those of the type that is searched, so it is about matches; a summary is of everything. */
static bool is_partial(const struct sl_exchange *x, const struct sl_found *found)
{
    const struct sl_search *search = &x->interaction.search;
    if (search->elements.len)
        return found->match;
    return search->summary.len && !is_summary(x, "false");
}

bool sl_partial_is_wanted(const struct sl_exchange *x)
{
    const struct sl_search *search = &x->interaction.search;
    return search->elements.len || (search->summary.len && !is_summary(x, "false"));
}

static bool is_named(struct sl_slice elements, struct sl_slice name)
{
    while (elements.len) {
        const char *comma = memchr(elements.ptr, ',', elements.len);
        struct sl_slice one = {elements.ptr, comma ? (size_t)(comma - elements.ptr) : elements.len};
        if (sl_slice_eq(one, name))
            return true;
        elements = sl_slice_from(elements, one.len + 1);
    }
    return false;
}

/* "value" names each element of the choice value[x]. */
static bool is_choice_named(struct sl_slice elements, const struct sl_r4_element *element)
{
    struct sl_slice name = sl_name_text(element->name);
    for (size_t len = name.len; element->choice && len > 1; len--)
        if (name.ptr[len - 1] >= 'A' && name.ptr[len - 1] <= 'Z' &&
            is_named(elements, (struct sl_slice){name.ptr, len - 1}))
            return true;
    return false;
}

/* Does an element of the resource itself stay? Who it is, what R4 demands, and what changes the meaning of the rest
 * always does ("servers SHOULD always return mandatory elements"; a modifier that is not asked for is as needed). */
static bool stays(const struct sl_exchange *x, const struct sl_r4_element *element)
{
    struct sl_slice elements = x->interaction.search.elements;
    if (element->name == SL_NAME_resourceType || element->name == SL_NAME_id || element->name == SL_NAME_meta ||
        element->flags & (SL_R4_REQUIRED | SL_R4_MODIFIER))
        return true;
    if (elements.len)
        return is_named(elements, sl_name_text(element->name)) || is_choice_named(elements, element);
    if (is_summary(x, "data"))
        return element->name != SL_NAME_text;
    return is_summary(x, "text") ? element->name == SL_NAME_text : element->summary;
}

/* A part of a resource, with elements of its own in the definitions ("Claim.item"). */
static bool is_backbone(sl_r4_node node)
{
    struct sl_slice name = sl_r4_node_name(node);
    return name.len && memchr(name.ptr, '.', name.len);
}

static void trim(const struct sl_exchange *x, const struct sl_doc *doc, struct sl_edits *edits, uint32_t object,
    sl_r4_node node, bool root);

static void trim_within(
    const struct sl_exchange *x, const struct sl_doc *doc, struct sl_edits *edits, uint32_t span, sl_r4_node node)
{
    const struct sl_span *spans = doc->spans;
    if (spans[span].type == SL_SPAN_OBJECT)
        trim(x, doc, edits, span, node, false);
    for (uint32_t i = span + 1; spans[span].type == SL_SPAN_ARRAY && i < spans[span].next; i = spans[i].next)
        if (spans[i].type == SL_SPAN_OBJECT)
            trim(x, doc, edits, i, node, false);
}

/* Of a part that stays in a summary, what the definitions count to it: as deep as parts stand within parts, which is
 * bounded by the depth of a document. */
static void trim(const struct sl_exchange *x, const struct sl_doc *doc, struct sl_edits *edits, uint32_t object,
    sl_r4_node node, bool root)
{
    const struct sl_span *spans = doc->spans;
    for (uint32_t i = object + 1; i < spans[object].next; i = spans[i].next) {
        const struct sl_r4_element *element = sl_r4_element(node, spans[i].name);
        bool good = element &&
                    (root ? stays(x, element) : element->summary || element->flags & (SL_R4_REQUIRED | SL_R4_MODIFIER));
        if (!good)
            sl_edit_cut(edits, i);
        else if (is_summary(x, "true") && is_backbone(element->node))
            trim_within(x, doc, edits, i, element->node);
    }
}

/* The tag beside those that are there. */
static void mark(const struct sl_doc *doc, struct sl_edits *edits)
{
    uint32_t meta = sl_span_member(doc, 0, SL_NAME_meta);
    uint32_t tags = meta ? sl_span_member(doc, meta, SL_NAME_tag) : 0;
    if (tags && doc->spans[tags].type == SL_SPAN_ARRAY)
        sl_edit_add_item(edits, tags, SL_LIT(SUBSETTED));
    else if (meta)
        sl_edit_add_member(edits, meta, SL_LIT("\"tag\":[" SUBSETTED "]"));
    else
        sl_edit_add_member(edits, 0, SL_LIT("\"meta\":{\"tag\":[" SUBSETTED "]}"));
}

/* The blocks as one run of bytes. */
static struct sl_slice flatten(struct sl_exchange *x, const struct sl_blocks *blocks)
{
    char *text = sl_arena_raw(x->arena, blocks->total + 1, 1);
    size_t at = 0;
    for (const struct sl_block *block = blocks->first; text && block; block = block->next) {
        memcpy(text + at, block->ptr, block->len);
        at += block->len;
    }
    return (struct sl_slice){text, at};
}

static enum sl_status parse_view(struct sl_exchange *x, struct sl_blocks *view, struct sl_doc *doc)
{
    if (view->failed)
        return SL_NO_MEMORY;
    struct sl_slice text = flatten(x, view);
    if (!text.ptr)
        return SL_NO_MEMORY;
    enum sl_status status = sl_doc_parse(x->arena, text, NULL, doc, NULL);
    return status == SL_SYNTAX ? SL_CORRUPT : status; /* it is our own text */
}

enum sl_status sl_partial_write(struct sl_exchange *x, const struct sl_found *found, struct sl_blocks *out)
{
    struct sl_blocks view = {.arena = x->arena};
    struct sl_doc doc;
    if (!is_partial(x, found))
        return sl_view_write(x, found, out);
    SL_TRY(sl_view_write(x, found, &view));
    SL_TRY(parse_view(x, &view, &doc));
    struct sl_edits *edits = sl_edits_new(x->arena, &doc);
    if (!edits)
        return SL_NO_MEMORY;
    trim(x, &doc, edits, 0, found->entry->type, true);
    mark(&doc, edits);
    return sl_edit_gather(edits, 0, out);
}

bool sl_partial_is_rewritten(const struct sl_found *found)
{
    const struct sl_changed *changed = found->item ? found->item->changes : NULL;
    while (changed && changed->text.len && changed->text.ptr[0] == '"')
        changed = changed->next; /* a string stands where one stood: searches read it there */
    return changed || found->renamed;
}

enum sl_status sl_partial_read(struct sl_exchange *x, const struct sl_found *found, struct sl_doc *out)
{
    struct sl_blocks view = {.arena = x->arena};
    SL_TRY(sl_edit_gather(found->page->edits, found->entry->root, &view));
    return parse_view(x, &view, out);
}

enum sl_status sl_partial_match(
    struct sl_exchange *x, const struct sl_search *search, const struct sl_found *found, bool *match)
{
    struct sl_doc doc;
    if (sl_search_means(search) && sl_fault(SL_FAULT_CONTENT_UNCUT)) {
        *match = sl_search_match(search, &found->page->doc, found->entry->root, NULL);
        return SL_OK;
    }
    SL_TRY(sl_partial_read(x, found, &doc));
    *match = sl_search_match(search, &doc, 0, NULL);
    return SL_OK;
}
