/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hashes and sealing: SHA-256, a keyed fingerprint, and AES-256-GCM for what a client carries for us (page links) and
 * may neither read nor change. Over OpenSSL's EVP.
 */
#ifndef SLUICE_GATEWAY_SEAL_H
#define SLUICE_GATEWAY_SEAL_H

#include "sluice/buffer.h"
#include "sluice/slice.h"
#include "sluice/status.h"

#define SL_SEAL_KEY 32u
#define SL_SEAL_MORE 32u /* key id, nonce and tag: by how much the sealed is longer than the plain */

struct sl_sealer; /* one key or two; cleansed when freed */

/* From a file of 32 bytes, the key; or of 64: the key, and the one before it, with which nothing is sealed any more and
 * what was still opens. path NULL or empty: random, for the life of the process. Caller owns. */
SL_MUST_CHECK enum sl_status sl_sealer_new(const char *path, struct sl_sealer **out);
void sl_sealer_free(struct sl_sealer *sealer);

/* Seals `plain` under `context` (associated data) with a random nonce: key id, nonce, ciphertext, tag; plain.len +
 * SL_SEAL_MORE bytes at out. */
SL_MUST_CHECK enum sl_status sl_seal(
    const struct sl_sealer *sealer, struct sl_slice context, struct sl_slice plain, unsigned char *out);
/* Opens it again into plain.len = sealed.len - SL_SEAL_MORE bytes at out. SL_INVALID: not ours, or changed. */
SL_MUST_CHECK enum sl_status sl_unseal(
    const struct sl_sealer *sealer, struct sl_slice context, struct sl_slice sealed, unsigned char *out);

/* HMAC-SHA-256 under a key derived from the sealer's: the same text gives the same mark, and nobody without the key can
 * try texts against it. */
SL_MUST_CHECK enum sl_status sl_seal_mark(const struct sl_sealer *sealer, struct sl_slice text, unsigned char out[32]);

SL_MUST_CHECK enum sl_status sl_sha256(struct sl_slice text, unsigned char out[32]);
SL_MUST_CHECK enum sl_status sl_random(unsigned char *out, size_t size);

#endif
