/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The format of an answer: which one a request wants, and what was made in JSON in another. All decisions have been
 * made by then, on JSON; a format is the last thing that happens to an answer, and the same for every door.
 */
#ifndef SLUICE_GATEWAY_FORMAT_H
#define SLUICE_GATEWAY_FORMAT_H

#include "http.h"
#include "sluice/edit.h"

enum sl_format {
    SL_FORMAT_JSON,
    SL_FORMAT_XML,
    SL_FORMAT_BYTES /* of a Binary: what it holds */
};

/* By `_format` (ptr NULL: not given), which stands before Accept (http.html, 3.2.0.1.10), and Accept; JSON if neither
 * says anything. `binary`: a Binary is read, whose bytes go to everybody who does not name a format of FHIR
 * (binary.html). SL_NOT_ACCEPTABLE: none that is served. */
SL_MUST_CHECK enum sl_status sl_format_find(
    const struct sl_request *request, struct sl_slice parameter, bool binary, enum sl_format *out);
/* The words of a media type list up to `mark`, without white space around them; `text` is what comes after. */
struct sl_slice sl_format_take(struct sl_slice *text, char mark);
bool sl_format_same(struct sl_slice text, struct sl_slice word); /* whatever the case */

struct sl_slice sl_format_type(enum sl_format format); /* as Content-Type has it */
struct sl_slice sl_format_word(enum sl_format format); /* as `_format` has it */

/* Writes the JSON of `body` anew as XML, into blocks of the same arena. SL_NOT_ACCEPTABLE: there is something in it
 * that XML cannot hold (a narrative that is not well-formed). */
SL_MUST_CHECK enum sl_status sl_format_as_xml(struct sl_blocks *body);

/* Does the request take answers in gzip (Accept-Encoding)? */
bool sl_format_takes_gzip(const struct sl_request *request);
/* Compresses the body, into blocks of the same arena. */
SL_MUST_CHECK enum sl_status sl_format_gzip(struct sl_blocks *body);
/* What one gzip member (RFC 1952) holds. SL_TOO_LARGE: more than `limit` bytes, or more than SL_GUNZIP_RATIO times what
 * it is made from, which no text of records comes to and a bomb does. SL_BAD_SYNTAX: it is none, torn, or not all. */
#define SL_GUNZIP_RATIO 200u
SL_MUST_CHECK enum sl_status sl_format_gunzip(
    struct sl_slice packed, size_t limit, struct sl_arena *arena, struct sl_slice *out);

#endif
