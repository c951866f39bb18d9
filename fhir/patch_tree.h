/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A JSON text that can be changed, as a tree that is opened only where something is done: what is not opened is the
 * text it was. Shared by patch.c (JSON Patch) and patch_fhir.c (FHIRPath Patch). Private to them.
 */
#ifndef SLUICE_FHIR_PATCH_TREE_H
#define SLUICE_FHIR_PATCH_TREE_H

#include "sluice/patch.h"
#include "sluice/r4.h"

struct sl_twig {
    struct sl_twig *parent, *first, *last, *prev, *next;
    struct sl_slice key;      /* of a member */
    const struct sl_doc *doc; /* NULL: it never was a text */
    uint32_t span;
    uint32_t count; /* children, once it is open */
    uint8_t type;   /* enum sl_span_type */
    bool open;
};

struct sl_tree {
    struct sl_arena *arena;
    struct sl_twig *root;
    void *rooms; /* of patch_fhir.c */
    size_t work; /* steps that are left; 0: SL_LIMIT */
    const char *why;
    enum sl_status status; /* of the first thing that went wrong; sticky */
};

/* Always false, for `return sl_tree_fail(…)`. */
bool sl_tree_fail(struct sl_tree *tree, enum sl_status status, const char *why);

/* A value of a document, as a twig of its own; and one that is empty, of either kind. NULL: it has failed. */
struct sl_twig *sl_twig_of(struct sl_tree *tree, const struct sl_doc *doc, uint32_t span);
struct sl_twig *sl_twig_new(struct sl_tree *tree, enum sl_span_type type);
struct sl_twig *sl_twig_copy(struct sl_tree *tree, const struct sl_twig *twig);

/* Its children, made if need be; false: it has failed, or is no container. */
bool sl_twig_open(struct sl_tree *tree, struct sl_twig *twig);
struct sl_twig *sl_twig_member(struct sl_tree *tree, struct sl_twig *object, struct sl_slice key);
struct sl_twig *sl_twig_entry(struct sl_tree *tree, struct sl_twig *array, uint32_t index);

void sl_twig_take(struct sl_twig *twig); /* from its parent */
/* Before `before`, a child of the same parent, or at the end. */
void sl_twig_put(struct sl_twig *parent, struct sl_twig *twig, struct sl_twig *before);
/* In the place of another, with its key. */
void sl_twig_replace(struct sl_tree *tree, struct sl_twig *old, struct sl_twig *new);

/* As text. Containers that are empty go, with their keys, unless they were empty from the start. */
SL_MUST_CHECK enum sl_status sl_twig_write(
    struct sl_tree *tree, const struct sl_twig *twig, bool prune, struct sl_slice *out);

/* patch_fhir.c */
bool sl_patch_fhir(struct sl_tree *tree, const struct sl_doc *patch);

#endif
