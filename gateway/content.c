/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Content and the way to it. A url that leads to a record of the upstream is written anew, so that it leads to us: to
 * the record, and where that is reached by route alone, with the record that leads to it, so that a read need look at
 * no other. And what a Binary holds, as bytes.
 *
 * Bytes of anybody's making go out under our name: a browser must neither guess what they are, nor show them as a page
 * of ours, nor run what is in them.
 */
#include "exchange.h"
#include "sluice/content.h"

/* ---- Links ---- */

static struct sl_slice front(struct sl_exchange *x, const struct sl_found *found, const struct sl_reference *link)
{
    struct sl_slice base = x->state->gateway->config->url, type = sl_r4_node_name(found->entry->type);
    if (!(sl_r4_facts(link->type) & SL_R4_BY_ROUTE))
        return sl_arena_printf(x->arena, "\"%.*s/%.*s\"", SL_FMT(base), SL_FMT(link->target));
    return sl_arena_printf(x->arena, "\"%.*s/%.*s?_route=%.*s/%.*s\"", SL_FMT(base), SL_FMT(link->target), SL_FMT(type),
        SL_FMT(found->entry->id));
}

enum sl_status sl_content_front(struct sl_exchange *x, const struct sl_found *found)
{
    const struct sl_item *item = found->item;
    do { /* what is contained follows */
        for (uint32_t i = 0; i < item->reference_count; i++) {
            const struct sl_reference *r = &item->references[i];
            if (!r->link || !r->type || sl_edit_is_cut(found->page->edits, r->span))
                continue;
            struct sl_slice url = front(x, found, r);
            if (!url.ptr)
                return SL_NO_MEMORY;
            sl_edit_replace(found->page->edits, r->span, url);
        }
        item = item->next;
    } while (item && item->container);
    return SL_OK;
}

/* ---- Bytes ---- */

static bool is_token(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

static size_t token_len(struct sl_slice text)
{
    size_t len = 0;
    while (len < text.len && is_token(text.ptr[len]))
        len++;
    return len;
}

/* RFC 9110, 8.3.1: type "/" subtype, and what stands behind it in printable ASCII. Anything else is no header of ours.
 */
static bool is_media_type(struct sl_slice text)
{
    size_t type = token_len(text);
    struct sl_slice rest = sl_slice_from(text, type);
    if (!type || text.len > 256 || !rest.len || rest.ptr[0] != '/')
        return false;
    rest = sl_slice_from(rest, 1);
    size_t subtype = token_len(rest);
    rest = sl_slice_from(rest, subtype);
    for (size_t i = 0; i < rest.len; i++)
        if (rest.ptr[i] < 0x20 || rest.ptr[i] > 0x7e || rest.ptr[i] == ',')
            return false;
    return subtype && (!rest.len || rest.ptr[0] == ';' || rest.ptr[0] == ' ');
}

/* What the Binary's `data` decodes to as it goes out. A Binary without data is empty; data that is no base64 can be
 * had as the resource alone. */
static enum sl_status bytes_of(
    struct sl_exchange *x, const struct sl_item *item, struct sl_slice *type, struct sl_slice *out)
{
    for (uint32_t i = 0; i < item->content_count; i++) {
        const struct sl_content *content = &item->contents[i];
        if (content->span != item->span || !content->data)
            continue;
        *type = content->type;
        *out = content->bytes;
        if (content->replacement.len)
            return sl_content_decode(content->replacement, x->arena, out) ? SL_OK : SL_NO_MEMORY;
        return content->bytes.len || !sl_span_raw(item->doc, content->data).len ? SL_OK : SL_NOT_ACCEPTABLE;
    }
    return SL_OK;
}

enum sl_status sl_content_answer(struct sl_exchange *x, const struct sl_found *found, struct sl_slice *type)
{
    struct sl_slice bytes = {NULL, 0};
    *type = (struct sl_slice){NULL, 0};
    SL_TRY(bytes_of(x, found->item, type, &bytes));
    if (!is_media_type(*type))
        *type = SL_LIT("application/octet-stream");
    sl_blocks_add(&x->body, bytes);
    return SL_OK;
}
