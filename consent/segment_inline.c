/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Labels that stand on elements (DS4P inline labels): an element with classes of its own says so itself, so that the
 * next gateway does not take the whole record, and what mentions it, for what one part of it is.
 *
 * Where an Extension can stand: in every object of R4's data types and backbones; on a primitive by its '_' half; for
 * an Extension, which holds either a value or extensions, on its value. Not on one of several primitives in an array,
 * whose '_' halves are told by their places: their labels go to the whole.
 */
#include "segmenting.h"

#define INLINE_LABEL "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label"
#define LABEL_LIMIT ((size_t)64 * 1024) /* bytes of what one element gets */
#define LEVELS "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"

/* What gets the label: an object that is there. Of a primitive it is its '_' half, and where there is none one is made
 * beside it. */
struct holder {
    uint32_t object, primitive;
};

static struct holder holder_of_primitive(const struct sl_doc *doc, uint32_t span)
{
    uint32_t parent = doc->parents[span];
    if (doc->spans[parent].type != SL_SPAN_OBJECT || !doc->spans[span].name)
        return (struct holder){0, 0};
    uint32_t sibling = sl_span_sibling(doc, parent, doc->spans[span].name);
    if (!sibling)
        return (struct holder){.primitive = span};
    return doc->spans[sibling].type == SL_SPAN_OBJECT ? (struct holder){sibling, span} : (struct holder){0, 0};
}

static bool is_extension(const struct sl_doc *doc, uint32_t span)
{
    uint32_t array = doc->parents[span];
    return doc->spans[array].type == SL_SPAN_ARRAY &&
           (doc->spans[array].name == SL_NAME_extension || doc->spans[array].name == SL_NAME_modifierExtension);
}

/* "Must have either extensions or value[x], not both" (R4, ext-1). */
static struct holder holder_of_extension(const struct sl_doc *doc, uint32_t span)
{
    for (uint32_t c = span + 1; c < doc->spans[span].next; c = doc->spans[c].next) {
        if (!sl_slice_starts(sl_span_key(doc, c), SL_LIT("value")))
            continue;
        return doc->spans[c].type == SL_SPAN_OBJECT ? (struct holder){.object = c} : holder_of_primitive(doc, c);
    }
    return (struct holder){.object = sl_span_member(doc, span, SL_NAME_extension) ? span : 0};
}

static struct holder holder_of(const struct sl_doc *doc, uint32_t span)
{
    if (doc->spans[span].type != SL_SPAN_OBJECT)
        return holder_of_primitive(doc, span);
    return is_extension(doc, span) ? holder_of_extension(doc, span) : (struct holder){.object = span};
}

/* The extensions of an object; 0 if it has none. */
static uint32_t extensions_of(const struct sl_doc *doc, uint32_t object)
{
    uint32_t array = object ? sl_span_member(doc, object, SL_NAME_extension) : 0;
    return array && doc->spans[array].type == SL_SPAN_ARRAY ? array : 0;
}

/* ---- What is there already ---- */

static uint32_t coding_of(const struct sl_doc *doc, uint32_t extension)
{
    uint32_t coding = sl_span_member(doc, extension, SL_NAME_valueCoding);
    return coding && doc->spans[coding].type == SL_SPAN_OBJECT ? coding : 0;
}

static const struct sl_inline *find_inline(const struct sl_item *item, uint32_t span)
{
    uint32_t low = 0, high = item->inline_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (item->inlines[middle].span < span)
            low = middle + 1;
        else
            high = middle;
    }
    return low < item->inline_count && item->inlines[low].span == span ? &item->inlines[low] : NULL;
}

static char level_of(const struct sl_doc *doc, uint32_t coding, struct sl_arena *arena)
{
    struct sl_slice code = sl_coding_member(doc, coding, SL_NAME_code, arena);
    bool level = code.len == 1 && sl_is_confidentiality(sl_coding_member(doc, coding, SL_NAME_system, arena));
    return level && sl_level_rank(code.ptr[0]) ? code.ptr[0] : 0;
}

char sl_inline_level(const struct sl_item *item, struct sl_arena *arena, bool *any)
{
    char highest = 0;
    for (uint32_t i = 0; i < item->inline_count; i++) {
        if (item->inlines[i].cut)
            continue;
        *any = true;
        uint32_t coding = coding_of(item->doc, item->inlines[i].span);
        char level = coding ? level_of(item->doc, coding, arena) : 0;
        if (sl_level_rank(level) > sl_level_rank(highest))
            highest = level;
    }
    return highest;
}

/* Does the element carry the label, or one of confidentiality as high? */
static bool is_there(
    const struct sl_item *item, uint32_t extensions, const struct sl_coding *label, struct sl_arena *arena)
{
    const struct sl_doc *doc = item->doc;
    bool level = sl_is_confidentiality(label->system);
    for (uint32_t c = extensions + 1; extensions && c < doc->spans[extensions].next; c = doc->spans[c].next) {
        const struct sl_inline *there = find_inline(item, c);
        uint32_t coding = there && !there->cut ? coding_of(doc, c) : 0;
        if (!coding)
            continue;
        if (level && sl_level_rank(level_of(doc, coding, arena)) >= sl_level_rank(label->code.ptr[0]))
            return true;
        if (sl_slice_eq(sl_coding_member(doc, coding, SL_NAME_code, arena), label->code) &&
            sl_slice_eq(sl_coding_member(doc, coding, SL_NAME_system, arena), label->system))
            return true;
    }
    return false;
}

/* ---- What is lacking ---- */

struct writing {
    const struct sl_inline_case *one;
    struct sl_arena *arena;
    uint32_t extensions;
    struct sl_buffer text;
};

static void add_label(struct writing *w, const struct sl_coding *label)
{
    if (is_there(w->one->item, w->extensions, label, w->arena))
        return;
    if (w->text.len)
        sl_buffer_add(&w->text, SL_LIT(","));
    sl_buffer_add(&w->text, SL_LIT("{\"url\":\"" INLINE_LABEL "\",\"valueCoding\":{\"system\":"));
    sl_buffer_json_string(&w->text, label->system);
    sl_buffer_add(&w->text, SL_LIT(",\"code\":"));
    sl_buffer_json_string(&w->text, label->code);
    sl_buffer_add(&w->text, SL_LIT("}}"));
}

static void add_labels(struct writing *w)
{
    const struct sl_release *release = w->one->release, *whole = w->one->whole;
    const struct sl_coding level = {.system = SL_LIT(LEVELS), .code = {&release->confidentiality, 1}};
    if (sl_level_rank(release->confidentiality) > sl_level_rank(w->one->level))
        add_label(w, &level);
    for (size_t i = 0; i < release->label_count; i++)
        if (!sl_release_has(whole, release->labels[i].system, release->labels[i].code))
            add_label(w, &release->labels[i]);
}

enum sl_status sl_inline_write(
    const struct sl_inline_case *one, struct sl_arena *arena, struct sl_slice *out, bool *stands)
{
    struct holder holder = holder_of(one->item->doc, one->span);
    struct writing w = {.one = one, .arena = arena, .extensions = extensions_of(one->item->doc, holder.object)};
    sl_buffer_init(&w.text, LABEL_LIMIT);
    add_labels(&w);
    bool failed = sl_buffer_failed(&w.text);
    *out = w.text.len ? sl_arena_copy(arena, sl_buffer_slice(&w.text)) : (struct sl_slice){NULL, 0};
    *stands = w.text.len == 0 || holder.object || holder.primitive;
    sl_buffer_fini(&w.text);
    return failed || sl_arena_failed(arena) ? SL_NO_MEMORY : SL_OK;
}

/* ---- Into the text ---- */

/* `extension` as the last member, wherever one that is cut had stood. */
static enum sl_status add_extension(struct sl_edits *edits, uint32_t object, struct sl_slice before,
    struct sl_slice label, struct sl_slice after, struct sl_arena *arena)
{
    const struct sl_slice parts[] = {before, SL_LIT("\"extension\":["), label, SL_LIT("]"), after};
    struct sl_slice member = sl_arena_join(arena, parts, 5);
    if (!member.ptr)
        return SL_NO_MEMORY;
    sl_edit_add_member(edits, object, member);
    return SL_OK;
}

static enum sl_status edit_half(
    const struct sl_doc *doc, uint32_t primitive, struct sl_slice label, struct sl_edits *edits, struct sl_arena *arena)
{
    const struct sl_slice parts[] = {SL_LIT("\"_"), sl_span_key(doc, primitive), SL_LIT("\":{")};
    struct sl_slice before = sl_arena_join(arena, parts, 3);
    if (!before.ptr)
        return SL_NO_MEMORY;
    return add_extension(edits, doc->parents[primitive], before, label, SL_LIT("}"), arena);
}

/* What cuts have emptied goes for good: where it had stood must not show. */
static enum sl_status edit_element(
    const struct sl_doc *doc, const struct sl_part *part, struct sl_edits *edits, struct sl_arena *arena)
{
    struct holder holder = holder_of(doc, part->span);
    uint32_t extensions = extensions_of(doc, holder.object);
    if (holder.primitive && (!holder.object || sl_edit_is_cut(edits, holder.object))) {
        if (holder.object)
            sl_edit_cut_half(edits, holder.object);
        return edit_half(doc, holder.primitive, part->label, edits, arena);
    }
    if (extensions && !sl_edit_is_cut(edits, extensions)) {
        sl_edit_add_item(edits, extensions, part->label);
        return SL_OK;
    }
    if (extensions)
        sl_edit_cut(edits, extensions);
    return add_extension(edits, holder.object, SL_LIT(""), part->label, SL_LIT(""), arena);
}

enum sl_status sl_inline_edit(const struct sl_item *item, struct sl_edits *edits, struct sl_arena *arena)
{
    for (uint32_t i = 0; i < item->part_count; i++)
        if (item->parts[i].label.len)
            SL_TRY(edit_element(item->doc, &item->parts[i], edits, arena));
    return SL_OK;
}
