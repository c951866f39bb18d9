/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the body of a request holds: one resource, in JSON or FHIR XML by its Content-Type, as one JSON document from
 * here on. Nothing is decided on bytes that were not read here.
 */
#ifndef SLUICE_GATEWAY_BODY_H
#define SLUICE_GATEWAY_BODY_H

#include "exchange.h"

/* Is the Content-Type one in which a resource comes? *xml: in FHIR XML. SL_MEDIA_TYPE. */
SL_MUST_CHECK enum sl_status sl_body_media(const struct sl_request *request, bool *xml);

/* Reads the body into the exchange's arena, out of the process's budget. SL_MEDIA_TYPE; SL_BAD_SYNTAX: it is neither;
 * SL_TOO_LARGE; SL_UNAVAILABLE: no budget; SL_NO_MEMORY. */
SL_MUST_CHECK enum sl_status sl_body_read(struct sl_exchange *x, struct sl_doc *out);

#endif
