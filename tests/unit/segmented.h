/* SPDX-License-Identifier: Apache-2.0 */
/* The whole pass over a few lines of NDJSON under the shipped policy: what a party gets of them, as one text. */
#ifndef SLUICE_TESTS_SEGMENTED_H
#define SLUICE_TESTS_SEGMENTED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sluice/pass.h"

#define LINES 64

static struct sl_policy *policy;

struct world {
    struct sl_arena *arena;
    struct sl_directives directives;
    struct sl_doc docs[LINES];
    struct sl_item *items[LINES];
    size_t count;
};

static enum sl_status directives_of(
    void *context, struct sl_slice patient, struct sl_arena *arena, struct sl_directives *out)
{
    struct world *world = context;
    return sl_directives_about(&world->directives, patient, arena, out);
}

static struct sl_slice next_line(struct sl_slice *rest)
{
    const char *end = memchr(rest->ptr, '\n', rest->len);
    struct sl_slice line = {rest->ptr, end ? (size_t)(end - rest->ptr) : rest->len};
    *rest = sl_slice_from(*rest, line.len + 1);
    return line;
}

static void read_consents(struct world *world, const char *text)
{
    struct sl_slice rest = sl_slice_of(text);
    while (rest.len) {
        struct sl_doc *doc = sl_arena_alloc(world->arena, sizeof *doc);
        assert_int_equal(sl_doc_parse(world->arena, next_line(&rest), NULL, doc, NULL), SL_OK);
        assert_int_equal(sl_directive_read(world->arena, doc, 0, NULL, &world->directives), SL_OK);
    }
}

static void read_records(struct world *world, struct sl_pass *pass, const char *text)
{
    struct sl_slice rest = sl_slice_of(text);
    while (rest.len) {
        struct sl_doc *doc = &world->docs[world->count];
        assert_true(world->count < LINES);
        assert_int_equal(sl_doc_parse(world->arena, next_line(&rest), NULL, doc, NULL), SL_OK);
        assert_int_equal(
            sl_pass_add(pass, doc, 0, (struct sl_slice){NULL, 0}, false, &world->items[world->count]), SL_OK);
        world->count++;
    }
}

static void settle(struct sl_pass *pass)
{
    struct sl_slice *missing = NULL;
    size_t count = 1;
    for (int round = 0; round < 8 && count; round++) {
        assert_int_equal(sl_pass_label(pass, &missing, &count), SL_OK);
        for (size_t i = 0; i < count; i++)
            assert_int_equal(sl_labeller_absent(sl_pass_labeller(pass), missing[i], true), SL_OK);
    }
    assert_int_equal(count, 0);
}

static void gather(struct world *world, struct sl_blocks *out)
{
    for (size_t i = 0; i < world->count; i++) {
        if (world->items[i]->verdict->decision != SL_RELEASED)
            continue;
        struct sl_edits *edits = sl_edits_new(world->arena, &world->docs[i]);
        assert_int_equal(sl_segment_edit(world->items[i], edits, world->arena), SL_OK);
        assert_int_equal(sl_edit_gather(edits, 0, out), SL_OK);
        sl_blocks_add(out, SL_LIT("\n"));
    }
}

/* What `party` gets of `records`, as one text; caller frees. */
static char *segmented(
    const char *records, const char *consents, const char *party, const char *purpose, struct sl_segment_report *report)
{
    struct world world = {.arena = sl_arena_new((size_t)64 << 20)};
    struct sl_emergency emergency = {
        SL_LIT("Dr. Haddad"), SL_LIT("St. Brigid Hospital"), SL_LIT("gateway"), SL_LIT("unconscious"), true, 0};
    struct sl_recipient recipient = {.client = SL_LIT("test"),
        .party = sl_slice_of(party),
        .purpose = sl_purpose_find(sl_slice_of(purpose)),
        .emergency = strcmp(party, "emergency-clinician") == 0 ? &emergency : NULL};
    struct sl_programs *programs = sl_programs_new(true);
    assert_int_equal(sl_programs_add(programs, SL_LIT("Organization/prog"), SL_SOURCE_PROGRAM), SL_OK);
    struct sl_pass_options options = {.policy = policy,
        .programs = programs,
        .recipient = &recipient,
        .now = 1790000000,
        .directives = directives_of,
        .context = &world};
    struct sl_pass *pass = sl_pass_new(world.arena, &options);
    struct sl_blocks out = {.arena = world.arena};
    read_consents(&world, consents);
    read_records(&world, pass, records);
    settle(pass);
    assert_int_equal(sl_pass_decide(pass, report), SL_OK);
    gather(&world, &out);
    char *text = calloc(1, out.total + 1);
    size_t at = 0;
    for (const struct sl_block *b = out.first; b; b = b->next) {
        memcpy(text + at, b->ptr, b->len);
        at += b->len;
    }
    sl_programs_unref(programs);
    sl_arena_free(world.arena);
    return text;
}

static int load_policy(void **state)
{
    (void)state;
    struct sl_arena *arena = sl_arena_new((size_t)64 << 20);
    struct sl_issues issues = {.arena = arena};
    enum sl_status status = sl_policy_load(SLUICE_SOURCE "/consent/policies", &issues, &policy);
    for (struct sl_issue *i = issues.first; i && status != SL_OK; i = i->next)
        fprintf(stderr, "%.*s:%zu: %.*s\n", SL_FMT(i->file), i->line, SL_FMT(i->text));
    sl_arena_free(arena);
    return status == SL_OK ? 0 : -1;
}

static int unload_policy(void **state)
{
    (void)state;
    sl_policy_unref(policy);
    return 0;
}

#endif
