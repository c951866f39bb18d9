/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What exchanges share: the gateway (one a process, immutable but for two counters) and the state of a worker (its
 * policy reference, keys and upstream connections; touched by its own thread alone).
 */
#ifndef SLUICE_GATEWAY_STATE_H
#define SLUICE_GATEWAY_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "config.h"
#include "http.h"
#include "identify.h"
#include "keeper.h"
#include "records.h"
#include "seal.h"
#include "shelf.h"
#include "sluice/generation.h"
#include "sluice/kept.h"
#include "sluice/label.h"
#include "sluice/ledger.h"
#include "sluice/register.h"
#include "sluice/store.h"

struct sl_upstream;

struct sl_gateway {
    const struct sl_config *config;
    struct sl_store *store; /* the `policy` store: generations and directives */
    pthread_mutex_t policy_lock;
    struct sl_policy *policy; /* under the lock: the generation that was compiled last, once for all workers */
    uint64_t generation;
    uint64_t refused; /* under the lock: a generation that was tried, and failed; it is not tried again. 0: none */
    /* Tries a generation before anybody is answered under it (selftest.h), on the thread that takes it up. NULL: there
     * is nobody to answer. */
    enum sl_status (*examine)(
        struct sl_gateway *gateway, struct sl_policy *policy, uint64_t generation, struct sl_issues *issues);
    bool given; /* of the self-test: it stands under that policy, whatever a store has in force */
    pthread_mutex_t programs_lock;
    struct sl_programs *programs;          /* under the lock; a worker holds a reference of its own */
    atomic_uint_fast64_t programs_version; /* counts up when the table is taken up anew */
    atomic_uint_fast64_t callers_version;  /* likewise the registry and the issuers' keys */
    struct sl_ledger *ledger;
    struct sl_keeper *keeper;     /* the label book; NULL: none */
    struct sl_records *records;   /* NULL: the upstream is a server */
    struct sl_recorder *recorder; /* what writes into LMDB */
    struct sl_sealer *sealer;
    struct sl_sealer *intents;      /* the key of their marks; NULL: none has one */
    atomic_size_t meant;            /* intents whose exchange has not been accounted for */
    atomic_bool untold;             /* of something that was given to the upstream nobody knows what has become of it */
    struct sl_shelf *shelf;         /* upstream page links too long for a sealed cursor */
    struct sl_address *address;     /* ours and the upstream server's; NULL: it is none */
    struct sl_slice upstream_token; /* empty if none */
    unsigned char boot[8];          /* random: exchange ids of two runs differ */
    atomic_uint_fast64_t exchanges;
    atomic_size_t memory; /* bytes that exchanges hold together, see sl_gateway_reserve */
};

/* Opens everything the configuration names. SL_INVALID, SL_IO, … with issues; never without a policy in force. */
SL_MUST_CHECK enum sl_status sl_gateway_open(
    const struct sl_config *config, struct sl_issues *issues, struct sl_gateway **out);
/* Waits for the ledger's queue. After the workers have stopped. */
void sl_gateway_close(struct sl_gateway *gateway);

/* The first line of the file of upstream.token-file; empty if none is configured. */
SL_MUST_CHECK enum sl_status sl_upstream_token_read(const struct sl_config *config, struct sl_slice *out);

/* The programs table of a configuration, the upstream among its servers. Every command that judges by the table of a
 * gateway reads it here: labels made under another table do not count. */
SL_MUST_CHECK enum sl_status sl_gateway_programs(
    const struct sl_config *config, struct sl_issues *issues, struct sl_programs **out);
/* Reads the programs file again. Every request that begins after SL_OK is answered under it, and what the label book
 * knows under the old one counts no more. SL_INVALID and the like with issues: the old one stays. Any thread. */
SL_MUST_CHECK enum sl_status sl_gateway_reload(struct sl_gateway *gateway, struct sl_issues *issues);
/* Likewise the registry of clients and the issuers' keys. */
SL_MUST_CHECK enum sl_status sl_gateway_reload_callers(struct sl_gateway *gateway, struct sl_issues *issues);

/* Takes bytes from the process's budget; false: none left, and nothing taken. */
SL_MUST_CHECK bool sl_gateway_reserve(struct sl_gateway *gateway, size_t bytes);
void sl_gateway_release(struct sl_gateway *gateway, size_t bytes);

struct sl_worker_state {
    struct sl_worker_state *next; /* of the next gateway that is served under the same address; NULL: the last */
    struct sl_programs *programs;
    uint64_t programs_version;
    struct sl_gateway *gateway;
    struct sl_arena_pool *arenas; /* of exchanges and their passes */
    struct sl_kept *kept;         /* rows that came from its upstream before; and with what was learned of them: */
    struct {
        struct sl_policy *policy; /* references, so that no others are ever at their addresses */
        struct sl_programs *programs;
        uint64_t number; /* what stands for the two; another for each change */
    } under;
    struct sl_identifier *identifier;
    uint64_t callers_version; /* of it */
    struct sl_upstream *upstream;
    struct sl_policy *policy; /* NULL: the generation in force could not be read, and everything is 503 */
    uint64_t generation;
    uint64_t unreadable;              /* a later generation that cannot be read, if `policy` stays; 0: none */
    struct sl_registered *registered; /* what the officer's register says, compiled for `policy` */
    uint64_t register_length;         /* of the register when it was read */
    struct sl_label_generation label_generation; /* of labels made under both; only with a keeper */
    uint64_t store_version;                      /* of the store when they were read */
    struct sl_directives_kept *directives;       /* what was read of it for those who were asked about */
    int64_t unbatched_until;                     /* gone.c: until then the upstream is asked for no batch */
    size_t lingering;                            /* cancelled exchanges that have not ended yet */
};

/* On the worker's own thread. base: its loop, for upstream connections. */
SL_MUST_CHECK enum sl_status sl_worker_state_new(struct sl_gateway *gateway, struct sl_worker *worker,
    struct event_base *base, struct sl_issues *issues, struct sl_worker_state **out);
void sl_worker_state_free(struct sl_worker_state *state);

/* If the policy store has changed since, or an entry of the register begins or ends by its dates, takes up what is in
 * force. Cheap when nothing has. SL_STORE: there is no policy, or no register, to answer under. */
SL_MUST_CHECK enum sl_status sl_worker_state_refresh(struct sl_worker_state *state);

/* The number under which rows are learned of where these two are in force. */
uint64_t sl_worker_state_under(struct sl_worker_state *state, struct sl_policy *policy, struct sl_programs *programs);

#endif
