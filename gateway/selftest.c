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

static void say(const struct sl_selftest *t, double milliseconds, FILE *out)
{
    const struct sl_selftest_report *r = &t->report;
    if (t->whole)
        sl_selftest_print(t, out);
    fprintf(out,
        "sluice: self-test passed: %zu canaries of %zu classes, asked for %zu times in %zu forms as %zu parties; %zu "
        "times one came through to whom it may, never to anybody else (%.0f ms)\n",
        r->canaries, r->classes, r->asked, sl_form_count, r->parties, r->let_through, milliseconds);
}

static double milliseconds_since(const struct timespec *begin)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - begin->tv_sec) * 1e3 + (double)(now.tv_nsec - begin->tv_nsec) / 1e6;
}

int sl_selftest(const struct sl_selftest_options *options, struct sl_issues *issues, FILE *out)
{
    struct timespec begin;
    struct sl_arena *arena = sl_arena_new(ARENA);
    struct sl_selftest *t = calloc(1, sizeof *t);
    enum sl_status status = SL_NO_MEMORY;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    if (t && arena) {
        t->arena = arena;
        t->issues = issues;
        t->config = *options->config;
        t->gateway.policy = sl_policy_ref(options->policy);
        t->gateway.generation = options->generation;
        t->gateway.given = true;
        t->whole = options->whole;
        status = run(t);
        if (status == SL_OK)
            say(t, milliseconds_since(&begin), out);
        close_house(t);
    }
    free(t);
    sl_arena_free(arena);
    return status == SL_OK ? 0 : sl_cli_failed("the self-test", status, issues);
}
