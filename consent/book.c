/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The label book: see sluice/book.h. A value is little-endian numbers and length-framed texts; one that cannot be read
 * is one that is not there, since the book is a cache.
 */
#include "sluice/book.h"

#include <endian.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "labelling.h"
#include "sluice/buffer.h"

#define FORMAT 6u
#define VALUE_LIMIT ((size_t)256 * 1024)
#define KEY_LIMIT 4096u
#define LISTING_LIMIT ((size_t)64 << 20) /* memory for one entry, and what it was derived from */
#define LABEL_RULES                                                                                                    \
    "sluice labels 4" /* counted up when the labeller, or the R4 table, judges otherwise than before                   \
                       */

static const char *const tables[] = {"book", NULL};

struct sl_book {
    struct sl_store *store;
};

/* ---- Generation ---- */

static enum sl_status digest_parts(const struct sl_slice *parts, size_t count, unsigned char out[32])
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool fine = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1;
    for (size_t i = 0; i < count && fine; i++) {
        uint64_t len = htole64(parts[i].len);
        fine = EVP_DigestUpdate(md, &len, sizeof len) == 1 && EVP_DigestUpdate(md, parts[i].ptr, parts[i].len) == 1;
    }
    fine = fine && EVP_DigestFinal_ex(md, out, NULL) == 1;
    EVP_MD_CTX_free(md);
    return fine ? SL_OK : SL_CRYPTO;
}

struct joining {
    unsigned char sum[32];
    enum sl_status status;
};

/* The lines of a table in whatever order: the digests of all, added up. */
static void join_line(void *context, struct sl_slice line)
{
    struct joining *joining = context;
    unsigned char one[32];
    unsigned carry = 0;
    if (joining->status == SL_OK)
        joining->status = digest_parts(&line, 1, one);
    for (size_t i = 0; i < sizeof one && joining->status == SL_OK; i++) {
        carry += (unsigned)joining->sum[i] + one[i];
        joining->sum[i] = (unsigned char)carry;
        carry >>= 8;
    }
}

enum sl_status sl_label_generation_of(
    struct sl_slice digest, const struct sl_programs *programs, struct sl_label_generation *out)
{
    struct joining joining = {.status = SL_OK};
    *out = (struct sl_label_generation){.layout = 0};
    char closed = sl_programs_closed(programs) ? '1' : '0';
    sl_programs_each(programs, join_line, &joining);
    SL_TRY(joining.status);
    struct sl_slice parts[] = {
        SL_LIT(LABEL_RULES), digest, {&closed, 1}, {(const char *)joining.sum, sizeof joining.sum}};
    return digest_parts(parts, 4, out->digest);
}

enum sl_status sl_label_generation_registered(
    const struct sl_registered *registered, struct sl_label_generation *generation)
{
    const unsigned char *digest = sl_registered_digest(registered);
    if (!digest)
        return SL_OK;
    struct sl_slice parts[] = {{(const char *)generation->digest, sizeof generation->digest},
        {(const char *)digest, sizeof generation->digest}};
    return digest_parts(parts, 2, generation->digest);
}

/* ---- What an item contributes, and back ---- */

static bool is_kept(const struct sl_item *item)
{
    return item->type && item->id.len && !item->container && !item->unlabelled &&
           /* entries of the register, ages and states are worked out each time */
           !item->held && !item->age.known && !item->source_state.len &&
           item->type != SL_R4_Coverage && /* who pays is no class of its own: see label_purse.c */
           item->patient_count <= SL_BOOK_PATIENTS && item->named_count == 0;
}

/* Also from what is not there: its version is empty, and that of what comes to be there is another. */
static bool derives(const struct sl_item *item, const struct sl_reference *r)
{
    bool named = r->item ? r->item->id.len && r->item->container != item : r->type && r->target.len;
    return named && (r->kind == SL_REF_ORIGIN || r->kind == SL_REF_DEFINING || r->pays);
}

static struct sl_slice name_of(const struct sl_item *item, struct sl_arena *arena)
{
    return sl_arena_printf(arena, "%.*s/%.*s", SL_FMT(sl_r4_node_name(item->type)), SL_FMT(item->id));
}

static enum sl_status list_derived(const struct sl_item *item, struct sl_arena *arena, struct sl_book_entry *out)
{
    size_t count = 0;
    for (uint32_t i = 0; i < item->reference_count; i++)
        count += derives(item, &item->references[i]);
    if (count > SL_BOOK_DERIVED)
        return SL_MISSING;
    struct sl_derived *list = sl_arena_array(arena, count, sizeof *list);
    if (!list)
        return SL_NO_MEMORY;
    out->derived = list;
    for (uint32_t i = 0; i < item->reference_count; i++) {
        const struct sl_reference *r = &item->references[i];
        if (derives(item, r) && r->item)
            list[out->derived_count++] = (struct sl_derived){name_of(r->item, arena), r->item->version};
        else if (derives(item, r))
            list[out->derived_count++] = (struct sl_derived){.reference = r->target};
    }
    return sl_arena_failed(arena) ? SL_NO_MEMORY : SL_OK;
}

enum sl_status sl_book_entry_of(const struct sl_item *item, struct sl_arena *arena, struct sl_book_entry *out)
{
    *out = (struct sl_book_entry){0};
    if (!is_kept(item))
        return SL_MISSING;
    const struct labelled *labelled = (const struct labelled *)item; /* the item is its first member */
    *out = (struct sl_book_entry){.reference = name_of(item, arena),
        .version = item->version,
        .classes = item->classes,
        .reach = labelled->reach,
        .candidate = labelled->candidate,
        .mixed = labelled->mixed,
        .program = item->program,
        .named_program = item->named_program,
        .custodian = item->custodian,
        .patients = item->patients,
        .patient_count = item->patient_count};
    return list_derived(item, arena, out);
}

static bool copy_known(struct sl_arena *arena, const struct sl_book_entry *entry, struct labelled *item)
{
    item->item.id = sl_arena_copy(arena, item->item.id);
    item->item.version = sl_arena_copy(arena, entry->version);
    item->known_program = sl_arena_copy(arena, entry->program);
    item->known_named_program = sl_arena_copy(arena, entry->named_program);
    item->known_custodian = sl_arena_copy(arena, entry->custodian);
    item->item.patients = sl_arena_array(arena, entry->patient_count, sizeof *item->item.patients);
    for (uint32_t i = 0; item->item.patients && i < entry->patient_count; i++)
        item->item.patients[i] = sl_arena_copy(arena, entry->patients[i]);
    item->item.patient_count = item->item.patients ? entry->patient_count : 0;
    return !sl_arena_failed(arena);
}

enum sl_status sl_labeller_know(struct sl_labeller *labeller, const struct sl_book_entry *entry, struct sl_item **out)
{
    *out = NULL;
    if (entry->state == SL_BOOK_ABSENT)
        return sl_labeller_absent(labeller, entry->reference, true);
    if (entry->state == SL_BOOK_UNTOLD)
        return sl_labeller_untold(labeller, entry->reference);
    struct target target = sl_target_read(labeller, entry->reference, (struct sl_slice){NULL, 0});
    if (!target.type)
        return SL_INVALID;
    struct labelled *item = sl_labeller_append(labeller, NULL, 0);
    if (!item)
        return SL_NO_MEMORY;
    item->item.type = target.type;
    item->item.id = target.name;
    item->item.context = true;
    item->known = true;
    item->known_reach = entry->reach;
    item->known_mixed = entry->mixed;
    item->base_candidate = entry->candidate;
    item->base_classes = item->item.classes = entry->classes;
    sl_reason_push(labeller->arena, &item->base_reasons, &entry->classes, SL_WHY_REFERENCE, 0, SL_LIT("label-book"));
    item->item.reasons = item->base_reasons;
    if (!copy_known(labeller->arena, entry, item) || !sl_labeller_enter(labeller, item))
        return SL_NO_MEMORY;
    *out = &item->item;
    return SL_OK;
}

/* ---- Values ---- */

static void put_number(struct sl_buffer *out, uint64_t number)
{
    uint64_t bytes = htole64(number);
    sl_buffer_add(out, (struct sl_slice){(const char *)&bytes, sizeof bytes});
}

static void put_text(struct sl_buffer *out, struct sl_slice text)
{
    put_number(out, text.len);
    sl_buffer_add(out, text);
}

static void put_during(struct sl_buffer *out, struct sl_during during)
{
    put_number(out, (uint64_t)during.begin);
    put_number(out, (uint64_t)during.end);
}

static void put_reach(struct sl_buffer *out, const struct sl_reach *reach)
{
    put_during(out, reach->program);
    put_during(out, reach->received);
    put_during(out, reach->none);
    put_during(out, reach->stay);
    put_number(out, reach->unknown);
}

static void write_value(
    struct sl_buffer *out, const struct sl_label_generation *generation, const struct sl_book_entry *entry, int64_t now)
{
    put_number(out, FORMAT);
    sl_buffer_add(out, (struct sl_slice){(const char *)generation->digest, sizeof generation->digest});
    put_number(out, generation->layout);
    put_number(out, (uint64_t)now);
    put_number(out, entry->state);
    put_text(out, entry->reference); /* a long key is kept as its hash, and the book can be listed all the same */
    put_reach(out, &entry->reach);
    put_number(out, entry->candidate);
    put_number(out, entry->mixed);
    put_number(out, (uint64_t)entry->said.by_ai);
    put_number(out, (uint64_t)entry->said.signed_at);
    for (unsigned i = 0; i < SL_CLASS_WORDS; i++)
        put_number(out, entry->classes.word[i]);
    put_text(out, entry->version);
    put_text(out, entry->program);
    put_text(out, entry->named_program);
    put_text(out, entry->custodian);
    put_number(out, entry->patient_count);
    for (uint32_t i = 0; i < entry->patient_count; i++)
        put_text(out, entry->patients[i]);
    put_number(out, entry->derived_count);
    for (uint32_t i = 0; i < entry->derived_count; i++) {
        put_text(out, entry->derived[i].reference);
        put_text(out, entry->derived[i].version);
    }
}

struct reading {
    struct sl_slice rest;
    bool failed;
};

static struct sl_slice take(struct reading *in, size_t len)
{
    if (in->failed || in->rest.len < len) {
        in->failed = true;
        return (struct sl_slice){NULL, 0};
    }
    struct sl_slice bytes = {in->rest.ptr, len};
    in->rest = sl_slice_from(in->rest, len);
    return bytes;
}

static uint64_t take_number(struct reading *in)
{
    uint64_t number = 0;
    struct sl_slice bytes = take(in, sizeof number);
    if (bytes.len)
        memcpy(&number, bytes.ptr, sizeof number);
    return le64toh(number);
}

static struct sl_during take_during(struct reading *in)
{
    struct sl_during during = {.begin = (int64_t)take_number(in)};
    during.end = (int64_t)take_number(in);
    return during;
}

static struct sl_reach take_reach(struct reading *in)
{
    struct sl_reach reach = {.program = take_during(in)};
    reach.received = take_during(in);
    reach.none = take_during(in);
    reach.stay = take_during(in);
    uint64_t unknown = take_number(in);
    in->failed |= unknown > 1;
    reach.unknown = unknown;
    return reach;
}

static struct sl_slice take_text(struct reading *in, struct sl_arena *arena)
{
    uint64_t len = take_number(in);
    struct sl_slice text = take(in, len > VALUE_LIMIT ? VALUE_LIMIT + 1 : (size_t)len);
    return in->failed ? text : sl_arena_copy(arena, text);
}

static uint32_t take_count(struct reading *in, uint64_t limit)
{
    uint64_t count = take_number(in);
    in->failed |= count > limit;
    return in->failed ? 0 : (uint32_t)count;
}

static void take_lists(struct reading *in, struct sl_arena *arena, struct sl_book_entry *out)
{
    out->patient_count = take_count(in, SL_BOOK_PATIENTS);
    struct sl_slice *patients = sl_arena_array(arena, out->patient_count, sizeof *patients);
    for (uint32_t i = 0; patients && i < out->patient_count; i++)
        patients[i] = take_text(in, arena);
    out->patients = patients;
    out->derived_count = take_count(in, SL_BOOK_DERIVED);
    struct sl_derived *derived = sl_arena_array(arena, out->derived_count, sizeof *derived);
    for (uint32_t i = 0; derived && i < out->derived_count; i++) {
        derived[i].reference = take_text(in, arena);
        derived[i].version = take_text(in, arena);
    }
    out->derived = derived;
}

/* How an entry's generation stands to the one asked with. */
struct made {
    bool current, comparable;
};

/* False: no value of this format. Memory that ran out shows at the arena. */
static bool read_any(struct sl_slice value, const struct sl_label_generation *generation, struct sl_arena *arena,
    struct sl_book_entry *out, struct made *how)
{
    struct reading in = {.rest = value};
    if (take_number(&in) != FORMAT)
        return false;
    struct sl_slice made = take(&in, sizeof generation->digest);
    how->current = !in.failed && memcmp(made.ptr, generation->digest, made.len) == 0;
    how->comparable = take_number(&in) == generation->layout;
    out->stored = (int64_t)take_number(&in);
    uint64_t state = take_number(&in);
    out->reference = take_text(&in, arena);
    out->reach = take_reach(&in);
    uint64_t candidate = take_number(&in), mixed = take_number(&in);
    out->said.by_ai = (int64_t)take_number(&in);
    out->said.signed_at = (int64_t)take_number(&in);
    for (unsigned i = 0; i < SL_CLASS_WORDS; i++)
        out->classes.word[i] = take_number(&in);
    out->version = take_text(&in, arena);
    out->program = take_text(&in, arena);
    out->named_program = take_text(&in, arena);
    out->custodian = take_text(&in, arena);
    take_lists(&in, arena, out);
    out->candidate = candidate != 0;
    out->mixed = mixed != 0;
    out->state = state < SL_BOOK_STATES ? (enum sl_book_state)state : SL_BOOK_THERE;
    bool has_classes = !sl_classes_empty(&out->classes); /* each record has some */
    return !in.failed && in.rest.len == 0 && candidate <= 1 && mixed <= 1 && state < SL_BOOK_STATES &&
           has_classes == (out->state == SL_BOOK_THERE);
}

/* What is of another generation is not read further: it is as if it were not there. */
static bool read_value(struct sl_slice value, const struct sl_label_generation *generation, struct sl_arena *arena,
    struct sl_book_entry *out)
{
    size_t head = sizeof(uint64_t);
    bool current = value.len >= head + sizeof generation->digest &&
                   memcmp(value.ptr + head, generation->digest, sizeof generation->digest) == 0;
    struct made how;
    return current && read_any(value, generation, arena, out, &how);
}

/* ---- The store ---- */

enum sl_status sl_book_open(const char *directory, bool writable, struct sl_issues *issues, struct sl_book **out)
{
    *out = NULL;
    struct sl_book *book = calloc(1, sizeof *book);
    if (!book)
        return SL_NO_MEMORY;
    enum sl_status status = sl_store_open(directory, tables, 0, writable, issues, &book->store);
    if (status != SL_OK) {
        free(book);
        return status;
    }
    *out = book;
    return SL_OK;
}

void sl_book_close(struct sl_book *book)
{
    if (!book)
        return;
    sl_store_close(book->store);
    free(book);
}

/* "server\0Type/id"; a server's name holds no NUL. */
static bool make_key(char buffer[KEY_LIMIT], struct sl_slice server, struct sl_slice reference, struct sl_slice *key)
{
    if (!reference.len || server.len >= KEY_LIMIT || reference.len >= KEY_LIMIT - server.len ||
        memchr(reference.ptr, 0, reference.len))
        return false;
    if (server.len)
        memcpy(buffer, server.ptr, server.len);
    buffer[server.len] = '\0';
    memcpy(buffer + server.len + 1, reference.ptr, reference.len);
    *key = (struct sl_slice){buffer, server.len + 1 + reference.len};
    return true;
}

struct asking {
    struct sl_txn *txn;
    const struct sl_label_generation *generation;
    struct sl_slice server;
    struct sl_arena *arena;
};

static enum sl_status look_up(const struct asking *asking, struct sl_slice reference, struct sl_book_entry *out)
{
    char buffer[KEY_LIMIT];
    struct sl_slice key, value;
    *out = (struct sl_book_entry){0};
    if (!make_key(buffer, asking->server, reference, &key))
        return SL_MISSING;
    SL_TRY(sl_txn_get(asking->txn, 0, key, &value));
    bool read = read_value(value, asking->generation, asking->arena, out);
    if (sl_arena_failed(asking->arena))
        return SL_NO_MEMORY;
    out->reference = reference;
    return read ? SL_OK : SL_MISSING;
}

/* What the entry came from is not known in another version, and not in a newer one. *at: the first that is. */
static enum sl_status check_derived(const struct asking *asking, const struct sl_book_entry *entry, uint32_t *at)
{
    for (uint32_t i = 0; i < entry->derived_count; i++) {
        *at = i;
        struct sl_book_entry from;
        enum sl_status status = look_up(asking, entry->derived[i].reference, &from);
        if (status == SL_MISSING)
            continue; /* not kept, or of an older generation: the age of the entry itself bounds what is missed */
        SL_TRY(status);
        if (!sl_slice_eq(from.version, entry->derived[i].version))
            return SL_MISSING;
    }
    return SL_OK;
}

/* A clock that went back makes nothing young. */
static bool is_young(const struct sl_book_entry *entry, int64_t now, int64_t max_age)
{
    int64_t age;
    return !__builtin_sub_overflow(now, entry->stored, &age) && age >= 0 && age < max_age;
}

static enum sl_status get_within(
    const struct asking *asking, struct sl_slice reference, int64_t now, int64_t max_age, struct sl_book_entry *out)
{
    uint32_t at;
    SL_TRY(look_up(asking, reference, out));
    return is_young(out, now, max_age) ? check_derived(asking, out, &at) : SL_MISSING;
}

enum sl_status sl_book_get(struct sl_book *book, const struct sl_label_generation *generation, struct sl_slice server,
    struct sl_slice reference, int64_t now, int64_t max_age, struct sl_arena *arena, struct sl_book_entry *out)
{
    struct asking asking = {.generation = generation, .server = server, .arena = arena};
    SL_TRY(sl_txn_begin(book->store, false, &asking.txn));
    enum sl_status status = get_within(&asking, reference, now, max_age, out);
    sl_txn_abort(asking.txn);
    return status;
}

struct putting {
    const struct sl_label_generation *generation;
    struct sl_slice server;
    int64_t now;
    struct sl_buffer value;
};

static enum sl_status put_one(struct sl_txn *txn, struct putting *putting, const struct sl_book_entry *entry)
{
    char buffer[KEY_LIMIT];
    struct sl_slice key;
    if (entry->patient_count > SL_BOOK_PATIENTS || entry->derived_count > SL_BOOK_DERIVED ||
        !make_key(buffer, putting->server, entry->reference, &key))
        return SL_INVALID;
    sl_buffer_clear(&putting->value);
    write_value(&putting->value, putting->generation, entry, putting->now);
    if (sl_buffer_failed(&putting->value))
        return SL_LIMIT;
    return sl_txn_put(txn, 0, key, sl_buffer_slice(&putting->value));
}

static enum sl_status put_some(
    struct sl_book *book, struct putting *putting, const struct sl_book_entry *entries, size_t count)
{
    struct sl_txn *txn;
    SL_TRY(sl_txn_begin(book->store, true, &txn));
    for (size_t i = 0; i < count; i++) {
        enum sl_status status = put_one(txn, putting, &entries[i]);
        if (status != SL_OK) {
            sl_txn_abort(txn);
            return status;
        }
    }
    return sl_txn_commit(txn);
}

enum sl_status sl_book_put(struct sl_book *book, const struct sl_label_generation *generation, struct sl_slice server,
    const struct sl_book_entry *entries, size_t count, int64_t now)
{
    struct putting putting = {.generation = generation, .server = server, .now = now};
    enum sl_status status = SL_OK;
    sl_buffer_init(&putting.value, VALUE_LIMIT);
    for (size_t at = 0; at < count && status == SL_OK; at += SL_STORE_PUTS)
        status = put_some(book, &putting, entries + at, count - at < SL_STORE_PUTS ? count - at : SL_STORE_PUTS);
    sl_buffer_fini(&putting.value);
    return status;
}

enum sl_status sl_book_forget(struct sl_book *book, struct sl_slice server, struct sl_slice reference)
{
    char buffer[KEY_LIMIT];
    struct sl_slice key;
    struct sl_txn *txn;
    if (!make_key(buffer, server, reference, &key))
        return SL_INVALID;
    SL_TRY(sl_txn_begin(book->store, true, &txn));
    enum sl_status status = sl_txn_delete(txn, 0, key);
    if (status != SL_OK) {
        sl_txn_abort(txn);
        return status == SL_MISSING ? SL_OK : status;
    }
    return sl_txn_commit(txn);
}

/* ---- Looking at the book as such ---- */

enum sl_source sl_book_source(const struct sl_book_entry *entry)
{
    if (sl_during_is(entry->reach.program) || sl_during_is(entry->reach.received))
        return SL_SOURCE_PROGRAM;
    return sl_during_is(entry->reach.none) ? SL_SOURCE_NOT : SL_SOURCE_UNKNOWN;
}

static enum sl_book_standing standing_of(const struct asking *asking, bool current, const struct sl_book_when *when,
    const struct sl_book_entry *entry, struct sl_slice *other)
{
    uint32_t at = 0;
    if (!current)
        return SL_BOOK_OTHER_GENERATION;
    if (!is_young(entry, when->now, when->max_age))
        return SL_BOOK_TOO_OLD;
    if (check_derived(asking, entry, &at) == SL_OK)
        return SL_BOOK_COUNTS;
    *other = entry->derived[at].reference;
    return SL_BOOK_OTHER_VERSION;
}

static enum sl_status visit_value(struct asking *asking, struct sl_slice key, struct sl_slice value,
    const struct sl_book_when *when, const struct sl_book_visitor *visitor)
{
    struct sl_book_found found = {.server = {key.ptr, strnlen(key.ptr, key.len)}};
    struct made how = {false, false};
    asking->server = found.server;
    if (!read_any(value, asking->generation, asking->arena, &found.entry, &how))
        found.entry = (struct sl_book_entry){0};
    else
        found.standing = standing_of(asking, how.current, when, &found.entry, &found.other);
    found.comparable = how.comparable;
    if (sl_arena_failed(asking->arena))
        return SL_NO_MEMORY;
    return visitor->visit(visitor->context, &found);
}

enum sl_status sl_book_each(struct sl_book *book, const struct sl_label_generation *generation,
    const struct sl_book_when *when, const struct sl_book_visitor *visitor)
{
    struct sl_arena *arena = sl_arena_new(LISTING_LIMIT);
    struct asking asking = {.generation = generation, .arena = arena};
    struct sl_cursor *cursor = NULL;
    struct sl_slice key, value, none = {NULL, 0};
    enum sl_status status = arena ? sl_txn_begin(book->store, false, &asking.txn) : SL_NO_MEMORY;
    if (status == SL_OK)
        status = sl_cursor_open(asking.txn, 0, none, none, &cursor);
    while (status == SL_OK && (status = sl_cursor_next(cursor, &key, &value)) == SL_OK) {
        status = visit_value(&asking, key, value, when, visitor);
        sl_arena_reset(arena);
    }
    if (cursor)
        sl_cursor_close(cursor);
    sl_txn_abort(asking.txn);
    sl_arena_free(arena);
    return status == SL_MISSING ? SL_OK : status;
}

struct seeking {
    struct sl_slice server, reference;
    struct sl_arena *arena;
    struct sl_book_found *out;
};

/* What lives in the arena of the listing is copied out of it. */
static enum sl_status take_found(void *context, const struct sl_book_found *found)
{
    struct seeking *s = context;
    if (!sl_slice_eq(found->server, s->server) || !sl_slice_eq(found->entry.reference, s->reference))
        return SL_OK;
    *s->out = *found;
    struct sl_book_entry *entry = &s->out->entry;
    s->out->server = s->server;
    entry->reference = s->reference;
    s->out->other = sl_arena_copy(s->arena, found->other);
    entry->version = sl_arena_copy(s->arena, entry->version);
    entry->program = sl_arena_copy(s->arena, entry->program);
    entry->named_program = sl_arena_copy(s->arena, entry->named_program);
    entry->custodian = sl_arena_copy(s->arena, entry->custodian);
    entry->patient_count = 0; /* whom it is about is nothing to look at */
    struct sl_derived *derived = sl_arena_array(s->arena, entry->derived_count + 1u, sizeof *derived);
    for (uint32_t i = 0; derived && i < entry->derived_count; i++)
        derived[i] = (struct sl_derived){
            sl_arena_copy(s->arena, entry->derived[i].reference), sl_arena_copy(s->arena, entry->derived[i].version)};
    entry->derived = derived;
    return sl_arena_failed(s->arena) ? SL_NO_MEMORY : SL_OK;
}

enum sl_status sl_book_look(struct sl_book *book, const struct sl_label_generation *generation, struct sl_slice server,
    struct sl_slice reference, const struct sl_book_when *when, struct sl_arena *arena, struct sl_book_found *out)
{
    struct seeking seeking = {.server = server, .reference = reference, .arena = arena, .out = out};
    const struct sl_book_visitor visitor = {take_found, &seeking};
    char buffer[KEY_LIMIT];
    struct sl_slice key, value;
    *out = (struct sl_book_found){0};
    struct sl_arena *work = sl_arena_new(LISTING_LIMIT);
    struct asking asking = {.generation = generation, .arena = work};
    enum sl_status status = work ? sl_txn_begin(book->store, false, &asking.txn) : SL_NO_MEMORY;
    if (status == SL_OK && !make_key(buffer, server, reference, &key))
        status = SL_INVALID;
    if (status == SL_OK)
        status = sl_txn_get(asking.txn, 0, key, &value);
    if (status == SL_OK)
        status = visit_value(&asking, key, value, when, &visitor);
    sl_txn_abort(asking.txn);
    sl_arena_free(work);
    return status;
}
