/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The document as it goes out: slices of what came, with the notice, with what entries say where no narrative is left
 * that tells of them, and with sections that have no information. A cut takes the white space in front of it, so that
 * what is left reads as if the rest had never been there.
 */
#include <stdio.h>
#include <stdlib.h>

#include "ccda.h"
#include "ccda_sections.h"
#include "sluice/buffer.h"
#include "sluice/edit.h"

#define PHRASES 12u /* told of one entry */

struct edit {
    uint32_t begin, end;
    struct sl_slice text; /* in its place; empty: nothing */
    uint32_t order;
};

struct writing {
    struct sl_ccda *ccda;
    const struct cda_doc *doc;
    const struct sl_item *item;
    struct sl_arena *arena;
    struct edit *edits;
    uint32_t count, capacity;
    struct sl_buffer out; /* of what is put in, while it is written */
};

/* ---- Paths ---- */

static struct sl_slice name_of(const struct cda_doc *doc, uint32_t node)
{
    const struct cda_node *n = &doc->nodes[node];
    struct sl_slice tag = {doc->bytes.ptr + n->begin + 1, n->end - n->begin - 1};
    size_t len = 0;
    while (len < tag.len && !strchr(" \t\r\n/>", tag.ptr[len]))
        len++;
    return (struct sl_slice){tag.ptr, len};
}

/* The local name, where CDA has it: what else a source calls its elements is its own. */
static struct sl_slice step_of(const struct cda_doc *doc, uint32_t node)
{
    struct sl_slice name = name_of(doc, node);
    const char *colon = memchr(name.ptr, ':', name.len);
    if (doc->nodes[node].name == CDA_UNKNOWN || doc->nodes[node].name == CDA_COMMENT)
        return SL_LIT("*");
    return colon ? sl_slice_from(name, (size_t)(colon + 1 - name.ptr)) : name;
}

/* Its number among those of its name, counted from 1; 0: it is the only one. Goes on from the place found before. */
static uint32_t place_of(const struct cda_doc *doc, uint32_t node, struct cda_place *found)
{
    const struct cda_node *nodes = doc->nodes;
    uint32_t parent = nodes[node].parent, at = parent + 1, place = 1;
    if (found->node && found->node <= node && nodes[found->node].parent == parent &&
        nodes[found->node].name == nodes[node].name) {
        at = found->node;
        place = found->place;
    }
    for (; at < node; at = nodes[at].next)
        place += nodes[at].name == nodes[node].name;
    *found = (struct cda_place){node, place};
    for (at = nodes[node].next; place == 1 && at < nodes[parent].next; at = nodes[at].next)
        if (nodes[at].name == nodes[node].name)
            return 1;
    return place > 1 ? place : 0;
}

struct sl_slice sl_ccda_path(
    const struct sl_ccda *ccda, uint32_t node, struct cda_place places[SL_CDA_DEPTH + 1], struct sl_arena *arena)
{
    char text[SL_CDA_DEPTH * 48];
    uint32_t way[SL_CDA_DEPTH + 1];
    size_t depth = 0, len = 0;
    for (; node && depth <= SL_CDA_DEPTH; node = ccda->doc.nodes[node].parent)
        way[depth++] = node;
    for (size_t i = 0; i < depth && len + 64 < sizeof text; i++) {
        uint32_t at = way[depth - 1 - i], place = place_of(&ccda->doc, at, &places[i]);
        struct sl_slice step = step_of(&ccda->doc, at);
        text[len++] = '/';
        memcpy(text + len, step.ptr, step.len);
        len += step.len;
        if (place)
            len += (size_t)snprintf(text + len, 16, "[%u]", place);
    }
    return sl_arena_copy(arena, (struct sl_slice){text, len});
}

/* ---- Edits ---- */

static void add_edit(struct writing *w, uint32_t begin, uint32_t end, struct sl_slice text)
{
    if (begin == end && !text.len)
        return;
    if (w->count == w->capacity) {
        uint32_t capacity = w->capacity ? w->capacity * 2 : 256;
        struct edit *edits = sl_arena_raw(w->arena, capacity, sizeof *edits);
        if (!edits)
            return;
        if (w->count)
            memcpy(edits, w->edits, w->count * sizeof *edits);
        w->edits = edits;
        w->capacity = capacity;
    }
    w->edits[w->count] = (struct edit){.begin = begin, .end = end, .text = text, .order = w->count};
    w->count++;
}

static uint32_t before_space(const struct writing *w, uint32_t at)
{
    while (at && sl_cda_is_space(w->doc->bytes.ptr[at - 1]))
        at--;
    return at;
}

static void add_cut(struct writing *w, uint32_t node)
{
    const struct cda_node *n = &w->doc->nodes[node];
    if (n->name == CDA_text && w->doc->nodes[n->parent].name == CDA_section) /* which has one, be it empty */
        add_edit(w, n->inner, n->inner_end, (struct sl_slice){NULL, 0});
    else
        add_edit(w, before_space(w, n->begin), n->end, (struct sl_slice){NULL, 0});
}

static int order_edits(const void *a, const void *b)
{
    const struct edit *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

/* ---- Text put in ---- */

/* A name as the document writes it: with the prefix of the element that stands there already. */
static struct sl_slice prefix_at(const struct writing *w, uint32_t node)
{
    struct sl_slice name = name_of(w->doc, node);
    const char *colon = memchr(name.ptr, ':', name.len);
    return colon ? (struct sl_slice){name.ptr, (size_t)(colon + 1 - name.ptr)} : (struct sl_slice){NULL, 0};
}

/* The character at the front of valid UTF-8 that is no ASCII, by its number. */
static size_t add_number(struct sl_buffer *out, struct sl_slice text)
{
    unsigned char first = (unsigned char)text.ptr[0];
    size_t len = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    uint32_t code = first & (0xffu >> (len + 1));
    for (size_t i = 1; i < len && i < text.len; i++)
        code = code << 6 | ((unsigned char)text.ptr[i] & 0x3fu);
    sl_buffer_printf(out, "&#%u;", code);
    return len;
}

static void add_escaped(struct writing *w, struct sl_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        struct sl_slice as = c == '<'                 ? SL_LIT("&lt;")
                             : c == '>'               ? SL_LIT("&gt;")
                             : c == '&'               ? SL_LIT("&amp;")
                             : c == '"'               ? SL_LIT("&quot;")
                             : (unsigned char)c < ' ' ? SL_LIT(" ")
                                                      : (struct sl_slice){&text.ptr[i], 1};
        if ((unsigned char)c >= 0x80 && w->doc->ascii)
            i += add_number(&w->out, sl_slice_from(text, i)) - 1;
        else
            sl_buffer_add(&w->out, as);
    }
}

static void open_tag(struct writing *w, struct sl_slice prefix, const char *tag)
{
    sl_buffer_printf(&w->out, "<%.*s%s", SL_FMT(prefix), tag);
}

static void close_tag(struct writing *w, struct sl_slice prefix, const char *tag)
{
    sl_buffer_printf(&w->out, "</%.*s%s>", SL_FMT(prefix), tag);
}

static void add_element(struct writing *w, struct sl_slice prefix, const char *tag, struct sl_slice text)
{
    open_tag(w, prefix, tag);
    sl_buffer_add(&w->out, SL_LIT(">"));
    add_escaped(w, text);
    close_tag(w, prefix, tag);
}

/* Takes what was written as the text of an edit. */
static struct sl_slice take(struct writing *w)
{
    struct sl_slice text = sl_arena_copy(w->arena, sl_buffer_slice(&w->out));
    if (sl_buffer_failed(&w->out))
        (void)sl_arena_alloc(w->arena, SIZE_MAX / 2); /* the arena has failed, and with it the whole */
    sl_buffer_clear(&w->out);
    return text;
}

/* ---- A section without information ---- */

static void add_templates(struct writing *w, struct sl_slice prefix, uint32_t section)
{
    const struct cda_node *nodes = w->doc->nodes;
    for (uint32_t c = section + 1; c < nodes[section].next; c = nodes[c].next) {
        struct sl_slice root = sl_cda_attribute(w->doc, c, CDA_AT_root);
        struct sl_slice version = sl_cda_attribute(w->doc, c, CDA_AT_extension);
        bool known = sl_slice_starts(root, SL_LIT("2.16.840.1.113883.10.20.22.2.")) ||
                     sl_slice_starts(root, SL_LIT("1.3.6.1.4.1.19376.1.5.3.1."));
        if (nodes[c].name != CDA_templateId || !known)
            continue;
        open_tag(w, prefix, "templateId root=\"");
        add_escaped(w, root);
        if (version.len) {
            sl_buffer_add(&w->out, SL_LIT("\" extension=\""));
            add_escaped(w, version);
        }
        sl_buffer_add(&w->out, SL_LIT("\"/>"));
    }
}

static void empty_section(struct writing *w, uint32_t section)
{
    struct sl_slice prefix = prefix_at(w, section);
    const struct sl_cda_section *kind = sl_cda_required_section(w->doc, section);
    const struct cda_node *n = &w->doc->nodes[section];
    open_tag(w, prefix, "section nullFlavor=\"NI\">");
    add_templates(w, prefix, section);
    open_tag(w, prefix, "code code=\"");
    sl_buffer_printf(&w->out, "%s\" codeSystem=\"2.16.840.1.113883.6.1\"/>", kind->code);
    add_element(w, prefix, "title", sl_slice_of(kind->title));
    add_element(w, prefix, "text", SL_LIT(SL_CDA_NO_INFORMATION));
    close_tag(w, prefix, "section");
    uint32_t holder = n->parent;
    /* Whatever else stands in the component goes too. */
    add_edit(w, w->doc->nodes[holder].inner, w->doc->nodes[holder].inner_end, take(w));
}

/* ---- What entries say ---- */

static void add_phrase(struct writing *w, struct sl_slice text, unsigned *count)
{
    if (!text.len || *count >= PHRASES)
        return;
    if (*count)
        sl_buffer_add(&w->out, SL_LIT("; "));
    add_escaped(w, text);
    ++*count;
}

static bool is_gone(const struct sl_ccda *ccda, uint32_t node)
{
    return ccda->state[node] & (CDA_CUT | CDA_WITHIN);
}

/* The display name of a coded element, or the first one of its translations that has one. */
static struct sl_slice display_of(const struct writing *w, uint32_t node)
{
    struct sl_slice name = sl_cda_attribute(w->doc, node, CDA_AT_displayName);
    for (uint32_t c = node + 1; !name.len && c < w->doc->nodes[node].next; c = w->doc->nodes[c].next)
        if (w->doc->nodes[c].name == CDA_translation && !is_gone(w->ccda, c))
            name = sl_cda_attribute(w->doc, c, CDA_AT_displayName);
    return name;
}

/* "Glucose 5.4 mmol/L" of an observation of a quantity. */
static void add_quantity(struct writing *w, uint32_t value, unsigned *count)
{
    struct sl_slice number = sl_cda_attribute(w->doc, value, CDA_AT_value);
    struct sl_slice unit = sl_cda_attribute(w->doc, value, CDA_AT_unit);
    if (!number.len || !*count)
        return;
    sl_buffer_add(&w->out, SL_LIT(" "));
    add_escaped(w, number);
    if (unit.len && !sl_slice_eq(unit, SL_LIT("1"))) {
        sl_buffer_add(&w->out, SL_LIT(" "));
        add_escaped(w, unit);
    }
}

/* Codes that say what kind of statement it is, and nothing of the patient. */
static bool is_structural(const struct writing *w, uint32_t code)
{
    struct sl_slice system = sl_cda_attribute(w->doc, code, CDA_AT_codeSystem);
    return sl_slice_eq(system, SL_LIT("2.16.840.1.113883.5.6")) || sl_slice_eq(system, SL_LIT("2.16.840.1.113883.5.4"));
}

static void tell_node(struct writing *w, uint32_t i, unsigned *count)
{
    const struct cda_node *nodes = w->doc->nodes;
    uint16_t parent = nodes[nodes[i].parent].name;
    if (nodes[i].name == CDA_value && parent == CDA_observation) {
        add_phrase(w, display_of(w, i), count);
        add_quantity(w, i, count);
    } else if (nodes[i].name == CDA_code && !is_structural(w, i)) {
        if (sl_cda_is_statement(parent) || parent == CDA_manufacturedMaterial || parent == CDA_playingEntity)
            add_phrase(w, display_of(w, i), count);
    }
}

static void tell_entry(struct writing *w, struct sl_slice prefix, uint32_t entry)
{
    const struct cda_node *nodes = w->doc->nodes;
    unsigned count = 0;
    size_t before = w->out.len;
    open_tag(w, prefix, "item>");
    for (uint32_t i = entry + 1; i < nodes[entry].next; i++)
        if (!is_gone(w->ccda, i))
            tell_node(w, i, &count);
    close_tag(w, prefix, "item");
    if (!count)
        w->out.len = before;
}

/* What goes into the text of a section that is pruned: a list of the entries that no narrative tells of. */
static struct sl_slice tell_section(struct writing *w, uint32_t section, uint32_t text)
{
    const struct cda_node *nodes = w->doc->nodes;
    struct sl_slice prefix = prefix_at(w, text);
    open_tag(w, prefix, "list>");
    size_t empty = w->out.len;
    for (uint32_t c = section + 1; c < nodes[section].next; c = nodes[c].next)
        if (nodes[c].name == CDA_entry && !is_gone(w->ccda, c) && !(w->ccda->state[c] & CDA_TOLD))
            tell_entry(w, prefix, c);
    if (w->out.len == empty) {
        sl_buffer_clear(&w->out);
        return (struct sl_slice){NULL, 0};
    }
    close_tag(w, prefix, "list");
    return take(w);
}

/* Text between the tags that stay. */
static void cut_gaps(struct writing *w, uint32_t around)
{
    const struct cda_node *nodes = w->doc->nodes;
    uint32_t at = nodes[around].inner;
    for (uint32_t c = around + 1; c < nodes[around].next; c = nodes[c].next) {
        add_edit(w, at, nodes[c].begin, (struct sl_slice){NULL, 0});
        at = nodes[c].end;
    }
    add_edit(w, at, nodes[around].inner_end, (struct sl_slice){NULL, 0});
}

static void prune_text(struct writing *w, uint32_t text)
{
    const struct cda_node *nodes = w->doc->nodes;
    cut_gaps(w, text);
    for (uint32_t i = text + 1; i < nodes[text].next;) {
        bool around = w->ccda->state[i] & CDA_AROUND && !(w->ccda->state[i] & (CDA_CUT | CDA_KEPT));
        if (around)
            cut_gaps(w, i);
        i = around ? i + 1 : nodes[i].next;
    }
}

static void write_section_text(struct writing *w, uint32_t section, uint32_t text)
{
    const struct cda_node *n = &w->doc->nodes[text];
    struct sl_slice told = tell_section(w, section, text);
    prune_text(w, text);
    if (!told.len)
        return;
    if (n->inner_end < n->end) {
        add_edit(w, n->inner_end, n->inner_end, told);
        return;
    }
    /* <text/> is opened. */
    sl_buffer_add(&w->out, (struct sl_slice){w->doc->bytes.ptr + n->begin, n->end - n->begin - 2});
    sl_buffer_add(&w->out, SL_LIT(">"));
    sl_buffer_add(&w->out, told);
    sl_buffer_printf(&w->out, "</%.*s>", SL_FMT(name_of(w->doc, text)));
    add_edit(w, n->begin, n->end, take(w));
}

/* ---- The notice ---- */

static void add_notice(struct writing *w)
{
    uint32_t component = sl_cda_child(w->doc, w->doc->root, CDA_component);
    uint32_t body = component ? sl_cda_child(w->doc, component, CDA_structuredBody) : 0;
    if (!body || !w->item->statement.len)
        return;
    struct sl_slice prefix = prefix_at(w, body);
    open_tag(w, prefix, "component>");
    open_tag(w, prefix, "section>");
    open_tag(w, prefix, "templateId root=\"2.16.840.1.113883.3.3251.1.5\"/>");
    open_tag(w, prefix, "id root=\"" SL_CDA_NOTICE_ID "\"/>");
    open_tag(w, prefix, "code code=\"57017-8\" codeSystem=\"2.16.840.1.113883.6.1\"/>");
    add_element(w, prefix, "title", SL_LIT("Confidentiality notice"));
    add_element(w, prefix, "text", w->item->statement);
    close_tag(w, prefix, "section");
    close_tag(w, prefix, "component");
    uint32_t at = before_space(w, w->doc->nodes[body].inner_end);
    add_edit(w, at, at, take(w));
}

/* ---- All edits ---- */

static void edit_section(struct writing *w, uint32_t section)
{
    const struct cda_node *nodes = w->doc->nodes;
    if (w->ccda->state[section] & CDA_EMPTY) {
        empty_section(w, section);
        return;
    }
    uint32_t text = sl_cda_child(w->doc, section, CDA_text);
    bool pruned = text && nodes[section].flags & CDA_CODED && sl_ccda_is_pruned(w->ccda, text);
    if (pruned && !is_gone(w->ccda, section))
        write_section_text(w, section, text);
}

static unsigned rank(char level)
{
    static const char order[] = "ULMNRV";
    const char *at = level ? strchr(order, level) : NULL;
    return at ? (unsigned)(at - order) : 0;
}

/* The document's level is that of what is in it, or the one it came with where that is higher. */
static void edit_level(struct writing *w)
{
    uint32_t node = sl_cda_child(w->doc, w->doc->root, CDA_confidentialityCode);
    struct sl_slice had = node ? sl_cda_attribute(w->doc, node, CDA_AT_code) : (struct sl_slice){NULL, 0};
    if (!node || !w->item->confidentiality || (had.len == 1 && rank(had.ptr[0]) >= rank(w->item->confidentiality)))
        return;
    open_tag(w, prefix_at(w, node), "confidentialityCode code=\"");
    sl_buffer_printf(&w->out, "%c\" codeSystem=\"2.16.840.1.113883.5.25\"/>", w->item->confidentiality);
    add_edit(w, w->doc->nodes[node].begin, w->doc->nodes[node].end, take(w));
}

static enum sl_status collect(struct writing *w)
{
    const struct cda_node *nodes = w->doc->nodes;
    sl_buffer_init(&w->out, (size_t)16 << 20);
    for (uint32_t i = 1; i < w->doc->count; i++) {
        if (w->ccda->state[i] & CDA_CUT)
            add_cut(w, i);
        else if (nodes[i].name == CDA_section)
            edit_section(w, i);
    }
    edit_level(w);
    add_notice(w);
    sl_buffer_fini(&w->out);
    if (sl_arena_failed(w->arena))
        return SL_NO_MEMORY;
    if (w->count)
        qsort(w->edits, w->count, sizeof *w->edits, order_edits);
    return SL_OK;
}

/* ---- Base64 ---- */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void encode_rest(const unsigned char *from, size_t len, char *to)
{
    uint32_t bits = (uint32_t)from[0] << 16 | (len > 1 ? (uint32_t)from[1] << 8 : 0);
    to[0] = digits[bits >> 18];
    to[1] = digits[bits >> 12 & 63];
    to[2] = len > 1 ? digits[bits >> 6 & 63] : '=';
    to[3] = '=';
}

struct sl_slice sl_content_encode(struct sl_slice bytes, struct sl_arena *arena)
{
    char *text = sl_arena_raw(arena, bytes.len / 3 + 2, 4), *to = text;
    const unsigned char *from = (const unsigned char *)bytes.ptr, *end = from + bytes.len - bytes.len % 3;
    if (!text)
        return (struct sl_slice){NULL, 0};
    *to++ = '"';
    for (; from < end; from += 3, to += 4) {
        uint32_t bits = (uint32_t)from[0] << 16 | (uint32_t)from[1] << 8 | from[2];
        to[0] = digits[bits >> 18];
        to[1] = digits[bits >> 12 & 63];
        to[2] = digits[bits >> 6 & 63];
        to[3] = digits[bits & 63];
    }
    if (bytes.len % 3) {
        encode_rest(from, bytes.len % 3, to);
        to += 4;
    }
    *to = '"';
    return (struct sl_slice){text + 1, (size_t)(to - text) - 1};
}

/* ---- Out ---- */

struct sl_slice sl_ccda_gather(struct sl_ccda *ccda, const struct sl_item *item, struct sl_arena *arena)
{
    while (item->container) /* what is due is due for the whole record */
        item = item->container;
    struct writing w = {.ccda = ccda, .doc = &ccda->doc, .item = item, .arena = arena};
    struct sl_slice bytes = w.doc->bytes, none = {NULL, 0};
    if (collect(&w) != SL_OK)
        return none;
    size_t size = bytes.len;
    for (uint32_t i = 0; i < w.count; i++)
        size += w.edits[i].text.len;
    char *out = sl_arena_raw(arena, size + 1, 1);
    size_t at = 0, len = 0;
    for (uint32_t i = 0; out && i <= w.count; i++) {
        struct edit e =
            i < w.count ? w.edits[i] : (struct edit){.begin = (uint32_t)bytes.len, .end = (uint32_t)bytes.len};
        if (e.begin > at) {
            memcpy(out + len, bytes.ptr + at, e.begin - at);
            len += e.begin - at;
        }
        if (e.text.len && e.begin >= at) {
            memcpy(out + len, e.text.ptr, e.text.len);
            len += e.text.len;
        }
        at = e.end > at ? e.end : at;
    }
    return out ? (struct sl_slice){out, len} : none;
}

static enum sl_status write_content(const struct sl_item *item, struct sl_content *content, struct sl_arena *arena)
{
    struct sl_slice out = sl_ccda_gather(content->ccda, item, arena);
    content->replacement = (struct sl_slice){NULL, 0};
    content->written = out;
    if (!out.ptr)
        return SL_NO_MEMORY;
    if (sl_slice_eq(out, content->bytes))
        return SL_OK;
    content->replacement = sl_content_encode(out, arena);
    return content->replacement.ptr ? SL_OK : SL_NO_MEMORY;
}

static enum sl_status edit_content(
    const struct sl_item *item, struct sl_content *content, struct sl_edits *edits, struct sl_arena *arena)
{
    SL_TRY(write_content(item, content, arena));
    if (content->replacement.len)
        sl_edit_replace(
            edits, content->data, (struct sl_slice){content->replacement.ptr - 1, content->replacement.len + 2});
    return SL_OK;
}

enum sl_status sl_ccda_edit(const struct sl_item *item, struct sl_edits *edits, struct sl_arena *arena)
{
    for (uint32_t i = 0; i < item->content_count; i++)
        if (item->contents[i].ccda && !sl_edit_is_cut(edits, item->contents[i].data))
            SL_TRY(edit_content(item, &item->contents[i], edits, arena));
    return SL_OK;
}
