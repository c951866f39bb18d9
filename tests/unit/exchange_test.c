/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exchange as a whole, on the embedded store and on an upstream that fails, waits and changes its mind: a
 * connection and a loop of the test's own stand where worker.c would. Policy, stores and ledger are the real ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli.h"
#include "exchange.h"
#include "jose.h"
#include "sluice/directive.h"
#include "sluice/span.h"

/* ---- A loop: tasks of the ledger's thread and of the exchange itself, run by `pump` ---- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct sl_task *first, *last;
    struct sl_worker_state *state;
    bool answered, head_only;
    int status;
    struct sl_buffer body;
} loop = {.lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER};

struct sl_worker_state *sl_worker_state(struct sl_worker *worker)
{
    (void)worker;
    return loop.state;
}

void sl_worker_post(struct sl_worker *worker, struct sl_task *task)
{
    (void)worker;
    pthread_mutex_lock(&loop.lock);
    task->next = NULL;
    if (loop.last)
        loop.last->next = task;
    else
        loop.first = task;
    loop.last = task;
    pthread_cond_signal(&loop.more);
    pthread_mutex_unlock(&loop.lock);
}

void sl_worker_last(struct sl_worker *worker, struct sl_task *task)
{
    sl_worker_post(worker, task);
}

void sl_worker_slowly(struct sl_worker *worker, struct sl_task *task)
{
    sl_worker_post(worker, task);
}

void sl_worker_at(struct sl_worker *worker, uint64_t at, struct sl_task *task)
{
    (void)at;
    sl_worker_post(worker, task);
}

struct sl_slice sl_conn_peer(const struct sl_conn *conn)
{
    (void)conn;
    return SL_LIT("192.0.2.1");
}

void sl_conn_respond(struct sl_conn *conn, const struct sl_response *response)
{
    (void)conn;
    assert_false(loop.answered); /* once */
    loop.answered = true;
    loop.status = response->status;
    loop.head_only = response->head_only;
    sl_buffer_clear(&loop.body);
    for (const struct sl_block *block = response->body ? response->body->first : NULL; block; block = block->next)
        sl_buffer_add(&loop.body, (struct sl_slice){block->ptr, block->len});
}

static void turn(void)
{
    pthread_mutex_lock(&loop.lock);
    while (!loop.first)
        pthread_cond_wait(&loop.more, &loop.lock);
    struct sl_task *task = loop.first;
    loop.first = task->next;
    if (!loop.first)
        loop.last = NULL;
    pthread_mutex_unlock(&loop.lock);
    task->call(task);
}

static bool is_idle(void)
{
    pthread_mutex_lock(&loop.lock);
    bool idle = !loop.first;
    pthread_mutex_unlock(&loop.lock);
    return idle;
}

/* ---- An upstream in front of the embedded one ---- */

enum mood { HONEST, LATE, FAILING, CHANGING };

struct moody {
    struct sl_upstream head;
    struct sl_upstream *real;
    enum mood mood;
    unsigned asked, fail_at; /* FAILING: the fail_at'th question fails, from 1 */
    struct sl_store *store;  /* CHANGING: a directive is imported while the first question is under way */
    struct late {
        struct sl_task task;
        struct sl_ask *ask; /* NULL: withdrawn */
    } late[64];
    unsigned late_count;
};

static const char denial[] =
    "{\"resourceType\":\"Consent\",\"id\":\"no\",\"status\":\"active\",\"scope\":{\"coding\":[{\"system\":"
    "\"http://terminology.hl7.org/CodeSystem/"
    "consentscope\",\"code\":\"patient-privacy\"}]},\"category\":[{\"coding\":[{"
    "\"system\":\"http://loinc.org\",\"code\":\"59284-0\"}]}],\"patient\":{\"reference\":\"Patient/a\"},\"dateTime\":"
    "\"2020-01-01\",\"policy\":[{\"uri\":\"urn:x\"}],\"provision\":{\"type\":\"deny\"}}";

static void import_denial(struct sl_store *store)
{
    struct sl_arena *arena = sl_arena_new((size_t)1024 * 1024);
    struct sl_issues issues = {.arena = arena};
    struct sl_doc doc;
    assert_int_equal(sl_doc_parse(arena, sl_slice_of(denial), NULL, &doc, NULL), SL_OK);
    assert_int_equal(sl_directives_import(store, &doc, 0, &issues), SL_OK);
    sl_arena_free(arena);
}

static void arrive(struct sl_task *task)
{
    struct late *late = task->context;
    struct sl_ask *ask = late->ask;
    if (!ask)
        return;
    late->ask = NULL;
    ask->work = NULL;
    ask->finished = true;
    ask->done(ask);
}

static void ask_moody(struct sl_upstream *upstream, struct sl_ask *ask)
{
    struct moody *m = (struct moody *)upstream;
    m->asked++;
    if (m->mood == CHANGING && m->asked == 1)
        import_denial(m->store);
    if (m->mood == FAILING && m->asked == m->fail_at) {
        ask->finished = true;
        ask->why = "moody";
        return;
    }
    sl_upstream_ask(m->real, ask);
    if (m->mood != LATE)
        return;
    assert_true(m->late_count < 64);
    struct late *late = &m->late[m->late_count++];
    *late = (struct late){.task = {.call = arrive, .context = late}, .ask = ask};
    ask->finished = false;
    ask->work = late;
    sl_worker_post(NULL, &late->task);
}

static void cancel_moody(struct sl_upstream *upstream, struct sl_ask *ask)
{
    (void)upstream;
    ((struct late *)ask->work)->ask = NULL;
}

static void free_moody(struct sl_upstream *upstream)
{
    sl_upstream_free(((struct moody *)upstream)->real);
}

/* ---- A house ---- */

struct house {
    struct sl_arena *arena;
    char folder[40];
    struct sl_config *config;
    struct sl_gateway *gateway;
    struct sl_store *writer;
    struct sl_signer *signer;
    struct moody moody;
    struct sl_slice ward, desk, other; /* Authorization values */
};

static const char registry[] =
    "clients:\n  - id: ward\n    organization: Organization/pc\n    kinds: [covered-entity]\n    roles: [physician]\n"
    "    treats: [\"*\"]\n    purposes: [TREAT]\n"
    "  - id: other\n    organization: Organization/pc\n    kinds: [covered-entity]\n    roles: [physician]\n"
    "    treats: [\"*\"]\n    purposes: [TREAT]\n"
    "  - id: desk\n    roles: [front-desk]\n    purposes: [PATADMIN]\n";

static const char configuration[] =
    "server:\n  url: https://g.example/fhir\n  plain: yes\n  log: no\nupstream:\n  records: records\nidentity:\n"
    "  audience: https://g.example/fhir\n  registry: registry.yaml\n  issuers:\n    - issuer: https://id.example\n"
    "      keys: keys\n      algorithms: [ES256]\npolicy:\n  store: policy\n  programs: programs.yaml\nledger:\n"
    "  directory: ledger\n  segment: 65536\nlimits:\n  rows: 400\n";

static struct sl_slice at(struct house *h, const char *name)
{
    return sl_arena_printf(h->arena, "%s/%s", h->folder, name);
}

static void write_file(struct house *h, const char *name, struct sl_slice text)
{
    FILE *file = fopen(at(h, name).ptr, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(text.ptr, 1, text.len, file), text.len);
    fclose(file);
}

static struct sl_slice token(struct house *h, const char *client, const char *scope)
{
    struct sl_buffer text;
    struct sl_slice claims = sl_arena_printf(h->arena,
        "{\"iss\":\"https://id.example\",\"aud\":\"https://g.example/fhir\","
        "\"exp\":4000000000,\"client_id\":\"%s\",\"scope\":\"%s\"}",
        client, scope);
    sl_buffer_init(&text, 65536);
    assert_int_equal(sl_jws_sign(h->signer, claims, &text), SL_OK);
    struct sl_slice value = sl_arena_printf(h->arena, "Bearer %.*s", SL_FMT(sl_buffer_slice(&text)));
    sl_buffer_fini(&text);
    return value;
}

#define COND                                                                                                           \
    "{\"resourceType\":\"Condition\",\"id\":\"c%03u\",\"clinicalStatus\":{\"coding\":[{\"system\":"                    \
    "\"http://terminology.hl7.org/CodeSystem/"                                                                         \
    "condition-clinical\",\"code\":\"active\"}]},\"code\":{\"coding\":[{\"system\":"                                   \
    "\"http://hl7.org/fhir/sid/icd-10-cm\",\"code\":\"%s\"}]},\"subject\":{\"reference\":\"Patient/"                   \
    "a\"},\"encounter\":"                                                                                              \
    "{\"reference\":\"Encounter/%s\"}}\n"

/* `released` ordinary conditions, and behind each one `hidden` of the program: 0 is the world in which they did not
 * happen. */
static void fill_records(struct house *h, unsigned released, unsigned hidden)
{
    struct sl_buffer text;
    struct sl_issues issues = {.arena = h->arena};
    struct sl_records *records = NULL;
    struct sl_records_import imported;
    sl_buffer_init(&text, (size_t)4 * 1024 * 1024);
    sl_buffer_printf(&text,
        "{\"resourceType\":\"Patient\",\"id\":\"a\",\"active\":true}\n"
        "{\"resourceType\":\"Organization\",\"id\":\"pc\",\"name\":\"Primary care\"}\n"
        "{\"resourceType\":\"Encounter\",\"id\":\"pc\",\"status\":\"finished\",\"class\":{\"system\":"
        "\"http://terminology.hl7.org/CodeSystem/v3-ActCode\",\"code\":\"AMB\"},\"subject\":{\"reference\":\"Patient/"
        "a\"},"
        "\"serviceProvider\":{\"reference\":\"Organization/pc\"}}\n");
    if (hidden)
        sl_buffer_printf(&text,
            "{\"resourceType\":\"Organization\",\"id\":\"otp\",\"name\":\"Harbor\"}\n"
            "{\"resourceType\":\"Encounter\",\"id\":\"otp\",\"status\":\"finished\",\"class\":{\"system\":"
            "\"http://terminology.hl7.org/CodeSystem/"
            "v3-ActCode\",\"code\":\"AMB\"},\"subject\":{\"reference\":\"Patient/a\"},"
            "\"serviceProvider\":{\"reference\":\"Organization/otp\"}}\n");
    for (unsigned i = 0; i < released; i++) {
        sl_buffer_printf(&text, COND, i * 4, "E11.9", "pc");
        for (unsigned j = 1; j <= hidden; j++)
            sl_buffer_printf(&text, COND, i * 4 + j, "F11.20", "otp");
    }
    assert_false(sl_buffer_failed(&text));
    assert_int_equal(sl_records_open(at(h, "records").ptr, true, &issues, &records), SL_OK);
    assert_int_equal(sl_records_import(records, sl_buffer_slice(&text), 1700000000, &issues, &imported), SL_OK);
    sl_records_close(records);
    sl_buffer_fini(&text);
}

static void put_in_force(struct house *h)
{
    struct sl_issues issues = {.arena = h->arena};
    struct sl_policy *policy = NULL;
    struct sl_activated done;
    struct sl_buffer told;
    sl_buffer_init(&told, 1 << 20);
    assert_int_equal(sl_policy_load(SLUICE_SOURCE "/consent/policies", &issues, &policy), SL_OK);
    const struct sl_activation what = {.policy = policy, .author = SL_LIT("test"), .now = 1700000000};
    assert_int_equal(sl_policy_activate(h->writer, &what, &issues, &told, &done), SL_OK);
    sl_buffer_fini(&told);
    sl_policy_unref(policy);
}

static void activate(struct house *h)
{
    struct sl_issues issues = {.arena = h->arena};
    assert_int_equal(sl_cli_policy_store(at(h, "policy").ptr, true, &issues, &h->writer), SL_OK);
    put_in_force(h);
}

static void open_house(struct house *h, unsigned released, unsigned hidden)
{
    struct sl_buffer jwks;
    static const struct sl_upstream_kind kind = {ask_moody, cancel_moody, free_moody};
    *h = (struct house){.arena = sl_arena_new((size_t)256 * 1024 * 1024)};
    struct sl_issues issues = {.arena = h->arena};
    strcpy(h->folder, "/tmp/sluice-exchange-XXXXXX");
    assert_non_null(mkdtemp(h->folder));
    assert_int_equal(sl_signer_generate(SL_ALG_ES256, &h->signer), SL_OK);
    sl_buffer_init(&jwks, 4096);
    assert_int_equal(sl_signer_jwks(h->signer, &jwks), SL_OK);
    write_file(h, "keys", sl_buffer_slice(&jwks));
    sl_buffer_fini(&jwks);
    write_file(h, "registry.yaml", sl_slice_of(registry));
    write_file(h, "programs.yaml",
        SL_LIT("programs:\n  - source: Organization/otp\n    is: program\n    title: Harbor\nothers: not\n"));
    fill_records(h, released, hidden);
    activate(h);
    assert_int_equal(sl_config_read(at(h, "sluice.yaml").ptr, sl_slice_of(configuration), &issues, &h->config), SL_OK);
    enum sl_status status = sl_gateway_open(h->config, &issues, &h->gateway);
    for (const struct sl_issue *issue = issues.first; status != SL_OK && issue; issue = issue->next)
        print_error("%.*s\n", SL_FMT(issue->text));
    assert_int_equal(status, SL_OK);
    assert_int_equal(sl_worker_state_new(h->gateway, NULL, NULL, &issues, &loop.state), SL_OK);
    h->moody = (struct moody){.head = {&kind}, .real = loop.state->upstream, .store = h->writer};
    loop.state->upstream = &h->moody.head;
    h->ward = token(h, "ward", "system/*.rs");
    h->other = token(h, "other", "system/*.rs");
    h->desk = token(h, "desk", "system/*.rs");
    sl_buffer_init(&loop.body, (size_t)64 * 1024 * 1024);
}

static void close_house(struct house *h)
{
    assert_int_equal(loop.state->lingering, 0);
    sl_worker_state_free(loop.state);
    assert_int_equal(atomic_load(&h->gateway->memory), 0); /* whatever was reserved has been given back */
    sl_gateway_close(h->gateway);
    sl_store_close(h->writer);
    sl_config_free(h->config);
    sl_signer_free(h->signer);
    char command[80];
    snprintf(command, sizeof command, "rm -rf %s", h->folder);
    assert_int_equal(system(command), 0);
    sl_arena_free(h->arena);
    sl_buffer_fini(&loop.body);
}

/* ---- Asking ---- */

static struct sl_exchange *begin(struct house *h, const char *target, struct sl_slice authorization)
{
    struct sl_exchange *x = sl_exchange_new(NULL, NULL);
    assert_non_null(x);
    struct sl_arena *arena = sl_exchange_arena(x);
    struct sl_request *request = sl_arena_alloc(arena, sizeof *request);
    struct sl_header *header = sl_arena_alloc(arena, sizeof *header);
    struct sl_slice all = sl_arena_copy(arena, sl_slice_of(target));
    const char *mark = memchr(all.ptr, '?', all.len);
    *header = (struct sl_header){SL_LIT("Authorization"), authorization};
    *request = (struct sl_request){.method = SL_GET,
        .target = all,
        .headers = header,
        .header_count = authorization.ptr ? 1 : 0,
        .keep_alive = true,
        .path = {all.ptr, mark ? (size_t)(mark - all.ptr) : all.len}};
    request->query = sl_slice_from(all, request->path.len + 1);
    (void)h;
    loop.answered = false;
    if (sl_exchange_head(x, request) == SL_OK)
        sl_exchange_start(x);
    return x;
}

/* The whole answer; its body is in the house's arena. */
static struct sl_slice ask(struct house *h, const char *target, struct sl_slice authorization, int *status)
{
    struct sl_exchange *x = begin(h, target, authorization);
    while (!loop.answered)
        turn();
    struct sl_slice body = sl_arena_copy(h->arena, sl_buffer_slice(&loop.body));
    *status = loop.status;
    sl_exchange_free(x);
    return body;
}

static bool has(struct sl_slice text, const char *word)
{
    return text.len && memmem(text.ptr, text.len, word, strlen(word)) != NULL;
}

static size_t count_of(struct sl_slice text, const char *word)
{
    size_t count = 0, len = strlen(word);
    for (const char *p = text.ptr; (p = memmem(p, text.len - (size_t)(p - text.ptr), word, len)); p += len)
        count++;
    return count;
}

/* The path and query of the `next` link; NULL if there is none. */
static const char *next_of(struct house *h, struct sl_slice bundle)
{
    static const char mark[] = "\"relation\":\"next\",\"url\":\"https://g.example";
    const char *from = memmem(bundle.ptr, bundle.len, mark, sizeof mark - 1);
    if (!from)
        return NULL;
    from += sizeof mark - 1;
    const char *end = memchr(from, '"', bundle.len - (size_t)(from - bundle.ptr));
    return sl_arena_copy(h->arena, (struct sl_slice){from, (size_t)(end - from)}).ptr;
}

/* Cursors are random and of one length: that length is compared, the bytes are not. */
static struct sl_slice without_cursors(struct house *h, struct sl_slice text)
{
    struct sl_slice copy = sl_arena_copy(h->arena, text);
    union {
        const char *borrowed;
        char *own;
    } bytes = {.borrowed = copy.ptr};
    for (char *p = bytes.own; (p = strstr(p, "_cursor="));)
        for (p += 8; *p && *p != '"'; p++)
            *p = '*';
    return copy;
}

/* ---- Tests ---- */

/* Every page of a search, one after the other. */
static size_t read_pages(struct house *h, const char *target, struct sl_slice *pages, size_t max)
{
    size_t count = 0;
    while (target && count < max) {
        int status;
        pages[count] = ask(h, target, h->ward, &status);
        assert_int_equal(status, 200);
        target = next_of(h, pages[count++]);
    }
    return count;
}

static void pages_are_full_and_tell_nothing(void **state)
{
    (void)state;
    static const char target[] = "/fhir/Condition?patient=a&_count=10";
    struct sl_slice with[8], without[8];
    struct house a, b;
    open_house(&a, 35, 3);
    size_t count = read_pages(&a, target, with, 8);
    assert_int_equal(count, 4);
    for (size_t i = 0; i < count; i++) {
        with[i] = without_cursors(&a, with[i]); /* random bytes, which may say anything */
        assert_int_equal(count_of(with[i], "\"mode\":\"match\""), i < 3 ? 10 : 5);
        assert_false(has(with[i], "F11"));
        assert_false(has(with[i], "otp"));
        assert_false(has(with[i], "\"total\""));
        assert_true(has(with[i], "The absence of a record here"));
    }
    /* The same world, in which the hidden things did not happen: the same bytes. */
    struct sl_slice kept[8];
    struct sl_arena *keep = sl_arena_new((size_t)16 * 1024 * 1024);
    for (size_t i = 0; i < count; i++)
        kept[i] = sl_arena_copy(keep, with[i]);
    close_house(&a);
    open_house(&b, 35, 0);
    assert_int_equal(read_pages(&b, target, without, 8), count);
    for (size_t i = 0; i < count; i++) {
        without[i] = without_cursors(&b, without[i]);
        assert_int_equal(kept[i].len, without[i].len);
        assert_memory_equal(kept[i].ptr, without[i].ptr, kept[i].len);
    }
    close_house(&b);
    sl_arena_free(keep);
}

static void a_total_counts_what_is_released(void **state)
{
    (void)state;
    struct house h;
    int status;
    open_house(&h, 5, 3);
    struct sl_slice body = ask(&h, "/fhir/Condition?patient=a&_count=5", h.ward, &status);
    assert_int_equal(status, 200);
    assert_true(has(body, "\"total\":5,"));
    assert_null(next_of(&h, body));
    assert_int_equal(count_of(body, "\"mode\":\"match\""), 5);
    body = ask(&h, "/fhir/Condition?patient=a&_total=none", h.ward, &status);
    assert_false(has(body, "\"total\""));
    close_house(&h);
}

static void withheld_is_absent_byte_for_byte(void **state)
{
    (void)state;
    struct house h;
    int withheld, absent, by_route;
    open_house(&h, 2, 1);
    struct sl_slice one = ask(&h, "/fhir/Condition/c001", h.ward, &withheld);
    struct sl_slice two = ask(&h, "/fhir/Condition/c999", h.ward, &absent);
    struct sl_slice three = ask(&h, "/fhir/Medication/m", h.ward, &by_route);
    assert_int_equal(withheld, 404);
    assert_int_equal(absent, 404);
    assert_int_equal(by_route, 404);
    assert_true(sl_slice_eq(one, two) && sl_slice_eq(two, three));
    struct sl_slice there = ask(&h, "/fhir/Condition/c000", h.ward, &withheld);
    assert_int_equal(withheld, 200);
    assert_true(has(there, "E11.9"));
    close_house(&h);
}

static void an_include_comes_by_a_released_route_only(void **state)
{
    (void)state;
    struct house h;
    int status;
    open_house(&h, 3, 2);
    struct sl_slice body = ask(&h, "/fhir/Condition?patient=a&_include=Condition:encounter", h.ward, &status);
    assert_int_equal(status, 200);
    assert_int_equal(count_of(body, "\"mode\":\"match\""), 3);
    assert_int_equal(count_of(body, "\"mode\":\"include\""), 1);
    assert_true(has(body, "https://g.example/fhir/Encounter/pc\""));
    assert_false(has(body, "otp"));
    close_house(&h);
}

static void everything_is_one_answer(void **state)
{
    (void)state;
    struct house h;
    int status;
    open_house(&h, 3, 2);
    struct sl_slice body = ask(&h, "/fhir/Patient/a/$everything", h.ward, &status);
    assert_int_equal(status, 200);
    assert_int_equal(count_of(body, "\"mode\":\"match\""), 5); /* patient, encounter, three conditions */
    assert_true(has(body, "\"total\":5,"));
    assert_true(has(body, "fhir/Organization/pc\""));
    assert_false(has(body, "otp"));
    body = ask(&h, "/fhir/Patient/a/$everything?_type=Condition", h.ward, &status);
    assert_int_equal(count_of(body, "\"mode\":\"match\""), 3);
    assert_true(has(body, "\"total\":3,"));
    assert_false(has(body, "\"resourceType\":\"Encounter\""));
    (void)ask(&h, "/fhir/Patient/nobody/$everything", h.ward, &status);
    assert_int_equal(status, 404);
    close_house(&h);
}

static void a_compartment_is_a_search(void **state)
{
    (void)state;
    struct house h;
    int status;
    open_house(&h, 12, 1);
    struct sl_slice body = ask(&h, "/fhir/Patient/a/Condition?_count=5", h.ward, &status);
    assert_int_equal(status, 200);
    assert_int_equal(count_of(body, "\"mode\":\"match\""), 5);
    struct sl_slice pages[8];
    assert_int_equal(read_pages(&h, "/fhir/Patient/a/Condition?_count=5", pages, 8), 3);
    assert_int_equal(count_of(pages[2], "\"mode\":\"match\""), 2);
    (void)ask(&h, "/fhir/Patient/a/Organization", h.ward, &status);
    assert_int_equal(status, 404);
    close_house(&h);
}

/* Whatever part of the upstream fails, the whole request fails, in the same words, and nothing stays behind. */
static void any_failure_is_whole(void **state)
{
    (void)state;
    static const char *const targets[] = {"/fhir/Condition?patient=a&_count=3", "/fhir/Condition/c000",
        "/fhir/Patient/a/$everything", "/fhir/Condition?patient=a&_include=Condition:encounter&_count=2"};
    struct house h;
    struct sl_slice words = {NULL, 0};
    open_house(&h, 5, 2);
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        unsigned failures = 0;
        for (h.moody.fail_at = 1;; h.moody.fail_at++) {
            int status;
            h.moody.mood = FAILING;
            h.moody.asked = 0;
            struct sl_slice body = ask(&h, targets[i], h.ward, &status);
            if (h.moody.asked < h.moody.fail_at) {
                assert_int_equal(status, 200); /* it was not asked that often */
                break;
            }
            failures++;
            assert_int_equal(status, 503);
            assert_true(!words.ptr || sl_slice_eq(words, body));
            words = body;
            assert_false(has(body, "Condition"));
        }
        assert_true(failures >= 2);
    }
    close_house(&h);
}

static void late_answers_are_the_same_answers(void **state)
{
    (void)state;
    static const char *const targets[] = {
        "/fhir/Condition?patient=a&_include=Condition:encounter", "/fhir/Patient/a/$everything?_type=Condition"};
    struct house h;
    open_house(&h, 5, 2);
    for (size_t i = 0; i < 2; i++) {
        int status;
        h.moody.mood = HONEST;
        struct sl_slice now = ask(&h, targets[i], h.ward, &status);
        h.moody.mood = LATE;
        h.moody.late_count = 0;
        struct sl_slice late = ask(&h, targets[i], h.ward, &status);
        assert_true(h.moody.late_count > 1);
        assert_true(sl_slice_eq(now, late));
    }
    close_house(&h);
}

/* The client leaves after n turns: nothing is sent, and nothing stays behind. */
static void a_client_that_leaves_is_forgotten(void **state)
{
    (void)state;
    struct house h;
    open_house(&h, 5, 2);
    for (unsigned turns = 0; turns < 12; turns++) {
        h.moody.mood = LATE;
        h.moody.late_count = 0;
        struct sl_exchange *x = begin(&h, "/fhir/Condition?patient=a", h.ward);
        unsigned taken = 0;
        for (; taken < turns && !loop.answered; taken++)
            turn();
        if (loop.answered) {
            sl_exchange_free(x);
            continue;
        }
        sl_exchange_cancel(x);
        while (loop.state->lingering || !is_idle())
            turn();
        assert_false(loop.answered);
    }
    close_house(&h);
}

static void a_directive_that_comes_meanwhile_counts(void **state)
{
    (void)state;
    struct house h;
    int status;
    open_house(&h, 3, 0);
    struct sl_slice before = ask(&h, "/fhir/Condition?patient=a", h.ward, &status);
    assert_int_equal(count_of(before, "\"mode\":\"match\""), 3);
    h.moody.mood = CHANGING; /* the denial is imported while the records are being fetched */
    h.moody.asked = 0;
    struct sl_slice after = ask(&h, "/fhir/Condition?patient=a", h.ward, &status);
    assert_int_equal(status, 200);
    assert_int_equal(count_of(after, "\"mode\":\"match\""), 0);
    assert_true(has(after, "\"total\":0,"));
    close_house(&h);
}

static unsigned take_turns(unsigned most)
{
    unsigned taken = 0;
    for (; taken < most && !loop.answered; taken++)
        turn();
    return taken;
}

/* A page so large that it rests many times: while it is taken in, decided, cut and answered. */
static const char large[] = "/fhir/Condition?patient=a&_count=300";

static void who_leaves_a_resting_one_is_forgotten(void **state)
{
    (void)state;
    struct house h;
    open_house(&h, 180, 1);
    struct sl_exchange *x = begin(&h, large, h.ward);
    unsigned all = take_turns(~0u);
    assert_int_equal(loop.status, 200);
    assert_int_equal(count_of(sl_buffer_slice(&loop.body), "\"mode\":\"match\""), 180);
    assert_true(all >= 4);
    sl_exchange_free(x);
    for (unsigned turns = 0; turns < all; turns += 1 + all / 24) {
        x = begin(&h, large, h.ward);
        take_turns(turns);
        if (loop.answered) {
            sl_exchange_free(x);
            continue;
        }
        sl_exchange_cancel(x);
        while (loop.state->lingering || !is_idle())
            turn();
        assert_false(loop.answered);
    }
    close_house(&h);
}

/* The denial comes when so many of four parts are done; the last, while the answer is made. */
static void a_directive_counts_however_late_it_comes(void **state)
{
    (void)state;
    for (unsigned part = 1; part <= 4; part++) {
        struct house h;
        open_house(&h, 300, 0);
        struct sl_exchange *x = begin(&h, large, h.ward);
        unsigned all = take_turns(~0u);
        assert_int_equal(count_of(sl_buffer_slice(&loop.body), "\"mode\":\"match\""), 300);
        sl_exchange_free(x);
        x = begin(&h, large, h.ward);
        take_turns(part < 4 ? all * part / 4 : 0);
        while (part == 4 && !loop.answered && !x->answering)
            turn();
        bool accounted = loop.answered || x->appending;
        import_denial(h.writer);
        take_turns(~0u);
        if (!accounted)
            assert_int_equal(count_of(sl_buffer_slice(&loop.body), "\"mode\":\"match\""), 0);
        sl_exchange_free(x);
        close_house(&h);
    }
}

static void too_much_work_is_one_answer(void **state)
{
    (void)state;
    struct house h;
    int status;
    open_house(&h, 120, 3); /* 480 rows, and 400 are allowed */
    struct sl_slice body = ask(&h, "/fhir/Condition?patient=a&_count=400", h.ward, &status);
    assert_int_equal(status, 503);
    assert_true(has(body, "too-costly"));
    body = ask(&h, "/fhir/Condition?patient=a&_count=10", h.ward, &status);
    assert_int_equal(status, 200);
    assert_int_equal(count_of(body, "\"mode\":\"match\""), 10);
    close_house(&h);
}

/* One pass fits, and all of them do not: what the whole request holds is bounded. */
static void too_much_held_is_one_answer(void **state)
{
    (void)state;
    struct house h;
    int status;
    open_house(&h, 90, 3);
    h.config->exchange_memory = 1500000;
    struct sl_exchange *x = begin(&h, "/fhir/Condition?patient=a&_count=90", h.ward);
    while (!loop.answered)
        turn();
    assert_int_equal(loop.status, 503);
    assert_non_null(x->over);
    assert_string_equal(x->over, "exchange-memory");
    assert_true(has(sl_buffer_slice(&loop.body), "too-costly"));
    sl_exchange_free(x);
    struct sl_slice body = ask(&h, "/fhir/Condition?patient=a&_count=10", h.ward, &status);
    assert_int_equal(status, 200);
    h.config->exchange_memory = 6000000;
    body = ask(&h, "/fhir/Condition?patient=a&_count=90", h.ward, &status);
    assert_int_equal(status, 200);
    assert_int_equal(count_of(body, "\"mode\":\"match\""), 90);
    close_house(&h);
}

/* One that rests between entries asks for nothing meanwhile, and is as late as any other. */
static void time_runs_while_it_rests(void **state)
{
    (void)state;
    struct house h;
    open_house(&h, 90, 3);
    struct sl_exchange *x = begin(&h, "/fhir/Condition?patient=a&_count=90", h.ward);
    while (!loop.answered && !(x->scheduled && x->step > SL_AT_fetch))
        turn();
    assert_false(loop.answered);
    assert_int_equal(x->outstanding, 0);
    x->started -= (h.config->seconds + 1) * 1000000;
    while (!loop.answered)
        turn();
    assert_int_equal(loop.status, 503);
    assert_string_equal(x->over, "deadline");
    assert_true(has(sl_buffer_slice(&loop.body), "too-costly"));
    sl_exchange_free(x);
    close_house(&h);
}

static void a_cursor_is_for_one_recipient_and_query(void **state)
{
    (void)state;
    struct house h;
    int status;
    open_house(&h, 12, 1);
    struct sl_slice first = ask(&h, "/fhir/Condition?patient=a&_count=5", h.ward, &status);
    const char *next = next_of(&h, first);
    assert_non_null(next);
    const char *cursor = strstr(next, "_cursor=");
    assert_non_null(cursor);
    (void)ask(&h, next, h.ward, &status);
    assert_int_equal(status, 200);
    (void)ask(&h, next, h.other, &status);
    assert_int_equal(status, 400);
    (void)ask(&h, sl_arena_printf(h.arena, "/fhir/Condition?patient=a&_count=6&%s", cursor).ptr, h.ward, &status);
    assert_int_equal(status, 400);
    (void)ask(&h, sl_arena_printf(h.arena, "/fhir/Observation?patient=a&_count=5&%s", cursor).ptr, h.ward, &status);
    assert_int_equal(status, 400);
    struct sl_slice changed = sl_arena_printf(h.arena, "%s", next);
    union {
        const char *borrowed;
        char *own;
    } bytes = {.borrowed = changed.ptr};
    char *place = strstr(bytes.own, "_cursor=") + 40;
    *place = *place == 'A' ? 'B' : 'A';
    (void)ask(&h, changed.ptr, h.ward, &status);
    assert_int_equal(status, 400);
    close_house(&h);
}

static void who_may_not_is_told_before_anything_is_fetched(void **state)
{
    (void)state;
    struct house h;
    int status;
    open_house(&h, 1, 0);
    h.moody.asked = 0;
    (void)ask(&h, "/fhir/Condition?patient=a", (struct sl_slice){NULL, 0}, &status);
    assert_int_equal(status, 401);
    (void)ask(&h, "/fhir/nothing", (struct sl_slice){NULL, 0}, &status);
    assert_int_equal(status, 401); /* nobody learns which paths there are */
    (void)ask(&h, "/fhir/Condition?patient=a", SL_LIT("Bearer x.y.z"), &status);
    assert_int_equal(status, 401);
    (void)ask(&h, "/fhir/Condition?patient=a", token(&h, "ward", "system/Observation.rs"), &status);
    assert_int_equal(status, 403);
    (void)ask(&h, "/fhir/Condition?patient=a", token(&h, "ward", "system/Condition.r"), &status);
    assert_int_equal(status, 403);
    (void)ask(&h, "/fhir/Condition?nothing=a", h.ward, &status);
    assert_int_equal(status, 400);
    assert_int_equal(h.moody.asked, 0);
    struct sl_slice body = ask(&h, "/fhir/metadata", (struct sl_slice){NULL, 0}, &status);
    assert_int_equal(status, 200);
    struct sl_doc doc;
    assert_int_equal(sl_doc_parse(h.arena, body, NULL, &doc, NULL), SL_OK);
    assert_true(sl_span_is(&doc, sl_span_member_key(&doc, 0, SL_LIT("resourceType")), SL_LIT("CapabilityStatement")));
    close_house(&h);
}

/* ---- The ledger has it all ---- */

struct reading {
    struct house *h;
    size_t count, released, withheld, refused;
    bool content;
};

static bool read_record(void *context, uint64_t sequence, struct sl_slice record)
{
    struct reading *reading = context;
    struct sl_doc doc;
    assert_int_equal(sequence, reading->count);
    assert_int_equal(sl_doc_parse(reading->h->arena, record, NULL, &doc, NULL), SL_OK);
    reading->count++;
    reading->released += count_of(record, "\"rules\":");
    reading->withheld += count_of(record, "\"why\":\"withheld-by-rule\"") + count_of(record, "\"rule\":");
    reading->refused += has(record, "\"status\":4");
    reading->content = reading->content || has(record, "E11.9") || has(record, "F11.20") || has(record, "Primary care");
    return true;
}

static void the_ledger_has_every_answer(void **state)
{
    (void)state;
    struct house h;
    int status;
    open_house(&h, 3, 1);
    (void)ask(&h, "/fhir/Condition?patient=a&code=E11.9", h.ward, &status);
    (void)ask(&h, "/fhir/Condition/c001", h.ward, &status);
    (void)ask(&h, "/fhir/Condition", (struct sl_slice){NULL, 0}, &status);
    (void)ask(&h, "/fhir/metadata", (struct sl_slice){NULL, 0}, &status);
    struct sl_exchange *x = sl_exchange_new(NULL, NULL);
    loop.answered = false;
    sl_exchange_malformed(x, SL_BAD_SYNTAX);
    while (!loop.answered)
        turn();
    assert_int_equal(loop.status, 400);
    sl_exchange_free(x);
    struct reading reading = {.h = &h};
    struct sl_issues issues = {.arena = h.arena};
    assert_int_equal(sl_ledger_read(at(&h, "ledger").ptr, 0, &issues, read_record, &reading), SL_OK);
    assert_int_equal(reading.count, 5);
    assert_int_equal(reading.released, 3);
    assert_true(reading.withheld >= 1);
    assert_int_equal(reading.refused, 3);
    assert_false(reading.content);
    close_house(&h);
}

/* ---- A generation that fails its test ---- */

static struct {
    unsigned count;
    enum sl_status say;
} tried;

static enum sl_status examine(
    struct sl_gateway *gateway, struct sl_policy *policy, uint64_t generation, struct sl_issues *issues)
{
    (void)gateway;
    (void)policy;
    (void)generation;
    (void)issues;
    tried.count++;
    return tried.say;
}

static void a_generation_is_tried_before_it_is_used(void **state)
{
    (void)state;
    struct house h;
    int status;
    open_house(&h, 3, 1);
    h.gateway->examine = examine;
    tried.count = 0;
    tried.say = SL_FORBIDDEN;
    (void)ask(&h, "/fhir/Condition/c000", h.ward, &status);
    assert_int_equal(status, 200);
    assert_int_equal(tried.count, 0); /* the one in force was tried at the start */
    put_in_force(&h);                 /* withholds nothing more: the one that works may stay */
    (void)ask(&h, "/fhir/Condition/c000", h.ward, &status);
    assert_int_equal(status, 200);
    assert_int_equal(tried.count, 1);
    put_in_force(&h); /* nobody knows what was between: nothing goes, and it is not tried again for each request */
    for (unsigned i = 0; i < 3; i++) {
        (void)ask(&h, "/fhir/Condition/c000", h.ward, &status);
        assert_int_equal(status, 503);
        assert_int_equal(tried.count, 2);
    }
    tried.say = SL_OK;
    put_in_force(&h);
    (void)ask(&h, "/fhir/Condition/c000", h.ward, &status);
    assert_int_equal(status, 200);
    assert_int_equal(tried.count, 3);
    close_house(&h);
}

static void a_worker_that_was_idle_keeps_what_the_others_keep(void **state)
{
    (void)state;
    struct house h;
    struct sl_worker_state *busy, *idle;
    int status;
    open_house(&h, 3, 1);
    struct sl_issues issues = {.arena = h.arena};
    assert_int_equal(sl_worker_state_new(h.gateway, NULL, NULL, &issues, &idle), SL_OK);
    busy = loop.state;
    h.gateway->examine = examine;
    tried.count = 0;
    tried.say = SL_OK;
    put_in_force(&h);
    (void)ask(&h, "/fhir/Condition/c000", h.ward, &status);
    assert_int_equal(status, 200);
    tried.say = SL_FORBIDDEN;
    put_in_force(&h);
    (void)ask(&h, "/fhir/Condition/c000", h.ward, &status);
    assert_int_equal(status, 200);
    loop.state = idle; /* it has not seen the generation between */
    for (unsigned i = 0; i < 2; i++) {
        (void)ask(&h, "/fhir/Condition/c000", h.ward, &status);
        assert_int_equal(status, 200);
        assert_int_equal(idle->generation, 2);
        assert_int_equal(tried.count, 2);
    }
    loop.state = busy;
    sl_worker_state_free(idle);
    close_house(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_are_full_and_tell_nothing),
        cmocka_unit_test(a_total_counts_what_is_released),
        cmocka_unit_test(withheld_is_absent_byte_for_byte),
        cmocka_unit_test(an_include_comes_by_a_released_route_only),
        cmocka_unit_test(everything_is_one_answer),
        cmocka_unit_test(a_compartment_is_a_search),
        cmocka_unit_test(any_failure_is_whole),
        cmocka_unit_test(late_answers_are_the_same_answers),
        cmocka_unit_test(a_client_that_leaves_is_forgotten),
        cmocka_unit_test(a_directive_that_comes_meanwhile_counts),
        cmocka_unit_test(who_leaves_a_resting_one_is_forgotten),
        cmocka_unit_test(a_directive_counts_however_late_it_comes),
        cmocka_unit_test(too_much_work_is_one_answer),
        cmocka_unit_test(too_much_held_is_one_answer),
        cmocka_unit_test(time_runs_while_it_rests),
        cmocka_unit_test(a_cursor_is_for_one_recipient_and_query),
        cmocka_unit_test(who_may_not_is_told_before_anything_is_fetched),
        cmocka_unit_test(the_ledger_has_every_answer),
        cmocka_unit_test(a_generation_is_tried_before_it_is_used),
        cmocka_unit_test(a_worker_that_was_idle_keeps_what_the_others_keep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
