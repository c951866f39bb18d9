/* SPDX-License-Identifier: Apache-2.0 */
/* Reports of `sluice policy check` for programs: see check_report.h. */
#include "check_report.h"

static const char *const grades[] = {
    [SL_GRADE_NOTE] = "note", [SL_GRADE_ADVICE] = "advice", [SL_GRADE_WARNING] = "warning", [SL_GRADE_ERROR] = "error"};

const char *sl_check_grade(enum sl_grade grade)
{
    return grades[grade];
}

size_t sl_check_count(const struct sl_issues *issues, enum sl_grade grade)
{
    size_t count = 0;
    for (const struct sl_issue *issue = issues->first; issue; issue = issue->next)
        count += issue->grade == grade;
    return count;
}

static void member(struct sl_buffer *out, const char *name, struct sl_slice value)
{
    sl_buffer_printf(out, "\"%s\":", name);
    sl_buffer_json_string(out, value);
}

/* The page about a code, seen from the root of the documentation. */
static void page(struct sl_buffer *out, struct sl_slice code)
{
    sl_buffer_printf(out, "docs/checks.md#%.*s", SL_FMT(code));
}

/* ---- JSON ---- */

static void json_issue(const struct sl_issue *issue, struct sl_buffer *out)
{
    sl_buffer_add(out, SL_LIT("{"));
    member(out, "grade", sl_slice_of(grades[issue->grade]));
    sl_buffer_add(out, SL_LIT(","));
    member(out, "code", issue->code);
    sl_buffer_add(out, SL_LIT(","));
    member(out, "file", issue->file);
    sl_buffer_printf(out, ",\"line\":%zu,\"column\":%zu,\"width\":%zu,", issue->line, issue->column, issue->width);
    member(out, "source", issue->source);
    sl_buffer_add(out, SL_LIT(","));
    member(out, "text", issue->text);
    sl_buffer_add(out, SL_LIT(","));
    member(out, "fix", issue->fix);
    sl_buffer_add(out, SL_LIT(",\"page\":\""));
    page(out, issue->code);
    sl_buffer_add(out, SL_LIT("\"}"));
}

void sl_check_json(const struct sl_check_report *report, struct sl_buffer *out)
{
    const struct sl_policy *policy = report->policy;
    const struct sl_slice none = {NULL, 0};
    sl_buffer_add(out, SL_LIT("{"));
    member(out, "directory", sl_slice_of(report->directory));
    sl_buffer_printf(out, ",\"in-order\":%s,", policy ? "true" : "false");
    member(out, "title", policy ? sl_policy_title(policy) : none);
    sl_buffer_add(out, SL_LIT(","));
    member(out, "version", policy ? sl_policy_version(policy) : none);
    sl_buffer_add(out, SL_LIT(","));
    member(out, "digest", policy ? sl_policy_digest(policy) : none);
    for (enum sl_grade grade = SL_GRADE_NOTE; grade <= SL_GRADE_ERROR; grade++)
        sl_buffer_printf(out, ",\"%ss\":%zu", grade == SL_GRADE_ADVICE ? "advice-item" : grades[grade],
            sl_check_count(report->issues, grade));
    sl_buffer_add(out, SL_LIT(",\"issues\":["));
    for (const struct sl_issue *issue = report->issues->first; issue; issue = issue->next) {
        json_issue(issue, out);
        sl_buffer_add(out, issue->next ? SL_LIT(",\n") : SL_LIT(""));
    }
    sl_buffer_add(out, SL_LIT("]}\n"));
}

/* ---- SARIF ---- */

/* How a grade is told there (SARIF 2.1.0, 3.27.9 and 3.27.10): what is no fault is a result of the kind
 * `informational`, whose level is `none`. */
static const struct {
    const char *kind, *level;
} sarif_grades[] = {[SL_GRADE_NOTE] = {"informational", "none"},
    [SL_GRADE_ADVICE] = {"fail", "note"},
    [SL_GRADE_WARNING] = {"fail", "warning"},
    [SL_GRADE_ERROR] = {"fail", "error"}};

static bool is_unreserved(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-._~/", c);
}

/* A path as a URI reference (RFC 3986); one that begins at the root becomes a URI of its own. */
static void add_path(struct sl_buffer *out, struct sl_slice path)
{
    for (size_t i = 0; i < path.len; i++)
        if (path.ptr[i] && is_unreserved((unsigned char)path.ptr[i]))
            sl_buffer_add(out, (struct sl_slice){path.ptr + i, 1});
        else
            sl_buffer_printf(out, "%%%02X", (unsigned char)path.ptr[i]);
}

static void sarif_uri(const struct sl_check_report *report, struct sl_slice file, struct sl_buffer *out)
{
    struct sl_slice directory = sl_slice_of(report->directory);
    while (sl_slice_starts(directory, SL_LIT("./")))
        directory = sl_slice_from(directory, 2);
    while (directory.len > 1 && directory.ptr[directory.len - 1] == '/')
        directory.len--;
    if (directory.len && directory.ptr[0] == '/')
        sl_buffer_add(out, SL_LIT("file://"));
    if (!sl_slice_eq(directory, SL_LIT(".")) && directory.len) {
        add_path(out, directory);
        sl_buffer_add(out, SL_LIT("/"));
    }
    add_path(out, file);
}

static size_t rule_index(struct sl_slice code)
{
    size_t count;
    const struct sl_check *checks = sl_policy_checks(&count);
    for (size_t i = 0; i < count; i++)
        if (sl_slice_eq(sl_slice_of(checks[i].code), code))
            return i;
    return count;
}

static void sarif_region(const struct sl_issue *issue, struct sl_buffer *out)
{
    if (!issue->line)
        return;
    sl_buffer_printf(out, ",\"region\":{\"startLine\":%zu", issue->line);
    if (issue->column)
        sl_buffer_printf(out, ",\"startColumn\":%zu", issue->column);
    if (issue->column && issue->width)
        sl_buffer_printf(out, ",\"endColumn\":%zu", issue->column + issue->width);
    sl_buffer_add(out, SL_LIT("}"));
}

/* Code lists are named by the folder that policy.yaml gives, so that their path from the directory is not known here.
 */
static bool is_beside(struct sl_slice file)
{
    return !file.len || sl_slice_starts(file, SL_LIT("terminology/")) || sl_slice_starts(file, SL_LIT("lexicon/"));
}

static void sarif_result(const struct sl_check_report *report, const struct sl_issue *issue, struct sl_buffer *out)
{
    size_t count, index = rule_index(issue->code);
    (void)sl_policy_checks(&count);
    sl_buffer_add(out, SL_LIT("{"));
    member(out, "ruleId", issue->code);
    if (index < count)
        sl_buffer_printf(out, ",\"ruleIndex\":%zu", index);
    sl_buffer_printf(out, ",\"kind\":\"%s\",\"level\":\"%s\",\"message\":{\"text\":", sarif_grades[issue->grade].kind,
        sarif_grades[issue->grade].level);
    struct sl_buffer text;
    sl_buffer_init(&text, 64 * 1024);
    if (is_beside(issue->file) && issue->file.len)
        sl_buffer_printf(&text, "%.*s: ", SL_FMT(issue->file));
    sl_buffer_printf(&text, "%.*s%s%.*s", SL_FMT(issue->text), issue->fix.len ? " " : "", SL_FMT(issue->fix));
    sl_buffer_json_string(out, sl_buffer_slice(&text));
    sl_buffer_fini(&text);
    sl_buffer_add(out, SL_LIT("}"));
    if (!is_beside(issue->file)) {
        sl_buffer_add(out, SL_LIT(",\"locations\":[{\"physicalLocation\":{\"artifactLocation\":{\"uri\":\""));
        sarif_uri(report, issue->file, out);
        sl_buffer_add(out, SL_LIT("\"}"));
        sarif_region(issue, out);
        sl_buffer_add(out, SL_LIT("}}]"));
    }
    sl_buffer_add(out, SL_LIT("}"));
}

static void sarif_rule(const struct sl_check *check, struct sl_buffer *out)
{
    sl_buffer_add(out, SL_LIT("{"));
    member(out, "id", sl_slice_of(check->code));
    sl_buffer_add(out, SL_LIT(",\"shortDescription\":{"));
    member(out, "text", sl_slice_of(check->title));
    sl_buffer_printf(out, "},\"defaultConfiguration\":{\"level\":\"%s\"},\"help\":{\"text\":\"See ",
        sarif_grades[check->grade].level);
    page(out, sl_slice_of(check->code));
    sl_buffer_add(out, SL_LIT("\"}}"));
}

void sl_check_sarif(const struct sl_check_report *report, struct sl_buffer *out)
{
    size_t count;
    const struct sl_check *checks = sl_policy_checks(&count);
    sl_buffer_add(out, SL_LIT("{\"$schema\":\"https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/"
                              "sarif-schema-2.1.0.json\",\"version\":\"2.1.0\",\"runs\":[{"
                              "\"tool\":{\"driver\":{\"name\":\"sluice policy check\",\"rules\":[\n"));
    for (size_t i = 0; i < count; i++) {
        sarif_rule(&checks[i], out);
        sl_buffer_add(out, i + 1 < count ? SL_LIT(",\n") : SL_LIT("\n"));
    }
    sl_buffer_add(out, SL_LIT("]}},\"columnKind\":\"unicodeCodePoints\",\"results\":[\n"));
    for (const struct sl_issue *issue = report->issues->first; issue; issue = issue->next) {
        sarif_result(report, issue, out);
        sl_buffer_add(out, issue->next ? SL_LIT(",\n") : SL_LIT("\n"));
    }
    sl_buffer_add(out, SL_LIT("]}]}\n"));
}
