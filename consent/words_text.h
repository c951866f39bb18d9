/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text that is searched for words: what a reader would see of a content, gathered into one run of ASCII. Markup is
 * gone and entities and escapes are resolved; what is nothing to the eye (soft hyphens, spaces of no width) is gone
 * too; white space, hyphens, slashes and underscores are single spaces; letters in wide and other fancy forms are plain
 * ones. What cannot be seen and goes out all the same (attributes, comments) follows the visible text.
 */
#ifndef SLUICE_CONSENT_WORDS_TEXT_H
#define SLUICE_CONSENT_WORDS_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "sluice/content.h"
#include "sluice/slice.h"

/* Reused from text to text; zeroed is empty. */
struct sl_words_text {
    char *text;
    size_t len, capacity;
    uint32_t *lines; /* where each begins, ascending, the first at 0: paragraphs, list items, headings, rows. A line of
                        plain text that goes on within its sentence is none */
    size_t line_count, line_capacity;
    uint32_t *joints; /* places where markup stood between two characters: a word may begin or end there */
    size_t joint_count, joint_capacity;
    bool partial; /* pictures, objects */
    bool failed;  /* no memory */
};

/* False: no memory. */
bool sl_words_gather(struct sl_words_text *gathered, enum sl_content_kind kind, struct sl_slice text);
void sl_words_text_fini(struct sl_words_text *gathered);
/* Does markup stand in front of this character? */
bool sl_words_joint(const struct sl_words_text *gathered, uint32_t at);

#endif
