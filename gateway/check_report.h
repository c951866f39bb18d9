/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `sluice policy check` found, for programs: as JSON of our own, and as SARIF 2.1.0 (OASIS), which code hosts and
 * editors show beside the files.
 */
#ifndef SLUICE_GATEWAY_CHECK_REPORT_H
#define SLUICE_GATEWAY_CHECK_REPORT_H

#include "sluice/buffer.h"
#include "sluice/issue.h"
#include "sluice/policy.h"

struct sl_check_report {
    const char *directory; /* as given; paths of issues are seen from it */
    const struct sl_issues *issues;
    const struct sl_policy *policy; /* NULL: not in order */
};

size_t sl_check_count(const struct sl_issues *issues, enum sl_grade grade);
const char *sl_check_grade(enum sl_grade grade); /* "error", "warning", "advice", "note" */
void sl_check_json(const struct sl_check_report *report, struct sl_buffer *out);
void sl_check_sarif(const struct sl_check_report *report, struct sl_buffer *out);

#endif
