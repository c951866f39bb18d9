/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A search in one normal form: for self links, for what a page link is good for, and for the upstream. Two searches
 * that say the same in another order are written alike (RFC 3986 2.1, http://hl7.org/fhir/R4/search.html#escaping).
 */
#include <stdlib.h>

#include "search_read.h"
#include "sluice/buffer.h"

/* ---- Text ---- */

/* Percent-encodes all but the unreserved characters, ':' and '/' (RFC 3986 2.3, 3.4). */
static void put_encoded(struct sl_buffer *out, struct sl_slice text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~:/";
    for (size_t i = 0; i < text.len; i++) {
        if (memchr(plain, text.ptr[i], sizeof plain - 1))
            sl_buffer_add(out, (struct sl_slice){text.ptr + i, 1});
        else
            sl_buffer_printf(out, "%%%02X", (unsigned char)text.ptr[i]);
    }
}

/* The FHIR escapes, then the percent encoding. */
static void put_escaped(struct sl_buffer *out, struct sl_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (memchr(",|$\\", text.ptr[i], 4))
            sl_buffer_add(out, SL_LIT("%5C"));
        put_encoded(out, (struct sl_slice){text.ptr + i, 1});
    }
}

static void put_value(struct sl_buffer *out, const struct sl_search_param *param, const struct sl_search_value *value)
{
    enum sl_r4_param_type type = param->how == SL_MODIFIER_IDENTIFIER ? SL_PARAM_TOKEN : param->param->type;
    if (value->prefix[0] && strcmp(value->prefix, "eq") != 0)
        sl_buffer_printf(out, "%s", value->prefix);
    if (type == SL_PARAM_REFERENCE && value->code.len) {
        if (value->system.len) {
            put_escaped(out, value->system);
            sl_buffer_add(out, SL_LIT("/"));
        }
        put_escaped(out, value->code);
        return;
    }
    if (!value->has_system) {
        put_escaped(out, value->text);
        return;
    }
    if (type == SL_PARAM_QUANTITY) {
        put_escaped(out, value->text);
        sl_buffer_add(out, SL_LIT("%7C"));
    }
    put_escaped(out, value->system);
    sl_buffer_add(out, SL_LIT("%7C"));
    put_escaped(out, value->code);
    if (value->number.len) {
        sl_buffer_add(out, SL_LIT("%7C"));
        put_escaped(out, value->number);
    }
}

/* "a$b": a value for each component. */
static void put_parts(struct sl_buffer *out, const struct sl_search_param *param, const struct sl_search_value *value)
{
    for (size_t i = 0; param->param->components[i].type != SL_PARAM_NONE; i++) {
        const struct sl_search_param part = {.param = &param->param->components[i]};
        if (i)
            sl_buffer_add(out, SL_LIT("%24"));
        put_value(out, &part, &value->parts[i]);
    }
}

/* Pieces of the query ("name=value"), to be sorted. */
struct pieces {
    struct sl_slice *list;
    size_t count;
};

static int by_bytes(const void *a, const void *b)
{
    const struct sl_slice *x = a, *y = b;
    size_t len = x->len < y->len ? x->len : y->len;
    int order = len ? memcmp(x->ptr, y->ptr, len) : 0;
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

/* Sorts, and drops what stands twice: both alternatives and parameters mean the same in any order. */
static void settle(struct pieces *pieces)
{
    size_t kept = 0;
    if (pieces->count > 1)
        qsort(pieces->list, pieces->count, sizeof *pieces->list, by_bytes);
    for (size_t i = 0; i < pieces->count; i++)
        if (i == 0 || !sl_slice_eq(pieces->list[i], pieces->list[kept - 1]))
            pieces->list[kept++] = pieces->list[i];
    pieces->count = kept;
}

/* Empties it; a failure stays: a piece that is lost would make another question of it, and be noticed by nobody. */
static void start_over(struct sl_buffer *scratch)
{
    scratch->len = 0;
}

static struct sl_slice join(
    struct sl_buffer *scratch, struct sl_arena *arena, struct sl_slice head, struct pieces *pieces, char between)
{
    start_over(scratch);
    sl_buffer_add(scratch, head);
    for (size_t i = 0; i < pieces->count; i++) {
        if (i)
            sl_buffer_add(scratch, (struct sl_slice){&between, 1});
        sl_buffer_add(scratch, pieces->list[i]);
    }
    return sl_arena_copy(arena, sl_buffer_slice(scratch));
}

static struct sl_slice write_param(
    const struct sl_search_param *param, struct sl_arena *arena, struct sl_buffer *scratch)
{
    if (param->terms) {
        start_over(scratch);
        sl_buffer_printf(scratch, "%.*s=", SL_FMT(param->name));
        put_encoded(scratch, param->values[0].text); /* as written: it has a grammar of its own */
        return sl_arena_copy(arena, sl_buffer_slice(scratch));
    }
    struct pieces values = {sl_arena_array(arena, param->value_count, sizeof(struct sl_slice)), 0};
    for (size_t i = 0; values.list && i < param->value_count; i++) {
        start_over(scratch);
        if (param->values[i].parts)
            put_parts(scratch, param, &param->values[i]);
        else
            put_value(scratch, param, &param->values[i]);
        values.list[values.count++] = sl_arena_copy(arena, sl_buffer_slice(scratch));
    }
    settle(&values);
    /* The type of subject:Patient=x has gone into its values. */
    bool modified = param->modifier.len && param->how != SL_MODIFIER_TYPE;
    struct sl_slice head = sl_arena_printf(arena, "%.*s%s%.*s=", SL_FMT(param->name), modified ? ":" : "",
        modified ? (int)param->modifier.len : 0, modified ? param->modifier.ptr : "");
    return join(scratch, arena, head, &values, ',');
}

static struct sl_slice write_include(const struct sl_include *include, struct sl_arena *arena)
{
    return sl_arena_printf(arena, "%s%s=%.*s:%.*s%s%.*s", include->reverse ? "_revinclude" : "_include",
        include->iterate ? ":iterate" : "", SL_FMT(include->source), SL_FMT(include->param),
        include->target.len ? ":" : "", SL_FMT(include->target));
}

/* As it was written: its values mean what they mean on the types it leads to. */
static struct sl_slice write_step(const struct sl_search_step *step, struct sl_arena *arena, struct sl_buffer *scratch)
{
    start_over(scratch);
    if (step->kind == SL_SEARCH_LIST)
        sl_buffer_add(scratch, SL_LIT("_list"));
    else if (step->kind == SL_SEARCH_HAS)
        sl_buffer_printf(scratch, "_has:%.*s:%s:", SL_FMT(step->type), step->param->name);
    else
        sl_buffer_printf(scratch, "%s%s%.*s.", step->param->name, step->type.len ? ":" : "", SL_FMT(step->type));
    put_encoded(scratch, step->rest);
    sl_buffer_add(scratch, SL_LIT("="));
    put_encoded(scratch, step->text);
    return sl_arena_copy(arena, sl_buffer_slice(scratch));
}

/* "-date,name": in the order in which they count. */
static struct sl_slice write_sorts(const struct sl_search *search, struct sl_arena *arena, struct sl_buffer *scratch)
{
    start_over(scratch);
    for (size_t i = 0; i < search->sort_count; i++)
        sl_buffer_printf(scratch, "%s%s%s", i ? "," : "_sort=", search->sorts[i].descending ? "-" : "",
            search->sorts[i].param->name);
    return sl_arena_copy(arena, sl_buffer_slice(scratch));
}

static void add_result(
    struct pieces *pieces, struct sl_arena *arena, struct sl_buffer *scratch, const char *name, struct sl_slice value)
{
    if (value.len == 0)
        return;
    start_over(scratch);
    sl_buffer_printf(scratch, "%s=", name);
    put_encoded(scratch, value);
    pieces->list[pieces->count++] = sl_arena_copy(arena, sl_buffer_slice(scratch));
}

enum sl_status sl_search_write(const struct sl_search *search, struct sl_arena *arena, struct sl_slice *out)
{
    struct sl_buffer scratch;
    struct pieces pieces = {sl_arena_array(arena, search->param_count + search->step_count + search->include_count + 5,
                                sizeof(struct sl_slice)),
        0};
    *out = (struct sl_slice){NULL, 0};
    if (!pieces.list)
        return SL_NO_MEMORY;
    sl_buffer_init(&scratch, 4 * (size_t)SL_SEARCH_QUERY);
    for (size_t i = 0; i < search->param_count; i++)
        pieces.list[pieces.count++] = write_param(&search->params[i], arena, &scratch);
    for (size_t i = 0; i < search->include_count; i++)
        pieces.list[pieces.count++] = write_include(&search->includes[i], arena);
    for (size_t i = 0; i < search->step_count; i++)
        if (!search->steps[i].place) /* else it stands in its _filter */
            pieces.list[pieces.count++] = write_step(&search->steps[i], arena, &scratch);
    if (search->sort_count)
        pieces.list[pieces.count++] = write_sorts(search, arena, &scratch);
    if (search->count)
        add_result(&pieces, arena, &scratch, "_count", sl_arena_printf(arena, "%zu", search->count));
    add_result(&pieces, arena, &scratch, "_elements", search->elements);
    add_result(&pieces, arena, &scratch, "_summary", search->summary);
    add_result(&pieces, arena, &scratch, "_total", search->total);
    settle(&pieces);
    struct sl_slice written = join(&scratch, arena, SL_LIT(""), &pieces, '&');
    bool failed = sl_buffer_failed(&scratch) || sl_arena_failed(arena);
    sl_buffer_fini(&scratch);
    if (failed)
        return SL_NO_MEMORY;
    *out = written;
    return SL_OK;
}
