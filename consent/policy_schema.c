/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy language as a JSON Schema (draft 7, which editors of YAML read), made of the rows of language.def, so that
 * it cannot say anything else than the readers do. What a schema cannot know, such as which classes a policy has, is
 * left to `sluice policy check`.
 */
#include "language.h"
#include "sluice/buffer.h"
#include "sluice/policy.h"

static const char *const map_names[SL_MAPS] = {[SL_MAP_HEAD] = "policy.yaml",
    [SL_MAP_NOTICE] = "notice",
    [SL_MAP_FILE] = "file",
    [SL_MAP_PARTY] = "party",
    [SL_MAP_CLASS] = "class",
    [SL_MAP_EARNED] = "earned-by",
    [SL_MAP_RECEIVED] = "received-labels",
    [SL_MAP_NOTE] = "note",
    [SL_MAP_PAIR] = "pair",
    [SL_MAP_FOLDER] = "folder",
    [SL_MAP_CONSENT] = "consent",
    [SL_MAP_FORM] = "form",
    [SL_MAP_REGISTERED] = "registered-form",
    [SL_MAP_CODING] = "coding",
    [SL_MAP_LABEL_SET] = "label-set",
    [SL_MAP_ELEMENT_LIST] = "element-list",
    [SL_MAP_KEEP] = "kept-elements",
    [SL_MAP_RULE] = "rule",
    [SL_MAP_EXCEPT] = "all-except",
    [SL_MAP_LINE] = "line",
    [SL_MAP_DUTIES] = "duties",
    [SL_MAP_EXCEPTION] = "exception",
    [SL_MAP_GRANT] = "write-grant",
    [SL_MAP_SEARCH] = "search-grant",
    [SL_MAP_INVARIANT] = "invariant",
    [SL_MAP_FACTS] = "facts",
    [SL_MAP_SCENARIO] = "scenario",
    [SL_MAP_GIVEN] = "given"};

static const char *const vocabulary_names[SL_VOCABULARIES] = {[SL_WORDS_ANY] = "text",
    [SL_WORDS_LAYER] = "layer",
    [SL_WORDS_DENIALS] = "way-with-denials",
    [SL_WORDS_NARRATIVE] = "way-with-narratives",
    [SL_WORDS_VOUCHER] = "voucher",
    [SL_WORDS_KIND] = "kind-of-recipient",
    [SL_WORDS_AGREEMENT] = "agreement",
    [SL_WORDS_RELATIONSHIP] = "relationship",
    [SL_WORDS_EXCHANGE] = "exchange-purpose",
    [SL_WORDS_EMERGENCY] = "emergency",
    [SL_WORDS_EMERGENCY_CASE] = "emergency-of-a-scenario",
    [SL_WORDS_CLASS_KIND] = "kind-of-class",
    [SL_WORDS_LEVEL] = "level",
    [SL_WORDS_ORIGIN] = "origin",
    [SL_WORDS_VERDICT] = "verdict",
    [SL_WORDS_LIFT] = "lift",
    [SL_WORDS_YES] = "yes",
    [SL_WORDS_NEVER] = "never",
    [SL_WORDS_ACTION] = "action",
    [SL_WORDS_SEARCHED] = "way-to-search",
    [SL_WORDS_WRITTEN] = "written-type",
    [SL_WORDS_OUTCOME] = "outcome",
    [SL_WORDS_OTHERS] = "records-of-other-types",
    [SL_WORDS_CHANGE] = "change",
    [SL_WORDS_PURPOSE] = "purpose",
    [SL_WORDS_PURPOSES] = "purposes",
    [SL_WORDS_LABEL_OUT] = "label",
    [SL_WORDS_LABEL_IN] = "label-received",
    [SL_WORDS_TYPE] = "resource-type",
    [SL_WORDS_REGISTER] = "kind-of-entry",
    [SL_WORDS_REGISTER_FACT] = "entry-of-a-line",
    [SL_WORDS_BASIS] = "basis-for-research",
    [SL_WORDS_TOPIC] = "topic",
    [SL_WORDS_ELEMENT] = "element-of-a-consent",
    [SL_WORDS_CATEGORY] = "text",
    [SL_WORDS_CLASS_ID] = "id",
    [SL_WORDS_PARTY_ID] = "id",
    [SL_WORDS_PARTY_OR_NOBODY] = "id",
    [SL_WORDS_CONSENT_ID] = "id",
    [SL_WORDS_LABEL_SET_ID] = "id",
    [SL_WORDS_LIST_ID] = "id",
    [SL_WORDS_RULE_ID] = "id"};

/* What YAML reads as a number or a truth is text here. A truth that is asked for may be written in every way. */
static const char *const basics[] = {
    "\"text\":{\"type\":[\"string\",\"number\",\"boolean\"],\"minLength\":1}",
    "\"id\":{\"type\":[\"string\",\"integer\"],\"pattern\":\"^[a-z0-9-]+$\"}",
    "\"flag\":{\"enum\":[\"yes\",\"no\",\"true\",\"false\",true,false]}",
    "\"date\":{\"type\":\"string\",\"pattern\":\"^[0-9]{4}-[0-9]{2}-[0-9]{2}$\"}",
    "\"days\":{\"type\":\"string\",\"pattern\":\"^[1-9][0-9]{0,3} days?$\"}",
    "\"hours\":{\"type\":\"string\",\"pattern\":\"^[1-9][0-9]{0,3} hours?$\"}",
};

static void reference(struct sl_buffer *out, const char *name)
{
    sl_buffer_printf(out, "{\"$ref\":\"#/definitions/%s\"}", name);
}

static void list_of(struct sl_buffer *out, const char *name, bool some)
{
    sl_buffer_printf(out, "{\"type\":\"array\",%s\"items\":", some ? "\"minItems\":1," : "");
    reference(out, name);
    sl_buffer_add(out, SL_LIT("}"));
}

static void one_or_list(struct sl_buffer *out, const char *name)
{
    reference(out, name);
    sl_buffer_add(out, SL_LIT(","));
    list_of(out, name, true);
}

/* The alternatives for what may stand under a key. */
static void alternatives(struct sl_buffer *out, const struct sl_word *word)
{
    const char *words = vocabulary_names[word->of < SL_VOCABULARIES ? word->of : 0];
    switch (word->form) {
    case SL_FORM_TEXT:
        reference(out, "text");
        break;
    case SL_FORM_ID:
        reference(out, "id");
        break;
    case SL_FORM_FLAG:
        reference(out, "flag");
        break;
    case SL_FORM_DATE:
        reference(out, "date");
        break;
    case SL_FORM_DAYS:
        reference(out, "days");
        break;
    case SL_FORM_HOURS:
        reference(out, "hours");
        break;
    case SL_FORM_ONE:
        reference(out, words);
        break;
    case SL_FORM_SOME:
        one_or_list(out, words);
        break;
    case SL_FORM_LIST:
        list_of(out, words, false);
        break;
    case SL_FORM_MAP:
        reference(out, map_names[word->of]);
        break;
    case SL_FORM_MAPS:
        list_of(out, map_names[word->of], false);
        break;
    case SL_FORM_LINES:
        one_or_list(out, map_names[word->of]);
        break;
    case SL_FORM_CODES:
        sl_buffer_add(out, SL_LIT("{\"type\":\"array\",\"items\":{\"anyOf\":["));
        reference(out, words);
        sl_buffer_add(out, SL_LIT(","));
        reference(out, map_names[SL_MAP_CODING]);
        sl_buffer_add(out, SL_LIT("]}}"));
        break;
    case SL_FORM_TYPES:
        sl_buffer_add(out, SL_LIT("{\"enum\":[\"others\"]},"));
        list_of(out, words, false);
        break;
    case SL_FORM_DATA:
        sl_buffer_add(out, SL_LIT("{\"enum\":[\"all\"]},"));
        list_of(out, words, true);
        sl_buffer_add(out, SL_LIT(","));
        reference(out, map_names[SL_MAP_EXCEPT]);
        break;
    case SL_FORM_TO:
        sl_buffer_printf(
            out, "{\"enum\":[\"everyone\"%s]},", word->of == SL_WORDS_PARTY_OR_NOBODY ? ",\"nobody\"" : "");
        one_or_list(out, words);
        break;
    }
}

static void property(struct sl_buffer *out, const struct sl_word *word)
{
    sl_buffer_printf(out, "   \"%s\":{\"description\":", word->key);
    sl_buffer_json_string(out, sl_slice_of(word->help));
    sl_buffer_add(out, SL_LIT(",\"anyOf\":["));
    alternatives(out, word);
    sl_buffer_add(out, SL_LIT("]}"));
}

static void map(struct sl_buffer *out, enum sl_map which)
{
    size_t count;
    const struct sl_word *words = sl_language(which, &count);
    const char *between = "";
    sl_buffer_printf(
        out, "  \"%s\":{\"type\":\"object\",\"additionalProperties\":false,\"required\":[", map_names[which]);
    for (size_t i = 0; i < count; i++)
        if (words[i].needed) {
            sl_buffer_printf(out, "%s\"%s\"", between, words[i].key);
            between = ",";
        }
    /* A line that asks nothing is a mistake, and a folder is told in one way. */
    bool one = which == SL_MAP_FOLDER, some = one || which == SL_MAP_LINE || which == SL_MAP_FACTS;
    sl_buffer_printf(
        out, "]%s%s,\"properties\":{\n", some ? ",\"minProperties\":1" : "", one ? ",\"maxProperties\":1" : "");
    for (size_t i = 0; i < count; i++) {
        property(out, &words[i]);
        sl_buffer_add(out, i + 1 < count ? SL_LIT(",\n") : SL_LIT("}}"));
    }
}

static void vocabulary(struct sl_buffer *out, enum sl_vocabulary which)
{
    struct sl_slice words[SL_VOCABULARY_LIMIT];
    size_t count = sl_vocabulary_words(which, words, SL_VOCABULARY_LIMIT);
    if (!count)
        return;
    bool own = which == SL_WORDS_KIND || which == SL_WORDS_AGREEMENT;
    sl_buffer_printf(out, ",\n  \"%s\":{%s\"enum\":[", vocabulary_names[which],
        own ? "\"anyOf\":[{\"type\":\"string\",\"pattern\":\"^x-.\"},{" : "");
    for (size_t i = 0; i < count; i++)
        sl_buffer_printf(out, "%s\"%.*s\"", i ? "," : "", SL_FMT(words[i]));
    /* To an editor, yes is a truth in one version of YAML and a word in the other. */
    sl_buffer_add(out, which == SL_WORDS_YES ? SL_LIT(",true]}") : own ? SL_LIT("]}]}") : SL_LIT("]}"));
}

enum sl_status sl_policy_schema(struct sl_buffer *out)
{
    sl_buffer_add(out,
        SL_LIT(
            "{\"$schema\":\"http://json-schema.org/draft-07/schema#\",\n"
            " \"title\":\"Sluice policy\",\n"
            " \"description\":\"A file of a policy directory: policy.yaml, or any other, which begins with its layer. "
            "Made by `sluice policy schema`.\",\n"
            " \"anyOf\":[{\"$ref\":\"#/definitions/file\"},{\"$ref\":\"#/definitions/policy.yaml\"}],\n"
            " \"definitions\":{\n"));
    for (size_t i = 0; i < sizeof basics / sizeof *basics; i++)
        sl_buffer_printf(out, "  %s,\n", basics[i]);
    for (enum sl_map which = 0; which < SL_MAPS; which++) {
        map(out, which);
        sl_buffer_add(out, which + 1 < SL_MAPS ? SL_LIT(",\n") : SL_LIT(""));
    }
    for (enum sl_vocabulary which = 0; which < SL_VOCABULARIES; which++)
        vocabulary(out, which);
    sl_buffer_add(out, SL_LIT("}}\n"));
    return sl_buffer_failed(out) ? SL_LIMIT : SL_OK;
}
