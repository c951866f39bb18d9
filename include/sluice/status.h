/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can fail, and what a client sees of it: one table, fhir/status.def.
 * A verdict is not a status: "withheld" is a successful decision.
 */
#ifndef SLUICE_STATUS_H
#define SLUICE_STATUS_H

#include "sluice/slice.h"

enum sl_status {
#define SL_STATUS(name, http, code, text) SL_##name,
#include "sluice/status.def"
#undef SL_STATUS
};

#define SL_MUST_CHECK __attribute__((warn_unused_result))

/* Returns from the enclosing function with the status if it is not SL_OK. */
#define SL_TRY(call)                                                                                                   \
    do {                                                                                                               \
        enum sl_status sl_try_ = (call);                                                                               \
        if (sl_try_ != SL_OK)                                                                                          \
            return sl_try_;                                                                                            \
    } while (0)

/* Our own mistakes, never input; on in release as well. */
#define SL_ASSERT(condition)                                                                                           \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            sl_assert_failed(#condition, __FILE__, __LINE__);                                                          \
    } while (0)
_Noreturn void sl_assert_failed(const char *condition, const char *file, int line);

/* The row of the table: HTTP status, FHIR issue type code, and the fixed text for clients. */
int sl_status_http(enum sl_status status);
struct sl_slice sl_status_code(enum sl_status status);
struct sl_slice sl_status_text(enum sl_status status);
/* "SL_NOT_FOUND", for operators. */
const char *sl_status_name(enum sl_status status);

#endif
