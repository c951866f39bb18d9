/* SPDX-License-Identifier: Apache-2.0 */
/* Texts under random handles: see shelf.h. A ring: the slot that is written next holds the oldest. */
#include "shelf.h"

#include <pthread.h>
#include <stdlib.h>

#include "seal.h"

struct slot {
    unsigned char handle[SL_SHELF_HANDLE];
    int64_t expires;
    char *text; /* heap; NULL: empty */
    size_t len;
};

struct sl_shelf {
    pthread_mutex_t lock;
    size_t count, at;
    struct slot slots[];
};

struct sl_shelf *sl_shelf_new(size_t slots)
{
    struct sl_shelf *shelf = calloc(1, sizeof *shelf + slots * sizeof *shelf->slots);
    if (!shelf)
        return NULL;
    shelf->count = slots;
    if (pthread_mutex_init(&shelf->lock, NULL) != 0) {
        free(shelf);
        return NULL;
    }
    return shelf;
}

void sl_shelf_free(struct sl_shelf *shelf)
{
    if (!shelf)
        return;
    for (size_t i = 0; i < shelf->count; i++)
        free(shelf->slots[i].text);
    pthread_mutex_destroy(&shelf->lock);
    free(shelf);
}

enum sl_status sl_shelf_put(
    struct sl_shelf *shelf, struct sl_slice text, int64_t expires, unsigned char handle[SL_SHELF_HANDLE])
{
    if (text.len == 0 || text.len > SL_SHELF_TEXT)
        return SL_LIMIT;
    SL_TRY(sl_random(handle, SL_SHELF_HANDLE));
    char *copy = malloc(text.len);
    if (!copy)
        return SL_NO_MEMORY;
    memcpy(copy, text.ptr, text.len);
    pthread_mutex_lock(&shelf->lock);
    struct slot *slot = &shelf->slots[shelf->at];
    shelf->at = (shelf->at + 1) % shelf->count;
    char *old = slot->text;
    memcpy(slot->handle, handle, SL_SHELF_HANDLE);
    slot->text = copy;
    slot->len = text.len;
    slot->expires = expires;
    pthread_mutex_unlock(&shelf->lock);
    free(old);
    return SL_OK;
}

enum sl_status sl_shelf_get(struct sl_shelf *shelf, const unsigned char handle[SL_SHELF_HANDLE], int64_t now,
    struct sl_arena *arena, struct sl_slice *text)
{
    enum sl_status status = SL_MISSING;
    *text = (struct sl_slice){NULL, 0};
    pthread_mutex_lock(&shelf->lock);
    for (size_t i = 0; i < shelf->count; i++) {
        const struct slot *slot = &shelf->slots[i];
        if (!slot->text || slot->expires <= now || memcmp(slot->handle, handle, SL_SHELF_HANDLE) != 0)
            continue;
        *text = sl_arena_copy(arena, (struct sl_slice){slot->text, slot->len});
        status = text->ptr ? SL_OK : SL_NO_MEMORY;
        break;
    }
    pthread_mutex_unlock(&shelf->lock);
    return status;
}
