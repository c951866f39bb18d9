/* SPDX-License-Identifier: Apache-2.0 */
/* Persons compared: see match.h. */
#include "match.h"

#include "sluice/buffer.h"

#include "sluice/r4.h"
#include "sluice/search.h"

static const struct {
    const char *param;
    unsigned points;
} traits[] = {
#define SL_TRAIT(name, param, points) {param, points},
    SL_TRAITS(SL_TRAIT)
#undef SL_TRAIT
};

const char *sl_match_word(enum sl_grade_of_match grade)
{
    static const char *const words[] = {"certainly-not", "possible", "probable", "certain"};
    return words[grade];
}

/* ---- Reading ---- */

struct reading {
    struct sl_traits *out;
    enum sl_trait trait;
    struct sl_arena *arena;
};

/* An identifier without a system may be anybody's. */
static bool is_telling(enum sl_trait trait, struct sl_slice value)
{
    const char *bar = value.len ? memchr(value.ptr, '|', value.len) : NULL;
    return value.len && (trait != SL_TRAIT_IDENTIFIER || (bar && bar > value.ptr && bar + 1 < value.ptr + value.len));
}

static void take_value(void *context, struct sl_slice value)
{
    struct reading *r = context;
    size_t *count = &r->out->of[r->trait].count;
    if (*count < SL_TRAIT_VALUES && is_telling(r->trait, value))
        r->out->of[r->trait].value[(*count)++] = sl_arena_copy(r->arena, value);
}

enum sl_status sl_match_read(const struct sl_doc *doc, uint32_t root, struct sl_arena *arena, struct sl_traits *out)
{
    *out = (struct sl_traits){0};
    for (unsigned i = 0; i < SL_TRAIT_COUNT; i++) {
        const struct sl_r4_param *param = sl_r4_param_find(SL_R4_Patient, sl_slice_of(traits[i].param));
        struct reading reading = {out, i, arena};
        SL_ASSERT(param);
        sl_search_values(param, doc, root, arena, take_value, &reading);
    }
    return sl_arena_failed(arena) ? SL_NO_MEMORY : SL_OK;
}

/* ---- Comparing ---- */

enum bearing { SILENT, AGREES, CONFLICTS };

static enum bearing bearing_of(const struct sl_traits *a, const struct sl_traits *b, enum sl_trait trait)
{
    for (size_t i = 0; i < a->of[trait].count; i++)
        for (size_t k = 0; k < b->of[trait].count; k++)
            if (sl_slice_eq(a->of[trait].value[i], b->of[trait].value[k]))
                return AGREES;
    return a->of[trait].count && b->of[trait].count ? CONFLICTS : SILENT;
}

/* Somebody has many identifiers and addresses, and several telephones: that others are named says nothing. */
static bool counts_against(enum sl_trait trait)
{
    return trait == SL_TRAIT_BIRTHDATE || trait == SL_TRAIT_FAMILY || trait == SL_TRAIT_GENDER;
}

/* Certain: an identifier is the same, and nothing speaks against it. Probable: the name in full and the day of birth;
 * or the same identifier, and something against it. Possible: two things that few people share. */
static enum sl_grade_of_match grade_of(const enum bearing *of, bool against)
{
    bool name = of[SL_TRAIT_FAMILY] == AGREES && of[SL_TRAIT_GIVEN] == AGREES;
    bool born = of[SL_TRAIT_BIRTHDATE] == AGREES;
    if (of[SL_TRAIT_IDENTIFIER] == AGREES)
        return against ? SL_MATCH_PROBABLE : SL_MATCH_CERTAIN;
    if (name && born && !against)
        return SL_MATCH_PROBABLE;
    if (born && (of[SL_TRAIT_FAMILY] == AGREES || of[SL_TRAIT_GIVEN] == AGREES))
        return SL_MATCH_POSSIBLE;
    return name && of[SL_TRAIT_BIRTHDATE] == SILENT && of[SL_TRAIT_TELECOM] == AGREES ? SL_MATCH_POSSIBLE
                                                                                      : SL_MATCH_NOT;
}

struct sl_match sl_match_compare(const struct sl_traits *asked, const struct sl_traits *candidate)
{
    enum bearing of[SL_TRAIT_COUNT];
    unsigned score = 0, deduction = 0;
    for (unsigned i = 0; i < SL_TRAIT_COUNT; i++) {
        of[i] = bearing_of(asked, candidate, i);
        score += of[i] == AGREES ? traits[i].points : 0;
        deduction += of[i] == CONFLICTS && counts_against(i) ? traits[i].points : 0;
    }
    return (struct sl_match){.grade = grade_of(of, deduction > 0), .score = score > deduction ? score - deduction : 0};
}

/* ---- Looking for candidates ---- */

/* A value as a query has it: what has a meaning there is escaped (search.html, 3.1.1.3.2), then percent-encoded. The
 * bar of a token is its own. */
static void put_value(struct sl_buffer *out, struct sl_slice value, bool token)
{
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
        if (c == ',' || c == '$' || c == '\\' || (c == '|' && !token))
            sl_buffer_add(out, SL_LIT("%5C"));
        if (plain)
            sl_buffer_add(out, (struct sl_slice){value.ptr + i, 1});
        else
            sl_buffer_printf(out, "%%%02X", c);
        token = token && c != '|';
    }
}

/* "name=a,b,c" of all values of a trait. */
static void put_trait(struct sl_buffer *out, const struct sl_traits *asked, enum sl_trait trait)
{
    sl_buffer_printf(out, "%s%s=", out->len ? "&" : "", traits[trait].param);
    for (size_t i = 0; i < asked->of[trait].count; i++) {
        if (i)
            sl_buffer_add(out, SL_LIT(","));
        put_value(out, asked->of[trait].value[i], trait == SL_TRAIT_IDENTIFIER || trait == SL_TRAIT_TELECOM);
    }
}

enum sl_status sl_match_queries(
    const struct sl_traits *asked, struct sl_arena *arena, struct sl_slice queries[SL_MATCH_QUERIES], size_t *count)
{
    /* The grades above need one of these. */
    static const struct {
        enum sl_trait traits[3];
        size_t count;
    } ways[SL_MATCH_QUERIES] = {
        {{SL_TRAIT_IDENTIFIER}, 1},
        {{SL_TRAIT_BIRTHDATE, SL_TRAIT_FAMILY}, 2},
        {{SL_TRAIT_BIRTHDATE, SL_TRAIT_GIVEN}, 2},
        {{SL_TRAIT_FAMILY, SL_TRAIT_GIVEN, SL_TRAIT_TELECOM}, 3},
    };
    *count = 0;
    for (size_t i = 0; i < SL_MATCH_QUERIES; i++) {
        struct sl_buffer text;
        bool there = true;
        sl_buffer_init(&text, (size_t)64 * 1024);
        for (size_t k = 0; k < ways[i].count; k++) {
            there = there && asked->of[ways[i].traits[k]].count;
            put_trait(&text, asked, ways[i].traits[k]);
        }
        bool failed = sl_buffer_failed(&text);
        if (there && !failed)
            queries[(*count)++] = sl_arena_copy(arena, sl_buffer_slice(&text));
        sl_buffer_fini(&text);
        if (failed)
            return SL_LIMIT;
    }
    return sl_arena_failed(arena) ? SL_NO_MEMORY : SL_OK;
}
