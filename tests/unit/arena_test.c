/* SPDX-License-Identifier: Apache-2.0 */
/* Does an arena give what it promises: zeroed, apart, up to its ceiling, and again after a reset? */
#include <inttypes.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "sluice/arena.h"
#include "sluice/buffer.h"

static void gives_zeroed_and_aligned_memory(void **state)
{
    static const size_t sizes[] = {1, 15, 16, 17, 4000, 20000, 300000, 3000000};
    struct sl_arena *arena = sl_arena_new((size_t)64 << 20);
    (void)state;
    for (int round = 0; round < 4; round++) {
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            unsigned char *memory = sl_arena_array(arena, sizes[i], 1);
            assert_non_null(memory);
            assert_int_equal((uintptr_t)memory % 16, 0);
            for (size_t at = 0; at < sizes[i]; at++)
                assert_int_equal(memory[at], 0);
            memset(memory, 0xa5, sizes[i]);
        }
        sl_arena_reset(arena);
        assert_int_equal(sl_arena_used(arena), 0);
    }
    sl_arena_free(arena);
}

/* What was given out since the last reset does not overlap, large after small after large. */
static void gives_each_its_own(void **state)
{
    static const size_t sizes[] = {5000000, 10, 100000, 10, 2000000, 40000, 10, 1000000, 900000, 16};
    enum { COUNT = sizeof sizes / sizeof *sizes };
    unsigned char *given[COUNT];
    struct sl_arena *arena = sl_arena_new((size_t)64 << 20);
    (void)state;
    for (unsigned round = 0; round < 5; round++) {
        for (size_t i = 0; i < COUNT; i++) {
            size_t size = sizes[(i * 3 + round) % COUNT];
            given[i] = sl_arena_raw(arena, size, 1);
            assert_non_null(given[i]);
            memset(given[i], (int)i + 1, size);
        }
        for (size_t i = 0; i < COUNT; i++) {
            size_t size = sizes[(i * 3 + round) % COUNT];
            for (size_t at = 0; at < size; at++)
                assert_int_equal(given[i][at], i + 1);
        }
        sl_arena_reset(arena);
    }
    sl_arena_free(arena);
}

static void fails_for_good_beyond_its_ceiling(void **state)
{
    struct sl_arena *arena = sl_arena_new(100000);
    (void)state;
    assert_non_null(sl_arena_raw(arena, 60000, 1));
    assert_null(sl_arena_raw(arena, 60000, 1));
    assert_true(sl_arena_failed(arena));
    assert_null(sl_arena_raw(arena, 1, 1));
    sl_arena_reset(arena);
    assert_false(sl_arena_failed(arena));
    assert_non_null(sl_arena_raw(arena, 60000, 1));
    assert_null(sl_arena_array(arena, SIZE_MAX / 2, 3));
    assert_true(sl_arena_failed(arena));
    sl_arena_free(arena);
}

/* What one arena of a pool wrote and gave back, the next may be given: zeroed where it asks for zeroes. */
static void shares_blocks_through_a_pool(void **state)
{
    static const size_t sizes[] = {1, 16 * 1024, 40000, 300000, 1024 * 1024, 3 * 1024 * 1024};
    const size_t count = sizeof sizes / sizeof *sizes;
    struct sl_arena_pool *pool = sl_arena_pool_new(512 * 1024);
    struct sl_arena *first, *second;
    (void)state;
    for (unsigned round = 0; round < 4; round++) {
        first = sl_arena_new_in(pool, 64 * 1024 * 1024);
        second = sl_arena_new_in(pool, 64 * 1024 * 1024);
        for (size_t i = 0; i < count; i++) {
            unsigned char *mine = sl_arena_array(first, sizes[i], 1), *other = sl_arena_array(second, sizes[i], 1);
            assert_non_null(mine);
            assert_non_null(other);
            for (size_t at = 0; at < sizes[i]; at++)
                assert_true(mine[at] == 0 && other[at] == 0);
            memset(mine, 0xaa, sizes[i]);
            memset(other, 0x55, sizes[i]);
            assert_int_equal(mine[sizes[i] - 1], 0xaa);
        }
        sl_arena_free(round & 1 ? first : second);
        sl_arena_free(round & 1 ? second : first);
    }
    first = sl_arena_new_in(pool, 100000);
    assert_non_null(sl_arena_raw(first, 60000, 1));
    assert_null(sl_arena_raw(first, 60000, 1)); /* the ceiling is the arena's, whatever its block holds */
    sl_arena_free(first);
    sl_arena_pool_free(pool);
    sl_arena_pool_free(NULL);
}

static void copies_and_prints(void **state)
{
    struct sl_arena *arena = sl_arena_new(100000);
    (void)state;
    struct sl_slice copy = sl_arena_copy(arena, SL_LIT("text"));
    assert_string_equal(copy.ptr, "text");
    assert_int_equal(copy.len, 4);
    struct sl_slice joined =
        sl_arena_join(arena, (const struct sl_slice[]){SL_LIT("Patient"), SL_LIT("/"), {NULL, 0}, copy}, 4);
    assert_string_equal(joined.ptr, "Patient/text");
    assert_int_equal(joined.len, 12);
    struct sl_slice printed = sl_arena_printf(arena, "%s-%d", "a", 7);
    assert_string_equal(printed.ptr, "a-7");
    assert_int_equal(printed.len, 3);
    assert_null(sl_arena_raw(arena, 100000, 1));
    assert_null(sl_arena_join(arena, &copy, 1).ptr);
    sl_arena_free(arena);
}

/* Whatever the C library would have written, in an arena and in a buffer, and however often either has to grow. */
#define PRINTS(...)                                                                                                    \
    do {                                                                                                               \
        char wanted[256];                                                                                              \
        snprintf(wanted, sizeof wanted, __VA_ARGS__);                                                                  \
        struct sl_slice printed = sl_arena_printf(arena, __VA_ARGS__);                                                 \
        assert_string_equal(printed.ptr, wanted);                                                                      \
        assert_int_equal(printed.len, strlen(wanted));                                                                 \
        size_t before = buffer.len;                                                                                    \
        sl_buffer_printf(&buffer, __VA_ARGS__);                                                                        \
        assert_int_equal(buffer.len - before, strlen(wanted));                                                         \
        assert_memory_equal(buffer.ptr + before, wanted, strlen(wanted));                                              \
    } while (0)

static void prints_as_the_library_does(void **state)
{
    struct sl_arena *arena = sl_arena_new((size_t)1 << 20);
    struct sl_buffer buffer;
    const char *volatile none = NULL; /* the compiler would warn */
    (void)state;
    sl_buffer_init(&buffer, (size_t)1 << 20);
    for (int round = 0; round < 300; round++) {
        PRINTS("nothing to fill in, 100%%");
        PRINTS("%s|%s|%s", "", "one", "two");
        PRINTS("%.*s|%.*s|%.*s|%.*s", 0, none, 3, "abcdef", 9, "abc", -1, "abc");
        PRINTS("%d %d %d %d", 0, -1, INT_MAX, INT_MIN);
        PRINTS("%u %u %zu %zu", 0u, UINT_MAX, (size_t)7, SIZE_MAX);
        PRINTS("%" PRIu64 " %lu", UINT64_MAX, 10ul);
        PRINTS("%s, then what is left to it: %04x %5d %-4s| %c %.2f %ld %lld %02u", "a", 255u, -3, "b", 'c', 1.5, -4l,
            -5ll, 6u);
    }
    sl_buffer_fini(&buffer);
    sl_buffer_init(&buffer, 10); /* too small a one fails for good */
    sl_buffer_printf(&buffer, "%s", "0123456789");
    assert_true(sl_buffer_failed(&buffer));
    sl_buffer_fini(&buffer);
    sl_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_zeroed_and_aligned_memory),
        cmocka_unit_test(gives_each_its_own),
        cmocka_unit_test(fails_for_good_beyond_its_ceiling),
        cmocka_unit_test(shares_blocks_through_a_pool),
        cmocka_unit_test(copies_and_prints),
        cmocka_unit_test(prints_as_the_library_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
