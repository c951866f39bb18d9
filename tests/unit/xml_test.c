/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FHIR XML to JSON and back: pairs that are each other's translation, texts that are refused, and every R4 example
 * beside the project, which must come back with every value, digit and order it had. JSON is written with ' for ".
 */
#include <fts.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "sluice/r4.h"
#include "sluice/xml.h"

#define LIMIT ((size_t)64 << 20)
#define FILE_LIMIT (32 << 20)
#define XHTML "http://www.w3.org/1999/xhtml"
#define HEAD "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
#define FHIR(type) "<" type " xmlns=\"http://hl7.org/fhir\">"

struct house {
    struct sl_arena *arena;
    struct sl_buffer json, xml;
};

static void set_up(struct house *h)
{
    h->arena = sl_arena_new((size_t)256 << 20);
    assert_non_null(h->arena);
    sl_buffer_init(&h->json, LIMIT);
    sl_buffer_init(&h->xml, LIMIT);
}

static void tear_down(struct house *h)
{
    sl_buffer_fini(&h->json);
    sl_buffer_fini(&h->xml);
    sl_arena_free(h->arena);
}

static struct sl_slice quoted(struct sl_arena *arena, const char *text)
{
    struct sl_slice copy = sl_arena_copy(arena, sl_slice_of(text));
    char *bytes = (char *)(uintptr_t)copy.ptr;
    for (size_t i = 0; i < copy.len; i++)
        if (bytes[i] == '\'')
            bytes[i] = '"';
    return copy;
}

static enum sl_status to_xml(struct house *h, struct sl_slice json)
{
    struct sl_doc doc;
    sl_buffer_clear(&h->xml);
    assert_int_equal(sl_doc_parse(h->arena, json, NULL, &doc, NULL), SL_OK);
    return sl_xml_write(&doc, 0, &h->xml, NULL);
}

static enum sl_status to_json(struct house *h, struct sl_slice xml)
{
    sl_buffer_clear(&h->json);
    return sl_xml_read(h->arena, xml, NULL, &h->json, NULL);
}

static void assert_text(struct sl_slice got, struct sl_slice wanted, const char *name)
{
    if (sl_slice_eq(got, wanted))
        return;
    fail_msg("%s\n got: %.*s\nwant: %.*s", name, SL_FMT(got), SL_FMT(wanted));
}

static const struct {
    const char *name, *json, *xml;
} pairs[] = {
    {"a resource's id is an element", "{'resourceType':'Basic','id':'b','code':{}}",
        FHIR("Basic") "<id value=\"b\"/><code></code></Basic>"},
    {"an element's id and an extension's url are attributes",
        "{'resourceType':'Basic','extension':[{'id':'e','url':'urn:x','valueBoolean':false}],'code':{'id':'c'}}",
        FHIR("Basic") "<extension id=\"e\" url=\"urn:x\"><valueBoolean value=\"false\"/></extension><code id=\"c\">"
                      "</code></Basic>"},
    {"decimals keep their digits",
        "{'resourceType':'Observation','status':'final','code':{},'valueQuantity':{'value':1.100e-3}}",
        FHIR("Observation") "<status value=\"final\"/><code></code><valueQuantity><value value=\"1.100e-3\"/>"
                            "</valueQuantity></Observation>"},
    {"halves of a list of primitives keep their places",
        "{'resourceType':'Patient','name':[{'given':['A',null,'C'],'_given':[null,{'id':'g','extension':[{'url':'urn:x'"
        ","
        "'valueCode':'y'}]},{'id':'h'}]}]}",
        FHIR("Patient") "<name><given value=\"A\"/><given id=\"g\"><extension url=\"urn:x\"><valueCode value=\"y\"/>"
                        "</extension></given><given id=\"h\" value=\"C\"/></name></Patient>"},
    {"a half without a value", "{'resourceType':'Patient','_birthDate':{'extension':[{'url':'urn:x'}]}}",
        FHIR("Patient") "<birthDate><extension url=\"urn:x\"></extension></birthDate></Patient>"},
    {"contained resources", "{'resourceType':'Basic','contained':[{'resourceType':'Patient','id':'p'}],'code':{}}",
        FHIR("Basic") "<contained><Patient><id value=\"p\"/></Patient></contained><code></code></Basic>"},
    {"an element that is called as a resource's type is",
        "{'resourceType':'ExampleScenario','status':'draft','instance':[{'resourceId':'a','resourceType':'Patient'}]}",
        FHIR("ExampleScenario") "<status value=\"draft\"/><instance><resourceId value=\"a\"/><resourceType "
                                "value=\"Patient\"/></instance></ExampleScenario>"},
    {"white space and marks in a value", "{'resourceType':'Basic','code':{'text':'a\\u000a\\u0009b <&> \\\"'}}",
        FHIR("Basic") "<code><text value=\"a&#xA;&#x9;b &lt;&amp;&gt; &quot;\"/></code></Basic>"},
    {"a narrative as it is",
        "{'resourceType':'Basic','text':{'status':'generated','div':'<div xmlns=\\\"" XHTML "\\\">a<br></br> <b  "
        "class=\\\"x\\\" >\xc3\xa9</b></div>'},'code':{}}",
        FHIR("Basic") "<text><status value=\"generated\"/><div xmlns=\"" XHTML "\">a<br></br> <b  class=\"x\" >\xc3\xa9"
                      "</b></div></text><code></code></Basic>"},
};

static void test_pairs(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct house h;
        set_up(&h);
        struct sl_slice json = quoted(h.arena, pairs[i].json);
        struct sl_slice xml = sl_arena_printf(h.arena, HEAD "%s", pairs[i].xml);
        assert_int_equal(to_xml(&h, json), SL_OK);
        assert_text(sl_buffer_slice(&h.xml), xml, pairs[i].name);
        assert_int_equal(to_json(&h, xml), SL_OK);
        assert_text(sl_buffer_slice(&h.json), json, pairs[i].name);
        tear_down(&h);
    }
}

/* Forms that Sluice does not write, and reads. */
static const struct {
    const char *name, *xml, *json;
} forms[] = {
    {"prefixes, comments, white space, single quotes, no declaration",
        "<!-- x --><f:Basic xmlns:f='http://hl7.org/fhir'>\n <!-- <div> -->\n <f:code id='c'/>\n</f:Basic>\n",
        "{'resourceType':'Basic','code':{'id':'c'}}"},
    {"a schema's place",
        "<Basic xmlns=\"http://hl7.org/fhir\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" "
        "xsi:schemaLocation=\"http://hl7.org/fhir x.xsd\"><code/></Basic>",
        "{'resourceType':'Basic','code':{}}"},
    {"a list whose items do not stand together keeps their order",
        FHIR("Patient") "<name><text value=\"a\"/></name><active value=\"true\"/><name><text value=\"b\"/></name>"
                        "</Patient>",
        "{'resourceType':'Patient','active':true,'name':[{'text':'a'},{'text':'b'}]}"},
    {"narratives of contained resources that stand behind",
        FHIR("Basic") "<contained><Basic><text><div xmlns=\"" XHTML
                      "\">1</div></text><code/></Basic></contained><text><div xmlns=\"" XHTML
                      "\">2<div>3</div></div></text><code/>"
                      "</Basic>",
        "{'resourceType':'Basic','text':{'div':'<div xmlns=\\'" XHTML "\\'>2<div>3</div></div>'},'contained':[{"
        "'resourceType':'Basic','text':{'div':'<div xmlns=\\'" XHTML "\\'>1</div>'},'code':{}}],'code':{}}"},
};

static void test_forms(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct house h;
        set_up(&h);
        assert_int_equal(to_json(&h, sl_slice_of(forms[i].xml)), SL_OK);
        assert_text(sl_buffer_slice(&h.json), quoted(h.arena, forms[i].json), forms[i].name);
        tear_down(&h);
    }
}

static const struct {
    const char *xml;
    enum sl_status status;
} refused[] = {
    {"", SL_SYNTAX},
    {"<Basic", SL_SYNTAX},
    {"<!DOCTYPE Basic [<!ENTITY a 'b'>]>" FHIR("Basic") "<code/></Basic>", SL_SYNTAX},
    {"<?xml version='1.0'?><!-- --><!DOCTYPE Basic>" FHIR("Basic") "<code/></Basic>", SL_SYNTAX},
    {"<?xml version='1.0' encoding='ISO-8859-1'?>" FHIR("Basic") "<code/></Basic>", SL_SYNTAX},
    {FHIR("Basic") "<code><text value=\"\xe9\"/></code></Basic>", SL_SYNTAX},
    {FHIR("Basic") "<code><text value=\"&nbsp;\"/></code></Basic>", SL_SYNTAX},
    {"<Basic><code/></Basic>", SL_INVALID},
    {"<Basic xmlns=\"urn:hl7-org:v3\"><code/></Basic>", SL_INVALID},
    {FHIR("Nothing") "</Nothing>", SL_INVALID},
    {FHIR("Basic") "<code/><colour value=\"x\"/></Basic>", SL_INVALID},
    {FHIR("Basic") "<resourceType value=\"Patient\"/></Basic>", SL_INVALID},
    {FHIR("Basic") "<code/>words</Basic>", SL_INVALID},
    {FHIR("Basic") "<code/><![CDATA[words]]></Basic>", SL_INVALID},
    {FHIR("Basic") "<code colour=\"x\"/></Basic>", SL_INVALID},
    {FHIR("Basic") "<code/><code/></Basic>", SL_INVALID},
    {FHIR("Patient") "<active/></Patient>", SL_INVALID},
    {FHIR("Patient") "<active value=\"yes\"/></Patient>", SL_INVALID},
    {FHIR("Patient") "<multipleBirthInteger value=\"01\"/></Patient>", SL_INVALID},
    {FHIR("Patient") "<multipleBirthInteger value=\"1.0\"/></Patient>", SL_INVALID},
    {FHIR("Patient") "<deceasedBoolean value=\"true\"/><deceasedDateTime value=\"2020\"/></Patient>", SL_INVALID},
    {FHIR("Basic") "<text><div>no XHTML</div></text><code/></Basic>", SL_INVALID},
    {FHIR("Basic") "<text><x:div xmlns:x=\"" XHTML "\">a</x:div></text><code/></Basic>", SL_INVALID},
    {FHIR("Basic") "<contained><Patient/><Patient/></contained><code/></Basic>", SL_INVALID},
    {FHIR("Basic") "<contained/><code/></Basic>", SL_INVALID},
};

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct house h;
        set_up(&h);
        enum sl_status status = to_json(&h, sl_slice_of(refused[i].xml));
        if (status != refused[i].status)
            fail_msg("%s gave %d: %.*s", refused[i].xml, (int)status, SL_FMT(sl_buffer_slice(&h.json)));
        tear_down(&h);
    }
}

static const char *const not_written[] = {
    "{'resourceType':'Nothing'}",
    "{'id':'x'}",
    "[]",
    "{'resourceType':'Basic','colour':'x'}",
    "{'resourceType':'Basic','code':'x'}",
    "{'resourceType':'Basic','code':[{}]}",
    "{'resourceType':'Patient','name':{'text':'x'}}",
    "{'resourceType':'Patient','name':[{'given':[null]}]}",
    "{'resourceType':'Patient','birthDate':null}",
    "{'resourceType':'Patient','birthDate':{}}",
    "{'resourceType':'Basic','code':{'text':'\\u0001'}}",
    "{'resourceType':'Basic','code':{'text':'\\uffff'}}",
    "{'resourceType':'Basic','text':{'div':'<div>a</div>'}}",
    "{'resourceType':'Basic','text':{'div':'<div xmlns=\\\"" XHTML "\\\">a<br></div>'}}",
    "{'resourceType':'Basic','text':{'div':'<div xmlns=\\\"" XHTML "\\\">&nbsp;</div>'}}",
    "{'resourceType':'Basic','text':{'div':'<div xmlns=\\\"" XHTML "\\\">a</div><!-- x -->'}}",
};

static void test_not_written(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof not_written / sizeof *not_written; i++) {
        struct house h;
        set_up(&h);
        if (to_xml(&h, quoted(h.arena, not_written[i])) != SL_INVALID)
            fail_msg("%s became %.*s", not_written[i], SL_FMT(sl_buffer_slice(&h.xml)));
        tear_down(&h);
    }
}

static void test_limits(void **state)
{
    (void)state;
    struct house h;
    struct sl_doc_limits limits = sl_doc_limits_default;
    struct sl_slice xml = SL_LIT(FHIR("Basic") "<code><coding><extension url=\"x\"/></coding></code></Basic>");
    set_up(&h);
    limits.depth = 3;
    assert_int_equal(sl_xml_read(h.arena, xml, &limits, &h.json, NULL), SL_LIMIT);
    limits.depth = 4;
    assert_int_equal(sl_xml_read(h.arena, xml, &limits, &h.json, NULL), SL_OK);
    limits.bytes = xml.len - 1;
    assert_int_equal(sl_xml_read(h.arena, xml, &limits, &h.json, NULL), SL_LIMIT);
    tear_down(&h);
    set_up(&h);
    sl_buffer_fini(&h.json);
    sl_buffer_init(&h.json, 20);
    assert_int_equal(sl_xml_read(h.arena, xml, NULL, &h.json, NULL), SL_LIMIT);
    tear_down(&h);
}

/* ---- Every example ---- */

/* What R4 does not allow, and examples have: a number in quotes comes back without them, an empty half as null. */
static bool alike_repaired(const struct sl_doc *a, uint32_t i, const struct sl_doc *b, uint32_t k)
{
    if (a->spans[i].type == SL_SPAN_OBJECT)
        return a->spans[i].next == i + 1 && b->spans[k].type == SL_SPAN_NULL;
    return a->spans[i].type == SL_SPAN_STRING && b->spans[k].type == SL_SPAN_NUMBER &&
           sl_slice_eq(sl_span_raw(a, i), sl_span_text(b, k));
}

/* Are two documents the same but for the order of members, how strings are escaped, and nulls at the end of a list? */
static bool alike(const struct sl_doc *a, uint32_t i, const struct sl_doc *b, uint32_t k, struct sl_arena *arena)
{
    const struct sl_span *x = &a->spans[i], *y = &b->spans[k];
    if (x->type != y->type)
        return alike_repaired(a, i, b, k);
    if (x->type == SL_SPAN_STRING)
        return sl_slice_eq(sl_span_string(a, i, arena), sl_span_string(b, k, arena));
    if (x->type != SL_SPAN_OBJECT && x->type != SL_SPAN_ARRAY)
        return sl_slice_eq(sl_span_text(a, i), sl_span_text(b, k));
    size_t left = 0, right = 0;
    for (uint32_t c = k + 1; c < y->next; c = b->spans[c].next)
        right += x->type == SL_SPAN_OBJECT || b->spans[c].type != SL_SPAN_NULL;
    uint32_t item = k + 1;
    for (uint32_t c = i + 1; c < x->next; c = a->spans[c].next, left++) {
        uint32_t other =
            x->type == SL_SPAN_ARRAY ? (left < right ? item : 0) : sl_span_member_key(b, k, sl_span_key(a, c));
        if (!other && x->type == SL_SPAN_ARRAY && a->spans[c].type == SL_SPAN_NULL)
            continue;
        if (!other || !alike(a, c, b, other, arena))
            return false;
        item = b->spans[other].next;
    }
    return left == right;
}

struct tally {
    size_t files, same, refused, lines;
};

static struct sl_slice read_file(const char *path, struct sl_arena *arena)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    char *bytes = sl_arena_raw(arena, (size_t)size + 1, 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, (size_t)size, file), size);
    fclose(file);
    return (struct sl_slice){bytes, (size_t)size};
}

static void there_and_back(struct house *h, struct sl_slice text, const char *path, struct tally *tally)
{
    struct sl_doc doc, back;
    if (sl_doc_parse(h->arena, text, NULL, &doc, NULL) != SL_OK || !sl_span_member(&doc, 0, SL_NAME_resourceType))
        return;
    tally->files++;
    struct sl_doc_error error = {0, NULL};
    sl_buffer_clear(&h->xml);
    if (sl_xml_write(&doc, 0, &h->xml, &error) != SL_OK) {
        tally->refused++;
        print_message("%s: %s, at byte %zu\n", path, error.why, error.offset);
        return;
    }
    assert_int_equal(to_json(h, sl_buffer_slice(&h->xml)), SL_OK);
    assert_int_equal(sl_doc_parse(h->arena, sl_buffer_slice(&h->json), NULL, &back, NULL), SL_OK);
    if (!alike(&doc, 0, &back, 0, h->arena))
        fail_msg("%s is not what it was", path);
    tally->same++;
}

/* Each resource of a file; a file of JSON is one line, which no zero ends. */
static void each_line(const char *path, char end, struct tally *tally)
{
    struct sl_arena *arena = sl_arena_new((size_t)2 * FILE_LIMIT);
    struct sl_slice text = read_file(path, arena);
    for (size_t at = 0; at < text.len;) {
        struct sl_slice rest = sl_slice_from(text, at);
        const char *stop = memchr(rest.ptr, end, rest.len);
        struct house h;
        rest.len = stop ? (size_t)(stop - rest.ptr) : rest.len;
        set_up(&h);
        there_and_back(&h, rest, path, tally);
        tear_down(&h);
        at += rest.len + 1;
    }
    sl_arena_free(arena);
}

static void each_example(const char *folder, struct tally *tally)
{
    char *paths[] = {(char *)(uintptr_t)folder, NULL};
    FTS *tree = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    assert_non_null(tree);
    for (FTSENT *entry = fts_read(tree); entry; entry = fts_read(tree)) {
        const char *end = strrchr(entry->fts_name, '.');
        if (entry->fts_info == FTS_F && end && strcmp(end, ".json") == 0)
            each_line(entry->fts_path, '\0', tally);
        if (entry->fts_info == FTS_F && end && strcmp(end, ".ndjson") == 0)
            each_line(entry->fts_path, '\n', tally);
    }
    fts_close(tree);
}

static void test_examples(void **state)
{
    (void)state;
    static const char *const folders[] = {SLUICE_SHARED "/data/fhir-r4", SLUICE_SHARED "/data/fhir-test-cases/r4-pairs",
        SLUICE_SHARED "/igs/hl7.fhir.r4.core"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        struct tally tally = {0};
        if (access(folders[i], R_OK) != 0) {
            print_message("%s is not here: skipped\n", folders[i]);
            continue;
        }
        each_example(folders[i], &tally);
        print_message(
            "%s: %zu resources, %zu the same, %zu refused\n", folders[i], tally.files, tally.same, tally.refused);
        assert_true(tally.same > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_not_written),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_examples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
