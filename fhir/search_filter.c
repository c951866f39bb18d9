/* SPDX-License-Identifier: Apache-2.0 */
/*
 * _filter: parameters of the search table joined by and, or and not (http://hl7.org/fhir/R4/search_filter.html). Each
 * term becomes a parameter as any other, with what its operator asks; one that leads over a reference becomes a step
 * that has to be taken first. Which operator goes with which type of parameter is in the table.
 */
#include "search_read.h"

#define FOR(type) (1u << SL_PARAM_##type)
#define FOR_RANGES (FOR(NUMBER) | FOR(DATE) | FOR(QUANTITY))
#define FOR_ALL (FOR_RANGES | FOR(STRING) | FOR(TOKEN) | FOR(REFERENCE) | FOR(URI))

struct sl_search_operator {
    const char *word;
    unsigned types;
    enum sl_search_modifier how;
    bool prefix; /* the word is the prefix of a value, too */
};

/* A word may have several rows, each for other types. in and ni need value sets, which are not at hand. */
static const struct sl_search_operator operators[] = {
    {"eq", FOR(STRING), SL_MODIFIER_EQUAL, false},
    {"eq", FOR(TOKEN) | FOR(REFERENCE) | FOR(URI) | FOR(COMPOSITE), SL_MODIFIER_NONE, false},
    {"eq", FOR_RANGES, SL_MODIFIER_NONE, true},
    {"ne", FOR(STRING) | FOR(TOKEN) | FOR(REFERENCE) | FOR(URI), SL_MODIFIER_OTHER, false},
    {"ne", FOR_RANGES, SL_MODIFIER_NONE, true},
    {"co", FOR(STRING), SL_MODIFIER_CONTAINS, false},
    {"sw", FOR(STRING), SL_MODIFIER_NONE, false},
    {"ew", FOR(STRING), SL_MODIFIER_ENDS, false},
    {"gt", FOR_RANGES, SL_MODIFIER_NONE, true},
    {"lt", FOR_RANGES, SL_MODIFIER_NONE, true},
    {"ge", FOR_RANGES, SL_MODIFIER_NONE, true},
    {"le", FOR_RANGES, SL_MODIFIER_NONE, true},
    {"ap", FOR_RANGES, SL_MODIFIER_NONE, true},
    {"sa", FOR_RANGES, SL_MODIFIER_NONE, true},
    {"eb", FOR_RANGES, SL_MODIFIER_NONE, true},
    {"po", FOR(DATE), SL_MODIFIER_OVERLAPS, false},
    {"ss", FOR(TOKEN), SL_MODIFIER_BELOW, false}, /* what is asked for stands above what is there */
    {"sb", FOR(TOKEN), SL_MODIFIER_ABOVE, false},
    {"re", FOR(REFERENCE), SL_MODIFIER_NONE, false},
    {"pr", FOR_ALL, SL_MODIFIER_MISSING, false},
};
#define OPERATORS (sizeof operators / sizeof *operators)

/* ---- Words of the text ---- */

/* Ends at a space, or where brackets or parentheses that were opened before it end. */
static struct sl_slice take_word(struct sl_terms *terms)
{
    size_t begin = terms->at;
    const char *text = terms->text.ptr;
    for (; terms->at < terms->text.len; terms->at++)
        if (memchr(" )]", text[terms->at], 3))
            break;
    return (struct sl_slice){text + begin, terms->at - begin};
}

/* Behind the string that begins at `at`; the end of the text if it does not end. */
static size_t skip_string(struct sl_slice text, size_t at)
{
    for (at++; at < text.len && text.ptr[at] != '"'; at++)
        if (text.ptr[at] == '\\')
            at++;
    return at < text.len ? at + 1 : text.len;
}

/* Behind the bracket that closes the one at `at`; 0: none does. */
static size_t skip_brackets(struct sl_slice text, size_t at)
{
    unsigned depth = 0;
    while (at < text.len) {
        char c = text.ptr[at];
        if (c == '"') {
            at = skip_string(text, at);
            continue;
        }
        at++;
        depth += c == '[';
        if (c == ']' && --depth == 0)
            return at;
    }
    return 0;
}

/* "subject[gender eq male].name": up to a space that stands in no brackets. */
static struct sl_slice take_path(struct sl_terms *terms)
{
    size_t begin = terms->at;
    while (terms->at < terms->text.len && !memchr(" )]", terms->text.ptr[terms->at], 3)) {
        size_t behind = terms->text.ptr[terms->at] == '[' ? skip_brackets(terms->text, terms->at) : terms->at + 1;
        if (!behind)
            break;
        terms->at = behind;
    }
    return (struct sl_slice){terms->text.ptr + begin, terms->at - begin};
}

size_t sl_filter_head(struct sl_slice path, struct sl_slice *name, struct sl_slice *within)
{
    size_t at = 0;
    while (at < path.len && path.ptr[at] != '.' && path.ptr[at] != '[')
        at++;
    *name = (struct sl_slice){path.ptr, at};
    *within = (struct sl_slice){NULL, 0};
    if (at == path.len || path.ptr[at] == '.')
        return at;
    size_t behind = skip_brackets(path, at);
    if (!behind || behind == path.len || path.ptr[behind] != '.')
        return path.len; /* no path: what is left names no parameter */
    *within = (struct sl_slice){path.ptr + at + 1, behind - at - 2};
    return behind;
}

static bool skip_space(struct sl_terms *terms)
{
    size_t begin = terms->at;
    while (terms->at < terms->text.len && terms->text.ptr[terms->at] == ' ')
        terms->at++;
    return terms->at > begin && terms->at < terms->text.len;
}

/* A JSON string, or a word. */
static enum sl_status take_value(struct sl_terms *terms, struct sl_slice *out)
{
    struct sl_arena *arena = terms->reading->arena;
    size_t begin = terms->at;
    if (terms->text.ptr[begin] != '"') {
        *out = take_word(terms);
        return out->len ? SL_OK : sl_terms_wrong(terms, begin, "a value is lacking");
    }
    terms->at = skip_string(terms->text, begin);
    struct sl_slice list = sl_arena_printf(arena, "[%.*s]", (int)(terms->at - begin), terms->text.ptr + begin);
    struct sl_doc doc;
    if (!list.ptr)
        return SL_NO_MEMORY;
    enum sl_status status = sl_doc_parse(arena, list, NULL, &doc, NULL);
    if (status == SL_NO_MEMORY)
        return status;
    if (status != SL_OK || doc.count != 2 || doc.spans[1].type != SL_SPAN_STRING)
        return sl_terms_wrong(terms, begin, "a string is not one of JSON");
    *out = sl_span_string(&doc, 1, arena);
    if (!out->ptr)
        return SL_NO_MEMORY;
    return out->len ? SL_OK : sl_terms_wrong(terms, begin, "a string is empty");
}

/* ---- Terms ---- */

static const struct sl_search_operator *find_operator(struct sl_slice word)
{
    for (size_t i = 0; i < OPERATORS; i++)
        if (sl_slice_eq(word, sl_slice_of(operators[i].word)))
            return &operators[i];
    return NULL;
}

/* What leads over a reference is found out first, and put in the place that is given back. */
static enum sl_status add_step(
    struct sl_terms *terms, const struct sl_search_step *step, const struct sl_search_param **out)
{
    struct sl_search_reading *reading = terms->reading;
    struct sl_search_param *place = sl_arena_alloc(reading->arena, sizeof *place);
    if (!place)
        return SL_NO_MEMORY;
    if (reading->search->step_count == SL_SEARCH_STEPS)
        return sl_terms_wrong(terms, terms->at, "too many terms lead over references");
    *place = (struct sl_search_param){.param = step->param, .name = sl_slice_of(step->param->name)};
    reading->steps[reading->search->step_count] = *step;
    reading->steps[reading->search->step_count++].place = place;
    *out = place;
    return SL_OK;
}

static enum sl_status read_leaf(struct sl_terms *terms, struct sl_slice path, struct sl_slice value, size_t begin,
    const struct sl_search_param **out)
{
    struct sl_search_reading *reading = terms->reading;
    struct sl_search *inner;
    enum sl_status status =
        sl_search_read_inner(reading, reading->search->type, path, value, (struct sl_slice){NULL, 0}, &inner);
    if (status == SL_BAD_PARAMETER)
        return sl_terms_wrong(terms, begin, "the parameter, its operator or its value is not supported");
    SL_TRY(status);
    if (inner->step_count)
        return add_step(terms, inner->steps, out);
    *out = inner->params;
    return SL_OK;
}

/* "pr false" is not "pr true". */
static bool read_presence(struct sl_slice *value, bool *negated)
{
    *negated = sl_slice_eq(*value, SL_LIT("false"));
    bool good = *negated || sl_slice_eq(*value, SL_LIT("true"));
    *value = SL_LIT("true");
    return good;
}

static enum sl_status read_term(struct sl_terms *terms, const struct sl_search_term **out)
{
    struct sl_search_reading *reading = terms->reading;
    size_t begin = terms->at;
    struct sl_slice path = take_path(terms), value = {NULL, 0};
    bool negated = false;
    const struct sl_search_param *param = NULL;
    if (!path.len || !skip_space(terms))
        return sl_terms_wrong(terms, terms->at, "a parameter, an operator and a value belong here");
    size_t at = terms->at;
    const struct sl_search_operator *found = find_operator(take_word(terms));
    if (!found)
        return sl_terms_wrong(terms, at, "an operator that is supported belongs here");
    if (!skip_space(terms))
        return sl_terms_wrong(terms, terms->at, "a value is lacking");
    at = terms->at;
    SL_TRY(take_value(terms, &value));
    if (found->how == SL_MODIFIER_MISSING && !read_presence(&value, &negated))
        return sl_terms_wrong(terms, at, "true or false belongs here");
    reading->operator= found;
    enum sl_status status = read_leaf(terms, path, value, begin, &param);
    reading->operator= NULL;
    SL_TRY(status);
    *out = sl_terms_alone(terms, param);
    if (*out && negated)
        *out = sl_terms_not(terms, *out);
    return *out ? SL_OK : SL_NO_MEMORY;
}

enum sl_status sl_search_read_filter(struct sl_search_reading *reading, struct sl_slice text)
{
    static const struct sl_r4_param filter = {"_filter", SL_PARAM_SPECIAL, NULL, NULL, NULL, NULL, NULL};
    struct sl_terms terms = {.reading = reading, .text = text, .leaf = read_term};
    if (reading->search->param_count == SL_SEARCH_PARAMS)
        return sl_search_refuse(reading, SL_LIT("_filter"), "is one too many");
    return sl_search_read_terms(&terms, &filter);
}

/* ---- The value of a term ---- */

/* A value stands for itself alone here: no comma divides it, and no backslash says anything. */
static struct sl_slice escape(const struct sl_search_param *param, struct sl_slice text, struct sl_arena *arena)
{
    const char *special = param->param->type == SL_PARAM_STRING || param->param->type == SL_PARAM_URI ? ",\\$|"
                          : param->param->type == SL_PARAM_COMPOSITE                                  ? ",\\"
                                                                                                      : ",\\$";
    char *out = sl_arena_raw(arena, 2 * text.len + 1, 1);
    size_t len = 0;
    for (size_t i = 0; out && i < text.len; i++) {
        if (strchr(special, text.ptr[i]))
            out[len++] = '\\';
        out[len++] = text.ptr[i];
    }
    return (struct sl_slice){out, len};
}

static const struct sl_search_operator *row_for(const struct sl_search_operator *first, enum sl_r4_param_type type)
{
    for (const struct sl_search_operator *row = first; row < operators + OPERATORS; row++)
        if (strcmp(row->word, first->word) == 0 && row->types >> type & 1)
            return row;
    return NULL;
}

enum sl_status sl_search_read_operand(
    struct sl_search_reading *reading, struct sl_search_param *param, struct sl_slice text)
{
    const struct sl_search_operator *row = row_for(reading->operator, param->param->type);
    bool ranges = FOR_RANGES >> param->param->type & 1,
         exists = param->param->filter && strcmp(param->param->filter, "exists") == 0;
    bool typed = param->how == SL_MODIFIER_TYPE;
    if (!row || (param->how != SL_MODIFIER_NONE && !typed) || ((exists || typed) && row->how == SL_MODIFIER_OTHER))
        return sl_search_refuse(reading, param->name, "has no such operator");
    if (row->how == SL_MODIFIER_MISSING) {
        param->how = SL_MODIFIER_MISSING;
        param->modifier = SL_LIT("missing");
        return sl_search_read_values(reading, param, SL_LIT("false"));
    }
    if (ranges && (text.ptr[0] | 0x20) >= 'a' && (text.ptr[0] | 0x20) <= 'z')
        return sl_search_refuse(reading, param->name, "has a value that is not supported"); /* a prefix of its own */
    struct sl_slice value = escape(param, text, reading->arena);
    if (value.ptr && row->prefix)
        value = sl_arena_printf(reading->arena, "%s%.*s", row->word, SL_FMT(value));
    if (!value.ptr)
        return SL_NO_MEMORY;
    if (!typed)
        param->how = row->how;
    SL_TRY(sl_search_read_values(reading, param, value));
    if (row->how == SL_MODIFIER_CONTAINS)
        param->modifier = SL_LIT("contains");
    return SL_OK;
}
