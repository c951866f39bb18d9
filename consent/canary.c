/* SPDX-License-Identifier: Apache-2.0 */
/* Canaries and whom to ask as: see sluice/canary.h. One maker a way to earn a class; each writes one record. */
#include "sluice/canary.h"

#include "policy_model.h"
#include "sluice/buffer.h"
#include "sluice/terminology.h"
#include "terminology_model.h"

#define RECORDS_LIMIT ((size_t)4 * 1024 * 1024)
#define NOW 1767225600 /* 2026-01-01: the records' own time */

struct maker {
    const struct sl_policy *policy;
    struct sl_arena *arena;
    struct sl_canaries *out;
    struct sl_buffer text;
    unsigned bit; /* the class that is being planted */
};

/* ---- Writing ---- */

/* Begins one more canary; its mark is its id unless an element alone bears it. False: there is no room. */
static struct sl_canary *begin(struct maker *m, const char *way, struct sl_slice type, bool element)
{
    if (m->out->count == SL_CANARIES)
        return NULL;
    struct sl_canary *canary = &m->out->one[m->out->count];
    *canary = (struct sl_canary){.class_bit = m->bit,
        .way = way,
        .type = type,
        .element = element,
        .id = sl_arena_printf(m->arena, "%s%04zu", element ? "sluice-selftest-" : SL_CANARY_MARK, m->out->count)};
    m->out->count++;
    sl_buffer_printf(&m->text, "{\"resourceType\":\"%.*s\",\"id\":\"%.*s\"", SL_FMT(type), SL_FMT(canary->id));
    return canary;
}

static void put(struct maker *m, const char *text)
{
    sl_buffer_add(&m->text, sl_slice_of(text));
}

static void end(struct maker *m)
{
    put(m, "}\n");
}

static void put_coding(struct maker *m, struct sl_slice system, struct sl_slice code)
{
    put(m, "{\"system\":");
    sl_buffer_json_string(&m->text, system);
    put(m, ",\"code\":");
    sl_buffer_json_string(&m->text, code);
    put(m, "}");
}

/* What an Observation has besides: its subject, who made it, when, and a handle to look for it by. */
static void put_frame_of(struct maker *m, const char *performer, const char *status)
{
    sl_buffer_printf(&m->text,
        ",\"status\":\"%s\",\"subject\":{\"reference\":\"Patient/" SL_CANARY_PATIENT "\"},\"encounter\":{\"reference\":"
        "\"Encounter/" SL_CANARY_VISIT
        "\"},\"performer\":[{\"reference\":\"%s\"}],\"effectiveDateTime\":\"2025-06-01\","
        "\"identifier\":[{\"system\":\"" SL_CANARY_SYSTEM "\",\"value\":\"handle-%04zu\"}]",
        status, performer, m->out->count - 1);
}

static void put_frame(struct maker *m, const char *performer)
{
    put_frame_of(m, performer, "final");
}

static const struct sl_slice observation = {"Observation", 11}, document = {"DocumentReference", 17};

static void put_code(struct maker *m, struct sl_slice system, struct sl_slice code)
{
    put(m, ",\"code\":{\"coding\":[");
    put_coding(m, system, code);
    put(m, "]}");
}

static void put_plain_code(struct maker *m)
{
    put_code(m, SL_LIT("http://loinc.org"), SL_LIT("8867-4"));
}

/* ---- By a code ---- */

/* How a Coding writes the system. */
static struct sl_slice spelling_of(const struct sl_terminology *t, sl_system system)
{
    for (size_t i = 0; i <= t->spelling_mask; i++) {
        const struct spelling *one = &t->spellings[i];
        if (one->text.len && one->system == system && memchr(one->text.ptr, ':', one->text.len) &&
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

/* The first row of a category that the class is earned by, as evidence of that weight. */
static bool plant_row(struct maker *m, unsigned category, bool weak)
{
    const struct sl_terminology *t = m->policy->terminology;
    for (uint32_t i = 0; i < t->row_count; i++) {
        const struct row *row = &t->rows[i];
        if (row->kind != ROW_EXACT || row->category != category || row->weak != weak)
            continue;
        struct sl_slice system = spelling_of(t, row->system), code = {row->text, row->len};
        if (!system.len || !earns(m, system, code))
            continue;
        if (!begin(m, weak ? "weak-code" : "code", observation, false))
            return false;
        put_frame(m, SL_CANARY_PLACE);
        put_code(m, system, code);
        end(m);
        return true;
    }
    return true;
}

static bool plant_codes(struct maker *m)
{
    const struct sl_earning *e = &m->policy->earning;
    unsigned planted = 0;
    for (unsigned c = 0; c < SL_CATEGORY_LIMIT && planted < 2; c++) {
        size_t before = m->out->count;
        if (sl_classes_has(&e->by_category[c], m->bit) && !plant_row(m, c, false))
            return false;
        if (sl_classes_has(&e->weak_by_category[c], m->bit) && !plant_row(m, c, true))
            return false;
        planted += m->out->count > before;
    }
    return true;
}

/* ---- By a label, a type, a source ---- */

static bool plant_label(struct maker *m)
{
    const struct sl_earning *e = &m->policy->earning;
    for (size_t i = 0; i < e->security_count; i++) {
        const struct sl_security_rule *rule = &e->security[i];
        if (!sl_classes_has(&rule->classes, m->bit) || sl_classes_has(&rule->bearers, m->bit))
            continue;
        if (!begin(m, "label", observation, false))
            return false;
        put(m, ",\"meta\":{\"security\":[");
        put_coding(m, rule->system, rule->code);
        put(m, "]}");
        put_frame(m, SL_CANARY_PLACE);
        put_plain_code(m);
        end(m);
        return true;
    }
    return true;
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

static void put_reference(struct maker *m, const struct sl_r4_element *element, const char *target)
{
    bool many = element->flags & SL_R4_MANY;
    sl_buffer_printf(&m->text, ",\"%.*s\":%s{\"reference\":\"%s\"}%s", SL_FMT(sl_name_text(element->name)),
        many ? "[" : "", target, many ? "]" : "");
}

/* Of each type that alone earns the class, one; the first few. */
static bool plant_types(struct maker *m)
{
    unsigned planted = 0;
    for (sl_r4_node type = 1; type < SL_R4_NODES && sl_r4_is_resource(type) && planted < 3; type++) {
        const struct sl_r4_element *patient = reference_of(type, true), *origin = reference_of(type, false);
        if (!sl_classes_has(&m->policy->earning.by_type[type], m->bit) || !patient ||
            (sl_r4_facts(type) & (SL_R4_BY_ROUTE | SL_R4_DIRECTORY)))
            continue;
        if (!begin(m, "type", sl_r4_node_name(type), false))
            return false;
        put_reference(m, patient, "Patient/" SL_CANARY_PATIENT);
        if (origin && origin->name != patient->name)
            put_reference(m, origin, SL_CANARY_PLACE);
        end(m);
        planted++;
    }
    return true;
}

/* One more person: known to the house, or to a program alone. */
static bool plant_person(struct maker *m, const char *way, const char *registrar)
{
    if (!begin(m, way, (struct sl_slice){"Patient", 7}, false))
        return false;
    sl_buffer_printf(&m->text,
        ",\"birthDate\":\"1970-01-01\",\"gender\":\"unknown\",\"managingOrganization\":{\"reference\":\"%s\"},"
        "\"identifier\":[{\"system\":\"" SL_CANARY_SYSTEM "\",\"value\":\"person\"},{\"system\":\"" SL_CANARY_SYSTEM
        "\",\"value\":\"handle-%04zu\"}]",
        registrar, m->out->count - 1);
    end(m);
    return true;
}

static bool plant_persons(struct maker *m)
{
    const struct sl_earning *e = &m->policy->earning;
    if (sl_classes_has(&e->by_type[SL_R4_Patient], m->bit) && !plant_person(m, "person", SL_CANARY_PLACE))
        return false;
    return !sl_classes_has(&e->presence, m->bit) || plant_person(m, "presence", SL_CANARY_PROGRAM);
}

static bool plant_origin(struct maker *m)
{
    if (!sl_classes_has(&m->policy->earning.program, m->bit))
        return true;
    if (!begin(m, "origin", observation, false))
        return false;
    put_frame(m, SL_CANARY_PROGRAM);
    put_plain_code(m);
    end(m);
    return true;
}

static bool plant_unknown_code(struct maker *m)
{
    if (!sl_classes_has(&m->policy->earning.unclassified, m->bit))
        return true;
    if (!begin(m, "unknown-code", observation, false))
        return false;
    put_frame(m, SL_CANARY_PLACE);
    put_code(m, SL_LIT("urn:sluice:selftest:codes"), SL_LIT("x"));
    end(m);
    return true;
}

/* ---- By words ---- */

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

static bool plant_note(struct maker *m, const char *way, const char *words)
{
    if (!begin(m, way, observation, true))
        return false;
    put_frame(m, SL_CANARY_PLACE);
    put_plain_code(m);
    sl_buffer_printf(
        &m->text, ",\"note\":[{\"text\":\"" SL_CANARY_MARK "%04zu %s.\"}]", m->out->count - 1, words ? words : "text");
    end(m);
    return true;
}

static bool plant_words(struct maker *m)
{
    const struct sl_earning *e = &m->policy->earning;
    if (sl_classes_has(&e->text, m->bit) && !plant_note(m, "text", NULL))
        return false;
    for (unsigned i = 0; e->words && i < SL_MENTIONS; i++)
        if (topics[i] && sl_classes_has(&e->by_mention[i], m->bit) && !plant_note(m, "words", topics[i]))
            return false;
    return true;
}

/* ---- Documents: notes kept apart, what nobody here can read ---- */

static bool plant_document(struct maker *m, const char *way, const struct sl_note_rule *rule)
{
    if (!begin(m, way, document, false))
        return false;
    sl_buffer_printf(&m->text,
        ",\"status\":\"current\",\"subject\":{\"reference\":\"Patient/" SL_CANARY_PATIENT
        "\"},\"author\":[{\"reference\":\"" SL_CANARY_PLACE "\"}],\"custodian\":{\"reference\":\"" SL_CANARY_PLACE
        "\"},\"identifier\":[{\"system\":"
        "\"" SL_CANARY_SYSTEM "\",\"value\":\"handle-%04zu\"}]",
        m->out->count - 1);
    if (rule) {
        put(m, ",\"type\":{\"coding\":[");
        put_coding(m, rule->system, rule->code);
        put(m, "]}");
    }
    put(m, rule ? ",\"content\":[{\"attachment\":{\"contentType\":\"text/plain\",\"data\":\"eA==\"}}]"
                : ",\"content\":[{\"attachment\":{\"contentType\":\"application/pdf\",\"data\":\"JVBERg==\"}}]");
    end(m);
    return true;
}

static bool plant_documents(struct maker *m)
{
    const struct sl_earning *e = &m->policy->earning;
    for (size_t i = 0; i < e->note_rule_count; i++)
        if (e->note_rules[i].by == SL_NOTE_BY_TYPE && e->note_rules[i].system.len &&
            sl_classes_has(&e->note_rules[i].classes, m->bit))
            return plant_document(m, "note-type", &e->note_rules[i]);
    return true;
}

static bool plant_draft(struct maker *m)
{
    if (!sl_classes_has(&m->policy->earning.draft, m->bit))
        return true;
    if (!begin(m, "draft", observation, false))
        return false;
    put(m,
        ",\"meta\":{\"security\":[{\"system\":\"http://terminology.hl7.org/CodeSystem/v3-ObservationValue\",\"code\":"
        "\"AIAST\"}]}");
    put_frame_of(m, SL_CANARY_PLACE, "preliminary"); /* what is final, a human has vouched for */
    put_plain_code(m);
    end(m);
    return true;
}

/* ---- All of them ---- */

static bool (*const makers[])(struct maker *m) = {plant_codes, plant_label, plant_types, plant_persons, plant_origin,
    plant_unknown_code, plant_words, plant_documents, plant_draft};

static void put_world(struct maker *m)
{
    static const char *const records[] = {
        "{\"resourceType\":\"Organization\",\"id\":\"sluice-selftest-place\",\"name\":\"Place\"}",
        "{\"resourceType\":\"Organization\",\"id\":\"sluice-selftest-program\",\"name\":\"Program\"}",
        "{\"resourceType\":\"Patient\",\"id\":\"" SL_CANARY_PATIENT "\",\"active\":true,\"birthDate\":\"1970-01-01\","
        "\"identifier\":[{\"system\":\"" SL_CANARY_SYSTEM "\",\"value\":\"person\"}],\"managingOrganization\":{"
        "\"reference\":\"" SL_CANARY_PLACE "\"}}",
        "{\"resourceType\":\"Encounter\",\"id\":\"" SL_CANARY_VISIT "\",\"status\":\"finished\",\"class\":{\"system\":"
        "\"http://terminology.hl7.org/CodeSystem/"
        "v3-ActCode\",\"code\":\"AMB\"},\"subject\":{\"reference\":\"Patient/" SL_CANARY_PATIENT
        "\"},\"serviceProvider\":{\"reference\":\"" SL_CANARY_PLACE "\"}}",
    };
    for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
        put(m, records[i]);
        put(m, "\n");
    }
}

/* It is about the person, and what it names goes where its target may. */
static void put_list(struct maker *m)
{
    put(m, "{\"resourceType\":\"List\",\"id\":\"" SL_CANARY_LIST
           "\",\"status\":\"current\",\"mode\":\"working\",\"subject\":{\"reference\":\"Patient/" SL_CANARY_PATIENT
           "\"},\"source\":{\"reference\":\"" SL_CANARY_PLACE "\"},\"entry\":[");
    for (size_t i = 0; i < m->out->count; i++)
        sl_buffer_printf(&m->text, "%s{\"item\":{\"reference\":\"%.*s/%.*s\"}}", i ? "," : "",
            SL_FMT(m->out->one[i].type), SL_FMT(m->out->one[i].id));
    put(m, "]}\n");
}

static struct sl_canary *canary_of(struct sl_canaries *canaries, struct sl_slice id)
{
    for (size_t i = 0; i < canaries->count; i++)
        if (sl_slice_eq(canaries->one[i].id, id))
            return &canaries->one[i];
    return NULL;
}

/* Labelled as any record is: what each has besides the class that it was made for. */
static enum sl_status label(struct maker *m, const struct sl_programs *programs)
{
    struct sl_labeller *labeller = sl_labeller_new(m->arena, m->policy, programs);
    struct sl_slice rest = m->out->records, *missing;
    size_t count;
    if (!labeller)
        return SL_NO_MEMORY;
    while (rest.len) {
        const char *line_end = memchr(rest.ptr, '\n', rest.len);
        struct sl_slice line = {rest.ptr, line_end ? (size_t)(line_end - rest.ptr) : rest.len};
        struct sl_doc *doc = sl_arena_alloc(m->arena, sizeof *doc);
        struct sl_item *item;
        rest = sl_slice_from(rest, line.len + 1);
        if (!doc)
            return SL_NO_MEMORY;
        SL_TRY(sl_doc_parse(m->arena, line, NULL, doc, NULL));
        SL_TRY(sl_labeller_add(labeller, doc, 0, (struct sl_slice){NULL, 0}, false, &item));
    }
    do {
        SL_TRY(sl_labeller_resolve(labeller, &missing, &count));
        for (size_t i = 0; i < count; i++)
            SL_TRY(sl_labeller_absent(labeller, missing[i], true));
    } while (count);
    for (const struct sl_item *item = sl_labeller_items(labeller); item; item = item->next) {
        struct sl_canary *canary = item->container ? NULL : canary_of(m->out, item->id);
        if (!canary)
            continue;
        canary->classes = item->classes;
        for (uint32_t i = 0; canary->element && i < item->part_count; i++)
            sl_classes_join(&canary->classes, &item->parts[i].classes);
    }
    return SL_OK;
}

enum sl_status sl_canaries_make(
    const struct sl_policy *policy, const struct sl_programs *programs, struct sl_arena *arena, struct sl_canaries *out)
{
    struct maker m = {.policy = policy, .arena = arena, .out = out};
    bool good = true;
    *out = (struct sl_canaries){0};
    sl_buffer_init(&m.text, RECORDS_LIMIT);
    put_world(&m);
    for (m.bit = 0; good && m.bit < policy->class_count; m.bit++)
        for (size_t i = 0; good && i < sizeof makers / sizeof *makers; i++)
            good = makers[i](&m);
    put_list(&m);
    out->records = sl_arena_copy(arena, sl_buffer_slice(&m.text));
    bool failed = sl_buffer_failed(&m.text);
    sl_buffer_fini(&m.text);
    if (!good || failed)
        return SL_LIMIT;
    return out->records.ptr ? label(&m, programs) : SL_NO_MEMORY;
}

/* ---- Where everybody may have everything ---- */

static void fill_up(struct sl_classes *set, unsigned count)
{
    for (unsigned bit = 0; bit < count; bit++)
        sl_classes_add(set, bit);
}

/* Rules and grants are others; what records are, and who asks, is told as before. */
enum sl_status sl_canary_control(const struct sl_policy *policy, struct sl_arena *arena, struct sl_policy **out)
{
    struct sl_policy *open = sl_arena_alloc(arena, sizeof *open);
    struct sl_rule *rule = sl_arena_alloc(arena, sizeof *rule);
    struct sl_grant *grant = sl_arena_alloc(arena, sizeof *grant);
    if (!open || !rule || !grant)
        return SL_NO_MEMORY;
    *rule = (struct sl_rule){.view = {.id = SL_LIT("self-test"), .title = SL_LIT("Everything goes.")},
        .layer = SL_LAYER_ORGANIZATION,
        .verdict = SL_RULE_RELEASE,
        .everyone = true,
        .purposes = ~(uint64_t)0};
    fill_up(&rule->data, policy->class_count);
    *grant = (struct sl_grant){.view = rule->view, .parties = ~(uint64_t)0, .purposes = ~(uint64_t)0, .may = ~0u};
    memset(grant->types, 0xff, sizeof grant->types);
    *open = *policy;
    atomic_init(&open->references, 1); /* of the arena, which nobody gives back */
    open->rules = rule;
    open->rule_count = 1;
    open->grants = grant;
    open->grant_count = 1;
    open->restrictions = 0;
    *out = open;
    return SL_OK;
}

/* ---- Whom to ask as ---- */

static enum sl_status add_asker(const struct sl_policy *policy, unsigned party, struct sl_slice purpose,
    struct sl_arena *arena, struct sl_canary_asker *out)
{
    static const struct sl_emergency emergency = {{"a", 1}, {"b", 1}, {"c", 1}, {"d", 1}, true, 0};
    struct sl_ruling *ruling;
    *out = (struct sl_canary_asker){.recipient = {.client = SL_LIT("self-test"),
                                        .party = policy->parties[party].id,
                                        .purpose = purpose,
                                        .emergency = policy->parties[party].emergency ? &emergency : NULL}};
    SL_TRY(sl_ruling_new(arena, policy, &out->recipient, NULL, 0, NULL, NOW, &ruling));
    for (unsigned bit = 0; bit < policy->class_count; bit++)
        if (sl_ruling_may(ruling, bit))
            sl_classes_add(&out->may, bit);
    return SL_OK;
}

enum sl_status sl_canary_askers(
    const struct sl_policy *policy, struct sl_arena *arena, struct sl_canary_asker **out, size_t *count)
{
    *count = 0;
    *out = sl_arena_array(arena, policy->party_count + 1, sizeof **out);
    if (!*out)
        return SL_NO_MEMORY;
    for (unsigned p = 0; p < policy->party_count; p++)
        if (!policy->parties[p].builtin)
            SL_TRY(add_asker(policy, p, sl_policy_usual_purpose(policy, p), arena, &(*out)[(*count)++]));
    return SL_OK;
}
