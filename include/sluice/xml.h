/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FHIR XML (R4, 2.6.1) to and from the JSON text that all else works on. Nothing is lost either way: decimals keep
 * their digits, repeated elements their order, a narrative its bytes. What has no place in R4's table is refused and
 * never dropped; so is a document type declaration, with which entities come.
 *
 * Source: http://hl7.org/fhir/R4/xml.html and http://hl7.org/fhir/R4/json.html.
 */
#ifndef SLUICE_XML_H
#define SLUICE_XML_H

#include "sluice/buffer.h"
#include "sluice/span.h"

/* The resource at span `root` as XML, appended. SL_INVALID: it is no R4 resource, or has what XML cannot hold (a
 * control character, a null that stands for nothing, a narrative that is not well-formed); `error->why` is a literal
 * and `error->offset` a place in the JSON. SL_NO_MEMORY; SL_LIMIT if the buffer is full. error may be NULL. */
SL_MUST_CHECK enum sl_status sl_xml_write(
    const struct sl_doc *doc, uint32_t root, struct sl_buffer *out, struct sl_doc_error *error);

/* One resource in XML (UTF-8, with or without declaration) as JSON text, appended: elements in the order of the
 * specification. SL_SYNTAX: not well-formed, not UTF-8, or with a document type; SL_INVALID: no R4 resource, an element
 * or attribute that R4 has not, a value that JSON cannot hold; SL_LIMIT: deeper or larger than limits (NULL: the
 * default ones) allow, or the buffer is full; SL_NO_MEMORY. */
SL_MUST_CHECK enum sl_status sl_xml_read(struct sl_arena *arena, struct sl_slice xml,
    const struct sl_doc_limits *limits, struct sl_buffer *out, struct sl_doc_error *error);

#endif
