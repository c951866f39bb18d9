/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sluice token: makes keys and tokens for demonstrations and tests. `keygen` writes a private key and prints its JWK
 * set; `issue` prints a token. A deployment's tokens come from its own authorization server.
 */
#include <stdlib.h>
#include <time.h>

#include "cli.h"
#include "jose.h"
#include "seal.h"

#define TEXT_LIMIT ((size_t)64 * 1024)

static int print(struct sl_buffer *text, const char *end)
{
    bool good = fwrite(text->ptr, 1, text->len, stdout) == text->len && fputs(end, stdout) >= 0 && fflush(stdout) == 0;
    return good ? 0 : 1;
}

static int keygen(const struct sl_cli *cli, struct sl_issues *issues)
{
    const char *name = sl_cli_value(cli, "algorithm"), *path = sl_cli_value(cli, "key");
    enum sl_algorithm algorithm = name ? sl_algorithm_find(sl_slice_of(name)) : SL_ALG_ES256;
    struct sl_signer *signer = NULL;
    struct sl_buffer text;
    if (algorithm == SL_ALGORITHM_NONE) {
        fprintf(stderr, "sluice: no such algorithm: %s\n", name);
        return 2;
    }
    enum sl_status status = sl_signer_generate(algorithm, &signer);
    if (status == SL_OK)
        status = sl_signer_save(signer, path);
    sl_buffer_init(&text, TEXT_LIMIT);
    if (status == SL_OK)
        status = sl_signer_jwks(signer, &text);
    int result = status == SL_OK ? print(&text, "") : sl_cli_failed(path, status, issues);
    sl_buffer_fini(&text);
    sl_signer_free(signer);
    return result;
}

/* ---- Claims ---- */

static void add_text(struct sl_buffer *out, const char *name, const char *value)
{
    if (!value)
        return;
    sl_buffer_printf(out, ",\"%s\":", name);
    sl_buffer_json_string(out, sl_slice_of(value));
}

static void add_list(struct sl_buffer *out, const struct sl_cli *cli, const char *option, const char *name)
{
    size_t count = 0;
    const char *const *values = sl_cli_values(cli, option, &count);
    if (!count)
        return;
    sl_buffer_printf(out, ",\"%s\":[", name);
    for (size_t i = 0; i < count; i++) {
        if (i)
            sl_buffer_add(out, SL_LIT(","));
        sl_buffer_json_string(out, sl_slice_of(values[i]));
    }
    sl_buffer_add(out, SL_LIT("]"));
}

static enum sl_status add_id(struct sl_buffer *out)
{
    unsigned char id[16];
    SL_TRY(sl_random(id, sizeof id));
    sl_buffer_add(out, SL_LIT(",\"jti\":\""));
    sl_base64url_encode(out, (struct sl_slice){(const char *)id, sizeof id});
    sl_buffer_add(out, SL_LIT("\""));
    return SL_OK;
}

static enum sl_status write_claims(const struct sl_cli *cli, struct sl_buffer *out)
{
    const char *seconds = sl_cli_value(cli, "seconds"), *scope = sl_cli_value(cli, "scope");
    long long now = (long long)time(NULL), life = seconds ? strtoll(seconds, NULL, 10) : 3600;
    sl_buffer_add(out, SL_LIT("{\"iss\":"));
    sl_buffer_json_string(out, sl_slice_of(sl_cli_value(cli, "issuer")));
    add_text(out, "aud", sl_cli_value(cli, "audience"));
    add_text(out, "client_id", sl_cli_value(cli, "client"));
    add_text(out, "sub", sl_cli_value(cli, "user") ? sl_cli_value(cli, "user") : sl_cli_value(cli, "client"));
    add_text(out, "fhirUser", sl_cli_value(cli, "fhir-user"));
    add_text(out, "patient", sl_cli_value(cli, "patient"));
    add_text(out, "scope", scope ? scope : "system/*.rs");
    sl_buffer_printf(out, ",\"iat\":%lld,\"exp\":%lld", now, now + life);
    SL_TRY(add_id(out));
    sl_buffer_add(out, SL_LIT(",\"extensions\":{\"hl7-b2b\":{\"version\":\"1\""));
    add_text(out, "organization_id", sl_cli_value(cli, "organization"));
    add_list(out, cli, "role", "subject_role");
    add_list(out, cli, "purpose", "purpose_of_use");
    sl_buffer_add(out, SL_LIT("}}}"));
    return sl_buffer_failed(out) ? SL_LIMIT : SL_OK;
}

static int issue(const struct sl_cli *cli, struct sl_issues *issues)
{
    const char *path = sl_cli_value(cli, "key"), *name = sl_cli_value(cli, "algorithm");
    struct sl_signer *signer = NULL;
    struct sl_buffer claims, token;
    if (!sl_cli_value(cli, "issuer") || !sl_cli_value(cli, "audience") || !sl_cli_value(cli, "client")) {
        fprintf(stderr, "sluice: token issue needs --issuer, --audience and --client\n");
        return 2;
    }
    sl_buffer_init(&claims, TEXT_LIMIT);
    sl_buffer_init(&token, 2 * TEXT_LIMIT);
    enum sl_status status =
        sl_signer_load(path, name ? sl_algorithm_find(sl_slice_of(name)) : SL_ALGORITHM_NONE, &signer);
    if (status == SL_OK)
        status = write_claims(cli, &claims);
    if (status == SL_OK)
        status = sl_jws_sign(signer, sl_buffer_slice(&claims), &token);
    int result = status == SL_OK ? print(&token, "\n") : sl_cli_failed(path, status, issues);
    sl_buffer_fini(&claims);
    sl_buffer_fini(&token);
    sl_signer_free(signer);
    return result;
}

int sl_cmd_token(int argc, char **argv)
{
    static const struct sl_option options[] = {
        {"key", SL_OPTION_ONE, "FILE", "private key, PEM: written by keygen (must not exist), read by issue", true},
        {"algorithm", SL_OPTION_ONE, "NAME", "ES256 (keygen's default), ES384, ES512, EdDSA, RS256 … PS512", false},
        {"issuer", SL_OPTION_ONE, "URL", "issue: who issues it (iss)", false},
        {"audience", SL_OPTION_ONE, "URL", "issue: whom it is for (aud), as the gateway's identity.audience", false},
        {"client", SL_OPTION_ONE, "ID", "issue: client_id, as in the registry", false},
        {"user", SL_OPTION_ONE, "ID", "issue: sub (the client's id)", false},
        {"fhir-user", SL_OPTION_ONE, "REFERENCE", "issue: fhirUser, e.g. Practitioner/x", false},
        {"patient", SL_OPTION_ONE, "ID", "issue: the patient in context", false},
        {"scope", SL_OPTION_ONE, "TEXT", "issue: SMART scopes (system/*.rs)", false},
        {"organization", SL_OPTION_ONE, "ID", "issue: organization_id", false},
        {"role", SL_OPTION_MANY, "ROLE…", "issue: subject_role", false},
        {"purpose", SL_OPTION_MANY, "CODE…", "issue: purpose_of_use, e.g. TREAT", false},
        {"seconds", SL_OPTION_ONE, "N", "issue: how long it is good for (3600)", false},
    };
    static const char usage[] = "token keygen|issue --key FILE …";
    struct sl_arena *arena = sl_arena_new((size_t)16 * 1024 * 1024);
    struct sl_issues issues = {.arena = arena};
    struct sl_cli cli;
    int status = 1;
    if (!arena)
        return 1;
    if (sl_cli_read(arena, argc, argv, usage, options, sizeof options / sizeof *options, &cli, &status)) {
        status = 2;
        if (cli.operand_count == 1 && strcmp(cli.operands[0], "keygen") == 0)
            status = keygen(&cli, &issues);
        else if (cli.operand_count == 1 && strcmp(cli.operands[0], "issue") == 0)
            status = issue(&cli, &issues);
        else
            fprintf(stderr, "usage: sluice %s\n", usage);
    }
    sl_arena_free(arena);
    return status;
}
