/* SPDX-License-Identifier: Apache-2.0 */
/* Value sets from their CSV files into memory: see terminology.h for what they are, terminology_model.h for how. */
#include "csv.h"
#include "terminology_model.h"

#define CEILING ((size_t)256 * 1024 * 1024)

_Static_assert(CODE_LENGTH == 32, "a bit of prefix_lengths for each length below it");

struct loading {
    struct sl_terminology *t;
    struct sl_csv csv;
    struct sl_issues *issues;
    uint16_t file; /* being read */
};

/* The place of a word in a NULL-ended list; -1: it is none of them. */
static int word_of(struct sl_slice word, const char *const *words)
{
    for (int i = 0; words[i]; i++)
        if (sl_slice_eq(word, sl_slice_of(words[i])))
            return i;
    return -1;
}

static size_t count_words(struct sl_slice list)
{
    size_t count = list.len > 0;
    for (size_t i = 0; i < list.len; i++)
        count += list.ptr[i] == '|';
    return count;
}

/* Takes the first word off a list separated by '|'. */
static struct sl_slice next_word(struct sl_slice *list)
{
    const char *bar = memchr(list->ptr, '|', list->len);
    struct sl_slice word = {list->ptr, bar ? (size_t)(bar - list->ptr) : list->len};
    *list = sl_slice_from(*list, word.len + 1);
    return word;
}

static void keep_also_match(struct sl_terminology *t, struct sl_category *category, struct sl_slice list)
{
    size_t count = count_words(list);
    struct sl_slice *words = sl_arena_array(t->arena, count, sizeof *words);
    for (size_t i = 0; words && i < count; i++)
        words[i] = sl_arena_copy(t->arena, next_word(&list));
    category->also_match = words;
    category->also_match_count = words ? count : 0;
}

static void take_category(struct loading *l)
{
    static const char *const candidates[] = {"no", "yes", "if-program", NULL};
    const struct sl_slice *f = l->csv.field;
    struct sl_terminology *t = l->t;
    int part2 = word_of(f[3], candidates);
    if (f[0].len == 0 || sl_slice_eq(f[0], SL_LIT("none")) ||
        sl_terminology_category_find(t, f[0]) != SL_CATEGORY_LIMIT) {
        sl_csv_complain(&l->csv, "category", "the category stands twice, or has no name", f[0]);
    } else if (f[2].len != 1 || !memchr("VRNMLU", f[2].ptr[0], 6)) {
        sl_csv_complain(&l->csv, "category", "confidentiality must be one of V R N M L U", f[2]);
    } else if (part2 < 0) {
        sl_csv_complain(&l->csv, "category", "part2 must be yes, no or if-program", f[3]);
    } else if (t->category_count == SL_CATEGORY_LIMIT) {
        sl_csv_complain(&l->csv, "category", "there are more categories than Sluice can hold", f[0]);
    } else {
        struct sl_category *c = &t->categories[t->category_count++];
        *c = (struct sl_category){.id = sl_arena_copy(t->arena, f[0]),
            .sensitivity = sl_arena_copy(t->arena, f[1]),
            .confidentiality = f[2].ptr[0],
            .part2 = (enum sl_candidate)part2};
        keep_also_match(t, c, f[4]);
    }
}

static void put_spelling(struct sl_terminology *t, struct sl_slice text, sl_system system)
{
    uint64_t hash = sl_hash(text, 0);
    size_t i = hash & t->spelling_mask;
    while (t->spellings[i].system)
        i = (i + 1) & t->spelling_mask;
    t->spellings[i] = (struct spelling){text, hash, system};
    t->spelling_count++;
}

static void add_spelling(struct loading *l, struct sl_slice text, sl_system system)
{
    struct sl_terminology *t = l->t;
    char buffer[URI_LENGTH];
    bool wild = text.len && text.ptr[text.len - 1] == '*';
    if (wild)
        text.len--;
    struct sl_slice normal = {buffer, sl_terminology_normal_system(text, buffer)};
    const struct spelling *old = normal.len ? sl_terminology_spelling(t, normal) : NULL;
    if (normal.len == 0 || (!wild && old && old->system != system)) {
        sl_csv_complain(&l->csv, "system", "the spelling belongs to another system, or is empty", text);
    } else if (t->spelling_count + 3 > t->spelling_mask / 2 || (wild && t->wild_count == WILD_LIMIT)) {
        sl_csv_complain(&l->csv, "system", "there are more spellings of systems than Sluice can hold", text);
    } else if (wild) {
        t->wild[t->wild_count++] = (struct spelling){sl_arena_copy(t->arena, normal), 0, system};
    } else if (!old) {
        put_spelling(t, sl_arena_copy(t->arena, normal), system);
        if (!sl_terminology_spelling(t, text))
            put_spelling(t, sl_arena_copy(t->arena, text), system);
    }
}

static sl_system find_name(const struct sl_terminology *t, struct sl_slice name)
{
    for (unsigned i = SL_SYSTEM_UNKNOWN + 1u; i < t->system_count; i++)
        if (sl_slice_eq(t->systems[i].name, name))
            return (sl_system)i;
    return SL_SYSTEM_NONE;
}

static void take_system(struct loading *l)
{
    static const char *const kinds[] = {"code", "group", "label", NULL};
    static const char *const forms[] = {"any", "icd", "digits", "sctid", "loinc", "padded", "listed", NULL};
    static const char *const families[] = {"", "claims", NULL};
    const struct sl_slice *f = l->csv.field;
    struct sl_terminology *t = l->t;
    int form = word_of(f[3], forms), family = word_of(f[4], families);
    if (f[0].len == 0 || find_name(t, f[0])) {
        sl_csv_complain(&l->csv, "system", "the system stands twice, or has no name", f[0]);
    } else if (word_of(f[2], kinds) < 0 || form < 0 || family < 0) {
        sl_csv_complain(&l->csv, "system", "kind, form or family is no known word", f[0]);
    } else if (t->system_count == SYSTEM_LIMIT) {
        sl_csv_complain(&l->csv, "system", "there are more systems than Sluice can hold", f[0]);
    } else {
        sl_system system = (sl_system)t->system_count++;
        t->systems[system] = (struct system){.name = sl_arena_copy(t->arena, f[0]),
            .form = (enum form)form,
            .claims = family == 1,
            .file_line = l->csv.line};
        add_spelling(l, f[1], system);
        for (struct sl_slice list = f[5]; list.len;)
            add_spelling(l, next_word(&list), system);
    }
}

/* The number of a text of origin: there are few, and rows of one follow one another. */
static uint8_t keep_source(struct sl_terminology *t, struct sl_slice text)
{
    for (unsigned i = t->source_count; i-- > 0;)
        if (sl_slice_eq(t->sources[i], text))
            return (uint8_t)i;
    if (t->source_count == SOURCE_LIMIT) {
        t->sources[SOURCE_LIMIT] = SL_LIT("see the file");
        return SOURCE_LIMIT;
    }
    t->sources[t->source_count] = sl_arena_copy(t->arena, text);
    return (uint8_t)t->source_count++;
}

/* Puts the row at the end of its code's chain. A site's row takes the place of another in its category. False: the code
 * stands in this category already, or in too many. */
static bool put_row(struct sl_terminology *t, const struct row *row, bool site)
{
    size_t slot = sl_terminology_slot(t, row->system, row->kind, (struct sl_slice){row->text, row->len});
    uint32_t *end = &t->slots[slot];
    unsigned categories = 0;
    for (; *end != NONE && t->rows[*end].category != row->category; end = &t->rows[*end].next)
        categories++;
    if (*end != NONE && !site)
        return false;
    if (*end != NONE) {
        uint32_t next = t->rows[*end].next;
        t->rows[*end] = *row;
        t->rows[*end].next = next;
        return true;
    }
    if (categories == SL_CODE_HITS)
        return false;
    t->systems[row->system].has_codes = true;
    t->rows[t->row_count] = *row;
    *end = t->row_count++;
    return true;
}

/* What is wrong with a row's fields, other than its place; NULL: nothing. *wrong is the field. */
static const char *row_mistake(
    const struct loading *l, const struct row *row, bool none, int weak, struct sl_slice *wrong)
{
    const struct sl_slice *f = l->csv.field;
    const struct {
        bool mistake;
        unsigned field;
        const char *text;
    } checks[] = {{row->system <= SL_SYSTEM_UNKNOWN, 0, "systems.csv has no such system"},
        {row->len == 0 || row->len == CODE_LENGTH, 1, "the code is empty or too long"},
        {row->kind != ROW_PREFIX && !sl_terminology_fits(l->t->systems[row->system].form, trim(f[1]), false), 1,
            "no code of this system has this form"},
        {!none && row->category == SL_CATEGORY_LIMIT, 2, "categories.csv has no such category"},
        {weak < 0, 3, "evidence must be strong or weak"}, {f[4].len == 0, 4, "a row needs a source"}};
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
        if (checks[i].mistake) {
            *wrong = f[checks[i].field];
            return checks[i].text;
        }
    return NULL;
}

static void take_row(struct loading *l, enum row_kind kind, bool site)
{
    static const char *const evidence[] = {"strong", "weak", NULL};
    const struct sl_slice *f = l->csv.field;
    struct sl_terminology *t = l->t;
    struct row row = {.kind = kind, .line = l->csv.line, .next = NONE, .file = l->file};
    row.system = find_name(t, f[0]);
    if (!row.system)
        row.system = sl_terminology_system(t, f[0]);
    bool none = sl_slice_eq(f[2], SL_LIT("none")); /* judged, and not sensitive */
    int weak = none ? 0 : word_of(f[3], evidence);
    row.category = (uint8_t)sl_terminology_category_find(t, f[2]);
    row.weak = weak == 1;
    row.len = (uint8_t)sl_terminology_normal_code(t->systems[row.system].form, f[1], row.text);
    struct sl_slice wrong = {NULL, 0};
    const char *mistake = row_mistake(l, &row, none, weak, &wrong);
    if (mistake) {
        sl_csv_complain(&l->csv, "code", mistake, wrong);
        return;
    }
    row.source = keep_source(t, f[4]);
    if (none)
        row.kind = ROW_NONE;
    if (!put_row(t, &row, site))
        sl_csv_complain(&l->csv, "code", "the code stands in this category already, or in too many", f[1]);
    else if (row.kind == ROW_PREFIX)
        t->systems[row.system].prefix_lengths |= (uint32_t)1 << row.len;
}

static void take_code(struct loading *l)
{
    take_row(l, ROW_EXACT, false);
}

static void take_site_code(struct loading *l)
{
    take_row(l, ROW_EXACT, true);
}

static void take_prefix(struct loading *l)
{
    take_row(l, ROW_PREFIX, false);
}

/* The kinds of file, in the order they are read: later ones name what earlier ones define. */
static const struct kind {
    const char *start; /* of the file's name */
    const char *const *columns;
    void (*take)(struct loading *loading);
} kinds[] = {
    {"categories", (const char *const[]){"id", "sensitivity", "confidentiality", "part2", "also_match", NULL},
        take_category},
    {"systems", (const char *const[]){"name", "uri", "kind", "form", "family", "aliases", NULL}, take_system},
    {"prefixes", (const char *const[]){"system", "prefix", "category", "evidence", "source", NULL}, take_prefix},
    {"codes", (const char *const[]){"system", "code", "category", "evidence", "source", NULL}, take_code},
    {"codes-site", (const char *const[]){"system", "code", "category", "evidence", "source", NULL}, take_site_code},
};
#define KIND_COUNT (sizeof kinds / sizeof *kinds)

/* The name of a file of ours, without folder and ending; empty: none of ours. */
static struct sl_slice base_name(struct sl_slice path)
{
    struct sl_slice folder = SL_LIT("terminology/");
    if (path.len < 4 || memcmp(path.ptr + path.len - 4, ".csv", 4) != 0)
        return (struct sl_slice){NULL, 0};
    struct sl_slice name = {path.ptr, path.len - 4};
    const char *slash = memrchr(name.ptr, '/', name.len);
    size_t at = slash ? (size_t)(slash + 1 - name.ptr) : 0;
    if (at < folder.len || memcmp(name.ptr + at - folder.len, folder.ptr, folder.len) != 0)
        return (struct sl_slice){NULL, 0};
    return sl_slice_from(name, at);
}

/* The kind whose name the file's begins with; the longest, which comes later. */
static const struct kind *kind_of(struct sl_slice name)
{
    for (size_t i = KIND_COUNT; i-- > 0;) {
        struct sl_slice start = sl_slice_of(kinds[i].start);
        if (sl_slice_starts(name, start) && (name.len == start.len || name.ptr[start.len] == '-'))
            return &kinds[i];
    }
    return NULL;
}

static void load_kind(struct loading *l, const struct kind *kind, const struct sl_policy_file *files, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (kind_of(base_name(files[i].path)) != kind)
            continue;
        if (!sl_csv_open(&l->csv, files[i].path, files[i].text, kind->columns, l->t->arena, l->issues))
            continue;
        l->file = (uint16_t)l->t->file_count;
        l->t->files[l->t->file_count++] = sl_arena_copy(l->t->arena, files[i].path);
        while (sl_csv_next(&l->csv))
            kind->take(l);
    }
}

/* Room for every row there can be, so that nothing moves while rows point at one another. */
static bool make_room(struct sl_terminology *t, const struct sl_policy_file *files, size_t count)
{
    size_t lines = 0;
    for (size_t i = 0; i < count; i++)
        if (base_name(files[i].path).len)
            for (size_t b = 0; b < files[i].text.len; b++)
                lines += files[i].text.ptr[b] == '\n';
    t->row_limit = (uint32_t)(lines + count + 1);
    size_t slots = 64;
    while (slots < (size_t)t->row_limit * 2)
        slots *= 2;
    t->spelling_mask = 4095;
    t->slot_mask = slots - 1;
    t->systems = sl_arena_array(t->arena, SYSTEM_LIMIT, sizeof *t->systems);
    t->spellings = sl_arena_array(t->arena, t->spelling_mask + 1, sizeof *t->spellings);
    t->rows = sl_arena_array(t->arena, t->row_limit, sizeof *t->rows);
    t->slots = sl_arena_raw(t->arena, slots, sizeof *t->slots);
    if (sl_arena_failed(t->arena))
        return false;
    memset(t->slots, 0xff, slots * sizeof *t->slots);
    t->system_count = SL_SYSTEM_UNKNOWN + 1u;
    return true;
}

static void complain_about_files(struct loading *l, const struct sl_policy_file *files, size_t count)
{
    bool seen[KIND_COUNT] = {false};
    for (size_t i = 0; i < count; i++) {
        struct sl_slice name = base_name(files[i].path);
        const struct kind *kind = kind_of(name);
        if (kind)
            seen[kind - kinds] = true;
        struct sl_issue *issue = NULL;
        if (name.len && !kind)
            issue = sl_issue_add(l->issues, SL_GRADE_ERROR, "terminology-file",
                "no terminology file is called so: categories, systems, prefixes, codes-NAME");
        if (issue)
            issue->file = files[i].path;
    }
    if (!seen[0] || !seen[1])
        sl_issue_add(l->issues, SL_GRADE_ERROR, "terminology-file",
            "terminology/categories.csv and terminology/systems.csv must be there");
}

static enum sl_status load_all(struct loading *l, const struct sl_policy_file *files, size_t count)
{
    struct sl_terminology *t = l->t;
    if (count > FILE_LIMIT)
        return SL_LIMIT;
    if (!make_room(t, files, count))
        return SL_NO_MEMORY;
    size_t before = l->issues->errors;
    complain_about_files(l, files, count);
    for (size_t i = 0; i < KIND_COUNT; i++)
        load_kind(l, &kinds[i], files, count);
    t->icd10 = find_name(t, SL_LIT("icd-10"));
    t->icd10cm = find_name(t, SL_LIT("icd-10-cm"));
    t->icd9cm = find_name(t, SL_LIT("icd-9-cm"));
    t->icd10pcs = find_name(t, SL_LIT("icd-10-pcs"));
    t->hcpcs = find_name(t, SL_LIT("hcpcs"));
    t->cpt = find_name(t, SL_LIT("cpt"));
    t->loinc = find_name(t, SL_LIT("loinc"));
    t->snomed = find_name(t, SL_LIT("snomed-ct"));
    t->ciel = find_name(t, SL_LIT("ciel"));
    if (sl_arena_failed(t->arena))
        return SL_NO_MEMORY;
    return l->issues->errors > before ? SL_INVALID : SL_OK;
}

enum sl_status sl_terminology_load(
    const struct sl_policy_file *files, size_t count, struct sl_issues *issues, struct sl_terminology **out)
{
    *out = NULL;
    struct sl_issues uncounted = {0};
    struct sl_arena *arena = sl_arena_new(CEILING);
    struct sl_terminology *t = arena ? sl_arena_alloc(arena, sizeof *t) : NULL;
    if (!t) {
        sl_arena_free(arena);
        return SL_NO_MEMORY;
    }
    t->arena = arena;
    uncounted.arena = arena; /* errors count even where nobody listens */
    struct loading loading = {.t = t, .issues = issues ? issues : &uncounted};
    enum sl_status status = load_all(&loading, files, count);
    if (status != SL_OK) {
        sl_arena_free(arena);
        return status;
    }
    *out = t;
    return SL_OK;
}

void sl_terminology_free(struct sl_terminology *terminology)
{
    if (terminology)
        sl_arena_free(terminology->arena); /* which holds the terminology itself */
}
