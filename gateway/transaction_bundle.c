/* SPDX-License-Identifier: Apache-2.0 */
/* What a transaction gives to the upstream, all at once, and what comes back. */
#include "body.h"
#include "sluice/r4_names.h"
#include "transaction_parts.h"

static struct sl_slice url_of(
    void *context, enum sl_link_form form, const struct sl_r4_element *element, struct sl_slice url)
{
    const struct sl_exchange *x = context;
    const struct sl_member *part = sl_transaction_maker(x->transaction, url);
    (void)form;
    (void)element;
    return part ? sl_arena_printf(x->arena, "urn:uuid:%.*s", SL_FMT(part->id)) : (struct sl_slice){NULL, 0};
}

static enum sl_status add_sent(struct sl_exchange *x, const struct sl_member *part, struct sl_blocks *out)
{
    static const char *const methods[] = {
        [SL_WRITE_CREATED] = "POST", [SL_WRITE_CHANGED] = "PUT", [SL_WRITE_GONE] = "DELETE"};
    const struct sl_write *write = part->inner->write;
    struct sl_slice text = write->ask.body, type = part->inner->interaction.type_name;
    bool creates = write->outcome == SL_WRITE_CREATED;
    sl_blocks_add(out, out->total ? SL_LIT(",{")
                                  : SL_LIT("{\"resourceType\":\"Bundle\",\"type\":\"transaction\","
                                           "\"entry\":[{"));
    if (creates)
        sl_blocks_add(out, sl_arena_printf(x->arena, "\"fullUrl\":\"urn:uuid:%.*s\",", SL_FMT(part->id)));
    if (text.len) {
        SL_TRY(sl_body_relink(x->arena, &text, url_of, x));
        sl_blocks_add(out, SL_LIT("\"resource\":"));
        sl_blocks_add(out, text);
        sl_blocks_add(out, SL_LIT(","));
    }
    sl_blocks_add(
        out, sl_arena_printf(x->arena, "\"request\":{\"method\":\"%s\",\"url\":\"%.*s%s%.*s\"", methods[write->outcome],
                 SL_FMT(type), creates ? "" : "/", SL_FMT(creates ? SL_LIT("") : write->ask.id)));
    if (write->ask.version.len)
        sl_blocks_add(out, sl_arena_printf(x->arena, ",\"ifMatch\":\"W/\\\"%.*s\\\"\"", SL_FMT(write->ask.version)));
    sl_blocks_add(out, SL_LIT("}}"));
    return SL_OK;
}

enum sl_status sl_transaction_gather(struct sl_exchange *x, struct sl_slice *out)
{
    struct sl_transaction *t = x->transaction;
    struct sl_blocks blocks = {.arena = x->arena};
    *out = (struct sl_slice){NULL, 0};
    for (size_t i = 0; i < t->count; i++)
        if (sl_member_is_sent(t->order[i]))
            SL_TRY(add_sent(x, t->order[i], &blocks));
    if (!blocks.total)
        return SL_OK;
    sl_blocks_add(&blocks, SL_LIT("]}"));
    return sl_arena_failed(x->arena) ? SL_NO_MEMORY : sl_blocks_join(&blocks, x->arena, out);
}

/* Of a response: "Type/id/_history/1" and W/"1". */
static bool read_response(const struct sl_doc *doc, uint32_t entry, struct sl_ask *ask, struct sl_arena *arena)
{
    uint32_t response = sl_span_member(doc, entry, SL_NAME_response);
    uint32_t at = response ? sl_span_member(doc, response, SL_NAME_location) : 0;
    uint32_t etag = response ? sl_span_member(doc, response, SL_NAME_etag) : 0;
    struct sl_slice id =
        sl_upstream_located(at ? sl_span_string(doc, at, arena) : (struct sl_slice){NULL, 0}, ask->type);
    ask->version = sl_upstream_version(etag ? sl_span_string(doc, etag, arena) : (struct sl_slice){NULL, 0});
    if (ask->kind == SL_ASK_CREATE)
        ask->id = id;
    return ask->id.len > 0;
}

/* What has become of each. Where that cannot be read nobody knows. */
enum sl_status sl_transaction_read_answer(struct sl_exchange *x)
{
    struct sl_transaction *t = x->transaction;
    struct sl_doc doc;
    if (sl_doc_parse(x->arena, t->ask.text, NULL, &doc, NULL) != SL_OK || doc.spans[0].type != SL_SPAN_OBJECT)
        return SL_UPSTREAM;
    uint32_t list = sl_span_member(&doc, 0, SL_NAME_entry), at = list + 1;
    if (!list || doc.spans[list].type != SL_SPAN_ARRAY)
        return SL_UPSTREAM;
    for (size_t i = 0; i < t->count; i++) {
        if (!sl_member_is_sent(t->order[i]))
            continue;
        if (at >= doc.spans[list].next || doc.spans[at].type != SL_SPAN_OBJECT ||
            !read_response(&doc, at, &t->order[i]->inner->write->ask, x->arena))
            return SL_UPSTREAM;
        at = doc.spans[at].next;
    }
    return sl_arena_failed(x->arena) ? SL_UPSTREAM : SL_OK;
}

/* Whom it is about, by the ids that they have now. */
void sl_transaction_rename_patients(struct sl_exchange *x, struct sl_exchange *inner)
{
    struct sl_slice rest = inner->write->patients, all = {NULL, 0};
    while (rest.len) {
        const char *space = memchr(rest.ptr, ' ', rest.len);
        struct sl_slice one = {rest.ptr, space ? (size_t)(space - rest.ptr) : rest.len};
        const struct sl_member *part = sl_transaction_maker(x->transaction, one);
        rest = sl_slice_from(rest, one.len + (space != NULL));
        if (part && sl_member_is_sent(part))
            one = sl_arena_printf(inner->arena, "Patient/%.*s", SL_FMT(part->inner->write->ask.id));
        all = sl_arena_printf(inner->arena, "%.*s%s%.*s", SL_FMT(all), all.len ? " " : "", SL_FMT(one));
    }
    inner->write->patients = all;
}
