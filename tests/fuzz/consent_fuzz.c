/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a Consent: no crash, and never a permit that the text does not plainly give. What must hold of every
 * text:
 *
 * - a permit comes only from an active, dated Consent about privacy that somewhere says permit, or opts in;
 * - a property that R4 does not know takes every permit away, and no denial;
 * - who is less known, or what is less known, is permitted no more and denied no less;
 * - beside other Consents, their order is of no account, and a denial more never lets anything through;
 * - nor does a link to another number of the person, which nobody confirms, whatever was directed under that.
 */
#include <stdint.h>
#include <stdlib.h>

#include "directive_model.h"
#include "sluice/decide.h"
#include "sluice/directive.h"
#include "sluice/label.h"
#include "sluice/r4.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LIT(text)                                                                                                      \
    {                                                                                                                  \
        text, sizeof(text) - 1                                                                                         \
    }

static const char classes_yaml[] =
    "layer: organization\n"
    "title: Classes\n"
    "classes:\n"
    "  - {id: sud, title: Substance use, kind: needs-yes, confidentiality: R, labels: [SUD, ETH]}\n"
    "  - {id: mental, title: Mental health, kind: needs-yes, confidentiality: R, labels: [MH, BH]}\n"
    "  - {id: chart, title: The chart, kind: needs-yes, confidentiality: N, earned-by: {types: others}}\n";

static struct sl_policy *load_policy(void)
{
    static const struct sl_policy_file files[] = {
        {LIT("policy.yaml"), LIT("title: T\nversion: \"1\"\nterminology: terminology\n"
                                 "notice:\n  version: \"1\"\n  statement: S.\n  short: S.\n")},
        {LIT("classes.yaml"), LIT(classes_yaml)},
        {LIT("terminology/categories.csv"), LIT("id,sensitivity,confidentiality,part2,also_match\nX,SUD,R,yes,ETH\n")},
        {LIT("terminology/systems.csv"),
            LIT("name,uri,kind,form,family,aliases\nloinc,http://loinc.org,code,loinc,,\n")},
    };
    struct sl_policy *policy = NULL;
    struct sl_arena *arena = sl_arena_new(1 << 22);
    struct sl_issues issues = {.arena = arena};
    if (sl_policy_load_files(files, sizeof files / sizeof *files, &issues, &policy) != SL_OK)
        abort();
    sl_arena_free(arena);
    return policy;
}

static const struct sl_recipient doctor = {.client = LIT("ehr"),
    .user_reference = LIT("Practitioner/dr"),
    .organization = LIT("Organization/hospital"),
    .purpose = LIT("TREAT")};
static const struct sl_recipient nobody;

static const char observation[] =
    "{\"resourceType\":\"Observation\",\"id\":\"o1\",\"code\":{\"coding\":[{\"system\":\"http://loinc.org\",\"code\":"
    "\"1234-5\"}]},\"performer\":[{\"reference\":\"Practitioner/author\"}]}";

struct world {
    struct sl_arena *arena;
    const struct sl_policy *policy;
    struct sl_doc doc;
    struct sl_item item;
    struct sl_classes classes;
    int64_t now;
};

static bool make_item(struct world *w)
{
    if (sl_doc_parse(w->arena, (struct sl_slice)LIT(observation), NULL, &w->doc, NULL) != SL_OK)
        return false;
    sl_classes_add(&w->classes, 0);
    sl_classes_add(&w->classes, 2);
    w->item = (struct sl_item){.doc = &w->doc,
        .type = sl_r4_resource(SL_LIT("Observation")),
        .id = LIT("o1"),
        .custodian = LIT("Organization/clinic"),
        .date_from = LIT("2023-05-01")};
    w->now = 1717243200;
    return true;
}

/* Reads the text and judges it; silent where it is no Consent. */
static enum sl_consent_verdict judge(
    struct world *w, struct sl_slice text, const struct sl_recipient *recipient, bool known)
{
    struct sl_doc doc;
    struct sl_directives list = {0};
    if (sl_doc_parse(w->arena, text, NULL, &doc, NULL) != SL_OK ||
        sl_directive_read(w->arena, &doc, 0, NULL, &list) != SL_OK)
        return SL_CONSENT_SILENT;
    (void)sl_directive_scope(list.first, w->arena);
    (void)sl_directive_by_item(list.first);
    enum sl_consent_verdict verdict = sl_directive_judge(
        list.first, w->policy, recipient, known ? &w->item : NULL, known ? &w->classes : NULL, w->now);
    if (verdict != SL_CONSENT_SILENT && !sl_directive_concerns(list.first, recipient, w->now))
        abort();
    sl_directives_settle(&list, w->now);
    if (verdict != SL_CONSENT_SILENT && list.count != 1)
        abort(); /* what stands says something, and what says something stands */
    return verdict;
}

/* Is the string a value anywhere? By another way than the reader's. */
static bool says(const struct sl_doc *doc, struct sl_slice value)
{
    for (uint32_t i = 0; i < doc->count; i++)
        if (doc->spans[i].type == SL_SPAN_STRING && sl_span_is(doc, i, value))
            return true;
    return false;
}

static bool may_permit(struct world *w, struct sl_slice text)
{
    struct sl_doc doc;
    if (sl_doc_parse(w->arena, text, NULL, &doc, NULL) != SL_OK || doc.spans[0].type != SL_SPAN_OBJECT)
        return false;
    uint32_t type = sl_span_member_key(&doc, 0, SL_LIT("resourceType"));
    uint32_t status = sl_span_member_key(&doc, 0, SL_LIT("status"));
    return type && sl_span_is(&doc, type, SL_LIT("Consent")) && status && sl_span_is(&doc, status, SL_LIT("active")) &&
           sl_span_member_key(&doc, 0, SL_LIT("dateTime")) && says(&doc, SL_LIT("patient-privacy")) &&
           (says(&doc, SL_LIT("permit")) || says(&doc, SL_LIT("OPTIN")) || says(&doc, SL_LIT("OPTINR")));
}

/* The text with one more property at its beginning; none where there is no place for it. */
static struct sl_slice with_stranger(struct world *w, struct sl_slice text)
{
    const char *brace = text.len ? memchr(text.ptr, '{', text.len) : NULL;
    if (!brace || memmem(text.ptr, text.len, "strangerToR4", 12))
        return (struct sl_slice){NULL, 0};
    size_t before = (size_t)(brace - text.ptr) + 1;
    return sl_arena_printf(
        w->arena, "%.*s\"strangerToR4\":1,%.*s", (int)before, text.ptr, (int)(text.len - before), text.ptr + before);
}

#define OTHER(id, type)                                                                                                \
    "{\"resourceType\":\"Consent\",\"id\":\"" id "\",\"status\":\"active\",\"scope\":{\"coding\":[{\"system\":"        \
    "\"http://terminology.hl7.org/CodeSystem/"                                                                         \
    "consentscope\",\"code\":\"patient-privacy\"}]},\"category\":[{\"coding\":[{"                                      \
    "\"system\":\"http://loinc.org\",\"code\":\"59284-0\"}]}],\"patient\":{\"reference\":\"Patient/p\"},\"dateTime\":" \
    "\"2023-06-01\",\"provision\":{\"type\":\"" type "\"}}"

/* What several come to for the item: a denial, else a permit; the list is settled. */
static enum sl_consent_verdict together(struct world *w, const struct sl_slice *texts, size_t count)
{
    struct sl_directives list = {0};
    enum sl_consent_verdict result = SL_CONSENT_SILENT;
    for (size_t i = 0; i < count; i++) {
        struct sl_doc *doc = sl_arena_alloc(w->arena, sizeof *doc);
        if (!doc || sl_doc_parse(w->arena, texts[i], NULL, doc, NULL) != SL_OK ||
            sl_directive_read(w->arena, doc, 0, NULL, &list) != SL_OK)
            continue;
    }
    sl_directives_settle(&list, w->now);
    for (const struct sl_directive *d = list.first; d && result != SL_CONSENT_DENY; d = sl_directive_next(d)) {
        enum sl_consent_verdict one = sl_directive_judge(d, w->policy, &doctor, &w->item, &w->classes, w->now);
        result = one == SL_CONSENT_SILENT ? result : one;
    }
    return result;
}

/* Two versions of one Consent are told apart by their order; so the text must not have the id of another here. */
static void check_company(struct world *w, struct sl_slice text)
{
    const struct sl_slice permit = LIT(OTHER("other-permit", "permit")), deny = LIT(OTHER("other-deny", "deny"));
    if (text.len && memmem(text.ptr, text.len, "other-", 6))
        return;
    const struct sl_slice one[] = {text, permit}, other[] = {permit, text}, more[] = {text, permit, deny},
                          back[] = {deny, permit, text};
    enum sl_consent_verdict verdict = together(w, one, 2), with = together(w, more, 3);
    if (verdict != together(w, other, 2) || with != together(w, back, 3))
        abort();
    if (with == SL_CONSENT_PERMIT && verdict != SL_CONSENT_PERMIT)
        abort();
}

static bool read_one(struct world *w, struct sl_slice text, struct sl_directives *list)
{
    struct sl_doc *doc = sl_arena_alloc(w->arena, sizeof *doc);
    return doc && sl_doc_parse(w->arena, text, NULL, doc, NULL) == SL_OK &&
           sl_directive_read(w->arena, doc, 0, NULL, list) == SL_OK;
}

/* What two come to for Patient/own, the second of them given under another number. */
static enum sl_consent_verdict linked(struct world *w, struct sl_slice text, const struct sl_slice *other)
{
    struct sl_directives own = {0}, others = {0}, all = {0};
    enum sl_consent_verdict result = SL_CONSENT_SILENT;
    (void)read_one(w, text, &own);
    for (struct sl_directive *d = own.first; d; d = d->next)
        d->patient = SL_LIT("Patient/own");
    if (other && !read_one(w, *other, &others))
        return SL_CONSENT_SILENT;
    if (sl_directives_copy(&own, SL_LIT("Patient/own"), true, w->arena, &all) != SL_OK ||
        sl_directives_copy(&others, SL_LIT("Patient/own"), false, w->arena, &all) != SL_OK)
        return SL_CONSENT_SILENT;
    sl_directives_settle(&all, w->now);
    for (const struct sl_directive *d = all.first; d && result != SL_CONSENT_DENY; d = d->next) {
        enum sl_consent_verdict one = sl_directive_judge(d, w->policy, &doctor, &w->item, &w->classes, w->now);
        result = one == SL_CONSENT_SILENT ? result : one;
    }
    return result;
}

static void check_links(struct world *w, struct sl_slice text)
{
    const struct sl_slice others[] = {LIT(OTHER("other-permit", "permit")), LIT(OTHER("other-deny", "deny")), text};
    enum sl_consent_verdict alone = linked(w, text, NULL);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        enum sl_consent_verdict with = linked(w, text, &others[i]);
        if ((with == SL_CONSENT_PERMIT && alone != SL_CONSENT_PERMIT) ||
            (alone == SL_CONSENT_DENY && i < 2 && with != SL_CONSENT_DENY))
            abort();
    }
}

static void check(struct world *w, struct sl_slice text)
{
    check_company(w, text);
    check_links(w, text);
    enum sl_consent_verdict verdict = judge(w, text, &doctor, true);
    if (verdict == SL_CONSENT_PERMIT && !may_permit(w, text))
        abort();
    struct sl_slice strange = with_stranger(w, text);
    enum sl_consent_verdict stranger = strange.ptr ? judge(w, strange, &doctor, true) : verdict;
    if (strange.ptr && (stranger == SL_CONSENT_PERMIT || (verdict == SL_CONSENT_DENY && stranger != SL_CONSENT_DENY)))
        abort();
    const enum sl_consent_verdict lesser[] = {judge(w, text, &doctor, false), judge(w, text, &nobody, true)};
    for (size_t i = 0; i < 2; i++)
        if ((lesser[i] == SL_CONSENT_PERMIT && verdict != SL_CONSENT_PERMIT) ||
            (verdict == SL_CONSENT_DENY && lesser[i] != SL_CONSENT_DENY))
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sl_policy *policy; /* lives as long as the process */
    if (!policy)
        policy = load_policy();
    struct world w = {.arena = sl_arena_new((size_t)32 << 20), .policy = policy};
    if (w.arena && size < (1 << 16) && make_item(&w))
        check(&w, (struct sl_slice){(const char *)data, size});
    sl_arena_free(w.arena);
    return 0;
}
