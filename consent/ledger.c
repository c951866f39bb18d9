/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger's writing side: see sluice/ledger.h, and ledger_format.h for the files.
 *
 * Producers push onto a lock-free stack and never wait; one writer thread takes all that is there, turns it round into
 * the order of arrival, writes it as one group with one sync, and only then calls back. While it syncs, the next group
 * gathers. The first write or sync that fails is final: the kernel may have dropped the pages it could not write, so no
 * later success would mean anything. What waits then, and all that comes, fails.
 */
#include "ledger_format.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define SEGMENT_BYTES ((size_t)64 << 20)
#define SEGMENT_LEAST ((size_t)64 << 10)
#define QUEUE_BYTES ((size_t)64 << 20)
#define PARTS_AT_ONCE 1024 /* IOV_MAX on Linux */

/* What goes out with one sync: each record is two parts, its frame and its bytes, which are not copied. */
struct group {
    struct sl_append *rest; /* what comes after the members */
    size_t count, bytes;
    struct iovec parts[2 * SL_LEDGER_GROUP_RECORDS];
    unsigned char frames[SL_LEDGER_GROUP_RECORDS][SL_LEDGER_FRAME];
};

struct sl_ledger {
    int directory, lock;
    size_t segment_bytes, queue_bytes;
    pthread_t thread;
    bool started;
    /* Shared with producers. */
    _Atomic(struct sl_append *) queue; /* newest first */
    atomic_size_t queued;              /* bytes */
    atomic_bool failed, closing;
    sem_t wake; /* posted when the queue stops being empty, and to close */
    /* The writer's alone, once it runs. */
    int segment;
    uint64_t offset, capacity; /* in the segment */
    struct sl_frontier frontier;
    struct sl_hasher hasher;
    struct group *group;
    /* What is durable, for sl_ledger_state. */
    pthread_mutex_t mutex;
    struct sl_frontier durable;
    uint64_t segments, earlier_bytes, durable_offset;
    int error;
};

/* ---- Files ---- */

static bool write_at(int fd, const void *bytes, size_t len, uint64_t offset)
{
    const char *at = bytes;
    while (len) {
        ssize_t done = pwrite(fd, at, len, (off_t)offset);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        at += done;
        len -= (size_t)done;
        offset += (uint64_t)done;
    }
    return true;
}

static bool preallocate(int fd, uint64_t size)
{
    errno = posix_fallocate(fd, 0, (off_t)size);
    return errno == 0;
}

/* Whole before it has its name: a segment that is there has a header, and room. */
static int make_segment(struct sl_ledger *ledger)
{
    char name[SL_SEGMENT_NAME];
    sl_segment_name(ledger->frontier.size, name);
    unsigned char header[SL_LEDGER_HEADER];
    sl_segment_encode(&ledger->frontier, header);
    if (faccessat(ledger->directory, name, F_OK, 0) == 0) {
        errno = EEXIST;
        return -1;
    }
    int fd = openat(ledger->directory, "segment.new", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -1;
    if (preallocate(fd, ledger->segment_bytes) && write_at(fd, header, sizeof header, 0) && fsync(fd) == 0 &&
        renameat(ledger->directory, "segment.new", ledger->directory, name) == 0 && fsync(ledger->directory) == 0)
        return fd;
    int error = errno;
    close(fd);
    unlinkat(ledger->directory, "segment.new", 0);
    errno = error;
    return -1;
}

static bool begin_segment(struct sl_ledger *ledger)
{
    int fd = make_segment(ledger);
    if (fd < 0)
        return false;
    pthread_mutex_lock(&ledger->mutex);
    ledger->segments++;
    ledger->earlier_bytes += ledger->segment >= 0 ? ledger->offset : 0;
    ledger->durable_offset = SL_LEDGER_HEADER;
    pthread_mutex_unlock(&ledger->mutex);
    if (ledger->segment >= 0) {
        /* Only zeros go; where that fails, they stay. */
        if (ftruncate(ledger->segment, (off_t)ledger->offset) != 0)
            errno = 0;
        close(ledger->segment);
    }
    ledger->segment = fd;
    ledger->offset = SL_LEDGER_HEADER;
    ledger->capacity = ledger->segment_bytes;
    return true;
}

/* ---- The writer ---- */

static struct sl_append *take_queue(struct sl_ledger *ledger)
{
    struct sl_append *newest = atomic_exchange(&ledger->queue, NULL), *oldest = NULL;
    while (newest) {
        struct sl_append *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

static bool fits(const struct sl_ledger *ledger, const struct group *group, const struct sl_append *append)
{
    uint64_t end = ledger->offset + group->bytes + SL_LEDGER_FRAME + append->record.len;
    return end <= ledger->capacity && group->count < SL_LEDGER_GROUP_RECORDS && group->bytes < SL_LEDGER_GROUP_BYTES;
}

static enum sl_status add_member(struct sl_ledger *ledger, struct group *group, struct sl_append *append)
{
    unsigned char *frame = group->frames[group->count];
    sl_frame_encode(append->record, ledger->frontier.size, (uint32_t)group->bytes, frame);
    group->parts[2 * group->count] = (struct iovec){frame, SL_LEDGER_FRAME};
    group->parts[2 * group->count + 1] = (struct iovec){(void *)(uintptr_t)append->record.ptr, append->record.len};
    group->count++;
    group->bytes += SL_LEDGER_FRAME + append->record.len;
    return sl_frontier_add(&ledger->frontier, &ledger->hasher, append->record);
}

/* Fills the group with as much as goes into it and into the segment; begins a segment where the first does not fit. */
static enum sl_status fill_group(struct sl_ledger *ledger, struct group *group, struct sl_append *first)
{
    group->rest = first;
    group->count = group->bytes = 0;
    if (!fits(ledger, group, first) && !begin_segment(ledger))
        return SL_IO;
    while (group->rest && fits(ledger, group, group->rest)) {
        SL_TRY(add_member(ledger, group, group->rest));
        group->rest = group->rest->next;
    }
    return SL_OK;
}

/* Takes `done` bytes off the front. */
static void advance(struct iovec **parts, size_t *count, size_t done)
{
    while (*count && done >= (*parts)->iov_len) {
        done -= (*parts)->iov_len;
        (*parts)++;
        (*count)--;
    }
    if (done) {
        (*parts)->iov_base = (char *)(*parts)->iov_base + done;
        (*parts)->iov_len -= done;
    }
}

static enum sl_status write_group(struct sl_ledger *ledger, struct group *group)
{
    struct iovec *parts = group->parts;
    size_t count = 2 * group->count;
    uint64_t at = ledger->offset;
    while (count) {
        ssize_t done = pwritev(ledger->segment, parts, count < PARTS_AT_ONCE ? (int)count : PARTS_AT_ONCE, (off_t)at);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return SL_IO;
        at += (uint64_t)done;
        advance(&parts, &count, (size_t)done);
    }
    if (fdatasync(ledger->segment) != 0)
        return SL_IO;
    ledger->offset = at;
    return SL_OK;
}

static void note_durable(struct sl_ledger *ledger)
{
    pthread_mutex_lock(&ledger->mutex);
    ledger->durable = ledger->frontier;
    ledger->durable_offset = ledger->offset;
    pthread_mutex_unlock(&ledger->mutex);
}

static void note_failure(struct sl_ledger *ledger, int error)
{
    pthread_mutex_lock(&ledger->mutex);
    ledger->error = error ? error : EIO;
    pthread_mutex_unlock(&ledger->mutex);
    atomic_store(&ledger->failed, true);
}

/* Calls back from `first` up to `end`, which stays. An append may be gone once its callback ran. */
static void finish(
    struct sl_ledger *ledger, struct sl_append *first, struct sl_append *end, enum sl_status status, uint64_t sequence)
{
    while (first != end) {
        struct sl_append *next = first->next;
        atomic_fetch_sub(&ledger->queued, SL_LEDGER_FRAME + first->record.len);
        first->done(first, status, status == SL_OK ? sequence++ : 0);
        first = next;
    }
}

static struct sl_append *handle_group(struct sl_ledger *ledger, struct sl_append *first)
{
    uint64_t sequence = ledger->frontier.size;
    errno = 0;
    enum sl_status status = atomic_load(&ledger->failed) ? SL_IO : fill_group(ledger, ledger->group, first);
    if (status == SL_OK)
        status = write_group(ledger, ledger->group);
    if (status == SL_OK) {
        note_durable(ledger);
        finish(ledger, first, ledger->group->rest, SL_OK, sequence);
        return ledger->group->rest;
    }
    if (!atomic_load(&ledger->failed))
        note_failure(ledger, errno);
    finish(ledger, first, NULL, SL_IO, 0);
    return NULL;
}

static void *run(void *argument)
{
    struct sl_ledger *ledger = argument;
    for (;;) {
        bool closing = atomic_load(&ledger->closing); /* read before the queue: what was appended before is seen */
        struct sl_append *waiting = take_queue(ledger);
        if (!waiting && closing)
            return NULL;
        while (waiting)
            waiting = handle_group(ledger, waiting);
        if (!atomic_load(&ledger->queue) && !atomic_load(&ledger->closing))
            while (sem_wait(&ledger->wake) != 0 && errno == EINTR)
                ;
    }
}

/* ---- Opening ---- */

static enum sl_status refuse(struct sl_issues *issues, const char *directory, const char *what, int error)
{
    struct sl_issue *issue = sl_issue_add(issues, SL_GRADE_ERROR, "ledger-open", "%s: %s.", what, strerror(error));
    if (issue)
        issue->file = sl_arena_copy(issues->arena, sl_slice_of(directory));
    return SL_IO;
}

static enum sl_status take_lock(struct sl_ledger *ledger, const char *directory, struct sl_issues *issues)
{
    ledger->lock = openat(ledger->directory, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (ledger->lock < 0)
        return refuse(issues, directory, "The ledger's lock cannot be made", errno);
    if (flock(ledger->lock, LOCK_EX | LOCK_NB) == 0)
        return SL_OK;
    int error = errno;
    (void)refuse(issues, directory, "Another process writes this ledger", error);
    return error == EWOULDBLOCK ? SL_UNAVAILABLE : SL_IO;
}

/* Writes the last group again and syncs it. After a sync that failed, the cache may show what the disk does not have;
 * nothing may be built upon that. */
static bool write_again(int fd, uint64_t from, uint64_t to)
{
    size_t len = (size_t)(to - from);
    char *bytes = malloc(len ? len : 1);
    bool done = bytes && (len == 0 || pread(fd, bytes, len, (off_t)from) == (ssize_t)len) &&
                write_at(fd, bytes, len, from) && fsync(fd) == 0;
    free(bytes);
    return done;
}

static void note_cut(struct sl_walk *walk, const struct sl_scan *scan)
{
    char name[SL_SEGMENT_NAME];
    sl_segment_name(scan->first, name);
    sl_ledger_issue(walk->issues, SL_GRADE_NOTE, name, "ledger-torn-tail", scan->offset,
        "The last group was incomplete, as a crash leaves it, and was cut; nothing of it had been confirmed");
}

/* Goes on in the segment that the scan has read to its end. */
static enum sl_status resume_segment(
    struct sl_ledger *ledger, struct sl_walk *walk, struct sl_scan *scan, enum sl_tail tail)
{
    char name[SL_SEGMENT_NAME];
    sl_segment_name(scan->first, name);
    ledger->segment = openat(ledger->directory, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    ledger->capacity = scan->size > ledger->segment_bytes ? scan->size : ledger->segment_bytes;
    bool done = ledger->segment >= 0;
    if (done && tail == SL_TAIL_TORN) {
        done = ftruncate(ledger->segment, (off_t)scan->offset) == 0;
        note_cut(walk, scan);
    }
    done = done && preallocate(ledger->segment, ledger->capacity) &&
           write_again(ledger->segment, scan->group, scan->offset);
    if (!done)
        return refuse(walk->issues, name, "The last segment cannot be written", errno);
    ledger->offset = ledger->durable_offset = scan->offset;
    ledger->frontier = ledger->durable = walk->frontier;
    return SL_OK;
}

/* Earlier segments are looked at by header and size; the last one is read whole. */
static enum sl_status recover_segments(
    struct sl_ledger *ledger, struct sl_walk *walk, const uint64_t *firsts, size_t count)
{
    enum sl_status status = SL_OK;
    for (size_t i = 0; i < count && status == SL_OK; i++) {
        struct sl_scan scan = {.fd = -1};
        enum sl_tail tail = SL_TAIL_DAMAGED;
        bool last = i + 1 == count;
        if (last)
            status = sl_walk_segment(walk, &scan, firsts[i], true, &tail);
        else
            status = sl_scan_init(&scan, ledger->directory, firsts[i]);
        if (status == SL_OK && last)
            status = sl_walk_end(walk); /* before anything is cut: what the head names must be there */
        if (status == SL_OK && last)
            status = resume_segment(ledger, walk, &scan, tail);
        else if (status == SL_OK)
            ledger->earlier_bytes += scan.size;
        else if (!last)
            sl_issue_add(walk->issues, SL_GRADE_ERROR, "ledger-damaged", "The header of segment %zu is not one.", i);
        sl_scan_fini(&scan);
    }
    ledger->segments = count;
    return status;
}

static enum sl_status recover(struct sl_ledger *ledger, const char *directory, struct sl_issues *issues)
{
    uint64_t *firsts = NULL;
    size_t count = 0;
    struct sl_walk walk;
    enum sl_status status = sl_walk_init(&walk, directory, issues);
    walk.tree = true;
    if (status == SL_OK)
        status = sl_segments_list(ledger->directory, &firsts, &count);
    if (status == SL_OK && count)
        status = recover_segments(ledger, &walk, firsts, count);
    else if (status == SL_OK && walk.head.there)
        status = sl_walk_end(&walk); /* there were segments once */
    else if (status == SL_OK && !begin_segment(ledger))
        status = refuse(issues, directory, "The first segment cannot be made", errno);
    free(firsts);
    sl_walk_fini(&walk);
    return status;
}

static enum sl_status start(struct sl_ledger *ledger, const char *directory, struct sl_issues *issues)
{
    /* Signals are for the process's own loop; and a file size limit shall fail a write, not end the process. */
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int error = pthread_create(&ledger->thread, NULL, run, ledger);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    ledger->started = error == 0;
    return error ? refuse(issues, directory, "The writer cannot be started", error) : SL_OK;
}

static enum sl_status open_directory(struct sl_ledger *ledger, const char *directory, struct sl_issues *issues)
{
    if (mkdir(directory, 0700) != 0 && errno != EEXIST)
        return refuse(issues, directory, "The ledger's directory cannot be made", errno);
    ledger->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (ledger->directory < 0)
        return refuse(issues, directory, "The ledger's directory cannot be opened", errno);
    return SL_OK;
}

static struct sl_ledger *allocate(const struct sl_ledger_options *options)
{
    struct sl_ledger *ledger = calloc(1, sizeof *ledger);
    struct group *group = calloc(1, sizeof *group);
    if (!ledger || !group || !sl_hasher_init(&ledger->hasher)) {
        if (ledger)
            sl_hasher_fini(&ledger->hasher);
        free(ledger);
        free(group);
        return NULL;
    }
    ledger->group = group;
    ledger->directory = ledger->lock = ledger->segment = -1;
    size_t segment = options->segment_bytes ? options->segment_bytes : SEGMENT_BYTES;
    ledger->segment_bytes = segment < SEGMENT_LEAST ? SEGMENT_LEAST : segment;
    ledger->queue_bytes = options->queue_bytes ? options->queue_bytes : QUEUE_BYTES;
    pthread_mutex_init(&ledger->mutex, NULL);
    sem_init(&ledger->wake, 0, 0);
    return ledger;
}

static void release(struct sl_ledger *ledger)
{
    const int files[] = {ledger->segment, ledger->lock, ledger->directory};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (files[i] >= 0)
            close(files[i]);
    sem_destroy(&ledger->wake);
    pthread_mutex_destroy(&ledger->mutex);
    sl_hasher_fini(&ledger->hasher);
    free(ledger->group);
    free(ledger);
}

enum sl_status sl_ledger_open(const struct sl_ledger_options *options, struct sl_issues *issues, struct sl_ledger **out)
{
    *out = NULL;
    struct sl_ledger *ledger = allocate(options);
    if (!ledger)
        return SL_NO_MEMORY;
    enum sl_status status = open_directory(ledger, options->directory, issues);
    if (status == SL_OK)
        status = take_lock(ledger, options->directory, issues);
    if (status == SL_OK)
        status = recover(ledger, options->directory, issues);
    if (status == SL_OK)
        status = start(ledger, options->directory, issues);
    if (status != SL_OK) {
        release(ledger);
        return status;
    }
    *out = ledger;
    return SL_OK;
}

void sl_ledger_close(struct sl_ledger *ledger)
{
    if (!ledger)
        return;
    atomic_store(&ledger->closing, true);
    sem_post(&ledger->wake);
    if (ledger->started)
        pthread_join(ledger->thread, NULL);
    struct sl_head head = {.there = true, .size = ledger->durable.size};
    /* Without the new head the old one stays, which holds for what it names. */
    if (!atomic_load(&ledger->failed) && sl_frontier_root(&ledger->durable, &ledger->hasher, head.root) == SL_OK)
        (void)!sl_head_write(ledger->directory, &head);
    release(ledger);
}

/* ---- Appending ---- */

enum sl_status sl_ledger_append(struct sl_ledger *ledger, struct sl_append *append)
{
    size_t len = append->record.len;
    if (len == 0)
        return SL_INVALID;
    if (len > SL_LEDGER_RECORD_MAX || len > ledger->segment_bytes - SL_LEDGER_HEADER - SL_LEDGER_FRAME)
        return SL_LIMIT;
    if (atomic_load(&ledger->failed))
        return SL_IO;
    size_t room = SL_LEDGER_FRAME + len, before = atomic_fetch_add(&ledger->queued, room);
    if (before && before + room > ledger->queue_bytes) { /* alone, one always may */
        atomic_fetch_sub(&ledger->queued, room);
        return SL_UNAVAILABLE;
    }
    struct sl_append *head = atomic_load(&ledger->queue);
    do
        append->next = head;
    while (!atomic_compare_exchange_weak(&ledger->queue, &head, append));
    if (!head)
        sem_post(&ledger->wake);
    return SL_OK;
}

struct waiter {
    struct sl_append append;
    sem_t done;
    enum sl_status status;
    uint64_t sequence;
};

static void wake_waiter(struct sl_append *append, enum sl_status status, uint64_t sequence)
{
    struct waiter *waiter = append->context;
    waiter->status = status;
    waiter->sequence = sequence;
    sem_post(&waiter->done);
}

enum sl_status sl_ledger_append_wait(struct sl_ledger *ledger, struct sl_slice record, uint64_t *sequence)
{
    struct waiter waiter = {.append = {.record = record, .done = wake_waiter}};
    waiter.append.context = &waiter;
    sem_init(&waiter.done, 0, 0);
    enum sl_status status = sl_ledger_append(ledger, &waiter.append);
    if (status == SL_OK) {
        while (sem_wait(&waiter.done) != 0 && errno == EINTR)
            ;
        status = waiter.status;
        *sequence = waiter.sequence;
    }
    sem_destroy(&waiter.done);
    return status;
}

void sl_ledger_state(struct sl_ledger *ledger, struct sl_ledger_state *out)
{
    pthread_mutex_lock(&ledger->mutex);
    struct sl_frontier durable = ledger->durable;
    *out = (struct sl_ledger_state){.size = durable.size,
        .segments = ledger->segments,
        .bytes = ledger->earlier_bytes + ledger->durable_offset,
        .error = ledger->error};
    pthread_mutex_unlock(&ledger->mutex);
    struct sl_hasher hasher;
    SL_ASSERT(sl_hasher_init(&hasher) && sl_frontier_root(&durable, &hasher, out->root) == SL_OK);
    sl_hasher_fini(&hasher);
}
