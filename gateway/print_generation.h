/* SPDX-License-Identifier: Apache-2.0 */
/* Generations and those who may approve them, for people and as JSON: `sluice policy list`, `show` and `keys list`. */
#ifndef SLUICE_GATEWAY_PRINT_GENERATION_H
#define SLUICE_GATEWAY_PRINT_GENERATION_H

#include "sluice/generation.h"

/* Newest first. people: how many have keys now. */
void sl_print_generations(struct sl_buffer *out, const struct sl_generation *list, size_t count, unsigned people);
void sl_print_generations_json(struct sl_buffer *out, const struct sl_generation *list, size_t count);
/* One, with the files it is made of and the signatures, so that these can be checked by hand. */
void sl_print_generation(struct sl_buffer *out, const struct sl_generation *generation);
void sl_print_approvers(struct sl_buffer *out, const struct sl_approver *list, size_t count);
void sl_print_approvers_json(struct sl_buffer *out, const struct sl_approver *list, size_t count);

#endif
