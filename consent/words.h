/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words: which sensitive topics a text mentions, by a lexicon (consent/lexicon/README.md). Words are evidence of a kind
 * of its own: they say what somebody wrote, not what a patient has, and never where a record comes from.
 *
 * A lexicon is immutable once loaded and serves any number of threads. Searching is linear in the text, whatever the
 * text; what it needs to remember it takes from a pool of the lexicon's, which no lock guards.
 */
#ifndef SLUICE_CONSENT_WORDS_H
#define SLUICE_CONSENT_WORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "sluice/content.h"
#include "sluice/issue.h"
#include "sluice/policy.h"
#include "sluice/slice.h"
#include "sluice/status.h"

#define SL_WORDS_LIMIT 16384u /* terms of a lexicon */

enum sl_mention {
    SL_MENTION_SUBSTANCE_USE,
    SL_MENTION_MENTAL_HEALTH,
    SL_MENTION_HIV,
    SL_MENTION_SEXUAL,
    SL_MENTION_VIOLENCE,
    SL_MENTION_GENETIC,
    SL_MENTION_SICKLE_CELL,
    SL_MENTION_DENIED, /* a topic that the text says is not there */
    SL_MENTION_FAMILY, /* one that it says of somebody of the patient's household or family */
    SL_MENTIONS
};
#define SL_MENTION_TOPICS SL_MENTION_DENIED
struct sl_slice sl_mention_name(enum sl_mention mention); /* "substance-use", …, "denied", "family": a literal */

/* What a text mentions: a bit each, and the first term that said so. */
struct sl_mentions {
    uint16_t bits;
    bool partial; /* it holds pictures, or other parts that cannot be searched */
    uint16_t term[SL_MENTIONS];
};

struct sl_words;

/* From files in memory: those whose path ends in .csv under "lexicon/". Mistakes are issues, with file and line.
 * *out is NULL if there is no such file. SL_INVALID, SL_NO_MEMORY. */
SL_MUST_CHECK enum sl_status sl_words_load(
    const struct sl_policy_file *files, size_t count, struct sl_issues *issues, struct sl_words **out);
void sl_words_free(struct sl_words *words); /* NULL is fine */

size_t sl_words_count(const struct sl_words *words);
/* The term as it stands in its file. */
struct sl_slice sl_words_term(const struct sl_words *words, uint16_t term);

/* May a short string of FHIR hold a term? Quick, for most: false is sure, true is not. */
bool sl_words_may_hold(const struct sl_words *words, struct sl_slice text);

/* Searches a text in UTF-8: of an attachment by its kind; a string of FHIR is SL_CONTENT_PLAIN, a narrative's div
 * SL_CONTENT_HTML. False: no memory, or the library failed; then what the text mentions is unknown, which is no
 * permission. */
bool sl_words_search(
    const struct sl_words *words, enum sl_content_kind kind, struct sl_slice text, struct sl_mentions *out);

#endif
