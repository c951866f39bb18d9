/* SPDX-License-Identifier: Apache-2.0 */
/* Options, help and messages of the commands: see cli.h. */
#include "cli.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "sluice/store.h"
#include "sluice/yaml.h"

/* Columns that UTF-8 text takes: its bytes but for those that go on with a character. */
static int columns(const char *text)
{
    int n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static void print_help(FILE *out, const char *usage, const struct sl_option *options, size_t count)
{
    fprintf(out, "usage: sluice %s\n", usage);
    for (size_t i = 0; i < count; i++) {
        char left[64];
        snprintf(left, sizeof left, "--%s%s%s", options[i].name, options[i].argument ? " " : "",
            options[i].argument ? options[i].argument : "");
        fprintf(out, "  %s%*s %s%s\n", left, columns(left) < 26 ? 26 - columns(left) : 0, "", options[i].help,
            options[i].required ? " (required)" : "");
    }
}

static bool find_option(const struct sl_cli *cli, const char *name, size_t *at)
{
    for (size_t i = 0; i < cli->option_count; i++)
        if (strcmp(cli->options[i].name, name) == 0) {
            *at = i;
            return true;
        }
    return false;
}

static bool wrong(const char *usage, const char *what, const char *which, int *status)
{
    fprintf(stderr, "sluice: %s: %s\nusage: sluice %s\n", what, which, usage);
    *status = 2;
    return false;
}

static bool take_values(struct sl_cli *cli, size_t at, int argc, char **argv, int *i)
{
    enum sl_option_kind kind = cli->options[at].kind;
    cli->found[at].given = true;
    if (kind == SL_OPTION_FLAG)
        return true;
    size_t before = cli->found[at].count;
    while (*i + 1 < argc && (strncmp(argv[*i + 1], "--", 2) != 0)) {
        cli->found[at].values[cli->found[at].count++] = argv[++*i];
        if (kind == SL_OPTION_ONE)
            break;
    }
    return cli->found[at].count > before;
}

static bool read_words(struct sl_cli *cli, int argc, char **argv, const char *usage, int *status)
{
    bool options_over = false;
    for (int i = 1; i < argc; i++) {
        size_t at = 0;
        if (options_over || strncmp(argv[i], "--", 2) != 0)
            cli->operands[cli->operand_count++] = argv[i];
        else if (argv[i][2] == '\0')
            options_over = true;
        else if (strcmp(argv[i], "--help") == 0) {
            print_help(stdout, usage, cli->options, cli->option_count);
            *status = 0;
            return false;
        } else if (!find_option(cli, argv[i] + 2, &at))
            return wrong(usage, "unknown option", argv[i], status);
        else if (!take_values(cli, at, argc, argv, &i))
            return wrong(usage, "this option needs a value", argv[i], status);
    }
    return true;
}

bool sl_cli_read(struct sl_arena *arena, int argc, char **argv, const char *usage, const struct sl_option *options,
    size_t count, struct sl_cli *out, int *status)
{
    SL_ASSERT(count <= SL_CLI_OPTIONS);
    *out = (struct sl_cli){.options = options, .option_count = count};
    out->operands = sl_arena_array(arena, (size_t)argc + 1, sizeof *out->operands);
    for (size_t i = 0; i < count; i++)
        out->found[i].values = sl_arena_array(arena, (size_t)argc + 1, sizeof *out->found[i].values);
    if (sl_arena_failed(arena))
        return wrong(usage, "out of memory", "", status);
    if (!read_words(out, argc, argv, usage, status))
        return false;
    for (size_t i = 0; i < count; i++)
        if (options[i].required && !out->found[i].given)
            return wrong(usage, "a required option is missing", options[i].name, status);
    return true;
}

bool sl_cli_given(const struct sl_cli *cli, const char *name)
{
    size_t at = 0;
    return find_option(cli, name, &at) && cli->found[at].given;
}

const char *sl_cli_value(const struct sl_cli *cli, const char *name)
{
    size_t count = 0;
    const char *const *values = sl_cli_values(cli, name, &count);
    return count ? values[0] : NULL;
}

const char *const *sl_cli_values(const struct sl_cli *cli, const char *name, size_t *count)
{
    size_t at = 0;
    *count = 0;
    if (!find_option(cli, name, &at))
        return NULL;
    *count = cli->found[at].count;
    return cli->found[at].values;
}

static const char *const grades[] = {
    [SL_GRADE_NOTE] = "note", [SL_GRADE_ADVICE] = "advice", [SL_GRADE_WARNING] = "warning", [SL_GRADE_ERROR] = "error"};

/* The line as it stands, and under it what the issue is about. A tab takes one column, as it was counted. */
static void print_source(FILE *out, const struct sl_issue *issue)
{
    if (!issue->source.len || !issue->width)
        return;
    fputs("    ", out);
    for (size_t i = 0; i < issue->source.len; i++)
        fputc((unsigned char)issue->source.ptr[i] < ' ' ? ' ' : issue->source.ptr[i], out);
    fprintf(out, "\n    %*s^", (int)issue->column - 1, "");
    for (size_t i = 1; i < issue->width; i++)
        fputc('~', out);
    fputc('\n', out);
}

void sl_cli_issues(FILE *out, const struct sl_issues *issues, enum sl_grade least)
{
    for (const struct sl_issue *i = issues->first; i; i = i->next) {
        if (i->grade < least)
            continue;
        if (i->file.len)
            fprintf(out, "%.*s:", SL_FMT(i->file));
        if (i->line)
            fprintf(out, "%zu:%zu:", i->line, i->column);
        fprintf(out, "%s%s", i->file.len || i->line ? " " : "", grades[i->grade]);
        if (i->code.len)
            fprintf(out, " [%.*s]", SL_FMT(i->code));
        fprintf(out, ": %.*s\n", SL_FMT(i->text));
        print_source(out, i);
        if (i->fix.len)
            fprintf(out, "    %.*s\n", SL_FMT(i->fix));
    }
}

int sl_cli_failed(const char *what, enum sl_status status, const struct sl_issues *issues)
{
    if (issues)
        sl_cli_issues(stderr, issues, SL_GRADE_WARNING);
    fprintf(stderr, "sluice: %s: %s\n", what, sl_status_name(status));
    return 1;
}

static enum sl_status read_stream(struct sl_arena *arena, FILE *in, size_t limit, struct sl_slice *out)
{
    size_t capacity = 1 << 16, len = 0, got;
    char *bytes = malloc(capacity);
    enum sl_status status = bytes ? SL_OK : SL_NO_MEMORY;
    while (status == SL_OK && (got = fread(bytes + len, 1, capacity - len, in)) > 0) {
        len += got;
        if (len > limit)
            status = SL_LIMIT;
        else if (len == capacity) {
            char *grown = realloc(bytes, capacity * 2);
            if (!grown)
                status = SL_NO_MEMORY;
            else {
                bytes = grown;
                capacity *= 2;
            }
        }
    }
    if (status == SL_OK && ferror(in))
        status = SL_IO;
    if (status == SL_OK) {
        *out = sl_arena_copy(arena, (struct sl_slice){bytes, len});
        status = out->ptr ? SL_OK : SL_NO_MEMORY;
    }
    free(bytes);
    return status;
}

enum sl_status sl_cli_read_file(struct sl_arena *arena, const char *path, size_t limit, struct sl_slice *out)
{
    if (strcmp(path, "-") == 0)
        return read_stream(arena, stdin, limit, out);
    FILE *in = fopen(path, "rb");
    if (!in)
        return errno == ENOENT ? SL_MISSING : SL_IO;
    enum sl_status status = read_stream(arena, in, limit, out);
    fclose(in);
    return status;
}

bool sl_cli_instant(const char *text, int64_t *out)
{
    struct tm parts = {0};
    if (!text) {
        *out = (int64_t)time(NULL);
        return true;
    }
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    if (!end || *end)
        return false;
    *out = (int64_t)timegm(&parts);
    return true;
}

enum sl_status sl_cli_policy_store(
    const char *directory, bool writable, struct sl_issues *issues, struct sl_store **out)
{
    return sl_store_open(directory, sl_policy_tables, 0, writable, issues, out);
}
