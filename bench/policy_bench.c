/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast is the policy? By processor time, and the best of many rounds of each piece of work, so that what else runs
 * on the machine does not count. Lines that begin with '=' are figures for run.sh.
 *
 *     policy_bench ask WORLD             questions of policy_world.py under 200 rules: compiling a ruling for a request
 *                                        and a patient with 20 Consents, deciding with it. Leaves WORLD/NAME.answers.
 *     policy_bench diff BEFORE AFTER     the exhaustive comparison of two policies
 *     policy_bench fill STORE COUNT      a policy store with so many patients, one or two Consents each
 *     policy_bench lookup STORE COUNT POLICY
 *                                        random ones of them: look up the Consents, compile, decide a page of ten
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "sluice/decide.h"
#include "sluice/store.h"
#include "sluice/yaml.h"

#define NOW 1790000000
#define ROUNDS 40      /* of each piece of work; the best counts */
#define PIECE 50u      /* questions in a piece of work: a clock is read twice for it */
#define RULINGS 64u    /* with which are decided */
#define REPEATS 8u     /* times all items of a question, for a clock that is not as fine as a decision */
#define LOOKUPS 20000u /* of random patients */
#define PAGE 10u
#define PATIENTS_A_WRITE (SL_STORE_PUTS / 4) /* two puts a Consent, at most two Consents */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void must(enum sl_status status, const char *what)
{
    if (status == SL_OK)
        return;
    fprintf(stderr, "policy_bench: %s: %s\n", what, sl_status_name(status));
    exit(1);
}

static struct sl_policy *load(struct sl_arena *arena, const char *directory)
{
    struct sl_issues issues = {.arena = arena};
    struct sl_policy *policy = NULL;
    must(sl_policy_load(directory, &issues, &policy), directory);
    return policy;
}

/* ---- The world of policy_world.py ---- */

struct question {
    struct sl_slice patient;
    struct sl_recipient recipient;
    struct sl_relationship relationship;
    struct sl_item item;
    const struct sl_directives *directives;
};

struct world {
    struct sl_arena *arena;
    struct sl_policy *policy;
    struct question *questions;
    size_t count;
};

static struct sl_slice cut(struct sl_slice *rest, char at)
{
    const char *end = memchr(rest->ptr, at, rest->len);
    struct sl_slice field = {rest->ptr, end ? (size_t)(end - rest->ptr) : rest->len};
    *rest = sl_slice_from(*rest, end ? field.len + 1 : rest->len);
    return field;
}

static struct sl_slice *list_of(struct sl_arena *arena, struct sl_slice text, size_t *count)
{
    struct sl_slice *list = sl_arena_array(arena, 8, sizeof *list);
    for (*count = 0; text.len && *count < 8; (*count)++)
        list[*count] = cut(&text, ',');
    return list;
}

static struct sl_classes classes_of(const struct sl_policy *policy, struct sl_slice text)
{
    struct sl_classes classes = {0};
    while (text.len) {
        unsigned bit = sl_policy_class_find(policy, cut(&text, ','));
        must(bit < SL_CLASS_LIMIT ? SL_OK : SL_MISSING, "a class of the questions");
        sl_classes_add(&classes, bit);
    }
    return classes;
}

/* One line of cases.tsv. */
static void read_question(struct world *world, struct sl_slice line, struct question *q)
{
    static struct sl_emergency declared;
    declared = (struct sl_emergency){SL_LIT("a"), SL_LIT("b"), SL_LIT("c"), SL_LIT("d"), .consent_unobtainable = true};
    struct sl_arena *arena = world->arena;
    struct sl_slice patient = cut(&line, '\t');
    q->patient = sl_arena_printf(arena, "Patient/%.*s", SL_FMT(patient));
    q->recipient.kinds = list_of(arena, cut(&line, '\t'), &q->recipient.kind_count);
    q->recipient.organization = cut(&line, '\t');
    if (cut(&line, '\t').ptr[0] == '1') {
        q->relationship =
            (struct sl_relationship){.kind = SL_LIT("treating"), .patient = q->patient, .voucher = SL_BY_REGISTRY};
        q->recipient.relationships = &q->relationship;
        q->recipient.relationship_count = 1;
    }
    q->recipient.emergency = cut(&line, '\t').ptr[0] == '1' ? &declared : NULL;
    q->recipient.purpose = sl_purpose_find(cut(&line, '\t'));
    struct sl_slice discloser = cut(&line, '\t');
    q->item = (struct sl_item){.type = SL_R4_Condition, .patients = &q->patient, .patient_count = 1};
    q->item.custodian = q->item.program = discloser;
    q->item.classes = classes_of(world->policy, line);
}

static struct sl_slice text_of(struct sl_arena *arena, const char *folder, const char *name)
{
    char path[4096];
    struct sl_slice text;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    must(sl_file_read(arena, path, (size_t)1 << 30, &text), path);
    return text;
}

static void read_world(struct world *world, const char *folder)
{
    char path[4096];
    world->arena = sl_arena_new((size_t)1 << 30);
    snprintf(path, sizeof path, "%s/policy", folder);
    world->policy = load(world->arena, path);
    struct sl_slice text = text_of(world->arena, folder, "cases.tsv");
    for (struct sl_slice rest = text; rest.len; (void)cut(&rest, '\n'))
        world->count++;
    world->questions = sl_arena_array(world->arena, world->count, sizeof *world->questions);
    must(world->questions && world->count >= RULINGS ? SL_OK : SL_NO_MEMORY, "the questions");
    for (size_t i = 0; i < world->count; i++)
        read_question(world, cut(&text, '\n'), &world->questions[i]);
}

static void read_consents(struct world *world, const char *folder, const char *name)
{
    struct sl_directives all = {0};
    struct sl_slice text = text_of(world->arena, folder, name);
    while (text.len) {
        struct sl_doc doc;
        must(sl_doc_parse(world->arena, cut(&text, '\n'), NULL, &doc, NULL), name);
        must(sl_directive_read(world->arena, &doc, 0, NULL, &all), name);
    }
    for (size_t i = 0; i < world->count; i++) {
        struct sl_directives *mine = sl_arena_alloc(world->arena, sizeof *mine);
        must(mine ? sl_directives_about(&all, world->questions[i].patient, world->arena, mine) : SL_NO_MEMORY, name);
        sl_directives_settle(mine, NOW);
        must(mine->count == 20 ? SL_OK : SL_CORRUPT, "twenty Consents a patient");
        world->questions[i].directives = mine;
    }
}

static struct sl_ruling *compile(struct sl_arena *arena, const struct world *world, const struct question *q)
{
    struct sl_ruling *ruling;
    must(sl_ruling_new(arena, world->policy, &q->recipient, &q->patient, 1, q->directives, NOW, &ruling), "a ruling");
    return ruling;
}

/* Every question once, one character each. */
static void answer(const struct world *world, const char *folder, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.answers", folder, name);
    FILE *out = fopen(path, "w");
    must(out ? SL_OK : SL_STORE, path);
    struct sl_arena *work = sl_arena_new((size_t)64 << 20);
    size_t released = 0;
    for (size_t i = 0; i < world->count; i++) {
        const struct question *q = &world->questions[i];
        bool goes = sl_decide_item(compile(work, world, q), &q->item).decision == SL_RELEASED;
        released += goes;
        fputc(goes ? '1' : '0', out);
        sl_arena_reset(work);
    }
    must(fclose(out) == 0 ? SL_OK : SL_STORE, path);
    sl_arena_free(work);
    printf("%-10s  %zu of %zu questions released\n", name, released, world->count);
}

/* Seconds for one compilation: the mean over all pieces of the best round of each. */
static double measure_compile(const struct world *world, bool decide)
{
    struct sl_arena *work = sl_arena_new((size_t)64 << 20);
    double sum = 0;
    size_t pieces = world->count / PIECE;
    for (size_t piece = 0; piece < pieces; piece++) {
        double best = 1e9;
        for (unsigned round = 0; round < ROUNDS; round++) {
            double begin = now();
            for (size_t i = piece * PIECE; i < (piece + 1) * PIECE; i++) {
                const struct question *q = &world->questions[i];
                struct sl_ruling *ruling = compile(work, world, q);
                if (decide && sl_decide_item(ruling, &q->item).decision == SL_UNDECIDED)
                    abort();
                sl_arena_reset(work);
            }
            double took = now() - begin;
            best = took < best ? took : best;
        }
        sum += best / PIECE;
    }
    sl_arena_free(work);
    return sum / (double)pieces;
}

/* Seconds for one decision with a ruling that is there: the mean over rulings of the best round, and the slowest. */
static double measure_decide(const struct world *world, double *worst)
{
    struct sl_arena *work = sl_arena_new((size_t)64 << 20);
    double sum = 0;
    *worst = 0;
    for (size_t r = 0; r < RULINGS; r++) {
        const struct sl_ruling *ruling = compile(work, world, &world->questions[r]);
        double best = 1e9;
        for (unsigned round = 0; round < ROUNDS; round++) {
            double begin = now();
            for (unsigned repeat = 0; repeat < REPEATS; repeat++)
                for (size_t i = 0; i < PIECE; i++)
                    if (sl_decide_item(ruling, &world->questions[i].item).decision == SL_UNDECIDED)
                        abort();
            double took = (now() - begin) / (REPEATS * PIECE);
            best = took < best ? took : best;
        }
        *worst = best > *worst ? best : *worst;
        sum += best;
    }
    sl_arena_free(work);
    return sum / RULINGS;
}

/* Seconds for the labels and duties of one record that is released. */
static double measure_release(const struct world *world)
{
    struct sl_arena *work = sl_arena_new((size_t)64 << 20);
    double sum = 0, best = 1e9;
    size_t released = 0;
    for (size_t r = 0; r < RULINGS * 4; r++, best = 1e9, sl_arena_reset(work)) {
        const struct question *q = &world->questions[r];
        const struct sl_ruling *ruling = compile(work, world, q);
        if (sl_decide_item(ruling, &q->item).decision != SL_RELEASED)
            continue;
        struct sl_release release = {0};
        for (unsigned round = 0; round < ROUNDS; round++) {
            double begin = now();
            for (unsigned repeat = 0; repeat < PIECE; repeat++)
                must(sl_ruling_release(ruling, &q->item, work, &release), "labels and duties");
            double took = (now() - begin) / PIECE;
            best = took < best ? took : best;
        }
        sum += best;
        released++;
    }
    sl_arena_free(work);
    return released ? sum / (double)released : 0;
}

static int ask(const char *folder)
{
    static const struct {
        const char *name, *file, *words;
    } sets[] = {{"plain", "plain.ndjson", "20 consents"},
        {"disclosers", "disclosers.ndjson", "20 consents, each of one discloser"}};
    struct world world = {0};
    read_world(&world, folder);
    for (size_t s = 0; s < sizeof sets / sizeof *sets; s++) {
        read_consents(&world, folder, sets[s].file);
        answer(&world, folder, sets[s].name);
        double worst, compiled = measure_compile(&world, false), both = measure_compile(&world, true);
        double decided = measure_decide(&world, &worst), duties = measure_release(&world);
        printf("%-10s  compile %.1f us, with one decision %.1f us; decide %.1f ns (slowest ruling %.1f ns); labels and "
               "duties %.0f ns\n",
            sets[s].name, compiled * 1e6, both * 1e6, decided * 1e9, worst * 1e9, duties * 1e9);
        printf("= compile, 200 rules and %s\t%.1f\tus\t<=\t50\n", sets[s].words, compiled * 1e6);
        printf("= decide, 200 rules and %s\t%.1f\tns\t<=\t50\n", sets[s].words, decided * 1e9);
    }
    sl_policy_unref(world.policy);
    sl_arena_free(world.arena);
    return 0;
}

/* ---- Comparing policies ---- */

static int diff(const char *before, const char *after)
{
    struct sl_arena *arena = sl_arena_new((size_t)1 << 30);
    struct sl_policy *a = load(arena, before), *b = load(arena, after);
    double best = 1e9;
    struct sl_policy_diff result;
    for (unsigned round = 0; round < 3; round++) {
        struct sl_arena *work = sl_arena_new((size_t)1 << 30);
        struct sl_buffer out;
        sl_buffer_init(&out, (size_t)64 << 20);
        double begin = now();
        must(sl_policy_diff(a, b, work, &out, &result), "the comparison");
        double took = now() - begin;
        best = took < best ? took : best;
        sl_buffer_fini(&out);
        sl_arena_free(work);
    }
    printf("= exhaustive diff of the shipped policies\t%.2f\ts\t<=\t10\n", best);
    sl_policy_unref(a);
    sl_policy_unref(b);
    sl_arena_free(arena);
    return 0;
}

/* ---- A store of many patients ---- */

static const char consent_text[] =
    "{\"resourceType\":\"Consent\",\"id\":\"%s\",\"status\":\"active\",\"scope\":{\"coding\":[{\"system\""
    ":\"http://terminology.hl7.org/CodeSystem/consentscope\",\"code\":\"patient-privacy\"}]},\"category\""
    ":[{\"coding\":[{\"system\":\"http://terminology.hl7.org/CodeSystem/v3-ActCode\",\"code\":\"%s\"}]}],"
    "\"patient\":{\"reference\":\"%s\"},\"dateTime\":\"2025-03-01\",\"performer\":[{\"reference\":\"%s\"}"
    "],\"organization\":[{\"reference\":\"Organization/harbor\"}],\"sourceReference\":{\"reference\":\"Do"
    "cumentReference/signed\"},\"policy\":[{\"uri\":\"urn:sluice:form:%s\"}],\"provision\":{\"type\":\"pe"
    "rmit\",\"period\":{\"start\":\"2025-03-01\",\"end\":\"2035-03-01\"},\"actor\":[{\"role\":{\"coding\""
    ":[{\"system\":\"http://terminology.hl7.org/CodeSystem/v3-ParticipationType\",\"code\":\"IRCP\"}]},\""
    "reference\":{\"reference\":\"Organization/lakeside\"}}],\"purpose\":[{\"system\":\"http://terminolog"
    "y.hl7.org/CodeSystem/v3-ActReason\",\"code\":\"TREAT\"},{\"system\":\"http://terminology.hl7.org/Cod"
    "eSystem/v3-ActReason\",\"code\":\"HPAYMT\"},{\"system\":\"http://terminology.hl7.org/CodeSystem/v3-A"
    "ctReason\",\"code\":\"HOPERAT\"}]}}";

/* The first is for a program's records, the second, of every other patient, a general authorization. */
static unsigned consents_of(size_t patient)
{
    return 1 + patient % 2;
}

static int name_patient(char *out, size_t size, size_t patient)
{
    return snprintf(out, size, "Patient/p%08zu", patient);
}

/* As sl_directives_import stores it, without reading each first: `lookup` reads what is there. */
static void put_consent(struct sl_txn *txn, size_t patient, unsigned number)
{
    static const char *const kinds[] = {"42CFRPart2CD", "INFA"}, *const forms[] = {"part2-tpo-2024", "general"};
    char who[64], id[64], key[192], owner[80], text[4096];
    int named = name_patient(who, sizeof who, patient);
    snprintf(id, sizeof id, "p%08zu-%u", patient, number);
    int length = snprintf(text, sizeof text, consent_text, id, kinds[number], who, who, forms[number]);
    int keyed = snprintf(key, sizeof key, "%s%cConsent/%s", who, '\0', id);
    int owned = snprintf(owner, sizeof owner, "=Consent/%s", id);
    must(sl_txn_put(
             txn, SL_TABLE_DIRECTIVES, (struct sl_slice){key, (size_t)keyed}, (struct sl_slice){text, (size_t)length}),
        "a Consent");
    must(sl_txn_put(
             txn, SL_TABLE_DIRECTIVES, (struct sl_slice){owner, (size_t)owned}, (struct sl_slice){who, (size_t)named}),
        "a Consent");
}

static int fill(const char *directory, size_t count)
{
    struct sl_arena *arena = sl_arena_new((size_t)1 << 20);
    struct sl_issues issues = {.arena = arena};
    struct sl_store *store;
    must(sl_store_open(directory, sl_policy_tables, 0, true, &issues, &store), directory);
    for (size_t begin = 0; begin < count; begin += PATIENTS_A_WRITE) {
        struct sl_txn *txn;
        must(sl_txn_begin(store, true, &txn), "a write");
        for (size_t p = begin; p < count && p < begin + PATIENTS_A_WRITE; p++)
            for (unsigned n = 0; n < consents_of(p); n++)
                put_consent(txn, p, n);
        must(sl_txn_commit(txn), "a write");
    }
    sl_store_close(store);
    sl_arena_free(arena);
    return 0;
}

/* From /proc: how much of the process is in memory, in MiB. */
static double resident(const char *what)
{
    char line[256];
    double kib = 0;
    FILE *in = fopen("/proc/self/status", "r");
    while (in && fgets(line, sizeof line, in))
        if (strncmp(line, what, strlen(what)) == 0)
            kib = atof(line + strlen(what));
    if (in)
        fclose(in);
    return kib / 1024;
}

static int by_size(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* What each request pays for its patient; the items are of the program, ordinary and of no class in turn. */
static void look_up(struct sl_store *store, const struct sl_policy *policy, struct sl_arena *work, size_t patient)
{
    const struct sl_slice kinds[] = {SL_LIT("covered-entity")}, roles[] = {SL_LIT("physician")};
    char who[64];
    struct sl_slice name = {who, (size_t)name_patient(who, sizeof who, patient)};
    struct sl_relationship treats = {.kind = SL_LIT("treating"), .patient = SL_LIT("*"), .voucher = SL_BY_REGISTRY};
    struct sl_recipient recipient = {.organization = SL_LIT("Organization/lakeside"),
        .kinds = kinds,
        .kind_count = 1,
        .roles = roles,
        .role_count = 1,
        .purpose = SL_LIT("TREAT"),
        .relationships = &treats,
        .relationship_count = 1};
    struct sl_directives mine;
    struct sl_ruling *ruling;
    must(sl_directives_of(store, name, work, &mine), "the Consents of a patient");
    must(mine.count == consents_of(patient) ? SL_OK : SL_CORRUPT, "the Consents of a patient: another number");
    sl_directives_settle(&mine, NOW);
    must(sl_ruling_new(work, policy, &recipient, &name, 1, &mine, NOW, &ruling), "a ruling");
    struct sl_item item = {.type = SL_R4_Condition, .patients = &name, .patient_count = 1};
    sl_classes_add(&item.classes, sl_policy_class_find(policy, SL_LIT("chart")));
    for (unsigned i = 0; i < PAGE; i++) {
        if (i == PAGE / 2) {
            sl_classes_add(&item.classes, sl_policy_class_find(policy, SL_LIT("part2")));
            item.custodian = item.program = SL_LIT("Organization/harbor");
        }
        must(sl_decide_item(ruling, &item).decision == SL_RELEASED ? SL_OK : SL_FORBIDDEN, "what the Consent permits");
    }
}

/* The same patients each time, by a generator of our own: the second time their pages are mapped. */
static void look_up_all(
    struct sl_store *store, const struct sl_policy *policy, struct sl_arena *work, size_t count, double *took)
{
    uint64_t random = 20261122;
    for (size_t i = 0; i < LOOKUPS; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        double begin = now();
        look_up(store, policy, work, (size_t)(random >> 33) % count);
        took[i] = now() - begin;
        sl_arena_reset(work);
    }
    qsort(took, LOOKUPS, sizeof *took, by_size);
}

static int lookup(const char *directory, size_t count, const char *policies)
{
    struct sl_arena *arena = sl_arena_new((size_t)256 << 20), *work = sl_arena_new((size_t)64 << 20);
    struct sl_issues issues = {.arena = arena};
    struct sl_policy *policy = load(arena, policies);
    struct sl_store *store;
    must(sl_store_open(directory, sl_policy_tables, 0, false, &issues, &store), directory);
    double *first = sl_arena_array(arena, LOOKUPS, sizeof *first),
           *again = sl_arena_array(arena, LOOKUPS, sizeof *again);
    must(first && again ? SL_OK : SL_NO_MEMORY, "room for the times");
    look_up_all(store, policy, work, count, first);
    look_up_all(store, policy, work, count, again);
    printf("%8zu patients: p50 %5.1f us, p99 %5.1f us; where nothing was mapped yet p50 %5.1f us, p99 %5.1f us; "
           "RssAnon %.1f MiB, RssFile %.1f MiB\n",
        count, again[LOOKUPS / 2] * 1e6, again[LOOKUPS * 99 / 100] * 1e6, first[LOOKUPS / 2] * 1e6,
        first[LOOKUPS * 99 / 100] * 1e6, resident("RssAnon:"), resident("RssFile:"));
    sl_store_close(store);
    sl_policy_unref(policy);
    sl_arena_free(work);
    sl_arena_free(arena);
    return 0;
}

int main(int argc, char **argv)
{
    const char *verb = argc > 2 ? argv[1] : "";
    if (strcmp(verb, "ask") == 0 && argc == 3)
        return ask(argv[2]);
    if (strcmp(verb, "diff") == 0 && argc == 4)
        return diff(argv[2], argv[3]);
    if (strcmp(verb, "fill") == 0 && argc == 4)
        return fill(argv[2], strtoul(argv[3], NULL, 10));
    if (strcmp(verb, "lookup") == 0 && argc == 5)
        return lookup(argv[2], strtoul(argv[3], NULL, 10), argv[4]);
    fprintf(
        stderr, "usage: policy_bench ask WORLD | diff BEFORE AFTER | fill STORE COUNT | lookup STORE COUNT POLICY\n");
    return 2;
}
