/* SPDX-License-Identifier: Apache-2.0 */
/* What later versions hand down to earlier ones, and how a correction ends it. */
#include "sluice/past.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_corrections(void **state)
{
    static const struct {
        const char *json;
        bool is;
    } cases[] = {
        {"{\"status\":\"entered-in-error\"}", true},
        {"{\"docStatus\":\"entered-in-error\",\"status\":\"current\"}", true},
        {"{\"lifecycleStatus\":\"entered-in-error\"}", true},
        {"{\"verificationStatus\":{\"coding\":[{\"code\":\"confirmed\"},{\"code\":\"entered-in-error\"}]}}", true},
        {"{\"status\":\"entered\\u002din-error\"}", true},
        {"{\"status\":\"final\"}", false},
        {"{\"status\":[\"entered-in-error\"]}", false},
        {"{\"verificationStatus\":{\"coding\":[{\"display\":\"entered-in-error\"}]}}", false},
        {"{\"verificationStatus\":{\"coding\":\"entered-in-error\"}}", false},
        {"{\"code\":{\"coding\":[{\"code\":\"entered-in-error\"}]}}", false},
        {"{\"note\":[{\"status\":\"entered-in-error\"}]}", false},
        {"{}", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sl_arena *arena = sl_arena_new(1u << 20);
        struct sl_doc doc;
        assert_int_equal(sl_doc_parse(arena, sl_slice_of(cases[i].json), NULL, &doc, NULL), SL_OK);
        if (sl_past_is_correction(&doc, 0) != cases[i].is)
            fail_msg("%s", cases[i].json);
        sl_arena_free(arena);
    }
}

/* A record's versions, the newest first: "a" has class a, "!" was entered in error, "P" is a program's. */
static void test_what_is_handed_down(void **state)
{
    static const struct {
        const char *versions[5], *expected[5];
    } cases[] = {
        {{"a", "b", "c"}, {"a", "ab", "abc"}},
        {{"a", "a"}, {"a", "a"}},
        {{"b", "!a", "c"}, {"b", "!ab", "bc"}}, /* later ones hand down, to the mistake too */
        {{"!a", "b", "c"}, {"!a", "b", "c"}},   /* nothing before a correction hands anything down */
        {{"d", "!a", "c", "!b", "e"}, {"d", "!ad", "cd", "!bd", "de"}}, /* the newest one ends it for all before */
        {{"aP", "b"}, {"aP", "abP"}},
        {{"!aP", "b"}, {"!aP", "b"}},
        {{"a", "bP"}, {"a", "abP"}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sl_arena *arena = sl_arena_new(1u << 20);
        struct sl_past past = {0};
        for (size_t v = 0; v < 5 && cases[i].versions[v]; v++) {
            const char *word = cases[i].versions[v], *expected = cases[i].expected[v];
            bool wrong = word[0] == '!', program = strchr(word, 'P');
            struct sl_doc doc;
            struct sl_slice json =
                wrong ? SL_LIT("{\"status\":\"entered-in-error\"}") : SL_LIT("{\"status\":\"final\"}");
            assert_int_equal(sl_doc_parse(arena, json, NULL, &doc, NULL), SL_OK);
            struct sl_item item = {.doc = &doc, .source = program ? SL_SOURCE_PROGRAM : SL_SOURCE_NOT};
            if (program)
                item.program = item.custodian = SL_LIT("Organization/p");
            for (const char *c = word; *c; c++)
                if (*c >= 'a' && *c <= 'z')
                    sl_classes_add(&item.classes, (unsigned)(*c - 'a'));
            assert_int_equal(sl_past_hand_down(&past, &item, arena), SL_OK);
            for (unsigned bit = 0; bit < 26; bit++)
                if (sl_classes_has(&item.classes, bit) != (strchr(expected, (int)('a' + bit)) != NULL))
                    fail_msg("%s, version %zu, class %c", cases[i].versions[0], v, (char)('a' + bit));
            assert_int_equal(item.source == SL_SOURCE_PROGRAM, strchr(expected, 'P') != NULL);
            assert_int_equal(item.program.len > 0, strchr(expected, 'P') != NULL);
        }
        sl_arena_free(arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_corrections), cmocka_unit_test(test_what_is_handed_down)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
