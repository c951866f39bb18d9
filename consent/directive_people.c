/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is meant: see directive_people.h. A Group is its members, a CareTeam its participants, a PractitionerRole the
 * practitioner in that organization, and an Organization also what is part of it. A record that cannot be had leaves it
 * untold: a permit is silent, a denial denies.
 */
#include "directive_people.h"

#include "sluice/decide.h"
#include "sluice/r4.h"

#define NESTING 4u       /* a group in a group, a role in a team */
#define MEMBERS 20000u   /* that are looked at for one request; beyond, it cannot be told */
#define NAMES_LIMIT 24u  /* of the one who asks: user, client, organization, and what that is part of */
#define PARENTS_LIMIT 8u /* of an organization */

struct people {
    const struct sl_labeller *labeller;
    const struct sl_recipient *recipient;
    int64_t now;
    struct sl_lacking *lacking;
    struct sl_slice names[NAMES_LIMIT];
    size_t count;
    bool parents_known, role_known; /* whether names holds all there are; asked for once */
    bool parents_asked, role_asked;
    unsigned budget;
};

static enum sl_match both(enum sl_match a, enum sl_match b)
{
    return a < b ? a : b;
}

static bool is_of_type(struct sl_slice reference, const char *type)
{
    size_t len = strlen(type);
    return reference.len > len + 1 && memcmp(reference.ptr, type, len) == 0 && reference.ptr[len] == '/';
}

/* ---- Records ---- */

struct record {
    const struct sl_doc *doc;
    uint32_t root;
};

enum there { NOT_THERE, NOT_TOLD, THERE };

static void lack(struct people *p, struct sl_slice reference)
{
    for (size_t i = 0; i < p->lacking->count; i++)
        if (sl_slice_eq(p->lacking->reference[i], reference))
            return;
    if (p->lacking->count < SL_LACKING_LIMIT)
        p->lacking->reference[p->lacking->count++] = reference;
}

static enum there find_record(struct people *p, struct sl_slice reference, struct record *out)
{
    const char *slash = reference.len ? memchr(reference.ptr, '/', reference.len) : NULL;
    size_t type_len = slash ? (size_t)(slash - reference.ptr) : 0;
    sl_r4_node type = sl_r4_resource((struct sl_slice){reference.ptr, type_len});
    if (!type)
        return NOT_TOLD; /* a URL: somebody else's record */
    const struct sl_item *item = sl_labeller_find(p->labeller, reference);
    if (item && item->doc) {
        *out = (struct record){item->doc, item->span};
        return THERE;
    }
    const struct absent *absent = sl_labeller_is_absent(p->labeller, type, sl_slice_from(reference, type_len + 1));
    if (absent)
        return absent->asked ? NOT_THERE : NOT_TOLD;
    if (item)
        p->lacking->unbooked = true;
    else
        lack(p, reference);
    return NOT_TOLD;
}

static uint32_t object_in(const struct record *r, uint32_t object, sl_name name)
{
    uint32_t member = sl_span_member(r->doc, object, name);
    return member && r->doc->spans[member].type == SL_SPAN_OBJECT ? member : 0;
}

/* "Type/id" of a Reference, as it stands in the text; empty where it is none that could be compared. */
static struct sl_slice reference_in(const struct record *r, uint32_t object, sl_name name)
{
    uint32_t to = object_in(r, object, name);
    uint32_t text = to ? sl_span_member(r->doc, to, SL_NAME_reference) : 0;
    if (!text || r->doc->spans[text].type != SL_SPAN_STRING)
        return (struct sl_slice){NULL, 0};
    struct sl_slice raw = sl_span_text(r->doc, text);
    struct sl_slice inner = raw.len > 2 ? (struct sl_slice){raw.ptr + 1, raw.len - 2} : (struct sl_slice){NULL, 0};
    return inner.len && !memchr(inner.ptr, '\\', inner.len) ? inner : (struct sl_slice){NULL, 0};
}

static bool says(const struct record *r, uint32_t object, sl_name name, enum sl_span_type truth)
{
    uint32_t member = sl_span_member(r->doc, object, name);
    return member && r->doc->spans[member].type == truth;
}

/* Is now within the period of a membership? One that cannot be read leaves it untold. */
static enum sl_match within_period(const struct people *p, const struct record *r, uint32_t object)
{
    uint32_t span = sl_span_member(r->doc, object, SL_NAME_period);
    struct sl_period period = {.there = span != 0};
    if (!span)
        return SL_MET;
    const sl_name ends[] = {SL_NAME_start, SL_NAME_end};
    struct sl_moment *moments[] = {&period.start, &period.end};
    period.unreadable = r->doc->spans[span].type != SL_SPAN_OBJECT;
    for (size_t i = 0; i < 2 && !period.unreadable; i++) {
        uint32_t end = sl_span_member(r->doc, span, ends[i]);
        struct sl_slice text = end ? sl_span_text(r->doc, end) : (struct sl_slice){NULL, 0};
        if (end && (text.len < 2 || !sl_moment_read((struct sl_slice){text.ptr + 1, text.len - 2}, moments[i])))
            period.unreadable = true;
    }
    return sl_match_now(&period, p->now);
}

/* ---- The names of the one who asks ---- */

static bool is_name(const struct people *p, struct sl_slice reference)
{
    for (size_t i = 0; i < p->count; i++)
        if (sl_slice_eq(p->names[i], reference))
            return true;
    return p->recipient->client.len && is_of_type(reference, "Device") &&
           sl_slice_eq(sl_slice_from(reference, sizeof "Device/" - 1), p->recipient->client);
}

static void add_name(struct people *p, struct sl_slice name)
{
    if (name.len && !is_name(p, name) && p->count < NAMES_LIMIT)
        p->names[p->count++] = name;
}

/* A user who is known by a role is the practitioner in it, and of its organization. */
static void learn_role(struct people *p)
{
    struct sl_slice user = p->recipient->user_reference;
    struct record role;
    if (p->role_asked)
        return;
    p->role_asked = true;
    p->role_known = true;
    if (!is_of_type(user, "PractitionerRole"))
        return;
    enum there there = find_record(p, user, &role);
    p->role_known = there != NOT_TOLD;
    if (there != THERE || says(&role, role.root, SL_NAME_active, SL_SPAN_FALSE) ||
        within_period(p, &role, role.root) != SL_MET)
        return;
    add_name(p, reference_in(&role, role.root, SL_NAME_practitioner));
    add_name(p, reference_in(&role, role.root, SL_NAME_organization));
}

/* What the organizations of the one who asks are part of, over any number of steps. */
static void learn_parents(struct people *p)
{
    if (p->parents_asked)
        return;
    p->parents_asked = true;
    p->parents_known = p->role_known;
    unsigned steps = 0;
    for (size_t i = 0; i < p->count; i++) {
        struct record organization;
        if (!is_of_type(p->names[i], "Organization"))
            continue;
        enum there there = steps++ < PARENTS_LIMIT ? find_record(p, p->names[i], &organization) : NOT_TOLD;
        p->parents_known = p->parents_known && there != NOT_TOLD;
        if (there == THERE)
            add_name(p, reference_in(&organization, organization.root, SL_NAME_partOf));
    }
    p->parents_known = p->parents_known && p->count < NAMES_LIMIT;
}

/* ---- Who is meant ---- */

static enum sl_match match(struct people *p, struct sl_slice reference, unsigned depth);

/* One of a list of members: {name: [{who: Reference, inactive, period}]}. */
static enum sl_match match_members(struct people *p, const struct record *r, sl_name list, sl_name who, unsigned depth)
{
    const struct sl_span *spans = r->doc->spans;
    uint32_t members = sl_span_member(r->doc, r->root, list);
    enum sl_match result = SL_UNMET;
    if (members && spans[members].type != SL_SPAN_ARRAY)
        return SL_UNTOLD;
    for (uint32_t m = members + 1; members && m < spans[members].next && result != SL_MET; m = spans[m].next) {
        if (spans[m].type != SL_SPAN_OBJECT || p->budget == 0)
            return SL_UNTOLD;
        p->budget--;
        if (says(r, m, SL_NAME_inactive, SL_SPAN_TRUE))
            continue;
        struct sl_slice reference = reference_in(r, m, who);
        enum sl_match one = both(within_period(p, r, m), reference.len ? match(p, reference, depth + 1) : SL_UNTOLD);
        result = one > result ? one : result;
    }
    return result;
}

/* One that is only described has members whom nobody lists. */
static enum sl_match match_group(struct people *p, const struct record *r, unsigned depth)
{
    if (says(r, r->root, SL_NAME_active, SL_SPAN_FALSE))
        return SL_UNTOLD;
    if (!says(r, r->root, SL_NAME_actual, SL_SPAN_TRUE))
        return SL_UNTOLD;
    return match_members(p, r, SL_NAME_member, SL_NAME_entity, depth);
}

static enum sl_match match_team(struct people *p, const struct record *r, unsigned depth)
{
    uint32_t status = sl_span_member(r->doc, r->root, SL_NAME_status);
    if (status && !sl_span_is(r->doc, status, SL_LIT("active")))
        return SL_UNTOLD;
    enum sl_match now = within_period(p, r, r->root);
    return now == SL_MET ? match_members(p, r, SL_NAME_participant, SL_NAME_member, depth) : SL_UNTOLD;
}

/* This practitioner, in this organization. Of a role without a practitioner nobody says who fills it. */
static enum sl_match match_role(struct people *p, const struct record *r, unsigned depth)
{
    struct sl_slice practitioner = reference_in(r, r->root, SL_NAME_practitioner);
    struct sl_slice organization = reference_in(r, r->root, SL_NAME_organization);
    if (says(r, r->root, SL_NAME_active, SL_SPAN_FALSE) || within_period(p, r, r->root) != SL_MET)
        return SL_UNTOLD;
    enum sl_match who = practitioner.len ? match(p, practitioner, depth + 1) : SL_UNTOLD;
    return organization.len ? both(who, match(p, organization, depth + 1)) : who;
}

static enum sl_match match_organization(struct people *p, struct sl_slice reference)
{
    if (!p->recipient->organization.len && !is_of_type(p->recipient->user_reference, "PractitionerRole"))
        return SL_UNTOLD;
    learn_parents(p);
    return is_name(p, reference) ? SL_MET : p->parents_known ? SL_UNMET : SL_UNTOLD;
}

static enum sl_match match(struct people *p, struct sl_slice reference, unsigned depth)
{
    static const struct {
        const char *type;
        enum sl_match (*matches)(struct people *p, const struct record *r, unsigned depth);
    } kinds[] = {{"Group", match_group}, {"CareTeam", match_team}, {"PractitionerRole", match_role}};
    struct record record;
    learn_role(p);
    if (is_name(p, reference))
        return SL_MET;
    if (is_of_type(reference, "Organization"))
        return match_organization(p, reference);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (is_of_type(reference, kinds[i].type))
            return depth < NESTING && find_record(p, reference, &record) == THERE ? kinds[i].matches(p, &record, depth)
                                                                                  : SL_UNTOLD;
    enum sl_match plain = sl_match_name(p->recipient, reference);
    return plain == SL_UNMET && !p->role_known ? SL_UNTOLD : plain;
}

static void settle_provision(struct people *p, struct sl_provision *provision)
{
    for (uint32_t i = 0; i < provision->actors.count; i++) {
        struct sl_value *actor = &provision->actors.value[i];
        if (actor->kind == SL_ROLE_RECIPIENT && !actor->unreadable) {
            actor->met = match(p, actor->code, 0);
            actor->settled = true;
        }
    }
}

void sl_directives_meet(struct sl_directives *list, const struct sl_labeller *labeller,
    const struct sl_recipient *recipient, int64_t now, struct sl_lacking *lacking)
{
    struct people p = {.labeller = labeller, .recipient = recipient, .now = now, .lacking = lacking, .budget = MEMBERS};
    add_name(&p, recipient->user_reference);
    add_name(&p, recipient->organization);
    for (struct sl_directive *d = list->first; d; d = d->next)
        for (uint32_t i = 0; i < d->provision_count; i++)
            settle_provision(&p, &d->provisions[i]);
}
