/* SPDX-License-Identifier: Apache-2.0 */
/* The security labels a policy may name, by code alone: see policy_model.h and security_labels.def. */
#include "policy_model.h"

#define SYSTEM(uri)                                                                                                    \
    {                                                                                                                  \
        uri, sizeof(uri) - 1                                                                                           \
    }
#define CONFIDENTIALITY SYSTEM("http://terminology.hl7.org/CodeSystem/v3-Confidentiality")
#define ACT_CODE SYSTEM("http://terminology.hl7.org/CodeSystem/v3-ActCode")
#define OBSERVATION_VALUE SYSTEM("http://terminology.hl7.org/CodeSystem/v3-ObservationValue")
#define US_PRIVACY_LAW SYSTEM("http://terminology.hl7.org/CodeSystem/v3-ActUSPrivacyLaw")

enum use { ACCEPT, EMIT };

static const struct row {
    struct sl_coding coding;
    enum use use;
} rows[] = {
#define L(system, code, display, use) {{system, {code, sizeof(code) - 1}, {display, sizeof(display) - 1}}, use},
#include "security_labels.def"
#undef L
};
#define COUNT (sizeof rows / sizeof *rows)

static size_t collect(struct sl_slice code, enum use use, struct sl_coding *out, size_t count, size_t max)
{
    for (size_t i = 0; i < COUNT && count < max; i++)
        if (rows[i].use == use && sl_slice_eq(rows[i].coding.code, code))
            out[count++] = rows[i].coding;
    return count;
}

size_t sl_security_label_find(struct sl_slice code, bool emit_only, struct sl_coding *out, size_t max)
{
    size_t count = collect(code, EMIT, out, 0, max);
    return emit_only ? count : collect(code, ACCEPT, out, count, max);
}

size_t sl_security_label_codes(bool emit_only, struct sl_slice *out, size_t max)
{
    size_t count = 0;
    for (size_t i = 0; i < COUNT && count < max; i++) {
        struct sl_slice code = rows[i].coding.code;
        bool told = emit_only && rows[i].use != EMIT;
        for (size_t k = 0; k < count && !told; k++)
            told = sl_slice_eq(out[k], code);
        if (!told)
            out[count++] = code;
    }
    return count;
}

struct sl_slice sl_security_label_nearest(struct sl_slice code)
{
    struct sl_slice words[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        words[i] = rows[i].coding.code;
    return sl_nearest_word(code, words, COUNT);
}

/* Codes that were given up for others; the rest of what is retired stands today in v3-ActCode under the same code. */
static struct sl_slice successor(struct sl_slice code)
{
    static const char *const given_up[][2] = {
        {"NORDSLCD", "NORDSCLCD"}, {"SICKLE", "SCA"}, {"Title38Part1", "Title38Section7332"}};
    for (size_t i = 0; i < sizeof given_up / sizeof *given_up; i++)
        if (sl_slice_eq(code, sl_slice_of(given_up[i][0])))
            return sl_slice_of(given_up[i][1]);
    return code;
}

enum sl_label_standing sl_security_label_now(const struct sl_coding *came, struct sl_coding *now)
{
    static const struct sl_slice purposes = SYSTEM("http://terminology.hl7.org/CodeSystem/v3-ActReason");
    *now = *came;
    for (size_t i = 0; i < COUNT; i++) {
        if (!sl_slice_eq(rows[i].coding.code, came->code) || !sl_slice_eq(rows[i].coding.system, came->system))
            continue;
        if (rows[i].use == EMIT)
            return SL_LABEL_KNOWN;
        if (!sl_security_label_find(successor(came->code), true, now, 1))
            *now = (struct sl_coding){.code = {NULL, 0}};
        return SL_LABEL_RETIRED;
    }
    bool purpose = sl_slice_eq(came->system, purposes) && sl_slice_eq(sl_purpose_find(came->code), came->code);
    return purpose ? SL_LABEL_KNOWN : SL_LABEL_UNKNOWN;
}
