/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See words.h. The terms are literals to Vectorscan, which finds them all in one pass; whether one is a word of its own
 * there, whether it needs others near it, and what the sentence says of it, is judged here, where one was found.
 *
 * Literals compile in some sixty milliseconds where the same terms as expressions with boundaries take six seconds, so
 * that nothing is kept from run to run: docs/decisions/0008-words.md.
 */
#include "words.h"

#include <hs/hs.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "csv.h"
#include "words_scope.h"
#include "words_text.h"

#define TERM_LENGTH 80u
#define HITS 4096u             /* looked at together */
#define POOL 64u               /* searches at once that need not make what they remember anew */
#define KEPT ((size_t)4 << 20) /* of the text of one search, for the next */
#define NEAR 100u              /* how far from a term the words it needs may stand */
#define NEAR_WORDS 48u         /* that a term may name */
#define NO_TOPIC SL_MENTIONS
#define FILTER_BITS 18u

struct term {
    struct sl_slice text, literal; /* as in its file; as it is searched for */
    const struct sl_slice *near; /* it counts only near one of these; one that ends in '*' is the beginning of a word */
    uint8_t near_count, topic;   /* enum sl_mention; NO_TOPIC: a phrase in which no term counts */
    bool exact, begins, ends;    /* case matters; its first and last characters are letters or digits */
};

struct hit {
    uint32_t begin, end;
    uint16_t term;
};

/* What one search remembers. */
struct memory {
    hs_scratch_t *scratch;
    struct sl_words_text text;
    struct hit hits[HITS];
    uint32_t hit_count;
};

struct sl_words {
    struct sl_arena *arena;
    struct term *terms;
    size_t count, capacity;
    hs_database_t *database;
    hs_scratch_t *prototype;
    struct sl_phrases *phrases;
    bool failed;                               /* no memory while loading */
    bool open;                                 /* some term may begin within a word: nothing can be told by words */
    uint64_t filter[(1u << FILTER_BITS) / 64]; /* words that are a term, and pairs of words that one begins with */
    _Atomic(struct memory *) pool[POOL];
};

static const struct sl_slice names[SL_MENTIONS] = {{"substance-use", 13}, {"mental-health", 13}, {"hiv", 3},
    {"sexual-reproductive-health", 26}, {"violence", 8}, {"genetic", 7}, {"sickle-cell", 11}, {"denied", 6},
    {"family", 6}};

struct sl_slice sl_mention_name(enum sl_mention mention)
{
    return names[mention];
}

/* ---- Memory ---- */

static void memory_free(struct memory *memory)
{
    if (!memory)
        return;
    hs_free_scratch(memory->scratch);
    sl_words_text_fini(&memory->text);
    free(memory);
}

/* Threads begin at places of their own, told apart by their stacks, so that they seldom meet. */
static unsigned first_place(void)
{
    char here;
    return (unsigned)(((uint64_t)(uintptr_t)&here >> 20) * 0x9e3779b97f4a7c15u >> 58);
}

static struct memory *memory_take(struct sl_words *words)
{
    for (unsigned i = 0, first = first_place(); i < POOL; i++) {
        _Atomic(struct memory *) *place = &words->pool[(first + i) % POOL];
        if (!atomic_load_explicit(place, memory_order_relaxed))
            continue;
        struct memory *memory = atomic_exchange_explicit(place, NULL, memory_order_acquire);
        if (memory)
            return memory;
    }
    struct memory *memory = calloc(1, sizeof *memory);
    if (memory && hs_clone_scratch(words->prototype, &memory->scratch) != HS_SUCCESS) {
        memory->scratch = NULL;
        memory_free(memory);
        return NULL;
    }
    return memory;
}

static void memory_give(struct sl_words *words, struct memory *memory)
{
    if (memory->text.capacity > KEPT)
        sl_words_text_fini(&memory->text);
    for (unsigned i = 0, first = first_place(); i < POOL; i++) {
        struct memory *none = NULL;
        if (atomic_compare_exchange_strong_explicit(
                &words->pool[(first + i) % POOL], &none, memory, memory_order_release, memory_order_relaxed))
            return;
    }
    memory_free(memory);
}

/* ---- Searching ---- */

struct search {
    const struct sl_words *words;
    struct memory *memory;
    struct sl_scope_reader reader;
    struct sl_mentions *out;
    unsigned near_looks;
    uint16_t scopes[3]; /* topics, by enum sl_scope: a bit each */
    uint16_t terms[3][SL_MENTION_TOPICS];
};

static bool is_word(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* Does a word end here? A plural is the same word. */
static bool ends_at(const struct sl_words_text *text, const struct term *term, uint32_t end)
{
    const char *p = text->text;
    size_t len = text->len;
    if (end >= len || !is_word(p[end]) || sl_words_joint(text, end))
        return true;
    char last = (char)(term->literal.ptr[term->literal.len - 1] | 0x20);
    uint32_t s = end + ((p[end] | 0x20) == 'e' && strchr("shxz", last) != NULL);
    return s < len && (term->exact ? p[s] == 's' : (p[s] | 0x20) == 's') &&
           (s + 1 >= len || !is_word(p[s + 1]) || sl_words_joint(text, s + 1));
}

static bool stands_alone(const struct sl_words_text *text, const struct term *term, uint32_t begin, uint32_t end)
{
    if (term->begins && begin > 0 && is_word(text->text[begin - 1]) && !sl_words_joint(text, begin))
        return false;
    return !term->ends || ends_at(text, term, end);
}

static bool begins_with(const char *text, const char *end, struct sl_slice word)
{
    bool open = word.ptr[word.len - 1] == '*';
    size_t len = word.len - open;
    if ((size_t)(end - text) < len)
        return false;
    for (size_t i = 0; i < len; i++)
        if (((text[i] >= 'A' && text[i] <= 'Z') ? (text[i] | 0x20) : text[i]) != word.ptr[i])
            return false;
    return open || text + len == end || !is_word(text[len]) || (text[len] == 's' && !is_word(text[len + 1]));
}

/* Stands one of the words it needs near it? It does not need itself. After many looks in one text: yes. */
static bool is_near(struct search *search, const struct term *term, const struct hit *hit)
{
    const struct sl_words_text *text = &search->memory->text;
    if (search->near_looks++ >= SL_SCOPE_LOOKS)
        return true;
    size_t from = hit->begin > NEAR ? hit->begin - NEAR : 0;
    size_t to = text->len - hit->end > NEAR ? hit->end + NEAR : text->len;
    for (size_t i = from; i < to; i++) {
        if (i == hit->begin)
            i = hit->end;
        if (i >= to || !is_word(text->text[i]) || (i && is_word(text->text[i - 1])))
            continue;
        for (unsigned n = 0; n < term->near_count; n++)
            if (begins_with(text->text + i, text->text + to, term->near[n]))
                return true;
    }
    return false;
}

static void note(struct search *search, enum sl_scope scope, enum sl_mention topic, uint16_t term)
{
    if (search->scopes[scope] >> topic & 1)
        return;
    search->scopes[scope] |= (uint16_t)(1u << topic);
    search->terms[scope][topic] = term;
}

/* Once a topic is the patient's, whatever else is said of it makes no difference. */
static void judge(struct search *search, const struct hit *hit)
{
    const struct term *term = &search->words->terms[hit->term];
    enum sl_mention topic = (enum sl_mention)term->topic;
    if (search->scopes[SL_SCOPE_PATIENT] >> topic & 1)
        return;
    if (term->near_count && !is_near(search, term, hit))
        return;
    enum sl_scope scope = sl_scope_find(&search->reader, &search->memory->text, topic, hit->begin, hit->end);
    note(search, scope, topic, hit->term);
    if (scope == SL_SCOPE_FAMILY && topic == SL_MENTION_GENETIC)
        note(search, SL_SCOPE_PATIENT, topic, hit->term); /* it is genetic information of the patient's own */
}

/* A topic the patient has to do with is mentioned; one that is only denied, or only the family's, is marked as such. */
static void conclude(struct search *search)
{
    static const enum sl_mention marks[] = {
        [SL_SCOPE_DENIED] = SL_MENTION_DENIED, [SL_SCOPE_FAMILY] = SL_MENTION_FAMILY};
    struct sl_mentions *out = search->out;
    uint16_t own = search->scopes[SL_SCOPE_PATIENT];
    out->bits = own;
    memcpy(out->term, search->terms[SL_SCOPE_PATIENT], sizeof search->terms[SL_SCOPE_PATIENT]);
    for (enum sl_scope scope = SL_SCOPE_DENIED; scope <= SL_SCOPE_FAMILY; scope++) {
        uint16_t others = search->scopes[scope] & (uint16_t)~own;
        if (!others)
            continue;
        out->bits |= (uint16_t)(1u << marks[scope]);
        out->term[marks[scope]] = search->terms[scope][__builtin_ctz(others)];
    }
}

/* Is the hit within a phrase in which no term counts? Hits stand in the order of their ends. */
static bool is_covered(const struct search *search, uint32_t i)
{
    const struct memory *m = search->memory;
    const struct hit *hit = &m->hits[i];
    while (i > 0 && m->hits[i - 1].end == hit->end)
        i--;
    for (; i < m->hit_count && m->hits[i].end <= hit->begin + TERM_LENGTH; i++)
        if (search->words->terms[m->hits[i].term].topic == NO_TOPIC && m->hits[i].begin <= hit->begin &&
            m->hits[i].end >= hit->end)
            return true;
    return false;
}

/* Judges the hits that nothing which comes can cover any more, and keeps the others. */
static void judge_hits(struct search *search, uint32_t safe)
{
    struct memory *m = search->memory;
    uint32_t done = 0;
    while (done < m->hit_count && m->hits[done].begin + TERM_LENGTH < safe)
        done++;
    while (done > 0 && done < m->hit_count && m->hits[done].end == m->hits[done - 1].end)
        done--; /* those that end together cover each other */
    if (done == 0 && m->hit_count == HITS)
        done = HITS / 2; /* no text has as many within the length of a term */
    for (uint32_t i = 0; i < done; i++)
        if (search->words->terms[m->hits[i].term].topic != NO_TOPIC && !is_covered(search, i))
            judge(search, &m->hits[i]);
    memmove(m->hits, m->hits + done, (m->hit_count - done) * sizeof *m->hits);
    m->hit_count -= done;
}

static int on_hit(unsigned id, unsigned long long from, unsigned long long to, unsigned flags, void *context)
{
    struct search *search = context;
    struct memory *m = search->memory;
    const struct term *term = &search->words->terms[id];
    uint32_t end = (uint32_t)to, begin = end - (uint32_t)term->literal.len;
    (void)from, (void)flags;
    if (!stands_alone(&m->text, term, begin, end))
        return 0;
    if (m->hit_count == HITS)
        judge_hits(search, end);
    uint32_t at = m->hit_count++;
    for (; at > 0 && m->hits[at - 1].end > end; at--)
        m->hits[at] = m->hits[at - 1]; /* the library gives them in order; nothing here rests on it */
    m->hits[at] = (struct hit){.begin = begin, .end = end, .term = (uint16_t)id};
    return search->scopes[SL_SCOPE_PATIENT] == (1u << SL_MENTION_TOPICS) - 1; /* there is nothing more to find */
}

bool sl_words_search(
    const struct sl_words *words, enum sl_content_kind kind, struct sl_slice text, struct sl_mentions *out)
{
    struct sl_words *pool = (struct sl_words *)(uintptr_t)words; /* the pool alone is written to, atomically */
    *out = (struct sl_mentions){0};
    struct memory *memory = memory_take(pool);
    if (!memory)
        return false;
    struct search search = {.words = words, .memory = memory, .out = out, .reader = {.phrases = words->phrases}};
    memory->hit_count = 0;
    bool good = sl_words_gather(&memory->text, kind, text);
    hs_error_t found = HS_SUCCESS;
    if (good && memory->text.len)
        found = hs_scan(
            words->database, memory->text.text, (unsigned)memory->text.len, 0, memory->scratch, on_hit, &search);
    good = good && (found == HS_SUCCESS || found == HS_SCAN_TERMINATED);
    if (good) {
        judge_hits(&search, UINT32_MAX);
        conclude(&search);
    }
    out->partial = memory->text.partial;
    memory_give(pool, memory);
    return good;
}

/* ---- What holds no term for sure ---- */

/*
 * Most strings beside codes are short, plain, and hold no term: that is told without a scan, by their words. A word is
 * its first eight letters and its length.
 */
struct token {
    uint64_t letters;
    unsigned len;
};

enum { TOKEN_PARTS = 0, TOKEN_UNSURE = 0xff };

/* What a byte is in a plain string: a letter or digit in lower case, something between words, or the beginning of what
 * only words_text.c can tell. */
static inline unsigned char token_char(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c;
    unsigned char low = c | 0x20;
    if (low >= 'a' && low <= 'z')
        return low;
    return c < 0x20 || c >= 0x7f || c == '<' || c == '&' || c == '\\' || c == '*' || c == '`' || c == '~' ? TOKEN_UNSURE
                                                                                                          : TOKEN_PARTS;
}

static inline uint32_t token_place(struct token a, struct token b)
{
    uint64_t hash = (a.letters ^ (uint64_t)a.len << 59) * 0x9e3779b97f4a7c15u;
    hash = (hash ^ hash >> 29 ^ b.letters ^ (uint64_t)b.len << 57) * 0xbf58476d1ce4e5b9u;
    return (uint32_t)(hash >> (64 - FILTER_BITS));
}

static inline bool is_marked(const struct sl_words *words, uint32_t place)
{
    return words->filter[place / 64] >> (place % 64) & 1;
}

static void mark(struct sl_words *words, struct token a, struct token b)
{
    uint32_t place = token_place(a, b);
    words->filter[place / 64] |= (uint64_t)1 << (place % 64);
}

static struct token longer(struct token token, const char *more)
{
    for (; *more; more++, token.len++)
        token.letters = token.len < 8 ? token.letters << 8 | (unsigned char)*more : token.letters;
    return token;
}

/* The words that a term begins with, the last of them in its plurals too. */
static void mark_term(struct sl_words *words, const struct term *term)
{
    struct token tokens[2] = {{0, 0}, {0, 0}};
    unsigned count = 0;
    bool within = false;
    for (size_t i = 0; i < term->literal.len; i++) {
        unsigned char c = token_char((unsigned char)term->literal.ptr[i]);
        bool letter = c != TOKEN_PARTS && c != TOKEN_UNSURE;
        count += letter && !within;
        within = letter;
        if (letter && count <= 2)
            tokens[count - 1] = longer(tokens[count - 1], (const char[]){(char)c, '\0'});
    }
    words->open |= !term->begins || count == 0;
    static const char *const plurals[] = {"", "s", "es"};
    for (size_t i = 0; i < 3; i++) {
        bool last = count <= 2;
        struct token a = count == 1 ? longer(tokens[0], plurals[i]) : tokens[0];
        struct token b = count == 2 ? longer(tokens[1], plurals[i]) : tokens[1];
        mark(words, a, b);
        if (!last)
            break;
    }
}

bool sl_words_may_hold(const struct sl_words *words, struct sl_slice text)
{
    const struct token none = {0, 0};
    struct token before = none, token = none;
    for (size_t i = 0; i <= text.len; i++) {
        unsigned char c = i < text.len ? token_char((unsigned char)text.ptr[i]) : TOKEN_PARTS;
        if (c == TOKEN_UNSURE)
            return true;
        if (c != TOKEN_PARTS) {
            token.letters = token.len < 8 ? token.letters << 8 | c : token.letters;
            token.len++;
            continue;
        }
        if (!token.len)
            continue;
        if (is_marked(words, token_place(token, none)) || (before.len && is_marked(words, token_place(before, token))))
            return true;
        before = token;
        token = none;
    }
    return words->open;
}

/* ---- Loading ---- */

enum { COLUMN_TOPIC, COLUMN_TERM, COLUMN_FLAGS, COLUMN_NEAR };

static const char *const columns[] = {"topic", "term", "flags", "near", NULL};

static bool read_topic(struct sl_csv *csv, struct sl_slice name, struct term *term)
{
    if (sl_slice_eq(name, SL_LIT("none"))) {
        term->topic = NO_TOPIC;
        return true;
    }
    for (unsigned i = 0; i < SL_MENTION_TOPICS; i++)
        if (sl_slice_eq(name, names[i])) {
            term->topic = (uint8_t)i;
            return true;
        }
    sl_csv_complain(csv, "unknown-topic", "There is no such topic", name);
    return false;
}

/* The term as the text that is searched will have it. */
static bool read_literal(struct sl_words *words, struct sl_csv *csv, struct sl_slice text, struct term *term)
{
    struct sl_words_text gathered = {0};
    bool good = sl_words_gather(&gathered, SL_CONTENT_PLAIN, text);
    struct sl_slice literal = {gathered.text, gathered.len};
    while (literal.len && literal.ptr[literal.len - 1] == ' ')
        literal.len--;
    while (literal.len && *literal.ptr == ' ')
        literal = sl_slice_from(literal, 1);
    bool fits = literal.len >= 2 && literal.len < TERM_LENGTH;
    if (good && fits) {
        term->text = sl_arena_copy(words->arena, text);
        term->literal = sl_arena_copy(words->arena, literal);
        term->begins = is_word(*literal.ptr);
        term->ends = is_word(literal.ptr[literal.len - 1]);
    } else if (good) {
        sl_csv_complain(csv, "bad-term", "A term has from 2 to 79 characters", text);
    }
    sl_words_text_fini(&gathered);
    return good && fits && term->literal.ptr;
}

/* "word|beginn*|…" */
static bool read_near(struct sl_words *words, struct sl_csv *csv, struct sl_slice list, struct term *term)
{
    struct sl_slice *near = sl_arena_array(words->arena, NEAR_WORDS, sizeof *near);
    term->near = near;
    while (near && list.len) {
        const char *bar = memchr(list.ptr, '|', list.len);
        struct sl_slice word = {list.ptr, bar ? (size_t)(bar - list.ptr) : list.len};
        list = sl_slice_from(list, word.len + 1);
        char *copy = (char *)(uintptr_t)sl_arena_copy(words->arena, word).ptr;
        for (size_t i = 0; copy && i < word.len; i++)
            copy[i] = copy[i] >= 'A' && copy[i] <= 'Z' ? (char)(copy[i] | 0x20) : copy[i] == '-' ? ' ' : copy[i];
        if (word.len < 2 || !is_word(*word.ptr) || term->near_count == NEAR_WORDS) {
            sl_csv_complain(csv, "bad-near", "This is no list of up to 48 words with | between", word);
            return false;
        }
        near[term->near_count++] = (struct sl_slice){copy, word.len};
    }
    return !sl_arena_failed(words->arena);
}

static void read_row(struct sl_words *words, struct sl_csv *csv)
{
    struct term term = {0};
    struct sl_slice flags = csv->field[COLUMN_FLAGS];
    term.exact = sl_slice_eq(flags, SL_LIT("case"));
    if (flags.len && !term.exact)
        sl_csv_complain(csv, "unknown-flag", "A term has the flag \"case\" or none", flags);
    if (words->count == SL_WORDS_LIMIT) {
        sl_csv_complain(csv, "too-many", "A lexicon has at most 16384 terms, and not also", csv->field[COLUMN_TERM]);
        return;
    }
    if (!read_topic(csv, csv->field[COLUMN_TOPIC], &term) ||
        !read_literal(words, csv, csv->field[COLUMN_TERM], &term) ||
        !read_near(words, csv, csv->field[COLUMN_NEAR], &term))
        return;
    if (words->count == words->capacity) {
        size_t capacity = words->capacity ? words->capacity * 2 : 1024;
        struct term *terms = realloc(words->terms, capacity * sizeof *terms);
        words->failed |= !terms;
        if (!terms)
            return;
        words->terms = terms;
        words->capacity = capacity;
    }
    mark_term(words, &term);
    words->terms[words->count++] = term;
}

static bool is_lexicon(struct sl_slice path)
{
    return sl_slice_starts(path, SL_LIT("lexicon/")) && path.len > 12 &&
           memcmp(path.ptr + path.len - 4, ".csv", 4) == 0;
}

static enum sl_status compile(struct sl_words *words, struct sl_issues *issues)
{
    size_t n = words->count;
    const char **literals = calloc(n + 1, sizeof *literals);
    unsigned *flags = calloc(n + 1, sizeof *flags), *ids = calloc(n + 1, sizeof *ids);
    size_t *lengths = calloc(n + 1, sizeof *lengths);
    enum sl_status status = literals && flags && ids && lengths ? SL_OK : SL_NO_MEMORY;
    hs_compile_error_t *error = NULL;
    for (size_t i = 0; status == SL_OK && i < n; i++) {
        literals[i] = words->terms[i].literal.ptr;
        lengths[i] = words->terms[i].literal.len;
        flags[i] = words->terms[i].exact ? 0 : HS_FLAG_CASELESS;
        ids[i] = (unsigned)i;
    }
    if (status == SL_OK && hs_compile_lit_multi(literals, flags, ids, lengths, (unsigned)n, HS_MODE_BLOCK, NULL,
                               &words->database, &error) != HS_SUCCESS) {
        sl_issue_add(issues, SL_GRADE_ERROR, "bad-lexicon", "The lexicon cannot be compiled: %s",
            error && error->message ? error->message : "no reason given");
        status = SL_INVALID;
    }
    hs_free_compile_error(error);
    if (status == SL_OK && hs_alloc_scratch(words->database, &words->prototype) != HS_SUCCESS)
        status = SL_NO_MEMORY;
    free(literals);
    free(flags);
    free(ids);
    free(lengths);
    return status;
}

static void read_file(struct sl_words *words, const struct sl_policy_file *file, struct sl_issues *issues)
{
    struct sl_csv csv;
    if (sl_csv_open(&csv, file->path, file->text, columns, words->arena, issues))
        while (sl_csv_next(&csv))
            read_row(words, &csv);
}

enum sl_status sl_words_load(
    const struct sl_policy_file *files, size_t count, struct sl_issues *issues, struct sl_words **out)
{
    *out = NULL;
    size_t before = issues ? issues->errors : 0;
    struct sl_words *words = calloc(1, sizeof *words);
    enum sl_status status = SL_NO_MEMORY;
    if (!words)
        return status;
    words->arena = sl_arena_new((size_t)64 << 20);
    words->phrases = sl_phrases_new();
    words->failed = !words->phrases;
    for (size_t i = 0; words->arena && i < count; i++)
        if (is_lexicon(files[i].path))
            read_file(words, &files[i], issues);
    if (words->arena && !sl_arena_failed(words->arena) && !words->failed)
        status = issues && issues->errors > before ? SL_INVALID : SL_OK;
    if (status == SL_OK && words->count)
        status = compile(words, issues);
    if (status == SL_OK && words->count)
        *out = words;
    else
        sl_words_free(words);
    return status;
}

void sl_words_free(struct sl_words *words)
{
    if (!words)
        return;
    for (unsigned i = 0; i < POOL; i++)
        memory_free(words->pool[i]);
    hs_free_scratch(words->prototype);
    hs_free_database(words->database);
    sl_phrases_free(words->phrases);
    sl_arena_free(words->arena);
    free(words->terms);
    free(words);
}

size_t sl_words_count(const struct sl_words *words)
{
    return words->count;
}

struct sl_slice sl_words_term(const struct sl_words *words, uint16_t term)
{
    return words->terms[term].text;
}
