/* SPDX-License-Identifier: Apache-2.0 */
/* Signed tokens: what a trusted key made is taken, and nothing else; own vectors, Wycheproof's and RFC 7520's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "jose.h"
#include "sluice/span.h"

#define ALL_ALGORITHMS 0xfffffffeu

static struct sl_arena *arena;

static int set_up(void **state)
{
    (void)state;
    arena = sl_arena_new((size_t)256 * 1024 * 1024);
    return arena ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    sl_arena_free(arena);
    return 0;
}

/* ---- base64url ---- */

static void base64url_is_strict(void **state)
{
    (void)state;
    static const struct {
        const char *text, *bytes; /* bytes NULL: refused */
    } cases[] = {
        {"", ""},
        {"Zg", "f"},
        {"Zm8", "fo"},
        {"Zm9v", "foo"},
        {"Zm9vYg", "foob"},
        {"Zh", NULL},   /* stray bits */
        {"Zm9", NULL},  /* stray bits */
        {"Z", NULL},    /* no such length */
        {"Zg==", NULL}, /* padding */
        {"Zm 9v", NULL},
        {"Zm9v\n", NULL},
        {"Zm+v", NULL},
        {"Zm/v", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sl_slice out;
        enum sl_status status = sl_base64url_decode(sl_slice_of(cases[i].text), arena, &out);
        if (!cases[i].bytes) {
            assert_int_equal(status, SL_SYNTAX);
            continue;
        }
        assert_int_equal(status, SL_OK);
        assert_true(sl_slice_eq(out, sl_slice_of(cases[i].bytes)));
        struct sl_buffer text;
        sl_buffer_init(&text, 64);
        sl_base64url_encode(&text, out);
        assert_true(sl_slice_eq(sl_buffer_slice(&text), sl_slice_of(cases[i].text)));
        sl_buffer_fini(&text);
    }
}

/* ---- Our own keys ---- */

struct fixture {
    struct sl_signer *signer;
    struct sl_keys *keys;
    struct sl_buffer jwks, token;
};

static void make(struct fixture *f, enum sl_algorithm algorithm, const char *payload)
{
    sl_buffer_init(&f->jwks, 65536);
    sl_buffer_init(&f->token, 65536);
    assert_int_equal(sl_signer_generate(algorithm, &f->signer), SL_OK);
    assert_int_equal(sl_signer_jwks(f->signer, &f->jwks), SL_OK);
    assert_int_equal(sl_keys_read(sl_buffer_slice(&f->jwks), NULL, &f->keys), SL_OK);
    assert_int_equal(sl_jws_sign(f->signer, sl_slice_of(payload), &f->token), SL_OK);
}

static void unmake(struct fixture *f)
{
    sl_signer_free(f->signer);
    sl_keys_free(f->keys);
    sl_buffer_fini(&f->jwks);
    sl_buffer_fini(&f->token);
}

static enum sl_status verify(
    const struct sl_keys *keys, uint32_t algorithms, struct sl_slice token, struct sl_slice *payload)
{
    const char *why = NULL;
    enum sl_status status = sl_jws_verify(keys, algorithms, token, arena, payload, &why);
    assert_true((status == SL_OK) == (why == NULL));
    assert_true(status == SL_OK || payload->ptr == NULL);
    return status;
}

static void every_algorithm_signs_and_verifies(void **state)
{
    (void)state;
    for (unsigned i = 1; i < SL_ALGORITHM_COUNT; i++) {
        struct fixture f;
        struct sl_slice payload;
        make(&f, (enum sl_algorithm)i, "{\"iss\":\"me\"}");
        assert_int_equal(verify(f.keys, ALL_ALGORITHMS, sl_buffer_slice(&f.token), &payload), SL_OK);
        assert_true(sl_slice_eq(payload, SL_LIT("{\"iss\":\"me\"}")));
        /* An algorithm the issuer may not use is refused, however good the signature. */
        assert_int_equal(verify(f.keys, ALL_ALGORITHMS & ~SL_ALGORITHM_BIT(i), sl_buffer_slice(&f.token), &payload),
            SL_UNAUTHENTICATED);
        unmake(&f);
    }
}

static void any_changed_byte_is_refused(void **state)
{
    (void)state;
    static const enum sl_algorithm algorithms[] = {SL_ALG_ES256, SL_ALG_EdDSA};
    for (size_t a = 0; a < 2; a++) {
        struct fixture f;
        struct sl_slice payload;
        make(&f, algorithms[a], "{\"sub\":\"x\"}");
        for (size_t i = 0; i < f.token.len; i++) {
            char kept = f.token.ptr[i];
            f.token.ptr[i] = kept == 'A' ? 'B' : 'A';
            assert_int_equal(verify(f.keys, ALL_ALGORITHMS, sl_buffer_slice(&f.token), &payload), SL_UNAUTHENTICATED);
            f.token.ptr[i] = kept;
        }
        for (size_t len = 0; len < f.token.len; len++)
            assert_int_equal(
                verify(f.keys, ALL_ALGORITHMS, (struct sl_slice){f.token.ptr, len}, &payload), SL_UNAUTHENTICATED);
        unmake(&f);
    }
}

static void another_key_is_refused(void **state)
{
    (void)state;
    struct fixture one, other;
    struct sl_slice payload;
    make(&one, SL_ALG_ES256, "{}");
    make(&other, SL_ALG_ES256, "{}");
    assert_int_equal(verify(one.keys, ALL_ALGORITHMS, sl_buffer_slice(&other.token), &payload), SL_UNAUTHENTICATED);
    unmake(&one);
    unmake(&other);
}

/* A token with this header over the fixture's key would verify if the header did not refuse it. */
static void headers_are_strict(void **state)
{
    (void)state;
    static const char *const headers[] = {
        "{\"alg\":\"none\"}",
        "{\"alg\":\"HS256\"}",
        "{\"alg\":\"es256\"}",
        "{\"alg\":\"ES384\"}",
        "{}",
        "[]",
        "null",
        "",
        "{\"alg\":\"ES256\",\"alg\":\"ES256\"}",
        "{\"alg\":\"ES256\",\"crit\":[\"exp\"]}",
        "{\"alg\":\"ES256\",\"crit\":[]}",
        "{\"alg\":\"ES256\",\"b64\":false}",
        "{\"alg\":\"ES256\",\"kid\":7}",
        "{\"alg\":\"ES256\",\"kid\":\"nobody\"}",
        "{\"\\u0061lg\":\"ES256\"}",
        "{\"alg\":[\"ES256\"]}",
        "{\"alg\":\"ES256\"} x",
    };
    struct fixture f;
    struct sl_slice payload;
    make(&f, SL_ALG_ES256, "{}");
    const char *dot = memchr(f.token.ptr, '.', f.token.len);
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        struct sl_buffer token;
        sl_buffer_init(&token, 4096);
        sl_base64url_encode(&token, sl_slice_of(headers[i]));
        sl_buffer_add(&token, sl_slice_from(sl_buffer_slice(&f.token), (size_t)(dot - f.token.ptr)));
        assert_int_equal(verify(f.keys, ALL_ALGORITHMS, sl_buffer_slice(&token), &payload), SL_UNAUTHENTICATED);
        sl_buffer_fini(&token);
    }
    unmake(&f);
}

static void forms_are_strict(void **state)
{
    (void)state;
    struct fixture f;
    struct sl_slice payload;
    make(&f, SL_ALG_EdDSA, "{}");
    static const char *const around[][2] = {
        {"", "."}, {".", ""}, {" ", ""}, {"", " "}, {"", "="}, {"", ".x"}, {"x.", ""}};
    for (size_t i = 0; i < sizeof around / sizeof *around; i++) {
        struct sl_slice token =
            sl_arena_printf(arena, "%s%.*s%s", around[i][0], SL_FMT(sl_buffer_slice(&f.token)), around[i][1]);
        assert_int_equal(verify(f.keys, ALL_ALGORITHMS, token, &payload), SL_UNAUTHENTICATED);
    }
    unmake(&f);
}

static void keys_that_cannot_be_trusted_are_refused(void **state)
{
    (void)state;
    static const char *const sets[] = {
        "",
        "{}",
        "[]",
        "{\"keys\":{}}",
        "{\"keys\":[]}",
        "{\"keys\":[7]}",
        "{\"kty\":\"oct\",\"k\":\"AAAA\",\"alg\":\"HS256\"}",
        /* a point that is not on the curve */
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\","
        "\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\"}",
        /* coordinates of another length */
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAE\",\"y\":\"AAE\"}",
        /* RSA of a few bits */
        "{\"kty\":\"RSA\",\"n\":\"_____w\",\"e\":\"AQAB\"}",
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAA\"}",
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\",\"use\":\"enc\"}",
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\",\"key_ops\":["
        "\"encrypt\"]}",
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\",\"alg\":\"ES256\"}",
        "{\"kty\":\"OKP\",\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
    };
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        struct sl_keys *keys = NULL;
        struct sl_issues issues = {.arena = arena};
        assert_int_equal(sl_keys_read(sl_slice_of(sets[i]), &issues, &keys), SL_INVALID);
        assert_null(keys);
        assert_true(issues.errors > 0);
    }
}

static void a_saved_key_signs_again(void **state)
{
    (void)state;
    char folder[] = "/tmp/sluice-jose-XXXXXX";
    assert_non_null(mkdtemp(folder));
    struct fixture f;
    make(&f, SL_ALG_ES384, "{}");
    struct sl_slice path = sl_arena_printf(arena, "%s/key.pem", folder), payload;
    assert_int_equal(sl_signer_save(f.signer, path.ptr), SL_OK);
    assert_int_equal(sl_signer_save(f.signer, path.ptr), SL_IO); /* never over another key */
    sl_signer_free(f.signer);
    assert_int_equal(sl_signer_load(path.ptr, SL_ALG_ES256, &f.signer), SL_INVALID);
    assert_int_equal(sl_signer_load(path.ptr, SL_ALGORITHM_NONE, &f.signer), SL_OK);
    sl_buffer_clear(&f.token);
    assert_int_equal(sl_jws_sign(f.signer, SL_LIT("{\"a\":1}"), &f.token), SL_OK);
    assert_int_equal(verify(f.keys, SL_ALGORITHM_BIT(SL_ALG_ES384), sl_buffer_slice(&f.token), &payload), SL_OK);
    unlink(path.ptr);
    rmdir(folder);
    unmake(&f);
}

/* ---- Vectors from outside ---- */

static struct sl_slice read_all(FILE *file)
{
    size_t capacity = (size_t)16 * 1024 * 1024, len = 0, got;
    char *text = sl_arena_raw(arena, capacity, 1);
    while (text && (got = fread(text + len, 1, capacity - len, file)) > 0)
        len += got;
    return (struct sl_slice){text, len};
}

static uint32_t get(const struct sl_doc *doc, uint32_t object, const char *key)
{
    return object != UINT32_MAX && doc->spans[object].type == SL_SPAN_OBJECT
               ? sl_span_member_key(doc, object, sl_slice_of(key))
               : 0;
}

struct tally {
    size_t taken, refused, unsupported;
};

/* Does the header ask for another algorithm than the key is for? RFC 7517, 4.4 lets a key say what it is for, and then
 * it is for nothing else; Wycheproof takes two of RFC 7520's figures under a key that says otherwise. */
static bool is_other_algorithm(struct sl_slice jws, struct sl_slice key_alg)
{
    const char *dot = memchr(jws.ptr, '.', jws.len);
    struct sl_slice header;
    struct sl_doc doc;
    if (!dot || sl_base64url_decode((struct sl_slice){jws.ptr, (size_t)(dot - jws.ptr)}, arena, &header) != SL_OK ||
        sl_doc_parse(arena, header, NULL, &doc, NULL) != SL_OK)
        return false;
    return !sl_span_is(&doc, get(&doc, 0, "alg"), key_alg);
}

/* Valid by Wycheproof and refused by us, each for a reason that is ours. Anything else that differs fails. */
static bool is_unsupported(const struct sl_doc *doc, uint32_t key, struct sl_slice jws)
{
    uint32_t alg = get(doc, key, "alg"), kty = get(doc, key, "kty");
    return sl_span_is(doc, kty, SL_LIT("oct")) || /* HMAC */
           (alg && is_other_algorithm(jws, sl_span_raw(doc, alg)));
}

static void run_group(const struct sl_doc *doc, uint32_t group, struct tally *tally)
{
    uint32_t key = get(doc, group, "public"), tests = get(doc, group, "tests");
    if (!key)
        key = get(doc, group, "private");
    struct sl_keys *keys = NULL;
    bool usable = sl_keys_read(sl_span_text(doc, key), NULL, &keys) == SL_OK;
    for (uint32_t test = tests + 1; test < doc->spans[tests].next; test = doc->spans[test].next) {
        struct sl_slice jws = sl_span_string(doc, get(doc, test, "jws"), arena), payload;
        bool valid = sl_span_is(doc, get(doc, test, "result"), SL_LIT("valid"));
        bool taken = usable && verify(keys, ALL_ALGORITHMS, jws, &payload) == SL_OK;
        struct sl_slice id = sl_span_text(doc, get(doc, test, "tcId"));
        if (valid && !taken && is_unsupported(doc, key, jws)) {
            tally->unsupported++;
            continue;
        }
        if (valid != taken)
            print_error("wycheproof tcId %.*s: %s, and was %s\n", SL_FMT(id), valid ? "valid" : "invalid",
                taken ? "taken" : "refused");
        assert_true(valid == taken);
        *(taken ? &tally->taken : &tally->refused) += 1;
    }
    sl_keys_free(keys);
}

static void wycheproof(void **state)
{
    (void)state;
    FILE *file = popen("gzip -dc " SLUICE_SHARED "/data/wycheproof/json_web_signature_test.json.gz 2>/dev/null", "r");
    struct sl_slice text = file ? read_all(file) : (struct sl_slice){NULL, 0};
    if (file)
        pclose(file);
    if (!text.len) {
        print_message("skipped: no Wycheproof vectors here\n");
        skip();
    }
    struct sl_doc doc;
    struct tally tally = {0};
    assert_int_equal(sl_doc_parse(arena, text, NULL, &doc, NULL), SL_OK);
    uint32_t groups = get(&doc, 0, "testGroups");
    for (uint32_t group = groups + 1; group < doc.spans[groups].next; group = doc.spans[group].next)
        run_group(&doc, group, &tally);
    print_message(
        "wycheproof JWS: %zu taken, %zu refused, %zu valid but not served here (HMAC, a key for another algorithm)\n",
        tally.taken, tally.refused, tally.unsupported);
    assert_true(tally.taken >= 20 && tally.refused >= 300);
}

static void cookbook_case(const char *path, bool valid)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        print_message("skipped: no %s here\n", path);
        return;
    }
    struct sl_slice text = read_all(file), payload = {NULL, 0};
    fclose(file);
    struct sl_doc doc;
    struct sl_keys *keys = NULL;
    assert_int_equal(sl_doc_parse(arena, text, NULL, &doc, NULL), SL_OK);
    uint32_t input = get(&doc, 0, "input"), output = get(&doc, 0, "output");
    bool usable = sl_keys_read(sl_span_text(&doc, get(&doc, input, "key")), NULL, &keys) == SL_OK;
    struct sl_slice jws = sl_span_string(&doc, get(&doc, output, "compact"), arena);
    bool taken = usable && verify(keys, ALL_ALGORITHMS, jws, &payload) == SL_OK;
    assert_true(taken == valid);
    if (valid)
        assert_true(sl_slice_eq(payload, sl_span_string(&doc, get(&doc, input, "payload"), arena)));
    sl_keys_free(keys);
}

static void rfc_7520(void **state)
{
    (void)state;
    cookbook_case(SLUICE_SHARED "/data/jose-cookbook/jws/4_1.rsa_v15_signature.json", true);
    cookbook_case(SLUICE_SHARED "/data/jose-cookbook/jws/4_2.rsa-pss_signature.json", true);
    cookbook_case(SLUICE_SHARED "/data/jose-cookbook/jws/4_3.ecdsa_signature.json", true);
    cookbook_case(SLUICE_SHARED "/data/jose-cookbook/jws/4_4.hmac-sha2_integrity_protection.json", false);
    cookbook_case(SLUICE_SHARED "/data/jose-cookbook/curve25519/jws.json", true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(base64url_is_strict, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_algorithm_signs_and_verifies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(any_changed_byte_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_key_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(headers_are_strict, set_up, tear_down),
        cmocka_unit_test_setup_teardown(forms_are_strict, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_that_cannot_be_trusted_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_saved_key_signs_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(wycheproof, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rfc_7520, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
