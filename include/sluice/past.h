/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What later versions of a record hand down to earlier ones (docs/decisions/0024). A record that became sensitive is
 * sensitive in its past: a version has its own classes and those of all later ones, up to a correction. A version that
 * says of itself that it was entered in error takes back what was said up to it: neither it nor any version before it
 * hands its classes down. Later ones do, to all.
 *
 * Of elements, what a label says that a later version carries on one (DS4P inline labels) holds for the same element of
 * an earlier version: in the same place but for its index, and the same but for the label. What an element refers to is
 * asked in each version for itself.
 */
#ifndef SLUICE_PAST_H
#define SLUICE_PAST_H

#include "sluice/label.h"

/* An element with a label of its own: where it stands and what is in it, as one number. */
struct sl_past_element {
    uint64_t mark;
    uint16_t name; /* sl_name of it, or of the array it is in */
    struct sl_classes classes;
};

/* Gathered from the newest version on; zeroed before it. */
struct sl_past {
    struct sl_classes classes;
    bool corrected; /* the newest correction has been passed: nothing is gathered any more */
    bool too_many;  /* more labelled elements than are kept: nothing older can be labelled */
    const struct sl_past_element *elements;
    size_t element_count;
    bool program; /* a later version is a program's: */
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
