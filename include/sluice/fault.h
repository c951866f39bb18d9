/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules that can be switched off, in a build made for that (-DSLUICE_FAULTS=ON), to show that the checks of
 * conformance/ notice: there the environment variable SLUICE_FAULT names the one that is off, or several with commas
 * between. In every other build nothing can be, and nothing of this is left in the code.
 */
#ifndef SLUICE_FAULT_H
#define SLUICE_FAULT_H

#include <stdbool.h>

enum sl_fault {
    SL_FAULT_NONE,
#define SL_FAULT(name, word, rule) SL_FAULT_##name,
#include "sluice/faults.def"
#undef SL_FAULT
};

#ifdef SLUICE_FAULTS
bool sl_fault(enum sl_fault which);
#else
static inline bool sl_fault(enum sl_fault which)
{
    (void)which;
    return false;
}
#endif

#endif
