/* SPDX-License-Identifier: Apache-2.0 */
/* Where a span stands, in words for reports: "Claim.diagnosis[1].diagnosisCodeableConcept". Names and places only. */
#ifndef SLUICE_PATH_H
#define SLUICE_PATH_H

#include "sluice/span.h"

/*
 * The path from the resource at `root` to `span`, within it: the resource's type, then keys, with the place in an array
 * (from 0) in brackets. A resource within another one is named by the key that holds it
 * ("MedicationRequest.contained[0] .code"). In the arena; ptr NULL if memory ran out; empty if the span does not lie
 * within the root.
 */
struct sl_slice sl_span_path(const struct sl_doc *doc, uint32_t root, uint32_t span, struct sl_arena *arena);

/* The same for one span after the other of one document: what has been found on the way to one is not sought again for
 * the next, so that paths asked for in the order of the document cost what they are long, however large an array they
 * lead through. `places` is zeroed at first. */
#define SL_PATH_DEPTH 66u
struct sl_path_place {
    uint32_t container, child, place;
};
struct sl_path_places {
    struct sl_path_place at[SL_PATH_DEPTH]; /* by depth */
};
struct sl_slice sl_span_path_next(
    const struct sl_doc *doc, uint32_t root, uint32_t span, struct sl_path_places *places, struct sl_arena *arena);

#endif
