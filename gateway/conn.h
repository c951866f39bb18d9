/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client's connection in its worker: reads a request, hands it to an exchange, writes the answer, and again. It lives
 * and dies in its worker's thread. What the exchange sees of it is in http.h.
 */
#ifndef SLUICE_GATEWAY_CONN_H
#define SLUICE_GATEWAY_CONN_H

#include "worker.h"

/* Takes over an accepted socket; whatever comes of it, the ticket goes home when the connection is gone. */
void sl_conn_adopt(struct sl_worker *worker, struct sl_ticket *ticket);

/* The worker's sweep: acts on every connection whose deadline has passed. */
void sl_conn_sweep(struct sl_worker *worker, uint64_t now);

/* The worker drains: those on which nothing is asked any more close, the others after their answer. */
void sl_conn_drain(struct sl_worker *worker);

/* The worker stops: cancels and closes all. */
void sl_conn_close_all(struct sl_worker *worker);

#endif
