/* SPDX-License-Identifier: Apache-2.0 */
/* Does the embedded store take in what EHRs export, keep it as it came, and find it again? */
#include "records.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "sluice/buffer.h"

#define NOW INT64_C(1767225600) /* 2026-01-01T00:00:00Z */

struct fixture {
    char directory[64];
    struct sl_records *records;
    struct sl_arena *arena;
    struct sl_issues issues;
};

static int begin(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    snprintf(f->directory, sizeof f->directory, "records_test.XXXXXX");
    if (!mkdtemp(f->directory))
        return -1;
    f->arena = sl_arena_new((size_t)1 << 30);
    f->issues.arena = f->arena;
    *state = f;
    return sl_records_open(f->directory, true, &f->issues, &f->records) == SL_OK ? 0 : -1;
}

static int end(void **state)
{
    struct fixture *f = *state;
    char path[128];
    const char *const files[] = {"data.mdb", "lock.mdb"};
    sl_records_close(f->records);
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", f->directory, files[i]);
        unlink(path);
    }
    rmdir(f->directory);
    sl_arena_free(f->arena);
    free(f);
    return 0;
}

static struct sl_records_import import(struct fixture *f, const char *text)
{
    struct sl_records_import done;
    enum sl_status status = sl_records_import(f->records, sl_slice_of(text), NOW, &f->issues, &done);
    if (status != SL_OK)
        fail_msg("import: %s: %s", sl_status_name(status), f->issues.last ? f->issues.last->text.ptr : "");
    return done;
}

/* The stored text, NUL-terminated; NULL if there is none. */
static const char *stored(struct fixture *f, const char *type, const char *id)
{
    struct sl_slice text;
    enum sl_status status = sl_records_read(f->records, f->arena, sl_slice_of(type), sl_slice_of(id), &text);
    assert_true(status == SL_OK || status == SL_NOT_FOUND);
    return status == SL_OK ? text.ptr : NULL;
}

/* ---- Importing ---- */

static void bytes_are_kept(void **state)
{
    struct fixture *f = *state;
    import(f, "{ \"resourceType\" : \"Observation\",\n \"id\":\"o\", \"valueQuantity\": {\"value\": 1.10 } , "
              "\"note\":[{\"text\":\"\\u0041\"}]}");
    assert_string_equal(stored(f, "Observation", "o"),
        "{ \"resourceType\" : \"Observation\",\n \"id\":\"o\", \"valueQuantity\": {\"value\": 1.10 } , "
        "\"note\":[{\"text\":\"\\u0041\"}],"
        "\"meta\":{\"versionId\":\"1\",\"lastUpdated\":\"2026-01-01T00:00:00Z\"}}");
    import(f, "{\"resourceType\":\"Patient\",\"id\":\"p\",\"meta\":{\"versionId\":\"77\",\"profile\":[\"http://x\"]}}");
    assert_string_equal(stored(f, "Patient", "p"),
        "{\"resourceType\":\"Patient\",\"id\":\"p\",\"meta\":{\"versionId\":\"1\","
        "\"profile\":[\"http://x\"],\"lastUpdated\":\"2026-01-01T00:00:00Z\"}}");
}

static void versions_follow_changes(void **state)
{
    struct fixture *f = *state;
    static const char first[] =
        "{\"resourceType\":\"Patient\",\"id\":\"p\",\"gender\":\"male\",\"name\":[{\"family\":\"Old\"}]}";
    static const char second[] =
        "{\"resourceType\":\"Patient\",\"id\":\"p\",\"gender\":\"female\",\"name\":[{\"family\":\"New\"}]}";
    struct sl_slice text;
    assert_int_equal(import(f, first).created, 1);
    struct sl_records_import done = import(f, first);
    assert_int_equal(done.resources, 1);
    assert_int_equal(done.created + done.updated, 0);
    assert_int_equal(import(f, second).updated, 1);
    assert_non_null(strstr(stored(f, "Patient", "p"), "\"versionId\":\"2\""));
    for (uint64_t version = 1; version <= 2; version++) {
        assert_int_equal(
            sl_records_read_version(f->records, f->arena, SL_LIT("Patient"), SL_LIT("p"), version, &text), SL_OK);
        assert_non_null(strstr(text.ptr, version == 1 ? "Old" : "New"));
    }
    assert_int_equal(
        sl_records_read_version(f->records, f->arena, SL_LIT("Patient"), SL_LIT("p"), 3, &text), SL_NOT_FOUND);
    assert_int_equal(
        sl_records_read_version(f->records, f->arena, SL_LIT("Patient"), SL_LIT("p"), 0, &text), SL_NOT_FOUND);
}

static void transactions_are_resolved(void **state)
{
    struct fixture *f = *state;
    struct sl_records_import done = import(f,
        "{\"resourceType\":\"Bundle\",\"type\":\"transaction\",\"entry\":["
        "{\"fullUrl\":\"urn:uuid:aaaa\",\"resource\":{\"resourceType\":\"Patient\",\"identifier\":[{\"system\":\"urn:"
        "ietf:rfc:3986\","
        "\"value\":\"urn:uuid:aaaa\"}]},\"request\":{\"method\":\"POST\",\"url\":\"Patient\"}},"
        "{\"fullUrl\":\"urn:uuid:bbbb\",\"resource\":{\"resourceType\":\"MedicationRequest\",\"id\":\"mr\",\"subject\":"
        "{\"reference\":"
        "\"urn:uuid:aaa\\u0061\",\"display\":\"x\"},\"contained\":[{\"resourceType\":\"Provenance\",\"target\":[{"
        "\"reference\":\"urn:uuid:bbbb\"}]}],"
        "\"requester\":{\"reference\":\"Practitioner?identifier=http://"
        "npi|99\"},\"performer\":{\"reference\":\"urn:uuid:nobody\"},"
        "\"extension\":[{\"url\":\"http://"
        "x\",\"valueUri\":\"urn:uuid:aaaa\"}]},\"request\":{\"method\":\"POST\",\"url\":\"MedicationRequest\"}},"
        "{\"resource\":{\"resourceType\":\"Practitioner\",\"identifier\":[{\"system\":\"http://"
        "npi\",\"value\":\"99\"}]},"
        "\"request\":{\"method\":\"PUT\",\"url\":\"Practitioner/dr\"}},"
        "{\"fullUrl\":\"http://ehr.example/fhir/Device/"
        "d1\",\"resource\":{\"resourceType\":\"Device\",\"patient\":{\"reference\":"
        "\"urn:uuid:aaaa\"},\"parent\":{\"reference\":\"http://ehr.example/fhir/Device/d1\"}}},"
        "{\"resource\":{\"resourceType\":\"Basic\",\"id\":\"not valid\",\"code\":{\"text\":\"x\"}}},"
        "{\"resource\":{\"resourceType\":\"List\",\"id\":\"l\",\"entry\":[{\"item\":{\"reference\":\"Basic/not "
        "valid\"}}]}}]}");
    assert_int_equal(done.created, 6);
    const char *request = stored(f, "MedicationRequest", "mr");
    assert_non_null(strstr(request, "\"subject\":{\"reference\":\"Patient/aaaa\",\"display\":\"x\"}"));
    assert_non_null(strstr(request, "\"target\":[{\"reference\":\"MedicationRequest/mr\"}]"));
    assert_non_null(strstr(request, "\"requester\":{\"reference\":\"Practitioner/dr\"}"));
    assert_non_null(strstr(request, "urn:uuid:nobody"));
    assert_non_null(strstr(request, "\"valueUri\":\"Patient/aaaa\""));
    /* An identifier is no link. */
    assert_non_null(strstr(stored(f, "Patient", "aaaa"), "\"value\":\"urn:uuid:aaaa\""));
    assert_non_null(strstr(stored(f, "Device", "d1"), "\"parent\":{\"reference\":\"Device/d1\"}"));
    const char *drawn = strstr(stored(f, "List", "l"), "\"reference\":\"Basic/") + sizeof "\"reference\":\"Basic/" - 1;
    char id[33];
    snprintf(id, sizeof id, "%.32s", drawn);
    assert_non_null(stored(f, "Basic", id));
}

static void ids_are_drawn_alike(void **state)
{
    struct fixture *f = *state;
    static const char text[] =
        "{\"resourceType\":\"Bundle\",\"type\":\"collection\",\"entry\":[{\"resource\":{\"resourceType\":\"Basic\"}},"
        "{\"resource\":{\"resourceType\":\"Basic\"}}]}";
    uint64_t count;
    assert_int_equal(import(f, text).created, 2); /* two of the same, without names, are two */
    struct sl_records_import again = import(f, text);
    assert_int_equal(again.created + again.updated, 0);
    assert_int_equal(sl_records_count(f->records, SL_LIT("Basic"), &count), SL_OK);
    assert_int_equal(count, 2);
}

static void conditions_ask_the_store(void **state)
{
    struct fixture *f = *state;
    import(f,
        "{\"resourceType\":\"Organization\",\"id\":\"org\",\"identifier\":[{\"system\":\"urn:o\",\"value\":\"7\"}]}");
    import(f, "{\"resourceType\":\"Bundle\",\"type\":\"batch\",\"entry\":[{\"fullUrl\":\"urn:uuid:n\",\"resource\":{"
              "\"resourceType\":"
              "\"Organization\",\"name\":\"again\",\"identifier\":[{\"system\":\"urn:o\",\"value\":\"7\"}]},"
              "\"request\":{\"method\":\"POST\",\"url\":"
              "\"Organization\",\"ifNoneExist\":\"identifier=urn:o|7\"}},"
              "{\"resource\":{\"resourceType\":\"Location\",\"id\":\"l\",\"managingOrganization\":{\"reference\":\"urn:"
              "uuid:n\"}}},"
              "{\"resource\":{\"resourceType\":\"Location\",\"id\":\"m\",\"managingOrganization\":{\"reference\":"
              "\"Organization?identifier=urn:o%7C7\"},\"partOf\":{\"reference\":\"Location?identifier=a|b\"}}}]}");
    assert_null(stored(f, "Organization", "n"));
    assert_non_null(strstr(stored(f, "Location", "l"), "Organization/org"));
    assert_non_null(strstr(stored(f, "Location", "m"), "Organization/org"));
    assert_non_null(
        strstr(stored(f, "Location", "m"), "Location?identifier=a|b")); /* none is meant: left as it is, and told */
    assert_string_equal(f->issues.last->code.ptr, "dangling");
}

static void lines_are_units(void **state)
{
    struct fixture *f = *state;
    struct sl_records_import done = import(f, "\n{\"resourceType\":\"Patient\",\"id\":\"a\"}\r\n\n"
                                              "{\"resourceType\":\"Bundle\",\"type\":\"collection\",\"entry\":[{"
                                              "\"resource\":{\"resourceType\":\"Patient\",\"id\":\"b\"}}]}\n"
                                              "{\"resourceType\":\"Patient\",\"id\":\"a\"}\n"
                                              "{\"resourceType\":\"Bundle\",\"id\":\"doc\",\"type\":\"document\","
                                              "\"entry\":[{\"resource\":{\"resourceType\":\"Composition\"}}]}");
    assert_int_equal(done.resources, 4);
    assert_int_equal(done.created, 3);
    assert_non_null(stored(f, "Patient", "a"));
    assert_non_null(stored(f, "Patient", "b"));
    assert_non_null(stored(f, "Bundle", "doc"));
}

static const char *const bad[] = {
    "",
    " \n ",
    "x",
    "{",
    "[]",
    "5",
    "{}",
    "{\"resourceType\":\"Nothing\"}",
    "{\"resourceType\":5}",
    "{\"resourceType\":\"Patient\",\"id\":7}",
    "{\"resourceType\":\"Patient\",\"meta\":[]}",
    "{\"resourceType\":\"Patient\"} x",
    "{\"resourceType\":\"Patient\",\"id\":\"a\",\"id\":\"b\"}",
    "{\"resourceType\":\"Patient\",\"id\":\"good\"}\n{\"resourceType\":\"Patient\"\n",
    "{\"resourceType\":\"Patient\",\"id\":\"good\"}\n{\"resourceType\":\"Patient\",\"id\":\"good\",\"active\":true}\n",
    "{\"resourceType\":\"Bundle\",\"type\":\"batch\",\"entry\":[{\"resource\":{\"resourceType\":\"Patient\",\"id\":"
    "\"good\"}},"
    "{\"request\":{\"method\":\"DELETE\",\"url\":\"Patient/1\"}}]}",
    "{\"resourceType\":\"Bundle\",\"type\":\"batch\",\"entry\":[{\"resource\":{\"resourceType\":\"Patient\",\"id\":"
    "\"good\"}},{}]}",
    "{\"resourceType\":\"Bundle\",\"type\":\"batch\",\"entry\":[{\"resource\":{\"resourceType\":\"Patient\",\"id\":"
    "\"good\"}},"
    "{\"resource\":{\"resourceType\":\"Bundle\",\"type\":\"collection\"}}]}",
    "{\"resourceType\":\"Bundle\",\"type\":\"batch\",\"entry\":[{\"resource\":{\"resourceType\":\"Patient\",\"id\":"
    "\"good\"},"
    "\"request\":{\"method\":\"PUT\",\"url\":\"Patient/other\"}}]}",
    "{\"resourceType\":\"Bundle\",\"type\":\"batch\",\"entry\":[{\"fullUrl\":\"urn:uuid:1\",\"resource\":{"
    "\"resourceType\":\"Patient\","
    "\"id\":\"good\"}},{\"fullUrl\":\"urn:uuid:1\",\"resource\":{\"resourceType\":\"Patient\",\"id\":\"worse\"}}]}",
};

static void nothing_of_a_bad_file(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct sl_records_import done;
        size_t errors = f->issues.errors;
        enum sl_status status = sl_records_import(f->records, sl_slice_of(bad[i]), NOW, &f->issues, &done);
        if (status != SL_INVALID)
            fail_msg("%s: %s", bad[i], sl_status_name(status));
        assert_true(f->issues.errors > errors);
        assert_true(done.refused > 0);
        assert_null(stored(f, "Patient", "good"));
    }
}

/* More values than a transaction takes: the resource is whole, and found by the first and the last of them. */
static void large_resources_are_whole(void **state)
{
    struct fixture *f = *state;
    struct sl_buffer text;
    sl_buffer_init(&text, 1 << 20);
    for (int round = 0; round < 2; round++) {
        sl_buffer_clear(&text);
        sl_buffer_printf(&text, "{\"resourceType\":\"Group\",\"id\":\"g\",\"member\":[");
        for (int i = round * 1000; i < 3000; i++)
            sl_buffer_printf(&text, "%s{\"entity\":{\"reference\":\"Patient/p%d\"}}", i == round * 1000 ? "" : ",", i);
        sl_buffer_printf(&text, "]}%c", 0);
        import(f, text.ptr);
        static const struct {
            const char *query;
            bool found[2];
        } cases[] = {{"member=Patient/p0", {true, false}}, {"member=Patient/p1500", {true, true}},
            {"member=Patient/p2999", {true, true}}};
        for (size_t i = 0; i < 3; i++) {
            struct sl_search search;
            struct sl_blocks out = {.arena = f->arena};
            uint64_t next;
            assert_int_equal(
                sl_search_read(f->arena, SL_R4_Group, sl_slice_of(cases[i].query), SL_LIT(""), NULL, &search), SL_OK);
            assert_int_equal(sl_records_search(f->records, f->arena, &search, 0, 10, &out, &next), SL_OK);
            assert_int_equal(out.total > 1000, cases[i].found[round]);
        }
    }
    sl_buffer_fini(&text);
}

/* ---- Searching ---- */

static const char clinic[] =
    "{\"resourceType\":\"Patient\",\"id\":\"p1\",\"name\":[{\"family\":\"Nwosu\"}],\"identifier\":[{\"system\":\"s\","
    "\"value\":\"1\"}],"
    "\"birthDate\":\"1984-03-12\",\"gender\":\"female\"}\n"
    "{\"resourceType\":\"Patient\",\"id\":\"p2\",\"name\":[{\"family\":\"Nwankwo\"}],\"identifier\":[{\"system\":\"s\","
    "\"value\":\"2\"}],"
    "\"birthDate\":\"1984-05-12\",\"gender\":\"female\"}\n"
    "{\"resourceType\":\"Observation\",\"id\":\"o3\",\"status\":\"final\",\"subject\":{\"reference\":\"Patient/"
    "p1\"},\"code\":{\"coding\":[{\"code\":\"a\"}]},"
    "\"effectiveDateTime\":\"2026-01-01\",\"derivedFrom\":[{\"reference\":\"Observation/o1\"}]}\n"
    "{\"resourceType\":\"Observation\",\"id\":\"o1\",\"status\":\"final\",\"subject\":{\"reference\":\"Patient/"
    "p1\"},\"code\":{\"coding\":[{\"code\":\"b\"}]},"
    "\"effectiveDateTime\":\"2026-02-01\"}\n"
    "{\"resourceType\":\"Observation\",\"id\":\"o2\",\"status\":\"amended\",\"subject\":{\"reference\":\"Patient/"
    "p2\"},\"code\":{\"coding\":[{\"code\":\"a\"}]},"
    "\"effectiveDateTime\":\"2026-03-01\"}\n"
    "{\"resourceType\":\"Observation\",\"id\":\"o4\",\"status\":\"final\",\"subject\":{\"reference\":\"Patient/"
    "p1\"},\"code\":{\"coding\":[{\"code\":\"a\"}]},"
    "\"effectiveDateTime\":\"2026-04-01\"}\n"
    "{\"resourceType\":\"Provenance\",\"id\":\"v\",\"target\":[{\"reference\":\"Observation/"
    "o1\"},{\"reference\":\"Observation/o3\"}]}\n"
    "{\"resourceType\":\"Provenance\",\"id\":\"w\",\"target\":[{\"reference\":\"Observation/o2\"}]}\n";

static const struct {
    const char *type, *query, *found; /* ids in order; '+' before included ones */
    uint64_t offset;
    size_t count;
    uint64_t next;
} searches[] = {
    {"Observation", "", "o1 o2 o3 o4", 0, 10, 0},
    {"Observation", "", "o1 o2", 0, 2, 2},
    {"Observation", "", "o3 o4", 2, 2, 0},
    {"Observation", "", "", 4, 2, 0},
    {"Observation", "patient=p1", "o1 o3 o4", 0, 10, 0},
    {"Observation", "patient=p1", "o1 o3", 0, 2, 2},
    {"Observation", "patient=p1", "o4", 2, 2, 0},
    {"Observation", "patient=Patient/p1&code=a", "o3 o4", 0, 10, 0},
    {"Observation", "patient=p1,p2&code=a&date=lt2026-03-15", "o2 o3", 0, 10, 0},
    {"Observation", "code=a,b", "o1 o2 o3 o4", 0, 10, 0},
    {"Observation", "status=final&date=ge2026-02", "o1 o4", 0, 10, 0},
    {"Observation", "patient=p3", "", 0, 10, 0},
    {"Observation", "_id=o4,o1,nothing", "o1 o4", 0, 10, 0},
    {"Observation", "_id=o4,o1&code=b", "o1", 0, 10, 0},
    {"Observation", "derived-from:missing=false", "o3", 0, 10, 0},
    {"Observation", "subject:Patient=p2", "o2", 0, 10, 0},
    {"Patient", "name=nw", "p1 p2", 0, 10, 0},
    {"Patient", "name=NWOSU", "p1", 0, 10, 0},
    {"Patient", "family:contains=ank", "p2", 0, 10, 0},
    {"Patient", "family:exact=Nwosu", "p1", 0, 10, 0},
    {"Patient", "family:exact=nwosu", "", 0, 10, 0},
    {"Patient", "identifier=s|2", "p2", 0, 10, 0},
    {"Patient", "identifier=2", "p2", 0, 10, 0},
    {"Patient", "identifier=s|", "p1 p2", 0, 10, 0},
    {"Patient", "identifier=|2", "", 0, 10, 0},
    {"Patient", "birthdate=1984-03-12&name=n", "p1", 0, 10, 0},
    {"Patient", "gender=female&name=nwa", "p2", 0, 10, 0},
    {"Condition", "patient=p1", "", 0, 10, 0},
    {"Observation", "patient=p1&code=a&_include=Observation:subject", "o3 o4 +p1", 0, 10, 0},
    {"Observation", "_id=o3&_include=Observation:derived-from&_include=Observation:subject:Patient", "o3 +o1 +p1", 0,
        10, 0},
    {"Observation", "patient=p1&_include=Observation:derived-from", "o1 o3 o4", 0, 10, 0}, /* o1 is there already */
    {"Observation", "patient=p1&_revinclude=Provenance:target", "o1 o3 o4 +v", 0, 10, 0},
    {"Observation", "patient=p2&_revinclude=Provenance:target:Observation", "o2 +w", 0, 10, 0},
    {"Patient", "_id=p2&_revinclude=Observation:subject", "p2 +o2", 0, 10, 0},
};

/* The ids of a page's entries, as in `searches`. */
static void list_page(struct fixture *f, const struct sl_blocks *page, char *out, size_t size)
{
    struct sl_doc doc;
    size_t len = 0;
    out[0] = '\0';
    struct sl_slice text = sl_arena_copy(f->arena, (struct sl_slice){page->first->ptr, page->first->len});
    assert_null(page->first->next);
    assert_int_equal(sl_doc_parse(f->arena, text, NULL, &doc, NULL), SL_OK);
    uint32_t entries = sl_span_member(&doc, 0, SL_NAME_entry);
    for (uint32_t e = entries + 1; entries && e < doc.spans[entries].next; e = doc.spans[e].next) {
        uint32_t mode = sl_span_member(&doc, sl_span_member(&doc, e, SL_NAME_search), SL_NAME_mode);
        uint32_t id = sl_span_member(&doc, sl_span_member(&doc, e, SL_NAME_resource), SL_NAME_id);
        len += (size_t)snprintf(out + len, size - len, "%s%s%.*s", len ? " " : "",
            sl_span_is(&doc, mode, SL_LIT("include")) ? "+" : "", SL_FMT(sl_span_raw(&doc, id)));
    }
}

static void searches_find(void **state)
{
    struct fixture *f = *state;
    import(f, clinic);
    for (size_t i = 0; i < sizeof searches / sizeof *searches; i++) {
        struct sl_search search;
        struct sl_blocks page = {.arena = f->arena};
        uint64_t next = 99;
        char found[256];
        assert_int_equal(sl_search_read(f->arena, sl_r4_resource(sl_slice_of(searches[i].type)),
                             sl_slice_of(searches[i].query), SL_LIT(""), NULL, &search),
            SL_OK);
        enum sl_status status =
            sl_records_search(f->records, f->arena, &search, searches[i].offset, searches[i].count, &page, &next);
        if (status != SL_OK)
            fail_msg("%s?%s: %s", searches[i].type, searches[i].query, sl_status_name(status));
        list_page(f, &page, found, sizeof found);
        if (strcmp(found, searches[i].found) != 0 || next != searches[i].next)
            fail_msg("%s?%s: found '%s' and next %llu", searches[i].type, searches[i].query, found,
                (unsigned long long)next);
    }
}

/* After a change the index finds the new values and no longer the old ones. */
static void index_follows_changes(void **state)
{
    struct fixture *f = *state;
    static const char *const texts[] = {"{\"resourceType\":\"Observation\",\"id\":\"o\",\"subject\":{\"reference\":"
                                        "\"Patient/one\"},\"code\":{\"coding\":[{\"code\":\"x\"}]}}",
        "{\"resourceType\":\"Observation\",\"id\":\"o\",\"subject\":{\"reference\":\"Patient/"
        "two\"},\"code\":{\"coding\":[{\"code\":\"x\"}]}}"};
    for (int i = 0; i < 4; i++) {
        static const char *const queries[] = {"patient=one", "patient=two", "code=x"};
        import(f, texts[i % 2]);
        for (int q = 0; q < 3; q++) {
            struct sl_search search;
            struct sl_blocks page = {.arena = f->arena};
            uint64_t next;
            char found[64];
            assert_int_equal(
                sl_search_read(f->arena, SL_R4_Observation, sl_slice_of(queries[q]), SL_LIT(""), NULL, &search), SL_OK);
            assert_int_equal(sl_records_search(f->records, f->arena, &search, 0, 10, &page, &next), SL_OK);
            list_page(f, &page, found, sizeof found);
            assert_string_equal(found, q == 2 || q == i % 2 ? "o" : "");
        }
    }
}

static void reopened_and_read_only(void **state)
{
    struct fixture *f = *state;
    import(f, clinic);
    sl_records_close(f->records);
    assert_int_equal(sl_records_open(f->directory, false, &f->issues, &f->records), SL_OK);
    assert_non_null(stored(f, "Patient", "p1"));
    assert_null(stored(f, "Patient", "p9"));
    struct sl_records *none;
    assert_int_equal(sl_records_open("no-such-directory", false, &f->issues, &none), SL_MISSING);
    assert_null(none);
}

/* ---- Real data, where it is at hand ---- */

/* NUL-terminated; the caller frees it. */
static char *read_file(const char *path)
{
    const size_t limit = (size_t)8 << 20;
    FILE *file = fopen(path, "rb");
    char *text = malloc(limit + 1);
    assert_non_null(file);
    assert_non_null(text);
    size_t got = fread(text, 1, limit, file);
    fclose(file);
    assert_true(got > 0 && got < limit);
    text[got] = '\0';
    return text;
}

static void real_bundles_import(void **state)
{
    struct fixture *f = *state;
    static const char *const folders[] = {"shift-labelled", "us-core-examples"};
    size_t files = 0, resources = 0;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        char path[512];
        snprintf(path, sizeof path, SLUICE_SHARED "/data/fhir-r4/%s", folders[i]);
        DIR *folder = opendir(path);
        for (struct dirent *entry; folder && (entry = readdir(folder));) {
            if (entry->d_name[0] == '.')
                continue;
            snprintf(path, sizeof path, SLUICE_SHARED "/data/fhir-r4/%s/%s", folders[i], entry->d_name);
            struct sl_records_import done;
            char *text = read_file(path);
            enum sl_status status = sl_records_import(f->records, sl_slice_of(text), NOW, &f->issues, &done);
            free(text);
            if (status != SL_OK)
                fail_msg("%s: %s", path, sl_status_name(status));
            assert_true(done.resources > 0);
            resources += done.resources;
            files++;
        }
        if (folder)
            closedir(folder);
    }
    if (files == 0) {
        print_message("no ../shared/data: real bundles are not tried\n");
        skip();
    }
    assert_true(resources > files);
}

/* A dump says itself when each record was last updated; one that does not say so is no such dump. */
static void given_instants_are_kept(void **state)
{
    struct fixture *f = *state;
    struct sl_records_import done;
    static const char good[] =
        "{\"resourceType\":\"Basic\",\"id\":\"b\",\"meta\":{\"lastUpdated\":\"2024-05-06T07:08:09Z\"}}";
    static const char *const unsaid[] = {"{\"resourceType\":\"Basic\",\"id\":\"c\"}",
        "{\"resourceType\":\"Basic\",\"id\":\"c\",\"meta\":{}}",
        "{\"resourceType\":\"Basic\",\"id\":\"c\",\"meta\":{\"lastUpdated\":\"2024-05-06\"}}",
        "{\"resourceType\":\"Basic\",\"id\":\"c\",\"meta\":{\"lastUpdated\":\"2024-05-06T07:08:09+1\"}}"};
    assert_int_equal(sl_records_import(f->records, SL_LIT(good), SL_RECORDS_AT_GIVEN, &f->issues, &done), SL_OK);
    assert_non_null(strstr(stored(f, "Basic", "b"), "\"lastUpdated\":\"2024-05-06T07:08:09Z\""));
    assert_non_null(strstr(stored(f, "Basic", "b"), "\"versionId\":\"1\""));
    for (size_t i = 0; i < sizeof unsaid / sizeof *unsaid; i++) {
        enum sl_status status =
            sl_records_import(f->records, sl_slice_of(unsaid[i]), SL_RECORDS_AT_GIVEN, &f->issues, &done);
        assert_int_equal(status, SL_INVALID);
        assert_null(stored(f, "Basic", "c"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
        TEST(bytes_are_kept),
        TEST(versions_follow_changes),
        TEST(transactions_are_resolved),
        TEST(ids_are_drawn_alike),
        TEST(conditions_ask_the_store),
        TEST(lines_are_units),
        TEST(nothing_of_a_bad_file),
        TEST(large_resources_are_whole),
        TEST(searches_find),
        TEST(index_follows_changes),
        TEST(reopened_and_read_only),
        TEST(given_instants_are_kept),
        TEST(real_bundles_import),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
