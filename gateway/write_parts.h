/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the files that make up a write: write.c (the steps), write_read.c (what the client asks for), write_condition.c
 * (whom a condition means), write_make.c (what the record is to be), write_judge.c (may it be?), write_references.c
 * (what it names).
 */
#ifndef SLUICE_GATEWAY_WRITE_PARTS_H
#define SLUICE_GATEWAY_WRITE_PARTS_H

#include "sluice/write.h"
#include "write.h"

/* ---- write.c ---- */

/* What it comes to: a conditional update that matches nothing creates. */
enum sl_write_action sl_write_action_of(const struct sl_exchange *x);
bool sl_write_creates(const struct sl_exchange *x);
/* The last pass's one record; NULL: there is none. */
const struct sl_found *sl_write_the_made(const struct sl_exchange *x);

/* ---- write_condition.c ---- */

/* Whom it is about: x->interaction.id, or, of a create that is not needed, the answer. May be entered again. */
SL_MUST_CHECK enum sl_step_result sl_write_match(struct sl_exchange *x);

/* ---- write_make.c ---- */

/* What the record is to be. SL_NOT_FOUND: there is none that the writer sees; SL_PRECONDITION_FAILED: another than it
 * saw; SL_FORBIDDEN; SL_UNPROCESSABLE, SL_BAD_SYNTAX: by view and what is sent. */
SL_MUST_CHECK enum sl_status sl_write_make(struct sl_exchange *x, struct sl_slice *text);
/* What is sent, under an id that nobody has: it is labelled under it, and stored under the one the upstream draws. */
SL_MUST_CHECK enum sl_status sl_write_make_new(
    struct sl_exchange *x, const struct sl_write_labels *labels, struct sl_slice *text);
/* What a client says, as the upstream is to have it: names under our address stand under the upstream's, and URLs of
 * records here are the names of its records. *text is left as it is if there are none. */
SL_MUST_CHECK enum sl_status sl_write_own(struct sl_exchange *x, struct sl_slice *text);
/* The same of a document, in its place. */
SL_MUST_CHECK enum sl_status sl_write_own_doc(struct sl_exchange *x, struct sl_doc *doc);
/* May this recipient do this with what the ruling is about? Notes the grant. SL_FORBIDDEN, SL_UNPROCESSABLE. */
SL_MUST_CHECK enum sl_status sl_write_ask_policy(
    struct sl_exchange *x, const struct sl_ruling *ruling, struct sl_write_answer *answer);
/* Does If-Match list this view? */
bool sl_write_is_current(const struct sl_exchange *x, const struct sl_found *found);
/* The upstream's version of it, in the exchange's arena. */
struct sl_slice sl_write_version_of(struct sl_exchange *x, const struct sl_found *found);

/* ---- write_judge.c ---- */

/* Of what the record is to be; of a create also its text, with the labels that its writer may set. */
SL_MUST_CHECK enum sl_status sl_write_judge(struct sl_exchange *x);
SL_MUST_CHECK enum sl_status sl_write_judge_delete(struct sl_exchange *x);
/* Would the writer see what it never saw, because of what it changed beside it? */
SL_MUST_CHECK enum sl_status sl_write_ask_freed(struct sl_exchange *x, bool *frees);

/* ---- write_references.c ---- */

/* Finds what it names, and begins to ask. SL_UNPROCESSABLE: a reference that can lead nowhere, or too many. */
SL_MUST_CHECK enum sl_status sl_write_ask_references(struct sl_exchange *x);
/* Goes on asking: x->write->question_count is above 0 while something is under way. */
SL_MUST_CHECK enum sl_status sl_write_ask_more(struct sl_exchange *x);
/* Of those that were asked about: SL_UNPROCESSABLE if one of them is not there for the writer. */
SL_MUST_CHECK enum sl_status sl_write_take_references(struct sl_exchange *x);

#endif
