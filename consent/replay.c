/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deciding again what is on record: see sluice/replay.h. What a decision depended on and the ledger does not hold (the
 * content of records, so that their classes stay as they were; Consents, so that other forms of a kind cannot be tried)
 * is never guessed: where it could make a difference, the decision is one that must be looked at.
 */
#include "sluice/replay.h"

#include <stdlib.h>

#include "again.h"
#include "policy_cells.h"

#define GROUPS 4096u
#define LIST_BYTES ((size_t)64 << 20)
#define KEPT ((size_t)1 << 30)
#define SCRATCH ((size_t)256 << 20)

/* Changes that a person would call the same. */
struct group {
    char mark; /* + - ~ ? ! */
    bool element;
    struct sl_slice text;
    size_t count, patient_count, patient_room;
    struct sl_slice *patients;   /* not each once, until the report */
    struct sl_slice first, last; /* instants */
    struct sl_buffer list;
};

/* What another policy earns otherwise than the one that decided. */
struct earning_gap {
    const struct sl_policy *by;
    struct sl_classes classes; /* of `under`, whose earning differs */
    bool lists;                /* code lists, words or notes do: any class may */
};

struct sl_replay {
    struct sl_replay_options options;
    struct sl_arena *kept, *scratch;
    struct group *groups;
    size_t group_count;
    struct earning_gap *gaps;
    size_t gap_count, gap_room;
    struct sl_replayed result;
};

struct sl_replay *sl_replay_new(const struct sl_replay_options *options)
{
    struct sl_replay *replay = calloc(1, sizeof *replay);
    if (!replay)
        return NULL;
    replay->options = *options;
    replay->kept = sl_arena_new(KEPT);
    replay->scratch = sl_arena_new(SCRATCH);
    replay->groups = calloc(GROUPS, sizeof *replay->groups);
    if (replay->kept && replay->scratch && replay->groups)
        return replay;
    sl_replay_free(replay);
    return NULL;
}

void sl_replay_free(struct sl_replay *replay)
{
    if (!replay)
        return;
    for (size_t i = 0; i < replay->group_count; i++)
        sl_buffer_fini(&replay->groups[i].list);
    free(replay->groups);
    free(replay->gaps);
    sl_arena_free(replay->kept);
    sl_arena_free(replay->scratch);
    free(replay);
}

/* ---- Groups ---- */

static struct group *group_of(struct sl_replay *replay, char mark, bool element, struct sl_slice text)
{
    for (size_t i = 0; i < replay->group_count; i++) {
        struct group *g = &replay->groups[i];
        if (g->mark == mark && g->element == element && sl_slice_eq(g->text, text))
            return g;
    }
    if (replay->group_count == GROUPS)
        return NULL;
    struct group *g = &replay->groups[replay->group_count++];
    *g = (struct group){.mark = mark, .element = element, .text = sl_arena_copy(replay->kept, text)};
    sl_buffer_init(&g->list, LIST_BYTES);
    return g;
}

static enum sl_status add_patient(struct sl_replay *replay, struct group *g, struct sl_slice patient)
{
    if (!patient.len || (g->patient_count && sl_slice_eq(g->patients[g->patient_count - 1], patient)))
        return SL_OK;
    if (g->patient_count == g->patient_room) {
        size_t room = g->patient_room ? g->patient_room * 2 : 8;
        struct sl_slice *patients = sl_arena_raw(replay->kept, room, sizeof *patients);
        if (!patients)
            return SL_NO_MEMORY;
        if (g->patient_count)
            memcpy(patients, g->patients, g->patient_count * sizeof *patients);
        g->patients = patients;
        g->patient_room = room;
    }
    g->patients[g->patient_count++] = sl_arena_copy(replay->kept, patient);
    return SL_OK;
}

static void write_who(struct sl_buffer *out, const struct sl_record *record)
{
    const struct sl_recipient *r = &record->recipient;
    sl_buffer_printf(out, "%.*s", SL_FMT(r->client.len ? r->client : SL_LIT("nobody known")));
    for (size_t i = 0; i < record->parties.count; i++)
        sl_buffer_printf(out, "%s%.*s", i ? ", " : " (", SL_FMT(record->parties.word[i]));
    sl_buffer_printf(out, "%s for %.*s", record->parties.count ? ")" : "",
        SL_FMT(r->purpose.len ? r->purpose : SL_LIT("no purpose")));
}

/* One difference: `what` is in words, with the class it turned on. */
static enum sl_status note(struct sl_replay *replay, char mark, bool element, const struct sl_record *record,
    const struct sl_recorded_item *item, struct sl_slice what)
{
    struct sl_buffer text;
    sl_buffer_init(&text, 64 * 1024);
    write_who(&text, record);
    sl_buffer_printf(&text, ": %.*s", SL_FMT(what));
    struct group *g = sl_buffer_failed(&text) ? NULL : group_of(replay, mark, element, sl_buffer_slice(&text));
    sl_buffer_fini(&text);
    if (!g)
        return SL_LIMIT;
    if (!g->count++)
        g->first = sl_arena_copy(replay->kept, record->time_text);
    g->last = sl_arena_copy(replay->kept, record->time_text);
    if (replay->options.list)
        sl_buffer_printf(&g->list, "      %.*s  entry %llu  %.*s%s%.*s\n", SL_FMT(record->time_text),
            (unsigned long long)record->sequence, SL_FMT(item->item), item->patient.len ? "  of " : "",
            SL_FMT(item->patient));
    SL_TRY(add_patient(replay, g, item->patient));
    return sl_arena_failed(replay->kept) ? SL_NO_MEMORY : SL_OK;
}

static struct sl_slice cause_text(struct sl_arena *arena, const struct sl_policy *policy, const struct sl_cause *cause)
{
    const struct sl_class *class = sl_policy_class(policy, cause->class_bit);
    struct sl_slice id = class ? class->id : SL_LIT("no class");
    if (cause->rule)
        return sl_arena_printf(arena, "%.*s, by the rule %.*s (%.*s:%zu)", SL_FMT(id), SL_FMT(cause->rule->id),
            SL_FMT(cause->rule->file), cause->rule->line);
    return sl_arena_printf(arena, "%.*s, %s", SL_FMT(id), cause->why ? cause->why : "?");
}

static struct sl_slice recorded_cause(struct sl_arena *arena, const struct sl_recorded_item *item)
{
    struct sl_slice id = item->class.len ? item->class : SL_LIT("no class");
    if (item->rule.len)
        return sl_arena_printf(arena, "%.*s, then withheld by the rule %.*s", SL_FMT(id), SL_FMT(item->rule));
    return sl_arena_printf(arena, "%.*s, then withheld: %.*s", SL_FMT(id), SL_FMT(item->why));
}

/* ---- Classes that are earned otherwise ---- */

static bool same_lists(const struct sl_policy *a, const struct sl_policy *b, const char *prefix)
{
    const struct sl_policy *sides[] = {a, b};
    for (size_t s = 0; s < 2; s++)
        for (size_t i = 0; i < sides[s]->file_count; i++) {
            const struct sl_policy_file *file = &sides[s]->files[i];
            bool found = !sl_slice_starts(file->path, sl_slice_of(prefix));
            for (size_t k = 0; k < sides[!s]->file_count && !found; k++)
                found = sl_slice_eq(file->path, sides[!s]->files[k].path) &&
                        sl_slice_eq(file->text, sides[!s]->files[k].text);
            if (!found)
                return false;
        }
    return true;
}

static struct earning_gap *gap_of(struct sl_replay *replay, const struct sl_policy *by)
{
    const struct sl_policy *under = replay->options.under;
    for (size_t i = 0; i < replay->gap_count; i++)
        if (replay->gaps[i].by == by)
            return &replay->gaps[i];
    if (replay->gap_count == replay->gap_room) {
        size_t room = replay->gap_room ? replay->gap_room * 2 : 8;
        struct earning_gap *gaps = realloc(replay->gaps, room * sizeof *gaps);
        if (!gaps)
            return NULL;
        replay->gaps = gaps;
        replay->gap_room = room;
    }
    struct earning_gap *gap = &replay->gaps[replay->gap_count++];
    *gap = (struct earning_gap){.by = by};
    for (unsigned bit = 0; bit < under->class_count; bit++)
        if (!sl_same_entry(under, by, "classes", under->classes[bit].id, "earned-by"))
            sl_classes_add(&gap->classes, bit);
    gap->lists = !same_lists(under, by, "terminology/") || !same_lists(under, by, "lexicon/");
    return gap;
}

/* ---- One decision ---- */

struct deciding {
    struct sl_replay *replay;
    const struct sl_record *record;
    const struct sl_policy *by; /* that made it; NULL: not at hand */
};

static enum sl_status compare_parts(
    struct deciding *d, const struct sl_recorded_item *item, const struct sl_again *was, const struct sl_again *now)
{
    struct sl_replay *replay = d->replay;
    for (size_t i = 0; i < item->part_count; i++) {
        bool kept = now->parts[i].decision == SL_RELEASED;
        /* What was cut though policy released it (narrative, a mention of what is withheld) stays cut. */
        if (item->parts[i].cut && kept && was && was->parts[i].decision != SL_RELEASED) {
            replay->result.more++;
            SL_TRY(note(replay, '+', true, d->record, item, cause_text(replay->scratch, d->by, &was->parts[i].cause)));
        } else if (!item->parts[i].cut && !kept) {
            replay->result.less++;
            SL_TRY(note(replay, '-', true, d->record, item,
                cause_text(replay->scratch, replay->options.under, &now->parts[i].cause)));
        }
    }
    return SL_OK;
}

static enum sl_status compare(
    struct deciding *d, const struct sl_recorded_item *item, const struct sl_again *was, const struct sl_again *now)
{
    struct sl_replay *replay = d->replay;
    bool goes = now->verdict.decision == SL_RELEASED;
    if (!item->released && !sl_is_by_policy(item)) {
        replay->result.following++;
        return SL_OK;
    }
    if (now->unsure) {
        replay->result.unsure++;
        return note(replay, '?', false, d->record, item, now->unsure_of);
    }
    if (goes && !item->released) {
        replay->result.more++;
        return note(replay, '+', false, d->record, item, recorded_cause(replay->scratch, item));
    }
    if (!goes && item->released) {
        replay->result.less++;
        return note(replay, '-', false, d->record, item,
            cause_text(replay->scratch, replay->options.under, &now->verdict.cause));
    }
    if (!goes)
        return SL_OK;
    if (was && !sl_slice_eq(was->words, now->words)) {
        replay->result.otherwise++;
        SL_TRY(note(replay, '~', false, d->record, item,
            sl_arena_printf(
                replay->scratch, "goes out with %.*s, then with %.*s", SL_FMT(now->words), SL_FMT(was->words))));
    }
    return compare_parts(d, item, was, now);
}

/* The policy that decided must decide so again. */
static enum sl_status check(struct deciding *d, const struct sl_recorded_item *item, const struct sl_again *was)
{
    struct sl_slice what = sl_again_differs(d->replay->scratch, item, was);
    if (!what.len)
        return what.ptr ? SL_OK : SL_NO_MEMORY;
    d->replay->result.disagreements++;
    return note(d->replay, '!', false, d->record, item, what);
}

static bool earned_otherwise(struct deciding *d, const struct sl_item *item)
{
    const struct earning_gap *gap = d->by ? gap_of(d->replay, d->by) : NULL;
    return gap && sl_classes_meet(&item->classes, &gap->classes);
}

static enum sl_status decide(struct deciding *d, const struct sl_recorded_item *item)
{
    struct sl_replay *replay = d->replay;
    struct sl_again was, now;
    if (!item->ground) {
        replay->result.untold++;
        return SL_OK;
    }
    replay->result.decisions++;
    replay->result.elements += item->part_count;
    if (d->by) {
        SL_TRY(sl_decide_again(replay->scratch, d->by, d->by, d->record, item, &was));
        SL_TRY(check(d, item, &was));
    } else {
        replay->result.policies_lacking++;
    }
    if (!replay->options.under)
        return SL_OK;
    SL_TRY(sl_decide_again(replay->scratch, replay->options.under, d->by, d->record, item, &now));
    if (earned_otherwise(d, &now.item) && !now.unsure) {
        now.unsure = true;
        now.unsure_of = SL_LIT("it has a class that would be earned otherwise");
    }
    return compare(d, item, d->by ? &was : NULL, &now);
}

/* ---- One record ---- */

static void admit(struct sl_replay *replay, const struct sl_record *record)
{
    bool let_in = sl_slice_eq(record->outcome, SL_LIT("SL_OK"));
    bool judged = let_in || sl_slice_eq(record->outcome, SL_LIT("SL_FORBIDDEN")) ||
                  sl_slice_eq(record->outcome, SL_LIT("SL_EMERGENCY_INCOMPLETE"));
    if (!replay->options.under || !record->known || !judged)
        return;
    bool would = sl_admit(replay->options.under, &record->recipient) == SL_OK;
    replay->result.admitted += would && !let_in;
    replay->result.refused += let_in && !would;
}

enum sl_status sl_replay_add(struct sl_replay *replay, uint64_t sequence, struct sl_slice record)
{
    struct sl_record *read;
    sl_arena_reset(replay->scratch);
    read = sl_arena_alloc(replay->scratch, sizeof *read);
    enum sl_status status = read ? sl_record_read(replay->scratch, sequence, record, read) : SL_NO_MEMORY;
    if (status == SL_INVALID)
        return SL_OK;
    if (status != SL_OK || read->time < replay->options.since)
        return status;
    replay->result.records++;
    admit(replay, read);
    struct deciding d = {.replay = replay, .record = read};
    if (read->item_count && replay->options.policy_of)
        d.by = replay->options.policy_of(replay->options.context, read->generation, read->digest);
    for (size_t i = 0; i < read->item_count; i++)
        if (!read->items[i].path.len)
            SL_TRY(decide(&d, &read->items[i]));
    return sl_arena_failed(replay->scratch) ? SL_NO_MEMORY : SL_OK;
}

/* ---- The report ---- */

static int by_text(const void *a, const void *b)
{
    const struct sl_slice *x = a, *y = b;
    int order = memcmp(x->ptr, y->ptr, x->len < y->len ? x->len : y->len);
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

static void settle_patients(struct group *g)
{
    size_t kept = 0;
    if (g->patient_count)
        qsort(g->patients, g->patient_count, sizeof *g->patients, by_text);
    for (size_t i = 0; i < g->patient_count; i++)
        if (!kept || !sl_slice_eq(g->patients[kept - 1], g->patients[i]))
            g->patients[kept++] = g->patients[i];
    g->patient_count = kept;
}

static const struct {
    char mark;
    const char *title, *word;
} headings[] = {
    {'!', "DECIDED OTHERWISE THAN RECORDED, under the policy that is recorded (this must not be)", "disagreement"},
    {'+', "Would have gone, and did not", "more"},
    {'-', "Would not have gone, and did", "less"},
    {'~', "Would have gone out otherwise", "otherwise"},
    {'?', "Must be looked at: it rests on what the ledger does not hold", "unsure"},
};

static const char *plural(size_t count)
{
    return count == 1 ? "" : "s";
}

static void write_group(struct sl_buffer *out, const struct group *g)
{
    sl_buffer_printf(out, "  %c %zu %s%s of %zu patient%s, %.*s\n", g->mark, g->count,
        g->element ? "element" : "record", plural(g->count), g->patient_count, plural(g->patient_count),
        SL_FMT(g->text));
    if (g->list.len)
        sl_buffer_add(out, sl_buffer_slice(&g->list));
}

static void write_gaps(const struct sl_replay *replay, struct sl_buffer *out)
{
    for (size_t i = 0; i < replay->gap_count; i++) {
        const struct earning_gap *gap = &replay->gaps[i];
        const char *comma = "Earned otherwise than by the policy that decided: ";
        for (unsigned bit = 0; bit < replay->options.under->class_count; bit++)
            if (sl_classes_has(&gap->classes, bit)) {
                sl_buffer_printf(out, "%s%.*s", comma, SL_FMT(replay->options.under->classes[bit].id));
                comma = ", ";
            }
        if (!sl_classes_empty(&gap->classes))
            sl_buffer_add(out, SL_LIT(". Which other records would earn them, the ledger does not tell.\n"));
        if (gap->lists)
            sl_buffer_add(
                out, SL_LIT("Code lists or words differ from those of the policy that decided. Which records would "
                            "earn other classes, the ledger does not tell.\n"));
    }
}

static void write_counts(const struct sl_replay *replay, struct sl_buffer *out)
{
    const struct sl_replayed *r = &replay->result;
    sl_buffer_printf(out, "%zu ledger record%s, %zu decisions about records and %zu about elements made again",
        r->records, plural(r->records), r->decisions, r->elements);
    if (replay->options.under)
        sl_buffer_printf(out,
            ": %zu would have gone, %zu would not, %zu would have gone out otherwise, %zu must be looked at", r->more,
            r->less, r->otherwise, r->unsure);
    sl_buffer_printf(out, ".\n");
    if (r->admitted || r->refused)
        sl_buffer_printf(out,
            "%zu refused requests would have been let in (what they would have got is not on record), "
            "%zu others refused.\n",
            r->admitted, r->refused);
    if (r->following)
        sl_buffer_printf(
            out, "%zu were withheld for another record's sake, or did not match; they are left so.\n", r->following);
    if (r->untold)
        sl_buffer_printf(out, "%zu were recorded without their grounds and cannot be made again.\n", r->untold);
    if (r->policies_lacking)
        sl_buffer_printf(out, "Of %zu the policy that decided is not at hand (--store).\n", r->policies_lacking);
    sl_buffer_printf(out,
        r->disagreements ? "%zu DO NOT COME OUT AS RECORDED under the policy that decided.\n"
                         : "Under the policy that decided, all come out as recorded.\n",
        r->disagreements);
}

static void write_text(struct sl_replay *replay, struct sl_buffer *out)
{
    for (size_t h = 0; h < sizeof headings / sizeof *headings; h++) {
        bool titled = false;
        for (size_t i = 0; i < replay->group_count; i++) {
            if (replay->groups[i].mark != headings[h].mark)
                continue;
            if (!titled)
                sl_buffer_printf(out, "%s\n", headings[h].title);
            titled = true;
            write_group(out, &replay->groups[i]);
        }
    }
    if (replay->options.under)
        write_gaps(replay, out);
    write_counts(replay, out);
}

static void string(struct sl_buffer *out, const char *lead, struct sl_slice text)
{
    sl_buffer_add(out, sl_slice_of(lead));
    sl_buffer_json_string(out, text);
}

static void write_json(const struct sl_replay *replay, struct sl_buffer *out)
{
    const struct sl_replayed *r = &replay->result;
    sl_buffer_add(out, SL_LIT("{\"changes\":["));
    for (size_t i = 0; i < replay->group_count; i++) {
        const struct group *g = &replay->groups[i];
        size_t h = 0;
        while (headings[h].mark != g->mark)
            h++;
        sl_buffer_printf(out, "%s\n{\"change\":\"%s\",\"of\":\"%s\",\"count\":%zu", i ? "," : "", headings[h].word,
            g->element ? "elements" : "records", g->count);
        string(out, ",\"what\":", g->text);
        string(out, ",\"first\":", g->first);
        string(out, ",\"last\":", g->last);
        sl_buffer_add(out, SL_LIT(",\"patients\":["));
        for (size_t p = 0; p < g->patient_count; p++)
            string(out, p ? "," : "", g->patients[p]);
        sl_buffer_add(out, SL_LIT("]}"));
    }
    sl_buffer_printf(out,
        "],\n\"records\":%zu,\"decisions\":%zu,\"elements\":%zu,\"more\":%zu,\"less\":%zu,\"otherwise\":%zu,"
        "\"unsure\":%zu,\"following\":%zu,\"untold\":%zu,\"admitted\":%zu,\"refused\":%zu,\"policies-lacking\":%zu,"
        "\"disagreements\":%zu}\n",
        r->records, r->decisions, r->elements, r->more, r->less, r->otherwise, r->unsure, r->following, r->untold,
        r->admitted, r->refused, r->policies_lacking, r->disagreements);
}

enum sl_status sl_replay_report(struct sl_replay *replay, struct sl_buffer *out, struct sl_replayed *result)
{
    for (size_t i = 0; i < replay->group_count; i++) {
        settle_patients(&replay->groups[i]);
        if (sl_buffer_failed(&replay->groups[i].list))
            return SL_LIMIT;
    }
    if (replay->options.json)
        write_json(replay, out);
    else
        write_text(replay, out);
    *result = replay->result;
    return sl_buffer_failed(out) ? SL_LIMIT : SL_OK;
}
