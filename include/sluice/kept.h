/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows that were parsed before. A server is asked for the same records again and again, in Bundles that are never twice
 * the same; so what is kept is a row, an entry of a Bundle: its bytes, and its spans. Where a text holds the
 * very same bytes again, they are not read again: their spans are copied.
 *
 * A row is the same because all of its bytes are the same. They are compared each time, so that nothing else decides:
 * no hash, no id, no version, no time. What comes out is, byte for byte, what sl_doc_parse gives, errors and limits
 * included. Nothing that is handed out points into what is kept, so a row can go at any time.
 *
 * It holds what records say, in memory alone, up to a limit; a row that goes is overwritten. For one thread.
 */
#ifndef SLUICE_KEPT_H
#define SLUICE_KEPT_H

#include "sluice/span.h"

struct sl_kept;

/* `limit`: bytes it may hold, its tables included; with less than SL_KEPT_LEAST it keeps nothing. `seed` is random:
 * what the wire sends must not choose its places in a table. NULL if memory ran out. */
#define SL_KEPT_LEAST ((size_t)256 * 1024)
struct sl_kept *sl_kept_new(size_t limit, uint64_t seed);
void sl_kept_free(struct sl_kept *kept); /* NULL is fine */

/* A row of a document that was kept before the document was parsed. */
struct sl_kept_row {
    uint32_t at;     /* where it begins in the text */
    uint32_t place;  /* where it is kept; */
    uint64_t serial; /* if it still is the one of that number */
};

/* As sl_doc_parse, looking for rows in the array behind the key "entry". *rows gets those that were kept, in the order
 * of the text, in the arena: where one of them begins and a value does, that value is the row. `kept` may be NULL. The
 * arena needs what sl_doc_parse needs, and as much as the text again at most. */
SL_MUST_CHECK enum sl_status sl_kept_parse(struct sl_kept *kept, struct sl_arena *arena, struct sl_slice text,
    const struct sl_doc_limits *limits, struct sl_doc *out, const struct sl_kept_row **rows, size_t *count);

/* Tells of an object of a parsed document that is worth keeping. While there is room it is kept from the second time on
 * that it comes, since most of what comes once does not come again; after that, one in many takes another's place. */
void sl_kept_note(struct sl_kept *kept, const struct sl_doc *doc, uint32_t root);

/*
 * What is worked out of a row's bytes, and of something else that is the same for many, can be kept with the row, as
 * bytes. `under` stands for that something else: whoever asks gives the number under which it is to hold, and gets
 * nothing that was learned under another. A row has room for one of each kind.
 */
enum sl_kept_kind { SL_KEPT_ITEM, SL_KEPT_KINDS };
/* Borrowed until something is learned or noted; aligned for any type. *known: it was learned, if only that there is
 * nothing to be kept (then NULL). */
const void *sl_kept_learned(
    const struct sl_kept *kept, const struct sl_kept_row *row, enum sl_kept_kind kind, uint64_t under, bool *known);
/* `bytes` are copied; NULL: there is nothing. Where there is no room nothing is kept. */
void sl_kept_learn(struct sl_kept *kept, const struct sl_kept_row *row, enum sl_kept_kind kind, uint64_t under,
    const void *bytes, size_t size);

/* For the operator and for tests. */
struct sl_kept_figures {
    uint64_t found, kept, dropped; /* rows since birth */
    size_t bytes, rows;            /* now */
};
struct sl_kept_figures sl_kept_figures(const struct sl_kept *kept);

#endif
