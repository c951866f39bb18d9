/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys of persons and parts of organizations: see sluice/kin.h. A graph of names: Patients, the identifiers that they
 * carry, Organizations. It outlives the records that it was read from, so that it copies what it keeps.
 */
#include "sluice/kin.h"

#include "labelling.h"
#include "sluice/r4.h"

#define BUCKETS 32u      /* at first; a power of two */
#define LINKS_LIMIT 256u /* of one record that are looked at; with more the person cannot be told */
#define PARENTS 8u       /* of an organization */

enum kind { OF_PATIENT, OF_IDENTIFIER, OF_ORGANIZATION };

struct edge {
    struct node *to;
    bool confirms;
    struct edge *next;
};

struct node {
    enum kind kind;
    struct sl_slice name; /* "Patient/x"; of an identifier what a query says */
    struct edge *edges;   /* of an organization: what it is part of */
    bool read;            /* its record, or that there is none; of an identifier: who carries it */
    bool sought;          /* who links to it */
    bool too_many;        /* links, so that not all of them are here */
    bool known;           /* the label book says what is to be told of it */
    bool wanted, unasked, noted;
    bool put[SL_KIN_QUESTIONS];
    uint64_t walk; /* while a person is walked: the last that came by, */
    bool confirmed;
    struct node *bucket, *next;
};

struct sl_kin {
    struct sl_arena *arena;
    struct sl_slice trusted;
    bool asks, links;
    struct node **table, *first, *last; /* by hash; in the order in which they came */
    size_t buckets, count;
    struct node *unasked, *noting; /* where to look on; NULL: from the first */
    uint64_t walks;
};

struct sl_kin *sl_kin_new(struct sl_arena *arena, struct sl_slice trusted)
{
    struct sl_kin *kin = sl_arena_alloc(arena, sizeof *kin);
    if (!kin)
        return NULL;
    *kin = (struct sl_kin){.arena = arena, .trusted = trusted};
    kin->buckets = BUCKETS;
    kin->table = sl_arena_array(arena, BUCKETS, sizeof(struct node *));
    return kin->table ? kin : NULL;
}

void sl_kin_ask(struct sl_kin *kin, bool asks, bool links)
{
    kin->asks = asks;
    kin->links = links;
}

/* ---- The graph ---- */

static struct node **bucket_of(const struct sl_kin *kin, struct sl_slice name)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < name.len; i++)
        h = (h ^ (unsigned char)name.ptr[i]) * 0x100000001b3u;
    return &kin->table[(h ^ h >> 29) & (kin->buckets - 1)];
}

static struct node *find(const struct sl_kin *kin, struct sl_slice name)
{
    struct node *node = *bucket_of(kin, name);
    while (node && !sl_slice_eq(node->name, name))
        node = node->bucket;
    return node;
}

/* Two for each bucket at most. Where there is no memory for more buckets those at hand do. */
static void make_room(struct sl_kin *kin)
{
    if (kin->count < kin->buckets * 2)
        return;
    struct node **table = sl_arena_array(kin->arena, kin->buckets * 4, sizeof *table);
    if (!table)
        return;
    kin->table = table;
    kin->buckets *= 4;
    for (struct node *node = kin->first; node; node = node->next) {
        struct node **bucket = bucket_of(kin, node->name);
        node->bucket = *bucket;
        *bucket = node;
    }
}

static struct node *node_of(struct sl_kin *kin, enum kind kind, struct sl_slice name)
{
    struct node *node = find(kin, name);
    if (node)
        return node;
    make_room(kin);
    node = sl_arena_alloc(kin->arena, sizeof *node);
    struct sl_slice copy = sl_arena_copy(kin->arena, name);
    if (!node || !copy.ptr)
        return NULL;
    struct node **bucket = bucket_of(kin, name);
    *node = (struct node){.kind = kind, .name = copy, .bucket = *bucket};
    *bucket = node;
    if (kin->last)
        kin->last->next = node;
    else
        kin->first = node;
    kin->last = node;
    kin->count++;
    return node;
}

static enum sl_status add_edge(struct sl_kin *kin, struct node *from, struct node *to, bool confirms)
{
    for (struct edge *e = from->edges; e; e = e->next)
        if (e->to == to) {
            e->confirms |= confirms;
            return SL_OK;
        }
    struct edge *edge = sl_arena_alloc(kin->arena, sizeof *edge);
    if (!edge)
        return SL_NO_MEMORY;
    *edge = (struct edge){to, confirms, from->edges};
    from->edges = edge;
    return SL_OK;
}

static enum sl_status join(struct sl_kin *kin, struct node *a, struct node *b, bool confirms)
{
    if (a == b)
        return SL_OK;
    SL_TRY(add_edge(kin, a, b, confirms));
    return add_edge(kin, b, a, confirms);
}

/* ---- Records ---- */

struct record {
    struct sl_kin *kin;
    struct sl_labeller *labeller;
    const struct sl_doc *doc;
    struct node *node;
};

/* "Type/id" of what the reference names here, of that type; empty: nothing of it is stored under any such name. */
static struct sl_slice name_in(const struct record *r, uint32_t object, sl_name member, sl_r4_node type)
{
    const struct sl_slice none = {NULL, 0};
    uint32_t to = sl_span_member(r->doc, object, member);
    uint32_t text = to && r->doc->spans[to].type == SL_SPAN_OBJECT ? sl_span_member(r->doc, to, SL_NAME_reference) : 0;
    struct sl_slice reference = text ? sl_span_string(r->doc, text, r->kin->arena) : none;
    if (!reference.len)
        return none;
    struct target target = sl_target_read(r->labeller, reference, none);
    const struct sl_item *item = target.scoped ? NULL : sl_labeller_find(r->labeller, reference);
    if (item && item->type == type && item->id.len && !item->container)
        target = (struct target){.type = type, .name = item->id};
    if (target.type != type)
        return none;
    return sl_arena_join(r->kin->arena, (const struct sl_slice[]){sl_r4_node_name(type), SL_LIT("/"), target.name}, 3);
}

static enum sl_status read_link(struct record *r, uint32_t link)
{
    uint32_t type = sl_span_member(r->doc, link, SL_NAME_type);
    struct sl_slice name = name_in(r, link, SL_NAME_other, SL_R4_Patient);
    if (!name.len)
        return SL_OK;
    struct node *other = node_of(r->kin, OF_PATIENT, name);
    bool confirms =
        type && (sl_span_is(r->doc, type, SL_LIT("replaced-by")) || sl_span_is(r->doc, type, SL_LIT("replaces")));
    return other ? join(r->kin, r->node, other, confirms) : SL_NO_MEMORY;
}

static bool is_trusted(const struct sl_kin *kin, struct sl_slice system)
{
    struct sl_slice rest = kin->trusted;
    while (rest.len && system.len) {
        const char *space = memchr(rest.ptr, ' ', rest.len);
        size_t len = space ? (size_t)(space - rest.ptr) : rest.len;
        if (sl_slice_eq((struct sl_slice){rest.ptr, len}, system))
            return true;
        rest = sl_slice_from(rest, len + 1);
    }
    return false;
}

/* Escaped for a token of FHIR's search, and percent-encoded whatever it holds. */
static size_t put_encoded(char *to, struct sl_slice text)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t at = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c == '\\' || c == ',' || c == '|' || c == '$') {
            memcpy(to + at, "%5C", 3);
            at += 3;
        }
        to[at++] = '%';
        to[at++] = digits[c >> 4];
        to[at++] = digits[c & 15];
    }
    return at;
}

static enum sl_status read_identifier(struct record *r, uint32_t identifier)
{
    uint32_t system_at = sl_span_member(r->doc, identifier, SL_NAME_system);
    uint32_t value_at = sl_span_member(r->doc, identifier, SL_NAME_value);
    struct sl_arena *arena = r->kin->arena;
    struct sl_slice system = system_at ? sl_span_string(r->doc, system_at, arena) : (struct sl_slice){NULL, 0};
    struct sl_slice value = value_at ? sl_span_string(r->doc, value_at, arena) : (struct sl_slice){NULL, 0};
    if (!value.len || !is_trusted(r->kin, system))
        return SL_OK;
    char *text = sl_arena_raw(arena, 6 * (system.len + value.len) + 1, 1);
    if (!text)
        return SL_NO_MEMORY;
    size_t len = put_encoded(text, system);
    text[len++] = '|';
    len += put_encoded(text + len, value);
    struct node *number = node_of(r->kin, OF_IDENTIFIER, (struct sl_slice){text, len});
    return number ? join(r->kin, r->node, number, true) : SL_NO_MEMORY;
}

static enum sl_status each(struct record *r, uint32_t list, enum sl_status (*read)(struct record *r, uint32_t element))
{
    const struct sl_span *spans = r->doc->spans;
    unsigned count = 0;
    if (!list || spans[list].type != SL_SPAN_ARRAY)
        return SL_OK;
    for (uint32_t i = list + 1; i < spans[list].next; i = spans[i].next) {
        r->node->too_many |= ++count > LINKS_LIMIT;
        if (spans[i].type == SL_SPAN_OBJECT && count <= LINKS_LIMIT)
            SL_TRY(read(r, i));
    }
    return SL_OK;
}

static enum sl_status read_patient(struct record *r, uint32_t root)
{
    SL_TRY(each(r, sl_span_member(r->doc, root, SL_NAME_link), read_link));
    return r->kin->trusted.len ? each(r, sl_span_member(r->doc, root, SL_NAME_identifier), read_identifier) : SL_OK;
}

static enum sl_status read_organization(struct record *r, uint32_t root)
{
    struct sl_slice name = name_in(r, root, SL_NAME_partOf, SL_R4_Organization);
    if (!name.len)
        return SL_OK;
    struct node *whole = node_of(r->kin, OF_ORGANIZATION, name);
    return whole && whole != r->node ? add_edge(r->kin, r->node, whole, true) : whole ? SL_OK : SL_NO_MEMORY;
}

static enum sl_status read_record(struct record *r, sl_r4_node type, struct sl_slice id, uint32_t root)
{
    if ((type != SL_R4_Patient && type != SL_R4_Organization) || !id.len)
        return SL_OK;
    struct sl_slice parts[] = {sl_r4_node_name(type), SL_LIT("/"), id};
    struct sl_slice name = sl_arena_join(r->kin->arena, parts, 3);
    r->node = name.ptr ? node_of(r->kin, type == SL_R4_Patient ? OF_PATIENT : OF_ORGANIZATION, name) : NULL;
    if (!r->node)
        return SL_NO_MEMORY;
    r->node->read = true; /* of two versions of a record each says what binds */
    SL_TRY(type == SL_R4_Patient ? read_patient(r, root) : read_organization(r, root));
    return sl_arena_failed(r->kin->arena) ? SL_NO_MEMORY : SL_OK;
}

enum sl_status sl_kin_read(struct sl_kin *kin, struct sl_labeller *labeller, const struct sl_doc *doc, uint32_t root)
{
    struct record record = {kin, labeller, doc, NULL};
    uint32_t type = sl_span_member(doc, root, SL_NAME_resourceType), id = sl_span_member(doc, root, SL_NAME_id);
    if (!type || !id)
        return SL_OK;
    return read_record(&record, sl_r4_resource(sl_span_raw(doc, type)), sl_span_string(doc, id, kin->arena), root);
}

enum sl_status sl_kin_read_all(struct sl_kin *kin, struct sl_labeller *labeller)
{
    for (const struct sl_item *item = sl_labeller_items(labeller); item; item = item->next) {
        if (!item->doc || item->container || item->is_version ||
            (item->type != SL_R4_Patient && item->type != SL_R4_Organization))
            continue;
        struct record record = {kin, labeller, item->doc, NULL};
        SL_TRY(read_record(&record, item->type, item->id, item->span));
    }
    return SL_OK;
}

/* ---- Walking ---- */

/* The keys of a person, with the step at which each was come to. */
struct walk {
    struct node *key[SL_KIN_KEYS];
    unsigned step[SL_KIN_KEYS];
    size_t count;
    bool beyond; /* there are keys that are not among them */
};

static void come_to(struct walk *walk, struct node *node, unsigned step, uint64_t number)
{
    if (node->walk == number)
        return;
    if (step > SL_KIN_STEPS || walk->count == SL_KIN_KEYS) {
        walk->beyond = true;
        return;
    }
    node->walk = number;
    walk->key[walk->count] = node;
    walk->step[walk->count++] = step;
}

static void go_on(struct walk *walk, size_t from, bool confirming, uint64_t number)
{
    const struct node *node = walk->key[from];
    for (const struct edge *e = node->edges; e; e = e->next) {
        if (confirming && !e->confirms)
            continue;
        if (e->to->kind == OF_PATIENT)
            come_to(walk, e->to, walk->step[from] + 1, number);
        for (const struct edge *f = e->to->kind == OF_IDENTIFIER ? e->to->edges : NULL; f; f = f->next)
            come_to(walk, f->to, walk->step[from] + 1, number); /* who carries it, too */
    }
}

static void go(struct sl_kin *kin, struct node *root, bool confirming, struct walk *walk)
{
    walk->count = 0;
    walk->beyond = false;
    uint64_t number = ++kin->walks;
    come_to(walk, root, 0, number);
    for (size_t i = 0; i < walk->count; i++)
        go_on(walk, i, confirming, number);
}

/* All keys; of each, whether it is confirmed. */
static void walk_person(struct sl_kin *kin, struct node *root, struct walk *walk)
{
    struct walk sure;
    go(kin, root, true, &sure);
    go(kin, root, false, walk);
    for (size_t i = 0; i < walk->count; i++)
        walk->key[i]->confirmed = false;
    for (size_t i = 0; i < sure.count; i++)
        sure.key[i]->confirmed = true;
}

/* Has everything been said that there is of this one record and who points at it? */
static bool is_exhausted(const struct sl_kin *kin, const struct node *node)
{
    if (node->known || !kin->asks)
        return true;
    bool all = node->read && (node->sought || !kin->links);
    for (const struct edge *e = node->edges; e && all; e = e->next)
        all = e->to->kind != OF_IDENTIFIER || e->to->read;
    return all;
}

/* Of whom the label book knows, it has named all keys: the others need not be asked for, and are not (sl_kin_lacks). */
static bool is_told(const struct sl_kin *kin, const struct walk *walk)
{
    bool told = !walk->beyond, known = walk->count && walk->key[0]->known;
    for (size_t i = 0; i < walk->count && told; i++)
        told = !walk->key[i]->too_many && (known || is_exhausted(kin, walk->key[i]));
    return told;
}

/* What it is part of, nearest first; the last that is not read says that there may be more. */
static void walk_organization(struct sl_kin *kin, struct node *root, struct walk *walk)
{
    uint64_t number = ++kin->walks;
    walk->count = 0;
    walk->beyond = false;
    come_to(walk, root, 0, number);
    for (size_t i = 0; i < walk->count; i++)
        for (const struct edge *e = walk->key[i]->edges; e; e = e->next) {
            if (walk->count > PARENTS)
                walk->beyond = true;
            else
                come_to(walk, e->to, 0, number);
        }
}

enum sl_status sl_kin_keys(const struct sl_kin *kin, struct sl_slice patient, struct sl_arena *arena,
    const struct sl_key **keys, size_t *count, bool *told)
{
    struct node *root = find(kin, patient);
    struct walk walk = {.count = 0};
    if (root)
        walk_person((struct sl_kin *)(uintptr_t)kin, root, &walk); /* it marks whom it has come by, nothing else */
    struct sl_key *list = sl_arena_array(arena, walk.count + 1, sizeof *list);
    if (!list)
        return SL_NO_MEMORY;
    list[0] = (struct sl_key){patient, true};
    for (size_t i = 0; i < walk.count; i++)
        list[i] = (struct sl_key){walk.key[i]->name, walk.key[i]->confirmed};
    *keys = list;
    *count = root ? walk.count : 1;
    *told = root ? is_told(kin, &walk) : !kin->asks || !sl_slice_starts(patient, SL_LIT("Patient/"));
    return SL_OK;
}

bool sl_kin_within(const struct sl_kin *kin, struct sl_slice organization, struct sl_slice whole, bool *told)
{
    struct node *root = find(kin, organization);
    struct walk walk = {.count = 0};
    bool within = false;
    *told = true;
    if (root)
        walk_organization((struct sl_kin *)(uintptr_t)kin, root, &walk);
    for (size_t i = 0; i < walk.count; i++) {
        within |= sl_slice_eq(walk.key[i]->name, whole);
        *told &= walk.key[i]->read || walk.key[i]->known || !kin->asks;
    }
    *told &= !walk.beyond && (root || !kin->asks);
    return within;
}

/* ---- What is lacking ---- */

static bool is_of(struct sl_slice name, sl_r4_node type)
{
    struct sl_slice word = sl_r4_node_name(type);
    return name.len > word.len + 1 && name.ptr[word.len] == '/' && sl_slice_starts(name, word) &&
           !memchr(name.ptr + word.len + 1, '/', name.len - word.len - 1);
}

enum sl_status sl_kin_want(struct sl_kin *kin, struct sl_slice name)
{
    bool patient = is_of(name, SL_R4_Patient);
    if (!patient && !is_of(name, SL_R4_Organization))
        return SL_OK;
    struct node *node = node_of(kin, patient ? OF_PATIENT : OF_ORGANIZATION, name);
    if (!node)
        return SL_NO_MEMORY;
    if (!node->wanted) {
        node->wanted = node->unasked = true;
        kin->unasked = NULL;
    }
    return SL_OK;
}

struct asking {
    enum sl_kin_question question;
    struct sl_slice *names;
    size_t room, *count;
};

static void put(struct asking *asking, struct node *node, bool answered, struct sl_slice name)
{
    if (answered || node->put[asking->question] || *asking->count == asking->room)
        return;
    node->put[asking->question] = true;
    asking->names[(*asking->count)++] = name;
}

static void put_for_key(struct asking *asking, struct node *node)
{
    struct sl_slice id = sl_slice_from(node->name, sizeof "Patient/" - 1);
    if (asking->question == SL_KIN_PATIENT)
        put(asking, node, node->read, id);
    else if (asking->question == SL_KIN_LINKS)
        put(asking, node, node->sought, id);
    for (struct edge *e = asking->question == SL_KIN_IDENTIFIER ? node->edges : NULL; e; e = e->next)
        if (e->to->kind == OF_IDENTIFIER)
            put(asking, e->to, e->to->read, e->to->name);
}

static void put_for(struct sl_kin *kin, struct asking *asking, struct node *root)
{
    struct walk walk;
    bool organization = root->kind == OF_ORGANIZATION;
    if (organization)
        walk_organization(kin, root, &walk);
    else
        go(kin, root, false, &walk);
    for (size_t i = 0; i < walk.count; i++) {
        if (walk.key[i]->known)
            continue;
        if (!organization)
            put_for_key(asking, walk.key[i]);
        else if (asking->question == SL_KIN_ORGANIZATION)
            put(asking, walk.key[i], walk.key[i]->read, sl_slice_from(walk.key[i]->name, sizeof "Organization/" - 1));
    }
}

enum sl_status sl_kin_lacks(
    struct sl_kin *kin, enum sl_kin_question question, struct sl_slice *names, size_t room, size_t *count)
{
    struct asking asking = {question, names, room, count};
    *count = 0;
    if (!kin->asks || (question == SL_KIN_LINKS && !kin->links))
        return SL_OK;
    for (struct node *node = kin->first; node && *count < room; node = node->next)
        if (node->wanted && !node->known)
            put_for(kin, &asking, node);
    return sl_arena_failed(kin->arena) ? SL_NO_MEMORY : SL_OK;
}

void sl_kin_answered(struct sl_kin *kin, enum sl_kin_question question, struct sl_slice name)
{
    static const char *const before[SL_KIN_QUESTIONS] = {"Patient/", "Patient/", "", "Organization/"};
    struct sl_slice parts[] = {sl_slice_of(before[question]), name};
    struct sl_slice whole = sl_arena_join(kin->arena, parts, 2);
    struct node *node = whole.ptr ? find(kin, whole) : NULL;
    if (!node)
        return; /* it is not told, then */
    if (question == SL_KIN_LINKS)
        node->sought = true;
    else
        node->read = true;
}

/* ---- In the label book: the other keys, with a mark of what each is ---- */

#define SURE '='
#define UNSURE '~'

struct sl_slice sl_kin_unasked(struct sl_kin *kin)
{
    for (struct node *node = kin->unasked ? kin->unasked : kin->first; node && kin->asks; node = node->next) {
        kin->unasked = node;
        if (node->unasked) {
            node->unasked = false;
            return node->name;
        }
    }
    return (struct sl_slice){NULL, 0};
}

enum sl_status sl_kin_know(struct sl_kin *kin, struct sl_slice name, const struct sl_book_entry *entry)
{
    struct node *node = find(kin, name);
    if (!node)
        return SL_OK;
    for (uint32_t i = 0; i < entry->patient_count; i++) {
        struct sl_slice key = sl_slice_from(entry->patients[i], 1);
        bool sure = entry->patients[i].len && entry->patients[i].ptr[0] == SURE;
        if (!is_of(key, node->kind == OF_PATIENT ? SL_R4_Patient : SL_R4_Organization))
            return SL_OK; /* nothing that was written here: it is asked for */
        struct node *other = node_of(kin, node->kind, key);
        if (!other)
            return SL_NO_MEMORY;
        SL_TRY(node->kind == OF_PATIENT ? join(kin, node, other, sure) : add_edge(kin, node, other, true));
        other->known |= node->kind == OF_ORGANIZATION;
    }
    node->known = true;
    return SL_OK;
}

/* Is it told, and by nothing that comes from the book? */
static bool is_settled(struct sl_kin *kin, struct node *node, struct walk *walk)
{
    if (node->kind == OF_PATIENT)
        walk_person(kin, node, walk);
    else
        walk_organization(kin, node, walk);
    bool told = node->kind == OF_PATIENT ? is_told(kin, walk) : !walk->beyond;
    for (size_t i = 0; i < walk->count && told; i++)
        told = walk->key[i]->read && !walk->key[i]->known;
    return told;
}

enum sl_status sl_kin_settled(
    struct sl_kin *kin, struct sl_labeller *labeller, struct sl_arena *arena, struct sl_book_entry *out)
{
    struct walk walk;
    struct node *node = kin->noting ? kin->noting->next : kin->first;
    while (node && !(node->wanted && !node->noted && is_settled(kin, node, &walk))) {
        kin->noting = node;
        node = node->next;
    }
    if (!node || !kin->asks)
        return SL_MISSING;
    kin->noting = node;
    node->noted = true;
    struct sl_slice *keys = sl_arena_array(arena, walk.count, sizeof *keys);
    if (!keys)
        return SL_NO_MEMORY;
    for (size_t i = 1; i < walk.count; i++)
        keys[i - 1] = sl_arena_printf(arena, "%c%.*s",
            node->kind == OF_ORGANIZATION || walk.key[i]->confirmed ? SURE : UNSURE, SL_FMT(walk.key[i]->name));
    *out = (struct sl_book_entry){.reference = node->name,
        .classes = labeller->earning->by_type[SL_R4_Patient],
        .patients = keys,
        .patient_count = (uint32_t)walk.count - 1};
    return sl_arena_failed(arena) ? SL_NO_MEMORY : SL_OK;
}
