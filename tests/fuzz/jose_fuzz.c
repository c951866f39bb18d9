/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a token, as a key set and as an emergency statement: refused or read, and never taken for signed. */
#include <stdint.h>
#include <stdlib.h>

#include "identify.h"
#include "jose.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A public key whose private half is nowhere: no input can carry a signature of it. */
static const char known[] =
    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sl_keys *trusted;
    struct sl_slice input = {(const char *)data, size}, payload;
    struct sl_arena *arena = sl_arena_new((size_t)8 * 1024 * 1024);
    struct sl_keys *keys = NULL;
    struct sl_emergency statement;
    const char *why = NULL;
    if (!arena)
        return 0;
    if (!trusted && sl_keys_read(sl_slice_of(known), NULL, &trusted) != SL_OK)
        abort();
    /* The one token there is for this key in public (RFC 8037, A.4) signs no JSON. */
    if (sl_jws_verify(trusted, 0xfffffffeu, input, arena, &payload, &why) == SL_OK &&
        !sl_slice_eq(payload, SL_LIT("Example of Ed25519 signing")))
        abort();
    if (sl_jws_peek(input, arena, &payload) == SL_OK && !payload.ptr)
        abort();
    if (sl_keys_read(input, NULL, &keys) == SL_OK) {
        if (sl_jws_verify(keys, 0xfffffffeu, input, arena, &payload, &why) == SL_OK)
            abort(); /* a key set is not its own signature */
    }
    sl_keys_free(keys);
    if (sl_emergency_read(input, arena, &statement) == SL_OK && !sl_emergency_complete(&statement))
        abort();
    sl_arena_free(arena);
    return 0;
}
