/* SPDX-License-Identifier: Apache-2.0 */
/* What the client asks for, in its own words: headers, body, condition. Nothing here can depend on what there is. */
#include "format.h"
#include "write_parts.h"

/* RFC 7240: what is not known is passed over, which a preference allows. */
static enum sl_write_prefer read_prefer(const struct sl_request *request)
{
    enum sl_write_prefer prefer = SL_PREFER_REPRESENTATION;
    for (size_t i = 0; i < request->header_count; i++) {
        struct sl_slice list = request->headers[i].value;
        while (sl_format_same(request->headers[i].name, SL_LIT("prefer")) && list.len) {
            struct sl_slice one = sl_format_take(&list, ',');
            struct sl_slice word = sl_format_take(&one, ';');
            if (sl_format_same(word, SL_LIT("return=minimal")))
                prefer = SL_PREFER_MINIMAL;
            else if (sl_format_same(word, SL_LIT("return=OperationOutcome")))
                prefer = SL_PREFER_OUTCOME;
            else if (sl_format_same(word, SL_LIT("return=representation")))
                prefer = SL_PREFER_REPRESENTATION;
        }
    }
    return prefer;
}

bool sl_write_is_condition(const struct sl_search *search)
{
    return search->param_count && !search->include_count && !search->count && !search->cursor.len &&
           !search->total.len && !search->summary.len && !search->elements.len;
}

static enum sl_status read_condition(struct sl_exchange *x, struct sl_slice query)
{
    struct sl_issues issues = {.arena = x->arena};
    struct sl_write *write = x->write;
    enum sl_status status =
        sl_search_read(x->arena, x->interaction.type, query, (struct sl_slice){NULL, 0}, &issues, &write->condition);
    if (status != SL_OK && issues.first)
        x->detail = issues.first->text;
    write->has_condition = true;
    return status == SL_OK && !sl_write_is_condition(&write->condition) ? SL_BAD_PARAMETER : status;
}

/* "?a=b", "a=b" or "Type?a=b" (http.html, 3.1.0.9.1) */
static enum sl_status read_none_exist(struct sl_exchange *x)
{
    size_t count = 0;
    struct sl_slice query = sl_request_header(x->request, SL_LIT("if-none-exist"), &count);
    if (!count)
        return SL_OK;
    if (sl_slice_starts(query, x->interaction.type_name))
        query = sl_slice_from(query, x->interaction.type_name.len);
    if (sl_slice_starts(query, SL_LIT("?")))
        query = sl_slice_from(query, 1);
    return count == 1 && query.len ? read_condition(x, query) : SL_BAD_PARAMETER;
}

static enum sl_status read_headers(struct sl_exchange *x)
{
    size_t count = 0;
    struct sl_write *write = x->write;
    write->prefer = read_prefer(x->request);
    write->if_match = sl_request_header(x->request, SL_LIT("if-match"), &count);
    if (count > 1 || (count && !write->if_match.len)) /* an empty one names no version, and is no leave to do without */
        return SL_BAD_PARAMETER;
    if (write->conditional)
        return read_condition(x, x->interaction.query);
    if (x->interaction.kind == SL_CREATE)
        return read_none_exist(x);
    return count || x->interaction.kind == SL_DELETE ? SL_OK : SL_PRECONDITION_REQUIRED;
}

/* A resource must be what the request says; a patch is held against R4 once it has been applied. */
static enum sl_status read_sent(struct sl_exchange *x)
{
    struct sl_issues issues = {.arena = x->arena};
    const char *why;
    SL_TRY(sl_body_form(x->request, x->interaction.kind == SL_PATCH, &x->write->form, &why));
    SL_TRY(sl_body_read(x, &x->write->sent));
    if (x->interaction.kind == SL_PATCH)
        return SL_OK;
    enum sl_status status = sl_body_check(&x->write->sent, x->interaction.type, x->interaction.id, x->arena, &issues);
    if (status != SL_OK && issues.first)
        x->detail = issues.first->text;
    return status == SL_OK ? sl_write_own_doc(x, &x->write->sent) : status;
}

enum sl_status sl_write_read(struct sl_exchange *x)
{
    x->write = sl_arena_alloc(x->arena, sizeof *x->write);
    if (!x->write)
        return SL_NO_MEMORY;
    x->write->conditional = x->interaction.kind != SL_CREATE && !x->interaction.id.len;
    SL_TRY(read_headers(x));
    return x->interaction.kind == SL_DELETE ? SL_OK : read_sent(x);
}
