/* SPDX-License-Identifier: Apache-2.0 */
/*
 * _text and _content: words in the narrative, and in all texts of a resource. A word is a run of letters and digits,
 * compared as a string search compares; "some words" in quotes stand one after the other in one text; a '*' behind a
 * word stands for any end of it. What is read is what goes out: see sl_search_reads_view. Never allocates in matching.
 */
#include "search_read.h"

#include "sluice/r4_names.h"

/* ---- Reading ---- */

/* A space, and behind each word one; none behind a word of which the end is open. Empty: there is no word in it. */
static struct sl_slice write_pattern(struct sl_slice text, struct sl_arena *arena)
{
    bool open = text.len && text.ptr[text.len - 1] == '*';
    struct sl_fold fold = sl_fold_begin(text, false);
    char *out = sl_arena_raw(arena, 2 * text.len + 2, 1);
    size_t len = 0;
    if (!out)
        return (struct sl_slice){NULL, 0};
    out[len++] = ' ';
    for (int c; (c = sl_fold_word(&fold, false)) >= 0;)
        if (c != ' ' || out[len - 1] != ' ')
            out[len++] = (char)c;
    if (!open && out[len - 1] != ' ')
        out[len++] = ' ';
    if (open && len > 1 && out[len - 1] == ' ')
        len--;
    return (struct sl_slice){out, len > 1 ? len : 0};
}

/* In quotes, or up to what divides words. */
static struct sl_slice take(struct sl_terms *terms)
{
    struct sl_slice rest = sl_slice_from(terms->text, terms->at);
    bool quoted = rest.ptr[0] == '"';
    size_t len = 0;
    if (quoted) {
        const char *end = memchr(rest.ptr + 1, '"', rest.len - 1);
        len = end ? (size_t)(end - rest.ptr) - 1 : 0;
        terms->at += len ? len + 2 : 0;
        return (struct sl_slice){rest.ptr + 1, len};
    }
    while (len < rest.len && !memchr(" ,()\"", rest.ptr[len], 5))
        len++;
    terms->at += len;
    return (struct sl_slice){rest.ptr, len};
}

static enum sl_status read_word(struct sl_terms *terms, enum sl_search_modifier how, const struct sl_search_term **out)
{
    static const struct sl_r4_param words = {"_content", SL_PARAM_SPECIAL, NULL, NULL, NULL, NULL, NULL};
    struct sl_arena *arena = terms->reading->arena;
    size_t begin = terms->at;
    struct sl_slice pattern = write_pattern(take(terms), arena);
    struct sl_search_param *param = sl_arena_alloc(arena, sizeof *param);
    struct sl_search_value *value = sl_arena_alloc(arena, sizeof *value);
    if (!pattern.ptr || !param || !value)
        return SL_NO_MEMORY;
    if (!pattern.len)
        return sl_terms_wrong(terms, begin, "a word of letters or digits belongs here");
    *value = (struct sl_search_value){.text = pattern};
    *param = (struct sl_search_param){
        .param = &words, .name = SL_LIT("_content"), .how = how, .values = value, .value_count = 1};
    *out = sl_terms_alone(terms, param);
    return *out ? SL_OK : SL_NO_MEMORY;
}

static enum sl_status read_narrative(struct sl_terms *terms, const struct sl_search_term **out)
{
    return read_word(terms, SL_MODIFIER_NARRATIVE, out);
}

static enum sl_status read_content(struct sl_terms *terms, const struct sl_search_term **out)
{
    return read_word(terms, SL_MODIFIER_CONTENT, out);
}

enum sl_status sl_search_read_words(struct sl_search_reading *reading, struct sl_slice text, bool narrative)
{
    static const struct sl_r4_param text_param = {"_text", SL_PARAM_SPECIAL, NULL, NULL, NULL, NULL, NULL},
                                    content_param = {"_content", SL_PARAM_SPECIAL, NULL, NULL, NULL, NULL, NULL};
    struct sl_terms terms = {
        .reading = reading, .text = text, .beside = true, .leaf = narrative ? read_narrative : read_content};
    return sl_search_read_terms(&terms, narrative ? &text_param : &content_param);
}

/* ---- Matching ---- */

/* A text as its words with one space before, between and behind them. A value: copying it keeps the place. */
struct reader {
    struct sl_fold fold;
    bool markup, spaced, begun, ended;
};

static int next(struct reader *r)
{
    if (!r->begun) {
        r->begun = r->spaced = true;
        return ' ';
    }
    for (int c; (c = sl_fold_word(&r->fold, r->markup)) >= 0;)
        if (c != ' ' || !r->spaced) {
            r->spaced = c == ' ';
            return c;
        }
    if (r->ended || r->spaced)
        return -1;
    r->ended = true;
    return ' ';
}

static bool goes_on(struct reader r, struct sl_slice rest)
{
    for (size_t i = 0; i < rest.len; i++)
        if (next(&r) != (unsigned char)rest.ptr[i])
            return false;
    return true;
}

static bool has_words(struct sl_slice text, bool markup, struct sl_slice pattern)
{
    struct reader r = {.fold = sl_fold_begin(text, true), .markup = markup};
    for (int c; (c = next(&r)) >= 0;)
        if (c == ' ' && goes_on(r, sl_slice_from(pattern, 1)))
            return true;
    return false;
}

struct looking {
    const struct sl_doc *doc;
    const struct sl_edits *edits; /* may be NULL */
    struct sl_slice pattern;
};

/* Texts that people read: no ids, addresses, references, instants or data. */
static bool is_text(const struct sl_r4_element *element)
{
    if (element->parent == SL_R4_Reference && element->name == SL_NAME_reference)
        return false;
    return element->node == SL_R4_string || element->node == SL_R4_markdown || element->node == SL_R4_code ||
           element->node == SL_R4_xhtml;
}

static bool look(const struct looking *l, uint32_t object, sl_r4_node node);

static bool look_at(const struct looking *l, uint32_t span, const struct sl_r4_element *element)
{
    const struct sl_doc *doc = l->doc;
    bool whole;
    if (l->edits && sl_edit_is_cut(l->edits, span))
        return false;
    if (doc->spans[span].type == SL_SPAN_STRING)
        return is_text(element) &&
               has_words(sl_search_raw(doc, l->edits, span, &whole), element->node == SL_R4_xhtml, l->pattern);
    if (doc->spans[span].type != SL_SPAN_OBJECT)
        return false;
    if (!(element->flags & SL_R4_RESOURCE))
        return look(l, span, element->node);
    char scratch[64];
    uint32_t type = sl_span_member(doc, span, SL_NAME_resourceType);
    return type && look(l, span, sl_r4_resource(sl_search_text(doc, type, scratch, sizeof scratch)));
}

/* As deep as the document. What labels and links it is no text of it. */
static bool look(const struct looking *l, uint32_t object, sl_r4_node node)
{
    const struct sl_span *spans = l->doc->spans;
    for (uint32_t i = object + 1; i < spans[object].next; i = spans[i].next) {
        const struct sl_r4_element *element = sl_r4_element(node, spans[i].name);
        if (!element || element->name == SL_NAME_meta || element->name == SL_NAME_resourceType ||
            (l->edits && sl_edit_is_cut(l->edits, i)))
            continue;
        if (spans[i].type != SL_SPAN_ARRAY && look_at(l, i, element))
            return true;
        for (uint32_t k = i + 1; spans[i].type == SL_SPAN_ARRAY && k < spans[i].next; k = spans[k].next)
            if (look_at(l, k, element))
                return true;
    }
    return false;
}

bool sl_search_match_words(
    const struct sl_search_param *param, const struct sl_doc *doc, uint32_t root, const struct sl_edits *edits)
{
    char scratch[64];
    struct looking l = {doc, edits, param->values[0].text};
    uint32_t type = sl_span_member(doc, root, SL_NAME_resourceType);
    sl_r4_node node = type ? sl_r4_resource(sl_search_text(doc, type, scratch, sizeof scratch)) : 0;
    if (param->how == SL_MODIFIER_CONTENT)
        return look(&l, root, node);
    uint32_t text = sl_span_member(doc, root, SL_NAME_text);
    const struct sl_r4_element *element = sl_r4_element(node, SL_NAME_text);
    return text && element && element->node == SL_R4_Narrative && look_at(&l, text, element);
}
