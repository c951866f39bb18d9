/* SPDX-License-Identifier: Apache-2.0 */
/* `sluice label`: one line of JSON an item, with the names of the shipped policy, and no content. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "sluice/book.h"
#include "sluice/buffer.h"
#include "sluice/label.h"

static struct sl_policy *load_policy(struct sl_arena *arena)
{
    struct sl_issues issues = {.arena = arena};
    struct sl_policy *policy = NULL;
    enum sl_status status = sl_policy_load(SLUICE_SOURCE "/consent/policies", &issues, &policy);
    for (const struct sl_issue *i = issues.first; status != SL_OK && i; i = i->next)
        print_error("%.*s:%zu: %.*s\n", SL_FMT(i->file), i->line, SL_FMT(i->text));
    assert_int_equal(status, SL_OK);
    return policy;
}

#define ICD(code) \
    "{\"coding\":[{\"system\":\"http://hl7.org/fhir/sid/icd-10-cm\",\"code\":\"" code "\"," \
    "\"display\":\"SECRET WORDS\"}]}"

static void lines(void **state)
{
    (void)state;
    static const char json[] =
        "{\"resourceType\":\"Encounter\",\"id\":\"e\",\"serviceProvider\":{\"reference\":\"Organization/detox\","
            "\"display\":\"SECRET WORDS\"},"
        "\"reasonCode\":[" ICD("F11.20") "],\"contained\":[{\"resourceType\":\"Condition\",\"id\":\"c\",\"code\":"
            ICD("B20") "}],"
        "\"text\":{\"status\":\"generated\",\"div\":\"<div>SECRET WORDS</div>\"}}";
    struct sl_arena *arena = sl_arena_new((size_t)256 << 20);
    struct sl_policy *policy = load_policy(arena);
    struct sl_programs *programs = sl_programs_new(true);
    assert_int_equal(sl_programs_add(programs, SL_LIT("detox"), SL_SOURCE_PROGRAM), SL_OK);
    struct sl_labeller *labeller = sl_labeller_new(arena, policy, programs);
    struct sl_doc doc;
    struct sl_item *item;
    struct sl_slice *missing;
    size_t count;
    assert_int_equal(sl_doc_parse(arena, sl_slice_of(json), NULL, &doc, NULL), SL_OK);
    assert_int_equal(sl_labeller_add(labeller, &doc, 0, SL_LIT("urn:uuid:\"quoted\""), false, &item), SL_OK);
    assert_int_equal(sl_labeller_resolve(labeller, &missing, &count), SL_OK);
    struct sl_buffer out;
    sl_buffer_init(&out, 1 << 20);
    sl_label_print(item, policy, &out);
    sl_label_print(item->next, policy, &out);
    assert_false(sl_buffer_failed(&out));
    static const char *const expected[] = {"{\"resource\":\"Encounter/e\",\"fullUrl\":\"urn:uuid:\\\"quoted\\\"\",",
        "\"part2\"",
        "\"source\":\"program\",\"program\":\"Organization/detox\"", "\"why\":\"origin\",\"at\":\"Encounter\"",
        "\"path\":\"Encounter.reasonCode[0]\"",
        "\"at\":\"Encounter.reasonCode[0].coding[0]\",\"detail\":\"SUD_OPIOID\"",
        "\"path\":\"Encounter.text\"", "{\"resource\":\"Condition/c\",\"in\":\"Encounter/e\","};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        if (!memmem(out.ptr, out.len, expected[i], strlen(expected[i])))
            fail_msg("%s not in %.*s", expected[i], (int)out.len, out.ptr);
    assert_null(memmem(out.ptr, out.len, "SECRET", 6));
    struct sl_slice rest = sl_buffer_slice(&out);
    for (unsigned line = 0; line < 2; line++) { /* each line is JSON */
        const char *end = memchr(rest.ptr, '\n', rest.len);
        assert_non_null(end);
        struct sl_slice one = {rest.ptr, (size_t)(end - rest.ptr)};
        assert_int_equal(sl_doc_parse(arena, one, NULL, &doc, NULL), SL_OK);
        rest = sl_slice_from(rest, one.len + 1);
    }
    assert_int_equal(rest.len, 0);
    sl_buffer_fini(&out);
    sl_programs_unref(programs);
    sl_policy_unref(policy);
    sl_arena_free(arena);
}

static void generation_is_of_policy_and_programs(void **state)
{
    (void)state;
    struct sl_arena *arena = sl_arena_new((size_t)64 << 20);
    struct sl_policy *policy = load_policy(arena);
    struct sl_programs *programs = sl_programs_new(true);
    struct sl_label_generation one, two;
    assert_int_equal(sl_label_generation(policy, programs, &one), SL_OK);
    assert_int_equal(sl_label_generation(policy, programs, &two), SL_OK);
    assert_memory_equal(&one, &two, sizeof one);
    assert_int_equal(sl_programs_add(programs, SL_LIT("x"), SL_SOURCE_PROGRAM), SL_OK);
    assert_int_equal(sl_label_generation(policy, programs, &two), SL_OK);
    assert_memory_not_equal(&one, &two, sizeof one);
    sl_programs_unref(programs);
    sl_policy_unref(policy);
    sl_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(lines), cmocka_unit_test(generation_is_of_policy_and_programs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
