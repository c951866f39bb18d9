/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Grants to write: asking them (sluice/write.h), and where a grant of delete holds, which is worked out once for a
 * policy by going through it exhaustively (policy_cells.h).
 *
 * What is deleted is gone with its hidden parts, and so is what was hidden whole and pointed there. So a delete is for
 * those from whom nothing of the type can be hidden: a class that the type can earn must be released to the party,
 * whole and unchanged, in every case there can be. What is about a patient can be hidden by what the patient directs,
 * of which no policy knows; it is deleted by nobody from outside. (It can be marked entered-in-error by an update.)
 */
#include "policy_cells.h"
#include "sluice/write.h"

static const char *const words[SL_WRITE_ACTIONS] = {"", "create", "update", "patch", "delete"};

struct sl_slice sl_write_word(enum sl_write_action action)
{
    return sl_slice_of(words[action < SL_WRITE_ACTIONS ? action : SL_WRITE_NONE]);
}

enum sl_write_action sl_write_find(struct sl_slice word)
{
    for (unsigned i = SL_WRITE_CREATE; i < SL_WRITE_ACTIONS; i++)
        if (sl_slice_eq(word, sl_slice_of(words[i])))
            return (enum sl_write_action)i;
    return SL_WRITE_NONE;
}

/* ---- Where a delete holds ---- */

/* Is the class earned by a record's type, and by nothing else? */
static bool by_type_alone(const struct sl_policy *policy, unsigned bit)
{
    const struct sl_yaml *earned = sl_yaml_get(policy->class_sources[bit].at, "earned-by");
    return earned && earned->count == 1 && sl_yaml_get(earned, "types");
}

static struct sl_classes possible_classes(const struct sl_policy *policy, sl_r4_node type)
{
    struct sl_classes classes = {{0}};
    for (unsigned bit = 0; bit < policy->class_count; bit++)
        if (!by_type_alone(policy, bit) || sl_classes_has(&policy->earning.by_type[type], bit))
            sl_classes_add(&classes, bit);
    return classes;
}

/* Does a rule about the class limit or change what the party gets? */
static bool has_terms(const struct sl_side *side, uint64_t purpose)
{
    for (size_t i = 0; i < side->policy->rule_count; i++) {
        const struct sl_rule *rule = &side->policy->rules[i];
        bool reaches = rule->everyone || rule->parties >> side->party & 1;
        if (reaches && rule->purposes & purpose && sl_classes_has(&rule->data, side->class) && sl_rule_has_terms(rule))
            return true;
    }
    return false;
}

/* Is the class released, whole, in every case? */
static bool always_goes(const struct sl_side *side, size_t purpose, struct sl_asked *asked)
{
    struct sl_facts facts = {.count = 0};
    sl_facts_find(&facts, side, purpose);
    sl_facts_settle(&facts, &side->policy->parties[side->party]);
    if (facts.too_many || has_terms(side, sl_purpose_bit(sl_purpose_code(purpose))))
        return false;
    sl_cell_begin(asked, side, purpose);
    for (uint32_t truth = 0; truth < (uint32_t)1 << facts.count; truth++)
        if (sl_facts_can_be(&facts, side, truth) && sl_cell_ask(asked, side, &facts, truth) != SL_ANSWER_YES)
            return false;
    return true;
}

static bool all_go(struct sl_side side, size_t purpose, const struct sl_classes *classes, struct sl_asked *asked)
{
    for (side.class = 0; side.class < side.policy->class_count; side.class ++)
        if (sl_classes_has(classes, side.class) && !always_goes(&side, purpose, asked))
            return false;
    return true;
}

/* The purposes of the grant for which the delete holds. */
static uint64_t purposes_of(
    const struct sl_policy *policy, const struct sl_grant *grant, unsigned party, sl_r4_node type, struct sl_asked *a)
{
    const struct sl_side side = {.policy = policy, .party = party};
    const struct sl_classes classes = possible_classes(policy, type);
    uint64_t purposes = 0;
    for (size_t i = 0; i < sl_purpose_count(); i++) {
        uint64_t bit = sl_purpose_bit(sl_purpose_code(i));
        if (grant->purposes & bit && all_go(side, i, &classes, a))
            purposes |= bit;
    }
    return purposes;
}

static enum sl_status settle(struct sl_policy *policy, struct sl_grant *grant, struct sl_asked *asked)
{
    for (unsigned type = 1; type < SL_R4_NODES; type++) {
        if (!sl_grant_has_type(grant, (sl_r4_node)type) || !(sl_r4_facts((sl_r4_node)type) & SL_R4_DIRECTORY))
            continue;
        for (unsigned party = SL_BUILTINS; party < policy->party_count; party++) {
            uint64_t purposes =
                grant->parties >> party & 1 ? purposes_of(policy, grant, party, (sl_r4_node)type, asked) : 0;
            struct sl_deletes *one = purposes ? sl_arena_alloc(policy->arena, sizeof *one) : NULL;
            if (purposes && !one)
                return SL_NO_MEMORY;
            if (!purposes)
                continue;
            *one = (struct sl_deletes){(sl_r4_node)type, party, purposes, grant->deletes};
            grant->deletes = one;
        }
    }
    return SL_OK;
}

enum sl_status sl_grants_settle(struct sl_policy *policy)
{
    struct sl_arena *scratch = NULL;
    enum sl_status status = SL_OK;
    for (size_t i = 0; i < policy->grant_count && status == SL_OK; i++) {
        if (!(policy->grants[i].may >> SL_WRITE_DELETE & 1))
            continue;
        if (!scratch)
            scratch = sl_arena_new(2 * sizeof(struct sl_asked) + 65536);
        struct sl_asked *asked = scratch ? sl_arena_alloc(scratch, sizeof *asked) : NULL;
        status = asked ? settle(policy, &policy->grants[i], asked) : SL_NO_MEMORY;
        if (scratch)
            sl_arena_reset(scratch);
    }
    sl_arena_free(scratch);
    return status;
}

/* ---- Asking ---- */

/* Another party of the same recipient may be refused what this one is given. */
static bool refused_otherwise(const struct sl_ruling *ruling, unsigned party)
{
    uint64_t others = ruling->parties & ~((uint64_t)1 << party);
    for (size_t i = 0; i < ruling->rule_count; i++) {
        const struct sl_rule *rule = ruling->rules[i];
        if (rule->verdict != SL_RULE_RELEASE && !rule->everyone && rule->parties & others)
            return true;
    }
    return false;
}

static bool delete_holds(const struct sl_ruling *ruling, const struct sl_grant *grant, sl_r4_node type)
{
    for (const struct sl_deletes *d = grant->deletes; d; d = d->next)
        if (d->type == type && d->purposes & ruling->purpose && ruling->parties >> d->party & 1 &&
            !refused_otherwise(ruling, d->party))
            return true;
    return false;
}

static bool speaks(
    const struct sl_ruling *ruling, const struct sl_grant *grant, sl_r4_node type, enum sl_write_action action)
{
    return grant->parties & ruling->parties && grant->purposes & ruling->purpose && grant->may >> action & 1 &&
           sl_grant_has_type(grant, type);
}

/* The labels of several grants, one list after the other. */
static enum sl_status join_labels(const struct sl_grant *grant, struct sl_arena *arena, struct sl_write_labels *labels)
{
    labels->tags |= grant->tags;
    if (!labels->label_count || !grant->label_count) {
        labels->labels = grant->label_count ? grant->labels : labels->labels;
        labels->label_count += grant->label_count;
        return SL_OK;
    }
    size_t count = labels->label_count + grant->label_count;
    struct sl_coding *joined = sl_arena_array(arena, count, sizeof *joined);
    if (!joined)
        return SL_NO_MEMORY;
    memcpy(joined, labels->labels, labels->label_count * sizeof *joined);
    memcpy(joined + labels->label_count, grant->labels, grant->label_count * sizeof *joined);
    *labels = (struct sl_write_labels){joined, count, labels->tags};
    return SL_OK;
}

enum sl_status sl_write_ask(const struct sl_ruling *ruling, sl_r4_node type, enum sl_write_action action,
    struct sl_arena *arena, struct sl_write_answer *out)
{
    const struct sl_policy *policy = ruling->policy;
    SL_ASSERT(action > SL_WRITE_NONE && action < SL_WRITE_ACTIONS);
    *out = (struct sl_write_answer){.verdict = SL_WRITE_REFUSED, .why = "no-grant"};
    for (size_t i = 0; i < policy->grant_count; i++) {
        const struct sl_grant *grant = &policy->grants[i];
        if (!speaks(ruling, grant, type, action))
            continue;
        if (action == SL_WRITE_DELETE && !delete_holds(ruling, grant, type)) {
            out->why = out->grant ? out->why : "delete-may-hide";
            continue;
        }
        out->verdict = SL_WRITE_GRANTED;
        out->grant = out->grant ? out->grant : &grant->view;
        out->why = "granted";
        SL_TRY(join_labels(grant, arena, &out->labels));
    }
    return SL_OK;
}

bool sl_write_offered(const struct sl_policy *policy, sl_r4_node type, enum sl_write_action action)
{
    for (size_t i = 0; i < policy->grant_count; i++)
        if (policy->grants[i].may >> action & 1 && sl_grant_has_type(&policy->grants[i], type) &&
            (action != SL_WRITE_DELETE || policy->grants[i].deletes))
            return true;
    return false;
}
