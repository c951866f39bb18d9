/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From token, registry and headers to one recipient: see identify.h.
 *
 * Order: token (whose, whose key, when, for whom), claims, registry, purpose of use, emergency statement. Each step can
 * only refuse or add what is proved; the recipient begins as nobody.
 */
#include "identify.h"

#include <stdlib.h>
#include <strings.h>
#include <time.h>

#include "callers.h"
#include "jose.h"
#include "registry.h"
#include "seal.h"
#include "sluice/span.h"
#include "sluice/yaml.h"

#define CACHE_SLOTS 512u   /* verified tokens remembered by a worker */
#define CACHED_LIMIT 8192u /* bytes of claims of one of them */
#define CLAIM_WORDS 64u    /* entries of a list in a claim */
#define SCOPE_LIMIT 256u
#define KEYS_FILE_LIMIT ((size_t)256 * 1024)

struct issuer {
    const struct sl_config_issuer *config;
    struct sl_keys *keys;
};

/* A token whose signature has been verified: its hash and its claims. Times are judged anew for each request. */
struct cached {
    unsigned char hash[32];
    char *claims; /* heap; NULL: an empty slot */
    size_t len;
    size_t issuer;
};

struct sl_identifier {
    const struct sl_config *config;
    struct sl_registry *registry;
    struct issuer *issuers;
    size_t issuer_count;
    unsigned references;
    struct cached cache[CACHE_SLOTS];
    struct sl_callers *callers; /* of the second of the last request; NULL: none yet */
};

/* What one call works on. */
struct work {
    struct sl_identifier *identifier;
    const struct sl_request *request;
    int64_t now;
    struct sl_arena *arena;
    struct sl_caller *out;
    struct sl_doc claims;
    const struct sl_registered_client *client;
    const struct sl_registered_user *user;
};

static const struct sl_doc_limits claim_limits = {.bytes = 64 * 1024, .spans = 4096, .depth = 16};

/* ---- Opening ---- */

static enum sl_status load_issuer(const struct sl_config_issuer *config, struct sl_issues *issues, struct issuer *out)
{
    out->config = config;
    struct sl_slice json;
    struct sl_arena *arena = sl_arena_new(2 * KEYS_FILE_LIMIT);
    if (!arena)
        return SL_NO_MEMORY;
    enum sl_status status = sl_file_read(arena, config->keys.ptr, KEYS_FILE_LIMIT, &json);
    if (status == SL_OK)
        status = sl_keys_read(json, issues, &out->keys);
    if (status != SL_OK)
        sl_issue_add(issues, SL_GRADE_ERROR, "issuer-keys", "The keys of issuer %.*s cannot be used: %.*s.",
            SL_FMT(config->name), SL_FMT(config->keys));
    sl_arena_free(arena);
    return status;
}

enum sl_status sl_identifier_new(const struct sl_config *config, struct sl_issues *issues, struct sl_identifier **out)
{
    *out = NULL;
    struct sl_identifier *identifier = calloc(1, sizeof *identifier);
    if (!identifier)
        return SL_NO_MEMORY;
    identifier->config = config;
    identifier->references = 1;
    identifier->issuers = calloc(config->issuer_count + 1, sizeof *identifier->issuers);
    enum sl_status status = identifier->issuers ? SL_OK : SL_NO_MEMORY;
    for (size_t i = 0; status == SL_OK && i < config->issuer_count; i++)
        status = load_issuer(&config->issuers[i], issues, &identifier->issuers[identifier->issuer_count++]);
    if (status == SL_OK)
        status = sl_registry_load(config->registry.ptr, config->issuer_count == 1, issues, &identifier->registry);
    if (status != SL_OK) {
        sl_identifier_unref(identifier);
        return status;
    }
    *out = identifier;
    return SL_OK;
}

struct sl_identifier *sl_identifier_ref(struct sl_identifier *identifier)
{
    identifier->references++;
    return identifier;
}

void sl_identifier_unref(struct sl_identifier *identifier)
{
    if (!identifier || --identifier->references)
        return;
    for (size_t i = 0; i < CACHE_SLOTS; i++)
        free(identifier->cache[i].claims);
    for (size_t i = 0; i < identifier->issuer_count; i++)
        sl_keys_free(identifier->issuers[i].keys);
    free(identifier->issuers);
    sl_registry_free(identifier->registry);
    sl_callers_unref(identifier->callers);
    free(identifier);
}

/* ---- Refusals: one place that names the cause for the operator's log ---- */

static enum sl_status refuse(struct work *work, enum sl_status status, const char *why)
{
    work->out->why = why;
    return status;
}

static enum sl_status bad_token(struct work *work, const char *why)
{
    return refuse(work, SL_UNAUTHENTICATED, why);
}

/* ---- Claims ---- */

static uint32_t claim(const struct work *work, const char *key)
{
    return sl_span_member_key(&work->claims, 0, sl_slice_of(key));
}

/* A text claim; absent: empty. *good becomes false if it is there and is no text. */
static struct sl_slice text_claim(const struct work *work, uint32_t at, bool *good)
{
    if (!at)
        return (struct sl_slice){NULL, 0};
    if (work->claims.spans[at].type != SL_SPAN_STRING)
        *good = false;
    return sl_span_string(&work->claims, at, work->arena);
}

/* A text or a list of texts. */
static struct sl_words words_claim(const struct work *work, uint32_t at, bool *good)
{
    struct sl_words none = {NULL, 0};
    if (!at)
        return none;
    struct sl_slice *words = sl_arena_array(work->arena, CLAIM_WORDS, sizeof *words);
    size_t count = 0;
    if (!words)
        return none;
    if (work->claims.spans[at].type != SL_SPAN_ARRAY) {
        words[0] = text_claim(work, at, good);
        return (struct sl_words){words, words[0].len ? 1 : 0};
    }
    for (uint32_t i = at + 1; i < work->claims.spans[at].next; i = work->claims.spans[i].next) {
        if (count == CLAIM_WORDS || work->claims.spans[i].type != SL_SPAN_STRING)
            *good = false;
        else
            words[count++] = sl_span_string(&work->claims, i, work->arena);
    }
    return (struct sl_words){words, count};
}

/* RFC 7519, 2, NumericDate: seconds, perhaps with a fraction, which is dropped. No sign, no exponent. */
static bool date_claim(const struct work *work, uint32_t at, int64_t *out)
{
    struct sl_slice text = sl_span_text(&work->claims, at);
    if (work->claims.spans[at].type != SL_SPAN_NUMBER)
        return false;
    int64_t value = 0;
    size_t i = 0;
    for (; i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '9'; i++) {
        if (i > 14)
            return false;
        value = value * 10 + (text.ptr[i] - '0');
    }
    if (i == 0)
        return false;
    if (i < text.len && text.ptr[i] == '.')
        for (i++; i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '9';)
            i++;
    *out = value;
    return i == text.len;
}

/* ---- The token ---- */

/* RFC 6750, 2.1: one header, "Bearer", one space, the token. */
static enum sl_status find_token(struct work *work, struct sl_slice *token)
{
    size_t count = 0;
    struct sl_slice header = sl_request_header(work->request, SL_LIT("authorization"), &count);
    *token = (struct sl_slice){NULL, 0};
    if (count == 0)
        return SL_OK;
    if (count > 1 || header.len < 8 || strncasecmp(header.ptr, "Bearer ", 7) != 0)
        return bad_token(work, "token-scheme");
    *token = sl_slice_from(header, 7);
    return SL_OK;
}

static enum sl_status parse_claims(struct work *work, struct sl_slice json)
{
    if (sl_doc_parse(work->arena, json, &claim_limits, &work->claims, NULL) == SL_OK &&
        work->claims.spans[0].type == SL_SPAN_OBJECT)
        return SL_OK;
    return sl_arena_failed(work->arena) ? SL_NO_MEMORY : bad_token(work, "token-claims-syntax");
}

/* Whose keys to ask is read from claims that nobody has verified yet, and used for nothing else. */
static enum sl_status verify_fresh(struct work *work, struct sl_slice token, size_t *issuer, struct sl_slice *claims)
{
    struct sl_slice peeked;
    bool good = true;
    if (sl_jws_peek(token, work->arena, &peeked) != SL_OK)
        return bad_token(work, "token-form");
    SL_TRY(parse_claims(work, peeked));
    struct sl_slice iss = text_claim(work, claim(work, "iss"), &good);
    struct sl_identifier *all = work->identifier;
    for (*issuer = 0; *issuer < all->issuer_count; (*issuer)++)
        if (iss.len && sl_slice_eq(all->issuers[*issuer].config->name, iss))
            break;
    if (*issuer == all->issuer_count)
        return bad_token(work, "token-issuer");
    const struct issuer *row = &all->issuers[*issuer];
    return sl_jws_verify(row->keys, row->config->algorithms, token, work->arena, claims, &work->out->why);
}

static void remember(struct cached *slot, const unsigned char hash[32], size_t issuer, struct sl_slice claims)
{
    if (claims.len > CACHED_LIMIT)
        return;
    char *copy = malloc(claims.len);
    if (!copy)
        return;
    memcpy(copy, claims.ptr, claims.len);
    free(slot->claims);
    *slot = (struct cached){.claims = copy, .len = claims.len, .issuer = issuer};
    memcpy(slot->hash, hash, 32);
}

/* Verifies the token, or finds that this very token has been verified before. */
static enum sl_status verify_token(struct work *work, struct sl_slice token)
{
    unsigned char hash[32];
    SL_TRY(sl_sha256(token, hash));
    struct cached *slot = &work->identifier->cache[(hash[0] | (size_t)hash[1] << 8) % CACHE_SLOTS];
    size_t issuer = slot->issuer;
    struct sl_slice claims = {slot->claims, slot->len};
    if (!slot->claims || memcmp(slot->hash, hash, 32) != 0) {
        SL_TRY(verify_fresh(work, token, &issuer, &claims));
        remember(slot, hash, issuer, claims);
    } else {
        claims = sl_arena_copy(work->arena, claims); /* the slot may be taken by another token while we run */
    }
    work->out->issuer = work->identifier->issuers[issuer].config->name;
    return parse_claims(work, claims);
}

/* RFC 7519, 4.1.3 to 4.1.5; RFC 9068, 4: exp is required, nbf and iat hold where they are given. */
static enum sl_status check_times(struct work *work)
{
    int64_t leeway = (int64_t)work->identifier->config->leeway, exp = 0, nbf = 0, iat = 0;
    uint32_t at_exp = claim(work, "exp"), at_nbf = claim(work, "nbf"), at_iat = claim(work, "iat");
    if (!at_exp || !date_claim(work, at_exp, &exp) || exp + leeway <= work->now)
        return bad_token(work, "token-expired");
    if (at_nbf && (!date_claim(work, at_nbf, &nbf) || nbf - leeway > work->now))
        return bad_token(work, "token-not-yet");
    if (at_iat && (!date_claim(work, at_iat, &iat) || iat - leeway > work->now))
        return bad_token(work, "token-not-yet");
    return SL_OK;
}

static enum sl_status check_audience(struct work *work)
{
    bool good = true;
    struct sl_words audience = words_claim(work, claim(work, "aud"), &good);
    if (!good || !sl_words_have(&audience, work->identifier->config->audience))
        return bad_token(work, "token-audience");
    /* A token bound to a key (RFC 7800) is worth nothing without proof of that key, which is not taken here. */
    return claim(work, "cnf") ? bad_token(work, "token-bound") : SL_OK;
}

/* ---- Scopes ---- */

static unsigned action_of(char letter)
{
    static const char letters[] = "cruds";
    const char *at = memchr(letters, letter, 5);
    return at ? 1u << (at - letters) : 0;
}

/* "rs": letters of "cruds", each once, in that order; or a v1 word. */
static bool read_actions(struct sl_slice text, unsigned *actions)
{
    static const struct {
        struct sl_slice word;
        unsigned actions;
    } v1[] = {
        {{"read", 4}, SL_MAY_READ | SL_MAY_SEARCH},
        {{"write", 5}, SL_MAY_CREATE | SL_MAY_UPDATE | SL_MAY_DELETE},
        {{"*", 1}, SL_MAY_CREATE | SL_MAY_READ | SL_MAY_UPDATE | SL_MAY_DELETE | SL_MAY_SEARCH},
    };
    for (size_t i = 0; i < sizeof v1 / sizeof *v1; i++)
        if (sl_slice_eq(text, v1[i].word)) {
            *actions = v1[i].actions;
            return true;
        }
    *actions = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned action = action_of(text.ptr[i]);
        if (action <= *actions) /* not a letter, twice, or out of order: bits grow along "cruds" */
            return false;
        *actions |= action;
    }
    return text.len > 0;
}

/* "patient/Observation.rs": level, slash, type or *, dot, actions. */
static bool read_scope(struct sl_slice text, struct sl_scope *out)
{
    static const struct {
        struct sl_slice prefix;
        enum sl_scope_level level;
    } levels[] = {
        {{"patient/", 8}, SL_SCOPE_PATIENT}, {{"user/", 5}, SL_SCOPE_USER}, {{"system/", 7}, SL_SCOPE_SYSTEM}};
    for (size_t i = 0; i < 3; i++) {
        if (!sl_slice_starts(text, levels[i].prefix))
            continue;
        struct sl_slice rest = sl_slice_from(text, levels[i].prefix.len);
        const char *dot = rest.len ? memchr(rest.ptr, '.', rest.len) : NULL;
        if (!dot)
            return false;
        struct sl_slice type = {rest.ptr, (size_t)(dot - rest.ptr)};
        out->level = levels[i].level;
        out->type = sl_slice_eq(type, SL_LIT("*")) ? 0 : sl_r4_resource(type);
        return (out->type || sl_slice_eq(type, SL_LIT("*"))) &&
               read_actions(sl_slice_from(rest, type.len + 1), &out->actions);
    }
    out->level = SL_SCOPE_NONE; /* openid, launch/patient, offline_access: not about resources */
    return true;
}

enum sl_status sl_scopes_read(struct sl_slice text, struct sl_arena *arena, const struct sl_scope **out, size_t *count)
{
    struct sl_scope *scopes = sl_arena_array(arena, SCOPE_LIMIT, sizeof *scopes);
    *out = scopes;
    *count = 0;
    if (!scopes)
        return SL_NO_MEMORY;
    while (text.len) {
        const char *space = memchr(text.ptr, ' ', text.len);
        struct sl_slice word = {text.ptr, space ? (size_t)(space - text.ptr) : text.len};
        text = sl_slice_from(text, word.len + 1);
        if (!word.len)
            continue;
        struct sl_scope scope = {0};
        if (!read_scope(word, &scope) || *count == SCOPE_LIMIT)
            return SL_UNAUTHENTICATED;
        if (scope.level != SL_SCOPE_NONE)
            scopes[(*count)++] = scope;
    }
    return SL_OK;
}

bool sl_caller_may(const struct sl_caller *caller, sl_r4_node type, unsigned action, bool *patient_only)
{
    bool may = false;
    *patient_only = true;
    for (size_t i = 0; i < caller->scope_count; i++) {
        const struct sl_scope *scope = &caller->scopes[i];
        if ((scope->type && scope->type != type) || (scope->actions & action) != action)
            continue;
        if (scope->level == SL_SCOPE_PATIENT && !caller->patient.len)
            continue; /* a patient scope without a patient in context is for nobody */
        may = true;
        *patient_only = *patient_only && scope->level == SL_SCOPE_PATIENT;
    }
    return may;
}

/* ---- Claims to recipient ---- */

/* "Practitioner/x" out of a relative reference, or a URL of our own endpoint; anyone else's URL proves nothing here. */
static struct sl_slice own_reference(const struct work *work, struct sl_slice text)
{
    struct sl_slice base = work->identifier->config->url;
    if (sl_slice_starts(text, base) && text.len > base.len + 1 && text.ptr[base.len] == '/')
        text = sl_slice_from(text, base.len + 1);
    const char *slash = text.len ? memchr(text.ptr, '/', text.len) : NULL;
    if (!slash || !sl_r4_resource((struct sl_slice){text.ptr, (size_t)(slash - text.ptr)}))
        return (struct sl_slice){NULL, 0};
    struct sl_slice id = sl_slice_from(text, (size_t)(slash - text.ptr) + 1);
    return id.len && !memchr(id.ptr, '/', id.len) ? text : (struct sl_slice){NULL, 0};
}

static enum sl_status read_who(struct work *work)
{
    struct sl_recipient *r = &work->out->recipient;
    bool good = true;
    struct sl_slice id = text_claim(work, claim(work, "client_id"), &good);
    struct sl_slice azp = text_claim(work, claim(work, "azp"), &good);
    r->user = text_claim(work, claim(work, "sub"), &good);
    if (id.len && azp.len && !sl_slice_eq(id, azp))
        return bad_token(work, "token-client");
    /* RFC 9068, 2.2: client_id is required. `sub` cannot stand for it: users choose names, and one may be a client's.
     */
    r->client = id.len ? id : azp;
    r->user_reference = own_reference(work, text_claim(work, claim(work, "fhirUser"), &good));
    r->user_name = text_claim(work, claim(work, "name"), &good);
    work->out->token_id = text_claim(work, claim(work, "jti"), &good);
    struct sl_slice patient = text_claim(work, claim(work, "patient"), &good);
    if (patient.len)
        work->out->patient = own_reference(work, sl_arena_printf(work->arena, "Patient/%.*s", SL_FMT(patient)));
    if (!good || !r->client.len || (patient.len && !work->out->patient.len))
        return bad_token(work, "token-claims");
    return SL_OK;
}

static enum sl_status read_scopes(struct work *work)
{
    bool good = true;
    struct sl_slice text = text_claim(work, claim(work, "scope"), &good);
    if (!good)
        return bad_token(work, "token-scope");
    enum sl_status status = sl_scopes_read(text, work->arena, &work->out->scopes, &work->out->scope_count);
    return status == SL_UNAUTHENTICATED ? bad_token(work, "token-scope") : status;
}

/* The UDAP extension object (hl7-b2b), 0 if there is none. */
static uint32_t extension(const struct work *work)
{
    uint32_t all = claim(work, "extensions");
    uint32_t b2b = all ? sl_span_member_key(&work->claims, all, SL_LIT("hl7-b2b")) : 0;
    return b2b && work->claims.spans[b2b].type == SL_SPAN_OBJECT ? b2b : 0;
}

static uint32_t extension_member(const struct work *work, const char *key)
{
    uint32_t b2b = extension(work);
    return b2b ? sl_span_member_key(&work->claims, b2b, sl_slice_of(key)) : 0;
}

/* The registry's word on the organization stands before the token's; without a registry entry the issuer vouches. */
static enum sl_status read_organization(struct work *work)
{
    struct sl_recipient *r = &work->out->recipient;
    bool good = true;
    r->organization = text_claim(work, extension_member(work, "organization_id"), &good);
    r->organization_name = text_claim(work, extension_member(work, "organization_name"), &good);
    if (work->client && work->client->organization.len) {
        r->organization = work->client->organization;
        r->organization_name = work->client->organization_name;
    }
    if (work->user && work->user->reference.len)
        r->user_reference = work->user->reference;
    if (work->user && work->user->name.len)
        r->user_name = work->user->name;
    return good ? SL_OK : bad_token(work, "token-claims");
}

static void add_role(struct sl_slice *roles, size_t *count, struct sl_slice role)
{
    for (size_t i = 0; i < *count; i++)
        if (sl_slice_eq(roles[i], role))
            return;
    roles[(*count)++] = role;
}

/* Roles, each once: the client's own, the user's, and those claimed by the token that the registry lets this client
 * claim. */
static enum sl_status read_roles(struct work *work)
{
    static const struct sl_words none = {NULL, 0};
    bool good = true;
    struct sl_words claimed = words_claim(work, extension_member(work, "subject_role"), &good);
    const struct sl_registered_client *client = work->client;
    const struct sl_words *own = client ? &client->roles : &none, *users = work->user ? &work->user->roles : &none;
    struct sl_slice *roles = sl_arena_array(work->arena, own->count + users->count + claimed.count + 1, sizeof *roles);
    if (!good || !roles)
        return good ? SL_NO_MEMORY : bad_token(work, "token-claims");
    size_t count = 0;
    for (size_t i = 0; i < own->count; i++)
        add_role(roles, &count, own->words[i]);
    for (size_t i = 0; i < users->count; i++)
        add_role(roles, &count, users->words[i]);
    for (size_t i = 0; client && i < claimed.count; i++)
        if (sl_words_have(&client->token_roles, claimed.words[i]))
            add_role(roles, &count, claimed.words[i]);
    work->out->recipient.roles = roles;
    work->out->recipient.role_count = count;
    work->out->recipient.kinds = client ? client->kinds.words : NULL;
    work->out->recipient.kind_count = client ? client->kinds.count : 0;
    return SL_OK;
}

/* Agreements of the client's that are in force now, and the networks it asks through. */
static enum sl_status read_agreements(struct work *work)
{
    const struct sl_registered_client *client = work->client;
    struct sl_recipient *r = &work->out->recipient;
    size_t count = 0;
    struct sl_agreement *list = sl_arena_array(work->arena, (client ? client->agreement_count : 0) + 1, sizeof *list);
    if (!list)
        return SL_NO_MEMORY;
    for (size_t i = 0; client && i < client->agreement_count; i++) {
        const struct sl_registered_agreement *one = &client->agreements[i];
        if (!one->until || work->now < one->until)
            list[count++] = (struct sl_agreement){.kind = one->kind,
                .with = one->with,
                .services = one->services.words,
                .service_count = one->services.count};
    }
    r->agreements = list;
    r->agreement_count = count;
    r->networks = client ? client->networks.words : NULL;
    r->network_count = client ? client->networks.count : 0;
    return SL_OK;
}

static void relate(
    struct sl_relationship *list, size_t *count, const char *kind, struct sl_slice patient, enum sl_voucher voucher)
{
    list[(*count)++] = (struct sl_relationship){.kind = sl_slice_of(kind), .patient = patient, .voucher = voucher};
}

static void relate_registered(
    const struct work *work, const struct sl_registered_relations *from, struct sl_relationship *list, size_t *count)
{
    for (size_t i = 0; i < from->count; i++) {
        const struct sl_registered_relation *one = &from->list[i];
        if (!one->until || work->now < one->until)
            list[(*count)++] = (struct sl_relationship){
                .kind = one->kind, .patient = one->patient, .voucher = SL_BY_REGISTRY, .authority = one->authority};
    }
}

/* The launch context is the token's word: one's own, if the user is that patient; of another person (a parent, an agent
 * for health care) it says whom he represents; of whoever else that he treats the patient. */
static void relate_launch(const struct work *work, struct sl_relationship *list, size_t *count)
{
    const struct sl_recipient *r = &work->out->recipient;
    struct sl_slice context = work->out->patient;
    struct sl_slice self = sl_slice_starts(r->user_reference, SL_LIT("Patient/")) ? r->user_reference
                           : sl_slice_starts(r->user, SL_LIT("Patient/"))         ? r->user
                                                                                  : (struct sl_slice){NULL, 0};
    bool other = sl_slice_starts(r->user_reference, SL_LIT("RelatedPerson/")) ||
                 sl_slice_starts(r->user_reference, SL_LIT("Person/"));
    if (self.len)
        relate(list, count, "self", self, SL_BY_TOKEN);
    if (context.len && !sl_slice_eq(self, context))
        relate(list, count, self.len || other ? "representative" : "treating", context, SL_BY_TOKEN);
}

static enum sl_status read_relationships(struct work *work)
{
    struct sl_recipient *r = &work->out->recipient;
    static const struct sl_registered_user nobody;
    static const struct sl_registered_client none;
    const struct sl_registered_client *client = work->client ? work->client : &none;
    const struct sl_registered_user *user = work->user ? work->user : &nobody;
    struct sl_relationship *list = sl_arena_array(work->arena,
        client->treats.count + user->treats.count + client->relations.count + user->relations.count + 3, sizeof *list);
    if (!list)
        return SL_NO_MEMORY;
    size_t count = 0;
    for (size_t i = 0; i < client->treats.count; i++)
        relate(list, &count, "treating", client->treats.words[i], SL_BY_REGISTRY);
    for (size_t i = 0; i < user->treats.count; i++)
        relate(list, &count, "treating", user->treats.words[i], SL_BY_REGISTRY);
    relate_registered(work, &client->relations, list, &count);
    relate_registered(work, &user->relations, list, &count);
    relate_launch(work, list, &count);
    r->relationships = list;
    r->relationship_count = count;
    return SL_OK;
}

/* ---- Purpose of use ---- */

/* A purpose this caller may choose; exchange: for which purpose of a network, NULL outside of one. */
struct choice {
    struct sl_slice purpose;
    const struct sl_exchange_purpose *exchange;
};

struct choices {
    struct choice *list;
    size_t count;
    bool exchange; /* it asks through a network that has purposes of its own: each choice must fit one of these */
};

/* What the token claims, or the registry says where it claims nothing: words of both systems. */
static enum sl_status claimed_purposes(struct work *work, struct sl_words *out)
{
    bool good = true;
    const struct sl_words none = {NULL, 0};
    const struct sl_words own = work->client ? work->client->purposes : none,
                          more = work->client ? work->client->exchange_purposes : none;
    *out = words_claim(work, extension_member(work, "purpose_of_use"), &good);
    if (!good)
        return bad_token(work, "token-purpose");
    if (out->count)
        return SL_OK;
    struct sl_slice *words = sl_arena_array(work->arena, own.count + more.count + 1, sizeof *words);
    if (!words)
        return SL_NO_MEMORY;
    for (size_t i = 0; i < own.count + more.count; i++)
        words[i] = i < own.count ? own.words[i] : more.words[i - own.count];
    *out = (struct sl_words){words, own.count + more.count};
    return SL_OK;
}

/* The registry's word that the client is of the network, and its bound, where it has one. */
static bool may_exchange(const struct work *work, const struct sl_exchange_purpose *exchange)
{
    if (!work->client || !sl_words_have(&work->client->networks, SL_LIT("tefca")))
        return false;
    const struct sl_words *bound = &work->client->exchange_purposes;
    for (const struct sl_exchange_purpose *at = exchange; at; at = sl_exchange_find(at->parent))
        if (sl_words_have(bound, at->code))
            return true;
    return !bound->count;
}

static void add_choice(struct choices *out, struct sl_slice purpose, const struct sl_exchange_purpose *exchange)
{
    for (size_t i = 0; i < out->count; i++)
        if (sl_slice_eq(out->list[i].purpose, purpose) && out->list[i].exchange == exchange)
            return;
    out->list[out->count++] = (struct choice){purpose, exchange};
}

static bool is_bounded_out(const struct work *work, struct sl_slice purpose)
{
    return work->client && work->client->purposes.count && !sl_words_have(&work->client->purposes, purpose);
}

/* Purposes of use among the words that the registry lets this client have; for each exchange purpose, if it asks
 * through one, those that fit it, and if there are none the one that it stands for. It narrows, and never widens. */
static void fill_choices(struct work *work, const struct sl_words *words, struct choices *out)
{
    const struct sl_exchange_purpose *exchanges[CLAIM_WORDS];
    struct sl_slice purposes[CLAIM_WORDS];
    size_t exchange_count = 0, purpose_count = 0;
    for (size_t i = 0; i < words->count && i < CLAIM_WORDS; i++) {
        const struct sl_exchange_purpose *exchange = sl_exchange_find(words->words[i]);
        struct sl_slice purpose = sl_purpose_find(words->words[i]);
        out->exchange |= exchange != NULL;
        if (exchange && may_exchange(work, exchange))
            exchanges[exchange_count++] = exchange;
        else if (purpose.len)
            purposes[purpose_count++] = purpose;
    }
    for (size_t i = 0; !out->exchange && i < purpose_count; i++)
        if (!is_bounded_out(work, purposes[i]))
            add_choice(out, purposes[i], NULL);
    for (size_t e = 0; e < exchange_count; e++) {
        for (size_t i = 0; i < purpose_count; i++)
            if (sl_exchange_fits(exchanges[e], purposes[i]) && !is_bounded_out(work, purposes[i]))
                add_choice(out, purposes[i], exchanges[e]);
        if (!purpose_count && !is_bounded_out(work, exchanges[e]->purpose))
            add_choice(out, exchanges[e]->purpose, exchanges[e]);
    }
}

static enum sl_status read_purposes(struct work *work, struct choices *out)
{
    struct sl_words words;
    SL_TRY(claimed_purposes(work, &words));
    size_t most = words.count < CLAIM_WORDS ? words.count : CLAIM_WORDS;
    *out = (struct choices){.list = sl_arena_array(work->arena, most * most + 1, sizeof *out->list)};
    if (!out->list)
        return SL_NO_MEMORY;
    fill_choices(work, &words, out);
    return SL_OK;
}

/* Those that Sluice-Purpose picks, by the purpose of use or the exchange purpose. */
static void pick_choices(struct choices *choices, struct sl_slice pick)
{
    struct sl_slice purpose = sl_purpose_find(pick);
    const struct sl_exchange_purpose *exchange = sl_exchange_find(pick);
    size_t kept = 0;
    for (size_t i = 0; i < choices->count; i++) {
        const struct choice *one = &choices->list[i];
        if ((purpose.len && sl_slice_eq(one->purpose, purpose)) || (exchange && one->exchange == exchange))
            choices->list[kept++] = *one;
    }
    choices->count = kept;
}

/* Exactly one purpose, or the one that Sluice-Purpose picks from among several. */
static enum sl_status choose_purpose(struct work *work)
{
    struct choices choices;
    size_t count = 0;
    struct sl_slice pick = sl_request_header(work->request, SL_LIT("sluice-purpose"), &count);
    SL_TRY(read_purposes(work, &choices));
    if (count > 1 || (count == 1 && !pick.len))
        return refuse(work, SL_BAD_PARAMETER, "purpose-header");
    const char *none = choices.exchange ? "exchange-purpose" : "purpose-missing";
    if (count == 1) {
        pick_choices(&choices, pick);
        none = "purpose-not-allowed";
    }
    if (choices.count != 1)
        return refuse(work, SL_FORBIDDEN, choices.count ? "purpose-not-chosen" : none);
    work->out->recipient.purpose = choices.list[0].purpose;
    if (choices.list[0].exchange)
        work->out->recipient.exchange_purpose = choices.list[0].exchange->code;
    return SL_OK;
}

/* ---- Breaking the glass ---- */

static bool read_string(struct sl_slice *text, struct sl_arena *arena, struct sl_slice *out)
{
    char *copy = sl_arena_raw(arena, text->len + 1, 1);
    size_t len = 0, i = 1;
    if (!copy || !text->len || text->ptr[0] != '"')
        return false;
    for (; i < text->len && text->ptr[i] != '"'; i++) {
        if (text->ptr[i] == '\\' && (++i == text->len || (text->ptr[i] != '"' && text->ptr[i] != '\\')))
            return false;
        if (text->ptr[i] < 0x20 || text->ptr[i] > 0x7e)
            return false;
        copy[len++] = text->ptr[i];
    }
    if (i == text->len)
        return false;
    *text = sl_slice_from(*text, i + 1);
    *out = (struct sl_slice){copy, len};
    return true;
}

static struct sl_slice read_name(struct sl_slice *text)
{
    size_t len = 0;
    while (len < text->len && ((text->ptr[len] >= 'a' && text->ptr[len] <= 'z') || (len && text->ptr[len] == '-')))
        len++;
    struct sl_slice name = {text->ptr, len};
    *text = sl_slice_from(*text, len);
    return name;
}

/* made="2026-11-22T10:00:00Z": when the emergency was declared. */
static bool read_made(struct sl_slice *text, struct sl_arena *arena, struct sl_emergency *out)
{
    struct sl_slice value;
    char copy[32];
    if (out->made || !text->len || text->ptr[0] != '=')
        return false;
    *text = sl_slice_from(*text, 1);
    if (!read_string(text, arena, &value) || value.len >= sizeof copy || !value.len)
        return false;
    memcpy(copy, value.ptr, value.len);
    copy[value.len] = '\0';
    struct tm tm = {0};
    const char *end = strptime(copy, "%Y-%m-%dT%H:%M:%SZ", &tm);
    out->made = end && *end == '\0' ? (int64_t)timegm(&tm) : 0;
    return out->made > 0;
}

/* One member of the dictionary. Each stands there once; a name that is not ours is a mistake somebody should see. */
static bool read_member(struct sl_slice *text, struct sl_arena *arena, struct sl_emergency *out)
{
    struct sl_slice name = read_name(text);
    if (sl_slice_eq(name, SL_LIT("consent-unobtainable"))) {
        bool again = out->consent_unobtainable;
        if (sl_slice_starts(*text, SL_LIT("=?1")))
            *text = sl_slice_from(*text, 3);
        out->consent_unobtainable = true; /* RFC 8941, 3.2: a bare key is true */
        return !again && (!text->len || text->ptr[0] != '=');
    }
    const struct {
        struct sl_slice name, *field;
    } members[] = {{SL_LIT("clinician"), &out->clinician}, {SL_LIT("affiliation"), &out->affiliation},
        {SL_LIT("discloser"), &out->discloser}, {SL_LIT("nature"), &out->nature}};
    if (sl_slice_eq(name, SL_LIT("made")))
        return read_made(text, arena, out);
    for (size_t i = 0; i < 4; i++) {
        if (!sl_slice_eq(name, members[i].name))
            continue;
        if (members[i].field->ptr || !text->len || text->ptr[0] != '=')
            return false;
        *text = sl_slice_from(*text, 1);
        return read_string(text, arena, members[i].field);
    }
    return false;
}

static void skip_blanks(struct sl_slice *text)
{
    while (text->len && (text->ptr[0] == ' ' || text->ptr[0] == '\t'))
        *text = sl_slice_from(*text, 1);
}

enum sl_status sl_emergency_read(struct sl_slice header, struct sl_arena *arena, struct sl_emergency *out)
{
    *out = (struct sl_emergency){0};
    skip_blanks(&header);
    while (header.len) {
        if (!read_member(&header, arena, out))
            return SL_EMERGENCY_INCOMPLETE;
        skip_blanks(&header);
        if (!header.len)
            break;
        if (header.ptr[0] != ',')
            return SL_EMERGENCY_INCOMPLETE;
        header = sl_slice_from(header, 1);
        skip_blanks(&header);
        if (!header.len) /* a comma at the end */
            return SL_EMERGENCY_INCOMPLETE;
    }
    return sl_emergency_complete(out) ? SL_OK : SL_EMERGENCY_INCOMPLETE;
}

/* The statement and an emergency purpose come together or not at all: the same answer, whatever is there. */
static enum sl_status read_emergency(struct work *work)
{
    struct sl_recipient *r = &work->out->recipient;
    bool urgent = sl_slice_eq(r->purpose, SL_LIT("ETREAT")) || sl_slice_eq(r->purpose, SL_LIT("BTG"));
    size_t count = 0;
    struct sl_slice header = sl_request_header(work->request, SL_LIT("sluice-emergency"), &count);
    if (!urgent && !count)
        return SL_OK;
    struct sl_emergency *statement = sl_arena_alloc(work->arena, sizeof *statement);
    if (!statement)
        return SL_NO_MEMORY;
    if (!urgent || count != 1 || sl_emergency_read(header, work->arena, statement) != SL_OK)
        return refuse(work, SL_EMERGENCY_INCOMPLETE, "emergency-incomplete");
    if (statement->made > work->now + (int64_t)work->identifier->config->leeway)
        return refuse(work, SL_EMERGENCY_INCOMPLETE, "emergency-in-future");
    if (statement->made > work->now) /* a clock that is a little ahead */
        statement->made = work->now;
    r->emergency = statement;
    return SL_OK;
}

static enum sl_status identify(struct work *work, struct sl_slice token)
{
    SL_TRY(verify_token(work, token));
    SL_TRY(check_times(work));
    SL_TRY(check_audience(work));
    SL_TRY(read_who(work));
    SL_TRY(read_scopes(work));
    struct sl_caller *out = work->out;
    work->client = sl_registry_client(work->identifier->registry, out->issuer, out->recipient.client);
    work->user = work->client ? sl_registry_user(work->client, out->recipient.user) : NULL;
    SL_TRY(read_organization(work));
    SL_TRY(read_roles(work));
    SL_TRY(read_agreements(work));
    SL_TRY(read_relationships(work));
    out->known = true;
    SL_TRY(choose_purpose(work));
    return read_emergency(work);
}

/* Does the head say more of who asks than the token does? */
static bool says_more(const struct sl_request *request)
{
    size_t purposes = 0, emergencies = 0;
    (void)sl_request_header(request, SL_LIT("sluice-purpose"), &purposes);
    (void)sl_request_header(request, SL_LIT("sluice-emergency"), &emergencies);
    return purposes || emergencies;
}

/* Those of this second, another reference. NULL: there is no room to keep any. */
static struct sl_callers *callers_at(struct sl_identifier *identifier, int64_t now)
{
    if (!sl_callers_are_of(identifier->callers, now)) {
        sl_callers_unref(identifier->callers);
        identifier->callers = sl_callers_new(now);
    }
    return identifier->callers ? sl_callers_ref(identifier->callers) : NULL;
}

/* By the token alone. Within a second a caller is worked out once. */
static enum sl_status identify_kept(struct work *work, struct sl_slice token)
{
    struct sl_callers *callers = callers_at(work->identifier, work->now);
    const struct sl_caller *known = callers ? sl_callers_find(callers, token) : NULL;
    struct sl_arena *arena = callers ? sl_callers_arena(callers) : NULL;
    enum sl_status status = SL_OK;
    if (known) {
        *work->out = *known;
    } else {
        work->arena = arena ? arena : work->arena;
        status = identify(work, token);
        if (arena && status == SL_OK)
            sl_callers_keep(callers, token, work->out);
    }
    work->out->held = callers;
    return status;
}

enum sl_status sl_identify(struct sl_identifier *identifier, const struct sl_request *request, int64_t now,
    struct sl_arena *arena, struct sl_caller *out)
{
    *out = (struct sl_caller){0};
    struct work work = {.identifier = identifier, .request = request, .now = now, .arena = arena, .out = out};
    struct sl_slice token;
    SL_TRY(find_token(&work, &token));
    if (!token.ptr)
        return SL_OK;
    enum sl_status status = says_more(request) ? identify(&work, token) : identify_kept(&work, token);
    return sl_arena_failed(work.arena) ? SL_NO_MEMORY : status;
}
