/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Content: what stands in an Attachment's or a Binary's `data`. It is decoded once, while its resource is labelled, and
 * from then on known as one of a few kinds: text that can be searched for words, a C-CDA document that can be segmented
 * like a Bundle, or something nobody here can read.
 */
#ifndef SLUICE_CONTENT_H
#define SLUICE_CONTENT_H

#include <stdint.h>

#include "sluice/arena.h"
#include "sluice/slice.h"

enum sl_content_kind {
    SL_CONTENT_NONE,  /* no data here: a url alone, or nothing */
    SL_CONTENT_PLAIN, /* text/plain and other text without markup */
    SL_CONTENT_HTML,
    SL_CONTENT_RTF,
    SL_CONTENT_XML,   /* XML that is no C-CDA */
    SL_CONTENT_CCDA,  /* a ClinicalDocument in the namespace urn:hl7-org:v3 */
    SL_CONTENT_UNREAD /* there is something, and nobody here can read it: PDF, image, sound, bad base64; or its words
                         can be read and its codes cannot: a resource, a message of HL7 v2 */
};

struct sl_ccda;

/* One of them. Lives in the labeller's arena. */
struct sl_content {
    uint32_t span; /* the Attachment object, or the Binary resource */
    uint32_t data; /* its `data`, a string of base64; 0: none */
    uint32_t url;  /* its `url`; 0: none */
    uint32_t cut;  /* what to cut where the content may not go */
    enum sl_content_kind kind;
    struct sl_slice type;  /* contentType, as written; may be empty */
    struct sl_slice bytes; /* decoded; empty where there is no data or it is no base64 */
    struct sl_slice text;  /* them as UTF-8 without a byte order mark, if the kind is one of text; else empty */
    /* Set by segmentation: base64 that goes out in the place of `data`, which goes as it is if this is empty.
     * Hash and size of content that can be segmented never go (segment.c). */
    struct sl_slice replacement;
    struct sl_slice written; /* and what it decodes to; ptr NULL: not written yet */
    struct sl_ccda *ccda;    /* of a C-CDA: what is known of its parts; NULL: it is none, or its data is not here */
};

/* Base64 (RFC 4648, with padding), white space between characters allowed, as FHIR's base64Binary. False: it is none,
 * it is too large, or memory ran out (which the arena tells). */
bool sl_content_decode(struct sl_slice base64, struct sl_arena *arena, struct sl_slice *bytes);
/* The same the other way, padded; a quote stands before and behind it, as JSON has it. Length 0: no memory. */
struct sl_slice sl_content_encode(struct sl_slice bytes, struct sl_arena *arena);

#endif
