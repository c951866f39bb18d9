/* SPDX-License-Identifier: Apache-2.0 */
/* The references that a write makes: each must lead to something that the writer can read, or the write is refused in
 * one wording for what is hidden and what is not there. */
#include <stdlib.h>

#include "sluice/fault.h"
#include "sluice/r4_names.h"
#include "transaction.h"
#include "write_parts.h"

static bool has_text(struct sl_slice text, struct sl_slice part)
{
    return part.len && memmem(text.ptr, text.len, part.ptr, part.len);
}

/* Does the writer see this reference in the record as it is? Then it is not the write that makes it. */
static bool was_there(const struct sl_exchange *x, const struct sl_reference *reference, struct sl_slice raw)
{
    const struct sl_found *found = sl_write_creates(x) ? NULL : sl_answer_one(x);
    const struct sl_item *item = found ? found->item : NULL;
    while (item) { /* what is contained follows */
        for (uint32_t i = 0; i < item->reference_count; i++) {
            const struct sl_reference *old = &item->references[i];
            bool same = reference->type ? sl_slice_eq(old->target, reference->target)
                                        : has_text(sl_span_text(item->doc, old->span), raw);
            if (same && !sl_edit_is_cut(found->page->edits, old->span))
                return true;
        }
        item = item->next && item->next->container ? item->next : NULL;
    }
    return false;
}

/* What the reference says, in JSON; empty: it names nothing by a URL. */
static struct sl_slice raw_of(const struct sl_item *item, const struct sl_reference *reference)
{
    uint32_t span = reference->link ? reference->span : sl_span_member(item->doc, reference->span, SL_NAME_reference);
    return span ? sl_span_raw(item->doc, span) : (struct sl_slice){NULL, 0};
}

/* A record of somebody else's, which nobody here can ask for; or one within. */
static bool is_elsewhere(const struct sl_reference *reference, struct sl_slice raw)
{
    return !raw.len || sl_slice_starts(raw, SL_LIT("#")) || sl_slice_starts(raw, SL_LIT("http://")) ||
           sl_slice_starts(raw, SL_LIT("https://")) || (reference->link && !reference->type);
}

static enum sl_status note_reference(
    struct sl_exchange *x, const struct sl_item *item, const struct sl_reference *reference)
{
    struct sl_write *write = x->write;
    struct sl_slice raw = raw_of(item, reference);
    if ((!reference->type && is_elsewhere(reference, raw)) || was_there(x, reference, raw))
        return SL_OK;
    if (!reference->type) /* conditional, or of another entry that is not there */
        return SL_UNPROCESSABLE;
    if (!sl_transaction_makes(x, reference->target))
        write->references[write->reference_count++] = reference->target;
    return SL_OK;
}

/* What is proposed, read for its references alone: what stays in the record because the writer never saw it is not the
 * writer's to answer for. */
static enum sl_status read_proposed(struct sl_exchange *x, struct sl_item **out)
{
    struct sl_labeller *labeller = sl_labeller_new(x->arena, x->policy, x->programs);
    struct sl_doc *doc = sl_arena_alloc(x->arena, sizeof *doc);
    if (!labeller || !doc)
        return SL_NO_MEMORY;
    struct sl_slice text = sl_write_creates(x) ? x->write->text : sl_span_text(&x->write->proposed, 0);
    SL_TRY(sl_doc_parse(x->arena, text, NULL, doc, NULL));
    return sl_labeller_add(labeller, doc, 0, (struct sl_slice){NULL, 0}, false, out);
}

static int order_names(const void *left, const void *right)
{
    const struct sl_slice *a = left, *b = right;
    return sl_slice_compare(*a, *b);
}

/* The resource's own, or of what is contained in it; NULL: no more. */
static const struct sl_item *next_part(const struct sl_item *item)
{
    return item->next && item->next->container ? item->next : NULL;
}

static enum sl_status collect_references(struct sl_exchange *x)
{
    struct sl_item *first;
    struct sl_write *write = x->write;
    size_t room = 0, kept = 0;
    SL_TRY(read_proposed(x, &first));
    for (const struct sl_item *item = first; item; item = next_part(item))
        room += item->reference_count;
    write->references = sl_arena_array(x->arena, room + 1, sizeof *write->references);
    if (!write->references)
        return SL_NO_MEMORY;
    for (const struct sl_item *item = first; item; item = next_part(item))
        for (uint32_t i = 0; i < item->reference_count; i++)
            SL_TRY(note_reference(x, item, &item->references[i]));
    if (write->reference_count)
        qsort(write->references, write->reference_count, sizeof *write->references, order_names);
    for (size_t i = 0; i < write->reference_count; i++)
        if (!i || !sl_slice_eq(write->references[i], write->references[kept - 1]))
            write->references[kept++] = write->references[i];
    write->reference_count = kept;
    return kept > SL_WRITE_REFERENCES ? SL_UNPROCESSABLE : SL_OK;
}

static struct sl_slice type_of(struct sl_slice name)
{
    const char *slash = memchr(name.ptr, '/', name.len);
    return (struct sl_slice){name.ptr, (size_t)(slash - name.ptr)};
}

/* How many of the next ones one search can ask for; 1: it is a read. What is reached by route alone is found by none,
 * and some may read and not search. */
static size_t count_together(const struct sl_exchange *x)
{
    const struct sl_write *write = x->write;
    const struct sl_slice *names = &write->references[write->references_asked];
    size_t most = x->state->gateway->config->page_limit, left = write->reference_count - write->references_asked;
    struct sl_slice type = type_of(names[0]);
    sl_r4_node node = sl_r4_resource(type);
    bool patient_only;
    size_t count = 1;
    most = most < SL_ASK_IDS_LIMIT ? most : SL_ASK_IDS_LIMIT;
    if ((sl_r4_facts(node) & SL_R4_BY_ROUTE) || !sl_caller_may(&x->caller, node, SL_MAY_SEARCH, &patient_only))
        return 1;
    while (count < most && count < left && sl_slice_eq(type_of(names[count]), type))
        count++;
    return count;
}

/* Type?_id=a,b,c */
static enum sl_status search_for(
    struct sl_exchange *x, const struct sl_slice *names, size_t count, struct sl_interaction *out)
{
    struct sl_buffer query;
    sl_buffer_init(&query, (size_t)SL_ASK_IDS_LIMIT * 80);
    sl_buffer_printf(&query, "_count=%zu&_id=", count);
    for (size_t i = 0; i < count; i++)
        sl_buffer_printf(&query, "%s%.*s", i ? "," : "", SL_FMT(sl_slice_from(names[i], out->type_name.len + 1)));
    struct sl_slice text = sl_arena_copy(x->arena, sl_buffer_slice(&query));
    bool failed = sl_buffer_failed(&query) || !text.ptr;
    sl_buffer_fini(&query);
    if (failed)
        return SL_NO_MEMORY;
    out->kind = SL_SEARCH;
    return sl_search_read(x->arena, out->type, text, (struct sl_slice){NULL, 0}, NULL, &out->search);
}

/* Each is asked for as the writer would ask for it; many together. */
enum sl_status sl_write_ask_more(struct sl_exchange *x)
{
    struct sl_write *write = x->write;
    if (sl_fault(SL_FAULT_REFERENCES_UNDECIDED))
        return SL_OK;
    while (write->references_asked < write->reference_count && write->question_count < SL_WRITE_QUESTIONS) {
        struct sl_write_question *question = &write->questions[write->question_count];
        const struct sl_slice *names = &write->references[write->references_asked];
        sl_r4_node type = sl_r4_resource(type_of(names[0]));
        struct sl_interaction asked = {.kind = SL_READ, .type = type, .type_name = sl_r4_node_name(type)};
        question->names = count_together(x);
        asked.id = sl_slice_from(names[0], asked.type_name.len + 1);
        if (question->names > 1) {
            asked.id = (struct sl_slice){NULL, 0};
            SL_TRY(search_for(x, names, question->names, &asked));
        }
        SL_TRY(sl_inner_view(x, &asked, &question->inner));
        write->references_asked += question->names;
        write->question_count++;
    }
    return SL_OK;
}

enum sl_status sl_write_ask_references(struct sl_exchange *x)
{
    SL_TRY(collect_references(x));
    return sl_write_ask_more(x);
}

static size_t count_released(const struct sl_exchange *inner)
{
    size_t count = 0;
    for (const struct sl_round *round = inner->rounds; round; round = round->next)
        for (const struct sl_found *found = round->first; found; found = found->next)
            count += found->match && found->released;
    return count;
}

/* Of those that were asked about: SL_UNPROCESSABLE if one of them is not there for the writer. */
enum sl_status sl_write_take_references(struct sl_exchange *x)
{
    struct sl_write *write = x->write;
    enum sl_status status = SL_OK;
    for (size_t i = 0; i < write->question_count; i++) {
        const struct sl_exchange *inner = write->questions[i].inner;
        bool absent = inner->status == SL_NOT_FOUND || inner->status == SL_GONE || inner->status == SL_FORBIDDEN ||
                      (inner->status == SL_OK &&
                          (write->questions[i].names > 1 ? count_released(inner) < write->questions[i].names
                                                         : !sl_answer_one(inner)));
        if (inner->status != SL_OK && !absent)
            return inner->status;
        if (absent)
            status = SL_UNPROCESSABLE;
    }
    while (write->question_count)
        sl_inner_drop(write->questions[--write->question_count].inner);
    return status;
}
