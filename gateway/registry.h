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
 *         address: 1 Main Street, Springfield # for an accounting of disclosures
 *         kinds: [covered-entity]
 *         agreements:                        # in force; from the day `until` on no more
 *           - baa
 *           - {kind: qsoa, until: 2027-01-01, with: Organization/harbor-recovery, services: [laboratory]}
 *         networks: [tefca]                  # through which it asks
 *         exchange-purposes: [T-TREAT]       # of that network: an upper bound, with those below them
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
 *             relationships:                 # any other; of a client those of each of its users
 *               - {kind: representative, patient: Patient/b, authority: parent, until: 2027-01-01}
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

struct sl_registered_relation {
    struct sl_slice kind, patient, authority;
    int64_t until; /* 0: no end is said */
};

struct sl_registered_relations {
    const struct sl_registered_relation *list;
    size_t count;
};

struct sl_registered_user {
    struct sl_slice subject, reference, name;
    struct sl_words roles, treats;
    struct sl_registered_relations relations;
};

struct sl_registered_agreement {
    struct sl_slice kind, with;
    struct sl_words services;
    int64_t until; /* 0: no end is said */
};

struct sl_registered_client {
    size_t line; /* where its entry begins */
    struct sl_slice id, issuer, title, organization, organization_name, address;
    struct sl_words kinds, roles, token_roles, purposes, treats, networks;
    struct sl_words exchange_purposes; /* canonical codes */
    struct sl_registered_relations relations;
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

/* The clients, for reports. */
const struct sl_registered_client *sl_registry_clients(const struct sl_registry *registry, size_t *count);
/* NULL if the registry does not vouch for it. */
const struct sl_registered_client *sl_registry_client(
    const struct sl_registry *registry, struct sl_slice issuer, struct sl_slice id);
const struct sl_registered_user *sl_registry_user(const struct sl_registered_client *client, struct sl_slice subject);

#endif
