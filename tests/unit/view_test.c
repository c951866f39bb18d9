/* SPDX-License-Identifier: Apache-2.0 */
/* The tag of a view: what it depends on, where it stands, and what clients ask by it. */
#include "view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* One resource at hand, as segmentation leaves it: labels in its meta. */
struct fixture {
    struct sl_arena *arena;
    struct sl_doc doc;
    struct sl_edits *edits;
    struct sl_item item;
    struct sl_blocks out;
};

#define SECURITY "\"security\":[{\"code\":\"N\"}]"

static void begin(struct fixture *f, const char *json)
{
    *f = (struct fixture){.arena = sl_arena_new(8u << 20)};
    assert_int_equal(sl_doc_parse(f->arena, sl_slice_of(json), NULL, &f->doc, NULL), SL_OK);
    f->edits = sl_edits_new(f->arena, &f->doc);
    f->item = (struct sl_item){.doc = &f->doc, .meta = sl_span_member(&f->doc, 0, SL_NAME_meta)};
    f->out = (struct sl_blocks){.arena = f->arena};
    if (f->item.meta)
        sl_edit_add_member(f->edits, f->item.meta, SL_LIT(SECURITY));
    else
        sl_edit_add_member(f->edits, 0, SL_LIT("\"meta\":{" SECURITY "}"));
}

static void end(struct fixture *f)
{
    sl_arena_free(f->arena);
}

/* The view as text, and its tag. */
static char *view_of(struct fixture *f, char tag[SL_VIEW_TAG + 1])
{
    assert_int_equal(sl_view_gather(&f->item, f->edits, f->arena, &f->out), SL_OK);
    char *text = sl_arena_alloc(f->arena, f->out.total + 1);
    size_t at = 0;
    for (const struct sl_block *b = f->out.first; b; at += b->len, b = b->next)
        memcpy(text + at, b->ptr, b->len);
    memcpy(tag, f->item.tag, SL_VIEW_TAG);
    tag[SL_VIEW_TAG] = '\0';
    return text;
}

static void tag_of(const char *json, char tag[SL_VIEW_TAG + 1])
{
    struct fixture f;
    begin(&f, json);
    (void)view_of(&f, tag);
    end(&f);
}

static void test_where_it_stands(void **state)
{
    static const struct {
        const char *json, *expected; /* with the tag in the place of @ */
    } cases[] = {
        {"{\"id\":\"a\",\"meta\":{\"versionId\":\"7\",\"lastUpdated\":\"2026-01-01T00:00:00Z\"},\"x\":1}",
            "{\"id\":\"a\",\"meta\":{\"lastUpdated\":\"2026-01-01T00:00:00Z\"," SECURITY
            ",\"versionId\":\"@\"},\"x\":1}"},
        {"{\"id\":\"a\",\"meta\":{\"lastUpdated\":\"2026-01-01T00:00:00Z\"},\"x\":1}",
            "{\"id\":\"a\",\"meta\":{\"lastUpdated\":\"2026-01-01T00:00:00Z\"," SECURITY
            ",\"versionId\":\"@\"},\"x\":1}"},
        {"{\"id\":\"a\",\"meta\":{\"profile\":[\"p\"],\"_versionId\":{\"id\":\"v\"}}}",
            "{\"id\":\"a\",\"meta\":{\"profile\":[\"p\"]," SECURITY ",\"versionId\":\"@\"}}"},
        {"{\"id\":\"a\"}", "{\"id\":\"a\",\"meta\":{" SECURITY ",\"versionId\":\"@\"}}"},
        {"{\"id\":\"a\",\"meta\":{\"versionId\":\"7\"}}", "{\"id\":\"a\",\"meta\":{" SECURITY ",\"versionId\":\"@\"}}"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        char tag[SL_VIEW_TAG + 1], expected[512];
        begin(&f, cases[i].json);
        const char *text = view_of(&f, tag), *at = strchr(cases[i].expected, '@');
        snprintf(expected, sizeof expected, "%.*s%s%s", (int)(at - cases[i].expected), cases[i].expected, tag, at + 1);
        assert_string_equal(text, expected);
        for (size_t c = 0; c < SL_VIEW_TAG; c++)
            assert_non_null(strchr("abcdefghijklmnopqrstuvwxyz234567", tag[c]));
        f.out = (struct sl_blocks){.arena = f.arena}; /* the same again, and no second member */
        assert_string_equal(view_of(&f, tag), expected);
        end(&f);
    }
}

/* Number and instant are no part of what is hashed; everything else is, cuts and labels as well. */
static void test_what_it_depends_on(void **state)
{
#define DOC(number, instant, rest)                                                                                     \
    "{\"id\":\"a\",\"meta\":{\"versionId\":\"" number "\",\"lastUpdated\":\"" instant "\"},\"x\":" rest "}"
    char first[SL_VIEW_TAG + 1], other[SL_VIEW_TAG + 1];
    (void)state;
    tag_of(DOC("1", "2026-01-01T00:00:00Z", "1"), first);
    tag_of(DOC("22", "2026-05-05T00:00:00.123+02:00", "1"), other);
    assert_string_equal(first, other);
    tag_of(DOC("1", "2026-01-01T00:00:00Z", "2"), other);
    assert_string_not_equal(first, other);
    struct fixture f;
    begin(&f, DOC("1", "2026-01-01T00:00:00Z", "1,\"secret\":[1,2]"));
    sl_edit_cut(f.edits, sl_span_member_key(&f.doc, 0, SL_LIT("secret")));
    (void)view_of(&f, other);
    assert_string_equal(first, other);
    end(&f);
    begin(&f, DOC("1", "2026-01-01T00:00:00Z", "1"));
    sl_edit_replace(f.edits, sl_span_member(&f.doc, f.item.meta, SL_NAME_lastUpdated), SL_LIT("\"2026\""));
    (void)view_of(&f, other);
    assert_string_equal(first, other);
    struct sl_slice updated = sl_view_updated(&f.item, f.edits);
    assert_true(sl_slice_eq(updated, SL_LIT("2026")));
    end(&f);
#undef DOC
}

/* Where the view begins in a block, and where blocks end, makes no difference to tag or text. */
static void test_any_place_in_blocks(void **state)
{
    char json[512];
    char first[SL_VIEW_TAG + 1], tag[SL_VIEW_TAG + 1];
    (void)state;
    snprintf(json, sizeof json, "{\"id\":\"a\",\"meta\":{\"versionId\":\"9\"},\"x\":\"%300d\"}", 1);
    tag_of(json, first);
    for (size_t before = 16384 - 420; before < 16384 + 4; before++) {
        struct fixture f;
        begin(&f, json);
        char *filler = sl_arena_raw(f.arena, before, 1);
        memset(filler, 'f', before);
        sl_blocks_add(&f.out, (struct sl_slice){filler, before});
        const char *text = view_of(&f, tag);
        assert_string_equal(tag, first);
        assert_non_null(strstr(text + before, tag));
        end(&f);
    }
}

static void test_lists(void **state)
{
    static const struct {
        const char *list;
        bool has;
    } cases[] = {{"W/\"abc\"", true}, {"\"abc\"", true}, {"*", true}, {" * ", true}, {"W/\"x\", W/\"abc\"", true},
        {"\"a,b\" ,\"abc\"", true}, {",,\"abc\"", true}, {"", false}, {"abc", false}, {"W/abc", false},
        {"\"ABC\"", false}, {"\"abc", false}, {"\"ab\"", false}, {"\"x\" \"abc\"", false}, {"w/\"abc\"", false}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (sl_view_listed(sl_slice_of(cases[i].list), SL_LIT("abc")) != cases[i].has)
            fail_msg("%s", cases[i].list);
}

static void test_conditions(void **state)
{
    static const struct {
        const char *tags, *tags2, *since;
        bool unchanged;
    } cases[] = {
        {"W/\"abc\"", NULL, NULL, true},
        {"W/\"no\"", NULL, NULL, false},
        {"W/\"no\"", "W/\"abc\"", NULL, true},
        {NULL, NULL, NULL, false},
        {NULL, NULL, "Sun, 01 Mar 2026 10:00:05 GMT", true},
        {NULL, NULL, "Sun, 01 Mar 2026 10:00:04 GMT", false},
        {NULL, NULL, "Sunday, 01-Mar-26 10:00:05 GMT", true},
        {NULL, NULL, "Sun Mar  1 10:00:05 2026", true},
        {NULL, NULL, "2026-03-01T10:00:05Z", false},
        {NULL, NULL, "Sun, 01 Mar 2026 10:00:05 GMT or so", false},
        {"W/\"no\"", NULL, "Sun, 01 Mar 2026 10:00:05 GMT", false}, /* the list alone is asked */
        {"\"", NULL, "Sun, 01 Mar 2026 10:00:05 GMT", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sl_header headers[3];
        struct sl_request request = {.headers = headers};
        const char *const values[] = {cases[i].tags, cases[i].tags2, cases[i].since};
        for (size_t k = 0; k < 3; k++)
            if (values[k])
                headers[request.header_count++] = (struct sl_header){
                    k < 2 ? SL_LIT("If-None-Match") : SL_LIT("If-Modified-Since"), sl_slice_of(values[k])};
        if (sl_view_unchanged(&request, SL_LIT("abc"), SL_LIT("2026-03-01T11:00:05.9+01:00")) != cases[i].unchanged)
            fail_msg("case %zu", i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_where_it_stands),
        cmocka_unit_test(test_what_it_depends_on), cmocka_unit_test(test_any_place_in_blocks),
        cmocka_unit_test(test_lists), cmocka_unit_test(test_conditions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
