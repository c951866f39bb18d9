/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Putting a policy in force. A generation is a policy as it was put in force: its sources, by whom, why, when, what it
 * changed and who approved it. Generations live in the `policy` store and are never changed or dropped; the last one is
 * in force.
 *
 * An approval is a detached Ed25519 signature over a short text that names one policy and one predecessor. Whoever may
 * approve has a key in the store. What a change takes is said in docs/policy-words.md, "Putting it in force", and why
 * in docs/decisions/0020.
 */
#ifndef SLUICE_GENERATION_H
#define SLUICE_GENERATION_H

#include <stdint.h>

#include "sluice/buffer.h"
#include "sluice/issue.h"
#include "sluice/policy.h"
#include "sluice/store.h"

struct sl_approval {
    struct sl_slice name, key, signature; /* of whom; the public key in hex; base64 */
};

struct sl_generation_file {
    struct sl_slice path, sha256; /* hex, of its text */
};

struct sl_generation {
    uint64_t number, replaces, rollback_of; /* 0: none */
    bool in_force;
    bool damaged;                /* its entry is not what was written: nothing but number and seal can be told */
    struct sl_slice seal;        /* SHA-256 of the entry, hex */
    struct sl_slice before_seal; /* of the entry it replaced; empty: nothing was in force */
    int64_t activated;           /* seconds since the epoch */
    struct sl_slice digest, title, version, author, note;
    bool compared; /* with what it replaced: */
    struct sl_policy_diff diff;
    unsigned needed;        /* approvals it took; 0: there were no keys */
    bool one_person;        /* its policy says `two-person-rule: no` */
    struct sl_slice tested; /* what the self-test showed of it before; empty: it was not tried */
    struct sl_slice text;   /* what was signed */
    const struct sl_approval *approvals;
    size_t approval_count;
    const struct sl_generation_file *files;
    size_t file_count;
};

/* ---- What is, and was, in force ---- */

/* SL_MISSING if nothing was ever activated. Cheap: what a gateway asks whenever the store has changed. */
SL_MUST_CHECK enum sl_status sl_policy_number_in_force(struct sl_store *store, uint64_t *number);
/* The generation in force, compiled. SL_MISSING if none was ever activated; SL_CORRUPT: damaged. */
SL_MUST_CHECK enum sl_status sl_policy_in_force(
    struct sl_store *store, struct sl_issues *issues, uint64_t *generation, struct sl_policy **out);
/* Any generation, compiled. */
SL_MUST_CHECK enum sl_status sl_policy_of_generation(
    struct sl_store *store, uint64_t number, struct sl_issues *issues, struct sl_policy **out);
/* All of them, oldest first; a damaged one is told as such. */
SL_MUST_CHECK enum sl_status sl_policy_generations(
    struct sl_store *store, struct sl_arena *arena, struct sl_generation **out, size_t *count);
/* One of them. SL_MISSING; SL_CORRUPT with *out all the same, damaged. */
SL_MUST_CHECK enum sl_status sl_policy_generation(
    struct sl_store *store, uint64_t number, struct sl_arena *arena, struct sl_generation *out);

/* ---- Who may approve ---- */

struct sl_approver {
    struct sl_slice name, key; /* the public key, hex */
    int64_t added, retired;    /* 0: not retired */
    struct sl_slice added_by, added_why, retired_by, retired_why;
    const struct sl_approval *approvals; /* of its adding */
    size_t approval_count;
};

SL_MUST_CHECK enum sl_status sl_approvers_list(
    struct sl_store *store, struct sl_arena *arena, struct sl_approver **out, size_t *count);
/* How many different people have a key that is not retired. */
unsigned sl_approvers_people(const struct sl_approver *list, size_t count);

struct sl_approval_file {
    struct sl_slice name, bytes; /* name: for messages */
};

struct sl_key_change {
    bool retire; /* otherwise: add */
    struct sl_slice name, key, author, note;
    int64_t now;
    const struct sl_approval_file *approvals;
    size_t approval_count;
};

/* What must be signed for a change of keys. SL_INVALID with issues: there is no such change. */
SL_MUST_CHECK enum sl_status sl_key_change_text(struct sl_store *store, const struct sl_key_change *change,
    struct sl_arena *arena, struct sl_issues *issues, struct sl_slice *out);
/* Adds or retires. As many people must have signed as have keys, at most two; the first key needs nobody. SL_FORBIDDEN,
 * SL_INVALID with issues; SL_EXISTS: the store changed meanwhile. */
SL_MUST_CHECK enum sl_status sl_key_change(
    struct sl_store *store, const struct sl_key_change *change, struct sl_issues *issues);

/* ---- Approvals ---- */

/* What must be signed so that the policy may replace what is in force now. */
SL_MUST_CHECK enum sl_status sl_approval_text(
    struct sl_store *store, const struct sl_policy *policy, struct sl_arena *arena, struct sl_slice *out);
/* Is it a text of ours, and if it is about a policy, is it about this one? `policy` may be NULL for a change of keys.
 * SL_INVALID with issues. */
SL_MUST_CHECK enum sl_status sl_approval_text_check(
    struct sl_slice text, const struct sl_policy *policy, struct sl_arena *arena, struct sl_issues *issues);
/* Signs with the private key in a PEM file; *out is the approval file: the text, and a line with the signature. */
SL_MUST_CHECK enum sl_status sl_approval_sign(
    const char *key_path, struct sl_slice text, struct sl_arena *arena, struct sl_issues *issues, struct sl_slice *out);
/* Makes a key pair: the private half to `path` (mode 0600; must not exist), the public one to `path`.pub, in PEM. */
SL_MUST_CHECK enum sl_status sl_approval_key_new(const char *path, struct sl_issues *issues);
/* The public key in a PEM file (public or private), hex. */
SL_MUST_CHECK enum sl_status sl_approval_key_read(
    const char *path, struct sl_arena *arena, struct sl_issues *issues, struct sl_slice *hex);

/* ---- Putting in force ---- */

struct sl_activation {
    const struct sl_policy *policy;
    struct sl_slice author, note;
    struct sl_slice tested; /* what the self-test has shown */
    int64_t now;
    uint64_t rollback_of; /* the generation whose sources these are; 0: they come from files */
    const struct sl_approval_file *approvals;
    size_t approval_count;
    bool any_packs; /* for tests alone, whose policies stand on no shipped pack; no command can set it */
};

struct sl_activated {
    uint64_t generation, replaced; /* 0: none */
    bool compared;                 /* false: nothing was in force, or it cannot be read */
    struct sl_policy_diff diff;
    unsigned needed, given, people;
};

/* Puts a policy in force, as a new generation, or leaves everything as it is. `told` gets the comparison with what is
 * in force. SL_FORBIDDEN: approvals are missing; SL_INVALID: one does not hold, or a pack is not as shipped; both with
 * issues and with *out filled in but for `generation`. SL_EXISTS: the store changed meanwhile. */
SL_MUST_CHECK enum sl_status sl_policy_activate(struct sl_store *store, const struct sl_activation *what,
    struct sl_issues *issues, struct sl_buffer *told, struct sl_activated *out);

/* ---- Packs: the files of federal and state law that Sluice ships ---- */

/* Issues: pack-edited, pack-missing, pack-foreign (errors); packs-absent (a note: none of them is here). SL_INVALID if
 * there is any, so that the policy may not be put in force; a directory without packs is fit for trying things out. */
SL_MUST_CHECK enum sl_status sl_policy_check_packs(const struct sl_policy *policy, struct sl_issues *issues);
/* Are all of the packs' files as this version of Sluice ships them? */
bool sl_packs_as_shipped(const struct sl_generation_file *files, size_t count);

#endif
