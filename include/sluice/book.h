/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The label book: what resources that others refer to contribute to labels, so that a reference need not be fetched
 * again for every request. A cache in the `labels` environment: it may be deleted at any time.
 *
 *     server, "Type/id" -> version, classes, source, patients, what it was derived from (with versions), label
 * generation
 *
 * An entry counts only while the label generation (R4 table, policy with its terminology, program list) is the one it
 * was made under, nothing it was derived from is known in another version, and it is younger than the maximal age.
 */
#ifndef SLUICE_BOOK_H
#define SLUICE_BOOK_H

#include "sluice/arena.h"
#include "sluice/label.h"
#include "sluice/store.h"

#define SL_BOOK_PATIENTS 64u /* an item about more, or derived from more, is not kept */
#define SL_BOOK_DERIVED 256u

struct sl_label_generation {
    unsigned char digest[32];
    uint64_t layout; /* of the policy's list of classes: bits of two generations of one layout compare */
};
/* The generation of labels made under this policy and program table. SL_CRYPTO if SHA-256 is not to be had. */
SL_MUST_CHECK enum sl_status sl_label_generation(
    const struct sl_policy *policy, const struct sl_programs *programs, struct sl_label_generation *out);
/* The same from the digest of a policy, or of whatever labels are earned by. */
SL_MUST_CHECK enum sl_status sl_label_generation_of(
    struct sl_slice digest, const struct sl_programs *programs, struct sl_label_generation *out);

/* Those made under what is in force of the officer's register, too; NULL changes nothing. */
SL_MUST_CHECK enum sl_status sl_label_generation_registered(
    const struct sl_registered *registered, struct sl_label_generation *generation);

struct sl_derived {
    struct sl_slice reference, version; /* "Type/id", meta.versionId (may be empty) */
};

/* When AI is last said to have written something, and when a human last vouched for it: seconds since the epoch. */
struct sl_said {
    int64_t by_ai, signed_at;
};

/* What is known of a name. Of what is not there an entry says nothing else. */
enum sl_book_state {
    SL_BOOK_THERE, /* a record, or the last version of one that was deleted */
    SL_BOOK_ABSENT,
    SL_BOOK_UNTOLD, /* absent, and nobody can say whether it ever was there: see sl_labeller_untold */
    SL_BOOK_STATES
};

/* What one resource contributes. Slices are borrowed. */
struct sl_book_entry {
    enum sl_book_state state;
    struct sl_slice reference; /* "Type/id" */
    struct sl_slice version;
    struct sl_classes classes;
    struct sl_reach reach; /* what is known of its source, over time */
    bool candidate;        /* holds a Part 2 candidate code: counts where it is a medication and the like */
    bool mixed;            /* of more programs than the one named */
    struct sl_said said;   /* of Provenances: when */
    struct sl_slice program, named_program, custodian;
    const struct sl_slice *patients;
    uint32_t patient_count;
    const struct sl_derived *derived;
    uint32_t derived_count;
    int64_t stored; /* seconds since the epoch; set by sl_book_put */
};

/* What an item of a settled labeller contributes. SL_MISSING: nothing to keep (no id, contained, not labelled, too
 * much); SL_NO_MEMORY. */
SL_MUST_CHECK enum sl_status sl_book_entry_of(
    const struct sl_item *item, struct sl_arena *arena, struct sl_book_entry *out);
/* Makes the entry known to a labeller in the place of the resource, as context: the item has no document (doc NULL), no
 * references and no parts. Copies what it keeps. *out is NULL of what is not there. SL_INVALID if the reference names
 * no record. */
SL_MUST_CHECK enum sl_status sl_labeller_know(
    struct sl_labeller *labeller, const struct sl_book_entry *entry, struct sl_item **out);

/* What all Provenances about "Type/id" come to (sl_labeller_vouch), to be kept under whatever name the caller gives it:
 * `classes` has the class of drafts if AI wrote it and nobody has signed since, `candidate` if a human has vouched for
 * it, `said` has when: a Provenance at hand may be among those that are remembered, or be newer. And the same, as the
 * book gives it back. */
SL_MUST_CHECK enum sl_status sl_book_entry_of_vouches(
    struct sl_labeller *labeller, struct sl_slice name, struct sl_book_entry *out);
SL_MUST_CHECK enum sl_status sl_labeller_know_vouches(
    struct sl_labeller *labeller, struct sl_slice name, const struct sl_book_entry *entry);

struct sl_book;

/* Opens (creates, if writable) the book. */
SL_MUST_CHECK enum sl_status sl_book_open(
    const char *directory, bool writable, struct sl_issues *issues, struct sl_book **out);
void sl_book_close(struct sl_book *book); /* NULL is fine */

/* The entry, copied into the arena. SL_MISSING: there is none that counts. max_age in seconds. One read transaction. */
SL_MUST_CHECK enum sl_status sl_book_get(struct sl_book *book, const struct sl_label_generation *generation,
    struct sl_slice server, struct sl_slice reference, int64_t now, int64_t max_age, struct sl_arena *arena,
    struct sl_book_entry *out);
/* Writes entries, at most SL_STORE_PUTS a transaction. Waits for the disk: never on a worker's loop. */
SL_MUST_CHECK enum sl_status sl_book_put(struct sl_book *book, const struct sl_label_generation *generation,
    struct sl_slice server, const struct sl_book_entry *entries, size_t count, int64_t now);
/* ---- The book as such, for whoever looks after it ---- */

/* Does an entry count, and if not, why not? */
enum sl_book_standing {
    SL_BOOK_UNREADABLE, /* of another format: it is as if it were not there */
    SL_BOOK_COUNTS,
    SL_BOOK_OTHER_GENERATION, /* made under another policy, list of programs, or register */
    SL_BOOK_TOO_OLD,
    SL_BOOK_OTHER_VERSION /* what it was derived from is known in another version */
};

struct sl_book_found {
    struct sl_slice server;
    struct sl_book_entry entry; /* zeroed where unreadable */
    enum sl_book_standing standing;
    struct sl_slice other; /* OTHER_VERSION: what that is */
    bool comparable;       /* its classes are bits of the generation asked with, whatever its own is */
};
/* What is known of where it comes from, time aside. */
enum sl_source sl_book_source(const struct sl_book_entry *entry);
struct sl_book_when {
    int64_t now, max_age; /* seconds */
};
struct sl_book_visitor {
    enum sl_status (*visit)(void *context, const struct sl_book_found *found); /* what is found lives for the call */
    void *context;
};
/* Every entry, in the order of servers and references, within one read transaction; ends with the first status that is
 * not SL_OK, which it gives. */
SL_MUST_CHECK enum sl_status sl_book_each(struct sl_book *book, const struct sl_label_generation *generation,
    const struct sl_book_when *when, const struct sl_book_visitor *visitor);
/* One of them; SL_MISSING: there is none. */
SL_MUST_CHECK enum sl_status sl_book_look(struct sl_book *book, const struct sl_label_generation *generation,
    struct sl_slice server, struct sl_slice reference, const struct sl_book_when *when, struct sl_arena *arena,
    struct sl_book_found *out);

/* The resource was written through Sluice: its entry counts no more. None is SL_OK. */
SL_MUST_CHECK enum sl_status sl_book_forget(struct sl_book *book, struct sl_slice server, struct sl_slice reference);

#endif
