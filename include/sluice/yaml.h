/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A strict subset of YAML 1.1, read through libyaml's events into a small tree, for files that people edit: policy,
 * configuration, the programs table. The only file that includes yaml.h is consent/yaml.c.
 *
 * Every scalar is a string. Refused, with line and column: anchors, aliases, tags, directives, merge keys, tabs,
 * keys that are not scalars, duplicate keys, a second document, an empty file, more than the limits below.
 * JSON without tabs is accepted, as flow YAML.
 */
#ifndef SLUICE_YAML_H
#define SLUICE_YAML_H

#include <stdint.h>

#include "sluice/issue.h"
#include "sluice/slice.h"
#include "sluice/status.h"

#define SL_YAML_BYTES ((size_t)1024 * 1024) /* of one file */
#define SL_YAML_DEPTH 24u                   /* containers within containers */
#define SL_YAML_NODES 100000u

enum sl_yaml_kind { SL_YAML_NONE, SL_YAML_SCALAR, SL_YAML_LIST, SL_YAML_MAP };

/* A node of the tree. A map's members keep the order of the file. */
struct sl_yaml {
    enum sl_yaml_kind kind;
    size_t line, column;  /* where it begins, from 1; columns count characters */
    struct sl_slice text; /* a scalar's value; NUL-terminated one past its length, holds no NUL */
    struct sl_slice key;  /* as a member of a map */
    size_t key_line, key_column;
    struct sl_yaml *first, *last, *next; /* children; the next sibling */
    size_t count;                        /* children */
};

/* Where a tree comes from and where its mistakes go. Everything borrowed; the tree lives in `arena`. */
struct sl_yaml_source {
    struct sl_arena *arena;
    struct sl_issues *issues; /* may be NULL */
    struct sl_slice file;     /* as issues name it */
};

/* Parses one text. SL_OK; SL_SYNTAX with one issue (not YAML, or outside the subset); SL_LIMIT; SL_NO_MEMORY.
 * The text is not needed afterwards. */
SL_MUST_CHECK enum sl_status sl_yaml_parse(
    const struct sl_yaml_source *source, struct sl_slice text, const struct sl_yaml **out);
/* The same from the file at `path`. SL_MISSING or SL_IO, with an issue, if it cannot be read. */
SL_MUST_CHECK enum sl_status sl_yaml_load(
    const struct sl_yaml_source *source, const char *path, const struct sl_yaml **out);

/* Reads a file of at most `limit` bytes into the arena. SL_MISSING, SL_IO, SL_LIMIT, SL_NO_MEMORY; no issue. */
SL_MUST_CHECK enum sl_status sl_file_read(struct sl_arena *arena, const char *path, size_t limit, struct sl_slice *out);

/* The member of a map; NULL if there is none, or `map` is NULL or no map. */
const struct sl_yaml *sl_yaml_get(const struct sl_yaml *map, const char *key);

/* An issue at a node (at its key, if `at_key`); gives it for a fix. NULL node: the file as such. */
struct sl_issue *sl_yaml_issue(const struct sl_yaml_source *source, const struct sl_yaml *node, bool at_key,
    const char *code, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Is every key of the map among `words` (NULL-ended)? Each that is not is an issue "unknown-key" with the nearest known
 * word as its fix. A node that is no map is an issue as well. */
bool sl_yaml_check_keys(const struct sl_yaml_source *source, const struct sl_yaml *map, const char *const *words);

/* What a node must be; otherwise an issue ("expected-text", "expected-list", "expected-map") and an empty or NULL
 * value. A NULL node gives the empty value without an issue: what is required is asked for with sl_yaml_require. */
struct sl_slice sl_yaml_text(const struct sl_yaml_source *source, const struct sl_yaml *node); /* not empty */
const struct sl_yaml *sl_yaml_list(const struct sl_yaml_source *source, const struct sl_yaml *node);
const struct sl_yaml *sl_yaml_map(const struct sl_yaml_source *source, const struct sl_yaml *node);
/* "yes", "true": true; "no", "false": false; anything else an issue "expected-yes-no" and `fallback`, as for NULL. */
bool sl_yaml_flag(const struct sl_yaml_source *source, const struct sl_yaml *node, bool fallback);
/* Decimal digits within [min, max]; anything else an issue "expected-number" and `fallback`, as for NULL. */
uint64_t sl_yaml_number(
    const struct sl_yaml_source *source, const struct sl_yaml *node, uint64_t min, uint64_t max, uint64_t fallback);
/* YYYY-MM-DD, a day that exists, from 1971 on: its beginning as seconds since the epoch; 0 with an issue "bad-date"
 * otherwise, and without one for NULL. */
int64_t sl_yaml_date(const struct sl_yaml_source *source, const struct sl_yaml *node);
/* The member, or an issue "missing-key" at the map, and NULL. */
const struct sl_yaml *sl_yaml_require(const struct sl_yaml_source *source, const struct sl_yaml *map, const char *key);

/* The nearest of the words by edit distance, if it is near enough to be meant; empty otherwise. */
struct sl_slice sl_nearest_word(struct sl_slice word, const struct sl_slice *words, size_t count);

#endif
