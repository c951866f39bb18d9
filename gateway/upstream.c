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
