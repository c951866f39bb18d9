/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP messages to an upstream and their answers: method, URL, headers and body in; status, headers and body out. It
 * knows nothing of FHIR: what is asked and what an answer means is upstream_http.c's matter. One transport belongs to
 * one worker's loop.
 *
 * An answer is whole, in time and within the limit, or it is none. Redirects are not followed: they would lead
 * somewhere nobody configured, with our token.
 */
#ifndef SLUICE_GATEWAY_TRANSPORT_H
#define SLUICE_GATEWAY_TRANSPORT_H

#include "config.h"
#include "http.h"

struct sl_call {
    enum sl_method method;
    bool asks;              /* a POST that changes nothing: it may be sent again as a GET may */
    struct sl_slice target; /* what follows the base URL: "/Condition?patient=x"; only bytes that a URL may hold */
    const struct sl_header *headers; /* beyond Host, Accept, Authorization and the like; borrowed until it has ended */
    size_t header_count;
    struct sl_slice body;               /* borrowed until it has ended; ptr NULL: none */
    struct sl_arena *arena;             /* where the answer goes; outlives the call */
    void (*done)(struct sl_call *call); /* once, in a later turn of the loop; not after sl_transport_cancel */
    void *context;
    /* The answer. */
    enum sl_status status;           /* SL_OK: it is there, whatever its code; SL_LIMIT; SL_UPSTREAM; SL_NO_MEMORY */
    const char *why;                 /* of a failure: a literal, for operators */
    int code;                        /* the final one, 200 to 599 */
    const struct sl_header *answers; /* its headers; in the arena */
    size_t answer_count;
    char *text; /* its body, decompressed, in the arena: the caller's to change */
    size_t len;
    void *work; /* the transport's own, while it is under way; NULL: it is not */
};

struct sl_transport;
struct event_base;

/* `token` may be empty. NULL: no memory. */
struct sl_transport *sl_transport_new(const struct sl_config *config, struct sl_slice token, struct event_base *base);
/* No call may be under way. */
void sl_transport_free(struct sl_transport *transport);
/* Once in a process, before any thread is made. */
void sl_transport_init(void);

/* Sends. False: it cannot be sent at all, status and why are set, and `done` is not called. */
SL_MUST_CHECK bool sl_transport_send(struct sl_transport *transport, struct sl_call *call);
/* Of one that is under way. */
void sl_transport_cancel(struct sl_transport *transport, struct sl_call *call);

/* A header of the answer by name, any case; ptr NULL if it is not there. */
struct sl_slice sl_call_answer(const struct sl_call *call, struct sl_slice name);

#endif
