/* SPDX-License-Identifier: Apache-2.0 */
/* A Bundle at the offline door: see offline_bundle.h. The members are those of Bundle in FHIR 4.0.1. */
#include "offline_bundle.h"

static bool is_type(const struct sl_doc *doc, const char *type)
{
    uint32_t member = sl_span_member(doc, 0, SL_NAME_type);
    return member && sl_span_is(doc, member, sl_slice_of(type));
}

/* bdl-3 and bdl-4: where entries have a request, a response. */
static bool has_requests(const struct sl_doc *doc)
{
    return is_type(doc, "batch") || is_type(doc, "transaction") || is_type(doc, "history");
}

static bool has_responses(const struct sl_doc *doc)
{
    return is_type(doc, "batch-response") || is_type(doc, "transaction-response") || is_type(doc, "history");
}

struct sl_item *sl_bundle_item(
    struct sl_offline *offline, const struct sl_doc *doc, uint32_t span, struct sl_item **from)
{
    struct sl_item *item = *from ? *from : sl_labeller_items(sl_pass_labeller(offline->pass));
    for (; item; item = item->next)
        if (item->doc == doc && item->span == span && !item->context) {
            *from = item;
            return item;
        }
    return NULL;
}

/* ---- What becomes of it ---- */

static bool goes(const struct sl_item *item)
{
    return item && item->verdict && item->verdict->decision == SL_RELEASED;
}

static bool goes_whole(const struct sl_item *item)
{
    bool whole = goes(item) && !item->cuts;
    for (const struct sl_item *within = item ? item->next : NULL; whole && within && within->container;
         within = within->next)
        whole = goes(within) && !within->cuts;
    return whole;
}

struct standing {
    bool first, whole; /* the first entry goes; all of it goes, uncut */
    uint32_t entries;
};

static struct standing look(struct sl_offline *offline, const struct sl_doc *doc)
{
    struct standing standing = {.whole = true};
    struct sl_item *from = NULL;
    uint32_t entries = sl_span_member(doc, 0, SL_NAME_entry);
    for (uint32_t e = entries + 1; entries && e < doc->spans[entries].next; e = doc->spans[e].next) {
        uint32_t resource = doc->spans[e].type == SL_SPAN_OBJECT ? sl_span_member(doc, e, SL_NAME_resource) : 0;
        const struct sl_item *item = resource ? sl_bundle_item(offline, doc, resource, &from) : NULL;
        if (standing.entries++ == 0)
            standing.first = goes(item);
        standing.whole &= goes_whole(item);
    }
    return standing;
}

static void withhold_all(struct sl_offline *offline, const struct sl_doc *doc, struct sl_segment_report *report)
{
    for (struct sl_item *item = sl_labeller_items(sl_pass_labeller(offline->pass)); item; item = item->next) {
        if (item->doc != doc || item->context || !goes(item))
            continue;
        *item->verdict = (struct sl_verdict){
            .decision = SL_WITHHELD, .cause = {.class_bit = SL_CLASS_LIMIT, .why = "document-not-whole"}};
        if (item->container)
            continue;
        report->resources_released--;
        report->resources_withheld++;
    }
    fprintf(stderr, "withheld Bundle: nothing of it can go alone, and not all of it may why=document-not-whole\n");
}

enum sl_bundle_fate sl_bundle_judge(
    struct sl_offline *offline, const struct sl_doc *doc, struct sl_segment_report *report)
{
    bool document = is_type(doc, "document"), message = is_type(doc, "message");
    if (!document && !message)
        return SL_BUNDLE_GOES;
    bool is_signed = document && sl_span_member(doc, 0, SL_NAME_signature);
    struct standing standing = look(offline, doc);
    if (is_signed && standing.whole)
        return SL_BUNDLE_WHOLE;
    /* bdl-11, bdl-12: a document begins with its Composition, a message with its header. */
    if (!is_signed && (standing.first || !standing.entries))
        return SL_BUNDLE_GOES;
    withhold_all(offline, doc, report);
    return SL_BUNDLE_STAYS;
}

/* ---- Members ---- */

void sl_bundle_cut_members(struct sl_edits *edits, const struct sl_doc *doc)
{
    bool document = is_type(doc, "document"); /* bdl-9 asks for an identifier there */
    for (uint32_t m = 1; m < doc->spans[0].next; m = doc->spans[m].next)
        switch (doc->spans[m].name) {
        case SL_NAME_resourceType:
        case SL_NAME_id:
        case SL_NAME_type:
        case SL_NAME_timestamp:
        case SL_NAME_language:
        case SL_NAME_entry:
            break;
        case SL_NAME_identifier:
            if (!document)
                sl_edit_cut(edits, m);
            break;
        default:
            sl_edit_cut(edits, m);
            break;
        }
}

static void keep_only(struct sl_edits *edits, const struct sl_doc *doc, uint32_t object, const sl_name *names)
{
    for (uint32_t m = object + 1; m < doc->spans[object].next; m = doc->spans[m].next) {
        unsigned i = 0;
        while (names[i] && names[i] != doc->spans[m].name)
            i++;
        if (!names[i] || doc->spans[m].flags & SL_SPAN_SIBLING)
            sl_edit_cut(edits, m);
    }
}

/* A request that finds its record by a search says what of it was searched for: it is one to make the record. */
static void edit_request(struct sl_edits *edits, const struct sl_doc *doc, uint32_t request, const struct sl_item *item,
    struct sl_arena *arena)
{
    static const sl_name kept[] = {SL_NAME_method, SL_NAME_url, 0};
    if (doc->spans[request].type != SL_SPAN_OBJECT)
        return;
    keep_only(edits, doc, request, kept);
    uint32_t url = sl_span_member(doc, request, SL_NAME_url);
    struct sl_slice type = sl_r4_node_name(item->type);
    struct sl_slice name = sl_arena_printf(arena, "%.*s/%.*s", SL_FMT(type), SL_FMT(item->id));
    if (!url || sl_span_is(doc, url, type) || sl_span_is(doc, url, name))
        return;
    sl_edit_replace(edits, url, sl_arena_printf(arena, "\"%.*s\"", SL_FMT(type)));
}

void sl_bundle_cut_entry(struct sl_edits *edits, const struct sl_doc *doc, uint32_t entry, const struct sl_item *item,
    struct sl_arena *arena)
{
    static const sl_name mode[] = {SL_NAME_mode, 0};
    static const sl_name response[] = {SL_NAME_status, SL_NAME_location, SL_NAME_etag, SL_NAME_lastModified, 0};
    for (uint32_t m = entry + 1; m < doc->spans[entry].next; m = doc->spans[m].next) {
        bool object = doc->spans[m].type == SL_SPAN_OBJECT;
        switch (doc->spans[m].name) {
        case SL_NAME_fullUrl:
        case SL_NAME_resource:
            break;
        case SL_NAME_search:
            if (object)
                keep_only(edits, doc, m, mode);
            break;
        case SL_NAME_request:
            if (has_requests(doc))
                edit_request(edits, doc, m, item, arena);
            else
                sl_edit_cut(edits, m);
            break;
        case SL_NAME_response:
            if (has_responses(doc) && object)
                keep_only(edits, doc, m, response);
            else
                sl_edit_cut(edits, m);
            break;
        default:
            sl_edit_cut(edits, m);
            break;
        }
    }
}
