/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The packs: the files of federal and state law that Sluice ships. Their SHA-256 sums are made of the files at each
 * build (CMakeLists.txt) and are part of the program, so that nobody has to keep a list, and a file can only come with
 * a version of Sluice. What is not as shipped may be tried out and compared, but never be put in force (activate.c).
 *
 * Only packs may say `layer: federal`: a house's own file of that layer could lift what a pack withholds. A state's
 * pack is an example until counsel has reviewed it; without that word it is the house's own.
 */
#include "generation_log.h"
#include "policy_model.h"
#include "sluice/generation.h"

struct pack_file {
    struct sl_slice path, sha256;
};

#define P(path, sha256) {{path, sizeof(path) - 1}, {sha256, sizeof(sha256) - 1}},
static const struct pack_file shipped[] = {
#include "packs_lock.inc"
};
#undef P

#define SHIPPED (sizeof shipped / sizeof *shipped)

static bool is_federal(const struct pack_file *file)
{
    return sl_slice_starts(file->path, SL_LIT("federal/"));
}

static const struct pack_file *find_shipped(struct sl_slice path)
{
    for (size_t i = 0; i < SHIPPED; i++)
        if (sl_slice_eq(shipped[i].path, path))
            return &shipped[i];
    return NULL;
}

static const struct sl_policy_source *find_source(const struct sl_policy *policy, struct sl_slice path)
{
    for (size_t i = 0; i < policy->source_count; i++)
        if (sl_slice_eq(policy->sources[i].yaml.file, path))
            return &policy->sources[i];
    return NULL;
}

static void refuse(struct sl_issues *issues, const struct sl_policy *policy, const char *code, struct sl_slice file,
    const char *text, const char *fix)
{
    struct sl_issue *issue = sl_issue_add(issues, SL_GRADE_ERROR, code, "%s", text);
    if (!issue)
        return;
    issue->file = sl_arena_copy(issues->arena, file);
    issue->fix = sl_slice_of(fix);
    const struct sl_policy_source *source = find_source(policy, file);
    const struct sl_yaml *layer = source ? sl_yaml_get(source->root, "layer") : NULL;
    if (!layer)
        return;
    issue->line = layer->line;
    issue->column = layer->column;
    sl_policy_show(policy->files, policy->file_count, issues->arena, issue);
}

static enum sl_status check_file(
    const struct sl_policy *policy, const struct sl_policy_file *file, struct sl_issues *issues)
{
    const struct pack_file *pack = find_shipped(file->path);
    const struct sl_policy_source *source = find_source(policy, file->path);
    struct sl_sha256 sha;
    if (!pack) {
        if (source && source->layer == SL_LAYER_FEDERAL)
            refuse(issues, policy, "pack-foreign", file->path,
                "Only the files that come with Sluice may say `layer: federal`.",
                "Write `layer: state` for further law that binds the house, and `layer: organization` for its own "
                "rules.");
        return SL_OK;
    }
    SL_TRY(sl_sha256_of(file->text, &sha));
    struct sl_slice hex = sl_sha256_hex(issues->arena, &sha);
    if (sl_slice_eq(hex, pack->sha256) || !hex.ptr || (!is_federal(pack) && source && !source->example))
        return hex.ptr ? SL_OK : SL_NO_MEMORY;
    refuse(issues, policy, "pack-edited", file->path, "This is not the file that this version of Sluice ships.",
        is_federal(pack) ? "Take the shipped file, and write what the house withholds beyond it in a file of its own."
                         : "Take the shipped file; or, once counsel has reviewed this one, take `example` out, and it "
                           "is the house's.");
    return SL_OK;
}

static bool has_file(const struct sl_policy *policy, struct sl_slice path)
{
    for (size_t i = 0; i < policy->file_count; i++)
        if (sl_slice_eq(policy->files[i].path, path))
            return true;
    return false;
}

static void check_missing(const struct sl_policy *policy, struct sl_issues *issues)
{
    for (size_t i = 0; i < SHIPPED; i++)
        if (is_federal(&shipped[i]) && !has_file(policy, shipped[i].path))
            refuse(issues, policy, "pack-missing", shipped[i].path, "A file of the federal pack is missing.",
                "Take it from the policies that come with Sluice.");
}

enum sl_status sl_policy_check_packs(const struct sl_policy *policy, struct sl_issues *issues)
{
    size_t errors = issues->errors;
    bool any = false;
    for (size_t i = 0; i < SHIPPED; i++)
        any |= is_federal(&shipped[i]) && has_file(policy, shipped[i].path);
    if (!any) {
        struct sl_issue *issue = sl_issue_add(issues, SL_GRADE_NOTE, "packs-absent",
            "None of the federal files that come with Sluice is here: this policy can be tried out, and not put in "
            "force.");
        if (issue)
            issue->fix = SL_LIT("Take the folder federal/ from the policies that come with Sluice.");
        return SL_INVALID;
    }
    for (size_t i = 0; i < policy->file_count; i++)
        SL_TRY(check_file(policy, &policy->files[i], issues));
    check_missing(policy, issues);
    return issues->errors > errors ? SL_INVALID : SL_OK;
}

bool sl_packs_as_shipped(const struct sl_generation_file *files, size_t count)
{
    size_t federal = 0, found = 0;
    for (size_t i = 0; i < SHIPPED; i++)
        federal += is_federal(&shipped[i]);
    for (size_t i = 0; i < count; i++) {
        const struct pack_file *pack = find_shipped(files[i].path);
        if (pack && is_federal(pack))
            found += sl_slice_eq(pack->sha256, files[i].sha256);
    }
    return found == federal;
}
