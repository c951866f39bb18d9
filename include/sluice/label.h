/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Labelling: which data classes a resource, and each element in it, earns, and what earned them.
 *
 * Pure: it never fetches. A labeller holds what is known in one exchange; sl_labeller_resolve gives back the
 * references it lacks, the caller fetches them together, adds them as context, and resolves again, a few rounds
 * at most. References are of three kinds (design: life of one request): origin and defining ones classify the
 * whole resource, a mention classifies that element alone; through an Encounter only its origin passes.
 *
 * Part 2 is about the source, not the code (42 CFR 2.11, 2.12): an item is of a program because an origin
 * reference leads to one. An unknown source with a Part 2 candidate code is treated as Part 2.
 */
#ifndef SLUICE_LABEL_H
#define SLUICE_LABEL_H

#include "sluice/classes.h"
#include "sluice/content.h"
#include "sluice/issue.h"
#include "sluice/kept.h"
#include "sluice/policy.h"
#include "sluice/r4.h"
#include "sluice/span.h"

/* ---- Programs: which sources are Part 2 programs ---- */

enum sl_source { SL_SOURCE_UNKNOWN, SL_SOURCE_NOT, SL_SOURCE_PROGRAM };

/* As what this house holds the records of a program. */
enum sl_holding {
    SL_HOLDS_AS_PROGRAM, /* it is the program, or nothing is said */
    SL_HOLDS_AS_LAWFUL_HOLDER,
    SL_HOLDS_UNDER_TPO, /* a covered entity that received them under a TPO consent (42 CFR 2.33(b)(1)) */
    SL_HOLDS_AS_INTERMEDIARY
};

/* Seconds since the epoch, [begin, end); begin >= end: never. */
struct sl_during {
    int64_t begin, end;
};

/* What is known of a source, over time. */
struct sl_reach {
    struct sl_during program;  /* it is a program: may be longer than the truth, never shorter */
    struct sl_during received; /* a program whose records are held under a TPO consent: the same */
    struct sl_during none;     /* it is no program: may be shorter, never longer */
    struct sl_during stay;     /* of a visit that was at the program for a time: that time; never: all of it */
    bool unknown;              /* something it is part of is not known */
};

struct sl_programs; /* immutable once built; reference-counted */

/* An empty table. closed: a source that resolves and is not named (nor part of one that is) is *not* a program;
 * open: it stays unknown. */
struct sl_programs *sl_programs_new(bool closed);
/* reference: "Organization/x", "Location/x", "HealthcareService/x", "PractitionerRole/x", "Endpoint/x", a bare id (any
 * of these types), "Practitioner/x" (one who works only there), or a URI: a record's URL, a meta.source. */
SL_MUST_CHECK enum sl_status sl_programs_add(
    struct sl_programs *programs, struct sl_slice reference, enum sl_source source);
/* A server whose records are ours: references to "<base>/Type/id" name the record Type/id. */
SL_MUST_CHECK enum sl_status sl_programs_add_server(struct sl_programs *programs, struct sl_slice base);
/* Reads a strict YAML file; docs/programs.md says what may stand in it. */
SL_MUST_CHECK enum sl_status sl_programs_load(const char *path, struct sl_issues *issues, struct sl_programs **out);
struct sl_programs *sl_programs_ref(struct sl_programs *programs);
void sl_programs_unref(struct sl_programs *programs);

/* ---- What a label is ---- */

enum sl_why {
    SL_WHY_NONE,
    SL_WHY_TYPE,           /* every resource of this type has the class */
    SL_WHY_CODE,           /* a code of a value set */
    SL_WHY_ORIGIN,         /* made by a Part 2 program */
    SL_WHY_UNKNOWN_ORIGIN, /* source unknown and a Part 2 candidate code */
    SL_WHY_SECURITY,       /* meta.security, or an inline label */
    SL_WHY_NOTE_TYPE,      /* the type or category of a document */
    SL_WHY_REFERENCE,      /* by a defining reference, or a mention */
    SL_WHY_DRAFT,          /* unsigned, written by AI */
    SL_WHY_TEXT,           /* free text, by its place alone */
    SL_WHY_WORDS,          /* a term of the lexicon, in words beside codes or in free text */
    SL_WHY_UNREAD,         /* an attachment nobody here can read */
    SL_WHY_UNCLASSIFIED,   /* a code nobody knows */
    SL_WHY_MODIFIER,       /* an unknown modifierExtension */
    SL_WHY_VISIT,          /* a flag of the visit it belongs to */
    SL_WHY_INSTRUMENT,     /* one answer of a scored instrument, or the form that asks */
    SL_WHY_REGISTER,       /* an entry of the officer's register; without classes: one that took them away */
    SL_WHY_PRESENCE,       /* a program registered the person */
    SL_WHY_RECEIVED,       /* of a program, and held under a TPO consent */
    SL_WHY_LATER           /* a later version of the record has it: see sluice/past.h */
};
const char *sl_why_text(enum sl_why why);

/* What earned a class; a list, newest first. Lives in the labeller's arena. */
struct sl_reason {
    struct sl_classes classes;
    enum sl_why why;
    uint32_t span;          /* the evidence: the coding, reference or label; 0 for the resource as such */
    struct sl_slice detail; /* category, source reference, label code or target: ids and codes, never content */
    const struct sl_reason *next;
};

struct sl_item;
struct sl_held; /* consent/entry.h */

/* How old a patient was, in years: somewhere between. Zeroed is not known. */
struct sl_age {
    bool known;
    uint16_t least, most;
};

/* A mention by which the class of a note kept apart passes all the same. */
enum sl_note_link {
    SL_NOTE_NONE,
    SL_NOTE_SAME, /* another form or a part of the same note: relatesTo of a document */
    SL_NOTE_FILED /* the target is filed under this: an entry of a List that is such a folder */
};

struct sl_reference {
    uint32_t span;    /* the Reference object */
    uint32_t element; /* the span to cut if the target is withheld: the smallest cuttable element or array entry */
    enum sl_r4_reference kind;
    bool pays;              /* names the Coverage that a claim is for, or one of an account */
    enum sl_note_link note; /* of a mention */
    bool patient;           /* where the target is a Patient, it is whom the item is about */
    bool link;       /* a url that a client is to follow: span is the string. One that names no record is cut, always */
    bool content;    /* Attachment.url: what the element holds is in the target */
    sl_r4_node type; /* the target's type where target is "Type/id"; else 0 */
    struct sl_slice
        target; /* "Type/id", "#id", a URL or URN; empty: names no record (identifier, display, conditional) */
    struct sl_item *item; /* the target where it is known here; else NULL */
    bool untold;          /* it is not there, and nobody can say whether it was: see sl_labeller_untold */
};

/* An inline label a record came with: an Extension. */
struct sl_inline {
    uint32_t span;
    bool cut; /* filled in by segment */
};

/* An element that carries classes of its own, beyond its resource's. */
struct sl_part {
    uint32_t span;
    struct sl_classes classes;
    const struct sl_reason *reasons;
    const struct sl_item *lender; /* whose classes these are, by a mention: consents look at its discloser, program and
                                     time; NULL: the item's own. One span may have a part for each lender */
    struct sl_content *inner; /* not the span, but `node` of the document in this content of the item (a C-CDA); NULL:
                                 the span. Such parts come last */
    uint32_t node;
    bool narrative;        /* not `node` either, but what narrative of the document is linked to entries */
    bool cut;              /* filled in by segment: it is not in what goes out */
    struct sl_slice label; /* filled in by segment: inline labels to put on it, Extensions with commas between */
};

/* A resource, as labelled. Borrowed from the labeller. What a decision is attached to. */
struct sl_item {
    const struct sl_doc *doc;
    uint32_t span; /* the resource object in doc */
    sl_r4_node type;
    struct sl_slice id, version; /* id, meta.versionId; may be empty */
    struct sl_slice full_url;    /* of its Bundle entry; may be empty */
    struct sl_slice *patients;   /* references ("Patient/x", "urn:uuid:…") to the patients it is about; "?": a patient
                                    whom it   does not name by a record */
    uint32_t patient_count;
    uint32_t named_count;     /* the last so many of them are named by an element that can go alone (a participant, a
                                 member): where there are no others, whoever of them may be shown decides */
    struct sl_slice *authors; /* references to who wrote or asserted it */
    uint32_t author_count;
    struct sl_slice source_uri; /* meta.source; may be empty */
    enum sl_source source;
    enum sl_holding holding; /* where the source is a program */
    /* The entry of the programs table that `program` leads to, e.g. what its unit is part of. */
    struct sl_slice named_program;
    struct sl_slice program;   /* the origin reference that made it a program's; empty if none */
    struct sl_slice custodian; /* who discloses: organization the origin leads to; may be empty */
    struct sl_classes classes; /* of the whole resource, always at least one */
    const struct sl_reason *reasons;
    struct sl_part *parts; /* by span, ascending */
    uint32_t part_count;
    struct sl_reference *references;
    uint32_t reference_count;
    uint32_t *unknown; /* spans R4 does not know: always cut */
    uint32_t unknown_count;
    uint32_t *signatures; /* spans of type Signature: they cover what may go out changed, so they are always cut */
    uint32_t signature_count;
    uint32_t *counts; /* spans of numbers that count or rank parts which may go; see SL_R4_COUNTED */
    uint32_t count_count;
    uint32_t *texts; /* spans of free text: narrative, notes, comments; not display strings, not attachments */
    uint32_t text_count;
    struct sl_inline *inlines; /* the inline labels it came with (DS4P), by span */
    uint32_t inline_count;
    struct sl_content *contents; /* attachments, and a Binary's own content, by span */
    uint32_t content_count;
    char level; /* confidentiality of the whole, as it came; 0: none, or but the highest of its inline labels */
    const struct sl_held *held;         /* entries of the officer's register it is named in, or its visit is */
    struct sl_age age;                  /* of those it is about, at its time; only if the policy asks */
    struct sl_slice source_state;       /* "IL", of the place that made it; only if the policy asks; may be empty */
    struct sl_slice date_from, date_to; /* clinically relevant time, as written; may be empty */
    const char *unlabelled;             /* set: it could not be labelled, and is withheld; why, for the operator */
    bool context;                       /* for labels only: never part of an answer */
    bool gone;                          /* the last version of what has been deleted: likewise, and no evidence */
    bool mentioned;                     /* and an item of the answer leads to it; set by the pass */
    bool is_version;                    /* one version among others: no reference leads to it */
    struct sl_item *container;          /* of a contained resource or a resource within an entry; else NULL */
    struct sl_item *next;               /* in the order of adding */
    /* Set by the caller of segment, then filled in by it. */
    const struct sl_ruling *ruling;
    const struct sl_item *lead;  /* of what is reached by route alone: a released item of an earlier pass, after its
                                    cuts,  that leads to it; NULL: only what is in this pass can */
    const struct sl_item *route; /* of what is reached by route alone: the released item that leads to it */
    struct sl_verdict *verdict;  /* NULL: undecided, which is withheld */
    const struct sl_cut *cuts;   /* what goes from a released item */
    const struct sl_changed *changes; /* and what has another text in it */
    uint32_t meta;                    /* span of its meta, an object; 0: it has none, or is not released */
    struct sl_slice security;         /* JSON array: the labels that go out with it */
    char confidentiality;             /* and the level among them */
    struct sl_slice mark;      /* JSON object: the DS4P display extension with the 2.32 statement; empty if not due */
    struct sl_slice statement; /* the same statement as plain text, for documents within */
    uint32_t number;           /* position among the labeller's items */
    char *tag;   /* of the view, SL_VIEW_TAG bytes in a text that goes out (gateway/view.h); NULL: none yet */
    bool tagged; /* they say what they are to say */
};

struct sl_labeller;

/* NULL if memory ran out. Policy and programs are borrowed for its life; programs NULL: nothing is known of any source.
 */
struct sl_labeller *sl_labeller_new(
    struct sl_arena *arena, const struct sl_policy *policy, const struct sl_programs *programs);

/* Makes one version of a record known, which is not what references to the record lead to: that is its current version,
 * and lacked like any other. */
SL_MUST_CHECK enum sl_status sl_labeller_add_version(
    struct sl_labeller *labeller, const struct sl_doc *doc, uint32_t root, struct sl_item **out);

struct sl_registered;
/* Before anything is added: what the officer's register says of records counts. Borrowed for its life; NULL: nothing.
 */
void sl_labeller_registered(struct sl_labeller *labeller, const struct sl_registered *registered);

/* Makes the resource at `root` known. full_url may be empty. *out is the item; for something that is no readable
 * resource (no known resourceType, bad id) the item is there with `unlabelled` set, and SL_OK. Contained resources
 * become items of their own with `container` set. A Bundle is not descended into: the caller adds its entries. */
SL_MUST_CHECK enum sl_status sl_labeller_add(struct sl_labeller *labeller, const struct sl_doc *doc, uint32_t root,
    struct sl_slice full_url, bool context, struct sl_item **out);

/* Before anything is added: what is known of rows that came before, under one policy and one table of programs; `under`
 * stands for these two, and never for two others. Both are borrowed for its life. */
void sl_labeller_kept(struct sl_labeller *labeller, struct sl_kept *kept, uint64_t under);
/* As sl_labeller_add, of a row that came before; row NULL: it did not. */
SL_MUST_CHECK enum sl_status sl_labeller_add_row(struct sl_labeller *labeller, const struct sl_doc *doc, uint32_t root,
    const struct sl_kept_row *row, bool context, struct sl_item **out);

/* Labels everything added so far, as far as what is known reaches. *missing gets the references ("Type/id") it
 * lacks, each once, arena-owned; 0: all is settled. Until then items that lack one are unlabelled. Lacked are targets
 * of origin and defining references, and of mentions of clinical types and of Organization, Location, HealthcareService
 * and PractitionerRole (a part of a program is told by what it is part of). Of persons, only a Patient beside whom the
 * item is about, and only if the policy has a class of presence. */
SL_MUST_CHECK enum sl_status sl_labeller_resolve(
    struct sl_labeller *labeller, struct sl_slice **missing, size_t *count);
/* As sl_labeller_resolve, but where something is lacked only what: classes, sources and parts are then no more than a
 * beginning, and nothing may be decided on them. For who fetches and resolves again. */
SL_MUST_CHECK enum sl_status sl_labeller_resolve_or_lack(
    struct sl_labeller *labeller, struct sl_slice **missing, size_t *count);
/* Has all been worked out, as far as what is known reaches, since something was added last? */
bool sl_labeller_is_resolved(const struct sl_labeller *labeller);

/* What became of a missing reference: asked and not there (an unknown *source*; for a defining reference, an
 * unclassified content), or it could not be asked (an unknown *label*: the item that needs it is withheld). Resolve
 * again afterwards. */
SL_MUST_CHECK enum sl_status sl_labeller_absent(struct sl_labeller *labeller, struct sl_slice reference, bool asked);

/* It is not there any more, or never was, and which cannot be told: absent, and nothing that goes out names it. */
SL_MUST_CHECK enum sl_status sl_labeller_untold(struct sl_labeller *labeller, struct sl_slice reference);

/* Who has vouched for what AI wrote, Provenances say; they point at what they are about, so that they are looked for
 * and not followed to. *names: items ("Type/id") of which that is still to be looked for, each given once; none if the
 * policy has no class of drafts. */
SL_MUST_CHECK enum sl_status sl_labeller_unvouched(
    struct sl_labeller *labeller, struct sl_slice **names, size_t *count);
/* A Provenance that was found, and is none of the items. Resolve again afterwards. */
SL_MUST_CHECK enum sl_status sl_labeller_vouch(struct sl_labeller *labeller, const struct sl_doc *doc, uint32_t root);

/* The items in the order they were added (contained ones follow their container). */
struct sl_item *sl_labeller_items(const struct sl_labeller *labeller);
uint32_t sl_labeller_count(const struct sl_labeller *labeller);
/* The item a reference names ("Type/id" or full url); NULL if it is not known here. */
struct sl_item *sl_labeller_find(const struct sl_labeller *labeller, struct sl_slice reference);
/* The same of "Type/id", for who has them apart. */
struct sl_item *sl_labeller_find_record(const struct sl_labeller *labeller, sl_r4_node type, struct sl_slice id);

struct sl_buffer;
/* One line of JSON and a line feed: {"resource":"Condition/x","classes":[…],"source":"program|not|unknown","reasons":
 * [{"classes":[…],"why":…,"at":"Condition.code.coding[0]","detail":…}],
 * "elements":[{"path":…,"classes":[…],"reasons":[…]}]}.
 * Ids, codes and paths, never content. The arena of the labeller must still be there. */
void sl_label_print(const struct sl_item *item, const struct sl_policy *policy, struct sl_buffer *out);

#endif
