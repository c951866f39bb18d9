/* SPDX-License-Identifier: Apache-2.0 */
/* Is what a row tells by itself recalled as it was found, and only for that row, under what it was found under? */
#include <limits.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "earning_fixture.h"
#include "lexicon_fixture.h"
#include "same_item.h"

/* What malloc gives is all zeros here, which must not be taken for something that was found good: with AddressSanitizer
 * by this, else by M_PERTURB, of which it is the complement. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "malloc_fill_byte=0";
}

static struct earning_fixture fixture;
static struct sl_arena *lasting;
static struct sl_programs *programs;

static int set_up(void **state)
{
    (void)state;
    lasting = sl_arena_new((size_t)64 << 20);
    programs = sl_programs_new(true);
    if (!lasting || !programs || !earning_setup(&fixture))
        return 1;
    for (unsigned i = 0; i < SL_MENTIONS; i++)
        sl_classes_add(&fixture.earning.by_mention[i], WORDS);
    fixture.earning.words = lexicon_load(lasting);
    return fixture.earning.words ? 0 : 1;
}

static int tear_down(void **state)
{
    (void)state;
    sl_programs_unref(programs);
    sl_arena_free(lasting);
    return 0;
}

#define FILLING                                                                                                        \
    "\"language\":\"                                                                                      \","         \
    "\"implicit\":\"                                                                                                 " \
    "   \","                                                                                                           \
    "\"x\":\"                                                                                                        " \
    "    \","

#define LABEL(system, code) "{\"system\":\"http://terminology.hl7.org/CodeSystem/" system "\",\"code\":\"" code "\"}"
#define INLINE                                                                                                         \
    "{\"url\":\"http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label\","          \
    "\"valueCoding\":" LABEL("v3-ActCode", "PSY") "}"

/* With something of each kind that the walk notes; the texts that are found by reference are escaped in some. */
static const char *const resources[] = {
    "{\"resourceType\":\"Observation\",\"id\":\"o\"," FILLING
    "\"meta\":{\"versionId\":\"7\",\"source\":\"urn:\\u0061\",\"security\":[" LABEL(
        "v3-Confidentiality", "R") "," LABEL("v3-ActCode", "ETH") "," LABEL("v3-ObservationValue",
        "AIAST") "]},"
                 "\"subject\":{\"reference\":\"Patient/p\"},\"performer\":[{\"reference\":\"Organiz\\u0061tion/"
                 "q\",\"display\":\"x\"}],"
                 "\"note\":[{\"text\":\"cocaine and "
                 "heroin\"}],\"effectiveDateTime\":\"2026-01-01\",\"extension\":[" INLINE "],"
                 "\"code\":{\"coding\":[{\"system\":\"http://"
                 "loinc.org\",\"code\":\"44250-9\"}],\"text\":\"depression\"}}",
    "{\"resourceType\":\"Patient\",\"id\":\"p\"," FILLING
    "\"name\":[{\"family\":\"Roe\",\"_family\":{\"extension\":[" INLINE "]}}],"
    "\"link\":[{\"other\":{\"reference\":\"Patient/q\"}}]}",
    "{\"resourceType\":\"Contract\",\"id\":\"c\"," FILLING
    "\"signer\":[{\"signature\":[{\"who\":{\"reference\":\"Practitioner/x\"}}]}],"
    "\"subject\":[{\"identifier\":{\"value\":\"1\"}}],\"text\":{\"div\":\"<div>suicide</div>\"}}",
    "{\"resourceType\":\"Encounter\"," FILLING
    "\"id\":\"e!\",\"period\":{\"start\":\"2026\",\"end\":\"2027\"},\"subject\":\"Patient/p\"}",
    "{\"resourceType\":\"QuestionnaireResponse\",\"id\":\"f\"," FILLING
    "\"questionnaire\":\"http://loinc.org/q/44249-1\","
    "\"item\":[{\"linkId\":\"/44250-9\",\"text\":\"Do you drink?\",\"answer\":[{\"valueString\":\"alcohol\"}]},"
    "{\"linkId\":\"/44255-8\",\"answer\":[{\"valueInteger\":2}]}],\"author\":{\"reference\":\"Practitioner/d\"}}",
    "{\"resourceType\":\"Coverage\",\"id\":\"v\"," FILLING
    "\"type\":{\"coding\":[{\"system\":\"http://terminology.hl7.org/CodeSystem/"
    "coverage-selfpay\",\"code\":\"pay\"}]},\"beneficiary\":{\"reference\":\"http://other.example/Patient/p\"}}",
    "{\"resourceType\":\"Unheard\",\"id\":\"u\"," FILLING "\"a\":1}",
    "{\"resourceType\":\"Bundle\",\"id\":\"b\"," FILLING "\"type\":\"document\"}",
    "{\"resourceType\":\"Provenance\",\"id\":\"n\"," FILLING "\"target\":[{\"reference\":\"Observation/o\"}]}",
    "{\"resourceType\":\"Condition\",\"id\":\"d\"," FILLING
    "\"contained\":[{\"resourceType\":\"Patient\",\"id\":\"a\"}]}",
    "{\"resourceType\":\"Binary\",\"id\":\"y\"," FILLING "\"contentType\":\"text/plain\",\"data\":\"aGVyb2lu\"}",
};
#define RECALLED 6u /* of these; the others look further than their own bytes, or are nothing to be labelled */

struct read {
    struct sl_doc page;
    const struct sl_kept_row *rows;
    struct sl_labeller *labeller;
    struct sl_item *item;
};

static struct read read_one(struct sl_arena *arena, const char *resource, struct sl_kept *kept, uint64_t under,
    const struct sl_registered *said)
{
    struct read r = {.rows = NULL};
    size_t count;
    struct sl_slice text = sl_arena_printf(arena, "{\"entry\":[{\"resource\":%s}]}", resource);
    assert_int_equal(sl_kept_parse(kept, arena, text, NULL, &r.page, &r.rows, &count), SL_OK);
    sl_kept_note(kept, &r.page, 2);
    r.labeller = sl_labeller_new_earning(arena, &fixture.earning, programs);
    assert_non_null(r.labeller);
    sl_labeller_registered(r.labeller, said);
    sl_labeller_kept(r.labeller, under ? kept : NULL, under);
    assert_int_equal(sl_labeller_add_row(r.labeller, &r.page, 3, r.rows, true, &r.item), SL_OK);
    return r;
}

/* Three times, so that it is kept and learned; what it was read from is gone afterwards. */
static void learn(const char *resource, struct sl_kept *kept, uint64_t under)
{
    for (unsigned i = 0; i < 3; i++) {
        struct sl_arena *arena = sl_arena_new((size_t)16 << 20);
        read_one(arena, resource, kept, under, NULL);
        sl_arena_free(arena);
    }
}

static void as_it_was_found(void **state)
{
    struct sl_kept *kept = sl_kept_new((size_t)1 << 20, 7);
    (void)state;
    for (unsigned i = 0; i < sizeof resources / sizeof *resources; i++) {
        struct sl_arena *arena = sl_arena_new((size_t)16 << 20);
        learn(resources[i], kept, 1);
        struct read recalled = read_one(arena, resources[i], kept, 1, NULL);
        struct read walked = read_one(arena, resources[i], kept, 0, NULL);
        bool known;
        const void *item = sl_kept_learned(kept, recalled.rows, SL_KEPT_ITEM, 1, &known);
        assert_true(known);
        assert_int_equal(item != NULL, i < RECALLED);
        if (!same_item(recalled.item, walked.item))
            fail_msg("resource %u", i);
        assert_true(sl_labeller_items(recalled.labeller) == recalled.item);
        if (walked.item->id.len && walked.item->type)
            assert_true(
                sl_labeller_find_record(recalled.labeller, walked.item->type, walked.item->id) == recalled.item);
        sl_arena_free(arena);
    }
    sl_kept_free(kept);
}

/* The resource of the entry that begins there. */
static uint32_t resource_at(const struct sl_doc *page, uint32_t at)
{
    uint32_t i = 0;
    while (i < page->count && page->spans[i].begin != at)
        i++;
    assert_true(i < page->count);
    return sl_span_member(page, i, SL_NAME_resource);
}

/* A resource with another below it in the same labeller, whose spans and text stand elsewhere. */
static void wherever_it_stands(void **state)
{
    struct sl_kept *kept = sl_kept_new((size_t)1 << 20, 7);
    struct sl_arena *arena = sl_arena_new((size_t)16 << 20);
    struct sl_doc page;
    const struct sl_kept_row *rows;
    struct sl_item *items[2][RECALLED];
    struct sl_slice text = SL_LIT("");
    size_t count;
    (void)state;
    for (unsigned i = 0; i < RECALLED; i++) {
        learn(resources[i], kept, 1);
        text = sl_arena_printf(arena, "%.*s%s{\"resource\":%s}", SL_FMT(text), i ? "," : "{\"entry\":[", resources[i]);
    }
    text = sl_arena_printf(arena, "%.*s]}", SL_FMT(text));
    assert_int_equal(sl_kept_parse(kept, arena, text, NULL, &page, &rows, &count), SL_OK);
    assert_int_equal(count, RECALLED);
    for (unsigned n = 0; n < 2; n++) {
        struct sl_labeller *labeller = sl_labeller_new_earning(arena, &fixture.earning, programs);
        sl_labeller_kept(labeller, n ? kept : NULL, 1);
        for (unsigned i = 0; i < RECALLED; i++)
            assert_int_equal(
                sl_labeller_add_row(labeller, &page, resource_at(&page, rows[i].at), &rows[i], false, &items[n][i]),
                SL_OK);
        struct sl_slice *missing;
        size_t lacking;
        assert_int_equal(sl_labeller_resolve(labeller, &missing, &lacking), SL_OK);
        for (size_t i = 0; i < lacking; i++)
            assert_int_equal(sl_labeller_absent(labeller, missing[i], true), SL_OK);
        assert_int_equal(sl_labeller_resolve(labeller, &missing, &lacking), SL_OK);
    }
    for (unsigned i = 0; i < RECALLED; i++) {
        assert_true(memcmp(&items[0][i]->classes, &items[1][i]->classes, sizeof items[0][i]->classes) == 0);
        assert_int_equal(items[0][i]->part_count, items[1][i]->part_count);
        for (uint32_t p = 0; p < items[0][i]->part_count; p++)
            assert_int_equal(items[0][i]->parts[p].span, items[1][i]->parts[p].span);
        assert_true(same_reasons(items[0][i]->reasons, items[1][i]->reasons));
    }
    sl_arena_free(arena);
    sl_kept_free(kept);
}

static void under_its_number_alone(void **state)
{
    struct sl_kept *kept = sl_kept_new((size_t)1 << 20, 7);
    struct sl_arena *arena = sl_arena_new((size_t)16 << 20);
    bool known;
    (void)state;
    learn(resources[0], kept, 1);
    struct read r = read_one(arena, resources[0], kept, 1, NULL);
    assert_non_null(sl_kept_learned(kept, r.rows, SL_KEPT_ITEM, 1, &known));
    assert_null(sl_kept_learned(kept, r.rows, SL_KEPT_ITEM, 2, &known));
    assert_false(known);
    read_one(arena, resources[0], kept, 2, NULL);
    assert_non_null(sl_kept_learned(kept, r.rows, SL_KEPT_ITEM, 2, &known));
    assert_null(sl_kept_learned(kept, r.rows, SL_KEPT_ITEM, 1, &known));
    sl_arena_free(arena);
    sl_kept_free(kept);
}

/* An address that nobody has told sl_label_keep of. */
static void nothing_that_leads_out(void **state)
{
    struct sl_kept *kept = sl_kept_new((size_t)1 << 20, 7);
    struct sl_arena *arena = sl_arena_new((size_t)16 << 20);
    bool known;
    (void)state;
    learn(resources[0], kept, 1);
    struct read r = read_one(arena, resources[0], kept, 2, NULL);
    assert_non_null(sl_kept_learned(kept, r.rows, SL_KEPT_ITEM, 2, &known));
    r.item->doc = &r.page; /* it was another function's */
    const struct sl_slice strays[] = {sl_arena_copy(arena, SL_LIT("x")), sl_span_text(&r.page, r.item->span)};
    for (unsigned i = 0; i < sizeof strays / sizeof *strays; i++) {
        r.item->custodian = strays[i];
        sl_label_keep(r.labeller, r.rows, (const struct labelled *)r.item);
        assert_null(sl_kept_learned(kept, r.rows, SL_KEPT_ITEM, 2, &known));
        assert_true(known);
        r.item->custodian = (struct sl_slice){NULL, 0};
        sl_label_keep(r.labeller, r.rows, (const struct labelled *)r.item);
        assert_non_null(sl_kept_learned(kept, r.rows, SL_KEPT_ITEM, 2, &known));
    }
    sl_arena_free(arena);
    sl_kept_free(kept);
}

/* Memory runs out at every place in turn: what is given then has failed, or is what the walk finds. */
static void where_memory_runs_out(void **state)
{
    struct sl_kept *kept = sl_kept_new((size_t)1 << 20, 7);
    (void)state;
    learn(resources[0], kept, 1);
    for (size_t ceiling = 4096; ceiling < 65536; ceiling += 1024) {
        struct sl_arena *arena = sl_arena_new(ceiling);
        struct sl_slice text = sl_arena_printf(arena, "{\"entry\":[{\"resource\":%s}]}", resources[0]);
        struct sl_doc page;
        const struct sl_kept_row *rows;
        size_t count;
        struct sl_item *item;
        struct sl_labeller *labeller = text.ptr ? sl_labeller_new_earning(arena, &fixture.earning, programs) : NULL;
        if (labeller && sl_kept_parse(kept, arena, text, NULL, &page, &rows, &count) == SL_OK && count) {
            sl_labeller_kept(labeller, kept, 1);
            enum sl_status status = sl_labeller_add_row(labeller, &page, 3, rows, false, &item);
            assert_true(status == SL_OK ? item->reference_count == 2 : status == SL_NO_MEMORY);
        }
        sl_arena_free(arena);
    }
    sl_kept_free(kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_it_was_found),
        cmocka_unit_test(wherever_it_stands),
        cmocka_unit_test(under_its_number_alone),
        cmocka_unit_test(nothing_that_leads_out),
        cmocka_unit_test(where_memory_runs_out),
    };
    mallopt(M_PERTURB, UCHAR_MAX);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
