/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two addresses of one thing: under which its server knows a FHIR endpoint (`theirs`: upstream.url, and known-as), and
 * under which the gateway's clients do (`ours`: server.url). Names are made of them, of systems, extensions, profiles:
 * a client reads them under ours, and what it writes under ours is stored under theirs.
 *
 *     the server has                    a client has
 *     theirs/x                          ours/x
 *     SL_ADDRESS_MARK theirs/x          theirs/x
 *     the mark n+1 times, theirs/x      the mark n times, theirs/x
 *     ours/x, or behind a mark          the same
 *
 * From right to left and back nothing changes: so what a client writes it reads again, also where it names the server
 * by an address that it has guessed, and learns nothing by it. From left to right and back `ours` becomes `theirs`; a
 * write is a difference (docs/decisions/0025), and leaves in the record what its writer has not changed.
 *
 * Found is an address in whatever text, written with or without JSON's escapes, in any case of scheme and host, by http
 * or https, with or without the scheme's own port; and not where a name goes on: http://ehr/fhir2 is another. Ours is
 * found as it is spelled alone.
 */
#ifndef SLUICE_GATEWAY_ADDRESS_H
#define SLUICE_GATEWAY_ADDRESS_H

#include "config.h"
#include "sluice/edit.h"

/* In front of what a client writes under the server's address. RFC 2606: no such host can ever be. */
#define SL_ADDRESS_MARK "http://as-written.invalid/"

struct sl_address; /* immutable */

/* *out NULL: the upstream is no server. SL_INVALID: server.url is no address; SL_NO_MEMORY. The configuration outlives
 * it. */
SL_MUST_CHECK enum sl_status sl_address_new(const struct sl_config *config, struct sl_address **out);
void sl_address_free(struct sl_address *address);

/* Where in a text the server's address still stands, in order. Begins zeroed. */
struct sl_address_places {
    size_t *at;
    size_t count, room;
};

/* Of an answer in JSON: takes the server's address out of references, in place, and notes where else it stands. Gives
 * the new length. *failed: no memory. */
size_t sl_address_take(const struct sl_address *address, char *text, size_t len, struct sl_arena *arena,
    struct sl_address_places *places, bool *failed);
/* What follows the server's address in a url ("Type/id", "?a=b"); ptr NULL: it does not begin with that. */
struct sl_slice sl_address_rest(const struct sl_address *address, struct sl_slice url);

/* Edits the resource at `root` to what a client may see. Places are of the document. After all other edits. *any: there
 * was something of it to be edited. */
SL_MUST_CHECK enum sl_status sl_address_edit(const struct sl_address *address, const struct sl_address_places *places,
    const struct sl_doc *doc, uint32_t root, struct sl_edits *edits, struct sl_arena *arena, bool *any);

/* A whole text, JSON or a part of it: as a client sees it; as the server is to have it. What needs no change is given
 * as it is. ptr NULL: no memory. NULL for the address is fine. */
struct sl_slice sl_address_show(const struct sl_address *address, struct sl_slice text, struct sl_arena *arena);
struct sl_slice sl_address_store(const struct sl_address *address, struct sl_slice text, struct sl_arena *arena);

/* All that the server may have for what a client says in a search, each once. Gives how many; 0: no memory. */
#define SL_ADDRESS_FORMS 3u
size_t sl_address_forms(const struct sl_address *address, struct sl_slice text, struct sl_arena *arena,
    struct sl_slice out[SL_ADDRESS_FORMS]);

#endif
