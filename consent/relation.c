/* SPDX-License-Identifier: Apache-2.0 */
/* Relationships that records prove: see sluice/relation.h. What the search parameters of R4 cannot ask is looked at
 * here: whether a member of a care team is one today, and on which day a visit was. */
#include "sluice/relation.h"

#include "directive_model.h"
#include "ruling.h"

#define SEEN "status=arrived,triaged,in-progress,onleave,finished"
#define OPEN "status=requested,received,accepted,ready,in-progress,on-hold"

static const struct sl_relation_question questions[] = {
    {SL_RELATION_CARE_TEAM, SL_R4_CareTeam, "patient", "participant", "status=active", NULL, SL_NAMES_ANY},
    {SL_RELATION_REFERRAL, SL_R4_ServiceRequest, "patient", "performer", "status=active", NULL, SL_NAMES_ANY},
    {SL_RELATION_REFERRAL, SL_R4_Task, "patient", "owner", OPEN, NULL, SL_NAMES_ANY},
    {SL_RELATION_ENCOUNTER, SL_R4_Encounter, "patient", "participant", SEEN, "date", SL_NAMES_PEOPLE},
    {SL_RELATION_ENCOUNTER, SL_R4_Encounter, "patient", "service-provider", SEEN, "date", SL_NAMES_ORGANIZATIONS},
    {SL_RELATION_AUTHOR, SL_R4_DocumentReference, "patient", "author", "status=current", "date", SL_NAMES_ANY},
    {SL_RELATION_AUTHOR, SL_R4_Composition, "patient", "author", "status=preliminary,final,amended", "date",
        SL_NAMES_ANY},
    {SL_RELATION_AUTHOR, SL_R4_ServiceRequest, "patient", "requester", "status=active,on-hold,completed", "authored",
        SL_NAMES_ANY},
    {SL_RELATION_AUTHOR, SL_R4_MedicationRequest, "patient", "requester", "status=active,on-hold,completed",
        "authoredon", SL_NAMES_ANY},
};

/* The words of the language, in the order of enum sl_relation. */
static const struct sl_slice words[SL_RELATIONS] = {
    {"care-team", 9}, {"open-referral", 13}, {"recent-encounter", 16}, {"author", 6}};

const struct sl_relation_question *sl_relation_questions(size_t *count)
{
    *count = sizeof questions / sizeof *questions;
    return questions;
}

/* ---- Looking into a record, as it goes to the recipient ---- */

struct looking {
    const struct sl_doc *doc;
    const struct sl_edits *edits;
    const struct sl_slice *names;
    size_t name_count;
    bool people; /* only names of people count */
    int64_t now;
};

static uint32_t member(const struct looking *l, uint32_t object, const char *key)
{
    uint32_t at = object < l->doc->count && l->doc->spans[object].type == SL_SPAN_OBJECT
                      ? sl_span_member_key(l->doc, object, sl_slice_of(key))
                      : 0;
    return at && !(l->edits && sl_edit_is_cut(l->edits, at)) ? at : 0;
}

/* A Reference that names the recipient. */
static bool is_named(const struct looking *l, uint32_t reference)
{
    uint32_t text = reference ? member(l, reference, "reference") : 0;
    for (size_t i = 0; text && i < l->name_count; i++) {
        bool person = !sl_slice_starts(l->names[i], SL_LIT("Organization/"));
        if ((person || !l->people) && sl_span_is(l->doc, text, l->names[i]))
            return true;
    }
    return false;
}

static bool read_moment(const struct looking *l, uint32_t at, struct sl_moment *out)
{
    return at && l->doc->spans[at].type == SL_SPAN_STRING && sl_moment_read(sl_span_text(l->doc, at), out);
}

/* Does a Period hold now? One that is not there does; one that cannot be read does not. */
static bool is_now(const struct looking *l, uint32_t object)
{
    uint32_t period = member(l, object, "period");
    uint32_t start = period ? member(l, period, "start") : 0, end = period ? member(l, period, "end") : 0;
    struct sl_moment from, to;
    if (start && (!read_moment(l, start, &from) || l->now < from.begin))
        return false;
    return !end || (read_moment(l, end, &to) && l->now < to.end);
}

/* A member of the team today: of an array, one entry suffices. */
static bool is_member(const struct looking *l, uint32_t root)
{
    uint32_t list = member(l, root, "participant");
    if (!list || l->doc->spans[list].type != SL_SPAN_ARRAY || !is_now(l, root))
        return false;
    for (uint32_t i = list + 1; i < l->doc->spans[list].next; i = l->doc->spans[i].next)
        if (!(l->edits && sl_edit_is_cut(l->edits, i)) && is_named(l, member(l, i, "member")) && is_now(l, i))
            return true;
    return false;
}

/* Who wrote it, himself: what was written in the name of his organization is not his own. */
static bool is_made(const struct looking *l, uint32_t root)
{
    uint32_t at = member(l, root, "author"), state = member(l, root, "docStatus");
    if (state && sl_span_is(l->doc, state, SL_LIT("entered-in-error")))
        return false;
    if (!at)
        at = member(l, root, "requester");
    if (!at || l->doc->spans[at].type != SL_SPAN_ARRAY)
        return at && is_named(l, at);
    for (uint32_t i = at + 1; i < l->doc->spans[at].next; i = l->doc->spans[i].next)
        if (is_named(l, i))
            return true;
    return false;
}

/* The day of a visit is its last: today, as long as it goes on. */
static bool find_day(const struct sl_item *item, int64_t now, int64_t *day)
{
    struct sl_moment moment;
    if (item->date_to.len || item->type != SL_R4_Encounter) {
        if (!sl_moment_read(item->date_to.len ? item->date_to : item->date_from, &moment))
            return false;
        *day = moment.end < now ? moment.end : now;
        return moment.begin <= now;
    }
    *day = now;
    return sl_moment_read(item->date_from, &moment) && moment.begin <= now;
}

bool sl_relation_proved(const struct sl_relation_question *question, const struct sl_item *item,
    const struct sl_edits *edits, const struct sl_slice *names, size_t name_count, int64_t now,
    struct sl_relationship *out)
{
    struct looking l = {
        .doc = item->doc, .edits = edits, .names = names, .name_count = name_count, .people = !edits, .now = now};
    int64_t day = 0;
    if (!item->doc || item->type != question->type || (!edits && question->relation != SL_RELATION_AUTHOR))
        return false;
    if (question->relation == SL_RELATION_CARE_TEAM && !is_member(&l, item->span))
        return false;
    if (!edits && !is_made(&l, item->span))
        return false;
    if (question->date && !find_day(item, now, &day))
        return false;
    *out = (struct sl_relationship){.kind = words[question->relation], .voucher = SL_BY_RECORD, .since = day};
    return true;
}

bool sl_relation_role(const struct sl_doc *doc, uint32_t root, int64_t now)
{
    const struct looking l = {.doc = doc, .now = now};
    uint32_t active = member(&l, root, "active");
    return is_now(&l, root) && (!active || doc->spans[active].type == SL_SPAN_TRUE);
}

/* ---- What is sought ---- */

static bool gets_anything(const struct sl_policy *policy, unsigned party, uint64_t purpose)
{
    for (size_t i = 0; i < policy->rule_count; i++) {
        const struct sl_rule *rule = &policy->rules[i];
        if (rule->verdict == SL_RULE_RELEASE && rule->purposes & purpose &&
            (rule->everyone || rule->parties >> party & 1))
            return true;
    }
    return false;
}

static unsigned kinds_of(const struct sl_party *party)
{
    unsigned kinds = 0;
    for (unsigned i = 0; i < SL_RELATIONS; i++)
        kinds |= (unsigned)sl_words_have(&party->relationships, words[i]) << i;
    return party->vouchers >> SL_BY_RECORD & 1 ? kinds : 0;
}

struct sl_sought sl_relations_sought(
    const struct sl_policy *policy, const struct sl_recipient *recipient, struct sl_slice person)
{
    struct sl_sought sought = {0};
    uint64_t purpose = sl_purpose_bit(sl_purpose_find(recipient->purpose));
    bool ever = false;
    for (unsigned i = 0; i < policy->party_count; i++) {
        const struct sl_party *party = &policy->parties[i];
        unsigned kinds = kinds_of(party);
        if (!kinds || !sl_party_lacks_relation(party, recipient, person) || !gets_anything(policy, i, purpose))
            continue;
        sought.kinds |= kinds;
        ever |= !party->within_days;
        sought.days = sought.days < party->within_days ? party->within_days : sought.days;
    }
    sought.days = ever ? 0 : sought.days;
    return sought;
}
