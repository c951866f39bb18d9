/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a policy asks of items: the table of its questions, each once, and whether they hold for an item. What cannot be
 * told does not hold, but for questions that are asked so that it must (sl_predicate.unsure).
 */
#include "item_facts.h"

#include "registered.h"
#include "ruling.h"

#include "sluice/fault.h"
#include "sluice/kin.h"

/* ---- The table ---- */

bool sl_predicate_same(const struct sl_predicate *a, const struct sl_predicate *b)
{
    return a->asks == b->asks && a->kind == b->kind && sl_slice_eq(a->word, b->word) && a->from == b->from &&
           a->below == b->below && a->unsure == b->unsure;
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
    if (predicate->asks == SL_ASKS_REGISTER && sl_entry_restricts((enum sl_register_kind)predicate->kind))
        policy->restrictions |= (uint32_t)1 << policy->predicate_count;
    return (uint32_t)1 << policy->predicate_count++;
}

/* ---- Words ---- */

/* Questions to the register. A word that stands in several rows asks any of them, so that no two questions can overlap:
 * whoever goes through all combinations of answers (policy_cells.h) asks for none that cannot be. */
static const struct row {
    struct sl_slice word;
    enum sl_register_kind kind;
    struct sl_slice variant;
    const char *reads;
} rows[] = {
    {{"court-order", 11}, SL_REGISTER_COURT_ORDER, {"2.64", 4}, "an order of a court with the instrument that compels"},
    {{"court-order", 11}, SL_REGISTER_COURT_ORDER, {"2.65", 4}, NULL},
    {{"court-order-2.64", 16}, SL_REGISTER_COURT_ORDER, {"2.64", 4},
        "an order for other than criminal ends (42 CFR 2.64) with the instrument that compels"},
    {{"court-order-2.65", 16}, SL_REGISTER_COURT_ORDER, {"2.65", 4},
        "an order to investigate or prosecute the patient (42 CFR 2.65) with the instrument that compels"},
    {{"court-order-2.63", 16}, SL_REGISTER_COURT_ORDER, {"2.63", 4},
        "an order that reaches confidential communications (42 CFR 2.63)"},
    {{"agreed-restriction", 18}, SL_REGISTER_AGREED_RESTRICTION, {NULL, 0}, "a restriction agreed with the patient"},
    {{"endangerment", 12}, SL_REGISTER_ENDANGERMENT, {NULL, 0}, "a hold, since access would endanger somebody"},
    {{"approval", 8}, SL_REGISTER_APPROVAL, {NULL, 0}, "an approval of the document"},
    {{"research-basis", 14}, SL_REGISTER_RESEARCH_BASIS, {"authorization", 13}, "a basis for research"},
    {{"research-basis", 14}, SL_REGISTER_RESEARCH_BASIS, {"waiver", 6}, NULL},
    {{"research-basis", 14}, SL_REGISTER_RESEARCH_BASIS, {"common-rule", 11}, NULL},
    {{"self-consented-minor", 20}, SL_REGISTER_SELF_CONSENTED_MINOR, {NULL, 0},
        "that a minor consented to this care by himself"},
};
#define ROWS (sizeof rows / sizeof *rows)

size_t sl_register_facts(struct sl_slice *out, size_t max)
{
    size_t count = 0;
    for (size_t i = 0; i < ROWS && count < max; i++)
        if (rows[i].reads)
            out[count++] = rows[i].word;
    return count;
}

bool sl_register_fact(struct sl_slice word, size_t *at, struct sl_predicate *out)
{
    for (; *at < ROWS; ++*at)
        if (sl_slice_eq(rows[*at].word, word)) {
            const struct row *row = &rows[(*at)++];
            *out = (struct sl_predicate){.asks = SL_ASKS_REGISTER, .kind = row->kind, .word = row->variant};
            return true;
        }
    return false;
}

struct sl_slice sl_register_fact_reads(struct sl_slice word)
{
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].reads && sl_slice_eq(rows[i].word, word))
            return sl_slice_of(rows[i].reads);
    return word;
}

#define OLDEST 200u

/* The years at the front of the text, which go; false: none, or more than anybody lives. */
static bool take_years(struct sl_slice *text, unsigned *out)
{
    size_t digits = 0;
    *out = 0;
    while (digits < text->len && digits < 3 && text->ptr[digits] >= '0' && text->ptr[digits] <= '9')
        *out = *out * 10 + (unsigned)(text->ptr[digits++] - '0');
    *text = sl_slice_from(*text, digits);
    return digits > 0 && *out < OLDEST;
}

bool sl_age_read(struct sl_slice word, struct sl_predicate *out)
{
    unsigned years;
    *out = (struct sl_predicate){.asks = SL_ASKS_AGE, .from = 18, .below = OLDEST};
    if (sl_slice_eq(word, SL_LIT("adult")))
        return true;
    if (sl_slice_starts(word, SL_LIT("under-"))) {
        word = sl_slice_from(word, strlen("under-"));
        out->from = 0;
        return take_years(&word, &out->below) && !word.len && out->below > 0;
    }
    if (!take_years(&word, &out->from))
        return false;
    if (sl_slice_eq(word, SL_LIT("-and-over")))
        return true;
    if (!sl_slice_starts(word, SL_LIT("-to-")))
        return false;
    word = sl_slice_from(word, strlen("-to-"));
    bool good = take_years(&word, &years) && !word.len && years >= out->from;
    out->below = years + 1;
    return good;
}

/* The states and territories of the United States, as its postal service calls them. */
static const char states[] =
    "AL AK AZ AR CA CO CT DE DC FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ "
    "NM NY NC ND OH OK OR PA RI SC SD TN TX UT VT VA WA WV WI WY AS GU MP PR VI ";

bool sl_state_known(struct sl_slice word)
{
    for (const char *at = states; *at; at += 3)
        if (word.len == 2 && at[0] == word.ptr[0] && at[1] == word.ptr[1])
            return true;
    return false;
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

static bool is_of_kind(const struct sl_entry *entry, const struct sl_predicate *predicate)
{
    if (entry->kind != predicate->kind)
        return false;
    if (entry->kind == SL_REGISTER_COURT_ORDER && sl_slice_eq(predicate->word, SL_LIT("2.63")))
        return entry->confidential;
    return !predicate->word.len || sl_slice_eq(predicate->word, entry->variant);
}

/* Does an entry about this person, or about whoever, cover the item? */
static bool covers(const struct sl_ruling *ruling, const struct sl_predicate *predicate, struct sl_slice person,
    const struct sl_item *item, const struct sl_classes *classes)
{
    for (size_t i = 0; i < ruling->entry_count; i++) {
        const struct sl_bound *bound = &ruling->entries[i];
        if (is_of_kind(bound->entry, predicate) && (!bound->person.len || sl_slice_eq(bound->person, person)) &&
            !sl_entry_leaves_out(bound->entry, item, classes))
            return true;
    }
    return false;
}

/* What keeps back does so for any of the persons; what lets go must do so for each, and of nobody there is none. */
static bool is_registered(const struct sl_ruling *ruling, const struct sl_predicate *predicate,
    const struct sl_item *item, const struct sl_classes *classes)
{
    bool restricts = sl_entry_restricts((enum sl_register_kind)predicate->kind);
    for (size_t i = 0; i < ruling->person_count; i++)
        if (covers(ruling, predicate, ruling->persons[i], item, classes) == restricts)
            return restricts;
    return !restricts && ruling->person_count;
}

static bool is_aged(const struct sl_predicate *predicate, const struct sl_item *item)
{
    const struct sl_age *age = &item->age;
    if (predicate->unsure)
        return !age->known || (age->most >= predicate->from && age->least < predicate->below);
    return age->known && age->least >= predicate->from && age->most < predicate->below;
}

static bool is_author(const struct sl_ruling *ruling, const struct sl_item *item)
{
    const struct sl_recipient *r = &ruling->recipient;
    struct sl_slice who = r->user_reference.len || r->user.len ? r->user_reference : r->organization;
    for (uint32_t i = 0; who.len && i < item->author_count; i++)
        if (sl_slice_eq(item->authors[i], who))
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
    case SL_ASKS_REGISTER:
        for (size_t i = 0; i < ruling->entry_count; i++)
            if (is_of_kind(ruling->entries[i].entry, predicate))
                return true;
        return false;
    case SL_ASKS_AGE:
    case SL_ASKS_STATE:
        return true;
    case SL_ASKS_AUTHOR:
        return r->user_reference.len || (!r->user.len && r->organization.len);
    case SL_ASKS_NOTHING:
    case SL_ASK_WORDS:
        break;
    }
    return false;
}

static bool holds(const struct sl_ruling *ruling, const struct sl_predicate *predicate, const struct sl_item *item,
    const struct sl_classes *classes)
{
    switch (predicate->asks) {
    case SL_ASKS_PROGRAM:
        return is_staff(ruling, item);
    case SL_ASKS_OF:
        return is_of(item, predicate->word);
    case SL_ASKS_SERVED:
        return is_served(ruling, item);
    case SL_ASKS_REGISTER:
        return ruling->entry_count && is_registered(ruling, predicate, item, classes);
    case SL_ASKS_AGE:
        return is_aged(predicate, item);
    case SL_ASKS_STATE:
        return sl_slice_eq(predicate->word, item->source_state.len ? item->source_state : SL_LIT("unknown"));
    case SL_ASKS_AUTHOR:
        return is_author(ruling, item);
    case SL_ASKS_NOTHING:
    case SL_ASK_WORDS:
        break;
    }
    return false;
}

/* ---- The register ---- */

/* Each of the list, held against the person; out NULL: they are counted only. */
static void bind(
    const struct sl_entry *list, struct sl_slice person, bool confirmed, struct sl_bound *out, size_t *count)
{
    for (const struct sl_entry *entry = list; entry; entry = entry->next, ++*count)
        if (out)
            out[*count] = (struct sl_bound){entry, person, confirmed};
}

/* What is entered under one number of a person binds him under all: see sluice/kin.h. What permits counts under those
 * numbers alone that are confirmed to be his. */
static enum sl_status bind_person(
    const struct sl_ruling *ruling, struct sl_slice person, struct sl_arena *arena, struct sl_bound *out, size_t *count)
{
    const struct sl_key itself = {person, true}, *keys = &itself;
    size_t key_count = 1;
    bool told;
    if (ruling->kin && !sl_fault(SL_FAULT_ONE_NUMBER))
        SL_TRY(sl_kin_keys(ruling->kin, person, arena, &keys, &key_count, &told));
    for (size_t k = 0; k < key_count; k++)
        bind(sl_registered_entries(ruling->registered, keys[k].patient), person, keys[k].confirmed, out, count);
    return SL_OK;
}

/* All that may be about whoever, or about one of the persons. */
static enum sl_status bind_all(
    const struct sl_ruling *ruling, struct sl_arena *arena, struct sl_bound *out, size_t *count)
{
    *count = 0;
    bind(sl_registered_anybodys(ruling->registered), (struct sl_slice){NULL, 0}, true, out, count);
    for (size_t i = 0; i < ruling->person_count && sl_registered_binds(ruling->registered); i++)
        SL_TRY(bind_person(ruling, ruling->persons[i], arena, out, count));
    return SL_OK;
}

enum sl_status sl_facts_prepare(struct sl_ruling *ruling, struct sl_arena *arena)
{
    SL_TRY(bind_all(ruling, arena, NULL, &ruling->bound_count));
    if (!ruling->bound_count)
        return SL_OK;
    ruling->bound = sl_arena_array(arena, ruling->bound_count, sizeof *ruling->bound);
    ruling->entries = sl_arena_array(arena, ruling->bound_count, sizeof *ruling->entries);
    if (!ruling->bound || !ruling->entries)
        return SL_NO_MEMORY;
    SL_TRY(bind_all(ruling, arena, ruling->bound, &ruling->bound_count));
    for (size_t i = 0; i < ruling->bound_count; i++)
        if (!sl_entry_passes_over(&ruling->bound[i], ruling))
            ruling->entries[ruling->entry_count++] = ruling->bound[i];
    return SL_OK;
}

/* ---- All of them ---- */

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

/* "same-program", "register:court-order-2.64", "age:12-to-17", "age:12-to-17?", "state:IL", "author". */
void sl_predicate_name(struct sl_buffer *out, const struct sl_predicate *predicate)
{
    switch (predicate->asks) {
    case SL_ASKS_PROGRAM:
        sl_buffer_add(out, SL_LIT("same-program"));
        break;
    case SL_ASKS_OF:
        sl_buffer_printf(out, "of-program=%.*s", SL_FMT(predicate->word));
        break;
    case SL_ASKS_SERVED:
        sl_buffer_add(out, SL_LIT("serves-program"));
        break;
    case SL_ASKS_REGISTER:
        sl_buffer_printf(out, "register:%.*s%s%.*s",
            SL_FMT(sl_register_kind_word((enum sl_register_kind)predicate->kind)), predicate->word.len ? "-" : "",
            SL_FMT(predicate->word));
        break;
    case SL_ASKS_AGE:
        sl_buffer_printf(out, "age:%u-to-%u%s", predicate->from, predicate->below - 1, predicate->unsure ? "?" : "");
        break;
    case SL_ASKS_STATE:
        sl_buffer_printf(out, "state:%.*s", SL_FMT(predicate->word));
        break;
    case SL_ASKS_AUTHOR:
        sl_buffer_add(out, SL_LIT("author"));
        break;
    case SL_ASKS_NOTHING:
    case SL_ASK_WORDS:
        break;
    }
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
    case SL_ASKS_REGISTER:
        sl_buffer_printf(
            out, "the register's %.*s", SL_FMT(sl_register_kind_word((enum sl_register_kind)predicate->kind)));
        if (predicate->word.len)
            sl_buffer_printf(out, " (%.*s)", SL_FMT(predicate->word));
        break;
    case SL_ASKS_AGE:
        sl_buffer_printf(out, "a patient %sof %u to %u years", predicate->unsure ? "perhaps " : "", predicate->from,
            predicate->below - 1);
        break;
    case SL_ASKS_STATE:
        sl_buffer_printf(out, "a source in the state %.*s", SL_FMT(predicate->word));
        break;
    case SL_ASKS_AUTHOR:
        sl_buffer_add(out, SL_LIT("the record being its own work"));
        break;
    case SL_ASKS_NOTHING:
    case SL_ASK_WORDS:
        break;
    }
}

static void explain_entry(const struct sl_ruling *ruling, const struct sl_bound *bound, const struct sl_item *item,
    const struct sl_classes *classes, struct sl_buffer *out)
{
    const struct sl_entry *entry = bound->entry;
    const char *why = sl_entry_passes_over(bound, ruling);
    why = why ? why : sl_entry_leaves_out(entry, item, classes);
    sl_buffer_printf(out, "  %.*s %.*s", SL_FMT(entry->name), SL_FMT(sl_register_kind_word(entry->kind)));
    if (entry->variant.len)
        sl_buffer_printf(out, " (%.*s)", SL_FMT(entry->variant));
    if (bound->person.len && !sl_slice_eq(bound->person, entry->patient))
        sl_buffer_printf(out, ", about %.*s", SL_FMT(entry->patient));
    sl_buffer_printf(out, ": %s%s\n", why ? "does not count: " : "covers this record and recipient", why ? why : "");
}

void sl_facts_explain(
    const struct sl_ruling *ruling, const struct sl_item *item, const struct sl_classes *classes, struct sl_buffer *out)
{
    size_t begin = out->len;
    uint32_t facts = sl_facts_of(ruling, item, classes, ~0u);
    const char *comma = "the record: ";
    for (uint32_t rest = facts; rest; rest &= rest - 1) {
        sl_buffer_printf(out, "%s", comma);
        sl_predicate_write(out, &ruling->policy->predicates[__builtin_ctz(rest)]);
        comma = ", ";
    }
    if (out->len > begin)
        sl_buffer_add(out, SL_LIT("\n"));
    if (ruling->bound_count)
        sl_buffer_add(out, SL_LIT("the officer's register about its patients:\n"));
    for (size_t i = 0; i < ruling->bound_count; i++)
        explain_entry(ruling, &ruling->bound[i], item, classes, out);
}
