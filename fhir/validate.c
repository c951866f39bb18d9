/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A walk over a resource beside R4's table: see sluice/validate.h. Each object's members are laid out by the place of
 * their element in the table; then each element is judged, those that are not there among them.
 */
#include "sluice/validate.h"

#include <string.h>

#define MEMBERS 512u /* more than any node of R4 has elements */

struct judge {
    const struct sl_doc *doc;
    struct sl_arena *arena;
    struct sl_findings *out;
};

/* An object's members, by the place of their element in the table; 0: not there. */
struct members {
    const struct sl_r4_element *element;
    size_t count;
    uint32_t value[MEMBERS], half[MEMBERS];
};

static void judge_object(struct judge *j, uint32_t object, sl_r4_node node);

static void find(struct judge *j, uint32_t span, const char *code, const char *text)
{
    if (j->out->count < SL_FINDINGS)
        j->out->one[j->out->count++] = (struct sl_finding){.code = code, .text = text, .span = span};
    else
        j->out->more = true;
}

static void find_missing(struct judge *j, uint32_t object, struct sl_slice name)
{
    size_t before = j->out->count;
    find(j, object, "required", "An element that R4 requires is missing.");
    if (j->out->count > before)
        j->out->one[before].name = name;
}

/* Of what may be missing; the root, which is never, has no place here. */
static uint8_t type_of(const struct judge *j, uint32_t at)
{
    return at ? j->doc->spans[at].type : (uint8_t)SL_SPAN_NULL;
}

/* ---- Primitives ---- */

/* How JSON writes the primitive (json.html): numbers and booleans as such, all else as strings. */
static bool has_json_form(sl_r4_node node, uint8_t type)
{
    switch (node) {
    case SL_R4_boolean:
        return type == SL_SPAN_TRUE || type == SL_SPAN_FALSE;
    case SL_R4_integer:
    case SL_R4_unsignedInt:
    case SL_R4_positiveInt:
    case SL_R4_decimal:
        return type == SL_SPAN_NUMBER;
    default:
        return type == SL_SPAN_STRING;
    }
}

static void judge_value(struct judge *j, const struct sl_r4_element *element, uint32_t value)
{
    if (!has_json_form(element->node, type_of(j, value))) {
        find(j, value, "structure", "The value has another JSON type than its datatype.");
        return;
    }
    struct sl_slice text =
        type_of(j, value) == SL_SPAN_STRING ? sl_span_string(j->doc, value, j->arena) : sl_span_text(j->doc, value);
    if (!sl_primitive_valid(element->node, text))
        find(j, value, "value", "The value is no valid one of its datatype.");
}

/* What a `_name` holds. */
static void judge_half(struct judge *j, uint32_t half)
{
    if (type_of(j, half) != SL_SPAN_OBJECT)
        find(j, half, "structure", "What stands beside a primitive is no object.");
    else
        judge_object(j, half, SL_R4_Element);
}

static void judge_primitive(struct judge *j, const struct sl_r4_element *element, uint32_t value, uint32_t half)
{
    bool has_value = type_of(j, value) != SL_SPAN_NULL, has_half = type_of(j, half) != SL_SPAN_NULL;
    if (!has_value && !has_half)
        find(j, value ? value : half, "structure", "A null stands for nothing.");
    if (has_value)
        judge_value(j, element, value);
    if (has_half)
        judge_half(j, half);
}

/* ---- Elements ---- */

static void judge_resource(struct judge *j, uint32_t at)
{
    uint32_t type = j->doc->spans[at].type == SL_SPAN_OBJECT ? sl_span_member(j->doc, at, SL_NAME_resourceType) : 0;
    sl_r4_node node = type ? sl_r4_resource(sl_span_raw(j->doc, type)) : 0;
    if (node)
        judge_object(j, at, node);
    else
        find(j, at, "structure", "This is no resource of R4.");
}

static void judge_one(struct judge *j, const struct sl_r4_element *element, uint32_t value, uint32_t half)
{
    if (element->flags & SL_R4_PRIMITIVE)
        judge_primitive(j, element, value, half);
    else if (element->flags & SL_R4_RESOURCE)
        judge_resource(j, value);
    else
        judge_object(j, value, element->node);
}

/* The item of an array that follows c, or its first one; 0 if there is none. */
static uint32_t following(const struct judge *j, uint32_t array, uint32_t c)
{
    uint32_t next = c ? j->doc->spans[c].next : array ? array + 1 : 0;
    return array && next < j->doc->spans[array].next ? next : 0;
}

static void judge_many(struct judge *j, const struct sl_r4_element *element, uint32_t value, uint32_t half)
{
    if ((value && type_of(j, value) != SL_SPAN_ARRAY) || (half && type_of(j, half) != SL_SPAN_ARRAY)) {
        find(j, value ? value : half, "structure", "One value stands where R4 has a list.");
        return;
    }
    uint32_t v = following(j, value, 0), h = following(j, half, 0);
    if (!v && !h)
        find(j, value ? value : half, "structure", "A list must not be empty.");
    for (; (v || h) && !j->out->more; v = v ? following(j, value, v) : 0, h = h ? following(j, half, h) : 0)
        judge_one(j, element, v, h);
}

static void judge_member(struct judge *j, const struct sl_r4_element *element, uint32_t value, uint32_t half)
{
    uint32_t at = value ? value : half;
    if (element->flags & SL_R4_MANY)
        judge_many(j, element, value, half);
    else if (type_of(j, at) == SL_SPAN_ARRAY)
        find(j, at, "structure", "A list stands where R4 has one value.");
    else
        judge_one(j, element, value, half);
}

/* ---- Objects ---- */

static void lay_out(struct judge *j, uint32_t object, sl_r4_node node, struct members *members)
{
    const struct sl_span *spans = j->doc->spans;
    members->element = sl_r4_elements(node, &members->count);
    SL_ASSERT(members->count <= MEMBERS);
    memset(members->value, 0, members->count * sizeof *members->value);
    memset(members->half, 0, members->count * sizeof *members->half);
    for (uint32_t c = object + 1; c < spans[object].next; c = spans[c].next) {
        const struct sl_r4_element *element = spans[c].name ? sl_r4_element(node, spans[c].name) : NULL;
        bool half = spans[c].flags & SL_SPAN_SIBLING;
        if (!element || (half && !(element->flags & SL_R4_PRIMITIVE))) {
            find(j, c, "structure", "R4 does not have this element here.");
            continue;
        }
        size_t place = (size_t)(element - members->element);
        *(half ? &members->half[place] : &members->value[place]) = c;
    }
}

static bool is_there(const struct members *members, size_t at)
{
    return members->value[at] || members->half[at];
}

/* A choice is one element with several names: one of them at most, and one at least where R4 requires it. */
static void judge_choice(struct judge *j, uint32_t object, const struct members *members, size_t first)
{
    size_t there = 0;
    for (size_t i = first; i < members->count; i++)
        there += members->element[i].choice == members->element[first].choice && is_there(members, i);
    if (there > 1)
        find(j, object, "structure", "More than one of the elements of a choice is there.");
    if (!there && (members->element[first].flags & SL_R4_REQUIRED))
        find_missing(j, object, sl_name_text(members->element[first].name));
}

static bool begins_choice(const struct members *members, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (members->element[i].choice == members->element[at].choice)
            return false;
    return true;
}

/* ext-1: an extension has a value or extensions, and never both. */
static void judge_extension(struct judge *j, uint32_t object, const struct members *members)
{
    bool value = false, extensions = false;
    for (size_t i = 0; i < members->count; i++) {
        value = value || (members->element[i].choice && is_there(members, i));
        extensions = extensions || (members->element[i].name == SL_NAME_extension && is_there(members, i));
    }
    if (value == extensions)
        find(j, object, "invariant", "An extension has either a value or extensions (ext-1).");
}

static void judge_members(struct judge *j, uint32_t object, sl_r4_node node, const struct members *members)
{
    for (size_t i = 0; i < members->count && !j->out->more; i++) {
        const struct sl_r4_element *element = &members->element[i];
        bool type = element->name == SL_NAME_resourceType && sl_r4_is_resource(node); /* it has been read */
        if (is_there(members, i) && !type)
            judge_member(j, element, members->value[i], members->half[i]);
        if (element->choice && begins_choice(members, i))
            judge_choice(j, object, members, i);
        else if (!element->choice && (element->flags & SL_R4_REQUIRED) && !is_there(members, i))
            find_missing(j, object, sl_name_text(element->name));
    }
}

static void judge_object(struct judge *j, uint32_t object, sl_r4_node node)
{
    struct members members;
    if (j->out->more)
        return;
    if (j->doc->spans[object].type != SL_SPAN_OBJECT) {
        find(j, object, "structure", "A value stands where R4 has an object.");
        return;
    }
    if (j->doc->spans[object].next == object + 1) {
        find(j, object, "structure", "An object must not be empty.");
        return;
    }
    lay_out(j, object, node, &members);
    judge_members(j, object, node, &members);
    if (node == SL_R4_Extension)
        judge_extension(j, object, &members);
}

enum sl_status sl_validate(const struct sl_doc *doc, uint32_t root, struct sl_arena *arena, struct sl_findings *out)
{
    struct judge j = {.doc = doc, .arena = arena, .out = out};
    out->count = 0;
    out->more = false;
    judge_resource(&j, root);
    return sl_arena_failed(arena) ? SL_NO_MEMORY : SL_OK;
}
