/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows that were parsed before: see sluice/kept.h.
 *
 * A text in which rows are known is parsed without them: each is replaced by "{}", which is an object as it is, and
 * what is left is parsed as any text. Where each "{}" has become the value that begins there, JSON's grammar says that
 * the whole text is good as well, and that its spans are those of the rest with each row's in its place. In any other
 * case, whatever the reason, and where a limit would be passed, the whole is parsed as if nothing were known: so errors
 * are those of sl_doc_parse.
 *
 * The table is sets of a few places. A row's set is that of the hash of its first bytes, where type, id and version
 * stand; those of a set are compared one after the other, all of their bytes. So no text makes a search long.
 */
#include "sluice/kept.h"

#include <stdlib.h>

#include "sluice/fault.h"

#define WAYS 4u                   /* places in a set */
#define SEEN 4u                   /* hashes remembered for each place */
#define DOUBT 5u                  /* at most one text in 2 to this power is looked at, where there is doubt */
#define HEAD 96u                  /* bytes that are hashed */
#define LEAST 256u                /* a smaller row is as quickly parsed */
#define MOST ((size_t)256 * 1024) /* a larger one would take the place of many */
#define ROW_SIZE 2048u            /* of a row as it is kept, for how many places there are to be */
#define RARELY 64u                /* once all memory is taken, one of so many rows takes another's place */
#define PASSED ((size_t)512)      /* bytes passed over for each row not known of a run of such */
#define PASSED_MOST ((size_t)32 * 1024)

struct row {
    uint64_t serial;
    uint32_t len, count, depth; /* bytes; spans; containers within containers, itself included */
    uint32_t place;
    size_t size; /* of all of it */
    struct sl_span *spans;
    uint32_t *parents;
    char *text;
    struct learned {
        uint64_t under;
        size_t size;
        void *bytes; /* NULL: there is nothing to be kept, or nothing was learned yet */
        bool known;
    } learned[SL_KEPT_KINDS];
};

struct place {
    uint64_t hash;
    struct row *row;
    bool used; /* since the hand came by */
};

struct sl_kept {
    uint64_t seed, serial;
    size_t limit;
    struct place *places;
    uint32_t set_mask;
    uint32_t hand;  /* the place that is looked at next when room is needed */
    uint32_t *seen; /* of hashes that came once: their upper half, by their lower; the newest of each SEEN first */
    uint32_t turns; /* rows that came while all memory was taken */
    uint32_t doubt; /* texts in turn that held few known rows, while all memory was taken */
    uint32_t texts; /* that came while there was doubt */
    bool resting;   /* the text that is being read is not looked at */
    struct sl_kept_figures figures;
};

/* ---- Keeping ---- */

static uint64_t fold(uint64_t a, uint64_t b)
{
    __extension__ unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t hash_head(const struct sl_kept *kept, const char *head)
{
    uint64_t hash = kept->seed, words[HEAD / sizeof hash];
    memcpy(words, head, sizeof words);
    for (unsigned i = 0; i < HEAD / sizeof hash; i += 2)
        hash = fold(hash ^ words[i], words[i + 1] ^ 0xd6e8feb86659fd93u);
    return hash;
}

struct sl_kept *sl_kept_new(size_t limit, uint64_t seed)
{
    struct sl_kept *kept = calloc(1, sizeof *kept);
    if (!kept || limit < SL_KEPT_LEAST)
        return kept;
    uint32_t sets = 16;
    while (sets < UINT32_MAX / 2 / WAYS && (size_t)sets * 2 * WAYS * ROW_SIZE <= limit)
        sets *= 2;
    kept->seed = seed;
    kept->set_mask = sets - 1;
    kept->places = calloc((size_t)sets * WAYS, sizeof *kept->places);
    kept->seen = calloc((size_t)sets * WAYS * SEEN, sizeof *kept->seen);
    if (!kept->places || !kept->seen) {
        sl_kept_free(kept);
        return NULL;
    }
    kept->limit = limit;
    kept->figures.bytes = (size_t)sets * WAYS * (sizeof *kept->places + SEEN * sizeof *kept->seen);
    return kept;
}

static void forget(struct sl_kept *kept, struct learned *learned)
{
    kept->figures.bytes -= learned->size;
    if (learned->bytes)
        explicit_bzero(learned->bytes, learned->size);
    free(learned->bytes);
    *learned = (struct learned){0};
}

static void drop(struct sl_kept *kept, struct place *place)
{
    struct row *row = place->row;
    if (!row)
        return;
    for (unsigned kind = 0; kind < SL_KEPT_KINDS; kind++)
        forget(kept, &row->learned[kind]);
    kept->figures.bytes -= row->size;
    kept->figures.rows--;
    kept->figures.dropped++;
    explicit_bzero(row, row->size);
    free(row);
    *place = (struct place){0};
}

void sl_kept_free(struct sl_kept *kept)
{
    if (!kept)
        return;
    for (size_t i = 0; kept->places && i < (size_t)(kept->set_mask + 1) * WAYS; i++)
        drop(kept, &kept->places[i]);
    free(kept->places);
    free(kept->seen);
    free(kept);
}

struct sl_kept_figures sl_kept_figures(const struct sl_kept *kept)
{
    return kept->figures;
}

static struct place *set_of(const struct sl_kept *kept, uint64_t hash)
{
    return kept->places + (size_t)(hash & kept->set_mask) * WAYS;
}

/* The row whose bytes stand there, all of them; NULL: none is known. */
static struct row *find_row(struct sl_kept *kept, uint64_t hash, const char *text, size_t left)
{
    struct place *set = set_of(kept, hash);
    for (unsigned i = 0; i < WAYS; i++) {
        const struct row *row = set[i].row;
        if (!row || set[i].hash != hash || row->len > left)
            continue;
        if (memcmp(row->text, text, sl_fault(SL_FAULT_ROW_COMPARED_WHOLE) ? HEAD : row->len) != 0)
            continue;
        set[i].used = true;
        return set[i].row;
    }
    return NULL;
}

/* Takes rows that were not used lately, until there is room. */
static void make_room(struct sl_kept *kept, size_t size)
{
    uint32_t count = (kept->set_mask + 1) * WAYS;
    for (uint32_t looked = 0; kept->figures.bytes + size > kept->limit && looked < 2 * count; looked++) {
        struct place *place = &kept->places[kept->hand++ % count];
        if (!place->used)
            drop(kept, place);
        place->used = false;
    }
}

/* An empty place of the set, or that of one that was not used lately, or the first. */
static struct place *place_for(struct sl_kept *kept, uint64_t hash)
{
    struct place *set = set_of(kept, hash), *idle = NULL;
    for (unsigned i = 0; i < WAYS; i++) {
        if (!set[i].row)
            return &set[i];
        if (!set[i].used && !idle)
            idle = &set[i];
        set[i].used = false;
    }
    idle = idle ? idle : &set[kept->turns++ % WAYS];
    drop(kept, idle);
    return idle;
}

/* How many containers are open around its innermost value. */
static uint32_t depth_of(const struct sl_doc *doc, uint32_t root)
{
    uint32_t most = 0;
    for (uint32_t i = root; i < doc->spans[root].next; i++) {
        bool container = doc->spans[i].type == SL_SPAN_OBJECT || doc->spans[i].type == SL_SPAN_ARRAY;
        uint32_t depth = container;
        for (uint32_t at = i; at != root; at = doc->parents[at])
            depth++;
        most = depth > most ? depth : most;
    }
    return most;
}

/* The row, with all of its own in one piece of memory. */
static struct row *copy_row(const struct sl_doc *doc, uint32_t root)
{
    const struct sl_span *span = &doc->spans[root];
    uint32_t count = span->next - root, len = span->end - span->begin;
    size_t size = sizeof(struct row) + count * (sizeof *doc->spans + sizeof *doc->parents) + len;
    struct row *row = malloc(size);
    if (!row)
        return NULL;
    *row = (struct row){.len = len, .count = count, .size = size};
    row->spans = (struct sl_span *)(row + 1);
    row->parents = (uint32_t *)(row->spans + count);
    row->text = (char *)(row->parents + count);
    memcpy(row->text, doc->text.ptr + span->begin, len);
    for (uint32_t i = 0; i < count; i++) {
        row->spans[i] = doc->spans[root + i];
        row->spans[i].begin -= span->begin;
        row->spans[i].end -= span->begin;
        row->spans[i].next -= root;
        row->parents[i] = i ? doc->parents[root + i] - root : 0;
    }
    row->spans[0].name = 0;
    row->spans[0].flags &= SL_SPAN_PAIRED;
    row->depth = depth_of(doc, root);
    return row;
}

static void keep(struct sl_kept *kept, uint64_t hash, const struct sl_doc *doc, uint32_t root)
{
    struct row *row = copy_row(doc, root);
    if (!row)
        return;
    make_room(kept, row->size);
    if (kept->figures.bytes + row->size > kept->limit) {
        explicit_bzero(row, row->size);
        free(row);
        return;
    }
    struct place *place = place_for(kept, hash);
    row->serial = ++kept->serial;
    row->place = (uint32_t)(place - kept->places);
    *place = (struct place){.hash = hash, .row = row};
    kept->figures.bytes += row->size;
    kept->figures.rows++;
    kept->figures.kept++;
}

/* Has it not come before, as far as one remembers? Then it is remembered. */
static bool is_first(struct sl_kept *kept, uint64_t hash)
{
    uint32_t half = (uint32_t)(hash >> 32), *seen = &kept->seen[(hash & (kept->set_mask * WAYS + WAYS - 1)) * SEEN];
    for (unsigned i = 0; i < SEEN; i++)
        if (seen[i] == half)
            return false;
    memmove(seen + 1, seen, (SEEN - 1) * sizeof *seen);
    *seen = half;
    return true;
}

void sl_kept_note(struct sl_kept *kept, const struct sl_doc *doc, uint32_t root)
{
    struct sl_slice text = sl_span_text(doc, root);
    if (!kept || !kept->limit || kept->resting || text.len < LEAST || text.len > MOST ||
        doc->spans[root].type != SL_SPAN_OBJECT)
        return;
    bool full = kept->figures.bytes + sizeof(struct row) + text.len * 2 > kept->limit;
    if (full && kept->turns++ % RARELY) /* not looked at at all: to look at what is in no cache is most of the cost */
        return;
    uint64_t hash = hash_head(kept, text.ptr);
    if (!full && is_first(kept, hash))
        return;
    const struct row *known = find_row(kept, hash, text.ptr, text.len);
    if (!known || known->len != text.len)
        keep(kept, hash, doc, root);
}

/* ---- What is learned of them ---- */

/* The row, if it is still there. */
static struct row *row_of(const struct sl_kept *kept, const struct sl_kept_row *row)
{
    struct row *there = kept->places[row->place].row;
    return there && there->serial == row->serial ? there : NULL;
}

const void *sl_kept_learned(
    const struct sl_kept *kept, const struct sl_kept_row *row, enum sl_kept_kind kind, uint64_t under, bool *known)
{
    const struct row *there = row_of(kept, row);
    const struct learned *learned = there ? &there->learned[kind] : NULL;
    *known = learned && learned->known && (learned->under == under || sl_fault(SL_FAULT_ROW_LEARNED_UNDER));
    return *known ? learned->bytes : NULL;
}

void sl_kept_learn(struct sl_kept *kept, const struct sl_kept_row *row, enum sl_kept_kind kind, uint64_t under,
    const void *bytes, size_t size)
{
    make_room(kept, size);
    struct row *there = row_of(kept, row); /* it may have had to go itself */
    if (!there || kept->figures.bytes + size > kept->limit)
        return;
    forget(kept, &there->learned[kind]);
    void *copy = bytes ? malloc(size) : NULL;
    if (bytes && !copy)
        return;
    if (bytes)
        memcpy(copy, bytes, size);
    there->learned[kind] = (struct learned){.under = under, .size = bytes ? size : 0, .bytes = copy, .known = true};
    kept->figures.bytes += there->learned[kind].size;
}

/* ---- Looking for them ---- */

/* A row in a text: where its bytes are, and where "{}" stands for it in the text without rows. */
struct hit {
    uint32_t at, instead;
    const struct row *row;
};

struct hits {
    struct hit *list;
    size_t count, room;
    size_t missed; /* rows that were looked at and are not known */
};

#define KEY "\"entry\":"
#define LEAD 12u /* bytes by which the entries of a page begin alike: {"fullUrl":" */

static size_t skip_spaces(struct sl_slice text, size_t at)
{
    while (
        at < text.len && (text.ptr[at] == ' ' || text.ptr[at] == '\n' || text.ptr[at] == '\r' || text.ptr[at] == '\t'))
        at++;
    return at;
}

/* Where the bytes stand next; text.len: nowhere. */
static size_t find_bytes(struct sl_slice text, size_t from, struct sl_slice bytes)
{
    const char *at = from < text.len ? memmem(text.ptr + from, text.len - from, bytes.ptr, bytes.len) : NULL;
    return at ? (size_t)(at - text.ptr) : text.len;
}

/* Where the first entry begins; text.len: there is none. */
static size_t first_entry(struct sl_slice text)
{
    struct sl_slice key = SL_LIT(KEY);
    size_t at = find_bytes(text, 0, key);
    at = at < text.len ? skip_spaces(text, at + key.len) : at;
    return at < text.len && text.ptr[at] == '[' ? skip_spaces(text, at + 1) : text.len;
}

/* Where the one behind an entry that ends at `end` begins. */
static size_t next_entry(struct sl_slice text, size_t end)
{
    size_t at = skip_spaces(text, end);
    return at < text.len && text.ptr[at] == ',' ? skip_spaces(text, at + 1) : text.len;
}

static bool add_hit(struct hits *hits, struct sl_arena *arena, struct hit hit)
{
    if (hits->count == hits->room) {
        size_t room = hits->room ? hits->room * 4 : 64;
        struct hit *list = sl_arena_raw(arena, room, sizeof *list);
        if (!list)
            return false;
        if (hits->count)
            memcpy(list, hits->list, hits->count * sizeof *list);
        hits->list = list;
        hits->room = room;
    }
    hits->list[hits->count++] = hit;
    return true;
}

/* The entries that are known. Behind one that is not, the next that begins as the first did is looked at; where several
 * are not, more and more is passed over, so that a text of new ones costs next to nothing. What is passed over is
 * parsed as anything else. */
static bool find_rows(struct sl_kept *kept, struct sl_arena *arena, struct sl_slice text, struct hits *hits)
{
    size_t at = first_entry(text), gone = 0, unknown = 0;
    const struct sl_slice lead = {text.ptr + at, LEAD};
    while (at < text.len && text.len - at >= LEAST) {
        const struct row *row =
            text.ptr[at] == '{' ? find_row(kept, hash_head(kept, text.ptr + at), text.ptr + at, text.len - at) : NULL;
        if (!row) {
            size_t passed = unknown++ * PASSED;
            hits->missed++;
            at = find_bytes(text, at + 1 + (passed < PASSED_MOST ? passed : PASSED_MOST), lead);
            continue;
        }
        if (!add_hit(hits, arena, (struct hit){(uint32_t)at, (uint32_t)(at - gone), row}))
            return false;
        at = next_entry(text, at + row->len);
        gone += row->len - 2;
        unknown /= 2;
    }
    return true;
}

/* ---- Parsing the rest ---- */

static struct sl_slice without_rows(struct sl_arena *arena, struct sl_slice text, const struct hits *hits)
{
    const struct hit *last = &hits->list[hits->count - 1];
    size_t len = text.len - (last->at + last->row->len) + last->instead + 2, from = 0, to = 0;
    char *rest = sl_arena_raw(arena, len, 1);
    for (size_t i = 0; rest && i < hits->count; i++) {
        const struct hit *hit = &hits->list[i];
        memcpy(rest + to, text.ptr + from, hit->at - from);
        memcpy(rest + hit->instead, "{}", 2);
        from = hit->at + hit->row->len;
        to = hit->instead + 2;
    }
    if (rest)
        memcpy(rest + to, text.ptr + from, text.len - from);
    return (struct sl_slice){rest, len};
}

/* How much stands in front of a span, in the whole, that does not in the rest. */
struct shift {
    uint32_t bytes, spans;
};

static uint32_t depth_at(const struct sl_doc *doc, uint32_t i)
{
    uint32_t depth = 0;
    for (; i; i = doc->parents[i])
        depth++;
    return depth;
}

/* Fills in shifts[0 .. rest->count]. False: not every row has become a value, or there is more than may be. */
static bool find_shifts(
    const struct sl_doc *rest, const struct hits *hits, const struct sl_doc_limits *limits, struct shift *shifts)
{
    size_t h = 0;
    struct shift shift = {0};
    uint64_t spans = rest->count;
    for (uint32_t i = 0; i < rest->count; i++) {
        const struct hit *hit = h < hits->count ? &hits->list[h] : NULL;
        const struct sl_span *span = &rest->spans[i];
        shifts[i] = shift;
        if (!hit || span->begin < hit->instead)
            continue;
        if (span->begin != hit->instead || span->end != hit->instead + 2 || span->type != SL_SPAN_OBJECT ||
            depth_at(rest, i) + hit->row->depth > limits->depth)
            return false;
        shift.bytes += hit->row->len - 2;
        shift.spans += hit->row->count - 1;
        spans += hit->row->count - 1;
        h++;
        if (spans > limits->spans)
            return false;
    }
    shifts[rest->count] = shift;
    return h == hits->count;
}

typedef uint32_t words __attribute__((vector_size(16)));
_Static_assert(sizeof(words) == sizeof(struct sl_span), "a span is moved as four words");

/* A row's spans, where they stand now. */
static void put_row(
    const struct row *row, uint32_t at, uint32_t root, struct sl_span *restrict spans, uint32_t *restrict parents)
{
    const struct sl_span *restrict from = row->spans;
    const uint32_t *restrict above = row->parents;
    uint32_t count = row->count;
    const words by = {at, at, root, 0};
    for (uint32_t i = 0; i < count; i++) {
        words span;
        memcpy(&span, &from[i], sizeof span);
        span += by;
        memcpy(&spans[i], &span, sizeof span);
    }
    for (uint32_t i = 0; i < count; i++)
        parents[i] = above[i] + root;
}

/* The whole, of the rest and the rows. */
static void put_together(const struct sl_doc *rest, const struct hits *hits, const struct shift *shifts,
    struct sl_span *spans, uint32_t *parents)
{
    size_t h = 0;
    for (uint32_t i = 0; i < rest->count; i++) {
        const struct sl_span *span = &rest->spans[i];
        const struct hit *hit = h < hits->count && span->begin == hits->list[h].instead ? &hits->list[h] : NULL;
        uint32_t at = i + shifts[i].spans, parent = rest->parents[i];
        if (hit) {
            put_row(hit->row, hit->at, at, spans + at, parents + at);
            spans[at].name = span->name;
            spans[at].flags |= span->flags;
            h++;
        } else {
            spans[at] = (struct sl_span){span->begin + shifts[i].bytes, span->end + shifts[span->next].bytes,
                span->next + shifts[span->next].spans, span->name, span->type, span->flags};
        }
        parents[at] = parent + shifts[parent].spans;
    }
}

/* False: the whole is to be parsed as if nothing were known; or there is no memory. */
static bool parse_around(struct sl_arena *arena, struct sl_slice text, const struct hits *hits,
    const struct sl_doc_limits *limits, struct sl_doc *out)
{
    struct sl_doc rest;
    struct sl_slice around = without_rows(arena, text, hits);
    if (!around.ptr || sl_doc_parse(arena, around, limits, &rest, NULL) != SL_OK)
        return false;
    struct shift *shifts = sl_arena_raw(arena, (size_t)rest.count + 1, sizeof *shifts);
    if (!shifts || !find_shifts(&rest, hits, limits, shifts))
        return false;
    uint32_t count = rest.count + shifts[rest.count].spans;
    struct sl_span *spans = sl_arena_raw(arena, count, sizeof *spans);
    uint32_t *parents = sl_arena_raw(arena, count, sizeof *parents);
    if (!spans || !parents)
        return false;
    put_together(&rest, hits, shifts, spans, parents);
    *out = (struct sl_doc){text, spans, parents, count};
    return true;
}

/* How many bytes of it are known. */
static size_t known_bytes(const struct hits *hits)
{
    const struct hit *last = hits->count ? &hits->list[hits->count - 1] : NULL;
    return last ? last->at - last->instead + last->row->len : 0;
}

/* Where more comes round than there is room for, what is kept helps little, and looking costs more than it gives: then
 * one text in some is looked at, until one is known again. */
static bool rests(struct sl_kept *kept)
{
    return kept->doubt && ++kept->texts % (1u << kept->doubt);
}

static void judge(struct sl_kept *kept, struct sl_slice text, const struct hits *hits)
{
    bool full = kept->figures.bytes > kept->limit / 8 * 7;
    if (!full || known_bytes(hits) >= text.len / 2)
        kept->doubt = 0;
    else if (hits->count + hits->missed && kept->doubt < DOUBT)
        kept->doubt++;
}

/* The rows that the text holds, if it is looked at. */
static bool look(struct sl_kept *kept, struct sl_arena *arena, struct sl_slice text, struct hits *hits)
{
    if (!kept || !kept->figures.rows || text.len >= UINT32_MAX)
        return false;
    kept->resting = rests(kept);
    if (kept->resting || !find_rows(kept, arena, text, hits))
        return false;
    judge(kept, text, hits);
    kept->figures.found += hits->count;
    return hits->count > 0;
}

static struct sl_kept_row *list_rows(struct sl_arena *arena, const struct hits *hits)
{
    struct sl_kept_row *rows = sl_arena_raw(arena, hits->count, sizeof *rows);
    for (size_t i = 0; rows && i < hits->count; i++)
        rows[i] = (struct sl_kept_row){hits->list[i].at, hits->list[i].row->place, hits->list[i].row->serial};
    return rows;
}

enum sl_status sl_kept_parse(struct sl_kept *kept, struct sl_arena *arena, struct sl_slice text,
    const struct sl_doc_limits *limits, struct sl_doc *out, const struct sl_kept_row **rows, size_t *count)
{
    struct hits hits = {0};
    limits = limits ? limits : &sl_doc_limits_default;
    *rows = NULL;
    *count = 0;
    bool known = text.len <= limits->bytes && look(kept, arena, text, &hits);
    /* What is parsed around known rows is moved twice: it pays where little else is there. */
    bool parsed = known && known_bytes(&hits) >= text.len / 4 * 3 && parse_around(arena, text, &hits, limits, out);
    if (!parsed)
        SL_TRY(sl_doc_parse(arena, text, limits, out, NULL));
    *rows = known ? list_rows(arena, &hits) : NULL;
    *count = *rows ? hits.count : 0;
    return SL_OK;
}
