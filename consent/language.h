/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words of the policy language, from the rows of language.def: which keys a map may have, what stands under each,
 * and how that reads. Readers, the JSON Schema and the rendering in plain English all ask here, so that none of them
 * can know a word that the others do not. Inside the consent room only.
 */
#ifndef SLUICE_CONSENT_LANGUAGE_H
#define SLUICE_CONSENT_LANGUAGE_H

#include <limits.h>

#include "sluice/yaml.h"

#define SL_VOCABULARY_LIMIT 768u /* words of one vocabulary */
#define SL_NO_WORD UINT_MAX

/* Kinds of map. */
enum sl_map {
    SL_MAP_HEAD,
    SL_MAP_NOTICE,
    SL_MAP_FILE,
    SL_MAP_PARTY,
    SL_MAP_CLASS,
    SL_MAP_EARNED,
    SL_MAP_RECEIVED,
    SL_MAP_NOTE,
    SL_MAP_PAIR,
    SL_MAP_FOLDER,
    SL_MAP_CONSENT,
    SL_MAP_FORM,
    SL_MAP_REGISTERED,
    SL_MAP_CODING,
    SL_MAP_LABEL_SET,
    SL_MAP_ELEMENT_LIST,
    SL_MAP_KEEP,
    SL_MAP_RULE,
    SL_MAP_EXCEPT,
    SL_MAP_LINE,
    SL_MAP_DUTIES,
    SL_MAP_EXCEPTION,
    SL_MAP_GRANT,
    SL_MAP_SEARCH,
    SL_MAP_INVARIANT,
    SL_MAP_FACTS,
    SL_MAP_SCENARIO,
    SL_MAP_GIVEN,
    SL_MAPS
};

/* What stands under a key. */
enum sl_form {
    SL_FORM_TEXT,
    SL_FORM_ID,
    SL_FORM_FLAG,  /* yes or no */
    SL_FORM_DATE,  /* YYYY-MM-DD */
    SL_FORM_DAYS,  /* "30 days" */
    SL_FORM_HOURS, /* "4 hours" */
    SL_FORM_ONE,   /* one word of a vocabulary */
    SL_FORM_SOME,  /* one, or a list of them */
    SL_FORM_LIST,  /* a list of them */
    SL_FORM_MAP,   /* a map */
    SL_FORM_MAPS,  /* a list of maps */
    SL_FORM_LINES, /* a map, or a list of maps */
    SL_FORM_CODES, /* a list of {system, code}, or of texts */
    SL_FORM_TYPES, /* a list of resource types, or "others" */
    SL_FORM_DATA,  /* a list of classes, "all", or {all-except: …} */
    SL_FORM_TO     /* parties, "everyone", and for an invariant "nobody" */
};

/* What words are taken from. */
enum sl_vocabulary {
    SL_WORDS_ANY, /* the author's own */
    SL_WORDS_LAYER,
    SL_WORDS_DENIALS,
    SL_WORDS_NARRATIVE,
    SL_WORDS_VOUCHER,
    SL_WORDS_KIND,      /* of recipient; a house may have its own, x-… */
    SL_WORDS_AGREEMENT, /* likewise */
    SL_WORDS_RELATIONSHIP,
    SL_WORDS_EXCHANGE, /* exchange purposes of TEFCA */
    SL_WORDS_EMERGENCY,
    SL_WORDS_EMERGENCY_CASE,
    SL_WORDS_CLASS_KIND,
    SL_WORDS_LEVEL,
    SL_WORDS_ORIGIN,
    SL_WORDS_VERDICT,
    SL_WORDS_LIFT,
    SL_WORDS_YES,
    SL_WORDS_NEVER,
    SL_WORDS_ACTION,   /* of a write; in the order of enum sl_write_action */
    SL_WORDS_SEARCHED, /* in the order of SL_SEARCH_BY_… */
    SL_WORDS_WRITTEN,  /* resource types, and "all" */
    SL_WORDS_OUTCOME,
    SL_WORDS_OTHERS,
    SL_WORDS_CHANGE,
    SL_WORDS_PURPOSE,  /* one by one */
    SL_WORDS_PURPOSES, /* and "tpo", "any" */
    SL_WORDS_LABEL_OUT,
    SL_WORDS_LABEL_IN,
    SL_WORDS_TYPE,
    SL_WORDS_REGISTER,
    SL_WORDS_REGISTER_FACT,
    SL_WORDS_BASIS,
    SL_WORDS_TOPIC,
    SL_WORDS_ELEMENT,
    SL_WORDS_CATEGORY,
    SL_WORDS_CLASS_ID,
    SL_WORDS_PARTY_ID,
    SL_WORDS_PARTY_OR_NOBODY,
    SL_WORDS_CONSENT_ID,
    SL_WORDS_LABEL_SET_ID,
    SL_WORDS_LIST_ID,
    SL_WORDS_RULE_ID,
    SL_VOCABULARIES
};

struct sl_word {
    enum sl_map map;
    const char *key;
    enum sl_form form;
    unsigned of; /* enum sl_vocabulary; for MAP, MAPS and LINES enum sl_map */
    bool needed;
    const char *help;  /* what it means, for people who write */
    const char *reads; /* how it reads, for people who sign; see language.def */
};

/* The words of a map, in the order of the table. */
const struct sl_word *sl_language(enum sl_map map, size_t *count);
const struct sl_word *sl_language_find(enum sl_map map, struct sl_slice key); /* NULL: no such word */
/* Has the map only words that it may have? One that it may not is an issue "unknown-key", one that it needs and has not
 * "missing-key"; only the first makes it false, as does what is no map. */
bool sl_language_check(const struct sl_yaml_source *source, const struct sl_yaml *node, enum sl_map map);

/* The words of a vocabulary that is the language's own; 0 for one that a policy makes (ids, categories). At most `max`.
 */
size_t sl_vocabulary_words(enum sl_vocabulary vocabulary, struct sl_slice *out, size_t max);
/* How a word of it reads in English; the word itself if in no other way. */
struct sl_slice sl_vocabulary_reads(enum sl_vocabulary vocabulary, struct sl_slice word);
/* The word's place in its vocabulary, one of those with a fixed list; SL_NO_WORD with an issue `code` ("No <what> is
 * called …") if it stands nowhere, and without one if the node is NULL. */
unsigned sl_language_word(const struct sl_yaml_source *source, const struct sl_yaml *at, enum sl_vocabulary vocabulary,
    const char *code, const char *what);

/* Of words to which a house may add its own (beginning with "x-"): one that is none of either is an issue `code` of
 * grade warning, with the nearest known one. */
void sl_language_hint(const struct sl_yaml_source *source, const struct sl_yaml *at, enum sl_vocabulary vocabulary,
    const char *code, const char *what);
/* Is it a word of the vocabulary, or a house's own? */
bool sl_vocabulary_has(enum sl_vocabulary vocabulary, struct sl_slice word);

/* "30 days", "1 day", "4 hours": the number, 1 to 9999; 0 with an issue "bad-duration" if it is none, and without one
 * if the node is NULL. */
unsigned sl_language_days(const struct sl_yaml_source *source, const struct sl_yaml *at);
unsigned sl_language_hours(const struct sl_yaml_source *source, const struct sl_yaml *at);

/* "No <what> is called "x"." with the nearest of the words. */
void sl_language_unknown(const struct sl_yaml_source *source, const struct sl_yaml *at, const char *code,
    const char *what, const struct sl_slice *words, size_t count);

#endif
