/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signed tokens: JWS in compact form (RFC 7515), keys as JWK sets (RFC 7517, 7518, 8037). Ours, strict, over OpenSSL's
 * EVP, because what is packaged accepts unknown `crit`, wrong curves and repeated members.
 *
 * What a signature says about *who* is identify.c's matter; this module only says whether a trusted key made it.
 */
#ifndef SLUICE_GATEWAY_JOSE_H
#define SLUICE_GATEWAY_JOSE_H

#include <stdint.h>

#include "sluice/arena.h"
#include "sluice/buffer.h"
#include "sluice/issue.h"
#include "sluice/slice.h"
#include "sluice/status.h"

/* The algorithms there are here. `none` and the HMAC family do not exist: no row, no acceptance. */
#define SL_ALGORITHMS(ROW)                                                                                             \
    ROW(RS256, "RSA", "", "SHA256", PKCS1)                                                                             \
    ROW(RS384, "RSA", "", "SHA384", PKCS1)                                                                             \
    ROW(RS512, "RSA", "", "SHA512", PKCS1)                                                                             \
    ROW(PS256, "RSA", "", "SHA256", PSS)                                                                               \
    ROW(PS384, "RSA", "", "SHA384", PSS)                                                                               \
    ROW(PS512, "RSA", "", "SHA512", PSS)                                                                               \
    ROW(ES256, "EC", "P-256", "SHA256", ECDSA)                                                                         \
    ROW(ES384, "EC", "P-384", "SHA384", ECDSA)                                                                         \
    ROW(ES512, "EC", "P-521", "SHA512", ECDSA)                                                                         \
    ROW(EdDSA, "OKP", "Ed25519", "", EDDSA)

enum sl_algorithm {
    SL_ALGORITHM_NONE,
#define ROW(name, kty, crv, md, scheme) SL_ALG_##name,
    SL_ALGORITHMS(ROW)
#undef ROW
        SL_ALGORITHM_COUNT
};

/* A set of algorithms: bit 1 << enum sl_algorithm. */
#define SL_ALGORITHM_BIT(algorithm) (1u << (unsigned)(algorithm))

/* "ES256" to its enumerator, by exact name; SL_ALGORITHM_NONE if it is not one of ours. */
enum sl_algorithm sl_algorithm_find(struct sl_slice name);
struct sl_slice sl_algorithm_name(enum sl_algorithm algorithm);

/* ---- Keys to verify with ---- */

struct sl_keys; /* immutable once read; caller owns */

/* Reads a JWK set ({"keys": [...]}) or a single JWK. Keys of a type, use or curve that is not ours are passed over with
 * a note; a malformed or weak key, or a file without one usable key, is SL_INVALID. */
SL_MUST_CHECK enum sl_status sl_keys_read(struct sl_slice json, struct sl_issues *issues, struct sl_keys **out);
void sl_keys_free(struct sl_keys *keys); /* NULL is fine */

/*
 * Verifies a compact JWS. `algorithms` are those the issuer may use; the header's must be one of them and fit the key's
 * type, curve, `alg`, `use` and `key_ops`. *payload is the decoded payload, in the arena.
 * SL_UNAUTHENTICATED with *why (a literal, for operators) set; SL_NO_MEMORY.
 */
SL_MUST_CHECK enum sl_status sl_jws_verify(const struct sl_keys *keys, uint32_t algorithms, struct sl_slice token,
    struct sl_arena *arena, struct sl_slice *payload, const char **why);

/* The payload of a compact JWS that nobody has verified: only for finding out whose keys to ask (`iss`). */
SL_MUST_CHECK enum sl_status sl_jws_peek(struct sl_slice token, struct sl_arena *arena, struct sl_slice *payload);

/* ---- Keys to sign with: the demonstration's own issuer ---- */

struct sl_signer; /* a private key; cleansed when freed */

/* A new key for ES256, ES384, ES512, EdDSA, or RSA of 3072 bits. */
SL_MUST_CHECK enum sl_status sl_signer_generate(enum sl_algorithm algorithm, struct sl_signer **out);
/* Reads and writes PKCS #8 in PEM. The file is made with mode 0600 and must not exist. */
SL_MUST_CHECK enum sl_status sl_signer_load(const char *path, enum sl_algorithm algorithm, struct sl_signer **out);
SL_MUST_CHECK enum sl_status sl_signer_save(const struct sl_signer *signer, const char *path);
void sl_signer_free(struct sl_signer *signer);
/* The public half as a JWK set of one key; its kid is the RFC 7638 thumbprint. */
SL_MUST_CHECK enum sl_status sl_signer_jwks(const struct sl_signer *signer, struct sl_buffer *out);
/* A compact JWS over the payload, with alg, kid and typ "JWT". */
SL_MUST_CHECK enum sl_status sl_jws_sign(
    const struct sl_signer *signer, struct sl_slice payload, struct sl_buffer *out);

/* ---- base64url without padding (RFC 4648, 5), strict: no other characters, no stray bits ---- */

SL_MUST_CHECK enum sl_status sl_base64url_decode(struct sl_slice text, struct sl_arena *arena, struct sl_slice *out);
void sl_base64url_encode(struct sl_buffer *out, struct sl_slice bytes);

#endif
