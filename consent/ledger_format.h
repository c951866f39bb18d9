/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger's files, as bytes. docs/ledger.md says the same for a third party who writes a verifier of their own.
 *
 * A directory holds segments, NNNNNNNNNNNNNNNN.ledger, named by the sequence number of their first record in 16
 * hexadecimal digits; `lock`, which the writing process holds; and, after a clean close, `head`: a line with the
 * format, one with the number of records and one with the tree head in hexadecimal.
 *
 * All integers are little-endian. A segment begins with a header of 4096 bytes, durable before its first record:
 *
 *     0  8 bytes   "SLLEDGER"
 *     8  u32       version, 1
 *    12  u32       4096
 *    16  u64       sequence number of the first record
 *    24  u32       number of frontier hashes: the ones in the binary form of that sequence number
 *    28  u32       0
 *    32  32 bytes  each: the frontier, heads of the complete subtrees of all earlier records, smallest subtree first
 *        zeros
 *  4092  u32       CRC-32C of the bytes before
 *
 * Then frames, each right behind the other:
 *
 *     0  u32       length of the record, at least 1
 *     4  u32       CRC-32C of the four bytes of length, then of everything from byte 8 to the record's end
 *     8  u64       sequence number
 *    16  u32       bytes from the first frame of its group to this one
 *    20            the record
 *
 * A segment is preallocated with zeros; a length of 0 ends it, and zeros follow to the end of the file. A group is what
 * went out with one sync; it never spans segments, and the next one is written only after that sync. So a broken frame
 * is a torn tail if no later group follows it; and if one follows, it is damage, for it had been durable.
 */
#ifndef SLUICE_CONSENT_LEDGER_FORMAT_H
#define SLUICE_CONSENT_LEDGER_FORMAT_H

#include <openssl/evp.h>
#include <stdint.h>

#include "sluice/ledger.h"

#define SL_LEDGER_HEADER 4096u
#define SL_LEDGER_FRAME 20u
#define SL_LEDGER_HASH 32u
#define SL_LEDGER_RECORD_MAX ((size_t)16 << 20)
#define SL_LEDGER_GROUP_BYTES ((size_t)4 << 20) /* a group is closed once it holds this much */
#define SL_LEDGER_GROUP_RECORDS 4096u
#define SL_LEDGER_GROUP_MAX (SL_LEDGER_GROUP_BYTES + SL_LEDGER_RECORD_MAX + SL_LEDGER_FRAME)

/* CRC-32C (Castagnoli, RFC 3720 appendix B.4): continue from `crc`, 0 at first. */
uint32_t sl_crc32c(uint32_t crc, struct sl_slice bytes);
uint32_t sl_crc32c_portable(uint32_t crc, struct sl_slice bytes); /* the same without instructions of its own */

static inline void sl_put_u32(unsigned char *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (unsigned char)(value >> (8 * i));
}

static inline void sl_put_u64(unsigned char *at, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        at[i] = (unsigned char)(value >> (8 * i));
}

static inline uint32_t sl_get_u32(const unsigned char *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static inline uint64_t sl_get_u64(const unsigned char *at)
{
    return sl_get_u32(at) | (uint64_t)sl_get_u32(at + 4) << 32;
}

/* ---- The tree (RFC 6962, 2.1) ---- */

/* hash[i] is the head of the complete subtree of 2^i records, where bit i of size is set. */
struct sl_frontier {
    uint64_t size;
    unsigned char hash[64][SL_LEDGER_HASH];
};

/* A hasher that is kept between calls: setting one up costs more than hashing a short record. */
struct sl_hasher {
    EVP_MD_CTX *context;
};
SL_MUST_CHECK bool sl_hasher_init(struct sl_hasher *hasher);
void sl_hasher_fini(struct sl_hasher *hasher);

SL_MUST_CHECK enum sl_status sl_frontier_add(
    struct sl_frontier *frontier, struct sl_hasher *hasher, struct sl_slice record);
SL_MUST_CHECK enum sl_status sl_frontier_root(
    const struct sl_frontier *frontier, struct sl_hasher *hasher, unsigned char root[SL_LEDGER_HASH]);

/* ---- Segments ---- */

void sl_segment_encode(const struct sl_frontier *frontier, unsigned char header[SL_LEDGER_HEADER]);
/* false: not a header of ours, or damaged. */
SL_MUST_CHECK bool sl_segment_decode(const unsigned char header[SL_LEDGER_HEADER], struct sl_frontier *frontier);

/* Fills in a frame but for the record's bytes, which follow it. */
void sl_frame_encode(
    struct sl_slice record, uint64_t sequence, uint32_t in_group, unsigned char frame[SL_LEDGER_FRAME]);

/* The first sequence numbers of the segments, ascending; malloc'd, caller frees. SL_IO, SL_NO_MEMORY. */
SL_MUST_CHECK enum sl_status sl_segments_list(int directory, uint64_t **firsts, size_t *count);
#define SL_SEGMENT_NAME 24
void sl_segment_name(uint64_t first, char name[SL_SEGMENT_NAME]);

enum sl_tail {
    SL_TAIL_CLEAN = 1, /* zeros from here on */
    SL_TAIL_TORN,      /* an incomplete last group: being written, or cut off by a crash */
    SL_TAIL_GREW,      /* a whole frame is there by now: go on */
    SL_TAIL_DAMAGED
};

/* Reads one segment, frame by frame. */
struct sl_scan {
    int fd;
    uint64_t first, sequence;  /* the segment's first record; the next frame's */
    uint64_t size;             /* of the file */
    uint64_t offset;           /* of the next frame */
    uint64_t group;            /* where the group of the last frame began */
    struct sl_frontier header; /* as the header says */
    unsigned char *buffer;     /* file bytes [base, base + held) */
    uint64_t base;
    size_t held, capacity;
};

/* SL_CORRUPT where the header is not one, or names another sequence than the file; SL_IO, SL_NO_MEMORY. Ended by
 * sl_scan_fini in any case: .fd is set at once. */
SL_MUST_CHECK enum sl_status sl_scan_init(struct sl_scan *scan, int directory, uint64_t first);
void sl_scan_fini(struct sl_scan *scan);
/* The next record, valid until the next call. SL_MISSING where no whole frame follows: see sl_scan_tail. */
SL_MUST_CHECK enum sl_status sl_scan_next(struct sl_scan *scan, struct sl_slice *record);
/* What stands at the scan's offset, after SL_MISSING. */
SL_MUST_CHECK enum sl_status sl_scan_tail(struct sl_scan *scan, enum sl_tail *tail);

/* ---- The head ---- */

struct sl_head {
    bool there;
    uint64_t size;
    unsigned char root[SL_LEDGER_HASH];
};
/* Not there is SL_OK; SL_CORRUPT, SL_IO. */
SL_MUST_CHECK enum sl_status sl_head_read(int directory, struct sl_head *head);
SL_MUST_CHECK enum sl_status sl_head_write(int directory, const struct sl_head *head);

/* ---- Walking ---- */

/* What is carried from segment to segment. */
struct sl_walk {
    int directory;
    struct sl_issues *issues;
    bool tree; /* hash every record and compare with headers and head */
    struct sl_frontier frontier;
    struct sl_hasher hasher;
    struct sl_head head;
    uint64_t from;                                                           /* the first record to visit */
    bool (*visit)(void *context, uint64_t sequence, struct sl_slice record); /* NULL: none */
    void *context;
    bool begun, stopped; /* a segment was read; visit gave false */
};

/* Opens the directory and reads the head; ended by sl_walk_fini in any case. */
SL_MUST_CHECK enum sl_status sl_walk_init(struct sl_walk *walk, const char *directory, struct sl_issues *issues);
void sl_walk_fini(struct sl_walk *walk);
/* Reads one segment to its end. Only the last may have a torn tail. SL_CORRUPT with an issue. The scan, which the
 * caller zeroes before and ends after, is left at the end. */
SL_MUST_CHECK enum sl_status sl_walk_segment(
    struct sl_walk *walk, struct sl_scan *scan, uint64_t first, bool last, enum sl_tail *tail);
/* After the last one: does the head name records that are not there? */
SL_MUST_CHECK enum sl_status sl_walk_end(const struct sl_walk *walk);

/* Adds an issue that names a file of the ledger. */
void sl_ledger_issue(struct sl_issues *issues, enum sl_grade grade, const char *file, const char *code, uint64_t offset,
    const char *text);

#endif
