/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger: what was disclosed, refused and why, durable before the first byte leaves.
 *
 * Append-only segment files (NNNNNNNNNNNNNNNN.ledger, named by their first sequence number, preallocated) of framed
 * records: length, CRC-32C, bytes. Records are leaves of an RFC 6962 tree (leaf = SHA-256(0x00, record)); each segment
 * begins with the frontier of all records before it. A torn tail is cut at open; anything else that does not verify is
 * an error. One writer thread groups what is waiting into one write and one fdatasync. A failed write or sync is final:
 * every later append fails until the process restarts. The files' format and recovery: docs/ledger.md.
 *
 * A record is 1 byte to 16 MiB, opaque here.
 */
#ifndef SLUICE_LEDGER_H
#define SLUICE_LEDGER_H

#include <stdint.h>

#include "sluice/issue.h"
#include "sluice/slice.h"
#include "sluice/status.h"

struct sl_ledger;

struct sl_ledger_options {
    const char *directory;
    size_t segment_bytes; /* 0: 64 MiB */
    size_t queue_bytes;   /* most that may wait; beyond: SL_UNAVAILABLE. 0: 64 MiB */
};

/* Opens (creates) and recovers; takes a lock on the directory: one process writes (SL_UNAVAILABLE for a second). Reads
 * the header of every segment and the last segment whole; sl_ledger_verify reads all. A torn tail that was cut is an
 * issue of grade note, and no failure. SL_CORRUPT, SL_IO, SL_NO_MEMORY. */
SL_MUST_CHECK enum sl_status sl_ledger_open(
    const struct sl_ledger_options *options, struct sl_issues *issues, struct sl_ledger **out);
/* Waits for what is queued, and notes the tree head beside the segments, so that a later cut is found out. Nothing may
 * be appended from here on. NULL is fine. */
void sl_ledger_close(struct sl_ledger *ledger);

/* One append. `record` is borrowed until done is called. done runs on the writer's thread (post it to your own loop):
 * SL_OK means durable, with the record's sequence number (from 0). */
struct sl_append {
    struct sl_slice record;
    void (*done)(struct sl_append *append, enum sl_status status, uint64_t sequence);
    void *context;
    struct sl_append *next; /* the ledger's */
};
/* Queues; never waits. On failure done is not called: SL_INVALID for an empty record, SL_LIMIT for one too long for a
 * segment, SL_UNAVAILABLE if too much waits, SL_IO once a write has failed. done may free the append. */
SL_MUST_CHECK enum sl_status sl_ledger_append(struct sl_ledger *ledger, struct sl_append *append);
/* For commands: appends and waits until it is durable. Never from `done`. */
SL_MUST_CHECK enum sl_status sl_ledger_append_wait(
    struct sl_ledger *ledger, struct sl_slice record, uint64_t *sequence);

struct sl_ledger_state {
    uint64_t size;            /* records */
    unsigned char root[32];   /* RFC 6962 tree head over all of them */
    uint64_t segments, bytes; /* bytes: of the segment files up to the end of what they hold */
    int error;                /* errno of the write or sync that ended appending; 0: none */
};
void sl_ledger_state(struct sl_ledger *ledger, struct sl_ledger_state *out);

/* Reads every segment and record without the lock, also while a gateway writes; checks frames, sequence, each segment's
 * frontier and the head. SL_CORRUPT with issues that name file and offset; SL_MISSING where there is no ledger. What is
 * torn at the very end is a note: it is being written, or will be cut at the next open. */
SL_MUST_CHECK enum sl_status sl_ledger_verify(
    const char *directory, struct sl_issues *issues, struct sl_ledger_state *out);

/* Calls visit for each record from `first` on, until it gives false. Frames are checked, the tree is not. */
SL_MUST_CHECK enum sl_status sl_ledger_read(const char *directory, uint64_t first, struct sl_issues *issues,
    bool (*visit)(void *context, uint64_t sequence, struct sl_slice record), void *context);

#endif
