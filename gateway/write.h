/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing through the gateway: create, update, patch, delete, and the conditional ones. The writer's own view of the
 * record is made as for a read; what is sent becomes the difference to it, done to the whole record (sluice/merge.h);
 * what comes of that is labelled and ruled on as any record is, its references are asked for as the writer, and only
 * then is it given to the upstream, with the version that it was made from. See docs/decisions/0026.
 *
 * Every refusal is a function of the request, the policy and the writer's view: hidden and absent are the same.
 */
#ifndef SLUICE_GATEWAY_WRITE_H
#define SLUICE_GATEWAY_WRITE_H

#include "body.h"
#include "recorder.h"
#include "sluice/write.h"

/* What the client would have in the answer (RFC 7240; http.html, 3.2.0.1.9). */
enum sl_write_prefer { SL_PREFER_REPRESENTATION, SL_PREFER_MINIMAL, SL_PREFER_OUTCOME };

/* What has come of it. */
enum sl_write_outcome {
    SL_WRITE_NOTHING,
    SL_WRITE_CREATED,
    SL_WRITE_CHANGED,
    SL_WRITE_SAME,
    SL_WRITE_MATCHED,
    SL_WRITE_GONE
};

/* Where it stands. */
enum sl_write_stage {
    SL_WRITE_CURRENT, /* the record as it is, and the writer's view of it */
    SL_WRITE_MADE,    /* what it is to be is labelled and decided */
    SL_WRITE_JUDGED,  /* it may be written, if its references resolve */
    SL_WRITE_MEANT,   /* the ledger is told that it is about to be */
    SL_WRITE_SENT,    /* it is with the upstream */
    SL_WRITE_STORED,  /* it has been written, or needed not be; what rests on it is to be told */
    SL_WRITE_TOLD,    /* the writer's view of it is asked for */
    SL_WRITE_ENDED
};

#define SL_WRITE_RACES 4u        /* made again when somebody else's write came first; then 409 */
#define SL_WRITE_REFERENCES 500u /* different ones that a write may make */
#define SL_WRITE_QUESTIONS 16u   /* asked about them side by side */

struct sl_write {
    /* Of the request. */
    struct sl_doc sent; /* a resource, or what a patch says */
    enum sl_body_form form;
    struct sl_slice if_match;
    bool conditional;           /* whom it is about is told by `condition` */
    struct sl_search condition; /* of it, or of If-None-Exist */
    bool has_condition;
    enum sl_write_prefer prefer;
    unsigned races;         /* lost to somebody else's write, */
    struct sl_slice lost;   /* which came after this version */
    struct sl_write_sheds { /* it would have freed what was hidden: that gives way */
        uint8_t *parts;     /* by span of the record; NULL: none */
        struct sl_slice of; /* the text of the record: of another version they say nothing */
        unsigned rounds;    /* in which some were found */
        bool all;           /* that was not enough */
    } sheds;
    /* Of this attempt; all in the exchange's arena. */
    enum sl_write_stage stage;
    enum sl_write_outcome outcome;
    struct sl_exchange *matching; /* the search of the condition */
    struct sl_slice duplicates;   /* JSON, without brackets: what the condition matched and the writer may not see */
    struct sl_doc proposed;       /* to stand in the place of the view */
    struct sl_slice version;      /* of the upstream's, that it is made from */
    struct sl_slice text;         /* to be written */
    struct sl_doc made;           /* the same, read */
    struct sl_slice patients;     /* whom it is about, as written; */
    struct sl_slice subjects;     /* and as it was, if somebody could be left out of it: references, a space between */
    struct sl_slice displaced;    /* JSON, without brackets: what was hidden and had to give way */
    const struct sl_rule_view *grant;
    struct sl_slice *references; /* that must resolve, in order, each once: "Type/id" */
    size_t reference_count, references_asked;
    struct sl_write_question {
        struct sl_exchange *inner;
        size_t names; /* of records, all of which it must find */
    } questions[SL_WRITE_QUESTIONS];
    size_t question_count;
    struct sl_ask ask;    /* the write; afterwards with the id and version it has come to */
    struct sl_ask stored; /* of a Consent: as it is stored */
    struct sl_turn *turn; /* of a Consent that was written; its directing's, once that has begun */
    struct sl_directing directing;
    struct sl_exchange *shown; /* the writer's view of what was written */
};

/* Is it what finds records, and nothing that is about how they are answered? */
bool sl_write_is_condition(const struct sl_search *search);
/* What an inner search has found first. */
const struct sl_found *sl_write_first_match(const struct sl_exchange *inner);

/* The steps' part in it; each may be entered again. */
SL_MUST_CHECK enum sl_status sl_write_read(struct sl_exchange *x);         /* read: body and headers */
SL_MUST_CHECK enum sl_status sl_write_plan(struct sl_exchange *x);         /* compile */
SL_MUST_CHECK enum sl_step_result sl_write_resolve(struct sl_exchange *x); /* resolve: conditions */
/* fetch. *taken: the pass is what is to be written; else it is one of the upstream's records, as for a read. */
SL_MUST_CHECK enum sl_step_result sl_write_fetch(struct sl_exchange *x, bool *taken);
/* Is the pass under way, or the last one, about what is to be written? Nothing of it was withheld from anybody. */
bool sl_write_is_made(const struct sl_exchange *x);
/* After a pass that was about the record as it is: must one follow about what it is to be? */
bool sl_write_more(const struct sl_exchange *x);
SL_MUST_CHECK enum sl_step_result sl_write_commit(struct sl_exchange *x);
/* The members of an intent and of `written` alike: from what, about whom, by which grant. */
void sl_write_account_basis(const struct sl_exchange *x, struct sl_buffer *out);
/* The members of the ledger's record that tell of it; nothing if nothing was given to the upstream. */
void sl_write_account(const struct sl_exchange *x, struct sl_buffer *out);
/* The released one of what was asked for; NULL: withheld or absent (answer.c). */
const struct sl_found *sl_answer_one(const struct sl_exchange *x);

#endif
