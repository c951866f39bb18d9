/* SPDX-License-Identifier: Apache-2.0 */
/* The policy language: what it reads, where it reports each mistake, and the shipped policy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "earning.h"
#include "sluice/buffer.h"
#include "sluice/decide.h"
#include "sluice/policy.h"
#include "sluice/yaml.h"

#define SHIPPED SLUICE_SOURCE "/consent/policies"

/* ---- A small policy to make mistakes in ---- */

static const char head[] = "title: T\nversion: \"1\"\nnotice: {version: \"1\", statement: S., short: s.}\n";
static const char systems[] =
    "name,uri,kind,form,family,aliases\nicd-10-cm,http://hl7.org/fhir/sid/icd-10-cm,code,icd,claims,\n";
static const char categories[] = "id,sensitivity,confidentiality,part2,also_match\nSUD_OPIOID,OPIOIDUD,R,yes,ETH|SUD\n";
static const char federal[] =
    "layer: federal\n"
    "classes:\n"
    "  - {id: part2, title: P, kind: needs-yes, labels: [42CFRPart2], earned-by: {origin: program}}\n"
    "consents:\n"
    "  - {id: tpo, title: C, purposes: [treatment], forms: [{categories: [{system: s, code: c}]}]}\n"
    "label-sets:\n"
    "  - {id: a, title: A, labels: [CPLYJPP]}\n"
    "rules:\n"
    "  - {id: ceiling, title: W, law: L, verdict: withhold, data: [part2], to: everyone, for: any, lift: never, "
    "unless: "
    "{consent: tpo, then: {notice: yes, scope: yes, account: yes, label-set: a}}}\n"
    "  - {id: soft, title: W, law: L, verdict: withhold, data: [part2], to: everyone, for: [marketing]}\n";
static const char house[] = "layer: organization\n"
                            "parties:\n"
                            "  - {id: physician, title: P, roles: [physician]}\n"
                            "classes:\n"
                            "  - {id: chart, title: C, kind: needs-yes, earned-by: {types: others}}\n"
                            "rules:\n"
                            "  - id: record\n"
                            "    title: R\n"
                            "    verdict: release\n"
                            "    data: all\n"
                            "    to: [physician]\n"
                            "    for: [treatment]\n";

struct fixture {
    struct sl_arena *arena;
    struct sl_issues issues;
    struct sl_policy *policy;
};

static void begin(struct fixture *f)
{
    *f = (struct fixture){.arena = sl_arena_new((size_t)64 << 20)};
    assert_non_null(f->arena);
    f->issues.arena = f->arena;
}

static void end(struct fixture *f)
{
    sl_policy_unref(f->policy);
    sl_arena_free(f->arena);
}

static void assert_text(struct sl_slice got, const char *want)
{
    if (!sl_slice_eq(got, sl_slice_of(want)))
        fail_msg("\"%.*s\" instead of \"%s\"", SL_FMT(got), want);
}

static enum sl_status load(struct fixture *f, const char *head_text, const char *federal_text, const char *house_text)
{
    const struct sl_policy_file files[] = {
        {SL_LIT("policy.yaml"), sl_slice_of(head_text)},
        {SL_LIT("federal/a.yaml"), sl_slice_of(federal_text)},
        {SL_LIT("house/b.yaml"), sl_slice_of(house_text)},
        {SL_LIT("terminology/systems.csv"), sl_slice_of(systems)},
        {SL_LIT("terminology/categories.csv"), sl_slice_of(categories)},
    };
    return sl_policy_load_files(files, sizeof files / sizeof *files, &f->issues, &f->policy);
}

static void the_small_policy_is_good(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    enum sl_status status = load(&f, head, federal, house);
    for (const struct sl_issue *i = f.issues.first; i; i = i->next)
        print_message("%.*s:%zu:%zu %.*s\n", SL_FMT(i->file), i->line, i->column, SL_FMT(i->text));
    assert_int_equal(status, SL_OK);
    assert_int_equal(f.issues.count, 0);
    assert_int_equal(sl_policy_class_count(f.policy), 2);
    assert_text(sl_policy_class(f.policy, 0)->id, "part2"); /* federal classes come first */
    assert_null(sl_policy_class(f.policy, 2));
    assert_true(sl_policy_class(f.policy, 0)->needs_yes);
    assert_text(sl_policy_class(f.policy, 0)->labels[0].system, "http://terminology.hl7.org/CodeSystem/v3-ActCode");
    assert_int_equal(sl_policy_class_find(f.policy, SL_LIT("chart")), 1);
    assert_int_equal(sl_policy_class_find(f.policy, SL_LIT("nothing")), SL_CLASS_LIMIT);
    assert_true(sl_policy_has_party(f.policy, SL_LIT("physician")));
    assert_false(sl_policy_has_party(f.policy, SL_LIT("")));
    assert_text(sl_policy_notice(f.policy), "S.");
    assert_text(sl_policy_short_notice(f.policy), "s.");
    assert_int_equal(sl_policy_digest(f.policy).len, 64);
    size_t count;
    assert_text(sl_policy_consent_kinds(f.policy, &count)[0].purposes[0], "TREAT");
    assert_int_equal(count, 1);
    end(&f);
}

/* ---- Mistakes ---- */

enum where { IN_HEAD, IN_FEDERAL, IN_HOUSE };

static void each_mistake_is_reported_in_its_place(void **state)
{
    (void)state;
    static const struct mistake {
        enum where where;
        const char *text; /* appended to the file, or instead of the head */
        const char *code, *fix;
        size_t line, column;
    } cases[] = {
        {IN_HEAD, "title: T\nversion: \"1\"\nnotice: {version: x, statement: S., short: s.}\nnotic: 1\n", "unknown-key",
            "notice", 4, 1},
        {IN_HEAD, "title: T\nnotice: {version: x, statement: S., short: s.}\n", "missing-key", "", 1, 1},
        {IN_HEAD, "title: T\nversion: \"1\"\n", "missing-key", "", 1, 1},
        {IN_HEAD,
            "title: T\nversion: \"1\"\nnotice: {version: x, statement: S., short: s.}\ndenials-in-emergency: maybe\n",
            "unknown-word", "", 4, 23},
        {IN_HOUSE, "scenario:\n", "unknown-key", "scenarios", 13, 1},
        {IN_HOUSE, "  - {id: r, title: R, verdict: relase, data: all, to: [physician], for: any}\n", "unknown-verdict",
            "release", 13, 32},
        {IN_HOUSE, "  - {id: r, titel: R, verdict: release, data: all, to: [physician], for: any}\n", "unknown-key",
            "title", 13, 13},
        {IN_HOUSE, "  - {id: r, verdict: release, data: all, to: [physician], for: any}\n", "missing-key", "", 13, 5},
        {IN_HOUSE, "  - {id: R, title: R, verdict: release, data: all, to: [physician], for: any}\n", "bad-id", "", 13,
            10},
        {IN_HOUSE, "  - {id: r, title: R, verdict: release, data: [chrt], to: [physician], for: any}\n",
            "unknown-class", "chart", 13, 48},
        {IN_HOUSE, "  - {id: r, title: R, verdict: release, data: {all-but: [chart]}, to: [physician], for: any}\n",
            "unknown-key", "", 13, 48},
        {IN_HOUSE,
            "  - {id: r, title: R, verdict: release, data: {all-except: [chart, part2]}, to: [physician], for: any}\n",
            "rule-without-data", "", 13, 47},
        {IN_HOUSE, "  - {id: r, title: R, verdict: release, data: all, to: [phisician], for: any}\n", "unknown-party",
            "physician", 13, 57},
        {IN_HOUSE, "  - {id: r, title: R, verdict: release, data: all, to: [], for: any}\n", "rule-without-party", "",
            13, 56},
        {IN_HOUSE, "  - {id: r, title: R, verdict: release, data: all, to: [physician], for: [treatmnt]}\n",
            "unknown-purpose", "treatment", 13, 75},
        {IN_HOUSE, "  - {id: r, title: R, verdict: release, data: all, to: [physician], for: []}\n",
            "rule-without-purpose", "", 13, 74},
        {IN_HOUSE, "  - {id: record, title: R, verdict: release, data: all, to: [physician], for: any}\n",
            "duplicate-id", "", 13, 10},
        {IN_HOUSE,
            "  - {id: r, title: R, verdict: withhold, data: all, to: everyone, for: any, only-if: {consnt: tpo}}\n",
            "unknown-key", "consent", 13, 87},
        {IN_HOUSE,
            "  - {id: r, title: R, verdict: withhold, data: all, to: everyone, for: any, only-if: {consent: tbo}}\n",
            "unknown-consent", "tpo", 13, 96},
        {IN_HOUSE,
            "  - {id: r, title: R, verdict: withhold, data: all, to: everyone, for: any, only-if: {emergency: real}}\n",
            "unknown-emergency", "", 13, 98},
        {IN_HOUSE,
            "  - {id: r, title: R, verdict: withhold, data: all, to: everyone, for: any, only-if: {same-program: "
            "no}}\n",
            "bad-condition", "", 13, 101},
        {IN_HOUSE, "  - {id: r, title: R, verdict: withhold, data: all, to: everyone, for: any, only-if: {}}\n",
            "empty-condition", "", 13, 86},
        {IN_HOUSE, "  - {id: r, title: R, verdict: withhold, data: all, to: everyone, for: any, unless: []}\n",
            "empty-condition", "", 13, 85},
        {IN_HOUSE,
            "  - {id: r, title: R, verdict: withhold, data: all, to: everyone, for: any, then: {label-set: b}}\n",
            "unknown-label-set", "", 13, 95},
        {IN_HOUSE, "  - {id: r, title: R, verdict: withhold, data: all, to: everyone, for: any, lift: nevr}\n",
            "unknown-lift", "never", 13, 83},
        {IN_HOUSE, "  - {id: r, title: R, verdict: release, data: all, to: [physician], for: any, lifts: [ceiling]}\n",
            "lift-never", "", 13, 87},
        {IN_HOUSE, "  - {id: r, title: R, verdict: release, data: all, to: [physician], for: any, lifts: [soft]}\n",
            "lift-from-below", "", 13, 87},
        {IN_HOUSE, "  - {id: r, title: R, verdict: release, data: all, to: [physician], for: any, lifts: [record]}\n",
            "lift-of-release", "", 13, 87},
        {IN_HOUSE, "  - {id: r, title: R, verdict: release, data: all, to: [physician], for: any, lifts: [sofd]}\n",
            "unknown-rule", "soft", 13, 87},
        {IN_HOUSE, "  - r\n", "expected-map", "", 13, 5},
        {IN_HOUSE, "scenarios:\n  - {title: T, given: {purpose: treatment, item: [chart]}, expect: relesed}\n",
            "unknown-expectation", "released", 14, 68},
        {IN_HOUSE, "scenarios:\n  - {title: T, given: {purpose: treatment, item: [chrt]}, expect: released}\n",
            "unknown-class", "chart", 14, 51},
        {IN_HOUSE,
            "scenarios:\n  - {title: T, given: {party: x, purpose: treatment, item: [chart]}, expect: released}\n",
            "unknown-party", "", 14, 31},
        {IN_HOUSE, "scenarios:\n  - {title: T, given: {item: [chart]}, expect: released}\n", "missing-key", "", 14, 16},
        {IN_FEDERAL, "  - {id: r, title: R, law: L, verdict: release, data: all, to: everyone, for: any}\n",
            "release-in-ceiling", "", 11, 40},
        {IN_FEDERAL, "  - {id: r, title: R, verdict: withhold, data: all, to: everyone, for: any}\n", "missing-key", "",
            11, 5},
        {IN_FEDERAL, "parties:\n  - {id: p, title: P}\n", "party-without-condition", "", 12, 5},
        {IN_FEDERAL, "parties:\n  - {id: p, title: P, roles: [a], relationship: [self]}\n", "missing-key", "", 12, 5},
        {IN_FEDERAL, "parties:\n  - {id: p, title: P, roles: [a], relationship: [self], vouched-by: [declaration]}\n",
            "unknown-voucher", "", 12, 70},
        {IN_FEDERAL, "parties:\n  - {id: p, title: P, roles: []}\n", "expected-list", "", 12, 30},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct mistake *c = &cases[i];
        char texts[3][4096];
        struct fixture f;
        begin(&f);
        snprintf(texts[0], sizeof texts[0], "%s", c->where == IN_HEAD ? c->text : head);
        snprintf(texts[1], sizeof texts[1], "%s%s", federal, c->where == IN_FEDERAL ? c->text : "");
        snprintf(texts[2], sizeof texts[2], "%s%s", house, c->where == IN_HOUSE ? c->text : "");
        if (load(&f, texts[0], texts[1], texts[2]) != SL_INVALID)
            fail_msg("case %zu (%s) was accepted", i, c->code);
        assert_null(f.policy);
        const struct sl_issue *issue = f.issues.first;
        if (!sl_slice_eq(issue->code, sl_slice_of(c->code)) || issue->line != c->line || issue->column != c->column)
            fail_msg("case %zu (%s): %.*s at %zu:%zu: %.*s", i, c->code, SL_FMT(issue->code), issue->line,
                issue->column, SL_FMT(issue->text));
        if (!strstr(issue->fix.ptr ? issue->fix.ptr : "", c->fix))
            fail_msg("case %zu (%s): the fix is \"%.*s\"", i, c->code, SL_FMT(issue->fix));
        end(&f);
    }
}

static void each_mistake_in_a_class_or_consent_is_reported(void **state)
{
    (void)state;
    static const struct {
        const char *class, *code, *fix;
    } cases[] = {
        {"classes: [{id: x, title: X, kind: need-yes, earned-by: {types: others}}]", "unknown-kind", "needs-yes"},
        {"classes: [{id: part2, title: X, kind: needs-yes, earned-by: {types: others}}]", "duplicate-id", ""},
        {"classes: [{id: x, title: X, kind: needs-yes, labels: [42CFRPart3], earned-by: {types: others}}]",
            "unknown-label", "42CFRPart2"},
        {"classes: [{id: x, title: X, kind: needs-yes, labels: [NORDSLCD], earned-by: {types: others}}]",
            "unknown-label", ""},
        {"classes: [{id: x, title: X, kind: needs-yes, confidentiality: Z, earned-by: {types: others}}]",
            "bad-confidentiality", ""},
        {"classes: [{id: x, title: X, kind: needs-yes, earned-by: {types: [Conditon]}}]", "unknown-type", "Condition"},
        {"classes: [{id: x, title: X, kind: needs-yes, earned-by: {types: others, categories: [SUD_OPIOD]}}]",
            "unknown-category", "SUD_OPIOID"},
        {"classes: [{id: x, title: X, kind: needs-yes, earned-by: {types: others, origin: programme}}]",
            "unknown-origin", "program"},
        {"classes: [{id: x, title: X, kind: needs-yes, earned-by: {types: others, security-labels: [HIW]}}]",
            "unknown-label", "HIV"},
        {"classes: [{id: x, title: X, kind: needs-yes, earned-by: {types: others, note-types: [note]}}]", "unknown-key",
            ""},
        {"notes: [{class: part2, types: [{code: note}]}]", "missing-key", ""},
        {"notes: [{class: part3, types: [{system: s, code: note}]}]", "unknown-class", "part2"},
        {"notes: [{class: part2, folders: [{source: s, questionnaire: q}]}]", "bad-folder", ""},
        {"notes: [{class: part2, folders: [{folder: s}]}]", "unknown-key", ""},
        {"notes: [{class: part2, not: [{system: s, code: c}]}]", "notes-layer", ""},
        {"classes: [{id: x, title: X, kind: needs-yes, earned-by: {types: [Patient]}}]", "type-without-class",
            "others"},
        {"classes: [{id: x, title: X, kind: needs-yes, earned-by: {types: others, draft: perhaps}}]", "expected-yes-no",
            ""},
        {"classes: [{id: x, title: X, kind: needs-yes, earned-by: {types: others}}]\n"
         "consents: [{id: c, title: C, forms: []}]",
            "expected-list", ""},
        {"classes: [{id: x, title: X, kind: needs-yes, earned-by: {types: others}}]\n"
         "consents: [{id: c, title: C, forms: [{}]}]",
            "form-without-condition", ""},
        {"classes: [{id: x, title: X, kind: needs-yes, earned-by: {types: others}}]\n"
         "consents: [{id: tpo, title: C, forms: [{categories: [u]}]}]",
            "duplicate-id", ""},
        {"classes: [{id: x, title: X, kind: needs-yes, earned-by: {types: others}}]\n"
         "consents: [{id: c, title: C, purposes: [tpo], forms: [{categories: [u]}]}]",
            "unknown-purpose", ""},
        {"classes: [{id: x, title: X, kind: needs-yes, earned-by: {types: others}}]\n"
         "label-sets: [{id: a, title: A, labels: []}]",
            "duplicate-id", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[2048];
        struct fixture f;
        begin(&f);
        snprintf(text, sizeof text, "layer: organization\n%s\nrules: []\n", cases[i].class);
        if (load(&f, head, federal, text) != SL_INVALID)
            fail_msg("case %zu (%s) was accepted", i, cases[i].code);
        const struct sl_issue *issue = f.issues.first;
        if (!sl_slice_eq(issue->code, sl_slice_of(cases[i].code)))
            fail_msg("case %zu (%s): %.*s: %.*s", i, cases[i].code, SL_FMT(issue->code), SL_FMT(issue->text));
        if (!strstr(issue->fix.ptr ? issue->fix.ptr : "", cases[i].fix))
            fail_msg("case %zu (%s): the fix is \"%.*s\"", i, cases[i].code, SL_FMT(issue->fix));
        end(&f);
    }
}

static void layers_are_named_and_one_run_shows_every_mistake(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    assert_int_equal(load(&f, head, federal, "layer: organisation\n"), SL_INVALID);
    assert_text(f.issues.first->code, "unknown-layer");
    assert_text(f.issues.first->fix, "Did you mean \"organization\"?");
    end(&f);
    begin(&f);
    assert_int_equal(load(&f, head, federal, "layer: organization\nrules: [{id: a}, {id: b}]\n"), SL_INVALID);
    assert_true(f.issues.errors >= 10);
    end(&f);
    begin(&f);
    assert_int_equal(load(&f, "title: [", "layer: federal\n- x\n", "\tx: 1\n"), SL_INVALID);
    assert_true(f.issues.errors >= 3);
    end(&f);
}

static void a_mistake_in_a_line_is_told_once(void **state)
{
    (void)state;
    struct fixture f;
    char text[4096];
    begin(&f);
    snprintf(text, sizeof text, "%s%s", house,
        "  - {id: r, title: R, verdict: withhold, data: all, to: everyone, for: any, unless: {consent: tbo}}\n");
    assert_int_equal(load(&f, head, federal, text), SL_INVALID);
    assert_text(f.issues.first->code, "unknown-consent");
    assert_int_equal(f.issues.errors, 1); /* not also that the line asks nothing */
    end(&f);
}

static void warnings_do_not_stop_a_policy(void **state)
{
    (void)state;
    struct fixture f;
    char text[4096];
    begin(&f);
    snprintf(text, sizeof text, "%s%s", federal,
        "  - {id: w, title: W, law: L, verdict: withhold, data: [part2], to: everyone, for: any, unless: {consent: "
        "tpo}}\n");
    assert_int_equal(load(&f, head, text, house), SL_OK);
    assert_text(f.issues.first->code, "part2-without-notice");
    assert_int_equal(f.issues.first->grade, SL_GRADE_WARNING);
    assert_int_equal(f.issues.first->line, 11);
    assert_int_equal(f.issues.errors, 0);
    end(&f);
    begin(&f);
    snprintf(text, sizeof text, "%s%s", house, "classes2:\n");
    assert_int_equal(
        load(&f, head, "layer: federal\nclasses:\n  - {id: lonely, title: L, kind: only-restricts}\n", house), SL_OK);
    assert_text(f.issues.first->code, "class-never-earned");
    assert_text(f.issues.last->code, "class-without-effect");
    assert_int_equal(f.issues.last->grade, SL_GRADE_ADVICE);
    end(&f);
}

static void a_folder_that_is_none_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    assert_int_equal(sl_policy_load(SLUICE_SOURCE "/no-such-folder", &f.issues, &f.policy), SL_INVALID);
    assert_int_equal(f.issues.errors, 1);
    assert_null(f.policy);
    assert_int_equal(sl_policy_load_files(NULL, 0, &f.issues, &f.policy), SL_INVALID);
    end(&f);
}

static void memory_that_runs_out_gives_no_policy(void **state)
{
    (void)state;
    struct sl_issues none = {0};
    struct sl_policy *policy = NULL;
    const struct sl_policy_file files[] = {{SL_LIT("policy.yaml"), SL_LIT("title: [")}};
    /* Issues without an arena: counted, never kept, and no crash. */
    assert_int_equal(sl_policy_load_files(files, 1, &none, &policy), SL_INVALID);
    assert_int_equal(sl_policy_load_files(files, 1, NULL, &policy), SL_INVALID);
    assert_null(policy);
}

/* ---- Purposes ---- */

static void purposes_are_found_and_nested(void **state)
{
    (void)state;
    static const struct {
        const char *text, *code;
    } names[] = {{"TREAT", "TREAT"}, {"treatment", "TREAT"},
        {"http://terminology.hl7.org/CodeSystem/v3-ActReason|HPAYMT", "HPAYMT"},
        {"urn:oid:2.16.840.1.113883.5.8#ETREAT", "ETREAT"}, {"break-the-glass", "BTG"}, {"treat", ""}, {"", ""},
        {"tpo", ""}, {"http://example.org|TREAT", ""},
        {"http://terminology.hl7.org/CodeSystem/v3-ActReason|treatment", ""}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_text(sl_purpose_find(sl_slice_of(names[i].text)), names[i].code);
    assert_true(sl_purpose_within(SL_LIT("BTG"), SL_LIT("TREAT")));
    assert_true(sl_purpose_within(SL_LIT("HLEGAL"), SL_LIT("HOPERAT")));
    assert_false(sl_purpose_within(SL_LIT("TREAT"), SL_LIT("BTG")));
    assert_false(sl_purpose_within(SL_LIT(""), SL_LIT("")));
    static const char *const tpo[] = {
        "TREAT", "ETREAT", "BTG", "COC", "TREATDS", "HPAYMT", "ELIGVER", "HOPERAT", "CAREMGT", "PATADMIN", "FRAUD"};
    static const char *const not_tpo[] = {"HLEGAL", "HMARKT", "HRESCH", "BIORCH", "PUBHLTH", "MLTRAINING", "HDIRECT",
        "DONAT", "GOV", "MILCDM", "SYSDEV", "HTEST", "TRAIN", "PATRQT", "CLINTRL", "POPHLTH", "", "NONE"};
    for (size_t i = 0; i < sizeof tpo / sizeof *tpo; i++)
        assert_true(sl_purpose_is_tpo(sl_slice_of(tpo[i])));
    for (size_t i = 0; i < sizeof not_tpo / sizeof *not_tpo; i++)
        assert_false(sl_purpose_is_tpo(sl_slice_of(not_tpo[i])));
}

/* ---- The shipped policy ---- */

static void load_shipped(struct fixture *f)
{
    begin(f);
    enum sl_status status = sl_policy_load(SHIPPED, &f->issues, &f->policy);
    for (const struct sl_issue *i = f->issues.first; i; i = i->next)
        print_message("%.*s:%zu:%zu %.*s\n", SL_FMT(i->file), i->line, i->column, SL_FMT(i->text));
    assert_int_equal(status, SL_OK);
}

static void the_shipped_policy_has_no_mistake(void **state)
{
    (void)state;
    struct fixture f;
    load_shipped(&f);
    assert_int_equal(f.issues.count, 0);
    static const char *const parties[] = {"program-staff", "named-in-consent", "treating-provider", "hie-partner",
        "front-desk", "emergency-clinician", "health-plan", "patient", "court", "ai-agent", "research-feed"};
    size_t count;
    const struct sl_slice *ids = sl_policy_parties(f.policy, &count);
    assert_int_equal(count, 11);
    for (size_t i = 0; i < count; i++)
        assert_text(ids[i], parties[i]);
    end(&f);
}

/* Rules on which nothing turns as shipped: what they withhold, nobody here releases. */
static const char *const quiet_rules[] = {
    "marketing-needs-authorization", "part2-no-proceedings", "no-machine-learning-training"};

/* The report says of no other rule that it is UNTRIED, or SURVIVES. */
static void assert_only_quiet(const char *report)
{
    for (const char *line = report; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        bool known = false;
        if (strncmp(line, "UNTRIED", 7) != 0 && strncmp(line, "SURVIVES", 8) != 0)
            continue;
        for (size_t i = 0; i < sizeof quiet_rules / sizeof *quiet_rules; i++) {
            const char *at = strstr(line, quiet_rules[i]);
            known |= at && at < strchr(line, '\n');
        }
        if (!known)
            fail_msg("%s", line);
    }
}

static void every_shipped_scenario_passes_and_every_rule_is_tried(void **state)
{
    (void)state;
    struct fixture f;
    struct sl_buffer out;
    struct sl_tested tested;
    const struct sl_test_options options = {.mutate = true};
    load_shipped(&f);
    sl_buffer_init(&out, (size_t)1 << 20);
    assert_int_equal(sl_policy_trial(f.policy, &options, &out, &tested), SL_OK);
    sl_buffer_add(&out, (struct sl_slice){"", 1});
    if (tested.failed)
        fail_msg("%s", out.ptr);
    assert_only_quiet(out.ptr);
    assert_true(tested.passed >= 60);
    assert_true(tested.survivors <= sizeof quiet_rules / sizeof *quiet_rules);
    sl_buffer_fini(&out);
    end(&f);
}

static const char deciding[] =
    "  - id: twice\n    title: T.\n    verdict: release\n    data: [chart]\n    to: [physician]\n    for: [treatment]\n"
    "  - id: never-more\n    title: T.\n    verdict: withhold\n    data: [chart]\n    to: everyone\n    for: "
    "[payment]\n";

/* A rule that merely spoke did not decide. */
static void the_rule_that_decided_is_exact(void **state)
{
    (void)state;
    static const struct {
        const char *scenario;
        bool passes;
    } cases[] = {
        /* Two rules release it: neither decides; together they do. */
        {"purpose: treatment, item: [chart]}, expect: released, by: twice}", false},
        {"purpose: treatment, item: [chart]}, expect: released, by: [twice, record]}", true},
        /* A ceiling, and no release: each keeps it back. */
        {"purpose: payment, item: [chart]}, expect: withheld, by: never-more}", false},
        {"purpose: payment, item: [chart]}, expect: withheld, by: no-release-rule}", false},
        {"purpose: payment, item: [chart]}, expect: withheld, by: [never-more, no-release-rule]}", true},
        {"purpose: treatment, item: [part2, chart]}, expect: withheld, by: ceiling}", true},
        {"purpose: treatment, denied: yes, item: [chart]}, expect: withheld, by: denied-by-consent}", true},
        {"purpose: treatment, denied: yes, item: [part2, chart]}, expect: withheld, by: ceiling}", false},
        {"purpose: treatment, denied: yes, item: [part2, chart]}, expect: withheld, by: [ceiling, denied-by-consent]}",
            true},
        {"purpose: treatment, consents: [tpo], item: [part2, chart]}, expect: released, by: ceiling, scope: yes}",
            true},
        {"purpose: treatment, consents: [tpo], item: [part2, chart]}, expect: released, scope: no}", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[8192];
        struct fixture f;
        struct sl_buffer out;
        size_t passed, failed;
        begin(&f);
        sl_buffer_init(&out, (size_t)1 << 20);
        snprintf(text, sizeof text, "%s%sscenarios:\n  - {title: T, given: {roles: [physician], %s\n", house, deciding,
            cases[i].scenario);
        assert_int_equal(load(&f, head, federal, text), SL_OK);
        assert_int_equal(sl_policy_test(f.policy, &out, &passed, &failed), SL_OK);
        sl_buffer_add(&out, (struct sl_slice){"", 1});
        if ((failed == 0) != cases[i].passes)
            fail_msg("case %zu: %s", i, out.ptr);
        sl_buffer_fini(&out);
        end(&f);
    }
}

static void a_rule_that_no_scenario_would_miss_survives(void **state)
{
    (void)state;
    static const char scenario[] = "scenarios:\n  - {title: T, given: {roles: [physician], purpose: treatment, item: "
                                   "[chart]}, expect: released}\n";
    char text[8192];
    struct fixture f;
    struct sl_buffer out;
    struct sl_tested tested;
    const struct sl_test_options options = {.json = true, .mutate = true};
    begin(&f);
    sl_buffer_init(&out, (size_t)1 << 20);
    snprintf(text, sizeof text, "%s%s", house, scenario);
    assert_int_equal(load(&f, head, federal, text), SL_OK);
    assert_int_equal(sl_policy_trial(f.policy, &options, &out, &tested), SL_OK);
    sl_buffer_add(&out, (struct sl_slice){"", 1});
    assert_int_equal(tested.survivors, 2);
    assert_int_equal(tested.unnamed, 1);
    assert_non_null(strstr(out.ptr, "\"id\":\"ceiling\",\"file\":\"federal/a.yaml\""));
    assert_non_null(strstr(out.ptr, "\"guard\":false,\"survives\":true"));
    assert_non_null(strstr(out.ptr, "\"turns-on\":[\"record\"]"));
    sl_buffer_fini(&out);
    end(&f);
}

static void a_scenario_can_fail(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "{title: T, given: {roles: [physician], purpose: treatment, item: [chart]}, expect: withheld}",
        "{title: T, given: {roles: [nurse], purpose: treatment, item: [chart]}, expect: released}",
        "{title: T, given: {roles: [physician], purpose: treatment, item: [chart]}, expect: released, by: ceiling}",
        "{title: T, given: {roles: [physician], purpose: treatment, item: [chart]}, expect: released, labels: [HIV]}",
        "{title: T, given: {roles: [physician], purpose: treatment, item: [chart]}, expect: released, notice: yes}",
        "{title: T, given: {roles: [physician], purpose: treatment, item: [chart]}, expect: released, confidentiality: "
        "R}",
        "{title: T, given: {roles: [physician], purpose: treatment, item: [chart]}, expect: refused}",
        "{title: T, given: {roles: [physician], purpose: treatment, consents: [tpo], item: [part2, chart]}, expect: "
        "released, "
        "without-labels: [CPLYJPP]}",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char text[4096];
        struct fixture f;
        struct sl_buffer out;
        size_t passed, failed;
        begin(&f);
        sl_buffer_init(&out, (size_t)1 << 20);
        snprintf(text, sizeof text, "%sscenarios:\n  - %s\n", house, wrong[i]);
        assert_int_equal(load(&f, head, federal, text), SL_OK);
        assert_int_equal(sl_policy_test(f.policy, &out, &passed, &failed), SL_OK);
        sl_buffer_add(&out, (struct sl_slice){"", 1});
        if (failed != 1 || passed || !strstr(out.ptr, "FAIL house/b.yaml:14") ||
            !strstr(out.ptr, "UNTRIED federal/a.yaml:10"))
            fail_msg("case %zu: %s", i, out.ptr);
        sl_buffer_fini(&out);
        end(&f);
    }
}

static void every_type_earns_a_class_that_needs_a_yes(void **state)
{
    (void)state;
    struct fixture f;
    load_shipped(&f);
    const struct sl_earning *earning = sl_policy_earning(f.policy);
    size_t types = 0;
    for (unsigned node = 1; node < SL_R4_NODES; node++) {
        if (!sl_r4_is_resource((sl_r4_node)node))
            continue;
        bool needs = false;
        for (unsigned bit = 0; bit < sl_policy_class_count(f.policy); bit++)
            needs |= sl_classes_has(&earning->by_type[node], bit) && sl_policy_class(f.policy, bit)->needs_yes;
        assert_true(needs);
        types++;
    }
    assert_true(types > 140);
    static const struct {
        const char *type, *class;
    } cases[] = {{"Patient", "demographic"}, {"Slot", "scheduling"}, {"Claim", "billing"},
        {"Organization", "directory"}, {"Consent", "consent"}, {"AuditEvent", "audit"}, {"Observation", "chart"},
        {"Provenance", "chart"}, {"DocumentReference", "document"}, {"Questionnaire", "definitions"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned bit = sl_policy_class_find(f.policy, sl_slice_of(cases[i].class));
        sl_r4_node node = sl_r4_resource(sl_slice_of(cases[i].type));
        assert_true(node && sl_classes_has(&earning->by_type[node], bit));
    }
    end(&f);
}

static const struct sl_security_rule *earned_by(const struct sl_policy *policy, const char *system, const char *code)
{
    const struct sl_earning *earning = sl_policy_earning(policy);
    for (size_t i = 0; i < earning->security_count; i++)
        if (sl_slice_eq(earning->security[i].system, sl_slice_of(system)) &&
            sl_slice_eq(earning->security[i].code, sl_slice_of(code)))
            return &earning->security[i];
    return NULL;
}

static void labels_are_told_by_system_and_code(void **state)
{
    (void)state;
    struct fixture f;
    load_shipped(&f);
    unsigned part2 = sl_policy_class_find(f.policy, SL_LIT("part2")),
             hiv = sl_policy_class_find(f.policy, SL_LIT("hiv"));
    static const char act[] = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
    assert_true(sl_classes_has(&earned_by(f.policy, act, "42CFRPart2")->classes, part2));
    assert_true(sl_classes_has(
        &earned_by(f.policy, "http://terminology.hl7.org/CodeSystem/v3-ActUSPrivacyLaw", "42CFRPart2")->classes,
        part2));
    assert_true(sl_classes_has(&earned_by(f.policy, act, "HIV")->classes, hiv));
    /* Retired, and understood all the same. */
    assert_true(sl_classes_has(
        &earned_by(f.policy, "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "HIV")->classes, hiv));
    assert_null(earned_by(f.policy, "", "HIV"));
    /* Never emitted but from v3-ActCode. */
    const struct sl_class *class = sl_policy_class(f.policy, hiv);
    for (size_t i = 0; i < class->label_count; i++)
        assert_text(class->labels[i].system, act);
    end(&f);
}

static void the_statement_of_2_32_stands_word_for_word(void **state)
{
    (void)state;
    struct fixture f;
    load_shipped(&f);
    struct sl_slice notice = sl_policy_notice(f.policy);
    assert_text(
        sl_policy_short_notice(f.policy), "42 CFR part 2 prohibits unauthorized use or disclosure of these records.");
    assert_true(sl_slice_starts(notice, SL_LIT("This record which has been disclosed to you is protected by Federal")));
    static const char last[] = "is NOT sufficient to meet the required elements of written consent to further use or "
                               "redisclose the record (see 42 CFR 2.31).";
    assert_memory_equal(notice.ptr + notice.len - (sizeof last - 1), last, sizeof last - 1);
    end(&f);
}

/* The whole matrix stands in docs/labels.md, so that any change of effect shows in review. */
static void who_sees_what_is_as_it_was(void **state)
{
    (void)state;
    struct fixture f;
    struct sl_buffer out;
    struct sl_slice page;
    load_shipped(&f);
    sl_buffer_init(&out, (size_t)1 << 20);
    assert_int_equal(sl_policy_matrix(f.policy, SL_MATRIX_TEXT, false, &out), SL_OK);
    assert_int_equal(sl_file_read(f.arena, SLUICE_SOURCE "/docs/labels.md", (size_t)1 << 20, &page), SL_OK);
    if (!memmem(page.ptr, page.len, out.ptr, out.len))
        fail_msg("docs/labels.md does not have this matrix (sluice policy matrix consent/policies):\n%.*s",
            SL_FMT(sl_buffer_slice(&out)));
    sl_buffer_fini(&out);
    end(&f);
}

static void the_matrix_comes_in_three_forms(void **state)
{
    (void)state;
    static const struct {
        enum sl_matrix_form form;
        const char *has;
    } forms[] = {{SL_MATRIX_TEXT, "part2 "}, {SL_MATRIX_PAGE, "<td class=\"consent\">consent</td>"},
        {SL_MATRIX_JSON, "{\"class\":\"part2\",\"party\":\"health-plan\",\"purpose\":\"HOPERAT\",\"may\":\"no\"}"}};
    struct fixture f;
    load_shipped(&f);
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct sl_buffer out;
        sl_buffer_init(&out, (size_t)16 << 20);
        assert_int_equal(sl_policy_matrix(f.policy, forms[i].form, true, &out), SL_OK);
        if (!memmem(out.ptr, out.len, forms[i].has, strlen(forms[i].has)))
            fail_msg("form %zu does not have %s", i, forms[i].has);
        sl_buffer_fini(&out);
    }
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_small_policy_is_good),
        cmocka_unit_test(each_mistake_is_reported_in_its_place),
        cmocka_unit_test(each_mistake_in_a_class_or_consent_is_reported),
        cmocka_unit_test(layers_are_named_and_one_run_shows_every_mistake),
        cmocka_unit_test(a_mistake_in_a_line_is_told_once),
        cmocka_unit_test(warnings_do_not_stop_a_policy),
        cmocka_unit_test(a_folder_that_is_none_is_refused),
        cmocka_unit_test(memory_that_runs_out_gives_no_policy),
        cmocka_unit_test(purposes_are_found_and_nested),
        cmocka_unit_test(the_shipped_policy_has_no_mistake),
        cmocka_unit_test(every_shipped_scenario_passes_and_every_rule_is_tried),
        cmocka_unit_test(the_rule_that_decided_is_exact),
        cmocka_unit_test(a_rule_that_no_scenario_would_miss_survives),
        cmocka_unit_test(a_scenario_can_fail),
        cmocka_unit_test(every_type_earns_a_class_that_needs_a_yes),
        cmocka_unit_test(labels_are_told_by_system_and_code),
        cmocka_unit_test(the_statement_of_2_32_stands_word_for_word),
        cmocka_unit_test(who_sees_what_is_as_it_was),
        cmocka_unit_test(the_matrix_comes_in_three_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
