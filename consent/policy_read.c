/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy language: from the trees of the YAML files to the model. Each `read_…` takes one section of one file;
 * what is wrong becomes an issue with file, line and column, and reading goes on, so that one run shows every mistake.
 * A policy with any mistake is never used, so what a mistake leaves behind does not matter.
 */
#include "change.h"
#include "item_facts.h"
#include "language.h"
#include "policy_model.h"

#include <stdlib.h>
#include <sys/random.h>

struct reader {
    struct sl_policy *policy;
    struct sl_classes *by_type; /* sl_earning.by_type, while it is made */
    struct sl_classes others;   /* classes of the types that no class names */
    struct sl_security_rule *purses;
    size_t purse_count, purse_capacity;
    struct sl_security_rule *security;
    size_t security_count, security_capacity;
};

/* ---- Words ---- */

static void suggest(const struct sl_policy_source *source, struct sl_issue *issue, struct sl_slice near)
{
    if (issue && near.len)
        issue->fix = sl_arena_printf(source->yaml.arena, "Did you mean \"%.*s\"?", SL_FMT(near));
}

/* A list of texts, or one text that stands for a list of one. */
static enum sl_status read_words(const struct sl_policy_source *source, const struct sl_yaml *at, struct sl_words *out)
{
    if (!at)
        return SL_OK;
    if (at->kind == SL_YAML_MAP || (at->kind == SL_YAML_LIST && !at->count)) {
        sl_yaml_issue(&source->yaml, at, false, "expected-list", "A list of words is expected here.");
        return SL_OK;
    }
    size_t count = at->kind == SL_YAML_LIST ? at->count : 1;
    struct sl_slice *words = sl_arena_array(source->yaml.arena, count, sizeof *words);
    if (!words)
        return SL_NO_MEMORY;
    *out = (struct sl_words){.word = words};
    for (const struct sl_yaml *item = at->kind == SL_YAML_LIST ? at->first : at; item; item = item->next) {
        struct sl_slice word = sl_yaml_text(&source->yaml, item);
        if (word.len)
            words[out->count++] = word;
        if (item == at)
            break;
    }
    return SL_OK;
}

/* The same of a vocabulary to which a house may add. */
static enum sl_status read_open_words(const struct sl_policy_source *source, const struct sl_yaml *at,
    enum sl_vocabulary vocabulary, struct sl_words *out)
{
    for (const struct sl_yaml *item = at && at->kind == SL_YAML_LIST ? at->first : at; item; item = item->next) {
        if (vocabulary == SL_WORDS_KIND)
            sl_language_hint(&source->yaml, item, vocabulary, "unknown-recipient", "kind of recipient");
        else
            sl_language_hint(&source->yaml, item, vocabulary, "unknown-agreement", "kind of agreement");
        if (item == at)
            break;
    }
    return read_words(source, at, out);
}

/* The same of a closed one. */
static enum sl_status read_relationships(
    const struct sl_policy_source *source, const struct sl_yaml *at, struct sl_words *out)
{
    for (const struct sl_yaml *item = at && at->kind == SL_YAML_LIST ? at->first : at; item; item = item->next) {
        if (item->kind == SL_YAML_SCALAR)
            (void)sl_language_word(
                &source->yaml, item, SL_WORDS_RELATIONSHIP, "unknown-relationship", "relationship with a patient");
        if (item == at)
            break;
    }
    return read_words(source, at, out);
}

/* The items of a list, or the one value itself: for (n = first_of(at); n; n = next_of(at, n)). */
static const struct sl_yaml *first_of(const struct sl_yaml *at)
{
    return at && at->kind == SL_YAML_LIST ? at->first : at;
}

static const struct sl_yaml *next_of(const struct sl_yaml *at, const struct sl_yaml *item)
{
    return item == at ? NULL : item->next;
}

static bool plain(struct sl_slice id)
{
    for (size_t i = 0; i < id.len; i++)
        if (!((id.ptr[i] >= 'a' && id.ptr[i] <= 'z') || (id.ptr[i] >= '0' && id.ptr[i] <= '9') || id.ptr[i] == '-'))
            return false;
    return id.len > 0;
}

/* The id of an entry: lower case letters, digits and hyphens. */
static struct sl_slice read_id(const struct sl_policy_source *source, const struct sl_yaml *entry)
{
    const struct sl_yaml *at = sl_yaml_get(entry, "id");
    struct sl_slice id = sl_yaml_text(&source->yaml, at);
    if (id.len && !plain(id)) {
        struct sl_issue *issue =
            sl_yaml_issue(&source->yaml, at, false, "bad-id", "The id \"%.*s\" has other characters.", SL_FMT(id));
        if (issue)
            issue->fix = SL_LIT("Use lower case letters, digits and hyphens.");
    }
    return id;
}

static void duplicate(
    const struct sl_policy_source *source, const struct sl_yaml *entry, const char *what, struct sl_slice id)
{
    const struct sl_yaml *at = sl_yaml_get(entry, "id");
    sl_yaml_issue(
        &source->yaml, at ? at : entry, false, "duplicate-id", "There are two %s called \"%.*s\".", what, SL_FMT(id));
}

static struct sl_slice text_of(const struct sl_policy_source *source, const struct sl_yaml *entry, const char *key)
{
    return sl_yaml_text(&source->yaml, sl_yaml_get(entry, key));
}

/* ---- Labels and codes ---- */

/* One security label by its code alone. */
static enum sl_status read_label(
    const struct sl_policy_source *source, const struct sl_yaml *at, struct sl_coding *out, size_t *count)
{
    struct sl_slice code = sl_yaml_text(&source->yaml, at);
    struct sl_coding found[1];
    if (!code.len)
        return SL_OK;
    if (!sl_security_label_find(code, true, found, 1)) {
        struct sl_issue *issue = sl_yaml_issue(&source->yaml, at, false, "unknown-label",
            "There is no HL7 security label \"%.*s\" that may be put on a record.", SL_FMT(code));
        suggest(source, issue, sl_security_label_nearest(code));
        return SL_OK;
    }
    out[(*count)++] = found[0];
    return SL_OK;
}

static enum sl_status read_labels(
    const struct sl_policy_source *source, const struct sl_yaml *at, const struct sl_coding **out, size_t *count)
{
    at = sl_yaml_list(&source->yaml, at);
    if (!at)
        return SL_OK;
    struct sl_coding *labels = sl_arena_array(source->yaml.arena, at->count + 1, sizeof *labels);
    if (!labels)
        return SL_NO_MEMORY;
    *out = labels;
    for (const struct sl_yaml *item = at->first; item; item = item->next)
        SL_TRY(read_label(source, item, labels, count));
    return SL_OK;
}

static char read_confidentiality(const struct sl_policy_source *source, const struct sl_yaml *at, char fallback)
{
    unsigned word =
        sl_language_word(&source->yaml, at, SL_WORDS_LEVEL, "bad-confidentiality", "level of confidentiality");
    return word == SL_NO_WORD ? fallback : at->text.ptr[0];
}

/* {system: …, code: …}; a text alone is a code without a system, or a URI. */
static struct sl_coding read_coding(const struct sl_policy_source *source, const struct sl_yaml *at)
{
    if (at->kind == SL_YAML_SCALAR)
        return (struct sl_coding){.code = sl_yaml_text(&source->yaml, at)};
    if (!sl_language_check(&source->yaml, at, SL_MAP_CODING))
        return (struct sl_coding){0};
    return (struct sl_coding){.system = text_of(source, at, "system"),
        .code = text_of(source, at, "code"),
        .display = sl_yaml_text(&source->yaml, sl_yaml_get(at, "display"))};
}

static enum sl_status read_codings(
    const struct sl_policy_source *source, const struct sl_yaml *at, const struct sl_coding **out, size_t *count)
{
    at = sl_yaml_list(&source->yaml, at);
    if (!at)
        return SL_OK;
    struct sl_coding *codings = sl_arena_array(source->yaml.arena, at->count + 1, sizeof *codings);
    if (!codings)
        return SL_NO_MEMORY;
    *out = codings;
    for (const struct sl_yaml *item = at->first; item; item = item->next) {
        codings[*count] = read_coding(source, item);
        *count += codings[*count].code.len > 0;
    }
    return SL_OK;
}

/* ---- Classes ---- */

static enum sl_status grow(struct sl_arena *arena, struct sl_security_rule **rules, size_t count, size_t *capacity)
{
    if (count < *capacity)
        return SL_OK;
    size_t more = *capacity ? *capacity * 2 : 32;
    struct sl_security_rule *grown = sl_arena_array(arena, more, sizeof *grown);
    if (!grown)
        return SL_NO_MEMORY;
    for (size_t i = 0; i < count; i++)
        grown[i] = (*rules)[i];
    *rules = grown;
    *capacity = more;
    return SL_OK;
}

/* One row for each system and code; a second class that earns by it joins the row. */
static enum sl_status add_code(struct sl_arena *arena, struct sl_security_rule **rules, size_t *count, size_t *capacity,
    const struct sl_coding *coding, unsigned bit)
{
    for (size_t i = 0; i < *count; i++)
        if (sl_slice_eq((*rules)[i].system, coding->system) && sl_slice_eq((*rules)[i].code, coding->code)) {
            sl_classes_add(&(*rules)[i].classes, bit);
            return SL_OK;
        }
    SL_TRY(grow(arena, rules, *count, capacity));
    struct sl_security_rule *rule = &(*rules)[(*count)++];
    *rule = (struct sl_security_rule){.system = coding->system, .code = coding->code};
    sl_classes_add(&rule->classes, bit);
    return SL_OK;
}

static enum sl_status earn_by_labels(
    struct reader *r, const struct sl_policy_source *source, const struct sl_yaml *at, unsigned bit)
{
    at = sl_yaml_list(&source->yaml, at);
    for (const struct sl_yaml *item = at ? at->first : NULL; item; item = item->next) {
        struct sl_coding found[8];
        size_t count = 1;
        found[0] = read_coding(source, item);
        if (!found[0].code.len)
            continue;
        if (!found[0].system.len)
            count = sl_security_label_find(found[0].code, false, found, sizeof found / sizeof *found);
        if (!count) {
            struct sl_issue *issue = sl_yaml_issue(&source->yaml, item, false, "unknown-label",
                "There is no HL7 security label \"%.*s\".", SL_FMT(item->text));
            suggest(source, issue, sl_security_label_nearest(item->text));
        }
        for (size_t i = 0; i < count; i++)
            SL_TRY(add_code(r->policy->arena, &r->security, &r->security_count, &r->security_capacity, &found[i], bit));
    }
    return SL_OK;
}

static void earn_by_types(
    struct reader *r, const struct sl_policy_source *source, const struct sl_yaml *at, unsigned bit)
{
    if (at && at->kind == SL_YAML_SCALAR && sl_slice_eq(at->text, SL_LIT("others"))) {
        sl_classes_add(&r->others, bit);
        return;
    }
    at = sl_yaml_list(&source->yaml, at);
    for (const struct sl_yaml *item = at ? at->first : NULL; item; item = item->next) {
        struct sl_slice name = sl_yaml_text(&source->yaml, item);
        sl_r4_node node = name.len ? sl_r4_resource(name) : 0;
        if (node)
            sl_classes_add(&r->by_type[node], bit);
        else if (name.len)
            (void)sl_language_word(&source->yaml, item, SL_WORDS_TYPE, "unknown-type", "FHIR R4 resource type");
    }
}

static void earn_by_categories(struct reader *r, const struct sl_policy_source *source, const struct sl_yaml *at,
    struct sl_classes *earned, unsigned bit)
{
    const struct sl_terminology *terminology = r->policy->terminology;
    struct sl_slice names[SL_CATEGORY_LIMIT];
    size_t count = terminology ? sl_terminology_category_count(terminology) : 0;
    at = sl_yaml_list(&source->yaml, at);
    for (const struct sl_yaml *item = at ? at->first : NULL; item; item = item->next) {
        struct sl_slice name = sl_yaml_text(&source->yaml, item);
        unsigned category =
            name.len && terminology ? sl_terminology_category_find(terminology, name) : SL_CATEGORY_LIMIT;
        if (category < SL_CATEGORY_LIMIT) {
            sl_classes_add(&earned[category], bit);
            continue;
        }
        for (size_t i = 0; i < count && i < SL_CATEGORY_LIMIT; i++)
            names[i] = sl_terminology_category(terminology, (unsigned)i)->id;
        if (name.len && terminology)
            sl_language_unknown(&source->yaml, item, "unknown-category", "category of the terminology", names, count);
    }
}

static void earn_by_origin(
    struct reader *r, const struct sl_policy_source *source, const struct sl_yaml *at, unsigned bit)
{
    struct sl_earning *earning = &r->policy->earning;
    struct sl_classes *const earned[] = {&earning->program, &earning->unknown_candidate, &earning->unread_unknown,
        &earning->presence, &earning->received}; /* in the order of the vocabulary */
    for (const struct sl_yaml *item = first_of(at); item; item = next_of(at, item)) {
        unsigned word = sl_language_word(&source->yaml, item, SL_WORDS_ORIGIN, "unknown-origin", "origin");
        if (word < sizeof earned / sizeof *earned)
            sl_classes_add(earned[word], bit);
    }
}

/* Topics of the lexicon; or that a topic is only denied, or the family's. */
static void earn_by_words(
    struct reader *r, const struct sl_policy_source *source, const struct sl_yaml *at, unsigned bit)
{
    if (at && !r->policy->words)
        sl_yaml_issue(&source->yaml, at, false, "missing-lexicon", "There is no lexicon: policy.yaml names none.");
    for (const struct sl_yaml *item = first_of(at); item; item = next_of(at, item)) {
        unsigned word = sl_language_word(&source->yaml, item, SL_WORDS_TOPIC, "unknown-topic", "topic of the lexicon");
        if (word != SL_NO_WORD)
            sl_classes_add(&r->policy->earning.by_mention[word], bit);
    }
}

/* Codes of labels that may come with a record, retired ones too. `each`: in every system that has the code. */
static enum sl_status read_codes_received(const struct sl_policy_source *source, const struct sl_yaml *at, bool each,
    const struct sl_coding **out, size_t *count)
{
    at = sl_yaml_list(&source->yaml, at);
    if (!at)
        return SL_OK;
    struct sl_coding *codes = sl_arena_array(source->yaml.arena, at->count * 8 + 1, sizeof *codes);
    if (!codes)
        return SL_NO_MEMORY;
    *out = codes;
    for (const struct sl_yaml *item = at->first; item; item = item->next) {
        struct sl_slice code = sl_yaml_text(&source->yaml, item);
        size_t found = code.len ? sl_security_label_find(code, false, codes + *count, 8) : 0;
        if (code.len && !found)
            suggest(source,
                sl_yaml_issue(&source->yaml, item, false, "unknown-label", "There is no HL7 security label \"%.*s\".",
                    SL_FMT(code)),
                sl_security_label_nearest(code));
        *count += each || !found ? found : 1;
    }
    return SL_OK;
}

/* The labels by which a record of unknown source tells that it was received under a TPO consent. One class says so. */
static enum sl_status read_received(
    struct reader *r, const struct sl_policy_source *source, const struct sl_yaml *map, unsigned bit)
{
    struct sl_earning *earning = &r->policy->earning;
    const struct sl_yaml *at = sl_yaml_get(map, "received-labels");
    if (!at || !sl_language_check(&source->yaml, at, SL_MAP_RECEIVED))
        return SL_OK;
    if (earning->received_labels || !sl_classes_has(&earning->received, bit)) {
        sl_yaml_issue(&source->yaml, at, true, "bad-earning",
            "Labels of received records are said once, in the class that is earned by \"origin: received-under-tpo\".");
        return SL_OK;
    }
    const struct sl_yaml *all = sl_yaml_get(at, "all");
    SL_TRY(read_codes_received(source, all, false, &earning->received_labels, &earning->received_label_count));
    return read_codes_received(
        source, sl_yaml_get(at, "none"), true, &earning->received_except, &earning->received_except_count);
}

/* Kinds of the officer's register whose entries earn the class by themselves. */
static void earn_by_register(
    struct reader *r, const struct sl_policy_source *source, const struct sl_yaml *at, unsigned bit)
{
    for (const struct sl_yaml *item = first_of(at); item; item = next_of(at, item)) {
        unsigned word = sl_language_word(
            &source->yaml, item, SL_WORDS_REGISTER, "unknown-register", "kind of entry in the register");
        if (word != SL_NO_WORD)
            sl_classes_add(&r->policy->earning.registered[sl_register_kind_find(item->text)], bit);
    }
}

/* Types of a Coverage by which the patient pays alone. */
static enum sl_status earn_by_purse(
    struct reader *r, const struct sl_policy_source *source, const struct sl_yaml *at, unsigned bit)
{
    at = sl_yaml_list(&source->yaml, at);
    for (const struct sl_yaml *item = at ? at->first : NULL; item; item = item->next) {
        struct sl_coding coding = read_coding(source, item);
        if (coding.code.len && !coding.system.len)
            sl_yaml_issue(&source->yaml, item, false, "missing-key", "A type of coverage is a system and a code.");
        else if (coding.code.len)
            SL_TRY(add_code(r->policy->arena, &r->purses, &r->purse_count, &r->purse_capacity, &coding, bit));
    }
    return SL_OK;
}

static void earn_if(const struct sl_policy_source *source, const struct sl_yaml *map, const char *key,
    struct sl_classes *earned, unsigned bit)
{
    if (sl_yaml_flag(&source->yaml, sl_yaml_get(map, key), false))
        sl_classes_add(earned, bit);
}

/* That a person is known here is no secret from whom another record of the person goes to: the class is then not
 * earned, and whatever else would have earned it would go with it. */
static void check_presence(
    struct reader *r, const struct sl_policy_source *source, const struct sl_yaml *map, unsigned bit)
{
    const struct sl_yaml *origin = sl_yaml_get(map, "origin"); /* a word, or a list of them */
    if (sl_classes_has(&r->policy->earning.presence, bit) && origin && (map->count > 1 || origin->count > 1))
        sl_yaml_issue(&source->yaml, origin, false, "presence-alone",
            "What is earned by \"origin: registered-by-program\" is earned by nothing else.");
}

static enum sl_status read_earning(
    struct reader *r, const struct sl_policy_source *source, const struct sl_yaml *map, unsigned bit)
{
    struct sl_earning *earning = &r->policy->earning;
    if (!map || !sl_language_check(&source->yaml, map, SL_MAP_EARNED))
        return SL_OK;
    earn_by_types(r, source, sl_yaml_get(map, "types"), bit);
    earn_by_categories(r, source, sl_yaml_get(map, "categories"), earning->by_category, bit);
    earn_by_categories(r, source, sl_yaml_get(map, "weak-categories"), earning->weak_by_category, bit);
    earn_by_origin(r, source, sl_yaml_get(map, "origin"), bit);
    earn_by_register(r, source, sl_yaml_get(map, "register"), bit);
    earn_by_words(r, source, sl_yaml_get(map, "words"), bit);
    earn_if(source, map, "draft", &earning->draft, bit);
    earn_if(source, map, "text", &earning->text, bit);
    earn_if(source, map, "unread", &earning->unread, bit);
    earn_if(source, map, "unknown-code", &earning->unclassified, bit);
    earn_if(source, map, "through-visit", &earning->by_visit, bit);
    SL_TRY(earn_by_purse(r, source, sl_yaml_get(map, "paid-by"), bit));
    SL_TRY(read_received(r, source, map, bit));
    check_presence(r, source, map, bit);
    return earn_by_labels(r, source, sl_yaml_get(map, "security-labels"), bit);
}

static bool read_needs_yes(const struct sl_policy_source *source, const struct sl_yaml *entry)
{
    const struct sl_yaml *at = sl_yaml_get(entry, "kind");
    return sl_language_word(&source->yaml, at, SL_WORDS_CLASS_KIND, "unknown-kind", "kind of class") != 1;
}

static enum sl_status read_class(struct reader *r, const struct sl_policy_source *source, const struct sl_yaml *entry)
{
    struct sl_policy *policy = r->policy;
    if (!sl_language_check(&source->yaml, entry, SL_MAP_CLASS))
        return SL_OK;
    struct sl_slice id = read_id(source, entry);
    if (id.len && sl_policy_class_find(policy, id) < SL_CLASS_LIMIT) {
        duplicate(source, entry, "classes", id);
        return SL_OK;
    }
    if (policy->class_count == SL_CLASS_LIMIT) {
        sl_yaml_issue(&source->yaml, entry, false, "too-many", "A policy has at most %u classes.", SL_CLASS_LIMIT);
        return SL_OK;
    }
    unsigned bit = policy->class_count++;
    struct sl_class *class = &policy->classes[bit];
    *class = (struct sl_class){.id = id, .title = text_of(source, entry, "title")};
    class->needs_yes = read_needs_yes(source, entry);
    class->confidentiality = read_confidentiality(source, sl_yaml_get(entry, "confidentiality"), 'N');
    policy->class_sources[bit] = (struct sl_class_source){.source = source, .at = entry};
    policy->class_sources[bit].in_text = sl_yaml_flag(&source->yaml, sl_yaml_get(entry, "in-text"), false);
    if (class->needs_yes)
        sl_classes_add(&policy->needs_yes, bit);
    if (policy->class_sources[bit].in_text)
        sl_classes_add(&policy->in_text, bit);
    SL_TRY(read_labels(source, sl_yaml_get(entry, "labels"), &class->labels, &class->label_count));
    return read_earning(r, source, sl_yaml_get(entry, "earned-by"), bit);
}

/* Each resource type has a class that needs a yes, or nobody may ever have it by mistake. */
static void give_others(struct reader *r)
{
    for (unsigned node = 1; node < SL_R4_NODES; node++)
        if (sl_r4_is_resource((sl_r4_node)node) && !sl_classes_meet(&r->by_type[node], &r->policy->needs_yes))
            sl_classes_join(&r->by_type[node], &r->others);
}

/* ---- Parties ---- */

static unsigned read_vouchers(const struct sl_policy_source *source, const struct sl_yaml *at)
{
    static const enum sl_voucher vouchers[] = {SL_BY_RECORD, SL_BY_REGISTRY, SL_BY_REGISTER, SL_BY_TOKEN};
    unsigned bits = 0;
    for (const struct sl_yaml *item = first_of(at); item; item = next_of(at, item)) {
        unsigned word = sl_language_word(
            &source->yaml, item, SL_WORDS_VOUCHER, "unknown-voucher", "voucher (a declaration proves no relationship)");
        if (word < sizeof vouchers / sizeof *vouchers)
            bits |= 1u << vouchers[word];
    }
    return bits;
}

/* `emergency: declared`, the one thing that may be said. */
static bool read_emergency(const struct sl_policy_source *source, const struct sl_yaml *at)
{
    (void)sl_language_word(&source->yaml, at, SL_WORDS_EMERGENCY, "unknown-emergency", "state of an emergency");
    return at != NULL;
}

static enum sl_status read_party_words(
    const struct sl_policy_source *source, const struct sl_yaml *entry, struct sl_party *party)
{
    SL_TRY(read_words(source, sl_yaml_get(entry, "roles"), &party->roles));
    SL_TRY(read_open_words(source, sl_yaml_get(entry, "kinds"), SL_WORDS_KIND, &party->kinds));
    SL_TRY(read_open_words(source, sl_yaml_get(entry, "except-kinds"), SL_WORDS_KIND, &party->except_kinds));
    SL_TRY(read_words(source, sl_yaml_get(entry, "organizations"), &party->organizations));
    SL_TRY(read_words(source, sl_yaml_get(entry, "clients"), &party->clients));
    SL_TRY(read_open_words(source, sl_yaml_get(entry, "agreements"), SL_WORDS_AGREEMENT, &party->agreements));
    SL_TRY(read_words(source, sl_yaml_get(entry, "services"), &party->services));
    SL_TRY(read_words(source, sl_yaml_get(entry, "networks"), &party->networks));
    return read_relationships(source, sl_yaml_get(entry, "relationship"), &party->relationships);
}

/* Each with those below it. */
static uint32_t read_exchanges(const struct sl_policy_source *source, const struct sl_yaml *at)
{
    uint32_t bits = 0;
    for (const struct sl_yaml *item = first_of(at); item; item = next_of(at, item)) {
        unsigned word =
            sl_language_word(&source->yaml, item, SL_WORDS_EXCHANGE, "unknown-exchange-purpose", "exchange purpose");
        if (word != SL_NO_WORD)
            bits |= sl_exchange_bits(word / 2); /* each has a name and a code */
    }
    return bits;
}

#define DAYS_LIMIT 3660u

/* Whom a visit made a treating provider is one for some days, and somebody says for how many. */
static unsigned read_days(
    const struct sl_policy_source *source, const struct sl_yaml *entry, const struct sl_party *party)
{
    const struct sl_yaml *at = sl_yaml_get(entry, "within-days");
    struct sl_slice text = sl_yaml_text(&source->yaml, at);
    unsigned days = 0;
    if (!at && sl_words_have(&party->relationships, SL_LIT("recent-encounter")))
        (void)sl_yaml_require(&source->yaml, entry, "within-days");
    for (size_t i = 0; i < text.len && days <= DAYS_LIMIT; i++)
        days = text.ptr[i] >= '0' && text.ptr[i] <= '9' ? days * 10 + (unsigned)(text.ptr[i] - '0') : DAYS_LIMIT + 1;
    if (text.len && (!days || days > DAYS_LIMIT))
        sl_yaml_issue(&source->yaml, at, false, "bad-days", "A number of days from 1 to %u is expected.", DAYS_LIMIT);
    return days;
}

static enum sl_status read_party(struct reader *r, const struct sl_policy_source *source, const struct sl_yaml *entry)
{
    struct sl_policy *policy = r->policy;
    if (!sl_language_check(&source->yaml, entry, SL_MAP_PARTY))
        return SL_OK;
    struct sl_slice id = read_id(source, entry);
    if (id.len && sl_policy_party(policy, id) < SL_BUILTINS) {
        sl_yaml_issue(&source->yaml, sl_yaml_get(entry, "id"), false, "builtin-party",
            "Every policy has the party \"%.*s\": it cannot be written anew.", SL_FMT(id));
        return SL_OK;
    }
    if (id.len && sl_policy_party(policy, id) < SL_PARTY_LIMIT) {
        duplicate(source, entry, "parties", id);
        return SL_OK;
    }
    if (policy->party_count == SL_PARTY_LIMIT) {
        sl_yaml_issue(&source->yaml, entry, false, "too-many", "A policy has at most %u parties.", SL_PARTY_LIMIT);
        return SL_OK;
    }
    unsigned index = policy->party_count++;
    struct sl_party *party = &policy->parties[index];
    *party = (struct sl_party){.id = id, .title = text_of(source, entry, "title"), .source = source, .at = entry};
    policy->party_ids[index] = id;
    SL_TRY(read_party_words(source, entry, party));
    party->agreement_until = sl_yaml_date(&source->yaml, sl_yaml_get(entry, "agreement-until"));
    party->exchanges = read_exchanges(source, sl_yaml_get(entry, "exchange-purposes"));
    party->within_days = read_days(source, entry, party);
    party->emergency = read_emergency(source, sl_yaml_get(entry, "emergency"));
    if (party->emergency)
        policy->emergency_parties |= (uint64_t)1 << index;
    const struct sl_yaml *vouchers = sl_yaml_get(entry, "vouched-by");
    party->vouchers = read_vouchers(source, vouchers);
    if (party->relationships.count && !vouchers)
        (void)sl_yaml_require(&source->yaml, entry, "vouched-by");
    if (!party->roles.count && !party->kinds.count && !party->organizations.count && !party->clients.count) {
        struct sl_issue *issue = sl_yaml_issue(&source->yaml, entry, false, "party-without-condition",
            "The party \"%.*s\" names no roles, kinds, organizations or clients: everyone would be it.", SL_FMT(id));
        if (issue)
            issue->fix = SL_LIT("Say who it is, for instance by `roles:`.");
    }
    return SL_OK;
}

/* Those that every policy has. */
static void give_parties(struct sl_policy *policy)
{
    static const struct sl_party given[SL_BUILTINS] = {[SL_PARTY_STAFF] = {.id = {"program-staff", 13},
                                                           .title = {"Staff of the program whose record it is", 39},
                                                           .builtin = true},
        [SL_PARTY_NAMED] = {
            .id = {"named-in-consent", 16}, .title = {"Whom the patient's own consent names", 36}, .builtin = true}};
    const struct sl_predicate program = {.asks = SL_ASKS_PROGRAM};
    for (unsigned i = 0; i < SL_BUILTINS; i++) {
        policy->parties[i] = given[i];
        policy->party_ids[i] = given[i].id;
    }
    policy->party_count = SL_BUILTINS;
    (void)sl_predicate_add(policy, &program);
}

/* ---- Purposes ---- */

/* `any`, `tpo`, or purposes by code or name. whole: with all that stands below, as a rule that withholds wants it. */
static uint64_t read_purposes(const struct sl_policy_source *source, const struct sl_yaml *at, bool whole)
{
    uint64_t bits = 0;
    for (const struct sl_yaml *item = first_of(at); item; item = next_of(at, item)) {
        struct sl_slice word = sl_yaml_text(&source->yaml, item);
        struct sl_slice code = sl_purpose_find(word);
        if (sl_slice_eq(word, SL_LIT("any")))
            bits = ~(uint64_t)0;
        else if (sl_slice_eq(word, SL_LIT("tpo")))
            bits |= sl_purpose_tpo_bits();
        else if (code.len)
            bits |= sl_purpose_bits(code, whole);
        else if (word.len)
            (void)sl_language_word(&source->yaml, item, SL_WORDS_PURPOSES, "unknown-purpose", "purpose");
    }
    return bits;
}

/* ---- Consents ---- */

static enum sl_status read_kind_purposes(
    const struct sl_policy_source *source, const struct sl_yaml *at, const struct sl_slice **out, size_t *count)
{
    at = sl_yaml_list(&source->yaml, at);
    if (!at)
        return SL_OK;
    struct sl_slice *codes = sl_arena_array(source->yaml.arena, at->count + 1, sizeof *codes);
    if (!codes)
        return SL_NO_MEMORY;
    *out = codes;
    for (const struct sl_yaml *item = at->first; item; item = item->next) {
        struct sl_slice code = sl_purpose_find(sl_yaml_text(&source->yaml, item));
        if (code.len)
            codes[(*count)++] = code;
        else if (item->text.len)
            (void)sl_language_word(&source->yaml, item, SL_WORDS_PURPOSE, "unknown-purpose", "purpose");
    }
    return SL_OK;
}

static unsigned read_elements(const struct sl_policy_source *source, const struct sl_yaml *at)
{
    unsigned elements = 0;
    at = sl_yaml_list(&source->yaml, at);
    for (const struct sl_yaml *item = at ? at->first : NULL; item; item = item->next) {
        unsigned word =
            sl_language_word(&source->yaml, item, SL_WORDS_ELEMENT, "unknown-element", "element of a consent");
        elements |= word == SL_NO_WORD ? 0 : 1u << word;
    }
    return elements;
}

/* By what a Consent is known to be of a kind: a mark, or the form that was signed. */
static enum sl_status read_form(struct reader *r, const struct sl_policy_source *source, const struct sl_yaml *form,
    const struct sl_consent_kind *common)
{
    struct sl_consent_kind *row = &r->policy->kinds[r->policy->kind_count++];
    *row = *common;
    SL_TRY(read_codings(source, sl_yaml_get(form, "categories"), &row->categories, &row->category_count));
    SL_TRY(read_codings(source, sl_yaml_get(form, "policy-rules"), &row->policy_rules, &row->policy_rule_count));
    struct sl_words sources = {NULL, 0};
    SL_TRY(read_words(source, sl_yaml_get(form, "sources"), &sources));
    row->sources = sources.word;
    row->source_count = sources.count;
    if (!row->category_count && !row->policy_rule_count && !row->source_count)
        sl_yaml_issue(&source->yaml, form, false, "form-without-condition",
            "This form names no categories, no policy-rules and no sources: any Consent would count as \"%.*s\".",
            SL_FMT(row->id));
    return SL_OK;
}

static enum sl_status read_marks(struct reader *r, const struct sl_policy_source *source, const struct sl_yaml *forms,
    const struct sl_consent_kind *common)
{
    if (forms && !forms->count)
        sl_yaml_issue(&source->yaml, forms, false, "expected-list", "At least one form is expected here.");
    for (const struct sl_yaml *form = forms ? forms->first : NULL; form; form = form->next)
        if (sl_language_check(&source->yaml, form, SL_MAP_FORM))
            SL_TRY(read_form(r, source, form, common));
    return SL_OK;
}

static enum sl_status read_kind(struct reader *r, const struct sl_policy_source *source, const struct sl_yaml *entry)
{
    struct sl_policy *policy = r->policy;
    if (!sl_language_check(&source->yaml, entry, SL_MAP_CONSENT))
        return SL_OK;
    struct sl_consent_kind common = {.id = read_id(source, entry)};
    if (common.id.len && sl_policy_kind(policy, common.id) < SL_KIND_LIMIT) {
        duplicate(source, entry, "consents", common.id);
        return SL_OK;
    }
    if (policy->kind_id_count == SL_KIND_LIMIT) {
        sl_yaml_issue(
            &source->yaml, entry, false, "too-many", "A policy has at most %u kinds of consent.", SL_KIND_LIMIT);
        return SL_OK;
    }
    common.index = policy->kind_id_count;
    policy->kind_ids[policy->kind_id_count++] = common.id;
    (void)text_of(source, entry, "title");
    (void)sl_yaml_text(&source->yaml, sl_yaml_get(entry, "law"));
    common.needs = read_elements(source, sl_yaml_get(entry, "needs"));
    common.alone = sl_yaml_flag(&source->yaml, sl_yaml_get(entry, "alone"), false);
    common.refuses = sl_yaml_flag(&source->yaml, sl_yaml_get(entry, "refuses"), false);
    SL_TRY(read_kind_purposes(source, sl_yaml_get(entry, "purposes"), &common.purposes, &common.purpose_count));
    SL_TRY(read_kind_purposes(
        source, sl_yaml_get(entry, "signed-by-others-for"), &common.for_others, &common.for_other_count));
    SL_TRY(read_codings(
        source, sl_yaml_get(entry, "except-categories"), &common.except_categories, &common.except_category_count));
    return read_marks(r, source, sl_yaml_list(&source->yaml, sl_yaml_get(entry, "forms")), &common);
}

/* What a kind asks of every Consent, however it is known to be one; NULL: no such kind. */
static const struct sl_consent_kind *kind_row(const struct sl_policy *policy, struct sl_slice id)
{
    for (size_t i = 0; i < policy->kind_count; i++)
        if (sl_slice_eq(policy->kinds[i].id, id))
            return &policy->kinds[i];
    return NULL;
}

/* A registered form is one more way to be of each of its kinds. */
static enum sl_status read_registered(
    struct reader *r, const struct sl_policy_source *source, const struct sl_yaml *entry)
{
    struct sl_policy *policy = r->policy;
    if (!sl_language_check(&source->yaml, entry, SL_MAP_REGISTERED))
        return SL_OK;
    struct sl_slice id = read_id(source, entry);
    for (size_t i = 0; id.len && i < policy->kind_count; i++)
        if (sl_slice_eq(policy->kinds[i].form, id)) {
            duplicate(source, entry, "forms", id);
            return SL_OK;
        }
    (void)text_of(source, entry, "title");
    (void)text_of(source, entry, "checked-by");
    (void)sl_yaml_date(&source->yaml, sl_yaml_get(entry, "checked-on"));
    unsigned states = read_elements(source, sl_yaml_get(entry, "states"));
    const struct sl_yaml *kinds = sl_yaml_get(entry, "counts-as");
    for (const struct sl_yaml *item = first_of(kinds); item; item = next_of(kinds, item)) {
        const struct sl_consent_kind *kind = kind_row(policy, item->text);
        if (!kind) {
            sl_language_unknown(
                &source->yaml, item, "unknown-consent", "kind of consent", policy->kind_ids, policy->kind_id_count);
            continue;
        }
        struct sl_consent_kind row = {.id = kind->id,
            .index = kind->index,
            .form = id,
            .except_categories = kind->except_categories,
            .except_category_count = kind->except_category_count,
            .purposes = kind->purposes,
            .purpose_count = kind->purpose_count,
            .for_others = kind->for_others,
            .for_other_count = kind->for_other_count,
            .needs = kind->needs,
            .states = states | 1u << SL_ELEMENT_FORM,
            .alone = kind->alone,
            .refuses = kind->refuses};
        if (kind->alone && kinds->kind == SL_YAML_LIST && kinds->count > 1)
            sl_yaml_issue(&source->yaml, item, false, "form-combined",
                "The consent \"%.*s\" needs a paper of its own: a form that is another's too is none.",
                SL_FMT(kind->id));
        SL_TRY(read_form(r, source, entry, &row));
    }
    return SL_OK;
}

/* ---- Label sets and duties ---- */

static const struct sl_label_set *find_label_set(const struct sl_policy *policy, struct sl_slice id)
{
    for (size_t i = 0; i < policy->label_set_count; i++)
        if (sl_slice_eq(policy->label_sets[i].id, id))
            return &policy->label_sets[i];
    return NULL;
}

static enum sl_status read_label_set(
    struct reader *r, const struct sl_policy_source *source, const struct sl_yaml *entry)
{
    struct sl_policy *policy = r->policy;
    if (!sl_language_check(&source->yaml, entry, SL_MAP_LABEL_SET))
        return SL_OK;
    struct sl_slice id = read_id(source, entry);
    if (id.len && find_label_set(policy, id)) {
        duplicate(source, entry, "label sets", id);
        return SL_OK;
    }
    struct sl_label_set *set = &policy->label_sets[policy->label_set_count++];
    *set = (struct sl_label_set){.id = id, .at = entry};
    (void)text_of(source, entry, "title");
    (void)sl_yaml_text(&source->yaml, sl_yaml_get(entry, "law"));
    set->confidentiality = read_confidentiality(source, sl_yaml_get(entry, "confidentiality"), 0);
    set->purpose = sl_yaml_flag(&source->yaml, sl_yaml_get(entry, "purpose"), false);
    return read_labels(source, sl_yaml_get(entry, "labels"), &set->labels, &set->label_count);
}

static void unknown_label_set(
    const struct sl_policy *policy, const struct sl_policy_source *source, const struct sl_yaml *at)
{
    struct sl_slice ids[64];
    size_t count = policy->label_set_count < 64 ? policy->label_set_count : 64;
    for (size_t i = 0; i < count; i++)
        ids[i] = policy->label_sets[i].id;
    sl_language_unknown(&source->yaml, at, "unknown-label-set", "label set", ids, count);
}

static void read_duties(const struct sl_policy *policy, const struct sl_policy_source *source,
    const struct sl_yaml *map, struct sl_duties *out)
{
    if (!map || !sl_language_check(&source->yaml, map, SL_MAP_DUTIES))
        return;
    out->notice = sl_yaml_flag(&source->yaml, sl_yaml_get(map, "notice"), false);
    out->scope = sl_yaml_flag(&source->yaml, sl_yaml_get(map, "scope"), false);
    out->account = sl_yaml_flag(&source->yaml, sl_yaml_get(map, "account"), false);
    out->emergency_record = sl_yaml_flag(&source->yaml, sl_yaml_get(map, "emergency-record"), false);
    out->notify = sl_yaml_flag(&source->yaml, sl_yaml_get(map, "notify"), false);
    out->review_days = sl_language_days(&source->yaml, sl_yaml_get(map, "review-within"));
    out->time_box = sl_language_hours(&source->yaml, sl_yaml_get(map, "time-box"));
    const struct sl_yaml *at = sl_yaml_get(map, "label-set");
    struct sl_slice id = sl_yaml_text(&source->yaml, at);
    out->labels = id.len ? find_label_set(policy, id) : NULL;
    if (id.len && !out->labels)
        unknown_label_set(policy, source, at);
}

/* ---- Element lists, and the terms on which something goes ---- */

static enum sl_status read_element_list(
    struct reader *r, const struct sl_policy_source *source, const struct sl_yaml *entry)
{
    if (!sl_language_check(&source->yaml, entry, SL_MAP_ELEMENT_LIST))
        return SL_OK;
    struct sl_slice id = read_id(source, entry);
    if (id.len && sl_element_list_find(r->policy, id) < SL_ELEMENT_LIST_LIMIT) {
        duplicate(source, entry, "element lists", id);
        return SL_OK;
    }
    return sl_element_list_read(r->policy, source, entry, id);
}

static unsigned read_limit(
    const struct sl_policy *policy, const struct sl_policy_source *source, const struct sl_yaml *at)
{
    struct sl_slice ids[SL_ELEMENT_LIST_LIMIT], id = sl_yaml_text(&source->yaml, at);
    unsigned list = id.len ? sl_element_list_find(policy, id) : SL_ELEMENT_LIST_LIMIT;
    if (list < SL_ELEMENT_LIST_LIMIT)
        return list + 1;
    for (unsigned i = 0; i < policy->element_list_count; i++)
        ids[i] = policy->element_lists[i].id;
    if (id.len)
        sl_language_unknown(&source->yaml, at, "unknown-element-list", "element list", ids, policy->element_list_count);
    return 0;
}

static uint32_t read_changes(const struct sl_policy_source *source, const struct sl_yaml *at)
{
    uint32_t changes = 0;
    for (const struct sl_yaml *item = first_of(at); item; item = next_of(at, item)) {
        unsigned word = sl_language_word(&source->yaml, item, SL_WORDS_CHANGE, "unknown-change", "change");
        changes |= word < SL_CHANGES ? sl_change_bits((enum sl_change)word) : 0;
    }
    return changes;
}

/* `limit-to` and `change` of a rule or a line. */
static uint8_t read_term(struct sl_policy *policy, const struct sl_policy_source *source, const struct sl_yaml *map)
{
    struct sl_term term = {.list = read_limit(policy, source, sl_yaml_get(map, "limit-to")),
        .changes = read_changes(source, sl_yaml_get(map, "change"))};
    return sl_policy_term(policy, source, map, term);
}

/* ---- Rules ---- */

/* A pack speaks of classes that a house has or has not; what it must have stands at the head of the pack. */
static void say_unknown_class(
    const struct sl_policy *policy, const struct sl_policy_source *source, const struct sl_yaml *at)
{
    struct sl_slice ids[SL_CLASS_LIMIT];
    if (source->layer == SL_LAYER_STATE && sl_slice_starts(source->yaml.file, SL_LIT("states/"))) {
        struct sl_issue *issue = sl_yaml_issue(&source->yaml, at, false, "pack-needs-class",
            "The pack is about the class \"%.*s\", and no file of this house has it.", SL_FMT(at->text));
        if (issue)
            issue->fix =
                SL_LIT("Add the class to a file of the house, or take the state out of `states` in policy.yaml.");
        return;
    }
    for (unsigned i = 0; i < policy->class_count; i++)
        ids[i] = policy->classes[i].id;
    sl_language_unknown(&source->yaml, at, "unknown-class", "class", ids, policy->class_count);
}

/* Class ids, each of which must exist. */
static void read_class_list(const struct sl_policy *policy, const struct sl_policy_source *source,
    const struct sl_yaml *at, struct sl_classes *out)
{
    at = sl_yaml_list(&source->yaml, at);
    for (const struct sl_yaml *item = at ? at->first : NULL; item; item = item->next) {
        struct sl_slice id = sl_yaml_text(&source->yaml, item);
        unsigned bit = id.len ? sl_policy_class_find(policy, id) : SL_CLASS_LIMIT;
        if (bit < SL_CLASS_LIMIT)
            sl_classes_add(out, bit);
        else if (id.len)
            say_unknown_class(policy, source, item);
    }
}

/* `all`, a list of classes, or {all-except: [...]}: a class that comes later is then among them. */
static struct sl_classes read_data(
    const struct sl_policy *policy, const struct sl_policy_source *source, const struct sl_yaml *at)
{
    struct sl_classes all = {0}, named = {0};
    for (unsigned i = 0; i < policy->class_count; i++)
        sl_classes_add(&all, i);
    if (!at || (at->kind == SL_YAML_SCALAR && sl_slice_eq(at->text, SL_LIT("all"))))
        return all;
    if (at->kind != SL_YAML_MAP) {
        read_class_list(policy, source, at, &named);
        return named;
    }
    if (sl_language_check(&source->yaml, at, SL_MAP_EXCEPT)) {
        read_class_list(policy, source, sl_yaml_get(at, "all-except"), &named);
        sl_classes_cut(&all, &named);
    }
    return all;
}

static uint64_t read_parties(
    const struct sl_policy *policy, const struct sl_policy_source *source, const struct sl_yaml *at)
{
    uint64_t bits = 0;
    for (const struct sl_yaml *item = first_of(at); item; item = next_of(at, item)) {
        struct sl_slice id = sl_yaml_text(&source->yaml, item);
        unsigned party = id.len ? sl_policy_party(policy, id) : SL_PARTY_LIMIT;
        if (party < SL_PARTY_LIMIT)
            bits |= (uint64_t)1 << party;
        else if (id.len)
            sl_language_unknown(&source->yaml, item, "unknown-party", "party", policy->party_ids, policy->party_count);
    }
    return bits;
}

static uint32_t refusals(const struct sl_policy *policy)
{
    uint32_t bits = 0;
    for (size_t i = 0; i < policy->kind_count; i++)
        bits |= policy->kinds[i].refuses ? (uint32_t)1 << policy->kinds[i].index : 0;
    return bits;
}

static uint32_t read_kinds(
    const struct sl_policy *policy, const struct sl_policy_source *source, const struct sl_yaml *at)
{
    uint32_t bits = 0;
    for (const struct sl_yaml *item = first_of(at); item; item = next_of(at, item)) {
        struct sl_slice id = sl_yaml_text(&source->yaml, item);
        unsigned kind = id.len ? sl_policy_kind(policy, id) : SL_KIND_LIMIT;
        if (kind < SL_KIND_LIMIT && (refusals(policy) >> kind & 1))
            sl_yaml_issue(&source->yaml, item, false, "refusal-relied-on",
                "The consent \"%.*s\" says no: a Consent that denies withholds by itself.", SL_FMT(id));
        if (kind < SL_KIND_LIMIT)
            bits |= (uint32_t)1 << kind;
        else if (id.len)
            sl_language_unknown(
                &source->yaml, item, "unknown-consent", "kind of consent", policy->kind_ids, policy->kind_id_count);
    }
    return bits;
}

/* A question to the item; false, and told, if the policy asks too many. */
static uint32_t ask(struct sl_policy *policy, const struct sl_policy_source *source, const struct sl_yaml *at,
    const struct sl_predicate *predicate)
{
    uint32_t bit = sl_predicate_add(policy, predicate);
    if (!bit)
        sl_yaml_issue(&source->yaml, at, false, "too-many",
            "A policy's lines ask at most %u different things of records.", SL_PREDICATE_LIMIT);
    return bit;
}

/* `register:`: each word asks one thing or several. */
static uint32_t read_entries(struct sl_policy *policy, const struct sl_policy_source *source, const struct sl_yaml *at)
{
    uint32_t bits = 0;
    for (const struct sl_yaml *item = first_of(at); item; item = next_of(at, item)) {
        struct sl_predicate predicate;
        size_t row = 0;
        (void)sl_language_word(&source->yaml, item, SL_WORDS_REGISTER_FACT, "unknown-register",
            "kind of entry in the register that a line can ask for");
        while (sl_register_fact(item->text, &row, &predicate))
            bits |= ask(policy, source, item, &predicate);
    }
    return bits;
}

static uint32_t read_bases(struct sl_policy *policy, const struct sl_policy_source *source, const struct sl_yaml *at)
{
    uint32_t bits = 0;
    for (const struct sl_yaml *item = first_of(at); item; item = next_of(at, item))
        if (sl_language_word(&source->yaml, item, SL_WORDS_BASIS, "unknown-basis", "basis for research") != SL_NO_WORD)
            bits |= ask(policy, source, item,
                &(struct sl_predicate){
                    .asks = SL_ASKS_REGISTER, .kind = SL_REGISTER_RESEARCH_BASIS, .word = item->text});
    return bits;
}

/* unsure: it holds where the age is not known, so that what withholds applies and what releases does not. */
static uint32_t read_ages(
    struct sl_policy *policy, const struct sl_policy_source *source, const struct sl_yaml *at, bool unsure)
{
    uint32_t bits = 0;
    for (const struct sl_yaml *item = first_of(at); item; item = next_of(at, item)) {
        struct sl_predicate predicate;
        struct sl_slice word = sl_yaml_text(&source->yaml, item);
        if (sl_age_read(word, &predicate)) {
            predicate.unsure = unsure;
            bits |= ask(policy, source, item, &predicate);
            policy->earning.ages = true;
        } else if (word.len) {
            sl_yaml_issue(&source->yaml, item, false, "unknown-age",
                "\"%.*s\" is no age: write under-12, 12-to-17, 65-and-over (years up to 199) or adult.", SL_FMT(word));
        }
    }
    return bits;
}

static uint32_t read_states(struct sl_policy *policy, const struct sl_policy_source *source, const struct sl_yaml *at)
{
    uint32_t bits = 0;
    for (const struct sl_yaml *item = first_of(at); item; item = next_of(at, item)) {
        struct sl_slice word = sl_yaml_text(&source->yaml, item);
        if (sl_state_known(word) || sl_slice_eq(word, SL_LIT("unknown"))) {
            bits |= ask(policy, source, item, &(struct sl_predicate){.asks = SL_ASKS_STATE, .word = word});
            policy->earning.states = true;
        } else if (word.len) {
            sl_yaml_issue(&source->yaml, item, false, "unknown-state",
                "No state is called \"%.*s\": write two capital letters, or unknown.", SL_FMT(word));
        }
    }
    return bits;
}

/* `key: yes`, the one thing that may be said of it. */
static uint32_t read_yes(struct sl_policy *policy, const struct sl_policy_source *source, const struct sl_yaml *map,
    const char *key, const struct sl_predicate *predicate)
{
    const struct sl_yaml *at = sl_yaml_get(map, key);
    if (at && sl_yaml_flag(&source->yaml, at, false))
        return ask(policy, source, at, predicate);
    if (at)
        sl_yaml_issue(&source->yaml, at, false, "bad-condition", "Only \"%s: yes\" can be asked.", key);
    return 0;
}

static void read_items(struct sl_policy *policy, const struct sl_policy_source *source, const struct sl_yaml *map,
    bool unsure, struct sl_condition *out)
{
    out->facts = read_yes(policy, source, map, "same-program", &(struct sl_predicate){.asks = SL_ASKS_PROGRAM}) |
                 read_yes(policy, source, map, "serves-program", &(struct sl_predicate){.asks = SL_ASKS_SERVED}) |
                 read_yes(policy, source, map, "author", &(struct sl_predicate){.asks = SL_ASKS_AUTHOR}) |
                 read_yes(policy, source, map, "self-consented-minor",
                     &(struct sl_predicate){.asks = SL_ASKS_REGISTER, .kind = SL_REGISTER_SELF_CONSENTED_MINOR});
    out->one_of[SL_CHOICE_REGISTER] = read_entries(policy, source, sl_yaml_get(map, "register"));
    out->one_of[SL_CHOICE_BASIS] = read_bases(policy, source, sl_yaml_get(map, "research-basis"));
    out->one_of[SL_CHOICE_AGE] = read_ages(policy, source, sl_yaml_get(map, "age-at-service"), unsure);
    out->one_of[SL_CHOICE_STATE] = read_states(policy, source, sl_yaml_get(map, "source-state"));
}

static bool asks_item(const struct sl_condition *condition)
{
    uint32_t asked = condition->facts;
    for (unsigned i = 0; i < SL_CHOICES; i++)
        asked |= condition->one_of[i];
    return asked != 0;
}

static enum sl_status read_condition(struct sl_policy *policy, const struct sl_policy_source *source, enum sl_map words,
    bool unsure, const struct sl_yaml *map, struct sl_condition *out)
{
    *out = (struct sl_condition){.at = map};
    if (!sl_language_check(&source->yaml, map, words))
        return SL_OK;
    size_t errors = source->yaml.issues ? source->yaml.issues->errors : 0;
    out->kinds = read_kinds(policy, source, sl_yaml_get(map, "consent"));
    out->purposes = read_purposes(source, sl_yaml_get(map, "purpose"), false);
    out->parties = read_parties(policy, source, sl_yaml_get(map, "party"));
    out->emergency = read_emergency(source, sl_yaml_get(map, "emergency"));
    read_items(policy, source, map, unsure, out);
    SL_TRY(read_relationships(source, sl_yaml_get(map, "relationship"), &out->relationships));
    SL_TRY(read_open_words(source, sl_yaml_get(map, "kinds"), SL_WORDS_KIND, &out->recipient));
    SL_TRY(read_open_words(source, sl_yaml_get(map, "except-kinds"), SL_WORDS_KIND, &out->not_recipient));
    policy->asked_parties |= out->parties;
    if (!out->kinds && !out->purposes && !out->parties && !out->emergency && !asks_item(out) &&
        !out->relationships.count && !out->recipient.count && !out->not_recipient.count &&
        (!source->yaml.issues || source->yaml.issues->errors == errors)) /* one mistake is told once */
        sl_yaml_issue(
            &source->yaml, map, false, "empty-condition", "This condition asks nothing, so it would always hold.");
    out->term = read_term(policy, source, map);
    read_duties(policy, source, sl_yaml_get(map, "then"), &out->then);
    return SL_OK;
}

/* A list of conditions, of which one is enough; or one condition. */
static enum sl_status read_conditions(struct sl_policy *policy, const struct sl_policy_source *source,
    enum sl_map words, bool unsure, const struct sl_yaml *at, const struct sl_condition **out, size_t *count)
{
    if (!at)
        return SL_OK;
    if (at->kind == SL_YAML_LIST && !at->count)
        sl_yaml_issue(&source->yaml, at, false, "empty-condition", "At least one condition is expected here.");
    struct sl_condition *conditions =
        sl_arena_array(source->yaml.arena, at->kind == SL_YAML_LIST ? at->count + 1 : 1, sizeof *conditions);
    if (!conditions)
        return SL_NO_MEMORY;
    *out = conditions;
    for (const struct sl_yaml *item = first_of(at); item; item = next_of(at, item))
        SL_TRY(read_condition(policy, source, words, unsure, item, &conditions[(*count)++]));
    return SL_OK;
}

static enum sl_rule_verdict read_verdict(const struct sl_policy_source *source, const struct sl_yaml *entry)
{
    static const enum sl_rule_verdict verdicts[] = {SL_RULE_RELEASE, SL_RULE_WITHHOLD, SL_RULE_HOLD};
    const struct sl_yaml *at = sl_yaml_get(entry, "verdict");
    unsigned word = sl_language_word(&source->yaml, at, SL_WORDS_VERDICT, "unknown-verdict", "verdict");
    return word < sizeof verdicts / sizeof *verdicts ? verdicts[word] : SL_RULE_WITHHOLD;
}

static void read_to(
    struct sl_policy *policy, const struct sl_policy_source *source, const struct sl_yaml *entry, struct sl_rule *rule)
{
    const struct sl_yaml *to = sl_yaml_get(entry, "to");
    rule->everyone = to && to->kind == SL_YAML_SCALAR && sl_slice_eq(to->text, SL_LIT("everyone"));
    if (to && !rule->everyone)
        rule->parties = read_parties(policy, source, to);
    policy->asked_parties |= rule->parties;
}

static struct sl_rule_view read_view(const struct sl_policy_source *source, const struct sl_yaml *entry)
{
    struct sl_rule_view view = {.id = read_id(source, entry), .file = source->yaml.file, .line = entry->line};
    view.title = text_of(source, entry, "title");
    /* A ceiling stands on law and says which; the house may do without. */
    bool ceiling = source->layer == SL_LAYER_FEDERAL || source->layer == SL_LAYER_STATE;
    view.law = text_of(source, entry, "law");
    if (ceiling)
        (void)sl_yaml_require(&source->yaml, entry, "law");
    return view;
}

/* Until when it is in force; who granted it, and why, is for those who read. */
static int64_t read_exception(const struct sl_policy_source *source, const struct sl_yaml *map)
{
    if (!map || !sl_language_check(&source->yaml, map, SL_MAP_EXCEPTION))
        return 0;
    (void)text_of(source, map, "by");
    (void)text_of(source, map, "why");
    return sl_yaml_date(&source->yaml, sl_yaml_get(map, "until"));
}

static enum sl_status read_rule(struct reader *r, const struct sl_policy_source *source, const struct sl_yaml *entry)
{
    struct sl_policy *policy = r->policy;
    if (!sl_language_check(&source->yaml, entry, SL_MAP_RULE))
        return SL_OK;
    struct sl_rule *rule = &policy->rules[policy->rule_count++];
    *rule = (struct sl_rule){.view = read_view(source, entry), .layer = source->layer, .source = source, .at = entry};
    rule->verdict = read_verdict(source, entry);
    if (source->program.len)
        rule->facts = ask(policy, source, entry, &(struct sl_predicate){.asks = SL_ASKS_OF, .word = source->program});
    rule->data = read_data(policy, source, sl_yaml_get(entry, "data"));
    read_to(policy, source, entry, rule);
    rule->purposes = read_purposes(source, sl_yaml_get(entry, "for"), rule->verdict != SL_RULE_RELEASE);
    rule->unverified = sl_yaml_flag(&source->yaml, sl_yaml_get(entry, "unverified"), false);
    rule->lift_never = sl_language_word(&source->yaml, sl_yaml_get(entry, "lift"), SL_WORDS_LIFT, "unknown-lift",
                           "way of lifting") == 0;
    rule->review_by = sl_yaml_date(&source->yaml, sl_yaml_get(entry, "review-by"));
    rule->until = read_exception(source, sl_yaml_get(entry, "exception"));
    rule->guard = sl_yaml_flag(&source->yaml, sl_yaml_get(entry, "guard"), false);
    rule->term = read_term(policy, source, entry);
    rule->narrows = rule->verdict == SL_RULE_WITHHOLD && rule->term;
    read_duties(policy, source, sl_yaml_get(entry, "then"), &rule->then);
    bool withholds = rule->verdict != SL_RULE_RELEASE;
    SL_TRY(read_conditions(
        policy, source, SL_MAP_LINE, withholds, sl_yaml_get(entry, "only-if"), &rule->only_if, &rule->only_if_count));
    return read_conditions(
        policy, source, SL_MAP_LINE, !withholds, sl_yaml_get(entry, "unless"), &rule->unless, &rule->unless_count);
}

/* ---- Writes ---- */

/* Types by name; of `all`, every one but Consent: what a patient directed is written by whom the policy names for it.
 */
static void read_written(const struct sl_policy_source *source, const struct sl_yaml *at, struct sl_grant *out)
{
    for (const struct sl_yaml *item = first_of(at); item; item = next_of(at, item)) {
        unsigned word =
            sl_language_word(&source->yaml, item, SL_WORDS_WRITTEN, "unknown-type", "FHIR R4 resource type");
        sl_r4_node named = word != SL_NO_WORD && word ? sl_r4_resource(item->text) : 0;
        for (unsigned node = 1; node < SL_R4_NODES; node++)
            if (node == named || (word == 0 && node != SL_R4_Consent && sl_r4_is_resource((sl_r4_node)node)))
                out->types[node / 64] |= (uint64_t)1 << (node % 64);
    }
}

static unsigned read_actions(const struct sl_policy_source *source, const struct sl_yaml *at)
{
    unsigned actions = 0;
    for (const struct sl_yaml *item = first_of(at); item; item = next_of(at, item)) {
        unsigned word = sl_language_word(&source->yaml, item, SL_WORDS_ACTION, "unknown-action", "kind of write");
        actions |= word == SL_NO_WORD ? 0 : 1u << (SL_WRITE_CREATE + word);
    }
    return actions;
}

static enum sl_status read_grant(struct reader *r, const struct sl_policy_source *source, const struct sl_yaml *entry)
{
    struct sl_policy *policy = r->policy;
    if (!sl_language_check(&source->yaml, entry, SL_MAP_GRANT))
        return SL_OK;
    struct sl_grant *out = &policy->grants[policy->grant_count];
    *out = (struct sl_grant){.view = read_view(source, entry), .source = source, .at = entry};
    for (size_t i = 0; i < policy->grant_count; i++)
        if (sl_slice_eq(policy->grants[i].view.id, out->view.id))
            duplicate(source, entry, "grants", out->view.id);
    policy->grant_count++;
    out->parties = read_parties(policy, source, sl_yaml_get(entry, "to"));
    out->purposes = read_purposes(source, sl_yaml_get(entry, "for"), false);
    out->may = read_actions(source, sl_yaml_get(entry, "may"));
    read_written(source, sl_yaml_get(entry, "types"), out);
    out->tags = sl_yaml_flag(&source->yaml, sl_yaml_get(entry, "tags"), false);
    return read_codes_received(source, sl_yaml_get(entry, "labels"), true, &out->labels, &out->label_count);
}

/* ---- Searches ---- */

static enum sl_status read_search(struct reader *r, const struct sl_policy_source *source, const struct sl_yaml *entry)
{
    struct sl_policy *policy = r->policy;
    if (!sl_language_check(&source->yaml, entry, SL_MAP_SEARCH))
        return SL_OK;
    struct sl_search_grant *out = &policy->searches[policy->search_count];
    *out = (struct sl_search_grant){.view = read_view(source, entry), .source = source, .at = entry};
    for (size_t i = 0; i < policy->search_count; i++)
        if (sl_slice_eq(policy->searches[i].view.id, out->view.id))
            duplicate(source, entry, "grants", out->view.id);
    policy->search_count++;
    out->parties = read_parties(policy, source, sl_yaml_get(entry, "to"));
    out->purposes = read_purposes(source, sl_yaml_get(entry, "for"), false);
    const struct sl_yaml *by = sl_yaml_get(entry, "by");
    for (const struct sl_yaml *item = first_of(by); item; item = next_of(by, item)) {
        unsigned word = sl_language_word(&source->yaml, item, SL_WORDS_SEARCHED, "unknown-word", "way to search");
        out->by |= word == SL_NO_WORD ? 0 : 1u << word;
    }
    return SL_OK;
}

/* ---- Invariants ---- */

/* Parties, `everyone`, or `nobody`: a recipient who fits no party. */
static void read_whom(const struct sl_policy *policy, const struct sl_policy_source *source, const struct sl_yaml *to,
    struct sl_invariant *out)
{
    bool word = to && to->kind == SL_YAML_SCALAR;
    out->nobody = word && sl_slice_eq(to->text, SL_LIT("nobody"));
    if (word && sl_slice_eq(to->text, SL_LIT("everyone")))
        out->parties = ~(uint64_t)0;
    else if (to && !out->nobody)
        out->parties = read_parties(policy, source, to);
    if (to && !out->nobody && !out->parties)
        sl_yaml_issue(&source->yaml, to, false, "empty-invariant", "This invariant speaks of no party.");
}

/* Of `all` and `all-except`, what needs a yes: what only restricts is no record by itself. */
static struct sl_classes read_what(
    const struct sl_policy *policy, const struct sl_policy_source *source, const struct sl_yaml *at)
{
    struct sl_classes data = read_data(policy, source, at);
    if (at && at->kind != SL_YAML_LIST)
        sl_classes_keep(&data, &policy->needs_yes);
    if (at && sl_classes_empty(&data))
        sl_yaml_issue(&source->yaml, at, false, "empty-invariant", "This invariant speaks of no class.");
    return data;
}

static enum sl_status read_invariant(
    struct reader *r, const struct sl_policy_source *source, const struct sl_yaml *entry)
{
    struct sl_policy *policy = r->policy;
    if (!sl_language_check(&source->yaml, entry, SL_MAP_INVARIANT))
        return SL_OK;
    struct sl_invariant *out = &policy->invariants[policy->invariant_count];
    *out = (struct sl_invariant){.view = read_view(source, entry), .source = source, .at = entry};
    for (size_t i = 0; i < policy->invariant_count; i++)
        if (sl_slice_eq(policy->invariants[i].view.id, out->view.id))
            duplicate(source, entry, "invariants", out->view.id);
    policy->invariant_count++;
    (void)sl_language_word(
        &source->yaml, sl_yaml_get(entry, "never"), SL_WORDS_NEVER, "unknown-verdict", "thing that no rule may do");
    out->data = read_what(policy, source, sl_yaml_get(entry, "data"));
    read_whom(policy, source, sl_yaml_get(entry, "to"), out);
    const struct sl_yaml *purposes = sl_yaml_get(entry, "for");
    out->purposes = read_purposes(source, purposes, true);
    if (purposes && !out->purposes)
        sl_yaml_issue(&source->yaml, purposes, false, "empty-invariant", "This invariant speaks of no purpose.");
    SL_TRY(read_conditions(
        policy, source, SL_MAP_FACTS, true, sl_yaml_get(entry, "only-if"), &out->only_if, &out->only_if_count));
    return read_conditions(
        policy, source, SL_MAP_FACTS, false, sl_yaml_get(entry, "unless"), &out->unless, &out->unless_count);
}

static enum sl_status read_scenario(
    struct reader *r, const struct sl_policy_source *source, const struct sl_yaml *entry)
{
    r->policy->scenarios[r->policy->scenario_count++] = (struct sl_scenario){.source = source, .at = entry};
    return SL_OK;
}

/* ---- Sections ---- */

typedef enum sl_status (*entry_reader)(
    struct reader *r, const struct sl_policy_source *source, const struct sl_yaml *entry);

static enum sl_status each_entry(struct reader *r, const char *section, entry_reader read)
{
    for (size_t i = 0; i < r->policy->source_count; i++) {
        const struct sl_policy_source *source = &r->policy->sources[i];
        const struct sl_yaml *list = sl_yaml_list(&source->yaml, sl_yaml_get(source->root, section));
        for (const struct sl_yaml *entry = list ? list->first : NULL; entry; entry = entry->next)
            SL_TRY(read(r, source, entry));
    }
    return SL_OK;
}

/* How many entries a section has over all files; with `inner`, how many those have in that list of theirs. */
static size_t count_entries(const struct sl_policy *policy, const char *section, const char *inner)
{
    size_t count = 0;
    for (size_t i = 0; i < policy->source_count; i++) {
        const struct sl_yaml *list = sl_yaml_get(policy->sources[i].root, section);
        count += list && !inner ? list->count : 0;
        for (const struct sl_yaml *entry = list && inner ? list->first : NULL; entry; entry = entry->next) {
            const struct sl_yaml *within = sl_yaml_get(entry, inner);
            count += within ? within->count : 0;
        }
    }
    return count;
}

static enum sl_status make_room(struct reader *r)
{
    struct sl_policy *policy = r->policy;
    r->by_type = sl_arena_array(policy->arena, SL_R4_NODES, sizeof *r->by_type);
    policy->kinds = sl_arena_array(policy->arena,
        count_entries(policy, "consents", "forms") + count_entries(policy, "forms", "counts-as") +
            count_entries(policy, "forms", NULL) + 1,
        sizeof *policy->kinds);
    policy->label_sets =
        sl_arena_array(policy->arena, count_entries(policy, "label-sets", NULL) + 1, sizeof *policy->label_sets);
    policy->rules = sl_arena_array(policy->arena, count_entries(policy, "rules", NULL) + 1, sizeof *policy->rules);
    policy->grants = sl_arena_array(policy->arena, count_entries(policy, "writes", NULL) + 1, sizeof *policy->grants);
    policy->searches =
        sl_arena_array(policy->arena, count_entries(policy, "searches", NULL) + 1, sizeof *policy->searches);
    policy->invariants =
        sl_arena_array(policy->arena, count_entries(policy, "invariants", NULL) + 1, sizeof *policy->invariants);
    policy->scenarios =
        sl_arena_array(policy->arena, count_entries(policy, "scenarios", NULL) + 1, sizeof *policy->scenarios);
    return sl_arena_failed(policy->arena) ? SL_NO_MEMORY : SL_OK;
}

/* Which classes go out under a label that earns others. */
static void find_bearers(const struct reader *r)
{
    for (size_t i = 0; i < r->security_count; i++)
        for (unsigned bit = 0; bit < r->policy->class_count; bit++) {
            const struct sl_class *class = &r->policy->classes[bit];
            for (size_t k = 0; k < class->label_count; k++)
                if (sl_slice_eq(class->labels[k].code, r->security[i].code) &&
                    sl_slice_eq(class->labels[k].system, r->security[i].system))
                    sl_classes_add(&r->security[i].bearers, bit);
        }
}

enum sl_status sl_policy_read(struct sl_policy *policy)
{
    struct reader r = {.policy = policy};
    SL_TRY(make_room(&r));
    if (getrandom(&policy->earning.seed, sizeof policy->earning.seed, 0) != (ssize_t)sizeof policy->earning.seed)
        return SL_UNAVAILABLE;
    SL_TRY(each_entry(&r, "classes", read_class));
    give_others(&r);
    find_bearers(&r);
    for (unsigned bit = policy->class_count; bit < SL_CLASS_LIMIT; bit++)
        sl_classes_add(&policy->strange, bit);
    give_parties(policy);
    SL_TRY(each_entry(&r, "parties", read_party));
    SL_TRY(each_entry(&r, "consents", read_kind));
    SL_TRY(each_entry(&r, "forms", read_registered));
    SL_TRY(each_entry(&r, "label-sets", read_label_set));
    SL_TRY(each_entry(&r, "element-lists", read_element_list));
    SL_TRY(each_entry(&r, "rules", read_rule));
    SL_TRY(each_entry(&r, "writes", read_grant));
    SL_TRY(each_entry(&r, "searches", read_search));
    SL_TRY(each_entry(&r, "invariants", read_invariant));
    SL_TRY(each_entry(&r, "scenarios", read_scenario));
    policy->earning.terminology = policy->terminology;
    policy->earning.by_type = r.by_type;
    policy->earning.security = r.security;
    policy->earning.security_count = r.security_count;
    policy->earning.purses = r.purses;
    policy->earning.purse_count = r.purse_count;
    return sl_policy_read_notes(policy);
}
