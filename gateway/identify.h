/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who asks: the head of a request (token, purpose, emergency statement) and the registry become one recipient.
 *
 * What neither the token of a configured issuer nor the registry proves does not count. Judged before a body is read
 * and before anything is fetched, so nothing here can depend on what there is.
 */
#ifndef SLUICE_GATEWAY_IDENTIFY_H
#define SLUICE_GATEWAY_IDENTIFY_H

#include "config.h"
#include "http.h"
#include "sluice/decide.h"
#include "sluice/r4.h"

/* ---- Scopes (SMART App Launch 2.2.0, 2.0.6): an upper bound, never a grant ---- */

enum sl_scope_level { SL_SCOPE_NONE, SL_SCOPE_PATIENT, SL_SCOPE_USER, SL_SCOPE_SYSTEM };
enum { SL_MAY_CREATE = 1, SL_MAY_READ = 2, SL_MAY_UPDATE = 4, SL_MAY_DELETE = 8, SL_MAY_SEARCH = 16 };

struct sl_scope {
    enum sl_scope_level level;
    sl_r4_node type; /* 0: every type */
    unsigned actions;
};

/* Reads a `scope` claim. Scopes that are not about resources (openid, fhirUser, launch/…) are passed over. A resource
 * scope that is malformed, names no R4 type, or has a search modifier is SL_UNAUTHENTICATED: read narrower than it was
 * meant it would be a thinner answer. */
SL_MUST_CHECK enum sl_status sl_scopes_read(
    struct sl_slice text, struct sl_arena *arena, const struct sl_scope **out, size_t *count);

/* ---- Callers ---- */

/* One request's caller. All borrowed from the arena it was made in, or from `held`, and from the identifier. */
struct sl_caller {
    bool known; /* a valid token was presented; false: nobody, who gets nothing but metadata */
    struct sl_recipient recipient;
    const struct sl_scope *scopes;
    size_t scope_count;
    struct sl_slice patient; /* launch context, "Patient/x"; empty if none */
    struct sl_slice issuer;
    struct sl_slice token_id; /* jti; may be empty */
    const char *why;          /* of a refusal: a literal, for operators */
    struct sl_callers *held;  /* callers.h: a reference that whoever called sl_identify gives back; or NULL */
};

void sl_callers_unref(struct sl_callers *callers); /* NULL is fine. */

/* May the caller's scopes do `action` on a type? *patient_only: only for the launch patient. */
bool sl_caller_may(const struct sl_caller *caller, sl_r4_node type, unsigned action, bool *patient_only);

struct sl_identifier; /* the issuers' keys, the registry, a cache of verified tokens and one of callers; one for each
                         worker, and touched by its thread alone */

SL_MUST_CHECK enum sl_status sl_identifier_new(
    const struct sl_config *config, struct sl_issues *issues, struct sl_identifier **out);
/* Whoever goes by what it said holds a reference: a caller's roles are the registry's words. */
struct sl_identifier *sl_identifier_ref(struct sl_identifier *identifier);
void sl_identifier_unref(struct sl_identifier *identifier); /* NULL is fine. */

/*
 * Judges the head of a request at `now` (seconds). No Authorization: SL_OK and `known` false.
 * SL_UNAUTHENTICATED: the token; SL_FORBIDDEN: no purpose of use, or one it may not have; SL_BAD_PARAMETER: a malformed
 * purpose header; SL_EMERGENCY_INCOMPLETE: 42 CFR 2.51's statement is missing, incomplete, malformed, or stands with a
 * purpose that is no emergency.
 */
SL_MUST_CHECK enum sl_status sl_identify(struct sl_identifier *identifier, const struct sl_request *request,
    int64_t now, struct sl_arena *arena, struct sl_caller *out);

/* The dictionary of a Sluice-Emergency header (RFC 8941, 3.2): strings, and one boolean. SL_EMERGENCY_INCOMPLETE. */
SL_MUST_CHECK enum sl_status sl_emergency_read(
    struct sl_slice header, struct sl_arena *arena, struct sl_emergency *out);

#endif
