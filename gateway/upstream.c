/* SPDX-License-Identifier: Apache-2.0 */
/* The two kinds of upstream behind one interface: see upstream.h. */
#include "upstream.h"

void sl_upstream_free(struct sl_upstream *upstream)
{
    if (upstream)
        upstream->kind->free(upstream);
}

bool sl_ask_writes(enum sl_ask_kind kind)
{
    return kind >= SL_ASK_CREATE && kind <= SL_ASK_TRANSACTION;
}

bool sl_ask_has_no_history(const struct sl_ask *ask, int code)
{
    return ask->kind == SL_ASK_HISTORY &&
           (code == 400 || code == 403 || code == 405 || code == 501 || (!ask->id.len && code == 404));
}

bool sl_ask_is_absent(const struct sl_ask *ask, int code)
{
    bool one = ask->kind == SL_ASK_READ || ask->kind == SL_ASK_VREAD || (ask->kind == SL_ASK_HISTORY && ask->id.len);
    return one && (code == 404 || code == 410);
}

void sl_upstream_ask(struct sl_upstream *upstream, struct sl_ask *ask)
{
    SL_ASSERT(ask->kind != SL_ASK_NONE && ask->arena);
    ask->finished = false;
    ask->status = SL_UPSTREAM; /* until somebody has said otherwise */
    upstream->kind->ask(upstream, ask);
}

void sl_upstream_cancel(struct sl_upstream *upstream, struct sl_ask *ask)
{
    SL_ASSERT(!sl_ask_writes(ask->kind) || ask->finished);
    if (ask->kind != SL_ASK_NONE && !ask->finished && ask->work)
        upstream->kind->cancel(upstream, ask);
    ask->finished = true;
}

/* W/"3" or "3"; what else there may be is no version that could be named again. */
struct sl_slice sl_upstream_version(struct sl_slice etag)
{
    if (sl_slice_starts(etag, SL_LIT("W/")))
        etag = sl_slice_from(etag, 2);
    if (etag.len < 3 || etag.ptr[0] != '"' || etag.ptr[etag.len - 1] != '"')
        return (struct sl_slice){NULL, 0};
    etag = (struct sl_slice){etag.ptr + 1, etag.len - 2};
    return sl_id_valid(etag) ? etag : (struct sl_slice){NULL, 0};
}

/* …/Type/id or …/Type/id/_history/n */
struct sl_slice sl_upstream_located(struct sl_slice location, struct sl_slice type)
{
    for (size_t at = 0; type.len && at + type.len + 2 <= location.len; at++) {
        struct sl_slice rest = sl_slice_from(location, at);
        if ((at && location.ptr[at - 1] != '/') || !sl_slice_starts(rest, type) || rest.ptr[type.len] != '/')
            continue;
        rest = sl_slice_from(rest, type.len + 1);
        const char *slash = rest.len ? memchr(rest.ptr, '/', rest.len) : NULL;
        struct sl_slice id = {rest.ptr, slash ? (size_t)(slash - rest.ptr) : rest.len};
        bool last = !slash || sl_slice_starts(sl_slice_from(rest, id.len), SL_LIT("/_history/"));
        if (last && sl_id_valid(id))
            return id;
    }
    return (struct sl_slice){NULL, 0};
}
