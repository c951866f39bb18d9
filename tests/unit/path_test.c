/* SPDX-License-Identifier: Apache-2.0 */
/* Paths of spans: every span of a document is named, and names what it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sluice/path.h"

static const char document[] =
    "{\"resourceType\":\"Claim\",\"diagnosis\":[{\"sequence\":1},{\"diagnosisCodeableConcept\":{\"coding\":[{\"code\":"
    "\"x\"}]}}],"
    "\"_status\":{\"id\":\"s\"},\"empty\":[],\"contained\":[{\"resourceType\":\"Organization\",\"name\":\"n\"}]}";

static void paths(void **state)
{
    (void)state;
    static const char *const expected[] = {"Claim", "Claim.resourceType", "Claim.diagnosis", "Claim.diagnosis[0]",
        "Claim.diagnosis[0].sequence", "Claim.diagnosis[1]", "Claim.diagnosis[1].diagnosisCodeableConcept",
        "Claim.diagnosis[1].diagnosisCodeableConcept.coding", "Claim.diagnosis[1].diagnosisCodeableConcept.coding[0]",
        "Claim.diagnosis[1].diagnosisCodeableConcept.coding[0].code", "Claim._status", "Claim._status.id",
        "Claim.empty", "Claim.contained", "Claim.contained[0]", "Claim.contained[0].resourceType",
        "Claim.contained[0].name"};
    struct sl_arena *arena = sl_arena_new(1 << 20);
    struct sl_doc doc;
    assert_int_equal(sl_doc_parse(arena, sl_slice_of(document), NULL, &doc, NULL), SL_OK);
    assert_int_equal(doc.count, sizeof expected / sizeof *expected);
    for (uint32_t i = 0; i < doc.count; i++)
        assert_string_equal(sl_span_path(&doc, 0, i, arena).ptr, expected[i]);
    struct sl_path_places places = {0}; /* one after the other, forth, back and forth again */
    for (uint32_t i = 0; i < 3 * doc.count; i++) {
        uint32_t span = i < doc.count || i >= 2 * doc.count ? i % doc.count : 2 * doc.count - 1 - i;
        assert_string_equal(sl_span_path_next(&doc, 0, span, &places, arena).ptr, expected[span]);
    }
    assert_string_equal(sl_span_path(&doc, 14, 16, arena).ptr, "Organization.name");
    assert_int_equal(sl_span_path(&doc, 14, 1, arena).len, 0); /* not within */
    assert_int_equal(sl_span_path(&doc, 0, 99, arena).len, 0);
    assert_string_equal(
        sl_span_path(&doc, 2, 6, arena).ptr, "[1].diagnosisCodeableConcept"); /* no resource at the root */
    struct sl_arena *tiny = sl_arena_new(4);
    assert_null(sl_span_path(&doc, 0, 9, tiny).ptr);
    sl_arena_free(tiny);
    sl_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(paths)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
