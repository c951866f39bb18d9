/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deciding again what is on record in the ledger: from the classes and the ground of each decision (sluice/evidence.h),
 * by the functions of sluice/decide.h. Under another policy, to see what it would have released differently; or under
 * the one that decided, to see that the same comes out.
 */
#ifndef SLUICE_REPLAY_H
#define SLUICE_REPLAY_H

#include "sluice/buffer.h"
#include "sluice/policy.h"

struct sl_replay;

struct sl_replay_options {
    const struct sl_policy *under; /* NULL: each decision under the policy that made it */
    /* The policy of a generation, by number and digest; NULL: it is not at hand. Stays while the replay lasts. */
    const struct sl_policy *(*policy_of)(void *context, uint64_t generation, struct sl_slice digest);
    void *context;
    int64_t since; /* records from this instant on */
    bool list;     /* each decision that changes, not only how many */
    bool json;
};

struct sl_replayed {
    size_t records;    /* read */
    size_t decisions;  /* about whole records, that could be made again */
    size_t elements;   /* and about elements of what went */
    size_t more, less; /* would go that did not; would not that did: records and elements */
    size_t otherwise;  /* would go with other labels or duties */
    size_t unsure;     /* rests on what was not recorded: must be looked at */
    size_t following;  /* withheld because of another record, a required element or a search: left as they were */
    size_t untold;     /* recorded before grounds were, or without one */
    size_t admitted, refused; /* requests: would be let in that were not; would be refused that were not */
    size_t disagreements;     /* what the policy that decided does not decide so: never to happen */
    size_t policies_lacking;  /* decisions whose own policy is not at hand */
};

/* NULL if memory ran out. Options are copied. */
struct sl_replay *sl_replay_new(const struct sl_replay_options *options);
void sl_replay_free(struct sl_replay *replay);
/* One record of the ledger. What is no record of an exchange is passed over. */
SL_MUST_CHECK enum sl_status sl_replay_add(struct sl_replay *replay, uint64_t sequence, struct sl_slice record);
/* Groups for a person, ending in counts. */
SL_MUST_CHECK enum sl_status sl_replay_report(
    struct sl_replay *replay, struct sl_buffer *out, struct sl_replayed *result);

/* Every decision of one record explained as sl_explain does, under the policy that made it; and whether it comes out as
 * recorded. `item`: of this resource alone ("Condition/x"); empty: of all. */
SL_MUST_CHECK enum sl_status sl_replay_explain(const struct sl_policy *policy, uint64_t sequence,
    struct sl_slice record, struct sl_slice item, bool json, struct sl_buffer *out, size_t *disagreements);
/* Which policy decided, by number and digest. SL_INVALID: no record of an exchange. */
SL_MUST_CHECK enum sl_status sl_replay_policy(
    struct sl_arena *arena, struct sl_slice record, uint64_t *generation, struct sl_slice *digest);

#endif
