/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lists that a patient may ask for: see sluice/accounting.h. A record is read, told and forgotten, so that a ledger
 * of any length takes the memory of its largest record.
 */
#include "sluice/accounting.h"

#include <stdlib.h>
#include <time.h>

#include "recorded.h"
#include "sluice/ledger.h"

#define RECORD_ARENA ((size_t)1 << 30) /* a record of 16 MiB, as spans and items */
#define CONSENTS_TOLD 8u               /* of one exchange; that there are more is said */

struct accounting {
    const struct sl_accounting_options *options;
    struct sl_arena *arena;
    bool (*visit)(void *context, const struct sl_disclosure *disclosure);
    void *context;
    struct sl_accounted *result;
    enum sl_status status;
};

int64_t sl_years_before(int64_t instant, unsigned years)
{
    time_t seconds = (time_t)instant;
    struct tm tm;
    if (!gmtime_r(&seconds, &tm))
        return INT64_MIN;
    struct tm then = {.tm_year = tm.tm_year - (int)years, .tm_mon = tm.tm_mon, .tm_mday = tm.tm_mday};
    if (then.tm_mon == 1 && then.tm_mday == 29)
        then.tm_mday = 28;
    return (int64_t)timegm(&then);
}

/* ---- Which items ---- */

static bool is_patient(const struct sl_accounting_options *options, struct sl_slice reference)
{
    for (size_t i = 0; i < options->patient_count; i++)
        if (sl_slice_eq(options->patients[i], reference))
            return true;
    return false;
}

/* Of an item about several persons the ledger has them with a space between. */
static bool is_about(const struct sl_accounting_options *options, const struct sl_recorded_item *item)
{
    struct sl_slice rest = item->patient;
    while (rest.len) {
        const char *space = memchr(rest.ptr, ' ', rest.len);
        size_t len = space ? (size_t)(space - rest.ptr) : rest.len;
        if (is_patient(options, (struct sl_slice){rest.ptr, len}))
            return true;
        rest = sl_slice_from(rest, space ? len + 1 : len);
    }
    for (size_t i = 0; item->ground && i < item->ground->patients.count; i++)
        if (is_patient(options, item->ground->patients.word[i]))
            return true;
    return false;
}

static bool is_listed(const struct sl_accounting_options *options, const struct sl_recorded_item *item)
{
    bool account = sl_words_have(&item->duties, SL_LIT("account"));
    bool emergency = sl_words_have(&item->duties, SL_LIT("emergency-record"));
    bool asked = options->intermediary ? account && item->consent.len : account || emergency;
    return item->released && asked && is_about(options, item);
}

/* ---- In words ---- */

static struct sl_slice purpose_of(struct sl_slice code)
{
    for (size_t i = 0; i < sl_purpose_count(); i++)
        if (sl_slice_eq(sl_purpose_code(i), code))
            return sl_purpose_name(i);
    return code;
}

static int by_type(const void *a, const void *b)
{
    const struct sl_recorded_item *const *x = a, *const *y = b;
    return ((*x)->type > (*y)->type) - ((*x)->type < (*y)->type);
}

/* How many records of each type. */
static struct sl_slice describe(const struct accounting *a, const struct sl_recorded_item **items, size_t count)
{
    struct sl_slice text = {NULL, 0};
    qsort(items, count, sizeof *items, by_type);
    for (size_t i = 0, next; i < count; i = next) {
        for (next = i; next < count && items[next]->type == items[i]->type;)
            next++;
        struct sl_slice name = items[i]->type ? sl_r4_node_name(items[i]->type) : SL_LIT("record");
        text = sl_arena_printf(a->arena, "%.*s%s%zu %.*s", SL_FMT(text), text.len ? ", " : "", next - i, SL_FMT(name));
    }
    return text;
}

/* The consents relied on, each once; or that it was an emergency. */
static struct sl_slice base_of(const struct accounting *a, const struct sl_recorded_item **items, size_t count)
{
    struct sl_slice told[CONSENTS_TOLD], text = {NULL, 0};
    size_t known = 0;
    bool more = false, emergency = false;
    for (size_t i = 0; i < count; i++) {
        struct sl_slice consent = items[i]->consent;
        struct sl_words list = {told, known};
        emergency |= sl_words_have(&items[i]->duties, SL_LIT("emergency-record"));
        if (!consent.len || sl_words_have(&list, consent))
            continue;
        more |= known == CONSENTS_TOLD;
        if (known < CONSENTS_TOLD)
            told[known++] = consent;
    }
    for (size_t i = 0; i < known; i++)
        text = sl_arena_printf(a->arena, "%.*s%s%.*s", SL_FMT(text), i ? ", " : "", SL_FMT(told[i]));
    if (more)
        text = sl_arena_printf(a->arena, "%.*s and others", SL_FMT(text));
    if (emergency)
        text = sl_arena_printf(a->arena, "%.*s%sdeclared emergency", SL_FMT(text), text.len ? ", " : "");
    return text;
}

/* ---- Records ---- */

static bool tell(
    struct accounting *a, const struct sl_record *record, const struct sl_recorded_item **items, size_t count)
{
    const struct sl_recipient *r = &record->recipient;
    struct sl_disclosure disclosure = {.sequence = record->sequence,
        .time = record->time,
        .issuer = record->issuer,
        .client = r->client,
        .organization = r->organization,
        .organization_name = r->organization_name,
        .person = r->user_name.len ? r->user_name : r->user_reference,
        .purpose = purpose_of(r->purpose),
        .description = describe(a, items, count),
        .basis = base_of(a, items, count)};
    for (size_t i = 0; i < count; i++)
        disclosure.emergency |= sl_words_have(&items[i]->duties, SL_LIT("emergency-record"));
    if (sl_arena_failed(a->arena)) {
        a->status = SL_NO_MEMORY;
        return false;
    }
    a->result->rows++;
    return a->visit(a->context, &disclosure);
}

static bool tell_record(struct accounting *a, const struct sl_record *record)
{
    const struct sl_recorded_item **items = sl_arena_array(a->arena, record->item_count + 1, sizeof *items);
    size_t count = 0;
    if (!items) {
        a->status = SL_NO_MEMORY;
        return false;
    }
    for (size_t i = 0; i < record->item_count; i++)
        if (is_listed(a->options, &record->items[i]))
            items[count++] = &record->items[i];
    return !count || tell(a, record, items, count);
}

/* What did not end well was answered with an error and nothing else. */
static bool take(void *context, uint64_t sequence, struct sl_slice text)
{
    struct accounting *a = context;
    struct sl_record record;
    sl_arena_reset(a->arena);
    a->result->records++;
    enum sl_status status = sl_record_read(a->arena, sequence, text, &record);
    if (status != SL_OK) {
        a->status = status == SL_INVALID ? SL_OK : status; /* of something else than an exchange */
        return status == SL_INVALID;
    }
    if (!a->result->first) {
        a->result->first = record.time;
        a->result->pruned = sequence > 0 && record.time > a->options->since;
    }
    if (record.status >= 400 || record.time < a->options->since || record.time > a->options->until)
        return true;
    return tell_record(a, &record);
}

enum sl_status sl_accounting(const char *directory, const struct sl_accounting_options *options,
    struct sl_issues *issues, bool (*visit)(void *context, const struct sl_disclosure *disclosure), void *context,
    struct sl_accounted *result)
{
    *result = (struct sl_accounted){0};
    struct accounting a = {
        .options = options, .arena = sl_arena_new(RECORD_ARENA), .visit = visit, .context = context, .result = result};
    if (!a.arena)
        return SL_NO_MEMORY;
    enum sl_status status = sl_ledger_read(directory, 0, issues, take, &a);
    sl_arena_free(a.arena);
    return status == SL_OK ? a.status : status;
}
