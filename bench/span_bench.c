/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast is a parse into spans, all checks on, against simdjson's DOM parse of the same files in the same run?
 *
 *     span_bench [FILE|FOLDER]…      default: the FHIR bundles in ../shared/data, where present
 *
 * Each file is parsed whole, again and again, the parsers in turn, and the best round of each counts. Files that are
 * not strict JSON (there are some, on purpose) are left out, and counted.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <zlib.h>

#include "span_build.h"

#define PADDING 64
#define ROUNDS 20
#define MOST_FILES 4096

#ifdef SLUICE_SIMDJSON
int simdjson_dom_parse(const char *text, size_t length);
const char *simdjson_dom_name(void);
#endif

static struct sl_slice files[MOST_FILES];
static size_t file_count, refused, spans;
static struct sl_arena *arena;

static bool parse_spans(const struct sl_scanner *scanner, struct sl_slice text)
{
    struct sl_doc doc;
    sl_arena_reset(arena);
    bool good = sl_doc_parse_with(scanner, arena, text, NULL, &doc, NULL) == SL_OK;
    spans += doc.count;
    return good;
}

#ifdef SLUICE_SIMDJSON
static bool parse_simdjson(const struct sl_scanner *none, struct sl_slice text)
{
    (void)none;
    return simdjson_dom_parse(text.ptr, text.len) == 1;
}
#endif

/* Our parser with each scanner this machine has, the fastest first, the portable one last; then the peer. */
static struct parser {
    const char *name;
    bool (*parse)(const struct sl_scanner *scanner, struct sl_slice text);
    const struct sl_scanner *scanner;
    double seconds; /* for all files */
} parsers[8];
static size_t parser_count;

static void add_parser(
    const char *name, bool (*parse)(const struct sl_scanner *, struct sl_slice), const struct sl_scanner *scanner)
{
    parsers[parser_count++] = (struct parser){name, parse, scanner, 0};
}

/* The bytes of a file, unpacked if it is gzipped, with padding behind them; ptr NULL if it cannot be read. */
static struct sl_slice read_file(const char *path)
{
    struct sl_slice none = {NULL, 0};
    gzFile file = gzopen(path, "rb");
    size_t room = 1 << 16, length = 0;
    char *text = malloc(room);
    if (!file || !text)
        return none;
    for (int got; (got = gzread(file, text + length, (unsigned)(room - length - PADDING))) > 0;) {
        length += (size_t)got;
        if (room - length < 2 * PADDING && !(text = realloc(text, room *= 2)))
            abort();
    }
    gzclose(file);
    memset(text + length, 0, PADDING);
    return (struct sl_slice){text, length};
}

static void add_file(const char *path)
{
    struct sl_slice text = file_count < MOST_FILES ? read_file(path) : (struct sl_slice){NULL, 0};
    if (text.len && parse_spans(parsers[0].scanner, text))
        files[file_count++] = text;
    else
        refused++;
}

static bool ends(const char *name, const char *with)
{
    size_t length = strlen(name), tail = strlen(with);
    return length >= tail && strcmp(name + length - tail, with) == 0;
}

/* A file, or every *.json and *.json.gz below a folder. */
static void add_path(const char *path)
{
    DIR *folder = opendir(path);
    if (!folder) {
        add_file(path);
        return;
    }
    for (struct dirent *entry; (entry = readdir(folder));) {
        char inner[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
        if (entry->d_type == DT_DIR || ends(entry->d_name, ".json") || ends(entry->d_name, ".json.gz"))
            add_path(inner);
    }
    closedir(folder);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Seconds for one file. */
static double run(const struct parser *parser, struct sl_slice text)
{
    double begin = now();
    if (!parser->parse(parser->scanner, text)) {
        fprintf(stderr, "span_bench: %s refuses a file that the others take\n", parser->name);
        exit(1);
    }
    return now() - begin;
}

/* Adds each parser's best time for the file to its sum. */
static void measure(struct sl_slice text)
{
    double best[sizeof parsers / sizeof *parsers];
    for (int round = 0; round < ROUNDS; round++)
        for (size_t p = 0; p < parser_count; p++) {
            double took = run(&parsers[p], text);
            best[p] = round == 0 || took < best[p] ? took : best[p];
        }
    for (size_t p = 0; p < parser_count; p++)
        parsers[p].seconds += best[p];
}

int main(int argc, char **argv)
{
    arena = sl_arena_new((size_t)1 << 30);
    if (!arena)
        return 1;
    for (unsigned i = 0; sl_scanner_at(i); i++)
        add_parser(sl_scanner_at(i)->name, parse_spans, sl_scanner_at(i));
    size_t ours = parser_count;
#ifdef SLUICE_SIMDJSON
    add_parser(simdjson_dom_name(), parse_simdjson, NULL);
#endif
    for (int i = 1; i < argc; i++)
        add_path(argv[i]);
    if (argc < 2)
        add_path(SLUICE_SHARED "/data/fhir-r4");
    if (!file_count) {
        printf("span: no files to parse; name some\n");
        return argc < 2 ? 0 : 1;
    }
    size_t bytes = 0;
    for (size_t i = 0; i < file_count; i++)
        bytes += files[i].len;
    spans = 0;
    for (size_t i = 0; i < file_count; i++)
        measure(files[i]);
    printf("span: %zu files, %.1f MB, %.1f bytes a value, %zu refused as not strict JSON\n", file_count,
        (double)bytes / 1e6, (double)bytes * (double)(ours * ROUNDS) / (double)spans, refused);
    for (struct parser *p = parsers; p < parsers + ours; p++)
        printf("%s %.2f GB/s (%s), ", p == parsers ? "span: parse" : "", (double)bytes / p->seconds / 1e9, p->name);
    if (parser_count > ours)
        printf("simdjson DOM (%s) %.2f GB/s, ratio %.2f", parsers[ours].name,
            (double)bytes / parsers[ours].seconds / 1e9, parsers[ours].seconds / parsers[0].seconds);
    printf("\n");
    return 0;
}
