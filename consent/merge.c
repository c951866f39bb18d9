/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A write as a difference: see sluice/merge.h. Record, view and what is sent are walked together, a property at a time;
 * at each place there is something of the three, or nothing (SL_NOWHERE):
 *
 *     record  view    sent
 *     shown   same    equal      the record's own bytes
 *     shown   same    other      down into it, or the value that is sent
 *     shown   same    nothing    taken away: what is left of the record is its hidden parts
 *     hidden  nothing nothing    the record's own bytes
 *     hidden  nothing something  both, where there can be several; else what is sent takes the place
 *     nothing put in  equal      nothing: Sluice had put it there
 *     nothing ?       other      what is sent
 *
 * Nothing here asks whether something hidden stands in the way.
 */
#include <sys/random.h>

#include "merging.h"
#include "sluice/fault.h"
#include "sluice/path.h"

#define SLACK 4096u
#define NAMES_LIMIT 128u /* properties of one type that R4 has, and more */

#define HIDDEN 1u   /* something in it is hidden */
#define CONSTANT 2u /* it is hidden, and would be whatever it held */
#define GOES 4u     /* it is hidden and does not stay */
#define LOSES 8u    /* something in it does not */

struct merging {
    const struct sl_merge *m;
    const struct sl_doc *record, *view, *sent;
    struct sl_digests of_view, of_sent;
    const uint8_t *parts;  /* by span of the record, less its root: what is said above */
    const uint8_t *labels; /* by span sent, less its root: a label stands in it that is the writer's to set or not */
    struct sl_arena *arena;
    struct sl_buffer *out;
    struct sl_merged *merged;
    unsigned taken;     /* how many parts that were taken away the walk is in */
    bool lacking;       /* something was taken away that R4 requires */
    bool fresh;         /* there is no record yet, */
    struct sl_slice id; /* and this is to be its id; empty: none */
};

/* What stands at one place; each may be SL_NOWHERE. */
struct three {
    uint32_t record, view, sent;
};

/* What is known of the place by R4. */
struct site {
    sl_r4_node node;                     /* of the value, or of each entry */
    const struct sl_r4_element *element; /* NULL at the root */
    bool half;                           /* of a primitive: the '_' sibling */
};

/* What was written. WEAK: what says nothing by itself, as the label of a part that has gone. */
enum put { PUT_NOTHING, PUT_WEAK, PUT_STRONG };

static enum put put_value(struct merging *g, struct three t, const struct site *site);

static bool is_there(uint32_t span)
{
    return span != SL_NOWHERE;
}

static uint32_t or_nowhere(uint32_t member)
{
    return member ? member : SL_NOWHERE;
}

static bool is_type(const struct sl_doc *doc, uint32_t span, enum sl_span_type type)
{
    return is_there(span) && doc->spans[span].type == type;
}

/* ---- What is hidden ---- */

static bool is_hidden(const struct merging *g, uint32_t record)
{
    return g->m->edits && sl_edit_is_cut(g->m->edits, record);
}

/* Goes out as something else than it is. */
static bool is_changed(const struct merging *g, uint32_t record)
{
    return g->m->edits && sl_edit_replacement(g->m->edits, record).ptr;
}

static bool has_hidden(const struct merging *g, uint32_t record)
{
    return g->parts[record - g->m->record.root] & HIDDEN;
}

static bool is_constant(const struct merging *g, uint32_t record)
{
    return is_there(record) && g->parts[record - g->m->record.root] & CONSTANT;
}

/* What is contained follows its container: up to the next item that stands by itself. */
static void find_constants(const struct merging *g, uint8_t *parts)
{
    const struct sl_item *root = g->m->item;
    for (const struct sl_item *item = root; item && (item == root || item->container); item = item->next)
        for (const struct sl_cut *c = item->cuts; c; c = c->next)
            parts[c->span - g->m->record.root] |= c->constant ? CONSTANT : 0;
}

static bool goes(const struct merging *g, uint32_t record)
{
    return is_there(record) && g->parts[record - g->m->record.root] & GOES;
}

/* Is it to go, or something in it? */
static bool is_shed(const struct merging *g, uint32_t record)
{
    return is_there(record) && g->parts[record - g->m->record.root] & (GOES | LOSES);
}

static enum sl_status find_parts(struct merging *g)
{
    uint32_t root = g->m->record.root, end = g->record->spans[root].next;
    uint8_t *parts = sl_arena_array(g->arena, end - root, 1);
    if (!parts)
        return SL_NO_MEMORY;
    for (uint32_t i = end; i-- > root + 1;) {
        bool hidden = is_hidden(g, i) || is_changed(g, i);
        if (hidden && (g->m->sheds_all || (g->m->sheds && g->m->sheds[i - root])))
            parts[i - root] |= GOES;
        if (parts[i - root] || hidden)
            parts[g->record->parents[i] - root] |= HIDDEN | (parts[i - root] & (GOES | LOSES) ? LOSES : 0);
    }
    parts[0] |= is_changed(g, root) ? HIDDEN : 0;
    for (uint32_t i = root + 1; i < end; i++) /* an array of primitives goes an entry at a time */
        parts[i - root] |= parts[g->record->parents[i] - root] & GOES;
    find_constants(g, parts);
    g->parts = parts;
    return SL_OK;
}

static void displace(struct merging *g, uint32_t record)
{
    struct sl_displaced *one = sl_arena_alloc(g->arena, sizeof *one);
    if (!one)
        return; /* the arena has failed, and with it the whole */
    one->path = sl_span_path(g->record, g->m->record.root, record, g->arena);
    one->next = g->merged->displaced;
    g->merged->displaced = one;
    g->merged->displaced_count++;
}

/* What was hidden in something that could not stay, each once. */
static void displace_all(struct merging *g, uint32_t record)
{
    for (uint32_t c = record; is_there(record) && c < g->record->spans[record].next;) {
        bool hidden = is_hidden(g, c) || is_changed(g, c);
        if (hidden && !is_constant(g, c))
            displace(g, c);
        c = hidden ? g->record->spans[c].next : c + 1;
    }
}

/* A hidden part left alone in what says how all the rest is to be read would hide all the rest (0037): of such an
 * element that is taken away nothing stays. */
static bool is_modifier(const struct sl_r4_element *element)
{
    return element && element->flags & SL_R4_MODIFIER;
}

/* ---- Labels ---- */

static struct sl_coding coding_of(const struct sl_doc *doc, uint32_t span, struct sl_arena *arena)
{
    struct sl_coding coding = {.code = {NULL, 0}};
    if (!is_type(doc, span, SL_SPAN_OBJECT))
        return coding;
    uint32_t system = sl_span_member(doc, span, SL_NAME_system), code = sl_span_member(doc, span, SL_NAME_code);
    if (system)
        coding.system = sl_span_string(doc, system, arena);
    if (code)
        coding.code = sl_span_string(doc, code, arena);
    return coding;
}

static bool same_coding(const struct sl_coding *a, const struct sl_coding *b)
{
    return sl_slice_eq(a->system, b->system) && sl_slice_eq(a->code, b->code);
}

static bool may_set(const struct merging *g, const struct sl_doc *doc, uint32_t coding)
{
    if (sl_fault(SL_FAULT_LABELS_TAKEN))
        return true;
    const struct sl_coding its = coding_of(doc, coding, g->arena);
    for (size_t i = 0; i < g->m->labels.label_count; i++)
        if (same_coding(&g->m->labels.labels[i], &its))
            return true;
    return false;
}

static bool may_set_label(const struct merging *g, const struct sl_doc *doc, uint32_t extension)
{
    return may_set(g, doc, or_nowhere(sl_span_member(doc, extension, SL_NAME_valueCoding)));
}

static bool is_meta(const struct sl_doc *doc, uint32_t span)
{
    return doc->spans[span].name == SL_NAME_meta;
}

static enum sl_status find_labels(struct merging *g)
{
    uint32_t root = g->m->sent.root, end = g->sent->spans[root].next;
    uint8_t *labels = sl_arena_array(g->arena, end - root, 1);
    if (!labels)
        return SL_NO_MEMORY;
    for (uint32_t i = end; i-- > root + 1;)
        if (labels[i - root] || is_meta(g->sent, i) || sl_merge_is_label(g->sent, i)) {
            labels[i - root] = 1;
            labels[g->sent->parents[i] - root] = 1;
        }
    g->labels = labels;
    return SL_OK;
}

/* ---- Writing ---- */

static enum put put_raw(struct merging *g, const struct sl_doc *doc, uint32_t span)
{
    sl_buffer_add(g->out, sl_span_text(doc, span));
    return PUT_STRONG;
}

/* Where a container's next child begins, so that it can be taken back if it comes to nothing. */
struct child {
    size_t begin;
};

static struct child begin_child(struct merging *g, size_t container)
{
    struct child child = {g->out->len};
    if (g->out->len > container + 1)
        sl_buffer_add(g->out, SL_LIT(","));
    return child;
}

static struct child begin_member(struct merging *g, size_t object, struct sl_slice key)
{
    struct child child = begin_child(g, object);
    sl_buffer_add(g->out, SL_LIT("\""));
    sl_buffer_add(g->out, key);
    sl_buffer_add(g->out, SL_LIT("\":"));
    return child;
}

static void take_back(struct merging *g, size_t begin)
{
    if (!g->out->failed)
        g->out->len = begin;
}

static enum put end_child(struct merging *g, struct child child, enum put put)
{
    if (put == PUT_NOTHING)
        take_back(g, child.begin);
    return put;
}

static enum put stronger(enum put a, enum put b)
{
    return a > b ? a : b;
}

/* ---- Where something stands ---- */

static bool same(const struct merging *g, uint32_t view, uint32_t sent)
{
    return is_there(view) && is_there(sent) && sl_same_value(&g->of_view, view, &g->of_sent, sent, g->arena);
}

static uint32_t member_like(const struct sl_doc *doc, uint32_t object, sl_name name, bool half)
{
    if (!is_type(doc, object, SL_SPAN_OBJECT) || !name)
        return SL_NOWHERE;
    return or_nowhere(half ? sl_span_sibling(doc, object, name) : sl_span_member(doc, object, name));
}

static sl_r4_node type_within(const struct sl_doc *doc, uint32_t span)
{
    uint32_t type = is_type(doc, span, SL_SPAN_OBJECT) ? sl_span_member(doc, span, SL_NAME_resourceType) : 0;
    return type ? sl_r4_resource(sl_span_raw(doc, type)) : 0;
}

/* Of what is contained, by its own type. */
static sl_r4_node node_at(const struct merging *g, const struct site *site, struct three t)
{
    if (!site->element || !(site->element->flags & SL_R4_RESOURCE) || site->half)
        return site->node;
    return is_there(t.sent) ? type_within(g->sent, t.sent) : type_within(g->record, t.record);
}

/* ---- Entries of arrays ---- */

struct row {
    struct sl_entries record, view, sent;
    struct sl_matching matching;
    uint32_t *shown;  /* by entry of the record: its entry of the view; SL_NOWHERE: hidden */
    uint32_t *origin; /* by entry of the view: its entry of the record; SL_NOWHERE: Sluice put it in */
    bool *gone;       /* by entry of the record: another with its id takes its place */
    const struct site *site;
    bool labels; /* the entries are Extensions, some of them labels perhaps */
    bool pairs;  /* the '_' sibling is written too: */
    struct sl_buffer *halves;
    size_t begin;
    enum put put, put_half;
};

static bool entry_shown(const struct merging *g, const struct sl_entry_at *at)
{
    uint32_t span = is_there(at->value) ? at->value : at->half;
    return is_there(span) && !is_hidden(g, span);
}

static bool has_parts(const struct sl_doc *doc, uint32_t section)
{
    return is_type(doc, section, SL_SPAN_OBJECT) &&
           (sl_span_member(doc, section, SL_NAME_entry) || sl_span_member(doc, section, SL_NAME_section));
}

/* The text of a section with entries or sections says what they say; without any, it is what the section says. Which of
 * the two it is must not rest on an entry that is hidden: so a section that has lost all that its writer saw is another
 * one, and what was hidden in the old one stays in what is left of that. */
static void part_sections(const struct merging *g, struct row *row)
{
    struct sl_matching *m = &row->matching;
    for (uint32_t k = 0; k < row->sent.count; k++) {
        uint32_t v = m->of_sent[k];
        if (v == SL_NOWHERE || has_parts(g->sent, row->sent.at[k].value) || !has_parts(g->view, row->view.at[v].value))
            continue;
        m->of_sent[k] = m->of_view[v] = SL_NOWHERE;
    }
}

/* Those that are shown stand in the view in their order, and before all that was put in. */
static enum sl_status pair_up(struct merging *g, struct row *row)
{
    uint32_t next = 0;
    row->shown = sl_arena_raw(g->arena, row->record.count + 1, sizeof *row->shown);
    row->origin = sl_arena_raw(g->arena, row->view.count + 1, sizeof *row->origin);
    row->gone = sl_arena_array(g->arena, row->record.count + 1, sizeof *row->gone);
    bool *apart = sl_arena_array(g->arena, row->view.count + 1, sizeof *apart);
    if (!row->shown || !row->origin || !row->gone || !apart)
        return SL_NO_MEMORY;
    for (uint32_t i = 0; i < row->record.count; i++) {
        bool shown = next < row->view.count && entry_shown(g, &row->record.at[i]);
        row->shown[i] = shown ? next : SL_NOWHERE;
        if (shown)
            row->origin[next++] = i;
    }
    row->matching = (struct sl_matching){.view = &row->view, .sent = &row->sent, .firm = next, .apart = apart};
    for (uint32_t i = 0; i < row->view.count; i++)
        apart[i] = row->labels && sl_merge_is_label(g->view, row->view.at[i].value);
    for (uint32_t i = next; i < row->view.count; i++)
        row->origin[i] = SL_NOWHERE;
    SL_TRY(sl_match(&row->matching, g->arena));
    if (row->site->node == SL_R4_Composition_section)
        part_sections(g, row);
    return SL_OK;
}

static uint32_t id_of(const struct sl_doc *doc, uint32_t span)
{
    return member_like(doc, span, SL_NAME_id, false);
}

/* What is contained is known by its id, of which there is one. Only what is new can have a hidden one's. */
static void find_gone(struct merging *g, struct row *row)
{
    for (uint32_t k = 0; k < row->sent.count; k++) {
        uint32_t id = row->matching.of_sent[k] == SL_NOWHERE ? id_of(g->sent, row->sent.at[k].value) : SL_NOWHERE;
        if (!is_there(id))
            continue;
        struct sl_slice text = sl_span_string(g->sent, id, g->arena);
        for (uint32_t i = 0; i < row->record.count; i++) {
            uint32_t its = row->shown[i] == SL_NOWHERE ? id_of(g->record, row->record.at[i].value) : SL_NOWHERE;
            if (is_there(its) && !row->gone[i] && sl_span_is(g->record, its, text)) {
                row->gone[i] = true;
                displace(g, row->record.at[i].value);
            }
        }
    }
}

static void end_entry(struct merging *g, struct row *row, struct child child, size_t half, enum put value, enum put its)
{
    enum put put = stronger(value, its);
    if (put == PUT_NOTHING) {
        take_back(g, child.begin);
        if (row->pairs && !row->halves->failed)
            row->halves->len = half;
        return;
    }
    row->put_half = stronger(row->put_half, its);
}

static bool is_something(const struct sl_doc *doc, uint32_t span)
{
    return is_there(span) && doc->spans[span].type != SL_SPAN_NULL;
}

static uint32_t something(const struct sl_doc *doc, uint32_t span)
{
    return is_something(doc, span) ? span : SL_NOWHERE;
}

/* One half of an entry; null if there is none. `whole`: as it is in the record. */
static enum put put_half(struct merging *g, struct three t, const struct site *site, bool whole)
{
    const struct three it = {something(g->record, t.record), something(g->view, t.view), something(g->sent, t.sent)};
    size_t begin = g->out->len;
    enum put put = PUT_NOTHING;
    if (!whole || is_shed(g, it.record))
        put = put_value(g, it, site);
    else if (is_there(it.record))
        put = put_raw(g, g->record, it.record);
    if (put == PUT_NOTHING) {
        take_back(g, begin);
        sl_buffer_add(g->out, SL_LIT("null"));
    }
    return put;
}

static struct sl_entry_at entry_at(const struct sl_entries *entries, uint32_t i)
{
    return i == SL_NOWHERE ? (struct sl_entry_at){SL_NOWHERE, SL_NOWHERE} : entries->at[i];
}

/* An entry of the record, of the view and of what is sent: each half in its array. */
static enum put put_entry(struct merging *g, struct row *row, struct three at, bool whole)
{
    struct sl_entry_at r = entry_at(&row->record, at.record), v = entry_at(&row->view, at.view),
                       s = entry_at(&row->sent, at.sent);
    struct child child = begin_child(g, row->begin);
    size_t half_begin = row->pairs ? row->halves->len : 0;
    enum put put = put_half(g, (struct three){r.value, v.value, s.value}, row->site, whole), half = PUT_NOTHING;
    if (row->pairs) {
        const struct site site = {.node = SL_R4_Element, .element = row->site->element, .half = true};
        struct sl_buffer *out = g->out;
        g->out = row->halves;
        (void)begin_child(g, 0);
        half = put_half(g, (struct three){r.half, v.half, s.half}, &site, whole);
        g->out = out;
    }
    end_entry(g, row, child, half_begin, put, half);
    return stronger(put, half);
}

/* An entry of the record that is hidden, or that was taken away. A label stays, unless it is the writer's to take away;
 * but nothing stays for its sake. */
static void put_left(struct merging *g, struct row *row, uint32_t i)
{
    uint32_t v = row->shown[i];
    const struct three at = {i, v, SL_NOWHERE};
    bool label = row->labels && v != SL_NOWHERE && sl_merge_is_label(g->record, row->record.at[i].value) &&
                 !may_set_label(g, g->record, row->record.at[i].value);
    bool constant = g->taken && v == SL_NOWHERE && is_constant(g, row->record.at[i].value);
    if (row->gone[i] || constant)
        return;
    if (v != SL_NOWHERE && !g->taken && is_modifier(row->site->element)) {
        displace_all(g, row->record.at[i].value);
        return;
    }
    enum put put = put_entry(g, row, at, v == SL_NOWHERE || label);
    row->put = stronger(row->put, label ? PUT_WEAK : put);
}

static bool survives(const struct row *row, uint32_t i)
{
    return row->shown[i] != SL_NOWHERE && row->matching.of_view[row->shown[i]] != SL_NOWHERE;
}

/* From entry i of the record on, what is hidden or gone, up to the next one that is still there. */
static void put_followers(struct merging *g, struct row *row, uint32_t i)
{
    for (; i < row->record.count && !survives(row, i); i++)
        put_left(g, row, i);
}

static void put_sent(struct merging *g, struct row *row, uint32_t s)
{
    uint32_t v = row->matching.of_sent[s], i = v == SL_NOWHERE ? SL_NOWHERE : row->origin[v];
    bool put_in = v != SL_NOWHERE && i == SL_NOWHERE;
    bool label = v == SL_NOWHERE && row->labels && sl_merge_is_label(g->sent, row->sent.at[s].value);
    if (put_in || (label && !may_set_label(g, g->sent, row->sent.at[s].value)))
        return;
    bool equal = v != SL_NOWHERE && sl_merge_same_entry(&row->view, v, &row->sent, s, g->arena);
    row->put = stronger(row->put, put_entry(g, row, (struct three){i, v, s}, equal));
    if (i != SL_NOWHERE)
        put_followers(g, row, i + 1);
}

static void put_entries(struct merging *g, struct row *row)
{
    put_followers(g, row, 0);
    for (uint32_t s = 0; s < row->sent.count; s++)
        put_sent(g, row, s);
}

static enum sl_status find_entries(struct merging *g, struct row *row, struct three values, struct three halves)
{
    row->record = (struct sl_entries){.doc = g->record, .value = values.record, .half = halves.record};
    row->view = (struct sl_entries){.digests = &g->of_view, .doc = g->view, .value = values.view, .half = halves.view};
    row->sent = (struct sl_entries){.digests = &g->of_sent, .doc = g->sent, .value = values.sent, .half = halves.sent};
    SL_TRY(sl_entries_find(&row->record, g->arena));
    SL_TRY(sl_entries_find(&row->view, g->arena));
    SL_TRY(sl_entries_find(&row->sent, g->arena));
    SL_TRY(pair_up(g, row));
    if (row->site->element && row->site->element->flags & SL_R4_RESOURCE)
        find_gone(g, row);
    return SL_OK;
}

static enum put put_array(struct merging *g, struct three t, const struct site *site)
{
    const struct three none = {SL_NOWHERE, SL_NOWHERE, SL_NOWHERE};
    struct row row = {.site = site, .begin = g->out->len};
    row.labels = site->element && site->element->name == SL_NAME_extension;
    if (find_entries(g, &row, t, none) != SL_OK)
        return PUT_NOTHING; /* the arena has failed, and with it the whole */
    sl_buffer_add(g->out, SL_LIT("["));
    put_entries(g, &row);
    sl_buffer_add(g->out, SL_LIT("]"));
    return row.put;
}

/* An array of primitives with its '_' sibling, as the members `key` and `_key` of the object. */
static enum put put_pairs(struct merging *g, size_t object, struct sl_slice key, struct three values,
    struct three halves, const struct site *site)
{
    struct sl_buffer text;
    struct row row = {.site = site, .pairs = true, .halves = &text};
    sl_buffer_init(&text, g->out->limit);
    struct child child = begin_member(g, object, key);
    row.begin = g->out->len;
    if (find_entries(g, &row, values, halves) == SL_OK) {
        sl_buffer_add(g->out, SL_LIT("["));
        sl_buffer_add(&text, SL_LIT("["));
        put_entries(g, &row);
        sl_buffer_add(g->out, SL_LIT("]"));
        sl_buffer_add(&text, SL_LIT("]"));
    }
    (void)end_child(g, child, row.put);
    if (row.put_half != PUT_NOTHING) {
        sl_buffer_add(g->out, SL_LIT(",\"_"));
        sl_buffer_add(g->out, key);
        sl_buffer_add(g->out, SL_LIT("\":"));
        sl_buffer_add(g->out, sl_buffer_slice(&text));
    }
    g->out->failed |= text.failed;
    sl_buffer_fini(&text);
    return row.put;
}

/* ---- Meta ---- */

static bool has_coding(
    const struct merging *g, const struct sl_doc *doc, uint32_t array, const struct sl_coding *coding)
{
    for (uint32_t c = array + 1; is_type(doc, array, SL_SPAN_ARRAY) && c < doc->spans[array].next;
         c = doc->spans[c].next) {
        struct sl_coding its = coding_of(doc, c, g->arena);
        if (same_coding(&its, coding))
            return true;
    }
    return false;
}

/* meta.security is a set: what the view shows there is Sluice's (consent/segment_label.c). Of the record's own, those
 * go that were shown, are not sent back, and are the writer's to take away; those come that were not shown. */
static enum put put_security(struct merging *g, struct three t)
{
    size_t begin = g->out->len;
    enum put put = PUT_NOTHING;
    sl_buffer_add(g->out, SL_LIT("["));
    for (uint32_t c = t.record + 1; is_type(g->record, t.record, SL_SPAN_ARRAY) && c < g->record->spans[t.record].next;
         c = g->record->spans[c].next) {
        struct sl_coding its = coding_of(g->record, c, g->arena);
        if (has_coding(g, g->view, t.view, &its) && !has_coding(g, g->sent, t.sent, &its) && may_set(g, g->record, c))
            continue;
        (void)begin_child(g, begin);
        put = put_raw(g, g->record, c);
    }
    for (uint32_t c = t.sent + 1; is_type(g->sent, t.sent, SL_SPAN_ARRAY) && c < g->sent->spans[t.sent].next;
         c = g->sent->spans[c].next) {
        struct sl_coding its = coding_of(g->sent, c, g->arena);
        if (has_coding(g, g->view, t.view, &its) || has_coding(g, g->record, t.record, &its) || !may_set(g, g->sent, c))
            continue;
        (void)begin_child(g, begin);
        put = put_raw(g, g->sent, c);
    }
    sl_buffer_add(g->out, SL_LIT("]"));
    return put;
}

/* Of meta, what is not the writer's alone. *handled: false if it is. */
static enum put put_of_meta(struct merging *g, sl_name name, struct three t, bool *handled)
{
    bool kept = name == SL_NAME_versionId || name == SL_NAME_lastUpdated ||
                (name == SL_NAME_tag && !g->m->labels.tags && !sl_fault(SL_FAULT_LABELS_TAKEN));
    *handled = kept || name == SL_NAME_security;
    if (kept)
        return is_there(t.record) ? put_raw(g, g->record, t.record) : PUT_NOTHING;
    return *handled ? put_security(g, t) : PUT_NOTHING;
}

/* ---- Objects ---- */

struct object {
    struct three t;
    sl_r4_node node;
    size_t begin;
    enum put put;
    uint64_t chosen[4]; /* choices of which something is sent */
    sl_name names[NAMES_LIMIT];
    unsigned count; /* of those written */
    bool left;      /* it was taken away: what is written is what is left of it */
};

static bool was_written(const struct object *o, sl_name name)
{
    for (unsigned i = 0; i < o->count; i++)
        if (o->names[i] == name)
            return true;
    return false;
}

static void note_written(struct object *o, sl_name name, enum put put)
{
    o->put = stronger(o->put, put);
    if (put != PUT_NOTHING && name && o->count < NAMES_LIMIT && !was_written(o, name))
        o->names[o->count++] = name;
}

static void find_chosen(const struct merging *g, struct object *o)
{
    for (uint32_t c = o->t.sent + 1; is_there(o->t.sent) && c < g->sent->spans[o->t.sent].next;
         c = g->sent->spans[c].next) {
        const struct sl_r4_element *element = sl_r4_element(o->node, g->sent->spans[c].name);
        if (element && element->choice)
            o->chosen[element->choice / 64] |= (uint64_t)1 << (element->choice % 64);
    }
}

/* Is another value of the same choice sent in its place? */
static bool is_displaced(const struct merging *g, const struct object *o, const struct sl_r4_element *element)
{
    return element && element->choice && o->chosen[element->choice / 64] >> (element->choice % 64) & 1 &&
           !is_there(member_like(g->sent, o->t.sent, element->name, false)) &&
           !is_there(member_like(g->sent, o->t.sent, element->name, true));
}

static struct three members(const struct merging *g, const struct object *o, sl_name name, bool half)
{
    return (struct three){member_like(g->record, o->t.record, name, half), member_like(g->view, o->t.view, name, half),
        member_like(g->sent, o->t.sent, name, half)};
}

static bool any_array(const struct merging *g, struct three t)
{
    return is_type(g->record, t.record, SL_SPAN_ARRAY) || is_type(g->sent, t.sent, SL_SPAN_ARRAY);
}

/* The id of a record that is yet to be is given to it. */
static enum put put_id(struct merging *g)
{
    if (g->id.len)
        sl_buffer_json_string(g->out, g->id);
    return g->id.len ? PUT_STRONG : PUT_NOTHING;
}

/* The member of this name, of whichever of the three has it. */
static void put_member(struct merging *g, struct object *o, sl_name name, bool half)
{
    const struct sl_r4_element *element = sl_r4_element(o->node, name);
    struct three t = members(g, o, name, half);
    struct site site = {.node = half ? SL_R4_Element : element ? element->node : 0, .element = element, .half = half};
    struct sl_slice text = sl_name_text(name);
    bool handled = false;
    if (is_displaced(g, o, element)) {
        if (is_there(t.record) && (is_hidden(g, t.record) || has_hidden(g, t.record)))
            displace(g, t.record);
        return;
    }
    struct child child = begin_member(g, o->begin, text);
    if (half) { /* the key with its underscore */
        take_back(g, child.begin);
        child = begin_child(g, o->begin);
        sl_buffer_add(g->out, SL_LIT("\"_"));
        sl_buffer_add(g->out, text);
        sl_buffer_add(g->out, SL_LIT("\":"));
    }
    enum put put = o->node == SL_R4_Meta && !half ? put_of_meta(g, name, t, &handled) : PUT_NOTHING;
    if (g->fresh && !o->begin && name == SL_NAME_id && !half)
        put = put_id(g);
    else if (!handled)
        put = put_value(g, t, &site);
    note_written(o, name, end_child(g, child, put));
}

/* Arrays of primitives go together with their '_' sibling, once: with whichever of the two comes first in `among`. */
static bool is_second(const struct merging *g, const struct object *o, sl_name name, bool half, bool sent)
{
    struct three values = members(g, o, name, false), halves = members(g, o, name, true);
    bool recorded = is_there(values.record) || is_there(halves.record);
    return sent ? recorded || (half && is_there(values.sent)) : half && is_there(values.record);
}

/* Was it seen, and is neither half of it sent, nor another value of the same choice? */
static bool is_taken(
    const struct object *o, const struct sl_r4_element *element, struct three values, struct three halves)
{
    bool chosen = element->choice && o->chosen[element->choice / 64] >> (element->choice % 64) & 1;
    return !o->left && !chosen && is_there(values.view) && !is_there(values.sent) && !is_there(halves.sent);
}

static void put_named(struct merging *g, struct object *o, sl_name name, bool half, bool sent)
{
    const struct sl_r4_element *element = sl_r4_element(o->node, name);
    struct three values = members(g, o, name, false), halves = members(g, o, name, true);
    g->lacking |= element && element->flags & SL_R4_REQUIRED && is_taken(o, element, values, halves);
    if (is_modifier(element) && is_taken(o, element, values, halves)) {
        displace_all(g, values.record);
        displace_all(g, halves.record);
        return;
    }
    bool pairs = element && element->flags & SL_R4_PRIMITIVE && (any_array(g, values) || any_array(g, halves));
    if (!pairs) {
        put_member(g, o, name, half);
        return;
    }
    const struct site site = {.node = element->node, .element = element};
    if (!is_second(g, o, name, half, sent))
        note_written(o, name, put_pairs(g, o->begin, sl_name_text(name), values, halves, &site));
}

/* A property that R4 does not have: no view shows it, and nobody sends it. */
static void put_unknown(struct merging *g, struct object *o, uint32_t member)
{
    struct child child = begin_member(g, o->begin, sl_span_key(g->record, member));
    note_written(o, 0, end_child(g, child, put_raw(g, g->record, member)));
}

static void put_members(struct merging *g, struct object *o)
{
    const struct sl_doc *doc = g->record, *sent = g->sent;
    uint32_t r = o->t.record, s = o->t.sent;
    for (uint32_t c = r + 1; is_there(r) && c < doc->spans[r].next; c = doc->spans[c].next) {
        if (doc->spans[c].name)
            put_named(g, o, doc->spans[c].name, doc->spans[c].flags & SL_SPAN_SIBLING, false);
        else
            put_unknown(g, o, c);
    }
    for (uint32_t c = s + 1; is_there(s) && c < sent->spans[s].next; c = sent->spans[c].next) {
        bool half = sent->spans[c].flags & SL_SPAN_SIBLING;
        if (!is_there(member_like(doc, r, sent->spans[c].name, half)))
            put_named(g, o, sent->spans[c].name, half, true);
    }
}

/* Of what was taken away, what R4 wants with the rest: an Extension is nothing without its name. */
static void put_identity(struct merging *g, struct object *o)
{
    uint32_t url =
        o->left && o->node == SL_R4_Extension ? member_like(g->record, o->t.record, SL_NAME_url, false) : SL_NOWHERE;
    if (!is_there(url) || was_written(o, SL_NAME_url))
        return;
    struct child child = begin_member(g, o->begin, SL_LIT("url"));
    (void)put_raw(g, g->record, url);
    note_written(o, SL_NAME_url, end_child(g, child, PUT_WEAK));
}

/* Does R4 let what is left stand without what was taken away? */
static bool may_stand(const struct object *o)
{
    size_t count;
    const struct sl_r4_element *elements = sl_r4_elements(o->node, &count);
    uint64_t wanted[4] = {0}, given[4] = {0};
    for (size_t i = 0; i < count; i++) {
        bool written = was_written(o, elements[i].name);
        uint64_t bit = (uint64_t)1 << (elements[i].choice % 64);
        if (!(elements[i].flags & SL_R4_REQUIRED) || (!elements[i].choice && written))
            continue;
        if (!elements[i].choice)
            return false;
        wanted[elements[i].choice / 64] |= bit;
        given[elements[i].choice / 64] |= written ? bit : 0;
    }
    return !memcmp(wanted, given, sizeof wanted);
}

static enum put put_object(struct merging *g, struct three t, sl_r4_node node)
{
    struct object o = {.t = t, .node = node, .begin = g->out->len, .left = !is_there(t.sent)};
    find_chosen(g, &o);
    sl_buffer_add(g->out, SL_LIT("{"));
    g->taken += o.left;
    if (g->fresh && !o.begin && g->id.len && !is_there(member_like(g->sent, t.sent, SL_NAME_id, false)))
        put_member(g, &o, SL_NAME_id, false);
    put_members(g, &o);
    put_identity(g, &o);
    g->taken -= o.left;
    sl_buffer_add(g->out, SL_LIT("}"));
    if (o.left && o.put == PUT_STRONG && !may_stand(&o)) {
        displace_all(g, t.record);
        return PUT_NOTHING;
    }
    return o.left && o.put == PUT_WEAK ? PUT_NOTHING : o.put;
}

/* ---- Values ---- */

/* What is sent, where there is nothing of the record: without what is Sluice's, and what the writer may not set. */
static enum put put_new(struct merging *g, struct three t, const struct site *site, sl_r4_node node)
{
    const struct three new = {SL_NOWHERE, t.view, t.sent};
    bool plain = !is_there(t.view) && !g->labels[t.sent - g->m->sent.root];
    if (plain)
        return put_raw(g, g->sent, t.sent);
    if (is_type(g->sent, t.sent, SL_SPAN_OBJECT))
        return put_object(g, new, node);
    return is_type(g->sent, t.sent, SL_SPAN_ARRAY) ? put_array(g, new, site) : put_raw(g, g->sent, t.sent);
}

/* A narrative that says more than the elements do is a part like others; one that was generated from them is not. */
static bool keeps_narrative(const struct merging *g, uint32_t record, const struct site *site)
{
    uint32_t status =
        site->node == SL_R4_Narrative ? member_like(g->record, record, SL_NAME_status, false) : SL_NOWHERE;
    return is_there(status) && sl_span_is(g->record, status, SL_LIT("additional"));
}

/* Something is sent where something hidden stands: both, if there can be several. */
static enum put put_beside(struct merging *g, struct three t, const struct site *site, sl_r4_node node)
{
    bool arrays = is_type(g->record, t.record, SL_SPAN_ARRAY) && is_type(g->sent, t.sent, SL_SPAN_ARRAY);
    bool objects = is_type(g->record, t.record, SL_SPAN_OBJECT) && is_type(g->sent, t.sent, SL_SPAN_OBJECT);
    if (arrays)
        return put_array(g, t, site);
    if (objects && (site->half || node == SL_R4_Meta))
        return put_object(g, t, node);
    if (keeps_narrative(g, t.record, site) && !goes(g, t.record))
        return put_raw(g, g->record, t.record);
    if (site->node != SL_R4_Narrative)
        displace(g, t.record);
    return put_new(g, t, site, node);
}

static enum put put_value(struct merging *g, struct three t, const struct site *site)
{
    bool recorded = is_there(t.record), hidden = recorded && is_hidden(g, t.record);
    sl_r4_node node = node_at(g, site, t);
    if (same(g, t.view, t.sent) && !is_shed(g, t.record))
        return recorded ? put_raw(g, g->record, t.record) : PUT_NOTHING;
    if (!is_there(t.sent)) {
        if (goes(g, t.record)) {
            displace(g, t.record);
            return PUT_NOTHING;
        }
        if (hidden)
            return g->taken && is_constant(g, t.record) ? PUT_NOTHING : put_raw(g, g->record, t.record);
        if (!recorded || (!has_hidden(g, t.record) && node != SL_R4_Meta))
            return PUT_NOTHING;
        if (is_type(g->record, t.record, SL_SPAN_OBJECT) && !is_changed(g, t.record))
            return put_object(g, t, node);
        if (is_type(g->record, t.record, SL_SPAN_ARRAY) && !is_changed(g, t.record))
            return put_array(g, t, site);
        displace(g, t.record);
        return PUT_NOTHING;
    }
    if (!recorded)
        return put_new(g, t, site, node);
    if (hidden)
        return put_beside(g, t, site, node);
    bool whole = is_changed(g, t.record) || g->record->spans[t.record].type != g->sent->spans[t.sent].type;
    if (!whole && is_type(g->sent, t.sent, SL_SPAN_OBJECT))
        return put_object(g, t, node);
    if (!whole && is_type(g->sent, t.sent, SL_SPAN_ARRAY))
        return put_array(g, t, site);
    if (has_hidden(g, t.record) || is_changed(g, t.record))
        displace(g, t.record);
    return put_new(g, (struct three){SL_NOWHERE, SL_NOWHERE, t.sent}, site, node);
}

/* ---- The doors ---- */

enum sl_status sl_merge_view(struct sl_edits *edits, uint32_t root, struct sl_arena *arena, struct sl_place *out)
{
    struct sl_blocks blocks = {.arena = arena};
    struct sl_doc *doc = sl_arena_alloc(arena, sizeof *doc);
    *out = (struct sl_place){.doc = doc};
    if (!doc)
        return SL_NO_MEMORY;
    SL_TRY(sl_edit_gather(edits, root, &blocks));
    if (!blocks.total)
        return SL_MISSING;
    char *text = sl_arena_raw(arena, blocks.total, 1);
    if (!text)
        return SL_NO_MEMORY;
    size_t at = 0;
    for (const struct sl_block *block = blocks.first; block; at += block->len, block = block->next)
        memcpy(text + at, block->ptr, block->len);
    return sl_doc_parse(arena, (struct sl_slice){text, at}, NULL, doc, NULL);
}

static enum sl_status prepare(struct merging *g)
{
    uint64_t seed;
    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        return SL_UNAVAILABLE;
    SL_TRY(sl_digests_make(&g->of_sent, g->m->sent, seed, g->arena));
    SL_TRY(find_labels(g));
    if (g->fresh)
        return SL_OK;
    SL_TRY(sl_digests_make(&g->of_view, g->m->view, seed, g->arena));
    return find_parts(g);
}

static enum sl_status finish(struct merging *g, struct sl_slice old)
{
    g->merged->text = sl_arena_copy(g->arena, sl_buffer_slice(g->out));
    g->merged->changed = !sl_slice_eq(g->merged->text, old);
    if (sl_arena_failed(g->arena))
        return SL_NO_MEMORY;
    if (sl_buffer_failed(g->out))
        return SL_LIMIT;
    return g->lacking ? SL_UNPROCESSABLE : SL_OK;
}

static enum sl_status run(struct merging *g, struct three roots, struct sl_slice old)
{
    struct sl_buffer text;
    const struct site root = {.node = type_within(g->sent, roots.sent)};
    *g->merged = (struct sl_merged){.changed = false};
    SL_TRY(prepare(g));
    sl_buffer_init(&text, 2 * (old.len + sl_span_text(g->sent, roots.sent).len) + SLACK);
    g->out = &text;
    (void)(g->fresh ? put_object(g, roots, root.node) : put_value(g, roots, &root));
    enum sl_status status = finish(g, old);
    sl_buffer_fini(&text);
    return status;
}

enum sl_status sl_merge(const struct sl_merge *m, struct sl_arena *arena, struct sl_merged *out)
{
    struct merging g = {
        .m = m, .record = m->record.doc, .view = m->view.doc, .sent = m->sent.doc, .arena = arena, .merged = out};
    const struct three roots = {m->record.root, m->view.root, m->sent.root};
    if (sl_fault(SL_FAULT_HIDDEN_OVERWRITTEN)) {
        *out = (struct sl_merged){.changed = true, .text = sl_span_text(m->sent.doc, m->sent.root)};
        return SL_OK;
    }
    return run(&g, roots, sl_span_text(m->record.doc, m->record.root));
}

enum sl_status sl_merge_new(struct sl_place sent, const struct sl_write_labels *labels, struct sl_slice id,
    struct sl_arena *arena, struct sl_slice *out)
{
    const struct sl_merge m = {.sent = sent, .labels = *labels};
    struct sl_merged merged;
    /* There is nothing in the other two documents; they are not looked at. */
    struct merging g = {.m = &m,
        .record = sent.doc,
        .view = sent.doc,
        .sent = sent.doc,
        .arena = arena,
        .merged = &merged,
        .fresh = true,
        .id = id};
    enum sl_status status = run(&g, (struct three){SL_NOWHERE, SL_NOWHERE, sent.root}, (struct sl_slice){NULL, 0});
    *out = status == SL_OK ? merged.text : (struct sl_slice){NULL, 0};
    return status;
}
