/* SPDX-License-Identifier: Apache-2.0 */
/* Intents: see intent.h. */
#include "intent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "sluice/r4_names.h"
#include "transaction.h"
#include "write.h"

/* ---- The mark ---- */

struct marking {
    const struct sl_doc *doc;
    uint32_t root;
    struct sl_arena *arena;
    enum sl_status status;
};

static void hash(struct marking *m, struct sl_slice text, unsigned char out[32])
{
    if (m->status == SL_OK)
        m->status = sl_sha256(text, out);
}

/* Members in whatever order: their hashes are added up, lane by lane. */
static void add_up(unsigned char sum[32], const unsigned char more[32])
{
    for (size_t lane = 0; lane < 4; lane++) {
        uint64_t a, b;
        memcpy(&a, sum + 8 * lane, 8);
        memcpy(&b, more + 8 * lane, 8);
        a += b;
        memcpy(sum + 8 * lane, &a, 8);
    }
}

/* What a server puts there itself. */
static bool is_servers(const struct marking *m, sl_name name, uint32_t object, bool meta)
{
    if (meta)
        return name == SL_NAME_versionId || name == SL_NAME_lastUpdated || name == SL_NAME_source;
    return object == m->root && name == SL_NAME_id;
}

static void mark_value(struct marking *m, uint32_t at, unsigned char out[32]);

/* false: of an object there is nothing left. */
static bool mark_object(struct marking *m, uint32_t object, bool meta, unsigned char sum[32])
{
    bool any = false;
    for (uint32_t at = object + 1; at < m->doc->spans[object].next; at = m->doc->spans[at].next) {
        unsigned char pair[64] = {0}, one[32] = {0};
        sl_name name = m->doc->spans[at].name;
        bool is_meta = object == m->root && name == SL_NAME_meta;
        if (is_servers(m, name, object, meta))
            continue;
        hash(m, sl_span_key(m->doc, at), pair);
        if (is_meta) {
            if (!mark_object(m, at, true, pair + 32))
                continue;
        } else {
            mark_value(m, at, pair + 32);
        }
        hash(m, (struct sl_slice){(const char *)pair, sizeof pair}, one);
        add_up(sum, one);
        any = true;
    }
    return any;
}

static void mark_value(struct marking *m, uint32_t at, unsigned char out[32])
{
    const struct sl_span *span = &m->doc->spans[at];
    unsigned char joined[65] = {(unsigned char)span->type};
    if (span->type == SL_SPAN_OBJECT) {
        (void)mark_object(m, at, false, joined + 1);
    } else if (span->type == SL_SPAN_ARRAY) {
        for (uint32_t i = at + 1; i < span->next; i = m->doc->spans[i].next) {
            mark_value(m, i, joined + 33);
            hash(m, (struct sl_slice){(const char *)joined + 1, 64}, joined + 1);
        }
    } else {
        bool text = span->type == SL_SPAN_STRING;
        hash(m, text ? sl_span_string(m->doc, at, m->arena) : sl_span_text(m->doc, at), joined + 1);
    }
    hash(m, (struct sl_slice){(const char *)joined, sizeof joined}, out);
}

enum sl_status sl_intent_mark(const struct sl_sealer *key, const struct sl_doc *doc, uint32_t root,
    struct sl_arena *arena, unsigned char out[SL_INTENT_MARK])
{
    struct marking m = {.doc = doc, .root = root, .arena = arena};
    unsigned char sum[32] = {0};
    mark_value(&m, root, sum);
    SL_TRY(m.status);
    return sl_seal_mark(key, (struct sl_slice){(const char *)sum, sizeof sum}, out);
}

static enum sl_status sync_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return synced ? SL_OK : SL_IO;
}

enum sl_status sl_intent_key(const char *ledger, struct sl_sealer **out)
{
    char path[4096];
    unsigned char key[SL_SEAL_KEY];
    *out = NULL;
    int len = snprintf(path, sizeof path, "%s/intents.key", ledger);
    if (len < 0 || (size_t)len >= sizeof path)
        return SL_LIMIT;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return errno == EEXIST ? sl_sealer_new(path, out) : SL_IO;
    enum sl_status status = sl_random(key, sizeof key);
    if (status == SL_OK && (write(fd, key, sizeof key) != (ssize_t)sizeof key || fsync(fd) != 0))
        status = SL_IO;
    close(fd);
    if (status == SL_OK) /* else the key may be gone after a fall of the machine, and its marks with it */
        status = sync_directory(ledger);
    if (status != SL_OK)
        unlink(path); /* half a key would be none at the next start, either */
    return status == SL_OK ? sl_sealer_new(path, out) : status;
}

/* ---- The record ---- */

static struct sl_slice change_of(const struct sl_write *write)
{
    return write->outcome == SL_WRITE_CREATED ? SL_LIT("create")
           : write->outcome == SL_WRITE_GONE  ? SL_LIT("delete")
                                              : SL_LIT("update");
}

/* Of what goes to the upstream as it stands here. In a transaction, what others' names stand in does not. */
static void account_mark(const struct sl_exchange *x, struct sl_buffer *out)
{
    unsigned char mark[SL_INTENT_MARK];
    const struct sl_write *write = x->write;
    struct sl_doc doc;
    if (write->outcome == SL_WRITE_GONE || sl_transaction_links(x) || !x->state->gateway->intents)
        return;
    if (sl_doc_parse(x->arena, write->text, NULL, &doc, NULL) != SL_OK ||
        sl_intent_mark(x->state->gateway->intents, &doc, 0, x->arena, mark) != SL_OK) {
        out->failed = true;
        return;
    }
    sl_buffer_add(out, SL_LIT(",\"mark\":\""));
    for (size_t i = 0; i < sizeof mark; i++)
        sl_buffer_printf(out, "%02x", mark[i]);
    sl_buffer_add(out, SL_LIT("\""));
}

static void account_one(const struct sl_exchange *x, struct sl_buffer *out)
{
    const struct sl_write *write = x->write;
    char id[SL_EXCHANGE_ID];
    sl_account_exchange_id(x, id);
    sl_buffer_printf(out, "{\"exchange\":\"%s\",\"item\":\"%.*s/%.*s\",\"change\":\"%.*s\"", id,
        SL_FMT(x->interaction.type_name), SL_FMT(write->ask.id.len ? write->ask.id : SL_LIT("?")),
        SL_FMT(change_of(write)));
    sl_write_account_basis(x, out);
    account_mark(x, out);
    sl_buffer_add(out, SL_LIT("}"));
}

void sl_intent_account(const struct sl_exchange *x, struct sl_buffer *out)
{
    size_t count = 0;
    sl_buffer_add(out, SL_LIT(",\"writes\":["));
    if (!x->transaction)
        account_one(x, out);
    for (size_t i = 0; x->transaction && i < sl_transaction_size(x); i++) {
        const struct sl_exchange *inner = sl_transaction_entry(x, i);
        if (!inner || !inner->write || inner->write->stage != SL_WRITE_SENT)
            continue;
        sl_buffer_add(out, count++ ? SL_LIT(",") : SL_LIT(""));
        account_one(inner, out);
    }
    sl_buffer_add(out, SL_LIT("]"));
}

/* ---- To the ledger ---- */

enum sl_step_result sl_intent_note(struct sl_exchange *x)
{
    if (sl_exchange_note_peer(x) != SL_OK)
        return sl_exchange_fail(x, SL_NO_MEMORY, "memory");
    enum sl_status status = sl_account_intent(x);
    if (status == SL_OK)
        status = sl_exchange_append(x);
    if (status != SL_OK)
        return sl_exchange_fail(x, SL_UNAVAILABLE, "intent");
    if (!x->meant)
        atomic_fetch_add(&x->state->gateway->meant, 1);
    x->owed = x->meant = true;
    return SL_STEP_WAIT;
}

bool sl_intent_noted(const struct sl_exchange *x)
{
    return x->meant && x->appended == SL_OK;
}

enum sl_step_result sl_intent_again(struct sl_exchange *x)
{
    if (x->cancelled)
        return sl_exchange_fail(x, SL_CONFLICT, "client-left"); /* still owed: the ledger is told that it ended */
    x->owed = false;
    return sl_exchange_again(x);
}
