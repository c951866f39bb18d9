/* SPDX-License-Identifier: Apache-2.0 */
/* Is a text in which rows are known parsed as if none were, and is nothing known but what is the same in every byte? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sluice/kept.h"
#include "sluice/r4.h"

#define LIMIT ((size_t)1 << 20)

static struct sl_arena *arena;

static int set_up(void **state)
{
    (void)state;
    arena = sl_arena_new((size_t)1 << 30);
    return arena ? 0 : 1;
}

static int tear_down(void **state)
{
    (void)state;
    sl_arena_free(arena);
    return 0;
}

/* A resource of so many bytes or some more; `tail` stands at its end. */
static struct sl_slice resource(const char *id, const char *tail)
{
    return sl_arena_printf(arena,
        "{\"resourceType\":\"Observation\",\"id\":\"%s\",\"meta\":{\"versionId\":\"1\"},\"_status\":{\"id\":\"a\"},"
        "\"status\":\"final\",\"code\":{\"coding\":[{\"system\":\"http://loinc.org\",\"code\":\"8302-2\"},"
        "{\"code\":\"\\u00e4\\n\"}]},\"unheard\":[[[1.10,-0,true,null,{}]]],\"note\":[{\"text\":\"%0200d%s\"}]}",
        id, 0, tail);
}

/* A searchset of them, `between` standing wherever white space may. */
static struct sl_slice bundle(const struct sl_slice *rows, size_t count, const char *between)
{
    struct sl_slice text = SL_LIT("{\"resourceType\":\"Bundle\",\"type\":\"searchset\",\"entry\":"),
                    space = sl_slice_of(between);
    for (size_t i = 0; i < count; i++) {
        const struct sl_slice parts[] = {text, space, i ? SL_LIT(",") : SL_LIT("["), space,
            SL_LIT("{\"fullUrl\":\"Observation/x\",\"resource\":"), rows[i],
            SL_LIT(",\"search\":{\"mode\":\"match\"}}")};
        text = sl_arena_join(arena, parts, 7);
    }
    return sl_arena_join(arena, (const struct sl_slice[]){text, space, SL_LIT("]}")}, 3);
}

/* Parses it both ways, and gives how many rows were known. */
static size_t parse(struct sl_kept *kept, struct sl_slice text, const struct sl_doc_limits *limits, struct sl_doc *out)
{
    struct sl_doc plain;
    const struct sl_kept_row *rows;
    size_t count;
    char *exact = malloc(text.len + 1); /* so that the sanitizer sees one byte too far */
    assert_non_null(exact);
    memcpy(exact, text.ptr, text.len);
    struct sl_slice same = {exact, text.len};
    enum sl_status status = sl_kept_parse(kept, arena, same, limits, out, &rows, &count);
    assert_int_equal(sl_doc_parse(arena, same, limits, &plain, NULL), status);
    assert_int_equal(out->count, plain.count);
    if (plain.count) {
        assert_memory_equal(out->spans, plain.spans, plain.count * sizeof *plain.spans);
        assert_memory_equal(out->parents, plain.parents, plain.count * sizeof *plain.parents);
    }
    size_t met = 0;
    for (uint32_t i = 0; i < out->count && met < count; i++)
        met += out->spans[i].begin == rows[met].at && out->spans[i].type == SL_SPAN_OBJECT;
    out->text = text;
    free(exact);
    return met;
}

/* Tells of every entry, as one who has read them does. */
static void note(struct sl_kept *kept, const struct sl_doc *doc)
{
    uint32_t entries = doc->count ? sl_span_member(doc, 0, SL_NAME_entry) : 0;
    for (uint32_t i = entries + 1; entries && i < doc->spans[entries].next; i = doc->spans[i].next)
        sl_kept_note(kept, doc, i);
}

static size_t read_page(struct sl_kept *kept, struct sl_slice text)
{
    struct sl_doc doc;
    size_t known = parse(kept, text, NULL, &doc);
    note(kept, &doc);
    return known;
}

static void known_from_the_third_time_on(void **state)
{
    (void)state;
    struct sl_kept *kept = sl_kept_new(LIMIT, 7);
    const struct sl_slice rows[] = {resource("a", ""), resource("b", ""), resource("c", "")};
    struct sl_slice page = bundle(rows, 3, "");
    assert_int_equal(read_page(kept, page), 0);
    assert_int_equal(sl_kept_figures(kept).rows, 0);
    assert_int_equal(read_page(kept, page), 0);
    assert_int_equal(sl_kept_figures(kept).rows, 3);
    assert_int_equal(read_page(kept, page), 3);
    assert_int_equal(read_page(kept, bundle(rows + 1, 1, " \n")), 1);
    const struct sl_slice others[] = {resource("d", ""), rows[2], resource("e", ""), rows[0]};
    assert_int_equal(read_page(kept, bundle(others, 4, "")), 2);
    assert_int_equal(sl_kept_figures(kept).found, 6);
    assert_int_equal(sl_kept_figures(kept).rows, 3);
    sl_kept_free(kept);
}

static void another_byte_is_another_row(void **state)
{
    (void)state;
    struct sl_kept *kept = sl_kept_new(LIMIT, 7);
    const struct sl_slice rows[] = {resource("a", "x"), resource("a", "y"), resource("a", "xx")};
    for (unsigned i = 0; i < 3; i++)
        for (unsigned n = 0; n < 2; n++)
            read_page(kept, bundle(&rows[0], 1, ""));
    assert_int_equal(sl_kept_figures(kept).rows, 1);
    assert_int_equal(read_page(kept, bundle(&rows[1], 1, "")), 0);
    assert_int_equal(read_page(kept, bundle(&rows[2], 1, "")), 0);
    /* Now each is known, and each is itself. */
    assert_int_equal(read_page(kept, bundle(rows, 3, "")), 3);
    sl_kept_free(kept);
}

/* Where the bytes of a row stand, but are no value there, or no text is good around them. */
static void only_as_a_value(void **state)
{
    (void)state;
    struct sl_kept *kept = sl_kept_new(LIMIT, 7);
    struct sl_slice row = resource("a", ""), page = bundle(&row, 1, "");
    for (unsigned i = 0; i < 2; i++)
        read_page(kept, page);
    const char *begin = sl_slice_find(page, SL_LIT("{\"fullUrl\""), 0);
    row = (struct sl_slice){begin, (size_t)(page.ptr + page.len - 2 - begin)};
    static const struct {
        const char *before, *after;
        size_t known;
    } cases[] = {{"{\"entry\":[", "]}", 1}, {"{\"entry\":[", "1]}", 0}, {"{\"entry\":[", "}]}", 0},
        {"{\"entry\":[", "]", 0}, {"{\"entry\":[", "", 0}, {"{\"a\":\"\\\"entry\":[", "]}", 0},
        {"{\"a\\\"entry\":[", "]}", 0}, {"[\"entry\":[", "]]", 0}, {"{\"a\":\"b\"entry\":[", "]}", 0},
        {"{\"entry\":1,\"entry\":[", "]}", 0}, {"{\"entry\":[", ",]}", 0}, {"{\"entry\":[", ",\"\\u00e4\",2]}", 1},
        {"[[{\"entry\" :[1],\"a\":{\"entry\":[", "],\"entries\":{}}}]]", 1}, {"{\"entry\":[", "],\"b\":\"\xff\"}", 0},
        {"\xef\xbb\xbf{\"entry\":[", "]}", 0}, {"{\"entry\":[", ", \n {\"fullUrl\":1}]}", 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct sl_slice parts[] = {sl_slice_of(cases[i].before), row, sl_slice_of(cases[i].after)};
        struct sl_doc doc;
        assert_int_equal(parse(kept, sl_arena_join(arena, parts, 3), NULL, &doc), cases[i].known);
    }
    sl_kept_free(kept);
}

static void limits_hold(void **state)
{
    (void)state;
    struct sl_kept *kept = sl_kept_new(LIMIT, 7);
    const struct sl_slice rows[] = {resource("a", ""), resource("b", "")};
    struct sl_slice page = bundle(rows, 2, "");
    struct sl_doc doc;
    for (unsigned i = 0; i < 2; i++)
        read_page(kept, page);
    assert_int_equal(parse(kept, page, NULL, &doc), 2);
    uint32_t spans = doc.count;
    for (uint32_t depth = 1; depth < 12; depth++) {
        const struct sl_doc_limits limits = {page.len, spans, depth};
        assert_int_equal(parse(kept, page, &limits, &doc), depth < 8 ? 0 : 2);
    }
    const struct sl_doc_limits fewer = {page.len, spans - 1, 64}, shorter = {page.len - 1, spans, 64};
    assert_int_equal(parse(kept, page, &fewer, &doc), 0);
    assert_int_equal(parse(kept, page, &shorter, &doc), 0);
    sl_kept_free(kept);
}

static void memory_has_a_limit(void **state)
{
    (void)state;
    struct sl_kept *kept = sl_kept_new(SL_KEPT_LEAST, 7);
    struct sl_slice rows[40];
    size_t known = 0;
    for (unsigned n = 0; n < 1200; n++) {
        for (unsigned i = 0; i < 40; i++)
            rows[i] = resource(sl_arena_printf(arena, "r%u", n / 30 * 17 % 600 + i).ptr, "");
        known += read_page(kept, bundle(rows, 40, ""));
        assert_true(sl_kept_figures(kept).bytes <= SL_KEPT_LEAST);
        if (n % 100 == 99) {
            sl_arena_free(arena);
            arena = sl_arena_new((size_t)1 << 30);
        }
    }
    assert_true(sl_kept_figures(kept).dropped > 0 && known > 10000);
    assert_int_equal(sl_kept_figures(kept).kept, sl_kept_figures(kept).rows + sl_kept_figures(kept).dropped);
    sl_kept_free(kept);
}

/* Of twenty times as much as there is room for little is looked at; once little comes again and again, all of it. */
static void rests_where_it_does_not_help(void **state)
{
    (void)state;
    struct sl_kept *kept = sl_kept_new(SL_KEPT_LEAST, 7);
    struct sl_slice rows[40];
    size_t known[3] = {0};
    for (unsigned n = 0; n < 600; n++) {
        unsigned page = n < 300 ? n % 60 : 7;
        for (unsigned i = 0; i < 40; i++)
            rows[i] = resource(sl_arena_printf(arena, "r%u", page * 40 + i).ptr, "");
        known[n < 100 ? 0 : n < 300 ? 1 : 2] += read_page(kept, bundle(rows, 40, ""));
    }

    assert_in_range(known[1], 0, 200 * 40 / 20);
    assert_true(known[2] > 300 * 40 / 4);
    sl_kept_free(kept);
}

static void none_kept_where_there_is_no_room(void **state)
{
    (void)state;
    struct sl_kept *kept = sl_kept_new(0, 7);
    struct sl_slice row = resource("a", ""), page = bundle(&row, 1, "");
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(read_page(kept, page), 0);
    assert_int_equal(sl_kept_figures(kept).bytes, 0);
    sl_kept_free(kept);
    assert_int_equal(read_page(NULL, page), 0);
}

/* A file as a row among others, three times; then as the text itself, and with one bit changed. */
static size_t read_file(struct sl_kept *kept, const char *name, struct sl_slice text)
{
    size_t known = 0;
    const struct sl_slice within[] = {SL_LIT("{\"a\":"), resource(name, ""), SL_LIT(",\"b\":"), text, SL_LIT("}")};
    const struct sl_slice row = sl_arena_join(arena, within, 5), page = bundle(&row, 1, "");
    for (unsigned i = 0; i < 3; i++)
        known += read_page(kept, page);
    read_page(kept, text);
    for (unsigned i = 0; i < 20 && page.len < 20000; i++) {
        char *other = sl_arena_raw(arena, page.len, 1);
        memcpy(other, page.ptr, page.len);
        other[i * 7919 % page.len] ^= (char)(1 << i % 7);
        read_page(kept, (struct sl_slice){other, page.len});
    }
    return known;
}

static void whatever_the_corpus_has(void **state)
{
    static const char *const folders[] = {"span", "edit", "label", "segment"};
    struct sl_kept *kept = sl_kept_new(LIMIT, 7);
    size_t known = 0;
    (void)state;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        char path[512], text[65536];
        snprintf(path, sizeof path, SLUICE_SOURCE "/tests/corpus/%s", folders[i]);
        DIR *folder = opendir(path);
        assert_non_null(folder);
        for (const struct dirent *file; (file = readdir(folder));) {
            snprintf(path, sizeof path, SLUICE_SOURCE "/tests/corpus/%s/%s", folders[i], file->d_name);
            FILE *in = file->d_name[0] == '.' ? NULL : fopen(path, "rb");
            size_t len = in ? fread(text, 1, sizeof text, in) : 0;
            if (in)
                fclose(in);
            known += len ? read_file(kept, file->d_name, (struct sl_slice){text, len}) : 0;
            for (char *line = text, *end; (end = memchr(line, '\n', (size_t)(text + len - line))); line = end + 1)
                known += read_file(kept, file->d_name, (struct sl_slice){line, (size_t)(end - line)});
        }
        closedir(folder);
    }
    assert_in_range(known, 11, 100000);
    sl_kept_free(kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(known_from_the_third_time_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_byte_is_another_row, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_as_a_value, set_up, tear_down),
        cmocka_unit_test_setup_teardown(limits_hold, set_up, tear_down),
        cmocka_unit_test_setup_teardown(memory_has_a_limit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rests_where_it_does_not_help, set_up, tear_down),
        cmocka_unit_test_setup_teardown(none_kept_where_there_is_no_room, set_up, tear_down),
        cmocka_unit_test_setup_teardown(whatever_the_corpus_has, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
