/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what is withheld of a C-CDA to everything that goes with it, by the shape of CDA:
 *
 *   - comments, processing instructions and what is no CDA go always, and so does a notice of ours, which is made anew;
 *   - a statement goes with the last of what it cannot be without: an organizer with its components, a concern with
 *     what it is about; a table with its rows;
 *   - what only refers to a withheld entry goes, and so does the narrative that is linked to it;
 *   - a section in which nothing is left goes. If the kind of document requires it, it says that there is no
 *     information, in words that are the same for all, whether it lost something or never had anything;
 *   - a document without a section goes as a whole.
 */
#include "ccda.h"
#include "ccda_sections.h"
#include "hash.h"

#define ROUNDS 16u /* of references that lead to references; more is no real document */

struct cutting {
    struct sl_ccda *ccda;
    const struct cda_doc *doc;
    struct sl_arena *arena;
    uint32_t *needed, *left; /* of each node: children it cannot be without, and how many of them stay */
};

bool sl_cda_has_words(const struct cda_doc *doc, uint32_t node)
{
    const struct cda_node *n = &doc->nodes[node];
    uint32_t at = n->inner, next = node + 1;
    while (at < n->inner_end) {
        char c = doc->bytes.ptr[at];
        while (next < n->next && doc->nodes[next].begin < at)
            next++;
        if (next < n->next && doc->nodes[next].begin == at) /* a tag, or a comment with all that it says */
            at = doc->nodes[next].name == CDA_COMMENT ? doc->nodes[next].end : doc->nodes[next].inner;
        else if (sl_slice_starts(sl_slice_from(doc->bytes, at), SL_LIT("</")))
            at = (uint32_t)((const char *)memchr(doc->bytes.ptr + at, '>', doc->bytes.len - at) - doc->bytes.ptr) + 1;
        else if (!sl_cda_is_space(c))
            return true;
        else
            at++;
    }
    return false;
}

uint32_t sl_cda_id_next(const struct sl_ccda *ccda, struct sl_slice id, uint32_t *step)
{
    size_t slot = (size_t)sl_hash(id, ccda->seed) + *step;
    for (;; slot++) {
        uint32_t found = ccda->ids[slot & ccda->id_mask];
        ++*step;
        if (!found || sl_slice_eq(sl_cda_attribute(&ccda->doc, found, CDA_AT_ID), id))
            return found;
    }
}

/* ---- Cutting ---- */

static bool is_gone(const struct sl_ccda *ccda, uint32_t node)
{
    return ccda->state[node] & (CDA_CUT | CDA_WITHIN);
}

static void report(struct sl_ccda *ccda, uint32_t node, struct sl_cause cause, struct sl_arena *arena)
{
    struct cda_cut *made = sl_arena_alloc(arena, sizeof *made);
    if (!made)
        return;
    *made = (struct cda_cut){.node = node, .cause = cause, .next = ccda->cuts};
    ccda->cuts = made;
    ccda->cut_count++;
}

void sl_ccda_cut_node(struct sl_ccda *ccda, uint32_t node, const char *why, struct sl_arena *arena)
{
    if (ccda->state[node] & CDA_CUT)
        return;
    ccda->state[node] |= CDA_CUT;
    if (why)
        report(ccda, node, (struct sl_cause){.class_bit = SL_CLASS_LIMIT, .why = why}, arena);
}

enum sl_status sl_ccda_begin(struct sl_labeller *labeller, struct sl_item *item, struct sl_arena *arena)
{
    bool any = false;
    for (uint32_t i = 0; i < item->content_count; i++) {
        struct sl_ccda *ccda = item->contents[i].ccda;
        if (!ccda)
            continue;
        any = true;
        ccda->cuts = NULL;
        ccda->cut_count = 0;
        ccda->whole = NULL;
        ccda->pruned = false;
        ccda->state = sl_arena_array(arena, ccda->doc.count, 1);
        if (!ccda->state)
            return SL_NO_MEMORY;
    }
    if (any)
        sl_ccda_earn_unknown(labeller, item);
    return SL_OK;
}

/* The text of a section with entries: what stands in it and is linked to one goes by itself. */
static bool is_coded_text(const struct cda_doc *doc, uint32_t node)
{
    const struct cda_node *section = &doc->nodes[doc->nodes[node].parent];
    return doc->nodes[node].name == CDA_text && section->name == CDA_section && section->flags & CDA_CODED;
}

enum sl_status sl_ccda_withhold(const struct sl_part *part, struct sl_cause cause, struct sl_arena *arena)
{
    struct sl_ccda *ccda = part->inner->ccda;
    if (part->narrative || ccda->state[part->node] & (CDA_CUT | CDA_LOOSE))
        return SL_OK;
    ccda->state[part->node] |= is_coded_text(&ccda->doc, part->node) ? CDA_LOOSE : CDA_CUT;
    report(ccda, part->node, cause, arena);
    return sl_arena_failed(arena) ? SL_NO_MEMORY : SL_OK;
}

/* ---- What goes always ---- */

static bool is_our_notice(const struct cda_doc *doc, uint32_t section)
{
    for (uint32_t c = section + 1; c < doc->nodes[section].next; c = doc->nodes[c].next)
        if (doc->nodes[c].name == CDA_id &&
            sl_slice_eq(sl_cda_attribute(doc, c, CDA_AT_root), SL_LIT(SL_CDA_NOTICE_ID)))
            return true;
    return false;
}

static void cut_constants(struct cutting *c)
{
    const struct cda_node *nodes = c->doc->nodes;
    for (uint32_t i = 1; i < c->doc->count; i = nodes[i].name == CDA_UNKNOWN ? nodes[i].next : i + 1) {
        if (nodes[i].name == CDA_COMMENT || nodes[i].name == CDA_signatureText)
            sl_ccda_cut_node(c->ccda, i, NULL, c->arena);
        else if (nodes[i].name == CDA_UNKNOWN)
            sl_ccda_cut_node(c->ccda, i, "unknown-element", c->arena);
        else if (nodes[i].name == CDA_section && is_our_notice(c->doc, i))
            sl_ccda_cut_node(c->ccda, nodes[i].parent, NULL, c->arena);
    }
}

/* ---- What goes with the last thing in it ---- */

/* Is this what an act is about, and not something said about the act? */
static bool is_subject(const struct cda_doc *doc, uint32_t relationship)
{
    return sl_slice_eq(sl_cda_attribute(doc, relationship, CDA_AT_typeCode), SL_LIT("SUBJ")) &&
           !sl_slice_eq(sl_cda_attribute(doc, relationship, CDA_AT_inversionInd), SL_LIT("true"));
}

/* Can the parent not be without children like this one? */
static bool is_needed(const struct cda_doc *doc, uint32_t node)
{
    uint16_t parent = doc->nodes[doc->nodes[node].parent].name;
    switch (doc->nodes[node].name) {
    case CDA_component:
        return parent == CDA_organizer;
    case CDA_entryRelationship:
        return parent == CDA_act && is_subject(doc, node);
    case CDA_tr:
        return parent == CDA_tbody || parent == CDA_thead || parent == CDA_tfoot;
    case CDA_tbody:
        return parent == CDA_table;
    case CDA_item:
        return parent == CDA_list;
    default:
        return false;
    }
}

/* Children come after their parents: from the end, each parent is met when all its children are known. */
static void climb(struct cutting *c)
{
    const struct cda_node *nodes = c->doc->nodes;
    memset(c->needed, 0, c->doc->count * sizeof *c->needed);
    memset(c->left, 0, c->doc->count * sizeof *c->left);
    for (uint32_t i = c->doc->count - 1; i > 0; i--) {
        bool statement = sl_cda_is_statement(nodes[i].name);
        if (c->needed[i] && !c->left[i])
            sl_ccda_cut_node(c->ccda, statement ? nodes[i].parent : i, statement ? "required-element" : NULL, c->arena);
        if (!is_needed(c->doc, i))
            continue;
        c->needed[nodes[i].parent]++;
        c->left[nodes[i].parent] += !(c->ccda->state[i] & CDA_CUT);
    }
}

static void spread(struct cutting *c)
{
    uint8_t *state = c->ccda->state;
    for (uint32_t i = 1; i < c->doc->count; i++)
        if (state[c->doc->nodes[i].parent] & (CDA_CUT | CDA_WITHIN))
            state[i] |= CDA_WITHIN;
}

/* ---- What refers to a withheld entry ---- */

struct name { /* an identifier of a statement */
    uint32_t node;
    bool present; /* borne by a statement that stays */
};

/* C-CDA's entry reference: no statement of its own, only the identifier of another. */
static bool is_mention(const struct cda_doc *doc, uint32_t statement)
{
    uint32_t code = sl_cda_child(doc, statement, CDA_code);
    return sl_cda_has_template(doc, statement, SL_LIT("2.16.840.1.113883.10.20.22.4.122")) ||
           (code && sl_slice_eq(sl_cda_attribute(doc, code, CDA_AT_nullFlavor), SL_LIT("NP")));
}

static bool is_statement_id(const struct cda_doc *doc, uint32_t i)
{
    return doc->nodes[i].name == CDA_id && sl_cda_is_statement(doc->nodes[doc->nodes[i].parent].name) &&
           sl_cda_attribute(doc, i, CDA_AT_root).len;
}

static bool same_id(const struct cda_doc *doc, uint32_t a, uint32_t b)
{
    return sl_slice_eq(sl_cda_attribute(doc, a, CDA_AT_root), sl_cda_attribute(doc, b, CDA_AT_root)) &&
           sl_slice_eq(sl_cda_attribute(doc, a, CDA_AT_extension), sl_cda_attribute(doc, b, CDA_AT_extension));
}

static struct name *name_slot(const struct cutting *c, struct name *table, uint32_t mask, uint32_t id)
{
    uint64_t hash = sl_hash(sl_cda_attribute(c->doc, id, CDA_AT_root), c->ccda->seed);
    hash = sl_hash(sl_cda_attribute(c->doc, id, CDA_AT_extension), hash);
    size_t slot = (size_t)hash & mask;
    while (table[slot].node && !same_id(c->doc, table[slot].node, id))
        slot = (slot + 1) & mask;
    return &table[slot];
}

/* What is named by the identifiers of statements, those that only mention it left out. */
static struct name *index_statements(struct cutting *c, uint32_t *mask)
{
    uint32_t count = 0, slots = 16;
    for (uint32_t i = 1; i < c->doc->count; i++)
        count += is_statement_id(c->doc, i);
    while (slots < count * 2)
        slots *= 2;
    struct name *table = sl_arena_array(c->arena, slots, sizeof *table);
    *mask = slots - 1;
    for (uint32_t i = 1; table && i < c->doc->count; i++) {
        if (!is_statement_id(c->doc, i) || is_mention(c->doc, c->doc->nodes[i].parent))
            continue;
        struct name *name = name_slot(c, table, *mask, i);
        name->node = i;
        name->present |= !is_gone(c->ccda, i);
    }
    return table;
}

/* True: something more goes. */
static bool cut_mentions(struct cutting *c, bool *failed)
{
    uint32_t mask;
    struct name *table = index_statements(c, &mask);
    bool more = false;
    *failed = !table;
    for (uint32_t i = 1; table && i < c->doc->count; i++) {
        uint32_t statement = c->doc->nodes[i].parent;
        if (!is_statement_id(c->doc, i) || is_gone(c->ccda, i) || !is_mention(c->doc, statement))
            continue;
        const struct name *name = name_slot(c, table, mask, i);
        if (!name->node || name->present)
            continue;
        sl_ccda_cut_node(c->ccda, c->doc->nodes[statement].parent, "reference-withheld", c->arena);
        more = true;
    }
    return more;
}

static enum sl_status settle(struct cutting *c)
{
    bool more = true, failed = false;
    for (unsigned round = 0; more; round++) {
        climb(c);
        spread(c);
        more = cut_mentions(c, &failed);
        if (failed)
            return SL_NO_MEMORY;
        if (round == ROUNDS && more) {
            c->ccda->whole = "chain-too-long";
            return SL_OK;
        }
    }
    return SL_OK;
}

/* ---- Sections ---- */

static bool is_annotation(const struct cda_doc *doc, uint32_t entry)
{
    return sl_cda_has_template(doc, entry, SL_LIT("2.16.840.1.113883.3.3251.1.9"));
}

/* Is nothing in the section that tells anything? */
static bool is_empty(const struct cutting *c, uint32_t section)
{
    const struct cda_node *nodes = c->doc->nodes;
    bool words = false;
    for (uint32_t i = section + 1; i < nodes[section].next; i = nodes[i].next) {
        if (c->ccda->state[i] & CDA_CUT)
            continue;
        if (nodes[i].name == CDA_component || (nodes[i].name == CDA_entry && !is_annotation(c->doc, i)))
            return false;
        words |= nodes[i].name == CDA_text && sl_cda_has_words(c->doc, i);
    }
    return nodes[section].flags & CDA_CODED || !words || sl_cda_attribute(c->doc, section, CDA_AT_nullFlavor).len;
}

/* Has it lost something, or had nothing from the start? */
static bool has_lost(const struct cutting *c, uint32_t section)
{
    for (uint32_t i = section + 1; i < c->doc->nodes[section].next; i = c->doc->nodes[i].next)
        if (c->ccda->state[i] & CDA_CUT && c->doc->nodes[i].name != CDA_COMMENT)
            return true;
    return false;
}

static struct sl_slice section_code(const struct cda_doc *doc, uint32_t section)
{
    uint32_t code = sl_cda_child(doc, section, CDA_code);
    return code ? sl_cda_attribute(doc, code, CDA_AT_code) : (struct sl_slice){NULL, 0};
}

const struct sl_cda_section *sl_cda_required_section(const struct cda_doc *doc, uint32_t section)
{
    struct sl_slice code = section_code(doc, section);
    uint32_t body = doc->nodes[doc->nodes[section].parent].parent;
    if (doc->nodes[body].name != CDA_structuredBody)
        return NULL;
    for (size_t k = 0; k < SL_CDA_REQUIRED; k++)
        if (sl_slice_eq(code, sl_slice_of(sl_cda_required[k].code)) &&
            sl_cda_has_template(doc, doc->root, sl_slice_of(sl_cda_required[k].document)))
            return sl_cda_heading(code);
    return NULL;
}

/* A section that is required and has nothing to say stands there once, unless another one of its kind has. */
static void judge_required(struct cutting *c)
{
    const struct cda_node *nodes = c->doc->nodes;
    bool stands[SL_CDA_HEADINGS] = {false};
    for (uint32_t i = 1; i < c->doc->count; i++) {
        if (nodes[i].name != CDA_section || is_gone(c->ccda, i))
            continue;
        const struct sl_cda_section *kind = sl_cda_required_section(c->doc, i);
        if (kind)
            stands[kind - sl_cda_headings] = true;
    }
    for (uint32_t i = 1; i < c->doc->count; i++) {
        uint32_t holder = nodes[i].parent;
        if (nodes[i].name != CDA_section || !(c->ccda->state[holder] & CDA_CUT) || is_our_notice(c->doc, i))
            continue;
        const struct sl_cda_section *kind = sl_cda_required_section(c->doc, i);
        if (!kind || stands[kind - sl_cda_headings])
            continue;
        stands[kind - sl_cda_headings] = true;
        c->ccda->state[i] |= CDA_EMPTY;
        c->ccda->state[holder] |= CDA_EMPTY;
        c->ccda->state[holder] &= (uint8_t)~CDA_CUT;
    }
}

static void cut_sections(struct cutting *c)
{
    const struct cda_node *nodes = c->doc->nodes;
    for (uint32_t i = c->doc->count - 1; i > 0; i--)
        if (nodes[i].name == CDA_section && !is_gone(c->ccda, i) && is_empty(c, i))
            sl_ccda_cut_node(c->ccda, nodes[i].parent, has_lost(c, i) ? "nothing-left" : NULL, c->arena);
    spread(c);
    judge_required(c);
}

/* A body in which no section is left that tells anything. */
static bool has_body(const struct cutting *c)
{
    const struct cda_node *nodes = c->doc->nodes;
    uint32_t component = sl_cda_child(c->doc, c->doc->root, CDA_component);
    uint32_t body = component ? sl_cda_child(c->doc, component, CDA_structuredBody) : 0;
    if (!body) /* one that is no XML has been read, or not, as a whole */
        return component != 0 && sl_cda_child(c->doc, component, CDA_nonXMLBody) != 0;
    for (uint32_t i = body + 1; i < nodes[body].next; i = nodes[i].next) {
        uint32_t section = nodes[i].name == CDA_component ? sl_cda_child(c->doc, i, CDA_section) : 0;
        if (section && !(c->ccda->state[i] & (CDA_CUT | CDA_EMPTY)))
            return true;
    }
    return false;
}

/* ---- All of it ---- */

/* May narrative go that is linked to what goes? It is words. */
static bool is_narrative_permitted(const struct sl_item *item, const struct sl_content *content)
{
    for (uint32_t i = 0; i < item->part_count; i++)
        if (item->parts[i].inner == content && item->parts[i].narrative && item->parts[i].cut)
            return false;
    return true;
}

/* What goes with something else is not in what goes out, and earns it no label. */
static void mark_parts(struct sl_item *item, const struct sl_content *content)
{
    const struct sl_ccda *ccda = content->ccda;
    for (uint32_t i = 0; i < item->part_count; i++) {
        struct sl_part *part = &item->parts[i];
        if (part->inner == content && is_coded_text(&ccda->doc, part->node))
            part->cut |= sl_ccda_is_pruned(ccda, part->node);
        if (part->inner == content && !part->narrative)
            part->cut |= is_gone(ccda, part->node) || ccda->state[part->node] & CDA_EMPTY || ccda->whole;
    }
}

enum sl_status sl_ccda_cut(struct sl_item *item, struct sl_content *content, struct sl_arena *arena)
{
    struct sl_ccda *ccda = content->ccda;
    struct cutting c = {.ccda = ccda, .doc = &ccda->doc, .arena = arena};
    c.needed = sl_arena_raw(arena, c.doc->count, sizeof *c.needed);
    c.left = sl_arena_raw(arena, c.doc->count, sizeof *c.left);
    if (!c.needed || !c.left)
        return SL_NO_MEMORY;
    bool permitted = is_narrative_permitted(item, content);
    ccda->pruned = !permitted || !sl_ruling_may_text(item->ruling);
    cut_constants(&c);
    SL_TRY(settle(&c));
    sl_ccda_cut_linked(ccda, permitted, arena);
    climb(&c);
    spread(&c);
    sl_ccda_cut_dangling(ccda, arena);
    spread(&c);
    cut_sections(&c);
    if (!ccda->whole && !has_body(&c))
        ccda->whole = "nothing-left";
    sl_ccda_prune(ccda);
    mark_parts(item, content);
    return sl_arena_failed(arena) ? SL_NO_MEMORY : SL_OK;
}
