/* SPDX-License-Identifier: Apache-2.0 */
/* What the officer's register says of a record, as the labeller asks it; see sluice/register.h. Inside the consent room
 * only. */
#ifndef SLUICE_CONSENT_REGISTERED_H
#define SLUICE_CONSENT_REGISTERED_H

#include "sluice/classes.h"
#include "sluice/r4.h"
#include "sluice/register.h"

/* One entry about one record. */
struct sl_mark {
    struct sl_classes has, has_not;
    struct sl_slice patient; /* `has_not` counts for a record of this patient alone; empty: of one about nobody */
    struct sl_slice program; /* of a declared program's record; may be empty */
    struct sl_slice name;    /* "register/12" */
    bool unknown;            /* says that it has a class which the policy does not know: it is withheld */
    const struct sl_mark *next;
};

/* NULL: the register says nothing of it. registered may be NULL. */
const struct sl_mark *sl_registered_find(const struct sl_registered *registered, sl_r4_node type, struct sl_slice id);
/* SHA-256 over what is in force; NULL if nothing is. 32 bytes. */
const unsigned char *sl_registered_digest(const struct sl_registered *registered);

#endif
