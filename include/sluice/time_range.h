/* SPDX-License-Identifier: Apache-2.0 */
/* The times of R4 as ranges: what is imprecise is long. */
#ifndef SLUICE_TIME_RANGE_H
#define SLUICE_TIME_RANGE_H

#include <stdint.h>

#include "sluice/slice.h"

/* Microseconds since 1970, [from, to). */
struct sl_time_range {
    int64_t from, to;
};
/* Reads a FHIR date, dateTime or instant (in searches also without seconds) as the range its precision implies; without
 * a time zone it is UTC. false: it is none of these. */
bool sl_time_range_read(struct sl_slice text, struct sl_time_range *out);
/* prefix: "eq", "ne", "lt", "le", "gt", "ge", "sa", "eb", "ap" (http://hl7.org/fhir/R4/search.html#prefix). `ap` is the
 * range, widened by its own length on either side: what is left to a server must not depend on when it is asked. */
bool sl_time_range_compare(const char *prefix, struct sl_time_range wanted, struct sl_time_range there);

#endif
