/* SPDX-License-Identifier: Apache-2.0 */
/* What `sluice policy list`, `show` and `keys list` print: see print_generation.h. */
#include "print_generation.h"

#include <time.h>

struct moment {
    char text[32];
};

static struct moment moment_of(int64_t at)
{
    struct moment moment = {""};
    time_t time = (time_t)at;
    struct tm tm;
    if (gmtime_r(&time, &tm))
        strftime(moment.text, sizeof moment.text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return moment;
}

/* ---- One generation ---- */

/* Which way it went: for people, and as a word. */
static const char *way_of(const struct sl_generation *g)
{
    if (!g->compared)
        return g->replaces ? "unknown" : "first";
    if (sl_policy_diff_loosens(&g->diff))
        return "looser";
    return g->diff.tighter ? "tighter" : "same";
}

static void print_way(struct sl_buffer *out, const struct sl_generation *g)
{
    unsigned long long before = g->replaces;
    if (!g->compared && !g->replaces)
        sl_buffer_printf(out, "       the first\n");
    else if (!g->compared)
        sl_buffer_printf(out, "       it could not be compared with %llu\n", before);
    else if (sl_policy_diff_loosens(&g->diff))
        sl_buffer_printf(out, "       looser than %llu: %zu release%s more, %zu may, %zu withhold%s more\n", before,
            g->diff.looser, g->diff.looser == 1 ? "s" : "", g->diff.either, g->diff.tighter,
            g->diff.tighter == 1 ? "s" : "");
    else if (g->diff.tighter)
        sl_buffer_printf(
            out, "       tighter than %llu: releases nothing new, withholds more in %zu\n", before, g->diff.tighter);
    else
        sl_buffer_printf(out, "       releases the same as %llu\n", before);
}

/* Each person once, with however many keys. */
static unsigned print_names(struct sl_buffer *out, const struct sl_generation *g)
{
    unsigned people = 0;
    for (size_t i = 0; i < g->approval_count; i++) {
        bool told = false;
        for (size_t k = 0; k < i; k++)
            told |= sl_slice_eq(g->approvals[k].name, g->approvals[i].name);
        if (!told)
            sl_buffer_printf(out, "%s%.*s", people++ ? ", " : "       approved by ", SL_FMT(g->approvals[i].name));
    }
    return people;
}

static void print_approvals(struct sl_buffer *out, const struct sl_generation *g)
{
    unsigned people = print_names(out, g);
    if (!g->needed)
        sl_buffer_printf(out, "%snobody had to approve it: nobody had a key\n", people ? "; " : "       ");
    else
        sl_buffer_printf(out, " (%u of %u needed)\n", people, g->needed);
}

/* A note may hold anything; it stays on its line. */
static void print_note(struct sl_buffer *out, struct sl_slice note)
{
    if (!note.len)
        return;
    sl_buffer_printf(out, "       ");
    for (size_t i = 0; i < note.len; i++)
        sl_buffer_printf(out, "%c", (unsigned char)note.ptr[i] < ' ' ? ' ' : note.ptr[i]);
    sl_buffer_printf(out, "\n");
}

static void print_test(struct sl_buffer *out, const struct sl_generation *g)
{
    if (g->tested.len)
        sl_buffer_printf(out, "       self-test passed: %.*s\n", SL_FMT(g->tested));
    else
        sl_buffer_add(out, SL_LIT("       not tested when it was put in force\n"));
}

static void print_one(struct sl_buffer *out, const struct sl_generation *g, const struct sl_generation *next)
{
    sl_buffer_printf(out, "%c %4llu  ", g->in_force ? '*' : ' ', (unsigned long long)g->number);
    if (g->damaged) {
        sl_buffer_printf(
            out, "%sIS DAMAGED: its entry in the store is not what was written\n", g->in_force ? "(in force) " : "");
        return;
    }
    sl_buffer_printf(out, "%s%s", g->in_force ? "in force since " : "from ", moment_of(g->activated).text);
    if (!g->in_force && next && !next->damaged)
        sl_buffer_printf(out, " until %s", moment_of(next->activated).text);
    sl_buffer_printf(out, ", by %.*s\n", SL_FMT(g->author));
    print_note(out, g->note);
    print_way(out, g);
    print_approvals(out, g);
    print_test(out, g);
    sl_buffer_printf(out, "       %.*s %.*s, policy %.12s…; federal packs %s%s\n", SL_FMT(g->title), SL_FMT(g->version),
        g->digest.ptr,
        sl_packs_as_shipped(g->files, g->file_count) ? "as this version of Sluice ships them"
                                                     : "not those of this version of Sluice",
        g->one_person ? "; two-person-rule: no" : "");
}

void sl_print_generations(struct sl_buffer *out, const struct sl_generation *list, size_t count, unsigned people)
{
    for (size_t i = count; i-- > 0;)
        print_one(out, &list[i], i + 1 < count ? &list[i + 1] : NULL);
    if (!count)
        sl_buffer_printf(out, "Nothing is in force.\n");
    bool one = count && list[count - 1].one_person;
    if (!people)
        sl_buffer_printf(out, "Nobody has a key: changes take no approval (sluice policy keys add).\n");
    else
        sl_buffer_printf(out, "%u %s a key; a change that releases more takes %s.\n", people,
            people == 1 ? "person has" : "people have", one ? "one, since the policy says so" : "two");
}

void sl_print_generation(struct sl_buffer *out, const struct sl_generation *g)
{
    print_one(out, g, NULL);
    if (g->damaged)
        return;
    sl_buffer_printf(out, "\nFiles, by their SHA-256:\n");
    for (size_t i = 0; i < g->file_count; i++)
        sl_buffer_printf(out, "  %.*s  %.*s\n", SL_FMT(g->files[i].sha256), SL_FMT(g->files[i].path));
    sl_buffer_printf(
        out, "\nSeal of this entry:\n  %.*s\n\nWhat was to be signed:\n\n%.*s", SL_FMT(g->seal), SL_FMT(g->text));
    for (size_t i = 0; i < g->approval_count; i++)
        sl_buffer_printf(out, "\nSigned by %.*s, with the key %.*s\nsignature: %.*s\n", SL_FMT(g->approvals[i].name),
            SL_FMT(g->approvals[i].key), SL_FMT(g->approvals[i].signature));
}

/* ---- JSON ---- */

static void put_member(struct sl_buffer *out, const char *key, struct sl_slice value)
{
    sl_buffer_printf(out, ",\"%s\":", key);
    sl_buffer_json_string(out, value);
}

static void put_approvals(struct sl_buffer *out, const struct sl_approval *list, size_t count)
{
    sl_buffer_printf(out, ",\"approvals\":[");
    for (size_t i = 0; i < count; i++) {
        sl_buffer_printf(out, "%s{\"name\":", i ? "," : "");
        sl_buffer_json_string(out, list[i].name);
        put_member(out, "key", list[i].key);
        put_member(out, "signature", list[i].signature);
        sl_buffer_printf(out, "}");
    }
    sl_buffer_printf(out, "]");
}

static void put_files(struct sl_buffer *out, const struct sl_generation *g)
{
    sl_buffer_printf(out, ",\"files\":[");
    for (size_t i = 0; i < g->file_count; i++) {
        sl_buffer_printf(out, "%s{\"path\":", i ? "," : "");
        sl_buffer_json_string(out, g->files[i].path);
        put_member(out, "sha256", g->files[i].sha256);
        sl_buffer_printf(out, "}");
    }
    sl_buffer_printf(out, "]");
}

static void put_generation(struct sl_buffer *out, const struct sl_generation *g)
{
    sl_buffer_printf(out, "{\"generation\":%llu,\"in-force\":%s,\"damaged\":%s", (unsigned long long)g->number,
        g->in_force ? "true" : "false", g->damaged ? "true" : "false");
    put_member(out, "seal", g->seal);
    if (!g->damaged) {
        const struct {
            const char *key;
            struct sl_slice value;
        } texts[] = {{"author", g->author}, {"note", g->note}, {"title", g->title}, {"version", g->version},
            {"digest", g->digest}, {"replaces-seal", g->before_seal}, {"signed-text", g->text},
            {"change", sl_slice_of(way_of(g))}, {"self-test", g->tested}};
        put_member(out, "activated", sl_slice_of(moment_of(g->activated).text));
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
            put_member(out, texts[i].key, texts[i].value);
        sl_buffer_printf(out, ",\"replaces\":%llu,\"rollback-of\":%llu,\"looser\":%zu,\"either\":%zu,\"tighter\":%zu",
            (unsigned long long)g->replaces, (unsigned long long)g->rollback_of, g->diff.looser, g->diff.either,
            g->diff.tighter);
        sl_buffer_printf(out, ",\"approvals-needed\":%u,\"two-person-rule\":%s,\"packs-as-shipped\":%s", g->needed,
            g->one_person ? "false" : "true", sl_packs_as_shipped(g->files, g->file_count) ? "true" : "false");
        put_approvals(out, g->approvals, g->approval_count);
        put_files(out, g);
    }
    sl_buffer_printf(out, "}");
}

void sl_print_generations_json(struct sl_buffer *out, const struct sl_generation *list, size_t count)
{
    sl_buffer_printf(out, "{\"generations\":[");
    for (size_t i = 0; i < count; i++) {
        sl_buffer_printf(out, "%s\n", i ? "," : "");
        put_generation(out, &list[i]);
    }
    sl_buffer_printf(out, "\n]}\n");
}

/* ---- Those who may approve ---- */

static void print_event(struct sl_buffer *out, const char *what, int64_t at, struct sl_slice by, struct sl_slice why)
{
    sl_buffer_printf(out, "    %s %s by %.*s\n", what, moment_of(at).text, SL_FMT(by));
    print_note(out, why);
}

void sl_print_approvers(struct sl_buffer *out, const struct sl_approver *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct sl_approver *a = &list[i];
        sl_buffer_printf(
            out, "%s%.*s\n    key %.*s\n", a->retired ? "(retired) " : "", SL_FMT(a->name), SL_FMT(a->key));
        print_event(out, "added", a->added, a->added_by, a->added_why);
        if (!a->approval_count)
            sl_buffer_printf(out, "    nobody signed this: trust begins here\n");
        for (size_t k = 0; k < a->approval_count; k++)
            sl_buffer_printf(out, "    approved by %.*s\n", SL_FMT(a->approvals[k].name));
        if (a->retired)
            print_event(out, "retired", a->retired, a->retired_by, a->retired_why);
    }
    if (!count)
        sl_buffer_printf(out, "Nobody has a key: changes take no approval.\n");
}

void sl_print_approvers_json(struct sl_buffer *out, const struct sl_approver *list, size_t count)
{
    sl_buffer_printf(out, "{\"keys\":[");
    for (size_t i = 0; i < count; i++) {
        const struct sl_approver *a = &list[i];
        sl_buffer_printf(out, "%s\n{\"name\":", i ? "," : "");
        sl_buffer_json_string(out, a->name);
        put_member(out, "key", a->key);
        put_member(out, "added", sl_slice_of(moment_of(a->added).text));
        put_member(out, "added-by", a->added_by);
        put_member(out, "added-why", a->added_why);
        if (a->retired) {
            put_member(out, "retired", sl_slice_of(moment_of(a->retired).text));
            put_member(out, "retired-by", a->retired_by);
            put_member(out, "retired-why", a->retired_why);
        }
        put_approvals(out, a->approvals, a->approval_count);
        sl_buffer_printf(out, "}");
    }
    sl_buffer_printf(out, "\n]}\n");
}
