/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS for the clients' side: one immutable configuration, shared by the workers and counted; TLS 1.2 with ECDHE and
 * AEAD only, or 1.3; no renegotiation, no compression, no server-side session cache; ALPN answers http/1.1. And for the
 * other side: streams to a server, whose certificate must chain to a given authority, or one of the system's, and name
 * its host. The only file that knows OpenSSL's SSL objects.
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

/* ---- To a server ---- */

struct sl_tls_client; /* of one thread */
struct sl_tls_stream;

/* authorities: PEM; NULL: those of the system. http2: it is offered, before HTTP/1.1 (RFC 7301). NULL: no memory, or a
 * file that cannot be read. */
struct sl_tls_client *sl_tls_client_new(const char *authorities, bool http2);
void sl_tls_client_free(struct sl_tls_client *client); /* NULL is fine; its streams go first */

/* Over a connected socket that does not block, and stays the caller's. host: a name, or a numeric address. */
struct sl_tls_stream *sl_tls_stream_new(struct sl_tls_client *client, int fd, const char *host);
void sl_tls_stream_free(struct sl_tls_stream *stream);

enum sl_tls_result { SL_TLS_DONE, SL_TLS_WANTS_READ, SL_TLS_WANTS_WRITE, SL_TLS_CLOSED, SL_TLS_FAILED };
enum sl_tls_result sl_tls_stream_greet(struct sl_tls_stream *stream); /* the handshake; DONE: it is over */
bool sl_tls_stream_is_http2(const struct sl_tls_stream *stream);      /* did the server choose it? */
enum sl_tls_result sl_tls_stream_read(struct sl_tls_stream *stream, char *out, size_t room, size_t *len);
enum sl_tls_result sl_tls_stream_write(struct sl_tls_stream *stream, struct sl_slice bytes, size_t *len);

#endif
