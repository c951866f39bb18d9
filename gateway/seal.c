/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes and sealing: see seal.h. */
#include "seal.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

#define ID 4u
#define NONCE 12u
#define TAG 16u
#define KEYS 2u /* the one that seals, and the one before it */

struct key {
    unsigned char key[SL_SEAL_KEY];
    unsigned char id[ID]; /* of what is sealed with it, in front; authenticated */
};

struct sl_sealer {
    struct key keys[KEYS];
    size_t count;
    unsigned char mark[SL_SEAL_KEY]; /* for marks: one key, one use */
};

/* One key, or two. */
static bool read_keys(const char *path, struct sl_sealer *sealer)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    while (sealer->count < KEYS && fread(sealer->keys[sealer->count].key, 1, SL_SEAL_KEY, file) == SL_SEAL_KEY)
        sealer->count++;
    bool whole = sealer->count && (size_t)ftell(file) == sealer->count * SL_SEAL_KEY && fgetc(file) == EOF;
    fclose(file);
    return whole;
}

static bool draw_key(struct sl_sealer *sealer)
{
    sealer->count = 1;
    return RAND_bytes(sealer->keys[0].key, SL_SEAL_KEY) == 1;
}

static bool hmac(const unsigned char key[SL_SEAL_KEY], struct sl_slice text, unsigned char out[32])
{
    unsigned len = 0;
    return HMAC(EVP_sha256(), key, (int)SL_SEAL_KEY, (const unsigned char *)text.ptr, text.len, out, &len) && len == 32;
}

static bool derive(struct sl_sealer *sealer)
{
    unsigned char id[32];
    for (size_t i = 0; i < sealer->count; i++) {
        if (!hmac(sealer->keys[i].key, SL_LIT("sluice key id 1"), id))
            return false;
        memcpy(sealer->keys[i].id, id, ID);
    }
    return hmac(sealer->keys[0].key, SL_LIT("sluice mark key 1"), sealer->mark);
}

enum sl_status sl_sealer_new(const char *path, struct sl_sealer **out)
{
    *out = NULL;
    struct sl_sealer *sealer = calloc(1, sizeof *sealer);
    if (!sealer)
        return SL_NO_MEMORY;
    bool have = path && *path ? read_keys(path, sealer) : draw_key(sealer);
    if (!have || !derive(sealer)) {
        sl_sealer_free(sealer);
        return path && *path ? SL_IO : SL_CRYPTO;
    }
    *out = sealer;
    return SL_OK;
}

void sl_sealer_free(struct sl_sealer *sealer)
{
    if (!sealer)
        return;
    OPENSSL_cleanse(sealer, sizeof *sealer);
    free(sealer);
}

static bool encrypt(
    EVP_CIPHER_CTX *c, const struct key *key, struct sl_slice context, struct sl_slice plain, unsigned char *out)
{
    int len = 0, rest = 0;
    unsigned char *nonce = out + ID, *text = nonce + NONCE;
    memcpy(out, key->id, ID);
    return RAND_bytes(nonce, NONCE) == 1 && EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, key->key, nonce) == 1 &&
           EVP_EncryptUpdate(c, NULL, &len, out, ID) == 1 &&
           EVP_EncryptUpdate(c, NULL, &len, (const unsigned char *)context.ptr, (int)context.len) == 1 &&
           EVP_EncryptUpdate(c, text, &len, (const unsigned char *)plain.ptr, (int)plain.len) == 1 &&
           EVP_EncryptFinal_ex(c, text + len, &rest) == 1 && (size_t)(len + rest) == plain.len &&
           EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG, text + plain.len) == 1;
}

enum sl_status sl_seal(
    const struct sl_sealer *sealer, struct sl_slice context, struct sl_slice plain, unsigned char *out)
{
    if (context.len > INT32_MAX || plain.len > INT32_MAX)
        return SL_LIMIT;
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    bool good = c && encrypt(c, &sealer->keys[0], context, plain, out);
    EVP_CIPHER_CTX_free(c);
    return good ? SL_OK : SL_CRYPTO;
}

/* NULL: a key that is not, or no longer, ours. */
static const struct key *key_of(const struct sl_sealer *sealer, struct sl_slice sealed)
{
    for (size_t i = 0; i < sealer->count; i++)
        if (memcmp(sealer->keys[i].id, sealed.ptr, ID) == 0)
            return &sealer->keys[i];
    return NULL;
}

static bool decrypt(
    EVP_CIPHER_CTX *c, const struct key *key, struct sl_slice context, struct sl_slice sealed, unsigned char *out)
{
    int len = 0, rest = 0;
    unsigned char tag[TAG];
    const unsigned char *id = (const unsigned char *)sealed.ptr, *nonce = id + ID, *text = nonce + NONCE;
    size_t size = sealed.len - SL_SEAL_MORE;
    memcpy(tag, text + size, TAG);
    return EVP_DecryptInit_ex(c, EVP_aes_256_gcm(), NULL, key->key, nonce) == 1 &&
           EVP_DecryptUpdate(c, NULL, &len, id, ID) == 1 &&
           EVP_DecryptUpdate(c, NULL, &len, (const unsigned char *)context.ptr, (int)context.len) == 1 &&
           EVP_DecryptUpdate(c, out, &len, text, (int)size) == 1 &&
           EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, TAG, tag) == 1 && EVP_DecryptFinal_ex(c, out + len, &rest) == 1;
}

enum sl_status sl_unseal(
    const struct sl_sealer *sealer, struct sl_slice context, struct sl_slice sealed, unsigned char *out)
{
    if (sealed.len < SL_SEAL_MORE || context.len > INT32_MAX || sealed.len > INT32_MAX)
        return SL_INVALID;
    const struct key *key = key_of(sealer, sealed);
    EVP_CIPHER_CTX *c = key ? EVP_CIPHER_CTX_new() : NULL;
    bool good = c && decrypt(c, key, context, sealed, out);
    EVP_CIPHER_CTX_free(c);
    return good ? SL_OK : SL_INVALID;
}

enum sl_status sl_seal_mark(const struct sl_sealer *sealer, struct sl_slice text, unsigned char out[32])
{
    return hmac(sealer->mark, text, out) ? SL_OK : SL_CRYPTO;
}

enum sl_status sl_sha256(struct sl_slice text, unsigned char out[32])
{
    unsigned len = 0;
    return EVP_Digest(text.ptr, text.len, out, &len, EVP_sha256(), NULL) == 1 && len == 32 ? SL_OK : SL_CRYPTO;
}

enum sl_status sl_random(unsigned char *out, size_t size)
{
    return size <= INT32_MAX && RAND_bytes(out, (int)size) == 1 ? SL_OK : SL_CRYPTO;
}
