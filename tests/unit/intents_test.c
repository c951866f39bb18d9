/* SPDX-License-Identifier: Apache-2.0 */
/* Which writes are without an outcome, and the mark by which a stored version is known again. */
#include "sluice/intents.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "intent.h"
#include "sluice/ledger.h"

#define HEAD "{\"v\":2,\"time\":\"2026-11-22T10:00:00Z\","
#define ONE(id, item) "{\"exchange\":\"" id "\",\"item\":\"" item "\",\"change\":\"update\",\"mark\":\"ab\"}"
#define INTENT(whole, writes) HEAD "\"intent\":\"" whole "\",\"recipient\":{\"client\":\"c\"},\"writes\":[" writes "]}"
#define ENDED(id, more) HEAD "\"exchange\":\"" id "\",\"status\":200" more ",\"released\":[]}"
#define UNTOLD ",\"written\":[{\"item\":\"Observation/a\",\"stored\":null}]"
#define IDLE ",\"written\":[{\"item\":\"Consent/a\",\"stored\":true,\"tasks\":[{\"rule\":\"consent-not-in-force\"}]}]"
#define SETTLED(whole, asked) HEAD "\"settled\":\"" whole "\",\"intent\":0,\"asked\":" asked ",\"written\":[]}"

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *walk)
{
    (void)stat;
    (void)type;
    (void)walk;
    return remove(path);
}

/* The items that are open, each with a space. */
static void expect_open(const char *const *records, size_t count, const char *expected)
{
    char folder[] = "/tmp/sluice-intents-XXXXXX", got[256] = "";
    struct sl_arena *arena = sl_arena_new((size_t)16 << 20);
    struct sl_issues issues = {.arena = arena};
    struct sl_ledger_options options = {.directory = mkdtemp(folder), .segment_bytes = (size_t)1 << 20};
    struct sl_ledger *ledger;
    struct sl_intents intents;
    uint64_t sequence;
    assert_int_equal(sl_ledger_open(&options, &issues, &ledger), SL_OK);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(sl_ledger_append_wait(ledger, sl_slice_of(records[i]), &sequence), SL_OK);
    sl_ledger_close(ledger);
    assert_int_equal(sl_intents_read(folder, 0, arena, &issues, &intents), SL_OK);
    for (size_t i = 0; i < intents.count; i++)
        snprintf(got + strlen(got), sizeof got - strlen(got), "%.*s ", SL_FMT(intents.open[i].item));
    assert_string_equal(got, expected);
    assert_int_equal(intents.end, count);
    for (size_t i = 0; i < intents.count; i++)
        assert_true(
            sl_slice_eq(intents.open[i].recipient, SL_LIT("{\"client\":\"c\"}")) && intents.open[i].time == 1795341600);
    sl_arena_free(arena);
    (void)nftw(folder, remove_one, 4, FTW_DEPTH | FTW_PHYS);
}

#define CASE(expected, ...)                                                                                            \
    do {                                                                                                               \
        const char *const records[] = {__VA_ARGS__};                                                                   \
        expect_open(records, sizeof records / sizeof *records, expected);                                              \
    } while (0)

static void what_is_open(void **state)
{
    (void)state;
    const char *const a = INTENT("x-1", ONE("x-1", "Observation/a"));
    const char *const two = INTENT("x-2", ONE("x-3", "Observation/b") "," ONE("x-4", "Observation/c"));
    CASE("Consent/a ", INTENT("w", ONE("w", "Consent/a")), ENDED("w", IDLE));
    CASE("Observation/a ", a);
    CASE("", a, ENDED("x-1", ",\"written\":[{\"item\":\"Observation/a\",\"stored\":true}]"));
    CASE("", a, ENDED("x-1", "")); /* it was refused after all */
    CASE("Observation/a ", a, ENDED("x-2", ""), ENDED("x-11", ""));
    CASE("Observation/a ", a, ENDED("x-1", UNTOLD));
    CASE("Observation/a ", a, a); /* made again: one of them */
    CASE("Observation/b Observation/c ", two, ENDED("x-1", ""));
    CASE("Observation/c ", two, ENDED("x-3", ""));
    CASE("", two, ENDED("x-2", ""));
    CASE("Observation/b ", two, ENDED("x-3", UNTOLD), ENDED("x-2", ""));
    CASE("Observation/a Observation/b Observation/c ", a, two);
    CASE("Observation/a ", two, a, SETTLED("x-2", "true"));
    CASE("", two, ENDED("x-3", UNTOLD), SETTLED("x-2", "true"));
    CASE("Observation/b Observation/c ", two, SETTLED("x-2", "false"));
}

static void kinds(void **state)
{
    (void)state;
    assert_string_equal(sl_intents_kind(SL_LIT(INTENT("x-1", ""))), "intent");
    assert_string_equal(sl_intents_kind(SL_LIT(SETTLED("x-1", "true"))), "settled");
    assert_null(sl_intents_kind(SL_LIT(ENDED("x-1", ""))));
    assert_null(sl_intents_kind(SL_LIT("{}")));
}

static void expect_mark(struct sl_sealer *key, const char *a, const char *b, bool same)
{
    struct sl_arena *arena = sl_arena_new((size_t)16 << 20);
    const char *texts[] = {a, b};
    unsigned char marks[2][SL_INTENT_MARK];
    for (size_t i = 0; i < 2; i++) {
        struct sl_doc doc;
        assert_int_equal(sl_doc_parse(arena, sl_slice_of(texts[i]), NULL, &doc, NULL), SL_OK);
        assert_int_equal(sl_intent_mark(key, &doc, 0, arena, marks[i]), SL_OK);
    }
    if ((memcmp(marks[0], marks[1], SL_INTENT_MARK) == 0) != same)
        fail_msg("%s\n%s", a, b);
    sl_arena_free(arena);
}

static void marks(void **state)
{
    (void)state;
    static const char one[] =
        "{\"resourceType\":\"Observation\",\"id\":\"a\",\"code\":{\"text\":\"x\"},\"value\":1.10,\"list\":[1,2]}";
    struct sl_sealer *key;
    assert_int_equal(sl_sealer_new(NULL, &key), SL_OK);
    expect_mark(key, one, one, true);
    expect_mark(key, one,
        "{ \"list\":[1, 2],\"value\":1.10, \"code\":{\"text\":\"\\u0078\"}, "
        "\"id\":\"b\",\"resourceType\":\"Observation\"}",
        true);
    expect_mark(key, one,
        "{\"resourceType\":\"Observation\",\"meta\":{\"versionId\":\"3\",\"lastUpdated\":\"2026\",\"source\":\"#s\"},"
        "\"code\":{\"text\":\"x\"},\"value\":1.10,\"list\":[1,2]}",
        true);
    const char *const others[] = {
        "{\"resourceType\":\"Observation\",\"id\":\"a\",\"code\":{\"text\":\"y\"},\"value\":1.10,\"list\":[1,2]}",
        "{\"resourceType\":\"Observation\",\"id\":\"a\",\"code\":{\"text\":\"x\"},\"value\":1.1,\"list\":[1,2]}",
        "{\"resourceType\":\"Observation\",\"id\":\"a\",\"code\":{\"text\":\"x\"},\"value\":1.10,\"list\":[2,1]}",
        "{\"resourceType\":\"Observation\",\"id\":\"a\",\"code\":{\"text\":\"x\",\"id\":\"c\"},\"value\":1.10,\"list\":"
        "[1,2]}",
        "{\"resourceType\":\"Observation\",\"id\":\"a\",\"meta\":{\"tag\":[{\"code\":\"t\"}]},\"code\":{\"text\":\"x\"}"
        ",\"value\":1.10,\"list\":[1,2]}",
        "{\"resourceType\":\"Observation\",\"id\":\"a\",\"code\":{\"text\":\"x\"},\"value\":\"1.10\",\"list\":[1,2]}",
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        expect_mark(key, one, others[i], false);
    sl_sealer_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_open), cmocka_unit_test(kinds), cmocka_unit_test(marks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
