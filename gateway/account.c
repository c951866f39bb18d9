/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a ledger record contains: one JSON text, compact, members in a fixed order, ids and codes and no record content.
 * Of a search the names of its parameters and the values that are ids; any other value (a name, a date of birth, a
 * code) stands there as a keyed mark: equal values can be told equal, and nobody without the key can try values against
 * it.
 *
 * 42 CFR 2.51(c) wants four things of an emergency disclosure: the clinician and affiliation, the discloser, date and
 * time, the nature of the emergency. They stand in `emergency` and `time`.
 */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "exchange.h"
#include "intent.h"
#include "write.h"

#define ITEMS_LIMIT ((size_t)64 * 1024 * 1024)
#define ITEMS_START ((size_t)2048) /* what a page's items mostly need: not grown into step by step */
#define RULES_LIMIT 32u
#define NO_GROUND SIZE_MAX

/* ---- Writing JSON ---- */

static void text(struct sl_buffer *out, struct sl_slice value)
{
    sl_buffer_json_string(out, value);
}

/* Words one behind the other, with one look at the room. */
static void add(struct sl_buffer *out, const struct sl_slice *words, size_t count)
{
    size_t len = 0;
    for (size_t i = 0; i < count; i++)
        len += words[i].len;
    char *room = sl_buffer_reserve(out, len);
    for (size_t i = 0; room && i < count; i++) {
        memcpy(room, words[i].ptr, words[i].len);
        room += words[i].len;
        out->len += words[i].len;
    }
}

/* "name": */
static void key(struct sl_buffer *out, const char *name)
{
    add(out, (const struct sl_slice[]){SL_LIT("\""), sl_slice_of(name), SL_LIT("\":")}, 3);
}

/* "name":"value", with a comma before it unless it is the first of its object. */
static void member(struct sl_buffer *out, const char *name, struct sl_slice value)
{
    bool first = !out->len || out->ptr[out->len - 1] == '{';
    const struct sl_slice words[] = {first ? SL_LIT("\"") : SL_LIT(",\""), sl_slice_of(name), SL_LIT("\":")};
    add(out, words, 3);
    text(out, value);
}

/* As member, left out where there is nothing to say. */
static void optional(struct sl_buffer *out, const char *name, struct sl_slice value)
{
    if (value.len)
        member(out, name, value);
}

static void list(struct sl_buffer *out, const char *name, const struct sl_slice *values, size_t count)
{
    sl_buffer_add(out, SL_LIT(","));
    key(out, name);
    sl_buffer_add(out, SL_LIT("["));
    for (size_t i = 0; i < count; i++) {
        if (i)
            sl_buffer_add(out, SL_LIT(","));
        text(out, values[i]);
    }
    sl_buffer_add(out, SL_LIT("]"));
}

static void classes(struct sl_buffer *out, const struct sl_policy *policy, const struct sl_classes *set)
{
    bool first = true;
    sl_buffer_add(out, SL_LIT(",\"classes\":["));
    for (unsigned bit = sl_classes_next(set, 0); bit < SL_CLASS_LIMIT; bit = sl_classes_next(set, bit + 1)) {
        const struct sl_class *class = sl_policy_class(policy, bit);
        if (!class)
            continue;
        if (!first)
            sl_buffer_add(out, SL_LIT(","));
        text(out, class->id);
        first = false;
    }
    sl_buffer_add(out, SL_LIT("]"));
}

/* The place of what the decision rested on (sluice/evidence.h). */
static size_t ground_of(struct sl_account *account, const struct sl_item *item, const struct sl_part *part)
{
    if (!account->grounds)
        account->grounds = sl_grounds_new();
    account->failed |= !account->grounds;
    return account->grounds && item->ruling ? sl_grounds_of(account->grounds, item->ruling, item, part) : NO_GROUND;
}

/* The classes decided on, and that place, which it gives. */
static size_t ground(
    struct sl_exchange *x, struct sl_buffer *out, const struct sl_item *item, const struct sl_part *part)
{
    classes(out, x->policy, part ? &part->classes : &item->classes);
    size_t place = ground_of(&x->account, item, part);
    if (place != NO_GROUND)
        sl_buffer_printf(out, ",\"ground\":%zu", place);
    return place;
}

static void begin_item(struct sl_buffer *out, const struct sl_item *item)
{
    if (!out->limit) {
        sl_buffer_init(out, ITEMS_LIMIT);
        (void)sl_buffer_reserve(out, ITEMS_START);
    }
    struct sl_slice type = sl_r4_node_name(item->type), id = sl_is_id(item->id) ? item->id : SL_LIT("?");
    struct sl_slice front = out->len ? SL_LIT(",{\"item\":\"") : SL_LIT("{\"item\":\"");
    add(out, (const struct sl_slice[]){front, type, SL_LIT("/"), id, SL_LIT("\"")}, 5);
    if (item->is_version)
        optional(out, "version", item->version);
}

/* ---- Items ---- */

void sl_account_clear(struct sl_account *account)
{
    sl_buffer_fini(&account->released);
    sl_buffer_fini(&account->withheld);
    sl_grounds_free(account->grounds);
    *account = (struct sl_account){0};
}

/* Whose record tells of what x decides: the history of many is made of those of single records, which have no record of
 * their own. Of anything else within, its outer one accounts for what it makes of it. */
static struct sl_exchange *teller(struct sl_exchange *x)
{
    return x->outer && x->outer->wide ? x->outer : x;
}

void sl_account_forget(struct sl_exchange *x)
{
    sl_grounds_forget(teller(x)->account.grounds);
}

void sl_account_withheld(struct sl_exchange *x, const struct sl_withheld *withheld)
{
    x = teller(x);
    struct sl_buffer *out = &x->account.withheld;
    const struct sl_cause *cause = &withheld->cause;
    const struct sl_class *class = sl_policy_class(x->policy, cause->class_bit);
    begin_item(out, withheld->item);
    optional(out, "path", withheld->path);
    optional(out, "why", sl_slice_of(cause->why));
    if (class)
        optional(out, "class", class->id);
    if (cause->rule)
        optional(out, "rule", cause->rule->id);
    optional(out, "directive", cause->directive);
    optional(out, "unlabelled", sl_slice_of(withheld->item->unlabelled));
    if (!withheld->path.len)
        (void)ground(x, out, withheld->item, NULL);
    sl_buffer_add(out, SL_LIT("}"));
    x->account.withheld_count += !withheld->path.len;
}

/* What is released by its own decision, and stays all the same. */
static void account_held(struct sl_exchange *x, const struct sl_found *found, struct sl_slice why)
{
    x = teller(x);
    struct sl_buffer *out = &x->account.withheld;
    begin_item(out, found->item);
    member(out, "why", why);
    (void)ground(x, out, found->item, NULL);
    sl_buffer_add(out, SL_LIT("}"));
    x->account.withheld_count++;
}

void sl_account_unmatched(struct sl_exchange *x, const struct sl_found *found)
{
    account_held(x, found, SL_LIT("no-match-after-cuts"));
}

void sl_account_past(struct sl_exchange *x, const struct sl_found *found)
{
    account_held(x, found, SL_LIT("later-version-withheld"));
}

/* The elements that have classes of their own, and which of them went: like ones once. */
static void parts(struct sl_exchange *x, struct sl_buffer *out, const struct sl_item *item)
{
    bool any = false;
    for (uint32_t i = 0; i < item->part_count; i++) {
        const struct sl_part *part = &item->parts[i], *like = i ? part - 1 : NULL;
        if (like && like->cut == part->cut && like->lender == part->lender &&
            memcmp(&like->classes, &part->classes, sizeof part->classes) == 0)
            continue;
        sl_buffer_add(out, any ? SL_LIT(",{") : SL_LIT(",\"parts\":[{"));
        any = true;
        sl_buffer_add(out, part->cut ? SL_LIT("\"cut\":true") : SL_LIT("\"cut\":false"));
        (void)ground(x, out, item, part);
        sl_buffer_add(out, SL_LIT("}"));
    }
    if (any)
        sl_buffer_add(out, SL_LIT("]"));
}

/* What the release brings with it, by the policy's words: an accounting and a 2.51 record are drawn from these. */
static void duties(struct sl_buffer *out, const struct sl_release *release)
{
    struct sl_slice names[3];
    size_t count = 0;
    if (release->notice)
        names[count++] = SL_LIT("notice");
    if (release->account)
        names[count++] = SL_LIT("account");
    if (release->emergency_record)
        names[count++] = SL_LIT("emergency-record");
    if (count)
        list(out, "duties", names, count);
}

/* On what terms it goes, and what rules ask of the officer: the queue is drawn from these (consent/queue.c). */
static void terms(struct sl_buffer *out, const struct sl_release *release)
{
    if (release->limited_count)
        list(out, "limited-to", release->limited_to, release->limited_count);
    if (release->changed_count)
        list(out, "changed", release->changed, release->changed_count);
    for (size_t i = 0; i < release->task_count; i++) {
        const struct sl_officer_task *task = &release->tasks[i];
        sl_buffer_add(out, i ? SL_LIT(",{") : SL_LIT(",\"tasks\":[{"));
        member(out, "rule", task->rule->id);
        if (task->notify)
            sl_buffer_add(out, SL_LIT(",\"notify\":true"));
        if (task->review_days)
            sl_buffer_printf(out, ",\"review-within\":%u", task->review_days);
        sl_buffer_add(out, i + 1 < release->task_count ? SL_LIT("}") : SL_LIT("}]"));
    }
}

/* Of one that is like the one before, down to what it rests on: the same bytes again. False: they are to be made. */
static bool again(struct sl_account *account, const struct sl_item *item)
{
    struct sl_buffer *out = &account->released;
    size_t begin = account->last.begin, len = account->last.end - begin, place = ground_of(account, item, NULL);
    if (place == NO_GROUND || place != account->last.ground)
        return false;
    char *room = sl_buffer_reserve(out, len);
    if (room) {
        memcpy(room, out->ptr + begin, len);
        out->len += len;
    }
    return true;
}

/* Whose record it is and what it went out on. */
static enum sl_status terms_of(
    struct sl_exchange *x, const struct sl_found *found, const struct sl_release *release, struct sl_buffer *out)
{
    const struct sl_rule_view *rules[RULES_LIMIT];
    struct sl_slice patients, names[RULES_LIMIT];
    SL_TRY(sl_pass_patients(found->pass, found->item, &patients));
    size_t count = sl_ruling_rules(found->item->ruling, found->item, rules, RULES_LIMIT);
    for (size_t i = 0; i < count && i < RULES_LIMIT; i++)
        names[i] = rules[i]->id;
    optional(out, "patient", patients);
    x->account.last.ground = ground(x, out, found->item, NULL);
    parts(x, out, found->item);
    list(out, "rules", names, count < RULES_LIMIT ? count : RULES_LIMIT);
    optional(out, "consent", release->consent);
    duties(out, release);
    terms(out, release);
    return SL_OK;
}

enum sl_status sl_account_released(
    struct sl_exchange *x, const struct sl_found *found, const struct sl_release *release, bool alike)
{
    struct sl_account *account = &x->account;
    struct sl_buffer *out = &account->released;
    begin_item(out, found->item);
    if (!found->item->is_version)
        optional(out, "version", found->item->version);
    if (!alike || !again(account, found->item)) {
        account->last.begin = out->len;
        SL_TRY(terms_of(x, found, release, out));
        account->last.end = out->len;
    }
    sl_buffer_add(out, SL_LIT("}"));
    account->released_count++;
    return sl_buffer_failed(out) ? SL_LIMIT : SL_OK;
}

/* ---- The record ---- */

static void instant(char out[32], int64_t seconds)
{
    time_t when = (time_t)seconds;
    struct tm tm;
    if (!gmtime_r(&when, &tm) || !strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm))
        snprintf(out, 32, "unknown");
}

void sl_account_exchange_id(const struct sl_exchange *x, char out[SL_EXCHANGE_ID])
{
    const unsigned char *b = x->state->gateway->boot;
    uint64_t boot = 0;
    for (size_t i = 0; i < 8; i++)
        boot = boot << 8 | b[i];
    snprintf(out, SL_EXCHANGE_ID, "%016" PRIx64 "-%" PRIx64, boot, x->number);
}

static void agreements(struct sl_buffer *out, const struct sl_recipient *r)
{
    for (size_t i = 0; i < r->agreement_count; i++) {
        const struct sl_agreement *one = &r->agreements[i];
        sl_buffer_add(out, i ? SL_LIT(",{") : SL_LIT(",\"agreements\":[{"));
        member(out, "kind", one->kind);
        optional(out, "with", one->with);
        if (one->service_count)
            list(out, "services", one->services, one->service_count);
        sl_buffer_add(out, i + 1 < r->agreement_count ? SL_LIT("}") : SL_LIT("}]"));
    }
}

static void recipient(struct sl_buffer *out, const struct sl_exchange *x)
{
    const struct sl_recipient *r = &x->caller.recipient;
    sl_buffer_add(out, SL_LIT(",\"recipient\":{"));
    if (x->caller.known) {
        member(out, "issuer", x->caller.issuer);
        member(out, "client", r->client);
        optional(out, "user", r->user);
        optional(out, "reference", r->user_reference);
        optional(out, "name", r->user_name);
        optional(out, "organization", r->organization);
        optional(out, "organization-name", r->organization_name);
        optional(out, "token", x->caller.token_id);
        member(out, "purpose", r->purpose);
        list(out, "roles", r->roles, r->role_count);
        list(out, "kinds", r->kinds, r->kind_count);
        agreements(out, r);
        if (r->network_count)
            list(out, "networks", r->networks, r->network_count);
        optional(out, "exchange-purpose", r->exchange_purpose);
    }
    sl_buffer_add(out, SL_LIT("}"));
}

/* The parties the recipient was found to be: the same for every ruling of an exchange but for relationships, so the
 * union over what was decided. */
void sl_account_parties(struct sl_exchange *x, const struct sl_ruling *ruling)
{
    x = teller(x);
    size_t count = 0;
    const struct sl_slice *some = ruling ? sl_ruling_parties(ruling, &count) : NULL;
    for (size_t i = 0; i < count; i++) {
        size_t at = 0;
        while (at < x->party_count && !sl_slice_eq(x->parties[at], some[i]))
            at++;
        if (at == x->party_count && at < SL_ACCOUNT_PARTIES)
            x->parties[x->party_count++] = some[i]; /* the policy's, which the exchange holds */
    }
}

/* A value that is an id stands in the clear: whose record it was is what an accounting of disclosures is about. */
static bool is_reference(const struct sl_search_param *param, struct sl_slice value)
{
    for (size_t i = 0; i < value.len; i++)
        if (value.ptr[i] <= 0x20 || value.ptr[i] > 0x7e)
            return false;
    return sl_slice_eq(param->name, SL_LIT("_id")) || param->param->type == SL_PARAM_REFERENCE;
}

static enum sl_status search_values(
    struct sl_buffer *out, const struct sl_exchange *x, const struct sl_search_param *param)
{
    for (size_t i = 0; i < param->value_count; i++) {
        unsigned char mark[32];
        if (i)
            sl_buffer_add(out, SL_LIT(","));
        if (is_reference(param, param->values[i].text)) {
            text(out, param->values[i].text);
            continue;
        }
        SL_TRY(sl_seal_mark(x->state->gateway->sealer, param->values[i].text, mark));
        sl_buffer_add(out, SL_LIT("\"#"));
        for (unsigned j = 0; j < 16; j++)
            sl_buffer_printf(out, "%02x", mark[j]);
        sl_buffer_add(out, SL_LIT("\""));
    }
    return SL_OK;
}

static enum sl_status interaction(struct sl_buffer *out, const struct sl_exchange *x)
{
    const struct sl_interaction *in = &x->interaction;
    sl_buffer_add(out, SL_LIT(",\"interaction\":{"));
    member(out, "kind", sl_interaction_name(in->kind));
    optional(out, "type", in->type_name);
    optional(out, "id", in->id);
    optional(out, "version", in->version);
    optional(out, "since", in->since);
    optional(out, "compartment", in->compartment);
    if (in->kind == SL_SEARCH) {
        sl_buffer_add(out, SL_LIT(",\"parameters\":["));
        for (size_t i = 0; i < in->search.param_count; i++) {
            const struct sl_search_param *param = &in->search.params[i];
            sl_buffer_add(out, i ? SL_LIT(",{") : SL_LIT("{"));
            member(out, "name", param->name);
            optional(out, "modifier", param->modifier);
            sl_buffer_add(out, SL_LIT(",\"values\":["));
            SL_TRY(search_values(out, x, param));
            sl_buffer_add(out, SL_LIT("]}"));
        }
        sl_buffer_printf(
            out, "],\"includes\":%zu,\"first\":%s", in->search.include_count, x->first_page ? "true" : "false");
    }
    sl_buffer_add(out, SL_LIT("}"));
    return SL_OK;
}

static void emergency(struct sl_buffer *out, const struct sl_exchange *x)
{
    const struct sl_emergency *e = x->caller.recipient.emergency;
    if (!e)
        return;
    sl_buffer_add(out, SL_LIT(",\"emergency\":{"));
    member(out, "clinician", e->clinician);
    member(out, "affiliation", e->affiliation);
    member(out, "discloser", e->discloser);
    member(out, "nature", e->nature);
    if (e->made) {
        char made[32];
        instant(made, e->made);
        member(out, "made", sl_slice_of(made));
    }
    sl_buffer_add(out, SL_LIT(",\"consent-unobtainable\":true}"));
}

static void items(struct sl_buffer *out, const char *name, const struct sl_buffer *from)
{
    sl_buffer_add(out, SL_LIT(","));
    key(out, name);
    sl_buffer_add(out, SL_LIT("["));
    sl_buffer_add(out, sl_buffer_slice(from));
    sl_buffer_add(out, SL_LIT("]"));
}

/* What every record begins with. kind: "exchange", or what else it is of one. */
static enum sl_status head(struct sl_exchange *x, const char *kind)
{
    struct sl_buffer *out = &x->record;
    char time[32], id[SL_EXCHANGE_ID];
    if (!out->limit)
        sl_buffer_init(out, 2 * ITEMS_LIMIT);
    sl_buffer_clear(out);
    (void)sl_buffer_reserve(out, x->account.released.len + x->account.withheld.len + ITEMS_START);
    instant(time, x->now);
    sl_account_exchange_id(x, id);
    sl_buffer_add(out, SL_LIT("{\"v\":2"));
    member(out, "time", sl_slice_of(time));
    member(out, kind, sl_slice_of(id));
    member(out, "node", x->state->gateway->config->node);
    sl_buffer_printf(out, ",\"generation\":%" PRIu64, x->generation);
    optional(out, "policy", x->policy ? sl_policy_digest(x->policy) : (struct sl_slice){NULL, 0});
    recipient(out, x);
    list(out, "parties", x->parties, x->party_count);
    member(out, "peer", x->peer.ptr ? x->peer : x->conn ? sl_conn_peer(x->conn) : SL_LIT("self-test"));
    return interaction(out, x);
}

enum sl_status sl_account_intent(struct sl_exchange *x)
{
    SL_TRY(head(x, "intent"));
    sl_intent_account(x, &x->record);
    sl_buffer_add(&x->record, SL_LIT("}"));
    return sl_buffer_failed(&x->record) ? SL_LIMIT : SL_OK;
}

enum sl_status sl_account_write(struct sl_exchange *x)
{
    struct sl_buffer *out = &x->record;
    SL_TRY(head(x, "exchange"));
    sl_buffer_printf(out, ",\"status\":%d", x->response.status);
    member(out, "outcome", sl_slice_of(sl_status_name(x->status)));
    optional(out, "why", x->status == SL_OK ? (struct sl_slice){NULL, 0} : sl_slice_of(x->why));
    emergency(out, x);
    if (x->account.grounds)
        items(out, "grounds", sl_grounds_text(x->account.grounds));
    sl_write_account(x, out);
    items(out, "released", &x->account.released);
    items(out, "withheld", &x->account.withheld);
    sl_buffer_add(out, SL_LIT("}"));
    bool failed = x->account.failed || (x->account.grounds && sl_buffer_failed(sl_grounds_text(x->account.grounds))) ||
                  sl_buffer_failed(out) || sl_buffer_failed(&x->account.released) ||
                  sl_buffer_failed(&x->account.withheld);
    return failed ? SL_LIMIT : SL_OK;
}

/* A word of a client's making, for a log of one line an exchange: nothing that could end or forge a line. */
static void safe_word(struct sl_slice word, char out[65])
{
    size_t len = 0;
    for (size_t i = 0; i < word.len && len < 64; i++)
        out[len++] = word.ptr[i] > 0x20 && word.ptr[i] < 0x7f && word.ptr[i] != '"' ? word.ptr[i] : '?';
    if (!len)
        out[len++] = '-';
    out[len] = '\0';
}

void sl_account_log(const struct sl_exchange *x)
{
    char time[32], id[SL_EXCHANGE_ID], client[65];
    struct timespec now;
    if (!x->state->gateway->config->log)
        return;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t taken = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000 - x->started;
    instant(time, x->now);
    sl_account_exchange_id(x, id);
    safe_word(x->caller.recipient.client, client);
    fprintf(stderr,
        "%s %s client=%s purpose=%.*s %.*s %.*s status=%d %s why=%s released=%zu withheld=%zu ms=%" PRIu64 ".%03u\n",
        time, id, client, SL_FMT(x->caller.recipient.purpose.len ? x->caller.recipient.purpose : SL_LIT("-")),
        SL_FMT(sl_interaction_name(x->interaction.kind)),
        SL_FMT(x->interaction.type_name.len ? x->interaction.type_name : SL_LIT("-")), x->response.status,
        sl_status_name(x->status), x->status != SL_OK && x->why ? x->why : "-", x->account.released_count,
        x->account.withheld_count, taken / 1000, (unsigned)(taken % 1000));
}
