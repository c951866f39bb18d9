/* SPDX-License-Identifier: Apache-2.0 */
/* One pass of the one path: see sluice/pass.h. Rulings are compiled once for each set of patients and kept by it. */
#include "sluice/pass.h"

#include <stdlib.h>

#include "directive_people.h"
#include "earning.h"
#include "registered.h"
#include "sluice/fault.h"

#define MAX_PATIENTS 64u /* whom one item is about; with more it is withheld */
#define MAX_NAMED 10000u /* whom one item only names; with more it is withheld */

struct ruled { /* one set of patients and the ruling for it */
    struct sl_slice key;
    struct sl_ruling *ruling;
};

struct person { /* what was directed under one key of a person, as it was looked up */
    struct sl_slice key;
    struct sl_directives directives;
    struct person *next;
};

struct sl_pass {
    struct sl_arena *arena;
    struct sl_pass_options options;
    struct sl_labeller *labeller;
    struct ruled *table; /* open addressing, a power of two, at most half full */
    size_t capacity, count;
    const struct ruled *last;
    struct sl_slice named, known_as; /* the reference that was looked for last, what the person is known as, */
    uint32_t among;                  /* and among how many items; 0: none was looked for */
    struct sl_slice told_of;         /* of whom it was asked last whether all their keys are known, */
    bool told;                       /* and whether they are */
    struct person **persons;         /* by hash; NULL until somebody is looked up */
    struct sl_lacking lacking;
    bool decided;
    struct sl_slice *known; /* persons of whom this recipient gets something else: a hash table, as `table` */
    size_t known_capacity, known_count;
    struct sl_past begun, past; /* what is handed down to the first version in it; to the one after the last */
};

struct sl_pass *sl_pass_new(struct sl_arena *arena, const struct sl_pass_options *options)
{
    struct sl_pass *pass = sl_arena_alloc(arena, sizeof *pass);
    if (!pass)
        return NULL;
    pass->arena = arena;
    pass->options = *options;
    pass->labeller = sl_labeller_new(arena, options->policy, options->programs);
    if (!pass->labeller)
        return NULL;
    sl_labeller_registered(pass->labeller, options->registered);
    sl_labeller_kept(pass->labeller, options->kept, options->kept_under);
    if (!pass->options.kin)
        pass->options.kin = sl_kin_new(arena, (struct sl_slice){NULL, 0});
    return pass->options.kin ? pass : NULL;
}

struct sl_labeller *sl_pass_labeller(struct sl_pass *pass)
{
    return pass->labeller;
}

enum sl_status sl_pass_add(struct sl_pass *pass, const struct sl_doc *doc, uint32_t root, struct sl_slice full_url,
    bool context, struct sl_item **out)
{
    return sl_labeller_add(pass->labeller, doc, root, full_url, context, out);
}

enum sl_status sl_pass_add_row(struct sl_pass *pass, const struct sl_doc *doc, uint32_t root,
    const struct sl_kept_row *row, bool context, struct sl_item **out)
{
    return sl_labeller_add_row(pass->labeller, doc, root, row, context, out);
}

bool sl_pass_wants(const struct sl_pass *pass, struct sl_slice reference)
{
    for (size_t i = 0; i < pass->lacking.count; i++)
        if (sl_slice_eq(pass->lacking.reference[i], reference))
            return true;
    return false;
}

bool sl_pass_wants_records(const struct sl_pass *pass)
{
    return pass->lacking.unbooked;
}

/* ---- Versions ---- */

enum sl_status sl_pass_add_version(struct sl_pass *pass, const struct sl_doc *doc, uint32_t root, struct sl_item **out)
{
    return sl_labeller_add_version(pass->labeller, doc, root, out);
}

void sl_pass_begin_past(struct sl_pass *pass, const struct sl_past *past)
{
    pass->begun = *past;
}

enum sl_status sl_pass_past(const struct sl_pass *pass, struct sl_arena *arena, struct sl_past *out)
{
    *out = pass->past;
    out->program_reference = sl_arena_copy(arena, pass->past.program_reference);
    out->named_program = sl_arena_copy(arena, pass->past.named_program);
    out->custodian = sl_arena_copy(arena, pass->past.custodian);
    struct sl_past_element *elements = sl_arena_array(arena, out->element_count + 1, sizeof *elements);
    if (elements && out->element_count)
        memcpy(elements, out->elements, out->element_count * sizeof *elements);
    out->elements = elements;
    return sl_arena_failed(arena) ? SL_NO_MEMORY : SL_OK;
}

/* From the newest to the oldest: in that order they were added. */
static enum sl_status hand_down(struct sl_pass *pass)
{
    pass->past = pass->begun;
    for (struct sl_item *item = sl_labeller_items(pass->labeller); item; item = item->next)
        if (item->is_version)
            SL_TRY(sl_past_hand_down(&pass->past, item, pass->arena));
    return SL_OK;
}

/* ---- Who it is about ---- */

static struct sl_slice look_for(struct sl_pass *pass, struct sl_slice reference)
{
    const struct sl_item *item = sl_labeller_find(pass->labeller, reference);
    if (!item || !item->id.len || item->type == 0)
        return reference;
    struct sl_slice type = sl_r4_node_name(item->type);
    if (reference.len == type.len + 1 + item->id.len && sl_slice_starts(reference, type))
        return reference;
    return sl_arena_join(pass->arena, (const struct sl_slice[]){type, SL_LIT("/"), item->id}, 3);
}

/* Mostly all are about one. Which items have which names changes with their number alone. */
static struct sl_slice known_as(struct sl_pass *pass, struct sl_slice reference)
{
    uint32_t count = sl_labeller_count(pass->labeller);
    if (!count || pass->among != count || !sl_slice_eq(pass->named, reference)) {
        pass->known_as = look_for(pass, reference);
        pass->named = reference;
        pass->among = count;
    }
    return pass->known_as;
}

static int order_slices(const void *a, const void *b)
{
    const struct sl_slice *x = a, *y = b;
    size_t least = x->len < y->len ? x->len : y->len;
    int order = least ? memcmp(x->ptr, y->ptr, least) : 0;
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

/* Whom an item is about. named: each is named by an element that can go alone, and the item is about those who may be
 * shown in it; otherwise it is about all of them together. */
struct people {
    struct sl_slice *list;
    size_t count, room;
    bool named, too_many;
    struct sl_slice few[4]; /* most items are about one */
};

static void add_person(struct sl_pass *pass, struct sl_slice reference, struct people *out)
{
    if (out->count == out->room) {
        struct sl_slice *list = sl_arena_raw(pass->arena, out->room * 4, sizeof *list);
        if (!list || out->room * 4 > MAX_NAMED * 4) {
            out->too_many = true;
            return;
        }
        memcpy(list, out->list, out->count * sizeof *list);
        out->list = list;
        out->room *= 4;
    }
    out->list[out->count++] = known_as(pass, reference);
}

static void add_people(struct sl_pass *pass, const struct sl_item *item, struct people *out)
{
    uint32_t subjects = item->patient_count - item->named_count;
    uint32_t count = subjects ? subjects : item->patient_count;
    for (uint32_t i = 0; i < count; i++)
        add_person(pass, item->patients[i], out);
    out->named |= !subjects && item->named_count;
}

/* A Provenance, or a Binary with a context, is about whomever the records it names are about. */
static void add_borrowed(struct sl_pass *pass, const struct sl_item *item, struct people *out)
{
    for (uint32_t i = 0; i < item->reference_count; i++) {
        const struct sl_item *target = item->references[i].item;
        if (target && target->type == SL_R4_Patient)
            add_person(pass, item->references[i].target, out);
        else if (target && !(sl_r4_facts(target->type) & SL_R4_DIRECTORY))
            add_people(pass, target, out);
    }
    out->named = true;
}

/* The item whose patients are this one's. */
static const struct sl_item *bearer(const struct sl_item *item)
{
    while (item->route)
        item = item->route;
    while (item->container && item->patient_count == 0)
        item = item->container;
    return item;
}

/* The patients as known here, in order, each once. */
static void patients_of(struct sl_pass *pass, const struct sl_item *item, struct people *out)
{
    const struct sl_item *root = bearer(item);
    *out = (struct people){.list = out->few, .room = sizeof out->few / sizeof *out->few};
    if (root->patient_count == 0 && sl_r4_facts(root->type) & SL_R4_BY_ROUTE)
        add_borrowed(pass, root, out);
    else
        add_people(pass, root, out);
    if (out->count > 1)
        qsort(out->list, out->count, sizeof *out->list, order_slices);
    size_t kept = 0;
    for (size_t i = 0; i < out->count; i++)
        if (kept == 0 || !sl_slice_eq(out->list[kept - 1], out->list[i]))
            out->list[kept++] = out->list[i];
    out->count = kept;
    out->too_many |= kept > (out->named ? MAX_NAMED : MAX_PATIENTS);
}

static struct sl_slice join(struct sl_pass *pass, const struct sl_slice *patients, size_t count)
{
    if (count == 1)
        return patients[0];
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += patients[i].len + 1;
    char *text = sl_arena_raw(pass->arena, size + 1, 1);
    if (!text)
        return (struct sl_slice){NULL, 0};
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        if (i)
            text[at++] = ' ';
        memcpy(text + at, patients[i].ptr, patients[i].len);
        at += patients[i].len;
    }
    return (struct sl_slice){text, at};
}

enum sl_status sl_pass_patients(struct sl_pass *pass, const struct sl_item *item, struct sl_slice *out)
{
    struct people people;
    size_t count;
    const struct sl_slice *list;
    if (item->ruling) {
        list = sl_ruling_persons(item->ruling, &count);
    } else {
        patients_of(pass, item, &people);
        list = people.list;
        count = people.count;
    }
    *out = count ? join(pass, list, count) : (struct sl_slice){NULL, 0};
    return sl_arena_failed(pass->arena) ? SL_NO_MEMORY : SL_OK;
}

enum sl_status sl_pass_persons(struct sl_pass *pass, struct sl_slice **persons, size_t *count)
{
    size_t room = 0, kept = 0;
    struct people people;
    *count = 0;
    for (const struct sl_item *item = sl_labeller_items(pass->labeller); item; item = item->next)
        room += item->context || item->container ? 0 : item->patient_count;
    struct sl_slice *list = sl_arena_array(pass->arena, room + 1, sizeof *list);
    *persons = list;
    if (!list)
        return SL_NO_MEMORY;
    for (const struct sl_item *item = sl_labeller_items(pass->labeller); item; item = item->next) {
        if (item->context || item->container || !item->patient_count)
            continue;
        patients_of(pass, item, &people);
        bool again = people.count == 1 && kept && sl_slice_eq(list[kept - 1], people.list[0]);
        for (size_t i = 0; i < people.count && kept < room && !again; i++)
            list[kept++] = people.list[i];
    }
    qsort(list, kept, sizeof *list, order_slices);
    for (size_t i = 0; i < kept; i++)
        if (*count == 0 || !sl_slice_eq(list[*count - 1], list[i]))
            list[(*count)++] = list[i];
    return sl_arena_failed(pass->arena) ? SL_NO_MEMORY : SL_OK;
}

/* ---- Rulings by patients ---- */

static uint64_t hash(struct sl_slice key)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < key.len; i++)
        h = (h ^ (unsigned char)key.ptr[i]) * 0x100000001b3u;
    return h ^ h >> 29;
}

static struct ruled *slot_of(struct ruled *table, size_t capacity, struct sl_slice key)
{
    size_t i = hash(key) & (capacity - 1);
    while (table[i].ruling && !sl_slice_eq(table[i].key, key))
        i = (i + 1) & (capacity - 1);
    return &table[i];
}

static enum sl_status make_room(struct sl_pass *pass)
{
    if (pass->count * 2 < pass->capacity)
        return SL_OK;
    size_t capacity = pass->capacity ? pass->capacity * 2 : 16;
    struct ruled *table = sl_arena_array(pass->arena, capacity, sizeof *table);
    if (!table)
        return SL_NO_MEMORY;
    for (size_t i = 0; i < pass->capacity; i++)
        if (pass->table[i].ruling)
            *slot_of(table, capacity, pass->table[i].key) = pass->table[i];
    pass->table = table;
    pass->capacity = capacity;
    pass->last = NULL;
    return SL_OK;
}

#define PERSONS 256u /* slots; a power of two */

static struct person *find_person(const struct sl_pass *pass, struct sl_slice key)
{
    struct person *person = pass->persons ? pass->persons[hash(key) & (PERSONS - 1)] : NULL;
    while (person && !sl_slice_eq(person->key, key))
        person = person->next;
    return person;
}

/* What a person has directed, looked up once a pass: every ruling in it rests on the same. */
static enum sl_status person_of(struct sl_pass *pass, struct sl_slice key, struct person **out)
{
    const struct sl_pass_options *o = &pass->options;
    *out = find_person(pass, key);
    if (*out)
        return SL_OK;
    if (!pass->persons)
        pass->persons = sl_arena_array(pass->arena, PERSONS, sizeof(struct person *));
    struct person *person = pass->persons ? sl_arena_alloc(pass->arena, sizeof *person) : NULL;
    if (!person)
        return SL_NO_MEMORY;
    person->key = key;
    SL_TRY(o->directives(o->context, key, pass->arena, &person->directives));
    struct person **slot = &pass->persons[hash(key) & (PERSONS - 1)];
    person->next = *slot;
    *slot = *out = person;
    return SL_OK;
}

static void meet(struct sl_pass *pass, struct sl_directives *list)
{
    sl_directives_meet(list, pass->labeller, pass->options.recipient, pass->options.now, &pass->lacking);
}

/* What was directed under each key of a person. */
static enum sl_status look_up(struct sl_pass *pass, struct sl_slice patient)
{
    const struct sl_key *keys;
    struct person *person;
    size_t count;
    bool told;
    SL_TRY(sl_kin_want(pass->options.kin, patient));
    SL_TRY(sl_kin_keys(pass->options.kin, patient, pass->arena, &keys, &count, &told));
    for (size_t i = 0; i < count; i++)
        SL_TRY(person_of(pass, keys[i].patient, &person));
    return SL_OK;
}

/* What organizations are part of, where one of the Consents says who may disclose. */
static enum sl_status want_holders(struct sl_pass *pass)
{
    bool any = false;
    struct sl_slice last[3] = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
    for (size_t i = 0; pass->persons && i < PERSONS && !any; i++)
        for (struct person *person = pass->persons[i]; person && !any; person = person->next)
            any = sl_directives_name_discloser(&person->directives);
    for (const struct sl_item *item = sl_labeller_items(pass->labeller); item && any; item = item->next) {
        const struct sl_slice holders[] = {item->custodian, item->program, item->named_program};
        for (size_t i = 0; i < 3; i++) {
            if (holders[i].len && !sl_slice_eq(holders[i], last[i])) /* mostly all are of one */
                SL_TRY(sl_kin_want(pass->options.kin, holders[i]));
            last[i] = holders[i];
        }
    }
    return SL_OK;
}

/* What the directives of those whom the items are about need to be understood: Groups, care teams, organizations. */
static enum sl_status look_for_lacking(struct sl_pass *pass)
{
    pass->lacking.count = 0;
    pass->lacking.unbooked = false;
    struct sl_slice last = {NULL, 0};
    if (pass->options.directives)
        SL_TRY(sl_kin_read_all(pass->options.kin, pass->labeller));
    for (const struct sl_item *item = sl_labeller_items(pass->labeller); item && pass->options.directives;
         item = item->next)
        for (uint32_t i = 0; i < item->patient_count; i++) {
            if (last.len && sl_slice_eq(last, item->patients[i]))
                continue; /* mostly all are about one */
            last = item->patients[i];
            SL_TRY(look_up(pass, known_as(pass, item->patients[i])));
        }
    SL_TRY(want_holders(pass));
    for (size_t i = 0; pass->persons && i < PERSONS; i++)
        for (struct person *person = pass->persons[i]; person; person = person->next)
            meet(pass, &person->directives);
    return sl_arena_failed(pass->arena) ? SL_NO_MEMORY : SL_OK;
}

enum sl_status sl_pass_label(struct sl_pass *pass, struct sl_slice **missing, size_t *count)
{
    SL_TRY(sl_labeller_resolve_or_lack(pass->labeller, missing, count));
    SL_TRY(look_for_lacking(pass));
    if (!pass->lacking.count)
        return SL_OK;
    struct sl_slice *all = sl_arena_array(pass->arena, *count + pass->lacking.count, sizeof *all);
    if (!all)
        return SL_NO_MEMORY;
    size_t kept = 0;
    for (; kept < *count; kept++)
        all[kept] = (*missing)[kept];
    for (size_t i = 0; i < pass->lacking.count; i++) {
        size_t k = 0;
        while (k < *count && !sl_slice_eq((*missing)[k], pass->lacking.reference[i]))
            k++;
        if (k == *count)
            all[kept++] = pass->lacking.reference[i];
    }
    *missing = all;
    *count = kept;
    return SL_OK;
}

/* What a person has directed under whatever key: what binds, and what counts. */
static enum sl_status gather(struct sl_pass *pass, struct sl_slice patient, struct sl_directives *out)
{
    const struct sl_key *keys;
    struct person *person;
    size_t count;
    bool told;
    SL_TRY(sl_kin_keys(pass->options.kin, patient, pass->arena, &keys, &count, &told));
    for (size_t i = 0; i < count; i++) {
        SL_TRY(person_of(pass, keys[i].patient, &person));
        SL_TRY(sl_directives_copy(&person->directives, patient, keys[i].confirmed, pass->arena, out));
    }
    for (struct sl_directive *d = out->first; d; d = d->next)
        d->kin = pass->options.kin;
    return SL_OK;
}

/* Is the recipient excluded, under whatever number, from representing the person? */
static enum sl_status is_excluded(struct sl_pass *pass, struct sl_slice patient, bool *excluded)
{
    const struct sl_pass_options *o = &pass->options;
    const struct sl_key *keys;
    size_t count;
    bool told;
    *excluded = false;
    SL_TRY(sl_kin_keys(o->kin, patient, pass->arena, &keys, &count, &told));
    for (size_t i = 0; i < count && !*excluded; i++)
        *excluded = sl_registered_excludes(o->registered, o->recipient->user_reference, keys[i].patient);
    return SL_OK;
}

/* The recipient, without being the representative of whom the register excludes it from: sl_registered_relate knows the
 * numbers alone that entries name. */
static enum sl_status leave_out_excluded(struct sl_pass *pass, struct sl_recipient *recipient)
{
    const struct sl_relationship *all = recipient->relationships;
    struct sl_relationship *list = sl_arena_array(pass->arena, recipient->relationship_count + 1, sizeof *list);
    size_t kept = 0;
    if (!list)
        return SL_NO_MEMORY;
    for (size_t i = 0; i < recipient->relationship_count; i++) {
        bool excluded = false;
        if (sl_slice_eq(all[i].kind, SL_LIT("representative")))
            SL_TRY(is_excluded(pass, all[i].patient, &excluded));
        if (!excluded)
            list[kept++] = all[i];
    }
    recipient->relationships = list;
    recipient->relationship_count = kept;
    return SL_OK;
}

static enum sl_status compile(
    struct sl_pass *pass, const struct sl_slice *patients, size_t count, struct sl_ruling **out)
{
    const struct sl_pass_options *o = &pass->options;
    struct sl_directives directives = {0};
    for (size_t i = 0; i < count && o->directives; i++)
        SL_TRY(gather(pass, patients[i], &directives));
    meet(pass, &directives);
    sl_directives_settle(&directives, o->now);
    struct sl_directives *kept = sl_arena_alloc(pass->arena, sizeof *kept);
    struct sl_slice *names = sl_arena_array(pass->arena, count + 1, sizeof *names);
    if (!kept || !names)
        return SL_NO_MEMORY;
    *kept = directives;
    kept->kin = o->kin;
    for (size_t i = 0; i < count; i++)
        names[i] = patients[i];
    struct sl_recipient recipient = *o->recipient;
    if (sl_registered_excludes_any(o->registered, recipient.user_reference))
        SL_TRY(leave_out_excluded(pass, &recipient));
    return sl_ruling_new_under(pass->arena, o->policy, &recipient, names, count, kept, o->registered, o->now, out);
}

static enum sl_status ruling_of(
    struct sl_pass *pass, const struct sl_slice *patients, size_t count, const struct sl_ruling **out)
{
    struct sl_slice key = count ? join(pass, patients, count) : SL_LIT("");
    if (sl_arena_failed(pass->arena))
        return SL_NO_MEMORY;
    if (pass->last && (sl_slice_eq(pass->last->key, key) || sl_fault(SL_FAULT_NEIGHBOURS_DECISION))) {
        *out = pass->last->ruling;
        return SL_OK;
    }
    SL_TRY(make_room(pass));
    struct ruled *slot = slot_of(pass->table, pass->capacity, key);
    if (!slot->ruling) {
        struct sl_ruling *ruling = NULL;
        SL_TRY(compile(pass, patients, count, &ruling));
        *slot = (struct ruled){.key = key, .ruling = ruling};
        pass->count++;
    }
    pass->last = slot;
    *out = slot->ruling;
    return SL_OK;
}

/* Is every key of each of them known, under which something may be denied? */
static bool are_told(struct sl_pass *pass, struct sl_slice patients)
{
    bool told = true;
    if (patients.len && sl_slice_eq(patients, pass->told_of))
        return pass->told; /* mostly all are about one */
    pass->told_of = patients;
    while (patients.len && told) {
        const char *space = memchr(patients.ptr, ' ', patients.len);
        struct sl_slice one = {patients.ptr, space ? (size_t)(space - patients.ptr) : patients.len};
        const struct sl_key *keys;
        size_t count;
        told = sl_kin_keys(pass->options.kin, one, pass->arena, &keys, &count, &told) == SL_OK && told;
        patients = sl_slice_from(patients, one.len + (space != NULL));
    }
    pass->told = told;
    return told;
}

/* What keeps the item from going, as one of these persons, whatever policy says. */
static const char *outside(struct sl_pass *pass, const struct sl_item *item, struct sl_slice patients)
{
    const struct sl_pass_options *o = &pass->options;
    if (item->container)
        return NULL;
    const char *why = o->outside ? o->outside(o->context, item, patients) : NULL;
    return why || !o->directives || are_told(pass, patients) ? why : "patient-keys-unknown";
}

/* Keeps those in whose record alone the item may go. If there is none, all stay, and it is withheld as theirs. */
static enum sl_status keep_permitted(struct sl_pass *pass, struct sl_item *item, struct people *people)
{
    size_t kept = 0, within = 0;
    const char *why = NULL;
    for (size_t i = 0; i < people->count; i++) {
        const struct sl_ruling *ruling;
        const char *reason = outside(pass, item, people->list[i]);
        why = why ? why : reason;
        if (reason)
            continue;
        within++;
        SL_TRY(ruling_of(pass, &people->list[i], 1, &ruling));
        if (sl_decide_item(ruling, item).decision != SL_RELEASED)
            continue;
        struct sl_slice one = people->list[kept];
        people->list[kept++] = people->list[i];
        people->list[i] = one;
    }
    if (kept)
        people->count = kept;
    else if (!within && !item->unlabelled)
        item->unlabelled = why;
    return SL_OK;
}

static enum sl_status rule(struct sl_pass *pass, struct sl_item *item)
{
    struct people people;
    const struct sl_item *root = bearer(item);
    if (root != item && root->ruling) {
        item->ruling = root->ruling;
        return SL_OK;
    }
    patients_of(pass, item, &people);
    if (people.too_many) {
        item->unlabelled = "too-many-patients";
        people.count = 0;
    }
    if (people.named && people.count) {
        SL_TRY(keep_permitted(pass, item, &people));
        qsort(people.list, people.count, sizeof *people.list, order_slices);
    } else if (!item->unlabelled) {
        struct sl_slice patients = people.count ? join(pass, people.list, people.count) : (struct sl_slice){NULL, 0};
        item->unlabelled = outside(pass, item, patients);
    }
    return ruling_of(pass, people.list, people.count, &item->ruling);
}

/* ---- Who is known here ---- */

static const struct sl_classes *presence_of(const struct sl_pass *pass)
{
    return &sl_policy_earning(pass->options.policy)->presence;
}

static struct sl_slice *known_slot(struct sl_slice *known, size_t capacity, struct sl_slice person)
{
    size_t i = hash(person) & (capacity - 1);
    while (known[i].len && !sl_slice_eq(known[i], person))
        i = (i + 1) & (capacity - 1);
    return &known[i];
}

bool sl_pass_knows(const struct sl_pass *pass, struct sl_slice person)
{
    return pass->known_count && known_slot(pass->known, pass->known_capacity, person)->len;
}

enum sl_status sl_pass_reveal(struct sl_pass *pass, struct sl_slice person)
{
    if (!person.len || sl_pass_knows(pass, person))
        return SL_OK;
    if (pass->known_count * 2 >= pass->known_capacity) {
        size_t capacity = pass->known_capacity ? pass->known_capacity * 2 : 16;
        struct sl_slice *known = sl_arena_array(pass->arena, capacity, sizeof *known);
        if (!known)
            return SL_NO_MEMORY;
        for (size_t i = 0; i < pass->known_capacity; i++)
            if (pass->known[i].len)
                *known_slot(known, capacity, pass->known[i]) = pass->known[i];
        pass->known = known;
        pass->known_capacity = capacity;
    }
    struct sl_slice copy = sl_arena_copy(pass->arena, person);
    if (!copy.ptr)
        return SL_NO_MEMORY;
    *known_slot(pass->known, pass->known_capacity, person) = copy;
    pass->known_count++;
    return SL_OK;
}

static bool is_presence(const struct sl_pass *pass, const struct sl_item *item)
{
    return sl_classes_meet(&item->classes, presence_of(pass));
}

static bool all_known(const struct sl_pass *pass, const struct sl_item *item)
{
    size_t count;
    const struct sl_slice *persons = sl_ruling_persons(item->ruling, &count);
    for (size_t i = 0; i < count; i++)
        if (!sl_pass_knows(pass, persons[i]))
            return false;
    return count > 0;
}

static struct sl_classes without_presence(const struct sl_pass *pass, const struct sl_item *item)
{
    struct sl_classes rest = item->classes;
    for (unsigned i = 0; i < SL_CLASS_WORDS; i++)
        rest.word[i] &= ~presence_of(pass)->word[i];
    return rest;
}

/* Would it go, but for that it tells of a person who is not known to be known? */
static bool is_hidden(const struct sl_pass *pass, const struct sl_item *item)
{
    if ((item->context && !item->mentioned) || item->unlabelled || !is_presence(pass, item) ||
        (item->verdict && item->verdict->decision == SL_RELEASED))
        return false;
    struct sl_item other = *item;
    other.classes = without_presence(pass, item);
    return sl_decide_item(item->ruling, &other).decision == SL_RELEASED;
}

/* What goes of a person tells that the person is known here. Not what the label book says of a record, which knows its
 * classes and not what is cut from it. */
enum sl_status sl_pass_note_known(struct sl_pass *pass)
{
    for (const struct sl_item *item = sl_labeller_items(pass->labeller); item; item = item->next) {
        size_t count;
        if (!item->doc || item->gone || item->container || !item->verdict || item->verdict->decision != SL_RELEASED ||
            sl_r4_facts(item->type) & (SL_R4_DIRECTORY | SL_R4_BY_ROUTE) || is_presence(pass, item))
            continue;
        const struct sl_slice *persons = sl_ruling_persons(item->ruling, &count);
        for (size_t i = 0; i < count; i++)
            SL_TRY(sl_pass_reveal(pass, persons[i]));
    }
    return SL_OK;
}

/* What an item of the answer leads to, but for whom it is about: the reference goes or stays as its target would. */
static void find_mentioned(struct sl_pass *pass)
{
    for (const struct sl_item *item = sl_labeller_items(pass->labeller); item; item = item->next)
        for (uint32_t i = 0; i < item->reference_count && !item->context; i++) {
            const struct sl_reference *reference = &item->references[i];
            if (reference->item && reference->kind != SL_REF_SUBJECT)
                reference->item->mentioned = true;
        }
}

static bool may_be_hidden(const struct sl_pass *pass)
{
    for (const struct sl_item *item = sl_labeller_items(pass->labeller); item; item = item->next)
        if (is_hidden(pass, item))
            return true;
    return false;
}

enum sl_status sl_pass_hidden(struct sl_pass *pass, struct sl_slice **persons, size_t *count)
{
    size_t room = 0, kept = 0;
    *count = 0;
    *persons = NULL;
    if (sl_classes_empty(presence_of(pass)))
        return SL_OK;
    for (const struct sl_item *item = sl_labeller_items(pass->labeller); item; item = item->next)
        room += is_hidden(pass, item) ? item->patient_count : 0;
    struct sl_slice *list = room ? sl_arena_array(pass->arena, room, sizeof *list) : NULL;
    if (!room)
        return SL_OK;
    if (!list)
        return SL_NO_MEMORY;
    for (const struct sl_item *item = sl_labeller_items(pass->labeller); item; item = item->next) {
        size_t all;
        const struct sl_slice *its = is_hidden(pass, item) ? sl_ruling_persons(item->ruling, &all) : NULL;
        for (size_t i = 0; its && i < all && kept < room; i++)
            if (!sl_pass_knows(pass, its[i]))
                list[kept++] = its[i];
    }
    qsort(list, kept, sizeof *list, order_slices);
    for (size_t i = 0; i < kept; i++)
        if (*count == 0 || !sl_slice_eq(list[*count - 1], list[i]))
            list[(*count)++] = list[i];
    *persons = list;
    return SL_OK;
}

/* ---- Deciding ---- */

/* What an earlier decision left on the items is taken back: classes, parts and grounds are worked out anew. */
static enum sl_status begin_anew(struct sl_pass *pass)
{
    struct sl_slice *missing;
    size_t count;
    for (struct sl_item *item = sl_labeller_items(pass->labeller); item; item = item->next) {
        item->route = NULL;
        item->ruling = NULL;
        item->verdict = NULL;
    }
    return sl_labeller_resolve(pass->labeller, &missing, &count);
}

static enum sl_status decide_once(struct sl_pass *pass, struct sl_segment_report *report)
{
    if (pass->decided || !sl_labeller_is_resolved(pass->labeller))
        SL_TRY(begin_anew(pass));
    pass->decided = true;
    SL_TRY(hand_down(pass));
    pass->told_of = (struct sl_slice){NULL, 0};
    for (struct sl_item *item = sl_labeller_items(pass->labeller); item; item = item->next) {
        SL_TRY(rule(pass, item));
        bool known = (pass->known_count && all_known(pass, item)) || sl_fault(SL_FAULT_PRESENCE_OPEN);
        if (known && is_presence(pass, item))
            item->classes = without_presence(pass, item);
    }
    return sl_segment_decide(pass->labeller, pass->arena, report);
}

enum sl_status sl_pass_decide(struct sl_pass *pass, struct sl_segment_report *report)
{
    SL_TRY(decide_once(pass, report));
    if (sl_classes_empty(presence_of(pass)))
        return SL_OK;
    find_mentioned(pass);
    if (!may_be_hidden(pass))
        return SL_OK;
    size_t before = pass->known_count;
    SL_TRY(sl_pass_note_known(pass));
    return pass->known_count > before ? decide_once(pass, report) : SL_OK;
}
