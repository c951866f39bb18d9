/* SPDX-License-Identifier: Apache-2.0 */
/* What would alter an answer: see whatif.h. */
#include "whatif.h"

#include <stdlib.h>

#include "item_facts.h"
#include "scenario.h"

#define CHANGES 64u /* that rules about the case ask for */
#define TRIED 3000u /* cases decided, at most, before it is said that no smaller change was found */
#define SCRATCH ((size_t)8 << 20)
#define WORDS 48u /* relationships, kinds and agreements of the recipient that is supposed */

enum change_type {
    CHANGE_CONSENT,
    CHANGE_NAMED,
    CHANGE_DENIAL,
    CHANGE_EMERGENCY,
    CHANGE_RELATIONSHIP,
    CHANGE_AGREEMENT,
    CHANGE_FACT,
    CHANGE_KIND,
    CHANGE_PURPOSE,
    CHANGE_PARTY
};

/* One fact, turned into its opposite. In the order in which they are told. */
struct change {
    enum change_type type;
    bool add;
    struct sl_slice word; /* relationship, agreement, kind, purpose, party */
    unsigned bit;         /* kind of consent, predicate */
};

struct search {
    const struct sl_ruling *ruling;
    const struct sl_item *item;
    const struct sl_part *part;
    struct state state;
    struct sl_classes classes;
    struct change changes[CHANGES];
    size_t count;
    struct sl_arena *arena, *scratch;
    struct sl_whatif *out;
    size_t tried;
    size_t told[SL_WHATIF_DEPTH]; /* the set told last, of as many changes as are tried now */
};

/* ---- What could be otherwise ---- */

static void add_change(struct search *s, struct change change)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->changes[i].type == change.type && s->changes[i].bit == change.bit &&
            sl_slice_eq(s->changes[i].word, change.word))
            return;
    if (s->count < CHANGES)
        s->changes[s->count++] = change;
}

static bool has_relationship(const struct search *s, struct sl_slice kind)
{
    const struct sl_recipient *r = &s->ruling->recipient;
    for (size_t i = 0; i < r->relationship_count; i++)
        if (sl_slice_eq(r->relationships[i].kind, kind) && r->relationships[i].voucher != SL_BY_DECLARATION)
            return true;
    return false;
}

static bool has_agreement(const struct search *s, struct sl_slice kind)
{
    for (size_t i = 0; i < s->ruling->recipient.agreement_count; i++)
        if (sl_slice_eq(s->ruling->recipient.agreements[i].kind, kind))
            return true;
    return false;
}

static bool is_kind(const struct search *s, struct sl_slice kind)
{
    const struct sl_recipient *r = &s->ruling->recipient;
    for (size_t i = 0; i < r->kind_count; i++)
        if (sl_slice_eq(r->kinds[i], kind))
            return true;
    return false;
}

static void add_words(struct search *s, enum change_type type, const struct sl_words *words,
    bool (*has)(const struct search *s, struct sl_slice word))
{
    for (size_t i = 0; i < words->count; i++)
        add_change(s, (struct change){.type = type, .add = !has(s, words->word[i]), .word = words->word[i]});
}

static void add_kinds(struct search *s, uint32_t kinds)
{
    for (unsigned k = 0; k < s->ruling->policy->kind_id_count; k++)
        if (kinds >> k & 1)
            add_change(s, (struct change){.type = CHANGE_CONSENT, .add = !(s->state.kinds >> k & 1), .bit = k});
    if (kinds & SL_KIND_NAMED)
        add_change(s, (struct change){.type = CHANGE_NAMED, .add = !(s->state.kinds & SL_KIND_NAMED)});
}

static void add_facts(struct search *s, uint32_t facts)
{
    for (uint32_t rest = facts; rest; rest &= rest - 1) {
        unsigned bit = (unsigned)__builtin_ctz(rest);
        add_change(s, (struct change){.type = CHANGE_FACT, .add = !(s->state.facts >> bit & 1), .bit = bit});
    }
}

static void add_lines(struct search *s, const struct sl_condition *lines, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct sl_condition *c = &lines[i];
        add_kinds(s, c->kinds);
        add_facts(s, c->facts);
        for (unsigned k = 0; k < SL_CHOICES; k++)
            add_facts(s, c->one_of[k]);
        if (c->emergency)
            add_change(s, (struct change){.type = CHANGE_EMERGENCY, .add = !s->ruling->emergency});
        add_words(s, CHANGE_RELATIONSHIP, &c->relationships, has_relationship);
        add_words(s, CHANGE_KIND, &c->recipient, is_kind);
        add_words(s, CHANGE_KIND, &c->not_recipient, is_kind);
    }
}

/* What makes somebody the party, short of its roles and names; and the party itself. */
static void add_party(struct search *s, unsigned number)
{
    const struct sl_party *party = &s->ruling->policy->parties[number];
    if (party->builtin) {
        add_kinds(s, number == SL_PARTY_NAMED ? SL_KIND_NAMED : 0);
        add_facts(s, number == SL_PARTY_STAFF ? SL_FACT_STAFF : 0);
        return;
    }
    if (party->emergency)
        add_change(s, (struct change){.type = CHANGE_EMERGENCY, .add = !s->ruling->emergency});
    if (s->ruling->parties >> number & 1)
        return;
    add_words(s, CHANGE_RELATIONSHIP, &party->relationships, has_relationship);
    add_words(s, CHANGE_AGREEMENT, &party->agreements, has_agreement);
    add_change(s, (struct change){.type = CHANGE_PARTY, .add = true, .word = party->id});
}

static bool is_about(const struct search *s, const struct sl_rule *rule)
{
    return sl_classes_meet(&rule->data, &s->classes);
}

/* One purpose of those for which the same rules are. */
static void add_purposes(struct search *s)
{
    const struct sl_policy *policy = s->ruling->policy;
    uint64_t told = s->ruling->purpose;
    for (size_t p = 0; p < sl_purpose_count(); p++) {
        uint64_t bit = sl_purpose_bit(sl_purpose_code(p)), alike = ~(uint64_t)0;
        for (size_t i = 0; i < policy->rule_count; i++)
            if (is_about(s, &policy->rules[i]))
                alike &= policy->rules[i].purposes & bit ? policy->rules[i].purposes : ~policy->rules[i].purposes;
        if (alike & told)
            continue;
        told |= bit;
        add_change(s, (struct change){.type = CHANGE_PURPOSE, .add = true, .word = sl_purpose_code(p)});
    }
}

static int by_type(const void *a, const void *b)
{
    const struct change *x = a, *y = b;
    return (x->type > y->type) - (x->type < y->type);
}

static void find_changes(struct search *s)
{
    const struct sl_policy *policy = s->ruling->policy;
    if (s->state.denial)
        add_change(s, (struct change){.type = CHANGE_DENIAL});
    for (size_t i = 0; i < policy->rule_count; i++) {
        const struct sl_rule *rule = &policy->rules[i];
        if (!is_about(s, rule))
            continue;
        add_lines(s, rule->only_if, rule->only_if_count);
        add_lines(s, rule->unless, rule->unless_count);
        for (unsigned p = 0; p < policy->party_count; p++)
            if (rule->parties >> p & 1)
                add_party(s, p);
    }
    add_purposes(s);
    qsort(s->changes, s->count, sizeof *s->changes, by_type);
}

/* ---- A case with some of it otherwise ---- */

struct supposed {
    struct sl_recipient recipient;
    struct sl_relationship relationships[WORDS];
    struct sl_slice kinds[WORDS];
    struct sl_agreement agreements[WORDS];
    struct sl_emergency statement;
    struct state state;
};

static void suppose_relationship(struct supposed *p, const struct change *change)
{
    struct sl_recipient *r = &p->recipient;
    size_t kept = 0;
    for (size_t i = 0; i < r->relationship_count; i++)
        if (change->add || !sl_slice_eq(p->relationships[i].kind, change->word))
            p->relationships[kept++] = p->relationships[i];
    r->relationship_count = kept;
    /* Vouched for by whoever is enough. */
    for (enum sl_voucher v = SL_BY_RECORD; change->add && v < SL_BY_DECLARATION && r->relationship_count < WORDS; v++)
        p->relationships[r->relationship_count++] =
            (struct sl_relationship){.kind = change->word, .patient = SL_LIT("*"), .voucher = v};
}

static void suppose_kind(struct supposed *p, const struct change *change)
{
    struct sl_recipient *r = &p->recipient;
    size_t kept = 0;
    for (size_t i = 0; i < r->kind_count; i++)
        if (!sl_slice_eq(p->kinds[i], change->word))
            p->kinds[kept++] = p->kinds[i];
    r->kind_count = kept;
    if (change->add && kept < WORDS)
        p->kinds[r->kind_count++] = change->word;
}

static void suppose_agreement(struct supposed *p, const struct change *change)
{
    if (change->add && p->recipient.agreement_count < WORDS)
        p->agreements[p->recipient.agreement_count++] = (struct sl_agreement){.kind = change->word};
}

static void suppose(struct supposed *p, const struct change *change)
{
    switch (change->type) {
    case CHANGE_CONSENT:
        p->state.kinds ^= (uint32_t)1 << change->bit;
        break;
    case CHANGE_NAMED:
        p->state.kinds ^= SL_KIND_NAMED;
        break;
    case CHANGE_DENIAL:
        p->state.denial = NULL;
        break;
    case CHANGE_EMERGENCY:
        p->recipient.emergency = change->add ? &p->statement : NULL;
        break;
    case CHANGE_RELATIONSHIP:
        suppose_relationship(p, change);
        break;
    case CHANGE_AGREEMENT:
        suppose_agreement(p, change);
        break;
    case CHANGE_FACT:
        p->state.facts ^= (uint32_t)1 << change->bit;
        break;
    case CHANGE_KIND:
        suppose_kind(p, change);
        break;
    case CHANGE_PURPOSE:
        p->recipient.purpose = change->word;
        break;
    case CHANGE_PARTY:
        p->recipient.party = change->word;
        p->recipient.kind_count = 0;
        break;
    }
}

static void begin(const struct search *s, struct supposed *p)
{
    const struct sl_recipient *r = &s->ruling->recipient;
    p->recipient = *r;
    p->state = s->state;
    p->statement = (struct sl_emergency){.clinician = SL_LIT("clinician"),
        .affiliation = SL_LIT("affiliation"),
        .discloser = SL_LIT("discloser"),
        .nature = SL_LIT("nature"),
        .consent_unobtainable = true,
        .made = s->ruling->now};
    p->recipient.relationships = p->relationships;
    p->recipient.kinds = p->kinds;
    p->recipient.agreements = p->agreements;
    for (size_t i = 0; i < r->relationship_count && i < WORDS / 2; i++)
        p->relationships[i] = r->relationships[i];
    for (size_t i = 0; i < r->kind_count && i < WORDS / 2; i++)
        p->kinds[i] = r->kinds[i];
    for (size_t i = 0; i < r->agreement_count && i < WORDS / 2; i++)
        p->agreements[i] = r->agreements[i];
    p->recipient.relationship_count = r->relationship_count < WORDS / 2 ? r->relationship_count : WORDS / 2;
    p->recipient.kind_count = r->kind_count < WORDS / 2 ? r->kind_count : WORDS / 2;
    p->recipient.agreement_count = r->agreement_count < WORDS / 2 ? r->agreement_count : WORDS / 2;
}

static enum sl_status decide(struct search *s, const struct sl_policy *policy, const struct supposed *p,
    const struct sl_classes *without, bool *goes)
{
    struct sl_ruling *ruling = NULL;
    struct sl_item item = *s->item;
    sl_arena_reset(s->scratch);
    s->tried++;
    SL_TRY(sl_ruling_supposed(s->scratch, policy, &p->recipient, s->ruling->persons, s->ruling->person_count,
        s->ruling->now, &p->state, &ruling));
    if (without)
        sl_classes_cut(&item.classes, without);
    struct sl_verdict verdict = sl_decide_item(ruling, &item);
    if (s->part && verdict.decision == SL_RELEASED) {
        struct sl_part part = *s->part;
        if (without)
            sl_classes_cut(&part.classes, without);
        verdict = sl_decide_part(ruling, &item, &part);
    }
    *goes = verdict.decision == SL_RELEASED;
    return SL_OK;
}

/* ---- In words ---- */

static struct sl_slice purpose_name(struct sl_slice code)
{
    for (size_t i = 0; i < sl_purpose_count(); i++)
        if (sl_slice_eq(sl_purpose_code(i), code))
            return sl_purpose_name(i);
    return code;
}

/* Alternatives of one kind are told together: "the purpose were payment or marketing". */
static bool has_alternatives(enum change_type type)
{
    return type == CHANGE_PURPOSE || type == CHANGE_PARTY || type == CHANGE_KIND;
}

static void write_change(const struct search *s, const struct change *c, struct sl_buffer *out)
{
    const struct sl_policy *policy = s->ruling->policy;
    switch (c->type) {
    case CHANGE_CONSENT:
        sl_buffer_printf(out,
            c->add ? "the patient gave the consent %.*s" : "the patient had not given the consent %.*s",
            SL_FMT(policy->kind_ids[c->bit]));
        break;
    case CHANGE_NAMED:
        sl_buffer_add(out, c->add ? SL_LIT("a consent of the patient's named the recipient")
                                  : SL_LIT("no consent of the patient's named the recipient"));
        break;
    case CHANGE_DENIAL:
        sl_buffer_printf(out, "the patient took back the denial %.*s", SL_FMT(sl_directive_id(s->state.denial)));
        break;
    case CHANGE_EMERGENCY:
        sl_buffer_add(out, c->add ? SL_LIT("an emergency were declared") : SL_LIT("no emergency were declared"));
        break;
    case CHANGE_RELATIONSHIP:
        sl_buffer_printf(out, "its relationship with the patient were%s %.*s", c->add ? "" : " not", SL_FMT(c->word));
        break;
    case CHANGE_AGREEMENT:
        sl_buffer_printf(out, "%s agreement %.*s were in force with it", c->add ? "an" : "no", SL_FMT(c->word));
        break;
    case CHANGE_FACT:
        sl_buffer_add(out, c->add ? SL_LIT("it held: ") : SL_LIT("it did not hold: "));
        sl_predicate_write(out, &policy->predicates[c->bit]);
        break;
    case CHANGE_KIND:
        sl_buffer_printf(out, "the recipient were%s of the kind %.*s", c->add ? "" : " not", SL_FMT(c->word));
        break;
    case CHANGE_PURPOSE:
        sl_buffer_printf(out, "the purpose were %.*s", SL_FMT(purpose_name(c->word)));
        break;
    case CHANGE_PARTY:
        sl_buffer_printf(out, "who asks were %.*s", SL_FMT(c->word));
        break;
    }
}

/* Does it differ from the set told last in its last change alone, and that in its word? */
static bool is_alternative(const struct search *s, const size_t *which, unsigned count)
{
    const struct change *was = &s->changes[s->told[count - 1]], *is = &s->changes[which[count - 1]];
    return s->out->fact_count && has_alternatives(is->type) && was->type == is->type && was->add == is->add &&
           memcmp(s->told, which, (count - 1) * sizeof *which) == 0;
}

static enum sl_status tell(struct search *s, const size_t *which, unsigned count)
{
    struct sl_buffer text;
    const struct change *last = &s->changes[which[count - 1]];
    bool more = is_alternative(s, which, count);
    if (!more && s->out->fact_count == SL_WHATIF_SHOWN)
        return SL_OK;
    struct sl_slice *fact = &s->out->facts[more ? s->out->fact_count - 1 : s->out->fact_count++];
    sl_buffer_init(&text, 64 * 1024);
    if (more)
        sl_buffer_printf(&text, "%.*s or %.*s", SL_FMT(*fact),
            SL_FMT(last->type == CHANGE_PURPOSE ? purpose_name(last->word) : last->word));
    for (unsigned i = 0; !more && i < count; i++) {
        sl_buffer_add(&text, i ? SL_LIT(", and ") : SL_LIT(""));
        write_change(s, &s->changes[which[i]], &text);
    }
    *fact = sl_arena_copy(s->arena, sl_buffer_slice(&text));
    sl_buffer_fini(&text);
    memcpy(s->told, which, count * sizeof *which);
    return fact->ptr ? SL_OK : SL_NO_MEMORY;
}

/* ---- The search ---- */

/* Two that cannot both be: two purposes, two parties asking. */
static bool clash(const struct search *s, const size_t *which, unsigned count)
{
    for (unsigned i = 1; i < count; i++) {
        enum change_type type = s->changes[which[i]].type;
        if ((type == CHANGE_PURPOSE || type == CHANGE_PARTY) && s->changes[which[i - 1]].type == type)
            return true;
    }
    return false;
}

static enum sl_status try_set(struct search *s, const size_t *which, unsigned count)
{
    struct supposed p;
    bool goes;
    if (clash(s, which, count))
        return SL_OK;
    begin(s, &p);
    for (unsigned i = 0; i < count; i++)
        suppose(&p, &s->changes[which[i]]);
    SL_TRY(decide(s, s->ruling->policy, &p, NULL, &goes));
    return goes != s->out->goes ? tell(s, which, count) : SL_OK;
}

/* The next set of so many, in order. */
static bool advance(size_t *which, unsigned count, size_t most)
{
    for (unsigned i = count; i-- > 0;) {
        if (which[i] + (count - i) >= most)
            continue;
        which[i]++;
        for (unsigned k = i + 1; k < count; k++)
            which[k] = which[k - 1] + 1;
        return true;
    }
    return false;
}

static enum sl_status search_facts(struct search *s)
{
    for (unsigned count = 1; count <= SL_WHATIF_DEPTH && count <= s->count && !s->out->fact_count; count++) {
        size_t which[SL_WHATIF_DEPTH] = {0, 1, 2};
        do {
            if (s->tried >= TRIED)
                return SL_OK;
            SL_TRY(try_set(s, which, count));
        } while (advance(which, count, s->count));
        s->out->depth = count;
    }
    return SL_OK;
}

static enum sl_status search_rules(struct search *s, const struct supposed *as_is)
{
    const struct sl_policy *policy = s->ruling->policy;
    struct sl_mutant *mutant = sl_arena_alloc(s->arena, sizeof *mutant);
    if (!mutant)
        return SL_NO_MEMORY;
    SL_TRY(sl_mutant_init(mutant, policy, s->arena));
    for (size_t i = 0; i < policy->rule_count; i++) {
        bool goes;
        if (!is_about(s, &policy->rules[i]))
            continue;
        sl_mutant_silence(mutant, i);
        SL_TRY(decide(s, &mutant->policy, as_is, NULL, &goes));
        sl_mutant_restore(mutant, i);
        if (goes != s->out->goes && s->out->rule_count < SL_WHATIF_SHOWN)
            s->out->rules[s->out->rule_count++] = &policy->rules[i];
    }
    return SL_OK;
}

static enum sl_status search_classes(struct search *s, const struct supposed *as_is)
{
    for (unsigned bit = sl_classes_next(&s->classes, 0); bit < SL_CLASS_LIMIT && !s->out->goes;
         bit = sl_classes_next(&s->classes, bit + 1)) {
        struct sl_classes one = {0};
        bool goes;
        sl_classes_add(&one, bit);
        SL_TRY(decide(s, s->ruling->policy, as_is, &one, &goes));
        if (goes && s->out->class_count < SL_WHATIF_SHOWN)
            s->out->classes[s->out->class_count++] = bit;
    }
    return SL_OK;
}

static void find_never(struct search *s)
{
    for (size_t i = 0; i < s->ruling->rule_count && !s->out->goes; i++) {
        const struct sl_rule *rule = s->ruling->rules[i];
        if (rule->verdict == SL_RULE_RELEASE || rule->narrows || !rule->lift_never || !is_about(s, rule) ||
            !sl_rule_speaks(s->ruling, rule, &s->state) || s->out->never_count == SL_WHATIF_SHOWN)
            continue;
        s->out->never[s->out->never_count++] = rule;
    }
}

static enum sl_status search(struct search *s)
{
    struct supposed as_is;
    begin(s, &as_is);
    SL_TRY(decide(s, s->ruling->policy, &as_is, NULL, &s->out->goes));
    find_changes(s);
    SL_TRY(search_rules(s, &as_is));
    SL_TRY(search_classes(s, &as_is));
    find_never(s);
    return search_facts(s);
}

enum sl_status sl_whatif(struct sl_arena *arena, const struct sl_ruling *ruling, const struct sl_item *item,
    const struct sl_part *part, struct sl_whatif *out)
{
    struct search *s = sl_arena_alloc(arena, sizeof *s);
    *out = (struct sl_whatif){0};
    if (!s)
        return SL_NO_MEMORY;
    *s = (struct search){.ruling = ruling,
        .item = item,
        .part = part,
        .classes = part ? part->classes : item->classes,
        .arena = arena,
        .scratch = sl_arena_new(SCRATCH),
        .out = out};
    if (!s->scratch)
        return SL_NO_MEMORY;
    struct sl_classes judged = item->classes;
    sl_classes_join(&judged, &s->classes);
    s->state = sl_state_of(ruling, part && part->lender ? part->lender : item, &judged);
    if (part)
        sl_classes_join(&s->classes, &item->classes);
    enum sl_status status = search(s);
    sl_arena_free(s->scratch);
    return status;
}
