/* SPDX-License-Identifier: Apache-2.0 */
/* The words of the policy language: see language.h. */
#include "language.h"

#include "change.h"
#include "item_facts.h"
#include "policy_model.h"
#include "words.h"

/* ---- Keys ---- */

#define NEEDED true
#define MAY false
#define OF_TEXT(of) SL_WORDS_##of
#define OF_ID(of) SL_WORDS_##of
#define OF_FLAG(of) SL_WORDS_##of
#define OF_DATE(of) SL_WORDS_##of
#define OF_DAYS(of) SL_WORDS_##of
#define OF_HOURS(of) SL_WORDS_##of
#define OF_ONE(of) SL_WORDS_##of
#define OF_SOME(of) SL_WORDS_##of
#define OF_LIST(of) SL_WORDS_##of
#define OF_CODES(of) SL_WORDS_##of
#define OF_TYPES(of) SL_WORDS_##of
#define OF_DATA(of) SL_WORDS_##of
#define OF_TO(of) SL_WORDS_##of
#define OF_MAP(of) SL_MAP_##of
#define OF_MAPS(of) SL_MAP_##of
#define OF_LINES(of) SL_MAP_##of

static const struct sl_word table[] = {
#define W(map, key, form, of, needed, help, reads)                                                                     \
    {SL_MAP_##map, key, SL_FORM_##form, (unsigned)OF_##form(of), needed, help, reads},
#include "language.def"
#undef W
};
#define COUNT (sizeof table / sizeof *table)

/* The rows of a map stand together. */
const struct sl_word *sl_language(enum sl_map map, size_t *count)
{
    size_t first = 0;
    while (first < COUNT && table[first].map != map)
        first++;
    *count = 0;
    while (first + *count < COUNT && table[first + *count].map == map)
        ++*count;
    return &table[first < COUNT ? first : 0];
}

const struct sl_word *sl_language_find(enum sl_map map, struct sl_slice key)
{
    size_t count;
    const struct sl_word *words = sl_language(map, &count);
    for (size_t i = 0; i < count; i++)
        if (sl_slice_eq(sl_slice_of(words[i].key), key))
            return &words[i];
    return NULL;
}

bool sl_language_check(const struct sl_yaml_source *source, const struct sl_yaml *node, enum sl_map map)
{
    const char *keys[COUNT + 1];
    size_t count;
    const struct sl_word *words = sl_language(map, &count);
    for (size_t i = 0; i < count; i++)
        keys[i] = words[i].key;
    keys[count] = NULL;
    if (!sl_yaml_check_keys(source, node, keys))
        return false;
    for (size_t i = 0; i < count; i++)
        if (words[i].needed)
            (void)sl_yaml_require(source, node, words[i].key);
    return true;
}

/* ---- Vocabularies ---- */

/* Words of a fixed list, and how each reads. Readers count on their order. */
static const struct entry {
    enum sl_vocabulary vocabulary;
    const char *word, *reads;
} entries[] = {
    {SL_WORDS_LAYER, "federal", "a ceiling of federal law"},
    {SL_WORDS_LAYER, "state", "a ceiling of state law"},
    {SL_WORDS_LAYER, "organization", "a file of the organization"},
    {SL_WORDS_LAYER, "program", "a file of a program"},
    {SL_WORDS_DENIALS, "give-way", "gives way"},
    {SL_WORDS_DENIALS, "bind", "binds all the same"},
    {SL_WORDS_NARRATIVE, "drop", "never goes out"},
    {SL_WORDS_NARRATIVE, "regenerate", "is written anew from what is released"},
    {SL_WORDS_VOUCHER, "record", "a record"},
    {SL_WORDS_VOUCHER, "registry", "the registry of clients"},
    {SL_WORDS_VOUCHER, "register", "the officer's register"},
    {SL_WORDS_VOUCHER, "token", "the token"},
    {SL_WORDS_KIND, "covered-entity", "a covered entity of HIPAA"},
    {SL_WORDS_KIND, "business-associate", "a business associate"},
    {SL_WORDS_KIND, "part2-program", "a Part 2 program"},
    {SL_WORDS_KIND, "qso", "a qualified service organization"},
    {SL_WORDS_KIND, "intermediary", "an intermediary of 42 CFR 2.11"},
    {SL_WORDS_KIND, "lawful-holder", "a lawful holder of Part 2 records"},
    {SL_WORDS_KIND, "contractor", "a contractor or subcontractor"},
    {SL_WORDS_KIND, "legal-representative", "a legal representative"},
    {SL_WORDS_KIND, "payer", "a payer"},
    {SL_WORDS_KIND, "health-plan", "a health plan"},
    {SL_WORDS_KIND, "hie", "a health information exchange"},
    {SL_WORDS_KIND, "hie-partner", "a partner in a health information exchange"},
    {SL_WORDS_KIND, "patient-app", "an app of the patient's choice"},
    {SL_WORDS_KIND, "ai-agent", "a program that acts by itself"},
    {SL_WORDS_KIND, "research", "research"},
    {SL_WORDS_KIND, "research-feed", "a feed for research"},
    {SL_WORDS_KIND, "auditor", "an auditor or evaluator of 42 CFR 2.53"},
    {SL_WORDS_KIND, "public-health", "a public health authority"},
    {SL_WORDS_KIND, "law-enforcement", "law enforcement"},
    {SL_WORDS_KIND, "court", "a court"},
    {SL_WORDS_KIND, "government", "a government agency"},
    {SL_WORDS_KIND, "central-registry", "a central registry of 42 CFR 2.34"},
    {SL_WORDS_KIND, "pdmp", "a prescription drug monitoring program"},
    {SL_WORDS_AGREEMENT, "baa", "a business associate agreement"},
    {SL_WORDS_AGREEMENT, "qsoa", "a qualified service organization agreement"},
    {SL_WORDS_AGREEMENT, "dua", "a data use agreement"},
    {SL_WORDS_AGREEMENT, "contract", "a contract with the terms of 42 CFR part 2"},
    {SL_WORDS_RELATIONSHIP, "treating", NULL},
    {SL_WORDS_RELATIONSHIP, "care-team", "member of the care team"},
    {SL_WORDS_RELATIONSHIP, "open-referral", "one to whom the patient is referred, as long as the referral is open"},
    {SL_WORDS_RELATIONSHIP, "recent-encounter", "one who saw the patient lately"},
    {SL_WORDS_RELATIONSHIP, "author", "one who wrote in the patient's record"},
    {SL_WORDS_RELATIONSHIP, "self", "the patient himself"},
    {SL_WORDS_RELATIONSHIP, "representative", "who represents the patient"},
    {SL_WORDS_EMERGENCY, "declared", "with all that 42 CFR 2.51 asks"},
    {SL_WORDS_EMERGENCY_CASE, "declared", NULL},
    {SL_WORDS_EMERGENCY_CASE, "incomplete", NULL},
    {SL_WORDS_CLASS_KIND, "needs-yes", "goes only to those to whom a rule releases it"},
    {SL_WORDS_CLASS_KIND, "only-restricts", "goes with what it is found in, unless a rule withholds it"},
    {SL_WORDS_LEVEL, "V", "V, very restricted"},
    {SL_WORDS_LEVEL, "R", "R, restricted"},
    {SL_WORDS_LEVEL, "N", "N, normal"},
    {SL_WORDS_LEVEL, "M", "M, moderate"},
    {SL_WORDS_LEVEL, "L", "L, low"},
    {SL_WORDS_LEVEL, "U", "U, unrestricted"},
    {SL_WORDS_ORIGIN, "program", "a Part 2 program made it"},
    {SL_WORDS_ORIGIN, "unknown-with-candidate-code",
        "nobody knows who made it, and it has a code that would be Part 2 if a program had"},
    {SL_WORDS_ORIGIN, "unknown-with-unread", "nobody knows who made it, and it cannot be read here"},
    {SL_WORDS_ORIGIN, "registered-by-program", "it tells that a person is known here whom a Part 2 program registered"},
    {SL_WORDS_ORIGIN, "received-under-tpo", "a Part 2 program made it, and it was received here on a TPO consent"},
    {SL_WORDS_VERDICT, "release", "releases"},
    {SL_WORDS_VERDICT, "withhold", "withholds"},
    {SL_WORDS_VERDICT, "hold", "withholds, and asks the privacy officer about,"},
    {SL_WORDS_LIFT, "never", "No rule"},
    {SL_WORDS_YES, "yes", NULL},
    {SL_WORDS_YES, "true", NULL},
    {SL_WORDS_NEVER, "release", "release"},
    {SL_WORDS_ACTION, "create", NULL},
    {SL_WORDS_ACTION, "update", NULL},
    {SL_WORDS_ACTION, "patch", NULL},
    {SL_WORDS_ACTION, "delete", NULL},
    {SL_WORDS_SEARCHED, "filter", "_filter"},
    {SL_WORDS_SEARCHED, "text", "the words of narratives (_text)"},
    {SL_WORDS_SEARCHED, "content", "all words (_content)"},
    {SL_WORDS_WRITTEN, "all", "any but Consent"},
    {SL_WORDS_BASIS, "authorization", "the patients' authorization"},
    {SL_WORDS_BASIS, "waiver", "a waiver by an IRB or privacy board"},
    {SL_WORDS_BASIS, "common-rule", "the Common Rule"},
    {SL_WORDS_OUTCOME, "released", NULL},
    {SL_WORDS_OUTCOME, "withheld", NULL},
    {SL_WORDS_OUTCOME, "refused", NULL},
    {SL_WORDS_OUTCOME, "granted", NULL},
    {SL_WORDS_OTHERS, "none", "nothing goes"},
    {SL_WORDS_OTHERS, "whole", "everything goes"},
#define E(element, word, reads, lacking) {SL_WORDS_ELEMENT, word, reads},
#define F(element, lacking)
#include "sluice/consent_elements.def"
#undef E
#undef F
};
#define ENTRIES (sizeof entries / sizeof *entries)

static size_t purposes(struct sl_slice *out, size_t max, bool more)
{
    size_t count = 0;
    for (size_t i = 0; i < sl_purpose_count() && count + 2 <= max; i++) {
        out[count++] = sl_purpose_name(i);
        out[count++] = sl_purpose_code(i);
    }
    if (more && count + 2 <= max) {
        out[count++] = SL_LIT("tpo");
        out[count++] = SL_LIT("any");
    }
    return count;
}

static size_t exchanges(struct sl_slice *out, size_t max)
{
    size_t count = 0;
    for (unsigned i = 0; i < sl_exchange_count() && count + 2 <= max; i++) {
        out[count++] = sl_exchange_at(i)->name;
        out[count++] = sl_exchange_at(i)->code;
    }
    return count;
}

static size_t types(struct sl_slice *out, size_t max)
{
    size_t count = 0;
    for (unsigned node = 1; node < SL_R4_NODES && count < max; node++)
        if (sl_r4_is_resource((sl_r4_node)node))
            out[count++] = sl_r4_node_name((sl_r4_node)node);
    return count;
}

static size_t kinds_of_entry(struct sl_slice *out, size_t max)
{
    size_t count = 0;
    for (unsigned i = 1; i < SL_REGISTER_KINDS && count < max; i++)
        if (sl_register_kind_marks((enum sl_register_kind)i))
            out[count++] = sl_register_kind_word((enum sl_register_kind)i);
    return count;
}

static size_t topics(struct sl_slice *out, size_t max)
{
    size_t count = 0;
    for (unsigned i = 0; i < SL_MENTIONS && count < max; i++)
        out[count++] = sl_mention_name((enum sl_mention)i);
    return count;
}

static size_t changes(struct sl_slice *out, size_t max)
{
    size_t count = 0;
    for (unsigned i = 0; i < SL_CHANGES && count < max; i++)
        out[count++] = sl_change_word((enum sl_change)i);
    return count;
}

static size_t fixed(enum sl_vocabulary vocabulary, struct sl_slice *out, size_t max)
{
    size_t count = 0;
    for (size_t i = 0; i < ENTRIES && count < max; i++)
        if (entries[i].vocabulary == vocabulary)
            out[count++] = sl_slice_of(entries[i].word);
    return count;
}

size_t sl_vocabulary_words(enum sl_vocabulary vocabulary, struct sl_slice *out, size_t max)
{
    if (vocabulary == SL_WORDS_PURPOSE || vocabulary == SL_WORDS_PURPOSES)
        return purposes(out, max, vocabulary == SL_WORDS_PURPOSES);
    if (vocabulary == SL_WORDS_EXCHANGE)
        return exchanges(out, max);
    if (vocabulary == SL_WORDS_TYPE)
        return types(out, max);
    if (vocabulary == SL_WORDS_WRITTEN) {
        size_t count = fixed(vocabulary, out, max);
        return count + types(out + count, max - count);
    }
    if (vocabulary == SL_WORDS_CHANGE)
        return changes(out, max);
    if (vocabulary == SL_WORDS_REGISTER_FACT)
        return sl_register_facts(out, max);
    if (vocabulary == SL_WORDS_REGISTER)
        return kinds_of_entry(out, max);
    if (vocabulary == SL_WORDS_TOPIC)
        return topics(out, max);
    if (vocabulary == SL_WORDS_LABEL_IN || vocabulary == SL_WORDS_LABEL_OUT)
        return sl_security_label_codes(vocabulary == SL_WORDS_LABEL_OUT, out, max);
    return fixed(vocabulary, out, max);
}

struct sl_slice sl_vocabulary_reads(enum sl_vocabulary vocabulary, struct sl_slice word)
{
    for (unsigned i = 0; vocabulary == SL_WORDS_CHANGE && i < SL_CHANGES; i++)
        if (sl_slice_eq(sl_change_word((enum sl_change)i), word))
            return sl_change_reads((enum sl_change)i);
    if (vocabulary == SL_WORDS_REGISTER_FACT)
        return sl_register_fact_reads(word);
    for (size_t i = 0; i < ENTRIES; i++)
        if (entries[i].vocabulary == vocabulary && entries[i].reads && sl_slice_eq(sl_slice_of(entries[i].word), word))
            return sl_slice_of(entries[i].reads);
    return word;
}

/* "It is one of a, b and c." */
static struct sl_slice choices(struct sl_arena *arena, const struct sl_slice *words, size_t count)
{
    struct sl_slice text = SL_LIT("It is one of ");
    for (size_t i = 0; i < count; i++)
        text = sl_arena_printf(arena, "%.*s%s%.*s", SL_FMT(text),
            !i               ? ""
            : i + 1 == count ? " and "
                             : ", ",
            SL_FMT(words[i]));
    return sl_arena_printf(arena, "%.*s.", SL_FMT(text));
}

void sl_language_unknown(const struct sl_yaml_source *source, const struct sl_yaml *at, const char *code,
    const char *what, const struct sl_slice *words, size_t count)
{
    struct sl_issue *issue =
        sl_yaml_issue(source, at, false, code, "No %s is called \"%.*s\".", what, SL_FMT(at->text));
    struct sl_slice near = sl_nearest_word(at->text, words, count);
    if (issue && near.len)
        issue->fix = sl_arena_printf(source->arena, "Did you mean \"%.*s\"?", SL_FMT(near));
    else if (issue && count > 1 && count <= 8)
        issue->fix = choices(source->arena, words, count);
}

unsigned sl_language_word(const struct sl_yaml_source *source, const struct sl_yaml *at, enum sl_vocabulary vocabulary,
    const char *code, const char *what)
{
    struct sl_slice words[SL_VOCABULARY_LIMIT], word = sl_yaml_text(source, at);
    size_t count = sl_vocabulary_words(vocabulary, words, SL_VOCABULARY_LIMIT);
    for (size_t i = 0; word.len && i < count; i++)
        if (sl_slice_eq(words[i], word))
            return (unsigned)i;
    if (word.len)
        sl_language_unknown(source, at, code, what, words, count);
    return SL_NO_WORD;
}

bool sl_vocabulary_has(enum sl_vocabulary vocabulary, struct sl_slice word)
{
    struct sl_slice words[SL_VOCABULARY_LIMIT];
    size_t count = sl_vocabulary_words(vocabulary, words, SL_VOCABULARY_LIMIT);
    for (size_t i = 0; i < count; i++)
        if (sl_slice_eq(words[i], word))
            return true;
    return sl_slice_starts(word, SL_LIT("x-")) && word.len > 2;
}

void sl_language_hint(const struct sl_yaml_source *source, const struct sl_yaml *at, enum sl_vocabulary vocabulary,
    const char *code, const char *what)
{
    struct sl_slice words[SL_VOCABULARY_LIMIT];
    if (!at || at->kind != SL_YAML_SCALAR || sl_vocabulary_has(vocabulary, at->text) || !source->issues)
        return;
    size_t count = sl_vocabulary_words(vocabulary, words, SL_VOCABULARY_LIMIT);
    struct sl_slice near = sl_nearest_word(at->text, words, count);
    struct sl_issue *issue =
        sl_yaml_issue(source, at, false, code, "No %s is called \"%.*s\".", what, SL_FMT(at->text));
    source->issues->errors--;
    if (!issue)
        return;
    issue->grade = SL_GRADE_WARNING;
    issue->fix = near.len ? sl_arena_printf(source->arena,
                                "Did you mean \"%.*s\"? A word of the house's own begins with x-.", SL_FMT(near))
                          : SL_LIT("A word of the house's own begins with x-.");
}

bool sl_recipient_word(enum sl_recipient_words which, struct sl_slice word, struct sl_slice *nearest)
{
    static const enum sl_vocabulary vocabularies[] = {[SL_RECIPIENT_KINDS] = SL_WORDS_KIND,
        [SL_RECIPIENT_AGREEMENTS] = SL_WORDS_AGREEMENT,
        [SL_RECIPIENT_RELATIONSHIPS] = SL_WORDS_RELATIONSHIP};
    struct sl_slice words[SL_VOCABULARY_LIMIT];
    size_t count = sl_vocabulary_words(vocabularies[which], words, SL_VOCABULARY_LIMIT);
    *nearest = sl_nearest_word(word, words, count);
    bool own = which != SL_RECIPIENT_RELATIONSHIPS || !sl_slice_starts(word, SL_LIT("x-"));
    return own && sl_vocabulary_has(vocabularies[which], word);
}

/* A number and a word with or without an s: "1 day", "30 days". */
static unsigned duration(const struct sl_yaml_source *source, const struct sl_yaml *at, struct sl_slice unit)
{
    struct sl_slice text = sl_yaml_text(source, at);
    unsigned number = 0;
    size_t digits = 0;
    for (; digits < text.len && digits < 5 && text.ptr[digits] >= '0' && text.ptr[digits] <= '9'; digits++)
        number = number * 10 + (unsigned)(text.ptr[digits] - '0');
    struct sl_slice rest = sl_slice_from(text, digits);
    bool spaced = rest.len && rest.ptr[0] == ' ' && digits && digits < 5 && text.ptr[0] != '0';
    if (spaced && sl_slice_starts(sl_slice_from(rest, 1), unit)) {
        struct sl_slice end = sl_slice_from(rest, 1 + unit.len);
        if (!end.len || sl_slice_eq(end, SL_LIT("s")))
            return number;
    }
    if (!text.len)
        return 0;
    struct sl_issue *issue =
        sl_yaml_issue(source, at, false, "bad-duration", "\"%.*s\" is no number of %.*ss.", SL_FMT(text), SL_FMT(unit));
    if (issue)
        issue->fix = sl_arena_printf(source->arena, "Write it as \"30 %.*ss\".", SL_FMT(unit));
    return 0;
}

unsigned sl_language_days(const struct sl_yaml_source *source, const struct sl_yaml *at)
{
    return duration(source, at, SL_LIT("day"));
}

unsigned sl_language_hours(const struct sl_yaml_source *source, const struct sl_yaml *at)
{
    return duration(source, at, SL_LIT("hour"));
}
