/* SPDX-License-Identifier: Apache-2.0 */
/* Strict CSV: see csv.h. */
#include "csv.h"

#include <strings.h>

void sl_csv_complain(struct sl_csv *csv, const char *code, const char *what, struct sl_slice value)
{
    struct sl_issue *issue = value.len > 80
                                 ? sl_issue_add(csv->issues, SL_GRADE_ERROR, code, "%s", what)
                                 : sl_issue_add(csv->issues, SL_GRADE_ERROR, code, "%s: \"%.*s\"", what, SL_FMT(value));
    if (!issue)
        return;
    issue->file = csv->file;
    issue->line = csv->line;
}

/* A field in quotes, doubled quotes halved; the reader stands on the opening quote. False: no closing quote. */
static bool read_quoted(struct sl_csv *csv, struct sl_slice *out)
{
    size_t begin = ++csv->at, doubled = 0;
    for (; csv->at < csv->text.len; csv->at++) {
        if (csv->text.ptr[csv->at] == '\n')
            csv->next_line++;
        if (csv->text.ptr[csv->at] != '"')
            continue;
        if (csv->at + 1 >= csv->text.len || csv->text.ptr[csv->at + 1] != '"')
            break;
        doubled++;
        csv->at++;
    }
    if (csv->at >= csv->text.len)
        return false;
    *out = (struct sl_slice){csv->text.ptr + begin, csv->at++ - begin};
    if (!doubled)
        return true;
    char *copy = sl_arena_raw(csv->arena, out->len, 1);
    if (!copy)
        return false;
    size_t len = 0;
    for (size_t i = 0; i < out->len; i++) {
        copy[len++] = out->ptr[i];
        if (out->ptr[i] == '"')
            i++; /* the second of a pair */
    }
    *out = (struct sl_slice){copy, len};
    return true;
}

static bool at_end_of_field(const struct sl_csv *csv)
{
    if (csv->at >= csv->text.len)
        return true;
    char c = csv->text.ptr[csv->at];
    return c == ',' || c == '\n' || (c == '\r' && csv->at + 1 < csv->text.len && csv->text.ptr[csv->at + 1] == '\n');
}

static bool read_field(struct sl_csv *csv, struct sl_slice *out)
{
    if (csv->at < csv->text.len && csv->text.ptr[csv->at] == '"')
        return read_quoted(csv, out) && at_end_of_field(csv);
    size_t begin = csv->at;
    while (!at_end_of_field(csv)) {
        if (csv->text.ptr[csv->at] == '"')
            return false; /* a quote within a field that has none around it */
        csv->at++;
    }
    *out = (struct sl_slice){csv->text.ptr + begin, csv->at - begin};
    return true;
}

static void skip_line(struct sl_csv *csv)
{
    while (csv->at < csv->text.len && csv->text.ptr[csv->at] != '\n')
        csv->at++;
    if (csv->at < csv->text.len) {
        csv->at++;
        csv->next_line++;
    }
}

/* All fields of one line; 0: it could not be read, and was passed over. */
static unsigned read_row(struct sl_csv *csv, struct sl_slice *fields)
{
    unsigned count = 0;
    csv->line = csv->next_line;
    for (;;) {
        if (count == SL_CSV_COLUMNS || !read_field(csv, &fields[count])) {
            sl_csv_complain(csv, "csv-syntax", "the line is not valid CSV", (struct sl_slice){NULL, 0});
            skip_line(csv);
            return 0;
        }
        count++;
        if (csv->at >= csv->text.len || csv->text.ptr[csv->at] != ',')
            break;
        csv->at++;
    }
    skip_line(csv);
    return count;
}

/* Is it the column of this name? "?name" may be missing. */
static bool is_column(struct sl_slice name, const char *column, bool loose)
{
    struct sl_slice wanted = sl_slice_of(column + (column[0] == '?'));
    return loose ? name.len == wanted.len && strncasecmp(name.ptr, wanted.ptr, name.len) == 0
                 : sl_slice_eq(name, wanted);
}

static bool place_column(
    struct sl_csv *csv, const char *const *columns, struct sl_slice name, unsigned column, bool *seen)
{
    for (unsigned i = 0; columns[i]; i++) {
        if (!is_column(name, columns[i], csv->loose))
            continue;
        if (seen[i])
            sl_csv_complain(csv, "csv-column", "the column stands twice", name);
        csv->place[i] = column;
        seen[i] = true;
        return true;
    }
    if (!csv->loose)
        sl_csv_complain(csv, "csv-column", "no such column is known here", name);
    return csv->loose;
}

static bool is_loose(const char *const *columns)
{
    const char *last = NULL;
    while (*columns)
        last = *columns++;
    return last && strcmp(last, "*") == 0;
}

bool sl_csv_open(struct sl_csv *csv, struct sl_slice file, struct sl_slice text, const char *const *columns,
    struct sl_arena *arena, struct sl_issues *issues)
{
    *csv = (struct sl_csv){.file = file, .text = text, .issues = issues, .arena = arena, .line = 1, .next_line = 1};
    csv->loose = is_loose(columns);
    if (csv->loose && sl_slice_starts(csv->text, SL_LIT("\xef\xbb\xbf")))
        csv->at = 3; /* the byte order mark that spreadsheets write */
    if (text.len == 0) {
        sl_csv_complain(csv, "csv-empty", "the file has no header line", file);
        return false;
    }
    struct sl_slice header[SL_CSV_COLUMNS];
    bool seen[SL_CSV_COLUMNS] = {false}, fine = true;
    csv->width = read_row(csv, header);
    for (unsigned i = 0; i < csv->width; i++)
        fine &= place_column(csv, columns, header[i], i, seen);
    for (unsigned i = 0; columns[i]; i++) {
        csv->missing[i] = !seen[i];
        if (seen[i] || columns[i][0] == '?' || columns[i][0] == '*')
            continue;
        sl_csv_complain(csv, "csv-column", "the column is missing", sl_slice_of(columns[i]));
        fine = false;
    }
    csv->wanted = 0;
    while (columns[csv->wanted])
        csv->wanted++;
    return fine && csv->width > 0;
}

bool sl_csv_next(struct sl_csv *csv)
{
    while (csv->at < csv->text.len) {
        struct sl_slice fields[SL_CSV_COLUMNS];
        unsigned count = read_row(csv, fields);
        if (count == 0 || (count == 1 && fields[0].len == 0))
            continue; /* an issue was given, or an empty line */
        if (count != csv->width) {
            sl_csv_complain(csv, "csv-width", "the line has more or fewer fields than the header", fields[0]);
            continue;
        }
        for (unsigned i = 0; i < csv->wanted; i++)
            csv->field[i] = csv->missing[i] ? (struct sl_slice){NULL, 0} : fields[csv->place[i]];
        return true;
    }
    return false;
}
