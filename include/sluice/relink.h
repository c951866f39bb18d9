/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The links of a resource, found by R4's table and not by what a member is called: where one may stand for another
 * (in a transaction, fullUrls for what is created: http.html, 3.2.0.11.2), and what stands there. An identifier's value
 * may read urn:uuid:… as well, and is a string; a canonical is found and told apart, since R4 replaces none.
 */
#ifndef SLUICE_RELINK_H
#define SLUICE_RELINK_H

#include "sluice/edit.h"
#include "sluice/r4.h"

enum sl_link_form {
    SL_LINK_NONE,
    SL_LINK_REFERENCE, /* Reference.reference */
    SL_LINK_URI,       /* of type uri, url, oid or uuid */
    SL_LINK_CANONICAL,
    SL_LINK_MARKUP /* in a narrative: href of an a, src of an img, as it is written there */
};

/* What is to stand in the place of a link; empty: it stays. `element`: where it stands. What is put into markup is
 * written as it is given: nothing in it may need escaping there. */
typedef struct sl_slice (*sl_link_name)(
    void *context, enum sl_link_form form, const struct sl_r4_element *element, struct sl_slice url);

/* Asks about each link of the document, one resource; what is to be put goes into its edits. *any: something is.
 * SL_NO_MEMORY. What R4 does not know is passed over. */
SL_MUST_CHECK enum sl_status sl_relink(struct sl_edits *edits, const struct sl_doc *doc, struct sl_arena *arena,
    sl_link_name name, void *context, bool *any);

#endif
