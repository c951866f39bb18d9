/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The response, whole, in memory: see exchange.h. A Bundle is ours: nothing of the upstream's envelope is in it.
 *
 * What is said here is a function of what is released: `total` stands there if and only if the first page holds all
 * released matches; `next` if and only if there is one more of them; the notice of 42 CFR 2.32 if and only if something
 * released rests on written consent; the standing sentence always.
 */
#include <stdlib.h>

#include "batch.h"
#include "bookmark.h"
#include "history.h"
#include "metadata.h"
#include "notice.h"
#include "operation.h"
#include "outcome.h"
#include "sluice/fault.h"
#include "view.h"
#include "write.h"

#define GZIP_FROM 1400u /* bytes of a body from which on it is packed for who takes that */

#define LIT(text) sl_blocks_add(out, SL_LIT(text))

static void add_header(struct sl_exchange *x, struct sl_slice name, struct sl_slice value)
{
    SL_ASSERT(x->response.header_count < sizeof x->headers / sizeof *x->headers);
    x->headers[x->response.header_count++] = (struct sl_header){name, value};
}

static void begin(struct sl_exchange *x, enum sl_status status)
{
    x->body = (struct sl_blocks){.arena = x->arena};
    x->response = (struct sl_response){.status = sl_status_http(status),
        .headers = x->headers,
        .body = &x->body,
        .head_only = x->request && x->request->method == SL_HEAD,
        .close = x->close};
    add_header(x, SL_LIT("Content-Type"), sl_format_type(SL_FORMAT_JSON));
    add_header(x, SL_LIT("Cache-Control"), SL_LIT("no-store"));
}

static void write_outcome(struct sl_exchange *x)
{
    begin(x, x->status);
    x->spare = (struct sl_block){.ptr = x->spare_bytes, .capacity = sizeof x->spare_bytes};
    x->body.first = x->body.last = &x->spare;
    if (x->status == SL_UNAUTHENTICATED) /* RFC 6750, 3: no error code where no token was given */
        add_header(x, SL_LIT("WWW-Authenticate"),
            x->why && strcmp(x->why, "token-missing") != 0 ? SL_LIT("Bearer realm=\"sluice\", error=\"invalid_token\"")
                                                           : SL_LIT("Bearer realm=\"sluice\""));
    if (x->status == SL_METHOD && x->request) {
        sl_route_methods(x->state->gateway->config, x->request, x->allowed);
        add_header(x, SL_LIT("Allow"), sl_slice_of(x->allowed));
    }
    if (sl_status_http(x->status) == 503)
        add_header(x, SL_LIT("Retry-After"), SL_LIT("5"));
    sl_outcome_write(x->status, x->detail, &x->body);
}

/* ---- In the format that was asked for ---- */

/* Whatever has been made, as XML; JSON in memory twice and XML once, out of the process's budget. */
static enum sl_status format_answer(struct sl_exchange *x)
{
    if (x->interaction.format != SL_FORMAT_XML || !x->body.total)
        return SL_OK;
    SL_TRY(sl_exchange_reserve(x, &x->reserved, 4 * x->body.total));
    SL_TRY(sl_format_as_xml(&x->body));
    x->headers[0].value = sl_format_type(SL_FORMAT_XML);
    return SL_OK;
}

/* What fits a packet is not worth it. How long an answer is, packed or not, is a function of what is in it. */
static enum sl_status pack_answer(struct sl_exchange *x)
{
    if (x->body.total < GZIP_FROM || !x->request || !sl_format_takes_gzip(x->request))
        return SL_OK;
    SL_TRY(sl_exchange_reserve(x, &x->reserved, x->body.total));
    SL_TRY(sl_format_gzip(&x->body));
    add_header(x, SL_LIT("Content-Encoding"), SL_LIT("gzip"));
    return SL_OK;
}

void sl_answer_outcome(struct sl_exchange *x)
{
    write_outcome(x);
    if (!x->body.failed) {
        (void)!format_answer(x); /* where that cannot be had, JSON says it as well */
        return;
    }
    x->status = SL_NO_MEMORY;
    x->detail = (struct sl_slice){NULL, 0};
    write_outcome(x);
    SL_ASSERT(!x->body.failed);
}

/* ---- Entries ---- */

#define SCOPES 64u

struct notice { /* what of the Bundle depends on what is in it */
    char confidentiality;
    bool due;
    struct sl_slice scopes[SCOPES]; /* of each consent relied on, once */
    size_t scope_count;
    const struct sl_item *last; /* whose release this is: neighbours are mostly alike */
    struct sl_release release;
};

static enum sl_status raise_notice(struct notice *notice, const struct sl_item *item, const struct sl_release *release)
{
    if (sl_level_rank(item->confidentiality) > sl_level_rank(notice->confidentiality))
        notice->confidentiality = item->confidentiality;
    notice->due |= release->notice;
    for (size_t i = 0; release->notice && i < release->scope_count; i++) {
        size_t at = 0;
        while (at < notice->scope_count && !sl_slice_eq(notice->scopes[at], release->scopes[i]))
            at++;
        if (at == SCOPES)
            return SL_LIMIT;
        notice->scopes[at] = release->scopes[i];
        notice->scope_count += at == notice->scope_count;
    }
    return SL_OK;
}

/* Does what one was released on hold for the other? Their own classes say all, and nothing looks beyond classes. */
static bool are_alike(const struct sl_item *a, const struct sl_item *b)
{
    return a && a->ruling == b->ruling && !a->part_count && !b->part_count &&
           !sl_ruling_by_item(b->ruling, &b->classes) && memcmp(&a->classes, &b->classes, sizeof a->classes) == 0 &&
           sl_slice_eq(a->program, b->program) && sl_slice_eq(a->custodian, b->custodian);
}

/* The release of one item: into the ledger's record, and into what the Bundle says of itself. */
static enum sl_status disclose(struct sl_exchange *x, const struct sl_found *found, struct notice *notice)
{
    bool alike = are_alike(notice->last, found->item);
    if (!alike) {
        notice->release = (struct sl_release){0};
        SL_TRY(sl_ruling_release(found->item->ruling, found->item, x->arena, &notice->release));
    }
    notice->last = found->item;
    SL_TRY(raise_notice(notice, found->item, &notice->release));
    x->confidentiality = notice->confidentiality;
    return sl_account_released(x, found, &notice->release, alike);
}

static void add_json(struct sl_exchange *x, struct sl_slice text)
{
    struct sl_buffer buffer;
    sl_buffer_init(&buffer, (size_t)1 << 20);
    sl_buffer_json_string(&buffer, text);
    if (sl_buffer_failed(&buffer))
        x->body.failed = true;
    else
        sl_blocks_add(&x->body, sl_buffer_slice(&buffer));
    sl_buffer_fini(&buffer);
}

static enum sl_status add_entry(struct sl_exchange *x, const struct sl_found *found)
{
    struct sl_blocks *out = &x->body;
    LIT("{\"fullUrl\":\"");
    sl_blocks_add(out, x->state->gateway->config->url);
    LIT("/");
    sl_blocks_add(out, sl_r4_node_name(found->entry->type));
    LIT("/");
    sl_blocks_add(out, found->entry->id);
    LIT("\",\"resource\":");
    SL_TRY(sl_partial_write(x, found, out));
    LIT(",\"search\":{");
    sl_blocks_add(out, found->search);
    sl_blocks_add(out, found->match ? SL_LIT("\"mode\":\"match\"}},") : SL_LIT("\"mode\":\"include\"}},"));
    return out->failed ? SL_NO_MEMORY : SL_OK;
}

static bool is_answered(const struct sl_exchange *x, const struct sl_found *found, bool matches)
{
    return found->released && !found->aside && found->match == matches && (matches || found->linked) &&
           sl_interaction_wants(&x->interaction, found->entry->type);
}

/* All that are answered, matches or includes, in the order in which they came. */
static enum sl_status list_answered(struct sl_exchange *x, bool matches, const struct sl_found ***list, size_t *count)
{
    size_t limit = 0;
    for (const struct sl_round *round = x->rounds; round; round = round->next)
        for (const struct sl_found *found = round->first; found; found = found->next)
            limit += is_answered(x, found, matches);
    *list = sl_arena_array(x->arena, limit + 1, sizeof **list);
    *count = 0;
    if (!*list)
        return SL_NO_MEMORY;
    for (const struct sl_round *round = x->rounds; round; round = round->next)
        for (const struct sl_found *found = round->first; found; found = found->next)
            if (is_answered(x, found, matches))
                (*list)[(*count)++] = found;
    return SL_OK;
}

static enum sl_status add_found(struct sl_exchange *x, struct notice *notice, const struct sl_found *found)
{
    SL_TRY(disclose(x, found, notice));
    return add_entry(x, found);
}

/* A Bundle on its way: a large one rests now and then. */
struct sl_answering {
    struct notice notice;
    struct {
        const struct sl_found *const *list;
        size_t count;
    } parts[2]; /* matches, includes */
    size_t part, at;
    bool rests;
};

/* Goes on where it stood, until all are there or it has had its time. */
static enum sl_status add_parts(struct sl_exchange *x, struct sl_answering *a)
{
    for (; a->part < 2; a->part++, a->at = 0)
        for (; a->at < a->parts[a->part].count; a->at++) {
            a->rests = sl_exchange_tired(x);
            if (a->rests)
                return SL_OK;
            SL_TRY(add_found(x, &a->notice, a->parts[a->part].list[a->at]));
        }
    return SL_OK;
}

static enum sl_status list_matches(struct sl_exchange *x, struct sl_answering *a)
{
    const struct sl_found **list = NULL;
    size_t count = x->chosen_count;
    if (!x->chosen)
        SL_TRY(list_answered(x, true, &list, &count));
    if (list && x->planned)
        SL_TRY(sl_sort_rank(x, list, &count));
    a->parts[0].list = list ? list : (const struct sl_found *const *)x->chosen;
    a->parts[0].count = count;
    return SL_OK;
}

static int order_names(const void *a, const void *b)
{
    const struct sl_entry *x = (*(const struct sl_found *const *)a)->entry,
                          *y = (*(const struct sl_found *const *)b)->entry;
    if (x->type != y->type)
        return x->type < y->type ? -1 : 1;
    int order = memcmp(x->id.ptr, y->id.ptr, x->id.len < y->id.len ? x->id.len : y->id.len);
    return order ? order : (x->id.len > y->id.len) - (x->id.len < y->id.len);
}

/* In the order of their names: the upstream's order depends on which matches, withheld ones among them, came first. */
static enum sl_status list_includes(struct sl_exchange *x, struct sl_answering *a)
{
    const struct sl_found **list;
    size_t count;
    SL_TRY(list_answered(x, false, &list, &count));
    if (!sl_fault(SL_FAULT_UPSTREAM_ORDER))
        qsort(list, count, sizeof *list, order_names);
    a->parts[1].list = list;
    a->parts[1].count = count;
    return SL_OK;
}

/* ---- The envelope ---- */

/* 42 CFR 2.32: the statement, and the scope of each consent, accompany what is disclosed on written consent. Counted in
 * no total. */
static void add_notice(struct sl_exchange *x, const struct notice *notice)
{
    struct sl_blocks *out = &x->body;
    LIT("{\"fullUrl\":\"" SL_NOTICE_URL "\",\"resource\":");
    x->body.failed |= sl_notice_write(sl_policy_notice(x->policy), notice->scopes, notice->scope_count, out) != SL_OK;
    LIT(",\"search\":{\"mode\":\"include\"}},");
}

/* One more parameter, if it has a value. */
static struct sl_slice with(struct sl_exchange *x, struct sl_slice query, const char *name, struct sl_slice value)
{
    if (!value.len)
        return query;
    return sl_arena_printf(x->arena, "%.*s%s%s=%.*s", SL_FMT(query), query.len ? "&" : "", name, SL_FMT(value));
}

static struct sl_slice path_of(struct sl_exchange *x)
{
    const struct sl_interaction *i = &x->interaction;
    if (sl_is_operation(i->kind))
        return sl_arena_printf(x->arena, "%.*s/%.*s%s$%.*s", SL_FMT(i->type_name), SL_FMT(i->id), i->id.len ? "/" : "",
            SL_FMT(sl_interaction_name(i->kind)));
    if (i->kind == SL_HISTORY)
        return sl_arena_printf(x->arena, "%.*s%s%.*s%s_history", SL_FMT(i->type_name), i->id.len ? "/" : "",
            SL_FMT(i->id), i->type_name.len ? "/" : "");
    return sl_arena_printf(
        x->arena, "%.*s%s%.*s", SL_FMT(i->compartment), i->compartment.len ? "/" : "", SL_FMT(i->type_name));
}

/* An instant: all but its sign stands for itself in a query. */
static struct sl_slice escaped(struct sl_exchange *x, struct sl_slice since)
{
    const char *plus = since.len ? memchr(since.ptr, '+', since.len) : NULL;
    if (!plus)
        return since;
    size_t at = (size_t)(plus - since.ptr);
    return sl_arena_printf(x->arena, "%.*s%%2B%.*s", (int)at, since.ptr, SL_FMT(sl_slice_from(since, at + 1)));
}

static void add_url(struct sl_exchange *x, const char *relation, struct sl_slice query, struct sl_slice cursor)
{
    const struct sl_interaction *i = &x->interaction;
    struct sl_slice path = path_of(x), none = {NULL, 0};
    query = with(x, query, "_type", i->kind == SL_SEARCH ? i->types : none);
    query = with(x, query, "_since", escaped(x, i->since));
    query = with(x, query, "_cursor", cursor);
    query = with(x, query, "_format", i->format_named ? sl_format_word(i->format) : none);
    struct sl_blocks *out = &x->body;
    LIT("{\"relation\":\"");
    sl_blocks_add(out, sl_slice_of(relation));
    LIT("\",\"url\":");
    add_json(x, sl_arena_printf(x->arena, "%.*s/%.*s%s%.*s", SL_FMT(x->state->gateway->config->url), SL_FMT(path),
                    query.len ? "?" : "", SL_FMT(query)));
    LIT("}");
}

static bool has_next(const struct sl_exchange *x)
{
    bool hidden = sl_fault(SL_FAULT_NEXT_BY_HIDDEN) && x->account.withheld_count;
    return x->interaction.kind == SL_SEARCH && x->wanted && (x->gathered > x->wanted || hidden);
}

static enum sl_status add_links(struct sl_exchange *x, bool more)
{
    struct sl_blocks *out = &x->body;
    struct sl_slice query = {NULL, 0}, cursor;
    if (x->interaction.kind == SL_SEARCH || x->interaction.kind == SL_HISTORY)
        SL_TRY(sl_bookmark_query(x, &query));
    else
        query = x->operation->query;
    LIT("\"link\":[");
    add_url(x, "self", query, x->interaction.search.cursor);
    if (more) {
        SL_TRY(sl_bookmark_write(x, &x->following, &cursor));
        LIT(",");
        add_url(x, "next", query, cursor);
    }
    LIT("]");
    return SL_OK;
}

/* A Bundle's own label: the Confidentiality code alone, always; the highest of what is in it, and of an empty answer
 * what is ordinary. */
static void add_meta(struct sl_exchange *x, const struct notice *notice)
{
    char level = notice->confidentiality ? notice->confidentiality : 'N';
    sl_blocks_add(&x->body,
        sl_arena_printf(x->arena,
            ",\"meta\":{\"security\":[{\"system\":\"http://terminology.hl7.org/CodeSystem/v3-Confidentiality\","
            "\"code\":\"%c\"}]}",
            level));
}

/* Is the number of all released matches said? On the first page, where they are all there, or were counted because
 * somebody asked; and then up to a limit on what is released. */
static bool has_total(const struct sl_exchange *x)
{
    struct sl_slice total = x->interaction.search.total;
    if (!x->first_page)
        return false;
    if (!x->wanted || x->interaction.kind != SL_SEARCH)
        return true;
    if (!total.len || sl_slice_eq(total, SL_LIT("none")))
        return !total.len && x->gathered <= x->wanted;
    return x->gathered <= x->wanted || x->gathered <= x->state->gateway->config->total_limit;
}

static size_t total_of(const struct sl_exchange *x)
{
    return x->gathered + (sl_fault(SL_FAULT_TOTAL_BY_HIDDEN) ? x->account.withheld_count : 0);
}

static enum sl_status go_on_with_bundle(struct sl_exchange *x)
{
    struct sl_blocks *out = &x->body;
    struct sl_answering *a = x->answering;
    SL_TRY(add_parts(x, a));
    if (a->rests)
        return SL_OK;
    x->answering = NULL;
    if (a->notice.due)
        add_notice(x, &a->notice);
    LIT("{\"fullUrl\":\"urn:uuid:8a2c3b64-5b0f-4c0e-9d55-0f2d7e6b2321\",\"resource\":");
    sl_outcome_standing(out);
    LIT(",\"search\":{\"mode\":\"outcome\"}}]");
    add_meta(x, &a->notice);
    LIT("}");
    return SL_OK;
}

/* Members in the order in which they become known; JSON and FHIR leave it free. */
static enum sl_status answer_bundle(struct sl_exchange *x)
{
    struct sl_blocks *out = &x->body;
    x->answering = sl_arena_alloc(x->arena, sizeof *x->answering);
    if (!x->answering)
        return SL_NO_MEMORY;
    LIT("{\"resourceType\":\"Bundle\",\"type\":\"searchset\",");
    if (has_total(x))
        sl_blocks_add(out, sl_arena_printf(x->arena, "\"total\":%zu,", total_of(x)));
    SL_TRY(add_links(x, has_next(x)));
    LIT(",\"entry\":[");
    SL_TRY(list_matches(x, x->answering));
    SL_TRY(list_includes(x, x->answering));
    return go_on_with_bundle(x);
}

/* ---- One resource ---- */

const struct sl_found *sl_answer_one(const struct sl_exchange *x)
{
    for (const struct sl_round *round = x->rounds; round; round = round->next) {
        const struct sl_found *found = round->first; /* it was asked for first */
        if (found && found->released && found->entry->type == x->interaction.type &&
            sl_slice_eq(found->entry->id, x->interaction.id))
            return found;
    }
    return NULL;
}

/* A text as a header's value: what is no printable ASCII has no place there. */
static struct sl_slice as_header(struct sl_exchange *x, struct sl_slice text)
{
    char *copy = sl_arena_raw(x->arena, text.len + 1, 1);
    for (size_t i = 0; copy && i < text.len; i++)
        copy[i] = text.ptr[i] < 0x20 || text.ptr[i] > 0x7e ? ' ' : text.ptr[i];
    return copy ? (struct sl_slice){copy, text.len} : (struct sl_slice){NULL, 0};
}

/* The bytes of a Binary have no place for the notice of 42 CFR 2.32 and for the scope of the consent: they stand in the
 * head. */
static enum sl_status answer_raw(struct sl_exchange *x, const struct sl_found *found, const struct notice *notice)
{
    struct sl_slice type;
    SL_TRY(sl_content_answer(x, found, &type));
    x->headers[0].value = sl_arena_copy(x->arena, type); /* the record is gone when the head is written */
    add_header(x, SL_LIT("X-Content-Type-Options"), SL_LIT("nosniff"));
    add_header(x, SL_LIT("Content-Disposition"), SL_LIT("attachment"));
    add_header(x, SL_LIT("Content-Security-Policy"), SL_LIT("default-src 'none'; sandbox"));
    if (notice->due)
        add_header(x, SL_LIT("Sluice-Notice"), as_header(x, sl_policy_notice(x->policy)));
    if (notice->scope_count) /* this one resource's, all in one line */
        add_header(x, SL_LIT("Sluice-Scope"), as_header(x, notice->release.statement));
    return SL_OK;
}

/* RFC 9110, 15.4.5: of what the client has already goes no body, and of the head what is about keeping it. That it is
 * so is a disclosure like the body's, and accounted as one. */
static void leave_out(struct sl_exchange *x)
{
    x->body = (struct sl_blocks){.arena = x->arena};
    x->response.status = 304;
    x->response.header_count = 0;
    add_header(x, SL_LIT("Cache-Control"), SL_LIT("no-store"));
}

/* The view's own tag, and when the version shown was made. */
static enum sl_status add_validators(struct sl_exchange *x, const struct sl_found *found)
{
    struct sl_validators validators;
    SL_TRY(sl_view_tag(x, found));
    SL_TRY(sl_view_validators(x, found, &validators));
    if (sl_view_unchanged(x->request, sl_view_current(found), sl_view_updated(found->item, found->page->edits)))
        leave_out(x);
    add_header(x, SL_LIT("ETag"), validators.etag);
    if (validators.modified.len)
        add_header(x, SL_LIT("Last-Modified"), validators.modified);
    return SL_OK;
}

/* To whom it would have been shown, that it was deleted; to everybody else it never was. */
static enum sl_status answer_deletion(struct sl_exchange *x)
{
    bool gone;
    SL_TRY(sl_history_gone(x, &gone));
    return gone ? SL_GONE : SL_NOT_FOUND;
}

static enum sl_status answer_one(struct sl_exchange *x, const struct sl_found *found)
{
    struct notice notice = {0};
    if (!found)
        return SL_NOT_FOUND; /* withheld or absent: the same bytes */
    SL_TRY(disclose(x, found, &notice));
    if (x->interaction.format == SL_FORMAT_BYTES && sl_partial_is_wanted(x))
        return SL_NOT_ACCEPTABLE; /* bytes have no elements */
    if (x->interaction.format == SL_FORMAT_BYTES)
        SL_TRY(answer_raw(x, found, &notice));
    else
        SL_TRY(sl_partial_write(x, found, &x->body));
    return add_validators(x, found);
}

static enum sl_status answer_read(struct sl_exchange *x)
{
    return x->history ? answer_deletion(x) : answer_one(x, sl_answer_one(x));
}

static enum sl_status answer_vread(struct sl_exchange *x)
{
    struct sl_found *found;
    SL_TRY(sl_history_find(x, &found));
    return answer_one(x, found);
}

/* ---- A history ---- */

/* R4, http.html#history. What was asked for then is told as it can be seen from here: the first version there is was a
 * create, and all others were updates, some of them of what had been deleted. */
static void add_event(struct sl_exchange *x, const struct sl_listed *one)
{
    struct sl_blocks *out = &x->body;
    const struct sl_found *found = one->found;
    bool deleted = found->entry->deleted;
    struct sl_slice type = sl_r4_node_name(found->entry->type), updated = sl_history_updated(found);
    LIT("\"request\":{\"method\":");
    sl_blocks_add(out, deleted ? SL_LIT("\"DELETE\"") : one->oldest ? SL_LIT("\"POST\"") : SL_LIT("\"PUT\""));
    LIT(",\"url\":\"");
    sl_blocks_add(out, type);
    if (!one->oldest) {
        LIT("/");
        sl_blocks_add(out, found->entry->id);
    }
    LIT("\"},\"response\":{\"status\":");
    sl_blocks_add(out, deleted ? SL_LIT("\"204\"") : one->made ? SL_LIT("\"201\"") : SL_LIT("\"200\""));
    if (!deleted) {
        LIT(",\"etag\":\"W/\\\"");
        sl_blocks_add(out, (struct sl_slice){found->item->tag, SL_VIEW_TAG});
        LIT("\\\"\"");
    }
    if (updated.len) {
        LIT(",\"lastModified\":\"");
        sl_blocks_add(out, updated);
        LIT("\"");
    }
    LIT("}}");
}

static enum sl_status add_version(struct sl_exchange *x, const struct sl_listed *one, struct notice *notice)
{
    struct sl_blocks *out = &x->body;
    LIT("{\"fullUrl\":\"");
    sl_blocks_add(out, x->state->gateway->config->url);
    LIT("/");
    sl_blocks_add(out, sl_r4_node_name(one->found->entry->type));
    LIT("/");
    sl_blocks_add(out, one->found->entry->id);
    LIT("\",");
    if (one->found->item) {
        SL_TRY(disclose(x, one->found, notice));
        LIT("\"resource\":");
        SL_TRY(sl_view_write(one->of, one->found, out));
        LIT(",");
    }
    add_event(x, one);
    return SL_OK;
}

/* Each resource carries its own notice; what stands among the entries of a history is a version of something. */
static enum sl_status answer_history(struct sl_exchange *x)
{
    struct sl_blocks *out = &x->body;
    struct notice notice = {0};
    const struct sl_listed *list;
    size_t count;
    bool more;
    SL_TRY(sl_history_page(x, &list, &count, &more));
    if (!sl_history_is_known(x))
        return SL_NOT_FOUND;
    LIT("{\"resourceType\":\"Bundle\",\"type\":\"history\",");
    SL_TRY(add_links(x, more));
    for (size_t i = 0; i < count; i++) {
        sl_blocks_add(out, i ? SL_LIT(",") : SL_LIT(",\"entry\":["));
        SL_TRY(add_version(x, &list[i], &notice));
    }
    if (count)
        LIT("]");
    add_meta(x, &notice);
    LIT("}");
    return SL_OK;
}

/* ---- What was written ---- */

/* Of a view that the writer has of it: its tag, and where that version is. Where it has none (a note that it may write
 * and not read) the name alone, which a create must tell: that it cannot be read a read would tell as well. */
static enum sl_status add_place(struct sl_exchange *x, const struct sl_found *found)
{
    const struct sl_write *write = x->write;
    struct sl_slice base = x->state->gateway->config->url, tag = {NULL, 0};
    struct sl_validators validators = {{NULL, 0}, {NULL, 0}};
    if (found) {
        SL_TRY(sl_view_tag(x, found));
        SL_TRY(sl_view_validators(x, found, &validators));
        tag = (struct sl_slice){found->item->tag, SL_VIEW_TAG};
        add_header(x, SL_LIT("ETag"), validators.etag);
    }
    if (validators.modified.len)
        add_header(x, SL_LIT("Last-Modified"), validators.modified);
    struct sl_slice location = sl_arena_printf(x->arena, "%.*s/%.*s/%.*s%s%.*s", SL_FMT(base),
        SL_FMT(x->interaction.type_name), SL_FMT(write->ask.id), tag.len ? "/_history/" : "", SL_FMT(tag));
    if (write->outcome == SL_WRITE_CREATED || write->outcome == SL_WRITE_MATCHED)
        add_header(x, SL_LIT("Location"), location);
    return location.ptr ? SL_OK : SL_NO_MEMORY;
}

static void leave_empty(struct sl_exchange *x)
{
    x->response.header_count = 0;
    add_header(x, SL_LIT("Cache-Control"), SL_LIT("no-store"));
}

static enum sl_status answer_write(struct sl_exchange *x)
{
    struct sl_write *write = x->write;
    struct notice notice = {0};
    bool shown = write->shown && !x->cancelled && write->shown->status == SL_OK;
    const struct sl_found *found = shown ? sl_answer_one(write->shown) : NULL;
    x->response.status = write->outcome == SL_WRITE_CREATED ? 201 : write->outcome == SL_WRITE_GONE ? 204 : 200;
    if (write->outcome == SL_WRITE_GONE || write->prefer == SL_PREFER_MINIMAL)
        leave_empty(x);
    if (write->outcome == SL_WRITE_GONE)
        return SL_OK;
    if (found) /* its tag says as much as the view does */
        SL_TRY(disclose(x, found, &notice));
    SL_TRY(add_place(x, found));
    if (write->prefer == SL_PREFER_MINIMAL)
        return SL_OK;
    if (sl_fault(SL_FAULT_WRITE_ECHOED) && write->text.ptr)
        sl_blocks_add(&x->body, write->text);
    else if (found && write->prefer == SL_PREFER_REPRESENTATION)
        return sl_view_write(x, found, &x->body);
    else
        sl_outcome_standing(&x->body);
    return SL_OK;
}

static enum sl_status answer_metadata(struct sl_exchange *x)
{
    struct sl_buffer text;
    sl_buffer_init(&text, (size_t)4 << 20);
    enum sl_status status = sl_metadata_write(x->state->gateway->config, x->policy, &text);
    if (status == SL_OK)
        sl_blocks_add(&x->body, sl_buffer_slice(&text));
    sl_buffer_fini(&text);
    return status;
}

static enum sl_status answer_everything(struct sl_exchange *x)
{
    return sl_answer_one(x) ? answer_bundle(x) : SL_NOT_FOUND;
}

static enum sl_status answer_chosen(struct sl_exchange *x)
{
    SL_TRY(sl_operation_choose(x));
    return answer_bundle(x);
}

/* Of a stored resource, its view: that it is there is told by this, too. */
static enum sl_status answer_validate(struct sl_exchange *x)
{
    struct notice notice = {0};
    if (x->operation->has_resource)
        return sl_operation_validate(x, NULL);
    const struct sl_found *found = sl_answer_one(x);
    if (!found)
        return SL_NOT_FOUND;
    SL_TRY(disclose(x, found, &notice));
    return sl_operation_validate(x, found);
}

static enum sl_status (*const answers[])(struct sl_exchange *x) = {
    [SL_METADATA] = answer_metadata,
    [SL_READ] = answer_read,
    [SL_SEARCH] = answer_bundle,
    [SL_EVERYTHING] = answer_everything,
    [SL_LASTN] = answer_chosen,
    [SL_DOCREF] = answer_chosen,
    [SL_MATCH] = answer_chosen,
    [SL_VALIDATE] = answer_validate,
    [SL_VREAD] = answer_vread,
    [SL_HISTORY] = answer_history,
    [SL_CREATE] = answer_write,
    [SL_UPDATE] = answer_write,
    [SL_PATCH] = answer_write,
    [SL_DELETE] = answer_write,
    [SL_BATCH] = sl_batch_answer,
};

static enum sl_status begin_answer(struct sl_exchange *x)
{
    begin(x, SL_OK);
    if (x->interaction.kind != SL_BATCH)
        x->confidentiality = 0;
    return answers[x->interaction.kind] ? answers[x->interaction.kind](x) : SL_NOT_SUPPORTED;
}

enum sl_status sl_answer(struct sl_exchange *x)
{
    enum sl_status status = x->answering ? go_on_with_bundle(x) : begin_answer(x);
    if (status == SL_OK && (x->body.failed || sl_arena_failed(x->arena)))
        status = SL_NO_MEMORY;
    if (status != SL_OK || x->answering)
        return status;
    SL_TRY(format_answer(x));
    return pack_answer(x);
}
