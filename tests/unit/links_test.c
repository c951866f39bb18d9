/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is reached by a link or by route alone, under the shipped policy: it goes with what leads to it, on the grounds
 * and with the labels of that, and not otherwise. Records are written with ' for ".
 */
#include "segmented.h"

#define ORGANIZATIONS                                                                                                  \
    "{'resourceType':'Organization','id':'prog'}\n{'resourceType':'Organization','id':'pcp'}\n"                        \
    "{'resourceType':'Patient','id':'p'}\n"
#define NOTE(id, author, urls)                                                                                         \
    "{'resourceType':'DocumentReference','id':'" id "','status':'current','type':{'coding':[{'system':"                \
    "'http://loinc.org','code':'11506-3'}]},'subject':{'reference':'Patient/p'},'author':[{'reference':'Organization/" \
    author "'}],'content':[" urls "]}\n"
#define AT(url) "{'attachment':{'title':'t-" url "','url':'" url "'}}"
#define BINARY(id) "{'resourceType':'Binary','id':'" id "','contentType':'text/plain','data':'aGk='}\n"
#define PULSE                                                                                                          \
    "{'resourceType':'Observation','id':'pulse','status':'final','subject':{'reference':'Patient/p'},'performer':[{"   \
    "'reference':'Organization/pcp'}],'code':{'coding':[{'system':'http://loinc.org','code':'8867-4'}]}"
#define CONSENT                                                                                                        \
    "{'resourceType':'Consent','id':'c','status':'active','scope':{'coding':[{'system':'http://terminology.hl7.org/"   \
    "CodeSystem/consentscope','code':'patient-privacy'}]},'category':[{'coding':[{'system':'http://"                   \
    "terminology.hl7.org/CodeSystem/v3-ActCode','code':'42CFRPart2CD'}]}],'patient':{'reference':'Patient/p'},"        \
    "'dateTime':'2026-01-01','performer':[{'reference':'Patient/p'}],'organization':[{'reference':'Organization/"      \
    "prog'}],'sourceReference':{'display':'form'},'policy':[{'uri':'urn:sluice:form:part2-tpo-2024'}],'provision':{"   \
    "'type':'permit','period':{'start':'2026-01-01'},'purpose':[{'system':'http://terminology.hl7.org/CodeSystem/"     \
    "v3-ActReason','code':'TREAT'},{'system':'http://terminology.hl7.org/CodeSystem/v3-ActReason','code':'HPAYMT'},{"  \
    "'system':'http://terminology.hl7.org/CodeSystem/v3-ActReason','code':'HOPERAT'}]}}"

static const struct {
    const char *name, *records, *consents;
    const char *present[6], *absent[6];
} cases[] = {
    {"a Binary goes with its document", ORGANIZATIONS NOTE("d", "pcp", AT("Binary/b")) BINARY("b"), "",
        {"'id':'d'", "'id':'b'", "'url':'Binary/b'"}, {"42CFRPart2"}},
    {"and stays with one that stays", ORGANIZATIONS NOTE("d", "prog", AT("Binary/b")) BINARY("b"), "",
        {"'id':'p'"}, {"'id':'d'", "'id':'b'", "aGk="}},
    {"on a consent it has the labels of the program's", ORGANIZATIONS NOTE("d", "prog", AT("Binary/b")) BINARY("b"),
        CONSENT, {"'data':'aGk=','meta':{'security':[{'system':'http://terminology.hl7.org/CodeSystem/"
        "v3-Confidentiality','code':'R'},{'system':'http://terminology.hl7.org/CodeSystem/"
        "v3-ActCode','code':'42CFRPart2'"}, {NULL}},
    {"of two ways the one that is open", ORGANIZATIONS NOTE("d", "prog", AT("Binary/b"))
        NOTE("e", "pcp", AT("Binary/b")) BINARY("b"), "", {"'id':'e'", "'id':'b'"}, {"'id':'d'", "42CFRPart2"}},
    {"what nothing leads to stays", ORGANIZATIONS BINARY("b"), "", {"'id':'p'"}, {"'id':'b'"}},
    {"a statement about it is no way to it, and stays", ORGANIZATIONS BINARY("b") "{'resourceType':'Provenance','id':"
        "'v','target':[{'reference':'Binary/b'}],'recorded':'2026-01-01T00:00:00Z','agent':[{'who':{'reference':"
        "'Organization/pcp'}}]}\n", "", {"'id':'p'"}, {"'id':'b'", "'id':'v'"}},
    {"one about a document and what is in it goes with both", ORGANIZATIONS NOTE("d", "pcp", AT("Binary/b"))
        BINARY("b") "{'resourceType':'Provenance','id':'v','target':[{'reference':'Binary/b'},{'reference':"
        "'DocumentReference/d'}],'recorded':'2026-01-01T00:00:00Z','agent':[{'who':{'reference':'Organization/pcp'}}]}"
        "\n", "", {"'id':'v','target':[{'reference':'Binary/b'},"}, {NULL}},
    {"a way over two steps", ORGANIZATIONS "{'resourceType':'MedicationRequest','id':'r','status':'active','intent':"
        "'order','subject':{'reference':'Patient/p'},'requester':{'reference':'Organization/pcp'},"
        "'medicationReference':{'reference':'Medication/m'}}\n{'resourceType':'Medication','id':'m','ingredient':[{"
        "'itemReference':{'reference':'Substance/s'}}]}\n{'resourceType':'Substance','id':'s','code':{'text':'x'}}\n",
        "", {"'id':'r'", "'id':'m'", "'id':'s'"}, {NULL}},
    {"a way that breaks where a step must stay", ORGANIZATIONS "{'resourceType':'MedicationRequest','id':'r','status':"
        "'active','intent':'order','subject':{'reference':'Patient/p'},'requester':{'reference':'Organization/prog'},"
        "'medicationReference':{'reference':'Medication/m'}}\n{'resourceType':'Medication','id':'m','ingredient':[{"
        "'itemReference':{'reference':'Substance/s'}}]}\n{'resourceType':'Substance','id':'s','code':{'text':'x'}}\n",
        "", {"'id':'p'"}, {"'id':'r'", "'id':'m'", "'id':'s'"}},
    {"a link that leads elsewhere is cut, the rest stays", ORGANIZATIONS NOTE("d", "pcp",
        AT("https://other.example/Binary/b") "," AT("Binary/b") "," AT("data:text/plain,TRACE")) BINARY("b"), "",
        {"'title':'t-https://other.example/Binary/b'}", "'url':'Binary/b'"},
        {"'url':'https:", "'url':'data:"}},
    {"so is any url of a record", ORGANIZATIONS PULSE ",'extension':[{'url':'http://x.example/a','valueUrl':"
        "'https://other.example/TRACE'},{'url':'http://x.example/b','valueUri':'urn:oid:1.2.3'}]}", "",
        {"'id':'pulse'", "'valueUri':'urn:oid:1.2.3'"}, {"TRACE", "x.example/a"}},
    {"that of a service in the directory is public", ORGANIZATIONS "{'resourceType':'Endpoint','id':'e','status':"
        "'active','connectionType':{'code':'x'},'payloadType':[{'text':'any'}],'address':'https://ehr.example/fhir'}",
        "", {"'address':'https://ehr.example/fhir'"}, {NULL}},
    {"a URN leads to what has that name here", ORGANIZATIONS NOTE("d", "pcp", AT("urn:uuid:8a2c3b64-0000-4c0e-9d55-1")),
        "", {"'id':'d'"}, {"'url':'urn:"}},
};

static char *quoted(const char *text)
{
    char *copy = strdup(text);
    assert_non_null(copy);
    for (char *c = copy; *c; c++)
        if (*c == '\'')
            *c = '"';
    return copy;
}

static void expect(const char *name, const char *text, const char *word, bool there)
{
    char *wanted = quoted(word);
    if ((strstr(text, wanted) != NULL) != there)
        fail_msg("%s: %s is %s: %s", name, wanted, there ? "missing in" : "in", text);
    free(wanted);
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sl_segment_report report;
        char *records = quoted(cases[i].records), *consents = quoted(cases[i].consents);
        char *text = segmented(records, consents, "treating-provider", "TREAT", &report);
        for (size_t k = 0; k < 6 && cases[i].present[k]; k++)
            expect(cases[i].name, text, cases[i].present[k], true);
        for (size_t k = 0; k < 6 && cases[i].absent[k]; k++)
            expect(cases[i].name, text, cases[i].absent[k], false);
        free(records);
        free(consents);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases)};
    return cmocka_run_group_tests(tests, load_policy, unload_policy);
}
