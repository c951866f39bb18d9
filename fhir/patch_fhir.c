/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FHIRPath Patch (http://hl7.org/fhir/R4/fhirpatch.html): a Parameters resource of operations, each with the path of
 * an element. Of FHIRPath, what names a place; see sluice/patch.h.
 */
#include <stdlib.h>

#include "patch_tree.h"
#include "sluice/buffer.h"

#define FOUND 1024u /* elements that a path may lead to on its way */
#define STEPS 64u   /* of one path */

/* An element: a value of a member, or of an entry of one, with its '_' half. Either may be NULL. */
struct element {
    struct sl_twig *value, *half;
    sl_r4_node node;                      /* of the value */
    const struct sl_r4_element *property; /* NULL: the record itself */
};

struct found {
    struct element at[FOUND];
    unsigned count;
};

/* Room for the steps of a path, and for those of a condition within it; used again for the next. */
static struct found *rooms_of(struct sl_tree *tree, bool within)
{
    if (!tree->rooms)
        tree->rooms = sl_arena_raw(tree->arena, 4, sizeof(struct found));
    struct found *rooms = tree->rooms;
    return rooms && within ? rooms + 2 : rooms;
}

/* ---- The table along the tree ---- */

static struct sl_slice text_of(struct sl_tree *tree, const struct sl_twig *twig)
{
    if (!twig || !twig->doc || twig->type != SL_SPAN_STRING)
        return (struct sl_slice){NULL, 0};
    return sl_span_string(twig->doc, twig->span, tree->arena);
}

static sl_r4_node node_of(struct sl_tree *tree, struct sl_twig *value, const struct sl_r4_element *property)
{
    if (property && !(property->flags & SL_R4_RESOURCE))
        return property->node;
    struct sl_twig *type = value ? sl_twig_member(tree, value, SL_LIT("resourceType")) : NULL;
    return type ? sl_r4_resource(text_of(tree, type)) : 0;
}

/* "value" of value[x]: a property of a choice whose name goes on with a capital letter. */
static bool is_choice_of(const struct sl_r4_element *property, struct sl_slice name)
{
    struct sl_slice full = sl_name_text(property->name);
    return property->choice && full.len > name.len && sl_slice_starts(full, name) && full.ptr[name.len] >= 'A' &&
           full.ptr[name.len] <= 'Z';
}

static const struct sl_r4_element *property_of(sl_r4_node node, struct sl_slice name)
{
    return sl_r4_element(node, sl_name_find(name.ptr, name.len));
}

static struct sl_slice half_key(struct sl_tree *tree, const struct sl_r4_element *property)
{
    return sl_arena_printf(tree->arena, "_%.*s", SL_FMT(sl_name_text(property->name)));
}

static bool add_found(struct sl_tree *tree, struct found *found, struct sl_twig *value, struct sl_twig *half,
    const struct sl_r4_element *property)
{
    if (found->count == FOUND)
        return sl_tree_fail(tree, SL_LIMIT, "a path leads to too many elements");
    found->at[found->count++] = (struct element){value, half, node_of(tree, value, property), property};
    return tree->status == SL_OK;
}

/* The values of one property: the one there is, or each entry. */
static bool add_values(
    struct sl_tree *tree, struct sl_twig *object, const struct sl_r4_element *property, struct found *found)
{
    struct sl_twig *value = sl_twig_member(tree, object, sl_name_text(property->name));
    struct sl_twig *half = sl_twig_member(tree, object, half_key(tree, property));
    if (!value && !half)
        return tree->status == SL_OK;
    if (!(property->flags & SL_R4_MANY))
        return add_found(tree, found, value, half, property);
    bool values = value && sl_twig_open(tree, value), halves = half && sl_twig_open(tree, half);
    struct sl_twig *v = values ? value->first : NULL, *h = halves ? half->first : NULL;
    for (; v || h; v = v ? v->next : NULL, h = h ? h->next : NULL)
        if (!add_found(tree, found, v, h, property))
            return false;
    return tree->status == SL_OK;
}

static bool step_to(struct sl_tree *tree, const struct found *from, struct sl_slice name, struct found *to)
{
    to->count = 0;
    for (unsigned i = 0; i < from->count; i++) {
        const struct element *at = &from->at[i];
        size_t count;
        const struct sl_r4_element *all = sl_r4_elements(at->node, &count), *one = property_of(at->node, name);
        for (size_t k = 0; at->value && k < count; k++)
            if ((&all[k] == one || all[k].name == (one ? one->name : 0) || (!one && is_choice_of(&all[k], name))) &&
                !add_values(tree, at->value, &all[k], to))
                return false;
    }
    return tree->status == SL_OK;
}

/* ---- Paths ---- */

struct reader {
    struct sl_tree *tree;
    struct sl_slice rest;
};

static bool bad_path(struct reader *r)
{
    return sl_tree_fail(r->tree, SL_BAD_SYNTAX, "a path that is no FHIRPath, or more of it than is taken");
}

static void skip_space(struct reader *r)
{
    while (r->rest.len && r->rest.ptr[0] == ' ')
        r->rest = sl_slice_from(r->rest, 1);
}

static bool take(struct reader *r, const char *text)
{
    skip_space(r);
    if (!sl_slice_starts(r->rest, sl_slice_of(text)))
        return false;
    r->rest = sl_slice_from(r->rest, strlen(text));
    return true;
}

static bool is_letter(char c, bool first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (!first && c >= '0' && c <= '9');
}

static struct sl_slice take_name(struct reader *r)
{
    size_t len = 0;
    skip_space(r);
    while (len < r->rest.len && is_letter(r->rest.ptr[len], len == 0))
        len++;
    struct sl_slice name = {r->rest.ptr, len};
    r->rest = sl_slice_from(r->rest, len);
    return name;
}

static bool take_number(struct reader *r, unsigned *number)
{
    size_t len = 0;
    *number = 0;
    skip_space(r);
    for (; len < r->rest.len && len < 9 && r->rest.ptr[len] >= '0' && r->rest.ptr[len] <= '9'; len++)
        *number = *number * 10 + (unsigned)(r->rest.ptr[len] - '0');
    r->rest = sl_slice_from(r->rest, len);
    return len > 0;
}

/* 'text', true, false or a number, as it would stand in the record. */
static bool take_literal(struct reader *r, struct sl_slice *literal, bool *string)
{
    size_t len = 0;
    *string = take(r, "'");
    while (
        len < r->rest.len && (*string ? r->rest.ptr[len] != '\'' : r->rest.ptr[len] != ')' && r->rest.ptr[len] != ' '))
        if (r->rest.ptr[len++] == '\\')
            return false; /* escapes are not taken */
    *literal = (struct sl_slice){r->rest.ptr, len};
    r->rest = sl_slice_from(r->rest, len);
    return *string ? take(r, "'") : len > 0;
}

static bool is_literal(struct sl_tree *tree, const struct element *at, struct sl_slice literal, bool string)
{
    if (!at->value || !at->value->doc || (at->value->type == SL_SPAN_STRING) != string)
        return false;
    return sl_slice_eq(string ? text_of(tree, at->value) : sl_span_text(at->value->doc, at->value->span), literal);
}

static void keep_one(struct found *found, unsigned index)
{
    if (index < found->count)
        found->at[0] = found->at[index];
    found->count = index < found->count;
}

/* A name within the brackets of where(): its elements, none of which is looked at further. */
static bool walk_names(struct reader *r, struct found *from, struct found *to)
{
    struct found *const rooms[2] = {from, to};
    unsigned at = 0;
    do {
        struct sl_slice name = take_name(r);
        if (!name.len)
            return bad_path(r);
        if (!step_to(r->tree, rooms[at], name, rooms[!at]))
            return false;
        at = !at;
    } while (take(r, "."));
    if (!at)
        *to = *from;
    return true;
}

/* where(name = literal): those of which some element of that name is it. */
static bool filter(struct reader *r, struct found *found)
{
    struct found *rooms = rooms_of(r->tree, true);
    struct sl_slice condition = r->rest, literal = {NULL, 0};
    unsigned kept = 0, count = found->count;
    bool string;
    if (!rooms)
        return false;
    rooms[0].count = 0; /* so that what is wrong is found though there is nothing to look at */
    if (!walk_names(r, &rooms[0], &rooms[1]) || !take(r, "=") || !take_literal(r, &literal, &string) || !take(r, ")"))
        return bad_path(r);
    for (unsigned i = 0; i < count; i++) {
        struct reader again = {r->tree, condition};
        bool holds = false;
        rooms[0].at[0] = found->at[i];
        rooms[0].count = 1;
        if (!walk_names(&again, &rooms[0], &rooms[1]))
            return false;
        for (unsigned k = 0; k < rooms[1].count; k++)
            holds |= is_literal(r->tree, &rooms[1].at[k], literal, string);
        if (holds)
            found->at[kept++] = found->at[i];
    }
    found->count = kept;
    return true;
}

/* What may stand behind a name. */
static bool narrow(struct reader *r, struct found *found)
{
    unsigned index;
    for (;;) {
        if (take(r, "[")) {
            if (!take_number(r, &index) || !take(r, "]"))
                return bad_path(r);
            keep_one(found, index);
        } else if (take(r, ".first()")) {
            keep_one(found, 0);
        } else if (take(r, ".last()")) {
            keep_one(found, found->count ? found->count - 1 : 0);
        } else if (take(r, ".where(")) {
            if (!filter(r, found))
                return false;
        } else {
            return true;
        }
    }
}

/* The elements that a path names. *name: of the last step, where it is a name alone (a list may be meant by it); and
 * what that is a property of. */
struct walked {
    struct found *found, *owners;
    struct sl_slice name;
    bool plain;
};

static bool walk(struct sl_tree *tree, struct sl_slice path, struct walked *out)
{
    struct reader r = {tree, path};
    struct found *rooms = rooms_of(tree, false);
    unsigned at = 0;
    if (!rooms)
        return false;
    rooms[0].count = 0;
    if (!add_found(tree, &rooms[0], tree->root, NULL, NULL))
        return false;
    if (!sl_slice_eq(take_name(&r), sl_r4_node_name(rooms[0].at[0].node)))
        return sl_tree_fail(tree, SL_BAD_SYNTAX, "a path begins with the type of the record");
    *out = (struct walked){.plain = false};
    for (unsigned steps = 0; take(&r, "."); steps++) {
        out->name = take_name(&r);
        if (!out->name.len || steps == STEPS)
            return bad_path(&r);
        if (!step_to(tree, &rooms[at], out->name, &rooms[!at]))
            return false;
        at = !at;
        size_t left = r.rest.len;
        if (!narrow(&r, &rooms[at]))
            return false;
        out->plain = r.rest.len == left;
    }
    skip_space(&r);
    out->found = &rooms[at];
    out->owners = &rooms[!at];
    return r.rest.len ? bad_path(&r) : true;
}

static struct element *find_one(struct sl_tree *tree, struct sl_slice path)
{
    struct walked w;
    if (!walk(tree, path, &w))
        return NULL;
    if (w.found->count == 1)
        return &w.found->at[0];
    (void)sl_tree_fail(tree, SL_UNPROCESSABLE, "a path that does not name one element");
    return NULL;
}

/* ---- Operations, as Parameters has them ---- */

static uint32_t part_named(const struct sl_doc *doc, uint32_t parameter, struct sl_slice name)
{
    uint32_t parts = sl_span_member(doc, parameter, SL_NAME_part);
    for (uint32_t c = parts + 1; parts && c < doc->spans[parts].next; c = doc->spans[c].next) {
        uint32_t its = doc->spans[c].type == SL_SPAN_OBJECT ? sl_span_member(doc, c, SL_NAME_name) : 0;
        if (its && sl_span_is(doc, its, name))
            return c;
    }
    return 0;
}

static struct sl_slice part_text(struct sl_tree *tree, const struct sl_doc *doc, uint32_t operation, const char *name)
{
    static const sl_name forms[] = {SL_NAME_valueString, SL_NAME_valueCode};
    uint32_t part = part_named(doc, operation, sl_slice_of(name)), value = 0;
    for (size_t i = 0; part && !value && i < sizeof forms / sizeof *forms; i++)
        value = sl_span_member(doc, part, forms[i]);
    struct sl_slice text = value ? sl_span_string(doc, value, tree->arena) : (struct sl_slice){NULL, 0};
    if (!text.ptr)
        (void)sl_tree_fail(tree, SL_BAD_SYNTAX, "an operation without what it needs");
    return text;
}

static bool part_number(
    struct sl_tree *tree, const struct sl_doc *doc, uint32_t operation, const char *name, uint32_t *out)
{
    uint32_t part = part_named(doc, operation, sl_slice_of(name));
    uint32_t value = part ? sl_span_member(doc, part, SL_NAME_valueInteger) : 0;
    struct sl_slice text = value ? sl_span_text(doc, value) : (struct sl_slice){NULL, 0};
    *out = 0;
    for (size_t i = 0; i < text.len && i < 9; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return sl_tree_fail(tree, SL_BAD_SYNTAX, "a place that is no number");
        *out = *out * 10 + (uint32_t)(text.ptr[i] - '0');
    }
    return text.len && text.len < 10 ? true : sl_tree_fail(tree, SL_BAD_SYNTAX, "an operation without what it needs");
}

/* The value[x] or resource of a parameter, or NULL. *type: "Quantity", of valueQuantity. */
static struct sl_twig *value_of(
    struct sl_tree *tree, const struct sl_doc *doc, uint32_t parameter, struct sl_slice *type)
{
    for (uint32_t c = parameter + 1; c < doc->spans[parameter].next; c = doc->spans[c].next) {
        struct sl_slice key = sl_span_key(doc, c);
        bool value = sl_slice_starts(key, SL_LIT("value")) && key.len > 5;
        if (!value && doc->spans[c].name != SL_NAME_resource)
            continue;
        *type = value ? sl_slice_from(key, 5) : (struct sl_slice){NULL, 0};
        return sl_twig_of(tree, doc, c);
    }
    return NULL;
}

static struct sl_twig *build(
    struct sl_tree *tree, const struct sl_doc *doc, uint32_t parameter, sl_r4_node node, unsigned depth);

static const struct sl_r4_element *property_joined(sl_r4_node node, struct sl_slice name, struct sl_slice type)
{
    char full[128];
    if (name.len + type.len > sizeof full || !type.len)
        return NULL;
    memcpy(full, name.ptr, name.len);
    memcpy(full + name.len, type.ptr, type.len);
    return property_of(node, (struct sl_slice){full, name.len + type.len});
}

/* The property that a value of this type goes to under the name; NULL: none. */
static const struct sl_r4_element *property_for(sl_r4_node node, struct sl_slice name, struct sl_slice type)
{
    const struct sl_r4_element *plain = property_of(node, name);
    return plain ? plain : property_joined(node, name, type);
}

/* The property of the same choice that has values of this type; the same one, if there is none. */
static const struct sl_r4_element *choice_for(const struct sl_r4_element *property, struct sl_slice type)
{
    struct sl_slice full = sl_name_text(property->name);
    for (size_t stem = property->choice ? full.len - 1 : 0; stem; stem--) {
        const struct sl_r4_element *other = property_joined(property->parent, (struct sl_slice){full.ptr, stem}, type);
        if (other && other->choice == property->choice)
            return other;
    }
    return property;
}

/* Puts a value under its property: as the last of several, or as the one there is. */
static bool put_under(
    struct sl_tree *tree, struct sl_twig *object, const struct sl_r4_element *property, struct sl_twig *value)
{
    struct sl_slice key = sl_name_text(property->name);
    struct sl_twig *there = sl_twig_member(tree, object, key), *array = there;
    struct sl_twig *half = sl_twig_member(tree, object, half_key(tree, property));
    if (!(property->flags & SL_R4_MANY)) {
        value->key = key;
        if (there || half)
            return sl_tree_fail(tree, SL_UNPROCESSABLE, "there is such an element already, and may be one");
        sl_twig_put(object, value, NULL);
        return true;
    }
    if (!array) {
        array = sl_twig_new(tree, SL_SPAN_ARRAY);
        if (!array)
            return false;
        array->key = key;
        sl_twig_put(object, array, NULL);
    }
    if (!sl_twig_open(tree, array))
        return sl_tree_fail(tree, SL_UNPROCESSABLE, "an element of another form");
    sl_twig_put(array, value, NULL);
    return tree->status == SL_OK;
}

/* What an operation, or a part of one, says is the value of `name`, and its property. */
static struct sl_twig *value_for(struct sl_tree *tree, const struct sl_doc *doc, uint32_t parameter, sl_r4_node node,
    struct sl_slice name, const struct sl_r4_element **property, unsigned depth)
{
    struct sl_slice type = {NULL, 0};
    struct sl_twig *value = value_of(tree, doc, parameter, &type);
    *property = property_for(node, name, type);
    if (!*property) {
        (void)sl_tree_fail(tree, SL_UNPROCESSABLE, "no such element in R4");
        return NULL;
    }
    return value ? value : build(tree, doc, parameter, (*property)->node, depth + 1);
}

/* An element that no value[x] can hold is told by its parts. */
static struct sl_twig *build(
    struct sl_tree *tree, const struct sl_doc *doc, uint32_t parameter, sl_r4_node node, unsigned depth)
{
    uint32_t parts = sl_span_member(doc, parameter, SL_NAME_part);
    struct sl_twig *object = parts && depth < STEPS ? sl_twig_new(tree, SL_SPAN_OBJECT) : NULL;
    if (!object)
        (void)sl_tree_fail(tree, SL_BAD_SYNTAX, "an operation without a value");
    for (uint32_t c = parts + 1; object && c < doc->spans[parts].next; c = doc->spans[c].next) {
        const struct sl_r4_element *property;
        uint32_t named = doc->spans[c].type == SL_SPAN_OBJECT ? sl_span_member(doc, c, SL_NAME_name) : 0;
        struct sl_slice name = named ? sl_span_string(doc, named, tree->arena) : (struct sl_slice){NULL, 0};
        struct sl_twig *value = name.len ? value_for(tree, doc, c, node, name, &property, depth) : NULL;
        if (!name.len)
            (void)sl_tree_fail(tree, SL_BAD_SYNTAX, "a part without a name");
        if (!value || !put_under(tree, object, property, value))
            return NULL;
    }
    return object;
}

static uint32_t value_part(struct sl_tree *tree, const struct sl_doc *doc, uint32_t operation)
{
    uint32_t part = part_named(doc, operation, SL_LIT("value"));
    if (!part)
        (void)sl_tree_fail(tree, SL_BAD_SYNTAX, "an operation without a value");
    return part;
}

static bool apply_add(struct sl_tree *tree, const struct sl_doc *doc, uint32_t operation, struct sl_slice path)
{
    struct sl_slice name = part_text(tree, doc, operation, "name");
    struct element *to = tree->status == SL_OK ? find_one(tree, path) : NULL;
    uint32_t part = to ? value_part(tree, doc, operation) : 0;
    const struct sl_r4_element *property;
    if (!part)
        return false;
    if (!to->value || to->value->type != SL_SPAN_OBJECT)
        return sl_tree_fail(tree, SL_UNPROCESSABLE, "nothing can be added there");
    struct sl_twig *value = value_for(tree, doc, part, to->node, name, &property, 0);
    return value && put_under(tree, to->value, property, value);
}

/* Both halves; in arrays, both entries. */
static bool apply_delete(struct sl_tree *tree, const struct sl_doc *doc, uint32_t operation, struct sl_slice path)
{
    struct walked w;
    (void)doc;
    (void)operation;
    if (!walk(tree, path, &w))
        return false;
    if (!w.found->count)
        return true; /* "it is not an error" */
    if (w.found->count > 1 || !w.found->at[0].property)
        return sl_tree_fail(tree, SL_UNPROCESSABLE, "a path that does not name one element");
    if (w.found->at[0].value)
        sl_twig_take(w.found->at[0].value);
    if (w.found->at[0].half)
        sl_twig_take(w.found->at[0].half);
    return true;
}

/* A value of another type goes under another name. */
static bool apply_replace(struct sl_tree *tree, const struct sl_doc *doc, uint32_t operation, struct sl_slice path)
{
    struct sl_slice type = {NULL, 0};
    struct element *at = find_one(tree, path);
    uint32_t part = at ? value_part(tree, doc, operation) : 0;
    if (!part)
        return false;
    if (!at->property || !at->value)
        return sl_tree_fail(tree, SL_UNPROCESSABLE, "a path that does not name one element");
    struct sl_twig *value = value_of(tree, doc, part, &type);
    if (!value)
        value = build(tree, doc, part, at->node, 0);
    if (!value)
        return false;
    const struct sl_r4_element *property = choice_for(at->property, type);
    sl_twig_replace(tree, at->value, value);
    if (property != at->property) {
        value->key = sl_name_text(property->name);
        if (at->half)
            sl_twig_take(at->half);
    }
    return tree->status == SL_OK;
}

/* The array that a path names as a list, of one element; its '_' half too. */
struct list {
    struct sl_twig *owner, *values, *halves;
    const struct sl_r4_element *property;
};

static bool find_list(struct sl_tree *tree, struct sl_slice path, struct list *out)
{
    struct walked w;
    *out = (struct list){.owner = NULL};
    if (!walk(tree, path, &w))
        return false;
    if (w.plain && w.owners->count == 1 && w.owners->at[0].value) {
        out->owner = w.owners->at[0].value;
        out->property = property_of(w.owners->at[0].node, w.name);
    }
    if (!out->property || !(out->property->flags & SL_R4_MANY))
        return sl_tree_fail(tree, SL_UNPROCESSABLE, "a path that does not name one list");
    out->values = sl_twig_member(tree, out->owner, w.name);
    out->halves = sl_twig_member(tree, out->owner, half_key(tree, out->property));
    bool open = out->values && sl_twig_open(tree, out->values) && (!out->halves || sl_twig_open(tree, out->halves));
    return open ? true : sl_tree_fail(tree, SL_UNPROCESSABLE, "a path that does not name one list");
}

static const struct sl_doc nothing = {.text = {"null", 4},
    .spans = (const struct sl_span[]){{0, 4, 1, 0, SL_SPAN_NULL, 0}},
    .parents = (const uint32_t[]){0},
    .count = 1};

/* At that place, or as the last. */
static bool put_in(struct sl_tree *tree, struct sl_twig *array, struct sl_twig *value, uint32_t index)
{
    struct sl_twig *before = index < array->count ? sl_twig_entry(tree, array, index) : NULL;
    value->key = (struct sl_slice){NULL, 0};
    sl_twig_put(array, value, before);
    return tree->status == SL_OK;
}

static bool apply_insert(struct sl_tree *tree, const struct sl_doc *doc, uint32_t operation, struct sl_slice path)
{
    struct list list;
    uint32_t index, part;
    struct sl_slice type = {NULL, 0};
    if (!part_number(tree, doc, operation, "index", &index) || !find_list(tree, path, &list))
        return false;
    part = value_part(tree, doc, operation);
    if (!part)
        return false;
    if (index > list.values->count)
        return sl_tree_fail(tree, SL_UNPROCESSABLE, "an index beyond the end");
    struct sl_twig *value = value_of(tree, doc, part, &type);
    if (!value)
        value = build(tree, doc, part, list.property->node, 0);
    struct sl_twig *none = value && list.halves ? sl_twig_of(tree, &nothing, 0) : NULL;
    return value && put_in(tree, list.values, value, index) && (!none || put_in(tree, list.halves, none, index));
}

static bool shift(struct sl_tree *tree, struct sl_twig *array, uint32_t from, uint32_t to)
{
    struct sl_twig *twig = sl_twig_entry(tree, array, from);
    if (!twig)
        return tree->status == SL_OK;
    sl_twig_take(twig);
    return put_in(tree, array, twig, to);
}

static bool apply_move(struct sl_tree *tree, const struct sl_doc *doc, uint32_t operation, struct sl_slice path)
{
    struct list list;
    uint32_t from, to;
    if (!part_number(tree, doc, operation, "source", &from) || !part_number(tree, doc, operation, "destination", &to) ||
        !find_list(tree, path, &list))
        return false;
    if (from >= list.values->count || to >= list.values->count)
        return sl_tree_fail(tree, SL_UNPROCESSABLE, "an index beyond the end");
    while (list.halves && list.halves->count < list.values->count) {
        struct sl_twig *none = sl_twig_of(tree, &nothing, 0);
        if (!none || !put_in(tree, list.halves, none, list.halves->count))
            return false;
    }
    return shift(tree, list.values, from, to) && (!list.halves || shift(tree, list.halves, from, to));
}

static const struct {
    const char *type;
    bool (*apply)(struct sl_tree *tree, const struct sl_doc *doc, uint32_t operation, struct sl_slice path);
} operations[] = {
    {"add", apply_add},
    {"insert", apply_insert},
    {"delete", apply_delete},
    {"replace", apply_replace},
    {"move", apply_move},
};

static bool apply_one(struct sl_tree *tree, const struct sl_doc *doc, uint32_t parameter)
{
    bool object = doc->spans[parameter].type == SL_SPAN_OBJECT;
    uint32_t name = object ? sl_span_member(doc, parameter, SL_NAME_name) : 0;
    if (!name || !sl_span_is(doc, name, SL_LIT("operation")))
        return sl_tree_fail(tree, SL_BAD_SYNTAX, "a parameter that is no operation");
    struct sl_slice type = part_text(tree, doc, parameter, "type"), path = part_text(tree, doc, parameter, "path");
    for (size_t i = 0; tree->status == SL_OK && i < sizeof operations / sizeof *operations; i++)
        if (sl_slice_eq(type, sl_slice_of(operations[i].type)))
            return operations[i].apply(tree, doc, parameter, path);
    return sl_tree_fail(tree, SL_BAD_SYNTAX, "no such operation");
}

bool sl_patch_fhir(struct sl_tree *tree, const struct sl_doc *doc)
{
    unsigned count = 0;
    bool object = doc->count && doc->spans[0].type == SL_SPAN_OBJECT;
    uint32_t type = object ? sl_span_member(doc, 0, SL_NAME_resourceType) : 0;
    uint32_t list = type ? sl_span_member(doc, 0, SL_NAME_parameter) : 0;
    if (!list || !sl_span_is(doc, type, SL_LIT("Parameters")) || doc->spans[list].type != SL_SPAN_ARRAY)
        return sl_tree_fail(tree, SL_BAD_SYNTAX, "a patch is a Parameters resource");
    for (uint32_t c = list + 1; c < doc->spans[list].next; c = doc->spans[c].next) {
        if (++count > SL_PATCH_OPERATIONS)
            return sl_tree_fail(tree, SL_LIMIT, "too many operations");
        if (!apply_one(tree, doc, c))
            return false;
    }
    return true;
}
