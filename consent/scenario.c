/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scenarios: worked cases in the policy files, which are its tests and its lessons. Each is decided by the functions
 * that decide for the gateway: its consents are written as FHIR, read as directives, and compiled into a ruling; its
 * item has the classes it names.
 */
#include "scenario.h"

#include <stdio.h>
#include <stdlib.h>

#include "language.h"
#include "ruling.h"

#define CASE_ARENA ((size_t)4 << 20)
#define WORD_LIST 16u
#define CASE_TIME 1780272000 /* 2026-06-01: consents of scenarios hold from 2020 to 2099 */

enum expectation { EXPECT_NONE, EXPECT_RELEASED, EXPECT_WITHHELD, EXPECT_REFUSED };

/* One scenario, read. */
struct worked {
    struct sl_slice title, party, purpose, organization, by;
    struct sl_slice roles[WORD_LIST], kinds[WORD_LIST], agreements[WORD_LIST], relations[WORD_LIST];
    size_t role_count, kind_count, agreement_count, relation_count;
    const struct sl_yaml *consent_list;
    bool denied, emergency, incomplete, program, same_program, nobody;
    struct sl_classes item, part;
    bool has_part;
    enum expectation expect;
    const struct sl_yaml *labels, *without, *notice;
    char confidentiality;
};

struct run {
    const struct sl_policy *policy;
    struct sl_arena *arena;
    sl_scenario_told tell;
    void *context;
    bool *exercised; /* by rule */
};

/* ---- Reading ---- */

static void read_list(const struct sl_yaml_source *yaml, const struct sl_yaml *at, struct sl_slice *out, size_t *count)
{
    at = sl_yaml_list(yaml, at);
    for (const struct sl_yaml *item = at ? at->first : NULL; item; item = item->next) {
        struct sl_slice word = sl_yaml_text(yaml, item);
        if (word.len && *count < WORD_LIST)
            out[(*count)++] = word;
    }
}

static void read_classes(
    const struct sl_policy *policy, const struct sl_yaml_source *yaml, const struct sl_yaml *at, struct sl_classes *out)
{
    at = sl_yaml_list(yaml, at);
    for (const struct sl_yaml *item = at ? at->first : NULL; item; item = item->next) {
        struct sl_slice id = sl_yaml_text(yaml, item);
        unsigned bit = id.len ? sl_policy_class_find(policy, id) : SL_CLASS_LIMIT;
        struct sl_slice ids[SL_CLASS_LIMIT];
        for (unsigned i = 0; i < policy->class_count; i++)
            ids[i] = policy->classes[i].id;
        if (bit < SL_CLASS_LIMIT)
            sl_classes_add(out, bit);
        else if (id.len)
            sl_language_unknown(yaml, item, "unknown-class", "class", ids, policy->class_count);
    }
}

static void read_consents(
    const struct sl_policy *policy, const struct sl_yaml_source *yaml, const struct sl_yaml *at, struct worked *w)
{
    w->consent_list = sl_yaml_list(yaml, at);
    for (const struct sl_yaml *item = w->consent_list ? w->consent_list->first : NULL; item; item = item->next) {
        struct sl_slice id = sl_yaml_text(yaml, item);
        if (id.len && sl_policy_kind(policy, id) == SL_KIND_LIMIT)
            sl_language_unknown(
                yaml, item, "unknown-consent", "kind of consent", policy->kind_ids, policy->kind_id_count);
    }
}

/* `declared`, or `incomplete`: a declaration that lacks what 2.51 wants. */
static void read_emergency(const struct sl_yaml_source *yaml, const struct sl_yaml *at, struct worked *w)
{
    unsigned word = sl_language_word(yaml, at, SL_WORDS_EMERGENCY_CASE, "unknown-emergency", "state of an emergency");
    w->emergency = word == 0;
    w->incomplete = word == 1;
}

static void read_given(
    const struct sl_policy *policy, const struct sl_yaml_source *yaml, const struct sl_yaml *map, struct worked *w)
{
    if (!map || !sl_language_check(yaml, map, SL_MAP_GIVEN))
        return;
    const struct sl_yaml *party = sl_yaml_get(map, "party"), *purpose = sl_yaml_get(map, "purpose");
    w->party = sl_yaml_text(yaml, party);
    if (w->party.len && !sl_policy_has_party(policy, w->party))
        sl_language_unknown(yaml, party, "unknown-party", "party", policy->party_ids, policy->party_count);
    w->purpose = sl_purpose_find(sl_yaml_text(yaml, purpose));
    if (purpose && !w->purpose.len)
        (void)sl_language_word(yaml, purpose, SL_WORDS_PURPOSE, "unknown-purpose", "purpose");
    w->organization = sl_yaml_text(yaml, sl_yaml_get(map, "organization"));
    read_list(yaml, sl_yaml_get(map, "roles"), w->roles, &w->role_count);
    read_list(yaml, sl_yaml_get(map, "kinds"), w->kinds, &w->kind_count);
    read_list(yaml, sl_yaml_get(map, "agreements"), w->agreements, &w->agreement_count);
    read_list(yaml, sl_yaml_get(map, "relationship"), w->relations, &w->relation_count);
    read_consents(policy, yaml, sl_yaml_get(map, "consents"), w);
    w->denied = sl_yaml_flag(yaml, sl_yaml_get(map, "denied"), false);
    read_emergency(yaml, sl_yaml_get(map, "emergency"), w);
    w->same_program = sl_yaml_flag(yaml, sl_yaml_get(map, "same-program"), false);
    w->program = sl_yaml_flag(yaml, sl_yaml_get(map, "program"), false) || w->same_program;
    w->nobody = sl_yaml_flag(yaml, sl_yaml_get(map, "about-nobody"), false);
    read_classes(policy, yaml, sl_yaml_get(map, "item"), &w->item);
    w->has_part = sl_yaml_get(map, "part") != NULL;
    read_classes(policy, yaml, sl_yaml_get(map, "part"), &w->part);
}

static enum expectation read_expectation(const struct sl_yaml_source *yaml, const struct sl_yaml *at)
{
    unsigned word = sl_language_word(yaml, at, SL_WORDS_OUTCOME, "unknown-expectation", "outcome");
    return word == SL_NO_WORD ? EXPECT_NONE : (enum expectation)(EXPECT_RELEASED + word);
}

static void read_scenario(
    const struct sl_policy *policy, const struct sl_yaml_source *yaml, const struct sl_yaml *at, struct worked *w)
{
    *w = (struct worked){0};
    if (!sl_language_check(yaml, at, SL_MAP_SCENARIO))
        return;
    w->title = sl_yaml_text(yaml, sl_yaml_get(at, "title"));
    read_given(policy, yaml, sl_yaml_map(yaml, sl_yaml_get(at, "given")), w);
    w->expect = read_expectation(yaml, sl_yaml_get(at, "expect"));
    w->by = sl_yaml_text(yaml, sl_yaml_get(at, "by"));
    w->labels = sl_yaml_list(yaml, sl_yaml_get(at, "labels"));
    w->without = sl_yaml_list(yaml, sl_yaml_get(at, "without-labels"));
    w->notice = sl_yaml_get(at, "notice");
    (void)sl_yaml_flag(yaml, w->notice, false);
    struct sl_slice level = sl_yaml_text(yaml, sl_yaml_get(at, "confidentiality"));
    w->confidentiality = level.len == 1 ? level.ptr[0] : 0;
}

void sl_scenarios_check(const struct sl_policy *policy)
{
    for (size_t i = 0; i < policy->scenario_count; i++) {
        struct worked w;
        read_scenario(policy, &policy->scenarios[i].source->yaml, policy->scenarios[i].at, &w);
    }
}

/* ---- Consents as FHIR ---- */

static void write_coding(struct sl_buffer *out, const struct sl_coding *coding)
{
    sl_buffer_add(out, SL_LIT("{\"coding\":[{\"system\":"));
    sl_buffer_json_string(out, coding->system);
    sl_buffer_add(out, SL_LIT(",\"code\":"));
    sl_buffer_json_string(out, coding->code);
    sl_buffer_add(out, SL_LIT("}]}"));
}

static void write_policy_rule(struct sl_buffer *out, const struct sl_consent_kind *kind)
{
    const struct sl_coding none = {
        .system = SL_LIT("http://terminology.hl7.org/CodeSystem/consentpolicycodes"), .code = SL_LIT("hipaa-auth")};
    const struct sl_coding *rule = kind && kind->policy_rule_count ? &kind->policy_rules[0] : &none;
    if (rule->system.len) {
        sl_buffer_add(out, SL_LIT(",\"policyRule\":"));
        write_coding(out, rule);
    } else {
        sl_buffer_add(out, SL_LIT(",\"policy\":[{\"uri\":"));
        sl_buffer_json_string(out, rule->code);
        sl_buffer_add(out, SL_LIT("}]"));
    }
}

static void write_purposes(struct sl_buffer *out, const struct sl_consent_kind *kind, struct sl_slice purpose)
{
    size_t count = kind && kind->purpose_count ? kind->purpose_count : 1;
    for (size_t i = 0; i < count; i++) {
        sl_buffer_printf(
            out, "%s{\"system\":\"http://terminology.hl7.org/CodeSystem/v3-ActReason\",\"code\":", i ? "," : "");
        sl_buffer_json_string(out, kind && kind->purpose_count ? kind->purposes[i] : purpose);
        sl_buffer_add(out, SL_LIT("}"));
    }
}

/* A Consent as the first form of its kind has it; without a kind, one that denies. */
static void write_consent(
    struct sl_buffer *out, const struct sl_consent_kind *kind, struct sl_slice purpose, unsigned number)
{
    const struct sl_coding plain = {.system = SL_LIT("http://loinc.org"), .code = SL_LIT("59284-0")};
    sl_buffer_printf(out,
        "{\"resourceType\":\"Consent\",\"id\":\"c%u\",\"status\":\"active\",\"scope\":{\"coding\":[{"
        "\"system\":\"http://terminology.hl7.org/CodeSystem/consentscope\",\"code\":\"patient-privacy\"}]},"
        "\"category\":[",
        number);
    write_coding(out, kind && kind->category_count ? &kind->categories[0] : &plain);
    sl_buffer_add(
        out, SL_LIT("],\"patient\":{\"reference\":\"Patient/p\"},\"dateTime\":\"2026-01-01\","
                    "\"performer\":[{\"reference\":\"Patient/p\"}],\"sourceAttachment\":{\"title\":\"signed\"}"));
    write_policy_rule(out, kind);
    sl_buffer_printf(out,
        ",\"provision\":{\"type\":\"%s\",\"period\":{\"start\":\"2020-01-01\",\"end\":\"2099-12-31\"},"
        "\"purpose\":[",
        kind ? "permit" : "deny");
    write_purposes(out, kind, purpose);
    sl_buffer_add(out, SL_LIT("]}}"));
}

static enum sl_status add_consent(
    struct run *run, const struct sl_consent_kind *kind, struct sl_slice purpose, struct sl_directives *list)
{
    struct sl_buffer text;
    struct sl_doc *doc = sl_arena_alloc(run->arena, sizeof *doc);
    sl_buffer_init(&text, 64 * 1024);
    write_consent(&text, kind, purpose, (unsigned)list->count + 1);
    struct sl_slice kept = sl_arena_copy(run->arena, sl_buffer_slice(&text));
    bool failed = sl_buffer_failed(&text) || !doc || !kept.ptr;
    sl_buffer_fini(&text);
    if (failed)
        return SL_NO_MEMORY;
    SL_TRY(sl_doc_parse(run->arena, kept, NULL, doc, NULL));
    return sl_directive_read(run->arena, doc, 0, NULL, list);
}

static const struct sl_consent_kind *kind_row(const struct sl_policy *policy, struct sl_slice id)
{
    for (size_t i = 0; i < policy->kind_count; i++)
        if (sl_slice_eq(policy->kinds[i].id, id))
            return &policy->kinds[i];
    return NULL;
}

static enum sl_status add_consents(struct run *run, const struct worked *w, struct sl_directives *list)
{
    for (const struct sl_yaml *item = w->consent_list ? w->consent_list->first : NULL; item; item = item->next) {
        const struct sl_consent_kind *kind = kind_row(run->policy, item->text);
        if (kind)
            SL_TRY(add_consent(run, kind, w->purpose, list));
    }
    return w->denied ? add_consent(run, NULL, w->purpose, list) : SL_OK;
}

/* ---- Running ---- */

struct outcome {
    bool refused;
    struct sl_verdict verdict;
    const struct sl_rule_view *rules[64];
    size_t rule_count;
    struct sl_release release;
};

static enum sl_status decide_case(
    struct run *run, const struct worked *w, const struct sl_recipient *recipient, struct outcome *out)
{
    static const struct sl_slice patient = {"Patient/p", 9};
    struct sl_directives directives = {0};
    struct sl_ruling *ruling = NULL;
    struct sl_part part = {.classes = w->part};
    struct sl_item item = {.type = SL_R4_Observation, .id = SL_LIT("o"), .classes = w->item};
    item.program = w->program ? SL_LIT("Organization/program") : SL_LIT("");
    item.source = w->program ? SL_SOURCE_PROGRAM : SL_SOURCE_NOT;
    out->refused = sl_admit(run->policy, recipient) != SL_OK;
    SL_TRY(add_consents(run, w, &directives));
    SL_TRY(sl_ruling_new(
        run->arena, run->policy, recipient, &patient, w->nobody ? 0 : 1, &directives, CASE_TIME, &ruling));
    out->verdict = sl_decide_item(ruling, &item);
    if (w->has_part && out->verdict.decision == SL_RELEASED) {
        item.parts = &part;
        item.part_count = 1;
        out->verdict = sl_decide_part(ruling, &item, &part);
        part.cut = out->verdict.decision != SL_RELEASED;
    }
    if (out->verdict.decision != SL_RELEASED)
        return SL_OK;
    out->rule_count = sl_ruling_rules(ruling, &item, out->rules, sizeof out->rules / sizeof *out->rules);
    return sl_ruling_release(ruling, &item, run->arena, &out->release);
}

static enum sl_status run_case(struct run *run, const struct worked *w, struct outcome *out)
{
    struct sl_emergency emergency = {
        SL_LIT("Dr. Example"), SL_LIT("Example Hospital"), SL_LIT("Example Clinic"), SL_LIT("unconscious"), true};
    struct sl_relationship relations[WORD_LIST];
    for (size_t i = 0; i < w->relation_count; i++)
        relations[i] = (struct sl_relationship){w->relations[i], SL_LIT("Patient/p"), SL_BY_TOKEN};
    if (w->incomplete)
        emergency.nature = SL_LIT(" ");
    struct sl_recipient recipient = {.client = SL_LIT("scenario"),
        .party = w->party,
        .purpose = w->purpose,
        .roles = w->roles,
        .role_count = w->role_count,
        .kinds = w->kinds,
        .kind_count = w->kind_count,
        .agreements = w->agreements,
        .agreement_count = w->agreement_count,
        .relationships = relations,
        .relationship_count = w->relation_count,
        .organization = w->organization,
        .emergency = w->emergency || w->incomplete ? &emergency : NULL};
    if (w->same_program)
        recipient.organization = SL_LIT("Organization/program");
    *out = (struct outcome){0};
    return decide_case(run, w, &recipient, out);
}

/* ---- Judging ---- */

static void note_rule(struct run *run, const struct sl_rule_view *view)
{
    for (size_t i = 0; view && i < run->policy->rule_count; i++)
        run->exercised[i] |= &run->policy->rules[i].view == view;
}

static bool was_by(const struct outcome *o, struct sl_slice by)
{
    if (!by.len)
        return true;
    if (o->verdict.decision != SL_RELEASED)
        return o->verdict.cause.rule ? sl_slice_eq(o->verdict.cause.rule->id, by)
                                     : sl_slice_eq(sl_slice_of(o->verdict.cause.why), by);
    for (size_t i = 0; i < o->rule_count; i++)
        if (sl_slice_eq(o->rules[i]->id, by))
            return true;
    return false;
}

static bool has_label(const struct sl_release *release, struct sl_slice code)
{
    for (size_t i = 0; i < release->label_count; i++)
        if (sl_slice_eq(release->labels[i].code, code))
            return true;
    return false;
}

/* What did not come out as expected, in words; NULL: all did. */
static const char *difference(const struct worked *w, const struct outcome *o)
{
    bool released = o->verdict.decision == SL_RELEASED;
    if (w->expect == EXPECT_REFUSED)
        return o->refused ? NULL : "the request was not refused";
    if (w->expect == EXPECT_RELEASED && o->refused)
        return "the request was refused";
    if (released != (w->expect == EXPECT_RELEASED))
        return released ? "it was released" : "it was withheld";
    if (!was_by(o, w->by))
        return "another rule decided";
    for (const struct sl_yaml *l = w->labels ? w->labels->first : NULL; l; l = l->next)
        if (!has_label(&o->release, l->text))
            return "a label is missing";
    for (const struct sl_yaml *l = w->without ? w->without->first : NULL; l; l = l->next)
        if (has_label(&o->release, l->text))
            return "a label is there that must not be";
    if (w->confidentiality && w->confidentiality != o->release.confidentiality)
        return "the confidentiality is another";
    struct sl_yaml_source quiet = {0};
    if (w->notice && sl_yaml_flag(&quiet, w->notice, false) != o->release.notice)
        return o->release.notice ? "a notice is there that must not be" : "the notice is missing";
    return NULL;
}

static void report(struct run *run, const struct sl_scenario *scenario, const struct worked *w, const struct outcome *o,
    const char *what)
{
    struct sl_buffer text;
    sl_buffer_init(&text, 64 * 1024);
    sl_buffer_printf(&text, "%s", what);
    struct sl_slice rule = o->verdict.cause.rule ? o->verdict.cause.rule->id : SL_LIT("");
    if (o->verdict.decision != SL_RELEASED && o->verdict.cause.why)
        sl_buffer_printf(&text, " (%s%s%.*s)", o->verdict.cause.why, rule.len ? ", " : "", SL_FMT(rule));
    for (size_t i = 0; i < o->rule_count; i++)
        sl_buffer_printf(&text, "%s%.*s", i ? ", " : " (by ", SL_FMT(o->rules[i]->id));
    sl_buffer_add(&text, o->rule_count ? SL_LIT(")") : SL_LIT(""));
    run->tell(run->context, scenario, w->title, sl_buffer_slice(&text));
    sl_buffer_fini(&text);
}

static enum sl_status run_scenario(struct run *run, const struct sl_scenario *scenario, bool *good)
{
    struct worked w;
    struct outcome outcome;
    struct sl_yaml_source quiet = {.arena = run->arena, .file = scenario->source->yaml.file};
    read_scenario(run->policy, &quiet, scenario->at, &w);
    SL_TRY(run_case(run, &w, &outcome));
    const char *what = difference(&w, &outcome);
    *good = !what;
    if (what)
        report(run, scenario, &w, &outcome, what);
    note_rule(run, outcome.verdict.decision == SL_RELEASED ? NULL : outcome.verdict.cause.rule);
    for (size_t i = 0; i < outcome.rule_count; i++)
        note_rule(run, outcome.rules[i]);
    return SL_OK;
}

enum sl_status sl_scenarios_run(const struct sl_policy *policy, sl_scenario_told tell, void *context, bool *exercised,
    size_t *passed, size_t *failed)
{
    struct run run = {
        .policy = policy, .arena = sl_arena_new(CASE_ARENA), .tell = tell, .context = context, .exercised = exercised};
    enum sl_status status = run.arena ? SL_OK : SL_NO_MEMORY;
    *passed = *failed = 0;
    for (size_t i = 0; status == SL_OK && i < policy->scenario_count; i++) {
        bool good = false;
        status = run_scenario(&run, &policy->scenarios[i], &good);
        *(good ? passed : failed) += 1;
        sl_arena_reset(run.arena);
    }
    sl_arena_free(run.arena);
    return status;
}

/* ---- For people ---- */

static void write_failure(
    void *context, const struct sl_scenario *scenario, struct sl_slice title, struct sl_slice what)
{
    sl_buffer_printf(context, "FAIL %.*s:%zu %.*s: %.*s\n", SL_FMT(scenario->source->yaml.file), scenario->at->line,
        SL_FMT(title), SL_FMT(what));
}

static void report_unexercised(const struct sl_policy *policy, const bool *exercised, struct sl_buffer *out)
{
    for (size_t i = 0; i < policy->rule_count; i++) {
        const struct sl_rule_view *view = &policy->rules[i].view;
        if (!exercised[i])
            sl_buffer_printf(out, "UNTRIED %.*s:%zu no scenario turns on the rule %.*s\n", SL_FMT(view->file),
                view->line, SL_FMT(view->id));
    }
}

enum sl_status sl_policy_test(const struct sl_policy *policy, struct sl_buffer *out, size_t *passed, size_t *failed)
{
    bool *exercised = calloc(policy->rule_count + 1, sizeof *exercised);
    if (!exercised)
        return SL_NO_MEMORY;
    enum sl_status status = sl_scenarios_run(policy, write_failure, out, exercised, passed, failed);
    if (status == SL_OK) {
        report_unexercised(policy, exercised, out);
        sl_buffer_printf(out, "%zu scenarios passed, %zu failed\n", *passed, *failed);
        status = sl_buffer_failed(out) ? SL_LIMIT : SL_OK;
    }
    free(exercised);
    return status;
}
