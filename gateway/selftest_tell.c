/* SPDX-License-Identifier: Apache-2.0 */
/* What the self-test has shown: of each class, by each form; and what is not as it should be. */
#include "selftest_parts.h"

#define ISSUES 20u /* told, at most, of a kind */

static struct sl_slice class_of(const struct sl_selftest *t, unsigned bit)
{
    return sl_policy_class(t->gateway.policy, bit)->id;
}

static const char *party_of(const struct sl_selftest *t, const struct sl_asking *asking)
{
    return asking->asker ? sl_arena_printf(t->arena, "%.*s for %.*s", SL_FMT(asking->asker->recipient.party),
                               SL_FMT(asking->asker->recipient.purpose))
                               .ptr
                         : "one who may have everything";
}

/* ---- What came through ---- */

void sl_selftest_leaked(struct sl_selftest *t, const struct sl_asking *asking, size_t at)
{
    const struct sl_canary *canary = &t->canaries.one[at];
    t->leaks++;
    if (t->told[at] || t->leaks > ISSUES * ISSUES)
        return;
    t->told[at] = true;
    sl_issue_add(t->issues, SL_GRADE_ERROR, "selftest-leak",
        "A canary of the class %.*s (by %s, %.*s) came through to %s, who may not have it: %.*s %.*s.",
        SL_FMT(class_of(t, canary->class_bit)), canary->way, SL_FMT(canary->type), party_of(t, asking),
        SL_FMT(asking->request.method_text), SL_FMT(asking->request.target));
}

/* An answer for a record that must not be told of is that for one that is not there. */
static void compare(struct sl_selftest *t, struct sl_asking *asking)
{
    struct sl_line *line = asking->line;
    const struct sl_canary *canary = &t->canaries.one[line->canary];
    struct sl_cell *cell = sl_selftest_cell(t, line->form, canary->class_bit);
    bool same = asking->status == asking->missing->status && asking->print == asking->missing->print;
    if (same)
        return;
    if (!asking->asker) {
        cell->shown += !sl_classes_has(&line->shown, canary->class_bit);
        sl_classes_add(&line->shown, canary->class_bit);
        return;
    }
    if (sl_classes_has(&asking->asker->may, canary->class_bit))
        return;
    cell->leaked++;
    if (t->leaks++ < ISSUES)
        sl_issue_add(t->issues, SL_GRADE_ERROR, "selftest-told",
            "That there is a canary of the class %.*s (by %s) was told to %s, who may not have it: %.*s %.*s is "
            "answered otherwise than for a record that is not there (%d, %d).",
            SL_FMT(class_of(t, canary->class_bit)), canary->way, party_of(t, asking),
            SL_FMT(asking->request.method_text), SL_FMT(asking->request.target), asking->status,
            asking->missing->status);
}

/* ---- What was answered otherwise than it should be ---- */

static bool is_as_said(const struct sl_selftest *t, const struct sl_asking *asking)
{
    char number[12];
    const char *says = sl_forms[asking->line->form].says;
    (void)snprintf(number, sizeof number, "%d", asking->status);
    const char *at = strstr(says, number);
    /* Whom the policy lets have nothing at all is told so, whatever there is. */
    if (asking->status == 403 && asking->asker && !asking->asker->admitted)
        return true;
    /* Of a record that is not there, or not any more, the control is told what anybody is. */
    size_t canary = asking->line->canary;
    bool gone = canary < SL_CANARIES ? t->canaries.one[canary].deleted : sl_forms[asking->line->form].flags & ASK_TWIN;
    return at && (at == says || asking->asker || gone);
}

static void check_status(struct sl_selftest *t, const struct sl_asking *asking)
{
    if (is_as_said(t, asking) || t->report.unexpected++ >= ISSUES)
        return;
    sl_issue_add(t->issues, SL_GRADE_ERROR, "selftest-status",
        "The form %s was answered to %s with %d, and only %s would be as it should: %.*s %.*s.",
        sl_forms[asking->line->form].word, party_of(t, asking), asking->status, sl_forms[asking->line->form].says,
        SL_FMT(asking->request.method_text), SL_FMT(asking->request.target));
}

/* ---- What was examined ---- */

/* Who asked for what the line can show, and may not have it. */
static void count_asked(struct sl_selftest *t, const struct sl_asking *asking)
{
    if (!asking->asker || asking->page)
        return;
    for (unsigned bit = sl_classes_next(&asking->line->shown, 0); bit < SL_CLASS_LIMIT;
         bit = sl_classes_next(&asking->line->shown, bit + 1))
        if (!sl_classes_has(&asking->asker->may, bit))
            sl_selftest_cell(t, asking->line->form, bit)->asked++;
}

static struct sl_cell sum_of(const struct sl_selftest *t, size_t form, unsigned bit)
{
    struct sl_cell sum = {0};
    for (size_t f = form < sl_form_count ? form : 0; f < (form < sl_form_count ? form + 1 : sl_form_count); f++)
        for (unsigned b = bit < SL_CLASS_LIMIT ? bit : 0; b < (bit < SL_CLASS_LIMIT ? bit + 1 : SL_CLASS_LIMIT); b++) {
            const struct sl_cell *cell = sl_selftest_cell(t, f, b);
            sum.shown += cell->shown;
            sum.asked += cell->asked;
            sum.released += cell->released;
            sum.leaked += cell->leaked;
        }
    return sum;
}

/* Can it be had by the policy alone, so that it must have come through to somebody? */
static bool is_expected(const struct sl_selftest *t, unsigned bit)
{
    for (size_t i = 0; i < t->canaries.count; i++)
        if (t->canaries.one[i].class_bit == bit && sl_classes_has(&t->canaries.one[i].classes, bit) &&
            sl_selftest_asker(t, i, true))
            return true;
    return false;
}

static size_t planted_of(const struct sl_selftest *t, unsigned bit)
{
    size_t count = 0;
    for (size_t i = 0; i < t->canaries.count; i++)
        count += t->canaries.one[i].class_bit == bit;
    return count;
}

/* Of each class that was planted and that somebody may have, one canary must have come through. */
static void judge_class(struct sl_selftest *t, unsigned bit)
{
    struct sl_cell sum = sum_of(t, sl_form_count, bit);
    bool planted = planted_of(t, bit) > 0;
    t->report.classes += planted;
    t->report.unplanted += !planted;
    if (planted && !sum.shown)
        sl_issue_add(t->issues, SL_GRADE_ERROR, "selftest-nothing",
            "No canary of the class %.*s was shown even to one who may have everything: nothing was examined.",
            SL_FMT(class_of(t, bit)));
    else if (!sum.released && is_expected(t, bit))
        sl_issue_add(t->issues, SL_GRADE_ERROR, "selftest-nothing",
            "No canary of the class %.*s came through to anybody, and some may have it: nothing was examined.",
            SL_FMT(class_of(t, bit)));
}

static bool is_asked(const struct sl_selftest *t, size_t form)
{
    const struct sl_line *line = t->lines;
    while (line && line->form != form)
        line = line->next;
    return line;
}

/* What fits no canary of this policy's classes was not asked. */
static void judge_form(struct sl_selftest *t, size_t form)
{
    struct sl_cell sum = sum_of(t, form, SL_CLASS_LIMIT);
    bool silent = sl_forms[form].flags & ASK_SILENT;
    if (!silent && !sum.shown && is_asked(t, form))
        sl_issue_add(t->issues, SL_GRADE_ERROR, "selftest-nothing",
            "The form %s showed no canary even to one who may have everything: nothing was examined by it.",
            sl_forms[form].word);
    else if (silent && sum.shown)
        sl_issue_add(t->issues, SL_GRADE_ERROR, "selftest-told", "The form %s shows canaries, and should show none.",
            sl_forms[form].word);
}

enum sl_status sl_selftest_judge(struct sl_selftest *t)
{
    size_t before = t->issues->errors;
    for (struct sl_asking *asking = t->askings; asking; asking = asking->next) {
        check_status(t, asking);
        if (asking->missing)
            compare(t, asking);
    }
    for (const struct sl_asking *asking = t->askings; asking; asking = asking->next)
        count_asked(t, asking);
    for (unsigned bit = 0; bit < sl_policy_class_count(t->gateway.policy); bit++)
        judge_class(t, bit);
    for (size_t form = 0; form < sl_form_count; form++)
        judge_form(t, form);
    if (!t->report.let_through)
        sl_issue_add(
            t->issues, SL_GRADE_ERROR, "selftest-nothing", "Nothing came through at all: nothing was examined.");
    return t->leaks || t->report.unexpected || t->issues->errors > before ? SL_FORBIDDEN : SL_OK;
}

/* ---- In print ---- */

static void print_ways(const struct sl_selftest *t, unsigned bit, FILE *out)
{
    for (size_t i = 0; i < t->canaries.count; i++) {
        bool again = t->canaries.one[i].class_bit != bit;
        for (size_t k = 0; k < i && !again; k++)
            again = t->canaries.one[k].class_bit == bit && t->canaries.one[k].way == t->canaries.one[i].way;
        if (!again)
            fprintf(out, " %s", t->canaries.one[i].way);
    }
}

static void print_class(const struct sl_selftest *t, unsigned bit, FILE *out)
{
    struct sl_cell sum = sum_of(t, sl_form_count, bit);
    size_t planted = planted_of(t, bit);
    fprintf(out, "%.*s: ", SL_FMT(class_of(t, bit)));
    if (!planted) {
        fprintf(out, "not tested: no record can be made that earns it\n");
        return;
    }
    fprintf(out, "%zu canaries, by", planted);
    print_ways(t, bit, out);
    fprintf(out, "\n  shown to who may have everything %u times, released to who may have it %u, ", sum.shown,
        sum.released);
    fprintf(out,
        sum.asked ? "asked for %u times by who may not, %u came through\n" : "there is no party that may not\n",
        sum.asked, sum.leaked);
    if (!sum.asked)
        return;
    fprintf(out, "  by");
    for (size_t form = 0; form < sl_form_count; form++)
        if (sl_selftest_cell(t, form, bit)->asked)
            fprintf(out, " %s %u", sl_forms[form].word, sl_selftest_cell(t, form, bit)->asked);
    fprintf(out, "\n");
}

static void print_form(const struct sl_selftest *t, size_t form, FILE *out)
{
    struct sl_cell sum = sum_of(t, form, SL_CLASS_LIMIT);
    unsigned classes = 0;
    for (unsigned bit = 0; bit < sl_policy_class_count(t->gateway.policy); bit++)
        classes += sl_selftest_cell(t, form, bit)->asked > 0;
    fprintf(out, "%-22s %8u %8u %8u %8u %8u   %s\n", sl_forms[form].word, classes, sum.shown, sum.asked, sum.released,
        sum.leaked, sl_forms[form].flags & ASK_SILENT ? "shows none to anybody" : "");
}

void sl_selftest_print(const struct sl_selftest *t, FILE *out)
{
    for (unsigned bit = 0; bit < sl_policy_class_count(t->gateway.policy); bit++)
        print_class(t, bit, out);
    fprintf(out, "\n%-22s %8s %8s %8s %8s %8s\n", "form", "classes", "shown", "asked", "released", "leaked");
    for (size_t form = 0; form < sl_form_count; form++)
        print_form(t, form, out);
}
