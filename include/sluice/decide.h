/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deciding: policy, directives and recipient become, for one request and patient, two masks over the classes of
 * this request; a decision is two AND operations on an item's classes. The daemon, the commands, the tests and the
 * fuzzers call the functions of this header, and no other ones decide.
 *
 * How rules combine is the card in docs/policy-words.md: each class that needs a yes needs one; a single no stops it;
 * order never matters; several patients are the AND of their masks.
 */
#ifndef SLUICE_DECIDE_H
#define SLUICE_DECIDE_H

#include "sluice/buffer.h"
#include "sluice/directive.h"
#include "sluice/label.h"
#include "sluice/policy.h"

/* Far apart in bits; zero is none of them, and is never a permission. */
enum sl_decision { SL_UNDECIDED = 0, SL_RELEASED = 0x5a3c, SL_WITHHELD = 0xa5c3 };

/* The four things 42 CFR 2.51 wants documented, and that consent could not be obtained. */
struct sl_emergency {
    struct sl_slice clinician, affiliation, discloser, nature;
    bool consent_unobtainable;
    int64_t made; /* when it was declared, as it says; 0: it does not say */
};
/* Complete: each text has a visible character, and the flag is set. */
bool sl_emergency_complete(const struct sl_emergency *emergency);

enum sl_voucher { SL_BY_NOBODY, SL_BY_RECORD, SL_BY_REGISTRY, SL_BY_REGISTER, SL_BY_TOKEN, SL_BY_DECLARATION };

struct sl_relationship {
    struct sl_slice kind;    /* "treating", "care-team", "open-referral", "recent-encounter", "author", "self", … */
    struct sl_slice patient; /* "Patient/x"; "*": every patient (never by declaration) */
    enum sl_voucher voucher;
    struct sl_slice authority; /* of a representative: "parent", "guardian", …; empty: not said */
    int64_t since;             /* of what a record tells of a day: that day; else 0 */
};

/* An agreement that is in force. */
struct sl_agreement {
    struct sl_slice kind;            /* "baa", "qsoa", "dua", "contract" */
    struct sl_slice with;            /* "Organization/x", whose service it is; empty: the house's */
    const struct sl_slice *services; /* that it names */
    size_t service_count;
};

/* Who asks. All borrowed. Zeroed is nobody, who gets nothing but metadata. */
struct sl_recipient {
    struct sl_slice client;         /* client id */
    struct sl_slice user;           /* subject of the token */
    struct sl_slice user_reference; /* fhirUser, e.g. "Practitioner/x"; may be empty */
    struct sl_slice user_name;
    struct sl_slice organization; /* "Organization/x" */
    struct sl_slice organization_name;
    const struct sl_slice *roles; /* as policy names them */
    size_t role_count;
    const struct sl_slice *kinds; /* "covered-entity", "business-associate", "payer", "research", "ai-agent", … */
    size_t kind_count;
    const struct sl_agreement *agreements;
    size_t agreement_count;
    const struct sl_slice *networks; /* through which it asks: "tefca" */
    size_t network_count;
    struct sl_slice exchange_purpose; /* canonical code of TEFCA; empty: none */
    struct sl_slice party;            /* offline: the party named outright; else empty */
    struct sl_slice purpose;          /* canonical code */
    const struct sl_relationship *relationships;
    size_t relationship_count;
    const struct sl_emergency *emergency; /* NULL: none declared */
};

struct sl_ruling; /* compiled ("two masks") for one recipient, one set of patients, one instant */

/* patients: one reference for each person the item is about; a person known by several is resolved before, and none is
 * nobody: no consent, and no relationship but with everybody ("*"). directives: theirs, settled. An incomplete
 * emergency is no emergency. Everything is borrowed for the life of the ruling. What differs from item to item (a
 * consent limited to some items, the recipient's own program) has a pair of masks for each case that occurs; they are
 * kept when they are made, so that a ruling is one thread's at a time. */
SL_MUST_CHECK enum sl_status sl_ruling_new(struct sl_arena *arena, const struct sl_policy *policy,
    const struct sl_recipient *recipient, const struct sl_slice *patients, size_t patient_count,
    const struct sl_directives *directives, int64_t now, struct sl_ruling **out);

struct sl_registered;
/* The same with what the officer's register says (orders, restrictions, holds); NULL: nothing. */
SL_MUST_CHECK enum sl_status sl_ruling_new_under(struct sl_arena *arena, const struct sl_policy *policy,
    const struct sl_recipient *recipient, const struct sl_slice *patients, size_t patient_count,
    const struct sl_directives *directives, const struct sl_registered *registered, int64_t now,
    struct sl_ruling **out);

/* Why something was withheld, or on what it was released. */
struct sl_cause {
    unsigned class_bit;              /* policy class that lacked a yes or met a no; SL_CLASS_LIMIT: not a class */
    const struct sl_rule_view *rule; /* the rule that withheld; NULL: no rule releases the class (or see why) */
    struct sl_slice directive;       /* "Consent/x" that denied; empty if none */
    const char *why; /* a literal: "no-release-rule", "withheld-by-rule", "denied-by-consent", "unlabelled",
                        "reference-withheld", "required-element", "unknown-element", "other-patient", … */
};

struct sl_verdict {
    enum sl_decision decision;
    struct sl_cause cause; /* the first one, in a fixed order; for all of them: sl_explain */
};

/* The decision for a whole resource: its own classes. An unlabelled item is withheld. */
struct sl_verdict sl_decide_item(const struct sl_ruling *ruling, const struct sl_item *item);
/* The decision for an element with classes of its own, given that its resource is released. */
struct sl_verdict sl_decide_part(
    const struct sl_ruling *ruling, const struct sl_item *item, const struct sl_part *part);
/* May this party have the class at all, whatever the item? For what goes always or never: narrative, answers. */
bool sl_ruling_may(const struct sl_ruling *ruling, unsigned class_bit);
/* May it have every needs-yes class that text can repeat, Part 2 among them, whatever consents say? By party, purpose
 * and policy alone. Narrative (Resource.text) repeats what elements hold, so it goes always or never by this; notes and
 * other free text go by the class `free-text` and its rules. */
bool sl_ruling_may_text(const struct sl_ruling *ruling);
/* Does a constant narrative stand in the place of the one that it may not have (`narrative: regenerate`)? By party,
 * purpose and policy alone. */
bool sl_ruling_regenerates(const struct sl_ruling *ruling);

/* May this recipient use the interaction at all? By party and policy alone, before anything is fetched. */
SL_MUST_CHECK enum sl_status sl_admit(const struct sl_policy *policy, const struct sl_recipient *recipient);

/* What a rule relied on asks of the privacy officer: an entry in the queue. */
struct sl_officer_task {
    const struct sl_rule_view *rule;
    bool notify;
    unsigned review_days; /* 0: it asks for no review */
};

/* What goes out with an item that is released: labels and duties of the rules relied on, for what is in it:
 * its own classes and those of its parts that are not cut (sl_part.cut). */
struct sl_release {
    char confidentiality;
    struct sl_coding *labels; /* without the confidentiality code */
    size_t label_count;
    bool notice; /* the 2.32 statement and the scope of the consent are due */
    struct sl_slice
        statement; /* the short statement of 2.32(a)(2) and the scopes, as it goes on a resource; empty if not due */
    struct sl_slice *scopes; /* of each consent relied on: who may disclose what to whom, in words; each once */
    size_t scope_count;
    struct sl_slice consent;       /* "Consent/x", the first relied on; empty if none */
    bool account;                  /* an accounting of disclosures must list it (2.25) */
    bool emergency_record;         /* it rests on a declared emergency, which must be on record (2.51) */
    struct sl_officer_task *tasks; /* by rule */
    size_t task_count;
    /* On what terms the whole goes: element lists beyond which none of it does ("a", or "a or b": what either names),
     * and changes made to it. Parts may have narrower ones. */
    struct sl_slice *limited_to, *changed;
    size_t limited_count, changed_count;
};
SL_MUST_CHECK enum sl_status sl_ruling_release(
    const struct sl_ruling *ruling, const struct sl_item *item, struct sl_arena *arena, struct sl_release *out);
/* The same of the whole alone (part NULL: what stands in its meta), or of one element as part of it. out->labels is
 * NULL, or the room of an earlier release, which is used again. */
SL_MUST_CHECK enum sl_status sl_ruling_release_of(const struct sl_ruling *ruling, const struct sl_item *item,
    const struct sl_part *part, struct sl_arena *arena, struct sl_release *out);
/* Joins the labels of `more` to those of a release made by either function. SL_LIMIT: more than a release holds. */
SL_MUST_CHECK enum sl_status sl_release_join(struct sl_release *release, const struct sl_release *more);
/* A copy, in the room of out->labels or in new room. */
SL_MUST_CHECK enum sl_status sl_release_copy(
    struct sl_release *out, const struct sl_release *release, struct sl_arena *arena);
/* Do elements carry labels of their own (the policy's `inline-labels`)? */
bool sl_ruling_inline(const struct sl_ruling *ruling);
/* May this recipient search by these (SL_SEARCH_BY_… of search.h)? By party, purpose and policy alone; with whom it has
 * a relationship plays no part. */
bool sl_may_search(const struct sl_policy *policy, const struct sl_recipient *recipient, unsigned means);
/* Could what this recipient gets have another text than the record where the search parameter reads? By party, purpose
 * and policy alone: then the upstream cannot say what matches. */
bool sl_may_change(
    const struct sl_policy *policy, const struct sl_recipient *recipient, const struct sl_r4_param *param);
/* Could a record of the type be released to this recipient without what the parameter reads, or with something else
 * there? By party, purpose and policy alone. False: whatever is released says there what the record says. */
bool sl_may_cut(const struct sl_policy *policy, const struct sl_recipient *recipient, sl_r4_node type,
    const struct sl_r4_param *param);
struct sl_slice sl_ruling_short_notice(const struct sl_ruling *ruling);

/* Does what is decided or relied on depend on more of an item than its classes (a consent limited to dates, instances,
 * disclosers; a fact of the item that a rule about these classes asks for)? Then neighbours with the same classes may
 * differ. */
bool sl_ruling_by_item(const struct sl_ruling *ruling, const struct sl_classes *classes);
/* Does it depend on more than the label book keeps of one (its classes, who discloses it, its program)? */
bool sl_ruling_by_record(const struct sl_ruling *ruling, const struct sl_classes *classes);

/* The rules relied on for a released item, and the parties the recipient was found to be: for ledger and reports. */
size_t sl_ruling_rules(
    const struct sl_ruling *ruling, const struct sl_item *item, const struct sl_rule_view **rules, size_t max);
const struct sl_slice *sl_ruling_parties(const struct sl_ruling *ruling, size_t *count);

/* The persons it is about; with one of several names: see sl_ruling_new. */
const struct sl_slice *sl_ruling_persons(const struct sl_ruling *ruling, size_t *count);

/* The fixed statements of 42 CFR 2.32(a)(1) and (2), as the policy names them. */
struct sl_slice sl_policy_notice(const struct sl_policy *policy);
struct sl_slice sl_policy_short_notice(const struct sl_policy *policy);

/* An element that went from what was released, and why. */
struct sl_explained_element {
    struct sl_slice path, why, class, rule;
};
struct sl_explained {
    const struct sl_ruling *ruling;
    const struct sl_item *item;
    const struct sl_explained_element *elements;
    size_t element_count;
};
/* Why: what was decided and by which rule; every rule considered, where it stands, whether it spoke, and which
 * condition failed; and the smallest changes that would alter the answer, found by deciding again. Text for operators,
 * or a line of JSON: ids and rules, no content. */
SL_MUST_CHECK enum sl_status sl_explain_as(const struct sl_explained *explained, bool json, struct sl_buffer *out);
SL_MUST_CHECK enum sl_status sl_explain(
    const struct sl_ruling *ruling, const struct sl_item *item, struct sl_buffer *out);

#endif
