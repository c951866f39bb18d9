/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The label book of a running gateway: read by workers (a read transaction, nothing waits), written by a thread of its
 * own, since a write waits for the disk. What cannot be written, or comes faster than the disk takes it, is dropped:
 * the book is a cache, and a reference that is not in it is asked for.
 */
#ifndef SLUICE_GATEWAY_KEEPER_H
#define SLUICE_GATEWAY_KEEPER_H

#include "sluice/book.h"

struct sl_keeper;

/* Opens the book and starts the thread. max_age in seconds. Caller owns. */
SL_MUST_CHECK enum sl_status sl_keeper_new(
    const char *directory, int64_t max_age, struct sl_issues *issues, struct sl_keeper **out);
/* Waits until what has been given to it is written; NULL is fine. After the workers have stopped. */
void sl_keeper_free(struct sl_keeper *keeper);

/* What the book says of "Type/id" of a server. SL_MISSING: ask. From any thread. */
SL_MUST_CHECK enum sl_status sl_keeper_find(struct sl_keeper *keeper, const struct sl_label_generation *generation,
    struct sl_slice server, struct sl_slice reference, int64_t now, struct sl_arena *arena, struct sl_book_entry *out);

/* Gives it what was fetched as context and is labelled now: items of a settled labeller, from `items` on. Everything is
 * copied. `stored`: how old what they rest on is, seconds since the epoch. From any thread; never waits. */
void sl_keeper_note(struct sl_keeper *keeper, const struct sl_label_generation *generation, struct sl_slice server,
    const struct sl_item *items, int64_t stored);

/* "Type/id" was written through this gateway: what the book knows of it counts no more. Before anything that is noted
 * afterwards. From any thread; where there is no memory for it, the entry ages as one of any other change. */
void sl_keeper_forget(struct sl_keeper *keeper, struct sl_slice server, struct sl_slice reference);

/* The same of entries. */
void sl_keeper_note_entries(struct sl_keeper *keeper, const struct sl_label_generation *generation,
    struct sl_slice server, const struct sl_book_entry *entries, size_t count, int64_t stored);

#endif
