/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the value sets say of a code: see terminology.h. Nothing here allocates or changes anything.
 */
#include "terminology_model.h"

/* ---- Normal forms ---- */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
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
size_t sl_terminology_normal_system(struct sl_slice s, char out[URI_LENGTH])
{
    s = trim(s);
    if (!drop_start(&s, SL_LIT("http://")) && !drop_start(&s, SL_LIT("https://")))
        drop_start(&s, SL_LIT("urn:oid:"));
    const char *bar = s.len ? memchr(s.ptr, '|', s.len) : NULL;
    if (bar)
        s.len = (size_t)(bar - s.ptr);
    while (s.len && (s.ptr[s.len - 1] == '/' || (unsigned char)s.ptr[s.len - 1] <= ' '))
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
size_t sl_terminology_normal_code(enum form form, struct sl_slice code, char out[CODE_LENGTH])
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

const struct spelling *sl_terminology_spelling(const struct sl_terminology *t, struct sl_slice text)
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
    const struct spelling *found = sl_terminology_spelling(t, system); /* as systems.csv writes it: nearly always */
    if (found)
        return found->system;
    char buffer[URI_LENGTH];
    struct sl_slice normal = {buffer, sl_terminology_normal_system(system, buffer)};
    if (normal.len == 0)
        return SL_SYSTEM_UNKNOWN;
    found = sl_terminology_spelling(t, normal);
    return found ? found->system : find_wild(t, normal);
}

bool sl_terminology_knows_system(const struct sl_terminology *t, struct sl_slice system)
{
    return sl_terminology_system(t, system) > SL_SYSTEM_UNKNOWN;
}

/* ---- Codes ---- */

static uint64_t hash_code(sl_system system, enum row_kind kind, struct sl_slice code)
{
    static const uint8_t seeds[] = {[ROW_EXACT] = EXACT_SEED, [ROW_PREFIX] = PREFIX_SEED, [ROW_NONE] = NONE_SEED};
    return sl_hash(code, (uint64_t)system << 8 | seeds[kind]);
}

/* The slot of a code: of its first row, or the empty one where it would stand. */
size_t sl_terminology_slot(const struct sl_terminology *t, sl_system system, enum row_kind kind, struct sl_slice code)
{
    size_t i = hash_code(system, kind, code) & t->slot_mask;
    for (; t->slots[i] != NONE; i = (i + 1) & t->slot_mask) {
        const struct row *row = &t->rows[t->slots[i]];
        if (row->system == system && row->kind == kind && row->len == code.len &&
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
            hits[count++] = (struct sl_code_hit){row->category, row->weak, row->kind == ROW_PREFIX, r};
    }
    return count;
}

/* The code as kept: nearly always as written, and then nothing is copied. Length 0: in no list. */
static inline struct sl_slice normal_form(enum form form, struct sl_slice code, char buffer[CODE_LENGTH])
{
    if (form == FORM_ICD || form == FORM_LOINC || form == FORM_PADDED)
        return (struct sl_slice){buffer, sl_terminology_normal_code(form, code, buffer)};
    code = trim(code);
    return code.len < CODE_LENGTH ? code : (struct sl_slice){NULL, 0};
}

/* Adds to `count` hits what a system's lists say. Exact rows first: what a list says of a code goes before what a
 * prefix says of its neighbourhood. */
static size_t find_here(const struct sl_terminology *t, sl_system system, struct sl_slice code,
    struct sl_code_hit *hits, size_t count, size_t max)
{
    char buffer[CODE_LENGTH];
    const struct system *s = &t->systems[system];
    if (!s->has_codes)
        return count;
    struct sl_slice normal = normal_form(s->form, code, buffer);
    if (normal.len == 0)
        return count;
    count = add_hits(t, t->slots[sl_terminology_slot(t, system, ROW_EXACT, normal)], hits, count, max);
    for (uint32_t lengths = s->prefix_lengths; lengths; lengths &= lengths - 1) {
        size_t len = (size_t)__builtin_ctz(lengths);
        if (len > normal.len)
            break;
        count = add_hits(t, t->slots[sl_terminology_slot(t, system, ROW_PREFIX, (struct sl_slice){normal.ptr, len})],
            hits, count, max);
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

/* SNOMED CT: 6 to 18 digits, the last of them a check digit after Verhoeff: the product of what the digits count for,
 * by their place from the right, in the dihedral group of order ten. */
static bool is_sctid(struct sl_slice code)
{
    static const char product[10][11] = {"0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
        "5987604321", "6598710432", "7659821043", "8765932104", "9876543210"};
    static const char counts[8][11] = {
        "0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901", "2793806415", "7046913258"};
    char check = '0';
    if (code.len < 6 || code.len > 18 || code.ptr[0] == '0' || !is_digits(code))
        return false;
    for (size_t i = code.len, place = 0; i-- > 0; place++)
        check = product[check - '0'][counts[place % 8][code.ptr[i] - '0'] - '0'];
    return check == '0';
}

/* The same, and too long to be one of the short numbers that other systems have. */
static bool is_concept(struct sl_slice code)
{
    return code.len > 6 && is_sctid(code);
}

/* A code of ICD-10 with its dot: F11.20. */
static bool is_dotted(struct sl_slice code)
{
    return code.len > 4 && code.len <= 8 && code.ptr[3] == '.' && is_letter(code.ptr[0]) && is_digit(code.ptr[1]) &&
           (is_letter(code.ptr[2]) || is_digit(code.ptr[2])) && (is_letter(code.ptr[4]) || is_digit(code.ptr[4]));
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
    } else if (is_concept(code)) {
        out[count++] = t->snomed;
    }
    return count;
}

/* May a code of another system stand here? Where nothing says which system it is, where claims mix them, and where the
 * code cannot be one of the system named. */
static bool may_be_another(const struct sl_terminology *t, sl_system system, struct sl_slice code)
{
    return system == SL_SYSTEM_NONE || t->systems[system].claims ||
           (system > SL_SYSTEM_UNKNOWN && !sl_terminology_fits(t->systems[system].form, code, false));
}

/* Adds what the systems say whose form the code has; the first that says anything is enough. */
static size_t find_elsewhere(const struct sl_terminology *t, sl_system system, struct sl_slice code,
    struct sl_code_hit *hits, size_t count, size_t max)
{
    sl_system other[OTHER_LIMIT];
    size_t before = count, others = other_systems(t, system, code, other);
    for (size_t i = 0; i < others && count == before; i++)
        if (other[i] && other[i] != system)
            count = find_here(t, other[i], code, hits, count, max);
    return count;
}

size_t sl_terminology_find_in(
    const struct sl_terminology *t, sl_system system, struct sl_slice code, struct sl_code_hit *hits, size_t max)
{
    SL_ASSERT(system < t->system_count);
    size_t count = system > SL_SYSTEM_UNKNOWN ? find_here(t, system, code, hits, 0, max) : 0;
    /* A prefix may fit what is another system's code: G1028 is no code of ICD-10-CM's G10. */
    bool certain = count && !(hits[0].by_prefix && t->systems[system].claims);
    if (certain)
        return count;
    code = trim(code);
    if (padded_digits(code))
        return t->ciel && t->ciel != system ? find_here(t, t->ciel, code, hits, count, max) : count;
    if (may_be_another(t, system, code))
        return find_elsewhere(t, system, code, hits, count, max);
    enum form form = t->systems[system].form;
    bool anything = system == SL_SYSTEM_UNKNOWN || form == FORM_ANY || form == FORM_LISTED;
    sl_system other = !anything ? SL_SYSTEM_NONE : is_dotted(code) ? t->icd10cm : is_concept(code) ? t->snomed : 0;
    return other ? find_here(t, other, code, hits, count, max) : count;
}

size_t sl_terminology_find(
    const struct sl_terminology *t, struct sl_slice system, struct sl_slice code, struct sl_code_hit *hits, size_t max)
{
    return sl_terminology_find_in(t, sl_terminology_system(t, system), code, hits, max);
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

bool sl_terminology_fits(enum form form, struct sl_slice code, bool check)
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
    case FORM_LISTED:
        return !check; /* known by its row alone */
    case FORM_ANY:
        return true;
    }
    return false;
}

/* The row by which a code is judged not to be sensitive; NONE: there is none. */
static uint32_t find_none(const struct sl_terminology *t, sl_system system, struct sl_slice code)
{
    char buffer[CODE_LENGTH];
    struct sl_slice normal = {buffer, sl_terminology_normal_code(t->systems[system].form, code, buffer)};
    return t->systems[system].has_codes && normal.len ? t->slots[sl_terminology_slot(t, system, ROW_NONE, normal)]
                                                      : NONE;
}

bool sl_terminology_knows(const struct sl_terminology *t, sl_system system, struct sl_slice code)
{
    SL_ASSERT(system < t->system_count);
    code = trim(code);
    if (system <= SL_SYSTEM_UNKNOWN || code.len == 0)
        return false;
    enum form form = t->systems[system].form;
    return sl_terminology_fits(form, code, true) || (form == FORM_LISTED && find_none(t, system, code) != NONE);
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

/* ---- Rows, for those who explain ---- */

void sl_terminology_row(const struct sl_terminology *t, uint32_t number, struct sl_code_row *out)
{
    SL_ASSERT(number < t->row_count);
    const struct row *row = &t->rows[number];
    *out = (struct sl_code_row){.system = t->systems[row->system].name,
        .code = {row->text, row->len},
        .file = t->files[row->file],
        .source = t->sources[row->source],
        .line = row->line};
}

bool sl_terminology_judged(
    const struct sl_terminology *t, sl_system system, struct sl_slice code, struct sl_code_row *out)
{
    SL_ASSERT(system < t->system_count);
    uint32_t row = system > SL_SYSTEM_UNKNOWN ? find_none(t, system, code) : NONE;
    if (row != NONE)
        sl_terminology_row(t, row, out);
    return row != NONE;
}

unsigned sl_terminology_system_count(const struct sl_terminology *t)
{
    return t->system_count;
}

struct sl_slice sl_terminology_system_name(const struct sl_terminology *t, sl_system system)
{
    return system < t->system_count ? t->systems[system].name : (struct sl_slice){NULL, 0};
}

bool sl_terminology_fits_system(const struct sl_terminology *t, sl_system system, struct sl_slice code)
{
    return system > SL_SYSTEM_UNKNOWN && system < t->system_count && trim(code).len &&
           sl_terminology_fits(t->systems[system].form, trim(code), false);
}
