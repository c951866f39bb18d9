/* SPDX-License-Identifier: Apache-2.0 */
/* TLS configuration and accessors: see tls.h. */
#include "tls.h"

#include <arpa/inet.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* RFC 9325 4.2: forward secrecy and authenticated encryption. TLS 1.3 has nothing else. */
#define CIPHERS_1_2                                                                                                    \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"                         \
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define GROUPS "X25519:P-256:P-384"
#define TICKET_SECONDS 3600

struct sl_tls {
    SSL_CTX *context;
    atomic_uint references;
};

/* Takes the oldest of OpenSSL's errors as the reason and forgets the others. */
static enum sl_status explain(struct sl_issues *issues, const char *what, const char *file)
{
    const char *reason = ERR_reason_error_string(ERR_peek_error());
    struct sl_issue *issue = sl_issue_add(
        issues, SL_GRADE_ERROR, "tls", "The %s cannot be used: %s.", what, reason ? reason : "no reason given");
    if (issue)
        issue->file = sl_slice_of(file);
    ERR_clear_error();
    return SL_INVALID;
}

/* A key that needs a passphrase is refused: a daemon has nobody to ask. */
static int no_passphrase(char *buffer, int size, int writing, void *context)
{
    (void)buffer;
    (void)size;
    (void)writing;
    (void)context;
    return -1;
}

/* RFC 7301 3.2: a client that offers protocols, and not this one, gets a fatal no_application_protocol. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
    unsigned in_len, void *context)
{
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *chosen;
    (void)ssl;
    (void)context;
    if (SSL_select_next_proto(&chosen, out_len, ours, sizeof ours - 1, in, in_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static bool set_protocol(SSL_CTX *context)
{
    char groups[] = GROUPS; /* OpenSSL's macro wants it writable */
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                     SSL_OP_IGNORE_UNEXPECTED_EOF);
    /* Buffers go back as soon as they are empty: idle connections hold none. */
    SSL_CTX_set_mode(
        context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(context, TICKET_SECONDS);
    SSL_CTX_set_default_passwd_cb(context, no_passphrase);
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
    return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) && SSL_CTX_set_num_tickets(context, 1) &&
           SSL_CTX_set_cipher_list(context, CIPHERS_1_2) && SSL_CTX_set1_groups_list(context, groups);
}

/* Asked for, not demanded: who must show one is policy. One that is shown must be good, and is checked at each
 * handshake: a ticket would carry yesterday's verdict over. */
static enum sl_status set_client_authorities(SSL_CTX *context, const char *file, struct sl_issues *issues)
{
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(file);
    if (!names || !SSL_CTX_load_verify_file(context, file)) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return explain(issues, "file of client authorities", file);
    }
    SSL_CTX_set_client_CA_list(context, names);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(context, 0);
    return SL_OK;
}

static enum sl_status fill(SSL_CTX *context, const struct sl_tls_files *files, struct sl_issues *issues)
{
    if (!set_protocol(context))
        return explain(issues, "TLS protocol settings", NULL);
    if (SSL_CTX_use_certificate_chain_file(context, files->certificates) != 1)
        return explain(issues, "certificate file", files->certificates);
    if (SSL_CTX_use_PrivateKey_file(context, files->key, SSL_FILETYPE_PEM) != 1)
        return explain(issues, "key file", files->key);
    if (SSL_CTX_check_private_key(context) != 1)
        return explain(issues, "key file with this certificate", files->key);
    return files->client_ca ? set_client_authorities(context, files->client_ca, issues) : SL_OK;
}

enum sl_status sl_tls_new(const struct sl_tls_files *files, struct sl_issues *issues, struct sl_tls **out)
{
    struct sl_tls *tls = calloc(1, sizeof *tls);
    enum sl_status status = SL_NO_MEMORY;
    *out = NULL;
    if (!tls)
        return SL_NO_MEMORY;
    atomic_init(&tls->references, 1);
    tls->context = SSL_CTX_new(TLS_server_method());
    if (tls->context)
        status = files->key ? fill(tls->context, files, issues) : explain(issues, "certificate without a key", NULL);
    if (status != SL_OK) {
        sl_tls_unref(tls);
        return status;
    }
    *out = tls;
    return SL_OK;
}

struct sl_tls *sl_tls_ref(struct sl_tls *tls)
{
    if (tls)
        atomic_fetch_add_explicit(&tls->references, 1, memory_order_relaxed);
    return tls;
}

void sl_tls_unref(struct sl_tls *tls)
{
    if (!tls || atomic_fetch_sub_explicit(&tls->references, 1, memory_order_acq_rel) != 1)
        return;
    SSL_CTX_free(tls->context);
    free(tls);
}

struct bufferevent *sl_tls_accept(struct sl_tls *tls, struct event_base *base, int fd)
{
    SSL *ssl = SSL_new(tls->context);
    if (!ssl)
        return NULL;
    /* With BEV_OPT_CLOSE_ON_FREE the SSL object is libevent's, on failure too. */
    struct bufferevent *bev =
        bufferevent_openssl_socket_new(base, fd, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
    if (bev)
        bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
    return bev;
}

void sl_tls_goodbye(struct bufferevent *bev)
{
    SSL *ssl = bufferevent_openssl_get_ssl(bev);
    if (ssl && SSL_is_init_finished(ssl))
        SSL_shutdown(ssl);
    ERR_clear_error();
}

/* RFC 2253, as people write it in configuration files. */
static bool copy_subject(const X509 *certificate, struct sl_arena *arena, struct sl_slice *out)
{
    BIO *text = BIO_new(BIO_s_mem());
    char *bytes;
    long len;
    if (!text)
        return false;
    if (X509_NAME_print_ex(text, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253) >= 0 &&
        (len = BIO_get_mem_data(text, &bytes)) >= 0)
        *out = sl_arena_copy(arena, (struct sl_slice){bytes, (size_t)len});
    BIO_free(text);
    return out->ptr != NULL;
}

bool sl_tls_certificate(struct bufferevent *bev, struct sl_arena *arena, struct sl_client_certificate *out)
{
    SSL *ssl = bufferevent_openssl_get_ssl(bev);
    const X509 *certificate = ssl ? SSL_get0_peer_certificate(ssl) : NULL;
    unsigned len = sizeof out->sha256;
    *out = (struct sl_client_certificate){{NULL, 0}, {0}};
    if (!certificate || SSL_get_verify_result(ssl) != X509_V_OK)
        return false;
    return X509_digest(certificate, EVP_sha256(), out->sha256, &len) == 1 &&
           copy_subject(certificate, arena, &out->subject);
}

/* ---- To a server ---- */

struct sl_tls_client {
    SSL_CTX *context;
};

/* In TLS an end without a goodbye is an error: an answer whose length was not announced could have been cut short. */
static bool set_up_client(SSL_CTX *context, const char *authorities, bool http2)
{
    static const unsigned char protocols[] = "\x02h2\x08http/1.1";
    const unsigned skipped = http2 ? 0 : 3;
    char groups[] = GROUPS;
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(
        context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    if ((authorities ? SSL_CTX_load_verify_file(context, authorities) : SSL_CTX_set_default_verify_paths(context)) != 1)
        return false;
    /* 0 is success: RFC 7301's function is the odd one. */
    if (SSL_CTX_set_alpn_protos(context, protocols + skipped, sizeof protocols - 1 - skipped) != 0)
        return false;
    return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) && SSL_CTX_set_cipher_list(context, CIPHERS_1_2) &&
           SSL_CTX_set1_groups_list(context, groups);
}

struct sl_tls_client *sl_tls_client_new(const char *authorities, bool http2)
{
    struct sl_tls_client *client = calloc(1, sizeof *client);
    if (!client)
        return NULL;
    client->context = SSL_CTX_new(TLS_client_method());
    if (client->context && set_up_client(client->context, authorities, http2))
        return client;
    ERR_clear_error();
    sl_tls_client_free(client);
    return NULL;
}

void sl_tls_client_free(struct sl_tls_client *client)
{
    if (!client)
        return;
    SSL_CTX_free(client->context);
    free(client);
}

/* RFC 9110 4.3.4: the certificate must be of the host in the URL; RFC 6066 3: a numeric address is not told as a name.
 */
static bool name_host(SSL *ssl, const char *host)
{
    unsigned char address[16];
    if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    char name[256]; /* a name has at most 253; OpenSSL's macro casts away what a const one says */
    if ((size_t)snprintf(name, sizeof name, "%s", host) >= sizeof name)
        return false;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

/* The stream is the SSL object itself: it has nothing of ours. */
static SSL *ssl_of(const struct sl_tls_stream *stream)
{
    return (SSL *)(uintptr_t)stream;
}

struct sl_tls_stream *sl_tls_stream_new(struct sl_tls_client *client, int fd, const char *host)
{
    SSL *ssl = SSL_new(client->context);
    if (ssl && SSL_set_fd(ssl, fd) == 1 && name_host(ssl, host)) {
        SSL_set_connect_state(ssl);
        return (struct sl_tls_stream *)ssl;
    }
    SSL_free(ssl);
    ERR_clear_error();
    return NULL;
}

void sl_tls_stream_free(struct sl_tls_stream *stream)
{
    SSL *ssl = ssl_of(stream);
    if (ssl && SSL_is_init_finished(ssl))
        SSL_shutdown(ssl); /* says goodbye, and waits for none */
    SSL_free(ssl);
    ERR_clear_error();
}

static enum sl_tls_result result_of(SSL *ssl, int result)
{
    int error = result > 0 ? SSL_ERROR_NONE : SSL_get_error(ssl, result);
    ERR_clear_error();
    if (error == SSL_ERROR_NONE)
        return SL_TLS_DONE;
    if (error == SSL_ERROR_WANT_READ)
        return SL_TLS_WANTS_READ;
    if (error == SSL_ERROR_WANT_WRITE)
        return SL_TLS_WANTS_WRITE;
    return error == SSL_ERROR_ZERO_RETURN ? SL_TLS_CLOSED : SL_TLS_FAILED;
}

enum sl_tls_result sl_tls_stream_greet(struct sl_tls_stream *stream)
{
    return result_of(ssl_of(stream), SSL_do_handshake(ssl_of(stream)));
}

bool sl_tls_stream_is_http2(const struct sl_tls_stream *stream)
{
    const unsigned char *protocol;
    unsigned len;
    SSL_get0_alpn_selected(ssl_of(stream), &protocol, &len);
    return sl_slice_eq((struct sl_slice){(const char *)protocol, len}, SL_LIT("h2"));
}

enum sl_tls_result sl_tls_stream_read(struct sl_tls_stream *stream, char *out, size_t room, size_t *len)
{
    *len = 0;
    return result_of(ssl_of(stream), SSL_read_ex(ssl_of(stream), out, room, len));
}

enum sl_tls_result sl_tls_stream_write(struct sl_tls_stream *stream, struct sl_slice bytes, size_t *len)
{
    *len = 0;
    return result_of(ssl_of(stream), SSL_write_ex(ssl_of(stream), bytes.ptr, bytes.len, len));
}
