/* SPDX-License-Identifier: Apache-2.0 */
/* Value sets: what a code is found to be, however it is written, and what a list may not say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "terminology_files.h"

#define ICD10 "http://hl7.org/fhir/sid/icd-10-cm"
#define RXNORM "http://www.nlm.nih.gov/research/umls/rxnorm"
#define SNOMED "http://snomed.info/sct"
#define HCPCS "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"

struct fixture {
    struct sl_arena *arena;
    struct sl_issues issues;
    struct shipped shipped;
    struct sl_terminology *terminology;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->arena = sl_arena_new((size_t)4 << 20);
    f->issues.arena = f->arena;
    shipped_read(&f->shipped);
    enum sl_status status = sl_terminology_load(f->shipped.files, f->shipped.count, &f->issues, &f->terminology);
    for (const struct sl_issue *i = f->issues.first; i; i = i->next)
        print_error("%.*s:%zu: %.*s\n", SL_FMT(i->file), i->line, SL_FMT(i->text));
    *state = f;
    return status == SL_OK ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    sl_terminology_free(f->terminology);
    shipped_free(&f->shipped);
    sl_arena_free(f->arena);
    free(f);
    return 0;
}

struct code_case {
    const char *system, *code;
    const char *category; /* the first hit's; NULL: no hit */
    bool weak;
};

static void check_codes(const struct sl_terminology *t, const struct code_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct sl_code_hit hits[SL_CODE_HITS];
        size_t found =
            sl_terminology_find(t, sl_slice_of(cases[i].system), sl_slice_of(cases[i].code), hits, SL_CODE_HITS);
        const char *category = found ? sl_terminology_category(t, hits[0].category)->id.ptr : "(none)";
        if (strcmp(category, cases[i].category ? cases[i].category : "(none)") != 0)
            fail_msg("%s|%s: %s", cases[i].system, cases[i].code, category);
        if (found && hits[0].weak != cases[i].weak)
            fail_msg("%s|%s: evidence", cases[i].system, cases[i].code);
    }
}

static void codes_are_found(void **state)
{
    static const struct code_case cases[] = {
        {ICD10, "F11.20", "SUD_OPIOID", false},
        {ICD10, "F10.21", "SUD_ALCOHOL", false},
        {ICD10, "F32.9", "MH_MOOD", false},
        {ICD10, "B20", "HIV", false},
        {ICD10, "T40.1X1A", "SUD_POISONING", true},
        {ICD10, "K70.30", "SUD_COMPLICATION", true},
        {ICD10, "E11.9", NULL, false},
        {ICD10, "I10", NULL, false},
        {ICD10, "", NULL, false},
        {RXNORM, "6813", "SUD_MOUD", false},
        {RXNORM, "7243", "SUD_MOUD", false},
        {RXNORM, "1819", "SUD_MOUD", false},
        {RXNORM, "864706", "SUD_MOUD", false},
        {RXNORM, "351266", "SUD_MOUD", false},
        {RXNORM, "904870", "SUD_MOUD", true},
        {RXNORM, "82819", "SUD_MAUD", false},
        {RXNORM, "719872", "HIV_ART", false},
        {RXNORM, "314076", NULL, false},
        {SNOMED, "5602001", "SUD_OPIOID", false},
        {SNOMED, "171207006", "MH_SCREEN", true},
        {SNOMED, "706893006", "ABUSE_VIOLENCE", false},
        {SNOMED, "160903007", NULL, false},
        {SNOMED, "160968000", NULL, false},
        {"http://loinc.org", "44260-8", "SUICIDE_SELFHARM", false},
        {"http://loinc.org", "94023-9", "MH_SCREEN", false},
        {"http://loinc.org", "8462-4", NULL, false},
        {HCPCS, "H0020", "SUD_CARE", false},
        {"http://www.cms.gov/Medicare/Coding/ICD10", "HZ2ZZZZ", "SUD_CARE", false},
        {"http://www.cms.gov/Medicare/Coding/ICD10", "HZ99ZZZ", "SUD_CARE", false},
    };
    struct fixture *f = *state;
    check_codes(f->terminology, cases, sizeof cases / sizeof *cases);
}

static void spelling_does_not_matter(void **state)
{
    static const struct code_case cases[] = {
        {ICD10, "f11.20", "SUD_OPIOID", false},
        {ICD10, " F1120 ", "SUD_OPIOID", false},
        {ICD10, "F11", "SUD_OPIOID", false},
        {"urn:oid:2.16.840.1.113883.6.90", "F11.20", "SUD_OPIOID", false},
        {"2.16.840.1.113883.6.90", "F11.20", "SUD_OPIOID", false},
        {"HTTP://HL7.org/fhir/SID/icd-10-cm", "F11.20", "SUD_OPIOID", false},
        {"https://hl7.org/fhir/sid/icd-10-cm/", "F11.20", "SUD_OPIOID", false},
        {ICD10 "|2026", "F11.20", "SUD_OPIOID", false},
        {ICD10 "/2026", "F11.20", "SUD_OPIOID", false},
        {" " ICD10 " ", "F11.20", "SUD_OPIOID", false},
        {"http://snomed.info/sct/731000124108/version/20240901", "5602001", "SUD_OPIOID", false},
        {"http://snomed.info/sct", " 5602001", "SUD_OPIOID", false},
        {"https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets", "h0020", "SUD_CARE", false},
        {"https://www.cms.gov/medicare/coding-billing/healthcare-common-procedure-system", "H0020", "SUD_CARE", false},
        {"http://hl7.org/fhir/sid/icd-9-cm/diagnosis", "304.00", "SUD_HISTORIC", false},
        {"http://hl7.org/fhir/sid/icd-10-us", "F11.20", "SUD_OPIOID", false},
        {"ICD-10-CM", "F11.20", "SUD_OPIOID", false},
        {"URN:OID:2.16.840.1.113883.6.96", "75544000", "SUD_OPIOID", false},
        {"http://www.snomed.info/sct/", "75544000", "SUD_OPIOID", false},
        {"https://snomed.info/sct|http://snomed.info/sct/731000124108", "75544000", "SUD_OPIOID", false},
        {"http://snomed.info/sct | 2026-01", "75544000", "SUD_OPIOID", false},
        {"http://snomed.info/id/75544000", "75544000", "SUD_OPIOID", false},
        {"http://LOINC.org/", " 84215-3 ", "MH_NOTE", false},
        {"", "la10587-6", "SUICIDE_SELFHARM", true},
    };
    struct fixture *f = *state;
    check_codes(f->terminology, cases, sizeof cases / sizeof *cases);
}

static void codes_in_the_wrong_column(void **state)
{
    static const struct code_case cases[] = {
        {ICD10, "H0020", "SUD_CARE", false},    /* an HCPCS code in an ICD field */
        {HCPCS, "F11.20", "SUD_OPIOID", false}, /* and the other way round */
        {"http://www.ama-assn.org/go/cpt", "H0020", "SUD_CARE", false},
        {ICD10, "304.00", "SUD_HISTORIC", false},                         /* ICD-9 in a column that has moved on */
        {"http://hl7.org/fhir/sid/icd-10", "F11.2", "SUD_OPIOID", false}, /* WHO's edition */
        {ICD10, "HZ2ZZZZ", "SUD_CARE", false},
        {HCPCS, "A5051", NULL, false}, /* an ostomy pouch, not congenital syphilis (A50.51) */
        {"http://www.ama-assn.org/go/cpt", "30500", NULL, false}, /* surgery of the nose, not alcohol abuse (305.00) */
        {HCPCS, "G3002", NULL, false},                            /* pain management, not Alzheimer's disease (G30) */
        {"", "F11.20", "SUD_OPIOID", false},
        {"", "F20", "MH_PSYCHOTIC", false},
        {"", "94023-9", "MH_SCREEN", false},
        {"", "44249-2", NULL, false},
        {"", "6813", NULL, false},
        {"", "active", NULL, false},
        {"http://example.org/local", "F11.20", "SUD_OPIOID", false}, /* nobody knows the system, but the code's form */
        {"http://example.org/local", "75544000", "SUD_OPIOID", false},
        {"http://example.org/local", "75544001", NULL, false}, /* the check digit is wrong */
        {"http://example.org/local", "F1120", NULL, false},    /* could be anything: unclassified, see label_test */
        {"http://example.org/local", "I10.9", NULL, false},
        {ICD10, "75544000", "SUD_OPIOID", false}, /* SNOMED CT where ICD stands */
        {ICD10, "38341003", NULL, false},
        {"", "75544000", "SUD_OPIOID", false},
        {"http://hl7.org/fhir/sid/icd-10-gm", "F11.2", "SUD_OPIOID", false},
        {"I10", "F11.2", "SUD_OPIOID", false},
        {"urn:oid:2.16.840.1.113883.6.344", "F11.20", "SUD_OPIOID", false}, /* DSM-5 */
        {RXNORM, "F11.20", "SUD_OPIOID", false},                            /* RxNorm has digits only */
        {SNOMED, "f11.20", "SUD_OPIOID", false},
        {"http://loinc.org", "F11.20", "SUD_OPIOID", false},
        {HCPCS, "F1120", "SUD_OPIOID", false}, /* HCPCS has no letter F */
        {"http://www.ama-assn.org/go/cpt", "O99320", "SUD_CARE", false},
        {HCPCS, "T401X2A", "SUD_POISONING", true},
        {HCPCS, "99408", "SUD_CARE", false},
        {ICD10, "4320F", "SUD_CARE", false},
        {"http://www.ama-assn.org/go/cpt", "99409", "SUD_CARE", false},
        {"http://hl7.org/fhir/sid/icd-10", "B24", "HIV", false},
        {"http://hl7.org/fhir/sid/icd-10", "F112", "SUD_OPIOID", false},
        {"http://loinc.org", "1088AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "HIV_ART", false}, /* CIEL, as OpenMRS has it */
        {SNOMED, "84795AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "HIV_ART", false},
        {"https://CIELterminology.org", "84795", "HIV_ART", false},
        {"", "856AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "HIV_TEST", false},
        {SNOMED, "1271AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", NULL, false},
        {SNOMED, "84795AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB", NULL, false},
        {"http://example.org/local", "H0020", NULL, false},
    };
    struct fixture *f = *state;
    check_codes(f->terminology, cases, sizeof cases / sizeof *cases);
}

static void each_category_once(void **state)
{
    struct fixture *f = *state;
    struct sl_code_hit hits[SL_CODE_HITS];
    size_t found =
        sl_terminology_find(f->terminology, SL_LIT("http://loinc.org"), SL_LIT("16781-7"), hits, SL_CODE_HITS);
    assert_int_equal(found, 2);
    assert_int_not_equal(hits[0].category, hits[1].category);
    assert_int_equal(sl_terminology_find(f->terminology, SL_LIT("http://loinc.org"), SL_LIT("16781-7"), hits, 1), 1);
    found = sl_terminology_find(f->terminology, SL_LIT(ICD10), SL_LIT("F11.20"), hits, SL_CODE_HITS);
    assert_int_equal(found, 1); /* by its row and by its prefix */
    assert_false(hits[0].by_prefix);
    struct sl_code_row row;
    sl_terminology_row(f->terminology, hits[0].row, &row);
    assert_true(sl_slice_eq(row.file, SL_LIT("terminology/codes-icd10cm.csv")) && row.line > 1 && row.source.len);
    assert_true(sl_slice_eq(row.code, SL_LIT("F1120")));
    found = sl_terminology_find(f->terminology, SL_LIT(ICD10), SL_LIT("Q9991"), hits, SL_CODE_HITS);
    assert_int_equal(found, 2); /* what the prefix Q99 says, and what the code is to HCPCS */
    found = sl_terminology_find(f->terminology, SL_LIT(ICD10), SL_LIT("F11.9999"), hits, SL_CODE_HITS);
    assert_int_equal(found, 1); /* a code of a year to come */
    assert_true(hits[0].by_prefix);
}

static void systems_are_known(void **state)
{
    static const struct {
        const char *system, *code;
        bool system_known, code_known;
    } cases[] = {
        {"http://loinc.org", "8462-4", true, true},
        {"http://loinc.org", "8462-5", true, false},
        {"http://loinc.org", "1088AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", true, false},
        {"http://loinc.org", "LA6568-5", true, true},
        {SNOMED, "84795AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", true, false},
        {SNOMED, "38341003", true, true},
        {SNOMED, "38341004", true, false}, /* the check digit is another */
        {SNOMED, "038341003", true, false},
        {SNOMED, "850261000000100", true, true},
        {SNOMED, "99999", true, false},
        {ICD10, "F11.20", true, true},
        {ICD10, "F11.20?", true, false},
        {"http://terminology.hl7.org/CodeSystem/condition-clinical", "active", true, true},
        {"urn:oid:2.16.840.1.113883.6.238", "2106-3", true, true},
        {"urn:oid:1.2.840.114350.1.13.0.1", "7", false, false},
        {"http://unitsofmeasure.org", "mg", true, true},
        {"http://example.org/codes", "x", false, false},
        {"", "x", false, false},
        {"http://hl7.org", "x", false, false},
        {ICD10, "", true, false},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sl_slice system = sl_slice_of(cases[i].system);
        if (sl_terminology_knows_system(f->terminology, system) != cases[i].system_known ||
            sl_terminology_knows(f->terminology, sl_terminology_system(f->terminology, system),
                sl_slice_of(cases[i].code)) != cases[i].code_known)
            fail_msg("%s|%s", cases[i].system, cases[i].code);
    }
}

static void categories_are_read(void **state)
{
    struct fixture *f = *state;
    unsigned bit = sl_terminology_category_find(f->terminology, SL_LIT("SUD_OPIOID"));
    const struct sl_category *c = sl_terminology_category(f->terminology, bit);
    assert_non_null(c);
    assert_true(sl_slice_eq(c->sensitivity, SL_LIT("OPIOIDUD")));
    assert_int_equal(c->confidentiality, 'R');
    assert_int_equal(c->part2, SL_CANDIDATE_YES);
    assert_int_equal(c->also_match_count, 2);
    assert_true(sl_slice_eq(c->also_match[1], SL_LIT("SUD")));
    assert_int_equal(sl_terminology_category_find(f->terminology, SL_LIT("SUD_")), SL_CATEGORY_LIMIT);
    assert_null(sl_terminology_category(f->terminology, SL_CATEGORY_LIMIT));
    assert_int_equal(
        sl_terminology_category(f->terminology, sl_terminology_category_find(f->terminology, SL_LIT("SUD_TOX")))->part2,
        SL_CANDIDATE_IF_PROGRAM);
}

#define CATEGORIES "id,sensitivity,confidentiality,part2,also_match\nA,SUD,R,yes,ETH\n"
#define SYSTEMS "name,uri,kind,form,family,aliases\nicd,http://icd,code,icd,claims,1.2.3\n"
#define CODES "system,code,category,evidence,source\n"
#define PREFIXES "system,prefix,category,evidence,source\n"

static void mistakes_are_named(void **state)
{
    static const struct {
        const char *categories, *systems, *path, *text;
        size_t line; /* of the issue; 0: no issue */
    } cases[] = {
        {CATEGORIES, SYSTEMS, "terminology/codes-x.csv", CODES "icd,F11,A,strong,s\nhttp://icd,F12,A,weak,s\n", 0},
        {CATEGORIES, SYSTEMS, "terminology/codes-x.csv", "code,system,evidence,category,source\nF11,icd,strong,A,s\n",
            0},
        {CATEGORIES, SYSTEMS, "terminology/codes-x.csv",
            CODES "icd,F11,none,,s\r\nicd,\"F12\",A,weak,\"a \"\"b\"\"\"\r\n", 0},
        {CATEGORIES, SYSTEMS, "terminology/codes-x.csv", CODES "icd,F11,B,strong,s\n", 2},
        {CATEGORIES, SYSTEMS, "terminology/codes-x.csv", CODES "icd,F11,A,strong,s\nicd,F.11,A,weak,s\n", 3},
        {CATEGORIES, SYSTEMS, "terminology/codes-x.csv", CODES "icd,F11,A,maybe,s\n", 2},
        {CATEGORIES, SYSTEMS, "terminology/codes-x.csv", CODES "icd,F11,A,strong,\n", 2},
        {CATEGORIES, SYSTEMS, "terminology/codes-x.csv", CODES "icd,,A,strong,s\n", 2},
        {CATEGORIES, SYSTEMS, "terminology/codes-x.csv", CODES "icd,F12345678901234567890123456789012,A,strong,s\n", 2},
        {CATEGORIES, SYSTEMS, "terminology/codes-x.csv", CODES "snomed,F11,A,strong,s\n", 2},
        {CATEGORIES, SYSTEMS, "terminology/codes-x.csv", CODES "icd,F11,A,strong\n", 2},
        {CATEGORIES, SYSTEMS, "terminology/codes-x.csv", CODES "icd,F11,A,strong,s,more\n", 2},
        {CATEGORIES, SYSTEMS, "terminology/codes-x.csv", CODES "icd,\"F11,A,strong,s\n", 2},
        {CATEGORIES, SYSTEMS, "terminology/codes-x.csv", CODES "icd,F\"11\",A,strong,s\n", 2},
        {CATEGORIES, SYSTEMS, "terminology/codes-x.csv", "system,code,category,evidence,source,extra\n", 1},
        {CATEGORIES, SYSTEMS, "terminology/codes-x.csv", "system,code,category,evidence\n", 1},
        {CATEGORIES, SYSTEMS, "terminology/codes-x.csv", "system,code,code,category,evidence,source\n", 1},
        {CATEGORIES, SYSTEMS, "terminology/codes-x.csv", "", 1},
        {CATEGORIES, SYSTEMS, "terminology/prefixes.csv", PREFIXES "icd,F1,A,strong,s\nicd,F1,A,strong,s\n", 3},
        {CATEGORIES "A,SUD,R,yes,\n", SYSTEMS, "terminology/codes-x.csv", CODES, 3},
        {CATEGORIES "B,SUD,X,yes,\n", SYSTEMS, "terminology/codes-x.csv", CODES, 3},
        {CATEGORIES "B,SUD,R,perhaps,\n", SYSTEMS, "terminology/codes-x.csv", CODES, 3},
        {CATEGORIES "none,SUD,R,yes,\n", SYSTEMS, "terminology/codes-x.csv", CODES, 3},
        {CATEGORIES, SYSTEMS "icd,http://other,code,icd,,\n", "terminology/codes-x.csv", CODES, 3},
        {CATEGORIES, SYSTEMS "two,http://two,code,icd,,https://ICD/\n", "terminology/codes-x.csv", CODES, 3},
        {CATEGORIES, SYSTEMS "two,http://two,thing,icd,,\n", "terminology/codes-x.csv", CODES, 3},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sl_policy_file files[] = {{SL_LIT("terminology/categories.csv"), sl_slice_of(cases[i].categories)},
            {SL_LIT("terminology/systems.csv"), sl_slice_of(cases[i].systems)},
            {sl_slice_of(cases[i].path), sl_slice_of(cases[i].text)}};
        struct sl_issues issues = {.arena = f->arena};
        struct sl_terminology *t = NULL;
        enum sl_status status = sl_terminology_load(files, 3, &issues, &t);
        if ((status == SL_OK) != (cases[i].line == 0) || (status == SL_OK) != (t != NULL))
            fail_msg("case %zu: %s", i, sl_status_name(status));
        if (cases[i].line && (!issues.first || issues.first->line != cases[i].line || issues.first->file.len == 0))
            fail_msg("case %zu: line %zu", i, issues.first ? issues.first->line : 0);
        sl_terminology_free(t);
    }
}

/* A site's rows hold in the place of others; of a system that is listed, what is listed is known. */
static void a_site_has_the_last_word(void **state)
{
    struct fixture *f = *state;
    struct sl_policy_file files[] = {
        {SL_LIT("terminology/codes-site-a.csv"), SL_LIT(CODES "icd,F11,A,weak,site\n"
                                                              "http://mine,1,A,strong,site\n"
                                                              "http://mine,2,none,,site\n")},
        {SL_LIT("terminology/codes-zebra.csv"), SL_LIT(CODES "icd,F11,A,strong,shipped\nicd,F12,A,strong,shipped\n")},
        {SL_LIT("terminology/categories.csv"), SL_LIT(CATEGORIES)},
        {SL_LIT("terminology/systems-site-a.csv"),
            SL_LIT("name,uri,kind,form,family,aliases\nmine,http://mine,code,listed,,\n")},
        {SL_LIT("terminology/systems.csv"), SL_LIT(SYSTEMS)}};
    struct sl_issues issues = {.arena = f->arena};
    struct sl_terminology *t = NULL;
    struct sl_code_hit hits[SL_CODE_HITS];
    struct sl_code_row row;
    assert_int_equal(sl_terminology_load(files, 5, &issues, &t), SL_OK);
    assert_int_equal(sl_terminology_find(t, SL_LIT("http://icd"), SL_LIT("F11"), hits, SL_CODE_HITS), 1);
    sl_terminology_row(t, hits[0].row, &row);
    assert_true(hits[0].weak && sl_slice_eq(row.source, SL_LIT("site")));
    assert_int_equal(sl_terminology_find(t, SL_LIT("http://icd"), SL_LIT("F12"), hits, SL_CODE_HITS), 1);
    assert_false(hits[0].weak);
    sl_system mine = sl_terminology_system(t, SL_LIT("http://mine"));
    assert_true(sl_terminology_knows(t, mine, SL_LIT("2")) && sl_terminology_judged(t, mine, SL_LIT(" 2 "), &row));
    assert_int_equal(row.line, 4);
    assert_false(sl_terminology_knows(t, mine, SL_LIT("3")) || sl_terminology_judged(t, mine, SL_LIT("3"), &row));
    assert_int_equal(sl_terminology_find_in(t, mine, SL_LIT("2"), hits, SL_CODE_HITS), 0);
    sl_terminology_free(t);
}

static void files_must_be_ours(void **state)
{
    (void)state;
    struct sl_policy_file files[] = {{SL_LIT("terminology/categories.csv"), SL_LIT(CATEGORIES)},
        {SL_LIT("policies/x.csv"), SL_LIT("not ours")}, {SL_LIT("terminology/systems.csv"), SL_LIT(SYSTEMS)},
        {SL_LIT("terminology/colours.csv"), SL_LIT("a,b\n")}};
    struct sl_terminology *t = NULL;
    assert_int_equal(sl_terminology_load(files, 3, NULL, &t), SL_OK);
    sl_terminology_free(t);
    assert_int_equal(sl_terminology_load(files, 2, NULL, &t), SL_INVALID); /* no systems */
    assert_null(t);
    assert_int_equal(sl_terminology_load(files, 4, NULL, &t), SL_INVALID); /* a file of no known kind */
    assert_null(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_are_found),
        cmocka_unit_test(spelling_does_not_matter),
        cmocka_unit_test(codes_in_the_wrong_column),
        cmocka_unit_test(each_category_once),
        cmocka_unit_test(systems_are_known),
        cmocka_unit_test(categories_are_read),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(a_site_has_the_last_word),
        cmocka_unit_test(files_must_be_ours),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
