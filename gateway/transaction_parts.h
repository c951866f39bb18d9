/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the files that make up a transaction: transaction.c (its phases), transaction_read.c (its entries, and what is
 * known of each), transaction_names.c (what stands for what), transaction_bundle.c (what goes to the upstream, and what
 * comes back), transaction_context.c (what one entry's decision sees of the others).
 */
#ifndef SLUICE_GATEWAY_TRANSACTION_PARTS_H
#define SLUICE_GATEWAY_TRANSACTION_PARTS_H

#include "transaction.h"
#include "write.h"

#define SL_TRANSACTION_CONDITIONS 64u /* different conditional references */
#define SL_TRANSACTION_TOGETHER 4u    /* searches and writes that are prepared side by side */

enum sl_transaction_phase { SL_FINDING, SL_PREPARING, SL_MEANT, SL_SENT, SL_ENDING, SL_ENDED };

/* One entry. */
struct sl_member {
    struct sl_request request;          /* the entry's, with names in the place of what stands for them */
    const struct sl_batch_entry *entry; /* as it came */
    sl_r4_node type;                    /* of its resource */
    struct sl_slice id, provisional;    /* drawn here: "…", "Type/…"; empty: it cannot create */
    struct sl_slice name;               /* what its fullUrl stands for; empty: for nothing */
    bool linked;                        /* others name it */
    struct sl_member **links;           /* what it names of what others create */
    size_t link_count, link_room;
    struct sl_doc doc; /* what it creates, as context */
    bool known;        /* that is there */
    struct sl_exchange *inner;
    bool prepared; /* parked, or answered already */
};

/* "Type?a=b" in a reference. */
struct sl_transaction_condition {
    struct sl_slice text, name;
    struct sl_interaction search;
    struct sl_exchange *inner;
};

struct sl_transaction {
    struct sl_member *parts;
    size_t count;
    struct sl_member **urls; /* those with a fullUrl, ordered by it */
    size_t url_count;
    struct sl_member **order; /* as they take effect: DELETE, POST, PUT and PATCH, GET */
    enum sl_transaction_phase phase;
    size_t begun, checked; /* of conditions, then of `order` */
    struct sl_transaction_condition conditions[SL_TRANSACTION_CONDITIONS];
    size_t condition_count;
    unsigned races;
    struct sl_slice lost; /* what was refused as such */
    struct sl_ask ask;
};

/* ---- transaction_read.c ---- */

bool sl_member_reads(const struct sl_member *part);
/* Of those in which references are looked for: a patch that came as bytes says what it says. */
bool sl_member_is_resource(const struct sl_member *part);
/* Its write, once that waits for the others; NULL: it does not. */
const struct sl_write *sl_member_write(const struct sl_member *part);
/* Is there something of it to be given to the upstream? */
bool sl_member_is_sent(const struct sl_member *part);
/* The entry that creates this "Type/id". */
struct sl_member *sl_transaction_maker(const struct sl_transaction *t, struct sl_slice name);
/* The entry of this fullUrl. */
struct sl_member *sl_transaction_find_url(const struct sl_transaction *t, struct sl_slice url);

/* ---- transaction_names.c ---- */

/* The conditional references of all entries. SL_BAD_PARAMETER, SL_TOO_LARGE. */
SL_MUST_CHECK enum sl_status sl_transaction_collect_conditions(struct sl_exchange *x);
/* Takes what was found, and asks for more: all is found once t->checked has reached t->begun. */
SL_MUST_CHECK enum sl_status sl_transaction_find_more(struct sl_exchange *x);
/* Puts names in the place of what stands for them, in each entry's request. */
SL_MUST_CHECK enum sl_status sl_transaction_name_all(struct sl_exchange *x);

/* ---- transaction_bundle.c ---- */

/* All that is to be written, as one Bundle; empty: nothing is. */
SL_MUST_CHECK enum sl_status sl_transaction_gather(struct sl_exchange *x, struct sl_slice *out);
/* What has become of each. SL_UPSTREAM: it cannot be read, so nobody knows. */
SL_MUST_CHECK enum sl_status sl_transaction_read_answer(struct sl_exchange *x);
/* Whom a write is about, by the ids that they have now. */
void sl_transaction_rename_patients(struct sl_exchange *x, struct sl_exchange *inner);

#endif
