/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scenarios: worked cases in the policy files, which are its tests and its lessons. Each is decided by the functions
 * that decide for the gateway: its consents are written as FHIR, read as directives, and compiled into a ruling; its
 * item has the classes it names.
 */
#include "scenario.h"

#include "item_facts.h"
#include "language.h"
#include "registered.h"

#define DISCLOSER "Organization/discloser"
#define CLIENT "scenario"
#define RECORD "Observation" /* a scenario says of a record what classes it has, and not of what type it is */
#define CASE_TIME 1780272000 /* 2026-06-01: consents of scenarios hold from 2020 to 2099 */

/* ---- Reading ---- */

static void read_list(const struct sl_yaml_source *yaml, const struct sl_yaml *at, struct sl_slice *out, size_t *count)
{
    at = sl_yaml_list(yaml, at);
    for (const struct sl_yaml *item = at ? at->first : NULL; item; item = item->next) {
        struct sl_slice word = sl_yaml_text(yaml, item);
        if (word.len && *count < SL_GIVEN_WORDS)
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
    const struct sl_policy *policy, const struct sl_yaml_source *yaml, const struct sl_yaml *at, struct sl_worked *w)
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
static void read_emergency(const struct sl_yaml_source *yaml, const struct sl_yaml *at, struct sl_worked *w)
{
    unsigned word = sl_language_word(yaml, at, SL_WORDS_EMERGENCY_CASE, "unknown-emergency", "state of an emergency");
    w->emergency = word == 0;
    w->incomplete = word == 1;
}

static void read_exchange(const struct sl_yaml_source *yaml, const struct sl_yaml *at, struct sl_worked *w)
{
    unsigned word = sl_language_word(yaml, at, SL_WORDS_EXCHANGE, "unknown-exchange-purpose", "exchange purpose");
    w->exchange = word == SL_NO_WORD ? NULL : sl_exchange_at(word / 2);
}

static void read_relations(const struct sl_yaml_source *yaml, const struct sl_yaml *at, struct sl_worked *w)
{
    const struct sl_yaml *list = sl_yaml_list(yaml, at);
    for (const struct sl_yaml *item = list ? list->first : NULL; item; item = item->next)
        (void)sl_language_word(
            yaml, item, SL_WORDS_RELATIONSHIP, "unknown-relationship", "relationship with a patient");
    read_list(yaml, at, w->relations, &w->relation_count);
}

/* A number of years; not known, if not said. */
static void read_age(const struct sl_yaml_source *yaml, const struct sl_yaml *at, struct sl_worked *w)
{
    struct sl_slice text = sl_yaml_text(yaml, at);
    unsigned years = 0;
    for (size_t i = 0; i < text.len && i < 3; i++)
        years = text.ptr[i] >= '0' && text.ptr[i] <= '9' ? years * 10 + (unsigned)(text.ptr[i] - '0') : 1000;
    if (!text.len)
        return;
    w->age = (struct sl_age){true, (uint16_t)years, (uint16_t)years};
    if (text.len > 3 || years >= 200)
        sl_yaml_issue(yaml, at, false, "unknown-age", "An age is a number of years here.");
}

static void read_item_facts(const struct sl_yaml_source *yaml, const struct sl_yaml *map, struct sl_worked *w)
{
    const struct sl_yaml *entries = sl_yaml_list(yaml, sl_yaml_get(map, "register"));
    for (const struct sl_yaml *item = entries ? entries->first : NULL; item; item = item->next)
        (void)sl_language_word(yaml, item, SL_WORDS_REGISTER_FACT, "unknown-register",
            "kind of entry in the register that a line can ask for");
    read_list(yaml, sl_yaml_get(map, "register"), w->entries, &w->entry_count);
    read_age(yaml, sl_yaml_get(map, "age"), w);
    const struct sl_yaml *state = sl_yaml_get(map, "source-state");
    w->source_state = sl_yaml_text(yaml, state);
    if (w->source_state.len && !sl_state_known(w->source_state))
        sl_yaml_issue(yaml, state, false, "unknown-state", "No state is called \"%.*s\": write two capital letters.",
            SL_FMT(w->source_state));
    w->author = sl_yaml_flag(yaml, sl_yaml_get(map, "author"), false);
}

/* A case about writing is about no record in particular. */
static void read_write(const struct sl_yaml_source *yaml, const struct sl_yaml *map, struct sl_worked *w)
{
    const struct sl_yaml *write = sl_yaml_get(map, "write"), *type = sl_yaml_get(map, "type");
    unsigned word = sl_language_word(yaml, write, SL_WORDS_ACTION, "unknown-action", "kind of write");
    w->write = word == SL_NO_WORD ? SL_WRITE_NONE : (enum sl_write_action)(SL_WRITE_CREATE + word);
    if (type && sl_language_word(yaml, type, SL_WORDS_TYPE, "unknown-type", "FHIR R4 resource type") != SL_NO_WORD)
        w->type = sl_r4_resource(type->text);
    (void)sl_yaml_require(yaml, map, write ? "type" : "item");
}

static void read_given(
    const struct sl_policy *policy, const struct sl_yaml_source *yaml, const struct sl_yaml *map, struct sl_worked *w)
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
    read_list(yaml, sl_yaml_get(map, "services"), w->services, &w->service_count);
    read_list(yaml, sl_yaml_get(map, "networks"), w->networks, &w->network_count);
    read_exchange(yaml, sl_yaml_get(map, "exchange-purpose"), w);
    read_relations(yaml, sl_yaml_get(map, "relationship"), w);
    read_consents(policy, yaml, sl_yaml_get(map, "consents"), w);
    w->denied = sl_yaml_flag(yaml, sl_yaml_get(map, "denied"), false);
    read_emergency(yaml, sl_yaml_get(map, "emergency"), w);
    w->hours = sl_language_hours(yaml, sl_yaml_get(map, "declared-ago"));
    w->on = sl_yaml_date(yaml, sl_yaml_get(map, "on"));
    w->same_program = sl_yaml_flag(yaml, sl_yaml_get(map, "same-program"), false);
    w->serves_program = sl_yaml_flag(yaml, sl_yaml_get(map, "serves-program"), false);
    w->program = sl_yaml_flag(yaml, sl_yaml_get(map, "program"), false) || w->same_program || w->serves_program;
    w->nobody = sl_yaml_flag(yaml, sl_yaml_get(map, "about-nobody"), false);
    read_item_facts(yaml, map, w);
    read_write(yaml, map, w);
    read_classes(policy, yaml, sl_yaml_get(map, "item"), &w->item);
    w->has_part = sl_yaml_get(map, "part") != NULL;
    read_classes(policy, yaml, sl_yaml_get(map, "part"), &w->part);
}

static enum sl_expectation read_expectation(const struct sl_yaml_source *yaml, const struct sl_yaml *at)
{
    unsigned word = sl_language_word(yaml, at, SL_WORDS_OUTCOME, "unknown-expectation", "outcome");
    return word == SL_NO_WORD ? SL_EXPECT_NONE : (enum sl_expectation)(SL_EXPECT_RELEASED + word);
}

/* Rules, or why nothing was released though no rule withheld it. */
static void read_by(
    const struct sl_policy *policy, const struct sl_yaml_source *yaml, const struct sl_yaml *at, struct sl_worked *w)
{
    static const char *const causes[] = {"no-release-rule", "denied-by-consent", "unlabelled", "no-patient"};
    const struct sl_yaml *first = at && at->kind == SL_YAML_LIST ? at->first : at;
    for (const struct sl_yaml *word = first; word; word = word == at ? NULL : word->next) {
        struct sl_slice id = sl_yaml_text(yaml, word);
        bool known = !id.len;
        for (size_t i = 0; i < sizeof causes / sizeof *causes; i++)
            known |= sl_slice_eq(id, sl_slice_of(causes[i]));
        for (size_t i = 0; i < policy->rule_count && !known; i++)
            known = sl_slice_eq(id, policy->rules[i].view.id);
        for (size_t i = 0; i < policy->grant_count && !known; i++)
            known = sl_slice_eq(id, policy->grants[i].view.id);
        if (!known)
            sl_yaml_issue(yaml, word, false, "unknown-rule", "No rule is called \"%.*s\".", SL_FMT(id));
        if (id.len && w->by_count < SL_GIVEN_WORDS)
            w->by[w->by_count++] = id;
    }
}

/* Element lists, each of which must exist. */
static void check_lists(const struct sl_policy *policy, const struct sl_yaml_source *yaml, const struct sl_yaml *list)
{
    struct sl_slice ids[SL_ELEMENT_LIST_LIMIT];
    for (unsigned i = 0; i < policy->element_list_count; i++)
        ids[i] = policy->element_lists[i].id;
    for (const struct sl_yaml *item = list ? list->first : NULL; item; item = item->next)
        if (sl_yaml_text(yaml, item).len && sl_element_list_find(policy, item->text) == SL_ELEMENT_LIST_LIMIT)
            sl_language_unknown(yaml, item, "unknown-element-list", "element list", ids, policy->element_list_count);
}

static void read_terms(
    const struct sl_policy *policy, const struct sl_yaml_source *yaml, const struct sl_yaml *at, struct sl_worked *w)
{
    w->limited_to = sl_yaml_list(yaml, sl_yaml_get(at, "limited-to"));
    w->changed = sl_yaml_list(yaml, sl_yaml_get(at, "changed"));
    w->review_days = sl_language_days(yaml, sl_yaml_get(at, "review-within"));
    (void)sl_yaml_flag(yaml, sl_yaml_get(at, "held"), false);
    check_lists(policy, yaml, w->limited_to);
    for (const struct sl_yaml *item = w->changed ? w->changed->first : NULL; item; item = item->next)
        (void)sl_language_word(yaml, item, SL_WORDS_CHANGE, "unknown-change", "change");
}

static void read_scenario(
    const struct sl_policy *policy, const struct sl_yaml_source *yaml, const struct sl_yaml *at, struct sl_worked *w)
{
    *w = (struct sl_worked){.at = at};
    if (!sl_language_check(yaml, at, SL_MAP_SCENARIO))
        return;
    w->title = sl_yaml_text(yaml, sl_yaml_get(at, "title"));
    read_given(policy, yaml, sl_yaml_map(yaml, sl_yaml_get(at, "given")), w);
    w->expect = read_expectation(yaml, sl_yaml_get(at, "expect"));
    read_by(policy, yaml, sl_yaml_get(at, "by"), w);
    w->labels = sl_yaml_list(yaml, sl_yaml_get(at, "labels"));
    w->without = sl_yaml_list(yaml, sl_yaml_get(at, "without-labels"));
    read_terms(policy, yaml, at, w);
    for (size_t i = 0; i < sl_duty_word_count; i++)
        (void)sl_yaml_flag(yaml, sl_yaml_get(at, sl_duty_words[i].key), false);
    struct sl_slice level = sl_yaml_text(yaml, sl_yaml_get(at, "confidentiality"));
    w->confidentiality = level.len == 1 ? level.ptr[0] : 0;
}

void sl_scenarios_check(const struct sl_policy *policy)
{
    for (size_t i = 0; i < policy->scenario_count; i++) {
        struct sl_worked w;
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

static void write_source(struct sl_buffer *out, const struct sl_consent_kind *kind)
{
    sl_buffer_add(out, SL_LIT(",\"sourceAttachment\":{\"title\":\"signed\""));
    if (kind && kind->source_count) {
        sl_buffer_add(out, SL_LIT(",\"url\":"));
        sl_buffer_json_string(out, kind->sources[0]);
    }
    sl_buffer_add(out, SL_LIT("}"));
}

/* A Consent as the first form of its kind has it, with all that a consent consists of; without a kind, one that denies.
 */
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
    sl_buffer_add(out,
        SL_LIT("],\"patient\":{\"reference\":\"Patient/p\"},\"dateTime\":\"2026-01-01\","
               "\"performer\":[{\"reference\":\"Patient/p\"}],\"organization\":[{\"reference\":\"" DISCLOSER "\"}]"));
    write_source(out, kind);
    write_policy_rule(out, kind);
    sl_buffer_printf(out,
        ",\"provision\":{\"type\":\"%s\",\"period\":{\"start\":\"2020-01-01\",\"end\":\"2099-12-31\"},"
        "\"actor\":[{\"role\":{\"coding\":[{\"system\":\"http://terminology.hl7.org/CodeSystem/"
        "v3-ParticipationType\",\"code\":\"IRCP\"}]},\"reference\":{\"reference\":\"Device/" CLIENT "\"}}],"
        "\"class\":[{\"system\":\"http://hl7.org/fhir/resource-types\",\"code\":\"" RECORD "\"}],\"purpose\":[",
        kind ? "permit" : "deny");
    write_purposes(out, kind, purpose);
    sl_buffer_add(out, SL_LIT("]}}"));
}

static enum sl_status add_consent(struct sl_case *c, const struct sl_consent_kind *kind, struct sl_directives *list)
{
    struct sl_buffer text;
    struct sl_doc *doc = sl_arena_alloc(c->arena, sizeof *doc);
    sl_buffer_init(&text, 64 * 1024);
    write_consent(&text, kind, c->w.purpose, (unsigned)list->count + 1);
    struct sl_slice kept = sl_arena_copy(c->arena, sl_buffer_slice(&text));
    bool failed = sl_buffer_failed(&text) || !doc || !kept.ptr;
    sl_buffer_fini(&text);
    if (failed)
        return SL_NO_MEMORY;
    SL_TRY(sl_doc_parse(c->arena, kept, NULL, doc, NULL));
    return sl_directive_read(c->arena, doc, 0, NULL, list);
}

/* A form that somebody has checked, where there is one; else a mark. */
static const struct sl_consent_kind *kind_row(const struct sl_policy *policy, struct sl_slice id)
{
    const struct sl_consent_kind *found = NULL;
    for (size_t i = 0; i < policy->kind_count; i++)
        if (sl_slice_eq(policy->kinds[i].id, id) && (!found || (policy->kinds[i].form.len && !found->form.len)))
            found = &policy->kinds[i];
    return found;
}

static enum sl_status add_consents(struct sl_case *c, struct sl_directives *list)
{
    for (const struct sl_yaml *item = c->w.consent_list ? c->w.consent_list->first : NULL; item; item = item->next) {
        const struct sl_consent_kind *kind = kind_row(c->policy, item->text);
        if (kind)
            SL_TRY(add_consent(c, kind, list));
    }
    return c->w.denied && list == &c->directives ? add_consent(c, NULL, list) : SL_OK;
}

/* ---- Deciding ---- */

static int64_t day_of(const struct sl_worked *w)
{
    return w->on ? w->on : CASE_TIME;
}

/* In a program's own file it is that program. */
static struct sl_slice program_of(const struct sl_case *c)
{
    struct sl_slice program = c->scenario->source->program;
    return program.len ? program : SL_LIT("Organization/program");
}

static void make_recipient(struct sl_case *c)
{
    const struct sl_worked *w = &c->w;
    c->statement = (struct sl_emergency){SL_LIT("Dr. Example"), SL_LIT("Example Hospital"), SL_LIT("Example Clinic"),
        w->incomplete ? SL_LIT(" ") : SL_LIT("unconscious"), true, w->hours ? day_of(w) - (int64_t)3600 * w->hours : 0};
    for (size_t i = 0; i < w->relation_count; i++)
        c->relationships[i] =
            (struct sl_relationship){.kind = w->relations[i], .patient = SL_LIT("Patient/p"), .voucher = SL_BY_TOKEN};
    for (size_t i = 0; i < w->agreement_count; i++)
        c->agreements[i] = (struct sl_agreement){.kind = w->agreements[i],
            .with = w->serves_program ? program_of(c) : SL_LIT(""),
            .services = w->services,
            .service_count = w->service_count};
    c->recipient = (struct sl_recipient){.client = SL_LIT(CLIENT),
        .user_reference = w->author ? SL_LIT("Practitioner/scenario") : SL_LIT(""),
        .party = w->party,
        .purpose = w->purpose,
        .roles = w->roles,
        .role_count = w->role_count,
        .kinds = w->kinds,
        .kind_count = w->kind_count,
        .agreements = c->agreements,
        .agreement_count = w->agreement_count,
        .networks = w->networks,
        .network_count = w->network_count,
        .exchange_purpose = w->exchange ? w->exchange->code : SL_LIT(""),
        .relationships = c->relationships,
        .relationship_count = w->relation_count,
        .organization = w->same_program ? program_of(c) : w->organization,
        .emergency = w->emergency || w->incomplete ? &c->statement : NULL};
}

/* One entry that covers the record: what keeps back names nobody, what lets go names the recipient. */
static bool add_entry(struct sl_case *c, const struct sl_predicate *asked, const struct sl_entry **list)
{
    static const struct sl_slice recipient[] = {{"client:" CLIENT, sizeof("client:" CLIENT) - 1}};
    struct sl_entry *entry = sl_arena_alloc(c->arena, sizeof *entry);
    struct sl_held *held = sl_arena_alloc(c->arena, sizeof *held);
    if (!entry || !held)
        return false;
    *entry = (struct sl_entry){.kind = (enum sl_register_kind)asked->kind,
        .name = SL_LIT("register/scenario"),
        .patient = SL_LIT("Patient/p"),
        .variant = asked->word,
        .confidential = sl_slice_eq(asked->word, SL_LIT("2.63")),
        .by_item = true,
        .next = *list};
    if (!sl_entry_restricts(entry->kind))
        entry->recipients = (struct sl_words){recipient, 1};
    *held = (struct sl_held){entry, c->item.held};
    c->item.held = held;
    *list = entry;
    return true;
}

static enum sl_status add_entries(struct sl_case *c)
{
    const struct sl_entry *list = NULL;
    for (size_t i = 0; i < c->w.entry_count; i++) {
        struct sl_predicate asked;
        size_t row = 0;
        if (sl_register_fact(c->w.entries[i], &row, &asked) && !add_entry(c, &asked, &list))
            return SL_NO_MEMORY;
    }
    c->registered = sl_registered_within(list, c->arena);
    return c->registered ? SL_OK : SL_NO_MEMORY;
}

static void make_item(struct sl_case *c)
{
    const struct sl_worked *w = &c->w;
    c->item = (struct sl_item){.type = SL_R4_Observation, .id = SL_LIT("o"), .classes = w->item};
    c->item.custodian = SL_LIT(DISCLOSER);
    c->item.program = w->program ? program_of(c) : SL_LIT("");
    c->item.source = w->program ? SL_SOURCE_PROGRAM : SL_SOURCE_NOT;
    c->item.age = w->age;
    c->item.source_state = w->source_state;
    c->author = SL_LIT("Practitioner/scenario");
    c->item.authors = w->author ? &c->author : NULL;
    c->item.author_count = w->author;
    c->part = (struct sl_part){.classes = w->part};
    c->item.parts = w->has_part ? &c->part : NULL;
    c->item.part_count = w->has_part;
}

enum sl_status sl_case_init(
    struct sl_case *c, const struct sl_policy *policy, const struct sl_scenario *scenario, struct sl_arena *arena)
{
    const struct sl_yaml_source quiet = {.arena = arena, .file = scenario->source->yaml.file};
    *c = (struct sl_case){.policy = policy, .scenario = scenario, .arena = arena};
    read_scenario(policy, &quiet, scenario->at, &c->w);
    make_recipient(c);
    make_item(c);
    SL_TRY(add_entries(c));
    SL_TRY(add_consents(c, &c->directives));
    return add_consents(c, &c->permits);
}

enum sl_status sl_case_decide(
    struct sl_case *c, const struct sl_policy *policy, struct sl_arena *arena, struct sl_outcome *out)
{
    static const struct sl_slice patient = {"Patient/p", 9};
    struct sl_ruling *ruling = NULL;
    *out = (struct sl_outcome){.refused = sl_admit(policy, &c->recipient) != SL_OK};
    SL_TRY(sl_ruling_new_under(arena, policy, &c->recipient, &patient, c->w.nobody ? 0 : 1,
        c->undenied ? &c->permits : &c->directives, c->registered, day_of(&c->w), &ruling));
    out->ruling = ruling;
    out->verdict = sl_decide_item(ruling, &c->item);
    c->part.cut = false;
    if (c->w.has_part && out->verdict.decision == SL_RELEASED) {
        out->verdict = sl_decide_part(ruling, &c->item, &c->part);
        c->part.cut = out->verdict.decision != SL_RELEASED;
    }
    if (out->verdict.decision != SL_RELEASED)
        return SL_OK;
    out->rule_count = sl_ruling_rules(ruling, &c->item, out->rules, SL_OUTCOME_RULES);
    return sl_ruling_release(ruling, &c->item, arena, &out->release);
}

enum sl_status sl_case_ask(struct sl_case *c, struct sl_write_answer *out)
{
    static const struct sl_slice patient = {"Patient/p", 9};
    struct sl_ruling *ruling = NULL;
    SL_TRY(sl_ruling_new_under(c->arena, c->policy, &c->recipient, &patient, c->w.nobody ? 0 : 1, &c->directives,
        c->registered, day_of(&c->w), &ruling));
    return sl_write_ask(ruling, c->w.type, c->w.write, c->arena, out);
}
