/* SPDX-License-Identifier: Apache-2.0 */
/* Segment files and the head, read and encoded: the format is told in ledger_format.h. Nothing here writes a record. */
#include "ledger_format.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "SLLEDGER"
#define VERSION 1u
#define CRC_AT (SL_LEDGER_HEADER - 4)
#define BUFFER ((size_t)256 * 1024)
#define SEGMENTS_MAX ((size_t)1 << 20)

/* ---- Headers and frames ---- */

static uint32_t header_crc(const unsigned char *header)
{
    return sl_crc32c(0, (struct sl_slice){(const char *)header, CRC_AT});
}

void sl_segment_encode(const struct sl_frontier *frontier, unsigned char header[SL_LEDGER_HEADER])
{
    memset(header, 0, SL_LEDGER_HEADER);
    memcpy(header, MAGIC, 8);
    sl_put_u32(header + 8, VERSION);
    sl_put_u32(header + 12, SL_LEDGER_HEADER);
    sl_put_u64(header + 16, frontier->size);
    uint32_t count = 0;
    for (unsigned level = 0; level < 64; level++)
        if (frontier->size >> level & 1)
            memcpy(header + 32 + SL_LEDGER_HASH * count++, frontier->hash[level], SL_LEDGER_HASH);
    sl_put_u32(header + 24, count);
    sl_put_u32(header + CRC_AT, header_crc(header));
}

bool sl_segment_decode(const unsigned char header[SL_LEDGER_HEADER], struct sl_frontier *frontier)
{
    memset(frontier, 0, sizeof *frontier);
    uint64_t size = sl_get_u64(header + 16);
    if (memcmp(header, MAGIC, 8) != 0 || sl_get_u32(header + 8) != VERSION ||
        sl_get_u32(header + 12) != SL_LEDGER_HEADER || sl_get_u32(header + CRC_AT) != header_crc(header) ||
        sl_get_u32(header + 24) != (uint32_t)__builtin_popcountll(size))
        return false;
    frontier->size = size;
    uint32_t count = 0;
    for (unsigned level = 0; level < 64; level++)
        if (size >> level & 1)
            memcpy(frontier->hash[level], header + 32 + SL_LEDGER_HASH * count++, SL_LEDGER_HASH);
    return true;
}

static uint32_t frame_crc(const unsigned char *frame, struct sl_slice record)
{
    uint32_t crc = sl_crc32c(0, (struct sl_slice){(const char *)frame, 4});
    crc = sl_crc32c(crc, (struct sl_slice){(const char *)frame + 8, SL_LEDGER_FRAME - 8});
    return sl_crc32c(crc, record);
}

void sl_frame_encode(struct sl_slice record, uint64_t sequence, uint32_t in_group, unsigned char frame[SL_LEDGER_FRAME])
{
    sl_put_u32(frame, (uint32_t)record.len);
    sl_put_u64(frame + 8, sequence);
    sl_put_u32(frame + 16, in_group);
    sl_put_u32(frame + 4, frame_crc(frame, record));
}

/* ---- Names ---- */

void sl_segment_name(uint64_t first, char name[SL_SEGMENT_NAME])
{
    snprintf(name, SL_SEGMENT_NAME, "%016" PRIx64 ".ledger", first);
}

static bool parse_name(const char *name, uint64_t *first)
{
    char *end, back[SL_SEGMENT_NAME];
    *first = strtoull(name, &end, 16);
    sl_segment_name(*first, back);
    return strcmp(name, back) == 0;
}

static int by_first(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static enum sl_status keep_first(uint64_t **firsts, size_t *count, size_t *room, uint64_t first)
{
    if (*count == *room) {
        *room = *room ? *room * 2 : 16;
        uint64_t *more = *room <= SEGMENTS_MAX ? realloc(*firsts, *room * sizeof **firsts) : NULL;
        if (!more)
            return SL_NO_MEMORY;
        *firsts = more;
    }
    (*firsts)[(*count)++] = first;
    return SL_OK;
}

enum sl_status sl_segments_list(int directory, uint64_t **firsts, size_t *count)
{
    *firsts = NULL;
    *count = 0;
    int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = fd < 0 ? NULL : fdopendir(fd);
    if (!listing) {
        if (fd >= 0)
            close(fd);
        return SL_IO;
    }
    enum sl_status status = SL_OK;
    size_t room = 0;
    uint64_t first;
    errno = 0;
    for (struct dirent *entry; status == SL_OK && (entry = readdir(listing));)
        if (parse_name(entry->d_name, &first))
            status = keep_first(firsts, count, &room, first);
    if (status == SL_OK && errno)
        status = SL_IO;
    closedir(listing);
    if (status != SL_OK) {
        free(*firsts);
        *firsts = NULL;
        *count = 0;
    }
    if (*count)
        qsort(*firsts, *count, sizeof **firsts, by_first);
    return status;
}

/* ---- Scanning ---- */

/* Makes [offset, offset + len) available; fewer bytes where the file ends. */
static enum sl_status hold(struct sl_scan *scan, uint64_t offset, size_t len, struct sl_slice *out)
{
    *out = (struct sl_slice){NULL, 0};
    if (offset >= scan->size)
        return SL_OK;
    if (len > scan->size - offset)
        len = (size_t)(scan->size - offset);
    if (offset < scan->base || offset + len > scan->base + scan->held) {
        size_t want = len > BUFFER ? len : BUFFER;
        if (want > scan->capacity) {
            unsigned char *more = realloc(scan->buffer, want);
            if (!more)
                return SL_NO_MEMORY;
            scan->buffer = more;
            scan->capacity = want;
        }
        scan->base = offset;
        scan->held = 0;
        while (scan->held < want) {
            ssize_t got = pread(scan->fd, scan->buffer + scan->held, want - scan->held, (off_t)(offset + scan->held));
            if (got < 0 && errno == EINTR)
                continue;
            if (got < 0)
                return SL_IO;
            if (got == 0)
                break;
            scan->held += (size_t)got;
        }
        if (len > scan->held)
            len = scan->held; /* the file was cut meanwhile: its zeros went when the next segment was begun */
    }
    *out = (struct sl_slice){(const char *)scan->buffer + (offset - scan->base), len};
    return SL_OK;
}

enum sl_status sl_scan_init(struct sl_scan *scan, int directory, uint64_t first)
{
    *scan = (struct sl_scan){.first = first, .sequence = first, .offset = SL_LEDGER_HEADER, .group = SL_LEDGER_HEADER};
    char name[SL_SEGMENT_NAME];
    sl_segment_name(first, name);
    scan->fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat file;
    if (scan->fd < 0 || fstat(scan->fd, &file) != 0)
        return SL_IO;
    scan->size = (uint64_t)file.st_size;
    unsigned char header[SL_LEDGER_HEADER];
    ssize_t got = pread(scan->fd, header, sizeof header, 0);
    if (got < 0)
        return SL_IO;
    bool ours = got == (ssize_t)sizeof header && sl_segment_decode(header, &scan->header);
    return ours && scan->header.size == first ? SL_OK : SL_CORRUPT;
}

void sl_scan_fini(struct sl_scan *scan)
{
    if (scan->fd >= 0)
        close(scan->fd);
    free(scan->buffer);
    *scan = (struct sl_scan){.fd = -1};
}

/* The frame at an offset; SL_MISSING if no whole frame is there. */
static enum sl_status frame_at(
    struct sl_scan *scan, uint64_t offset, struct sl_slice *record, uint64_t *sequence, uint32_t *in_group)
{
    struct sl_slice frame;
    SL_TRY(hold(scan, offset, SL_LEDGER_FRAME, &frame));
    if (frame.len < SL_LEDGER_FRAME)
        return SL_MISSING;
    size_t len = sl_get_u32((const unsigned char *)frame.ptr);
    if (len == 0 || len > SL_LEDGER_RECORD_MAX || len > scan->size - offset - SL_LEDGER_FRAME)
        return SL_MISSING;
    SL_TRY(hold(scan, offset, SL_LEDGER_FRAME + len, &frame));
    if (frame.len < SL_LEDGER_FRAME + len)
        return SL_MISSING;
    const unsigned char *at = (const unsigned char *)frame.ptr;
    *record = sl_slice_from(frame, SL_LEDGER_FRAME);
    *sequence = sl_get_u64(at + 8);
    *in_group = sl_get_u32(at + 16);
    return sl_get_u32(at + 4) == frame_crc(at, *record) ? SL_OK : SL_MISSING;
}

enum sl_status sl_scan_next(struct sl_scan *scan, struct sl_slice *record)
{
    uint64_t sequence;
    uint32_t in_group;
    SL_TRY(frame_at(scan, scan->offset, record, &sequence, &in_group));
    /* A group begins where it says, which is here or where the group of the frame before began. */
    if (sequence != scan->sequence || (in_group && scan->offset - in_group != scan->group))
        return SL_MISSING;
    if (in_group == 0)
        scan->group = scan->offset;
    scan->offset += SL_LEDGER_FRAME + record->len;
    scan->sequence++;
    return SL_OK;
}

/* The end of the last byte that is not zero, at or after the scan's offset. */
static enum sl_status find_end(struct sl_scan *scan, uint64_t *end)
{
    *end = scan->offset;
    for (uint64_t at = scan->offset; at < scan->size;) {
        struct sl_slice bytes;
        SL_TRY(hold(scan, at, BUFFER, &bytes));
        if (bytes.len == 0)
            break;
        size_t used = bytes.len;
        if (bytes.ptr[0] == 0 && memcmp(bytes.ptr, bytes.ptr + 1, bytes.len - 1) == 0)
            used = 0; /* all zeros, nearly always */
        while (used && bytes.ptr[used - 1] == 0)
            used--;
        if (used)
            *end = at + used;
        at += bytes.len;
    }
    return SL_OK;
}

/* Is there a whole frame, behind the broken one, of a group that began behind it? */
static enum sl_status find_later_group(struct sl_scan *scan, uint64_t end, bool *found)
{
    *found = false;
    for (uint64_t at = scan->offset + 1; !*found && at + SL_LEDGER_FRAME < end; at++) {
        struct sl_slice frame, record;
        uint64_t sequence;
        uint32_t in_group;
        SL_TRY(hold(scan, at, SL_LEDGER_FRAME, &frame));
        if (frame.len < SL_LEDGER_FRAME)
            break;
        /* Nearly every place is ruled out by its number alone. */
        sequence = sl_get_u64((const unsigned char *)frame.ptr + 8);
        if (sequence <= scan->sequence || sequence - scan->sequence > (end - scan->offset) / SL_LEDGER_FRAME)
            continue;
        enum sl_status status = frame_at(scan, at, &record, &sequence, &in_group);
        if (status != SL_OK && status != SL_MISSING)
            return status;
        *found = status == SL_OK && in_group < at - scan->offset;
    }
    return SL_OK;
}

/* The frame at the scan's offset, read afresh: another process may be writing. */
static enum sl_status look_again(struct sl_scan *scan, enum sl_tail *tail)
{
    struct sl_slice record;
    uint64_t sequence;
    uint32_t in_group;
    scan->held = 0;
    enum sl_status status = frame_at(scan, scan->offset, &record, &sequence, &in_group);
    if (status == SL_MISSING)
        return SL_OK;
    SL_TRY(status);
    bool follows = sequence == scan->sequence && (in_group == 0 || scan->offset - in_group == scan->group);
    *tail = follows ? SL_TAIL_GREW : SL_TAIL_DAMAGED;
    return SL_OK;
}

enum sl_status sl_scan_tail(struct sl_scan *scan, enum sl_tail *tail)
{
    uint64_t end;
    bool later = true;
    *tail = SL_TAIL_DAMAGED;
    SL_TRY(find_end(scan, &end));
    if (end == scan->offset) {
        *tail = SL_TAIL_CLEAN;
        return SL_OK;
    }
    if (end - scan->offset <= SL_LEDGER_GROUP_MAX) /* no torn group is longer */
        SL_TRY(find_later_group(scan, end, &later));
    if (!later)
        *tail = SL_TAIL_TORN;
    return look_again(scan, tail);
}

/* ---- The head ---- */

#define HEAD_FORM "sluice-ledger-head 1\n%" PRIu64 "\n"

enum sl_status sl_head_read(int directory, struct sl_head *head)
{
    *head = (struct sl_head){0};
    int fd = openat(directory, "head", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? SL_OK : SL_IO;
    char text[256], back[128];
    ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    if (got < 0)
        return SL_IO;
    text[got] = '\0';
    if (sscanf(text, HEAD_FORM, &head->size) != 1)
        return SL_CORRUPT;
    int at = snprintf(back, sizeof back, HEAD_FORM, head->size);
    if (strncmp(text, back, (size_t)at) != 0 || (size_t)got != (size_t)at + 2 * SL_LEDGER_HASH + 1)
        return SL_CORRUPT;
    for (unsigned i = 0; i < SL_LEDGER_HASH; i++) {
        unsigned byte;
        if (sscanf(text + at + 2 * i, "%2x", &byte) != 1)
            return SL_CORRUPT;
        head->root[i] = (unsigned char)byte;
    }
    head->there = true;
    return SL_OK;
}

static bool write_text(int fd, const char *text, size_t len)
{
    return fd >= 0 && write(fd, text, len) == (ssize_t)len && fdatasync(fd) == 0;
}

/* A new file takes the old one's place, so that a crash leaves one or the other, whole. */
enum sl_status sl_head_write(int directory, const struct sl_head *head)
{
    char text[128];
    int len = snprintf(text, sizeof text, HEAD_FORM, head->size);
    for (unsigned i = 0; i < SL_LEDGER_HASH; i++)
        len += snprintf(text + len, sizeof text - (size_t)len, "%02x", head->root[i]);
    text[len++] = '\n';
    int fd = openat(directory, "head.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool done = write_text(fd, text, (size_t)len);
    if (fd >= 0)
        close(fd);
    return done && renameat(directory, "head.new", directory, "head") == 0 && fsync(directory) == 0 ? SL_OK : SL_IO;
}

void sl_ledger_issue(struct sl_issues *issues, enum sl_grade grade, const char *file, const char *code, uint64_t offset,
    const char *text)
{
    struct sl_issue *issue = sl_issue_add(issues, grade, code, "%s (at byte %" PRIu64 ").", text, offset);
    if (issue)
        issue->file = sl_arena_copy(issues->arena, sl_slice_of(file));
}
