/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a C-CDA says by itself. One walk over its nodes: each stands in a *holder*, which is what is cut for it (a
 * section, an entry, a statement nested in one), or in the header, which is about the whole document. Codes with their
 * translations and values, security labels, templates and the organizations that took part earn the holder its classes.
 *
 * As everywhere, who made something classifies it (author, custodian, who performed it, where it took place); whom it
 * merely mentions (who is to perform it, who receives it) classifies that mention alone.
 */
#include <strings.h>

#include "ccda_reading.h"
#include "content.h"
#include "hash.h"

/* Templates of DS4P for CDA. */
#define TEMPLATE_MARKINGS "2.16.840.1.113883.3.3251.1.5"

/* ---- Parts ---- */

static void *vector_grow(struct sl_arena *arena, void *items, uint32_t count, uint32_t *capacity, size_t size)
{
    if (count < *capacity)
        return items;
    uint32_t more = *capacity ? *capacity * 2 : 64;
    void *moved = sl_arena_raw(arena, more, size);
    if (!moved)
        return NULL;
    if (count)
        memcpy(moved, items, count * size);
    *capacity = more;
    return moved;
}

/* The part of a node, made if there is none. NULL: no memory, which the arena tells. */
static struct cda_part *part_of(struct reading *r, uint32_t node)
{
    struct sl_ccda *ccda = r->ccda;
    struct cda_node *n = &r->doc->nodes[node];
    if (n->part)
        return &ccda->parts[n->part - 1];
    struct cda_part *parts = vector_grow(r->arena, ccda->parts, ccda->part_count, &ccda->part_capacity, sizeof *parts);
    if (!parts)
        return NULL;
    ccda->parts = parts;
    parts[ccda->part_count++] = (struct cda_part){.node = node};
    n->part = ccda->part_count;
    return &parts[n->part - 1];
}

void sl_cda_earn(
    struct reading *r, uint32_t node, const struct sl_classes *classes, enum sl_why why, struct sl_slice detail)
{
    if (sl_classes_empty(classes))
        return;
    struct cda_part *part = part_of(r, node);
    if (!part)
        return;
    if (sl_classes_within(classes, &part->classes))
        return; /* what earned them first is reason enough */
    sl_classes_join(&part->classes, classes);
    sl_reason_push(r->arena, &part->reasons, classes, why, r->evidence, detail);
}

/* ---- Looking around ---- */

static enum cda_name name_at(const struct reading *r, uint32_t node)
{
    return (enum cda_name)r->doc->nodes[node].name;
}

static uint32_t parent_of(const struct reading *r, uint32_t node)
{
    return r->doc->nodes[node].parent;
}

/* What holds a statement, or a section: cut for what is in it. */
static bool is_wrapper(const struct reading *r, uint32_t node)
{
    enum cda_name name = name_at(r, node), parent = name_at(r, parent_of(r, node));
    if (name == CDA_entry || name == CDA_entryRelationship)
        return true;
    return name == CDA_component && parent != CDA_ClinicalDocument && parent != CDA_UNKNOWN;
}

static bool has_template(const struct reading *r, uint32_t node, struct sl_slice root)
{
    return sl_cda_has_template(r->doc, node, root);
}

static struct sl_slice raw_inner(const struct reading *r, uint32_t node)
{
    const struct cda_node *n = &r->doc->nodes[node];
    return (struct sl_slice){r->doc->bytes.ptr + n->inner, n->inner_end - n->inner};
}

/* ---- Codes ---- */

static bool look_up(struct reading *r, uint32_t node, uint32_t holder, struct sl_slice system, struct sl_slice code)
{
    const struct sl_earning *e = r->earning;
    struct sl_code_hit hits[SL_CODE_HITS];
    sl_system number = sl_labeller_system(r->labeller, system);
    size_t count = sl_terminology_find_in(e->terminology, number, code, hits, SL_CODE_HITS);
    for (size_t i = 0; i < count; i++) {
        const struct sl_category *category = sl_terminology_category(e->terminology, hits[i].category);
        sl_cda_earn(r, holder,
            hits[i].weak ? &e->weak_by_category[hits[i].category] : &e->by_category[hits[i].category], SL_WHY_CODE,
            category->id);
        if (hits[i].weak || category->part2 != SL_CANDIDATE_YES)
            continue;
        struct cda_part *part = part_of(r, holder);
        if (part && !part->candidate) {
            part->candidate = true;
            part->candidate_detail = category->id;
        }
    }
    if (count)
        r->doc->nodes[node].flags |= CDA_JUDGED;
    return count || sl_terminology_knows(e->terminology, number, code);
}

/* The kinds of note that are kept apart, by the policy's table: of a document, a section, a note within an entry. */
static bool read_note_type(struct reading *r, uint32_t holder, struct sl_slice system, struct sl_slice code)
{
    const struct sl_note_rule *rules = r->earning->note_rules, *rule;
    bool known = false;
    for (size_t from = 0; (rule = sl_note_find(r->labeller, SL_NOTE_BY_TYPE, system, code, from)) != NULL;
         from = (size_t)(rule - rules) + 1) {
        sl_cda_earn(r, holder, &rule->classes, SL_WHY_NOTE_TYPE, rule->code);
        known = true;
    }
    return known;
}

/* By where their source keeps them, which the root of their identifier tells. */
static void read_note_id(struct reading *r, uint32_t holder, struct sl_slice root)
{
    const struct sl_earning *e = r->earning;
    for (size_t i = 0; i < e->note_rule_count; i++) {
        const struct sl_note_rule *rule = &e->note_rules[i];
        struct sl_slice oid = SL_LIT("urn:oid:"), uri = rule->uri;
        if (sl_slice_starts(uri, oid))
            uri = sl_slice_from(uri, oid.len);
        if (rule->by == SL_NOTE_BY_IDENTIFIER && root.len && sl_slice_eq(root, uri))
            sl_cda_earn(r, holder, &rule->classes, SL_WHY_NOTE_TYPE, rule->uri);
    }
}

/* A label by its code. Sources name its code system in many ways, and it can only restrict. */
static void read_label(struct reading *r, uint32_t holder, struct sl_slice code)
{
    const struct sl_earning *e = r->earning;
    for (size_t i = 0; i < e->security_count; i++) {
        const struct sl_security_rule *rule = &e->security[i];
        if (code.len == rule->code.len && strncasecmp(code.ptr, rule->code.ptr, code.len) == 0)
            sl_cda_earn(r, holder, &rule->classes, SL_WHY_SECURITY, rule->code);
    }
}

/* Must somebody know what this says: the code of a statement, what was observed, what was given? */
static bool must_be_known(const struct reading *r, uint32_t node)
{
    enum cda_name name = name_at(r, node), parent = name_at(r, parent_of(r, node));
    if (name == CDA_value)
        return parent == CDA_observation;
    return name == CDA_code && (sl_cda_is_statement((uint16_t)parent) || parent == CDA_manufacturedMaterial ||
                                   parent == CDA_manufacturedLabeledDrug || parent == CDA_playingEntity);
}

static bool knows(struct reading *r, uint32_t node)
{
    struct sl_slice code = sl_cda_attribute(r->doc, node, CDA_AT_code);
    sl_system number = sl_labeller_system(r->labeller, sl_cda_attribute(r->doc, node, CDA_AT_codeSystem));
    struct sl_code_hit hit;
    return code.len && (sl_terminology_find_in(r->earning->terminology, number, code, &hit, 1) ||
                           sl_terminology_knows(r->earning->terminology, number, code));
}

/* The main code is not known: one of its translations may be. What is only named in words is not known either. */
static void judge_unknown(struct reading *r, uint32_t node, uint32_t holder, bool coded)
{
    bool worded = false;
    for (uint32_t c = node + 1; c < r->doc->nodes[node].next; c = r->doc->nodes[c].next) {
        if (name_at(r, c) == CDA_translation) {
            coded |= sl_cda_attribute(r->doc, c, CDA_AT_code).len > 0;
            if (knows(r, c))
                return;
        }
        worded |= name_at(r, c) == CDA_originalText;
    }
    if (coded || worded)
        sl_cda_earn(r, holder, &r->earning->unclassified, SL_WHY_UNCLASSIFIED, (struct sl_slice){NULL, 0});
}

/* The observation of a label (DS4P's privacy annotation) is about the statement it is attached to, alone or by way of
 * an organizer; in the section of markings it is about the document. */
static uint32_t annotated(struct reading *r, uint32_t observation)
{
    uint32_t wrapper = parent_of(r, observation);
    uint32_t above = parent_of(r, wrapper);
    if (name_at(r, above) == CDA_organizer)
        above = parent_of(r, parent_of(r, above));
    if (name_at(r, above) == CDA_section && has_template(r, above, SL_LIT(TEMPLATE_MARKINGS)))
        return 0;
    return r->doc->nodes[above].holder;
}

static bool is_label_observation(const struct reading *r, uint32_t node)
{
    static const char *const codes[] = {"SECCLASSOBS", "SECCATOBS", "SECCONOBS", "SECINTOBS"};
    uint32_t observation = parent_of(r, node);
    if (name_at(r, node) != CDA_value || name_at(r, observation) != CDA_observation)
        return false;
    uint32_t code = sl_cda_child(r->doc, observation, CDA_code);
    struct sl_slice is = code ? sl_cda_attribute(r->doc, code, CDA_AT_code) : (struct sl_slice){NULL, 0};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (sl_slice_eq(is, sl_slice_of(codes[i])))
            return true;
    return false;
}

static bool is_note_code(const struct reading *r, uint32_t node)
{
    enum cda_name name = name_at(r, node), parent = name_at(r, parent_of(r, node));
    return name == CDA_translation || (name == CDA_code && (parent == CDA_ClinicalDocument || parent == CDA_section ||
                                                               sl_cda_is_statement((uint16_t)parent)));
}

static void visit_coded(struct reading *r, uint32_t node, uint32_t holder)
{
    struct sl_slice code = sl_cda_attribute(r->doc, node, CDA_AT_code);
    struct sl_slice system = sl_cda_attribute(r->doc, node, CDA_AT_codeSystem);
    bool known = false;
    if (name_at(r, node) == CDA_confidentialityCode) {
        read_label(r, holder, code);
        return;
    }
    if (code.len && is_label_observation(r, node)) {
        read_label(r, annotated(r, parent_of(r, node)), code);
        return;
    }
    if (code.len && (system.len || must_be_known(r, node))) {
        known = is_note_code(r, node) && read_note_type(r, holder, system, code);
        r->doc->nodes[node].flags |= known ? CDA_JUDGED : 0u;
        known |= look_up(r, node, holder, system, code);
    }
    if (!known && must_be_known(r, node))
        judge_unknown(r, node, holder, code.len > 0);
}

/* ---- Templates that tell what a code may not ---- */

static void visit_template(struct reading *r, uint32_t node, uint32_t holder)
{
    static const struct {
        const char *root, *category;
    } known[] = {
        {"2.16.840.1.113883.10.20.15.3.8", "PREGNANCY"},   /* Pregnancy Observation */
        {"2.16.840.1.113883.10.20.22.4.281", "PREGNANCY"}, /* Pregnancy Status Observation */
        {"2.16.840.1.113883.10.20.22.4.501", "GENDER"},    /* Sexual Orientation Observation */
        {"2.16.840.1.113883.10.20.34.3.45", "GENDER"},     /* Gender Identity Observation */
    };
    struct sl_slice root = sl_cda_attribute(r->doc, node, CDA_AT_root);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!sl_slice_eq(root, sl_slice_of(known[i].root)))
            continue;
        unsigned category = sl_terminology_category_find(r->earning->terminology, sl_slice_of(known[i].category));
        if (category < SL_CATEGORY_LIMIT)
            sl_cda_earn(r, holder, &r->earning->by_category[category], SL_WHY_CODE,
                sl_terminology_category(r->earning->terminology, category)->id);
    }
}

/* ---- Who took part ---- */

enum role { ROLE_NONE, ROLE_ORIGIN, ROLE_MENTION, ROLE_PERFORMER, ROLE_PARTICIPANT };

static enum role role_of(enum cda_name name)
{
    switch ((int)name) {
    case CDA_author:
    case CDA_custodian:
    case CDA_informant:
    case CDA_legalAuthenticator:
    case CDA_location:
    case CDA_responsibleParty:
        return ROLE_ORIGIN;
    case CDA_performer:
        return ROLE_PERFORMER;
    case CDA_participant:
        return ROLE_PARTICIPANT;
    case CDA_authenticator:
    case CDA_dataEnterer:
    case CDA_encounterParticipant:
    case CDA_informationRecipient:
    case CDA_providerOrganization:
        return ROLE_MENTION;
    default:
        return ROLE_NONE;
    }
}

/* Has it happened, so that who is named has done it? */
static bool has_happened(const struct reading *r, uint32_t node)
{
    while (node && !sl_cda_is_statement(r->doc->nodes[node].name))
        node = parent_of(r, node);
    struct sl_slice mood = node ? sl_cda_attribute(r->doc, node, CDA_AT_moodCode) : SL_LIT("EVN");
    return !mood.len || sl_slice_eq(mood, SL_LIT("EVN")) || sl_slice_eq(mood, SL_LIT("DEF"));
}

/* The participation a node stands in; 0: none. *origin: who takes part so has made the thing. */
static uint32_t participation(const struct reading *r, uint32_t node, bool *origin)
{
    enum role role = ROLE_NONE;
    while (node && role == ROLE_NONE) {
        node = parent_of(r, node);
        role = role_of(name_at(r, node));
    }
    if (!node)
        return 0;
    struct sl_slice type = sl_cda_attribute(r->doc, node, CDA_AT_typeCode);
    bool header = r->doc->nodes[node].holder == 0;
    *origin = role == ROLE_ORIGIN;
    if (role == ROLE_PERFORMER)
        *origin = header ? sl_slice_eq(type, SL_LIT("PPRF")) : has_happened(r, node);
    if (role == ROLE_PARTICIPANT)
        *origin = sl_slice_eq(type, SL_LIT("LOC")) && has_happened(r, node);
    return node;
}

/* What the program table says of an identifier: of an OID, or of what is numbered under one. Documents say too little
 * of when things were done, so that what it ever says of a program counts, and of what is none only what it always
 * says. */
static bool names_id(
    struct reading *r, struct sl_slice root, struct sl_slice extension, enum sl_source *source, struct sl_slice *name)
{
    const struct sl_programs *programs = r->labeller->programs;
    struct sl_standing standing = sl_standing_none();
    *name = sl_arena_printf(
        r->arena, extension.len ? "urn:oid:%.*s|%.*s" : "urn:oid:%.*s", SL_FMT(root), SL_FMT(extension));
    sl_programs_by_uri(programs, *name, &standing);
    if (extension.len)
        sl_programs_by_identifier(programs, SL_IDENTIFIED_ANY, root, extension, &standing);
    else
        sl_programs_by_identifier(programs, SL_IDENTIFIED_ANY, SL_LIT("urn:ietf:rfc3986"), root, &standing);
    bool program = sl_during_is(standing.reach.program) || sl_during_is(standing.reach.received);
    *source = program                                            ? SL_SOURCE_PROGRAM
              : sl_during_within(SL_ALWAYS, standing.reach.none) ? SL_SOURCE_NOT
                                                                 : SL_SOURCE_UNKNOWN;
    if (program)
        *name = standing.program;
    return name->ptr && standing.named;
}

static bool is_organization(enum cda_name name)
{
    return name == CDA_representedOrganization || name == CDA_representedCustodianOrganization ||
           name == CDA_serviceProviderOrganization || name == CDA_healthCareFacility;
}

static struct sl_item *stand_in(struct reading *r, struct sl_slice name)
{
    struct sl_item *item = sl_arena_alloc(r->arena, sizeof *item);
    if (item)
        *item = (struct sl_item){.type = SL_R4_Organization,
            .source = SL_SOURCE_PROGRAM,
            .program = name,
            .named_program = name,
            .custodian = name};
    return item;
}

static void note_source(struct reading *r, uint32_t holder, enum sl_source source, struct sl_slice name)
{
    struct cda_part *part = part_of(r, holder);
    if (!part || part->source == SL_SOURCE_PROGRAM)
        return;
    part->source = source;
    if (source != SL_SOURCE_PROGRAM)
        return;
    part->lender = stand_in(r, name);
    if (holder) /* the document's own is the item's, which earns by its source */
        sl_cda_earn(r, holder, &r->earning->program, SL_WHY_ORIGIN, name);
}

/* The document, a section, a statement: what identifiers of people and places say is another matter. */
static bool is_record(const struct reading *r, uint32_t node)
{
    enum cda_name name = name_at(r, node);
    return name == CDA_ClinicalDocument || name == CDA_section || sl_cda_is_statement((uint16_t)name);
}

static void visit_id(struct reading *r, uint32_t node)
{
    bool origin = false;
    struct sl_slice root = sl_cda_attribute(r->doc, node, CDA_AT_root), name;
    if (is_record(r, parent_of(r, node))) {
        read_note_id(r, r->doc->nodes[node].holder, root);
        return;
    }
    uint32_t at = participation(r, node, &origin);
    enum sl_source source;
    if (!at || !root.len || !r->labeller->programs)
        return;
    if (!names_id(r, root, sl_cda_attribute(r->doc, node, CDA_AT_extension), &source, &name)) {
        if (!is_organization(name_at(r, parent_of(r, node))) || !sl_programs_closed(r->labeller->programs))
            return;
        source = SL_SOURCE_NOT;
    }
    if (origin)
        note_source(r, r->doc->nodes[at].holder, source, name);
    else if (source == SL_SOURCE_PROGRAM)
        note_source(r, at, source, name);
}

/* An organization that has no identifier the table knows may have a name that it does. */
static void visit_name(struct reading *r, uint32_t node)
{
    const struct sl_programs *programs = r->labeller->programs;
    enum cda_name parent = name_at(r, parent_of(r, node));
    struct sl_standing standing = sl_standing_none();
    bool origin = false, named = is_organization(parent) || parent == CDA_location || parent == CDA_wholeOrganization ||
                                 parent == CDA_providerOrganization || parent == CDA_scopingOrganization ||
                                 parent == CDA_playingEntity;
    uint32_t at = named && programs && sl_programs_has_words(programs) ? participation(r, node, &origin) : 0;
    if (!at)
        return;
    sl_programs_by_words(programs, raw_inner(r, node), r->arena, &standing);
    if (sl_during_is(standing.reach.program) || sl_during_is(standing.reach.received))
        note_source(r, origin ? r->doc->nodes[at].holder : at, SL_SOURCE_PROGRAM, standing.program);
}

/* ---- Words ---- */

static struct sl_slice attribute(const struct reading *r, uint32_t node, enum cda_attribute_name name)
{
    return sl_cda_attribute(r->doc, node, name);
}

/* Something that is not XML: words in another form, or nobody knows what. */
static void visit_embedded(struct reading *r, uint32_t node, uint32_t cut)
{
    struct sl_slice bytes, words, none = {NULL, 0};
    bool packed = attribute(r, node, CDA_AT_compression).len > 0;
    enum sl_content_kind kind = SL_CONTENT_UNREAD;
    r->doc->nodes[node].flags |= CDA_ENCODED;
    if (!packed && sl_content_decode(raw_inner(r, node), r->arena, &bytes))
        kind = sl_content_judge(attribute(r, node, CDA_AT_mediaType), bytes, r->arena, &words);
    /* A document within a document is not taken apart. */
    if (!sl_content_is_text(kind) || kind == SL_CONTENT_CCDA || !sl_cda_words_of(r, cut, kind, words))
        sl_cda_earn(r, cut, &r->earning->unread, SL_WHY_UNREAD, attribute(r, node, CDA_AT_mediaType));
    else
        sl_cda_earn(r, cut, &r->earning->text, SL_WHY_TEXT, none);
}

/* Is the text what the statement is there for? */
static bool is_comment(const struct reading *r, uint32_t statement)
{
    return has_template(r, statement, SL_LIT("2.16.840.1.113883.10.20.22.4.64")) ||
           has_template(r, statement, SL_LIT("2.16.840.1.113883.10.20.22.4.202"));
}

static void visit_section_text(struct reading *r, uint32_t node, uint32_t section)
{
    struct cda_node *nodes = r->doc->nodes;
    bool entries = sl_cda_child(r->doc, section, CDA_entry), sections = sl_cda_child(r->doc, section, CDA_component);
    nodes[node].flags |= CDA_NARRATIVE;
    if (entries && !has_template(r, section, SL_LIT(TEMPLATE_MARKINGS))) {
        nodes[section].flags |= CDA_CODED;
        return;
    }
    if (sl_cda_has_words(r->doc, node))
        sl_cda_earn(
            r, sections ? node : nodes[section].holder, &r->earning->text, SL_WHY_TEXT, (struct sl_slice){NULL, 0});
}

static void visit_text(struct reading *r, uint32_t node, uint32_t holder)
{
    uint32_t parent = parent_of(r, node);
    enum cda_name in = name_at(r, parent);
    if (in == CDA_section) {
        visit_section_text(r, node, parent);
        return;
    }
    bool encoded = sl_slice_eq(attribute(r, node, CDA_AT_representation), SL_LIT("B64"));
    uint32_t cut = sl_cda_is_statement((uint16_t)in) && !is_comment(r, parent) ? node : holder;
    if (encoded)
        visit_embedded(r, node, cut);
    else if (sl_cda_has_words(r->doc, node))
        sl_cda_earn(r, cut, &r->earning->text, SL_WHY_TEXT, (struct sl_slice){NULL, 0});
}

/* ---- Links into the narrative ---- */

static struct sl_slice id_at(const struct reading *r, uint32_t node)
{
    return attribute(r, node, CDA_AT_ID);
}

static bool index_ids(struct reading *r)
{
    struct sl_ccda *ccda = r->ccda;
    uint32_t count = 0, slots = 16;
    for (uint32_t i = 1; i < r->doc->count; i++)
        count += r->doc->nodes[i].attribute_count && id_at(r, i).len;
    while (slots < count * 2)
        slots *= 2;
    ccda->ids = sl_arena_array(r->arena, slots, sizeof *ccda->ids);
    if (!ccda->ids)
        return false;
    ccda->id_mask = slots - 1;
    for (uint32_t i = 1; i < r->doc->count; i++) {
        struct sl_slice id = r->doc->nodes[i].attribute_count ? id_at(r, i) : (struct sl_slice){NULL, 0};
        size_t slot = (size_t)sl_hash(id, ccda->seed) & ccda->id_mask;
        while (id.len && ccda->ids[slot])
            slot = (slot + 1) & ccda->id_mask;
        if (id.len)
            ccda->ids[slot] = i;
    }
    return true;
}

/* Do rows of this part of a table share cells? Looked at once for each part. */
static bool has_rowspan(const struct reading *r, uint32_t body)
{
    uint32_t *flags = &r->doc->nodes[body].flags;
    if (!(*flags & (CDA_SHARED | CDA_UNSHARED))) {
        *flags |= CDA_UNSHARED;
        for (uint32_t c = body + 1; c < r->doc->nodes[body].next; c++)
            if (r->doc->nodes[c].attribute_count && attribute(r, c, CDA_AT_rowspan).len)
                *flags |= CDA_SHARED;
    }
    return *flags & CDA_SHARED;
}

/*
 * What goes with an entry that refers to the element: the row it stands in, for a row without a cell is another row;
 * rows that share a cell, together; else the item of a list; else the paragraph; else the element itself. The text of
 * the section is never one: 0.
 */
static uint32_t unit_of(const struct reading *r, uint32_t target)
{
    uint32_t item = 0, paragraph = 0;
    for (uint32_t at = target; r->doc->nodes[at].flags & CDA_NARRATIVE; at = parent_of(r, at)) {
        enum cda_name name = name_at(r, at);
        if (name == CDA_tr)
            return has_rowspan(r, parent_of(r, at)) ? parent_of(r, at) : at;
        if (name == CDA_item && !item)
            item = at;
        if (name == CDA_paragraph && !paragraph)
            paragraph = at;
    }
    if (item || paragraph)
        return item ? item : paragraph;
    return name_at(r, target) == CDA_text ? 0 : target;
}

static void add_link(struct reading *r, uint32_t from, uint32_t target, uint32_t place)
{
    struct sl_ccda *ccda = r->ccda;
    struct cda_link *links = vector_grow(r->arena, ccda->links, ccda->link_count, &ccda->link_capacity, sizeof *links);
    if (!links)
        return;
    ccda->links = links;
    uint32_t unit = unit_of(r, place);
    links[ccda->link_count++] = (struct cda_link){.from = from, .target = target, .unit = unit};
    if (unit)
        r->doc->nodes[unit].flags |= CDA_UNIT;
}

/* Links `from` with every element that has the ID; normally there is one. `into`: the narrative refers to the entry,
 * else the entry to the narrative. */
static void link_id(struct reading *r, uint32_t from, struct sl_slice id, bool into)
{
    uint32_t found, step = 0;
    while ((found = sl_cda_id_next(r->ccda, id, &step))) {
        bool narrative = r->doc->nodes[found].flags & CDA_NARRATIVE;
        if (into && !narrative)
            add_link(r, found, found, from);
        else if (!into && narrative)
            add_link(r, from, found, found);
    }
}

static void link_all(struct reading *r)
{
    for (uint32_t i = 1; i < r->doc->count; i++) {
        struct sl_slice id;
        if (name_at(r, i) == CDA_reference && !(r->doc->nodes[i].flags & CDA_NARRATIVE)) {
            id = attribute(r, i, CDA_AT_value);
            if (id.len > 1 && id.ptr[0] == '#')
                link_id(r, i, sl_slice_from(id, 1), false);
        } else if (name_at(r, i) == CDA_renderMultiMedia) {
            for (id = attribute(r, i, CDA_AT_referencedObject); id.len;) {
                const char *space = memchr(id.ptr, ' ', id.len);
                struct sl_slice one = {id.ptr, space ? (size_t)(space - id.ptr) : id.len};
                if (one.len)
                    link_id(r, i, one, true);
                id = sl_slice_from(id, one.len + 1);
            }
        }
    }
}

/* ---- The walk ---- */

static void visit(struct reading *r, uint32_t i)
{
    struct cda_node *node = &r->doc->nodes[i];
    uint32_t holder = node->holder;
    switch ((int)node->name) {
    case CDA_UNKNOWN:
    case CDA_COMMENT:
        return; /* always cut */
    case CDA_templateId:
        visit_template(r, i, holder);
        return;
    case CDA_id:
        visit_id(r, i);
        return;
    case CDA_name:
        visit_name(r, i);
        return;
    case CDA_text:
        visit_text(r, i, holder);
        return;
    case CDA_typeId:
    case CDA_setId:
    case CDA_realmCode:
    case CDA_languageCode:
    case CDA_statusCode:
        return;
    case CDA_value:
        if (sl_slice_eq(attribute(r, i, CDA_AT_representation), SL_LIT("B64")))
            visit_embedded(r, i, holder);
        break;
    default:
        break;
    }
    visit_coded(r, i, holder);
}

/* Who holds what: parents come before their children. */
static void find_holders(struct reading *r)
{
    struct cda_node *nodes = r->doc->nodes;
    for (uint32_t i = 1; i < r->doc->count; i++) {
        const struct cda_node *parent = &nodes[nodes[i].parent];
        nodes[i].holder = is_wrapper(r, i) ? i : parent->holder;
        nodes[i].flags |= parent->flags & CDA_NARRATIVE;
        if (nodes[i].name == CDA_text && parent->name == CDA_section)
            nodes[i].flags |= CDA_NARRATIVE;
    }
}

static void walk(struct reading *r)
{
    const struct cda_node *nodes = r->doc->nodes;
    for (uint32_t i = 1; i < r->doc->count;) {
        if (nodes[i].name == CDA_UNKNOWN) {
            i = nodes[i].next;
            continue;
        }
        bool narrative = nodes[i].flags & CDA_NARRATIVE && nodes[nodes[i].parent].flags & CDA_NARRATIVE;
        if (!narrative)
            visit(r, i);
        i++;
    }
}

/* Linked narrative is words that a person may have written, wherever it stands. */
static void earn_narrative(struct reading *r)
{
    struct sl_ccda *ccda = r->ccda;
    if (sl_classes_empty(&r->earning->text))
        return;
    struct cda_part *parts = vector_grow(r->arena, ccda->parts, ccda->part_count, &ccda->part_capacity, sizeof *parts);
    if (!parts)
        return;
    ccda->parts = parts;
    struct cda_part *part = &parts[ccda->part_count++];
    *part = (struct cda_part){.node = r->doc->root, .narrative = true, .classes = r->earning->text};
    sl_reason_push(r->arena, &part->reasons, &part->classes, SL_WHY_TEXT, r->evidence, (struct sl_slice){NULL, 0});
}

/* What the document earned as a whole is the item's. */
static void give_to_item(struct reading *r)
{
    const struct cda_part *whole = &r->ccda->parts[0];
    struct labelled *item = r->item;
    sl_classes_join(&item->base_classes, &whole->classes);
    item->base_candidate |= whole->candidate;
    for (const struct sl_reason *reason = whole->reasons; reason; reason = reason->next)
        sl_reason_push(r->arena, &item->base_reasons, &reason->classes, reason->why, reason->span, reason->detail);
}

static enum sl_status label(struct reading *r)
{
    if (!part_of(r, 0) || !index_ids(r))
        return SL_NO_MEMORY;
    find_holders(r);
    walk(r);
    link_all(r);
    earn_narrative(r);
    r->unsearched = !sl_cda_words(r);
    if (sl_arena_failed(r->arena))
        return SL_NO_MEMORY;
    give_to_item(r);
    return SL_OK;
}

enum sl_status sl_ccda_label(struct sl_labeller *labeller, struct labelled *item, struct sl_content *content)
{
    struct sl_ccda *ccda = sl_arena_alloc(labeller->arena, sizeof *ccda);
    if (!ccda)
        return SL_NO_MEMORY;
    SL_TRY(sl_cda_read(labeller->arena, content->bytes, &ccda->doc));
    if (ccda->doc.why) {
        content->kind = SL_CONTENT_UNREAD;
        return SL_OK;
    }
    ccda->seed = labeller->seed;
    struct reading r = {.labeller = labeller,
        .arena = labeller->arena,
        .earning = labeller->earning,
        .item = item,
        .ccda = ccda,
        .doc = &ccda->doc,
        .evidence = content->data};
    SL_TRY(label(&r));
    if (r.unsearched)
        content->kind = SL_CONTENT_UNREAD; /* what it says is unknown */
    else
        content->ccda = ccda;
    return SL_OK;
}

enum sl_source sl_ccda_source(const struct sl_ccda *ccda, const struct sl_item **program)
{
    *program = ccda->parts[0].lender;
    return ccda->parts[0].source;
}

/* ---- Once the item's source is known ---- */

/* Who made what stands in a part: its own participants tell, else those of what it stands in, else the item's. */
static enum sl_source source_of(const struct sl_ccda *ccda, uint32_t node, enum sl_source whole)
{
    const struct cda_node *nodes = ccda->doc.nodes;
    for (uint32_t at = nodes[node].holder; at; at = nodes[nodes[at].parent].holder) {
        const struct cda_part *part = nodes[at].part ? &ccda->parts[nodes[at].part - 1] : NULL;
        if (part && part->source != SL_SOURCE_UNKNOWN)
            return part->source;
    }
    return whole;
}

/* False: it has nothing that the officer's register has not taken from it. */
static bool make_part(const struct labelled *item, struct sl_content *content, uint32_t index, struct sl_part *to)
{
    const struct cda_part *from = &content->ccda->parts[index];
    *to = (struct sl_part){.span = content->data,
        .classes = sl_label_but_not(item, &from->classes),
        .reasons = from->reasons,
        .lender = from->lender,
        .inner = content,
        .node = from->node,
        .narrative = from->narrative};
    return !sl_classes_empty(&to->classes);
}

static void earn_late(
    struct sl_labeller *labeller, struct sl_part *part, const struct sl_classes *classes, struct sl_slice detail)
{
    if (sl_classes_within(classes, &part->classes))
        return;
    sl_classes_join(&part->classes, classes);
    sl_reason_push(labeller->arena, &part->reasons, classes, SL_WHY_UNKNOWN_ORIGIN, part->inner->data, detail);
}

void sl_ccda_earn_unknown(struct sl_labeller *labeller, struct sl_item *item)
{
    const struct sl_earning *earning = labeller->earning;
    struct sl_classes candidate = sl_label_but_not((struct labelled *)item, &earning->unknown_candidate);
    struct sl_classes doubt = sl_label_but_not((struct labelled *)item, &earning->unread_unknown);
    for (uint32_t i = 0; i < item->part_count; i++) {
        struct sl_part *part = &item->parts[i];
        const struct sl_ccda *ccda = part->inner && !part->narrative ? part->inner->ccda : NULL;
        const struct cda_part *from = ccda ? &ccda->parts[ccda->doc.nodes[part->node].part - 1] : NULL;
        if (!from || source_of(ccda, part->node, item->source) != SL_SOURCE_UNKNOWN)
            continue;
        if (from->candidate)
            earn_late(labeller, part, &candidate, from->candidate_detail);
        if (sl_classes_meet(&from->classes, &earning->unread))
            earn_late(labeller, part, &doubt, SL_LIT("unread"));
    }
}

enum sl_status sl_ccda_settle(struct sl_labeller *labeller, struct sl_item *item)
{
    size_t more = 0;
    for (uint32_t i = 0; i < item->content_count; i++)
        more += item->contents[i].ccda ? item->contents[i].ccda->part_count - 1 : 0;
    if (!more)
        return SL_OK;
    struct sl_part *parts = sl_arena_raw(labeller->arena, item->part_count + more, sizeof *parts);
    if (!parts)
        return SL_NO_MEMORY;
    if (item->part_count)
        memcpy(parts, item->parts, item->part_count * sizeof *parts);
    item->parts = parts;
    for (uint32_t i = 0; i < item->content_count; i++) {
        struct sl_content *content = &item->contents[i];
        for (uint32_t k = 1; content->ccda && k < content->ccda->part_count; k++)
            item->part_count += make_part((struct labelled *)item, content, k, &parts[item->part_count]);
    }
    if (!(sl_r4_facts(item->type) & SL_R4_BY_ROUTE))
        sl_ccda_earn_unknown(labeller, item);
    return SL_OK;
}
