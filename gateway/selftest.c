/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See selftest.h. One exchange stands for the one who asks, and never answers; each request is an exchange within it,
 * as the entry of a batch is. They run on a loop of the test's own, in the thread that calls.
 */
#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "records_write.h"
#include "recorder.h"
#include "selftest_parts.h"
#include "sluice/fault.h"

#define ARENA ((size_t)1024 * 1024 * 1024)
#define STORE ((size_t)64 * 1024 * 1024)
#define TOGETHER (sizeof((struct sl_selftest *)0)->running / sizeof(struct sl_exchange *))

/* ---- Asking ---- */

static enum sl_status take_answers(struct sl_selftest *t)
{
    for (size_t i = 0; t->taken != t->begun; i++) {
        SL_TRY(sl_selftest_look(t, *t->taken, t->running[i]));
        sl_inner_drop(t->running[i]);
        t->taken = &(*t->taken)->next;
        t->asked++;
    }
    return SL_OK;
}

/* The control asks under a policy that releases everything; it is nowhere but here. */
static void ask_as(struct sl_exchange *x, struct sl_selftest *t, const struct sl_canary_asker *asker)
{
    sl_policy_unref(x->policy);
    x->policy = sl_policy_ref(asker ? t->gateway.policy : t->control);
    x->caller.recipient = asker ? asker->recipient : t->most->recipient;
}

/* As one party at a time. */
static enum sl_status begin_group(struct sl_exchange *x, struct sl_selftest *t)
{
    const struct sl_canary_asker *asker = *t->begun ? (*t->begun)->asker : NULL;
    if (*t->begun)
        ask_as(x, t, asker);
    for (size_t i = 0; i < TOGETHER && *t->begun && (*t->begun)->asker == asker; i++) {
        SL_TRY(sl_selftest_target(t, *t->begun));
        SL_TRY(sl_inner_answer(x, &(*t->begun)->request, &t->running[i]));
        t->begun = &(*t->begun)->next;
    }
    return SL_OK;
}

/* Entered whenever a group has ended; it never goes on to answer. */
static enum sl_step_result go_on(struct sl_exchange *x)
{
    struct sl_selftest *t = x->selftest;
    if (t->status == SL_OK)
        t->status = take_answers(t);
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
    t->begun = t->taken = &t->askings;
    x->asks = go_on;
    x->interaction.kind = SL_BATCH;
    x->step = SL_AT_entries;
    x->body_ready = true;
    x->policy = sl_policy_ref(t->gateway.policy);
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

static enum sl_status delete_some(struct sl_selftest *t)
{
    struct sl_record_write writes[SL_RECORD_WRITES];
    size_t count = 0;
    for (size_t i = 0; i < t->canaries.count && count < SL_RECORD_WRITES; i++)
        if (t->canaries.one[i].deleted)
            writes[count++] = (struct sl_record_write){.change = SL_RECORD_DELETE,
                .type = t->canaries.one[i].type,
                .id = t->canaries.one[i].id,
                .expected = 1};
    return count ? sl_records_write(t->gateway.records, writes, count, time(NULL)) : SL_OK;
}

static enum sl_status plant(struct sl_selftest *t)
{
    struct sl_records_import imported;
    struct sl_slice at = sl_arena_printf(t->arena, "%s/records", t->folder);
    SL_TRY(sl_records_open(at.ptr, true, t->issues, &t->gateway.records));
    if (t->canaries.earlier.len)
        SL_TRY(sl_records_import(t->gateway.records, t->canaries.earlier, time(NULL) - 1, t->issues, &imported));
    SL_TRY(sl_records_import(t->gateway.records, t->canaries.records, time(NULL), t->issues, &imported));
    return delete_some(t);
}

/* A policy store of its own: no consent, and no entry of the register, is the house's. */
static enum sl_status open_store(struct sl_selftest *t)
{
    struct sl_slice at = sl_arena_printf(t->arena, "%s/policy", t->folder);
    SL_TRY(sl_store_open(at.ptr, sl_policy_tables, STORE, true, t->issues, &t->gateway.store));
    struct sl_register_entries *entries = &t->canaries.entries;
    return entries->count ? sl_register_add(t->gateway.store, entries->entry, entries->count, time(NULL)) : SL_OK;
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

/* Nobody is identified: who asks is said, and no key or client of the house is read. */
static enum sl_status know_nobody(struct sl_selftest *t)
{
    t->config.issuer_count = 0;
    t->config.registry = sl_arena_printf(t->arena, "%s/registry.yaml", t->folder);
    FILE *file = t->config.registry.ptr ? fopen(t->config.registry.ptr, "wx") : NULL;
    bool good = file && fputs("clients:\n  - id: self-test\n    issuer: none\n", file) >= 0;
    good = file && fclose(file) == 0 && good;
    return good ? SL_OK : SL_IO;
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
    SL_TRY(know_nobody(t));
    SL_TRY(make_programs(t));
    SL_TRY(sl_canaries_make(t->gateway.policy, t->gateway.programs, t->whole, t->arena, &t->canaries));
    SL_TRY(sl_canary_askers(t->gateway.policy, t->arena, &t->askers, &t->asker_count));
    SL_TRY(sl_canary_control(t->gateway.policy, t->arena, &t->control));
    SL_TRY(open_store(t));
    SL_TRY(plant(t));
    SL_TRY(open_ledger(t));
    SL_TRY(sl_recorder_new(t->gateway.records, NULL, &t->gateway.recorder));
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
    sl_recorder_free(t->gateway.recorder);
    if (t->gateway.records)
        sl_records_close(t->gateway.records);
    if (t->gateway.store)
        sl_store_close(t->gateway.store);
    sl_shelf_free(t->gateway.shelf);
    sl_sealer_free(t->gateway.sealer);
    sl_programs_unref(t->gateway.programs);
    sl_policy_unref(t->gateway.policy);
    pthread_mutex_destroy(&t->gateway.programs_lock);
    pthread_mutex_destroy(&t->gateway.policy_lock);
    if (t->folder[0])
        (void)nftw(t->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* ---- All of it ---- */

static enum sl_status run(struct sl_selftest *t)
{
    SL_TRY(open_house(t));
    t->cells = sl_arena_array(t->arena, sl_form_count * SL_CLASS_LIMIT, sizeof *t->cells);
    if (!t->cells)
        return SL_NO_MEMORY;
    SL_TRY(sl_selftest_lines(t));
    SL_TRY(sl_selftest_askings(t));
    SL_TRY(ask_all(t));
    t->report.parties = t->asker_count;
    t->report.canaries = t->canaries.count;
    t->report.asked = t->asked;
    return sl_selftest_judge(t);
}

static double milliseconds_since(const struct timespec *begin)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - begin->tv_sec) * 1e3 + (double)(now.tv_nsec - begin->tv_nsec) / 1e6;
}

static enum sl_status hash(struct sl_slice text, struct sl_arena *arena, struct sl_slice *out)
{
    unsigned char bytes[32];
    char hex[2 * sizeof bytes + 1];
    SL_TRY(sl_sha256(text, bytes));
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
    *out = sl_arena_copy(arena, sl_slice_of(hex));
    return out->ptr ? SL_OK : SL_NO_MEMORY;
}

/* The table as it is printed, and what names it: who reads of a test later can make the same one again. */
static enum sl_status keep_report(struct sl_selftest *t, struct sl_arena *arena, struct sl_selftest_shown *out)
{
    char *text = NULL;
    size_t len = 0;
    FILE *file = open_memstream(&text, &len);
    if (!file)
        return SL_NO_MEMORY;
    sl_selftest_print(t, file);
    bool good = fclose(file) == 0;
    out->table = sl_arena_copy(arena, (struct sl_slice){text, good ? len : 0});
    free(text);
    return good ? hash(out->table, arena, &out->report) : SL_NO_MEMORY;
}

static enum sl_status tell(struct sl_selftest *t, struct sl_arena *arena, struct sl_selftest_shown *out)
{
    const struct sl_selftest_report *r = &t->report;
    out->words = sl_arena_printf(arena,
        "%zu canaries of %zu classes, asked for %zu times in %zu forms as %zu parties; %zu times one came through to "
        "whom it may",
        r->canaries, r->classes, r->asked, sl_form_count, r->parties, r->let_through);
    return keep_report(t, arena, out);
}

/* A gateway that says nothing of its limits. Nothing of what it names is opened. */
static enum sl_status plain_config(struct sl_issues *issues, struct sl_config **out)
{
    return sl_config_read("self-test",
        SL_LIT("server:\n  url: http://localhost/fhir\n  plain: yes\nupstream:\n  records: none\nidentity:\n"
               "  audience: none\n  registry: none\n  issuers:\n    - issuer: none\n      keys: none\n      "
               "algorithms: [ES256]\npolicy:\n  store: none\n  programs: none\nledger:\n"
               "  directory: none\n"),
        issues, out);
}

static enum sl_status run_under(const struct sl_selftest_options *options, const struct sl_config *config,
    struct sl_selftest *t, struct sl_issues *issues, struct sl_selftest_shown *out)
{
    t->issues = issues;
    t->config = *config;
    t->gateway.policy = sl_policy_ref(options->policy);
    t->gateway.generation = options->generation;
    t->gateway.given = true;
    t->whole = options->whole;
    enum sl_status status = run(t);
    if (t->cells && (status == SL_OK || status == SL_FORBIDDEN)) {
        enum sl_status told = tell(t, issues->arena, out);
        status = told == SL_OK ? status : told;
    }
    close_house(t);
    return status;
}

enum sl_status sl_selftest_run(
    const struct sl_selftest_options *options, struct sl_issues *issues, struct sl_selftest_shown *out)
{
    struct timespec begin;
    struct sl_config *plain = NULL;
    struct sl_selftest *t = calloc(1, sizeof *t);
    enum sl_status status = t ? SL_OK : SL_NO_MEMORY;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    *out = (struct sl_selftest_shown){.milliseconds = 0};
    if (sl_fault(SL_FAULT_UNTESTED)) {
        free(t);
        return SL_OK;
    }
    if (t)
        t->arena = sl_arena_new(ARENA);
    if (t && !t->arena)
        status = SL_NO_MEMORY;
    if (status == SL_OK && !options->config)
        status = plain_config(issues, &plain);
    if (status == SL_OK)
        status = run_under(options, plain ? plain : options->config, t, issues, out);
    if (t)
        sl_arena_free(t->arena);
    free(t);
    sl_config_free(plain);
    out->milliseconds = milliseconds_since(&begin);
    return status;
}

/* ---- Told, and in the ledger ---- */

int sl_selftest(const struct sl_selftest_options *options, struct sl_issues *issues, FILE *out)
{
    struct sl_selftest_shown shown;
    enum sl_status status = sl_selftest_run(options, issues, &shown);
    if (status != SL_OK)
        return sl_cli_failed("the self-test", status, issues);
    if (options->whole)
        fprintf(out, "%.*s", SL_FMT(shown.table));
    fprintf(out, "sluice: self-test passed: %.*s, never to anybody else (%.0f ms)\n", SL_FMT(shown.words),
        shown.milliseconds);
    return 0;
}

static enum sl_status note(const struct sl_gateway *gateway, const struct sl_policy *policy, uint64_t generation,
    enum sl_status came, const struct sl_selftest_shown *shown)
{
    struct sl_buffer out;
    char now[32] = "unknown";
    time_t seconds = time(NULL);
    struct tm tm;
    uint64_t sequence;
    sl_buffer_init(&out, (size_t)64 * 1024);
    if (gmtime_r(&seconds, &tm))
        strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%SZ", &tm);
    sl_buffer_printf(&out, "{\"v\":2,\"time\":\"%s\",\"self-test\":\"%s\",\"node\":", now,
        came == SL_OK          ? "passed"
        : came == SL_FORBIDDEN ? "failed"
                               : "could not be run");
    sl_buffer_json_string(&out, gateway->config->node);
    sl_buffer_printf(&out, ",\"generation\":%llu,\"policy\":\"%.*s\",\"shown\":", (unsigned long long)generation,
        SL_FMT(sl_policy_digest(policy)));
    sl_buffer_json_string(&out, shown->words);
    sl_buffer_printf(&out, ",\"report\":\"%.*s\"}", SL_FMT(shown->report));
    enum sl_status status = sl_buffer_failed(&out)
                                ? SL_NO_MEMORY
                                : sl_ledger_append_wait(gateway->ledger, sl_buffer_slice(&out), &sequence);
    sl_buffer_fini(&out);
    return status;
}

enum sl_status sl_selftest_generation(
    struct sl_gateway *gateway, struct sl_policy *policy, uint64_t generation, struct sl_issues *issues)
{
    const struct sl_selftest_options options = {.config = gateway->config, .policy = policy, .generation = generation};
    struct sl_selftest_shown shown;
    enum sl_status status = sl_selftest_run(&options, issues, &shown);
    enum sl_status noted = note(gateway, policy, generation, status, &shown);
    if (noted != SL_OK)
        sl_issue_add(issues, SL_GRADE_ERROR, "selftest-ledger", "What the self-test has shown cannot be recorded: %s.",
            sl_status_name(noted));
    status = status == SL_OK ? noted : status;
    if (status == SL_OK)
        fprintf(stderr, "sluice: generation %llu: self-test passed: %.*s, never to anybody else (%.0f ms)\n",
            (unsigned long long)generation, SL_FMT(shown.words), shown.milliseconds);
    else
        (void)sl_cli_failed("the self-test", status, issues);
    return status;
}
