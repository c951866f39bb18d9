/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The version of a view. An upstream's version number counts changes of what was cut, so it never leaves: what a
 * recipient gets as meta.versionId and as ETag is a tag of what he gets, 128 bits of hash over the bytes of the
 * released view without meta.versionId and meta.lastUpdated. So a version is current if and only if its view equals the
 * current view.
 *
 * The tag is of the whole view, in JSON: it does not depend on _format, _summary or _elements. It is no seal: whoever
 * may write a record may make two views with one tag (docs/decisions/0024).
 */
#ifndef SLUICE_GATEWAY_VIEW_H
#define SLUICE_GATEWAY_VIEW_H

#include "exchange.h"

#define SL_VIEW_TAG 26u /* characters of a tag: a-z and 2-7, an id of R4 */

/*
 * The view of a released item to the end of `out`, with its tag as meta.versionId; item->tag is the tag from then on.
 * Once everything has been matched and followed: links are made to lead to us (sl_content_front), and references name
 * records, not versions of the upstream's.
 */
SL_MUST_CHECK enum sl_status sl_view_write(struct sl_exchange *x, const struct sl_found *found, struct sl_blocks *out);
/* The tag alone, into item->tag: before a part of the view is left out at the recipient's own wish (which is no cut),
 * and for whoever only asks whether it is current. sl_view_write keeps it. */
SL_MUST_CHECK enum sl_status sl_view_tag(struct sl_exchange *x, const struct sl_found *found);
/* The same without an exchange, of an item whose cuts and labels are in `edits` already; links stay as they are. */
SL_MUST_CHECK enum sl_status sl_view_gather(
    struct sl_item *item, struct sl_edits *edits, struct sl_arena *arena, struct sl_blocks *out);

/* meta.lastUpdated as it goes out: the instant as text; empty if it does not. */
struct sl_slice sl_view_updated(const struct sl_item *item, const struct sl_edits *edits);

/* ---- Conditions (RFC 9110, 13) ---- */

/* What a client names when it asks whether a view is current: its tag. */
struct sl_slice sl_view_current(const struct sl_found *found);
/* ETag and Last-Modified of a view; both may be empty. Arena-owned. */
struct sl_validators {
    struct sl_slice etag, modified;
};
SL_MUST_CHECK enum sl_status sl_view_validators(
    struct sl_exchange *x, const struct sl_found *found, struct sl_validators *out);
/* What a header (If-Match, If-None-Match) lists, compared weakly: "*", or entity tags of which one is the tag. */
bool sl_view_listed(struct sl_slice list, struct sl_slice tag);
/* Does the client say that it has this view: by If-None-Match, or where there is none, by If-Modified-Since? */
bool sl_view_unchanged(const struct sl_request *request, struct sl_slice tag, struct sl_slice updated);

#endif
