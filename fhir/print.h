/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vsnprintf, faster for what nearly every line here is made of: texts and whole numbers without width or flags. What it
 * gives, and what it leaves in `out`, is what vsnprintf does; whatever else stands in the format is left to that.
 */
#ifndef SLUICE_FHIR_PRINT_H
#define SLUICE_FHIR_PRINT_H

#include <stdarg.h>
#include <stddef.h>

int sl_print(char *out, size_t room, const char *format, va_list args) __attribute__((format(printf, 3, 0)));

#endif
