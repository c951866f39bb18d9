/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A policy from files to a compiled, immutable snapshot, and what can be asked of it: see sluice/policy.h. The files
 * come from a directory or from memory (a generation in the store); from there on there is one way.
 */
#include "language.h"
#include "policy_model.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CSV_BYTES ((size_t)32 << 20) /* of one terminology file */
#define FOLDER_DEPTH 4u

/* ---- Files of a directory ---- */

struct gathering {
    struct sl_arena *arena;
    struct sl_issues *issues;
    struct sl_policy_file *files;
    size_t count;
};

static bool ends_with(struct sl_slice text, struct sl_slice end)
{
    return text.len > end.len && memcmp(text.ptr + text.len - end.len, end.ptr, end.len) == 0;
}

static enum sl_status gather_file(struct gathering *g, const char *path, struct sl_slice name, size_t limit)
{
    struct sl_slice text;
    enum sl_status status = g->count == SL_FILE_LIMIT ? SL_LIMIT : sl_file_read(g->arena, path, limit, &text);
    if (status == SL_OK) {
        g->files[g->count++] = (struct sl_policy_file){.path = name, .text = text};
        return SL_OK;
    }
    struct sl_issue *issue = sl_issue_add(g->issues, SL_GRADE_ERROR, "unreadable-file", "%s",
        g->count == SL_FILE_LIMIT ? "The policy has too many files."
        : status == SL_LIMIT      ? "The file is too large."
                                  : "The file cannot be read.");
    if (issue)
        issue->file = sl_arena_copy(g->issues->arena, name); /* the gathering ends before the report */
    return status;
}

/* Every file in `folder` that ends in `end`, named from `prefix` on; with `depth`, those of its folders too. */
static enum sl_status gather_folder(
    struct gathering *g, const char *folder, struct sl_slice prefix, struct sl_slice end, size_t limit, unsigned depth)
{
    DIR *directory = opendir(folder);
    if (!directory) {
        sl_issue_add(g->issues, SL_GRADE_ERROR, "unreadable-folder",
            errno == ENOTDIR ? "\"%s\" is a file, and the folder of the whole policy is wanted."
                             : "The folder \"%s\" cannot be read.",
            folder);
        return SL_MISSING;
    }
    enum sl_status status = SL_OK;
    for (struct dirent *entry; status == SL_OK && (entry = readdir(directory));) {
        char path[PATH_MAX];
        struct stat about;
        struct sl_slice name = sl_slice_of(entry->d_name);
        int len = snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] == '.' || len < 0 || (size_t)len >= sizeof path || stat(path, &about))
            continue;
        struct sl_slice full = sl_arena_printf(g->arena, "%.*s%s", SL_FMT(prefix), entry->d_name);
        if (!full.ptr)
            status = SL_NO_MEMORY;
        else if (S_ISREG(about.st_mode) && ends_with(name, end))
            status = gather_file(g, path, full, limit);
        else if (S_ISDIR(about.st_mode) && depth)
            status = gather_folder(g, path, sl_arena_printf(g->arena, "%.*s/", SL_FMT(full)), end, limit, depth - 1);
    }
    closedir(directory);
    return status;
}

/* What a key of policy.yaml says; NULL where there is none, or the file is unreadable (which is reported later). */
static const struct sl_yaml *named_in_policy(
    struct sl_arena *arena, const struct sl_policy_file *files, size_t count, const char *key)
{
    for (size_t i = 0; i < count; i++) {
        const struct sl_yaml *root = NULL;
        struct sl_yaml_source quiet = {.arena = arena, .file = files[i].path};
        if (!sl_slice_eq(files[i].path, SL_LIT("policy.yaml")))
            continue;
        if (sl_yaml_parse(&quiet, files[i].text, &root) == SL_OK)
            return sl_yaml_get(root, key);
    }
    return NULL;
}

/* The first of one word or of a list of them; sl_yaml's `next` leads on within a list alone. */
static const struct sl_yaml *first_of(const struct sl_yaml *some)
{
    return some && some->kind == SL_YAML_LIST ? some->first : some;
}

static const struct sl_yaml *next_of(const struct sl_yaml *some, const struct sl_yaml *at)
{
    return at == some ? NULL : at->next;
}

/* Lists that policy.yaml names by their folder, seen from its own. */
struct named_folder {
    const char *key;
    struct sl_slice prefix;
    const char *fix;
};

static enum sl_status gather_named(
    struct gathering *g, const char *directory, const struct named_folder *kind, const struct sl_yaml *named)
{
    struct sl_yaml_source quiet = {.arena = g->arena, .file = SL_LIT("policy.yaml")};
    struct sl_slice folder = sl_yaml_text(&quiet, named);
    if (!folder.len)
        return SL_OK;
    struct sl_slice path = sl_arena_printf(g->arena, "%s/%.*s", directory, SL_FMT(folder));
    if (!path.ptr)
        return SL_NO_MEMORY;
    struct sl_issue *before = g->issues ? g->issues->last : NULL;
    enum sl_status status = gather_folder(g, path.ptr, kind->prefix, SL_LIT(".csv"), CSV_BYTES, 0);
    if (status == SL_MISSING && g->issues && g->issues->last != before) {
        struct sl_issue *issue = g->issues->last;
        issue->file = quiet.file;
        issue->line = named->line;
        issue->column = named->column;
        issue->fix = sl_slice_of(kind->fix);
    }
    return status;
}

/* The code lists and the lexicon. A site names a folder of its own beside the shipped one: a list of two. */
static enum sl_status gather_lists(struct gathering *g, const char *directory)
{
    static const struct named_folder kinds[] = {
        {"terminology", {"terminology/", 12},
            "Name the folder of code lists here, seen from this one; or copy it to this place."},
        {"lexicon", {"lexicon/", 8}, "Name the folder of words here, seen from this one; or copy it to this place."}};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        const struct sl_yaml *named = named_in_policy(g->arena, g->files, g->count, kinds[k].key);
        for (const struct sl_yaml *at = first_of(named); at; at = next_of(named, at))
            SL_TRY(gather_named(g, directory, &kinds[k], at));
    }
    return SL_OK;
}

enum sl_status sl_policy_load(const char *directory, struct sl_issues *issues, struct sl_policy **out)
{
    *out = NULL;
    struct gathering g = {.arena = sl_arena_new(SL_POLICY_ARENA), .issues = issues};
    if (!g.arena)
        return SL_NO_MEMORY;
    enum sl_status status = SL_NO_MEMORY;
    g.files = sl_arena_array(g.arena, SL_FILE_LIMIT, sizeof *g.files);
    if (!g.files)
        goto out;
    status = gather_folder(&g, directory, SL_LIT(""), SL_LIT(".yaml"), SL_YAML_BYTES, FOLDER_DEPTH);
    if (status != SL_OK)
        goto out;
    status = gather_lists(&g, directory);
    if (status != SL_OK)
        goto out;
    status = sl_policy_load_files(g.files, g.count, issues, out);
out:
    sl_arena_free(g.arena);
    return status == SL_MISSING || status == SL_IO || status == SL_LIMIT ? SL_INVALID : status;
}

/* ---- Compiling ---- */

static int order_slices(struct sl_slice a, struct sl_slice b)
{
    size_t shorter = a.len < b.len ? a.len : b.len;
    int order = shorter ? memcmp(a.ptr, b.ptr, shorter) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int by_path(const void *a, const void *b)
{
    return order_slices(((const struct sl_policy_file *)a)->path, ((const struct sl_policy_file *)b)->path);
}

static int by_name(const void *a, const void *b)
{
    return order_slices(*(const struct sl_slice *)a, *(const struct sl_slice *)b);
}

static int by_layer(const void *a, const void *b)
{
    const struct sl_policy_source *x = a, *y = b;
    if (x->layer != y->layer)
        return x->layer < y->layer ? -1 : 1;
    return order_slices(x->yaml.file, y->yaml.file);
}

/* ---- Packs of states ----
 *
 * They lie in the folder states/, and are no part of the policy until policy.yaml names them: a generation holds what
 * is in force, and its digest is of that alone. What a house says of a state (house/states/, scenarios above all) names
 * what the pack defines, and goes with it. */

static const struct sl_slice pack_folder = {"states/", 7}, own_folder = {"house/states/", 13}, pack_end = {".yaml", 5};

/* "IL" of states/IL.yaml; empty: no such file of this folder. */
static struct sl_slice state_in(struct sl_slice folder, struct sl_slice path)
{
    if (!sl_slice_starts(path, folder) || !ends_with(path, pack_end))
        return (struct sl_slice){NULL, 0};
    struct sl_slice name = sl_slice_from(path, folder.len);
    name.len -= name.len > pack_end.len ? pack_end.len : name.len;
    return name;
}

static struct sl_slice pack_of(struct sl_slice path)
{
    return state_in(pack_folder, path);
}

static bool is_named(const struct sl_yaml *some, struct sl_slice word)
{
    for (const struct sl_yaml *at = first_of(some); at; at = next_of(some, at))
        if (at->kind == SL_YAML_SCALAR && sl_slice_eq(at->text, word))
            return true;
    return false;
}

/* Each state that is named must have its file: a ceiling that is missing would let more out, and nobody would know. */
static void check_packs(const struct sl_policy *policy, const struct sl_yaml_source *yaml, const struct sl_yaml *named)
{
    for (const struct sl_yaml *at = first_of(named); at; at = next_of(named, at)) {
        bool there = false;
        for (size_t i = 0; i < policy->file_count; i++)
            there |= at->text.len && sl_slice_eq(pack_of(policy->files[i].path), at->text);
        if (!there)
            sl_yaml_issue(yaml, at, false, "missing-state", "There is no file states/%.*s.yaml.", SL_FMT(at->text));
    }
}

static enum sl_status copy_files(
    struct sl_policy *policy, const struct sl_policy_file *files, size_t count, struct sl_issues *issues)
{
    if (count > SL_FILE_LIMIT) {
        sl_issue_add(issues, SL_GRADE_ERROR, "too-many", "A policy has at most %u files.", SL_FILE_LIMIT);
        return SL_INVALID;
    }
    policy->files = sl_arena_array(policy->arena, count + 1, sizeof *policy->files);
    policy->packs_off = sl_arena_array(policy->arena, count + 1, sizeof *policy->packs_off);
    if (!policy->files || !policy->packs_off)
        return SL_NO_MEMORY;
    const struct sl_yaml *states = named_in_policy(policy->arena, files, count, "states");
    for (size_t i = 0; i < count; i++) {
        struct sl_slice pack = pack_of(files[i].path), own = state_in(own_folder, files[i].path);
        if (own.len && !is_named(states, own))
            continue;
        if (pack.len && !is_named(states, pack)) {
            policy->packs_off[policy->pack_off_count++] = sl_arena_copy(policy->arena, pack);
            continue;
        }
        policy->files[policy->file_count++] = (struct sl_policy_file){
            .path = sl_arena_copy(policy->arena, files[i].path), .text = sl_arena_copy(policy->arena, files[i].text)};
    }
    qsort(policy->files, policy->file_count, sizeof *policy->files, by_path);
    qsort(policy->packs_off, policy->pack_off_count, sizeof *policy->packs_off, by_name);
    return sl_arena_failed(policy->arena) ? SL_NO_MEMORY : SL_OK;
}

/* Lengths go in with the bytes, so that no other division into files gives the same digest. */
static enum sl_status make_digest(struct sl_policy *policy)
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1;
    for (size_t i = 0; good && i < policy->file_count; i++) {
        uint64_t lengths[2] = {htole64(policy->files[i].path.len), htole64(policy->files[i].text.len)};
        good = EVP_DigestUpdate(context, lengths, sizeof lengths) == 1 &&
               EVP_DigestUpdate(context, policy->files[i].path.ptr, policy->files[i].path.len) == 1 &&
               EVP_DigestUpdate(context, policy->files[i].text.ptr, policy->files[i].text.len) == 1;
    }
    good = good && EVP_DigestFinal_ex(context, hash, &len) == 1 && len == 32;
    EVP_MD_CTX_free(context);
    for (unsigned i = 0; good && i < len; i++)
        snprintf(policy->digest + (size_t)2 * i, 3, "%02x", hash[i]);
    return good ? SL_OK : SL_CRYPTO;
}

/* A pack that released something would be no ceiling; so it must say that it is one. */
static enum sl_layer read_layer(const struct sl_policy_source *source)
{
    const struct sl_yaml *at = sl_yaml_get(source->root, "layer");
    unsigned word = sl_language_word(&source->yaml, at, SL_WORDS_LAYER, "unknown-layer", "layer");
    enum sl_layer layer = word == SL_NO_WORD ? SL_LAYER_NONE : (enum sl_layer)(SL_LAYER_FEDERAL + word);
    if (layer != SL_LAYER_NONE && layer != SL_LAYER_STATE && pack_of(source->yaml.file).len)
        sl_yaml_issue(
            &source->yaml, at, false, "pack-layer", "A file in the folder states/ is of the layer \"state\".");
    return layer;
}

/* The file policy.yaml: what the policy is called, and the texts that go out with a release. */
static void read_head(struct sl_policy *policy, const struct sl_policy_source *source)
{
    const struct sl_yaml_source *yaml = &source->yaml;
    const struct sl_yaml *root = source->root;
    if (!sl_language_check(yaml, root, SL_MAP_HEAD))
        return;
    check_packs(policy, yaml, sl_yaml_get(root, "states"));
    policy->title = sl_yaml_text(yaml, sl_yaml_get(root, "title"));
    policy->version = sl_yaml_text(yaml, sl_yaml_get(root, "version"));
    const struct sl_yaml *notice = sl_yaml_get(root, "notice");
    if (notice && sl_language_check(yaml, notice, SL_MAP_NOTICE)) {
        policy->notice_version = sl_yaml_text(yaml, sl_yaml_get(notice, "version"));
        policy->notice = sl_yaml_text(yaml, sl_yaml_get(notice, "statement"));
        policy->short_notice = sl_yaml_text(yaml, sl_yaml_get(notice, "short"));
    }
    policy->inline_labels = sl_yaml_flag(yaml, sl_yaml_get(root, "inline-labels"), false);
    policy->regenerate = sl_language_word(yaml, sl_yaml_get(root, "narrative"), SL_WORDS_NARRATIVE, "unknown-word",
                             "way with narratives") == 1;
    policy->intermediary = sl_yaml_flag(yaml, sl_yaml_get(root, "intermediary"), false);
    policy->one_person = !sl_yaml_flag(yaml, sl_yaml_get(root, "two-person-rule"), true);
    policy->denials_give_way = sl_language_word(yaml, sl_yaml_get(root, "denials-in-emergency"), SL_WORDS_DENIALS,
                                   "unknown-word", "way with denials") == 0;
}

/* A block text ends in a line break that is no part of the statement. */
static struct sl_slice trimmed(struct sl_slice text)
{
    while (text.len && (text.ptr[text.len - 1] == '\n' || text.ptr[text.len - 1] == ' '))
        text.len--;
    return text;
}

/* "Organization/x", or an address: how a program table names a source. */
static bool is_reference(struct sl_slice text)
{
    return memchr(text.ptr, '/', text.len) || memchr(text.ptr, ':', text.len);
}

/* A program's file must say whose it is, so that it cannot bind the records of others. */
static void read_file_head(struct sl_policy_source *source)
{
    const struct sl_yaml *program = sl_yaml_get(source->root, "program");
    (void)sl_yaml_text(&source->yaml, sl_yaml_get(source->root, "title"));
    (void)sl_yaml_text(&source->yaml, sl_yaml_get(source->root, "version"));
    source->example = sl_yaml_flag(&source->yaml, sl_yaml_get(source->root, "example"), false);
    source->program = sl_yaml_text(&source->yaml, program);
    if (source->layer == SL_LAYER_PROGRAM)
        (void)sl_yaml_require(&source->yaml, source->root, "program");
    if (source->layer == SL_LAYER_PROGRAM && source->program.len && !is_reference(source->program))
        sl_yaml_issue(&source->yaml, program, false, "program-layer",
            "\"%.*s\" is no record and no address: the file would be about nobody's records. Write Organization/ID.",
            SL_FMT(source->program));
    else if (program && source->layer != SL_LAYER_PROGRAM)
        sl_yaml_issue(&source->yaml, program, false, "program-layer",
            "Only a file of the layer \"program\" is of one program; this one is about the records of all.");
}

static enum sl_status parse_sources(struct sl_policy *policy, struct sl_issues *issues)
{
    bool head = false;
    policy->sources = sl_arena_array(policy->arena, policy->file_count + 1, sizeof *policy->sources);
    if (!policy->sources)
        return SL_NO_MEMORY;
    for (size_t i = 0; i < policy->file_count; i++) {
        const struct sl_policy_file *file = &policy->files[i];
        if (!ends_with(file->path, SL_LIT(".yaml")))
            continue;
        struct sl_policy_source source = {.yaml = {policy->arena, issues, file->path}};
        enum sl_status status = sl_yaml_parse(&source.yaml, file->text, &source.root);
        if (status == SL_NO_MEMORY)
            return status;
        if (status != SL_OK)
            continue;
        if (sl_slice_eq(file->path, SL_LIT("policy.yaml"))) {
            head = true;
            policy->head = source.root;
            read_head(policy, &source);
            continue;
        }
        if (!sl_language_check(&source.yaml, source.root, SL_MAP_FILE))
            continue;
        source.layer = read_layer(&source);
        read_file_head(&source);
        policy->sources[policy->source_count++] = source;
    }
    if (!head)
        sl_issue_add(issues, SL_GRADE_ERROR, "missing-file", "There is no file policy.yaml.");
    policy->notice = trimmed(policy->notice);
    policy->short_notice = trimmed(policy->short_notice);
    qsort(policy->sources, policy->source_count, sizeof *policy->sources, by_layer);
    return SL_OK;
}

static enum sl_status load_terminology(struct sl_policy *policy, struct sl_issues *issues)
{
    enum sl_status status = sl_terminology_load(policy->files, policy->file_count, issues, &policy->terminology);
    if (status == SL_NO_MEMORY)
        return status;
    if (status != SL_OK && !issues->errors)
        sl_issue_add(issues, SL_GRADE_ERROR, "bad-terminology", "The terminology cannot be read.");
    return SL_OK;
}

static enum sl_status load_words(struct sl_policy *policy, struct sl_issues *issues)
{
    enum sl_status status = sl_words_load(policy->files, policy->file_count, issues, &policy->words);
    if (status == SL_NO_MEMORY)
        return status;
    if (status != SL_OK && !issues->errors)
        sl_issue_add(issues, SL_GRADE_ERROR, "bad-lexicon", "The lexicon cannot be read.");
    policy->earning.words = policy->words;
    return SL_OK;
}

static enum sl_status compile(
    struct sl_policy *policy, const struct sl_policy_file *files, size_t count, struct sl_issues *issues)
{
    SL_TRY(copy_files(policy, files, count, issues));
    SL_TRY(make_digest(policy));
    SL_TRY(load_terminology(policy, issues));
    SL_TRY(load_words(policy, issues));
    SL_TRY(parse_sources(policy, issues));
    SL_TRY(sl_policy_read(policy));
    if (!issues->errors)
        sl_policy_check(policy);
    if (!issues->errors)
        SL_TRY(sl_policy_check_invariants(policy));
    if (!issues->errors)
        SL_TRY(sl_grants_settle(policy));
    return sl_arena_failed(policy->arena) ? SL_NO_MEMORY : SL_OK;
}

/* Issues of a file live in the caller's arena; their file names and fixes are in the policy's, which may go. */
static void keep_issues(struct sl_issues *to, const struct sl_issues *from, const struct sl_policy *policy)
{
    for (const struct sl_issue *issue = from->first; issue; issue = issue->next) {
        struct sl_issue *copy = sl_issue_add(to, issue->grade, "", "%.*s", SL_FMT(issue->text));
        if (!copy)
            continue;
        copy->code = sl_arena_copy(to->arena, issue->code);
        copy->file = sl_arena_copy(to->arena, issue->file);
        copy->fix = sl_arena_copy(to->arena, issue->fix);
        copy->line = issue->line;
        copy->column = issue->column;
        sl_policy_show(policy->files, policy->file_count, to->arena, copy);
    }
}

static struct sl_policy *policy_new(void)
{
    struct sl_arena *arena = sl_arena_new(SL_POLICY_ARENA);
    struct sl_policy *policy = arena ? calloc(1, sizeof *policy) : NULL;
    if (!policy) {
        sl_arena_free(arena);
        return NULL;
    }
    policy->arena = arena;
    atomic_init(&policy->references, 1);
    return policy;
}

enum sl_status sl_policy_load_files(
    const struct sl_policy_file *files, size_t count, struct sl_issues *issues, struct sl_policy **out)
{
    *out = NULL;
    struct sl_policy *policy = policy_new();
    if (!policy)
        return SL_NO_MEMORY;
    struct sl_issues found = {.arena = policy->arena};
    enum sl_status status = compile(policy, files, count, &found);
    if (status == SL_OK && found.errors)
        status = SL_INVALID;
    if (issues && issues->arena)
        keep_issues(issues, &found, policy);
    /* The list dies here; a policy in use reports nothing any more. */
    for (size_t i = 0; i < policy->source_count; i++)
        policy->sources[i].yaml.issues = NULL;
    if (status != SL_OK) {
        sl_policy_unref(policy);
        return status;
    }
    *out = policy;
    return SL_OK;
}

/* ---- Life ---- */

struct sl_policy *sl_policy_ref(struct sl_policy *policy)
{
    atomic_fetch_add_explicit(&policy->references, 1, memory_order_relaxed);
    return policy;
}

void sl_policy_unref(struct sl_policy *policy)
{
    if (!policy || atomic_fetch_sub_explicit(&policy->references, 1, memory_order_acq_rel) != 1)
        return;
    sl_words_free(policy->words);
    sl_terminology_free(policy->terminology);
    sl_arena_free(policy->arena);
    free(policy);
}

/* ---- What can be asked ---- */

const struct sl_policy_file *sl_policy_files(const struct sl_policy *policy, size_t *count)
{
    *count = policy->file_count;
    return policy->files;
}

struct sl_slice sl_policy_digest(const struct sl_policy *policy)
{
    return (struct sl_slice){policy->digest, 64};
}

size_t sl_policy_class_count(const struct sl_policy *policy)
{
    return policy->class_count;
}

const struct sl_class *sl_policy_class(const struct sl_policy *policy, unsigned bit)
{
    return bit < policy->class_count ? &policy->classes[bit] : NULL;
}

unsigned sl_policy_class_find(const struct sl_policy *policy, struct sl_slice id)
{
    for (unsigned i = 0; i < policy->class_count; i++)
        if (sl_slice_eq(policy->classes[i].id, id))
            return i;
    return SL_CLASS_LIMIT;
}

unsigned sl_policy_party(const struct sl_policy *policy, struct sl_slice id)
{
    for (unsigned i = 0; id.len && i < policy->party_count; i++)
        if (sl_slice_eq(policy->parties[i].id, id))
            return i;
    return SL_PARTY_LIMIT;
}

bool sl_policy_has_party(const struct sl_policy *policy, struct sl_slice party)
{
    return sl_policy_party(policy, party) < SL_PARTY_LIMIT;
}

const struct sl_slice *sl_policy_parties(const struct sl_policy *policy, size_t *count)
{
    *count = policy->party_count;
    return policy->party_ids;
}

unsigned sl_policy_kind(const struct sl_policy *policy, struct sl_slice id)
{
    for (unsigned i = 0; i < policy->kind_id_count; i++)
        if (sl_slice_eq(policy->kind_ids[i], id))
            return i;
    return SL_KIND_LIMIT;
}

const struct sl_consent_kind *sl_policy_consent_kinds(const struct sl_policy *policy, size_t *count)
{
    *count = policy->kind_count;
    return policy->kinds;
}

const struct sl_earning *sl_policy_earning(const struct sl_policy *policy)
{
    return &policy->earning;
}

struct sl_slice sl_policy_title(const struct sl_policy *policy)
{
    return policy->title;
}

struct sl_slice sl_policy_version(const struct sl_policy *policy)
{
    return policy->version;
}

struct sl_slice sl_policy_notice(const struct sl_policy *policy)
{
    return policy->notice;
}

struct sl_slice sl_policy_short_notice(const struct sl_policy *policy)
{
    return policy->short_notice;
}
