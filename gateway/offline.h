/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The offline door: resources from files instead of an upstream, through the same pass as every other door. Input is
 * read whole before anything is written, since a later line may classify an earlier one.
 */
#ifndef SLUICE_GATEWAY_OFFLINE_H
#define SLUICE_GATEWAY_OFFLINE_H

#include "cli.h"
#include "sluice/edit.h"
#include "sluice/pass.h"

/* One JSON text of the input: a resource, a Bundle, or a line of NDJSON. */
struct sl_offline_text {
    const struct sl_doc *doc;
    bool bundle;
    struct sl_item *item; /* of a single resource; a Bundle's items carry their doc */
    struct sl_offline_text *next;
};

struct sl_offline {
    struct sl_arena *arena;
    struct sl_issues issues;
    struct sl_policy *policy;
    struct sl_programs *programs;
    const char *const *program_lists; /* as given with --programs */
    size_t program_list_count;
    struct sl_recipient recipient;
    struct sl_emergency emergency;
    struct sl_directives directives; /* of --consents, of all patients */
    int64_t now;
    struct sl_pass *pass;
    struct sl_offline_text *first, *last;
    bool ndjson;
};

/* Options that `segment`, `label` and `policy explain` share; SL_OFFLINE_OPTIONS rows. */
/* clang-format off */
#define SL_OFFLINE_LABEL_OPTIONS \
    {"policy", SL_OPTION_ONE, "DIR", "the policy directory (the shipped one)", false}, \
        {"programs", SL_OPTION_MANY, "ID,…", "organizations or locations that are Part 2 programs, or a .yaml table", \
            false}, \
        {"context", SL_OPTION_MANY, "FILE…", "more records, used for labels only", false}
#define SL_OFFLINE_DECIDE_OPTIONS \
    {"as", SL_OPTION_ONE, "PARTY", "the party that asks, as the policy names it", true}, \
        {"for", SL_OPTION_ONE, "PURPOSE", "purpose of use: a v3-ActReason code or its readable name", true}, \
        {"consents", SL_OPTION_MANY, "FILE…", "Consents, as NDJSON, a Bundle or one resource", false}, \
        {"declare", SL_OPTION_ONE, "FILE", "an emergency statement (42 CFR 2.51), YAML or JSON", false}, \
        {"organization", SL_OPTION_ONE, "REF", "the recipient's organization, for consents that name one", false}, \
        {"user", SL_OPTION_ONE, "REF", "the recipient's person, for consents that name one", false}, \
        {"at", SL_OPTION_ONE, "INSTANT", "decide as of this instant (YYYY-MM-DDThh:mm:ssZ)", false}
/* clang-format on */

/* Zeroes and prepares; the arena is made here and freed by fini. */
SL_MUST_CHECK enum sl_status sl_offline_init(struct sl_offline *offline);
void sl_offline_fini(struct sl_offline *offline);
/* Loads policy, programs, consents, statement and context as the options say. 0, or an exit status after a message. */
int sl_offline_setup(struct sl_offline *offline, const struct sl_cli *cli);
/* Reads the input and labels it as far as what is here reaches; what it refers to and is not here names no record. */
int sl_offline_input(struct sl_offline *offline, const char *path);

#endif
