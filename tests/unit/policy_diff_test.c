/* SPDX-License-Identifier: Apache-2.0 */
/* What two policies do differently: one edit each, both ways; what is told of it, and which way it counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sluice/buffer.h"
#include "sluice/policy.h"

static const char house[] =
    "layer: organization\n"
    "parties:\n"
    "  - {id: physician, title: P, roles: [physician], except-kinds: [payer]}\n"
    "  - {id: plan, title: P, kinds: [payer]}\n"
    "  - {id: patient, title: P, roles: [patient], relationship: [self], vouched-by: [token]}\n"
    "classes:\n"
    "  - {id: chart, title: C, kind: needs-yes, earned-by: {types: others}}\n"
    "  - {id: words, title: W, kind: only-restricts, earned-by: {text: yes}}\n"
    "consents:\n"
    "  - {id: tpo, title: C, purposes: [treatment], forms: [{categories: [{system: s, code: c}]}]}\n"
    "  - {id: other, title: C, forms: [{categories: [{system: s, code: d}]}]}\n"
    "invariants:\n"
    "  - {id: kept, title: I, never: release, data: [chart], to: [patient], for: [research]}\n"
    "  - {id: promise, title: I, never: release, data: [chart], to: [plan], for: [research]}\n"
    "rules:\n"
    "  - {id: care, title: R, verdict: release, data: [chart], to: [physician], for: [treatment]}\n"
    "  - {id: pays, title: R, verdict: release, data: [chart], to: [plan], for: [payment], "
    "only-if: [{consent: tpo}]}\n"
    "  - {id: own, title: R, verdict: release, data: [chart], to: [patient], for: [patient-request]}\n"
    "  - {id: quiet, title: W, verdict: withhold, data: [words], to: [plan], for: any}\n";

struct fixture {
    struct sl_arena *arena;
    struct sl_issues issues;
    struct sl_buffer out;
    struct sl_policy_diff result;
};

static struct sl_policy *load(struct fixture *f, const char *text, const char *codes, const char *words)
{
    struct sl_policy *policy = NULL;
    const struct sl_policy_file files[] = {
        {SL_LIT("policy.yaml"),
            SL_LIT("title: T\nversion: \"1\"\nnotice: {version: \"1\", statement: S., short: s.}\nlexicon: lexicon\n")},
        {SL_LIT("house/b.yaml"), sl_slice_of(text)},
        {SL_LIT("terminology/systems.csv"),
            SL_LIT(
                "name,uri,kind,form,family,aliases\nicd-10-cm,http://hl7.org/fhir/sid/icd-10-cm,code,icd,claims,\n")},
        {SL_LIT("terminology/categories.csv"), sl_slice_of(codes)},
        {SL_LIT("lexicon/words.csv"), sl_slice_of(words)},
    };
    enum sl_status status = sl_policy_load_files(files, sizeof files / sizeof *files, &f->issues, &policy);
    for (const struct sl_issue *i = f->issues.first; i && status != SL_OK; i = i->next)
        print_message("%.*s:%zu:%zu %.*s\n", SL_FMT(i->file), i->line, i->column, SL_FMT(i->text));
    assert_int_equal(status, SL_OK);
    return policy;
}

static const char codes[] = "id,sensitivity,confidentiality,part2,also_match\nSUD_OPIOID,OPIOIDUD,R,yes,ETH|SUD\n";

#define WORDS "topic,term,flags,near\nsubstance-use,heroin use,,\n"

static void compare_all(struct fixture *f, struct sl_policy *a, struct sl_policy *b)
{
    sl_buffer_clear(&f->out);
    assert_int_equal(sl_policy_diff(a, b, f->arena, &f->out, &f->result), SL_OK);
    sl_buffer_add(&f->out, (struct sl_slice){"", 1});
    sl_policy_unref(a);
    sl_policy_unref(b);
}

static void compare(
    struct fixture *f, const char *before, const char *after, const char *before_codes, const char *after_codes)
{
    compare_all(f, load(f, before, before_codes, WORDS), load(f, after, after_codes, WORDS));
}

static char *edited(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    assert_non_null(at);
    size_t size = strlen(text) + strlen(to) + 1;
    char *copy = malloc(size);
    assert_non_null(copy);
    snprintf(copy, size, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    return copy;
}

static void begin(struct fixture *f)
{
    *f = (struct fixture){.arena = sl_arena_new((size_t)256 << 20)};
    assert_non_null(f->arena);
    f->issues.arena = f->arena;
    sl_buffer_init(&f->out, (size_t)1 << 20);
}

static void end(struct fixture *f)
{
    sl_buffer_fini(&f->out);
    sl_arena_free(f->arena);
}

enum way { TIGHTER, LOOSER, EITHER };

/* An edit, the way it goes (the edit undone goes the other way, where there is one), and what is told of it. */
static const struct edit {
    const char *from, *to;
    enum way way;
    const char *says, *undone;
} edits[] = {
    {"data: [chart], to: [physician], for: [treatment]", "data: [chart], to: [physician, plan], for: [treatment]",
        LOOSER, "plan for treatment", "now withheld"},
    {"data: [chart], to: [physician], for: [treatment]", "data: [chart], to: [physician], for: [treatment, research]",
        LOOSER, "physician for research", "physician for research"},
    {", only-if: [{consent: tpo}]", "", LOOSER, "chart now released, without consent tpo",
        "chart now withheld, without consent tpo"},
    {"only-if: [{consent: tpo}]", "only-if: [{consent: [tpo, other]}]", LOOSER,
        "chart now released, with consent other, without consent tpo", "with consent other, without consent tpo"},
    {"only-if: [{consent: tpo}]", "only-if: [{consent: tpo}, {kinds: [payer], except-kinds: [broker]}]", LOOSER,
        "chart now released, with being payer, and not broker, without consent tpo", "now withheld, with being payer"},
    {"only-if: [{consent: tpo}]", "only-if: [{consent: tpo, except-kinds: [broker]}]", TIGHTER,
        "chart now withheld, with consent tpo, without being not broker", "now released"},
    {"only-if: [{consent: tpo}]", "only-if: [{consent: tpo, relationship: self}]", TIGHTER,
        "now withheld, with consent tpo, without relationship self", "now released"},
    {"to: [plan], for: any}", "to: [plan], for: any, unless: [{consent: other}]}", LOOSER,
        "plan for any purpose: words now released, with consent other", "now withheld, with consent other"},
    {"to: [plan], for: any}", "to: everyone, for: any}", TIGHTER,
        "physician, patient for any purpose: words now withheld", "words now released"},
    {"roles: [physician]", "roles: [physician, nurse]", LOOSER, "party physician, roles: gains nurse", "loses nurse"},
    {", except-kinds: [payer]", "", LOOSER, "party physician, except-kinds: no longer [payer]", "now [payer]"},
    {"code: d}", "code: e}", LOOSER, "consent other, forms: gains {categories: [{system: s, code: e}]}", "gains"},
    {"purposes: [treatment], forms", "purposes: [treatment, payment], forms", TIGHTER,
        "consent tpo, purposes: gains payment", "loses payment"},
    {"  - {id: promise, title: I, never: release, data: [chart], to: [plan], for: [research]}\n", "", EITHER,
        "invariant promise: no longer there", "invariant promise: new"},
    {"to: [plan], for: [research]}", "to: [plan], for: [marketing]}", EITHER, "invariant promise, for: gains marketing",
        "loses marketing"},
    {"earned-by: {text: yes}", "earned-by: {text: yes, unread: yes}", TIGHTER, "class words, unread: gains yes",
        "loses yes"},
    {"to: [physician], for: [treatment]}", "to: [physician], for: [treatment], then: {account: yes}}", TIGHTER,
        "goes out now with accounting", "no longer with accounting"},
    {"rules:\n",
        "searches:\n  - {id: words, title: S, to: [physician], for: [treatment], by: [filter, content]}\nrules:\n",
        LOOSER, ": may now search by _content", ": may no longer search by _filter"},
    {"title: C, kind: needs-yes", "title: C, kind: needs-yes, confidentiality: R", EITHER,
        "now with R, no longer with N", "now with N, no longer with R"},
};

static size_t counted(const struct sl_policy_diff *d, enum way way)
{
    return way == TIGHTER ? d->tighter : way == LOOSER ? d->looser : d->either;
}

static void assert_says(const struct fixture *f, const char *words)
{
    if (!strstr(f->out.ptr, words))
        fail_msg("\"%s\" is not in\n%s", words, f->out.ptr);
}

static void each_edit_is_told_both_ways(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        const struct edit *e = &edits[i];
        char *after = edited(house, e->from, e->to);
        compare(&f, house, after, codes, codes);
        assert_says(&f, e->says);
        if (!counted(&f.result, e->way))
            fail_msg("edit %zu does not go that way:\n%s", i, f.out.ptr);
        assert_true(sl_policy_diff_loosens(&f.result) == (strstr(f.out.ptr, "Releases nothing new.") == NULL));
        if (e->way == TIGHTER)
            assert_false(sl_policy_diff_loosens(&f.result));
        compare(&f, after, house, codes, codes);
        assert_says(&f, e->undone);
        if (e->way == TIGHTER)
            assert_true(sl_policy_diff_loosens(&f.result));
        free(after);
    }
    end(&f);
}

static void the_same_is_the_same(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    compare(&f, house, house, codes, codes);
    assert_says(&f, "The two policies do the same.");
    assert_says(&f, "Releases nothing new.");
    assert_true(f.result.cells > 100);
    end(&f);
}

/* Who is told to be a party by its kinds alone is that party, by whichever of the two a rule speaks of it. */
static void kinds_may_stand_for_a_party(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    char *kinds = edited(house, "to: [plan], for: any}", "to: everyone, for: any, only-if: [{kinds: [payer]}]}");
    char *fewer = edited(house, "to: [plan], for: any}", "to: everyone, for: any, only-if: [{kinds: [broker]}]}");
    compare(&f, house, kinds, codes, codes);
    assert_int_equal(f.result.looser + f.result.tighter + f.result.either, 0);
    compare(&f, house, fewer, codes, codes);
    assert_true(f.result.looser && f.result.tighter);
    free(kinds);
    free(fewer);
    end(&f);
}

/* A release under a ban that nobody escapes changes nothing, and says so. */
static void what_is_barred_anyway_is_no_change(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    char *ban = edited(house, "rules:\n",
        "rules:\n  - {id: ban, title: B, verdict: withhold, data: [chart], to: everyone, "
        "for: [research]}\n");
    char *more = edited(ban, "to: [physician], for: [treatment]", "to: [physician], for: [treatment, research]");
    compare(&f, ban, more, codes, codes);
    assert_says(&f, "The two policies do the same.");
    free(more);
    free(ban);
    end(&f);
}

/* A ban on one party matters to who is also another that may have it, although the party itself never could. */
static void a_ban_counts_in_combinations(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    char *ban = edited(house, "rules:\n",
        "rules:\n  - {id: ban, title: B, verdict: withhold, data: [chart], to: [plan], "
        "for: [treatment]}\n");
    compare(&f, ban, house, codes, codes);
    assert_says(&f, "plan for treatment");
    assert_says(&f, "no longer barred, for a recipient who is another party too");
    assert_true(f.result.looser > 0);
    free(ban);
    end(&f);
}

static void rows_of_code_lists_are_counted(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    static const char more[] =
        "id,sensitivity,confidentiality,part2,also_match\nSUD_OPIOID,OPIOIDUD,R,yes,ETH|SUD\nHIV,HIV,R,no,\n";
    compare(&f, house, house, codes, more);
    assert_says(&f, "list terminology/categories.csv: 0 rows fewer, 1 more");
    assert_true(sl_policy_diff_loosens(&f.result)); /* what it makes known is no longer unclassified */
    compare(&f, house, house, more, codes);
    assert_says(&f, "1 row fewer, 0 more");
    assert_true(sl_policy_diff_loosens(&f.result));
    end(&f);
}

/* A term more withholds more. A phrase of `none` makes terms count no more: somebody must look. */
static void a_phrase_in_which_no_term_counts_may_release(void **state)
{
    (void)state;
    struct fixture f;
    static const struct {
        const char *before, *after;
        bool loosens;
    } cases[] = {{WORDS, WORDS "violence,bruises,,\n", false}, {WORDS "violence,bruises,,\n", WORDS, true},
        {WORDS, WORDS "none,heroin use,,\n", true}, {WORDS, WORDS "\"none\",heroin use,,\n", true}};
    begin(&f);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        compare_all(&f, load(&f, house, codes, cases[i].before), load(&f, house, codes, cases[i].after));
        if (sl_policy_diff_loosens(&f.result) != cases[i].loosens)
            fail_msg("%s: %s", cases[i].after, f.out.ptr);
    }
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_edit_is_told_both_ways),
        cmocka_unit_test(the_same_is_the_same),
        cmocka_unit_test(kinds_may_stand_for_a_party),
        cmocka_unit_test(what_is_barred_anyway_is_no_change),
        cmocka_unit_test(a_ban_counts_in_combinations),
        cmocka_unit_test(rows_of_code_lists_are_counted),
        cmocka_unit_test(a_phrase_in_which_no_term_counts_may_release),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
