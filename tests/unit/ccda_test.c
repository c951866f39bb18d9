/* SPDX-License-Identifier: Apache-2.0 */
/*
 * C-CDA documents in an attachment, by the whole pass under the shipped policy: single cases of what goes and what does
 * not, and properties over generated documents: what goes out is well-formed, a canary of what is withheld is nowhere,
 * taking what is withheld out of what comes in changes nothing (N2), and neither does segmenting twice (N3).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../ccda_fixture.h"
#include "ccda.h"
#include "content.h"
#include "sluice/pass.h"

#define DOCUMENT_LIMIT ((size_t)4 << 20)

static struct sl_policy *policy;
static struct sl_programs *programs;

struct asked {
    const char *party, *purpose, *consent;
};

static const struct asked treating = {"treating-provider", "TREAT", NULL};
static const struct asked partner = {"hie-partner", "TREAT", NULL};
static const struct asked patient = {"patient", "PATRQT", NULL};
static const struct asked consented = {"treating-provider", "TREAT",
    "{\"resourceType\":\"Consent\",\"id\":\"c\",\"status\":\"active\",\"scope\":{\"coding\":[{\"system\":\"http://"
    "terminology.hl7.org/CodeSystem/"
    "consentscope\",\"code\":\"patient-privacy\"}]},\"category\":[{\"coding\":[{\"system\":"
    "\"http://terminology.hl7.org/CodeSystem/v3-ActCode\",\"code\":\"42CFRPart2CD\"}]}],\"patient\":{\"reference\":"
    "\"Patient/p\"},\"dateTime\":\"2026-01-01\",\"performer\":[{\"reference\":\"Patient/p\"}],\"organization\":[{"
    "\"reference\":\"Organization/house\"},{\"reference\":\"urn:oid:2.16.840.1.113883.4.6|1777777777\"}],"
    "\"sourceReference\":{\"display\":\"form\"},\"policy\":[{\"uri\":\"urn:sluice:form:part2-tpo-2024\"}],"
    "\"provision\":{"
    "\"type\":\"permit\",\"period\":{\"start\":\"2026-01-01\"},\"purpose\":[{\"system\":\"http://terminology.hl7.org/"
    "CodeSystem/v3-ActReason\",\"code\":\"TREAT\"},{\"system\":\"http://terminology.hl7.org/CodeSystem/v3-ActReason\","
    "\"code\":\"HPAYMT\"},{\"system\":\"http://terminology.hl7.org/CodeSystem/v3-ActReason\",\"code\":\"HOPERAT\"}]}}"};

struct world {
    struct sl_arena *arena;
    struct sl_directives directives;
};

static enum sl_status directives_of(
    void *context, struct sl_slice person, struct sl_arena *arena, struct sl_directives *out)
{
    struct world *world = context;
    return sl_directives_about(&world->directives, person, arena, out);
}

static const struct sl_doc *parse(struct sl_arena *arena, struct sl_slice text)
{
    struct sl_doc *doc = sl_arena_alloc(arena, sizeof *doc);
    assert_int_equal(sl_doc_parse(arena, text, NULL, doc, NULL), SL_OK);
    return doc;
}

static void settle(struct sl_pass *pass)
{
    struct sl_slice *missing = NULL;
    size_t count = 1;
    for (int round = 0; round < 8 && count; round++) {
        assert_int_equal(sl_pass_label(pass, &missing, &count), SL_OK);
        for (size_t i = 0; i < count; i++)
            assert_int_equal(sl_labeller_absent(sl_pass_labeller(pass), missing[i], true), SL_OK);
    }
}

/* A resource through the whole pass; empty: it is withheld. */
static struct sl_slice run(struct sl_arena *arena, struct sl_slice json, const struct asked *asked)
{
    struct world world = {.arena = arena};
    struct sl_recipient recipient = {
        .party = sl_slice_of(asked->party), .purpose = sl_purpose_find(sl_slice_of(asked->purpose))};
    struct sl_pass_options options = {.policy = policy,
        .programs = programs,
        .recipient = &recipient,
        .now = 1790000000,
        .directives = directives_of,
        .context = &world};
    if (asked->consent)
        assert_int_equal(
            sl_directive_read(arena, parse(arena, sl_slice_of(asked->consent)), 0, NULL, &world.directives), SL_OK);
    struct sl_pass *pass = sl_pass_new(arena, &options);
    const struct sl_doc *doc = parse(arena, json);
    struct sl_item *item;
    struct sl_segment_report report;
    assert_int_equal(sl_pass_add(pass, doc, 0, (struct sl_slice){NULL, 0}, false, &item), SL_OK);
    settle(pass);
    assert_int_equal(sl_pass_decide(pass, &report), SL_OK);
    struct sl_edits *edits = sl_edits_new(arena, doc);
    struct sl_blocks out = {.arena = arena};
    assert_int_equal(sl_segment_edit(item, edits, arena), SL_OK);
    assert_int_equal(sl_edit_gather(edits, 0, &out), SL_OK);
    char *text = sl_arena_alloc(arena, out.total + 1), *at = text;
    for (const struct sl_block *b = out.first; b; b = b->next, at += 0) {
        memcpy(at, b->ptr, b->len);
        at += b->len;
    }
    return (struct sl_slice){text, out.total};
}

/* What stands in the attachment; empty: nothing. */
static struct sl_slice document_in(struct sl_arena *arena, struct sl_slice json)
{
    struct sl_slice key = SL_LIT("\"data\":\"");
    const char *at = json.len ? memmem(json.ptr, json.len, key.ptr, key.len) : NULL;
    struct sl_slice bytes = {NULL, 0};
    if (!at)
        return bytes;
    at += key.len;
    const char *end = memchr(at, '"', (size_t)(json.ptr + json.len - at));
    assert_true(sl_content_decode((struct sl_slice){at, (size_t)(end - at)}, arena, &bytes));
    return bytes;
}

static struct sl_slice wrap(struct sl_arena *arena, struct sl_slice xml)
{
    struct sl_buffer out;
    sl_buffer_init(&out, DOCUMENT_LIMIT);
    fixture_wrap(&out, xml);
    struct sl_slice json = sl_arena_copy(arena, sl_buffer_slice(&out));
    sl_buffer_fini(&out);
    assert_non_null(json.ptr);
    return json;
}

static struct sl_slice segment(struct sl_arena *arena, struct sl_slice xml, const struct asked *asked)
{
    return document_in(arena, run(arena, wrap(arena, xml), asked));
}

static bool has(struct sl_slice text, const char *part)
{
    return text.len && memmem(text.ptr, text.len, part, strlen(part)) != NULL;
}

/* ---- Single cases ---- */

#define SECTION(code, text, entries)                                                                                   \
    "<component><section><code code=\"" code "\" codeSystem=\"2.16.840.1.113883.6.1\"/><title>T</title><text>" text    \
    "</text>" entries "</section></component>"
#define OBSERVATION(inner)                                                                                             \
    "<observation classCode=\"OBS\" moodCode=\"EVN\"><code code=\"64572001\" "                                         \
    "codeSystem=\"2.16.840.1.113883.6.96\"/>" inner "</observation>"
#define ENTRY(inner) "<entry>" OBSERVATION(inner) "</entry>"
#define CODED(code)                                                                                                    \
    "<value xsi:type=\"CD\" code=\"" code "\" codeSystem=\"2.16.840.1.113883.6.90\" displayName=\"n-" code "\"/>"
#define NAMED(id) "<text><reference value=\"#" id "\"/></text>"
#define PROBLEMS "11450-4"
#define ORDINARY ENTRY(CODED("I10"))
#define PROGRAM_ID "<id root=\"2.16.840.1.113883.4.6\" extension=\"1777777777\"/>"
#define AUTHOR                                                                                                         \
    "<author><time value=\"2026\"/><assignedAuthor><representedOrganization>" PROGRAM_ID                               \
    "</representedOrganization></assignedAuthor></author>"

static const struct {
    const char *name, *body; /* what stands in structuredBody */
    const struct asked *asked;
    const char *has, *lacks; /* words, joined by '|' */
} cases[] = {
    {"an entry goes with its row",
        SECTION(PROBLEMS,
            "<table><tbody><tr ID=\"a\"><td>Sugar</td></tr><tr ID=\"b\"><td>Opium"
            "</td></tr></tbody></table>",
            ENTRY(NAMED("a") CODED("E11.9")) ENTRY(NAMED("b") CODED("F11.20"))),
        &treating, "Sugar|n-E11.9|#a", "Opium|n-F11.20|#b"},
    {"a cell takes its row",
        SECTION(PROBLEMS,
            "<table><tbody><tr><td>Sugar</td><td ID=\"b\">Opium</td></tr><tr ID=\"c\">"
            "<td>Salt</td></tr></tbody></table>",
            ENTRY(NAMED("b") CODED("F11.20")) ENTRY(NAMED("c") CODED("I10"))),
        &treating, "Salt", "Sugar|Opium"},
    {"rows that share a cell go together",
        SECTION(PROBLEMS,
            "<table><tbody><tr><td rowspan=\"2\">Sugar</td><td>x</td></tr>"
            "<tr ID=\"b\"><td>Opium</td></tr></tbody></table>",
            ENTRY(NAMED("b") CODED("F11.20")) ORDINARY),
        &treating, "n-I10", "Sugar|Opium|<table"},
    {"an item of a list",
        SECTION(PROBLEMS,
            "<list><item ID=\"a\">Sugar</item><item><content ID=\"b\">Opium</content> since"
            " May</item></list>",
            ENTRY(NAMED("a") CODED("E11.9")) ENTRY(NAMED("b") CODED("F11.20"))),
        &treating, "<list><item ID=\"a\">Sugar</item></list>", "Opium|since May"},
    {"words linked to nothing stay for who may have all", SECTION(PROBLEMS, "Loose words", ORDINARY), &patient,
        "Loose words|n-I10", "<list>"},
    {"and go for all others, who get what the entries say", SECTION(PROBLEMS, "Loose words", ORDINARY), &treating,
        "<text><list><item>n-I10</item></list></text>", "Loose"},
    {"words of a section without entries are a note",
        SECTION("51848-0", "Loose words", "") SECTION(PROBLEMS, "", ORDINARY), &treating, "Loose words", "nullFlavor"},
    {"which a partner has only on consent", SECTION("51848-0", "Loose words", "") SECTION(PROBLEMS, "", ORDINARY),
        &partner, "n-I10", "Loose words"},
    {"a required section that lost all",
        SECTION(PROBLEMS, "Opium", ENTRY(CODED("F11.20"))) SECTION("30954-2", "", ORDINARY), &treating,
        "<section nullFlavor=\"NI\"><code code=\"11450-4\"|No information.", "Opium|F11"},
    {"and one that is not required",
        SECTION("10190-7", "Opium", ENTRY(CODED("F11.20"))) SECTION("30954-2", "", ORDINARY), &treating, "n-I10",
        "10190-7|Opium"},
    {"a translation tells",
        SECTION(PROBLEMS, "",
            ORDINARY ENTRY("<value xsi:type=\"CD\" nullFlavor=\"OTH\"><translation "
                           "code=\"F11.20\" codeSystem=\"2.16.840.1.113883.6.90\" displayName=\"Opium\"/></value>")),
        &treating, "n-I10", "Opium|F11"},
    {"a diagnosis goes, the visit stays",
        SECTION("46240-8", "",
            "<entry><encounter classCode=\"ENC\" moodCode=\"EVN\"><code "
            "code=\"99213\" codeSystem=\"2.16.840.1.113883.6.12\" displayName=\"Visit\"/><entryRelationship "
            "typeCode=\"COMP\"><act "
            "classCode=\"ACT\" moodCode=\"EVN\"><code code=\"29308-4\" "
            "codeSystem=\"2.16.840.1.113883.6.1\"/><entryRelationship "
            "typeCode=\"SUBJ\">" OBSERVATION(
                CODED("F11.20")) "</entryRelationship></act></entryRelationship></encounter></entry>"),
        &treating, "Visit", "F11.20|29308-4"},
    {"an organizer goes with its last component",
        SECTION("30954-2", "",
            ORDINARY
            "<entry><organizer classCode=\"BATTERY\" "
            "moodCode=\"EVN\"><code code=\"24323-8\" codeSystem=\"2.16.840.1.113883.6.1\" "
            "displayName=\"Panel\"/><component>" OBSERVATION(CODED("F11.20")) "</component></organizer></entry>"),
        &treating, "n-I10", "Panel|F11"},
    {"and stays with another",
        SECTION("30954-2", "",
            "<entry><organizer classCode=\"BATTERY\" moodCode=\"EVN\"><code "
            "code=\"24323-8\" codeSystem=\"2.16.840.1.113883.6.1\" displayName=\"Panel\"/><component>" OBSERVATION(
                CODED(
                    "F11.20")) "</component><component>" OBSERVATION(CODED("I10")) "</component></organizer></entry>"),
        &treating, "Panel|n-I10", "F11"},
    {"who wrote an entry makes it the program's", SECTION(PROBLEMS, "", ORDINARY ENTRY(CODED("E11.9") AUTHOR)),
        &treating, "n-I10", "n-E11.9|1777777777"},
    {"also of a section", SECTION(PROBLEMS, "", ORDINARY) SECTION("51848-0", "Sugar", AUTHOR), &treating, "n-I10",
        "Sugar|1777777777"},
    {"whom an order names is a mention",
        SECTION("18776-5", "",
            "<entry><act classCode=\"ACT\" moodCode=\"INT\"><code code=\""
            "306206005\" codeSystem=\"2.16.840.1.113883.6.96\" "
            "displayName=\"Referral\"/><performer><assignedEntity>" PROGRAM_ID
            "</assignedEntity></performer></act></entry>"),
        &treating, "Referral", "1777777777|performer"},
    {"who did it is not",
        SECTION("18776-5", "",
            ORDINARY "<entry><act classCode=\"ACT\" moodCode=\"EVN\"><code code=\""
                     "306206005\" codeSystem=\"2.16.840.1.113883.6.96\" "
                     "displayName=\"Referral\"/><performer><assignedEntity>" PROGRAM_ID
                     "</assignedEntity></performer></act></entry>"),
        &treating, "n-I10", "Referral|1777777777"},
    {"a label on an entry",
        SECTION(PROBLEMS, "",
            ORDINARY ENTRY(
                CODED("E11.9") "<entryRelationship typeCode=\"COMP\"><organizer "
                               "classCode=\"CLUSTER\" moodCode=\"EVN\"><templateId "
                               "root=\"2.16.840.1.113883.3.3251.1.4\"/><component><observation "
                               "classCode=\"OBS\" moodCode=\"EVN\"><code code=\"SECCATOBS\" "
                               "codeSystem=\"2.16.840.1.113883.1.11.20457\"/><value "
                               "xsi:type=\"CE\" code=\"42CFRPart2\" "
                               "codeSystem=\"2.16.840.1.113883.5.1063\"/></observation></component></organizer>"
                               "</entryRelationship>")),
        &treating, "n-I10", "n-E11.9|42CFRPart2"},
    {"a section marked as restricted",
        SECTION(PROBLEMS, "", ORDINARY)
            SECTION("30954-2", "", "<confidentialityCode code=\"R\"/>" ENTRY(CODED("E11.9"))),
        &partner, "n-I10", "n-E11.9|code=\"R\""},
    {"what is no CDA goes always",
        SECTION(PROBLEMS, "",
            ENTRY(CODED("I10") "<x:more xmlns:x=\"urn:other\">Hidden<code "
                               "code=\"1\"/></x:more><made>Up</made>")),
        &patient, "n-I10", "Hidden|Up|urn:other"},
    {"comments and instructions go always", SECTION(PROBLEMS, "<!-- Hidden -->", "<?Up x?>" ORDINARY), &patient,
        "n-I10", "Hidden|Up"},
    {"text in CDATA is text",
        SECTION(PROBLEMS, "<paragraph ID=\"a\"><![CDATA[Opium <tr> ]]></paragraph>",
            ORDINARY ENTRY(NAMED("a") CODED("F11.20"))),
        &treating, "n-I10", "Opium"},
    {"a picture that nobody can read",
        SECTION(PROBLEMS, "<renderMultiMedia referencedObject=\"M\"/>",
            ORDINARY "<entry>"
                     "<observationMedia classCode=\"OBS\" moodCode=\"EVN\" ID=\"M\"><value mediaType=\"image/png\" "
                     "representation=\"B64\">"
                     "QUJD</value></observationMedia></entry>"),
        &partner, "n-I10", "QUJD|renderMultiMedia"},
    {"a footnote takes what refers to it",
        SECTION(PROBLEMS,
            "<paragraph ID=\"a\">Sugar<footnoteRef IDREF=\"f\"/></paragraph>"
            "<footnote ID=\"f\">Opium</footnote>",
            ENTRY(NAMED("a") CODED("E11.9")) ENTRY(NAMED("f") CODED("F11.20"))),
        &treating, "Sugar", "Opium|footnote"},
    {"a note within an entry",
        SECTION("34109-9", "",
            ORDINARY "<entry><act classCode=\"ACT\" moodCode=\"EVN\"><templateId "
                     "root=\"2.16.840.1.113883.10.20.22.4.202\"/><code code=\"34109-9\" "
                     "codeSystem=\"2.16.840.1.113883.6.1\"/><text>"
                     "Opium</text></act></entry>"),
        &partner, "n-I10", "Opium|22.4.202"},
    {"words of an entry that no code says",
        SECTION(PROBLEMS, "",
            ORDINARY ENTRY("<value xsi:type=\"CD\" code=\"I10\" "
                           "codeSystem=\"2.16.840.1.113883.6.90\" displayName=\"n-I10\"><originalText>since heroin "
                           "use</originalText></value>"
                           "<text>heroin</text>")),
        &partner, "n-I10", "heroin|originalText"},
    {"and in base64",
        SECTION(PROBLEMS, "",
            ORDINARY "<entry><act classCode=\"ACT\" moodCode=\"EVN\"><templateId root=\""
                     "2.16.840.1.113883.10.20.22.4.202\"/><code code=\"34109-9\" "
                     "codeSystem=\"2.16.840.1.113883.6.1\"/><text mediaType="
                     "\"text/plain\" representation=\"B64\">dXNlcyBoZXJvaW4=</text></act></entry>"),
        &treating, "n-I10|dXNlcyBoZXJvaW4=", "nullFlavor"},
    {"with consent a program's entry goes, with the notice",
        SECTION(PROBLEMS, "", ORDINARY ENTRY(CODED("E11.9") AUTHOR)), &consented,
        "n-I10|n-E11.9|1777777777|Confidentiality notice|42 CFR", "nullFlavor"},
    {"no notice where nothing is due", SECTION(PROBLEMS, "", ORDINARY), &consented, "n-I10", "Confidentiality notice"},
};

static struct sl_slice with_body(struct sl_arena *arena, const char *body, const char *custodian)
{
    struct sl_buffer out;
    sl_buffer_init(&out, DOCUMENT_LIMIT);
    fixture_begin(&out, custodian);
    sl_buffer_add(&out, sl_slice_of(body));
    fixture_end(&out);
    struct sl_slice xml = sl_arena_copy(arena, sl_buffer_slice(&out));
    sl_buffer_fini(&out);
    return xml;
}

static void check_words(const char *name, struct sl_slice out, const char *words, bool wanted)
{
    char word[256];
    while (*words) {
        size_t len = strcspn(words, "|");
        snprintf(word, sizeof word, "%.*s", (int)len, words);
        if (has(out, word) != wanted)
            fail_msg("%s: \"%s\" is %sin %.*s", name, word, wanted ? "not " : "", SL_FMT(out));
        words += len + (words[len] == '|');
    }
}

static void check_again(struct sl_arena *arena, const char *name, struct sl_slice out, const struct asked *asked)
{
    struct cda_doc doc;
    struct sl_slice again = segment(arena, out, asked);
    assert_int_equal(sl_cda_read(arena, out, &doc), SL_OK);
    if (doc.why)
        fail_msg("%s: %s: %.*s", name, doc.why, SL_FMT(out));
    if (!sl_slice_eq(out, again))
        fail_msg("%s: again gives %.*s\nfor %.*s", name, SL_FMT(again), SL_FMT(out));
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sl_arena *arena = sl_arena_new((size_t)256 << 20);
        struct sl_slice out = segment(arena, with_body(arena, cases[i].body, NULL), cases[i].asked);
        check_words(cases[i].name, out, cases[i].has, true);
        check_words(cases[i].name, out, cases[i].lacks, false);
        check_again(arena, cases[i].name, out, cases[i].asked);
        sl_arena_free(arena);
    }
}

/* ---- Words ---- */

static struct sl_slice labels(struct sl_arena *arena, struct sl_slice json)
{
    struct sl_recipient recipient = {.party = SL_LIT("patient"), .purpose = sl_purpose_find(SL_LIT("PATRQT"))};
    struct sl_pass_options options = {.policy = policy, .programs = programs, .recipient = &recipient};
    struct sl_pass *pass = sl_pass_new(arena, &options);
    struct sl_item *item;
    struct sl_buffer out;
    assert_int_equal(sl_pass_add(pass, parse(arena, json), 0, (struct sl_slice){NULL, 0}, false, &item), SL_OK);
    settle(pass);
    sl_buffer_init(&out, DOCUMENT_LIMIT);
    sl_label_print(item, policy, &out);
    struct sl_slice text = sl_arena_copy(arena, sl_buffer_slice(&out));
    sl_buffer_fini(&out);
    return text;
}

#define AT "DocumentReference.content[0].attachment.data/ClinicalDocument/component/structuredBody/component"

static const struct {
    const char *name, *body, *element; /* what alone mentions something: its path, or empty for nothing */
} wordings[] = {
    {"a row",
        SECTION(PROBLEMS,
            "<table><tbody><tr ID=\"a\"><td>Sugar</td></tr><tr ID=\"b\"><td>takes heroin</td></tr></tbody>"
            "</table>",
            ENTRY(NAMED("a") CODED("E11.9")) ENTRY(NAMED("b") CODED("I10"))),
        AT "/section/text/table/tbody/tr[2]"},
    {"what is linked to nothing",
        SECTION(PROBLEMS, "<paragraph ID=\"a\">Sugar</paragraph>takes her<content>oin</content>",
            ENTRY(NAMED("a") CODED("E11.9"))),
        AT "/section/text"},
    {"words after a word in tags",
        SECTION(PROBLEMS, "<paragraph ID=\"a\">Sugar</paragraph>takes her<content>oin</content> daily",
            ENTRY(NAMED("a") CODED("E11.9"))),
        AT "/section/text"},
    {"a word written by numbers",
        SECTION(PROBLEMS, "<paragraph ID=\"a\">Sugar</paragraph>takes hero&#105;n daily",
            ENTRY(NAMED("a") CODED("E11.9"))),
        AT "/section/text"},
    {"the heading of a table",
        SECTION(PROBLEMS,
            "<table><caption>heroin</caption><tbody><tr ID=\"a\"><td>1</td></tr></tbody>"
            "</table>",
            ENTRY(NAMED("a") CODED("E11.9"))),
        AT "/section/text/table/caption"},
    {"a note", SECTION(PROBLEMS, "", ORDINARY) SECTION("51848-0", "takes <![CDATA[heroin]]>", ""), AT "[2]"},
    {"the diagnosis of a visit, not the visit",
        SECTION("46240-8", "",
            "<entry><encounter classCode=\"ENC\" moodCode=\"EVN\">"
            "<entryRelationship typeCode=\"COMP\">" OBSERVATION(
                "<value xsi:type=\"CD\" nullFlavor=\"OTH\"><originalText>heroin"
                "</originalText></value>") "</entryRelationship></encounter></entry>"),
        AT "/section/entry/encounter/entryRelationship"},
    {"a comment says nothing, for it goes nowhere", SECTION(PROBLEMS, "<!-- heroin -->", ORDINARY), ""},
    {"nor do words beside a code that is judged",
        SECTION(PROBLEMS, "",
            ENTRY("<value xsi:type=\"CD\" code=\"F11.20\" "
                  "codeSystem=\"2.16.840.1.113883.6.90\" displayName=\"heroin\"/>")),
        ""},
};

static void test_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wordings / sizeof *wordings; i++) {
        struct sl_arena *arena = sl_arena_new((size_t)256 << 20);
        struct sl_slice out = labels(arena, wrap(arena, with_body(arena, wordings[i].body, NULL)));
        struct sl_slice rest = out, mention = SL_LIT("\"mentions-substance-use\""), path = SL_LIT("\"path\":\"");
        size_t found = 0;
        for (const char *at; (at = memmem(rest.ptr, rest.len, path.ptr, path.len)) != NULL;) {
            rest = sl_slice_from(rest, (size_t)(at - rest.ptr) + path.len);
            const char *end = memchr(rest.ptr, '"', rest.len);
            const char *next = memmem(rest.ptr, rest.len, path.ptr, path.len);
            struct sl_slice one = {rest.ptr, next ? (size_t)(next - rest.ptr) : rest.len};
            struct sl_slice where = {rest.ptr, (size_t)(end - rest.ptr)};
            if (!memmem(one.ptr, one.len, mention.ptr, mention.len))
                continue;
            found++;
            if (!sl_slice_eq(where, sl_slice_of(wordings[i].element)))
                fail_msg("%s: %.*s mentions it", wordings[i].name, SL_FMT(where));
        }
        if (found != (wordings[i].element[0] ? 1 : 0))
            fail_msg("%s: %d mention it: %.*s", wordings[i].name, (int)found, SL_FMT(out));
        sl_arena_free(arena);
    }
}

/* ---- Whole documents ---- */

static void test_whole(void **state)
{
    (void)state;
    struct sl_arena *arena = sl_arena_new((size_t)256 << 20);
    const char *body = SECTION(PROBLEMS, "", ORDINARY), *sensitive = SECTION(PROBLEMS, "", ENTRY(CODED("F11.20")));
    struct sl_slice programs_own = with_body(arena, body, "1777777777");
    assert_false(has(run(arena, wrap(arena, programs_own), &treating), "resourceType"));
    assert_true(has(segment(arena, programs_own, &consented), "Confidentiality notice"));
    assert_true(has(segment(arena, programs_own, &patient), "n-I10"));
    /* Nothing is left of a document, so its attachment goes, and with it the record that requires one. */
    assert_false(has(run(arena, wrap(arena, with_body(arena, sensitive, NULL)), &treating), "resourceType"));
    /* The level is that of what goes, or a higher one it came with. */
    assert_true(has(segment(arena, with_body(arena, SECTION(PROBLEMS, "", ENTRY(CODED("F20.9"))), NULL), &treating),
        "<confidentialityCode code=\"R\" codeSystem=\"2.16.840.1.113883.5.25\"/>"));
    assert_true(has(segment(arena, with_body(arena, body, NULL), &treating), "<confidentialityCode code=\"N\""));
    /* What we put in speaks the encoding that the document says it has. */
    struct sl_slice other = with_body(arena,
        SECTION(PROBLEMS, "",
            ENTRY("<value xsi:type=\"CD\" code=\"I10\" codeSystem="
                  "\"2.16.840.1.113883.6.90\" displayName=\"caf&#233; &#8364;\"/>")),
        NULL);
    const char *at = memmem(other.ptr, other.len, "UTF-8", 5);
    const struct sl_slice pieces[] = {{other.ptr, (size_t)(at - other.ptr)}, SL_LIT("ISO-8859-1"),
        sl_slice_from(other, (size_t)(at - other.ptr) + 5)};
    other = segment(arena, sl_arena_join(arena, pieces, 3), &treating);
    assert_true(has(other, "<item>caf&#233; &#8364;</item>"));
    check_again(arena, "ISO-8859-1", other, &treating);
    /* Hash and size of what can be segmented never go. */
    struct sl_slice out = run(arena, wrap(arena, with_body(arena, body, NULL)), &treating);
    assert_true(has(out, "\"data\""));
    assert_false(has(out, "\"size\""));
    assert_false(has(out, "\"hash\""));
    sl_arena_free(arena);
}

static void test_unread(void **state)
{
    static const struct {
        const char *name, *before, *after;
    } broken[] = {
        {"a document type", "<?xml version=\"1.0\" encoding=\"UTF-8\"?>", "<!DOCTYPE x [<!ENTITY e \"Opium\">]>"},
        {"an entity", "<title>", "&e;"},
        {"an element left open", "<title>", "<open>"},
        {"a prefix bound to nothing", "<title>", "<y:x/>"},
        {"another encoding", "encoding=\"UTF-8", "encoding=\"UTF-16"},
    };
    (void)state;
    struct sl_arena *arena = sl_arena_new((size_t)256 << 20);
    struct sl_slice good = with_body(arena, SECTION(PROBLEMS, "", ORDINARY), NULL);
    assert_true(has(run(arena, wrap(arena, good), &partner), "resourceType"));
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        const char *at = memmem(good.ptr, good.len, broken[i].before, strlen(broken[i].before));
        size_t front = (size_t)(at - good.ptr), skip = strlen(broken[i].before);
        bool replaces = i == 4;
        const struct sl_slice parts[] = {
            {good.ptr, front + (replaces ? 0 : skip)}, sl_slice_of(broken[i].after), sl_slice_from(good, front + skip)};
        struct sl_slice bad = sl_arena_join(arena, parts, 3);
        /* Whoever may have what cannot be read gets it as it is; others get nothing of it. */
        assert_true(sl_slice_eq(segment(arena, bad, &patient), bad));
        if (has(run(arena, wrap(arena, bad), &partner), "resourceType"))
            fail_msg("%s is read", broken[i].name);
    }
    sl_arena_free(arena);
}

/* ---- Properties ---- */

#define ENTRIES 24u

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 33;
}

static bool is_withheld(const struct fixture_entry *e, const struct asked *asked)
{
    if (asked == &partner)
        return e->kind != FIXTURE_ORDINARY;
    return asked == &treating && e->kind == FIXTURE_SUBSTANCE;
}

static void make_entries(uint64_t seed, struct fixture_entry *entries)
{
    for (unsigned i = 0; i < ENTRIES; i++)
        entries[i] = (struct fixture_entry){.section = next_random(&seed) % FIXTURE_SECTIONS,
            .kind = next_random(&seed) % 3 ? FIXTURE_ORDINARY : next_random(&seed) % FIXTURE_KINDS,
            .canary = i + 1 + (unsigned)(next_random(&seed) % 900) * ENTRIES,
            .linked = next_random(&seed) % 4 != 0,
            .media = next_random(&seed) % 5 == 0};
    for (unsigned i = 0; i < ENTRIES; i++)
        if (next_random(&seed) % 4 == 0)
            entries[i].names = entries[next_random(&seed) % ENTRIES].canary;
}

static struct sl_slice document_of(struct sl_arena *arena, const struct fixture_entry *entries, bool comments)
{
    struct sl_buffer out;
    struct fixture_document d = {.entries = entries, .count = ENTRIES, .padding = "\n  ", .comments = comments};
    sl_buffer_init(&out, DOCUMENT_LIMIT);
    fixture_write(&out, &d);
    struct sl_slice xml = sl_arena_copy(arena, sl_buffer_slice(&out));
    sl_buffer_fini(&out);
    return xml;
}

static void check_canaries(struct sl_slice out, const struct fixture_entry *entries, const struct asked *asked)
{
    char canary[16], encoded[32];
    for (unsigned i = 0; i < ENTRIES; i++) {
        struct sl_buffer base64;
        fixture_canary(canary, sizeof canary, entries[i].canary);
        sl_buffer_init(&base64, 64);
        fixture_base64(&base64, sl_slice_of(canary));
        snprintf(encoded, sizeof encoded, "%.*s", SL_FMT(sl_buffer_slice(&base64)));
        sl_buffer_fini(&base64);
        bool withheld = is_withheld(&entries[i], asked);
        if (has(out, canary) == withheld)
            fail_msg("%s of kind %d is %sthere: %.*s", canary, entries[i].kind, withheld ? "" : "not ", SL_FMT(out));
        /* Nobody knows what is in a picture, nor here whether it is a program's. */
        bool shown = (asked == &patient || asked == &consented) && !withheld;
        if (entries[i].media && has(out, encoded) != shown)
            fail_msg("%s, a picture, is %sthere", canary, shown ? "not " : "");
    }
}

static void test_properties(void **state)
{
    static const struct asked *const all[] = {&treating, &partner, &patient, &consented};
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        const struct asked *asked = all[seed % 4];
        struct sl_arena *arena = sl_arena_new((size_t)256 << 20);
        struct fixture_entry entries[ENTRIES];
        make_entries(seed * 7919, entries);
        struct sl_slice in = document_of(arena, entries, true), out = segment(arena, in, asked);
        check_canaries(out, entries, asked);
        check_again(arena, "properties", out, asked);
        /* The twin: a world in which what is withheld never was. */
        for (unsigned i = 0; i < ENTRIES; i++) {
            entries[i].left_out = is_withheld(&entries[i], asked);
            entries[i].media &= asked == &patient || asked == &consented;
        }
        struct sl_slice twin = segment(arena, document_of(arena, entries, false), asked);
        if (!sl_slice_eq(out, twin))
            fail_msg("seed %d: the twin differs:\n%.*s\n%.*s", (int)seed, SL_FMT(out), SL_FMT(twin));
        sl_arena_free(arena);
    }
}

static int setup(void **state)
{
    (void)state;
    struct sl_arena *arena = sl_arena_new((size_t)64 << 20);
    struct sl_issues issues = {.arena = arena};
    enum sl_status status = sl_policy_load(SLUICE_SOURCE "/consent/policies", &issues, &policy);
    sl_arena_free(arena);
    programs = sl_programs_new(false);
    return status == SL_OK && programs &&
                   sl_programs_add(programs, SL_LIT("urn:oid:2.16.840.1.113883.4.6|1777777777"), SL_SOURCE_PROGRAM) ==
                       SL_OK
               ? 0
               : -1;
}

static int teardown(void **state)
{
    (void)state;
    sl_policy_unref(policy);
    sl_programs_unref(programs);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), cmocka_unit_test(test_words),
        cmocka_unit_test(test_whole), cmocka_unit_test(test_unread), cmocka_unit_test(test_properties)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
