/* SPDX-License-Identifier: Apache-2.0 */
/* Sealing and the shelf: what a client carries for us comes back whole or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "seal.h"
#include "shelf.h"

static void what_is_sealed_opens_for_its_context_only(void **state)
{
    (void)state;
    struct sl_sealer *sealer = NULL, *other = NULL;
    unsigned char sealed[11 + SL_SEAL_MORE], again[11 + SL_SEAL_MORE], plain[11];
    const struct sl_slice text = SL_LIT("hello there"), context = SL_LIT("a context");
    const struct sl_slice bytes = {(const char *)sealed, sizeof sealed};
    assert_int_equal(sl_sealer_new(NULL, &sealer), SL_OK);
    assert_int_equal(sl_sealer_new("", &other), SL_OK);
    assert_int_equal(sl_seal(sealer, context, text, sealed), SL_OK);
    assert_int_equal(sl_seal(sealer, context, text, again), SL_OK);
    assert_memory_not_equal(sealed, again, sizeof sealed); /* a fresh nonce each time */
    assert_int_equal(sl_unseal(sealer, context, bytes, plain), SL_OK);
    assert_memory_equal(plain, text.ptr, text.len);
    assert_int_equal(sl_unseal(sealer, SL_LIT("another"), bytes, plain), SL_INVALID);
    assert_int_equal(sl_unseal(other, context, bytes, plain), SL_INVALID);
    assert_int_equal(sl_unseal(sealer, context, (struct sl_slice){bytes.ptr, SL_SEAL_MORE - 1}, plain), SL_INVALID);
    for (size_t i = 0; i < sizeof sealed; i++) {
        sealed[i] ^= 1;
        assert_int_equal(sl_unseal(sealer, context, bytes, plain), SL_INVALID);
        sealed[i] ^= 1;
    }
    sl_sealer_free(sealer);
    sl_sealer_free(other);
}

static void a_key_file_is_one_key_or_two(void **state)
{
    (void)state;
    static const struct {
        size_t size;
        enum sl_status status;
    } cases[] = {{0, SL_IO}, {31, SL_IO}, {32, SL_OK}, {33, SL_IO}, {64, SL_OK}, {65, SL_IO}};
    char path[] = "/tmp/sluice-seal-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static const char zeros[65];
        struct sl_sealer *one = NULL, *two = NULL;
        unsigned char mark[32], same[32];
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(pwrite(fd, zeros, cases[i].size, 0), (ssize_t)cases[i].size);
        assert_int_equal(sl_sealer_new(path, &one), cases[i].status);
        if (cases[i].status != SL_OK)
            continue;
        /* Two gateways with one key open each other's links and mark alike. */
        assert_int_equal(sl_sealer_new(path, &two), SL_OK);
        assert_int_equal(sl_seal_mark(one, SL_LIT("x"), mark), SL_OK);
        assert_int_equal(sl_seal_mark(two, SL_LIT("x"), same), SL_OK);
        assert_memory_equal(mark, same, sizeof mark);
        assert_int_equal(sl_seal_mark(two, SL_LIT("y"), same), SL_OK);
        assert_memory_not_equal(mark, same, sizeof mark);
        sl_sealer_free(one);
        sl_sealer_free(two);
    }
    close(fd);
    unlink(path);
    struct sl_sealer *none = NULL;
    assert_int_equal(sl_sealer_new("/nowhere/key", &none), SL_IO);
    assert_null(none);
}

static struct sl_sealer *of_keys(const char *keys)
{
    char path[] = "/tmp/sluice-seal-XXXXXX";
    int fd = mkstemp(path);
    struct sl_sealer *sealer = NULL;
    assert_true(fd >= 0);
    for (size_t i = 0; keys[i]; i++) {
        char key[SL_SEAL_KEY];
        memset(key, keys[i], sizeof key);
        assert_int_equal(write(fd, key, sizeof key), (ssize_t)sizeof key);
    }
    assert_int_equal(sl_sealer_new(path, &sealer), SL_OK);
    close(fd);
    unlink(path);
    return sealer;
}

/* What is sealed under the first key of one file: does a gateway with another file open it? */
static void the_key_before_still_opens(void **state)
{
    (void)state;
    static const struct {
        const char *sealed, *opened;
        enum sl_status status;
    } cases[] = {{"a", "a", SL_OK}, {"a", "ba", SL_OK}, {"ba", "b", SL_OK}, {"ba", "a", SL_INVALID},
        {"a", "cb", SL_INVALID}, {"ba", "cb", SL_OK}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sl_sealer *one = of_keys(cases[i].sealed), *two = of_keys(cases[i].opened);
        unsigned char sealed[1 + SL_SEAL_MORE], plain[1];
        assert_int_equal(sl_seal(one, SL_LIT("c"), SL_LIT("x"), sealed), SL_OK);
        struct sl_slice bytes = {(const char *)sealed, sizeof sealed};
        assert_int_equal(sl_unseal(two, SL_LIT("c"), bytes, plain), cases[i].status);
        sl_sealer_free(one);
        sl_sealer_free(two);
    }
}

static void the_shelf_forgets_the_old_and_the_oldest(void **state)
{
    (void)state;
    struct sl_arena *arena = sl_arena_new((size_t)1024 * 1024);
    struct sl_shelf *shelf = sl_shelf_new(2);
    unsigned char first[SL_SHELF_HANDLE], second[SL_SHELF_HANDLE], third[SL_SHELF_HANDLE];
    struct sl_slice text;
    assert_non_null(shelf);
    assert_int_equal(sl_shelf_put(shelf, SL_LIT("one"), 100, first), SL_OK);
    assert_int_equal(sl_shelf_put(shelf, SL_LIT("two"), 200, second), SL_OK);
    assert_int_equal(sl_shelf_get(shelf, first, 99, arena, &text), SL_OK);
    assert_true(sl_slice_eq(text, SL_LIT("one")));
    assert_int_equal(sl_shelf_get(shelf, first, 100, arena, &text), SL_MISSING);
    assert_null(text.ptr);
    assert_int_equal(sl_shelf_put(shelf, SL_LIT("three"), 200, third), SL_OK);
    assert_int_equal(sl_shelf_get(shelf, first, 0, arena, &text), SL_MISSING);
    assert_int_equal(sl_shelf_get(shelf, second, 0, arena, &text), SL_OK);
    assert_int_equal(sl_shelf_get(shelf, third, 0, arena, &text), SL_OK);
    assert_true(sl_slice_eq(text, SL_LIT("three")));
    assert_int_equal(sl_shelf_put(shelf, (struct sl_slice){"", 0}, 200, third), SL_LIMIT);
    static const char long_text[SL_SHELF_TEXT + 1];
    assert_int_equal(sl_shelf_put(shelf, (struct sl_slice){long_text, sizeof long_text}, 200, third), SL_LIMIT);
    sl_shelf_free(shelf);
    sl_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sealed_opens_for_its_context_only),
        cmocka_unit_test(a_key_file_is_one_key_or_two),
        cmocka_unit_test(the_key_before_still_opens),
        cmocka_unit_test(the_shelf_forgets_the_old_and_the_oldest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
