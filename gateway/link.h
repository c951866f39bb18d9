/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection to a server: connect, TLS where wanted, bytes out, bytes in. What they mean, and how long they may
 * take, is its user's matter (transport.c).
 */
#ifndef SLUICE_GATEWAY_LINK_H
#define SLUICE_GATEWAY_LINK_H

#include <sys/socket.h>

#include "sluice/slice.h"

struct sl_link;
struct event_base;
struct sl_tls_client;

/* Called from the loop alone, never from within a function of this header. Each may free the link. */
struct sl_link_user {
    void (*opened)(void *context);                          /* it is connected, and secured: send */
    void (*received)(void *context, struct sl_slice bytes); /* gone when this returns */
    void (*closed)(void *context, const char *why);         /* by the other side (NULL), or broken; free it */
    void (*sent)(void *context); /* what had to wait is gone: more may be sent; NULL: nobody wants to know */
};

struct sl_link_options {
    struct event_base *base;
    struct sl_tls_client *tls; /* NULL: plain */
    const char *host;          /* whose certificate it must be */
    const struct sockaddr *address;
    socklen_t address_len;
    struct sl_slice buffer; /* where bytes are read to; shared with other links of the same loop */
    const struct sl_link_user *user;
    void *context;
};

enum sl_link_phase { SL_LINK_CONNECTING, SL_LINK_SECURING, SL_LINK_OPEN, SL_LINK_CLOSED };

/* Begins to connect. NULL: no memory, no descriptor, no route. */
struct sl_link *sl_link_new(const struct sl_link_options *options);
void sl_link_free(struct sl_link *link);

enum sl_link_phase sl_link_phase(const struct sl_link *link);
/* Has the server chosen HTTP/2? Once it is open. */
bool sl_link_is_http2(const struct sl_link *link);
/* From now on another is told what comes of it. */
void sl_link_give(struct sl_link *link, const struct sl_link_user *user, void *context);
/* Is all gone that was sent? */
bool sl_link_is_idle(const struct sl_link *link);
/* Sends two pieces, once it is open and what was sent before is gone. Both are borrowed until the answer to them, or
 * the end. */
void sl_link_send(struct sl_link *link, struct sl_slice first, struct sl_slice second);

#endif
