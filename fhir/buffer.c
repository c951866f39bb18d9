/* SPDX-License-Identifier: Apache-2.0 */
/* The bounded buffer: see sluice/buffer.h. */
#include "sluice/buffer.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "print.h"

void sl_buffer_init(struct sl_buffer *buffer, size_t limit)
{
    *buffer = (struct sl_buffer){.limit = limit};
}

void sl_buffer_fini(struct sl_buffer *buffer)
{
    free(buffer->ptr);
    *buffer = (struct sl_buffer){0};
}

void sl_buffer_clear(struct sl_buffer *buffer)
{
    buffer->len = 0;
    buffer->failed = false;
}

char *sl_buffer_reserve(struct sl_buffer *buffer, size_t size)
{
    if (buffer->failed)
        return NULL;
    if (size > buffer->limit - buffer->len) {
        buffer->failed = true;
        return NULL;
    }
    size_t need = buffer->len + size;
    if (need <= buffer->capacity && buffer->ptr)
        return buffer->ptr + buffer->len;
    size_t capacity = buffer->capacity ? buffer->capacity : 256;
    while (capacity < need)
        capacity = capacity > buffer->limit / 2 ? buffer->limit : capacity * 2;
    char *grown = realloc(buffer->ptr, capacity ? capacity : 1);
    if (!grown) {
        buffer->failed = true;
        return NULL;
    }
    buffer->ptr = grown;
    buffer->capacity = capacity;
    return buffer->ptr + buffer->len;
}

void sl_buffer_add(struct sl_buffer *buffer, struct sl_slice bytes)
{
    size_t end = buffer->capacity < buffer->limit ? buffer->capacity : buffer->limit;
    bool fits = buffer->ptr && !buffer->failed && bytes.len <= end - buffer->len;
    char *room = fits ? buffer->ptr + buffer->len : sl_buffer_reserve(buffer, bytes.len);
    if (!room || !bytes.len)
        return;
    memcpy(room, bytes.ptr, bytes.len);
    buffer->len += bytes.len;
}

/* Tried where it would stand; most of the time it fits, and was not written in vain. */
void sl_buffer_printf(struct sl_buffer *buffer, const char *format, ...)
{
    va_list args;
    size_t room = buffer->ptr && !buffer->failed ? buffer->capacity - buffer->len : 0;
    va_start(args, format);
    int need = sl_print(room ? buffer->ptr + buffer->len : NULL, room, format, args);
    va_end(args);
    char *there = need < 0 ? NULL : sl_buffer_reserve(buffer, (size_t)need + 1);
    if (!there) {
        buffer->failed = true;
        return;
    }
    if ((size_t)need >= room) {
        va_start(args, format);
        sl_print(there, (size_t)need + 1, format, args);
        va_end(args);
    }
    buffer->len += (size_t)need;
}

static bool is_plain(unsigned char c)
{
    return (c >= 0x20) & (c != '"') & (c != '\\');
}

/* Nearly every text goes out as it is. False: something in it is to be escaped, and nothing has been added. To the end
 * whatever is found, since then a processor looks at many bytes at once. */
static bool add_plain(struct sl_buffer *buffer, struct sl_slice text)
{
    unsigned char other = 0;
    for (size_t i = 0; i < text.len; i++)
        other |= (unsigned char)!is_plain((unsigned char)text.ptr[i]);
    if (other)
        return false;
    char *room = sl_buffer_reserve(buffer, text.len + 2);
    if (!room)
        return true; /* the buffer has failed */
    *room = '"';
    if (text.len)
        memcpy(room + 1, text.ptr, text.len);
    room[text.len + 1] = '"';
    buffer->len += text.len + 2;
    return true;
}

void sl_buffer_json_string(struct sl_buffer *buffer, struct sl_slice text)
{
    if (add_plain(buffer, text))
        return;
    sl_buffer_add(buffer, SL_LIT("\""));
    size_t from = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (is_plain(c))
            continue;
        sl_buffer_add(buffer, (struct sl_slice){text.ptr + from, i - from});
        if (c == '"' || c == '\\')
            sl_buffer_printf(buffer, "\\%c", c);
        else
            sl_buffer_printf(buffer, "\\u%04x", c);
        from = i + 1;
    }
    sl_buffer_add(buffer, sl_slice_from(text, from));
    sl_buffer_add(buffer, SL_LIT("\""));
}
