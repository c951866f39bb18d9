/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XML to JSON: see sluice/xml.h. libxml2 judges whether the text is well-formed and makes a tree of it; the tree is
 * walked along R4's table. A narrative is taken from the received bytes, so that it stays as it was signed: the k-th
 * outermost `div` of the tree is the k-th of the text.
 */
#include <libxml/parser.h>

#include "sluice/r4.h"
#include "sluice/xml.h"

#define FHIR_SPACE "http://hl7.org/fhir"
#define XHTML_SPACE "http://www.w3.org/1999/xhtml"
#define ELEMENTS 512u /* more than any node of R4 has */

struct reader {
    struct sl_arena *arena;
    struct sl_buffer *out;
    const struct sl_doc_limits *limits;
    struct sl_slice text;
    struct sl_slice *narratives; /* in the order of the text */
    size_t narrative_count;
    struct sl_doc_error *error;
    enum sl_status status;
    unsigned depth;
};

/* The children of an element, by the place of what they are in R4's table, each place's in their order. */
struct children {
    const struct sl_r4_element *element;
    size_t count;
    uint32_t first[ELEMENTS + 1];
    xmlNode **node;
};

static void read_object(struct reader *r, xmlNode *at, sl_r4_node node, struct sl_slice type);

static void refuse(struct reader *r, xmlNode *at, enum sl_status status, const char *why)
{
    if (r->status != SL_OK)
        return;
    r->status = status;
    if (r->error)
        *r->error = (struct sl_doc_error){at ? (size_t)xmlGetLineNo(at) : 0, why};
}

static void put(struct reader *r, const char *text)
{
    sl_buffer_add(r->out, sl_slice_of(text));
}

/* ---- Names and values ---- */

static struct sl_slice slice_of(const xmlChar *text)
{
    return sl_slice_of((const char *)text);
}

static bool in_space(xmlNode *at, const char *space)
{
    return at->ns && strcmp((const char *)at->ns->href, space) == 0;
}

/* An attribute's value; ptr NULL if it has none of that name. libxml2 has resolved references, and a value without any
 * is one text. */
static struct sl_slice attribute(struct reader *r, xmlNode *at, const char *name)
{
    xmlChar *value = xmlGetNoNsProp(at, (const xmlChar *)name);
    if (!value)
        return (struct sl_slice){NULL, 0};
    struct sl_slice copy = sl_arena_copy(r->arena, slice_of(value));
    xmlFree(value);
    return copy.ptr ? copy : (struct sl_slice){"", 0};
}

/* Which attributes an element of R4 may have. */
static void check_attributes(struct reader *r, xmlNode *at, const char *first, const char *second)
{
    for (const xmlAttr *a = at->properties; a; a = a->next) {
        const char *name = (const char *)a->name;
        bool schema = a->ns && strcmp((const char *)a->ns->href, "http://www.w3.org/2001/XMLSchema-instance") == 0;
        bool known = !a->ns && ((first && strcmp(name, first) == 0) || (second && strcmp(name, second) == 0));
        if (!known && !(schema && strcmp(name, "schemaLocation") == 0))
            refuse(r, at, SL_INVALID, "an attribute that R4 does not have");
    }
}

static bool is_blank(const xmlChar *text)
{
    return text[strspn((const char *)text, " \t\r\n")] == 0;
}

/* The first child that is an element, and the one after c. Comments say nothing; words between elements are a mistake.
 */
static xmlNode *next_element(struct reader *r, xmlNode *c)
{
    for (; c && c->type != XML_ELEMENT_NODE; c = c->next)
        if (c->type != XML_COMMENT_NODE && !(c->type == XML_TEXT_NODE && is_blank(c->content)))
            refuse(r, c, SL_INVALID, "text where R4 has elements");
    return c;
}

static size_t digits(struct sl_slice text, size_t at)
{
    size_t from = at;
    while (at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9')
        at++;
    return at - from;
}

/* A number of JSON; `whole` one without fraction and exponent. */
static bool is_number(struct sl_slice text, bool whole)
{
    size_t at = text.len && text.ptr[0] == '-', count = digits(text, at);
    if (!count || (count > 1 && text.ptr[at] == '0'))
        return false;
    at += count;
    if (!whole && at < text.len && text.ptr[at] == '.') {
        count = digits(text, at + 1);
        if (!count)
            return false;
        at += 1 + count;
    }
    if (!whole && at < text.len && (text.ptr[at] == 'e' || text.ptr[at] == 'E')) {
        at++;
        at += at < text.len && (text.ptr[at] == '+' || text.ptr[at] == '-');
        count = digits(text, at);
        if (!count)
            return false;
        at += count;
    }
    return at == text.len;
}

enum form { FORM_TEXT, FORM_FLAG, FORM_WHOLE, FORM_DECIMAL };

static enum form form_of(sl_r4_node node)
{
    static const struct {
        const char *type;
        enum form form;
    } forms[] = {{"boolean", FORM_FLAG}, {"integer", FORM_WHOLE}, {"positiveInt", FORM_WHOLE},
        {"unsignedInt", FORM_WHOLE}, {"decimal", FORM_DECIMAL}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (sl_slice_eq(sl_r4_node_name(node), sl_slice_of(forms[i].type)))
            return forms[i].form;
    return FORM_TEXT;
}

static void put_value(struct reader *r, xmlNode *at, sl_r4_node node, struct sl_slice value)
{
    enum form form = form_of(node);
    bool flag = sl_slice_eq(value, SL_LIT("true")) || sl_slice_eq(value, SL_LIT("false"));
    if (form == FORM_TEXT)
        sl_buffer_json_string(r->out, value);
    else if (form == FORM_FLAG ? flag : is_number(value, form == FORM_WHOLE))
        sl_buffer_add(r->out, value);
    else
        refuse(r, at, SL_INVALID, "a value that is none of its type");
}

/* ---- Children ---- */

static size_t place_of(struct reader *r, const struct children *children, xmlNode *c, sl_r4_node node)
{
    struct sl_slice name = slice_of(c->name);
    sl_name known = sl_name_find(name.ptr, name.len);
    const struct sl_r4_element *element = known ? sl_r4_element(node, known) : NULL;
    bool narrative = element && sl_slice_eq(sl_r4_node_name(element->node), SL_LIT("xhtml"));
    bool type = element && element->name == SL_NAME_resourceType && sl_r4_is_resource(node);
    if (!element || type || !in_space(c, narrative ? XHTML_SPACE : FHIR_SPACE)) {
        refuse(r, c, SL_INVALID, "an element that R4 does not have");
        return ELEMENTS;
    }
    return (size_t)(element - children->element);
}

/* Sorted by counting: linear, and each place's in their order. false: something was refused. */
static bool gather(struct reader *r, xmlNode *at, sl_r4_node node, struct children *children)
{
    uint32_t total = 0, free_at[ELEMENTS];
    memset(children, 0, sizeof *children);
    children->element = sl_r4_elements(node, &children->count);
    SL_ASSERT(children->count <= ELEMENTS);
    for (xmlNode *c = next_element(r, at->children); c; c = next_element(r, c->next)) {
        size_t place = place_of(r, children, c, node);
        if (place == ELEMENTS)
            return false;
        children->first[place + 1]++;
        total++;
    }
    for (size_t i = 0; i < children->count; i++) {
        free_at[i] = children->first[i];
        children->first[i + 1] += children->first[i];
    }
    children->node = sl_arena_array(r->arena, total + 1, sizeof *children->node);
    if (!children->node) {
        refuse(r, at, SL_NO_MEMORY, "memory");
        return false;
    }
    for (xmlNode *c = next_element(r, at->children); c; c = next_element(r, c->next))
        children->node[free_at[place_of(r, children, c, node)]++] = c;
    return r->status == SL_OK;
}

/* ---- Elements ---- */

static void put_key(struct reader *r, const char *before, struct sl_slice name)
{
    char last = r->out->len ? r->out->ptr[r->out->len - 1] : 0;
    put(r, last == '{' ? "\"" : ",\"");
    put(r, before);
    sl_buffer_add(r->out, name);
    put(r, "\":");
}

static bool has_half(xmlNode *at)
{
    return at->children || xmlHasNsProp(at, (const xmlChar *)"id", NULL);
}

static bool has_value(xmlNode *at)
{
    return xmlHasNsProp(at, (const xmlChar *)"value", NULL);
}

static void read_primitives(struct reader *r, const struct sl_r4_element *element, xmlNode **nodes, size_t count)
{
    bool many = element->flags & SL_R4_MANY, values = false, halves = false;
    struct sl_slice name = sl_name_text(element->name);
    for (size_t i = 0; i < count; i++) {
        check_attributes(r, nodes[i], "id", "value");
        values |= has_value(nodes[i]);
        halves |= has_half(nodes[i]);
        if (!has_value(nodes[i]) && !has_half(nodes[i]))
            refuse(r, nodes[i], SL_INVALID, "an element without a value");
    }
    if (values)
        put_key(r, "", name);
    for (size_t i = 0; values && i < count; i++) {
        put(r, !many ? "" : i ? "," : "[");
        if (has_value(nodes[i]))
            put_value(r, nodes[i], element->node, attribute(r, nodes[i], "value"));
        else
            put(r, "null");
    }
    put(r, values && many ? "]" : "");
    if (halves)
        put_key(r, "_", name);
    for (size_t i = 0; halves && i < count; i++) {
        put(r, !many ? "" : i ? "," : "[");
        if (has_half(nodes[i]))
            read_object(r, nodes[i], SL_R4_Element, (struct sl_slice){NULL, 0});
        else
            put(r, "null");
    }
    put(r, halves && many ? "]" : "");
}

static void read_narrative(struct reader *r, xmlNode *at)
{
    size_t k = (size_t)(uintptr_t)at->_private;
    if (!k || k > r->narrative_count) {
        refuse(r, at, SL_INVALID, "a narrative whose div has a prefix");
        return;
    }
    put_key(r, "", SL_LIT("div"));
    sl_buffer_json_string(r->out, r->narratives[k - 1]);
}

static void read_resource(struct reader *r, xmlNode *at)
{
    sl_r4_node node = at && in_space(at, FHIR_SPACE) ? sl_r4_resource(slice_of(at->name)) : 0;
    if (!node) {
        refuse(r, at, SL_INVALID, "no resource of R4");
        return;
    }
    check_attributes(r, at, NULL, NULL);
    read_object(r, at, node, sl_r4_node_name(node));
}

static void read_one(struct reader *r, const struct sl_r4_element *element, xmlNode *at)
{
    if (!(element->flags & SL_R4_RESOURCE)) {
        check_attributes(r, at, "id", element->node == SL_R4_Extension ? "url" : NULL);
        read_object(r, at, element->node, (struct sl_slice){NULL, 0});
        return;
    }
    check_attributes(r, at, NULL, NULL);
    xmlNode *resource = next_element(r, at->children);
    read_resource(r, resource);
    if (resource && next_element(r, resource->next))
        refuse(r, at, SL_INVALID, "two resources in the place of one");
}

static void read_element(struct reader *r, const struct sl_r4_element *element, xmlNode **nodes, size_t count)
{
    bool many = element->flags & SL_R4_MANY;
    if (count > 1 && !many) {
        refuse(r, nodes[1], SL_INVALID, "an element twice that R4 has once");
        return;
    }
    if (sl_slice_eq(sl_r4_node_name(element->node), SL_LIT("xhtml"))) {
        read_narrative(r, nodes[0]);
        return;
    }
    if (element->flags & SL_R4_PRIMITIVE) {
        read_primitives(r, element, nodes, count);
        return;
    }
    put_key(r, "", sl_name_text(element->name));
    for (size_t i = 0; i < count && r->status == SL_OK; i++) {
        put(r, !many ? "" : i ? "," : "[");
        read_one(r, element, nodes[i]);
    }
    put(r, many ? "]" : "");
}

static void put_attributes(struct reader *r, xmlNode *at, sl_r4_node node)
{
    static const char *const names[] = {"id", "url"};
    for (size_t i = 0; i < sizeof names / sizeof *names && !sl_r4_is_resource(node); i++) {
        struct sl_slice value = attribute(r, at, names[i]);
        if (!value.ptr)
            continue;
        put_key(r, "", sl_slice_of(names[i]));
        sl_buffer_json_string(r->out, value);
    }
}

/* A choice (value[x]) is there once, whichever of its elements it is. */
static bool chosen_twice(const struct children *children, size_t place)
{
    uint8_t choice = children->element[place].choice;
    for (size_t i = 0; choice && i < place; i++)
        if (children->element[i].choice == choice && children->first[i + 1] > children->first[i])
            return true;
    return false;
}

static void read_object(struct reader *r, xmlNode *at, sl_r4_node node, struct sl_slice type)
{
    struct children children;
    if (r->status != SL_OK || sl_buffer_failed(r->out))
        return;
    if (r->depth >= r->limits->depth) {
        refuse(r, at, SL_LIMIT, "elements too deep");
        return;
    }
    if (!gather(r, at, node, &children))
        return;
    r->depth++;
    put(r, "{");
    if (type.len) {
        put_key(r, "", SL_LIT("resourceType"));
        sl_buffer_json_string(r->out, type);
    }
    put_attributes(r, at, node);
    for (size_t i = 0; i < children.count; i++) {
        uint32_t first = children.first[i], count = children.first[i + 1] - first;
        if (!count)
            continue;
        if (chosen_twice(&children, i))
            refuse(r, at, SL_INVALID, "two values of one choice");
        read_element(r, &children.element[i], children.node + first, count);
    }
    put(r, "}");
    r->depth--;
}

/* ---- Narratives, as received ---- */

/* The end of the markup that begins at `at`, a '<' of a well-formed text. */
static size_t end_of_markup(struct sl_slice text, size_t at)
{
    static const struct {
        struct sl_slice begin, end;
    } forms[] = {{{"<!--", 4}, {"-->", 3}}, {{"<![CDATA[", 9}, {"]]>", 3}}, {{"<?", 2}, {"?>", 2}}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (!sl_slice_starts(sl_slice_from(text, at), forms[i].begin))
            continue;
        size_t from = at + forms[i].begin.len;
        const char *end = memmem(text.ptr + from, text.len - from, forms[i].end.ptr, forms[i].end.len);
        return end ? (size_t)(end - text.ptr) + forms[i].end.len : text.len;
    }
    for (char quote = 0; at < text.len; at++) {
        char c = text.ptr[at];
        if (!quote && c == '>')
            return at + 1;
        if (quote ? c == quote : c == '"' || c == '\'')
            quote = quote ? 0 : c;
    }
    return at;
}

static bool is_div(struct sl_slice tag)
{
    return sl_slice_starts(tag, SL_LIT("<div")) && tag.len > 4 && strchr(" \t\r\n/>", tag.ptr[4]);
}

/* Finds every outermost div; with `found` NULL it counts them. */
static size_t find_narratives(struct sl_slice text, struct sl_slice *found)
{
    size_t count = 0, begin = 0, depth = 0;
    for (size_t at = 0, end; at < text.len; at = end) {
        const char *next = memchr(text.ptr + at, '<', text.len - at);
        if (!next)
            break;
        at = (size_t)(next - text.ptr);
        end = end_of_markup(text, at);
        struct sl_slice tag = {text.ptr + at, end - at};
        if (tag.len < 3 || tag.ptr[1] == '!' || tag.ptr[1] == '?')
            continue;
        bool closes = tag.ptr[1] == '/', empty = tag.ptr[tag.len - 2] == '/';
        if (!depth && !is_div(tag))
            continue;
        if (!depth)
            begin = at;
        depth += closes ? (size_t)-1 : !empty;
        if (!depth && found)
            found[count] = (struct sl_slice){text.ptr + begin, end - begin};
        count += !depth;
    }
    return count;
}

/* Numbers the outermost div without a prefix, from 1, in the order of the text. */
static void number_narratives(xmlNode *root)
{
    size_t count = 0;
    for (xmlNode *at = root; at;) {
        bool div =
            at->type == XML_ELEMENT_NODE && strcmp((const char *)at->name, "div") == 0 && at->ns && !at->ns->prefix;
        if (div)
            at->_private = (void *)(uintptr_t)++count;
        if (!div && at->type == XML_ELEMENT_NODE && at->children) {
            at = at->children;
            continue;
        }
        while (at && at != root && !at->next)
            at = at->parent;
        at = at && at != root ? at->next : NULL;
    }
}

static bool take_narratives(struct reader *r, xmlNode *root)
{
    r->narrative_count = find_narratives(r->text, NULL);
    r->narratives = sl_arena_array(r->arena, r->narrative_count + 1, sizeof *r->narratives);
    if (!r->narratives)
        return false;
    find_narratives(r->text, r->narratives);
    number_narratives(root);
    return true;
}

/* ---- The document ---- */

/* A document type stands before the root, where else there are only the declaration, comments and instructions. */
static bool has_doctype(struct sl_slice text)
{
    for (size_t at = 0; at < text.len;) {
        const char *next = memchr(text.ptr + at, '<', text.len - at);
        struct sl_slice markup = next ? sl_slice_from(text, (size_t)(next - text.ptr)) : (struct sl_slice){NULL, 0};
        bool comment = sl_slice_starts(markup, SL_LIT("<!--"));
        if (!comment && sl_slice_starts(markup, SL_LIT("<!")))
            return true;
        if (!comment && !sl_slice_starts(markup, SL_LIT("<?")))
            return false;
        at = end_of_markup(text, (size_t)(next - text.ptr));
    }
    return false;
}

static bool is_utf8(const xmlDoc *tree)
{
    return !tree->encoding || strcasecmp((const char *)tree->encoding, "UTF-8") == 0;
}

enum sl_status sl_xml_read(struct sl_arena *arena, struct sl_slice xml, const struct sl_doc_limits *limits,
    struct sl_buffer *out, struct sl_doc_error *error)
{
    struct reader r = {.arena = arena, .out = out, .text = xml, .error = error, .status = SL_OK};
    r.limits = limits ? limits : &sl_doc_limits_default;
    if (xml.len > r.limits->bytes || xml.len > INT32_MAX)
        return SL_LIMIT;
    if (has_doctype(xml) || memchr(xml.ptr, 0, xml.len)) { /* UTF-16 and its like have zeros */
        refuse(&r, NULL, SL_SYNTAX, "a document type, or no UTF-8");
        return r.status;
    }
    xmlDocPtr tree = xmlReadMemory(
        xml.ptr, (int)xml.len, NULL, NULL, XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NOENT);
    xmlNode *root = tree ? xmlDocGetRootElement(tree) : NULL;
    if (!root || tree->intSubset || !is_utf8(tree))
        refuse(&r, NULL, SL_SYNTAX, "no well-formed XML in UTF-8");
    else if (!take_narratives(&r, root))
        refuse(&r, NULL, SL_NO_MEMORY, "memory");
    else
        read_resource(&r, root);
    xmlFreeDoc(tree);
    if (r.status == SL_OK && sl_arena_failed(arena))
        return SL_NO_MEMORY;
    if (r.status == SL_OK && sl_buffer_failed(out))
        return SL_LIMIT;
    return r.status;
}
