/* SPDX-License-Identifier: Apache-2.0 */
/* What a code is under a policy, and which row says so: see sluice/terminology.h. */
#include "policy_model.h"
#include "sluice/terminology.h"
#include "terminology.h"

_Static_assert(SL_CODE_FINDINGS == SL_CODE_HITS, "every category that a code can have is found");

static struct sl_code_finding finding_of(const struct sl_code_row *row)
{
    return (struct sl_code_finding){
        .row_system = row->system, .row_code = row->code, .file = row->file, .source = row->source, .line = row->line};
}

/* As a Coding names it, or as systems.csv does. */
static sl_system system_of(const struct sl_terminology *t, struct sl_slice text)
{
    sl_system number = sl_terminology_system(t, text);
    for (unsigned i = SL_SYSTEM_UNKNOWN + 1u; number == SL_SYSTEM_UNKNOWN && i < sl_terminology_system_count(t); i++)
        if (sl_slice_eq(sl_terminology_system_name(t, (sl_system)i), text))
            number = (sl_system)i;
    return number;
}

void sl_code_look_up(
    const struct sl_policy *policy, struct sl_slice system, struct sl_slice code, struct sl_code_answer *out)
{
    const struct sl_earning *earning = sl_policy_earning(policy);
    const struct sl_terminology *t = earning->terminology;
    struct sl_code_hit hits[SL_CODE_HITS];
    struct sl_code_row row;
    sl_system number = system_of(t, system);
    *out = (struct sl_code_answer){0};
    if (number > SL_SYSTEM_UNKNOWN)
        out->system = sl_terminology_system_name(t, number);
    out->count = sl_terminology_find_in(t, number, code, hits, SL_CODE_HITS);
    out->known = out->count || sl_terminology_knows(t, number, code);
    out->judged = sl_terminology_judged(t, number, code, &row);
    if (out->judged)
        out->none = finding_of(&row);
    for (size_t i = 0; i < out->count; i++) {
        struct sl_code_finding *f = &out->findings[i];
        sl_terminology_row(t, hits[i].row, &row);
        *f = finding_of(&row);
        f->category = sl_terminology_category(t, hits[i].category)->id;
        f->weak = hits[i].weak;
        f->by_prefix = hits[i].by_prefix;
        f->classes = f->weak ? earning->weak_by_category[hits[i].category] : earning->by_category[hits[i].category];
        sl_classes_join(&out->classes, &f->classes);
    }
}

struct sl_slice sl_code_system(const struct sl_policy *policy, unsigned number)
{
    const struct sl_terminology *t = sl_policy_earning(policy)->terminology;
    return sl_terminology_system_name(t, (sl_system)(number + SL_SYSTEM_UNKNOWN + 1u));
}
