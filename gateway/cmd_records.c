/* SPDX-License-Identifier: Apache-2.0 */
/* sluice records: import files into the embedded EHR store, delete records in it, and count what it holds. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "records.h"
#include "records_write.h"
#include "sluice/r4.h"
#include "sluice/r4_names.h"

struct importing {
    struct sl_records *records;
    struct sl_issues *issues;
    int64_t now;
    struct sl_records_import total;
};

static int import_text(struct importing *in, const char *path, struct sl_slice text)
{
    struct sl_records_import done;
    struct sl_issue *before = in->issues->last;
    enum sl_status status = sl_records_import(in->records, text, in->now, in->issues, &done);
    for (struct sl_issue *i = before ? before->next : in->issues->first; i; i = i->next)
        if (!i->file.len)
            i->file = sl_slice_of(path);
    if (status != SL_OK)
        return sl_cli_failed(path, status, in->issues);
    in->total.resources += done.resources;
    in->total.created += done.created;
    in->total.updated += done.updated;
    return 0;
}

/* Files are mapped, not read: they may be larger than memory. */
static int import_file(struct importing *in, const char *path)
{
    struct stat info;
    int result, fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        fprintf(stderr, "sluice: %s: %s\n", path, errno ? strerror(errno) : "not a regular file");
        if (fd >= 0)
            close(fd);
        return 1;
    }
    size_t size = (size_t)info.st_size;
    char *text = size ? mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
    close(fd);
    if (text == MAP_FAILED) {
        fprintf(stderr, "sluice: %s: %s\n", path, strerror(errno));
        return 1;
    }
    result = import_text(in, path, (struct sl_slice){text, size});
    if (text)
        munmap(text, size);
    return result;
}

static int import_files(const char *store, const struct sl_cli *cli, struct sl_issues *issues)
{
    struct importing in = {.issues = issues};
    int result = 0;
    const char *at = sl_cli_value(cli, "at");
    if (at && strcmp(at, "given") == 0)
        in.now = SL_RECORDS_AT_GIVEN;
    else if (!sl_cli_instant(at, &in.now)) {
        fprintf(stderr, "sluice: --at: not an instant\n");
        return 2;
    }
    enum sl_status status = sl_records_open(store, true, issues, &in.records);
    if (status != SL_OK)
        return sl_cli_failed(store, status, issues);
    for (size_t i = 1; result == 0 && i < cli->operand_count; i++)
        result = import_file(&in, cli->operands[i]);
    sl_records_close(in.records);
    if (result == 0) {
        sl_cli_issues(stderr, issues, SL_GRADE_NOTE);
        printf("%zu resources: %zu created, %zu updated, %zu there already\n", in.total.resources, in.total.created,
            in.total.updated, in.total.resources - in.total.created - in.total.updated);
    }
    return result;
}

/* What is deleted keeps its history. */
static enum sl_status delete_one(struct sl_records *records, struct sl_arena *arena, struct sl_slice name, int64_t now)
{
    struct sl_record_write write = {.change = SL_RECORD_DELETE};
    const char *slash = memchr(name.ptr, '/', name.len);
    struct sl_slice text;
    struct sl_doc doc;
    if (!slash)
        return SL_INVALID;
    write.type = (struct sl_slice){name.ptr, (size_t)(slash - name.ptr)};
    write.id = sl_slice_from(name, write.type.len + 1);
    SL_TRY(sl_records_read(records, arena, write.type, write.id, &text));
    SL_TRY(sl_doc_parse(arena, text, NULL, &doc, NULL));
    uint32_t meta = sl_span_member(&doc, 0, SL_NAME_meta), number = sl_span_member(&doc, meta, SL_NAME_versionId);
    if (!sl_record_version(sl_span_string(&doc, number, arena), &write.expected))
        return SL_CORRUPT;
    return sl_records_write(records, &write, 1, now);
}

static int delete_all(const char *store, const struct sl_cli *cli, struct sl_arena *arena, struct sl_issues *issues)
{
    struct sl_records *records;
    int64_t now;
    if (!sl_cli_instant(sl_cli_value(cli, "at"), &now)) {
        fprintf(stderr, "sluice: --at: not an instant\n");
        return 2;
    }
    enum sl_status status = sl_records_open(store, true, issues, &records);
    if (status != SL_OK)
        return sl_cli_failed(store, status, issues);
    const char *name = NULL;
    for (size_t i = 1; status == SL_OK && i < cli->operand_count; i++)
        status = delete_one(records, arena, sl_slice_of(name = cli->operands[i]), now);
    sl_records_close(records);
    return status == SL_OK ? 0 : sl_cli_failed(name, status, issues);
}

static int count(const char *store, struct sl_issues *issues)
{
    struct sl_records *records;
    uint64_t total = 0, of_type;
    enum sl_status status = sl_records_open(store, false, issues, &records);
    if (status != SL_OK)
        return sl_cli_failed(store, status, issues);
    for (sl_r4_node node = 1; status == SL_OK && node < SL_R4_NODES; node++) {
        if (!sl_r4_is_resource(node))
            continue;
        struct sl_slice type = sl_r4_node_name(node);
        status = sl_records_count(records, type, &of_type);
        if (status == SL_OK && of_type)
            printf("%12llu %.*s\n", (unsigned long long)of_type, SL_FMT(type));
        total += of_type;
    }
    sl_records_close(records);
    if (status != SL_OK)
        return sl_cli_failed(store, status, issues);
    printf("%12llu in all\n", (unsigned long long)total);
    return 0;
}

int sl_cmd_records(int argc, char **argv)
{
    static const struct sl_option options[] = {
        {"store", SL_OPTION_ONE, "DIR", "the directory of the embedded EHR store", true},
        {"at", SL_OPTION_ONE, "INSTANT", "meta.lastUpdated of what is new (now); `given`: as it stands in each", false},
    };
    static const char usage[] = "records import|delete|count --store DIR [FILE…|Type/id…]";
    struct sl_arena *arena = sl_arena_new((size_t)1 << 28);
    struct sl_issues issues = {.arena = arena};
    struct sl_cli cli;
    int status = 1;
    if (!arena)
        return 1;
    if (sl_cli_read(arena, argc, argv, usage, options, sizeof options / sizeof *options, &cli, &status)) {
        const char *store = sl_cli_value(&cli, "store"), *verb = cli.operand_count ? cli.operands[0] : "";
        status = 2;
        if (strcmp(verb, "import") == 0 && cli.operand_count > 1)
            status = import_files(store, &cli, &issues);
        else if (strcmp(verb, "delete") == 0 && cli.operand_count > 1)
            status = delete_all(store, &cli, arena, &issues);
        else if (strcmp(verb, "count") == 0 && cli.operand_count == 1)
            status = count(store, &issues);
        else
            fprintf(stderr, "usage: sluice %s\n", usage);
    }
    sl_arena_free(arena);
    return status;
}
