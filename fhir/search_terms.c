/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is said with and, or, not and parentheses: the frame that _filter, _text and _content share. From left to right,
 * without precedence (http://hl7.org/fhir/R4/search_filter.html); what the terms are is read by the two who use it.
 */
#include "search_read.h"

#include <strings.h>

#define DEPTH 16u /* of parentheses and nots within each other */
#define LENGTH 4096u

enum sl_status sl_terms_wrong(struct sl_terms *terms, size_t at, const char *why)
{
    terms->at = at;
    terms->wrong = why;
    return SL_BAD_PARAMETER;
}

static const struct sl_search_term *make(struct sl_terms *terms, struct sl_search_term term)
{
    struct sl_search_term *out = sl_arena_alloc(terms->reading->arena, sizeof *out);
    if (out)
        *out = term;
    return out;
}

const struct sl_search_term *sl_terms_alone(struct sl_terms *terms, const struct sl_search_param *param)
{
    return make(terms, (struct sl_search_term){.join = SL_SEARCH_ALONE, .alone = param});
}

const struct sl_search_term *sl_terms_not(struct sl_terms *terms, const struct sl_search_term *term)
{
    return make(terms, (struct sl_search_term){.join = SL_SEARCH_NOT, .left = term});
}

static void skip_spaces(struct sl_terms *terms)
{
    while (terms->at < terms->text.len && terms->text.ptr[terms->at] == ' ')
        terms->at++;
}

static bool is_at(const struct sl_terms *terms, char c)
{
    return terms->at < terms->text.len && terms->text.ptr[terms->at] == c;
}

/* Takes the word, if it stands here as a whole. */
static bool take_word(struct sl_terms *terms, const char *word)
{
    size_t len = strlen(word), end = terms->at + len;
    if (terms->text.len < end || strncasecmp(terms->text.ptr + terms->at, word, len) != 0)
        return false;
    if (end < terms->text.len && terms->text.ptr[end] != ' ' && terms->text.ptr[end] != '(')
        return false;
    terms->at = end;
    return true;
}

static enum sl_status read_whole(struct sl_terms *terms, const struct sl_search_term **out);

static enum sl_status read_parentheses(struct sl_terms *terms, const struct sl_search_term **out)
{
    size_t begin = terms->at++;
    if (terms->depth++ == DEPTH)
        return sl_terms_wrong(terms, begin, "too many stand within each other");
    SL_TRY(read_whole(terms, out));
    terms->depth--;
    if (!is_at(terms, ')'))
        return sl_terms_wrong(terms, terms->at, "a ')' is lacking");
    terms->at++;
    return SL_OK;
}

/* One term, what stands in parentheses, or "not" and one of these. In a _filter, not stands before parentheses. */
static enum sl_status read_one(struct sl_terms *terms, const struct sl_search_term **out)
{
    bool negated = false;
    skip_spaces(terms);
    while (take_word(terms, "not")) {
        negated = !negated;
        skip_spaces(terms);
        if (!terms->beside && !is_at(terms, '('))
            return sl_terms_wrong(terms, terms->at, "a '(' is lacking");
    }
    size_t begin = terms->at;
    if (is_at(terms, '('))
        SL_TRY(read_parentheses(terms, out));
    else if (terms->at == terms->text.len || is_at(terms, ')'))
        return sl_terms_wrong(terms, terms->at, "something is lacking");
    else if (terms->count++ == SL_SEARCH_TERMS)
        return sl_terms_wrong(terms, begin, "there are too many terms");
    else
        SL_TRY(terms->leaf(terms, out));
    if (negated)
        *out = sl_terms_not(terms, *out);
    return *out ? SL_OK : SL_NO_MEMORY;
}

/* How what follows is joined to what was read; 0: it is not. */
static enum sl_search_join read_join(struct sl_terms *terms)
{
    skip_spaces(terms);
    if (terms->at == terms->text.len || is_at(terms, ')'))
        return 0;
    if (terms->beside && is_at(terms, ',')) {
        terms->at++;
        return SL_SEARCH_OR;
    }
    if (take_word(terms, "and"))
        return SL_SEARCH_AND;
    if (take_word(terms, "or"))
        return SL_SEARCH_OR;
    return terms->beside ? SL_SEARCH_AND : 0;
}

static enum sl_status read_whole(struct sl_terms *terms, const struct sl_search_term **out)
{
    SL_TRY(read_one(terms, out));
    for (enum sl_search_join join; (join = read_join(terms)) != 0;) {
        struct sl_search_term both = {.join = join, .left = *out};
        SL_TRY(read_one(terms, &both.right));
        *out = make(terms, both);
        if (!*out)
            return SL_NO_MEMORY;
    }
    return SL_OK;
}

static enum sl_status read_text(struct sl_terms *terms, const struct sl_search_term **out)
{
    if (terms->text.len > LENGTH)
        return sl_terms_wrong(terms, LENGTH, "it is too long");
    SL_TRY(read_whole(terms, out));
    if (is_at(terms, ')'))
        return sl_terms_wrong(terms, terms->at, "there is a ')' too many");
    return terms->at == terms->text.len ? SL_OK : sl_terms_wrong(terms, terms->at, "'and' or 'or' is lacking");
}

enum sl_status sl_search_read_terms(struct sl_terms *terms, const struct sl_r4_param *param)
{
    struct sl_search_reading *reading = terms->reading;
    const struct sl_search_term *root = NULL;
    enum sl_status status = read_text(terms, &root);
    if (status == SL_BAD_PARAMETER)
        sl_issue_add(reading->issues, SL_GRADE_ERROR, "bad-parameter",
            "The parameter '%s' is not understood from character %zu on: %s.", param->name, terms->at + 1,
            terms->wrong ? terms->wrong : "it is not supported");
    SL_TRY(status);
    struct sl_search_value *value = sl_arena_alloc(reading->arena, sizeof *value);
    if (!value)
        return SL_NO_MEMORY;
    *value = (struct sl_search_value){.text = terms->text};
    reading->params[reading->search->param_count++] = (struct sl_search_param){
        .param = param, .name = sl_slice_of(param->name), .values = value, .value_count = 1, .terms = root};
    return SL_OK;
}

/* As deep as parentheses and terms are allowed to be. */
bool sl_search_match_terms(
    const struct sl_search_term *term, const struct sl_doc *doc, uint32_t root, const struct sl_edits *edits)
{
    switch (term->join) {
    case SL_SEARCH_ALONE:
        return sl_search_match_param(term->alone, doc, root, edits);
    case SL_SEARCH_AND:
        return sl_search_match_terms(term->left, doc, root, edits) &&
               sl_search_match_terms(term->right, doc, root, edits);
    case SL_SEARCH_OR:
        return sl_search_match_terms(term->left, doc, root, edits) ||
               sl_search_match_terms(term->right, doc, root, edits);
    case SL_SEARCH_NOT:
        return !sl_search_match_terms(term->left, doc, root, edits);
    }
    return false;
}
