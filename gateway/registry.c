/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the registry: see registry.h. */
#include "registry.h"

#include <stdlib.h>

#include "sluice/decide.h"
#include "sluice/yaml.h"

#define ARENA_LIMIT ((size_t)128 * 1024 * 1024)

struct sl_registry {
    struct sl_arena *arena;
    const struct sl_registered_client *clients;
    size_t count;
};

struct reader {
    struct sl_arena *arena; /* what is kept */
    struct sl_yaml_source source;
    bool one_issuer;
};

bool sl_words_have(const struct sl_words *list, struct sl_slice word)
{
    for (size_t i = 0; i < list->count; i++)
        if (sl_slice_eq(list->words[i], word))
            return true;
    return false;
}

static struct sl_slice text_of(const struct reader *reader, const struct sl_yaml *map, const char *key)
{
    return sl_arena_copy(reader->arena, sl_yaml_text(&reader->source, sl_yaml_get(map, key)));
}

static struct sl_words words_of(const struct reader *reader, const struct sl_yaml *map, const char *key)
{
    const struct sl_yaml *list = sl_yaml_list(&reader->source, sl_yaml_get(map, key));
    struct sl_slice *words = list ? sl_arena_array(reader->arena, list->count + 1, sizeof *words) : NULL;
    size_t count = 0;
    for (const struct sl_yaml *entry = words ? list->first : NULL; entry; entry = entry->next)
        words[count++] = sl_arena_copy(reader->arena, sl_yaml_text(&reader->source, entry));
    return (struct sl_words){words, count};
}

/* Purposes in their canonical codes; a word that is no purpose is a mistake. */
static struct sl_words purposes_of(const struct reader *reader, const struct sl_yaml *map)
{
    const struct sl_yaml *list = sl_yaml_list(&reader->source, sl_yaml_get(map, "purposes"));
    struct sl_slice *words = list ? sl_arena_array(reader->arena, list->count + 1, sizeof *words) : NULL;
    size_t count = 0;
    for (const struct sl_yaml *entry = words ? list->first : NULL; entry; entry = entry->next) {
        struct sl_slice code = sl_purpose_find(sl_yaml_text(&reader->source, entry));
        if (code.len)
            words[count++] = code;
        else
            sl_yaml_issue(
                &reader->source, entry, false, "unknown-purpose", "%.*s is not a purpose of use.", SL_FMT(entry->text));
    }
    return (struct sl_words){words, count};
}

/* Exchange purposes in their canonical codes. */
static struct sl_words exchanges_of(const struct reader *reader, const struct sl_yaml *map)
{
    const struct sl_yaml *list = sl_yaml_list(&reader->source, sl_yaml_get(map, "exchange-purposes"));
    struct sl_slice *words = list ? sl_arena_array(reader->arena, list->count + 1, sizeof *words) : NULL;
    size_t count = 0;
    for (const struct sl_yaml *entry = words ? list->first : NULL; entry; entry = entry->next) {
        const struct sl_exchange_purpose *exchange = sl_exchange_find(sl_yaml_text(&reader->source, entry));
        if (exchange)
            words[count++] = exchange->code;
        else
            sl_yaml_issue(&reader->source, entry, false, "unknown-exchange-purpose",
                "%.*s is no exchange purpose of TEFCA.", SL_FMT(entry->text));
    }
    return (struct sl_words){words, count};
}

/* A word that parties are told by. One that no policy of ours knows is probably mistyped; a relationship is a mistake.
 */
static void check_word(const struct reader *reader, const struct sl_yaml *at, enum sl_recipient_words which)
{
    static const char *const whats[] = {"kind of recipient", "kind of agreement", "relationship with a patient"};
    static const char *const codes[] = {"unknown-recipient", "unknown-agreement", "unknown-relationship"};
    struct sl_slice nearest;
    if (!at || at->kind != SL_YAML_SCALAR || sl_recipient_word(which, at->text, &nearest))
        return;
    struct sl_issue *issue = sl_yaml_issue(
        &reader->source, at, false, codes[which], "No %s is called \"%.*s\".", whats[which], SL_FMT(at->text));
    if (which != SL_RECIPIENT_RELATIONSHIPS && reader->source.issues)
        reader->source.issues->errors--;
    if (issue && which != SL_RECIPIENT_RELATIONSHIPS)
        issue->grade = SL_GRADE_WARNING;
    if (issue && nearest.len)
        issue->fix = sl_arena_printf(reader->source.arena, "Did you mean \"%.*s\"?", SL_FMT(nearest));
}

static struct sl_words kinds_of(const struct reader *reader, const struct sl_yaml *map)
{
    const struct sl_yaml *list = sl_yaml_list(&reader->source, sl_yaml_get(map, "kinds"));
    for (const struct sl_yaml *entry = list ? list->first : NULL; entry; entry = entry->next)
        check_word(reader, entry, SL_RECIPIENT_KINDS);
    return words_of(reader, map, "kinds");
}

/* {kind, patient, authority, until}, each of one patient: nobody is everybody's representative. */
static struct sl_registered_relations relations_of(const struct reader *reader, const struct sl_yaml *map)
{
    static const char *const words[] = {"kind", "patient", "authority", "until", NULL};
    struct sl_registered_relations out = {NULL, 0};
    const struct sl_yaml *list = sl_yaml_list(&reader->source, sl_yaml_get(map, "relationships"));
    struct sl_registered_relation *relations =
        list ? sl_arena_array(reader->arena, list->count + 1, sizeof *relations) : NULL;
    for (const struct sl_yaml *entry = relations ? list->first : NULL; entry; entry = entry->next) {
        if (!sl_yaml_check_keys(&reader->source, entry, words))
            continue;
        check_word(reader, sl_yaml_require(&reader->source, entry, "kind"), SL_RECIPIENT_RELATIONSHIPS);
        const struct sl_yaml *patient = sl_yaml_require(&reader->source, entry, "patient");
        if (patient && !sl_slice_starts(patient->text, SL_LIT("Patient/")))
            sl_yaml_issue(&reader->source, patient, false, "not-a-patient", "%.*s is not a patient: Patient/x.",
                SL_FMT(patient->text));
        relations[out.count++] = (struct sl_registered_relation){.kind = text_of(reader, entry, "kind"),
            .patient = text_of(reader, entry, "patient"),
            .authority = text_of(reader, entry, "authority"),
            .until = sl_yaml_date(&reader->source, sl_yaml_get(entry, "until"))};
    }
    out.list = relations;
    return out;
}

/* A panel names patients, or is "*" alone. */
static struct sl_words panel_of(const struct reader *reader, const struct sl_yaml *map)
{
    struct sl_words panel = words_of(reader, map, "treats");
    for (size_t i = 0; i < panel.count; i++)
        if (!sl_slice_starts(panel.words[i], SL_LIT("Patient/")) && !sl_slice_eq(panel.words[i], SL_LIT("*")))
            sl_yaml_issue(&reader->source, sl_yaml_get(map, "treats"), false, "not-a-patient",
                "%.*s is not a patient: Patient/x, or \"*\" for every patient.", SL_FMT(panel.words[i]));
    return panel;
}

static void read_user(const struct reader *reader, const struct sl_yaml *node, struct sl_registered_user *out)
{
    static const char *const words[] = {"subject", "reference", "name", "roles", "treats", "relationships", NULL};
    if (!sl_yaml_check_keys(&reader->source, node, words))
        return;
    (void)sl_yaml_require(&reader->source, node, "subject");
    *out = (struct sl_registered_user){.subject = text_of(reader, node, "subject"),
        .reference = text_of(reader, node, "reference"),
        .name = text_of(reader, node, "name"),
        .roles = words_of(reader, node, "roles"),
        .treats = panel_of(reader, node),
        .relations = relations_of(reader, node)};
}

static void read_users(const struct reader *reader, const struct sl_yaml *node, struct sl_registered_client *out)
{
    const struct sl_yaml *list = sl_yaml_list(&reader->source, sl_yaml_get(node, "users"));
    struct sl_registered_user *users = list ? sl_arena_array(reader->arena, list->count + 1, sizeof *users) : NULL;
    for (const struct sl_yaml *entry = users ? list->first : NULL; entry; entry = entry->next) {
        struct sl_registered_user *user = &users[out->user_count];
        read_user(reader, entry, user);
        for (size_t i = 0; i < out->user_count; i++)
            if (sl_slice_eq(users[i].subject, user->subject))
                sl_yaml_issue(&reader->source, entry, false, "duplicate-user", "The user %.*s stands there twice.",
                    SL_FMT(user->subject));
        out->user_count++;
    }
    out->users = users;
}

/* A kind alone, or {kind, until, with, services}. */
static void read_agreements(const struct reader *reader, const struct sl_yaml *node, struct sl_registered_client *out)
{
    static const char *const words[] = {"kind", "until", "with", "services", NULL};
    const struct sl_yaml *list = sl_yaml_list(&reader->source, sl_yaml_get(node, "agreements"));
    struct sl_registered_agreement *agreements =
        list ? sl_arena_array(reader->arena, list->count + 1, sizeof *agreements) : NULL;
    for (const struct sl_yaml *entry = agreements ? list->first : NULL; entry; entry = entry->next) {
        bool map = entry->kind == SL_YAML_MAP;
        if (map && !sl_yaml_check_keys(&reader->source, entry, words))
            continue;
        const struct sl_yaml *kind = map ? sl_yaml_require(&reader->source, entry, "kind") : entry;
        struct sl_registered_agreement *agreement = &agreements[out->agreement_count++];
        check_word(reader, kind, SL_RECIPIENT_AGREEMENTS);
        *agreement =
            (struct sl_registered_agreement){.kind = sl_arena_copy(reader->arena, sl_yaml_text(&reader->source, kind))};
        if (!map)
            continue;
        agreement->until = sl_yaml_date(&reader->source, sl_yaml_get(entry, "until"));
        agreement->with = text_of(reader, entry, "with");
        agreement->services = words_of(reader, entry, "services");
    }
    out->agreements = agreements;
}

static void read_client(const struct reader *reader, const struct sl_yaml *node, struct sl_registered_client *out)
{
    static const char *const words[] = {"id", "issuer", "title", "organization", "organization-name", "address",
        "kinds", "agreements", "networks", "exchange-purposes", "roles", "token-roles", "purposes", "treats",
        "relationships", "users", NULL};
    if (!sl_yaml_check_keys(&reader->source, node, words))
        return;
    (void)sl_yaml_require(&reader->source, node, "id");
    *out = (struct sl_registered_client){.line = node->line,
        .id = text_of(reader, node, "id"),
        .issuer = text_of(reader, node, "issuer"),
        .title = text_of(reader, node, "title"),
        .organization = text_of(reader, node, "organization"),
        .organization_name = text_of(reader, node, "organization-name"),
        .address = text_of(reader, node, "address"),
        .kinds = kinds_of(reader, node),
        .networks = words_of(reader, node, "networks"),
        .exchange_purposes = exchanges_of(reader, node),
        .relations = relations_of(reader, node),
        .roles = words_of(reader, node, "roles"),
        .token_roles = words_of(reader, node, "token-roles"),
        .purposes = purposes_of(reader, node),
        .treats = panel_of(reader, node)};
    read_agreements(reader, node, out);
    read_users(reader, node, out);
    /* Two issuers may give out one client id to different parties. */
    if (!out->issuer.len && !reader->one_issuer)
        sl_yaml_issue(&reader->source, node, false, "missing-issuer",
            "There are several issuers, so the client %.*s must say whose it is (issuer).", SL_FMT(out->id));
}

static void read_clients(const struct reader *reader, const struct sl_yaml *root, struct sl_registry *registry)
{
    static const char *const words[] = {"clients", NULL};
    if (!sl_yaml_check_keys(&reader->source, root, words))
        return;
    const struct sl_yaml *list = sl_yaml_list(&reader->source, sl_yaml_require(&reader->source, root, "clients"));
    struct sl_registered_client *clients =
        list ? sl_arena_array(reader->arena, list->count + 1, sizeof *clients) : NULL;
    for (const struct sl_yaml *entry = clients ? list->first : NULL; entry; entry = entry->next) {
        struct sl_registered_client *client = &clients[registry->count];
        read_client(reader, entry, client);
        for (size_t i = 0; i < registry->count; i++)
            if (sl_slice_eq(clients[i].id, client->id) && sl_slice_eq(clients[i].issuer, client->issuer))
                sl_yaml_issue(&reader->source, entry, false, "duplicate-client", "The client %.*s stands there twice.",
                    SL_FMT(client->id));
        registry->count++;
    }
    registry->clients = clients;
}

enum sl_status sl_registry_read(
    const char *path, struct sl_slice text, bool one_issuer, struct sl_issues *issues, struct sl_registry **out)
{
    *out = NULL;
    struct sl_arena *arena = sl_arena_new(ARENA_LIMIT);
    struct sl_registry *registry = arena ? sl_arena_alloc(arena, sizeof *registry) : NULL;
    if (!registry) {
        sl_arena_free(arena);
        return SL_NO_MEMORY;
    }
    registry->arena = arena;
    struct sl_issues own = {.arena = arena};
    struct sl_issues *list = issues ? issues : &own;
    size_t errors = list->errors;
    struct reader reader = {arena, {list->arena, list, sl_slice_of(path)}, one_issuer};
    const struct sl_yaml *root = NULL;
    enum sl_status status = sl_yaml_parse(&reader.source, text, &root);
    if (status == SL_OK) {
        read_clients(&reader, root, registry);
        status = sl_arena_failed(arena) ? SL_NO_MEMORY : list->errors != errors ? SL_INVALID : SL_OK;
    }
    if (status != SL_OK) {
        sl_registry_free(registry);
        return status == SL_NO_MEMORY ? status : SL_INVALID;
    }
    *out = registry;
    return SL_OK;
}

enum sl_status sl_registry_load(const char *path, bool one_issuer, struct sl_issues *issues, struct sl_registry **out)
{
    *out = NULL;
    struct sl_slice text;
    struct sl_arena *arena = sl_arena_new(2 * SL_YAML_BYTES);
    if (!arena)
        return SL_NO_MEMORY;
    enum sl_status status = sl_file_read(arena, path, SL_YAML_BYTES, &text);
    if (status == SL_OK)
        status = sl_registry_read(path, text, one_issuer, issues, out);
    else
        sl_issue_add(issues, SL_GRADE_ERROR, "registry-unreadable", "The registry %s cannot be read.", path);
    sl_arena_free(arena);
    return status;
}

void sl_registry_free(struct sl_registry *registry)
{
    if (registry)
        sl_arena_free(registry->arena);
}

const struct sl_registered_client *sl_registry_clients(const struct sl_registry *registry, size_t *count)
{
    *count = registry->count;
    return registry->clients;
}

const struct sl_registered_client *sl_registry_client(
    const struct sl_registry *registry, struct sl_slice issuer, struct sl_slice id)
{
    for (size_t i = 0; i < registry->count; i++) {
        const struct sl_registered_client *client = &registry->clients[i];
        if (id.len && sl_slice_eq(client->id, id) && (!client->issuer.len || sl_slice_eq(client->issuer, issuer)))
            return client;
    }
    return NULL;
}

const struct sl_registered_user *sl_registry_user(const struct sl_registered_client *client, struct sl_slice subject)
{
    for (size_t i = 0; client && subject.len && i < client->user_count; i++)
        if (sl_slice_eq(client->users[i].subject, subject))
            return &client->users[i];
    return NULL;
}
