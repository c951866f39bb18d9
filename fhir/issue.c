/* SPDX-License-Identifier: Apache-2.0 */
/* The list of issues: see sluice/issue.h. */
#include "sluice/issue.h"

#include <stdarg.h>
#include <stdio.h>

struct sl_issue *sl_issue_add(struct sl_issues *issues, enum sl_grade grade, const char *code, const char *format, ...)
{
    if (!issues)
        return NULL;
    issues->count++;
    if (grade == SL_GRADE_ERROR)
        issues->errors++;
    struct sl_issue *issue = sl_arena_alloc(issues->arena, sizeof *issue);
    if (!issue)
        return NULL;
    char text[1024];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (len < 0)
        len = 0;
    if ((size_t)len >= sizeof text)
        len = (int)sizeof text - 1;
    issue->grade = grade;
    issue->code = sl_slice_of(code);
    issue->text = sl_arena_copy(issues->arena, (struct sl_slice){text, (size_t)len});
    if (issues->last)
        issues->last->next = issue;
    else
        issues->first = issue;
    issues->last = issue;
    return issue;
}
