/* SPDX-License-Identifier: Apache-2.0 */
/* Whom a conditional write is about: what its condition matches, in the world that the writer sees. */
#include "sluice/fault.h"
#include "write_parts.h"

const struct sl_found *sl_write_first_match(const struct sl_exchange *inner)
{
    for (const struct sl_round *round = inner->rounds; round; round = round->next)
        for (const struct sl_found *found = round->first; found; found = found->next)
            if (found->match && found->released)
                return found;
    return NULL;
}

/* Of what the search found and decided to withhold, the names: {"item":"Type/id", … without a path, which would be a
 * part of something released. */
static enum sl_status note_duplicates(struct sl_exchange *x, const struct sl_buffer *withheld)
{
    static const struct sl_slice begin = {"{\"item\":\"", 9};
    struct sl_slice rest = sl_buffer_slice(withheld);
    struct sl_buffer out;
    sl_buffer_init(&out, 4096);
    for (const char *at; rest.len && (at = memmem(rest.ptr, rest.len, begin.ptr, begin.len));) {
        rest = sl_slice_from(rest, (size_t)(at - rest.ptr) + begin.len);
        const char *end = memchr(rest.ptr, '"', rest.len);
        struct sl_slice name = {rest.ptr, end ? (size_t)(end - rest.ptr) : 0};
        rest = sl_slice_from(rest, name.len);
        if (out.len + name.len + 3 > 4096)
            break; /* the operator sees by these that there are many */
        if (!sl_slice_starts(rest, SL_LIT("\",\"path\"")))
            sl_buffer_printf(&out, "%s\"%.*s\"", out.len ? "," : "", SL_FMT(name));
    }
    x->write->duplicates = out.len ? sl_arena_copy(x->arena, sl_buffer_slice(&out)) : (struct sl_slice){NULL, 0};
    bool failed = sl_buffer_failed(&out) || sl_arena_failed(x->arena);
    sl_buffer_fini(&out);
    return failed ? SL_NO_MEMORY : SL_OK;
}

/* A create that is not needed goes on where it is answered. */
static enum sl_step_result matched(struct sl_exchange *x, const struct sl_found *found)
{
    x->write->outcome = SL_WRITE_MATCHED;
    x->write->stage = SL_WRITE_STORED;
    x->write->ask.id = sl_arena_copy(x->arena, found->entry->id);
    x->exhausted = true;
    x->step = SL_AT_segment; /* the step before `commit`: nothing is fetched, and nothing written */
    return x->write->ask.id.ptr ? SL_STEP_DONE : sl_exchange_fail(x, SL_NO_MEMORY, "memory");
}

/* The body may name an id: then it must be the one that was matched. */
static bool fits_sent(const struct sl_exchange *x, struct sl_slice id)
{
    uint32_t own = x->interaction.kind == SL_UPDATE ? sl_span_member(&x->write->sent, 0, SL_NAME_id) : 0;
    return !own || (id.len && sl_span_is(&x->write->sent, own, id));
}

static enum sl_step_result take_match(struct sl_exchange *x, struct sl_exchange *matching)
{
    const struct sl_found *found = sl_write_first_match(matching);
    size_t count = matching->gathered + (sl_fault(SL_FAULT_CONDITION_HIDDEN) ? matching->account.withheld_count : 0);
    if (count > 1)
        return sl_exchange_fail(x, SL_PRECONDITION_FAILED, "condition-matches-many");
    if (!found && count)
        return sl_exchange_fail(x, SL_PRECONDITION_FAILED, "condition-matches-hidden");
    if (!found && x->interaction.kind == SL_UPDATE && x->write->if_match.len) /* of a version of what is not there */
        return sl_exchange_fail(x, SL_PRECONDITION_FAILED, "condition-matches-none");
    if (!found && note_duplicates(x, &matching->account.withheld) != SL_OK)
        return sl_exchange_fail(x, SL_NO_MEMORY, "memory");
    if (found && x->interaction.kind == SL_CREATE)
        return matched(x, found);
    if (!found && (x->interaction.kind == SL_PATCH || x->interaction.kind == SL_DELETE ||
                      (x->interaction.kind == SL_UPDATE && !fits_sent(x, (struct sl_slice){NULL, 0}))))
        return sl_exchange_fail(x, SL_NOT_FOUND, "condition-matches-none");
    if (found && !fits_sent(x, found->entry->id))
        return sl_exchange_fail(x, SL_BAD_SYNTAX, "id-other-than-matched");
    if (found)
        x->interaction.id = sl_arena_copy(x->arena, found->entry->id);
    if (!sl_write_offered(x->policy, x->interaction.type, sl_write_action_of(x)))
        return sl_exchange_fail(x, SL_FORBIDDEN, "not-offered");
    return SL_STEP_DONE;
}

enum sl_step_result sl_write_match(struct sl_exchange *x)
{
    struct sl_write *write = x->write;
    if (!write->matching) {
        const struct sl_interaction search = {.kind = SL_SEARCH,
            .type = x->interaction.type,
            .type_name = x->interaction.type_name,
            .search = write->condition};
        enum sl_status status = sl_inner_view(x, &search, &write->matching);
        return status == SL_OK ? SL_STEP_WAIT : sl_exchange_fail(x, status, "condition");
    }
    if (write->matching->status != SL_OK)
        return sl_exchange_fail(x, write->matching->status, write->matching->why);
    return take_match(x, write->matching);
}
