/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making canaries: see sluice/canary.h. For each class, each way to earn it that the policy has (a code of its lists, a
 * label, words, …) is put into each shape that a record with it can have (canary_shapes.def).
 */
#include "canary_make.h"

#include "sluice/buffer.h"
#include "sluice/content.h"
#include "sluice/terminology.h"
#include "terminology_model.h"

#define RECORDS_LIMIT ((size_t)16 * 1024 * 1024)
#define FOUND 64u /* of one kind, for one class */

enum where { WHOLE, PART, GONE };

/* What earns the class, and is put into a shape. */
struct found {
    struct sl_slice system, code, oid; /* oid: of the system; empty: it has none */
    struct sl_slice words;             /* or more of the record */
    struct sl_slice type;
    bool entry; /* of the register */
};

struct maker {
    const struct sl_policy *policy;
    struct sl_arena *arena;
    struct sl_canaries *out;
    struct sl_buffer text, earlier;
    bool whole;
    unsigned bit; /* the class that is being planted */
    struct found codes[FOUND], weak[FOUND];
    size_t code_count, weak_count;
    struct found list[FOUND]; /* for the shape at hand */
    size_t count;
};

static void add(struct maker *m, struct found found)
{
    if (m->count < FOUND)
        m->list[m->count++] = found;
}

/* ---- Codes ---- */

static struct sl_slice spelling_of(const struct sl_terminology *t, sl_system system, bool oid)
{
    for (size_t i = 0; i <= t->spelling_mask; i++) {
        const struct spelling *one = &t->spellings[i];
        bool dotted = one->text.len && one->text.ptr[0] >= '0' && one->text.ptr[0] <= '9';
        if (one->text.len && one->system == system &&
            (oid ? dotted : memchr(one->text.ptr, ':', one->text.len) != NULL) &&
            sl_terminology_system(t, one->text) == system)
            return one->text;
    }
    return (struct sl_slice){NULL, 0};
}

static bool earns(const struct maker *m, struct sl_slice system, struct sl_slice code)
{
    struct sl_code_answer answer;
    sl_code_look_up(m->policy, system, code, &answer);
    return sl_classes_has(&answer.classes, m->bit);
}

/* The first row of each list that has the category, as evidence of that weight. */
static void find_rows(const struct maker *m, unsigned category, bool weak, struct found *list, size_t *count)
{
    const struct sl_terminology *t = m->policy->terminology;
    unsigned file = UINT32_MAX;
    for (uint32_t i = 0; i < t->row_count && *count < FOUND; i++) {
        const struct row *row = &t->rows[i];
        if (row->kind != ROW_EXACT || row->category != category || row->weak != weak || row->file == file)
            continue;
        struct sl_slice system = spelling_of(t, row->system, false), code = {row->text, row->len};
        if (!system.len || !earns(m, system, code))
            continue;
        list[(*count)++] = (struct found){.system = system, .code = code, .oid = spelling_of(t, row->system, true)};
        file = row->file;
        if (!m->whole)
            return;
    }
}

static void find_codes(struct maker *m)
{
    const struct sl_earning *e = &m->policy->earning;
    m->code_count = m->weak_count = 0;
    for (unsigned c = 0; c < SL_CATEGORY_LIMIT; c++) {
        if (sl_classes_has(&e->by_category[c], m->bit) && (m->whole || !m->code_count))
            find_rows(m, c, false, m->codes, &m->code_count);
        if (sl_classes_has(&e->weak_by_category[c], m->bit) && (m->whole || !m->weak_count))
            find_rows(m, c, true, m->weak, &m->weak_count);
    }
}

static void by_codes(struct maker *m)
{
    for (size_t i = 0; i < m->code_count; i++)
        add(m, m->codes[i]);
}

static void by_weak_codes(struct maker *m)
{
    for (size_t i = 0; i < m->weak_count; i++)
        add(m, m->weak[i]);
}

static void by_code(struct maker *m)
{
    if (m->code_count)
        add(m, m->codes[0]);
}

static void by_unknown_code(struct maker *m)
{
    if (sl_classes_has(&m->policy->earning.unclassified, m->bit))
        add(m, (struct found){.system = SL_LIT("urn:sluice:selftest:codes"), .code = SL_LIT("x")});
}

/* What may be a program's if nobody knows whose it is. */
static void by_candidate(struct maker *m)
{
    const struct sl_terminology *t = m->policy->terminology;
    struct found one[FOUND];
    size_t count = 0;
    if (!sl_classes_has(&m->policy->earning.unknown_candidate, m->bit))
        return;
    for (uint32_t i = 0; i < t->row_count && !count; i++) {
        const struct row *row = &t->rows[i];
        struct sl_slice system = spelling_of(t, row->system, false);
        if (row->kind == ROW_EXACT && !row->weak && system.len &&
            t->categories[row->category].part2 == SL_CANDIDATE_YES)
            one[count++] = (struct found){.system = system, .code = {row->text, row->len}};
    }
    if (count)
        add(m, one[0]);
}

/* ---- Labels, types, the register ---- */

static void by_labels(struct maker *m)
{
    const struct sl_earning *e = &m->policy->earning;
    for (size_t i = 0; i < e->security_count && (m->whole || !m->count); i++)
        if (sl_classes_has(&e->security[i].classes, m->bit) && !sl_classes_has(&e->security[i].bearers, m->bit))
            add(m, (struct found){.system = e->security[i].system, .code = e->security[i].code});
}

static void by_label(struct maker *m)
{
    by_labels(m);
    m->count = m->count > 0;
}

static void by_visit(struct maker *m)
{
    if (sl_classes_has(&m->policy->earning.by_visit, m->bit))
        by_label(m);
}

/* The element by which a resource says whom it is about, or who made it; NULL: it has none. */
static const struct sl_r4_element *reference_of(sl_r4_node type, bool patient)
{
    size_t count;
    const struct sl_r4_element *elements = sl_r4_elements(type, &count);
    for (size_t i = 0; i < count; i++)
        if (elements[i].node == SL_R4_Reference &&
            (patient ? (elements[i].flags & SL_R4_PATIENT) != 0 : elements[i].reference == SL_REF_ORIGIN))
            return &elements[i];
    return NULL;
}

static struct sl_slice reference_to(struct maker *m, const struct sl_r4_element *element, const char *target)
{
    bool many = element->flags & SL_R4_MANY;
    return sl_arena_printf(m->arena, "'%.*s':%s{'reference':'%s'}%s", SL_FMT(sl_name_text(element->name)),
        many ? "[" : "", target, many ? "]" : "");
}

/* Of each type that alone earns the class, one; the first few. */
static void by_types(struct maker *m)
{
    for (sl_r4_node type = 1; type < SL_R4_NODES && sl_r4_is_resource(type) && m->count < 3; type++) {
        const struct sl_r4_element *patient = reference_of(type, true), *origin = reference_of(type, false);
        if (!sl_classes_has(&m->policy->earning.by_type[type], m->bit) || !patient ||
            (sl_r4_facts(type) & (SL_R4_BY_ROUTE | SL_R4_DIRECTORY)))
            continue;
        struct sl_slice words = reference_to(m, patient, "Patient/" SL_CANARY_PATIENT);
        if (origin && origin->name != patient->name)
            words =
                sl_arena_printf(m->arena, "%.*s,%.*s", SL_FMT(words), SL_FMT(reference_to(m, origin, SL_CANARY_PLACE)));
        add(m, (struct found){.type = sl_r4_node_name(type), .words = words});
    }
}

/* Any class can be declared of any record; that a person is known here is no secret where this record goes. */
static void by_register(struct maker *m)
{
    const struct sl_canaries *out = m->out;
    bool planted = out->count && out->one[out->count - 1].class_bit == m->bit;
    if ((m->whole || !planted || !m->bit) && !sl_classes_has(&m->policy->earning.presence, m->bit))
        add(m, (struct found){.entry = true});
}

/* So that there is one of each type that a form asks for, whatever the policy's classes are. */
static void by_first_class(struct maker *m)
{
    if (!m->bit)
        by_register(m);
}

/* ---- What is a fact of the policy, and needs nothing put in ---- */

#define BY_FACT(name, set)                                                                                             \
    static void by_##name(struct maker *m)                                                                             \
    {                                                                                                                  \
        if (sl_classes_has(&m->policy->earning.set, m->bit))                                                           \
            add(m, (struct found){.entry = false});                                                                    \
    }
BY_FACT(program, program)
BY_FACT(patient, by_type[SL_R4_Patient])
BY_FACT(presence, presence)
BY_FACT(draft, draft)
BY_FACT(unread, unread)
BY_FACT(unread_unknown, unread_unknown)
BY_FACT(text, text)

/* The labels by which a record tells that it was received; the first of them is that of a program's records. */
static void by_received(struct maker *m)
{
    const struct sl_earning *e = &m->policy->earning;
    struct sl_slice words = SL_LIT("{'system':'http://terminology.hl7.org/CodeSystem/v3-ActCode','code':'42CFRPart2'}");
    if (!sl_classes_has(&e->received, m->bit) || !e->received_label_count)
        return;
    for (size_t i = 0; i < e->received_label_count; i++)
        words = sl_arena_printf(m->arena, "%.*s,{'system':'%.*s','code':'%.*s'}", SL_FMT(words),
            SL_FMT(e->received_labels[i].system), SL_FMT(e->received_labels[i].code));
    add(m, (struct found){.words = words});
}

static void by_purse(struct maker *m)
{
    const struct sl_earning *e = &m->policy->earning;
    for (size_t i = 0; i < e->purse_count && !m->count; i++)
        if (sl_classes_has(&e->purses[i].classes, m->bit))
            add(m, (struct found){.system = e->purses[i].system, .code = e->purses[i].code});
}

/* ---- Notes kept apart ---- */

static void by_note(struct maker *m, enum sl_note_by by)
{
    const struct sl_earning *e = &m->policy->earning;
    for (size_t i = 0; i < e->note_rule_count && (m->whole || !m->count); i++) {
        const struct sl_note_rule *rule = &e->note_rules[i];
        if (rule->by == by && sl_classes_has(&rule->classes, m->bit) && (rule->system.len || by != SL_NOTE_BY_TYPE))
            add(m, (struct found){.system = rule->system, .code = rule->code, .words = rule->uri});
    }
}

static void by_note_types(struct maker *m)
{
    by_note(m, SL_NOTE_BY_TYPE);
}

static void by_note_source(struct maker *m)
{
    by_note(m, SL_NOTE_BY_SOURCE);
}

static void by_note_identifier(struct maker *m)
{
    by_note(m, SL_NOTE_BY_IDENTIFIER);
}

static void by_note_form(struct maker *m)
{
    by_note(m, SL_NOTE_BY_QUESTIONNAIRE);
}

/* ---- Words ---- */

/* Words by which a shipped lexicon tells a topic; another lexicon may not know them, and then nothing is expected. */
static const char *const topics[SL_MENTIONS] = {
    [SL_MENTION_SUBSTANCE_USE] = "heroin use disorder",
    [SL_MENTION_MENTAL_HEALTH] = "major depression",
    [SL_MENTION_HIV] = "HIV positive",
    [SL_MENTION_SEXUAL] = "chlamydia",
    [SL_MENTION_VIOLENCE] = "domestic violence",
    [SL_MENTION_GENETIC] = "BRCA1 mutation",
    [SL_MENTION_SICKLE_CELL] = "sickle cell disease",
    [SL_MENTION_DENIED] = "denies heroin use",
    [SL_MENTION_FAMILY] = "mother has a history of alcoholism",
};

static void by_words(struct maker *m)
{
    const struct sl_earning *e = &m->policy->earning;
    for (unsigned i = 0; e->words && i < SL_MENTIONS; i++)
        if (topics[i] && sl_classes_has(&e->by_mention[i], m->bit))
            add(m, (struct found){.words = sl_slice_of(topics[i])});
}

/* ---- The shapes ---- */

#define CODES by_codes
#define WEAK_CODES by_weak_codes
#define CODE by_code
#define UNKNOWN_CODE by_unknown_code
#define CANDIDATE by_candidate
#define LABELS by_labels
#define LABEL by_label
#define TYPES by_types
#define REGISTER by_register
#define FIRST by_first_class
#define PROGRAM by_program
#define RECEIVED by_received
#define PATIENT by_patient
#define PRESENCE by_presence
#define PURSE by_purse
#define VISIT by_visit
#define DRAFT by_draft
#define NOTE_TYPES by_note_types
#define NOTE_SOURCE by_note_source
#define NOTE_IDENTIFIER by_note_identifier
#define NOTE_FORM by_note_form
#define UNREAD by_unread
#define UNREAD_UNKNOWN by_unread_unknown
#define TEXT by_text
#define WORDS by_words

static const struct shape {
    const char *way, *type;
    enum where where;
    void (*find)(struct maker *m);
    const char *text;
} shapes[] = {
#define SL_SHAPE(way, type, where, by, text) {way, type, where, by, text},
#include "canary_shapes.def"
#undef SL_SHAPE
};

static const char ccda_words[] =
    "<ClinicalDocument xmlns=\"urn:hl7-org:v3\"><templateId root=\"2.16.840.1.113883.10.20.22.1.2\"/>"
    "<confidentialityCode code=\"N\"/><component><structuredBody><component><section>"
    "<code code=\"10164-2\" codeSystem=\"2.16.840.1.113883.6.1\"/><title>History</title>"
    "<text><paragraph>{m} "
    "{w}.</paragraph></text></section></component></structuredBody></component></ClinicalDocument>";
static const char ccda_entry[] =
    "<ClinicalDocument xmlns=\"urn:hl7-org:v3\"><templateId root=\"2.16.840.1.113883.10.20.22.1.2\"/>"
    "<confidentialityCode code=\"N\"/><component><structuredBody><component><section>"
    "<code code=\"11450-4\" codeSystem=\"2.16.840.1.113883.6.1\"/><title>Problems</title><text/>"
    "<entry><observation classCode=\"OBS\" moodCode=\"EVN\"><code code=\"{k}\" codeSystem=\"{o}\" displayName=\"{m}\"/>"
    "</observation></entry></section></component></structuredBody></component></ClinicalDocument>";

struct filling {
    struct maker *m;
    const struct sl_canary *canary;
    const struct found *found;
    size_t number;
};

static struct sl_slice fill(const struct filling *f, const char *text, bool json);

static struct sl_slice packed(const struct filling *f, const char *text)
{
    return sl_content_encode(fill(f, text, false), f->m->arena);
}

static struct sl_slice value_of(const struct filling *f, char place)
{
    const struct found *found = f->found;
    struct sl_arena *arena = f->m->arena;
    switch (place) {
    case 'i':
        return f->canary->id;
    case 'm':
        return sl_arena_printf(arena, SL_CANARY_MARK "%04zu", f->number);
    case 'n':
        return sl_arena_printf(arena, "%04zu", f->number);
    case 't':
        return f->canary->type;
    case 'w':
        return found->words;
    case 'k':
        return found->code;
    case 'o':
        return found->oid;
    case 'c':
        return sl_arena_printf(arena, "'system':'%.*s','code':'%.*s'", SL_FMT(found->system), SL_FMT(found->code));
    case 'b':
        return packed(f, "{m} {w}.");
    case 'x':
        return packed(f, ccda_words);
    case 'e':
        return packed(f, ccda_entry);
    }
    return (struct sl_slice){NULL, 0};
}

/* What is put in may itself have ' for ". A \ before one stays. */
static struct sl_slice fill(const struct filling *f, const char *text, bool json)
{
    struct sl_buffer out;
    sl_buffer_init(&out, (size_t)256 * 1024);
    for (const char *at = text; *at;) {
        bool place = at[0] == '{' && at[1] && at[2] == '}';
        sl_buffer_add(&out, place ? value_of(f, at[1]) : (struct sl_slice){at, 1});
        at += place ? 3 : 1;
    }
    struct sl_slice filled = sl_arena_copy(f->m->arena, sl_buffer_slice(&out));
    sl_buffer_fini(&out);
    char *bytes = filled.len ? (char *)(uintptr_t)filled.ptr : NULL; /* the arena's own copy, made here */
    for (size_t i = 0; json && i < filled.len; i++)
        if (bytes[i] == '\'')
            bytes[i] = '"';
    return filled;
}

/* Lines of an earlier version go before all others. */
static void put(struct maker *m, struct sl_slice text)
{
    while (text.len) {
        const char *end = memchr(text.ptr, '\n', text.len);
        struct sl_slice line = {text.ptr, end ? (size_t)(end - text.ptr) : text.len};
        bool earlier = line.ptr[0] == '^';
        text = sl_slice_from(text, line.len + (end != NULL));
        sl_buffer_add(earlier ? &m->earlier : &m->text, sl_slice_from(line, earlier));
        sl_buffer_add(earlier ? &m->earlier : &m->text, SL_LIT("\n"));
    }
}

static bool plant(struct maker *m, const struct shape *shape, const struct found *found)
{
    struct sl_canaries *out = m->out;
    struct sl_canary *canary = &out->one[out->count];
    if (out->count == SL_CANARIES)
        return false;
    *canary = (struct sl_canary){.class_bit = m->bit,
        .way = shape->way,
        .type = found->type.len ? found->type : sl_slice_of(shape->type),
        .element = shape->where == PART,
        .deleted = shape->where == GONE,
        .id = sl_arena_printf(
            m->arena, "%s%04zu", shape->where == PART ? "sluice-selftest-" : SL_CANARY_MARK, out->count)};
    put(m, fill(&(struct filling){m, canary, found, out->count}, shape->text, true));
    canary->registered = found->entry;
    out->count++;
    return !sl_arena_failed(m->arena);
}

/* At a start one that is first of its kind, and of the other shapes that the same finder fills one for each class. */
static bool is_chosen(const struct maker *m, size_t at)
{
    size_t first = 0, count = 0;
    for (size_t i = sizeof shapes / sizeof *shapes; i-- > 0;)
        if (shapes[i].find == shapes[at].find) {
            first = i;
            count++;
        }
    if (m->whole || first == at || shapes[at].find == by_first_class)
        return true;
    size_t turn = 1 + m->bit % (count - 1);
    for (size_t i = first; i < at; i++)
        turn -= shapes[i].find == shapes[at].find;
    return turn == 0;
}

static bool plant_class(struct maker *m)
{
    find_codes(m);
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        m->count = 0;
        if (is_chosen(m, s))
            shapes[s].find(m);
        for (size_t i = 0; i < m->count; i++)
            if (!plant(m, &shapes[s], &m->list[i]))
                return false;
    }
    return true;
}

/* ---- All of them ---- */

static void put_world(struct maker *m)
{
    static const char *const records[] = {
        "{'resourceType':'Organization','id':'sluice-selftest-place','name':'Place'}",
        "{'resourceType':'Organization','id':'sluice-selftest-program','name':'Program'}",
        "{'resourceType':'Patient','id':'" SL_CANARY_PATIENT "','active':true,'birthDate':'1970-01-01',"
        "'identifier':[{'system':'" SL_CANARY_SYSTEM "','value':'person'}],"
        "'managingOrganization':{'reference':'" SL_CANARY_PLACE "'}}",
        "{'resourceType':'Encounter','id':'" SL_CANARY_VISIT "','status':'finished','class':{'system':"
        "'http://terminology.hl7.org/CodeSystem/"
        "v3-ActCode','code':'AMB'},'subject':{'reference':'Patient/" SL_CANARY_PATIENT
        "'},'serviceProvider':{'reference':'" SL_CANARY_PLACE "'}}",
    };
    for (size_t i = 0; i < sizeof records / sizeof *records; i++)
        put(m, fill(&(struct filling){.m = m}, records[i], true));
}

/* It is about the person, and what it names goes where its target may. */
static void put_list(struct maker *m)
{
    put(m, fill(&(struct filling){.m = m},
               "{'resourceType':'List','id':'" SL_CANARY_LIST "','status':'current','mode':'working','subject':"
               "{'reference':'Patient/" SL_CANARY_PATIENT "'},'source':{'reference':'" SL_CANARY_PLACE "'},'entry':[",
               true));
    m->text.len--; /* the line goes on */
    for (size_t i = 0; i < m->out->count; i++) {
        const struct sl_canary *canary = &m->out->one[i];
        sl_buffer_printf(&m->text, "%s{\"item\":{\"reference\":\"%.*s/%.*s\"}}", i ? "," : "", SL_FMT(canary->type),
            SL_FMT(canary->id));
    }
    sl_buffer_add(&m->text, SL_LIT("]}\n"));
}

static enum sl_status take(struct maker *m)
{
    struct sl_canaries *out = m->out;
    bool failed = sl_buffer_failed(&m->text) || sl_buffer_failed(&m->earlier);
    out->records = sl_arena_copy(m->arena, sl_buffer_slice(&m->text));
    out->earlier = sl_arena_copy(m->arena, sl_buffer_slice(&m->earlier));
    sl_buffer_fini(&m->text);
    sl_buffer_fini(&m->earlier);
    return failed ? SL_LIMIT : sl_arena_failed(m->arena) ? SL_NO_MEMORY : SL_OK;
}

enum sl_status sl_canaries_plant(
    const struct sl_policy *policy, bool whole, struct sl_arena *arena, struct sl_canaries *out)
{
    struct maker *m = sl_arena_alloc(arena, sizeof *m);
    bool good = m != NULL;
    if (!m)
        return SL_NO_MEMORY;
    *m = (struct maker){.policy = policy, .arena = arena, .out = out, .whole = whole};
    *out = (struct sl_canaries){.count = 0};
    sl_buffer_init(&m->text, RECORDS_LIMIT);
    sl_buffer_init(&m->earlier, RECORDS_LIMIT);
    put_world(m);
    for (m->bit = 0; good && m->bit < policy->class_count; m->bit++)
        good = plant_class(m);
    put_list(m);
    enum sl_status status = take(m);
    return good ? status : SL_LIMIT;
}
