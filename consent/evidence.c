/* SPDX-License-Identifier: Apache-2.0 */
/* Writing down what decisions rest on: see sluice/evidence.h. Ids and words of the policy, no content. */
#include "sluice/evidence.h"

#include <stdlib.h>

#include "item_facts.h"
#include "ruling.h"

#define GROUNDS_BYTES ((size_t)64 << 20)
#define COMPARED 64u /* how far back an equal one is looked for */

struct sl_grounds {
    struct sl_buffer text;
    size_t count;
    struct {
        uint32_t begin, end; /* of no more than GROUNDS_BYTES */
    } recent[COMPARED];      /* of the last ones, by number */
    /* The decision last asked of. */
    const struct sl_ruling *ruling;
    struct state state;
    size_t at;
};

struct sl_grounds *sl_grounds_new(void)
{
    struct sl_grounds *grounds = calloc(1, sizeof *grounds);
    if (grounds)
        sl_buffer_init(&grounds->text, GROUNDS_BYTES);
    return grounds;
}

void sl_grounds_free(struct sl_grounds *grounds)
{
    if (grounds)
        sl_buffer_fini(&grounds->text);
    free(grounds);
}

void sl_grounds_forget(struct sl_grounds *grounds)
{
    if (grounds)
        grounds->ruling = NULL;
}

const struct sl_buffer *sl_grounds_text(const struct sl_grounds *grounds)
{
    return &grounds->text;
}

const char *sl_voucher_name(enum sl_voucher voucher)
{
    static const char *const names[] = {[SL_BY_RECORD] = "record",
        [SL_BY_REGISTRY] = "registry",
        [SL_BY_REGISTER] = "register",
        [SL_BY_TOKEN] = "token",
        [SL_BY_DECLARATION] = "declaration"};
    return (size_t)voucher < sizeof names / sizeof *names ? names[voucher] : NULL;
}

/* ---- Writing one ---- */

/* A list that is left out where it is empty: "begin" before its first word, `end` after its last. */
struct listing {
    struct sl_buffer *out;
    const char *key;
    bool begun;
};

static void begin_word(struct listing *l)
{
    if (l->begun)
        sl_buffer_add(l->out, SL_LIT(","));
    else
        sl_buffer_printf(l->out, "%s\"%s\":[", l->out->len && l->out->ptr[l->out->len - 1] == '{' ? "" : ",", l->key);
    l->begun = true;
}

static void add_word(struct listing *l, struct sl_slice word)
{
    begin_word(l);
    sl_buffer_json_string(l->out, word);
}

static void end_list(const struct listing *l)
{
    if (l->begun)
        sl_buffer_add(l->out, SL_LIT("]"));
}

static void write_words(struct sl_buffer *out, const char *key, const struct sl_slice *words, size_t count)
{
    struct listing l = {out, key, false};
    for (size_t i = 0; i < count; i++)
        add_word(&l, words[i]);
    end_list(&l);
}

static bool is_about(const struct sl_ruling *ruling, struct sl_slice patient)
{
    for (size_t i = 0; i < ruling->person_count; i++)
        if (sl_slice_eq(ruling->persons[i], patient))
            return true;
    return sl_slice_eq(patient, SL_LIT("*"));
}

/* Those with somebody at hand; with nobody at hand all, since that there is one can count (ruling.h, nobody). */
static void write_relationships(struct sl_buffer *out, const struct sl_ruling *ruling)
{
    struct listing l = {out, "related", false};
    const struct sl_recipient *r = &ruling->recipient;
    for (size_t i = 0; i < r->relationship_count; i++) {
        const struct sl_relationship *one = &r->relationships[i];
        const char *voucher = sl_voucher_name(one->voucher);
        if (!voucher || (ruling->person_count && !is_about(ruling, one->patient)))
            continue;
        begin_word(&l);
        sl_buffer_add(out, SL_LIT("["));
        sl_buffer_json_string(out, one->kind);
        sl_buffer_printf(out, ",\"%s\",", voucher);
        sl_buffer_json_string(out, one->patient);
        if (one->authority.len || one->since) {
            sl_buffer_add(out, SL_LIT(","));
            sl_buffer_json_string(out, one->authority);
        }
        if (one->since)
            sl_buffer_printf(out, ",%lld", (long long)one->since);
        sl_buffer_add(out, SL_LIT("]"));
    }
    end_list(&l);
}

/* Every consent that permits this item to this recipient now, whatever the policy takes it for. */
static void write_consents(
    struct sl_buffer *out, const struct sl_ruling *ruling, const struct sl_item *item, const struct sl_classes *classes)
{
    struct listing l = {out, "consents", false};
    for (size_t i = 0; i < ruling->candidate_count; i++) {
        const struct candidate *c = &ruling->candidates[i];
        enum sl_consent_verdict verdict = sl_candidate_verdict(ruling, c, item, classes);
        if (verdict == SL_CONSENT_PERMIT && c->person < ruling->person_count)
            add_word(&l, sl_directive_id(c->directive));
    }
    end_list(&l);
}

static void write_kinds(struct sl_buffer *out, const struct sl_ruling *ruling, const struct state *state)
{
    struct listing l = {out, "holds", false};
    for (unsigned k = 0; ruling->person_count && k < ruling->policy->kind_id_count; k++)
        if (state->kinds >> k & 1)
            add_word(&l, ruling->policy->kind_ids[k]);
    if (ruling->person_count && state->kinds & SL_KIND_NAMED)
        add_word(&l, SL_LIT("named-in-consent"));
    end_list(&l);
}

static void write_facts(struct sl_buffer *out, const struct sl_ruling *ruling, const struct state *state)
{
    struct listing l = {out, "facts", false};
    for (uint32_t rest = state->facts; rest; rest &= rest - 1) {
        struct sl_buffer word;
        sl_buffer_init(&word, 1024);
        sl_predicate_name(&word, &ruling->policy->predicates[__builtin_ctz(rest)]);
        add_word(&l, sl_buffer_slice(&word));
        sl_buffer_fini(&word);
    }
    end_list(&l);
}

static void write_ground(struct sl_buffer *out, const struct sl_ruling *ruling, const struct state *state,
    const struct sl_item *item, const struct sl_classes *classes)
{
    sl_buffer_add(out, SL_LIT("{"));
    write_words(out, "patients", ruling->persons, ruling->person_count);
    write_words(out, "parties", ruling->party_ids, ruling->party_count);
    write_relationships(out, ruling);
    write_consents(out, ruling, item, classes);
    write_kinds(out, ruling, state);
    write_facts(out, ruling, state);
    if (state->denial) {
        struct listing l = {out, "denied", false};
        add_word(&l, sl_directive_id(state->denial));
        end_list(&l);
    }
    sl_buffer_add(out, SL_LIT("}"));
}

/* ---- Each once ---- */

/* An equal one among the last, else its own number. The text of the new one ends the buffer. */
static size_t settle(struct sl_grounds *g, size_t begin)
{
    struct sl_slice text = {g->text.ptr + begin, g->text.len - begin};
    for (size_t back = 1; back <= COMPARED && back <= g->count; back++) {
        size_t number = g->count - back, first = g->recent[number % COMPARED].begin;
        if (!sl_slice_eq(text, (struct sl_slice){g->text.ptr + first, g->recent[number % COMPARED].end - first}))
            continue;
        g->text.len = begin > 0 ? begin - 1 : 0; /* and the comma before it */
        return number;
    }
    g->recent[g->count % COMPARED].begin = (uint32_t)begin;
    g->recent[g->count % COMPARED].end = (uint32_t)g->text.len;
    return g->count++;
}

size_t sl_grounds_of(
    struct sl_grounds *grounds, const struct sl_ruling *ruling, const struct sl_item *item, const struct sl_part *part)
{
    const struct sl_item *whole = part && part->lender ? part->lender : item;
    struct sl_classes judged = whole->classes;
    if (part)
        sl_classes_join(&judged, &part->classes);
    struct state state = sl_state_of(ruling, whole, &judged);
    state.facts = sl_facts_of(ruling, whole, &judged, ~0u); /* not only those that a rule at hand asks for */
    bool same = grounds->ruling == ruling && !ruling->by_consent && grounds->state.kinds == state.kinds &&
                grounds->state.facts == state.facts && grounds->state.denial == state.denial;
    if (same)
        return grounds->at;
    if (grounds->text.len)
        sl_buffer_add(&grounds->text, SL_LIT(","));
    size_t begin = grounds->text.len;
    write_ground(&grounds->text, ruling, &state, whole, &judged);
    if (sl_buffer_failed(&grounds->text))
        return 0;
    grounds->ruling = ruling;
    grounds->state = state;
    return grounds->at = settle(grounds, begin);
}
