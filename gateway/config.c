/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the configuration: see config.h and config.def. Adding a key is adding a row there. */
#include "config.h"

#include <stddef.h>
#include <stdlib.h>

#include "jose.h"
#include "sluice/yaml.h"

#define ARENA_LIMIT ((size_t)64 * 1024 * 1024) /* the YAML tree of a file at its limits, and what is kept of it */
#define SL_REQUIRED 1

enum kind { TEXT, PATH, NUMBER, FLAG };

static const struct row {
    const char *section, *key;
    enum kind kind;
    const char *fallback;
    uint64_t min, max;
    size_t offset;
    const char *help;
} rows[] = {
#define SL_CONFIG(field, section, key, kind, fallback, min, max, help)                                                 \
    {section, key, kind, fallback, min, max, offsetof(struct sl_config, field), help},
#include "config.def"
#undef SL_CONFIG
};
#define ROWS (sizeof rows / sizeof *rows)

struct reader {
    struct sl_config *config;
    struct sl_yaml_source source;
    struct sl_slice folder; /* of the file, with its slash; empty: the current one */
};

static struct sl_slice resolve(const struct reader *reader, struct sl_slice path)
{
    if (!path.len || path.ptr[0] == '/')
        return sl_arena_copy(reader->config->arena, path);
    return sl_arena_printf(reader->config->arena, "%.*s%.*s", SL_FMT(reader->folder), SL_FMT(path));
}

static void set_text(const struct reader *reader, const struct row *row, struct sl_slice text)
{
    struct sl_slice *field = (struct sl_slice *)((char *)reader->config + row->offset);
    *field = row->kind == PATH ? resolve(reader, text) : sl_arena_copy(reader->config->arena, text);
}

static void set_value(const struct reader *reader, const struct row *row, const struct sl_yaml *node)
{
    char *field = (char *)reader->config + row->offset;
    uint64_t number;
    bool flag;
    switch (row->kind) {
    case TEXT:
    case PATH:
        set_text(reader, row, node ? sl_yaml_text(&reader->source, node) : sl_slice_of(row->fallback));
        return;
    case NUMBER:
        number = sl_yaml_number(&reader->source, node, row->min, row->max, strtoull(row->fallback, NULL, 10));
        memcpy(field, &number, sizeof number);
        return;
    case FLAG:
        flag = sl_yaml_flag(&reader->source, node, strcmp(row->fallback, "yes") == 0);
        memcpy(field, &flag, sizeof flag);
        return;
    }
}

static bool is_required(const struct row *row)
{
    return row->min == SL_REQUIRED && (row->kind == TEXT || row->kind == PATH);
}

static void read_rows(const struct reader *reader, const struct sl_yaml *root)
{
    for (size_t i = 0; i < ROWS; i++) {
        const struct sl_yaml *node = sl_yaml_get(sl_yaml_get(root, rows[i].section), rows[i].key);
        if (!node && is_required(&rows[i]))
            sl_yaml_issue(&reader->source, root, false, "missing-key", "%s.%s must be given: %s.", rows[i].section,
                rows[i].key, rows[i].help);
        set_value(reader, &rows[i], node);
    }
}

/* The keys of one section, and those that are no rows (issuers). */
static void check_section(const struct reader *reader, const struct sl_yaml *map)
{
    const char *words[ROWS + 2];
    size_t count = 0;
    for (size_t i = 0; i < ROWS; i++)
        if (sl_slice_eq(map->key, sl_slice_of(rows[i].section)))
            words[count++] = rows[i].key;
    if (sl_slice_eq(map->key, SL_LIT("identity")))
        words[count++] = "issuers";
    words[count] = NULL;
    (void)sl_yaml_check_keys(&reader->source, map, words);
}

static void check_keys(const struct reader *reader, const struct sl_yaml *root)
{
    static const char *const sections[] = {
        "server", "upstream", "identity", "policy", "labels", "ledger", "paging", "limits", NULL};
    if (!sl_yaml_check_keys(&reader->source, root, sections))
        return;
    for (const struct sl_yaml *section = root->first; section; section = section->next)
        check_section(reader, section);
}

/* ---- Issuers ---- */

static uint32_t read_algorithms(const struct reader *reader, const struct sl_yaml *node)
{
    uint32_t set = 0;
    const struct sl_yaml *list = sl_yaml_list(&reader->source, node);
    for (const struct sl_yaml *entry = list ? list->first : NULL; entry; entry = entry->next) {
        enum sl_algorithm algorithm = sl_algorithm_find(sl_yaml_text(&reader->source, entry));
        if (algorithm == SL_ALGORITHM_NONE)
            sl_yaml_issue(&reader->source, entry, false, "unknown-algorithm",
                "%.*s is not a signature algorithm taken here: RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, "
                "ES512, EdDSA.",
                SL_FMT(entry->text));
        else
            set |= SL_ALGORITHM_BIT(algorithm);
    }
    return set;
}

static void read_issuer(const struct reader *reader, const struct sl_yaml *node, struct sl_config_issuer *out)
{
    static const char *const words[] = {"issuer", "keys", "algorithms", NULL};
    if (!sl_yaml_check_keys(&reader->source, node, words))
        return;
    struct sl_arena *arena = reader->config->arena;
    out->name = sl_arena_copy(arena, sl_yaml_text(&reader->source, sl_yaml_require(&reader->source, node, "issuer")));
    out->keys = resolve(reader, sl_yaml_text(&reader->source, sl_yaml_require(&reader->source, node, "keys")));
    out->algorithms = read_algorithms(reader, sl_yaml_require(&reader->source, node, "algorithms"));
}

static void read_issuers(const struct reader *reader, const struct sl_yaml *root)
{
    const struct sl_yaml *list = sl_yaml_get(sl_yaml_get(root, "identity"), "issuers");
    if (!list || !(list = sl_yaml_list(&reader->source, list)) || !list->first) {
        sl_yaml_issue(&reader->source, root, false, "missing-key",
            "identity.issuers must name at least one issuer of tokens: issuer, keys, algorithms.");
        return;
    }
    struct sl_config *config = reader->config;
    struct sl_config_issuer *issuers = sl_arena_array(config->arena, list->count, sizeof *issuers);
    for (const struct sl_yaml *entry = list->first; issuers && entry; entry = entry->next)
        read_issuer(reader, entry, &issuers[config->issuer_count++]);
    config->issuers = issuers;
}

/* ---- What must fit together ---- */

static void complain(const struct reader *reader, const char *code, const char *text)
{
    sl_yaml_issue(&reader->source, NULL, false, code, "%s", text);
}

static bool read_port(struct sl_slice text, uint16_t *out)
{
    unsigned long port = 0;
    if (!text.len || text.len > 5)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        port = port * 10 + (unsigned long)(text.ptr[i] - '0');
    }
    *out = (uint16_t)port;
    return port > 0 && port <= UINT16_MAX;
}

static bool good_host(struct sl_slice host)
{
    for (size_t i = 0; i < host.len; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:", host.ptr[i]) || !host.ptr[i])
            return false;
    return host.len > 0 && host.len < 254;
}

static bool good_path(struct sl_slice path)
{
    for (size_t i = 0; i < path.len; i++)
        if (path.ptr[i] <= ' ' || path.ptr[i] == 0x7f || strchr("?#\"<>\\^`{|}", path.ptr[i]))
            return false;
    return !path.len || path.ptr[path.len - 1] != '/';
}

static size_t length_until(struct sl_slice text, char mark)
{
    const char *at = text.len ? memchr(text.ptr, mark, text.len) : NULL;
    return at ? (size_t)(at - text.ptr) : text.len;
}

bool sl_config_url(struct sl_slice text, struct sl_url *out)
{
    *out = (struct sl_url){.secure = sl_slice_starts(text, SL_LIT("https://"))};
    if (!out->secure && !sl_slice_starts(text, SL_LIT("http://")))
        return false;
    struct sl_slice rest = sl_slice_from(text, out->secure ? 8 : 7);
    struct sl_slice authority = {rest.ptr, length_until(rest, '/')};
    bool bracket = authority.len && authority.ptr[0] == '[';
    size_t end = length_until(authority, bracket ? ']' : ':');
    if (bracket && end == authority.len)
        return false;
    out->path = sl_slice_from(rest, authority.len);
    out->host = (struct sl_slice){authority.ptr + bracket, end - bracket};
    struct sl_slice port = sl_slice_from(authority, end + bracket);
    out->port = out->secure ? 443 : 80;
    if (port.len && (port.ptr[0] != ':' || !read_port(sl_slice_from(port, 1), &out->port)))
        return false;
    return good_host(out->host) && good_path(out->path);
}

static void check_url(const struct reader *reader, struct sl_slice url, const char *scheme, const char *slash)
{
    if (url.len && !sl_slice_starts(url, SL_LIT("https://")) && !sl_slice_starts(url, SL_LIT("http://")))
        complain(reader, "upstream-url", scheme);
    struct sl_url parts;
    if (url.len && url.ptr[url.len - 1] == '/')
        complain(reader, "upstream-url", slash);
    else if (url.len && !sl_config_url(url, &parts))
        complain(
            reader, "upstream-url", "A server's URL is scheme://host, maybe a :port and a path, and nothing more.");
}

static void check_upstream(const struct reader *reader)
{
    const struct sl_config *c = reader->config;
    if (!c->records.len == !c->upstream_url.len)
        complain(reader, "upstream", "upstream wants exactly one of `records` and `url`.");
    if (c->upstream_known_as.len && !c->upstream_url.len)
        complain(reader, "upstream", "upstream.known-as is another address of the server at `url`, which is missing.");
    check_url(reader, c->upstream_url, "upstream.url must begin with https:// or http://.",
        "upstream.url must not end in a slash.");
    check_url(reader, c->upstream_known_as, "upstream.known-as must begin with https:// or http://.",
        "upstream.known-as must not end in a slash.");
}

static void check_server(const struct reader *reader)
{
    const struct sl_config *c = reader->config;
    if (c->plain ? c->certificate.len || c->key.len : !c->certificate.len || !c->key.len)
        complain(reader, "tls", "server wants `certificate` and `key`, or `plain: yes` and neither.");
    if (c->base.len && (c->base.ptr[0] != '/' || c->base.ptr[c->base.len - 1] == '/'))
        complain(reader, "base", "server.base must begin with a slash and not end in one.");
    if (c->url.len &&
        (c->url.len < c->base.len || !sl_slice_eq(sl_slice_from(c->url, c->url.len - c->base.len), c->base)))
        complain(reader, "url", "server.url must end in server.base.");
    if (c->page_default > c->page_limit)
        complain(reader, "paging", "paging.count must not be more than paging.count-limit.");
}

static enum sl_status read_config(struct reader *reader, struct sl_slice text)
{
    const struct sl_yaml *root = NULL;
    SL_TRY(sl_yaml_parse(&reader->source, text, &root));
    size_t errors = reader->source.issues->errors;
    check_keys(reader, root);
    read_rows(reader, root);
    read_issuers(reader, root);
    if (reader->source.issues->errors == errors) {
        check_upstream(reader);
        check_server(reader);
    }
    if (sl_arena_failed(reader->config->arena))
        return SL_NO_MEMORY;
    return reader->source.issues->errors == errors ? SL_OK : SL_INVALID;
}

enum sl_status sl_config_read(const char *path, struct sl_slice text, struct sl_issues *issues, struct sl_config **out)
{
    *out = NULL;
    struct sl_issues own = {0};
    struct sl_arena *arena = sl_arena_new(ARENA_LIMIT);
    struct sl_config *config = arena ? sl_arena_alloc(arena, sizeof *config) : NULL;
    if (!config) {
        sl_arena_free(arena);
        return SL_NO_MEMORY;
    }
    own.arena = arena;
    config->arena = arena;
    config->file = sl_arena_copy(arena, sl_slice_of(path));
    const char *slash = strrchr(path, '/');
    /* The tree lives with the issues, whose texts may point into it; what is kept of it is copied. */
    struct reader reader = {.config = config,
        .folder = {path, slash ? (size_t)(slash - path) + 1 : 0},
        .source = {issues ? issues->arena : arena, issues ? issues : &own, sl_slice_of(path)}};
    enum sl_status status = read_config(&reader, text);
    if (status != SL_OK) {
        sl_config_free(config);
        return status == SL_NO_MEMORY ? status : SL_INVALID;
    }
    *out = config;
    return SL_OK;
}

enum sl_status sl_config_load(const char *path, struct sl_issues *issues, struct sl_config **out)
{
    *out = NULL;
    struct sl_slice text;
    struct sl_arena *arena = sl_arena_new(2 * SL_YAML_BYTES);
    if (!arena)
        return SL_NO_MEMORY;
    enum sl_status status = sl_file_read(arena, path, SL_YAML_BYTES, &text);
    if (status == SL_OK)
        status = sl_config_read(path, text, issues, out);
    else
        sl_issue_add(issues, SL_GRADE_ERROR, "config-unreadable", "The configuration file %s cannot be read.", path);
    sl_arena_free(arena);
    return status;
}

void sl_config_free(struct sl_config *config)
{
    if (config)
        sl_arena_free(config->arena); /* the configuration itself lives there */
}

static bool same_value(const struct row *row, const void *a, const void *b)
{
    if (row->kind == TEXT || row->kind == PATH) {
        struct sl_slice x, y;
        memcpy(&x, a, sizeof x);
        memcpy(&y, b, sizeof y);
        return sl_slice_eq(x, y);
    }
    return memcmp(a, b, row->kind == NUMBER ? sizeof(uint64_t) : sizeof(bool)) == 0;
}

static bool same_issuers(const struct sl_config *a, const struct sl_config *b)
{
    bool same = a->issuer_count == b->issuer_count;
    for (size_t i = 0; same && i < a->issuer_count; i++)
        same = sl_slice_eq(a->issuers[i].name, b->issuers[i].name) &&
               sl_slice_eq(a->issuers[i].keys, b->issuers[i].keys) &&
               a->issuers[i].algorithms == b->issuers[i].algorithms;
    return same;
}

void sl_config_compare(const struct sl_config *a, const struct sl_config *b,
    void (*told)(void *context, const char *section, const char *key), void *context)
{
    for (size_t i = 0; i < ROWS; i++)
        if (!same_value(&rows[i], (const char *)a + rows[i].offset, (const char *)b + rows[i].offset))
            told(context, rows[i].section, rows[i].key);
    if (!same_issuers(a, b))
        told(context, "identity", "issuers");
}

void sl_config_help(FILE *out)
{
    const char *section = "";
    for (size_t i = 0; i < ROWS; i++) {
        if (strcmp(section, rows[i].section) != 0)
            fprintf(out, "%s:\n", rows[i].section);
        section = rows[i].section;
        fprintf(out, "  %s: %s%s\n      %s.\n", rows[i].key, rows[i].fallback,
            is_required(&rows[i]) ? "(required)" : "", rows[i].help);
    }
    fprintf(out, "identity:\n  issuers: (required)\n    - issuer: what `iss` must be\n      keys: path of its JWK set\n"
                 "      algorithms: [ES256]\n");
}
