/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See selftest.h. One exchange stands for the one who asks, and never answers; each request is an exchange within it,
 * as the entry of a batch is. They run on a loop of the test's own, in the thread that calls.
 */
#include "selftest.h"

#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "cli.h"
#include "exchange.h"
#include "sluice/canary.h"
#include "sluice/fault.h"
#include "worker.h"

#define TOGETHER 8u
#define REQUESTS 8192u
#define ARENA ((size_t)256 * 1024 * 1024)
#define INFLATED ((size_t)32 * 1024 * 1024)
#define ISSUES 20u /* told, at most */

/* ---- What is asked, of each party ---- */

/* %s: the type of a canary. */
static const char *const by_type[] = {"GET %s?_count=500", "GET %s?patient=" SL_CANARY_PATIENT "&_count=3",
    "GET Patient/" SL_CANARY_PATIENT "/%s?_count=500", "GET %s?_count=500&_summary=true", "GET %s/_history?_count=500",
    "POST %s/_search patient=" SL_CANARY_PATIENT "&_count=500",
    "GET Patient?_id=" SL_CANARY_PATIENT "&_revinclude=%s:patient",
    "GET %s?patient.identifier=urn:sluice:selftest|person&_count=500", "GET %s?_lastUpdated=ge2000&_sort=-_lastUpdated",
    "GET %s?colour=blue"};

static const char *const once[] = {"GET Patient/" SL_CANARY_PATIENT "/$everything",
    "GET Patient/" SL_CANARY_PATIENT "/$everything?_format=xml", "GET Encounter/" SL_CANARY_VISIT "/$everything",
    "GET Encounter?_id=" SL_CANARY_VISIT "&_revinclude=Observation:encounter",
    "GET Observation?_include=Observation:encounter&_include=Observation:subject&_count=500",
    "GET Observation?_count=500&_format=xml", "GET DocumentReference?_count=500&_format=xml",
    "GET Observation/$lastn?patient=" SL_CANARY_PATIENT "&status=final&code:missing=false&max=500",
    "GET Observation?date=gt2000&_count=500", "GET Observation?status:not=cancelled&_count=500",
    "GET Observation?_total=accurate&_summary=count", "GET DocumentReference/$docref?patient=" SL_CANARY_PATIENT,
    "GET Patient/" SL_CANARY_PATIENT "/_history", "GET Patient?identifier=urn:sluice:selftest|person", "GET metadata",
    "GET $graphql?query=x",
    "POST / {\"resourceType\":\"Bundle\",\"type\":\"batch\",\"entry\":[{\"request\":{\"method\":\"GET\",\"url\":"
    "\"Observation?_count=500\"}},{\"request\":{\"method\":\"GET\",\"url\":\"Patient/" SL_CANARY_PATIENT
    "/$everything\"}}]}"};

/* %s: type, then id. Of a canary, as one who must not have it and one who may. */
static const char *const by_canary[] = {
    "GET %s/%s", "GET %s/%s/_history", "GET %s/%s/_history/1", "GET %s/%s/$validate"};

struct asking {
    struct sl_request request;
    struct sl_header headers[4];
    const struct sl_canary_asker *asker;
    bool alone; /* whoever matches it tells of a canary that must not be told of */
};

struct sl_selftest {
    struct sl_gateway gateway; /* of the test */
    struct sl_config config;
    struct sl_server_options options;
    struct sl_worker worker;
    struct sl_arena *arena;
    struct sl_issues *issues;
    struct sl_selftest_report *report;
    char folder[64];
    struct sl_canaries canaries;
    struct sl_canary_asker *askers;
    size_t asker_count;
    struct asking *askings;
    size_t asking_count, begun, taken;
    struct sl_exchange *running[TOGETHER];
    bool seen[SL_CANARIES], told[SL_CANARIES];
    size_t leaks;
    bool whole;
    enum sl_status status;
};

static bool may_have(const struct sl_canary_asker *asker, const struct sl_canary *canary)
{
    for (unsigned bit = sl_classes_next(&canary->classes, 0); bit < SL_CLASS_LIMIT;
         bit = sl_classes_next(&canary->classes, bit + 1))
        if (!sl_classes_has(&asker->may, bit))
            return false;
    return true;
}

/* ---- Making the requests ---- */

static enum sl_status add_request(
    struct sl_selftest *t, const struct sl_canary_asker *asker, struct sl_slice line, bool packed)
{
    if (t->asking_count == REQUESTS)
        return SL_LIMIT;
    struct asking *one = &t->askings[t->asking_count++];
    bool post = sl_slice_starts(line, SL_LIT("POST "));
    struct sl_slice target = sl_slice_from(line, post ? 5 : 4), body = {NULL, 0};
    const char *space = memchr(target.ptr, ' ', target.len);
    if (space) {
        body = sl_slice_from(target, (size_t)(space - target.ptr) + 1);
        target.len = (size_t)(space - target.ptr);
    }
    const char *mark = memchr(target.ptr, '?', target.len);
    struct sl_slice path = {target.ptr, mark ? (size_t)(mark - target.ptr) : target.len};
    one->asker = asker;
    one->request = (struct sl_request){.method = post ? SL_POST : SL_GET,
        .method_text = post ? SL_LIT("POST") : SL_LIT("GET"),
        .target = target,
        .path = sl_slice_eq(path, SL_LIT("/"))
                    ? t->config.base
                    : sl_arena_printf(t->arena, "%.*s/%.*s", SL_FMT(t->config.base), SL_FMT(path)),
        .query = mark ? sl_slice_from(target, path.len + 1) : (struct sl_slice){NULL, 0},
        .headers = one->headers,
        .body = body,
        .content_length = body.len,
        .has_body = body.len > 0,
        .keep_alive = true};
    if (body.len)
        one->headers[one->request.header_count++] = (struct sl_header){SL_LIT("Content-Type"),
            body.ptr[0] == '{' ? SL_LIT("application/fhir+json") : SL_LIT("application/x-www-form-urlencoded")};
    if (packed)
        one->headers[one->request.header_count++] = (struct sl_header){SL_LIT("Accept-Encoding"), SL_LIT("gzip")};
    return one->request.path.ptr ? SL_OK : SL_NO_MEMORY;
}

/* A line with its places filled in. */
static struct sl_slice filled(struct sl_selftest *t, const char *line, struct sl_slice a, struct sl_slice b)
{
    struct sl_slice values[] = {a, b}, out = SL_LIT("");
    size_t place = 0;
    for (const char *hole = strstr(line, "%s"); hole; hole = strstr(line, "%s")) {
        out = sl_arena_printf(t->arena, "%.*s%.*s%.*s", SL_FMT(out), (int)(hole - line), line, SL_FMT(values[place]));
        place += place == 0;
        line = hole + 2;
    }
    return sl_arena_printf(t->arena, "%.*s%s", SL_FMT(out), line);
}

static bool is_first_of_type(const struct sl_selftest *t, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (sl_slice_eq(t->canaries.one[i].type, t->canaries.one[at].type))
            return false;
    return true;
}

/* Every form, as one party. */
static enum sl_status ask_forms(struct sl_selftest *t, const struct sl_canary_asker *asker)
{
    const struct sl_slice none = {NULL, 0};
    for (size_t i = 0; i < t->canaries.count; i++) {
        bool all = t->whole || sl_slice_eq(t->canaries.one[i].type, SL_LIT("Observation"));
        size_t forms = all ? sizeof by_type / sizeof *by_type : 1;
        for (size_t k = 0; is_first_of_type(t, i) && k < forms; k++)
            SL_TRY(add_request(t, asker, filled(t, by_type[k], t->canaries.one[i].type, none), k == 0));
    }
    for (size_t k = 0; k < sizeof once / sizeof *once; k++)
        SL_TRY(add_request(t, asker, sl_slice_of(once[k]), false));
    return SL_OK;
}

static size_t count_of(const struct sl_classes *set)
{
    size_t count = 0;
    for (unsigned bit = sl_classes_next(set, 0); bit < SL_CLASS_LIMIT; bit = sl_classes_next(set, bit + 1))
        count++;
    return count;
}

/* The party that may have least, or most. */
static const struct sl_canary_asker *furthest(const struct sl_selftest *t, bool most)
{
    const struct sl_canary_asker *found = &t->askers[0];
    for (size_t i = 1; i < t->asker_count; i++) {
        size_t one = count_of(&t->askers[i].may), best = count_of(&found->may);
        if (most ? one > best : one < best)
            found = &t->askers[i];
    }
    return found;
}

/* As each party what gives most; every form as each, or as the two that differ most. */
static enum sl_status ask_by_party(struct sl_selftest *t)
{
    const struct sl_canary_asker *least = furthest(t, false), *most = furthest(t, true);
    for (size_t i = 0; i < t->asker_count; i++) {
        const struct sl_canary_asker *asker = &t->askers[i];
        if (t->whole || asker == least || asker == most) {
            SL_TRY(ask_forms(t, asker));
            continue;
        }
        SL_TRY(add_request(t, asker, sl_slice_of(once[0]), false));
        SL_TRY(add_request(t, asker, sl_slice_of(once[1]), false));
    }
    return SL_OK;
}

/* The first asker from `from` on who may have the class of a canary, or may not; NULL: there is none. */
static const struct sl_canary_asker *next_asker(
    const struct sl_selftest *t, const struct sl_canary *canary, size_t from, bool may)
{
    for (size_t i = 0; i < t->asker_count; i++) {
        const struct sl_canary_asker *asker = &t->askers[(from + i) % t->asker_count];
        if (may ? may_have(asker, canary) : !sl_classes_has(&asker->may, canary->class_bit))
            return asker;
    }
    return NULL;
}

static enum sl_status ask_handle(
    struct sl_selftest *t, const struct sl_canary_asker *asker, size_t at, const char *before, const char *after)
{
    const struct sl_canary *canary = &t->canaries.one[at];
    return add_request(t, asker,
        sl_arena_printf(t->arena, "GET %s%.*s%sidentifier=urn:sluice:selftest|handle-%04zu", before,
            SL_FMT(canary->type), after, at),
        false);
}

/* As one who must not have it: by its id, by its handle, and by whom it is about; and as one who may. */
static enum sl_status ask_by_canary(struct sl_selftest *t, size_t at)
{
    const struct sl_canary *canary = &t->canaries.one[at];
    const struct sl_canary_asker *without = next_asker(t, canary, at, false), *with = next_asker(t, canary, at, true);
    size_t forms = sizeof by_canary / sizeof *by_canary;
    for (size_t k = 0; without && k < forms; k++)
        if (t->whole || k == at % forms)
            SL_TRY(add_request(t, without, filled(t, by_canary[k], canary->type, canary->id), false));
    for (size_t k = 0; with && k < (t->whole ? forms : 1); k++)
        SL_TRY(add_request(t, with, filled(t, by_canary[k], canary->type, canary->id), false));
    if (!without || canary->element || !(t->whole || at % 4 == 0))
        return SL_OK;
    SL_TRY(ask_handle(t, without, at, "", "?"));
    SL_TRY(ask_handle(t, without, at, "Patient?_has:", ":patient:"));
    t->askings[t->asking_count - 1].alone = true;
    return SL_OK;
}

static enum sl_status make_requests(struct sl_selftest *t)
{
    t->askings = sl_arena_array(t->arena, REQUESTS, sizeof *t->askings);
    if (!t->askings)
        return SL_NO_MEMORY;
    SL_TRY(ask_by_party(t));
    for (size_t i = 0; i < t->canaries.count; i++)
        SL_TRY(ask_by_canary(t, i));
    return sl_arena_failed(t->arena) ? SL_NO_MEMORY : SL_OK;
}

/* ---- Looking at an answer ---- */

static void tell_leak(struct sl_selftest *t, const struct asking *asking, size_t at)
{
    const struct sl_canary *canary = &t->canaries.one[at];
    const struct sl_class *class = sl_policy_class(t->worker.state->policy, canary->class_bit);
    t->leaks++;
    if (t->told[at])
        return;
    t->told[at] = true;
    sl_issue_add(t->issues, SL_GRADE_ERROR, "selftest-leak",
        "A canary of the class %.*s (by %s, %.*s) came through to %.*s for %.*s, who may not have it: %.*s %.*s.",
        SL_FMT(class->id), canary->way, SL_FMT(canary->type), SL_FMT(asking->asker->recipient.party),
        SL_FMT(asking->asker->recipient.purpose), SL_FMT(asking->request.method_text), SL_FMT(asking->request.target));
}

/* Whoever was asked for by a record that must not be told of. */
static void tell_match(struct sl_selftest *t, const struct asking *asking)
{
    if (t->leaks++ < ISSUES)
        sl_issue_add(t->issues, SL_GRADE_ERROR, "selftest-leak", "A canary was told of to %.*s for %.*s: GET %.*s.",
            SL_FMT(asking->asker->recipient.party), SL_FMT(asking->asker->recipient.purpose),
            SL_FMT(asking->request.target));
}

/* Every mark in a text. What a request names itself is no answer: what says that it is not there repeats nothing. */
static void look_at(struct sl_selftest *t, const struct asking *asking, struct sl_slice text)
{
    static const struct sl_slice mark = {SL_CANARY_MARK, sizeof SL_CANARY_MARK - 1};
    while (text.len > mark.len + 4) {
        const char *found = memmem(text.ptr, text.len, mark.ptr, mark.len);
        if (!found || (size_t)(found - text.ptr) + mark.len + 4 > text.len)
            return;
        size_t at = 0;
        for (size_t i = 0; i < 4; i++)
            at = at * 10 + (size_t)(found[mark.len + i] - '0');
        text = sl_slice_from(text, (size_t)(found - text.ptr) + mark.len + 4);
        if (at >= t->canaries.count || sl_fault(SL_FAULT_SELFTEST_BLIND))
            continue;
        if (!sl_classes_has(&asking->asker->may, t->canaries.one[at].class_bit))
            tell_leak(t, asking, at);
        t->seen[at] = true;
        t->report->let_through++;
    }
}

static enum sl_status inflate_all(struct sl_slice packed, struct sl_buffer *out)
{
    unsigned char chunk[16384];
    z_stream stream = {.next_in = (unsigned char *)(uintptr_t)packed.ptr, .avail_in = (uInt)packed.len};
    if (inflateInit2(&stream, MAX_WBITS + 16) != Z_OK)
        return SL_NO_MEMORY;
    int result = Z_OK;
    while (result == Z_OK) {
        stream.next_out = chunk;
        stream.avail_out = sizeof chunk;
        result = inflate(&stream, Z_NO_FLUSH);
        sl_buffer_add(out, (struct sl_slice){(const char *)chunk, sizeof chunk - stream.avail_out});
    }
    inflateEnd(&stream);
    return result == Z_STREAM_END && !sl_buffer_failed(out) ? SL_OK : SL_CORRUPT;
}

static enum sl_status look_at_answer(
    struct sl_selftest *t, const struct asking *asking, const struct sl_exchange *inner)
{
    const struct sl_response *response = &inner->response;
    struct sl_slice body = {NULL, 0};
    bool packed = false;
    for (size_t i = 0; i < response->header_count; i++) {
        look_at(t, asking, response->headers[i].value);
        packed = packed || sl_format_same(response->headers[i].name, SL_LIT("Content-Encoding"));
    }
    if (!response->body || !response->body->total)
        return SL_OK;
    SL_TRY(sl_blocks_join(response->body, inner->arena, &body));
    if (!packed) {
        look_at(t, asking, body);
        if (asking->alone && inner->status == SL_OK && memmem(body.ptr, body.len, "\"mode\":\"match\"", 14))
            tell_match(t, asking);
        return SL_OK;
    }
    struct sl_buffer text;
    sl_buffer_init(&text, INFLATED);
    enum sl_status status = inflate_all(body, &text);
    look_at(t, asking, sl_buffer_slice(&text));
    sl_buffer_fini(&text);
    return status;
}

/* ---- Asking ---- */

static enum sl_status take_answers(struct sl_exchange *x, struct sl_selftest *t)
{
    for (size_t i = 0; t->taken < t->begun; i++) {
        SL_TRY(look_at_answer(t, &t->askings[t->taken], t->running[i]));
        sl_inner_drop(t->running[i]);
        t->taken++;
    }
    (void)x;
    return SL_OK;
}

/* As one party at a time. */
static enum sl_status begin_group(struct sl_exchange *x, struct sl_selftest *t)
{
    const struct sl_canary_asker *asker = t->begun < t->asking_count ? t->askings[t->begun].asker : NULL;
    if (asker)
        x->caller.recipient = asker->recipient;
    for (size_t i = 0; i < TOGETHER && t->begun < t->asking_count && t->askings[t->begun].asker == asker; i++) {
        SL_TRY(sl_inner_answer(x, &t->askings[t->begun].request, &t->running[i]));
        t->begun++;
    }
    return SL_OK;
}

/* Entered whenever a group has ended; it never goes on to answer. */
static enum sl_step_result go_on(struct sl_exchange *x)
{
    struct sl_selftest *t = x->selftest;
    if (t->status == SL_OK)
        t->status = take_answers(x, t);
    if (t->status == SL_OK)
        t->status = begin_group(x, t);
    if (t->status != SL_OK || t->taken == t->begun)
        sl_loop_stop(&t->worker.loop);
    return SL_STEP_WAIT;
}

static struct sl_exchange *make_asker(struct sl_selftest *t)
{
    struct sl_worker_state *state = t->worker.state;
    struct sl_exchange *x = sl_exchange_new(&t->worker, NULL);
    if (!x)
        return NULL;
    x->caller.known = true;
    if (sl_scopes_read(SL_LIT("system/*.cruds"), x->arena, &x->caller.scopes, &x->caller.scope_count) != SL_OK)
        t->status = SL_NO_MEMORY;
    x->selftest = t;
    x->asks = go_on;
    x->interaction.kind = SL_BATCH;
    x->step = SL_AT_entries;
    x->body_ready = true;
    x->policy = sl_policy_ref(state->policy);
    x->registered = sl_registered_ref(state->registered);
    x->programs = sl_programs_ref(state->programs);
    x->programs_version = state->programs_version;
    x->generation = state->generation;
    x->store_version = state->store_version;
    x->label_generation = state->label_generation;
    return x;
}

static enum sl_status ask_all(struct sl_selftest *t)
{
    struct sl_exchange *x = make_asker(t);
    if (!x)
        return SL_NO_MEMORY;
    sl_exchange_schedule(x);
    sl_loop_run(&t->worker.loop);
    while (x->inners)
        sl_inner_drop(x->inners);
    while (t->worker.state->lingering)
        sl_loop_turn(&t->worker.loop);
    sl_exchange_free(x);
    return t->status;
}

/* ---- The house of the test ---- */

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *walk)
{
    (void)stat;
    (void)type;
    (void)walk;
    return remove(path);
}

/* In memory, if there is such a file system: what is synced there costs nothing. */
static enum sl_status make_folder(struct sl_selftest *t)
{
    static const char *const roots[] = {"/dev/shm", "/tmp"};
    const char *chosen = getenv("TMPDIR");
    for (size_t i = 0; i < 3; i++) {
        const char *root = i < 2 ? roots[i] : chosen;
        int len = root ? snprintf(t->folder, sizeof t->folder, "%s/sluice-selftest-XXXXXX", root) : -1;
        if (len > 0 && (size_t)len < sizeof t->folder && mkdtemp(t->folder))
            return SL_OK;
    }
    t->folder[0] = '\0';
    return SL_IO;
}

static enum sl_status plant(struct sl_selftest *t)
{
    struct sl_records_import imported;
    struct sl_slice at = sl_arena_printf(t->arena, "%s/records", t->folder);
    SL_TRY(sl_records_open(at.ptr, true, t->issues, &t->gateway.records));
    return sl_records_import(t->gateway.records, t->canaries.records, time(NULL), t->issues, &imported);
}

static enum sl_status open_ledger(struct sl_selftest *t)
{
    struct sl_slice at = sl_arena_printf(t->arena, "%s/ledger", t->folder);
    const struct sl_ledger_options options = {.directory = at.ptr, .segment_bytes = (size_t)4 * 1024 * 1024};
    return sl_ledger_open(&options, t->issues, &t->gateway.ledger);
}

static enum sl_status make_programs(struct sl_selftest *t)
{
    t->gateway.programs = sl_programs_new(true);
    if (!t->gateway.programs)
        return SL_NO_MEMORY;
    SL_TRY(sl_programs_add(t->gateway.programs, SL_LIT(SL_CANARY_PROGRAM), SL_SOURCE_PROGRAM));
    return sl_programs_add(t->gateway.programs, SL_LIT(SL_CANARY_PLACE), SL_SOURCE_NOT);
}

/* As the gateway that is to serve, but for what holds records, programs and the ledger. */
static enum sl_status open_house(struct sl_selftest *t)
{
    t->config.records = SL_LIT("(self-test)");
    t->config.upstream_url = (struct sl_slice){NULL, 0};
    t->config.rows = UINT32_MAX; /* all requests are one's, and have one bound */
    t->config.seconds = UINT32_MAX;
    t->config.log = false;
    pthread_mutex_init(&t->gateway.policy_lock, NULL);
    pthread_mutex_init(&t->gateway.programs_lock, NULL);
    t->gateway.config = &t->config;
    t->gateway.shelf = sl_shelf_new(64);
    if (!t->gateway.shelf)
        return SL_NO_MEMORY;
    SL_TRY(sl_sealer_new(NULL, &t->gateway.sealer));
    SL_TRY(make_folder(t));
    SL_TRY(make_programs(t));
    SL_TRY(sl_canaries_make(t->gateway.policy, t->gateway.programs, t->arena, &t->canaries));
    SL_TRY(sl_canary_askers(t->gateway.policy, t->arena, &t->askers, &t->asker_count));
    SL_TRY(plant(t));
    SL_TRY(open_ledger(t));
    t->options = sl_server_defaults;
    SL_TRY(sl_worker_init(&t->worker, &t->options, NULL));
    return sl_worker_state_new(&t->gateway, &t->worker, t->worker.loop.base, t->issues, &t->worker.state);
}

static void close_house(struct sl_selftest *t)
{
    sl_worker_state_free(t->worker.state);
    if (t->worker.magic)
        sl_worker_fini(&t->worker);
    sl_ledger_close(t->gateway.ledger);
    if (t->gateway.records)
        sl_records_close(t->gateway.records);
    sl_shelf_free(t->gateway.shelf);
    sl_sealer_free(t->gateway.sealer);
    sl_programs_unref(t->gateway.programs);
    sl_policy_unref(t->gateway.policy);
    pthread_mutex_destroy(&t->gateway.programs_lock);
    pthread_mutex_destroy(&t->gateway.policy_lock);
    if (t->folder[0])
        (void)nftw(t->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* ---- What it has shown ---- */

static bool is_expected(const struct sl_selftest *t, const struct sl_canary *canary)
{
    return sl_classes_has(&canary->classes, canary->class_bit) && next_asker(t, canary, 0, true);
}

/* Of each class that was planted and that somebody may have, one canary must have come through. */
static void judge_class(struct sl_selftest *t, unsigned bit)
{
    const struct sl_class *class = sl_policy_class(t->gateway.policy, bit);
    bool planted = false, expected = false, seen = false;
    for (size_t i = 0; i < t->canaries.count; i++) {
        const struct sl_canary *canary = &t->canaries.one[i];
        if (canary->class_bit != bit)
            continue;
        planted = true;
        expected = expected || is_expected(t, canary);
        seen = seen || t->seen[i];
    }
    t->report->classes += planted;
    t->report->unplanted += !planted;
    if (expected && !seen)
        sl_issue_add(t->issues, SL_GRADE_ERROR, "selftest-nothing",
            "No canary of the class %.*s came through to anybody, and some may have it: nothing was examined.",
            SL_FMT(class->id));
}

static enum sl_status judge(struct sl_selftest *t)
{
    size_t before = t->issues->errors;
    for (unsigned bit = 0; bit < sl_policy_class_count(t->gateway.policy); bit++)
        judge_class(t, bit);
    if (!t->report->let_through)
        sl_issue_add(
            t->issues, SL_GRADE_ERROR, "selftest-nothing", "Nothing came through at all: nothing was examined.");
    return t->leaks || t->issues->errors > before ? SL_FORBIDDEN : SL_OK;
}

static enum sl_status run(struct sl_selftest *t)
{
    SL_TRY(open_house(t));
    SL_TRY(make_requests(t));
    SL_TRY(ask_all(t));
    t->report->parties = t->asker_count;
    t->report->canaries = t->canaries.count;
    t->report->asked = t->taken;
    return judge(t);
}

enum sl_status sl_selftest_run(const struct sl_config *config, struct sl_store *store, struct sl_policy *policy,
    uint64_t generation, bool whole, struct sl_issues *issues, struct sl_selftest_report *report)
{
    struct timespec begin, end;
    struct sl_arena *arena = sl_arena_new(ARENA);
    struct sl_selftest *t = calloc(1, sizeof *t);
    enum sl_status status = SL_NO_MEMORY;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    *report = (struct sl_selftest_report){0};
    if (t && arena) {
        t->arena = arena;
        t->issues = issues;
        t->report = report;
        t->config = *config;
        t->gateway.store = store;
        t->gateway.policy = sl_policy_ref(policy);
        t->gateway.generation = generation;
        t->whole = whole;
        status = run(t);
        close_house(t);
    }
    free(t);
    sl_arena_free(arena);
    clock_gettime(CLOCK_MONOTONIC, &end);
    report->milliseconds = (double)(end.tv_sec - begin.tv_sec) * 1e3 + (double)(end.tv_nsec - begin.tv_nsec) / 1e6;
    return status;
}

int sl_selftest_tell(const struct sl_config *config, struct sl_store *store, struct sl_policy *policy,
    uint64_t generation, bool whole, struct sl_issues *issues, FILE *out)
{
    struct sl_selftest_report r;
    enum sl_status status = sl_selftest_run(config, store, policy, generation, whole, issues, &r);
    if (status != SL_OK)
        return sl_cli_failed("the self-test", status, issues);
    fprintf(out,
        "sluice: self-test passed: %zu canaries of %zu classes, asked for %zu times as %zu parties; %zu times one came "
        "through to whom it may, never to anybody else (%.0f ms)\n",
        r.canaries, r.classes, r.asked, r.parties, r.let_through, r.milliseconds);
    if (r.unplanted)
        fprintf(out,
            "sluice: of %zu classes none can be made, for they are earned by the register or by what is not in "
            "a record\n",
            r.unplanted);
    return 0;
}
