/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a decision rested on, for the ledger: whom it was about, which parties the recipient was found to be, its
 * relationships, every consent that counted and what it counted as, what was denied, and the facts of the item. Each
 * such *ground* is written once for an exchange, and decisions point at it, for most of them share one. With it, the
 * classes of the item and the policy's digest, a decision can be made again years later (sluice/replay.h).
 */
#ifndef SLUICE_EVIDENCE_H
#define SLUICE_EVIDENCE_H

#include "sluice/decide.h"

/* The grounds of one exchange, in the order in which they were met. */
struct sl_grounds;
struct sl_grounds *sl_grounds_new(void);          /* NULL if memory ran out */
void sl_grounds_free(struct sl_grounds *grounds); /* NULL is fine */
/* The rulings of decisions so far may be gone, and their memory be used for others. To be called before they are. */
void sl_grounds_forget(struct sl_grounds *grounds);
/* The place of the ground of the decision for an item, or for one of its parts (NULL: the whole). */
size_t sl_grounds_of(
    struct sl_grounds *grounds, const struct sl_ruling *ruling, const struct sl_item *item, const struct sl_part *part);
/* JSON objects with commas between; what they are: docs/ledger.md. */
const struct sl_buffer *sl_grounds_text(const struct sl_grounds *grounds);

/* How a voucher is called in a ground; NULL: it is none. */
const char *sl_voucher_name(enum sl_voucher voucher);

#endif
