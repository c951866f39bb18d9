/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whom a Consent means by a Group, a CareTeam, a role or an organization: what records say of those who ask. Inside the
 * consent room only. It never fetches: it gives back the references it lacks, as labels do.
 */
#ifndef SLUICE_CONSENT_DIRECTIVE_PEOPLE_H
#define SLUICE_CONSENT_DIRECTIVE_PEOPLE_H

#include "directive_model.h"
#include "labelling.h"

#define SL_LACKING_LIMIT 256u /* references of one round; what is beyond is asked for in the next */

struct sl_lacking {
    struct sl_slice reference[SL_LACKING_LIMIT];
    size_t count;
    bool unbooked; /* a record is known by the label book alone, which does not keep what is asked here */
};

/* Settles, for each recipient whom one of these Consents names, whether it is the one who asks, as far as the records
 * of the labeller tell; adds to `lacking` what else is needed for that. To be done again when more records have come.
 */
void sl_directives_meet(struct sl_directives *list, const struct sl_labeller *labeller,
    const struct sl_recipient *recipient, int64_t now, struct sl_lacking *lacking);

#endif
