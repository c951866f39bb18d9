/* SPDX-License-Identifier: Apache-2.0 */
/* What in two texts is the same: see merging.h. */
#include "hash.h"
#include "merging.h"

#define PAIRS_LIMIT 1024u /* of one run of changed entries, compared with one another */
#define DEPTH_LIMIT 2u    /* into what is compared */
#define ENTRIES_LIMIT 8u  /* of an array in it */
#define MEMBERS_LIMIT 64u /* of an object, counted when two are compared */

/* ---- Digests ---- */

static uint64_t digest_key(const struct sl_digests *d, uint32_t span)
{
    const struct sl_span *s = &d->doc->spans[span];
    if (s->name)
        return sl_hash_fold(d->seed ^ (s->name * 2u + ((s->flags & SL_SPAN_SIBLING) != 0)), 0x9e3779b97f4a7c15u);
    return sl_hash(sl_span_key(d->doc, span), d->seed);
}

/* Of a container, from its children's, which stand behind it. */
static uint64_t digest_container(const struct sl_digests *d, uint32_t span)
{
    const struct sl_doc *doc = d->doc;
    uint64_t sum = d->seed ^ doc->spans[span].type;
    for (uint32_t c = span + 1; c < doc->spans[span].next; c = doc->spans[c].next) {
        if (doc->spans[span].type == SL_SPAN_OBJECT)
            sum += sl_hash_fold(sl_digest(d, c) ^ digest_key(d, c), 0xd6e8feb86659fd93u);
        else
            sum = sl_hash_fold(sum ^ sl_digest(d, c), 0xd6e8feb86659fd93u) + 1;
    }
    return sum;
}

enum sl_status sl_digests_make(struct sl_digests *d, struct sl_place place, uint64_t seed, struct sl_arena *arena)
{
    const struct sl_doc *doc = place.doc;
    *d = (struct sl_digests){.doc = doc, .root = place.root, .seed = seed};
    uint32_t end = doc->spans[place.root].next;
    d->of = sl_arena_raw(arena, end - place.root, sizeof *d->of);
    if (!d->of)
        return SL_NO_MEMORY;
    for (uint32_t i = end; i-- > place.root;) {
        enum sl_span_type type = doc->spans[i].type;
        uint64_t *of = &d->of[i - place.root];
        if (type == SL_SPAN_OBJECT || type == SL_SPAN_ARRAY)
            *of = digest_container(d, i);
        else if (type == SL_SPAN_STRING)
            *of = sl_hash(sl_span_string(doc, i, arena), seed + SL_SPAN_STRING);
        else
            *of = sl_hash(sl_span_text(doc, i), seed);
    }
    return sl_arena_failed(arena) ? SL_NO_MEMORY : SL_OK;
}

/* ---- Equality ---- */

static bool same_key(const struct sl_doc *a, uint32_t x, const struct sl_doc *b, uint32_t y)
{
    return a->spans[x].name == b->spans[y].name && sl_slice_eq(sl_span_key(a, x), sl_span_key(b, y));
}

static uint32_t find_member(const struct sl_doc *doc, uint32_t object, const struct sl_doc *of, uint32_t like)
{
    const struct sl_span *s = &of->spans[like];
    uint32_t found = !s->name                     ? sl_span_member_key(doc, object, sl_span_key(of, like))
                     : s->flags & SL_SPAN_SIBLING ? sl_span_sibling(doc, object, s->name)
                                                  : sl_span_member(doc, object, s->name);
    return found ? found : SL_NOWHERE;
}

static uint32_t count_children(const struct sl_doc *doc, uint32_t span)
{
    uint32_t count = 0;
    for (uint32_t c = span + 1; c < doc->spans[span].next; c = doc->spans[c].next)
        count++;
    return count;
}

static bool same_object(
    const struct sl_digests *a, uint32_t x, const struct sl_digests *b, uint32_t y, struct sl_arena *arena)
{
    uint32_t beside = y + 1, end = b->doc->spans[y].next;
    if (count_children(a->doc, x) != count_children(b->doc, y))
        return false;
    for (uint32_t c = x + 1; c < a->doc->spans[x].next; c = a->doc->spans[c].next) {
        bool aligned = beside < end && same_key(a->doc, c, b->doc, beside);
        uint32_t other = aligned ? beside : find_member(b->doc, y, a->doc, c);
        if (!sl_same_value(a, c, b, other, arena))
            return false;
        beside = beside < end ? b->doc->spans[beside].next : end;
    }
    return true;
}

static bool same_array(
    const struct sl_digests *a, uint32_t x, const struct sl_digests *b, uint32_t y, struct sl_arena *arena)
{
    uint32_t c = x + 1, k = y + 1;
    for (; c < a->doc->spans[x].next && k < b->doc->spans[y].next; c = a->doc->spans[c].next, k = b->doc->spans[k].next)
        if (!sl_same_value(a, c, b, k, arena))
            return false;
    return c == a->doc->spans[x].next && k == b->doc->spans[y].next;
}

bool sl_same_value(
    const struct sl_digests *a, uint32_t x, const struct sl_digests *b, uint32_t y, struct sl_arena *arena)
{
    if (x == SL_NOWHERE || y == SL_NOWHERE)
        return x == y;
    const struct sl_span *p = &a->doc->spans[x], *q = &b->doc->spans[y];
    if (p->type != q->type || sl_digest(a, x) != sl_digest(b, y))
        return false;
    switch ((enum sl_span_type)p->type) {
    case SL_SPAN_OBJECT:
        return same_object(a, x, b, y, arena);
    case SL_SPAN_ARRAY:
        return same_array(a, x, b, y, arena);
    case SL_SPAN_STRING:
        if (!((p->flags | q->flags) & SL_SPAN_ESCAPED))
            return sl_slice_eq(sl_span_raw(a->doc, x), sl_span_raw(b->doc, y));
        return sl_slice_eq(sl_span_string(a->doc, x, arena), sl_span_string(b->doc, y, arena));
    case SL_SPAN_NONE:
    case SL_SPAN_NUMBER:
    case SL_SPAN_TRUE:
    case SL_SPAN_FALSE:
    case SL_SPAN_NULL:
        break;
    }
    return sl_slice_eq(sl_span_text(a->doc, x), sl_span_text(b->doc, y));
}

/* ---- Entries ---- */

static bool is_array(const struct sl_doc *doc, uint32_t span)
{
    return span != SL_NOWHERE && doc->spans[span].type == SL_SPAN_ARRAY;
}

enum sl_status sl_entries_find(struct sl_entries *e, struct sl_arena *arena)
{
    const struct sl_doc *doc = e->doc;
    uint32_t values = is_array(doc, e->value) ? count_children(doc, e->value) : 0;
    uint32_t halves = is_array(doc, e->half) ? count_children(doc, e->half) : 0;
    uint32_t v = values ? e->value + 1 : SL_NOWHERE, h = halves ? e->half + 1 : SL_NOWHERE;
    e->count = values > halves ? values : halves;
    e->at = sl_arena_raw(arena, e->count + 1, sizeof *e->at);
    if (!e->at)
        return SL_NO_MEMORY;
    for (uint32_t i = 0; i < e->count; i++) {
        e->at[i] = (struct sl_entry_at){i < values ? v : SL_NOWHERE, i < halves ? h : SL_NOWHERE};
        v = i < values ? doc->spans[v].next : v;
        h = i < halves ? doc->spans[h].next : h;
    }
    return SL_OK;
}

/* A null that only holds a place is nothing. */
static uint32_t something(const struct sl_entries *e, uint32_t span)
{
    return span != SL_NOWHERE && e->doc->spans[span].type == SL_SPAN_NULL ? SL_NOWHERE : span;
}

bool sl_merge_same_entry(
    const struct sl_entries *a, uint32_t i, const struct sl_entries *b, uint32_t k, struct sl_arena *arena)
{
    return sl_same_value(a->digests, something(a, a->at[i].value), b->digests, something(b, b->at[k].value), arena) &&
           sl_same_value(a->digests, something(a, a->at[i].half), b->digests, something(b, b->at[k].half), arena);
}

static uint64_t digest_entry(const struct sl_entries *e, uint32_t i)
{
    uint32_t value = something(e, e->at[i].value), half = something(e, e->at[i].half);
    uint64_t one = value == SL_NOWHERE ? 1 : sl_digest(e->digests, value);
    return half == SL_NOWHERE ? one : sl_hash_fold(one ^ 0x9e3779b97f4a7c15u, sl_digest(e->digests, half));
}

/* ---- Matching ---- */

struct slot {
    uint64_t key;
    uint32_t entry, next; /* of the view; the next one of the same key */
    bool used;
};

struct matcher {
    struct sl_matching *m;
    struct sl_arena *arena;
    struct slot *slots; /* open addressing */
    uint32_t *next;     /* by entry of the view: the next one with the same key; SL_NOWHERE: none */
    uint32_t mask;
};

static void found(struct sl_matching *m, uint32_t view, uint32_t sent)
{
    m->of_sent[sent] = view;
    m->of_view[view] = sent;
}

static struct slot *slot_for(struct matcher *t, uint64_t key)
{
    uint32_t i = (uint32_t)sl_hash_fold(key, 0xd6e8feb86659fd93u) & t->mask;
    while (t->slots[i].used && t->slots[i].key != key)
        i = (i + 1) & t->mask;
    return &t->slots[i];
}

static enum sl_status make_slots(struct matcher *t)
{
    uint32_t room = 16, count = t->m->view->count;
    while (room < count * 2)
        room *= 2;
    t->mask = room - 1;
    t->slots = sl_arena_array(t->arena, room, sizeof *t->slots);
    t->next = sl_arena_raw(t->arena, count + 1, sizeof *t->next);
    return t->slots && t->next ? SL_OK : SL_NO_MEMORY;
}

/* Entries of the view by key, the first of a key first. */
static void fill_slots(struct matcher *t, uint64_t (*key)(const struct sl_entries *e, uint32_t i))
{
    const struct sl_entries *view = t->m->view;
    memset(t->slots, 0, (t->mask + 1) * sizeof *t->slots);
    for (uint32_t i = view->count; i-- > 0;) {
        uint64_t its = t->m->of_view[i] == SL_NOWHERE ? key(view, i) : 0;
        if (!its)
            continue;
        struct slot *slot = slot_for(t, its);
        t->next[i] = slot->used ? slot->entry : SL_NOWHERE;
        *slot = (struct slot){.key = its, .entry = i, .used = true};
    }
}

static uint32_t id_of(const struct sl_entries *e, uint32_t i)
{
    uint32_t value = e->at[i].value;
    bool object = value != SL_NOWHERE && e->doc->spans[value].type == SL_SPAN_OBJECT;
    uint32_t id = object ? sl_span_member(e->doc, value, SL_NAME_id) : 0;
    return id && e->doc->spans[id].type == SL_SPAN_STRING ? id : SL_NOWHERE;
}

static uint64_t key_by_id(const struct sl_entries *e, uint32_t i)
{
    uint32_t id = id_of(e, i);
    return id == SL_NOWHERE ? 0 : sl_digest(e->digests, id) | 1;
}

static uint64_t key_by_content(const struct sl_entries *e, uint32_t i)
{
    return digest_entry(e, i) | 1;
}

static bool same_id(
    const struct sl_entries *a, uint32_t i, const struct sl_entries *b, uint32_t k, struct sl_arena *arena)
{
    return sl_same_value(a->digests, id_of(a, i), b->digests, id_of(b, k), arena);
}

static bool is_apart(const struct sl_matching *m, uint32_t view)
{
    return view >= m->firm || (m->apart && m->apart[view]);
}

static void match_by(struct matcher *t, uint64_t (*key)(const struct sl_entries *e, uint32_t i),
    bool (*same)(
        const struct sl_entries *a, uint32_t i, const struct sl_entries *b, uint32_t k, struct sl_arena *arena),
    bool loosely)
{
    const struct sl_matching *m = t->m;
    fill_slots(t, key);
    for (uint32_t k = 0; k < m->sent->count; k++) {
        uint64_t its = m->of_sent[k] == SL_NOWHERE ? key(m->sent, k) : 0;
        struct slot *slot = its ? slot_for(t, its) : NULL;
        if (!slot || !slot->used || slot->entry == SL_NOWHERE)
            continue;
        uint32_t i = slot->entry;
        if ((loosely && is_apart(m, i)) || !same(m->view, i, m->sent, k, t->arena))
            continue;
        found(t->m, i, k);
        slot->entry = t->next[i];
    }
}

static bool alike(const struct sl_digests *a, uint32_t x, const struct sl_digests *b, uint32_t y, unsigned depth,
    uint32_t *equal, struct sl_arena *arena);

/* Is it the same, or is something in it? Of long arrays, the first entries are looked at. */
static bool is_akin(const struct sl_digests *a, uint32_t x, const struct sl_digests *b, uint32_t y, unsigned depth,
    struct sl_arena *arena)
{
    uint32_t equal, i = 0, k;
    if (sl_same_value(a, x, b, y, arena))
        return true;
    if (!depth || y == SL_NOWHERE || a->doc->spans[x].type != b->doc->spans[y].type)
        return false;
    if (a->doc->spans[x].type == SL_SPAN_OBJECT)
        return alike(a, x, b, y, depth - 1, &equal, arena);
    if (a->doc->spans[x].type != SL_SPAN_ARRAY)
        return false;
    for (uint32_t c = x + 1; c < a->doc->spans[x].next && i < ENTRIES_LIMIT; c = a->doc->spans[c].next, i++) {
        k = 0;
        for (uint32_t d = y + 1; d < b->doc->spans[y].next && k < ENTRIES_LIMIT; d = b->doc->spans[d].next, k++)
            if (is_akin(a, c, b, d, depth - 1, arena))
                return true;
    }
    return false;
}

/* Is it the same object, changed? Half of what the smaller one says must be akin. *equal: how much is. */
static bool alike(const struct sl_digests *a, uint32_t x, const struct sl_digests *b, uint32_t y, unsigned depth,
    uint32_t *equal, struct sl_arena *arena)
{
    uint32_t mine = 0, its;
    *equal = 0;
    if (x == SL_NOWHERE || y == SL_NOWHERE || a->doc->spans[x].type != SL_SPAN_OBJECT ||
        b->doc->spans[y].type != SL_SPAN_OBJECT)
        return false;
    for (uint32_t c = x + 1; c < a->doc->spans[x].next && mine < MEMBERS_LIMIT; c = a->doc->spans[c].next, mine++)
        *equal += is_akin(a, c, b, find_member(b->doc, y, a->doc, c), depth, arena);
    its = count_children(b->doc, y);
    return *equal && *equal * 2 >= (mine < its ? mine : its);
}

static bool alike_entries(const struct sl_entries *a, uint32_t i, const struct sl_entries *b, uint32_t k,
    uint32_t *equal, struct sl_arena *arena)
{
    return alike(a->digests, a->at[i].value, b->digests, b->at[k].value, DEPTH_LIMIT, equal, arena);
}

/* Runs of entries that are not found yet, between two that are: [i, i_end) of the view, [k, k_end) sent. */
struct run {
    uint32_t i, i_end, k, k_end;
};

/* Each takes of the run the one it is most like, in order. */
static void match_alike(struct matcher *t, const struct run *run)
{
    struct sl_matching *m = t->m;
    for (uint32_t k = run->k; k < run->k_end; k++) {
        uint32_t best = SL_NOWHERE, most = 0, equal;
        for (uint32_t i = run->i; i < run->i_end; i++)
            if (m->of_view[i] == SL_NOWHERE && !is_apart(m, i) &&
                alike_entries(m->view, i, m->sent, k, &equal, t->arena) && equal > most) {
                best = i;
                most = equal;
            }
        if (best != SL_NOWHERE)
            found(m, best, k);
    }
}

static bool is_primitive(const struct sl_entries *e, uint32_t i)
{
    uint32_t value = e->at[i].value;
    return value == SL_NOWHERE ||
           (e->doc->spans[value].type != SL_SPAN_OBJECT && e->doc->spans[value].type != SL_SPAN_ARRAY);
}

/* Place by place: primitives, of which nothing is equal, and runs too long to compare each with each. */
static void match_in_order(struct matcher *t, const struct run *run)
{
    struct sl_matching *m = t->m;
    uint32_t equal;
    for (uint32_t i = run->i, k = run->k; i < run->i_end && k < run->k_end; i++, k++)
        if (!is_apart(m, i) && ((is_primitive(m->view, i) && is_primitive(m->sent, k)) ||
                                   alike_entries(m->view, i, m->sent, k, &equal, t->arena)))
            found(m, i, k);
}

static void match_run(struct matcher *t, const struct run *run)
{
    uint64_t pairs = (uint64_t)(run->i_end - run->i) * (run->k_end - run->k);
    if (!pairs)
        return;
    bool even = run->i_end - run->i == run->k_end - run->k;
    if (pairs > PAIRS_LIMIT || (even && is_primitive(t->m->view, run->i)))
        match_in_order(t, run);
    else
        match_alike(t, run);
}

/* A run begins behind what is found, in both. */
static void match_runs(struct matcher *t)
{
    struct sl_matching *m = t->m;
    struct run run = {0};
    for (uint32_t k = 0; k < m->sent->count;) {
        if (m->of_sent[k] != SL_NOWHERE) {
            run.i = m->of_sent[k++] + 1;
            continue;
        }
        run.k = run.k_end = k;
        while (run.k_end < m->sent->count && m->of_sent[run.k_end] == SL_NOWHERE)
            run.k_end++;
        run.i_end = run.i;
        while (run.i_end < m->view->count && m->of_view[run.i_end] == SL_NOWHERE)
            run.i_end++;
        match_run(t, &run);
        k = run.k_end;
        run.i = run.i_end;
    }
}

enum sl_status sl_match(struct sl_matching *m, struct sl_arena *arena)
{
    struct matcher t = {.m = m, .arena = arena};
    m->of_sent = sl_arena_raw(arena, m->sent->count + 1, sizeof *m->of_sent);
    m->of_view = sl_arena_raw(arena, m->view->count + 1, sizeof *m->of_view);
    if (!m->of_sent || !m->of_view)
        return SL_NO_MEMORY;
    for (uint32_t k = 0; k < m->sent->count; k++)
        m->of_sent[k] = SL_NOWHERE;
    for (uint32_t i = 0; i < m->view->count; i++)
        m->of_view[i] = SL_NOWHERE;
    SL_TRY(make_slots(&t));
    match_by(&t, key_by_id, same_id, true);
    match_by(&t, key_by_content, sl_merge_same_entry, false);
    match_runs(&t);
    return sl_arena_failed(arena) ? SL_NO_MEMORY : SL_OK;
}
