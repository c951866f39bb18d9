/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one request and its answer consist of, for the files that make up the exchange: exchange.c (the steps and their
 * dispatcher), plan.c and referrers.c (what to fetch), round.c (one pass), answer.c (the response), account.c (the
 * ledger record). What the connection calls is in http.h.
 */
#ifndef SLUICE_GATEWAY_EXCHANGE_H
#define SLUICE_GATEWAY_EXCHANGE_H

#include "fetch.h"
#include "http.h"
#include "identify.h"
#include "route.h"
#include "sluice/evidence.h"
#include "sluice/pass.h"
#include "state.h"

/* What a step says. DONE: the next one. WAIT: something is under way and will call back. AGAIN: it has had its
 * time, and goes on in a later turn of the loop. FAIL: exchange->status says why. */
enum sl_step_result { SL_STEP_DONE = 1, SL_STEP_WAIT, SL_STEP_AGAIN, SL_STEP_FAIL };

enum sl_step {
#define SL_STEP(name, classes) SL_AT_##name,
#include "steps.def"
#undef SL_STEP
    SL_AT_END
};

/* One thing to fetch; a search may be several (a compartment is the union of its parameters). */
struct sl_errand {
    enum sl_ask_kind kind;
    struct sl_slice type, id;
    const struct sl_search *search; /* what the released views must match */
    const struct sl_search *asked;  /* what the upstream is asked: whatever a cut could make match too */
    struct sl_slice *ids;
    const struct sl_item **leads; /* of each id, the released item that leads to it; NULL: as matches, none */
    size_t id_count;
};

/* A place in the whole of what the errands give. */
struct sl_position {
    uint32_t errand;
    uint32_t skip;            /* matches from that place on that have been dealt with */
    uint32_t passed;          /* released matches before it; all there is to say where they are put in order here */
    struct sl_slice upstream; /* the upstream's own position; empty: the first page of the errand */
};

/* A resource that was fetched to be answered with. */
struct sl_found {
    const struct sl_entry *entry;
    struct sl_fetched *page;
    struct sl_item *item;
    struct sl_pass *pass;
    struct sl_position position; /* of a match */
    struct sl_found *later;      /* of a deletion: another one since, with no version between (history.c) */
    bool dated;                  /* of a deletion: its instant goes, as that of what was deleted does */
    bool released;               /* by decision, and still what was asked for */
    bool match;                  /* else an include */
    bool renamed;                /* names under the EHR's own address go out under ours */
    bool linked;                 /* of an include: what leads to it is in the answer, and it is not there already */
    bool noted, followed;        /* include.c: that it is in the answer; what it leads to */
    bool aside;                  /* released, and not among what $everything was asked for */
    struct sl_slice search;      /* what an operation says of it in entry.search: members, each with a comma */
    struct sl_found *next;
};

#define SL_QUESTIONS 16u /* asked together; a search has one at a time */

/* A question to the upstream, and where it stands. */
struct sl_question {
    struct sl_ask ask;
    struct sl_position at;
};

/* Where a search stands. Keys: every match is read for its name and order alone (sort.c); page: those of the page are
 * read by id; includes: what hangs on them (include.c). */
enum sl_phase { SL_PHASE_MATCHES, SL_PHASE_KEYS, SL_PHASE_PAGE, SL_PHASE_INCLUDES };

/* What a released match leaves behind: its name, and what it is ordered by. */
struct sl_match_key {
    sl_r4_node type;
    struct sl_slice id;
    struct sl_slice *sorts; /* one for each of the search's; NULL: none */
};
struct sl_text_map;
struct sl_match_keys {
    struct sl_match_key *list;
    size_t count, capacity;
    struct sl_text_map *names; /* of an inner search: each is there once */
};

/* What an inner search is asked for: the names of what it releases, or of what a reference in that points at. */
enum sl_gather { SL_GATHER_NONE, SL_GATHER_IDS, SL_GATHER_LINKS };

/* One answer to a question. */
struct sl_page {
    struct sl_fetched *fetched;
    struct sl_position at;
    size_t added;     /* of its entries: are items now, or are none of the pass */
    uint32_t matches; /* among these */
    struct sl_page *next;
};

/* One pass: what one fetch brought. */
struct sl_round {
    struct sl_arena *arena;
    size_t reserved; /* of the process's budget */
    struct sl_pass *pass;
    struct sl_question *questions; /* under way together: room for SL_QUESTIONS */
    size_t question_count;
    struct sl_page *pages, *last_page;
    bool fetched; /* all that it asks for is there, and becomes its items */
    struct sl_found *first, *last;
    struct sl_ask *contexts; /* what the labels need */
    size_t context_count;
    struct sl_ask *vouchings; /* who has vouched for the items: see vouching.c */
    size_t vouching_count;
    struct sl_ask *linkings;          /* who is the same person as whom: see linking.c */
    unsigned char *linking_questions; /* of each: enum sl_kin_question */
    size_t linking_count;
    struct sl_lost *lost;    /* what is not there, and may have been: see gone.c */
    struct sl_lost *settled; /* what is not there, for the label book */
    bool unbatched;          /* a batch failed: what is lost is asked for one by one */
    unsigned apart;          /* Binaries among the contexts: see apart.c */
    bool deferred;           /* there are more of these than are asked for at a time */
    bool paged;              /* a server gave fewer of what it was asked for at a time: that round does not count */
    unsigned label_rounds;
    int64_t known_since; /* the oldest of what the label book said; 0: it said nothing */
    struct sl_segment_report report;
    struct sl_found *at; /* how far segment has come */
    bool includes_only;  /* everything in it is an include (the second pass of $everything) */
    struct sl_round *next;
};

#define SL_ACCOUNT_PARTIES 64u

/* What the ledger will say, gathered while the exchange runs. JSON, without the brackets. */
struct sl_account {
    struct sl_buffer released, withheld;
    size_t released_count, withheld_count;
    struct sl_grounds *grounds; /* what they rest on; NULL: nothing was decided */
    struct {
        size_t begin, end, ground;
    } last; /* of the one released last: where what may be said of the next as well stands, and its ground */
    bool failed;
};

struct sl_exchange {
    uint32_t magic;
    struct sl_worker *worker;
    struct sl_worker_state *state;
    struct sl_conn *conn;
    struct sl_arena *arena;
    size_t reserved;
    size_t memory;                    /* reserved for it, its passes, and all within it */
    const struct sl_request *request; /* NULL: malformed */
    struct sl_exchange *outer;        /* inner.c: what this one is asked for; NULL: a client's own */
    struct sl_exchange *inners;       /* asked for by this one, the newest first */
    struct sl_exchange *next_inner;   /* of the same outer */
    enum sl_step until;               /* where it ends */
    bool ended, told;                 /* of an inner one: it is done; its outer knows */
    bool parked, gone_on;             /* it waits until its outer lets it go on; it was let */
    uint64_t number;                  /* of this process; with gateway->boot it is the exchange's id */
    int64_t now;                      /* seconds since the epoch, when the head was complete */
    uint64_t started, turn, asked;    /* monotonic microseconds: of the exchange, of this turn, of the whole request */

    enum sl_step step;
    bool body_ready, cancelled, scheduled, close;
    bool empty, held; /* of the outermost: something was asked for and nothing is released; its answer was put off */
    unsigned outstanding; /* asks and appends that will call back */
    enum sl_status status;
    const char *why;        /* of a refusal: a literal, for the operator */
    const char *over;       /* the bound that it has reached, if it was this: a literal */
    struct sl_slice detail; /* about the client's own request, for the client */

    struct sl_identifier *identifier; /* a reference: the caller's words are its own */
    struct sl_caller caller;
    struct sl_recipient stranger;  /* the caller, with the relationships that token, registry and register prove */
    struct sl_recipient recipient; /* the same, with those that records prove as well: relating.c */
    struct sl_interaction interaction;
    struct sl_policy *policy; /* a reference; kept until account */
    uint64_t generation, store_version;
    struct sl_registered *registered; /* its own references, both taken up in `accept` */
    struct sl_programs *programs;
    uint64_t programs_version;
    struct sl_label_generation label_generation; /* of labels made under them */
    bool bookless;                               /* the label book does not say enough for this one's decisions */
    struct sl_kin *kin; /* who is the same person as whom, as far as it was asked; of all passes */
    unsigned attempts;  /* times it has been decided, policy or directives changing meanwhile */

    const struct sl_search *search; /* the interaction's, with what its steps have found in their place */
    struct sl_resolving *resolving; /* chain.c; NULL: no step has been begun */
    enum sl_phase phase;
    enum sl_gather gather; /* of an inner search of chain.c; with what it needs */
    const struct sl_r4_param *gather_by;
    sl_r4_node gather_type;
    size_t gather_limit; /* released ones, of a step of a chain; 0: it is none */
    struct sl_match_keys keys,
        page;       /* sort.c: of all released matches, in order once all are there; those of the page */
    size_t skipped; /* released matches on earlier pages */
    size_t passing; /* of these, still to be passed by: they are read again, since the upstream's place is lost */
    struct sl_including *including;
    const struct sl_errand *planned; /* sorted: what matches were asked for by; the page must match it still */
    size_t planned_count;
    const struct sl_errand *errands;
    size_t errand_count;
    struct sl_position at;  /* what the next ask asks for */
    bool ordered;           /* sorted: the upstream gives matches in order, and nothing that orders can be cut */
    bool disordered;        /* it did not */
    bool displaced;         /* the upstream does not know the place any more that the page link names */
    bool routed;            /* a read of what is reached by route: errand 0 is it, the others are ways to it */
    struct sl_page *target; /* of such a read, from its first pass */
    struct sl_position going[SL_QUESTIONS]; /* of such a read: where its ways go on */
    size_t going_count;
    size_t wanted; /* matches on this page */
    uint64_t rows; /* fetched so far */
    uint64_t work; /* of the outermost: rows fetched by it and all that it has asked for, against limits.rows */
    bool first_page, exhausted;
    struct sl_round *rounds, *last_round, *round; /* kept ones; the one under way */
    struct sl_relating *relating;                 /* relating.c: while it looks, the one under way is its own */
    struct sl_acquaintances *acquaintances;       /* what it has found so far; NULL: it has not looked */
    struct sl_probe *probe;                       /* presence.c: while it looks, the one under way is its own */
    size_t gathered;              /* released matches so far: one more than wanted says that there is a next page */
    struct sl_position following; /* of that one more */

    struct sl_write *write;             /* write.c; NULL: it is none, or its body has not been read */
    bool meant;                         /* the ledger has been given an intent, and must have what came of it */
    bool owed;                          /* this one goes on to the ledger whoever waits for its answer */
    struct sl_slice peer;               /* of whom it came, from then on */
    struct sl_history *history;         /* history.c: it walks the versions of one record; NULL: it does not */
    struct sl_wide *wide;               /* history_wide.c: those of many */
    struct sl_selftest *selftest;       /* selftest.c: it stands for who asks there; NULL: a request */
    struct sl_batch *batch;             /* batch.c; NULL: it is none, or its body has not been read */
    struct sl_transaction *transaction; /* transaction.c: of a batch that is one, and writes */
    struct sl_operation *operation;     /* operation.c; NULL: it is none */
    struct sl_found **chosen;           /* what an operation answers with, in its order; NULL: all that matches */
    size_t chosen_count;
    enum sl_step_result (*asks)(struct sl_exchange *x); /* the step `entries` of the self-test's; NULL: a batch's */
    char confidentiality;                               /* the highest of what is answered with; 0: nothing is */

    struct sl_account account;
    struct sl_slice parties[SL_ACCOUNT_PARTIES]; /* that the recipient was found to be */
    size_t party_count;
    struct sl_buffer record;
    struct sl_append append;
    enum sl_status appended;
    bool appending;
    struct sl_task wake, later;     /* the ledger has answered; another turn */
    struct sl_answering *answering; /* answer.c: a Bundle that is not all there yet */
    struct sl_blocks body;
    struct sl_blocks tagging; /* view.c: where a view is gathered for its tag alone */
    struct sl_block spare;    /* of a refusal: over spare_bytes, so that one needs no memory */
    char spare_bytes[256];
    char allowed[SL_ROUTE_METHODS];
    struct sl_response response;
    struct sl_header headers[16];
};

/* ---- plan.c ---- */

/* What this interaction fetches. SL_NOT_SUPPORTED: not in the compartment. */
SL_MUST_CHECK enum sl_status sl_plan(struct sl_exchange *x);
/* One errand: a search of `type` by a query in its text form, asked no more narrowly than policy allows. */
SL_MUST_CHECK enum sl_status sl_plan_query(
    struct sl_exchange *x, sl_r4_node type, struct sl_slice query, struct sl_errand *errand);
/* referrers.c: what is read, and who may point at it. */
SL_MUST_CHECK enum sl_status sl_plan_referrers(struct sl_exchange *x);
/* What the upstream is asked for an errand's search: whatever a cut could make match, too. */
SL_MUST_CHECK enum sl_status sl_plan_widen(struct sl_exchange *x, struct sl_errand *errand);
/* What is read: one record, and where it is reached by route, the ways to it. */
SL_MUST_CHECK enum sl_status sl_plan_read(struct sl_exchange *x);
/* The second pass of $everything: what the released ones point at that belongs to them or to the directory. */
SL_MUST_CHECK enum sl_status sl_plan_routes(struct sl_exchange *x);

/* ---- round.c: fetch, label, decide, segment ---- */

SL_MUST_CHECK enum sl_step_result sl_round_fetch(struct sl_exchange *x);
SL_MUST_CHECK enum sl_step_result sl_round_label(struct sl_exchange *x);
SL_MUST_CHECK enum sl_step_result sl_round_decide(struct sl_exchange *x);
SL_MUST_CHECK enum sl_step_result sl_round_segment(struct sl_exchange *x);
/* Has the upstream been asked for all that this needs? */
bool sl_round_settled(const struct sl_exchange *x);
/* Is another pass needed? */
bool sl_round_more(const struct sl_exchange *x);
void sl_rounds_drop(struct sl_exchange *x);

/* ---- chain.c: what has to be found out before a search can be asked ---- */

SL_MUST_CHECK enum sl_step_result sl_chain_resolve(struct sl_exchange *x);

/* ---- sort.c: order, which is ours ---- */

bool sl_sort_is_wanted(const struct sl_exchange *x);
#define SL_AT_PASSED UINT32_MAX /* in the place of an errand: only how many have passed is known */
/* Is the upstream known to know of _sort, :not and :missing what R4 says? */
bool sl_sort_trusts(const struct sl_exchange *x);
/* May the upstream be asked in this order? */
bool sl_sort_is_left(const struct sl_exchange *x);
/* Then it is: the one errand. */
SL_MUST_CHECK enum sl_status sl_sort_ask(struct sl_exchange *x);
/* Does a released match stand behind the one before? */
SL_MUST_CHECK enum sl_status sl_sort_follows(struct sl_exchange *x, const struct sl_found *found, bool *follows);
/* Keeps what a released match leaves behind. */
SL_MUST_CHECK enum sl_status sl_sort_note(struct sl_exchange *x, const struct sl_found *found);
/* All keys are there: puts them in order, once each. */
void sl_sort_settle(struct sl_exchange *x);
/* Then errands for those of the page. */
SL_MUST_CHECK enum sl_status sl_sort_page(struct sl_exchange *x);
/* Puts what has come of the page in its order; what has not come, or came unasked, is none of it. */
SL_MUST_CHECK enum sl_status sl_sort_rank(struct sl_exchange *x, const struct sl_found **list, size_t *count);

/* ---- include.c ---- */

/* What is in the answer, each once: found->linked. */
SL_MUST_CHECK enum sl_status sl_include_note(struct sl_exchange *x);
/* Errands for what the newest of it leads to, and for what leads to it; x->exhausted: there is no more. */
SL_MUST_CHECK enum sl_status sl_include_plan(struct sl_exchange *x);

/* ---- partial.c: _summary and _elements ---- */

bool sl_partial_is_wanted(const struct sl_exchange *x);
/* The view of a released item, or the part of it that was asked for, to the end of `out`. */
SL_MUST_CHECK enum sl_status sl_partial_write(
    struct sl_exchange *x, const struct sl_found *found, struct sl_blocks *out);
/* Has a rule put another element in the place of one? Then what it says is read off the bytes that go out. */
bool sl_partial_is_rewritten(const struct sl_found *found);
/* These bytes, parsed. */
SL_MUST_CHECK enum sl_status sl_partial_read(struct sl_exchange *x, const struct sl_found *found, struct sl_doc *out);
/* Do the very bytes that go out match? For what reads labels, which are put in on the way, or what was rewritten. */
SL_MUST_CHECK enum sl_status sl_partial_match(
    struct sl_exchange *x, const struct sl_search *search, const struct sl_found *found, bool *match);

/* ---- vouching.c ---- */

/* Asks who has vouched for items of which that is not known. */
SL_MUST_CHECK enum sl_status sl_vouching_ask(struct sl_exchange *x, struct sl_round *round);
/* Takes the answers, all of which are there. What has further pages is asked again. */
SL_MUST_CHECK enum sl_status sl_vouching_take(struct sl_exchange *x, struct sl_round *round);

/* ---- linking.c ---- */

/* Who is the same person as whom: for all passes of the exchange. NULL: no memory. */
struct sl_kin *sl_linking_kin(struct sl_exchange *x);
/* Asks for what is not known of it, once the pass is labelled; and takes the answers, all of which are there. */
SL_MUST_CHECK enum sl_status sl_linking_ask(struct sl_exchange *x, struct sl_round *round);
SL_MUST_CHECK enum sl_status sl_linking_take(struct sl_exchange *x, struct sl_round *round);
/* What was fetched for labels tells of it, too. */
SL_MUST_CHECK enum sl_status sl_linking_note(
    struct sl_exchange *x, struct sl_round *round, const struct sl_ask *ask, const struct sl_fetched *page);
/* For presence.c, which makes passes of its own. */
struct sl_round *sl_round_new(struct sl_exchange *x); /* NULL: no memory */
void sl_round_free(struct sl_exchange *x, struct sl_round *round);
void sl_round_ask(struct sl_exchange *x, struct sl_round *round, struct sl_position at);
SL_MUST_CHECK enum sl_status sl_round_take(struct sl_exchange *x, struct sl_round *round, struct sl_question *question);
SL_MUST_CHECK enum sl_status sl_round_add_pages(struct sl_exchange *x, struct sl_round *round);
/* Has the upstream, asked first of all for the place that a page link names, refused? Then the request begins again,
 * and reads what has passed. Once. */
bool sl_round_is_displaced(struct sl_exchange *x, const struct sl_position *at, enum sl_status status);

/* ---- presence.c: is anything else of a person released? ---- */

/* Once a pass is decided. begun: something is looked for, and the pass is held meanwhile. */
SL_MUST_CHECK enum sl_step_result sl_presence_begin(struct sl_exchange *x, bool *begun);
SL_MUST_CHECK enum sl_step_result sl_presence_fetch(struct sl_exchange *x);
/* Of a decided pass of its own. */
SL_MUST_CHECK enum sl_step_result sl_presence_decide(struct sl_exchange *x);
void sl_presence_drop(struct sl_exchange *x);

/* ---- relating.c: which relationships do records prove? ---- */

/* Before a pass is decided. begun: something is looked for, and the pass is held meanwhile. */
SL_MUST_CHECK enum sl_step_result sl_relating_begin(struct sl_exchange *x, bool *begun);
SL_MUST_CHECK enum sl_step_result sl_relating_fetch(struct sl_exchange *x);
/* Of a decided pass of its own. */
SL_MUST_CHECK enum sl_step_result sl_relating_decide(struct sl_exchange *x);
void sl_relating_drop(struct sl_exchange *x);

/* ---- gone.c ---- */

struct sl_lost;
/* The upstream does not have it: it is to be asked whether it was there. */
SL_MUST_CHECK enum sl_status sl_gone_note(
    struct sl_exchange *x, struct sl_round *round, struct sl_slice type, struct sl_slice id);
/* Asks of some of them, as contexts of the round; of none if none is left. And takes one answer: `factor`, how many
 * bytes a pass may need for each byte of it. */
SL_MUST_CHECK enum sl_status sl_gone_ask(struct sl_exchange *x, struct sl_round *round);
SL_MUST_CHECK enum sl_status sl_gone_take(
    struct sl_exchange *x, struct sl_round *round, struct sl_ask *ask, size_t factor);

/* ---- apart.c ---- */

#define SL_APART 8u /* Binaries read at a time */
/* Makes the question for a Binary that labels need; its id is to be put into `ids`. */
SL_MUST_CHECK bool sl_apart_begin(struct sl_exchange *x, struct sl_round *round, struct sl_ask *ask);
/* Takes the answer, and keeps what it contributes. SL_MISSING: that needs the record, which is now the round's. */
SL_MUST_CHECK enum sl_status sl_apart_take(struct sl_exchange *x, struct sl_round *round, struct sl_ask *ask);
/* Gives the memory of such a question back; any other is left as it is. */
void sl_apart_end(const struct sl_round *round, struct sl_ask *ask);

/* ---- inner.c: an interaction within another, as the same recipient ---- */

/*
 * A chain's step, the entry of a batch, a reference that must resolve: each takes the whole path as any request does,
 * for the outer one's recipient, under the policy and register that the outer one took up, against the same work bound
 * and deadline. When all that were begun have ended, the outer's step, which returned SL_STEP_WAIT, is entered again.
 * inner->status says how one ended. They go with the outer one, or before by sl_inner_drop.
 */

/* From `admit` to `segment`: what is released stands in (*inner)->rounds, and is neither accounted nor sent. What the
 * outer makes of it is the outer's to account for. `interaction` is copied; what it points at must outlive the inner.
 */
SL_MUST_CHECK enum sl_status sl_inner_view(
    struct sl_exchange *x, const struct sl_interaction *interaction, struct sl_exchange **inner);
/* From `route` to `account`, with a record in the ledger of its own: (*inner)->response is the answer. `request` is
 * whole, body and all, and must outlive the inner. */
SL_MUST_CHECK enum sl_status sl_inner_answer(
    struct sl_exchange *x, const struct sl_request *request, struct sl_exchange **inner);
/* Is it an entry of a batch, whose answer stands within another? What the self-test asks is a client's own. */
bool sl_inner_is_entry(const struct sl_exchange *x);
/* For the inner one: it is where the outer has to decide whether it goes on. The outer's step is entered again as if it
 * had ended; the step that parked it returns SL_STEP_WAIT, and is entered again once the outer lets it go on. */
void sl_inner_park(struct sl_exchange *inner);
void sl_inner_go_on(struct sl_exchange *inner);
void sl_inner_drop(struct sl_exchange *inner);
void sl_inners_drop(struct sl_exchange *x);

/* ---- answer.c ---- */

/* SL_OK with x->answering: it has had its time, and wants to be called again. */
SL_MUST_CHECK enum sl_status sl_answer(struct sl_exchange *x);
/* In place of whatever was being made: the fixed answer of a status. Needs no memory but for a long `detail`; where
 * that is not to be had it is the answer of SL_NO_MEMORY. */
void sl_answer_outcome(struct sl_exchange *x);

/* ---- content.c ---- */

/* Makes the links of what is released lead to us. Once everything has been matched and followed: what stands there
 * afterwards is no reference of the record's any more. */
SL_MUST_CHECK enum sl_status sl_content_front(struct sl_exchange *x, const struct sl_found *found);
/* The bytes of a released Binary into the body, and what they are. SL_NOT_ACCEPTABLE: it can be had as the resource
 * alone. */
SL_MUST_CHECK enum sl_status sl_content_answer(
    struct sl_exchange *x, const struct sl_found *found, struct sl_slice *type);

/* ---- account.c ---- */

void sl_account_clear(struct sl_account *account);
void sl_account_withheld(struct sl_exchange *x, const struct sl_withheld *withheld);
/* Before rulings go that something was accounted for by. */
void sl_account_forget(struct sl_exchange *x);
void sl_account_parties(struct sl_exchange *x, const struct sl_ruling *ruling);
void sl_account_unmatched(struct sl_exchange *x, const struct sl_found *found);
/* A version that would go, but for a later one that does not. */
void sl_account_past(struct sl_exchange *x, const struct sl_found *found);
/* alike: on the same terms as the one before, for the same persons. */
SL_MUST_CHECK enum sl_status sl_account_released(
    struct sl_exchange *x, const struct sl_found *found, const struct sl_release *release, bool alike);
/* "1f…-2a": of this process and of all others. */
#define SL_EXCHANGE_ID 40u
void sl_account_exchange_id(const struct sl_exchange *x, char out[SL_EXCHANGE_ID]);
/* That something is about to be written (intent.h), into x->record. */
SL_MUST_CHECK enum sl_status sl_account_intent(struct sl_exchange *x);
/* The whole record, into x->record. */
SL_MUST_CHECK enum sl_status sl_account_write(struct sl_exchange *x);
/* One line on standard error: ids and codes only. */
void sl_account_log(const struct sl_exchange *x);

/* ---- exchange.c, for the others ---- */

/* As sl_exchange_new, of a gateway that is known. */
struct sl_exchange *sl_exchange_new_at(struct sl_worker_state *state, struct sl_worker *worker, struct sl_conn *conn);

/* Drops what was made and decides it again, from where policy and directives are taken up; a few times at most. */
enum sl_step_result sl_exchange_again(struct sl_exchange *x);
/* Gives x->record to the ledger; the exchange is resumed afterwards, with x->appended. */
SL_MUST_CHECK enum sl_status sl_exchange_append(struct sl_exchange *x);
/* Has policy, a directive or the list of programs changed since they were taken up? */
bool sl_exchange_is_overtaken(const struct sl_exchange *x);
/* Who asks, for an account that may be written when the connection is gone: x->peer. */
SL_MUST_CHECK enum sl_status sl_exchange_note_peer(struct sl_exchange *x);
/* Notes why, and gives FAIL. */
enum sl_step_result sl_exchange_fail(struct sl_exchange *x, enum sl_status status, const char *why);
/* Asks the upstream; the exchange is resumed when every ask under way has been answered. */
void sl_exchange_ask(struct sl_exchange *x, struct sl_ask *ask);
/* Has it had its time in this turn? */
bool sl_exchange_tired(const struct sl_exchange *x);
/* Has it fetched for longer than a request may (limits.seconds)? */
bool sl_exchange_overdue(const struct sl_exchange *x);
/* Counts rows that were fetched. False: more than limits.rows, or too long. */
SL_MUST_CHECK bool sl_exchange_spend(struct sl_exchange *x, size_t rows);
/* Takes from the process's budget in the exchange's name. SL_WORK_LIMIT: it, with all that is asked for within the same
 * request, would hold more than one may (limits.exchange-memory). */
SL_MUST_CHECK enum sl_status sl_exchange_reserve(struct sl_exchange *x, size_t *account, size_t bytes);
void sl_exchange_release(struct sl_exchange *x, size_t bytes);
/* inner.c: what one within this one holds is held by this one too, as long as it is within. */
void sl_exchange_hold(struct sl_exchange *x, size_t bytes);
void sl_exchange_let_go(struct sl_exchange *x, size_t bytes);

/* Runs it in a later turn of the loop. */
void sl_exchange_schedule(struct sl_exchange *x);
/* Something that was under way has come back: goes on, or ends if it was cancelled and nothing else is. */
void sl_exchange_resume(struct sl_exchange *x);

#endif
