/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of sources: which are Part 2 programs (42 CFR 2.11, 2.12(b)), since when and until when. A hash table of
 * names with open addressing; under each name stand the entries that use it, each of a time of its own. It changes only
 * while it is built, before it is shared.
 */
#include "programs.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "hash.h"
#include "sluice/arena.h"
#include "sluice/buffer.h"

#define NAME_LIMIT 2048u /* bytes of one name */
#define NAMES_LIMIT ((size_t)1 << 20)
#define TABLE_ARENA ((size_t)1 << 30)
#define WORDS_LIMIT 4096u /* bytes of a text that is looked through for names; what comes later is not a name */

enum kind { KIND_FREE, KIND_ID, KIND_TYPED, KIND_URI, KIND_IDENTIFIER, KIND_PERSON, KIND_WORDS, KIND_SERVER };

/* What one entry of the file says. */
struct row {
    enum sl_source source;
    enum sl_holding holding;
    struct sl_during when;
    struct sl_slice name; /* by which consents and reports know it */
};

/* The entries that speak of one name. */
struct said {
    const struct row *row;
    struct said *next;
};

struct name {
    enum kind kind;
    sl_r4_node type;             /* KIND_TYPED */
    struct sl_slice system, key; /* key: id, URI, value, or the first word of `words` */
    struct sl_slice words;       /* KIND_WORDS: all of it, as compared */
    struct said *said;
    struct name *same; /* KIND_WORDS: another one with the same first word */
};

struct sl_programs {
    atomic_uint references;
    bool closed;
    struct sl_arena *arena;
    struct name *names;
    size_t capacity, count;
    size_t counts[KIND_SERVER + 1]; /* of each kind */
};

/* ---- Times ---- */

bool sl_during_join(struct sl_during *to, struct sl_during more)
{
    if (!sl_during_is(more) || sl_during_within(more, *to))
        return false;
    if (!sl_during_is(*to)) {
        *to = more;
        return true;
    }
    to->begin = more.begin < to->begin ? more.begin : to->begin;
    to->end = more.end > to->end ? more.end : to->end;
    return true;
}

static uint64_t length(struct sl_during d)
{
    return sl_during_is(d) ? (uint64_t)d.end - (uint64_t)d.begin : 0;
}

void sl_during_join_near(struct sl_during *to, struct sl_during more)
{
    bool near = sl_during_is(*to) && sl_during_is(more) && to->begin <= more.end && more.begin <= to->end;
    if (near)
        (void)sl_during_join(to, more);
    else if (length(more) > length(*to))
        *to = more;
}

struct sl_during sl_during_less(struct sl_during from, struct sl_during less)
{
    if (!sl_during_meets(from, less))
        return from;
    if (sl_during_within(from, less))
        return (struct sl_during){0, 0};
    if (less.begin <= from.begin)
        from.begin = less.end;
    else if (less.end >= from.end)
        from.end = less.begin;
    return from;
}

/* ---- Birth and end ---- */

static const sl_r4_node source_types[] = {
    SL_R4_Organization, SL_R4_Location, SL_R4_HealthcareService, SL_R4_PractitionerRole, SL_R4_Endpoint};

bool sl_programs_type(sl_r4_node type)
{
    for (size_t i = 0; i < sizeof source_types / sizeof *source_types; i++)
        if (source_types[i] == type)
            return true;
    return false;
}

struct sl_programs *sl_programs_new(bool closed)
{
    struct sl_programs *programs = calloc(1, sizeof *programs);
    if (!programs)
        return NULL;
    programs->arena = sl_arena_new(TABLE_ARENA);
    if (!programs->arena) {
        free(programs);
        return NULL;
    }
    atomic_init(&programs->references, 1);
    programs->closed = closed;
    return programs;
}

struct sl_programs *sl_programs_ref(struct sl_programs *programs)
{
    if (programs)
        atomic_fetch_add_explicit(&programs->references, 1, memory_order_relaxed);
    return programs;
}

void sl_programs_unref(struct sl_programs *programs)
{
    if (!programs || atomic_fetch_sub_explicit(&programs->references, 1, memory_order_acq_rel) > 1)
        return;
    sl_arena_free(programs->arena);
    free(programs->names);
    free(programs);
}

/* ---- Names ---- */

static struct name *slot_of(struct name *names, size_t capacity, const struct name *sought)
{
    uint64_t seed = sl_hash(sought->system, (uint64_t)sought->kind << 16 | sought->type);
    size_t i = sl_hash(sought->key, seed) & (capacity - 1);
    for (; names[i].kind != KIND_FREE; i = (i + 1) & (capacity - 1))
        if (names[i].kind == sought->kind && names[i].type == sought->type && sl_slice_eq(names[i].key, sought->key) &&
            sl_slice_eq(names[i].system, sought->system))
            break;
    return &names[i];
}

static const struct name *find(const struct sl_programs *programs, const struct name *sought)
{
    if (!programs || !programs->counts[sought->kind] || !sought->key.len)
        return NULL;
    const struct name *name = slot_of(programs->names, programs->capacity, sought);
    return name->kind == KIND_FREE ? NULL : name;
}

/* An identifier system in one spelling: NPI has two, and an OID stands with and without its prefix. */
static struct sl_slice canonical_system(struct sl_slice system)
{
    static const struct sl_slice npi[] = {{"2.16.840.1.113883.4.6", 21}, {"http://hl7.org/fhir/sid/us-npi", 30},
        {"https://hl7.org/fhir/sid/us-npi", 31}, {"npi", 3}};
    if (sl_slice_starts(system, SL_LIT("urn:oid:")))
        system = sl_slice_from(system, 8);
    while (system.len && system.ptr[system.len - 1] == '/')
        system.len--;
    for (size_t i = 0; i < sizeof npi / sizeof *npi; i++)
        if (sl_slice_eq(system, npi[i]))
            return npi[1];
    return system;
}

static struct sl_slice trimmed(struct sl_slice text)
{
    while (text.len && text.ptr[0] == ' ')
        text = sl_slice_from(text, 1);
    while (text.len && text.ptr[text.len - 1] == ' ')
        text.len--;
    return text;
}

/* Where the system says that the value is a URI, the value may be an OID in either spelling. */
static struct name identifier_name(enum kind kind, struct sl_slice system, struct sl_slice value)
{
    struct name name = {.kind = kind, .system = canonical_system(trimmed(system)), .key = trimmed(value)};
    if (sl_slice_eq(name.system, SL_LIT("urn:ietf:rfc3986")))
        name.key = canonical_system(name.key);
    return name;
}

/* ---- Asking ---- */

struct sl_standing sl_standing_none(void)
{
    return (struct sl_standing){.open = SL_ALWAYS};
}

static void add_row(struct sl_standing *standing, const struct row *row)
{
    struct sl_reach *reach = &standing->reach;
    standing->named = true;
    standing->open = sl_during_less(standing->open, row->when);
    switch (row->source) {
    case SL_SOURCE_PROGRAM:
        (void)sl_during_join(row->holding == SL_HOLDS_UNDER_TPO ? &reach->received : &reach->program, row->when);
        if (!standing->program.len)
            standing->program = row->name;
        break;
    case SL_SOURCE_NOT:
        sl_during_join_near(&reach->none, row->when);
        break;
    case SL_SOURCE_UNKNOWN:
        reach->unknown = true;
        break;
    }
}

static bool add_name(const struct name *name, struct sl_standing *standing)
{
    for (const struct said *said = name ? name->said : NULL; said; said = said->next)
        add_row(standing, said->row);
    return name != NULL;
}

void sl_programs_by_name(
    const struct sl_programs *programs, sl_r4_node type, struct sl_slice id, struct sl_standing *standing)
{
    bool typed = add_name(find(programs, &(struct name){.kind = KIND_TYPED, .type = type, .key = id}), standing);
    if (!typed && sl_programs_type(type)) /* an id alone is of a source, not of a person */
        (void)add_name(find(programs, &(struct name){.kind = KIND_ID, .key = id}), standing);
}

void sl_programs_by_uri(const struct sl_programs *programs, struct sl_slice uri, struct sl_standing *standing)
{
    const char *hash = uri.len ? memchr(uri.ptr, '#', uri.len) : NULL;
    if (!add_name(find(programs, &(struct name){.kind = KIND_URI, .key = uri}), standing) && hash) {
        uri.len = (size_t)(hash - uri.ptr);
        (void)add_name(find(programs, &(struct name){.kind = KIND_URI, .key = uri}), standing);
    }
}

void sl_programs_by_identifier(const struct sl_programs *programs, enum sl_identified of, struct sl_slice system,
    struct sl_slice value, struct sl_standing *standing)
{
    struct name name = identifier_name(KIND_IDENTIFIER, system, value);
    if (of & SL_IDENTIFIED_SOURCE)
        (void)add_name(find(programs, &name), standing);
    name.kind = KIND_PERSON;
    if (of & SL_IDENTIFIED_PERSON)
        (void)add_name(find(programs, &name), standing);
}

bool sl_programs_has_identifiers(const struct sl_programs *programs)
{
    return programs && (programs->counts[KIND_IDENTIFIER] || programs->counts[KIND_PERSON]);
}

bool sl_programs_has_persons(const struct sl_programs *programs)
{
    return programs && programs->counts[KIND_PERSON];
}

bool sl_programs_has_words(const struct sl_programs *programs)
{
    return programs && programs->counts[KIND_WORDS];
}

bool sl_programs_is_ours(const struct sl_programs *programs, struct sl_slice base)
{
    return find(programs, &(struct name){.kind = KIND_SERVER, .key = base}) != NULL;
}

bool sl_programs_closed(const struct sl_programs *programs)
{
    return programs && programs->closed;
}

/* ---- Words: lower case, letters and digits, one space between ---- */

static bool is_word(unsigned char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c >= 0x80;
}

static struct sl_slice as_words(struct sl_slice text, struct sl_arena *arena)
{
    size_t limit = text.len < WORDS_LIMIT ? text.len : WORDS_LIMIT, len = 0;
    char *out = sl_arena_raw(arena, limit + 1, 1);
    bool space = false;
    for (size_t i = 0; out && i < limit; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (!is_word(c)) {
            space = len > 0;
            continue;
        }
        if (space)
            out[len++] = ' ';
        space = false;
        out[len++] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
    }
    return out ? (struct sl_slice){out, len} : (struct sl_slice){NULL, 0};
}

static struct sl_slice first_word(struct sl_slice words)
{
    const char *space = words.len ? memchr(words.ptr, ' ', words.len) : NULL;
    return (struct sl_slice){words.ptr, space ? (size_t)(space - words.ptr) : words.len};
}

void sl_programs_by_words(
    const struct sl_programs *programs, struct sl_slice text, struct sl_arena *arena, struct sl_standing *standing)
{
    if (!sl_programs_has_words(programs) || !text.len)
        return;
    struct sl_slice words = as_words(text, arena);
    while (words.len) {
        struct sl_slice word = first_word(words);
        const struct name *name = find(programs, &(struct name){.kind = KIND_WORDS, .key = word});
        for (; name; name = name->same)
            if (sl_slice_starts(words, name->words) &&
                (words.len == name->words.len || words.ptr[name->words.len] == ' '))
                (void)add_name(name, standing);
        words = sl_slice_from(words, word.len + 1);
    }
}

/* ---- Building ---- */

static bool grow(struct sl_programs *programs)
{
    if (programs->count * 2 < programs->capacity)
        return true;
    size_t capacity = programs->capacity ? programs->capacity * 2 : 64;
    struct name *names = calloc(capacity, sizeof *names);
    if (!names)
        return false;
    for (size_t i = 0; i < programs->capacity; i++)
        if (programs->names[i].kind != KIND_FREE)
            *slot_of(names, capacity, &programs->names[i]) = programs->names[i];
    free(programs->names);
    programs->names = names;
    programs->capacity = capacity;
    return true;
}

/* The slot of a name, made where there was none; NULL if memory ran out. */
static struct name *name_slot(struct sl_programs *programs, const struct name *made)
{
    if (!grow(programs))
        return NULL;
    struct name *slot = slot_of(programs->names, programs->capacity, made);
    if (slot->kind != KIND_FREE)
        return slot;
    struct name copy = *made;
    copy.system = sl_arena_copy(programs->arena, made->system);
    copy.key = sl_arena_copy(programs->arena, made->key);
    copy.words = sl_arena_copy(programs->arena, made->words);
    if (sl_arena_failed(programs->arena))
        return NULL;
    *slot = copy;
    programs->count++;
    programs->counts[made->kind]++;
    return slot;
}

/* Names of several words stand in one slot by their first; this finds or makes the one. */
static struct name *words_slot(struct sl_programs *programs, const struct name *made)
{
    struct name *slot = name_slot(programs, made);
    for (; slot; slot = slot->same) {
        if (sl_slice_eq(slot->words, made->words))
            return slot;
        if (slot->same)
            continue;
        struct name *copy = sl_arena_alloc(programs->arena, sizeof *copy);
        if (!copy)
            return NULL;
        *copy = (struct name){.kind = KIND_WORDS, .key = slot->key};
        copy->words = sl_arena_copy(programs->arena, made->words);
        slot->same = copy;
        programs->counts[KIND_WORDS]++;
    }
    return slot;
}

static bool are_alike(const struct row *a, const struct row *b)
{
    return a->source == b->source && (a->source != SL_SOURCE_PROGRAM || a->holding == b->holding);
}

static enum sl_status put(struct sl_programs *programs, const struct name *made, const struct row *row)
{
    if (programs->count >= NAMES_LIMIT || !made->key.len || made->key.len > NAME_LIMIT || made->system.len > NAME_LIMIT)
        return SL_INVALID;
    struct name *name = made->kind == KIND_WORDS ? words_slot(programs, made) : name_slot(programs, made);
    if (!name)
        return SL_NO_MEMORY;
    for (const struct said *said = name->said; said; said = said->next) {
        if (!are_alike(said->row, row) && sl_during_meets(said->row->when, row->when))
            return SL_EXISTS;
        if (said->row == row)
            return SL_OK;
    }
    struct said *said = sl_arena_alloc(programs->arena, sizeof *said);
    if (!said)
        return SL_NO_MEMORY;
    *said = (struct said){.row = row, .next = name->said};
    name->said = said;
    return SL_OK;
}

static bool is_id(struct sl_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
                c == '_'))
            return false;
    }
    return text.len > 0 && text.len <= 128;
}

/* "Type/id", an id, or a URI; kind is KIND_FREE where it is none of them. */
static struct name reference_name(struct sl_slice reference)
{
    struct name name = {.kind = KIND_URI, .key = reference}, none = {0};
    const char *slash = reference.len ? memchr(reference.ptr, '/', reference.len) : NULL;
    if (!reference.len || reference.len > NAME_LIMIT)
        return none;
    if (memchr(reference.ptr, ':', reference.len))
        return name;
    name.kind = KIND_ID;
    if (slash) {
        size_t at = (size_t)(slash - reference.ptr);
        name.kind = KIND_TYPED;
        name.type = sl_r4_resource((struct sl_slice){reference.ptr, at});
        name.key = sl_slice_from(reference, at + 1);
        if (!sl_programs_type(name.type) && name.type != SL_R4_Practitioner)
            return none;
    }
    return is_id(name.key) ? name : none;
}

static enum sl_status put_sources(
    struct sl_programs *programs, const struct sl_program_entry *entry, const struct row *row, struct sl_slice *culprit)
{
    for (size_t i = 0; i < entry->source_count; i++) {
        struct name name = reference_name(entry->sources[i]);
        *culprit = entry->sources[i];
        if (name.kind == KIND_FREE)
            return SL_INVALID;
        SL_TRY(put(programs, &name, row));
    }
    return SL_OK;
}

static enum sl_status put_identifiers(
    struct sl_programs *programs, const struct sl_program_entry *entry, const struct row *row, struct sl_slice *culprit)
{
    for (size_t i = 0; i < entry->identifier_count; i++) {
        const struct sl_identifier *one = &entry->identifiers[i];
        struct name name = identifier_name(entry->person ? KIND_PERSON : KIND_IDENTIFIER, one->system, one->value);
        *culprit = one->value;
        if (!name.system.len)
            return SL_INVALID;
        SL_TRY(put(programs, &name, row));
    }
    return SL_OK;
}

static enum sl_status put_words(
    struct sl_programs *programs, const struct sl_program_entry *entry, const struct row *row, struct sl_slice *culprit)
{
    for (size_t i = 0; i < entry->word_count; i++) {
        struct sl_slice words = as_words(entry->words[i], programs->arena);
        *culprit = entry->words[i];
        if (words.len < 4 || entry->words[i].len > NAME_LIMIT || row->source != SL_SOURCE_PROGRAM)
            return SL_INVALID; /* shorter ones stand in too many words of others */
        struct name name = {.kind = KIND_WORDS, .key = first_word(words), .words = words};
        SL_TRY(put(programs, &name, row));
    }
    return SL_OK;
}

static struct sl_slice name_of(const struct sl_program_entry *entry, struct sl_arena *arena)
{
    if (entry->source_count)
        return sl_arena_copy(arena, entry->sources[0]);
    if (entry->identifier_count)
        return sl_arena_printf(
            arena, "%.*s|%.*s", SL_FMT(entry->identifiers[0].system), SL_FMT(entry->identifiers[0].value));
    return entry->word_count ? sl_arena_copy(arena, entry->words[0]) : (struct sl_slice){NULL, 0};
}

enum sl_status sl_programs_put(
    struct sl_programs *programs, const struct sl_program_entry *entry, struct sl_slice *culprit)
{
    *culprit = (struct sl_slice){NULL, 0};
    struct row *row = sl_arena_alloc(programs->arena, sizeof *row);
    if (!row)
        return SL_NO_MEMORY;
    *row = (struct row){.source = entry->source,
        .holding = entry->holding,
        .when = entry->when,
        .name = name_of(entry, programs->arena)};
    if (!row->name.len || !sl_during_is(row->when))
        return SL_INVALID;
    SL_TRY(put_sources(programs, entry, row, culprit));
    SL_TRY(put_identifiers(programs, entry, row, culprit));
    return put_words(programs, entry, row, culprit);
}

enum sl_status sl_programs_add(struct sl_programs *programs, struct sl_slice reference, enum sl_source source)
{
    struct sl_slice culprit;
    struct sl_program_entry entry = {.sources = &reference, .source_count = 1, .source = source, .when = SL_ALWAYS};
    if (source != SL_SOURCE_PROGRAM && source != SL_SOURCE_NOT)
        return SL_INVALID;
    return sl_programs_put(programs, &entry, &culprit);
}

enum sl_status sl_programs_add_server(struct sl_programs *programs, struct sl_slice base)
{
    while (base.len && base.ptr[base.len - 1] == '/')
        base.len--;
    bool web = sl_slice_starts(base, SL_LIT("http://")) || sl_slice_starts(base, SL_LIT("https://"));
    if (!web || base.len > NAME_LIMIT || memchr(base.ptr, '?', base.len) || memchr(base.ptr, '#', base.len))
        return SL_INVALID;
    return name_slot(programs, &(struct name){.kind = KIND_SERVER, .key = base}) ? SL_OK : SL_NO_MEMORY;
}

/* ---- All of it ---- */

static void call_with(
    const struct name *name, const struct row *row, void (*call)(void *context, struct sl_slice line), void *context)
{
    struct sl_buffer line;
    sl_buffer_init(&line, 8 * (size_t)NAME_LIMIT); /* more than any line */
    sl_buffer_printf(&line, "%d %d %zu %zu %.*s|%.*s|%.*s", (int)name->kind, (int)name->type, name->system.len,
        name->key.len, SL_FMT(name->system), SL_FMT(name->key), SL_FMT(name->words));
    if (row)
        sl_buffer_printf(&line, " %d %d %" PRId64 " %" PRId64 " %.*s", (int)row->source, (int)row->holding,
            row->when.begin, row->when.end, SL_FMT(row->name));
    call(context, sl_buffer_slice(&line));
    sl_buffer_fini(&line);
}

void sl_programs_each(
    const struct sl_programs *programs, void (*call)(void *context, struct sl_slice line), void *context)
{
    for (size_t i = 0; programs && i < programs->capacity; i++) {
        const struct name *slot = &programs->names[i];
        if (slot->kind == KIND_SERVER)
            call_with(slot, NULL, call, context);
        for (const struct name *name = slot->kind == KIND_FREE ? NULL : slot; name; name = name->same)
            for (const struct said *said = name->said; said; said = said->next)
                call_with(name, said->row, call, context);
    }
}
