/* SPDX-License-Identifier: Apache-2.0 */
/* From a request to one interaction: what is served, and that everything else is refused, each with its own status. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "outcome.h"
#include "route.h"
#include "sluice/span.h"

static struct sl_arena *arena;
static const struct sl_config config = {.base = {"/fhir", 5}, .url = {"https://g.example/fhir", 22}};

static int set_up(void **state)
{
    (void)state;
    arena = sl_arena_new((size_t)16 * 1024 * 1024);
    return arena ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    sl_arena_free(arena);
    return 0;
}

static struct sl_request request_of(
    enum sl_method method, const char *target, const struct sl_header *headers, size_t count)
{
    struct sl_slice all = sl_slice_of(target);
    const char *mark = memchr(all.ptr, '?', all.len);
    struct sl_slice path = {all.ptr, mark ? (size_t)(mark - all.ptr) : all.len};
    return (struct sl_request){.method = method,
        .target = all,
        .path = path,
        .query = sl_slice_from(all, path.len + 1),
        .headers = headers,
        .header_count = count,
        .keep_alive = true};
}

static void paths_are_routed(void **state)
{
    (void)state;
    static const struct {
        enum sl_method method;
        const char *target;
        enum sl_status status;
        enum sl_interaction_kind kind;
        const char *type, *id, *compartment;
    } cases[] = {
        {SL_GET, "/fhir/metadata", SL_OK, SL_METADATA, "", "", ""},
        {SL_HEAD, "/fhir/metadata", SL_OK, SL_METADATA, "", "", ""},
        {SL_GET, "/fhir/Patient/a", SL_OK, SL_READ, "Patient", "a", ""},
        {SL_HEAD, "/fhir/Patient/a", SL_OK, SL_READ, "Patient", "a", ""},
        {SL_GET, "/fhir/Condition", SL_OK, SL_SEARCH, "Condition", "", ""},
        {SL_GET, "/fhir/Condition?patient=a", SL_OK, SL_SEARCH, "Condition", "", ""},
        {SL_GET, "/fhir/Patient/a/Condition", SL_OK, SL_SEARCH, "Condition", "", "Patient/a"},
        {SL_GET, "/fhir/Patient/a/$everything", SL_OK, SL_EVERYTHING, "Patient", "a", ""},
        {SL_GET, "/fhir/Patient/a/%24everything", SL_OK, SL_EVERYTHING, "Patient", "a", ""},
        {SL_GET, "/fhir/Patient/a/$everything?_count=500&_type=Condition%2CObservation", SL_OK, SL_EVERYTHING,
            "Patient", "a", ""},
        {SL_GET, "/fhir/P%61tient/a", SL_OK, SL_READ, "Patient", "a", ""},
        {SL_GET, "/fhir/metadata?_format=json", SL_OK, SL_METADATA, "", "", ""},
        {SL_GET, "/fhir/Patient/a?_format=application%2Ffhir%2Bjson&_pretty=true", SL_OK, SL_READ, "Patient", "a", ""},
        {SL_POST, "/fhir/metadata", SL_METHOD, 0, NULL, NULL, NULL},
        {SL_PUT, "/fhir/Patient/a", SL_OK, SL_UPDATE, "Patient", "a", ""},
        {SL_PUT, "/fhir/Patient?name=x", SL_OK, SL_UPDATE, "Patient", "", ""},
        {SL_PUT, "/fhir/Patient", SL_BAD_PARAMETER, 0, NULL, NULL, NULL}, /* a condition must say something */
        {SL_PUT, "/fhir/Patient/a?name=x", SL_BAD_PARAMETER, 0, NULL, NULL, NULL},
        {SL_METHOD_DELETE, "/fhir/Patient/a", SL_OK, SL_DELETE, "Patient", "a", ""},
        {SL_METHOD_DELETE, "/fhir/Patient?name=x", SL_OK, SL_DELETE, "Patient", "", ""},
        {SL_METHOD_DELETE, "/fhir/Patient/a/_history/1", SL_METHOD, 0, NULL, NULL, NULL},
        {SL_POST, "/fhir/Patient", SL_OK, SL_CREATE, "Patient", "", ""},
        {SL_POST, "/fhir/Patient?name=x", SL_BAD_PARAMETER, 0, NULL, NULL, NULL},
        {SL_POST, "/fhir/Patient/a", SL_METHOD, 0, NULL, NULL, NULL},
        {SL_METHOD_OTHER, "/fhir/Patient", SL_METHOD, 0, NULL, NULL, NULL},
        {SL_GET, "/fhir/Condition/_search", SL_METHOD, 0, NULL, NULL, NULL},
        {SL_GET, "/fhir", SL_OK, SL_SEARCH, "", "", ""},
        {SL_POST, "/fhir/_search", SL_MEDIA_TYPE, 0, NULL, NULL, NULL},
        {SL_GET, "/fhir/_search", SL_METHOD, 0, NULL, NULL, NULL},
        {SL_GET, "/fhir/Encounter/a/Condition", SL_OK, SL_SEARCH, "Condition", "", "Encounter/a"},
        {SL_GET, "/fhir/Device/a/Condition", SL_OK, SL_SEARCH, "Condition", "", "Device/a"},
        {SL_GET, "/fhir/Organization/a/Condition", SL_NOT_SUPPORTED, 0, NULL, NULL, NULL},
        {SL_GET, "/fhir/Patient/a?_elements=name,id", SL_OK, SL_READ, "Patient", "a", ""},
        {SL_GET, "/fhir/Patient/a?_summary=text", SL_OK, SL_READ, "Patient", "a", ""},
        {SL_GET, "/fhir/Patient/a?_summary=count", SL_BAD_PARAMETER, 0, NULL, NULL, NULL},
        {SL_GET, "/fhir/Patient/a?_summary=text&_elements=name", SL_BAD_PARAMETER, 0, NULL, NULL, NULL},
        {SL_GET, "/fhir/Patient/a?_elements=name%26code=x", SL_BAD_PARAMETER, 0, NULL, NULL, NULL},
        {SL_GET, "/fhir/Patient/a/$everything?_since=2020-01-01T00:00:00%2B05:00", SL_OK, SL_EVERYTHING, "Patient", "a",
            ""},
        {SL_GET, "/", SL_NOT_SUPPORTED, 0, NULL, NULL, NULL},
        {SL_GET, "/fhirx/Patient/a", SL_NOT_SUPPORTED, 0, NULL, NULL, NULL},
        {SL_GET, "/fhir/", SL_OK, SL_SEARCH, "", "", ""},
        {SL_GET, "/fhir/Patient/", SL_NOT_SUPPORTED, 0, NULL, NULL, NULL},
        {SL_GET, "/fhir//Patient", SL_NOT_SUPPORTED, 0, NULL, NULL, NULL},
        {SL_GET, "/fhir/Nothing/a", SL_NOT_SUPPORTED, 0, NULL, NULL, NULL},
        {SL_GET, "/fhir/patient/a", SL_NOT_SUPPORTED, 0, NULL, NULL, NULL},
        {SL_GET, "/fhir/Patient/a/_history/1/x", SL_NOT_SUPPORTED, 0, NULL, NULL, NULL},
        {SL_GET, "/fhir/Patient/a/_history/1?x=1", SL_BAD_PARAMETER, 0, NULL, NULL, NULL},
        {SL_GET, "/fhir/Patient/a/_history/1", SL_OK, SL_VREAD, "Patient", "a", ""},
        {SL_GET, "/fhir/Patient/a/_history?_count=5&_since=2026-01-01T00:00:00Z", SL_OK, SL_HISTORY, "Patient", "a",
            ""},
        {SL_GET, "/fhir/Patient/_history", SL_OK, SL_HISTORY, "Patient", "", ""},
        {SL_GET, "/fhir/_history?_format=json", SL_OK, SL_HISTORY, "", "", ""},
        {SL_GET, "/fhir/_history?_since=soon", SL_BAD_PARAMETER, 0, NULL, NULL, NULL},
        {SL_GET, "/fhir/Patient/a/_history?_at=2026", SL_BAD_PARAMETER, 0, NULL, NULL, NULL},
        {SL_GET, "/fhir/Patient/a/_history?_count=1&_count=2", SL_BAD_PARAMETER, 0, NULL, NULL, NULL},
        {SL_POST, "/fhir/Patient/a/_history", SL_METHOD, 0, NULL, NULL, NULL},
        {SL_GET, "/fhir/Patient/a/$export", SL_NOT_SUPPORTED, 0, NULL, NULL, NULL},
        {SL_GET, "/fhir/Condition/a/$everything", SL_NOT_SUPPORTED, 0, NULL, NULL, NULL},
        {SL_GET, "/fhir/Patient/a%2Fb", SL_NOT_SUPPORTED, 0, NULL, NULL, NULL},
        {SL_GET, "/fhir/Patient/a%00", SL_NOT_SUPPORTED, 0, NULL, NULL, NULL},
        {SL_GET, "/fhir/Patient/a%", SL_NOT_SUPPORTED, 0, NULL, NULL, NULL},
        {SL_GET, "/fhir/Patient/a b", SL_NOT_SUPPORTED, 0, NULL, NULL, NULL},
        {SL_GET, "/fhir/Patient/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", SL_NOT_SUPPORTED, 0,
            NULL, NULL, NULL},
        {SL_GET, "/fhir/Patient/a?x=1", SL_BAD_PARAMETER, 0, NULL, NULL, NULL},
        {SL_GET, "/fhir/Patient/a?_elements=nothing", SL_BAD_PARAMETER, 0, NULL, NULL, NULL},
        {SL_GET, "/fhir/Patient/a?_format=json&_format=json", SL_BAD_PARAMETER, 0, NULL, NULL, NULL},
        {SL_GET, "/fhir/Patient/a?_format=html", SL_NOT_ACCEPTABLE, 0, NULL, NULL, NULL},
        {SL_GET, "/fhir/Patient/a?_format=", SL_NOT_ACCEPTABLE, 0, NULL, NULL, NULL},
        {SL_GET, "/fhir/Patient/a?_format=%zz", SL_BAD_SYNTAX, 0, NULL, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sl_interaction found;
        const char *why = NULL;
        struct sl_request request = request_of(cases[i].method, cases[i].target, NULL, 0);
        enum sl_status status = sl_route(&config, &request, arena, &found, &why);
        if (status != cases[i].status)
            print_error("%s: %s\n", cases[i].target, sl_status_name(status));
        assert_int_equal(status, cases[i].status);
        assert_int_equal(found.kind, cases[i].kind);
        assert_true((status == SL_OK) == (why == NULL));
        if (status != SL_OK)
            continue;
        assert_true(sl_slice_eq(found.type_name, sl_slice_of(cases[i].type)));
        assert_true(sl_slice_eq(found.id, sl_slice_of(cases[i].id)));
        assert_true(sl_slice_eq(found.compartment, sl_slice_of(cases[i].compartment)));
    }
}

static void headers_are_judged(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value;
        enum sl_status status;
    } cases[] = {
        {"X-HTTP-Method-Override", "DELETE", SL_BAD_PARAMETER},
        {"x-http-method", "PUT", SL_BAD_PARAMETER},
        {"If-Match", "W/\"1\"", SL_BAD_PARAMETER},
        {"If-None-Exist", "identifier=1", SL_BAD_PARAMETER},
        {"Content-Encoding", "gzip", SL_MEDIA_TYPE},
        {"If-None-Match", "W/\"1\"", SL_OK},
        {"Prefer", "handling=lenient", SL_OK},
        {"Range", "bytes=0-1", SL_OK},
        {"X-Forwarded-For", "10.0.0.1", SL_OK},
        {"Accept", "application/fhir+json", SL_OK},
        {"Accept", "application/json;q=0.5, text/html", SL_OK},
        {"Accept", "*/*", SL_OK},
        {"Accept", "APPLICATION/FHIR+JSON; fhirVersion=4.0", SL_OK},
        {"Accept", "", SL_OK},
        {"Accept", "application/fhir+xml", SL_OK},
        {"Accept", "application/fhir+xml;q=0", SL_NOT_ACCEPTABLE},
        {"Accept", "application/fhir+xml;fhirVersion=3.0", SL_NOT_ACCEPTABLE},
        {"Accept", "application/fhir+json;q=0", SL_NOT_ACCEPTABLE},
        {"Accept", "application/fhir+json;q=0.000", SL_NOT_ACCEPTABLE},
        {"Accept", "application/fhir+json;fhirVersion=5.0", SL_NOT_ACCEPTABLE},
        {"Accept", "text/html", SL_NOT_ACCEPTABLE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct sl_header header = {sl_slice_of(cases[i].name), sl_slice_of(cases[i].value)};
        struct sl_request request = request_of(SL_GET, "/fhir/Patient/a", &header, 1);
        struct sl_interaction found;
        const char *why = NULL;
        enum sl_status status = sl_route(&config, &request, arena, &found, &why);
        if (status != cases[i].status)
            print_error("%s: %s: %s\n", cases[i].name, cases[i].value, sl_status_name(status));
        assert_int_equal(status, cases[i].status);
    }
}

static void forms_need_their_type(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        enum sl_status status;
    } cases[] = {
        {"application/x-www-form-urlencoded", SL_OK},
        {"application/x-www-form-urlencoded; charset=utf-8", SL_OK},
        {"application/json", SL_MEDIA_TYPE},
        {"", SL_MEDIA_TYPE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct sl_header header = {SL_LIT("Content-Type"), sl_slice_of(cases[i].type)};
        struct sl_request request = request_of(SL_POST, "/fhir/Condition/_search", &header, 1);
        struct sl_interaction found;
        const char *why;
        request.has_body = true;
        assert_int_equal(sl_route(&config, &request, arena, &found, &why), cases[i].status);
        assert_true(cases[i].status != SL_OK || found.form);
    }
}

static void a_get_with_content_is_refused(void **state)
{
    (void)state;
    struct sl_request request = request_of(SL_GET, "/fhir/Patient/a", NULL, 0);
    struct sl_interaction found;
    const char *why;
    request.has_body = true;
    request.content_length = 5;
    assert_int_equal(sl_route(&config, &request, arena, &found, &why), SL_BAD_SYNTAX);
}

static void allow_says_the_methods_of_a_path(void **state)
{
    (void)state;
    static const struct {
        const char *path, *methods;
    } cases[] = {
        {"/fhir", "GET, HEAD, POST"},
        {"/fhir/metadata", "GET, HEAD"},
        {"/fhir/Patient", "GET, HEAD, POST, PUT, PATCH, DELETE"},
        {"/fhir/Patient/a", "GET, HEAD, PUT, PATCH, DELETE"},
        {"/fhir/Patient/a/_history/1", "GET, HEAD"},
        {"/fhir/Patient/_search", "POST"},
        {"/fhir/Patient/a/$everything", "GET, HEAD, POST"},
        {"/fhir/Nothing", ""},
        {"/elsewhere", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char got[SL_ROUTE_METHODS];
        const struct sl_request request = request_of(SL_OPTIONS, cases[i].path, NULL, 0);
        sl_route_methods(&config, &request, got);
        assert_string_equal(got, cases[i].methods);
    }
}

static enum sl_status query_of(const char *target, const char *body, struct sl_interaction *found)
{
    const struct sl_header header = {SL_LIT("Content-Type"), SL_LIT("application/x-www-form-urlencoded")};
    struct sl_request request = request_of(body ? SL_POST : SL_GET, target, body ? &header : NULL, body ? 1 : 0);
    const char *why;
    struct sl_issues issues = {.arena = arena};
    request.has_body = body != NULL;
    SL_TRY(sl_route(&config, &request, arena, found, &why));
    request.body = sl_slice_of(body);
    enum sl_status status = sl_route_query(&request, arena, &issues, found);
    assert_true(status != SL_BAD_PARAMETER || issues.errors > 0);
    return status;
}

static void parameters_are_read_or_refused(void **state)
{
    (void)state;
    static const struct {
        const char *target, *body;
        enum sl_status status;
        size_t params;
    } cases[] = {
        {"/fhir/Condition?patient=a&code=x", NULL, SL_OK, 2},
        {"/fhir/Condition?patient=a&_format=json&_pretty=true&_count=5", NULL, SL_OK, 1},
        {"/fhir/Condition/_search", "patient=a&code=x", SL_OK, 2},
        {"/fhir/Condition/_search?patient=a", "code=x&_format=json", SL_OK, 2},
        {"/fhir/Condition/_search", "_format=xml", SL_OK, 0},
        {"/fhir/Condition/_search", "_format=html", SL_NOT_ACCEPTABLE, 0},
        {"/fhir/Condition?_summary=false", NULL, SL_OK, 0},
        {"/fhir/Condition?nothing=x", NULL, SL_BAD_PARAMETER, 0},
        {"/fhir/Condition?patient:nothing=x", NULL, SL_BAD_PARAMETER, 0},
        {"/fhir/Condition?_elements=code", NULL, SL_OK, 0},
        {"/fhir/Condition?_summary=true", NULL, SL_OK, 0},
        {"/fhir/Condition?_count=0", NULL, SL_OK, 0},
        {"/fhir?_type=Condition,Observation&patient=a&code=x", NULL, SL_OK, 2},
        {"/fhir/_search", "_type=Condition,Observation&patient=a", SL_OK, 1},
        {"/fhir/_search?_type=Condition", "patient=a&_sort=-_lastUpdated", SL_OK, 1},
        {"/fhir?patient=a", NULL, SL_BAD_PARAMETER, 0},
        {"/fhir?_type=Condition,Patient&code=a", NULL, SL_BAD_PARAMETER, 0},
        {"/fhir?_type=Condition,Observation&_sort=code", NULL, SL_BAD_PARAMETER, 0},
        {"/fhir?_type=Condition,Observation&_include=*", NULL, SL_BAD_PARAMETER, 0},
        {"/fhir?_type=Condition,Observation&patient.name=x", NULL, SL_BAD_PARAMETER, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sl_interaction found = {0};
        enum sl_status status = query_of(cases[i].target, cases[i].body, &found);
        if (status != cases[i].status)
            print_error("%s %s: %s\n", cases[i].target, cases[i].body ? cases[i].body : "", sl_status_name(status));
        assert_int_equal(status, cases[i].status);
        if (status == SL_OK)
            assert_int_equal(found.search.param_count, cases[i].params);
    }
}

/* ---- Outcomes ---- */

static void every_status_is_an_outcome(void **state)
{
    (void)state;
    static const char *const details[] = {
        "", "The parameter x is not known.", "a \"quoted\" one", "line\nbreak", "\xc3\x28"};
    for (int status = SL_BAD_SYNTAX; status <= SL_CRYPTO; status++)
        for (size_t i = 0; i < sizeof details / sizeof *details; i++) {
            struct sl_blocks blocks = {.arena = arena};
            struct sl_doc doc;
            sl_outcome_write((enum sl_status)status, sl_slice_of(details[i]), &blocks);
            assert_false(blocks.failed);
            struct sl_slice text = {blocks.first->ptr, blocks.first->len};
            assert_int_equal(sl_doc_parse(arena, text, NULL, &doc, NULL), SL_OK);
            assert_true(
                sl_span_is(&doc, sl_span_member_key(&doc, 0, SL_LIT("resourceType")), SL_LIT("OperationOutcome")));
            /* What a client wrote goes back only if it is plain. */
            assert_int_equal(memmem(text.ptr, text.len, "diagnostics", 11) != NULL, i == 1);
        }
}

/* Which format a request comes out in. */
static void test_formats(void **state)
{
    (void)state;
    static const struct {
        const char *accept, *parameter;
        bool binary;
        enum sl_format format;
    } cases[] = {
        {NULL, NULL, false, SL_FORMAT_JSON},
        {"*/*", NULL, false, SL_FORMAT_JSON},
        {"application/fhir+xml", NULL, false, SL_FORMAT_XML},
        {"text/xml", NULL, false, SL_FORMAT_XML},
        {"application/fhir+xml, */*", NULL, false, SL_FORMAT_XML},
        {"application/fhir+xml;q=0.5, */*", NULL, false, SL_FORMAT_JSON},
        {"application/fhir+xml, application/fhir+json", NULL, false, SL_FORMAT_JSON},
        {"application/fhir+xml, application/fhir+json;q=0.9", NULL, false, SL_FORMAT_XML},
        {"application/fhir+xml;q=0.25, application/fhir+json;q=0.251", NULL, false, SL_FORMAT_JSON},
        {"application/fhir+xml", "json", false, SL_FORMAT_JSON},
        {"application/fhir+json", "application/fhir xml", false, SL_FORMAT_XML},
        {NULL, "text/xml; charset=utf-8", false, SL_FORMAT_XML},
        {NULL, NULL, true, SL_FORMAT_BYTES},
        {"*/*", NULL, true, SL_FORMAT_BYTES},
        {"image/png", NULL, true, SL_FORMAT_BYTES},
        {"application/xml", NULL, true, SL_FORMAT_BYTES},
        {"application/fhir+xml", NULL, true, SL_FORMAT_XML},
        {"application/fhir+json, */*", NULL, true, SL_FORMAT_JSON},
        {"*/*", "xml", true, SL_FORMAT_XML},
        {"application/fhir+json", "image/png", true, SL_FORMAT_BYTES},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct sl_header header = {SL_LIT("Accept"), sl_slice_of(cases[i].accept)};
        struct sl_request request = request_of(SL_GET, "/fhir/Patient/a", &header, cases[i].accept ? 1 : 0);
        enum sl_format format = SL_FORMAT_JSON;
        assert_int_equal(sl_format_find(&request, sl_slice_of(cases[i].parameter), cases[i].binary, &format), SL_OK);
        if (format != cases[i].format)
            print_error("%s, %s\n", cases[i].accept, cases[i].parameter);
        assert_int_equal(format, cases[i].format);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats),
        cmocka_unit_test(allow_says_the_methods_of_a_path),
        cmocka_unit_test_setup_teardown(paths_are_routed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(headers_are_judged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(forms_need_their_type, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_get_with_content_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(parameters_are_read_or_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_status_is_an_outcome, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
