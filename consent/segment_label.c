/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The labels that go out with a released item, computed from what is left of it, and the edits that put them in its
 * meta. See sluice/segment.h.
 *
 * meta.security has one confidentiality code, the highest of the whole and its elements; the labels of the whole;
 * PROCESSINLINELABEL if some element carries labels of its own; and the labels the record came with, which persist.
 * Those that the policy knows classify the whole record, so that whoever gets it may have what they say. Of one that
 * nobody here knows this cannot be told: it goes to parties that may have whatever words can say, and to no others,
 * whatever it is (DS4P: labels need the protection of the data).
 */
#include "ruling.h"
#include "segmenting.h"

#define ACT_CODE "http://terminology.hl7.org/CodeSystem/v3-ActCode"
#define INLINED "PROCESSINLINELABEL"

bool sl_is_confidentiality(struct sl_slice system)
{
    return sl_slice_eq(system, SL_LIT("http://terminology.hl7.org/CodeSystem/v3-Confidentiality"));
}

struct sl_slice sl_coding_member(const struct sl_doc *doc, uint32_t coding, sl_name name, struct sl_arena *arena)
{
    uint32_t member = doc->spans[coding].type == SL_SPAN_OBJECT ? sl_span_member(doc, coding, name) : 0;
    return member ? sl_span_string(doc, member, arena) : (struct sl_slice){NULL, 0};
}

bool sl_release_has(const struct sl_release *release, struct sl_slice system, struct sl_slice code)
{
    for (size_t i = 0; i < release->label_count; i++)
        if (sl_slice_eq(release->labels[i].system, system) && sl_slice_eq(release->labels[i].code, code))
            return true;
    return false;
}

static char higher(char a, char b)
{
    return sl_level_rank(a) >= sl_level_rank(b) ? a : b;
}

/* ---- meta.security ---- */

static void add_coding(struct sl_buffer *out, const struct sl_coding *label)
{
    if (out->len > 1)
        sl_buffer_add(out, SL_LIT(","));
    sl_buffer_add(out, SL_LIT("{\"system\":"));
    sl_buffer_json_string(out, label->system);
    sl_buffer_add(out, SL_LIT(",\"code\":"));
    sl_buffer_json_string(out, label->code);
    if (label->display.len) {
        sl_buffer_add(out, SL_LIT(",\"display\":"));
        sl_buffer_json_string(out, label->display);
    }
    sl_buffer_add(out, SL_LIT("}"));
}

/* The meta.security array the resource came with; 0 if it has none. */
static uint32_t received_security(const struct sl_item *item)
{
    uint32_t security = item->meta ? sl_span_member(item->doc, item->meta, SL_NAME_security) : 0;
    return security && item->doc->spans[security].type == SL_SPAN_ARRAY ? security : 0;
}

/* A label that the policy knows, and none of whose classes the record has, is one that an officer has taken back. */
static bool says_what_it_is(const struct sl_item *item, const struct sl_coding *label)
{
    const struct sl_earning *earning = sl_ruling_earning(item->ruling);
    for (size_t i = 0; i < earning->security_count; i++) {
        const struct sl_security_rule *rule = &earning->security[i];
        if (sl_slice_eq(rule->code, label->code) && sl_slice_eq(rule->system, label->system))
            return sl_classes_meet(&rule->classes, &item->classes) || sl_classes_meet(&rule->bearers, &item->classes);
    }
    return true;
}

/* One label the resource came with. What HL7 has retired goes out as what stands in its place. */
static void add_one_received(struct sl_buffer *out, const struct sl_item *item, uint32_t coding,
    const struct sl_release *release, struct sl_arena *arena)
{
    const struct sl_coding came = {.system = sl_coding_member(item->doc, coding, SL_NAME_system, arena),
        .code = sl_coding_member(item->doc, coding, SL_NAME_code, arena)};
    struct sl_coding now;
    if (!came.code.len || (sl_is_confidentiality(came.system) && came.code.len == 1) ||
        sl_slice_eq(came.code, SL_LIT(INLINED)) || sl_release_has(release, came.system, came.code) ||
        !says_what_it_is(item, &came))
        return;
    switch (sl_security_label_now(&came, &now)) {
    case SL_LABEL_UNKNOWN:
        if (!sl_ruling_may_text(item->ruling))
            return;
        break;
    case SL_LABEL_RETIRED:
        if (now.code.len && !sl_release_has(release, now.system, now.code))
            add_coding(out, &now);
        return;
    case SL_LABEL_KNOWN:
        break;
    }
    sl_buffer_add(out, SL_LIT(","));
    sl_buffer_add(out, sl_span_text(item->doc, coding));
}

static void write_security(struct sl_buffer *out, const struct sl_item *item, char level,
    const struct sl_release *release, struct sl_arena *arena)
{
    const struct sl_coding highest = {
        .system = SL_LIT("http://terminology.hl7.org/CodeSystem/v3-Confidentiality"), .code = {&level, 1}};
    uint32_t security = received_security(item);
    sl_buffer_add(out, SL_LIT("["));
    add_coding(out, &highest);
    for (size_t i = 0; i < release->label_count; i++)
        add_coding(out, &release->labels[i]);
    for (uint32_t c = security + 1; security && c < item->doc->spans[security].next; c = item->doc->spans[c].next)
        add_one_received(out, item, c, release, arena);
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

/* ---- What has been made before ---- */

static unsigned slot_of(const struct sl_classes *a, const struct sl_classes *b)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < SL_CLASS_WORDS; i++)
        sum = (sum ^ a->word[i] ^ (b->word[i] << 1)) * 0x9e3779b97f4a7c15u;
    return (unsigned)(sum >> (64 - SL_LABEL_CACHE_BITS));
}

static bool same_classes(const struct sl_classes *a, const struct sl_classes *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

static bool is_cached(const struct sl_label_cached *c, const struct sl_item *item, struct sl_slice received)
{
    return c->ruling == item->ruling && same_classes(&c->classes, &item->classes) && c->level == item->level &&
           sl_slice_eq(c->received, received) && sl_slice_eq(c->program, item->program) &&
           sl_slice_eq(c->custodian, item->custodian) && !sl_ruling_by_item(item->ruling, &item->classes);
}

/* ---- Making labels ---- */

struct making {
    struct sl_label_cache *cache;
    struct sl_arena *arena;
    struct sl_item *item;
    struct sl_release whole;
    const struct sl_release *base; /* what an element's labels are held against: the whole's, a contained whole's too */
    char base_level;
    char level;   /* of the whole */
    char highest; /* of it and all elements */
    bool parted;  /* some element adds to it */
    bool inlined; /* some element carries labels */
    bool noticed; /* something of an element is due a notice that the whole is not */
};

static bool adds(const struct sl_release *release, const struct sl_release *whole, char level)
{
    bool more = sl_level_rank(release->confidentiality) > sl_level_rank(level);
    for (size_t i = 0; i < release->label_count && !more; i++)
        more = !sl_release_has(whole, release->labels[i].system, release->labels[i].code);
    return more;
}

static bool is_plain(const struct making *m, const struct sl_plain_part *plain, const struct sl_part *part)
{
    const struct sl_item *of = part->lender ? part->lender : m->item;
    return plain->ruling == m->item->ruling && same_classes(&plain->whole, &m->item->classes) &&
           same_classes(&plain->part, &part->classes) && sl_slice_eq(plain->program, of->program) &&
           sl_slice_eq(plain->named_program, of->named_program) && sl_slice_eq(plain->custodian, of->custodian);
}

static void keep_plain(const struct making *m, struct sl_plain_part *plain, const struct sl_part *part)
{
    const struct sl_item *of = part->lender ? part->lender : m->item;
    *plain = (struct sl_plain_part){.ruling = m->item->ruling,
        .whole = m->item->classes,
        .part = part->classes,
        .program = of->program,
        .named_program = of->named_program,
        .custodian = of->custodian};
}

/* What goes to the whole, since it cannot stand on the element or the policy wants no inline labels. */
static enum sl_status join_whole(struct making *m, const struct sl_release *release)
{
    SL_TRY(sl_release_join(&m->whole, release));
    m->level = higher(m->level, release->confidentiality);
    m->highest = higher(m->highest, m->level);
    return SL_OK;
}

/* One element, with what all its parts go out under. */
static enum sl_status label_element(
    struct making *m, const struct sl_item *of, struct sl_part *part, const struct sl_release *release)
{
    const struct sl_inline_case one = {
        .item = of, .span = part->span, .release = release, .whole = m->base, .level = m->base_level};
    bool stands = false;
    struct sl_slice label = {NULL, 0};
    m->parted = true;
    if (!part->inner && sl_ruling_inline(m->item->ruling))
        SL_TRY(sl_inline_write(&one, m->arena, &label, &stands));
    if (!stands)
        return join_whole(m, release);
    part->label = label;
    m->inlined |= label.len > 0;
    m->highest = higher(m->highest, release->confidentiality);
    return SL_OK;
}

/* Does the part go out under more than its whole? What it is noticed for is told on the whole all the same. */
static enum sl_status label_part(struct making *m, const struct sl_item *of, struct sl_part *part, bool *more)
{
    struct sl_release *one = &m->cache->one;
    bool cached =
        of == m->item && !sl_ruling_by_item(of->ruling, &of->classes) && !sl_ruling_by_item(of->ruling, &part->classes);
    struct sl_plain_part *plain = &m->cache->plain[slot_of(&part->classes, &m->item->classes)];
    *more = false;
    if (cached && is_plain(m, plain, part))
        return SL_OK;
    SL_TRY(sl_ruling_release_of(of->ruling, of, part, m->arena, one));
    bool noticed = one->notice && (part->lender || !m->whole.notice);
    m->noticed |= noticed;
    *more = adds(one, m->base, m->base_level);
    if (cached && !*more && !noticed)
        keep_plain(m, plain, part);
    return SL_OK;
}

/* The elements of an item, or of what is contained in it; parts of one element stand together. */
static enum sl_status label_elements(struct making *m, struct sl_item *of)
{
    struct sl_part *first = NULL;
    for (uint32_t i = 0; i < of->part_count; i++) {
        struct sl_part *part = &of->parts[i];
        bool more = false;
        if (first && first->span != part->span) {
            SL_TRY(label_element(m, of, first, &m->cache->element));
            first = NULL;
        }
        if (!part->cut)
            SL_TRY(label_part(m, of, part, &more));
        if (!more)
            continue;
        if (!first)
            SL_TRY(sl_release_copy(&m->cache->element, &m->cache->one, m->arena));
        else
            SL_TRY(sl_release_join(&m->cache->element, &m->cache->one));
        first = first ? first : part;
    }
    return first ? label_element(m, of, first, &m->cache->element) : SL_OK;
}

/* What is contained goes out under labels of its own, which stand on the references to it. */
static enum sl_status label_contained(struct making *m, struct sl_item *within)
{
    struct sl_release own = {0}, base = {0};
    if (!within->part_count)
        return SL_OK;
    SL_TRY(sl_ruling_release_of(within->ruling, within, NULL, m->arena, &own));
    SL_TRY(sl_release_copy(&base, &m->whole, m->arena));
    SL_TRY(sl_release_join(&base, &own));
    m->base = &base;
    m->base_level = higher(m->level, own.confidentiality);
    enum sl_status status = label_elements(m, within);
    m->base = &m->whole;
    m->base_level = m->level;
    return status;
}

static enum sl_status label_all(struct making *m)
{
    struct sl_item *item = m->item;
    SL_TRY(sl_ruling_release_of(item->ruling, item, NULL, m->arena, &m->whole));
    m->base = &m->whole;
    m->level = m->highest = m->base_level = higher(m->whole.confidentiality, item->level);
    SL_TRY(label_elements(m, item));
    m->highest = higher(m->highest, sl_inline_level(item, m->arena, &m->inlined));
    for (struct sl_item *within = item->next; within && within->container; within = within->next) {
        if (!within->verdict || within->verdict->decision != SL_RELEASED)
            continue; /* nor do the labels go with which it came */
        SL_TRY(label_contained(m, within));
        m->highest = higher(m->highest, sl_inline_level(within, m->arena, &m->inlined));
    }
    struct sl_coding inlined = {.system = SL_LIT(ACT_CODE), .code = SL_LIT(INLINED)};
    const struct sl_release process = {.labels = &inlined, .label_count = 1};
    return m->inlined ? sl_release_join(&m->whole, &process) : SL_OK;
}

/* The statement that is due: of the whole, and where elements rest on consents of their own, of them all. */
static enum sl_status find_statement(const struct making *m, struct sl_slice *out)
{
    struct sl_release all;
    *out = m->whole.notice ? m->whole.statement : (struct sl_slice){NULL, 0};
    if (!m->noticed)
        return SL_OK;
    SL_TRY(sl_ruling_release(m->item->ruling, m->item, m->arena, &all));
    *out = all.statement;
    return SL_OK;
}

static enum sl_status write_texts(const struct making *m)
{
    struct sl_item *item = m->item;
    struct sl_slice statement;
    struct sl_buffer text;
    SL_TRY(find_statement(m, &statement));
    sl_buffer_init(&text, 256 * 1024);
    write_security(&text, item, m->highest, &m->whole, m->arena);
    item->security = sl_arena_copy(m->arena, sl_buffer_slice(&text));
    bool failed = sl_buffer_failed(&text);
    sl_buffer_clear(&text);
    item->mark = (struct sl_slice){NULL, 0};
    item->statement = statement;
    if (statement.len) {
        write_mark(&text, statement);
        item->mark = sl_arena_copy(m->arena, sl_buffer_slice(&text));
    }
    failed |= sl_buffer_failed(&text);
    sl_buffer_fini(&text);
    return failed || sl_arena_failed(m->arena) ? SL_NO_MEMORY : SL_OK;
}

/* Nothing to look at but the whole: every element is like one that added nothing. */
static bool is_simple(const struct making *m)
{
    const struct sl_item *item = m->item;
    bool simple = !sl_ruling_by_item(item->ruling, &item->classes) && !item->inline_count;
    for (uint32_t i = 0; i < item->part_count && simple; i++)
        simple = item->parts[i].cut ||
                 is_plain(m, &m->cache->plain[slot_of(&item->parts[i].classes, &item->classes)], &item->parts[i]);
    for (const struct sl_item *within = item->next; within && within->container && simple; within = within->next)
        simple = !within->part_count && !within->inline_count;
    return simple;
}

static struct sl_label_cached *cached_for(struct sl_label_cache *cache, const struct sl_item *item)
{
    const struct sl_classes none = {{0}};
    return &cache->kept[slot_of(&item->classes, &none)];
}

enum sl_status sl_segment_label(struct sl_label_cache *cache, struct sl_arena *arena, struct sl_item *item)
{
    struct making m = {.cache = cache, .arena = arena, .item = item, .whole = {.labels = cache->room}};
    struct sl_label_cached *c = cached_for(cache, item);
    item->meta = find_meta(item);
    struct sl_slice received = received_text(item);
    if (is_cached(c, item, received) && is_simple(&m)) {
        item->security = c->security;
        item->mark = c->mark;
        item->statement = c->statement;
        item->confidentiality = c->confidentiality;
        return SL_OK;
    }
    SL_TRY(label_all(&m));
    SL_TRY(write_texts(&m));
    cache->room = m.whole.labels; /* the next one's */
    item->confidentiality = m.highest;
    if (!m.parted && !m.inlined && !m.noticed)
        *c = (struct sl_label_cached){.ruling = item->ruling,
            .classes = item->classes,
            .program = item->program,
            .received = received,
            .custodian = item->custodian,
            .security = item->security,
            .mark = item->mark,
            .statement = item->statement,
            .level = item->level,
            .confidentiality = item->confidentiality};
    return SL_OK;
}

/* ---- Into the text ---- */

/* Marks that a gateway put there for an earlier release, known by their words: they say who may have that one. */
static bool is_mark(const struct sl_item *item, uint32_t extension, struct sl_arena *arena)
{
    const struct sl_doc *doc = item->doc;
    uint32_t url = doc->spans[extension].type == SL_SPAN_OBJECT ? sl_span_member(doc, extension, SL_NAME_url) : 0;
    if (!url || !sl_span_is(doc, url, SL_LIT(MARK_URL)))
        return false;
    uint32_t note = sl_span_member(doc, extension, SL_NAME_valueAnnotation);
    struct sl_slice words = note ? sl_coding_member(doc, note, SL_NAME_text, arena) : (struct sl_slice){NULL, 0};
    return sl_slice_starts(words, sl_ruling_short_notice(item->ruling));
}

static void cut_marks(const struct sl_item *item, uint32_t extensions, struct sl_edits *edits, struct sl_arena *arena)
{
    for (uint32_t c = extensions + 1; c < item->doc->spans[extensions].next; c = item->doc->spans[c].next)
        if (is_mark(item, c, arena))
            sl_edit_cut(edits, c);
}

static enum sl_status edit_mark(
    const struct sl_item *item, uint32_t meta, struct sl_edits *edits, struct sl_arena *arena)
{
    uint32_t extensions = sl_span_member(item->doc, meta, SL_NAME_extension);
    bool there = extensions && item->doc->spans[extensions].type == SL_SPAN_ARRAY;
    if (there)
        cut_marks(item, extensions, edits, arena);
    if (!item->mark.len)
        return SL_OK;
    if (there && !sl_edit_is_cut(edits, extensions)) {
        sl_edit_add_item(edits, extensions, item->mark);
        return SL_OK;
    }
    if (there)
        sl_edit_cut(edits, extensions);
    const struct sl_slice parts[] = {SL_LIT("\"extension\":["), item->mark, SL_LIT("]")};
    struct sl_slice member = sl_arena_join(arena, parts, 3);
    if (!member.ptr)
        return SL_NO_MEMORY;
    sl_edit_add_member(edits, meta, member);
    return SL_OK;
}

/* At the end, wherever those stood that it came with. */
static enum sl_status edit_security(
    const struct sl_item *item, uint32_t meta, struct sl_edits *edits, struct sl_arena *arena)
{
    uint32_t security = sl_span_member(item->doc, meta, SL_NAME_security);
    const struct sl_slice parts[] = {SL_LIT("\"security\":"), item->security};
    struct sl_slice member = sl_arena_join(arena, parts, 2);
    if (!member.ptr)
        return SL_NO_MEMORY;
    if (security)
        sl_edit_cut(edits, security);
    sl_edit_add_member(edits, meta, member);
    return SL_OK;
}

enum sl_status sl_segment_edit_meta(const struct sl_item *item, struct sl_edits *edits, struct sl_arena *arena)
{
    uint32_t meta = item->meta;
    if (meta && !sl_edit_is_cut(edits, meta)) {
        SL_TRY(edit_security(item, meta, edits, arena));
        return edit_mark(item, meta, edits, arena);
    }
    const struct sl_slice parts[] = {SL_LIT("\"meta\":{\"security\":"), item->security,
        item->mark.len ? SL_LIT(",\"extension\":[") : SL_LIT(""), item->mark,
        item->mark.len ? SL_LIT("]}") : SL_LIT("}")};
    struct sl_slice text = sl_arena_join(arena, parts, 5);
    if (!text.ptr)
        return SL_NO_MEMORY;
    if (meta)
        sl_edit_cut(edits, meta);
    sl_edit_add_member(edits, item->span, text);
    return SL_OK;
}
