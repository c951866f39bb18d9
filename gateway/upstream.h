/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where records come from: the embedded store, or a FHIR R4 server over HTTP. One interface, `ask`: a read, one page of
 * a search, or some resources of one type by id. A question may be answered before sl_upstream_ask returns, or later on
 * the same loop.
 *
 * An answer is JSON text and nothing more: what it means is fetch.c's matter, what may be said of it consent's. A
 * question is built from the interaction, never copied from a client's bytes; an upstream's error body is never passed
 * on.
 */
#ifndef SLUICE_GATEWAY_UPSTREAM_H
#define SLUICE_GATEWAY_UPSTREAM_H

#include "address.h"
#include "config.h"
#include "http.h"
#include "records.h"
#include "sluice/kept.h"
#include "sluice/search.h"

enum sl_ask_kind {
    SL_ASK_NONE,
    SL_ASK_READ,
    SL_ASK_PAGE,
    SL_ASK_IDS,
    SL_ASK_VREAD,       /* one version */
    SL_ASK_HISTORY,     /* one page of versions, the newest first: of one resource, a type, or all */
    SL_ASK_BATCH,       /* several HISTORY of one resource each, together; not of the embedded store */
    SL_ASK_CREATE,      /* the server draws the id */
    SL_ASK_UPDATE,      /* if the current version is still the one named */
    SL_ASK_DELETE,      /* likewise */
    SL_ASK_TRANSACTION, /* several of these, all or none */
    SL_ASK_KINDS
};

struct sl_ask {
    enum sl_ask_kind kind;
    struct sl_slice type;           /* "Condition" */
    struct sl_slice id;             /* READ, VREAD, UPDATE, DELETE; HISTORY: may be empty, and type too; CREATE: the
                                       embedded store takes the one that is given, a server draws one */
    struct sl_slice version;        /* VREAD; UPDATE, DELETE: the version that must be the current one */
    struct sl_slice since;          /* HISTORY: an instant; may be empty */
    struct sl_slice body;           /* CREATE, UPDATE: a resource; TRANSACTION: a Bundle */
    const struct sl_search *search; /* PAGE */
    struct sl_slice position;       /* PAGE, HISTORY: `next` of the page before; empty: the first */
    size_t count;                   /* PAGE, HISTORY: matches wanted, at most */
    struct sl_slice *ids;           /* IDS: at most SL_ASK_IDS_LIMIT */
    size_t id_count;
    struct sl_ask *parts; /* BATCH: what is asked together; fetch.c gives each its answer */
    size_t part_count;
    struct sl_arena *arena;           /* where the answer goes; outlives the question */
    struct sl_kept *kept;             /* rows that were read before; NULL: none are kept */
    void (*done)(struct sl_ask *ask); /* called once, only if sl_upstream_ask returned before the answer was there */
    void *context;
    /* The answer. */
    bool finished;
    enum sl_status status; /* SL_OK; SL_NOT_FOUND (READ, VREAD, HISTORY); SL_NOT_SUPPORTED (PAGE, HISTORY, BATCH);
                              SL_LIMIT; SL_UPSTREAM and the like: the exchange answers 503 */
    const char *why;       /* of a failure: a literal, for operators */
    struct sl_slice text;  /* a resource (READ, VREAD) or a Bundle: searchset (PAGE, IDS), history, what a batch or
                              transaction is answered with; references relative, links as the server wrote them */
    struct sl_slice
        next; /* PAGE, HISTORY of the embedded store: position of the following page; a server's stands in the Bundle */
    bool gone;                        /* READ, HISTORY, NOT_FOUND: it was there, and has been deleted */
    bool next_in_text;                /* the `next` link of the Bundle is the position */
    const struct sl_address *address; /* a server's, which still stands in the text; NULL: it is none */
    struct sl_address_places places;  /* where */
    void *work;                       /* the upstream's own, while it is under way */
};

#define SL_ASK_IDS_LIMIT 128u

struct sl_upstream;

/* What one kind of upstream can do. */
struct sl_upstream_kind {
    void (*ask)(struct sl_upstream *upstream, struct sl_ask *ask);
    void (*cancel)(
        struct sl_upstream *upstream, struct sl_ask *ask); /* of one that is under way; `done` is not called */
    void (*free)(struct sl_upstream *upstream);
};

/* The head of every kind's own struct. */
struct sl_upstream {
    const struct sl_upstream_kind *kind;
};

struct event_base;
struct sl_recorder;
/* Over the embedded store. `records` is borrowed, and so is its writer (recorder.h; NULL: nothing is written) with the
 * worker on whose loop it answers. NULL if memory ran out. */
struct sl_upstream *sl_upstream_records_new(
    struct sl_records *records, struct sl_recorder *recorder, struct sl_worker *worker);
/* Over HTTP, on the loop. `token` may be empty. */
struct sl_upstream *sl_upstream_http_new(
    const struct sl_config *config, struct sl_slice token, struct event_base *base);
/* Once in a process, before any thread is made. */
void sl_upstream_http_init(void);
void sl_upstream_free(struct sl_upstream *upstream);

/* Does it change something? Of such an ask the answer is what it has come to: SL_OK, with the id and version that it
 * has now in `id` and `version` (UPDATE, DELETE: the version may be empty), of a TRANSACTION the Bundle in `text`;
 * SL_EXISTS: what is there is not what was named, and nothing was changed; anything else: it cannot be told whether it
 * was. */
bool sl_ask_writes(enum sl_ask_kind kind);
/* The version that an ETag says, and the id in a Location of something of that type; empty: none that could be named.
 */
struct sl_slice sl_upstream_version(struct sl_slice etag);
struct sl_slice sl_upstream_located(struct sl_slice location, struct sl_slice type);

/* What a server's status code says to a HISTORY: it keeps none, or not of all there is; nobody is there. */
bool sl_ask_has_no_history(const struct sl_ask *ask, int code);
bool sl_ask_is_absent(const struct sl_ask *ask, int code); /* READ and VREAD likewise */

/* Asks. Afterwards either ask->finished, or `done` will be called in a later turn of the loop. */
void sl_upstream_ask(struct sl_upstream *upstream, struct sl_ask *ask);
/* Withdraws a question. What writes cannot be withdrawn: whoever asked waits for it. */
void sl_upstream_cancel(struct sl_upstream *upstream, struct sl_ask *ask);

#endif
