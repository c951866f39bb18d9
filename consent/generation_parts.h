/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the files that put a policy in force: generation_store.c (what is stored), approvers.c (who may approve),
 * approval.c (signatures) and activate.c (what a change takes). Inside the consent room only.
 */
#ifndef SLUICE_CONSENT_GENERATION_PARTS_H
#define SLUICE_CONSENT_GENERATION_PARTS_H

#include "sluice/generation.h"

#define SL_APPROVALS_MOST 16u /* signatures with one change */

/* ---- generation_store.c ---- */

/* Writes the generation and puts it in force, unless another than out->replaces is meanwhile or the log of keys has
 * more lines than `lines`: SL_EXISTS. Fills in its number. */
SL_MUST_CHECK enum sl_status sl_generation_write(
    struct sl_store *store, const struct sl_policy *policy, uint64_t lines, struct sl_generation *out);

/* ---- approvers.c ---- */

struct sl_approver_log {
    struct sl_approver *list;
    size_t count;
    uint64_t lines;
    struct sl_slice last_seal; /* of the last line, hex; empty: there is none */
};

SL_MUST_CHECK enum sl_status sl_approver_log_read(
    struct sl_store *store, struct sl_arena *arena, struct sl_approver_log *out);
/* How many lines the log has, within a transaction. */
SL_MUST_CHECK enum sl_status sl_approver_log_length(struct sl_txn *txn, uint64_t *out);

/* ---- approval.c ---- */

struct sl_signatures {
    struct sl_approval approvals[SL_APPROVALS_MOST];
    size_t count;    /* signatures that hold, one a key */
    unsigned people; /* who made them */
};

/* Which of the files are signatures over `text` by somebody of the list whose key is not retired. SL_INVALID with
 * issues if any is not. */
SL_MUST_CHECK enum sl_status sl_approvals_check(const struct sl_approver *list, size_t count, struct sl_slice text,
    const struct sl_approval_file *files, size_t file_count, struct sl_issues *issues, struct sl_signatures *out);
/* Does the signature hold, whoever's the key is? */
bool sl_approval_holds(struct sl_slice text, const struct sl_approval *approval);
/* The text about a policy that is to replace `before` (NULL: nothing is in force). `rendering`: hash, hex. */
struct sl_slice sl_approval_text_make(
    struct sl_arena *arena, struct sl_slice digest, struct sl_slice rendering, const struct sl_generation *before);
struct sl_slice sl_key_text_make(
    struct sl_arena *arena, const struct sl_key_change *change, const struct sl_approver_log *log);
/* SHA-256 of the rendering, hex. */
SL_MUST_CHECK enum sl_status sl_approval_rendering(
    const struct sl_policy *policy, struct sl_arena *arena, struct sl_slice *out);

#endif
