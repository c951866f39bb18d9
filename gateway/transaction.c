/* SPDX-License-Identifier: Apache-2.0 */
/* Transactions that write: see transaction.h. From top to bottom in the order of the phases. */
#include "transaction.h"

#include <openssl/rand.h>
#include <stdlib.h>

#include "body.h"
#include "records_write.h"
#include "sluice/merge.h"
#include "sluice/r4_names.h"
#include "write.h"

#define TOGETHER 4u    /* searches and writes that are prepared side by side */
#define RACES 4u       /* made again when somebody else's write came first; then 409 */
#define CONDITIONS 64u /* different conditional references */
#define CONTEXTS 100u  /* entries that one decision looks at; what is beyond them is not there for it */

enum phase { FINDING, PREPARING, SENT, ENDING, ENDED };

/* One entry. */
struct part {
    struct sl_request request;          /* the entry's, with names in the place of what stands for them */
    const struct sl_batch_entry *entry; /* as it came */
    sl_r4_node type;                    /* of its resource */
    struct sl_slice id, provisional;    /* drawn here: "…", "Type/…"; empty: it cannot create */
    struct sl_slice name;               /* what its fullUrl stands for; empty: for nothing */
    bool linked;                        /* others name it */
    struct part **links;                /* what it names of what others create */
    size_t link_count, link_room;
    struct sl_doc doc; /* what it creates, as context */
    bool known;        /* that is there */
    struct sl_exchange *inner;
    bool prepared; /* parked, or answered already */
};

/* "Type?a=b" in a reference. */
struct condition {
    struct sl_slice text, name;
    struct sl_interaction search;
    struct sl_exchange *inner;
};

struct sl_transaction {
    struct part *parts;
    size_t count;
    struct part **urls; /* those with a fullUrl, ordered by it */
    size_t url_count;
    struct part **order; /* as they take effect: DELETE, POST, PUT and PATCH, GET */
    enum phase phase;
    size_t begun, checked; /* of conditions, then of `order` */
    struct condition conditions[CONDITIONS];
    size_t condition_count;
    unsigned races;
    struct sl_ask ask;
};

/* ---- Reading ---- */

static int order_texts(struct sl_slice a, struct sl_slice b)
{
    int order = memcmp(a.ptr ? a.ptr : "", b.ptr ? b.ptr : "", a.len < b.len ? a.len : b.len);
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static unsigned rank_of(const struct part *part)
{
    static const unsigned ranks[] = {
        [SL_METHOD_DELETE] = 0, [SL_POST] = 1, [SL_PUT] = 2, [SL_METHOD_PATCH] = 2, [SL_GET] = 3};
    enum sl_method method = part->entry->request.method;
    return method < sizeof ranks / sizeof *ranks ? ranks[method] : 2;
}

static bool reads(const struct part *part)
{
    return part->entry->request.method == SL_GET;
}

/* Of those in which references are looked for: a patch that came as bytes says what it says. */
static bool is_resource(const struct part *part)
{
    const struct sl_request *request = &part->entry->request;
    return part->entry->resource &&
           sl_slice_eq(sl_request_header(request, SL_LIT("content-type"), NULL), SL_LIT("application/fhir+json"));
}

/* An id that nobody can guess, which ends in the entry's number. */
static enum sl_status draw_id(struct sl_exchange *x, size_t index, struct part *part)
{
    unsigned char b[14];
    if (RAND_bytes(b, sizeof b) != 1)
        return SL_CRYPTO;
    part->id = sl_arena_printf(x->arena, "%02x%02x%02x%02x-%02x%02x-4%x%02x-8%x%02x-%02x%02x%02x%02x%04zx", b[0], b[1],
        b[2], b[3], b[4], b[5], b[6] & 15, b[7], b[8] & 15, b[9], b[10], b[11], b[12], b[13], index);
    part->provisional = sl_arena_printf(x->arena, "%.*s/%.*s", SL_FMT(sl_r4_node_name(part->type)), SL_FMT(part->id));
    return part->provisional.ptr ? SL_OK : SL_NO_MEMORY;
}

/* "Type/id" of a PUT whose url names its record. */
static struct sl_slice named_by_url(const struct sl_exchange *x, const struct part *part)
{
    struct sl_slice base = x->state->gateway->config->base, path = part->entry->request.path;
    if (path.len <= base.len + 1)
        return (struct sl_slice){NULL, 0};
    path = sl_slice_from(path, base.len + 1);
    return memchr(path.ptr, '/', path.len) ? path : (struct sl_slice){NULL, 0};
}

static enum sl_status read_part(struct sl_exchange *x, size_t index, struct part *part)
{
    struct sl_doc doc;
    enum sl_method method = part->entry->request.method;
    if (!is_resource(part) || (method != SL_POST && method != SL_PUT))
        return SL_OK;
    SL_TRY(sl_doc_parse(x->arena, part->entry->request.body, NULL, &doc, NULL));
    uint32_t type = sl_span_member(&doc, 0, SL_NAME_resourceType);
    part->type = type ? sl_r4_resource(sl_span_raw(&doc, type)) : 0;
    if (!part->type)
        return SL_OK; /* refused, once it is its turn */
    part->name = method == SL_PUT ? named_by_url(x, part) : (struct sl_slice){NULL, 0};
    if (part->name.len)
        return SL_OK;
    SL_TRY(draw_id(x, index, part));
    part->name = part->provisional;
    return SL_OK;
}

static int order_parts(const void *left, const void *right)
{
    const struct part *a = *(struct part *const *)left, *b = *(struct part *const *)right;
    unsigned ra = rank_of(a), rb = rank_of(b);
    return ra != rb ? (ra > rb) - (ra < rb) : (a > b) - (a < b);
}

static int order_urls(const void *left, const void *right)
{
    const struct part *a = *(struct part *const *)left, *b = *(struct part *const *)right;
    return order_texts(a->entry->full_url, b->entry->full_url);
}

static enum sl_status read_urls(struct sl_exchange *x, struct sl_transaction *t)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->parts[i].entry->full_url.len)
            t->urls[t->url_count++] = &t->parts[i];
    qsort(t->urls, t->url_count, sizeof(struct part *), order_urls);
    for (size_t i = 1; i < t->url_count; i++)
        if (order_urls(&t->urls[i - 1], &t->urls[i]) == 0) {
            x->detail = SL_LIT("Two entries have the same fullUrl.");
            return SL_BAD_SYNTAX;
        }
    return SL_OK;
}

enum sl_status sl_transaction_begin(struct sl_exchange *x, const struct sl_batch_bundle *bundle)
{
    struct sl_transaction *t = sl_arena_alloc(x->arena, sizeof *t);
    size_t writes = 0;
    if (!t)
        return SL_NO_MEMORY;
    t->count = bundle->count;
    t->parts = sl_arena_array(x->arena, t->count, sizeof *t->parts);
    t->urls = sl_arena_array(x->arena, t->count, sizeof(struct part *));
    t->order = sl_arena_array(x->arena, t->count, sizeof(struct part *));
    if (!t->parts || !t->urls || !t->order)
        return SL_NO_MEMORY;
    for (size_t i = 0; i < t->count; i++) {
        t->order[i] = &t->parts[i];
        t->parts[i].entry = &bundle->entries[i];
        writes += !reads(&t->parts[i]);
        SL_TRY(read_part(x, i, &t->parts[i]));
    }
    if (writes > SL_RECORD_WRITES || t->count > 0xffff)
        return SL_TOO_LARGE;
    qsort(t->order, t->count, sizeof(struct part *), order_parts);
    x->transaction = t;
    return read_urls(x, t);
}

/* Everything of an attempt begins anew. What fullUrls have been found to stand for stays. */
static enum sl_step_result again(struct sl_exchange *x)
{
    struct sl_transaction *t = x->transaction;
    for (size_t i = 0; i < t->count; i++) {
        struct part *part = &t->parts[i];
        part->inner = NULL;
        part->known = part->prepared = false;
        part->link_count = 0;
    }
    t->phase = FINDING;
    t->begun = t->checked = t->condition_count = 0;
    t->ask = (struct sl_ask){0};
    return sl_exchange_again(x);
}

/* ---- Finding: what conditional references name, in the world that the writer sees ---- */

static bool is_conditional(sl_name member, struct sl_slice url, sl_r4_node *type)
{
    const char *mark = member == SL_NAME_reference ? memchr(url.ptr, '?', url.len) : NULL;
    *type = mark ? sl_r4_resource((struct sl_slice){url.ptr, (size_t)(mark - url.ptr)}) : 0;
    return *type != 0;
}

static struct condition *find_condition(struct sl_transaction *t, struct sl_slice text)
{
    for (size_t i = 0; i < t->condition_count; i++)
        if (sl_slice_eq(t->conditions[i].text, text))
            return &t->conditions[i];
    return NULL;
}

struct finding {
    struct sl_exchange *x;
    enum sl_status status;
};

static enum sl_status add_condition(struct sl_exchange *x, sl_r4_node type, struct sl_slice text)
{
    struct sl_transaction *t = x->transaction;
    struct sl_issues issues = {.arena = x->arena};
    struct sl_slice name = sl_r4_node_name(type);
    if (find_condition(t, text))
        return SL_OK;
    if (t->condition_count == CONDITIONS)
        return SL_TOO_LARGE;
    struct condition *condition = &t->conditions[t->condition_count++];
    *condition = (struct condition){.text = text, .search = {.kind = SL_SEARCH, .type = type, .type_name = name}};
    enum sl_status status = sl_search_read(x->arena, type, sl_slice_from(text, name.len + 1),
        (struct sl_slice){NULL, 0}, &issues, &condition->search.search);
    if (status != SL_OK && issues.first)
        x->detail = issues.first->text;
    return status == SL_OK && !sl_write_is_condition(&condition->search.search) ? SL_BAD_PARAMETER : status;
}

static struct sl_slice note_condition(void *context, sl_name member, struct sl_slice url)
{
    struct finding *finding = context;
    sl_r4_node type;
    if (finding->status == SL_OK && is_conditional(member, url, &type))
        finding->status = add_condition(finding->x, type, url);
    return (struct sl_slice){NULL, 0};
}

static enum sl_status collect_conditions(struct sl_exchange *x)
{
    struct sl_transaction *t = x->transaction;
    struct finding finding = {x, SL_OK};
    for (size_t i = 0; i < t->count && finding.status == SL_OK; i++) {
        struct sl_slice text = t->parts[i].entry->request.body;
        if (is_resource(&t->parts[i]) && !reads(&t->parts[i]))
            SL_TRY(sl_body_relink(x->arena, &text, note_condition, &finding));
    }
    return finding.status;
}

/* None or several, hidden ones counting as none: the one refusal of a reference that does not resolve. */
static enum sl_status take_condition(struct sl_exchange *x, struct condition *condition)
{
    const struct sl_exchange *inner = condition->inner;
    const struct sl_found *found = inner->status == SL_OK ? sl_write_first_match(inner) : NULL;
    if (inner->status != SL_OK && inner->status != SL_NOT_FOUND && inner->status != SL_FORBIDDEN)
        return inner->status;
    if (!found || inner->gathered != 1)
        return SL_UNPROCESSABLE;
    condition->name =
        sl_arena_printf(x->arena, "%.*s/%.*s", SL_FMT(condition->search.type_name), SL_FMT(found->entry->id));
    sl_inner_drop(condition->inner);
    condition->inner = NULL;
    return condition->name.ptr ? SL_OK : SL_NO_MEMORY;
}

static enum sl_status find_more(struct sl_exchange *x)
{
    struct sl_transaction *t = x->transaction;
    for (; t->checked < t->begun; t->checked++)
        SL_TRY(take_condition(x, &t->conditions[t->checked]));
    for (; t->begun < t->condition_count && t->begun < t->checked + TOGETHER; t->begun++)
        SL_TRY(sl_inner_view(x, &t->conditions[t->begun].search, &t->conditions[t->begun].inner));
    return SL_OK;
}

/* ---- Names in the place of what stands for them ---- */

/* The entry that creates this. */
static struct part *maker_of(const struct sl_transaction *t, struct sl_slice name)
{
    size_t index = 0;
    for (size_t i = name.len > 40 ? name.len - 4 : name.len; i < name.len; i++) {
        const char *digit = memchr("0123456789abcdef", name.ptr[i], 16);
        index = 16 * index + (digit ? (size_t)(digit - "0123456789abcdef") : 0);
    }
    struct part *part = index < t->count ? &t->parts[index] : NULL;
    return part && part->provisional.len && sl_slice_eq(part->provisional, name) ? part : NULL;
}

static struct part *find_url(const struct sl_transaction *t, struct sl_slice url)
{
    struct sl_batch_entry entry = {.full_url = url};
    const struct part wanted = {.entry = &entry}, *key = &wanted;
    struct part **found = t->url_count ? bsearch(&key, t->urls, t->url_count, sizeof(struct part *), order_urls) : NULL;
    return found ? *found : NULL;
}

struct naming {
    struct sl_exchange *x;
    struct part *part;
    bool failed;
};

static void add_link(struct naming *naming, struct part *to)
{
    struct part *part = naming->part;
    if (part->link_count && part->links[part->link_count - 1] == to)
        return;
    if (part->link_count == part->link_room) {
        size_t room = part->link_room ? 2 * part->link_room : 8;
        struct part **links = sl_arena_array(naming->x->arena, room, sizeof(struct part *));
        naming->failed = naming->failed || !links;
        if (!links)
            return;
        if (part->link_count)
            memcpy(links, part->links, part->link_count * sizeof(struct part *));
        part->links = links;
        part->link_room = room;
    }
    part->links[part->link_count++] = to;
}

static struct sl_slice name_of(void *context, sl_name member, struct sl_slice url)
{
    struct naming *naming = context;
    struct sl_transaction *t = naming->x->transaction;
    struct part *to = find_url(t, url);
    sl_r4_node type;
    if (to && to->name.len) {
        to->linked = true;
        if (sl_slice_eq(to->name, to->provisional))
            add_link(naming, to);
        return to->name;
    }
    struct condition *condition = is_conditional(member, url, &type) ? find_condition(t, url) : NULL;
    return condition ? condition->name : (struct sl_slice){NULL, 0};
}

/* What it creates, as others' decisions see it. What is no resource of R4 is refused when it is its turn. */
static enum sl_status make_known(struct sl_exchange *x, struct part *part)
{
    static const struct sl_write_labels none = {0};
    struct sl_issues issues = {.arena = x->arena};
    struct sl_doc sent;
    struct sl_slice text;
    if (!part->id.len || !sl_slice_eq(part->name, part->provisional))
        return SL_OK;
    SL_TRY(sl_doc_parse(x->arena, part->request.body, NULL, &sent, NULL));
    enum sl_status status = sl_body_check(&sent, part->type, (struct sl_slice){NULL, 0}, x->arena, &issues);
    if (status == SL_BAD_SYNTAX)
        return SL_OK;
    SL_TRY(status);
    SL_TRY(sl_merge_new((struct sl_place){&sent, 0}, &none, part->id, x->arena, &text));
    SL_TRY(sl_doc_parse(x->arena, text, NULL, &part->doc, NULL));
    part->known = true;
    return SL_OK;
}

static enum sl_status name_all(struct sl_exchange *x)
{
    struct sl_transaction *t = x->transaction;
    for (size_t i = 0; i < t->count; i++) {
        struct part *part = &t->parts[i];
        struct naming naming = {x, part, false};
        part->request = part->entry->request;
        if (!is_resource(part) || reads(part))
            continue;
        SL_TRY(sl_body_relink(x->arena, &part->request.body, name_of, &naming));
        part->request.content_length = part->request.body.len;
        SL_TRY(naming.failed ? SL_NO_MEMORY : make_known(x, part));
    }
    return SL_OK;
}

/* ---- Preparing: each is decided, and parked ---- */

/* All or nothing: what fails is the whole, with the status of the first that failed, and what that said. */
static enum sl_status take_prepared(struct sl_exchange *x, struct part *part)
{
    const struct sl_exchange *inner = part->inner;
    if (inner->status != SL_OK) {
        x->detail = inner->detail.len ? sl_arena_copy(x->arena, inner->detail) : inner->detail;
        return inner->status;
    }
    part->prepared = true;
    if (!reads(part))
        return SL_OK;
    sl_inner_drop(part->inner); /* it can be answered; what it answers is asked for when all is written */
    part->inner = NULL;
    return SL_OK;
}

static enum sl_status prepare_more(struct sl_exchange *x)
{
    struct sl_transaction *t = x->transaction;
    for (; t->checked < t->begun; t->checked++)
        SL_TRY(take_prepared(x, t->order[t->checked]));
    for (; t->begun < t->count && t->begun < t->checked + TOGETHER; t->begun++) {
        struct part *part = t->order[t->begun];
        SL_TRY(sl_inner_answer(x, &part->request, &part->inner));
        if (reads(part))
            part->inner->until = SL_AT_account;
    }
    return SL_OK;
}

static const struct sl_write *write_of(const struct part *part)
{
    return part->inner && part->inner->parked ? part->inner->write : NULL;
}

/* Is there something of it to be given to the upstream? */
static bool is_sent(const struct part *part)
{
    const struct sl_write *write = write_of(part);
    return write && write->stage == SL_WRITE_SENT;
}

/* Policy, directives or programs have changed since one of them was decided. */
static bool is_overtaken(const struct sl_exchange *x)
{
    const struct sl_gateway *gateway = x->state->gateway;
    for (size_t i = 0; i < x->transaction->count; i++) {
        const struct sl_exchange *inner = x->transaction->parts[i].inner;
        if (inner && inner->parked &&
            (sl_store_version(gateway->store) != inner->store_version ||
                atomic_load(&gateway->programs_version) != inner->programs_version))
            return true;
    }
    return false;
}

/* Conditions may have found records that are there: then their fullUrls stand for these. *changed: somebody had named
 * one of them otherwise. */
static enum sl_status settle_names(struct sl_exchange *x, bool *changed)
{
    struct sl_transaction *t = x->transaction;
    *changed = false;
    for (size_t i = 0; i < t->count; i++) {
        struct part *part = &t->parts[i];
        const struct sl_write *write = write_of(part);
        if (!write || !part->id.len)
            continue;
        struct sl_slice id = write->outcome == SL_WRITE_CREATED ? part->id : write->ask.id;
        struct sl_slice name = sl_arena_printf(x->arena, "%.*s/%.*s", SL_FMT(sl_r4_node_name(part->type)), SL_FMT(id));
        if (!name.ptr)
            return SL_NO_MEMORY;
        *changed = *changed || (part->linked && !sl_slice_eq(name, part->name));
        part->name = name;
    }
    return SL_OK;
}

static int order_targets(const void *left, const void *right)
{
    const struct sl_exchange *a = *(struct sl_exchange *const *)left, *b = *(struct sl_exchange *const *)right;
    int type = (a->interaction.type > b->interaction.type) - (a->interaction.type < b->interaction.type);
    return type ? type : order_texts(a->write->ask.id, b->write->ask.id);
}

/* No record may be meant by two entries: what came of them would hang on their order (http.html, 3.2.0.11.2). */
static enum sl_status check_overlap(struct sl_exchange *x)
{
    struct sl_transaction *t = x->transaction;
    size_t count = 0;
    struct sl_exchange **list = sl_arena_array(x->arena, t->count, sizeof(struct sl_exchange *));
    if (!list)
        return SL_NO_MEMORY;
    for (size_t i = 0; i < t->count; i++) {
        const struct sl_write *write = write_of(&t->parts[i]);
        if (write && write->outcome != SL_WRITE_CREATED && write->outcome != SL_WRITE_MATCHED)
            list[count++] = t->parts[i].inner;
    }
    qsort(list, count, sizeof(struct sl_exchange *), order_targets);
    for (size_t i = 1; i < count; i++)
        if (order_targets(&list[i - 1], &list[i]) == 0) {
            x->detail = SL_LIT("Two entries change the same resource.");
            return SL_BAD_SYNTAX;
        }
    return SL_OK;
}

/* ---- Sent: all of it at once ---- */

static struct sl_slice url_of(void *context, sl_name member, struct sl_slice url)
{
    const struct sl_exchange *x = context;
    const struct part *part = maker_of(x->transaction, url);
    (void)member;
    return part ? sl_arena_printf(x->arena, "urn:uuid:%.*s", SL_FMT(part->id)) : (struct sl_slice){NULL, 0};
}

static enum sl_status add_sent(struct sl_exchange *x, const struct part *part, struct sl_blocks *out)
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
    sl_blocks_add(out, sl_arena_printf(x->arena, "\"request\":{\"method\":\"%s\",\"url\":\"%.*s%s%.*s\"",
                           methods[write->outcome], SL_FMT(type), creates ? "" : "/", SL_FMT(write->ask.id)));
    if (write->ask.version.len)
        sl_blocks_add(out, sl_arena_printf(x->arena, ",\"ifMatch\":\"W/\\\"%.*s\\\"\"", SL_FMT(write->ask.version)));
    sl_blocks_add(out, SL_LIT("}}"));
    return SL_OK;
}

static enum sl_status gather(struct sl_exchange *x, struct sl_slice *out)
{
    struct sl_transaction *t = x->transaction;
    struct sl_blocks blocks = {.arena = x->arena};
    *out = (struct sl_slice){NULL, 0};
    for (size_t i = 0; i < t->count; i++)
        if (is_sent(t->order[i]))
            SL_TRY(add_sent(x, t->order[i], &blocks));
    if (!blocks.total)
        return SL_OK;
    sl_blocks_add(&blocks, SL_LIT("]}"));
    return sl_arena_failed(x->arena) ? SL_NO_MEMORY : sl_blocks_join(&blocks, x->arena, out);
}

/* From here on it is accounted for, whoever waits for the answer. */
static enum sl_step_result send(struct sl_exchange *x)
{
    struct sl_transaction *t = x->transaction;
    struct sl_slice body, peer = sl_conn_peer(x->conn);
    enum sl_status status = gather(x, &body);
    x->peer = sl_arena_copy(x->arena, peer);
    if (status == SL_OK && !x->peer.ptr && peer.len)
        status = SL_NO_MEMORY;
    if (status != SL_OK)
        return sl_exchange_fail(x, status, "transaction");
    t->phase = SENT;
    x->owed = true;
    t->ask = (struct sl_ask){.kind = SL_ASK_TRANSACTION, .body = body, .arena = x->arena};
    if (!body.len) {
        t->ask.finished = true;
        return SL_STEP_DONE;
    }
    for (size_t i = 0; i < t->count; i++)
        if (is_sent(&t->parts[i]))
            t->parts[i].inner->owed = true;
    sl_exchange_ask(x, &t->ask);
    return t->ask.finished ? SL_STEP_DONE : SL_STEP_WAIT;
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
static enum sl_status read_answer(struct sl_exchange *x)
{
    struct sl_transaction *t = x->transaction;
    struct sl_doc doc;
    if (sl_doc_parse(x->arena, t->ask.text, NULL, &doc, NULL) != SL_OK || doc.spans[0].type != SL_SPAN_OBJECT)
        return SL_UPSTREAM;
    uint32_t list = sl_span_member(&doc, 0, SL_NAME_entry), at = list + 1;
    if (!list || doc.spans[list].type != SL_SPAN_ARRAY)
        return SL_UPSTREAM;
    for (size_t i = 0; i < t->count; i++) {
        if (!is_sent(t->order[i]))
            continue;
        if (at >= doc.spans[list].next || doc.spans[at].type != SL_SPAN_OBJECT ||
            !read_response(&doc, at, &t->order[i]->inner->write->ask, x->arena))
            return SL_UPSTREAM;
        at = doc.spans[at].next;
    }
    return sl_arena_failed(x->arena) ? SL_UPSTREAM : SL_OK;
}

/* Whom it is about, by the ids that they have now. */
static void rename_patients(struct sl_exchange *x, struct sl_exchange *inner)
{
    struct sl_slice rest = inner->write->patients, all = {NULL, 0};
    while (rest.len) {
        const char *space = memchr(rest.ptr, ' ', rest.len);
        struct sl_slice one = {rest.ptr, space ? (size_t)(space - rest.ptr) : rest.len};
        const struct part *part = maker_of(x->transaction, one);
        rest = sl_slice_from(rest, one.len + (space != NULL));
        if (part && is_sent(part))
            one = sl_arena_printf(inner->arena, "Patient/%.*s", SL_FMT(part->inner->write->ask.id));
        all = sl_arena_printf(inner->arena, "%.*s%s%.*s", SL_FMT(all), all.len ? " " : "", SL_FMT(one));
    }
    inner->write->patients = all;
}

/* Each goes on as if it had been sent by itself. */
static void conclude(struct sl_exchange *x, enum sl_status status)
{
    struct sl_transaction *t = x->transaction;
    for (size_t i = 0; i < t->count && status == SL_OK; i++)
        if (is_sent(&t->parts[i]))
            rename_patients(x, t->parts[i].inner);
    for (size_t i = 0; i < t->count; i++) {
        struct sl_exchange *inner = t->parts[i].inner;
        if (!inner || !inner->parked)
            continue;
        struct sl_ask *ask = &inner->write->ask;
        if (is_sent(&t->parts[i])) {
            ask->id = sl_arena_copy(inner->arena, ask->id);
            ask->version = sl_arena_copy(inner->arena, ask->version);
            ask->status = status == SL_OK && !ask->id.ptr ? SL_NO_MEMORY : status;
            ask->why = t->ask.why;
            ask->finished = true;
        }
        sl_inner_go_on(inner);
    }
}

static enum sl_step_result take_sent(struct sl_exchange *x)
{
    struct sl_transaction *t = x->transaction;
    enum sl_status status = t->ask.status;
    if (!t->ask.finished)
        return SL_STEP_WAIT;
    if (status == SL_EXISTS) {
        x->owed = false; /* nothing was written */
        for (size_t i = 0; i < t->count; i++)
            if (t->parts[i].inner)
                t->parts[i].inner->owed = false;
        return ++t->races == RACES ? sl_exchange_fail(x, SL_CONFLICT, "lost-races") : again(x);
    }
    if (t->ask.body.len && status == SL_OK)
        status = read_answer(x);
    conclude(x, t->ask.body.len ? status : SL_OK);
    t->phase = ENDING;
    return x->outstanding ? SL_STEP_WAIT : SL_STEP_DONE;
}

/* ---- The phases ---- */

static enum sl_step_result find(struct sl_exchange *x)
{
    struct sl_transaction *t = x->transaction;
    enum sl_status status = t->begun ? SL_OK : collect_conditions(x);
    if (status == SL_OK)
        status = find_more(x);
    if (status != SL_OK)
        return sl_exchange_fail(x, status, "reference");
    if (t->checked < t->begun)
        return SL_STEP_WAIT;
    t->phase = PREPARING;
    t->begun = t->checked = 0;
    status = name_all(x);
    return status == SL_OK ? SL_STEP_DONE : sl_exchange_fail(x, status, "transaction");
}

static enum sl_step_result prepare(struct sl_exchange *x)
{
    struct sl_transaction *t = x->transaction;
    bool renamed = false;
    enum sl_status status = prepare_more(x);
    if (status == SL_OK && t->checked < t->begun)
        return SL_STEP_WAIT;
    if (status == SL_OK)
        status = check_overlap(x);
    if (status == SL_OK)
        status = settle_names(x, &renamed);
    if (status != SL_OK)
        return sl_exchange_fail(x, status, "transaction");
    return renamed || is_overtaken(x) ? again(x) : send(x);
}

/* What was written cannot be taken back: a failure from here on is said of its entry. */
static enum sl_step_result end(struct sl_exchange *x)
{
    struct sl_transaction *t = x->transaction;
    for (size_t i = 0; i < t->count; i++)
        if (t->parts[i].inner && t->parts[i].inner->write && t->parts[i].inner->status != SL_OK)
            return sl_exchange_fail(x, t->parts[i].inner->status, "transaction-unknown");
    t->phase = ENDED;
    return SL_STEP_DONE;
}

enum sl_step_result sl_transaction_step(struct sl_exchange *x)
{
    static enum sl_step_result (*const phases[])(struct sl_exchange *) = {
        [FINDING] = find, [PREPARING] = prepare, [SENT] = take_sent, [ENDING] = end};
    enum sl_step_result result = SL_STEP_DONE;
    while (result == SL_STEP_DONE && x->transaction->phase < ENDED)
        result = phases[x->transaction->phase](x);
    return result;
}

struct sl_exchange *sl_transaction_entry(const struct sl_exchange *x, size_t index)
{
    return x->transaction->parts[index].inner;
}

/* ---- For its writes ---- */

bool sl_transaction_holds(const struct sl_exchange *x)
{
    return x->outer && x->outer->transaction;
}

/* Its request is the entry's: see prepare_more. */
static struct part *part_of(const struct sl_exchange *x)
{
    struct sl_transaction *t = sl_transaction_holds(x) ? x->outer->transaction : NULL;
    for (size_t i = 0; t && i < t->count; i++)
        if (x->request == &t->parts[i].request)
            return &t->parts[i];
    return NULL;
}

struct sl_slice sl_transaction_own_id(const struct sl_exchange *x)
{
    const struct part *part = part_of(x);
    return part ? part->id : (struct sl_slice){NULL, 0};
}

bool sl_transaction_makes(const struct sl_exchange *x, struct sl_slice name)
{
    const struct part *maker = sl_transaction_holds(x) ? maker_of(x->outer->transaction, name) : NULL;
    return maker && sl_slice_eq(maker->name, maker->provisional);
}

static bool names(const struct part *part, const struct part *other)
{
    for (size_t i = 0; i < part->link_count; i++)
        if (part->links[i] == other)
            return true;
    return false;
}

struct looking {
    struct part *list[CONTEXTS];
    size_t count;
    unsigned char *seen;
};

static void look_at(struct looking *looking, const struct sl_transaction *t, struct part *part)
{
    size_t index = (size_t)(part - t->parts);
    if (looking->seen[index] || !part->known || looking->count == CONTEXTS)
        return;
    looking->seen[index] = 1;
    looking->list[looking->count++] = part;
}

enum sl_status sl_transaction_context(struct sl_exchange *x, struct sl_round *round)
{
    struct part *own = part_of(x);
    struct looking looking = {.count = 0};
    struct sl_item *item;
    if (!own)
        return SL_OK;
    const struct sl_transaction *t = x->outer->transaction;
    looking.seen = sl_arena_array(round->arena, t->count, 1);
    if (!looking.seen)
        return SL_NO_MEMORY;
    looking.seen[own - t->parts] = 1;
    for (size_t i = 0; i < own->link_count; i++)
        look_at(&looking, t, own->links[i]);
    for (size_t i = 0; (sl_r4_facts(own->type) & SL_R4_BY_ROUTE) && i < t->count; i++)
        if (names(&t->parts[i], own))
            look_at(&looking, t, &t->parts[i]);
    for (size_t at = 0; at < looking.count; at++) {
        SL_TRY(sl_pass_add(round->pass, &looking.list[at]->doc, 0, (struct sl_slice){NULL, 0}, true, &item));
        for (size_t i = 0; i < looking.list[at]->link_count; i++)
            look_at(&looking, t, looking.list[at]->links[i]);
    }
    return SL_OK;
}

enum sl_status sl_transaction_patients(const struct sl_exchange *x, const struct sl_found *found, struct sl_slice *out)
{
    struct part *own = part_of(x);
    for (size_t i = 0; own && (sl_r4_facts(own->type) & SL_R4_BY_ROUTE) && i < x->outer->transaction->count; i++) {
        const struct part *part = &x->outer->transaction->parts[i];
        struct sl_slice patients = {NULL, 0};
        const struct sl_item *item =
            names(part, own) ? sl_labeller_find(sl_pass_labeller(found->pass), part->provisional) : NULL;
        if (item)
            SL_TRY(sl_pass_patients(found->pass, item, &patients));
        if (patients.len && !sl_slice_eq(patients, *out))
            *out = sl_arena_printf(x->arena, "%.*s%s%.*s", SL_FMT(*out), out->len ? " " : "", SL_FMT(patients));
    }
    return sl_arena_failed(x->arena) ? SL_NO_MEMORY : SL_OK;
}
