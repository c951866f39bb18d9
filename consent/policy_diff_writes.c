/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What two policies let be written differently, gone through exhaustively: for each party, each purpose, each type of
 * record, each thing that may be done, and with each label. More is looser, less is tighter. By what grants say: a
 * grant of delete that holds nowhere may come to hold by a rule. And the same of what may be searched by.
 */
#include "policy_diff.h"
#include "sluice/search.h"

#define LABELS_LIMIT 256u /* that the grants of two policies name together */

/* One thing that may be granted: to do it at all (label and tags empty), or with a label, or with tags. */
struct thing {
    enum sl_write_action action;
    const struct sl_coding *label;
    bool tags;
};

static bool has_label(const struct sl_grant *grant, const struct sl_coding *label)
{
    for (size_t i = 0; i < grant->label_count; i++)
        if (sl_slice_eq(grant->labels[i].system, label->system) && sl_slice_eq(grant->labels[i].code, label->code))
            return true;
    return false;
}

/* The purposes for which the party may do it. */
static uint64_t granted(
    const struct sl_policy *policy, struct sl_slice party, sl_r4_node type, const struct thing *thing)
{
    unsigned bit = sl_policy_party(policy, party);
    uint64_t purposes = 0;
    for (size_t i = 0; i < policy->grant_count && bit < SL_PARTY_LIMIT; i++) {
        const struct sl_grant *grant = &policy->grants[i];
        bool with = (!thing->label || has_label(grant, thing->label)) && (!thing->tags || grant->tags);
        if (with && grant->parties >> bit & 1 && grant->may >> thing->action & 1 && sl_grant_has_type(grant, type))
            purposes |= grant->purposes;
    }
    return purposes;
}

struct comparing {
    struct sl_diff_report *report;
    const struct sl_policy *one, *other; /* what `one` grants and `other` does not */
    enum sl_diff_way way;
};

static uint64_t more(const struct comparing *c, struct sl_slice party, sl_r4_node type, const struct thing *thing)
{
    return granted(c->one, party, type, thing) & ~granted(c->other, party, type, thing);
}

static void write_types(struct sl_buffer *out, const struct comparing *c, struct sl_slice party,
    const struct thing *thing, uint64_t purposes, bool *told)
{
    const char *between = "";
    for (unsigned type = 1; type < SL_R4_NODES; type++)
        if (!told[type] && more(c, party, (sl_r4_node)type, thing) == purposes) {
            told[type] = true;
            sl_buffer_printf(out, "%s%.*s", between, SL_FMT(sl_r4_node_name((sl_r4_node)type)));
            between = ", ";
        }
}

static void write_purposes(struct sl_buffer *out, uint64_t purposes)
{
    const char *between = "";
    uint64_t every = 0;
    for (size_t i = 0; i < sl_purpose_count(); i++)
        every |= sl_purpose_bit(sl_purpose_code(i));
    if ((purposes & every) == every) {
        sl_buffer_add(out, SL_LIT("any purpose"));
        return;
    }
    for (size_t i = 0; i < sl_purpose_count(); i++)
        if (purposes & sl_purpose_bit(sl_purpose_code(i))) {
            sl_buffer_printf(out, "%s%.*s", between, SL_FMT(sl_purpose_name(i)));
            between = ", ";
        }
}

/* Types that differ for the same purposes are one line. */
static void tell(const struct comparing *c, struct sl_slice party, const struct thing *thing)
{
    bool told[SL_R4_NODES] = {false};
    for (unsigned type = 1; type < SL_R4_NODES; type++) {
        uint64_t purposes = told[type] ? 0 : more(c, party, (sl_r4_node)type, thing);
        struct sl_buffer text;
        if (!purposes)
            continue;
        sl_buffer_init(&text, 64 * 1024);
        write_purposes(&text, purposes);
        sl_buffer_printf(&text, ": %s %.*s ", c->way == SL_DIFF_LOOSER ? "may now" : "may no longer",
            SL_FMT(sl_write_word(thing->action)));
        write_types(&text, c, party, thing, purposes, told);
        if (thing->label)
            sl_buffer_printf(
                &text, " with the label %.*s of %.*s", SL_FMT(thing->label->code), SL_FMT(thing->label->system));
        sl_diff_say(c->report, c->way, "%.*s for %.*s%s", SL_FMT(party), SL_FMT(sl_buffer_slice(&text)),
            thing->tags ? " with tags" : "");
        sl_buffer_fini(&text);
    }
}

static size_t collect_labels(const struct sl_policy *policy, const struct sl_coding **labels, size_t count)
{
    for (size_t i = 0; i < policy->grant_count; i++)
        for (size_t k = 0; k < policy->grants[i].label_count; k++) {
            const struct sl_coding *label = &policy->grants[i].labels[k];
            size_t at = 0;
            while (at < count &&
                   !(sl_slice_eq(labels[at]->system, label->system) && sl_slice_eq(labels[at]->code, label->code)))
                at++;
            if (at == LABELS_LIMIT)
                return LABELS_LIMIT + 1;
            if (at == count)
                labels[count++] = label;
        }
    return count;
}

/* A label is news only where the action is none: else the line of the action and those of its labels say it. */
static void compare(const struct comparing *c, const struct sl_coding *const *labels, size_t count)
{
    for (unsigned party = SL_BUILTINS; party < c->one->party_count; party++)
        for (enum sl_write_action action = SL_WRITE_CREATE; action < SL_WRITE_ACTIONS; action++) {
            struct sl_slice id = c->one->party_ids[party];
            tell(c, id, &(struct thing){.action = action});
            tell(c, id, &(struct thing){.action = action, .tags = true});
            for (size_t i = 0; i < count; i++)
                tell(c, id, &(struct thing){.action = action, .label = labels[i]});
        }
}

void sl_diff_writes(struct sl_diff_report *report, const struct sl_policy *before, const struct sl_policy *after)
{
    const struct sl_coding *labels[LABELS_LIMIT + 1];
    size_t count = collect_labels(before, labels, 0);
    if (count <= LABELS_LIMIT)
        count = collect_labels(after, labels, count);
    if (count > LABELS_LIMIT) {
        sl_diff_say(report, SL_DIFF_EITHER, "writes: more labels than can be gone through");
        return;
    }
    if (!before->grant_count && !after->grant_count)
        return;
    compare(&(struct comparing){report, after, before, SL_DIFF_LOOSER}, labels, count);
    compare(&(struct comparing){report, before, after, SL_DIFF_TIGHTER}, labels, count);
}

/* ---- Searches ---- */

/* The purposes for which the party may search by it. */
static uint64_t searched(const struct sl_policy *policy, struct sl_slice party, unsigned means)
{
    unsigned bit = sl_policy_party(policy, party);
    uint64_t purposes = 0;
    for (size_t i = 0; i < policy->search_count && bit < SL_PARTY_LIMIT; i++)
        if (policy->searches[i].parties >> bit & 1 && policy->searches[i].by & means)
            purposes |= policy->searches[i].purposes;
    return purposes;
}

static void tell_search(const struct comparing *c, struct sl_slice party, unsigned means, const char *word)
{
    uint64_t purposes = searched(c->one, party, means) & ~searched(c->other, party, means);
    struct sl_buffer text;
    if (!purposes)
        return;
    sl_buffer_init(&text, 64 * 1024);
    write_purposes(&text, purposes);
    sl_diff_say(c->report, c->way, "%.*s for %.*s: %s search by %s", SL_FMT(party), SL_FMT(sl_buffer_slice(&text)),
        c->way == SL_DIFF_LOOSER ? "may now" : "may no longer", word);
    sl_buffer_fini(&text);
}

static void compare_searches(const struct comparing *c)
{
    for (unsigned party = SL_BUILTINS; party < c->one->party_count; party++) {
        tell_search(c, c->one->party_ids[party], SL_SEARCH_BY_FILTER, "_filter");
        tell_search(c, c->one->party_ids[party], SL_SEARCH_BY_TEXT, "_text");
        tell_search(c, c->one->party_ids[party], SL_SEARCH_BY_CONTENT, "_content");
    }
}

void sl_diff_searches(struct sl_diff_report *report, const struct sl_policy *before, const struct sl_policy *after)
{
    compare_searches(&(struct comparing){report, after, before, SL_DIFF_LOOSER});
    compare_searches(&(struct comparing){report, before, after, SL_DIFF_TIGHTER});
}
