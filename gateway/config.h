/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration of a running gateway: one strict YAML file, one table (config.def) that the reader, `--help` and
 * the manual share. Immutable once read.
 */
#ifndef SLUICE_GATEWAY_CONFIG_H
#define SLUICE_GATEWAY_CONFIG_H

#include <stdint.h>
#include <stdio.h>

#include "sluice/issue.h"
#include "sluice/status.h"

/* An issuer whose tokens are taken. */
struct sl_config_issuer {
    struct sl_slice name; /* `iss`, exactly */
    struct sl_slice keys; /* path of its JWK set */
    uint32_t algorithms;  /* SL_ALGORITHM_BITs it may sign with */
};

/* Texts and paths are NUL-terminated one past their length; empty: not given. All borrowed from the configuration. */
struct sl_config {
    struct sl_arena *arena;
    struct sl_slice file;
#define SL_CONFIG_TYPE_TEXT struct sl_slice
#define SL_CONFIG_TYPE_PATH struct sl_slice
#define SL_CONFIG_TYPE_NUMBER uint64_t
#define SL_CONFIG_TYPE_FLAG bool
#define SL_CONFIG(field, section, key, kind, fallback, min, max, help) SL_CONFIG_TYPE_##kind field;
#include "config.def"
#undef SL_CONFIG
    const struct sl_config_issuer *issuers;
    size_t issuer_count;
};

/* Reads, completes and checks a configuration. SL_INVALID with issues; *out is then NULL. Caller owns. */
SL_MUST_CHECK enum sl_status sl_config_load(const char *path, struct sl_issues *issues, struct sl_config **out);
/* The same from text; `path` is what relative paths are relative to, and what issues name. */
SL_MUST_CHECK enum sl_status sl_config_read(
    const char *path, struct sl_slice text, struct sl_issues *issues, struct sl_config **out);
void sl_config_free(struct sl_config *config);

/* A server's base URL in its parts, borrowed from it: no user, no query, no fragment; a path without its last slash. */
struct sl_url {
    bool secure;
    struct sl_slice host; /* a name, or a numeric address without brackets */
    uint16_t port;
    struct sl_slice path; /* "" or "/fhir" */
};
/* False: it is none. */
bool sl_config_url(struct sl_slice text, struct sl_url *out);

/* Calls `told` with "section.key" for each key that says another thing in `b` than in `a`. */
void sl_config_compare(const struct sl_config *a, const struct sl_config *b,
    void (*told)(void *context, const char *section, const char *key), void *context);

/* Every key with its default and help. */
void sl_config_help(FILE *out);

#endif
