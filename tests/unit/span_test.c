/* SPDX-License-Identifier: Apache-2.0 */
/* Is a text refused that is not strict JSON, is every other taken, and do all scanners of this machine see the same? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "span_build.h"
#include "sluice/r4.h"

static struct sl_slice text_of(const char *text)
{
    return (struct sl_slice){text, strlen(text)};
}

struct parsed {
    struct sl_arena *arena;
    char *text; /* a heap block of exactly the text's size, so that the sanitizer sees one byte too far */
    struct sl_doc doc;
    struct sl_doc_error error;
    enum sl_status status;
};

static void parsed_free(struct parsed *p)
{
    sl_arena_free(p->arena);
    free(p->text);
}

static void assert_same(const struct parsed *a, const struct parsed *b, const char *scanner)
{
    if (a->status != b->status || a->doc.count != b->doc.count || a->error.offset != b->error.offset)
        fail_msg("%s: %s, %s at %zu; first scanner: %s, %s at %zu", scanner, sl_status_name(b->status), b->error.why,
            b->error.offset, sl_status_name(a->status), a->error.why, a->error.offset);
    if (a->error.why || b->error.why)
        assert_string_equal(a->error.why, b->error.why);
    if (a->doc.count) {
        assert_memory_equal(a->doc.spans, b->doc.spans, a->doc.count * sizeof *a->doc.spans);
        assert_memory_equal(a->doc.parents, b->doc.parents, a->doc.count * sizeof *a->doc.parents);
    }
}

/* Parses with every scanner; they must agree on everything. */
static struct parsed parse_limited(struct sl_slice text, const struct sl_doc_limits *limits)
{
    struct parsed first = {.text = malloc(text.len)};
    if (text.len)
        memcpy(first.text, text.ptr, text.len);
    struct sl_slice exact = {first.text, text.len};
    for (unsigned i = 0; sl_scanner_at(i); i++) {
        struct parsed other = {.arena = sl_arena_new((size_t)1 << 30)};
        other.status = sl_doc_parse_with(sl_scanner_at(i), other.arena, exact, limits, &other.doc, &other.error);
        if (i == 0) {
            other.text = first.text;
            first = other;
            continue;
        }
        assert_same(&first, &other, sl_scanner_at(i)->name);
        parsed_free(&other);
    }
    return first;
}

static struct parsed parse(struct sl_slice text)
{
    return parse_limited(text, NULL);
}

/* Spans written out: type letter, key, and what is inside. */
static void dump(const struct sl_doc *doc, uint32_t i, char *out, size_t room)
{
    size_t at = strlen(out);
    const struct sl_span *s = &doc->spans[i];
    struct sl_slice key = sl_span_key(doc, i);
    snprintf(out + at, room - at, "%.*s%s%.*s ", SL_FMT(key), s->flags & SL_SPAN_MEMBER ? "=" : "",
        s->type == SL_SPAN_OBJECT || s->type == SL_SPAN_ARRAY ? 1 : (int)(s->end - s->begin), doc->text.ptr + s->begin);
    for (uint32_t c = i + 1; c < s->next; c = doc->spans[c].next) {
        assert_int_equal(doc->parents[c], i);
        dump(doc, c, out, room);
    }
    at = strlen(out);
    if (s->type == SL_SPAN_OBJECT || s->type == SL_SPAN_ARRAY)
        snprintf(out + at, room - at, "%c ", doc->text.ptr[s->end - 1]);
}

static const struct {
    const char *json, *dump;
} accepted[] = {
    {"1", "1 "},
    {" -0 ", "-0 "},
    {"1.10", "1.10 "},
    {"\t-12.5E+007\n", "-12.5E+007 "},
    {"0e1", "0e1 "},
    {"\"\"", "\"\" "},
    {"true", "true "},
    {"\r\nfalse", "false "},
    {"null ", "null "},
    {"\"a\\n\\u00e9\"", "\"a\\n\\u00e9\" "},
    {"[]", "[ ] "},
    {"{}", "{ } "},
    {" [ ] ", "[ ] "},
    {"{ \n}", "{ } "},
    {"[[],{},[[]]]", "[ [ ] { } [ [ ] ] ] "},
    {"{\"a\":1,\"b\":[2,{\"c\":\"3\"}],\"\":null}", "{ a=1 b=[ 2 { c=\"3\" } ] =null } "},
    {"{ \"a\" : { } , \"b\"\t:\r\n[ 1 , 2 ] }", "{ a={ } b=[ 1 2 ] } "},
    {"[1 ,\"x\" ,true ]", "[ 1 \"x\" true ] "},
    {"{\"given\":1,\"_given\":2,\"__given\":3,\"_\":4}", "{ given=1 _given=2 __given=3 _=4 } "},
    {"[\"\\\"\",\"\\\\\",\"\\\\\\\"\",\"{\"]", "[ \"\\\"\" \"\\\\\" \"\\\\\\\"\" \"{\" ] "},
    {"\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"", "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\" "},
    {"\"\x7f\"", "\"\x7f\" "},
};

static void test_accepts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++) {
        struct parsed p = parse(text_of(accepted[i].json));
        if (p.status != SL_OK)
            fail_msg("%s: %s at %zu", accepted[i].json, p.error.why, p.error.offset);
        char got[512] = "";
        dump(&p.doc, 0, got, sizeof got);
        assert_string_equal(got, accepted[i].dump);
        assert_int_equal(p.doc.spans[0].next, p.doc.count);
        parsed_free(&p);
    }
}

static const struct {
    const char *json;
    size_t offset;
    const char *why;
} refused[] = {
    {"", 0, "no value"},
    {" \n", 0, "no value"},
    {"[", 1, "the text ends too soon"},
    {"{", 1, "the text ends too soon"},
    {"[1,", 3, "the text ends too soon"},
    {"[1", 2, "the text ends too soon"},
    {"{\"a\"", 4, "the text ends too soon"},
    {"{\"a\":", 5, "the text ends too soon"},
    {"{\"a\":1", 6, "the text ends too soon"},
    {"{\"a\":1,", 7, "the text ends too soon"},
    {"[[[]]", 5, "the text ends too soon"},
    {"{\"a\":{}", 7, "the text ends too soon"},
    {"[1,]", 3, "a value was expected"},
    {"[,1]", 1, "a value was expected"},
    {"[1 2]", 3, "',' or ']' was expected"},
    {"[1}", 2, "',' or ']' was expected"},
    {"{\"a\":1]", 6, "',' or '}' was expected"},
    {"[1:2]", 2, "',' or ']' was expected"},
    {"{\"a\" 1}", 5, "':' was expected"},
    {"{\"a\",1}", 4, "':' was expected"},
    {"{1:2}", 1, "a key was expected"},
    {"{\"a\":1,}", 7, "a key was expected"},
    {"{,}", 1, "a key was expected"},
    {"{\"a\"::1}", 5, "a value was expected"},
    {"{\"a\":}", 5, "a value was expected"},
    {"[\"a\"\"b\"]", 4, "',' or ']' was expected"},
    {"[\"a\"b]", 4, "',' or ']' was expected"},
    {"[b\"a\"]", 1, "a value was expected"},
    {"1 2", 2, "more after the value"},
    {"{}{}", 2, "more after the value"},
    {"[] ,", 3, "more after the value"},
    {"\"a\" \"b\"", 4, "more after the value"},
    {"[]]", 2, "more after the value"},
    {"]", 0, "a value was expected"},
    {",", 0, "a value was expected"},
    {":", 0, "a value was expected"},
    {"01", 0, "a value was expected"},
    {"-", 0, "a value was expected"},
    {"+1", 0, "a value was expected"},
    {"1.", 0, "a value was expected"},
    {".5", 0, "a value was expected"},
    {"1e", 0, "a value was expected"},
    {"1e+", 0, "a value was expected"},
    {"0x1", 0, "a value was expected"},
    {"1_0", 0, "a value was expected"},
    {"-01", 0, "a value was expected"},
    {"[1.2.3]", 1, "a value was expected"},
    {"[--1]", 1, "a value was expected"},
    {"tru", 0, "a value was expected"},
    {"truee", 0, "a value was expected"},
    {"True", 0, "a value was expected"},
    {"nul", 0, "a value was expected"},
    {"[NaN]", 1, "a value was expected"},
    {"[Infinity]", 1, "a value was expected"},
    {"'a'", 0, "a value was expected"},
    {"{a:1}", 1, "a key was expected"},
    {"[1]//x", 3, "more after the value"},
    {"[/**/]", 1, "a value was expected"},
    {"<html>", 0, "a value was expected"},
    {"[\\n]", 1, "a value was expected"},
    {"\xef\xbb\xbf{}", 0, "a value was expected"},
    {"[\x0b]", 1, "a value was expected"},
    {"\"a", 0, "a string without an end"},
    {"[\"a\\\"]", 1, "a string without an end"},
    {"{\"a", 1, "a string without an end"},
    {"\"a\tb\"", 2, "a control character in a string"},
    {"[1,\"\x01\"]", 4, "a control character in a string"},
    {"\"a\nb", 2, "a control character in a string"},
    {"\"\\x\"", 1, "a bad escape"},
    {"\"\\u12\"", 1, "a bad escape"},
    {"\"\\u12g4\"", 1, "a bad escape"},
    {"\"\\ud800\"", 1, "a bad escape"},
    {"\"\\udc00\"", 1, "a bad escape"},
    {"\"\\ud800\\ud800\"", 1, "a bad escape"},
    {"\"\\ud83d\\n\"", 1, "a bad escape"},
    {"[\"\\n\",\"\\U0041\"]", 7, "a bad escape"},
    {"{\"\\u0061\":1}", 2, "an escape in a key"},
    {"{\"a\":1,\"b\\n\":1}", 9, "an escape in a key"},
    {"\"\xff\"", 1, "not UTF-8"},
    {"[\"\xc3\"]", 2, "not UTF-8"},
    {"[\"\xed\xa0\x80\"]", 2, "not UTF-8"},
    {"\x80", 0, "not UTF-8"},
    {"12\x80", 2, "not UTF-8"},
    {"[1\x80", 2, "not UTF-8"},
    {"[\"a\xe2\x82", 3, "not UTF-8"},
    {"\"\xc0\xaf\"", 1, "not UTF-8"},
    /* The first fault counts, whichever stage sees it. */
    {"[1 2,\"\xff\"]", 3, "',' or ']' was expected"},
    {"[1,\"\xff\",1 2]", 4, "not UTF-8"},
    {"<a href=\"x", 0, "a value was expected"},
    {"{} \xff", 3, "not UTF-8"},
    /* Duplicate keys: known, sibling, unknown, empty. */
    {"{\"given\":1,\"given\":2}", 11, "a duplicate key"},
    {"{\"_given\":1,\"a\":0,\"_given\":2}", 18, "a duplicate key"},
    {"{\"zz1\":1,\"zz1\":2}", 9, "a duplicate key"},
    {"{\"_zz1\":1,\"_zz1\":2}", 10, "a duplicate key"},
    {"{\"\":1,\"\":2}", 6, "a duplicate key"},
    {"{\"a\":{\"given\":{}},\"b\":[{\"id\":1,\"id\":1}]}", 31, "a duplicate key"},
    {"{\"given\":{\"given\":{\"given\":0}},\"x\":0,\"given\":2}", 37, "a duplicate key"},
    /* In an object that begins as the one before it does. */
    {"[{\"id\":1,\"url\":2},{\"id\":1,\"id\":2}]", 26, "a duplicate key"},
    {"[{\"id\":1,\"url\":2},{\"id\":1,\"url\":2,\"id\":3}]", 34, "a duplicate key"},
    {"[{\"id\":1,\"url\":2},{\"url\":1,\"url\":2}]", 27, "a duplicate key"},
    {"[{\"id\":{\"zz\":1},\"a\":2},{\"id\":{\"zz\":1,\"zz\":1},\"a\":2}]", 37, "a duplicate key"},
    {"[{\"id\":1,\"a\":{\"b\":1},\"c\":1},{\"id\":1,\"a\":{\"zz\":1},\"id\":2}]", 49, "a duplicate key"},
    {"[{\"id\":[{\"a\":1}],\"b\":2},{\"id\":[{\"a\":1},{\"a\":1,\"a\":1}],\"b\":2}]", 46, "a duplicate key"},
    {"[{\"_id\":1,\"id\":2},{\"_id\":1,\"_id\":2}]", 27, "a duplicate key"},
};

static void test_refuses(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct parsed p = parse(text_of(refused[i].json));
        if (p.status != SL_SYNTAX || p.error.offset != refused[i].offset || strcmp(p.error.why, refused[i].why) != 0)
            fail_msg("%s: %s, %s at %zu", refused[i].json, sl_status_name(p.status), p.error.why, p.error.offset);
        assert_null(p.doc.spans);
        assert_int_equal(p.doc.count, 0);
        parsed_free(&p);
    }
}

/* Every case again behind 0 to 130 spaces, so that it lies across the bounds of blocks in every way. */
static void test_every_offset(void **state)
{
    (void)state;
    char text[256];
    for (size_t shift = 0; shift <= 130; shift++) {
        memset(text, ' ', shift);
        for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++) {
            strcpy(text + shift, accepted[i].json);
            struct parsed p = parse(text_of(text));
            assert_int_equal(p.status, SL_OK);
            parsed_free(&p);
        }
        for (size_t i = 2; i < sizeof refused / sizeof *refused; i++) {
            strcpy(text + shift, refused[i].json);
            struct parsed p = parse(text_of(text));
            assert_int_equal(p.status, SL_SYNTAX);
            if (p.error.offset != refused[i].offset + shift)
                fail_msg("%s behind %zu spaces: %s at %zu", refused[i].json, shift, p.error.why, p.error.offset);
            parsed_free(&p);
        }
    }
}

/* What is within a string or escaped must not be taken for structure, whatever the block. */
static void test_runs_of_backslashes(void **state)
{
    (void)state;
    char text[400];
    for (size_t shift = 0; shift < 70; shift++)
        for (size_t slashes = 0; slashes < 132; slashes += slashes < 6 ? 1 : 9) {
            memset(text, ' ', shift);
            text[shift] = '"';
            memset(text + shift + 1, '\\', slashes);
            strcpy(text + shift + 1 + slashes, "\"");
            struct parsed p = parse(text_of(text));
            assert_int_equal(p.status, slashes % 2 ? SL_SYNTAX : SL_OK);
            parsed_free(&p);
        }
}

/* Is it UTF-8? Said by decoding, unlike what is tested. */
static bool is_utf8(const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n;) {
        uint32_t c = p[i++], least = 0, more = 0;
        if (c >= 0x80) {
            more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
            least = more == 3 ? 0x10000 : more == 2 ? 0x800 : 0x80;
            if (c < 0xc0 || c > 0xf7)
                return false;
            c &= 0x3fu >> more;
        }
        for (; more; more--, i++) {
            if (i == n || (p[i] & 0xc0) != 0x80)
                return false;
            c = c << 6 | (p[i] & 0x3f);
        }
        if (c < least || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
            return false;
    }
    return true;
}

/* All sequences of four bytes that stand at the bounds of the table, ending at, and lying across, bounds of registers.
 */
static void test_utf8(void **state)
{
    (void)state;
    static const unsigned char bytes[] = {
        0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xed, 0xef, 0xf0, 0xf1, 0xf4, 0xf5};
    enum { N = sizeof bytes };
    static const size_t offsets[] = {1, 29, 30, 31, 61, 62, 63};
    struct sl_arena *arena = sl_arena_new(1 << 20);
    unsigned char text[80];
    size_t good = 0;
    for (size_t i = 0; i < (size_t)N * N * N * N; i++) {
        unsigned char quad[4] = {bytes[i % N], bytes[i / N % N], bytes[i / N / N % N], bytes[i / N / N / N]};
        size_t offset = offsets[i % 7];
        memset(text, 'a', sizeof text);
        text[0] = '"';
        memcpy(text + offset, quad, 4);
        text[offset + 4] = '"';
        bool expected = is_utf8(quad, 4);
        good += expected;
        for (unsigned s = 0; sl_scanner_at(s); s++) {
            struct sl_doc doc;
            struct sl_doc_error error;
            sl_arena_reset(arena);
            enum sl_status status = sl_doc_parse_with(
                sl_scanner_at(s), arena, (struct sl_slice){(char *)text, offset + 5}, NULL, &doc, &error);
            if ((status == SL_OK) != expected)
                fail_msg("%s: %02x %02x %02x %02x at %zu", sl_scanner_at(s)->name, quad[0], quad[1], quad[2], quad[3],
                    offset);
        }
    }
    assert_true(good > 100);
    sl_arena_free(arena);
}

static bool in_list(const char *name, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(name, *list) == 0)
            return true;
    return false;
}

static struct sl_slice read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    char *text = malloc((size_t)size + 1);
    assert_int_equal(fread(text, 1, (size_t)size, file), size);
    fclose(file);
    return (struct sl_slice){text, (size_t)size};
}

static void test_json_test_suite(void **state)
{
    (void)state;
    /* RFC 8259 leaves both to the parser; we refuse duplicate keys and escapes in keys. */
    static const char *const ours[] = {"y_object_duplicated_key.json", "y_object_duplicated_key_and_value.json",
        "y_object_escaped_null_in_key.json", NULL};
    const char *folder = SLUICE_SHARED "/data/jsontestsuite/test_parsing";
    DIR *listing = opendir(folder);
    if (!listing) {
        printf("no JSONTestSuite beside the project: skipped\n");
        skip();
    }
    unsigned seen = 0;
    for (struct dirent *entry; (entry = readdir(listing));) {
        if (!strchr("yni", entry->d_name[0]) || entry->d_name[1] != '_')
            continue;
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        struct sl_slice text = read_file(path);
        struct parsed p = parse(text);
        bool right = entry->d_name[0] == 'y' && !in_list(entry->d_name, ours) ? p.status == SL_OK : p.status != SL_OK;
        if (entry->d_name[0] != 'i' && !right)
            fail_msg("%s: %s", entry->d_name, sl_status_name(p.status));
        parsed_free(&p);
        free((void *)(uintptr_t)text.ptr);
        seen++;
    }
    closedir(listing);
    assert_true(seen > 300);
}

static void test_depth(void **state)
{
    (void)state;
    char text[400];
    for (size_t depth = 60; depth < 70; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        struct parsed p = parse((struct sl_slice){text, 2 * depth});
        assert_int_equal(p.status, depth <= 64 ? SL_OK : SL_LIMIT);
        if (depth > 64) {
            assert_int_equal(p.error.offset, 64);
            assert_string_equal(p.error.why, "nested too deep");
        }
        parsed_free(&p);
    }
    struct sl_doc_limits limits = {1000, 1000, 0};
    struct parsed p = parse_limited(SL_LIT("7"), &limits);
    assert_int_equal(p.status, SL_OK);
    parsed_free(&p);
    p = parse_limited(SL_LIT("[]"), &limits);
    assert_int_equal(p.status, SL_LIMIT);
    parsed_free(&p);
}

/* A gigabyte of opening brackets: one megabyte, mapped a thousand times over. Refused long before its end is read. */
static void test_a_gigabyte_deep(void **state)
{
    (void)state;
    const size_t piece = 1 << 20, whole = piece << 10;
    int file = memfd_create("deep", 0);
    char *brackets = malloc(piece), *text = mmap(NULL, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(brackets, '[', piece);
    assert_true(file >= 0 && text != MAP_FAILED && write(file, brackets, piece) == (ssize_t)piece);
    for (size_t at = 0; at < whole; at += piece)
        assert_ptr_not_equal(mmap(text + at, piece, PROT_READ, MAP_SHARED | MAP_FIXED, file, 0), MAP_FAILED);
    struct sl_doc_limits limits = {0xfffffff0u, 1u << 20, 64};
    for (unsigned i = 0; sl_scanner_at(i); i++) {
        struct sl_arena *arena = sl_arena_new((size_t)1 << 30);
        struct sl_doc doc;
        struct sl_doc_error error;
        clock_t begin = clock();
        assert_int_equal(
            sl_doc_parse_with(sl_scanner_at(i), arena, (struct sl_slice){text, whole}, &limits, &doc, &error),
            SL_LIMIT);
        assert_int_equal(error.offset, 64);
        assert_true(clock() - begin < CLOCKS_PER_SEC / 2);
        sl_arena_free(arena);
    }
    struct sl_arena *arena = sl_arena_new(1 << 20);
    struct sl_doc doc;
    assert_int_equal(sl_doc_parse(arena, (struct sl_slice){text, whole}, NULL, &doc, NULL), SL_LIMIT);
    assert_int_equal(sl_arena_used(arena), 0);
    sl_arena_free(arena);
    munmap(text, whole);
    close(file);
    free(brackets);
}

static void test_limits(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        uint32_t values;
    } cases[] = {
        {"1", 1}, {"\"a\"", 1}, {"[]", 1}, {"[1,2,3]", 4}, {"[[],[],{}]", 4}, {"{\"a\":[],\"b\":{\"c\":[1]}}", 5}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sl_doc_limits limits = {strlen(cases[i].json), cases[i].values, 64};
        struct parsed p = parse_limited(text_of(cases[i].json), &limits);
        assert_int_equal(p.status, SL_OK);
        assert_int_equal(p.doc.count, cases[i].values);
        parsed_free(&p);
        limits.spans--;
        p = parse_limited(text_of(cases[i].json), &limits);
        assert_int_equal(p.status, SL_LIMIT);
        assert_string_equal(p.error.why, "too many values");
        parsed_free(&p);
        limits = (struct sl_doc_limits){strlen(cases[i].json) - 1, 10, 64};
        p = parse_limited(text_of(cases[i].json), &limits);
        assert_int_equal(p.status, SL_LIMIT);
        assert_string_equal(p.error.why, "too many bytes");
        parsed_free(&p);
    }
}

/* An object of `count` members, whose keys are their numbers with `digits` digits, every other one a '_' sibling's; or,
 * for no digits, the names of R4. Member `twin` has the key of member 3. */
static char *make_object(unsigned count, unsigned twin, int digits, size_t *twin_offset)
{
    char *text = malloc((size_t)count * 60 + 10), *to = text;
    *to++ = '{';
    for (unsigned i = 0; i < count; i++) {
        unsigned number = i == twin ? 3 : i;
        if (i)
            *to++ = ',';
        if (i == twin)
            *twin_offset = (size_t)(to - text);
        *to++ = '"';
        if (digits)
            to += sprintf(to, "%sk%0*u", number % 2 ? "_" : "", digits, number);
        else
            to += sprintf(to, "%.*s", SL_FMT(sl_name_text((sl_name)(number + 1))));
        to += sprintf(to, "\":%u", i);
    }
    strcpy(to, "}");
    return text;
}

/* Large objects of unknown keys, of long ones alike but for their ends, and of all the names of R4. */
static void test_many_keys(void **state)
{
    (void)state;
    static const struct {
        int digits;
        unsigned count;
    } cases[] = {{1, 8}, {1, 9}, {1, 10}, {1, 17}, {1, 200000}, {21, 100000}, {0, 20}, {0, SL_NAMES - 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t offset = 0;
        char *text = make_object(cases[i].count, UINT32_MAX, cases[i].digits, &offset);
        struct parsed p = parse(text_of(text));
        assert_int_equal(p.status, SL_OK);
        assert_int_equal(p.doc.count, cases[i].count + 1);
        parsed_free(&p);
        free(text);
        text = make_object(cases[i].count, cases[i].count - 1, cases[i].digits, &offset);
        p = parse(text_of(text));
        assert_int_equal(p.status, SL_SYNTAX);
        assert_string_equal(p.error.why, "a duplicate key");
        assert_int_equal(p.error.offset, offset);
        parsed_free(&p);
        free(text);
    }
}

static void test_members(void **state)
{
    (void)state;
    struct parsed p = parse(SL_LIT(
        "{\"zzz\":[1],\"given\" : [\"A\"],\n\"_given\"\t:[{\"id\":\"x\"}],\"id\":\"7\",\"_\":0,\"\":1,\"_zzz\":{}}"));
    sl_name given = sl_name_find("given", 5), id = sl_name_find("id", 2);
    assert_int_not_equal(given, 0);
    uint32_t a = sl_span_member(&p.doc, 0, given), b = sl_span_sibling(&p.doc, 0, given);
    assert_true(sl_slice_eq(sl_span_text(&p.doc, a), SL_LIT("[\"A\"]")));
    assert_true(sl_slice_eq(sl_span_key(&p.doc, a), SL_LIT("given")));
    assert_true(sl_slice_eq(sl_span_text(&p.doc, b), SL_LIT("[{\"id\":\"x\"}]")));
    assert_true(sl_slice_eq(sl_span_key(&p.doc, b), SL_LIT("_given")));
    assert_int_equal(p.doc.spans[a].name, given);
    assert_int_equal(p.doc.spans[a].flags, SL_SPAN_MEMBER);
    assert_int_equal(p.doc.spans[b].name, given);
    assert_int_equal(p.doc.spans[b].flags, SL_SPAN_MEMBER | SL_SPAN_SIBLING);
    assert_int_equal(p.doc.spans[0].flags, SL_SPAN_PAIRED);
    assert_int_equal(sl_span_sibling(&p.doc, 0, id), 0);
    assert_int_equal(sl_span_member(&p.doc, 0, 0), 0);
    assert_int_equal(sl_span_member(&p.doc, a, given), 0);
    assert_int_equal(sl_span_member(&p.doc, sl_span_member(&p.doc, 0, id), id), 0);
    uint32_t z = sl_span_member_key(&p.doc, 0, SL_LIT("zzz"));
    assert_int_equal(z, 1);
    assert_int_equal(p.doc.spans[z].name, 0);
    assert_int_equal(p.doc.spans[z + 1].flags, 0);
    assert_true(sl_slice_eq(sl_span_text(&p.doc, sl_span_member_key(&p.doc, 0, SL_LIT(""))), SL_LIT("1")));
    assert_true(sl_slice_eq(sl_span_text(&p.doc, sl_span_member_key(&p.doc, 0, SL_LIT("_"))), SL_LIT("0")));
    assert_int_equal(
        p.doc.spans[sl_span_member_key(&p.doc, 0, SL_LIT("_zzz"))].flags, SL_SPAN_MEMBER | SL_SPAN_SIBLING);
    assert_int_equal(sl_span_member_key(&p.doc, 0, SL_LIT("nothing")), 0);
    assert_int_equal(sl_span_member_key(&p.doc, z, SL_LIT("zzz")), 0);
    assert_int_equal(sl_span_key(&p.doc, 0).len, 0);
    parsed_free(&p);
}

static void test_strings(void **state)
{
    (void)state;
    const struct {
        const char *json;
        struct sl_slice value;
        bool escaped;
    } cases[] = {
        {"\"F11.20\"", SL_LIT("F11.20"), false},
        {"\"F11\\u002e20\"", SL_LIT("F11.20"), true},
        {"\"\\u0046\\u0031\\u0031\\u002E\\u0032\\u0030\"", SL_LIT("F11.20"), true},
        {"\"\"", SL_LIT(""), false},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", SL_LIT("\"\\/\b\f\n\r\t"), true},
        {"\"a\\u0000b\"", SL_LIT("a\0b"), true},
        {"\"\\u00e9\\u07ff\\u0800\\uffff\"", SL_LIT("\xc3\xa9\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf"), true},
        {"\"\\ud83d\\ude00\"", SL_LIT("\xf0\x9f\x98\x80"), true},
        {"\"\\uD800\\uDC00\"", SL_LIT("\xf0\x90\x80\x80"), true},
        {"\"\\udbff\\udfff!\"", SL_LIT("\xf4\x8f\xbf\xbf!"), true},
        {"\"\xc3\xa9\"", SL_LIT("\xc3\xa9"), false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct parsed p = parse(text_of(cases[i].json));
        assert_int_equal(p.status, SL_OK);
        assert_int_equal(p.doc.spans[0].flags, cases[i].escaped ? SL_SPAN_ESCAPED : 0);
        struct sl_slice value = sl_span_string(&p.doc, 0, p.arena), longer = sl_arena_copy(p.arena, cases[i].value);
        longer.len++; /* with the NUL behind it */
        assert_true(sl_slice_eq(value, cases[i].value));
        assert_true(sl_span_is(&p.doc, 0, cases[i].value));
        assert_false(sl_span_is(&p.doc, 0, longer));
        assert_true(value.len == 0 || !sl_span_is(&p.doc, 0, (struct sl_slice){value.ptr, value.len - 1}));
        assert_false(sl_span_is(&p.doc, 0, SL_LIT("F11.21")));
        parsed_free(&p);
    }
    struct parsed p = parse(SL_LIT("[7,\"\\n\"]"));
    assert_null(sl_span_string(&p.doc, 1, p.arena).ptr);
    assert_false(sl_span_is(&p.doc, 1, SL_LIT("7")));
    assert_null(sl_span_raw(&p.doc, 1).ptr);
    struct sl_arena *poor = sl_arena_new(0);
    assert_null(sl_span_string(&p.doc, 2, poor).ptr);
    assert_true(sl_arena_failed(poor));
    sl_arena_free(poor);
    parsed_free(&p);
}

static unsigned random_below(uint64_t *seed, unsigned limit)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(*seed >> 33) % limit;
}

/* Texts made of the bytes that matter: almost all are refused, and all scanners must say the same, down to the offset.
 */
static void test_random_texts(void **state)
{
    (void)state;
    static const char *const pieces[] = {"{", "}", "[", "]", ":", ",", "\"", "\\", "\\\"", "\\u00e9", " ", "\n", "1",
        "-1.5e3", "true", "null", "\"a\"", "\"given\":", "\xc3\xa9", "\xe2\x82", "\xff", "\x01", "[]", "{\"a\":[1,2],",
        "aaaaaaaaaaaaaaaa", "                                ", "[1,[2,[3,\"4\"]]],", "\"\xf0\x9f\x98\x80\","};
    uint64_t seed = 1;
    unsigned taken = 0;
    for (int i = 0; i < 20000; i++) {
        char text[2048] = "";
        for (unsigned n = random_below(&seed, 40); n > 0; n--)
            strcat(text, pieces[random_below(&seed, sizeof pieces / sizeof *pieces)]);
        struct parsed p = parse(text_of(text));
        taken += p.status == SL_OK;
        parsed_free(&p);
    }
    assert_true(taken > 0);
}

static const char *const alike_keys[] = {"id", "_id", "given", "_given", "zz", "_zz", "a", "valueQuantity",
    "effectiveDateTime", "anExtensionThatIsNoNameOfR4", ""};
#define ALIKE (sizeof alike_keys / sizeof *alike_keys)

/* An object whose keys are mostly those at `order`; true: one of them stands there twice, in it or in one within. */
static bool write_alike(char **to, uint64_t *seed, const unsigned *order, unsigned count, unsigned depth)
{
    static const char *const gaps[] = {"", "", "", " ", "\n  "};
    bool twice = false, used[ALIKE] = {false};
    const char *before = gaps[random_below(seed, 5)], *behind = gaps[random_below(seed, 5)];
    *to += sprintf(*to, "{");
    for (unsigned i = 0; i < count; i++) {
        unsigned key = random_below(seed, 40) ? order[i] : random_below(seed, ALIKE);
        twice |= used[key];
        used[key] = true;
        *to += sprintf(*to, "%s\"%s\"%s:%s", i ? "," : "", alike_keys[key], before, behind);
        switch (depth ? order[i] % 4 : 0) {
        case 1:
            twice |= write_alike(to, seed, order, count - 1, depth - 1);
            break;
        case 2:
            *to += sprintf(*to, "[");
            for (unsigned n = random_below(seed, 3); n; n--) {
                twice |= write_alike(to, seed, order, count - 1, depth - 1);
                *to += sprintf(*to, ",");
            }
            *to += sprintf(*to, "7]");
            break;
        default:
            *to += sprintf(*to, random_below(seed, 30) ? "\"x\"" : "[1,2]");
        }
    }
    *to += sprintf(*to, "}");
    return twice;
}

/* Objects with the keys of the one before, or nearly: each key is what it is, and none may stand twice. */
static void test_alike(void **state)
{
    (void)state;
    static char text[1 << 20];
    uint64_t seed = 3;
    unsigned refusals = 0;
    for (int round = 0; round < 1500; round++) {
        unsigned order[6], count = 2 + random_below(&seed, 5), first = random_below(&seed, ALIKE);
        bool twice = false;
        char *to = text + sprintf(text, "{\"entry\":[");
        for (unsigned i = 0; i < count; i++)
            order[i] = (first + i) % ALIKE;
        for (unsigned n = 1 + random_below(&seed, 5); n; n--) {
            twice |= write_alike(&to, &seed, order, count, 2);
            to += sprintf(to, n > 1 ? "," : "]}");
        }
        struct parsed p = parse(text_of(text));
        assert_int_equal(p.status, twice ? SL_SYNTAX : SL_OK);
        refusals += twice;
        for (uint32_t i = 0; i < p.doc.count; i++) {
            const struct sl_span *span = &p.doc.spans[i];
            struct sl_slice key = sl_span_key(&p.doc, i);
            bool sibling = key.len && key.ptr[0] == '_';
            assert_int_equal(span->name, sl_name_find(key.ptr + sibling, key.len - sibling));
            assert_int_equal((span->flags & SL_SPAN_SIBLING) != 0, sibling);
            assert_int_equal(
                (span->flags & SL_SPAN_MEMBER) != 0, p.doc.spans[p.doc.parents[i]].type == SL_SPAN_OBJECT && i);
            if (sibling)
                assert_true(p.doc.spans[p.doc.parents[i]].flags & SL_SPAN_PAIRED);
        }
        parsed_free(&p);
    }
    assert_in_range(refusals, 100, 1400);
}

/* A right text of some kilobytes with one byte changed, so that faults lie far from the beginning. */
static void test_one_wrong_byte(void **state)
{
    (void)state;
    char text[12000] = "[", *to = text + 1;
    while (to < text + 9000)
        to += sprintf(to, "{\"id\" : \"%d\", \"given\":[\"\xc3\xa9\\u00e9\",null , -%d.5e1],\n \"x\":{}},",
            (int)(to - text), (int)(to - text));
    strcpy(to, "0]");
    struct sl_slice right = text_of(text);
    struct parsed p = parse(right);
    assert_int_equal(p.status, SL_OK);
    parsed_free(&p);
    uint64_t seed = 2;
    static const char bytes[] = "{}[]:,\"\\ \n1a\x01\x80\xc3\xe2\xff";
    for (int i = 0; i < 5000; i++) {
        size_t at = random_below(&seed, (unsigned)right.len);
        char old = text[at];
        text[at] = bytes[random_below(&seed, sizeof bytes)];
        p = parse(right);
        if (p.status != SL_OK)
            assert_true(p.error.offset <= right.len);
        parsed_free(&p);
        text[at] = old;
    }
}

/* Whatever the point at which memory runs out: an error, no document, no crash. */
static void test_failing_memory(void **state)
{
    (void)state;
    char *json = make_object(12, UINT32_MAX, 1, NULL);
    enum sl_status status = SL_NO_MEMORY;
    for (size_t ceiling = 0; status != SL_OK; ceiling += 16) {
        struct sl_arena *arena = sl_arena_new(ceiling);
        struct sl_doc doc;
        struct sl_doc_error error;
        status = sl_doc_parse(arena, text_of(json), NULL, &doc, &error);
        if (status != SL_OK) {
            assert_int_equal(status, SL_NO_MEMORY);
            assert_null(doc.spans);
            assert_non_null(error.why);
        }
        sl_arena_free(arena);
        assert_true(ceiling < 65536);
    }
    free(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_every_offset),
        cmocka_unit_test(test_runs_of_backslashes),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_json_test_suite),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_a_gigabyte_deep),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_many_keys),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_random_texts),
        cmocka_unit_test(test_alike),
        cmocka_unit_test(test_one_wrong_byte),
        cmocka_unit_test(test_failing_memory),
    };
    printf("scanners:");
    for (unsigned i = 0; sl_scanner_at(i); i++)
        printf(" %s", sl_scanner_at(i)->name);
    printf("\n");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
