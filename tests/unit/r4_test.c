/* SPDX-License-Identifier: Apache-2.0 */
/* The table of R4 facts: is what it says of shape what FHIR 4.0.1 says, and is every lookup exact? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sluice/r4.h"

static void every_name_is_found(void **state)
{
    (void)state;
    for (unsigned n = 1; n < SL_NAMES; n++) {
        struct sl_slice text = sl_name_text((sl_name)n);
        assert_in_range(text.len, 2, SL_NAME_LONGEST);
        assert_int_equal(sl_name_find(text.ptr, text.len), n);
    }
    assert_int_equal(sl_name_text(0).len, 0);
    assert_null(sl_name_text(SL_NAMES).ptr);
}

/* A copy of exactly that length on the heap, so that the sanitizer sees a read beyond it. */
static sl_name find_alone(const char *text, size_t len)
{
    char *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    if (len)
        memcpy(copy, text, len);
    sl_name name = sl_name_find(copy, len);
    free(copy);
    return name;
}

/* Every name, cut short, prolonged and with each of its bytes changed, is that name no more. */
static void near_names_are_not_found(void **state)
{
    (void)state;
    for (unsigned n = 1; n < SL_NAMES; n++) {
        struct sl_slice text = sl_name_text((sl_name)n);
        char near[SL_NAME_LONGEST + 1];
        memcpy(near, text.ptr, text.len);
        near[text.len] = '_';
        assert_int_equal(find_alone(near, text.len), n);
        assert_int_equal(find_alone(near, text.len + 1), 0);
        assert_int_not_equal(find_alone(near, text.len - 1), n);
        for (size_t i = 0; i < text.len; i++) {
            near[i] ^= 0x20; /* the other case */
            assert_int_not_equal(find_alone(near, text.len), n);
            near[i] ^= 0x20 ^ 0x80;
            assert_int_equal(find_alone(near, text.len), 0);
            near[i] ^= (char)0x80;
        }
    }
}

/* The answer compared with a plain search through all names, over words made of the bytes of names. */
static void random_words_agree_with_a_plain_search(void **state)
{
    (void)state;
    uint32_t x = 2463534242u;
    for (int round = 0; round < 20000; round++) {
        char word[SL_NAME_LONGEST + 4];
        x = x * 1664525u + 1013904223u;
        size_t len = (x >> 16) % sizeof word;
        for (size_t i = 0; i < len; i++) {
            x = x * 1664525u + 1013904223u;
            struct sl_slice from = sl_name_text((sl_name)(1 + (x >> 8) % (SL_NAMES - 1)));
            word[i] = from.ptr[i % from.len];
        }
        sl_name expected = 0;
        for (unsigned n = 1; n < SL_NAMES && !expected; n++)
            if (sl_slice_eq(sl_name_text((sl_name)n), (struct sl_slice){word, len}))
                expected = (sl_name)n;
        assert_int_equal(find_alone(word, len), expected);
    }
}

static void every_pair_of_node_and_name_is_exact(void **state)
{
    (void)state;
    for (unsigned node = 0; node < SL_R4_NODES; node++) {
        size_t count, found = 0;
        const struct sl_r4_element *elements = sl_r4_elements((sl_r4_node)node, &count);
        for (unsigned name = 0; name < SL_NAMES; name++)
            found += sl_r4_element((sl_r4_node)node, (sl_name)name) != NULL;
        assert_int_equal(found, count);
        for (size_t i = 0; i < count; i++) {
            assert_ptr_equal(sl_r4_element((sl_r4_node)node, elements[i].name), &elements[i]);
            assert_int_equal(elements[i].parent, node);
            assert_in_range(elements[i].node, 1, SL_R4_NODES - 1);
        }
    }
    assert_null(sl_r4_element(SL_R4_NODES, SL_NAME_id));
    assert_null(sl_r4_element(SL_R4_Patient, SL_NAMES));
    assert_null(sl_r4_element(0, SL_NAME_id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_is_found),
        cmocka_unit_test(near_names_are_not_found),
        cmocka_unit_test(random_words_agree_with_a_plain_search),
        cmocka_unit_test(every_pair_of_node_and_name_is_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
