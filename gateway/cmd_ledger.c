/* SPDX-License-Identifier: Apache-2.0 */
/* sluice ledger: verify what is there, and print records as they stand (one JSON text a line). */
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "sluice/intents.h"
#include "sluice/ledger.h"

#define OPEN_TOLD 100u

/* Whose outcome nobody has recorded. Beside a gateway that runs they may just be under way. */
static enum sl_status print_open(const char *directory, struct sl_issues *issues)
{
    struct sl_intents intents;
    SL_TRY(sl_intents_read(directory, 0, issues->arena, issues, &intents));
    for (size_t i = 0; i < intents.count && i < OPEN_TOLD; i++)
        printf("outcome unknown: look at %.*s (%.*s, entry %llu)\n", SL_FMT(intents.open[i].item),
            SL_FMT(intents.open[i].change), (unsigned long long)intents.open[i].sequence);
    if (intents.count > OPEN_TOLD || intents.more)
        printf("outcome unknown: %zu in all%s\n", intents.count, intents.more ? ", and more" : "");
    return SL_OK;
}

static int verify(const char *directory, struct sl_issues *issues)
{
    struct sl_ledger_state state = {0};
    enum sl_status status = sl_ledger_verify(directory, issues, &state);
    if (status != SL_OK)
        return sl_cli_failed(directory, status, issues);
    sl_cli_issues(stderr, issues, SL_GRADE_NOTE);
    printf("%llu records in %llu segments verify; tree head ", (unsigned long long)state.size,
        (unsigned long long)state.segments);
    for (size_t i = 0; i < sizeof state.root; i++)
        printf("%02x", state.root[i]);
    printf("\n");
    status = print_open(directory, issues);
    return status == SL_OK ? 0 : sl_cli_failed(directory, status, issues);
}

struct showing {
    uint64_t first, last;
    bool failed;
};

static bool print_record(void *context, uint64_t sequence, struct sl_slice record)
{
    struct showing *showing = context;
    if (sequence > showing->last)
        return false;
    showing->failed = printf("{\"sequence\":%llu,\"record\":", (unsigned long long)sequence) < 0 ||
                      fwrite(record.ptr, 1, record.len, stdout) != record.len || printf("}\n") < 0;
    return !showing->failed;
}

static int show(const char *directory, const struct sl_cli *cli, struct sl_issues *issues)
{
    const char *from = sl_cli_value(cli, "from"), *count = sl_cli_value(cli, "count");
    struct showing showing = {.first = from ? strtoull(from, NULL, 10) : 0, .last = UINT64_MAX};
    if (count)
        showing.last = showing.first + strtoull(count, NULL, 10) - 1;
    enum sl_status status = sl_ledger_read(directory, showing.first, issues, print_record, &showing);
    if (status != SL_OK || showing.failed)
        return sl_cli_failed(directory, status == SL_OK ? SL_IO : status, issues);
    return 0;
}

int sl_cmd_ledger(int argc, char **argv)
{
    static const struct sl_option options[] = {
        {"from", SL_OPTION_ONE, "N", "show: the first sequence number (0)", false},
        {"count", SL_OPTION_ONE, "N", "show: how many (all)", false},
    };
    static const char usage[] = "ledger verify|show DIR [--from N] [--count N]; ledger accounting --help";
    if (argc > 1 && strcmp(argv[1], "accounting") == 0)
        return sl_ledger_accounting(argc - 1, argv + 1);
    struct sl_arena *arena = sl_arena_new((size_t)1 << 30);
    struct sl_issues issues = {.arena = arena};
    struct sl_cli cli;
    int status = 1;
    if (!arena)
        return 1;
    if (sl_cli_read(arena, argc, argv, usage, options, sizeof options / sizeof *options, &cli, &status)) {
        status = 2;
        if (cli.operand_count == 2 && strcmp(cli.operands[0], "verify") == 0)
            status = verify(cli.operands[1], &issues);
        else if (cli.operand_count == 2 && strcmp(cli.operands[0], "show") == 0)
            status = show(cli.operands[1], &cli, &issues);
        else
            fprintf(stderr, "usage: sluice %s\n", usage);
    }
    sl_arena_free(arena);
    return status;
}
