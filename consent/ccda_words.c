/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words in a C-CDA. Most documents name nothing, and are searched once as a whole. Where that finds something, sections
 * are searched, and in those that have it each thing that can go by itself: rows and items of the narrative that
 * entries refer to, headings of tables, what is left of the narrative, the words of each entry that are not beside a
 * judged code. What is always cut (comments, what is no CDA) says nothing here, since it goes nowhere.
 */
#include "ccda_reading.h"
#include "sluice/buffer.h"

struct searching {
    struct reading *r;
    const struct cda_node *nodes;
    struct sl_buffer text;
    bool failed;
};

static bool search(struct searching *s, enum sl_content_kind kind, struct sl_slice text, struct sl_mentions *found)
{
    *found = (struct sl_mentions){0};
    s->failed |= text.len && !sl_words_search(s->r->earning->words, kind, text, found);
    return !s->failed && found->bits;
}

static void earn_mentions(struct reading *r, uint32_t node, const struct sl_mentions *found)
{
    for (unsigned bits = found->bits; bits; bits &= bits - 1) {
        enum sl_mention mention = (enum sl_mention)__builtin_ctz(bits);
        const struct sl_classes *classes = &r->earning->by_mention[mention];
        struct sl_slice name = sl_mention_name(mention), said = sl_words_term(r->earning->words, found->term[mention]);
        if (!sl_classes_empty(classes))
            sl_cda_earn(
                r, node, classes, SL_WHY_WORDS, sl_arena_printf(r->arena, "%.*s: %.*s", SL_FMT(name), SL_FMT(said)));
    }
}

bool sl_cda_words_of(struct reading *r, uint32_t node, enum sl_content_kind kind, struct sl_slice text)
{
    struct sl_mentions found;
    if (!r->earning->words)
        return true;
    if (!sl_words_search(r->earning->words, kind, text, &found))
        return false;
    earn_mentions(r, node, &found);
    return true;
}

static bool is_never(const struct searching *s, uint32_t node)
{
    return s->nodes[node].name == CDA_COMMENT || s->nodes[node].name == CDA_UNKNOWN;
}

static void add(struct searching *s, uint32_t begin, uint32_t end)
{
    if (begin < end)
        sl_buffer_add(&s->text, (struct sl_slice){s->r->doc->bytes.ptr + begin, end - begin});
}

/* The element as it stands, without what `leave` leaves out. */
static void add_element(struct searching *s, uint32_t node, bool (*leave)(const struct searching *s, uint32_t node))
{
    uint32_t at = s->nodes[node].begin;
    for (uint32_t i = node + 1; i < s->nodes[node].next;) {
        if (!leave(s, i)) {
            i++;
            continue;
        }
        add(s, at, s->nodes[i].begin);
        at = s->nodes[i].end;
        i = s->nodes[i].next;
    }
    add(s, at, s->nodes[node].end);
}

/* Searches what was gathered, and gives what is found to the node. */
static void give(struct searching *s, uint32_t node)
{
    struct sl_mentions found;
    s->failed |= sl_buffer_failed(&s->text);
    if (search(s, SL_CONTENT_CCDA, sl_buffer_slice(&s->text), &found))
        earn_mentions(s->r, node, &found);
    sl_buffer_clear(&s->text);
}

/* ---- The narrative ---- */

static bool is_heading(const struct searching *s, uint32_t node)
{
    uint16_t name = s->nodes[node].name, parent = s->nodes[s->nodes[node].parent].name;
    return (name == CDA_thead || name == CDA_caption) && (parent == CDA_table || parent == CDA_list);
}

static bool stands_alone(const struct searching *s, uint32_t node)
{
    return is_never(s, node) || s->nodes[node].flags & CDA_UNIT || is_heading(s, node);
}

/* What goes by itself has its own words; the rest are the text's. */
static void search_coded_text(struct searching *s, uint32_t text)
{
    for (uint32_t i = text + 1; i < s->nodes[text].next;) {
        if (is_never(s, i) || !stands_alone(s, i)) {
            i = is_never(s, i) ? s->nodes[i].next : i + 1;
            continue;
        }
        add_element(s, i, is_never);
        give(s, i);
        i = s->nodes[i].flags & CDA_UNIT ? i + 1 : s->nodes[i].next;
    }
    add_element(s, text, stands_alone);
    give(s, text);
}

/* ---- Entries ---- */

static void add_display(struct searching *s, uint32_t node)
{
    struct sl_slice display = sl_cda_attribute(s->r->doc, node, CDA_AT_displayName);
    if (!display.len || s->nodes[node].flags & CDA_JUDGED)
        return;
    sl_buffer_add(&s->text, SL_LIT("<p>"));
    for (size_t i = 0; i < display.len; i++)
        sl_buffer_add(&s->text, display.ptr[i] == '<'   ? SL_LIT("&lt;")
                                : display.ptr[i] == '&' ? SL_LIT("&amp;")
                                                        : (struct sl_slice){display.ptr + i, 1});
    sl_buffer_add(&s->text, SL_LIT("</p>"));
}

static bool is_wording(uint16_t name)
{
    switch (name) {
    case CDA_desc:
    case CDA_lotNumberText:
    case CDA_manufacturerModelName:
    case CDA_name:
    case CDA_originalText:
    case CDA_text:
    case CDA_title:
    case CDA_value:
        return true;
    default:
        return false;
    }
}

/* A text that goes by itself. */
static bool has_own_words(const struct searching *s, uint32_t node)
{
    return s->nodes[node].name == CDA_text && s->nodes[node].part && !(s->nodes[node].flags & CDA_NARRATIVE);
}

/* The words that a holder says of itself: not those of what it holds that goes by itself, nor of the narrative. */
static void search_holder(struct searching *s, uint32_t holder)
{
    for (uint32_t i = holder + 1; i < s->nodes[holder].next;) {
        bool other =
            s->nodes[i].holder != holder || s->nodes[i].flags & (CDA_NARRATIVE | CDA_ENCODED) || is_never(s, i);
        if (other) {
            i = s->nodes[i].next;
            continue;
        }
        if (has_own_words(s, i)) {
            i = s->nodes[i].next;
            continue;
        }
        add_display(s, i);
        if (is_wording(s->nodes[i].name) && s->nodes[i].inner < s->nodes[i].inner_end &&
            sl_cda_has_words(s->r->doc, i)) {
            add_element(s, i, is_never);
            i = s->nodes[i].next;
            continue;
        }
        i++;
    }
    give(s, holder);
    for (uint32_t i = holder + 1; i < s->nodes[holder].next; i++)
        if (s->nodes[i].holder == holder && has_own_words(s, i)) {
            add_element(s, i, is_never);
            give(s, i);
        }
}

/* ---- A first look ---- */

/* Within a line: no word ends at its tags. */
static bool is_inline(uint16_t name)
{
    return name == CDA_content || name == CDA_sub || name == CDA_sup || name == CDA_linkHtml || name == CDA_COMMENT;
}

/* The text between two tags. The space it may begin with is one: without it the word would hang on the one before. */
static void add_run(struct searching *s, uint32_t begin, uint32_t end)
{
    const char *text = s->r->doc->bytes.ptr;
    if (begin < end && sl_cda_is_space(text[begin]))
        sl_buffer_add(&s->text, SL_LIT(" "));
    while (begin < end && sl_cda_is_space(text[begin]))
        begin++;
    if (begin < end)
        sl_buffer_add(&s->text, (struct sl_slice){text + begin, end - begin});
}

/* Codes that say what kind of statement it is: their names are the standard's. */
static bool is_structural(const struct searching *s, uint32_t node)
{
    return sl_slice_starts(sl_cda_attribute(s->r->doc, node, CDA_AT_codeSystem), SL_LIT("2.16.840.1.113883.5."));
}

static void add_names(struct searching *s, uint32_t node)
{
    struct sl_slice display = {NULL, 0};
    if (s->nodes[node].attribute_count && !(s->nodes[node].flags & CDA_JUDGED) && !is_structural(s, node))
        display = sl_cda_attribute(s->r->doc, node, CDA_AT_displayName);
    if (!display.len)
        return;
    sl_buffer_add(&s->text, display);
    sl_buffer_add(&s->text, SL_LIT("\n"));
}

/* All words of an element, of sections within it too, in the order of the text and without tags. */
static void add_words(struct searching *s, uint32_t root)
{
    uint32_t open = root, at = s->nodes[root].inner;
    for (uint32_t i = root + 1; i <= s->nodes[root].next;) {
        bool last = i == s->nodes[root].next;
        while (open != root && (last || s->nodes[i].begin >= s->nodes[open].end)) {
            add_run(s, at, s->nodes[open].inner_end);
            if (!is_inline(s->nodes[open].name))
                sl_buffer_add(&s->text, SL_LIT("\n"));
            at = s->nodes[open].end;
            open = s->nodes[open].parent;
        }
        if (last)
            break;
        bool passed = is_never(s, i) || s->nodes[i].flags & CDA_ENCODED;
        add_run(s, at, s->nodes[i].begin);
        at = passed ? s->nodes[i].end : s->nodes[i].inner;
        if (!passed) {
            add_names(s, i);
            open = s->nodes[i].inner_end > s->nodes[i].inner ? i : open;
        }
        i = passed ? s->nodes[i].next : i + 1;
    }
    add_run(s, at, s->nodes[root].inner_end);
}

/* Does the element name anything at all? If not, nothing in it does. */
static bool names_any(struct searching *s, uint32_t node)
{
    struct sl_mentions found;
    add_words(s, node);
    bool failed = sl_buffer_failed(&s->text);
    bool any = search(s, SL_CONTENT_HTML, sl_buffer_slice(&s->text), &found);
    s->failed |= failed;
    sl_buffer_clear(&s->text);
    return any;
}

/* ---- Sections ---- */

static bool is_other_section(const struct searching *s, uint32_t node)
{
    return is_never(s, node) ||
           (s->nodes[node].name == CDA_component && s->nodes[s->nodes[node].parent].name == CDA_section);
}

static void search_section(struct searching *s, uint32_t section)
{
    const struct cda_doc *doc = s->r->doc;
    uint32_t text = sl_cda_child(doc, section, CDA_text), holder = s->nodes[section].holder;
    if (!names_any(s, section))
        return;
    if (text && s->nodes[section].flags & CDA_CODED) {
        search_coded_text(s, text);
    } else if (text) {
        add_element(s, text, is_never);
        give(s, sl_cda_child(doc, section, CDA_component) ? text : holder);
    }
    search_holder(s, holder);
    for (uint32_t i = section + 1; i < s->nodes[section].next;) {
        if (is_other_section(s, i)) {
            i = s->nodes[i].next;
            continue;
        }
        if (s->nodes[i].holder == i)
            search_holder(s, i);
        i++;
    }
}

/* ---- The header ---- */

/* Whose name and address it is, is no word about anybody's health. */
static bool is_searched(uint16_t name)
{
    switch (name) {
    case CDA_title:
    case CDA_code:
    case CDA_author:
    case CDA_custodian:
    case CDA_legalAuthenticator:
    case CDA_documentationOf:
    case CDA_componentOf:
    case CDA_inFulfillmentOf:
        return true;
    default:
        return false;
    }
}

/* What a document is called, what it documents and where it comes from is said of all of it. */
static void search_header(struct searching *s)
{
    const struct cda_doc *doc = s->r->doc;
    for (uint32_t i = doc->root + 1; i < s->nodes[doc->root].next; i = s->nodes[i].next) {
        if (!is_searched(s->nodes[i].name))
            continue;
        for (uint32_t k = i; k < s->nodes[i].next; k = is_never(s, k) ? s->nodes[k].next : k + 1) {
            uint16_t name = s->nodes[k].name, parent = s->nodes[s->nodes[k].parent].name;
            bool person = parent == CDA_assignedPerson || parent == CDA_associatedPerson;
            add_display(s, k);
            if ((name == CDA_title || name == CDA_name || name == CDA_originalText) && !person)
                add_element(s, k, is_never);
        }
    }
    give(s, 0);
}

bool sl_cda_words(struct reading *r)
{
    struct searching s = {.r = r, .nodes = r->doc->nodes};
    if (!r->earning->words)
        return true;
    sl_buffer_init(&s.text, r->doc->bytes.len * 4 + 4096);
    if (names_any(&s, r->doc->root)) {
        search_header(&s);
        for (uint32_t i = 1; i < r->doc->count && !s.failed; i++)
            if (s.nodes[i].name == CDA_section)
                search_section(&s, i);
    }
    sl_buffer_fini(&s.text);
    return !s.failed;
}
