/* SPDX-License-Identifier: Apache-2.0 */
/* JSON Patch and FHIRPath Patch: what comes of each, and what each is refused for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sluice/buffer.h"
#include "sluice/patch.h"

struct patch_case {
    const char *view, *patch, *result; /* NULL: not applied */
    enum sl_status status;
};

static void run(const struct patch_case *c, enum sl_patch_form form)
{
    struct sl_arena *arena = sl_arena_new((size_t)64 << 20);
    struct sl_doc view, patch;
    struct sl_slice got;
    const char *why = NULL;
    assert_int_equal(sl_doc_parse(arena, sl_slice_of(c->view), NULL, &view, NULL), SL_OK);
    if (sl_doc_parse(arena, sl_slice_of(c->patch), NULL, &patch, NULL) != SL_OK)
        fail_msg("%s", c->patch);
    const struct sl_patch p = {.form = form, .doc = &patch, .view = &view};
    enum sl_status status = sl_patch_apply(&p, arena, &got, &why);
    if (status != c->status || (c->result && !sl_slice_eq(got, sl_slice_of(c->result))) ||
        (status != SL_OK) != (why != NULL))
        fail_msg("%s\n on %s\n  want %d %s\n  got  %d %.*s (%s)", c->patch, c->view, (int)c->status,
            c->result ? c->result : "-", (int)status, SL_FMT(got), why ? why : "-");
    sl_arena_free(arena);
}

#define OP(op, rest) "[{\"op\":\"" op "\"," rest "}]"
static const struct patch_case json[] = {
    {"{\"a\":1.10}", "[]", "{\"a\":1.10}", SL_OK},
    {"{\"a\": [1.10, 2 ],\"b\":2}", OP("add", "\"path\":\"/c\",\"value\":{ \"x\":1.0}"),
        "{\"a\":[1.10, 2 ],\"b\":2,\"c\":{ \"x\":1.0}}", SL_OK},
    {"{\"a\":1}", OP("add", "\"path\":\"/a\",\"value\":2"), "{\"a\":2}", SL_OK},
    {"{\"a\":[1,2]}", OP("add", "\"path\":\"/a/1\",\"value\":9"), "{\"a\":[1,9,2]}", SL_OK},
    {"{\"a\":[1,2]}", OP("add", "\"path\":\"/a/2\",\"value\":9"), "{\"a\":[1,2,9]}", SL_OK},
    {"{\"a\":[1,2]}", OP("add", "\"path\":\"/a/-\",\"value\":9"), "{\"a\":[1,2,9]}", SL_OK},
    {"{\"a\":[1,2]}", OP("add", "\"path\":\"/a/3\",\"value\":9"), NULL, SL_UNPROCESSABLE},
    {"{\"a\":[1,2]}", OP("add", "\"path\":\"/a/01\",\"value\":9"), NULL, SL_UNPROCESSABLE},
    {"{\"a\":[1,2]}", OP("add", "\"path\":\"/a/x\",\"value\":9"), NULL, SL_UNPROCESSABLE},
    {"{\"a\":1}", OP("add", "\"path\":\"/b/c\",\"value\":9"), NULL, SL_UNPROCESSABLE},
    {"{\"a\":1}", OP("add", "\"path\":\"/a/c\",\"value\":9"), NULL, SL_UNPROCESSABLE},
    {"{\"a\":1}", OP("add", "\"path\":\"\",\"value\":{\"b\":2}"), "{\"b\":2}", SL_OK},
    {"{\"a\":1}", OP("add", "\"path\":\"/b\""), NULL, SL_BAD_SYNTAX},
    {"{\"a\":1}", OP("add", "\"path\":\"b\",\"value\":1"), NULL, SL_BAD_SYNTAX},
    {"{\"a\":1}", OP("add", "\"path\":\"/b~2\",\"value\":1"), NULL, SL_BAD_SYNTAX},
    {"{\"a\":1}", OP("add", "\"path\":\"/b\\\"\",\"value\":1"), NULL, SL_BAD_SYNTAX},
    {"{\"a/b\":1,\"m~n\":2}", OP("remove", "\"path\":\"/a~1b\""), "{\"m~n\":2}", SL_OK},
    {"{\"a/b\":1,\"m~n\":2}", OP("remove", "\"path\":\"/m~0n\""), "{\"a/b\":1}", SL_OK},
    {"{\"a\":1,\"b\":[{\"c\":1}]}", OP("remove", "\"path\":\"/b/0/c\""), "{\"a\":1}",
        SL_OK}, /* nothing is left of it */
    {"{\"a\":1}", OP("remove", "\"path\":\"/b\""), NULL, SL_UNPROCESSABLE},
    {"{\"a\":1}", OP("remove", "\"path\":\"\""), NULL, SL_UNPROCESSABLE},
    {"{\"a\":[1]}", OP("remove", "\"path\":\"/a/-\""), NULL, SL_UNPROCESSABLE},
    {"{\"a\":1,\"b\":2}", OP("replace", "\"path\":\"/a\",\"value\":[3]"), "{\"a\":[3],\"b\":2}", SL_OK},
    {"{\"a\":1}", OP("replace", "\"path\":\"/b\",\"value\":3"), NULL, SL_UNPROCESSABLE},
    {"{\"a\":{\"b\":1},\"c\":2}", OP("move", "\"from\":\"/a/b\",\"path\":\"/d\""), "{\"c\":2,\"d\":1}", SL_OK},
    {"{\"a\":[1,2,3]}", OP("move", "\"from\":\"/a/0\",\"path\":\"/a/2\""), "{\"a\":[2,3,1]}", SL_OK},
    {"{\"a\":{\"b\":1}}", OP("move", "\"from\":\"/a\",\"path\":\"/a/c\""), NULL, SL_UNPROCESSABLE},
    {"{\"a\":{\"b\":1}}", OP("move", "\"from\":\"/a\",\"path\":\"/a\""), "{\"a\":{\"b\":1}}", SL_OK},
    {"{\"a\":1}", OP("move", "\"path\":\"/b\""), NULL, SL_BAD_SYNTAX},
    {"{\"a\":{\"b\":1}}", OP("copy", "\"from\":\"/a\",\"path\":\"/a/c\""), "{\"a\":{\"b\":1,\"c\":{\"b\":1}}}", SL_OK},
    {"{\"a\":1}", OP("copy", "\"from\":\"/b\",\"path\":\"/c\""), NULL, SL_UNPROCESSABLE},
    {"{\"a\":1.0}", OP("test", "\"path\":\"/a\",\"value\":10e-1"), "{\"a\":1.0}", SL_OK},
    {"{\"a\":100}", OP("test", "\"path\":\"/a\",\"value\":1.0E2"), "{\"a\":100}", SL_OK},
    {"{\"a\":0.012}", OP("test", "\"path\":\"/a\",\"value\":12e-3"), "{\"a\":0.012}", SL_OK},
    {"{\"a\":-0}", OP("test", "\"path\":\"/a\",\"value\":0.0"), "{\"a\":-0}", SL_OK},
    {"{\"a\":1}", OP("test", "\"path\":\"/a\",\"value\":-1"), NULL, SL_UNPROCESSABLE},
    {"{\"a\":1}", OP("test", "\"path\":\"/a\",\"value\":10"), NULL, SL_UNPROCESSABLE},
    {"{\"a\":\"\\u0041\"}", OP("test", "\"path\":\"/a\",\"value\":\"A\""), "{\"a\":\"\\u0041\"}", SL_OK},
    {"{\"a\":\"1\"}", OP("test", "\"path\":\"/a\",\"value\":1"), NULL, SL_UNPROCESSABLE},
    {"{\"a\":{\"x\":1,\"y\":[true,null]}}", OP("test", "\"path\":\"/a\",\"value\":{\"y\":[true,null],\"x\":1}"),
        "{\"a\":{\"x\":1,\"y\":[true,null]}}", SL_OK},
    {"{\"a\":{\"x\":1}}", OP("test", "\"path\":\"/a\",\"value\":{\"x\":1,\"y\":2}"), NULL, SL_UNPROCESSABLE},
    {"{\"a\":{\"x\":1,\"y\":2}}", OP("test", "\"path\":\"/a\",\"value\":{\"x\":1}"), NULL, SL_UNPROCESSABLE},
    {"{\"a\":[1,2]}", OP("test", "\"path\":\"/a\",\"value\":[1]"), NULL, SL_UNPROCESSABLE},
    {"{\"a\":1}", OP("tset", "\"path\":\"/a\",\"value\":1"), NULL, SL_BAD_SYNTAX},
    {"{\"a\":1}", "[{\"path\":\"/a\"}]", NULL, SL_BAD_SYNTAX},
    {"{\"a\":1}", "[1]", NULL, SL_BAD_SYNTAX},
    {"{\"a\":1}", "{}", NULL, SL_BAD_SYNTAX},
    /* A value that was put there is changed; one operation that fails undoes all. */
    {"{\"a\":1}",
        "[{\"op\":\"add\",\"path\":\"/b\",\"value\":[]},{\"op\":\"add\",\"path\":\"/b/-\",\"value\":{\"c\":1}},"
        "{\"op\":\"replace\",\"path\":\"/b/0/c\",\"value\":2}]",
        "{\"a\":1,\"b\":[{\"c\":2}]}", SL_OK},
    {"{\"a\":1}", "[{\"op\":\"remove\",\"path\":\"/a\"},{\"op\":\"test\",\"path\":\"/a\",\"value\":1}]", NULL,
        SL_UNPROCESSABLE},
};

static void each_json_patch_does_what_the_rfc_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof json / sizeof *json; i++)
        run(&json[i], SL_PATCH_JSON);
}

#define PATIENT "{\"resourceType\":\"Patient\",\"id\":\"a\""
#define ONE(type, path, more)                                                                                          \
    "{\"resourceType\":\"Parameters\",\"parameter\":[{\"name\":\"operation\",\"part\":[{\"name\":\"type\","            \
    "\"valueCode\":"                                                                                                   \
    "\"" type "\"},{\"name\":\"path\",\"valueString\":\"" path "\"}" more "]}]}"
#define NAME(name) ",{\"name\":\"name\",\"valueString\":\"" name "\"}"
#define VALUE(value) ",{\"name\":\"value\"," value "}"
#define AT(name, index) ",{\"name\":\"" name "\",\"valueInteger\":" #index "}"
static const struct patch_case fhir[] = {
    {PATIENT "}", ONE("add", "Patient", NAME("birthDate") VALUE("\"valueDate\":\"1930-01-01\"")),
        PATIENT ",\"birthDate\":\"1930-01-01\"}", SL_OK},
    {PATIENT ",\"birthDate\":\"1920\"}", ONE("add", "Patient", NAME("birthDate") VALUE("\"valueDate\":\"1930\"")), NULL,
        SL_UNPROCESSABLE},
    {PATIENT ",\"contact\":[{\"gender\":\"male\"}]}",
        ONE("add", "Patient.contact[0]", NAME("name") VALUE("\"valueHumanName\":{\"text\":\"a\"}")),
        PATIENT ",\"contact\":[{\"gender\":\"male\",\"name\":{\"text\":\"a\"}}]}", SL_OK},
    {PATIENT "}",
        ONE("add", "Patient",
            NAME("contact") VALUE("\"part\":[{\"name\":\"name\",\"valueHumanName\":{\"text\":\"a\"}},{\"name\":"
                                  "\"telecom\",\"valueContactPoint\":{\"value\":\"1\"}},{\"name\":\"telecom\","
                                  "\"valueContactPoint\":{\"value\":\"2\"}}]")),
        PATIENT ",\"contact\":[{\"name\":{\"text\":\"a\"},\"telecom\":[{\"value\":\"1\"},{\"value\":\"2\"}]}]}", SL_OK},
    {PATIENT "}", ONE("add", "Patient", NAME("deceased") VALUE("\"valueBoolean\":true")),
        PATIENT ",\"deceasedBoolean\":true}", SL_OK},
    {PATIENT "}", ONE("add", "Patient", NAME("nonsense") VALUE("\"valueBoolean\":true")), NULL, SL_UNPROCESSABLE},
    {PATIENT "}", ONE("add", "Patient.name", NAME("text") VALUE("\"valueString\":\"x\"")), NULL, SL_UNPROCESSABLE},
    {PATIENT "}", ONE("add", "Patient", VALUE("\"valueBoolean\":true")), NULL, SL_BAD_SYNTAX},
    {PATIENT "}", ONE("add", "Patient", NAME("active")), NULL, SL_BAD_SYNTAX},
    {PATIENT ",\"identifier\":[{\"system\":\"s\",\"value\":\"v\"}]}",
        ONE("insert", "Patient.identifier", AT("index", 0) VALUE("\"valueIdentifier\":{\"value\":\"w\"}")),
        PATIENT ",\"identifier\":[{\"value\":\"w\"},{\"system\":\"s\",\"value\":\"v\"}]}", SL_OK},
    {PATIENT ",\"identifier\":[{\"value\":\"v\"}]}",
        ONE("insert", "Patient.identifier", AT("index", 2) VALUE("\"valueIdentifier\":{\"value\":\"w\"}")), NULL,
        SL_UNPROCESSABLE},
    {PATIENT ",\"name\":[{\"given\":[\"A\",\"B\"],\"_given\":[null,{\"id\":\"b\"}]}]}",
        ONE("insert", "Patient.name[0].given", AT("index", 1) VALUE("\"valueString\":\"N\"")),
        PATIENT ",\"name\":[{\"given\":[\"A\",\"N\",\"B\"],\"_given\":[null,null,{\"id\":\"b\"}]}]}", SL_OK},
    {PATIENT ",\"birthDate\":\"1920\",\"_birthDate\":{\"id\":\"x\"},\"active\":true}",
        ONE("delete", "Patient.birthDate", ""), PATIENT ",\"active\":true}", SL_OK},
    {PATIENT "}", ONE("delete", "Patient.birthDate", ""), PATIENT "}", SL_OK},
    {PATIENT ",\"name\":[{\"text\":\"a\"},{\"text\":\"b\"}]}", ONE("delete", "Patient.name", ""), NULL,
        SL_UNPROCESSABLE},
    {PATIENT ",\"name\":[{\"text\":\"a\"},{\"text\":\"b\"}]}", ONE("delete", "Patient.name.where(text = 'b')", ""),
        PATIENT ",\"name\":[{\"text\":\"a\"}]}", SL_OK},
    {PATIENT ",\"name\":[{\"text\":\"a\"},{\"text\":\"b\"}]}", ONE("delete", "Patient.name.last()", ""),
        PATIENT ",\"name\":[{\"text\":\"a\"}]}", SL_OK},
    {PATIENT ",\"name\":[{\"text\":\"a\"}]}", ONE("delete", "Patient.name.first().text", ""), PATIENT "}", SL_OK},
    {PATIENT ",\"name\":[{\"text\":\"a\"}]}", ONE("delete", "Patient", ""), NULL, SL_UNPROCESSABLE},
    {PATIENT ",\"contact\":[{\"name\":{\"family\":\"x\"},\"gender\":\"male\"},{\"name\":{\"family\":\"y\"}}]}",
        ONE("replace", "Patient.contact.where(name.family='x').gender", VALUE("\"valueCode\":\"other\"")),
        PATIENT ",\"contact\":[{\"name\":{\"family\":\"x\"},\"gender\":\"other\"},{\"name\":{\"family\":\"y\"}}]}",
        SL_OK},
    {PATIENT ",\"deceasedBoolean\":true}", ONE("replace", "Patient.deceased", VALUE("\"valueDateTime\":\"2001\"")),
        PATIENT ",\"deceasedDateTime\":\"2001\"}", SL_OK},
    {PATIENT "}", ONE("replace", "Patient.birthDate", VALUE("\"valueDate\":\"2001\"")), NULL, SL_UNPROCESSABLE},
    {PATIENT ",\"name\":[{\"text\":\"a\"},{\"text\":\"b\"},{\"text\":\"c\"}]}",
        ONE("move", "Patient.name", AT("source", 2) AT("destination", 0)),
        PATIENT ",\"name\":[{\"text\":\"c\"},{\"text\":\"a\"},{\"text\":\"b\"}]}", SL_OK},
    {PATIENT ",\"name\":[{\"given\":[\"A\",\"B\"],\"_given\":[{\"id\":\"a\"}]}]}",
        ONE("move", "Patient.name.given", AT("source", 0) AT("destination", 1)),
        PATIENT ",\"name\":[{\"given\":[\"B\",\"A\"],\"_given\":[null,{\"id\":\"a\"}]}]}", SL_OK},
    {PATIENT ",\"name\":[{\"text\":\"a\"}]}", ONE("move", "Patient.name", AT("source", 0) AT("destination", 1)), NULL,
        SL_UNPROCESSABLE},
    {PATIENT "}", ONE("replace", "Person.birthDate", VALUE("\"valueDate\":\"2001\"")), NULL, SL_BAD_SYNTAX},
    {PATIENT "}", ONE("delete", "Patient.name.exists()", ""), NULL, SL_BAD_SYNTAX},
    {PATIENT "}", ONE("delete", "Patient.name.where(text='a' or true)", ""), NULL, SL_BAD_SYNTAX},
    {PATIENT "}", ONE("delete", "Patient.name[x]", ""), NULL, SL_BAD_SYNTAX},
    {PATIENT "}", ONE("erase", "Patient.name", ""), NULL, SL_BAD_SYNTAX},
    {PATIENT "}", "{\"resourceType\":\"Patient\"}", NULL, SL_BAD_SYNTAX},
    {PATIENT "}", "[]", NULL, SL_BAD_SYNTAX},
    {PATIENT "}", "{\"resourceType\":\"Parameters\",\"parameter\":[{\"name\":\"other\"}]}", NULL, SL_BAD_SYNTAX},
};

static void each_fhirpath_patch_does_what_r4_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof fhir / sizeof *fhir; i++)
        run(&fhir[i], SL_PATCH_FHIRPATH);
}

/* Growth by copying into itself, and depth, end before they cost anything. */
static void a_patch_has_limits(void **state)
{
    (void)state;
    struct sl_buffer text;
    struct sl_arena *arena = sl_arena_new((size_t)512 << 20);
    struct sl_doc view, patch;
    struct sl_slice got;
    const char *why;
    assert_int_equal(sl_doc_parse(arena, SL_LIT("{\"a\":{\"b\":[1,2]}}"), NULL, &view, NULL), SL_OK);
    static const struct {
        const char *operation, *end; /* a number between them; NULL: none */
        unsigned count;
    } rows[] = {
        {"{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/a/c", "\"}", 64},
        {"{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/a/b/-\"}", NULL, 64},
        {"{\"op\":\"test\",\"path\":\"/a/b/0\",\"value\":1}", NULL, SL_PATCH_OPERATIONS + 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        sl_buffer_init(&text, 1 << 20);
        for (unsigned k = 0; k < rows[i].count; k++) {
            sl_buffer_printf(&text, "%s%s", k ? "," : "[", rows[i].operation);
            if (rows[i].end)
                sl_buffer_printf(&text, "%u%s", k, rows[i].end);
        }
        sl_buffer_add(&text, SL_LIT("]"));
        assert_int_equal(sl_doc_parse(arena, sl_buffer_slice(&text), NULL, &patch, NULL), SL_OK);
        const struct sl_patch p = {.form = SL_PATCH_JSON, .doc = &patch, .view = &view};
        assert_int_equal(sl_patch_apply(&p, arena, &got, &why), SL_LIMIT);
        sl_buffer_fini(&text);
    }
    sl_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_json_patch_does_what_the_rfc_says),
        cmocka_unit_test(each_fhirpath_patch_does_what_r4_says),
        cmocka_unit_test(a_patch_has_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
