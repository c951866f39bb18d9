/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as records, one a line, for any party of the shipped policy: what goes out is JSON, is what came in with
 * parts cut (but for labels), and holds nothing that cuts have emptied; segmented once more, no more goes out. The
 * first byte chooses the party.
 */
#include <stdint.h>
#include <stdlib.h>

#include "sluice/pass.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LINES 16u

static struct sl_policy *policy;
static const char *const parties[][2] = {{"treating-provider", "TREAT"}, {"hie-partner", "TREAT"},
    {"front-desk", "PATADMIN"}, {"health-plan", "HPAYMT"}, {"patient", "PATRQT"}, {"ai-agent", "TREAT"},
    {"research-feed", "HRESCH"}};

static void prepare(void)
{
    struct sl_issues issues = {.arena = sl_arena_new((size_t)256 << 20)};
    if (!issues.arena || sl_policy_load(SLUICE_SOURCE "/consent/policies", &issues, &policy) != SL_OK)
        abort();
    sl_arena_free(issues.arena);
}

/* ---- One pass ---- */

struct run {
    struct sl_arena *arena;
    struct sl_doc docs[LINES];
    struct sl_item *items[LINES];
    struct sl_slice out[LINES]; /* what goes out of each; empty: nothing */
    size_t count;
};

static bool settle(struct sl_pass *pass)
{
    struct sl_slice *missing = NULL;
    size_t count = 1;
    for (unsigned round = 0; round < 8 && count; round++) {
        if (sl_pass_label(pass, &missing, &count) != SL_OK)
            return false;
        for (size_t i = 0; i < count; i++)
            if (sl_labeller_absent(sl_pass_labeller(pass), missing[i], true) != SL_OK)
                return false;
    }
    return count == 0;
}

static void gather(struct run *run, size_t i)
{
    struct sl_edits *edits = sl_edits_new(run->arena, &run->docs[i]);
    struct sl_blocks blocks = {.arena = run->arena};
    if (!edits || sl_segment_edit(run->items[i], edits, run->arena) != SL_OK ||
        sl_edit_gather(edits, 0, &blocks) != SL_OK)
        return;
    char *text = sl_arena_raw(run->arena, blocks.total + 1, 1);
    size_t at = 0;
    for (const struct sl_block *b = blocks.first; b && text; at += b->len, b = b->next)
        memcpy(text + at, b->ptr, b->len);
    run->out[i] = (struct sl_slice){text, at};
}

static void add_line(struct run *run, struct sl_pass *pass, struct sl_slice line)
{
    size_t i = run->count;
    if (line.len && i < LINES && sl_doc_parse(run->arena, line, NULL, &run->docs[i], NULL) == SL_OK &&
        sl_pass_add(pass, &run->docs[i], 0, (struct sl_slice){NULL, 0}, false, &run->items[i]) == SL_OK)
        run->count++;
}

static bool segment(struct run *run, const struct sl_programs *programs, const char *const party[2],
    const struct sl_slice *lines, size_t count)
{
    struct sl_recipient recipient = {.party = sl_slice_of(party[0]), .purpose = sl_purpose_find(sl_slice_of(party[1]))};
    struct sl_pass_options options = {
        .policy = policy, .programs = programs, .recipient = &recipient, .now = 1790000000};
    struct sl_pass *pass = sl_pass_new(run->arena, &options);
    struct sl_segment_report report;
    if (!pass)
        return false;
    for (size_t i = 0; i < count; i++)
        add_line(run, pass, lines[i]);
    if (!settle(pass) || sl_pass_decide(pass, &report) != SL_OK)
        return false;
    for (size_t i = 0; i < run->count; i++)
        if (run->items[i]->verdict->decision == SL_RELEASED)
            gather(run, i);
    return true;
}

/* ---- Is it less? ---- */

struct pair {
    const struct sl_doc *small, *large;
};

static bool is_less(const struct pair *p, uint32_t s, uint32_t l);

/* What segmentation puts in: meta, extensions with labels and marks, an object of the '_' half for one. */
static bool is_ours(const struct sl_doc *doc, uint32_t member)
{
    const struct sl_span *span = &doc->spans[member];
    return span->name == SL_NAME_security || span->name == SL_NAME_extension || span->name == SL_NAME_meta ||
           span->flags & SL_SPAN_SIBLING;
}

static bool members_less(const struct pair *p, uint32_t s, uint32_t l)
{
    for (uint32_t c = s + 1; c < p->small->spans[s].next; c = p->small->spans[c].next) {
        uint32_t other = sl_span_member_key(p->large, l, sl_span_key(p->small, c));
        if (!is_ours(p->small, c) && (!other || !is_less(p, c, other)))
            return false;
    }
    return true;
}

static bool items_less(const struct pair *p, uint32_t s, uint32_t l)
{
    uint32_t other = l + 1, end = p->large->spans[l].next;
    for (uint32_t c = s + 1; c < p->small->spans[s].next; c = p->small->spans[c].next) {
        while (other < end && !is_less(p, c, other))
            other = p->large->spans[other].next;
        if (other >= end)
            return false;
        other = p->large->spans[other].next;
    }
    return true;
}

static bool is_less(const struct pair *p, uint32_t s, uint32_t l)
{
    if (p->small->spans[s].type != p->large->spans[l].type)
        return false;
    if (p->small->spans[s].type == SL_SPAN_OBJECT)
        return members_less(p, s, l);
    if (p->small->spans[s].type == SL_SPAN_ARRAY)
        return items_less(p, s, l);
    return sl_slice_eq(sl_span_text(p->small, s), sl_span_text(p->large, l));
}

/* Emptied containers go; what was empty from the start stays. */
static size_t count_empty(const struct sl_doc *doc)
{
    size_t count = 0;
    for (uint32_t i = 1; i < doc->count; i++)
        count += (doc->spans[i].type == SL_SPAN_OBJECT || doc->spans[i].type == SL_SPAN_ARRAY) &&
                 doc->spans[i].next == i + 1;
    return count;
}

static void check(struct run *run, size_t i, struct sl_doc *out)
{
    if (sl_doc_parse(run->arena, run->out[i], NULL, out, NULL) != SL_OK)
        abort();
    if (!is_less(&(struct pair){out, &run->docs[i]}, 0, 0) || count_empty(out) > count_empty(&run->docs[i]))
        abort();
}

static void check_again(struct run *run, const struct sl_programs *programs, const char *const party[2])
{
    struct sl_slice lines[LINES];
    size_t origin[LINES], count = 0;
    for (size_t i = 0; i < run->count; i++)
        if (run->out[i].len) {
            origin[count] = i;
            lines[count++] = run->out[i];
        }
    struct run again = {.arena = run->arena};
    if (!segment(&again, programs, party, lines, count))
        return;
    if (again.count != count)
        abort();
    for (size_t i = 0; i < count; i++) {
        struct sl_doc once, twice;
        if (!again.out[i].len)
            continue; /* a label that went out may withhold more */
        check(run, origin[i], &once);
        check(&again, i, &twice);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!policy)
        prepare();
    if (size < 2 || size > 1 << 16)
        return 0;
    const char *const *party = parties[data[0] % (sizeof parties / sizeof *parties)];
    struct sl_slice lines[LINES], rest = {(const char *)data + 1, size - 1};
    size_t count = 0;
    for (; rest.len && count < LINES; count++) {
        const char *end = memchr(rest.ptr, '\n', rest.len);
        lines[count] = (struct sl_slice){rest.ptr, end ? (size_t)(end - rest.ptr) : rest.len};
        rest = sl_slice_from(rest, lines[count].len + 1);
    }
    struct run run = {.arena = sl_arena_new((size_t)256 << 20)};
    struct sl_programs *programs = sl_programs_new(true);
    if (!run.arena || !programs || sl_programs_add(programs, SL_LIT("Organization/prog"), SL_SOURCE_PROGRAM) != SL_OK)
        abort();
    if (segment(&run, programs, party, lines, count)) {
        for (size_t i = 0; i < run.count; i++) {
            struct sl_doc out;
            if (run.out[i].len)
                check(&run, i, &out);
        }
        check_again(&run, programs, party);
    }
    sl_programs_unref(programs);
    sl_arena_free(run.arena);
    return 0;
}
