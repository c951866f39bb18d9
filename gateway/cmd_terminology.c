/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sluice terminology: what a code is here and which row says so; a site's own value sets, with what they change before
 * they count. Files are written only by `import --apply`, into the folder that policy.yaml names, whole or not at all;
 * they count once the policy is activated.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "sluice/terminology.h"
#include "sluice/yaml.h"
#include "terminology_replay.h"

#define ARENA_BYTES ((size_t)1 << 30)
#define FILE_BYTES ((size_t)256 << 20)
#define SHOWN 20u

struct terms {
    struct sl_arena *arena;
    struct sl_issues issues;
    const struct sl_cli *cli;
    const char *directory; /* of the policy */
    struct sl_policy *policy;
};

static int load(struct terms *t)
{
    t->directory = sl_cli_value(t->cli, "policy");
    if (!t->directory)
        t->directory = getenv("SLUICE_POLICY");
    if (!t->directory)
        t->directory = SLUICE_POLICIES;
    enum sl_status status = sl_policy_load(t->directory, &t->issues, &t->policy);
    return status == SL_OK ? 0 : sl_cli_failed(t->directory, status, &t->issues);
}

static struct sl_slice option(const struct terms *t, const char *name)
{
    return sl_slice_of(sl_cli_value(t->cli, name));
}

static void print_classes(const struct sl_policy *policy, const struct sl_classes *classes)
{
    const char *separator = "";
    for (unsigned bit = sl_classes_next(classes, 0); bit < SL_CLASS_LIMIT; bit = sl_classes_next(classes, bit + 1)) {
        const struct sl_class *class = sl_policy_class(policy, bit);
        printf("%s%.*s", separator, SL_FMT(class->id));
        separator = ", ";
    }
    if (!*separator)
        printf("no class");
}

/* ---- lookup ---- */

static void print_finding(const struct sl_policy *policy, const struct sl_code_finding *f, struct sl_slice system)
{
    printf("  %-22.*s %s  ", SL_FMT(f->category), f->weak ? "weak evidence" : "full evidence");
    print_classes(policy, &f->classes);
    printf("\n      %.*s:%zu: %s%.*s", SL_FMT(f->file), f->line, f->by_prefix ? "prefix " : "", SL_FMT(f->row_code));
    if (!sl_slice_eq(f->row_system, system))
        printf(" of %.*s", SL_FMT(f->row_system));
    printf("; source: %.*s\n", SL_FMT(f->source));
}

static void print_answer(const struct terms *t, struct sl_slice code, const struct sl_code_answer *a)
{
    printf("%.*s|%.*s: ", SL_FMT(a->system.len ? a->system : SL_LIT("(unknown system)")), SL_FMT(code));
    if (a->count) {
        print_classes(t->policy, &a->classes);
        printf("\n");
    } else if (a->judged) {
        printf("judged, and found not to be sensitive (%.*s:%zu)\n", SL_FMT(a->none.file), a->none.line);
    } else {
        printf(a->known ? "in no list: not sensitive here\n"
                        : "nobody here knows it: unclassified, where it says what a record is\n");
    }
    for (size_t i = 0; i < a->count; i++)
        print_finding(t->policy, &a->findings[i], a->system);
}

/* Without a system: what each system says that has the code. */
static void look_everywhere(const struct terms *t, struct sl_slice code)
{
    struct sl_code_answer answer;
    bool found = false;
    for (unsigned i = 0; sl_code_system(t->policy, i).len; i++) {
        struct sl_slice system = sl_code_system(t->policy, i);
        sl_code_look_up(t->policy, system, code, &answer);
        bool own = answer.judged;
        for (size_t k = 0; k < answer.count; k++)
            own |= sl_slice_eq(answer.findings[k].row_system, answer.system);
        if (own && sl_slice_eq(answer.system, system))
            print_answer(t, code, &answer);
        found |= own;
    }
    if (!found)
        printf("%.*s: in no list of any system\n", SL_FMT(code));
}

static int lookup(struct terms *t)
{
    if (load(t))
        return 1;
    for (size_t i = 1; i < t->cli->operand_count; i++) {
        struct sl_slice code = sl_slice_of(t->cli->operands[i]);
        struct sl_code_answer answer;
        if (!sl_cli_given(t->cli, "system")) {
            look_everywhere(t, code);
            continue;
        }
        sl_code_look_up(t->policy, option(t, "system"), code, &answer);
        print_answer(t, code, &answer);
    }
    return 0;
}

/* ---- import ---- */

struct import {
    struct terms *t;
    struct sl_policy *bare, *after; /* the policy without the set's old files; with the new ones */
    struct sl_site_files *files;    /* of each operand */
    size_t count;
    size_t codes, moved;
};

/* What a value set is called here: what is said with --name, or its file's name without folder and ending. */
static struct sl_slice set_name(const struct terms *t, const char *path)
{
    struct sl_slice name = option(t, "name");
    if (!name.len) {
        const char *slash = strrchr(path, '/'), *start = slash ? slash + 1 : path, *dot = strrchr(start, '.');
        name = (struct sl_slice){start, dot && dot > start ? (size_t)(dot - start) : strlen(start)};
    }
    char *copy = sl_arena_raw(t->arena, name.len + 1, 1);
    size_t len = 0;
    for (size_t i = 0; copy && i < name.len; i++) {
        char c = name.ptr[i] >= 'A' && name.ptr[i] <= 'Z' ? (char)(name.ptr[i] + 32) : name.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (plain || (len && copy[len - 1] != '-'))
            copy[len++] = plain ? c : '-';
    }
    while (len && copy[len - 1] == '-')
        len--;
    return (struct sl_slice){copy, len};
}

static enum sl_status without(struct terms *t, struct sl_slice name, struct sl_policy **out)
{
    const struct sl_policy_file gone[] = {
        {sl_arena_printf(t->arena, "terminology/codes-site-%.*s.csv", SL_FMT(name)), {NULL, 0}},
        {sl_arena_printf(t->arena, "terminology/systems-site-%.*s.csv", SL_FMT(name)), {NULL, 0}}};
    return sl_policy_with_files(t->policy, gone, 2, &t->issues, out);
}

/* One file into the two files it becomes; the policy without what it was before is where it starts from. */
static int read_one(struct import *in, const char *path, struct sl_site_files *out)
{
    struct terms *t = in->t;
    struct sl_value_set set;
    struct sl_slice text, name = set_name(t, path);
    struct sl_value_set_defaults defaults = {.system = option(t, "system"),
        .category = option(t, "category"),
        .weak = sl_slice_eq(option(t, "evidence"), SL_LIT("weak"))};
    if (!name.len) {
        fprintf(stderr, "sluice: %s: give the value set a name: --name\n", path);
        return 2;
    }
    enum sl_status status = sl_cli_read_file(t->arena, path, FILE_BYTES, &text);
    if (status != SL_OK)
        return sl_cli_failed(path, status, NULL);
    status = sl_value_set_read(t->arena, sl_slice_of(path), text, &defaults, &t->issues, &set);
    if (status != SL_OK)
        return sl_cli_failed(path, status, &t->issues);
    sl_policy_unref(in->bare);
    in->bare = NULL;
    status = without(t, name, &in->bare);
    if (status != SL_OK)
        return sl_cli_failed("the policy without this value set", status, &t->issues);
    struct sl_slice source = sl_arena_printf(t->arena, "site: %.*s", SL_FMT(set.title.len ? set.title : name));
    status = sl_site_files_make(t->arena, in->bare, &set, name, source, &t->issues, out);
    if (status != SL_OK)
        return sl_cli_failed(path, status, &t->issues);
    in->codes += set.count;
    printf("%s: %zu codes, %zu of them said just so by other lists already; as %.*s\n", path, set.count,
        out->there_already, SL_FMT(out->codes.path));
    return 0;
}

static bool same_classes(const struct sl_code_answer *a, const struct sl_code_answer *b)
{
    bool same = a->known == b->known && a->count == b->count;
    for (unsigned i = 0; i < SL_CLASS_WORDS; i++)
        same &= a->classes.word[i] == b->classes.word[i];
    return same;
}

static bool has_category(const struct sl_code_answer *a, struct sl_slice category, bool weak)
{
    for (size_t i = 0; i < a->count; i++)
        if (sl_slice_eq(a->findings[i].category, category) && a->findings[i].weak == weak)
            return true;
    return false;
}

static void print_change(const struct sl_code_answer *from, const struct sl_code_answer *to, char sign)
{
    for (size_t i = 0; i < from->count; i++)
        if (!has_category(to, from->findings[i].category, from->findings[i].weak))
            printf(" %c%.*s%s", sign, SL_FMT(from->findings[i].category), from->findings[i].weak ? " (weak)" : "");
}

/* A code that changes: its categories, then its classes. */
static void print_code(struct import *in, struct sl_slice system, struct sl_slice code)
{
    struct sl_code_answer before, after;
    sl_code_look_up(in->t->policy, system, code, &before);
    sl_code_look_up(in->after, system, code, &after);
    if (same_classes(&before, &after))
        return;
    in->moved++;
    printf("  %.*s|%.*s:", SL_FMT(system), SL_FMT(code));
    print_change(&after, &before, '+');
    print_change(&before, &after, '-');
    if (before.known != after.known)
        printf(after.known ? " (now known)" : " (no longer known)");
    printf("; ");
    print_classes(in->t->policy, &before.classes);
    printf(" -> ");
    print_classes(in->t->policy, &after.classes);
    printf("\n");
}

static struct sl_slice old_text(const struct sl_policy *policy, struct sl_slice path)
{
    size_t count = 0;
    const struct sl_policy_file *files = sl_policy_files(policy, &count);
    for (size_t i = 0; i < count; i++)
        if (sl_slice_eq(files[i].path, path))
            return files[i].text;
    return (struct sl_slice){NULL, 0};
}

static int order(const void *a, const void *b)
{
    const struct sl_value_set_code *x = a, *y = b;
    const struct sl_slice left[] = {x->system, x->code}, right[] = {y->system, y->code};
    for (size_t i = 0; i < 2; i++) {
        size_t shorter = left[i].len < right[i].len ? left[i].len : right[i].len;
        int by = shorter ? memcmp(left[i].ptr, right[i].ptr, shorter) : 0;
        if (by || left[i].len != right[i].len)
            return by ? by : left[i].len < right[i].len ? -1 : 1;
    }
    return 0;
}

/* Every code of the set as it was and as it becomes, once; those that change class. */
static int print_codes(struct import *in, const struct sl_site_files *files)
{
    struct sl_arena *arena = in->t->arena;
    const struct sl_value_set_defaults none = {0};
    struct sl_slice old = old_text(in->t->policy, files->codes.path);
    struct sl_value_set before = {0}, after;
    enum sl_status status =
        sl_value_set_read(arena, files->codes.path, files->codes.text, &none, &in->t->issues, &after);
    if (status == SL_OK && old.len)
        status = sl_value_set_read(arena, files->codes.path, old, &none, &in->t->issues, &before);
    size_t count = before.count + after.count;
    struct sl_value_set_code *all = sl_arena_array(arena, count + 1, sizeof *all);
    if (status != SL_OK || !all)
        return sl_cli_failed("the codes cannot be compared", status == SL_OK ? SL_NO_MEMORY : status, &in->t->issues);
    if (after.count)
        memcpy(all, after.codes, after.count * sizeof *all);
    if (before.count)
        memcpy(all + after.count, before.codes, before.count * sizeof *all);
    qsort(all, count, sizeof *all, order);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || order(&all[i - 1], &all[i]) != 0)
            print_code(in, all[i].system, all[i].code);
    return 0;
}

static int read_all(struct import *in)
{
    struct terms *t = in->t;
    in->count = t->cli->operand_count - 1;
    in->files = sl_arena_array(t->arena, in->count, sizeof *in->files);
    struct sl_policy_file *all = sl_arena_array(t->arena, in->count * 2, sizeof *all);
    if (!in->files || !all)
        return sl_cli_failed("import", SL_NO_MEMORY, NULL);
    for (size_t i = 0; i < in->count; i++) {
        int failed = read_one(in, t->cli->operands[i + 1], &in->files[i]);
        if (failed)
            return failed;
        for (size_t k = 0; k < i; k++)
            if (sl_slice_eq(in->files[k].codes.path, in->files[i].codes.path)) {
                fprintf(stderr, "sluice: two files of one name; import them one by one, each with --name\n");
                return 2;
            }
        all[2 * i] = in->files[i].codes;
        all[2 * i + 1] = in->files[i].systems;
    }
    enum sl_status status = sl_policy_with_files(t->policy, all, in->count * 2, &t->issues, &in->after);
    return status == SL_OK ? 0 : sl_cli_failed("the policy with these value sets", status, &t->issues);
}

/* ---- The records at hand ---- */

static int replay_records(struct import *in)
{
    struct sl_replay replay = {.before = in->t->policy, .after = in->after, .shown_limit = SHOWN};
    size_t count = 0;
    const char *const *paths = sl_cli_values(in->t->cli, "records", &count);
    if (!count)
        return 0;
    printf("records that change class (the first %u):\n", SHOWN);
    for (size_t i = 0; i < count; i++) {
        enum sl_status status = sl_replay_path(&replay, paths[i]);
        if (status != SL_OK)
            return sl_cli_failed(paths[i], status, NULL);
    }
    printf("%zu of %zu records in %zu files change class\n", replay.changed, replay.records, replay.files);
    for (unsigned bit = 0; bit < SL_CLASS_LIMIT; bit++) {
        const struct sl_class *class = sl_policy_class(in->t->policy, bit);
        if (class && (replay.gained[bit] || replay.lost[bit]))
            printf("  %-32.*s +%zu -%zu\n", SL_FMT(class->id), replay.gained[bit], replay.lost[bit]);
    }
    if (replay.unread)
        fprintf(stderr, "sluice: %zu files cannot be read\n", replay.unread);
    return replay.unread ? 1 : 0;
}

/* ---- Writing ---- */

/* The folder of code lists that policy.yaml names, seen from the policy's. */
static struct sl_slice folder_of(struct terms *t)
{
    struct sl_yaml_source source = {.arena = t->arena, .file = SL_LIT("policy.yaml")};
    const struct sl_yaml *root = NULL;
    if (sl_yaml_parse(&source, old_text(t->policy, source.file), &root) != SL_OK)
        return (struct sl_slice){NULL, 0};
    struct sl_slice folder = sl_yaml_text(&source, sl_yaml_get(root, "terminology"));
    return folder.len ? sl_arena_printf(t->arena, "%s/%.*s", t->directory, SL_FMT(folder)) : folder;
}

static bool write_all(int fd, struct sl_slice text)
{
    while (text.len) {
        ssize_t wrote = write(fd, text.ptr, text.len);
        if (wrote < 0 && errno != EINTR)
            return false;
        text = sl_slice_from(text, wrote > 0 ? (size_t)wrote : 0);
    }
    return fsync(fd) == 0;
}

/* Whole or not at all: a file beside it, then its name. Empty text: the file goes, if it is there. */
static bool put_file(const char *folder, struct sl_slice path, struct sl_slice text)
{
    char target[PATH_MAX], beside[PATH_MAX];
    const char *slash = memrchr(path.ptr, '/', path.len);
    struct sl_slice name = slash ? sl_slice_from(path, (size_t)(slash - path.ptr) + 1) : path;
    int a = snprintf(target, sizeof target, "%s/%.*s", folder, SL_FMT(name));
    int b = snprintf(beside, sizeof beside, "%s/.%.*s.new", folder, SL_FMT(name));
    if (a < 0 || b < 0 || (size_t)a >= sizeof target || (size_t)b >= sizeof beside)
        return false;
    if (text.len == 0)
        return unlink(target) == 0 || errno == ENOENT;
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    bool good = fd >= 0 && write_all(fd, text);
    if (fd >= 0)
        good &= close(fd) == 0;
    good = good && rename(beside, target) == 0;
    if (!good)
        unlink(beside);
    return good;
}

/* Systems first: a list of codes whose system nobody knows is a broken policy; a system without codes is not. */
static int apply(struct import *in)
{
    struct sl_slice folder = folder_of(in->t);
    bool good = folder.len > 0;
    for (size_t i = 0; good && i < in->count; i++) {
        const struct sl_site_files *f = &in->files[i];
        good = (!f->systems.text.len || put_file(folder.ptr, f->systems.path, f->systems.text)) &&
               put_file(folder.ptr, f->codes.path, f->codes.text) &&
               (f->systems.text.len || put_file(folder.ptr, f->systems.path, f->systems.text));
    }
    int fd = good ? open(folder.ptr, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    good = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    if (!good) {
        fprintf(stderr, "sluice: %.*s: %s\n", SL_FMT(folder.len ? folder : SL_LIT("the policy names no folder")),
            strerror(errno));
        return 1;
    }
    printf("written to %.*s; it counts once the policy is activated: sluice policy activate %s\n", SL_FMT(folder),
        in->t->directory);
    return 0;
}

static int import_all(struct import *in)
{
    int failed = load(in->t);
    if (!failed)
        failed = read_all(in);
    if (failed)
        return failed;
    printf("codes that change:\n");
    for (size_t i = 0; i < in->count && !failed; i++)
        failed = print_codes(in, &in->files[i]);
    if (failed)
        return failed;
    printf("%zu codes change of %zu\n", in->moved, in->codes);
    failed = replay_records(in);
    if (!sl_cli_given(in->t->cli, "apply")) {
        printf("nothing is written without --apply\n");
        return failed;
    }
    return failed ? failed : apply(in);
}

static int import(struct terms *t)
{
    struct import in = {.t = t};
    int failed = 2;
    struct sl_slice evidence = option(t, "evidence");
    if (evidence.len && !sl_slice_eq(evidence, SL_LIT("weak")) && !sl_slice_eq(evidence, SL_LIT("strong")))
        fprintf(stderr, "sluice: --evidence is strong or weak\n");
    else if (sl_cli_given(t->cli, "apply") && (sl_cli_given(t->cli, "dry-run") || !strcmp(t->cli->operands[0], "diff")))
        fprintf(stderr, "sluice: --apply writes; --dry-run and diff do not\n");
    else
        failed = import_all(&in);
    sl_policy_unref(in.bare);
    sl_policy_unref(in.after);
    return failed;
}

int sl_cmd_terminology(int argc, char **argv)
{
    static const struct sl_option options[] = {
        {"policy", SL_OPTION_ONE, "DIR", "the policy directory (the shipped one)", false},
        {"system", SL_OPTION_ONE, "URI", "the code system; import: of codes that name none", false},
        {"category", SL_OPTION_ONE, "ID", "import: the category of codes that name none; none: not sensitive", false},
        {"evidence", SL_OPTION_ONE, "WORD", "import: strong (if not said) or weak, of codes that do not say", false},
        {"name", SL_OPTION_ONE, "NAME", "import: what the value set is called here (its file's name)", false},
        {"records", SL_OPTION_MANY, "PATH…", "import: files or folders of records, to see which change class", false},
        {"dry-run", SL_OPTION_FLAG, NULL, "import: show what would change (so it is without --apply)", false},
        {"apply", SL_OPTION_FLAG, NULL, "import: write, after showing", false},
    };
    static const char usage[] = "terminology lookup CODE… [--system URI]  |  terminology import FILE… [--category ID] "
                                "[--records PATH…] [--apply]  |  terminology diff FILE… [--records PATH…]";
    struct terms t = {.arena = sl_arena_new(ARENA_BYTES)};
    struct sl_cli cli;
    int status = 1;
    if (!t.arena)
        return 1;
    t.issues.arena = t.arena;
    t.cli = &cli;
    if (sl_cli_read(t.arena, argc, argv, usage, options, sizeof options / sizeof *options, &cli, &status)) {
        const char *verb = cli.operand_count > 1 ? cli.operands[0] : "";
        status = 2;
        if (strcmp(verb, "lookup") == 0)
            status = lookup(&t);
        else if (strcmp(verb, "import") == 0 || strcmp(verb, "diff") == 0)
            status = import(&t);
        else
            fprintf(stderr, "usage: sluice %s\n", usage);
    }
    sl_policy_unref(t.policy);
    sl_arena_free(t.arena);
    return status;
}
