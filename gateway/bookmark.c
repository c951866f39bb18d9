/* SPDX-License-Identifier: Apache-2.0 */
/* Sealed cursors: see bookmark.h. */
#include "bookmark.h"

#include "jose.h"
#include "seal.h"
#include "sluice/fault.h"

#define PLAIN 264u /* bytes under the seal, whatever is in them */
#define INLINE (PLAIN - HEAD)
#define HEAD 24u /* version, kind, expiry (8), errand (4), skip (4), passed (4), length (2) */
#define VERSION 3u

enum kind { HERE = 1, SHELVED = 2 }; /* the upstream's position: in the cursor, or on the shelf */

static void put(unsigned char *at, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        at[i] = (unsigned char)(value >> 8 * (size - 1 - i));
}

static uint64_t get(const unsigned char *at, unsigned size)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value = value << 8 | at[i];
    return value;
}

enum sl_status sl_bookmark_query(const struct sl_exchange *x, struct sl_slice *out)
{
    struct sl_search search = x->interaction.search;
    search.cursor = (struct sl_slice){NULL, 0};
    return sl_search_write(&search, x->arena, out);
}

/* What a cursor is good for: this endpoint (a key may be shared by several), this recipient, this purpose, this query.
 */
static enum sl_status seal_context(const struct sl_exchange *x, struct sl_slice *out)
{
    const struct sl_recipient *r = &x->caller.recipient;
    struct sl_slice query;
    SL_TRY(sl_bookmark_query(x, &query));
    const struct sl_interaction *i = &x->interaction;
    struct sl_slice url = x->state->gateway->config->url;
    *out = sl_arena_printf(x->arena, "%zu:%.*s %zu:%.*s %zu:%.*s %zu:%.*s %.*s %.*s %.*s/%.*s%.*s/%.*s?%.*s&%.*s",
        url.len, SL_FMT(url), x->caller.issuer.len, SL_FMT(x->caller.issuer), r->client.len, SL_FMT(r->client),
        r->user.len, SL_FMT(r->user), SL_FMT(r->purpose), SL_FMT(sl_interaction_name(i->kind)), SL_FMT(i->compartment),
        SL_FMT(i->type_name), SL_FMT(i->types), SL_FMT(i->id), SL_FMT(query), SL_FMT(i->since));
    return out->ptr ? SL_OK : SL_NO_MEMORY;
}

static enum sl_status fill(const struct sl_exchange *x, const struct sl_position *position, unsigned char plain[PLAIN])
{
    const struct sl_gateway *gateway = x->state->gateway;
    int64_t expires = x->now + (int64_t)gateway->config->cursor_life;
    struct sl_slice text = position->upstream;
    plain[0] = VERSION;
    plain[1] = HERE;
    put(plain + 2, (uint64_t)expires, 8);
    put(plain + 10, position->errand, 4);
    put(plain + 14, position->skip, 4);
    put(plain + 18, position->passed, 4);
    if (text.len <= INLINE) {
        put(plain + 22, text.len, 2);
        if (text.len)
            memcpy(plain + HEAD, text.ptr, text.len);
        return SL_OK;
    }
    plain[1] = SHELVED;
    put(plain + 22, SL_SHELF_HANDLE, 2);
    if (text.len > SL_SHELF_TEXT)
        return SL_OK; /* no text has this handle: as one that is lost */
    return sl_shelf_put(gateway->shelf, text, expires, plain + HEAD);
}

enum sl_status sl_bookmark_write(const struct sl_exchange *x, const struct sl_position *position, struct sl_slice *out)
{
    unsigned char plain[PLAIN] = {0}, sealed[PLAIN + SL_SEAL_MORE];
    struct sl_slice context;
    struct sl_buffer text;
    SL_TRY(seal_context(x, &context));
    SL_TRY(fill(x, position, plain));
    SL_TRY(sl_seal(x->state->gateway->sealer, context, (struct sl_slice){(const char *)plain, PLAIN}, sealed));
    sl_buffer_init(&text, 2 * sizeof sealed);
    sl_base64url_encode(&text, (struct sl_slice){(const char *)sealed, sizeof sealed});
    if (sl_fault(SL_FAULT_CURSOR_BY_PLACE))
        sl_buffer_add(&text, (struct sl_slice){"AAAAAAAAAAAAAAAA", position->skip % 16});
    *out = sl_buffer_failed(&text) ? (struct sl_slice){NULL, 0} : sl_arena_copy(x->arena, sl_buffer_slice(&text));
    sl_buffer_fini(&text);
    return out->ptr ? SL_OK : SL_NO_MEMORY;
}

/* The upstream's place is lost: crowded out, another node's, or the upstream has forgotten it. That there is one may
 * hang on what is hidden, so a page link must not die of it: all is read again, and what has passed is passed by. */
static enum sl_status begin_anew(struct sl_exchange *x)
{
    x->at = (struct sl_position){.errand = SL_AT_PASSED, .passed = x->at.passed};
    return sl_fault(SL_FAULT_PLACE_LOST) ? SL_BAD_PARAMETER : SL_OK;
}

static enum sl_status take(struct sl_exchange *x, const unsigned char plain[PLAIN])
{
    size_t len = (size_t)get(plain + 22, 2);
    if (plain[0] != VERSION || (int64_t)get(plain + 2, 8) <= x->now || len > INLINE)
        return SL_BAD_PARAMETER;
    x->at = (struct sl_position){.errand = (uint32_t)get(plain + 10, 4),
        .skip = (uint32_t)get(plain + 14, 4),
        .passed = (uint32_t)get(plain + 18, 4)};
    if (x->displaced && len)
        return begin_anew(x);
    if (plain[1] == HERE) {
        x->at.upstream = sl_arena_copy(x->arena, (struct sl_slice){(const char *)plain + HEAD, len});
        return x->at.upstream.ptr ? SL_OK : SL_NO_MEMORY;
    }
    if (plain[1] != SHELVED || len != SL_SHELF_HANDLE)
        return SL_BAD_PARAMETER;
    enum sl_status status = sl_shelf_get(x->state->gateway->shelf, plain + HEAD, x->now, x->arena, &x->at.upstream);
    return status == SL_MISSING ? begin_anew(x) : status;
}

enum sl_status sl_bookmark_read(struct sl_exchange *x, struct sl_slice text)
{
    unsigned char plain[PLAIN];
    struct sl_slice context, sealed;
    SL_TRY(seal_context(x, &context));
    enum sl_status status = sl_base64url_decode(text, x->arena, &sealed);
    if (status == SL_NO_MEMORY)
        return status;
    if (status != SL_OK || sealed.len != PLAIN + SL_SEAL_MORE ||
        sl_unseal(x->state->gateway->sealer, context, sealed, plain) != SL_OK)
        return SL_BAD_PARAMETER;
    return take(x, plain);
}
