/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Phase 1 of labelling: what a resource tells by itself. One walk over its spans, with the R4 table as automaton: each
 * object has a node, each member an element of it. This loop sees every value that Sluice releases and decides how fast
 * Sluice is, so nothing is allocated for a span and no strings are compared but those of codings and references.
 * Concepts, codings and references that hold nothing unusual are read on the spot; everything else gets a frame on an
 * explicit stack.
 *
 * What R4 does not know is noted as unknown and not looked into: a property of no such name, a value of the wrong JSON
 * shape (an object for a primitive, an array where nothing repeats, a single value where something does). It is always
 * cut.
 */
#include <strings.h>

#include "ccda.h"
#include "content.h"
#include "labelling.h"
#include "sluice/search.h"

/* What a frame hands down to the values within it. */
enum {
    FRAME_ARRAY = 1, /* its values are entries of `element`; node and self are those of the object that has the array */
    FRAME_SIBLING = 2,   /* the '_' half of a primitive */
    FRAME_DEFINES = 4,   /* within something that says what the resource is */
    FRAME_READ = 8,      /* a concept whose codings are looked up already */
    FRAME_TEXT = 16,     /* within free text that is noted already */
    FRAME_EXTENSION = 32 /* an Extension: what stands in it is cut with it */
};

struct frame {
    uint32_t end;  /* the span after the last one within */
    uint32_t self; /* the object */
    uint32_t cut;  /* what to cut for something in it that cannot be cut by itself */
    sl_r4_node node;
    uint16_t flags;
    const struct sl_r4_element *element; /* of the value; NULL at the root */
};

struct vector {
    void *items;
    uint32_t count, capacity;
};

struct nested {
    uint32_t span;
    struct labelled *owner;
    bool scoped;
};

/* Kept from one resource to the next, so that vectors grow once. */
struct walk_scratch {
    struct frame stack[STACK_DEPTH];
    struct vector references, unknown, signatures, counts, texts, patients, named, authors, contents, inlines, wordings,
        nested;
};

struct walk {
    struct sl_labeller *labeller;
    struct sl_arena *arena;
    const struct sl_earning *earning;
    struct walk_scratch *scratch;
    struct labelled *item;
    const struct sl_doc *doc;
    const struct sl_span *spans;
    struct frame *top;
    bool whole;           /* released whole or not at all: evidence anywhere classifies it */
    bool scoped;          /* this resource is contained: nothing is contained in it */
    bool note;            /* it can be a note kept apart */
    bool unnamed_patient; /* a patient by identifier or display alone */
    bool too_deep;
    bool words;              /* are looked for in this resource */
    bool judged;             /* the code just read stands in a list: what it means is settled */
    uint32_t judged_display; /* of a code of the concept being read that does; 0: none */
    uint32_t noted_display;  /* of one that does not, and is searched */
    struct {
        uint32_t half, entry;
    } pair;                             /* entries of two arrays that are one element each: see other_half */
    uint32_t modifier;                  /* the span of a modifierExtension */
    uint32_t status, doc_status, rules; /* root members; 0: none */
};

static void *vector_add(struct walk *w, struct vector *v, size_t size)
{
    if (v->count == v->capacity) {
        uint32_t capacity = v->capacity ? v->capacity * 2 : 32;
        void *items = sl_arena_raw(w->arena, capacity, size);
        if (!items)
            return NULL;
        if (v->count)
            memcpy(items, v->items, v->count * size);
        v->items = items;
        v->capacity = capacity;
    }
    return (char *)v->items + v->count++ * size;
}

static void add_span(struct walk *w, struct vector *v, uint32_t span)
{
    uint32_t *slot = vector_add(w, v, sizeof span);
    if (slot)
        *slot = span;
}

static void add_slice(struct walk *w, struct vector *v, struct sl_slice slice)
{
    struct sl_slice *slot = vector_add(w, v, sizeof slice);
    if (slot)
        *slot = slice;
}

/* Ends the list of the resource just read: its items, in the arena for good. */
static void *vector_take(struct walk *w, struct vector *v, size_t size, uint32_t *count)
{
    *count = v->count;
    v->count = 0;
    if (*count == 0)
        return NULL;
    void *items = sl_arena_raw(w->arena, *count, size);
    if (items)
        memcpy(items, v->items, *count * size);
    else
        *count = 0; /* the arena has failed, and with it the whole */
    return items;
}

/* A string's value; nearly always straight from the text. */
static inline struct sl_slice text_of(struct walk *w, uint32_t i)
{
    if (i == 0)
        return (struct sl_slice){NULL, 0};
    return w->spans[i].flags & SL_SPAN_ESCAPED ? sl_span_string(w->doc, i, w->arena) : sl_span_raw(w->doc, i);
}

static inline struct frame *push(
    struct walk *w, uint32_t i, sl_r4_node node, const struct sl_r4_element *element, uint16_t flags, uint32_t cut)
{
    if (w->top == w->scratch->stack + STACK_DEPTH - 1) {
        w->too_deep = true;
        return NULL;
    }
    struct frame *f = ++w->top;
    *f = (struct frame){
        .end = w->spans[i].next, .self = i, .cut = cut, .node = node, .flags = flags, .element = element};
    return f;
}

static uint32_t skip_unknown(struct walk *w, uint32_t i)
{
    add_span(w, &w->scratch->unknown, i);
    return w->spans[i].next;
}

/* ---- Evidence ---- */

struct find {
    uint32_t cut, span;
    enum sl_why why;
    bool whole, candidate;
    struct sl_slice detail;
};

static void earn(struct walk *w, const struct find *find, const struct sl_classes *classes)
{
    struct labelled *item = w->item;
    bool earns = !sl_classes_empty(classes);
    if (!earns && !find->candidate) /* a code that earns nothing here may be a program's all the same */
        return;
    if (find->whole || find->cut == item->item.span) {
        sl_classes_join(&item->base_classes, classes);
        item->base_candidate |= find->candidate;
        if (earns)
            sl_reason_push(w->arena, &item->base_reasons, classes, find->why, find->span, find->detail);
        return;
    }
    struct evidence *e = sl_arena_raw(w->arena, 1, sizeof *e);
    if (!e)
        return;
    *e = (struct evidence){.part = find->cut,
        .span = find->span,
        .classes = *classes,
        .why = find->why,
        .candidate = find->candidate,
        .detail = find->detail,
        .next = item->evidence};
    item->evidence = e;
}

static void earn_text(struct walk *w, uint32_t span, uint32_t cut)
{
    add_span(w, &w->scratch->texts, span);
    earn(w, &(struct find){.cut = cut, .span = span, .why = SL_WHY_TEXT}, &w->earning->text);
}

/* Words about something sensitive classify what is cut for it. */
static inline void note_words(struct walk *w, uint32_t span, uint32_t cut, enum sl_content_kind kind, bool whole)
{
    struct wording *wording = w->words ? vector_add(w, &w->scratch->wordings, sizeof *wording) : NULL;
    if (wording)
        *wording = (struct wording){.span = span, .cut = cut, .kind = kind, .whole = whole || w->whole};
}

/* "Yes" says what was asked: the answer goes with the question. One without an answer is asked of all. */
static void note_question(struct walk *w, uint32_t span)
{
    uint32_t item = w->top->self;
    bool answered = sl_span_member(w->doc, item, SL_NAME_answer) || sl_span_member(w->doc, item, SL_NAME_item);
    struct wording *wording = w->words && answered ? vector_add(w, &w->scratch->wordings, sizeof *wording) : NULL;
    if (wording)
        *wording = (struct wording){.span = span, .cut = item, .kind = SL_CONTENT_PLAIN, .question = true};
}

/* Where a value stands: whether it classifies the whole, and what is cut for it. */
struct place {
    const struct sl_r4_element *element;
    uint32_t cut;
    uint16_t flags; /* of the frame around it, and FRAME_DEFINES if its element says so */
};

/* Where a document or note says what kind it is. */
static bool is_note(const struct walk *w, const struct sl_r4_element *element)
{
    sl_r4_node type = w->item->item.type;
    bool document = type == SL_R4_DocumentReference || type == SL_R4_Composition || type == SL_R4_DocumentManifest ||
                    type == SL_R4_Media || type == SL_R4_Communication || type == SL_R4_ClinicalImpression;
    return document && element && element->parent == type &&
           (element->name == SL_NAME_type || element->name == SL_NAME_category || element->name == SL_NAME_code);
}

/* Where a label was found. */
enum label_place { LABEL_META, LABEL_ELEMENT, LABEL_INLINE };

/* AI wrote what the label stands on: all of it, or one element. Whether a human has vouched for it is seen later. */
static void note_ai(struct walk *w, uint32_t span, uint32_t cut)
{
    if (cut == w->item->item.span)
        w->item->ai = span;
    else
        earn(w, &(struct find){.cut = cut, .span = span, .why = SL_WHY_DRAFT, .detail = SL_LIT("AIAST")},
            &w->earning->draft);
}

/* What a label earns is worked out once all else is known of the record: see judge_labels in label_resolve.c. */
static void note_label(
    struct walk *w, enum label_place place, uint32_t span, uint32_t cut, const struct sl_security_rule *rule)
{
    struct labelled *item = w->item;
    struct evidence *e = sl_arena_raw(w->arena, 1, sizeof *e);
    if (!e)
        return;
    struct evidence **list = cut == item->item.span ? &item->labels : &item->evidence;
    *e = (struct evidence){.part = cut,
        .span = span,
        .classes = rule->classes,
        .why = SL_WHY_SECURITY,
        .label = rule,
        .level = place == LABEL_META && rule->code.len == 1 && sl_level_rank(rule->code.ptr[0]),
        .detail = rule->code,
        .next = *list};
    *list = e;
}

static bool is_system(sl_system number, sl_system wanted)
{
    return number == wanted && number > SL_SYSTEM_UNKNOWN;
}

/* The confidentiality of the whole, and the highest inline one, of what is contained too. */
static void note_level(struct walk *w, enum label_place place, sl_system system, struct sl_slice code)
{
    struct labelled *item = w->item;
    if (!is_system(system, w->labeller->system_level) || code.len != 1 || !sl_level_rank(code.ptr[0]))
        return;
    if (place == LABEL_META && sl_level_rank(code.ptr[0]) > sl_level_rank(item->level))
        item->level = code.ptr[0];
    for (; place == LABEL_INLINE && item; item = (struct labelled *)item->item.container)
        if (sl_level_rank(code.ptr[0]) > sl_level_rank(item->inline_level))
            item->inline_level = code.ptr[0];
}

/* A label of meta.security, of a document's or a Consent's securityLabel, or an inline one. One without a system, or in
 * the wrong case, is believed all the same: it can only restrict. */
static void read_label(
    struct walk *w, enum label_place place, uint32_t span, uint32_t cut, struct sl_slice system, struct sl_slice code)
{
    const struct sl_labeller *labeller = w->labeller;
    const struct sl_earning *e = w->earning;
    sl_system number = sl_labeller_system(w->labeller, system);
    if (is_system(number, labeller->system_value) && sl_slice_eq(code, SL_LIT("AIAST")))
        note_ai(w, span, cut);
    w->item->inlined |=
        place == LABEL_META && is_system(number, labeller->system_act) && sl_slice_eq(code, SL_LIT(SL_INLINED));
    note_level(w, place, number, code);
    for (size_t i = 0; i < e->security_count; i++) {
        const struct sl_security_rule *rule = &e->security[i];
        bool same = number > SL_SYSTEM_UNKNOWN ? number == labeller->security_systems[i]
                                               : system.len == 0 || sl_slice_eq(system, rule->system);
        bool named = code.len == rule->code.len && strncasecmp(code.ptr, rule->code.ptr, code.len) == 0;
        if (same && named)
            note_label(w, place, span, cut, rule);
    }
}

/* Does the policy know this code as one of a note kept apart? That of a section earns here; that of the whole record
 * when all of it has been walked (label_note.c). */
static bool read_note(
    struct walk *w, const struct place *place, uint32_t span, struct sl_slice system, struct sl_slice code)
{
    const struct sl_note_rule *rules = w->earning->note_rules, *rule;
    bool section = place->element->parent == SL_R4_Composition_section, known = false;
    if (!section && !sl_note_is_kind(place->element))
        return false;
    for (size_t from = 0; (rule = sl_note_find(w->labeller, SL_NOTE_BY_TYPE, system, code, from)) != NULL;
         from = (size_t)(rule - rules) + 1) {
        known = true;
        if (section)
            earn(w, &(struct find){.cut = place->cut, .span = span, .why = SL_WHY_NOTE_TYPE, .detail = rule->code},
                &rule->classes);
    }
    return known;
}

/* Looks one code up. True: somebody knows it. */
static bool read_code(
    struct walk *w, const struct place *place, uint32_t span, struct sl_slice system, struct sl_slice code)
{
    const struct sl_earning *e = w->earning;
    struct sl_code_hit hits[SL_CODE_HITS];
    bool note = is_note(w, place->element);
    bool apart = w->note && read_note(w, place, span, system, code);
    sl_system number = sl_labeller_system(w->labeller, system);
    size_t count = sl_terminology_find_in(e->terminology, number, code, hits, SL_CODE_HITS);
    for (size_t i = 0; i < count; i++) {
        const struct sl_category *category = sl_terminology_category(e->terminology, hits[i].category);
        struct find find = {.cut = place->cut,
            .span = span,
            .detail = category->id,
            .whole = w->whole || place->flags & FRAME_DEFINES,
            .candidate = !hits[i].weak && category->part2 == SL_CANDIDATE_YES,
            .why = note ? SL_WHY_NOTE_TYPE : SL_WHY_CODE};
        earn(w, &find, hits[i].weak ? &e->weak_by_category[hits[i].category] : &e->by_category[hits[i].category]);
    }
    w->judged = count || apart;
    return w->judged || sl_terminology_knows(e->terminology, number, code);
}

/* The words beside a code say what the code says, and a code that is judged has said it. */
static void note_display(struct walk *w, const struct place *place, uint32_t display, bool judged)
{
    if (judged) {
        w->judged_display = display;
    } else if (display) {
        w->noted_display = display;
        note_words(w, display, place->cut, SL_CONTENT_PLAIN, place->flags & FRAME_DEFINES);
    }
}

/* Reads a Coding. *plain is cleared if it holds more than a walk by frames would find nothing in. */
static bool read_coding(struct walk *w, const struct place *place, uint32_t i, bool *plain)
{
    const struct sl_span *spans = w->spans;
    uint32_t system = 0, code = 0, number = 0, display = 0;
    bool known = false;
    for (uint32_t c = i + 1; c < spans[i].next; c = spans[c].next) {
        bool string = spans[c].type == SL_SPAN_STRING && !(spans[c].flags & SL_SPAN_SIBLING);
        if (spans[c].name == SL_NAME_system && string)
            system = c;
        else if (spans[c].name == SL_NAME_code && string)
            code = c;
        else if (spans[c].name == SL_NAME_code && spans[c].type == SL_SPAN_NUMBER)
            number = c; /* no FHIR, and cut; but what it says counts */
        else if (spans[c].name == SL_NAME_display && string)
            display = c;
        else if (!string || spans[c].name != SL_NAME_version)
            *plain = false;
    }
    *plain = *plain && !number;
    w->judged = false;
    bool meta = place->element->parent == SL_R4_Meta && place->element->name == SL_NAME_security;
    if (code && (meta || place->element->name == SL_NAME_securityLabel)) {
        read_label(w, meta ? LABEL_META : LABEL_ELEMENT, i, w->item->item.span, text_of(w, system), text_of(w, code));
        return true;
    }
    if (code || number)
        known = read_code(w, place, i, text_of(w, system), code ? text_of(w, code) : sl_span_text(w->doc, number));
    note_display(w, place, display, w->judged);
    return known;
}

/* Where words alone do not do: what a thing is must be coded. */
static bool must_be_coded(const struct walk *w, const struct sl_r4_element *e)
{
    switch (e->name) {
    case SL_NAME_code:
    case SL_NAME_medicationCodeableConcept:
    case SL_NAME_vaccineCode:
    case SL_NAME_diagnosisCodeableConcept:
    case SL_NAME_procedureCodeableConcept:
    case SL_NAME_productOrService:
        return e->flags & SL_R4_DEFINES;
    default:
        return is_note(w, e) && e->name == SL_NAME_type;
    }
}

/* Must a code that stands here be known to somebody? Where it says what the resource is; not what it is filed under,
 * and of a claim not how it is paid. */
static bool must_be_known(const struct walk *w, const struct sl_r4_element *e)
{
    return e->flags & SL_R4_DEFINES && e->name != SL_NAME_category && (!w->whole || must_be_coded(w, e));
}

static void earn_unclassified(struct walk *w, uint32_t span)
{
    earn(w, &(struct find){.whole = true, .span = span, .why = SL_WHY_UNCLASSIFIED}, &w->earning->unclassified);
}

/* Does one of the two begin with the other, whatever their case? Versions of a display differ by what stands behind:
 * "Depression screening", "Depression screening (procedure)". */
static bool is_same_wording(const struct walk *w, uint32_t a, uint32_t b)
{
    struct sl_slice x = sl_span_raw(w->doc, a), y = sl_span_raw(w->doc, b);
    size_t len = x.len < y.len ? x.len : y.len;
    struct sl_slice rest = sl_slice_from(x.len < y.len ? y : x, len);
    return len >= 4 && strncasecmp(x.ptr, y.ptr, len) == 0 && (rest.len == 0 || sl_slice_starts(rest, SL_LIT(" (")));
}

static uint32_t visit_concept(struct walk *w, uint32_t i, const struct place *place)
{
    const struct sl_span *spans = w->spans;
    const struct sl_r4_element *e = place->element;
    bool plain = true, known = false, coded = false;
    uint32_t text = 0;
    w->judged_display = w->noted_display = 0;
    for (uint32_t c = i + 1; c < spans[i].next; c = spans[c].next) {
        if (spans[c].name == SL_NAME_coding && spans[c].type == SL_SPAN_ARRAY && !(spans[c].flags & SL_SPAN_SIBLING)) {
            for (uint32_t k = c + 1; k < spans[c].next; k = spans[k].next) {
                if (spans[k].type == SL_SPAN_OBJECT)
                    known |= read_coding(w, place, k, &plain);
                else
                    plain = false;
                coded = true;
            }
        } else if (spans[c].name == SL_NAME_text && spans[c].type == SL_SPAN_STRING &&
                   !(spans[c].flags & SL_SPAN_SIBLING)) {
            text = c;
        } else {
            plain = false;
        }
    }
    bool said =
        text && w->noted_display && sl_slice_eq(sl_span_raw(w->doc, text), sl_span_raw(w->doc, w->noted_display));
    if (text && !said && !(w->judged_display && is_same_wording(w, text, w->judged_display)))
        note_words(w, text, place->cut, SL_CONTENT_PLAIN, place->flags & FRAME_DEFINES);
    if (!known && (coded ? must_be_known(w, e) : must_be_coded(w, e)))
        earn_unclassified(w, i);
    if (plain)
        return spans[i].next;
    push(w, i, SL_R4_CodeableConcept, e, place->flags | FRAME_READ, place->cut);
    return w->too_deep ? spans[i].next : i + 1;
}

static uint32_t visit_coding(struct walk *w, uint32_t i, const struct place *place)
{
    bool plain = true, read = w->top->flags & FRAME_READ && w->top->node == SL_R4_CodeableConcept;
    if (!read && !read_coding(w, place, i, &plain) && must_be_known(w, place->element))
        earn_unclassified(w, i);
    if (plain && !read)
        return w->spans[i].next;
    push(w, i, SL_R4_Coding, place->element, place->flags, place->cut);
    return w->too_deep ? w->spans[i].next : i + 1;
}

/* ---- References ---- */

static void add_patient(
    struct walk *w, const struct sl_r4_element *e, const struct sl_reference *r, struct sl_slice written)
{
    struct vector *list = e->reference == SL_REF_SUBJECT ? &w->scratch->patients : &w->scratch->named;
    if (r->type == SL_R4_Patient || (r->target.len && r->type == 0 && r->target.ptr[0] != '#'))
        add_slice(w, list, r->target);
    else if (sl_slice_starts(written, SL_LIT("Patient?")))
        add_slice(w, list, written); /* somebody; no directive of his will be found */
    else if (r->target.len == 0 || r->target.ptr[0] == '#')
        w->unnamed_patient = true;
}

static struct sl_reference *note_reference(
    struct walk *w, const struct place *place, uint32_t i, struct sl_slice written)
{
    const struct sl_r4_element *e = place->element;
    struct target target = sl_target_read_kept(w->labeller, written, w->item->base);
    struct sl_reference *r = vector_add(w, &w->scratch->references, sizeof *r);
    if (!r)
        return NULL;
    *r = (struct sl_reference){.span = i,
        .element = place->cut,
        .type = target.type,
        .target = target.text,
        .patient = e->flags & SL_R4_PATIENT,
        .kind = e->reference != SL_REF_NONE ? (enum sl_r4_reference)e->reference : SL_REF_MENTION};
    r->kind = sl_reference_kind(r->kind, r->patient, r->type);
    if (w->note && r->kind == SL_REF_MENTION)
        r->note = sl_note_link(e);
    if (e->name == SL_NAME_coverage && w->earning->purse_count && sl_purse_pays(w->doc, e, w->top->self))
        w->item->paid = r->pays = true;
    if (r->patient)
        add_patient(w, e, r, written);
    if (e->flags & SL_R4_AUTHOR && r->target.len)
        add_slice(w, &w->scratch->authors, r->target);
    return r;
}

/* A url is a URI to be followed (datatypes.html); what a sequence's repository has for one, R4 types as a URI. */
static bool is_locator(const struct sl_r4_element *e)
{
    return e->node == SL_R4_url || (e->parent == SL_R4_MolecularSequence_repository && e->name == SL_NAME_url);
}

/* A URI that names a record, by its URL or as "#id", is a reference by another name. */
static void add_uri(struct walk *w, const struct place *place, uint32_t i)
{
    struct sl_slice uri = text_of(w, i);
    const char *version = uri.len && place->element->node == SL_R4_canonical ? memchr(uri.ptr, '|', uri.len) : NULL;
    if (version)
        uri.len = (size_t)(version - uri.ptr);
    struct sl_reference *r = note_reference(w, place, i, uri);
    if (r && is_locator(place->element) && !(sl_r4_facts(w->item->item.type) & SL_R4_DIRECTORY))
        r->link = true;
}

/* What a reference to a person shows is a name: that of a medicine or a street word is a coincidence. Where a patient
 * may stand, but need not, a place may. */
static bool is_person(const struct sl_reference *r)
{
    return (r->type == 0 && r->kind == SL_REF_SUBJECT) || r->type == SL_R4_Patient || r->type == SL_R4_Practitioner ||
           r->type == SL_R4_RelatedPerson || r->type == SL_R4_Person;
}

/* What stands behind a comma or within parentheses is no part of a name: "Roe, addiction counselor". */
static bool is_name(const struct walk *w, const struct sl_reference *r, uint32_t display)
{
    struct sl_slice raw = sl_span_raw(w->doc, display);
    bool more = memchr(raw.ptr, ',', raw.len) || memchr(raw.ptr, '(', raw.len);
    return is_person(r) && !(more && r->type == SL_R4_Practitioner);
}

static uint32_t visit_reference(struct walk *w, uint32_t i, const struct place *place)
{
    const struct sl_span *spans = w->spans;
    uint32_t text = 0, display = 0;
    bool plain = true;
    for (uint32_t c = i + 1; c < spans[i].next; c = spans[c].next) {
        bool string = spans[c].type == SL_SPAN_STRING && !(spans[c].flags & SL_SPAN_SIBLING);
        if (string && spans[c].name == SL_NAME_reference)
            text = c;
        else if (string && spans[c].name == SL_NAME_display)
            display = c;
        else if (!string || spans[c].name != SL_NAME_type)
            plain = false;
    }
    const struct sl_reference *r = note_reference(w, place, i, text_of(w, text));
    if (display && r && !is_name(w, r, display))
        note_words(w, display, place->cut, SL_CONTENT_PLAIN, r->kind == SL_REF_DEFINING);
    if (plain)
        return spans[i].next;
    push(w, i, SL_R4_Reference, place->element, place->flags, place->cut);
    return w->too_deep ? spans[i].next : i + 1;
}

/* ---- Other values worth a look ---- */

/* A url where a record's content may be: a reference to what it names. One that names no record is noted all the same,
 * since it is cut. */
static void add_link(struct walk *w, uint32_t url, uint32_t cut)
{
    struct target target = sl_target_read_kept(w->labeller, text_of(w, url), w->item->base);
    struct sl_reference *r = vector_add(w, &w->scratch->references, sizeof *r);
    if (r)
        *r = (struct sl_reference){.span = url,
            .element = cut,
            .type = target.type,
            .target = target.text,
            .link = true,
            .content = true,
            .kind = cut == w->item->item.span ? SL_REF_DEFINING : SL_REF_MENTION};
}

/* Reads the content of an Attachment object or a Binary, and what its kind alone earns. Content behind a url has the
 * classes of what the url leads to. */
static void earn_content(struct walk *w, uint32_t object, uint32_t data, uint32_t url, uint32_t cut)
{
    struct sl_content *content = vector_add(w, &w->scratch->contents, sizeof *content);
    if (!content)
        return;
    *content = (struct sl_content){.span = object, .data = data, .url = url, .cut = cut};
    content->type = text_of(w, sl_span_member(w->doc, object, SL_NAME_contentType));
    if (!data)
        return;
    sl_content_read(content, text_of(w, data), w->arena);
    if (content->kind == SL_CONTENT_CCDA && sl_ccda_label(w->labeller, w->item, content) != SL_OK)
        return;        /* the arena has failed, and with it the whole */
    if (content->ccda) /* what it earns, it earns part by part */
        return;
    bool text = sl_content_is_text(content->kind);
    earn(w, &(struct find){.cut = cut, .span = data, .why = text ? SL_WHY_TEXT : SL_WHY_UNREAD},
        text ? &w->earning->text : &w->earning->unread);
}

/* The only entry of its array? */
static bool is_alone(const struct walk *w, uint32_t entry)
{
    uint32_t array = w->doc->parents[entry];
    return entry == array + 1 && w->spans[entry].next == w->spans[array].next;
}

/* Does the whole go if the value at i goes? A required element takes its parent, over any number of steps: the only
 * content of a document is the document, and classifies it whole, wherever it is referred to. */
static bool is_all(const struct walk *w, uint32_t i, const struct sl_r4_element *e)
{
    const struct frame *f = w->top;
    for (; e && e->flags & SL_R4_REQUIRED; f--) {
        if (f->flags & FRAME_ARRAY) {
            if (!is_alone(w, i))
                return false;
            f--;
        }
        i = f->self;
        e = f->element;
    }
    return i == w->item->item.span;
}

static void read_attachment(struct walk *w, uint32_t i, const struct place *place)
{
    uint32_t data = sl_span_member(w->doc, i, SL_NAME_data), url = sl_span_member(w->doc, i, SL_NAME_url);
    if (data || url) /* else there is nothing to read */
        earn_content(w, i, data, url, place->cut);
    if (url && w->spans[url].type == SL_SPAN_STRING)
        add_link(w, url, is_all(w, i, place->element) ? w->item->item.span : place->cut);
}

static void note_date(struct sl_slice *slot, struct sl_slice date)
{
    if (!slot->len)
        *slot = date;
}

/* Where it says when it was; read where that matters. */
static void mark_date(struct walk *w, uint32_t i)
{
    struct labelled *item = w->item;
    if (item->date_count < SL_DATES)
        item->dates[item->date_count] = i;
    item->date_count += item->date_count <= SL_DATES;
}

static void read_period(struct walk *w, uint32_t i)
{
    mark_date(w, i);
    note_date(&w->item->item.date_from, text_of(w, sl_span_member(w->doc, i, SL_NAME_start)));
    note_date(&w->item->item.date_to, text_of(w, sl_span_member(w->doc, i, SL_NAME_end)));
}

/* The span of the value a '_' half belongs to, where there is one: an inline label on a primitive is about both. */
static uint32_t other_half(struct walk *w, const struct frame *f)
{
    const struct frame *array = (f - 1)->flags & FRAME_ARRAY ? f - 1 : NULL;
    uint32_t owner = (f - 1)->self, main = sl_span_member(w->doc, owner, f->element->name);
    if (!main || !array)
        return main ? main : f->self;
    uint32_t half = sl_span_sibling(w->doc, owner, f->element->name);
    bool on = w->pair.half > half && w->pair.half <= f->self; /* where the last one in this array stood */
    uint32_t c = on ? w->pair.half : half + 1, entry = on ? w->pair.entry : main + 1;
    for (; c < f->self && entry < w->spans[main].next; c = w->spans[c].next)
        entry = w->spans[entry].next;
    w->pair.half = c;
    w->pair.entry = entry;
    return w->spans[main].type == SL_SPAN_ARRAY && entry < w->spans[main].next ? entry : f->self;
}

/* DS4P's inline label: classes for what the extension stands on. One within an extension is about that extension. */
static void read_inline_label(struct walk *w, uint32_t i)
{
    uint32_t at = sl_span_member(w->doc, i, SL_NAME_url);
    if (!at || !sl_span_is(w->doc, at, SL_LIT(SL_INLINE_LABEL)))
        return;
    struct sl_inline *label = vector_add(w, &w->scratch->inlines, sizeof *label);
    if (label)
        *label = (struct sl_inline){.span = i};
    uint32_t coding = sl_span_member(w->doc, i, SL_NAME_valueCoding);
    if (!coding || w->spans[coding].type != SL_SPAN_OBJECT)
        return;
    const struct frame *holder = w->top->flags & FRAME_ARRAY ? w->top - 1 : w->top;
    uint32_t cut = holder->flags & FRAME_EXTENSION ? holder->cut
                   : holder->flags & FRAME_SIBLING ? other_half(w, holder)
                                                   : holder->self;
    read_label(w, LABEL_INLINE, coding, cut, text_of(w, sl_span_member(w->doc, coding, SL_NAME_system)),
        text_of(w, sl_span_member(w->doc, coding, SL_NAME_code)));
}

static uint32_t visit_nested(struct walk *w, uint32_t i, const struct sl_r4_element *e)
{
    struct nested *nested = w->scoped ? NULL : vector_add(w, &w->scratch->nested, sizeof *nested);
    if (!nested)
        return skip_unknown(w, i); /* contained resources contain none */
    *nested = (struct nested){.span = i, .owner = w->item, .scoped = e->name == SL_NAME_contained};
    return w->spans[i].next;
}

/* ---- The walk ---- */

static uint32_t visit_object(struct walk *w, uint32_t i, const struct sl_r4_element *e)
{
    const struct frame *f = w->top;
    uint32_t cut = f->flags & (FRAME_EXTENSION | FRAME_READ) ? f->cut : e->flags & SL_R4_PART ? f->self : i;
    struct place place = {e, cut, f->flags & (FRAME_DEFINES | FRAME_TEXT)};
    if (e->flags & SL_R4_DEFINES)
        place.flags |= FRAME_DEFINES;
    if (e->flags & SL_R4_RESOURCE)
        return visit_nested(w, i, e);
    switch (e->node) {
    case SL_R4_CodeableConcept:
        return visit_concept(w, i, &place);
    case SL_R4_Coding:
        return visit_coding(w, i, &place);
    case SL_R4_Reference:
        return visit_reference(w, i, &place);
    case SL_R4_Signature:
        add_span(w, &w->scratch->signatures, i);
        return w->spans[i].next;
    case SL_R4_Extension:
        place.cut = i;
        place.flags |= FRAME_EXTENSION;
        read_inline_label(w, i);
        break;
    default:
        break;
    }
    if (e->flags & SL_R4_TEXT && !(place.flags & FRAME_TEXT)) {
        earn_text(w, i, place.cut);
        place.flags |= FRAME_TEXT;
    }
    if (e->flags & SL_R4_ATTACHMENT)
        read_attachment(w, i, &place);
    if (e->flags & SL_R4_DATE && e->node == SL_R4_Period)
        read_period(w, i);
    push(w, i, e->node, e, place.flags, place.cut);
    return w->too_deep ? w->spans[i].next : i + 1;
}

/* Words that stand by themselves. Those of codings, concepts and references are noted where these are read. */
static void read_words(struct walk *w, uint32_t i, uint32_t cut, const struct sl_r4_element *e)
{
    switch (e->parent) {
    case SL_R4_Coding:
    case SL_R4_CodeableConcept:
    case SL_R4_Reference:
        break;
    case SL_R4_QuestionnaireResponse_item:
        note_question(w, i);
        break;
    case SL_R4_Narrative:
        if (e->name == SL_NAME_div)
            note_words(w, i, w->top->cut, SL_CONTENT_HTML, false);
        break;
    case SL_R4_Attachment:
        note_words(w, i, w->top->cut, SL_CONTENT_PLAIN, false); /* what cannot be read is what its title says */
        break;
    case SL_R4_DocumentReference:
    case SL_R4_DocumentManifest:
    case SL_R4_Composition:
        note_words(w, i, cut, SL_CONTENT_PLAIN, true);
        break;
    default:
        note_words(w, i, cut, SL_CONTENT_PLAIN, false);
        break;
    }
}

static void visit_scalar(struct walk *w, uint32_t i, const struct sl_r4_element *e)
{
    const struct frame *f = w->top;
    uint32_t cut = f->flags & FRAME_EXTENSION ? f->cut : i;
    if (w->spans[i].type == SL_SPAN_NULL)
        return;
    if (e->flags & SL_R4_TEXT && !(f->flags & FRAME_TEXT))
        earn_text(w, i, cut);
    if (w->words && (e->flags & (SL_R4_TEXT | SL_R4_STRING) || e->node == SL_R4_xhtml))
        read_words(w, i, cut, e);
    if (e->flags & SL_R4_DATE) {
        mark_date(w, i);
        note_date(&w->item->item.date_from, text_of(w, i));
        note_date(&w->item->item.date_to, text_of(w, i));
    }
    if (e->flags & SL_R4_COUNTED)
        add_span(w, &w->scratch->counts, i);
    if (e->reference)
        add_uri(w, &(struct place){e, cut, 0}, i);
    if (e->flags & SL_R4_ATTACHMENT) /* a Binary is its data */
        earn_content(w, w->item->item.span, i, 0, w->item->item.span);
    if (e->flags & SL_R4_CODED) {
        struct place place = {e, cut, (f->flags | (e->flags & SL_R4_DEFINES ? FRAME_DEFINES : 0)) & FRAME_DEFINES};
        read_code(w, &place, i, (struct sl_slice){NULL, 0}, text_of(w, i));
    }
}

/* The '_' half of a primitive: an Element, or an array of them and nulls beside an array of primitives. */
static uint32_t visit_half(struct walk *w, uint32_t i, const struct sl_r4_element *e)
{
    const struct frame *f = w->top;
    bool in_array = f->flags & FRAME_ARRAY, array = w->spans[i].type == SL_SPAN_ARRAY;
    if (in_array && w->spans[i].type == SL_SPAN_NULL)
        return i + 1;
    if (!(e->flags & SL_R4_PRIMITIVE) || (in_array ? array : array != ((e->flags & SL_R4_MANY) != 0)))
        return skip_unknown(w, i);
    uint16_t flags = f->flags & (FRAME_DEFINES | FRAME_EXTENSION);
    if (array)
        push(w, i, f->node, e, flags | FRAME_ARRAY | FRAME_SIBLING, f->cut);
    else if (w->spans[i].type == SL_SPAN_OBJECT)
        push(w, i, SL_R4_Element, e, flags | FRAME_SIBLING, flags & FRAME_EXTENSION ? f->cut : i);
    else
        return skip_unknown(w, i);
    if (array && !w->too_deep)
        w->top->self = f->self;
    return w->too_deep ? w->spans[i].next : i + 1;
}

static uint32_t visit_array(struct walk *w, uint32_t i, const struct sl_r4_element *e)
{
    const struct frame *f = w->top;
    if (e->name == SL_NAME_modifierExtension)
        w->modifier = i;
    if (!push(w, i, f->node, e, (f->flags & ~FRAME_SIBLING) | FRAME_ARRAY, f->cut))
        return w->spans[i].next;
    w->top->self = f->self;
    return i + 1;
}

static inline bool is_single(const struct sl_span *s, const struct sl_r4_element *e, bool in_array)
{
    if (!(e->flags & SL_R4_PRIMITIVE))
        return s->type == SL_SPAN_OBJECT;
    switch (e->node) {
    case SL_R4_boolean:
        return s->type == SL_SPAN_TRUE || s->type == SL_SPAN_FALSE || (s->type == SL_SPAN_NULL && in_array);
    case SL_R4_decimal:
    case SL_R4_integer:
    case SL_R4_positiveInt:
    case SL_R4_unsignedInt:
        return s->type == SL_SPAN_NUMBER || (s->type == SL_SPAN_NULL && in_array);
    default:
        return s->type == SL_SPAN_STRING || (s->type == SL_SPAN_NULL && in_array);
    }
}

#define WATCHED (SL_R4_TEXT | SL_R4_STRING | SL_R4_DATE | SL_R4_ATTACHMENT | SL_R4_CODED | SL_R4_COUNTED)

static inline uint32_t visit(struct walk *w, uint32_t i)
{
    const struct frame *f = w->top;
    const struct sl_span *s = &w->spans[i];
    bool in_array = f->flags & FRAME_ARRAY;
    const struct sl_r4_element *e = in_array ? f->element : sl_r4_element(f->node, s->name);
    if (!e)
        return s->name == SL_NAME_resourceType && f == w->scratch->stack ? s->next : skip_unknown(w, i);
    if (s->flags & SL_SPAN_SIBLING || (in_array && f->flags & FRAME_SIBLING))
        return visit_half(w, i, e);
    if (!in_array && e->flags & SL_R4_MANY)
        return s->type == SL_SPAN_ARRAY ? visit_array(w, i, e) : skip_unknown(w, i);
    if (!is_single(s, e, in_array))
        return skip_unknown(w, i);
    if (!(e->flags & SL_R4_PRIMITIVE))
        return visit_object(w, i, e);
    if (e->flags & WATCHED || e->reference || e->node == SL_R4_xhtml)
        visit_scalar(w, i, e);
    return i + 1;
}

static void walk_members(struct walk *w)
{
    struct sl_item *item = &w->item->item;
    uint32_t end = w->spans[item->span].next;
    w->top = w->scratch->stack;
    *w->top = (struct frame){.end = end, .self = item->span, .cut = item->span, .node = item->type};
    for (uint32_t i = item->span + 1; i < end;) {
        while (i >= w->top->end)
            w->top--;
        i = visit(w, i);
    }
}

/* ---- Before and after ---- */

static void read_meta(struct walk *w, uint32_t meta)
{
    struct sl_item *item = &w->item->item;
    for (uint32_t c = meta + 1; c < w->spans[meta].next; c = w->spans[c].next) {
        if (w->spans[c].flags & SL_SPAN_SIBLING)
            continue;
        if (w->spans[c].name == SL_NAME_versionId)
            item->version = text_of(w, c);
        else if (w->spans[c].name == SL_NAME_source)
            item->source_uri = text_of(w, c);
    }
}

/* FHIR's id type, but for its length: real servers have longer ones, and underscores. */
static bool is_id(struct sl_slice id)
{
    return id.len > 0 && id.len <= 128 && sl_id_is_spelt(id, true);
}

/* Who the resource is; why it cannot be labelled, if so. */
static const char *read_root(struct walk *w)
{
    struct sl_item *item = &w->item->item;
    uint32_t type = 0, id = 0;
    if (w->spans[item->span].type != SL_SPAN_OBJECT)
        return "not-a-resource";
    for (uint32_t c = item->span + 1; c < w->spans[item->span].next; c = w->spans[c].next) {
        if (w->spans[c].flags & SL_SPAN_SIBLING)
            continue;
        switch (w->spans[c].name) {
        case SL_NAME_resourceType:
            type = c;
            break;
        case SL_NAME_id:
            id = c;
            break;
        case SL_NAME_meta:
            read_meta(w, c);
            break;
        case SL_NAME_implicitRules:
            w->rules = c;
            break;
        case SL_NAME_status:
            w->status = c;
            break;
        case SL_NAME_docStatus:
            w->doc_status = c;
            break;
        default:
            break;
        }
    }
    item->type = sl_labeller_type(w->labeller, text_of(w, type));
    if (!item->type)
        return "unknown-type";
    if (!id)
        return NULL;
    item->id = text_of(w, id);
    if (is_id(item->id))
        return NULL;
    item->id = (struct sl_slice){NULL, 0};
    return "bad-id";
}

/* What stands in front of "/Type/id" in the entry's fullUrl. */
static struct sl_slice base_of(const struct sl_item *item)
{
    struct sl_slice type = sl_r4_node_name(item->type), url = item->full_url;
    size_t tail = type.len + item->id.len + 2;
    if (!item->id.len || url.len <= tail)
        return (struct sl_slice){NULL, 0};
    const char *at = url.ptr + url.len - tail;
    if (at[0] != '/' || memcmp(at + 1, type.ptr, type.len) != 0 || at[type.len + 1] != '/' ||
        memcmp(at + type.len + 2, item->id.ptr, item->id.len) != 0)
        return (struct sl_slice){NULL, 0};
    return (struct sl_slice){url.ptr, url.len - tail};
}

static bool is_word(struct walk *w, uint32_t span, const char *const *words)
{
    for (; *words; words++)
        if (sl_span_is(w->doc, span, sl_slice_of(*words)))
            return true;
    return false;
}

/* A human has signed: the status of a document says so where there is one. */
static void judge_signed(struct walk *w)
{
    static const char *const done[] = {"final", "amended", "corrected", "appended", "completed", NULL};
    uint32_t status = w->doc_status ? w->doc_status : w->status;
    w->item->signed_off = (status && is_word(w, status, done)) || sl_draft_is_signed(w->labeller, &w->item->item);
}

static const char *judge_modifiers(struct walk *w)
{
    if (w->modifier) {
        earn(w, &(struct find){.whole = true, .span = w->modifier, .why = SL_WHY_MODIFIER}, &w->earning->unclassified);
        return "modifier-extension";
    }
    return w->rules ? "implicit-rules" : w->too_deep ? "too-deep" : NULL;
}

const struct sl_reason *sl_label_type_reason(struct sl_labeller *labeller, sl_r4_node type)
{
    const struct sl_reason **shared = &labeller->type_reasons[type];
    if (!*shared)
        sl_reason_push(
            labeller->arena, shared, &labeller->earning->by_type[type], SL_WHY_TYPE, 0, sl_r4_node_name(type));
    return *shared;
}

static void earn_type(struct walk *w)
{
    struct labelled *item = w->item;
    sl_r4_node type = item->item.type;
    const struct sl_classes *classes = &w->earning->by_type[type];
    if (type == 0 || sl_classes_empty(classes)) {
        earn_unclassified(w, 0);
        return;
    }
    item->base_reasons = sl_label_type_reason(w->labeller, type);
    item->base_classes = *classes;
}

static void take_lists(struct walk *w)
{
    struct sl_item *item = &w->item->item;
    struct walk_scratch *s = w->scratch;
    if (item->type == SL_R4_Patient) {
        if (item->id.len)
            add_slice(w, &s->patients, sl_arena_printf(w->arena, "Patient/%.*s", SL_FMT(item->id)));
        else if (item->full_url.len)
            add_slice(w, &s->patients, item->full_url);
        w->unnamed_patient |= s->patients.count == 0;
    }
    if (w->unnamed_patient && s->patients.count + s->named.count == 0)
        add_slice(w, &s->patients, SL_LIT("?"));
    item->named_count = s->named.count;
    for (uint32_t i = 0; i < s->named.count; i++)
        add_slice(w, &s->patients, ((const struct sl_slice *)s->named.items)[i]);
    s->named.count = 0;
    item->references = vector_take(w, &s->references, sizeof *item->references, &item->reference_count);
    item->unknown = vector_take(w, &s->unknown, sizeof *item->unknown, &item->unknown_count);
    item->signatures = vector_take(w, &s->signatures, sizeof *item->signatures, &item->signature_count);
    item->counts = vector_take(w, &s->counts, sizeof *item->counts, &item->count_count);
    item->texts = vector_take(w, &s->texts, sizeof *item->texts, &item->text_count);
    item->inlines = vector_take(w, &s->inlines, sizeof *item->inlines, &item->inline_count);
    item->contents = vector_take(w, &s->contents, sizeof *item->contents, &item->content_count);
    item->patients = vector_take(w, &s->patients, sizeof *item->patients, &item->patient_count);
    item->authors = vector_take(w, &s->authors, sizeof *item->authors, &item->author_count);
}

static enum sl_status walk_one(struct sl_labeller *labeller, struct labelled *item)
{
    struct walk w = {.labeller = labeller,
        .arena = labeller->arena,
        .earning = labeller->earning,
        .item = item,
        .scratch = labeller->scratch,
        .doc = item->item.doc,
        .spans = item->item.doc->spans,
        .scoped = item->scoped};
    const char *why = read_root(&w);
    earn_type(&w);
    if (!sl_labeller_enter(labeller, item))
        return SL_NO_MEMORY;
    if (!item->item.container)
        item->base = base_of(&item->item);
    if (!why && item->item.type == SL_R4_Bundle)
        why = "nested-bundle";
    if (item->item.type && item->item.type != SL_R4_Bundle) {
        unsigned facts = sl_r4_facts(item->item.type);
        w.whole = facts & SL_R4_WHOLE;
        w.note = sl_note_capable(w.earning, item->item.type);
        w.words = w.earning->words && !(facts & SL_R4_DIRECTORY);
        w.scratch->wordings.count = 0;
        walk_members(&w);
        if (w.note)
            sl_label_note(labeller, item);
        if (item->item.type == SL_R4_Coverage && w.earning->purse_count)
            sl_purse_read(labeller, item);
        judge_signed(&w);
        sl_instrument_judge(labeller, item);
        const char *modified = judge_modifiers(&w);
        why = why ? why : modified;
        take_lists(&w);
        const struct vector *wordings = &w.scratch->wordings;
        const char *unsearched = w.words ? sl_label_words(labeller, item, wordings->items, wordings->count) : NULL;
        why = why ? why : unsearched;
    }
    if (item->item.type == SL_R4_Provenance && !item->item.is_version) /* what it once said counts no more */
        SL_TRY(sl_draft_read(labeller, item->item.doc, item->item.span, item->base));
    if (!item->scoped && item->item.id.len)
        item->mark = sl_registered_find(labeller->registered, item->item.type, item->item.id);
    item->base_unlabelled = item->item.unlabelled = why;
    item->item.classes = item->base_classes;
    item->item.reasons = item->base_reasons;
    return sl_arena_failed(labeller->arena) ? SL_NO_MEMORY : SL_OK;
}

/* The resources within, first in first out: those within one that is within another come later. */
static enum sl_status walk_nested(struct sl_labeller *labeller, const struct nested *nested)
{
    struct labelled *owner = nested->owner;
    struct labelled *item = sl_labeller_append(labeller, owner->item.doc, nested->span);
    if (!item)
        return SL_NO_MEMORY;
    item->item.container = &owner->item;
    item->item.context = owner->item.context;
    item->base = owner->base;
    item->scoped = nested->scoped;
    return walk_one(labeller, item);
}

enum sl_status sl_label_walk(struct sl_labeller *labeller, struct labelled *item)
{
    if (!labeller->scratch)
        labeller->scratch = sl_arena_alloc(labeller->arena, sizeof *labeller->scratch);
    if (!labeller->scratch)
        return SL_NO_MEMORY;
    struct vector *nested = &labeller->scratch->nested;
    nested->count = 0;
    SL_TRY(walk_one(labeller, item));
    for (uint32_t i = 0; i < nested->count; i++) {
        struct nested one = ((const struct nested *)nested->items)[i]; /* the vector may move */
        SL_TRY(walk_nested(labeller, &one));
    }
    return SL_OK;
}
