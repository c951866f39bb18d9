/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any string of JSON, made of pieces of addresses: what a client writes it reads again, of a server that keeps its
 * bytes and of one that writes it anew; a search for it asks for what was stored; and where no client has written,
 * nothing that a client reads is under the server's address.
 */
#include <stdint.h>
#include <stdlib.h>

#include "address.h"
#include "sluice/buffer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define THEIRS "http://ehr/fhir"

static const char *const pieces[] = {THEIRS, "https://gw/r4", SL_ADDRESS_MARK, "\\u0068ttp", "http", "s", "://",
    ":\\/\\/", "\\u003a\\u002F/", "ehr", "\\u0065hr", ":80", ":443", "/fhir", "/FHIR", "\\/fhi\\u0072", "/x", "\\u002d",
    "\\u002bx", "\\\\", "\\\"", "\\u0022", ".", " ", "gw/r4", "as-written.invalid/", "HTTP", "EHR"};
#define PIECES (sizeof pieces / sizeof *pieces)

static struct sl_slice make(const uint8_t *data, size_t size, struct sl_arena *arena)
{
    struct sl_buffer out;
    sl_buffer_init(&out, 1u << 16);
    sl_buffer_add(&out, SL_LIT("\""));
    for (size_t i = 0; i < size; i++) {
        char c = (char)data[i];
        sl_buffer_add(&out, data[i] < PIECES ? sl_slice_of(pieces[data[i]]) : (struct sl_slice){&c, 1});
    }
    sl_buffer_add(&out, SL_LIT("\""));
    struct sl_slice text = sl_buffer_failed(&out) ? SL_LIT("") : sl_arena_copy(arena, sl_buffer_slice(&out));
    sl_buffer_fini(&out);
    return text;
}

/* What a text of JSON says; ptr NULL: it is not one string. */
static struct sl_slice says(struct sl_slice text, struct sl_arena *arena)
{
    struct sl_doc doc;
    if (sl_doc_parse(arena, text, NULL, &doc, NULL) != SL_OK || doc.spans[0].type != SL_SPAN_STRING)
        return (struct sl_slice){NULL, 0};
    return sl_span_string(&doc, 0, arena);
}

static void must(bool true_)
{
    if (!true_)
        abort();
}

static struct sl_slice anew(struct sl_slice words, struct sl_arena *arena)
{
    struct sl_buffer out;
    sl_buffer_init(&out, 1u << 20);
    sl_buffer_json_string(&out, words);
    struct sl_slice text = sl_arena_copy(arena, sl_buffer_slice(&out));
    sl_buffer_fini(&out);
    return text;
}

static void check_written(const struct sl_address *address, struct sl_slice text, struct sl_arena *arena)
{
    struct sl_slice forms[SL_ADDRESS_FORMS], words = says(text, arena);
    struct sl_slice stored = sl_address_store(address, text, arena);
    struct sl_slice said = says(stored, arena);
    must(sl_slice_eq(says(sl_address_show(address, stored, arena), arena), words));
    must(sl_slice_eq(says(sl_address_show(address, anew(said, arena), arena), arena), words));
    size_t count = sl_address_forms(address, words, arena, forms);
    bool asked = false;
    for (size_t i = 0; i < count; i++)
        asked = asked || sl_slice_eq(forms[i], said);
    must(asked);
}

static void check_read(const struct sl_address *address, struct sl_slice text, struct sl_arena *arena)
{
    struct sl_slice words = says(sl_address_show(address, text, arena), arena);
    must(words.ptr != NULL);
    if (memmem(says(text, arena).ptr, says(text, arena).len, "as-written", 10))
        return;
    must(!memmem(words.ptr, words.len, THEIRS "/x", strlen(THEIRS "/x")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct sl_config config = {.url = SL_LIT("https://gw/r4"), .upstream_url = SL_LIT(THEIRS)};
    struct sl_address *address;
    struct sl_arena *arena = sl_arena_new((size_t)8 << 20);
    if (!arena || size > 512 || sl_address_new(&config, &address) != SL_OK) {
        sl_arena_free(arena);
        return 0;
    }
    struct sl_slice text = make(data, size, arena);
    if (says(text, arena).len) {
        check_written(address, text, arena);
        check_read(address, text, arena);
    }
    sl_address_free(address);
    sl_arena_free(arena);
    return 0;
}
