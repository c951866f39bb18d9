/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the ledger: the walk that recovery, `verify` and reports share. It takes no lock and writes nothing. */
#include "ledger_format.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

enum sl_status sl_walk_init(struct sl_walk *walk, const char *directory, struct sl_issues *issues)
{
    *walk = (struct sl_walk){.issues = issues};
    walk->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (walk->directory < 0) {
        struct sl_issue *issue =
            sl_issue_add(issues, SL_GRADE_ERROR, "ledger-open", "The ledger cannot be opened: %s.", strerror(errno));
        if (issue)
            issue->file = sl_arena_copy(issues->arena, sl_slice_of(directory));
        return errno == ENOENT ? SL_MISSING : SL_IO;
    }
    if (!sl_hasher_init(&walk->hasher))
        return SL_CRYPTO;
    enum sl_status status = sl_head_read(walk->directory, &walk->head);
    if (status == SL_CORRUPT)
        sl_ledger_issue(issues, SL_GRADE_ERROR, "head", "ledger-damaged", 0, "The head is not one");
    return status;
}

void sl_walk_fini(struct sl_walk *walk)
{
    if (walk->directory >= 0)
        close(walk->directory);
    sl_hasher_fini(&walk->hasher);
}

static enum sl_status damaged(struct sl_walk *walk, uint64_t first, uint64_t offset, const char *text)
{
    char name[SL_SEGMENT_NAME];
    sl_segment_name(first, name);
    sl_ledger_issue(walk->issues, SL_GRADE_ERROR, name, "ledger-damaged", offset, text);
    return SL_CORRUPT;
}

/* The head that a clean close left names one size; at that size the tree must be the one it names. */
static enum sl_status check_head(struct sl_walk *walk, const struct sl_scan *scan)
{
    if (!walk->tree || !walk->head.there || walk->head.size != walk->frontier.size)
        return SL_OK;
    unsigned char root[SL_LEDGER_HASH];
    SL_TRY(sl_frontier_root(&walk->frontier, &walk->hasher, root));
    if (memcmp(root, walk->head.root, sizeof root) == 0)
        return SL_OK;
    return damaged(walk, scan->first, scan->offset, "The records up to here are not those of the head");
}

static bool same_frontier(const struct sl_frontier *a, const struct sl_frontier *b)
{
    for (unsigned level = 0; level < 64; level++)
        if (a->size >> level & 1 && memcmp(a->hash[level], b->hash[level], SL_LEDGER_HASH) != 0)
            return false;
    return a->size == b->size;
}

static enum sl_status begin_segment(struct sl_walk *walk, struct sl_scan *scan, uint64_t first)
{
    enum sl_status status = sl_scan_init(scan, walk->directory, first);
    if (status == SL_CORRUPT)
        return damaged(walk, first, 0, "The segment's header is not one, or names another place");
    if (status == SL_IO)
        (void)damaged(walk, first, 0, "The segment cannot be read");
    SL_TRY(status);
    /* The first one that is read vouches for what came before it; the others must agree with what was read. */
    if (!walk->begun)
        walk->frontier = scan->header;
    else if (walk->frontier.size != first)
        return damaged(walk, first, 16, "Records are missing between this segment and the one before");
    else if (walk->tree && !same_frontier(&walk->frontier, &scan->header))
        return damaged(walk, first, 32, "The segment's frontier is not that of the records before it");
    walk->begun = true;
    return check_head(walk, scan);
}

static enum sl_status take_record(struct sl_walk *walk, const struct sl_scan *scan, struct sl_slice record)
{
    uint64_t sequence = walk->frontier.size;
    if (walk->tree)
        SL_TRY(sl_frontier_add(&walk->frontier, &walk->hasher, record));
    else
        walk->frontier.size++;
    if (walk->visit && sequence >= walk->from)
        walk->stopped = !walk->visit(walk->context, sequence, record);
    return check_head(walk, scan);
}

static enum sl_status judge_tail(struct sl_walk *walk, struct sl_scan *scan, bool last, enum sl_tail *tail)
{
    SL_TRY(sl_scan_tail(scan, tail));
    if (*tail == SL_TAIL_DAMAGED)
        return damaged(walk, scan->first, scan->offset, "A record is damaged");
    if (*tail == SL_TAIL_TORN && !last)
        return damaged(walk, scan->first, scan->offset, "A segment that others follow ends in a damaged record");
    return SL_OK;
}

enum sl_status sl_walk_segment(
    struct sl_walk *walk, struct sl_scan *scan, uint64_t first, bool last, enum sl_tail *tail)
{
    SL_TRY(begin_segment(walk, scan, first));
    *tail = SL_TAIL_GREW;
    while (*tail == SL_TAIL_GREW && !walk->stopped) {
        struct sl_slice record;
        enum sl_status status = sl_scan_next(scan, &record);
        if (status == SL_OK)
            status = take_record(walk, scan, record);
        else if (status == SL_MISSING)
            status = judge_tail(walk, scan, last, tail);
        SL_TRY(status);
    }
    return SL_OK;
}

enum sl_status sl_walk_end(const struct sl_walk *walk)
{
    bool all = walk->begun && walk->head.size <= walk->frontier.size;
    if (walk->stopped || !walk->head.there || all)
        return SL_OK;
    sl_ledger_issue(walk->issues, SL_GRADE_ERROR, "head", "ledger-damaged", 0,
        "The head names more records than the segments hold");
    return SL_CORRUPT;
}

/* ---- What the commands call ---- */

static void count_segment(struct sl_ledger_state *state, const struct sl_scan *scan)
{
    state->segments++;
    state->bytes += scan->offset;
}

static void note_torn(struct sl_walk *walk, const struct sl_scan *scan)
{
    char name[SL_SEGMENT_NAME];
    sl_segment_name(scan->first, name);
    sl_ledger_issue(walk->issues, SL_GRADE_NOTE, name, "ledger-torn-tail", scan->offset,
        "An incomplete group stands at the end: it is being written, or will be cut at the next start");
}

static enum sl_status walk_all(
    struct sl_walk *walk, const uint64_t *firsts, size_t count, struct sl_ledger_state *state)
{
    /* Where reading begins at a record, the segments before its own are skipped. */
    size_t i = 0;
    while (i + 1 < count && firsts[i + 1] <= walk->from)
        i++;
    for (; i < count && !walk->stopped; i++) {
        enum sl_tail tail;
        struct sl_scan scan = {.fd = -1};
        enum sl_status status = sl_walk_segment(walk, &scan, firsts[i], i + 1 == count, &tail);
        if (status == SL_OK)
            count_segment(state, &scan);
        if (status == SL_OK && !walk->stopped && tail == SL_TAIL_TORN)
            note_torn(walk, &scan);
        sl_scan_fini(&scan);
        SL_TRY(status);
    }
    return sl_walk_end(walk);
}

static enum sl_status walk_listed(struct sl_walk *walk, struct sl_ledger_state *state)
{
    uint64_t *firsts;
    size_t count;
    SL_TRY(sl_segments_list(walk->directory, &firsts, &count));
    enum sl_status status = SL_MISSING;
    if (count)
        status = walk_all(walk, firsts, count, state);
    else if (walk->head.there)
        status = sl_walk_end(walk);
    else
        sl_issue_add(walk->issues, SL_GRADE_ERROR, "ledger-open", "There is no ledger here.");
    free(firsts);
    return status;
}

enum sl_status sl_ledger_verify(const char *directory, struct sl_issues *issues, struct sl_ledger_state *out)
{
    *out = (struct sl_ledger_state){0};
    struct sl_walk walk;
    enum sl_status status = sl_walk_init(&walk, directory, issues);
    walk.tree = true;
    if (status == SL_OK)
        status = walk_listed(&walk, out);
    if (status == SL_OK)
        status = sl_frontier_root(&walk.frontier, &walk.hasher, out->root);
    out->size = walk.frontier.size;
    sl_walk_fini(&walk);
    return status;
}

enum sl_status sl_ledger_read(const char *directory, uint64_t first, struct sl_issues *issues,
    bool (*visit)(void *context, uint64_t sequence, struct sl_slice record), void *context)
{
    struct sl_walk walk;
    struct sl_ledger_state state = {0};
    enum sl_status status = sl_walk_init(&walk, directory, issues);
    walk.from = first;
    walk.visit = visit;
    walk.context = context;
    if (status == SL_OK)
        status = walk_listed(&walk, &state);
    sl_walk_fini(&walk);
    return status;
}
