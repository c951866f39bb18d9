/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resources held against R4's table: what is in order is found in order (every example beside the project, too), and
 * each kind of mistake is found where it stands. JSON is written with ' for ". EXAMPLES names another folder of
 * examples, and SHOW prints what is found in them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "sluice/path.h"
#include "sluice/validate.h"

static struct sl_slice quoted(struct sl_arena *arena, const char *text)
{
    struct sl_slice copy = sl_arena_copy(arena, sl_slice_of(text));
    char *bytes = (char *)(uintptr_t)copy.ptr;
    for (size_t i = 0; i < copy.len; i++)
        if (bytes[i] == '\'')
            bytes[i] = '"';
    return copy;
}

/* ---- Primitives ---- */

static const struct {
    sl_r4_node node;
    const char *good[10], *bad[14];
} primitives[] = {
    {SL_R4_date, {"2024", "2024-02", "2024-02-29", "1900-12-31"},
        {"", "24", "2024-13", "2024-00", "2023-02-29", "1900-02-29", "2024-2-1", "2024-04-31", "2024-", "0000",
            "2024-02-29T10:00:00Z", "20240229"}},
    {SL_R4_dateTime, {"2024", "2024-02", "2024-02-29", "2024-02-29T23:59:60Z", "2024-02-29T00:00:00.001-05:00"},
        {"2024-02T10:00:00Z", "2024-02-29T10:00Z", "2024-02-29T10:00:00", "2024-02-29T24:00:00Z",
            "2024-02-29T10:00:00.Z", "2024-02-29T10:00:00+15:00", "2024-02-29 10:00:00Z"}},
    {SL_R4_instant, {"2024-02-29T10:00:00Z", "2024-02-29T10:00:00.123456+14:00"}, {"2024-02-29", "2024", ""}},
    {SL_R4_time, {"00:00:00", "23:59:59.5"}, {"24:00:00", "10:00", "10:00:00Z", "1:00:00"}},
    {SL_R4_id, {"a", "A-1.b", "0123456789012345678901234567890123456789012345678901234567890123"},
        {"", "a/b", "a b", "a_b", "01234567890123456789012345678901234567890123456789012345678901234"}},
    {SL_R4_code, {"a", "a b", "x-y/z"}, {"", " a", "a ", "a  b", "a\t\tb"}},
    {SL_R4_uri, {"urn:x", "#a", "http://a/b|1"}, {"", "a b", "a\n"}},
    {SL_R4_oid, {"urn:oid:1.2.3", "urn:oid:2.16.840.0"},
        {"urn:oid:3.1", "urn:oid:1", "urn:oid:1.", "urn:oid:1.02", "1.2.3"}},
    {SL_R4_uuid, {"urn:uuid:c757873d-ec9a-4326-a141-556f43239520"},
        {"urn:uuid:c757873d-ec9a-4326-a141-556f4323952", "urn:uuid:c757873dxec9a-4326-a141-556f43239520", "c757873d"}},
    {SL_R4_base64Binary, {"AAAA", "AAA=", "AA==", "AAAA\r\nAAAA"}, {"", "AAA", "A===", "AA=A", "AA*A"}},
    {SL_R4_boolean, {"true", "false"}, {"True", "1", ""}},
    {SL_R4_integer, {"0", "-1", "2147483647", "-2147483648"},
        {"01", "1.0", "2147483648", "-2147483649", "99999999999", "", "-", "1e2"}},
    {SL_R4_unsignedInt, {"0", "12"}, {"-1"}}, {SL_R4_positiveInt, {"1"}, {"0", "-1"}},
    {SL_R4_decimal, {"0", "-0.10", "1.0e3", "1E-2"}, {"01", ".5", "1.", "1e", "e1", "+1"}},
    {SL_R4_string, {"x", " x ", "a\tb\n"}, {"", " ", "\n"}},
    {SL_R4_xhtml, {"<div xmlns=\"http://www.w3.org/1999/xhtml\">a</div>"}, {"a", ""}},
    {SL_R4_Period, {NULL}, {"2024"}}, /* no primitive at all */
};

static void test_primitives(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof primitives / sizeof *primitives; i++) {
        for (size_t k = 0; k < 10 && primitives[i].good[k]; k++)
            if (!sl_primitive_valid(primitives[i].node, sl_slice_of(primitives[i].good[k])))
                fail_msg("refused: %s", primitives[i].good[k]);
        for (size_t k = 0; k < 14 && primitives[i].bad[k]; k++)
            if (sl_primitive_valid(primitives[i].node, sl_slice_of(primitives[i].bad[k])))
                fail_msg("taken: %s", primitives[i].bad[k]);
    }
}

/* ---- Resources ---- */

/* what: "code path" of each finding, with a line feed between. */
static const struct {
    const char *json, *what;
} resources[] = {
    {"{'resourceType':'Patient'}", ""},
    {"{'resourceType':'Patient','birthDate':'1970-01-01','active':true,'name':[{'given':['A',null],'_given':[null,{'id'"
     ":"
     "'x'}]}],'multipleBirthInteger':2}",
        ""},
    {"{'resourceType':'Nothing'}", "structure Nothing"},
    {"{'id':'x'}", "structure "},
    {"{'resourceType':'Patient','colour':'red'}", "structure Patient.colour"},
    {"{'resourceType':'Patient','_name':{'id':'x'}}", "structure Patient._name"},
    {"{'resourceType':'Patient','name':{'family':'A'}}", "structure Patient.name"},
    {"{'resourceType':'Patient','name':[]}", "structure Patient.name"},
    {"{'resourceType':'Patient','name':[{}]}", "structure Patient.name[0]"},
    {"{'resourceType':'Patient','name':['A']}", "structure Patient.name[0]"},
    {"{'resourceType':'Patient','gender':['male']}", "structure Patient.gender"},
    {"{'resourceType':'Patient','active':'true'}", "structure Patient.active"},
    {"{'resourceType':'Patient','birthDate':'1.1.1970'}", "value Patient.birthDate"},
    {"{'resourceType':'Patient','birthDate':'\\u0031970'}", ""},
    {"{'resourceType':'Patient','birthDate':null}", "structure Patient.birthDate"},
    {"{'resourceType':'Patient','_birthDate':{'extension':[{'url':'http://x'}]}}",
        "invariant Patient._birthDate.extension[0]"},
    {"{'resourceType':'Patient','extension':[{'valueString':'x'}]}", "required Patient.extension[0] url"},
    {"{'resourceType':'Patient','deceasedBoolean':true,'deceasedDateTime':'2024'}", "structure Patient"},
    {"{'resourceType':'Observation','status':'final'}", "required Observation code"},
    {"{'resourceType':'Observation','_status':{'id':'a'},'code':{'text':'x'}}", ""},
    {"{'resourceType':'MedicationRequest','status':'active','intent':'order','subject':{'reference':'Patient/a'}}",
        "required MedicationRequest medicationCodeableConcept"},
    {"{'resourceType':'Observation','status':'final','code':{'text':'x'},'valueQuantity':{'value':'1'}}",
        "structure Observation.valueQuantity.value"},
    {"{'resourceType':'Patient','contained':[{'resourceType':'Organization','active':1}]}",
        "structure Patient.contained[0].active"},
    {"{'resourceType':'Bundle','type':'batch','entry':[{'resource':{'resourceType':'Patient','id':'a b'}}]}",
        "value Bundle.entry[0].resource.id"},
};

static struct sl_slice told(struct sl_arena *arena, const struct sl_doc *doc, const struct sl_findings *found)
{
    struct sl_slice text = SL_LIT("");
    for (size_t i = 0; i < found->count; i++) {
        struct sl_slice path = sl_span_path(doc, 0, found->one[i].span, arena);
        text = sl_arena_printf(arena, "%.*s%s%s %.*s%s%.*s", SL_FMT(text), i ? "\n" : "", found->one[i].code,
            SL_FMT(path), found->one[i].name.len ? " " : "", SL_FMT(found->one[i].name));
    }
    return text;
}

static void test_resources(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof resources / sizeof *resources; i++) {
        struct sl_arena *arena = sl_arena_new((size_t)1 << 20);
        struct sl_findings found;
        struct sl_doc doc;
        assert_int_equal(sl_doc_parse(arena, quoted(arena, resources[i].json), NULL, &doc, NULL), SL_OK);
        assert_int_equal(sl_validate(&doc, 0, arena, &found), SL_OK);
        struct sl_slice what = told(arena, &doc, &found);
        if (!sl_slice_eq(what, sl_slice_of(resources[i].what)))
            fail_msg("%s\n got: %.*s\nwant: %s", resources[i].json, SL_FMT(what), resources[i].what);
        sl_arena_free(arena);
    }
}

/* However many mistakes, a hundred are told; and depth is bounded by the reader of JSON. */
static void test_limit(void **state)
{
    (void)state;
    struct sl_arena *arena = sl_arena_new((size_t)4 << 20);
    struct sl_findings found;
    struct sl_doc doc;
    struct sl_slice text = SL_LIT("{\"resourceType\":\"Patient\"");
    for (unsigned i = 0; i < 120; i++)
        text = sl_arena_printf(arena, "%.*s,\"x%u\":1", SL_FMT(text), i);
    text = sl_arena_printf(arena, "%.*s}", SL_FMT(text));
    assert_int_equal(sl_doc_parse(arena, text, NULL, &doc, NULL), SL_OK);
    assert_int_equal(sl_validate(&doc, 0, arena, &found), SL_OK);
    assert_int_equal(found.count, SL_FINDINGS);
    assert_true(found.more);
    sl_arena_free(arena);
}

/* ---- What others made ---- */

static struct sl_slice read_file(const char *path, struct sl_arena *arena)
{
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    char *text = sl_arena_raw(arena, (size_t)size + 1, 1);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, (size_t)size, file), size);
    fclose(file);
    return (struct sl_slice){text, (size_t)size};
}

struct tally {
    size_t files, good;
};

static void judge_file(const char *path, struct tally *tally)
{
    struct sl_arena *arena = sl_arena_new((size_t)512 << 20);
    struct sl_findings found;
    struct sl_doc doc;
    struct sl_slice text = read_file(path, arena);
    uint32_t type = 0;
    if (text.len < ((size_t)4 << 20) && sl_doc_parse(arena, text, NULL, &doc, NULL) == SL_OK &&
        doc.spans[0].type == SL_SPAN_OBJECT)
        type = sl_span_member(&doc, 0, SL_NAME_resourceType);
    if (type) {
        assert_int_equal(sl_validate(&doc, 0, arena, &found), SL_OK);
        tally->files++;
        tally->good += found.count == 0;
        if (found.count && getenv("SHOW"))
            print_message("%s: %.*s\n", path, SL_FMT(told(arena, &doc, &found)));
    }
    sl_arena_free(arena);
}

static void test_examples(void **state)
{
    (void)state;
    const char *chosen = getenv("EXAMPLES");
    char folder[400];
    snprintf(folder, sizeof folder, "%s", chosen ? chosen : SLUICE_SHARED "/igs/hl7.fhir.r4.core");
    char *paths[] = {folder, NULL};
    struct tally tally = {0};
    if (access(folder, R_OK) != 0) {
        print_message("%s is not here: skipped\n", folder);
        return;
    }
    FTS *tree = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    assert_non_null(tree);
    for (FTSENT *entry = fts_read(tree); entry; entry = fts_read(tree)) {
        const char *end = strrchr(entry->fts_name, '.');
        if (entry->fts_info == FTS_F && end && strcmp(end, ".json") == 0)
            judge_file(entry->fts_path, &tally);
    }
    fts_close(tree);
    print_message("%s: %zu resources, %zu in order\n", folder, tally.files, tally.good);
    assert_true(tally.files > 0 && tally.good * 100 >= tally.files * 99);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_primitives),
        cmocka_unit_test(test_resources),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_examples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
