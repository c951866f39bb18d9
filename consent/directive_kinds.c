/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a Consent counts as, and what it lacks: 42 CFR 2.31(a), 45 CFR 164.508(c). The statements that the law wants
 * word for word belong to the form that was signed, and somebody has checked those of a registered form; whom, what and
 * until when belongs to each Consent. What lacks one of these is no consent, whatever it permits. What it denies
 * stands.
 *
 * By what the Consent says alone: neither recipient nor item are looked at. Pure.
 */
#include "directive_model.h"

/* ---- Which form ---- */

static bool names_coding(const struct sl_values *values, const struct sl_coding *coding)
{
    for (uint32_t i = 0; i < values->count; i++)
        if (!values->value[i].unreadable && sl_slice_eq(values->value[i].code, coding->code) &&
            sl_slice_eq(values->value[i].system, coding->system))
            return true;
    return false;
}

static bool has_category(const struct sl_directive *d, const struct sl_consent_kind *kind)
{
    for (size_t i = 0; i < kind->except_category_count; i++)
        if (names_coding(&d->categories, &kind->except_categories[i]))
            return false;
    bool any = kind->category_count == 0;
    for (size_t i = 0; i < kind->category_count; i++)
        any = any || names_coding(&d->categories, &kind->categories[i]);
    return any;
}

static bool has_policy(const struct sl_directive *d, const struct sl_consent_kind *kind)
{
    bool any = kind->policy_rule_count == 0;
    for (size_t i = 0; i < kind->policy_rule_count; i++) {
        const struct sl_coding *rule = &kind->policy_rules[i];
        any = any || names_coding(rule->system.len ? &d->policy_rules : &d->policy_uris, rule);
    }
    return any;
}

static struct sl_slice without_version(struct sl_slice canonical)
{
    const char *bar = canonical.len ? memchr(canonical.ptr, '|', canonical.len) : NULL;
    return (struct sl_slice){canonical.ptr, bar ? (size_t)(bar - canonical.ptr) : canonical.len};
}

/* A registered form without a version is every edition of it; one with a version that edition alone. */
static bool has_source(const struct sl_directive *d, const struct sl_consent_kind *kind)
{
    bool any = kind->source_count == 0;
    for (size_t i = 0; i < kind->source_count; i++)
        for (size_t k = 0; k < d->source_count; k++) {
            struct sl_slice signed_on = d->sources[k];
            if (without_version(kind->sources[i]).len == kind->sources[i].len)
                signed_on = without_version(signed_on);
            any = any || sl_slice_eq(kind->sources[i], signed_on);
        }
    return any;
}

static bool has_form(const struct sl_directive *d, const struct sl_consent_kind *kind)
{
    return has_category(d, kind) && has_policy(d, kind) && has_source(d, kind);
}

/* What was given on a registered form is what that form counts as, whatever marks it has besides. */
static bool is_on_form(const struct sl_directive *d, const struct sl_policy *policy)
{
    size_t count = 0;
    const struct sl_consent_kind *rows = policy ? sl_policy_consent_kinds(policy, &count) : NULL;
    for (size_t i = 0; i < count; i++)
        if (rows[i].form.len && has_form(d, &rows[i]))
            return true;
    return false;
}

/* ---- What it says ---- */

bool sl_provision_permits(const struct sl_directive *d, uint32_t i)
{
    if (d->provisions[0].type == SL_PROVISION_PERMIT)
        return i == 0;
    return d->provisions[i].type == SL_PROVISION_PERMIT;
}

static bool permits_purpose(const struct sl_directive *d, struct sl_slice purpose)
{
    for (uint32_t i = 0; i < d->provision_count; i++)
        for (uint32_t v = 0; sl_provision_permits(d, i) && v < d->provisions[i].purposes.count; v++) {
            const struct sl_value *value = &d->provisions[i].purposes.value[v];
            if (!value->unreadable && (purpose.len == 0 || sl_purpose_within(purpose, value->code)))
                return true;
        }
    return false;
}

typedef bool says(const struct sl_provision *p);

static bool says_end(const struct sl_provision *p)
{
    return p->period.end.there;
}

static bool says_recipient(const struct sl_provision *p)
{
    for (uint32_t i = 0; i < p->actors.count; i++)
        if (p->actors.value[i].kind == SL_ROLE_RECIPIENT)
            return true;
    return false;
}

static bool says_discloser(const struct sl_provision *p)
{
    for (uint32_t i = 0; i < p->actors.count; i++)
        if (p->actors.value[i].kind == SL_ROLE_DISCLOSER)
            return true;
    return false;
}

static bool says_information(const struct sl_provision *p)
{
    return p->classes.count || p->codes.count || p->labels.count || p->data.count || p->data_period.there;
}

/* Of every permit: it says so itself, or the root does for all. Where nothing is permitted nothing is said. */
static bool each_permit(const struct sl_directive *d, says *it_says)
{
    bool any = false, all = true;
    for (uint32_t i = 0; i < d->provision_count; i++) {
        any = any || sl_provision_permits(d, i);
        all = all && (!sl_provision_permits(d, i) || it_says(&d->provisions[i]));
    }
    return it_says(&d->provisions[0]) || (any && all);
}

/* "none", "end of the treatment" and the like will do for treatment, payment and operations (2.31(a)(7)). */
static bool is_tpo_alone(const struct sl_directive *d)
{
    bool any = false, all = true;
    for (uint32_t i = 0; i < d->provision_count; i++)
        for (uint32_t v = 0; sl_provision_permits(d, i) && v < d->provisions[i].purposes.count; v++) {
            const struct sl_value *value = &d->provisions[i].purposes.value[v];
            any = true;
            all = all && !value->unreadable && sl_purpose_is_tpo(value->code);
        }
    return any && all;
}

/* Rows of consent_elements.def that `needs:` can name. */
static bool has_element(const struct sl_directive *d, enum sl_consent_element element, int64_t now)
{
    switch (element) {
    case SL_ELEMENT_FORM: /* the form's own to say */
    case SL_ELEMENT_ALL_PURPOSES:
    case SL_ELEMENT_SIGNER:
    case SL_ELEMENT_ALONE:
    case SL_ELEMENTS:
        return false;
    case SL_ELEMENT_DISCLOSER:
        return d->organizations.count || each_permit(d, says_discloser);
    case SL_ELEMENT_RECIPIENT:
        return each_permit(d, says_recipient);
    case SL_ELEMENT_PURPOSE:
        return permits_purpose(d, (struct sl_slice){NULL, 0});
    case SL_ELEMENT_EXPIRY:
        return d->ends_with_event || each_permit(d, says_end) || is_tpo_alone(d);
    case SL_ELEMENT_SIGNATURE:
        return d->has_source && (d->by_patient || d->by_representative || d->by_others);
    case SL_ELEMENT_DATE:
        return d->date.there && d->date.begin <= now;
    case SL_ELEMENT_INFORMATION:
        return each_permit(d, says_information);
    }
    return false;
}

/* ---- Who signed ---- */

static bool is_among(struct sl_slice purpose, const struct sl_slice *purposes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (sl_purpose_within(purpose, purposes[i]))
            return true;
    return false;
}

/* 2.15(a)(2): for a patient who cannot, the director of a program may consent to disclosure for payment, and to no
 * other. Without a purpose at hand: to whatever he may. */
static bool may_sign(const struct sl_directive *d, const struct sl_consent_kind *kind, struct sl_slice purpose)
{
    if (!(kind->needs >> SL_ELEMENT_SIGNATURE & 1) || d->by_patient || d->by_representative || !d->by_others)
        return true;
    return purpose.len ? is_among(purpose, kind->for_others, kind->for_other_count) : kind->for_other_count > 0;
}

/* ---- Combined with another ---- */

/* 2.31(b), (d): a consent for counseling notes, or for proceedings, is given on a paper of its own. Another form is
 * another consent; so are purposes that this kind is not for. */
static bool is_combined(
    const struct sl_directive *d, const struct sl_policy *policy, const struct sl_consent_kind *kind)
{
    size_t count = 0;
    const struct sl_consent_kind *rows = policy ? sl_policy_consent_kinds(policy, &count) : NULL;
    for (size_t i = 0; i < count; i++) {
        bool paper = (rows[i].form.len && !sl_slice_eq(rows[i].form, kind->form)) || rows[i].alone;
        if (rows[i].index != kind->index && paper && has_form(d, &rows[i]))
            return true;
    }
    for (uint32_t i = 0; i < d->provision_count && kind->purpose_count; i++)
        for (uint32_t v = 0; sl_provision_permits(d, i) && v < d->provisions[i].purposes.count; v++)
            if (!is_among(d->provisions[i].purposes.value[v].code, kind->purposes, kind->purpose_count))
                return true;
    return false;
}

/* ---- The whole ---- */

unsigned sl_directive_lacks(const struct sl_directive *directive, const struct sl_policy *policy,
    const struct sl_consent_kind *kind, struct sl_slice purpose, int64_t now)
{
    unsigned lacks = 0, wanted = kind->needs & ~kind->states;
    if (!has_form(directive, kind) || (!kind->form.len && is_on_form(directive, policy)))
        return SL_CONSENT_OF_ANOTHER_KIND;
    for (unsigned e = 0; e < SL_ELEMENTS; e++)
        if (wanted >> e & 1 && !has_element(directive, (enum sl_consent_element)e, now))
            lacks |= 1u << e;
    for (size_t i = 0; i < kind->purpose_count && !kind->refuses; i++)
        if (!permits_purpose(directive, kind->purposes[i]))
            lacks |= 1u << SL_ELEMENT_ALL_PURPOSES;
    if (!may_sign(directive, kind, purpose))
        lacks |= 1u << SL_ELEMENT_SIGNER;
    if (kind->alone && is_combined(directive, policy, kind))
        lacks |= 1u << SL_ELEMENT_ALONE;
    return lacks;
}

uint32_t sl_directive_kinds(
    const struct sl_directive *directive, const struct sl_policy *policy, struct sl_slice purpose, int64_t now)
{
    uint32_t kinds = 0;
    size_t count;
    const struct sl_consent_kind *rows = sl_policy_consent_kinds(policy, &count);
    for (size_t i = 0; i < count; i++)
        if (!(kinds >> rows[i].index & 1) && sl_directive_lacks(directive, policy, &rows[i], purpose, now) == 0)
            kinds |= (uint32_t)1 << rows[i].index;
    return kinds;
}

const char *sl_consent_element_lacking(enum sl_consent_element element)
{
    static const char *const words[SL_ELEMENTS] = {
#define E(element, word, reads, lacking) [SL_ELEMENT_##element] = lacking,
#define F(element, lacking) [SL_ELEMENT_##element] = lacking,
#include "sluice/consent_elements.def"
#undef E
#undef F
    };
    return element < SL_ELEMENTS ? words[element] : "";
}
