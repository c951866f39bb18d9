/* SPDX-License-Identifier: Apache-2.0 */
/* See inflate.h. */
#include "inflate.h"

#include <zlib.h>

#include "sluice/buffer.h"

#define PIECE ((size_t)64 * 1024)

/* One member: a second one behind it would be a second body. */
static enum sl_status unpack(z_stream *stream, struct sl_buffer *out)
{
    int result = Z_OK;
    while (result == Z_OK) {
        char *room = sl_buffer_reserve(out, 1);
        if (!room)
            return SL_LIMIT;
        size_t n = out->capacity - out->len < PIECE ? out->capacity - out->len : PIECE;
        if (out->limit - out->len < n)
            n = out->limit - out->len;
        stream->next_out = (unsigned char *)room;
        stream->avail_out = (uInt)n;
        result = inflate(stream, Z_NO_FLUSH);
        out->len += n - stream->avail_out;
    }
    return result == Z_STREAM_END && !stream->avail_in ? SL_OK : SL_UPSTREAM;
}

enum sl_status sl_inflate(struct sl_slice packed, size_t limit, struct sl_arena *arena, char **text, size_t *len)
{
    z_stream stream = {0};
    struct sl_buffer out;
    if (packed.len > UINT32_MAX)
        return SL_LIMIT;
    if (inflateInit2(&stream, MAX_WBITS + 16) != Z_OK)
        return SL_NO_MEMORY;
    sl_buffer_init(&out, limit);
    stream.next_in = (unsigned char *)(uintptr_t)packed.ptr;
    stream.avail_in = (uInt)packed.len;
    enum sl_status status = unpack(&stream, &out);
    inflateEnd(&stream);
    if (status == SL_OK) {
        struct sl_slice copy = sl_arena_copy(arena, sl_buffer_slice(&out));
        *text = (char *)(uintptr_t)copy.ptr;
        *len = copy.len;
        status = copy.ptr ? SL_OK : SL_NO_MEMORY;
    }
    sl_buffer_fini(&out);
    return status;
}
