/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as JSON. Whatever they are: all scanners of this machine give the same status, the same error and the same
 * spans; the spans nest, cover what they say, and each string is equal to its own value; the bytes of the root parse
 * again. What was kept of a text changes nothing when it is parsed once more.
 */
#include <stdlib.h>

#include "sluice/kept.h"
#include "span_build.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_span(const struct sl_doc *doc, uint32_t i, struct sl_arena *arena)
{
    const struct sl_span *span = &doc->spans[i], *parent = &doc->spans[doc->parents[i]];
    check(span->begin < span->end && span->end <= doc->text.len && span->next > i && span->next <= doc->count);
    check(i == 0 || (doc->parents[i] < i && parent->begin < span->begin && span->end < parent->end &&
                        span->next <= parent->next));
    check((i > 0 && parent->type == SL_SPAN_OBJECT) == ((span->flags & SL_SPAN_MEMBER) != 0));
    if (span->flags & SL_SPAN_MEMBER) {
        struct sl_slice key = sl_span_key(doc, i);
        check(sl_span_member_key(doc, doc->parents[i], key) == i);
        check(((span->flags & SL_SPAN_SIBLING) != 0) == sl_slice_starts(key, SL_LIT("_")));
    }
    if (span->type == SL_SPAN_STRING) {
        struct sl_slice value = sl_span_string(doc, i, arena);
        check(value.ptr && sl_span_is(doc, i, value));
        check(value.len == 0 || !sl_span_is(doc, i, (struct sl_slice){value.ptr, value.len - 1}));
    }
}

static void check_doc(const struct sl_doc *doc, struct sl_arena *arena)
{
    /* Finding a member by its key looks at those before it: enough for a small document. */
    for (uint32_t i = 0; i < doc->count && doc->count < 2000; i++)
        check_span(doc, i, arena);
    struct sl_doc again;
    check(sl_doc_parse(arena, sl_span_text(doc, 0), NULL, &again, NULL) == SL_OK && again.count == doc->count);
}

/* The text as an entry of a Bundle, and that with one bit changed, parsed once more while every object of it is known.
 */
static void check_kept(struct sl_slice text, struct sl_arena *arena)
{
    struct sl_kept *kept = sl_kept_new(SL_KEPT_LEAST, text.len);
    const struct sl_slice parts[] = {SL_LIT("{\"entry\":["), text, SL_LIT(","), text, SL_LIT("]}")};
    struct sl_slice page = sl_arena_join(arena, parts, 5);
    struct sl_doc first, doc, plain;
    check(kept && page.ptr);
    if (sl_doc_parse(arena, page, NULL, &first, NULL) != SL_OK)
        check(false);
    for (uint32_t i = 0; i < 2 * first.count && first.count < 2000; i++)
        sl_kept_note(kept, &first, i / 2);
    char *changed = sl_arena_raw(arena, page.len, 1);
    memcpy(changed, page.ptr, page.len);
    changed[first.count * 7919u % page.len] ^= (char)(1 << first.count % 7);
    const struct sl_slice texts[] = {page, {changed, page.len}};
    for (unsigned i = 0; i < 2; i++) {
        const struct sl_kept_row *rows;
        size_t count;
        enum sl_status status = sl_kept_parse(kept, arena, texts[i], NULL, &doc, &rows, &count);
        check(sl_doc_parse(arena, texts[i], NULL, &plain, NULL) == status && doc.count == plain.count);
        check(!doc.count || memcmp(doc.spans, plain.spans, doc.count * sizeof *doc.spans) == 0);
        check(!doc.count || memcmp(doc.parents, plain.parents, doc.count * sizeof *doc.parents) == 0);
        for (size_t r = 0; r < count; r++)
            check(rows[r].at < page.len && page.ptr[rows[r].at] == '{' && (!r || rows[r - 1].at < rows[r].at));
    }
    sl_kept_free(kept);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_slice text = {(const char *)data, size};
    const struct sl_doc_limits limits = {1 << 20, 1 << 16, 32};
    struct sl_arena *arena = sl_arena_new(64u << 20);
    struct sl_doc first = {0};
    struct sl_doc_error first_error = {0};
    enum sl_status first_status = SL_OK;
    for (unsigned i = 0; sl_scanner_at(i); i++) {
        struct sl_doc doc;
        struct sl_doc_error error;
        enum sl_status status = sl_doc_parse_with(sl_scanner_at(i), arena, text, &limits, &doc, &error);
        check((status == SL_OK) == (doc.count > 0) && (status == SL_OK) == (error.why == NULL) && error.offset <= size);
        if (i == 0) {
            first = doc;
            first_error = error;
            first_status = status;
        }
        check(status == first_status && error.offset == first_error.offset && error.why == first_error.why);
        check(doc.count == first.count);
        check(!doc.count || memcmp(doc.spans, first.spans, doc.count * sizeof *doc.spans) == 0);
        check(!doc.count || memcmp(doc.parents, first.parents, doc.count * sizeof *doc.parents) == 0);
    }
    if (first_status == SL_OK)
        check_doc(&first, arena);
    if (first_status == SL_OK)
        check_kept(text, arena);
    sl_arena_free(arena);
    return 0;
}
