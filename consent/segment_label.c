/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The labels that go out with a released item, computed from what is left of it, and the edits that put them in its
 * meta. See sluice/segment.h.
 */
#include "segmenting.h"

static const char confidentiality_order[] = "ULMNRV";

static bool is_confidentiality(struct sl_slice system)
{
    return sl_slice_eq(system, SL_LIT("http://terminology.hl7.org/CodeSystem/v3-Confidentiality"));
}

static unsigned confidentiality_rank(char code)
{
    const char *at = code ? strchr(confidentiality_order, code) : NULL;
    return at ? (unsigned)(at - confidentiality_order) : 0;
}

static void add_coding(struct sl_buffer *out, struct sl_slice system, struct sl_slice code, struct sl_slice display)
{
    if (out->len > 1)
        sl_buffer_add(out, SL_LIT(","));
    sl_buffer_add(out, SL_LIT("{\"system\":"));
    sl_buffer_json_string(out, system);
    sl_buffer_add(out, SL_LIT(",\"code\":"));
    sl_buffer_json_string(out, code);
    if (display.len) {
        sl_buffer_add(out, SL_LIT(",\"display\":"));
        sl_buffer_json_string(out, display);
    }
    sl_buffer_add(out, SL_LIT("}"));
}

/* The meta.security array the resource came with; 0 if it has none. */
static uint32_t received_security(const struct sl_item *item)
{
    uint32_t security = item->meta ? sl_span_member(item->doc, item->meta, SL_NAME_security) : 0;
    return security && item->doc->spans[security].type == SL_SPAN_ARRAY ? security : 0;
}

static struct sl_slice string_member(const struct sl_doc *doc, uint32_t object, sl_name name, struct sl_arena *arena)
{
    uint32_t member = doc->spans[object].type == SL_SPAN_OBJECT ? sl_span_member(doc, object, name) : 0;
    return member ? sl_span_string(doc, member, arena) : (struct sl_slice){NULL, 0};
}

static bool has_label(const struct sl_release *release, struct sl_slice system, struct sl_slice code)
{
    for (size_t i = 0; i < release->label_count; i++)
        if (sl_slice_eq(release->labels[i].system, system) && sl_slice_eq(release->labels[i].code, code))
            return true;
    return false;
}

/* Received labels are kept (PERSISTLABEL); exactly one confidentiality code goes out, the higher of the two. */
static void add_received(
    struct sl_buffer *out, const struct sl_item *item, const struct sl_release *release, struct sl_arena *arena)
{
    uint32_t security = received_security(item);
    if (!security)
        return;
    const struct sl_doc *doc = item->doc;
    for (uint32_t c = security + 1; c < doc->spans[security].next; c = doc->spans[c].next) {
        struct sl_slice system = string_member(doc, c, SL_NAME_system, arena);
        struct sl_slice code = string_member(doc, c, SL_NAME_code, arena);
        if (!code.len || is_confidentiality(system) || has_label(release, system, code))
            continue;
        sl_buffer_add(out, SL_LIT(","));
        sl_buffer_add(out, sl_span_text(doc, c));
    }
}

static char highest_confidentiality(const struct sl_item *item, char ours, struct sl_arena *arena)
{
    uint32_t security = received_security(item);
    const struct sl_doc *doc = item->doc;
    for (uint32_t c = security + 1; security && c < doc->spans[security].next; c = doc->spans[c].next) {
        struct sl_slice code = string_member(doc, c, SL_NAME_code, arena);
        if (code.len == 1 && is_confidentiality(string_member(doc, c, SL_NAME_system, arena)) &&
            confidentiality_rank(code.ptr[0]) > confidentiality_rank(ours))
            ours = code.ptr[0];
    }
    return ours;
}

static void write_security(
    struct sl_buffer *out, const struct sl_item *item, const struct sl_release *release, struct sl_arena *arena)
{
    char level = highest_confidentiality(item, release->confidentiality, arena);
    sl_buffer_add(out, SL_LIT("["));
    add_coding(out, SL_LIT("http://terminology.hl7.org/CodeSystem/v3-Confidentiality"), (struct sl_slice){&level, 1},
        (struct sl_slice){NULL, 0});
    for (size_t i = 0; i < release->label_count; i++)
        add_coding(out, release->labels[i].system, release->labels[i].code, release->labels[i].display);
    add_received(out, item, release, arena);
    sl_buffer_add(out, SL_LIT("]"));
}

#define MARK_URL "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-display"

/* The statement of 42 CFR 2.32(a) on the resource itself: DS4P extension-display, an Annotation on meta. */
static void write_mark(struct sl_buffer *out, struct sl_slice statement)
{
    sl_buffer_add(out, SL_LIT("{\"url\":\"" MARK_URL "\",\"valueAnnotation\":{\"text\":"));
    sl_buffer_json_string(out, statement);
    sl_buffer_add(out, SL_LIT("}}"));
}

static struct sl_classes released_classes(const struct sl_item *item)
{
    struct sl_classes classes = item->classes;
    for (uint32_t i = 0; i < item->part_count; i++)
        if (!item->parts[i].cut)
            sl_classes_join(&classes, &item->parts[i].classes);
    return classes;
}

static struct sl_slice received_text(const struct sl_item *item)
{
    uint32_t security = received_security(item);
    return security ? sl_span_text(item->doc, security) : (struct sl_slice){NULL, 0};
}

static uint32_t find_meta(const struct sl_item *item)
{
    uint32_t meta = sl_span_member(item->doc, item->span, SL_NAME_meta);
    return meta && item->doc->spans[meta].type == SL_SPAN_OBJECT ? meta : 0;
}

/* Where labels for these classes are kept, if they have been made before. */
static struct sl_label_cached *cached_for(struct sl_label_cache *cache, const struct sl_classes *classes)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < SL_CLASS_WORDS; i++)
        sum = (sum ^ classes->word[i]) * 0x9e3779b97f4a7c15u;
    return &cache->kept[sum >> (64 - SL_LABEL_CACHE_BITS)];
}

/* What a mention lends goes out under its lender's consent: neighbours with the same classes may differ. */
static bool has_lent(const struct sl_item *item)
{
    for (uint32_t i = 0; i < item->part_count; i++)
        if (item->parts[i].lender && !item->parts[i].cut)
            return true;
    return false;
}

static bool is_cached(const struct sl_label_cached *c, const struct sl_item *item, const struct sl_classes *classes,
    struct sl_slice received)
{
    return c->ruling == item->ruling && memcmp(&c->classes, classes, sizeof *classes) == 0 &&
           sl_slice_eq(c->received, received) && sl_slice_eq(c->program, item->program) &&
           sl_slice_eq(c->custodian, item->custodian) && !sl_ruling_by_item(item->ruling) && !has_lent(item);
}

enum sl_status sl_segment_label(struct sl_label_cache *cache, struct sl_arena *arena, struct sl_item *item)
{
    struct sl_classes classes = released_classes(item);
    struct sl_label_cached *c = cached_for(cache, &classes);
    item->meta = find_meta(item);
    struct sl_slice received = received_text(item);
    if (is_cached(c, item, &classes, received)) {
        item->security = c->security;
        item->mark = c->mark;
        return SL_OK;
    }
    struct sl_release release = {0};
    SL_TRY(sl_ruling_release(item->ruling, item, arena, &release));
    struct sl_buffer text;
    sl_buffer_init(&text, 64 * 1024);
    write_security(&text, item, &release, arena);
    item->security = sl_arena_copy(arena, sl_buffer_slice(&text));
    bool failed = sl_buffer_failed(&text);
    sl_buffer_clear(&text);
    item->mark = (struct sl_slice){NULL, 0};
    if (release.notice) {
        write_mark(&text, release.statement);
        item->mark = sl_arena_copy(arena, sl_buffer_slice(&text));
    }
    failed |= sl_buffer_failed(&text);
    sl_buffer_fini(&text);
    if (failed || sl_arena_failed(arena))
        return SL_NO_MEMORY;
    if (!has_lent(item))
        *c = (struct sl_label_cached){.ruling = item->ruling,
            .classes = classes,
            .program = item->program,
            .received = received,
            .custodian = item->custodian,
            .security = item->security,
            .mark = item->mark};
    return SL_OK;
}

/* ---- Into the text ---- */

/* The mark a resource came with, so that what was segmented before is not marked twice; 0 if there is none. */
static uint32_t received_mark(const struct sl_doc *doc, uint32_t extensions)
{
    for (uint32_t c = extensions + 1; c < doc->spans[extensions].next; c = doc->spans[c].next) {
        uint32_t url = doc->spans[c].type == SL_SPAN_OBJECT ? sl_span_member(doc, c, SL_NAME_url) : 0;
        if (url && sl_span_is(doc, url, SL_LIT(MARK_URL)))
            return c;
    }
    return 0;
}

static enum sl_status edit_mark(
    const struct sl_item *item, uint32_t meta, struct sl_edits *edits, struct sl_arena *arena)
{
    if (!item->mark.len)
        return SL_OK;
    uint32_t extension = sl_span_member(item->doc, meta, SL_NAME_extension);
    if (extension && item->doc->spans[extension].type == SL_SPAN_ARRAY && !sl_edit_is_cut(edits, extension)) {
        uint32_t received = received_mark(item->doc, extension);
        if (received)
            sl_edit_replace(edits, received, item->mark);
        else
            sl_edit_add_item(edits, extension, item->mark);
        return SL_OK;
    }
    const struct sl_slice parts[] = {SL_LIT("\"extension\":["), item->mark, SL_LIT("]")};
    struct sl_slice member = sl_arena_join(arena, parts, 3);
    if (!member.ptr)
        return SL_NO_MEMORY;
    sl_edit_add_member(edits, meta, member);
    return SL_OK;
}

static enum sl_status add_security(
    const struct sl_item *item, uint32_t meta, struct sl_edits *edits, struct sl_arena *arena)
{
    const struct sl_slice parts[] = {SL_LIT("\"security\":"), item->security};
    struct sl_slice member = sl_arena_join(arena, parts, 2);
    if (!member.ptr)
        return SL_NO_MEMORY;
    sl_edit_add_member(edits, meta, member);
    return SL_OK;
}

enum sl_status sl_segment_edit_meta(const struct sl_item *item, struct sl_edits *edits, struct sl_arena *arena)
{
    uint32_t meta = item->meta;
    if (!meta || sl_edit_is_cut(edits, meta)) {
        const struct sl_slice parts[] = {SL_LIT("\"meta\":{\"security\":"), item->security,
            item->mark.len ? SL_LIT(",\"extension\":[") : SL_LIT(""), item->mark,
            item->mark.len ? SL_LIT("]}") : SL_LIT("}")};
        struct sl_slice text = sl_arena_join(arena, parts, 5);
        if (!text.ptr)
            return SL_NO_MEMORY;
        sl_edit_add_member(edits, item->span, text);
        return SL_OK;
    }
    uint32_t security = received_security(item);
    if (security && !sl_edit_is_cut(edits, security))
        sl_edit_replace(edits, security, item->security);
    else
        SL_TRY(add_security(item, meta, edits, arena));
    return edit_mark(item, meta, edits, arena);
}
