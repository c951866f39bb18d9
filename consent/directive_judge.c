/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verdict of one Consent for one item.
 *
 * A criterion is met, not met, or it cannot be told (an unreadable value, a recipient or an item of whom too little is
 * known). Within a provision all criteria must be met; within one, any value does (FHIR R4, consent.html). A provision
 * speaks where it applies and none within it does; of several within it, a denial wins.
 *
 * What cannot be told is not guessed: a provision then has more than one possible outcome, and a Consent all those that
 * its provisions can come to together. Denial among them: deny. Silence among them: silent. Only where permission is
 * the one outcome left: permit. So an unreadable permit is silent, and an unreadable denial denies, at whatever depth.
 *
 * Pure: no store, no clock, no allocation.
 */
#include "directive_model.h"

#include "sluice/decide.h"

enum { SILENCE = 1, PERMISSION = 2, DENIAL = 4 }; /* sets of outcomes */

static const enum sl_match all_met[SL_CRITERIA] = {
    SL_MET, SL_MET, SL_MET, SL_MET, SL_MET, SL_MET, SL_MET, SL_MET, SL_MET, SL_MET, SL_MET};

static bool is_emergency(struct sl_slice purpose)
{
    return sl_slice_eq(purpose, SL_LIT("ETREAT")) || sl_slice_eq(purpose, SL_LIT("BTG"));
}

/* What a provision says by itself. */
static unsigned own_outcomes(const struct sl_asking *asking, const struct sl_provision *p)
{
    switch (p->type) {
    case SL_PROVISION_PERMIT:
        return PERMISSION;
    case SL_PROVISION_DENY:
        return p->depth == 0 && asking->directive->emergency_only && is_emergency(asking->recipient->purpose) ? SILENCE
                                                                                                              : DENIAL;
    case SL_PROVISION_UNREADABLE:
        return PERMISSION | DENIAL;
    case SL_PROVISION_NONE:
        return SILENCE;
    }
    return DENIAL;
}

/* What the provisions of one parent can come to; zeroed is no provisions. */
struct nested {
    bool may_deny, may_permit; /* one of them */
    bool must_speak;           /* one of them cannot be silent */
};

static void add_nested(struct nested *nested, unsigned outcomes)
{
    nested->may_deny = nested->may_deny || (outcomes & DENIAL);
    nested->may_permit = nested->may_permit || (outcomes & PERMISSION);
    nested->must_speak = nested->must_speak || !(outcomes & SILENCE);
}

static struct nested join(const struct nested *a, const struct nested *b)
{
    return (struct nested){a->may_deny || b->may_deny, a->may_permit || b->may_permit, a->must_speak || b->must_speak};
}

/* A denial among the nested ones wins, so that a permission beside one that must come is of no account; where all can
 * be silent, it may be what the parent says. */
static unsigned combine(const struct nested *nested, unsigned own)
{
    unsigned outcomes = nested->may_deny ? DENIAL : 0;
    if (nested->may_permit)
        outcomes |= PERMISSION;
    return nested->must_speak ? outcomes : outcomes | own;
}

/*
 * The possible outcomes of the provision at *next and all in it; *next goes past them. Calls itself once a level, at
 * most SL_PROVISION_DEPTH of them.
 *
 * A permit in a provision that is none is an exception: it holds only where that one applies. A permit in a permit
 * would say nothing as an exception, and is an addition, as IHE PCF has it ("normal data; and for this practitioner,
 * psychiatric data"): what it says of a kind of criterion stands in place of what the outer one says of that kind, and
 * all other criteria hold for it too. A denial is read in that way wherever it stands, for so it reaches furthest.
 */
static unsigned judge_provision(const struct sl_asking *asking, uint32_t *next, const enum sl_match *outer)
{
    const struct sl_directive *d = asking->directive;
    const struct sl_provision *p = &d->provisions[(*next)++];
    enum sl_match met[SL_CRITERIA], all = SL_MET;
    sl_match_criteria(asking, p, outer, met);
    for (unsigned kind = 0; kind < SL_CRITERIA; kind++)
        all = met[kind] < all ? met[kind] : all;
    struct nested exceptions = {false, false, false}, additions = exceptions;
    while (*next < d->provision_count && d->provisions[*next].depth > p->depth) {
        bool exception = d->provisions[*next].type == SL_PROVISION_PERMIT && p->type != SL_PROVISION_PERMIT;
        unsigned outcomes = judge_provision(asking, next, exception ? all_met : met);
        add_nested(exception ? &exceptions : &additions, outcomes);
    }
    struct nested every = join(&exceptions, &additions);
    unsigned applied = all == SL_UNMET ? 0 : combine(&every, own_outcomes(asking, p));
    unsigned passed_over = all == SL_MET ? 0 : combine(&additions, SILENCE);
    return applied | passed_over;
}

static unsigned possible_outcomes(const struct sl_asking *asking)
{
    enum sl_match outer[SL_CRITERIA];
    memcpy(outer, all_met, sizeof outer);
    outer[SL_BY_WHOLE] = sl_match_consent(asking);
    uint32_t next = 0;
    return judge_provision(asking, &next, outer);
}

enum sl_consent_verdict sl_directive_judge(const struct sl_directive *directive, const struct sl_policy *policy,
    const struct sl_recipient *recipient, const struct sl_item *item, const struct sl_classes *classes, int64_t now)
{
    const struct sl_asking asking = {directive, policy, recipient, item, classes, now};
    unsigned outcomes = possible_outcomes(&asking);
    if (outcomes & DENIAL)
        return SL_CONSENT_DENY;
    return outcomes == PERMISSION && !directive->no_permit ? SL_CONSENT_PERMIT : SL_CONSENT_SILENT;
}

bool sl_directive_concerns(const struct sl_directive *directive, const struct sl_recipient *recipient, int64_t now)
{
    const struct sl_asking asking = {directive, NULL, recipient, NULL, NULL, now};
    return possible_outcomes(&asking) != SILENCE;
}

static bool names(const struct sl_asking *asking, const struct sl_provision *p)
{
    for (uint32_t i = 0; i < p->actors.count; i++)
        if (p->actors.value[i].kind == SL_ROLE_RECIPIENT && sl_match_actor(asking, &p->actors.value[i]) == SL_MET)
            return true;
    return false;
}

bool sl_directive_names(const struct sl_directive *directive, const struct sl_recipient *recipient, int64_t now)
{
    const struct sl_asking asking = {directive, NULL, recipient, NULL, NULL, now};
    enum sl_match met[SL_PROVISION_DEPTH + 2][SL_CRITERIA]; /* by depth: what a provision there stands in */
    memcpy(met[0], all_met, sizeof met[0]);
    for (uint32_t i = 0; i < directive->provision_count; i++) {
        const struct sl_provision *p = &directive->provisions[i];
        if (p->depth > SL_PROVISION_DEPTH)
            return false;
        sl_match_criteria(&asking, p, met[p->depth], met[p->depth + 1]);
        if (p->type == SL_PROVISION_PERMIT && met[p->depth + 1][SL_BY_PURPOSES] == SL_MET && names(&asking, p))
            return true;
    }
    return false;
}

static bool is_class(struct sl_slice reference)
{
    return sl_slice_starts(reference, SL_LIT("Group/")) || sl_slice_starts(reference, SL_LIT("CareTeam/"));
}

/* Of a provision that names recipients: is one of them this recipient, by a name of its own? Else, what stands. */
static bool outright(const struct sl_asking *asking, const struct sl_provision *p, bool stands)
{
    bool any = false;
    for (uint32_t i = 0; i < p->actors.count; i++) {
        const struct sl_value *actor = &p->actors.value[i];
        if (actor->kind != SL_ROLE_RECIPIENT)
            continue;
        any = true;
        if (!is_class(actor->code) && sl_match_actor(asking, actor) == SL_MET)
            return true;
    }
    return !any && stands;
}

bool sl_directive_is_general(const struct sl_directive *directive, const struct sl_recipient *recipient, int64_t now)
{
    const struct sl_asking asking = {directive, NULL, recipient, NULL, NULL, now};
    enum sl_match met[SL_PROVISION_DEPTH + 2][SL_CRITERIA];
    bool named[SL_PROVISION_DEPTH + 2] = {false}; /* by depth, as met */
    memcpy(met[0], all_met, sizeof met[0]);
    for (uint32_t i = 0; i < directive->provision_count; i++) {
        const struct sl_provision *p = &directive->provisions[i];
        if (p->depth > SL_PROVISION_DEPTH)
            return true;
        const enum sl_match *here = met[p->depth + 1];
        sl_match_criteria(&asking, p, met[p->depth], met[p->depth + 1]);
        named[p->depth + 1] = outright(&asking, p, named[p->depth]);
        if (p->type == SL_PROVISION_PERMIT && here[SL_BY_ACTORS] != SL_UNMET && here[SL_BY_PURPOSES] != SL_UNMET &&
            !named[p->depth + 1])
            return true;
    }
    return false;
}

/* What a provision asks of an item. */
struct asked {
    bool discloser, more, record;
};

/* A class that is a type of resource shows in the record's name; a profile or a kind of document does not. */
static bool asks_types(const struct sl_values *classes)
{
    for (uint32_t i = 0; i < classes->count; i++)
        if (classes->value[i].unreadable ||
            !sl_slice_eq(classes->value[i].system, SL_LIT("http://hl7.org/fhir/resource-types")))
            return false;
    return true;
}

static bool asks_record(const struct sl_provision *p)
{
    return p->codes.there || p->data.there || p->data_period.there || (p->classes.there && !asks_types(&p->classes));
}

static struct asked asked_by(const struct sl_provision *p)
{
    struct asked asked = {.more = p->labels.there || p->classes.there || asks_record(p), .record = asks_record(p)};
    for (uint32_t i = 0; i < p->actors.count; i++) {
        asked.discloser |= p->actors.value[i].kind == SL_ROLE_DISCLOSER;
        asked.more |= p->actors.value[i].kind == SL_ROLE_AUTHOR;
        asked.record |= p->actors.value[i].kind == SL_ROLE_AUTHOR;
    }
    return asked;
}

static struct asked asked_of_items(const struct sl_directive *directive)
{
    struct asked all = {.discloser = directive->organizations.there};
    for (uint32_t i = 0; i < directive->provision_count; i++) {
        struct asked one = asked_by(&directive->provisions[i]);
        all.discloser |= one.discloser;
        all.more |= one.more;
        all.record |= one.record;
    }
    return all;
}

bool sl_directive_by_item(const struct sl_directive *directive)
{
    struct asked asked = asked_of_items(directive);
    return asked.discloser || asked.more;
}

bool sl_directive_by_discloser(const struct sl_directive *directive)
{
    return !asked_of_items(directive).more;
}

bool sl_directive_by_record(const struct sl_directive *directive)
{
    return asked_of_items(directive).record;
}
