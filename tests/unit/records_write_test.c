/* SPDX-License-Identifier: Apache-2.0 */
/* Do single writes make versions one after another, lose nothing to each other, and leave all or nothing? */
#include "records_write.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <time.h>

#include "sluice/buffer.h"

#define NOW INT64_C(1767225600) /* 2026-01-01T00:00:00Z */
#define LIT(text) SL_LIT(text)

struct fixture {
    char directory[64];
    struct sl_records *records;
    struct sl_arena *arena;
    struct sl_issues issues;
};

static int begin(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    snprintf(f->directory, sizeof f->directory, "records_write_test.XXXXXX");
    if (!mkdtemp(f->directory))
        return -1;
    f->arena = sl_arena_new((size_t)1 << 28);
    f->issues.arena = f->arena;
    *state = f;
    return sl_records_open(f->directory, true, &f->issues, &f->records) == SL_OK ? 0 : -1;
}

static int end(void **state)
{
    struct fixture *f = *state;
    char path[128];
    const char *const files[] = {"data.mdb", "lock.mdb"};
    sl_records_close(f->records);
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", f->directory, files[i]);
        unlink(path);
    }
    rmdir(f->directory);
    sl_arena_free(f->arena);
    free(f);
    return 0;
}

static struct sl_record_write observation(
    enum sl_record_change change, const char *id, uint64_t expected, const char *text)
{
    return (struct sl_record_write){.change = change,
        .type = LIT("Observation"),
        .id = sl_slice_of(id),
        .text = text ? sl_slice_of(text) : (struct sl_slice){NULL, 0},
        .expected = expected};
}

static enum sl_status write_one(struct fixture *f, struct sl_record_write write, uint64_t *version)
{
    enum sl_status status = sl_records_write(f->records, &write, 1, NOW);
    if (version)
        *version = write.version;
    return status;
}

static struct sl_slice stored(struct fixture *f, const char *id)
{
    struct sl_slice text;
    enum sl_status status = sl_records_read(f->records, f->arena, LIT("Observation"), sl_slice_of(id), &text);
    return status == SL_OK ? text : (struct sl_slice){NULL, 0};
}

static size_t matches(struct fixture *f, const char *query)
{
    struct sl_search search;
    struct sl_blocks page = {.arena = f->arena};
    uint64_t next;
    size_t count = 0;
    assert_int_equal(sl_search_read(f->arena, SL_R4_Observation, sl_slice_of(query), LIT(""), NULL, &search), SL_OK);
    assert_int_equal(sl_records_search(f->records, f->arena, &search, 0, 100, &page, &next), SL_OK);
    struct sl_buffer text;
    sl_buffer_init(&text, 1 << 20);
    for (const struct sl_block *block = page.first; block; block = block->next)
        sl_buffer_add(&text, (struct sl_slice){block->ptr, block->len});
    sl_buffer_add(&text, (struct sl_slice){"", 1});
    for (const char *at = text.ptr; (at = strstr(at, "\"resource\":")); at++)
        count++;
    sl_buffer_fini(&text);
    return count;
}

#define FIRST                                                                                                          \
    "{\"resourceType\":\"Observation\",\"subject\":{\"reference\":\"Patient/"                                          \
    "one\"},\"valueQuantity\":{\"value\":1.10}}"
#define SECOND                                                                                                         \
    "{\"resourceType\":\"Observation\",\"id\":\"x\",\"meta\":{\"versionId\":\"abc\",\"lastUpdated\":\"never\","        \
    "\"profile\":[\"http://p\"]},\"subject\":{\"reference\":\"Patient/two\"}}"

static void versions_follow_each_other(void **state)
{
    struct fixture *f = *state;
    uint64_t version = 0;
    struct sl_slice text;
    assert_int_equal(write_one(f, observation(SL_RECORD_CREATE, "o", 0, FIRST), &version), SL_OK);
    assert_int_equal(version, 1);
    assert_string_equal(stored(f, "o").ptr,
        "{\"resourceType\":\"Observation\",\"subject\":{\"reference\":\"Patient/"
        "one\"},\"valueQuantity\":{\"value\":1.10},"
        "\"id\":\"o\",\"meta\":{\"versionId\":\"1\",\"lastUpdated\":\"2026-01-01T00:00:00Z\"}}");
    assert_int_equal(write_one(f, observation(SL_RECORD_UPDATE, "o", 1, SECOND), &version), SL_OK);
    assert_int_equal(version, 2);
    assert_string_equal(stored(f, "o").ptr,
        "{\"resourceType\":\"Observation\",\"id\":\"o\",\"meta\":{\"versionId\":\"2\",\"lastUpdated\":\"2026-01-01T00:"
        "00:"
        "00Z\",\"profile\":[\"http://p\"]},\"subject\":{\"reference\":\"Patient/two\"}}");
    assert_int_equal(matches(f, "patient=one"), 0);
    assert_int_equal(matches(f, "patient=two"), 1);
    assert_int_equal(write_one(f, observation(SL_RECORD_DELETE, "o", 2, NULL), &version), SL_OK);
    assert_int_equal(version, 3);
    assert_null(stored(f, "o").ptr);
    assert_int_equal(matches(f, "patient=two"), 0);
    assert_int_equal(matches(f, "_lastUpdated=gt2000"), 0);
    for (uint64_t v = 1; v <= 3; v++)
        assert_int_equal(sl_records_read_version(f->records, f->arena, LIT("Observation"), LIT("o"), v, &text),
            v < 3 ? SL_OK : SL_NOT_FOUND);
}

/* Whoever wrote last counts on: what was deleted and comes again from a file keeps its history. */
static void what_comes_again_counts_on(void **state)
{
    struct fixture *f = *state;
    struct sl_records_import done;
    struct sl_slice text;
    static const char file[] =
        "{\"resourceType\":\"Observation\",\"id\":\"o\",\"subject\":{\"reference\":\"Patient/one\"}}";
    assert_int_equal(sl_records_import(f->records, LIT(file), NOW, &f->issues, &done), SL_OK);
    assert_int_equal(write_one(f, observation(SL_RECORD_DELETE, "o", 1, NULL), NULL), SL_OK);
    assert_int_equal(write_one(f, observation(SL_RECORD_CREATE, "o", 0, FIRST), NULL), SL_EXISTS);
    assert_int_equal(sl_records_import(f->records, LIT(file), NOW, &f->issues, &done), SL_OK);
    assert_int_equal(done.created, 1);
    assert_non_null(strstr(stored(f, "o").ptr, "\"versionId\":\"3\""));
    assert_int_equal(matches(f, "patient=one"), 1);
    assert_int_equal(write_one(f, observation(SL_RECORD_UPDATE, "o", 3, SECOND), NULL), SL_OK);
    assert_int_equal(sl_records_read_version(f->records, f->arena, LIT("Observation"), LIT("o"), 1, &text), SL_OK);
    assert_non_null(strstr(text.ptr, "\"versionId\":\"1\""));
}

static void what_is_not_expected_is_not_written(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(write_one(f, observation(SL_RECORD_CREATE, "o", 0, FIRST), NULL), SL_OK);
    const struct {
        struct sl_record_write write;
        enum sl_status status;
    } cases[] = {
        {observation(SL_RECORD_CREATE, "o", 0, FIRST), SL_EXISTS},
        {observation(SL_RECORD_UPDATE, "o", 0, SECOND), SL_EXISTS},
        {observation(SL_RECORD_UPDATE, "o", 2, SECOND), SL_EXISTS},
        {observation(SL_RECORD_UPDATE, "other", 0, SECOND), SL_EXISTS},
        {observation(SL_RECORD_UPDATE, "other", 1, SECOND), SL_EXISTS},
        {observation(SL_RECORD_DELETE, "o", 2, NULL), SL_EXISTS},
        {observation(SL_RECORD_DELETE, "other", 0, NULL), SL_EXISTS},
        {observation(SL_RECORD_NONE, "o", 1, SECOND), SL_INVALID},
        {observation(SL_RECORD_UPDATE, "a/b", 1, SECOND), SL_INVALID},
        {observation(SL_RECORD_UPDATE, "o", 1, "{\"resourceType\":\"Patient\"}"), SL_INVALID},
        {observation(SL_RECORD_UPDATE, "o", 1, "{\"resourceType\":\"Observation\",\"meta\":[]}"), SL_INVALID},
        {observation(SL_RECORD_UPDATE, "o", 1, "{\"resourceType\":\"Observation\""), SL_INVALID},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (write_one(f, cases[i].write, NULL) != cases[i].status)
            fail_msg("case %zu", i);
    assert_non_null(strstr(stored(f, "o").ptr, "\"versionId\":\"1\""));
    assert_null(stored(f, "other").ptr);
}

static void several_are_all_or_none(void **state)
{
    struct fixture *f = *state;
    struct sl_record_write good[] = {
        observation(SL_RECORD_CREATE, "a", 0, FIRST), observation(SL_RECORD_CREATE, "b", 0, FIRST)};
    assert_int_equal(sl_records_write(f->records, good, 2, NOW), SL_OK);
    struct sl_record_write bad[] = {observation(SL_RECORD_UPDATE, "a", 1, SECOND),
        observation(SL_RECORD_DELETE, "b", 1, NULL), observation(SL_RECORD_UPDATE, "c", 1, SECOND)};
    assert_int_equal(sl_records_write(f->records, bad, 3, NOW), SL_EXISTS);
    assert_int_equal(sl_records_write(f->records, bad, 0, NOW), SL_INVALID);
    struct sl_record_write twice[] = {bad[0], bad[0]};
    assert_int_equal(sl_records_write(f->records, twice, 2, NOW), SL_INVALID);
    assert_int_equal(matches(f, "patient=one"), 2);
    assert_int_equal(sl_records_write(f->records, bad, 2, NOW), SL_OK);
    assert_int_equal(matches(f, "patient=one"), 0);
    assert_int_equal(matches(f, "patient=two"), 1);
    assert_int_equal(bad[0].version + bad[1].version, 4);
}

/* More index keys than one transaction takes. */
static void large_ones_are_whole(void **state)
{
    struct fixture *f = *state;
    struct sl_buffer text;
    sl_buffer_init(&text, 1 << 20);
    for (int round = 0; round < 2; round++) {
        sl_buffer_clear(&text);
        sl_buffer_printf(&text, "{\"resourceType\":\"Observation\",\"hasMember\":[");
        for (int i = round * 1000; i < 3000; i++)
            sl_buffer_printf(&text, "%s{\"reference\":\"Observation/p%d\"}", i == round * 1000 ? "" : ",", i);
        sl_buffer_printf(&text, "]}%c", 0);
        struct sl_record_write both[] = {
            observation(round ? SL_RECORD_UPDATE : SL_RECORD_CREATE, "large", (uint64_t)round, text.ptr),
            observation(round ? SL_RECORD_UPDATE : SL_RECORD_CREATE, "small", (uint64_t)round, FIRST)};
        both[1].expected += round ? 7 : 0;
        assert_int_equal(sl_records_write(f->records, both, 2, NOW), round ? SL_EXISTS : SL_OK);
        both[1].expected = (uint64_t)round;
        if (round) {
            assert_int_equal(matches(f, "has-member=Observation/p0"), 1);
            assert_int_equal(sl_records_write(f->records, both, 2, NOW), SL_OK);
        }
        assert_int_equal(matches(f, "has-member=Observation/p0"), round ? 0 : 1);
        assert_int_equal(matches(f, "has-member=Observation/p2999"), 1);
    }
    sl_buffer_fini(&text);
}

/* ---- Transactions ---- */

static enum sl_status transact(struct fixture *f, const char *entries, const char **answer)
{
    struct sl_slice text = sl_arena_printf(
                        f->arena, "{\"resourceType\":\"Bundle\",\"type\":\"transaction\",\"entry\":[%s]}", entries),
                    out = {NULL, 0};
    enum sl_status status = sl_records_transaction(f->records, f->arena, text, NOW, &out);
    *answer = status == SL_OK ? sl_arena_copy(f->arena, out).ptr : NULL;
    return status;
}

static void transactions_name_each_other(void **state)
{
    struct fixture *f = *state;
    const char *answer;
    assert_int_equal(write_one(f, observation(SL_RECORD_CREATE, "o", 0, FIRST), NULL), SL_OK);
    assert_int_equal(write_one(f, observation(SL_RECORD_CREATE, "gone", 0, FIRST), NULL), SL_OK);
    static const char entries[] =
        "{\"fullUrl\":\"urn:uuid:1\",\"resource\":{\"resourceType\":\"Observation\",\"identifier\":[{\"value\":\"urn:"
        "uuid:"
        "1\"}],\"hasMember\":[{\"reference\":\"urn:uuid:1\"},{\"reference\":\"Observation/"
        "o\"}]},\"request\":{\"method\":"
        "\"POST\",\"url\":\"Observation\"}},"
        "{\"resource\":{\"resourceType\":\"Observation\",\"id\":\"o\",\"derivedFrom\":[{\"reference\":\"urn:uuid:1\"}]}"
        ","
        "\"request\":{\"method\":\"PUT\",\"url\":\"Observation/o\",\"ifMatch\":\"W/\\\"1\\\"\"}},"
        "{\"request\":{\"method\":\"DELETE\",\"url\":\"Observation/gone\",\"ifMatch\":\"W/\\\"1\\\"\"}}";
    assert_int_equal(transact(f, entries, &answer), SL_OK);
    const char *location = strstr(answer, "{\"response\":{\"status\":\"201 Created\",\"location\":\"Observation/");
    assert_non_null(location);
    static const char id[] = "1"; /* as whoever drew the fullUrl meant it */
    assert_non_null(strstr(location, "Observation/1/_history/1\""));
    assert_non_null(
        strstr(answer, "{\"status\":\"200 OK\",\"location\":\"Observation/o/_history/2\",\"etag\":\"W/\\\"2\\\"\"}"));
    assert_non_null(strstr(answer, "204 No Content"));
    assert_non_null(strstr(stored(f, "o").ptr, "\"reference\":\"Observation/1\""));
    assert_non_null(strstr(stored(f, id).ptr, "\"value\":\"urn:uuid:1\"")); /* an identifier is no link */
    assert_null(strstr(stored(f, id).ptr, "\"reference\":\"urn:uuid:1\""));
    assert_null(stored(f, "gone").ptr);
    /* The same again names versions that are not the current ones: nothing of it is done. */
    assert_int_equal(transact(f, entries, &answer), SL_EXISTS);
    assert_int_equal(matches(f, "_lastUpdated=gt2000"), 2);
}

static void what_is_no_transaction_is_refused(void **state)
{
    struct fixture *f = *state;
    const char *answer;
    static const char *const cases[] = {
        "{}",
        "{\"resource\":{\"resourceType\":\"Observation\"},\"request\":{\"method\":\"PATCH\",\"url\":\"Observation/"
        "o\"}}",
        "{\"resource\":{\"resourceType\":\"Observation\"},\"request\":{\"method\":\"POST\",\"url\":\"Observation/o\"}}",
        "{\"resource\":{\"resourceType\":\"Observation\"},\"request\":{\"method\":\"PUT\",\"url\":\"Observation/o\"}}",
        "{\"resource\":{\"resourceType\":\"Patient\"},\"request\":{\"method\":\"POST\",\"url\":\"Observation\"}}",
        "{\"request\":{\"method\":\"POST\",\"url\":\"Observation\"}}",
        "{\"resource\":{\"resourceType\":\"Observation\"},\"request\":{\"method\":\"POST\",\"url\":\"Observation?x=y\"}"
        "}",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (transact(f, cases[i], &answer) != SL_INVALID)
            fail_msg("case %zu", i);
    assert_int_equal(matches(f, "_lastUpdated=gt2000"), 0);
}

/* ---- Several processes ---- */

#define ROUNDS 60

static uint64_t version_of(struct sl_slice text)
{
    const char *at = text.ptr ? strstr(text.ptr, "\"versionId\":\"") : NULL;
    return at ? strtoull(at + 13, NULL, 10) : 0;
}

/* A process of its own, with the store opened anew: LMDB's locks are the process's. */
static pid_t start(struct fixture *f, void (*work)(struct fixture *f))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child)
        return child;
    if (sl_records_open(f->directory, true, &f->issues, &f->records) != SL_OK)
        _exit(2);
    work(f);
    sl_records_close(f->records);
    _exit(0);
}

static void count_up(struct fixture *f)
{
    for (int done = 0; done < ROUNDS;) {
        uint64_t seen = version_of(stored(f, "o"));
        enum sl_status status = write_one(f, observation(SL_RECORD_UPDATE, "o", seen, FIRST), NULL);
        if (status != SL_OK && status != SL_EXISTS)
            _exit(1);
        done += status == SL_OK;
    }
}

static void import_others(struct fixture *f)
{
    struct sl_buffer text;
    struct sl_records_import done;
    sl_buffer_init(&text, 1 << 20);
    for (int round = 0; round < 4; round++) {
        sl_buffer_clear(&text);
        for (int i = 0; i < 100; i++)
            sl_buffer_printf(&text,
                "{\"resourceType\":\"Observation\",\"id\":\"i%d\",\"subject\":{\"reference\":\"Patient/r%d\"}}\n", i,
                round);
        /* The one the others write as well: whoever comes later has seen what came before. */
        sl_buffer_printf(&text, "{\"resourceType\":\"Observation\",\"id\":\"o\",\"status\":\"r%d\"}\n", round);
        if (sl_records_import(f->records, sl_buffer_slice(&text), NOW, &f->issues, &done) != SL_OK)
            _exit(1);
    }
    sl_buffer_fini(&text);
}

static void reopen(struct fixture *f)
{
    assert_int_equal(sl_records_open(f->directory, true, &f->issues, &f->records), SL_OK);
}

static void close_store(struct fixture *f)
{
    sl_records_close(f->records);
    f->records = NULL;
}

static void processes_lose_nothing_to_each_other(void **state)
{
    struct fixture *f = *state;
    struct sl_slice text;
    assert_int_equal(write_one(f, observation(SL_RECORD_CREATE, "o", 0, FIRST), NULL), SL_OK);
    close_store(f);
    const pid_t children[] = {start(f, count_up), start(f, count_up), start(f, import_others)};
    for (size_t i = 0; i < 3; i++) {
        int how = 0;
        assert_int_equal(waitpid(children[i], &how, 0), children[i]);
        assert_true(WIFEXITED(how) && WEXITSTATUS(how) == 0);
    }
    reopen(f);
    assert_int_equal(version_of(stored(f, "o")), 1 + 2 * ROUNDS + 4);
    for (uint64_t v = 1; v < 1 + 2 * ROUNDS + 4; v++)
        assert_int_equal(sl_records_read_version(f->records, f->arena, LIT("Observation"), LIT("o"), v, &text), SL_OK);
    assert_int_equal(matches(f, "patient=r3"), 100);
    assert_int_equal(matches(f, "patient=r2"), 0);
}

static void write_pairs(struct fixture *f)
{
    for (uint64_t version = 1;; version++) {
        struct sl_record_write pair[] = {observation(SL_RECORD_UPDATE, "a", version, version % 2 ? SECOND : FIRST),
            observation(SL_RECORD_UPDATE, "b", version, version % 2 ? SECOND : FIRST)};
        if (sl_records_write(f->records, pair, 2, NOW) != SL_OK)
            _exit(1);
    }
}

/* Killed at any moment: both of a pair or neither, and the index finds what is there. */
static void a_crash_leaves_all_or_none(void **state)
{
    struct fixture *f = *state;
    struct sl_record_write pair[] = {
        observation(SL_RECORD_CREATE, "a", 0, FIRST), observation(SL_RECORD_CREATE, "b", 0, FIRST)};
    assert_int_equal(sl_records_write(f->records, pair, 2, NOW), SL_OK);
    close_store(f);
    pid_t child = start(f, write_pairs);
    struct fixture watcher = *f;
    watcher.records = NULL;
    uint64_t seen = 1;
    assert_int_equal(sl_records_open(f->directory, false, &f->issues, &watcher.records), SL_OK);
    for (time_t end = time(NULL) + 60; seen < 20 && time(NULL) < end;)
        seen = version_of(stored(&watcher, "a"));
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &(int){0}, 0), child);
    sl_records_close(watcher.records);
    reopen(f);
    uint64_t version = version_of(stored(f, "a"));
    assert_true(version >= 20);
    assert_int_equal(version_of(stored(f, "b")), version);
    assert_int_equal(matches(f, "patient=two"), version % 2 ? 0 : 2);
    assert_int_equal(matches(f, "patient=one"), version % 2 ? 2 : 0);
    assert_int_equal(write_one(f, observation(SL_RECORD_UPDATE, "a", version, SECOND), NULL), SL_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(versions_follow_each_other),
        TEST(what_comes_again_counts_on),
        TEST(what_is_not_expected_is_not_written),
        TEST(several_are_all_or_none),
        TEST(large_ones_are_whole),
        TEST(transactions_name_each_other),
        TEST(what_is_no_transaction_is_refused),
        TEST(processes_lose_nothing_to_each_other),
        TEST(a_crash_leaves_all_or_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
