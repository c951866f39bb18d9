/* SPDX-License-Identifier: Apache-2.0 */
/* See words_scope.h. Looks at no more than some two hundred characters around a word. */
#include "words_scope.h"

#include <string.h>

#define BEFORE 200u
#define BEHIND 72u
#define WORDS 140u    /* no window holds more */
#define SECTION 2000u /* a section about the family is no longer than this */
#define HEADING 48u

/* ---- A window of lower-case words ---- */

struct word {
    const char *ptr;
    uint8_t len;
    char after; /* the sign behind it that parts sentences or clauses: , : | ? ( = or '\0' */
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

/* Gives how many words begin in front of `mark`. */
static unsigned read_window(struct window *w, const char *text, size_t mark, size_t len)
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
    return before;
}

static bool word_is(const struct word *word, const char *text, size_t len)
{
    return word->len == len && memcmp(word->ptr, text, len) == 0;
}

/* Does the phrase, of one word or more, stand at word i? How many words it takes; 0: no. */
static unsigned phrase_at(const struct window *w, unsigned i, const char *phrase)
{
    unsigned taken = 0;
    while (*phrase) {
        size_t len = strcspn(phrase, " ");
        if (i + taken >= w->count || !word_is(&w->words[i + taken], phrase, len))
            return 0;
        taken++;
        phrase += len + (phrase[len] == ' ');
    }
    return taken;
}

static unsigned any_at(const struct window *w, unsigned i, const char *const *phrases)
{
    for (; i < w->count && *phrases; phrases++) {
        unsigned taken = **phrases == *w->words[i].ptr ? phrase_at(w, i, *phrases) : 0;
        if (taken)
            return taken;
    }
    return 0;
}

static bool any_among(const struct window *w, unsigned from, unsigned to, const char *const *phrases)
{
    for (unsigned i = from; i < to; i++)
        if (any_at(w, i, phrases))
            return true;
    return false;
}

/* ---- Denied ---- */

static const char *const denials[] = {"denies", "denied", "denying", "deny", "negative for", "neg for",
    "no evidence of", "no", "not", "never", "without", "absence of", "free of", "nor", "neither", "doesn't", "didn't",
    "hasn't", "isn't", "wasn't", "don't", "haven't", NULL};
/* What reads like a denial and is none: the thing is there, or was. */
static const char *const no_denials[] = {"no longer", "not only", "no change", "no improvement", "no doubt", "not sure",
    "not certain", "no increase", "not well", "not controlled", "no more", "never stopped", "not compliant",
    "not taking", "not adherent", "not been", "no relief", "no response", "not respond", "no side", "no adverse",
    "no complications", "not interested", "not ready", "not willing", "not clear", "not yet", "not to", "not improved",
    "not improving", "without relief", "without improvement", "no need", "no follow", "no appointment", "no known cure",
    "not enough", "never been treated", "no contraindication", "not able", "not in remission", "not responding",
    "not remember", "not completed", "not prescribed", "no refills", "denied access", "denied coverage", "denied by",
    NULL};
static const char *const results[] = {"negative for", "neg for", NULL};
/* These end what a denial reaches. */
static const char *const contrasts[] = {"but", "however", "except", "although", "though", "other than", "aside",
    "apart from", "besides", "until", "while", "whereas", "reports", "reported", "admits", "admitted", "endorses",
    "endorsed", "acknowledges", "acknowledged", "states", "because", "due", "for", "from", "after", "before", "is",
    "was", "has", "had", "drinks", "uses", "takes", "who", "despite", "yet", "still", "if", "unless", "more than",
    "most", "secondary", "related to", "positive", "continues", "started", NULL};
/* And these, where a comma stands between. */
static const char *const restarts[] = {"history", "hx", "h o", "known", "diagnosed", "active", "currently", "current",
    "prescribed", "patient", "pt", "she", "he", "they", "with", "on", "using", "used", "drinking", "taking", "smoking",
    "have", "are", "were", "recent", "past", "prior", "previous", "chronic", "severe", "ongoing", "s p", "status post",
    "admit", "will", "recommend", "continue", "start", "refer", "discussed", "counseled", NULL};

static bool is_result(enum sl_mention topic)
{
    return topic == SL_MENTION_HIV || topic == SL_MENTION_GENETIC || topic == SL_MENTION_SICKLE_CELL;
}

/* How far a denial goes: "denies" through a list of any length, "no" through a short one, "not" to the next comma. */
enum reach { REACH_CLAUSE, REACH_SHORT, REACH_LIST };

static enum reach reach_of(const struct window *w, unsigned i, unsigned taken)
{
    if (taken > 1 || word_is(&w->words[i], "denies", 6) || word_is(&w->words[i], "denied", 6) ||
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
        unsigned taken = any_at(w, i, denials);
        if (!taken)
            continue;
        if (any_at(w, i, no_denials) || (is_result(topic) && any_at(w, i, results)))
            return false;
        unsigned behind = i + taken, comma = 0;
        enum reach reach = reach_of(w, i, taken);
        for (unsigned k = i; k < count; k++)
            comma = w->words[k].after == ',' ? k + 1 : comma;
        if (count - behind > (reach == REACH_LIST ? 16u : 8u) || any_among(w, behind, count, contrasts))
            return false;
        if (!comma)
            return true;
        /* The word that is asked about may itself begin another clause: "no pain, drinks daily". */
        return reach != REACH_CLAUSE && count - comma <= (reach == REACH_LIST ? 16u : 3u) &&
               !any_among(w, comma, w->count, restarts) && !any_among(w, comma, w->count, contrasts);
    }
    return false;
}

static const char *const fillers[] = {"use", "abuse", "misuse", "history", "hx", "intake", "consumption", "status",
    "screen", "screening", "test", "testing", "result", "results", "antibody", "antibodies", "antigen", "ab", "ag",
    "rna", "dna", "1", "2", "and", "or", "ideation", "ideations", "thoughts", "thought", "disorder", "symptoms", "drug",
    "drugs", "exposure", "infection", "user", "drinker", "attempt", "attempts", "plan", "intent", "si", "hi", "avh",
    "type", "serology", "pcr", "finding", "4th", "gen", "combo", "illicit", "recreational", "per", "week", "day",
    "current", "past", "tobacco", "substance", "alcohol", "s", "ever", "today", "now", "mutation", "variant", "trait",
    "any", "of", NULL};
static const char *const refusals[] = {"none", "never", "denies", "denied", "negative", "neg", "nonreactive",
    "non reactive", "not detected", "absent", "not present", "not reported", "undetected", "not endorsed", "ruled out",
    "was denied", "is denied", "were denied", "are denied", "was ruled out", "is negative", "was negative", "nil",
    NULL};
static const char *const weak_refusals[] = {"no", "not", "n", "0", NULL}; /* only behind a sign: "Alcohol: no" */
static const char *const found_nothing[] = {"negative", "neg", "nonreactive", "non reactive", "not detected",
    "undetected", "is negative", "was negative", NULL};
static const char *const no_refusals[] = {"no more", "no change", "no longer", "no improvement", "no problem",
    "not well", "never stopped", "no known", "negative effects", "negative impact", "negative thoughts",
    "negative symptoms", "negative affect", "not controlled", "not improved", "none more", "denies coverage",
    "not taking", NULL};

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
        if (any_at(w, i, no_refusals))
            return false;
        if (any_at(w, i, refusals) || (parted && any_at(w, i, weak_refusals)))
            return !(is_result(topic) && any_at(w, i, found_nothing));
        char after = w->words[i].after;
        if (!any_at(w, i, fillers) || (after && !parts(after) && after != '(' && after != ')' && after != '['))
            return false;
        parted |= parts(after);
    }
    return false;
}

/* ---- Family ---- */

static const char *const relatives[] = {"mother", "mother's", "father", "father's", "mom", "mom's", "dad", "dad's",
    "brother", "brother's", "brothers", "sister", "sister's", "sisters", "sibling", "siblings", "parent", "parents",
    "aunt", "aunts", "uncle", "uncles", "cousin", "cousins", "grandmother", "grandfather", "grandparent",
    "grandparents", "grandma", "grandpa", "son", "son's", "daughter", "daughter's", "nephew", "niece", "stepfather",
    "stepmother", "half brother", "half sister", "maternal", "paternal", "mgm", "mgf", "pgm", "pgf", "family member",
    "family members", "relative", "relatives", "first degree relative", NULL};
static const char *const household[] = {"husband", "husband's", "wife", "wife's", "spouse", "boyfriend", "girlfriend",
    "roommate", "fiance", "fiancee", "ex husband", "ex wife", NULL};
static const char *const histories[] = {"family history", "family hx", "fam hx", "family h o", "fhx", "fh", "famhx",
    "family psychiatric history", "family medical history", "familial history", "runs in the family", "runs in family",
    "family hist", NULL};
static const char *const of_the_patient[] = {"patient", "pt", "she", "he", "they", "i", "patient's", "denies",
    "reports", "her", "his", "about", "worried", "concerned", "that", "himself", "herself", "lives", NULL};
/* "lives with mother", "abused by father": the sentence is about somebody else. */
static const char *const beside[] = {"with", "by", "from", "to", "for", "toward", "towards", "against", "and", NULL};
static const char *const of_them[] = {"his", "her", "the", "their", "patient's", "a", "both", "one", "biological",
    "maternal", "paternal", "older", "younger", "pt's", "my", "half", "great", NULL};

static bool is_relative(const struct window *w, unsigned i, enum sl_mention topic)
{
    bool near = topic != SL_MENTION_HIV && topic != SL_MENTION_SEXUAL && topic != SL_MENTION_GENETIC;
    return any_at(w, i, relatives) || (near && any_at(w, i, household));
}

static bool is_family_before(const struct window *w, unsigned count, enum sl_mention topic)
{
    for (unsigned i = count; i-- > 0 && count - i <= 16;) {
        if (any_at(w, i, histories))
            return !any_among(w, i + 1, count, of_the_patient);
        if (topic == SL_MENTION_VIOLENCE || !is_relative(w, i, topic))
            continue;
        unsigned before = i;
        while (before && any_at(w, before - 1, of_them))
            before--;
        bool aside = before && any_at(w, before - 1, beside) && !w->words[before - 1].after;
        return !aside && count - i <= 11 && !any_among(w, i + 1, count, of_the_patient);
    }
    return false;
}

/* "alcoholism in father", "depression (mother)", "schizophrenia - brother" */
static bool is_family_behind(const struct window *w, char sign, enum sl_mention topic)
{
    if (topic == SL_MENTION_VIOLENCE || (sign && !strchr("(:|,", sign)))
        return false;
    unsigned i = 0;
    while (i < w->count && i < 3 && any_at(w, i, fillers))
        i++;
    bool linked = (sign && sign != ',') || (i && w->words[i - 1].after == '(');
    if (i < w->count && (phrase_at(w, i, "in") || phrase_at(w, i, "on"))) {
        linked = true;
        i++;
    }
    while (linked && i < w->count && any_at(w, i, of_them) && !is_relative(w, i, topic))
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
static struct heading read_heading(const char *line, size_t len)
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
    (void)read_window(&w, line, 0, colon < most ? colon : most);
    heading.family = w.count && w.count <= 5 && any_at(&w, 0, histories);
    heading.alone |= marked;
    bool relative = w.count && (any_at(&w, 0, relatives) || any_at(&w, 0, household));
    heading.heads = heading.family || marked || (colon < most && !relative);
    return heading;
}

/* Up to the line that the word stands in. */
static void go_to(struct sl_scope_reader *reader, const struct sl_words_text *text, uint32_t begin)
{
    while (reader->line < text->line_count && text->lines[reader->line] <= begin) {
        uint32_t at = text->lines[reader->line++];
        uint32_t end = reader->line < text->line_count ? text->lines[reader->line] : (uint32_t)text->len;
        struct heading heading = read_heading(text->text + at, end - at);
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
    unsigned count = read_window(&before, text->text + from, begin - from, end - from);
    (void)read_window(&behind, text->text + end, 0, stop - end);
    char sign = sign_behind(text->text, end, stop);
    if (is_denied_before(&before, count, topic) || is_denied_behind(&behind, sign, topic))
        return SL_SCOPE_DENIED;
    bool section = reader->family && begin - reader->since <= SECTION;
    if (section || is_family_before(&before, count, topic) || is_family_behind(&behind, sign, topic))
        return SL_SCOPE_FAMILY;
    return SL_SCOPE_PATIENT;
}
