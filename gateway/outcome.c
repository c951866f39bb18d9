/* SPDX-License-Identifier: Apache-2.0 */
/* Statuses made into OperationOutcomes: see outcome.h. */
#include "outcome.h"

const struct sl_slice sl_standing_sentence = {
#define SENTENCE                                                                                                       \
    "Confidentiality law applies to these records. The absence of a record here does not mean that none exists."
    SENTENCE, sizeof SENTENCE - 1};

/* Client texts may hold anything; what goes into ours is printable ASCII without quotes and backslashes. */
static bool is_plain(struct sl_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] < 0x20 || text.ptr[i] > 0x7e || text.ptr[i] == '"' || text.ptr[i] == '\\')
            return false;
    return text.len > 0 && text.len <= 500;
}

void sl_outcome_write(enum sl_status status, struct sl_slice detail, struct sl_blocks *out)
{
    sl_blocks_add(out, SL_LIT("{\"resourceType\":\"OperationOutcome\",\"issue\":[{\"severity\":\"error\",\"code\":\""));
    sl_blocks_add(out, sl_status_code(status));
    sl_blocks_add(out, SL_LIT("\",\"details\":{\"text\":\""));
    sl_blocks_add(out, sl_status_text(status));
    if (is_plain(detail)) {
        sl_blocks_add(out, SL_LIT("\"},\"diagnostics\":\""));
        sl_blocks_add(out, detail);
        sl_blocks_add(out, SL_LIT("\"}]}"));
        return;
    }
    sl_blocks_add(out, SL_LIT("\"}}]}"));
}

void sl_outcome_standing(struct sl_blocks *out)
{
    sl_blocks_add(
        out, SL_LIT("{\"resourceType\":\"OperationOutcome\",\"id\":\"notice\",\"issue\":[{\"severity\":\"information\","
                    "\"code\":\"informational\",\"details\":{\"text\":\""));
    sl_blocks_add(out, sl_standing_sentence);
    sl_blocks_add(out, SL_LIT("\"}}]}"));
}
