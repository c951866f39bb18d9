/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment_bench POLICY-DIR FILE…: the whole pass in memory (parse, label, decide, segment, gather) over JSON Bundles,
 * against Jansson's parse-and-print of the same bytes, in one run and in turn; the best round of each counts, by
 * processor time. Prints MB/s and the ratio for three parties, and what searching for words takes of it. Lines that
 * begin with '=' are figures for run.sh.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "earning.h" /* of the consent room: the words are taken out of one policy */
#include "sluice/pass.h"
#include "sluice/yaml.h"

#define ROUNDS 10
#define JANSSON_ROUNDS 4 /* each takes as long as twenty of ours */
#define PARTIES 4u       /* the last without words */

struct file {
    struct sl_slice text;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* what others do on the machine is not measured */
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static enum sl_status no_directives(
    void *context, struct sl_slice patient, struct sl_arena *arena, struct sl_directives *out)
{
    (void)context, (void)patient, (void)arena;
    *out = (struct sl_directives){0};
    return SL_OK;
}

static enum sl_status add_entries(struct sl_pass *pass, const struct sl_doc *doc, struct sl_arena *arena)
{
    struct sl_item *item;
    uint32_t entries = sl_span_member(doc, 0, SL_NAME_entry);
    for (uint32_t e = entries + 1; entries && e < doc->spans[entries].next; e = doc->spans[e].next) {
        uint32_t resource = sl_span_member(doc, e, SL_NAME_resource), url = sl_span_member(doc, e, SL_NAME_fullUrl);
        struct sl_slice full_url = url ? sl_span_string(doc, url, arena) : (struct sl_slice){NULL, 0};
        if (resource)
            SL_TRY(sl_pass_add(pass, doc, resource, full_url, false, &item));
    }
    return SL_OK;
}

static enum sl_status settle(struct sl_pass *pass)
{
    struct sl_slice *missing = NULL;
    size_t count = 1;
    for (unsigned round = 0; round < 8 && count; round++) {
        SL_TRY(sl_pass_label(pass, &missing, &count));
        for (size_t i = 0; i < count; i++)
            SL_TRY(sl_labeller_absent(sl_pass_labeller(pass), missing[i], true));
    }
    return SL_OK;
}

/* Times of the parts, seconds. */
struct times {
    double parse, label, decide, gather;
    size_t released, withheld, cut, out;
};

static enum sl_status segment_once(
    struct sl_arena *arena, const struct sl_pass_options *options, struct sl_slice text, struct times *times)
{
    struct sl_doc doc;
    struct sl_segment_report report;
    double t0 = now();
    SL_TRY(sl_doc_parse(arena, text, NULL, &doc, NULL));
    double t1 = now();
    struct sl_pass *pass = sl_pass_new(arena, options);
    if (!pass)
        return SL_NO_MEMORY;
    SL_TRY(add_entries(pass, &doc, arena));
    SL_TRY(settle(pass));
    double t2 = now();
    SL_TRY(sl_pass_decide(pass, &report));
    double t3 = now();
    struct sl_edits *edits = sl_edits_new(arena, &doc);
    struct sl_blocks out = {.arena = arena};
    if (!edits)
        return SL_NO_MEMORY;
    for (const struct sl_item *item = sl_labeller_items(sl_pass_labeller(pass)); item; item = item->next)
        if (!item->container)
            SL_TRY(sl_segment_edit(item, edits, arena));
    SL_TRY(sl_edit_gather(edits, 0, &out));
    double t4 = now();
    times->parse += t1 - t0;
    times->label += t2 - t1;
    times->decide += t3 - t2;
    times->gather += t4 - t3;
    times->released += report.resources_released;
    times->withheld += report.resources_withheld;
    times->cut += report.elements_cut;
    times->out += out.total;
    return SL_OK;
}

static double jansson_once(struct sl_slice text)
{
    double t0 = now();
    json_error_t error;
    json_t *tree = json_loadb(text.ptr, text.len, 0, &error);
    char *printed = json_dumps(tree, JSON_COMPACT);
    double t1 = now();
    free(printed);
    json_decref(tree);
    return t1 - t0;
}

struct contender {
    const char *party, *purpose;
    struct sl_recipient recipient;
    struct sl_pass_options options;
    double best;
    struct times of_best;
};

static void measure_party(struct contender *c, struct sl_arena *arena, const struct file *files, size_t count)
{
    struct times times = {0};
    double t0 = now();
    for (size_t i = 0; i < count; i++) {
        sl_arena_reset(arena);
        if (segment_once(arena, &c->options, files[i].text, &times) != SL_OK) {
            fprintf(stderr, "segment_bench: file %zu failed\n", i);
            exit(1);
        }
    }
    double took = now() - t0;
    if (took < c->best) {
        c->best = took;
        c->of_best = times;
    }
}

static double measure_jansson(const struct file *files, size_t count)
{
    double took = 0;
    for (size_t i = 0; i < count; i++)
        took += jansson_once(files[i].text);
    return took;
}

static void report(const struct contender *c, double megabytes, double jansson)
{
    const struct times *t = &c->of_best;
    printf("segment %-18s %5.0f MB/s (parse %2.0f %%, label %2.0f %%, decide %2.0f %%, gather %2.0f %%; "
           "released %zu, withheld %zu, cut %zu)\n",
        c->party, megabytes / c->best, 100 * t->parse / c->best, 100 * t->label / c->best, 100 * t->decide / c->best,
        100 * t->gather / c->best, t->released, t->withheld, t->cut);
    printf("= segment as %s\t%.0f\tMB/s\t>=\t1000\n", c->party, megabytes / c->best);
    printf("= segment as %s, against Jansson\t%.1f\tx\t>=\t20\n", c->party, jansson / c->best);
}

/* The last contender is the one before it, under a policy that looks for no words. */
static void report_words(const struct contender *with, const struct contender *without)
{
    double share = 100 * (with->best - without->best) / with->best;
    printf("words take %.1f %% of it as %s\n", share, with->party);
    printf("= words, share of the segment as %s\t%.1f\t%%\t-\t-\n", with->party, share);
}

static enum sl_status load_wordless(const char *directory, struct sl_issues *issues, struct sl_policy **out)
{
    SL_TRY(sl_policy_load(directory, issues, out));
    struct sl_earning *earning = (struct sl_earning *)(uintptr_t)sl_policy_earning(*out);
    earning->words = NULL;
    return SL_OK;
}

static size_t read_files(struct sl_arena *arena, char **paths, size_t count, struct file *files)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        if (sl_file_read(arena, paths[i], (size_t)1 << 30, &files[i].text) != SL_OK) {
            fprintf(stderr, "segment_bench: %s cannot be read\n", paths[i]);
            exit(1);
        }
        bytes += files[i].text.len;
    }
    return bytes;
}

int main(int argc, char **argv)
{
    static struct contender all[] = {{.party = "treating-provider", .purpose = "TREAT", .best = 1e9},
        {.party = "hie-partner", .purpose = "TREAT", .best = 1e9},
        {.party = "health-plan", .purpose = "HPAYMT", .best = 1e9},
        {.party = "health-plan", .purpose = "HPAYMT", .best = 1e9}};
    struct sl_arena *arena = sl_arena_new((size_t)4 << 30), *work = sl_arena_new((size_t)4 << 30);
    struct sl_issues issues = {.arena = arena};
    struct sl_policy *policy = NULL, *wordless = NULL;
    if (argc < 3) {
        fprintf(stderr, "usage: segment_bench POLICY-DIR FILE…\n");
        return 2;
    }
    if (sl_policy_load(argv[1], &issues, &policy) != SL_OK || load_wordless(argv[1], &issues, &wordless) != SL_OK) {
        fprintf(stderr, "segment_bench: %s is no policy: sluice policy check says why\n", argv[1]);
        return 1;
    }
    size_t count = (size_t)argc - 2;
    struct file *files = sl_arena_array(arena, count, sizeof *files);
    double megabytes = (double)read_files(arena, argv + 2, count, files) / 1e6, jansson = 1e9;
    struct sl_programs *programs = sl_programs_new(true);
    for (size_t i = 0; i < PARTIES; i++) {
        all[i].recipient = (struct sl_recipient){
            .party = sl_slice_of(all[i].party), .purpose = sl_purpose_find(sl_slice_of(all[i].purpose))};
        all[i].options = (struct sl_pass_options){.policy = i + 1 < PARTIES ? policy : wordless,
            .programs = programs,
            .recipient = &all[i].recipient,
            .now = 1790000000,
            .directives = no_directives};
    }
    for (int round = 0; round < ROUNDS; round++) {
        if (round < JANSSON_ROUNDS) {
            double took = measure_jansson(files, count);
            jansson = took < jansson ? took : jansson;
        }
        for (size_t i = 0; i < PARTIES; i++)
            measure_party(&all[i], work, files, count);
    }
    printf("jansson parse and print    %5.0f MB/s over %zu files, %.1f MB\n", megabytes / jansson, count, megabytes);
    for (size_t i = 0; i + 1 < PARTIES; i++)
        report(&all[i], megabytes, jansson);
    report_words(&all[PARTIES - 2], &all[PARTIES - 1]);
    sl_policy_unref(wordless);
    sl_programs_unref(programs);
    sl_policy_unref(policy);
    sl_arena_free(work);
    sl_arena_free(arena);
    return 0;
}
