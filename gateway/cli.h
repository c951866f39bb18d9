/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line: options from a table, help from the same rows, issues printed for people. Commands are rows of
 * commands.def; each is a function that takes what follows its name.
 *
 * Exit statuses are the same everywhere: 0 done, 1 refused or failed (said on stderr), 2 wrong usage.
 */
#ifndef SLUICE_GATEWAY_CLI_H
#define SLUICE_GATEWAY_CLI_H

#include <stdio.h>

#include "sluice/issue.h"
#include "sluice/policy.h"
#include "sluice/slice.h"

enum sl_option_kind { SL_OPTION_FLAG, SL_OPTION_ONE, SL_OPTION_MANY }; /* MANY: up to the next option, repeatable */

struct sl_option {
    const char *name; /* without the dashes */
    enum sl_option_kind kind;
    const char *argument, *help;
    bool required;
};

#define SL_CLI_OPTIONS 32u

/* What was given. All borrowed from argv and the arena. */
struct sl_cli {
    const struct sl_option *options;
    size_t option_count;
    struct {
        const char **values;
        size_t count;
        bool given;
    } found[SL_CLI_OPTIONS];
    const char **operands;
    size_t operand_count;
};

/* Reads argv[1..]; "--" ends the options. On a mistake, or --help, it prints and gives false; *status is the exit
 * status. */
bool sl_cli_read(struct sl_arena *arena, int argc, char **argv, const char *usage, const struct sl_option *options,
    size_t count, struct sl_cli *out, int *status);
bool sl_cli_given(const struct sl_cli *cli, const char *name);
const char *sl_cli_value(const struct sl_cli *cli, const char *name); /* the first; NULL if not given */
const char *const *sl_cli_values(const struct sl_cli *cli, const char *name, size_t *count);

/* FILE:LINE:COLUMN: error [code]: text, and the fix below; everything from `least` up. */
void sl_cli_issues(FILE *out, const struct sl_issues *issues, enum sl_grade least);
/* "sluice: WHAT: STATUS" on stderr, with the issues; gives 1. */
int sl_cli_failed(const char *what, enum sl_status status, const struct sl_issues *issues);
/* Reads a whole file ("-": standard input) into the arena. */
SL_MUST_CHECK enum sl_status sl_cli_read_file(
    struct sl_arena *arena, const char *path, size_t limit, struct sl_slice *out);
/* The instant of --at (YYYY-MM-DDThh:mm:ssZ), or the clock's if text is NULL; false if it cannot be read. */
bool sl_cli_instant(const char *text, int64_t *out);

struct sl_store;
/* Opens the policy store in a directory. */
SL_MUST_CHECK enum sl_status sl_cli_policy_store(
    const char *directory, bool writable, struct sl_issues *issues, struct sl_store **out);

int sl_cmd_book(int argc, char **argv);          /* sluice label book */
int sl_ledger_accounting(int argc, char **argv); /* sluice ledger accounting */

#define SL_COMMAND(name, function, summary) int function(int argc, char **argv);
#include "commands.def"
#undef SL_COMMAND

#endif
