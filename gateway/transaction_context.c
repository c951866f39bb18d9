/* SPDX-License-Identifier: Apache-2.0 */
/* What the decision about one entry sees of the others: what is there once the transaction is written. */
#include "transaction_parts.h"

#define CONTEXTS 100u /* entries that one decision looks at; what is beyond them is not there for it */

bool sl_transaction_holds(const struct sl_exchange *x)
{
    return x->outer && x->outer->transaction;
}

/* Its request is the entry's: see prepare_more. */
static struct sl_member *part_of(const struct sl_exchange *x)
{
    struct sl_transaction *t = sl_transaction_holds(x) ? x->outer->transaction : NULL;
    for (size_t i = 0; t && i < t->count; i++)
        if (x->request == &t->parts[i].request)
            return &t->parts[i];
    return NULL;
}

struct sl_slice sl_transaction_own_id(const struct sl_exchange *x)
{
    const struct sl_member *part = part_of(x);
    return part ? part->id : (struct sl_slice){NULL, 0};
}

bool sl_transaction_makes(const struct sl_exchange *x, struct sl_slice name)
{
    const struct sl_member *maker = sl_transaction_holds(x) ? sl_transaction_maker(x->outer->transaction, name) : NULL;
    return maker && sl_slice_eq(maker->name, maker->provisional);
}

bool sl_transaction_links(const struct sl_exchange *x)
{
    const struct sl_member *part = part_of(x);
    return part && part->link_count;
}

static bool names(const struct sl_member *part, const struct sl_member *other)
{
    for (size_t i = 0; i < part->link_count; i++)
        if (part->links[i] == other)
            return true;
    return false;
}

struct looking {
    struct sl_member *list[CONTEXTS];
    size_t count;
    unsigned char *seen;
};

static void look_at(struct looking *looking, const struct sl_transaction *t, struct sl_member *part)
{
    size_t index = (size_t)(part - t->parts);
    if (looking->seen[index] || !part->known || looking->count == CONTEXTS)
        return;
    looking->seen[index] = 1;
    looking->list[looking->count++] = part;
}

enum sl_status sl_transaction_context(struct sl_exchange *x, struct sl_round *round)
{
    struct sl_member *own = part_of(x);
    struct looking looking = {.count = 0};
    struct sl_item *item;
    if (!own)
        return SL_OK;
    const struct sl_transaction *t = x->outer->transaction;
    looking.seen = sl_arena_array(round->arena, t->count, 1);
    if (!looking.seen)
        return SL_NO_MEMORY;
    looking.seen[own - t->parts] = 1;
    for (size_t i = 0; i < own->link_count; i++)
        look_at(&looking, t, own->links[i]);
    for (size_t i = 0; (sl_r4_facts(own->type) & SL_R4_BY_ROUTE) && i < t->count; i++)
        if (names(&t->parts[i], own))
            look_at(&looking, t, &t->parts[i]);
    for (size_t at = 0; at < looking.count; at++) {
        SL_TRY(sl_pass_add(round->pass, &looking.list[at]->doc, 0, (struct sl_slice){NULL, 0}, true, &item));
        for (size_t i = 0; i < looking.list[at]->link_count; i++)
            look_at(&looking, t, looking.list[at]->links[i]);
    }
    return SL_OK;
}

enum sl_status sl_transaction_patients(const struct sl_exchange *x, const struct sl_found *found, struct sl_slice *out)
{
    struct sl_member *own = part_of(x);
    for (size_t i = 0; own && (sl_r4_facts(own->type) & SL_R4_BY_ROUTE) && i < x->outer->transaction->count; i++) {
        const struct sl_member *part = &x->outer->transaction->parts[i];
        struct sl_slice patients = {NULL, 0};
        const struct sl_item *item =
            names(part, own) ? sl_labeller_find(sl_pass_labeller(found->pass), part->provisional) : NULL;
        if (item)
            SL_TRY(sl_pass_patients(found->pass, item, &patients));
        if (patients.len && !sl_slice_eq(patients, *out))
            *out = sl_arena_printf(x->arena, "%.*s%s%.*s", SL_FMT(*out), out->len ? " " : "", SL_FMT(patients));
    }
    return sl_arena_failed(x->arena) ? SL_NO_MEMORY : SL_OK;
}
