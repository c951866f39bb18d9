/* SPDX-License-Identifier: Apache-2.0 */
/* What needs the policy as such: a labeller for it, and labels by the names of its classes (`sluice label`). */
#include "labelling.h"
#include "sluice/book.h"
#include "sluice/buffer.h"
#include "ccda.h"
#include "sluice/path.h"

#define PATH_ARENA ((size_t)256 << 20)

struct sl_labeller *sl_labeller_new(
    struct sl_arena *arena, const struct sl_policy *policy, const struct sl_programs *programs)
{
    const struct sl_earning *earning = sl_policy_earning(policy);
    return earning ? sl_labeller_new_earning(arena, earning, programs) : NULL;
}

enum sl_status sl_label_generation(
    const struct sl_policy *policy, const struct sl_programs *programs, struct sl_label_generation *out)
{
    SL_TRY(sl_label_generation_of(sl_policy_digest(policy), programs, out));
    out->layout = 0xcbf29ce484222325u;
    for (unsigned bit = 0; bit < sl_policy_class_count(policy); bit++) {
        struct sl_slice id = sl_policy_class(policy, bit)->id;
        for (size_t i = 0; i <= id.len; i++)
            out->layout = (out->layout ^ (i < id.len ? (unsigned char)id.ptr[i] : 0)) * 0x100000001b3u;
    }
    return SL_OK;
}

struct printer {
    struct sl_buffer *out;
    const struct sl_policy *policy;
    const struct sl_item *item;
    struct sl_arena *paths;
    struct sl_path_places evidence; /* where the last reason's was found */
    struct cda_place *places;       /* of parts of a document within */
};

static void print_text(struct sl_buffer *out, const char *key, struct sl_slice text)
{
    sl_buffer_printf(out, "\"%s\":", key);
    sl_buffer_json_string(out, text);
}

static void print_classes(const struct printer *p, const struct sl_classes *classes)
{
    const char *separator = "";
    sl_buffer_add(p->out, SL_LIT("\"classes\":["));
    for (unsigned bit = sl_classes_next(classes, 0); bit < SL_CLASS_LIMIT; bit = sl_classes_next(classes, bit + 1)) {
        const struct sl_class *class = sl_policy_class(p->policy, bit);
        sl_buffer_printf(p->out, "%s", separator);
        sl_buffer_json_string(p->out, class ? class->id : SL_LIT("?"));
        separator = ",";
    }
    sl_buffer_add(p->out, SL_LIT("]"));
}

static struct sl_slice path_of(const struct printer *p, uint32_t span, struct sl_path_places *places)
{
    uint32_t root = p->item->span;
    return sl_span_path_next(p->item->doc, root, span ? span : root, places, p->paths);
}

/* Where each stands, newest first as they are. Sought from the oldest on, which is nearly the order of the document: a
 * record with a hundred thousand of them would take hours otherwise. */
static const struct sl_slice *find_places(struct printer *p, const struct sl_reason *reasons)
{
    size_t count = 0;
    for (const struct sl_reason *r = reasons; r; r = r->next)
        count++;
    const struct sl_reason **list = sl_arena_array(p->paths, count + 1, sizeof *list);
    struct sl_slice *paths = sl_arena_array(p->paths, count + 1, sizeof *paths);
    if (!list || !paths)
        return NULL;
    count = 0;
    for (const struct sl_reason *r = reasons; r; r = r->next)
        list[count++] = r;
    while (count--)
        paths[count] = path_of(p, list[count]->span, &p->evidence);
    return paths;
}

static void print_reasons(struct printer *p, const struct sl_reason *reasons)
{
    const char *separator = "";
    const struct sl_slice *paths = find_places(p, reasons);
    sl_buffer_add(p->out, SL_LIT("\"reasons\":["));
    for (const struct sl_reason *r = reasons; r && paths; r = r->next, paths++, separator = ",") {
        sl_buffer_printf(p->out, "%s{", separator);
        print_classes(p, &r->classes);
        sl_buffer_printf(p->out, ",\"why\":\"%s\",", sl_why_text(r->why));
        print_text(p->out, "at", *paths);
        if (r->detail.len) {
            sl_buffer_add(p->out, SL_LIT(","));
            print_text(p->out, "detail", r->detail);
        }
        sl_buffer_add(p->out, SL_LIT("}"));
    }
    sl_buffer_add(p->out, SL_LIT("]"));
}

static void print_resource(const struct printer *p)
{
    const struct sl_item *item = p->item;
    struct sl_slice type = sl_r4_node_name(item->type);
    sl_buffer_add(p->out, SL_LIT("{\"resource\":\""));
    sl_buffer_printf(p->out, "%.*s/%.*s\"", SL_FMT(type), SL_FMT(item->id));
    if (item->full_url.len) {
        sl_buffer_add(p->out, SL_LIT(","));
        print_text(p->out, "fullUrl", item->full_url);
    }
    if (item->container) {
        sl_buffer_add(p->out, SL_LIT(",\"in\":\""));
        sl_buffer_printf(
            p->out, "%.*s/%.*s\"", SL_FMT(sl_r4_node_name(item->container->type)), SL_FMT(item->container->id));
    }
    if (item->unlabelled)
        sl_buffer_printf(p->out, ",\"unlabelled\":\"%s\"", item->unlabelled);
}

static void print_part_path(const struct printer *p, const struct sl_part *part, struct sl_path_places *places)
{
    if (!part->inner) {
        print_text(p->out, "path", path_of(p, part->span, places));
        return;
    }
    struct sl_slice at = path_of(p, part->span, places);
    struct sl_slice within = sl_ccda_path(part->inner->ccda, part->node, p->places, p->paths);
    print_text(p->out, "path", sl_arena_printf(p->paths, "%.*s%.*s", SL_FMT(at), SL_FMT(within)));
}

static void print_elements(struct printer *p)
{
    struct sl_path_places places = {0};
    sl_buffer_add(p->out, SL_LIT(",\"elements\":["));
    for (uint32_t i = 0; i < p->item->part_count; i++) {
        const struct sl_part *part = &p->item->parts[i];
        sl_buffer_printf(p->out, "%s{", i ? "," : "");
        print_part_path(p, part, &places);
        sl_buffer_add(p->out, SL_LIT(","));
        print_classes(p, &part->classes);
        sl_buffer_add(p->out, SL_LIT(","));
        print_reasons(p, part->reasons);
        sl_buffer_add(p->out, SL_LIT("}"));
    }
    sl_buffer_add(p->out, SL_LIT("]}\n"));
}

void sl_label_print(const struct sl_item *item, const struct sl_policy *policy, struct sl_buffer *out)
{
    static const char *const sources[] = {
        [SL_SOURCE_UNKNOWN] = "unknown", [SL_SOURCE_NOT] = "not", [SL_SOURCE_PROGRAM] = "program"};
    struct cda_place places[SL_CDA_DEPTH + 1] = {{0}};
    struct printer p = {
        .out = out, .policy = policy, .item = item, .paths = sl_arena_new(PATH_ARENA), .places = places};
    if (!p.paths) {
        out->failed = true;
        return;
    }
    print_resource(&p);
    sl_buffer_add(out, SL_LIT(","));
    print_classes(&p, &item->classes);
    sl_buffer_printf(out, ",\"source\":\"%s\",", sources[item->source]);
    if (item->program.len) {
        print_text(out, "program", item->program);
        sl_buffer_add(out, SL_LIT(","));
    }
    print_reasons(&p, item->reasons);
    print_elements(&p);
    out->failed |= sl_arena_failed(p.paths);
    sl_arena_free(p.paths);
}
