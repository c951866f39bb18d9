/* SPDX-License-Identifier: Apache-2.0 */
/*
 * C-CDA documents made up for tests, the fuzzer and the benchmark: nothing of them is anybody's. A document is a list
 * of entries, each in one of a few sections; what an entry says is marked with its canary, so that one can look for it.
 */
#ifndef SLUICE_TESTS_CCDA_FIXTURE_H
#define SLUICE_TESTS_CCDA_FIXTURE_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "sluice/buffer.h"

enum fixture_section { FIXTURE_PROBLEMS, FIXTURE_MEDICATIONS, FIXTURE_RESULTS, FIXTURE_SECTIONS };
enum fixture_kind { FIXTURE_ORDINARY, FIXTURE_SUBSTANCE, FIXTURE_MENTAL, FIXTURE_HIV, FIXTURE_KINDS };

struct fixture_entry {
    enum fixture_section section;
    enum fixture_kind kind;
    unsigned canary;
    unsigned names; /* an entry reference to the entry with that canary; 0: none */
    bool linked;    /* has a row of its own */
    bool media;     /* with a picture in base64, which has the canary too */
    bool left_out;  /* of the twin: as if it had never been there */
};

struct fixture_document {
    const struct fixture_entry *entries;
    size_t count;
    const char *custodian; /* NPI of the custodian */
    const char *padding;   /* put in front of each entry: "\n      " */
    bool comments, prefixed;
};

static const struct {
    const char *code, *system, *title, *template_id;
} fixture_sections[] = {
    {"11450-4", "2.16.840.1.113883.6.1", "Problems", "2.16.840.1.113883.10.20.22.2.5.1"},
    {"10160-0", "2.16.840.1.113883.6.1", "Medications", "2.16.840.1.113883.10.20.22.2.1.1"},
    {"30954-2", "2.16.840.1.113883.6.1", "Results", "2.16.840.1.113883.10.20.22.2.3.1"},
};

/* Per section and kind: a code that the shipped terminology knows. */
static const struct {
    const char *code, *system;
} fixture_codes[FIXTURE_SECTIONS][FIXTURE_KINDS] = {
    {{"I10", "2.16.840.1.113883.6.90"}, {"F11.20", "2.16.840.1.113883.6.90"}, {"F20.9", "2.16.840.1.113883.6.90"},
        {"B20", "2.16.840.1.113883.6.90"}},
    {{"E11.9", "2.16.840.1.113883.6.90"}, {"F10.20", "2.16.840.1.113883.6.90"}, {"F33.1", "2.16.840.1.113883.6.90"},
        {"B20", "2.16.840.1.113883.6.90"}},
    {{"J45.909", "2.16.840.1.113883.6.90"}, {"F11.20", "2.16.840.1.113883.6.90"}, {"F20.9", "2.16.840.1.113883.6.90"},
        {"B20", "2.16.840.1.113883.6.90"}},
};

/* "Zq17x", in base64 too, so that it can be looked for in both. */
static inline void fixture_canary(char *text, size_t size, unsigned canary)
{
    snprintf(text, size, "Zq%05uxx", canary);
}

static inline void fixture_base64(struct sl_buffer *out, struct sl_slice bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t rest = bytes.len - i;
        unsigned a = (unsigned char)bytes.ptr[i], b = rest > 1 ? (unsigned char)bytes.ptr[i + 1] : 0,
                 c = rest > 2 ? (unsigned char)bytes.ptr[i + 2] : 0, bits = a << 16 | b << 8 | c;
        char four[4] = {digits[bits >> 18], digits[bits >> 12 & 63], rest > 1 ? digits[bits >> 6 & 63] : '=',
            rest > 2 ? digits[bits & 63] : '='};
        sl_buffer_add(out, (struct sl_slice){four, 4});
    }
}

static inline void fixture_add_row(struct sl_buffer *out, const struct fixture_entry *e)
{
    char canary[16];
    fixture_canary(canary, sizeof canary, e->canary);
    if (e->linked && !e->left_out)
        sl_buffer_printf(out, "<tr ID=\"row%s\"><td><content ID=\"name%s\">%s as told</content></td><td>%s%u</td></tr>",
            canary, canary, canary, canary, e->canary % 7);
}

static inline void fixture_add_reference(struct sl_buffer *out, const struct fixture_document *d, unsigned names)
{
    char canary[16];
    for (size_t i = 0; i < d->count; i++)
        if (d->entries[i].canary == names && d->entries[i].left_out)
            return; /* a twin has no references to what is left out */
    fixture_canary(canary, sizeof canary, names);
    sl_buffer_printf(out,
        "<entryRelationship typeCode=\"REFR\"><act classCode=\"ACT\" moodCode=\"EVN\"><templateId root=\""
        "2.16.840.1.113883.10.20.22.4.122\"/><id root=\"1.3.6.1.4.1.99999.1\" extension=\"%s\"/><code "
        "nullFlavor=\"NP\"/><statusCode code=\"completed\"/></act></entryRelationship>",
        canary);
}

static inline void fixture_add_entry(
    struct sl_buffer *out, const struct fixture_document *d, const struct fixture_entry *e)
{
    char canary[16];
    fixture_canary(canary, sizeof canary, e->canary);
    if (e->left_out)
        return;
    sl_buffer_printf(out,
        "%s<entry typeCode=\"DRIV\"><act classCode=\"ACT\" moodCode=\"EVN\"><templateId root=\""
        "2.16.840.1.113883.10.20.22.4.3\" extension=\"2015-08-01\"/><id root=\"1.3.6.1.4.1.99999.2\" extension=\"%s\"/>"
        "<code code=\"CONC\" codeSystem=\"2.16.840.1.113883.5.6\"/><statusCode code=\"active\"/>",
        d->padding ? d->padding : "", canary);
    sl_buffer_printf(out,
        "<entryRelationship typeCode=\"SUBJ\"><observation classCode=\"OBS\" moodCode=\"EVN\"><id root=\""
        "1.3.6.1.4.1.99999.1\" extension=\"%s\"/><code code=\"64572001\" codeSystem=\"2.16.840.1.113883.6.96\">",
        canary);
    if (e->linked)
        sl_buffer_printf(out, "<originalText><reference value=\"#name%s\"/></originalText>", canary);
    sl_buffer_printf(out, "</code>");
    if (e->linked)
        sl_buffer_printf(out, "<text><reference value=\"#row%s\"/></text>", canary);
    sl_buffer_printf(out,
        "<statusCode code=\"completed\"/><value xsi:type=\"CD\" code=\"%s\" codeSystem=\"%s\" displayName=\"%s &amp; "
        "co\"/>",
        fixture_codes[e->section][e->kind].code, fixture_codes[e->section][e->kind].system, canary);
    if (d->comments)
        sl_buffer_printf(out, "<!-- %s -->", canary);
    if (e->names)
        fixture_add_reference(out, d, e->names);
    if (e->media) {
        sl_buffer_printf(out,
            "<entryRelationship typeCode=\"REFR\"><observationMedia classCode=\"OBS\" moodCode=\"EVN\" "
            "ID=\"MM%s\"><value "
            "mediaType=\"image/png\" representation=\"B64\">",
            canary);
        fixture_base64(out, sl_slice_of(canary));
        sl_buffer_printf(out, "</value></observationMedia></entryRelationship>");
    }
    sl_buffer_printf(out, "</observation></entryRelationship></act></entry>");
}

/* A section of a twin in which everything is left out is as one that never had anything: required, so it says so. */
static inline void fixture_add_section(
    struct sl_buffer *out, const struct fixture_document *d, enum fixture_section section)
{
    size_t entries = 0, rows = 0;
    for (size_t i = 0; i < d->count; i++) {
        bool here = d->entries[i].section == section && !d->entries[i].left_out;
        entries += here;
        rows += here && d->entries[i].linked;
    }
    sl_buffer_printf(out,
        "<component><section%s><templateId root=\"%s\"/><code code=\"%s\" codeSystem=\"%s\"/><title>%s"
        "</title><text>",
        entries ? "" : " nullFlavor=\"NI\"", fixture_sections[section].template_id, fixture_sections[section].code,
        fixture_sections[section].system, fixture_sections[section].title);
    if (rows) {
        sl_buffer_printf(out, "<table border=\"1\"><thead><tr><th>What</th><th>Note</th></tr></thead><tbody>");
        for (size_t i = 0; i < d->count; i++)
            if (d->entries[i].section == section)
                fixture_add_row(out, &d->entries[i]);
        sl_buffer_printf(out, "</tbody></table>");
    }
    sl_buffer_printf(out, entries ? "<paragraph>Words linked to nothing</paragraph></text>" : "</text>");
    for (size_t i = 0; i < d->count; i++)
        if (d->entries[i].section == section)
            fixture_add_entry(out, d, &d->entries[i]);
    sl_buffer_printf(out, "</section></component>");
}

static inline void fixture_begin(struct sl_buffer *out, const char *custodian)
{
    sl_buffer_printf(out,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ClinicalDocument xmlns=\"urn:hl7-org:v3\" xmlns:xsi=\""
        "http://www.w3.org/2001/XMLSchema-instance\" xmlns:sdtc=\"urn:hl7-org:sdtc\">\n<realmCode code=\"US\"/><typeId "
        "root=\"2.16.840.1.113883.1.3\" extension=\"POCD_HD000040\"/><templateId "
        "root=\"2.16.840.1.113883.10.20.22.1.2\""
        " extension=\"2015-08-01\"/><id root=\"1.3.6.1.4.1.99999.9\" extension=\"d1\"/><code code=\"34133-9\" "
        "codeSystem=\"2.16.840.1.113883.6.1\"/><title>Summary</title><effectiveTime value=\"20260401\"/>"
        "<confidentialityCode code=\"N\" codeSystem=\"2.16.840.1.113883.5.25\"/>");
    sl_buffer_printf(out,
        "<recordTarget><patientRole><id root=\"1.3.6.1.4.1.99999.3\" "
        "extension=\"p1\"/><patient><name><given>Ada</given>"
        "<family>Test</family></name></patient></patientRole></recordTarget><author><time value=\"20260401\"/>"
        "<assignedAuthor><id root=\"2.16.840.1.113883.4.6\" extension=\"1999999999\"/></assignedAuthor></author>"
        "<custodian><assignedCustodian><representedCustodianOrganization><id root=\"2.16.840.1.113883.4.6\" "
        "extension=\""
        "%s\"/><name>House</name></representedCustodianOrganization></assignedCustodian></custodian>\n<component>"
        "<structuredBody>",
        custodian ? custodian : "1888888888");
}

static inline void fixture_end(struct sl_buffer *out)
{
    sl_buffer_printf(out, "</structuredBody></component></ClinicalDocument>\n");
}

static inline void fixture_write(struct sl_buffer *out, const struct fixture_document *d)
{
    fixture_begin(out, d->custodian);
    for (enum fixture_section s = 0; s < FIXTURE_SECTIONS; s++)
        fixture_add_section(out, d, s);
    sl_buffer_printf(out, "<component><section><code code=\"51848-0\" codeSystem=\"2.16.840.1.113883.6.1\"/><title>"
                          "Assessment</title><text>Feels well.</text></section></component>");
    fixture_end(out);
}

/* A DocumentReference with the document as its attachment. */
static inline void fixture_wrap(struct sl_buffer *out, struct sl_slice xml)
{
    sl_buffer_printf(out, "{\"resourceType\":\"DocumentReference\",\"id\":\"d1\",\"status\":\"current\",\"subject\":{"
                          "\"reference\":\"Patient/p\"},\"custodian\":{\"reference\":\"Organization/"
                          "house\"},\"content\":[{\"attachment\":{\"contentType\":"
                          "\"application/hl7-cda+xml\",\"data\":\"");
    fixture_base64(out, xml);
    sl_buffer_printf(out, "\",\"size\":%zu,\"hash\":\"c2hhMQ==\"}}]}", xml.len);
}

#endif
