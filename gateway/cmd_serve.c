/* SPDX-License-Identifier: Apache-2.0 */
/* sluice serve: opens what the configuration names, starts the server, and waits for signals. */
#include <arpa/inet.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli.h"
#include "listener.h"
#include "loop.h"
#include "route.h"
#include "selftest.h"
#include "settle.h"
#include "state.h"

#define DRAIN_MS 30000u

#define GATEWAYS 16u

/* What the workers' start needs. Several configurations are several gateways behind one address, told apart by their
 * paths: an upstream has its own directives, label book and ledger, since its Patient/1 is another's somebody else. */
struct serving {
    struct sl_gateway *gateways[GATEWAYS];
    struct sl_config *configs[GATEWAYS];
    size_t count;
    const struct sl_config *config; /* the first: what is the server's is taken from it */
    char host[INET6_ADDRSTRLEN + 1];
    struct sl_listen listen;
    struct sl_server_options options;
};

/* "127.0.0.1:8443", "[::1]:8443" */
static bool read_address(struct sl_slice text, struct serving *out)
{
    const char *colon = memrchr(text.ptr, ':', text.len);
    if (!colon)
        return false;
    struct sl_slice host = {text.ptr, (size_t)(colon - text.ptr)};
    if (host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
        host = (struct sl_slice){host.ptr + 1, host.len - 2};
    char *end;
    unsigned long port = strtoul(colon + 1, &end, 10);
    if (host.len == 0 || host.len >= sizeof out->host || end == colon + 1 || *end || port > 65535)
        return false;
    memcpy(out->host, host.ptr, host.len);
    out->host[host.len] = '\0';
    out->listen = (struct sl_listen){out->host, (uint16_t)port};
    return true;
}

static void stop_worker(struct sl_worker_state *state)
{
    while (state) {
        struct sl_worker_state *next = state->next;
        sl_worker_state_free(state);
        state = next;
    }
}

static struct sl_worker_state *start_worker(struct sl_worker *worker, void *context)
{
    struct serving *serving = context;
    struct sl_worker_state *states = NULL;
    struct sl_issues issues = {.arena = sl_arena_new((size_t)16 * 1024 * 1024)};
    enum sl_status status = issues.arena ? SL_OK : SL_NO_MEMORY;
    for (size_t i = serving->count; status == SL_OK && i-- > 0;) {
        struct sl_worker_state *state = NULL;
        status = sl_worker_state_new(serving->gateways[i], worker, sl_worker_base(worker), &issues, &state);
        if (status == SL_OK) {
            state->next = states;
            states = state;
        }
    }
    if (status != SL_OK) {
        (void)sl_cli_failed("a worker cannot start", status, issues.arena ? &issues : NULL);
        stop_worker(states);
        states = NULL;
    }
    sl_arena_free(issues.arena);
    return states;
}

static size_t busy(const struct sl_worker_state *state)
{
    size_t lingering = 0;
    for (; state; state = state->next)
        lingering += state->lingering;
    return lingering;
}

static bool set_options(struct serving *serving)
{
    const struct sl_config *c = serving->config;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    struct sl_server_options *o = &serving->options;
    *o = sl_server_defaults;
    if (!read_address(c->listen, serving)) {
        fprintf(stderr, "sluice: server.listen is no address and port: %.*s\n", SL_FMT(c->listen));
        return false;
    }
    o->listen = &serving->listen;
    o->listen_count = 1;
    if (!c->plain) {
        o->tls.certificates = c->certificate.ptr;
        o->tls.key = c->key.ptr;
    }
    o->workers = c->workers ? (unsigned)c->workers : processors > 0 ? (unsigned)processors : 1;
    o->limits.body = c->request_body;
    o->max_connections = (size_t)c->connections;
    o->max_per_peer = (size_t)c->connections_peer;
    o->worker_start = start_worker;
    o->worker_stop = stop_worker;
    o->worker_busy = busy;
    o->context = serving;
    return true;
}

static void tell_change(void *context, const char *section, const char *key)
{
    bool *any = context;
    *any = true;
    fprintf(stderr, "sluice: %s.%s says another thing than before: that takes a restart\n", section, key);
}

/* The configuration itself says what is opened at the start. What it says otherwise now is told, and not taken up by
 * halves. */
static enum sl_status compare_config(const struct sl_gateway *gateway, struct sl_issues *issues)
{
    struct sl_config *now = NULL;
    bool any = false;
    SL_TRY(sl_config_load(gateway->config->file.ptr, issues, &now));
    sl_config_compare(gateway->config, now, tell_change, &any);
    sl_config_free(now);
    return SL_OK;
}

static enum sl_status reload_certificates(
    struct sl_server *server, struct sl_gateway *gateway, struct sl_issues *issues)
{
    (void)gateway;
    return sl_server_reload(server, issues);
}

static enum sl_status reload_config(struct sl_server *server, struct sl_gateway *gateway, struct sl_issues *issues)
{
    (void)server;
    return compare_config(gateway, issues);
}

static enum sl_status reload_programs(struct sl_server *server, struct sl_gateway *gateway, struct sl_issues *issues)
{
    (void)server;
    return sl_gateway_reload(gateway, issues);
}

static enum sl_status reload_callers(struct sl_server *server, struct sl_gateway *gateway, struct sl_issues *issues)
{
    (void)server;
    return sl_gateway_reload_callers(gateway, issues);
}

static const struct {
    const char *good, *bad;
    enum sl_status (*reload)(struct sl_server *server, struct sl_gateway *gateway, struct sl_issues *issues);
} reloads[] = {
    {"certificates taken up again", "certificates could not be read; the old ones stay", reload_certificates},
    {"configuration read again", "the configuration has mistakes; the old one stays", reload_config},
    {"programs taken up again", "programs could not be read; the old ones stay", reload_programs},
    {"registry and issuers' keys taken up again", "registry or issuers' keys could not be read; the old ones stay",
        reload_callers},
};

/* What files say anew. A file with a mistake changes nothing, and is told. */
static void reload(struct sl_server *server, struct sl_gateway *gateway)
{
    for (size_t i = 0; i < sizeof reloads / sizeof *reloads; i++) {
        struct sl_issues found = {.arena = sl_arena_new((size_t)64 * 1024 * 1024)};
        enum sl_status status = found.arena ? reloads[i].reload(server, gateway, &found) : SL_NO_MEMORY;
        sl_cli_issues(stderr, &found, SL_GRADE_WARNING);
        fprintf(stderr, "sluice: %s\n", status == SL_OK ? reloads[i].good : reloads[i].bad);
        sl_arena_free(found.arena);
    }
}

/* SIGHUP takes up what files say anew; SIGTERM and SIGINT drain and end. */
static void wait_for_signals(struct sl_server *server, const struct serving *serving, const sigset_t *signals)
{
    for (;;) {
        int signal = 0;
        if (sigwait(signals, &signal) != 0)
            continue;
        if (signal != SIGHUP)
            break;
        for (size_t i = 0; i < serving->count; i++)
            reload(server, serving->gateways[i]);
    }
    if (!sl_server_drain(server, DRAIN_MS))
        fprintf(stderr, "sluice: some connections were still open after %u ms\n", DRAIN_MS);
}

static int serve(struct serving *serving, struct sl_issues *issues, const sigset_t *signals)
{
    struct sl_server *server = NULL;
    enum sl_status status = set_options(serving) ? sl_server_new(&serving->options, issues, &server) : SL_INVALID;
    if (status == SL_OK)
        status = sl_server_start(server, issues);
    if (status == SL_OK) {
        for (size_t i = 0; i < serving->count; i++)
            fprintf(stderr, "sluice: serving %.*s on %s port %u with %u workers\n", SL_FMT(serving->configs[i]->url),
                serving->host, sl_server_port(server, 0), serving->options.workers);
        wait_for_signals(server, serving, signals);
    }
    sl_server_free(server);
    return status == SL_OK ? 0 : sl_cli_failed("cannot serve", status, issues);
}

/* Two names of one directory are one directory. */
static bool is_same_path(struct sl_slice a, struct sl_slice b)
{
    char one[PATH_MAX], other[PATH_MAX];
    if (!a.len || !b.len)
        return false;
    return sl_slice_eq(a, b) || (realpath(a.ptr, one) && realpath(b.ptr, other) && strcmp(one, other) == 0);
}

static enum sl_status complain(struct sl_issues *issues, const char *what, const struct sl_config *c)
{
    sl_issue_add(issues, SL_GRADE_ERROR, "several", "%.*s: %s", SL_FMT(c->file), what);
    return SL_INVALID;
}

/* What two gateways behind one address have in common, and what they may not share. */
static enum sl_status check_pair(const struct sl_config *a, const struct sl_config *b, struct sl_issues *issues)
{
    if (!sl_slice_eq(a->listen, b->listen) || !sl_slice_eq(a->certificate, b->certificate) ||
        !sl_slice_eq(a->key, b->key) || a->plain != b->plain)
        return complain(
            issues, "server.listen, certificate, key and plain must be those of the first configuration.", b);
    if (sl_path_is_under(a->base, b->base) || sl_path_is_under(b->base, a->base))
        return complain(issues, "server.base must not be, or be below, that of another configuration.", b);
    if (is_same_path(a->policy_store, b->policy_store) || is_same_path(a->records, b->records) ||
        is_same_path(a->label_book, b->label_book) || is_same_path(a->ledger, b->ledger))
        return complain(issues, "policy.store, upstream.records, labels.book and ledger.directory must be its own.", b);
    return SL_OK;
}

static enum sl_status load_all(
    struct serving *serving, const char *const *paths, size_t count, struct sl_issues *issues)
{
    if (count > GATEWAYS)
        return SL_LIMIT;
    for (size_t i = 0; i < count; i++) {
        SL_TRY(sl_config_load(paths[i], issues, &serving->configs[i]));
        for (size_t k = 0; k < i; k++)
            SL_TRY(check_pair(serving->configs[k], serving->configs[i], issues));
    }
    serving->config = serving->configs[0];
    return SL_OK;
}

static enum sl_status open_all(struct serving *serving, size_t count, struct sl_issues *issues)
{
    for (; serving->count < count; serving->count++)
        SL_TRY(sl_gateway_open(serving->configs[serving->count], issues, &serving->gateways[serving->count]));
    return SL_OK;
}

/* Nobody is let in where the test lets something out, now or under a later generation. */
static int test_all(const struct serving *serving, size_t count, struct sl_issues *issues)
{
    for (size_t i = 0; i < count; i++) {
        struct sl_gateway *gateway = serving->gateways[i];
        if (sl_selftest_generation(gateway, gateway->policy, gateway->generation, issues) != SL_OK)
            return 1;
        gateway->examine = sl_selftest_generation;
    }
    return 0;
}

/* What was under way when the gateway was last ended. That something remains unknown keeps nobody out: it is in the
 * officer's queue. */
static int settle_all(const struct serving *serving, size_t count, struct sl_issues *issues)
{
    for (size_t i = 0; i < count; i++) {
        struct sl_settled found;
        enum sl_status status = sl_settle(serving->gateways[i], issues, &found);
        if (status != SL_OK)
            return sl_cli_failed("writes without an outcome cannot be looked through", status, issues);
        if (found.stored + found.not_stored + found.unknown)
            fprintf(stderr,
                "sluice: of writes that were under way at the last end %zu are stored, %zu are not, and of %zu nobody "
                "knows (outcome-unknown in the queue)\n",
                found.stored, found.not_stored, found.unknown);
        if (found.idle)
            fprintf(stderr, "sluice: %zu Consents among them are not in force (consent-not-in-force in the queue)\n",
                found.idle);
    }
    return 0;
}

static int run(const char *const *paths, size_t count, struct sl_issues *issues)
{
    struct serving serving = {0};
    sigset_t signals;
    /* Blocked before any thread is made, so that every thread blocks them and sigwait gets them. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    sl_loop_keep_memory();
    enum sl_status status = load_all(&serving, paths, count, issues);
    if (status == SL_OK)
        status = open_all(&serving, count, issues);
    int result = status == SL_OK ? test_all(&serving, count, issues) : sl_cli_failed("cannot open", status, issues);
    if (!result)
        result = settle_all(&serving, count, issues);
    if (!result)
        result = serve(&serving, issues, &signals);
    for (size_t i = 0; !result && i < count; i++)
        sl_settle_note_end(serving.gateways[i]);
    for (size_t i = 0; i < GATEWAYS; i++) {
        sl_gateway_close(serving.gateways[i]);
        sl_config_free(serving.configs[i]);
    }
    return result;
}

int sl_cmd_serve(int argc, char **argv)
{
    static const struct sl_option options[] = {
        {"config", SL_OPTION_MANY, "FILE",
            "the configuration, YAML; several: several upstreams, each under its own path", false},
        {"keys", SL_OPTION_FLAG, NULL, "print every key of the configuration with its default, and end", false},
    };
    struct sl_arena *arena = sl_arena_new((size_t)256 * 1024 * 1024);
    struct sl_issues issues = {.arena = arena};
    struct sl_cli cli;
    int status = 1;
    if (!arena)
        return 1;
    if (sl_cli_read(
            arena, argc, argv, "serve --config FILE…", options, sizeof options / sizeof *options, &cli, &status)) {
        status = 2;
        if (sl_cli_given(&cli, "keys")) {
            sl_config_help(stdout);
            status = 0;
        } else if (sl_cli_value(&cli, "config")) {
            size_t count;
            const char *const *paths = sl_cli_values(&cli, "config", &count);
            status = run(paths, count, &issues);
        } else {
            fprintf(stderr, "usage: sluice serve --config FILE…\n");
        }
    }
    sl_arena_free(arena);
    return status;
}
