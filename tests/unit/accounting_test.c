/* SPDX-License-Identifier: Apache-2.0 */
/* Does the accounting list exactly what must be listed, of this person, in these years, and say what is not there? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "sluice/accounting.h"
#include "sluice/arena.h"
#include "sluice/ledger.h"

#define NOW 1795305600     /* 2026-11-22T00:00:00Z */
#define OFFICE "Patient/a" /* the person, as most records have it */

static char folder[64];

static void append(struct sl_ledger *ledger, const char *time, unsigned status, const char *released)
{
    char text[1024];
    uint64_t sequence;
    int len = snprintf(text, sizeof text,
        "{\"v\":2,\"time\":\"%s\",\"exchange\":\"e\",\"recipient\":{\"issuer\":\"i\",\"client\":\"exchange\","
        "\"organization\":\"Organization/north\",\"organization-name\":\"North Clinic\",\"purpose\":\"TREAT\"},"
        "\"status\":%u,\"grounds\":[{\"patients\":[\"Patient/old\"]}],\"released\":[%s],\"withheld\":[]}",
        time, status, released);
    assert_int_equal(sl_ledger_append_wait(ledger, (struct sl_slice){text, (size_t)len}, &sequence), SL_OK);
}

#define ON_CONSENT(item, patient)                                                                                      \
    "{\"item\":\"" item "\",\"patient\":\"" patient "\",\"consent\":\"Consent/"                                        \
                                                    "c\",\"duties\":[\"notice\",\"account\"]}"
#define IN_EMERGENCY                                                                                                   \
    "{\"item\":\"Condition/9\",\"patient\":\"Patient/a\",\"duties\":[\"account\",\"emergency-record\"]}"
#define ORDINARY "{\"item\":\"Condition/8\",\"patient\":\"Patient/a\"}"

static int set_up(void **state)
{
    struct sl_ledger *ledger;
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/sluice-accounting-XXXXXX");
    assert_non_null(mkdtemp(folder));
    const struct sl_ledger_options options = {.directory = folder, .segment_bytes = 1 << 20};
    assert_int_equal(sl_ledger_open(&options, NULL, &ledger), SL_OK);
    append(ledger, "2020-11-22T08:00:00Z", 200, ON_CONSENT("Condition/0", "Patient/a")); /* six years, to the day */
    append(ledger, "2023-11-21T23:59:59Z", 200, ON_CONSENT("Condition/1", "Patient/a")); /* three years and a day */
    append(ledger, "2023-11-22T00:00:00Z", 200,
        ON_CONSENT("Condition/2", "Patient/a") "," ON_CONSENT("Observation/2", "Patient/b Patient/a") "," ORDINARY);
    append(ledger, "2024-05-01T10:00:00Z", 200, ON_CONSENT("Condition/3", "Patient/a"));
    append(ledger, "2025-05-01T10:00:00Z", 200, "{\"item\":\"Condition/4\",\"duties\":[\"account\"],\"ground\":0}");
    append(ledger, "2026-05-01T10:00:00Z", 200, IN_EMERGENCY);
    append(ledger, "2026-05-02T10:00:00Z", 200, ON_CONSENT("Condition/5", "Patient/b")); /* somebody else */
    append(ledger, "2026-05-03T10:00:00Z", 200, ORDINARY);
    append(ledger, "2026-05-04T10:00:00Z", 503, ON_CONSENT("Condition/6", "Patient/a")); /* never went */
    append(ledger, "2026-11-23T10:00:00Z", 200, ON_CONSENT("Condition/7", "Patient/a")); /* later than asked */
    append(ledger, "2026-05-05T10:00:00Z", 200, ON_CONSENT("Condition/1", "Patient/ab"));
    sl_ledger_close(ledger);
    return 0;
}

static int tear_down(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

struct told {
    char text[4096];
    size_t rows, stop;
};

static bool note(void *context, const struct sl_disclosure *d)
{
    struct told *told = context;
    size_t len = strlen(told->text);
    snprintf(told->text + len, sizeof told->text - len, "%llu %.*s %.*s: %.*s [%.*s]%s\n",
        (unsigned long long)d->sequence, SL_FMT(d->organization_name), SL_FMT(d->purpose), SL_FMT(d->description),
        SL_FMT(d->basis), d->emergency ? " !" : "");
    return ++told->rows != told->stop;
}

static struct sl_accounted ask(struct told *told, const char *patient, unsigned years, bool intermediary)
{
    const struct sl_slice patients[] = {sl_slice_of(patient), SL_LIT("Patient/old")};
    const struct sl_accounting_options options = {
        patients, intermediary ? 1 : 2, sl_years_before(NOW, years), NOW, intermediary};
    struct sl_accounted result;
    assert_int_equal(sl_accounting(folder, &options, NULL, note, told, &result), SL_OK);
    assert_int_equal(result.rows, told->rows);
    return result;
}

static void five_of_which_one_is_too_old(void **state)
{
    struct told told = {.rows = 0};
    (void)state;
    struct sl_accounted result = ask(&told, OFFICE, 3, false);
    assert_string_equal(told.text, "2 North Clinic treatment: 1 Condition, 1 Observation [Consent/c]\n"
                                   "3 North Clinic treatment: 1 Condition [Consent/c]\n"
                                   "4 North Clinic treatment: 1 Condition []\n"
                                   "5 North Clinic treatment: 1 Condition [declared emergency] !\n");
    assert_int_equal(result.rows, 4);
    assert_int_equal(result.records, 11);
    assert_false(result.pruned);
}

static void six_years(void **state)
{
    struct told told = {.rows = 0};
    (void)state;
    assert_int_equal(ask(&told, OFFICE, 6, false).rows, 6);
}

static void an_intermediary_lists_consents_alone(void **state)
{
    struct told told = {.rows = 0};
    (void)state;
    ask(&told, OFFICE, 3, true);
    assert_string_equal(told.text, "2 North Clinic treatment: 1 Condition, 1 Observation [Consent/c]\n"
                                   "3 North Clinic treatment: 1 Condition [Consent/c]\n");
}

static void nobody_else_is_listed(void **state)
{
    struct told told = {.rows = 0};
    (void)state;
    assert_int_equal(ask(&told, "Patient/", 6, true).rows, 0);
}

static void it_stops_where_it_is_told(void **state)
{
    struct told told = {.stop = 1};
    (void)state;
    assert_int_equal(ask(&told, OFFICE, 3, false).rows, 1);
}

static void no_ledger_is_no_empty_list(void **state)
{
    struct told told = {.rows = 0};
    struct sl_accounted result;
    const struct sl_slice patient = SL_LIT(OFFICE);
    const struct sl_accounting_options options = {&patient, 1, 0, NOW, false};
    (void)state;
    assert_int_not_equal(sl_accounting("/nowhere/at/all", &options, NULL, note, &told, &result), SL_OK);
}

static void years_are_of_the_calendar(void **state)
{
    (void)state;
    assert_int_equal(sl_years_before(NOW + 86399, 3), 1700611200); /* 2023-11-22 */
    assert_int_equal(sl_years_before(1835438400, 3), 1740700800);  /* 2028-02-29: 2025-02-28 */
    assert_int_equal(sl_years_before(NOW, 6), 1606003200);         /* 2020-11-22 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(five_of_which_one_is_too_old),
        cmocka_unit_test(six_years),
        cmocka_unit_test(an_intermediary_lists_consents_alone),
        cmocka_unit_test(nobody_else_is_listed),
        cmocka_unit_test(it_stops_where_it_is_told),
        cmocka_unit_test(no_ledger_is_no_empty_list),
        cmocka_unit_test(years_are_of_the_calendar),
    };
    return cmocka_run_group_tests_name("accounting", tests, set_up, tear_down);
}
