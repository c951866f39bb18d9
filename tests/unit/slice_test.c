/* SPDX-License-Identifier: Apache-2.0 */
/* Are words found in a text where they first stand, and nowhere beyond its end? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sluice/slice.h"

/* In memory of its own, so that a sanitizer sees a byte read beyond it. */
static void expect(struct sl_slice text, struct sl_slice words, long at)
{
    char *copy = malloc(text.len ? text.len : 1);
    assert_non_null(copy);
    memcpy(copy, text.ptr, text.len);
    for (size_t rare = 0; rare < words.len; rare++) {
        const char *found = sl_slice_find((struct sl_slice){copy, text.len}, words, rare);
        assert_int_equal(found ? found - copy : -1, at);
    }
    free(copy);
}

static void finds_words(void **state)
{
    struct sl_slice scheme = SL_LIT("://"), history = SL_LIT("/_history/");
    (void)state;
    expect(SL_LIT("http://a/b"), scheme, 4);
    expect(SL_LIT("a:b:/c://d://e"), scheme, 6);
    expect(SL_LIT("://"), scheme, 0);
    expect(SL_LIT("Patient/x://"), scheme, 9);
    expect(SL_LIT("Patient/1/_history/2/_history/3"), history, 9);
    expect(SL_LIT("/_/_history/_history/"), history, 2);
    expect(SL_LIT("aaab"), SL_LIT("aab"), 1);
}

static void finds_nothing(void **state)
{
    struct sl_slice scheme = SL_LIT("://"), history = SL_LIT("/_history/");
    (void)state;
    expect(SL_LIT(""), scheme, -1);
    expect(SL_LIT(":/"), scheme, -1);
    expect(SL_LIT("http:/"), scheme, -1);
    expect(SL_LIT("a:/b:/"), scheme, -1);
    expect(SL_LIT("Patient/1/_history"), history, -1);
    expect(SL_LIT("Patient/1/_History/2"), history, -1);
    assert_null(sl_slice_find((struct sl_slice){NULL, 0}, scheme, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(finds_words), cmocka_unit_test(finds_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
