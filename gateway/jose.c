/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JWS and JWK over EVP: see jose.h. Header, claims and keys are parsed by our own span parser, which refuses repeated
 * members, escapes in keys and anything that is not RFC 8259.
 *
 * What RFC 8725 (best current practices) asks and where it is met: 3.1 algorithm verification (`fits`), 3.2 appropriate
 * algorithms (the table in jose.h), 3.3 all operations validated, 3.5 keys of sufficient strength (`read_rsa`), 3.10 no
 * trust in received claims (`kid` only selects, `jku`, `jwk` and `x5u` are never followed).
 */
#include "jose.h"

#include <fcntl.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <unistd.h>

#include "sluice/span.h"

#define TOKEN_LIMIT ((size_t)16 * 1024)
#define KEYS_LIMIT ((size_t)256 * 1024)
#define KEY_COUNT_LIMIT 64u
#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 8192
#define SIGNATURE_LIMIT 1024u

enum scheme { PKCS1, PSS, ECDSA, EDDSA };

static const struct algorithm {
    struct sl_slice name, kty, crv;
    const char *md;
    enum scheme scheme;
} algorithms_table[] = {{{"", 0}, {"", 0}, {"", 0}, "", PKCS1}, /* SL_ALGORITHM_NONE: no name, and no key fits it */
#define ROW(name, kty, crv, md, scheme)                                                                                \
    {{#name, sizeof #name - 1}, {kty, sizeof kty - 1}, {crv, sizeof crv - 1}, md, scheme},
    SL_ALGORITHMS(ROW)
#undef ROW
};

struct key {
    struct sl_slice kid;
    EVP_PKEY *pkey;
    uint32_t fits; /* the algorithms this key may verify */
};

struct sl_keys {
    struct sl_arena *arena;
    struct key keys[KEY_COUNT_LIMIT];
    size_t count;
};

/* Headers, claims and keys are small; a token that needs more is no token. */
static const struct sl_doc_limits json_limits = {.bytes = 256 * 1024, .spans = 4096, .depth = 12};

enum sl_algorithm sl_algorithm_find(struct sl_slice name)
{
    for (unsigned i = 1; i < SL_ALGORITHM_COUNT; i++)
        if (sl_slice_eq(algorithms_table[i].name, name))
            return (enum sl_algorithm)i;
    return SL_ALGORITHM_NONE;
}

struct sl_slice sl_algorithm_name(enum sl_algorithm algorithm)
{
    SL_ASSERT((unsigned)algorithm < SL_ALGORITHM_COUNT);
    return algorithms_table[algorithm].name;
}

/* ---- base64url ---- */

static int digit_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '-')
        return 62;
    return c == '_' ? 63 : -1;
}

enum sl_status sl_base64url_decode(struct sl_slice text, struct sl_arena *arena, struct sl_slice *out)
{
    *out = (struct sl_slice){NULL, 0};
    if (text.len % 4 == 1)
        return SL_SYNTAX;
    char *bytes = sl_arena_raw(arena, text.len / 4 * 3 + 3, 1);
    if (!bytes)
        return SL_NO_MEMORY;
    uint32_t bits = 0;
    unsigned held = 0;
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        int digit = digit_of(text.ptr[i]);
        if (digit < 0)
            return SL_SYNTAX;
        bits = bits << 6 | (uint32_t)digit;
        held += 6;
        if (held >= 8) {
            held -= 8;
            bytes[len++] = (char)(bits >> held & 0xff);
        }
    }
    /* Two texts must not mean the same bytes: what is left over is zero. */
    if (bits & ((1u << held) - 1))
        return SL_SYNTAX;
    *out = (struct sl_slice){bytes, len};
    return SL_OK;
}

void sl_base64url_encode(struct sl_buffer *out, struct sl_slice bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint32_t bits = 0;
    unsigned held = 0;
    for (size_t i = 0; i < bytes.len; i++) {
        bits = bits << 8 | (unsigned char)bytes.ptr[i];
        for (held += 8; held >= 6; held -= 6)
            sl_buffer_add(out, (struct sl_slice){&digits[bits >> (held - 6) & 63], 1});
    }
    if (held)
        sl_buffer_add(out, (struct sl_slice){&digits[bits << (6 - held) & 63], 1});
}

/* ---- Reading keys ---- */

static struct sl_slice member_string(const struct sl_doc *doc, uint32_t object, const char *key, struct sl_arena *arena)
{
    uint32_t member = sl_span_member_key(doc, object, sl_slice_of(key));
    return member ? sl_span_string(doc, member, arena) : (struct sl_slice){NULL, 0};
}

/* A member that must be base64url of at least one byte. */
static enum sl_status member_bytes(
    const struct sl_doc *doc, uint32_t object, const char *key, struct sl_arena *arena, struct sl_slice *out)
{
    SL_TRY(sl_base64url_decode(member_string(doc, object, key, arena), arena, out));
    return out->len ? SL_OK : SL_INVALID;
}

static EVP_PKEY *make_key(const char *type, OSSL_PARAM *params)
{
    EVP_PKEY *pkey = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (!context || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
        pkey = NULL;
    EVP_PKEY_CTX_free(context);
    return pkey;
}

/* Is it on its curve, of full order, of odd modulus? What OpenSSL can tell of a public key. */
static bool is_sound(EVP_PKEY *pkey)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    bool sound = context && EVP_PKEY_public_check(context) == 1;
    EVP_PKEY_CTX_free(context);
    return sound;
}

static enum sl_status read_rsa(const struct sl_doc *doc, uint32_t jwk, struct sl_arena *arena, EVP_PKEY **out)
{
    struct sl_slice n, e;
    SL_TRY(member_bytes(doc, jwk, "n", arena, &n));
    SL_TRY(member_bytes(doc, jwk, "e", arena, &e));
    if (n.len > RSA_BITS_MAX / 8 || e.len > 8)
        return SL_INVALID;
    enum sl_status status = SL_INVALID;
    OSSL_PARAM *params = NULL;
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    BIGNUM *modulus = BN_bin2bn((const unsigned char *)n.ptr, (int)n.len, NULL);
    BIGNUM *exponent = BN_bin2bn((const unsigned char *)e.ptr, (int)e.len, NULL);
    if (!build || !modulus || !exponent || BN_num_bits(modulus) < RSA_BITS_MIN || !BN_is_odd(modulus) ||
        !BN_is_odd(exponent) || BN_num_bits(exponent) < 2)
        goto out;
    if (OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, modulus) == 1 &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, exponent) == 1)
        params = OSSL_PARAM_BLD_to_param(build);
    *out = params ? make_key("RSA", params) : NULL;
    if (*out)
        status = SL_OK;
out:
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    BN_free(modulus);
    BN_free(exponent);
    return status;
}

/* Copies, since OpenSSL's parameters want memory that is not const. */
static enum sl_status make_point_key(
    const char *type, const char *group, struct sl_slice point, struct sl_arena *arena, EVP_PKEY **out)
{
    struct sl_slice name = sl_arena_copy(arena, sl_slice_of(group)), copy = sl_arena_copy(arena, point);
    if (!name.ptr || !copy.ptr)
        return SL_NO_MEMORY;
    OSSL_PARAM params[3];
    size_t used = 0;
    char *mutable_name = sl_arena_raw(arena, name.len + 1, 1);
    unsigned char *mutable_point = sl_arena_raw(arena, copy.len + 1, 1);
    if (!mutable_name || !mutable_point)
        return SL_NO_MEMORY;
    memcpy(mutable_name, name.ptr, name.len + 1);
    memcpy(mutable_point, copy.ptr, copy.len);
    if (name.len)
        params[used++] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, mutable_name, 0);
    params[used++] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, mutable_point, copy.len);
    params[used] = OSSL_PARAM_construct_end();
    *out = make_key(type, params);
    return *out && is_sound(*out) ? SL_OK : SL_INVALID;
}

/* RFC 7518, 6.2.1.2: the length of x and y must be the full size of a coordinate of the curve. */
static enum sl_status read_ec(
    const struct sl_doc *doc, uint32_t jwk, struct sl_slice crv, struct sl_arena *arena, EVP_PKEY **out)
{
    size_t size = sl_slice_eq(crv, SL_LIT("P-256")) ? 32 : sl_slice_eq(crv, SL_LIT("P-384")) ? 48 : 66;
    struct sl_slice x, y;
    SL_TRY(member_bytes(doc, jwk, "x", arena, &x));
    SL_TRY(member_bytes(doc, jwk, "y", arena, &y));
    if (x.len != size || y.len != size)
        return SL_INVALID;
    char point[1 + 2 * 66] = {POINT_CONVERSION_UNCOMPRESSED};
    memcpy(point + 1, x.ptr, size);
    memcpy(point + 1 + size, y.ptr, size);
    struct sl_slice name = sl_arena_copy(arena, crv);
    if (!name.ptr)
        return SL_NO_MEMORY;
    return make_point_key("EC", name.ptr, (struct sl_slice){point, 1 + 2 * size}, arena, out);
}

static enum sl_status read_okp(const struct sl_doc *doc, uint32_t jwk, struct sl_arena *arena, EVP_PKEY **out)
{
    struct sl_slice x;
    SL_TRY(member_bytes(doc, jwk, "x", arena, &x));
    return x.len == 32 ? make_point_key("ED25519", "", x, arena, out) : SL_INVALID;
}

/* The algorithms of a key's type and curve. */
static uint32_t algorithms_of(struct sl_slice kty, struct sl_slice crv)
{
    uint32_t set = 0;
    for (unsigned i = 1; i < SL_ALGORITHM_COUNT; i++)
        if (sl_slice_eq(algorithms_table[i].kty, kty) && sl_slice_eq(algorithms_table[i].crv, crv))
            set |= SL_ALGORITHM_BIT(i);
    return set;
}

/* RFC 7517, 4.2 to 4.4: what `use`, `key_ops` and `alg` leave of it. What we do not understand leaves nothing. */
static uint32_t narrow(const struct sl_doc *doc, uint32_t jwk, uint32_t set)
{
    uint32_t use = sl_span_member_key(doc, jwk, SL_LIT("use"));
    uint32_t ops = sl_span_member_key(doc, jwk, SL_LIT("key_ops"));
    uint32_t alg = sl_span_member_key(doc, jwk, SL_LIT("alg"));
    if (use && !sl_span_is(doc, use, SL_LIT("sig")))
        return 0;
    bool verifies = !ops;
    if (ops && doc->spans[ops].type == SL_SPAN_ARRAY)
        for (uint32_t op = ops + 1; op < doc->spans[ops].next; op = doc->spans[op].next)
            verifies = verifies || sl_span_is(doc, op, SL_LIT("verify"));
    if (!verifies)
        return 0;
    return alg ? set & SL_ALGORITHM_BIT(sl_algorithm_find(sl_span_raw(doc, alg))) & ~1u : set;
}

static enum sl_status read_key(struct sl_keys *keys, const struct sl_doc *doc, uint32_t jwk, struct sl_issues *issues)
{
    if (doc->spans[jwk].type != SL_SPAN_OBJECT)
        return SL_INVALID;
    struct sl_slice kty = member_string(doc, jwk, "kty", keys->arena),
                    crv = member_string(doc, jwk, "crv", keys->arena);
    uint32_t fits = narrow(doc, jwk, algorithms_of(kty, crv));
    if (!fits) {
        sl_issue_add(issues, SL_GRADE_NOTE, "key-unused",
            "A key of type %.*s was passed over: its type, curve, use or alg is "
            "not for signatures here.",
            SL_FMT(kty));
        return SL_OK;
    }
    if (keys->count == KEY_COUNT_LIMIT)
        return SL_LIMIT;
    struct key *key = &keys->keys[keys->count];
    *key = (struct key){.fits = fits, .kid = sl_arena_copy(keys->arena, member_string(doc, jwk, "kid", keys->arena))};
    enum sl_status status = sl_slice_eq(kty, SL_LIT("RSA"))  ? read_rsa(doc, jwk, keys->arena, &key->pkey)
                            : sl_slice_eq(kty, SL_LIT("EC")) ? read_ec(doc, jwk, crv, keys->arena, &key->pkey)
                                                             : read_okp(doc, jwk, keys->arena, &key->pkey);
    keys->count += key->pkey != NULL;
    return status;
}

static enum sl_status read_set(struct sl_keys *keys, struct sl_slice json, struct sl_issues *issues)
{
    struct sl_doc doc;
    struct sl_slice copy = sl_arena_copy(keys->arena, json);
    SL_TRY(sl_doc_parse(keys->arena, copy, &json_limits, &doc, NULL));
    if (doc.spans[0].type != SL_SPAN_OBJECT)
        return SL_INVALID;
    uint32_t set = sl_span_member_key(&doc, 0, SL_LIT("keys"));
    if (!set)
        return read_key(keys, &doc, 0, issues);
    if (doc.spans[set].type != SL_SPAN_ARRAY)
        return SL_INVALID;
    for (uint32_t jwk = set + 1; jwk < doc.spans[set].next; jwk = doc.spans[jwk].next)
        SL_TRY(read_key(keys, &doc, jwk, issues));
    return SL_OK;
}

enum sl_status sl_keys_read(struct sl_slice json, struct sl_issues *issues, struct sl_keys **out)
{
    *out = NULL;
    if (json.len > KEYS_LIMIT)
        return SL_INVALID;
    struct sl_keys *keys = calloc(1, sizeof *keys);
    if (keys)
        keys->arena = sl_arena_new(8 * KEYS_LIMIT);
    enum sl_status status = keys && keys->arena ? read_set(keys, json, issues) : SL_NO_MEMORY;
    if (status == SL_OK && !keys->count)
        status = SL_INVALID;
    if (status != SL_OK) {
        sl_issue_add(issues, SL_GRADE_ERROR, "keys-unusable",
            "The key set is malformed, holds a weak key, or none that can "
            "verify a signature.");
        sl_keys_free(keys);
        return status == SL_NO_MEMORY ? status : SL_INVALID;
    }
    *out = keys;
    return SL_OK;
}

void sl_keys_free(struct sl_keys *keys)
{
    if (!keys)
        return;
    for (size_t i = 0; i < keys->count; i++)
        EVP_PKEY_free(keys->keys[i].pkey);
    sl_arena_free(keys->arena);
    free(keys);
}

/* ---- Verifying ---- */

struct compact {
    struct sl_slice header, payload, signature; /* as received */
    struct sl_slice signed_part;                /* header '.' payload */
};

/* RFC 7515, 7.1: three parts, exactly two dots. */
static bool split(struct sl_slice token, struct compact *out)
{
    if (token.len == 0 || token.len > TOKEN_LIMIT)
        return false;
    const char *first = memchr(token.ptr, '.', token.len);
    if (!first)
        return false;
    struct sl_slice rest = sl_slice_from(token, (size_t)(first - token.ptr) + 1);
    const char *second = rest.len ? memchr(rest.ptr, '.', rest.len) : NULL;
    if (!second)
        return false;
    out->header = (struct sl_slice){token.ptr, (size_t)(first - token.ptr)};
    out->payload = (struct sl_slice){rest.ptr, (size_t)(second - rest.ptr)};
    out->signature = sl_slice_from(rest, out->payload.len + 1);
    out->signed_part = (struct sl_slice){token.ptr, (size_t)(second - token.ptr)};
    return out->header.len && out->signature.len && !memchr(out->signature.ptr, '.', out->signature.len);
}

/* RFC 7518, 3.4: R and S, each of the full size of the curve's order, become the DER that EVP reads. */
static bool ecdsa_to_der(struct sl_slice raw, size_t size, unsigned char **der, size_t *len)
{
    if (raw.len != 2 * size)
        return false;
    ECDSA_SIG *signature = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn((const unsigned char *)raw.ptr, (int)size, NULL);
    BIGNUM *s = BN_bin2bn((const unsigned char *)raw.ptr + size, (int)size, NULL);
    int got = -1;
    if (signature && r && s && ECDSA_SIG_set0(signature, r, s) == 1) {
        r = s = NULL; /* the signature's now */
        got = i2d_ECDSA_SIG(signature, der);
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(signature);
    *len = got > 0 ? (size_t)got : 0;
    return got > 0;
}

static size_t order_size(const struct algorithm *algorithm)
{
    return sl_slice_eq(algorithm->crv, SL_LIT("P-256")) ? 32 : sl_slice_eq(algorithm->crv, SL_LIT("P-384")) ? 48 : 66;
}

static bool set_padding(EVP_PKEY_CTX *context, enum scheme scheme)
{
    if (scheme == PKCS1)
        return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1;
    if (scheme != PSS)
        return true;
    /* RFC 7518, 3.5: the salt is as long as the hash, and MGF1 uses the same hash (OpenSSL's default). */
    return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1;
}

static bool verifies(EVP_PKEY *pkey, const struct algorithm *algorithm, struct sl_slice text, struct sl_slice signature)
{
    unsigned char *der = NULL;
    const unsigned char *bytes = (const unsigned char *)signature.ptr;
    size_t len = signature.len;
    if (algorithm->scheme == ECDSA) {
        if (!ecdsa_to_der(signature, order_size(algorithm), &der, &len))
            return false;
        bytes = der;
    }
    EVP_PKEY_CTX *padding = NULL;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context &&
                EVP_DigestVerifyInit_ex(
                    context, &padding, *algorithm->md ? algorithm->md : NULL, NULL, NULL, pkey, NULL) == 1 &&
                set_padding(padding, algorithm->scheme) &&
                EVP_DigestVerify(context, bytes, len, (const unsigned char *)text.ptr, text.len) == 1;
    EVP_MD_CTX_free(context);
    OPENSSL_free(der);
    return good;
}

/* The header says how it claims to be signed. RFC 7515, 4.1.11: `crit` names what must be understood, and we
 * understand none, so its presence alone refuses; `b64` (RFC 7797) only has meaning with it. */
static const char *read_header(
    struct sl_slice json, struct sl_arena *arena, enum sl_algorithm *algorithm, struct sl_slice *kid, bool *has_kid)
{
    struct sl_doc doc;
    if (sl_doc_parse(arena, json, &json_limits, &doc, NULL) != SL_OK || doc.spans[0].type != SL_SPAN_OBJECT)
        return "token-header-syntax";
    if (sl_span_member_key(&doc, 0, SL_LIT("crit")) || sl_span_member_key(&doc, 0, SL_LIT("b64")))
        return "token-crit";
    uint32_t alg = sl_span_member_key(&doc, 0, SL_LIT("alg")), id = sl_span_member_key(&doc, 0, SL_LIT("kid"));
    *algorithm = alg ? sl_algorithm_find(sl_span_string(&doc, alg, arena)) : SL_ALGORITHM_NONE;
    if (*algorithm == SL_ALGORITHM_NONE)
        return "token-algorithm";
    if (id && doc.spans[id].type != SL_SPAN_STRING)
        return "token-kid";
    *has_kid = id != 0;
    if (id)
        *kid = sl_span_string(&doc, id, arena);
    return NULL;
}

/* Any key that the kid names (or, without one, any at all) and that fits the algorithm. */
static const char *check_signature(const struct sl_keys *keys, const struct compact *parts, enum sl_algorithm algorithm,
    const struct sl_slice *kid, struct sl_slice signature)
{
    const char *why = "token-key-unknown";
    for (size_t i = 0; i < keys->count; i++) {
        const struct key *key = &keys->keys[i];
        if (!(key->fits & SL_ALGORITHM_BIT(algorithm)) || (kid && !sl_slice_eq(key->kid, *kid)))
            continue;
        if (verifies(key->pkey, &algorithms_table[algorithm], parts->signed_part, signature))
            return NULL;
        why = "token-signature";
    }
    return why;
}

static const char *verify(const struct sl_keys *keys, uint32_t algorithms, struct sl_slice token,
    struct sl_arena *arena, struct sl_slice *payload)
{
    struct compact parts;
    struct sl_slice header, signature, kid = {NULL, 0};
    enum sl_algorithm algorithm = SL_ALGORITHM_NONE;
    bool has_kid = false;
    if (!split(token, &parts))
        return "token-form";
    if (sl_base64url_decode(parts.header, arena, &header) != SL_OK ||
        sl_base64url_decode(parts.payload, arena, payload) != SL_OK ||
        sl_base64url_decode(parts.signature, arena, &signature) != SL_OK || signature.len > SIGNATURE_LIMIT)
        return "token-base64url";
    const char *why = read_header(header, arena, &algorithm, &kid, &has_kid);
    if (why)
        return why;
    if (!(algorithms & SL_ALGORITHM_BIT(algorithm)))
        return "token-algorithm";
    return check_signature(keys, &parts, algorithm, has_kid ? &kid : NULL, signature);
}

enum sl_status sl_jws_verify(const struct sl_keys *keys, uint32_t algorithms, struct sl_slice token,
    struct sl_arena *arena, struct sl_slice *payload, const char **why)
{
    struct sl_slice text = {NULL, 0};
    *payload = text;
    *why = verify(keys, algorithms, token, arena, &text);
    if (sl_arena_failed(arena))
        return SL_NO_MEMORY;
    if (*why)
        return SL_UNAUTHENTICATED;
    *payload = text;
    return SL_OK;
}

enum sl_status sl_jws_peek(struct sl_slice token, struct sl_arena *arena, struct sl_slice *payload)
{
    struct compact parts;
    *payload = (struct sl_slice){NULL, 0};
    if (!split(token, &parts))
        return SL_UNAUTHENTICATED;
    enum sl_status status = sl_base64url_decode(parts.payload, arena, payload);
    return status == SL_SYNTAX ? SL_UNAUTHENTICATED : status;
}

/* ---- Signing ---- */

struct sl_signer {
    EVP_PKEY *pkey;
    enum sl_algorithm algorithm;
};

static enum sl_status wrap(EVP_PKEY *pkey, enum sl_algorithm algorithm, struct sl_signer **out)
{
    *out = pkey ? calloc(1, sizeof **out) : NULL;
    if (!*out) {
        EVP_PKEY_free(pkey);
        return SL_CRYPTO;
    }
    **out = (struct sl_signer){pkey, algorithm};
    return SL_OK;
}

enum sl_status sl_signer_generate(enum sl_algorithm algorithm, struct sl_signer **out)
{
    SL_ASSERT(algorithm != SL_ALGORITHM_NONE && algorithm < SL_ALGORITHM_COUNT);
    const struct algorithm *row = &algorithms_table[algorithm];
    EVP_PKEY *pkey = row->scheme == EDDSA   ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
                     : row->scheme == ECDSA ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", row->crv.ptr)
                                            : EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)3072);
    return wrap(pkey, algorithm, out);
}

static uint32_t algorithms_of_key(EVP_PKEY *pkey)
{
    char group[32] = "";
    size_t len = 0;
    if (EVP_PKEY_is_a(pkey, "RSA"))
        return EVP_PKEY_get_bits(pkey) >= RSA_BITS_MIN ? algorithms_of(SL_LIT("RSA"), SL_LIT("")) : 0;
    if (EVP_PKEY_is_a(pkey, "ED25519"))
        return SL_ALGORITHM_BIT(SL_ALG_EdDSA);
    if (!EVP_PKEY_is_a(pkey, "EC") || EVP_PKEY_get_group_name(pkey, group, sizeof group, &len) != 1)
        return 0;
    static const char *const names[][2] = {{"prime256v1", "P-256"}, {"secp384r1", "P-384"}, {"secp521r1", "P-521"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(group, names[i][0]) == 0 || strcmp(group, names[i][1]) == 0)
            return algorithms_of(SL_LIT("EC"), sl_slice_of(names[i][1]));
    return 0;
}

enum sl_status sl_signer_load(const char *path, enum sl_algorithm algorithm, struct sl_signer **out)
{
    *out = NULL;
    FILE *file = fopen(path, "re");
    if (!file)
        return SL_IO;
    EVP_PKEY *pkey = PEM_read_PrivateKey(file, NULL, NULL, NULL);
    fclose(file);
    if (!pkey)
        return SL_INVALID;
    uint32_t fits = algorithms_of_key(pkey);
    if (algorithm == SL_ALGORITHM_NONE && fits)
        algorithm = (enum sl_algorithm)__builtin_ctz(fits); /* not said: the first that the key can do */
    if (!fits || !(fits & SL_ALGORITHM_BIT(algorithm))) {
        EVP_PKEY_free(pkey);
        return SL_INVALID;
    }
    return wrap(pkey, algorithm, out);
}

enum sl_status sl_signer_save(const struct sl_signer *signer, const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    if (!file) {
        if (fd >= 0)
            close(fd);
        return SL_IO;
    }
    bool written = PEM_write_PKCS8PrivateKey(file, signer->pkey, NULL, NULL, 0, NULL, NULL) == 1;
    written = fflush(file) == 0 && fsync(fd) == 0 && written;
    return fclose(file) == 0 && written ? SL_OK : SL_IO;
}

void sl_signer_free(struct sl_signer *signer)
{
    if (!signer)
        return;
    EVP_PKEY_free(signer->pkey); /* cleanses the private half */
    free(signer);
}

static bool add_number(const EVP_PKEY *pkey, const char *name, size_t size, struct sl_buffer *out)
{
    unsigned char bytes[RSA_BITS_MAX / 8];
    BIGNUM *number = NULL;
    if (EVP_PKEY_get_bn_param(pkey, name, &number) != 1)
        return false;
    int len = size                                        ? BN_bn2binpad(number, bytes, (int)size)
              : BN_num_bytes(number) <= (int)sizeof bytes ? BN_bn2bin(number, bytes)
                                                          : -1;
    BN_free(number);
    if (len > 0)
        sl_base64url_encode(out, (struct sl_slice){(const char *)bytes, (size_t)len});
    return len > 0;
}

/* The required members in lexical order without white space: what RFC 7638 hashes, and most of the JWK. */
static bool add_required_members(const struct sl_signer *signer, struct sl_buffer *out)
{
    const struct algorithm *row = &algorithms_table[signer->algorithm];
    if (row->scheme == EDDSA) {
        unsigned char x[32];
        size_t len = sizeof x;
        sl_buffer_printf(out, "\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\"");
        if (EVP_PKEY_get_raw_public_key(signer->pkey, x, &len) != 1)
            return false;
        sl_base64url_encode(out, (struct sl_slice){(const char *)x, len});
    } else if (row->scheme == ECDSA) {
        size_t size = order_size(row);
        sl_buffer_printf(out, "\"crv\":\"%s\",\"kty\":\"EC\",\"x\":\"", row->crv.ptr);
        if (!add_number(signer->pkey, OSSL_PKEY_PARAM_EC_PUB_X, size, out))
            return false;
        sl_buffer_add(out, SL_LIT("\",\"y\":\""));
        if (!add_number(signer->pkey, OSSL_PKEY_PARAM_EC_PUB_Y, size, out))
            return false;
    } else {
        sl_buffer_add(out, SL_LIT("\"e\":\""));
        if (!add_number(signer->pkey, OSSL_PKEY_PARAM_RSA_E, 0, out))
            return false;
        sl_buffer_add(out, SL_LIT("\",\"kty\":\"RSA\",\"n\":\""));
        if (!add_number(signer->pkey, OSSL_PKEY_PARAM_RSA_N, 0, out))
            return false;
    }
    sl_buffer_add(out, SL_LIT("\""));
    return !sl_buffer_failed(out);
}

/* RFC 7638: the base64url of the SHA-256 of the required members. */
static bool thumbprint(const struct sl_signer *signer, struct sl_buffer *out)
{
    struct sl_buffer members;
    unsigned char digest[32];
    size_t len = 0;
    sl_buffer_init(&members, 4096);
    sl_buffer_add(&members, SL_LIT("{"));
    bool good = add_required_members(signer, &members);
    sl_buffer_add(&members, SL_LIT("}"));
    good = good && EVP_Q_digest(NULL, "SHA256", NULL, members.ptr, members.len, digest, &len) == 1;
    sl_buffer_fini(&members);
    if (good)
        sl_base64url_encode(out, (struct sl_slice){(const char *)digest, len});
    return good;
}

enum sl_status sl_signer_jwks(const struct sl_signer *signer, struct sl_buffer *out)
{
    sl_buffer_add(out, SL_LIT("{\"keys\":[{"));
    if (!add_required_members(signer, out))
        return SL_CRYPTO;
    sl_buffer_printf(out, ",\"alg\":\"%s\",\"use\":\"sig\",\"kid\":\"", algorithms_table[signer->algorithm].name.ptr);
    if (!thumbprint(signer, out))
        return SL_CRYPTO;
    sl_buffer_add(out, SL_LIT("\"}]}\n"));
    return sl_buffer_failed(out) ? SL_LIMIT : SL_OK;
}

static bool der_to_raw(const unsigned char *der, size_t len, size_t size, unsigned char *raw)
{
    ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &der, (long)len);
    bool good = signature && BN_bn2binpad(ECDSA_SIG_get0_r(signature), raw, (int)size) == (int)size &&
                BN_bn2binpad(ECDSA_SIG_get0_s(signature), raw + size, (int)size) == (int)size;
    ECDSA_SIG_free(signature);
    return good;
}

static bool make_signature(const struct sl_signer *signer, struct sl_slice text, unsigned char *out, size_t *len)
{
    const struct algorithm *row = &algorithms_table[signer->algorithm];
    unsigned char bytes[SIGNATURE_LIMIT];
    size_t size = sizeof bytes;
    EVP_PKEY_CTX *padding = NULL;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good =
        context &&
        EVP_DigestSignInit_ex(context, &padding, *row->md ? row->md : NULL, NULL, NULL, signer->pkey, NULL) == 1 &&
        set_padding(padding, row->scheme) &&
        EVP_DigestSign(context, bytes, &size, (const unsigned char *)text.ptr, text.len) == 1;
    EVP_MD_CTX_free(context);
    if (!good)
        return false;
    if (row->scheme == ECDSA) {
        *len = 2 * order_size(row);
        return der_to_raw(bytes, size, order_size(row), out);
    }
    memcpy(out, bytes, size);
    *len = size;
    return true;
}

enum sl_status sl_jws_sign(const struct sl_signer *signer, struct sl_slice payload, struct sl_buffer *out)
{
    struct sl_buffer header;
    size_t start = out->len, len = 0;
    unsigned char signature[SIGNATURE_LIMIT];
    sl_buffer_init(&header, 1024);
    sl_buffer_printf(
        &header, "{\"alg\":\"%s\",\"typ\":\"JWT\",\"kid\":\"", algorithms_table[signer->algorithm].name.ptr);
    bool good = thumbprint(signer, &header);
    sl_buffer_add(&header, SL_LIT("\"}"));
    good = good && !sl_buffer_failed(&header);
    if (good)
        sl_base64url_encode(out, sl_buffer_slice(&header));
    sl_buffer_fini(&header);
    sl_buffer_add(out, SL_LIT("."));
    sl_base64url_encode(out, payload);
    if (!good || sl_buffer_failed(out))
        return good ? SL_LIMIT : SL_CRYPTO;
    if (!make_signature(signer, sl_slice_from(sl_buffer_slice(out), start), signature, &len))
        return SL_CRYPTO;
    sl_buffer_add(out, SL_LIT("."));
    sl_base64url_encode(out, (struct sl_slice){(const char *)signature, len});
    return sl_buffer_failed(out) ? SL_LIMIT : SL_OK;
}
