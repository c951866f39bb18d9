/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the self-test asks for: each form (selftest_forms.def) is filled in, once, for each type of canary or for each
 * canary; and each line is asked as the control, and as parties.
 */
#include "selftest_parts.h"

/* A page holds about a quarter of what there is: after this many there is no end to them. */
#define PAGES 64

const struct sl_form sl_forms[] = {
#define SL_FORM(word, per, says, flags, line) {word, SL_PER_##per, says, flags, line},
#include "selftest_forms.def"
#undef SL_FORM
};
const size_t sl_form_count = sizeof sl_forms / sizeof *sl_forms;

/* ---- Lines ---- */

struct places { /* what is put into a form */
    struct sl_slice type, id;
    size_t number;
};

static struct sl_slice value_of(struct sl_selftest *t, char place, const struct places *places)
{
    switch (place) {
    case 't':
        return places->type;
    case 'i':
        return places->id;
    case 'n':
        return sl_arena_printf(t->arena, "%04zu", places->number);
    case 'c': /* some four pages of the type that there is most of; at a start two are looked at */
        return t->whole ? sl_arena_printf(t->arena, "%zu", t->canaries.count / 4 + 1) : SL_LIT("15");
    case 'a':
        return t->whole ? SL_LIT("500") : SL_LIT("30");
    case 'v':
        return SL_LIT("{v}"); /* sl_selftest_target */
    }
    return (struct sl_slice){NULL, 0};
}

static struct sl_slice fill(struct sl_selftest *t, const char *line, const struct places *places)
{
    struct sl_buffer text;
    sl_buffer_init(&text, (size_t)64 * 1024);
    for (const char *at = line; *at;) {
        bool place = at[0] == '{' && at[1] && at[2] == '}';
        sl_buffer_add(&text, place ? value_of(t, at[1], places) : (struct sl_slice){at, 1});
        at += place ? 3 : 1;
    }
    struct sl_slice filled = sl_arena_copy(t->arena, sl_buffer_slice(&text));
    sl_buffer_fini(&text);
    return filled;
}

static struct sl_line *add_line(struct sl_selftest *t, size_t form, const struct places *places)
{
    struct sl_line *line = sl_arena_alloc(t->arena, sizeof *line);
    if (!line)
        return NULL;
    *line = (struct sl_line){
        .form = form, .type = places->type, .canary = SL_CANARIES, .text = fill(t, sl_forms[form].line, places)};
    *(t->last_line ? &t->last_line->next : &t->lines) = line;
    t->last_line = line;
    return line;
}

/* Can it be asked of the type at all? */
static bool fits(const struct sl_form *form, struct sl_slice type)
{
    sl_r4_node node = sl_r4_resource(type);
    bool person = sl_slice_eq(type, SL_LIT("Patient"));
    if (sl_r4_facts(node) & SL_R4_BY_ROUTE && !(form->flags & ASK_ROUTED))
        return false;
    if (form->flags & ASK_OF_PATIENT && (person || !sl_r4_compartment(node)))
        return false;
    if (form->flags & ASK_BY_PATIENT && (person || !sl_r4_param_find(node, SL_LIT("patient"))))
        return false;
    return !(form->flags & ASK_HANDLE) || sl_r4_param_find(node, SL_LIT("identifier"));
}

static bool is_first_of_type(const struct sl_selftest *t, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (sl_slice_eq(t->canaries.one[i].type, t->canaries.one[at].type))
            return false;
    return true;
}

static bool is_first_of_class(const struct sl_selftest *t, size_t at)
{
    return !at || t->canaries.one[at - 1].class_bit != t->canaries.one[at].class_bit; /* they stand by class */
}

static bool is_most_common(struct sl_slice type)
{
    return sl_slice_eq(type, SL_LIT("Observation"));
}

static bool is_first_of_way(const struct sl_selftest *t, size_t at)
{
    for (size_t i = at; i > 0 && t->canaries.one[i - 1].class_bit == t->canaries.one[at].class_bit; i--)
        if (t->canaries.one[i - 1].way == t->canaries.one[at].way)
            return false;
    return true;
}

/* At a start what there is most of is asked for in every form, and the other types each in one of the first. */
static bool is_chosen(const struct sl_selftest *t, size_t form, size_t at)
{
    return t->whole || form == at % 8 || is_most_common(t->canaries.one[at].type);
}

static enum sl_status add_type_lines(struct sl_selftest *t, size_t form)
{
    for (size_t i = 0; i < t->canaries.count; i++) {
        const struct sl_canary *canary = &t->canaries.one[i];
        if (!is_first_of_type(t, i) || !fits(&sl_forms[form], canary->type) || !is_chosen(t, form, i))
            continue;
        if (!add_line(t, form, &(struct places){.type = canary->type}))
            return SL_NO_MEMORY;
    }
    return SL_OK;
}

/* The same of a record that is not there, whose name is as long; one for all canaries of the type and the form. */
static struct sl_line *missing_of(struct sl_selftest *t, size_t form, const struct sl_canary *canary)
{
    for (struct sl_line *line = t->lines; line; line = line->next)
        if (line->form == form && line->canary == SL_CANARIES && sl_slice_eq(line->type, canary->type))
            return line;
    const struct places places = {canary->type, SL_LIT(SL_CANARY_MARK "9999"), 9999};
    return add_line(t, form, &places);
}

/* One of each class in every form, and one of each way to earn it as it is read, and in another form. At a start one of
 * each class, each in another form. What a version is asked for by, a read says. */
static bool is_turn_of(const struct sl_selftest *t, size_t form, size_t first, size_t at)
{
    size_t turn = first + (t->whole ? at : t->canaries.one[at].class_bit) % (sl_form_count - first);
    bool read = sl_forms[form].flags & ASK_TAG;
    if (t->whole && is_first_of_class(t, at))
        return true;
    if (t->whole)
        return is_first_of_way(t, at) && (turn == form || read);
    return is_first_of_class(t, at) && (turn == form || (sl_forms[turn].flags & ASK_VERSION && read));
}

static enum sl_status add_canary_line(struct sl_selftest *t, size_t form, size_t at)
{
    const struct sl_canary *canary = &t->canaries.one[at];
    const struct places places = {canary->type, canary->id, at};
    bool twin = sl_forms[form].flags & ASK_TWIN && !canary->element;
    struct sl_line *missing = twin ? missing_of(t, form, canary) : NULL;
    struct sl_line *line = twin && !missing ? NULL : add_line(t, form, &places);
    if (!line)
        return SL_NO_MEMORY;
    line->missing = missing;
    line->canary = at;
    return SL_OK;
}

/* Where there are few classes, a form is the turn of one or of none, and not every canary can be found by it: there it
 * is asked for the first that it fits as well. */
static enum sl_status add_canary_lines(struct sl_selftest *t, size_t form, size_t first)
{
    size_t count = t->canaries.count, fitting = count, asked = 0;
    for (size_t i = 0; i < count; i++) {
        if (!fits(&sl_forms[form], t->canaries.one[i].type))
            continue;
        bool turn = is_turn_of(t, form, first, i);
        if (fitting == count && !turn && is_first_of_class(t, i))
            fitting = i;
        if (!turn)
            continue;
        SL_TRY(add_canary_line(t, form, i));
        asked++;
    }
    return asked > 1 || fitting == count ? SL_OK : add_canary_line(t, form, fitting);
}

enum sl_status sl_selftest_lines(struct sl_selftest *t)
{
    size_t first = 0;
    while (sl_forms[first].per != SL_PER_CANARY)
        first++;
    for (size_t form = 0; form < sl_form_count; form++) {
        if (sl_forms[form].per == SL_PER_ONCE && !add_line(t, form, &(struct places){.number = 0}))
            return SL_NO_MEMORY;
        if (sl_forms[form].per == SL_PER_TYPE)
            SL_TRY(add_type_lines(t, form));
        if (sl_forms[form].per == SL_PER_CANARY)
            SL_TRY(add_canary_lines(t, form, first));
    }
    return sl_arena_failed(t->arena) ? SL_NO_MEMORY : SL_OK;
}

/* ---- Requests ---- */

static enum sl_method method_of(struct sl_slice word)
{
    static const struct {
        const char *word;
        enum sl_method method;
    } methods[] = {{"GET", SL_GET}, {"HEAD", SL_HEAD}, {"POST", SL_POST}, {"PUT", SL_PUT}, {"PATCH", SL_METHOD_PATCH},
        {"DELETE", SL_METHOD_DELETE}};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (sl_slice_eq(word, sl_slice_of(methods[i].word)))
            return methods[i].method;
    return SL_METHOD_OTHER;
}

/* What stands before the first of that character, which goes; all of it if there is none. */
static struct sl_slice take_until(struct sl_slice *text, char mark)
{
    const char *at = text->len ? memchr(text->ptr, mark, text->len) : NULL;
    struct sl_slice taken = {text->ptr, at ? (size_t)(at - text->ptr) : text->len};
    *text = sl_slice_from(*text, taken.len + (at != NULL));
    return taken;
}

static void set_target(struct sl_selftest *t, struct sl_request *request, struct sl_slice target)
{
    struct sl_slice query = target, path = take_until(&query, '?');
    bool root = !path.len || sl_slice_eq(path, SL_LIT("/"));
    request->target = target;
    request->query = query;
    request->path =
        root ? t->config.base : sl_arena_printf(t->arena, "%.*s/%.*s", SL_FMT(t->config.base), SL_FMT(path));
}

static void add_header(struct sl_asking *one, struct sl_slice name, struct sl_slice value)
{
    one->headers[one->request.header_count++] = (struct sl_header){name, value};
}

static void set_body(struct sl_asking *one, struct sl_slice body)
{
    one->request.body = body;
    one->request.content_length = body.len;
    one->request.has_body = body.len > 0;
    if (body.len)
        add_header(one, SL_LIT("Content-Type"),
            body.ptr[0] == '{'   ? SL_LIT("application/fhir+json")
            : body.ptr[0] == '[' ? SL_LIT("application/json-patch+json")
                                 : SL_LIT("application/x-www-form-urlencoded"));
}

static struct sl_asking *ask(struct sl_selftest *t, struct sl_line *line, const struct sl_canary_asker *asker)
{
    struct sl_asking *one = sl_arena_alloc(t->arena, sizeof *one);
    struct sl_slice rest = line->text;
    if (!one)
        return NULL;
    *one = (struct sl_asking){.line = line, .asker = asker};
    one->request.headers = one->headers;
    one->request.keep_alive = true;
    one->request.method_text = take_until(&rest, ' ');
    one->request.method = method_of(one->request.method_text);
    set_target(t, &one->request, take_until(&rest, ' '));
    set_body(one, rest);
    if (sl_forms[line->form].flags & ASK_PACKED)
        add_header(one, SL_LIT("Accept-Encoding"), SL_LIT("gzip"));
    if (sl_forms[line->form].flags & ASK_KNOWN)
        add_header(one, SL_LIT("If-None-Match"), SL_LIT("*"));
    if (sl_forms[line->form].flags & ASK_SINCE)
        add_header(one, SL_LIT("If-Modified-Since"), SL_LIT("Wed, 01 Jan 2098 00:00:00 GMT"));
    *(t->last_asking ? &t->last_asking->next : &t->askings) = one;
    t->last_asking = one;
    line->asking = one;
    return one;
}

static enum sl_status without_end(struct sl_selftest *t, const struct sl_asking *asking)
{
    t->report.unexpected++;
    sl_issue_add(t->issues, SL_GRADE_ERROR, "selftest-pages", "The form %s had a next page after %d: %.*s %.*s.",
        sl_forms[asking->line->form].word, PAGES, SL_FMT(asking->request.method_text), SL_FMT(asking->line->text));
    return SL_OK;
}

enum sl_status sl_selftest_follow(struct sl_selftest *t, const struct sl_asking *asking, struct sl_slice url)
{
    struct sl_slice base = sl_arena_printf(t->arena, "%.*s/", SL_FMT(t->config.url));
    if (!sl_slice_starts(url, base))
        return SL_CORRUPT;
    if (asking->page && !t->whole)
        return SL_OK;
    if (asking->page == PAGES)
        return without_end(t, asking);
    struct sl_asking *one = ask(t, asking->line, asking->asker);
    if (!one)
        return SL_NO_MEMORY;
    set_target(t, &one->request, sl_arena_copy(t->arena, sl_slice_from(url, base.len)));
    one->page = asking->page + 1;
    return SL_OK;
}

enum sl_status sl_selftest_target(struct sl_selftest *t, struct sl_asking *asking)
{
    static const struct sl_slice place = {"{v}", 3};
    struct sl_slice target = asking->request.target, tag = SL_LIT("none");
    const char *at = memmem(target.ptr, target.len, place.ptr, place.len);
    if (asking->line->canary < SL_CANARIES && t->tags[asking->line->canary].len)
        tag = t->tags[asking->line->canary];
    if (at)
        set_target(t, &asking->request,
            sl_arena_printf(t->arena, "%.*s%.*s", (int)(at - target.ptr), target.ptr, SL_FMT(tag)));
    return sl_arena_failed(t->arena) ? SL_NO_MEMORY : SL_OK;
}

/* ---- As whom ---- */

static size_t count_of(const struct sl_classes *set)
{
    size_t count = 0;
    for (unsigned bit = sl_classes_next(set, 0); bit < SL_CLASS_LIMIT; bit = sl_classes_next(set, bit + 1))
        count++;
    return count;
}

/* The party that may have least, or most. One that is refused whole examines nothing, and is taken if there is no
 * other. */
static const struct sl_canary_asker *furthest(const struct sl_selftest *t, bool most)
{
    const struct sl_canary_asker *found = &t->askers[0];
    for (size_t i = 1; i < t->asker_count; i++) {
        const struct sl_canary_asker *one = &t->askers[i];
        size_t its = count_of(&one->may), best = count_of(&found->may);
        if (one->admitted != found->admitted ? one->admitted : most ? its > best : its < best)
            found = one;
    }
    return found;
}

bool sl_selftest_may(const struct sl_canary_asker *asker, const struct sl_canary *canary)
{
    for (unsigned bit = sl_classes_next(&canary->classes, 0); bit < SL_CLASS_LIMIT;
         bit = sl_classes_next(&canary->classes, bit + 1))
        if (!sl_classes_has(&asker->may, bit))
            return false;
    return true;
}

const struct sl_canary_asker *sl_selftest_asker(const struct sl_selftest *t, size_t at, bool may)
{
    const struct sl_canary *canary = &t->canaries.one[at];
    const struct sl_canary_asker *refused = NULL;
    for (size_t i = 0; i < t->asker_count; i++) {
        const struct sl_canary_asker *asker = &t->askers[(at + i) % t->asker_count];
        if (may ? !sl_selftest_may(asker, canary) : sl_classes_has(&asker->may, canary->class_bit))
            continue;
        if (asker->admitted)
            return asker;
        refused = refused ? refused : asker;
    }
    return refused;
}

/* Everything, and what there is most of: as every party. Any other type: as the two that differ most, and a third, each
 * form another. At a start as one of the two, every other form as the other. */
static bool is_asked_of_all_as(
    const struct sl_selftest *t, const struct sl_line *line, const struct sl_canary_asker *asker)
{
    bool third = asker == &t->askers[(line->form + line->type.len) % t->asker_count];
    if (sl_forms[line->form].flags & ASK_ALWAYS)
        return true;
    if (!t->whole)
        return asker == (line->form % 2 ? t->least : t->most);
    return !line->type.len || is_most_common(line->type) || asker == t->least || asker == t->most || third;
}

/* A canary, at a start: as who may have least, if that one must not have it. */
static const struct sl_canary_asker *without(const struct sl_selftest *t, size_t at)
{
    bool may = sl_classes_has(&t->least->may, t->canaries.one[at].class_bit);
    return t->whole || may ? sl_selftest_asker(t, at, false) : t->least;
}

/* A canary: as one who must not have it, and one who may. */
static bool is_asked_as(const struct sl_selftest *t, const struct sl_line *line, const struct sl_canary_asker *asker)
{
    if (line->canary < SL_CANARIES)
        return asker == without(t, line->canary) || (t->whole && asker == sl_selftest_asker(t, line->canary, true));
    if (sl_forms[line->form].per == SL_PER_CANARY)
        return false; /* what is missing is asked for with a canary */
    return is_asked_of_all_as(t, line, asker);
}

static enum sl_status ask_line(struct sl_selftest *t, struct sl_line *line, const struct sl_canary_asker *asker)
{
    struct sl_line *missing = line->missing;
    if (missing && (!missing->asking || missing->asking->asker != asker) && !ask(t, missing, asker))
        return SL_NO_MEMORY;
    struct sl_asking *one = ask(t, line, asker);
    if (one && missing)
        one->missing = missing->asking;
    return one ? SL_OK : SL_NO_MEMORY;
}

static enum sl_status ask_as(struct sl_selftest *t, const struct sl_canary_asker *asker)
{
    for (struct sl_line *line = t->lines; line; line = line->next)
        if ((!asker || is_asked_as(t, line, asker)) &&
            (asker || line->canary < SL_CANARIES || sl_forms[line->form].per != SL_PER_CANARY))
            SL_TRY(ask_line(t, line, asker));
    return SL_OK;
}

enum sl_status sl_selftest_askings(struct sl_selftest *t)
{
    t->least = furthest(t, false);
    t->most = furthest(t, true);
    SL_TRY(ask_as(t, NULL));
    for (size_t i = 0; i < t->asker_count; i++)
        SL_TRY(ask_as(t, &t->askers[i]));
    return SL_OK;
}
