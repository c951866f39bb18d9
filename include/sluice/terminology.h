/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The code lists of a policy, for those who keep them: what a code is here and which row says so, and value sets of a
 * site's own, read from FHIR or CSV and turned into a file of the policy's terminology folder. Nothing here decides
 * anything, and nothing is written: a site's file counts once a policy that holds it is loaded.
 */
#ifndef SLUICE_TERMINOLOGY_H
#define SLUICE_TERMINOLOGY_H

#include "sluice/classes.h"
#include "sluice/issue.h"
#include "sluice/policy.h"

#define SL_CODE_FINDINGS 8u

/* One category of a code, and the row that says so. Everything borrowed from the policy. */
struct sl_code_finding {
    struct sl_slice category;   /* "SUD_OPIOID" */
    struct sl_slice row_system; /* the system of the row: another than asked for where the code stands in its column */
    struct sl_slice row_code;   /* as kept; of a prefix the prefix */
    struct sl_slice file, source;
    size_t line;
    bool weak, by_prefix;
    struct sl_classes classes; /* what the policy makes of it */
};

struct sl_code_answer {
    struct sl_slice system; /* its name here; empty: unknown, or none was given */
    bool known;             /* else it earns `unclassified` where it says what a record is */
    bool judged;            /* known by a row that says: not sensitive; `none` is that row */
    struct sl_code_finding none;
    struct sl_code_finding findings[SL_CODE_FINDINGS];
    size_t count;
    struct sl_classes classes; /* of all findings */
};

/* system: as a Coding would have it, or its name here ("snomed-ct"); empty: a Coding without one. */
void sl_code_look_up(
    const struct sl_policy *policy, struct sl_slice system, struct sl_slice code, struct sl_code_answer *out);
/* The names of the systems known here, by number from 0; empty beyond the last. */
struct sl_slice sl_code_system(const struct sl_policy *policy, unsigned number);

/* ---- A site's value sets ---- */

#define SL_VALUE_SET_CODES 500000u /* of one file */

struct sl_value_set_code {
    struct sl_slice system, code, category; /* system as written */
    bool weak;
    size_t line; /* in a CSV file; else 0 */
};

struct sl_value_set {
    struct sl_slice title; /* of a FHIR ValueSet; else empty */
    struct sl_value_set_code *codes;
    size_t count;
};

/* What holds for codes that do not say it themselves; empty: each must. */
struct sl_value_set_defaults {
    struct sl_slice system, category;
    bool weak;
};

/*
 * Reads a FHIR ValueSet (JSON, or a Bundle of them) or CSV, told by the first byte. Of a ValueSet its expansion counts,
 * or else the concepts listed in compose.include; one that a terminology server must expand is an issue, for half a
 * value set is worse than none. CSV has a header with `code` and perhaps `system`, `category`, `evidence` (strong or
 * weak); other columns are passed over. Any issue of grade error: SL_INVALID.
 */
SL_MUST_CHECK enum sl_status sl_value_set_read(struct sl_arena *arena, struct sl_slice file, struct sl_slice text,
    const struct sl_value_set_defaults *defaults, struct sl_issues *issues, struct sl_value_set *out);

/* The files of a site's value set `name` ([a-z0-9-]+): a list of codes, and code systems nobody knew so far, empty if
 * there are none. Of such a system the codes listed are known, and no others. What the lists at hand say already, just
 * so, is left out, and counted. */
struct sl_site_files {
    struct sl_policy_file codes, systems;
    size_t there_already;
};
SL_MUST_CHECK enum sl_status sl_site_files_make(struct sl_arena *arena, const struct sl_policy *policy,
    const struct sl_value_set *set, struct sl_slice name, struct sl_slice source, struct sl_issues *issues,
    struct sl_site_files *out);

/* The same policy with these files in the place of those of their names. A file with empty text is left out. */
SL_MUST_CHECK enum sl_status sl_policy_with_files(const struct sl_policy *policy, const struct sl_policy_file *files,
    size_t count, struct sl_issues *issues, struct sl_policy **out);

#endif
