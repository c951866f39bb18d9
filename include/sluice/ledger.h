/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger: what was disclosed, refused and why, durable before the first byte leaves.
 *
 * Append-only segment files (NNNNNNNNNNNNNNNN.ledger, named by their first sequence number, preallocated) of framed
 * records: length, CRC-32C, bytes. Records are leaves of an RFC 6962 tree (leaf = SHA-256(0x00, record)); the frontier
 * is kept with the ledger. A torn tail is cut at open; anything else that does not verify is an error. One writer
 * thread groups what is waiting into one write and one fdatasync. A failed sync is final: every later append fails
 * until the process restarts.
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

/* Opens (creates) and recovers; takes a lock on the directory: one process writes. */
SL_MUST_CHECK enum sl_status sl_ledger_open(const struct sl_ledger_options *options, struct sl_issues *issues,
    struct sl_ledger **out);
/* Waits for what is queued. */
void sl_ledger_close(struct sl_ledger *ledger);

/* One append. `record` is borrowed until done is called. done runs on the writer's thread (post it to your own loop):
 * SL_OK means durable, with the record's sequence number (from 0). */
struct sl_append {
    struct sl_slice record;
    void (*done)(struct sl_append *append, enum sl_status status, uint64_t sequence);
    void *context;
    struct sl_append *next; /* the ledger's */
};
/* Queues; never waits. On failure done is not called. */
SL_MUST_CHECK enum sl_status sl_ledger_append(struct sl_ledger *ledger, struct sl_append *append);
/* For commands: appends and waits until it is durable. */
SL_MUST_CHECK enum sl_status sl_ledger_append_wait(struct sl_ledger *ledger, struct sl_slice record, uint64_t *sequence);

struct sl_ledger_state {
    uint64_t size;            /* records */
    unsigned char root[32];   /* RFC 6962 tree head over all of them */
    uint64_t segments, bytes;
};
void sl_ledger_state(struct sl_ledger *ledger, struct sl_ledger_state *out);

/* Reads every segment and record without the lock, checks frames, sequence and the frontier. SL_CORRUPT with issues that
 * name file and offset. */
SL_MUST_CHECK enum sl_status sl_ledger_verify(const char *directory, struct sl_issues *issues, struct sl_ledger_state *out);

/* Calls visit for each record from `first` on, until it gives false. */
SL_MUST_CHECK enum sl_status sl_ledger_read(const char *directory, uint64_t first, struct sl_issues *issues,
    bool (*visit)(void *context, uint64_t sequence, struct sl_slice record), void *context);

#endif
