/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of all that was released an operation answers with: see operation.h. The last n of each kind ($lastn, $docref),
 * whoever may be the person asked for ($match), what is wrong with a resource ($validate).
 *
 * Whatever is read here is read as it goes out.
 */
#include <stdlib.h>

#include "operation.h"
#include "sluice/fault.h"
#include "sluice/path.h"
#include "sluice/validate.h"

struct choice {
    struct sl_found *found;
    struct sl_slice key; /* time, or empty */
    uint32_t kind;       /* the first of its kind, by place in the list; then the rank of the kind */
    struct sl_match match;
};

struct choices {
    struct choice *list;
    size_t count;
};

/* All released matches, in the order in which they came. */
static enum sl_status gather(struct sl_exchange *x, struct choices *out)
{
    size_t room = 0;
    *out = (struct choices){0};
    for (const struct sl_round *round = x->rounds; round; round = round->next)
        for (const struct sl_found *found = round->first; found; found = found->next)
            room++;
    out->list = sl_arena_array(x->arena, room + 1, sizeof *out->list);
    if (!out->list)
        return SL_NO_MEMORY;
    for (const struct sl_round *round = x->rounds; round; round = round->next)
        for (struct sl_found *found = round->first; found; found = found->next)
            if ((found->released && found->match) || sl_fault(SL_FAULT_LAST_OF_ALL))
                out->list[out->count++].found = found;
    return SL_OK;
}

static enum sl_status put_chosen(struct sl_exchange *x, const struct choices *choices)
{
    x->chosen = sl_arena_array(x->arena, choices->count + 1, sizeof *x->chosen);
    if (!x->chosen)
        return SL_NO_MEMORY;
    x->chosen_count = 0;
    for (size_t i = 0; i < choices->count; i++)
        if (choices->list[i].found->released)
            x->chosen[x->chosen_count++] = choices->list[i].found;
    x->gathered = x->chosen_count;
    return SL_OK;
}

static int compare_texts(struct sl_slice a, struct sl_slice b)
{
    int order = memcmp(a.len ? a.ptr : "", b.len ? b.ptr : "", a.len < b.len ? a.len : b.len);
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

/* ---- The last of each kind ---- */

struct mark { /* one code of one resource */
    struct sl_slice text;
    uint32_t at;
};

struct marks {
    struct mark *list;
    size_t count, room;
};

static bool add_mark(struct marks *marks, struct sl_arena *arena, struct sl_slice text, size_t at)
{
    if (marks->count == marks->room) {
        size_t room = marks->room ? 2 * marks->room : 64;
        struct mark *list = sl_arena_array(arena, room, sizeof *list);
        if (!list)
            return false;
        if (marks->count)
            memcpy(list, marks->list, marks->count * sizeof *list);
        marks->list = list;
        marks->room = room;
    }
    marks->list[marks->count++] = (struct mark){text, (uint32_t)at};
    return text.ptr;
}

static struct sl_slice text_of(const struct sl_found *found, uint32_t object, uint16_t name, struct sl_arena *arena)
{
    uint32_t at = sl_span_member(&found->page->doc, object, name);
    return at && !sl_edit_is_cut(found->page->edits, at) ? sl_span_string(&found->page->doc, at, arena)
                                                         : (struct sl_slice){NULL, 0};
}

/* The codes of a CodeableConcept, as they are left; where there are none, its text. */
static bool mark_codes(
    struct marks *marks, struct sl_arena *arena, const struct sl_found *found, uint32_t concept, size_t at)
{
    const struct sl_edits *edits = found->page->edits;
    const struct sl_doc *doc = &found->page->doc;
    size_t before = marks->count;
    uint32_t codings = sl_span_member(doc, concept, SL_NAME_coding);
    bool list = codings && !sl_edit_is_cut(edits, codings) && doc->spans[codings].type == SL_SPAN_ARRAY;
    for (uint32_t c = list ? sl_edit_first(edits, codings) : 0; c; c = sl_edit_next(edits, c)) {
        struct sl_slice system = text_of(found, c, SL_NAME_system, arena),
                        code = text_of(found, c, SL_NAME_code, arena);
        if (code.len && !add_mark(marks, arena, sl_arena_printf(arena, "%.*s|%.*s", SL_FMT(system), SL_FMT(code)), at))
            return false;
    }
    struct sl_slice words = text_of(found, concept, SL_NAME_text, arena);
    return marks->count > before || add_mark(marks, arena, words.ptr ? words : SL_LIT(""), at);
}

static enum sl_status mark_all(struct sl_exchange *x, const struct choices *choices, uint16_t name, struct marks *marks)
{
    for (size_t i = 0; i < choices->count; i++) {
        const struct sl_found *found = choices->list[i].found;
        const struct sl_doc *doc = &found->page->doc;
        uint32_t concept = sl_span_member(doc, found->entry->root, name);
        bool there =
            concept && doc->spans[concept].type == SL_SPAN_OBJECT && !sl_edit_is_cut(found->page->edits, concept);
        if (!(there ? mark_codes(marks, x->arena, found, concept, i) : add_mark(marks, x->arena, SL_LIT(""), i)))
            return SL_NO_MEMORY;
    }
    return SL_OK;
}

static int order_marks(const void *a, const void *b)
{
    const struct mark *m = a, *n = b;
    int order = compare_texts(m->text, n->text);
    return order ? order : (m->at > n->at) - (m->at < n->at);
}

static uint32_t kind_of(struct choice *list, uint32_t at)
{
    while (list[at].kind != at) {
        list[at].kind = list[list[at].kind].kind;
        at = list[at].kind;
    }
    return at;
}

/* Two that share a code are of one kind, and so are those that are of one kind with the same third
 * (observation-operation-lastn.html: codes that are translations of each other). */
static void join_kinds(struct choices *choices, struct marks *marks)
{
    for (uint32_t i = 0; i < choices->count; i++)
        choices->list[i].kind = i;
    if (marks->count)
        qsort(marks->list, marks->count, sizeof *marks->list, order_marks);
    for (size_t i = 1; i < marks->count; i++) {
        if (!sl_slice_eq(marks->list[i].text, marks->list[i - 1].text))
            continue;
        uint32_t a = kind_of(choices->list, marks->list[i - 1].at), b = kind_of(choices->list, marks->list[i].at);
        choices->list[a > b ? a : b].kind = a < b ? a : b;
    }
    for (uint32_t i = 0; i < choices->count; i++)
        choices->list[i].kind = kind_of(choices->list, i);
}

/* The latest first; what has no time last. Of one time, by id. */
static int order_times(const void *a, const void *b)
{
    const struct choice *m = a, *n = b;
    int order = (n->key.len > 0) - (m->key.len > 0);
    if (!order)
        order = compare_texts(n->key, m->key);
    return order ? order : compare_texts(m->found->entry->id, n->found->entry->id);
}

/* As they are: kinds in the order of their latest, and each kind's together. */
static int order_kinds(const void *a, const void *b)
{
    const struct choice *m = a, *n = b;
    return m->kind == n->kind ? order_times(a, b) : m->kind < n->kind ? -1 : 1;
}

/* Keeps the first `most` of each kind, once they are in the order of their times. */
static enum sl_status keep_last(struct sl_exchange *x, struct choices *choices, size_t most)
{
    uint32_t *ranks = sl_arena_array(x->arena, choices->count + 1, sizeof *ranks);
    size_t *counts = sl_arena_array(x->arena, choices->count + 1, sizeof *counts);
    uint32_t kinds = 0;
    size_t kept = 0;
    if (!ranks || !counts)
        return SL_NO_MEMORY;
    qsort(choices->list, choices->count, sizeof *choices->list, order_times);
    for (size_t i = 0; i < choices->count; i++) {
        struct choice one = choices->list[i];
        if (!ranks[one.kind])
            ranks[one.kind] = ++kinds;
        if (counts[one.kind]++ >= most)
            continue;
        one.kind = ranks[one.kind];
        choices->list[kept++] = one;
    }
    choices->count = kept;
    qsort(choices->list, choices->count, sizeof *choices->list, order_kinds);
    return SL_OK;
}

static enum sl_status choose_last(
    struct sl_exchange *x, struct choices *choices, uint16_t kind, const char *time, size_t most)
{
    struct marks marks = {0};
    for (size_t i = 0; i < choices->count; i++) {
        const struct sl_found *found = choices->list[i].found;
        const struct sl_search_sort latest = {sl_r4_param_find(found->entry->type, sl_slice_of(time)), true};
        choices->list[i].key =
            sl_search_sort_key(&latest, &found->page->doc, found->entry->root, found->page->edits, x->arena);
    }
    SL_TRY(mark_all(x, choices, kind, &marks));
    join_kinds(choices, &marks);
    return keep_last(x, choices, most);
}

/* ---- Persons ---- */

/* A view as a document of its own. */
static enum sl_status read_view(const struct sl_found *found, struct sl_arena *arena, struct sl_doc *out)
{
    struct sl_blocks blocks = {.arena = arena};
    struct sl_slice text;
    SL_TRY(sl_edit_gather(found->page->edits, found->entry->root, &blocks));
    SL_TRY(sl_blocks_join(&blocks, arena, &text));
    return sl_doc_parse(arena, text, NULL, out, NULL);
}

static enum sl_status compare(struct sl_exchange *x, struct choice *one)
{
    struct sl_arena *arena = sl_arena_new_in(x->state->arenas, x->state->gateway->config->exchange_memory);
    struct sl_traits traits;
    struct sl_doc doc;
    if (!arena)
        return SL_NO_MEMORY;
    enum sl_status status = read_view(one->found, arena, &doc);
    if (status == SL_OK)
        status = sl_match_read(&doc, 0, arena, &traits);
    if (status == SL_OK)
        one->match = sl_match_compare(&x->operation->asked, &traits);
    sl_arena_free(arena);
    return status;
}

static int order_matches(const void *a, const void *b)
{
    const struct choice *m = a, *n = b;
    if (m->match.grade != n->match.grade)
        return m->match.grade > n->match.grade ? -1 : 1;
    if (m->match.score != n->match.score)
        return m->match.score > n->match.score ? -1 : 1;
    return compare_texts(m->found->entry->id, n->found->entry->id);
}

static bool is_match(const struct sl_exchange *x, const struct choice *one)
{
    return x->operation->certain ? one->match.grade == SL_MATCH_CERTAIN : one->match.grade != SL_MATCH_NOT;
}

/* onlyCertainMatches: one, or none (patient-operation-match.html). */
static enum sl_status choose_matches(struct sl_exchange *x, struct choices *choices)
{
    size_t kept = 0;
    for (size_t i = 0; i < choices->count; i++) {
        struct choice one = choices->list[i];
        SL_TRY(compare(x, &one));
        if (!is_match(x, &one))
            continue;
        one.found->search = sl_arena_printf(x->arena,
            "\"extension\":[{\"url\":\"http://hl7.org/fhir/StructureDefinition/match-grade\","
            "\"valueCode\":\"%s\"}],\"score\":%u.%02u,",
            sl_match_word(one.match.grade), one.match.score / 100, one.match.score % 100);
        if (!one.found->search.ptr)
            return SL_NO_MEMORY;
        choices->list[kept++] = one;
    }
    choices->count = kept;
    qsort(choices->list, choices->count, sizeof *choices->list, order_matches);
    if (x->operation->certain && choices->count > 1)
        choices->count = 0;
    if (x->operation->most && choices->count > x->operation->most)
        choices->count = x->operation->most;
    return SL_OK;
}

enum sl_status sl_operation_choose(struct sl_exchange *x)
{
    const struct sl_operation *o = x->operation;
    struct choices choices;
    enum sl_status status = SL_OK;
    SL_TRY(gather(x, &choices));
    if (x->interaction.kind == SL_LASTN)
        status = choose_last(x, &choices, SL_NAME_code, "date", o->most ? o->most : 1);
    else if (x->interaction.kind == SL_MATCH)
        status = choose_matches(x, &choices);
    else if (!o->start.len && !o->end.len)
        status = choose_last(x, &choices, SL_NAME_type, "date", 1);
    SL_TRY(status);
    return put_chosen(x, &choices);
}

/* ---- $validate ---- */

static void add_issue(struct sl_blocks *out, struct sl_arena *arena, const struct sl_doc *doc, uint32_t root,
    const struct sl_finding *finding)
{
    struct sl_slice path = sl_span_path(doc, root, finding->span, arena);
    struct sl_buffer text;
    sl_buffer_init(&text, (size_t)64 * 1024);
    sl_buffer_json_string(
        &text, sl_arena_printf(arena, "%.*s%s%.*s", SL_FMT(path), finding->name.len ? "." : "", SL_FMT(finding->name)));
    sl_blocks_add(out,
        sl_arena_printf(arena, "{\"severity\":\"error\",\"code\":\"%s\",\"diagnostics\":\"%s\",\"expression\":[%.*s]},",
            finding->code, finding->text, SL_FMT(sl_buffer_slice(&text))));
    out->failed = out->failed || sl_buffer_failed(&text);
    sl_buffer_fini(&text);
}

#define ONE_ISSUE(severity, code, text)                                                                                \
    SL_LIT("{\"severity\":\"" severity "\",\"code\":\"" code "\",\"diagnostics\":\"" text "\"}")

/* Of the resource at `root`: it is of the type that is asked about, and has the id that the path names. */
static void add_mismatch(struct sl_exchange *x, const struct sl_doc *doc, uint32_t root)
{
    uint32_t type = doc->spans[root].type == SL_SPAN_OBJECT ? sl_span_member(doc, root, SL_NAME_resourceType) : 0;
    uint32_t id = type ? sl_span_member(doc, root, SL_NAME_id) : 0;
    bool update = x->interaction.id.len || sl_slice_eq(x->operation->mode, SL_LIT("update"));
    if (type && !sl_span_is(doc, type, x->interaction.type_name))
        sl_blocks_add(&x->body, ONE_ISSUE("error", "invalid", "The resource is of another type than the path."));
    else if (update && !id)
        sl_blocks_add(&x->body, ONE_ISSUE("error", "required", "An update needs the id."));
    else if (x->interaction.id.len && id && !sl_span_is(doc, id, x->interaction.id))
        sl_blocks_add(&x->body, ONE_ISSUE("error", "invalid", "The resource has another id than the path."));
    else
        return;
    sl_blocks_add(&x->body, SL_LIT(","));
}

static enum sl_status write_findings(struct sl_exchange *x, const struct sl_doc *doc, uint32_t root)
{
    struct sl_findings *findings = sl_arena_alloc(x->arena, sizeof *findings);
    if (!findings)
        return SL_NO_MEMORY;
    SL_TRY(sl_validate(doc, root, x->arena, findings));
    sl_blocks_add(&x->body, SL_LIT("{\"resourceType\":\"OperationOutcome\",\"issue\":["));
    size_t before = x->body.total;
    add_mismatch(x, doc, root);
    for (size_t i = 0; i < findings->count; i++)
        add_issue(&x->body, x->arena, doc, root, &findings->one[i]);
    if (findings->more)
        sl_blocks_add(&x->body, ONE_ISSUE("warning", "too-costly", "There is more than is told here."));
    else if (x->body.total == before)
        sl_blocks_add(&x->body, ONE_ISSUE("information", "informational",
                                    "No mistake was found. Checked are elements, cardinalities and datatypes of FHIR "
                                    "R4; neither value sets, nor invariants, nor profiles."));
    else
        sl_blocks_add(&x->body,
            ONE_ISSUE("information", "informational", "Checked are elements, cardinalities and datatypes of FHIR R4."));
    sl_blocks_add(&x->body, SL_LIT("]}"));
    return sl_arena_failed(x->arena) ? SL_NO_MEMORY : SL_OK;
}

enum sl_status sl_operation_validate(struct sl_exchange *x, const struct sl_found *found)
{
    struct sl_doc doc;
    if (!found)
        return write_findings(x, &x->operation->body, x->operation->resource);
    SL_TRY(read_view(found, x->arena, &doc));
    return write_findings(x, &doc, 0);
}
