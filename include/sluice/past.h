/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What later versions of a record hand down to earlier ones (docs/decisions/0024). A record that became sensitive is
 * sensitive in its past: a version has its own classes and those of all later ones, up to a correction. A version that
 * says of itself that it was entered in error takes back what was said up to it: neither it nor any version before it
 * hands its classes down. Later ones do, to all.
 */
#ifndef SLUICE_PAST_H
#define SLUICE_PAST_H

#include "sluice/label.h"

/* Gathered from the newest version on; zeroed before it. */
struct sl_past {
    struct sl_classes classes;
    bool corrected; /* the newest correction has been passed: nothing is gathered any more */
    bool program;   /* a later version is a program's: */
    enum sl_holding holding;
    struct sl_slice program_reference, named_program, custodian; /* this one's */
};

/* Does the record say of itself that it was entered in error: in status, docStatus, verificationStatus, lifecycleStatus
 * or the like, by the code `entered-in-error`? */
bool sl_past_is_correction(const struct sl_doc *doc, uint32_t root);

/* The next older version: it gets what has been handed down to it, and then hands its own down. `item` is labelled, and
 * an item that stands by itself (not contained). What `past` then points at is the item's. */
SL_MUST_CHECK enum sl_status sl_past_hand_down(struct sl_past *past, struct sl_item *item, struct sl_arena *arena);

#endif
