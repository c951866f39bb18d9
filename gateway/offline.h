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
    int fate;             /* of a Bundle, once decided: enum sl_bundle_fate */
    bool xml;             /* a document of its own, here as the attachment of a DocumentReference */
    struct sl_item *item; /* of a single resource; a Bundle's items carry their doc */
    struct sl_offline_text *next;
};

struct sl_offline {
    const struct sl_cli *cli; /* while a command runs */
    struct sl_arena *arena;
    struct sl_issues issues;
    struct sl_policy *policy;
    struct sl_programs *programs;
    struct sl_registered *registered; /* of --register or --store; NULL: nothing */
    const char *const *program_lists; /* as given with --programs */
    size_t program_list_count;
    struct sl_recipient recipient;
    struct sl_emergency emergency;
    struct sl_directives directives; /* of --consents, of all patients */
    int64_t now;
    struct sl_pass *pass;
    struct sl_offline_text *first, *last;
    bool ndjson;
    struct sl_slice patient;    /* of --patient */
    bool xml;                   /* the file being read is XML */
    const char *out, *manifest; /* files to write; NULL: standard output, and none */
};

/* Options that `segment`, `label` and `policy explain` share; SL_OFFLINE_OPTIONS rows. */
/* clang-format off */
#define SL_OFFLINE_LABEL_OPTIONS \
    {"policy", SL_OPTION_ONE, "DIR", "the policy directory (the shipped one)", false}, \
        {"programs", SL_OPTION_MANY, "ID,…", "organizations or locations that are Part 2 programs, or a .yaml table", \
            false}, \
        {"register", SL_OPTION_ONE, "FILE", "entries of the officer's register, YAML", false}, \
        {"store", SL_OPTION_ONE, "DIR", "a policy store, for the register in it", false}, \
        {"patient", SL_OPTION_ONE, "REF", "whom a C-CDA document is about (Patient/ID), for consents", false}, \
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

/* A whole command: reads the options, loads what they name, reads and labels the input (the first operand, or standard
 * input), and calls `finish`. Gives the exit status. What the input refers to and is not here names no record. */
int sl_offline_run(int argc, char **argv, const char *usage, const struct sl_option *options, size_t count,
    int (*finish)(struct sl_offline *offline));

#endif
