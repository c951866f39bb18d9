/* SPDX-License-Identifier: Apache-2.0 */
/* JSON Patch (RFC 6902) and JSON Pointer (RFC 6901): see sluice/patch.h. */
#include "patch_tree.h"

#include <stdlib.h>

#define WORK ((size_t)1 << 20) /* steps: twigs made and passed, and bytes compared, by 64 */
#define DIGITS 19u             /* of an index */
#define COMPARED 512u          /* members of one object; no element of R4 has as many */

struct operation {
    const char *name;
    bool from, value;
    bool (*apply)(struct sl_tree *tree, const struct sl_doc *patch, uint32_t operation);
};

/* ---- Pointers ---- */

/* A pointer, and what is left of it. */
struct pointer {
    struct sl_slice rest;
};

static bool is_pointer(struct sl_slice text)
{
    if (text.len && text.ptr[0] != '/')
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] == '~' && (i + 1 == text.len || (text.ptr[i + 1] != '0' && text.ptr[i + 1] != '1')))
            return false;
    return true;
}

/* "~1" is "/", and "~0" is "~". */
static struct sl_slice unescape(struct sl_tree *tree, struct sl_slice token)
{
    if (!token.len || !memchr(token.ptr, '~', token.len))
        return token;
    char *text = sl_arena_raw(tree->arena, token.len, 1);
    size_t len = 0;
    for (size_t i = 0; text && i < token.len; i++) {
        bool escape = token.ptr[i] == '~';
        text[len++] = !escape ? token.ptr[i] : token.ptr[++i] == '1' ? '/' : '~';
    }
    return (struct sl_slice){text, len};
}

static struct sl_slice next_token(struct sl_tree *tree, struct pointer *pointer)
{
    struct sl_slice rest = sl_slice_from(pointer->rest, 1);
    const char *end = rest.len ? memchr(rest.ptr, '/', rest.len) : NULL;
    size_t len = end ? (size_t)(end - rest.ptr) : rest.len;
    pointer->rest = sl_slice_from(rest, len);
    if (!rest.ptr)
        return SL_LIT("");
    return unescape(tree, (struct sl_slice){rest.ptr, len});
}

/* "0", or digits that do not begin with it. */
static bool read_index(struct sl_slice token, uint32_t *index)
{
    uint64_t value = 0;
    if (!token.len || token.len > DIGITS || (token.len > 1 && token.ptr[0] == '0'))
        return false;
    for (size_t i = 0; i < token.len; i++) {
        if (token.ptr[i] < '0' || token.ptr[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(token.ptr[i] - '0');
    }
    *index = value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
    return true;
}

static struct sl_twig *child_of(struct sl_tree *tree, struct sl_twig *twig, struct sl_slice token)
{
    uint32_t index;
    if (twig->type == SL_SPAN_OBJECT)
        return sl_twig_member(tree, twig, token);
    return read_index(token, &index) ? sl_twig_entry(tree, twig, index) : NULL;
}

/* What the pointer names; NULL, and failed, if there is nothing. */
static struct sl_twig *find(struct sl_tree *tree, struct sl_slice path)
{
    struct pointer pointer = {path};
    struct sl_twig *at = tree->root;
    while (at && pointer.rest.len)
        at = child_of(tree, at, next_token(tree, &pointer));
    if (!at)
        (void)sl_tree_fail(tree, SL_UNPROCESSABLE, "a path names nothing that is there");
    return at;
}

/* What holds the place that the pointer names, and its last token. */
static struct sl_twig *find_parent(struct sl_tree *tree, struct sl_slice path, struct sl_slice *last)
{
    size_t slash = path.len - 1;
    while (path.ptr[slash] != '/')
        slash--;
    struct sl_twig *parent = find(tree, (struct sl_slice){path.ptr, slash});
    *last = unescape(tree, sl_slice_from(path, slash + 1));
    return parent;
}

/* ---- Operations ---- */

static bool is_name(struct sl_slice key)
{
    for (size_t i = 0; i < key.len; i++)
        if ((unsigned char)key.ptr[i] < ' ' || key.ptr[i] == '"' || key.ptr[i] == '\\')
            return false;
    return key.len > 0;
}

static bool add_member(struct sl_tree *tree, struct sl_twig *object, struct sl_slice key, struct sl_twig *value)
{
    struct sl_twig *old = sl_twig_member(tree, object, key);
    if (tree->status != SL_OK || !is_name(key))
        return sl_tree_fail(tree, SL_BAD_SYNTAX, "a name that no property has");
    if (old) {
        sl_twig_replace(tree, old, value);
        return true;
    }
    value->key = key;
    sl_twig_put(object, value, NULL);
    return true;
}

static bool add_entry(struct sl_tree *tree, struct sl_twig *array, struct sl_slice token, struct sl_twig *value)
{
    uint32_t index = 0;
    bool end = sl_slice_eq(token, SL_LIT("-"));
    if (!sl_twig_open(tree, array) || (!end && !read_index(token, &index)) || (!end && index > array->count))
        return sl_tree_fail(tree, SL_UNPROCESSABLE, "an index beyond the end");
    struct sl_twig *before = end || index == array->count ? NULL : sl_twig_entry(tree, array, index);
    value->key = (struct sl_slice){NULL, 0};
    sl_twig_put(array, value, before);
    return tree->status == SL_OK;
}

static bool add_at(struct sl_tree *tree, struct sl_slice path, struct sl_twig *value)
{
    struct sl_slice last;
    if (!value)
        return false;
    if (!path.len) {
        tree->root = value;
        return true;
    }
    struct sl_twig *parent = find_parent(tree, path, &last);
    if (!parent)
        return false;
    if (parent->type == SL_SPAN_OBJECT)
        return add_member(tree, parent, last, value);
    if (parent->type == SL_SPAN_ARRAY)
        return add_entry(tree, parent, last, value);
    return sl_tree_fail(tree, SL_UNPROCESSABLE, "a path names nothing that is there");
}

static struct sl_slice text_at(struct sl_tree *tree, const struct sl_doc *patch, uint32_t operation, const char *key)
{
    uint32_t member = sl_span_member_key(patch, operation, sl_slice_of(key));
    struct sl_slice text = member ? sl_span_string(patch, member, tree->arena) : (struct sl_slice){NULL, 0};
    if (!text.ptr)
        (void)sl_tree_fail(tree, SL_BAD_SYNTAX, "an operation without what it needs");
    else if (!is_pointer(text) && key[0] != 'o')
        (void)sl_tree_fail(tree, SL_BAD_SYNTAX, "a path that is no JSON Pointer");
    return text;
}

static struct sl_twig *value_at(struct sl_tree *tree, const struct sl_doc *patch, uint32_t operation)
{
    return sl_twig_of(tree, patch, sl_span_member_key(patch, operation, SL_LIT("value")));
}

static bool apply_add(struct sl_tree *tree, const struct sl_doc *patch, uint32_t operation)
{
    return add_at(tree, text_at(tree, patch, operation, "path"), value_at(tree, patch, operation));
}

static bool apply_remove(struct sl_tree *tree, const struct sl_doc *patch, uint32_t operation)
{
    struct sl_twig *twig = find(tree, text_at(tree, patch, operation, "path"));
    if (twig && !twig->parent)
        return sl_tree_fail(tree, SL_UNPROCESSABLE, "the record itself cannot be taken away");
    if (twig)
        sl_twig_take(twig);
    return twig != NULL;
}

static bool apply_replace(struct sl_tree *tree, const struct sl_doc *patch, uint32_t operation)
{
    struct sl_twig *twig = find(tree, text_at(tree, patch, operation, "path"));
    struct sl_twig *value = twig ? value_at(tree, patch, operation) : NULL;
    if (value)
        sl_twig_replace(tree, twig, value);
    return value != NULL;
}

static bool apply_move(struct sl_tree *tree, const struct sl_doc *patch, uint32_t operation)
{
    struct sl_slice from = text_at(tree, patch, operation, "from"), path = text_at(tree, patch, operation, "path");
    if (sl_slice_starts(path, from) && path.len > from.len && path.ptr[from.len] == '/')
        return sl_tree_fail(tree, SL_UNPROCESSABLE, "something cannot be moved into itself");
    struct sl_twig *twig = find(tree, from);
    if (!twig || sl_slice_eq(from, path))
        return twig != NULL;
    if (!twig->parent)
        return sl_tree_fail(tree, SL_UNPROCESSABLE, "the record itself cannot be moved");
    sl_twig_take(twig);
    return add_at(tree, path, twig);
}

static bool apply_copy(struct sl_tree *tree, const struct sl_doc *patch, uint32_t operation)
{
    struct sl_twig *twig = find(tree, text_at(tree, patch, operation, "from"));
    return twig && add_at(tree, text_at(tree, patch, operation, "path"), sl_twig_copy(tree, twig));
}

/* ---- test: equal as RFC 6902 section 4.6 has it ---- */

/* A decimal as digits without zeros at either end, and where the point stands. */
struct decimal {
    bool negative;
    char digits[64];
    size_t count;
    long point; /* 0.digits times ten to the power of this */
};

static bool read_decimal(struct sl_slice text, struct decimal *out)
{
    long exponent = 0, whole = 0;
    bool fraction = false;
    char digits[9] = "";
    size_t i = 0;
    *out = (struct decimal){.negative = text.len && text.ptr[0] == '-'};
    for (i = out->negative; i < text.len && text.ptr[i] != 'e' && text.ptr[i] != 'E'; i++) {
        if (text.ptr[i] == '.') {
            fraction = true;
            continue;
        }
        bool leading = !out->count && text.ptr[i] == '0';
        whole += leading ? -(long)fraction : !fraction;
        if (leading)
            continue;
        if (out->count == sizeof out->digits)
            return false;
        out->digits[out->count++] = text.ptr[i];
    }
    if (i < text.len && text.len - i > 8)
        return false;
    if (i < text.len) {
        memcpy(digits, text.ptr + i + 1, text.len - i - 1);
        exponent = strtol(digits, NULL, 10);
    }
    while (out->count && out->digits[out->count - 1] == '0')
        out->count--;
    out->point = out->count ? whole + exponent : 0;
    out->negative &= out->count > 0;
    return true;
}

static bool same_number(struct sl_slice a, struct sl_slice b)
{
    struct decimal x, y;
    if (sl_slice_eq(a, b))
        return true;
    return read_decimal(a, &x) && read_decimal(b, &y) && x.negative == y.negative && x.point == y.point &&
           x.count == y.count && memcmp(x.digits, y.digits, x.count) == 0;
}

static bool same(const struct sl_doc *a, uint32_t x, const struct sl_doc *b, uint32_t y, struct sl_arena *arena);

static bool same_object(const struct sl_doc *a, uint32_t x, const struct sl_doc *b, uint32_t y, struct sl_arena *arena)
{
    uint32_t mine = 0, its = 0;
    for (uint32_t c = y + 1; c < b->spans[y].next; c = b->spans[c].next)
        its++;
    for (uint32_t c = x + 1; c < a->spans[x].next; c = a->spans[c].next) {
        uint32_t other = ++mine <= COMPARED && mine <= its ? sl_span_member_key(b, y, sl_span_key(a, c)) : 0;
        if (!other || !same(a, c, b, other, arena))
            return false;
    }
    return mine == its;
}

static bool same_array(const struct sl_doc *a, uint32_t x, const struct sl_doc *b, uint32_t y, struct sl_arena *arena)
{
    uint32_t c = x + 1, k = y + 1;
    for (; c < a->spans[x].next && k < b->spans[y].next; c = a->spans[c].next, k = b->spans[k].next)
        if (!same(a, c, b, k, arena))
            return false;
    return c == a->spans[x].next && k == b->spans[y].next;
}

static bool same(const struct sl_doc *a, uint32_t x, const struct sl_doc *b, uint32_t y, struct sl_arena *arena)
{
    if (a->spans[x].type != b->spans[y].type)
        return false;
    switch ((enum sl_span_type)a->spans[x].type) {
    case SL_SPAN_OBJECT:
        return same_object(a, x, b, y, arena);
    case SL_SPAN_ARRAY:
        return same_array(a, x, b, y, arena);
    case SL_SPAN_STRING:
        return sl_slice_eq(sl_span_string(a, x, arena), sl_span_string(b, y, arena));
    case SL_SPAN_NUMBER:
        return same_number(sl_span_text(a, x), sl_span_text(b, y));
    case SL_SPAN_NONE:
    case SL_SPAN_TRUE:
    case SL_SPAN_FALSE:
    case SL_SPAN_NULL:
        break;
    }
    return true;
}

static bool apply_test(struct sl_tree *tree, const struct sl_doc *patch, uint32_t operation)
{
    struct sl_twig *twig = find(tree, text_at(tree, patch, operation, "path"));
    uint32_t value = sl_span_member_key(patch, operation, SL_LIT("value"));
    struct sl_doc doc;
    struct sl_slice text = {NULL, 0};
    if (!twig || sl_twig_write(tree, twig, false, &text) != SL_OK)
        return false;
    enum sl_status status = sl_doc_parse(tree->arena, text, NULL, &doc, NULL);
    if (status != SL_OK)
        return sl_tree_fail(tree, status == SL_NO_MEMORY ? SL_NO_MEMORY : SL_LIMIT, "what is tested is too large");
    return same(&doc, 0, patch, value, tree->arena) || sl_tree_fail(tree, SL_UNPROCESSABLE, "a test fails");
}

static const struct operation operations[] = {
    {"add", false, true, apply_add},
    {"remove", false, false, apply_remove},
    {"replace", false, true, apply_replace},
    {"move", true, false, apply_move},
    {"copy", true, false, apply_copy},
    {"test", false, true, apply_test},
};

static const struct operation *find_operation(struct sl_slice word)
{
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
        if (sl_slice_eq(word, sl_slice_of(operations[i].name)))
            return &operations[i];
    return NULL;
}

static bool apply_one(struct sl_tree *tree, const struct sl_doc *patch, uint32_t at)
{
    if (patch->spans[at].type != SL_SPAN_OBJECT)
        return sl_tree_fail(tree, SL_BAD_SYNTAX, "an operation is an object");
    const struct operation *operation = find_operation(text_at(tree, patch, at, "op"));
    if (!operation)
        return sl_tree_fail(tree, SL_BAD_SYNTAX, "no such operation");
    if (operation->value && !sl_span_member_key(patch, at, SL_LIT("value")))
        return sl_tree_fail(tree, SL_BAD_SYNTAX, "an operation without what it needs");
    (void)text_at(tree, patch, at, "path");
    if (operation->from)
        (void)text_at(tree, patch, at, "from");
    return tree->status == SL_OK && operation->apply(tree, patch, at);
}

/* All or nothing: the first that cannot be done ends it. */
static bool apply_all(struct sl_tree *tree, const struct sl_doc *patch)
{
    unsigned count = 0;
    if (!patch->count || patch->spans[0].type != SL_SPAN_ARRAY)
        return sl_tree_fail(tree, SL_BAD_SYNTAX, "a patch is a list of operations");
    for (uint32_t c = 1; c < patch->spans[0].next; c = patch->spans[c].next) {
        if (++count > SL_PATCH_OPERATIONS)
            return sl_tree_fail(tree, SL_LIMIT, "too many operations");
        if (!apply_one(tree, patch, c))
            return false;
    }
    return true;
}

enum sl_status sl_patch_apply(
    const struct sl_patch *patch, struct sl_arena *arena, struct sl_slice *out, const char **why)
{
    struct sl_tree tree = {.arena = arena, .work = WORK};
    tree.root = sl_twig_of(&tree, patch->view, patch->view_root);
    *out = (struct sl_slice){NULL, 0};
    bool done =
        tree.root && (patch->form == SL_PATCH_JSON ? apply_all(&tree, patch->doc) : sl_patch_fhir(&tree, patch->doc));
    if (done && tree.status == SL_OK)
        done = sl_twig_write(&tree, tree.root, true, out) == SL_OK;
    if (sl_arena_failed(arena))
        (void)sl_tree_fail(&tree, SL_NO_MEMORY, "memory ran out");
    *why = tree.why;
    return tree.status;
}
