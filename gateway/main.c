/* SPDX-License-Identifier: Apache-2.0 */
/* The executable: finds the row of commands.def and runs it. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} commands[] = {
#define SL_COMMAND(name, function, summary) {name, function, summary},
#include "commands.def"
#undef SL_COMMAND
};

static void print_usage(FILE *out)
{
    fprintf(out, "sluice: a FHIR gateway that lets through what law, patient and house allow, no more and no less\n"
                 "usage: sluice COMMAND [--help] …\n");
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        fprintf(out, "  %-8s  %s\n", commands[i].name, commands[i].summary);
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    if (argc < 2) {
        print_usage(stderr);
        return 2;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        print_usage(stdout);
        return 0;
    }
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(commands[i].name, argv[1]) == 0)
            return commands[i].run(argc - 1, argv + 1);
    fprintf(stderr, "sluice: unknown command: %s\n", argv[1]);
    print_usage(stderr);
    return 2;
}
