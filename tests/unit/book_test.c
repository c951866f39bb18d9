/* SPDX-License-Identifier: Apache-2.0 */
/* The label book: what it keeps comes back as it was; what does not count is not there; what is known labels as the
 * record would. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "earning_fixture.h"
#include "sluice/book.h"

#define SERVER SL_LIT("https://ehr.example.org/fhir")

struct fixture {
    struct earning_fixture earning;
    struct sl_arena *arena;
    char directory[64];
    struct sl_book *book;
    struct sl_label_generation generation, other;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct sl_programs *programs = sl_programs_new(true);
    f->arena = sl_arena_new((size_t)64 << 20);
    snprintf(f->directory, sizeof f->directory, "book_test_XXXXXX");
    if (!mkdtemp(f->directory) || !earning_setup(&f->earning))
        return -1;
    if (sl_book_open(f->directory, true, NULL, &f->book) != SL_OK)
        return -1;
    if (sl_label_generation_of(SL_LIT("policy"), NULL, &f->generation) != SL_OK ||
        sl_label_generation_of(SL_LIT("policy"), programs, &f->other) != SL_OK)
        return -1;
    sl_programs_unref(programs);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char path[128];
    sl_book_close(f->book);
    sl_book_close(NULL);
    static const char *const files[] = {"data.mdb", "lock.mdb"};
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", f->directory, files[i]);
        unlink(path);
    }
    rmdir(f->directory);
    earning_teardown(&f->earning);
    sl_arena_free(f->arena);
    free(f);
    return 0;
}

static struct sl_book_entry example(void)
{
    static const struct sl_slice patients[] = {{"Patient/p", 9}, {"Patient/q", 9}};
    static const struct sl_derived derived[] = {{{"Encounter/e", 11}, {"3", 1}}};
    struct sl_book_entry e = {.reference = SL_LIT("Condition/c"),
        .version = SL_LIT("7"),
        .reach = {.program = {1, 9}, .received = {2, 8}, .none = {-3, 7}, .stay = {4, 6}, .unknown = true},
        .candidate = true,
        .mixed = true,
        .program = SL_LIT("Location/l"),
        .named_program = SL_LIT("Organization/o"),
        .custodian = SL_LIT("Organization/k"),
        .patients = patients,
        .patient_count = 2,
        .derived = derived,
        .derived_count = 1};
    sl_classes_add(&e.classes, 0);
    sl_classes_add(&e.classes, 255);
    return e;
}

static enum sl_status get(struct fixture *f, const struct sl_label_generation *g, struct sl_slice server,
    const char *reference, int64_t now, struct sl_book_entry *out)
{
    return sl_book_get(f->book, g, server, sl_slice_of(reference), now, 60, f->arena, out);
}

static void what_is_put_comes_back(void **state)
{
    struct fixture *f = *state;
    struct sl_book_entry e = example(), back;
    assert_int_equal(sl_book_put(f->book, &f->generation, SERVER, &e, 1, 1000), SL_OK);
    assert_int_equal(get(f, &f->generation, SERVER, "Condition/c", 1030, &back), SL_OK);
    assert_memory_equal(&back.classes, &e.classes, sizeof e.classes);
    assert_memory_equal(&back.reach, &e.reach, offsetof(struct sl_reach, unknown));
    assert_true(back.reach.unknown);
    assert_true(back.candidate && back.mixed && back.stored == 1000);
    assert_true(sl_slice_eq(back.version, e.version) && sl_slice_eq(back.program, e.program));
    assert_true(sl_slice_eq(back.named_program, e.named_program));
    assert_true(sl_slice_eq(back.custodian, e.custodian) && sl_slice_eq(back.reference, e.reference));
    assert_int_equal(back.patient_count, 2);
    assert_true(sl_slice_eq(back.patients[1], e.patients[1]));
    assert_int_equal(back.derived_count, 1);
    assert_true(sl_slice_eq(back.derived[0].reference, e.derived[0].reference));
}

static void what_does_not_count(void **state)
{
    struct fixture *f = *state;
    struct sl_book_entry e = example(), back;
    assert_int_equal(sl_book_put(f->book, &f->generation, SERVER, &e, 1, 1000), SL_OK);
    assert_int_equal(get(f, &f->generation, SERVER, "Condition/c", 1059, &back), SL_OK);
    assert_int_equal(get(f, &f->generation, SERVER, "Condition/c", 1060, &back), SL_MISSING); /* too old */
    assert_int_equal(get(f, &f->generation, SERVER, "Condition/c", 999, &back), SL_MISSING);  /* of the future */
    assert_int_equal(get(f, &f->other, SERVER, "Condition/c", 1001, &back), SL_MISSING);      /* another generation */
    assert_int_equal(get(f, &f->generation, SL_LIT("https://b"), "Condition/c", 1001, &back), SL_MISSING);
    assert_int_equal(get(f, &f->generation, SERVER, "Condition/d", 1001, &back), SL_MISSING);
    assert_int_equal(get(f, &f->generation, SERVER, "", 1001, &back), SL_MISSING);
    struct sl_book_entry from = {.reference = SL_LIT("Encounter/e"), .version = SL_LIT("3"), .classes = e.classes};
    assert_int_equal(sl_book_put(f->book, &f->generation, SERVER, &from, 1, 1001), SL_OK);
    assert_int_equal(get(f, &f->generation, SERVER, "Condition/c", 1002, &back), SL_OK);
    from.version = SL_LIT("4"); /* the visit was changed: what was derived from it is labelled anew */
    assert_int_equal(sl_book_put(f->book, &f->generation, SERVER, &from, 1, 1002), SL_OK);
    assert_int_equal(get(f, &f->generation, SERVER, "Condition/c", 1003, &back), SL_MISSING);
    assert_int_equal(sl_book_forget(f->book, SERVER, SL_LIT("Encounter/e")), SL_OK);
    assert_int_equal(get(f, &f->generation, SERVER, "Encounter/e", 1003, &back), SL_MISSING);
    assert_int_equal(sl_book_forget(f->book, SERVER, SL_LIT("Encounter/e")), SL_OK); /* none to forget */
    e.patient_count = SL_BOOK_PATIENTS + 1;
    assert_int_equal(sl_book_put(f->book, &f->generation, SERVER, &e, 1, 1000), SL_INVALID);
}

/* A value that some other program wrote, or half a one, is no entry; and never a crash. */
static void values_that_are_none(void **state)
{
    struct fixture *f = *state;
    static const char *const book_tables[] = {"book", NULL};
    struct sl_book_entry e = example(), back;
    assert_int_equal(sl_book_put(f->book, &f->generation, SERVER, &e, 1, 1000), SL_OK);
    sl_book_close(f->book);
    struct sl_store *store;
    struct sl_txn *txn;
    char key[] = "https://ehr.example.org/fhir\0Condition/c", value[4096];
    struct sl_slice name = {key, sizeof key - 1}, whole;
    assert_int_equal(sl_store_open(f->directory, book_tables, 0, true, NULL, &store), SL_OK);
    assert_int_equal(sl_txn_begin(store, false, &txn), SL_OK);
    assert_int_equal(sl_txn_get(txn, 0, name, &whole), SL_OK);
    assert_true(whole.len > 100 && whole.len < sizeof value);
    memcpy(value, whole.ptr, whole.len);
    sl_txn_abort(txn);
    for (size_t len = 0; len <= whole.len + 1; len++) { /* each beginning of it, the whole, and one byte more */
        assert_int_equal(sl_txn_begin(store, true, &txn), SL_OK);
        assert_int_equal(sl_txn_put(txn, 0, name, (struct sl_slice){value, len}), SL_OK);
        assert_int_equal(sl_txn_commit(txn), SL_OK);
        sl_store_close(store);
        assert_int_equal(sl_book_open(f->directory, false, NULL, &f->book), SL_OK);
        assert_int_equal(
            get(f, &f->generation, SERVER, "Condition/c", 1001, &back), len == whole.len ? SL_OK : SL_MISSING);
        sl_book_close(f->book);
        assert_int_equal(sl_store_open(f->directory, book_tables, 0, true, NULL, &store), SL_OK);
        len += len > 60 && len + 20 < whole.len ? 12 : 0;
    }
    sl_store_close(store);
    assert_int_equal(sl_book_open(f->directory, true, NULL, &f->book), SL_OK);
}

static void many_entries(void **state)
{
    struct fixture *f = *state;
    size_t count = SL_STORE_PUTS * 2 + 7;
    struct sl_book_entry *entries = sl_arena_array(f->arena, count, sizeof *entries), back;
    for (size_t i = 0; i < count; i++) {
        entries[i].reference = sl_arena_printf(f->arena, "Observation/%zu", i);
        sl_classes_add(&entries[i].classes, (unsigned)(i % SL_CLASS_LIMIT));
    }
    assert_int_equal(sl_book_put(f->book, &f->generation, SERVER, entries, count, 1), SL_OK);
    for (size_t i = 0; i < count; i += 97) {
        assert_int_equal(get(f, &f->generation, SERVER, entries[i].reference.ptr, 2, &back), SL_OK);
        assert_true(sl_classes_has(&back.classes, (unsigned)(i % SL_CLASS_LIMIT)));
    }
}

static void generations_differ(void **state)
{
    (void)state;
    struct sl_programs *a = sl_programs_new(true), *b = sl_programs_new(true);
    struct sl_label_generation one, two;
    assert_int_equal(sl_programs_add(a, SL_LIT("Organization/x"), SL_SOURCE_PROGRAM), SL_OK);
    assert_int_equal(sl_programs_add(a, SL_LIT("y"), SL_SOURCE_NOT), SL_OK);
    assert_int_equal(sl_programs_add(b, SL_LIT("y"), SL_SOURCE_NOT), SL_OK);
    assert_int_equal(sl_label_generation_of(SL_LIT("p"), a, &one), SL_OK);
    assert_int_equal(sl_label_generation_of(SL_LIT("p"), b, &two), SL_OK);
    assert_memory_not_equal(&one, &two, sizeof one); /* a program more */
    assert_int_equal(sl_programs_add(b, SL_LIT("Organization/x"), SL_SOURCE_PROGRAM), SL_OK);
    assert_int_equal(sl_label_generation_of(SL_LIT("p"), b, &two), SL_OK);
    assert_memory_equal(&one, &two, sizeof one); /* the same, in another order */
    assert_int_equal(sl_label_generation_of(SL_LIT("q"), b, &two), SL_OK);
    assert_memory_not_equal(&one, &two, sizeof one); /* another policy */
    sl_programs_unref(a);
    sl_programs_unref(b);
}

/* ---- With the labeller ---- */

static struct sl_item *add(struct fixture *f, struct sl_labeller *l, const char *json)
{
    struct sl_doc *doc = sl_arena_alloc(f->arena, sizeof *doc);
    struct sl_item *item;
    assert_int_equal(sl_doc_parse(f->arena, sl_slice_of(json), NULL, doc, NULL), SL_OK);
    assert_int_equal(sl_labeller_add(l, doc, 0, SL_LIT(""), true, &item), SL_OK);
    return item;
}

static void resolve(struct sl_labeller *l)
{
    struct sl_slice *missing;
    size_t count;
    assert_int_equal(sl_labeller_resolve(l, &missing, &count), SL_OK);
    assert_int_equal(count, 0);
}

#define REF(to) "{\"reference\":\"" to "\"}"
static const char *const records[] = {
    "{\"resourceType\":\"Organization\",\"id\":\"o\",\"partOf\":" REF("Organization/top") "}",
    "{\"resourceType\":\"Organization\",\"id\":\"top\"}",
    "{\"resourceType\":\"Organization\",\"id\":\"clinic\"}",
    "{\"resourceType\":\"Encounter\",\"id\":\"e\",\"meta\":{\"versionId\":\"9\"},\"serviceProvider\":" REF(
        "Organization/o") "}",
    "{\"resourceType\":\"Encounter\",\"id\":\"f\",\"serviceProvider\":" REF("Organization/clinic") "}",
    "{\"resourceType\":\"Medication\",\"id\":\"m\",\"code\":{\"coding\":[{\"system\":\"http://www.nlm.nih.gov/research/"
    "umls/rxnorm\","
    "\"code\":\"6813\"}]}}",
    "{\"resourceType\":\"Condition\",\"id\":\"c\",\"code\":{\"coding\":[{\"system\":\"http://hl7.org/fhir/sid/"
    "icd-10-cm\",\"code\":\"B20\"}]},"
    "\"encounter\":" REF("Encounter/f") "}",
};
static const char *const askers[] = {
    "{\"resourceType\":\"MedicationRequest\",\"medicationReference\":" REF("Medication/m") "}",
    "{\"resourceType\":\"MedicationRequest\",\"medicationReference\":" REF("Medication/m") ",\"encounter\":" REF(
        "Encounter/e") "}",
    "{\"resourceType\":\"MedicationRequest\",\"medicationReference\":" REF("Medication/m") ",\"encounter\":" REF(
        "Encounter/f") "}",
    "{\"resourceType\":\"DiagnosticReport\",\"result\":[" REF("Condition/c") "],\"encounter\":" REF("Encounter/f") "}",
};

/* Each asker is labelled with the records beside it, and with what the book keeps of them: no difference. */
static void what_is_known_labels_as_the_record(void **state)
{
    struct fixture *f = *state;
    struct sl_programs *programs = sl_programs_new(true);
    struct sl_book_entry entries[8], kept;
    size_t count = sizeof records / sizeof *records;
    assert_int_equal(sl_programs_add(programs, SL_LIT("Organization/top"), SL_SOURCE_PROGRAM), SL_OK);
    struct sl_labeller *full = sl_labeller_new_earning(f->arena, &f->earning.earning, programs);
    for (size_t i = 0; i < count; i++)
        add(f, full, records[i]);
    resolve(full);
    size_t n = 0;
    for (struct sl_item *item = sl_labeller_items(full); item; item = item->next)
        assert_int_equal(sl_book_entry_of(item, f->arena, &entries[n++]), SL_OK);
    assert_true(
        entries[3].derived_count == 1 && sl_slice_eq(entries[3].derived[0].reference, SL_LIT("Organization/o")));
    assert_int_equal(sl_book_put(f->book, &f->generation, SERVER, entries, n, 1000), SL_OK);
    for (size_t i = 0; i < sizeof askers / sizeof *askers; i++) {
        struct sl_labeller *known = sl_labeller_new_earning(f->arena, &f->earning.earning, programs);
        for (size_t k = 0; k < n; k++) {
            struct sl_item *item;
            assert_int_equal(
                sl_book_get(f->book, &f->generation, SERVER, entries[k].reference, 1001, 60, f->arena, &kept), SL_OK);
            assert_int_equal(sl_labeller_know(known, &kept, &item), SL_OK);
            assert_true(item->context && !item->doc);
        }
        const struct sl_item *a = add(f, full, askers[i]), *b = add(f, known, askers[i]);
        resolve(full);
        resolve(known);
        assert_memory_equal(&a->classes, &b->classes, sizeof a->classes);
        assert_int_equal(a->source, b->source);
        assert_true(sl_slice_eq(a->custodian, b->custodian));
        assert_null(b->unlabelled);
    }
    sl_programs_unref(programs);
}

/* What is not there: named or not as it would be if it had been asked for; and what rests on it does no more once it
 * is.
 */
static void what_is_not_there(void **state)
{
    struct fixture *f = *state;
    struct sl_book_entry entries[] = {{.state = SL_BOOK_ABSENT, .reference = SL_LIT("Encounter/e")},
        {.state = SL_BOOK_UNTOLD, .reference = SL_LIT("Encounter/u")}},
                         back, rests;
    assert_int_equal(sl_book_put(f->book, &f->generation, SERVER, entries, 2, 1000), SL_OK);
    for (size_t i = 0; i < 2; i++) {
        struct sl_labeller *l = sl_labeller_new_earning(f->arena, &f->earning.earning, NULL);
        const char *text = i ? "{\"resourceType\":\"Condition\",\"id\":\"c\",\"encounter\":" REF("Encounter/u") "}"
                             : "{\"resourceType\":\"Condition\",\"id\":\"c\",\"encounter\":" REF("Encounter/e") "}";
        struct sl_item *item, *none;
        assert_int_equal(get(f, &f->generation, SERVER, entries[i].reference.ptr, 1059, &back), SL_OK);
        assert_int_equal(back.state, entries[i].state);
        assert_int_equal(get(f, &f->generation, SERVER, entries[i].reference.ptr, 1060, &back), SL_MISSING);
        assert_int_equal(get(f, &f->generation, SERVER, entries[i].reference.ptr, 1001, &back), SL_OK);
        assert_int_equal(sl_labeller_know(l, &back, &none), SL_OK);
        assert_null(none);
        item = add(f, l, text);
        resolve(l);
        assert_null(item->unlabelled);
        assert_int_equal(item->references[0].untold, i);
        assert_int_equal(sl_book_entry_of(item, f->arena, &rests), SL_OK);
    }
    assert_true(rests.derived_count == 1 && rests.derived[0].version.len == 0);
    assert_int_equal(sl_book_put(f->book, &f->generation, SERVER, &rests, 1, 1001), SL_OK);
    assert_int_equal(get(f, &f->generation, SERVER, "Condition/c", 1002, &back), SL_OK);
    struct sl_book_entry made = example();
    made.reference = SL_LIT("Encounter/u");
    assert_int_equal(sl_book_put(f->book, &f->generation, SERVER, &made, 1, 1001), SL_OK);
    assert_int_equal(get(f, &f->generation, SERVER, "Condition/c", 1002, &back), SL_MISSING);
    entries[0].classes = made.classes; /* of what is not there nothing is known */
    assert_int_equal(sl_book_put(f->book, &f->generation, SERVER, entries, 1, 1000), SL_OK);
    assert_int_equal(get(f, &f->generation, SERVER, "Encounter/e", 1001, &back), SL_MISSING);
}

static void what_is_not_kept(void **state)
{
    struct fixture *f = *state;
    struct sl_labeller *l = sl_labeller_new_earning(f->arena, &f->earning.earning, NULL);
    struct sl_book_entry entry = example();
    struct sl_item *item;
    static const char *const cases[] = {"{\"resourceType\":\"Condition\"}",
        "{\"resourceType\":\"Spaceship\",\"id\":\"a\"}",
        "{\"resourceType\":\"Condition\",\"id\":\"a\",\"modifierExtension\":[{\"url\":\"u\"}]}"};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(sl_book_entry_of(add(f, l, cases[i]), f->arena, &entry), SL_MISSING);
    item = add(f, l,
        "{\"resourceType\":\"MedicationRequest\",\"id\":\"r\",\"contained\":[{\"resourceType\":\"Medication\",\"id\":"
        "\"m\"}]}");
    assert_int_equal(sl_book_entry_of(item->next, f->arena, &entry), SL_MISSING);
    entry = example();
    entry.reference = SL_LIT("urn:uuid:1");
    assert_int_equal(sl_labeller_know(l, &entry, &item), SL_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_put_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(what_does_not_count, setup, teardown),
        cmocka_unit_test_setup_teardown(values_that_are_none, setup, teardown),
        cmocka_unit_test_setup_teardown(many_entries, setup, teardown),
        cmocka_unit_test(generations_differ),
        cmocka_unit_test_setup_teardown(what_is_known_labels_as_the_record, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_not_there, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_not_kept, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
