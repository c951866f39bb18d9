/* SPDX-License-Identifier: Apache-2.0 */
/* The notice of 42 CFR 2.32 as JSON: see notice.h. */
#include "notice.h"

#include "sluice/buffer.h"

#define TEXT_LIMIT ((size_t)1 << 20)

static enum sl_status add_display(struct sl_slice text, struct sl_blocks *out)
{
    struct sl_buffer buffer;
    sl_buffer_init(&buffer, TEXT_LIMIT);
    sl_buffer_add(
        &buffer, SL_LIT("{\"url\":\"http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-display\","
                        "\"valueAnnotation\":{\"text\":"));
    sl_buffer_json_string(&buffer, text);
    sl_buffer_add(&buffer, SL_LIT("}}"));
    bool failed = sl_buffer_failed(&buffer);
    if (!failed)
        sl_blocks_add(out, sl_buffer_slice(&buffer));
    sl_buffer_fini(&buffer);
    return failed || out->failed ? SL_NO_MEMORY : SL_OK;
}

enum sl_status sl_notice_displays(
    struct sl_slice statement, const struct sl_slice *scopes, size_t count, struct sl_blocks *out)
{
    SL_TRY(add_display(statement, out));
    for (size_t i = 0; i < count; i++) {
        sl_blocks_add(out, SL_LIT(","));
        SL_TRY(add_display(scopes[i], out));
    }
    return SL_OK;
}

enum sl_status sl_notice_write(
    struct sl_slice statement, const struct sl_slice *scopes, size_t count, struct sl_blocks *out)
{
    sl_blocks_add(out, SL_LIT("{\"resourceType\":\"Basic\",\"meta\":{\"extension\":["));
    SL_TRY(sl_notice_displays(statement, scopes, count, out));
    sl_blocks_add(out, SL_LIT("]},\"code\":{\"text\":\"Notice of 42 CFR 2.32\"}}"));
    return out->failed ? SL_NO_MEMORY : SL_OK;
}
