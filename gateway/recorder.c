/* SPDX-License-Identifier: Apache-2.0 */
/* See recorder.h. A job has memory of its own: while it runs, the worker's arena is the worker's. */
#include "recorder.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "loop.h"
#include "records_write.h"
#include "sluice/directive.h"
#include "sluice/fault.h"

#define JOBS 256u /* that may wait */
#define JOB_BYTES ((size_t)1 << 30)

struct sl_recorder {
    struct sl_records *records;
    struct sl_store *directives;
    struct sl_loop loop;
    struct sl_task stop;
    pthread_t thread;
    atomic_uint jobs;
    bool opened, started;
    pthread_mutex_t turns_lock;
    struct sl_turn *turns; /* under the lock: those that are neither over nor passed, the latest first */
};

struct sl_turn {
    struct sl_turn *next;
    bool overtaken; /* what a later turn has read is in force */
    size_t len;
    char id[];
};

struct job {
    struct sl_task task; /* the recorder's, then the worker's */
    struct sl_recorder *recorder;
    struct sl_worker *worker;
    struct sl_ask *ask;
    struct sl_arena *arena; /* the job itself lives there */
    struct sl_record_write write;
    struct sl_slice bundle, answer; /* of a transaction */
    enum sl_status status;
};

/* ---- On the worker's loop, afterwards ---- */

static enum sl_status tell(struct sl_ask *ask, const struct job *job)
{
    if (job->status != SL_OK)
        return job->status;
    if (ask->kind == SL_ASK_TRANSACTION) {
        ask->text = sl_arena_copy(ask->arena, job->answer);
        return ask->text.ptr ? SL_OK : SL_NO_MEMORY;
    }
    ask->id = sl_arena_copy(ask->arena, job->write.id);
    ask->version = sl_arena_printf(ask->arena, "%llu", (unsigned long long)job->write.version);
    return ask->id.ptr && ask->version.ptr ? SL_OK : SL_NO_MEMORY;
}

static void give_back(struct sl_task *task)
{
    struct job *job = task->context;
    struct sl_ask *ask = job->ask;
    ask->status = tell(ask, job);
    ask->why = job->status == SL_OK || job->status == SL_EXISTS ? NULL : "records";
    ask->work = NULL;
    ask->finished = true;
    sl_arena_free(job->arena);
    ask->done(ask);
}

/* ---- Its thread ---- */

static void write_job(struct sl_task *task)
{
    struct job *job = task->context;
    struct sl_recorder *recorder = job->recorder;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    job->status = job->bundle.ptr
                      ? sl_records_transaction(recorder->records, job->arena, job->bundle, now.tv_sec, &job->answer)
                      : sl_records_write(recorder->records, &job->write, 1, now.tv_sec);
    atomic_fetch_sub(&recorder->jobs, 1);
    job->task = (struct sl_task){.call = give_back, .context = job};
    sl_worker_post(job->worker, &job->task);
}

static void end(struct sl_task *task)
{
    struct sl_recorder *recorder = task->context;
    sl_loop_stop(&recorder->loop);
}

static void *run(void *context)
{
    struct sl_recorder *recorder = context;
    sl_loop_run(&recorder->loop);
    return NULL;
}

static enum sl_status start(struct sl_recorder *recorder)
{
    SL_TRY(sl_loop_init(&recorder->loop));
    recorder->opened = true;
    if (pthread_create(&recorder->thread, NULL, run, recorder) != 0)
        return SL_UNAVAILABLE;
    recorder->started = true;
    pthread_setname_np(recorder->thread, "sluice-records");
    return SL_OK;
}

enum sl_status sl_recorder_new(struct sl_records *records, struct sl_store *directives, struct sl_recorder **out)
{
    *out = NULL;
    struct sl_recorder *recorder = calloc(1, sizeof *recorder);
    if (!recorder)
        return SL_NO_MEMORY;
    pthread_mutex_init(&recorder->turns_lock, NULL);
    recorder->records = records;
    recorder->directives = directives;
    enum sl_status status = start(recorder);
    if (status != SL_OK) {
        sl_recorder_free(recorder);
        return status;
    }
    *out = recorder;
    return SL_OK;
}

void sl_recorder_free(struct sl_recorder *recorder)
{
    if (!recorder)
        return;
    if (recorder->started) {
        recorder->stop = (struct sl_task){.call = end, .context = recorder};
        sl_loop_post(&recorder->loop, &recorder->stop); /* in the order of posting: what was given before is written */
        pthread_join(recorder->thread, NULL);
    }
    if (recorder->opened)
        sl_loop_fini(&recorder->loop);
    while (recorder->turns) /* of exchanges that ended with their workers */
        sl_recorder_pass(recorder, recorder->turns);
    pthread_mutex_destroy(&recorder->turns_lock);
    free(recorder);
}

/* ---- From the workers ---- */

static enum sl_status fill(struct job *job, const struct sl_ask *ask)
{
    static const enum sl_record_change changes[SL_ASK_KINDS] = {
        [SL_ASK_CREATE] = SL_RECORD_CREATE, [SL_ASK_UPDATE] = SL_RECORD_UPDATE, [SL_ASK_DELETE] = SL_RECORD_DELETE};
    if (ask->kind == SL_ASK_TRANSACTION) {
        job->bundle = sl_arena_copy(job->arena, ask->body);
        return job->bundle.ptr ? SL_OK : SL_NO_MEMORY;
    }
    job->write = (struct sl_record_write){.change = changes[ask->kind],
        .type = sl_arena_copy(job->arena, ask->type),
        .id = sl_arena_copy(job->arena, ask->id),
        .text = sl_arena_copy(job->arena, ask->body)};
    if (ask->kind == SL_ASK_CREATE && !ask->id.len)
        SL_TRY(sl_record_draw_id(job->arena, &job->write.id));
    if (ask->kind != SL_ASK_CREATE && !sl_record_version(ask->version, &job->write.expected))
        return SL_INVALID;
    return sl_arena_failed(job->arena) ? SL_NO_MEMORY : SL_OK;
}

static enum sl_status make(struct sl_recorder *recorder, struct sl_worker *worker, struct sl_ask *ask, struct job **out)
{
    struct sl_arena *arena = sl_arena_new(JOB_BYTES);
    struct job *job = arena ? sl_arena_alloc(arena, sizeof *job) : NULL;
    enum sl_status status = SL_NO_MEMORY;
    if (job) {
        *job = (struct job){.task = {.call = write_job, .context = job},
            .recorder = recorder,
            .worker = worker,
            .ask = ask,
            .arena = arena};
        status = fill(job, ask);
    }
    if (status != SL_OK)
        sl_arena_free(arena);
    else
        *out = job;
    return status;
}

void sl_recorder_write(struct sl_recorder *recorder, struct sl_worker *worker, struct sl_ask *ask)
{
    struct job *job = NULL;
    bool room = atomic_fetch_add(&recorder->jobs, 1) < JOBS && recorder->records;
    ask->status = room ? make(recorder, worker, ask, &job) : SL_UNAVAILABLE;
    ask->why = "records";
    ask->finished = ask->status != SL_OK;
    if (ask->finished) {
        atomic_fetch_sub(&recorder->jobs, 1);
        return;
    }
    ask->work = job;
    sl_loop_post(&recorder->loop, &job->task);
}

/* ---- Consents ---- */

struct sl_turn *sl_recorder_turn(struct sl_recorder *recorder, struct sl_slice id)
{
    struct sl_turn *turn = malloc(sizeof *turn + id.len);
    if (!turn)
        return NULL;
    *turn = (struct sl_turn){.len = id.len};
    memcpy(turn->id, id.ptr, id.len);
    pthread_mutex_lock(&recorder->turns_lock);
    turn->next = recorder->turns;
    recorder->turns = turn;
    pthread_mutex_unlock(&recorder->turns_lock);
    return turn;
}

void sl_recorder_pass(struct sl_recorder *recorder, struct sl_turn *turn)
{
    if (!turn)
        return;
    pthread_mutex_lock(&recorder->turns_lock);
    struct sl_turn **place = &recorder->turns;
    while (*place != turn)
        place = &(*place)->next;
    *place = turn->next;
    pthread_mutex_unlock(&recorder->turns_lock);
    free(turn);
}

static bool is_overtaken(struct sl_recorder *recorder, const struct sl_turn *turn)
{
    pthread_mutex_lock(&recorder->turns_lock);
    bool overtaken = turn->overtaken && !sl_fault(SL_FAULT_CONSENT_OLDER);
    pthread_mutex_unlock(&recorder->turns_lock);
    return overtaken;
}

/* Those before it in time come after it in the list. */
static void overtake(struct sl_recorder *recorder, const struct sl_turn *turn)
{
    pthread_mutex_lock(&recorder->turns_lock);
    for (struct sl_turn *older = turn->next; older; older = older->next)
        older->overtaken = older->overtaken || (older->len == turn->len && memcmp(older->id, turn->id, turn->len) == 0);
    pthread_mutex_unlock(&recorder->turns_lock);
}

static void tell_directed(struct sl_task *task)
{
    struct sl_directing *directing = task->context;
    directing->done(directing);
}

static enum sl_status import(struct sl_store *store, struct sl_slice consent)
{
    struct sl_arena *arena = sl_arena_new(JOB_BYTES);
    struct sl_doc doc;
    enum sl_status status = arena ? sl_doc_parse(arena, consent, NULL, &doc, NULL) : SL_NO_MEMORY;
    if (status == SL_OK)
        status = sl_directives_import(store, &doc, 0, NULL);
    sl_arena_free(arena);
    return status;
}

static void direct(struct sl_task *task)
{
    struct sl_directing *directing = task->context;
    struct sl_recorder *recorder = directing->recorder;
    directing->status =
        is_overtaken(recorder, directing->turn) ? SL_OK : import(recorder->directives, directing->consent);
    if (directing->status == SL_OK)
        overtake(recorder, directing->turn);
    sl_recorder_pass(recorder, directing->turn);
    directing->turn = NULL;
    atomic_fetch_sub(&directing->recorder->jobs, 1);
    directing->task = (struct sl_task){.call = tell_directed, .context = directing};
    sl_worker_post(directing->worker, &directing->task);
}

enum sl_status sl_recorder_direct(
    struct sl_recorder *recorder, struct sl_worker *worker, struct sl_directing *directing)
{
    if (!sl_recorder_directs(recorder))
        return SL_UNAVAILABLE;
    if (atomic_fetch_add(&recorder->jobs, 1) >= JOBS) {
        atomic_fetch_sub(&recorder->jobs, 1);
        return SL_UNAVAILABLE;
    }
    directing->recorder = recorder;
    directing->worker = worker;
    directing->task = (struct sl_task){.call = direct, .context = directing};
    sl_loop_post(&recorder->loop, &directing->task);
    return SL_OK;
}

bool sl_recorder_directs(const struct sl_recorder *recorder)
{
    return recorder && recorder->directives;
}
