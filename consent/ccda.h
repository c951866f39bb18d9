/* SPDX-License-Identifier: Apache-2.0 */
/*
 * C-CDA documents within a resource. Read once, while the resource is labelled, into a flat array of nodes over the
 * received bytes (ccda_read.c); what its sections, entries and participants are earns classes (ccda_label.c), as parts
 * of the resource that are decided like any other; what is withheld becomes cuts (ccda_cut.c, ccda_narrative.c), and
 * these and the notice become a document again (ccda_write.c). docs/decisions/0009 says why as it is.
 *
 * Everything lives in the labeller's arena. Inside the consent room only.
 */
#ifndef SLUICE_CONSENT_CCDA_H
#define SLUICE_CONSENT_CCDA_H

#include "labelling.h"
#include "sluice/segment.h"

#define SL_CDA_NODES ((uint32_t)1 << 21)
#define SL_CDA_DEPTH 96u

enum cda_name {
    CDA_UNKNOWN, /* in no namespace of CDA, or of no name that CDA has */
    CDA_DOCUMENT,
    CDA_COMMENT, /* or a processing instruction */
#define NAME(name) CDA_##name,
#include "ccda_names.def"
#undef NAME
    CDA_NAMES
};

enum cda_attribute_name {
    CDA_AT_NONE,
#define NAME(name) CDA_AT_##name,
#include "ccda_attributes.def"
#undef NAME
    CDA_ATTRIBUTES
};

struct cda_attribute {
    enum cda_attribute_name name;
    struct sl_slice value; /* unescaped */
};

/* An element, comment or processing instruction, in the order of the text. Number 0 is the document with its prolog. */
struct cda_node {
    uint32_t begin, end;       /* in the bytes, tags included */
    uint32_t inner, inner_end; /* between the tags; of an element without an end tag both are `end` */
    uint32_t parent, next;     /* next: the first node after all that is within this one */
    uint32_t attributes;       /* the first of them */
    uint16_t attribute_count;
    uint16_t name;
    uint32_t holder; /* what is cut for evidence that stands here: an entry, a section …; 0: the whole document */
    uint32_t part;   /* its place among the parts, counted from 1; 0: none */
    uint32_t flags;
};

enum {
    CDA_NARRATIVE = 1, /* within the text of a section, or that text itself */
    CDA_UNIT = 2,      /* goes with the entries that refer to it, or into it */
    CDA_CODED = 4,     /* a section with entries: its text repeats them */
    CDA_JUDGED = 8,    /* a code that our lists have judged: the words beside it say the same */
    CDA_ENCODED = 16,  /* holds base64 */
    CDA_SHARED = 32,   /* a part of a table of which rows share cells; */
    CDA_UNSHARED = 64  /* one that has been looked at */
};

struct cda_doc {
    struct sl_slice bytes;
    struct cda_node *nodes;
    uint32_t count, root, capacity;
    struct cda_attribute *attributes;
    uint32_t attribute_count, attribute_capacity;
    const char *why; /* set: it cannot be read, and why */
    bool ascii;      /* said to be in another encoding than UTF-8: nothing else may stand in it */
};

/* What a node has earned, before it becomes a part of the item. */
struct cda_part {
    uint32_t node;  /* what to cut; 0: the document, which is the item */
    bool narrative; /* not the node: all narrative that is linked to entries */
    bool candidate; /* a Part 2 candidate code */
    struct sl_slice candidate_detail;
    enum sl_source source;
    const struct sl_item *lender; /* stands in for the program that made it */
    struct sl_classes classes;
    const struct sl_reason *reasons;
};

/* A reference from an entry into the narrative. */
struct cda_link {
    uint32_t from;   /* the element that refers; within an entry, or (multimedia) the entry itself */
    uint32_t target; /* the element with the ID */
    uint32_t unit;   /* what goes with the entry */
};

/* What goes of a document, for reports. */
struct cda_cut {
    uint32_t node;
    struct sl_cause cause;
    const struct cda_cut *next;
};

struct sl_ccda {
    struct cda_doc doc;
    struct cda_part *parts; /* the first is the document's */
    uint32_t part_count, part_capacity;
    struct cda_link *links;
    uint32_t link_count, link_capacity;
    uint32_t *ids; /* nodes that bear an ID: open addressing */
    uint32_t id_mask;
    uint64_t seed;
    /* By segmentation. */
    const struct cda_cut *cuts; /* the last one first */
    size_t cut_count;
    uint8_t *state;    /* of each node: CDA_CUT … */
    const char *whole; /* nothing of it may go, and why */
    bool pruned;       /* only linked narrative goes */
};

/* What becomes of a node. */
enum {
    CDA_CUT = 1,    /* it goes, and what is in it */
    CDA_WITHIN = 2, /* it stands in something that goes */
    CDA_KEPT = 4,   /* narrative that stays in a text that is pruned, with all that is in it */
    CDA_AROUND = 8, /* holds some: its tags stay */
    CDA_TOLD = 16,  /* an entry of which the narrative tells */
    CDA_LOOSE = 64, /* a text of which what is linked to nothing may not go */
    CDA_EMPTY = 32  /* a section that is required and says that there is no information */
};

/* ---- ccda_label.c ---- */

/* Reads the bytes of a content of kind SL_CONTENT_CCDA and notes what its parts earn; what the document as a whole
 * earns becomes the item's. A document that cannot be read is made SL_CONTENT_UNREAD. */
SL_MUST_CHECK enum sl_status sl_ccda_label(
    struct sl_labeller *labeller, struct labelled *item, struct sl_content *content);
/* What the document says of who made it, for the item's source. */
enum sl_source sl_ccda_source(const struct sl_ccda *ccda, const struct sl_item **program);
/* Once the item's source is known: the parts of its documents become parts of the item. */
SL_MUST_CHECK enum sl_status sl_ccda_settle(struct sl_labeller *labeller, struct sl_item *item);
/* Part 2 candidate codes whose source is unknown. What is reached by route alone (a Binary) has the source of what
 * leads to it, so this is said of it when that is known. */
void sl_ccda_earn_unknown(struct sl_labeller *labeller, struct sl_item *item);

/* ---- ccda_cut.c ---- */

/* Before the parts of an item are decided; a part that may not go; then what follows from all of them. Where a document
 * may not go as a whole, its `whole` says why. */
SL_MUST_CHECK enum sl_status sl_ccda_begin(struct sl_labeller *labeller, struct sl_item *item, struct sl_arena *arena);
SL_MUST_CHECK enum sl_status sl_ccda_withhold(
    const struct sl_part *part, struct sl_cause cause, struct sl_arena *arena);
SL_MUST_CHECK enum sl_status sl_ccda_cut(struct sl_item *item, struct sl_content *content, struct sl_arena *arena);

/* Cuts a node; why: for reports, NULL where it goes always. */
void sl_ccda_cut_node(struct sl_ccda *ccda, uint32_t node, const char *why, struct sl_arena *arena);

/* ---- ccda_narrative.c ---- */

/* Narrative goes with the entries it is linked to; what is linked to none stays or goes by `pruned`. */
void sl_ccda_cut_linked(struct sl_ccda *ccda, bool permitted, struct sl_arena *arena);
void sl_ccda_cut_dangling(struct sl_ccda *ccda, struct sl_arena *arena);
void sl_ccda_prune(struct sl_ccda *ccda);

/* ---- ccda_write.c ---- */

/* Where the one before stood at this depth, so that neighbours are not counted anew. Zeroed at first. */
struct cda_place {
    uint32_t node, place;
};
/* What stands at a node: "/ClinicalDocument/component/structuredBody/component[2]/section". */
struct sl_slice sl_ccda_path(
    const struct sl_ccda *ccda, uint32_t node, struct cda_place places[SL_CDA_DEPTH + 1], struct sl_arena *arena);
/* The document as it goes out; ptr NULL: no memory. */
struct sl_slice sl_ccda_gather(struct sl_ccda *ccda, const struct sl_item *item, struct sl_arena *arena);
/* Puts it, for each document of a released item, in the place of the data. */
SL_MUST_CHECK enum sl_status sl_ccda_edit(const struct sl_item *item, struct sl_edits *edits, struct sl_arena *arena);

/* Does of this text of a section only go what is linked to entries? */
static inline bool sl_ccda_is_pruned(const struct sl_ccda *ccda, uint32_t text)
{
    return ccda->pruned || ccda->state[text] & CDA_LOOSE;
}

/* ---- Looking around ---- */

static inline bool sl_cda_is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static inline bool sl_cda_is_statement(uint16_t name)
{
    switch (name) {
    case CDA_act:
    case CDA_encounter:
    case CDA_observation:
    case CDA_observationMedia:
    case CDA_organizer:
    case CDA_procedure:
    case CDA_regionOfInterest:
    case CDA_substanceAdministration:
    case CDA_supply:
        return true;
    default:
        return false;
    }
}

/* ---- ccda_read.c ---- */

/* Reads XML without document type, entities or network. SL_OK with `why` set for what cannot be read: not well-formed,
 * too deep, too large, in an encoding other than UTF-8, no ClinicalDocument. The bytes are borrowed. */
SL_MUST_CHECK enum sl_status sl_cda_read(struct sl_arena *arena, struct sl_slice bytes, struct cda_doc *doc);

/* The value of an attribute; empty where there is none. */
static inline struct sl_slice sl_cda_attribute(const struct cda_doc *doc, uint32_t node, enum cda_attribute_name name)
{
    const struct cda_node *n = &doc->nodes[node];
    for (uint32_t i = n->attributes; i < n->attributes + n->attribute_count; i++)
        if (doc->attributes[i].name == name)
            return doc->attributes[i].value;
    return (struct sl_slice){NULL, 0};
}

/* The first child of that name from `child` on (0: from the first); 0: none. */
static inline uint32_t sl_cda_child(const struct cda_doc *doc, uint32_t node, enum cda_name name)
{
    for (uint32_t c = node + 1; c < doc->nodes[node].next; c = doc->nodes[c].next)
        if (doc->nodes[c].name == name)
            return c;
    return 0;
}

static inline bool sl_cda_has_template(const struct cda_doc *doc, uint32_t node, struct sl_slice root)
{
    for (uint32_t c = node + 1; c < doc->nodes[node].next; c = doc->nodes[c].next)
        if (doc->nodes[c].name == CDA_templateId && sl_slice_eq(sl_cda_attribute(doc, c, CDA_AT_root), root))
            return true;
    return false;
}

/* Are there words in the element, at any depth? Comments are none. */
bool sl_cda_has_words(const struct cda_doc *doc, uint32_t node);
/* The elements with that ID, one a call: *step starts at 0; 0: there are no more. */
uint32_t sl_cda_id_next(const struct sl_ccda *ccda, struct sl_slice id, uint32_t *step);

#endif
