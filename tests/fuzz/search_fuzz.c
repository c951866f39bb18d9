/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Searches: "Type?query", a newline, and a resource. Whatever the bytes: what was read is written in a form that reads
 * back to the same form; a match asks for no edits to be the same as edits that cut nothing; a resource cut whole
 * matches nothing; a parameter of which a cut can only take matches away gives values to the index where it matches,
 * and is such; what matches a _filter matches what the upstream is asked of it; what has steps that nobody has taken
 * matches nothing; a sort key is as short as it says.
 */
#include <stdlib.h>

#include "sluice/edit.h"
#include "sluice/search.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void count_value(void *context, struct sl_slice value)
{
    *(size_t *)context += value.ptr != NULL;
}

static void write_again(struct sl_arena *arena, const struct sl_search *search)
{
    struct sl_slice once, twice;
    struct sl_search again;
    check(sl_search_write(search, arena, &once) == SL_OK);
    check(sl_search_read(arena, search->type, once, SL_LIT(""), NULL, &again) == SL_OK);
    check(sl_search_write(&again, arena, &twice) == SL_OK);
    check(sl_slice_eq(once, twice));
}

struct narrowing {
    const struct sl_doc *doc;
};

/* What matches the whole matches what the upstream is asked of it. */
static void check_narrow(void *context, const struct sl_search_param *param)
{
    const struct narrowing *narrowing = context;
    struct sl_search_param narrow;
    if (sl_search_narrow(param, &narrow))
        check(sl_search_match_param(&narrow, narrowing->doc, 0, NULL));
}

static void match(struct sl_arena *arena, const struct sl_search *search, struct sl_slice text)
{
    struct sl_doc doc;
    if (sl_doc_parse(arena, text, NULL, &doc, NULL) != SL_OK)
        return;
    struct sl_edits *edits = sl_edits_new(arena, &doc);
    bool matches = sl_search_match(search, &doc, 0, NULL);
    check(edits && sl_search_match(search, &doc, 0, edits) == matches);
    for (size_t i = 0; i < search->param_count; i++) {
        const struct sl_search_param *param = &search->params[i];
        size_t values = 0;
        sl_search_values(param->param, &doc, 0, arena, count_value, &values);
        if (sl_search_bearing(param) == SL_SEARCH_SHRINKS)
            check(values > 0 || !sl_search_match_param(param, &doc, 0, NULL));
    }
    struct narrowing narrowing = {&doc};
    for (size_t i = 0; matches && i < search->param_count; i++)
        sl_search_each(&search->params[i], check_narrow, &narrowing);
    for (size_t i = 0; i < search->sort_count; i++)
        check(sl_search_sort_key(&search->sorts[i], &doc, 0, NULL, arena).len <= SL_SEARCH_SORT_KEY);
    check(!search->step_count || !matches);
    for (uint32_t i = doc.count; i-- > 0;) {
        sl_edit_cut(edits, i);
        (void)sl_search_match(search, &doc, 0, edits);
        if (doc.count > 64)
            i = i > 7 ? i - 7 : 0;
    }
    sl_edit_cut(edits, 0);
    check(!sl_search_match(search, &doc, 0, edits));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_slice input = {(const char *)data, size};
    const char *line = size ? memchr(data, '\n', size) : NULL;
    struct sl_slice head = {input.ptr, line ? (size_t)(line - input.ptr) : size};
    const char *mark = head.len ? memchr(head.ptr, '?', head.len) : NULL;
    struct sl_arena *arena = sl_arena_new((size_t)64 << 20);
    struct sl_search search;
    if (!arena || !mark) {
        sl_arena_free(arena);
        return 0;
    }
    struct sl_slice type = {head.ptr, (size_t)(mark - head.ptr)};
    struct sl_issues issues = {.arena = arena};
    enum sl_status status =
        sl_search_read(arena, sl_r4_resource(type), sl_slice_from(head, type.len + 1), SL_LIT(""), &issues, &search);
    check(status == SL_OK || issues.count > 0 || status == SL_URI_TOO_LONG || status == SL_NO_MEMORY);
    if (status == SL_OK) {
        write_again(arena, &search);
        match(arena, &search, sl_slice_from(input, head.len + 1));
    }
    sl_arena_free(arena);
    return 0;
}
