/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sluice segment and sluice label: the offline door. What goes out is what came in with parts cut and labels put on;
 * what was withheld, and why, goes to stderr as ids and rules, never content.
 */
#include "offline.h"

#include "sluice/label.h"
#include "sluice/path.h"

/* ---- A Bundle: its own members, and its entries ---- */

/* Members of a Bundle that never go out: a total counts what is withheld, a signature covers it. */
static bool never_goes(const struct sl_doc *doc, uint32_t member)
{
    sl_name name = doc->spans[member].name;
    return name == SL_NAME_total || name == SL_NAME_signature || !sl_r4_element(SL_R4_Bundle, name);
}

static struct sl_item *item_of(
    struct sl_labeller *labeller, const struct sl_doc *doc, uint32_t span, struct sl_item **from)
{
    struct sl_item *item = *from ? *from : sl_labeller_items(labeller);
    for (; item; item = item->next)
        if (item->doc == doc && item->span == span && !item->context) {
            *from = item;
            return item;
        }
    return NULL;
}

static bool entry_goes(const struct sl_item *item)
{
    return item && item->verdict && item->verdict->decision == SL_RELEASED;
}

static enum sl_status edit_entry(
    struct sl_offline *offline, struct sl_edits *edits, const struct sl_doc *doc, uint32_t entry, struct sl_item **from)
{
    uint32_t resource = doc->spans[entry].type == SL_SPAN_OBJECT ? sl_span_member(doc, entry, SL_NAME_resource) : 0;
    struct sl_item *item = resource ? item_of(sl_pass_labeller(offline->pass), doc, resource, from) : NULL;
    if (!entry_goes(item)) {
        sl_edit_cut(edits, entry);
        return SL_OK;
    }
    for (uint32_t m = entry + 1; m < doc->spans[entry].next; m = doc->spans[m].next)
        if (!sl_r4_element(SL_R4_Bundle_entry, doc->spans[m].name) || doc->spans[m].name == SL_NAME_response)
            sl_edit_cut(edits, m);
    return sl_segment_edit(item, edits, offline->arena);
}

static enum sl_status edit_bundle(struct sl_offline *offline, struct sl_edits *edits, const struct sl_doc *doc)
{
    struct sl_item *from = NULL;
    for (uint32_t m = 1; m < doc->spans[0].next; m = doc->spans[m].next)
        if (never_goes(doc, m))
            sl_edit_cut(edits, m);
    /* The labels it came with are the sum of what was in it. */
    uint32_t meta = sl_span_member(doc, 0, SL_NAME_meta);
    uint32_t security =
        meta && doc->spans[meta].type == SL_SPAN_OBJECT ? sl_span_member(doc, meta, SL_NAME_security) : 0;
    if (security)
        sl_edit_cut(edits, security);
    uint32_t entries = sl_span_member(doc, 0, SL_NAME_entry);
    for (uint32_t e = entries + 1; entries && e < doc->spans[entries].next; e = doc->spans[e].next)
        SL_TRY(edit_entry(offline, edits, doc, e, &from));
    return SL_OK;
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
    if (!text->bundle && !entry_goes(text->item))
        return SL_OK;
    struct sl_edits *edits = sl_edits_new(offline->arena, text->doc);
    if (!edits)
        return SL_NO_MEMORY;
    if (text->bundle)
        SL_TRY(edit_bundle(offline, edits, text->doc));
    else
        SL_TRY(sl_segment_edit(text->item, edits, offline->arena));
    if (text->xml)
        return gather_xml(text, edits, out);
    SL_TRY(sl_edit_gather(edits, 0, out));
    sl_blocks_add(out, SL_LIT("\n"));
    return out->failed ? SL_NO_MEMORY : SL_OK;
}

static enum sl_status write_blocks(const struct sl_blocks *blocks)
{
    for (const struct sl_block *b = blocks->first; b; b = b->next)
        if (fwrite(b->ptr, 1, b->len, stdout) != b->len)
            return SL_IO;
    return fflush(stdout) == 0 ? SL_OK : SL_IO;
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
    for (struct sl_offline_text *t = offline->first; t && status == SL_OK; t = t->next)
        status = gather_text(offline, t, &out);
    if (status != SL_OK)
        return sl_cli_failed("nothing is released", status, &offline->issues);
    say_report(offline, &report);
    status = write_blocks(&out);
    return status == SL_OK ? 0 : sl_cli_failed("standard output", status, NULL);
}

int sl_cmd_segment(int argc, char **argv)
{
    static const struct sl_option options[] = {SL_OFFLINE_LABEL_OPTIONS, SL_OFFLINE_DECIDE_OPTIONS};
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
    return sl_offline_run(argc, argv, "label [--policy DIR] [--programs ID,…] [--context FILE…] < in", options,
        sizeof options / sizeof *options, print_labels);
}
