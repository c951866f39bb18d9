/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside segmentation: what segment.c (decisions become cuts), segment_cut.c (which span a cut ends up on),
 * segment_shape.c (what R4 asks of an object beyond required elements) segment_label.c (the labels of what is left) and
 * segment_inline.c (those that stand on elements) share.
 */
#ifndef SLUICE_CONSENT_SEGMENTING_H
#define SLUICE_CONSENT_SEGMENTING_H

#include "sluice/segment.h"

/* ---- segment_cut.c ---- */

/* Which spans of a document are cut: one bit a span, made when a document gets its first cut. What is gone stays gone,
 * so a look for what is left in a large container goes on where the one before it found something: `left`, by
 * container, made when there is a large one. Without it a record of a hundred thousand notes would take hours. */
struct sl_gone {
    const struct sl_doc *doc;
    uint64_t *bits;
    uint32_t *left;
    struct {
        uint32_t array, item, other;
    } pair; /* found last by same_place, which goes on from there in the same way */
};

static inline bool sl_gone_has(const struct sl_gone *gone, uint32_t span)
{
    return gone->bits[span / 64] >> (span % 64) & 1;
}

/* One step on the way from an item's root down to a span. */
struct sl_step {
    uint32_t span;
    sl_r4_node node;                     /* of the value */
    const struct sl_r4_element *element; /* NULL at the root, and where R4 knows none */
    bool half;                           /* the '_' half of a primitive, or one of an array of them */
    bool of_modifier;                    /* part of what a modifier element says */
};

/* What has been cut so far, of all documents. Zeroed but for the arena. */
struct sl_cutting {
    struct sl_arena *arena;
    struct sl_gone **table; /* by document: open addressing */
    size_t mask, count;
};

enum sl_cut_result {
    SL_CUT_BEFORE,   /* it was cut already */
    SL_CUT_PART,     /* *top goes */
    SL_CUT_RESOURCE, /* the resource goes: it is the span, or the span is one of its numbered parts */
    SL_CUT_REQUIRED  /* the resource goes: it cannot be without the span */
};

/* Marks `span` of the item as gone, and what goes with it: an element that R4 requires takes its parent, and so does
 * the last thing in a container, or what its parent has no meaning, or another meaning, without. `always`: it goes by
 * type, party and policy alone, so that it does not count as a change to a numbered part. */
SL_MUST_CHECK enum sl_status sl_cutting_cut(struct sl_cutting *cutting, const struct sl_item *item, uint32_t span,
    bool always, enum sl_cut_result *result, uint32_t *top);
/* Is the span still there, in what goes out of the item? */
bool sl_cutting_shows(const struct sl_cutting *cutting, const struct sl_item *item, uint32_t span);

/* ---- segment_shape.c ---- */

/* Having lost the element, has the object lost all that it is there to say (an extension its value, a section its
 * entries and text)? */
bool sl_shape_hollow(const struct sl_gone *gone, const struct sl_step *object, const struct sl_r4_element *lost);
/* Having lost the step's element, or this much of it, would the object say another thing than it did? R4 tells which
 * elements change the meaning of the one they stand in (is-modifier): doNotPerform, comparator, verificationStatus. */
bool sl_shape_turns(const struct sl_gone *gone, const struct sl_step *steps, unsigned i);
/* Is it such an element: one that R4 marks, or the "as needed" and the most of a dose? */
bool sl_shape_is_modifier(const struct sl_r4_element *element);
/* What stands in this step, whose `above` is known: is it part of what a modifier says? */
bool sl_shape_is_of_modifier(const struct sl_step *above, const struct sl_step *step);
/* Does the object say something at all, in that sense? */
bool sl_shape_says(const struct sl_doc *doc, uint32_t object, sl_r4_node node);
/* Are fewer entries left in the array than R4 asks for, where that is more than one? */
bool sl_shape_too_few(const struct sl_gone *gone, const struct sl_step *array);

/* ---- segment_limit.c ---- */

struct sl_terms;
struct sl_limit_calls {
    bool (*goes)(void *context, const struct sl_item *item); /* is anything of the item still to go? */
    enum sl_status (*cut)(void *context, struct sl_item *item, uint32_t span);
    enum sl_status (*change)(void *context, struct sl_item *item, uint32_t span, struct sl_slice text);
};
/* Does anything of a record of this type go on these terms? */
bool sl_limit_keeps_type(const struct sl_policy *policy, const struct sl_terms *terms, sl_r4_node type);
/* Calls cut and change for what the terms cut out of, and change in, the item; or one element of it. */
SL_MUST_CHECK enum sl_status sl_limit_item(struct sl_item *item, const struct sl_terms *terms, struct sl_arena *arena,
    const struct sl_limit_calls *calls, void *context);
SL_MUST_CHECK enum sl_status sl_limit_part(struct sl_item *item, uint32_t span, const struct sl_terms *terms,
    struct sl_arena *arena, const struct sl_limit_calls *calls, void *context);

/* ---- segment_label.c ---- */

#define SL_LABEL_CACHE_BITS 4u

/* Labels made for some classes: most items of a document are like one before, and so are most elements. */
struct sl_label_cache {
    struct sl_label_cached {
        const struct sl_ruling *ruling;
        struct sl_classes classes;
        struct sl_slice program, custodian, received, security, mark, statement;
        char level, confidentiality;
    } kept[1u << SL_LABEL_CACHE_BITS];
    struct sl_plain_part { /* an element that adds nothing to its whole */
        const struct sl_ruling *ruling;
        struct sl_classes whole, part;
        struct sl_slice program, named_program, custodian; /* of whoever's facts its release rests on */
    } plain[1u << SL_LABEL_CACHE_BITS];
    struct sl_release one, element; /* their room is used again */
    struct sl_coding *room;
};

/* Sets meta, security and mark of a released item whose cuts are known, and the inline labels of its elements. */
SL_MUST_CHECK enum sl_status sl_segment_label(
    struct sl_label_cache *cache, struct sl_arena *arena, struct sl_item *item);
/* Puts them into the text. */
SL_MUST_CHECK enum sl_status sl_segment_edit_meta(
    const struct sl_item *item, struct sl_edits *edits, struct sl_arena *arena);

/* ---- segment_inline.c ---- */

/* An element, what it goes out under, and what its whole says already. */
struct sl_inline_case {
    const struct sl_item *item;
    uint32_t span;
    const struct sl_release *release, *whole;
    char level; /* of the whole */
};
/* The inline labels that the element lacks, as Extensions with commas between; empty: none. *stands: false if a label
 * is lacking and cannot stand there. */
SL_MUST_CHECK enum sl_status sl_inline_write(
    const struct sl_inline_case *one, struct sl_arena *arena, struct sl_slice *out, bool *stands);
/* The highest confidentiality among the inline labels that are left of an item; 0: none. *any: is there one? */
char sl_inline_level(const struct sl_item *item, struct sl_arena *arena, bool *any);
/* Puts them into the text. */
SL_MUST_CHECK enum sl_status sl_inline_edit(const struct sl_item *item, struct sl_edits *edits, struct sl_arena *arena);

bool sl_release_has(const struct sl_release *release, struct sl_slice system, struct sl_slice code);
/* A Coding's member as a string, unescaped; empty if it has none. */
struct sl_slice sl_coding_member(const struct sl_doc *doc, uint32_t coding, sl_name name, struct sl_arena *arena);
bool sl_is_confidentiality(struct sl_slice system);

#endif
