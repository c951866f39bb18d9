/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy: the privacy officer's YAML files, read strictly, checked, and compiled into one immutable,
 * reference-counted snapshot. What the files may say is in docs/policy-words.md. Requests are decided by
 * sluice/decide.h; this header is the policy as such.
 *
 * A policy directory holds any number of *.yaml files in any depth; `layer:` in each says federal, state,
 * organization, program. Terminology is named by `terminology:` in the directory's policy.yaml.
 */
#ifndef SLUICE_POLICY_H
#define SLUICE_POLICY_H

#include "sluice/classes.h"
#include "sluice/issue.h"
#include "sluice/slice.h"
#include "sluice/status.h"

struct sl_policy;
struct sl_terminology;

/* A source file of a policy, as stored with a generation. */
struct sl_policy_file {
    struct sl_slice path; /* relative to the policy directory */
    struct sl_slice text;
};

/* Reads, checks and compiles a directory. Any issue of grade error: SL_INVALID and *out NULL. */
SL_MUST_CHECK enum sl_status sl_policy_load(const char *directory, struct sl_issues *issues, struct sl_policy **out);
/* The same from files in memory, terminology CSV files among them (path "terminology/NAME.csv"). */
SL_MUST_CHECK enum sl_status sl_policy_load_files(
    const struct sl_policy_file *files, size_t count, struct sl_issues *issues, struct sl_policy **out);
/* The files a policy was made from (terminology included), for storing as a generation. */
const struct sl_policy_file *sl_policy_files(const struct sl_policy *policy, size_t *count);
struct sl_policy *sl_policy_ref(struct sl_policy *policy);
void sl_policy_unref(struct sl_policy *policy);

struct sl_slice sl_policy_title(const struct sl_policy *policy);
struct sl_slice sl_policy_version(const struct sl_policy *policy);
/* SHA-256 over the sources, hex, 64 characters: the same files give the same digest. */
struct sl_slice sl_policy_digest(const struct sl_policy *policy);

/* What `sluice policy check` can say, and how grave it is: the rows of consent/checks.def, NULL-ended by code. */
struct sl_check {
    const char *code;
    enum sl_grade grade;
    const char *title;
};
const struct sl_check *sl_policy_checks(size_t *count);
/* A closer look at a policy in order, as of an instant: rules that change nothing, what nobody can see, citations,
 * dates, agreements, scenarios, code lists. Nothing it finds is an error. Issues come in the order of the files. */
SL_MUST_CHECK enum sl_status sl_policy_review(const struct sl_policy *policy, int64_t now, struct sl_issues *issues);

struct sl_buffer;
/* The language as a JSON Schema (draft 7), for editors. */
SL_MUST_CHECK enum sl_status sl_policy_schema(struct sl_buffer *out);
/* The policy in plain English, a fact a line, in a fixed order: what gets signed. */
SL_MUST_CHECK enum sl_status sl_policy_render(const struct sl_policy *policy, struct sl_buffer *out);
/* Runs the scenarios of the files, each through the functions of sluice/decide.h. Writes what came of each that fails
 * ("FAIL file:line title: …"), then the rules on which no scenario turns (without it, another answer), the classes that
 * none names, then the counts. */
SL_MUST_CHECK enum sl_status sl_policy_test(
    const struct sl_policy *policy, struct sl_buffer *out, size_t *passed, size_t *failed);
/* `mutate`: also the rules without which no scenario fails, and that are no guards. `coverage`: counts by rule and
 * class. JSON has all of it. */
struct sl_test_options {
    bool json, mutate, coverage;
};
struct sl_tested {
    size_t passed, failed, untried, unnamed, guards, survivors;
};
SL_MUST_CHECK enum sl_status sl_policy_trial(const struct sl_policy *policy, const struct sl_test_options *options,
    struct sl_buffer *out, struct sl_tested *tested);
/* Who may see what: a line for each class, a column for each party and its usual purpose (or each purpose for which it
 * may have anything): "yes", "limited" (in part, or changed), "consent" (if the patient gives one), "if" (if
 * something else is so that a rule asks for, an order of a court), "no". */
enum sl_matrix_form { SL_MATRIX_TEXT, SL_MATRIX_PAGE, SL_MATRIX_JSON };
SL_MUST_CHECK enum sl_status sl_policy_matrix(
    const struct sl_policy *policy, enum sl_matrix_form form, bool every_purpose, struct sl_buffer *out);

/* What two policies do differently. */
struct sl_policy_diff {
    size_t cells;                   /* cases compared: party, purpose, class and facts */
    size_t looser, tighter, either; /* changes, as they are told; either: nobody can say which way they go */
};
/* May anything be released under `after` that is not under `before`, or with less? */
static inline bool sl_policy_diff_loosens(const struct sl_policy_diff *diff)
{
    return diff->looser || diff->either;
}
/* Exhaustive over parties, purposes, classes and the facts that rules ask for; then what the files say of parties,
 * classes, consents and code lists. Text for people, ending in "Releases nothing new." or "Releases more: …". */
SL_MUST_CHECK enum sl_status sl_policy_diff(const struct sl_policy *before, const struct sl_policy *after,
    struct sl_arena *arena, struct sl_buffer *out, struct sl_policy_diff *result);

/* ---- Classes ---- */

struct sl_coding {
    struct sl_slice system, code, display;
};

/* U, L, M, N, R, V as 1 to 6 (DS4P: the order of confidentiality); 0: none of them. */
static inline unsigned sl_level_rank(char level)
{
    static const char order[] = "ULMNRV";
    const char *at = level ? strchr(order, level) : NULL;
    return at ? (unsigned)(at - order) + 1 : 0;
}

struct sl_class {
    struct sl_slice id, title;      /* "part2", "Records of a Part 2 program" */
    bool needs_yes;                 /* else only-restricts */
    const struct sl_coding *labels; /* DS4P codings put on what is released with this class */
    size_t label_count;
    char confidentiality; /* 'V','R','N','M','L','U' */
};
size_t sl_policy_class_count(const struct sl_policy *policy);
const struct sl_class *sl_policy_class(const struct sl_policy *policy, unsigned bit); /* NULL beyond the count */
unsigned sl_policy_class_find(const struct sl_policy *policy, struct sl_slice id);    /* SL_CLASS_LIMIT: none */

/* ---- Parties, purposes ---- */

bool sl_policy_has_party(const struct sl_policy *policy, struct sl_slice party);
/* The parties' ids, NULL-ended, for messages. */
const struct sl_slice *sl_policy_parties(const struct sl_policy *policy, size_t *count);

/* A purpose of use by HL7 v3-ActReason code ("TREAT"), by its URI form ("urn:oid:2.16.840.1.113883.5.8#TREAT",
 * "http://terminology.hl7.org/CodeSystem/v3-ActReason|TREAT"), or by readable name ("treatment"): the canonical
 * code, a literal. Empty: unknown. */
struct sl_slice sl_purpose_find(struct sl_slice text);
/* Is `code` the same as, or in the tree below, `ancestor` (v3-ActReason hierarchy)? */
bool sl_purpose_within(struct sl_slice code, struct sl_slice ancestor);
/* Is it treatment, payment or health care operations as Part 2 means them (42 CFR 2.11; docs/policy-words.md,
 * Purposes)? */
bool sl_purpose_is_tpo(struct sl_slice code);

/* ---- Words by which policy and registry speak of recipients ---- */

enum sl_recipient_words { SL_RECIPIENT_KINDS, SL_RECIPIENT_AGREEMENTS, SL_RECIPIENT_RELATIONSHIPS };
/* Is it one of them, or a house's own (x-…; there are no relationships of its own)? *nearest: the nearest known one, if
 * it is none of these. */
bool sl_recipient_word(enum sl_recipient_words words, struct sl_slice word, struct sl_slice *nearest);

/* ---- Exchange purposes of TEFCA (exchange_purposes.def) ---- */

struct sl_exchange_purpose {
    struct sl_slice code, parent, name; /* "T-HCO-CC", "T-HCO", "tefca-care-coordination" */
    struct sl_slice purpose;            /* the purpose of use that it is, by its canonical code */
};
unsigned sl_exchange_count(void);
const struct sl_exchange_purpose *sl_exchange_at(unsigned index);
/* By code, by its URI form ("urn:oid:2.16.840.1.113883.3.7204.1.5.2.1#T-TREAT"), or by readable name; NULL: none. */
const struct sl_exchange_purpose *sl_exchange_find(struct sl_slice text);
/* Does a purpose of use fit: is it what the exchange purpose stands for, or a narrower part of that? Never a wider one,
 * nor one that HL7 files below it and HIPAA does not. */
bool sl_exchange_fits(const struct sl_exchange_purpose *exchange, struct sl_slice purpose);

/* ---- Rules, as they are named in reports ---- */

struct sl_rule_view {
    struct sl_slice id, title, law, file;
    size_t line;
};

/* ---- Consents: which FHIR Consents count as what ---- */

/*
 * One form in which a kind of consent comes. Several rows may have the same id, next to each other: a Consent counts as
 * the kind if it fits any one row. It fits a row if every condition below is met, so that an empty list sets none.
 * What the Consent permits, to whom, for how long and for which items is sl_directive_judge's business, not this.
 */
/* What a Consent must supply itself, or its form's text: the rows of consent_elements.def. */
enum sl_consent_element {
#define E(element, word, reads, lacking) SL_ELEMENT_##element,
#define F(element, lacking) SL_ELEMENT_##element,
#include "sluice/consent_elements.def"
#undef E
#undef F
    SL_ELEMENTS
};

/* One way to be of a kind: a mark by which a Consent says that it is one, or a registered form. */
struct sl_consent_kind {
    struct sl_slice
        id; /* "part2-tpo", "part2-specific", "sud-counseling-notes", "psychotherapy-note-authorization", … */
    struct sl_slice form; /* the registered form; empty: a mark alone, of whose text nobody has said that it will do */
    unsigned index;       /* which kind of the policy's it is */
    const struct sl_coding *categories; /* any of these (system and code) in Consent.category; empty: no limit */
    size_t category_count;
    const struct sl_coding *except_categories; /* none of these in Consent.category: another kind speaks for it */
    size_t except_category_count;
    const struct sl_coding
        *policy_rules; /* any of these in policyRule, or as uri in policy.uri (system empty); empty: no limit */
    size_t policy_rule_count;
    const struct sl_slice *sources; /* any of these is the canonical of the form that was signed; empty: no limit */
    size_t source_count;
    const struct sl_slice *purposes; /* each of these (or an ancestor) must be among the permit's purposes */
    size_t purpose_count;
    const struct sl_slice *for_others; /* what somebody who is neither patient nor representative may sign it for */
    size_t for_other_count;
    unsigned needs;  /* 1 << enum sl_consent_element: what must be there */
    unsigned states; /* of these, what the form's own text says for every instance */
    bool alone;      /* together with anything else it is no consent of this kind */
    bool refuses;    /* it says no: no rule can rely on it */
};
const struct sl_consent_kind *sl_policy_consent_kinds(const struct sl_policy *policy, size_t *count);

#endif
