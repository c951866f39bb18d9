/* SPDX-License-Identifier: Apache-2.0 */
/* Bundles made into requests in memory: what each entry becomes, and what is refused. JSON is written with ' for ". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "batch.h"

static struct sl_arena *arena;

static int set_up(void **state)
{
    (void)state;
    arena = sl_arena_new((size_t)16 << 20);
    return arena ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    sl_arena_free(arena);
    return 0;
}

static enum sl_status read_bundle(struct sl_slice text, struct sl_batch_bundle *out)
{
    const struct sl_batch_context context = {SL_LIT("/fhir"), SL_LIT("return=minimal"), 3};
    struct sl_doc doc;
    struct sl_slice copy = sl_arena_copy(arena, text);
    char *bytes = (char *)(uintptr_t)copy.ptr;
    for (size_t i = 0; i < copy.len; i++)
        if (bytes[i] == '\'')
            bytes[i] = '"';
    assert_int_equal(sl_doc_parse(arena, copy, NULL, &doc, NULL), SL_OK);
    return sl_batch_read(&doc, &context, arena, out);
}

static const struct sl_batch_entry *read_one(struct sl_slice entry)
{
    struct sl_batch_bundle bundle;
    struct sl_slice text =
        sl_arena_printf(arena, "{'resourceType':'Bundle','type':'batch','entry':[%.*s]}", SL_FMT(entry));
    assert_int_equal(read_bundle(text, &bundle), SL_OK);
    assert_int_equal(bundle.count, 1);
    assert_false(bundle.transaction);
    return &bundle.entries[0];
}

static void test_targets(void **state)
{
    (void)state;
    static const struct {
        const char *method, *url;
        enum sl_method becomes;
        const char *path, *query;
    } cases[] = {
        {"GET", "Patient/a", SL_GET, "/fhir/Patient/a", ""},
        {"GET", "/Patient/a", SL_GET, "/fhir/Patient/a", ""},
        {"GET", "Patient?name=a%20b&x", SL_GET, "/fhir/Patient", "name=a%20b&x"},
        {"GET", "?_type=Patient", SL_GET, "/fhir", "_type=Patient"},
        {"POST", "", SL_POST, "/fhir", ""},
        {"PUT", "Patient/a", SL_PUT, "/fhir/Patient/a", ""},
        {"PATCH", "Patient/a", SL_METHOD_PATCH, "/fhir/Patient/a", ""},
        {"DELETE", "Patient?identifier=a|b", SL_METHOD_DELETE, "/fhir/Patient", "identifier=a|b"},
        {"get", "Patient/a", SL_METHOD_OTHER, "/fhir/Patient/a", ""},
        {"HEAD", "Patient/a", SL_METHOD_OTHER, "/fhir/Patient/a", ""},
        {"GET", "http://h/fhir/Patient/a", SL_GET, "*", ""},
        {"GET", "urn:uuid:1", SL_GET, "*", ""},
        {"GET", "../x", SL_GET, "*", ""},
        {"GET", "Patient/%2E%2e/x", SL_GET, "*", ""},
        {"GET", "Patient/./x", SL_GET, "*", ""},
        {"GET", "Patient/a%2Fb", SL_GET, "*", ""},
        {"GET", "Patient/a#b", SL_GET, "*", ""},
        {"GET", "Patient?a#b", SL_GET, "*", ""},
        {"GET", "Patient/a b", SL_GET, "*", ""},
        {"GET", "Patient\\\\a", SL_GET, "*", ""},
        {"GET", "Patient/\\u00e9", SL_GET, "*", ""},
        {"GET", "Patient/%zz", SL_GET, "*", ""},
        {"GET", "Patient/%00", SL_GET, "*", ""},
        {"G\\u0045T", "Patient\\u002fa", SL_GET, "/fhir/Patient/a", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct sl_request *request =
            &read_one(sl_arena_printf(arena, "{'request':{'method':'%s','url':'%s'}}", cases[i].method, cases[i].url))
                 ->request;
        if (request->method != cases[i].becomes || !sl_slice_eq(request->path, sl_slice_of(cases[i].path)) ||
            !sl_slice_eq(request->query, sl_slice_of(cases[i].query)))
            fail_msg("%s %s: %d %.*s ? %.*s", cases[i].method, cases[i].url, (int)request->method,
                SL_FMT(request->path), SL_FMT(request->query));
        assert_false(request->has_body);
    }
}

static struct sl_slice header_of(const struct sl_batch_entry *entry, const char *name)
{
    return sl_request_header(&entry->request, sl_slice_of(name), NULL);
}

static void test_headers(void **state)
{
    (void)state;
    const struct sl_batch_entry *entry = read_one(SL_LIT(
        "{'request':{'method':'GET','url':'Patient/a','ifNoneMatch':'W/\\'1\\'','ifMatch':'x','ifNoneExist':'a=b',"
        "'ifModifiedSince':'2024-02-29T23:30:00.5-01:30'}}"));
    assert_true(sl_slice_eq(header_of(entry, "if-match"), SL_LIT("x")));
    assert_true(sl_slice_eq(header_of(entry, "if-none-match"), SL_LIT("W/\"1\"")));
    assert_true(sl_slice_eq(header_of(entry, "if-none-exist"), SL_LIT("a=b")));
    assert_true(sl_slice_eq(header_of(entry, "if-modified-since"), SL_LIT("Fri, 01 Mar 2024 01:00:00 GMT")));
    assert_true(sl_slice_eq(header_of(entry, "prefer"), SL_LIT("return=minimal")));
    assert_true(sl_slice_eq(header_of(entry, "accept"), SL_LIT("application/fhir+json")));
    assert_null(header_of(entry, "content-type").ptr);
    entry = read_one(SL_LIT("{'request':{'method':'GET','url':'Patient/a','ifModifiedSince':'yesterday'}}"));
    assert_true(sl_slice_eq(header_of(entry, "if-modified-since"), SL_LIT("yesterday")));
}

static void test_bodies(void **state)
{
    (void)state;
    const struct sl_batch_entry *entry =
        read_one(SL_LIT("{'fullUrl':'urn:uuid:1','resource':{'resourceType':'Patient', "
                        "'active':true},'request':{'method':'POST','url':'Patient'}}"));
    assert_true(sl_slice_eq(entry->request.body, SL_LIT("{\"resourceType\":\"Patient\", \"active\":true}")));
    assert_int_equal(entry->request.content_length, entry->request.body.len);
    assert_true(entry->request.has_body && entry->resource);
    assert_true(sl_slice_eq(entry->full_url, SL_LIT("urn:uuid:1")));
    assert_true(sl_slice_eq(header_of(entry, "content-type"), SL_LIT("application/fhir+json")));
    entry = read_one(SL_LIT("{'resource':{'resourceType':'Binary','contentType':'application/json-patch+json','data':"
                            "'W10='},'request':{'method':'PATCH','url':'Patient/a'}}"));
    assert_true(sl_slice_eq(entry->request.body, SL_LIT("[]")));
    assert_true(sl_slice_eq(header_of(entry, "content-type"), SL_LIT("application/json-patch+json")));
    entry = read_one(SL_LIT("{'resource':{'resourceType':'Binary','data':'%%%'},'request':{'method':'PATCH','url':"
                            "'Patient/a'}}"));
    assert_int_equal(entry->request.body.len, 0);
    entry = read_one(SL_LIT("{'resource':{'resourceType':'Binary','data':'W10='},'request':{'method':'POST','url':"
                            "'Binary'}}"));
    assert_true(sl_slice_starts(entry->request.body, SL_LIT("{\"resourceType\":\"Binary\"")));
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum sl_status status;
    } cases[] = {
        {"{'resourceType':'Bundle','type':'transaction'}", SL_OK},
        {"{'resourceType':'Bundle','type':'batch','entry':[]}", SL_OK},
        {"[]", SL_BAD_SYNTAX},
        {"{'resourceType':'Bundle'}", SL_BAD_SYNTAX},
        {"{'resourceType':'Bundle','type':'history'}", SL_BAD_SYNTAX},
        {"{'resourceType':'Patient','type':'batch'}", SL_BAD_SYNTAX},
        {"{'resourceType':'Bundle','type':'batch','entry':{}}", SL_BAD_SYNTAX},
        {"{'resourceType':'Bundle','type':'batch','entry':[1]}", SL_BAD_SYNTAX},
        {"{'resourceType':'Bundle','type':'batch','entry':[{'request':[]}]}", SL_BAD_SYNTAX},
        {"{'resourceType':'Bundle','type':'batch','entry':[{'request':{},'resource':1}]}", SL_BAD_SYNTAX},
        {"{'resourceType':'Bundle','type':'batch','entry':[{},{},{},{}]}", SL_TOO_LARGE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sl_batch_bundle bundle;
        enum sl_status status = read_bundle(sl_slice_of(cases[i].text), &bundle);
        if (status != cases[i].status)
            fail_msg("%s: %s", cases[i].text, sl_status_name(status));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_targets, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_headers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bodies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
