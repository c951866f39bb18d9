/* SPDX-License-Identifier: Apache-2.0 */
/* The path of a span: see sluice/path.h. One way down from the root, once to measure and once to write. */
#include "sluice/path.h"

#include <stdio.h>

#include "sluice/r4_names.h"

struct writer {
    char *out; /* NULL: only measure */
    size_t len;
};

static void put(struct writer *w, struct sl_slice text)
{
    if (w->out && text.len)
        memcpy(w->out + w->len, text.ptr, text.len);
    w->len += text.len;
}

static void put_place(struct writer *w, uint32_t place)
{
    char text[16];
    int len = snprintf(text, sizeof text, "[%u]", (unsigned)place);
    put(w, (struct sl_slice){text, (size_t)len});
}

static void put_type(struct writer *w, const struct sl_doc *doc, uint32_t root)
{
    uint32_t type = doc->spans[root].type == SL_SPAN_OBJECT ? sl_span_member(doc, root, SL_NAME_resourceType) : 0;
    if (type)
        put(w, sl_span_raw(doc, type));
}

/* The child of `at` that holds `span`, and its place among the children; sought from where the one before it was found,
 * if that was in the same container and is not beyond. */
static struct sl_path_place step_down(
    const struct sl_doc *doc, uint32_t at, uint32_t span, struct sl_path_place *before)
{
    struct sl_path_place here = {.container = at, .child = at + 1};
    if (before && before->child && before->container == at && before->child <= span)
        here = *before;
    for (; doc->spans[here.child].next <= span; here.place++)
        here.child = doc->spans[here.child].next;
    if (before)
        *before = here;
    return here;
}

static void put_path(
    struct writer *w, const struct sl_doc *doc, uint32_t root, uint32_t span, struct sl_path_places *places)
{
    unsigned depth = 0;
    put_type(w, doc, root);
    for (uint32_t at = root; at != span; depth++) {
        struct sl_path_place *before = places && depth < SL_PATH_DEPTH ? &places->at[depth] : NULL;
        struct sl_path_place step = step_down(doc, at, span, before);
        uint32_t place = step.place, child = step.child;
        if (doc->spans[at].type == SL_SPAN_ARRAY) {
            put_place(w, place);
        } else {
            if (w->len)
                put(w, SL_LIT("."));
            put(w, sl_span_key(doc, child));
        }
        at = child;
    }
}

struct sl_slice sl_span_path_next(
    const struct sl_doc *doc, uint32_t root, uint32_t span, struct sl_path_places *places, struct sl_arena *arena)
{
    if (root >= doc->count || span < root || span >= doc->spans[root].next)
        return SL_LIT("");
    struct writer measure = {NULL, 0};
    put_path(&measure, doc, root, span, places);
    struct writer w = {sl_arena_raw(arena, measure.len + 1, 1), 0};
    if (!w.out)
        return (struct sl_slice){NULL, 0};
    put_path(&w, doc, root, span, places);
    w.out[w.len] = '\0';
    return (struct sl_slice){w.out, w.len};
}

struct sl_slice sl_span_path(const struct sl_doc *doc, uint32_t root, uint32_t span, struct sl_arena *arena)
{
    return sl_span_path_next(doc, root, span, NULL, arena);
}
