/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sluice policy activate | rollback | list | show | sign | keys: putting a policy in force, and who may approve it.
 * What a change takes is decided by consent/activate.c; nothing here can leave it out.
 */
#include <stdlib.h>
#include <time.h>

#include "cmd_policy.h"
#include "print_generation.h"
#include "selftest.h"
#include "sluice/generation.h"

#define APPROVAL_LIMIT ((size_t)16 * 1024)
#define OUTPUT_LIMIT ((size_t)64 << 20)
#define STORE_LIST "--store DIR, the policy store"

struct run {
    struct sl_arena *arena;
    struct sl_issues issues;
    struct sl_policy *policy;
    struct sl_store *store;
    struct sl_buffer out; /* to standard output, once it went well */
    const struct sl_cli *cli;
};

/* ---- What the verbs share ---- */

static int usage(const char *what)
{
    fprintf(stderr, "sluice: %s\n", what);
    return 2;
}

static int open_store(struct run *run, bool writable)
{
    const char *directory = sl_cli_value(run->cli, "store");
    if (!directory)
        return usage("this needs " STORE_LIST);
    enum sl_status status = sl_cli_policy_store(directory, writable, &run->issues, &run->store);
    return status == SL_OK ? 0 : sl_cli_failed(directory, status, &run->issues);
}

static int load(struct run *run, const char *directory)
{
    enum sl_status status = sl_policy_load(directory, &run->issues, &run->policy);
    if (status == SL_OK)
        return 0;
    sl_cli_issues(stderr, &run->issues, SL_GRADE_NOTE);
    fprintf(
        stderr, "%s: not in order: %zu error%s\n", directory, run->issues.errors, run->issues.errors == 1 ? "" : "s");
    return 1;
}

static bool read_number(const char *text, uint64_t *out)
{
    char *end = NULL;
    *out = strtoull(text, &end, 10);
    return *text >= '1' && *text <= '9' && !*end;
}

static int load_generation(struct run *run, const char *word, uint64_t *number)
{
    if (!read_number(word, number))
        return usage("a generation is a number (sluice policy list)");
    enum sl_status status = sl_policy_of_generation(run->store, *number, &run->issues, &run->policy);
    if (status == SL_MISSING)
        return sl_cli_failed("there is no such generation (sluice policy list)", status, &run->issues);
    return status == SL_OK ? 0 : sl_cli_failed("this generation cannot be used", status, &run->issues);
}

/* What is recorded for years names somebody. */
static bool read_author(const struct run *run, struct sl_slice *out)
{
    const char *name = sl_cli_value(run->cli, "author");
    if (!name)
        name = getenv("USER");
    *out = sl_slice_of(name);
    if (!out->len)
        fprintf(stderr, "sluice: say who does it: --author NAME\n");
    return out->len > 0;
}

static int print_out(struct run *run)
{
    const char *path = sl_cli_value(run->cli, "out");
    FILE *file = path ? fopen(path, "wx") : stdout;
    bool good = file && !sl_buffer_failed(&run->out) &&
                fwrite(run->out.ptr ? run->out.ptr : "", 1, run->out.len, file) == run->out.len;
    good = file && fflush(file) == 0 && good;
    if (file && path)
        good = fclose(file) == 0 && good;
    if (!good)
        fprintf(stderr, "%s: cannot be written%s\n", path ? path : "standard output",
            path ? "; it must not be there before" : "");
    return good ? 0 : 1;
}

/* The files of --approval; and of --key, the text signed here and now. */
static int read_approvals(struct run *run, struct sl_slice text, struct sl_approval_file **out, size_t *count)
{
    size_t files = 0, keys = 0;
    const char *const *names = sl_cli_values(run->cli, "approval", &files);
    const char *const *own = sl_cli_values(run->cli, "key", &keys);
    struct sl_approval_file *list = sl_arena_array(run->arena, files + keys + 1, sizeof *list);
    *out = list;
    *count = files + keys;
    if (!list)
        return 1;
    for (size_t i = 0; i < files; i++) {
        list[i].name = sl_slice_of(names[i]);
        enum sl_status status = sl_cli_read_file(run->arena, names[i], APPROVAL_LIMIT, &list[i].bytes);
        if (status != SL_OK)
            return sl_cli_failed(names[i], status, NULL);
    }
    for (size_t i = 0; i < keys; i++) {
        list[files + i].name = sl_slice_of(own[i]);
        enum sl_status status = sl_approval_sign(own[i], text, run->arena, &run->issues, &list[files + i].bytes);
        if (status != SL_OK)
            return sl_cli_failed("not signed", status, &run->issues);
    }
    return 0;
}

/* ---- activate, rollback ---- */

/* As the gateways that will take it up try it, so that one they would refuse is refused here. */
static enum sl_status try_out(struct run *run, struct sl_slice *tested)
{
    const struct sl_selftest_options options = {.policy = run->policy};
    struct sl_selftest_shown shown;
    SL_TRY(sl_selftest_run(&options, &run->issues, &shown));
    *tested = sl_arena_printf(
        run->arena, "%.*s, never to anybody else; report %.*s", SL_FMT(shown.words), SL_FMT(shown.report));
    return tested->ptr ? SL_OK : SL_NO_MEMORY;
}

static const char *refusal_of(enum sl_status status)
{
    return status == SL_FORBIDDEN ? "not put in force: approvals are missing"
           : status == SL_EXISTS  ? "not put in force: the store changed meanwhile; look at it, and try again"
                                  : "not put in force";
}

static int refuse(struct run *run, enum sl_status status, const struct sl_buffer *told)
{
    fwrite(told->ptr ? told->ptr : "", 1, told->len, stderr);
    sl_cli_issues(stderr, &run->issues, SL_GRADE_NOTE);
    fprintf(stderr, "sluice: %s: %s\n", refusal_of(status), sl_status_name(status));
    fprintf(stderr, "What is in force stays.\n");
    return 1;
}

static void say_done(const struct run *run, const struct sl_activation *what, const struct sl_activated *done)
{
    sl_cli_issues(stderr, &run->issues, SL_GRADE_NOTE);
    printf("generation %llu is in force; digest %.*s\n", (unsigned long long)done->generation,
        SL_FMT(sl_policy_digest(run->policy)));
    if (!done->replaced)
        printf("It is the first.\n");
    else if (!done->compared)
        printf("It could not be compared with generation %llu.\n", (unsigned long long)done->replaced);
    else
        printf("It %s than generation %llu: %zu change%s that may release more, %zu that withhold%s.\n",
            sl_policy_diff_loosens(&done->diff) ? "is looser" : "releases nothing more",
            (unsigned long long)done->replaced, done->diff.looser + done->diff.either,
            done->diff.looser + done->diff.either == 1 ? "" : "s", done->diff.tighter,
            done->diff.tighter == 1 ? "s" : "");
    if (done->people)
        printf("Approved by %u, of %u needed.\n", done->given, done->needed);
    else
        printf("Nobody had to approve it: nobody has a key (sluice policy keys add).\n");
    printf("The self-test passed: %.*s.\n", SL_FMT(what->tested));
}

static int put_in_force(struct run *run, uint64_t rollback_of)
{
    struct sl_activation what = {.policy = run->policy, .now = (int64_t)time(NULL), .rollback_of = rollback_of};
    struct sl_approval_file *files = NULL;
    struct sl_activated done;
    struct sl_buffer told;
    struct sl_slice text;
    if (!read_author(run, &what.author))
        return 2;
    what.note = sl_slice_of(sl_cli_value(run->cli, "note"));
    if (rollback_of && !what.note.len)
        what.note = sl_arena_printf(run->arena, "rollback to generation %llu", (unsigned long long)rollback_of);
    enum sl_status status = sl_approval_text(run->store, run->policy, run->arena, &text);
    if (status != SL_OK)
        return sl_cli_failed("not put in force", status, &run->issues);
    if (read_approvals(run, text, &files, &what.approval_count))
        return 1;
    what.approvals = files;
    status = try_out(run, &what.tested);
    if (status != SL_OK) {
        sl_cli_issues(stderr, &run->issues, SL_GRADE_NOTE);
        fprintf(stderr, "sluice: not put in force: the self-test %s%s\nWhat is in force stays.\n",
            status == SL_FORBIDDEN ? "did not pass under it" : "could not be run: ",
            status == SL_FORBIDDEN ? "" : sl_status_name(status));
        return 1;
    }
    sl_buffer_init(&told, OUTPUT_LIMIT);
    status = sl_policy_activate(run->store, &what, &run->issues, &told, &done);
    int failed = status == SL_OK ? 0 : refuse(run, status, &told);
    sl_buffer_fini(&told);
    if (!failed)
        say_done(run, &what, &done);
    return failed;
}

static int activate(struct run *run)
{
    if (load(run, run->cli->operands[1]))
        return 1;
    sl_cli_issues(stderr, &run->issues, SL_GRADE_NOTE);
    run->issues = (struct sl_issues){.arena = run->arena};
    int failed = open_store(run, true);
    return failed ? failed : put_in_force(run, 0);
}

static int rollback(struct run *run)
{
    uint64_t number = 0;
    int failed = open_store(run, true);
    if (!failed)
        failed = load_generation(run, run->cli->operands[1], &number);
    return failed ? failed : put_in_force(run, number);
}

/* ---- list, show ---- */

static int list(struct run *run)
{
    struct sl_generation *generations = NULL;
    struct sl_approver *approvers = NULL;
    size_t count = 0, known = 0;
    int failed = open_store(run, false);
    if (failed)
        return failed;
    enum sl_status status = sl_policy_generations(run->store, run->arena, &generations, &count);
    if (status == SL_OK)
        status = sl_approvers_list(run->store, run->arena, &approvers, &known);
    if (status != SL_OK)
        return sl_cli_failed("generations", status, &run->issues);
    if (sl_cli_given(run->cli, "json"))
        sl_print_generations_json(&run->out, generations, count);
    else
        sl_print_generations(&run->out, generations, count, sl_approvers_people(approvers, known));
    return print_out(run);
}

static int show(struct run *run)
{
    struct sl_generation generation;
    uint64_t number = 0;
    int failed = open_store(run, false);
    if (failed)
        return failed;
    if (!read_number(run->cli->operands[1], &number))
        return usage("a generation is a number (sluice policy list)");
    enum sl_status status = sl_policy_generation(run->store, number, run->arena, &generation);
    if (status != SL_OK && status != SL_CORRUPT)
        return sl_cli_failed("there is no such generation (sluice policy list)", status, &run->issues);
    if (sl_cli_given(run->cli, "json"))
        sl_print_generations_json(&run->out, &generation, 1);
    else
        sl_print_generation(&run->out, &generation);
    return print_out(run);
}

/* ---- sign ---- */

/* The text to be signed: made from the store, or brought along from where the store is. */
static int text_of(struct run *run, struct sl_slice *text)
{
    const char *path = sl_cli_value(run->cli, "text");
    enum sl_status status;
    if (!path) {
        status = run->policy ? sl_approval_text(run->store, run->policy, run->arena, text) : SL_MISSING;
        return status == SL_OK ? 0 : sl_cli_failed("nothing to sign", status, &run->issues);
    }
    status = sl_cli_read_file(run->arena, path, APPROVAL_LIMIT, text);
    if (status == SL_OK)
        status = sl_approval_text_check(*text, run->policy, run->arena, &run->issues);
    return status == SL_OK ? 0 : sl_cli_failed(path, status, &run->issues);
}

static int sign_text(struct run *run, struct sl_slice text)
{
    const char *key = sl_cli_value(run->cli, "key");
    enum sl_status status = key ? sl_approval_sign(key, text, run->arena, &run->issues, &text) : SL_OK;
    if (status != SL_OK)
        return sl_cli_failed("not signed", status, &run->issues);
    sl_buffer_add(&run->out, text);
    return print_out(run);
}

static int sign(struct run *run)
{
    const char *generation = sl_cli_value(run->cli, "generation");
    const char *directory = run->cli->operand_count > 1 ? run->cli->operands[1] : NULL;
    struct sl_slice text;
    uint64_t number = 0;
    if (generation && directory)
        return usage("either a directory or a generation is signed");
    int failed = sl_cli_given(run->cli, "text") && !generation ? 0 : open_store(run, false);
    if (!failed && generation)
        failed = load_generation(run, generation, &number);
    if (!failed && directory)
        failed = load(run, directory);
    if (!failed)
        failed = text_of(run, &text);
    return failed ? failed : sign_text(run, text);
}

/* ---- keys ---- */

static int keys_list(struct run *run)
{
    struct sl_approver *approvers = NULL;
    size_t count = 0;
    int failed = open_store(run, false);
    if (failed)
        return failed;
    enum sl_status status = sl_approvers_list(run->store, run->arena, &approvers, &count);
    if (status != SL_OK)
        return sl_cli_failed("keys", status, &run->issues);
    if (sl_cli_given(run->cli, "json"))
        sl_print_approvers_json(&run->out, approvers, count);
    else
        sl_print_approvers(&run->out, approvers, count);
    return print_out(run);
}

static int keys_new(struct run *run)
{
    const char *path = run->cli->operands[2];
    enum sl_status status = sl_approval_key_new(path, &run->issues);
    if (status != SL_OK)
        return sl_cli_failed("no key was made", status, &run->issues);
    printf("%s is yours alone; %s.pub is for `sluice policy keys add`\n", path, path);
    return 0;
}

/* With --text, only what is to be signed is printed. */
static int change_keys(struct run *run, struct sl_key_change *change)
{
    struct sl_approval_file *files = NULL;
    struct sl_slice text;
    if (!read_author(run, &change->author))
        return 2;
    change->note = sl_slice_of(sl_cli_value(run->cli, "note"));
    change->now = (int64_t)time(NULL);
    enum sl_status status = sl_key_change_text(run->store, change, run->arena, &run->issues, &text);
    if (status != SL_OK)
        return sl_cli_failed("keys stay as they are", status, &run->issues);
    if (sl_cli_given(run->cli, "print-text")) {
        sl_buffer_add(&run->out, text);
        return print_out(run);
    }
    if (read_approvals(run, text, &files, &change->approval_count))
        return 1;
    change->approvals = files;
    status = sl_key_change(run->store, change, &run->issues);
    if (status != SL_OK)
        return sl_cli_failed("keys stay as they are", status, &run->issues);
    sl_cli_issues(stderr, &run->issues, SL_GRADE_NOTE);
    printf("%.*s: key %.*s %s\n", SL_FMT(change->name), SL_FMT(change->key), change->retire ? "retired" : "registered");
    return 0;
}

static int keys_add(struct run *run)
{
    struct sl_key_change change = {.name = sl_slice_of(run->cli->operands[2])};
    enum sl_status status = sl_approval_key_read(run->cli->operands[3], run->arena, &run->issues, &change.key);
    if (status != SL_OK)
        return sl_cli_failed("keys stay as they are", status, &run->issues);
    int failed = open_store(run, true);
    return failed ? failed : change_keys(run, &change);
}

/* By the key itself, or by a name that has one key. */
static int keys_retire(struct run *run)
{
    struct sl_approver *approvers = NULL;
    struct sl_slice word = sl_slice_of(run->cli->operands[2]);
    struct sl_key_change change = {.retire = true};
    size_t count = 0, matches = 0;
    int failed = open_store(run, true);
    if (failed)
        return failed;
    enum sl_status status = sl_approvers_list(run->store, run->arena, &approvers, &count);
    if (status != SL_OK)
        return sl_cli_failed("keys", status, &run->issues);
    for (size_t i = 0; i < count; i++)
        if (!approvers[i].retired && (sl_slice_eq(approvers[i].name, word) || sl_slice_eq(approvers[i].key, word))) {
            change.name = approvers[i].name;
            change.key = approvers[i].key;
            matches++;
        }
    if (matches == 1)
        return change_keys(run, &change);
    return sl_cli_failed(matches ? "this name has several keys: say which (sluice policy keys list)"
                                 : "nobody of this name has a key (sluice policy keys list)",
        SL_MISSING, &run->issues);
}

static int keys(struct run *run)
{
    static const struct {
        const char *name;
        size_t operands;
        int (*run)(struct run *run);
    } verbs[] = {{"list", 2, keys_list}, {"new", 3, keys_new}, {"add", 4, keys_add}, {"retire", 3, keys_retire}};
    for (size_t i = 0; run->cli->operand_count > 1 && i < sizeof verbs / sizeof *verbs; i++)
        if (run->cli->operand_count == verbs[i].operands && strcmp(run->cli->operands[1], verbs[i].name) == 0)
            return verbs[i].run(run);
    return usage("policy keys list | new FILE | add NAME FILE.pub | retire NAME|KEY, with --store DIR");
}

/* ---- The table ---- */

static const struct {
    const char *name;
    size_t least, most; /* operands, with the verb itself */
    int (*run)(struct run *run);
} verbs[] = {
    {"activate", 2, 2, activate},
    {"rollback", 2, 2, rollback},
    {"list", 1, 1, list},
    {"show", 2, 2, show},
    {"sign", 1, 2, sign},
    {"keys", 1, 4, keys},
};

bool sl_policy_is_generation_verb(const char *word)
{
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(word, verbs[i].name) == 0)
            return true;
    return false;
}

static int run_verb(struct run *run, const char *usage_line)
{
    const struct sl_cli *cli = run->cli;
    for (size_t i = 0; cli->operand_count && i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(cli->operands[0], verbs[i].name) == 0 && cli->operand_count >= verbs[i].least &&
            cli->operand_count <= verbs[i].most)
            return verbs[i].run(run);
    fprintf(stderr, "usage: sluice %s\n", usage_line);
    return 2;
}

int sl_cmd_policy_generation(int argc, char **argv)
{
    static const struct sl_option options[] = {
        {"store", SL_OPTION_ONE, "DIR", "the policy store", false},
        {"author", SL_OPTION_ONE, "NAME", "who does it; otherwise $USER", false},
        {"note", SL_OPTION_ONE, "TEXT", "why", false},
        {"approval", SL_OPTION_MANY, "FILE…", "signatures of those who approve (activate, rollback, keys)", false},
        {"key", SL_OPTION_MANY, "FILE", "sign here and now with this private key", false},
        {"generation", SL_OPTION_ONE, "N", "what is to be signed, in the place of a directory (sign)", false},
        {"text", SL_OPTION_ONE, "FILE", "the text to be signed, from where the store is (sign)", false},
        {"print-text", SL_OPTION_FLAG, NULL, "only print what must be signed (keys add, keys retire)", false},
        {"out", SL_OPTION_ONE, "FILE", "write to a new file (sign, list, show)", false},
        {"json", SL_OPTION_FLAG, NULL, "write JSON (list, show, keys list)", false},
    };
    static const char usage_line[] =
        "policy activate DIR | rollback N | list | show N | sign [DIR] | keys list|new|add|retire …";
    struct run run = {.arena = sl_arena_new((size_t)512 << 20)};
    struct sl_cli cli;
    int status = 1;
    if (!run.arena)
        return 1;
    run.issues.arena = run.arena;
    run.cli = &cli;
    sl_buffer_init(&run.out, OUTPUT_LIMIT);
    if (sl_cli_read(run.arena, argc, argv, usage_line, options, sizeof options / sizeof *options, &cli, &status))
        status = run_verb(&run, usage_line);
    sl_buffer_fini(&run.out);
    sl_store_close(run.store);
    sl_policy_unref(run.policy);
    sl_arena_free(run.arena);
    return status;
}
