/* SPDX-License-Identifier: Apache-2.0 */
/* Sealed entries: see generation_log.h. */
#include "generation_log.h"

#include <endian.h>
#include <openssl/evp.h>
#include <stdio.h>

#define HEAD (SL_LOG_MAGIC + sizeof(struct sl_sha256))

enum sl_status sl_sha256_of(struct sl_slice bytes, struct sl_sha256 *out)
{
    unsigned len = 0;
    if (EVP_Digest(bytes.ptr ? bytes.ptr : "", bytes.len, out->bytes, &len, EVP_sha256(), NULL) == 1 &&
        len == sizeof out->bytes)
        return SL_OK;
    *out = (struct sl_sha256){{0}};
    return SL_CRYPTO;
}

struct sl_slice sl_sha256_hex(struct sl_arena *arena, const struct sl_sha256 *sha)
{
    char text[2 * sizeof sha->bytes + 1];
    for (size_t i = 0; i < sizeof sha->bytes; i++)
        snprintf(text + 2 * i, 3, "%02x", sha->bytes[i]);
    return sl_arena_copy(arena, sl_slice_of(text));
}

/* ---- Writing ---- */

void sl_log_begin(struct sl_buffer *out, struct sl_slice magic)
{
    static const struct sl_sha256 none;
    SL_ASSERT(magic.len == SL_LOG_MAGIC);
    sl_buffer_add(out, magic);
    sl_log_put_sha(out, &none);
}

void sl_log_put_number(struct sl_buffer *out, uint64_t number)
{
    uint64_t bytes = htole64(number);
    sl_buffer_add(out, (struct sl_slice){(const char *)&bytes, sizeof bytes});
}

void sl_log_put_text(struct sl_buffer *out, struct sl_slice text)
{
    sl_log_put_number(out, text.len);
    sl_buffer_add(out, text);
}

void sl_log_put_sha(struct sl_buffer *out, const struct sl_sha256 *sha)
{
    sl_buffer_add(out, (struct sl_slice){(const char *)sha->bytes, sizeof sha->bytes});
}

enum sl_status sl_log_seal(struct sl_buffer *out)
{
    struct sl_sha256 sha;
    if (sl_buffer_failed(out))
        return SL_NO_MEMORY;
    SL_TRY(sl_sha256_of(sl_slice_from(sl_buffer_slice(out), HEAD), &sha));
    memcpy(out->ptr + SL_LOG_MAGIC, sha.bytes, sizeof sha.bytes);
    return SL_OK;
}

/* ---- Reading ---- */

enum sl_status sl_log_open(struct sl_slice value, struct sl_slice magic, struct sl_arena *arena,
    struct sl_log_reading *in, struct sl_sha256 *seal)
{
    *in = (struct sl_log_reading){.arena = arena, .failed = true};
    bool begins = value.len >= HEAD && sl_slice_starts(value, magic);
    SL_TRY(sl_sha256_of(begins ? sl_slice_from(value, HEAD) : value, seal));
    if (begins && memcmp(seal->bytes, value.ptr + SL_LOG_MAGIC, sizeof seal->bytes) == 0) {
        in->rest = sl_slice_from(value, HEAD);
        in->failed = false;
        return SL_OK;
    }
    SL_TRY(sl_sha256_of(value, seal));
    return SL_CORRUPT;
}

static struct sl_slice take(struct sl_log_reading *in, uint64_t len)
{
    if (in->failed || in->rest.len < len) {
        in->failed = true;
        return (struct sl_slice){NULL, 0};
    }
    struct sl_slice bytes = {in->rest.ptr, (size_t)len};
    in->rest = sl_slice_from(in->rest, (size_t)len);
    return bytes;
}

uint64_t sl_log_number(struct sl_log_reading *in)
{
    uint64_t number = 0;
    struct sl_slice bytes = take(in, sizeof number);
    if (bytes.len)
        memcpy(&number, bytes.ptr, sizeof number);
    return le64toh(number);
}

struct sl_slice sl_log_text(struct sl_log_reading *in)
{
    uint64_t len = sl_log_number(in);
    struct sl_slice text = take(in, len);
    return in->failed ? text : sl_arena_copy(in->arena, text);
}

struct sl_sha256 sl_log_sha(struct sl_log_reading *in)
{
    struct sl_sha256 sha = {{0}};
    struct sl_slice bytes = take(in, sizeof sha.bytes);
    if (bytes.len)
        memcpy(sha.bytes, bytes.ptr, sizeof sha.bytes);
    return sha;
}

enum sl_status sl_log_end(const struct sl_log_reading *in)
{
    if (in->failed || in->rest.len)
        return SL_CORRUPT;
    return sl_arena_failed(in->arena) ? SL_NO_MEMORY : SL_OK;
}

/* ---- Keys ---- */

static struct sl_log_key numbered(size_t at, uint64_t number)
{
    struct sl_log_key key = {.len = at + sizeof number};
    uint64_t bytes = htobe64(number);
    memcpy(key.bytes + at, &bytes, sizeof bytes);
    return key;
}

struct sl_log_key sl_log_key_of(uint64_t generation)
{
    return numbered(0, generation);
}

struct sl_log_key sl_log_key_of_line(uint64_t number)
{
    struct sl_log_key key = numbered(1, number);
    key.bytes[0] = SL_LOG_APPROVER;
    return key;
}

struct sl_log_key sl_log_key_of_file(const struct sl_sha256 *contents)
{
    struct sl_log_key key = {.bytes = {SL_LOG_FILE}, .len = sizeof key.bytes};
    memcpy(key.bytes + 1, contents->bytes, sizeof contents->bytes);
    return key;
}
