/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Origin: which records a program made, by every way in which a record can say so, each with a case for and one
 * against. Classes are written as letters (earning_fixture.h): o ordinary, S substance use, p program, c candidate of
 * unknown source, k presence, r received under a TPO consent. JSON is written with single quotes, for the eye.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "earning_fixture.h"
#include "sluice/book.h"
#include "sluice/path.h"

#define BP "'code':{'coding':[{'system':'http://loinc.org','code':'8480-6'}]}"
#define OUD "'code':{'coding':[{'system':'http://hl7.org/fhir/sid/icd-10-cm','code':'F11.20'}]}"
#define REF(to) "{'reference':'" to "'}"
#define OBSERVATION "{'resourceType':'Observation'," BP ","
#define NPI "http://hl7.org/fhir/sid/us-npi"
#define ACT "http://terminology.hl7.org/CodeSystem/v3-ActCode"
#define LABEL(code) "{'system':'" ACT "','code':'" code "'}"

static const char table[] =
    "servers: ['https://ehr.example.org/fhir']\n"
    "programs:\n"
    "  - source: Organization/harbor\n"
    "    is: program\n"
    "    identifiers:\n"
    "      - npi: '1234567893'\n"
    "      - oid: 2.16.840.1.113883.19.5\n"
    "      - {system: 'http://example.org/units', value: HRB}\n"
    "    known-as: [Harbor Recovery]\n"
    "  - {source: Location/ward, is: program}\n"
    "  - {source: HealthcareService/methadone, is: program}\n"
    "  - {source: PractitionerRole/counselor, is: program}\n"
    "  - {source: Practitioner/only-there, is: program}\n"
    "  - {is: program, type: Practitioner, identifiers: [{npi: '1245319599'}]}\n"
    "  - {source: Endpoint/harbor-fhir, is: program}\n"
    "  - {source: 'https://harbor.example.org/ehr', is: program}\n"
    "  - {source: Organization/clinic, is: not}\n"
    "  - {source: Organization/later, is: program, from: 2020-01-01}\n"
    "  - {source: Organization/earlier, is: program, until: 2020-06-30}\n"
    "  - {source: Organization/became, is: not, until: 2019-12-31}\n"
    "  - {source: Organization/became, is: program, from: 2020-01-01}\n"
    "  - {source: Organization/undecided, is: unknown}\n"
    "  - {source: Organization/partner, is: program, holds-as: covered-entity-under-tpo}\n"
    "  - {source: Organization/lawful, is: program, holds-as: lawful-holder}\n";

/* What the others refer to. */
static const char *const directory[] = {
    "{'resourceType':'Organization','id':'harbor'}",
    "{'resourceType':'Organization','id':'clinic'}",
    "{'resourceType':'Organization','id':'stranger'}",
    "{'resourceType':'Organization','id':'later'}",
    "{'resourceType':'Organization','id':'unit','partOf':" REF("Organization/harbor") "}",
    "{'resourceType':'Organization','id':'later-unit','partOf':" REF("Organization/later") "}",
    "{'resourceType':'Organization','id':'by-npi','identifier':[{'system':'http://x','value':'1'},"
    "{'system':'urn:oid:2.16.840.1.113883.4.6','value':'1234567893'}]}",
    "{'resourceType':'Organization','id':'by-name','name':'The Harbor Recovery Foundation'}",
    "{'resourceType':'Organization','id':'by-alias','name':'HRF','alias':['Old','Harbor Recovery']}",
    "{'resourceType':'Organization','id':'ring1','partOf':" REF("Organization/ring2") "}",
    "{'resourceType':'Organization','id':'ring2','partOf':" REF("Organization/ring1") "}",
    "{'resourceType':'Organization','id':'bad-ring1','partOf':" REF("Organization/bad-ring2") "}",
    "{'resourceType':'Organization','id':'bad-ring2','partOf':" REF("Organization/bad-ring1") ",'endpoint':["
    REF("Endpoint/harbor-fhir") "],'alias':['Harbor Recovery']}",
    "{'resourceType':'Location','id':'room','partOf':" REF("Location/ward") "}",
    "{'resourceType':'Location','id':'office','managingOrganization':" REF("Organization/clinic") "}",
    "{'resourceType':'Location','id':'site','managingOrganization':{'identifier':{'system':'" NPI
    "','value':'1234567893'}}}",
    "{'resourceType':'HealthcareService','id':'groups','providedBy':" REF("Organization/harbor") "}",
    "{'resourceType':'HealthcareService','id':'flu','providedBy':" REF("Organization/stranger") "}",
    "{'resourceType':'PractitionerRole','id':'there','organization':" REF("Organization/harbor") "}",
    "{'resourceType':'PractitionerRole','id':'here','organization':" REF("Organization/stranger") "}",
    "{'resourceType':'PractitionerRole','id':'of-listed','practitioner':" REF("Practitioner/listed") ",'organization':"
    REF("Organization/stranger") "}",
    "{'resourceType':'PractitionerRole','id':'of-anybody','practitioner':" REF("Practitioner/anybody") "}",
    "{'resourceType':'Practitioner','id':'listed','identifier':[{'system':'" NPI "','value':'1245319599'}]}",
    "{'resourceType':'Practitioner','id':'anybody','identifier':[{'system':'" NPI "','value':'1234567893'}]}",
    "{'resourceType':'Endpoint','id':'of-unit','managingOrganization':" REF("Organization/unit") "}",
    "{'resourceType':'Encounter','id':'in','serviceProvider':" REF("Organization/harbor") ",'diagnosis':[{'condition':"
    REF("Condition/hiv") "}]}",
    "{'resourceType':'Encounter','id':'out','serviceProvider':" REF("Organization/clinic") "}",
    "{'resourceType':'Encounter','id':'part','partOf':" REF("Encounter/in") "}",
    "{'resourceType':'Encounter','id':'stay','serviceProvider':" REF("Organization/clinic") ",'period':{'start':"
    "'2024-01-01','end':'2024-01-20'},'location':[{'location':" REF("Location/ward")
    ",'period':{'start':'2024-01-05T14:00:00-06:00','end':'2024-01-10T09:00:00-06:00'}},{'location':"
    REF("Location/office") "}]}",
    "{'resourceType':'Encounter','id':'whole-stay','serviceProvider':" REF("Organization/clinic") ",'location':["
    "{'location':" REF("Location/ward") "},{'location':" REF("Location/room")
    ",'period':{'start':'2024-01-05','end':'2024-01-10'}}]}",
    "{'resourceType':'Encounter','id':'turn1','partOf':" REF("Encounter/turn2") "}",
    "{'resourceType':'Encounter','id':'turn2','partOf':" REF("Encounter/turn1") ",'location':[{'location':"
    REF("Location/ward") "}]}",
    "{'resourceType':'EpisodeOfCare','id':'course','managingOrganization':" REF("Organization/harbor") "}",
    "{'resourceType':'EpisodeOfCare','id':'diabetes','managingOrganization':" REF("Organization/clinic") "}",
    "{'resourceType':'Patient','id':'theirs','managingOrganization':" REF("Organization/harbor") "}",
    "{'resourceType':'Patient','id':'ours','managingOrganization':" REF("Organization/clinic") "}",
};

static struct earning_fixture shared;
static struct sl_coding received_labels[2], received_except[1];

struct world {
    struct sl_arena *arena;
    struct sl_programs *programs;
    struct sl_labeller *labeller;
};

static struct sl_programs *read_table(const char *text, bool closed)
{
    char path[] = "origin_test_XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    FILE *out = fdopen(file, "w");
    assert_non_null(out);
    assert_true(fprintf(out, "others: %s\n%s", closed ? "not" : "unknown", text) > 0);
    assert_int_equal(fclose(out), 0);
    struct sl_programs *programs = NULL;
    struct sl_arena *arena = sl_arena_new(1 << 20);
    struct sl_issues issues = {.arena = arena};
    enum sl_status status = sl_programs_load(path, &issues, &programs);
    unlink(path);
    if (status != SL_OK)
        fail_msg("line %zu: %.*s", issues.first->line, SL_FMT(issues.first->text));
    sl_arena_free(arena);
    return programs;
}

static struct world world_with(const char *text, bool closed)
{
    struct world w = {.arena = sl_arena_new((size_t)1 << 28), .programs = read_table(text, closed)};
    w.labeller = sl_labeller_new_earning(w.arena, &shared.earning, w.programs);
    assert_non_null(w.labeller);
    return w;
}

static void world_free(struct world *w)
{
    sl_programs_unref(w->programs);
    sl_arena_free(w->arena);
}

static struct sl_item *add_as(struct world *w, const char *json, bool context)
{
    size_t len = strlen(json);
    char *text = sl_arena_raw(w->arena, len + 1, 1);
    struct sl_doc *doc = sl_arena_alloc(w->arena, sizeof *doc);
    struct sl_doc_error error = {0};
    struct sl_item *item = NULL;
    assert_non_null(text);
    for (size_t i = 0; i <= len; i++)
        text[i] = json[i] == '\'' ? '"' : json[i];
    if (sl_doc_parse(w->arena, (struct sl_slice){text, len}, NULL, doc, &error) != SL_OK)
        fail_msg("%s at %zu: %s", error.why, error.offset, json);
    assert_int_equal(sl_labeller_add(w->labeller, doc, 0, (struct sl_slice){NULL, 0}, context, &item), SL_OK);
    return item;
}

/* As a gateway does: what is lacked and stands in the directory is fetched, the rest is not there. */
static void resolve(struct world *w)
{
    struct sl_slice *missing;
    size_t count = 1;
    for (unsigned round = 0; count; round++) {
        assert_true(round < 12);
        assert_int_equal(sl_labeller_resolve(w->labeller, &missing, &count), SL_OK);
        for (size_t i = 0; i < count; i++) {
            char head[256];
            const char *slash = memchr(missing[i].ptr, '/', missing[i].len);
            size_t at = (size_t)(slash - missing[i].ptr);
            snprintf(head, sizeof head, "{'resourceType':'%.*s','id':'%.*s'", (int)at, missing[i].ptr,
                (int)(missing[i].len - at - 1), slash + 1);
            size_t d = 0, all = sizeof directory / sizeof *directory;
            while (d < all && strncmp(directory[d], head, strlen(head)) != 0)
                d++;
            if (d < all)
                (void)add_as(w, directory[d], true);
            else
                assert_int_equal(sl_labeller_absent(w->labeller, missing[i], true), SL_OK);
        }
    }
}

static const char *letters(const struct sl_classes *classes)
{
    static char text[4][SL_CLASS_LIMIT];
    static unsigned turn;
    char *out = text[turn++ % 4];
    size_t len = 0;
    for (unsigned bit = 0; bit < CLASSES; bit++)
        if (sl_classes_has(classes, bit))
            out[len++] = class_letters[bit];
    out[len] = '\0';
    return out;
}

static const char *parts_of(struct world *w, const struct sl_item *item)
{
    static char text[4096];
    size_t len = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < item->part_count; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%s=%s", i ? " " : "",
            sl_span_path(item->doc, item->span, item->parts[i].span, w->arena).ptr, letters(&item->parts[i].classes));
    return text;
}

struct origin_case {
    const char *name, *json;
    enum sl_source source;
    const char *classes, *parts;
};

static void check(const struct origin_case *cases, size_t count, bool closed)
{
    for (size_t i = 0; i < count; i++) {
        struct world w = world_with(table, closed);
        const struct sl_item *item = add_as(&w, cases[i].json, false);
        resolve(&w);
        if (item->source != cases[i].source || strcmp(letters(&item->classes), cases[i].classes) != 0 ||
            strcmp(parts_of(&w, item), cases[i].parts ? cases[i].parts : "") != 0 || item->unlabelled)
            fail_msg("%s: source %d, classes %s, parts %s %s", cases[i].name, (int)item->source,
                letters(&item->classes), parts_of(&w, item), item->unlabelled ? item->unlabelled : "");
        world_free(&w);
    }
}

#define CHECK(cases, closed) check((cases), sizeof(cases) / sizeof *(cases), (closed))
#define PROGRAMS SL_SOURCE_PROGRAM, "op", NULL
#define NONE SL_SOURCE_NOT, "o", NULL
#define UNSAID SL_SOURCE_UNKNOWN, "o", NULL

static const struct origin_case by_names[] = {
    {"an organization", OBSERVATION "'performer':[" REF("Organization/harbor") "]}", PROGRAMS},
    {"another", OBSERVATION "'performer':[" REF("Organization/clinic") "]}", NONE},
    {"one nobody knows", OBSERVATION "'performer':[" REF("Organization/stranger") "]}", UNSAID},
    {"one that is not here", OBSERVATION "'performer':[" REF("Organization/nowhere") "]}", UNSAID},
    {"a unit of the program", OBSERVATION "'performer':[" REF("Organization/unit") "]}", PROGRAMS},
    {"a ring of organizations", OBSERVATION "'performer':[" REF("Organization/ring1") "]}", UNSAID},
    {"a ring with a program in it", OBSERVATION "'performer':[" REF("Organization/bad-ring1") "]}", PROGRAMS},
    {"by the identifier of its record", OBSERVATION "'performer':[" REF("Organization/by-npi") "]}", PROGRAMS},
    {"by the name of its record", OBSERVATION "'performer':[" REF("Organization/by-name") "]}", PROGRAMS},
    {"by an alias of its record", OBSERVATION "'performer':[" REF("Organization/by-alias") "]}", PROGRAMS},
    {"a location", "{'resourceType':'Procedure','location':" REF("Location/ward") "}", PROGRAMS},
    {"within one", "{'resourceType':'Procedure','location':" REF("Location/room") "}", PROGRAMS},
    {"whose keeper is named by identifier", "{'resourceType':'Procedure','location':" REF("Location/site") "}",
        PROGRAMS},
    {"of another", "{'resourceType':'Procedure','location':" REF("Location/office") "}", UNSAID},
    {"a service", "{'resourceType':'Appointment','status':'booked','participant':[{'actor':"
        REF("HealthcareService/methadone") ",'status':'accepted'}]}", PROGRAMS},
    {"provided by the program", "{'resourceType':'Appointment','participant':[{'actor':"
        REF("HealthcareService/groups") "}]}", PROGRAMS},
    {"provided by another", "{'resourceType':'Appointment','participant':[{'actor':"
        REF("HealthcareService/flu") "}]}", UNSAID},
    {"a role", OBSERVATION "'performer':[" REF("PractitionerRole/counselor") "]}", PROGRAMS},
    {"a role at the program", OBSERVATION "'performer':[" REF("PractitionerRole/there") "]}", PROGRAMS},
    {"a role elsewhere", OBSERVATION "'performer':[" REF("PractitionerRole/here") "]}", UNSAID},
    {"who works only there", OBSERVATION "'performer':[" REF("Practitioner/only-there") "]}", PROGRAMS},
    {"the same by his number", OBSERVATION "'performer':[" REF("Practitioner/listed") "]}", PROGRAMS},
    {"a role of his", OBSERVATION "'performer':[" REF("PractitionerRole/of-listed") "]}", PROGRAMS},
    {"a role of another", OBSERVATION "'performer':[" REF("PractitionerRole/of-anybody") "]}", UNSAID},
    {"pictures kept at an endpoint of the program", "{'resourceType':'ImagingStudy','endpoint':["
        REF("Endpoint/harbor-fhir") "]}", PROGRAMS},
    {"at one of its unit's", "{'resourceType':'ImagingStudy','series':[{'uid':'1','modality':{'code':'CT'},'endpoint':["
        REF("Endpoint/of-unit") "]}]}", PROGRAMS},
    {"at one nobody knows", "{'resourceType':'ImagingStudy','endpoint':[" REF("Endpoint/x") "]}", UNSAID},
    {"who works anywhere; a program's number is no person's", OBSERVATION "'performer':[" REF("Practitioner/anybody")
        "]}", UNSAID},
    {"meta.source", OBSERVATION "'meta':{'source':'https://harbor.example.org/ehr#42'}}", PROGRAMS},
    {"another meta.source", OBSERVATION "'meta':{'source':'https://clinic.example.org/ehr'}}", UNSAID},
    {"an absolute reference to our server", OBSERVATION "'performer':["
        REF("https://ehr.example.org/fhir/Organization/unit") "]}", PROGRAMS},
    {"of which the table says none", OBSERVATION "'performer':["
        REF("https://ehr.example.org/fhir/Organization/clinic") "]}", NONE},
    {"to another server, ending as a program", OBSERVATION "'performer':["
        REF("https://other.example.org/fhir/Organization/harbor") "]}", PROGRAMS},
    {"ending as one that is none: not believed", OBSERVATION "'performer':["
        REF("https://other.example.org/fhir/Organization/clinic") "]}", UNSAID},
    {"ending as a unit of a program: another server's unit", OBSERVATION "'performer':["
        REF("https://other.example.org/fhir/Organization/unit") "]}", UNSAID},
    {"one of which the table says that it does not know", OBSERVATION "'performer':[" REF("Organization/undecided")
        "]}", UNSAID},
    {"a contained one by its number", "{'resourceType':'Observation'," BP ",'contained':[{'resourceType':"
        "'Organization','id':'o','identifier':[{'system':'" NPI "','value':'1234567893'}]}],'performer':["
        REF("#o") "]}", PROGRAMS},
    {"a contained one by its name", "{'resourceType':'Observation'," BP ",'contained':[{'resourceType':"
        "'Organization','id':'o','name':'Harbor Recovery'}],'performer':[" REF("#o") "]}", PROGRAMS},
    {"the id of a contained one is a name within", "{'resourceType':'Observation'," BP ",'contained':[{'resourceType':"
        "'Organization','id':'harbor','name':'Lakeside'}],'performer':[" REF("#harbor") "]}", UNSAID},
};

static const struct origin_case by_words[] = {
    {"a logical reference", OBSERVATION "'performer':[{'identifier':{'system':'" NPI "','value':'1234567893'}}]}",
        PROGRAMS},
    {"to another", OBSERVATION "'performer':[{'identifier':{'system':'" NPI "','value':'1679576722'}}]}", UNSAID},
    {"by an OID", OBSERVATION "'performer':[{'identifier':{'system':'urn:ietf:rfc3986','value':"
        "'urn:oid:2.16.840.1.113883.19.5'}}]}", PROGRAMS},
    {"by a site's own number", OBSERVATION "'performer':[{'identifier':{'system':'http://example.org/units','value':"
        "'HRB'}}]}", PROGRAMS},
    {"of a person", OBSERVATION "'performer':[{'type':'Practitioner','identifier':{'system':'" NPI
        "','value':'1245319599'}}]}", PROGRAMS},
    {"both a record and an identifier", OBSERVATION "'performer':[{'reference':'Organization/stranger','identifier':"
        "{'system':'" NPI "','value':'1234567893'}}]}", PROGRAMS},
    {"a conditional reference", OBSERVATION "'performer':[" REF("Organization?identifier=" NPI "|1234567893") "]}",
        PROGRAMS},
    {"percent-encoded", OBSERVATION "'performer':[" REF("Organization?active=true&identifier="
        "http:%2F%2Fhl7.org%2Ffhir%2Fsid%2Fus-npi%7C1234567893") "]}", PROGRAMS},
    {"by an id", OBSERVATION "'performer':[" REF("Location?_id=ward") "]}", PROGRAMS},
    {"to another", OBSERVATION "'performer':[" REF("Organization?identifier=" NPI "|1679576722") "]}", UNSAID},
    {"to another, though the table is closed", OBSERVATION "'performer':["
        REF("Organization?identifier=" NPI "|1679576722") "]}", UNSAID},
    {"a display alone", OBSERVATION "'performer':[{'display':'Harbor Recovery, main site'}]}", PROGRAMS},
    {"the display of another", OBSERVATION "'performer':[{'display':'Harborview Recovery'}]}", UNSAID},
    {"a display beside a record nobody knows", OBSERVATION "'performer':[{'reference':'Practitioner/anybody',"
        "'display':'Harbor Recovery'}]}", PROGRAMS},
    {"beside one that is known to be none: that element alone", OBSERVATION "'performer':[{'reference':"
        "'Organization/clinic','display':'Lakeside, with Harbor Recovery'}]}", SL_SOURCE_NOT, "o",
        "Observation.performer[0]=p"},
    {"a mention by display", "{'resourceType':'ServiceRequest','encounter':" REF("Encounter/out")
        ",'performer':[{'display':'Harbor Recovery'},{'display':'City Lab'}]}", SL_SOURCE_NOT, "o",
        "ServiceRequest.performer[0]=p"},
    {"by identifier", "{'resourceType':'ServiceRequest','encounter':" REF("Encounter/out") ",'performer':["
        "{'identifier':{'system':'" NPI "','value':'1234567893'}},{'identifier':{'system':'" NPI
        "','value':'1679576722'}}]}", SL_SOURCE_NOT, "o", "ServiceRequest.performer[0]=p"},
    {"by condition", "{'resourceType':'ServiceRequest','encounter':" REF("Encounter/out") ",'performer':["
        REF("Organization?identifier=" NPI "|1234567893") "]}", SL_SOURCE_NOT, "o",
        "ServiceRequest.performer[0]=p"},
    {"by the record's number", "{'resourceType':'ServiceRequest','encounter':" REF("Encounter/out") ",'performer':["
        REF("Organization/by-npi") "," REF("Organization/stranger") "]}", SL_SOURCE_NOT, "o",
        "ServiceRequest.performer[0]=p"},
    {"who assigned a number", "{'resourceType':'Observation'," BP ",'encounter':" REF("Encounter/out")
        ",'identifier':[{'value':'7','assigner':{'display':'Harbor Recovery'}},{'value':'8','assigner':"
        "{'display':'Lakeside'}}]}", SL_SOURCE_NOT, "o", "Observation.identifier[0]=p"},
    {"in a record of the program it says nothing new", OBSERVATION "'performer':[" REF("Organization/harbor")
        "],'note':[{'authorReference':{'display':'Harbor Recovery'},'text':'n'}]}", SL_SOURCE_PROGRAM, "op",
        "Observation.note[0].text=t"},
};

static const struct origin_case by_visits[] = {
    {"a visit at the program", OBSERVATION "'encounter':" REF("Encounter/in") "}", PROGRAMS},
    {"its diagnoses stay its own", "{'resourceType':'Procedure','encounter':" REF("Encounter/out") "}", NONE},
    {"a part of that visit", OBSERVATION "'encounter':" REF("Encounter/part") "}", PROGRAMS},
    {"a ring of visits", OBSERVATION "'encounter':" REF("Encounter/turn1") "}", PROGRAMS},
    {"a course of care", "{'resourceType':'Encounter','episodeOfCare':[" REF("EpisodeOfCare/diabetes") "]}", UNSAID},
    {"an opioid diagnosis of a primary care clinic", "{'resourceType':'Condition'," OUD ",'encounter':"
        REF("Encounter/out") "}", SL_SOURCE_NOT, "oS", NULL},
    {"of nobody knows whom", "{'resourceType':'Condition'," OUD "}", SL_SOURCE_UNKNOWN, "oSc", NULL},
    {"before the unit", OBSERVATION "'encounter':" REF("Encounter/stay")
        ",'effectiveDateTime':'2024-01-05T08:00:00-06:00'}", NONE},
    {"in the unit", OBSERVATION "'encounter':" REF("Encounter/stay")
        ",'effectiveDateTime':'2024-01-05T20:30:00Z'}", PROGRAMS},
    {"on the day of the move, the hour unsaid", OBSERVATION "'encounter':" REF("Encounter/stay")
        ",'effectiveDateTime':'2024-01-10'}", PROGRAMS},
    {"after the unit", OBSERVATION "'encounter':" REF("Encounter/stay")
        ",'effectiveDateTime':'2024-01-10T09:00:01-06:00'}", NONE},
    {"of a time unsaid", OBSERVATION "'encounter':" REF("Encounter/stay") "}", PROGRAMS},
    {"over the move", OBSERVATION "'encounter':" REF("Encounter/stay")
        ",'effectivePeriod':{'start':'2024-01-04','end':'2024-01-06'}}", PROGRAMS},
    {"since before the move", OBSERVATION "'encounter':" REF("Encounter/stay")
        ",'effectivePeriod':{'start':'2024-01-04'}}", PROGRAMS},
    {"up to before the move", OBSERVATION "'encounter':" REF("Encounter/stay")
        ",'effectivePeriod':{'end':'2024-01-04'}}", NONE},
    {"a time that cannot be read", OBSERVATION "'encounter':" REF("Encounter/stay")
        ",'effectiveDateTime':'last week'}", PROGRAMS},
    {"an old illness written down in the unit", "{'resourceType':'Condition','encounter':" REF("Encounter/stay") ","
        BP ",'onsetDateTime':'2010','recordedDate':'2024-01-07'}", PROGRAMS},
    {"before it", "{'resourceType':'Condition','encounter':" REF("Encounter/stay") "," BP
        ",'onsetDateTime':'2010','recordedDate':'2024-01-02'}", NONE},
    {"nobody knows when", "{'resourceType':'Condition','encounter':" REF("Encounter/stay") "," BP
        ",'onsetDateTime':'2010'}", PROGRAMS},
    {"a stay there without a period is all of it", OBSERVATION "'encounter':" REF("Encounter/whole-stay")
        ",'effectiveDateTime':'2024-01-02'}", PROGRAMS},
};

static const struct origin_case by_dates[] = {
    {"after it became one", OBSERVATION "'performer':[" REF("Organization/later")
        "],'effectiveDateTime':'2020-01-01'}", PROGRAMS},
    {"before it did", OBSERVATION "'performer':[" REF("Organization/later") "],'effectiveDateTime':'2019-12-31'}",
        UNSAID},
    {"the year before", OBSERVATION "'performer':[" REF("Organization/later") "],'effectiveDateTime':'2019'}", UNSAID},
    {"that year", OBSERVATION "'performer':[" REF("Organization/later") "],'effectiveDateTime':'2020'}", PROGRAMS},
    {"no time: what protects", OBSERVATION "'performer':[" REF("Organization/later") "]}", PROGRAMS},
    {"the evening before, as written there", OBSERVATION "'performer':[" REF("Organization/later")
        "],'effectiveDateTime':'2019-12-31T12:00:00-06:00'}", UNSAID},
    {"the evening before, written in UTC, may be that day", OBSERVATION "'performer':[" REF("Organization/later")
        "],'effectiveDateTime':'2019-12-31T23:00:00Z'}", PROGRAMS},
    {"until its last day", OBSERVATION "'performer':[" REF("Organization/earlier")
        "],'effectiveDateTime':'2020-06-30T23:00:00-06:00'}", PROGRAMS},
    {"and no longer", OBSERVATION "'performer':[" REF("Organization/earlier") "],'effectiveDateTime':'2020-07-01'}",
        UNSAID},
    {"a unit of one that became one", OBSERVATION "'performer':[" REF("Organization/later-unit")
        "],'effectiveDateTime':'2021-03-01'}", PROGRAMS},
    {"before it did", OBSERVATION "'performer':[" REF("Organization/later-unit")
        "],'effectiveDateTime':'2018-03-01'}", UNSAID},
    {"said of both times: one", OBSERVATION "'performer':[" REF("Organization/became")
        "],'effectiveDateTime':'2019-05-05'}", NONE},
    {"and the other", OBSERVATION "'performer':[" REF("Organization/became") "],'effectiveDateTime':'2021-05-05'}",
        PROGRAMS},
    {"and of no time", OBSERVATION "'performer':[" REF("Organization/became") "]}", PROGRAMS},
    {"a mention after", "{'resourceType':'ServiceRequest','encounter':" REF("Encounter/out") ",'authoredOn':"
        "'2021-01-01','performer':[" REF("Organization/later") "]}", SL_SOURCE_NOT, "o",
        "ServiceRequest.performer[0]=p"},
    {"a mention before", "{'resourceType':'ServiceRequest','encounter':" REF("Encounter/out") ",'authoredOn':"
        "'2018-01-01','performer':[" REF("Organization/later") "]}", NONE},
};

static const struct origin_case closed_table[] = {
    {"one nobody named", OBSERVATION "'performer':[" REF("Organization/stranger") "]}", NONE},
    {"one that is not here", OBSERVATION "'performer':[" REF("Organization/nowhere") "]}", UNSAID},
    {"a role whose person tells nothing", OBSERVATION "'performer':[" REF("PractitionerRole/of-anybody") "]}", NONE},
    {"before it became one it was none", OBSERVATION "'performer':[" REF("Organization/later")
        "],'effectiveDateTime':'2019-05-05'}", NONE},
    {"of which the table says that it does not know", OBSERVATION "'performer':[" REF("Organization/undecided") "]}",
        UNSAID},
    {"a display tells nothing of what is none", OBSERVATION "'performer':[{'display':'Lakeside'}]}", UNSAID},
};

/* ---- Who is known here, and what came under another's consent ---- */

static const struct origin_case presence[] = {
    {"registered by the program", "{'resourceType':'Patient','id':'a','managingOrganization':"
        REF("Organization/harbor") "}", SL_SOURCE_PROGRAM, "ok", "Patient.managingOrganization=p"},
    {"by a unit of it", "{'resourceType':'Patient','id':'a','managingOrganization':" REF("Organization/unit") "}",
        SL_SOURCE_PROGRAM, "ok", "Patient.managingOrganization=p"},
    {"by its feed", "{'resourceType':'Patient','id':'a','meta':{'source':'https://harbor.example.org/ehr'}}",
        SL_SOURCE_PROGRAM, "ok", "Patient.meta.source=p"},
    {"by identifier", "{'resourceType':'Patient','id':'a','managingOrganization':{'identifier':{'system':'" NPI
        "','value':'1234567893'}}}", SL_SOURCE_PROGRAM, "ok", "Patient.managingOrganization=p"},
    {"by another", "{'resourceType':'Patient','id':'a','managingOrganization':" REF("Organization/clinic") "}",
        SL_SOURCE_NOT, "o", NULL},
    {"by nobody knows whom", "{'resourceType':'Patient','id':'a'}", SL_SOURCE_UNKNOWN, "o", NULL},
    {"a general practitioner at a program is a mention", "{'resourceType':'Patient','id':'a','generalPractitioner':["
        REF("PractitionerRole/there") "," REF("PractitionerRole/here") "],'managingOrganization':"
        REF("Organization/clinic") "}", SL_SOURCE_NOT, "o", "Patient.generalPractitioner[0]=p"},
    {"the coverage of who is registered there", "{'resourceType':'Coverage','status':'active','beneficiary':"
        REF("Patient/theirs") ",'payor':[" REF("Organization/stranger") "]}", SL_SOURCE_PROGRAM, "ok", NULL},
    {"of who is not", "{'resourceType':'Coverage','status':'active','beneficiary':" REF("Patient/ours") "}",
        SL_SOURCE_NOT, "o", NULL},
    {"a program that pays", "{'resourceType':'Coverage','beneficiary':" REF("Patient/ours") ",'payor':["
        REF("Organization/harbor") "," REF("Organization/stranger") "]}", SL_SOURCE_NOT, "o", "Coverage.payor[0]=p"},
    {"a relative of who is registered there", "{'resourceType':'RelatedPerson','patient':" REF("Patient/theirs") "}",
        SL_SOURCE_PROGRAM, "ok", NULL},
    {"of who is not", "{'resourceType':'RelatedPerson','patient':" REF("Patient/ours") "}", SL_SOURCE_NOT, "o", NULL},
    {"the same human", "{'resourceType':'Person','link':[{'target':" REF("Patient/theirs") "}]}", SL_SOURCE_PROGRAM,
        "ok", NULL},
    {"another", "{'resourceType':'Person','link':[{'target':" REF("Patient/ours") "}]}", SL_SOURCE_NOT, "o", NULL},
    {"whose word it is tells nothing of where he is a patient", OBSERVATION "'subject':" REF("Patient/theirs")
        ",'performer':[" REF("Patient/theirs") "]}", UNSAID},
};

#define SECURITY(codes) "'meta':{'security':[" codes "]}"

static const struct origin_case received[] = {
    {"the table says so", OBSERVATION "'performer':[" REF("Organization/partner") "]}", SL_SOURCE_PROGRAM, "or", NULL},
    {"though it is labelled", OBSERVATION "'performer':[" REF("Organization/partner") "]," SECURITY(LABEL("42CFRPart2"))
        "}", SL_SOURCE_PROGRAM, "or", NULL},
    {"but not what must not go on", OBSERVATION "'performer':[" REF("Organization/partner") "],"
        SECURITY(LABEL("42CFRPart2") "," LABEL("NORDSCLCD")) "}", SL_SOURCE_PROGRAM, "op", NULL},
    {"as a lawful holder one holds a program's record", OBSERVATION "'performer':[" REF("Organization/lawful") "]}",
        PROGRAMS},
    {"the record tells it", OBSERVATION SECURITY(LABEL("42CFRPart2") "," LABEL("CPLYJPP") ","
        LABEL("RedisclosureProhibitionMark")) "}", SL_SOURCE_UNKNOWN, "or", NULL},
    {"in part: it is a program's", OBSERVATION SECURITY(LABEL("42CFRPart2") "," LABEL("CPLYJPP")) "}",
        SL_SOURCE_UNKNOWN, "op", NULL},
    {"with more: on a particular consent", OBSERVATION SECURITY(LABEL("42CFRPart2") "," LABEL("CPLYJPP") ","
        LABEL("RedisclosureProhibitionMark") "," LABEL("NORDSCLCD")) "}", SL_SOURCE_UNKNOWN, "op", NULL},
    {"without the label of the law nothing", OBSERVATION SECURITY(LABEL("CPLYJPP") ","
        LABEL("RedisclosureProhibitionMark")) "}", SL_SOURCE_UNKNOWN, "o", NULL},
    {"of a program of ours it stays ours", OBSERVATION "'performer':[" REF("Organization/harbor") "],"
        SECURITY(LABEL("42CFRPart2") "," LABEL("CPLYJPP") "," LABEL("RedisclosureProhibitionMark")) "}", PROGRAMS},
    {"a diagnosis that came so has an origin", "{'resourceType':'Condition'," OUD "," SECURITY(LABEL("42CFRPart2") ","
        LABEL("CPLYJPP") "," LABEL("RedisclosureProhibitionMark")) "}", SL_SOURCE_UNKNOWN, "oSr", NULL},
    {"a mention of who sent it", "{'resourceType':'ServiceRequest','encounter':" REF("Encounter/out") ",'performer':["
        REF("Organization/partner") "]}", SL_SOURCE_NOT, "o", "ServiceRequest.performer[0]=r"},
    {"who is known from it", "{'resourceType':'Patient','id':'a','managingOrganization':" REF("Organization/partner")
        "}", SL_SOURCE_PROGRAM, "ok", "Patient.managingOrganization=r"},
};

static void names(void **state)
{
    (void)state;
    CHECK(by_names, false);
}

static void words(void **state)
{
    (void)state;
    CHECK(by_words, false);
}

static void visits(void **state)
{
    (void)state;
    CHECK(by_visits, false);
}

static void dates(void **state)
{
    (void)state;
    CHECK(by_dates, false);
}

static void closed(void **state)
{
    (void)state;
    CHECK(closed_table, true);
}

static void presences(void **state)
{
    (void)state;
    CHECK(presence, false);
}

static void received_records(void **state)
{
    (void)state;
    CHECK(received, false);
}

/* What the label book keeps of a place says as much as the place: at each time, and of each stay. */
static void the_book_remembers_times(void **state)
{
    (void)state;
    static const char *const kept[] = {"Organization/later-unit", "Encounter/stay", "Organization/became"};
    static const struct origin_case cases[] = {
        {"a unit, after", OBSERVATION "'performer':[" REF("Organization/later-unit")
            "],'effectiveDateTime':'2021-03-01'}", PROGRAMS},
        {"a unit, before", OBSERVATION "'performer':[" REF("Organization/later-unit")
            "],'effectiveDateTime':'2018-03-01'}", UNSAID},
        {"in the unit", OBSERVATION "'encounter':" REF("Encounter/stay")
            ",'effectiveDateTime':'2024-01-07T08:00:00-06:00'}", PROGRAMS},
        {"before it", OBSERVATION "'encounter':" REF("Encounter/stay")
            ",'effectiveDateTime':'2024-01-03T08:00:00-06:00'}", NONE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world first = world_with(table, false), second = world_with(table, false);
        for (size_t k = 0; k < sizeof kept / sizeof *kept; k++)
            for (size_t d = 0; d < sizeof directory / sizeof *directory; d++)
                if (strstr(directory[d], strchr(kept[k], '/') + 1) && strstr(directory[d], "'id':'") &&
                    strncmp(strstr(directory[d], "'id':'") + 6, strchr(kept[k], '/') + 1,
                        strlen(strchr(kept[k], '/') + 1)) == 0)
                    (void)add_as(&first, directory[d], true);
        resolve(&first);
        for (const struct sl_item *item = sl_labeller_items(first.labeller); item; item = item->next) {
            struct sl_book_entry entry;
            struct sl_item *known;
            assert_int_equal(sl_book_entry_of(item, first.arena, &entry), SL_OK);
            assert_int_equal(sl_labeller_know(second.labeller, &entry, &known), SL_OK);
        }
        const struct sl_item *item = add_as(&second, cases[i].json, false);
        struct sl_slice *missing;
        size_t count;
        assert_int_equal(sl_labeller_resolve(second.labeller, &missing, &count), SL_OK);
        if (item->source != cases[i].source || count)
            fail_msg("%s: %d, %zu missing", cases[i].name, (int)item->source, count);
        world_free(&first);
        world_free(&second);
    }
}

/* Whatever a table says differently makes another generation of labels. */
static void tables_differ(void **state)
{
    (void)state;
    static const char *const tables[] = {
        "programs:\n  - {source: a, is: program}\n",
        "programs:\n  - {source: a, is: not}\n",
        "programs:\n  - {source: b, is: program}\n",
        "programs:\n  - {source: Organization/a, is: program}\n",
        "programs:\n  - {source: a, is: program, from: 2020}\n",
        "programs:\n  - {source: a, is: program, until: 2020}\n",
        "programs:\n  - {source: a, is: program, holds-as: covered-entity-under-tpo}\n",
        "programs:\n  - {source: a, is: program, known-as: [Harbor House]}\n",
        "programs:\n  - {source: a, is: program, known-as: [Harbor Home]}\n",
        "programs:\n  - {source: a, is: program, identifiers: [{npi: '1234567893'}]}\n",
        "programs:\n  - {source: a, is: program, identifiers: [{npi: '1234567893'}], type: Practitioner}\n",
        "servers: ['http://a.example.org']\nprograms:\n  - {source: a, is: program}\n",
        "programs:\n  - {source: a, is: program}\n  - {source: c, is: not}\n",
        "programs: []\n",
    };
    struct sl_label_generation made[sizeof tables / sizeof *tables];
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        struct sl_programs *programs = read_table(tables[i], false);
        assert_int_equal(sl_label_generation_of(SL_LIT("policy"), programs, &made[i]), SL_OK);
        sl_programs_unref(programs);
        for (size_t k = 0; k < i; k++)
            if (memcmp(&made[i], &made[k], sizeof made[i]) == 0)
                fail_msg("%s is %s", tables[i], tables[k]);
    }
    struct sl_label_generation again;
    struct sl_programs *programs =
        read_table("programs:\n  - {source: c, is: not}\n  - {source: a, is: program, title: T}\n", false);
    assert_int_equal(sl_label_generation_of(SL_LIT("policy"), programs, &again), SL_OK);
    assert_memory_equal(&again, &made[12], sizeof again); /* order and titles make no difference */
    sl_programs_unref(programs);
}

/* Long chains of each kind of origin: what is at the end comes all the way, and elsewhere nothing does. */
static void long_chains(void **state)
{
    (void)state;
    static const char *const types[] = {"Organization", "Location", "Encounter"};
    static const char *const ends[] = {
        "{'resourceType':'Organization','id':'n300','partOf':" REF("Organization/harbor") "}",
        "{'resourceType':'Location','id':'n300','partOf':" REF("Location/ward") "}",
        "{'resourceType':'Encounter','id':'n300','serviceProvider':" REF("Organization/harbor") "}",
    };
    static const char *const records[] = {OBSERVATION "'performer':[" REF("Organization/n0") "]}",
        "{'resourceType':'Procedure','location':" REF("Location/n0") "}",
        OBSERVATION "'encounter':" REF("Encounter/n0") "}"};
    for (size_t f = 0; f < sizeof types / sizeof *types; f++) {
        struct world w = world_with(table, true);
        const struct sl_item *item = add_as(&w, records[f], false);
        const struct sl_item *other = add_as(&w, OBSERVATION "'encounter':" REF("Encounter/out") "}", false);
        for (int i = 0; i < 300; i++) { /* every other one the other way, so that no single direction settles it */
            char json[256];
            int n = i % 2 ? 300 - i : i;
            snprintf(json, sizeof json, "{'resourceType':'%s','id':'n%d','partOf':{'reference':'%s/n%d'}}", types[f], n,
                types[f], n + 1);
            struct sl_slice copy = sl_arena_copy(w.arena, sl_slice_of(json));
            (void)add_as(&w, copy.ptr, true);
        }
        (void)add_as(&w, ends[f], true);
        resolve(&w);
        assert_true(!item->unlabelled && item->source == SL_SOURCE_PROGRAM && sl_classes_has(&item->classes, PROGRAM));
        assert_true(!other->unlabelled && other->source == SL_SOURCE_NOT);
        world_free(&w);
    }
}

static int setup(void **state)
{
    (void)state;
    if (!earning_setup(&shared))
        return -1;
    sl_classes_add(&shared.earning.presence, PRESENCE);
    sl_classes_add(&shared.earning.received, RECEIVED);
    received_labels[0] = (struct sl_coding){.system = SL_LIT(ACT), .code = SL_LIT("CPLYJPP")};
    received_labels[1] = (struct sl_coding){.system = SL_LIT(ACT), .code = SL_LIT("RedisclosureProhibitionMark")};
    received_except[0] = (struct sl_coding){.system = SL_LIT(ACT), .code = SL_LIT("NORDSCLCD")};
    shared.earning.received_labels = received_labels;
    shared.earning.received_label_count = 2;
    shared.earning.received_except = received_except;
    shared.earning.received_except_count = 1;
    shared.rules[1] = (struct sl_security_rule){.system = SL_LIT(ACT), .code = SL_LIT("42CFRPart2")};
    sl_classes_add(&shared.rules[1].classes, PROGRAM);
    sl_classes_add(&shared.rules[1].bearers, PROGRAM);
    sl_classes_add(&shared.rules[1].bearers, PRESENCE);
    sl_classes_add(&shared.rules[1].bearers, RECEIVED);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    earning_teardown(&shared);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(words),
        cmocka_unit_test(visits),
        cmocka_unit_test(dates),
        cmocka_unit_test(closed),
        cmocka_unit_test(presences),
        cmocka_unit_test(received_records),
        cmocka_unit_test(the_book_remembers_times),
        cmocka_unit_test(tables_differ),
        cmocka_unit_test(long_chains),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
