/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growable run of bytes with a limit at birth. Overflow is sticky: appends
 * after it do nothing, and sl_buffer_failed tells.
 */
#ifndef SLUICE_BUFFER_H
#define SLUICE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sluice/slice.h"

struct sl_buffer {
    char *ptr;
    size_t len, capacity, limit;
    bool failed;
};

void sl_buffer_init(struct sl_buffer *buffer, size_t limit);
void sl_buffer_fini(struct sl_buffer *buffer);
void sl_buffer_clear(struct sl_buffer *buffer); /* keeps the memory, forgets a failure */
/* Room for `size` more bytes at the end, not yet counted in len; NULL if over the limit or out of memory. */
char *sl_buffer_reserve(struct sl_buffer *buffer, size_t size);
void sl_buffer_add(struct sl_buffer *buffer, struct sl_slice bytes);
void sl_buffer_printf(struct sl_buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The bytes as a JSON string, with quotes; control characters, quote and backslash escaped. Input is valid UTF-8. */
void sl_buffer_json_string(struct sl_buffer *buffer, struct sl_slice text);
static inline bool sl_buffer_failed(const struct sl_buffer *buffer)
{
    return buffer->failed;
}
static inline struct sl_slice sl_buffer_slice(const struct sl_buffer *buffer)
{
    return (struct sl_slice){buffer->ptr, buffer->len};
}

#endif
