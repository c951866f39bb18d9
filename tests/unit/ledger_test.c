/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is what the ledger confirmed still there after a crash, and is whatever else happened to its files found out?
 * The test stands between the ledger and the disk: it defines fdatasync and pwritev itself, to count, delay and fail.
 */
#include "ledger_format.h"

#include <setjmp.h>
#include <stdarg.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

/* ---- Between the ledger and the disk ---- */

static atomic_int syncs, failing_syncs, failing_writes, short_writes;
static atomic_bool held;
static sem_t go;

int fdatasync(int fd)
{
    atomic_fetch_add(&syncs, 1);
    if (atomic_load(&held))
        sem_wait(&go);
    if (atomic_load(&failing_syncs)) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    if (atomic_load(&failing_writes)) {
        errno = ENOSPC;
        return -1;
    }
    if (atomic_load(&short_writes)) {
        size_t len = parts[0].iov_len < 7 ? parts[0].iov_len : 7;
        return pwrite(fd, parts[0].iov_base, len, offset);
    }
    ssize_t done = 0;
    for (int i = 0; i < count; i++) {
        ssize_t part = pwrite(fd, parts[i].iov_base, parts[i].iov_len, offset + done);
        if (part < 0)
            return done ? done : -1;
        done += part;
        if ((size_t)part < parts[i].iov_len)
            break;
    }
    return done;
}

/* ---- Fixture ---- */

struct fixture {
    char directory[64];
    struct sl_arena *arena;
    struct sl_issues issues;
};

static void empty_directory(const char *directory)
{
    DIR *listing = opendir(directory);
    if (!listing)
        return;
    for (struct dirent *entry; (entry = readdir(listing));)
        if (entry->d_name[0] != '.')
            unlinkat(dirfd(listing), entry->d_name, 0);
    closedir(listing);
}

static int begin(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    snprintf(f->directory, sizeof f->directory, "ledger_test.XXXXXX");
    if (!mkdtemp(f->directory))
        return -1;
    f->arena = sl_arena_new(1 << 20);
    f->issues.arena = f->arena;
    atomic_store(&failing_syncs, 0);
    atomic_store(&failing_writes, 0);
    atomic_store(&short_writes, 0);
    atomic_store(&held, false);
    *state = f;
    return 0;
}

static int end(void **state)
{
    struct fixture *f = *state;
    empty_directory(f->directory);
    rmdir(f->directory);
    sl_arena_free(f->arena);
    free(f);
    return 0;
}

static void forget_issues(struct fixture *f)
{
    sl_arena_reset(f->arena);
    f->issues = (struct sl_issues){.arena = f->arena};
}

static enum sl_status try_open(struct fixture *f, struct sl_ledger **ledger)
{
    forget_issues(f);
    const struct sl_ledger_options options = {.directory = f->directory, .segment_bytes = 64 << 10};
    return sl_ledger_open(&options, &f->issues, ledger);
}

static struct sl_ledger *open_ledger(struct fixture *f)
{
    struct sl_ledger *ledger;
    assert_int_equal(try_open(f, &ledger), SL_OK);
    return ledger;
}

/* Record i: its number, and a length that depends on it. */
static struct sl_slice record_of(uint64_t i, char *buffer, size_t longest)
{
    int len = snprintf(buffer, 32, "record %llu ", (unsigned long long)i);
    size_t want = (size_t)len + (size_t)(i * 37 % longest);
    memset(buffer + len, 'a' + (int)(i % 26), want - (size_t)len);
    return (struct sl_slice){buffer, want};
}

#define LONGEST 900u

static void append(struct sl_ledger *ledger, uint64_t from, uint64_t to)
{
    char buffer[LONGEST + 32];
    for (uint64_t i = from; i < to; i++) {
        uint64_t sequence = UINT64_MAX;
        assert_int_equal(sl_ledger_append_wait(ledger, record_of(i, buffer, LONGEST), &sequence), SL_OK);
        assert_int_equal(sequence, i);
    }
}

struct count {
    uint64_t next, stop;
};

static bool check_record(void *context, uint64_t sequence, struct sl_slice record)
{
    struct count *count = context;
    char buffer[LONGEST + 32];
    assert_int_equal(sequence, count->next);
    assert_true(sl_slice_eq(record, record_of(sequence, buffer, LONGEST)));
    count->next++;
    return count->next != count->stop;
}

/* What is there is records [from, size), each as it was appended. */
static void expect_records(struct fixture *f, uint64_t from, uint64_t size)
{
    struct count count = {from, UINT64_MAX};
    assert_int_equal(sl_ledger_read(f->directory, from, &f->issues, check_record, &count), SL_OK);
    assert_int_equal(count.next, size);
}

static enum sl_status verify(struct fixture *f, struct sl_ledger_state *state)
{
    forget_issues(f);
    return sl_ledger_verify(f->directory, &f->issues, state);
}

static void make(struct fixture *f, uint64_t size)
{
    struct sl_ledger *ledger = open_ledger(f);
    append(ledger, 0, size);
    sl_ledger_close(ledger);
}

static int open_file(struct fixture *f, const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", f->directory, name);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    return fd;
}

static void remove_file(struct fixture *f, const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", f->directory, name);
    assert_int_equal(unlink(path), 0);
}

#define FIRST "0000000000000000.ledger"

/* As a crash leaves it: nothing was noted at a close. */
static void crash(struct fixture *f)
{
    remove_file(f, "head");
}

/* ---- CRC and tree ---- */

static void test_crc(void **state)
{
    (void)state;
    char zeros[32] = {0}, ones[32];
    memset(ones, 0xff, sizeof ones);
    /* RFC 3720, B.4, and the usual check value. */
    const struct {
        struct sl_slice bytes;
        uint32_t crc;
    } cases[] = {
        {SL_LIT(""), 0},
        {SL_LIT("123456789"), 0xe3069283},
        {{zeros, 32}, 0x8a9136aa},
        {{ones, 32}, 0x62a8ab43},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(sl_crc32c(0, cases[i].bytes), cases[i].crc);
        assert_int_equal(sl_crc32c_portable(0, cases[i].bytes), cases[i].crc);
    }
    char bytes[200];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * i * 7 + 3);
    for (size_t from = 0; from < 9; from++)
        for (size_t to = from; to < sizeof bytes; to++) {
            struct sl_slice whole = {bytes + from, to - from}, half = {bytes + from, (to - from) / 2};
            uint32_t crc = sl_crc32c(0, whole);
            assert_int_equal(crc, sl_crc32c_portable(0, whole));
            assert_int_equal(crc, sl_crc32c(sl_crc32c(0, half), sl_slice_from(whole, half.len)));
        }
}

static void to_hex(const unsigned char *hash, char *hex)
{
    for (int i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", hash[i]);
}

/* The leaves and heads that certificate transparency's implementations test against. */
static void test_tree_vectors(void **state)
{
    (void)state;
    const struct {
        struct sl_slice leaf;
        const char *root;
    } cases[] = {
        {SL_LIT(""), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
        {SL_LIT("\x00"), "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"},
        {SL_LIT("\x10"), "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"},
        {SL_LIT("\x20\x21"), "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"},
        {SL_LIT("\x30\x31"), "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"},
        {SL_LIT("\x40\x41\x42\x43"), "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"},
        {SL_LIT("\x50\x51\x52\x53\x54\x55\x56\x57"),
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"},
        {SL_LIT("\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f"),
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"},
    };
    struct sl_hasher hasher;
    struct sl_frontier frontier = {0};
    unsigned char root[32];
    char hex[65];
    assert_true(sl_hasher_init(&hasher));
    assert_int_equal(sl_frontier_root(&frontier, &hasher, root), SL_OK);
    to_hex(root, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(sl_frontier_add(&frontier, &hasher, cases[i].leaf), SL_OK);
        assert_int_equal(sl_frontier_root(&frontier, &hasher, root), SL_OK);
        to_hex(root, hex);
        assert_string_equal(hex, cases[i].root);
        unsigned char header[SL_LEDGER_HEADER];
        struct sl_frontier back;
        sl_segment_encode(&frontier, header);
        assert_true(sl_segment_decode(header, &back));
        assert_int_equal(sl_frontier_root(&back, &hasher, root), SL_OK);
        to_hex(root, hex);
        assert_string_equal(hex, cases[i].root);
    }
    sl_hasher_fini(&hasher);
}

/* ---- Appending and reading ---- */

static void test_append_read_reopen(void **state)
{
    struct fixture *f = *state;
    unsigned char roots[4][32];
    for (unsigned i = 0; i < 4; i++) {
        struct sl_ledger *ledger = open_ledger(f);
        assert_int_equal(f->issues.count, 0);
        append(ledger, 5 * i, 5 * (i + 1));
        struct sl_ledger_state now, verified;
        sl_ledger_state(ledger, &now);
        assert_int_equal(now.size, 5 * (i + 1));
        assert_int_equal(now.error, 0);
        memcpy(roots[i], now.root, 32);
        assert_int_equal(verify(f, &verified), SL_OK); /* while it is open */
        sl_ledger_close(ledger);
        assert_int_equal(verify(f, &verified), SL_OK);
        assert_int_equal(verified.size, now.size);
        assert_int_equal(verified.segments, now.segments);
        assert_int_equal(verified.bytes, now.bytes);
        assert_memory_equal(verified.root, now.root, 32);
        expect_records(f, 0, 5 * (i + 1));
    }
    assert_memory_not_equal(roots[0], roots[1], 32);
}

static void test_segments(void **state)
{
    struct fixture *f = *state;
    make(f, 600); /* near 290 KB in segments of 64 */
    struct sl_ledger_state verified;
    assert_int_equal(verify(f, &verified), SL_OK);
    assert_int_equal(verified.size, 600);
    assert_in_range(verified.segments, 4, 8);
    assert_int_equal(f->issues.count, 0);
    static const uint64_t froms[] = {0, 1, 130, 131, 132, 299, 599, 600, 601, 100000};
    for (size_t i = 0; i < sizeof froms / sizeof *froms; i++)
        expect_records(f, froms[i], froms[i] > 600 ? froms[i] : 600);
    struct count count = {17, 19};
    assert_int_equal(sl_ledger_read(f->directory, 17, &f->issues, check_record, &count), SL_OK);
    assert_int_equal(count.next, 19);
    struct sl_ledger *ledger = open_ledger(f);
    append(ledger, 600, 700);
    sl_ledger_close(ledger);
    expect_records(f, 0, 700);
}

static void test_limits(void **state)
{
    struct fixture *f = *state;
    struct sl_ledger *ledger = open_ledger(f);
    static char big[64 << 10];
    memset(big, 'x', sizeof big);
    uint64_t sequence;
    size_t most = sizeof big - SL_LEDGER_HEADER - SL_LEDGER_FRAME;
    assert_int_equal(sl_ledger_append_wait(ledger, SL_LIT(""), &sequence), SL_INVALID);
    assert_int_equal(sl_ledger_append_wait(ledger, (struct sl_slice){big, most + 1}, &sequence), SL_LIMIT);
    for (uint64_t i = 0; i < 3; i++) {
        assert_int_equal(sl_ledger_append_wait(ledger, (struct sl_slice){big, most}, &sequence), SL_OK);
        assert_int_equal(sequence, i);
    }
    struct sl_ledger_state now, verified;
    sl_ledger_state(ledger, &now);
    assert_int_equal(now.segments, 3); /* each fills one to its last byte */
    sl_ledger_close(ledger);
    assert_int_equal(verify(f, &verified), SL_OK);
    assert_memory_equal(verified.root, now.root, 32);
    struct sl_ledger *again = open_ledger(f);
    assert_int_equal(sl_ledger_append_wait(again, SL_LIT("y"), &sequence), SL_OK);
    assert_int_equal(sequence, 3);
    sl_ledger_close(again);
    sl_ledger_close(NULL);
}

static void test_lock(void **state)
{
    struct fixture *f = *state;
    struct sl_ledger *ledger = open_ledger(f), *second;
    assert_int_equal(try_open(f, &second), SL_UNAVAILABLE);
    assert_null(second);
    assert_int_equal(f->issues.errors, 1);
    sl_ledger_close(ledger);
    sl_ledger_close(open_ledger(f));
}

static void test_nothing_there(void **state)
{
    struct fixture *f = *state;
    struct sl_ledger_state verified;
    assert_int_equal(verify(f, &verified), SL_MISSING); /* an empty directory is no ledger */
    assert_int_equal(f->issues.errors, 1);
    assert_int_equal(sl_ledger_verify("ledger_test.absent", &f->issues, &verified), SL_MISSING);
    sl_ledger_close(open_ledger(f));
    assert_int_equal(verify(f, &verified), SL_OK);
    assert_int_equal(verified.size, 0);
    struct sl_ledger *ledger;
    const struct sl_ledger_options options = {.directory = "ledger_test.absent/deep"};
    assert_int_equal(sl_ledger_open(&options, &f->issues, &ledger), SL_IO);
    assert_null(ledger);
}

/* ---- Many producers ---- */

#define PRODUCERS 16
#define EACH 100

static void *produce(void *context)
{
    char text[64];
    for (int i = 0; i < EACH; i++) {
        uint64_t sequence;
        snprintf(text, sizeof text, "producer's %d", i);
        if (sl_ledger_append_wait(context, sl_slice_of(text), &sequence) != SL_OK)
            return context;
    }
    return NULL;
}

static void test_groups(void **state)
{
    struct fixture *f = *state;
    struct sl_ledger *ledger = open_ledger(f);
    pthread_t threads[PRODUCERS];
    int before = atomic_load(&syncs);
    for (int i = 0; i < PRODUCERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, produce, ledger), 0);
    /* Reading does not disturb, and is not disturbed. */
    struct sl_ledger_state verified;
    for (int i = 0; i < 20; i++)
        assert_int_equal(verify(f, &verified), SL_OK);
    for (int i = 0; i < PRODUCERS; i++) {
        void *failed;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    int used = atomic_load(&syncs) - before;
    assert_in_range(used, 1, PRODUCERS * EACH / 2);
    sl_ledger_close(ledger);
    assert_int_equal(verify(f, &verified), SL_OK);
    assert_int_equal(verified.size, PRODUCERS * EACH);
}

/* ---- What waits ---- */

struct waiting {
    struct sl_append append;
    char text[100];
};

static atomic_int confirmed, refused;
static atomic_ullong sequences;

static void count_done(struct sl_append *done, enum sl_status status, uint64_t sequence)
{
    atomic_fetch_add(status == SL_OK ? &confirmed : &refused, 1);
    atomic_fetch_add(&sequences, status == SL_OK ? sequence : 0);
    free(done->context); /* the append itself: it may go once it is done */
}

static enum sl_status queue(struct sl_ledger *ledger)
{
    struct waiting *waiting = calloc(1, sizeof *waiting);
    memset(waiting->text, 'w', sizeof waiting->text);
    waiting->append =
        (struct sl_append){.record = {waiting->text, sizeof waiting->text}, .done = count_done, .context = waiting};
    enum sl_status status = sl_ledger_append(ledger, &waiting->append);
    if (status != SL_OK)
        free(waiting);
    return status;
}

/* While the disk hangs, append goes on at once until the queue is full; close waits for all of it. */
static void test_queue(void **state)
{
    struct fixture *f = *state;
    const struct sl_ledger_options options = {
        .directory = f->directory, .segment_bytes = 64 << 10, .queue_bytes = 10 * (100 + SL_LEDGER_FRAME)};
    struct sl_ledger *ledger;
    assert_int_equal(sl_ledger_open(&options, &f->issues, &ledger), SL_OK);
    sem_init(&go, 0, 0);
    atomic_store(&confirmed, 0);
    atomic_store(&sequences, 0);
    atomic_store(&held, true);
    for (int i = 0; i < 10; i++)
        assert_int_equal(queue(ledger), SL_OK);
    assert_int_equal(queue(ledger), SL_UNAVAILABLE);
    assert_int_equal(atomic_load(&confirmed), 0); /* nothing is said to be durable before it is */
    atomic_store(&held, false);
    for (int i = 0; i < 10; i++)
        sem_post(&go);
    sl_ledger_close(ledger);
    assert_int_equal(atomic_load(&confirmed), 10);
    assert_int_equal(atomic_load(&sequences), 45);
    sem_destroy(&go);
}

static void test_failure_is_final(void **state)
{
    struct fixture *f = *state;
    atomic_int *const kinds[] = {&failing_syncs, &failing_writes};
    static const int errors[] = {EIO, ENOSPC};
    for (size_t i = 0; i < 2; i++) {
        empty_directory(f->directory);
        struct sl_ledger *ledger = open_ledger(f);
        append(ledger, 0, 3);
        atomic_store(kinds[i], 1);
        atomic_store(&confirmed, 0);
        atomic_store(&refused, 0);
        assert_int_equal(queue(ledger), SL_OK);
        uint64_t sequence;
        assert_int_equal(sl_ledger_append_wait(ledger, SL_LIT("x"), &sequence), SL_IO);
        atomic_store(kinds[i], 0); /* the disk is well again, the ledger stays closed */
        assert_int_equal(sl_ledger_append_wait(ledger, SL_LIT("x"), &sequence), SL_IO);
        assert_int_equal(queue(ledger), SL_IO);
        struct sl_ledger_state now;
        sl_ledger_state(ledger, &now);
        assert_int_equal(now.size, 3);
        assert_int_equal(now.error, errors[i]);
        sl_ledger_close(ledger);
        assert_int_equal(atomic_load(&confirmed), 0);
        assert_int_equal(atomic_load(&refused), 1);
        ledger = open_ledger(f); /* a restart goes on: what was confirmed is there */
        sl_ledger_state(ledger, &now);
        assert_true(now.size >= 3);
        sl_ledger_close(ledger);
        struct count count = {0, 3};
        assert_int_equal(sl_ledger_read(f->directory, 0, &f->issues, check_record, &count), SL_OK);
        assert_int_equal(count.next, 3);
    }
}

static void test_short_writes(void **state)
{
    struct fixture *f = *state;
    atomic_store(&short_writes, 1);
    make(f, 40);
    struct sl_ledger_state verified;
    assert_int_equal(verify(f, &verified), SL_OK);
    expect_records(f, 0, 40);
}

/* A file may not grow beyond a limit, as on a full disk: no new segment, no record lost that was confirmed. */
static int fill_disk(const char *directory)
{
    signal(SIGXFSZ, SIG_IGN);
    const struct sl_ledger_options options = {.directory = directory, .segment_bytes = 64 << 10};
    struct sl_ledger *ledger;
    if (sl_ledger_open(&options, NULL, &ledger) != SL_OK)
        return 100;
    struct rlimit limit = {32 << 10, 32 << 10};
    setrlimit(RLIMIT_FSIZE, &limit);
    char buffer[LONGEST + 32];
    for (int i = 0; i < 200; i++) {
        uint64_t sequence;
        enum sl_status status = sl_ledger_append_wait(ledger, record_of((uint64_t)i, buffer, LONGEST), &sequence);
        if (status != SL_OK) {
            sl_ledger_close(ledger);
            return status == SL_IO ? i : 101;
        }
    }
    return 102;
}

static void test_full_disk(void **state)
{
    struct fixture *f = *state;
    pid_t child = fork();
    if (child == 0)
        _exit(fill_disk(f->directory));
    int result;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFEXITED(result));
    int kept = WEXITSTATUS(result);
    assert_in_range(kept, 20, 99);
    sl_ledger_close(open_ledger(f));
    struct sl_ledger_state verified;
    assert_int_equal(verify(f, &verified), SL_OK);
    assert_true(verified.size >= (uint64_t)kept);
    expect_records(f, 0, verified.size);
}

/* ---- Torn and damaged ---- */

/* Where the frames of the first segment begin; the last one is the end. */
static size_t find_frames(struct fixture *f, uint64_t *offsets, size_t max)
{
    int fd = open_file(f, FIRST);
    unsigned char frame[SL_LEDGER_FRAME];
    uint64_t at = SL_LEDGER_HEADER;
    size_t count = 0;
    while (count + 1 < max && pread(fd, frame, sizeof frame, (off_t)at) == (ssize_t)sizeof frame && sl_get_u32(frame)) {
        offsets[count++] = at;
        at += SL_LEDGER_FRAME + sl_get_u32(frame);
    }
    offsets[count] = at;
    close(fd);
    return count;
}

static void flip(struct fixture *f, const char *name, uint64_t at, unsigned char bits)
{
    int fd = open_file(f, name);
    unsigned char byte;
    assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
    byte ^= bits;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
    close(fd);
}

static void zero(struct fixture *f, uint64_t from, uint64_t to)
{
    int fd = open_file(f, FIRST);
    static const char zeros[4096];
    assert_int_equal(pwrite(fd, zeros, (size_t)(to - from), (off_t)from), (ssize_t)(to - from));
    close(fd);
}

/* Every byte of the last record, broken or never written: the record goes, what was before stays, and it goes on. */
static void test_torn_tail(void **state)
{
    struct fixture *f = *state;
    make(f, 6);
    uint64_t offsets[16];
    assert_int_equal(find_frames(f, offsets, 16), 6);
    for (uint64_t at = offsets[5]; at < offsets[6]; at += 3)
        for (int kind = 0; kind < 2; kind++) {
            empty_directory(f->directory);
            make(f, 6);
            crash(f);
            if (kind == 0)
                flip(f, FIRST, at, 0x41);
            else
                zero(f, at, offsets[6]);
            struct sl_ledger_state verified;
            assert_int_equal(verify(f, &verified), SL_OK);
            assert_int_equal(verified.size, 5);
            bool all_gone = kind == 1 && at == offsets[5];
            assert_int_equal(f->issues.count, all_gone ? 0 : 1);
            struct sl_ledger *ledger = open_ledger(f);
            assert_int_equal(f->issues.count, all_gone ? 0 : 1);
            if (!all_gone)
                assert_int_equal(f->issues.first->grade, SL_GRADE_NOTE);
            append(ledger, 5, 8);
            sl_ledger_close(ledger);
            assert_int_equal(verify(f, &verified), SL_OK);
            assert_int_equal(f->issues.count, 0);
            expect_records(f, 0, 8);
        }
}

/* Where the group behind the confirmed ones is torn in its middle, its later frames go too. */
static void test_torn_group(void **state)
{
    struct fixture *f = *state;
    struct sl_ledger *ledger = open_ledger(f);
    append(ledger, 0, 2);
    sem_init(&go, 0, 0);
    atomic_store(&held, true);
    int before = atomic_load(&syncs);
    assert_int_equal(queue(ledger), SL_OK);
    while (atomic_load(&syncs) == before)
        sched_yield();
    for (int i = 0; i < 3; i++) /* while the first is being synced, these gather */
        assert_int_equal(queue(ledger), SL_OK);
    atomic_store(&held, false);
    for (int i = 0; i < 4; i++)
        sem_post(&go);
    sl_ledger_close(ledger);
    sem_destroy(&go);
    crash(f);
    uint64_t offsets[16];
    assert_int_equal(find_frames(f, offsets, 16), 6);
    int fd = open_file(f, FIRST);
    unsigned char frame[SL_LEDGER_FRAME];
    assert_int_equal(pread(fd, frame, sizeof frame, (off_t)offsets[5]), (ssize_t)sizeof frame);
    close(fd);
    uint32_t in_group = sl_get_u32(frame + 16);
    assert_true(in_group > 0); /* the last is not the first of its group */
    flip(f, FIRST, offsets[5] - in_group + SL_LEDGER_FRAME, 1);
    struct sl_ledger_state now;
    ledger = open_ledger(f);
    assert_int_equal(f->issues.count, 1);
    sl_ledger_state(ledger, &now);
    assert_in_range(now.size, 2, 4);
    sl_ledger_close(ledger);
}

static void test_garbage_behind(void **state)
{
    struct fixture *f = *state;
    make(f, 4);
    uint64_t offsets[16];
    size_t count = find_frames(f, offsets, 16);
    flip(f, FIRST, offsets[count] + 300, 0xff);
    flip(f, FIRST, offsets[count] + 3000, 0xff);
    struct sl_ledger *ledger = open_ledger(f);
    assert_int_equal(f->issues.count, 1);
    append(ledger, 4, 6);
    sl_ledger_close(ledger);
    struct sl_ledger_state verified;
    assert_int_equal(verify(f, &verified), SL_OK);
    assert_int_equal(f->issues.count, 0);
    expect_records(f, 0, 6);
}

/* What lies further behind than any group reaches was not torn off by a crash. */
static void test_garbage_far_behind(void **state)
{
    struct fixture *f = *state;
    const struct sl_ledger_options options = {.directory = f->directory, .segment_bytes = 32 << 20};
    struct sl_ledger *ledger;
    assert_int_equal(sl_ledger_open(&options, &f->issues, &ledger), SL_OK);
    append(ledger, 0, 2);
    sl_ledger_close(ledger);
    flip(f, FIRST, 30 << 20, 1);
    struct sl_ledger_state verified;
    assert_int_equal(verify(f, &verified), SL_CORRUPT);
    assert_int_equal(sl_ledger_open(&options, &f->issues, &ledger), SL_CORRUPT);
}

/* Any byte of a confirmed record but the last, or of the header: refused, with file and place. */
static void test_damage(void **state)
{
    struct fixture *f = *state;
    make(f, 4);
    crash(f);
    uint64_t offsets[16];
    find_frames(f, offsets, 16);
    for (uint64_t at = 0; at < offsets[3]; at += at >= 200 && at < 4050 ? 101 : 1) {
        flip(f, FIRST, at, 0x10);
        struct sl_ledger_state verified;
        struct sl_ledger *ledger;
        assert_int_equal(verify(f, &verified), SL_CORRUPT);
        assert_int_equal(try_open(f, &ledger), SL_CORRUPT);
        assert_null(ledger);
        assert_int_equal(f->issues.errors, 1);
        assert_true(sl_slice_eq(f->issues.first->file, SL_LIT(FIRST)));
        flip(f, FIRST, at, 0x10);
    }
    sl_ledger_close(open_ledger(f)); /* and whole again, it opens */
}

/* After a clean close even the last record is vouched for. */
static void test_damage_after_close(void **state)
{
    struct fixture *f = *state;
    make(f, 4);
    uint64_t offsets[16];
    find_frames(f, offsets, 16);
    struct sl_ledger_state verified;
    struct sl_ledger *ledger;
    flip(f, FIRST, offsets[4] - 1, 1);
    assert_int_equal(verify(f, &verified), SL_CORRUPT);
    assert_int_equal(try_open(f, &ledger), SL_CORRUPT);
    flip(f, FIRST, offsets[4] - 1, 1);
    assert_int_equal(verify(f, &verified), SL_OK); /* what was refused was not touched */
    int head = open_file(f, "head");
    assert_int_equal(pwrite(head, "x", 1, lseek(head, 0, SEEK_END)), 1);
    close(head);
    assert_int_equal(verify(f, &verified), SL_CORRUPT);
    static const char *const heads[] = {"", "sluice-ledger-head 1\n4\n", "sluice-ledger-head 1\n04\n00",
        "sluice-ledger-head 1\n4\n0000000000000000000000000000000000000000000000000000000000000000\n"};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        int fd = open_file(f, "head");
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(write(fd, heads[i], strlen(heads[i])), (ssize_t)strlen(heads[i]));
        close(fd);
        assert_int_equal(verify(f, &verified), SL_CORRUPT);
        assert_int_equal(try_open(f, &ledger), SL_CORRUPT);
    }
}

/* A record exchanged for another one, with frame and checksum right: the tree tells. */
static void exchange_record(struct fixture *f, const char *name, uint64_t at, uint64_t sequence)
{
    int fd = open_file(f, name);
    unsigned char frame[SL_LEDGER_FRAME], bytes[LONGEST + 32];
    assert_int_equal(pread(fd, frame, sizeof frame, (off_t)at), (ssize_t)sizeof frame);
    size_t len = sl_get_u32(frame);
    memset(bytes, 'z', len);
    sl_frame_encode((struct sl_slice){(const char *)bytes, len}, sequence, sl_get_u32(frame + 16), frame);
    assert_int_equal(pwrite(fd, frame, sizeof frame, (off_t)at), (ssize_t)sizeof frame);
    assert_int_equal(pwrite(fd, bytes, len, (off_t)at + SL_LEDGER_FRAME), (ssize_t)len);
    close(fd);
}

static void test_exchanged_record(void **state)
{
    struct fixture *f = *state;
    make(f, 4);
    uint64_t offsets[16];
    find_frames(f, offsets, 16);
    exchange_record(f, FIRST, offsets[1], 1);
    struct sl_ledger_state verified;
    assert_int_equal(verify(f, &verified), SL_CORRUPT);
    struct sl_ledger *ledger;
    assert_int_equal(try_open(f, &ledger), SL_CORRUPT);
    empty_directory(f->directory);
    make(f, 600); /* in an earlier segment: the next one's frontier tells */
    crash(f);
    exchange_record(f, FIRST, offsets[1], 1);
    assert_int_equal(verify(f, &verified), SL_CORRUPT);
}

/* A whole frame, with a number that is not the next. */
static void test_wrong_number(void **state)
{
    struct fixture *f = *state;
    struct sl_ledger_state verified;
    struct sl_ledger *ledger;
    make(f, 4);
    crash(f);
    uint64_t offsets[16];
    find_frames(f, offsets, 16);
    exchange_record(f, FIRST, offsets[3], 5);
    assert_int_equal(verify(f, &verified), SL_CORRUPT);
    assert_int_equal(try_open(f, &ledger), SL_CORRUPT);
}

/* Only the last segment may end in something torn. */
static void test_garbage_in_earlier_segment(void **state)
{
    struct fixture *f = *state;
    struct sl_ledger_state verified;
    make(f, 600);
    int fd = open_file(f, FIRST);
    assert_int_equal(pwrite(fd, "x", 1, lseek(fd, 0, SEEK_END) + 9), 1);
    close(fd);
    assert_int_equal(verify(f, &verified), SL_CORRUPT);
    assert_true(sl_slice_eq(f->issues.first->file, SL_LIT(FIRST)));
}

static void test_missing_segments(void **state)
{
    struct fixture *f = *state;
    make(f, 600);
    uint64_t *firsts;
    size_t count;
    int directory = open(f->directory, O_RDONLY | O_DIRECTORY);
    assert_int_equal(sl_segments_list(directory, &firsts, &count), SL_OK);
    assert_true(count >= 4);
    struct sl_ledger_state verified;
    char name[SL_SEGMENT_NAME];
    /* The middle one is away: records are missing. The last one: the head tells. All: so it does. */
    sl_segment_name(firsts[1], name);
    assert_int_equal(renameat(directory, name, directory, "away"), 0);
    assert_int_equal(verify(f, &verified), SL_CORRUPT);
    struct count reading = {0, UINT64_MAX};
    assert_int_equal(sl_ledger_read(f->directory, 0, &f->issues, check_record, &reading), SL_CORRUPT);
    assert_int_equal(reading.next, firsts[1]); /* what is before it, and nothing behind */
    assert_int_equal(renameat(directory, "away", directory, name), 0);
    sl_segment_name(firsts[count - 1], name);
    struct sl_ledger *ledger;
    assert_int_equal(renameat(directory, name, directory, "away"), 0);
    assert_int_equal(verify(f, &verified), SL_CORRUPT);
    assert_int_equal(try_open(f, &ledger), SL_CORRUPT);
    assert_int_equal(renameat(directory, "away", directory, name), 0);
    /* The first one: pruned, which whole segments may be; the next one's frontier stands for it. */
    unsigned char root[32];
    assert_int_equal(verify(f, &verified), SL_OK);
    memcpy(root, verified.root, 32);
    sl_segment_name(firsts[0], name);
    assert_int_equal(unlinkat(directory, name, 0), 0);
    assert_int_equal(verify(f, &verified), SL_OK);
    assert_int_equal(verified.size, 600);
    assert_memory_equal(verified.root, root, 32);
    expect_records(f, firsts[1], 600);
    for (size_t i = 1; i < count; i++) {
        sl_segment_name(firsts[i], name);
        assert_int_equal(unlinkat(directory, name, 0), 0);
    }
    assert_int_equal(verify(f, &verified), SL_CORRUPT);
    assert_int_equal(try_open(f, &ledger), SL_CORRUPT);
    free(firsts);
    close(directory);
}

/* A file cut anywhere: a prefix of the records, or a refusal; never another record. */
static void test_truncated(void **state)
{
    struct fixture *f = *state;
    make(f, 6);
    crash(f);
    uint64_t offsets[16];
    find_frames(f, offsets, 16);
    for (uint64_t len = offsets[6]; len >= 4000; len -= len > 4096 ? 29 : 31) {
        int fd = open_file(f, FIRST);
        assert_int_equal(ftruncate(fd, (off_t)len), 0);
        close(fd);
        struct sl_ledger_state verified;
        enum sl_status status = verify(f, &verified);
        assert_int_equal(status, len >= 4096 ? SL_OK : SL_CORRUPT);
        if (status == SL_OK)
            expect_records(f, 0, verified.size);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {TEST(test_crc), TEST(test_tree_vectors), TEST(test_append_read_reopen),
        TEST(test_segments), TEST(test_limits), TEST(test_lock), TEST(test_nothing_there), TEST(test_groups),
        TEST(test_queue), TEST(test_failure_is_final), TEST(test_short_writes), TEST(test_full_disk),
        TEST(test_torn_tail), TEST(test_torn_group), TEST(test_garbage_behind), TEST(test_garbage_far_behind),
        TEST(test_damage), TEST(test_damage_after_close), TEST(test_exchanged_record), TEST(test_wrong_number),
        TEST(test_garbage_in_earlier_segment), TEST(test_missing_segments), TEST(test_truncated)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
