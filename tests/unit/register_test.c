/* SPDX-License-Identifier: Apache-2.0 */
/* The officer's register: what an entry must be, a log from which nothing goes, what is in force when, and what it does
 * to the labels of the shipped policy. JSON is written with single quotes, for the eye. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "registered.h"
#include "sluice/book.h"
#include "sluice/decide.h"
#include "sluice/label.h"
#include "sluice/register.h"

#define NOW 1780272000 /* 2026-06-01T00:00:00Z */
#define DAY 86400

struct fixture {
    struct sl_arena *arena;
    struct sl_issues issues;
    struct sl_policy *policy;
    struct sl_programs *programs;
    char directory[64];
    struct sl_store *store;
};

static int begin(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->arena = sl_arena_new((size_t)256 << 20);
    f->issues.arena = f->arena;
    snprintf(f->directory, sizeof f->directory, "register_test.XXXXXX");
    *state = f;
    if (!mkdtemp(f->directory) ||
        sl_store_open(f->directory, sl_policy_tables, (size_t)64 << 20, true, NULL, &f->store) != SL_OK)
        return -1;
    f->programs = sl_programs_new(true);
    return sl_programs_add(f->programs, SL_LIT("Organization/harbor"), SL_SOURCE_PROGRAM) == SL_OK &&
                   sl_policy_load(SLUICE_SOURCE "/consent/policies", &f->issues, &f->policy) == SL_OK
               ? 0
               : -1;
}

static int end(void **state)
{
    struct fixture *f = *state;
    char path[128];
    const char *const files[] = {"data.mdb", "lock.mdb", "entries.yaml"};
    sl_store_close(f->store);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", f->directory, files[i]);
        unlink(path);
    }
    rmdir(f->directory);
    sl_programs_unref(f->programs);
    sl_policy_unref(f->policy);
    sl_arena_free(f->arena);
    free(f);
    return 0;
}

/* ---- Entries ---- */

static enum sl_status load(struct fixture *f, const char *yaml, struct sl_register_entries *out)
{
    char path[128];
    snprintf(path, sizeof path, "%s/entries.yaml", f->directory);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "entries:\n%s\n", yaml);
    fclose(file);
    return sl_register_load(path, SL_LIT("officer"), NOW, &f->issues, out);
}

#define PAID_FOR(items) "kind: self-pay, items: [" items "], patient: Patient/p, why: asked"
#define PAID PAID_FOR("Encounter/e")
#define SAID_OF(items) "kind: reclassification, items: [" items "], law: 42 CFR 2.11, why: wrong unit"
#define OTHER SAID_OF("Observation/o")

static void entries(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *yaml, *code; /* NULL: it is one */
    } cases[] = {
        {"- {" PAID "}", NULL},
        {"- {" PAID ", from: 2026-01-01, until: 2026-01-01}", NULL},
        {"- {" OTHER ", has: [part2], program: Organization/harbor}", NULL},
        {"- {" OTHER ", has-not: [sud, mental-health], patient: Patient/p}", NULL},
        {"- {kind: sold, items: [Encounter/e], why: w}", "register-unknown-kind"},
        {"- {kind: self-pay, patient: Patient/p, why: w}", "register-missing"},
        {"- {kind: self-pay, items: [Encounter/e], why: w}", "register-missing"},
        {"- {kind: self-pay, items: [Encounter/e], patient: Patient/p}", "register-missing"},
        {"- {kind: reclassification, items: [Observation/o], has: [sud], why: w}", "register-missing"},
        {"- {" OTHER "}", "register-missing"},
        {"- {" PAID ", has-not: [sud]}", "register-not-here"},
        {"- {" OTHER ", has: [sud], has-not: [sud]}", "register-both"},
        {"- {" PAID ", from: 2026-02-01, until: 2026-01-31}", "register-never"},
        {"- {" PAID ", from: soon}", "register-bad-value"},
        {"- {" PAID ", shred: yes}", "unknown-key"},
        {"- {kind: self-pay, items: [Organization/o], patient: Patient/p, why: w}", "register-bad-value"},
        {"- {kind: self-pay, items: [Patient/p], patient: Patient/p, why: w}", "register-bad-value"},
        {"- {kind: self-pay, items: [Encounter], patient: Patient/p, why: w}", "register-bad-value"},
        {"- {kind: self-pay, items: [Encounter/e/f], patient: Patient/p, why: w}", "register-bad-value"},
        {"- {kind: self-pay, items: [Encounter/e], patient: p, why: w}", "register-bad-value"},
        {"- {kind: self-pay, items: [Encounter/e], patient: [Patient/p, Patient/q], why: w}", "register-too-many"},
        {"- {kind: self-pay, items: [Encounter/e], patient: Patient/p, why: \" \"}", "register-bad-value"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sl_register_entries list;
        f->issues = (struct sl_issues){.arena = f->arena};
        enum sl_status status = load(f, cases[i].yaml, &list);
        if (!cases[i].code) {
            assert_int_equal(status, SL_OK);
            continue;
        }
        assert_int_equal(status, SL_INVALID);
        if (!f->issues.first || !sl_slice_eq(f->issues.first->code, sl_slice_of(cases[i].code)))
            fail_msg("%s: %.*s", cases[i].yaml, f->issues.first ? (int)f->issues.first->code.len : 0,
                f->issues.first ? f->issues.first->code.ptr : "");
    }
}

static void defaults(void **state)
{
    struct fixture *f = *state;
    struct sl_register_entries list;
    assert_int_equal(load(f, "- {" PAID "}", &list), SL_OK);
    assert_int_equal(list.count, 1);
    assert_true(sl_slice_eq(sl_register_value(list.entry, SL_REGISTER_LAW), SL_LIT("45 CFR 164.522(a)(1)(vi)")));
    assert_true(sl_slice_eq(sl_register_value(list.entry, SL_REGISTER_BY), SL_LIT("officer")));
    assert_int_equal(list.entry->entered, NOW);
}

/* ---- The log ---- */

static void log_keeps_everything(void **state)
{
    struct fixture *f = *state;
    struct sl_register_entries list, back;
    uint64_t length;
    assert_int_equal(load(f, "- {" PAID "}\n- {" OTHER ", has: [sud, hiv]}", &list), SL_OK);
    assert_int_equal(sl_register_add(f->store, list.entry, list.count, NOW), SL_OK);
    assert_int_equal(list.entry[1].number, 2);
    assert_int_equal(sl_register_end(f->store, 1, SL_LIT("chief"), SL_LIT("the plan paid"), NOW + 5), SL_OK);
    assert_int_equal(sl_register_end(f->store, 1, SL_LIT("chief"), SL_LIT("again"), NOW), SL_EXISTS);
    assert_int_equal(sl_register_end(f->store, 3, SL_LIT("chief"), SL_LIT("an end"), NOW), SL_MISSING);
    assert_int_equal(sl_register_end(f->store, 9, SL_LIT("chief"), SL_LIT("nothing"), NOW), SL_MISSING);
    assert_int_equal(sl_register_end(f->store, 2, SL_LIT(""), SL_LIT("nobody"), NOW), SL_INVALID);
    assert_int_equal(sl_register_add(f->store, list.entry, 1, NOW + 9), SL_OK);
    assert_int_equal(list.entry[0].number, 4);
    assert_int_equal(sl_register_length(f->store, &length), SL_OK);
    assert_int_equal(length, 4);
    assert_int_equal(sl_register_list(f->store, f->arena, &back), SL_OK);
    assert_int_equal(back.count, 3);
    assert_true(back.entry[0].ended && !back.entry[1].ended && !back.entry[2].ended);
    assert_int_equal(back.entry[0].ended_at, NOW + 5);
    assert_true(sl_slice_eq(back.entry[0].ended_by, SL_LIT("chief")));
    assert_true(sl_slice_eq(back.entry[0].ended_why, SL_LIT("the plan paid")));
    assert_int_equal(back.entry[0].entered, NOW);
    assert_int_equal(back.entry[1].field[SL_REGISTER_HAS].count, 2);
    assert_true(sl_slice_eq(back.entry[1].field[SL_REGISTER_HAS].value[1], SL_LIT("hiv")));
    assert_int_equal(back.entry[2].number, 4);
}

static void change_line(struct fixture *f, const char *value, size_t len)
{
    struct sl_txn *txn;
    static const char key[9] = {'L', 0, 0, 0, 0, 0, 0, 0, 1};
    assert_int_equal(sl_txn_begin(f->store, true, &txn), SL_OK);
    struct sl_slice name = {key, sizeof key};
    assert_int_equal(value ? sl_txn_put(txn, SL_TABLE_REGISTER, name, (struct sl_slice){value, len})
                           : sl_txn_delete(txn, SL_TABLE_REGISTER, name),
        SL_OK);
    assert_int_equal(sl_txn_commit(txn), SL_OK);
}

/* A line that is gone, cut off, or too long is a register that cannot be read, and nothing is released under it. */
static void log_that_cannot_be_read(void **state)
{
    struct fixture *f = *state;
    struct sl_register_entries list;
    struct sl_registered *registered;
    struct sl_slice whole;
    struct sl_txn *txn;
    char line[4096];
    assert_int_equal(load(f, "- {" PAID "}", &list), SL_OK);
    assert_int_equal(sl_register_add(f->store, list.entry, 1, NOW), SL_OK);
    assert_int_equal(sl_txn_begin(f->store, false, &txn), SL_OK);
    assert_int_equal(sl_txn_get(txn, SL_TABLE_REGISTER, (struct sl_slice){"L\0\0\0\0\0\0\0\1", 9}, &whole), SL_OK);
    memcpy(line, whole.ptr, whole.len);
    sl_txn_abort(txn);
    for (size_t len = 0; len <= whole.len + 1; len++) {
        line[whole.len] = 0;
        change_line(f, line, len);
        enum sl_status expected = len == whole.len ? SL_OK : SL_CORRUPT;
        assert_int_equal(sl_register_list(f->store, f->arena, &list), expected);
        assert_int_equal(list.count, expected == SL_OK);
        if (len % 40 == 0)
            assert_int_equal(sl_registered_of(f->store, f->policy, NOW, NULL, &registered), expected);
    }
    change_line(f, NULL, 0);
    assert_int_equal(sl_register_list(f->store, f->arena, &list), SL_CORRUPT);
}

/* ---- What is in force ---- */

static struct sl_registered *compile(struct fixture *f, const char *yaml, int64_t now)
{
    struct sl_register_entries list;
    struct sl_registered *registered;
    assert_int_equal(load(f, yaml, &list), SL_OK);
    assert_int_equal(sl_registered_new(f->policy, &list, now, &f->issues, &registered), SL_OK);
    return registered;
}

static void in_force_by_dates(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *yaml;
        int64_t at, until; /* until: of what is compiled then; 0: for good */
        bool there;
    } cases[] = {
        {"- {" PAID "}", NOW, 0, true},
        {"- {" PAID ", from: 2026-06-02}", NOW, NOW + DAY, false},
        {"- {" PAID ", from: 2026-06-02}", NOW + DAY, 0, true},
        {"- {" PAID ", until: 2026-06-02}", NOW + 2 * DAY - 1, NOW + 2 * DAY, true}, /* the whole of that day */
        {"- {" PAID ", until: 2026-06-02}", NOW + 2 * DAY, 0, false},
        {"- {" PAID ", until: \"2026-06-01T00:00:01Z\"}", NOW, NOW + 2, true},
        {"- {" PAID ", from: 2026-06-03, until: 2026-06-04}", NOW, NOW + 2 * DAY, false},
        {"- {" PAID ", from: 2026-06-03, until: 2026-06-04}", NOW + 2 * DAY, NOW + 4 * DAY, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sl_registered *registered = compile(f, cases[i].yaml, cases[i].at);
        const struct sl_mark *mark = sl_registered_find(registered, SL_R4_Encounter, SL_LIT("e"));
        assert_int_equal(mark != NULL, cases[i].there);
        assert_int_equal(sl_registered_digest(registered) != NULL, cases[i].there);
        assert_int_equal(sl_registered_until(registered), cases[i].until ? cases[i].until : INT64_MAX);
        assert_null(sl_registered_find(registered, SL_R4_Observation, SL_LIT("e")));
        assert_null(sl_registered_find(registered, SL_R4_Encounter, SL_LIT("f")));
        sl_registered_unref(registered);
    }
    assert_null(sl_registered_find(NULL, SL_R4_Encounter, SL_LIT("e")));
}

/* Labels of the book rest on what is in force, and on nothing else of the register. */
static void generations(void **state)
{
    struct fixture *f = *state;
    struct sl_label_generation plain, same, marked, other;
    assert_int_equal(sl_label_generation(f->policy, f->programs, &plain), SL_OK);
    same = marked = other = plain;
    struct sl_registered *none = compile(f, "- {" PAID ", from: 2026-07-01}", NOW);
    struct sl_registered *one = compile(f, "- {" PAID "}", NOW);
    struct sl_registered *another = compile(f, "- {" PAID_FOR("Encounter/f") "}", NOW);
    assert_int_equal(sl_label_generation_registered(none, &same), SL_OK);
    assert_int_equal(sl_label_generation_registered(one, &marked), SL_OK);
    assert_int_equal(sl_label_generation_registered(another, &other), SL_OK);
    assert_memory_equal(&same, &plain, sizeof plain);
    assert_memory_not_equal(&marked, &plain, sizeof plain);
    assert_memory_not_equal(&marked, &other, sizeof plain);
    sl_registered_unref(none);
    sl_registered_unref(one);
    sl_registered_unref(another);
}

/* ---- What it does to labels ---- */

static struct sl_item *add(struct fixture *f, struct sl_labeller *labeller, const char *json)
{
    struct sl_doc *doc = sl_arena_alloc(f->arena, sizeof *doc);
    char *text = sl_arena_raw(f->arena, strlen(json) + 1, 1);
    struct sl_item *item;
    for (size_t i = 0; i <= strlen(json); i++)
        text[i] = json[i] == '\'' ? '"' : json[i];
    assert_int_equal(sl_doc_parse(f->arena, sl_slice_of(text), NULL, doc, NULL), SL_OK);
    assert_int_equal(sl_labeller_add(labeller, doc, 0, SL_LIT(""), false, &item), SL_OK);
    return item;
}

static void resolve(struct sl_labeller *labeller)
{
    struct sl_slice *missing;
    size_t count = 1;
    while (count) {
        assert_int_equal(sl_labeller_resolve(labeller, &missing, &count), SL_OK);
        for (size_t i = 0; i < count; i++)
            assert_int_equal(sl_labeller_absent(labeller, missing[i], true), SL_OK);
    }
}

static bool has(const struct fixture *f, const struct sl_classes *classes, const char *id)
{
    unsigned bit = sl_policy_class_find(f->policy, sl_slice_of(id));
    assert_true(bit < SL_CLASS_LIMIT);
    return sl_classes_has(classes, bit);
}

#define REF(to) "{'reference':'" to "'}"
#define P "'subject':" REF("Patient/p")
#define PULSE "'status':'final','code':{'coding':[{'system':'http://loinc.org','code':'8867-4'}]}"
#define OUD "'code':{'coding':[{'system':'http://hl7.org/fhir/sid/icd-10-cm','code':'F11.20'}]}"

/* One world, many registers: what the items' classes then are. */
static const char *const world[] = {
    "{'resourceType':'Encounter','id':'e','status':'finished'," P ",'serviceProvider':" REF(
        "Organization/harbor") ",'reasonCode':[{'coding':[{'system':'http://hl7.org/fhir/sid/icd-10-cm',"
                               "'code':'F11.20'}]}]}",
    "{'resourceType':'Encounter','id':'part','status':'finished'," P ",'partOf':" REF("Encounter/e") "}",
    "{'resourceType':'Observation','id':'o'," PULSE "," P ",'encounter':" REF("Encounter/part") "}",
    "{'resourceType':'Observation','id':'panel'," PULSE "," P ",'hasMember':[" REF("Observation/o") "]}",
    "{'resourceType':'Condition','id':'c'," OUD "," P ",'encounter':" REF("Encounter/plain") "}",
    "{'resourceType':'Encounter','id':'plain','status':'finished'," P
    ",'serviceProvider':" REF("Organization/lake") "}",
    "{'resourceType':'Claim','id':'claim','status':'active','patient':" REF(
        "Patient/p") ",'item':[{'sequence':1,'encounter':[" REF("Encounter/plain") "]}]}",
    "{'resourceType':'ExplanationOfBenefit','id':'eob','status':'active','patient':" REF("Patient/p") ",'claim':" REF(
        "Claim/claim") "}",
    "{'resourceType':'Encounter','id':'error','status':'entered-in-error'," P
    ",'serviceProvider':" REF("Organization/harbor") "}",
    "{'resourceType':'Condition','id':'after','verificationStatus':{'coding':[{'system':"
    "'http://terminology.hl7.org/CodeSystem/condition-ver-status','code':'entered-in-error'}]}," OUD "," P
    ",'encounter':" REF("Encounter/error") "}",
    "{'resourceType':'Organization','id':'lake','name':'Lakeside'}",
    "{'resourceType':'Patient','id':'p'}",
};

static void marks(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *name, *yaml, *item, *classes, *without; /* words with a space between */
    } cases[] = {
        {"nothing registered", "- {" PAID ", from: 2030-01-01}", "Observation/o", "part2", "self-pay"},
        {"a visit", "- {" PAID_FOR("Encounter/plain") "}", "Encounter/plain", "self-pay", "part2"},
        {"what hangs on it", "- {" PAID_FOR("Encounter/plain") "}", "Condition/c", "self-pay sud", "part2"},
        {"its claim", "- {" PAID_FOR("Encounter/plain") "}", "Claim/claim", "self-pay", ""},
        {"what the plan answered", "- {" PAID_FOR("Encounter/plain") "}", "ExplanationOfBenefit/eob", "self-pay", ""},
        {"a part of the visit", "- {" PAID "}", "Observation/o", "self-pay part2", ""},
        {"a panel of what was measured then", "- {" PAID "}", "Observation/panel", "self-pay part2", ""},
        {"no other visit", "- {" PAID "}", "Condition/c", "sud", "self-pay"},
        {"a record by itself", "- {" PAID_FOR("Observation/o") "}", "Observation/o", "self-pay", ""},
        {"and nothing beside it", "- {" PAID_FOR("Observation/o") "}", "Encounter/part", "", "self-pay"},
        {"no program's visit after all", "- {" SAID_OF("Encounter/e") ", patient: Patient/p, has-not: [part2]}",
            "Encounter/e", "chart", "part2"},
        {"so what was done then is none's either",
            "- {" SAID_OF("Encounter/e") ", patient: Patient/p, has-not: [part2]}", "Observation/panel", "chart",
            "part2"},
        {"another patient's is not meant", "- {" SAID_OF("Encounter/e") ", patient: Patient/q, has-not: [part2]}",
            "Encounter/e", "part2", ""},
        {"nobody's is not meant", "- {" SAID_OF("Encounter/e") ", has-not: [part2]}", "Encounter/e", "part2", ""},
        {"one result ends what it inherits", "- {" OTHER ", patient: Patient/p, has-not: [part2]}", "Observation/panel",
            "chart", "part2"},
        {"the visit stays what it is", "- {" OTHER ", patient: Patient/p, has-not: [part2]}", "Encounter/part", "part2",
            ""},
        {"a program's record that names none",
            "- {" SAID_OF("Encounter/plain") ", has: [part2], program: Organization/harbor}", "Condition/c",
            "part2 sud", ""},
        {"no code counts against it", "- {" SAID_OF("Condition/c") ", patient: Patient/p, has-not: [sud, opioid]}",
            "Condition/c", "chart", "sud opioid part2"},
        {"every record keeps the class of its type",
            "- {" SAID_OF("Condition/c") ", patient: Patient/p, has-not: [chart, sud]}", "Condition/c", "chart", "sud"},
        {"who says that it has it prevails",
            "- {" SAID_OF("Condition/c") ", patient: Patient/p, has-not: [sud]}\n- {" SAID_OF(
                "Condition/c") ", has: [sud]}",
            "Condition/c", "sud", ""},
        {"an error ends nothing", "- {" PAID "}", "Condition/after", "part2 sud", ""},
        {"an officer does", "- {" SAID_OF("Encounter/error") ", patient: Patient/p, has-not: [part2]}",
            "Condition/after", "sud", "part2"},
        {"a flag ends as well", "- {" PAID "}\n- {" OTHER ", patient: Patient/p, has-not: [self-pay]}",
            "Observation/panel", "part2", "self-pay"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sl_registered *registered = compile(f, cases[i].yaml, NOW);
        struct sl_labeller *labeller = sl_labeller_new(f->arena, f->policy, f->programs);
        sl_labeller_registered(labeller, registered);
        for (size_t k = 0; k < sizeof world / sizeof *world; k++)
            add(f, labeller, world[k]);
        resolve(labeller);
        const struct sl_item *item = sl_labeller_find(labeller, sl_slice_of(cases[i].item));
        assert_non_null(item);
        assert_null(item->unlabelled);
        char words[128];
        for (unsigned half = 0; half < 2; half++) {
            snprintf(words, sizeof words, "%s", half ? cases[i].without : cases[i].classes);
            for (char *word = strtok(words, " "); word; word = strtok(NULL, " "))
                if (has(f, &item->classes, word) == (half == 1))
                    fail_msg("%s: %s %s %s", cases[i].name, cases[i].item, half ? "has" : "has not", word);
        }
        struct sl_classes explained = {{0}};
        for (const struct sl_reason *r = item->reasons; r; r = r->next)
            sl_classes_join(&explained, &r->classes);
        assert_memory_equal(&explained, &item->classes, sizeof explained);
        sl_registered_unref(registered);
    }
}

/* What a record says of who pays, where that is beyond doubt. */
static void purses(void **state)
{
    struct fixture *f = *state;
#define COVERAGE(id, coding)                                                                                           \
    "{'resourceType':'Coverage','id':'" id                                                                             \
    "','status':'active','beneficiary':" REF("Patient/p") ",'type':{'coding':[{" coding "}]}}"
#define CLAIM(insurance)                                                                                               \
    "{'resourceType':'Claim','id':'x','status':'active','patient':" REF("Patient/p") ",'insurance':[" insurance "]}"
#define BY(id, focal) "{'sequence':1,'focal':" focal ",'coverage':" REF("Coverage/" id) "}"
#define LABELLED                                                                                                       \
    "'meta':{'security':[{'system':'http://terminology.hl7.org/CodeSystem/v3-ActCode','code':'HIPAASelfPay'}]}"
    static const char *const world_of_purses[] = {
        COVERAGE("own", "'system':'http://terminology.hl7.org/CodeSystem/coverage-selfpay','code':'pay'"),
        COVERAGE("sopt", "'system':'https://nahdo.org/sopt','code':'81'"),
        COVERAGE("plan", "'system':'http://terminology.hl7.org/CodeSystem/v3-ActCode','code':'EHCPOL'"),
        "{'resourceType':'Claim','id':'paid','status':'active','patient':" REF("Patient/p") ",'insurance':[" BY(
            "own", "true") "]}",
        "{'resourceType':'Encounter','id':'marked','status':'finished'," P "," LABELLED "}",
        "{'resourceType':'Patient','id':'p'}",
    };
    static const struct {
        const char *name, *json;
        bool self_pay;
    } cases[] = {
        {"a claim for the patient's own purse", CLAIM(BY("own", "true")), true},
        {"by the payer types of US Core", CLAIM(BY("sopt", "true")), true},
        {"for a plan", CLAIM(BY("plan", "true")), false},
        {"for a plan, the rest by the patient", CLAIM(BY("plan", "true") "," BY("own", "false")), false},
        {"for a coverage that is not there", CLAIM(BY("gone", "true")), false},
        {"for none", CLAIM(""), false},
        {"what was answered",
            "{'resourceType':'ExplanationOfBenefit','id':'x','status':'active','patient':" REF(
                "Patient/p") ",'claim':" REF("Claim/paid") "}",
            true},
        {"an account with no other coverage",
            "{'resourceType':'Account','id':'x','status':'active','coverage':[{'coverage':" REF("Coverage/own") "}]}",
            true},
        {"an account with another",
            "{'resourceType':'Account','id':'x','status':'active','coverage':[{'coverage':" REF(
                "Coverage/own") "},{'coverage':" REF("Coverage/plan") "}]}",
            false},
        {"the coverage itself", COVERAGE("x", "'system':'https://nahdo.org/sopt','code':'81'"), false},
        {"a label of the visit",
            "{'resourceType':'Observation','id':'x'," PULSE "," P ",'encounter':" REF("Encounter/marked") "}", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sl_labeller *labeller = sl_labeller_new(f->arena, f->policy, f->programs);
        struct sl_item *item = add(f, labeller, cases[i].json);
        for (size_t k = 0; k < sizeof world_of_purses / sizeof *world_of_purses; k++)
            add(f, labeller, world_of_purses[k]);
        resolve(labeller);
        if (has(f, &item->classes, "self-pay") != cases[i].self_pay)
            fail_msg("%s is %sself-pay", cases[i].name, cases[i].self_pay ? "not " : "");
    }
}

/* Evidence of an element goes with the classes of its record, and only there. */
static void parts(void **state)
{
    struct fixture *f = *state;
    for (unsigned taken = 0; taken < 2; taken++) {
        struct sl_registered *registered = compile(f,
            taken ? "- {" SAID_OF("Encounter/e") ", patient: Patient/p, has-not: [sud, opioid]}" : "- {" PAID "}", NOW);
        struct sl_labeller *labeller = sl_labeller_new(f->arena, f->policy, f->programs);
        sl_labeller_registered(labeller, registered);
        struct sl_item *item = add(f, labeller, world[0]);
        resolve(labeller);
        bool sud = false;
        for (uint32_t i = 0; i < item->part_count; i++)
            sud |= has(f, &item->parts[i].classes, "sud");
        assert_int_equal(sud, !taken);
        assert_true(has(f, &item->classes, "part2"));
        sl_registered_unref(registered);
    }
}

/* The reason says which entry it was; and a class that the policy lost is no permission. */
static void named_and_unknown(void **state)
{
    struct fixture *f = *state;
    struct sl_registered *registered = compile(f,
        "- {" OTHER ", has: [nowhere]}\n- {" SAID_OF("Condition/c") ", patient: Patient/p, "
                                                                    "has-not: [nowhere, sud]}",
        NOW);
    assert_int_equal(f->issues.count, 2);
    struct sl_labeller *labeller = sl_labeller_new(f->arena, f->policy, f->programs);
    sl_labeller_registered(labeller, registered);
    struct sl_item *withheld = add(f, labeller, world[2]), *told = add(f, labeller, world[4]);
    resolve(labeller);
    assert_string_equal(withheld->unlabelled, "register-unknown-class");
    assert_null(told->unlabelled);
    assert_false(has(f, &told->classes, "sud"));
    assert_int_equal(told->reasons->why, SL_WHY_REGISTER);
    assert_true(sl_slice_eq(told->reasons->detail, SL_LIT("register/0")));
    sl_registered_unref(registered);
}

/* ---- Who represents whom ---- */

#define ACT "patient: Patient/p, person: RelatedPerson/m, why: w, by: b"

static bool represents(const struct sl_relationship *list, size_t count, const char *patient, const char *authority)
{
    for (size_t i = 0; i < count; i++)
        if (sl_slice_eq(list[i].kind, SL_LIT("representative")) && sl_slice_eq(list[i].patient, sl_slice_of(patient)) &&
            sl_slice_eq(list[i].authority, sl_slice_of(authority)))
            return true;
    return false;
}

/* What the register says of somebody: in force, for this purpose; and whom it excludes whatever others say. */
static void representatives(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *entries, *person, *purpose, *authority; /* of Patient/p; NULL: it represents nobody */
    } cases[] = {
        {"- {kind: representation, authority: parent, " ACT "}", "RelatedPerson/m", "PATRQT", "parent"},
        {"- {kind: representation, authority: parent, " ACT "}", "RelatedPerson/n", "PATRQT", NULL},
        {"- {kind: representation, authority: parent, " ACT "}", "", "PATRQT", NULL},
        {"- {kind: representation, authority: executor, scope: [payment], " ACT "}", "RelatedPerson/m", "PATRQT", NULL},
        {"- {kind: representation, authority: executor, scope: [payment], " ACT "}", "RelatedPerson/m", "COVERAGE",
            "executor"},
        {"- {kind: representation, authority: parent, until: 2020-01-01, " ACT "}", "RelatedPerson/m", "PATRQT", NULL},
        {"- {kind: representation, authority: parent, " ACT "}\n- {kind: representation-excluded, " ACT "}",
            "RelatedPerson/m", "PATRQT", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct sl_relationship token[] = {
            {.kind = SL_LIT("representative"), .patient = SL_LIT("Patient/p"), .voucher = SL_BY_TOKEN},
            {.kind = SL_LIT("treating"), .patient = SL_LIT("Patient/p"), .voucher = SL_BY_TOKEN}};
        struct sl_recipient r = {
            .user_reference = sl_slice_of(cases[i].person), .purpose = sl_slice_of(cases[i].purpose)};
        const struct sl_relationship *list;
        size_t count;
        struct sl_registered *registered = compile(f, cases[i].entries, NOW);
        assert_int_equal(sl_registered_relate(registered, &r, f->arena, &list, &count), SL_OK);
        assert_int_equal(count, cases[i].authority != NULL);
        assert_true(!cases[i].authority ||
                    (represents(list, count, "Patient/p", cases[i].authority) && list[0].voucher == SL_BY_REGISTER));
        r.relationships = token;
        r.relationship_count = 2;
        bool excluded = strstr(cases[i].entries, "excluded") != NULL;
        assert_int_equal(sl_registered_relate(registered, &r, f->arena, &list, &count), SL_OK);
        assert_int_equal(represents(list, count, "Patient/p", ""), !excluded);
        assert_int_equal(count, (excluded ? 1 : 2) + (cases[i].authority != NULL));
        assert_int_equal(sl_registered_relate(NULL, &r, f->arena, &list, &count), SL_OK);
        assert_int_equal(count, 2);
        sl_registered_unref(registered);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(entries, begin, end),
        cmocka_unit_test_setup_teardown(defaults, begin, end),
        cmocka_unit_test_setup_teardown(log_keeps_everything, begin, end),
        cmocka_unit_test_setup_teardown(log_that_cannot_be_read, begin, end),
        cmocka_unit_test_setup_teardown(in_force_by_dates, begin, end),
        cmocka_unit_test_setup_teardown(generations, begin, end),
        cmocka_unit_test_setup_teardown(marks, begin, end),
        cmocka_unit_test_setup_teardown(purses, begin, end),
        cmocka_unit_test_setup_teardown(parts, begin, end),
        cmocka_unit_test_setup_teardown(named_and_unknown, begin, end),
        cmocka_unit_test_setup_teardown(representatives, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
