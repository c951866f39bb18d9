/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An entry of the officer's register that is a fact for lines of rules (`register: …`): an order, a restriction, a
 * hold, an approval, the basis of research. Each says which records it covers, and which recipients. One that lacks a
 * part is kept and covers nothing, so that what is missing can be told. Inside the consent room only.
 */
#ifndef SLUICE_CONSENT_ENTRY_H
#define SLUICE_CONSENT_ENTRY_H

#include "directive_model.h"
#include "policy_model.h"
#include "sluice/register.h"

struct sl_entry {
    enum sl_register_kind kind;
    struct sl_slice name;    /* "register/12" */
    struct sl_slice patient; /* "Patient/x"; empty: whoever's */
    struct sl_slice variant; /* "2.64", "waiver"; may be empty */
    bool confidential;       /* covers confidential communications (42 CFR 2.63) */
    bool by_item, by_class;  /* about records named, and what hangs on a visit among them; or about classes */
    struct sl_classes classes;
    struct sl_moment served_from, served_until;
    struct sl_words recipients; /* whom it names; none: see sl_entry_names */
    const char *lacking;        /* a literal: why it is nothing, at the instant of the snapshot; NULL: it is in force */
    const struct sl_entry *next;
};

/* An entry, and the person it is held against: it may name another record of the same person. */
struct sl_bound {
    const struct sl_entry *entry;
    struct sl_slice person; /* as the ruling names him; empty: whoever */
    bool confirmed;         /* that it is the same person */
};

/* An entry that a record is named in, or the visit it hangs on; a list. */
struct sl_held {
    const struct sl_entry *entry;
    const struct sl_held *next;
};

/* Is the kind one that lines ask for? */
bool sl_entry_is_fact(enum sl_register_kind kind);
/* Does an entry of the kind keep something back? Then one of any of the patients is enough; else each must have one. */
bool sl_entry_restricts(enum sl_register_kind kind);
/* Reads one, into the arena. */
SL_MUST_CHECK enum sl_status sl_entry_read(
    const struct sl_policy *policy, const struct sl_register_entry *from, struct sl_arena *arena, struct sl_entry *out);

struct sl_ruling;
/* Why it does not cover this recipient, or this item, whose classes are judged; NULL: it does. */
const char *sl_entry_passes_over(const struct sl_bound *bound, const struct sl_ruling *ruling);
const char *sl_entry_leaves_out(
    const struct sl_entry *entry, const struct sl_item *item, const struct sl_classes *classes);

#endif
