/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry: a YAML file in which the house vouches for its clients: what kind of organization runs them, which
 * roles they and their users have, for which purposes they may ask, and whom those users treat.
 *
 *     clients:
 *       - id: ward-app                       # client_id of the token
 *         issuer: https://id.example.org     # needed once there are several issuers
 *         title: Ward application
 *         organization: Organization/hospital
 *         organization-name: General Hospital
 *         kinds: [covered-entity]
 *         agreements: [baa, {kind: qsoa, until: 2027-01-01}] # in force; from that day on no more
 *         roles: []                          # roles the client has itself, whoever uses it
 *         token-roles: [physician, nurse]    # roles its tokens may claim (hl7-b2b subject_role)
 *         purposes: [TREAT, ETREAT]          # an upper bound; a token without purposes gets the only one
 *         treats: []                         # patients treated by every user; "*" for all
 *         users:
 *           - subject: dr-lee                # sub of the token
 *             reference: Practitioner/lee
 *             name: Dr. Lee
 *             roles: [physician]
 *             treats: [Patient/a]
 */
#ifndef SLUICE_GATEWAY_REGISTRY_H
#define SLUICE_GATEWAY_REGISTRY_H

#include <stdint.h>

#include "sluice/issue.h"
#include "sluice/slice.h"
#include "sluice/status.h"

struct sl_words { /* a list of texts */
    const struct sl_slice *words;
    size_t count;
};
bool sl_words_have(const struct sl_words *list, struct sl_slice word);

struct sl_registered_user {
    struct sl_slice subject, reference, name;
    struct sl_words roles, treats;
};

struct sl_registered_agreement {
    struct sl_slice kind;
    int64_t until; /* 0: no end is said */
};

struct sl_registered_client {
    struct sl_slice id, issuer, title, organization, organization_name;
    struct sl_words kinds, roles, token_roles, purposes, treats;
    const struct sl_registered_agreement *agreements;
    size_t agreement_count;
    const struct sl_registered_user *users;
    size_t user_count;
};

struct sl_registry; /* immutable once read; caller owns */

/* One issuer only: entries need not name it. SL_INVALID with issues. */
SL_MUST_CHECK enum sl_status sl_registry_load(
    const char *path, bool one_issuer, struct sl_issues *issues, struct sl_registry **out);
SL_MUST_CHECK enum sl_status sl_registry_read(
    const char *path, struct sl_slice text, bool one_issuer, struct sl_issues *issues, struct sl_registry **out);
void sl_registry_free(struct sl_registry *registry);

/* NULL if the registry does not vouch for it. */
const struct sl_registered_client *sl_registry_client(
    const struct sl_registry *registry, struct sl_slice issuer, struct sl_slice id);
const struct sl_registered_user *sl_registry_user(const struct sl_registered_client *client, struct sl_slice subject);

#endif
