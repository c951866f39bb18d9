/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the self-test share: selftest.c (its house, and the loop that asks), selftest_ask.c (forms become
 * requests), selftest_look.c (answers are looked at), selftest_tell.c (what it has shown).
 *
 * Each line, a form filled in, is asked as one who may have everything (the control), and as parties of the policy. The
 * control tells which canaries a line can show; a line that can show none has examined nothing.
 */
#ifndef SLUICE_GATEWAY_SELFTEST_PARTS_H
#define SLUICE_GATEWAY_SELFTEST_PARTS_H

#include "exchange.h"
#include "selftest.h"
#include "sluice/canary.h"
#include "worker.h"

enum sl_form_per { SL_PER_ONCE, SL_PER_TYPE, SL_PER_CANARY };

enum {                       /* flags of a form */
    ASK_PACKED = 1 << 0,     /* with Accept-Encoding: gzip */
    ASK_PAGES = 1 << 1,      /* and each page that follows */
    ASK_SILENT = 1 << 2,     /* it shows no canary to anybody */
    ASK_ALWAYS = 1 << 3,     /* as every party, at a start as well */
    ASK_OF_PATIENT = 1 << 4, /* of a type that is in a patient's compartment */
    ASK_BY_PATIENT = 1 << 5, /* of a type that is searched by its patient */
    ASK_TWIN = 1 << 6,       /* compared with the answer for a record that is not there */
    ASK_TAG = 1 << 7,        /* a read: its ETag names the version */
    ASK_VERSION = 1 << 8,    /* of the version that a read named */
    ASK_HANDLE = 1 << 9,     /* of a canary that has an identifier */
    ASK_KNOWN = 1 << 11,     /* by who says that he has it: If-None-Match */
    ASK_SINCE = 1 << 12,     /* likewise: If-Modified-Since */
    ASK_ROUTED = 1 << 10     /* of a type that is reached by route, too: of such a one alone what is read */
};

struct sl_form {
    const char *word;
    enum sl_form_per per;
    const char *says;
    unsigned flags;
    const char *line;
};
extern const struct sl_form sl_forms[];
extern const size_t sl_form_count;

/* A form, filled in. */
struct sl_line {
    size_t form;
    struct sl_slice type, text;
    size_t canary;            /* of PER_CANARY; else SL_CANARIES */
    struct sl_line *missing;  /* the same of a record that is not there; NULL: not compared */
    struct sl_classes shown;  /* what the control was shown by it */
    struct sl_asking *asking; /* the last time it was asked */
    struct sl_line *next;
};

struct sl_asking {
    struct sl_request request;
    struct sl_header headers[4];
    const struct sl_canary_asker *asker; /* NULL: the control */
    struct sl_line *line;
    unsigned page; /* how many came before it */
    int status;
    uint32_t print; /* of its answer, the record's number left out */
    const struct sl_asking *missing;
    struct sl_asking *next;
};

/* Of one class, by one form. */
struct sl_cell {
    uint32_t shown;    /* canaries that the control was shown */
    uint32_t asked;    /* times that one who may not have the class asked for what the control was shown */
    uint32_t released; /* canaries that came to one who may */
    uint32_t leaked;   /* that came to one who may not */
};

struct sl_selftest_report {
    size_t parties, classes, canaries; /* asked as; of which canaries were made; made */
    size_t asked, let_through;         /* requests; marks that came through to whom they may */
    size_t unplanted, unexpected;      /* classes of which nothing could be made; answers of a status that none should
                                          have */
};

struct sl_selftest {
    struct sl_gateway gateway; /* of the test */
    struct sl_config config;
    struct sl_server_options options;
    struct sl_worker worker;
    struct sl_arena *arena;
    struct sl_issues *issues;
    struct sl_selftest_report report;
    char folder[64];
    struct sl_canaries canaries;
    struct sl_policy *control;
    struct sl_canary_asker *askers;
    const struct sl_canary_asker *least, *most; /* of them: who may have fewest, and most classes */
    size_t asker_count;
    struct sl_line *lines, *last_line;
    struct sl_asking *askings, *last_asking, **begun, **taken; /* where the next to be begun, or looked at, stands */
    size_t asked;
    struct sl_exchange *running[8];
    struct sl_slice tags[SL_CANARIES]; /* of the version that the control has read */
    bool told[SL_CANARIES];
    struct sl_cell *cells; /* by form, then class */
    size_t leaks;
    bool whole;
    enum sl_status status;
};

static inline struct sl_cell *sl_selftest_cell(const struct sl_selftest *t, size_t form, unsigned bit)
{
    return &t->cells[form * SL_CLASS_LIMIT + bit];
}

/* selftest_ask.c: fills in every form. */
SL_MUST_CHECK enum sl_status sl_selftest_lines(struct sl_selftest *t);
/* And asks for what the lines say: as whom, in which order. Before the loop runs. */
SL_MUST_CHECK enum sl_status sl_selftest_askings(struct sl_selftest *t);
/* May he have all that it is? The first from the at-th on who may; or who may not have what it was made for. */
bool sl_selftest_may(const struct sl_canary_asker *asker, const struct sl_canary *canary);
const struct sl_canary_asker *sl_selftest_asker(const struct sl_selftest *t, size_t at, bool may);
/* What follows from an answer: the page at `url`. */
SL_MUST_CHECK enum sl_status sl_selftest_follow(
    struct sl_selftest *t, const struct sl_asking *asking, struct sl_slice url);
/* At last, where the version stands that the control has read. */
SL_MUST_CHECK enum sl_status sl_selftest_target(struct sl_selftest *t, struct sl_asking *asking);

/* selftest_look.c */
SL_MUST_CHECK enum sl_status sl_selftest_look(
    struct sl_selftest *t, struct sl_asking *asking, const struct sl_exchange *answered);

/* selftest_tell.c: a canary came to whom it may not. */
void sl_selftest_leaked(struct sl_selftest *t, const struct sl_asking *asking, size_t at);
/* Compares, counts, and says what is not as it should be. SL_FORBIDDEN: something is not. */
SL_MUST_CHECK enum sl_status sl_selftest_judge(struct sl_selftest *t);
void sl_selftest_print(const struct sl_selftest *t, FILE *out);

#endif
