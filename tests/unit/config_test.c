/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration and the registry: complete ones are read as they stand, and each mistake is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "config.h"
#include "jose.h"
#include "registry.h"

static const char whole[] =
    "server:\n  url: https://gateway.example.org/fhir\n  certificate: tls/server.pem\n  key: /etc/server.key\n  "
    "workers: 3\n"
    "upstream:\n  records: records\n"
    "identity:\n  audience: https://gateway.example.org/fhir\n  registry: registry.yaml\n  issuers:\n"
    "    - issuer: https://id.example.org\n      keys: keys/id.jwks\n      algorithms: [ES256, EdDSA]\n"
    "policy:\n  store: policy\n  programs: programs.yaml\nledger:\n  directory: ledger\n";

static struct sl_arena *arena;

static int set_up(void **state)
{
    (void)state;
    arena = sl_arena_new((size_t)64 * 1024 * 1024);
    return arena ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    sl_arena_free(arena);
    return 0;
}

static enum sl_status read_text(struct sl_slice text, struct sl_issues *issues, struct sl_config **out)
{
    *issues = (struct sl_issues){.arena = arena};
    return sl_config_read("/etc/sluice/sluice.yaml", text, issues, out);
}

static void assert_text(struct sl_slice actual, const char *expected)
{
    assert_int_equal(actual.len, strlen(expected));
    assert_memory_equal(actual.ptr, expected, actual.len);
    assert_int_equal(actual.ptr[actual.len], '\0');
}

static void a_whole_file_is_read(void **state)
{
    (void)state;
    struct sl_issues issues;
    struct sl_config *config = NULL;
    assert_int_equal(read_text(sl_slice_of(whole), &issues, &config), SL_OK);
    assert_text(config->url, "https://gateway.example.org/fhir");
    assert_text(config->base, "/fhir");
    assert_text(config->certificate, "/etc/sluice/tls/server.pem"); /* relative to the file */
    assert_text(config->key, "/etc/server.key");
    assert_text(config->ledger, "/etc/sluice/ledger");
    assert_int_equal(config->workers, 3);
    assert_int_equal(config->rows, 10000);
    assert_int_equal(config->upstream_body, 32 * 1024 * 1024);
    assert_true(config->log);
    assert_false(config->plain);
    assert_int_equal(config->issuer_count, 1);
    assert_text(config->issuers[0].name, "https://id.example.org");
    assert_text(config->issuers[0].keys, "/etc/sluice/keys/id.jwks");
    assert_int_equal(config->issuers[0].algorithms, SL_ALGORITHM_BIT(SL_ALG_ES256) | SL_ALGORITHM_BIT(SL_ALG_EdDSA));
    sl_config_free(config);
}

/* Puts `to` in the place of `from`, which must be there. */
static struct sl_slice replaced(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    assert_non_null(at);
    return sl_arena_printf(arena, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
}

static void each_mistake_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *code;
    } cases[] = {
        {"  url: https://gateway.example.org/fhir\n", "", "missing-key"},
        {"  audience: https://gateway.example.org/fhir\n", "", "missing-key"},
        {"  registry: registry.yaml\n", "", "missing-key"},
        {"  store: policy\n", "", "missing-key"},
        {"  programs: programs.yaml\n", "", "missing-key"},
        {"ledger:\n  directory: ledger\n", "", "missing-key"},
        {"  issuers:\n    - issuer: https://id.example.org\n      keys: keys/id.jwks\n      algorithms: [ES256, "
         "EdDSA]\n",
            "", "missing-key"},
        {"      keys: keys/id.jwks\n", "", "missing-key"},
        {"[ES256, EdDSA]", "[none]", "unknown-algorithm"},
        {"[ES256, EdDSA]", "[ES256, HS256]", "unknown-algorithm"},
        {"workers: 3", "workers: many", "expected-number"},
        {"workers: 3", "workers: 100000", "expected-number"},
        {"workers: 3", "worker: 3", "unknown-key"},
        {"workers: 3", "plain: perhaps", "expected-yes-no"},
        {"ledger:\n", "ledgers:\n", "unknown-key"},
        {"  records: records\n", "  records: records\n  url: http://ehr.example.org/fhir\n", "upstream"},
        {"  records: records\n", "  url: ehr.example.org/fhir\n", "upstream-url"},
        {"  records: records\n", "  url: http://ehr.example.org/fhir/\n", "upstream-url"},
        {"  certificate: tls/server.pem\n", "", "tls"},
        {"workers: 3", "plain: yes", "tls"},
        {"workers: 3", "base: fhir", "base"},
        {"workers: 3", "base: /r4", "url"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sl_issues issues;
        struct sl_config *config = NULL;
        struct sl_slice text = replaced(whole, cases[i].from, cases[i].to);
        assert_int_equal(read_text(text, &issues, &config), SL_INVALID);
        assert_null(config);
        bool told = false;
        for (const struct sl_issue *issue = issues.first; issue; issue = issue->next)
            told = told || sl_slice_eq(issue->code, sl_slice_of(cases[i].code));
        if (!told)
            print_error("'%s' in place of '%s': no issue %s\n", cases[i].to, cases[i].from, cases[i].code);
        assert_true(told);
    }
}

static void no_file_is_no_configuration(void **state)
{
    (void)state;
    struct sl_issues issues = {.arena = arena};
    struct sl_config *config = NULL;
    assert_int_not_equal(sl_config_load("/nowhere/sluice.yaml", &issues, &config), SL_OK);
    assert_null(config);
    assert_int_equal(issues.errors, 1);
}

/* ---- The registry ---- */

static const char clients[] = "clients:\n  - id: ward\n    issuer: https://id.example.org\n    organization: "
                              "Organization/h\n    kinds: [covered-entity]\n"
                              "    roles: [clinic]\n    token-roles: [physician]\n    purposes: [TREAT, emergency "
                              "treatment]\n    treats: [Patient/a]\n"
                              "    users:\n      - subject: lee\n        reference: Practitioner/lee\n        roles: "
                              "[physician]\n        treats: [\"*\"]\n";

static enum sl_status read_clients(struct sl_slice text, bool one, struct sl_issues *issues, struct sl_registry **out)
{
    *issues = (struct sl_issues){.arena = arena};
    return sl_registry_read("registry.yaml", text, one, issues, out);
}

static void the_registry_vouches_for_whom_it_names(void **state)
{
    (void)state;
    struct sl_issues issues;
    struct sl_registry *registry = NULL;
    struct sl_slice text = replaced(clients, "emergency treatment", "ETREAT"), here = SL_LIT("https://id.example.org");
    assert_int_equal(read_clients(text, false, &issues, &registry), SL_OK);
    const struct sl_registered_client *ward = sl_registry_client(registry, here, SL_LIT("ward"));
    assert_non_null(ward);
    assert_null(sl_registry_client(registry, SL_LIT("https://other.example.org"), SL_LIT("ward")));
    assert_null(sl_registry_client(registry, here, SL_LIT("war")));
    assert_null(sl_registry_client(registry, here, SL_LIT("")));
    assert_true(sl_words_have(&ward->purposes, SL_LIT("ETREAT")));
    assert_false(sl_words_have(&ward->purposes, SL_LIT("HPAYMT")));
    const struct sl_registered_user *lee = sl_registry_user(ward, SL_LIT("lee"));
    assert_non_null(lee);
    assert_null(sl_registry_user(ward, SL_LIT("")));
    assert_null(sl_registry_user(ward, SL_LIT("nobody")));
    assert_null(sl_registry_user(NULL, SL_LIT("lee")));
    assert_true(sl_words_have(&lee->treats, SL_LIT("*")));
    sl_registry_free(registry);
}

static void registry_mistakes_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *code;
    } cases[] = {
        {"emergency treatment", "CURIOSITY", "unknown-purpose"},
        {"    issuer: https://id.example.org\n", "", "missing-issuer"},
        {"[Patient/a]", "[Practitioner/a]", "not-a-patient"},
        {"    kinds:", "    kind:", "unknown-key"},
        {"      - subject: lee\n", "      - subject: lee\n      - subject: lee\n", "duplicate-user"},
        {"  - id: ward\n", "  - id: ward\n    issuer: https://id.example.org\n  - id: ward\n", "duplicate-client"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sl_issues issues;
        struct sl_registry *registry = NULL;
        const char *base = i ? replaced(clients, "emergency treatment", "ETREAT").ptr : clients;
        assert_int_equal(
            read_clients(replaced(base, cases[i].from, cases[i].to), false, &issues, &registry), SL_INVALID);
        assert_null(registry);
        bool told = false;
        for (const struct sl_issue *issue = issues.first; issue; issue = issue->next)
            told = told || sl_slice_eq(issue->code, sl_slice_of(cases[i].code));
        assert_true(told);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_whole_file_is_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_mistake_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_file_is_no_configuration, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_registry_vouches_for_whom_it_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(registry_mistakes_are_told, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
