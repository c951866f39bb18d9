/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is every failure path safe? Each trial is run with its first allocation failing, then its second, and so on until
 * nothing fails any more: an error or exactly what comes of it otherwise, never anything in between; nothing leaks (the
 * sanitizer tells), and nothing that the trial left behind disturbs the next one.
 *
 * The linker puts the functions named __wrap_ below in the place of the C library's and the arena's (CMakeLists.txt).
 * An arena asks malloc seldom, so each piece taken from one counts as an allocation of its own: refused, the arena has
 * failed, as at its ceiling.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "exchange.h"
#include "jose.h"
#include "sluice/book.h"
#include "sluice/search.h"

/* ---- Between the code and its memory ---- */

static struct {
    atomic_bool armed, lasting; /* lasting: that allocation and all after it */
    atomic_ulong count, fail_at;
} memory;

static bool refuses(void)
{
    if (!atomic_load(&memory.armed))
        return false;
    unsigned long number = atomic_fetch_add(&memory.count, 1) + 1, at = atomic_load(&memory.fail_at);
    return atomic_load(&memory.lasting) ? number >= at : number == at;
}

static void arm(unsigned long fail_at, bool lasting)
{
    atomic_store(&memory.count, 0);
    atomic_store(&memory.fail_at, fail_at);
    atomic_store(&memory.lasting, lasting);
    atomic_store(&memory.armed, true);
}

/* Gives whether it has failed anything. */
static bool disarm(void)
{
    atomic_store(&memory.armed, false);
    return atomic_load(&memory.count) >= atomic_load(&memory.fail_at);
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_sl_arena_raw(struct sl_arena *arena, size_t count, size_t size);
void *__real_sl_arena_array(struct sl_arena *arena, size_t count, size_t size);
void *__real_sl_arena_alloc(struct sl_arena *arena, size_t size);
struct sl_slice __real_sl_arena_copy(struct sl_arena *arena, struct sl_slice bytes);
struct sl_slice __real_sl_arena_join(struct sl_arena *arena, const struct sl_slice *parts, size_t count);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_sl_arena_raw(struct sl_arena *arena, size_t count, size_t size);
void *__wrap_sl_arena_array(struct sl_arena *arena, size_t count, size_t size);
void *__wrap_sl_arena_alloc(struct sl_arena *arena, size_t size);
struct sl_slice __wrap_sl_arena_copy(struct sl_arena *arena, struct sl_slice bytes);
struct sl_slice __wrap_sl_arena_join(struct sl_arena *arena, const struct sl_slice *parts, size_t count);
struct sl_slice __wrap_sl_arena_printf(struct sl_arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

void *__wrap_malloc(size_t size)
{
    return refuses() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return refuses() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return refuses() ? NULL : __real_realloc(old, size);
}

/* True: no more of this arena; it has failed. */
static bool spoils(struct sl_arena *arena)
{
    return refuses() && !__real_sl_arena_raw(arena, SIZE_MAX, 2);
}

void *__wrap_sl_arena_raw(struct sl_arena *arena, size_t count, size_t size)
{
    return spoils(arena) ? NULL : __real_sl_arena_raw(arena, count, size);
}

void *__wrap_sl_arena_array(struct sl_arena *arena, size_t count, size_t size)
{
    return spoils(arena) ? NULL : __real_sl_arena_array(arena, count, size);
}

void *__wrap_sl_arena_alloc(struct sl_arena *arena, size_t size)
{
    return spoils(arena) ? NULL : __real_sl_arena_alloc(arena, size);
}

struct sl_slice __wrap_sl_arena_copy(struct sl_arena *arena, struct sl_slice bytes)
{
    return spoils(arena) ? (struct sl_slice){NULL, 0} : __real_sl_arena_copy(arena, bytes);
}

struct sl_slice __wrap_sl_arena_join(struct sl_arena *arena, const struct sl_slice *parts, size_t count)
{
    return spoils(arena) ? (struct sl_slice){NULL, 0} : __real_sl_arena_join(arena, parts, count);
}

struct sl_slice __wrap_sl_arena_printf(struct sl_arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int need = vsnprintf(NULL, 0, format, args);
    va_end(args);
    assert_true(need >= 0);
    char *text = spoils(arena) ? NULL : __real_sl_arena_raw(arena, (size_t)need + 1, 1);
    if (!text)
        return (struct sl_slice){NULL, 0};
    va_start(args, format);
    vsnprintf(text, (size_t)need + 1, format, args);
    va_end(args);
    return (struct sl_slice){text, (size_t)need};
}

/* ---- What a trial says came of it ---- */

static struct said {
    char text[1 << 20];
    size_t len;
} said;

static void say(struct sl_slice text)
{
    assert_true(text.len <= sizeof said.text - said.len);
    if (text.len)
        memcpy(said.text + said.len, text.ptr, text.len);
    said.len += text.len;
}

static void say_blocks(const struct sl_blocks *blocks)
{
    for (const struct sl_block *b = blocks->first; b; b = b->next)
        say((struct sl_slice){b->ptr, b->len});
}

/* ---- The world of the trials ---- */

#define NOW INT64_C(1790000000)

static struct {
    char folder[40];
    struct sl_policy *policy;
    struct sl_arena *arena;
    unsigned made; /* directories, each trial has its own */
} world;

#define CODE(system, code) "{\"coding\":[{\"system\":\"" system "\",\"code\":\"" code "\"}]}"
#define REFERENCE(to) "{\"reference\":\"" to "\"}"
#define ICD "http://hl7.org/fhir/sid/icd-10-cm"

static const char *const records[] = {
    "{\"resourceType\":\"Organization\",\"id\":\"prog\",\"name\":\"Program\"}",
    "{\"resourceType\":\"Organization\",\"id\":\"pcp\",\"name\":\"Primary\"}",
    "{\"resourceType\":\"Patient\",\"id\":\"p\",\"text\":{\"status\":\"generated\",\"div\":\"<div>NARRATIVE</"
    "div>\"},"
    "\"name\":[{\"family\":\"Odd\\u00e9\",\"given\":[\"A\"],\"_given\":[{\"id\":\"g\"}]}],\"birthDate\":\"1980-"
    "01-02\"}",
    "{\"resourceType\":\"Encounter\",\"id\":\"e2\",\"status\":\"finished\",\"class\":{\"code\":\"AMB\"},"
    "\"subject\":" REFERENCE("Patient/p") ",\"serviceProvider\":" REFERENCE("Organization/prog") "}",
    "{\"resourceType\":\"Condition\",\"id\":\"oud\",\"subject\":" REFERENCE("Patient/p") ",\"encounter\":" REFERENCE(
        "Encounter/e2") ",\"code\":" CODE(ICD, "F11.20") "}",
    "{\"resourceType\":\"Encounter\",\"id\":\"e1\",\"status\":\"finished\",\"class\":{\"code\":\"AMB\"},"
    "\"subject\":" REFERENCE("Patient/p") ",\"serviceProvider\":" REFERENCE(
        "Organization/pcp") ",\"diagnosis\":[{\"condition\":" REFERENCE("Condition/oud") "},"
                                                                                         "{\"condition\":" REFERENCE(
                                                                                             "Condition/dm") "}]}",
    "{\"resourceType\":\"Condition\",\"id\":\"dm\",\"vendor\":1,\"subject\":" REFERENCE(
        "Patient/p") ",\"encounter\":" REFERENCE("Encounter/e1") ",\"code\":" CODE(ICD, "E11\\u002e9") "}",
    "{\"resourceType\":\"MedicationRequest\",\"id\":\"mr\",\"status\":\"active\",\"intent\":\"order\","
    "\"subject\":" REFERENCE("Patient/p") ",\"requester\":" REFERENCE(
        "Organization/pcp") ",\"contained\":[{\"resourceType\":"
                            "\"Medication\",\"id\":\"m\",\"code\":" CODE("http://www.nlm.nih.gov/research/umls/rxnorm",
                                "6813") "}],"
                                        "\"medicationReference\":" REFERENCE("#m") "}",
};
#define RECORDS (sizeof records / sizeof *records)

#define CONSENT(id, status, day)                                                                                       \
    "{\"resourceType\":\"Consent\",\"id\":\"" id "\",\"status\":\"" status                                             \
    "\",\"scope\":" CODE("http://terminology.hl7.org/CodeSystem/consentscope",                                         \
        "patient-privacy") ",\"category\":[" CODE("http://terminology.hl7.org/CodeSystem/v3-ActCode",                  \
        "42CFRPart2CD") "],\"patient\":" REFERENCE("Patient/p") ",\"dateTime\":\"" day                                 \
                                                                "\",\"performer\":[" REFERENCE(                        \
                                                                    "Patient/p") "],"                                  \
                                                                                 "\"organization\":[" REFERENCE(       \
                                                                                     "Organization/prog") "],"         \
                                                                                                          "\"sourceRe" \
                                                                                                          "ference\":" \
                                                                                                          "{\"display" \
                                                                                                          "\":"        \
                                                                                                          "\"form\"}," \
                                                                                                          "\"policy\"" \
                                                                                                          ":[{"        \
                                                                                                          "\"uri\":"   \
                                                                                                          "\"urn:"     \
                                                                                                          "sluice:"    \
                                                                                                          "form:"      \
                                                                                                          "part2-tpo-" \
                                                                                                          "2024\"}],"  \
                                                                                                          "\"provisio" \
                                                                                                          "n\":{"      \
                                                                                                          "\"type\":"  \
                                                                                                          "\"permit\"" \
                                                                                                          ",\"period"  \
                                                                                                          "\":{"       \
                                                                                                          "\"start\":" \
                                                                                                          "\"2026-01-" \
                                                                                                          "01\"},"     \
                                                                                                          "\"purpose"  \
                                                                                                          "\":[{"      \
                                                                                                          "\"system\"" \
                                                                                                          ":\"http://" \
                                                                                                          "terminolog" \
                                                                                                          "y.hl7.org/" \
                                                                                                          "CodeSystem" \
                                                                                                          "/v3-"       \
                                                                                                          "ActReason"  \
                                                                                                          "\","        \
                                                                                                          "\"code\":"  \
                                                                                                          "\"TREAT\"}" \
                                                                                                          ",{"         \
                                                                                                          "\"system\"" \
                                                                                                          ":"          \
                                                                                                          "\"http://"  \
                                                                                                          "terminolog" \
                                                                                                          "y.hl7.org/" \
                                                                                                          "CodeSystem" \
                                                                                                          "/v3-"       \
                                                                                                          "ActReason"  \
                                                                                                          "\","        \
                                                                                                          "\"code\":"  \
                                                                                                          "\"HPAYMT\"" \
                                                                                                          "},{"        \
                                                                                                          "\"system\"" \
                                                                                                          ":"          \
                                                                                                          "\"http://"  \
                                                                                                          "terminolog" \
                                                                                                          "y.hl7.org/" \
                                                                                                          "CodeSystem" \
                                                                                                          "/v3-"       \
                                                                                                          "ActReason"  \
                                                                                                          "\","        \
                                                                                                          "\"code\":"  \
                                                                                                          "\"HOPERAT"  \
                                                                                                          "\"}]}}"
static const char consent[] = CONSENT("c", "active", "2026-01-01");
static const char revocation[] = CONSENT("r", "inactive", "2026-02-01");

/* A directory that no other trial has used. */
static const char *fresh_directory(void)
{
    static char path[96];
    snprintf(path, sizeof path, "%s/%u", world.folder, world.made++);
    return path;
}

static void remove_folder(const char *path)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", path);
    assert_int_equal(system(command), 0);
}

/* ---- Trials: each gives a status, and says what is to be the same whenever that is SL_OK ---- */

static enum sl_status parse_and_edit(struct sl_arena *arena)
{
    struct sl_doc doc;
    SL_TRY(sl_doc_parse(arena, sl_slice_of(records[2]), NULL, &doc, NULL));
    struct sl_edits *edits = sl_edits_new(arena, &doc);
    if (!edits)
        return SL_NO_MEMORY;
    uint32_t name = sl_span_member(&doc, 0, SL_NAME_name);
    sl_edit_cut(edits, sl_span_member(&doc, name + 1, SL_NAME_given) + 1);
    sl_edit_replace(edits, sl_span_member(&doc, 0, SL_NAME_birthDate), SL_LIT("\"1980\""));
    sl_edit_add_member(edits, 0, SL_LIT("\"active\":true"));
    sl_edit_add_item(edits, name, SL_LIT("{}"));
    struct sl_blocks out = {.arena = arena};
    SL_TRY(sl_edit_gather(edits, 0, &out));
    if (out.failed)
        return SL_NO_MEMORY;
    say_blocks(&out);
    return SL_OK;
}

static enum sl_status load_policy(struct sl_arena *arena)
{
    static const char house[] =
        "layer: organization\nparties:\n  - {id: physician, title: P, roles: [physician]}\nconsents:\n"
        "  - {id: tpo, title: C, purposes: [treatment], forms: [{categories: [{system: s, code: c}]}]}\nclasses:\n"
        "  - {id: part2, title: P, kind: needs-yes, labels: [42CFRPart2], earned-by: {origin: program}}\n"
        "  - {id: chart, title: C, kind: needs-yes, earned-by: {types: others}}\nrules:\n"
        "  - {id: ceiling, title: W, law: L, verdict: withhold, data: [part2], to: everyone, for: any, unless: "
        "{consent: tpo, then: {notice: yes}}}\n"
        "  - {id: record, title: R, verdict: release, data: all, to: [physician], for: [treatment]}\nscenarios:\n"
        "  - {title: S, given: {party: physician, purpose: treatment, item: [chart]}, expect: released}\n"
        "  - {title: S, given: {party: physician, purpose: treatment, item: [part2], consents: [tpo]}, expect: "
        "released}\n";
    const struct sl_policy_file files[] = {
        {SL_LIT("policy.yaml"),
            SL_LIT("title: T\nversion: \"1\"\nnotice: {version: \"1\", statement: S., short: s.}\n")},
        {SL_LIT("house/a.yaml"), SL_LIT(house)},
        {SL_LIT("terminology/systems.csv"),
            SL_LIT(
                "name,uri,kind,form,family,aliases\nicd-10-cm,http://hl7.org/fhir/sid/icd-10-cm,code,icd,claims,\n")},
        {SL_LIT("terminology/categories.csv"),
            SL_LIT("id,sensitivity,confidentiality,part2,also_match\nSUD_OPIOID,OPIOIDUD,R,yes,ETH|SUD\n")},
    };
    struct sl_issues issues = {.arena = arena};
    struct sl_policy *policy;
    size_t passed, failed;
    enum sl_status status = sl_policy_load_files(files, sizeof files / sizeof *files, &issues, &policy);
    if (status != SL_OK)
        return status;
    struct sl_buffer report;
    sl_buffer_init(&report, 65536);
    status = sl_policy_matrix(policy, SL_MATRIX_TEXT, false, &report);
    if (status == SL_OK)
        status = sl_policy_test(policy, &report, &passed, &failed);
    if (status == SL_OK && sl_buffer_failed(&report))
        status = SL_NO_MEMORY;
    if (status == SL_OK) {
        say(sl_policy_digest(policy));
        say(sl_buffer_slice(&report));
    }
    sl_buffer_fini(&report);
    sl_policy_unref(policy);
    return status;
}

struct passing {
    struct sl_arena *arena;
    struct sl_directives directives;
    struct sl_doc docs[RECORDS];
    struct sl_item *items[RECORDS];
};

static enum sl_status directives_of(
    void *context, struct sl_slice patient, struct sl_arena *arena, struct sl_directives *out)
{
    struct passing *passing = context;
    return sl_directives_about(&passing->directives, patient, arena, out);
}

static enum sl_status settle(struct sl_pass *pass)
{
    struct sl_slice *missing = NULL;
    size_t count = 1;
    while (count) {
        SL_TRY(sl_pass_label(pass, &missing, &count));
        for (size_t i = 0; i < count; i++)
            SL_TRY(sl_labeller_absent(sl_pass_labeller(pass), missing[i], true));
    }
    return SL_OK;
}

static enum sl_status gather(struct passing *p, struct sl_blocks *out)
{
    for (size_t i = 0; i < RECORDS; i++) {
        if (p->items[i]->verdict->decision != SL_RELEASED)
            continue;
        struct sl_edits *edits = sl_edits_new(p->arena, &p->docs[i]);
        struct sl_release release = {0};
        if (!edits)
            return SL_NO_MEMORY;
        SL_TRY(sl_segment_edit(p->items[i], edits, p->arena));
        SL_TRY(sl_edit_gather(edits, 0, out));
        SL_TRY(sl_ruling_release(p->items[i]->ruling, p->items[i], p->arena, &release));
        sl_blocks_add(out, release.statement);
    }
    return out->failed ? SL_NO_MEMORY : SL_OK;
}

static enum sl_status read_consent(struct passing *p, struct sl_slice text)
{
    struct sl_doc doc;
    SL_TRY(sl_doc_parse(p->arena, text, NULL, &doc, NULL));
    return sl_directive_read(p->arena, &doc, 0, NULL, &p->directives);
}

/* As the doors do it: whatever is released has passed every step of which each said SL_OK. */
static enum sl_status pass_with(struct sl_arena *arena, struct sl_programs *programs, bool revoked)
{
    const struct sl_recipient recipient = {.party = SL_LIT("treating-provider"), .purpose = SL_LIT("TREAT")};
    struct passing p = {.arena = arena};
    const struct sl_pass_options options = {.policy = world.policy,
        .programs = programs,
        .recipient = &recipient,
        .now = NOW,
        .directives = directives_of,
        .context = &p};
    struct sl_segment_report report = {0};
    SL_TRY(sl_programs_add(programs, SL_LIT("Organization/prog"), SL_SOURCE_PROGRAM));
    SL_TRY(read_consent(&p, SL_LIT(consent)));
    if (revoked)
        SL_TRY(read_consent(&p, SL_LIT(revocation)));
    struct sl_pass *pass = sl_pass_new(arena, &options);
    if (!pass)
        return SL_NO_MEMORY;
    for (size_t i = 0; i < RECORDS; i++) {
        SL_TRY(sl_doc_parse(arena, sl_slice_of(records[i]), NULL, &p.docs[i], NULL));
        SL_TRY(sl_pass_add(pass, &p.docs[i], 0, (struct sl_slice){NULL, 0}, false, &p.items[i]));
    }
    SL_TRY(settle(pass));
    SL_TRY(sl_pass_decide(pass, &report));
    struct sl_blocks out = {.arena = arena};
    SL_TRY(gather(&p, &out));
    if (sl_arena_failed(arena))
        return SL_NO_MEMORY;
    say_blocks(&out);
    for (const struct sl_withheld *one = report.first; one; one = one->next) {
        say(one->item->id);
        say(one->path);
    }
    return SL_OK;
}

static enum sl_status run_a_pass(struct sl_arena *arena, bool revoked)
{
    struct sl_programs *programs = sl_programs_new(true);
    enum sl_status status = programs ? pass_with(arena, programs, revoked) : SL_NO_MEMORY;
    sl_programs_unref(programs);
    return status;
}

static enum sl_status release_on_consent(struct sl_arena *arena)
{
    return run_a_pass(arena, false);
}

static enum sl_status withhold_once_revoked(struct sl_arena *arena)
{
    return run_a_pass(arena, true);
}

static enum sl_status say_stored(struct sl_store *store)
{
    struct sl_txn *txn;
    struct sl_cursor *cursor = NULL;
    SL_TRY(sl_txn_begin(store, false, &txn));
    struct sl_slice key, value, none = {NULL, 0};
    enum sl_status status = sl_cursor_open(txn, 0, none, none, &cursor);
    while (status == SL_OK && (status = sl_cursor_next(cursor, &key, &value)) == SL_OK) {
        say(key);
        say(value);
    }
    sl_cursor_close(cursor);
    sl_txn_abort(txn);
    return status == SL_MISSING ? SL_OK : status;
}

static enum sl_status put_and_get(struct sl_arena *arena)
{
    static const char *const tables[] = {"one", NULL};
    const char *directory = fresh_directory();
    struct sl_issues issues = {.arena = arena};
    struct sl_store *store;
    struct sl_txn *txn;
    SL_TRY(sl_store_open(directory, tables, (size_t)4 << 20, true, &issues, &store));
    enum sl_status status = sl_txn_begin(store, true, &txn);
    if (status == SL_OK) {
        status = sl_txn_put(txn, 0, SL_LIT("k"), SL_LIT("v"));
        if (status == SL_OK)
            status = sl_txn_put(txn, 0, sl_slice_of(consent), SL_LIT("a long key"));
        if (status == SL_OK)
            status = sl_txn_commit(txn);
        else
            sl_txn_abort(txn);
    }
    if (status == SL_OK)
        status = say_stored(store);
    sl_store_close(store);
    return status;
}

static enum sl_status keep_directives_in(struct sl_store *store, struct sl_arena *arena)
{
    struct sl_doc doc;
    struct sl_issues issues = {.arena = arena};
    struct sl_directives list = {0};
    SL_TRY(sl_doc_parse(arena, SL_LIT(consent), NULL, &doc, NULL));
    SL_TRY(sl_directives_import(store, &doc, 0, &issues));
    SL_TRY(sl_directives_of(store, SL_LIT("Patient/p"), arena, &list));
    sl_directives_settle(&list, NOW);
    struct sl_slice scope = list.first ? sl_directive_scope(list.first, arena) : SL_LIT("none");
    if (!scope.ptr)
        return SL_NO_MEMORY;
    say(scope);
    return SL_OK;
}

static enum sl_status keep_directives(struct sl_arena *arena)
{
    struct sl_store *store;
    struct sl_issues issues = {.arena = arena};
    SL_TRY(sl_store_open(fresh_directory(), sl_policy_tables, (size_t)4 << 20, true, &issues, &store));
    enum sl_status status = keep_directives_in(store, arena);
    sl_store_close(store);
    return status;
}

static bool say_record(void *context, uint64_t sequence, struct sl_slice record)
{
    (void)context;
    (void)sequence;
    say(record);
    return true;
}

/* What an append confirmed is there afterwards, whatever failed; and the ledger always verifies. */
static void check_ledger(const char *directory, uint64_t confirmed)
{
    struct sl_ledger_state state;
    bool armed = atomic_exchange(&memory.armed, false);
    struct sl_issues issues = {.arena = world.arena};
    enum sl_status status = sl_ledger_verify(directory, &issues, &state);
    assert_true(status == SL_OK || (status == SL_MISSING && !confirmed));
    assert_true(status == SL_MISSING || state.size >= confirmed);
    atomic_store(&memory.armed, armed);
}

static enum sl_status keep_a_ledger(struct sl_arena *arena)
{
    static char directory[96];
    strcpy(directory, fresh_directory());
    struct sl_issues issues = {.arena = arena};
    const struct sl_ledger_options options = {.directory = directory, .segment_bytes = 65536};
    uint64_t confirmed = 0, sequence;
    enum sl_status status = SL_OK;
    for (unsigned round = 0; round < 2 && status == SL_OK; round++) {
        struct sl_ledger *ledger = NULL;
        status = sl_ledger_open(&options, &issues, &ledger);
        for (unsigned i = 0; i < 3 && status == SL_OK; i++) {
            status = sl_ledger_append_wait(ledger, SL_LIT("{\"record\":1}"), &sequence);
            confirmed += status == SL_OK;
        }
        sl_ledger_close(ledger);
    }
    struct sl_ledger_state state;
    if (status == SL_OK)
        status = sl_ledger_verify(directory, &issues, &state);
    if (status == SL_OK)
        status = sl_ledger_read(directory, 0, &issues, say_record, NULL);
    if (status == SL_OK)
        say((struct sl_slice){(const char *)state.root, sizeof state.root});
    check_ledger(directory, confirmed);
    return status;
}

static enum sl_status search_records(struct sl_records *store, struct sl_arena *arena)
{
    static char ndjson[16384];
    struct sl_issues issues = {.arena = arena};
    struct sl_records_import done;
    struct sl_search search = {0};
    struct sl_slice text;
    uint64_t next;
    size_t len = 0;
    for (size_t i = 0; i < RECORDS; i++)
        len += (size_t)snprintf(ndjson + len, sizeof ndjson - len, "%s\n", records[i]);
    SL_TRY(sl_records_import(store, (struct sl_slice){ndjson, len}, NOW, &issues, &done));
    SL_TRY(sl_records_read(store, arena, SL_LIT("Patient"), SL_LIT("p"), &text));
    SL_TRY(sl_search_read(arena, SL_R4_Condition, SL_LIT("patient=p&code=" ICD "|E11.9&_include=Condition:encounter"),
        (struct sl_slice){NULL, 0}, &issues, &search));
    struct sl_blocks out = {.arena = arena};
    SL_TRY(sl_records_search(store, arena, &search, 0, 10, &out, &next));
    if (out.failed)
        return SL_NO_MEMORY;
    say(text);
    say_blocks(&out);
    return SL_OK;
}

static enum sl_status keep_records(struct sl_arena *arena)
{
    struct sl_records *store;
    struct sl_issues issues = {.arena = arena};
    SL_TRY(sl_records_open(fresh_directory(), true, &issues, &store));
    enum sl_status status = search_records(store, arena);
    sl_records_close(store);
    return status;
}

static enum sl_status sign_with(
    struct sl_arena *arena, const struct sl_signer *signer, struct sl_buffer *set, struct sl_buffer *token)
{
    struct sl_issues issues = {.arena = arena};
    struct sl_keys *keys;
    const char *why = NULL;
    struct sl_slice payload;
    SL_TRY(sl_signer_jwks(signer, set));
    SL_TRY(sl_jws_sign(signer, SL_LIT("{\"iss\":\"i\"}"), token));
    if (sl_buffer_failed(set) || sl_buffer_failed(token))
        return SL_NO_MEMORY;
    SL_TRY(sl_keys_read(sl_buffer_slice(set), &issues, &keys));
    enum sl_status status =
        sl_jws_verify(keys, SL_ALGORITHM_BIT(SL_ALG_ES256), sl_buffer_slice(token), arena, &payload, &why);
    sl_keys_free(keys);
    if (status == SL_OK)
        say(payload);
    return status;
}

static enum sl_status sign_and_verify(struct sl_arena *arena)
{
    struct sl_signer *signer;
    struct sl_buffer set, token;
    SL_TRY(sl_signer_generate(SL_ALG_ES256, &signer));
    sl_buffer_init(&set, 65536);
    sl_buffer_init(&token, 65536);
    enum sl_status status = sign_with(arena, signer, &set, &token);
    sl_buffer_fini(&set);
    sl_buffer_fini(&token);
    sl_signer_free(signer);
    return status;
}

/* ---- Running a trial with each of its allocations failing ---- */

static const struct trial {
    const char *name;
    enum sl_status (*run)(struct sl_arena *arena);
} trials[] = {
    {"parse, edit, gather", parse_and_edit},
    {"load a policy", load_policy},
    {"release on consent", release_on_consent},
    {"withhold once revoked", withhold_once_revoked},
    {"store", put_and_get},
    {"directives", keep_directives},
    {"ledger", keep_a_ledger},
    {"records", keep_records},
    {"sign and verify", sign_and_verify},
};

static enum sl_status try_once(const struct trial *trial)
{
    said.len = 0;
    struct sl_arena *arena = sl_arena_new((size_t)64 << 20);
    enum sl_status status = arena ? trial->run(arena) : SL_NO_MEMORY;
    sl_arena_free(arena);
    return status;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

#define TRIES 300u /* of one trial and kind; further apart where it allocates more often */

static void check_trial(const struct trial *trial, bool lasting, const struct said *whole, unsigned long total)
{
    unsigned long step = total / TRIES + 1, survived = 0, tries = 0;
    double began = seconds();
    for (unsigned long at = 1; at <= total; at += step, tries++) {
        arm(at, lasting);
        enum sl_status status = try_once(trial);
        bool failed = disarm();
        if (status == SL_OK && (said.len != whole->len || memcmp(said.text, whole->text, said.len) != 0))
            fail_msg("%s: allocation %lu fails, and something else comes of it:\n%.*s\ninstead of\n%.*s", trial->name,
                at, (int)said.len, said.text, (int)whole->len, whole->text);
        if (status == SL_OK)
            survived += failed;
        else if (said.len)
            fail_msg("%s: allocation %lu fails, and yet something goes out", trial->name, at);
    }
    print_message("%s%s: %lu allocations, %lu made to fail, %lu of them did no harm, %.1f s\n", trial->name,
        lasting ? ", lasting" : "", total, tries, survived, seconds() - began);
}

static void each_allocation_fails(void **state)
{
    static struct said whole;
    (void)state;
    for (size_t i = 0; i < sizeof trials / sizeof *trials; i++) {
        arm(ULONG_MAX, false);
        enum sl_status status = try_once(&trials[i]);
        disarm();
        if (status != SL_OK || !said.len)
            fail_msg("%s: %s although nothing fails", trials[i].name, sl_status_name(status));
        unsigned long total = atomic_load(&memory.count);
        whole = said;
        check_trial(&trials[i], false, &whole, total);
        check_trial(&trials[i], true, &whole, total);
    }
}

/* ---- The same of whole exchanges: the test stands where worker.c and conn.c would ---- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct sl_task *first, **last;
    struct sl_worker_state *state;
    bool answered;
    int status;
} loop = {.lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER, .last = &loop.first};

struct sl_worker_state *sl_worker_state(struct sl_worker *worker)
{
    (void)worker;
    return loop.state;
}

void sl_worker_post(struct sl_worker *worker, struct sl_task *task)
{
    (void)worker;
    pthread_mutex_lock(&loop.lock);
    task->next = NULL;
    *loop.last = task;
    loop.last = &task->next;
    pthread_cond_signal(&loop.more);
    pthread_mutex_unlock(&loop.lock);
}

void sl_worker_last(struct sl_worker *worker, struct sl_task *task)
{
    sl_worker_post(worker, task);
}

void sl_worker_slowly(struct sl_worker *worker, struct sl_task *task)
{
    sl_worker_post(worker, task);
}

void sl_worker_at(struct sl_worker *worker, uint64_t at, struct sl_task *task)
{
    (void)at;
    sl_worker_post(worker, task);
}

struct sl_slice sl_conn_peer(const struct sl_conn *conn)
{
    (void)conn;
    return SL_LIT("192.0.2.1");
}

void sl_conn_respond(struct sl_conn *conn, const struct sl_response *response)
{
    (void)conn;
    loop.answered = true;
    loop.status = response->status;
    said.len = 0;
    if (response->body)
        say_blocks(response->body);
}

static void turn(void)
{
    pthread_mutex_lock(&loop.lock);
    while (!loop.first)
        pthread_cond_wait(&loop.more, &loop.lock);
    struct sl_task *task = loop.first;
    loop.first = task->next;
    if (!loop.first)
        loop.last = &loop.first;
    pthread_mutex_unlock(&loop.lock);
    task->call(task);
}

static struct {
    struct sl_config *config;
    struct sl_gateway *gateway;
    struct sl_slice token;
    uint64_t answers; /* that released something */
} house;

static struct sl_slice in_folder(const char *name)
{
    return sl_arena_printf(world.arena, "%s/house/%s", world.folder, name);
}

static void write_file(const char *name, struct sl_slice text)
{
    FILE *file = fopen(in_folder(name).ptr, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(text.ptr, 1, text.len, file), text.len);
    fclose(file);
}

static void make_keys(void)
{
    struct sl_signer *signer;
    struct sl_buffer text;
    sl_buffer_init(&text, 65536);
    assert_int_equal(sl_signer_generate(SL_ALG_ES256, &signer), SL_OK);
    assert_int_equal(sl_signer_jwks(signer, &text), SL_OK);
    write_file("keys", sl_buffer_slice(&text));
    sl_buffer_clear(&text);
    assert_int_equal(sl_jws_sign(signer,
                         SL_LIT("{\"iss\":\"https://id.example\",\"aud\":\"https://g.example/fhir\","
                                "\"exp\":4000000000,\"client_id\":\"ward\",\"scope\":\"system/*.rs\"}"),
                         &text),
        SL_OK);
    house.token = sl_arena_printf(world.arena, "Bearer %.*s", SL_FMT(sl_buffer_slice(&text)));
    sl_buffer_fini(&text);
    sl_signer_free(signer);
}

static void fill_stores(struct sl_issues *issues)
{
    struct sl_records *store;
    struct sl_store *policies;
    struct sl_doc doc;
    struct sl_activated activated;
    struct sl_buffer told;
    const struct sl_activation what = {.policy = world.policy, .author = SL_LIT("test"), .now = NOW, .any_packs = true};
    assert_int_equal(sl_records_open(in_folder("records").ptr, true, issues, &store), SL_OK);
    for (size_t i = 0; i < RECORDS; i++) {
        struct sl_records_import done;
        assert_int_equal(sl_records_import(store, sl_slice_of(records[i]), NOW, issues, &done), SL_OK);
    }
    sl_records_close(store);
    assert_int_equal(sl_cli_policy_store(in_folder("policy").ptr, true, issues, &policies), SL_OK);
    sl_buffer_init(&told, 1 << 20);
    assert_int_equal(sl_policy_activate(policies, &what, issues, &told, &activated), SL_OK);
    sl_buffer_fini(&told);
    assert_int_equal(sl_doc_parse(world.arena, SL_LIT(consent), NULL, &doc, NULL), SL_OK);
    assert_int_equal(sl_directives_import(policies, &doc, 0, issues), SL_OK);
    sl_store_close(policies);
}

static void open_house(void)
{
    struct sl_issues issues = {.arena = world.arena};
    char command[96];
    snprintf(command, sizeof command, "mkdir -p %s/house", world.folder);
    assert_int_equal(system(command), 0);
    make_keys();
    fill_stores(&issues);
    write_file("registry.yaml",
        SL_LIT("clients:\n  - id: ward\n    organization: Organization/pcp\n"
               "    kinds: [covered-entity]\n    roles: [physician]\n    treats: [\"*\"]\n    purposes: [TREAT]\n"));
    write_file("programs.yaml",
        SL_LIT("programs:\n  - source: Organization/prog\n    is: program\n    title: P\nothers: not\n"));
    assert_int_equal(
        sl_config_read(in_folder("sluice.yaml").ptr,
            SL_LIT("server:\n  url: https://g.example/fhir\n"
                   "  plain: yes\n  log: no\nupstream:\n  records: records\nidentity:\n  audience: "
                   "https://g.example/fhir\n"
                   "  registry: registry.yaml\n  issuers:\n    - issuer: https://id.example\n      keys: keys\n"
                   "      algorithms: [ES256]\npolicy:\n  store: policy\n  programs: programs.yaml\nledger:\n  "
                   "directory: ledger\n"),
            &issues, &house.config),
        SL_OK);
    assert_int_equal(sl_gateway_open(house.config, &issues, &house.gateway), SL_OK);
    assert_int_equal(sl_worker_state_new(house.gateway, NULL, NULL, &issues, &loop.state), SL_OK);
}

static void close_house(void)
{
    struct sl_ledger_state state;
    struct sl_issues issues = {.arena = world.arena};
    assert_int_equal(loop.state->lingering, 0);
    sl_worker_state_free(loop.state);
    assert_int_equal(atomic_load(&house.gateway->memory), 0); /* whatever was reserved has been given back */
    sl_gateway_close(house.gateway);
    assert_int_equal(sl_ledger_verify(in_folder("ledger").ptr, &issues, &state), SL_OK);
    assert_true(state.size >= house.answers);
    sl_config_free(house.config);
}

/* Asks, with what is armed: the answer's status, and its body in `said`. 503 where no exchange could be made: so says
 * the connection then. */
static int ask(const char *target)
{
    static char bytes[256];
    struct sl_header header = {SL_LIT("Authorization"), house.token};
    snprintf(bytes, sizeof bytes, "%s", target);
    const char *mark = strchr(bytes, '?');
    struct sl_request request = {.method = SL_GET,
        .target = sl_slice_of(bytes),
        .headers = &header,
        .header_count = 1,
        .keep_alive = true,
        .path = {bytes, mark ? (size_t)(mark - bytes) : strlen(bytes)}};
    request.query = sl_slice_from(request.target, request.path.len + 1);
    said.len = 0;
    loop.answered = false;
    struct sl_exchange *x = sl_exchange_new(NULL, NULL);
    if (!x)
        return 503;
    if (sl_exchange_head(x, &request) == SL_OK)
        sl_exchange_start(x);
    while (!loop.answered)
        turn();
    sl_exchange_free(x);
    house.answers += loop.status == 200;
    return loop.status;
}

/* Cursors are random and of one length: that is compared, the bytes are not. */
static void hide_cursors(void)
{
    static const char word[] = "_cursor=";
    char *end = said.text + said.len, *p = said.text;
    while ((p = memmem(p, (size_t)(end - p), word, sizeof word - 1)))
        for (p += sizeof word - 1; p < end && *p != '"'; p++)
            *p = '*';
}

/* One answer for whatever fails on our side, without a word of a record (design.md: our failure is loud). */
static void check_answer(const char *target, unsigned long at, int status, int whole_status, const struct said *whole)
{
    static const char refused[] = "{\"resourceType\":\"OperationOutcome\"";
    hide_cursors();
    if (status == whole_status && said.len == whole->len && memcmp(said.text, whole->text, said.len) == 0)
        return;
    if (status != 503 || (said.len && (said.len > 400 || memcmp(said.text, refused, sizeof refused - 1) != 0)))
        fail_msg("%s: allocation %lu fails, and the answer is %d\n%.*s\ninstead of %d\n%.*s", target, at, status,
            (int)said.len, said.text, whole_status, (int)whole->len, whole->text);
}

static void check_target(const char *target, bool lasting)
{
    static struct said whole;
    unsigned long tries = 0, served = 0;
    double began = seconds();
    (void)ask(target); /* what is kept from one request to the next is there from here on */
    arm(ULONG_MAX, false);
    int whole_status = ask(target);
    disarm();
    hide_cursors();
    whole = said;
    unsigned long total = atomic_load(&memory.count), step = total / TRIES + 1;
    for (unsigned long at = 1; at <= total; at += step, tries++) {
        arm(at, lasting);
        int status = ask(target);
        disarm();
        served += status == whole_status;
        check_answer(target, at, status, whole_status, &whole);
        check_answer(target, at, ask(target), whole_status, &whole); /* and nothing stays behind */
        assert_int_equal(loop.status, whole_status);
    }
    print_message("%s%s: %lu allocations, %lu made to fail, %lu of them did no harm, %.1f s\n", target,
        lasting ? ", lasting" : "", total, tries, served, seconds() - began);
}

static void each_allocation_of_an_exchange_fails(void **state)
{
    static const char *const targets[] = {"/fhir/metadata", "/fhir/Condition/oud", "/fhir/Condition/nothing",
        "/fhir/Condition?patient=p&_include=Condition:encounter", "/fhir/Patient/p/Encounter?_count=1",
        "/fhir/Patient/p/$everything", "/fhir/Condition?favourite=blue"};
    (void)state;
    open_house();
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        check_target(targets[i], false);
        check_target(targets[i], true);
    }
    close_house();
}

static int begin(void **state)
{
    (void)state;
    strcpy(world.folder, "alloc_test.XXXXXX");
    world.arena = sl_arena_new((size_t)64 << 20);
    struct sl_issues issues = {.arena = world.arena};
    return mkdtemp(world.folder) && sl_policy_load(SLUICE_SOURCE "/consent/policies", &issues, &world.policy) == SL_OK
               ? 0
               : -1;
}

static int end(void **state)
{
    (void)state;
    remove_folder(world.folder);
    sl_policy_unref(world.policy);
    sl_arena_free(world.arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation_fails),
        cmocka_unit_test(each_allocation_of_an_exchange_fails),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
