/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ccda_bench POLICY-DIR [FILE.xml…]: a C-CDA of 500 KB in a DocumentReference (or the files given), through the whole
 * pass (parse the JSON, decode, read, label, decide, segment, encode, gather) for three parties, against libxml2's
 * parse of the document into a tree, in one run and in turn; the best round of each counts, by processor time. Lines
 * that begin with '=' are figures for run.sh.
 */
#include <libxml/parser.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "../tests/ccda_fixture.h"
#include "sluice/pass.h"
#include "sluice/yaml.h"

#define ROUNDS 40
#define PARTIES 3u
#define SIZE ((size_t)500 * 1000)
#define ENTRIES 1024u

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

static void fail(const char *why)
{
    fprintf(stderr, "ccda_bench: %s\n", why);
    exit(1);
}

/* As many entries as make 500 KB; one in eight is sensitive, five in six have a row of the narrative. */
static struct sl_slice make_document(struct sl_arena *arena)
{
    static struct fixture_entry entries[ENTRIES];
    struct sl_buffer out;
    struct fixture_document d = {.entries = entries, .count = 8, .padding = "\n        ", .comments = true};
    for (unsigned i = 0; i < ENTRIES; i++)
        entries[i] = (struct fixture_entry){.section = i % FIXTURE_SECTIONS,
            .kind = i % 8 ? FIXTURE_ORDINARY : FIXTURE_SUBSTANCE + i / 8 % 3,
            .canary = i + 1,
            .linked = i % 6 != 0,
            .names = i % 16 == 3 ? i : 0};
    sl_buffer_init(&out, SIZE * 4);
    while (out.len < SIZE && d.count < ENTRIES) {
        d.count += 8;
        sl_buffer_clear(&out);
        fixture_write(&out, &d);
    }
    struct sl_slice xml = sl_arena_copy(arena, sl_buffer_slice(&out));
    sl_buffer_fini(&out);
    return xml;
}

static struct sl_slice wrap(struct sl_arena *arena, struct sl_slice xml)
{
    struct sl_buffer out;
    sl_buffer_init(&out, xml.len * 2 + 4096);
    fixture_wrap(&out, xml);
    struct sl_slice json = sl_arena_copy(arena, sl_buffer_slice(&out));
    sl_buffer_fini(&out);
    return json;
}

struct contender {
    const char *party, *purpose;
    struct sl_recipient recipient;
    struct sl_pass_options options;
    double best;
    double parse, label, decide, write; /* of the best round */
    size_t cut, out;
};

static enum sl_status settle(struct sl_pass *pass)
{
    struct sl_slice *missing = NULL;
    size_t count = 1;
    for (unsigned round = 0; round < 4 && count; round++) {
        SL_TRY(sl_pass_label(pass, &missing, &count));
        for (size_t i = 0; i < count; i++)
            SL_TRY(sl_labeller_absent(sl_pass_labeller(pass), missing[i], true));
    }
    return SL_OK;
}

static enum sl_status segment_once(struct contender *c, struct sl_arena *arena, struct sl_slice json)
{
    struct sl_doc doc;
    struct sl_item *item;
    struct sl_segment_report report;
    struct sl_blocks out = {.arena = arena};
    double t0 = now();
    SL_TRY(sl_doc_parse(arena, json, NULL, &doc, NULL));
    double t1 = now();
    struct sl_pass *pass = sl_pass_new(arena, &c->options);
    if (!pass)
        return SL_NO_MEMORY;
    SL_TRY(sl_pass_add(pass, &doc, 0, (struct sl_slice){NULL, 0}, false, &item));
    SL_TRY(settle(pass));
    double t2 = now();
    SL_TRY(sl_pass_decide(pass, &report));
    double t3 = now();
    struct sl_edits *edits = sl_edits_new(arena, &doc);
    if (!edits)
        return SL_NO_MEMORY;
    SL_TRY(sl_segment_edit(item, edits, arena));
    SL_TRY(sl_edit_gather(edits, 0, &out));
    double t4 = now();
    if (t4 - t0 < c->best) {
        c->best = t4 - t0;
        c->parse = t1 - t0;
        c->label = t2 - t1;
        c->decide = t3 - t2;
        c->write = t4 - t3;
    }
    c->cut = report.elements_cut;
    c->out = out.total;
    return SL_OK;
}

static double libxml_once(struct sl_slice xml)
{
    double before = now();
    xmlDocPtr tree = xmlReadMemory(xml.ptr, (int)xml.len, NULL, NULL, XML_PARSE_NONET);
    double took = now() - before;
    if (!tree)
        fail("libxml2 cannot read the document");
    xmlFreeDoc(tree);
    free(malloc((size_t)64 << 10)); /* what the heap puts off until the next large block is not ours to pay */
    return took;
}

static void measure(struct contender *all, struct sl_slice xml, const char *name, struct sl_arena *arena)
{
    struct sl_arena *work = sl_arena_new((size_t)1 << 30);
    struct sl_slice json = wrap(arena, xml);
    double libxml = 1e9;
    for (unsigned i = 0; i < PARTIES; i++)
        all[i].best = 1e9;
    for (unsigned round = 0; round < ROUNDS; round++) {
        double took = libxml_once(xml);
        libxml = took < libxml ? took : libxml;
        for (unsigned i = 0; i < PARTIES; i++) {
            sl_arena_reset(work);
            if (segment_once(&all[(i + round) % PARTIES], work, json) != SL_OK)
                fail("the document cannot be segmented");
        }
    }
    printf("%s: %.0f kB, libxml2 parses it in %.2f ms\n", name, (double)xml.len / 1e3, libxml * 1e3);
    for (unsigned i = 0; i < PARTIES; i++) {
        printf("ccda    %-18s %6.2f ms (parse %.2f, read and label %.2f, decide %.2f, write %.2f), %zu cut, %zu bytes "
               "out\n",
            all[i].party, all[i].best * 1e3, all[i].parse * 1e3, all[i].label * 1e3, all[i].decide * 1e3,
            all[i].write * 1e3, all[i].cut, all[i].out);
        printf("= %s as %s, against libxml2's parse\t%.2f\tx\t<=\t2\n", name, all[i].party, all[i].best / libxml);
    }
    sl_arena_free(work);
}

int main(int argc, char **argv)
{
    static struct contender all[PARTIES] = {{.party = "treating-provider", .purpose = "TREAT"},
        {.party = "hie-partner", .purpose = "TREAT"}, {.party = "patient", .purpose = "PATRQT"}};
    struct sl_arena *arena = sl_arena_new((size_t)1 << 30);
    struct sl_issues issues = {.arena = arena};
    struct sl_policy *policy = NULL;
    struct sl_programs *programs = sl_programs_new(false);
    mallopt(M_TRIM_THRESHOLD, 1 << 30); /* both have their heap from the rounds before */
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    if (argc < 2 || sl_policy_load(argv[1], &issues, &policy) != SL_OK)
        fail("usage: ccda_bench POLICY-DIR [FILE.xml…]");
    for (unsigned i = 0; i < PARTIES; i++) {
        all[i].recipient = (struct sl_recipient){
            .party = sl_slice_of(all[i].party), .purpose = sl_purpose_find(sl_slice_of(all[i].purpose))};
        all[i].options = (struct sl_pass_options){.policy = policy,
            .programs = programs,
            .recipient = &all[i].recipient,
            .now = 1790000000,
            .directives = no_directives};
    }
    if (argc == 2)
        measure(all, make_document(arena), "C-CDA of 500 KB", arena);
    for (int i = 2; i < argc; i++) {
        struct sl_slice xml;
        if (sl_file_read(arena, argv[i], (size_t)64 << 20, &xml) != SL_OK)
            fail("a file cannot be read");
        measure(all, xml, argv[i], arena);
    }
    sl_programs_unref(programs);
    sl_policy_unref(policy);
    sl_arena_free(arena);
    return 0;
}
