/* SPDX-License-Identifier: Apache-2.0 */
/* Our address in the place of the server's, and back. */
#include "address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define M SL_ADDRESS_MARK

struct fixture {
    struct sl_arena *arena;
    struct sl_config config;
    struct sl_address *address;
};

static struct fixture begin(const char *ours, const char *theirs, const char *known_as)
{
    struct fixture f = {.arena = sl_arena_new(8u << 20)};
    static struct sl_config config;
    config = (struct sl_config){.url = sl_slice_of(ours),
        .upstream_url = sl_slice_of(theirs),
        .upstream_known_as = known_as ? sl_slice_of(known_as) : (struct sl_slice){NULL, 0}};
    assert_int_equal(sl_address_new(&config, &f.address), SL_OK);
    return f;
}

static void end(struct fixture *f)
{
    sl_address_free(f->address);
    sl_arena_free(f->arena);
}

static void is(struct sl_slice is, const char *wanted)
{
    if (is.len != strlen(wanted) || memcmp(is.ptr, wanted, is.len) != 0)
        fail_msg("%.*s is not %s", SL_FMT(is), wanted);
}

/* What the server has, what a client has of it, and what comes back of that; NULL: the first. */
static const struct {
    const char *server, *client, *back;
} cases[] = {
    {"http://ehr/fhir/sid/lab", "https://gw/r4/sid/lab", NULL},
    {"a http://ehr/fhir/x b http://ehr/fhir/y.", "a https://gw/r4/x b https://gw/r4/y.", NULL},
    {"http://ehr/fhir", "https://gw/r4", NULL},
    {"see http://ehr/fhir.", "see https://gw/r4.", NULL},
    {"http://ehr/fhir#a|1", "https://gw/r4#a|1", NULL},
    {"**http://ehr/fhir** _http://ehr/fhir_", "**https://gw/r4** _https://gw/r4_", NULL},
    {"http://ehr/fhir-x http://ehr/fhir%2Fx", "http://ehr/fhir-x http://ehr/fhir%2Fx", NULL},
    {"http://ehr/fhir2/x", "http://ehr/fhir2/x", NULL},
    {"http://ehr/fhir.old/x", "http://ehr/fhir.old/x", NULL},
    {"http://ehr/fhi", "http://ehr/fhi", NULL},
    {"http://ehr/FHIR/x", "http://ehr/FHIR/x", NULL},
    {"http://ehr:81/fhir/x", "http://ehr:81/fhir/x", NULL},
    {"ftp://ehr/fhir/x", "ftp://ehr/fhir/x", NULL},
    {"http://xehr/fhir/x http://ehr.org/fhir", "http://xehr/fhir/x http://ehr.org/fhir", NULL},
    {"http://ehr", "http://ehr", NULL},
    {"ehr/fhir/x", "ehr/fhir/x", NULL},
    /* What JSON may write, and what people do. */
    {"http:\\/\\/ehr\\/fhir\\/x", "https://gw/r4\\/x", "http://ehr/fhir\\/x"},
    {"http\\u003a\\u002F\\u002fehr\\u002ffhir\\u002fx", "https://gw/r4/x", "http://ehr/fhir/x"},
    {"\\u0068ttp://\\u0065hr/fhi\\u0072/x", "https://gw/r4/x", "http://ehr/fhir/x"},
    {"http://ehr/fhir\\u002bx \\\\u0068ttp://ehr\\u0022", "http://ehr/fhir\\u002bx \\\\u0068ttp://ehr\\u0022", NULL},
    {"HTTP://EHR/fhir/x", "https://gw/r4/x", "http://ehr/fhir/x"},
    {"https://ehr/fhir/x", "https://gw/r4/x", "http://ehr/fhir/x"},
    {"http://ehr:80/fhir/x", "https://gw/r4/x", "http://ehr/fhir/x"},
    {"https://ehr:443/fhir", "https://gw/r4", "http://ehr/fhir"},
    /* What clients wrote there. */
    {M "http://ehr/fhir/x", "http://ehr/fhir/x", NULL},
    {M M "http://ehr/fhir/x", M "http://ehr/fhir/x", NULL},
    {M "https://EHR/fhir", "https://EHR/fhir", NULL},
    {M "\\u0068ttp://ehr/fhir", "http://ehr/fhir", M "http://ehr/fhir"},
    {"http:\\/\\/as-written.invalid\\/http:\\/\\/ehr\\/fhir", "http:\\/\\/ehr\\/fhir", M "http:\\/\\/ehr\\/fhir"},
    {M "https://gw/r4/x", M "https://gw/r4/x", NULL},
    {M "http://other/x", M "http://other/x", NULL},
    {"https://gw/r4/x", "https://gw/r4/x", "http://ehr/fhir/x"},
    {"https://gw/r4x HTTPS://gw/r4/x https://GW/r4/x", "https://gw/r4x HTTPS://gw/r4/x https://GW/r4/x", NULL},
};

static void test_there_and_back(void **state)
{
    struct fixture f = begin("https://gw/r4", "http://ehr/fhir", NULL);
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sl_slice shown = sl_address_show(f.address, sl_slice_of(cases[i].server), f.arena);
        is(shown, cases[i].client);
        is(sl_address_store(f.address, shown, f.arena), cases[i].back ? cases[i].back : cases[i].server);
    }
    end(&f);
}

/* Whatever a client writes it reads again: of pieces of addresses in every order. */
static void test_nothing_is_learned(void **state)
{
    static const char *const pieces[] = {"http://ehr/fhir", "https://gw/r4", M, "/x", "HTTPS://ehr:443/fhir", "http://",
        "ehr", "\\/", " ", "https://gw/r4/inner"};
    static const char *const theirs[] = {"http://ehr/fhir", "https://gw:81", "http://ehr"};
    enum { COUNT = sizeof pieces / sizeof *pieces };
    (void)state;
    for (size_t t = 0; t < sizeof theirs / sizeof *theirs; t++) {
        struct fixture f = begin("https://gw/r4", theirs[t], "http://ehr/fhir");
        for (size_t n = 0; n < COUNT * COUNT * COUNT * COUNT; n++) {
            char text[256] = "";
            for (size_t k = 0, rest = n; k < 4; k++, rest /= COUNT)
                strcat(text, pieces[rest % COUNT]);
            struct sl_slice stored = sl_address_store(f.address, sl_slice_of(text), f.arena);
            is(sl_address_show(f.address, stored, f.arena), text);
            sl_arena_reset(f.arena);
        }
        end(&f);
    }
}

static void test_answers(void **state)
{
    struct fixture f = begin("https://gw/r4", "http://ehr/fhir", "https://clinic.example/ehr");
    struct sl_address_places places = {0};
    struct sl_doc doc;
    struct sl_blocks blocks = {.arena = f.arena};
    struct sl_slice view;
    bool failed, any = false;
    char text[] = "{\"a\":{\"reference\":\"\\u0068ttp://ehr/fhir/Patient/1\"},\"b\":{\"reference\" : "
                  "\"https:\\/\\/clinic.example\\/ehr/Patient/2\"},\"system\":\"https://clinic.example/ehr/sid/x\","
                  "\"c\":[\"http://ehr/fhir/y and http://ehr/fhir/z\"],\"d\":{\"reference\":\"http://ehr/fhir\"},"
                  "\"e\":{\"reference\":\"http://ehr/fhir?a=b\"},\"http://ehr/fhir/key\":\"http://ehr/fhir/gone\"}";
    (void)state;
    size_t len = sl_address_take(f.address, text, strlen(text), f.arena, &places, &failed);
    assert_false(failed);
    assert_int_equal(places.count, 6);
    assert_int_equal(sl_doc_parse(f.arena, (struct sl_slice){text, len}, NULL, &doc, NULL), SL_OK);
    struct sl_edits *edits = sl_edits_new(f.arena, &doc);
    uint32_t last = 0;
    for (uint32_t c = 1; c < doc.count; c = doc.spans[c].next)
        last = c;
    sl_edit_cut(edits, last);
    assert_int_equal(sl_address_edit(f.address, &places, &doc, 0, edits, f.arena, &any), SL_OK);
    assert_true(any);
    assert_int_equal(sl_edit_gather(edits, 0, &blocks), SL_OK);
    assert_int_equal(sl_blocks_join(&blocks, f.arena, &view), SL_OK);
    is(view, "{\"a\":{\"reference\":\"Patient/1\"},\"b\":{\"reference\" : \"Patient/2\"},"
             "\"system\":\"https://gw/r4/sid/x\",\"c\":[\"https://gw/r4/y and https://gw/r4/z\"],"
             "\"d\":{\"reference\":\"https://gw/r4\"},\"e\":{\"reference\":\"?a=b\"}}");
    is(sl_address_rest(f.address, SL_LIT("http://ehr/fhir?x")), "?x");
    is(sl_address_rest(f.address, SL_LIT("https://clinic.example/ehr/Patient/1")), "Patient/1");
    assert_null(sl_address_rest(f.address, SL_LIT("https://gw/r4/Patient/1")).ptr);
    assert_null(sl_address_rest(f.address, SL_LIT("http://ehr/fhir")).ptr);
    assert_null(sl_address_rest(f.address, SL_LIT("Patient/1")).ptr);
    assert_null(sl_address_rest(f.address, (struct sl_slice){NULL, 0}).ptr);
    assert_int_equal(sl_address_take(f.address, NULL, 0, f.arena, &places, &failed), 0);
    end(&f);
}

/* A server behind a proxy may know itself by our address. */
static void test_one_address(void **state)
{
    struct fixture f = begin("https://gw/r4", "http://ehr/fhir", "https://gw/r4");
    struct sl_address_places places = {0};
    bool failed;
    char text[] = "{\"reference\":\"https://gw/r4/Patient/1\",\"a\":\"https://gw/r4/x\",\"b\":\"http://ehr/fhir/x\"}";
    (void)state;
    size_t len = sl_address_take(f.address, text, strlen(text), f.arena, &places, &failed);
    is((struct sl_slice){text, len},
        "{\"reference\":\"Patient/1\",\"a\":\"https://gw/r4/x\",\"b\":\"http://ehr/fhir/x\"}");
    assert_int_equal(places.count, 1);
    is(sl_address_store(f.address, SL_LIT("https://gw/r4/x"), f.arena), "https://gw/r4/x");
    is(sl_address_rest(f.address, SL_LIT("https://gw/r4?x")), "?x");
    end(&f);
}

static void test_forms(void **state)
{
    struct fixture f = begin("https://gw/r4", "http://ehr/fhir", "https://clinic.example/ehr");
    struct sl_slice forms[SL_ADDRESS_FORMS];
    (void)state;
    assert_int_equal(sl_address_forms(f.address, SL_LIT("https://gw/r4/sid"), f.arena, forms), 3);
    is(forms[0], "https://gw/r4/sid");
    is(forms[1], "http://ehr/fhir/sid");
    is(forms[2], "https://clinic.example/ehr/sid");
    assert_int_equal(sl_address_forms(f.address, SL_LIT("http://ehr/fhir/sid"), f.arena, forms), 1);
    is(forms[0], M "http://ehr/fhir/sid");
    assert_int_equal(
        sl_address_forms(f.address, SL_LIT("a\\\\b http:\\/\\/ehr\\/fhir \\u0068ttp://ehr/fhir"), f.arena, forms), 1);
    is(forms[0], "a\\\\b http:\\/\\/ehr\\/fhir \\u0068ttp://ehr/fhir");
    assert_int_equal(sl_address_forms(f.address, SL_LIT("a\\b http://ehr/fhir"), f.arena, forms), 1);
    is(forms[0], "a\\b " M "http://ehr/fhir");
    assert_int_equal(sl_address_forms(f.address, SL_LIT("http://loinc.org"), f.arena, forms), 1);
    is(forms[0], "http://loinc.org");
    assert_int_equal(sl_address_forms(NULL, SL_LIT("http://ehr/fhir/sid"), f.arena, forms), 1);
    is(forms[0], "http://ehr/fhir/sid");
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_nothing_is_learned),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_one_address),
        cmocka_unit_test(test_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
