/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What records themselves tell of their origin, and the table of it: when a record was made, and what the table says of
 * a reference or of a directory entry by any of its names. How this goes along references is label_resolve.c's.
 */
#include "directive_model.h"
#include "labelling.h"

#define HOUR 3600

/* ---- When ---- */

/* In these a date says since when something is so, which is no later than when somebody wrote it down. */
static bool tells_a_course(sl_r4_node type)
{
    return type == SL_R4_Condition || type == SL_R4_AllergyIntolerance || type == SL_R4_MedicationStatement ||
           type == SL_R4_DeviceUseStatement;
}

/* Seconds east of UTC that an instant's text ends with; INT64_MAX: it is written in UTC, and nobody knows where. */
static int64_t east_of(struct sl_slice text)
{
    const char *zone = text.len > 6 ? text.ptr + text.len - 6 : NULL;
    if (!zone || (zone[0] != '+' && zone[0] != '-'))
        return INT64_MAX;
    int64_t seconds = ((zone[1] - '0') * 10 + (zone[2] - '0')) * HOUR + ((zone[4] - '0') * 10 + (zone[5] - '0')) * 60;
    return zone[0] == '-' ? -seconds : seconds;
}

struct told { /* what one date tells */
    struct sl_during exact, days;
    bool fine;
};

static struct told read_date(const struct sl_labeller *labeller, const struct sl_doc *doc, uint32_t span)
{
    struct sl_moment moment;
    struct sl_slice text = sl_span_string(doc, span, labeller->arena);
    if (!sl_moment_read(text, &moment))
        return (struct told){.exact = SL_ALWAYS, .days = SL_ALWAYS};
    struct told told = {.exact = {moment.begin, moment.end}, .fine = true};
    told.days = told.exact;
    if (moment.whole_days)
        return told;
    int64_t east = east_of(text);
    int64_t before = east == INT64_MAX ? -12 * HOUR : east < 0 ? east : 0;
    int64_t after = east == INT64_MAX ? 14 * HOUR : east > 0 ? east : 0;
    told.days.begin += before;
    told.days.end += after;
    return told;
}

/* What stands on one side only is open on the other. */
static struct told read_stretch(const struct sl_labeller *labeller, const struct sl_doc *doc, uint32_t period)
{
    uint32_t start = sl_span_member(doc, period, SL_NAME_start), end = sl_span_member(doc, period, SL_NAME_end);
    struct told from = {.exact = SL_ALWAYS, .days = SL_ALWAYS, .fine = true}, to = from;
    if (start)
        from = read_date(labeller, doc, start);
    if (end)
        to = read_date(labeller, doc, end);
    struct told told = {.exact = {from.exact.begin, to.exact.end},
        .days = {from.days.begin, to.days.end},
        .fine = from.fine && to.fine && (start || end)};
    told.fine = told.fine && sl_during_is(told.exact);
    return told;
}

static void any_time(struct labelled *item)
{
    item->exact = item->days = SL_ALWAYS;
}

static bool counts(const struct labelled *item, uint32_t span, bool recorded)
{
    return !recorded || item->item.doc->spans[span].name == SL_NAME_recordedDate;
}

void sl_label_time(const struct sl_labeller *labeller, struct labelled *item)
{
    const struct sl_doc *doc = item->item.doc;
    if (item->timed)
        return;
    item->timed = true;
    any_time(item);
    if (!doc || !item->date_count || item->date_count > SL_DATES || sl_label_is_presence(item->item.type))
        return;
    bool course = tells_a_course(item->item.type), recorded = false;
    for (unsigned i = 0; course && i < item->date_count; i++)
        recorded |= counts(item, item->dates[i], true);
    struct sl_during exact = {0, 0}, days = {0, 0};
    for (unsigned i = 0; i < item->date_count; i++) {
        uint32_t span = item->dates[i];
        if (!counts(item, span, recorded))
            continue;
        struct told told = doc->spans[span].type == SL_SPAN_OBJECT ? read_stretch(labeller, doc, span)
                                                                   : read_date(labeller, doc, span);
        if (!told.fine)
            return; /* any time: what cannot be read protects */
        (void)sl_during_join(&exact, told.exact);
        (void)sl_during_join(&days, told.days);
    }
    item->exact = exact;
    item->days = days;
    if (course && !recorded)
        item->exact.end = item->days.end = INT64_MAX;
}

/* ---- What the table says of names ---- */

/* A URL of a server we know nothing of, ending as a name of the table does. That it is a program is believed, since it
 * most likely is our own server by another name; that it is none is not. */
static void add_end(const struct sl_labeller *labeller, struct sl_slice url, struct sl_standing *standing)
{
    const char *fragment = url.len ? memchr(url.ptr, '#', url.len) : NULL;
    if (fragment)
        url.len = (size_t)(fragment - url.ptr);
    const char *version = url.len ? memmem(url.ptr, url.len, "/_history/", 10) : NULL;
    if (version)
        url.len = (size_t)(version - url.ptr);
    const char *last = url.len ? memrchr(url.ptr, '/', url.len) : NULL;
    if (!last)
        return;
    const char *before = memrchr(url.ptr, '/', (size_t)(last - url.ptr));
    size_t begin = before ? (size_t)(before + 1 - url.ptr) : 0;
    sl_r4_node type = sl_r4_resource((struct sl_slice){url.ptr + begin, (size_t)(last - url.ptr) - begin});
    struct sl_standing end = sl_standing_none();
    if (type)
        sl_programs_by_name(labeller->programs, type, sl_slice_from(url, (size_t)(last + 1 - url.ptr)), &end);
    if (sl_during_is(end.reach.program) || sl_during_is(end.reach.received)) {
        end.reach.none = (struct sl_during){0, 0};
        *standing = end;
    }
}

struct sl_standing sl_label_standing_uri(const struct sl_labeller *labeller, struct sl_slice uri)
{
    struct sl_standing standing = sl_standing_none();
    sl_programs_by_uri(labeller->programs, uri, &standing);
    if (!standing.named)
        add_end(labeller, uri, &standing);
    return standing;
}

static void add_identifier(const struct sl_labeller *labeller, const struct sl_doc *doc, uint32_t identifier,
    enum sl_identified of, struct sl_standing *standing)
{
    if (!identifier || doc->spans[identifier].type != SL_SPAN_OBJECT)
        return;
    uint32_t system = sl_span_member(doc, identifier, SL_NAME_system);
    uint32_t value = sl_span_member(doc, identifier, SL_NAME_value);
    if (!value || doc->spans[value].type != SL_SPAN_STRING)
        return;
    struct sl_slice name = system ? sl_span_string(doc, system, labeller->arena) : (struct sl_slice){NULL, 0};
    sl_programs_by_identifier(labeller->programs, of, name, sl_span_string(doc, value, labeller->arena), standing);
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
}

static struct sl_slice percent_decoded(struct sl_arena *arena, struct sl_slice text)
{
    char *out = sl_arena_raw(arena, text.len + 1, 1);
    size_t len = 0;
    for (size_t i = 0; out && i < text.len; i++) {
        bool escape = text.ptr[i] == '%' && i + 2 < text.len && hex(text.ptr[i + 1]) >= 0 && hex(text.ptr[i + 2]) >= 0;
        out[len++] = escape ? (char)(hex(text.ptr[i + 1]) * 16 + hex(text.ptr[i + 2])) : text.ptr[i];
        i += escape ? 2 : 0;
    }
    return out ? (struct sl_slice){out, len} : (struct sl_slice){NULL, 0};
}

/* One parameter of a conditional reference: an identifier, or an id. */
static void add_condition(
    const struct sl_labeller *labeller, sl_r4_node type, struct sl_slice param, struct sl_standing *standing)
{
    struct sl_slice key = SL_LIT("identifier="), id = SL_LIT("_id=");
    if (sl_slice_starts(param, id)) {
        sl_programs_by_name(labeller->programs, type, sl_slice_from(param, id.len), standing);
    } else if (sl_slice_starts(param, key)) {
        struct sl_slice token = percent_decoded(labeller->arena, sl_slice_from(param, key.len));
        const char *bar = token.len ? memchr(token.ptr, '|', token.len) : NULL;
        if (bar)
            sl_programs_by_identifier(labeller->programs, SL_IDENTIFIED_ANY,
                (struct sl_slice){token.ptr, (size_t)(bar - token.ptr)},
                sl_slice_from(token, (size_t)(bar - token.ptr) + 1), standing);
    }
}

/* "Organization?identifier=system|value" (RESTful API, conditional references). */
static void add_conditional(const struct sl_labeller *labeller, struct sl_slice written, struct sl_standing *standing)
{
    const char *mark = written.len ? memchr(written.ptr, '?', written.len) : NULL;
    size_t at = mark ? (size_t)(mark - written.ptr) : 0;
    sl_r4_node type = mark ? sl_r4_resource((struct sl_slice){written.ptr, at}) : 0;
    for (struct sl_slice rest = sl_slice_from(written, at + 1); type && rest.len;) {
        const char *end = memchr(rest.ptr, '&', rest.len);
        struct sl_slice param = {rest.ptr, end ? (size_t)(end - rest.ptr) : rest.len};
        add_condition(labeller, type, param, standing);
        rest = sl_slice_from(rest, param.len + 1);
    }
}

struct sl_standing sl_label_standing(
    const struct sl_labeller *labeller, const struct labelled *from, const struct sl_reference *r)
{
    struct sl_standing standing = sl_standing_none();
    const struct sl_doc *doc = from->item.doc;
    if (r->type)
        sl_programs_by_name(
            labeller->programs, r->type, sl_slice_from(r->target, sl_r4_node_name(r->type).len + 1), &standing);
    else if (r->target.len && r->target.ptr[0] != '#')
        standing = sl_label_standing_uri(labeller, r->target);
    if (!doc)
        return standing;
    if (sl_programs_has_identifiers(labeller->programs))
        add_identifier(labeller, doc, sl_span_member(doc, r->span, SL_NAME_identifier), SL_IDENTIFIED_ANY, &standing);
    uint32_t written = r->target.len ? 0 : sl_span_member(doc, r->span, SL_NAME_reference);
    if (written)
        add_conditional(labeller, sl_span_string(doc, written, labeller->arena), &standing);
    return standing;
}

struct sl_standing sl_label_display(
    const struct sl_labeller *labeller, const struct labelled *from, const struct sl_reference *r)
{
    struct sl_standing standing = sl_standing_none();
    const struct sl_doc *doc = from->item.doc;
    uint32_t display =
        doc && sl_programs_has_words(labeller->programs) ? sl_span_member(doc, r->span, SL_NAME_display) : 0;
    if (display)
        sl_programs_by_words(
            labeller->programs, sl_span_string(doc, display, labeller->arena), labeller->arena, &standing);
    return standing;
}

/* ---- A directory entry's own names ---- */

static void add_identifiers(
    const struct sl_labeller *labeller, const struct sl_item *item, struct sl_standing *standing)
{
    uint32_t list = sl_span_member(item->doc, item->span, SL_NAME_identifier);
    if (!list || item->doc->spans[list].type != SL_SPAN_ARRAY)
        return;
    enum sl_identified of = item->type == SL_R4_Practitioner ? SL_IDENTIFIED_PERSON : SL_IDENTIFIED_SOURCE;
    for (uint32_t i = list + 1; i < item->doc->spans[list].next; i = item->doc->spans[i].next)
        add_identifier(labeller, item->doc, i, of, standing);
}

static void add_words(
    const struct sl_labeller *labeller, const struct sl_doc *doc, uint32_t span, struct sl_standing *standing)
{
    if (!span)
        return;
    if (doc->spans[span].type == SL_SPAN_STRING)
        sl_programs_by_words(labeller->programs, sl_span_string(doc, span, labeller->arena), labeller->arena, standing);
    else if (doc->spans[span].type == SL_SPAN_ARRAY) /* its entries are texts: no deeper */
        for (uint32_t i = span + 1; i < doc->spans[span].next; i = doc->spans[i].next)
            if (doc->spans[i].type == SL_SPAN_STRING)
                add_words(labeller, doc, i, standing);
}

struct sl_standing sl_label_standing_own(const struct sl_labeller *labeller, const struct labelled *item)
{
    struct sl_standing standing = sl_standing_none();
    const struct sl_item *i = &item->item;
    if (!item->scoped) { /* the id of a contained resource is a name within its container alone */
        sl_programs_by_name(labeller->programs, i->type, i->id, &standing);
        sl_programs_by_uri(labeller->programs, i->full_url, &standing);
    }
    if (i->doc && sl_programs_has_identifiers(labeller->programs))
        add_identifiers(labeller, i, &standing);
    if (i->doc && !standing.named && sl_programs_has_words(labeller->programs) && sl_programs_type(i->type)) {
        add_words(labeller, i->doc, sl_span_member(i->doc, i->span, SL_NAME_name), &standing);
        add_words(labeller, i->doc, sl_span_member(i->doc, i->span, SL_NAME_alias), &standing);
    }
    return standing;
}

/* ---- Visits, labels ---- */

struct sl_during sl_label_stay(
    const struct sl_labeller *labeller, const struct labelled *from, const struct sl_reference *r)
{
    const struct sl_doc *doc = from->item.doc;
    struct sl_during all = {0, 0};
    if (from->item.type != SL_R4_Encounter || doc->spans[r->span].name != SL_NAME_location)
        return all;
    uint32_t period = sl_span_member(doc, doc->parents[r->span], SL_NAME_period);
    if (!period || doc->spans[period].type != SL_SPAN_OBJECT)
        return all;
    struct told told = read_stretch(labeller, doc, period);
    return told.fine ? told.exact : all;
}

bool sl_label_carries(struct sl_labeller *labeller, const struct labelled *item, const struct sl_coding *label)
{
    const struct sl_doc *doc = item->item.doc;
    uint32_t meta = doc ? sl_span_member(doc, item->item.span, SL_NAME_meta) : 0;
    uint32_t list = meta && doc->spans[meta].type == SL_SPAN_OBJECT ? sl_span_member(doc, meta, SL_NAME_security) : 0;
    if (!list || doc->spans[list].type != SL_SPAN_ARRAY)
        return false;
    sl_system wanted = sl_labeller_system(labeller, label->system);
    for (uint32_t i = list + 1; i < doc->spans[list].next; i = doc->spans[i].next) {
        if (doc->spans[i].type != SL_SPAN_OBJECT)
            continue;
        uint32_t code = sl_span_member(doc, i, SL_NAME_code), system = sl_span_member(doc, i, SL_NAME_system);
        if (code && system && sl_span_is(doc, code, label->code) &&
            sl_labeller_system(labeller, sl_span_string(doc, system, labeller->arena)) == wanted)
            return true;
    }
    return false;
}
