/* SPDX-License-Identifier: Apache-2.0 */
/* Opening what exchanges share: see state.h. */
#include "state.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "intent.h"
#include "recorder.h"
#include "sluice/directive.h"
#include "sluice/yaml.h"
#include "upstream.h"

#define SHELF_SLOTS 4096u
#define METADATA_LIMIT ((size_t)4 * 1024 * 1024)
#define TOKEN_LIMIT ((size_t)16 * 1024)
#define DIRECTIVES_KEPT ((size_t)2 * 1024 * 1024)
#define ARENAS_KEPT ((size_t)4 * 1024 * 1024) /* of a worker's arenas: what a few exchanges at once need */
#define POLICY_ARENA ((size_t)64 * 1024 * 1024)

static enum sl_status complain(struct sl_issues *issues, enum sl_status status, const char *what, struct sl_slice path)
{
    if (status != SL_OK)
        sl_issue_add(issues, SL_GRADE_ERROR, "not-opened", "%s cannot be used: %.*s (%s).", what, SL_FMT(path),
            sl_status_name(status));
    return status;
}

/* ---- The gateway ---- */

/* It must be there and not be empty if it was configured. */
enum sl_status sl_upstream_token_read(const struct sl_config *config, struct sl_slice *out)
{
    struct sl_slice path = config->upstream_token, text;
    *out = (struct sl_slice){NULL, 0};
    if (!path.len)
        return SL_OK;
    SL_TRY(sl_file_read(config->arena, path.ptr, TOKEN_LIMIT, &text));
    size_t len = 0;
    while (len < text.len && text.ptr[len] > 0x20 && text.ptr[len] < 0x7f)
        len++;
    *out = (struct sl_slice){text.ptr, len};
    return len ? SL_OK : SL_INVALID;
}

/* Does the house let this process write there? Where there is no store yet none is made. */
static bool may_write(struct sl_gateway *gateway, struct sl_slice directory)
{
    struct sl_slice path = sl_arena_printf(gateway->config->arena, "%.*s/data.mdb", SL_FMT(directory));
    return path.ptr && access(path.ptr, W_OK) == 0;
}

static enum sl_status open_upstream(struct sl_gateway *gateway, struct sl_issues *issues)
{
    const struct sl_config *c = gateway->config;
    if (c->records.len)
        return complain(issues,
            sl_records_open(c->records.ptr, may_write(gateway, c->records), issues, &gateway->records),
            "The records store", c->records);
    sl_upstream_http_init();
    return complain(
        issues, sl_upstream_token_read(c, &gateway->upstream_token), "The upstream's token", c->upstream_token);
}

/* Under the lock. No request is answered under the old generation meanwhile: it may release what the new one does not.
 */
static enum sl_status make(struct sl_gateway *gateway, uint64_t number, struct sl_issues *issues)
{
    struct sl_policy *policy = NULL;
    if (number == gateway->refused)
        return SL_FORBIDDEN;
    SL_TRY(sl_policy_of_generation(gateway->store, number, issues, &policy));
    enum sl_status status = gateway->examine ? gateway->examine(gateway, policy, number, issues) : SL_OK;
    if (status != SL_OK) {
        sl_policy_unref(policy);
        gateway->refused = number;
        return status;
    }
    sl_policy_unref(gateway->policy);
    gateway->policy = policy;
    gateway->generation = number;
    return SL_OK;
}

/* Compiles a generation and tries it, once for all workers: who comes while another does it waits for him. */
static enum sl_status compiled(
    struct sl_gateway *gateway, uint64_t number, struct sl_issues *issues, struct sl_policy **out)
{
    enum sl_status status = SL_OK;
    *out = NULL;
    pthread_mutex_lock(&gateway->policy_lock);
    if (!gateway->policy || gateway->generation != number)
        status = make(gateway, number, issues);
    if (status == SL_OK)
        *out = sl_policy_ref(gateway->policy);
    pthread_mutex_unlock(&gateway->policy_lock);
    return status;
}

/* Is there a generation in force that compiles? Asked before anything listens. */
static enum sl_status check_policy(struct sl_gateway *gateway, struct sl_issues *issues)
{
    struct sl_policy *policy = NULL;
    uint64_t number = 0;
    enum sl_status status = sl_policy_number_in_force(gateway->store, &number);
    if (status == SL_OK)
        status = compiled(gateway, number, issues, &policy);
    sl_policy_unref(policy);
    if (!number && status == SL_MISSING)
        sl_issue_add(issues, SL_GRADE_ERROR, "no-policy",
            "No policy has been activated in %.*s: sluice policy activate.", SL_FMT(gateway->config->policy_store));
    else if (status != SL_OK)
        sl_issue_add(issues, SL_GRADE_ERROR, "no-policy",
            "Generation %llu, which is in force in %.*s, cannot be used (%s): sluice policy list, and activate or "
            "rollback.",
            (unsigned long long)number, SL_FMT(gateway->config->policy_store), sl_status_name(status));
    return status;
}

enum sl_status sl_gateway_programs(const struct sl_config *c, struct sl_issues *issues, struct sl_programs **out)
{
    struct sl_programs *programs = NULL;
    *out = NULL;
    SL_TRY(complain(issues, sl_programs_load(c->programs.ptr, issues, &programs), "The programs file", c->programs));
    /* What an EHR calls by its own address is its own. */
    enum sl_status status = c->upstream_url.len ? sl_programs_add_server(programs, c->upstream_url) : SL_OK;
    if (status == SL_OK && c->upstream_known_as.len)
        status = sl_programs_add_server(programs, c->upstream_known_as);
    if (status != SL_OK)
        sl_programs_unref(programs);
    else
        *out = programs;
    return complain(issues, status, "upstream.url", c->upstream_url);
}

static enum sl_status open_all(struct sl_gateway *gateway, struct sl_issues *issues)
{
    const struct sl_config *c = gateway->config;
    SL_TRY(sl_random(gateway->boot, sizeof gateway->boot));
    SL_TRY(complain(issues,
        sl_cli_policy_store(c->policy_store.ptr, may_write(gateway, c->policy_store), issues, &gateway->store),
        "The policy store", c->policy_store));
    SL_TRY(check_policy(gateway, issues));
    SL_TRY(complain(issues, sl_address_new(c, &gateway->address), "server.url", c->url));
    SL_TRY(sl_gateway_programs(c, issues, &gateway->programs));
    SL_TRY(complain(
        issues, sl_sealer_new(c->cursor_key.ptr, &gateway->sealer), "The key file of page links", c->cursor_key));
    SL_TRY(open_upstream(gateway, issues));
    if (c->label_book.len && !gateway->records) /* the embedded store is as quick to ask as the book */
        SL_TRY(complain(issues, sl_keeper_new(c->label_book.ptr, (int64_t)c->label_age, issues, &gateway->keeper),
            "The label book", c->label_book));
    SL_TRY(sl_recorder_new(gateway->records && may_write(gateway, c->records) ? gateway->records : NULL,
        may_write(gateway, c->policy_store) ? gateway->store : NULL, &gateway->recorder));
    gateway->shelf = sl_shelf_new(SHELF_SLOTS);
    if (!gateway->shelf)
        return SL_NO_MEMORY;
    const struct sl_ledger_options ledger = {.directory = c->ledger.ptr, .segment_bytes = c->ledger_segment};
    SL_TRY(complain(issues, sl_ledger_open(&ledger, issues, &gateway->ledger), "The ledger", c->ledger));
    return complain(issues, sl_intent_key(c->ledger.ptr, &gateway->intents), "intents.key of the ledger", c->ledger);
}

enum sl_status sl_gateway_open(const struct sl_config *config, struct sl_issues *issues, struct sl_gateway **out)
{
    *out = NULL;
    struct sl_gateway *gateway = calloc(1, sizeof *gateway);
    if (!gateway)
        return SL_NO_MEMORY;
    gateway->config = config;
    pthread_mutex_init(&gateway->programs_lock, NULL);
    pthread_mutex_init(&gateway->policy_lock, NULL);
    enum sl_status status = open_all(gateway, issues);
    if (status != SL_OK) {
        sl_gateway_close(gateway);
        return status;
    }
    *out = gateway;
    return SL_OK;
}

void sl_gateway_close(struct sl_gateway *gateway)
{
    if (!gateway)
        return;
    if (gateway->ledger)
        sl_ledger_close(gateway->ledger);
    sl_keeper_free(gateway->keeper);
    sl_recorder_free(gateway->recorder);
    sl_shelf_free(gateway->shelf);
    sl_address_free(gateway->address);
    if (gateway->records)
        sl_records_close(gateway->records);
    sl_sealer_free(gateway->sealer);
    sl_sealer_free(gateway->intents);
    sl_programs_unref(gateway->programs);
    pthread_mutex_destroy(&gateway->programs_lock);
    sl_policy_unref(gateway->policy);
    pthread_mutex_destroy(&gateway->policy_lock);
    if (gateway->store)
        sl_store_close(gateway->store);
    free(gateway);
}

/* Each worker loads them for itself; here it is seen whether they can be loaded. */
enum sl_status sl_gateway_reload_callers(struct sl_gateway *gateway, struct sl_issues *issues)
{
    struct sl_identifier *tried = NULL;
    enum sl_status status = sl_identifier_new(gateway->config, issues, &tried);
    sl_identifier_unref(tried);
    if (status == SL_OK)
        atomic_fetch_add(&gateway->callers_version, 1);
    return status;
}

enum sl_status sl_gateway_reload(struct sl_gateway *gateway, struct sl_issues *issues)
{
    struct sl_programs *programs = NULL;
    SL_TRY(sl_gateway_programs(gateway->config, issues, &programs));
    pthread_mutex_lock(&gateway->programs_lock);
    struct sl_programs *old = gateway->programs;
    gateway->programs = programs;
    atomic_fetch_add(&gateway->programs_version, 1);
    pthread_mutex_unlock(&gateway->programs_lock);
    sl_programs_unref(old);
    return SL_OK;
}

bool sl_gateway_reserve(struct sl_gateway *gateway, size_t bytes)
{
    size_t held = atomic_fetch_add_explicit(&gateway->memory, bytes, memory_order_relaxed);
    if (bytes <= gateway->config->memory && held <= gateway->config->memory - bytes)
        return true;
    atomic_fetch_sub_explicit(&gateway->memory, bytes, memory_order_relaxed);
    return false;
}

void sl_gateway_release(struct sl_gateway *gateway, size_t bytes)
{
    size_t held = atomic_fetch_sub_explicit(&gateway->memory, bytes, memory_order_relaxed);
    SL_ASSERT(held >= bytes);
}

/* ---- A worker's state ---- */

static struct sl_kept *new_kept(const struct sl_config *config)
{
    uint64_t seed;
    return sl_random((unsigned char *)&seed, sizeof seed) == SL_OK ? sl_kept_new((size_t)config->kept_rows, seed)
                                                                   : NULL;
}

enum sl_status sl_worker_state_new(struct sl_gateway *gateway, struct sl_worker *worker, struct event_base *base,
    struct sl_issues *issues, struct sl_worker_state **out)
{
    *out = NULL;
    struct sl_worker_state *state = calloc(1, sizeof *state);
    if (!state)
        return SL_NO_MEMORY;
    state->gateway = gateway;
    state->arenas = sl_arena_pool_new(ARENAS_KEPT);
    state->upstream = gateway->records ? sl_upstream_records_new(gateway->records, gateway->recorder, worker)
                                       : sl_upstream_http_new(gateway->config, gateway->upstream_token, base);
    state->directives = sl_directives_kept_new(DIRECTIVES_KEPT);
    state->kept = new_kept(gateway->config);
    enum sl_status status = state->upstream && state->arenas && state->directives && state->kept
                                ? sl_identifier_new(gateway->config, issues, &state->identifier)
                                : SL_NO_MEMORY;
    if (status == SL_OK)
        status = sl_worker_state_refresh(state);
    if (status != SL_OK) {
        sl_worker_state_free(state);
        return status;
    }
    *out = state;
    return SL_OK;
}

void sl_worker_state_free(struct sl_worker_state *state)
{
    if (!state)
        return;
    sl_upstream_free(state->upstream);
    sl_identifier_unref(state->identifier);
    sl_policy_unref(state->policy);
    sl_registered_unref(state->registered);
    sl_programs_unref(state->programs);
    sl_directives_kept_free(state->directives);
    sl_kept_free(state->kept);
    sl_policy_unref(state->under.policy);
    sl_programs_unref(state->under.programs);
    sl_arena_pool_free(state->arenas);
    free(state);
}

/* Labels rest on the policy, the programs and the register together. */
static enum sl_status generation_of(const struct sl_worker_state *state, const struct sl_policy *policy,
    const struct sl_registered *registered, struct sl_label_generation *out)
{
    *out = (struct sl_label_generation){.layout = 0};
    if (!state->gateway->keeper)
        return SL_OK;
    SL_TRY(sl_label_generation(policy, state->programs, out));
    return sl_label_generation_registered(registered, out);
}

/* What is taken up together, or not at all. Takes the policy's reference. */
static enum sl_status put_in_force(
    struct sl_worker_state *state, struct sl_policy *policy, uint64_t number, struct sl_issues *issues)
{
    struct sl_registered *registered = NULL;
    struct sl_label_generation labels;
    uint64_t length = 0;
    enum sl_status status = sl_register_length(state->gateway->store, &length);
    if (status == SL_OK)
        status = sl_registered_of(state->gateway->store, policy, (int64_t)time(NULL), issues, &registered);
    if (status == SL_OK)
        status = generation_of(state, policy, registered, &labels);
    if (status != SL_OK) {
        sl_registered_unref(registered);
        sl_policy_unref(policy);
        return status;
    }
    sl_policy_unref(state->policy);
    sl_registered_unref(state->registered);
    state->policy = policy;
    state->registered = registered;
    state->generation = number;
    state->register_length = length;
    state->label_generation = labels;
    return SL_OK;
}

static bool is_due(const struct sl_worker_state *state)
{
    return (int64_t)time(NULL) >= sl_registered_until(state->registered);
}

/* True: they are others than before. */
static bool take_programs(struct sl_worker_state *state)
{
    struct sl_gateway *gateway = state->gateway;
    if (state->programs && atomic_load(&gateway->programs_version) == state->programs_version)
        return false;
    pthread_mutex_lock(&gateway->programs_lock);
    struct sl_programs *programs = sl_programs_ref(gateway->programs);
    state->programs_version = atomic_load(&gateway->programs_version);
    pthread_mutex_unlock(&gateway->programs_lock);
    sl_programs_unref(state->programs);
    state->programs = programs;
    return true;
}

/* What passed last, for whichever worker: one that had nothing to do meanwhile may not have taken it up. */
static struct sl_policy *last_that_worked(struct sl_gateway *gateway, uint64_t *number)
{
    pthread_mutex_lock(&gateway->policy_lock);
    struct sl_policy *policy = gateway->policy ? sl_policy_ref(gateway->policy) : NULL;
    *number = policy ? gateway->generation : 0;
    pthread_mutex_unlock(&gateway->policy_lock);
    return policy;
}

/* A generation that cannot be read, or through which something came that should not, never replaces one that works, as
 * long as that one releases no more: if all that it was recorded to do was to release more, what worked goes on. If it
 * tightened something, or nobody can say, a superseded generation is no permission, and nothing is released until
 * somebody has looked. */
static bool may_stay(struct sl_store *store, uint64_t kept, uint64_t number, struct sl_arena *arena)
{
    struct sl_generation next;
    return kept && sl_policy_generation(store, number, arena, &next) == SL_OK && next.replaces == kept &&
           next.compared && !next.diff.tighter && !next.diff.either;
}

/* *number: of what is given. */
static enum sl_status policy_of(
    struct sl_worker_state *state, uint64_t *number, struct sl_issues *issues, struct sl_policy **out)
{
    uint64_t kept;
    *out = NULL;
    if (state->policy && *number == state->generation) {
        *out = sl_policy_ref(state->policy);
        return SL_OK;
    }
    enum sl_status status =
        *number == state->unreadable && state->policy ? SL_CORRUPT : compiled(state->gateway, *number, issues, out);
    struct sl_policy *last = status == SL_OK ? NULL : last_that_worked(state->gateway, &kept);
    if (!last || !may_stay(state->gateway->store, kept, *number, issues->arena)) {
        sl_policy_unref(last);
        state->unreadable = 0;
        return status;
    }
    if (state->unreadable != *number)
        fprintf(stderr, "sluice: generation %llu cannot be used (%s); generation %llu stays\n",
            (unsigned long long)*number, sl_status_name(status), (unsigned long long)kept);
    state->unreadable = *number;
    *number = kept;
    *out = last;
    return SL_OK;
}

static enum sl_status take_up(struct sl_worker_state *state, bool other_programs, struct sl_issues *issues)
{
    struct sl_policy *policy = NULL;
    uint64_t number = state->gateway->generation, length = 0;
    if (!state->gateway->given)
        SL_TRY(sl_policy_number_in_force(state->gateway->store, &number));
    SL_TRY(sl_register_length(state->gateway->store, &length));
    bool same = state->policy && (number == state->generation || number == state->unreadable);
    if (same && !other_programs && length == state->register_length && !is_due(state))
        return SL_OK;
    SL_TRY(policy_of(state, &number, issues, &policy));
    return put_in_force(state, policy, number, issues);
}

/* What has become unreadable since it was tried leaves the old ones: they are tried again with the next reload. */
static void take_callers(struct sl_worker_state *state)
{
    struct sl_identifier *identifier = NULL;
    uint64_t version = atomic_load(&state->gateway->callers_version);
    if (version == state->callers_version)
        return;
    state->callers_version = version;
    if (sl_identifier_new(state->gateway->config, NULL, &identifier) != SL_OK) {
        fprintf(stderr, "sluice: a worker could not read the callers again; the old ones stay\n");
        return;
    }
    sl_identifier_unref(state->identifier);
    state->identifier = identifier;
}

enum sl_status sl_worker_state_refresh(struct sl_worker_state *state)
{
    take_callers(state);
    /* The version is read first: what changes while the policy is being read is then seen as a change once more. */
    uint64_t version = sl_store_version(state->gateway->store);
    bool other_programs = take_programs(state);
    if (state->policy && version && version == state->store_version && !other_programs && !is_due(state))
        return SL_OK;
    struct sl_issues issues = {.arena = sl_arena_new(POLICY_ARENA)};
    enum sl_status status = !issues.arena ? SL_NO_MEMORY
                            : !version    ? SL_STORE
                                          : take_up(state, other_programs, &issues);
    for (const struct sl_issue *i = issues.first; status == SL_OK && i; i = i->next)
        if (sl_slice_eq(i->code, SL_LIT("register-unknown-class")))
            fprintf(stderr, "sluice: %.*s\n", SL_FMT(i->text));
    sl_arena_free(issues.arena);
    if (status != SL_OK) {
        /* A superseded generation is no permission either. */
        sl_policy_unref(state->policy);
        state->policy = NULL;
        fprintf(stderr, "sluice: the policy in force, or the register, cannot be used: %s\n", sl_status_name(status));
        return SL_STORE;
    }
    state->store_version = version;
    return SL_OK;
}

uint64_t sl_worker_state_under(struct sl_worker_state *state, struct sl_policy *policy, struct sl_programs *programs)
{
    if (state->under.policy == policy && state->under.programs == programs)
        return state->under.number;
    sl_policy_unref(state->under.policy);
    sl_programs_unref(state->under.programs);
    state->under.policy = sl_policy_ref(policy);
    state->under.programs = sl_programs_ref(programs);
    return ++state->under.number;
}
