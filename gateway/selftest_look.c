/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers of the self-test: every mark in headers and body, whatever packs it (gzip, base64), and the link to a page
 * that follows; then a print of the whole, by which an answer for a canary is compared with that for a record that is
 * not there.
 */
#include <zlib.h>

#include "selftest_parts.h"
#include "sluice/content.h"
#include "sluice/fault.h"

#define INFLATED ((size_t)32 * 1024 * 1024)
#define DIGITS 4u

static const struct sl_slice mark = {SL_CANARY_MARK, sizeof SL_CANARY_MARK - 1};

/* ---- Marks ---- */

static void found(struct sl_selftest *t, struct sl_asking *asking, size_t at)
{
    const struct sl_canary *canary = &t->canaries.one[at];
    struct sl_cell *cell = sl_selftest_cell(t, asking->line->form, canary->class_bit);
    if (!asking->asker) {
        sl_classes_add(&asking->line->shown, canary->class_bit);
        cell->shown++;
    } else if (sl_classes_has(&asking->asker->may, canary->class_bit)) {
        cell->released++;
        t->report.let_through++;
    } else {
        cell->leaked++;
        sl_selftest_leaked(t, asking, at);
    }
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* What a request names itself is no answer: what says that it is not there repeats nothing. */
static void find_marks(struct sl_selftest *t, struct sl_asking *asking, struct sl_slice text)
{
    while (text.len >= mark.len + DIGITS) {
        const char *here = memmem(text.ptr, text.len, mark.ptr, mark.len);
        if (!here || (size_t)(here - text.ptr) + mark.len + DIGITS > text.len)
            return;
        size_t at = 0;
        for (size_t i = 0; i < DIGITS; i++)
            at = is_digit(here[mark.len + i]) ? at * 10 + (size_t)(here[mark.len + i] - '0') : SL_CANARIES;
        text = sl_slice_from(text, (size_t)(here - text.ptr) + mark.len + DIGITS);
        if (at < t->canaries.count && !sl_fault(SL_FAULT_SELFTEST_BLIND))
            found(t, asking, at);
    }
}

/* The texts of attachments, as JSON and XML write them. */
static void find_packed(struct sl_selftest *t, struct sl_asking *asking, struct sl_slice text, const char *begin)
{
    size_t len = strlen(begin);
    for (;;) {
        const char *here = text.len ? memmem(text.ptr, text.len, begin, len) : NULL;
        struct sl_slice bytes;
        if (!here)
            return;
        text = sl_slice_from(text, (size_t)(here - text.ptr) + len);
        const char *end = memchr(text.ptr, '"', text.len);
        if (end && sl_content_decode((struct sl_slice){text.ptr, (size_t)(end - text.ptr)}, t->arena, &bytes))
            find_marks(t, asking, bytes);
    }
}

static void look_at(struct sl_selftest *t, struct sl_asking *asking, struct sl_slice text)
{
    find_marks(t, asking, text);
    find_packed(t, asking, text, "\"data\":\"");
    find_packed(t, asking, text, "<data value=\"");
}

/* ---- The print ---- */

/* Where the record's own number stands it is left out: its name, and what it is looked for by. */
static uint32_t print_of(const struct sl_asking *asking, uint32_t print, struct sl_slice text)
{
    static const struct sl_slice handle = {"handle-", 7};
    size_t canary = asking->line->canary;
    char number[DIGITS + 1];
    (void)snprintf(number, sizeof number, "%04zu", canary < SL_CANARIES ? canary : 9999u);
    while (text.len) {
        const char *here = memmem(text.ptr, text.len, number, DIGITS);
        size_t before = here ? (size_t)(here - text.ptr) : text.len;
        bool own = here && ((before >= mark.len && memcmp(here - mark.len, mark.ptr, mark.len) == 0) ||
                               (before >= handle.len && memcmp(here - handle.len, handle.ptr, handle.len) == 0));
        size_t taken = before + (here && !own ? 1 : 0);
        print = (uint32_t)crc32_z(print, (const unsigned char *)text.ptr, taken);
        text = sl_slice_from(text, own ? before + DIGITS : taken);
    }
    return print;
}

/* ---- Bodies ---- */

static enum sl_status inflate_all(struct sl_slice packed, struct sl_buffer *out)
{
    unsigned char chunk[16384];
    z_stream stream = {.next_in = (unsigned char *)(uintptr_t)packed.ptr, .avail_in = (uInt)packed.len};
    if (inflateInit2(&stream, MAX_WBITS + 16) != Z_OK)
        return SL_NO_MEMORY;
    int result = Z_OK;
    while (result == Z_OK) {
        stream.next_out = chunk;
        stream.avail_out = sizeof chunk;
        result = inflate(&stream, Z_NO_FLUSH);
        sl_buffer_add(out, (struct sl_slice){(const char *)chunk, sizeof chunk - stream.avail_out});
    }
    inflateEnd(&stream);
    return result == Z_STREAM_END && !sl_buffer_failed(out) ? SL_OK : SL_CORRUPT;
}

/* The next page, where there is one. */
static enum sl_status follow(struct sl_selftest *t, const struct sl_asking *asking, struct sl_slice body)
{
    static const struct sl_slice begin = {"\"relation\":\"next\",\"url\":\"", 25};
    const char *here = memmem(body.ptr, body.len, begin.ptr, begin.len);
    if (!(sl_forms[asking->line->form].flags & ASK_PAGES) || !here)
        return SL_OK;
    struct sl_slice url = sl_slice_from(body, (size_t)(here - body.ptr) + begin.len);
    const char *end = memchr(url.ptr, '"', url.len);
    url.len = end ? (size_t)(end - url.ptr) : 0;
    return sl_selftest_follow(t, asking, url);
}

static enum sl_status look_at_body(struct sl_selftest *t, struct sl_asking *asking, struct sl_slice body, bool packed)
{
    struct sl_buffer text;
    if (!packed) {
        look_at(t, asking, body);
        asking->print = print_of(asking, asking->print, body);
        return follow(t, asking, body);
    }
    sl_buffer_init(&text, INFLATED);
    enum sl_status status = inflate_all(body, &text);
    look_at(t, asking, sl_buffer_slice(&text));
    sl_buffer_fini(&text);
    return status;
}

/* ---- One answer ---- */

/* W/"…" of a read by the control is what its version is asked for by. */
static void note_tag(struct sl_selftest *t, const struct sl_asking *asking, struct sl_header header)
{
    size_t at = asking->line->canary;
    if (asking->asker || at == SL_CANARIES || !(sl_forms[asking->line->form].flags & ASK_TAG) ||
        !sl_format_same(header.name, SL_LIT("ETag")) || header.value.len < 5)
        return;
    t->tags[at] = sl_arena_copy(t->arena, (struct sl_slice){header.value.ptr + 3, header.value.len - 4});
}

static bool look_at_head(struct sl_selftest *t, struct sl_asking *asking, const struct sl_response *response)
{
    bool packed = false;
    for (size_t i = 0; i < response->header_count; i++) {
        const struct sl_header *header = &response->headers[i];
        find_marks(t, asking, header->value);
        asking->print = print_of(asking, asking->print, header->name);
        asking->print = print_of(asking, asking->print, header->value);
        note_tag(t, asking, *header);
        packed = packed || sl_format_same(header->name, SL_LIT("Content-Encoding"));
    }
    return packed;
}

enum sl_status sl_selftest_look(struct sl_selftest *t, struct sl_asking *asking, const struct sl_exchange *answered)
{
    const struct sl_response *response = &answered->response;
    struct sl_slice body = {NULL, 0};
    asking->status = response->status;
    bool packed = look_at_head(t, asking, response);
    if (!response->body || !response->body->total)
        return SL_OK;
    if (response->head_only) { /* its length goes out */
        asking->print ^= (uint32_t)response->body->total;
        return SL_OK;
    }
    SL_TRY(sl_blocks_join(response->body, answered->arena, &body));
    return look_at_body(t, asking, body, packed);
}
