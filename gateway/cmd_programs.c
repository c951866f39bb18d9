/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sluice programs: check a program table and say what it makes of given records; list the sources that it does not
 * name, by how many records rest on them, until each is in the table. Ids, types and counts; never content.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "state.h"
#include "config.h"
#include "offline.h"
#include "records.h"
#include "sluice/book.h"

#define ARENA ((size_t)8 << 30)
#define ROUNDS 16u
#define STEPS 8u   /* from a record back to what it names as its source */
#define LEAVES 16u /* sources that are told of one record */
#define PAGE 500u

static const char *const source_words[] = {
    [SL_SOURCE_UNKNOWN] = "unknown", [SL_SOURCE_NOT] = "not", [SL_SOURCE_PROGRAM] = "program"};

static bool is_directory(sl_r4_node type)
{
    return sl_r4_facts(type) & SL_R4_DIRECTORY;
}

/* A record whose source matters: of somebody, and no part of another one. */
static bool counts(const struct sl_item *item)
{
    return item->type && !item->context && !item->container &&
           !(sl_r4_facts(item->type) & (SL_R4_DIRECTORY | SL_R4_BY_ROUTE));
}

/* ---- Sources of a record ---- */

struct leaves {
    struct sl_slice list[LEAVES];
    bool person[LEAVES];
    size_t count;
    bool persons_only;
};

static void add_leaf(struct leaves *leaves, struct sl_slice name, bool person)
{
    for (size_t i = 0; i < leaves->count; i++)
        if (sl_slice_eq(leaves->list[i], name))
            return;
    if (leaves->count == LEAVES)
        return;
    leaves->list[leaves->count] = name;
    leaves->person[leaves->count++] = person;
}

/* What a reference names without a record: an identifier, a condition; of words no more than that there are some. */
static struct sl_slice name_without_record(
    const struct sl_item *item, const struct sl_reference *r, struct sl_arena *arena)
{
    const struct sl_doc *doc = item->doc;
    uint32_t identifier = sl_span_member(doc, r->span, SL_NAME_identifier);
    uint32_t written = sl_span_member(doc, r->span, SL_NAME_reference);
    if (identifier && doc->spans[identifier].type == SL_SPAN_OBJECT) {
        uint32_t system = sl_span_member(doc, identifier, SL_NAME_system);
        uint32_t value = sl_span_member(doc, identifier, SL_NAME_value);
        struct sl_slice left = system ? sl_span_string(doc, system, arena) : SL_LIT("");
        struct sl_slice right = value ? sl_span_string(doc, value, arena) : SL_LIT("");
        return sl_arena_printf(arena, "identifier %.*s|%.*s", SL_FMT(left), SL_FMT(right));
    }
    if (written)
        return sl_span_string(doc, written, arena);
    return SL_LIT("(named in words alone)");
}

static struct sl_slice name_of(const struct sl_item *item, const struct sl_reference *r, struct sl_arena *arena)
{
    if (r->target.len && r->target.ptr[0] != '#')
        return r->target;
    return r->target.len ? SL_LIT("(contained, and not known by any number)") : name_without_record(item, r, arena);
}

static bool is_person(sl_r4_node type)
{
    return type == SL_R4_Patient || type == SL_R4_RelatedPerson || type == SL_R4_Person || type == SL_R4_Practitioner;
}

/* What the record, its visit or its maker's organization names at the end. True: something was found. */
static bool find_leaves(const struct sl_item *item, struct leaves *leaves, struct sl_arena *arena, unsigned steps)
{
    bool any = false;
    for (uint32_t i = 0; i < item->reference_count; i++) {
        const struct sl_reference *r = &item->references[i];
        if (r->kind != SL_REF_ORIGIN || r->item == item)
            continue;
        if (r->item && r->item->source != SL_SOURCE_UNKNOWN)
            continue;
        sl_r4_node type = r->item ? r->item->type : r->type;
        bool deeper =
            r->item && steps && r->item->doc && !is_person(type) && find_leaves(r->item, leaves, arena, steps - 1);
        bool record = r->item && !is_directory(type);
        if (!deeper && !record)
            add_leaf(leaves, name_of(item, r, arena), is_person(type));
        any = any || deeper || !record;
    }
    if (!is_directory(item->type) && item->source_uri.len) {
        add_leaf(leaves, item->source_uri, false);
        any = true;
    }
    return any;
}

/* ---- Adding up ---- */

struct tally {
    struct sl_slice source, example;
    sl_r4_node type;
};

struct census {
    struct sl_arena *arena;
    struct tally *list;
    size_t count, capacity, records, unknown;
};

static enum sl_status add_tally(struct census *c, struct sl_slice source, sl_r4_node type, struct sl_slice example)
{
    if (c->count == c->capacity) {
        size_t capacity = c->capacity ? c->capacity * 2 : 1024;
        struct tally *list = realloc(c->list, capacity * sizeof *list);
        if (!list)
            return SL_NO_MEMORY;
        c->list = list;
        c->capacity = capacity;
    }
    c->list[c->count++] = (struct tally){source, example, type};
    return SL_OK;
}

static enum sl_status count_record(struct census *c, const struct sl_item *item)
{
    struct leaves leaves = {.count = 0};
    c->records++;
    if (item->source != SL_SOURCE_UNKNOWN)
        return SL_OK;
    c->unknown++;
    (void)find_leaves(item, &leaves, c->arena, STEPS);
    bool place = false;
    for (size_t i = 0; i < leaves.count; i++)
        place = place || !leaves.person[i];
    for (size_t i = 0; i < leaves.count; i++)
        if (!leaves.person[i] || !place) /* a person tells little where there is a place */
            SL_TRY(add_tally(c, leaves.list[i], item->type, item->id));
    return leaves.count ? SL_OK : add_tally(c, SL_LIT("(none is named)"), item->type, item->id);
}

static int order_slices(struct sl_slice a, struct sl_slice b)
{
    size_t least = a.len < b.len ? a.len : b.len;
    int order = least ? memcmp(a.ptr, b.ptr, least) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int by_source(const void *x, const void *y)
{
    const struct tally *a = x, *b = y;
    int order = order_slices(a->source, b->source);
    if (order)
        return order;
    return a->type != b->type ? (a->type > b->type ? 1 : -1) : order_slices(a->example, b->example);
}

struct line {
    size_t begin, end; /* of the sorted tallies */
};

static int by_volume(const void *x, const void *y)
{
    const struct line *a = x, *b = y;
    size_t m = a->end - a->begin, n = b->end - b->begin;
    return m != n ? (m < n ? 1 : -1) : (a->begin > b->begin) - (a->begin < b->begin);
}

static void print_line(const struct census *c, const struct line *line)
{
    const struct tally *first = &c->list[line->begin];
    printf("%10zu  %.*s ", line->end - line->begin, SL_FMT(first->source));
    for (size_t i = line->begin, k; i < line->end; i = k) {
        for (k = i; k < line->end && c->list[k].type == c->list[i].type;)
            k++;
        struct sl_slice type = sl_r4_node_name(c->list[i].type);
        printf("%s %.*s %zu", i == line->begin ? "" : ",", SL_FMT(type), k - i);
    }
    printf("; as %.*s/%.*s\n", SL_FMT(sl_r4_node_name(first->type)), SL_FMT(first->example));
}

static int print_census(struct census *c)
{
    struct line *lines = calloc(c->count + 1, sizeof *lines);
    size_t count = 0;
    if (!lines)
        return sl_cli_failed("nothing is listed", SL_NO_MEMORY, NULL);
    if (c->count)
        qsort(c->list, c->count, sizeof *c->list, by_source);
    for (size_t i = 0, k; i < c->count; i = k) {
        for (k = i; k < c->count && sl_slice_eq(c->list[k].source, c->list[i].source);)
            k++;
        lines[count++] = (struct line){i, k};
    }
    qsort(lines, count, sizeof *lines, by_volume);
    for (size_t i = 0; i < count; i++)
        print_line(c, &lines[i]);
    printf("%zu of %zu records are of %zu unknown source%s\n", c->unknown, c->records, count, count == 1 ? "" : "s");
    free(lines);
    return fflush(stdout) ? sl_cli_failed("standard output", SL_IO, NULL) : 0;
}

static int census_of(struct sl_labeller *labeller, struct sl_arena *arena)
{
    struct census c = {.arena = arena};
    enum sl_status status = SL_OK;
    for (const struct sl_item *item = sl_labeller_items(labeller); item && status == SL_OK; item = item->next)
        if (counts(item))
            status = count_record(&c, item);
    if (status == SL_OK && sl_arena_failed(arena))
        status = SL_NO_MEMORY;
    int result = status == SL_OK ? print_census(&c) : sl_cli_failed("nothing is listed", status, NULL);
    free(c.list);
    return result;
}

static int list_unknown(struct sl_offline *offline)
{
    return census_of(sl_pass_labeller(offline->pass), offline->arena);
}

/* ---- A running gateway's embedded store, or its label book ---- */

struct running {
    struct sl_arena *arena;
    struct sl_issues issues;
    struct sl_config *config;
    struct sl_store *store;
    struct sl_policy *policy;
    struct sl_programs *programs;
    struct sl_records *records;
    struct sl_book *book;
};

static struct sl_slice joined(const struct sl_blocks *blocks, struct sl_arena *arena)
{
    char *text = blocks->failed ? NULL : sl_arena_raw(arena, blocks->total + 1, 1);
    size_t at = 0;
    for (const struct sl_block *b = text ? blocks->first : NULL; b; b = b->next) {
        memcpy(text + at, b->ptr, b->len);
        at += b->len;
    }
    return text ? (struct sl_slice){text, at} : (struct sl_slice){NULL, 0};
}

static enum sl_status add_page(struct running *r, struct sl_labeller *labeller, struct sl_slice text)
{
    struct sl_doc *doc = sl_arena_alloc(r->arena, sizeof *doc);
    struct sl_item *item;
    if (!doc || !text.ptr)
        return SL_NO_MEMORY;
    SL_TRY(sl_doc_parse(r->arena, text, NULL, doc, NULL));
    uint32_t entries = sl_span_member(doc, 0, SL_NAME_entry);
    for (uint32_t e = entries + 1; entries && e < doc->spans[entries].next; e = doc->spans[e].next) {
        uint32_t resource = sl_span_member(doc, e, SL_NAME_resource);
        if (resource)
            SL_TRY(sl_labeller_add(labeller, doc, resource, (struct sl_slice){NULL, 0}, false, &item));
    }
    return SL_OK;
}

static enum sl_status add_type(struct running *r, struct sl_labeller *labeller, sl_r4_node type)
{
    const struct sl_search all = {.type = type};
    uint64_t count, offset = 0, next = 0;
    SL_TRY(sl_records_count(r->records, sl_r4_node_name(type), &count));
    while (count) {
        struct sl_blocks page = {.arena = r->arena};
        SL_TRY(sl_records_search(r->records, r->arena, &all, offset, PAGE, &page, &next));
        SL_TRY(add_page(r, labeller, joined(&page, r->arena)));
        offset = next;
        count = next ? count : 0;
    }
    return SL_OK;
}

/* What is not in the store names no record. */
static enum sl_status resolve(struct sl_labeller *labeller)
{
    struct sl_slice *missing;
    size_t count = 1;
    for (unsigned round = 0; count && round < ROUNDS; round++) {
        SL_TRY(sl_labeller_resolve(labeller, &missing, &count));
        for (size_t i = 0; i < count; i++)
            SL_TRY(sl_labeller_absent(labeller, missing[i], true));
    }
    return SL_OK;
}

static int unknown_in_store(struct running *r)
{
    uint64_t number;
    enum sl_status status = sl_cli_policy_store(r->config->policy_store.ptr, false, &r->issues, &r->store);
    if (status == SL_OK)
        status = sl_policy_in_force(r->store, &r->issues, &number, &r->policy);
    if (status == SL_OK)
        status = sl_gateway_programs(r->config, &r->issues, &r->programs);
    if (status == SL_OK)
        status = sl_records_open(r->config->records.ptr, false, &r->issues, &r->records);
    struct sl_labeller *labeller = status == SL_OK ? sl_labeller_new(r->arena, r->policy, r->programs) : NULL;
    for (sl_r4_node type = 1; labeller && status == SL_OK && type < SL_R4_NODES; type++)
        if (sl_r4_is_resource(type))
            status = add_type(r, labeller, type);
    if (labeller && status == SL_OK)
        status = resolve(labeller);
    if (status != SL_OK || !labeller)
        return sl_cli_failed("nothing is listed", status == SL_OK ? SL_NO_MEMORY : status, &r->issues);
    return census_of(labeller, r->arena);
}

/* Of a record in the book: the places it was derived from. Which of them said nothing, the book does not keep. */
static enum sl_status count_entry(void *context, const struct sl_book_found *found)
{
    struct census *c = context;
    const struct sl_book_entry *entry = &found->entry;
    struct sl_slice name = sl_arena_copy(c->arena, entry->reference);
    const char *slash = name.len ? memchr(name.ptr, '/', name.len) : NULL;
    if (found->standing == SL_BOOK_UNREADABLE || !slash)
        return SL_OK;
    sl_r4_node type = sl_r4_resource((struct sl_slice){name.ptr, (size_t)(slash - name.ptr)});
    if (!type || sl_r4_facts(type) & (SL_R4_DIRECTORY | SL_R4_BY_ROUTE))
        return SL_OK;
    c->records++;
    if (sl_book_source(entry) != SL_SOURCE_UNKNOWN)
        return SL_OK;
    c->unknown++;
    struct sl_slice id = sl_slice_from(name, (size_t)(slash - name.ptr) + 1);
    bool any = false;
    for (uint32_t i = 0; i < entry->derived_count; i++) {
        struct sl_slice from = entry->derived[i].reference;
        const char *end = from.len ? memchr(from.ptr, '/', from.len) : NULL;
        if (!end || !is_directory(sl_r4_resource((struct sl_slice){from.ptr, (size_t)(end - from.ptr)})))
            continue;
        SL_TRY(add_tally(c, sl_arena_copy(c->arena, from), type, id));
        any = true;
    }
    return any ? SL_OK : add_tally(c, SL_LIT("(none is named)"), type, id);
}

static int unknown_in_book(struct running *r)
{
    struct census c = {.arena = r->arena};
    const struct sl_label_generation any = {0}; /* whether an entry still counts is no matter here */
    const struct sl_book_when when = {.now = 0, .max_age = INT64_MAX};
    const struct sl_book_visitor visitor = {count_entry, &c};
    enum sl_status status = sl_book_open(r->config->label_book.ptr, false, &r->issues, &r->book);
    if (status == SL_OK)
        status = sl_book_each(r->book, &any, &when, &visitor);
    int result = status == SL_OK ? print_census(&c) : sl_cli_failed("nothing is listed", status, &r->issues);
    free(c.list);
    return result;
}

static void close_all(struct running *r)
{
    sl_book_close(r->book);
    sl_records_close(r->records);
    sl_programs_unref(r->programs);
    sl_policy_unref(r->policy);
    sl_store_close(r->store);
    sl_config_free(r->config);
    sl_arena_free(r->arena);
}

static int unknown_of_gateway(const char *path)
{
    struct running r = {.arena = sl_arena_new(ARENA)};
    int result = 1;
    if (!r.arena)
        return 1;
    r.issues.arena = r.arena;
    enum sl_status status = sl_config_load(path, &r.issues, &r.config);
    if (status != SL_OK)
        result = sl_cli_failed(path, status, &r.issues);
    else if (r.config->records.len)
        result = unknown_in_store(&r);
    else if (r.config->label_book.len)
        result = unknown_in_book(&r);
    else
        fprintf(stderr, "sluice: %s: neither an embedded store nor a label book (labels.book) to look into\n", path);
    close_all(&r);
    return result;
}

static const char unknown_usage[] =
    "programs unknown --config FILE  |  programs unknown --programs TABLE [--context FILE…] < in";

static int run_unknown(int argc, char **argv)
{
    static const struct sl_option options[] = {SL_OFFLINE_LABEL_OPTIONS};
    if (argc == 3 && strcmp(argv[1], "--config") == 0)
        return unknown_of_gateway(argv[2]);
    return sl_offline_run(argc, argv, unknown_usage, options, sizeof options / sizeof *options, list_unknown);
}

/* ---- check ---- */

static void print_source(const struct sl_item *item)
{
    printf("%-7s  %.*s/%.*s", source_words[item->source], SL_FMT(sl_r4_node_name(item->type)), SL_FMT(item->id));
    if (item->source == SL_SOURCE_PROGRAM) {
        printf("  %.*s", SL_FMT(item->named_program.len ? item->named_program : item->program));
        if (item->program.len && !sl_slice_eq(item->program, item->named_program))
            printf(" (by %.*s)", SL_FMT(item->program));
        if (item->holding == SL_HOLDS_UNDER_TPO)
            printf(", held under a TPO consent");
    }
    printf("\n");
}

static int print_sources(struct sl_offline *offline)
{
    size_t by_source[SL_SOURCE_PROGRAM + 1] = {0};
    const struct sl_item *item = sl_labeller_items(sl_pass_labeller(offline->pass));
    for (; item; item = item->next) {
        if (item->context || item->container || !item->type)
            continue;
        print_source(item);
        by_source[item->source]++;
    }
    printf("%zu of a program, %zu of none, %zu of unknown source\n", by_source[SL_SOURCE_PROGRAM],
        by_source[SL_SOURCE_NOT], by_source[SL_SOURCE_UNKNOWN]);
    return fflush(stdout) ? sl_cli_failed("standard output", SL_IO, NULL) : 0;
}

static int check_table(const char *path)
{
    struct sl_arena *arena = sl_arena_new((size_t)1 << 28);
    struct sl_issues issues = {.arena = arena};
    struct sl_programs *programs = NULL;
    if (!arena)
        return 1;
    enum sl_status status = sl_programs_load(path, &issues, &programs);
    int result = status == SL_OK ? 0 : sl_cli_failed(path, status, &issues);
    if (result == 0)
        printf("%s: in order\n", path);
    sl_programs_unref(programs);
    sl_arena_free(arena);
    return result;
}

/* check TABLE FILE [options]: the table is the one of --programs. */
static int run_check(int argc, char **argv)
{
    static const struct sl_option options[] = {SL_OFFLINE_LABEL_OPTIONS};
    static char option[] = "--programs", end[] = "--";
    static const char usage[] = "programs check TABLE [FILE [--context FILE…]]";
    char *words[64];
    int count = 0;
    if (argc < 2 || argv[1][0] == '-' || argc > 56) {
        fprintf(stderr, "usage: sluice %s\n", usage);
        return 2;
    }
    int failed = check_table(argv[1]);
    if (failed || argc == 2)
        return failed;
    words[count++] = argv[0];
    words[count++] = option;
    words[count++] = argv[1];
    for (int i = 3; i < argc; i++)
        words[count++] = argv[i];
    words[count++] = end;
    words[count++] = argv[2];
    return sl_offline_run(count, words, usage, options, sizeof options / sizeof *options, print_sources);
}

int sl_cmd_programs(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "check") == 0)
        return run_check(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "unknown") == 0)
        return run_unknown(argc - 1, argv + 1);
    fprintf(stderr, "usage: sluice programs check TABLE [FILE [--context FILE…]]\n       sluice %s\n", unknown_usage);
    return argc > 1 && strcmp(argv[1], "--help") == 0 ? 0 : 2;
}
