/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drafts: what AI wrote and no human has vouched for. That AI wrote it, a label says (AIAST), or a Provenance with the
 * marks of HL7's AI Transparency on FHIR (hl7.fhir.uv.aitransparency 1.0.0-ballot): AIAST for a reason, an agent of one
 * of its device types, or its profile. That a human has vouched, the record says (its status, who authenticated or
 * attested it), or a Provenance with a verifier, legal authenticator, attester or signer who is a practitioner, no
 * older than what AI wrote last.
 *
 * Statements of Provenances are kept by the name of their target, whether that is here or not. They are read from
 * Provenances among the items, and from others that the caller looked for (sl_labeller_vouch).
 */
#include "directive_model.h"
#include "labelling.h"
#include "sluice/book.h"

#define STATEMENTS_START 64u

struct statement { /* of all Provenances read so far, about one target */
    bool used, looked_for;
    sl_r4_node type;
    struct sl_slice name;
    bool ai, vouched;
    int64_t written, signed_at; /* the latest; of one whose time cannot be read: the worst case */
};

struct sl_statements {
    struct statement *table; /* open addressing */
    size_t mask, count;
};

/* ---- The table ---- */

static struct statement *slot_of(
    const struct sl_labeller *labeller, struct statement *table, size_t mask, sl_r4_node type, struct sl_slice name)
{
    size_t i = (size_t)sl_labeller_hash(labeller, type, name) & mask;
    while (table[i].used && !(table[i].type == type && sl_slice_eq(table[i].name, name)))
        i = (i + 1) & mask;
    return &table[i];
}

static struct sl_statements *statements_of(struct sl_labeller *labeller)
{
    struct sl_statements *s = labeller->statements;
    if (s)
        return s;
    s = sl_arena_alloc(labeller->arena, sizeof *s);
    struct statement *table = sl_arena_array(labeller->arena, STATEMENTS_START, sizeof *table);
    if (!s || !table)
        return NULL;
    *s = (struct sl_statements){.table = table, .mask = STATEMENTS_START - 1};
    return labeller->statements = s;
}

static bool grow(struct sl_labeller *labeller, struct sl_statements *s)
{
    if ((s->count + 1) * 2 <= s->mask)
        return true;
    size_t mask = s->mask * 2 + 1;
    struct statement *table = sl_arena_array(labeller->arena, mask + 1, sizeof *table);
    if (!table)
        return false;
    for (size_t i = 0; i <= s->mask; i++)
        if (s->table[i].used)
            *slot_of(labeller, table, mask, s->table[i].type, s->table[i].name) = s->table[i];
    s->table = table;
    s->mask = mask;
    return true;
}

/* The statement about this target, made if there is none; NULL: no memory. */
static struct statement *statement_about(struct sl_labeller *labeller, sl_r4_node type, struct sl_slice name)
{
    struct sl_statements *s = statements_of(labeller);
    labeller->resolved = false; /* what is said of it may change */
    if (!s || !grow(labeller, s))
        return NULL;
    struct statement *slot = slot_of(labeller, s->table, s->mask, type, name);
    if (slot->used)
        return slot;
    *slot = (struct statement){.used = true,
        .type = type,
        .name = sl_arena_copy(labeller->arena, name),
        .written = INT64_MIN,
        .signed_at = INT64_MIN};
    s->count++;
    return slot->name.ptr ? slot : NULL;
}

static const struct statement *find(const struct sl_labeller *labeller, sl_r4_node type, struct sl_slice name)
{
    const struct sl_statements *s = labeller->statements;
    if (!s || !name.len)
        return NULL;
    const struct statement *slot = slot_of(labeller, s->table, s->mask, type, name);
    return slot->used ? slot : NULL;
}

/* ---- Reading ---- */

struct reader {
    struct sl_labeller *labeller;
    const struct sl_doc *doc;
};

static uint32_t member(const struct reader *in, uint32_t object, sl_name name)
{
    return in->doc->spans[object].type == SL_SPAN_OBJECT ? sl_span_member(in->doc, object, name) : 0;
}

static struct sl_slice text(const struct reader *in, uint32_t span)
{
    bool string = span && in->doc->spans[span].type == SL_SPAN_STRING;
    return string ? sl_span_string(in->doc, span, in->labeller->arena) : (struct sl_slice){NULL, 0};
}

/* Calls for each value of a member that repeats; a single one in its place counts. True once one says so. */
static bool any_of(
    const struct reader *in, uint32_t object, sl_name name, bool (*says)(const struct reader *in, uint32_t span))
{
    uint32_t list = member(in, object, name);
    const struct sl_span *spans = in->doc->spans;
    if (!list || spans[list].type != SL_SPAN_ARRAY)
        return list && says(in, list);
    for (uint32_t i = list + 1; i < spans[list].next; i = spans[i].next)
        if (says(in, i))
            return true;
    return false;
}

static bool has_system(const struct reader *in, uint32_t coding, struct sl_slice system)
{
    uint32_t at = member(in, coding, SL_NAME_system);
    return at && sl_span_is(in->doc, at, system);
}

/* By number, so that the system's OID is the system. */
static bool is_aiast(const struct reader *in, uint32_t coding)
{
    uint32_t code = member(in, coding, SL_NAME_code);
    return code && sl_span_is(in->doc, code, SL_LIT("AIAST")) &&
           sl_labeller_system(in->labeller, text(in, member(in, coding, SL_NAME_system))) == in->labeller->system_value;
}

static bool is_ai_device(const struct reader *in, uint32_t coding)
{
    return has_system(in, coding, SL_LIT("http://hl7.org/fhir/uv/aitransparency/CodeSystem/AIdeviceTypeCS"));
}

static bool is_vouching(const struct reader *in, uint32_t coding)
{
    static const struct sl_slice codes[] = {{"verifier", 8}, {"legal", 5}, {"attester", 8}};
    uint32_t code = member(in, coding, SL_NAME_code);
    for (size_t i = 0; code && i < sizeof codes / sizeof *codes; i++)
        if (sl_span_is(in->doc, code, codes[i]))
            return has_system(in, coding, SL_LIT("http://terminology.hl7.org/CodeSystem/provenance-participant-type"));
    return false;
}

static bool has_aiast(const struct reader *in, uint32_t concept)
{
    return any_of(in, concept, SL_NAME_coding, is_aiast);
}

static bool has_ai_device(const struct reader *in, uint32_t concept)
{
    return any_of(in, concept, SL_NAME_coding, is_ai_device);
}

static bool has_vouching(const struct reader *in, uint32_t concept)
{
    return any_of(in, concept, SL_NAME_coding, is_vouching);
}

/* ".../Practitioner/x", of whatever server, or a reference that says of itself that it is one. */
static bool is_practitioner(const struct reader *in, uint32_t reference)
{
    static const struct sl_slice types[] = {{"Practitioner", 12}, {"PractitionerRole", 16}};
    struct sl_slice said = text(in, member(in, reference, SL_NAME_type));
    struct sl_slice name = text(in, member(in, reference, SL_NAME_reference));
    const char *slash = name.len ? memrchr(name.ptr, '/', name.len) : NULL;
    struct sl_slice front = {name.ptr, slash ? (size_t)(slash - name.ptr) : 0};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        size_t len = types[i].len;
        bool ends = front.len >= len && memcmp(front.ptr + front.len - len, types[i].ptr, len) == 0 &&
                    (front.len == len || front.ptr[front.len - len - 1] == '/');
        if (ends || (!name.len && sl_slice_eq(said, types[i])))
            return true;
    }
    return false;
}

static bool is_ai_agent(const struct reader *in, uint32_t agent)
{
    return any_of(in, agent, SL_NAME_type, has_ai_device) || any_of(in, agent, SL_NAME_role, has_ai_device);
}

static bool is_voucher(const struct reader *in, uint32_t agent)
{
    bool vouches = any_of(in, agent, SL_NAME_type, has_vouching) || any_of(in, agent, SL_NAME_role, has_vouching);
    return vouches && any_of(in, agent, SL_NAME_who, is_practitioner);
}

static bool is_signature(const struct reader *in, uint32_t signature)
{
    return any_of(in, signature, SL_NAME_who, is_practitioner);
}

static bool is_ai_profile(const struct reader *in, uint32_t profile)
{
    struct sl_slice url = text(in, profile);
    return sl_slice_starts(url, SL_LIT("http://hl7.org/fhir/uv/aitransparency/StructureDefinition/AI-Provenance"));
}

static bool is_attester(const struct reader *in, uint32_t attester)
{
    uint32_t mode = member(in, attester, SL_NAME_mode);
    bool counts =
        mode && (sl_span_is(in->doc, mode, SL_LIT("professional")) || sl_span_is(in->doc, mode, SL_LIT("legal")));
    return counts && any_of(in, attester, SL_NAME_party, is_practitioner);
}

bool sl_draft_is_signed(struct sl_labeller *labeller, const struct sl_item *item)
{
    const struct reader in = {.labeller = labeller, .doc = item->doc};
    if (item->type == SL_R4_DocumentReference)
        return any_of(&in, item->span, SL_NAME_authenticator, is_practitioner);
    return item->type == SL_R4_Composition && any_of(&in, item->span, SL_NAME_attester, is_attester);
}

/* ---- What a Provenance says ---- */

struct saying {
    bool ai, vouched;
    int64_t written, signed_at;
};

static void note(struct statement *about, const struct saying *saying)
{
    if (saying->ai && (!about->ai || saying->written > about->written))
        about->written = saying->written;
    if (saying->vouched && (!about->vouched || saying->signed_at > about->signed_at))
        about->signed_at = saying->signed_at;
    about->ai |= saying->ai;
    about->vouched |= saying->vouched;
}

static struct saying read_saying(const struct reader *in, uint32_t root)
{
    struct sl_moment moment = {0};
    struct saying saying = {.ai = any_of(in, root, SL_NAME_reason, has_aiast) ||
                                  any_of(in, root, SL_NAME_agent, is_ai_agent) ||
                                  any_of(in, member(in, root, SL_NAME_meta), SL_NAME_profile, is_ai_profile),
        .vouched = any_of(in, root, SL_NAME_agent, is_voucher) || any_of(in, root, SL_NAME_signature, is_signature)};
    bool timed = sl_moment_read(text(in, member(in, root, SL_NAME_recorded)), &moment);
    saying.written = timed ? moment.begin : INT64_MAX;
    saying.signed_at = timed ? moment.begin : INT64_MIN;
    if (saying.ai && saying.vouched)
        saying.signed_at = saying.written; /* one statement of both: whenever it was made */
    return saying;
}

enum sl_status sl_draft_read(
    struct sl_labeller *labeller, const struct sl_doc *doc, uint32_t root, struct sl_slice base)
{
    const struct reader in = {.labeller = labeller, .doc = doc};
    if (!statements_of(labeller))
        return SL_NO_MEMORY;
    struct saying saying = read_saying(&in, root);
    uint32_t targets = member(&in, root, SL_NAME_target);
    if ((!saying.ai && !saying.vouched) || !targets || doc->spans[targets].type != SL_SPAN_ARRAY)
        return SL_OK;
    for (uint32_t i = targets + 1; i < doc->spans[targets].next; i = doc->spans[i].next) {
        struct target target = sl_target_read(labeller, text(&in, member(&in, i, SL_NAME_reference)), base);
        if (!target.name.len || target.scoped)
            continue;
        struct statement *about = statement_about(labeller, target.type, target.name);
        if (!about)
            return SL_NO_MEMORY;
        note(about, &saying);
    }
    return SL_OK;
}

enum sl_status sl_labeller_vouch(struct sl_labeller *labeller, const struct sl_doc *doc, uint32_t root)
{
    return sl_draft_read(labeller, doc, root, (struct sl_slice){NULL, 0});
}

/* ---- Which items are drafts ---- */

static bool outweighs(const struct statement *about)
{
    return about->vouched && about->signed_at >= about->written;
}

enum sl_draft sl_draft_judge(const struct sl_labeller *labeller, const struct labelled *item)
{
    const struct statement *by_id = item->scoped ? NULL : find(labeller, item->item.type, item->item.id),
                           *by_url = find(labeller, 0, item->item.full_url);
    bool ai = item->ai || (by_id && by_id->ai) || (by_url && by_url->ai);
    bool wrote_since = (by_id && by_id->ai && !outweighs(by_id)) || (by_url && by_url->ai && !outweighs(by_url));
    bool vouched = (by_id && outweighs(by_id)) || (by_url && outweighs(by_url));
    if (item->signed_off || (vouched && !wrote_since))
        return SL_DRAFT_SIGNED;
    return !ai ? SL_DRAFT_NONE : item->ai ? SL_DRAFT_LABELLED : SL_DRAFT_SAID;
}

/* ---- What is still to be looked for ---- */

/* A directory entry, a person, a list of who may see what: nobody drafts them. A record that is signed needs no more
 * word of it. */
static bool is_open(const struct labelled *item)
{
    sl_r4_node type = item->item.type;
    if (item->scoped || item->known || item->signed_off || !type || !item->item.id.len || item->item.container)
        return false;
    if (sl_r4_facts(type) & (SL_R4_DIRECTORY | SL_R4_BY_ROUTE))
        return false;
    switch (type) {
    case SL_R4_Patient:
    case SL_R4_Person:
    case SL_R4_RelatedPerson:
    case SL_R4_Coverage:
    case SL_R4_Consent:
    case SL_R4_AuditEvent:
    case SL_R4_Bundle:
        return false;
    default:
        return true;
    }
}

static struct labelled *next_open(const struct sl_labeller *labeller, struct labelled *item)
{
    for (; item; item = (struct labelled *)item->item.next) {
        const struct statement *about = is_open(item) ? find(labeller, item->item.type, item->item.id) : NULL;
        if (is_open(item) && !(about && about->looked_for))
            return item;
    }
    return NULL;
}

enum sl_status sl_labeller_unvouched(struct sl_labeller *labeller, struct sl_slice **names, size_t *count)
{
    size_t most = 0;
    *names = NULL;
    *count = 0;
    if (sl_classes_empty(&labeller->earning->draft))
        return SL_OK;
    for (struct labelled *i = next_open(labeller, labeller->first); i;
         i = next_open(labeller, (struct labelled *)i->item.next))
        most++;
    *names = most ? sl_arena_array(labeller->arena, most, sizeof **names) : NULL;
    for (struct labelled *i = next_open(labeller, labeller->first); i && *names;
         i = next_open(labeller, (struct labelled *)i->item.next)) {
        struct sl_slice type = sl_r4_node_name(i->item.type);
        struct statement *about = statement_about(labeller, i->item.type, i->item.id);
        (*names)[*count] = sl_arena_join(labeller->arena, (const struct sl_slice[]){type, SL_LIT("/"), i->item.id}, 3);
        if (!about || !(*names)[*count].ptr)
            return SL_NO_MEMORY;
        about->looked_for = true; /* each once, though there be several versions of it */
        ++*count;
    }
    return sl_arena_failed(labeller->arena) ? SL_NO_MEMORY : SL_OK;
}

/* ---- Remembered ---- */

enum sl_status sl_labeller_know_vouches(
    struct sl_labeller *labeller, struct sl_slice name, const struct sl_book_entry *entry)
{
    struct target target = sl_target_read(labeller, name, (struct sl_slice){NULL, 0});
    struct statement *about = target.type ? statement_about(labeller, target.type, target.name) : NULL;
    if (!about)
        return target.type ? SL_NO_MEMORY : SL_INVALID;
    /* With when it was: one of those who have spoken may be read again here, and must not outweigh who spoke later. */
    note(about, &(struct saying){.ai = sl_classes_meet(&entry->classes, &labeller->earning->draft),
                    .vouched = entry->candidate,
                    .written = entry->said.by_ai,
                    .signed_at = entry->said.signed_at});
    return SL_OK;
}

enum sl_status sl_book_entry_of_vouches(struct sl_labeller *labeller, struct sl_slice name, struct sl_book_entry *out)
{
    struct target target = sl_target_read(labeller, name, (struct sl_slice){NULL, 0});
    if (!target.type)
        return SL_INVALID;
    const struct statement *about = find(labeller, target.type, target.name);
    bool draft = about && about->ai && !outweighs(about);
    *out = (struct sl_book_entry){.reference = name,
        .candidate = about && outweighs(about),
        .classes = labeller->earning->by_type[SL_R4_Provenance]};
    if (about)
        out->said = (struct sl_said){about->written, about->signed_at};
    if (draft)
        out->classes = labeller->earning->draft;
    return SL_OK;
}
