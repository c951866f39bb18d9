/* SPDX-License-Identifier: Apache-2.0 */
/* Who asks: what a token and the registry prove becomes the recipient, and what they do not prove does not count. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "callers.h"
#include "jose.h"

#define NOW 1800000000LL
#define ASKED 1024u /* times, at most */

static struct {
    struct sl_arena *arena;
    char folder[32];
    struct sl_signer *signer, *stranger;
    struct sl_config *config;
    struct sl_identifier *identifier;
    struct sl_callers *held[ASKED];
    size_t held_count;
} house;

static const char registry[] =
    "clients:\n  - id: ward\n    organization: Organization/hospital\n    organization-name: Hospital\n"
    "    kinds: [covered-entity]\n    agreements: [baa, {kind: dua, until: 2027-01-15}, {kind: qsoa, until: "
    "2027-01-16}]\n"
    "    roles: [clinic]\n    token-roles: [physician]\n    purposes: [TREAT, ETREAT]\n"
    "    treats: [Patient/shared]\n    users:\n      - subject: lee\n        reference: Practitioner/lee\n        "
    "name: Dr. Lee\n"
    "        roles: [attending]\n        treats: [Patient/a]\n"
    "  - id: app\n    token-roles: [patient]\n    purposes: [PATRQT]\n";

static void write_file(const char *name, struct sl_slice text)
{
    struct sl_slice path = sl_arena_printf(house.arena, "%s/%s", house.folder, name);
    FILE *file = fopen(path.ptr, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(text.ptr, 1, text.len, file), text.len);
    fclose(file);
}

static int set_up(void **state)
{
    (void)state;
    struct sl_buffer jwks;
    house.arena = sl_arena_new((size_t)64 * 1024 * 1024);
    strcpy(house.folder, "/tmp/sluice-identify-XXXXXX");
    assert_non_null(mkdtemp(house.folder));
    assert_int_equal(sl_signer_generate(SL_ALG_ES256, &house.signer), SL_OK);
    assert_int_equal(sl_signer_generate(SL_ALG_ES256, &house.stranger), SL_OK);
    sl_buffer_init(&jwks, 4096);
    assert_int_equal(sl_signer_jwks(house.signer, &jwks), SL_OK);
    write_file("keys", sl_buffer_slice(&jwks));
    sl_buffer_fini(&jwks);
    write_file("registry.yaml", sl_slice_of(registry));
    struct sl_slice path = sl_arena_printf(house.arena, "%s/sluice.yaml", house.folder);
    struct sl_issues issues = {.arena = house.arena};
    assert_int_equal(
        sl_config_read(path.ptr,
            SL_LIT(
                "server:\n  url: https://g.example/fhir\n  plain: yes\nupstream:\n"
                "  records: r\nidentity:\n  audience: https://g.example/fhir\n  registry: registry.yaml\n  issuers:\n"
                "    - issuer: https://id.example\n      keys: keys\n      algorithms: [ES256]\npolicy:\n  store: p\n  "
                "programs: q\n"
                "ledger:\n  directory: l\n"),
            &issues, &house.config),
        SL_OK);
    assert_int_equal(sl_identifier_new(house.config, &issues, &house.identifier), SL_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sl_identifier_unref(house.identifier);
    for (size_t i = 0; i < house.held_count; i++)
        sl_callers_unref(house.held[i]);
    sl_config_free(house.config);
    sl_signer_free(house.signer);
    sl_signer_free(house.stranger);
    unlink(sl_arena_printf(house.arena, "%s/keys", house.folder).ptr);
    unlink(sl_arena_printf(house.arena, "%s/registry.yaml", house.folder).ptr);
    rmdir(house.folder);
    sl_arena_free(house.arena);
    return 0;
}

static struct sl_slice sign(const struct sl_signer *signer, struct sl_slice claims)
{
    struct sl_buffer token;
    sl_buffer_init(&token, 65536);
    assert_int_equal(sl_jws_sign(signer, claims, &token), SL_OK);
    struct sl_slice copy = sl_arena_printf(house.arena, "Bearer %.*s", SL_FMT(sl_buffer_slice(&token)));
    sl_buffer_fini(&token);
    return copy;
}

static enum sl_status identify(const struct sl_request *request, int64_t now, struct sl_caller *out)
{
    enum sl_status status = sl_identify(house.identifier, request, now, house.arena, out);
    assert_true(house.held_count < ASKED);
    house.held[house.held_count++] = out->held;
    return status;
}

/* A header of the request: nothing where the value is NULL. */
static enum sl_status ask(
    struct sl_slice authorization, const char *purpose, const char *emergency, struct sl_caller *out)
{
    struct sl_header headers[3];
    size_t count = 0;
    if (authorization.ptr)
        headers[count++] = (struct sl_header){SL_LIT("Authorization"), authorization};
    if (purpose)
        headers[count++] = (struct sl_header){SL_LIT("Sluice-Purpose"), sl_slice_of(purpose)};
    if (emergency)
        headers[count++] = (struct sl_header){SL_LIT("Sluice-Emergency"), sl_slice_of(emergency)};
    const struct sl_request request = {.method = SL_GET, .headers = headers, .header_count = count};
    return identify(&request, NOW, out);
}

#define HEAD "\"iss\":\"https://id.example\",\"aud\":\"https://g.example/fhir\",\"exp\":1800000300"
#define WARD "{" HEAD ",\"client_id\":\"ward\",\"sub\":\"lee\",\"scope\":\"user/*.rs\""
#define TREATING                                                                                                       \
    WARD ",\"extensions\":{\"hl7-b2b\":{\"purpose_of_use\":[\"TREAT\"],\"subject_role\":[\"physician\",\"king\"]}}}"
#define EMERGENCY WARD ",\"extensions\":{\"hl7-b2b\":{\"purpose_of_use\":[\"ETREAT\"]}}}"

static bool has_role(const struct sl_recipient *recipient, const char *role)
{
    for (size_t i = 0; i < recipient->role_count; i++)
        if (sl_slice_eq(recipient->roles[i], sl_slice_of(role)))
            return true;
    return false;
}

static bool is_related(
    const struct sl_recipient *recipient, const char *kind, const char *patient, enum sl_voucher voucher)
{
    for (size_t i = 0; i < recipient->relationship_count; i++)
        if (sl_slice_eq(recipient->relationships[i].kind, sl_slice_of(kind)) &&
            sl_slice_eq(recipient->relationships[i].patient, sl_slice_of(patient)) &&
            recipient->relationships[i].voucher == voucher)
            return true;
    return false;
}

static void a_registered_user_is_whom_the_registry_says(void **state)
{
    (void)state;
    struct sl_caller caller;
    for (int again = 0; again < 2; again++) { /* the second time from the cache */
        assert_int_equal(ask(sign(house.signer, SL_LIT(TREATING)), NULL, NULL, &caller), SL_OK);
        const struct sl_recipient *r = &caller.recipient;
        assert_true(caller.known);
        assert_true(sl_slice_eq(r->client, SL_LIT("ward")));
        assert_true(sl_slice_eq(r->user_reference, SL_LIT("Practitioner/lee")));
        assert_true(sl_slice_eq(r->organization, SL_LIT("Organization/hospital")));
        assert_true(sl_slice_eq(r->purpose, SL_LIT("TREAT")));
        assert_int_equal(r->kind_count, 1);
        assert_int_equal(r->agreement_count, 2); /* one ended at midnight, one ends tomorrow */
        assert_true(
            sl_slice_eq(r->agreements[0].kind, SL_LIT("baa")) && sl_slice_eq(r->agreements[1].kind, SL_LIT("qsoa")));
        assert_true(has_role(r, "clinic") && has_role(r, "attending") && has_role(r, "physician"));
        assert_false(has_role(r, "king")); /* the registry does not let this client claim it */
        assert_true(is_related(r, "treating", "Patient/a", SL_BY_REGISTRY));
        assert_true(is_related(r, "treating", "Patient/shared", SL_BY_REGISTRY));
        assert_int_equal(r->relationship_count, 2);
        assert_null(r->emergency);
    }
}

static void nobody_is_nobody(void **state)
{
    (void)state;
    struct sl_caller caller;
    const struct sl_recipient zero = {0};
    assert_int_equal(ask((struct sl_slice){NULL, 0}, NULL, NULL, &caller), SL_OK);
    assert_false(caller.known);
    assert_memory_equal(&caller.recipient, &zero, sizeof zero);
}

static void an_unregistered_client_has_what_its_token_proves(void **state)
{
    (void)state;
    struct sl_caller caller;
    assert_int_equal(
        ask(sign(house.signer, SL_LIT("{" HEAD ",\"client_id\":\"new\",\"sub\":\"x\",\"extensions\":{\"hl7-b2b\":"
                                      "{\"purpose_of_use\":[\"TREAT\"],\"subject_role\":\"physician\",\"organization_"
                                      "id\":\"urn:oid:1.2\"}}}")),
            NULL, NULL, &caller),
        SL_OK);
    assert_int_equal(caller.recipient.role_count, 0);
    assert_int_equal(caller.recipient.kind_count, 0);
    assert_int_equal(caller.recipient.relationship_count, 0);
    assert_true(sl_slice_eq(caller.recipient.organization, SL_LIT("urn:oid:1.2")));
}

static void a_patient_is_related_to_himself_alone(void **state)
{
    (void)state;
    struct sl_caller caller;
    bool only;
    assert_int_equal(
        ask(sign(house.signer,
                SL_LIT(
                    "{" HEAD ",\"client_id\":\"app\",\"sub\":\"p\",\"patient\":\"p\","
                    "\"fhirUser\":\"https://g.example/fhir/Patient/p\",\"scope\":\"openid fhirUser patient/*.rs\"}")),
            NULL, NULL, &caller),
        SL_OK);
    assert_true(is_related(&caller.recipient, "self", "Patient/p", SL_BY_TOKEN));
    assert_int_equal(caller.recipient.relationship_count, 1);
    assert_true(sl_slice_eq(caller.recipient.purpose, SL_LIT("PATRQT"))); /* the only one the registry has for it */
    assert_true(sl_caller_may(&caller, SL_R4_Condition, SL_MAY_READ, &only) && only);
    assert_false(sl_caller_may(&caller, SL_R4_Condition, SL_MAY_UPDATE, &only));
    /* The user of somebody else's server is not our patient. */
    assert_int_equal(
        ask(sign(house.signer,
                SL_LIT("{" HEAD ",\"client_id\":\"app\",\"sub\":\"p\","
                       "\"fhirUser\":\"https://elsewhere.example/fhir/Patient/p\",\"scope\":\"patient/*.rs\"}")),
            NULL, NULL, &caller),
        SL_OK);
    assert_int_equal(caller.recipient.relationship_count, 0);
    assert_false(sl_caller_may(&caller, SL_R4_Condition, SL_MAY_READ, &only)); /* a patient scope, and no patient */
}

static void tokens_that_prove_nothing_are_refused(void **state)
{
    (void)state;
    static const char *const claims[] = {
        "",
        "[]",
        "{}",
        "{\"iss\":\"https://id.example\"}",
        "{\"iss\":\"https://other.example\",\"aud\":\"https://g.example/"
        "fhir\",\"exp\":1800000300,\"client_id\":\"ward\"}",
        "{\"iss\":\"https://id.example\",\"aud\":\"https://g.example\",\"exp\":1800000300,\"client_id\":\"ward\"}",
        "{\"iss\":\"https://id.example\",\"exp\":1800000300,\"client_id\":\"ward\"}",
        "{\"iss\":\"https://id.example\",\"aud\":\"https://g.example/fhir\",\"client_id\":\"ward\"}",
        "{\"iss\":\"https://id.example\",\"aud\":\"https://g.example/fhir\",\"exp\":1799999960,\"client_id\":\"ward\"}",
        "{\"iss\":\"https://id.example\",\"aud\":\"https://g.example/"
        "fhir\",\"exp\":\"1800000300\",\"client_id\":\"ward\"}",
        "{\"iss\":\"https://id.example\",\"aud\":\"https://g.example/fhir\",\"exp\":-1,\"client_id\":\"ward\"}",
        "{\"iss\":\"https://id.example\",\"aud\":\"https://g.example/fhir\",\"exp\":1e99,\"client_id\":\"ward\"}",
        "{" HEAD ",\"nbf\":1800000060,\"client_id\":\"ward\"}",
        "{" HEAD ",\"iat\":1800000060,\"client_id\":\"ward\"}",
        "{" HEAD ",\"client_id\":\"ward\",\"azp\":\"app\"}",
        "{" HEAD ",\"client_id\":7}",
        "{" HEAD "}",
        "{" HEAD ",\"client_id\":\"ward\",\"cnf\":{\"jkt\":\"x\"}}",
        "{" HEAD ",\"client_id\":\"ward\",\"client_id\":\"app\"}",
        "{" HEAD ",\"client_id\":\"ward\",\"scope\":\"user/Condition.rs?category=x\"}",
        "{" HEAD ",\"client_id\":\"ward\",\"scope\":\"user/Condition.sr\"}",
        "{" HEAD ",\"client_id\":\"ward\",\"scope\":\"user/Nothing.rs\"}",
        "{" HEAD ",\"client_id\":\"ward\",\"scope\":[\"user/*.rs\"]}",
        "{" HEAD ",\"client_id\":\"ward\",\"patient\":\"a/b\"}",
    };
    struct sl_caller caller;
    for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
        enum sl_status status = ask(sign(house.signer, sl_slice_of(claims[i])), NULL, NULL, &caller);
        if (status != SL_UNAUTHENTICATED)
            print_error("%s: %s\n", claims[i], sl_status_name(status));
        assert_int_equal(status, SL_UNAUTHENTICATED);
        assert_non_null(caller.why);
    }
    assert_int_equal(ask(sign(house.stranger, SL_LIT(TREATING)), NULL, NULL, &caller), SL_UNAUTHENTICATED);
    static const char *const headers[] = {"Basic dTpw", "Bearer", "Bearer ", "bearer x.y.z", "Bearer  a.b.c"};
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
        assert_int_equal(ask(sl_slice_of(headers[i]), NULL, NULL, &caller), SL_UNAUTHENTICATED);
}

/* A verified token is remembered; its end is not forgotten. */
static void a_remembered_token_still_expires(void **state)
{
    (void)state;
    struct sl_caller caller;
    struct sl_slice token = sign(house.signer, SL_LIT(TREATING));
    const struct sl_header header = {SL_LIT("authorization"), token};
    const struct sl_request request = {.headers = &header, .header_count = 1};
    assert_int_equal(identify(&request, NOW, &caller), SL_OK);
    assert_int_equal(identify(&request, NOW + 329, &caller), SL_OK); /* leeway */
    assert_int_equal(identify(&request, NOW + 330, &caller), SL_UNAUTHENTICATED);
}

/* Who asks again within a second is who he was; what else the head says, another second and another token are judged.
 */
static void a_second_knows_its_callers(void **state)
{
    (void)state;
    struct sl_caller first, again;
    struct sl_slice token = sign(house.signer, SL_LIT(TREATING));
    assert_int_equal(ask(token, NULL, NULL, &first), SL_OK);
    assert_int_equal(ask(token, NULL, NULL, &again), SL_OK);
    assert_ptr_equal(first.held, again.held);
    assert_ptr_equal(first.scopes, again.scopes);
    assert_true(again.known && sl_slice_eq(again.recipient.purpose, SL_LIT("TREAT")));
    assert_int_equal(ask(token, "ETREAT", NULL, &again), SL_FORBIDDEN);
    assert_int_equal(ask(token, NULL, "clinician=\"x\"", &again), SL_EMERGENCY_INCOMPLETE);
    char *other = sl_arena_raw(house.arena, token.len, 1);
    assert_non_null(other);
    memcpy(other, token.ptr, token.len);
    for (size_t i = 7; i < token.len; i += 31) { /* one letter of it is another */
        char was = other[i];
        other[i] = was == 'A' ? 'B' : 'A';
        assert_int_equal(ask((struct sl_slice){other, token.len}, NULL, NULL, &again), SL_UNAUTHENTICATED);
        other[i] = was;
    }
    assert_int_equal(ask((struct sl_slice){token.ptr, token.len - 1}, NULL, NULL, &again), SL_UNAUTHENTICATED);
    assert_int_equal(ask(token, NULL, NULL, &again), SL_OK);
    assert_ptr_equal(first.scopes, again.scopes);
}

/* More than a set keeps: each is himself all the same, the first time and the second. */
static void a_second_of_many_callers(void **state)
{
    (void)state;
    struct sl_slice tokens[200];
    const size_t count = sizeof tokens / sizeof *tokens;
    for (size_t i = 0; i < count; i++)
        tokens[i] = sign(house.signer,
            sl_arena_printf(house.arena,
                WARD ",\"jti\":\"%zu\",\"extensions\":{\"hl7-b2b\":{\"purpose_of_use\":[\"TREAT\"]}}}", i));
    for (size_t i = 0; i < 2 * count; i++) {
        struct sl_caller caller;
        assert_int_equal(ask(tokens[i % count], NULL, NULL, &caller), SL_OK);
        assert_true(sl_slice_eq(caller.token_id, sl_arena_printf(house.arena, "%zu", i % count)));
    }
}

static void one_purpose_and_no_other(void **state)
{
    (void)state;
#define PURPOSES(list) WARD ",\"extensions\":{\"hl7-b2b\":{\"purpose_of_use\":" list "}}}"
    static const struct {
        const char *claims, *pick;
        enum sl_status status;
        const char *purpose;
    } cases[] = {
        {PURPOSES("[\"TREAT\"]"), NULL, SL_OK, "TREAT"},
        {PURPOSES("\"urn:oid:2.16.840.1.113883.5.8#TREAT\""), NULL, SL_OK, "TREAT"},
        {PURPOSES("[\"TREAT\",\"TREAT\"]"), NULL, SL_OK, "TREAT"},
        {PURPOSES("[\"TREAT\",\"HPAYMT\"]"), NULL, SL_OK, "TREAT"}, /* the registry does not have payment for it */
        {PURPOSES("[\"TREAT\",\"ETREAT\"]"), NULL, SL_FORBIDDEN, NULL},
        {PURPOSES("[\"TREAT\",\"ETREAT\"]"), "TREAT", SL_OK, "TREAT"},
        {PURPOSES("[\"TREAT\"]"), "ETREAT", SL_FORBIDDEN, NULL},
        {PURPOSES("[\"TREAT\"]"), "HPAYMT", SL_FORBIDDEN, NULL},
        {PURPOSES("[\"TREAT\"]"), "curiosity", SL_FORBIDDEN, NULL},
        {PURPOSES("[\"TREAT\"]"), "", SL_BAD_PARAMETER, NULL},
        {PURPOSES("[\"HPAYMT\"]"), NULL, SL_FORBIDDEN, NULL},
        {PURPOSES("[\"curiosity\"]"), NULL, SL_FORBIDDEN, NULL},
        {PURPOSES("[7]"), NULL, SL_UNAUTHENTICATED, NULL},
        {PURPOSES("[]"), NULL, SL_FORBIDDEN, NULL}, /* the registry has two, and nobody chose */
        {PURPOSES("[]"), "TREAT", SL_OK, "TREAT"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sl_caller caller;
        enum sl_status status = ask(sign(house.signer, sl_slice_of(cases[i].claims)), cases[i].pick, NULL, &caller);
        if (status != cases[i].status)
            print_error("case %zu: %s\n", i, sl_status_name(status));
        assert_int_equal(status, cases[i].status);
        assert_true(sl_slice_eq(caller.recipient.purpose, sl_slice_of(cases[i].purpose)));
    }
}

#define STATEMENT "clinician=\"Dr. Lee\", affiliation=\"Hospital\", discloser=\"Sluice\", nature=\"unconscious\""

static void the_glass_breaks_for_a_whole_statement_only(void **state)
{
    (void)state;
    static const struct {
        const char *claims, *statement;
        enum sl_status status;
    } cases[] = {
        {EMERGENCY, STATEMENT ", consent-unobtainable", SL_OK},
        {EMERGENCY, STATEMENT ", consent-unobtainable=?1", SL_OK},
        {EMERGENCY, "consent-unobtainable,\t" STATEMENT, SL_OK},
        {EMERGENCY,
            "clinician=\"Dr. \\\"L\\\" Lee\", affiliation=\"H\", discloser=\"S\", nature=\"n\", consent-unobtainable",
            SL_OK},
        {EMERGENCY, NULL, SL_EMERGENCY_INCOMPLETE}, {EMERGENCY, "", SL_EMERGENCY_INCOMPLETE},
        {EMERGENCY, STATEMENT, SL_EMERGENCY_INCOMPLETE},
        {EMERGENCY, STATEMENT ", consent-unobtainable=?0", SL_EMERGENCY_INCOMPLETE},
        {EMERGENCY, STATEMENT ", consent-unobtainable=1", SL_EMERGENCY_INCOMPLETE},
        {EMERGENCY, STATEMENT ", consent-unobtainable, consent-unobtainable", SL_EMERGENCY_INCOMPLETE},
        {EMERGENCY, STATEMENT ", consent-unobtainable,", SL_EMERGENCY_INCOMPLETE},
        {EMERGENCY, STATEMENT ", consent-unobtainable; x=1", SL_EMERGENCY_INCOMPLETE},
        {EMERGENCY, STATEMENT ", consent-unobtainable, other=\"x\"", SL_EMERGENCY_INCOMPLETE},
        {EMERGENCY, STATEMENT ", nature=\"again\", consent-unobtainable", SL_EMERGENCY_INCOMPLETE},
        {EMERGENCY, "clinician=\"Dr. Lee\", affiliation=\" \", discloser=\"S\", nature=\"n\", consent-unobtainable",
            SL_EMERGENCY_INCOMPLETE},
        {EMERGENCY, "clinician=\"Dr. Lee, affiliation=H", SL_EMERGENCY_INCOMPLETE},
        {EMERGENCY, "clinician=Lee", SL_EMERGENCY_INCOMPLETE},
        {TREATING, STATEMENT ", consent-unobtainable", SL_EMERGENCY_INCOMPLETE}, /* no emergency purpose */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sl_caller caller;
        enum sl_status status =
            ask(sign(house.signer, sl_slice_of(cases[i].claims)), NULL, cases[i].statement, &caller);
        if (status != cases[i].status)
            print_error("case %zu: %s\n", i, sl_status_name(status));
        assert_int_equal(status, cases[i].status);
        assert_true((status == SL_OK) == (caller.recipient.emergency != NULL));
        if (status == SL_OK)
            assert_true(sl_emergency_complete(caller.recipient.emergency));
    }
}

static void scopes_are_upper_bounds(void **state)
{
    (void)state;
    static const struct {
        const char *scope;
        bool good, reads, searches, patient_only;
    } cases[] = {
        {"system/*.rs", true, true, true, false},
        {"user/Condition.r", true, true, false, false},
        {"user/Condition.s", true, false, true, false},
        {"user/Condition.read", true, true, true, false},
        {"user/*.*", true, true, true, false},
        {"user/Condition.cruds", true, true, true, false},
        {"user/Observation.rs", true, false, false, true},
        {"patient/*.rs", true, true, true, true},
        {"patient/*.rs user/Condition.rs", true, true, true, false},
        {"openid profile launch/patient offline_access", true, false, false, true},
        {"", true, false, false, true},
        {"user/Condition.write", true, false, false, true},
        {"user/Condition.", false, false, false, true},
        {"user/Condition", false, false, false, true},
        {"user/.rs", false, false, false, true},
        {"user/Condition.rr", false, false, false, true},
        {"user/Condition.sr", false, false, false, true},
        {"user/Condition.rs?code=1", false, false, false, true},
        {"user/condition.rs", false, false, false, true},
        {"patient/Coverage.rx", false, false, false, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sl_caller caller = {.patient = SL_LIT("Patient/p")};
        bool reads_patient, searches_patient;
        enum sl_status status =
            sl_scopes_read(sl_slice_of(cases[i].scope), house.arena, &caller.scopes, &caller.scope_count);
        if ((status == SL_OK) != cases[i].good)
            print_error("%s\n", cases[i].scope);
        assert_int_equal(status, cases[i].good ? SL_OK : SL_UNAUTHENTICATED);
        if (status != SL_OK)
            continue;
        assert_true(sl_caller_may(&caller, SL_R4_Condition, SL_MAY_READ, &reads_patient) == cases[i].reads);
        assert_true(sl_caller_may(&caller, SL_R4_Condition, SL_MAY_SEARCH, &searches_patient) == cases[i].searches);
        assert_true((reads_patient && searches_patient) == cases[i].patient_only);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_registered_user_is_whom_the_registry_says),
        cmocka_unit_test(nobody_is_nobody),
        cmocka_unit_test(an_unregistered_client_has_what_its_token_proves),
        cmocka_unit_test(a_patient_is_related_to_himself_alone),
        cmocka_unit_test(tokens_that_prove_nothing_are_refused),
        cmocka_unit_test(a_remembered_token_still_expires),
        cmocka_unit_test(a_second_knows_its_callers),
        cmocka_unit_test(a_second_of_many_callers),
        cmocka_unit_test(one_purpose_and_no_other),
        cmocka_unit_test(the_glass_breaks_for_a_whole_statement_only),
        cmocka_unit_test(scopes_are_upper_bounds),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
