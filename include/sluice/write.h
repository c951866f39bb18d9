/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may write: the `writes:` section of the policy, asked. Nobody may write what no grant says. What somebody may
 * write depends on the party it is, its purpose, the type and what it wants to do, and never on what is in a record or
 * hidden in it, so that a refusal tells nothing.
 */
#ifndef SLUICE_WRITE_H
#define SLUICE_WRITE_H

#include "sluice/decide.h"

enum sl_write_action {
    SL_WRITE_NONE,
    SL_WRITE_CREATE,
    SL_WRITE_UPDATE,
    SL_WRITE_PATCH,
    SL_WRITE_DELETE,
    SL_WRITE_ACTIONS
};

/* Far apart in bits; zero is neither, and is never a permission. */
enum sl_write_verdict { SL_WRITE_UNASKED = 0, SL_WRITE_GRANTED = 0x369c, SL_WRITE_REFUSED = 0xc963 };

/* What the writer may set and take away of what says how a record is to be handled. */
struct sl_write_labels {
    const struct sl_coding *labels; /* security labels, in meta.security and on elements */
    size_t label_count;
    bool tags; /* meta.tag */
};

struct sl_write_answer {
    enum sl_write_verdict verdict;
    const struct sl_rule_view *grant; /* the first grant relied on; NULL if refused */
    struct sl_write_labels labels;    /* of all grants that hold */
    const char *why;                  /* for the operator, a literal: "granted", "no-grant", "delete-may-hide" */
};

/*
 * May this recipient do it? `ruling`: made for the recipient and for those the record is about, as it stands (update,
 * patch, delete: the ruling of the view) and as it is to be (create, and what an update makes of it). A record about
 * somebody else than before asks twice, and both must grant.
 * A delete holds only where nothing of the type can be hidden from any of the recipient's parties for its purpose,
 * whatever a record holds and whatever anybody directed: found out when the policy was loaded.
 */
SL_MUST_CHECK enum sl_status sl_write_ask(const struct sl_ruling *ruling, sl_r4_node type, enum sl_write_action action,
    struct sl_arena *arena, struct sl_write_answer *out);

/* Is there any grant of it, whoever asks? For metadata. */
bool sl_write_offered(const struct sl_policy *policy, sl_r4_node type, enum sl_write_action action);
/* "create", "update", "patch", "delete". */
struct sl_slice sl_write_word(enum sl_write_action action);
enum sl_write_action sl_write_find(struct sl_slice word); /* SL_WRITE_NONE: no such word */

#endif
