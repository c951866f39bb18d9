/* SPDX-License-Identifier: Apache-2.0 */
/* See words_scope.h. Looks at no more than some two hundred characters about a word. */
#include "words_scope.h"

#include <stdlib.h>
#include <string.h>

#define BEFORE 144u
#define BEHIND 64u
#define WORDS 140u    /* no window holds more */
#define SECTION 2000u /* a section about the family is no longer than this */
#define HEADING 48u

/* ---- Phrases ---- */

enum list {
    DENIALS,        /* of what follows */
    NO_DENIALS,     /* what reads like a denial and is none: the thing is there, or was */
    RESULTS,        /* denials that are what a test found */
    CONTRASTS,      /* these end what a denial reaches */
    RESTARTS,       /* and these, where a comma stands between */
    FILLERS,        /* what may stand between a word and its denial: "alcohol use: none" */
    REFUSALS,       /* denials of what stands in front */
    WEAK_REFUSALS,  /* only behind a sign: "Alcohol: no" */
    FOUND_NOTHING,  /* refusals that are what a test found */
    NO_REFUSALS,    /* what reads like a refusal and is none */
    RELATIVES,      /* of the patient */
    HOUSEHOLD,      /* others whose illness is not the patient's */
    HISTORIES,      /* of the family */
    OF_THE_PATIENT, /* what follows is the patient's again */
    BESIDE,         /* "lives with mother", "abused by father": the sentence is about somebody else */
    OF_THEM         /* what may stand in front of a relative */
};

#define IN(list) (1u << (list))
#define FIRST_WORDS 1024u /* a power of two, well above the number of phrases */

static const struct phrase {
    const char *text;
    uint32_t lists;
} phrases[] = {
#define PHRASE(text, lists) {text, lists},
#include "words_phrases.def"
#undef PHRASE
};
#define PHRASES (sizeof phrases / sizeof *phrases)

/* By first word: the place in `phrases` of the first that begins with it, counted from 1; those that follow stand
 * behind it, since they stand in the order of their bytes. */
struct sl_phrases {
    uint16_t first[FIRST_WORDS];
};

static size_t first_length(const char *text)
{
    return strcspn(text, " ");
}

static uint32_t place_of(const char *word, size_t len)
{
    uint32_t hash = (uint32_t)len;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)word[i]) * 0x01000193u;
    return (hash ^ hash >> 15) & (FIRST_WORDS - 1);
}

static bool begins(const char *phrase, const char *word, size_t len)
{
    return strncmp(phrase, word, len) == 0 && (phrase[len] == ' ' || phrase[len] == '\0');
}

struct sl_phrases *sl_phrases_new(void)
{
    struct sl_phrases *index = calloc(1, sizeof *index);
    for (size_t i = 0; index && i < PHRASES; i++) {
        size_t len = first_length(phrases[i].text);
        uint32_t at = place_of(phrases[i].text, len);
        if (i && begins(phrases[i - 1].text, phrases[i].text, len))
            continue;
        while (index->first[at])
            at = (at + 1) & (FIRST_WORDS - 1);
        index->first[at] = (uint16_t)(i + 1);
    }
    return index;
}

void sl_phrases_free(struct sl_phrases *index)
{
    free(index);
}

/* The first phrase that begins with the word; PHRASES: none. */
static size_t find_first(const struct sl_phrases *index, const char *word, size_t len)
{
    for (uint32_t at = place_of(word, len); index->first[at]; at = (at + 1) & (FIRST_WORDS - 1))
        if (begins(phrases[index->first[at] - 1].text, word, len))
            return index->first[at] - 1u;
    return PHRASES;
}

/* ---- A window of lower-case words ---- */

struct word {
    const char *ptr;
    uint32_t lists;      /* those with a phrase that begins here */
    uint8_t len, denial; /* denial: how many words the longest one of DENIALS takes */
    char after;          /* the sign behind it that parts sentences or clauses: , : | ? ( = or '\0' */
};

struct window {
    char text[BEFORE + 96];
    struct word words[WORDS];
    unsigned count;
};

static bool is_part(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '\'' || c == '+';
}

static bool word_is(const struct word *word, const char *text, size_t len)
{
    return word->len == len && memcmp(word->ptr, text, len) == 0;
}

/* How many words the phrase takes at word i; 0: it does not stand there. */
static unsigned phrase_at(const struct window *w, unsigned i, const char *phrase)
{
    unsigned taken = 0;
    while (*phrase) {
        size_t len = first_length(phrase);
        if (i + taken >= w->count || !word_is(&w->words[i + taken], phrase, len))
            return 0;
        taken++;
        phrase += len + (phrase[len] == ' ');
    }
    return taken;
}

static void find_phrases(struct window *w, const struct sl_phrases *index)
{
    for (unsigned i = 0; i < w->count; i++) {
        struct word *word = &w->words[i];
        size_t p = find_first(index, word->ptr, word->len);
        for (; p < PHRASES && begins(phrases[p].text, word->ptr, word->len); p++) {
            unsigned taken = phrase_at(w, i, phrases[p].text);
            if (!taken)
                continue;
            word->lists |= phrases[p].lists;
            if (phrases[p].lists & IN(DENIALS) && taken > word->denial)
                word->denial = (uint8_t)taken;
        }
    }
}

/* Gives how many words begin in front of `mark`. */
static unsigned read_window(struct window *w, const struct sl_phrases *index, const char *text, size_t mark, size_t len)
{
    unsigned before = 0;
    w->count = 0;
    len = len < sizeof w->text ? len : sizeof w->text;
    for (size_t i = 0; i < len; i++)
        w->text[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] | 0x20) : text[i];
    for (size_t i = 0; i < len && w->count < WORDS;) {
        if (!is_part(w->text[i])) {
            if (w->count && w->text[i] != ' ' && (!w->words[w->count - 1].after || w->text[i] == ','))
                w->words[w->count - 1].after = w->text[i];
            i++;
            continue;
        }
        size_t begin = i;
        while (i < len && is_part(w->text[i]))
            i++;
        size_t n = i - begin;
        before += begin < mark;
        w->words[w->count++] = (struct word){.ptr = w->text + begin, .len = (uint8_t)(n > 255 ? 255 : n)};
    }
    find_phrases(w, index);
    return before;
}

static bool any_at(const struct window *w, unsigned i, enum list list)
{
    return i < w->count && w->words[i].lists >> list & 1;
}

static bool any_among(const struct window *w, unsigned from, unsigned to, enum list list)
{
    uint32_t lists = 0;
    for (unsigned i = from; i < to; i++)
        lists |= w->words[i].lists;
    return lists >> list & 1;
}

/* ---- Denied ---- */

static bool is_result(enum sl_mention topic)
{
    return topic == SL_MENTION_HIV || topic == SL_MENTION_GENETIC || topic == SL_MENTION_SICKLE_CELL;
}

/* How far a denial goes: "denies" through a list of any length, "no" through a short one, "not" to the next comma. */
enum reach { REACH_CLAUSE, REACH_SHORT, REACH_LIST };

static enum reach reach_of(const struct window *w, unsigned i)
{
    if (w->words[i].denial > 1 || word_is(&w->words[i], "denies", 6) || word_is(&w->words[i], "denied", 6) ||
        word_is(&w->words[i], "denying", 7) || word_is(&w->words[i], "deny", 4))
        return REACH_LIST;
    return word_is(&w->words[i], "no", 2) || word_is(&w->words[i], "without", 7) || word_is(&w->words[i], "nor", 3)
               ? REACH_SHORT
               : REACH_CLAUSE;
}

/* A denial in front, near enough, with nothing between that ends it. What a test did not find is a result all the same
 * where the law protects the test. */
static bool is_denied_before(const struct window *w, unsigned count, enum sl_mention topic)
{
    for (unsigned i = count; i-- > 0 && count - i <= 18;) {
        unsigned taken = w->words[i].denial;
        if (!taken)
            continue;
        if (any_at(w, i, NO_DENIALS) || (is_result(topic) && any_at(w, i, RESULTS)))
            return false;
        unsigned behind = i + taken, comma = 0;
        enum reach reach = reach_of(w, i);
        for (unsigned k = i; k < count; k++)
            comma = w->words[k].after == ',' ? k + 1 : comma;
        if (count - behind > (reach == REACH_LIST ? 16u : 8u) || any_among(w, behind, count, CONTRASTS))
            return false;
        if (!comma)
            return true;
        /* The word that is asked about may itself begin another clause: "no pain, drinks daily". */
        return reach != REACH_CLAUSE && count - comma <= (reach == REACH_LIST ? 16u : 3u) &&
               !any_among(w, comma, w->count, RESTARTS) && !any_among(w, comma, w->count, CONTRASTS);
    }
    return false;
}

static bool parts(char sign)
{
    return sign == ':' || sign == '|' || sign == '?' || sign == '=';
}

/* "Alcohol use: none", "HIV Ab nonreactive". `sign`: what stands right behind the word. */
static bool is_denied_behind(const struct window *w, char sign, enum sl_mention topic)
{
    bool parted = parts(sign);
    if (sign && !parted && sign != '(' && sign != '[')
        return false;
    for (unsigned i = 0; i < w->count && i < 6; i++) {
        if (any_at(w, i, NO_REFUSALS))
            return false;
        if (any_at(w, i, REFUSALS) || (parted && any_at(w, i, WEAK_REFUSALS)))
            return !(is_result(topic) && any_at(w, i, FOUND_NOTHING));
        char after = w->words[i].after;
        if (!any_at(w, i, FILLERS) || (after && !parts(after) && after != '(' && after != ')' && after != '['))
            return false;
        parted |= parts(after);
    }
    return false;
}

/* ---- Family ---- */

static bool is_relative(const struct window *w, unsigned i, enum sl_mention topic)
{
    bool near = topic != SL_MENTION_HIV && topic != SL_MENTION_SEXUAL && topic != SL_MENTION_GENETIC;
    return any_at(w, i, RELATIVES) || (near && any_at(w, i, HOUSEHOLD));
}

static bool is_family_before(const struct window *w, unsigned count, enum sl_mention topic)
{
    for (unsigned i = count; i-- > 0 && count - i <= 16;) {
        if (any_at(w, i, HISTORIES))
            return !any_among(w, i + 1, count, OF_THE_PATIENT);
        if (topic == SL_MENTION_VIOLENCE || !is_relative(w, i, topic))
            continue;
        unsigned before = i;
        while (before && any_at(w, before - 1, OF_THEM))
            before--;
        bool aside = before && any_at(w, before - 1, BESIDE) && !w->words[before - 1].after;
        return !aside && count - i <= 11 && !any_among(w, i + 1, count, OF_THE_PATIENT);
    }
    return false;
}

/* "alcoholism in father", "depression (mother)", "schizophrenia - brother" */
static bool is_family_behind(const struct window *w, char sign, enum sl_mention topic)
{
    if (topic == SL_MENTION_VIOLENCE || (sign && !strchr("(:|,", sign)))
        return false;
    unsigned i = 0;
    while (i < w->count && i < 3 && any_at(w, i, FILLERS))
        i++;
    bool linked = (sign && sign != ',') || (i && w->words[i - 1].after == '(');
    if (i < w->count && (phrase_at(w, i, "in") || phrase_at(w, i, "on"))) {
        linked = true;
        i++;
    }
    while (linked && i < w->count && any_at(w, i, OF_THEM) && !is_relative(w, i, topic))
        i++;
    return linked && i < w->count && is_relative(w, i, topic);
}

/* ---- Sections ---- */

struct heading {
    bool heads;  /* it heads what follows */
    bool family; /* it is about the family */
    bool alone;  /* with nothing behind it on its line */
};

/* "# Family History", "FAMILY HISTORY:", "Family History: …", "Medications:" */
static struct heading read_heading(const struct sl_phrases *index, const char *line, size_t len)
{
    struct heading heading = {0};
    struct window w;
    size_t colon = 0, most = len < HEADING ? len : HEADING;
    bool marked = len && *line == '#';
    while (colon < most && line[colon] != ':')
        colon++;
    heading.alone = colon + 2 >= len;
    heading.heads = marked || (colon < most && colon > 1) || heading.alone;
    if (!heading.heads)
        return heading;
    (void)read_window(&w, index, line, 0, colon < most ? colon : most);
    heading.family = w.count && w.count <= 5 && any_at(&w, 0, HISTORIES);
    heading.alone |= marked;
    bool relative = w.count && (any_at(&w, 0, RELATIVES) || any_at(&w, 0, HOUSEHOLD));
    heading.heads = heading.family || marked || (colon < most && !relative);
    return heading;
}

/* Up to the line that the word stands in. */
static void go_to(struct sl_scope_reader *reader, const struct sl_words_text *text, uint32_t begin)
{
    while (reader->line < text->line_count && text->lines[reader->line] <= begin) {
        uint32_t at = text->lines[reader->line++];
        uint32_t end = reader->line < text->line_count ? text->lines[reader->line] : (uint32_t)text->len;
        struct heading heading = read_heading(reader->phrases, text->text + at, end - at);
        if (heading.heads) {
            reader->family = heading.family && heading.alone;
            reader->since = at;
        }
    }
}

/* ---- All of it ---- */

/* Where the sentence begins that holds `at`, no further back than `limit`. */
static uint32_t sentence_begin(const char *text, uint32_t limit, uint32_t at)
{
    for (uint32_t i = at; i > limit + 1; i--)
        if (text[i - 1] == ' ' && i > limit + 1 && strchr(".;!", text[i - 2]))
            return i;
    return limit;
}

static uint32_t sentence_end(const char *text, uint32_t at, uint32_t limit)
{
    for (uint32_t i = at; i + 1 < limit; i++)
        if (strchr(".;!", text[i]) && text[i + 1] == ' ')
            return i;
    return limit;
}

static char sign_behind(const char *text, uint32_t at, uint32_t end)
{
    while (at < end && (text[at] == ' ' || text[at] == '\'' || text[at] == 's' || text[at] == ')'))
        at++;
    return at < end && !is_part((char)(text[at] | 0x20)) ? text[at] : '\0';
}

enum sl_scope sl_scope_find(struct sl_scope_reader *reader, const struct sl_words_text *text, enum sl_mention topic,
    uint32_t begin, uint32_t end)
{
    struct window before, behind;
    go_to(reader, text, begin);
    if (reader->looked++ >= SL_SCOPE_LOOKS)
        return SL_SCOPE_PATIENT;
    uint32_t line = reader->line ? text->lines[reader->line - 1] : 0;
    uint32_t stop = reader->line < text->line_count ? text->lines[reader->line] : (uint32_t)text->len;
    uint32_t from = begin - line > BEFORE ? begin - BEFORE : line;
    if (stop > (uint32_t)text->len)
        stop = (uint32_t)text->len;
    stop = stop > end && stop - end > BEHIND ? end + BEHIND : stop > end ? stop : end;
    from = sentence_begin(text->text, from, begin);
    stop = sentence_end(text->text, end, stop);
    unsigned count = read_window(&before, reader->phrases, text->text + from, begin - from, end - from);
    (void)read_window(&behind, reader->phrases, text->text + end, 0, stop - end);
    char sign = sign_behind(text->text, end, stop);
    if (is_denied_before(&before, count, topic) || is_denied_behind(&behind, sign, topic))
        return SL_SCOPE_DENIED;
    bool section = reader->family && begin - reader->since <= SECTION;
    if (section || is_family_before(&before, count, topic) || is_family_behind(&behind, sign, topic))
        return SL_SCOPE_FAMILY;
    return SL_SCOPE_PATIENT;
}
