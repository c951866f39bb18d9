/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a Consent (FHIR R4, consent.html) into the form of directive_model.h.
 *
 * What makes it no Consent at all (no patient, a wrong status, a provision that is none) is refused. What cannot be
 * told apart within it (a code of nobody's system, a recipient who is only described, a property R4 does not know) is
 * kept as "unreadable", so that it can never widen a permit nor narrow a denial.
 */
#include "directive_model.h"

#include <stddef.h>
#include <stdlib.h>

#include "sluice/buffer.h"
#include "sluice/r4.h"

#define TEXT_LIMIT ((size_t)1 << 20) /* bytes of one Consent */

struct reading {
    struct sl_arena *arena;
    const struct sl_doc *doc;
    struct sl_issues *issues;
    struct sl_directive *directive;
    uint32_t provision_room;
};

/* ---- Values ---- */

static const struct sl_span *at(const struct reading *r, uint32_t span)
{
    return &r->doc->spans[span];
}

static struct sl_slice copy_string(struct reading *r, uint32_t span)
{
    struct sl_slice text = sl_span_string(r->doc, span, r->arena);
    return text.ptr ? sl_arena_copy(r->arena, text) : (struct sl_slice){NULL, 0};
}

static struct sl_slice member_string(struct reading *r, uint32_t object, sl_name name)
{
    uint32_t member = sl_span_member(r->doc, object, name);
    return member ? copy_string(r, member) : (struct sl_slice){NULL, 0};
}

/* Room for one value a span below, which is more than there can be. */
static bool make_values(struct reading *r, uint32_t span, struct sl_values *out)
{
    out->there = true;
    out->value = sl_arena_array(r->arena, at(r, span)->next - span, sizeof *out->value);
    return out->value != NULL;
}

static void add_coding(struct reading *r, uint32_t span, struct sl_values *out)
{
    struct sl_value *value = &out->value[out->count++];
    value->unreadable = true;
    if (at(r, span)->type != SL_SPAN_OBJECT)
        return;
    value->system = member_string(r, span, SL_NAME_system);
    value->code = member_string(r, span, SL_NAME_code);
    value->unreadable = value->code.len == 0;
}

/* Each coding is an alternative; words alone are unreadable. */
static void add_concept(struct reading *r, uint32_t span, struct sl_values *out)
{
    uint32_t codings = at(r, span)->type == SL_SPAN_OBJECT ? sl_span_member(r->doc, span, SL_NAME_coding) : 0;
    uint32_t before = out->count;
    if (codings && at(r, codings)->type == SL_SPAN_ARRAY)
        for (uint32_t c = codings + 1; c < at(r, codings)->next; c = at(r, c)->next)
            add_coding(r, c, out);
    if (out->count == before)
        out->value[out->count++].unreadable = true;
}

/* "Type/id", "urn:…" or an absolute URL, less a version. Identifiers and displays name nobody we could compare. */
static struct sl_slice reference_of(struct reading *r, uint32_t span)
{
    struct sl_slice text = {NULL, 0};
    if (at(r, span)->type == SL_SPAN_OBJECT)
        text = member_string(r, span, SL_NAME_reference);
    static const char history[] = "/_history/";
    const char *version = text.len ? memmem(text.ptr, text.len, history, sizeof history - 1) : NULL;
    if (version)
        text.len = (size_t)(version - text.ptr);
    return text;
}

static void fill_reference(struct reading *r, uint32_t span, struct sl_value *value)
{
    value->code = reference_of(r, span);
    value->unreadable = value->code.len == 0 || value->code.ptr[0] == '#';
    if (at(r, span)->type == SL_SPAN_OBJECT)
        value->display = member_string(r, span, SL_NAME_display);
}

static void add_reference(struct reading *r, uint32_t span, struct sl_values *out)
{
    fill_reference(r, span, &out->value[out->count++]);
}

/* ---- Criteria ---- */

#define PARTICIPATION "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
#define FUNCTION "http://terminology.hl7.org/CodeSystem/v3-ParticipationFunction"

/* The roles that limit: to whom, by whom, whose. (Value set security-role-type; v3-ParticipationType) */
static const struct {
    const char *system, *code;
    enum sl_role role;
} roles[] = {
    {PARTICIPATION, "IRCP", SL_ROLE_RECIPIENT}, /* information recipient */
    {PARTICIPATION, "PRCP", SL_ROLE_RECIPIENT}, /* primary information recipient */
    {FUNCTION, "GRANTEE", SL_ROLE_RECIPIENT},
    {FUNCTION, "DELEGATEE", SL_ROLE_RECIPIENT},
    {PARTICIPATION, "CST", SL_ROLE_DISCLOSER}, /* custodian */
    {PARTICIPATION, "AUT", SL_ROLE_AUTHOR},
};

static enum sl_role role_of(const struct sl_values *codings)
{
    for (uint32_t i = 0; i < codings->count; i++)
        for (size_t k = 0; k < sizeof roles / sizeof *roles; k++)
            if (sl_slice_eq(codings->value[i].code, sl_slice_of(roles[k].code)) &&
                sl_slice_eq(codings->value[i].system, sl_slice_of(roles[k].system)))
                return roles[k].role;
    return SL_ROLE_OTHER;
}

/* "Who|what controlled by this rule": role and reference, both required. An actor in no limiting role who is the
 * patient says who consents, and limits nothing. */
static void add_actor(struct reading *r, uint32_t span, struct sl_values *out)
{
    struct sl_value *value = &out->value[out->count++];
    struct sl_values codings = {0};
    uint32_t role = 0, reference = 0;
    value->unreadable = true;
    if (at(r, span)->type == SL_SPAN_OBJECT) {
        role = sl_span_member(r->doc, span, SL_NAME_role);
        reference = sl_span_member(r->doc, span, SL_NAME_reference);
    }
    value->kind = SL_ROLE_RECIPIENT;
    if (role && make_values(r, role, &codings)) {
        add_concept(r, role, &codings);
        value->kind = (uint8_t)role_of(&codings);
    }
    if (reference)
        fill_reference(r, reference, value);
    if (value->kind == SL_ROLE_OTHER && !value->unreadable && sl_slice_eq(value->code, r->directive->patient))
        out->count--;
}

static void add_purpose(struct reading *r, uint32_t span, struct sl_values *out)
{
    add_coding(r, span, out);
    struct sl_value *value = &out->value[out->count - 1];
    if (value->unreadable)
        return;
    /* A code of another system names no purpose we could compare. */
    struct sl_slice whole = sl_arena_printf(r->arena, "%.*s|%.*s", SL_FMT(value->system), SL_FMT(value->code));
    value->code = whole.ptr ? sl_purpose_find(whole) : whole;
    value->unreadable = value->code.len == 0;
}

static void add_data(struct reading *r, uint32_t span, struct sl_values *out)
{
    static const struct {
        const char *code;
        enum sl_meaning meaning;
    } meanings[] = {{"instance", SL_MEANING_INSTANCE}, {"related", SL_MEANING_RELATED},
        {"dependents", SL_MEANING_DEPENDENTS}, {"authoredby", SL_MEANING_AUTHOREDBY}};
    struct sl_value *value = &out->value[out->count++];
    value->unreadable = true;
    if (at(r, span)->type != SL_SPAN_OBJECT)
        return;
    uint32_t meaning = sl_span_member(r->doc, span, SL_NAME_meaning);
    uint32_t reference = sl_span_member(r->doc, span, SL_NAME_reference);
    if (reference)
        fill_reference(r, reference, value);
    for (size_t i = 0; meaning && i < sizeof meanings / sizeof *meanings; i++)
        if (sl_span_is(r->doc, meaning, sl_slice_of(meanings[i].code)))
            value->kind = (uint8_t)meanings[i].meaning;
    value->unreadable = value->unreadable || value->kind == 0;
}

typedef void add_value(struct reading *r, uint32_t span, struct sl_values *out);

/* A repeating element. One that is no array, or is empty, is one unreadable value. */
static void read_values(struct reading *r, uint32_t span, add_value *add, struct sl_values *out)
{
    if (!make_values(r, span, out))
        return;
    bool values = at(r, span)->type == SL_SPAN_ARRAY && at(r, span)->next > span + 1;
    for (uint32_t v = span + 1; values && v < at(r, span)->next; v = at(r, v)->next)
        add(r, v, out);
    if (!values)
        out->value[out->count++].unreadable = true;
}

static bool read_end(struct reading *r, uint32_t object, sl_name name, struct sl_moment *out)
{
    uint32_t member = sl_span_member(r->doc, object, name);
    return !member || sl_moment_read(sl_span_string(r->doc, member, r->arena), out);
}

static void read_period(struct reading *r, uint32_t span, struct sl_period *out)
{
    out->there = out->unreadable = true;
    if (at(r, span)->type != SL_SPAN_OBJECT)
        return;
    bool read = read_end(r, span, SL_NAME_start, &out->start) && read_end(r, span, SL_NAME_end, &out->end);
    bool vague = sl_span_sibling(r->doc, span, SL_NAME_start) || sl_span_sibling(r->doc, span, SL_NAME_end);
    out->unreadable = !read || vague || (!out->start.there && !out->end.there);
}

/* ---- Provisions ---- */

static const struct criterion {
    sl_name name;
    size_t offset;
    add_value *add;
} criteria[] = {
    {SL_NAME_actor, offsetof(struct sl_provision, actors), add_actor},
    {SL_NAME_action, offsetof(struct sl_provision, actions), add_concept},
    {SL_NAME_securityLabel, offsetof(struct sl_provision, labels), add_coding},
    {SL_NAME_purpose, offsetof(struct sl_provision, purposes), add_purpose},
    {SL_NAME_class, offsetof(struct sl_provision, classes), add_coding},
    {SL_NAME_code, offsetof(struct sl_provision, codes), add_concept},
    {SL_NAME_data, offsetof(struct sl_provision, data), add_data},
};

static bool read_criterion(struct reading *r, uint32_t member, struct sl_provision *out)
{
    for (size_t i = 0; i < sizeof criteria / sizeof *criteria; i++)
        if (criteria[i].name == at(r, member)->name) {
            read_values(r, member, criteria[i].add, (struct sl_values *)(void *)((char *)out + criteria[i].offset));
            return true;
        }
    return false;
}

/* One property of a provision; false if nobody here understands it. */
static bool read_property(struct reading *r, uint32_t member, struct sl_provision *out)
{
    if (at(r, member)->flags & SL_SPAN_SIBLING)
        return false; /* an extension of a value may change what it says */
    switch (at(r, member)->name) {
    case SL_NAME_id:
    case SL_NAME_extension:
    case SL_NAME_provision: /* read by its own */
        return true;
    case SL_NAME_type:
        out->type = sl_span_is(r->doc, member, SL_LIT("permit")) ? SL_PROVISION_PERMIT
                    : sl_span_is(r->doc, member, SL_LIT("deny")) ? SL_PROVISION_DENY
                                                                 : SL_PROVISION_UNREADABLE;
        return true;
    case SL_NAME_period:
        read_period(r, member, &out->period);
        return true;
    case SL_NAME_dataPeriod:
        read_period(r, member, &out->data_period);
        return true;
    default:
        return read_criterion(r, member, out);
    }
}

static enum sl_status read_provision(struct reading *r, uint32_t span, uint32_t depth);

static enum sl_status read_nested(struct reading *r, uint32_t span, uint32_t depth)
{
    if (at(r, span)->type != SL_SPAN_ARRAY)
        return SL_INVALID;
    for (uint32_t p = span + 1; p < at(r, span)->next; p = at(r, p)->next)
        SL_TRY(read_provision(r, p, depth));
    return SL_OK;
}

/* Calls itself once a level; SL_PROVISION_DEPTH and the depth of a parse bound it. */
static enum sl_status read_provision(struct reading *r, uint32_t span, uint32_t depth)
{
    struct sl_directive *directive = r->directive;
    if (at(r, span)->type != SL_SPAN_OBJECT || depth >= SL_PROVISION_DEPTH ||
        directive->provision_count >= r->provision_room)
        return SL_INVALID;
    struct sl_provision *out = &directive->provisions[directive->provision_count++];
    /* "Not permitted in root rule, required in nested rules" (consent.html); profiles require it in the root. */
    out->type = depth ? SL_PROVISION_UNREADABLE : directive->provisions[0].type;
    out->depth = depth;
    uint32_t nested = 0;
    for (uint32_t m = span + 1; m < at(r, span)->next; m = at(r, m)->next) {
        if (at(r, m)->name == SL_NAME_provision && !(at(r, m)->flags & SL_SPAN_SIBLING))
            nested = m;
        if (!read_property(r, m, out))
            out->unreadable = true;
    }
    return nested ? read_nested(r, nested, depth + 1) : SL_OK;
}

static uint32_t count_provisions(const struct reading *r, uint32_t span)
{
    uint32_t count = 1;
    for (uint32_t i = span + 1; i < at(r, span)->next; i++)
        if (at(r, i)->name == SL_NAME_provision && at(r, i)->type == SL_SPAN_ARRAY)
            for (uint32_t p = i + 1; p < at(r, i)->next; p = at(r, p)->next)
                count++;
    return count;
}

/* What the base policy says where the root has no type of its own: OPTIN and OPTOUT and their kin (v3-ActCode,
 * ActConsentDirective). Any other is no statement: such a Consent permits and denies only what its nested rules say. */
static enum sl_provision_type base_type(struct sl_directive *directive)
{
    static const struct {
        const char *code;
        enum sl_provision_type type;
        bool emergency_only;
    } bases[] = {
        {"OPTIN", SL_PROVISION_PERMIT, false},
        {"OPTINR", SL_PROVISION_PERMIT, false},
        {"OPTOUT", SL_PROVISION_DENY, false},
        {"OPTOUTE", SL_PROVISION_DENY, false},
        {"EMRGONLY", SL_PROVISION_DENY, true},
    };
    enum sl_provision_type type = SL_PROVISION_NONE;
    for (uint32_t i = 0; i < directive->policy_rules.count; i++) {
        const struct sl_value *rule = &directive->policy_rules.value[i];
        if (!sl_slice_eq(rule->system, SL_LIT("http://terminology.hl7.org/CodeSystem/v3-ActCode")))
            continue;
        for (size_t k = 0; k < sizeof bases / sizeof *bases; k++)
            if (sl_slice_eq(rule->code, sl_slice_of(bases[k].code)) && type != SL_PROVISION_DENY) {
                type = bases[k].type;
                directive->emergency_only = bases[k].emergency_only;
            }
    }
    return type;
}

static enum sl_status read_provisions(struct reading *r, uint32_t root)
{
    struct sl_directive *directive = r->directive;
    uint32_t span = sl_span_member(r->doc, root, SL_NAME_provision);
    r->provision_room = span ? count_provisions(r, span) : 1;
    if (r->provision_room > SL_PROVISION_LIMIT)
        return SL_INVALID;
    directive->provisions = sl_arena_array(r->arena, r->provision_room, sizeof *directive->provisions);
    if (!directive->provisions)
        return SL_NO_MEMORY;
    directive->provisions[0].type = base_type(directive);
    if (span)
        return read_provision(r, span, 0);
    directive->provision_count = 1;
    return SL_OK;
}

/* ---- The rest ---- */

static enum sl_status refuse(struct reading *r, const char *why)
{
    struct sl_slice id = r->directive->id;
    if (sl_arena_failed(r->arena))
        return SL_NO_MEMORY; /* what seems wanting may only not have fitted */
    sl_issue_add(r->issues, SL_GRADE_ERROR, "consent-invalid", "%.*s: %s.", SL_FMT(id), why);
    return SL_INVALID;
}

static enum sl_status read_patient(struct reading *r, uint32_t root)
{
    uint32_t span = sl_span_member(r->doc, root, SL_NAME_patient);
    struct sl_slice patient = span ? reference_of(r, span) : (struct sl_slice){NULL, 0};
    bool local = sl_slice_starts(patient, SL_LIT("Patient/")) && patient.len > 8 &&
                 !memchr(patient.ptr + 8, '/', patient.len - 8);
    if (!local && !sl_slice_starts(patient, SL_LIT("urn:uuid:")))
        return refuse(r, "the patient is not named by a reference of the form Patient/id");
    if (patient.len > SL_PATIENT_LIMIT || memchr(patient.ptr, '\0', patient.len))
        return refuse(r, "the patient's reference is no id");
    r->directive->patient = patient;
    return SL_OK;
}

/* "draft | proposed | active | rejected | inactive | entered-in-error" */
static enum sl_status read_status(struct reading *r, uint32_t root)
{
    static const struct {
        const char *code;
        enum sl_consent_status status;
    } codes[] = {{"active", SL_CONSENT_ACTIVE}, {"inactive", SL_CONSENT_INACTIVE}, {"draft", SL_CONSENT_OTHER},
        {"proposed", SL_CONSENT_OTHER}, {"rejected", SL_CONSENT_OTHER}, {"entered-in-error", SL_CONSENT_OTHER}};
    uint32_t span = sl_span_member(r->doc, root, SL_NAME_status);
    for (size_t i = 0; span && i < sizeof codes / sizeof *codes; i++)
        if (sl_span_is(r->doc, span, sl_slice_of(codes[i].code))) {
            r->directive->status = codes[i].status;
            return SL_OK;
        }
    return refuse(r, "its status is none of those of R4");
}

static void read_scope(struct reading *r, uint32_t root)
{
    static const char *const codes[] = {"patient-privacy", "adr", "research", "treatment"};
    struct sl_values scope = {0};
    uint32_t span = sl_span_member(r->doc, root, SL_NAME_scope);
    if (!span || !make_values(r, span, &scope))
        return;
    add_concept(r, span, &scope);
    for (uint32_t i = 0; i < scope.count; i++)
        for (size_t k = 0; k < sizeof codes / sizeof *codes; k++)
            if (sl_slice_eq(scope.value[i].code, sl_slice_of(codes[k])) &&
                sl_slice_eq(scope.value[i].system, SL_LIT("http://terminology.hl7.org/CodeSystem/consentscope"))) {
                r->directive->scope_known = true;
                r->directive->privacy = r->directive->privacy || k == 0;
            }
}

/* Where verification is told of, one must have been made. */
static void read_verification(struct reading *r, uint32_t root)
{
    uint32_t span = sl_span_member(r->doc, root, SL_NAME_verification);
    if (!span)
        return;
    r->directive->unverified = true;
    for (uint32_t v = span + 1; at(r, span)->type == SL_SPAN_ARRAY && v < at(r, span)->next; v = at(r, v)->next) {
        uint32_t verified = at(r, v)->type == SL_SPAN_OBJECT ? sl_span_member(r->doc, v, SL_NAME_verified) : 0;
        if (verified && at(r, verified)->type == SL_SPAN_TRUE)
            r->directive->unverified = false;
    }
}

static void read_policies(struct reading *r, uint32_t root)
{
    struct sl_directive *directive = r->directive;
    uint32_t rule = sl_span_member(r->doc, root, SL_NAME_policyRule);
    if (rule && make_values(r, rule, &directive->policy_rules))
        add_concept(r, rule, &directive->policy_rules);
    uint32_t policy = sl_span_member(r->doc, root, SL_NAME_policy);
    if (!policy || at(r, policy)->type != SL_SPAN_ARRAY || !make_values(r, policy, &directive->policy_uris))
        return;
    for (uint32_t p = policy + 1; p < at(r, policy)->next; p = at(r, p)->next) {
        struct sl_slice uri = {NULL, 0};
        if (at(r, p)->type == SL_SPAN_OBJECT)
            uri = member_string(r, p, SL_NAME_uri);
        if (uri.len)
            directive->policy_uris.value[directive->policy_uris.count++].code = uri;
    }
}

/* "If the consent has a modifier that is not understood, it cannot be processed" (extensibility.html), and a property
 * that R4 does not know may be one of another version's that changes the meaning of all. */
static void read_modifiers(struct reading *r, uint32_t root)
{
    static const sl_name whole[] = {
        SL_NAME_status, SL_NAME_scope, SL_NAME_patient, SL_NAME_dateTime, SL_NAME_provision, SL_NAME_implicitRules};
    sl_r4_node consent = sl_r4_resource(SL_LIT("Consent"));
    for (uint32_t m = root + 1; m < at(r, root)->next; m = at(r, m)->next) {
        sl_name name = at(r, m)->name;
        bool vague = name == SL_NAME_implicitRules || name == SL_NAME_modifierExtension;
        for (size_t i = 0; i < sizeof whole / sizeof *whole && at(r, m)->flags & SL_SPAN_SIBLING; i++)
            vague = vague || name == whole[i];
        bool known = name == SL_NAME_resourceType || (name && sl_r4_element(consent, name));
        if (vague || !known)
            r->directive->unreadable = true;
    }
}

static void read_lists(struct reading *r, uint32_t root)
{
    struct sl_directive *directive = r->directive;
    const struct {
        sl_name name;
        add_value *add;
        struct sl_values *out;
    } lists[] = {
        {SL_NAME_category, add_concept, &directive->categories},
        {SL_NAME_performer, add_reference, &directive->performers},
        {SL_NAME_organization, add_reference, &directive->organizations},
    };
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        uint32_t span = sl_span_member(r->doc, root, lists[i].name);
        if (span)
            read_values(r, span, lists[i].add, lists[i].out);
    }
}

static void read_dates(struct reading *r, uint32_t root)
{
    struct sl_directive *directive = r->directive;
    uint32_t date = sl_span_member(r->doc, root, SL_NAME_dateTime), meta = sl_span_member(r->doc, root, SL_NAME_meta);
    if (date && !sl_moment_read(sl_span_string(r->doc, date, r->arena), &directive->date))
        directive->unreadable = true;
    if (meta && at(r, meta)->type == SL_SPAN_OBJECT && !read_end(r, meta, SL_NAME_lastUpdated, &directive->updated))
        directive->updated = (struct sl_moment){0};
}

/* ---- What was signed, and by whom ---- */

static struct sl_slice type_in(struct sl_slice reference)
{
    const char *slash = reference.len ? memchr(reference.ptr, '/', reference.len) : NULL;
    return (struct sl_slice){reference.ptr, slash ? (size_t)(slash - reference.ptr) : 0};
}

/* performer: "either the Grantor … or the Grantee". The patient; a RelatedPerson for the patient; or somebody else. */
static void read_signers(struct reading *r)
{
    struct sl_directive *d = r->directive;
    for (uint32_t i = 0; i < d->performers.count; i++) {
        const struct sl_value *performer = &d->performers.value[i];
        bool patient = sl_slice_eq(performer->code, d->patient);
        bool representative = sl_slice_eq(type_in(performer->code), SL_LIT("RelatedPerson"));
        d->by_patient |= patient;
        d->by_representative |= representative;
        d->by_others |= !patient && !representative;
    }
}

static void add_source(struct reading *r, struct sl_slice canonical)
{
    if (canonical.len && r->directive->source_count < SL_SOURCE_LIMIT)
        r->directive->sources[r->directive->source_count++] = canonical;
}

/* What the Consent holds within itself under that id: the answers to a questionnaire. */
static void read_contained(struct reading *r, uint32_t root, struct sl_slice id)
{
    uint32_t list = sl_span_member(r->doc, root, SL_NAME_contained);
    for (uint32_t c = list + 1; list && at(r, list)->type == SL_SPAN_ARRAY && c < at(r, list)->next; c = at(r, c)->next)
        if (at(r, c)->type == SL_SPAN_OBJECT && sl_slice_eq(member_string(r, c, SL_NAME_id), id))
            add_source(r, member_string(r, c, SL_NAME_questionnaire));
}

/* "The source on which this consent statement is based": the scanned paper, or where it is. */
static void read_sources(struct reading *r, uint32_t root)
{
    uint32_t reference = sl_span_member(r->doc, root, SL_NAME_sourceReference);
    uint32_t attachment = sl_span_member(r->doc, root, SL_NAME_sourceAttachment);
    uint32_t source = reference ? reference : attachment;
    r->directive->has_source =
        source && at(r, source)->type == SL_SPAN_OBJECT && at(r, source)->next > source + 1; /* it says something */
    if (attachment && at(r, attachment)->type == SL_SPAN_OBJECT)
        add_source(r, member_string(r, attachment, SL_NAME_url));
    struct sl_slice to = reference ? reference_of(r, reference) : (struct sl_slice){NULL, 0};
    if (to.len > 1 && to.ptr[0] == '#')
        read_contained(r, root, sl_slice_from(to, 1));
}

/* R4 has no element for an event with which a consent expires (2.31(a)(7)); this says that one is named on the form. */
static void read_event(struct reading *r, uint32_t root)
{
    uint32_t list = sl_span_member(r->doc, root, SL_NAME_extension);
    for (uint32_t e = list + 1; list && at(r, list)->type == SL_SPAN_ARRAY && e < at(r, list)->next; e = at(r, e)->next)
        if (at(r, e)->type == SL_SPAN_OBJECT &&
            sl_slice_eq(member_string(r, e, SL_NAME_url), SL_LIT("urn:sluice:consent-expiry-event")))
            r->directive->ends_with_event = member_string(r, e, SL_NAME_valueString).len > 0;
}

/* ---- What is wanting, for the operator ---- */

bool sl_provision_readable(const struct sl_provision *p)
{
    const struct sl_values *const lists[] = {
        &p->actors, &p->actions, &p->labels, &p->purposes, &p->classes, &p->codes, &p->data};
    bool readable =
        !p->unreadable && p->type != SL_PROVISION_UNREADABLE && !p->period.unreadable && !p->data_period.unreadable;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        for (uint32_t v = 0; v < lists[i]->count; v++)
            readable = readable && !lists[i]->value[v].unreadable;
    }
    return readable;
}

static void report_effect(struct reading *r)
{
    const struct sl_directive *d = r->directive;
    if (d->scope_known && !d->privacy)
        sl_issue_add(r->issues, SL_GRADE_WARNING, "consent-no-effect", "%.*s is not about privacy, by its scope.",
            SL_FMT(d->id));
    if (d->unreadable || !d->scope_known)
        sl_issue_add(r->issues, SL_GRADE_WARNING, "consent-unreadable",
            "%.*s holds something not understood: it permits nothing, and denies as far as it may.", SL_FMT(d->id));
    for (uint32_t i = 0; i < d->provision_count; i++)
        if (!sl_provision_readable(&d->provisions[i]))
            sl_issue_add(r->issues, SL_GRADE_WARNING, "consent-unreadable",
                "%.*s, provision %u, holds a criterion not understood: a permit under it says nothing, a denial is "
                "taken without it.",
                SL_FMT(d->id), (unsigned)i);
}

/* ---- What it is about, for supersession ---- */

static int compare(const void *a, const void *b)
{
    const struct sl_slice *x = a, *y = b;
    size_t least = x->len < y->len ? x->len : y->len;
    int order = least ? memcmp(x->ptr, y->ptr, least) : 0;
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

/* Adds the values, sorted and each once, in a form that keeps them apart. */
static void add_sorted(struct sl_buffer *matter, struct sl_slice *words, size_t count)
{
    if (count)
        qsort(words, count, sizeof *words, compare);
    sl_buffer_add(matter, SL_LIT(";"));
    for (size_t i = 0; i < count; i++)
        if (i == 0 || !sl_slice_eq(words[i - 1], words[i])) {
            sl_buffer_printf(matter, "%zu:", words[i].len);
            sl_buffer_add(matter, words[i]);
        }
}

static size_t gather(struct reading *r, const struct sl_values *values, int role, struct sl_slice *words)
{
    size_t count = 0;
    for (uint32_t i = 0; i < values->count; i++) {
        const struct sl_value *v = &values->value[i];
        if (role >= 0 && v->kind != role)
            continue;
        words[count++] = sl_arena_printf(r->arena, "%.*s|%.*s%s%.*s", SL_FMT(v->system), SL_FMT(v->code),
            v->unreadable ? "?" : "", v->unreadable ? (int)v->display.len : 0, v->display.ptr ? v->display.ptr : "");
    }
    return count;
}

/* Category, grantor, discloser, recipients and purposes. A Consent that names somebody only by identifier or in words
 * is taken to be about a matter of its own unless the words are the same. One whose matter is not known would supersede
 * nothing: what it revokes would still stand, so it is no Consent that can be read. */
static enum sl_status tell_matter(struct reading *r)
{
    struct sl_directive *d = r->directive;
    size_t most = d->categories.count + d->performers.count + d->organizations.count + 1;
    for (uint32_t i = 0; i < d->provision_count; i++)
        most += d->provisions[i].actors.count + d->provisions[i].purposes.count;
    struct sl_slice *words = sl_arena_array(r->arena, most, sizeof *words);
    if (!words)
        return SL_NO_MEMORY;
    if (d->categories.count == 0)
        return SL_OK;
    struct sl_buffer matter;
    sl_buffer_init(&matter, 4 * TEXT_LIMIT);
    add_sorted(&matter, words, gather(r, &d->categories, -1, words));
    size_t count = gather(r, &d->performers, -1, words);
    if (count == 0)
        words[count++] = sl_arena_printf(r->arena, "|%.*s", SL_FMT(d->patient));
    for (size_t i = 0; i < count; i++) /* himself, by whatever number */
        if (words[i].len == d->patient.len + 1 && sl_slice_eq(sl_slice_from(words[i], 1), d->patient))
            words[i] = SL_LIT("|self");
    add_sorted(&matter, words, count);
    add_sorted(&matter, words, gather(r, &d->organizations, -1, words));
    count = 0;
    for (uint32_t i = 0; i < d->provision_count; i++)
        count += gather(r, &d->provisions[i].actors, SL_ROLE_RECIPIENT, words + count);
    add_sorted(&matter, words, count);
    count = 0;
    size_t who = matter.len;
    for (uint32_t i = 0; i < d->provision_count; i++)
        count += gather(r, &d->provisions[i].purposes, -1, words + count);
    add_sorted(&matter, words, count);
    bool failed = sl_buffer_failed(&matter);
    if (!failed)
        d->matter = sl_arena_copy(r->arena, sl_buffer_slice(&matter));
    if (d->matter.ptr) {
        d->matter_purposes = sl_slice_from(d->matter, who);
        d->matter.len = who;
    }
    sl_buffer_fini(&matter);
    return failed ? SL_NO_MEMORY : SL_OK;
}

/* ---- The whole ---- */

/* [A-Za-z0-9\-\.]{1,64} (datatypes.html#id), or none at all. */
static bool read_id(struct reading *r, uint32_t root)
{
    uint32_t span = sl_span_member(r->doc, root, SL_NAME_id);
    struct sl_slice id = span ? sl_span_string(r->doc, span, r->arena) : (struct sl_slice){NULL, 0};
    for (size_t i = 0; i < id.len; i++) {
        char c = id.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.'))
            return false;
    }
    if (id.len)
        r->directive->id = sl_arena_printf(r->arena, "Consent/%.*s", SL_FMT(id));
    return !span || (id.len >= 1 && id.len <= 64);
}

static enum sl_status read_consent(struct reading *r, uint32_t root)
{
    SL_TRY(read_patient(r, root));
    SL_TRY(read_status(r, root));
    read_scope(r, root);
    read_verification(r, root);
    read_policies(r, root);
    read_modifiers(r, root);
    read_lists(r, root);
    read_dates(r, root);
    read_sources(r, root);
    read_signers(r);
    read_event(r, root);
    enum sl_status status = read_provisions(r, root);
    if (status == SL_INVALID)
        return refuse(r, "a provision is not an object, or they are too many or too deep");
    SL_TRY(status);
    SL_TRY(tell_matter(r));
    return sl_arena_failed(r->arena) ? SL_NO_MEMORY : SL_OK;
}

enum sl_status sl_directive_read(struct sl_arena *arena, const struct sl_doc *doc, uint32_t root,
    struct sl_issues *issues, struct sl_directives *list)
{
    struct reading r = {.arena = arena, .doc = doc, .issues = issues};
    r.directive = sl_arena_alloc(arena, sizeof *r.directive);
    if (!r.directive)
        return SL_NO_MEMORY;
    r.directive->id = SL_LIT("Consent");
    uint32_t type = at(&r, root)->type == SL_SPAN_OBJECT ? sl_span_member(doc, root, SL_NAME_resourceType) : 0;
    if (!type || !sl_span_is(doc, type, SL_LIT("Consent")))
        return refuse(&r, "this is no Consent");
    if (sl_span_text(doc, root).len > TEXT_LIMIT)
        return refuse(&r, "it is too large");
    if (!read_id(&r, root))
        return refuse(&r, "its id is none");
    SL_TRY(read_consent(&r, root));
    report_effect(&r);
    if (list->last)
        list->last->next = r.directive;
    else
        list->first = r.directive;
    list->last = r.directive;
    list->count++;
    return SL_OK;
}
