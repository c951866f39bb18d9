/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of sources: which are Part 2 programs (42 CFR 2.11, 2.12(b)). A hash table of names with open addressing;
 * it changes only while it is built, before it is shared.
 */
#include "programs.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "hash.h"
#include "sluice/yaml.h"

#define NAME_LIMIT 2048u /* bytes of one name */
#define SOURCE_LIMIT ((size_t)1 << 20)
#define FILE_ARENA ((size_t)64 * 1024 * 1024)

enum kind { KIND_FREE, KIND_ID, KIND_TYPED, KIND_URI };

struct entry {
    enum kind kind;
    enum sl_source source;
    sl_r4_node type;      /* KIND_TYPED */
    struct sl_slice name; /* id or URI; owned */
};

struct sl_programs {
    atomic_uint references;
    bool closed;
    struct entry *entries;
    size_t capacity, count;
};

static const sl_r4_node source_types[] = {
    SL_R4_Organization, SL_R4_Location, SL_R4_HealthcareService, SL_R4_PractitionerRole};

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
    for (size_t i = 0; i < programs->capacity; i++)
        free((void *)(uintptr_t)programs->entries[i].name.ptr);
    free(programs->entries);
    free(programs);
}

static struct entry *slot_of(
    struct entry *entries, size_t capacity, enum kind kind, sl_r4_node type, struct sl_slice name)
{
    size_t i = sl_hash(name, (uint64_t)kind << 16 | type) & (capacity - 1);
    for (; entries[i].kind != KIND_FREE; i = (i + 1) & (capacity - 1))
        if (entries[i].kind == kind && entries[i].type == type && sl_slice_eq(entries[i].name, name))
            break;
    return &entries[i];
}

static bool find(
    const struct sl_programs *programs, enum kind kind, sl_r4_node type, struct sl_slice name, enum sl_source *out)
{
    if (!programs || !programs->count || !name.len)
        return false;
    const struct entry *entry = slot_of(programs->entries, programs->capacity, kind, type, name);
    if (entry->kind == KIND_FREE)
        return false;
    *out = entry->source;
    return true;
}

bool sl_programs_names(const struct sl_programs *programs, sl_r4_node type, struct sl_slice id, enum sl_source *out)
{
    return sl_programs_type(type) && (find(programs, KIND_TYPED, type, id, out) || find(programs, KIND_ID, 0, id, out));
}

bool sl_programs_names_uri(const struct sl_programs *programs, struct sl_slice uri, enum sl_source *out)
{
    const char *hash = uri.len ? memchr(uri.ptr, '#', uri.len) : NULL;
    if (find(programs, KIND_URI, 0, uri, out))
        return true;
    return hash && find(programs, KIND_URI, 0, (struct sl_slice){uri.ptr, (size_t)(hash - uri.ptr)}, out);
}

bool sl_programs_closed(const struct sl_programs *programs)
{
    return programs && programs->closed;
}

void sl_programs_each(const struct sl_programs *programs,
    void (*call)(void *context, sl_r4_node type, struct sl_slice name, enum sl_source source), void *context)
{
    for (size_t i = 0; programs && i < programs->capacity; i++)
        if (programs->entries[i].kind != KIND_FREE)
            call(context, programs->entries[i].type, programs->entries[i].name, programs->entries[i].source);
}

static bool grow(struct sl_programs *programs)
{
    if (programs->count * 2 < programs->capacity)
        return true;
    size_t capacity = programs->capacity ? programs->capacity * 2 : 64;
    struct entry *entries = calloc(capacity, sizeof *entries);
    if (!entries)
        return false;
    for (size_t i = 0; i < programs->capacity; i++) {
        const struct entry *old = &programs->entries[i];
        if (old->kind != KIND_FREE)
            *slot_of(entries, capacity, old->kind, old->type, old->name) = *old;
    }
    free(programs->entries);
    programs->entries = entries;
    programs->capacity = capacity;
    return true;
}

static enum sl_status put(struct sl_programs *programs, struct entry entry)
{
    if (!grow(programs))
        return SL_NO_MEMORY;
    struct entry *slot = slot_of(programs->entries, programs->capacity, entry.kind, entry.type, entry.name);
    if (slot->kind != KIND_FREE)
        return slot->source == entry.source ? SL_OK : SL_EXISTS;
    char *copy = malloc(entry.name.len);
    if (!copy)
        return SL_NO_MEMORY;
    memcpy(copy, entry.name.ptr, entry.name.len);
    entry.name.ptr = copy;
    *slot = entry;
    programs->count++;
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

enum sl_status sl_programs_add(struct sl_programs *programs, struct sl_slice reference, enum sl_source source)
{
    struct entry entry = {.kind = KIND_URI, .source = source, .name = reference};
    if (source != SL_SOURCE_PROGRAM && source != SL_SOURCE_NOT)
        return SL_INVALID;
    if (reference.len == 0 || reference.len > NAME_LIMIT || programs->count >= SOURCE_LIMIT)
        return SL_INVALID;
    const char *slash = memchr(reference.ptr, '/', reference.len);
    if (memchr(reference.ptr, ':', reference.len))
        return put(programs, entry); /* a URI */
    if (slash) {
        size_t at = (size_t)(slash - reference.ptr);
        entry.kind = KIND_TYPED;
        entry.type = sl_r4_resource((struct sl_slice){reference.ptr, at});
        entry.name = sl_slice_from(reference, at + 1);
        if (!sl_programs_type(entry.type))
            return SL_INVALID;
    } else {
        entry.kind = KIND_ID;
    }
    return is_id(entry.name) ? put(programs, entry) : SL_INVALID;
}

/* ---- The YAML file ---- */

static void read_source(const struct sl_yaml_source *in, const struct sl_yaml *node, struct sl_programs *programs)
{
    static const char *const words[] = {"source", "is", "title", NULL};
    if (!sl_yaml_check_keys(in, node, words))
        return;
    const struct sl_yaml *name = sl_yaml_require(in, node, "source"), *is = sl_yaml_require(in, node, "is");
    struct sl_slice what = sl_yaml_text(in, is);
    if (!name || !is)
        return;
    bool program = sl_slice_eq(what, SL_LIT("program"));
    if (!program && !sl_slice_eq(what, SL_LIT("not"))) {
        sl_yaml_issue(in, is, false, "unknown-word", "a source is a \"program\" or \"not\"");
        return;
    }
    enum sl_status status =
        sl_programs_add(programs, sl_yaml_text(in, name), program ? SL_SOURCE_PROGRAM : SL_SOURCE_NOT);
    if (status == SL_EXISTS)
        sl_yaml_issue(in, name, false, "conflict", "the source is named twice, once as a program and once as none");
    else if (status != SL_OK)
        sl_yaml_issue(in, name, false, "bad-source",
            "a source is Organization/ID, Location/ID, HealthcareService/ID, PractitionerRole/ID, an id of any of "
            "these, or a URI");
}

static enum sl_status read_file(const struct sl_yaml_source *in, const char *path, struct sl_programs **out)
{
    static const char *const words[] = {"programs", "others", NULL};
    const struct sl_yaml *root = NULL;
    SL_TRY(sl_yaml_load(in, path, &root));
    size_t before = in->issues->errors;
    if (!sl_yaml_check_keys(in, root, words))
        return SL_INVALID;
    const struct sl_yaml *others = sl_yaml_get(root, "others");
    struct sl_slice word = sl_yaml_text(in, others);
    bool closed = sl_slice_eq(word, SL_LIT("not"));
    if (others && !closed && !sl_slice_eq(word, SL_LIT("unknown")))
        sl_yaml_issue(in, others, false, "unknown-word", "other sources are \"not\" programs, or \"unknown\"");
    *out = sl_programs_new(closed);
    if (!*out)
        return SL_NO_MEMORY;
    const struct sl_yaml *list = sl_yaml_list(in, sl_yaml_require(in, root, "programs"));
    for (const struct sl_yaml *node = list ? list->first : NULL; node; node = node->next)
        read_source(in, node, *out);
    return in->issues->errors > before ? SL_INVALID : SL_OK;
}

enum sl_status sl_programs_load(const char *path, struct sl_issues *issues, struct sl_programs **out)
{
    struct sl_arena *arena = sl_arena_new(FILE_ARENA);
    if (!arena)
        return SL_NO_MEMORY;
    struct sl_issues uncounted = {.arena = arena};
    /* Where there are issues, they may quote the tree, and it lives as long as they do. */
    struct sl_yaml_source in = {
        .arena = issues ? issues->arena : arena, .issues = issues ? issues : &uncounted, .file = sl_slice_of(path)};
    *out = NULL;
    enum sl_status status = read_file(&in, path, out);
    if (status != SL_OK) {
        sl_programs_unref(*out);
        *out = NULL;
    }
    sl_arena_free(arena);
    return status;
}
