/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The criteria of a Consent, each held against a recipient, an item and an instant. Three answers: met, not met, and
 * that it cannot be told, because a value is unreadable or because too little is known of who asks or of the item.
 * Whoever asks treats the third as what is worse (directive_judge.c).
 *
 * Pure: no store, no clock, no allocation.
 */
#include "directive_model.h"

#include "sluice/decide.h"
#include "sluice/fault.h"
#include "sluice/label.h"
#include "sluice/r4.h"

#define HALF_DAY 43200

static enum sl_match both(enum sl_match a, enum sl_match b)
{
    return a < b ? a : b;
}

static enum sl_match either(enum sl_match a, enum sl_match b)
{
    return a > b ? a : b;
}

typedef enum sl_match match_value(const struct sl_asking *asking, const struct sl_value *value);

static enum sl_match match_any(const struct sl_asking *asking, const struct sl_values *values, match_value *matches)
{
    if (!values->there || values->count == 0)
        return SL_MET;
    enum sl_match result = SL_UNMET;
    for (uint32_t i = 0; i < values->count; i++) {
        const struct sl_value *value = &values->value[i];
        result = either(result, value->unreadable ? SL_UNTOLD : matches(asking, value));
    }
    return result;
}

/* ---- Time ---- */

/* A date without a time is the whole day in UTC; up to half a day more it is still that day somewhere. */
enum sl_match sl_match_now(const struct sl_period *period, int64_t now)
{
    if (!period->there)
        return SL_MET;
    if (period->start.there && now < period->start.begin)
        return SL_UNMET;
    if (period->end.there && now >= period->end.end + (period->end.whole_days ? HALF_DAY : 0))
        return SL_UNMET;
    if (period->unreadable || (period->end.there && now >= period->end.end))
        return SL_UNTOLD;
    return SL_MET;
}

/* "Clinical or operational relevant period of time that bounds the data controlled by this rule". */
static enum sl_match match_data_period(const struct sl_asking *asking, const struct sl_period *period)
{
    struct sl_moment from, to;
    if (!period->there)
        return SL_MET;
    if (period->unreadable || !asking->item || !sl_moment_read(asking->item->date_from, &from))
        return SL_UNTOLD;
    if (asking->item->date_to.len == 0)
        to = from;
    else if (!sl_moment_read(asking->item->date_to, &to))
        return SL_UNTOLD;
    bool after_start = !period->start.there || from.begin >= period->start.begin;
    bool before_end = !period->end.there || to.end <= period->end.end;
    if (after_start && before_end)
        return SL_MET;
    bool apart =
        (period->start.there && to.end <= period->start.begin) || (period->end.there && from.begin >= period->end.end);
    return apart ? SL_UNMET : SL_UNTOLD; /* partly within */
}

/* ---- Who ---- */

static struct sl_slice type_of(struct sl_slice reference)
{
    const char *slash = reference.len ? memchr(reference.ptr, '/', reference.len) : NULL;
    return (struct sl_slice){reference.ptr, slash ? (size_t)(slash - reference.ptr) : 0};
}

static bool is_type(struct sl_slice reference, const char *type)
{
    return sl_slice_eq(type_of(reference), sl_slice_of(type));
}

static bool is_device(struct sl_slice reference, struct sl_slice client)
{
    return client.len && is_type(reference, "Device") && sl_slice_eq(sl_slice_from(reference, 7), client);
}

/* Could one tell that the recipient is not this actor? Groups, care teams and roles have members whom we do not know,
 * and what is named by a URL may be anybody. */
static bool comparable(struct sl_slice actor, const struct sl_recipient *recipient)
{
    static const char *const people[] = {"Practitioner", "Patient", "RelatedPerson"};
    if (is_type(actor, "Organization"))
        return recipient->organization.len > 0;
    if (is_type(actor, "Device"))
        return recipient->client.len > 0;
    bool person = false, known = false;
    for (size_t i = 0; i < sizeof people / sizeof *people; i++) {
        person = person || is_type(actor, people[i]);
        known = known || is_type(recipient->user_reference, people[i]);
    }
    return person && known;
}

enum sl_match sl_match_name(const struct sl_recipient *recipient, struct sl_slice reference)
{
    if (sl_slice_eq(reference, recipient->user_reference) || sl_slice_eq(reference, recipient->organization) ||
        is_device(reference, recipient->client))
        return SL_MET;
    return comparable(reference, recipient) ? SL_UNMET : SL_UNTOLD;
}

static enum sl_match match_recipient(const struct sl_asking *asking, const struct sl_value *actor)
{
    return actor->settled ? (enum sl_match)actor->met : sl_match_name(asking->recipient, actor->code);
}

/* Whoever discloses for the whole discloses for its parts. *told: as far as that is known. */
static bool is_part(const struct sl_kin *kin, struct sl_slice part, struct sl_slice whole, bool *told)
{
    bool this_told = true;
    bool within = kin && is_type(part, "Organization") && sl_kin_within(kin, part, whole, &this_told);
    *told = *told && this_told;
    return within;
}

/* Looks at nothing of the item but what sl_directive_by_discloser names. */
static enum sl_match match_discloser(const struct sl_asking *asking, const struct sl_value *actor)
{
    const struct sl_item *item = asking->item;
    if (!item)
        return SL_UNTOLD;
    const struct sl_slice holders[] = {item->custodian, item->program, item->named_program};
    bool told = true;
    for (size_t i = 0; i < sizeof holders / sizeof *holders; i++)
        if (holders[i].len && sl_slice_eq(actor->code, holders[i]))
            return SL_MET;
    for (size_t i = 0; i < sizeof holders / sizeof *holders && is_type(actor->code, "Organization"); i++)
        if (is_part(asking->directive->kin, holders[i], actor->code, &told))
            return SL_MET;
    /* An organization that is known to hold it, and is another one. */
    bool other = item->custodian.len && sl_slice_eq(type_of(actor->code), type_of(item->custodian));
    return other && told ? SL_UNMET : SL_UNTOLD;
}

/* What is said of an item's references: does one in an authoring place name this one, and is there any? */
struct authors {
    struct sl_slice wanted;
    bool found, any;
};

static void look_at_author(const struct sl_doc *doc, uint32_t span, struct authors *authors)
{
    uint32_t reference = doc->spans[span].type == SL_SPAN_OBJECT ? sl_span_member(doc, span, SL_NAME_reference) : 0;
    if (!reference)
        return;
    authors->any = true;
    authors->found = authors->found || sl_span_is(doc, reference, authors->wanted);
}

#define NESTING 80u /* as deep as a document of default limits can be, and more */

/* Walks the item by the table of R4, and looks at each element that says who wrote it. */
static void find_authors(const struct sl_item *item, struct authors *authors)
{
    struct {
        uint32_t end;
        sl_r4_node node;
    } open[NESTING];
    const struct sl_doc *doc = item->doc;
    uint32_t depth = 0, end = doc->spans[item->span].next;
    open[0].end = end;
    open[0].node = item->type;
    for (uint32_t i = item->span + 1; i < end; i++) {
        const struct sl_span *span = &doc->spans[i];
        while (i >= open[depth].end)
            depth--;
        const struct sl_r4_element *element = span->name ? sl_r4_element(open[depth].node, span->name) : NULL;
        sl_r4_node node = element ? element->node : span->flags & SL_SPAN_MEMBER ? 0 : open[depth].node;
        if (element && element->flags & SL_R4_AUTHOR) {
            look_at_author(doc, i, authors);
            for (uint32_t e = i + 1; span->type == SL_SPAN_ARRAY && e < span->next; e = doc->spans[e].next)
                look_at_author(doc, e, authors);
        }
        if ((span->type == SL_SPAN_OBJECT || span->type == SL_SPAN_ARRAY) && depth + 1 < NESTING) {
            depth++;
            open[depth].end = span->next;
            open[depth].node = node;
        }
    }
}

static enum sl_match match_author(const struct sl_asking *asking, const struct sl_value *value)
{
    const struct sl_item *item = asking->item;
    if (!item)
        return SL_UNTOLD;
    struct authors authors = {.wanted = value->code};
    if (item->doc)
        find_authors(item, &authors);
    if (authors.found || sl_slice_eq(value->code, item->custodian) || sl_slice_eq(value->code, item->program))
        return SL_MET;
    return authors.any ? SL_UNMET : SL_UNTOLD;
}

static enum sl_match match_other_actor(const struct sl_asking *asking, const struct sl_value *value)
{
    (void)asking;
    (void)value;
    return SL_UNTOLD;
}

enum sl_match sl_match_actor(const struct sl_asking *asking, const struct sl_value *actor)
{
    static match_value *const by_role[SL_ROLES] = {[SL_ROLE_OTHER] = match_other_actor,
        [SL_ROLE_RECIPIENT] = match_recipient,
        [SL_ROLE_DISCLOSER] = match_discloser,
        [SL_ROLE_AUTHOR] = match_author};
    return actor->unreadable ? SL_UNTOLD : by_role[actor->kind](asking, actor);
}

/* Actors of one role are alternatives; those of several roles are several criteria: to this one, from that one. */
static enum sl_match match_actors(const struct sl_asking *asking, const struct sl_values *actors)
{
    enum sl_match met[SL_ROLES] = {SL_UNMET};
    bool asked[SL_ROLES] = {false};
    for (uint32_t i = 0; i < actors->count; i++) {
        const struct sl_value *actor = &actors->value[i];
        enum sl_match one = sl_match_actor(asking, actor);
        met[actor->kind] = either(met[actor->kind], one);
        asked[actor->kind] = true;
    }
    enum sl_match result = SL_MET;
    for (unsigned role = 0; role < SL_ROLES; role++)
        if (asked[role])
            result = both(result, met[role]);
    return result;
}

/* ---- What for ---- */

static enum sl_match match_purpose(const struct sl_asking *asking, const struct sl_value *value)
{
    static const char *const roots[] = {"TREAT", "HPAYMT", "HOPERAT"};
    struct sl_slice asked = asking->recipient->purpose;
    if (sl_purpose_find(asked).len == 0)
        return SL_UNTOLD;
    if (sl_slice_eq(asked, value->code))
        return SL_MET;
    if (!sl_purpose_within(asked, value->code)) /* a wider purpose than the one named may be for that one, or not */
        return sl_purpose_within(value->code, asked) ? SL_UNTOLD : SL_UNMET;
    /* Below "operations" HL7 has purposes that are none of HIPAA's (standards 6.4). */
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++)
        if (sl_slice_eq(value->code, sl_slice_of(roots[i])))
            return sl_purpose_is_tpo(asked) ? SL_MET : SL_UNTOLD;
    return SL_MET;
}

/* Of the actions "collect | access | use | disclose | correct" a gateway lets somebody access, which discloses. */
static enum sl_match match_action(const struct sl_asking *asking, const struct sl_value *value)
{
    static const struct {
        const char *code;
        enum sl_match match;
    } actions[] = {
        {"access", SL_MET}, {"disclose", SL_MET}, {"use", SL_UNTOLD}, {"collect", SL_UNMET}, {"correct", SL_UNMET}};
    (void)asking;
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
        if (sl_slice_eq(value->code, sl_slice_of(actions[i].code)) &&
            sl_slice_eq(value->system, SL_LIT("http://terminology.hl7.org/CodeSystem/consentaction")))
            return actions[i].match;
    return SL_UNTOLD;
}

/* ---- What ---- */

/* Is there a Coding with this system and code anywhere in the item? One without a system may be. */
static enum sl_match find_coding(const struct sl_asking *asking, struct sl_slice system, struct sl_slice code)
{
    const struct sl_item *item = asking->item;
    if (!item || !item->doc)
        return SL_UNTOLD;
    const struct sl_doc *doc = item->doc;
    enum sl_match result = SL_UNMET;
    for (uint32_t i = item->span + 1; i < doc->spans[item->span].next && result != SL_MET; i++) {
        if (doc->spans[i].name != SL_NAME_code || !sl_span_is(doc, i, code))
            continue;
        uint32_t object = i - 1;
        while (doc->spans[object].next <= i)
            object--;
        uint32_t there = sl_span_member(doc, object, SL_NAME_system);
        result = either(result, !there ? SL_UNTOLD : sl_span_is(doc, there, system) ? SL_MET : SL_UNMET);
    }
    return result;
}

/* "If this code is found in an instance, then the rule applies." */
static enum sl_match match_code(const struct sl_asking *asking, const struct sl_value *value)
{
    return value->system.len ? find_coding(asking, value->system, value->code) : SL_UNTOLD;
}

static bool has_profile(const struct sl_item *item, struct sl_slice profile)
{
    const struct sl_doc *doc = item->doc;
    uint32_t meta = doc ? sl_span_member(doc, item->span, SL_NAME_meta) : 0;
    uint32_t profiles =
        meta && doc->spans[meta].type == SL_SPAN_OBJECT ? sl_span_member(doc, meta, SL_NAME_profile) : 0;
    for (uint32_t p = profiles + 1; profiles && p < doc->spans[profiles].next; p = doc->spans[p].next)
        if (sl_span_is(doc, p, profile))
            return true;
    return false;
}

/* "The class of information (type, profile, document type)". */
static enum sl_match match_class(const struct sl_asking *asking, const struct sl_value *value)
{
    static const char base[] = "http://hl7.org/fhir/StructureDefinition/";
    const struct sl_item *item = asking->item;
    if (!item)
        return SL_UNTOLD;
    struct sl_slice type = sl_r4_node_name(item->type), code = value->code;
    if (sl_slice_eq(value->system, SL_LIT("http://hl7.org/fhir/resource-types")) ||
        sl_slice_eq(value->system, SL_LIT("http://hl7.org/fhir/fhir-types")))
        return sl_slice_eq(code, type) ? SL_MET : SL_UNMET;
    if (sl_slice_starts(code, SL_LIT(base)) && sl_slice_eq(sl_slice_from(code, sizeof base - 1), type))
        return SL_MET;
    if (has_profile(item, code))
        return SL_MET;
    return value->system.len ? find_coding(asking, value->system, code) : SL_UNTOLD;
}

static bool is_item(const struct sl_item *item, struct sl_slice reference)
{
    struct sl_slice type = sl_r4_node_name(item->type);
    bool by_id = item->id.len && sl_slice_eq(type_of(reference), type) &&
                 sl_slice_eq(sl_slice_from(reference, type.len + 1), item->id);
    return by_id || (item->full_url.len && sl_slice_eq(reference, item->full_url));
}

static bool refers_to(const struct sl_item *item, struct sl_slice reference)
{
    for (uint32_t i = 0; i < item->reference_count; i++) {
        const struct sl_reference *r = &item->references[i];
        if (sl_slice_eq(r->target, reference) || (r->item && is_item(r->item, reference)))
            return true;
    }
    return false;
}

/* instance: this very one. related, dependents: this one and what refers to it; IHE PCF reads `related` so (all of an
 * encounter). What the named one itself refers to is not seen from here. */
static enum sl_match match_data(const struct sl_asking *asking, const struct sl_value *value)
{
    const struct sl_item *item = asking->item;
    if (!item)
        return SL_UNTOLD;
    switch ((enum sl_meaning)value->kind) {
    case SL_MEANING_AUTHOREDBY:
        return match_author(asking, value);
    case SL_MEANING_INSTANCE:
        return is_item(item, value->code) ? SL_MET : SL_UNMET;
    case SL_MEANING_RELATED:
    case SL_MEANING_DEPENDENTS:
        return is_item(item, value->code) || refers_to(item, value->code) ? SL_MET : SL_UNMET;
    }
    return SL_UNTOLD;
}

/* ---- Labels ---- */

/* Some codes, deprecated now, stood in that system for other things than confidentiality: they count as any label. */
static int confidentiality(const struct sl_value *label)
{
    bool system = sl_slice_eq(label->system, SL_LIT("http://terminology.hl7.org/CodeSystem/v3-Confidentiality"));
    return system && label->code.len == 1 ? (int)sl_level_rank(label->code.ptr[0]) : 0;
}

/* What a label of the Consent says also of another one's data. The code system itself has these as siblings, so the
 * grouping is ours (standards 5.2): a rule on substance use covers its kinds, one on psychiatry mental health and the
 * other way round. Notes kept apart are meant only where they are named. */
static const struct {
    const char *said, *found;
    enum sl_match match;
} kin[] = {
    {"ETH", "SUD", SL_MET},
    {"ETH", "ETHUD", SL_MET},
    {"ETH", "OPIOIDUD", SL_MET},
    {"SUD", "ETH", SL_MET},
    {"SUD", "ETHUD", SL_MET},
    {"SUD", "OPIOIDUD", SL_MET},
    {"BH", "MH", SL_MET},
    {"BH", "PSY", SL_MET},
    {"BH", "EMOTDIS", SL_MET},
    {"BH", "SUD", SL_MET},
    {"BH", "ETH", SL_MET},
    {"BH", "ETHUD", SL_MET},
    {"BH", "OPIOIDUD", SL_MET},
    {"BH", "PSYTHPN", SL_UNTOLD},
    {"BH", "COGN", SL_UNTOLD},
    {"BH", "DVD", SL_UNTOLD},
    {"EMOTDIS", "MH", SL_UNTOLD},
    {"MH", "PSY", SL_MET},
    {"MH", "EMOTDIS", SL_MET},
    {"MH", "BH", SL_UNTOLD},
    {"MH", "PSYTHPN", SL_UNTOLD},
    {"PSY", "MH", SL_MET},
    {"PSY", "BH", SL_UNTOLD},
    {"PSY", "PSYTHPN", SL_UNTOLD},
    {"STD", "HIV", SL_MET},
    {"HIV", "STD", SL_UNTOLD},
    {"SEX", "GENDER", SL_UNTOLD},
    {"SEX", "PREGNANT", SL_UNTOLD},
    {"SDV", "VIO", SL_UNTOLD},
    {"VIO", "SDV", SL_MET},
};

/* Labels that say what a record is about. The others say under which law or with which duty it stands. */
static bool is_sensitivity(struct sl_slice code)
{
    static const char *const codes[] = {"ETH", "GDIS", "HIV", "MST", "PREGNANT", "SCA", "SICKLE", "SDV", "SEX", "SPI",
        "BH", "COGN", "DVD", "EMOTDIS", "MH", "PSY", "PSYTHPN", "SUD", "ETHUD", "OPIOIDUD", "STD", "TBOO", "VIO",
        "GENDER", "DRGIS", "SSP"};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (sl_slice_eq(code, sl_slice_of(codes[i])))
            return true;
    return false;
}

static enum sl_match compare_labels(const struct sl_value *said, struct sl_slice found)
{
    if (sl_slice_eq(said->code, found))
        return SL_MET;
    for (size_t i = 0; i < sizeof kin / sizeof *kin; i++)
        if (sl_slice_eq(said->code, sl_slice_of(kin[i].said)) && sl_slice_eq(found, sl_slice_of(kin[i].found)))
            return kin[i].match;
    return SL_UNMET;
}

/* What is said of one kind of label, held against a class. */
static enum sl_match match_class_labels(const struct sl_values *said, const struct sl_class *class, bool sensitivity)
{
    enum sl_match result = SL_UNMET;
    for (uint32_t i = 0; i < said->count; i++) {
        const struct sl_value *value = &said->value[i];
        if (value->unreadable || confidentiality(value) || is_sensitivity(value->code) != sensitivity)
            continue;
        for (size_t k = 0; k < class->label_count; k++)
            result = either(result, compare_labels(value, class->labels[k].code));
    }
    return result;
}

static bool is_sensitive(const struct sl_class *class)
{
    for (size_t k = 0; k < class->label_count; k++)
        if (is_sensitivity(class->labels[k].code))
            return true;
    return false;
}

/* Labels other than confidentiality must match. A label of law or duty does if some class of the item has it. One of
 * sensitivity does for certain only if every sensitive class of the item has what was said: to permit what is about one
 * matter is not to permit what is about two. */
static enum sl_match match_other_labels(const struct sl_asking *asking, const struct sl_values *said)
{
    enum sl_match law = SL_UNMET, least = SL_MET, most = SL_UNMET;
    const struct sl_classes *classes = asking->classes;
    for (unsigned bit = sl_classes_next(classes, 0); bit < SL_CLASS_LIMIT; bit = sl_classes_next(classes, bit + 1)) {
        const struct sl_class *class = sl_policy_class(asking->policy, bit);
        if (!class)
            continue;
        law = either(law, match_class_labels(said, class, false));
        if (!is_sensitive(class))
            continue;
        enum sl_match one = match_class_labels(said, class, true);
        least = both(least, one);
        most = either(most, one);
    }
    return either(law, most == SL_UNMET ? SL_UNMET : both(most, either(least, SL_UNTOLD)));
}

/* "If the consent specifies a security label of R then it applies to all resources that are labeled R or lower": a mark
 * that the highest class of the item must not exceed. Above it, a permit does not reach; whether a denial was meant to,
 * is not said. */
static enum sl_match match_mark(const struct sl_asking *asking, int mark)
{
    int highest = (int)sl_level_rank('N');
    const struct sl_classes *classes = asking->classes;
    for (unsigned bit = sl_classes_next(classes, 0); bit < SL_CLASS_LIMIT; bit = sl_classes_next(classes, bit + 1)) {
        const struct sl_class *class = sl_policy_class(asking->policy, bit);
        if (class && (int)sl_level_rank(class->confidentiality) > highest)
            highest = (int)sl_level_rank(class->confidentiality);
    }
    return highest <= mark ? SL_MET : SL_UNTOLD;
}

static enum sl_match match_labels(const struct sl_asking *asking, const struct sl_values *said)
{
    if (!said->there)
        return SL_MET;
    int mark = 0;
    bool others = false, unreadable = false;
    for (uint32_t i = 0; i < said->count; i++) {
        int one = said->value[i].unreadable ? 0 : confidentiality(&said->value[i]);
        mark = one > mark ? one : mark;
        others = others || (one == 0 && !said->value[i].unreadable);
        unreadable = unreadable || said->value[i].unreadable;
    }
    if (!asking->item || !asking->classes || sl_classes_empty(asking->classes))
        return SL_UNTOLD;
    enum sl_match result = mark ? match_mark(asking, mark) : SL_MET;
    if (!others)
        return unreadable ? both(result, SL_UNTOLD) : result;
    enum sl_match labels = match_other_labels(asking, said);
    return both(result, unreadable ? either(labels, SL_UNTOLD) : labels);
}

/* ---- The whole ---- */

void sl_match_criteria(
    const struct sl_asking *asking, const struct sl_provision *p, const enum sl_match *outer, enum sl_match *met)
{
    memcpy(met, outer, SL_CRITERIA * sizeof *met);
    if (p->unreadable)
        met[SL_BY_UNKNOWN] = SL_UNTOLD;
    if (p->period.there)
        met[SL_BY_PERIOD] = sl_match_now(&p->period, asking->now);
    if (p->data_period.there)
        met[SL_BY_DATA_PERIOD] = match_data_period(asking, &p->data_period);
    if (p->actors.there)
        met[SL_BY_ACTORS] = match_actors(asking, &p->actors);
    if (p->labels.there)
        met[SL_BY_LABELS] = match_labels(asking, &p->labels);
    const struct {
        const struct sl_values *values;
        match_value *matches;
        unsigned kind;
    } lists[] = {{&p->actions, match_action, SL_BY_ACTIONS}, {&p->purposes, match_purpose, SL_BY_PURPOSES},
        {&p->classes, match_class, SL_BY_CLASSES}, {&p->codes, match_code, SL_BY_CODES},
        {&p->data, match_data, SL_BY_DATA}};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        if (lists[i].values->there)
            met[lists[i].kind] = match_any(asking, lists[i].values, lists[i].matches);
}

enum sl_match sl_match_consent(const struct sl_asking *asking)
{
    const struct sl_directive *d = asking->directive;
    bool active = d->status == SL_CONSENT_ACTIVE || sl_fault(SL_FAULT_CONSENT_OVER);
    if (!active || (d->scope_known && !d->privacy) || (d->date.there && d->date.begin > asking->now))
        return SL_UNMET;
    bool doubtful = !d->scope_known || !d->date.there || d->unverified || d->unreadable;
    return both(doubtful ? SL_UNTOLD : SL_MET, match_any(asking, &d->organizations, match_discloser));
}
