/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the labeller: what label.c (the labeller and its index), label_walk.c (phase 1: one walk over each resource)
 * and label_resolve.c (phase 2: what references bring) share. Only these include it, and book.c and label_print.c.
 */
#ifndef SLUICE_CONSENT_LABELLING_H
#define SLUICE_CONSENT_LABELLING_H

#include "earning.h"
#include "programs.h"
#include "registered.h"
#include "sluice/kept.h"
#include "sluice/label.h"

/* What phase 1 found to classify one element. Whole resources collect theirs in `base` at once. */
struct evidence {
    uint32_t part; /* the span to cut */
    uint32_t span; /* of the evidence itself */
    struct sl_classes classes;
    enum sl_why why;
    bool candidate;                       /* a Part 2 candidate code, strong: Part 2 where the source is unknown */
    const struct sl_security_rule *label; /* it is a label that came with the record; NULL: anything else */
    bool level;                           /* and it is the confidentiality that meta gives */
    struct sl_slice detail;
    struct evidence *next;
};

#define SL_DATES 6u

/* An item with what only the labeller needs. The item comes first: a pointer to one is a pointer to the other. */
struct labelled {
    struct sl_item item;
    struct sl_slice base; /* of full_url, in front of "/Type/id"; relative and absolute references meet here */
    struct sl_classes base_classes; /* what phase 1 found */
    const struct sl_reason *base_reasons;
    const char *base_unlabelled;
    struct evidence *evidence;
    struct evidence *labels;  /* of meta.security, for the whole */
    bool inlined;             /* PROCESSINLINELABEL is among them: the level is the highest of the inline ones */
    char level, inline_level; /* confidentiality of meta.security; the highest inline, contained resources' too */
    struct labelled *same_id, *same_url; /* another item of the same name: a version, a copy in the context */
    bool known;                          /* from the label book: no document, and its source is what the book says */
    struct sl_reach known_reach;
    bool known_mixed;
    struct sl_slice known_program, known_named_program, known_custodian;
    bool named_only; /* a Patient of whom nothing is here but that a record names him */
    bool scoped;     /* contained: known by "#id" in its container alone */
    bool base_candidate;
    bool paid;                  /* some reference `pays` */
    struct sl_classes purse;    /* of a Coverage: what it alone pays for has these */
    uint32_t ai;                /* the label by which AI wrote it; 0: none */
    bool signed_off;            /* the record itself says that a human has vouched for it */
    const struct sl_mark *mark; /* what the officer's register says of it; NULL: nothing */
    uint8_t date_count;         /* of dates; more than SL_DATES: there are more, and its time is any */
    uint32_t dates[SL_DATES];   /* spans of what says when it was: dates, periods */
    /* Worked out anew by each resolve. */
    bool candidate;
    bool declared;                /* an officer says whose record it is: origin references say no more */
    struct sl_classes not ;       /* classes that an officer says it has not */
    bool timed;                   /* exact and days are known */
    bool mixed;                   /* different programs at different times: none of them names it */
    struct sl_during exact, days; /* when it was made: see sl_label_time */
    struct sl_during open;        /* of a directory entry: when the table says nothing of it by name */
    struct sl_reach reach;        /* by origin references, over any number of steps */
    const uint32_t *answers;      /* of a form that may be scored, but for its total: what one earns, all earn */
    uint32_t answer_count;
};

struct slot {
    uint64_t hash;
    struct labelled *item;
};

struct absent {
    sl_r4_node type;
    struct sl_slice name;
    bool used, asked, untold;
};

/* DS4P: an element's own labels, and the label that says there are some. */
#define SL_INLINE_LABEL "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label"
#define SL_INLINED "PROCESSINLINELABEL"

#define TYPE_CACHE 64u
#define CACHED 64u       /* places of a cache of which one word tells the filled ones */
#define STACK_DEPTH 132u /* containers within containers; deeper resources are not labelled */

struct walk_scratch;
struct words_cache;

/* Where the terminology keeps the codes of scored instruments. */
struct sl_instrument_codes {
    bool ready;
    unsigned item, total, panel; /* categories; SL_CATEGORY_LIMIT: none */
    sl_system loinc;
};

/* What a reference's text names. type: of "Type/id" (name: the id; text: "Type/id"); 0: name is a URL, URN or "#id". */
struct target {
    sl_r4_node type;
    struct sl_slice name, text;
    bool scoped; /* "#id" */
};

/* What the texts of a page's documents mean, which live as long as the labeller's items: most records name the same few
 * systems and refer to the same few others. */
struct sl_caches {
    struct system_cached {
        struct sl_slice text;
        sl_system number;
    } systems[CACHED];
    struct target_cached {
        struct sl_slice text, base;
        struct target target;
    } targets[CACHED];
};

struct sl_labeller {
    struct sl_arena *arena;
    const struct sl_earning *earning;
    const struct sl_programs *programs;
    const struct sl_registered *registered;
    uint64_t seed;
    struct labelled *first, *last;
    uint32_t count;
    struct slot *index; /* open addressing over the names of items */
    size_t index_mask, index_count;
    uint64_t entered; /* kinds of names that came since references were linked last */
    uint32_t linked;  /* how many items there were then */
    bool resolved;    /* what is known has been worked out, and nothing has come since */
    struct absent *absent;
    size_t absent_mask, absent_count;
    sl_r4_node type_cache[TYPE_CACHE];
    struct sl_caches *caches;                /* not cleared: */
    uint64_t systems_cached, targets_cached; /* these of it are filled */
    const struct sl_reason **type_reasons;   /* by node: the reason every resource of a type has */
    sl_system *security_systems;             /* of earning->security, by place */
    sl_system system_value;                  /* v3-ObservationValue */
    sl_system system_act, system_level;      /* v3-ActCode, v3-Confidentiality */
    struct walk_scratch *scratch;
    struct sl_instrument_codes instruments;
    struct words_cache *words;        /* made with the first words */
    struct sl_statements *statements; /* of Provenances, about drafts; NULL: none yet */
    struct sl_kept *kept;             /* rows that came before; NULL: none are kept */
    uint64_t kept_under;              /* what stands for policy and programs with them */
};

/* ---- label.c ---- */

/* base: of the referring item. Empty name: it names no record. */
struct target sl_target_read(struct sl_labeller *labeller, struct sl_slice reference, struct sl_slice base);
/* The same, by way of a small cache. Both texts must live as long as the labeller. */
struct target sl_target_read_kept(struct sl_labeller *labeller, struct sl_slice reference, struct sl_slice base);
/* The node of a resource type by name, by way of a small cache; 0: none. */
sl_r4_node sl_labeller_type(struct sl_labeller *labeller, struct sl_slice name);
/* The number of a code system, as sl_terminology_system, by way of a small cache: a Bundle names a few systems often.
 * The text must live as long as the labeller. */
sl_system sl_labeller_system(struct sl_labeller *labeller, struct sl_slice system);
/* The item so named; more of the same name follow at same_id (for type and id) or same_url. */
struct labelled *sl_labeller_lookup(const struct sl_labeller *labeller, sl_r4_node type, struct sl_slice name);
struct labelled *sl_labeller_contained(
    const struct sl_labeller *labeller, const struct sl_item *container, struct sl_slice id);
const struct absent *sl_labeller_is_absent(const struct sl_labeller *labeller, sl_r4_node type, struct sl_slice name);
/* The hash of a name in the labeller's tables. */
uint64_t sl_labeller_hash(const struct sl_labeller *labeller, sl_r4_node type, struct sl_slice name);
/* A new item at the end of the list; NULL if memory ran out. */
struct labelled *sl_labeller_append(struct sl_labeller *labeller, const struct sl_doc *doc, uint32_t root);
/* The bit of a type's names in `entered`: some types share one. 0: URLs and names within a container. */
static inline uint64_t sl_labeller_kind(sl_r4_node type)
{
    return (uint64_t)1 << (type & 63);
}
/* Enters the item under its names. False: no memory. */
bool sl_labeller_enter(struct sl_labeller *labeller, struct labelled *item);

/* What a reference does once it is known what it leads to. Whom a record is about may be no patient, and what defines
 * it may be a place: a group's or a device's classes are its own then, and a part of a program makes it the program's.
 */
static inline enum sl_r4_reference sl_reference_kind(enum sl_r4_reference kind, bool patient, sl_r4_node target)
{
    if (patient && target == SL_R4_Patient)
        return SL_REF_SUBJECT; /* whatever else it would be: see sluice/r4.h */
    if (!target || target == SL_R4_Patient || (kind != SL_REF_SUBJECT && kind != SL_REF_DEFINING))
        return kind;
    return sl_programs_type(target) ? SL_REF_ORIGIN : SL_REF_DEFINING;
}

/* A reason in front of a list. Memory that ran out shows at the arena. */
void sl_reason_push(struct sl_arena *arena, const struct sl_reason **list, const struct sl_classes *classes,
    enum sl_why why, uint32_t span, struct sl_slice detail);

static inline bool sl_classes_within(const struct sl_classes *few, const struct sl_classes *many)
{
    uint64_t beyond = 0;
    for (unsigned i = 0; i < SL_CLASS_WORDS; i++)
        beyond |= few->word[i] & ~many->word[i];
    return beyond == 0;
}

/* Without the classes that an officer says the item has not. */
static inline struct sl_classes sl_label_but_not(const struct labelled *item, const struct sl_classes *classes)
{
    struct sl_classes rest = *classes;
    for (unsigned i = 0; i < SL_CLASS_WORDS && item->mark; i++)
        rest.word[i] &= ~item->not .word[i];
    return rest;
}

/* ---- label_register.c ---- */

/* At the beginning of a resolve: gives a marked item the classes that the register says it has, and notes those it has
 * not, and whose record it is. */
void sl_label_declare(const struct sl_labeller *labeller, struct labelled *item);
/* At the end: reasons of a marked item say what the register gave and took. */
void sl_label_explain(struct sl_labeller *labeller, struct labelled *item);

/* ---- label_facts.c ---- */

/* At the end of a resolve: how old the patients were, and where the places are, if the policy asks. */
void sl_label_facts(struct sl_labeller *labeller);
/* Must the target be here for that? */
bool sl_label_facts_need(const struct sl_labeller *labeller, const struct sl_item *from, const struct sl_reference *r);

/* ---- label_purse.c ---- */

/* Is this `coverage` the one that a claim is for, or one of an account's? `object` is what holds it. */
bool sl_purse_pays(const struct sl_doc *doc, const struct sl_r4_element *element, uint32_t object);
/* Of a Coverage: notes in item->purse what its type says. */
void sl_purse_read(struct sl_labeller *labeller, struct labelled *item);
/* What of `item`, of which some reference pays, is paid for by the patient alone; *by is the reference that says so. */
struct sl_classes sl_purse_lends(const struct labelled *item, const struct sl_reference **by);

/* ---- label_note.c ---- */

/* Can a record of this type be a note kept apart, under this policy? */
bool sl_note_capable(const struct sl_earning *earning, sl_r4_node type);
/* Is this where a record says what kind of note it is? */
bool sl_note_is_kind(const struct sl_r4_element *element);
/* The link that a reference is where it stands; only for records that can be such notes. */
enum sl_note_link sl_note_link(const struct sl_r4_element *element);
/* The rule of that sort for a code, among those from `from` on; NULL: none. */
const struct sl_note_rule *sl_note_find(
    struct sl_labeller *labeller, enum sl_note_by by, struct sl_slice system, struct sl_slice code, size_t from);
/* Gives a record that can be one what its type and folder say. Once its members have been walked. */
void sl_label_note(struct sl_labeller *labeller, struct labelled *item);

/* ---- label_origin.c ---- */

/*
 * When a record was made: `exact` for what is compared with instants (a period in a unit), `days` for what is compared
 * with the table's days, where an instant whose day at the place is not known is as long as the days it may be of. What
 * tells no time, and what says who is known here, is of any time.
 */
void sl_label_time(const struct sl_labeller *labeller, struct labelled *item);
/* What the table says of the reference by what it says itself: a name of a record, a URL, an identifier, a condition;
 * not its words. */
struct sl_standing sl_label_standing(
    const struct sl_labeller *labeller, const struct labelled *from, const struct sl_reference *r);
/* By the words of its display alone. */
struct sl_standing sl_label_display(
    const struct sl_labeller *labeller, const struct labelled *from, const struct sl_reference *r);
/* Of a URI: as it stands or, where it ends as the name of a program does, by its end. */
struct sl_standing sl_label_standing_uri(const struct sl_labeller *labeller, struct sl_slice uri);
/* Of a directory entry by its own names: id, URL, identifiers; its name in words where none of these is known. */
struct sl_standing sl_label_standing_own(const struct sl_labeller *labeller, const struct labelled *item);
/* The time for which a visit was at a place, where the reference says so; never: all of it. */
struct sl_during sl_label_stay(
    const struct sl_labeller *labeller, const struct labelled *from, const struct sl_reference *r);
/* Does the resource carry this label? */
bool sl_label_carries(struct sl_labeller *labeller, const struct labelled *item, const struct sl_coding *label);

/* That one of these is here tells that a person is known here: Patient, Person, RelatedPerson, Coverage. */
static inline bool sl_label_is_presence(sl_r4_node type)
{
    return type == SL_R4_Patient || type == SL_R4_Person || type == SL_R4_RelatedPerson || type == SL_R4_Coverage;
}
/* ---- label_words.c ---- */

/* Words that are to be searched. */
struct wording {
    uint32_t span, cut;
    enum sl_content_kind kind;
    bool whole;    /* they say what the whole resource is */
    bool question; /* what a form asks: it classifies the answer */
};
/* Searches them and the contents of the item, and gives it the classes that words earn. Why it cannot be labelled, if
 * they could not be searched; NULL: they were. */
const char *sl_label_words(
    struct sl_labeller *labeller, struct labelled *item, const struct wording *wordings, uint32_t count);

/* ---- label_draft.c ---- */

enum sl_draft {
    SL_DRAFT_NONE,
    SL_DRAFT_LABELLED, /* by a label of its own, signed by nobody */
    SL_DRAFT_SAID,     /* by what a Provenance says, signed by nobody */
    SL_DRAFT_SIGNED    /* whoever wrote it, a human vouches for it */
};
enum sl_draft sl_draft_judge(const struct sl_labeller *labeller, const struct labelled *item);
/* Does the record itself, its status aside, name the practitioner who vouches for it? */
bool sl_draft_is_signed(struct sl_labeller *labeller, const struct sl_item *item);
/* Notes what a Provenance says of its targets. */
SL_MUST_CHECK enum sl_status sl_draft_read(
    struct sl_labeller *labeller, const struct sl_doc *doc, uint32_t root, struct sl_slice base);

/* ---- label_walk.c ---- */

/* Labels the resource of `item` as far as it tells by itself, and those within it, which become items of their own. */
SL_MUST_CHECK enum sl_status sl_label_walk(struct sl_labeller *labeller, struct labelled *item);

/* The reason that every resource of a type has: made once, shared as the end of many lists. NULL: no memory. */
const struct sl_reason *sl_label_type_reason(struct sl_labeller *labeller, sl_r4_node type);

/* ---- label_kept.c ---- */

/* Keeps what the walk has found in a row, with the row: right after it, before anything else is made of the item. */
void sl_label_keep(struct sl_labeller *labeller, const struct sl_kept_row *row, const struct labelled *item);
/* What it found the last time, as an item that is not entered yet; NULL: it is to be walked. *known: nothing that could
 * be kept would be found. */
struct labelled *sl_label_recall(
    struct sl_labeller *labeller, const struct sl_kept_row *row, const struct sl_doc *doc, uint32_t root, bool *known);

/* ---- instruments.c ---- */

/* Gives the answers of a scored instrument their common classes, after the walk over its resource. */
void sl_instrument_judge(struct sl_labeller *labeller, struct labelled *item);
/* The classes of an answer as such: what has them is named as one part of several, and does not say what the panel or
 * total that names it is. */
const struct sl_classes *sl_instrument_answers(struct sl_labeller *labeller);

/* As sl_labeller_new, without a policy: for tests, and for whoever earns by other means. */
struct sl_labeller *sl_labeller_new_earning(
    struct sl_arena *arena, const struct sl_earning *earning, const struct sl_programs *programs);

#endif
