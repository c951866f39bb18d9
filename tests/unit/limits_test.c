/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits and changes: what goes of a record under rules that limit, change, or narrow; alone, as alternatives, and
 * across classes. One small policy, given as files, so that each test says its own rules.
 */
#include "segmented.h"

#include "change.h"
#include "sluice/search.h"

#define HEAD "title: T\nversion: 1\nnotice: {version: 1, statement: S, short: s}\nterminology: terminology\n"
#define HOUSE                                                                                                          \
    "layer: organization\n"                                                                                            \
    "parties:\n"                                                                                                       \
    "  - {id: plan, title: P, kinds: [payer]}\n"                                                                       \
    "  - {id: doctor, title: D, roles: [physician], emergency: declared}\n"                                            \
    "classes:\n"                                                                                                       \
    "  - {id: person, title: P, kind: needs-yes, earned-by: {types: [Patient]}}\n"                                     \
    "  - {id: chart, title: C, kind: needs-yes, earned-by: {types: others}}\n"                                         \
    "element-lists:\n"                                                                                                 \
    "  - {id: who, title: W, others: none, records: [{type: Patient, keep: [active, name, deceased, link]}]}\n"        \
    "  - {id: when, title: W, others: none, records: [{type: Patient, keep: [active, birthDate, name.family, "         \
    "deceased, link]}]}\n"                                                                                             \
    "  - {id: codes, title: C, others: whole, records: [{type: Observation, keep: [status, code, component.code, "     \
    "\"value[x]\"]}]}\n"

#define RELEASE(id, data, more)                                                                                        \
    "  - {id: " id ", title: R, verdict: release, data: [" data "], to: [plan, doctor], for: [payment, treatment, "    \
    "emergency-treatment]" more "}\n"

static const char person[] =
    "{\"resourceType\":\"Patient\",\"id\":\"p\",\"meta\":{\"lastUpdated\":\"2024-02-03T04:05:06Z\"},\"identifier\":[{"
    "\"value\":\"MRN\"}],\"active\":true,\"name\":[{\"family\":\"Fam\",\"given\":[\"Giv\"]}],\"telecom\":[{\"value\":"
    "\"TEL\"}],\"birthDate\":\"1974-12-25\",\"_birthDate\":{\"extension\":[{\"url\":\"http://b\",\"valueDateTime\":"
    "\"1974-12-25T14:35:45Z\"}]},\"address\":[{\"line\":[\"LINE\"],\"city\":\"CITY\",\"state\":\"ST\",\"postalCode\":"
    "\"03601-1234\"},{\"postalCode\":\"97201\",\"city\":\"CITY\",\"country\":\"US\"},{\"postalCode\":\"D-10115\"}]}\n";
/* What the '_' halves say of an address in other words, with and without the value beside them. */
static const char halves[] =
    "{\"resourceType\":\"Patient\",\"id\":\"h\",\"active\":true,\"address\":[{\"state\":\"ST\",\"_line\":[{"
    "\"extension\":[{\"url\":\"http://s\",\"valueString\":\"STREET\"}]}],\"_city\":{\"extension\":[{\"url\":\"http://"
    "c\",\"valueCode\":\"TOWN\"}]},\"postalCode\":\"05401\",\"_postalCode\":{\"extension\":[{\"url\":\"http://p\","
    "\"valueCode\":\"05401\"}]}}],\"birthDate\":\"1974-12-25\",\"_birthDate\":{\"extension\":[{\"url\":\"http://b\","
    "\"valueDateTime\":\"1974-12-25T14:35:45Z\"}]}}\n";
static const char called[] =
    "{\"resourceType\":\"CareTeam\",\"id\":\"t\",\"status\":\"active\",\"name\":\"the Byrds\",\"extension\":[{\"url\":"
    "\"http://x\",\"valueContactDetail\":{\"name\":\"Ada Byrd\",\"telecom\":[{\"value\":\"TEL\"}]}}]}\n";
static const char eligible[] =
    "{\"resourceType\":\"CoverageEligibilityResponse\",\"id\":\"e\",\"status\":\"active\",\"preAuthRef\":\"PRE\"}\n"
    "{\"resourceType\":\"Coverage\",\"id\":\"v\",\"status\":\"active\",\"dependent\":\"DEP\"}\n";
static const char old[] = "{\"resourceType\":\"Patient\",\"id\":\"old\",\"active\":true,\"birthDate\":\"1930\"}\n";
static const char finding[] =
    "{\"resourceType\":\"Observation\",\"id\":\"o\",\"status\":\"final\",\"code\":{\"text\":\"CODE\"},\"subject\":{"
    "\"reference\":\"Patient/p\"},\"valueQuantity\":{\"value\":1.10},\"component\":[{\"code\":{\"text\":\"PART\"},"
    "\"valueString\":\"SECRET\"}],\"note\":[{\"text\":\"NOTE\"}]}\n";
static const char onset[] = "{\"resourceType\":\"Condition\",\"id\":\"c1\",\"subject\":{\"reference\":\"Patient/"
                            "p\"},\"onsetAge\":{\"value\":93,"
                            "\"unit\":\"years\",\"system\":\"http://unitsofmeasure.org\",\"code\":\"a\"}}\n"
                            "{\"resourceType\":\"Condition\",\"id\":\"c2\",\"subject\":{\"reference\":\"Patient/"
                            "p\"},\"onsetAge\":{\"value\":1079,"
                            "\"code\":\"mo\"},\"recordedDate\":\"2024-05-06\"}\n"
                            "{\"resourceType\":\"Condition\",\"id\":\"c3\",\"subject\":{\"reference\":\"Patient/"
                            "p\"},\"onsetString\":\"at 93\"}\n";

static void load(const char *rules)
{
    struct sl_arena *arena = sl_arena_new((size_t)64 << 20);
    struct sl_issues issues = {.arena = arena};
    const struct sl_slice parts[] = {SL_LIT(HOUSE), sl_slice_of(rules)};
    const struct sl_policy_file files[] = {{SL_LIT("policy.yaml"), SL_LIT(HEAD)},
        {SL_LIT("house.yaml"), sl_arena_join(arena, parts, 2)},
        {SL_LIT("terminology/systems.csv"), SL_LIT("name,uri,kind,form,family,aliases\n"
                                                   "icd-10-cm,http://hl7.org/fhir/sid/icd-10-cm,code,icd,claims,\n")},
        {SL_LIT("terminology/categories.csv"), SL_LIT("id,sensitivity,confidentiality,part2,also_match\n")}};
    enum sl_status status = sl_policy_load_files(files, sizeof files / sizeof *files, &issues, &policy);
    for (struct sl_issue *i = issues.first; i && status != SL_OK; i = i->next)
        print_message("%.*s:%zu: %.*s\n", SL_FMT(i->file), i->line, SL_FMT(i->text));
    assert_int_equal(status, SL_OK);
    sl_arena_free(arena);
}

struct expected {
    const char *what, *rules, *records, *party;
    const char *there[8], *gone[12];
};

static void check(const struct expected *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct sl_segment_report report;
        load(cases[i].rules);
        const char *party = cases[i].party ? cases[i].party : "plan";
        char *text = segmented(cases[i].records, "", party, "HPAYMT", &report);
        for (size_t k = 0; k < 8 && cases[i].there[k]; k++)
            if (!strstr(text, cases[i].there[k]))
                fail_msg("%s: %s is missing in %s", cases[i].what, cases[i].there[k], text);
        for (size_t k = 0; k < 12 && cases[i].gone[k]; k++)
            if (strstr(text, cases[i].gone[k]))
                fail_msg("%s: %s is still in %s", cases[i].what, cases[i].gone[k], text);
        free(text);
        sl_policy_unref(policy);
    }
}
#define CHECK(cases) check(cases, sizeof(cases) / sizeof *(cases))

static void what_no_list_keeps_is_cut(void **state)
{
    (void)state;
    static const struct expected cases[] = {
        {"without a limit all goes", "rules:\n" RELEASE("r", "person", ""), person, NULL,
            {"MRN", "Giv", "TEL", "1974-12-25T14", "CITY", "lastUpdated"}, {NULL}},
        {"a list keeps what it names, and the record's id and meta",
            "rules:\n" RELEASE("r", "person", ", limit-to: who"), person, NULL,
            {"\"id\":\"p\"", "lastUpdated", "\"active\":true", "Fam", "Giv"}, {"MRN", "TEL", "birthDate", "CITY"}},
        {"of an element it keeps a part", "rules:\n" RELEASE("r", "person", ", limit-to: when"), person, NULL,
            {"Fam", "1974-12-25", "1974-12-25T14"}, {"Giv", "MRN", "TEL"}},
        {"types it does not name do not go", "rules:\n" RELEASE("r", "chart, person", ", limit-to: who"), finding, NULL,
            {NULL}, {"CODE", "Observation"}},
        {"or go whole", "rules:\n" RELEASE("r", "chart, person", ", limit-to: codes"), person, NULL, {"MRN", "TEL"},
            {NULL}},
        {"what has what changes its meaning, and is not kept, goes: a name of old, and not the other one",
            "rules:\n" RELEASE("r", "person", ", limit-to: when"),
            "{\"resourceType\":\"Patient\",\"id\":\"p\",\"name\":[{\"family\":\"MAIDEN\",\"use\":\"old\"},{\"family\":"
            "\"Fam\",\"period\":{\"start\":\"2020\"}}]}\n",
            NULL, {"\"id\":\"p\"", "Fam"}, {"MAIDEN", "2020"}},
        {"and a whole record", "rules:\n" RELEASE("r", "person", ", limit-to: when"),
            "{\"resourceType\":\"Patient\",\"id\":\"p\",\"implicitRules\":\"urn:r\",\"name\":[{\"family\":\"Fam\"}]}\n",
            NULL, {NULL}, {"Fam", "\"id\":\"p\""}},
        {"a choice is all its forms; of parts only what is named",
            "rules:\n" RELEASE("r", "chart", ", limit-to: codes"), finding, NULL, {"CODE", "1.10", "PART"},
            {"SECRET", "NOTE", "Patient/p"}},
    };
    CHECK(cases);
}

static void alternatives_join_and_classes_intersect(void **state)
{
    (void)state;
    static const struct expected cases[] = {
        {"two rules that each suffice: what either keeps",
            "rules:\n" RELEASE("a", "person", ", limit-to: who") RELEASE("b", "person", ", limit-to: when"), person,
            NULL, {"Giv", "1974-12-25"}, {"MRN", "TEL"}},
        {"one without a limit: the whole",
            "rules:\n" RELEASE("a", "person", ", limit-to: who") RELEASE("b", "person", ""), person, NULL,
            {"MRN", "TEL"}, {NULL}},
        {"a rule that narrows limits what another releases",
            "rules:\n" RELEASE("a", "person", ", limit-to: when") "  - {id: n, title: N, verdict: withhold, data: "
                                                                  "[person], to: everyone, for: any, limit-to: who}\n",
            person, NULL, {"Fam", "\"active\":true"}, {"Giv", "birthDate", "MRN"}},
        {"and withholds nothing by itself",
            "rules:\n" RELEASE("a", "person",
                "") "  - {id: n, title: N, verdict: withhold, data: [person], to: everyone, for: any, limit-to: who}\n",
            person, NULL, {"Giv"}, {"birthDate", "MRN"}},
        {"a line lets go in part",
            "rules:\n" RELEASE("a", "person", "") "  - {id: n, title: N, verdict: withhold, data: [person], to: "
                                                  "everyone, for: any, unless: {purpose: payment, "
                                                  "limit-to: who}}\n",
            person, NULL, {"Giv"}, {"birthDate", "MRN"}},
        {"of two lines that hold, what either lets go",
            "rules:\n" RELEASE("a", "person", "") "  - {id: n, title: N, verdict: withhold, data: [person], to: "
                                                  "everyone, for: any, unless: [{purpose: payment, "
                                                  "limit-to: who}, {party: plan, limit-to: when}]}\n",
            person, NULL, {"Giv", "1974-12-25"}, {"MRN", "TEL"}},
        {"the mildest change of those that keep the element",
            "rules:\n" RELEASE("a", "person", ", limit-to: when, change: dates-to-year")
                RELEASE("b", "person", ", limit-to: who, change: no-names"),
            person, NULL, {"\"1974\"", "Fam"}, {"1974-12", "Giv"}},
        {"a narrowing change stays whatever else says yes",
            "rules:\n" RELEASE("a", "person", "") "  - {id: n, title: N, verdict: withhold, data: [person], to: "
                                                  "everyone, for: any, change: dates-to-year}\n",
            person, NULL, {"\"1974\"", "MRN"}, {"1974-12", "lastUpdated"}},
    };
    CHECK(cases);
}

static void each_change_does_what_it_says(void **state)
{
    (void)state;
#define CHANGE(word) "rules:\n" RELEASE("r", "person, chart", ", change: [" word "]")
    static const struct expected cases[] = {
        {"dates", CHANGE("dates-to-year"), person, NULL, {"\"birthDate\":\"1974\"", "\"valueDateTime\":\"1974\""},
            {"1974-12", "lastUpdated"}},
        {"postal codes", CHANGE("zip-to-3"), person, NULL, {"\"postalCode\":\"000\"", "\"postalCode\":\"972\"", "LINE"},
            {"03601", "97201", "10115"}},
        {"streets", CHANGE("no-street-address"), person, NULL, {"CITY", "03601-1234"}, {"LINE"}},
        {"below state", CHANGE("no-address-below-state"), person, NULL, {"\"ST\"", "\"000\""},
            {"LINE", "CITY", "97201"}},
        {"names", CHANGE("no-names"), person, NULL, {"MRN", "TEL"}, {"Fam", "Giv"}},
        {"contact", CHANGE("no-contact"), person, NULL, {"MRN", "Fam"}, {"TEL"}},
        {"identifiers", CHANGE("no-identifiers"), person, NULL, {"TEL", "Fam"}, {"MRN"}},
        {"the half of a street", CHANGE("no-street-address"), halves, NULL, {"TOWN", "05401"}, {"STREET"}},
        {"of a town and a code", CHANGE("no-address-below-state"), halves, NULL, {"\"ST\"", "\"054\""},
            {"STREET", "TOWN", "05401"}},
        {"and that of a date by its types", CHANGE("dates-to-year"), halves, NULL,
            {"\"birthDate\":\"1974\"", "\"valueDateTime\":\"1974\"", "TOWN"}, {"1974-12"}},
        {"names that are called otherwise", CHANGE("no-names"), called, NULL, {"\"status\"", "TEL"}, {"Byrd"}},
        {"numbers of plans", CHANGE("no-identifiers"), eligible, NULL, {"\"id\":\"e\"", "\"id\":\"v\""},
            {"PRE", "DEP"}},
        {"old people's years", CHANGE("ages-over-89"), old, NULL, {"\"active\":true"}, {"1930"}},
        {"and those of others stay", CHANGE("ages-over-89"), person, NULL, {"1974-12-25"}, {NULL}},
        {"ages", CHANGE("ages-over-89"), onset, NULL, {"\"value\":90,\"comparator\":\">=\"", "1079", "2024-05-06"},
            {"93", "onsetString"}},
        {"whatever is changed, words go", CHANGE("zip-to-3"), finding, NULL, {"CODE", "1.10"}, {"NOTE"}},
    };
    CHECK(cases);
}

/* A change reaches what stands in extensions by their types, and each word of the table is one of these tests'. */
static void every_change_is_tried(void **state)
{
    (void)state;
    assert_int_equal(SL_CHANGES, 8);
    uint32_t all = 0;
    for (unsigned i = 0; i < SL_CHANGES; i++) {
        assert_true(sl_change_bits((enum sl_change)i) >> i & 1);
        all |= sl_change_bits((enum sl_change)i);
    }
    assert_int_equal(all, (1u << SL_CHANGES) - 1);
}

static const struct sl_r4_param *param(sl_r4_node type, const char *name)
{
    return sl_r4_param_find(type, sl_slice_of(name));
}

/* A search that reads what goes out with another text finds by that text, and the upstream is not asked for it. */
static void a_search_sees_what_goes_out(void **state)
{
    (void)state;
    struct sl_arena *arena = sl_arena_new((size_t)16 << 20);
    struct sl_doc doc;
    static const struct {
        const char *query;
        bool before, after;
    } cases[] = {{"birthdate=1974-12-25", true, false}, {"birthdate=1974", true, true},
        {"birthdate=gt1974-12-30", false, true}, {"birthdate=lt1974-12-01", false, true},
        {"birthdate=1975", false, false}, {"address-postalcode=97201", true, false},
        {"address-postalcode:exact=972", false, true}, {"address-postalcode=97", true, true}};
    assert_int_equal(sl_doc_parse(arena, SL_LIT(person), NULL, &doc, NULL), SL_OK);
    struct sl_edits *edits = sl_edits_new(arena, &doc);
    uint32_t address = sl_span_member(&doc, 0, SL_NAME_address);
    uint32_t second = doc.spans[address + 1].next;
    sl_edit_replace(edits, sl_span_member(&doc, 0, SL_NAME_birthDate), SL_LIT("\"1974\""));
    sl_edit_replace(edits, sl_span_member(&doc, second, SL_NAME_postalCode), SL_LIT("\"972\""));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sl_search search;
        struct sl_issues issues = {.arena = arena};
        assert_int_equal(
            sl_search_read(arena, SL_R4_Patient, sl_slice_of(cases[i].query), SL_LIT(""), &issues, &search), SL_OK);
        if (sl_search_match(&search, &doc, 0, NULL) != cases[i].before ||
            sl_search_match(&search, &doc, 0, edits) != cases[i].after)
            fail_msg("%s", cases[i].query);
    }
    uint32_t dates = SL_CHANGE_BIT(DATES_TO_YEAR), zip = SL_CHANGE_BIT(ZIP_TO_3);
    assert_true(sl_change_touches(dates, param(SL_R4_Patient, "birthdate")));
    assert_true(sl_change_touches(dates, param(SL_R4_Encounter, "date")));
    assert_true(sl_change_touches(zip, param(SL_R4_Patient, "address")));
    assert_false(sl_change_touches(zip, param(SL_R4_Patient, "birthdate")));
    assert_false(sl_change_touches(dates, param(SL_R4_Condition, "code")));
    assert_false(sl_change_touches(SL_CHANGE_BIT(NO_NAMES), param(SL_R4_Patient, "name")));
    sl_arena_free(arena);
}

/* ---- Time ---- */

static struct sl_verdict verdict(const char *rules, const char *party, int64_t made, int64_t now)
{
    struct sl_arena *arena = sl_arena_new((size_t)16 << 20);
    static const struct sl_slice patient = {"Patient/p", 9};
    struct sl_emergency e = {SL_LIT("a"), SL_LIT("b"), SL_LIT("c"), SL_LIT("d"), true, made};
    struct sl_recipient r = {.party = sl_slice_of(party), .purpose = SL_LIT("ETREAT"), .emergency = &e};
    struct sl_item item = {.type = SL_R4_Patient, .id = SL_LIT("p")};
    struct sl_ruling *ruling;
    load(rules);
    sl_classes_add(&item.classes, sl_policy_class_find(policy, SL_LIT("person")));
    assert_int_equal(sl_ruling_new(arena, policy, &r, &patient, 1, NULL, now, &ruling), SL_OK);
    struct sl_verdict verdict = sl_decide_item(ruling, &item);
    sl_policy_unref(policy);
    sl_arena_free(arena);
    return verdict;
}

static enum sl_decision decided(const char *rules, const char *party, int64_t made, int64_t now)
{
    return verdict(rules, party, made, now).decision;
}

static void a_time_box_closes(void **state)
{
    (void)state;
    static const char on_rule[] =
        "rules:\n" RELEASE("r", "person", ", only-if: {emergency: declared}, then: {time-box: 4 hours}");
    static const char on_line[] =
        "rules:\n" RELEASE("r", "person", "") "  - {id: w, title: W, verdict: withhold, data: [person], to: everyone, "
                                              "for: any, unless: {emergency: declared, "
                                              "then: {time-box: 4 hours}}}\n";
    static const char *const both[] = {on_rule, on_line};
    const int64_t now = 1790000000;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(decided(both[i], "doctor", now - 60, now), SL_RELEASED);
        assert_int_equal(decided(both[i], "doctor", now - 4 * 3600 + 1, now), SL_RELEASED);
        assert_int_equal(decided(both[i], "doctor", now - 4 * 3600, now), SL_WITHHELD);
        assert_int_equal(decided(both[i], "doctor", now + 60, now), SL_WITHHELD);
        assert_int_equal(decided(both[i], "doctor", 0, now), SL_WITHHELD); /* it does not say when */
    }
}

static void an_exception_ends(void **state)
{
    (void)state;
    static const char rules[] = "rules:\n" RELEASE("r", "person", ", exception: {until: 2026-09-22, by: B, why: W}");
    const int64_t day = 1790035200; /* 2026-09-22 */
    assert_int_equal(decided(rules, "plan", 0, day - 1), SL_RELEASED);
    assert_int_equal(decided(rules, "plan", 0, day), SL_WITHHELD);
}

static void held_is_what_nothing_else_withholds(void **state)
{
    (void)state;
    static const struct {
        const char *rules, *why;
    } cases[] = {
        {"rules:\n" RELEASE(
             "r", "person", "") "  - {id: h, title: H, verdict: hold, data: [person], to: [plan], for: any}\n",
            "held-by-rule"},
        {"rules:\n" RELEASE(
             "r", "chart", "") "  - {id: h, title: H, verdict: hold, data: [person], to: [plan], for: any}\n",
            "no-release-rule"},
        {"rules:\n" RELEASE(
             "r", "person", "") "  - {id: h, title: H, verdict: hold, data: [person], to: [plan], for: any}\n"
                                "  - {id: w, title: W, verdict: withhold, data: [person], to: [plan], for: any}\n",
            "withheld-by-rule"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(verdict(cases[i].rules, "plan", 0, 1790000000).cause.why, cases[i].why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_no_list_keeps_is_cut),
        cmocka_unit_test(alternatives_join_and_classes_intersect),
        cmocka_unit_test(each_change_does_what_it_says),
        cmocka_unit_test(every_change_is_tried),
        cmocka_unit_test(a_search_sees_what_goes_out),
        cmocka_unit_test(a_time_box_closes),
        cmocka_unit_test(an_exception_ends),
        cmocka_unit_test(held_is_what_nothing_else_withholds),
    };
    (void)load_policy; /* the shipped one, which these tests do without */
    (void)unload_policy;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
