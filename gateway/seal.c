/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes and sealing: see seal.h. */
#include "seal.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

#define NONCE 12u
#define TAG 16u

struct sl_sealer {
    unsigned char key[SL_SEAL_KEY];  /* for sealing */
    unsigned char mark[SL_SEAL_KEY]; /* for marks: one key, one use */
};

static bool read_key(const char *path, unsigned char key[SL_SEAL_KEY])
{
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool whole = fread(key, 1, SL_SEAL_KEY, file) == SL_SEAL_KEY && fgetc(file) == EOF;
    fclose(file);
    return whole;
}

static bool hmac(const unsigned char key[SL_SEAL_KEY], struct sl_slice text, unsigned char out[32])
{
    unsigned len = 0;
    return HMAC(EVP_sha256(), key, (int)SL_SEAL_KEY, (const unsigned char *)text.ptr, text.len, out, &len) && len == 32;
}

enum sl_status sl_sealer_new(const char *path, struct sl_sealer **out)
{
    *out = NULL;
    struct sl_sealer *sealer = calloc(1, sizeof *sealer);
    if (!sealer)
        return SL_NO_MEMORY;
    bool have = path && *path ? read_key(path, sealer->key) : RAND_bytes(sealer->key, SL_SEAL_KEY) == 1;
    if (!have || !hmac(sealer->key, SL_LIT("sluice mark key 1"), sealer->mark)) {
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

static bool encrypt(EVP_CIPHER_CTX *c, const struct sl_sealer *sealer, struct sl_slice context, struct sl_slice plain,
    unsigned char *out)
{
    int len = 0, rest = 0;
    unsigned char *text = out + NONCE;
    return RAND_bytes(out, NONCE) == 1 && EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, sealer->key, out) == 1 &&
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
    bool good = c && encrypt(c, sealer, context, plain, out);
    EVP_CIPHER_CTX_free(c);
    return good ? SL_OK : SL_CRYPTO;
}

static bool decrypt(EVP_CIPHER_CTX *c, const struct sl_sealer *sealer, struct sl_slice context, struct sl_slice sealed,
    unsigned char *out)
{
    int len = 0, rest = 0;
    unsigned char tag[TAG];
    const unsigned char *bytes = (const unsigned char *)sealed.ptr;
    size_t size = sealed.len - SL_SEAL_MORE;
    memcpy(tag, bytes + NONCE + size, TAG);
    return EVP_DecryptInit_ex(c, EVP_aes_256_gcm(), NULL, sealer->key, bytes) == 1 &&
           EVP_DecryptUpdate(c, NULL, &len, (const unsigned char *)context.ptr, (int)context.len) == 1 &&
           EVP_DecryptUpdate(c, out, &len, bytes + NONCE, (int)size) == 1 &&
           EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, TAG, tag) == 1 && EVP_DecryptFinal_ex(c, out + len, &rest) == 1;
}

enum sl_status sl_unseal(
    const struct sl_sealer *sealer, struct sl_slice context, struct sl_slice sealed, unsigned char *out)
{
    if (sealed.len < SL_SEAL_MORE || context.len > INT32_MAX || sealed.len > INT32_MAX)
        return SL_INVALID;
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    bool good = c && decrypt(c, sealer, context, sealed, out);
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
