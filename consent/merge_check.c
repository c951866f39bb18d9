/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Has what is sent the form of an R4 record? See sl_merge_check in sluice/merge.h. Where it has, values of one property
 * are of one form in the record, the view and what is sent, so that each difference between them can be applied.
 */
#include "merging.h"
#include "segmenting.h"

#define INLINE_LABEL "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label"
#define LABELS_LIMIT 256u /* in meta.security, where each is compared with each */

struct checking {
    const struct sl_doc *doc;
    const char *why;
};

static bool wrong(struct checking *c, const char *why)
{
    c->why = c->why ? c->why : why;
    return false;
}

static bool check_object(struct checking *c, uint32_t object, sl_r4_node node, bool resource);

/* One value: an object where R4 has one, or a primitive. */
static bool check_value(struct checking *c, uint32_t span, const struct sl_r4_element *element, bool half)
{
    const struct sl_span *s = &c->doc->spans[span];
    bool object = half || !(element->flags & SL_R4_PRIMITIVE);
    if (object != (s->type == SL_SPAN_OBJECT))
        return wrong(c, "a value of another form than R4 has it");
    if (half)
        return check_object(c, span, SL_R4_Element, false);
    if (element->flags & SL_R4_RESOURCE) {
        uint32_t type = sl_span_member(c->doc, span, SL_NAME_resourceType);
        sl_r4_node node = type ? sl_r4_resource(sl_span_raw(c->doc, type)) : 0;
        return node ? check_object(c, span, node, true) : wrong(c, "a resource within it has no type of R4");
    }
    if (object)
        return check_object(c, span, element->node, false);
    if (s->type == SL_SPAN_STRING && s->end - s->begin == 2)
        return wrong(c, "an empty string");
    return s->type != SL_SPAN_ARRAY && s->type != SL_SPAN_NULL ? true : wrong(c, "a primitive of another form");
}

/* null stands only in arrays of primitives, for an entry that has its other half alone. */
static bool check_array(struct checking *c, uint32_t array, const struct sl_r4_element *element, bool half)
{
    const struct sl_doc *doc = c->doc;
    bool any = false;
    uint32_t labels = element->name == SL_NAME_security && element->parent == SL_R4_Meta ? LABELS_LIMIT : UINT32_MAX;
    for (uint32_t i = array + 1; i < doc->spans[array].next; i = doc->spans[i].next) {
        bool nothing = doc->spans[i].type == SL_SPAN_NULL && element->flags & SL_R4_PRIMITIVE;
        if (!nothing && !check_value(c, i, element, half))
            return false;
        any |= !nothing;
        if (!labels--)
            return wrong(c, "more labels than a record has");
    }
    return any ? true : wrong(c, "an array with nothing in it");
}

/* Of a choice, as value[x], there is one. */
static bool check_choice(struct checking *c, uint32_t object, uint32_t span, sl_r4_node node, uint8_t choice)
{
    const struct sl_doc *doc = c->doc;
    for (uint32_t i = object + 1; i < span; i = doc->spans[i].next) {
        const struct sl_r4_element *other = doc->spans[i].name ? sl_r4_element(node, doc->spans[i].name) : NULL;
        if (other && other->choice == choice && doc->spans[i].name != doc->spans[span].name)
            return wrong(c, "two values of one choice");
    }
    return true;
}

bool sl_merge_is_label(const struct sl_doc *doc, uint32_t extension)
{
    bool object = extension != SL_NOWHERE && doc->spans[extension].type == SL_SPAN_OBJECT;
    uint32_t url = object ? sl_span_member(doc, extension, SL_NAME_url) : 0;
    return url && sl_span_is(doc, url, SL_LIT(INLINE_LABEL));
}

/* Nothing but labels, which may not be the writer's to set? */
static bool only_labels(const struct sl_doc *doc, uint32_t member)
{
    bool only = doc->spans[member].type == SL_SPAN_ARRAY && doc->spans[member].name == SL_NAME_extension;
    for (uint32_t c = member + 1; only && c < doc->spans[member].next; c = doc->spans[c].next)
        only = sl_merge_is_label(doc, c);
    return only;
}

static bool check_member(struct checking *c, uint32_t object, uint32_t span, sl_r4_node node)
{
    const struct sl_span *s = &c->doc->spans[span];
    const struct sl_r4_element *element = s->name ? sl_r4_element(node, s->name) : NULL;
    bool half = s->flags & SL_SPAN_SIBLING;
    if (!element || (half && !(element->flags & SL_R4_PRIMITIVE)))
        return wrong(c, "a property that R4 does not have there");
    if (element->choice && !check_choice(c, object, span, node, element->choice))
        return false;
    if ((s->type == SL_SPAN_ARRAY) != ((element->flags & SL_R4_MANY) != 0))
        return wrong(c, "an array where there is one value, or one value where there is an array");
    return s->type == SL_SPAN_ARRAY ? check_array(c, span, element, half) : check_value(c, span, element, half);
}

static bool check_object(struct checking *c, uint32_t object, sl_r4_node node, bool resource)
{
    const struct sl_doc *doc = c->doc;
    bool says = false;
    for (uint32_t i = object + 1; i < doc->spans[object].next; i = doc->spans[i].next) {
        bool type = resource && doc->spans[i].name == SL_NAME_resourceType && doc->spans[i].type == SL_SPAN_STRING;
        if (!type && !check_member(c, object, i, node))
            return false;
        says |= !only_labels(doc, i);
    }
    if (!says)
        return wrong(c, "an object with nothing in it, or labels alone");
    return sl_shape_says(doc, object, node) ? true : wrong(c, "an object without what it is there to say");
}

enum sl_status sl_merge_check(struct sl_place sent, sl_r4_node type, struct sl_slice id, const char **why)
{
    struct checking c = {.doc = sent.doc};
    const struct sl_doc *doc = sent.doc;
    bool object = doc->spans[sent.root].type == SL_SPAN_OBJECT;
    uint32_t its = object ? sl_span_member(doc, sent.root, SL_NAME_resourceType) : 0;
    uint32_t named = object ? sl_span_member(doc, sent.root, SL_NAME_id) : 0;
    if (!its || !sl_span_is(doc, its, sl_r4_node_name(type)))
        (void)wrong(&c, "a record of another type");
    else if (id.len && (!named || !sl_span_is(doc, named, id)))
        (void)wrong(&c, "a record with another id");
    else
        (void)check_object(&c, sent.root, type, true);
    *why = c.why;
    return c.why ? SL_BAD_SYNTAX : SL_OK;
}
