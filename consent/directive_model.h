/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Consent as it was read: what directive_read.c makes and directive_judge.c judges. Inside the consent room only.
 * Everything lives in the arena of the reading, and is copied from the text.
 */
#ifndef SLUICE_CONSENT_DIRECTIVE_MODEL_H
#define SLUICE_CONSENT_DIRECTIVE_MODEL_H

#include "sluice/directive.h"
#include "sluice/kin.h"

#define SL_PROVISION_DEPTH 40u /* nested provisions; a parse of default depth holds 31 */
#define SL_PROVISION_LIMIT 4096u
#define SL_SOURCE_LIMIT 4u
#define SL_PATIENT_LIMIT 96u /* bytes of the patient's reference: a store key's prefix less its end */

/* ---- Time ---- */

/* The seconds [begin, end) that a date, dateTime or instant of R4 names; a date without a time zone is of UTC. */
struct sl_moment {
    bool there, whole_days;
    int64_t begin, end;
};
/* false: no such time. */
bool sl_moment_read(struct sl_slice text, struct sl_moment *out);

struct sl_period {
    bool there, unreadable;
    struct sl_moment start, end;
};

/* ---- Criteria ---- */

enum sl_role { SL_ROLE_OTHER, SL_ROLE_RECIPIENT, SL_ROLE_DISCLOSER, SL_ROLE_AUTHOR, SL_ROLES };
enum sl_meaning { SL_MEANING_INSTANCE = 1, SL_MEANING_RELATED, SL_MEANING_DEPENDENTS, SL_MEANING_AUTHOREDBY };

/* One value of a criterion: a code with its system, or a reference in `code`. */
struct sl_value {
    struct sl_slice system, code, display;
    uint8_t kind;    /* enum sl_role, enum sl_meaning */
    bool unreadable; /* it says something that cannot be told */
    bool settled;    /* a recipient: what records tell of whether it is the one who asks (directive_people.h) */
    uint8_t met;     /* enum sl_match */
};

/* The values of a criterion; alternatives of each other. */
struct sl_values {
    struct sl_value *value;
    uint32_t count;
    bool there;
};

/* What a provision says where it applies and no provision in it does. */
enum sl_provision_type { SL_PROVISION_NONE, SL_PROVISION_PERMIT, SL_PROVISION_DENY, SL_PROVISION_UNREADABLE };

/* In the order of the text, parents before children: a subtree is contiguous. */
struct sl_provision {
    enum sl_provision_type type;
    uint32_t depth;
    bool unreadable; /* holds something nobody here understands: one more criterion, and unreadable */
    struct sl_period period, data_period;
    struct sl_values actors, actions, labels, purposes, classes, codes, data;
};

enum sl_consent_status { SL_CONSENT_OTHER, SL_CONSENT_ACTIVE, SL_CONSENT_INACTIVE };

struct sl_directive {
    struct sl_directive *next;
    struct sl_slice id, patient;
    enum sl_consent_status status;
    bool privacy, scope_known;   /* scope is patient-privacy; it is one of the codes of R4 */
    bool unverified, unreadable; /* verification says no; a modifier nobody here understands */
    bool emergency_only;         /* policyRule EMRGONLY */
    bool has_source;
    bool ends_with_event; /* an event is named with which it expires, though nobody here can tell when that is */
    bool by_patient, by_representative, by_others; /* who signed (performer) */
    struct sl_slice sources[SL_SOURCE_LIMIT];      /* canonicals of what was signed */
    size_t source_count;
    bool outdated; /* while a list is settled: it goes */
    bool
        no_permit; /* a later Consent, no longer in force, had taken its place; or it is of another key of the person */
    bool foreign;  /* given under another key, which nobody confirms to be the same person's: it can only deny */
    struct sl_moment date, updated;
    struct sl_values categories, policy_rules, policy_uris, performers, organizations;
    struct sl_provision *provisions; /* at least one: the root */
    uint32_t provision_count;
    const struct sl_kin *kin;        /* which organization is part of which; NULL: nothing is known of it */
    struct sl_slice matter;          /* category, grantor, discloser, recipients in one form; empty: no category */
    struct sl_slice matter_purposes; /* and purposes */
};

/* Adds copies of those of `list` to `out`, as directives of `patient` (whose other key they were given under, if it is
 * another). Provisions are shared. */
SL_MUST_CHECK enum sl_status sl_directives_copy(const struct sl_directives *list, struct sl_slice patient,
    bool confirmed, struct sl_arena *arena, struct sl_directives *out);

struct sl_store;
/* As sl_directives_of, and the state of the store in which it was read (as sl_store_version counts; 0: nothing was). */
SL_MUST_CHECK enum sl_status sl_directives_seen(struct sl_store *store, struct sl_slice patient, struct sl_arena *arena,
    struct sl_directives *out, uint64_t *version);

/* ---- Matching ---- */

/* In this order: the lesser of two is what both together come to, the greater what either does. */
enum sl_match { SL_UNMET, SL_UNTOLD, SL_MET };

struct sl_asking {
    const struct sl_directive *directive;
    const struct sl_policy *policy; /* NULL with the item */
    const struct sl_recipient *recipient;
    const struct sl_item *item; /* NULL: whatever the item */
    const struct sl_classes *classes;
    int64_t now;
};

/* The criteria by kind; the first two are the Consent's as a whole, and what nobody here understands. */
enum {
    SL_BY_WHOLE,
    SL_BY_UNKNOWN,
    SL_BY_PERIOD,
    SL_BY_DATA_PERIOD,
    SL_BY_ACTORS,
    SL_BY_ACTIONS,
    SL_BY_PURPOSES,
    SL_BY_CLASSES,
    SL_BY_CODES,
    SL_BY_DATA,
    SL_BY_LABELS,
    SL_CRITERIA
};

/* Each kind of criterion that the provision has; for the others, what `outer` says. */
void sl_match_criteria(const struct sl_asking *asking, const struct sl_provision *provision, const enum sl_match *outer,
    enum sl_match *met);
/* What the Consent as a whole asks: that it is one in force, and of this discloser. */
enum sl_match sl_match_consent(const struct sl_asking *asking);
/* Is this actor the one who asks, the discloser or the author of the item? */
enum sl_match sl_match_actor(const struct sl_asking *asking, const struct sl_value *actor);
/* Is the reference, by itself, the one who asks? */
enum sl_match sl_match_name(const struct sl_recipient *recipient, struct sl_slice reference);
/* Does `now` lie in the period? */
enum sl_match sl_match_now(const struct sl_period *period, int64_t now);

/* Does the provision say what is permitted? Where the root permits, it alone says what for and until when; else each
 * permit in it does for itself. */
bool sl_provision_permits(const struct sl_directive *directive, uint32_t provision);

/* Can every criterion be read? */
bool sl_provision_readable(const struct sl_provision *provision);

#endif
