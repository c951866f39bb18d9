/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scored instruments: PHQ-9, AUDIT-C and their like. One answer taken out of several could be worked out again from the
 * others and the total; so all answers of an instrument have the classes of each of them, and go or stay together. The
 * total is judged by its own code alone (docs/decisions/0012).
 *
 * Which codes are answers, totals and panels is in the terminology (categories SCREEN_ITEM, SCREEN_TOTAL,
 * SCREEN_PANEL); the answers of one instrument stand in the same categories there. A QuestionnaireResponse tells what
 * it answers by the name of its questionnaire and by codes in its linkIds. Of a form that nobody knows, and that may
 * hold a total, the answers go together as well, if one has to.
 */
#include <ctype.h>
#include <strings.h>

#include "labelling.h"

enum { ROLE_ITEM = 1, ROLE_TOTAL = 2, ROLE_PANEL = 4 };

struct answer {
    uint32_t span; /* what is cut: a component, or the item of a form */
    unsigned roles;
    struct sl_classes classes; /* by its code in a linkId; a component's is read by the walk */
    bool candidate;
};

struct judging {
    struct sl_labeller *labeller;
    const struct sl_earning *earning;
    struct labelled *item;
    const struct sl_doc *doc;
    struct answer *answers; /* by span, none within another */
    uint32_t count;
    unsigned roles; /* of all of them, and of the resource */
};

/* Questionnaires by the beginning of their names, as far as letters and digits go, and the panel each is. */
static const struct {
    const char *name, *panel;
} forms[] = {{"phq9m", "89206-7"}, {"phqa", "89206-7"}, {"phq9", "44249-1"}, {"phq2", "55757-9"}, {"gad7", "69737-5"},
    {"auditc", "72109-2"}, {"audit", "72110-0"}, {"dast", "82666-9"}, {"cssrs", "93373-9"}, {"columbia", "93373-9"},
    {"taps", "96841-2"}, {"hark", "76499-3"}};

/* ---- Codes ---- */

static const struct sl_instrument_codes *codes_of(struct sl_labeller *labeller)
{
    struct sl_instrument_codes *codes = &labeller->instruments;
    const struct sl_terminology *t = labeller->earning->terminology;
    if (!codes->ready)
        *codes = (struct sl_instrument_codes){.ready = true,
            .item = sl_terminology_category_find(t, SL_LIT("SCREEN_ITEM")),
            .total = sl_terminology_category_find(t, SL_LIT("SCREEN_TOTAL")),
            .panel = sl_terminology_category_find(t, SL_LIT("SCREEN_PANEL")),
            .loinc = sl_terminology_system(t, SL_LIT("http://loinc.org"))};
    return codes;
}

const struct sl_classes *sl_instrument_answers(struct sl_labeller *labeller)
{
    static const struct sl_classes none;
    unsigned item = codes_of(labeller)->item;
    return item < SL_CATEGORY_LIMIT ? &labeller->earning->by_category[item] : &none;
}

/* The roles of a code; what it earns beyond them is added to the answer. */
static unsigned read_code(struct judging *j, sl_system system, struct sl_slice code, struct answer *answer)
{
    const struct sl_instrument_codes *codes = codes_of(j->labeller);
    struct sl_code_hit hits[SL_CODE_HITS];
    unsigned roles = 0;
    size_t count = sl_terminology_find_in(j->earning->terminology, system, code, hits, SL_CODE_HITS);
    for (size_t i = 0; i < count; i++) {
        unsigned c = hits[i].category;
        roles |= c == codes->item ? ROLE_ITEM : c == codes->total ? ROLE_TOTAL : c == codes->panel ? ROLE_PANEL : 0;
        sl_classes_join(
            &answer->classes, hits[i].weak ? &j->earning->weak_by_category[c] : &j->earning->by_category[c]);
        answer->candidate |=
            !hits[i].weak && sl_terminology_category(j->earning->terminology, c)->part2 == SL_CANDIDATE_YES;
    }
    return roles;
}

static struct sl_slice text_of(struct judging *j, uint32_t span)
{
    return span ? sl_span_string(j->doc, span, j->labeller->arena) : (struct sl_slice){NULL, 0};
}

static unsigned read_concept(struct judging *j, uint32_t concept, struct answer *answer)
{
    unsigned roles = 0;
    if (!concept || j->doc->spans[concept].type != SL_SPAN_OBJECT)
        return 0;
    uint32_t codings = sl_span_member(j->doc, concept, SL_NAME_coding);
    if (!codings || j->doc->spans[codings].type != SL_SPAN_ARRAY)
        return 0;
    for (uint32_t c = codings + 1; c < j->doc->spans[codings].next; c = j->doc->spans[c].next) {
        if (j->doc->spans[c].type != SL_SPAN_OBJECT)
            continue;
        struct sl_slice system = text_of(j, sl_span_member(j->doc, c, SL_NAME_system));
        struct sl_slice code = text_of(j, sl_span_member(j->doc, c, SL_NAME_code));
        roles |= read_code(j, sl_labeller_system(j->labeller, system), code, answer);
    }
    return roles;
}

/* The code at the end of a linkId or a URL: "/44249-1/44250-9", "http://loinc.org/q/44249-1". */
static unsigned read_tail(struct judging *j, struct sl_slice text, struct answer *answer)
{
    const char *bar = text.len ? memchr(text.ptr, '|', text.len) : NULL;
    if (bar)
        text.len = (size_t)(bar - text.ptr);
    const char *slash = text.len ? memrchr(text.ptr, '/', text.len) : NULL;
    if (slash)
        text = sl_slice_from(text, (size_t)(slash + 1 - text.ptr));
    const struct sl_instrument_codes *codes = codes_of(j->labeller);
    if (!text.len || !memchr(text.ptr, '-', text.len))
        return 0;
    return read_code(j, codes->loinc, text, answer);
}

/* ---- What all answers share ---- */

static struct answer *add_answer(struct judging *j, uint32_t *room, uint32_t span)
{
    if (j->count == *room) {
        uint32_t wider = *room ? *room * 2 : 16;
        struct answer *answers = sl_arena_raw(j->labeller->arena, wider, sizeof *answers);
        if (!answers)
            return NULL;
        if (j->count)
            memcpy(answers, j->answers, j->count * sizeof *answers);
        j->answers = answers;
        *room = wider;
    }
    j->answers[j->count] = (struct answer){.span = span};
    return &j->answers[j->count++];
}

/* The answer that holds the span; NULL if none does. */
static struct answer *answer_at(const struct judging *j, uint32_t span)
{
    uint32_t low = 0, high = j->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (j->answers[middle].span <= span)
            low = middle + 1;
        else
            high = middle;
    }
    return low && span < j->doc->spans[j->answers[low - 1].span].next ? &j->answers[low - 1] : NULL;
}

static void add_evidence(
    struct judging *j, uint32_t span, const struct sl_classes *classes, bool candidate, struct sl_slice detail)
{
    struct evidence *e = sl_arena_raw(j->labeller->arena, 1, sizeof *e);
    if (!e || sl_classes_empty(classes))
        return;
    *e = (struct evidence){.part = span,
        .span = span,
        .classes = *classes,
        .why = SL_WHY_INSTRUMENT,
        .candidate = candidate,
        .detail = detail,
        .next = j->item->evidence};
    j->item->evidence = e;
}

/* For the words of their questions, which are searched later. */
static void keep_answers(struct judging *j)
{
    uint32_t *answers = j->count ? sl_arena_raw(j->labeller->arena, j->count, sizeof *answers) : NULL;
    for (uint32_t i = 0; answers && i < j->count; i++)
        if (!(j->answers[i].roles & ROLE_TOTAL))
            answers[j->item->answer_count++] = j->answers[i].span;
    j->item->answers = answers;
}

/* Every answer but a total gets what any of them has. Words are not scored: they go by themselves. */
static void share(struct judging *j)
{
    struct sl_classes shared = {{0}};
    bool candidate = false;
    if (j->roles)
        shared = *sl_instrument_answers(j->labeller);
    for (uint32_t i = 0; i < j->count; i++)
        if (!(j->answers[i].roles & ROLE_TOTAL)) {
            sl_classes_join(&shared, &j->answers[i].classes);
            candidate |= j->answers[i].candidate;
        }
    for (const struct evidence *e = j->item->evidence; e; e = e->next) {
        const struct answer *answer = answer_at(j, e->part);
        if (!answer || answer->roles & ROLE_TOTAL || e->why == SL_WHY_TEXT || e->why == SL_WHY_UNREAD)
            continue;
        sl_classes_join(&shared, &e->classes);
        candidate |= e->candidate;
    }
    for (uint32_t i = 0; i < j->count; i++) {
        bool total = j->answers[i].roles & ROLE_TOTAL;
        add_evidence(j, j->answers[i].span, total ? &j->answers[i].classes : &shared,
            total ? j->answers[i].candidate : candidate, total ? SL_LIT("total") : SL_LIT("answer"));
    }
}

/* ---- Observation: components ---- */

static bool has_number(const struct judging *j)
{
    return sl_span_member(j->doc, j->item->item.span, SL_NAME_valueQuantity) ||
           sl_span_member(j->doc, j->item->item.span, SL_NAME_valueInteger);
}

static void judge_observation(struct judging *j)
{
    uint32_t root = j->item->item.span, room = 0;
    uint32_t components = sl_span_member(j->doc, root, SL_NAME_component);
    struct answer own = {0};
    if (!components || j->doc->spans[components].type != SL_SPAN_ARRAY)
        return;
    j->roles = read_concept(j, sl_span_member(j->doc, root, SL_NAME_code), &own);
    for (uint32_t c = components + 1; c < j->doc->spans[components].next; c = j->doc->spans[c].next) {
        struct answer *answer = j->doc->spans[c].type == SL_SPAN_OBJECT ? add_answer(j, &room, c) : NULL;
        if (!answer)
            continue;
        answer->roles = read_concept(j, sl_span_member(j->doc, c, SL_NAME_code), answer);
        j->roles |= answer->roles;
    }
    if (j->roles || has_number(j))
        share(j);
}

/* ---- QuestionnaireResponse: items ---- */

static bool has_word(struct sl_slice text, const char *word)
{
    size_t len = strlen(word);
    for (size_t i = 0; i + len <= text.len; i++)
        if (strncasecmp(text.ptr + i, word, len) == 0)
            return true;
    return false;
}

/* Could this item of an unknown form be its total: a number, and not said to be anything else? */
static bool may_be_total(struct judging *j, uint32_t item, uint32_t answers)
{
    bool number = false;
    for (uint32_t a = answers + 1; a < j->doc->spans[answers].next; a = j->doc->spans[a].next)
        if (j->doc->spans[a].type == SL_SPAN_OBJECT)
            number |= sl_span_member(j->doc, a, SL_NAME_valueDecimal) ||
                      sl_span_member(j->doc, a, SL_NAME_valueInteger) ||
                      sl_span_member(j->doc, a, SL_NAME_valueQuantity);
    struct sl_slice text = text_of(j, sl_span_member(j->doc, item, SL_NAME_text));
    return number && (!text.len || has_word(text, "score") || has_word(text, "total"));
}

/* The answered items, outermost first, and whether one may be a total. */
static bool read_items(struct judging *j)
{
    const struct sl_span *spans = j->doc->spans;
    uint32_t root = j->item->item.span, room = 0;
    bool total = false;
    for (uint32_t i = root + 1; i < spans[root].next;) {
        uint32_t parent = j->doc->parents[i];
        bool item = spans[i].type == SL_SPAN_OBJECT && parent != root && spans[parent].name == SL_NAME_item &&
                    spans[parent].type == SL_SPAN_ARRAY;
        uint32_t answers = item ? sl_span_member(j->doc, i, SL_NAME_answer) : 0;
        if (answers && spans[answers].type == SL_SPAN_ARRAY) {
            struct answer *answer = add_answer(j, &room, i);
            if (!answer)
                return true;
            answer->roles = read_tail(j, text_of(j, sl_span_member(j->doc, i, SL_NAME_linkId)), answer) |
                            read_tail(j, text_of(j, sl_span_member(j->doc, i, SL_NAME_definition)), answer);
            j->roles |= answer->roles;
            total |= may_be_total(j, i, answers);
        }
        bool elsewhere = parent == root && spans[i].name != SL_NAME_item; /* contained, extensions: no items of it */
        i = answers || elsewhere ? spans[i].next : i + 1;
    }
    return total;
}

/* Letters and digits of the last step of a URL, in lower case. */
static struct sl_slice name_of(struct sl_slice url, char *room, size_t size)
{
    const char *bar = url.len ? memchr(url.ptr, '|', url.len) : NULL;
    if (bar)
        url.len = (size_t)(bar - url.ptr);
    const char *slash = url.len ? memrchr(url.ptr, '/', url.len) : NULL;
    if (slash)
        url = sl_slice_from(url, (size_t)(slash + 1 - url.ptr));
    size_t len = 0;
    for (size_t i = 0; i < url.len && len < size; i++)
        if (isalnum((unsigned char)url.ptr[i]))
            room[len++] = (char)tolower((unsigned char)url.ptr[i]);
    return (struct sl_slice){room, len};
}

/* The form that it answers classifies the whole of it, as the panel's code would an Observation. */
static void judge_form(struct judging *j)
{
    char room[32];
    struct answer form = {0};
    struct sl_slice url = text_of(j, sl_span_member(j->doc, j->item->item.span, SL_NAME_questionnaire));
    struct sl_slice name = name_of(url, room, sizeof room);
    unsigned roles = read_tail(j, url, &form);
    for (size_t i = 0; i < sizeof forms / sizeof *forms && !roles; i++)
        if (sl_slice_starts(name, sl_slice_of(forms[i].name)))
            roles = read_code(j, codes_of(j->labeller)->loinc, sl_slice_of(forms[i].panel), &form);
    j->roles |= roles;
    if (sl_classes_empty(&form.classes))
        return;
    sl_classes_join(&j->item->base_classes, &form.classes);
    j->item->base_candidate |= form.candidate;
    sl_reason_push(
        j->labeller->arena, &j->item->base_reasons, &form.classes, SL_WHY_INSTRUMENT, 0, SL_LIT("questionnaire"));
}

static void judge_response(struct judging *j)
{
    judge_form(j);
    bool total = read_items(j);
    if (j->roles || total) {
        share(j);
        keep_answers(j);
        return;
    }
    for (uint32_t i = 0; i < j->count; i++)
        add_evidence(j, j->answers[i].span, &j->answers[i].classes, j->answers[i].candidate, SL_LIT("linkId"));
}

void sl_instrument_judge(struct sl_labeller *labeller, struct labelled *item)
{
    struct judging j = {.labeller = labeller, .earning = labeller->earning, .item = item, .doc = item->item.doc};
    if (item->item.type == SL_R4_Observation)
        judge_observation(&j);
    else if (item->item.type == SL_R4_QuestionnaireResponse)
        judge_response(&j);
}
