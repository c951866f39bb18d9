/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a text says of a topic that it names: that the patient has to do with it, that he has not, or that somebody of
 * his family has. A small set of rules over the sentence and the section a word stands in; in doubt it is the
 * patient's.
 */
#ifndef SLUICE_CONSENT_WORDS_SCOPE_H
#define SLUICE_CONSENT_WORDS_SCOPE_H

#include "words.h"
#include "words_text.h"

enum sl_scope { SL_SCOPE_PATIENT, SL_SCOPE_DENIED, SL_SCOPE_FAMILY };

/* The phrases the rules go by, made ready once for any number of readers. NULL: no memory. */
struct sl_phrases;
struct sl_phrases *sl_phrases_new(void);
void sl_phrases_free(struct sl_phrases *phrases); /* NULL is fine */

/* Where a reader of a text stands: goes forward with the words it is asked about. Zeroed but for the phrases is the
 * beginning. */
struct sl_scope_reader {
    const struct sl_phrases *phrases;
    size_t line;     /* that the last word stood in */
    bool family;     /* the section is about the family */
    uint32_t since;  /* where that section began */
    unsigned looked; /* how many words were judged: beyond SL_SCOPE_LOOKS every further one is the patient's */
};
#define SL_SCOPE_LOOKS 16384u

/* The word stands in [begin, end); words are asked about in the order of their ends. */
enum sl_scope sl_scope_find(struct sl_scope_reader *reader, const struct sl_words_text *text, enum sl_mention topic,
    uint32_t begin, uint32_t end);

#endif
