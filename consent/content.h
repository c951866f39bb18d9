/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading content: base64 to bytes, bytes to a kind and to text in UTF-8. What the bytes are is told from the bytes and
 * from what is said of them, and where the two disagree, or either says that it is nothing a machine here can search,
 * it is SL_CONTENT_UNREAD. Pure; linear in the size of the content; everything lives in the arena given.
 */
#ifndef SLUICE_CONSENT_CONTENT_H
#define SLUICE_CONSENT_CONTENT_H

#include "sluice/content.h"

#define SL_CONTENT_BYTES ((size_t)32 << 20) /* of one content, decoded; what is larger is not read */

/* What bytes with this contentType (may be empty) are. *text: them as UTF-8 (or ASCII with bytes that are no UTF-8
 * replaced) without a byte order mark, if the kind is one of text; borrowed from the bytes where they are that already.
 */
enum sl_content_kind sl_content_judge(
    struct sl_slice type, struct sl_slice bytes, struct sl_arena *arena, struct sl_slice *text);

/* Sets kind, bytes and text of a content whose type is set, from its `data`, unescaped. */
void sl_content_read(struct sl_content *content, struct sl_slice data, struct sl_arena *arena);

/* Is it text that can be searched for words? */
static inline bool sl_content_is_text(enum sl_content_kind kind)
{
    return kind != SL_CONTENT_NONE && kind != SL_CONTENT_UNREAD;
}

#endif
