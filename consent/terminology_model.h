/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Value sets in memory, as terminology_load.c makes them and terminology.c searches them: two hash tables with open
 * addressing, spellings of code systems, and codes (exact ones and prefixes in one table, told apart by the seed of
 * their hash). A code that stands in several categories is a chain of rows. Everything lives in one arena and never
 * changes after loading.
 */
#ifndef SLUICE_CONSENT_TERMINOLOGY_MODEL_H
#define SLUICE_CONSENT_TERMINOLOGY_MODEL_H

#include <stdlib.h>

#include "hash.h"
#include "terminology.h"

#define SYSTEM_LIMIT 1024u
#define WILD_LIMIT 64u
#define CODE_LENGTH 32u /* bytes of a code in its normal form; a longer one is in no list */
#define URI_LENGTH 256u
#define PADDED_LENGTH 36u
#define OTHER_LIMIT 2u
#define NONE UINT32_MAX
#define FILE_LIMIT 512u
#define EXACT_SEED 0x51u
#define PREFIX_SEED 0xa3u
#define NONE_SEED 0x6du
#define SOURCE_LIMIT 255u

enum form { FORM_ANY, FORM_ICD, FORM_DIGITS, FORM_SCTID, FORM_LOINC, FORM_PADDED, FORM_LISTED };

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

enum row_kind {
    ROW_EXACT,
    ROW_PREFIX,
    ROW_NONE /* judged, and found not to be sensitive: of no category, and searched for only where nothing else is */
};

struct row {
    char text[CODE_LENGTH];
    uint8_t len, category;
    bool weak;
    uint8_t kind, source; /* source: of SOURCE_LIMIT texts; the last stands for those that found no place */
    uint16_t file;
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
    struct sl_slice files[FILE_LIMIT]; /* paths, by number */
    unsigned file_count;
    struct sl_slice sources[SOURCE_LIMIT + 1];
    unsigned source_count;
    uint32_t *slots; /* hash -> first row */
    size_t slot_mask;
    sl_system icd10, icd10cm, icd9cm, icd10pcs, hcpcs, cpt, loinc, snomed,
        ciel; /* where codes in the wrong column are looked for; 0: not there */
};

static inline struct sl_slice trim(struct sl_slice s)
{
    while (s.len && (unsigned char)s.ptr[0] <= ' ')
        s.ptr++, s.len--;
    while (s.len && (unsigned char)s.ptr[s.len - 1] <= ' ')
        s.len--;
    return s;
}

/* ---- terminology.c, for terminology_load.c ---- */

/* A system without scheme, version and closing slash, in small letters; length 0 if there is nothing left, or too much.
 */
size_t sl_terminology_normal_system(struct sl_slice system, char out[URI_LENGTH]);
/* A code as its system's codes are kept. 0: in no list. */
size_t sl_terminology_normal_code(enum form form, struct sl_slice code, char out[CODE_LENGTH]);
/* A spelling as it stands in the table; NULL: none. */
const struct spelling *sl_terminology_spelling(const struct sl_terminology *t, struct sl_slice text);
/* The slot of a code in its normal form: of its first row, or the empty one where it would stand. */
size_t sl_terminology_slot(const struct sl_terminology *t, sl_system system, enum row_kind kind, struct sl_slice code);
/* Can codes of this form be written so? check: with the check digit, which lists are not sure to have right. */
bool sl_terminology_fits(enum form form, struct sl_slice code, bool check);

#endif
