/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FHIR XML to JSON and back, on any text. What is read is JSON that parses; written as XML and read again it is the
 * same JSON, byte for byte. A text that begins with '{' is taken as JSON: what can be written can be read, and from
 * then on stays as it is.
 */
#include <stdlib.h>

#include "sluice/xml.h"

#define LIMIT ((size_t)8 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void parse(struct sl_arena *arena, struct sl_buffer *json, struct sl_doc *doc, enum sl_status allowed)
{
    enum sl_status status = sl_doc_parse(arena, sl_buffer_slice(json), NULL, doc, NULL);
    check(status == SL_OK || status == allowed);
    if (status != SL_OK)
        doc->count = 0;
}

/* Writes what was read, and reads that. */
static void again(struct sl_arena *arena, struct sl_buffer *json)
{
    struct sl_doc doc;
    struct sl_buffer xml, back;
    parse(arena, json, &doc, SL_LIMIT); /* arrays make JSON deeper than XML */
    if (!doc.count)
        return;
    sl_buffer_init(&xml, LIMIT);
    sl_buffer_init(&back, LIMIT);
    enum sl_status status = sl_xml_write(&doc, 0, &xml, NULL);
    check(status == SL_OK || status == SL_LIMIT);
    if (status == SL_OK) {
        check(sl_xml_read(arena, sl_buffer_slice(&xml), NULL, &back, NULL) == SL_OK);
        check(sl_slice_eq(sl_buffer_slice(json), sl_buffer_slice(&back)));
    }
    sl_buffer_fini(&xml);
    sl_buffer_fini(&back);
}

static enum sl_status read_json(struct sl_arena *arena, struct sl_slice text, struct sl_buffer *json)
{
    struct sl_doc doc;
    struct sl_buffer xml;
    enum sl_status status = sl_doc_parse(arena, text, NULL, &doc, NULL);
    if (status != SL_OK)
        return status;
    sl_buffer_init(&xml, LIMIT);
    status = sl_xml_write(&doc, 0, &xml, NULL);
    if (status == SL_OK)
        status = sl_xml_read(arena, sl_buffer_slice(&xml), NULL, json, NULL);
    sl_buffer_fini(&xml);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_slice text = {(const char *)data, size};
    struct sl_arena *arena = sl_arena_new((size_t)64 << 20);
    struct sl_buffer json;
    check(arena != NULL);
    sl_buffer_init(&json, LIMIT);
    bool from_json = size && data[0] == '{';
    enum sl_status status = from_json ? read_json(arena, text, &json) : sl_xml_read(arena, text, NULL, &json, NULL);
    if (status == SL_OK)
        again(arena, &json);
    sl_buffer_fini(&json);
    sl_arena_free(arena);
    return 0;
}
