/* SPDX-License-Identifier: Apache-2.0 */
/* Which rule is switched off: see fault.h. */
#include "sluice/fault.h"

#ifdef SLUICE_FAULTS
#include <stdlib.h>
#include <string.h>

static const char *const words[] = {
    "",
#define SL_FAULT(name, word, rule) word,
#include "sluice/faults.def"
#undef SL_FAULT
};

bool sl_fault(enum sl_fault which)
{
    const char *list = getenv("SLUICE_FAULT");
    size_t len = strlen(words[which]);
    while (list && *list) {
        size_t word = strcspn(list, ",");
        if (word == len && memcmp(list, words[which], len) == 0)
            return true;
        list += word + (list[word] == ',');
    }
    return false;
}
#else
typedef int sl_fault_is_constant; /* a translation unit must not be empty */
#endif
