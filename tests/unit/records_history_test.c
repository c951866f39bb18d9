/* SPDX-License-Identifier: Apache-2.0 */
/* Does the embedded store give all versions, the newest first, in pages that neither miss nor repeat one? */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "fetch.h"
#include "records.h"
#include "records_write.h"

#define NOW INT64_C(1767225600) /* 2026-01-01T00:00:00Z */
#define DAY INT64_C(86400)

struct fixture {
    char directory[64];
    struct sl_records *records;
    struct sl_arena *arena;
    struct sl_issues issues;
};

static void put(
    struct fixture *f, enum sl_record_change change, const char *type, const char *id, uint64_t expected, int64_t day)
{
    char text[128];
    snprintf(text, sizeof text, "{\"resourceType\":\"%s\",\"id\":\"%s\",\"language\":\"d%d\"}", type, id, (int)day);
    struct sl_record_write one = {.change = change,
        .type = sl_slice_of(type),
        .id = sl_slice_of(id),
        .text = sl_slice_of(text),
        .expected = expected};
    assert_int_equal(sl_records_write(f->records, &one, 1, NOW + day * DAY), SL_OK);
}

static int begin(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    snprintf(f->directory, sizeof f->directory, "records_history_test.XXXXXX");
    if (!mkdtemp(f->directory))
        return -1;
    f->arena = sl_arena_new((size_t)1 << 30);
    f->issues.arena = f->arena;
    *state = f;
    if (sl_records_open(f->directory, true, &f->issues, &f->records) != SL_OK)
        return -1;
    put(f, SL_RECORD_CREATE, "Basic", "a", 0, 0);
    put(f, SL_RECORD_CREATE, "Basic", "ab", 0, 1); /* whose name begins as another's does */
    put(f, SL_RECORD_UPDATE, "Basic", "a", 1, 2);
    put(f, SL_RECORD_CREATE, "Patient", "p", 0, 2);
    put(f, SL_RECORD_DELETE, "Basic", "a", 2, 3);
    put(f, SL_RECORD_CREATE, "Basic", "c", 0, 4);
    put(f, SL_RECORD_UPDATE, "Basic", "c", 1, 3); /* the clock went back */
    return 0;
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

/* All pages as fetch.c reads them: "a2 a1", a deletion with '-' before it. */
static void list(struct fixture *f, struct sl_record_history asked, size_t count, char *out, size_t size, size_t *pages)
{
    size_t len = 0;
    out[0] = '\0';
    for (*pages = 0;; ++*pages) {
        struct sl_blocks blocks = {.arena = f->arena};
        struct sl_ask ask = {.kind = SL_ASK_HISTORY,
            .type = asked.type,
            .id = asked.id,
            .arena = f->arena,
            .finished = true,
            .status = SL_OK};
        struct sl_fetched *page;
        struct sl_slice next;
        assert_int_equal(sl_records_history(f->records, f->arena, &asked, count, &blocks, &next), SL_OK);
        assert_int_equal(sl_blocks_join(&blocks, f->arena, &ask.text), SL_OK);
        assert_int_equal(sl_fetch_read(&ask, &page), SL_OK);
        assert_true(page->count <= count);
        for (size_t i = 0; i < page->count; i++) {
            const struct sl_entry *entry = &page->entries[i];
            assert_int_equal(entry->deleted, entry->root == 0);
            assert_true(entry->updated.len > 0);
            len += (size_t)snprintf(out + len, size - len, "%s%s%.*s%.*s", len ? " " : "", entry->deleted ? "-" : "",
                SL_FMT(entry->id), SL_FMT(entry->version));
        }
        asked.position = next;
        if (!next.len)
            return;
    }
}

static void every_version_once(void **state)
{
    static const struct {
        const char *type, *id, *since, *expected;
    } cases[] = {
        {"Basic", "a", NULL, "-a3 a2 a1"},
        {"Basic", "ab", NULL, "ab1"},
        {"Basic", "c", NULL, "c2 c1"}, /* of one record the numbers say it */
        {"Basic", "", NULL, "c1 -a3 c2 a2 ab1 a1"},
        {"", "", NULL, "c1 -a3 c2 a2 p1 ab1 a1"},
        {"Patient", "", NULL, "p1"},
        {"Group", "", NULL, ""},
        {"Basic", "a", "2026-01-03", "-a3 a2"},
        {"Basic", "", "2026-01-04T00:00:00Z", "c1 -a3 c2"},
        {"Basic", "", "2027", ""},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t count = 1; count < 9; count++) {
            char found[256];
            size_t pages;
            list(f,
                (struct sl_record_history){
                    sl_slice_of(cases[i].type), sl_slice_of(cases[i].id), sl_slice_of(cases[i].since), {NULL, 0}},
                count, found, sizeof found, &pages);
            if (strcmp(found, cases[i].expected) != 0)
                fail_msg(
                    "%s/%s, %zu at a time: %s, not %s", cases[i].type, cases[i].id, count, found, cases[i].expected);
        }
}

static void what_is_no_history(void **state)
{
    struct fixture *f = *state;
    struct sl_blocks blocks = {.arena = f->arena};
    struct sl_slice next;
    const struct sl_record_history nobody = {.type = SL_LIT("Basic"), .id = SL_LIT("b")};
    assert_int_equal(sl_records_history(f->records, f->arena, &nobody, 5, &blocks, &next), SL_NOT_FOUND);
    static const char *const positions[] = {
        "x", "1", "1/a", "1/Basic/a/", "1/Basic/a/x", "/Basic/a/1", "99999999999999999999/Basic/a/1", "--1/Basic/a/1"};
    for (size_t i = 0; i < sizeof positions / sizeof *positions; i++) {
        const struct sl_record_history asked = {.type = SL_LIT("Basic"), .position = sl_slice_of(positions[i])};
        if (sl_records_history(f->records, f->arena, &asked, 5, &blocks, &next) != SL_INVALID)
            fail_msg("%s", positions[i]);
    }
}

/* What a server may send, and what is no history. */
static void what_is_read(void **state)
{
#define ENTRY(text) "{\"resourceType\":\"Bundle\",\"type\":\"history\",\"entry\":[" text "]}"
#define RESOURCE "\"resource\":{\"resourceType\":\"Basic\",\"id\":\"a\",\"meta\":{\"versionId\":\"2\"}}"
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {ENTRY("{" RESOURCE "}"), "a2"},
        {ENTRY("{\"request\":{\"method\":\"DELETE\",\"url\":\"Basic/a/_history/3\"}}"), "-a3"},
        {ENTRY("{\"request\":{\"method\":\"DELETE\",\"url\":\"Basic/a\"},\"response\":{\"etag\":\"W/\\\"3\\\"\"}}"),
            "-a3"},
        {ENTRY("{\"request\":{\"method\":\"DELETE\",\"url\":\"Basic/a\"}}"), "-a"},
        {ENTRY("{\"request\":{\"method\":\"PUT\",\"url\":\"Basic/a\"}}"), NULL},
        {ENTRY("{\"request\":{\"method\":\"DELETE\",\"url\":\"Basic/b\"}}"), NULL},
        {ENTRY("{\"request\":{\"method\":\"DELETE\",\"url\":\"Basic/a/x\"}}"), NULL},
        {ENTRY("{\"request\":{\"method\":\"DELETE\",\"url\":\"http://other/Basic/a\"}}"), NULL},
        {ENTRY("{\"resource\":{\"resourceType\":\"Patient\",\"id\":\"a\"}}"), NULL},
        {ENTRY("1"), NULL},
        {"{\"resourceType\":\"Bundle\",\"type\":\"searchset\"}", NULL},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sl_ask ask = {.kind = SL_ASK_HISTORY,
            .type = SL_LIT("Basic"),
            .id = SL_LIT("a"),
            .arena = f->arena,
            .finished = true,
            .status = SL_OK,
            .text = sl_slice_of(cases[i].text)};
        struct sl_fetched *page;
        char found[32] = "";
        enum sl_status status = sl_fetch_read(&ask, &page);
        if (status == SL_OK)
            snprintf(found, sizeof found, "%s%.*s%.*s", page->entries[0].deleted ? "-" : "",
                SL_FMT(page->entries[0].id), SL_FMT(page->entries[0].version));
        if (status != (cases[i].expected ? SL_OK : SL_UPSTREAM) ||
            (cases[i].expected && strcmp(found, cases[i].expected) != 0))
            fail_msg("%s: %s", cases[i].text, found);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(every_version_once, begin, end),
        cmocka_unit_test_setup_teardown(what_is_no_history, begin, end),
        cmocka_unit_test_setup_teardown(what_is_read, begin, end)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
