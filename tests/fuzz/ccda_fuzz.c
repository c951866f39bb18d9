/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a C-CDA in an attachment, for a party that loses much: it ends, what goes out is well-formed wherever it
 * could be read, it is no larger than what came in and what we put in, and segmenting it again changes nothing.
 */
#include <stdint.h>
#include <stdlib.h>

#include "../ccda_fixture.h"
#include "ccda.h"
#include "content.h"
#include "sluice/pass.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_LIMIT ((size_t)64 * 1024)
#define MEMORY_LIMIT ((size_t)256 << 20)

static struct sl_policy *policy;
static struct sl_programs *programs;

static void prepare(void)
{
    struct sl_arena *arena = sl_arena_new(MEMORY_LIMIT);
    struct sl_issues issues = {.arena = arena};
    if (policy == NULL && sl_policy_load(SLUICE_SOURCE "/consent/policies", &issues, &policy) != SL_OK)
        abort();
    if (programs == NULL) {
        programs = sl_programs_new(false);
        if (!programs || sl_programs_add(programs, SL_LIT("urn:oid:1.2.3|x"), SL_SOURCE_PROGRAM) != SL_OK)
            abort();
    }
    sl_arena_free(arena);
}

static enum sl_status no_directives(
    void *context, struct sl_slice patient, struct sl_arena *arena, struct sl_directives *out)
{
    (void)context, (void)patient, (void)arena;
    *out = (struct sl_directives){0};
    return SL_OK;
}

/* What goes out of the document; ptr NULL: nothing. *read: it could be read. */
static struct sl_slice segment(struct sl_arena *arena, struct sl_slice xml, const char *party, bool *read)
{
    struct sl_recipient recipient = {.party = sl_slice_of(party), .purpose = sl_purpose_find(SL_LIT("TREAT"))};
    struct sl_pass_options options = {.policy = policy,
        .programs = programs,
        .recipient = &recipient,
        .now = 1790000000,
        .directives = no_directives};
    struct sl_slice none = {NULL, 0}, *missing;
    struct sl_segment_report report;
    struct sl_buffer json;
    struct sl_item *item;
    struct sl_doc doc;
    size_t count;
    sl_buffer_init(&json, INPUT_LIMIT * 16);
    fixture_wrap(&json, xml);
    struct sl_slice text = sl_arena_copy(arena, sl_buffer_slice(&json));
    sl_buffer_fini(&json);
    struct sl_pass *pass = sl_pass_new(arena, &options);
    if (!pass || sl_doc_parse(arena, text, NULL, &doc, NULL) != SL_OK ||
        sl_pass_add(pass, &doc, 0, none, false, &item) != SL_OK || sl_pass_label(pass, &missing, &count) != SL_OK)
        abort();
    for (size_t i = 0; i < count; i++)
        if (sl_labeller_absent(sl_pass_labeller(pass), missing[i], true) != SL_OK)
            abort();
    struct sl_edits *edits = sl_edits_new(arena, &doc);
    if (sl_pass_label(pass, &missing, &count) != SL_OK || sl_pass_decide(pass, &report) != SL_OK || !edits ||
        sl_segment_edit(item, edits, arena) != SL_OK)
        abort();
    const struct sl_content *content = &item->contents[0];
    *read = content->ccda != NULL;
    if (item->verdict->decision != SL_RELEASED || sl_edit_is_cut(edits, content->data))
        return none;
    return content->written.ptr ? content->written : content->bytes;
}

static void check(struct sl_slice xml, const char *party)
{
    struct sl_arena *arena = sl_arena_new(MEMORY_LIMIT);
    struct cda_doc doc;
    bool read, again_read;
    if (!arena)
        abort();
    struct sl_slice out = segment(arena, xml, party, &read);
    if (read && out.ptr) {
        struct sl_slice again = segment(arena, out, party, &again_read), text;
        if (sl_cda_read(arena, out, &doc) != SL_OK || doc.why)
            abort();
        /* What has the mark of another format near its front is taken for that, whatever else it is. */
        bool same = sl_content_judge(SL_LIT("application/xml"), out, arena, &text) == SL_CONTENT_CCDA;
        if (same && (!again_read || !sl_slice_eq(again, out)))
            abort();
    }
    sl_arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > INPUT_LIMIT)
        return 0;
    prepare();
    struct sl_slice xml = {(const char *)data, size};
    check(xml, "treating-provider");
    check(xml, "hie-partner");
    return 0;
}
