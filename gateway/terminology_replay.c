/* SPDX-License-Identifier: Apache-2.0 */
/* Records under two policies: see terminology_replay.h. */
#include "terminology_replay.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "cli.h"
#include "sluice/label.h"
#include "sluice/span.h"

#define FILE_BYTES ((size_t)1 << 30)
#define ARENA_BYTES ((size_t)32 << 30)
#define FOLDER_DEPTH 8u
#define LABEL_ROUNDS 8u

struct file {
    struct sl_replay *replay;
    struct sl_arena *arena;
    struct sl_labeller *before, *after; /* under each of the two policies */
};

static enum sl_status add_resource(struct file *f, const struct sl_doc *doc, uint32_t root, struct sl_slice url)
{
    struct sl_item *item;
    SL_TRY(sl_labeller_add(f->before, doc, root, url, false, &item));
    return sl_labeller_add(f->after, doc, root, url, false, &item);
}

static enum sl_status add_entries(struct file *f, const struct sl_doc *doc, uint32_t entries)
{
    for (uint32_t e = entries + 1; e < doc->spans[entries].next; e = doc->spans[e].next) {
        if (doc->spans[e].type != SL_SPAN_OBJECT)
            continue;
        uint32_t resource = sl_span_member(doc, e, SL_NAME_resource), url = sl_span_member(doc, e, SL_NAME_fullUrl);
        struct sl_slice full = url ? sl_span_string(doc, url, f->arena) : (struct sl_slice){NULL, 0};
        if (resource)
            SL_TRY(add_resource(f, doc, resource, full));
    }
    return SL_OK;
}

/* One JSON text: a resource or a Bundle. It lives as long as the arena. */
static enum sl_status add_text(struct file *f, struct sl_slice text)
{
    const struct sl_doc_limits limits = {
        .bytes = 0xfffffff0u, .spans = 0x7fffffffu, .depth = sl_doc_limits_default.depth};
    struct sl_doc *doc = sl_arena_alloc(f->arena, sizeof *doc);
    if (!doc)
        return SL_NO_MEMORY;
    SL_TRY(sl_doc_parse(f->arena, text, &limits, doc, NULL));
    if (doc->spans[0].type != SL_SPAN_OBJECT)
        return SL_SYNTAX;
    uint32_t type = sl_span_member(doc, 0, SL_NAME_resourceType), entries = sl_span_member(doc, 0, SL_NAME_entry);
    if (type && sl_span_is(doc, type, SL_LIT("Bundle")))
        return entries ? add_entries(f, doc, entries) : SL_OK;
    return add_resource(f, doc, 0, (struct sl_slice){NULL, 0});
}

static enum sl_status add_lines(struct file *f, struct sl_slice text)
{
    while (text.len) {
        const char *end = memchr(text.ptr, '\n', text.len);
        struct sl_slice line = {text.ptr, end ? (size_t)(end - text.ptr) : text.len};
        text = sl_slice_from(text, line.len + 1);
        if (line.len > 1)
            SL_TRY(add_text(f, line));
    }
    return SL_OK;
}

static enum sl_status label_all(struct sl_labeller *labeller)
{
    struct sl_slice *missing = NULL;
    size_t count = 0;
    for (unsigned round = 0; round < LABEL_ROUNDS; round++) {
        SL_TRY(sl_labeller_resolve(labeller, &missing, &count));
        for (size_t i = 0; i < count; i++)
            SL_TRY(sl_labeller_absent(labeller, missing[i], true));
        if (!count)
            break;
    }
    return SL_OK;
}

/* ---- Comparing ---- */

/* A class of an element counts for its record. */
static struct sl_classes all_classes(const struct sl_item *item)
{
    struct sl_classes all = item->classes;
    for (uint32_t i = 0; i < item->part_count; i++)
        sl_classes_join(&all, &item->parts[i].classes);
    return all;
}

static void say_class(const struct sl_replay *replay, char sign, unsigned bit)
{
    const struct sl_class *class = sl_policy_class(replay->before, bit);
    printf(" %c%.*s", sign, SL_FMT(class->id));
}

static void compare_items(struct sl_replay *replay, const struct sl_item *before, const struct sl_item *after)
{
    struct sl_classes old = all_classes(before), new = all_classes(after);
    bool changed = false;
    replay->records++;
    for (unsigned i = 0; i < SL_CLASS_WORDS; i++)
        changed |= old.word[i] != new.word[i];
    if (!changed)
        return;
    bool shown = replay->changed++ < replay->shown_limit;
    if (shown)
        printf("  %.*s/%.*s", SL_FMT(sl_r4_node_name(before->type)), SL_FMT(before->id));
    for (unsigned bit = 0; bit < SL_CLASS_LIMIT; bit++) {
        bool was = sl_classes_has(&old, bit), is = sl_classes_has(&new, bit);
        replay->gained[bit] += is && !was;
        replay->lost[bit] += was && !is;
        if (shown && is != was)
            say_class(replay, is ? '+' : '-', bit);
    }
    if (shown)
        printf("\n");
}

static enum sl_status compare_file(struct file *f)
{
    SL_TRY(label_all(f->before));
    SL_TRY(label_all(f->after));
    const struct sl_item *b = sl_labeller_items(f->before), *a = sl_labeller_items(f->after);
    for (; b && a; b = b->next, a = a->next)
        if (b->type)
            compare_items(f->replay, b, a);
    return SL_OK;
}

static enum sl_status replay_text(struct file *f, struct sl_slice text)
{
    f->before = sl_labeller_new(f->arena, f->replay->before, NULL);
    f->after = sl_labeller_new(f->arena, f->replay->after, NULL);
    if (!f->before || !f->after)
        return SL_NO_MEMORY;
    enum sl_status status = add_text(f, text);
    if (status == SL_SYNTAX)
        status = add_lines(f, text);
    return status == SL_OK ? compare_file(f) : status;
}

/* ---- Files ---- */

static enum sl_status replay_file(struct sl_replay *replay, const char *path)
{
    struct file f = {.replay = replay, .arena = sl_arena_new(ARENA_BYTES)};
    struct sl_slice text;
    if (!f.arena)
        return SL_NO_MEMORY;
    enum sl_status status = sl_cli_read_file(f.arena, path, FILE_BYTES, &text);
    if (status == SL_OK)
        status = replay_text(&f, text);
    sl_arena_free(f.arena);
    replay->files++;
    if (status == SL_OK || status == SL_NO_MEMORY)
        return status;
    fprintf(stderr, "sluice: %s: %s\n", path, sl_status_name(status));
    replay->unread++;
    return SL_OK;
}

static bool is_records(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot && (strcmp(dot, ".json") == 0 || strcmp(dot, ".ndjson") == 0);
}

static enum sl_status replay_folder(struct sl_replay *replay, const char *folder, unsigned depth)
{
    DIR *directory = opendir(folder);
    if (!directory)
        return SL_MISSING;
    enum sl_status status = SL_OK;
    for (struct dirent *entry; status == SL_OK && (entry = readdir(directory));) {
        char path[PATH_MAX];
        struct stat about;
        int len = snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] == '.' || len < 0 || (size_t)len >= sizeof path || stat(path, &about))
            continue;
        if (S_ISREG(about.st_mode) && is_records(entry->d_name))
            status = replay_file(replay, path);
        else if (S_ISDIR(about.st_mode) && depth)
            status = replay_folder(replay, path, depth - 1);
    }
    closedir(directory);
    return status;
}

enum sl_status sl_replay_path(struct sl_replay *replay, const char *path)
{
    struct stat about;
    if (stat(path, &about) != 0)
        return SL_MISSING;
    return S_ISDIR(about.st_mode) ? replay_folder(replay, path, FOLDER_DEPTH) : replay_file(replay, path);
}
