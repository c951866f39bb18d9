/* SPDX-License-Identifier: Apache-2.0 */
/* Putting a policy in force: generations in the store, what damages them, keys, signatures, and how many people it
 * takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "generation_log.h"
#include "sluice/generation.h"

#define SHIPPED SLUICE_SOURCE "/consent/policies"

/* ---- Three small policies: what stands under the rule's `to` is all that differs ---- */

#define HEAD "title: T\nversion: \"1\"\nnotice: {version: \"1\", statement: S., short: s.}\n"
static const char systems[] =
    "name,uri,kind,form,family,aliases\nicd-10-cm,http://hl7.org/fhir/sid/icd-10-cm,code,icd,claims,\n";
static const char categories[] = "id,sensitivity,confidentiality,part2,also_match\nSUD_OPIOID,OPIOIDUD,R,yes,ETH|SUD\n";
#define HOUSE(to)                                                                                                      \
    "layer: organization\n"                                                                                            \
    "parties:\n"                                                                                                       \
    "  - {id: physician, title: P, roles: [physician]}\n"                                                              \
    "  - {id: nurse, title: N, roles: [nurse]}\n"                                                                      \
    "classes:\n"                                                                                                       \
    "  - {id: chart, title: C, kind: needs-yes, earned-by: {types: others}}\n"                                         \
    "rules:\n"                                                                                                         \
    "  - {id: record, title: R, verdict: release, data: all, to: [" to "], for: [treatment]}\n"

static const char narrow[] = HOUSE("physician"), wide[] = HOUSE("physician, nurse"), other[] = HOUSE("nurse");

enum { ADA, BEN, CYN, PEOPLE };
static const char *const names[PEOPLE] = {"Ada Officer", "Ben Counsel", "Cyn Board"};

struct house {
    struct sl_arena *arena;
    struct sl_issues issues;
    struct sl_buffer told;
    struct sl_store *store;
    struct sl_policy *narrow, *wide, *other, *alone; /* alone: as narrow, with two-person-rule: no */
    struct sl_activated done;
    char folder[64];
    struct sl_slice key[PEOPLE], public[PEOPLE]; /* paths; hex */
};

static struct sl_policy *make(struct house *h, const char *head, const char *text)
{
    struct sl_policy *policy = NULL;
    const struct sl_policy_file files[] = {
        {SL_LIT("policy.yaml"), sl_slice_of(head)},
        {SL_LIT("house/a.yaml"), sl_slice_of(text)},
        {SL_LIT("terminology/systems.csv"), sl_slice_of(systems)},
        {SL_LIT("terminology/categories.csv"), sl_slice_of(categories)},
    };
    assert_int_equal(sl_policy_load_files(files, sizeof files / sizeof *files, &h->issues, &policy), SL_OK);
    return policy;
}

static int begin(void **state)
{
    struct house *h = calloc(1, sizeof *h);
    assert_non_null(h);
    *state = h;
    h->arena = sl_arena_new((size_t)256 << 20);
    h->issues.arena = h->arena;
    sl_buffer_init(&h->told, (size_t)16 << 20);
    strcpy(h->folder, "/tmp/sluice-generation-XXXXXX");
    assert_non_null(mkdtemp(h->folder));
    assert_int_equal(sl_store_open(h->folder, sl_policy_tables, (size_t)256 << 20, true, NULL, &h->store), SL_OK);
    h->narrow = make(h, HEAD, narrow);
    h->wide = make(h, HEAD, wide);
    h->other = make(h, HEAD, other);
    h->alone = make(h, HEAD "two-person-rule: no\n", narrow);
    for (unsigned i = 0; i < PEOPLE; i++) {
        h->key[i] = sl_arena_printf(h->arena, "%s/key%u", h->folder, i);
        assert_int_equal(sl_approval_key_new(h->key[i].ptr, &h->issues), SL_OK);
        struct sl_slice public = sl_arena_printf(h->arena, "%s.pub", h->key[i].ptr);
        assert_int_equal(sl_approval_key_read(public.ptr, h->arena, &h->issues, &h->public[i]), SL_OK);
    }
    return 0;
}

static int end(void **state)
{
    struct house *h = *state;
    char command[96];
    sl_store_close(h->store);
    sl_policy_unref(h->narrow);
    sl_policy_unref(h->wide);
    sl_policy_unref(h->other);
    sl_policy_unref(h->alone);
    sl_buffer_fini(&h->told);
    snprintf(command, sizeof command, "rm -r %s", h->folder);
    assert_int_equal(system(command), 0);
    sl_arena_free(h->arena);
    free(h);
    return 0;
}

/* ---- What the tests are written with ---- */

static bool said(const struct house *h, const char *code)
{
    for (const struct sl_issue *i = h->issues.first; i; i = i->next)
        if (sl_slice_eq(i->code, sl_slice_of(code)))
            return true;
    return false;
}

static void forget(struct house *h)
{
    h->issues = (struct sl_issues){.arena = h->arena};
    sl_buffer_clear(&h->told);
}

static struct sl_approval_file signed_by(struct house *h, unsigned who, struct sl_slice text)
{
    struct sl_approval_file file = {.name = sl_slice_of(names[who])};
    assert_int_equal(sl_approval_sign(h->key[who].ptr, text, h->arena, &h->issues, &file.bytes), SL_OK);
    return file;
}

static struct sl_slice text_for(struct house *h, const struct sl_policy *policy)
{
    struct sl_slice text;
    assert_int_equal(sl_approval_text(h->store, policy, h->arena, &text), SL_OK);
    return text;
}

static enum sl_status with_files(
    struct house *h, const struct sl_policy *policy, const struct sl_approval_file *files, size_t count)
{
    const struct sl_activation what = {.policy = policy,
        .author = SL_LIT("somebody"),
        .note = SL_LIT("why"),
        .now = 1000,
        .approvals = files,
        .approval_count = count,
        .any_packs = true};
    forget(h);
    return sl_policy_activate(h->store, &what, &h->issues, &h->told, &h->done);
}

/* Signed for this change by those of whom a bit is set. */
static enum sl_status activate(struct house *h, const struct sl_policy *policy, unsigned people)
{
    struct sl_approval_file files[PEOPLE];
    size_t count = 0;
    for (unsigned i = 0; i < PEOPLE; i++)
        if (people >> i & 1)
            files[count++] = signed_by(h, i, text_for(h, policy));
    return with_files(h, policy, files, count);
}

static enum sl_status change_key(struct house *h, bool retire, unsigned who, unsigned people)
{
    struct sl_approval_file files[PEOPLE];
    struct sl_key_change change = {.retire = retire,
        .name = sl_slice_of(names[who]),
        .key = h->public[who],
        .author = SL_LIT("somebody"),
        .now = 500,
        .approvals = files};
    struct sl_slice text;
    forget(h);
    SL_TRY(sl_key_change_text(h->store, &change, h->arena, &h->issues, &text));
    for (unsigned i = 0; i < PEOPLE; i++)
        if (people >> i & 1)
            files[change.approval_count++] = signed_by(h, i, text);
    return sl_key_change(h->store, &change, &h->issues);
}

static void register_all(struct house *h)
{
    assert_int_equal(change_key(h, false, ADA, 0), SL_OK);
    assert_int_equal(change_key(h, false, BEN, 1 << ADA), SL_OK);
    assert_int_equal(change_key(h, false, CYN, 1 << ADA | 1 << BEN), SL_OK);
}

static uint64_t in_force(struct house *h, const struct sl_policy *wanted)
{
    struct sl_policy *policy = NULL;
    uint64_t number = 0;
    assert_int_equal(sl_policy_in_force(h->store, NULL, &number, &policy), SL_OK);
    assert_true(sl_slice_eq(sl_policy_digest(policy), sl_policy_digest(wanted)));
    sl_policy_unref(policy);
    return number;
}

static enum sl_status roll_back(struct house *h, uint64_t to, unsigned people)
{
    struct sl_approval_file files[PEOPLE];
    struct sl_activation what = {.author = SL_LIT("somebody"), .now = 2000, .rollback_of = to, .approvals = files};
    struct sl_policy *policy = NULL;
    SL_TRY(sl_policy_of_generation(h->store, to, NULL, &policy));
    for (unsigned i = 0; i < PEOPLE; i++)
        if (people >> i & 1)
            files[what.approval_count++] = signed_by(h, i, text_for(h, policy));
    forget(h);
    what.policy = policy;
    enum sl_status status = sl_policy_activate(h->store, &what, &h->issues, &h->told, &h->done);
    sl_policy_unref(policy);
    return status;
}

/* ---- Generations ---- */

static void generations_come_and_go_back(void **state)
{
    struct house *h = *state;
    struct sl_policy *policy = NULL;
    struct sl_generation *list;
    uint64_t number = 99;
    size_t count;
    assert_int_equal(sl_policy_in_force(h->store, NULL, &number, &policy), SL_MISSING);
    assert_int_equal(sl_policy_number_in_force(h->store, &number), SL_MISSING);
    assert_int_equal(roll_back(h, 1, 0), SL_MISSING);
    assert_int_equal(activate(h, h->narrow, 0), SL_OK);
    assert_int_equal(activate(h, h->wide, 0), SL_OK);
    assert_int_equal(in_force(h, h->wide), 2);
    assert_true(sl_policy_diff_loosens(&h->done.diff));
    assert_int_equal(roll_back(h, 3, 0), SL_MISSING);
    assert_int_equal(roll_back(h, 1, 0), SL_OK);
    assert_int_equal(in_force(h, h->narrow), 3);
    assert_int_equal(sl_policy_generations(h->store, h->arena, &list, &count), SL_OK);
    assert_int_equal(count, 3);
    assert_true(sl_slice_eq(list[0].author, SL_LIT("somebody")) && sl_slice_eq(list[0].note, SL_LIT("why")));
    assert_true(!list[0].compared && list[0].replaces == 0 && list[0].before_seal.len == 0);
    assert_true(list[1].compared && list[1].diff.looser == 1 && list[1].diff.tighter == 0 && list[1].replaces == 1);
    assert_true(list[2].compared && list[2].diff.looser == 0 && list[2].diff.tighter == 1);
    assert_int_equal(list[2].rollback_of, 1);
    assert_int_equal(list[2].activated, 2000);
    assert_true(sl_slice_eq(list[2].before_seal, list[1].seal) && sl_slice_eq(list[1].before_seal, list[0].seal));
    assert_true(list[2].in_force && !list[1].in_force && !list[0].in_force);
    assert_true(sl_slice_eq(list[2].digest, list[0].digest));
    assert_int_equal(list[2].file_count, 4);
    assert_int_equal(sl_policy_of_generation(h->store, 2, NULL, &policy), SL_OK);
    assert_true(sl_slice_eq(sl_policy_digest(policy), sl_policy_digest(h->wide)));
    sl_policy_unref(policy);
}

static size_t files_in_store(struct house *h)
{
    struct sl_txn *txn = NULL;
    struct sl_cursor *cursor = NULL;
    struct sl_slice key, value;
    size_t count = 0;
    assert_int_equal(sl_txn_begin(h->store, false, &txn), SL_OK);
    assert_int_equal(sl_cursor_open(txn, SL_TABLE_GENERATIONS, SL_LIT(""), SL_LIT("f"), &cursor), SL_OK);
    while (sl_cursor_next(cursor, &key, &value) == SL_OK)
        count++;
    sl_cursor_close(cursor);
    sl_txn_abort(txn);
    return count;
}

static void what_generations_share_is_kept_once(void **state)
{
    struct house *h = *state;
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(activate(h, i % 2 ? h->wide : h->narrow, 0), SL_OK);
    assert_int_equal(files_in_store(h), 5); /* policy.yaml, two lists, and the house's file in two forms */
}

/* ---- Damage ---- */

static void put(struct house *h, struct sl_log_key key, struct sl_slice value)
{
    struct sl_txn *txn = NULL;
    assert_int_equal(sl_txn_begin(h->store, true, &txn), SL_OK);
    assert_int_equal(sl_txn_put(txn, SL_TABLE_GENERATIONS, sl_log_key_slice(&key), value), SL_OK);
    assert_int_equal(sl_txn_commit(txn), SL_OK);
}

static struct sl_slice get(struct house *h, struct sl_log_key key)
{
    struct sl_txn *txn = NULL;
    struct sl_slice value;
    assert_int_equal(sl_txn_begin(h->store, false, &txn), SL_OK);
    assert_int_equal(sl_txn_get(txn, SL_TABLE_GENERATIONS, sl_log_key_slice(&key), &value), SL_OK);
    value = sl_arena_copy(h->arena, value);
    sl_txn_abort(txn);
    return value;
}

static void a_damaged_generation_is_never_in_force(void **state)
{
    struct house *h = *state;
    struct sl_policy *policy = NULL;
    struct sl_generation *list;
    uint64_t number;
    size_t count;
    assert_int_equal(activate(h, h->narrow, 0), SL_OK);
    struct sl_slice whole = get(h, sl_log_key_of(1));
    for (size_t at = 0; at < whole.len; at++) { /* any byte of the entry */
        struct sl_slice copy = sl_arena_copy(h->arena, whole);
        *(char *)(uintptr_t)(copy.ptr + at) ^= 1;
        put(h, sl_log_key_of(1), copy);
        assert_int_equal(sl_policy_in_force(h->store, NULL, &number, &policy), SL_CORRUPT);
        assert_null(policy);
    }
    for (size_t cut = 0; cut < whole.len; cut += 7) {
        put(h, sl_log_key_of(1), (struct sl_slice){whole.ptr, cut});
        assert_int_equal(sl_policy_in_force(h->store, NULL, &number, &policy), SL_CORRUPT);
    }
    assert_int_equal(sl_policy_generations(h->store, h->arena, &list, &count), SL_OK);
    assert_true(count == 1 && list[0].damaged && list[0].author.len == 0);
    put(h, sl_log_key_of(1), whole);
    assert_int_equal(in_force(h, h->narrow), 1);
}

/* The same entry as it was written before `tested` was kept: the eighth text is not in it. */
static struct sl_slice as_before(struct house *h, struct sl_slice entry)
{
    struct sl_log_reading in;
    struct sl_sha256 seal;
    struct sl_buffer out;
    sl_buffer_init(&out, (size_t)1 << 20);
    assert_int_equal(sl_log_open(entry, SL_LIT("SLUICE-POLICY-3\n"), h->arena, &in, &seal), SL_OK);
    sl_log_begin(&out, SL_LIT("SLUICE-POLICY-2\n"));
    for (unsigned i = 0; i < 10; i++)
        sl_log_put_number(&out, sl_log_number(&in));
    for (unsigned i = 0; i < 7; i++)
        sl_log_put_text(&out, sl_log_text(&in));
    (void)sl_log_text(&in);
    sl_buffer_add(&out, in.rest);
    assert_int_equal(sl_log_seal(&out), SL_OK);
    struct sl_slice old = sl_arena_copy(h->arena, sl_buffer_slice(&out));
    sl_buffer_fini(&out);
    return old;
}

static void a_generation_of_the_format_before_is_in_force_as_it_was(void **state)
{
    struct house *h = *state;
    struct sl_generation *list;
    size_t count;
    register_all(h);
    assert_int_equal(activate(h, h->narrow, 1 << ADA | 1 << BEN), SL_OK);
    struct sl_slice old = as_before(h, get(h, sl_log_key_of(1)));
    put(h, sl_log_key_of(1), old);
    assert_int_equal(in_force(h, h->narrow), 1);
    assert_int_equal(activate(h, h->wide, 1 << ADA | 1 << BEN), SL_OK);
    assert_true(h->done.compared);
    assert_int_equal(roll_back(h, 1, 1 << CYN), SL_OK);
    assert_int_equal(in_force(h, h->narrow), 3);
    assert_int_equal(sl_policy_generations(h->store, h->arena, &list, &count), SL_OK);
    assert_true(count == 3 && !list[0].damaged && list[0].tested.len == 0 && list[0].approval_count == 2);
    assert_true(sl_slice_eq(list[0].author, SL_LIT("somebody")) && sl_slice_eq(list[0].digest, list[2].digest));
    assert_true(list[0].file_count == 4 && sl_slice_eq(list[1].before_seal, list[0].seal));
    for (size_t at = 0; at < old.len; at++) { /* and any byte of it counts, also that of its format */
        struct sl_slice copy = sl_arena_copy(h->arena, old);
        struct sl_generation g;
        *(char *)(uintptr_t)(copy.ptr + at) ^= 1;
        put(h, sl_log_key_of(1), copy);
        assert_int_equal(sl_policy_generation(h->store, 1, h->arena, &g), SL_CORRUPT);
    }
}

static void a_damaged_file_is_known_and_set_right_by_the_next_activation(void **state)
{
    struct house *h = *state;
    struct sl_policy *policy = NULL;
    struct sl_sha256 sha;
    assert_int_equal(activate(h, h->narrow, 0), SL_OK);
    assert_int_equal(sl_sha256_of(sl_slice_of(narrow), &sha), SL_OK);
    put(h, sl_log_key_of_file(&sha), sl_slice_of(wide));
    forget(h);
    assert_int_equal(sl_policy_of_generation(h->store, 1, &h->issues, &policy), SL_CORRUPT);
    assert_true(said(h, "generation-damaged"));
    /* What is in force cannot be compared; it counts as looser. */
    assert_int_equal(activate(h, h->narrow, 0), SL_OK);
    assert_false(h->done.compared);
    assert_int_equal(in_force(h, h->narrow), 2);
    assert_int_equal(sl_policy_of_generation(h->store, 1, NULL, &policy), SL_OK);
    sl_policy_unref(policy);
}

static void with_damage_in_force_it_takes_two(void **state)
{
    struct house *h = *state;
    register_all(h);
    assert_int_equal(activate(h, h->narrow, 1 << ADA | 1 << BEN), SL_OK);
    put(h, sl_log_key_of(1), SL_LIT("nothing that was ever written"));
    assert_int_equal(activate(h, h->narrow, 1 << ADA), SL_FORBIDDEN);
    assert_int_equal(activate(h, h->narrow, 1 << ADA | 1 << CYN), SL_OK);
    assert_int_equal(in_force(h, h->narrow), 2);
}

/* ---- How many people ---- */

static void loosening_takes_two_and_tightening_one(void **state)
{
    struct house *h = *state;
    register_all(h);
    assert_int_equal(activate(h, h->narrow, 1 << ADA), SL_FORBIDDEN); /* the first: all of it is new */
    assert_true(said(h, "approvals-missing") && h->done.needed == 2 && h->done.given == 1);
    assert_int_equal(activate(h, h->narrow, 1 << ADA | 1 << BEN), SL_OK);
    assert_int_equal(activate(h, h->wide, 0), SL_FORBIDDEN);
    assert_int_equal(activate(h, h->wide, 1 << ADA), SL_FORBIDDEN);
    assert_true(memmem(h->told.ptr, h->told.len, "nurse for treatment", 19) != NULL);
    assert_int_equal(in_force(h, h->narrow), 1);
    assert_int_equal(activate(h, h->wide, 1 << BEN | 1 << CYN), SL_OK);
    assert_int_equal(activate(h, h->narrow, 0), SL_FORBIDDEN); /* tighter: one, but one */
    assert_int_equal(activate(h, h->narrow, 1 << CYN), SL_OK);
    assert_int_equal(activate(h, h->narrow, 1 << CYN), SL_OK); /* the same again */
    assert_int_equal(activate(h, h->other, 1 << CYN), SL_FORBIDDEN); /* both ways: looser */
    assert_int_equal(in_force(h, h->narrow), 4);
}

static void what_nobody_can_judge_takes_two(void **state)
{
    struct house *h = *state;
    register_all(h);
    assert_int_equal(activate(h, h->narrow, 1 << ADA | 1 << BEN), SL_OK);
    struct sl_policy *unsure = make(h, HEAD "inline-labels: yes\n", narrow);
    assert_int_equal(activate(h, unsure, 1 << ADA), SL_FORBIDDEN);
    assert_true(h->done.compared && !h->done.diff.looser && h->done.diff.either == 1);
    sl_policy_unref(unsure);
}

static void going_back_is_judged_as_any_change(void **state)
{
    struct house *h = *state;
    register_all(h);
    assert_int_equal(activate(h, h->narrow, 1 << ADA | 1 << BEN), SL_OK);
    assert_int_equal(activate(h, h->wide, 1 << ADA | 1 << BEN), SL_OK);
    assert_int_equal(roll_back(h, 1, 0), SL_FORBIDDEN);
    assert_int_equal(roll_back(h, 1, 1 << CYN), SL_OK); /* an emergency stop */
    assert_int_equal(roll_back(h, 2, 1 << CYN), SL_FORBIDDEN);
    assert_int_equal(roll_back(h, 2, 1 << CYN | 1 << ADA), SL_OK);
    assert_int_equal(in_force(h, h->wide), 4);
}

static void sources_that_are_no_generation_s_are_no_rollback(void **state)
{
    struct house *h = *state;
    assert_int_equal(activate(h, h->narrow, 0), SL_OK);
    const struct sl_activation what = {.policy = h->wide, .author = SL_LIT("a"), .now = 1, .rollback_of = 1};
    assert_int_equal(sl_policy_activate(h->store, &what, &h->issues, &h->told, &h->done), SL_INVALID);
    assert_int_equal(in_force(h, h->narrow), 1);
}

static void a_house_of_one_officer_says_so(void **state)
{
    struct house *h = *state;
    assert_int_equal(change_key(h, false, ADA, 0), SL_OK);
    assert_int_equal(activate(h, h->narrow, 1 << ADA), SL_FORBIDDEN);
    assert_int_equal(activate(h, h->alone, 1 << ADA), SL_OK);
    assert_int_equal(activate(h, h->wide, 0), SL_FORBIDDEN);
    assert_int_equal(activate(h, h->wide, 1 << ADA), SL_OK); /* the rule of what is in force; now two again */
    assert_int_equal(activate(h, h->alone, 1 << ADA), SL_FORBIDDEN); /* tighter, but for the rule itself */
    assert_true(memmem(h->told.ptr, h->told.len, "two-person-rule", 15) != NULL);
    assert_int_equal(in_force(h, h->wide), 2);
}

/* ---- Approvals that do not hold ---- */

static void the_same_person_counts_once(void **state)
{
    struct house *h = *state;
    register_all(h);
    struct sl_approval_file twice[] = {
        signed_by(h, ADA, text_for(h, h->narrow)), signed_by(h, ADA, text_for(h, h->narrow))};
    assert_int_equal(with_files(h, h->narrow, twice, 2), SL_FORBIDDEN);
    assert_true(said(h, "approval-twice") && h->done.given == 1);
    /* A second key under the same name is the same person. */
    const struct sl_key_change base = {.name = sl_slice_of(names[ADA]), .author = SL_LIT("a"), .now = 1};
    struct sl_key_change change = base;
    struct sl_slice path = sl_arena_printf(h->arena, "%s/second", h->folder), text;
    assert_int_equal(sl_approval_key_new(path.ptr, &h->issues), SL_OK);
    assert_int_equal(sl_approval_key_read(path.ptr, h->arena, &h->issues, &change.key), SL_OK);
    assert_int_equal(sl_key_change_text(h->store, &change, h->arena, &h->issues, &text), SL_OK);
    struct sl_approval_file files[] = {signed_by(h, ADA, text), signed_by(h, BEN, text)};
    change.approvals = files;
    change.approval_count = 2;
    assert_int_equal(sl_key_change(h->store, &change, &h->issues), SL_OK);
    assert_int_equal(
        sl_approval_sign(path.ptr, text_for(h, h->narrow), h->arena, &h->issues, &twice[1].bytes), SL_OK);
    assert_int_equal(with_files(h, h->narrow, twice, 2), SL_FORBIDDEN);
    assert_true(said(h, "approval-twice") && h->done.given == 1);
}

static void an_approval_is_for_one_policy_and_one_predecessor(void **state)
{
    struct house *h = *state;
    register_all(h);
    struct sl_approval_file first[] = {
        signed_by(h, ADA, text_for(h, h->wide)), signed_by(h, BEN, text_for(h, h->wide))};
    assert_int_equal(with_files(h, h->narrow, first, 2), SL_INVALID); /* for another policy */
    assert_true(said(h, "approval-other"));
    assert_int_equal(with_files(h, h->wide, first, 2), SL_OK);
    assert_int_equal(activate(h, h->narrow, 1 << ADA), SL_OK);
    assert_int_equal(with_files(h, h->wide, first, 2), SL_INVALID); /* signed when nothing was in force */
    struct sl_approval_file again[] = {
        signed_by(h, ADA, text_for(h, h->wide)), signed_by(h, BEN, text_for(h, h->wide))};
    assert_int_equal(with_files(h, h->wide, again, 2), SL_OK);
    assert_int_equal(activate(h, h->narrow, 1 << ADA), SL_OK);
    assert_int_equal(with_files(h, h->wide, again, 2), SL_INVALID); /* the same policies, another moment */
    assert_true(said(h, "approval-other"));
    assert_int_equal(in_force(h, h->narrow), 4);
}

static void other_keys_do_not_count(void **state)
{
    struct house *h = *state;
    assert_int_equal(change_key(h, false, ADA, 0), SL_OK);
    assert_int_equal(change_key(h, false, BEN, 1 << ADA), SL_OK);
    assert_int_equal(activate(h, h->narrow, 1 << ADA | 1 << CYN), SL_INVALID); /* whose key nobody registered */
    assert_true(said(h, "approval-unknown-key"));
    assert_int_equal(change_key(h, false, CYN, 1 << ADA | 1 << BEN), SL_OK);
    assert_int_equal(change_key(h, true, BEN, 1 << ADA | 1 << CYN), SL_OK);
    assert_int_equal(activate(h, h->narrow, 1 << ADA | 1 << BEN), SL_INVALID);
    assert_true(said(h, "approval-retired"));
    assert_int_equal(activate(h, h->narrow, 1 << ADA | 1 << CYN), SL_OK);
}

static void damaged_approvals_do_not_count(void **state)
{
    struct house *h = *state;
    register_all(h);
    struct sl_approval_file good[] = {
        signed_by(h, ADA, text_for(h, h->narrow)), signed_by(h, BEN, text_for(h, h->narrow))};
    struct sl_slice whole = good[1].bytes;
    for (size_t cut = 0; cut + 1 < whole.len; cut++) { /* the last byte is the line's end */
        good[1].bytes = (struct sl_slice){whole.ptr, cut};
        assert_int_equal(with_files(h, h->narrow, good, 2), SL_INVALID);
    }
    for (size_t at = 0; at + 1 < whole.len; at++) {
        struct sl_slice copy = sl_arena_copy(h->arena, whole);
        *(char *)(uintptr_t)(copy.ptr + at) ^= 1;
        good[1].bytes = copy;
        assert_int_equal(with_files(h, h->narrow, good, 2), SL_INVALID);
    }
    /* What mail does to line ends does no harm. */
    struct sl_buffer mailed;
    sl_buffer_init(&mailed, 4096);
    for (size_t i = 0; i < whole.len; i++)
        sl_buffer_add(&mailed, whole.ptr[i] == '\n' ? SL_LIT("\r\n") : (struct sl_slice){whole.ptr + i, 1});
    sl_buffer_add(&mailed, SL_LIT("\r\n\r\n"));
    good[1].bytes = sl_buffer_slice(&mailed);
    assert_int_equal(with_files(h, h->narrow, good, 2), SL_OK);
    sl_buffer_fini(&mailed);
}

static void the_text_that_is_signed_says_what_it_is_about(void **state)
{
    struct house *h = *state;
    struct sl_generation generation;
    struct sl_buffer rendering;
    struct sl_sha256 sha;
    sl_buffer_init(&rendering, 1 << 20);
    assert_int_equal(sl_policy_render(h->wide, &rendering), SL_OK);
    assert_int_equal(sl_sha256_of(sl_buffer_slice(&rendering), &sha), SL_OK);
    sl_buffer_fini(&rendering);
    assert_int_equal(activate(h, h->narrow, 0), SL_OK);
    assert_int_equal(sl_policy_generation(h->store, 1, h->arena, &generation), SL_OK);
    struct sl_slice wanted = sl_arena_printf(h->arena,
        "Sluice policy approval, form 1\npolicy: %.*s\nin-plain-english: %.*s\nreplaces: generation 1\n"
        "whose-policy-is: %.*s\nrecorded-as: %.*s\n",
        SL_FMT(sl_policy_digest(h->wide)), SL_FMT(sl_sha256_hex(h->arena, &sha)), SL_FMT(sl_policy_digest(h->narrow)),
        SL_FMT(generation.seal));
    assert_true(sl_slice_eq(text_for(h, h->wide), wanted));
    assert_int_equal(sl_approval_text_check(wanted, h->wide, h->arena, &h->issues), SL_OK);
    assert_int_equal(sl_approval_text_check(wanted, h->narrow, h->arena, &h->issues), SL_INVALID);
    assert_int_equal(sl_approval_text_check(wanted, NULL, h->arena, &h->issues), SL_INVALID);
    assert_int_equal(sl_approval_text_check(SL_LIT("I approve.\n"), h->wide, h->arena, &h->issues), SL_INVALID);
}

/* ---- Keys ---- */

static void keys_take_the_signatures_of_those_who_have_one(void **state)
{
    struct house *h = *state;
    struct sl_approver *list;
    size_t count;
    assert_int_equal(change_key(h, false, ADA, 0), SL_OK); /* where trust begins */
    assert_int_equal(change_key(h, false, ADA, 1 << ADA), SL_INVALID); /* twice */
    assert_int_equal(change_key(h, true, ADA, 1 << ADA), SL_INVALID);  /* the last one stays */
    assert_int_equal(change_key(h, false, BEN, 0), SL_FORBIDDEN);
    assert_int_equal(change_key(h, false, BEN, 1 << BEN), SL_INVALID); /* signed by himself */
    assert_int_equal(change_key(h, false, BEN, 1 << ADA), SL_OK);
    assert_int_equal(change_key(h, false, CYN, 1 << ADA), SL_FORBIDDEN); /* two people: two */
    assert_int_equal(change_key(h, true, BEN, 1 << ADA), SL_FORBIDDEN);
    assert_int_equal(change_key(h, false, CYN, 1 << ADA | 1 << BEN), SL_OK);
    assert_int_equal(change_key(h, true, BEN, 1 << ADA | 1 << CYN), SL_OK);
    assert_int_equal(change_key(h, true, BEN, 1 << ADA | 1 << CYN), SL_INVALID);
    assert_int_equal(change_key(h, false, BEN, 1 << ADA | 1 << CYN), SL_INVALID); /* it never comes back */
    assert_int_equal(sl_approvers_list(h->store, h->arena, &list, &count), SL_OK);
    assert_int_equal(count, 3); /* nothing is erased */
    assert_true(list[1].retired == 500 && sl_slice_eq(list[1].name, sl_slice_of(names[BEN])));
    assert_true(list[0].approval_count == 0 && list[1].approval_count == 1 && list[2].approval_count == 2);
    assert_int_equal(sl_approvers_people(list, count), 2);
}

static void a_log_of_keys_that_was_touched_is_refused(void **state)
{
    struct house *h = *state;
    struct sl_approver *list;
    size_t count;
    register_all(h);
    struct sl_slice first = get(h, sl_log_key_of_line(1)), second = get(h, sl_log_key_of_line(2));
    put(h, sl_log_key_of_line(2), first); /* whole, but not after the line before it */
    assert_int_equal(sl_approvers_list(h->store, h->arena, &list, &count), SL_CORRUPT);
    assert_int_equal(activate(h, h->narrow, 0), SL_CORRUPT);
    struct sl_slice copy = sl_arena_copy(h->arena, second);
    *(char *)(uintptr_t)(copy.ptr + copy.len / 2) ^= 1;
    put(h, sl_log_key_of_line(2), copy);
    assert_int_equal(sl_approvers_list(h->store, h->arena, &list, &count), SL_CORRUPT);
    put(h, sl_log_key_of_line(2), second);
    assert_int_equal(sl_approvers_list(h->store, h->arena, &list, &count), SL_OK);
}

static void a_key_of_another_kind_is_none(void **state)
{
    struct house *h = *state;
    struct sl_slice hex, path = sl_arena_printf(h->arena, "%s/ec", h->folder);
    char command[256];
    snprintf(command, sizeof command,
        "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out %s 2>/dev/null", path.ptr);
    assert_int_equal(system(command), 0);
    assert_int_equal(sl_approval_key_read(path.ptr, h->arena, &h->issues, &hex), SL_INVALID);
    assert_int_equal(sl_approval_sign(path.ptr, SL_LIT("x\n"), h->arena, &h->issues, &hex), SL_INVALID);
    assert_int_equal(sl_approval_key_read("/nowhere", h->arena, &h->issues, &hex), SL_INVALID);
    assert_int_equal(sl_approval_key_new(h->key[ADA].ptr, &h->issues), SL_INVALID); /* it is there already */
    struct sl_slice public = sl_arena_printf(h->arena, "%s.pub", h->key[ADA].ptr);
    assert_int_equal(sl_approval_sign(public.ptr, SL_LIT("x\n"), h->arena, &h->issues, &hex), SL_INVALID);
}

/* ---- Packs ---- */

static const struct sl_policy_file *find(const struct sl_policy_file *files, size_t count, const char *path)
{
    for (size_t i = 0; i < count; i++)
        if (sl_slice_eq(files[i].path, sl_slice_of(path)))
            return &files[i];
    return NULL;
}

/* The shipped policy, with a text added to a file; NULL: as it is. */
static enum sl_status packs_with(struct house *h, const char *path, const char *more, bool drop)
{
    struct sl_policy *shipped = NULL, *policy = NULL;
    size_t count;
    forget(h);
    assert_int_equal(sl_policy_load(SHIPPED, &h->issues, &shipped), SL_OK);
    const struct sl_policy_file *files = sl_policy_files(shipped, &count);
    struct sl_policy_file *copy = sl_arena_array(h->arena, count + 1, sizeof *copy);
    memcpy(copy, files, count * sizeof *copy);
    const struct sl_policy_file *at = path ? find(files, count, path) : NULL;
    if (path && !at) {
        copy[count] = (struct sl_policy_file){sl_slice_of(path), sl_slice_of(more)};
    } else if (at && drop) {
        copy[at - files].path = SL_LIT("house/elsewhere.yaml");
    } else if (at) {
        const struct sl_slice parts[] = {at->text, sl_slice_of(more)};
        copy[at - files].text = sl_arena_join(h->arena, parts, 2);
    }
    assert_int_equal(sl_policy_load_files(copy, count + (path && !at), &h->issues, &policy), SL_OK);
    forget(h);
    enum sl_status status = sl_policy_check_packs(policy, &h->issues);
    const struct sl_activation what = {.policy = policy, .author = SL_LIT("a"), .now = 1};
    struct sl_issues issues = {.arena = h->arena};
    if (status != SL_OK)
        assert_int_equal(sl_policy_activate(h->store, &what, &issues, &h->told, &h->done), SL_INVALID);
    sl_policy_unref(policy);
    sl_policy_unref(shipped);
    return status;
}

static void packs_are_as_shipped_or_not_in_force(void **state)
{
    struct house *h = *state;
    uint64_t number;
    assert_int_equal(packs_with(h, NULL, NULL, false), SL_OK);
    assert_int_equal(packs_with(h, "federal/part2.yaml", "# a comment\n", false), SL_INVALID);
    assert_true(said(h, "pack-edited"));
    assert_int_equal(packs_with(h, "federal/hipaa.yaml", NULL, true), SL_INVALID);
    assert_true(said(h, "pack-missing") && said(h, "pack-foreign"));
    assert_int_equal(packs_with(h, "federal/more.yaml", "layer: federal\n", false), SL_INVALID);
    assert_true(said(h, "pack-foreign"));
    assert_int_equal(packs_with(h, "house/more.yaml", "layer: state\n", false), SL_OK);
    assert_int_equal(packs_with(h, "house/rules.yaml", "# a comment\n", false), SL_OK);
    assert_int_equal(sl_policy_check_packs(h->narrow, &h->issues), SL_INVALID);
    assert_true(said(h, "packs-absent"));
    assert_int_equal(sl_policy_number_in_force(h->store, &number), SL_MISSING);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(generations_come_and_go_back),
        TEST(what_generations_share_is_kept_once),
        TEST(a_damaged_generation_is_never_in_force),
        TEST(a_generation_of_the_format_before_is_in_force_as_it_was),
        TEST(a_damaged_file_is_known_and_set_right_by_the_next_activation),
        TEST(with_damage_in_force_it_takes_two),
        TEST(loosening_takes_two_and_tightening_one),
        TEST(what_nobody_can_judge_takes_two),
        TEST(going_back_is_judged_as_any_change),
        TEST(sources_that_are_no_generation_s_are_no_rollback),
        TEST(a_house_of_one_officer_says_so),
        TEST(the_same_person_counts_once),
        TEST(an_approval_is_for_one_policy_and_one_predecessor),
        TEST(other_keys_do_not_count),
        TEST(damaged_approvals_do_not_count),
        TEST(the_text_that_is_signed_says_what_it_is_about),
        TEST(keys_take_the_signatures_of_those_who_have_one),
        TEST(a_log_of_keys_that_was_touched_is_refused),
        TEST(a_key_of_another_kind_is_none),
        TEST(packs_are_as_shipped_or_not_in_force),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
