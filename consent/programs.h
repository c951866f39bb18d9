/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program table as the labeller asks it; see sluice/label.h for what it holds. Inside the consent room only.
 *
 * What the table says of a source depends on the time that is asked about. So a question is answered by a *standing*,
 * which grows with each name by which the source is known: several entries may speak, each of a time of its own.
 */
#ifndef SLUICE_CONSENT_PROGRAMS_H
#define SLUICE_CONSENT_PROGRAMS_H

#include "sluice/label.h"

/* ---- Times. What is joined may become longer than its parts (hull), what is narrowed never shorter than the truth
 * ----
 */

#define SL_ALWAYS ((struct sl_during){INT64_MIN, INT64_MAX})

static inline bool sl_during_is(struct sl_during d)
{
    return d.begin < d.end;
}

static inline bool sl_during_meets(struct sl_during a, struct sl_during b)
{
    return sl_during_is(a) && sl_during_is(b) && a.begin < b.end && b.begin < a.end;
}

static inline struct sl_during sl_during_both(struct sl_during a, struct sl_during b)
{
    struct sl_during both = {a.begin > b.begin ? a.begin : b.begin, a.end < b.end ? a.end : b.end};
    return sl_during_is(both) ? both : (struct sl_during){0, 0};
}

static inline bool sl_during_within(struct sl_during part, struct sl_during whole)
{
    return sl_during_is(whole) && whole.begin <= part.begin && part.end <= whole.end;
}

/* Makes `to` reach over `more` as well. True: it has grown. */
bool sl_during_join(struct sl_during *to, struct sl_during more);
/* Makes `to` reach over `more` where no gap is between them; else keeps the longer one. */
void sl_during_join_near(struct sl_during *to, struct sl_during more);
/* `from` without `less`, where what is left is one stretch; else `from` as it is. */
struct sl_during sl_during_less(struct sl_during from, struct sl_during less);

/* ---- What the table says ---- */

struct sl_standing {
    bool named;            /* some entry speaks of it */
    struct sl_reach reach; /* as what */
    struct sl_during open; /* of which time no entry speaks */
    struct sl_slice
        program; /* the first entry by which it is a program, by its reference (else another of its names) */
};

struct sl_standing sl_standing_none(void);

/* What the table says of a source by one of its names is added to the standing. A NULL table says nothing. */
void sl_programs_by_name(
    const struct sl_programs *programs, sl_r4_node type, struct sl_slice id, struct sl_standing *standing);
/* meta.source (with or without its fragment), an absolute URL, a URN. */
void sl_programs_by_uri(const struct sl_programs *programs, struct sl_slice uri, struct sl_standing *standing);
/* Identifier.system and .value. of: whose it is. */
enum sl_identified { SL_IDENTIFIED_SOURCE = 1, SL_IDENTIFIED_PERSON, SL_IDENTIFIED_ANY };
void sl_programs_by_identifier(const struct sl_programs *programs, enum sl_identified of, struct sl_slice system,
    struct sl_slice value, struct sl_standing *standing);
/* A display or a name that holds one of the names of a program, as whole words. The arena is for the text as compared.
 */
void sl_programs_by_words(
    const struct sl_programs *programs, struct sl_slice text, struct sl_arena *arena, struct sl_standing *standing);

/* Does it name any source by identifier; any person by one; any by words? */
bool sl_programs_has_identifiers(const struct sl_programs *programs);
bool sl_programs_has_persons(const struct sl_programs *programs);
bool sl_programs_has_words(const struct sl_programs *programs);
/* Is this (the part in front of "/Type/id") a server whose records are ours? */
bool sl_programs_is_ours(const struct sl_programs *programs, struct sl_slice base);
/* Is a source that resolves and is not named no program? */
bool sl_programs_closed(const struct sl_programs *programs);
/* Is this a type that can be a source, and leads on to others? Organization, Location, HealthcareService,
 * PractitionerRole, Endpoint. */
bool sl_programs_type(sl_r4_node type);

/* Calls with a line for every name and what it says, and for every server, in no order: together they are the table. */
void sl_programs_each(
    const struct sl_programs *programs, void (*call)(void *context, struct sl_slice line), void *context);

/* ---- Building one ---- */

struct sl_identifier {
    struct sl_slice system, value;
};

/* An entry: one source under all its names. Borrowed; what it holds is copied. */
struct sl_program_entry {
    const struct sl_slice *sources; /* "Organization/x", an id, a URI: see sl_programs_add */
    size_t source_count;
    const struct sl_identifier *identifiers;
    size_t identifier_count;
    const struct sl_slice *words;
    size_t word_count;
    bool person; /* the identifiers are a practitioner's */
    enum sl_source source;
    enum sl_holding holding;
    struct sl_during when;
};
/* SL_INVALID, SL_EXISTS (another entry says otherwise of the same time): *culprit is the name, if it is one. */
SL_MUST_CHECK enum sl_status sl_programs_put(
    struct sl_programs *programs, const struct sl_program_entry *entry, struct sl_slice *culprit);

#endif
