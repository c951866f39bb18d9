/* SPDX-License-Identifier: Apache-2.0 */
/* The program table as the labeller asks it; see sluice/label.h for what it holds. Inside the consent room only. */
#ifndef SLUICE_CONSENT_PROGRAMS_H
#define SLUICE_CONSENT_PROGRAMS_H

#include "sluice/label.h"

/* Does the table name this source? By type and id, or by id alone. false: it says nothing. A NULL table says nothing.
 */
bool sl_programs_names(const struct sl_programs *programs, sl_r4_node type, struct sl_slice id, enum sl_source *out);
/* The same for a URI: meta.source (with or without its fragment), an absolute URL, a URN. */
bool sl_programs_names_uri(const struct sl_programs *programs, struct sl_slice uri, enum sl_source *out);
/* Is a source that resolves and is not named no program? */
bool sl_programs_closed(const struct sl_programs *programs);
/* Is this a type that can be a source, and leads on to others? Organization, Location, HealthcareService,
 * PractitionerRole. */
bool sl_programs_type(sl_r4_node type);

/* Calls for every name in the table, in no order. type 0: an id of any type, or a URI. */
void sl_programs_each(const struct sl_programs *programs,
    void (*call)(void *context, sl_r4_node type, struct sl_slice name, enum sl_source source), void *context);

#endif
