/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a value set of somebody else's. Whatever they are: what is read has a code, a system and a category
 * each, or nothing of it counts; the file made of it loads again as one of ours, and says what was read.
 */
#include <stdlib.h>

#include "sluice/terminology.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TEXT(s)                                                                                                        \
    {                                                                                                                  \
        (s), sizeof(s) - 1                                                                                             \
    }

static const struct sl_policy_file files[] = {
    {TEXT("policy.yaml"), TEXT("title: For tests\nversion: \"1\"\nterminology: terminology\n"
                               "notice: {version: \"1\", statement: a, short: b}\n")},
    {TEXT("house.yaml"), TEXT("layer: organization\ntitle: House\nclasses:\n"
                              "  - {id: a, title: A, kind: needs-yes, earned-by: {categories: [A]}}\n"
                              "  - {id: chart, title: C, kind: needs-yes, earned-by: {types: others}}\n")},
    {TEXT("terminology/categories.csv"), TEXT("id,sensitivity,confidentiality,part2,also_match\nA,SUD,R,yes,ETH\n")},
    {TEXT("terminology/systems.csv"), TEXT("name,uri,kind,form,family,aliases\nx,http://x,code,any,claims,\n")}};

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_again(const struct sl_policy *policy, const struct sl_value_set *set, struct sl_issues *issues)
{
    struct sl_site_files made;
    struct sl_policy *after = NULL;
    if (sl_site_files_make(issues->arena, policy, set, SL_LIT("n"), SL_LIT("s"), issues, &made) != SL_OK)
        return;
    const struct sl_policy_file both[] = {made.codes, made.systems};
    if (sl_policy_with_files(policy, both, 2, issues, &after) != SL_OK)
        return; /* a category, a code or a system that no policy has */
    for (size_t i = 0; i < set->count; i++) {
        struct sl_code_answer answer;
        sl_code_look_up(after, set->codes[i].system, set->codes[i].code, &answer);
        check(answer.known && (answer.count || answer.judged));
    }
    sl_policy_unref(after);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sl_policy *policy;
    struct sl_issues issues = {.arena = sl_arena_new((size_t)64 << 20)};
    struct sl_value_set set;
    if (!policy)
        check(sl_policy_load_files(files, sizeof files / sizeof *files, &issues, &policy) == SL_OK);
    const struct sl_value_set_defaults defaults = {.system = SL_LIT("http://x"), .category = SL_LIT("A")};
    struct sl_slice text = {(const char *)data, size};
    if (size < 1 << 16 && sl_value_set_read(issues.arena, SL_LIT("f"), text, &defaults, &issues, &set) == SL_OK) {
        for (size_t i = 0; i < set.count; i++)
            check(set.codes[i].code.len && set.codes[i].system.len && set.codes[i].category.len);
        check_again(policy, &set, &issues);
    }
    sl_arena_free(issues.arena);
    return 0;
}
