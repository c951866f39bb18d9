/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list of directives: which of them stand, what kind each counts as, and what is said of each. Reading is
 * directive_read.c, judging directive_judge.c, storing directive_store.c.
 */
#include "directive_model.h"

#include <time.h>

#include "sluice/buffer.h"
#include "sluice/fault.h"

/* ---- Lists ---- */

void sl_directives_join(struct sl_directives *list, struct sl_directives *more)
{
    if (!more->first)
        return;
    if (list->last)
        list->last->next = more->first;
    else
        list->first = more->first;
    list->last = more->last;
    list->count += more->count;
    *more = (struct sl_directives){0};
}

static void append(struct sl_directives *list, struct sl_directive *directive)
{
    struct sl_directives one = {.first = directive, .last = directive, .count = 1};
    directive->next = NULL;
    sl_directives_join(list, &one);
}

enum sl_status sl_directives_about(
    const struct sl_directives *list, struct sl_slice patient, struct sl_arena *arena, struct sl_directives *out)
{
    *out = (struct sl_directives){0};
    for (const struct sl_directive *d = list->first; d; d = d->next) {
        if (!sl_slice_eq(d->patient, patient))
            continue;
        struct sl_directive *copy = sl_arena_alloc(arena, sizeof *copy);
        if (!copy)
            return SL_NO_MEMORY;
        *copy = *d;
        append(out, copy);
    }
    return SL_OK;
}

enum sl_status sl_directives_copy(const struct sl_directives *list, struct sl_slice patient, bool confirmed,
    struct sl_arena *arena, struct sl_directives *out)
{
    for (const struct sl_directive *d = list->first; d; d = d->next) {
        struct sl_directive *copy = sl_arena_alloc(arena, sizeof *copy);
        if (!copy)
            return SL_NO_MEMORY;
        *copy = *d;
        copy->foreign = d->foreign || (!confirmed && !sl_slice_eq(d->patient, patient));
        copy->no_permit = d->no_permit || copy->foreign;
        copy->patient = patient;
        append(out, copy);
    }
    return SL_OK;
}

bool sl_directives_name_discloser(const struct sl_directives *list)
{
    for (const struct sl_directive *d = list->first; d; d = d->next) {
        if (d->organizations.there)
            return true;
        for (uint32_t i = 0; i < d->provision_count; i++)
            for (uint32_t v = 0; v < d->provisions[i].actors.count; v++)
                if (d->provisions[i].actors.value[v].kind == SL_ROLE_DISCLOSER)
                    return true;
    }
    return false;
}

/* ---- Which stand ---- */

static bool readable(const struct sl_directive *d)
{
    bool all = !d->unreadable && d->scope_known && !d->unverified;
    for (uint32_t i = 0; i < d->provision_count; i++)
        all = all && sl_provision_readable(&d->provisions[i]);
    return all;
}

static bool begun(const struct sl_directive *d, int64_t now)
{
    const struct sl_moment *start = &d->provisions[0].period.start;
    return d->date.there && d->date.begin <= now && !(start->there && start->begin > now);
}

static bool over(const struct sl_directive *d, int64_t now)
{
    return d->provisions[0].period.there && sl_match_now(&d->provisions[0].period, now) == SL_UNMET;
}

static bool later(const struct sl_directive *d, const struct sl_directive *than)
{
    return d->date.there && than->date.there && d->date.begin >= than->date.end;
}

/*
 * "A later Consent of the same category, grantor, discloser and recipients supersedes", if for the same purposes. One
 * that is in force and understood takes the whole place of the earlier one. One that was in force once, or is not
 * understood in every part, ends what the earlier one permitted, but not what it denied: neither a revocation nor
 * something unreadable may let more through.
 */
enum effect { NO_EFFECT, ENDS_PERMIT, TAKES_PLACE };

static enum effect effect_on(const struct sl_directive *earlier, const struct sl_directive *d, int64_t now)
{
    bool same = d != earlier && d->matter.len && sl_slice_eq(d->matter, earlier->matter) &&
                sl_slice_eq(d->patient, earlier->patient);
    if (!sl_slice_eq(d->matter_purposes, earlier->matter_purposes) && readable(d))
        return NO_EFFECT; /* for something else: both stand */
    bool counts = d->status == SL_CONSENT_ACTIVE || d->status == SL_CONSENT_INACTIVE;
    if (!same || !counts || !d->privacy || d->unverified || !later(d, earlier) || !begun(d, now))
        return NO_EFFECT;
    bool takes_place = d->status == SL_CONSENT_ACTIVE && !over(d, now) && readable(d) && !d->foreign;
    return takes_place ? TAKES_PLACE : ENDS_PERMIT;
}

static bool supersede(struct sl_directive *earlier, const struct sl_directive *d, int64_t now)
{
    enum effect effect = effect_on(earlier, d, now);
    if (effect == ENDS_PERMIT)
        earlier->no_permit = true;
    return effect == TAKES_PLACE;
}

/* Two versions of one Consent: the one updated later stands, or else the one that was read later. */
static bool outdated(const struct sl_directive *d, const struct sl_directive *other, bool other_is_behind)
{
    bool same = d != other && d->id.len > sizeof "Consent/" - 1 && sl_slice_eq(d->id, other->id) &&
                sl_slice_eq(d->patient, other->patient);
    if (!same)
        return false;
    if (d->updated.there && other->updated.there && d->updated.begin != other->updated.begin)
        return d->updated.begin < other->updated.begin;
    return other_is_behind;
}

static bool keep(const struct sl_directives *list, struct sl_directive *d, int64_t now)
{
    bool active = d->status == SL_CONSENT_ACTIVE || sl_fault(SL_FAULT_CONSENT_OVER);
    bool stands =
        active && !over(d, now) && !(d->scope_known && !d->privacy) && !(d->date.there && d->date.begin > now);
    for (const struct sl_directive *other = list->first; other && stands; other = other->next)
        stands = !supersede(d, other, now);
    return stands;
}

static void drop_outdated(struct sl_directives *list)
{
    struct sl_directives kept = {0};
    for (struct sl_directive *d = list->first, *next; d; d = next) {
        next = d->next;
        if (!d->outdated)
            append(&kept, d);
    }
    *list = kept;
}

static const struct sl_directive *newer_than(const struct sl_directives *list, const struct sl_directive *d)
{
    bool behind = false;
    for (const struct sl_directive *other = list->first; other; other = other->next) {
        if (outdated(d, other, behind))
            return other;
        behind = behind || other == d;
    }
    return NULL;
}

/* Versions go first: an old one of a Consent must not supersede anything. */
void sl_directives_settle(struct sl_directives *list, int64_t now)
{
    for (struct sl_directive *d = list->first; d; d = d->next)
        d->outdated = newer_than(list, d) != NULL;
    drop_outdated(list);
    for (struct sl_directive *d = list->first; d; d = d->next)
        d->outdated = !keep(list, d, now);
    drop_outdated(list);
}

/* ---- What becomes of one ---- */

static enum sl_consent_fate own_fate(const struct sl_directive *d, int64_t now)
{
    if (d->status != SL_CONSENT_ACTIVE)
        return SL_FATE_NOT_ACTIVE;
    if (d->scope_known && !d->privacy)
        return SL_FATE_OTHER_SCOPE;
    if (d->date.there && d->date.begin > now)
        return SL_FATE_NOT_YET;
    if (over(d, now))
        return SL_FATE_OVER;
    bool doubtful = !d->scope_known || !d->date.there || d->unverified || d->unreadable;
    return doubtful ? SL_FATE_DENIES_ONLY : SL_FATE_STANDS;
}

enum sl_consent_fate sl_directive_fate(
    const struct sl_directives *list, const struct sl_directive *d, int64_t now, const struct sl_directive **by)
{
    *by = newer_than(list, d);
    if (*by)
        return SL_FATE_SUPERSEDED;
    enum sl_consent_fate fate = own_fate(d, now);
    if (fate != SL_FATE_STANDS && fate != SL_FATE_DENIES_ONLY)
        return fate;
    for (const struct sl_directive *other = list->first; other; other = other->next) {
        enum effect effect = newer_than(list, other) ? NO_EFFECT : effect_on(d, other, now);
        if (effect == TAKES_PLACE) {
            *by = other;
            return SL_FATE_SUPERSEDED;
        }
        if (effect == ENDS_PERMIT) {
            *by = other;
            fate = SL_FATE_PERMIT_ENDED;
        }
    }
    return fate;
}

bool sl_directive_until(const struct sl_directive *d, int64_t *until)
{
    const struct sl_moment *end = &d->provisions[0].period.end;
    *until = end->there ? end->end : 0;
    return end->there;
}

/* ---- What is said of one ---- */

struct sl_slice sl_directive_id(const struct sl_directive *directive)
{
    return directive->id;
}

struct sl_slice sl_directive_patient(const struct sl_directive *directive)
{
    return directive->patient;
}

const struct sl_directive *sl_directive_next(const struct sl_directive *directive)
{
    return directive->next;
}

#define NAME_LIMIT 100u /* bytes of a name in the scope */
#define NAMES_LIMIT 20u /* names of one kind in it */

/* The words of the Consent for somebody, or the reference; control characters become spaces. */
static void add_name(struct sl_buffer *out, const struct sl_value *value)
{
    struct sl_slice name = value->display.len ? value->display : value->code;
    size_t len = name.len < NAME_LIMIT ? name.len : NAME_LIMIT;
    while (len && len < name.len && ((unsigned char)name.ptr[len] & 0xc0) == 0x80)
        len--; /* not in the middle of a character */
    for (size_t i = 0; i < len; i++)
        sl_buffer_add(out,
            (unsigned char)name.ptr[i] < ' ' || name.ptr[i] == 0x7f ? SL_LIT(" ") : (struct sl_slice){name.ptr + i, 1});
}

/* What is being said, and of whom: with `asking`, of that recipient and that item's discloser alone. */
struct naming {
    const struct sl_directive *d;
    const struct sl_asking *asking;
    struct sl_buffer *out;
    const char *before; /* what stands before the first */
    unsigned count;
};

static bool concerns(const struct naming *n, struct sl_value value, enum sl_role role)
{
    value.kind = (uint8_t)role;
    return !n->asking || sl_match_actor(n->asking, &value) == SL_MET;
}

static void add_next(struct naming *n, const struct sl_value *value)
{
    if (n->count++ >= NAMES_LIMIT)
        return;
    sl_buffer_printf(n->out, "%s", n->count == 1 ? n->before : ", ");
    add_name(n->out, value);
}

/* Does the provision name recipients, and not the one who asks? */
static bool is_others(const struct naming *n, const struct sl_provision *p)
{
    bool any = false, met = false;
    for (uint32_t v = 0; v < p->actors.count; v++)
        if (p->actors.value[v].kind == SL_ROLE_RECIPIENT) {
            any = true;
            met = met || concerns(n, p->actors.value[v], SL_ROLE_RECIPIENT);
        }
    return any && !met;
}

static void add_actors(struct naming *n, enum sl_role role)
{
    for (uint32_t i = 0; i < n->d->provision_count; i++) {
        const struct sl_provision *p = &n->d->provisions[i];
        for (uint32_t v = 0; p->type == SL_PROVISION_PERMIT && v < p->actors.count; v++)
            if (p->actors.value[v].kind == role && concerns(n, p->actors.value[v], role))
                add_next(n, &p->actors.value[v]);
    }
}

static void add_disclosers(struct naming *n)
{
    for (uint32_t i = 0; i < n->d->organizations.count; i++)
        if (concerns(n, n->d->organizations.value[i], SL_ROLE_DISCLOSER))
            add_next(n, &n->d->organizations.value[i]);
    if (n->count == 0)
        add_actors(n, SL_ROLE_DISCLOSER);
    if (n->count == 0)
        sl_buffer_add(n->out, SL_LIT("The holder of the records"));
}

static struct sl_slice purpose_words(struct sl_slice code)
{
    static const struct {
        const char *code, *words;
    } names[] = {{"TREAT", "treatment"}, {"HPAYMT", "payment"}, {"HOPERAT", "health care operations"},
        {"HRESCH", "research"}, {"ETREAT", "emergency treatment"}, {"PATRQT", "the patient's request"},
        {"HMARKT", "marketing"}};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        if (sl_slice_eq(code, sl_slice_of(names[k].code)))
            return sl_slice_of(names[k].words);
    return code;
}

static void add_purposes(struct naming *n)
{
    for (uint32_t i = 0; i < n->d->provision_count; i++) {
        const struct sl_provision *p = &n->d->provisions[i];
        for (uint32_t v = 0; sl_provision_permits(n->d, i) && !is_others(n, p) && v < p->purposes.count; v++)
            if (p->purposes.value[v].code.len)
                add_next(n, &(struct sl_value){.code = purpose_words(p->purposes.value[v].code)});
    }
}

/* The day before the second at which it ends: "2026-12-31". */
static void add_day(struct sl_buffer *out, const char *before, int64_t seconds)
{
    struct tm day;
    time_t at = (time_t)seconds;
    char text[32];
    if (gmtime_r(&at, &day) && strftime(text, sizeof text, "%Y-%m-%d", &day))
        sl_buffer_printf(out, "%s%s", before, text);
}

static bool says_type(const struct sl_directive *d, enum sl_provision_type type)
{
    for (uint32_t i = 0; i < d->provision_count; i++)
        if (d->provisions[i].type == type)
            return true;
    return false;
}

bool sl_directive_permits_something(const struct sl_directive *directive)
{
    return says_type(directive, SL_PROVISION_PERMIT);
}

bool sl_directive_denies_something(const struct sl_directive *directive)
{
    return says_type(directive, SL_PROVISION_DENY) || says_type(directive, SL_PROVISION_UNREADABLE);
}

static void write_scope(const struct sl_directive *directive, const struct sl_asking *asking, struct sl_buffer *out)
{
    struct naming disclosers = {directive, asking, out, "", 0}, recipients = {directive, asking, out, " to ", 0},
                  purposes = {directive, asking, out, " for ", 0};
    add_disclosers(&disclosers);
    sl_buffer_add(out, sl_directive_permits_something(directive) ? SL_LIT(" may disclose")
                       : sl_directive_denies_something(directive)
                           ? SL_LIT(" may not disclose")
                           : SL_LIT(" is neither permitted nor forbidden to disclose"));
    add_actors(&recipients, SL_ROLE_RECIPIENT);
    add_purposes(&purposes);
    const struct sl_moment *end = &directive->provisions[0].period.end;
    if (end->there)
        add_day(out, " until ", end->end - 1);
    if (directive->date.there)
        add_day(out, ", by the consent of ", directive->date.begin);
}

static struct sl_slice scope_of(
    const struct sl_directive *directive, const struct sl_asking *asking, struct sl_arena *arena)
{
    struct sl_buffer out;
    sl_buffer_init(&out, 16384);
    write_scope(directive, asking, &out);
    /* Half a scope says what nobody signed. */
    struct sl_slice text = {NULL, 0};
    if (!sl_buffer_failed(&out))
        text = sl_arena_copy(arena, sl_buffer_slice(&out));
    sl_buffer_fini(&out);
    return text;
}

struct sl_slice sl_directive_scope(const struct sl_directive *directive, struct sl_arena *arena)
{
    return scope_of(directive, NULL, arena);
}

struct sl_slice sl_directive_scope_for(const struct sl_directive *directive, const struct sl_recipient *recipient,
    const struct sl_item *item, struct sl_arena *arena)
{
    const struct sl_asking asking = {.directive = directive, .recipient = recipient, .item = item};
    return scope_of(directive, &asking, arena);
}
