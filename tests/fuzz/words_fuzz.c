/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a text of some kind, or as an attachment's type and base64: reading and searching end, and say the same
 * each time; a string that holds no term for sure has none found in it; what is gathered is ASCII in which places only
 * grow.
 */
#include <stdint.h>
#include <stdlib.h>

#include "../unit/lexicon_fixture.h"
#include "content.h"
#include "words_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sl_words *words;

static void prepare(void)
{
    struct sl_arena *arena = words ? NULL : sl_arena_new((size_t)64 << 20);
    if (arena)
        words = lexicon_load(arena);
    sl_arena_free(arena);
    if (!words)
        abort();
}

static void check_places(const uint32_t *places, size_t count, size_t len)
{
    for (size_t i = 0; i < count; i++)
        if (places[i] > len || (i && places[i - 1] >= places[i]))
            abort();
}

static void check_text(enum sl_content_kind kind, struct sl_slice text)
{
    struct sl_words_text gathered = {0};
    if (!sl_words_gather(&gathered, kind, text))
        abort();
    for (size_t i = 0; i < gathered.len; i++)
        if (gathered.text[i] < 0x20 || gathered.text[i] == 0x7f)
            abort(); /* which a byte beyond ASCII is too, or not, as char goes */
    check_places(gathered.lines, gathered.line_count, gathered.len);
    check_places(gathered.joints, gathered.joint_count, gathered.len);
    sl_words_text_fini(&gathered);
}

static void check_search(enum sl_content_kind kind, struct sl_slice text)
{
    struct sl_mentions one, other;
    if (!sl_words_search(words, kind, text, &one) || !sl_words_search(words, kind, text, &other))
        abort();
    if (one.bits != other.bits || one.partial != other.partial)
        abort();
    if (kind == SL_CONTENT_PLAIN && !sl_words_may_hold(words, text) && one.bits)
        abort();
}

/* As content.c lets through: UTF-8 without a NUL. */
static void search(enum sl_content_kind kind, struct sl_slice bytes, struct sl_arena *arena)
{
    struct sl_slice text;
    enum sl_content_kind found = sl_content_judge(SL_LIT("text/plain"), bytes, arena, &text);
    if (!sl_content_is_text(found))
        return;
    check_text(kind, text);
    check_search(kind, text);
}

/* "type LF base64" */
static void read_attachment(struct sl_slice input, struct sl_arena *arena)
{
    const char *line = input.len ? memchr(input.ptr, '\n', input.len) : NULL;
    struct sl_content content = {.type = {input.ptr, line ? (size_t)(line - input.ptr) : 0}};
    sl_content_read(&content, line ? sl_slice_from(input, content.type.len + 1) : input, arena);
    if (content.kind == SL_CONTENT_NONE)
        abort();
    if (sl_content_is_text(content.kind))
        check_search(content.kind, content.text);
    else if (content.text.len)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    prepare();
    struct sl_arena *arena = sl_arena_new((size_t)64 << 20);
    struct sl_slice rest = {(const char *)data + 1, size ? size - 1 : 0};
    if (!arena)
        abort();
    if (size && *data >= '1' && *data <= '4')
        search((enum sl_content_kind)(*data - '1' + SL_CONTENT_PLAIN), rest, arena);
    else if (size)
        read_attachment(rest, arena);
    sl_arena_free(arena);
    return 0;
}
