/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sluice policy explain: why each record of the input goes or does not, or each of an entry of the ledger; and what
 * would alter that. The pass and the functions are those that decide for the gateway.
 */
#include "cmd_policy.h"

#include <stdlib.h>

#include "offline.h"
#include "sluice/generation.h"
#include "sluice/intents.h"
#include "sluice/ledger.h"
#include "sluice/replay.h"
#include "sluice/store.h"

#define EXPLAIN_LIMIT ((size_t)256 << 20)

static int print_text(struct sl_buffer *text)
{
    bool good = !sl_buffer_failed(text) && fwrite(text->ptr ? text->ptr : "", 1, text->len, stdout) == text->len;
    return good && fflush(stdout) == 0 ? 0 : 1;
}

/* ---- Of the input ---- */

/* The elements of an item that went. */
static enum sl_status find_elements(struct sl_offline *offline, const struct sl_segment_report *report,
    const struct sl_item *item, struct sl_explained *out)
{
    size_t count = 0, i = 0;
    for (const struct sl_withheld *w = report->first; w; w = w->next)
        count += w->item == item && w->path.len;
    struct sl_explained_element *elements = sl_arena_array(offline->arena, count + 1, sizeof *elements);
    if (!elements)
        return SL_NO_MEMORY;
    for (const struct sl_withheld *w = report->first; w; w = w->next) {
        const struct sl_class *class = sl_policy_class(offline->policy, w->cause.class_bit);
        if (w->item == item && w->path.len)
            elements[i++] = (struct sl_explained_element){w->path, sl_slice_of(w->cause.why),
                class ? class->id : SL_LIT(""), w->cause.rule ? w->cause.rule->id : SL_LIT("")};
    }
    out->elements = elements;
    out->element_count = count;
    return SL_OK;
}

static int explain_items(struct sl_offline *offline)
{
    struct sl_segment_report report;
    struct sl_buffer text;
    bool json = sl_cli_given(offline->cli, "json");
    enum sl_status status = sl_pass_decide(offline->pass, &report);
    if (status != SL_OK)
        return sl_cli_failed("explain", status, &offline->issues);
    sl_buffer_init(&text, EXPLAIN_LIMIT);
    for (const struct sl_item *item = sl_labeller_items(sl_pass_labeller(offline->pass)); item && status == SL_OK;
         item = item->next) {
        struct sl_explained explained = {.ruling = item->ruling, .item = item};
        if (item->context)
            continue;
        status = find_elements(offline, &report, item, &explained);
        if (status == SL_OK)
            status = sl_explain_as(&explained, json, &text);
    }
    int result = status == SL_OK ? print_text(&text) : sl_cli_failed("explain", status, &offline->issues);
    sl_buffer_fini(&text);
    return result;
}

/* ---- Of an entry of the ledger ---- */

struct finding {
    struct sl_arena *arena;
    uint64_t wanted;
    struct sl_slice record;
};

static bool take(void *context, uint64_t sequence, struct sl_slice record)
{
    struct finding *finding = context;
    if (sequence == finding->wanted)
        finding->record = sl_arena_copy(finding->arena, record);
    return false;
}

/* --policy, or the generation in the store; it must be the one that decided. */
static enum sl_status load_policy(
    const struct sl_cli *cli, struct finding *finding, struct sl_issues *issues, struct sl_policy **out)
{
    const char *directory = sl_cli_value(cli, "policy"), *at = sl_cli_value(cli, "store");
    struct sl_slice digest;
    uint64_t generation;
    *out = NULL;
    SL_TRY(sl_replay_policy(finding->arena, finding->record, &generation, &digest));
    if (directory) {
        SL_TRY(sl_policy_load(directory, issues, out));
    } else {
        struct sl_store *store = NULL;
        SL_TRY(sl_cli_policy_store(at, false, issues, &store));
        enum sl_status status = sl_policy_of_generation(store, generation, issues, out);
        sl_store_close(store);
        SL_TRY(status);
    }
    if (sl_slice_eq(sl_policy_digest(*out), digest))
        return SL_OK;
    fprintf(stderr, "sluice: this is not the policy that decided, whose digest is %.*s\n", SL_FMT(digest));
    sl_policy_unref(*out);
    *out = NULL;
    return SL_INVALID;
}

static int explain_found(const struct sl_cli *cli, struct finding *finding, struct sl_issues *issues)
{
    struct sl_policy *policy = NULL;
    struct sl_buffer text;
    size_t disagreements = 0;
    const char *kind = sl_intents_kind(finding->record);
    if (kind) {
        fprintf(stderr, "sluice: this entry is %s, and no decision: sluice ledger show\n",
            strcmp(kind, "intent") == 0 ? "of what was about to be written" : "of what came of a write");
        return 2;
    }
    enum sl_status status = load_policy(cli, finding, issues, &policy);
    if (status != SL_OK)
        return sl_cli_failed("the policy that decided", status, issues);
    sl_buffer_init(&text, EXPLAIN_LIMIT);
    status = sl_replay_explain(policy, finding->wanted, finding->record, sl_slice_of(sl_cli_value(cli, "item")),
        sl_cli_given(cli, "json"), &text, &disagreements);
    int result = status == SL_OK ? print_text(&text) : sl_cli_failed("explain", status, issues);
    sl_buffer_fini(&text);
    sl_policy_unref(policy);
    if (disagreements)
        fprintf(stderr, "sluice: %zu decisions do not come out as the ledger records them\n", disagreements);
    return result || disagreements;
}

static int explain_entry(const struct sl_cli *cli, struct sl_issues *issues)
{
    const char *number = sl_cli_value(cli, "entry"), *ledger = sl_cli_value(cli, "ledger");
    char *end = NULL;
    struct finding finding = {.arena = issues->arena, .wanted = strtoull(number, &end, 10)};
    if (!*number || *end || !ledger || (!sl_cli_value(cli, "store") && !sl_cli_value(cli, "policy"))) {
        fprintf(stderr, "sluice: --entry is a number; with it go --ledger DIR, and --store DIR or --policy DIR\n");
        return 2;
    }
    enum sl_status status = sl_ledger_read(ledger, finding.wanted, issues, take, &finding);
    if (status == SL_OK && !finding.record.len)
        status = SL_MISSING;
    return status == SL_OK ? explain_found(cli, &finding, issues) : sl_cli_failed(ledger, status, issues);
}

/* ---- The command ---- */

static bool is_entry(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--entry") == 0 || strncmp(argv[i], "--entry=", 8) == 0)
            return true;
    return false;
}

static int run_entry(int argc, char **argv)
{
    static const struct sl_option options[] = {
        {"entry", SL_OPTION_ONE, "N", "the entry of the ledger, by its sequence number", true},
        {"ledger", SL_OPTION_ONE, "DIR", "the ledger", true},
        {"store", SL_OPTION_ONE, "DIR", "the policy store, for the generation that decided", false},
        {"policy", SL_OPTION_ONE, "DIR", "or a directory that holds that policy", false},
        {"item", SL_OPTION_ONE, "TYPE/ID", "of this record alone", false},
        {"json", SL_OPTION_FLAG, NULL, "a line of JSON for each record", false},
    };
    struct sl_cli cli;
    struct sl_issues issues = {.arena = sl_arena_new((size_t)1 << 30)};
    int status = 1;
    if (!issues.arena)
        return 1;
    if (sl_cli_read(issues.arena, argc, argv, "policy explain --entry N --ledger DIR --store DIR", options,
            sizeof options / sizeof *options, &cli, &status))
        status = explain_entry(&cli, &issues);
    sl_arena_free(issues.arena);
    return status;
}

int sl_cmd_policy_explain(int argc, char **argv)
{
    static const struct sl_option options[] = {SL_OFFLINE_LABEL_OPTIONS, SL_OFFLINE_DECIDE_OPTIONS,
        {"json", SL_OPTION_FLAG, NULL, "a line of JSON for each record", false}};
    if (is_entry(argc, argv))
        return run_entry(argc, argv);
    return sl_offline_run(argc, argv,
        "policy explain --policy DIR --as PARTY --for PURPOSE [options] < in  |  policy explain --entry N --help",
        options, sizeof options / sizeof *options, explain_items);
}
