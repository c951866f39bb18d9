/* SPDX-License-Identifier: Apache-2.0 */
/* A JSON text that can be changed: see patch_tree.h. */
#include "patch_tree.h"

#include "sluice/buffer.h"

#define DEPTH 128u /* twice what a document may have */

bool sl_tree_fail(struct sl_tree *tree, enum sl_status status, const char *why)
{
    if (tree->status == SL_OK) {
        tree->status = status;
        tree->why = why;
    }
    return false;
}

static bool spend(struct sl_tree *tree, size_t steps)
{
    if (tree->status != SL_OK)
        return false;
    if (tree->work < steps) {
        tree->work = 0;
        return sl_tree_fail(tree, SL_LIMIT, "the patch is too much work");
    }
    tree->work -= steps;
    return true;
}

static struct sl_twig *make(struct sl_tree *tree)
{
    struct sl_twig *twig = spend(tree, 1) ? sl_arena_alloc(tree->arena, sizeof *twig) : NULL;
    if (!twig)
        (void)sl_tree_fail(tree, SL_NO_MEMORY, "memory ran out");
    return twig;
}

struct sl_twig *sl_twig_of(struct sl_tree *tree, const struct sl_doc *doc, uint32_t span)
{
    struct sl_twig *twig = make(tree);
    if (!twig)
        return NULL;
    twig->doc = doc;
    twig->span = span;
    twig->type = doc->spans[span].type;
    return twig;
}

struct sl_twig *sl_twig_new(struct sl_tree *tree, enum sl_span_type type)
{
    struct sl_twig *twig = make(tree);
    if (!twig)
        return NULL;
    twig->type = (uint8_t)type;
    twig->open = true;
    return twig;
}

void sl_twig_put(struct sl_twig *parent, struct sl_twig *twig, struct sl_twig *before)
{
    twig->parent = parent;
    twig->next = before;
    twig->prev = before ? before->prev : parent->last;
    if (twig->prev)
        twig->prev->next = twig;
    else
        parent->first = twig;
    if (before)
        before->prev = twig;
    else
        parent->last = twig;
    parent->count++;
}

void sl_twig_take(struct sl_twig *twig)
{
    struct sl_twig *parent = twig->parent;
    if (!parent)
        return;
    if (twig->prev)
        twig->prev->next = twig->next;
    else
        parent->first = twig->next;
    if (twig->next)
        twig->next->prev = twig->prev;
    else
        parent->last = twig->prev;
    parent->count--;
    twig->parent = twig->prev = twig->next = NULL;
}

void sl_twig_replace(struct sl_tree *tree, struct sl_twig *old, struct sl_twig *new)
{
    struct sl_twig *parent = old->parent, *next = old->next;
    new->key = old->key;
    if (!parent) {
        tree->root = new;
        return;
    }
    sl_twig_take(old);
    sl_twig_put(parent, new, next);
}

bool sl_twig_open(struct sl_tree *tree, struct sl_twig *twig)
{
    const struct sl_doc *doc = twig->doc;
    if (twig->type != SL_SPAN_OBJECT && twig->type != SL_SPAN_ARRAY)
        return false;
    if (twig->open)
        return tree->status == SL_OK;
    for (uint32_t c = twig->span + 1; c < doc->spans[twig->span].next; c = doc->spans[c].next) {
        struct sl_twig *child = sl_twig_of(tree, doc, c);
        if (!child)
            return false;
        child->key = sl_span_key(doc, c);
        sl_twig_put(twig, child, NULL);
    }
    twig->open = true;
    return true;
}

/* Moves and copies can put a tree into a tree, again and again. */
static bool is_too_deep(struct sl_tree *tree, unsigned depth)
{
    if (depth > DEPTH)
        (void)sl_tree_fail(tree, SL_LIMIT, "what comes of the patch is too deep");
    return depth > DEPTH;
}

static struct sl_twig *copy_twig(struct sl_tree *tree, const struct sl_twig *twig, unsigned depth)
{
    struct sl_twig *copy = is_too_deep(tree, depth) ? NULL : make(tree);
    if (!copy)
        return NULL;
    *copy = (struct sl_twig){
        .key = twig->key, .doc = twig->doc, .span = twig->span, .type = twig->type, .open = twig->open};
    for (const struct sl_twig *c = twig->first; twig->open && c; c = c->next) {
        struct sl_twig *child = copy_twig(tree, c, depth + 1);
        if (!child)
            return NULL;
        sl_twig_put(copy, child, NULL);
    }
    return copy;
}

struct sl_twig *sl_twig_copy(struct sl_tree *tree, const struct sl_twig *twig)
{
    return copy_twig(tree, twig, 0);
}

struct sl_twig *sl_twig_member(struct sl_tree *tree, struct sl_twig *object, struct sl_slice key)
{
    if (object->type != SL_SPAN_OBJECT || !sl_twig_open(tree, object) || !spend(tree, object->count))
        return NULL;
    for (struct sl_twig *c = object->first; c; c = c->next)
        if (sl_slice_eq(c->key, key))
            return c;
    return NULL;
}

struct sl_twig *sl_twig_entry(struct sl_tree *tree, struct sl_twig *array, uint32_t index)
{
    if (array->type != SL_SPAN_ARRAY || !sl_twig_open(tree, array) || index >= array->count || !spend(tree, index))
        return NULL;
    struct sl_twig *c = array->first;
    while (index--)
        c = c->next;
    return c;
}

/* ---- Writing ---- */

struct writing {
    struct sl_tree *tree;
    struct sl_buffer *out;
    bool prune;
};

static bool is_empty(const struct writing *w, const struct sl_twig *twig, unsigned depth)
{
    if (!twig->open || !w->prune || is_too_deep(w->tree, depth))
        return false;
    for (const struct sl_twig *c = twig->first; c; c = c->next)
        if (!is_empty(w, c, depth + 1) && (twig->type == SL_SPAN_OBJECT || c->type != SL_SPAN_NULL))
            return false;
    return true;
}

static void write(const struct writing *w, const struct sl_twig *twig, unsigned depth)
{
    struct sl_buffer *out = w->out;
    bool object = twig->type == SL_SPAN_OBJECT, any = false;
    if (is_too_deep(w->tree, depth))
        return;
    if (!twig->open) {
        sl_buffer_add(out, sl_span_text(twig->doc, twig->span));
        return;
    }
    sl_buffer_add(out, object ? SL_LIT("{") : SL_LIT("["));
    for (const struct sl_twig *c = twig->first; c; c = c->next) {
        if (is_empty(w, c, depth + 1))
            continue;
        if (any)
            sl_buffer_add(out, SL_LIT(","));
        any = true;
        if (object) {
            sl_buffer_add(out, SL_LIT("\""));
            sl_buffer_add(out, c->key);
            sl_buffer_add(out, SL_LIT("\":"));
        }
        write(w, c, depth + 1);
    }
    sl_buffer_add(out, object ? SL_LIT("}") : SL_LIT("]"));
}

enum sl_status sl_twig_write(struct sl_tree *tree, const struct sl_twig *twig, bool prune, struct sl_slice *out)
{
    struct sl_buffer text;
    sl_buffer_init(&text, SL_PATCH_BYTES);
    write(&(struct writing){tree, &text, prune}, twig, 0);
    bool failed = sl_buffer_failed(&text);
    if (!failed && spend(tree, text.len / 64 + 1))
        *out = sl_arena_copy(tree->arena, sl_buffer_slice(&text));
    sl_buffer_fini(&text);
    if (failed)
        (void)sl_tree_fail(tree, SL_LIMIT, "too much comes of the patch");
    else if (tree->status == SL_OK && !out->ptr)
        (void)sl_tree_fail(tree, SL_NO_MEMORY, "memory ran out");
    return tree->status;
}
