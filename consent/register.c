/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries of the officer's register: what each kind needs and what each field looks like, by the tables of
 * register.def, and the YAML file they are imported from.
 */
#include "sluice/register.h"

#include "directive_model.h"
#include "sluice/r4.h"
#include "sluice/yaml.h"

#define TEXT_LIMIT 2048u /* bytes of one value */

enum form {
    FORM_RECORD,
    FORM_PATIENT,
    FORM_PERSON,
    FORM_AUTHORITY,
    FORM_PURPOSE,
    FORM_WORD,
    FORM_SOURCE,
    FORM_TIME,
    FORM_TEXT,
    FORM_RECIPIENT,
    FORM_ORDER,
    FORM_BASIS,
    FORM_YES
};

#define SL_HAS(name) (1u << SL_REGISTER_##name)

static const struct field_row {
    const char *key;
    size_t most;
    enum form form;
    const char *help;
} fields[] = {
#define SL_REGISTER_FIELD(name, key, most, form, help) {key, most, FORM_##form, help},
#include "sluice/register.def"
};

static const struct kind_row {
    struct sl_slice word;
    unsigned required, further;
    const char *law, *title;
} kinds[] = {
    {{NULL, 0}, 0, 0, NULL, NULL},
#define SL_REGISTER_KIND(name, word, required, further, law, title)                                                    \
    {{word, sizeof(word) - 1}, required, further, law, title},
#include "sluice/register.def"
};

struct sl_slice sl_register_value(const struct sl_register_entry *entry, enum sl_register_field field)
{
    return entry->field[field].count ? entry->field[field].value[0] : (struct sl_slice){NULL, 0};
}

struct sl_slice sl_register_kind_word(enum sl_register_kind kind)
{
    return kinds[kind].word;
}

enum sl_register_kind sl_register_kind_find(struct sl_slice word)
{
    for (unsigned kind = 1; kind < SL_REGISTER_KINDS; kind++)
        if (sl_slice_eq(kinds[kind].word, word))
            return (enum sl_register_kind)kind;
    return SL_REGISTER_NO_KIND;
}

bool sl_register_kind_marks(enum sl_register_kind kind)
{
    return kinds[kind].required & SL_HAS(ITEMS);
}

const char *sl_register_field_key(enum sl_register_field field)
{
    return fields[field].key;
}

const char *sl_register_field_help(enum sl_register_field field)
{
    return fields[field].help;
}

bool sl_register_field_many(enum sl_register_field field)
{
    return fields[field].most > 1;
}

/* ---- What a value looks like ---- */

/* As the labeller has it: what it never finds in a record, no entry could ever be about. */
static bool is_id(struct sl_slice id)
{
    for (size_t i = 0; i < id.len; i++) {
        unsigned char c = (unsigned char)id.ptr[i];
        bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z', digit = c >= '0' && c <= '9';
        if (!letter && !digit && c != '-' && c != '.' && c != '_')
            return false;
    }
    return id.len > 0 && id.len <= 128;
}

/* "Type/id"; 0: it is none. */
static sl_r4_node type_of(struct sl_slice reference)
{
    const char *slash = reference.len ? memchr(reference.ptr, '/', reference.len) : NULL;
    size_t at = slash ? (size_t)(slash - reference.ptr) : 0;
    sl_r4_node type = slash ? sl_r4_resource((struct sl_slice){reference.ptr, at}) : 0;
    return type && is_id(sl_slice_from(reference, at + 1)) ? type : 0;
}

/* What a place is belongs into the program table, and what a person is to nobody. */
static bool is_record(struct sl_slice text)
{
    sl_r4_node type = type_of(text);
    return type && type != SL_R4_Patient && type != SL_R4_Bundle && !(sl_r4_facts(type) & SL_R4_DIRECTORY);
}

static bool is_word(struct sl_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!((text.ptr[i] >= 'a' && text.ptr[i] <= 'z') || (text.ptr[i] >= '0' && text.ptr[i] <= '9') ||
                text.ptr[i] == '-'))
            return false;
    return text.len > 0;
}

/* Words that can be printed on a line. */
static bool is_text(struct sl_slice text)
{
    bool seen = false;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c < ' ' || c == 0x7f)
            return false;
        seen |= c != ' ';
    }
    return seen;
}

/* Whom a token can name as its user. */
static bool is_person(sl_r4_node type)
{
    return type == SL_R4_Patient || type == SL_R4_RelatedPerson || type == SL_R4_Practitioner || type == SL_R4_Person;
}

/* 45 CFR 164.502(g)(2) to (4). */
static bool is_authority(struct sl_slice text)
{
    static const char *const words[] = {
        "parent", "guardian", "health-care-agent", "executor", "court-appointed", "other"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (sl_slice_eq(text, sl_slice_of(words[i])))
            return true;
    return false;
}

/* Somebody who can ask, by record, or by a word that says where he is known by what follows. */
static bool is_recipient(struct sl_slice text)
{
    static const struct sl_slice words[] = {{"client:", 7}, {"user:", 5}, {"party:", 6}};
    sl_r4_node type = type_of(text);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (sl_slice_starts(text, words[i]))
            return is_text(sl_slice_from(text, words[i].len));
    return type == SL_R4_Organization || type == SL_R4_Practitioner || type == SL_R4_Patient ||
           type == SL_R4_RelatedPerson;
}

static bool is_one_of(struct sl_slice text, const struct sl_slice *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (sl_slice_eq(text, words[i]))
            return true;
    return false;
}

static bool has_form(enum form form, struct sl_slice text)
{
    static const struct sl_slice orders[] = {{"2.64", 4}, {"2.65", 4}},
                                 bases[] = {{"authorization", 13}, {"waiver", 6}, {"common-rule", 11}};
    struct sl_moment moment;
    switch (form) {
    case FORM_RECORD:
        return is_record(text);
    case FORM_PATIENT:
        return type_of(text) == SL_R4_Patient;
    case FORM_PERSON:
        return is_person(type_of(text));
    case FORM_AUTHORITY:
        return is_authority(text);
    case FORM_PURPOSE:
        return sl_purpose_find(text).len > 0;
    case FORM_WORD:
        return is_word(text);
    case FORM_SOURCE:
        return type_of(text) == SL_R4_Organization || type_of(text) == SL_R4_Location ||
               type_of(text) == SL_R4_HealthcareService;
    case FORM_TIME:
        return sl_moment_read(text, &moment);
    case FORM_TEXT:
        return is_text(text);
    case FORM_RECIPIENT:
        return is_recipient(text);
    case FORM_ORDER:
        return is_one_of(text, orders, 2);
    case FORM_BASIS:
        return is_one_of(text, bases, 3);
    case FORM_YES:
        return sl_slice_eq(text, SL_LIT("yes"));
    }
    return false;
}

static const char *form_text(enum form form)
{
    static const char *const texts[] = {[FORM_RECORD] = "a record as Encounter/ID, of a patient and not the patient",
        [FORM_PATIENT] = "Patient/ID",
        [FORM_PERSON] = "RelatedPerson/ID, Patient/ID, Practitioner/ID or Person/ID",
        [FORM_AUTHORITY] = "parent, guardian, health-care-agent, executor, court-appointed or other",
        [FORM_PURPOSE] = "a purpose of use, by its name or HL7 code",
        [FORM_WORD] = "the id of a class",
        [FORM_SOURCE] = "Organization/ID, Location/ID or HealthcareService/ID",
        [FORM_TIME] = "YYYY-MM-DD or YYYY-MM-DDThh:mm:ssZ",
        [FORM_TEXT] = "one line of text",
        [FORM_RECIPIENT] =
            "Organization/ID, Practitioner/ID, Patient/ID, RelatedPerson/ID, client:ID, user:ID or party:ID",
        [FORM_ORDER] = "2.64 or 2.65",
        [FORM_BASIS] = "authorization, waiver or common-rule",
        [FORM_YES] = "yes, or to be left out"};
    return texts[form];
}

/* ---- Checking ---- */

static bool complain(struct sl_issues *issues, const char *code, const char *key, const char *what)
{
    sl_issue_add(issues, SL_GRADE_ERROR, code, "An entry's `%s` %s.", key, what);
    return false;
}

static bool check_field(const struct sl_register_entry *entry, enum sl_register_field field, struct sl_issues *issues)
{
    const struct field_row *row = &fields[field];
    const struct sl_register_values *values = &entry->field[field];
    const struct kind_row *kind = &kinds[entry->kind];
    if (!values->count)
        return !(kind->required >> field & 1) || complain(issues, "register-missing", row->key, "is missing");
    if (!((kind->required | kind->further) >> field & 1))
        return complain(issues, "register-not-here", row->key, "does not belong to this kind");
    if (values->count > row->most)
        return complain(issues, "register-too-many", row->key, "has too many values");
    for (size_t i = 0; i < values->count; i++)
        if (values->value[i].len > TEXT_LIMIT || !has_form(row->form, values->value[i])) {
            sl_issue_add(issues, SL_GRADE_ERROR, "register-bad-value", "An entry's `%s` is \"%.*s\"; it wants %s.",
                row->key, values->value[i].len > 80 ? 80 : (int)values->value[i].len, values->value[i].ptr,
                form_text(row->form));
            return false;
        }
    return true;
}

static bool share(const struct sl_register_values *a, const struct sl_register_values *b)
{
    for (size_t i = 0; i < a->count; i++)
        for (size_t j = 0; j < b->count; j++)
            if (sl_slice_eq(a->value[i], b->value[j]))
                return true;
    return false;
}

/* What the fields must be to each other. */
static bool check_whole(const struct sl_register_entry *entry, struct sl_issues *issues)
{
    struct sl_moment from, until;
    struct sl_slice begin = sl_register_value(entry, SL_REGISTER_FROM),
                    end = sl_register_value(entry, SL_REGISTER_UNTIL);
    if (begin.len && end.len && sl_moment_read(begin, &from) && sl_moment_read(end, &until) && until.end <= from.begin)
        return complain(issues, "register-never", "until", "lies before its `from`");
    if (entry->field[SL_REGISTER_ITEMS].count && entry->field[SL_REGISTER_CLASSES].count)
        return complain(
            issues, "register-both", "classes", "and `items` are both there; an entry is about the one or the other");
    if (entry->kind != SL_REGISTER_RECLASSIFICATION)
        return true;
    const struct sl_register_values *has = &entry->field[SL_REGISTER_HAS], *not = &entry->field[SL_REGISTER_HAS_NOT];
    if (!has->count && !not ->count)
        return complain(issues, "register-missing", "has", "and `has-not` are both missing");
    return !share(has, not ) || complain(issues, "register-both", "has", "names a class that `has-not` names too");
}

enum sl_status sl_register_check(struct sl_register_entry *entry, struct sl_issues *issues)
{
    bool good = true;
    if (entry->kind <= SL_REGISTER_NO_KIND || entry->kind >= SL_REGISTER_KINDS) {
        complain(issues, "register-unknown-kind", "kind", "is none that there is");
        return SL_INVALID;
    }
    const char *law = kinds[entry->kind].law;
    if (law && !entry->field[SL_REGISTER_LAW].count) {
        struct sl_slice *value = sl_arena_array(issues->arena, 1, sizeof *value);
        if (!value)
            return SL_NO_MEMORY;
        *value = sl_slice_of(law);
        entry->field[SL_REGISTER_LAW] = (struct sl_register_values){value, 1};
    }
    for (unsigned field = 0; field < SL_REGISTER_FIELDS; field++)
        good &= check_field(entry, (enum sl_register_field)field, issues);
    return good && check_whole(entry, issues) ? SL_OK : SL_INVALID;
}

/* ---- The YAML file ---- */

static enum sl_status read_values(
    const struct sl_yaml_source *in, const struct sl_yaml *at, struct sl_register_values *out)
{
    if (!at)
        return SL_OK;
    size_t count = at->kind == SL_YAML_LIST ? at->count : 1;
    struct sl_slice *values = sl_arena_array(in->arena, count, sizeof *values);
    if (count && !values)
        return SL_NO_MEMORY;
    *out = (struct sl_register_values){.value = values};
    for (const struct sl_yaml *item = at->kind == SL_YAML_LIST ? at->first : at; item; item = item->next) {
        values[out->count++] = sl_yaml_text(in, item);
        if (item == at)
            break;
    }
    return SL_OK;
}

static void place_issues(const struct sl_yaml_source *in, const struct sl_yaml *at, struct sl_issue *last)
{
    for (struct sl_issue *i = last ? last->next : in->issues->first; i; i = i->next)
        if (!i->file.len) {
            i->file = in->file;
            i->line = at->line;
            i->column = at->column;
        }
}

static enum sl_status read_entry(
    const struct sl_yaml_source *in, const struct sl_yaml *at, struct sl_slice by, struct sl_register_entry *out)
{
    const char *keys[SL_REGISTER_FIELDS + 2] = {"kind"};
    for (unsigned i = 0; i < SL_REGISTER_FIELDS; i++)
        keys[i + 1] = fields[i].key;
    if (!sl_yaml_check_keys(in, at, keys))
        return SL_INVALID;
    struct sl_issue *last = in->issues->last;
    out->kind = sl_register_kind_find(sl_yaml_text(in, sl_yaml_require(in, at, "kind")));
    for (unsigned i = 0; i < SL_REGISTER_FIELDS; i++)
        SL_TRY(read_values(in, sl_yaml_get(at, fields[i].key), &out->field[i]));
    if (by.len && !out->field[SL_REGISTER_BY].count) {
        struct sl_slice *value = sl_arena_array(in->arena, 1, sizeof *value);
        if (!value)
            return SL_NO_MEMORY;
        *value = by;
        out->field[SL_REGISTER_BY] = (struct sl_register_values){value, 1};
    }
    enum sl_status status = sl_register_check(out, in->issues);
    place_issues(in, at, last);
    return status;
}

enum sl_status sl_register_load(
    const char *path, struct sl_slice by, int64_t now, struct sl_issues *issues, struct sl_register_entries *out)
{
    static const char *const words[] = {"entries", NULL};
    struct sl_yaml_source in = {.arena = issues->arena, .issues = issues, .file = sl_slice_of(path)};
    const struct sl_yaml *root = NULL;
    *out = (struct sl_register_entries){0};
    size_t before = issues->errors;
    SL_TRY(sl_yaml_load(&in, path, &root));
    if (!sl_yaml_check_keys(&in, root, words))
        return SL_INVALID;
    const struct sl_yaml *list = sl_yaml_list(&in, sl_yaml_require(&in, root, "entries"));
    size_t count = list ? list->count : 0;
    struct sl_register_entry *entries = sl_arena_array(issues->arena, count, sizeof *entries);
    if (count && !entries)
        return SL_NO_MEMORY;
    for (const struct sl_yaml *at = list ? list->first : NULL; at; at = at->next) {
        struct sl_register_entry *entry = &entries[out->count++];
        enum sl_status status = read_entry(&in, at, by, entry);
        if (status != SL_OK && status != SL_INVALID)
            return status;
        entry->entered = now;
    }
    out->entry = entries;
    return issues->errors > before ? SL_INVALID : SL_OK;
}
