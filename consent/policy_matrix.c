/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The matrix: who may see what, a line for each class and a column for each party, decided by the rulings that decide
 * requests. As text, as a page to print, and as JSON.
 */
#include "ruling.h"

#include <stdio.h>

#define MATRIX_ARENA ((size_t)16 << 20)

struct column {
    const struct sl_party *party;
    size_t purpose; /* index */
    const struct sl_ruling *worst;
    struct masks best, consented;
    bool empty; /* nothing is released to this party for this purpose */
};

struct matrix {
    const struct sl_policy *policy;
    struct column *columns;
    size_t count;
};

/* The first purpose that a rule meant for this party releases for. */
struct sl_slice sl_policy_usual_purpose(const struct sl_policy *policy, unsigned party)
{
    static const struct sl_slice order[] = {{"BTG", 3}, {"TREAT", 5}, {"HPAYMT", 6}, {"HOPERAT", 7}, {"PATADMIN", 8},
        {"PATRQT", 6}, {"HRESCH", 6}, {"PUBHLTH", 7}, {"HLEGAL", 6}};
    for (size_t p = policy->parties[party].emergency ? 0 : 1; p < sizeof order / sizeof *order; p++)
        for (size_t i = 0; i < policy->rule_count; i++) {
            const struct sl_rule *rule = &policy->rules[i];
            if (rule->verdict == SL_RULE_RELEASE && (rule->parties >> party & 1) &&
                (rule->purposes & sl_purpose_bit(order[p])))
                return order[p];
        }
    return SL_LIT("TREAT");
}

/* Nothing to choose between: every class that needs a yes lacks one, whatever consents say. */
static bool is_empty(const struct sl_policy *policy, const struct masks *best)
{
    struct sl_classes left = policy->needs_yes;
    sl_classes_cut(&left, &best->lacks);
    sl_classes_cut(&left, &best->no);
    return sl_classes_empty(&left);
}

static enum sl_status add_column(struct matrix *m, struct sl_arena *arena, unsigned party, size_t purpose)
{
    static const struct sl_emergency emergency = {{"a", 1}, {"b", 1}, {"c", 1}, {"d", 1}, true, 0};
    struct column *c = &m->columns[m->count];
    struct sl_ruling *ruling;
    *c = (struct column){.party = &m->policy->parties[party], .purpose = purpose};
    struct sl_recipient r = {.party = c->party->id, .purpose = sl_purpose_code(purpose)};
    if (c->party->emergency)
        r.emergency = &emergency;
    SL_TRY(sl_ruling_new(arena, m->policy, &r, NULL, 0, NULL, 0, &ruling));
    c->worst = ruling;
    sl_masks_at_best(ruling, true, &c->best);
    sl_masks_at_best(ruling, false, &c->consented);
    c->empty = is_empty(m->policy, &c->best);
    m->count++;
    return SL_OK;
}

static size_t purpose_index(struct sl_slice code)
{
    size_t i = 0;
    while (i < sl_purpose_count() && !sl_slice_eq(sl_purpose_code(i), code))
        i++;
    return i;
}

/* One column a party, for its usual purpose; or one for each purpose for which it may have anything. */
static enum sl_status make_matrix(
    const struct sl_policy *policy, bool every_purpose, struct sl_arena *arena, struct matrix *m)
{
    size_t most = every_purpose ? sl_purpose_count() : 1;
    *m = (struct matrix){
        .policy = policy, .columns = sl_arena_array(arena, most * policy->party_count + 1, sizeof *m->columns)};
    if (!m->columns)
        return SL_NO_MEMORY;
    for (unsigned p = 0; p < policy->party_count; p++) {
        if (!sl_party_counts(policy, p))
            continue;
        if (!every_purpose) {
            SL_TRY(add_column(m, arena, p, purpose_index(sl_policy_usual_purpose(policy, p))));
            continue;
        }
        for (size_t i = 0; i < sl_purpose_count(); i++) {
            SL_TRY(add_column(m, arena, p, i));
            m->count -= m->columns[m->count - 1].empty;
        }
    }
    return SL_OK;
}

/* Does what is released without more go whole and unchanged? */
static bool is_limited(const struct column *c, unsigned bit)
{
    const struct state none = {0};
    struct sl_classes one = {0};
    struct sl_terms terms = {.count = 0};
    sl_classes_add(&one, bit);
    sl_terms_add(c->worst, &none, &one, &terms);
    return terms.count > 0;
}

static bool lets_go(const struct masks *masks, unsigned bit)
{
    return !sl_classes_has(&masks->lacks, bit) && !sl_classes_has(&masks->no, bit);
}

/* Yes or limited, whatever is so; if the patient consents; if something else is so, too (an order, a program of one's
 * own); or never. */
static const char *cell(const struct column *c, unsigned bit)
{
    if (lets_go(&c->worst->may, bit))
        return is_limited(c, bit) ? "limited" : "yes";
    return lets_go(&c->consented, bit) ? "consent" : lets_go(&c->best, bit) ? "if" : "no";
}

/* ---- As text ---- */

static int widest_class(const struct sl_policy *policy)
{
    size_t widest = strlen("class");
    for (unsigned i = 0; i < policy->class_count; i++)
        if (policy->classes[i].id.len > widest)
            widest = policy->classes[i].id.len;
    return (int)widest;
}

static int width_of(const struct column *c)
{
    struct sl_slice purpose = sl_purpose_code(c->purpose);
    size_t width = c->party->id.len > purpose.len ? c->party->id.len : purpose.len;
    return (int)(width > strlen("consent") ? width : strlen("consent"));
}

static void end_line(struct sl_buffer *out)
{
    while (out->len && out->ptr[out->len - 1] == ' ')
        out->len--;
    sl_buffer_add(out, SL_LIT("\n"));
}

/* ---- Who may write ---- */

static bool deletes(const struct sl_grant *grant, sl_r4_node type, unsigned party, uint64_t purpose)
{
    for (const struct sl_deletes *d = grant->deletes; d; d = d->next)
        if (d->type == type && d->party == party && d->purposes & purpose)
            return true;
    return false;
}

static bool may_write(const struct matrix *m, const struct column *column, enum sl_write_action action, sl_r4_node type)
{
    unsigned party = (unsigned)(column->party - m->policy->parties);
    uint64_t purpose = sl_purpose_bit(sl_purpose_code(column->purpose));
    for (size_t i = 0; i < m->policy->grant_count; i++) {
        const struct sl_grant *grant = &m->policy->grants[i];
        if (grant->parties >> party & 1 && grant->purposes & purpose && grant->may >> action & 1 &&
            sl_grant_has_type(grant, type) && (action != SL_WRITE_DELETE || deletes(grant, type, party, purpose)))
            return true;
    }
    return false;
}

/* The types that the party of a column may write in this way. */
static unsigned count_written(const struct matrix *m, const struct column *column, enum sl_write_action action)
{
    unsigned count = 0;
    for (unsigned type = 1; type < SL_R4_NODES; type++)
        count += may_write(m, column, action, (sl_r4_node)type);
    return count;
}

/* "no", "all" (every type but Consent, or more), or how many types. */
static const char *write_cell(
    const struct matrix *m, const struct column *column, enum sl_write_action action, char *room)
{
    unsigned count = count_written(m, column, action), every = 0;
    for (unsigned type = 1; type < SL_R4_NODES; type++)
        every += type != SL_R4_Consent && sl_r4_is_resource((sl_r4_node)type);
    if (count && count < every)
        snprintf(room, 16, "%u", count);
    return !count ? "no" : count < every ? room : "all";
}

static void write_writes(const struct matrix *m, int first, struct sl_buffer *out)
{
    char room[16];
    if (!m->policy->grant_count)
        return;
    for (enum sl_write_action a = SL_WRITE_CREATE; a < SL_WRITE_ACTIONS; a++) {
        sl_buffer_printf(out, "%-*.*s", first, SL_FMT(sl_write_word(a)));
        for (size_t i = 0; i < m->count; i++)
            sl_buffer_printf(out, "  %-*s", width_of(&m->columns[i]), write_cell(m, &m->columns[i], a, room));
        end_line(out);
    }
}

static void write_text(const struct matrix *m, struct sl_buffer *out)
{
    int first = widest_class(m->policy);
    sl_buffer_printf(out, "%-*s", first, "class");
    for (size_t i = 0; i < m->count; i++)
        sl_buffer_printf(out, "  %-*.*s", width_of(&m->columns[i]), SL_FMT(m->columns[i].party->id));
    end_line(out);
    sl_buffer_printf(out, "%-*s", first, "");
    for (size_t i = 0; i < m->count; i++)
        sl_buffer_printf(out, "  %-*.*s", width_of(&m->columns[i]), SL_FMT(sl_purpose_code(m->columns[i].purpose)));
    end_line(out);
    for (unsigned bit = 0; bit < m->policy->class_count; bit++) {
        sl_buffer_printf(out, "%-*.*s", first, SL_FMT(m->policy->classes[bit].id));
        for (size_t i = 0; i < m->count; i++)
            sl_buffer_printf(out, "  %-*s", width_of(&m->columns[i]), cell(&m->columns[i], bit));
        end_line(out);
    }
    write_writes(m, first, out);
}

/* ---- As a page ---- */

static void write_escaped(struct sl_buffer *out, struct sl_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        switch (text.ptr[i]) {
        case '<':
            sl_buffer_add(out, SL_LIT("&lt;"));
            break;
        case '>':
            sl_buffer_add(out, SL_LIT("&gt;"));
            break;
        case '&':
            sl_buffer_add(out, SL_LIT("&amp;"));
            break;
        case '"':
            sl_buffer_add(out, SL_LIT("&quot;"));
            break;
        default:
            sl_buffer_add(out, (struct sl_slice){text.ptr + i, 1});
        }
}

static void write_page_head(const struct matrix *m, struct sl_buffer *out)
{
    struct sl_slice title = sl_policy_title(m->policy);
    sl_buffer_add(
        out, SL_LIT("<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Who may see what: "));
    write_escaped(out, title);
    sl_buffer_add(out, SL_LIT("</title>\n<style>\n"
                              "body { font: 10pt sans-serif; margin: 1.5em; }\n"
                              "table { border-collapse: collapse; }\n"
                              "th, td { border: 1px solid #999; padding: 2px 6px; text-align: left; }\n"
                              "td.yes { background: #dff0d8; }\n"
                              "td.limited { background: #d9edf7; }\n"
                              "td.consent { background: #fcf3cf; }\n"
                              "td.if { background: #fdebd0; }\n"
                              "td.no { background: #f2dede; }\n"
                              "thead { display: table-header-group; }\n"
                              "tr { break-inside: avoid; }\n"
                              "@page { size: landscape; margin: 1cm; }\n"
                              "</style>\n<h1>Who may see what</h1>\n<p>"));
    write_escaped(out, title);
    sl_buffer_printf(out, ", version %.*s, digest %.*s.</p>\n", SL_FMT(sl_policy_version(m->policy)),
        SL_FMT(sl_policy_digest(m->policy)));
    sl_buffer_add(
        out, SL_LIT("<p><b>yes</b>: released. <b>limited</b>: released in part, or changed. "
                    "<b>consent</b>: if the patient consents. <b>if</b>: if something else is so that a rule asks for. "
                    "<b>no</b>: never. A record has several classes, and needs a yes to each.</p>\n"));
}

static void write_page_writes(const struct matrix *m, struct sl_buffer *out)
{
    char room[16];
    for (enum sl_write_action a = SL_WRITE_CREATE; m->policy->grant_count && a < SL_WRITE_ACTIONS; a++) {
        sl_buffer_printf(out, "<tr><th>Types it may %.*s</th>", SL_FMT(sl_write_word(a)));
        for (size_t i = 0; i < m->count; i++)
            sl_buffer_printf(out, "<td>%s</td>", write_cell(m, &m->columns[i], a, room));
        sl_buffer_add(out, SL_LIT("</tr>\n"));
    }
}

static void write_page(const struct matrix *m, struct sl_buffer *out)
{
    write_page_head(m, out);
    sl_buffer_add(out, SL_LIT("<table>\n<thead><tr><th>Class</th>"));
    for (size_t i = 0; i < m->count; i++) {
        sl_buffer_add(out, SL_LIT("<th title=\""));
        write_escaped(out, m->columns[i].party->title);
        sl_buffer_printf(out, "\">%.*s<br>", SL_FMT(m->columns[i].party->id));
        sl_buffer_printf(out, "<small>%.*s</small></th>", SL_FMT(sl_purpose_name(m->columns[i].purpose)));
    }
    sl_buffer_add(out, SL_LIT("</tr></thead>\n"));
    for (unsigned bit = 0; bit < m->policy->class_count; bit++) {
        const struct sl_class *class = &m->policy->classes[bit];
        sl_buffer_add(out, SL_LIT("<tr><th>"));
        write_escaped(out, class->title);
        sl_buffer_printf(out, "<br><small>%.*s</small></th>", SL_FMT(class->id));
        for (size_t i = 0; i < m->count; i++)
            sl_buffer_printf(out, "<td class=\"%s\">%s</td>", cell(&m->columns[i], bit), cell(&m->columns[i], bit));
        sl_buffer_add(out, SL_LIT("</tr>\n"));
    }
    write_page_writes(m, out);
    sl_buffer_add(out, SL_LIT("</table>\n</html>\n"));
}

/* ---- As JSON ---- */

/* Only what there is: who may write what, a line each. */
static void write_json_writes(const struct matrix *m, struct sl_buffer *out)
{
    const char *between = ",\"writes\":[";
    for (size_t i = 0; i < m->count; i++)
        for (enum sl_write_action a = SL_WRITE_CREATE; a < SL_WRITE_ACTIONS; a++) {
            const char *comma = "";
            if (!count_written(m, &m->columns[i], a))
                continue;
            sl_buffer_printf(out, "%s\n{\"party\":\"%.*s\",\"purpose\":\"%.*s\",\"may\":\"%.*s\",\"types\":[", between,
                SL_FMT(m->columns[i].party->id), SL_FMT(sl_purpose_code(m->columns[i].purpose)),
                SL_FMT(sl_write_word(a)));
            for (unsigned type = 1; type < SL_R4_NODES; type++)
                if (may_write(m, &m->columns[i], a, (sl_r4_node)type)) {
                    sl_buffer_printf(out, "%s\"%.*s\"", comma, SL_FMT(sl_r4_node_name((sl_r4_node)type)));
                    comma = ",";
                }
            sl_buffer_add(out, SL_LIT("]}"));
            between = ",";
        }
    sl_buffer_add(out, between[1] ? SL_LIT("") : SL_LIT("]"));
}

static void write_json(const struct matrix *m, struct sl_buffer *out)
{
    sl_buffer_add(out, SL_LIT("{\"title\":"));
    sl_buffer_json_string(out, sl_policy_title(m->policy));
    sl_buffer_printf(out, ",\"digest\":\"%.*s\",\"cells\":[", SL_FMT(sl_policy_digest(m->policy)));
    for (unsigned bit = 0; bit < m->policy->class_count; bit++)
        for (size_t i = 0; i < m->count; i++) {
            const struct column *c = &m->columns[i];
            sl_buffer_printf(out, "%s\n{\"class\":\"%.*s\",\"party\":\"%.*s\",", bit + i ? "," : "",
                SL_FMT(m->policy->classes[bit].id), SL_FMT(c->party->id));
            sl_buffer_printf(
                out, "\"purpose\":\"%.*s\",\"may\":\"%s\"}", SL_FMT(sl_purpose_code(c->purpose)), cell(c, bit));
        }
    sl_buffer_add(out, SL_LIT("]"));
    write_json_writes(m, out);
    sl_buffer_add(out, SL_LIT("}\n"));
}

enum sl_status sl_policy_matrix(
    const struct sl_policy *policy, enum sl_matrix_form form, bool every_purpose, struct sl_buffer *out)
{
    static void (*const writers[])(const struct matrix *m, struct sl_buffer *out) = {
        [SL_MATRIX_TEXT] = write_text, [SL_MATRIX_PAGE] = write_page, [SL_MATRIX_JSON] = write_json};
    struct sl_arena *arena = sl_arena_new(every_purpose ? MATRIX_ARENA * 16 : MATRIX_ARENA);
    struct matrix m;
    if (!arena)
        return SL_NO_MEMORY;
    enum sl_status status = make_matrix(policy, every_purpose, arena, &m);
    if (status == SL_OK)
        writers[form](&m, out);
    sl_arena_free(arena);
    return status != SL_OK ? status : sl_buffer_failed(out) ? SL_LIMIT : SL_OK;
}
