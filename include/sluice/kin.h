/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is the same person as whom, and which organization is part of which: what Patient.link, trusted identifiers and
 * Organization.partOf say. It never fetches: it gives back what is to be asked, each question once.
 *
 * A person has one key for each Patient record ("Patient/x"). Two keys are joined by a link of whatever type, or by an
 * identifier of a trusted system that both records carry. That they are the same person is confirmed by the types
 * `replaced-by` and `replaces`, and by such an identifier; over several steps, by each of them.
 */
#ifndef SLUICE_KIN_H
#define SLUICE_KIN_H

#include "sluice/book.h"

#define SL_KIN_STEPS 3u /* from one key of a person to another; a person of more cannot be told */
#define SL_KIN_KEYS 64u /* of one person; likewise */

enum sl_kin_question {
    SL_KIN_PATIENT,      /* the Patient record of that id */
    SL_KIN_LINKS,        /* Patients whose link names that id */
    SL_KIN_IDENTIFIER,   /* Patients with that identifier, "system|value", both escaped and encoded for a query */
    SL_KIN_ORGANIZATION, /* the Organization of that id */
    SL_KIN_QUESTIONS
};

struct sl_kin;

/* trusted: identifier systems, separated by spaces. NULL if memory ran out. */
struct sl_kin *sl_kin_new(struct sl_arena *arena, struct sl_slice trusted);
/* Whoever has it will ask: what has not been answered is not told. Otherwise what is at hand is all there is. links:
 * questions for SL_KIN_LINKS are put, too. */
void sl_kin_ask(struct sl_kin *kin, bool asks, bool links);

/* Takes in a Patient or an Organization; anything else says nothing here. */
SL_MUST_CHECK enum sl_status sl_kin_read(
    struct sl_kin *kin, struct sl_labeller *labeller, const struct sl_doc *doc, uint32_t root);
/* The same of every record of the labeller. */
SL_MUST_CHECK enum sl_status sl_kin_read_all(struct sl_kin *kin, struct sl_labeller *labeller);
/* It is to be told of "Patient/x", or of "Organization/x"; of anything else there is nothing to tell. */
SL_MUST_CHECK enum sl_status sl_kin_want(struct sl_kin *kin, struct sl_slice name);

/* What is to be asked next: at most `room` of that kind, none twice. */
SL_MUST_CHECK enum sl_status sl_kin_lacks(
    struct sl_kin *kin, enum sl_kin_question question, struct sl_slice *names, size_t room, size_t *count);
/* The question, as it was given, has been answered in full; what it brought has been read. */
void sl_kin_answered(struct sl_kin *kin, enum sl_kin_question question, struct sl_slice name);

struct sl_key {
    struct sl_slice patient;
    bool confirmed; /* the same person */
};
/* Every key of a person, that one first. *told false: there may be others. */
SL_MUST_CHECK enum sl_status sl_kin_keys(const struct sl_kin *kin, struct sl_slice patient, struct sl_arena *arena,
    const struct sl_key **keys, size_t *count, bool *told);
/* Is the organization part of that one, over any number of steps? *told false: it may be. */
bool sl_kin_within(const struct sl_kin *kin, struct sl_slice organization, struct sl_slice whole, bool *told);

/* ---- In the label book ---- */

/* The next of what was wanted that nobody has asked the book for; empty: there is none. */
struct sl_slice sl_kin_unasked(struct sl_kin *kin);
/* What the book says of it. */
SL_MUST_CHECK enum sl_status sl_kin_know(struct sl_kin *kin, struct sl_slice name, const struct sl_book_entry *entry);
/* The next that is told by what was read in this exchange, for the book; SL_MISSING: there is none. */
SL_MUST_CHECK enum sl_status sl_kin_settled(
    struct sl_kin *kin, struct sl_labeller *labeller, struct sl_arena *arena, struct sl_book_entry *out);

#endif
