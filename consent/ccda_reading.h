/* SPDX-License-Identifier: Apache-2.0 */
/* What ccda_label.c (codes, labels, participants, links) and ccda_words.c (words) share while they read a document. */
#ifndef SLUICE_CONSENT_CCDA_READING_H
#define SLUICE_CONSENT_CCDA_READING_H

#include "ccda.h"

struct reading {
    struct sl_labeller *labeller;
    struct sl_arena *arena;
    const struct sl_earning *earning;
    struct labelled *item;
    struct sl_ccda *ccda;
    struct cda_doc *doc;
    uint32_t evidence; /* the span that reasons name: the data */
    bool unsearched;   /* its words could not be searched */
};

/* Gives the part of a node these classes; node 0: the document, which is the item. Memory that ran out shows at the
 * arena. */
void sl_cda_earn(
    struct reading *r, uint32_t node, const struct sl_classes *classes, enum sl_why why, struct sl_slice detail);

/* Searches what the document says in words, but for what it never releases. False: they could not be searched. */
bool sl_cda_words(struct reading *r);
/* The same for words that came in another form. */
bool sl_cda_words_of(struct reading *r, uint32_t node, enum sl_content_kind kind, struct sl_slice text);

#endif
