/* SPDX-License-Identifier: Apache-2.0 */
/* Does the store keep what was put, across transactions and processes, and refuse what it must? */
#include "sluice/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static const char *const tables[] = {"one", "two", NULL};

struct fixture {
    char directory[64];
    struct sl_store *store;
};

static int begin(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    snprintf(f->directory, sizeof f->directory, "store_test.XXXXXX");
    if (!mkdtemp(f->directory))
        return -1;
    *state = f;
    return sl_store_open(f->directory, tables, (size_t)4 << 20, true, NULL, &f->store) == SL_OK ? 0 : -1;
}

static int end(void **state)
{
    struct fixture *f = *state;
    sl_store_close(f->store);
    char path[128];
    const char *const files[] = {"data.mdb", "lock.mdb"};
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", f->directory, files[i]);
        unlink(path);
    }
    rmdir(f->directory);
    free(f);
    return 0;
}

static struct sl_txn *txn_of(struct fixture *f, bool write)
{
    struct sl_txn *txn;
    assert_int_equal(sl_txn_begin(f->store, write, &txn), SL_OK);
    return txn;
}

static void put(struct fixture *f, unsigned table, struct sl_slice key, struct sl_slice value)
{
    struct sl_txn *txn = txn_of(f, true);
    assert_int_equal(sl_txn_put(txn, table, key, value), SL_OK);
    assert_int_equal(sl_txn_commit(txn), SL_OK);
}

static void expect(struct fixture *f, unsigned table, struct sl_slice key, const char *value)
{
    struct sl_txn *txn = txn_of(f, false);
    struct sl_slice got;
    enum sl_status status = sl_txn_get(txn, table, key, &got);
    assert_int_equal(status, value ? SL_OK : SL_MISSING);
    if (value)
        assert_true(sl_slice_eq(got, sl_slice_of(value)));
    sl_txn_abort(txn);
}

static void test_put_get_delete(void **state)
{
    struct fixture *f = *state;
    put(f, 0, SL_LIT("k"), SL_LIT("v"));
    expect(f, 0, SL_LIT("k"), "v");
    expect(f, 1, SL_LIT("k"), NULL); /* tables are apart */
    put(f, 0, SL_LIT("k"), SL_LIT("w"));
    expect(f, 0, SL_LIT("k"), "w");
    struct sl_txn *txn = txn_of(f, true);
    assert_int_equal(sl_txn_delete(txn, 0, SL_LIT("k")), SL_OK);
    assert_int_equal(sl_txn_delete(txn, 0, SL_LIT("never")), SL_MISSING);
    assert_int_equal(sl_txn_commit(txn), SL_OK);
    expect(f, 0, SL_LIT("k"), NULL);
}

static void test_abort_keeps_nothing(void **state)
{
    struct fixture *f = *state;
    struct sl_txn *txn = txn_of(f, true);
    assert_int_equal(sl_txn_put(txn, 0, SL_LIT("k"), SL_LIT("v")), SL_OK);
    sl_txn_abort(txn);
    expect(f, 0, SL_LIT("k"), NULL);
    sl_txn_abort(NULL);
}

static void test_empty_key(void **state)
{
    struct sl_txn *txn = txn_of(*state, true);
    struct sl_slice got = SL_LIT("left over");
    assert_int_equal(sl_txn_put(txn, 0, SL_LIT(""), SL_LIT("v")), SL_INVALID);
    assert_int_equal(sl_txn_get(txn, 0, SL_LIT(""), &got), SL_INVALID);
    assert_null(got.ptr);
    sl_txn_abort(txn);
}

/* Keys of every length around the limits are kept apart, also where they share all but their last byte. */
static void test_long_keys(void **state)
{
    struct fixture *f = *state;
    static const size_t lengths[] = {1, 96, 97, 127, 128, 129, 130, 511, 512, 5000};
    char bytes[5001], value[16];
    memset(bytes, 'x', sizeof bytes);
    for (int last = 'a'; last <= 'b'; last++)
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
            bytes[lengths[i] - 1] = (char)last;
            snprintf(value, sizeof value, "%c%zu", last, lengths[i]);
            put(f, 0, (struct sl_slice){bytes, lengths[i]}, sl_slice_of(value));
            bytes[lengths[i] - 1] = 'x';
        }
    for (int last = 'a'; last <= 'b'; last++)
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
            bytes[lengths[i] - 1] = (char)last;
            snprintf(value, sizeof value, "%c%zu", last, lengths[i]);
            expect(f, 0, (struct sl_slice){bytes, lengths[i]}, value);
            bytes[lengths[i] - 1] = 'x';
        }
}

/* The stored form of a long key, given as a key, is itself a long one: it names nothing. */
static void test_stored_form_is_no_alias(void **state)
{
    struct fixture *f = *state;
    char bytes[300];
    memset(bytes, 'y', sizeof bytes);
    put(f, 0, (struct sl_slice){bytes, sizeof bytes}, SL_LIT("long"));
    struct sl_txn *txn = txn_of(f, false);
    struct sl_cursor *cursor;
    struct sl_slice key, value;
    assert_int_equal(sl_cursor_open(txn, 0, SL_LIT(""), SL_LIT("yyy"), &cursor), SL_OK);
    assert_int_equal(sl_cursor_next(cursor, &key, &value), SL_OK);
    assert_int_equal(key.len, 129);
    struct sl_slice got;
    assert_int_equal(sl_txn_get(txn, 0, key, &got), SL_MISSING);
    sl_cursor_close(cursor);
    sl_txn_abort(txn);
}

static void walk(struct fixture *f, const char *from, const char *prefix, const char *expected)
{
    struct sl_txn *txn = txn_of(f, false);
    struct sl_cursor *cursor;
    assert_int_equal(sl_cursor_open(txn, 0, sl_slice_of(from), sl_slice_of(prefix), &cursor), SL_OK);
    char seen[256] = "";
    struct sl_slice key, value;
    enum sl_status status;
    while ((status = sl_cursor_next(cursor, &key, &value)) == SL_OK)
        snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "%.*s=%.*s ", SL_FMT(key), SL_FMT(value));
    assert_int_equal(status, SL_MISSING);
    assert_string_equal(seen, expected);
    sl_cursor_close(cursor);
    sl_txn_abort(txn);
}

static void test_cursor(void **state)
{
    struct fixture *f = *state;
    static const char *const keys[] = {"b/2", "a/1", "b/10", "b/1", "c", "b"};
    walk(f, "", "", "");
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        put(f, 0, sl_slice_of(keys[i]), sl_slice_of(keys[i]));
    static const struct {
        const char *from, *prefix, *expected;
    } cases[] = {
        {"", "", "a/1=a/1 b=b b/1=b/1 b/10=b/10 b/2=b/2 c=c "},
        {"", "b/", "b/1=b/1 b/10=b/10 b/2=b/2 "},
        {"b/10", "b/", "b/10=b/10 b/2=b/2 "},
        {"a", "b/", "b/1=b/1 b/10=b/10 b/2=b/2 "}, /* from before the prefix */
        {"c", "b/", ""},
        {"b/11", "b", "b/2=b/2 "},
        {"", "d", ""},
        {"b", "", "b=b b/1=b/1 b/10=b/10 b/2=b/2 c=c "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        walk(f, cases[i].from, cases[i].prefix, cases[i].expected);
}

static void test_cursor_limits(void **state)
{
    struct fixture *f = *state;
    char bytes[200];
    memset(bytes, 'z', sizeof bytes);
    put(f, 0, (struct sl_slice){bytes, 150}, SL_LIT("v"));
    struct sl_txn *txn = txn_of(f, false);
    struct sl_cursor *cursor;
    struct sl_slice key, value;
    assert_int_equal(sl_cursor_open(txn, 0, SL_LIT(""), (struct sl_slice){bytes, 98}, &cursor), SL_LIMIT);
    assert_null(cursor);
    /* A long `from` may stand before its place, never behind it. */
    assert_int_equal(
        sl_cursor_open(txn, 0, (struct sl_slice){bytes, 150}, (struct sl_slice){bytes, 97}, &cursor), SL_OK);
    assert_int_equal(sl_cursor_next(cursor, &key, &value), SL_OK);
    assert_true(sl_slice_eq(value, SL_LIT("v")));
    sl_cursor_close(cursor);
    sl_txn_abort(txn);
}

static void test_put_limit(void **state)
{
    struct fixture *f = *state;
    struct sl_txn *txn = txn_of(f, true);
    char key[16];
    for (unsigned i = 0; i < SL_STORE_PUTS; i++) {
        snprintf(key, sizeof key, "%04u", i);
        assert_int_equal(sl_txn_put(txn, 0, sl_slice_of(key), SL_LIT("v")), SL_OK);
    }
    assert_int_equal(sl_txn_put(txn, 0, SL_LIT("over"), SL_LIT("v")), SL_LIMIT);
    assert_int_equal(sl_txn_delete(txn, 0, SL_LIT("0000")), SL_LIMIT);
    assert_int_equal(sl_txn_commit(txn), SL_OK);
    expect(f, 0, SL_LIT("0999"), "v");
    expect(f, 0, SL_LIT("over"), NULL);
}

/* A full map fails the put and the whole transaction, and the store goes on as it was. */
static void test_full(void **state)
{
    struct fixture *f = *state;
    put(f, 0, SL_LIT("before"), SL_LIT("v"));
    static char big[1 << 20];
    struct sl_txn *txn = txn_of(f, true);
    char key[16];
    enum sl_status status = SL_OK;
    for (unsigned i = 0; i < 8 && status == SL_OK; i++) {
        snprintf(key, sizeof key, "big%u", i);
        status = sl_txn_put(txn, 0, sl_slice_of(key), (struct sl_slice){big, sizeof big});
    }
    assert_int_equal(status, SL_STORE);
    assert_int_equal(sl_txn_commit(txn), SL_STORE);
    expect(f, 0, SL_LIT("big0"), NULL);
    expect(f, 0, SL_LIT("before"), "v");
    put(f, 0, SL_LIT("after"), SL_LIT("v"));
}

/* A reader sees the moment it began, and later commits move the version, from another process too. */
static void test_version_across_processes(void **state)
{
    struct fixture *f = *state;
    put(f, 0, SL_LIT("k"), SL_LIT("old"));
    uint64_t before = sl_store_version(f->store);
    assert_int_equal(sl_store_version(f->store), before);
    struct sl_txn *reader = txn_of(f, false);
    pid_t child = fork();
    if (child == 0) {
        struct sl_store *other;
        struct sl_txn *txn;
        if (sl_store_open(f->directory, tables, (size_t)4 << 20, true, NULL, &other) != SL_OK ||
            sl_txn_begin(other, true, &txn) != SL_OK || sl_txn_put(txn, 0, SL_LIT("k"), SL_LIT("new")) != SL_OK ||
            sl_txn_commit(txn) != SL_OK)
            _exit(1);
        _exit(0);
    }
    int result = -1;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_int_equal(result, 0);
    assert_int_equal(sl_store_version(f->store), before + 1);
    struct sl_slice got;
    assert_int_equal(sl_txn_get(reader, 0, SL_LIT("k"), &got), SL_OK);
    assert_true(sl_slice_eq(got, SL_LIT("old")));
    sl_txn_abort(reader);
    expect(f, 0, SL_LIT("k"), "new");
}

static void test_open_failures(void **state)
{
    struct fixture *f = *state;
    struct sl_arena *arena = sl_arena_new(1 << 16);
    struct sl_issues issues = {.arena = arena};
    struct sl_store *store;
    assert_int_equal(sl_store_open("store_test.absent", tables, 0, false, &issues, &store), SL_MISSING);
    assert_null(store);
    assert_int_equal(access("store_test.absent", F_OK), -1);
    assert_int_equal(sl_store_open("store_test.absent/deep", tables, 0, true, &issues, &store), SL_STORE);
    assert_int_equal(issues.errors, 2);
    assert_true(sl_slice_eq(issues.first->file, SL_LIT("store_test.absent")));
    sl_store_close(f->store);
    f->store = NULL;
    static const char *const more[] = {"one", "three", NULL};
    assert_int_equal(sl_store_open(f->directory, more, 0, false, &issues, &store), SL_MISSING);
    assert_int_equal(sl_store_open(f->directory, tables, 0, false, &issues, &store), SL_OK);
    sl_store_close(store);
    char path[128];
    snprintf(path, sizeof path, "%s/data.mdb", f->directory);
    FILE *file = fopen(path, "r+b");
    for (int i = 0; i < 8192; i++)
        fputc('#', file);
    fclose(file);
    assert_int_equal(sl_store_open(f->directory, tables, 0, true, &issues, &store), SL_STORE);
    assert_null(store);
    sl_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_put_get_delete, begin, end),
        cmocka_unit_test_setup_teardown(test_abort_keeps_nothing, begin, end),
        cmocka_unit_test_setup_teardown(test_empty_key, begin, end),
        cmocka_unit_test_setup_teardown(test_long_keys, begin, end),
        cmocka_unit_test_setup_teardown(test_stored_form_is_no_alias, begin, end),
        cmocka_unit_test_setup_teardown(test_cursor, begin, end),
        cmocka_unit_test_setup_teardown(test_cursor_limits, begin, end),
        cmocka_unit_test_setup_teardown(test_put_limit, begin, end),
        cmocka_unit_test_setup_teardown(test_full, begin, end),
        cmocka_unit_test_setup_teardown(test_version_across_processes, begin, end),
        cmocka_unit_test_setup_teardown(test_open_failures, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
