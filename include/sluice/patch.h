/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a patch makes of a text: JSON Patch (RFC 6902, all six operations) and FHIRPath Patch (FHIR R4, a Parameters
 * resource of operations add, insert, delete, replace, move). A patch is applied to what the writer has seen, and what
 * comes of it is what it sends (sluice/merge.h): the places it names are those of its view.
 *
 * Of FHIRPath it takes what names a place: the type, then names of elements, each with [n], .first(), .last() or
 * .where(name = literal) behind it, and .value for a value[x].
 *
 * Pure. Values that no operation touches keep their bytes. An array or object that operations have emptied goes.
 */
#ifndef SLUICE_PATCH_H
#define SLUICE_PATCH_H

#include "sluice/span.h"

#define SL_PATCH_OPERATIONS 1000u         /* of one patch */
#define SL_PATCH_BYTES ((size_t)10 << 20) /* of what comes of it */

enum sl_patch_form { SL_PATCH_JSON, SL_PATCH_FHIRPATH };

struct sl_patch {
    enum sl_patch_form form;
    const struct sl_doc *doc; /* the patch itself */
    const struct sl_doc *view;
    uint32_t view_root;
};

/*
 * SL_OK: *out, in the arena, is JSON text; whether it is a record is for sl_merge_check. SL_BAD_SYNTAX: it is no patch
 * of that form, or of more than we take. SL_UNPROCESSABLE: it cannot be done to this text: a place that is not there, a
 * test that fails. SL_LIMIT: too many operations, or too much comes of it. SL_NO_MEMORY. *why: a literal, for the
 * operator; set unless SL_OK.
 */
SL_MUST_CHECK enum sl_status sl_patch_apply(
    const struct sl_patch *patch, struct sl_arena *arena, struct sl_slice *out, const char **why);

#endif
