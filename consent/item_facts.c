/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a policy asks of items: the table of its questions, each once, and whether they hold for an item. What cannot be
 * told does not hold, but for questions that are asked so that it must (sl_predicate.unsure).
 */
#include "item_facts.h"

#include "ruling.h"

/* ---- The table ---- */

bool sl_predicate_same(const struct sl_predicate *a, const struct sl_predicate *b)
{
    return a->asks == b->asks && sl_slice_eq(a->word, b->word);
}

uint32_t sl_predicate_find(const struct sl_policy *policy, const struct sl_predicate *predicate)
{
    for (unsigned i = 0; i < policy->predicate_count; i++)
        if (sl_predicate_same(&policy->predicates[i], predicate))
            return (uint32_t)1 << i;
    return 0;
}

uint32_t sl_predicate_add(struct sl_policy *policy, const struct sl_predicate *predicate)
{
    uint32_t bit = sl_predicate_find(policy, predicate);
    if (bit || policy->predicate_count == SL_PREDICATE_LIMIT)
        return bit;
    policy->predicates[policy->predicate_count] = *predicate;
    return (uint32_t)1 << policy->predicate_count++;
}

/* ---- Whether they hold ---- */

static bool is_staff(const struct sl_ruling *ruling, const struct sl_item *item)
{
    const struct sl_recipient *r = &ruling->recipient;
    /* Named outright, it is of whatever program the item is of. */
    if (r->party.len && sl_slice_eq(r->party, ruling->policy->party_ids[SL_PARTY_STAFF]))
        return item->program.len > 0;
    return r->organization.len &&
           (sl_slice_eq(item->program, r->organization) || sl_slice_eq(item->named_program, r->organization));
}

static bool is_of(const struct sl_item *item, struct sl_slice program)
{
    return sl_slice_eq(item->program, program) || sl_slice_eq(item->named_program, program);
}

/* 42 CFR 2.11, 2.12(c)(4): a qualified service organization has the records of the program with which it has the
 * agreement, and of no other; one that names no service is none. */
static bool is_served(const struct sl_ruling *ruling, const struct sl_item *item)
{
    const struct sl_recipient *r = &ruling->recipient;
    for (size_t i = 0; i < r->agreement_count; i++)
        if (sl_slice_eq(r->agreements[i].kind, SL_LIT("qsoa")) && r->agreements[i].service_count &&
            r->agreements[i].with.len && is_of(item, r->agreements[i].with))
            return true;
    return false;
}

static bool can_vary(const struct sl_ruling *ruling, const struct sl_predicate *predicate)
{
    const struct sl_recipient *r = &ruling->recipient;
    switch (predicate->asks) {
    case SL_ASKS_PROGRAM:
        return r->organization.len || sl_slice_eq(r->party, ruling->policy->party_ids[SL_PARTY_STAFF]);
    case SL_ASKS_OF:
        return true;
    case SL_ASKS_SERVED:
        return r->agreement_count > 0;
    case SL_ASKS_NOTHING:
    case SL_ASK_WORDS:
        break;
    }
    return false;
}

static bool holds(const struct sl_ruling *ruling, const struct sl_predicate *predicate, const struct sl_item *item,
    const struct sl_classes *classes)
{
    (void)classes;
    switch (predicate->asks) {
    case SL_ASKS_PROGRAM:
        return is_staff(ruling, item);
    case SL_ASKS_OF:
        return is_of(item, predicate->word);
    case SL_ASKS_SERVED:
        return is_served(ruling, item);
    case SL_ASKS_NOTHING:
    case SL_ASK_WORDS:
        break;
    }
    return false;
}

uint32_t sl_facts_open(const struct sl_ruling *ruling, uint32_t asked)
{
    uint32_t open = 0;
    for (uint32_t rest = asked; rest; rest &= rest - 1)
        if (can_vary(ruling, &ruling->policy->predicates[__builtin_ctz(rest)]))
            open |= rest & -rest;
    return open;
}

uint32_t sl_facts_of(
    const struct sl_ruling *ruling, const struct sl_item *item, const struct sl_classes *classes, uint32_t among)
{
    uint32_t facts = 0;
    for (unsigned i = 0; i < ruling->policy->predicate_count; i++)
        if (among >> i & 1 && holds(ruling, &ruling->policy->predicates[i], item, classes))
            facts |= (uint32_t)1 << i;
    return facts;
}

/* ---- In words ---- */

void sl_predicate_name(struct sl_buffer *out, const struct sl_predicate *predicate)
{
    static const char *const names[] = {[SL_ASKS_NOTHING] = "",
        [SL_ASKS_PROGRAM] = "same-program",
        [SL_ASKS_OF] = "of-program",
        [SL_ASKS_SERVED] = "serves-program",
        [SL_ASK_WORDS] = ""};
    sl_buffer_printf(out, "%s%s%.*s", names[predicate->asks], predicate->word.len ? "=" : "", SL_FMT(predicate->word));
}

void sl_predicate_write(struct sl_buffer *out, const struct sl_predicate *predicate)
{
    switch (predicate->asks) {
    case SL_ASKS_PROGRAM:
        sl_buffer_add(out, SL_LIT("the program being its own"));
        break;
    case SL_ASKS_OF:
        sl_buffer_printf(out, "the record being of the program %.*s", SL_FMT(predicate->word));
        break;
    case SL_ASKS_SERVED:
        sl_buffer_add(out, SL_LIT("an agreement to serve the program"));
        break;
    case SL_ASKS_NOTHING:
    case SL_ASK_WORDS:
        break;
    }
}
