/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a policy file, beside a federal file and a terminology that are good: loading never crashes, what loads
 * is well formed, its scenarios run, and a recipient that is nobody is released nothing.
 */
#include <stdint.h>
#include <stdlib.h>

#include "sluice/decide.h"

static const char head[] = "title: T\nversion: \"1\"\nnotice: {version: \"1\", statement: S, short: s}\n";
static const char systems[] =
    "name,uri,kind,form,family,aliases\nicd-10-cm,http://hl7.org/fhir/sid/icd-10-cm,code,icd,claims,\n";
static const char categories[] = "id,sensitivity,confidentiality,part2,also_match\nSUD_OPIOID,OPIOIDUD,R,yes,ETH|SUD\n";
static const char federal[] =
    "layer: federal\n"
    "classes:\n"
    "  - {id: chart, title: C, kind: needs-yes, earned-by: {types: others}}\n"
    "  - {id: part2, title: P, kind: needs-yes, earned-by: {origin: program}}\n"
    "consents: [{id: tpo, title: C, purposes: [treatment], forms: [{categories: [{system: s, code: c}]}]}]\n"
    "rules:\n"
    "  - {id: ceiling, title: W, law: L, verdict: withhold, data: [part2], to: everyone, for: any, unless: {consent: "
    "tpo}}\n";

static void try_decisions(const struct sl_policy *policy)
{
    static const struct sl_slice patient = {"Patient/p", 9};
    struct sl_arena *arena = sl_arena_new((size_t)16 << 20);
    struct sl_recipient nobody = {.purpose = SL_LIT("TREAT")}, party = nobody;
    struct sl_ruling *ruling = NULL;
    struct sl_item item = {.type = SL_R4_Observation};
    size_t count;
    const struct sl_slice *parties = sl_policy_parties(policy, &count);
    if (!arena)
        return;
    for (unsigned bit = 0; bit < sl_policy_class_count(policy); bit++)
        sl_classes_add(&item.classes, bit);
    for (size_t i = 0; i < count; i++) {
        struct sl_release release;
        party.party = parties[i];
        if (sl_ruling_new(arena, policy, &party, &patient, 1, NULL, 0, &ruling) == SL_OK &&
            sl_decide_item(ruling, &item).decision == SL_RELEASED)
            (void)!sl_ruling_release(ruling, &item, arena, &release);
    }
    if (sl_ruling_new(arena, policy, &nobody, &patient, 1, NULL, 0, &ruling) == SL_OK &&
        sl_decide_item(ruling, &item).decision == SL_RELEASED)
        abort();
    sl_arena_free(arena);
}

static void try_tools(const struct sl_policy *policy)
{
    struct sl_buffer out;
    size_t passed, failed;
    sl_buffer_init(&out, (size_t)8 << 20);
    (void)!sl_policy_test(policy, &out, &passed, &failed);
    sl_buffer_clear(&out);
    (void)!sl_policy_matrix(policy, SL_MATRIX_JSON, true, &out);
    sl_buffer_clear(&out);
    if (sl_policy_render(policy, &out) == SL_OK && !out.len)
        abort();
    sl_buffer_fini(&out);
    struct sl_issues issues = {.arena = sl_arena_new((size_t)64 << 20)};
    if (!issues.arena || sl_policy_review(policy, 0, &issues) != SL_OK || issues.errors)
        abort();
    sl_arena_free(issues.arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_issues issues = {.arena = sl_arena_new((size_t)64 << 20)};
    const struct sl_policy_file files[] = {
        {SL_LIT("policy.yaml"), SL_LIT(head)},
        {SL_LIT("federal/a.yaml"), SL_LIT(federal)},
        {SL_LIT("house/b.yaml"), {(const char *)data, size}},
        {SL_LIT("terminology/systems.csv"), SL_LIT(systems)},
        {SL_LIT("terminology/categories.csv"), SL_LIT(categories)},
    };
    struct sl_policy *policy = NULL;
    if (!issues.arena)
        return 0;
    enum sl_status status = sl_policy_load_files(files, sizeof files / sizeof *files, &issues, &policy);
    if ((status == SL_OK) != (policy != NULL) || (status == SL_OK && issues.errors) ||
        (status == SL_INVALID && !issues.errors))
        abort();
    if (policy) {
        try_decisions(policy);
        try_tools(policy);
    }
    sl_policy_unref(policy);
    sl_arena_free(issues.arena);
    return 0;
}
