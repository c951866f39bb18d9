/* SPDX-License-Identifier: Apache-2.0 */
/* Is a body taken for what it says it is, unpacked within limits, and refused where R4 does not know it? */
#include "body.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "format.h"

#define LIMIT ((size_t)1 << 20)

struct fixture {
    struct sl_arena *arena;
    struct sl_issues issues;
};

static int begin(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->arena = sl_arena_new((size_t)1 << 28);
    f->issues.arena = f->arena;
    *state = f;
    return f->arena ? 0 : -1;
}

static int end(void **state)
{
    struct fixture *f = *state;
    sl_arena_free(f->arena);
    free(f);
    return 0;
}

static void forms_are_told(void **state)
{
    static const struct {
        const char *type, *coding;
        bool patch;
        enum sl_body_form form;
    } cases[] = {
        {"application/fhir+json", NULL, false, SL_BODY_JSON},
        {"application/fhir+json; charset=UTF-8; fhirVersion=4.0", NULL, false, SL_BODY_JSON},
        {"Application/JSON ;charset=\"utf-8\"", "gzip", true, SL_BODY_JSON},
        {"application/fhir+xml", "x-gzip", false, SL_BODY_XML},
        {"text/xml", "identity", false, SL_BODY_XML},
        {"application/json-patch+json", NULL, true, SL_BODY_JSON_PATCH},
        {"application/json-patch+json", NULL, false, SL_BODY_NONE},
        {"application/xml-patch+xml", NULL, true, SL_BODY_NONE},
        {"application/fhir+json; charset=iso-8859-1", NULL, false, SL_BODY_NONE},
        {"application/fhir+json; fhirVersion=5.0", NULL, false, SL_BODY_NONE},
        {"application/fhir+json", "br", false, SL_BODY_NONE},
        {"application/fhir+json", "gzip, gzip", false, SL_BODY_NONE},
        {"text/plain", NULL, false, SL_BODY_NONE},
        {"", NULL, false, SL_BODY_NONE},
        {NULL, NULL, false, SL_BODY_NONE},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sl_header headers[2];
        struct sl_request request = {.headers = headers};
        enum sl_body_form form;
        const char *why;
        if (cases[i].type)
            headers[request.header_count++] = (struct sl_header){SL_LIT("Content-Type"), sl_slice_of(cases[i].type)};
        if (cases[i].coding)
            headers[request.header_count++] =
                (struct sl_header){SL_LIT("content-encoding"), sl_slice_of(cases[i].coding)};
        enum sl_status status = sl_body_form(&request, cases[i].patch, &form, &why);
        if (form != cases[i].form || status != (form ? SL_OK : SL_MEDIA_TYPE))
            fail_msg("case %zu: %d, %s", i, (int)form, sl_status_name(status));
    }
}

/* ---- Packed ones ---- */

static struct sl_slice pack(struct fixture *f, size_t len, bool alike)
{
    struct sl_blocks blocks = {.arena = f->arena};
    char *bytes = sl_arena_raw(f->arena, len, 1);
    uint32_t seed = 1;
    for (size_t i = 0; i < len; i++) {
        seed = seed * 1664525u + 1013904223u;
        bytes[i] = alike ? 'a' : (char)('a' + (seed >> 24) % 26);
    }
    sl_blocks_add(&blocks, (struct sl_slice){bytes, len});
    assert_int_equal(sl_format_gzip(&blocks), SL_OK);
    struct sl_slice out;
    assert_int_equal(sl_blocks_join(&blocks, f->arena, &out), SL_OK);
    return out;
}

static void bombs_are_refused(void **state)
{
    struct fixture *f = *state;
    struct sl_slice out;
    struct sl_slice good = pack(f, 300000, false), small = pack(f, 50000, true), bomb = pack(f, 900000, true),
                    large = pack(f, LIMIT + 1, false);
    assert_int_equal(sl_format_gunzip(good, LIMIT, f->arena, &out), SL_OK);
    assert_int_equal(out.len, 300000);
    assert_int_equal(sl_format_gunzip(small, LIMIT, f->arena, &out), SL_OK); /* a thousand times smaller, and short */
    assert_int_equal(out.len, 50000);
    assert_int_equal(sl_format_gunzip(bomb, LIMIT, f->arena, &out), SL_TOO_LARGE);
    assert_int_equal(sl_format_gunzip(large, LIMIT, f->arena, &out), SL_TOO_LARGE);
    for (size_t cut = 0; cut < 30; cut++) {
        struct sl_slice torn = {good.ptr, good.len - 1 - cut};
        assert_int_equal(sl_format_gunzip(torn, LIMIT, f->arena, &out), SL_BAD_SYNTAX);
    }
    char *more = sl_arena_raw(f->arena, good.len + 1, 1);
    memcpy(more, good.ptr, good.len);
    more[good.len] = 0;
    assert_int_equal(sl_format_gunzip((struct sl_slice){more, good.len + 1}, LIMIT, f->arena, &out), SL_BAD_SYNTAX);
    more[good.len / 2] ^= 1;
    assert_int_not_equal(sl_format_gunzip((struct sl_slice){more, good.len}, LIMIT, f->arena, &out), SL_OK);
    assert_int_equal(sl_format_gunzip(SL_LIT("{}"), LIMIT, f->arena, &out), SL_BAD_SYNTAX);
    assert_int_equal(sl_format_gunzip(SL_LIT(""), LIMIT, f->arena, &out), SL_BAD_SYNTAX);
}

/* ---- What is in them ---- */

static void resources_are_held_against_the_table(void **state)
{
    struct fixture *f = *state;
    static const struct {
        enum sl_body_form form;
        const char *text, *id;
        enum sl_status parsed, checked;
    } cases[] = {
        {SL_BODY_JSON, "{\"resourceType\":\"Patient\",\"id\":\"p\",\"gender\":\"male\"}", "p", SL_OK, SL_OK},
        {SL_BODY_JSON, "{\"resourceType\":\"Patient\",\"gender\":\"male\"}", "", SL_OK, SL_OK},
        {SL_BODY_XML, "<Patient xmlns=\"http://hl7.org/fhir\"><id value=\"p\"/><active value=\"true\"/></Patient>", "p",
            SL_OK, SL_OK},
        {SL_BODY_XML, "<Patient xmlns=\"http://hl7.org/fhir\"><nonsense value=\"p\"/></Patient>", "", SL_BAD_SYNTAX,
            SL_OK},
        {SL_BODY_XML, "{}", "", SL_BAD_SYNTAX, SL_OK},
        {SL_BODY_JSON, "{\"resourceType\":\"Patient\",\"id\":\"q\"}", "p", SL_OK, SL_BAD_SYNTAX},
        {SL_BODY_JSON, "{\"resourceType\":\"Patient\"}", "p", SL_OK, SL_BAD_SYNTAX},
        {SL_BODY_JSON, "{\"resourceType\":\"Observation\",\"id\":\"p\"}", "p", SL_OK, SL_BAD_SYNTAX},
        {SL_BODY_JSON, "{\"id\":\"p\"}", "p", SL_OK, SL_BAD_SYNTAX},
        {SL_BODY_JSON, "[]", "p", SL_OK, SL_BAD_SYNTAX},
        {SL_BODY_JSON, "{\"resourceType\":\"Patient\",\"nonsense\":1}", "", SL_OK, SL_BAD_SYNTAX},
        {SL_BODY_JSON, "{\"resourceType\":\"Patient\",\"name\":[{\"nonsense\":\"x\"}]}", "", SL_OK, SL_BAD_SYNTAX},
        {SL_BODY_JSON, "{\"resourceType\":\"Patient\",\"gender\":\"male\",\"gender\":\"female\"}", "", SL_BAD_SYNTAX,
            SL_OK},
        {SL_BODY_JSON, "{\"resourceType\":\"Patient\"", "", SL_BAD_SYNTAX, SL_OK},
        {SL_BODY_JSON, "", "", SL_BAD_SYNTAX, SL_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sl_slice text;
        struct sl_doc doc;
        enum sl_status status =
            sl_body_parse(cases[i].form, sl_slice_of(cases[i].text), LIMIT, f->arena, &f->issues, &text, &doc);
        if (status != cases[i].parsed)
            fail_msg("case %zu: parsed %s", i, sl_status_name(status));
        if (status != SL_OK)
            continue;
        status = sl_body_check(&doc, SL_R4_Patient, sl_slice_of(cases[i].id), f->arena, &f->issues);
        if (status != cases[i].checked)
            fail_msg("case %zu: checked %s", i, sl_status_name(status));
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

static struct sl_slice named(
    void *context, enum sl_link_form form, const struct sl_r4_element *element, struct sl_slice url)
{
    (void)context;
    (void)element;
    bool known = form != SL_LINK_CANONICAL && sl_slice_eq(url, SL_LIT("urn:u"));
    return known ? SL_LIT("Basic/1") : (struct sl_slice){NULL, 0};
}

static void links_are_found_by_the_table(void **state)
{
    static const struct {
        const char *text, *made; /* NULL: as it was */
    } cases[] = {
        {"{\"subject\":{\"reference\":\"urn:u\"}}", "{\"subject\":{\"reference\":\"Basic/1\"}}"},
        {"{\"subject\":{\"reference\":\"urn\\u003au\"}}", "{\"subject\":{\"reference\":\"Basic/1\"}}"},
        {"{\"contained\":[{\"resourceType\":\"List\",\"entry\":[{\"item\":{\"reference\":\"urn:u\"}}]}]}",
            "{\"contained\":[{\"resourceType\":\"List\",\"entry\":[{\"item\":{\"reference\":\"Basic/1\"}}]}]}"},
        {"{\"_status\":{\"extension\":[{\"url\":\"x\",\"valueUrl\":\"urn:u\"}]}}",
            "{\"_status\":{\"extension\":[{\"url\":\"x\",\"valueUrl\":\"Basic/1\"}]}}"},
        {"{\"identifier\":[{\"value\":\"urn:u\"}],\"valueString\":\"urn:u\"}", NULL},
        {"{\"meta\":{\"profile\":[\"urn:u\"]}}", NULL},
        {"{\"nonsense\":{\"reference\":\"urn:u\"},\"url\":\"urn:u\"}", NULL},
        {"{\"contained\":[{\"resourceType\":\"Nonsense\",\"url\":\"urn:u\"}],\"subject\":\"urn:u\"}", NULL},
        {"{\"text\":{\"div\":\"<div><a b='' href = 'urn:u'>urn:u</a><img src=\\\"urn:u\\\"/></div>\"}}",
            "{\"text\":{\"div\":\"<div><a b='' href = 'Basic/1'>urn:u</a><img src=\\\"Basic/1\\\"/></div>\"}}"},
        {"{\"text\":{\"div\":\"<div><abbr href='urn:u'/><a title='href=\\\"urn:u\\\"'/><img href='urn:u'/></div>\"}}",
            NULL},
        {"{\"text\":{\"div\":\"<div><a href=urn:u><a href='urn:u<a href=<a <img src=\"}}", NULL},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *ends[] = {cases[i].text, cases[i].made ? cases[i].made : cases[i].text};
        struct sl_slice texts[2];
        for (size_t k = 0; k < 2; k++)
            texts[k] = sl_arena_printf(f->arena, "{\"resourceType\":\"Observation\",%s", ends[k] + 1);
        assert_int_equal(sl_body_relink(f->arena, &texts[0], named, NULL), SL_OK);
        if (!sl_slice_eq(texts[0], texts[1]))
            fail_msg("case %zu: %.*s", i, SL_FMT(texts[0]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(forms_are_told),
        TEST(bombs_are_refused),
        TEST(resources_are_held_against_the_table),
        TEST(links_are_found_by_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
