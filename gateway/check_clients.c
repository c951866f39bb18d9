/* SPDX-License-Identifier: Apache-2.0 */
/* From the registry to what the review of clients asks: each client for all that its entry lets it be. */
#include "check_clients.h"

#include "registry.h"
#include "sluice/arena.h"
#include "sluice/clients.h"

/* Its own roles, those its tokens may claim, and those of its users. */
static void add_roles(struct sl_arena *arena, const struct sl_registered_client *client, struct sl_client_view *out)
{
    size_t room = client->roles.count + client->token_roles.count;
    for (size_t i = 0; i < client->user_count; i++)
        room += client->users[i].roles.count;
    struct sl_slice *roles = sl_arena_array(arena, room + 1, sizeof *roles);
    if (!roles)
        return;
    for (size_t i = 0; i < client->roles.count; i++)
        roles[out->role_count++] = client->roles.words[i];
    for (size_t i = 0; i < client->token_roles.count; i++)
        roles[out->role_count++] = client->token_roles.words[i];
    for (size_t i = 0; i < client->user_count; i++)
        for (size_t k = 0; k < client->users[i].roles.count; k++)
            roles[out->role_count++] = client->users[i].roles.words[k];
    out->roles = roles;
}

static void add_agreements(
    struct sl_arena *arena, const struct sl_registered_client *client, struct sl_client_view *out)
{
    struct sl_client_agreement *list = sl_arena_array(arena, client->agreement_count + 1, sizeof *list);
    for (size_t i = 0; list && i < client->agreement_count; i++) {
        const struct sl_registered_agreement *one = &client->agreements[i];
        list[out->agreement_count++] =
            (struct sl_client_agreement){{one->kind, one->with, one->services.words, one->services.count}, one->until};
    }
    out->agreements = list;
}

static struct sl_client_view view(
    struct sl_arena *arena, const struct sl_registered_client *client, struct sl_slice file)
{
    struct sl_client_view out = {.id = client->id,
        .organization = client->organization,
        .file = file,
        .line = client->line,
        .kinds = client->kinds.words,
        .kind_count = client->kinds.count,
        .networks = client->networks.words,
        .network_count = client->networks.count,
        .exchange_purposes = client->exchange_purposes.words,
        .exchange_purpose_count = client->exchange_purposes.count};
    add_roles(arena, client, &out);
    add_agreements(arena, client, &out);
    return out;
}

/* Whose tokens a client comes with is a matter of the configuration, not of the policy: any issuer will do. */
enum sl_status sl_check_clients(const struct sl_policy *policy, const char *path, int64_t now, struct sl_issues *issues)
{
    struct sl_registry *registry = NULL;
    size_t count = 0;
    SL_TRY(sl_registry_load(path, true, issues, &registry));
    const struct sl_registered_client *clients = sl_registry_clients(registry, &count);
    struct sl_client_view *views = sl_arena_array(issues->arena, count + 1, sizeof *views);
    for (size_t i = 0; views && i < count; i++)
        views[i] = view(issues->arena, &clients[i], sl_slice_of(path));
    enum sl_status status = views && !sl_arena_failed(issues->arena)
                                ? sl_policy_review_clients(policy, views, count, now, issues)
                                : SL_NO_MEMORY;
    sl_registry_free(registry);
    return status;
}
