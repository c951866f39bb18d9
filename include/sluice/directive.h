/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A patient's directives: FHIR R4 Consent resources. Each gives one verdict for an item: permit, deny or silent.
 * Any deny beats any permit (decide.h). A later Consent of the same category, grantor, discloser and recipients
 * supersedes. An unreadable permit is silent; an unreadable deny denies with the unreadable criterion dropped. Of how
 * the criteria of a Consent are met, and what its nested provisions come to, docs/consent.md tells.
 */
#ifndef SLUICE_DIRECTIVE_H
#define SLUICE_DIRECTIVE_H

#include "sluice/classes.h"
#include "sluice/issue.h"
#include "sluice/policy.h"
#include "sluice/span.h"

struct sl_recipient;
struct sl_item;
struct sl_directive;

struct sl_kin;
struct sl_directives {
    struct sl_directive *first, *last;
    size_t count;
    const struct sl_kin *kin; /* who is the same person as whom; NULL: nobody */
};

enum sl_consent_verdict { SL_CONSENT_SILENT = 0x3311, SL_CONSENT_PERMIT = 0x5522, SL_CONSENT_DENY = 0xcc44 };

/* Reads one Consent into the list (arena-owned; copies what it keeps). What is wrong or missing goes to issues: of
 * grade warning where it only narrows what the Consent can permit ("consent-unreadable", "consent-no-effect"). A
 * Consent that is no Consent is SL_INVALID, and nothing is added. */
SL_MUST_CHECK enum sl_status sl_directive_read(struct sl_arena *arena, const struct sl_doc *doc, uint32_t root,
    struct sl_issues *issues, struct sl_directives *list);

/* Moves everything of `more` to the end of `list`. */
void sl_directives_join(struct sl_directives *list, struct sl_directives *more);

/* Those of a list that are about a person ("Patient/x"), as a list of their own. */
SL_MUST_CHECK enum sl_status sl_directives_about(
    const struct sl_directives *list, struct sl_slice patient, struct sl_arena *arena, struct sl_directives *out);

/* Does one of them say who may disclose, so that it matters what organizations are part of? */
bool sl_directives_name_discloser(const struct sl_directives *list);

/* Drops what a later Consent supersedes, what another version of the same Consent (same id) replaces, and what is not
 * active at `now`: before it begins, after its end, or in any other status. A later one that is not in force any more,
 * or not understood in every part, ends what an earlier one permits, and leaves what it denies. */
void sl_directives_settle(struct sl_directives *list, int64_t now);

/* The verdict of one directive for an item, this recipient, purpose and instant. `classes` are those of the policy that
 * the item has; the labels that the policy puts on them are what provision.securityLabel is held against. item NULL:
 * whatever the item. It does not ask whether the directive is about one of the item's patients: the caller does. */
enum sl_consent_verdict sl_directive_judge(const struct sl_directive *directive, const struct sl_policy *policy,
    const struct sl_recipient *recipient, const struct sl_item *item, const struct sl_classes *classes, int64_t now);

/* Could it say anything to this recipient and purpose at that instant, for some item? (false: always silent) */
bool sl_directive_concerns(const struct sl_directive *directive, const struct sl_recipient *recipient, int64_t now);
/* Is it this recipient whom a permit in it names, for the purpose at hand? By its form alone; the verdict is
 * sl_directive_judge's business. */
bool sl_directive_names(const struct sl_directive *directive, const struct sl_recipient *recipient, int64_t now);
/* Could something that it permits to this recipient rest on a general designation: a class (a Group, a CareTeam), or
 * nobody in particular, instead of a person or an organization? By its form alone, too. */
bool sl_directive_is_general(const struct sl_directive *directive, const struct sl_recipient *recipient, int64_t now);
/* Does its verdict depend on the item (discloser, class, code, label, time, instance, author)? */
bool sl_directive_by_item(const struct sl_directive *directive);
/* If it does: on nothing of the item but who discloses it (custodian, program, named_program)? */
bool sl_directive_by_discloser(const struct sl_directive *directive);
/* If it does: on what is in the record alone (its codes, dates, references, authors), and not in what the label book
 * keeps of it: name, classes, who discloses it? */
bool sl_directive_by_record(const struct sl_directive *directive);

#define SL_CONSENT_OF_ANOTHER_KIND ((unsigned)1 << 31)
/* What it lacks of being the kind by that row (policy `consents:`, `forms:`), as 1 << enum sl_consent_element; 0: it is
 * one; SL_CONSENT_OF_ANOTHER_KIND: it does not say that it is. For a purpose, or (empty) for any. By what the Consent
 * says alone; the verdict is sl_directive_judge's business. policy NULL: it stands alone. */
unsigned sl_directive_lacks(const struct sl_directive *directive, const struct sl_policy *policy,
    const struct sl_consent_kind *kind, struct sl_slice purpose, int64_t now);
/* What it counts as, for a purpose: bits by the index of kinds. */
uint32_t sl_directive_kinds(
    const struct sl_directive *directive, const struct sl_policy *policy, struct sl_slice purpose, int64_t now);
/* In words, what is not there. */
const char *sl_consent_element_lacking(enum sl_consent_element element);

/* What becomes of one among all of a person's, at an instant, and by which other one. */
enum sl_consent_fate {
    SL_FATE_NONE,
    SL_FATE_STANDS,
    SL_FATE_DENIES_ONLY,  /* not dated, not verified, or holding what nobody here understands: it permits nothing */
    SL_FATE_PERMIT_ENDED, /* a later one of the same matter, not in force or not understood, ends what it permits */
    SL_FATE_SUPERSEDED,
    SL_FATE_NOT_ACTIVE,
    SL_FATE_OTHER_SCOPE,
    SL_FATE_NOT_YET,
    SL_FATE_OVER
};
enum sl_consent_fate sl_directive_fate(const struct sl_directives *list, const struct sl_directive *directive,
    int64_t now, const struct sl_directive **by);
/* The second at which it ends as a whole; false: none is said. */
bool sl_directive_until(const struct sl_directive *directive, int64_t *until);

/* Is there a provision, at any depth, that permits; that denies (one that cannot be read
 * does)? Neither: it says nothing. */
bool sl_directive_permits_something(const struct sl_directive *directive);
bool sl_directive_denies_something(const struct sl_directive *directive);

struct sl_slice sl_directive_id(const struct sl_directive *directive);      /* "Consent/x" */
struct sl_slice sl_directive_patient(const struct sl_directive *directive); /* "Patient/x" */
const struct sl_directive *sl_directive_next(const struct sl_directive *directive);
/* Who may disclose, to whom, for what, until when: one line in words for the scope that travels with a disclosure
 * (2.32(b)); no detail of the treatment. ptr NULL if memory ran out. */
struct sl_slice sl_directive_scope(const struct sl_directive *directive, struct sl_arena *arena);
/* The same as it goes out: of those whom the Consent names, this recipient and this item's discloser alone. */
struct sl_slice sl_directive_scope_for(const struct sl_directive *directive, const struct sl_recipient *recipient,
    const struct sl_item *item, struct sl_arena *arena);

/* ---- In the `policy` store, by person ---- */

struct sl_store;
/* Stores one Consent under its patient; the same id replaces, also where it was another patient's before. SL_INVALID
 * with issues if it cannot be one, or has no id. */
SL_MUST_CHECK enum sl_status sl_directives_import(
    struct sl_store *store, const struct sl_doc *doc, uint32_t root, struct sl_issues *issues);
/* Is anything stored, for whomever? */
SL_MUST_CHECK enum sl_status sl_directives_any(struct sl_store *store, bool *any);
/* Everything stored for a person ("Patient/x"), not settled. None is SL_OK with an empty list; a store that fails, or
 * holds one that cannot be read, is an error. */
SL_MUST_CHECK enum sl_status sl_directives_of(
    struct sl_store *store, struct sl_slice patient, struct sl_arena *arena, struct sl_directives *out);

/* What was read of a store for some persons, kept for those who ask in the same state of it: one store's, and one
 * thread's. bytes: at most. NULL if memory ran out. */
struct sl_directives_kept;
struct sl_directives_kept *sl_directives_kept_new(size_t bytes);
void sl_directives_kept_free(struct sl_directives_kept *kept); /* NULL is fine. */
/* As sl_directives_of, of the state that `version` (sl_store_version) names, or of a later one. */
SL_MUST_CHECK enum sl_status sl_directives_of_kept(struct sl_directives_kept *kept, struct sl_store *store,
    uint64_t version, struct sl_slice patient, struct sl_arena *arena, struct sl_directives *out);

#endif
