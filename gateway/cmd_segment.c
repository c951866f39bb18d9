/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sluice segment and sluice label: the offline door. What goes out is what came in with parts cut and labels put on;
 * what was withheld, and why, goes to stderr as ids and rules, never content.
 */
#include <stdio.h>
#include <time.h>

#include "notice.h"
#include "offline_bundle.h"
#include "sluice/label.h"
#include "sluice/path.h"

/* ---- What goes with it: the notice of 42 CFR 2.32 ---- */

#define SCOPES 256u /* consents relied on in one text; a population's NDJSON may hold more than a Bundle */

struct notice {
    char confidentiality; /* the highest of what is released */
    bool due;
    struct sl_slice scopes[SCOPES];
    size_t scope_count;
    struct sl_slice last; /* the mark looked at last: neighbours are mostly alike */
};

static bool goes(const struct sl_item *item)
{
    return item && item->verdict && item->verdict->decision == SL_RELEASED;
}

static enum sl_status add_scope(struct notice *notice, struct sl_slice scope)
{
    for (size_t i = 0; i < notice->scope_count; i++)
        if (sl_slice_eq(notice->scopes[i], scope))
            return SL_OK;
    if (notice->scope_count == SCOPES)
        return SL_LIMIT;
    notice->scopes[notice->scope_count++] = scope;
    return SL_OK;
}

/* Of released items alone. What rests on a consent that must be told carries a mark that tells it. */
static enum sl_status raise_notice(struct sl_offline *offline, struct notice *notice, const struct sl_item *item)
{
    struct sl_release release;
    if (sl_level_rank(item->confidentiality) > sl_level_rank(notice->confidentiality))
        notice->confidentiality = item->confidentiality;
    if (!item->mark.len || sl_slice_eq(item->mark, notice->last))
        return SL_OK;
    notice->last = item->mark;
    SL_TRY(sl_ruling_release(item->ruling, item, offline->arena, &release));
    notice->due |= release.notice;
    for (size_t i = 0; i < release.scope_count; i++)
        SL_TRY(add_scope(notice, release.scopes[i]));
    return SL_OK;
}

static enum sl_status join_blocks(struct sl_offline *offline, const struct sl_blocks *blocks, struct sl_slice *out)
{
    char *text = sl_arena_raw(offline->arena, blocks->total + 1, 1);
    size_t at = 0;
    if (!text || blocks->failed)
        return SL_NO_MEMORY;
    for (const struct sl_block *b = blocks->first; b; at += b->len, b = b->next)
        memcpy(text + at, b->ptr, b->len);
    *out = (struct sl_slice){text, at};
    return SL_OK;
}

/* ---- A Bundle: its own members, and its entries ---- */

/* The notice of an earlier release says what that one rested on. */
static bool is_notice(const struct sl_doc *doc, uint32_t entry)
{
    uint32_t url = sl_span_member(doc, entry, SL_NAME_fullUrl);
    return url && sl_span_is(doc, url, SL_LIT(SL_NOTICE_URL));
}

static enum sl_status edit_entry(struct sl_offline *offline, struct sl_edits *edits, const struct sl_doc *doc,
    uint32_t entry, struct sl_item **from, struct notice *notice, bool whole)
{
    uint32_t resource = doc->spans[entry].type == SL_SPAN_OBJECT ? sl_span_member(doc, entry, SL_NAME_resource) : 0;
    struct sl_item *item = resource ? sl_bundle_item(offline, doc, resource, from) : NULL;
    if (!goes(item) || is_notice(doc, entry)) {
        sl_edit_cut(edits, entry);
        return SL_OK;
    }
    SL_TRY(raise_notice(offline, notice, item));
    if (whole)
        return SL_OK;
    sl_bundle_cut_entry(edits, doc, entry, item, offline->arena);
    return sl_segment_edit(item, edits, offline->arena);
}

/* Types of Bundle in which an entry of ours can stand: in the others entries are a document's or a message's own, or
 * orders to a server. */
static bool takes_entry(const struct sl_doc *doc, bool *search)
{
    uint32_t type = sl_span_member(doc, 0, SL_NAME_type);
    *search = type && sl_span_is(doc, type, SL_LIT("searchset"));
    return *search || (type && sl_span_is(doc, type, SL_LIT("collection")));
}

static enum sl_status add_notice_entry(struct sl_offline *offline, struct sl_edits *edits, const struct sl_doc *doc,
    bool search, const struct notice *notice)
{
    struct sl_blocks out = {.arena = offline->arena};
    struct sl_slice text;
    sl_blocks_add(&out, SL_LIT("{\"fullUrl\":\"" SL_NOTICE_URL "\",\"resource\":"));
    SL_TRY(sl_notice_write(sl_policy_notice(offline->policy), notice->scopes, notice->scope_count, &out));
    sl_blocks_add(&out, search ? SL_LIT(",\"search\":{\"mode\":\"include\"}}") : SL_LIT("}"));
    SL_TRY(join_blocks(offline, &out, &text));
    sl_edit_add_item(edits, sl_span_member(doc, 0, SL_NAME_entry), text); /* there is one: something was released */
    return SL_OK;
}

/* The Bundle's own meta: the level of what is in it, always, in the place of the labels it came with, which are the sum
 * of what was in it. Where no entry can hold the notice, it stands here. */
static enum sl_status write_meta(
    struct sl_offline *offline, const struct notice *notice, bool displays, struct sl_slice *out)
{
    struct sl_blocks text = {.arena = offline->arena};
    char level = notice->confidentiality ? notice->confidentiality : 'N';
    sl_blocks_add(&text,
        SL_LIT("\"security\":[{\"system\":\"http://terminology.hl7.org/CodeSystem/v3-Confidentiality\",\"code\":\""));
    sl_blocks_add(&text, (struct sl_slice){&level, 1});
    sl_blocks_add(&text, SL_LIT("\"}]"));
    if (displays) {
        sl_blocks_add(&text, SL_LIT(",\"extension\":["));
        SL_TRY(sl_notice_displays(sl_policy_notice(offline->policy), notice->scopes, notice->scope_count, &text));
        sl_blocks_add(&text, SL_LIT("]"));
    }
    return join_blocks(offline, &text, out);
}

static enum sl_status edit_bundle_meta(struct sl_offline *offline, struct sl_edits *edits, const struct sl_doc *doc,
    const struct notice *notice, bool displays)
{
    uint32_t meta = sl_span_member(doc, 0, SL_NAME_meta);
    struct sl_slice members;
    SL_TRY(write_meta(offline, notice, displays, &members));
    bool object = meta && doc->spans[meta].type == SL_SPAN_OBJECT;
    for (uint32_t m = meta + 1; object && m < doc->spans[meta].next; m = doc->spans[m].next)
        if (doc->spans[m].name == SL_NAME_security || doc->spans[m].name == SL_NAME_extension)
            sl_edit_cut(edits, m);
    if (object && !sl_edit_is_cut(edits, meta)) {
        sl_edit_add_member(edits, meta, members);
        return SL_OK;
    }
    if (meta)
        sl_edit_cut(edits, meta);
    const struct sl_slice parts[] = {SL_LIT("\"meta\":{"), members, SL_LIT("}")};
    struct sl_slice member = sl_arena_join(offline->arena, parts, 3);
    if (!member.ptr)
        return SL_NO_MEMORY;
    sl_edit_add_member(edits, 0, member);
    return SL_OK;
}

static enum sl_status edit_bundle(
    struct sl_offline *offline, struct sl_edits *edits, const struct sl_doc *doc, bool whole)
{
    struct notice notice = {0};
    struct sl_item *from = NULL;
    bool search, entry = takes_entry(doc, &search);
    if (!whole)
        sl_bundle_cut_members(edits, doc);
    uint32_t entries = sl_span_member(doc, 0, SL_NAME_entry);
    for (uint32_t e = entries + 1; entries && e < doc->spans[entries].next; e = doc->spans[e].next)
        SL_TRY(edit_entry(offline, edits, doc, e, &from, &notice, whole));
    if (notice.due && entry)
        SL_TRY(add_notice_entry(offline, edits, doc, search, &notice));
    return edit_bundle_meta(offline, edits, doc, &notice, notice.due && !entry);
}

/* ---- Writing ---- */

/* A document that came as XML goes out as XML. */
static enum sl_status gather_xml(
    const struct sl_offline_text *text, const struct sl_edits *edits, struct sl_blocks *out)
{
    const struct sl_content *content = text->item->content_count ? &text->item->contents[0] : NULL;
    if (content && !sl_edit_is_cut(edits, content->data))
        sl_blocks_add(out, content->written.ptr ? content->written : content->bytes);
    return out->failed ? SL_NO_MEMORY : SL_OK;
}

static enum sl_status gather_text(struct sl_offline *offline, struct sl_offline_text *text, struct sl_blocks *out)
{
    if (text->bundle ? text->fate == SL_BUNDLE_STAYS : !goes(text->item))
        return SL_OK;
    struct sl_edits *edits = sl_edits_new(offline->arena, text->doc);
    if (!edits)
        return SL_NO_MEMORY;
    if (text->bundle)
        SL_TRY(edit_bundle(offline, edits, text->doc, text->fate == SL_BUNDLE_WHOLE));
    else
        SL_TRY(sl_segment_edit(text->item, edits, offline->arena));
    if (text->xml)
        return gather_xml(text, edits, out);
    SL_TRY(sl_edit_gather(edits, 0, out));
    sl_blocks_add(out, SL_LIT("\n"));
    return out->failed ? SL_NO_MEMORY : SL_OK;
}

/* To a file beside its place, which it then takes: half a release is none. NULL: standard output. */
static enum sl_status write_blocks(const char *path, const struct sl_blocks *blocks)
{
    char temporary[4096];
    if (path && (size_t)snprintf(temporary, sizeof temporary, "%s.new", path) >= sizeof temporary)
        return SL_INVALID;
    FILE *out = path ? fopen(temporary, "wb") : stdout;
    if (!out)
        return SL_IO;
    bool fine = true;
    for (const struct sl_block *b = blocks->first; b && fine; b = b->next)
        fine = fwrite(b->ptr, 1, b->len, out) == b->len;
    fine = fflush(out) == 0 && fine;
    if (path)
        fine = fclose(out) == 0 && fine && rename(temporary, path) == 0;
    return fine ? SL_OK : SL_IO;
}

/* ---- The manifest of NDJSON ---- */

static void add_text(struct sl_buffer *out, const char *key, struct sl_slice text)
{
    sl_buffer_printf(out, "%s\"%s\":", out->ptr[out->len - 1] == '{' ? "" : ",", key);
    sl_buffer_json_string(out, text);
}

/* How many of each type are in the file, as a Bulk Data manifest has it. */
static void list_output(const struct sl_offline *offline, struct sl_slice url, struct sl_buffer *out)
{
    size_t counts[SL_R4_LAST_RESOURCE + 1] = {0};
    bool any = false;
    for (const struct sl_offline_text *t = offline->first; t; t = t->next)
        if (!t->bundle && goes(t->item) && t->item->type <= SL_R4_LAST_RESOURCE)
            counts[t->item->type]++;
    sl_buffer_add(out, SL_LIT(",\"output\":["));
    for (sl_r4_node type = 1; type <= SL_R4_LAST_RESOURCE; type++) {
        if (!counts[type])
            continue;
        sl_buffer_add(out, any ? SL_LIT(",{") : SL_LIT("{"));
        add_text(out, "type", sl_r4_node_name(type));
        add_text(out, "url", url);
        sl_buffer_printf(out, ",\"count\":%zu}", counts[type]);
        any = true;
    }
    sl_buffer_add(out, SL_LIT("],\"error\":[]"));
}

static void list_notice(const struct sl_offline *offline, const struct notice *notice, struct sl_buffer *out)
{
    if (!notice->due)
        return;
    sl_buffer_add(out, SL_LIT(",\"extension\":{\"notice\":{"));
    add_text(out, "law", SL_LIT("42 CFR 2.32"));
    add_text(out, "statement", sl_policy_notice(offline->policy));
    sl_buffer_add(out, SL_LIT(",\"scopes\":["));
    for (size_t i = 0; i < notice->scope_count; i++) {
        if (i)
            sl_buffer_add(out, SL_LIT(","));
        sl_buffer_json_string(out, notice->scopes[i]);
    }
    sl_buffer_add(out, SL_LIT("]}}"));
}

static struct sl_slice file_name(const char *path)
{
    const char *slash = path ? strrchr(path, '/') : NULL;
    return sl_slice_of(slash ? slash + 1 : path ? path : "");
}

static enum sl_status write_manifest(struct sl_offline *offline, const char *path, const struct notice *notice)
{
    struct sl_buffer text;
    struct sl_blocks out = {.arena = offline->arena};
    struct tm utc;
    time_t now = (time_t)offline->now;
    char instant[32] = "";
    if (gmtime_r(&now, &utc))
        strftime(instant, sizeof instant, "%Y-%m-%dT%H:%M:%SZ", &utc);
    sl_buffer_init(&text, (size_t)16 << 20);
    sl_buffer_add(&text, SL_LIT("{"));
    add_text(&text, "transactionTime", sl_slice_of(instant));
    add_text(&text, "request", SL_LIT("sluice segment"));
    sl_buffer_add(&text, SL_LIT(",\"requiresAccessToken\":false"));
    list_output(offline, file_name(offline->out), &text);
    list_notice(offline, notice, &text);
    sl_buffer_add(&text, SL_LIT("}\n"));
    bool failed = sl_buffer_failed(&text);
    sl_blocks_add(&out, sl_buffer_slice(&text));
    sl_buffer_fini(&text);
    return failed || out.failed ? SL_NO_MEMORY : write_blocks(path, &out);
}

/* Beside --out, or where --manifest says. A line of NDJSON has no place for the statement; it has the mark. */
static enum sl_status finish_ndjson(struct sl_offline *offline)
{
    struct notice notice = {0};
    const char *path = offline->manifest;
    for (const struct sl_offline_text *t = offline->first; t; t = t->next)
        if (!t->bundle && goes(t->item))
            SL_TRY(raise_notice(offline, &notice, t->item));
    if (!path && offline->out)
        path = sl_arena_printf(offline->arena, "%s.manifest.json", offline->out).ptr;
    if (path)
        return write_manifest(offline, path, &notice);
    if (notice.due)
        fprintf(stderr, "sluice: the statement of 42 CFR 2.32 must go with this: --out or --manifest write it\n");
    return SL_OK;
}

/* ---- Saying what was withheld ---- */

static void say_withheld(const struct sl_offline *offline, const struct sl_withheld *w)
{
    const struct sl_item *item = w->item;
    struct sl_slice type = item->type ? sl_r4_node_name(item->type) : SL_LIT("?");
    fprintf(stderr, "%s %.*s/%.*s", w->path.len ? "cut     " : "withheld", SL_FMT(type), SL_FMT(item->id));
    if (w->path.len)
        fprintf(stderr, " %.*s", SL_FMT(w->path));
    const struct sl_class *class = sl_policy_class(offline->policy, w->cause.class_bit);
    if (class)
        fprintf(stderr, " class=%.*s", SL_FMT(class->id));
    if (w->cause.rule)
        fprintf(stderr, " rule=%.*s (%.*s:%zu)", SL_FMT(w->cause.rule->id), SL_FMT(w->cause.rule->file),
            w->cause.rule->line);
    if (w->cause.directive.len)
        fprintf(stderr, " consent=%.*s", SL_FMT(w->cause.directive));
    fprintf(stderr, " why=%s\n",
        item->unlabelled && !w->path.len ? item->unlabelled
        : w->cause.why                   ? w->cause.why
                                         : "undecided");
}

static void say_report(const struct sl_offline *offline, const struct sl_segment_report *report)
{
    for (const struct sl_withheld *w = report->first; w; w = w->next)
        say_withheld(offline, w);
    size_t all = report->resources_released + report->resources_withheld;
    fprintf(stderr, "%zu of %zu resources released, %zu withheld (%.1f %%), %zu elements cut\n",
        report->resources_released, all, report->resources_withheld,
        all ? 100.0 * (double)report->resources_withheld / (double)all : 0.0, report->elements_cut);
}

static int segment_input(struct sl_offline *offline)
{
    struct sl_segment_report report;
    struct sl_blocks out = {.arena = offline->arena};
    enum sl_status status = sl_pass_decide(offline->pass, &report);
    for (struct sl_offline_text *t = offline->first; t && status == SL_OK; t = t->next) {
        if (t->bundle)
            t->fate = sl_bundle_judge(offline, t->doc, &report);
        status = gather_text(offline, t, &out);
    }
    if (status != SL_OK)
        return sl_cli_failed("nothing is released", status, &offline->issues);
    say_report(offline, &report);
    if (offline->ndjson || offline->manifest)
        status = finish_ndjson(offline); /* first: no output without its notice */
    if (status == SL_OK)
        status = write_blocks(offline->out, &out);
    return status == SL_OK ? 0 : sl_cli_failed("what is released cannot be written", status, NULL);
}

int sl_cmd_segment(int argc, char **argv)
{
    static const struct sl_option options[] = {SL_OFFLINE_LABEL_OPTIONS, SL_OFFLINE_DECIDE_OPTIONS,
        {"out", SL_OPTION_ONE, "FILE", "write there, and for NDJSON FILE.manifest.json beside it", false},
        {"manifest", SL_OPTION_ONE, "FILE", "write the manifest of NDJSON there: types, counts, the notice of 2.32",
            false}};
    return sl_offline_run(argc, argv, "segment --policy DIR --as PARTY --for PURPOSE [options] < in > out", options,
        sizeof options / sizeof *options, segment_input);
}

/* ---- sluice label ---- */

static int print_labels(struct sl_offline *offline)
{
    struct sl_buffer line;
    bool failed = false;
    sl_buffer_init(&line, (size_t)64 << 20);
    for (const struct sl_item *item = sl_labeller_items(sl_pass_labeller(offline->pass)); item && !failed;
         item = item->next) {
        if (item->context)
            continue;
        sl_buffer_clear(&line);
        sl_label_print(item, offline->policy, &line);
        failed = sl_buffer_failed(&line) || fwrite(line.ptr, 1, line.len, stdout) != line.len;
    }
    sl_buffer_fini(&line);
    return failed || fflush(stdout) ? sl_cli_failed("standard output", SL_IO, NULL) : 0;
}

int sl_cmd_label(int argc, char **argv)
{
    static const struct sl_option options[] = {SL_OFFLINE_LABEL_OPTIONS};
    if (argc > 1 && strcmp(argv[1], "book") == 0)
        return sl_cmd_book(argc, argv);
    return sl_offline_run(argc, argv, "label [--policy DIR] [--programs ID,…] [--context FILE…] < in", options,
        sizeof options / sizeof *options, print_labels);
}
