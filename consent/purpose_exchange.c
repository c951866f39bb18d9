/* SPDX-License-Identifier: Apache-2.0 */
/* Exchange purposes of TEFCA, and the purposes of use that they are: see exchange_purposes.def. */
#include "policy_model.h"

static const struct sl_exchange_purpose exchanges[] = {
#define TEXT(text)                                                                                                     \
    {                                                                                                                  \
        text, sizeof(text) - 1                                                                                         \
    }
#define X(code, parent, name, purpose) {TEXT(code), TEXT(parent), TEXT(name), TEXT(purpose)},
#include "exchange_purposes.def"
#undef X
#undef TEXT
};
#define COUNT (sizeof exchanges / sizeof *exchanges)
_Static_assert(COUNT <= 32, "a set of exchange purposes is one 32-bit word");

#define SYSTEM "urn:oid:2.16.840.1.113883.3.7204.1.5.2.1"

unsigned sl_exchange_count(void)
{
    return COUNT;
}

const struct sl_exchange_purpose *sl_exchange_at(unsigned index)
{
    return &exchanges[index];
}

const struct sl_exchange_purpose *sl_exchange_find(struct sl_slice text)
{
    bool uri = sl_slice_starts(text, SL_LIT(SYSTEM "#")) || sl_slice_starts(text, SL_LIT(SYSTEM "|"));
    struct sl_slice code = uri ? sl_slice_from(text, sizeof SYSTEM) : text;
    for (size_t i = 0; code.len && i < COUNT; i++)
        if (sl_slice_eq(exchanges[i].code, code) || (!uri && sl_slice_eq(exchanges[i].name, code)))
            return &exchanges[i];
    return NULL;
}

/* Is it the one at `above`, or below it? The tree is shallow; COUNT steps bound even a table gone wrong. */
static bool is_within(unsigned at, unsigned above)
{
    for (size_t steps = 0; steps < COUNT; steps++) {
        if (at == above)
            return true;
        const struct sl_exchange_purpose *parent = sl_exchange_find(exchanges[at].parent);
        if (!parent)
            return false;
        at = (unsigned)(parent - exchanges);
    }
    return false;
}

uint32_t sl_exchange_bits(unsigned index)
{
    uint32_t bits = 0;
    for (unsigned i = 0; i < COUNT; i++)
        bits |= (uint32_t)is_within(i, index) << i;
    return bits;
}

bool sl_exchange_fits(const struct sl_exchange_purpose *exchange, struct sl_slice purpose)
{
    return (sl_purpose_bits(exchange->purpose, false) & sl_purpose_bit(purpose)) != 0;
}
