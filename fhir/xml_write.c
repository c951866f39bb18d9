/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON to XML: see sluice/xml.h. XML wants the elements in the order of the specification, in which R4's table has
 * them; JSON may have them in any. So an object's members are laid out by their place in the table first, and written
 * then.
 */
#include <libxml/parser.h>

#include "sluice/r4.h"
#include "sluice/xml.h"

#define MEMBERS 512u /* more than any node of R4 has elements */

struct writer {
    const struct sl_doc *doc;
    struct sl_buffer *out;
    struct sl_arena *arena; /* for strings with escapes, one at a time */
    struct sl_doc_error *error;
    enum sl_status status;
};

/* An object's members, by the place of their element in the table; 0: not there. */
struct members {
    const struct sl_r4_element *element;
    size_t count;
    uint32_t value[MEMBERS], half[MEMBERS];
};

static void write_object(struct writer *w, uint32_t object, sl_r4_node node);

static void refuse(struct writer *w, uint32_t at, const char *why)
{
    if (w->status != SL_OK)
        return;
    w->status = SL_INVALID;
    if (w->error)
        *w->error = (struct sl_doc_error){w->doc->spans[at].begin, why};
}

static void put(struct writer *w, const char *text)
{
    sl_buffer_add(w->out, sl_slice_of(text));
}

static void put_name(struct writer *w, const char *before, struct sl_slice name, const char *after)
{
    put(w, before);
    sl_buffer_add(w->out, name);
    put(w, after);
}

/* ---- Values ---- */

static const char *const escapes[256] = {['&'] = "&amp;",
    ['<'] = "&lt;",
    ['>'] = "&gt;",
    ['"'] = "&quot;",
    ['\t'] = "&#x9;",
    ['\n'] = "&#xA;",
    ['\r'] = "&#xD;"};

/* XML 1.0 has no other control characters, and not U+FFFE and U+FFFF. */
static bool has_no_place(const char *at, const char *end)
{
    unsigned char c = (unsigned char)*at;
    if (c < 0x20)
        return !escapes[c];
    return c == 0xef && end - at > 2 && (unsigned char)at[1] == 0xbf && (unsigned char)at[2] >= 0xbe;
}

/* White space other than blanks is written as a reference: a reader turns it into blanks otherwise. */
static void put_escaped(struct writer *w, uint32_t at, struct sl_slice text)
{
    size_t from = 0;
    for (size_t i = 0; i < text.len; i++) {
        const char *escape = escapes[(unsigned char)text.ptr[i]];
        if (has_no_place(text.ptr + i, text.ptr + text.len)) {
            refuse(w, at, "a character that XML does not have");
            return;
        }
        if (!escape)
            continue;
        sl_buffer_add(w->out, (struct sl_slice){text.ptr + from, i - from});
        put(w, escape);
        from = i + 1;
    }
    sl_buffer_add(w->out, (struct sl_slice){text.ptr + from, text.len - from});
}

static struct sl_slice text_of(struct writer *w, uint32_t at)
{
    if (w->doc->spans[at].type != SL_SPAN_STRING)
        return sl_span_text(w->doc, at);
    struct sl_slice text = sl_span_string(w->doc, at, w->arena);
    if (!text.ptr && w->status == SL_OK)
        w->status = SL_NO_MEMORY;
    return text;
}

static void put_attribute(struct writer *w, const char *name, uint32_t at)
{
    unsigned type = w->doc->spans[at].type;
    if (type == SL_SPAN_OBJECT || type == SL_SPAN_ARRAY || type == SL_SPAN_NULL) {
        refuse(w, at, "a value of a primitive that is none");
        return;
    }
    put(w, " ");
    put(w, name);
    put(w, "=\"");
    put_escaped(w, at, text_of(w, at));
    put(w, "\"");
}

/* A narrative is markup already; it goes as it is, if it is what it says. */
static void put_narrative(struct writer *w, uint32_t at)
{
    struct sl_slice text = text_of(w, at);
    xmlDocPtr parsed = text.len < INT32_MAX ? xmlReadMemory(text.ptr, (int)text.len, NULL, "UTF-8",
                                                  XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING)
                                            : NULL;
    xmlNodePtr root = parsed ? xmlDocGetRootElement(parsed) : NULL;
    bool good = root && !parsed->intSubset && sl_slice_starts(text, SL_LIT("<div")) && text.ptr[text.len - 1] == '>' &&
                strcmp((const char *)root->name, "div") == 0 && root->ns &&
                strcmp((const char *)root->ns->href, "http://www.w3.org/1999/xhtml") == 0 && !root->next;
    xmlFreeDoc(parsed);
    if (good)
        sl_buffer_add(w->out, text);
    else
        refuse(w, at, "a narrative that is no well-formed div of XHTML");
}

/* ---- Elements ---- */

static bool lay_out(struct writer *w, uint32_t object, sl_r4_node node, struct members *members)
{
    const struct sl_span *spans = w->doc->spans;
    members->element = sl_r4_elements(node, &members->count);
    SL_ASSERT(members->count <= MEMBERS);
    memset(members->value, 0, members->count * sizeof *members->value);
    memset(members->half, 0, members->count * sizeof *members->half);
    for (uint32_t c = object + 1; c < spans[object].next; c = spans[c].next) {
        const struct sl_r4_element *element = spans[c].name ? sl_r4_element(node, spans[c].name) : NULL;
        bool half = spans[c].flags & SL_SPAN_SIBLING;
        if (!element || (half && !(element->flags & SL_R4_PRIMITIVE))) {
            refuse(w, c, "a property that R4 does not have");
            return false;
        }
        size_t place = (size_t)(element - members->element);
        *(half ? &members->half[place] : &members->value[place]) = c;
    }
    return true;
}

/* What a `_name` can hold besides an id. */
static void write_extensions(struct writer *w, const struct sl_r4_element *element, uint32_t list)
{
    if (w->doc->spans[list].type != SL_SPAN_ARRAY) {
        refuse(w, list, "one value where R4 has a list");
        return;
    }
    for (uint32_t c = list + 1; c < w->doc->spans[list].next; c = w->doc->spans[c].next) {
        put(w, "<extension");
        write_object(w, c, element->node);
        put(w, "</extension>");
    }
}

static bool is_null(const struct writer *w, uint32_t at)
{
    return !at || w->doc->spans[at].type == SL_SPAN_NULL;
}

/* Element.id is an attribute in XML, as the value is. */
static void write_tag(struct writer *w, struct sl_slice name, uint32_t value, uint32_t half)
{
    struct members members;
    uint32_t id = 0, list = 0;
    const struct sl_r4_element *extension = NULL;
    members.count = 0;
    if (half && !lay_out(w, half, SL_R4_Element, &members))
        return;
    for (size_t i = 0; i < members.count; i++)
        if (members.element[i].name == SL_NAME_id)
            id = members.value[i];
        else if (members.value[i])
            list = members.value[i], extension = &members.element[i];
    put_name(w, "<", name, "");
    if (id)
        put_attribute(w, "id", id);
    if (value)
        put_attribute(w, "value", value);
    put(w, list ? ">" : "/>");
    if (!list)
        return;
    write_extensions(w, extension, list);
    put_name(w, "</", name, ">");
}

static void write_primitive(struct writer *w, const struct sl_r4_element *element, uint32_t value, uint32_t half)
{
    uint32_t at = value ? value : half;
    value = is_null(w, value) ? 0 : value;
    half = is_null(w, half) ? 0 : half;
    if (!value && !half)
        refuse(w, at, "a null that stands for nothing");
    else if (half && w->doc->spans[half].type != SL_SPAN_OBJECT)
        refuse(w, half, "a half of a primitive that is no object");
    else if (!sl_slice_eq(sl_r4_node_name(element->node), SL_LIT("xhtml")))
        write_tag(w, sl_name_text(element->name), value, half);
    else if (half)
        refuse(w, half, "a narrative's div has no extensions");
    else
        put_narrative(w, value);
}

static void write_resource(struct writer *w, uint32_t object, const char *space)
{
    uint32_t type =
        w->doc->spans[object].type == SL_SPAN_OBJECT ? sl_span_member(w->doc, object, SL_NAME_resourceType) : 0;
    sl_r4_node node = type ? sl_r4_resource(sl_span_raw(w->doc, type)) : 0;
    if (!node) {
        refuse(w, object, "no resource of R4");
        return;
    }
    put_name(w, "<", sl_r4_node_name(node), space);
    write_object(w, object, node);
    put_name(w, "</", sl_r4_node_name(node), ">");
}

static void write_one(struct writer *w, const struct sl_r4_element *element, uint32_t value)
{
    struct sl_slice name = sl_name_text(element->name);
    if (element->flags & SL_R4_RESOURCE) {
        put_name(w, "<", name, ">");
        write_resource(w, value, "");
    } else {
        put_name(w, "<", name, "");
        write_object(w, value, element->node);
    }
    put_name(w, "</", name, ">");
}

/* The item of an array that follows c, or its first one; 0 if there is none. */
static uint32_t following(const struct writer *w, uint32_t array, uint32_t c)
{
    uint32_t next = c ? w->doc->spans[c].next : array ? array + 1 : 0;
    return array && next < w->doc->spans[array].next ? next : 0;
}

static void write_many(struct writer *w, const struct sl_r4_element *element, uint32_t value, uint32_t half)
{
    const struct sl_span *spans = w->doc->spans;
    if ((value && spans[value].type != SL_SPAN_ARRAY) || (half && spans[half].type != SL_SPAN_ARRAY)) {
        refuse(w, value ? value : half, "one value where R4 has a list");
        return;
    }
    uint32_t v = following(w, value, 0), h = following(w, half, 0);
    for (; (v || h) && w->status == SL_OK; v = v ? following(w, value, v) : 0, h = h ? following(w, half, h) : 0)
        if (element->flags & SL_R4_PRIMITIVE)
            write_primitive(w, element, v, h);
        else
            write_one(w, element, v);
}

static void write_member(struct writer *w, const struct sl_r4_element *element, uint32_t value, uint32_t half)
{
    if (element->flags & SL_R4_MANY)
        write_many(w, element, value, half);
    else if (element->flags & SL_R4_PRIMITIVE)
        write_primitive(w, element, value, half);
    else
        write_one(w, element, value);
}

/* What of an object stands in its tag: the id of what is no resource, and the url of an extension. */
static const char *attribute_of(const struct sl_r4_element *element, sl_r4_node node)
{
    if (element->name == SL_NAME_id && !sl_r4_is_resource(node))
        return "id";
    return element->name == SL_NAME_url && node == SL_R4_Extension ? "url" : NULL;
}

/* A resource's type is the name of its tag. ExampleScenario.instance has an element that is called so as well. */
static bool is_type(const struct sl_r4_element *element, sl_r4_node node)
{
    return element->name == SL_NAME_resourceType && sl_r4_is_resource(node);
}

/* The rest of the tag that is open, and what stands in it; not the end tag. */
static void write_object(struct writer *w, uint32_t object, sl_r4_node node)
{
    struct members members;
    if (w->status != SL_OK || sl_buffer_failed(w->out))
        return;
    if (w->doc->spans[object].type != SL_SPAN_OBJECT) {
        refuse(w, object, "a value where R4 has an object");
        return;
    }
    if (!lay_out(w, object, node, &members))
        return;
    for (size_t i = 0; i < members.count; i++)
        if (members.value[i] && attribute_of(&members.element[i], node))
            put_attribute(w, attribute_of(&members.element[i], node), members.value[i]);
    put(w, ">");
    for (size_t i = 0; i < members.count && w->status == SL_OK; i++) {
        const struct sl_r4_element *element = &members.element[i];
        bool there = members.value[i] || members.half[i];
        if (there && !is_type(element, node) && !attribute_of(element, node))
            write_member(w, element, members.value[i], members.half[i]);
    }
}

enum sl_status sl_xml_write(const struct sl_doc *doc, uint32_t root, struct sl_buffer *out, struct sl_doc_error *error)
{
    struct writer w = {
        .doc = doc, .out = out, .error = error, .status = SL_OK, .arena = sl_arena_new(doc->text.len * 2 + 65536)};
    if (!w.arena)
        return SL_NO_MEMORY;
    put(&w, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    write_resource(&w, root, " xmlns=\"http://hl7.org/fhir\"");
    sl_arena_free(w.arena);
    if (w.status == SL_OK && sl_buffer_failed(out))
        return SL_LIMIT;
    return w.status;
}
