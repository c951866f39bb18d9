/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notes kept apart (SUD counseling notes, psychotherapy notes, transcripts of sessions): how a source says that a
 * record is one. By its type, or by where the source keeps it; never by its words. Inside the consent room only.
 */
#ifndef SLUICE_CONSENT_NOTES_H
#define SLUICE_CONSENT_NOTES_H

#include "sluice/classes.h"
#include "sluice/r4.h"
#include "terminology.h"

enum sl_note_by {
    SL_NOTE_BY_NOTHING,
    SL_NOTE_BY_TYPE,          /* a coding: of its type, its category or a tag */
    SL_NOTE_BY_SOURCE,        /* meta.source */
    SL_NOTE_BY_IDENTIFIER,    /* the system of one of its identifiers */
    SL_NOTE_BY_QUESTIONNAIRE, /* the form that was filled in */
    SL_NOTE_NOT               /* a coding of its type: it is no such note, whatever folder it stands in */
};

struct sl_note_rule {
    enum sl_note_by by;
    struct sl_slice system, code; /* BY_TYPE, NOT */
    sl_system number;             /* of the system; SL_SYSTEM_UNKNOWN: compare its text */
    struct sl_slice uri;          /* the others */
    struct sl_classes classes;
};

struct sl_policy;
/* Reads the `notes:` sections, after classes: policy->earning.note_rules. Memory that ran out is the only failure. */
SL_MUST_CHECK enum sl_status sl_policy_read_notes(struct sl_policy *policy);

#endif
