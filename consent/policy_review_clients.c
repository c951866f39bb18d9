/* SPDX-License-Identifier: Apache-2.0 */
/* The clients of a house held against its policy: see sluice/clients.h. */
#include "sluice/clients.h"

#include "policy_review.h"

#define DAY 86400
#define SOON (60 * DAY) /* an agreement takes about that long to renew */

static bool in_force(const struct sl_client_agreement *agreement, int64_t now)
{
    return !agreement->until || now < agreement->until;
}

static bool any_of(const struct sl_words *asked, const struct sl_slice *has, size_t count)
{
    return !asked->count || sl_words_meet(asked, has, count);
}

/* An exchange purpose stands for those below it; one that lies above what the party asks may be narrowed to it. */
static bool may_exchange(const struct sl_party *party, const struct sl_client_view *client)
{
    bool any = !party->exchanges || !client->exchange_purpose_count;
    for (size_t i = 0; i < client->exchange_purpose_count && !any; i++) {
        const struct sl_exchange_purpose *exchange = sl_exchange_find(client->exchange_purposes[i]);
        any = exchange && (party->exchanges & sl_exchange_bits((unsigned)(exchange - sl_exchange_at(0))));
    }
    return any;
}

/* Could it be the party for some request, with whatever agreement? */
static bool could_be(const struct sl_party *party, const struct sl_client_view *client)
{
    return any_of(&party->roles, client->roles, client->role_count) &&
           any_of(&party->kinds, client->kinds, client->kind_count) &&
           any_of(&party->networks, client->networks, client->network_count) && may_exchange(party, client) &&
           any_of(&party->organizations, &client->organization, 1) && any_of(&party->clients, &client->id, 1) &&
           !sl_words_meet(&party->except_kinds, client->kinds, client->kind_count);
}

/* One agreement in force must be of the kind and name the service that are asked for. */
static bool is_contracted(const struct sl_party *party, const struct sl_client_view *client, int64_t now)
{
    if (!party->agreements.count && !party->services.count)
        return true;
    for (size_t i = 0; i < client->agreement_count; i++) {
        const struct sl_agreement *what = &client->agreements[i].what;
        if (in_force(&client->agreements[i], now) && any_of(&party->agreements, &what->kind, 1) &&
            any_of(&party->services, what->services, what->service_count))
            return true;
    }
    return false;
}

static bool is_open(const struct sl_party *party, int64_t now)
{
    return !party->builtin && !(party->agreement_until && now >= party->agreement_until);
}

static void place(struct sl_issue *issue, const struct sl_client_view *client, const char *fix)
{
    if (!issue)
        return;
    issue->file = client->file;
    issue->line = client->line;
    issue->fix = sl_slice_of(fix);
}

/* ---- Agreements ---- */

static void review_ends(struct sl_issues *issues, const struct sl_client_view *client, int64_t now)
{
    for (size_t i = 0; i < client->agreement_count; i++) {
        const struct sl_client_agreement *agreement = &client->agreements[i];
        struct sl_slice kind = agreement->what.kind;
        if (!in_force(agreement, now))
            place(sl_issue_add(issues, SL_GRADE_WARNING, "client-agreement-past",
                      "The agreement %.*s of the client \"%.*s\" has ended, and counts no more.", SL_FMT(kind),
                      SL_FMT(client->id)),
                client, "Write the new end, once there is one; or take the agreement out.");
        else if (agreement->until && now >= agreement->until - SOON)
            place(sl_issue_add(issues, SL_GRADE_ADVICE, "client-agreement-ends",
                      "The agreement %.*s of the client \"%.*s\" ends in %lld days.", SL_FMT(kind), SL_FMT(client->id),
                      (long long)((agreement->until - now + DAY - 1) / DAY)),
                client, "See to a new one, and write its end.");
    }
}

/* A kind that the law lets have records only under a contract, without that contract in force. */
static const char *lacking(const struct sl_client_view *client, int64_t now, struct sl_slice *kind)
{
    for (size_t k = 0; k < client->kind_count; k++) {
        const char *needed = sl_review_contract(client->kinds[k]);
        bool found = !needed;
        for (size_t i = 0; i < client->agreement_count && !found; i++)
            found = in_force(&client->agreements[i], now) &&
                    sl_slice_eq(client->agreements[i].what.kind, sl_slice_of(needed));
        *kind = client->kinds[k];
        if (!found)
            return needed;
    }
    return NULL;
}

static const char add_agreement[] = "Write the agreement under `agreements`, with its end, once it is signed.";

static void review_contracts(
    const struct sl_policy *policy, struct sl_issues *issues, const struct sl_client_view *client, int64_t now)
{
    struct sl_slice kind;
    const char *needed = lacking(client, now, &kind);
    if (needed) {
        place(sl_issue_add(issues, SL_GRADE_WARNING, "client-lacks-agreement",
                  "The client \"%.*s\" is of the kind \"%.*s\", and has no agreement %s in force.", SL_FMT(client->id),
                  SL_FMT(kind), needed),
            client, add_agreement);
        return;
    }
    for (unsigned i = 0; i < policy->party_count; i++) {
        const struct sl_party *party = &policy->parties[i];
        if (!is_open(party, now) || !party->kinds.count || !could_be(party, client) ||
            is_contracted(party, client, now))
            continue;
        place(sl_issue_add(issues, SL_GRADE_WARNING, "client-lacks-agreement",
                  "The client \"%.*s\" would be the party \"%.*s\", had it the agreement that this party needs.",
                  SL_FMT(client->id), SL_FMT(party->id)),
            client, add_agreement);
        return;
    }
}

/* ---- Parties ---- */

static bool has_party(const struct sl_policy *policy, const struct sl_client_view *client, int64_t now)
{
    for (unsigned i = 0; i < policy->party_count; i++)
        if (is_open(&policy->parties[i], now) && could_be(&policy->parties[i], client) &&
            is_contracted(&policy->parties[i], client, now))
            return true;
    return false;
}

static bool has_client(const struct sl_party *party, const struct sl_client_view *clients, size_t count, int64_t now)
{
    for (size_t i = 0; i < count; i++)
        if (could_be(party, &clients[i]) && is_contracted(party, &clients[i], now))
            return true;
    return false;
}

static void review_parties(const struct sl_review *r, const struct sl_client_view *clients, size_t count)
{
    for (unsigned i = 0; i < r->policy->party_count; i++) {
        const struct sl_party *party = &r->policy->parties[i];
        if (!is_open(party, r->now) || has_client(party, clients, count, r->now))
            continue;
        struct sl_issue *issue = sl_review_say(r, party->source, party->at, "id", "party-without-client",
            "No client of the registry can be the party \"%.*s\".", SL_FMT(party->id));
        if (issue)
            issue->fix = SL_LIT("Give a client its roles, kinds and agreements; or leave the party for later.");
    }
}

enum sl_status sl_policy_review_clients(const struct sl_policy *policy, const struct sl_client_view *clients,
    size_t count, int64_t now, struct sl_issues *issues)
{
    const struct sl_review review = {.policy = policy, .now = now, .issues = issues};
    for (size_t i = 0; i < count; i++) {
        review_ends(issues, &clients[i], now);
        review_contracts(policy, issues, &clients[i], now);
        if (!has_party(policy, &clients[i], now))
            place(sl_issue_add(issues, SL_GRADE_WARNING, "client-fits-no-party",
                      "The client \"%.*s\" can be no party of the policy: it gets nothing.", SL_FMT(clients[i].id)),
                &clients[i], "Compare its roles and kinds with what the parties ask.");
    }
    review_parties(&review, clients, count);
    return sl_arena_failed(issues->arena) ? SL_NO_MEMORY : SL_OK;
}
