/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The officer's register: what a privacy officer has entered about records and answers for, in the `policy` store.
 * Typed entries, one table for all kinds (register.def): records, patient, from and until, law, why, by whom.
 *
 * Nothing is ever erased: the store keeps a log, in which an entry is written once and may be ended by a later line
 * that says who ended it, when and why. What is in force at an instant is compiled, for one policy, into a snapshot
 * that labelling asks (sl_registered): immutable, reference-counted, read by any thread.
 */
#ifndef SLUICE_REGISTER_H
#define SLUICE_REGISTER_H

#include <stdint.h>

#include "sluice/issue.h"
#include "sluice/policy.h"
#include "sluice/store.h"

enum sl_register_field {
#define SL_REGISTER_FIELD(name, key, most, form, help) SL_REGISTER_##name,
#include "sluice/register.def"
    SL_REGISTER_FIELDS
};

enum sl_register_kind {
    SL_REGISTER_NO_KIND,
#define SL_REGISTER_KIND(name, word, required, further, law, title) SL_REGISTER_##name,
#include "sluice/register.def"
    SL_REGISTER_KINDS
};

struct sl_register_values {
    const struct sl_slice *value;
    size_t count;
};

struct sl_register_entry {
    uint64_t number; /* given by the store, from 1; 0: not in a store */
    enum sl_register_kind kind;
    struct sl_register_values field[SL_REGISTER_FIELDS];
    int64_t entered; /* seconds since the epoch */
    bool ended;      /* then: */
    int64_t ended_at;
    struct sl_slice ended_by, ended_why;
};

struct sl_register_entries {
    struct sl_register_entry *entry;
    size_t count;
};

/* The first value of a field; empty if it has none. */
struct sl_slice sl_register_value(const struct sl_register_entry *entry, enum sl_register_field field);
/* The word of a kind ("self-pay"), and back: SL_REGISTER_NO_KIND if it is none. */
struct sl_slice sl_register_kind_word(enum sl_register_kind kind);
enum sl_register_kind sl_register_kind_find(struct sl_slice word);
/* Is it about records, so that a class can be earned by it? Others are about persons. */
bool sl_register_kind_marks(enum sl_register_kind kind);
/* What an entry lacks to be anything, a literal: a half of an order (42 CFR 2.61), or what it is about; NULL: nothing.
 */
const char *sl_register_lacks(const struct sl_register_entry *entry);
/* The key of a field ("has-not"), and what it says, for help. */
const char *sl_register_field_key(enum sl_register_field field);
const char *sl_register_field_help(enum sl_register_field field);
bool sl_register_field_many(enum sl_register_field field);

/* Is the entry whole: fields its kind needs and none it has not, each of the right form? What is wrong goes to issues,
 * and it is SL_INVALID. Fills in the law of the kind where none is given. */
SL_MUST_CHECK enum sl_status sl_register_check(struct sl_register_entry *entry, struct sl_issues *issues);

/* Reads a YAML file: `entries:`, a list of {kind:, items:, patient:, …}. `by` stands in the place of a missing one; may
 * be empty. SL_INVALID with issues if any entry is not whole. Arena-owned: the issues'. */
SL_MUST_CHECK enum sl_status sl_register_load(
    const char *path, struct sl_slice by, int64_t now, struct sl_issues *issues, struct sl_register_entries *out);

/* ---- The log in the `policy` store ---- */

/* Writes checked entries, all or none; gives each its number. SL_LIMIT: more than one transaction holds. */
SL_MUST_CHECK enum sl_status sl_register_add(
    struct sl_store *store, struct sl_register_entry *entries, size_t count, int64_t now);
/* Ends an entry. SL_MISSING: there is no such entry; SL_EXISTS: it was ended before. */
SL_MUST_CHECK enum sl_status sl_register_end(
    struct sl_store *store, uint64_t number, struct sl_slice by, struct sl_slice why, int64_t now);
/* Every entry, ended ones included, by number. A log that cannot be read is SL_CORRUPT. */
SL_MUST_CHECK enum sl_status sl_register_list(
    struct sl_store *store, struct sl_arena *arena, struct sl_register_entries *out);
/* How many lines the log has: it has changed exactly if this has. */
SL_MUST_CHECK enum sl_status sl_register_length(struct sl_store *store, uint64_t *out);

/* ---- What is in force, for labelling ---- */

struct sl_registered;

/* Compiles what is in force at `now`. A class that the policy does not have is an issue (a warning): a record declared
 * to have it is withheld, one declared not to have it stays as it is. */
SL_MUST_CHECK enum sl_status sl_registered_new(const struct sl_policy *policy, const struct sl_register_entries *list,
    int64_t now, struct sl_issues *issues, struct sl_registered **out);
/* The same from a store. */
SL_MUST_CHECK enum sl_status sl_registered_of(struct sl_store *store, const struct sl_policy *policy, int64_t now,
    struct sl_issues *issues, struct sl_registered **out);
struct sl_recipient;
struct sl_relationship;
/* The relationships of a recipient as the register leaves them: those it has (by token, registry), but for being the
 * representative of somebody the register excludes it from; then whom it represents by the register, for this purpose.
 * A new list in the arena, whose entries are borrowed from both. registered may be NULL. */
SL_MUST_CHECK enum sl_status sl_registered_relate(const struct sl_registered *registered,
    const struct sl_recipient *recipient, struct sl_arena *arena, const struct sl_relationship **out, size_t *count);
/* Does an entry bind a person, under whatever number his records have (sluice/kin.h)? */
bool sl_registered_binds(const struct sl_registered *registered);
struct sl_registered *sl_registered_ref(struct sl_registered *registered);
void sl_registered_unref(struct sl_registered *registered);
/* Until when it stands as it is: the first instant at which an entry begins or ends by its own dates. */
int64_t sl_registered_until(const struct sl_registered *registered);

#endif
