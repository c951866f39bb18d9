/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The body of a request: what it says it is, unpacked, as one JSON document from here on, read strictly. Nothing is
 * decided on bytes that were not read here. Everything here is about the client's own bytes: nothing of it can depend
 * on what there is.
 */
#ifndef SLUICE_GATEWAY_BODY_H
#define SLUICE_GATEWAY_BODY_H

#include "exchange.h"
#include "sluice/relink.h"

enum sl_body_form { SL_BODY_NONE, SL_BODY_JSON, SL_BODY_XML, SL_BODY_JSON_PATCH };

/* By Content-Type and Content-Encoding, before the body is read. `patch`: a JSON Patch may come. SL_MEDIA_TYPE: another
 * type, version of FHIR, charset or coding than is taken; or none said. *why: a literal for operators. */
SL_MUST_CHECK enum sl_status sl_body_form(
    const struct sl_request *request, bool patch, enum sl_body_form *out, const char **why);

/* The body as it was before it was packed; the request's own bytes where it was not. `limit`: bytes. SL_TOO_LARGE,
 * SL_BAD_SYNTAX. */
SL_MUST_CHECK enum sl_status sl_body_unpack(
    const struct sl_request *request, size_t limit, struct sl_arena *arena, struct sl_slice *out);

/* Reads it into JSON (*text) and its spans. SL_BAD_SYNTAX: no JSON or XML, or in XML no resource of R4; with an issue
 * that tells the client where. SL_TOO_LARGE: deeper or longer than is taken. */
SL_MUST_CHECK enum sl_status sl_body_parse(enum sl_body_form form, struct sl_slice bytes, size_t limit,
    struct sl_arena *arena, struct sl_issues *issues, struct sl_slice *text, struct sl_doc *doc);

/* All of this, into the exchange's arena, out of the process's budget: one resource, or of a patch what it says.
 * As above, and SL_MEDIA_TYPE; SL_UNAVAILABLE: no budget. x->detail says where it cannot be read. */
SL_MUST_CHECK enum sl_status sl_body_read(struct sl_exchange *x, struct sl_doc *out);

/* Is it a resource of this type, as R4's table has it? SL_BAD_SYNTAX with an issue: it is another, or holds what R4
 * does not know, which nobody could be shown again. `id`: the one it must have; empty: any or none. */
SL_MUST_CHECK enum sl_status sl_body_check(
    const struct sl_doc *doc, sl_r4_node type, struct sl_slice id, struct sl_arena *arena, struct sl_issues *issues);

/* Puts names in the place of what links say (sluice/relink.h). *text is one resource in JSON; it stays as it is where
 * nothing is to be put. */
SL_MUST_CHECK enum sl_status sl_body_relink(
    struct sl_arena *arena, struct sl_slice *text, sl_link_name name, void *context);

#endif
