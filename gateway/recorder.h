/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer of the embedded store in a running gateway: a thread of its own, since a write waits for the store's lock
 * and for the disk, and no loop may. Workers give it their asks (CREATE, UPDATE, DELETE, TRANSACTION); what one has
 * come to is put into the ask on the worker's own loop.
 */
#ifndef SLUICE_GATEWAY_RECORDER_H
#define SLUICE_GATEWAY_RECORDER_H

#include "upstream.h"

struct sl_recorder;

/* The embedded store and the `policy` store, both writable and borrowed, or NULL: then what would be written there is
 * SL_UNAVAILABLE. Caller owns. SL_UNAVAILABLE: no thread. */
SL_MUST_CHECK enum sl_status sl_recorder_new(
    struct sl_records *records, struct sl_store *directives, struct sl_recorder **out);
/* Waits until what has been given to it is written; NULL is fine. After the workers have stopped. */
void sl_recorder_free(struct sl_recorder *recorder);

/* Under way until `done` is called in a later turn of the worker's loop; it cannot be withdrawn. ask->finished at once
 * where there is no memory, or too much waits (SL_UNAVAILABLE). */
void sl_recorder_write(struct sl_recorder *recorder, struct sl_worker *worker, struct sl_ask *ask);

/* A Consent, as it is stored in the EHR, to be a directive from now on (docs/consent.md). Its turn is taken before the
 * EHR is asked for it: of two that were asked for at once, the one whose turn came later knows of both writes, and is
 * not undone by the other, which may come after it. */
struct sl_turn;
/* NULL: no memory. `id`: of the Consent. */
struct sl_turn *sl_recorder_turn(struct sl_recorder *recorder, struct sl_slice id);
/* Nothing will come of it. NULL is fine. */
void sl_recorder_pass(struct sl_recorder *recorder, struct sl_turn *turn);

struct sl_directing {
    struct sl_turn *turn;                         /* goes with it */
    struct sl_slice consent;                      /* JSON; borrowed until `done` */
    void (*done)(struct sl_directing *directing); /* on the worker's loop */
    void *context;
    enum sl_status status; /* SL_INVALID: it cannot be one */
    struct sl_task task;   /* from here on the recorder's own */
    struct sl_recorder *recorder;
    struct sl_worker *worker;
};
/* SL_UNAVAILABLE: nothing is begun, `done` not called, and the turn the caller's still. */
SL_MUST_CHECK enum sl_status sl_recorder_direct(
    struct sl_recorder *recorder, struct sl_worker *worker, struct sl_directing *directing);
/* Can it at all? */
bool sl_recorder_directs(const struct sl_recorder *recorder);

#endif
