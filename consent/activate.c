/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What it takes to put a policy in force, decided in one place for every way there is: a directory, an earlier
 * generation, an emergency.
 *
 * What is in force and what is to come are compared exhaustively (sl_policy_diff). A change that releases nothing new
 * takes one person; one that does, or of which nobody can say, two. People are those who have keys, and they are
 * counted by their signatures: an author's name is only a claim. There is no way around it: no option, no variable, no
 * file.
 */
#include "generation_parts.h"
#include "policy_model.h"

struct plan {
    struct sl_arena *arena;
    struct sl_issues *issues;
    const struct sl_activation *what;
    struct sl_approver_log log;
    struct sl_generation before, after;
    bool replaces; /* something is in force */
    struct sl_signatures signatures;
};

/* ---- What is in force ---- */

static enum sl_status read_before(struct sl_store *store, struct plan *plan)
{
    enum sl_status status = sl_policy_generation(store, 0, plan->arena, &plan->before);
    plan->replaces = status == SL_OK || status == SL_CORRUPT;
    return status == SL_MISSING || status == SL_CORRUPT ? SL_OK : status;
}

/* If what is in force cannot be read, nothing can be compared, and the change counts as one that releases more. */
static enum sl_status compare(struct sl_store *store, struct plan *plan, struct sl_buffer *told)
{
    struct sl_policy *before = NULL;
    if (!plan->replaces) {
        sl_buffer_add(told, SL_LIT("Nothing is in force yet.\n"));
        return SL_OK;
    }
    struct sl_issues quiet = {.arena = plan->arena};
    enum sl_status status = sl_policy_of_generation(store, plan->before.number, &quiet, &before);
    if (status == SL_CORRUPT || status == SL_INVALID) {
        sl_buffer_printf(told, "Generation %llu, which is in force, cannot be read: nothing can be compared with it.\n",
            (unsigned long long)plan->before.number);
        return SL_OK;
    }
    SL_TRY(status);
    status = sl_policy_diff(before, plan->what->policy, plan->arena, told, &plan->after.diff);
    plan->after.compared = status == SL_OK;
    sl_policy_unref(before);
    if (status != SL_LIMIT)
        return status;
    sl_buffer_add(told, SL_LIT("Together the two policies have more parties or classes than can be compared.\n"));
    return SL_OK;
}

/* ---- How many people ---- */

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* The rule of the policy that is in force decides, not that of the one to come: else a policy could excuse itself. */
static unsigned needed_of(const struct plan *plan)
{
    unsigned people = sl_approvers_people(plan->log.list, plan->log.count);
    if (!people)
        return 0;
    if (!plan->replaces)
        return plan->what->policy->one_person ? 1 : 2;
    if (plan->after.compared && !sl_policy_diff_loosens(&plan->after.diff))
        return 1;
    if (plan->before.damaged) /* whether its house is one of one officer cannot be read either */
        return least(people, 2);
    return plan->before.one_person ? 1 : 2;
}

static void say_missing(const struct plan *plan)
{
    unsigned needed = plan->after.needed, given = plan->signatures.people;
    const char *why = !plan->replaces ? "Nothing is in force yet, so that all of it is new"
                      : plan->after.compared && !sl_policy_diff_loosens(&plan->after.diff) ? "It releases nothing new"
                      : !plan->after.compared   ? "It cannot be compared with what is in force"
                      : plan->after.diff.looser ? "It releases more"
                                                : "It may release more";
    struct sl_issue *issue = sl_issue_add(plan->issues, SL_GRADE_ERROR, "approvals-missing",
        "%s: %u %s of those who have keys must approve it, and %u did.", why, needed,
        needed == 1 ? "person" : "different people", given);
    if (issue)
        issue->fix = SL_LIT("They sign it with `sluice policy sign`, and --approval names their files here.");
    if (sl_approvers_people(plan->log.list, plan->log.count) >= needed)
        return;
    issue = sl_issue_add(plan->issues, SL_GRADE_NOTE, "approvals-missing", "Fewer people than that have keys.");
    if (issue)
        issue->fix = SL_LIT("Register one more (sluice policy keys add); a house of one officer says `two-person-rule: "
                            "no` in its first policy.yaml.");
}

/* ---- All of it ---- */

/* The sources of a generation were let in when they came; as long as they are the same, later packs are not asked. */
static enum sl_status check_sources(struct sl_store *store, const struct plan *plan)
{
    struct sl_generation old;
    const struct sl_activation *what = plan->what;
    if (!what->rollback_of)
        return what->any_packs ? SL_OK : sl_policy_check_packs(what->policy, plan->issues);
    SL_TRY(sl_policy_generation(store, what->rollback_of, plan->arena, &old));
    return sl_slice_eq(old.digest, sl_policy_digest(what->policy)) ? SL_OK : SL_INVALID;
}

static enum sl_status fill(struct plan *plan)
{
    const struct sl_activation *what = plan->what;
    struct sl_slice rendering;
    SL_TRY(sl_approval_rendering(what->policy, plan->arena, &rendering));
    struct sl_generation *g = &plan->after;
    g->digest = sl_policy_digest(what->policy);
    g->title = what->policy->title;
    g->version = what->policy->version;
    g->author = what->author;
    g->note = what->note;
    g->tested = what->tested;
    g->activated = what->now;
    g->rollback_of = what->rollback_of;
    g->one_person = what->policy->one_person;
    g->replaces = plan->replaces ? plan->before.number : 0;
    g->before_seal = plan->before.seal;
    g->text = sl_approval_text_make(plan->arena, g->digest, rendering, plan->replaces ? &plan->before : NULL);
    g->needed = needed_of(plan);
    return g->text.ptr ? SL_OK : SL_NO_MEMORY;
}

static enum sl_status check(struct sl_store *store, struct plan *plan)
{
    const struct sl_activation *what = plan->what;
    enum sl_status packs = check_sources(store, plan);
    if (packs != SL_OK && packs != SL_INVALID)
        return packs;
    enum sl_status status = sl_approvals_check(plan->log.list, plan->log.count, plan->after.text, what->approvals,
        what->approval_count, plan->issues, &plan->signatures);
    if (status == SL_OK && plan->signatures.people < plan->after.needed) {
        say_missing(plan);
        status = SL_FORBIDDEN;
    }
    plan->after.approvals = plan->signatures.approvals;
    plan->after.approval_count = plan->signatures.count;
    return packs != SL_OK ? packs : status;
}

static enum sl_status activate(
    struct sl_store *store, struct plan *plan, struct sl_buffer *told, struct sl_activated *out)
{
    SL_TRY(sl_approver_log_read(store, plan->arena, &plan->log));
    SL_TRY(read_before(store, plan));
    SL_TRY(compare(store, plan, told));
    SL_TRY(fill(plan));
    enum sl_status status = check(store, plan);
    *out = (struct sl_activated){.replaced = plan->after.replaces,
        .compared = plan->after.compared,
        .diff = plan->after.diff,
        .needed = plan->after.needed,
        .given = plan->signatures.people,
        .people = sl_approvers_people(plan->log.list, plan->log.count)};
    SL_TRY(status);
    SL_TRY(sl_generation_write(store, plan->what->policy, plan->log.lines, &plan->after));
    out->generation = plan->after.number;
    return SL_OK;
}

enum sl_status sl_policy_activate(struct sl_store *store, const struct sl_activation *what, struct sl_issues *issues,
    struct sl_buffer *told, struct sl_activated *out)
{
    *out = (struct sl_activated){0};
    struct plan *plan = sl_arena_alloc(issues->arena, sizeof *plan);
    if (!plan)
        return SL_NO_MEMORY;
    plan->arena = issues->arena;
    plan->issues = issues;
    plan->what = what;
    return activate(store, plan, told, out);
}

enum sl_status sl_approval_text(
    struct sl_store *store, const struct sl_policy *policy, struct sl_arena *arena, struct sl_slice *out)
{
    struct plan plan = {.arena = arena};
    struct sl_slice rendering;
    SL_TRY(read_before(store, &plan));
    SL_TRY(sl_approval_rendering(policy, arena, &rendering));
    *out = sl_approval_text_make(arena, sl_policy_digest(policy), rendering, plan.replaces ? &plan.before : NULL);
    return out->ptr ? SL_OK : SL_NO_MEMORY;
}
