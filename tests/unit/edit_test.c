/* SPDX-License-Identifier: Apache-2.0 */
/* Do edits leave valid JSON, take what belongs together, and leave the rest byte for byte? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sluice/edit.h"

/* A document in a heap block of exactly its size, so that the sanitizer sees one byte too far. */
struct fixture {
    struct sl_arena *arena;
    char *text;
    struct sl_doc doc;
    struct sl_edits *edits;
};

static void fixture_init(struct fixture *f, const char *json)
{
    f->arena = sl_arena_new(64u << 20);
    f->text = malloc(strlen(json));
    memcpy(f->text, json, strlen(json));
    enum sl_status status = sl_doc_parse(f->arena, (struct sl_slice){f->text, strlen(json)}, NULL, &f->doc, NULL);
    assert_int_equal(status, SL_OK);
    f->edits = sl_edits_new(f->arena, &f->doc);
    assert_non_null(f->edits);
}

static void fixture_fini(struct fixture *f)
{
    sl_arena_free(f->arena);
    free(f->text);
}

/* "name.0._given": from `at` by keys, and by numbers in arrays. */
static uint32_t find(const struct sl_doc *doc, uint32_t at, const char *path)
{
    while (*path) {
        size_t length = strcspn(path, ".");
        uint32_t to = 0;
        if (doc->spans[at].type == SL_SPAN_ARRAY) {
            to = at + 1;
            for (unsigned long i = strtoul(path, NULL, 10); i > 0; i--)
                to = doc->spans[to].next;
            assert_true(to < doc->spans[at].next);
        } else {
            to = sl_span_member_key(doc, at, (struct sl_slice){path, length});
            assert_int_not_equal(to, 0);
        }
        at = to;
        path += length + (path[length] == '.');
    }
    return at;
}

static struct sl_slice gather(struct fixture *f, uint32_t root)
{
    struct sl_blocks blocks = {.arena = f->arena};
    assert_int_equal(sl_edit_gather(f->edits, root, &blocks), SL_OK);
    char *all = sl_arena_raw(f->arena, blocks.total + 1, 1);
    size_t at = 0;
    for (struct sl_block *b = blocks.first; b; b = b->next) {
        if (b->next)
            assert_true(b->len >= 16384);
        memcpy(all + at, b->ptr, b->len);
        at += b->len;
    }
    assert_int_equal(at, blocks.total);
    return (struct sl_slice){all, at};
}

static void assert_gathers(struct fixture *f, uint32_t root, const char *expected, const char *what)
{
    struct sl_slice got = gather(f, root);
    if (!sl_slice_eq(got, sl_slice_of(expected)))
        fail_msg("%s: got %.*s, not %s", what, SL_FMT(got), expected);
}

struct cut_case {
    const char *json, *cuts /* paths, separated by a space */, *expected;
};

static const struct cut_case cut_cases[] = {
    /* No edit: nothing changes. */
    {"{ \"a\" : 1.10 ,\n\t\"b\":[ ] }", "", "{ \"a\" : 1.10 ,\n\t\"b\":[ ] }"},
    {" [1] ", "", "[1]"},
    /* One comma, and white space as a person would leave it. */
    {"[1, 2,  3 ]", "0", "[2,  3 ]"},
    {"[1, 2,  3 ]", "1", "[1,  3 ]"},
    {"[1, 2,  3 ]", "2", "[1, 2 ]"},
    {"[1, 2,  3 ]", "0 1", "[3 ]"},
    {"[1, 2,  3 ]", "1 2", "[1 ]"},
    {"[1, 2,  3 ]", "0 2", "[2 ]"},
    {"[1, 2,  3 ]", "2 0", "[2 ]"},
    {"[1 ,2 ,3]", "1", "[1 ,3]"},
    {"[1 ,2 ,3]", "2", "[1 ,2]"},
    {"[1,2,3]", "0 0 0", "[2,3]"},
    {"{\n  \"a\": 1,\n  \"b\": 2,\n  \"c\": 3\n}", "a", "{\n  \"b\": 2,\n  \"c\": 3\n}"},
    {"{\n  \"a\": 1,\n  \"b\": 2,\n  \"c\": 3\n}", "b", "{\n  \"a\": 1,\n  \"c\": 3\n}"},
    {"{\n  \"a\": 1,\n  \"b\": 2,\n  \"c\": 3\n}", "c", "{\n  \"a\": 1,\n  \"b\": 2\n}"},
    {"{\n  \"a\": 1,\n  \"b\": 2,\n  \"c\": 3\n}", "b c", "{\n  \"a\": 1\n}"},
    {"{\n  \"a\": 1,\n  \"b\": 2,\n  \"c\": 3\n}", "c b", "{\n  \"a\": 1\n}"},
    {"{\"a\" : 1 , \"b\" : 2}", "a", "{\"b\" : 2}"},
    {"{\"a\":\", \\\"b\\\": \",\"c\":[\"]\"]}", "a", "{\"c\":[\"]\"]}"},
    /* What is within a cut may be cut too. */
    {"{\"a\":{\"b\":[1,2]},\"c\":3}", "a.b.0 a a.b", "{\"c\":3}"},
    {"{\"a\":{\"b\":[1,2]},\"c\":3}", "a a.b.0", "{\"c\":3}"},
    /* Emptied containers go, those empty from the start stay, the root stays. */
    {"{\"a\":{\"b\":[1]},\"c\":3}", "a.b.0", "{\"c\":3}"},
    {"{\"a\":{\"b\":[1],\"d\":{}},\"c\":3}", "a.b.0", "{\"a\":{\"d\":{}},\"c\":3}"},
    {"{\"a\":[[],{}],\"c\":3}", "c", "{\"a\":[[],{}]}"},
    {"{\"a\":[[],{}],\"c\":3}", "a.0", "{\"a\":[{}],\"c\":3}"},
    {"{\"a\":[[],{}],\"c\":3}", "a.1 a.0", "{\"c\":3}"},
    {"{ \"a\" : 1 }", "a", "{}"},
    {"[ [ [ 1 ] ] ]", "0.0.0", "[]"},
    {"[[[1], [2]], 3]", "0.0.0", "[[[2]], 3]"},
    {"[[[1], [2]], 3]", "0.1.0", "[[[1]], 3]"},
    {"[[1,2],[3,4]]", "0.1 1.0", "[[1],[4]]"},
    {"[[1,2],3]", "0.1 1", "[[1]]"},
    {"[[[1],2],3]", "0.1 1", "[[[1]]]"},
    {"[[[1],2],3]", "0.0 1", "[[2]]"},
    /* The last cut of one container is no neighbour of a child of another. */
    {"[[1], 2, 3]", "0.0 1", "[3]"},
    {"[[0,1], 2, 3]", "0.0 0.1 1", "[3]"},
    {"[[0,[1]], 2, 3]", "0.1.0 1", "[[0], 3]"},
    /* An element and its '_' sibling. */
    {"{\"given\":[\"A\"],\"_given\":[{\"id\":\"x\"}],\"id\":1}", "given", "{\"id\":1}"},
    {"{\"given\":[\"A\"],\"_given\":[{\"id\":\"x\"}],\"id\":1}", "_given", "{\"id\":1}"},
    {"{\"birthDate\":\"1970\",\"id\":1,\"_birthDate\":{\"id\":\"x\"}}", "birthDate", "{\"id\":1}"},
    {"{\"birthDate\":\"1970\",\"id\":1,\"_birthDate\":{\"id\":\"x\"}}", "_birthDate.id",
        "{\"birthDate\":\"1970\",\"id\":1}"},
    {"{\"zzz\":1,\"_zzz\":{\"a\":2},\"_zzy\":3}", "zzz", "{\"_zzy\":3}"},
    {"{\"_zzz\":1,\"__zzz\":2,\"zzz\":3,\"y\":4}", "zzz", "{\"__zzz\":2,\"y\":4}"},
    {"{\"given\":[\"A\",\"B\"],\"_given\":[null,{\"id\":\"x\"}]}", "given.1", "{\"given\":[\"A\"]}"},
    {"{\"given\":[\"A\",\"B\"],\"_given\":[null,{\"id\":\"x\"}]}", "given.0",
        "{\"given\":[\"B\"],\"_given\":[{\"id\":\"x\"}]}"},
    {"{\"given\":[\"A\",\"B\"],\"_given\":[null,{\"id\":\"x\"}]}", "_given.1", "{\"given\":[\"A\"]}"},
    {"{\"given\":[\"A\",null],\"_given\":[null,{\"id\":\"x\"}]}", "given.0",
        "{\"given\":[null],\"_given\":[{\"id\":\"x\"}]}"},
    {"{\"a\":1,\"given\":[\"A\",null],\"_given\":[null,{\"id\":\"x\"}]}", "given.0 _given.1", "{\"a\":1}"},
    {"{\"given\":[\"A\",\"B\",\"C\"],\"_given\":[null,{\"id\":\"x\"},{\"id\":\"y\"}]}", "_given.1.id",
        "{\"given\":[\"A\",\"B\",\"C\"],\"_given\":[null,null,{\"id\":\"y\"}]}"},
    {"{\"given\":[\"A\",\"B\"],\"_given\":[null,{\"id\":\"x\"}]}", "_given.1.id", "{\"given\":[\"A\",\"B\"]}"},
    {"{\"given\":[\"A\",null],\"_given\":[null,{\"id\":\"x\"}]}", "_given.1.id", "{\"given\":[\"A\"]}"},
    {"{\"a\":1,\"given\":[null],\"_given\":[{\"id\":\"x\"}]}", "_given.0.id", "{\"a\":1}"},
    {"{\"given\":[\"A\"],\"_given\":[{\"id\":\"x\"},{\"id\":\"y\"}]}", "given.0", "{\"_given\":[{\"id\":\"y\"}]}"},
    {"{\"given\":[\"A\",\"B\"],\"_given\":[{\"id\":\"x\"}]}", "given.1",
        "{\"given\":[\"A\"],\"_given\":[{\"id\":\"x\"}]}"},
    {"{\"given\":\"A\",\"_given\":[{\"id\":\"x\"}],\"a\":1}", "given", "{\"a\":1}"},
    {"[{\"given\":[\"A\",\"B\"],\"_given\":[{\"id\":\"x\"},null]}, 2]", "0.given.1 0.given.0", "[2]"},
};

static void cut_paths(struct fixture *f, const char *cuts)
{
    char path[64];
    int used;
    for (; sscanf(cuts, "%63s%n", path, &used) == 1; cuts += used)
        sl_edit_cut(f->edits, find(&f->doc, 0, path));
}

static void test_cuts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cut_cases / sizeof *cut_cases; i++) {
        struct fixture f;
        fixture_init(&f, cut_cases[i].json);
        cut_paths(&f, cut_cases[i].cuts);
        assert_gathers(&f, 0, cut_cases[i].expected, cut_cases[i].json);
        assert_gathers(&f, 0, cut_cases[i].expected, "a second time");
        fixture_fini(&f);
    }
}

/* Each case again, its cuts in the opposite order. */
static void test_order_does_not_matter(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cut_cases / sizeof *cut_cases; i++) {
        struct fixture f;
        fixture_init(&f, cut_cases[i].json);
        char paths[128];
        snprintf(paths, sizeof paths, "%s", cut_cases[i].cuts);
        for (char *space = paths; *paths; *space = '\0') {
            space = strrchr(paths, ' ');
            sl_edit_cut(f.edits, find(&f.doc, 0, space ? space + 1 : paths));
            space = space ? space : paths;
        }
        assert_gathers(&f, 0, cut_cases[i].expected, cut_cases[i].json);
        fixture_fini(&f);
    }
}

static void test_is_cut(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, "{\"a\":{\"b\":[1,2]},\"c\":{\"d\":3},\"e\":4,"
                     "\"given\":[\"A\",\"B\"],\"_given\":[null,{\"id\":\"x\"}]}");
    const struct {
        const char *path;
        bool cut;
    } cases[] = {{"a", true}, {"a.b", true}, {"a.b.0", true}, {"a.b.1", true}, {"c", true}, {"c.d", true}, {"e", false},
        {"given", false}, {"given.0", false}, {"given.1", false}, {"_given", true}, {"_given.0", true},
        {"_given.1", true}, {"_given.1.id", true}};
    sl_edit_cut(f.edits, find(&f.doc, 0, "a"));
    sl_edit_cut(f.edits, find(&f.doc, 0, "c.d"));
    sl_edit_cut(f.edits, find(&f.doc, 0, "_given.1.id"));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (sl_edit_is_cut(f.edits, find(&f.doc, 0, cases[i].path)) != cases[i].cut)
            fail_msg("%s", cases[i].path);
    assert_false(sl_edit_is_cut(f.edits, 0));
    sl_edit_cut(f.edits, find(&f.doc, 0, "e"));
    sl_edit_cut(f.edits, find(&f.doc, 0, "given"));
    assert_true(sl_edit_is_cut(f.edits, 0));
    fixture_fini(&f);
}

static void test_walk(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, "[0,[1],2,3,4]");
    cut_paths(&f, "0 1.0 3");
    char seen[8] = "";
    for (uint32_t c = sl_edit_first(f.edits, 0); c; c = sl_edit_next(f.edits, c))
        strncat(seen, sl_span_text(&f.doc, c).ptr, 1);
    assert_string_equal(seen, "24");
    cut_paths(&f, "2 4");
    assert_int_equal(sl_edit_first(f.edits, 0), 0);
    fixture_fini(&f);
}

enum act { CUT, REPLACE, ADD };
struct step {
    enum act act;
    const char *path, *text;
};
struct step_case {
    const char *json;
    struct step steps[4];
    const char *expected;
};

static const struct step_case step_cases[] = {
    {"{}", {{ADD, "", "\"a\":1"}}, "{\"a\":1}"},
    {"{ }", {{ADD, "", "\"a\":1"}, {ADD, "", "\"b\":2"}}, "{\"a\":1,\"b\":2 }"},
    {"{\n  \"z\": 0\n}", {{ADD, "", "\"a\":1"}}, "{\n  \"z\": 0,\"a\":1\n}"},
    {"[[],[1]]", {{ADD, "0", "7"}, {ADD, "1", "8"}, {ADD, "", "9"}}, "[[7],[1,8],9]"},
    {"[[[1]]]", {{ADD, "0", "8"}, {ADD, "0.0", "7"}, {ADD, "", "9"}}, "[[[1,7],8],9]"},
    /* All children go, but one comes: the container stays, whichever is said first. */
    {"{\"a\":[1, 2],\"b\":0}", {{CUT, "a.0", ""}, {CUT, "a.1", ""}, {ADD, "a", "3"}}, "{\"a\":[3],\"b\":0}"},
    {"{\"a\":[1, 2],\"b\":0}", {{ADD, "a", "3"}, {CUT, "a.0", ""}, {CUT, "a.1", ""}}, "{\"a\":[3],\"b\":0}"},
    {"[{\"a\":{\"b\":1}}, 2]", {{CUT, "0.a.b", ""}, {ADD, "0.a", "\"c\":3"}}, "[{\"a\":{\"c\":3}}, 2]"},
    {"[{\"a\":{\"b\":1}}, 2]", {{CUT, "0.a.b", ""}, {CUT, "1", ""}, {ADD, "0.a", "\"c\":3"}}, "[{\"a\":{\"c\":3}}]"},
    {"[{\"a\":{\"b\":1}}, 2]", {{CUT, "0.a.b", ""}, {CUT, "1", ""}, {ADD, "0", "\"c\":3"}}, "[{\"c\":3}]"},
    {"{\"a\":1}", {{CUT, "a", ""}, {ADD, "", "\"b\":2"}}, "{\"b\":2}"},
    {"[1, 2]", {{CUT, "1", ""}, {ADD, "", "3"}}, "[1,3]"},
    {"[1, 2 ]", {{CUT, "0", ""}, {ADD, "", "3"}}, "[2,3 ]"},
    /* What is cut stays cut. */
    {"[[1], 2]", {{CUT, "0", ""}, {ADD, "0", "3"}}, "[2]"},
    {"[[1], 2]", {{ADD, "0", "3"}, {CUT, "0", ""}}, "[2]"},
    {"[[1], 2]", {{CUT, "0", ""}, {REPLACE, "0.0", "3"}, {REPLACE, "0", "4"}}, "[2]"},
    {"[1, 2]", {{REPLACE, "0", "3"}, {CUT, "0", ""}}, "[2]"},
    /* Replacing. */
    {"{\"a\" : 1.10 , \"b\":2}", {{REPLACE, "a", "\"x\""}}, "{\"a\" : \"x\" , \"b\":2}"},
    {"[ {\"a\":1} ]", {{REPLACE, "0", "[]"}, {CUT, "0.a", ""}}, "[ [] ]"},
    {"[ {\"a\":1} ]", {{CUT, "0.a", ""}, {REPLACE, "0", "[]"}}, "[ [] ]"},
    {"[ {\"a\":1} ]", {{REPLACE, "0", "2"}, {REPLACE, "0", "3"}}, "[ 3 ]"},
    {"[ {\"a\":1} ]", {{REPLACE, "0", "2"}, {ADD, "0", "\"b\":3"}}, "[ 2 ]"},
    {"7", {{REPLACE, "", "8"}}, "8"},
    {"[1,2]", {{REPLACE, "0", "3"}, {CUT, "1", ""}}, "[3]"},
    /* A null that now has a value keeps its place and its sibling's. */
    {"{\"given\":[null,\"B\"],\"_given\":[{\"id\":\"x\"},{\"id\":\"y\"}]}",
        {{REPLACE, "given.0", "\"A\""}, {CUT, "_given.0.id", ""}},
        "{\"given\":[\"A\",\"B\"],\"_given\":[null,{\"id\":\"y\"}]}"},
    {"{\"given\":[\"A\",\"B\"],\"_given\":[null,{\"id\":\"x\"}]}", {{CUT, "_given.1.id", ""}, {ADD, "_given", "7"}},
        "{\"given\":[\"A\",\"B\"],\"_given\":[7]}"},
};

static void take_step(struct fixture *f, const struct step *step)
{
    uint32_t i = find(&f->doc, 0, step->path);
    struct sl_slice text = sl_slice_of(step->text);
    if (step->act == CUT)
        sl_edit_cut(f->edits, i);
    else if (step->act == REPLACE)
        sl_edit_replace(f->edits, i, text);
    else if (f->doc.spans[i].type == SL_SPAN_OBJECT)
        sl_edit_add_member(f->edits, i, text);
    else
        sl_edit_add_item(f->edits, i, text);
}

static void test_steps(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof step_cases / sizeof *step_cases; i++) {
        struct fixture f;
        fixture_init(&f, step_cases[i].json);
        for (const struct step *s = step_cases[i].steps; s < step_cases[i].steps + 4 && s->path; s++)
            take_step(&f, s);
        assert_gathers(&f, 0, step_cases[i].expected, step_cases[i].json);
        fixture_fini(&f);
    }
}

static void test_replacement_is_seen(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, "[{\"a\":1},2]");
    assert_null(sl_edit_replacement(f.edits, 1).ptr);
    sl_edit_replace(f.edits, 1, SL_LIT("\"x\""));
    assert_true(sl_slice_eq(sl_edit_replacement(f.edits, 1), SL_LIT("\"x\"")));
    assert_false(sl_edit_is_cut(f.edits, 1));
    assert_true(sl_edit_is_cut(f.edits, 2));
    sl_edit_cut(f.edits, 1);
    assert_null(sl_edit_replacement(f.edits, 1).ptr);
    fixture_fini(&f);
}

static void test_roots(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, "[{\"a\":1, \"b\":[2,3]}, {\"c\":4}, {\"d\":5}, 6]");
    cut_paths(&f, "3 2 1.c 0.b.0");
    assert_gathers(&f, find(&f.doc, 0, "0"), "{\"a\":1, \"b\":[3]}", "an inner root");
    assert_gathers(&f, find(&f.doc, 0, "0.b"), "[3]", "an inner array");
    assert_gathers(&f, find(&f.doc, 0, "0.a"), "1", "a scalar");
    assert_gathers(&f, find(&f.doc, 0, "1"), "{}", "an emptied root stays");
    assert_gathers(&f, find(&f.doc, 0, "2"), "", "a cut root gives nothing");
    assert_gathers(&f, find(&f.doc, 0, "2.d"), "", "nor does what is in it");
    assert_gathers(&f, 0, "[{\"a\":1, \"b\":[3]}]", "all");
    sl_edit_cut(f.edits, 0);
    assert_gathers(&f, 0, "", "the whole");
    fixture_fini(&f);
}

/* A million items of a hostile array and its sibling, and as many unknown members, each cut by itself, in either order.
 */
static void test_many_cuts_stay_linear(void **state)
{
    (void)state;
    enum { N = 100000 };
    for (int backwards = 0; backwards < 2; backwards++) {
        char *json = malloc(N * 40), *to = json;
        to += sprintf(to, "{\"given\":[1");
        for (int i = 1; i < N; i++)
            to += sprintf(to, ",1");
        to += sprintf(to, "],\"_given\":[{}");
        for (int i = 1; i < N; i++)
            to += sprintf(to, ",{}");
        *to++ = ']';
        for (int i = 0; i < N; i++)
            to += sprintf(to, ",\"_x%d\":1", i);
        strcpy(to, "}");
        struct fixture f;
        fixture_init(&f, json);
        uint32_t *members = malloc(2 * N * sizeof *members), count = 0;
        for (uint32_t c = find(&f.doc, 0, "given") + 1, i = 0; i < N; c = f.doc.spans[c].next, i++)
            members[count++] = c;
        for (uint32_t c = find(&f.doc, 0, "_x0"); c < f.doc.count; c = f.doc.spans[c].next)
            members[count++] = c;
        for (uint32_t i = 0; i < count; i++)
            sl_edit_cut(f.edits, members[backwards ? count - 1 - i : i]);
        assert_gathers(&f, 0, "{}", "all cut");
        free(members);
        free(json);
        fixture_fini(&f);
    }
}

static void test_blocks(void **state)
{
    (void)state;
    struct sl_arena *arena = sl_arena_new(8u << 20);
    struct sl_blocks blocks = {.arena = arena, .limit = 1000003};
    char piece[1000];
    for (size_t i = 0; i < sizeof piece; i++)
        piece[i] = (char)('a' + i % 26);
    for (int i = 0; i < 1000; i++)
        sl_blocks_add(&blocks, (struct sl_slice){piece, sizeof piece});
    assert_false(blocks.failed);
    assert_int_equal(blocks.total, 1000000);
    size_t at = 0;
    for (struct sl_block *b = blocks.first; b; b = b->next) {
        assert_true(b->next == NULL || b->len >= 16384);
        for (size_t i = 0; i < b->len; i++, at++)
            assert_int_equal(b->ptr[i], piece[at % 1000]);
    }
    assert_int_equal(at, 1000000);
    sl_blocks_add(&blocks, SL_LIT("123"));
    assert_false(blocks.failed);
    sl_blocks_add(&blocks, SL_LIT("4"));
    assert_true(blocks.failed);
    sl_arena_free(arena);
}

static void test_limits(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, "[1,2,3]");
    struct sl_blocks small = {.arena = f.arena, .limit = 6};
    assert_int_equal(sl_edit_gather(f.edits, 0, &small), SL_LIMIT);
    struct sl_arena *arena = sl_arena_new(1000);
    struct sl_blocks poor = {.arena = arena};
    assert_int_equal(sl_edit_gather(f.edits, 0, &poor), SL_NO_MEMORY);
    sl_arena_free(arena);
    fixture_fini(&f);
}

/* Whatever the point at which memory runs out: an error, and everything counts as cut; never the uncut text. */
static void test_failing_memory(void **state)
{
    (void)state;
    static const char json[] = "{\"given\":[\"A\",\"B\"],\"_given\":[null,{\"id\":\"x\"}],\"secret\":[1],\"id\":\"7\"}";
    bool passed = false;
    for (size_t ceiling = 16; !passed; ceiling += 16) {
        struct fixture f;
        fixture_init(&f, json);
        struct sl_arena *arena = sl_arena_new(ceiling);
        struct sl_edits *edits = sl_edits_new(arena, &f.doc);
        struct sl_blocks blocks = {.arena = f.arena};
        if (edits) {
            sl_edit_cut(edits, find(&f.doc, 0, "secret.0"));
            sl_edit_cut(edits, find(&f.doc, 0, "given.1"));
            sl_edit_add_member(edits, 0, SL_LIT("\"new\":1"));
            passed = sl_edit_gather(edits, 0, &blocks) == SL_OK;
            if (passed)
                assert_memory_equal(blocks.first->ptr, "{\"given\":[\"A\"],\"id\":\"7\",\"new\":1}", blocks.total);
            else
                assert_int_equal(blocks.total == 0 || blocks.total < sizeof json, 1);
            assert_true(sl_edit_is_cut(edits, find(&f.doc, 0, "secret.0")));
        }
        sl_arena_free(arena);
        fixture_fini(&f);
    }
}

/*
 * The property: for generated documents and random cuts, what is gathered is what a tree with the same nodes taken out
 * would print. The tree is the test's own: node i of it is span i.
 */
enum { NODES = 200 };
struct node {
    char type; /* '{', '[' or a scalar */
    unsigned parent, children, left;
    bool cut, gone;
    char text[16];
};
struct model {
    struct node nodes[NODES];
    unsigned count;
    uint64_t seed;
    char json[NODES * 64], *to;
};

static unsigned random_below(struct model *m, unsigned limit)
{
    m->seed = m->seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(m->seed >> 33) % limit;
}

static void write_space(struct model *m)
{
    for (unsigned n = random_below(m, 3); n > 0; n--)
        *m->to++ = " \n\t"[random_below(m, 3)];
}

static void generate(struct model *m, unsigned parent, unsigned depth)
{
    static const char *const scalars[] = {"1.10", "-0", "true", "null", "\"a,b\"", "\"]\"", "\"\\\"\"", "\"{\""};
    unsigned i = m->count++, kind = random_below(m, depth > 5 ? 2 : 5);
    struct node *node = &m->nodes[i];
    *node = (struct node){.type = kind < 2 ? 's' : kind < 4 ? '{' : '[', .parent = parent};
    if (node->type == 's') {
        strcpy(node->text, scalars[random_below(m, 8)]);
        m->to = stpcpy(m->to, node->text);
        return;
    }
    *m->to++ = node->type;
    for (unsigned n = random_below(m, 6); node->children < n && m->count + 8 < NODES; node->children++) {
        if (node->children) {
            write_space(m);
            *m->to++ = ',';
        }
        write_space(m);
        if (node->type == '{') {
            m->to += sprintf(m->to, "\"k%u\"", m->count);
            write_space(m);
            *m->to++ = ':';
            write_space(m);
        }
        generate(m, i, depth + 1);
    }
    write_space(m);
    *m->to++ = node->type == '{' ? '}' : ']';
}

/* Marks what is gone: cut, within what is cut, and containers whose children, having been, all are. */
static void settle(struct model *m)
{
    for (unsigned i = 0; i < m->count; i++) {
        m->nodes[i].gone = m->nodes[i].cut || (i && m->nodes[m->nodes[i].parent].gone);
        m->nodes[i].left = m->nodes[i].children;
    }
    for (unsigned i = m->count; i-- > 0;) {
        struct node *node = &m->nodes[i];
        node->gone |= node->children && !node->left;
        if (i && node->gone)
            m->nodes[node->parent].left--;
    }
}

static void print(const struct model *m, unsigned i, char **to)
{
    const struct node *node = &m->nodes[i];
    if (node->type == 's') {
        *to = stpcpy(*to, node->text);
        return;
    }
    *(*to)++ = node->type;
    bool comma = false;
    for (unsigned c = i + 1; c < m->count; c++) {
        if (m->nodes[c].parent != i || m->nodes[c].gone)
            continue;
        if (comma)
            *(*to)++ = ',';
        if (node->type == '{')
            *to += sprintf(*to, "\"k%u\":", c);
        print(m, c, to);
        comma = true;
    }
    *(*to)++ = node->type == '{' ? '}' : ']';
}

/* No string of these documents holds white space. */
static size_t without_space(struct sl_slice text, char *out)
{
    size_t length = 0;
    for (size_t i = 0; i < text.len; i++)
        if (!strchr(" \n\t", text.ptr[i]))
            out[length++] = text.ptr[i];
    return length;
}

static void check_model(struct model *m, struct fixture *f)
{
    char expected[NODES * 64], got[NODES * 64], *to = expected;
    settle(m);
    for (unsigned i = 0; i < m->count; i++)
        if (sl_edit_is_cut(f->edits, i) != m->nodes[i].gone)
            fail_msg("node %u of %s", i, m->json);
    struct sl_slice out = gather(f, 0);
    size_t length = without_space(out, got);
    if (!m->nodes[0].cut)
        print(m, 0, &to);
    if (length != (size_t)(to - expected) || memcmp(got, expected, length) != 0)
        fail_msg("%.*s\nnot %.*s\nof %s", SL_FMT(out), (int)(to - expected), expected, m->json);
    struct sl_doc doc;
    if (out.len)
        assert_int_equal(sl_doc_parse(f->arena, out, NULL, &doc, NULL), SL_OK);
}

static void test_property(void **state)
{
    (void)state;
    static struct model m;
    for (uint64_t seed = 1; seed <= 3000; seed++) {
        m = (struct model){.seed = seed, .to = m.json};
        generate(&m, 0, 0);
        struct fixture f;
        fixture_init(&f, m.json);
        assert_int_equal(f.doc.count, m.count);
        assert_gathers(&f, 0, m.json, "no edits");
        for (unsigned cuts = random_below(&m, 1 + m.count / 3); cuts > 0; cuts--) {
            unsigned i = random_below(&m, m.count);
            m.nodes[i].cut = true;
            sl_edit_cut(f.edits, i);
        }
        check_model(&m, &f);
        fixture_fini(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_order_does_not_matter),
        cmocka_unit_test(test_is_cut),
        cmocka_unit_test(test_walk),
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_replacement_is_seen),
        cmocka_unit_test(test_roots),
        cmocka_unit_test(test_property),
        cmocka_unit_test(test_many_cuts_stay_linear),
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_failing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
