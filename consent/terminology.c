/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Value sets in memory: see terminology.h. Two hash tables with open addressing: spellings of code systems, and codes
 * (exact ones and prefixes in one table, told apart by the seed of their hash). A code that stands in several
 * categories is a chain of rows. Everything lives in one arena and never changes after loading.
 */
#include "terminology.h"

#include <stdlib.h>

#include "csv.h"
#include "hash.h"

#define CEILING ((size_t)256 * 1024 * 1024)
#define SYSTEM_LIMIT 1024u
#define WILD_LIMIT 64u
#define CODE_LENGTH 32u /* bytes of a code in its normal form; a longer one is in no list */
#define URI_LENGTH 256u
#define PADDED_LENGTH 36u
#define OTHER_LIMIT 2u
#define NONE UINT32_MAX
#define EXACT_SEED 0x51u
#define PREFIX_SEED 0xa3u

enum form { FORM_ANY, FORM_ICD, FORM_DIGITS, FORM_SCTID, FORM_LOINC, FORM_PADDED };

struct system {
    struct sl_slice name;
    enum form form;
    bool claims; /* a code of another claims system may stand here */
    bool has_codes;
    uint32_t prefix_lengths; /* bit n: there are prefixes of n bytes */
    uint32_t file_line;
};

struct spelling { /* of a system: as written in systems.csv, or in normal form */
    struct sl_slice text;
    uint64_t hash;
    sl_system system;
};

struct row {
    char text[CODE_LENGTH];
    uint8_t len, category;
    bool weak, prefix;
    sl_system system;
    uint32_t line, next; /* next: another category of the same code */
};

struct sl_terminology {
    struct sl_arena *arena;
    struct sl_category categories[SL_CATEGORY_LIMIT];
    unsigned category_count;
    struct system *systems; /* SYSTEM_LIMIT; numbers 0 and 1 are SL_SYSTEM_NONE and SL_SYSTEM_UNKNOWN */
    unsigned system_count;
    struct spelling *spellings;
    size_t spelling_mask, spelling_count;
    struct spelling wild[WILD_LIMIT]; /* prefixes of systems' normal forms, the longest that fits holds */
    unsigned wild_count;
    struct row *rows;
    uint32_t row_count, row_limit;
    uint32_t *slots; /* hash -> first row */
    size_t slot_mask;
    sl_system icd10, icd10cm, icd9cm, icd10pcs, hcpcs, cpt, loinc,
        ciel; /* where codes in the wrong column are looked for; 0: not there */
};

/* ---- Normal forms ---- */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static struct sl_slice trim(struct sl_slice s)
{
    while (s.len && (unsigned char)s.ptr[0] <= ' ')
        s.ptr++, s.len--;
    while (s.len && (unsigned char)s.ptr[s.len - 1] <= ' ')
        s.len--;
    return s;
}

static bool drop_start(struct sl_slice *s, struct sl_slice start)
{
    if (s->len < start.len)
        return false;
    for (size_t i = 0; i < start.len; i++)
        if (lower(s->ptr[i]) != start.ptr[i])
            return false;
    *s = sl_slice_from(*s, start.len);
    return true;
}

/* A system without scheme, version and closing slash, in small letters; length 0 if there is nothing left, or too much.
 */
static size_t normal_system(struct sl_slice s, char out[URI_LENGTH])
{
    s = trim(s);
    if (!drop_start(&s, SL_LIT("http://")) && !drop_start(&s, SL_LIT("https://")))
        drop_start(&s, SL_LIT("urn:oid:"));
    const char *bar = s.len ? memchr(s.ptr, '|', s.len) : NULL;
    if (bar)
        s.len = (size_t)(bar - s.ptr);
    while (s.len && s.ptr[s.len - 1] == '/')
        s.len--;
    if (s.len > URI_LENGTH)
        return 0;
    for (size_t i = 0; i < s.len; i++)
        out[i] = lower(s.ptr[i]);
    return s.len;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return lower(c) >= 'a' && lower(c) <= 'z';
}

static bool is_digits(struct sl_slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_digit(s.ptr[i]))
            return false;
    return s.len > 0;
}

/* How many digits stand in front of the padding of a code of the CIEL dictionary as OpenMRS writes it: 36 characters,
 * filled up with A. 0: it is none. No other system has codes of this form. */
static size_t padded_digits(struct sl_slice code)
{
    size_t digits = 0;
    if (code.len != PADDED_LENGTH || code.ptr[code.len - 1] != 'A')
        return 0;
    while (is_digit(code.ptr[digits]))
        digits++;
    for (size_t i = digits; i < code.len; i++)
        if (code.ptr[i] != 'A')
            return 0;
    return digits;
}

/* A code as its system's codes are kept: ICD and its like in capitals, without dot and space; LOINC in capitals; CIEL
 * without its padding. 0: in no list. */
static size_t normal_code(enum form form, struct sl_slice code, char out[CODE_LENGTH])
{
    bool capitals = form == FORM_ICD || form == FORM_LOINC;
    code = trim(code);
    size_t len = 0, padded = form == FORM_PADDED ? padded_digits(code) : 0;
    if (padded)
        code.len = padded;
    for (size_t i = 0; i < code.len; i++) {
        char c = code.ptr[i];
        if (form == FORM_ICD && (c == '.' || c == ' '))
            continue;
        if (len == CODE_LENGTH)
            return 0;
        out[len++] = capitals && c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
    }
    return len;
}

/* ---- Systems ---- */

static const struct spelling *find_spelling(const struct sl_terminology *t, struct sl_slice text)
{
    uint64_t hash = sl_hash(text, 0);
    for (size_t i = hash & t->spelling_mask;; i = (i + 1) & t->spelling_mask) {
        const struct spelling *s = &t->spellings[i];
        if (!s->system)
            return NULL;
        if (s->hash == hash && sl_slice_eq(s->text, text))
            return s;
    }
}

static sl_system find_wild(const struct sl_terminology *t, struct sl_slice normal)
{
    const struct spelling *best = NULL;
    for (unsigned i = 0; i < t->wild_count; i++)
        if (sl_slice_starts(normal, t->wild[i].text) && (!best || t->wild[i].text.len > best->text.len))
            best = &t->wild[i];
    return best ? best->system : SL_SYSTEM_UNKNOWN;
}

sl_system sl_terminology_system(const struct sl_terminology *t, struct sl_slice system)
{
    if (system.len == 0)
        return SL_SYSTEM_NONE;
    const struct spelling *found = find_spelling(t, system); /* as systems.csv writes it: nearly always */
    if (found)
        return found->system;
    char buffer[URI_LENGTH];
    struct sl_slice normal = {buffer, normal_system(system, buffer)};
    if (normal.len == 0)
        return SL_SYSTEM_UNKNOWN;
    found = find_spelling(t, normal);
    return found ? found->system : find_wild(t, normal);
}

bool sl_terminology_knows_system(const struct sl_terminology *t, struct sl_slice system)
{
    return sl_terminology_system(t, system) > SL_SYSTEM_UNKNOWN;
}

/* ---- Codes ---- */

static uint64_t hash_code(sl_system system, bool prefix, struct sl_slice code)
{
    return sl_hash(code, (uint64_t)system << 8 | (prefix ? PREFIX_SEED : EXACT_SEED));
}

/* The slot of a code: of its first row, or the empty one where it would stand. */
static size_t slot_of(const struct sl_terminology *t, sl_system system, bool prefix, struct sl_slice code)
{
    size_t i = hash_code(system, prefix, code) & t->slot_mask;
    for (; t->slots[i] != NONE; i = (i + 1) & t->slot_mask) {
        const struct row *row = &t->rows[t->slots[i]];
        if (row->system == system && row->prefix == prefix && row->len == code.len &&
            memcmp(row->text, code.ptr, code.len) == 0)
            break;
    }
    return i;
}

static size_t add_hits(
    const struct sl_terminology *t, uint32_t first, struct sl_code_hit *hits, size_t count, size_t max)
{
    for (uint32_t r = first; r != NONE && count < max; r = t->rows[r].next) {
        const struct row *row = &t->rows[r];
        size_t same = 0;
        while (same < count && hits[same].category != row->category)
            same++;
        if (same == count)
            hits[count++] = (struct sl_code_hit){row->category, row->weak, row->prefix, row->line};
    }
    return count;
}

/* Exact rows first: what a list says of a code goes before what a prefix says of its neighbourhood. */
static size_t find_here(
    const struct sl_terminology *t, sl_system system, struct sl_slice code, struct sl_code_hit *hits, size_t max)
{
    char buffer[CODE_LENGTH];
    const struct system *s = &t->systems[system];
    if (!s->has_codes)
        return 0;
    struct sl_slice normal = {buffer, normal_code(s->form, code, buffer)};
    if (normal.len == 0)
        return 0;
    size_t count = add_hits(t, t->slots[slot_of(t, system, false, normal)], hits, 0, max);
    for (uint32_t lengths = s->prefix_lengths; lengths; lengths &= lengths - 1) {
        size_t len = (size_t)__builtin_ctz(lengths);
        if (len > normal.len)
            break;
        count = add_hits(t, t->slots[slot_of(t, system, true, (struct sl_slice){buffer, len})], hits, count, max);
    }
    return count;
}

/* LOINC: digits, hyphen, and a check digit modulo 10 (Luhn). Parts, answers and lists have two letters in front, and a
 * check digit of another kind, which is not checked. */
static bool is_loinc(struct sl_slice code)
{
    bool part = code.len > 4 && lower(code.ptr[0]) == 'l' && is_letter(code.ptr[1]);
    if (part)
        code = sl_slice_from(code, 2);
    if (code.len < 3 || code.len > 10 || code.ptr[code.len - 2] != '-' || !is_digit(code.ptr[code.len - 1]))
        return false;
    unsigned sum = 0;
    for (size_t i = code.len - 2, place = 0; i-- > 0; place++) {
        if (!is_digit(code.ptr[i]))
            return false;
        unsigned digit = (unsigned)(code.ptr[i] - '0');
        sum += place % 2 ? digit : digit * 2 / 10 + digit * 2 % 10;
    }
    return part || (sum + (unsigned)(code.ptr[code.len - 1] - '0')) % 10 == 0;
}

/* A letter, a digit, and letters and digits, as ICD-10 has them. */
static bool is_icd10(struct sl_slice code)
{
    if (code.len < 3 || code.len > 7 || !is_letter(code.ptr[0]) || !is_digit(code.ptr[1]))
        return false;
    for (size_t i = 2; i < code.len; i++)
        if (!is_letter(code.ptr[i]) && !is_digit(code.ptr[i]))
            return false;
    return true;
}

/* HCPCS: a letter that HCPCS Level II uses, and four digits. Others of this form can only be ICD-10. */
static bool is_hcpcs(struct sl_slice code)
{
    return code.len == 5 && is_letter(code.ptr[0]) && !memchr("FINOWXYZ", code.ptr[0] & ~0x20, 8) &&
           is_digits(sl_slice_from(code, 1));
}

/* CPT: five digits, or four and a letter (categories II and III). */
static bool is_cpt(struct sl_slice code)
{
    return code.len == 5 && is_digits((struct sl_slice){code.ptr, 4}) &&
           (is_digit(code.ptr[4]) || is_letter(code.ptr[4]));
}

/* Where else a code in the wrong column may belong, by its form: see terminology.h. Gives how many systems. */
static size_t other_systems(
    const struct sl_terminology *t, sl_system system, struct sl_slice code, sl_system out[OTHER_LIMIT])
{
    size_t count = 0;
    if (system == t->icd10)
        out[count++] = t->icd10cm; /* the same codes, as far as they go */
    else if (code.len >= 3 && memchr(code.ptr, '.', code.len)) {
        out[count++] = t->icd10cm;
        out[count++] = t->icd9cm;
    } else if (is_hcpcs(code)) {
        out[count++] = t->hcpcs;
    } else if (system != SL_SYSTEM_NONE && is_cpt(code)) {
        out[count++] = t->cpt;
    } else if (system == SL_SYSTEM_NONE && is_loinc(code)) {
        out[count++] = t->loinc;
    } else if (code.len == 7 && !is_digits(code) && !memchr(code.ptr, '-', code.len)) {
        out[count++] = t->icd10pcs;
        out[count++] = t->icd10cm;
    } else if (is_icd10(code)) {
        out[count++] = t->icd10cm;
    }
    return count;
}

/* May a code of another system stand here? Where nothing says which system it is, where claims mix them, and where the
 * code cannot be one of the system named. */
static bool may_be_another(const struct sl_terminology *t, sl_system system, struct sl_slice code)
{
    return system == SL_SYSTEM_NONE || t->systems[system].claims ||
           (system > SL_SYSTEM_UNKNOWN && t->systems[system].form != FORM_ANY &&
               !sl_terminology_knows(t, system, code));
}

size_t sl_terminology_find_in(
    const struct sl_terminology *t, sl_system system, struct sl_slice code, struct sl_code_hit *hits, size_t max)
{
    SL_ASSERT(system < t->system_count);
    size_t count = system > SL_SYSTEM_UNKNOWN ? find_here(t, system, code, hits, max) : 0;
    if (count)
        return count;
    code = trim(code);
    if (padded_digits(code))
        return t->ciel && t->ciel != system ? find_here(t, t->ciel, code, hits, max) : 0;
    if (!may_be_another(t, system, code))
        return 0;
    sl_system other[OTHER_LIMIT];
    size_t others = other_systems(t, system, code, other);
    for (size_t i = 0; i < others && !count; i++)
        if (other[i] && other[i] != system)
            count = find_here(t, other[i], code, hits, max);
    return count;
}

size_t sl_terminology_find(
    const struct sl_terminology *t, struct sl_slice system, struct sl_slice code, struct sl_code_hit *hits, size_t max)
{
    return sl_terminology_find_in(t, sl_terminology_system(t, system), code, hits, max);
}

/* The product of two elements of the dihedral group of order ten, 0 to 4 the turns and 5 to 9 the reflections. */
static unsigned times(unsigned a, unsigned b)
{
    unsigned turn = (a < 5 ? a + b : a + 10 - b) % 5;
    return (a < 5) == (b < 5) ? turn : 5 + turn;
}

/* SNOMED CT: 6 to 18 digits, the last of them a check digit after Verhoeff. */
static bool is_sctid(struct sl_slice code)
{
    static const char turned[8][11] = {"0123456789", "1576283094", "5803796142", "8916043527", "9453126870",
        "4286573901", "2793806415", "7046913258"}; /* what each digit counts for, by its place from the right */
    unsigned check = 0;
    if (code.len < 6 || code.len > 18 || code.ptr[0] == '0' || !is_digits(code))
        return false;
    for (size_t i = code.len, place = 0; i-- > 0; place++)
        check = times(check, (unsigned)(turned[place % 8][code.ptr[i] - '0'] - '0'));
    return check == 0;
}

/* Letters and digits, with dots and spaces between: nothing longer than the codes there are. */
static bool is_icd_like(struct sl_slice code)
{
    size_t len = 0;
    for (size_t i = 0; i < code.len; i++) {
        char c = code.ptr[i];
        if (!is_letter(c) && !is_digit(c) && c != '.' && c != ' ')
            return false;
        len += c != '.' && c != ' ';
    }
    return len > 0 && len <= 10;
}

/* check: with the check digit, where there is one that lists are not sure to have right. */
static bool fits(enum form form, struct sl_slice code, bool check)
{
    switch (form) {
    case FORM_DIGITS:
        return is_digits(code);
    case FORM_SCTID:
        return check ? is_sctid(code) : is_digits(code);
    case FORM_LOINC:
        return is_loinc(code);
    case FORM_PADDED:
        return is_digits(code) || padded_digits(code);
    case FORM_ICD:
        return is_icd_like(code);
    case FORM_ANY:
        return true;
    }
    return false;
}

bool sl_terminology_knows(const struct sl_terminology *t, sl_system system, struct sl_slice code)
{
    SL_ASSERT(system < t->system_count);
    code = trim(code);
    return system > SL_SYSTEM_UNKNOWN && code.len && fits(t->systems[system].form, code, true);
}

/* ---- Categories ---- */

size_t sl_terminology_category_count(const struct sl_terminology *t)
{
    return t->category_count;
}

const struct sl_category *sl_terminology_category(const struct sl_terminology *t, unsigned category)
{
    return category < t->category_count ? &t->categories[category] : NULL;
}

unsigned sl_terminology_category_find(const struct sl_terminology *t, struct sl_slice id)
{
    for (unsigned i = 0; i < t->category_count; i++)
        if (sl_slice_eq(t->categories[i].id, id))
            return i;
    return SL_CATEGORY_LIMIT;
}

/* ---- Loading ---- */

_Static_assert(CODE_LENGTH == 32, "a bit of prefix_lengths for each length below it");

struct loading {
    struct sl_terminology *t;
    struct sl_csv csv;
    struct sl_issues *issues;
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
    struct sl_slice normal = {buffer, normal_system(text, buffer)};
    const struct spelling *old = normal.len ? find_spelling(t, normal) : NULL;
    if (normal.len == 0 || (!wild && old && old->system != system)) {
        sl_csv_complain(&l->csv, "system", "the spelling belongs to another system, or is empty", text);
    } else if (t->spelling_count + 3 > t->spelling_mask / 2 || (wild && t->wild_count == WILD_LIMIT)) {
        sl_csv_complain(&l->csv, "system", "there are more spellings of systems than Sluice can hold", text);
    } else if (wild) {
        t->wild[t->wild_count++] = (struct spelling){sl_arena_copy(t->arena, normal), 0, system};
    } else if (!old) {
        put_spelling(t, sl_arena_copy(t->arena, normal), system);
        if (!find_spelling(t, text))
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
    static const char *const forms[] = {"any", "icd", "digits", "sctid", "loinc", "padded", NULL};
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

/* Puts the row at the end of its code's chain. False: the code stands in this category already, or in too many. */
static bool put_row(struct sl_terminology *t, const struct row *row)
{
    size_t slot = slot_of(t, row->system, row->prefix, (struct sl_slice){row->text, row->len});
    uint32_t *end = &t->slots[slot];
    for (unsigned categories = 0; *end != NONE; end = &t->rows[*end].next)
        if (t->rows[*end].category == row->category || ++categories == SL_CODE_HITS)
            return false;
    t->systems[row->system].has_codes = true;
    t->rows[t->row_count] = *row;
    *end = t->row_count++;
    return true;
}

static void take_row(struct loading *l, bool prefix)
{
    static const char *const evidence[] = {"strong", "weak", NULL};
    const struct sl_slice *f = l->csv.field;
    struct sl_terminology *t = l->t;
    struct row row = {.prefix = prefix, .line = l->csv.line, .next = NONE};
    row.system = find_name(t, f[0]);
    if (!row.system)
        row.system = sl_terminology_system(t, f[0]);
    bool none = sl_slice_eq(f[2], SL_LIT("none")); /* judged, and not sensitive: in the file for the record */
    unsigned category = sl_terminology_category_find(t, f[2]);
    int weak = none ? 0 : word_of(f[3], evidence);
    row.category = (uint8_t)category;
    row.weak = weak == 1;
    row.len = (uint8_t)normal_code(t->systems[row.system].form, f[1], row.text);
    if (row.system <= SL_SYSTEM_UNKNOWN)
        sl_csv_complain(&l->csv, "system", "systems.csv has no such system", f[0]);
    else if (row.len == 0 || row.len == CODE_LENGTH)
        sl_csv_complain(&l->csv, "code", "the code is empty or too long", f[1]);
    else if (!prefix && !fits(t->systems[row.system].form, trim(f[1]), false))
        sl_csv_complain(&l->csv, "code", "no code of this system has this form", f[1]);
    else if (!none && category == SL_CATEGORY_LIMIT)
        sl_csv_complain(&l->csv, "category", "categories.csv has no such category", f[2]);
    else if (weak < 0)
        sl_csv_complain(&l->csv, "evidence", "evidence must be strong or weak", f[3]);
    else if (f[4].len == 0)
        sl_csv_complain(&l->csv, "source", "a row needs a source", f[1]);
    else if (!none && !put_row(t, &row))
        sl_csv_complain(&l->csv, "code", "the code stands in this category already, or in too many", f[1]);
    else if (!none && prefix)
        t->systems[row.system].prefix_lengths |= (uint32_t)1 << row.len;
}

static void take_code(struct loading *l)
{
    take_row(l, false);
}

static void take_prefix(struct loading *l)
{
    take_row(l, true);
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

static const struct kind *kind_of(struct sl_slice name)
{
    for (size_t i = 0; i < KIND_COUNT; i++) {
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
