/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries of the officer's register as facts: see entry.h. What an entry does not clearly cover, it does not cover; but
 * one that keeps something back covers what it cannot tell.
 */
#include "entry.h"

#include "ruling.h"

bool sl_entry_is_fact(enum sl_register_kind kind)
{
    return sl_entry_restricts(kind) || kind == SL_REGISTER_COURT_ORDER || kind == SL_REGISTER_APPROVAL ||
           kind == SL_REGISTER_RESEARCH_BASIS;
}

bool sl_entry_restricts(enum sl_register_kind kind)
{
    return kind == SL_REGISTER_AGREED_RESTRICTION || kind == SL_REGISTER_ENDANGERMENT ||
           kind == SL_REGISTER_SELF_CONSENTED_MINOR;
}

/* ---- Reading ---- */

/* The halves of an order (42 CFR 2.61): it permits, and an instrument compels; and who was told of it
 * (2.64(b), 2.65(b)).
 */
static const char *what_an_order_lacks(const struct sl_register_entry *from)
{
    static const struct {
        enum sl_register_field field;
        const char *lacking;
    } parts[] = {{SL_REGISTER_COURT, "the order is missing: no court is named"},
        {SL_REGISTER_CASE, "the order is missing: no case is named"},
        {SL_REGISTER_INSTRUMENT, "the instrument that compels is missing (42 CFR 2.61)"},
        {SL_REGISTER_NOTICE, "nothing is said of the notice that was given (42 CFR 2.64(b), 2.65(b))"}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!from->field[parts[i].field].count)
            return parts[i].lacking;
    return NULL;
}

/* Records of a patient's that nobody named, by classes or dates, would be all of them: a restriction may mean that, and
 * a permission must say so. */
static const char *what_it_is_not_about(const struct sl_register_entry *from)
{
    bool said = from->field[SL_REGISTER_ITEMS].count || from->field[SL_REGISTER_CLASSES].count ||
                from->field[SL_REGISTER_SERVED_FROM].count || from->field[SL_REGISTER_SERVED_UNTIL].count;
    return from->kind == SL_REGISTER_COURT_ORDER && !said ? "it says neither items nor classes nor days of service"
                                                          : NULL;
}

const char *sl_register_lacks(const struct sl_register_entry *entry)
{
    const char *lacking = entry->kind == SL_REGISTER_COURT_ORDER ? what_an_order_lacks(entry) : NULL;
    return lacking ? lacking : what_it_is_not_about(entry);
}

static enum sl_status copy_words(const struct sl_register_values *from, struct sl_arena *arena, struct sl_words *out)
{
    struct sl_slice *words = sl_arena_array(arena, from->count + 1, sizeof *words);
    if (!words)
        return SL_NO_MEMORY;
    for (size_t i = 0; i < from->count; i++)
        words[i] = sl_arena_copy(arena, from->value[i]);
    *out = (struct sl_words){words, from->count};
    return sl_arena_failed(arena) ? SL_NO_MEMORY : SL_OK;
}

enum sl_status sl_entry_read(
    const struct sl_policy *policy, const struct sl_register_entry *from, struct sl_arena *arena, struct sl_entry *out)
{
    const struct sl_register_values *classes = &from->field[SL_REGISTER_CLASSES];
    enum sl_register_field variant = from->kind == SL_REGISTER_COURT_ORDER ? SL_REGISTER_FORM : SL_REGISTER_BASIS;
    *out = (struct sl_entry){.kind = from->kind,
        .name = sl_arena_printf(arena, "register/%llu", (unsigned long long)from->number),
        .patient = sl_arena_copy(arena, sl_register_value(from, SL_REGISTER_PATIENT)),
        .variant = sl_arena_copy(arena, sl_register_value(from, variant)),
        .confidential = from->field[SL_REGISTER_CONFIDENTIAL].count > 0,
        .by_item = from->field[SL_REGISTER_ITEMS].count > 0,
        .by_class = classes->count > 0,
        .lacking = from->ended ? "it was ended" : sl_register_lacks(from)};
    for (size_t i = 0; i < classes->count; i++) {
        unsigned bit = sl_policy_class_find(policy, classes->value[i]);
        if (bit < SL_CLASS_LIMIT)
            sl_classes_add(&out->classes, bit);
        else if (sl_entry_restricts(from->kind)) /* a class nobody knows could be any */
            out->classes = policy->needs_yes;
    }
    (void)sl_moment_read(sl_register_value(from, SL_REGISTER_SERVED_FROM), &out->served_from);
    (void)sl_moment_read(sl_register_value(from, SL_REGISTER_SERVED_UNTIL), &out->served_until);
    return copy_words(&from->field[SL_REGISTER_RECIPIENTS], arena, &out->recipients);
}

/* ---- Whom it names ---- */

static bool is_party(const struct sl_ruling *ruling, struct sl_slice id)
{
    if (ruling->recipient.party.len && sl_slice_eq(ruling->recipient.party, id))
        return true;
    for (size_t i = 0; i < ruling->party_count; i++)
        if (sl_slice_eq(ruling->party_ids[i], id))
            return true;
    return false;
}

static bool is_him(const struct sl_ruling *ruling, struct sl_slice word)
{
    const struct sl_recipient *r = &ruling->recipient;
    if (sl_slice_starts(word, SL_LIT("client:")))
        return r->client.len && sl_slice_eq(sl_slice_from(word, 7), r->client);
    if (sl_slice_starts(word, SL_LIT("user:")))
        return r->user.len && sl_slice_eq(sl_slice_from(word, 5), r->user);
    if (sl_slice_starts(word, SL_LIT("party:")))
        return is_party(ruling, sl_slice_from(word, 6));
    return (r->organization.len && sl_slice_eq(word, r->organization)) ||
           (r->user_reference.len && sl_slice_eq(word, r->user_reference));
}

/* With whom the entry is, where it names nobody: a restriction, with everybody but the patient himself; a hold, with
 * the patient, under whatever number, and who acts for him; what a minor consented to, with everybody. Anything else
 * names whom it is for. */
static const char *passes_over_unnamed(const struct sl_bound *bound, const struct sl_ruling *ruling)
{
    static const struct sl_slice self[] = {{"self", 4}}, own[] = {{"self", 4}, {"representative", 14}};
    switch (bound->entry->kind) {
    case SL_REGISTER_AGREED_RESTRICTION:
        return sl_ruling_related(ruling, &(struct sl_words){self, 1}, bound->person) ? "the recipient is the patient"
                                                                                     : NULL;
    case SL_REGISTER_ENDANGERMENT:
        return sl_ruling_related(ruling, &(struct sl_words){own, 2}, bound->person)
                   ? NULL
                   : "the recipient does not act for the patient";
    case SL_REGISTER_SELF_CONSENTED_MINOR:
        return NULL;
    case SL_REGISTER_COURT_ORDER:
    case SL_REGISTER_APPROVAL:
    case SL_REGISTER_RESEARCH_BASIS:
    case SL_REGISTER_SELF_PAY:
    case SL_REGISTER_RECLASSIFICATION:
    case SL_REGISTER_REPRESENTATION:
    case SL_REGISTER_REPRESENTATION_EXCLUDED:
    case SL_REGISTER_NO_KIND:
    case SL_REGISTER_KINDS:
        break;
    }
    return "it names no recipient";
}

const char *sl_entry_passes_over(const struct sl_bound *bound, const struct sl_ruling *ruling)
{
    const struct sl_entry *entry = bound->entry;
    if (!bound->confirmed && !sl_entry_restricts(entry->kind))
        return "it names another record, and nobody has confirmed that it is of the same person";
    if (entry->lacking)
        return entry->lacking;
    if (!entry->recipients.count)
        return passes_over_unnamed(bound, ruling);
    for (size_t i = 0; i < entry->recipients.count; i++)
        if (is_him(ruling, entry->recipients.word[i]))
            return NULL;
    return "it names other recipients";
}

/* ---- What it is about ---- */

static bool is_held(const struct sl_entry *entry, const struct sl_item *item)
{
    for (const struct sl_held *held = item->held; held; held = held->next)
        if (held->entry == entry)
            return true;
    return false;
}

/* Days of service: within them, for what permits; not certainly without, for what keeps back. */
static bool is_in_time(const struct sl_entry *entry, const struct sl_item *item)
{
    struct sl_moment from, to;
    bool restricts = sl_entry_restricts(entry->kind);
    if (!entry->served_from.there && !entry->served_until.there)
        return true;
    if (!sl_moment_read(item->date_from, &from))
        return restricts;
    if (!item->date_to.len)
        to = from;
    else if (!sl_moment_read(item->date_to, &to))
        return restricts;
    if (restricts)
        return !(entry->served_from.there && to.end <= entry->served_from.begin) &&
               !(entry->served_until.there && from.begin >= entry->served_until.end);
    return !(entry->served_from.there && from.begin < entry->served_from.begin) &&
           !(entry->served_until.there && to.end > entry->served_until.end);
}

/* What keeps a class back keeps back the whole record in which a part has it: else the part's absence would tell, and
 * the narrative repeat it. */
static bool has_class(const struct sl_entry *entry, const struct sl_item *item, const struct sl_classes *classes)
{
    if (sl_classes_meet(&entry->classes, classes))
        return true;
    for (uint32_t i = 0; i < item->part_count && sl_entry_restricts(entry->kind); i++)
        if (sl_classes_meet(&entry->classes, &item->parts[i].classes))
            return true;
    return false;
}

const char *sl_entry_leaves_out(
    const struct sl_entry *entry, const struct sl_item *item, const struct sl_classes *classes)
{
    if (entry->by_item && !is_held(entry, item))
        return "it does not name this record, nor a visit it hangs on";
    if (entry->by_class && !has_class(entry, item, classes))
        return "it is about other classes";
    return is_in_time(entry, item) ? NULL : "it is about other days of service";
}
