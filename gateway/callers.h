/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who asked within one second: a caller who asks again within it, with the same token and nothing else that says who he
 * is, is who he was found to be. Times are judged in whole seconds, so nothing he was judged by can have changed. The
 * next second knows nobody.
 *
 * One set for one second and one identifier, touched by its worker's thread alone. It is shared: who was given a caller
 * out of it holds a reference, since the caller's words lie in the set's arena.
 */
#ifndef SLUICE_GATEWAY_CALLERS_H
#define SLUICE_GATEWAY_CALLERS_H

#include "identify.h"

struct sl_callers *sl_callers_new(int64_t now); /* NULL: no memory */
struct sl_callers *sl_callers_ref(struct sl_callers *callers);

/* Is it that of this second? NULL: no. */
bool sl_callers_are_of(const struct sl_callers *callers, int64_t now);
/* Where a caller who may be kept is to be made. NULL: no room for another. */
struct sl_arena *sl_callers_arena(struct sl_callers *callers);
/* NULL: not known yet. */
const struct sl_caller *sl_callers_find(const struct sl_callers *callers, struct sl_slice token);
/* Of a caller made in the arena. The token is copied. */
void sl_callers_keep(struct sl_callers *callers, struct sl_slice token, const struct sl_caller *caller);

#endif
