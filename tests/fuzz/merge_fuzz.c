/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record, a patch, a line each: of the record, every value that begins with "secret" is hidden. The view is patched,
 * by either form, and merged. Nothing breaks; what is sent back as it was seen gives the record byte for byte; and what
 * comes of any other is JSON that has in it whatever was hidden, or tells that it has not.
 */
#include <stdlib.h>

#include "sluice/merge.h"
#include "sluice/patch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static struct sl_edits *hide(struct sl_arena *arena, const struct sl_doc *doc)
{
    struct sl_edits *edits = sl_edits_new(arena, doc);
    for (uint32_t i = 1; edits && i < doc->count; i++)
        if (doc->spans[i].type == SL_SPAN_STRING && sl_slice_starts(sl_span_raw(doc, i), SL_LIT("secret")))
            sl_edit_cut(edits, i);
    return edits;
}

static size_t count_secrets(const struct sl_doc *doc)
{
    size_t count = 0;
    for (uint32_t i = 1; i < doc->count; i++)
        count += doc->spans[i].type == SL_SPAN_STRING && sl_slice_starts(sl_span_raw(doc, i), SL_LIT("secret"));
    return count;
}

static void merge(struct sl_arena *arena, struct sl_merge *m, sl_r4_node type)
{
    struct sl_merged merged;
    struct sl_doc doc;
    const char *why;
    bool same = m->sent.doc == m->view.doc;
    if (sl_merge_check(m->sent, type, (struct sl_slice){NULL, 0}, &why) != SL_OK)
        return;
    enum sl_status status = sl_merge(m, arena, &merged);
    check(!same || status == SL_OK);
    if (status != SL_OK)
        return;
    check(sl_doc_parse(arena, merged.text, NULL, &doc, NULL) == SL_OK);
    check(!same || (!merged.changed && !merged.displaced_count));
    check(count_secrets(&doc) >= count_secrets(m->record.doc) || merged.displaced_count);
}

static void run(struct sl_arena *arena, struct sl_slice record, struct sl_slice patch)
{
    struct sl_doc whole, change, text;
    struct sl_slice sent;
    const char *why;
    if (sl_doc_parse(arena, record, NULL, &whole, NULL) != SL_OK || whole.spans[0].type != SL_SPAN_OBJECT)
        return;
    uint32_t named = sl_span_member(&whole, 0, SL_NAME_resourceType);
    sl_r4_node type = named ? sl_r4_resource(sl_span_raw(&whole, named)) : 0;
    struct sl_edits *edits = hide(arena, &whole);
    struct sl_merge m = {.record = {&whole, 0}, .edits = edits};
    if (!type || !edits || sl_merge_view(edits, 0, arena, &m.view) != SL_OK)
        return;
    m.sent = m.view;
    merge(arena, &m, type);
    if (sl_doc_parse(arena, patch, NULL, &change, NULL) != SL_OK)
        return;
    const struct sl_patch p = {.form = change.spans[0].type == SL_SPAN_ARRAY ? SL_PATCH_JSON : SL_PATCH_FHIRPATH,
        .doc = &change,
        .view = m.view.doc,
        .view_root = 0};
    if (sl_patch_apply(&p, arena, &sent, &why) != SL_OK || sl_doc_parse(arena, sent, NULL, &text, NULL) != SL_OK)
        return;
    m.sent = (struct sl_place){&text, 0};
    merge(arena, &m, type);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_arena *arena = sl_arena_new((size_t)256 << 20);
    const char *text = (const char *)data, *line = size ? memchr(text, '\n', size) : NULL;
    size_t len = line ? (size_t)(line - text) : size;
    if (arena)
        run(arena, (struct sl_slice){text, len}, sl_slice_from((struct sl_slice){text, size}, len + 1));
    sl_arena_free(arena);
    return 0;
}
