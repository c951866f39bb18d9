/* SPDX-License-Identifier: Apache-2.0 */
/*
 * That a person is known here, under the shipped policy: it goes where a program's records would go, or where another
 * record of that person goes to the same recipient, in whatever order they come; and what is withheld plays no part.
 * JSON is written with single quotes, for the eye.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "sluice/buffer.h"
#include "sluice/edit.h"
#include "sluice/pass.h"

#define REF(to) "{'reference':'" to "'}"
#define HARBOR "'managingOrganization':{'reference':'Organization/harbor'}"
#define PATIENT "{'resourceType':'Patient','id':'p','gender':'female'," HARBOR "}"
#define FEED "{'resourceType':'Patient','id':'p','meta':{'source':'https://harbor.example.org/ehr'},'gender':'female'}"
#define BP(id, person, place) \
    "{'resourceType':'Observation','id':'" id "','status':'final','code':{'coding':[{'system':'http://loinc.org'," \
    "'code':'8480-6'}]},'subject':" REF(person) ",'performer':[" REF(place) "]}"
#define COVERAGE "{'resourceType':'Coverage','id':'c','status':'active','beneficiary':" REF("Patient/p") "}"

static struct sl_policy *policy;

struct case_ {
    const char *name, *party, *purpose;
    const char *records[5]; /* the first is asked about */
    const char *expect;     /* what of it goes; NULL: it stays */
};

static enum sl_status no_directives(
    void *context, struct sl_slice patient, struct sl_arena *arena, struct sl_directives *out)
{
    (void)context;
    (void)patient;
    (void)arena;
    *out = (struct sl_directives){0};
    return SL_OK;
}

static struct sl_programs *table(void)
{
    struct sl_programs *programs = sl_programs_new(true);
    assert_non_null(programs);
    assert_int_equal(sl_programs_add(programs, SL_LIT("Organization/harbor"), SL_SOURCE_PROGRAM), SL_OK);
    assert_int_equal(sl_programs_add(programs, SL_LIT("https://harbor.example.org/ehr"), SL_SOURCE_PROGRAM), SL_OK);
    assert_int_equal(sl_programs_add(programs, SL_LIT("Organization/clinic"), SL_SOURCE_NOT), SL_OK);
    return programs;
}

static const struct sl_doc *parsed(struct sl_arena *arena, const char *json)
{
    size_t len = strlen(json);
    char *text = sl_arena_raw(arena, len, 1);
    struct sl_doc *doc = sl_arena_alloc(arena, sizeof *doc);
    assert_true(text && doc);
    for (size_t i = 0; i < len; i++)
        text[i] = json[i] == '\'' ? '"' : json[i];
    if (sl_doc_parse(arena, (struct sl_slice){text, len}, NULL, doc, NULL) != SL_OK)
        fail_msg("%s", json);
    return doc;
}

/* The bytes that go out of an item, in single quotes; NULL: none. */
static const char *shown(struct sl_arena *arena, const struct sl_item *item)
{
    static char text[4096];
    size_t len = 0;
    if (!item->verdict || item->verdict->decision != SL_RELEASED)
        return NULL;
    struct sl_edits *edits = sl_edits_new(arena, item->doc);
    struct sl_blocks out = {.arena = arena};
    assert_int_equal(sl_segment_edit(item, edits, arena), SL_OK);
    assert_int_equal(sl_edit_gather(edits, item->span, &out), SL_OK);
    for (const struct sl_block *b = out.first; b; b = b->next)
        for (size_t i = 0; i < b->len && len + 1 < sizeof text; i++)
            text[len++] = b->ptr[i] == '"' ? '\'' : b->ptr[i];
    text[len] = '\0';
    return text;
}

#define NORMAL "'security':[{'system':'http://terminology.hl7.org/CodeSystem/v3-Confidentiality','code':'N'}]"
#define SEEN "{'resourceType':'Patient','id':'p','gender':'female','meta':{" NORMAL "}}"
#define TREATING "treating-provider", "TREAT"

static const struct case_ cases[] = {
    {"alone he is not known", TREATING, {PATIENT}, NULL},
    {"nor by what the program wrote", TREATING, {PATIENT, BP("a", "Patient/p", "Organization/harbor")}, NULL},
    {"by another record he is, but not to whom", TREATING, {PATIENT, BP("a", "Patient/p", "Organization/clinic")},
        SEEN},
    {"by a feed the same", TREATING, {FEED, BP("a", "Patient/p", "Organization/clinic")}, SEEN},
    {"not by another's record", TREATING, {PATIENT, BP("a", "Patient/q", "Organization/clinic")}, NULL},
    {"not by what tells no more than that he is known", TREATING, {PATIENT, COVERAGE}, NULL},
    {"his coverage is as he is", TREATING, {COVERAGE, PATIENT}, NULL},
    {"and goes where he goes", TREATING, {COVERAGE, PATIENT, BP("a", "Patient/p", "Organization/clinic")},
        "{'resourceType':'Coverage','id':'c','status':'active','beneficiary':" REF("Patient/p")
            ",'meta':{" NORMAL "}}"},
    {"who registered with nobody's program is no secret", TREATING,
        {"{'resourceType':'Patient','id':'p','managingOrganization':" REF("Organization/clinic") "}"},
        "{'resourceType':'Patient','id':'p','managingOrganization':" REF("Organization/clinic")
            ",'meta':{" NORMAL "}}"},
    {"a record that this recipient does not get tells him nothing", "front-desk", "HOPERAT",
        {PATIENT, BP("a", "Patient/p", "Organization/clinic")}, NULL},
    {"one that he gets does", "front-desk", "HOPERAT",
        {PATIENT, "{'resourceType':'Appointment','id':'a','status':'booked','participant':[{'actor':" REF("Patient/p")
            ",'status':'accepted'},{'actor':" REF("Location/l") ",'status':'accepted'}]}"}, SEEN},
    {"an AI agent learns of him by the ordinary record", "ai-agent", "TREAT",
        {PATIENT, BP("a", "Patient/p", "Organization/clinic")}, SEEN},
    {"and not by a document", "ai-agent", "TREAT",
        {PATIENT, "{'resourceType':'DocumentReference','id':'d','status':'current','subject':" REF("Patient/p")
            ",'author':[" REF("Organization/clinic") "],'content':[{'attachment':{'title':'t'}}]}"}, NULL},
    {"he himself needs no other record", "patient", "PATRQT", {PATIENT},
        "{'resourceType':'Patient','id':'p','gender':'female'," HARBOR ",'meta':{'security':["},
};

/* The record asked about first, last, and in a pass of its own order: the answer is one. */
static void check(const struct case_ *c, bool backwards)
{
    struct sl_arena *arena = sl_arena_new((size_t)64 << 20);
    struct sl_programs *programs = table();
    struct sl_recipient recipient = {.party = sl_slice_of(c->party), .purpose = sl_slice_of(c->purpose)};
    struct sl_pass_options options = {.policy = policy, .programs = programs, .recipient = &recipient,
        .now = 1700000000, .directives = no_directives};
    struct sl_pass *pass = sl_pass_new(arena, &options);
    struct sl_item *item, *asked = NULL;
    struct sl_slice *missing;
    size_t count = 1, records = 0;
    while (records < 5 && c->records[records])
        records++;
    for (size_t i = 0; i < records; i++) {
        size_t at = backwards ? records - 1 - i : i;
        assert_int_equal(
            sl_pass_add(pass, parsed(arena, c->records[at]), 0, (struct sl_slice){NULL, 0}, false, &item), SL_OK);
        asked = at == 0 ? item : asked;
    }
    while (count) {
        assert_int_equal(sl_pass_label(pass, &missing, &count), SL_OK);
        for (size_t i = 0; i < count; i++)
            assert_int_equal(sl_labeller_absent(sl_pass_labeller(pass), missing[i], true), SL_OK);
    }
    struct sl_segment_report report;
    assert_int_equal(sl_pass_decide(pass, &report), SL_OK);
    const char *text = shown(arena, asked);
    bool same = text && c->expect ? strncmp(text, c->expect, strlen(c->expect)) == 0 : !text && !c->expect;
    if (!same)
        fail_msg("%s: %s", c->name, text ? text : "withheld");
    sl_programs_unref(programs);
    sl_arena_free(arena);
}

static void who_is_known_here(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check(&cases[i], false);
        check(&cases[i], true);
    }
}

/* What a door does that has to look elsewhere: it is told of whom, and what it has found counts. */
static void the_door_looks_on(void **state)
{
    (void)state;
    struct sl_arena *arena = sl_arena_new((size_t)64 << 20);
    struct sl_programs *programs = table();
    struct sl_recipient recipient = {.party = SL_LIT("treating-provider"), .purpose = SL_LIT("TREAT")};
    struct sl_pass_options options = {.policy = policy, .programs = programs, .recipient = &recipient,
        .now = 1700000000, .directives = no_directives};
    struct sl_pass *pass = sl_pass_new(arena, &options);
    struct sl_item *patient, *again, *seen, *coverage;
    struct sl_slice *missing, *persons;
    struct sl_segment_report report;
    size_t count;
    assert_int_equal(
        sl_pass_add(pass, parsed(arena, PATIENT), 0, (struct sl_slice){NULL, 0}, false, &patient), SL_OK);
    assert_int_equal(
        sl_pass_add(pass, parsed(arena, COVERAGE), 0, (struct sl_slice){NULL, 0}, false, &coverage), SL_OK);
    assert_int_equal(sl_pass_add(pass, parsed(arena, "{'resourceType':'Patient','id':'q'," HARBOR "}"), 0,
                         (struct sl_slice){NULL, 0}, false, &again),
        SL_OK);
    assert_int_equal(sl_pass_add(pass, parsed(arena, BP("a", "Patient/r", "Organization/clinic")), 0,
                         (struct sl_slice){NULL, 0}, false, &seen),
        SL_OK);
    assert_int_equal(sl_pass_label(pass, &missing, &count), SL_OK);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(sl_labeller_absent(sl_pass_labeller(pass), missing[i], true), SL_OK);
    assert_int_equal(sl_pass_label(pass, &missing, &count), SL_OK);
    assert_int_equal(sl_pass_decide(pass, &report), SL_OK);
    assert_int_equal(sl_pass_hidden(pass, &persons, &count), SL_OK);
    assert_int_equal(count, 2); /* p once, though two of his records stay, and q */
    assert_true(sl_slice_eq(persons[0], SL_LIT("Patient/p")) && sl_slice_eq(persons[1], SL_LIT("Patient/q")));
    assert_true(sl_pass_knows(pass, SL_LIT("Patient/r")));
    assert_false(sl_pass_knows(pass, SL_LIT("Patient/p")));
    assert_int_equal(sl_pass_reveal(pass, SL_LIT("Patient/p")), SL_OK);
    assert_int_equal(sl_pass_decide(pass, &report), SL_OK);
    assert_int_equal(patient->verdict->decision, SL_RELEASED);
    assert_int_equal(coverage->verdict->decision, SL_RELEASED);
    assert_int_equal(again->verdict->decision, SL_WITHHELD);
    assert_int_equal(report.resources_released, 3);
    assert_int_equal(sl_pass_hidden(pass, &persons, &count), SL_OK);
    assert_int_equal(count, 1);
    sl_programs_unref(programs);
    sl_arena_free(arena);
}

static int setup(void **state)
{
    (void)state;
    struct sl_arena *arena = sl_arena_new((size_t)64 << 20);
    struct sl_issues issues = {.arena = arena};
    enum sl_status status = sl_policy_load(SLUICE_SOURCE "/consent/policies", &issues, &policy);
    sl_arena_free(arena);
    return status == SL_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    sl_policy_unref(policy);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(who_is_known_here), cmocka_unit_test(the_door_looks_on)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
