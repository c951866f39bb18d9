/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pass of the one path: label, compile, decide, segment, over the resources that one fetch brought. Every door
 * (REST, Bundle, batch, export, command line) adds its resources to a pass and sends what the pass says.
 *
 *     sl_pass_new → sl_pass_add… → sl_pass_label (→ fetch what is missing, sl_pass_add as context)… → sl_pass_decide
 *                 → sl_segment_edit for each released item → sl_edit_gather
 *
 * Pure but for the directives callback, which a door gives to look consents up.
 */
#ifndef SLUICE_PASS_H
#define SLUICE_PASS_H

#include "sluice/kin.h"
#include "sluice/past.h"
#include "sluice/segment.h"

struct sl_pass;

struct sl_pass_options {
    const struct sl_policy *policy;
    const struct sl_programs *programs;
    const struct sl_registered *registered; /* what the officer's register says of records; NULL: nothing */
    struct sl_kin *kin;   /* who is the same person as whom; NULL: what is in this pass says it alone */
    struct sl_kept *kept; /* rows that came before, and */
    uint64_t kept_under;  /* what stands for `policy` and `programs` with them; NULL: none are kept */
    const struct sl_recipient *recipient;
    int64_t now; /* seconds since the epoch */
    /* Everything a person has directed. None is SL_OK and an empty list; a failing store is an error, and the pass
     * fails. */
    enum sl_status (*directives)(
        void *context, struct sl_slice patient, struct sl_arena *arena, struct sl_directives *out);
    /* What keeps an item of these persons ("Patient/a Patient/b") from going to this recipient, whatever policy says:
     * scopes. A literal, or NULL. The callback may be NULL. Of whom an item only names, each is asked about alone. */
    const char *(*outside)(void *context, const struct sl_item *item, struct sl_slice patients);
    void *context;
};

/* NULL if memory ran out. The options' pointers are borrowed for its life. */
struct sl_pass *sl_pass_new(struct sl_arena *arena, const struct sl_pass_options *options);
struct sl_labeller *sl_pass_labeller(struct sl_pass *pass);

/* Adds a resource (see sl_labeller_add); `context`: for labels only, never part of the answer. */
SL_MUST_CHECK enum sl_status sl_pass_add(struct sl_pass *pass, const struct sl_doc *doc, uint32_t root,
    struct sl_slice full_url, bool context, struct sl_item **out);

/* The same of a row that came before: what it tells by itself is not looked for again. row NULL: it did not. */
SL_MUST_CHECK enum sl_status sl_pass_add_row(struct sl_pass *pass, const struct sl_doc *doc, uint32_t root,
    const struct sl_kept_row *row, bool context, struct sl_item **out);

/*
 * Adds one version of a record, the newest first: it is decided with what later versions hand down to it, those of
 * earlier passes among them (sl_pass_begin_past). References to the record do not lead to it.
 */
SL_MUST_CHECK enum sl_status sl_pass_add_version(
    struct sl_pass *pass, const struct sl_doc *doc, uint32_t root, struct sl_item **out);
/* Before anything is decided: what versions of earlier passes hand down. `past` is copied; its slices are borrowed. */
void sl_pass_begin_past(struct sl_pass *pass, const struct sl_past *past);
/* Once it is decided: what is handed down to the versions of the next pass. Slices are copied into the arena. */
SL_MUST_CHECK enum sl_status sl_pass_past(const struct sl_pass *pass, struct sl_arena *arena, struct sl_past *out);

/* Labels as far as what is known reaches; *missing are the references still lacked (see sl_labeller_resolve). */
SL_MUST_CHECK enum sl_status sl_pass_label(struct sl_pass *pass, struct sl_slice **missing, size_t *count);

/* Is the reference lacked by what a patient directed, and not by labels alone? Then the record itself is wanted, and
 * what the label book says of it will not do. */
bool sl_pass_wants(const struct sl_pass *pass, struct sl_slice reference);
/* Is a record that a Consent needs known by the label book alone? */
bool sl_pass_wants_records(const struct sl_pass *pass);

/* Compiles a ruling for each set of patients at hand, decides every item, and works out the cuts. Again: anew. */
SL_MUST_CHECK enum sl_status sl_pass_decide(struct sl_pass *pass, struct sl_segment_report *report);

/*
 * That a person is known here (the classes of `presence`) is no secret from whom another record of the person goes to.
 * sl_pass_decide looks among what the pass holds. Where records may stand elsewhere, the door looks on: for the
 * persons of whom something would go but for that, each once, it looks whether anything is released; it tells which are
 * known, and decides again.
 */
SL_MUST_CHECK enum sl_status sl_pass_hidden(struct sl_pass *pass, struct sl_slice **persons, size_t *count);
/* Notes whom this pass, once decided, knows by what goes in it. */
SL_MUST_CHECK enum sl_status sl_pass_note_known(struct sl_pass *pass);
/* Is something that goes in this pass, and is no presence itself, about the person ("Patient/x")? */
bool sl_pass_knows(const struct sl_pass *pass, struct sl_slice person);
SL_MUST_CHECK enum sl_status sl_pass_reveal(struct sl_pass *pass, struct sl_slice person);

/* Everybody whom the items of a labelled pass, those of the answer, are about: each once, in order. */
SL_MUST_CHECK enum sl_status sl_pass_persons(struct sl_pass *pass, struct sl_slice **persons, size_t *count);

/* The patients an item is about, as they are known here ("Patient/x"), joined by a space: for ledger and reports. */
SL_MUST_CHECK enum sl_status sl_pass_patients(struct sl_pass *pass, const struct sl_item *item, struct sl_slice *out);

#endif
