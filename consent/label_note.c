/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notes kept apart, told by the type or folder that their source gives them (42 CFR 2.11, 45 CFR 164.501), never by
 * their words. Where each kind of record says it:
 *
 *   its type     DocumentReference.type, Composition.type, DocumentManifest.type, Media.type, Communication.category,
 *                ClinicalImpression.code, Basic.code, List.code: what it is, whatever else it says
 *   its folder   .category, DocumentReference.content.format, meta.tag, meta.source, the system of an identifier,
 *                QuestionnaireResponse.questionnaire: where it is kept
 *   a section    Composition.section.code: that section alone (label_walk.c)
 *
 * Both definitions leave out medication, times, modality, results and summaries. So only these types of resource can be
 * such a note, however their source files the others; and a document of a type that is left out is none, though it
 * stands in the folder. What is not asked: practiceSetting, facilityType and event say where and about what; a place
 * makes a program's record, not a note.
 */
#include <strings.h>

#include "labelling.h"

static const struct row {
    sl_r4_node type;
    sl_name kind, folder; /* its members, a CodeableConcept or several; 0: none */
} rows[] = {
    {SL_R4_DocumentReference, SL_NAME_type, SL_NAME_category},
    {SL_R4_Composition, SL_NAME_type, SL_NAME_category},
    {SL_R4_DocumentManifest, SL_NAME_type, 0},
    {SL_R4_Media, SL_NAME_type, 0},
    {SL_R4_Communication, SL_NAME_category, 0},
    {SL_R4_ClinicalImpression, SL_NAME_code, 0},
    {SL_R4_Basic, SL_NAME_code, 0},
    {SL_R4_List, SL_NAME_code, 0},
    {SL_R4_QuestionnaireResponse, 0, 0},
    {SL_R4_Binary, 0, 0},
};

static const struct row *row_of(sl_r4_node type)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].type == type)
            return &rows[i];
    return NULL;
}

bool sl_note_capable(const struct sl_earning *earning, sl_r4_node type)
{
    return earning->note_rule_count && row_of(type);
}

bool sl_note_is_kind(const struct sl_r4_element *element)
{
    const struct row *row = row_of(element->parent);
    return row && row->kind && element->name == row->kind;
}

enum sl_note_link sl_note_link(const struct sl_r4_element *element)
{
    switch (element->parent) {
    case SL_R4_DocumentReference_relatesTo:
    case SL_R4_Composition_relatesTo:
        return SL_NOTE_SAME;
    case SL_R4_List_entry:
        return element->name == SL_NAME_item ? SL_NOTE_FILED : SL_NOTE_NONE;
    default:
        return SL_NOTE_NONE;
    }
}

/* ---- Codes ---- */

static bool is_coding(const struct sl_note_rule *rule, sl_system number, struct sl_slice system, struct sl_slice code)
{
    bool same = rule->number > SL_SYSTEM_UNKNOWN ? rule->number == number : sl_slice_eq(rule->system, system);
    return same && code.len == rule->code.len && strncasecmp(code.ptr, rule->code.ptr, code.len) == 0;
}

const struct sl_note_rule *sl_note_find(
    struct sl_labeller *labeller, enum sl_note_by by, struct sl_slice system, struct sl_slice code, size_t from)
{
    const struct sl_earning *e = labeller->earning;
    sl_system number = sl_labeller_system(labeller, system);
    for (size_t i = from; i < e->note_rule_count; i++)
        if (e->note_rules[i].by == by && is_coding(&e->note_rules[i], number, system, code))
            return &e->note_rules[i];
    return NULL;
}

/* ---- One record ---- */

struct reading {
    struct sl_labeller *labeller;
    struct labelled *item;
    const struct sl_doc *doc;
    struct sl_classes not ; /* what its type says that it is not */
};

static void earn(struct reading *in, const struct sl_note_rule *rule, uint32_t span, bool by_type)
{
    struct sl_classes classes = rule->classes;
    for (unsigned i = 0; i < SL_CLASS_WORDS && !by_type; i++)
        classes.word[i] &= ~in->not .word[i];
    if (sl_classes_empty(&classes))
        return;
    sl_classes_join(&in->item->base_classes, &classes);
    sl_reason_push(in->labeller->arena, &in->item->base_reasons, &classes, SL_WHY_NOTE_TYPE, span,
        rule->code.len ? rule->code : rule->uri);
}

static struct sl_slice member(const struct reading *in, uint32_t object, sl_name name)
{
    uint32_t at = in->doc->spans[object].type == SL_SPAN_OBJECT ? sl_span_member(in->doc, object, name) : 0;
    if (!at || in->doc->spans[at].type != SL_SPAN_STRING)
        return (struct sl_slice){NULL, 0};
    return sl_span_string(in->doc, at, in->labeller->arena);
}

/* The object itself, or each of an array of them: for (i = first(d, at); i; i = next(d, at, i)). */
static uint32_t first(const struct sl_doc *doc, uint32_t at)
{
    if (!at || doc->spans[at].type != SL_SPAN_ARRAY)
        return at;
    return doc->spans[at].next > at + 1 ? at + 1 : 0;
}

static uint32_t next(const struct sl_doc *doc, uint32_t at, uint32_t i)
{
    if (i == at || doc->spans[i].next >= doc->spans[at].next)
        return 0;
    return doc->spans[i].next;
}

static void read_coding(struct reading *in, uint32_t coding, bool by_type)
{
    struct sl_slice system = member(in, coding, SL_NAME_system), code = member(in, coding, SL_NAME_code);
    const struct sl_note_rule *rules = in->labeller->earning->note_rules, *found;
    size_t from = 0;
    while (code.len && (found = sl_note_find(in->labeller, SL_NOTE_BY_TYPE, system, code, from)) != NULL) {
        earn(in, found, coding, by_type);
        from = (size_t)(found - rules) + 1;
    }
    from = 0;
    while (by_type && code.len && (found = sl_note_find(in->labeller, SL_NOTE_NOT, system, code, from)) != NULL) {
        sl_classes_join(&in->not, &found->classes);
        from = (size_t)(found - rules) + 1;
    }
}

static void read_concepts(struct reading *in, uint32_t at, bool by_type)
{
    for (uint32_t concept = first(in->doc, at); concept; concept = next(in->doc, at, concept)) {
        uint32_t codings =
            in->doc->spans[concept].type == SL_SPAN_OBJECT ? sl_span_member(in->doc, concept, SL_NAME_coding) : 0;
        for (uint32_t c = first(in->doc, codings); c; c = next(in->doc, codings, c))
            read_coding(in, c, by_type);
    }
}

/* A URI as the policy has it; what stands behind '#' or '|' names a part or a version of the same. */
static bool is_uri(struct sl_slice written, struct sl_slice uri)
{
    if (!sl_slice_starts(written, uri) || !uri.len)
        return false;
    return written.len == uri.len || written.ptr[uri.len] == '#' || written.ptr[uri.len] == '|';
}

static void read_uri(struct reading *in, enum sl_note_by by, struct sl_slice written, uint32_t span)
{
    const struct sl_earning *e = in->labeller->earning;
    for (size_t i = 0; i < e->note_rule_count && written.len; i++)
        if (e->note_rules[i].by == by && is_uri(written, e->note_rules[i].uri))
            earn(in, &e->note_rules[i], span, false);
}

static void read_identifiers(struct reading *in, uint32_t root, sl_name name)
{
    uint32_t at = sl_span_member(in->doc, root, name);
    for (uint32_t i = first(in->doc, at); i; i = next(in->doc, at, i))
        read_uri(in, SL_NOTE_BY_IDENTIFIER, member(in, i, SL_NAME_system), i);
}

static void read_meta(struct reading *in, uint32_t root)
{
    uint32_t meta = sl_span_member(in->doc, root, SL_NAME_meta);
    if (!meta || in->doc->spans[meta].type != SL_SPAN_OBJECT)
        return;
    uint32_t tags = sl_span_member(in->doc, meta, SL_NAME_tag);
    for (uint32_t tag = first(in->doc, tags); tag; tag = next(in->doc, tags, tag))
        read_coding(in, tag, false);
    read_uri(in, SL_NOTE_BY_SOURCE, in->item->item.source_uri, meta);
}

static void read_formats(struct reading *in, uint32_t root)
{
    uint32_t contents = sl_span_member(in->doc, root, SL_NAME_content);
    for (uint32_t c = first(in->doc, contents); c; c = next(in->doc, contents, c)) {
        uint32_t format = in->doc->spans[c].type == SL_SPAN_OBJECT ? sl_span_member(in->doc, c, SL_NAME_format) : 0;
        if (format)
            read_coding(in, format, false);
    }
}

void sl_label_note(struct sl_labeller *labeller, struct labelled *item)
{
    const struct row *row = row_of(item->item.type);
    struct reading in = {.labeller = labeller, .item = item, .doc = item->item.doc};
    uint32_t root = item->item.span;
    if (row->kind) /* first, since it says what folders cannot make it */
        read_concepts(&in, sl_span_member(in.doc, root, row->kind), true);
    if (row->folder)
        read_concepts(&in, sl_span_member(in.doc, root, row->folder), false);
    if (row->type == SL_R4_DocumentReference)
        read_formats(&in, root);
    read_meta(&in, root);
    read_identifiers(&in, root, SL_NAME_identifier);
    read_identifiers(&in, root, SL_NAME_masterIdentifier);
    read_uri(&in, SL_NOTE_BY_QUESTIONNAIRE, member(&in, root, SL_NAME_questionnaire), root);
}
