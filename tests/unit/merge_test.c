/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing through a view. In the records of these tests, text that begins with "secret" is hidden (its element goes,
 * with what R4 does not let stand without it), "always" in every such record whatever it holds, and one that begins
 * with "date" is shown as "date" alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "merging.h"
#include "segmenting.h"

#define LABEL "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label"
#define GHOST "{\"url\":\"" LABEL "\",\"valueCoding\":{\"system\":\"s\",\"code\":\"PUT-IN\"}}"

static struct sl_doc *parse(struct sl_arena *arena, struct sl_slice text)
{
    struct sl_doc *doc = sl_arena_alloc(arena, sizeof *doc);
    assert_non_null(doc);
    struct sl_doc_error error = {0};
    if (sl_doc_parse(arena, text, NULL, doc, &error) != SL_OK)
        fail_msg("%s: %.*s", error.why, SL_FMT(text));
    return doc;
}

/* ---- A view, as segmentation makes one ---- */

static sl_r4_node node_of(const struct sl_doc *doc, uint32_t span)
{
    uint32_t type = doc->spans[span].type == SL_SPAN_OBJECT ? sl_span_member(doc, span, SL_NAME_resourceType) : 0;
    if (type)
        return sl_r4_resource(sl_span_raw(doc, type));
    uint32_t parent = doc->parents[span];
    if (doc->spans[parent].type == SL_SPAN_ARRAY) {
        if (doc->spans[parent].flags & SL_SPAN_SIBLING)
            return SL_R4_Element;
        span = parent;
        parent = doc->parents[span];
    }
    const struct sl_r4_element *element = sl_r4_element(node_of(doc, parent), doc->spans[span].name);
    if (doc->spans[span].flags & SL_SPAN_SIBLING)
        return SL_R4_Element;
    return element ? element->node : 0;
}

static bool begins(const struct sl_doc *doc, uint32_t span, const char *word)
{
    return doc->spans[span].type == SL_SPAN_STRING && sl_slice_starts(sl_span_raw(doc, span), sl_slice_of(word));
}

/* Puts a label into every third object that has extensions of its own, as inline labels are. */
static void put_labels_in(struct sl_edits *edits, const struct sl_doc *doc)
{
    unsigned count = 0;
    for (uint32_t i = 1; i < doc->count; i++)
        if (doc->spans[i].type == SL_SPAN_ARRAY && doc->spans[i].name == SL_NAME_extension &&
            !sl_edit_is_cut(edits, i) && !sl_edit_is_cut(edits, doc->parents[i]) && count++ % 3 == 0)
            sl_edit_add_item(edits, i, SL_LIT(GHOST));
}

/* Set while every second secret has become visible by what stands beside it. */
static bool half_freed;

static bool is_secret(const struct sl_doc *doc, uint32_t span)
{
    struct sl_slice raw = sl_span_raw(doc, span);
    if (!begins(doc, span, "secret"))
        return false;
    return !half_freed || raw.len < 8 || strtoul(raw.ptr + 7, NULL, 10) % 2;
}

/* NULL: the record itself is hidden. */
static struct sl_edits *view_of(struct sl_arena *arena, const struct sl_doc *doc, bool labels, struct sl_item *out)
{
    struct sl_edits *edits = sl_edits_new(arena, doc);
    struct sl_cutting cutting = {.arena = arena};
    struct sl_item item = {.doc = doc, .type = node_of(doc, 0)};
    assert_non_null(edits);
    for (uint32_t i = 1; i < doc->count; i++) {
        enum sl_cut_result result = SL_CUT_BEFORE;
        uint32_t top = 0;
        bool always = begins(doc, i, "always");
        if (is_secret(doc, i) || always)
            assert_int_equal(sl_cutting_cut(&cutting, &item, i, true, &result, &top), SL_OK);
        if (result == SL_CUT_RESOURCE || result == SL_CUT_REQUIRED)
            return NULL;
        if (result == SL_CUT_PART) {
            struct sl_cut *cut = sl_arena_alloc(arena, sizeof *cut);
            assert_non_null(cut);
            *cut = (struct sl_cut){.span = top, .constant = always, .next = item.cuts};
            item.cuts = cut;
            sl_edit_cut(edits, top);
        }
        if (begins(doc, i, "date"))
            sl_edit_replace(edits, i, SL_LIT("\"date\""));
    }
    if (labels)
        put_labels_in(edits, doc);
    if (out)
        *out = item;
    return edits;
}

/* ---- Cases ---- */

static struct sl_coding allowed[] = {{.system = {"s", 1}, .code = {"MINE", 4}}};

static enum sl_status merged_status;
static const uint8_t *merged_sheds;
static bool merged_sheds_all;

static struct sl_slice merge(
    struct sl_arena *arena, struct sl_slice record, struct sl_slice sent, bool labels, struct sl_merged *merged)
{
    struct sl_doc *doc = parse(arena, record);
    struct sl_item item;
    struct sl_edits *edits = view_of(arena, doc, labels, &item);
    assert_non_null(edits);
    struct sl_merge m = {.record = {doc, 0},
        .edits = edits,
        .item = &item,
        .labels = {allowed, 1, false},
        .sheds = merged_sheds,
        .sheds_all = merged_sheds_all};
    assert_int_equal(sl_merge_view(edits, 0, arena, &m.view), SL_OK);
    m.sent = (struct sl_place){parse(arena, sent.ptr ? sent : m.view.doc->text), 0};
    merged_status = sl_merge(&m, arena, merged);
    return merged->text;
}

#define R "{\"resourceType\":\"Patient\",\"id\":\"a\""
#define C "{\"resourceType\":\"Composition\",\"id\":\"a\""
#define NARRATIVE "\"text\":{\"status\":\"additional\",\"div\":\"always\"}"
static const struct {
    const char *what, *record, *sent, *merged;
    size_t displaced;
} cases[] = {
    {"as it was seen", R ",\"name\":[{\"given\":[\"secret\",\"A\"] }], \"gender\":\"male\"}",
        "{\"id\":\"a\",\"gender\":\"m\\u0061le\",\"name\":[{\"given\":[\"A\"]}],\"resourceType\":\"Patient\"}",
        R ",\"name\":[{\"given\":[\"secret\",\"A\"] }], \"gender\":\"male\"}", 0},
    {"one value changed", R ",\"birthDate\":\"secret\",\"gender\":\"male\"}", R ",\"gender\":\"female\"}",
        R ",\"birthDate\":\"secret\",\"gender\":\"female\"}", 0},
    {"changed for the view, and sent back", R ",\"birthDate\":\"date 1\",\"gender\":\"male\"}",
        R ",\"birthDate\":\"date\"}", R ",\"birthDate\":\"date 1\"}", 0},
    {"changed for the view, and by the writer", R ",\"birthDate\":\"date 1\"}", R ",\"birthDate\":\"2001\"}",
        R ",\"birthDate\":\"2001\"}", 1},
    {"hidden entries stay behind those before them",
        R ",\"name\":[{\"text\":\"secret 0\"},{\"text\":\"A\"},{\"text\":\"secret "
          "1\"},{\"text\":\"B\"},{\"text\":\"secret 2\"}]}",
        R ",\"name\":[{\"text\":\"B\"},{\"text\":\"C\"}]}",
        R ",\"name\":[{\"text\":\"secret 0\"},{\"text\":\"secret 1\"},{\"text\":\"B\"},{\"text\":\"secret "
          "2\"},{\"text\":\"C\"}]}",
        0},
    {"entries in another order", R ",\"name\":[{\"text\":\"A\"},{\"text\":\"secret\"},{\"text\":\"B\"}]}",
        R ",\"name\":[{\"text\":\"B\"},{\"text\":\"A\"}]}",
        R ",\"name\":[{\"text\":\"B\"},{\"text\":\"A\"},{\"text\":\"secret\"}]}", 0},
    {"an entry changed keeps what is hidden in it",
        R ",\"name\":[{\"use\":\"usual\",\"family\":\"A\",\"text\":\"secret\"},{\"use\":\"old\",\"family\":\"C\"}]}",
        R ",\"name\":[{\"use\":\"usual\",\"family\":\"B\"},{\"use\":\"old\",\"family\":\"C\"}]}",
        R ",\"name\":[{\"use\":\"usual\",\"family\":\"B\",\"text\":\"secret\"},{\"use\":\"old\",\"family\":\"C\"}]}",
        0},
    {"an entry known by its id", R ",\"name\":[{\"id\":\"1\",\"family\":\"A\",\"text\":\"secret\"}]}",
        R ",\"name\":[{\"family\":\"A\"},{\"id\":\"1\",\"family\":\"Z\",\"use\":\"old\"}]}",
        R ",\"name\":[{\"family\":\"A\"},{\"id\":\"1\",\"family\":\"Z\",\"text\":\"secret\",\"use\":\"old\"}]}", 0},
    {"taken away, and another put there", R ",\"name\":[{\"family\":\"A\",\"text\":\"secret\"}]}",
        R ",\"name\":[{\"family\":\"B\"}]}", R ",\"name\":[{\"text\":\"secret\"},{\"family\":\"B\"}]}", 0},
    {"taken away: what is hidden in it stays",
        R ",\"maritalStatus\":{\"text\":\"M\",\"coding\":[{\"code\":\"secret\"}]}}", R "}",
        R ",\"maritalStatus\":{\"coding\":[{\"code\":\"secret\"}]}}", 0},
    {"taken away: what means nothing without it goes",
        R ",\"communication\":[{\"language\":{\"text\":\"L\"},\"extension\":[{\"url\":\"u\",\"valueString\":\"secret\"}"
          "]}]}",
        R "}", R "}", 1},
    {"taken away: an extension keeps its name",
        R ",\"extension\":[{\"url\":\"u\",\"valueHumanName\":{\"text\":\"T\",\"family\":\"secret\"}}]}", R "}",
        R ",\"extension\":[{\"valueHumanName\":{\"family\":\"secret\"},\"url\":\"u\"}]}", 0},
    {"sent where something hidden stands", R ",\"birthDate\":\"secret\",\"gender\":\"male\"}",
        R ",\"birthDate\":\"2001\",\"gender\":\"male\"}", R ",\"birthDate\":\"2001\",\"gender\":\"male\"}", 1},
    {"sent where several hidden ones stand", R ",\"name\":[{\"text\":\"secret\"}]}", R ",\"name\":[{\"text\":\"A\"}]}",
        R ",\"name\":[{\"text\":\"secret\"},{\"text\":\"A\"}]}", 0},
    {"of a choice there is one", R ",\"multipleBirthInteger\":\"secret\",\"gender\":\"male\"}",
        R ",\"multipleBirthBoolean\":true,\"gender\":\"male\"}",
        R ",\"gender\":\"male\",\"multipleBirthBoolean\":true}", 1},
    {"a primitive and its other half",
        R ",\"birthDate\":\"2001\",\"_birthDate\":{\"extension\":[{\"url\":\"u\",\"valueString\":\"secret\"}]}}",
        R ",\"birthDate\":\"2002\"}",
        R ",\"birthDate\":\"2002\",\"_birthDate\":{\"extension\":[{\"url\":\"u\",\"valueString\":\"secret\"}]}}", 0},
    {"primitives and their other halves",
        R ",\"name\":[{\"given\":[\"secret\",\"A\",\"B\"],\"_given\":[null,{\"extension\":[{\"url\":\"u\","
          "\"valueString\":\"secret\"}]},{\"id\":\"x\"}]}]}",
        R ",\"name\":[{\"given\":[\"N\",\"A\",\"B\"],\"_given\":[{\"id\":\"n\"},null,{\"id\":\"x\"}]}]}",
        R ",\"name\":[{\"given\":[\"secret\",\"N\",\"A\",\"B\"],\"_given\":[null,{\"id\":\"n\"},{\"extension\":[{"
          "\"url\":\"u\",\"valueString\":\"secret\"}]},{\"id\":\"x\"}]}]}",
        0},
    {"a narrative generated is replaced, one that says more is not",
        R ",\"contained\":[{\"resourceType\":\"Patient\",\"id\":\"c\"}],\"text\":{\"status\":\"generated\",\"div\":"
          "\"secret\"}}",
        R ",\"contained\":[{\"resourceType\":\"Patient\",\"id\":\"c\"}],\"text\":{\"status\":\"generated\",\"div\":\"<"
          "div/>\"}}",
        R ",\"contained\":[{\"resourceType\":\"Patient\",\"id\":\"c\"}],\"text\":{\"status\":\"generated\",\"div\":\"<"
          "div/>\"}}",
        0},
    {"a narrative that says more stays", R ",\"text\":{\"status\":\"additional\",\"div\":\"secret\"}}",
        R ",\"text\":{\"status\":\"generated\",\"div\":\"<div/>\"}}",
        R ",\"text\":{\"status\":\"additional\",\"div\":\"secret\"}}", 0},
    {"a record within it that is taken away goes with what is hidden in it",
        R ",\"contained\":[{\"resourceType\":\"Patient\",\"id\":\"c\",\"birthDate\":\"secret\"},{\"resourceType\":"
          "\"Device\",\"id\":\"d\",\"lotNumber\":\"secret\",\"type\":{\"text\":\"secret\"}}]}",
        R ",\"contained\":[{\"resourceType\":\"Patient\",\"id\":\"c\",\"gender\":\"male\"}]}",
        R ",\"contained\":[{\"resourceType\":\"Patient\",\"id\":\"c\",\"birthDate\":\"secret\",\"gender\":\"male\"}]}",
        2},
    {"a hidden record within it is known by its id",
        R ",\"contained\":[{\"resourceType\":\"Observation\",\"id\":\"x\",\"status\":\"secret\"},{\"resourceType\":"
          "\"Observation\",\"id\":\"y\",\"status\":\"secret\"}]}",
        R ",\"contained\":[{\"resourceType\":\"Device\",\"id\":\"y\"}]}",
        R ",\"contained\":[{\"resourceType\":\"Observation\",\"id\":\"x\",\"status\":\"secret\"},{\"resourceType\":"
          "\"Device\",\"id\":\"y\"}]}",
        1},
    {"what is the server's stays", R ",\"meta\":{\"versionId\":\"7\",\"lastUpdated\":\"2020\",\"source\":\"x\"}}",
        R ",\"meta\":{\"versionId\":\"8\",\"profile\":[\"p\"]}}",
        R ",\"meta\":{\"versionId\":\"7\",\"lastUpdated\":\"2020\",\"profile\":[\"p\"]}}", 0},
    {"labels and tags that are not the writer's stay, and do not come",
        R ",\"meta\":{\"security\":[{\"system\":\"s\",\"code\":\"R\"}],\"tag\":[{\"code\":\"t\"}]}}",
        R ",\"meta\":{\"security\":[{\"system\":\"s\",\"code\":\"N\"},{\"system\":\"s\",\"code\":\"MINE\"}],\"tag\":[{"
          "\"code\":\"z\"}]}}",
        R ",\"meta\":{\"security\":[{\"system\":\"s\",\"code\":\"R\"},{\"system\":\"s\",\"code\":\"MINE\"}],\"tag\":[{"
          "\"code\":\"t\"}]}}",
        0},
    {"a label that is the writer's is taken away",
        R ",\"meta\":{\"security\":[{\"system\":\"s\",\"code\":\"R\"},{\"system\":\"s\",\"code\":\"MINE\"}]}}", R "}",
        R ",\"meta\":{\"security\":[{\"system\":\"s\",\"code\":\"R\"}]}}", 0},
    {"labels on elements are as they were",
        R ",\"name\":[{\"family\":\"A\",\"text\":\"T\",\"extension\":[{\"url\":\"" LABEL
          "\",\"valueCoding\":{\"system\":\"s\",\"code\":\"R\"}}]}]}",
        R ",\"name\":[{\"family\":\"B\",\"text\":\"T\",\"extension\":[{\"url\":\"" LABEL
          "\",\"valueCoding\":{\"system\":\"s\",\"code\":\"N\"}},{\"url\":\"" LABEL
          "\",\"valueCoding\":{\"system\":\"s\",\"code\":\"MINE\"}}]}]}",
        R ",\"name\":[{\"family\":\"B\",\"text\":\"T\",\"extension\":[{\"url\":\"" LABEL
          "\",\"valueCoding\":{\"system\":\"s\",\"code\":\"R\"}},{\"url\":\"" LABEL
          "\",\"valueCoding\":{\"system\":\"s\",\"code\":\"MINE\"}}]}]}",
        0},
    {"a label goes with what it stands on",
        R ",\"name\":[{\"family\":\"A\",\"period\":{\"start\":\"date 1\"},\"extension\":[{\"url\":\"" LABEL
          "\",\"valueCoding\":{\"system\":\"s\",\"code\":\"R\"}}]}]}",
        R "}", R "}", 0},
    {"taken away: what goes from every such record goes with it",
        C ",\"section\":[{\"title\":\"A\"," NARRATIVE ",\"entry\":[{\"reference\":\"B/b\"}]},{\"title\":\"K\"}]}",
        C ",\"section\":[{\"title\":\"K\"}]}", C ",\"section\":[{\"title\":\"K\"}]}", 0},
    {"taken away: and leaves what is hidden for itself",
        C ",\"section\":[{\"title\":\"A\"," NARRATIVE
          ",\"entry\":[{\"reference\":\"secret\"},{\"reference\":\"B/b\"}]}],\"title\":\"T\"}",
        C ",\"title\":\"T\"}", C ",\"section\":[{\"entry\":[{\"reference\":\"secret\"}]}],\"title\":\"T\"}", 0},
    {"not taken away: it stays",
        C ",\"section\":[{\"title\":\"A\"," NARRATIVE ",\"entry\":[{\"reference\":\"B/b\"},{\"reference\":\"B/c\"}]}]}",
        C ",\"section\":[{\"title\":\"N\",\"entry\":[{\"reference\":\"B/b\"}]}]}",
        C ",\"section\":[{\"title\":\"N\"," NARRATIVE ",\"entry\":[{\"reference\":\"B/b\"}]}]}", 0},
    {"a section that lost all that was seen in it is another",
        C ",\"section\":[{\"title\":\"A\"," NARRATIVE ",\"entry\":[{\"reference\":\"B/b\"}]}]}",
        C ",\"section\":[{\"title\":\"A\"}]}", C ",\"section\":[{\"title\":\"A\"}]}", 0},
    {"whether something was hidden in it or not",
        C ",\"section\":[{\"title\":\"A\"," NARRATIVE
          ",\"entry\":[{\"reference\":\"B/b\"},{\"reference\":\"secret\"}]}]}",
        C ",\"section\":[{\"title\":\"A\",\"text\":{\"status\":\"generated\",\"div\":\"none\"}}]}",
        C ",\"section\":[{\"entry\":[{\"reference\":\"secret\"}]},{\"title\":\"A\",\"text\":{\"status\":"
          "\"generated\",\"div\":\"none\"}}]}",
        0},
    {"decimals keep their digits", R ",\"multipleBirthInteger\":1.10,\"gender\":\"male\"}",
        R ",\"multipleBirthInteger\":1.10,\"gender\":\"female\"}",
        R ",\"multipleBirthInteger\":1.10,\"gender\":\"female\"}", 0},
};

static void each_case_comes_out_as_it_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sl_arena *arena = sl_arena_new((size_t)16 << 20);
        struct sl_merged merged;
        struct sl_slice got = merge(arena, sl_slice_of(cases[i].record), sl_slice_of(cases[i].sent), false, &merged);
        if (merged_status != SL_OK || !sl_slice_eq(got, sl_slice_of(cases[i].merged)) ||
            merged.displaced_count != cases[i].displaced)
            fail_msg("%s:\n  want %s\n  got  %.*s (%zu displaced)", cases[i].what, cases[i].merged, SL_FMT(got),
                merged.displaced_count);
        assert_int_equal(merged.changed, strcmp(cases[i].record, cases[i].merged) != 0);
        sl_arena_free(arena);
    }
}

static void what_is_new_is_without_what_is_not_the_writers(void **state)
{
    (void)state;
    static const struct {
        const char *sent, *id, *made;
    } rows[] = {
        {R ",\"gender\":\"male\"}", "", "{\"resourceType\":\"Patient\",\"gender\":\"male\"}"},
        {R ",\"gender\":\"male\"}", "b", "{\"resourceType\":\"Patient\",\"id\":\"b\",\"gender\":\"male\"}"},
        {"{\"resourceType\":\"Patient\",\"gender\":\"male\"}", "b",
            "{\"id\":\"b\",\"resourceType\":\"Patient\",\"gender\":\"male\"}"},
        {R ",\"meta\":{\"versionId\":\"1\",\"security\":[{\"system\":\"s\",\"code\":\"R\"},{\"system\":\"s\",\"code\":"
           "\"MINE\"}],\"tag\":[{\"code\":\"t\"}]}}",
            "", "{\"resourceType\":\"Patient\",\"meta\":{\"security\":[{\"system\":\"s\",\"code\":\"MINE\"}]}}"},
        {R ",\"meta\":{\"versionId\":\"1\"},\"name\":[{\"id\":\"n\",\"extension\":[" GHOST "]}]}", "",
            "{\"resourceType\":\"Patient\",\"name\":[{\"id\":\"n\"}]}"},
    };
    const struct sl_write_labels labels = {allowed, 1, false};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct sl_arena *arena = sl_arena_new((size_t)16 << 20);
        struct sl_slice got;
        const struct sl_place sent = {parse(arena, sl_slice_of(rows[i].sent)), 0};
        assert_int_equal(sl_merge_new(sent, &labels, sl_slice_of(rows[i].id), arena, &got), SL_OK);
        if (!sl_slice_eq(got, sl_slice_of(rows[i].made)))
            fail_msg("%s: %.*s", rows[i].made, SL_FMT(got));
        sl_arena_free(arena);
    }
}

static void the_form_of_what_is_sent_is_checked(void **state)
{
    (void)state;
    static const struct {
        const char *sent;
        bool good;
    } rows[] = {
        {R "}", true},
        {R ",\"name\":[{\"given\":[\"A\",null],\"_given\":[null,{\"id\":\"x\"}]}],\"active\":true}", true},
        {R ",\"contained\":[{\"resourceType\":\"Device\",\"id\":\"d\"}]}", true},
        {"[]", false},
        {"{\"resourceType\":\"Patient\"}", false},
        {"{\"resourceType\":\"Person\",\"id\":\"a\"}", false},
        {"{\"resourceType\":\"Patient\",\"id\":\"b\"}", false},
        {R ",\"nonsense\":1}", false},
        {R ",\"status\":\"final\"}", false},
        {R ",\"name\":{\"text\":\"A\"}}", false},
        {R ",\"gender\":[\"male\"]}", false},
        {R ",\"gender\":{\"a\":1}}", false},
        {R ",\"gender\":null}", false},
        {R ",\"gender\":\"\"}", false},
        {R ",\"maritalStatus\":\"M\"}", false},
        {R ",\"maritalStatus\":{}}", false},
        {R ",\"name\":[]}", false},
        {R ",\"name\":[null]}", false},
        {R ",\"name\":[{\"given\":[null]}]}", false},
        {R ",\"_name\":[{\"id\":\"x\"}]}", false},
        {R ",\"_gender\":\"x\"}", false},
        {R ",\"deceasedBoolean\":true,\"deceasedDateTime\":\"2001\"}", false},
        {R ",\"contained\":[{\"id\":\"d\"}]}", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct sl_arena *arena = sl_arena_new((size_t)16 << 20);
        const char *why = NULL;
        const struct sl_place sent = {parse(arena, sl_slice_of(rows[i].sent)), 0};
        enum sl_status status = sl_merge_check(sent, SL_R4_Patient, SL_LIT("a"), &why);
        if (status != (rows[i].good ? SL_OK : SL_BAD_SYNTAX) || rows[i].good != !why)
            fail_msg("%s: %s", rows[i].sent, why ? why : "taken");
        sl_arena_free(arena);
    }
}

/* ---- Any record, any view, any change ---- */

static uint64_t dice, seed_of_round;

static unsigned roll(unsigned sides)
{
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return (unsigned)((dice >> 20) % sides);
}

struct making {
    struct sl_buffer *out;
    unsigned hide; /* one in so many strings is hidden; 0: none */
    unsigned *secrets;
    unsigned left;   /* values that may still be made */
    unsigned within; /* extensions */
};

static void make_object(struct making *m, sl_r4_node node, unsigned depth, bool resource);

static void make_primitive(struct making *m, const struct sl_r4_element *element)
{
    bool plain = element->name == SL_NAME_id || element->name == SL_NAME_url || element->node == SL_R4_boolean;
    if (element->node == SL_R4_boolean || element->node == SL_R4_decimal)
        sl_buffer_add(m->out, element->node == SL_R4_boolean ? SL_LIT("true")
                              : roll(2)                      ? SL_LIT("1.10")
                                                             : SL_LIT("2.0"));
    else if (m->hide && !plain && !roll(m->hide))
        sl_buffer_printf(m->out, "\"secret %u.\"", (*m->secrets)++);
    else if (m->hide && !plain && !roll(12))
        sl_buffer_printf(m->out, "\"date %u\"", roll(9));
    else if (element->name == SL_NAME_id)
        sl_buffer_printf(m->out, "\"i%u\"", roll(1000000));
    else
        sl_buffer_printf(m->out, "\"%c%s\"", 'a' + (char)roll(5), roll(4) ? "" : "\\u0041");
}

static void make_value(struct making *m, const struct sl_r4_element *element, unsigned depth)
{
    bool extension = element->node == SL_R4_Extension;
    m->within += extension;
    if (element->flags & SL_R4_PRIMITIVE)
        make_primitive(m, element);
    else
        make_object(m, element->node, depth + 1, false);
    m->within -= extension;
}

static void make_half(struct making *m)
{
    static const struct sl_r4_element value = {.name = SL_NAME_valueString, .node = SL_R4_string};
    sl_buffer_add(m->out, SL_LIT("{\"extension\":[{\"url\":\"h\",\"valueString\":"));
    make_primitive(m, &value);
    sl_buffer_add(m->out, SL_LIT("}]}"));
}

static void make_member(struct making *m, const struct sl_r4_element *element, unsigned depth)
{
    bool many = element->flags & SL_R4_MANY, primitive = element->flags & SL_R4_PRIMITIVE;
    unsigned count = many ? 1 + roll(4) : 1, m_left = m->left;
    bool halves = primitive && element->name != SL_NAME_id && element->name != SL_NAME_url && !m->within && !roll(4);
    m->left -= m_left > count ? count : m_left;
    sl_buffer_printf(m->out, ",\"%.*s\":%s", SL_FMT(sl_name_text(element->name)), many ? "[" : "");
    for (unsigned i = 0; i < count; i++) {
        sl_buffer_add(m->out, i ? SL_LIT(",") : SL_LIT(""));
        make_value(m, element, depth);
    }
    sl_buffer_add(m->out, many ? SL_LIT("]") : SL_LIT(""));
    if (!halves)
        return;
    sl_buffer_printf(m->out, ",\"_%.*s\":%s", SL_FMT(sl_name_text(element->name)), many ? "[" : "");
    for (unsigned i = 0; i < count; i++) {
        sl_buffer_add(m->out, i ? SL_LIT(",") : SL_LIT(""));
        if (many && i && roll(2))
            sl_buffer_add(m->out, SL_LIT("null"));
        else
            make_half(m);
    }
    sl_buffer_add(m->out, many ? SL_LIT("]") : SL_LIT(""));
}

/* Some of the elements that R4 has there, and all that it requires. */
static void make_object(struct making *m, sl_r4_node node, unsigned depth, bool resource)
{
    size_t count, begin = m->out->len;
    const struct sl_r4_element *elements = sl_r4_elements(node, &count);
    uint8_t chosen[256] = {0};
    sl_buffer_add(m->out, SL_LIT("{"));
    if (resource)
        sl_buffer_printf(m->out, ",\"resourceType\":\"%.*s\",\"id\":\"a\"", SL_FMT(sl_r4_node_name(node)));
    for (size_t i = 0; i < count; i++) {
        const struct sl_r4_element *e = &elements[i];
        bool given = resource && (e->name == SL_NAME_resourceType || e->name == SL_NAME_id || e->name == SL_NAME_meta);
        bool wanted = e->flags & SL_R4_REQUIRED || (depth < 4 && m->left && !roll(resource ? 3 : 4));
        bool apart = e->flags & SL_R4_RESOURCE || e->name == SL_NAME_text ||
                     (node == SL_R4_Extension && depth > 3 && e->choice == 0 && e->name != SL_NAME_url);
        if (given || !wanted || apart || chosen[e->choice] || (depth > 7 && !(e->flags & SL_R4_PRIMITIVE)))
            continue;
        if (node == SL_R4_Extension && e->name == SL_NAME_extension)
            continue; /* it has a value instead */
        chosen[e->choice] = e->choice != 0;
        make_member(m, e, depth);
    }
    if (m->out->len == begin + 1)
        sl_buffer_add(m->out, SL_LIT(",\"id\":\"e\""));
    if (m->out->ptr && !m->out->failed) { /* the first comma */
        memmove(m->out->ptr + begin + 1, m->out->ptr + begin + 2, m->out->len - begin - 2);
        m->out->len--;
    }
    sl_buffer_add(m->out, SL_LIT("}"));
}

static struct sl_slice make_text(
    struct sl_arena *arena, sl_r4_node node, unsigned hide, unsigned *secrets, bool resource)
{
    struct sl_buffer text;
    struct making m = {.out = &text, .hide = hide, .secrets = secrets, .left = 3 + roll(50)};
    sl_buffer_init(&text, 1 << 20);
    make_object(&m, node, resource ? 0 : 3, resource);
    struct sl_slice copy = sl_arena_copy(arena, sl_buffer_slice(&text));
    sl_buffer_fini(&text);
    return copy;
}

static struct sl_slice gathered(struct sl_arena *arena, struct sl_edits *edits)
{
    struct sl_place place;
    enum sl_status status = sl_merge_view(edits, 0, arena, &place);
    if (status != SL_OK)
        fail_msg("seed %lu: %d", seed_of_round, (int)status);
    return place.doc->text;
}

/* The entries of an array in another order. */
static struct sl_slice shuffled(struct sl_arena *arena, const struct sl_doc *doc, uint32_t array)
{
    struct sl_buffer text;
    uint32_t entries[64], count = 0;
    for (uint32_t c = array + 1; c < doc->spans[array].next && count < 64; c = doc->spans[c].next)
        entries[count++] = c;
    for (uint32_t i = count; i > 1; i--) {
        uint32_t k = roll(i), kept = entries[k];
        entries[k] = entries[i - 1];
        entries[i - 1] = kept;
    }
    sl_buffer_init(&text, 1 << 20);
    for (uint32_t i = 0; i < count; i++) {
        sl_buffer_add(&text, i ? SL_LIT(",") : SL_LIT("["));
        sl_buffer_add(&text, sl_span_text(doc, entries[i]));
    }
    sl_buffer_add(&text, SL_LIT("]"));
    struct sl_slice copy = sl_arena_copy(arena, sl_buffer_slice(&text));
    sl_buffer_fini(&text);
    return copy;
}

static bool is_plain(const struct sl_doc *doc, uint32_t i)
{
    if (node_of(doc, doc->parents[i]) == SL_R4_Extension && doc->spans[doc->parents[i]].type == SL_SPAN_OBJECT)
        return false; /* without its value it says nothing */
    return doc->spans[i].name != SL_NAME_resourceType && doc->spans[i].name != SL_NAME_id &&
           doc->spans[i].name != SL_NAME_url;
}

static void change_one(struct sl_arena *arena, struct sl_edits *edits, const struct sl_doc *doc, uint32_t i)
{
    static const char *const texts[] = {"\"new\"", "\"a\"", "\"b\""};
    const struct sl_span *s = &doc->spans[i];
    const struct sl_r4_element *element;
    unsigned none = 0;
    uint32_t parent = doc->parents[i];
    switch (roll(5)) {
    case 0:
        sl_edit_cut(edits, i);
        break;
    case 1:
        if (s->type == SL_SPAN_STRING)
            sl_edit_replace(edits, i, sl_slice_of(texts[roll(3)]));
        break;
    case 2:
        if (s->type == SL_SPAN_ARRAY && !(doc->spans[parent].flags & SL_SPAN_PAIRED))
            sl_edit_replace(edits, i, shuffled(arena, doc, i));
        break;
    case 3:
        element = sl_r4_element(node_of(doc, parent), s->name);
        if (s->type == SL_SPAN_ARRAY && element && !(element->flags & SL_R4_PRIMITIVE))
            sl_edit_add_item(edits, i, make_text(arena, element->node, 0, &none, false));
        break;
    default:
        if (s->type == SL_SPAN_OBJECT && !sl_edit_is_cut(edits, i)) { /* a property that is not in the view */
            size_t count;
            const struct sl_r4_element *elements = sl_r4_elements(node_of(doc, i), &count);
            const struct sl_r4_element *e = count ? &elements[roll((unsigned)count)] : NULL;
            bool choice = false;
            for (size_t k = 0; e && e->choice && k < count; k++)
                choice |= elements[k].choice == e->choice &&
                          (sl_span_member(doc, i, elements[k].name) || sl_span_sibling(doc, i, elements[k].name));
            bool apart = !e || choice || e->flags & (SL_R4_RESOURCE | SL_R4_PRIMITIVE) ||
                         sl_span_member(doc, i, e->name) || e->name == SL_NAME_meta || e->name == SL_NAME_text ||
                         node_of(doc, i) == SL_R4_Extension;
            struct sl_slice value = apart ? SL_LIT("") : make_text(arena, e->node, 0, &none, false);
            bool many = e && e->flags & SL_R4_MANY;
            if (!apart)
                sl_edit_add_member(edits, i,
                    sl_arena_printf(arena, "\"%.*s\":%s%.*s%s", SL_FMT(sl_name_text(e->name)), many ? "[" : "",
                        SL_FMT(value), many ? "]" : ""));
        }
    }
}

static struct sl_slice change(struct sl_arena *arena, const struct sl_doc *view)
{
    struct sl_edits *edits = sl_edits_new(arena, view);
    bool added[4096] = {false};
    for (unsigned n = 1 + roll(6); n; n--) {
        uint32_t i = 1 + roll(view->count - 1);
        if (i < 4096 && !added[i] && is_plain(view, i) && !sl_edit_is_cut(edits, i)) {
            added[i] = true;
            change_one(arena, edits, view, i);
        }
    }
    return gathered(arena, edits);
}

/* Without labels that were put in, which a view has by where things stand. */
static struct sl_slice unlabelled(struct sl_arena *arena, struct sl_slice text)
{
    struct sl_doc *doc = parse(arena, text);
    struct sl_edits *edits = sl_edits_new(arena, doc);
    for (uint32_t i = 1; i < doc->count; i++)
        if (doc->spans[i].type == SL_SPAN_STRING && sl_span_is(doc, i, SL_LIT(LABEL)))
            sl_edit_cut(edits, doc->parents[i]);
    return gathered(arena, edits);
}

static bool same_text(struct sl_arena *arena, struct sl_slice a, struct sl_slice b)
{
    struct sl_digests x, y;
    const struct sl_place p = {parse(arena, a), 0}, q = {parse(arena, b), 0};
    assert_int_equal(sl_digests_make(&x, p, 1, arena), SL_OK);
    assert_int_equal(sl_digests_make(&y, q, 1, arena), SL_OK);
    return sl_same_value(&x, 0, &y, 0, arena);
}

static unsigned count_lost(struct sl_slice before, struct sl_slice after, unsigned secrets)
{
    unsigned lost = 0;
    for (unsigned i = 0; i < secrets; i++) {
        char word[32];
        int len = snprintf(word, sizeof word, "secret %u.", i);
        lost += memmem(before.ptr, before.len, word, (size_t)len) && !memmem(after.ptr, after.len, word, (size_t)len);
    }
    return lost;
}

/* Those that stay hidden, and are in `before` and not in `after`. */
static unsigned count_innocent(struct sl_slice before, struct sl_slice after, unsigned secrets)
{
    unsigned lost = 0;
    for (unsigned i = 1; i < secrets; i += 2) {
        char word[32];
        int len = snprintf(word, sizeof word, "secret %u.", i);
        lost += memmem(before.ptr, before.len, word, (size_t)len) && !memmem(after.ptr, after.len, word, (size_t)len);
    }
    return lost;
}

static const sl_r4_node types[] = {SL_R4_Patient, SL_R4_Observation, SL_R4_Condition, SL_R4_Encounter,
    SL_R4_MedicationRequest, SL_R4_AllergyIntolerance, SL_R4_Questionnaire, SL_R4_Composition, SL_R4_CarePlan};

struct found {
    unsigned rounds, unfit, with_hidden, changed, refused, displaced, lost, hidden;
    unsigned freeing, freed_all, innocent, stayed;
};

/* How what was made of a record would be seen once every second secret shows. */
static struct sl_edits *freed_view(struct sl_arena *arena, struct sl_doc *made)
{
    half_freed = true;
    struct sl_edits *edits = view_of(arena, made, false, NULL);
    half_freed = false;
    return edits;
}

/* Every second secret would show in what was made: they give way, and what stays hidden stays. */
static void free_some(struct sl_arena *arena, uint64_t seed, struct sl_slice record, struct sl_slice sent,
    struct sl_slice made, unsigned secrets, struct found *found)
{
    struct sl_doc *old = parse(arena, record);
    struct sl_edits *edits = view_of(arena, old, true, NULL);
    const struct sl_place place = {old, 0}, proposed = {parse(arena, unlabelled(arena, sent)), 0};
    uint8_t *sheds = sl_arena_array(arena, old->count, 1);
    struct sl_slice now = unlabelled(arena, made);
    struct sl_merged merged = {0};
    bool frees = false;
    for (unsigned round = 0; round < 6; round++) {
        struct sl_doc *doc = parse(arena, now);
        struct sl_edits *shown = freed_view(arena, doc);
        size_t count = 0;
        if (!shown)
            break; /* nothing is shown at all */
        assert_int_equal(sl_merge_frees((struct sl_place){doc, 0}, shown, proposed, arena, &frees), SL_OK);
        found->freeing += round == 0 && frees;
        if (!frees)
            break;
        assert_int_equal(sl_merge_freed(place, edits, (struct sl_place){doc, 0}, shown, arena, sheds, &count), SL_OK);
        found->freed_all += !count;
        merged_sheds = sheds;
        merged_sheds_all = !count;
        now = unlabelled(arena, merge(arena, record, sent, true, &merged));
        merged_sheds = NULL;
        merged_sheds_all = false;
        assert_int_equal(merged_status, SL_OK);
        if (!merged.displaced_count)
            fail_msg("seed %lu, round %u, %zu\n record %.*s\n sent %.*s\n made %.*s\n new %.*s", seed, round, count,
                SL_FMT(record), SL_FMT(sent), SL_FMT(doc->text), SL_FMT(now));
    }
    if (frees)
        fail_msg("seed %lu: it shows still\n record %.*s\n sent %.*s\n new %.*s", seed, SL_FMT(record), SL_FMT(sent),
            SL_FMT(now));
    found->innocent += count_innocent(made, now, secrets);
    found->stayed += secrets / 2 - count_innocent(record, now, secrets);
}

static void one_round(uint64_t seed, struct found *found)
{
    struct sl_arena *arena = sl_arena_new((size_t)64 << 20);
    unsigned secrets = 0;
    seed_of_round = seed;
    dice = seed * 0x9e3779b97f4a7c15u + 1;
    struct sl_slice record = make_text(arena, types[roll(sizeof types / sizeof *types)], 6, &secrets, true);
    struct sl_doc *doc = parse(arena, record);
    struct sl_edits *edits = view_of(arena, doc, true, NULL);
    struct sl_merged same, merged, bare;
    if (!edits)
        goto out;
    struct sl_slice view = gathered(arena, edits);
    /* What is sent back as it was seen changes nothing. */
    assert_true(sl_slice_eq(merge(arena, record, view, true, &same), record));
    assert_false(same.changed || same.displaced_count);
    /* What is changed in the view is changed, and nothing else is seen. */
    struct sl_slice sent = change(arena, parse(arena, view));
    const char *why;
    if (sl_merge_check((struct sl_place){parse(arena, sent), 0}, node_of(doc, 0), SL_LIT("a"), &why) != SL_OK) {
        found->unfit++;
        goto out;
    }
    struct sl_slice new = merge(arena, record, sent, true, &merged);
    enum sl_status status = merged_status;
    found->refused += status != SL_OK;
    /* In a world in which there is nothing hidden, it comes out as the same. */
    struct sl_slice plain = merge(arena, unlabelled(arena, view), unlabelled(arena, sent), false, &bare);
    if (merged_status != status) {
        printf(
            "%.*s\n%.*s\n%.*s\n%.*s\n%.*s\n", SL_FMT(record), SL_FMT(view), SL_FMT(sent), SL_FMT(new), SL_FMT(plain));
        fail_msg(
            "seed %lu: status %d, and %d in a world in which nothing is hidden", seed, (int)status, (int)merged_status);
    }
    if (status != SL_OK)
        goto out;
    assert_true(same_text(arena, plain, unlabelled(arena, sent)));
    struct sl_edits *again = view_of(arena, parse(arena, new), false, NULL);
    if (!again || !same_text(arena, unlabelled(arena, gathered(arena, again)), unlabelled(arena, sent))) {
        printf("%.*s\n%.*s\n%.*s\n%.*s\n%.*s\n", SL_FMT(record), SL_FMT(view), SL_FMT(sent), SL_FMT(new),
            SL_FMT(again ? gathered(arena, again) : SL_LIT("null")));
        fail_msg("seed %lu: record, view, sent, new record, and its view", seed);
    }
    /* What was hidden is there still, or it is told that it could not stay. */
    unsigned lost = count_lost(record, new, secrets);
    if (lost && !merged.displaced_count)
        fail_msg("seed %lu: %u lost and not told\n record %.*s\n sent %.*s\n new %.*s", seed, lost, SL_FMT(record),
            SL_FMT(sent), SL_FMT(new));
    free_some(arena, seed, record, sent, new, secrets, found);
    found->rounds++;
    found->with_hidden += secrets > 0;
    found->changed += merged.changed;
    found->displaced += merged.displaced_count > 0;
    found->lost += lost;
    found->hidden += secrets;
out:
    sl_arena_free(arena);
}

static void any_change_to_any_view_keeps_what_is_hidden(void **state)
{
    (void)state;
    struct found found = {0};
    const char *only = getenv("MERGE_SEED"), *many = getenv("MERGE_ROUNDS");
    uint64_t rounds = many ? strtoull(many, NULL, 10) : 1500;
    for (uint64_t seed = only ? strtoull(only, NULL, 10) : 1; seed <= rounds || only; seed++) {
        one_round(seed, &found);
        if (only)
            break;
    }
    if (only)
        return;
    print_message(
        "%u rounds, %u unfit, %u refused, %u with something hidden, %u changed, %u displaced; of %u hidden %u gone\n",
        found.rounds, found.unfit, found.refused, found.with_hidden, found.changed, found.displaced, found.hidden,
        found.lost);
    print_message(
        "%u would free something, %u of them whatever is hidden; of what stays hidden %u stayed, %u gave way beside\n",
        found.freeing, found.freed_all, found.stayed, found.innocent);
    assert_true(
        found.freeing > rounds / 10 && found.freed_all * 10 < found.freeing && found.innocent * 10 < found.stayed);
    /* The dice must have had something to say. */
    assert_true(found.rounds > rounds / 4 && found.with_hidden > found.rounds / 2 && found.changed > found.rounds / 4);
    assert_true(found.lost * 50 < found.hidden);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_case_comes_out_as_it_says),
        cmocka_unit_test(what_is_new_is_without_what_is_not_the_writers),
        cmocka_unit_test(the_form_of_what_is_sent_is_checked),
        cmocka_unit_test(any_change_to_any_view_keeps_what_is_hidden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
