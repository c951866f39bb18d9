/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XML to nodes. libxml2 judges whether the text is well-formed, resolves namespaces and calls once for each piece of
 * markup, in order; where each piece begins and ends is found beside it in the received bytes, by the delimiters that a
 * well-formed text has at no other place. So nothing rests on where libxml2 has its buffers, and what goes out later
 * are slices of what came in. The only file here that knows libxml2.
 *
 * No document type declaration is accepted, so there are no entities but the five of XML and no external anything.
 */
#include <libxml/SAX2.h>
#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <pthread.h>
#include <strings.h>

#include "ccda.h"
#include "hash.h"

#define BYTES_LIMIT ((size_t)64 << 20)
#define WORDS 1024u /* slots for the names we know, more than twice as many as there are */
#define CDA_NAMESPACE "urn:hl7-org:v3"
#define SDTC_NAMESPACE "urn:hl7-org:sdtc"
#define XSI_NAMESPACE "http://www.w3.org/2001/XMLSchema-instance"

struct word { /* a name, as libxml2's dictionary holds it: names compare by address */
    const xmlChar *text;
    uint16_t element, attribute;
};

struct reader {
    struct sl_arena *arena;
    struct cda_doc *doc;
    xmlParserCtxtPtr context;
    struct word words[WORDS];
    const xmlChar *cda, *sdtc, *xsi;
    size_t at; /* the end of the last piece of markup */
    uint32_t open[SL_CDA_DEPTH];
    unsigned depth;
    bool no_memory;
};

/* ---- Names ---- */

static struct word *slot_of(struct reader *r, const xmlChar *text)
{
    size_t i = (size_t)sl_hash_fold((uint64_t)(uintptr_t)text, 0x9e3779b97f4a7c15u) & (WORDS - 1);
    while (r->words[i].text && r->words[i].text != text)
        i = (i + 1) & (WORDS - 1);
    return &r->words[i];
}

static struct word *enter_word(struct reader *r, const char *text)
{
    const xmlChar *kept = xmlDictLookup(r->context->dict, (const xmlChar *)text, -1);
    if (!kept) {
        r->no_memory = true;
        return &r->words[0];
    }
    struct word *slot = slot_of(r, kept);
    slot->text = kept;
    return slot;
}

static void enter_words(struct reader *r)
{
    static const char *const elements[] = {
#define NAME(name) [CDA_##name] = #name,
#include "ccda_names.def"
#undef NAME
    };
    static const char *const attributes[] = {
#define NAME(name) [CDA_AT_##name] = #name,
#include "ccda_attributes.def"
#undef NAME
    };
    for (uint16_t i = CDA_COMMENT + 1; i < CDA_NAMES; i++)
        enter_word(r, elements[i])->element = i;
    for (uint16_t i = CDA_AT_NONE + 1; i < CDA_ATTRIBUTES; i++)
        enter_word(r, attributes[i])->attribute = i;
    r->cda = xmlDictLookup(r->context->dict, (const xmlChar *)CDA_NAMESPACE, -1);
    r->sdtc = xmlDictLookup(r->context->dict, (const xmlChar *)SDTC_NAMESPACE, -1);
    r->xsi = xmlDictLookup(r->context->dict, (const xmlChar *)XSI_NAMESPACE, -1);
}

/* ---- Places ---- */

static void refuse(struct reader *r, const char *why)
{
    if (!r->doc->why)
        r->doc->why = why;
    xmlStopParser(r->context);
}

/* The end of the piece of markup that begins at `from`: behind the first `end` there. */
static size_t end_of(struct reader *r, size_t from, struct sl_slice end)
{
    struct sl_slice bytes = r->doc->bytes;
    const char *found = from >= bytes.len ? NULL
                        : end.len == 1    ? memchr(bytes.ptr + from, end.ptr[0], bytes.len - from)
                                          : memmem(bytes.ptr + from, bytes.len - from, end.ptr, end.len);
    if (!found) {
        refuse(r, "not-well-formed");
        return bytes.len;
    }
    return (size_t)(found - bytes.ptr) + end.len;
}

/* Where the next piece of markup begins: between two there is only text, which has no '<'. */
static size_t next_markup(struct reader *r)
{
    return end_of(r, r->at, SL_LIT("<")) - 1;
}

/* The first '>' outside of quotes. */
static size_t end_of_quoted(struct reader *r, size_t from)
{
    struct sl_slice bytes = r->doc->bytes;
    for (size_t i = from; i < bytes.len; i++) {
        char c = bytes.ptr[i];
        if (c == '>')
            return i + 1;
        if (c != '"' && c != '\'')
            continue;
        const char *close = memchr(bytes.ptr + i + 1, c, bytes.len - i - 1);
        i = close ? (size_t)(close - bytes.ptr) : bytes.len;
    }
    refuse(r, "not-well-formed");
    return bytes.len;
}

/* The end of a start tag: nearly always its first '>', since nearly no value has one. */
static size_t end_of_tag(struct reader *r, size_t from, const xmlChar **attributes, int count, int spaces)
{
    bool plain = spaces == 0;
    for (int i = 0; i < count && plain; i++) {
        const xmlChar *value = attributes[(size_t)i * 5 + 3], *end = attributes[(size_t)i * 5 + 4];
        plain = !memchr(value, '>', (size_t)(end - value));
    }
    return plain ? end_of(r, from, SL_LIT(">")) : end_of_quoted(r, from);
}

/* ---- Nodes ---- */

static void *grow(struct reader *r, void *items, uint32_t count, uint32_t *capacity, size_t size)
{
    if (count < *capacity)
        return items;
    uint32_t more = *capacity * 2;
    void *moved = sl_arena_raw(r->arena, more, size);
    if (!moved) {
        r->no_memory = true;
        xmlStopParser(r->context);
        return NULL;
    }
    memcpy(moved, items, count * size);
    *capacity = more;
    return moved;
}

static struct cda_node *add_node(struct reader *r, enum cda_name name, size_t begin, size_t end)
{
    struct cda_doc *doc = r->doc;
    if (r->no_memory || doc->why)
        return NULL;
    if (doc->count >= SL_CDA_NODES) {
        refuse(r, "too-large");
        return NULL;
    }
    struct cda_node *nodes = grow(r, doc->nodes, doc->count, &doc->capacity, sizeof *nodes);
    if (!nodes)
        return NULL;
    doc->nodes = nodes;
    struct cda_node *node = &nodes[doc->count++];
    *node = (struct cda_node){.begin = (uint32_t)begin,
        .end = (uint32_t)end,
        .inner = (uint32_t)end,
        .inner_end = (uint32_t)end,
        .parent = r->depth ? r->open[r->depth - 1] : 0,
        .next = doc->count,
        .attributes = doc->attribute_count,
        .name = (uint16_t)name};
    return node;
}

static void add_attribute(struct reader *r, struct cda_node *node, const xmlChar **five)
{
    struct cda_doc *doc = r->doc;
    enum cda_attribute_name name = slot_of(r, five[0])->attribute;
    if (!name || (name == CDA_AT_type ? five[2] != r->xsi : five[2] != NULL))
        return;
    struct cda_attribute *all = grow(r, doc->attributes, doc->attribute_count, &doc->attribute_capacity, sizeof *all);
    if (!all)
        return;
    doc->attributes = all;
    struct sl_slice value = {(const char *)five[3], (size_t)(five[4] - five[3])}; /* gone when the call is over */
    all[doc->attribute_count++] = (struct cda_attribute){name, sl_arena_copy(r->arena, value)};
    node->attribute_count++;
}

static enum cda_name name_of(struct reader *r, const xmlChar *name, const xmlChar *space)
{
    return space && (space == r->cda || space == r->sdtc) ? slot_of(r, name)->element : CDA_UNKNOWN;
}

static void start_element(void *user, const xmlChar *name, const xmlChar *prefix, const xmlChar *space, int space_count,
    const xmlChar **spaces, int attribute_count, int defaulted, const xmlChar **attributes)
{
    struct reader *r = ((xmlParserCtxtPtr)user)->_private;
    (void)prefix, (void)spaces, (void)defaulted;
    size_t begin = next_markup(r), end = end_of_tag(r, begin + 1, attributes, attribute_count, space_count);
    if (r->depth == SL_CDA_DEPTH) {
        refuse(r, "too-deep");
        return;
    }
    uint32_t self = r->doc->count;
    struct cda_node *node = add_node(r, name_of(r, name, space), begin, end);
    if (!node)
        return;
    for (int i = 0; i < attribute_count; i++)
        add_attribute(r, node, attributes + (size_t)i * 5);
    if (r->depth == 1)
        r->doc->root = self;
    r->open[r->depth++] = self;
    r->at = end;
}

static bool is_closed_at_once(const struct reader *r, const struct cda_node *node)
{
    return r->doc->bytes.ptr[node->end - 2] == '/';
}

static void end_element(void *user, const xmlChar *name, const xmlChar *prefix, const xmlChar *space)
{
    struct reader *r = ((xmlParserCtxtPtr)user)->_private;
    (void)name, (void)prefix, (void)space;
    if (r->no_memory || r->doc->why || r->depth < 2)
        return;
    struct cda_node *node = &r->doc->nodes[r->open[--r->depth]];
    node->next = r->doc->count;
    if (is_closed_at_once(r, node) && node->end == node->inner)
        return;
    node->inner_end = (uint32_t)next_markup(r);
    r->at = end_of(r, node->inner_end, SL_LIT(">"));
    node->end = (uint32_t)r->at;
}

static void add_comment(struct reader *r, size_t begin, size_t end)
{
    add_node(r, CDA_COMMENT, begin, end);
    r->at = end;
}

static void see_comment(void *user, const xmlChar *text)
{
    struct reader *r = ((xmlParserCtxtPtr)user)->_private;
    (void)text;
    size_t begin = next_markup(r);
    add_comment(r, begin, end_of(r, begin + 4, SL_LIT("-->")));
}

static void see_instruction(void *user, const xmlChar *target, const xmlChar *data)
{
    struct reader *r = ((xmlParserCtxtPtr)user)->_private;
    (void)target, (void)data;
    size_t begin = next_markup(r);
    add_comment(r, begin, end_of(r, begin + 2, SL_LIT("?>")));
}

static void see_cdata(void *user, const xmlChar *text, int len)
{
    struct reader *r = ((xmlParserCtxtPtr)user)->_private;
    (void)text, (void)len;
    r->at = end_of(r, next_markup(r), SL_LIT("]]>"));
}

static void see_doctype(void *user, const xmlChar *name, const xmlChar *public_id, const xmlChar *system_id)
{
    struct reader *r = ((xmlParserCtxtPtr)user)->_private;
    (void)name, (void)public_id, (void)system_id;
    refuse(r, "document-type");
}

static void ignore_error(void *user, xmlErrorPtr error)
{
    (void)user, (void)error;
}

/* ---- Before and after ---- */

static bool is_ascii(struct sl_slice bytes)
{
    unsigned char seen = 0;
    for (size_t i = 0; i < bytes.len; i++)
        seen |= (unsigned char)bytes.ptr[i];
    return seen < 0x80;
}

static bool starts_any_case(struct sl_slice text, const char *start)
{
    return text.len >= strlen(start) && strncasecmp(text.ptr, start, strlen(start)) == 0;
}

/* The encoding that an XML declaration names; empty: none. */
static struct sl_slice encoding_of(struct sl_slice declaration)
{
    const char *at = declaration.len ? memmem(declaration.ptr, declaration.len, "encoding", 8) : NULL;
    struct sl_slice rest = at ? sl_slice_from(declaration, (size_t)(at + 8 - declaration.ptr)) : declaration;
    while (at && rest.len && strchr(" \t\r\n=", rest.ptr[0]))
        rest = sl_slice_from(rest, 1);
    if (!at || !rest.len || (rest.ptr[0] != '"' && rest.ptr[0] != '\''))
        return (struct sl_slice){NULL, 0};
    const char *close = memchr(rest.ptr + 1, rest.ptr[0], rest.len - 1);
    return close ? (struct sl_slice){rest.ptr + 1, (size_t)(close - rest.ptr) - 1} : (struct sl_slice){NULL, 0};
}

/* The declaration is no markup that libxml2 calls for. Another encoding than UTF-8 is well as long as every byte means
 * the same in both: what goes out is what came in, and nothing here converts. */
static void skip_declaration(struct reader *r)
{
    struct sl_slice bytes = r->doc->bytes;
    if (sl_slice_starts(bytes, SL_LIT("\xef\xbb\xbf")))
        r->at = 3;
    struct sl_slice text = sl_slice_from(bytes, r->at);
    if (!sl_slice_starts(text, SL_LIT("<?xml")) || text.len < 6 || !strchr(" \t\r\n", text.ptr[5]))
        return;
    size_t end = end_of(r, r->at, SL_LIT("?>"));
    struct sl_slice encoding = encoding_of((struct sl_slice){text.ptr, end - r->at});
    bool utf8 = !encoding.len || (encoding.len == 5 && starts_any_case(encoding, "utf-8"));
    bool alike = starts_any_case(encoding, "us-ascii") || starts_any_case(encoding, "iso-8859-") ||
                 starts_any_case(encoding, "windows-125");
    r->doc->ascii = !utf8;
    if (!utf8 && !(alike && is_ascii(bytes)))
        refuse(r, "encoding");
    r->at = end;
}

static bool is_other_encoding(struct sl_slice bytes)
{
    for (size_t i = 0; i < 4 && i < bytes.len; i++)
        if (bytes.ptr[i] == '\0' || (unsigned char)bytes.ptr[i] >= 0xfe)
            return true;
    return bytes.len == 0;
}

static void start_libxml(void)
{
    xmlInitParser();
}

static void run(struct reader *r)
{
    xmlSAXHandler sax = {.initialized = XML_SAX2_MAGIC,
        .startElementNs = start_element,
        .endElementNs = end_element,
        .comment = see_comment,
        .processingInstruction = see_instruction,
        .cdataBlock = see_cdata,
        .internalSubset = see_doctype,
        .serror = ignore_error};
    *r->context->sax = sax;
    r->context->_private = r;
    xmlCtxtUseOptions(r->context, XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_IGNORE_ENC);
    enter_words(r);
    skip_declaration(r);
    if (r->no_memory || r->doc->why)
        return;
    xmlParseDocument(r->context);
    if (r->context->errNo == XML_ERR_NO_MEMORY)
        r->no_memory = true;
    else if (!r->doc->why && (!r->context->wellFormed || !r->context->nsWellFormed))
        r->doc->why = "not-well-formed";
}

static bool make_room(struct reader *r)
{
    struct cda_doc *doc = r->doc;
    doc->capacity = (uint32_t)(doc->bytes.len / 48 + 64);
    doc->attribute_capacity = (uint32_t)(doc->bytes.len / 32 + 64);
    doc->nodes = sl_arena_raw(r->arena, doc->capacity, sizeof *doc->nodes);
    doc->attributes = sl_arena_raw(r->arena, doc->attribute_capacity, sizeof *doc->attributes);
    return doc->nodes && doc->attributes;
}

enum sl_status sl_cda_read(struct sl_arena *arena, struct sl_slice bytes, struct cda_doc *doc)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    *doc = (struct cda_doc){0};
    if (bytes.len > BYTES_LIMIT || is_other_encoding(bytes)) {
        doc->why = bytes.len > BYTES_LIMIT ? "too-large" : "encoding";
        return SL_OK;
    }
    pthread_once(&once, start_libxml);
    struct reader *r = sl_arena_alloc(arena, sizeof *r);
    if (!r)
        return SL_NO_MEMORY;
    doc->bytes = bytes;
    *r = (struct reader){.arena = arena, .doc = doc};
    r->context = xmlCreateMemoryParserCtxt(bytes.ptr, (int)bytes.len);
    bool ready = r->context && make_room(r);
    if (ready) {
        add_node(r, CDA_DOCUMENT, 0, bytes.len);
        r->open[r->depth++] = 0;
        run(r);
    }
    if (r->context)
        xmlFreeParserCtxt(r->context);
    if (!ready || r->no_memory || sl_arena_failed(arena))
        return SL_NO_MEMORY;
    doc->nodes[0].next = doc->count;
    if (!doc->why && (!doc->root || doc->nodes[doc->root].name != CDA_ClinicalDocument))
        doc->why = "no-document";
    return SL_OK;
}
