/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries of the `generations` table, written once and never again: generations, and changes of who may approve them.
 * Numbers are little-endian, texts have their length before them. An entry is sealed: after its magic stands the
 * SHA-256 of all that follows, so that one that was damaged is known, and named by its seal it cannot be another.
 */
#ifndef SLUICE_CONSENT_GENERATION_LOG_H
#define SLUICE_CONSENT_GENERATION_LOG_H

#include <stdint.h>

#include "sluice/arena.h"
#include "sluice/buffer.h"
#include "sluice/status.h"
#include "sluice/store.h"

#define SL_LOG_MAGIC 16u /* bytes of a magic */

struct sl_sha256 {
    unsigned char bytes[32];
};

SL_MUST_CHECK enum sl_status sl_sha256_of(struct sl_slice bytes, struct sl_sha256 *out);
/* 64 characters, in the arena. */
struct sl_slice sl_sha256_hex(struct sl_arena *arena, const struct sl_sha256 *sha);

/* ---- Writing ---- */

void sl_log_begin(struct sl_buffer *out, struct sl_slice magic);
void sl_log_put_number(struct sl_buffer *out, uint64_t number);
void sl_log_put_text(struct sl_buffer *out, struct sl_slice text);
void sl_log_put_sha(struct sl_buffer *out, const struct sl_sha256 *sha);
/* After the last put; nothing may follow. */
SL_MUST_CHECK enum sl_status sl_log_seal(struct sl_buffer *out);

/* ---- Reading ---- */

/* What is taken after a failure is zero or empty; texts are copies in the arena. */
struct sl_log_reading {
    struct sl_slice rest;
    struct sl_arena *arena;
    bool failed;
};

/* SL_CORRUPT: no entry with this magic, or not as it was sealed. *seal is its hash; of one that is damaged, that of all
 * its bytes. */
SL_MUST_CHECK enum sl_status sl_log_open(struct sl_slice value, struct sl_slice magic, struct sl_arena *arena,
    struct sl_log_reading *in, struct sl_sha256 *seal);
uint64_t sl_log_number(struct sl_log_reading *in);
struct sl_slice sl_log_text(struct sl_log_reading *in);
struct sl_sha256 sl_log_sha(struct sl_log_reading *in);
/* SL_OK if all of it was taken and nothing failed. */
SL_MUST_CHECK enum sl_status sl_log_end(const struct sl_log_reading *in);

/* ---- Keys of the table ---- */

/* A generation's is its number, big-endian, so that they stand in order; the others have a letter before. */
enum { SL_LOG_APPROVER = 'k', SL_LOG_FILE = 'f' };

struct sl_log_key {
    char bytes[33];
    size_t len;
};

struct sl_log_key sl_log_key_of(uint64_t generation);
struct sl_log_key sl_log_key_of_line(uint64_t number);                  /* of a change of who may approve */
struct sl_log_key sl_log_key_of_file(const struct sl_sha256 *contents); /* of a file's text */
static inline struct sl_slice sl_log_key_slice(const struct sl_log_key *key)
{
    return (struct sl_slice){key->bytes, key->len};
}

#endif
