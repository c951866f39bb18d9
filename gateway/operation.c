/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading and planning operations: see operation.h. A Parameters resource is made into the query that would say the
 * same, so that there is one way to read parameters, and a table of them. What is not in the table is refused.
 */
#include "operation.h"

#include "body.h"
#include "sluice/time_range.h"
#include "sluice/validate.h"

#define QUERY_LIMIT ((size_t)256 * 1024)

const struct sl_slice sl_operations_served = {
#define SERVED                                                                                                         \
    "Served are read, vread, history, search, batch, transaction, writes where granted, and the operations "           \
    "Patient/[id]/$everything, Encounter/[id]/$everything, Observation/$lastn, DocumentReference/$docref, "            \
    "Patient/$match, [type]/$validate and [type]/[id]/$validate. GraphQL and other operations are not."
    SERVED, sizeof SERVED - 1};

bool sl_is_operation(enum sl_interaction_kind kind)
{
    return kind == SL_EVERYTHING || kind == SL_VALIDATE || sl_operation_gathers(kind);
}

bool sl_operation_gathers(enum sl_interaction_kind kind)
{
    return kind == SL_LASTN || kind == SL_DOCREF || kind == SL_MATCH;
}

static enum sl_status refuse(struct sl_exchange *x, struct sl_slice detail)
{
    x->detail = detail;
    return SL_BAD_PARAMETER;
}

/* ---- A Parameters resource as a query ---- */

static void put_encoded(struct sl_buffer *out, struct sl_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-._,", c))
            sl_buffer_add(out, (struct sl_slice){text.ptr + i, 1});
        else
            sl_buffer_printf(out, "%%%02X", c);
    }
}

/* "name=prefix value", encoded; ptr NULL: no memory. */
static struct sl_slice pair_of(struct sl_arena *arena, const char *name, const char *prefix, struct sl_slice value)
{
    struct sl_buffer text;
    sl_buffer_init(&text, QUERY_LIMIT);
    sl_buffer_printf(&text, "%s=%s", name, prefix);
    put_encoded(&text, value);
    struct sl_slice pair =
        sl_buffer_failed(&text) ? (struct sl_slice){NULL, 0} : sl_arena_copy(arena, sl_buffer_slice(&text));
    sl_buffer_fini(&text);
    return pair;
}

static struct sl_slice member(const struct sl_doc *doc, uint32_t object, uint16_t name, struct sl_arena *arena)
{
    uint32_t at = doc->spans[object].type == SL_SPAN_OBJECT ? sl_span_member(doc, object, name) : 0;
    return at ? sl_span_string(doc, at, arena) : (struct sl_slice){NULL, 0};
}

/* "system|code" of a Coding or Identifier, as a token has it. */
static struct sl_slice token_of(const struct sl_doc *doc, uint32_t at, uint16_t code, struct sl_arena *arena)
{
    struct sl_slice system = member(doc, at, SL_NAME_system, arena), value = member(doc, at, code, arena);
    if (!value.len)
        return (struct sl_slice){NULL, 0};
    return system.len ? sl_arena_printf(arena, "%.*s|%.*s", SL_FMT(system), SL_FMT(value)) : value;
}

/* What a value[x] says in a query; ptr NULL: nothing that a query could. */
static struct sl_slice value_of(const struct sl_doc *doc, uint32_t at, struct sl_arena *arena)
{
    switch (doc->spans[at].name) {
    case SL_NAME_valueReference:
        return member(doc, at, SL_NAME_reference, arena);
    case SL_NAME_valueCoding:
        return token_of(doc, at, SL_NAME_code, arena);
    case SL_NAME_valueIdentifier:
        return token_of(doc, at, SL_NAME_value, arena);
    case SL_NAME_valueCodeableConcept: {
        uint32_t codings = doc->spans[at].type == SL_SPAN_OBJECT ? sl_span_member(doc, at, SL_NAME_coding) : 0;
        bool any = codings && doc->spans[codings].type == SL_SPAN_ARRAY && doc->spans[codings].next > codings + 1;
        return any ? token_of(doc, codings + 1, SL_NAME_code, arena) : (struct sl_slice){NULL, 0};
    }
    default:
        break;
    }
    if (doc->spans[at].type == SL_SPAN_STRING)
        return sl_span_string(doc, at, arena);
    bool simple = doc->spans[at].type != SL_SPAN_OBJECT && doc->spans[at].type != SL_SPAN_ARRAY;
    return simple ? sl_span_text(doc, at) : (struct sl_slice){NULL, 0};
}

/* One parameter: a name, and a value or a resource, and nothing else. */
static enum sl_status take_parameter(struct sl_exchange *x, uint32_t at, struct sl_buffer *out)
{
    struct sl_operation *operation = x->operation;
    const struct sl_doc *doc = &operation->body;
    struct sl_slice name = member(doc, at, SL_NAME_name, x->arena), value = {NULL, 0};
    if (doc->spans[at].type != SL_SPAN_OBJECT || !name.len)
        return SL_BAD_SYNTAX;
    for (uint32_t c = at + 1; c < doc->spans[at].next; c = doc->spans[c].next) {
        if (doc->spans[c].name == SL_NAME_name)
            continue;
        if (doc->spans[c].name == SL_NAME_resource && sl_slice_eq(name, SL_LIT("resource")) &&
            !operation->has_resource) {
            operation->has_resource = true;
            operation->resource = c;
            return SL_OK;
        }
        if (value.ptr || !sl_slice_starts(sl_span_key(doc, c), SL_LIT("value")))
            return refuse(x, SL_LIT("A parameter of the Parameters resource has a form that is not supported."));
        value = value_of(doc, c, x->arena);
    }
    if (!value.ptr)
        return refuse(x, SL_LIT("A parameter of the Parameters resource has a form that is not supported."));
    sl_buffer_add(out, out->len ? SL_LIT("&") : SL_LIT(""));
    put_encoded(out, name);
    sl_buffer_add(out, SL_LIT("="));
    put_encoded(out, value);
    return SL_OK;
}

static enum sl_status take_parameters(struct sl_exchange *x, struct sl_buffer *out)
{
    const struct sl_doc *doc = &x->operation->body;
    uint32_t list = sl_span_member(doc, 0, SL_NAME_parameter);
    if (!list)
        return SL_OK;
    if (doc->spans[list].type != SL_SPAN_ARRAY)
        return SL_BAD_SYNTAX;
    for (uint32_t c = list + 1; c < doc->spans[list].next; c = doc->spans[c].next)
        SL_TRY(take_parameter(x, c, out));
    return SL_OK;
}

/* A resource that is the one parameter may be sent as it is (operations.html, 3.2.1). */
static enum sl_status take_body(struct sl_exchange *x, struct sl_buffer *out)
{
    struct sl_operation *operation = x->operation;
    bool whole = x->interaction.kind == SL_MATCH || x->interaction.kind == SL_VALIDATE;
    if (!x->request->body.len)
        return SL_OK;
    SL_TRY(sl_body_read(x, &operation->body));
    if (sl_slice_eq(member(&operation->body, 0, SL_NAME_resourceType, x->arena), SL_LIT("Parameters")))
        return take_parameters(x, out);
    operation->has_resource = whole;
    return whole ? SL_OK : refuse(x, SL_LIT("A Parameters resource is expected."));
}

static enum sl_status make_query(struct sl_exchange *x)
{
    struct sl_buffer text;
    sl_buffer_init(&text, QUERY_LIMIT);
    sl_buffer_add(&text, x->interaction.query);
    enum sl_status status = take_body(x, &text);
    if (status == SL_OK && sl_buffer_failed(&text))
        status = SL_TOO_LARGE;
    if (status == SL_OK) {
        x->operation->query = sl_arena_copy(x->arena, sl_buffer_slice(&text));
        status = x->operation->query.ptr ? SL_OK : SL_NO_MEMORY;
    }
    sl_buffer_fini(&text);
    return status;
}

/* ---- One reader a kind of parameter; false: the value is none ---- */

static bool read_once(struct sl_slice *at, struct sl_slice value)
{
    bool first = !at->ptr && value.len;
    *at = value;
    return first;
}

static bool read_date(struct sl_slice *at, struct sl_slice value)
{
    return read_once(at, value) && sl_primitive_valid(SL_R4_dateTime, value);
}

static bool read_number(struct sl_operation *operation, struct sl_slice value)
{
    size_t number = 0;
    for (size_t i = 0; i < value.len && i < 8; i++)
        number = number * 10 + (size_t)(value.ptr[i] - '0');
    bool good = sl_primitive_valid(SL_R4_positiveInt, value) && value.len < 8 && !operation->most;
    operation->most = number;
    return good;
}

static bool read_start(struct sl_exchange *x, struct sl_slice value)
{
    return read_date(&x->operation->start, value);
}

static bool read_end(struct sl_exchange *x, struct sl_slice value)
{
    return read_date(&x->operation->end, value);
}

static bool read_since(struct sl_exchange *x, struct sl_slice value)
{
    return read_date(&x->operation->since, value);
}

static bool read_most(struct sl_exchange *x, struct sl_slice value)
{
    return read_number(x->operation, value);
}

static bool read_types(struct sl_exchange *x, struct sl_slice value)
{
    return read_once(&x->interaction.types, value) && sl_are_types(value);
}

static bool read_patient(struct sl_exchange *x, struct sl_slice value)
{
    if (sl_slice_starts(value, SL_LIT("Patient/")))
        value = sl_slice_from(value, 8);
    return read_once(&x->operation->patient, value) && sl_is_id(value);
}

static bool read_type(struct sl_exchange *x, struct sl_slice value)
{
    return read_once(&x->operation->type, value);
}

/* Documents are not made here on demand: whoever wants those alone is told so. */
static bool read_on_demand(struct sl_exchange *x, struct sl_slice value)
{
    x->detail = SL_LIT("Documents are not made on demand.");
    return sl_slice_eq(value, SL_LIT("false"));
}

static bool read_certain(struct sl_exchange *x, struct sl_slice value)
{
    x->operation->certain = sl_slice_eq(value, SL_LIT("true"));
    return x->operation->certain || sl_slice_eq(value, SL_LIT("false"));
}

static bool read_mode(struct sl_exchange *x, struct sl_slice value)
{
    x->detail = SL_LIT("Of the modes of validation there are create and update.");
    return read_once(&x->operation->mode, value) &&
           (sl_slice_eq(value, SL_LIT("create")) || sl_slice_eq(value, SL_LIT("update")));
}

static const struct parameter {
    enum sl_interaction_kind kind;
    struct sl_slice name;
    bool (*read)(struct sl_exchange *x, struct sl_slice value);
} parameters[] = {
    {SL_EVERYTHING, {"_count", 6}, read_most}, /* a wish, which need not be followed: all come in one answer */
    {SL_EVERYTHING, {"_type", 5}, read_types},
    {SL_EVERYTHING, {"_since", 6}, read_since},
    {SL_EVERYTHING, {"start", 5}, read_start},
    {SL_EVERYTHING, {"end", 3}, read_end},
    {SL_LASTN, {"max", 3}, read_most},
    {SL_DOCREF, {"patient", 7}, read_patient},
    {SL_DOCREF, {"start", 5}, read_start},
    {SL_DOCREF, {"end", 3}, read_end},
    {SL_DOCREF, {"type", 4}, read_type},
    {SL_DOCREF, {"on-demand", 9}, read_on_demand},
    {SL_MATCH, {"count", 5}, read_most},
    {SL_MATCH, {"onlyCertainMatches", 18}, read_certain},
    {SL_VALIDATE, {"mode", 4}, read_mode},
};

static const struct parameter *find_parameter(enum sl_interaction_kind kind, struct sl_slice name)
{
    for (size_t i = 0; i < sizeof parameters / sizeof *parameters; i++)
        if (parameters[i].kind == kind && sl_slice_eq(parameters[i].name, name))
            return &parameters[i];
    return NULL;
}

/* Of $lastn, what it does not know itself is the search's. */
static enum sl_status read_parameters(struct sl_exchange *x)
{
    struct sl_slice query = x->operation->query, raw, name, value;
    while (query.len) {
        if (!sl_query_take(&query, x->arena, &raw, &name, &value))
            return sl_arena_failed(x->arena) ? SL_NO_MEMORY : SL_BAD_SYNTAX;
        const struct parameter *parameter = find_parameter(x->interaction.kind, name);
        if (parameter && !parameter->read(x, value))
            return SL_BAD_PARAMETER;
        x->detail = (struct sl_slice){NULL, 0};
        if (parameter)
            continue;
        if (x->interaction.kind != SL_LASTN)
            return SL_BAD_PARAMETER;
        x->operation->rest = sl_arena_printf(
            x->arena, "%.*s%s%.*s", SL_FMT(x->operation->rest), x->operation->rest.len ? "&" : "", SL_FMT(raw));
    }
    return sl_arena_failed(x->arena) ? SL_NO_MEMORY : SL_OK;
}

/* ---- What each needs ---- */

static bool has_param(const struct sl_search *search, const char *name)
{
    for (size_t i = 0; i < search->param_count; i++)
        if (sl_slice_eq(search->params[i].name, sl_slice_of(name)))
            return true;
    return false;
}

/* A subject, and a code or category (observation-operation-lastn.html). What would choose or order otherwise is
 * refused.
 */
static enum sl_status check_lastn(struct sl_exchange *x)
{
    struct sl_issues issues = {.arena = x->arena};
    struct sl_search *search = &x->interaction.search;
    enum sl_status status =
        sl_search_read(x->arena, SL_R4_Observation, x->operation->rest, (struct sl_slice){NULL, 0}, &issues, search);
    if (status != SL_OK && issues.first)
        x->detail = issues.first->text;
    SL_TRY(status);
    if (!(has_param(search, "patient") || has_param(search, "subject")) ||
        !(has_param(search, "code") || has_param(search, "category")))
        return refuse(x, SL_LIT("A patient or subject is needed, and a code or category."));
    if (search->count || search->include_count || search->sort_count || search->step_count || search->summary.len ||
        search->total.len || search->elements.len || search->cursor.len)
        return refuse(x, SL_LIT("Beside max, only parameters that say which Observations are served."));
    return SL_OK;
}

static enum sl_status check_docref(struct sl_exchange *x)
{
    return x->operation->patient.len ? SL_OK : refuse(x, SL_LIT("A patient is needed."));
}

static enum sl_status check_match(struct sl_exchange *x)
{
    const struct sl_operation *operation = x->operation;
    if (!operation->has_resource || operation->body.spans[operation->resource].type != SL_SPAN_OBJECT ||
        !sl_slice_eq(member(&operation->body, operation->resource, SL_NAME_resourceType, x->arena), SL_LIT("Patient")))
        return refuse(x, SL_LIT("A Patient is needed as the parameter resource."));
    return sl_match_read(&operation->body, operation->resource, x->arena, &x->operation->asked);
}

static enum sl_status check_validate(struct sl_exchange *x)
{
    bool stored = x->interaction.id.len && x->request->method != SL_POST;
    return stored != x->operation->has_resource ? SL_OK : refuse(x, SL_LIT("A resource is needed."));
}

enum sl_status sl_operation_read(struct sl_exchange *x)
{
    x->operation = sl_arena_alloc(x->arena, sizeof *x->operation);
    if (!x->operation)
        return SL_NO_MEMORY;
    SL_TRY(make_query(x));
    SL_TRY(read_parameters(x));
    if (x->interaction.kind == SL_LASTN)
        return check_lastn(x);
    if (x->interaction.kind == SL_DOCREF)
        return check_docref(x);
    if (x->interaction.kind == SL_MATCH)
        return check_match(x);
    return x->interaction.kind == SL_VALIDATE ? check_validate(x) : SL_OK;
}

/* ---- Errands ---- */

/* The current ones where no time is given, of which the latest are chosen; else those of care in that time, or made in
 * it where they do not say when the care was. */
static enum sl_status plan_docref(struct sl_exchange *x, struct sl_errand *errands)
{
    const struct sl_operation *o = x->operation;
    struct sl_slice who = pair_of(x->arena, "patient", "", o->patient);
    if (o->type.len)
        who = sl_arena_printf(x->arena, "%.*s&%.*s", SL_FMT(who), SL_FMT(pair_of(x->arena, "type", "", o->type)));
    if (!o->start.len && !o->end.len) {
        x->errand_count = 1;
        return sl_plan_query(
            x, SL_R4_DocumentReference, sl_arena_printf(x->arena, "%.*s&status=current", SL_FMT(who)), &errands[0]);
    }
    static const struct {
        const char *param, *more;
    } ways[] = {{"period", ""}, {"date", "&period:missing=true"}};
    for (size_t i = 0; i < 2; i++) {
        struct sl_slice query = sl_arena_printf(x->arena, "%.*s%s", SL_FMT(who), ways[i].more);
        if (o->start.len)
            query = sl_arena_printf(
                x->arena, "%.*s&%.*s", SL_FMT(query), SL_FMT(pair_of(x->arena, ways[i].param, "ge", o->start)));
        if (o->end.len)
            query = sl_arena_printf(
                x->arena, "%.*s&%.*s", SL_FMT(query), SL_FMT(pair_of(x->arena, ways[i].param, "le", o->end)));
        SL_TRY(sl_plan_query(x, SL_R4_DocumentReference, query, &errands[x->errand_count++]));
    }
    return SL_OK;
}

/* A way that policy would have us ask without its parameters, since what they read may go out changed, is none: it
 * would ask for everybody. */
static enum sl_status plan_match(struct sl_exchange *x, struct sl_errand *errands)
{
    struct sl_slice queries[SL_MATCH_QUERIES];
    size_t count;
    SL_TRY(sl_match_queries(&x->operation->asked, x->arena, queries, &count));
    for (size_t i = 0; i < count; i++) {
        SL_TRY(sl_plan_query(x, SL_R4_Patient, queries[i], &errands[x->errand_count]));
        x->errand_count += errands[x->errand_count].asked->param_count > 0;
    }
    return count ? SL_OK
                 : refuse(x, SL_LIT("Too little is said: an identifier with its system is needed, or a birth "
                                    "date and a name, or a name in full and a telephone number or address."));
}

static enum sl_status plan_validate(struct sl_exchange *x, struct sl_errand *errands)
{
    if (!x->operation->has_resource)
        errands[x->errand_count++] =
            (struct sl_errand){.kind = SL_ASK_READ, .type = x->interaction.type_name, .id = x->interaction.id};
    return SL_OK;
}

enum sl_status sl_operation_plan(struct sl_exchange *x)
{
    struct sl_errand *errands = sl_arena_array(x->arena, SL_MATCH_QUERIES, sizeof *errands);
    if (!errands)
        return SL_NO_MEMORY;
    x->errands = errands;
    if (x->interaction.kind == SL_DOCREF)
        return plan_docref(x, errands);
    if (x->interaction.kind == SL_MATCH)
        return plan_match(x, errands);
    if (x->interaction.kind == SL_VALIDATE)
        return plan_validate(x, errands);
    x->errand_count = 1;
    return sl_plan_query(x, SL_R4_Observation, x->operation->rest, &errands[0]);
}

/* ---- start, end, _since ---- */

struct sl_slice sl_operation_since(struct sl_exchange *x)
{
    struct sl_slice since = x->operation->since;
    return since.len ? pair_of(x->arena, "_lastUpdated", "ge", since) : (struct sl_slice){NULL, 0};
}

/* A date as it goes out. */
static bool range_at(const struct sl_found *found, uint32_t at, struct sl_time_range *out)
{
    const struct sl_doc *doc = &found->page->doc;
    struct sl_slice text = sl_edit_replacement(found->page->edits, at);
    if (!at || sl_edit_is_cut(found->page->edits, at))
        return false;
    if (!text.ptr)
        return doc->spans[at].type == SL_SPAN_STRING && sl_time_range_read(sl_span_raw(doc, at), out);
    return text.len > 2 && sl_time_range_read((struct sl_slice){text.ptr + 1, text.len - 2}, out);
}

/* A Period is from its beginning to its end, whichever are there. */
static bool period_at(const struct sl_found *found, uint32_t at, struct sl_time_range *out)
{
    const struct sl_doc *doc = &found->page->doc;
    struct sl_time_range start = {INT64_MIN, 0}, end = {0, INT64_MAX};
    if (doc->spans[at].type != SL_SPAN_OBJECT)
        return false;
    bool any = range_at(found, sl_span_member(doc, at, SL_NAME_start), &start);
    any = range_at(found, sl_span_member(doc, at, SL_NAME_end), &end) || any;
    *out = (struct sl_time_range){start.from, end.to};
    return any;
}

/* Does care fall into the time asked for, by any of the dates that are left? *dated: there is one. */
static bool is_within(const struct sl_found *found, const struct sl_time_range *wanted, bool *dated)
{
    const struct sl_doc *doc = &found->page->doc;
    uint32_t root = found->entry->root;
    *dated = false;
    for (uint32_t c = root + 1; c < doc->spans[root].next; c = doc->spans[c].next) {
        const struct sl_r4_element *element =
            doc->spans[c].flags & SL_SPAN_SIBLING ? NULL : sl_r4_element(found->entry->type, doc->spans[c].name);
        struct sl_time_range there;
        if (!element || !(element->flags & SL_R4_DATE) ||
            !(element->node == SL_R4_Period ? period_at(found, c, &there) : range_at(found, c, &there)))
            continue;
        *dated = true;
        if (there.from < wanted->to && there.to > wanted->from)
            return true;
    }
    return false;
}

static bool is_recent(const struct sl_found *found, struct sl_slice since)
{
    const struct sl_doc *doc = &found->page->doc;
    uint32_t meta = sl_span_member(doc, found->entry->root, SL_NAME_meta);
    struct sl_time_range there, wanted;
    bool known = meta && doc->spans[meta].type == SL_SPAN_OBJECT &&
                 range_at(found, sl_span_member(doc, meta, SL_NAME_lastUpdated), &there);
    return !known || (sl_time_range_read(since, &wanted) && there.to > wanted.from);
}

bool sl_operation_covers(const struct sl_exchange *x, const struct sl_found *found)
{
    const struct sl_operation *o = x->operation;
    struct sl_time_range wanted = {INT64_MIN, INT64_MAX}, one;
    bool dated;
    if (o->since.len && !is_recent(found, o->since))
        return false;
    if (!o->start.len && !o->end.len)
        return true;
    if (o->start.len && sl_time_range_read(o->start, &one))
        wanted.from = one.from;
    if (o->end.len && sl_time_range_read(o->end, &one))
        wanted.to = one.to;
    return is_within(found, &wanted, &dated) || !dated;
}
