/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS for the clients' side: one immutable configuration, shared by the workers and counted; TLS 1.2 with ECDHE and
 * AEAD only, or 1.3; no renegotiation, no compression, no server-side session cache; ALPN answers http/1.1. The only
 * file that knows OpenSSL's SSL objects.
 */
#ifndef SLUICE_GATEWAY_TLS_H
#define SLUICE_GATEWAY_TLS_H

#include "http.h"
#include "sluice/issue.h"

struct bufferevent;
struct event_base;
struct sl_tls;

/* Paths of PEM files. */
struct sl_tls_files {
    const char *certificates; /* the server's, then its intermediates */
    const char *key;          /* not encrypted */
    const char *client_ca;    /* authorities of client certificates; NULL: none is asked for */
};

/* SL_INVALID with the reason in the issues: a file is missing or does not fit. One reference is the caller's. */
SL_MUST_CHECK enum sl_status sl_tls_new(
    const struct sl_tls_files *files, struct sl_issues *issues, struct sl_tls **out);
struct sl_tls *sl_tls_ref(struct sl_tls *tls);
void sl_tls_unref(struct sl_tls *tls); /* NULL is fine. */

/* A bufferevent that awaits a client's handshake on the socket, and closes it when freed. NULL: no memory; the socket
 * is still the caller's. */
struct bufferevent *sl_tls_accept(struct sl_tls *tls, struct event_base *base, int fd);

/* Says goodbye (close_notify) if the handshake is done; never blocks. */
void sl_tls_goodbye(struct bufferevent *bev);

/* The verified certificate of the client, if it showed one. */
bool sl_tls_certificate(struct bufferevent *bev, struct sl_arena *arena, struct sl_client_certificate *out);

#endif
