/* SPDX-License-Identifier: Apache-2.0 */
/* What the officer's register says of a record, as the labeller asks it; see sluice/register.h. Inside the consent room
 * only. */
#ifndef SLUICE_CONSENT_REGISTERED_H
#define SLUICE_CONSENT_REGISTERED_H

#include "sluice/classes.h"
#include "sluice/r4.h"
#include "entry.h"
#include "sluice/register.h"

/* One entry about one record. */
struct sl_mark {
    struct sl_classes has, has_not;
    struct sl_slice patient;      /* `has_not` counts for a record of this patient alone; empty: of one about nobody */
    struct sl_slice program;      /* of a declared program's record; may be empty */
    struct sl_slice name;         /* "register/12" */
    const struct sl_entry *entry; /* of a kind that lines ask for; NULL: none, or it is not in force */
    bool unknown;                 /* says that it has a class which the policy does not know: it is withheld */
    const struct sl_mark *next;
};

/* NULL: the register says nothing of it. registered may be NULL. */
const struct sl_mark *sl_registered_find(const struct sl_registered *registered, sl_r4_node type, struct sl_slice id);
/* Entries that lines can ask for, about this patient; and about whoever: those not in force among them, and why. */
const struct sl_entry *sl_registered_entries(const struct sl_registered *registered, struct sl_slice patient);
const struct sl_entry *sl_registered_anybodys(const struct sl_registered *registered);
/* Is this person excluded from representing that patient; or some patient? */
bool sl_registered_excludes(const struct sl_registered *registered, struct sl_slice person, struct sl_slice patient);
bool sl_registered_excludes_any(const struct sl_registered *registered, struct sl_slice person);
/* A register of these entries alone, in the arena; nobody's reference. NULL: no memory. */
const struct sl_registered *sl_registered_within(const struct sl_entry *entries, struct sl_arena *arena);
/* The entries that these marks belong to, at the front of `held`. SL_NO_MEMORY shows at the arena. */
const struct sl_held *sl_held_with(const struct sl_entry *entry, const struct sl_held *held, struct sl_arena *arena);
const struct sl_held *sl_registered_held(
    const struct sl_mark *marks, const struct sl_held *held, struct sl_arena *arena);
/* SHA-256 over what is in force; NULL if nothing is. 32 bytes. */
const unsigned char *sl_registered_digest(const struct sl_registered *registered);

#endif
