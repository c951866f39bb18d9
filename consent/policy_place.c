/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a mistake stands, for people: the line of the file, and how much of it the issue is about, so that it can be
 * underlined. The table of what can be said stands here as well.
 */
#include "policy_model.h"

#define LINE_LIMIT 4096u /* bytes of a line that are shown */

const struct sl_check *sl_policy_checks(size_t *count)
{
    static const struct sl_check checks[] = {
#define C(code, grade, title) {code, SL_GRADE_##grade, title},
#include "checks.def"
#undef C
    };
    *count = sizeof checks / sizeof *checks;
    return checks;
}

static struct sl_slice line_of(struct sl_slice text, size_t number)
{
    for (size_t line = 1; text.len; line++) {
        const char *end = memchr(text.ptr, '\n', text.len);
        size_t len = end ? (size_t)(end - text.ptr) : text.len;
        if (line == number)
            return (struct sl_slice){text.ptr, len && text.ptr[len - 1] == '\r' ? len - 1 : len};
        text = sl_slice_from(text, len + 1);
    }
    return (struct sl_slice){NULL, 0};
}

static bool continues(char byte) /* a character of UTF-8 */
{
    return ((unsigned char)byte & 0xc0) == 0x80;
}

/* The bytes from a column on, counted in characters from 1. */
static struct sl_slice from_column(struct sl_slice line, size_t column)
{
    size_t at = 0;
    for (size_t passed = 1; passed < column && at < line.len; passed++) {
        at++;
        while (at < line.len && continues(line.ptr[at]))
            at++;
    }
    return sl_slice_from(line, at);
}

/* How many bytes a quoted text takes, both quotes included; a quote within is doubled, or has a backslash. */
static size_t quoted_length(struct sl_slice text)
{
    char quote = text.ptr[0];
    for (size_t i = 1; i < text.len; i++) {
        if (quote == '"' && text.ptr[i] == '\\')
            i++;
        else if (text.ptr[i] == quote && quote == '\'' && i + 1 < text.len && text.ptr[i + 1] == quote)
            i++;
        else if (text.ptr[i] == quote)
            return i + 1;
    }
    return text.len;
}

/* A list or map in brackets, as far as it stands on the line. */
static size_t bracket_length(struct sl_slice text)
{
    size_t depth = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        depth += c == '[' || c == '{';
        if ((c == ']' || c == '}') && --depth == 0)
            return i + 1;
    }
    return text.len;
}

/* A plain word ends before a comma, a bracket, a colon or a comment. */
static size_t word_length(struct sl_slice text)
{
    size_t end = 0;
    for (; end < text.len; end++) {
        char c = text.ptr[end], next = end + 1 < text.len ? text.ptr[end + 1] : ' ';
        if (c == ',' || c == ']' || c == '}' || (c == ':' && next == ' ') || (c == ' ' && next == '#'))
            break;
    }
    while (end && text.ptr[end - 1] == ' ')
        end--;
    return end;
}

static size_t characters(struct sl_slice text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += !continues(text.ptr[i]);
    return count;
}

void sl_policy_show(const struct sl_policy_file *files, size_t count, struct sl_arena *arena, struct sl_issue *issue)
{
    for (size_t i = 0; issue->line && i < count; i++) {
        if (!sl_slice_eq(files[i].path, issue->file))
            continue;
        struct sl_slice line = line_of(files[i].text, issue->line);
        if (!line.len || line.len > LINE_LIMIT)
            return;
        issue->source = sl_arena_copy(arena, line);
        struct sl_slice rest = issue->column ? from_column(line, issue->column) : (struct sl_slice){NULL, 0};
        if (!rest.len)
            return;
        rest.len = rest.ptr[0] == '"' || rest.ptr[0] == '\''  ? quoted_length(rest)
                   : rest.ptr[0] == '[' || rest.ptr[0] == '{' ? bracket_length(rest)
                                                              : word_length(rest);
        issue->width = characters(rest);
        return;
    }
}
