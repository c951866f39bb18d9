/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of requests: see body.h. */
#include "body.h"

#include "sluice/buffer.h"
#include "sluice/xml.h"

#define WEIGHT 12u /* bytes that reading may need for each byte of a body: text, spans, the same as JSON */

enum sl_status sl_body_media(const struct sl_request *request, bool *xml)
{
    static const struct {
        struct sl_slice name;
        bool xml;
    } names[] = {
        {{"application/fhir+json", 21}, false},
        {{"application/json", 16}, false},
        {{"text/json", 9}, false},
        {{"application/fhir+xml", 20}, true},
        {{"application/xml", 15}, true},
        {{"text/xml", 8}, true},
    };
    size_t count = 0;
    struct sl_slice type = sl_request_header(request, SL_LIT("content-type"), &count);
    struct sl_slice media = sl_format_take(&type, ';');
    for (size_t i = 0; count == 1 && i < sizeof names / sizeof *names; i++)
        if (sl_format_same(media, names[i].name)) {
            *xml = names[i].xml;
            return SL_OK;
        }
    return SL_MEDIA_TYPE;
}

/* What a reader says of somebody's bytes, as the client is told. */
static enum sl_status told(enum sl_status status)
{
    switch ((int)status) {
    case SL_SYNTAX:
    case SL_INVALID:
        return SL_BAD_SYNTAX;
    case SL_LIMIT:
        return SL_TOO_LARGE;
    default:
        return status;
    }
}

static enum sl_status as_json(struct sl_exchange *x, struct sl_slice xml, struct sl_slice *json)
{
    struct sl_buffer out;
    sl_buffer_init(&out, xml.len * 4 + 4096);
    enum sl_status status = sl_xml_read(x->arena, xml, NULL, &out, NULL);
    if (status == SL_OK) {
        *json = sl_arena_copy(x->arena, sl_buffer_slice(&out));
        status = json->ptr ? SL_OK : SL_NO_MEMORY;
    }
    sl_buffer_fini(&out);
    return told(status);
}

enum sl_status sl_body_read(struct sl_exchange *x, struct sl_doc *out)
{
    struct sl_slice text = x->request->body;
    bool xml = false;
    SL_TRY(sl_body_media(x->request, &xml));
    if (!sl_exchange_reserve(x, &x->reserved, text.len * WEIGHT))
        return SL_UNAVAILABLE;
    if (xml)
        SL_TRY(as_json(x, text, &text));
    return told(sl_doc_parse(x->arena, text, NULL, out, NULL));
}
