/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of writes: see body.h. */
#include "body.h"

#include "format.h"
#include "sluice/edit.h"
#include "sluice/r4_names.h"
#include "sluice/validate.h"
#include "sluice/xml.h"

#define WEIGHT 12u /* bytes that reading may need for each byte of a body: text, spans, the same as JSON */

static const struct media {
    struct sl_slice name;
    enum sl_body_form form;
} medias[] = {
    {{"application/fhir+json", 21}, SL_BODY_JSON},
    {{"application/json", 16}, SL_BODY_JSON},
    {{"text/json", 9}, SL_BODY_JSON},
    {{"application/fhir+xml", 20}, SL_BODY_XML},
    {{"application/xml", 15}, SL_BODY_XML},
    {{"text/xml", 8}, SL_BODY_XML},
    {{"application/json-patch+json", 27}, SL_BODY_JSON_PATCH},
};

/* ---- What it says it is ---- */

static struct sl_slice unquoted(struct sl_slice text)
{
    if (text.len >= 2 && text.ptr[0] == '"' && text.ptr[text.len - 1] == '"')
        return (struct sl_slice){text.ptr + 1, text.len - 2};
    return text;
}

/* A charset other than UTF-8 or another version of FHIR would make other things of the same bytes. */
static bool are_ours(struct sl_slice parameters)
{
    while (parameters.len) {
        struct sl_slice value = sl_format_take(&parameters, ';');
        struct sl_slice name = sl_format_take(&value, '='), text = unquoted(sl_format_take(&value, ';'));
        if ((sl_format_same(name, SL_LIT("charset")) && !sl_format_same(text, SL_LIT("utf-8"))) ||
            (sl_format_same(name, SL_LIT("fhirVersion")) && !sl_slice_eq(text, SL_LIT("4.0"))))
            return false;
    }
    return true;
}

static bool is_packed(const struct sl_request *request, bool *known)
{
    size_t count = 0;
    struct sl_slice coding = sl_request_header(request, SL_LIT("content-encoding"), &count);
    bool packed = sl_format_same(coding, SL_LIT("gzip")) || sl_format_same(coding, SL_LIT("x-gzip"));
    *known = !count || (count == 1 && (packed || sl_format_same(coding, SL_LIT("identity"))));
    return packed;
}

enum sl_status sl_body_form(const struct sl_request *request, bool patch, enum sl_body_form *out, const char **why)
{
    size_t count = 0;
    bool known;
    struct sl_slice rest = sl_request_header(request, SL_LIT("content-type"), &count);
    struct sl_slice name = sl_format_take(&rest, ';');
    *out = SL_BODY_NONE;
    (void)is_packed(request, &known);
    *why = known ? "content-type" : "content-encoding";
    if (!known || count != 1 || !are_ours(rest))
        return SL_MEDIA_TYPE;
    for (size_t i = 0; i < sizeof medias / sizeof *medias; i++)
        if (sl_format_same(name, medias[i].name) && (patch || medias[i].form != SL_BODY_JSON_PATCH))
            *out = medias[i].form;
    return *out ? SL_OK : SL_MEDIA_TYPE;
}

/* ---- Its bytes ---- */

enum sl_status sl_body_unpack(
    const struct sl_request *request, size_t limit, struct sl_arena *arena, struct sl_slice *out)
{
    bool known;
    *out = request->body;
    if (!is_packed(request, &known))
        return request->body.len <= limit ? SL_OK : SL_TOO_LARGE;
    return sl_format_gunzip(request->body, limit, arena, out);
}

/* ---- Its text ---- */

/* About the client's own bytes: where, and a literal that says what. */
static enum sl_status unreadable(struct sl_issues *issues, enum sl_status status, const struct sl_doc_error *error)
{
    if (status == SL_LIMIT)
        return SL_TOO_LARGE;
    if (status != SL_SYNTAX && status != SL_INVALID)
        return status;
    sl_issue_add(issues, SL_GRADE_ERROR, "body", "The body cannot be read at byte %zu: %s.", error->offset,
        error->why ? error->why : "not readable");
    return SL_BAD_SYNTAX;
}

static enum sl_status from_xml(
    struct sl_slice bytes, size_t limit, struct sl_arena *arena, struct sl_issues *issues, struct sl_slice *text)
{
    struct sl_doc_error error = {0};
    struct sl_buffer json;
    sl_buffer_init(&json, 2 * limit);
    enum sl_status status = unreadable(issues, sl_xml_read(arena, bytes, NULL, &json, &error), &error);
    if (status == SL_OK) {
        *text = sl_arena_copy(arena, sl_buffer_slice(&json));
        status = text->ptr ? SL_OK : SL_NO_MEMORY;
    }
    sl_buffer_fini(&json);
    return status;
}

enum sl_status sl_body_parse(enum sl_body_form form, struct sl_slice bytes, size_t limit, struct sl_arena *arena,
    struct sl_issues *issues, struct sl_slice *text, struct sl_doc *doc)
{
    struct sl_doc_error error = {0};
    *text = bytes;
    if (form == SL_BODY_XML)
        SL_TRY(from_xml(bytes, limit, arena, issues, text));
    return unreadable(issues, sl_doc_parse(arena, *text, NULL, doc, &error), &error);
}

/* How much a body may come to. */
static size_t weight_of(const struct sl_exchange *x, size_t limit)
{
    bool known;
    return WEIGHT * (is_packed(x->request, &known) ? limit : x->request->body.len);
}

enum sl_status sl_body_read(struct sl_exchange *x, struct sl_doc *out)
{
    const char *why;
    enum sl_body_form form;
    struct sl_slice bytes, text;
    struct sl_issues issues = {.arena = x->arena};
    size_t limit = (size_t)x->state->gateway->config->request_body, packed = 0;
    SL_TRY(sl_body_form(x->request, x->interaction.kind == SL_PATCH, &form, &why));
    SL_TRY(sl_exchange_reserve(x, &packed, weight_of(x, limit)));
    enum sl_status status = sl_body_unpack(x->request, limit, x->arena, &bytes);
    sl_exchange_release(x, packed);
    SL_TRY(status);
    SL_TRY(sl_exchange_reserve(x, &x->reserved, bytes.len * WEIGHT));
    status = sl_body_parse(form, bytes, limit, x->arena, &issues, &text, out);
    if (status != SL_OK && issues.first)
        x->detail = issues.first->text;
    return status;
}

/* ---- Is it what it should be? ---- */

static enum sl_status refuse(struct sl_issues *issues, const char *why)
{
    sl_issue_add(issues, SL_GRADE_ERROR, "body", "%s", why);
    return SL_BAD_SYNTAX;
}

static enum sl_status check_head(
    const struct sl_doc *doc, sl_r4_node type, struct sl_slice id, struct sl_issues *issues)
{
    if (doc->spans[0].type != SL_SPAN_OBJECT)
        return refuse(issues, "The body is no resource.");
    uint32_t named = sl_span_member(doc, 0, SL_NAME_resourceType), own = sl_span_member(doc, 0, SL_NAME_id);
    if (!named || !sl_span_is(doc, named, sl_r4_node_name(type)))
        return refuse(issues, "The body is a resource of another type than the request names.");
    if (id.len && (!own || !sl_span_is(doc, own, id)))
        return refuse(issues, "The body has another id than the request names, or none.");
    return SL_OK;
}

enum sl_status sl_body_check(
    const struct sl_doc *doc, sl_r4_node type, struct sl_slice id, struct sl_arena *arena, struct sl_issues *issues)
{
    SL_TRY(check_head(doc, type, id, issues));
    struct sl_findings *found = sl_arena_alloc(arena, sizeof *found);
    if (!found)
        return SL_NO_MEMORY;
    SL_TRY(sl_validate(doc, 0, arena, found));
    for (size_t i = 0; i < found->count; i++)
        if (strcmp(found->one[i].code, "structure") == 0)
            return refuse(issues, found->one[i].text);
    return found->more ? refuse(issues, "The body has too much that R4 does not allow.") : SL_OK;
}

/* ---- What it names ---- */

enum sl_status sl_body_relink(struct sl_arena *arena, struct sl_slice *text, sl_link_name name, void *context)
{
    struct sl_doc doc;
    struct sl_blocks blocks = {.arena = arena};
    bool any;
    SL_TRY(sl_doc_parse(arena, *text, NULL, &doc, NULL));
    struct sl_edits *edits = sl_edits_new(arena, &doc);
    if (!edits)
        return SL_NO_MEMORY;
    SL_TRY(sl_relink(edits, &doc, arena, name, context, &any));
    if (!any)
        return SL_OK;
    SL_TRY(sl_edit_gather(edits, 0, &blocks));
    return sl_blocks_join(&blocks, arena, text);
}
