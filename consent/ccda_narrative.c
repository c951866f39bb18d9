/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The narrative of sections that have entries. What an entry refers to goes with the entry: the row of a table, the
 * item of a list, the paragraph. The rest is linked to nothing, so nobody knows which entry it repeats: it stays for a
 * party that may have every class that words can repeat, and for every other it always goes (design: always or never).
 * Of a table of which rows stay, its headings stay too: they say what columns are, not what is in them.
 */
#include "ccda.h"

static bool is_gone(const struct sl_ccda *ccda, uint32_t node)
{
    return ccda->state[node] & (CDA_CUT | CDA_WITHIN);
}

void sl_ccda_cut_linked(struct sl_ccda *ccda, bool permitted, struct sl_arena *arena)
{
    for (uint32_t i = 0; i < ccda->link_count; i++) {
        const struct cda_link *link = &ccda->links[i];
        if (!link->unit)
            continue;
        if (is_gone(ccda, link->from))
            sl_ccda_cut_node(ccda, link->unit, "narrative", arena);
        else if (!permitted)
            sl_ccda_cut_node(ccda, link->unit, NULL, arena);
    }
}

/* A reference to narrative that is gone goes, with what holds nothing else. */
static void cut_reference(struct sl_ccda *ccda, uint32_t reference, struct sl_arena *arena)
{
    const struct cda_node *nodes = ccda->doc.nodes;
    uint32_t parent = nodes[reference].parent;
    bool only = nodes[parent].name == CDA_text || nodes[parent].name == CDA_originalText;
    sl_ccda_cut_node(ccda, only && !sl_cda_has_words(&ccda->doc, parent) ? parent : reference, NULL, arena);
}

/* Does the narrative refer to something in it that is gone? */
static bool is_dangling(const struct sl_ccda *ccda, struct sl_slice id)
{
    uint32_t step = 0, found, count = 0;
    while ((found = sl_cda_id_next(ccda, id, &step))) {
        if (!is_gone(ccda, found))
            return false;
        count++;
    }
    return count > 0;
}

void sl_ccda_cut_dangling(struct sl_ccda *ccda, struct sl_arena *arena)
{
    const struct cda_node *nodes = ccda->doc.nodes;
    for (uint32_t i = 0; i < ccda->link_count; i++) {
        const struct cda_link *link = &ccda->links[i];
        if (nodes[link->from].name == CDA_reference && !is_gone(ccda, link->from) && is_gone(ccda, link->target))
            cut_reference(ccda, link->from, arena);
    }
    for (uint32_t i = 1; i < ccda->doc.count; i++) {
        struct sl_slice id = {NULL, 0};
        if (nodes[i].name == CDA_footnoteRef)
            id = sl_cda_attribute(&ccda->doc, i, CDA_AT_IDREF);
        else if (nodes[i].name == CDA_linkHtml)
            id = sl_cda_attribute(&ccda->doc, i, CDA_AT_href);
        if (nodes[i].name == CDA_linkHtml)
            id = id.len && id.ptr[0] == '#' ? sl_slice_from(id, 1) : (struct sl_slice){NULL, 0};
        if (id.len && !is_gone(ccda, i) && is_dangling(ccda, id))
            sl_ccda_cut_node(ccda, i, NULL, arena);
    }
}

/* ---- Pruning ---- */

static bool is_frame(uint16_t name)
{
    return name == CDA_thead || name == CDA_caption || name == CDA_col || name == CDA_colgroup;
}

/* A unit stays with all that is in it, and the tags around it stay up to the text of the section. */
static void keep_unit(struct sl_ccda *ccda, uint32_t unit)
{
    const struct cda_node *nodes = ccda->doc.nodes;
    for (uint32_t at = unit; nodes[at].flags & CDA_NARRATIVE; at = nodes[at].parent)
        if (nodes[at].name == CDA_thead)
            return; /* a heading, which stays with its table */
    ccda->state[unit] |= CDA_KEPT;
    for (uint32_t at = nodes[unit].parent; nodes[at].flags & CDA_NARRATIVE; at = nodes[at].parent) {
        if (ccda->state[at] & CDA_AROUND)
            return;
        ccda->state[at] |= CDA_AROUND;
    }
}

static void tell_entry(struct sl_ccda *ccda, uint32_t from)
{
    const struct cda_node *nodes = ccda->doc.nodes;
    uint32_t holder = nodes[from].holder;
    while (holder && nodes[holder].name != CDA_entry)
        holder = nodes[nodes[holder].parent].holder;
    if (holder)
        ccda->state[holder] |= CDA_TOLD;
}

static void prune_text(struct sl_ccda *ccda, uint32_t text)
{
    const struct cda_node *nodes = ccda->doc.nodes;
    ccda->state[text] |= CDA_AROUND;
    for (uint32_t i = text + 1; i < nodes[text].next;) {
        uint8_t *state = &ccda->state[i];
        bool heading = is_frame(nodes[i].name) && nodes[nodes[i].parent].name != CDA_text;
        if (!(*state & (CDA_KEPT | CDA_AROUND | CDA_CUT)))
            *state |= heading ? CDA_KEPT : CDA_CUT;
        i = *state & CDA_AROUND && !(*state & (CDA_CUT | CDA_KEPT)) ? i + 1 : nodes[i].next;
    }
}

void sl_ccda_prune(struct sl_ccda *ccda)
{
    const struct cda_node *nodes = ccda->doc.nodes;
    for (uint32_t i = 0; i < ccda->link_count; i++) {
        const struct cda_link *link = &ccda->links[i];
        if (!link->unit || is_gone(ccda, link->unit))
            continue;
        keep_unit(ccda, link->unit);
        if (ccda->state[link->unit] & CDA_KEPT)
            tell_entry(ccda, link->from);
    }
    for (uint32_t i = 1; i < ccda->doc.count; i++)
        if (nodes[i].name == CDA_section && nodes[i].flags & CDA_CODED && !is_gone(ccda, i)) {
            uint32_t text = sl_cda_child(&ccda->doc, i, CDA_text);
            if (text && sl_ccda_is_pruned(ccda, text))
                prune_text(ccda, text);
        }
}
