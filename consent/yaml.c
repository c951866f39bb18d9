/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The strict YAML reader: see sluice/yaml.h. libyaml finds the events; this file builds the tree with a stack of its
 * own and refuses what the subset does not have. Never recursive: depth is bounded by the stack.
 */
#include "sluice/yaml.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <yaml.h>

#define WORD_LIMIT 64u /* longer words are never near to any */

struct building {
    const struct sl_yaml_source *source;
    struct sl_yaml *stack[SL_YAML_DEPTH]; /* the open containers, outermost first */
    size_t depth, nodes;
    struct sl_yaml *root;
    struct sl_slice key; /* read and waiting for its value, in a map */
    size_t key_line, key_column;
    bool has_key;
};

static struct sl_issue *place(struct sl_issue *issue, struct sl_slice file, size_t line, size_t column)
{
    if (issue) {
        issue->file = file;
        issue->line = line;
        issue->column = column;
    }
    return issue;
}

/* One mistake of form: the parse ends with it. */
static enum sl_status refuse(const struct sl_yaml_source *source, size_t line, size_t column, const char *code,
    const char *text, const char *fix)
{
    struct sl_issue *issue = sl_issue_add(source->issues, SL_GRADE_ERROR, code, "%s", text);
    if (place(issue, source->file, line, column) && fix)
        issue->fix = sl_slice_of(fix);
    return SL_SYNTAX;
}

static enum sl_status refuse_at(
    const struct building *b, const yaml_event_t *event, const char *code, const char *text, const char *fix)
{
    return refuse(b->source, event->start_mark.line + 1, event->start_mark.column + 1, code, text, fix);
}

static bool in_map(const struct building *b)
{
    return b->depth && b->stack[b->depth - 1]->kind == SL_YAML_MAP;
}

/* A scalar in a map that waits for a key is a key. */
static enum sl_status take_key(struct building *b, const yaml_event_t *event)
{
    struct sl_slice text = {(const char *)event->data.scalar.value, event->data.scalar.length};
    if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && sl_slice_eq(text, SL_LIT("<<")))
        return refuse_at(b, event, "yaml-merge", "Merge keys are not part of this language.", "Write the members out.");
    if (!text.len || memchr(text.ptr, '\0', text.len))
        return refuse_at(b, event, "yaml-key", "A key is empty.", "Give the key a name.");
    b->key = sl_arena_copy(b->source->arena, text);
    b->key_line = event->start_mark.line + 1;
    b->key_column = event->start_mark.column + 1;
    b->has_key = true;
    return b->key.ptr ? SL_OK : SL_NO_MEMORY;
}

static void link_child(struct sl_yaml *parent, struct sl_yaml *node)
{
    if (parent->last)
        parent->last->next = node;
    else
        parent->first = node;
    parent->last = node;
    parent->count++;
}

static enum sl_status add_node(
    struct building *b, const yaml_event_t *event, enum sl_yaml_kind kind, struct sl_yaml **out)
{
    if (in_map(b) && !b->has_key)
        return refuse_at(b, event, "yaml-key", "A key must be plain text.", NULL);
    if (++b->nodes > SL_YAML_NODES)
        return refuse_at(b, event, "yaml-limit", "The file holds too many values.", NULL);
    struct sl_yaml *node = sl_arena_alloc(b->source->arena, sizeof *node);
    if (!node)
        return SL_NO_MEMORY;
    *node = (struct sl_yaml){.kind = kind, .line = event->start_mark.line + 1, .column = event->start_mark.column + 1};
    if (in_map(b)) {
        node->key = b->key;
        node->key_line = b->key_line;
        node->key_column = b->key_column;
        b->has_key = false;
    }
    if (b->depth)
        link_child(b->stack[b->depth - 1], node);
    else
        b->root = node;
    *out = node;
    return SL_OK;
}

static enum sl_status add_scalar(struct building *b, const yaml_event_t *event)
{
    if (in_map(b) && !b->has_key)
        return take_key(b, event);
    struct sl_slice text = {(const char *)event->data.scalar.value, event->data.scalar.length};
    if (text.len && memchr(text.ptr, '\0', text.len))
        return refuse_at(b, event, "yaml-syntax", "A value holds a NUL character.", NULL);
    struct sl_yaml *node;
    SL_TRY(add_node(b, event, SL_YAML_SCALAR, &node));
    node->text = sl_arena_copy(b->source->arena, text);
    return node->text.ptr ? SL_OK : SL_NO_MEMORY;
}

static enum sl_status open_container(struct building *b, const yaml_event_t *event, enum sl_yaml_kind kind)
{
    struct sl_yaml *node;
    SL_TRY(add_node(b, event, kind, &node));
    if (b->depth == SL_YAML_DEPTH)
        return refuse_at(b, event, "yaml-limit", "The file is nested too deeply.", NULL);
    b->stack[b->depth++] = node;
    return SL_OK;
}

static int by_key(const void *a, const void *b)
{
    const struct sl_yaml *x = *(const struct sl_yaml *const *)a, *y = *(const struct sl_yaml *const *)b;
    size_t shorter = x->key.len < y->key.len ? x->key.len : y->key.len;
    int order = memcmp(x->key.ptr, y->key.ptr, shorter);
    if (!order)
        order = (x->key.len > y->key.len) - (x->key.len < y->key.len);
    if (!order) /* equal keys: in the order of the file, so that the later one is the duplicate */
        order = x->key_line != y->key_line ? (x->key_line > y->key_line) - (x->key_line < y->key_line)
                                           : (x->key_column > y->key_column) - (x->key_column < y->key_column);
    return order;
}

/* Sorted, so that a long map costs no square. */
static enum sl_status refuse_duplicates(const struct building *b, const struct sl_yaml *map)
{
    const struct sl_yaml **members = sl_arena_array(b->source->arena, map->count, sizeof(*members));
    if (!members)
        return SL_NO_MEMORY;
    size_t count = 0;
    for (const struct sl_yaml *member = map->first; member; member = member->next)
        members[count++] = member;
    qsort(members, count, sizeof(*members), by_key);
    for (size_t i = 1; i < count; i++) {
        if (!sl_slice_eq(members[i - 1]->key, members[i]->key))
            continue;
        struct sl_issue *issue = sl_issue_add(b->source->issues, SL_GRADE_ERROR, "duplicate-key",
            "The key \"%.*s\" stands here a second time; the first is on line %zu.", SL_FMT(members[i]->key),
            members[i - 1]->key_line);
        if (place(issue, b->source->file, members[i]->key_line, members[i]->key_column))
            issue->fix = SL_LIT("Remove one of the two.");
        return SL_SYNTAX;
    }
    return SL_OK;
}

static enum sl_status close_container(struct building *b)
{
    SL_ASSERT(b->depth);
    const struct sl_yaml *node = b->stack[--b->depth];
    return node->kind == SL_YAML_MAP && node->count > 1 ? refuse_duplicates(b, node) : SL_OK;
}

/* Anchors and tags may stand at any node; the answer is the same for all. */
static enum sl_status refuse_decoration(
    const struct building *b, const yaml_event_t *event, const yaml_char_t *anchor, const yaml_char_t *tag)
{
    if (anchor)
        return refuse_at(b, event, "yaml-anchor", "Anchors are not part of this language.", "Write the value out.");
    if (tag)
        return refuse_at(b, event, "yaml-tag", "Tags are not part of this language.", "Remove the word with the '!'.");
    return SL_OK;
}

static enum sl_status begin_document(const struct building *b, const yaml_event_t *event)
{
    const yaml_tag_directive_t *first = event->data.document_start.tag_directives.start;
    if (event->data.document_start.version_directive || first != event->data.document_start.tag_directives.end)
        return refuse_at(
            b, event, "yaml-directive", "Directives (%) are not part of this language.", "Remove the line.");
    if (b->root)
        return refuse_at(b, event, "yaml-documents", "A second document begins here.", "Make it a file of its own.");
    return SL_OK;
}

static enum sl_status take(struct building *b, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        return begin_document(b, event);
    case YAML_ALIAS_EVENT:
        return refuse_at(b, event, "yaml-anchor", "Aliases are not part of this language.", "Write the value out.");
    case YAML_SCALAR_EVENT:
        SL_TRY(refuse_decoration(b, event, event->data.scalar.anchor, event->data.scalar.tag));
        return add_scalar(b, event);
    case YAML_SEQUENCE_START_EVENT:
        SL_TRY(refuse_decoration(b, event, event->data.sequence_start.anchor, event->data.sequence_start.tag));
        return open_container(b, event, SL_YAML_LIST);
    case YAML_MAPPING_START_EVENT:
        SL_TRY(refuse_decoration(b, event, event->data.mapping_start.anchor, event->data.mapping_start.tag));
        return open_container(b, event, SL_YAML_MAP);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return close_container(b);
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return SL_OK;
    }
    return SL_SYNTAX;
}

/* The reader knows an offset only; columns are characters, so what continues one in UTF-8 is not counted. */
static void place_bad_byte(struct sl_issue *issue, struct sl_slice file, struct sl_slice text, size_t offset)
{
    size_t line = 1, column = 1;
    for (size_t i = 0; i < offset && i < text.len; i++) {
        bool ends = text.ptr[i] == '\n';
        line += ends;
        column = ends ? 1 : column + (((unsigned char)text.ptr[i] & 0xC0) != 0x80);
    }
    place(issue, file, line, column);
}

static enum sl_status refuse_syntax(const struct building *b, const yaml_parser_t *parser, struct sl_slice text)
{
    if (parser->error == YAML_MEMORY_ERROR)
        return SL_NO_MEMORY;
    struct sl_issue *issue = sl_issue_add(b->source->issues, SL_GRADE_ERROR, "yaml-syntax",
        "This is not YAML as it is read here: %s.", parser->problem ? parser->problem : "unreadable");
    if (parser->error == YAML_READER_ERROR)
        place_bad_byte(issue, b->source->file, text, parser->problem_offset);
    else
        place(issue, b->source->file, parser->problem_mark.line + 1, parser->problem_mark.column + 1);
    return SL_SYNTAX;
}

static enum sl_status run(struct building *b, yaml_parser_t *parser, struct sl_slice text)
{
    for (;;) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event))
            return refuse_syntax(b, parser, text);
        bool end = event.type == YAML_STREAM_END_EVENT;
        enum sl_status status = take(b, &event);
        yaml_event_delete(&event);
        if (status != SL_OK || end)
            return status;
    }
}

/* Tabs look like spaces and are not: refused before libyaml, which allows some. */
static enum sl_status refuse_tabs(const struct sl_yaml_source *source, struct sl_slice text)
{
    size_t line = 1, column = 1;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c == '\t')
            return refuse(source, line, column, "yaml-tab", "There is a tab here.", "Use spaces.");
        if (c == '\n') {
            line++;
            column = 1;
        } else if ((c & 0xc0) != 0x80) {
            column++;
        }
    }
    return SL_OK;
}

enum sl_status sl_yaml_parse(const struct sl_yaml_source *source, struct sl_slice text, const struct sl_yaml **out)
{
    *out = NULL;
    if (text.len > SL_YAML_BYTES) {
        (void)refuse(source, 0, 0, "yaml-limit", "The file is larger than 1 MiB.", NULL);
        return SL_LIMIT;
    }
    SL_TRY(refuse_tabs(source, text));
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return SL_NO_MEMORY;
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)(text.ptr ? text.ptr : ""), text.len);
    struct building building = {.source = source};
    enum sl_status status = run(&building, &parser, text);
    yaml_parser_delete(&parser);
    if (status == SL_OK && !building.root)
        status = refuse(source, 1, 1, "yaml-empty", "The file is empty.", NULL);
    if (status == SL_OK)
        *out = building.root;
    return status;
}

enum sl_status sl_file_read(struct sl_arena *arena, const char *path, size_t limit, struct sl_slice *out)
{
    *out = (struct sl_slice){NULL, 0};
    FILE *file = fopen(path, "rbe");
    if (!file)
        return errno == ENOENT || errno == ENOTDIR ? SL_MISSING : SL_IO;
    enum sl_status status = SL_IO;
    char *bytes = NULL;
    if (fseek(file, 0, SEEK_END))
        goto out;
    long size = ftell(file);
    if (size < 0 || fseek(file, 0, SEEK_SET))
        goto out;
    status = SL_LIMIT;
    if ((size_t)size > limit)
        goto out;
    status = SL_NO_MEMORY;
    bytes = sl_arena_raw(arena, (size_t)size + 1, 1);
    if (!bytes)
        goto out;
    size_t got = fread(bytes, 1, (size_t)size, file);
    bytes[got] = '\0';
    status = got == (size_t)size ? SL_OK : SL_IO;
    if (status == SL_OK)
        *out = (struct sl_slice){bytes, got};
out:
    fclose(file);
    return status;
}

enum sl_status sl_yaml_load(const struct sl_yaml_source *source, const char *path, const struct sl_yaml **out)
{
    *out = NULL;
    struct sl_slice text;
    enum sl_status status = sl_file_read(source->arena, path, SL_YAML_BYTES, &text);
    if (status == SL_OK)
        return sl_yaml_parse(source, text, out);
    place(sl_issue_add(source->issues, SL_GRADE_ERROR, "unreadable-file", "The file \"%s\" %s.", path,
              status == SL_MISSING ? "does not exist"
              : status == SL_LIMIT ? "is larger than 1 MiB"
                                   : "cannot be read"),
        source->file, 0, 0);
    return status;
}

const struct sl_yaml *sl_yaml_get(const struct sl_yaml *map, const char *key)
{
    if (!map || map->kind != SL_YAML_MAP)
        return NULL;
    struct sl_slice name = sl_slice_of(key);
    for (const struct sl_yaml *member = map->first; member; member = member->next)
        if (sl_slice_eq(member->key, name))
            return member;
    return NULL;
}

struct sl_issue *sl_yaml_issue(const struct sl_yaml_source *source, const struct sl_yaml *node, bool at_key,
    const char *code, const char *format, ...)
{
    char text[900];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct sl_issue *issue = sl_issue_add(source->issues, SL_GRADE_ERROR, code, "%s", text);
    if (!node)
        return place(issue, source->file, 0, 0);
    bool key = at_key && node->key.len;
    return place(issue, source->file, key ? node->key_line : node->line, key ? node->key_column : node->column);
}

static void unknown_key(const struct sl_yaml_source *source, const struct sl_yaml *member, const char *const *words)
{
    struct sl_slice known[WORD_LIMIT];
    size_t count = 0;
    for (; words[count] && count < WORD_LIMIT; count++)
        known[count] = sl_slice_of(words[count]);
    struct sl_issue *issue =
        sl_yaml_issue(source, member, true, "unknown-key", "The word \"%.*s\" is not known here.", SL_FMT(member->key));
    struct sl_slice near = sl_nearest_word(member->key, known, count);
    if (issue && near.len)
        issue->fix = sl_arena_printf(source->arena, "Did you mean \"%.*s\"?", SL_FMT(near));
}

bool sl_yaml_check_keys(const struct sl_yaml_source *source, const struct sl_yaml *map, const char *const *words)
{
    if (!sl_yaml_map(source, map))
        return false;
    bool all = true;
    for (const struct sl_yaml *member = map->first; member; member = member->next) {
        size_t i = 0;
        while (words[i] && !sl_slice_eq(member->key, sl_slice_of(words[i])))
            i++;
        if (!words[i]) {
            unknown_key(source, member, words);
            all = false;
        }
    }
    return all;
}

static const char *kind_name(enum sl_yaml_kind kind)
{
    static const char *const names[] = {"nothing", "text", "a list", "a map"};
    return names[kind];
}

struct sl_slice sl_yaml_text(const struct sl_yaml_source *source, const struct sl_yaml *node)
{
    if (node && node->kind == SL_YAML_SCALAR && node->text.len)
        return node->text;
    if (node)
        sl_yaml_issue(source, node, false, "expected-text", "Text is expected here, and this is %s.",
            node->kind == SL_YAML_SCALAR ? "empty" : kind_name(node->kind));
    return (struct sl_slice){NULL, 0};
}

const struct sl_yaml *sl_yaml_list(const struct sl_yaml_source *source, const struct sl_yaml *node)
{
    if (!node || node->kind == SL_YAML_LIST)
        return node;
    sl_yaml_issue(
        source, node, false, "expected-list", "A list is expected here, and this is %s.", kind_name(node->kind));
    return NULL;
}

const struct sl_yaml *sl_yaml_map(const struct sl_yaml_source *source, const struct sl_yaml *node)
{
    if (!node || node->kind == SL_YAML_MAP)
        return node;
    sl_yaml_issue(source, node, false, "expected-map", "Words with values are expected here, and this is %s.",
        kind_name(node->kind));
    return NULL;
}

bool sl_yaml_flag(const struct sl_yaml_source *source, const struct sl_yaml *node, bool fallback)
{
    if (!node)
        return fallback;
    if (node->kind == SL_YAML_SCALAR) {
        if (sl_slice_eq(node->text, SL_LIT("yes")) || sl_slice_eq(node->text, SL_LIT("true")))
            return true;
        if (sl_slice_eq(node->text, SL_LIT("no")) || sl_slice_eq(node->text, SL_LIT("false")))
            return false;
    }
    sl_yaml_issue(source, node, false, "expected-yes-no", "\"yes\" or \"no\" is expected here.");
    return fallback;
}

/* Digits only, without sign or space; false on overflow as well. */
static bool read_number(struct sl_slice text, uint64_t *out)
{
    uint64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9' || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(text.ptr[i] - '0'), &value))
            return false;
    }
    *out = value;
    return text.len > 0;
}

uint64_t sl_yaml_number(
    const struct sl_yaml_source *source, const struct sl_yaml *node, uint64_t min, uint64_t max, uint64_t fallback)
{
    uint64_t value;
    if (!node)
        return fallback;
    if (node->kind == SL_YAML_SCALAR && read_number(node->text, &value) && value >= min && value <= max)
        return value;
    sl_yaml_issue(source, node, false, "expected-number", "A number from %llu to %llu is expected here.",
        (unsigned long long)min, (unsigned long long)max);
    return fallback;
}

static bool looks_like_date(struct sl_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (i == 4 || i == 7 ? text.ptr[i] != '-' : text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
    return text.len == 10;
}

int64_t sl_yaml_date(const struct sl_yaml_source *source, const struct sl_yaml *node)
{
    struct sl_slice text = sl_yaml_text(source, node);
    struct tm tm = {0}, back;
    if (!text.len)
        return 0;
    bool good = looks_like_date(text) && sscanf(text.ptr, "%4d-%2d-%2d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday) == 3 &&
                tm.tm_year >= 1971;
    tm.tm_year -= 1900;
    tm.tm_mon--;
    const struct tm wanted = tm; /* timegm carries a 31st of June over into July */
    time_t when = good ? timegm(&tm) : 0;
    good = good && gmtime_r(&when, &back) && back.tm_mday == wanted.tm_mday && back.tm_mon == wanted.tm_mon;
    if (good)
        return (int64_t)when;
    struct sl_issue *issue =
        sl_yaml_issue(source, node, false, "bad-date", "\"%.*s\" is no day of the calendar.", SL_FMT(text));
    if (issue)
        issue->fix = SL_LIT("Write the day as YYYY-MM-DD.");
    return 0;
}

const struct sl_yaml *sl_yaml_require(const struct sl_yaml_source *source, const struct sl_yaml *map, const char *key)
{
    const struct sl_yaml *member = sl_yaml_get(map, key);
    if (!member)
        sl_yaml_issue(source, map, true, "missing-key", "The word \"%s\" is missing here.", key);
    return member;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Levenshtein distance with one row, capitals or not; words are short (WORD_LIMIT). */
static size_t distance(struct sl_slice a, struct sl_slice b)
{
    size_t row[WORD_LIMIT + 1];
    for (size_t j = 0; j <= b.len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t cost = diagonal + (lower(a.ptr[i - 1]) != lower(b.ptr[j - 1]));
            diagonal = row[j];
            size_t edit = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            row[j] = cost < edit ? cost : edit;
        }
    }
    return row[b.len];
}

struct sl_slice sl_nearest_word(struct sl_slice word, const struct sl_slice *words, size_t count)
{
    struct sl_slice best = {NULL, 0};
    size_t least = word.len / 3 + 2; /* one more than may differ */
    if (!word.len || word.len > WORD_LIMIT)
        return best;
    for (size_t i = 0; i < count; i++) {
        if (words[i].len > WORD_LIMIT)
            continue;
        size_t apart = distance(word, words[i]);
        if (apart < least && apart < words[i].len) {
            least = apart;
            best = words[i];
        }
    }
    return best;
}
