/* SPDX-License-Identifier: Apache-2.0 */
/* Content: what is base64, what the bytes are, and what they say in UTF-8. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "content.h"

#define BYTES(s)                                                                                                       \
    {                                                                                                                  \
        (s), sizeof(s) - 1                                                                                             \
    } /* as SL_LIT, in an initializer */

static struct sl_arena *arena;

static const struct {
    const char *base64, *bytes; /* NULL: it is none */
} codes[] = {
    {"", ""},
    {"aGk=", "hi"},
    {"aGk h", "hi!"},
    {"aGFs bG8h", "hallo!"},
    {"aGFs\r\nbG8h\n", "hallo!"},
    {" a\tG F s b G 8 h ", "hallo!"},
    {"aA==", "h"},
    {"aA= =", "h"},
    {"aA= = ", "h"},
    {"aA", NULL},
    {"aA=", NULL},
    {"aGk", NULL},
    {"aB==", NULL}, /* bits left over */
    {"aGl=", NULL},
    {"a===", NULL},
    {"====", NULL},
    {"aA==aA==", NULL},
    {"aGk=x", NULL},
    {"aGk-", NULL}, /* the alphabet for URLs is another */
    {"aG_s", NULL},
    {"aGFsbG8h.", NULL},
    {"YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXowMTIzNDU2Nzg5+/+/", "abcdefghijklmnopqrstuvwxyz0123456789\xfb\xff\xbf"},
};

static void base64(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        struct sl_slice bytes;
        bool good = sl_content_decode(sl_slice_of(codes[i].base64), arena, &bytes);
        if (good != (codes[i].bytes != NULL) || (good && !sl_slice_eq(bytes, sl_slice_of(codes[i].bytes))))
            fail_msg("\"%s\": %s \"%.*s\"", codes[i].base64, good ? "decoded to" : "refused", SL_FMT(bytes));
    }
}

#define CDA "<ClinicalDocument xmlns=\"urn:hl7-org:v3\">"

static const struct {
    const char *type;
    struct sl_slice bytes;
    enum sl_content_kind kind;
    const char *text; /* NULL: as the bytes */
} kinds[] = {
    {"text/plain", BYTES("Seen today."), SL_CONTENT_PLAIN, NULL},
    {"", BYTES("Seen today."), SL_CONTENT_PLAIN, NULL},
    {"application/octet-stream", BYTES("Seen today."), SL_CONTENT_PLAIN, NULL},
    {"text/plain", BYTES(""), SL_CONTENT_PLAIN, ""},
    {"TEXT/PLAIN; Charset=\"UTF-8\"", BYTES("caf\xc3\xa9"), SL_CONTENT_PLAIN, NULL},
    {"text/plain", BYTES("caf\xe9"), SL_CONTENT_PLAIN, "caf?"},
    {"", BYTES("caf\xe9"), SL_CONTENT_UNREAD, NULL},
    {"text/plain; charset=iso-8859-1",
        BYTES("al\xad"
              "co\xa0hol"),
        SL_CONTENT_PLAIN,
        "al\x7f"
        "co hol"},
    {"text/plain; charset=utf-7", BYTES("+AGEAbABjAG8AaABvAGw-"), SL_CONTENT_UNREAD, NULL},
    {"text/plain; charset=utf-16", BYTES("\xfe\xff\0h\0i\x20\xac"), SL_CONTENT_PLAIN, "hi\xe2\x82\xac"},
    {"text/plain", BYTES("\xff\xfeh\0i\0"), SL_CONTENT_PLAIN, "hi"},
    {"text/plain", BYTES("h\0i\0!\0"), SL_CONTENT_PLAIN, "hi!"},
    {"text/plain; charset=utf-16le", BYTES("\x3d\xd8\0\xde"), SL_CONTENT_PLAIN, "\xf0\x9f\x98\x80"},
    {"text/plain; charset=utf-16le", BYTES("\x3d\xd8h\0"), SL_CONTENT_UNREAD, NULL},
    {"text/plain; charset=utf-16le", BYTES("h\0i"), SL_CONTENT_UNREAD, NULL},
    {"text/plain", BYTES("\xff\xfe\0\0h\0\0\0"), SL_CONTENT_UNREAD, NULL},
    {"text/plain", BYTES("\xef\xbb\xbfhi"), SL_CONTENT_PLAIN, "hi"},
    {"text/plain", BYTES("%PDF-1.7 and so on"), SL_CONTENT_UNREAD, NULL},
    {"text/plain", BYTES("\n\n junk %PDF-1.7"), SL_CONTENT_UNREAD, NULL},
    {"application/pdf", BYTES("text that is said to be something else"), SL_CONTENT_UNREAD, NULL},
    {"image/svg+xml", BYTES("<svg/>"), SL_CONTENT_UNREAD, NULL},
    {"text/plain", BYTES("\x89PNG\r\n\x1a\n\0\0\0\rIHDR"), SL_CONTENT_UNREAD, NULL},
    {"text/plain", BYTES("al\x1b(Bcohol"), SL_CONTENT_UNREAD, NULL},
    {"text/plain", BYTES("MSH|^~\\&|A|B"), SL_CONTENT_UNREAD, NULL},
    {"text/plain", BYTES("MIME-Version: 1.0\n"), SL_CONTENT_UNREAD, NULL},
    {"application/json", BYTES(" {\"resourceType\":\"Bundle\"}"), SL_CONTENT_UNREAD, NULL},
    {"application/fhir+json", BYTES("{}"), SL_CONTENT_UNREAD, NULL},
    {"text/xml", BYTES("<Patient xmlns=\"http://hl7.org/fhir\"/>"), SL_CONTENT_UNREAD, NULL},
    {"application/json", BYTES("{\"note\":\"x\"}"), SL_CONTENT_PLAIN, NULL},
    {"text/rtf", BYTES("{\\rtf1 hi}"), SL_CONTENT_RTF, NULL},
    {"text/plain", BYTES("{\\rtf1 hi}"), SL_CONTENT_RTF, NULL},
    {"text/html; charset=utf-8", BYTES("<p>hi"), SL_CONTENT_HTML, NULL},
    {"text/html", BYTES("no tag, but entities: alcoho&#108;"), SL_CONTENT_HTML, NULL},
    {"text/plain", BYTES("<p>hi</p>"), SL_CONTENT_HTML, NULL},
    {"text/plain", BYTES("<3 drinks"), SL_CONTENT_PLAIN, NULL},
    {"", BYTES("<!DOCTYPE html><html/>"), SL_CONTENT_HTML, NULL},
    {"text/xml", BYTES("<note>hi</note>"), SL_CONTENT_XML, NULL},
    {"", BYTES("<?xml version='1.0'?><note/>"), SL_CONTENT_XML, NULL},
    {"text/xml", BYTES("<?xml version='1.0' encoding='latin1'?><n>\xe9</n>"), SL_CONTENT_XML,
        "<?xml version='1.0' encoding='latin1'?><n>?</n>"},
    {"text/xml", BYTES("<?xml version='1.0' encoding='UTF-7'?><n/>"), SL_CONTENT_UNREAD, NULL},
    {"text/xml", BYTES("<!DOCTYPE n [<!ENTITY a 'alco'>]><n>&a;hol</n>"), SL_CONTENT_UNREAD, NULL},
    {"application/hl7-cda+xml", BYTES(CDA), SL_CONTENT_CCDA, NULL},
    {"text/xml", BYTES("<?xml version='1.0'?>\n<!-- c --><?xml-stylesheet a?>\n" CDA), SL_CONTENT_CCDA, NULL},
    {"application/octet-stream", BYTES(CDA), SL_CONTENT_CCDA, NULL},
    {"text/plain", BYTES("\xef\xbb\xbf" CDA), SL_CONTENT_CCDA, CDA},
    {"", BYTES("<n1:ClinicalDocument xmlns = 'x' xmlns:n1 = 'urn:hl7-org:v3' >"), SL_CONTENT_CCDA, NULL},
    {"", BYTES("<n1:ClinicalDocument xmlns='urn:hl7-org:v3'>"), SL_CONTENT_UNREAD, NULL},
    {"", BYTES("<ClinicalDocument xmlns='urn:hl7-org:v4'>"), SL_CONTENT_UNREAD, NULL},
};

static void kind(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct sl_slice text, type = sl_slice_of(kinds[i].type), bytes = kinds[i].bytes;
        enum sl_content_kind found = sl_content_judge(type, bytes, arena, &text);
        struct sl_slice wanted = kinds[i].text ? sl_slice_of(kinds[i].text) : bytes;
        if (found != kinds[i].kind)
            fail_msg("%s \"%.*s\": kind %d", kinds[i].type, SL_FMT(bytes), (int)found);
        if (sl_content_is_text(found) ? !sl_slice_eq(text, wanted) : text.len > 0)
            fail_msg("%s \"%.*s\": \"%.*s\"", kinds[i].type, SL_FMT(bytes), SL_FMT(text));
    }
}

static int make(void **state)
{
    (void)state;
    arena = sl_arena_new((size_t)16 << 20);
    return arena == NULL;
}

static int unmake(void **state)
{
    (void)state;
    sl_arena_free(arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(base64), cmocka_unit_test(kind)};
    return cmocka_run_group_tests(tests, make, unmake);
}
