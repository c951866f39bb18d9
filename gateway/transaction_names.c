/* SPDX-License-Identifier: Apache-2.0 */
/* What stands for what in a transaction: conditional references are found in the world that the writer sees, and they
 * and fullUrls give way to names. */
#include <stdlib.h>

#include "body.h"
#include "sluice/merge.h"
#include "transaction_parts.h"
#include "write_parts.h"

/* ---- Finding: what conditional references name, in the world that the writer sees ---- */

static bool is_conditional(enum sl_link_form form, struct sl_slice url, sl_r4_node *type)
{
    const char *mark = form == SL_LINK_REFERENCE ? memchr(url.ptr, '?', url.len) : NULL;
    *type = mark ? sl_r4_resource((struct sl_slice){url.ptr, (size_t)(mark - url.ptr)}) : 0;
    return *type != 0;
}

static struct sl_transaction_condition *find_condition(struct sl_transaction *t, struct sl_slice text)
{
    for (size_t i = 0; i < t->condition_count; i++)
        if (sl_slice_eq(t->conditions[i].text, text))
            return &t->conditions[i];
    return NULL;
}

struct finding {
    struct sl_exchange *x;
    enum sl_status status;
};

static enum sl_status add_condition(struct sl_exchange *x, sl_r4_node type, struct sl_slice text)
{
    struct sl_transaction *t = x->transaction;
    struct sl_issues issues = {.arena = x->arena};
    struct sl_slice name = sl_r4_node_name(type);
    if (find_condition(t, text))
        return SL_OK;
    if (t->condition_count == SL_TRANSACTION_CONDITIONS)
        return SL_TOO_LARGE;
    struct sl_transaction_condition *condition = &t->conditions[t->condition_count++];
    *condition =
        (struct sl_transaction_condition){.text = text, .search = {.kind = SL_SEARCH, .type = type, .type_name = name}};
    enum sl_status status = sl_search_read(x->arena, type, sl_slice_from(text, name.len + 1),
        (struct sl_slice){NULL, 0}, &issues, &condition->search.search);
    if (status != SL_OK && issues.first)
        x->detail = issues.first->text;
    return status == SL_OK && !sl_write_is_condition(&condition->search.search) ? SL_BAD_PARAMETER : status;
}

static struct sl_slice note_condition(
    void *context, enum sl_link_form form, const struct sl_r4_element *element, struct sl_slice url)
{
    struct finding *finding = context;
    sl_r4_node type;
    (void)element;
    if (finding->status == SL_OK && is_conditional(form, url, &type))
        finding->status = add_condition(finding->x, type, url);
    return (struct sl_slice){NULL, 0};
}

enum sl_status sl_transaction_collect_conditions(struct sl_exchange *x)
{
    struct sl_transaction *t = x->transaction;
    struct finding finding = {x, SL_OK};
    for (size_t i = 0; i < t->count && finding.status == SL_OK; i++) {
        struct sl_slice text = t->parts[i].entry->request.body;
        if (sl_member_is_resource(&t->parts[i]) && !sl_member_reads(&t->parts[i]))
            SL_TRY(sl_body_relink(x->arena, &text, note_condition, &finding));
    }
    return finding.status;
}

/* None or several, hidden ones counting as none: the one refusal of a reference that does not resolve. */
static enum sl_status take_condition(struct sl_exchange *x, struct sl_transaction_condition *condition)
{
    const struct sl_exchange *inner = condition->inner;
    const struct sl_found *found = inner->status == SL_OK ? sl_write_first_match(inner) : NULL;
    if (inner->status != SL_OK && inner->status != SL_NOT_FOUND && inner->status != SL_FORBIDDEN)
        return inner->status;
    if (!found || inner->gathered != 1)
        return SL_UNPROCESSABLE;
    condition->name =
        sl_arena_printf(x->arena, "%.*s/%.*s", SL_FMT(condition->search.type_name), SL_FMT(found->entry->id));
    sl_inner_drop(condition->inner);
    condition->inner = NULL;
    return condition->name.ptr ? SL_OK : SL_NO_MEMORY;
}

enum sl_status sl_transaction_find_more(struct sl_exchange *x)
{
    struct sl_transaction *t = x->transaction;
    for (; t->checked < t->begun; t->checked++)
        SL_TRY(take_condition(x, &t->conditions[t->checked]));
    for (; t->begun < t->condition_count && t->begun < t->checked + SL_TRANSACTION_TOGETHER; t->begun++)
        SL_TRY(sl_inner_view(x, &t->conditions[t->begun].search, &t->conditions[t->begun].inner));
    return SL_OK;
}

/* ---- Names in the place of what stands for them ---- */

struct naming {
    struct sl_exchange *x;
    struct sl_member *part;
    bool failed;
};

static void add_link(struct naming *naming, struct sl_member *to)
{
    struct sl_member *part = naming->part;
    if (part->link_count && part->links[part->link_count - 1] == to)
        return;
    if (part->link_count == part->link_room) {
        size_t room = part->link_room ? 2 * part->link_room : 8;
        struct sl_member **links = sl_arena_array(naming->x->arena, room, sizeof(struct sl_member *));
        naming->failed = naming->failed || !links;
        if (!links)
            return;
        if (part->link_count)
            memcpy(links, part->links, part->link_count * sizeof(struct sl_member *));
        part->links = links;
        part->link_room = room;
    }
    part->links[part->link_count++] = to;
}

static struct sl_slice name_of(
    void *context, enum sl_link_form form, const struct sl_r4_element *element, struct sl_slice url)
{
    struct naming *naming = context;
    struct sl_transaction *t = naming->x->transaction;
    struct sl_member *to = form == SL_LINK_CANONICAL ? NULL : sl_transaction_find_url(t, url);
    sl_r4_node type;
    (void)element;
    if (to && to->name.len) {
        to->linked = true;
        if (sl_slice_eq(to->name, to->provisional))
            add_link(naming, to);
        return to->name;
    }
    struct sl_transaction_condition *condition = is_conditional(form, url, &type) ? find_condition(t, url) : NULL;
    return condition ? condition->name : (struct sl_slice){NULL, 0};
}

/* What it creates, as others' decisions see it. What is no resource of R4 is refused when it is its turn. */
static enum sl_status make_known(struct sl_exchange *x, struct sl_member *part)
{
    static const struct sl_write_labels none = {0};
    struct sl_issues issues = {.arena = x->arena};
    struct sl_doc sent;
    struct sl_slice text;
    if (!part->id.len || !sl_slice_eq(part->name, part->provisional))
        return SL_OK;
    SL_TRY(sl_doc_parse(x->arena, part->request.body, NULL, &sent, NULL));
    enum sl_status status = sl_body_check(&sent, part->type, (struct sl_slice){NULL, 0}, x->arena, &issues);
    if (status == SL_BAD_SYNTAX)
        return SL_OK;
    SL_TRY(status);
    SL_TRY(sl_write_own_doc(x, &sent));
    SL_TRY(sl_merge_new((struct sl_place){&sent, 0}, &none, part->id, x->arena, &text));
    SL_TRY(sl_doc_parse(x->arena, text, NULL, &part->doc, NULL));
    part->known = true;
    return SL_OK;
}

enum sl_status sl_transaction_name_all(struct sl_exchange *x)
{
    struct sl_transaction *t = x->transaction;
    for (size_t i = 0; i < t->count; i++) {
        struct sl_member *part = &t->parts[i];
        struct naming naming = {x, part, false};
        part->request = part->entry->request;
        if (!sl_member_is_resource(part) || sl_member_reads(part))
            continue;
        SL_TRY(sl_body_relink(x->arena, &part->request.body, name_of, &naming));
        part->request.content_length = part->request.body.len;
        SL_TRY(naming.failed ? SL_NO_MEMORY : make_known(x, part));
    }
    return SL_OK;
}
