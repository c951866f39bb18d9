/* SPDX-License-Identifier: Apache-2.0 */
/* Links by R4's table: see sluice/relink.h. Each span's element follows from its parent's, which stands before it. */
#include "sluice/relink.h"

#include <string.h>

#include "sluice/buffer.h"
#include "sluice/r4_names.h"

#define TEXT_LIMIT ((size_t)64 << 20)

struct relinking {
    const struct sl_doc *doc;
    const struct sl_r4_element **elements; /* of each span; NULL: R4 has none there */
    sl_r4_node *nodes;                     /* what its value is */
    struct sl_edits *edits;
    struct sl_arena *arena;
    sl_link_name name;
    void *context;
    bool any, failed;
};

/* ---- What stands where ---- */

static sl_r4_node resource_at(const struct sl_doc *doc, uint32_t object)
{
    uint32_t type = doc->spans[object].type == SL_SPAN_OBJECT ? sl_span_member(doc, object, SL_NAME_resourceType) : 0;
    return type ? sl_r4_resource(sl_span_raw(doc, type)) : 0;
}

static void place(struct relinking *r, uint32_t i)
{
    const struct sl_span *span = &r->doc->spans[i];
    uint32_t parent = r->doc->parents[i];
    if (span->flags & SL_SPAN_SIBLING) {
        r->nodes[i] = SL_R4_Element;
    } else if (r->doc->spans[parent].type == SL_SPAN_ARRAY) {
        r->elements[i] = r->elements[parent];
        r->nodes[i] = r->nodes[parent];
    } else {
        r->elements[i] = sl_r4_element(r->nodes[parent], span->name);
        r->nodes[i] = r->elements[i] ? r->elements[i]->node : 0;
    }
    if (r->nodes[i] == SL_R4_Resource && span->type == SL_SPAN_OBJECT)
        r->nodes[i] = resource_at(r->doc, i);
}

static enum sl_link_form form_of(const struct sl_r4_element *element)
{
    static const struct {
        sl_r4_node node;
        enum sl_link_form form;
    } forms[] = {{SL_R4_uri, SL_LINK_URI}, {SL_R4_url, SL_LINK_URI}, {SL_R4_oid, SL_LINK_URI},
        {SL_R4_uuid, SL_LINK_URI}, {SL_R4_canonical, SL_LINK_CANONICAL}, {SL_R4_xhtml, SL_LINK_MARKUP}};
    if (element && element->parent == SL_R4_Reference && element->name == SL_NAME_reference)
        return SL_LINK_REFERENCE;
    for (size_t i = 0; element && i < sizeof forms / sizeof *forms; i++)
        if (element->node == forms[i].node)
            return forms[i].form;
    return SL_LINK_NONE;
}

/* ---- Links in markup ---- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_spaces(struct sl_slice *rest)
{
    while (rest->len && is_space(*rest->ptr))
        *rest = sl_slice_from(*rest, 1);
}

/* The next name="value" of a tag; false: there is none. */
static bool take_attribute(struct sl_slice *rest, struct sl_slice *name, struct sl_slice *value)
{
    size_t len = 0;
    skip_spaces(rest);
    while (len < rest->len && !is_space(rest->ptr[len]) && !memchr("=<>/\"'", rest->ptr[len], 6))
        len++;
    *name = (struct sl_slice){rest->ptr, len};
    *rest = sl_slice_from(*rest, len);
    skip_spaces(rest);
    if (!len || !sl_slice_starts(*rest, SL_LIT("=")))
        return false;
    *rest = sl_slice_from(*rest, 1);
    skip_spaces(rest);
    const char *end =
        rest->len > 1 && memchr("\"'", *rest->ptr, 2) ? memchr(rest->ptr + 1, *rest->ptr, rest->len - 1) : NULL;
    if (!end)
        return false;
    *value = (struct sl_slice){rest->ptr + 1, (size_t)(end - rest->ptr) - 1};
    *rest = sl_slice_from(*rest, value->len + 2);
    return true;
}

/* What a tag links to: `text` begins behind its '<'. Empty: to nothing. */
static struct sl_slice link_in(struct sl_slice text)
{
    static const struct {
        struct sl_slice tag, attribute;
    } links[] = {{{"a", 1}, {"href", 4}}, {{"img", 3}, {"src", 3}}};
    struct sl_slice name, value;
    for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
        struct sl_slice rest = sl_slice_from(text, sl_slice_starts(text, links[i].tag) ? links[i].tag.len : text.len);
        if (!rest.len || !is_space(*rest.ptr))
            continue;
        while (take_attribute(&rest, &name, &value))
            if (sl_slice_eq(name, links[i].attribute))
                return value;
    }
    return (struct sl_slice){NULL, 0};
}

/* Writes the markup with what is to be put; false: nothing is. */
static bool write_markup(
    struct relinking *r, const struct sl_r4_element *element, struct sl_slice text, struct sl_buffer *out)
{
    const char *from = text.ptr, *at = text.ptr, *end = text.ptr + text.len;
    bool any = false;
    while ((at = memchr(at, '<', (size_t)(end - at)))) {
        at++;
        struct sl_slice url = link_in((struct sl_slice){at, (size_t)(end - at)});
        struct sl_slice put = url.len ? r->name(r->context, SL_LINK_MARKUP, element, url) : (struct sl_slice){NULL, 0};
        if (!put.len)
            continue;
        sl_buffer_add(out, (struct sl_slice){from, (size_t)(url.ptr - from)});
        sl_buffer_add(out, put);
        from = at = url.ptr + url.len;
        any = true;
    }
    sl_buffer_add(out, (struct sl_slice){from, (size_t)(end - from)});
    return any;
}

/* ---- Putting ---- */

static void put(struct relinking *r, uint32_t span, struct sl_slice text)
{
    struct sl_buffer quoted;
    sl_buffer_init(&quoted, TEXT_LIMIT);
    sl_buffer_json_string(&quoted, text);
    struct sl_slice copy = sl_arena_copy(r->arena, sl_buffer_slice(&quoted));
    r->failed = r->failed || sl_buffer_failed(&quoted) || !copy.ptr;
    r->any = true;
    if (!r->failed)
        sl_edit_replace(r->edits, span, copy);
    sl_buffer_fini(&quoted);
}

static void relink_markup(struct relinking *r, uint32_t i, struct sl_slice text)
{
    struct sl_buffer out;
    sl_buffer_init(&out, TEXT_LIMIT);
    bool any = write_markup(r, r->elements[i], text, &out);
    r->failed = r->failed || (any && sl_buffer_failed(&out));
    if (any && !r->failed)
        put(r, i, sl_buffer_slice(&out));
    sl_buffer_fini(&out);
}

static void relink_one(struct relinking *r, uint32_t i)
{
    enum sl_link_form form = form_of(r->elements[i]);
    if (form == SL_LINK_NONE || r->doc->spans[i].type != SL_SPAN_STRING)
        return;
    struct sl_slice text = sl_span_string(r->doc, i, r->arena);
    if (form == SL_LINK_MARKUP) {
        relink_markup(r, i, text);
        return;
    }
    struct sl_slice name = text.len ? r->name(r->context, form, r->elements[i], text) : text;
    if (name.len)
        put(r, i, name);
}

enum sl_status sl_relink(struct sl_edits *edits, const struct sl_doc *doc, struct sl_arena *arena, sl_link_name name,
    void *context, bool *any)
{
    struct relinking r = {.doc = doc, .edits = edits, .arena = arena, .name = name, .context = context};
    r.elements = sl_arena_array(arena, doc->count, sizeof *r.elements);
    r.nodes = sl_arena_array(arena, doc->count, sizeof *r.nodes);
    *any = false;
    if (!r.elements || !r.nodes)
        return SL_NO_MEMORY;
    r.nodes[0] = resource_at(doc, 0);
    for (uint32_t i = 1; i < doc->count && !r.failed; i++) {
        place(&r, i);
        relink_one(&r, i);
    }
    *any = r.any;
    return r.failed || sl_arena_failed(arena) ? SL_NO_MEMORY : SL_OK;
}
