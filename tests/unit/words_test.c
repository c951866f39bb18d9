/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words: what the shipped lexicon finds in sentences as clinicians write them, what it must not find, and what is
 * marked as denied or as the family's; what markup and escapes hide; what a lexicon may say. Findings are letters: S
 * substance use, M mental health, H HIV, R sexual and reproductive health, V violence, G genetic, C sickle cell, d
 * denied, f family.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "lexicon_fixture.h"
#include "words_text.h"

static struct sl_arena *arena;
static struct sl_words *shipped;

struct sentence {
    const char *text, *found;
};

static const char *letters(uint16_t bits)
{
    static const char names[] = "SMHRVGCdf";
    static char out[sizeof names];
    size_t len = 0;
    for (unsigned i = 0; i < SL_MENTIONS; i++)
        if (bits >> i & 1)
            out[len++] = names[i];
    out[len] = '\0';
    return out;
}

static void check_kind(const struct sentence *sentences, size_t count, enum sl_content_kind kind)
{
    unsigned wrong = 0;
    for (size_t i = 0; i < count; i++) {
        struct sl_mentions found;
        assert_true(sl_words_search(shipped, kind, sl_slice_of(sentences[i].text), &found));
        if (strcmp(letters(found.bits), sentences[i].found) == 0)
            continue;
        wrong++;
        print_error("\"%s\": \"%s\", not \"%s\"\n", sentences[i].text, letters(found.bits), sentences[i].found);
        for (unsigned m = 0; m < SL_MENTIONS; m++)
            if (found.bits >> m & 1)
                print_error(
                    "    %s by \"%.*s\"\n", sl_mention_name(m).ptr, SL_FMT(sl_words_term(shipped, found.term[m])));
    }
    assert_int_equal(wrong, 0);
}

#define CHECK(sentences, kind) check_kind(sentences, sizeof sentences / sizeof *sentences, kind)

static void said_of_the_patient(void **state)
{
    static const struct sentence sentences[] = {
        {"Patient is an alcoholic.", "S"},
        {"Patient has never smoked and is an alcoholic.", "S"},
        {"Unhealthy alcohol drinking behavior (finding)", "S"},
        {"Drinks 6 beers per day.", "S"},
        {"He drinks a pint of vodka nightly.", "S"},
        {"Smokes crack daily.", "S"},
        {"UDS positive for cocaine and fentanyl.", "S"},
        {"Started on Suboxone 8/2 in OBOT clinic.", "S"},
        {"On MAT with buprenorphine since May.", "S"},
        {"OUD, severe, in early remission", "S"},
        {"AUD, moderate; naltrexone started", "S"},
        {"IVDU, last use yesterday", "S"},
        {"Relapsed on heroin after detox.", "S"},
        {"Attends AA, has a sponsor.", "S"},
        {"Two years sober; goes to meetings.", "S"},
        {"DUI arrest last month", "S"},
        {"found down, given Narcan for overdose", "S"},
        {"Referred to the methadone clinic.", "S"},
        {"Using meth and weed, wants help", "S"},
        {"snorting oxy bought off the street", "S"},
        {"CIWA protocol initiated", "S"},
        {"Etoh abuse, quit drinking in 2010", "S"},
        {"pt uses opiod pain pills, opiod use disorder suspected", "S"},
        {"Cannabis hyperemesis syndrome", "S"},
        {"Major depressive disorder, recurrent", "M"},
        {"PTSD from combat, nightmares", "M"},
        {"Generalized anxiety, on sertraline 50 mg", "M"},
        {"PHQ-9 score 17", "M"},
        {"Endorses SI with plan", "M"},
        {"tried to kill himself in 2015", "M"},
        {"Schizoaffective disorder on Invega Sustenna", "M"},
        {"on a 5150 hold for danger to self", "M"},
        {"hears voices, command in nature", "M"},
        {"pt tearful, depressed mood, anhedonia", "M"},
        {"lithium level 0.8", "M"},
        {"Seen by psychiatry for bipolar disorder", "M"},
        {"ADHD, on Vyvanse", "M"},
        {"anorexia nervosa, purging behavior", "M"},
        {"severe anxiety (panic) (finding)", "M"},
        {"cuts herself when upset", "M"},
        {"suicidle ideation", "M"},
        {"HIV positive since 1999", "H"},
        {"On Biktarvy, undetectable viral load", "H"},
        {"PrEP with Descovy", "H"},
        {"CD4 count 350", "H"},
        {"AIDS with Kaposi sarcoma", "H"},
        {"HIV negative", "H"},
        {"HIV Ab nonreactive", "H"},
        {"partner is HIV positive", "H"},
        {"Syphilis treated with penicillin", "R"},
        {"Chlamydia trachomatis detected", "R"},
        {"G2P1, elective abortion 2018", "R"},
        {"Nexplanon placed today", "R"},
        {"transgender woman on estradiol", "R"},
        {"Erectile dysfunction, trial of sildenafil", "R"},
        {"IUD removed", "R"},
        {"genital herpes outbreak", "R"},
        {"Victim of intimate partner abuse (finding)", "V"},
        {"Reports of violence in the environment (finding)", "V"},
        {"husband hits her; domestic violence shelter info given", "V"},
        {"She was raped in college.", "V"},
        {"abused by father as a child", "V"},
        {"IPV: screened, partner controlling", "V"},
        {"afraid of her husband", "V"},
        {"CPS report filed for neglect of the child", "V"},
        {"BRCA1 mutation carrier", "G"},
        {"Negative for BRCA2 mutation", "G"},
        {"genetic testing for Lynch syndrome", "G"},
        {"Trisomy 21", "G"},
        {"homozygous for C282Y", "G"},
        {"sickle cell trait", "C"},
        {"Sickle cell anemia with vaso-occlusive crisis", "C"},
        {"HbSS on hydroxyurea", "C"},
        {"Depression and alcohol use disorder", "SM"},
        {"HIV, hepatitis C, IVDU", "SH"},
    };
    (void)state;
    CHECK(sentences, SL_CONTENT_PLAIN);
}

static void means_something_else(void **state)
{
    static const struct sentence sentences[] = {
        {"ST depression in V4-V6", ""},
        {"1 mm ST segment depression", ""},
        {"respiratory depression after morphine", ""},
        {"Abuse-Deterrent 12 HR Oxycodone Hydrochloride 15 MG Extended Release Oral Tablet", ""},
        {"skin cleaned with alcohol swab", ""},
        {"nonalcoholic fatty liver disease", ""},
        {"non-alcoholic steatohepatitis", ""},
        {"isopropyl alcohol 70 %", ""},
        {"cetyl alcohol, glycerin", ""},
        {"Apply ice for 20 minutes.", ""},
        {"gait speed normal", ""},
        {"high speed collision", ""},
        {"crack in the tooth", ""},
        {"cracked nipples", ""},
        {"grab bars installed in the bathroom", ""},
        {"drinks water through the day", ""},
        {"drinks two cups of coffee daily", ""},
        {"drinking well, eating well", ""},
        {"glass of water", ""},
        {"trauma to the left foot", ""},
        {"blunt trauma, trauma team activated", ""},
        {"birth trauma", ""},
        {"stress test negative", ""},
        {"stress fracture of the tibia", ""},
        {"stress urinary incontinence", ""},
        {"bipolar hemiarthroplasty", ""},
        {"bipolar cautery used", ""},
        {"hearing aids both ears", ""},
        {"hives after penicillin", ""},
        {"HIV negative screening recommended", ""},
        {"HIV screening recommended for all adults", ""},
        {"Offered HIV testing", ""},
        {"joint pain in both knees", ""},
        {"the mat on the floor", ""},
        {"MAT", ""},
        {"si joint pain, SI joint injection", ""},
        {"Hi, thank you for the referral", ""},
        {"PCP follow up in two weeks", ""},
        {"AA male in no distress", ""},
        {"pot belly pigs at home", ""},
        {"aid with dressing", ""},
        {"aborted sudden cardiac death", ""},
        {"migraine abortive therapy", ""},
        {"strangulated hernia repaired", ""},
        {"pacemaker battery replacement", ""},
        {"hemispatial neglect after stroke", ""},
        {"homeless shelter", ""},
        {"Human epidermal growth factor receptor 2 gene detection", ""},
        {"human papillomavirus, quadrivalent", ""},
        {"HPV, quadrivalent vaccine", ""},
        {"Camila lives with her parents", ""},
        {"Dr. Molly Stone", ""},
        {"tweaking the dose of insulin", ""},
        {"jalapeno poppers", ""},
        {"normal pregnancy", ""},
        {"cardiac rehab twice a week", ""},
        {"relapsed lymphoma", ""},
        {"relapsing remitting multiple sclerosis", ""},
        {"post anesthesia recovery room", ""},
        {"withdrawal of life support", ""},
        {"withdrawal bleeding", ""},
        {"nicotine dependence", ""},
        {"Former smoker", ""},
        {"oxygen dependent", ""},
        {"drug allergy: penicillin", ""},
        {"drug eluting stent", ""},
        {"avoid alcohol while taking metronidazole", ""},
        {"Do not drink alcohol with this medicine.", ""},
        {"altered mental status", ""},
        {"no acute distress", ""},
        {"acid reflux", ""},
        {"insurance carrier", ""},
        {"Uses a cane", ""},
        {"sober assessment of the risks", ""},
        {"Body mass index 30+ - obesity (finding)", ""},
        {"Medication reconciliation (procedure)", ""},
        {"Acute viral pharyngitis (disorder)", ""},
        {"COWS milk allergy", ""},
        {"art therapy group", ""},
        {"SCD boots for DVT prophylaxis", ""},
        {"ACS ruled out, troponin negative", ""},
        {"add metformin 500", ""},
        {"clean dry dressing", ""},
        {"committed to exercise", ""},
        {"the report was overdue", ""},
        {"Speed bump injury", ""},
    };
    (void)state;
    CHECK(sentences, SL_CONTENT_PLAIN);
}

static void denied(void **state)
{
    static const struct sentence sentences[] = {
        {"Denies alcohol use.", "d"},
        {"Patient denies alcohol, tobacco, or illicit drug use.", "d"},
        {"denies any history of depression or anxiety", "d"},
        {"No history of depression.", "d"},
        {"No alcohol or drugs", "d"},
        {"no SI, no HI", "d"},
        {"Denies SI/HI/AVH", "d"},
        {"SI/HI: denied", "d"},
        {"Alcohol use: none", "d"},
        {"Alcohol: No", "d"},
        {"Alcohol use? No", "d"},
        {"Alcohol use: Never", "d"},
        {"Drug use: denies", "d"},
        {"UDS negative for cocaine", "d"},
        {"without suicidal ideation", "d"},
        {"She has never used heroin.", "d"},
        {"No evidence of psychosis", "d"},
        {"does not drink alcohol", "d"},
        {"She isn't depressed.", "d"},
        {"not sexually active", "d"},
        {"no domestic violence", "d"},
        {"Suicidal ideation was denied.", "d"},
        {"Depression: negative", "d"},
        {"no fever, cough, or depression", "d"},
        {"denies chest pain, palpitations, anxiety, and panic attacks", "d"},
        {"no longer drinks alcohol", "S"},
        {"No known allergies. Alcohol abuse.", "S"},
        {"Denies fever but drinks alcohol daily", "S"},
        {"No chest pain, drinks alcohol daily", "S"},
        {"no fever, history of alcohol abuse", "S"},
        {"denies tobacco, admits to cocaine", "S"},
        {"denies tobacco; cocaine weekly", "S"},
        {"depression not well controlled", "M"},
        {"anxiety, no improvement on sertraline", "M"},
        {"No change in her depression", "M"},
        {"not taking his Seroquel", "M"},
        {"not in labor force (finding), stress from PTSD (finding)", "M"},
        {"has not smoked, uses heroin", "S"},
        {"No side effects from Zoloft", "M"},
        {"denies being treated well, has schizophrenia", "M"},
        {"Alcohol: no more than two drinks a day", "S"},
        {"No suicidal ideation. History of major depression.", "M"},
        {"no doubt this is alcohol withdrawal", "S"},
        {"if not for his alcoholism he would work", "S"},
        {"Denies alcohol use.\nCocaine abuse", "S"},
        {"No known drug allergies\n- alcohol abuse (disorder)", "S"},
        {"HIV test negative", "H"},
        {"denies HIV", "d"},
        {"Denies depression. Alcohol use: none. HIV negative.", "Hd"},
    };
    (void)state;
    CHECK(sentences, SL_CONTENT_PLAIN);
}

static void of_the_family(void **state)
{
    static const struct sentence sentences[] = {
        {"Father had schizophrenia.", "f"},
        {"Mother with bipolar disorder and diabetes.", "f"},
        {"family history of alcoholism", "f"},
        {"FHx: depression, alcoholism", "f"},
        {"alcoholism in father", "f"},
        {"depression (mother)", "f"},
        {"bipolar disorder in his paternal uncle", "f"},
        {"Brother died by suicide.", "f"},
        {"Husband drinks heavily.", "f"},
        {"Her sister was diagnosed with depression.", "f"},
        {"Maternal grandmother: schizophrenia", "f"},
        {"Mother has depression and she has anxiety.", "M"},
        {"lives with mother, has depression", "M"},
        {"accompanied by his father for depression", "M"},
        {"abused by her uncle", "V"},
        {"Father abused her sexually.", "V"},
        {"No family history of bipolar disorder", "d"},
        {"family history of BRCA1 mutation", "G"},
        {"Family History:\nmother - depression\nbrother - heroin overdose\n\nSocial History:\nmarried", "f"},
        {"# Family History\n- alcoholism\n\n# Social History\n- cocaine", "S"},
        {"Family History: hypertension\nSocial History: drinks heavily", "S"},
        {"FAMILY HISTORY:\nNone\nASSESSMENT:\nMajor depression", "M"},
        {"patient's mother is worried about her depression", "M"},
    };
    (void)state;
    CHECK(sentences, SL_CONTENT_PLAIN);
}

static void hidden_in_strings(void **state)
{
    static const struct sentence sentences[] = {
        {"alco\xc2\xadhol abuse", "S"}, /* soft hyphen */
        {"her\xe2\x80\x8boin", "S"},    /* no width */
        {"opioid\xc2\xa0use\xc2\xa0"
         "disorder",
            "S"}, /* no break */
        {"opioid use\ndisorder", "S"},
        {"opioid use\r\n   disorder", "S"},
        {"opioid  use\t disorder", "S"},
        {"opioid-use-disorder", "S"},
        {"opioid_use/disorder", "S"},
        {"\xef\xbd\x88\xef\xbd\x85\xef\xbd\x92\xef\xbd\x8f\xef\xbd\x89\xef\xbd\x8e", "S"}, /* wide */
        {"\xf0\x9d\x90\xa1\xf0\x9d\x90\x9e\xf0\x9d\x90\xab\xf0\x9d\x90\xa8\xf0\x9d\x90\xa2\xf0\x9d\x90\xa7",
            "S"},                /* bold */
        {"hero\xcc\x81in", "S"}, /* a combining accent */
        {"alco**hol** abuse", "S"},
        {"alco\\hol abuse", "S"},
        {"alco<b>hol</b> abuse", "S"},
        {"alcoho&#108; abuse", "S"},
        {"alco-\nhol abuse", "S"},
        {"{\"note\":\"alcoh\\u006fl abuse\"}", "S"},
        {"{\"note\":\"heroin\\nuse\"}", "S"},
        {"alcohols", "S"},
        {"alcohol's", "S"},
        {"ALCOHOL ABUSE", "S"},
        {"alcoholx", ""},
        {"xalcohol", ""},
        {"2alcohol", ""},
        {"", ""},
        {" ", ""},
        {"\n\n\n", ""},
    };
    (void)state;
    CHECK(sentences, SL_CONTENT_PLAIN);
}

static void hidden_in_markup(void **state)
{
    static const struct sentence html[] = {
        {"<p>alco<b>hol</b> abuse</p>", "S"},
        {"<p>alcoho&#108; abuse</p>", "S"},
        {"<p>alcoho&#x6C abuse</p>", "S"},
        {"<p>opioid&nbsp;use&nbsp;disorder</p>", "S"},
        {"<p>her&shy;oin</p>", "S"},
        {"<p>her&ZeroWidthSpace;oin</p>", "S"},
        {"<p>her<!-- a > b -->oin</p>", "S"},
        {"<p>her<wbr/>oin</p>", "S"},
        {"<p>opioid<br/>use disorder</p>", "S"},
        {"<td>heroin</td><td>daily</td>", "S"},
        {"<li>heroin</li><li>x</li>", "S"},
        {"<b>heroin</b>x", "S"},
        {"<span>heroin</span>", "S"},
        {"<img alt=\"heroin\"/>", "S"},
        {"<p title='heroin use'>x</p>", "S"},
        {"<!-- heroin -->", "S"},
        {"<p title=\"a > b\">heroin</p>", "S"},
        {"<p title=\"heroin", "S"},
        {"heroin < 5", "S"},
        {"<![CDATA[heroin]]>", "S"},
        {"<table><tr><td>Alcohol use</td><td>No</td></tr></table>", "d"},
        {"<p>Denies</p><p>heroin</p>", "S"},
        {"<b>heroin", "S"},
        {"<heroin>", ""},
        {"&heroin;", "S"},
    };
    static const struct sentence xml[] = {
        {"<a>substance</a><b>abuse</b>", "S"},
        {"<a>her<b/>oin</a>", "S"},
        {"<a b=\"heroin\"/>", "S"},
        {"<a><![CDATA[her]]>oin</a>", "S"},
    };
    static const struct sentence rtf[] = {
        {"{\\rtf1 alco\\b hol\\b0  abuse}", "S"},
        {"{\\rtf1 her\\'6fin}", "S"},
        {"{\\rtf1 her\\u111?in}", "S"},
        {"{\\rtf1\\uc2 her\\u111 xyin}", "S"},
        {"{\\rtf1 her\\-oin}", "S"},
        {"{\\rtf1 her{\\*\\x y}oin}", "S"},
        {"{\\rtf1 her\r\noin}", "S"},
        {"{\\rtf1 opioid\\~use\\par disorder}", "S"},
        {"{\\rtf1{\\info{\\title heroin}}x}", "S"},
        {"{\\rtf1 {\\fonttbl{\\f0 Arial;}} well}", ""},
        {"{\\rtf1 Denies alcohol.\\par}", "d"},
        {"{\\rtf1 heroin", "S"},
        {"}}}{\\rtf1 heroin", "S"},
        {"\\", ""},
    };
    (void)state;
    CHECK(html, SL_CONTENT_HTML);
    CHECK(xml, SL_CONTENT_XML);
    CHECK(rtf, SL_CONTENT_RTF);
}

static void pictures(void **state)
{
    static const struct {
        enum sl_content_kind kind;
        const char *text;
        bool partial;
    } cases[] = {{SL_CONTENT_HTML, "<p>x<img src=\"data:image/png;base64,AAAA\"/></p>", true},
        {SL_CONTENT_HTML, "<p>x<img src=\"logo.png\"/></p>", false},
        {SL_CONTENT_HTML, "<svg><path d='M0 0'/></svg>", true}, {SL_CONTENT_RTF, "{\\rtf1{\\pict 00ff}}", true},
        {SL_CONTENT_RTF, "{\\rtf1 picture}", false}, {SL_CONTENT_PLAIN, "x", false}};
    struct sl_mentions found;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_true(sl_words_search(shipped, cases[i].kind, sl_slice_of(cases[i].text), &found));
        if (found.partial != cases[i].partial)
            fail_msg("%s", cases[i].text);
    }
}

/* What is told without a scan is what the scan tells. */
static void filter(void **state)
{
    size_t held = 0;
    (void)state;
    for (uint16_t i = 0; i < sl_words_count(shipped); i++) {
        char text[128];
        snprintf(text, sizeof text, "x (%.*s), y", SL_FMT(sl_words_term(shipped, i)));
        if (!sl_words_may_hold(shipped, sl_slice_of(text)))
            fail_msg("%s", text);
        snprintf(text, sizeof text, "%.*ss", SL_FMT(sl_words_term(shipped, i)));
        if (!sl_words_may_hold(shipped, sl_slice_of(text)))
            fail_msg("%s", text);
        held++;
    }
    assert_true(held > 2000);
    assert_true(sl_words_may_hold(shipped, SL_LIT("no\\u0061")));
    assert_false(sl_words_may_hold(shipped, SL_LIT("Body Mass Index")));
    assert_false(sl_words_may_hold(shipped, SL_LIT("")));
}

/* Texts made to take long take no longer than others of their size. */
static void linear(void **state)
{
    static const char *const pieces[] = {"alcohol ", "SI ", "<", "<a ", "<!--", "&#", "no alcohol, ", "<a b='", "ice ",
        "alcohol swab ", "mother had depression. ", "Family History:\n", "\n", "{\\*", "\\u-1?", "denies ", "<td>"};
    enum { SIZE = 1 << 20 };
    char *text = malloc(SIZE + 64);
    (void)state;
    assert_non_null(text);
    for (size_t p = 0; p < sizeof pieces / sizeof *pieces; p++)
        for (unsigned kind = SL_CONTENT_PLAIN; kind <= SL_CONTENT_XML; kind++) {
            struct sl_mentions found;
            size_t len = strlen(pieces[p]), n = 0;
            for (; n + len <= SIZE; n += len)
                memcpy(text + n, pieces[p], len);
            clock_t begin = clock();
            assert_true(sl_words_search(shipped, (enum sl_content_kind)kind, (struct sl_slice){text, n}, &found));
            double took = (double)(clock() - begin) / CLOCKS_PER_SEC;
            if (took > 5) /* a quadratic one takes minutes */
                fail_msg("%s as %u: %.1f s", pieces[p], kind, took);
        }
    free(text);
}

/* Any number of threads search at once. */
static void *search_often(void *wrong)
{
    for (unsigned i = 0; i < 500; i++) {
        struct sl_mentions found;
        const char *text = i % 2 ? "Denies alcohol use." : "Relapsed on heroin, major depression.";
        if (!sl_words_search(shipped, SL_CONTENT_PLAIN, sl_slice_of(text), &found) ||
            strcmp(i % 2 ? "d" : "SM", found.bits == 1u << SL_MENTION_DENIED ? "d"
                                       : found.bits == 3                     ? "SM"
                                                                             : "") != 0)
            ++*(unsigned *)wrong;
    }
    return NULL;
}

static void threads(void **state)
{
    pthread_t running[4];
    unsigned wrong[4] = {0};
    (void)state;
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&running[i], NULL, search_often, &wrong[i]), 0);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(pthread_join(running[i], NULL), 0);
    assert_int_equal(wrong[0] + wrong[1] + wrong[2] + wrong[3], 0);
}

static const struct {
    const char *csv, *code; /* NULL: it loads */
} lexicons[] = {
    {"topic,term,flags,near\nhiv,HIV,,\n", NULL},
    {"topic,term,flags,near\nhiv,\"HIV\",case,test*|viral load\n", NULL},
    {"topic,term,flags,near\nnone,HIV test,,\nhiv,HIV,,\n", NULL},
    {"topic,term,flags,near\nhif,HIV,,\n", "unknown-topic"},
    {"topic,term,flags,near\nhiv,H,,\n", "bad-term"},
    {"topic,term,flags,near\nhiv,\"  \",,\n", "bad-term"},
    {"topic,term,flags,near\nhiv,HIV,CASE,\n", "unknown-flag"},
    {"topic,term,flags,near\nhiv,HIV,,a|+\n", "bad-near"},
    {"topic,term,flags,near\nhiv,HIV,,aa||bb\n", "bad-near"},
    {"topic,term\nhiv,HIV\n", "csv-column"},
};

static void loading(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lexicons / sizeof *lexicons; i++) {
        struct sl_policy_file file = {SL_LIT("lexicon/x.csv"), sl_slice_of(lexicons[i].csv)};
        struct sl_issues issues = {.arena = arena};
        struct sl_words *words = NULL;
        enum sl_status status = sl_words_load(&file, 1, &issues, &words);
        assert_int_equal(status, lexicons[i].code ? SL_INVALID : SL_OK);
        assert_int_equal(words == NULL, lexicons[i].code != NULL);
        if (lexicons[i].code && strcmp(issues.first->code.ptr, lexicons[i].code) != 0)
            fail_msg("%s: %s", lexicons[i].csv, issues.first->code.ptr);
        sl_words_free(words);
    }
    struct sl_policy_file other = {SL_LIT("terminology/x.csv"), SL_LIT("x")};
    struct sl_issues issues = {.arena = arena};
    struct sl_words *words = NULL;
    assert_int_equal(sl_words_load(&other, 1, &issues, &words), SL_OK);
    assert_null(words);
}

static int load(void **state)
{
    (void)state;
    arena = sl_arena_new((size_t)64 << 20);
    shipped = arena ? lexicon_load(arena) : NULL;
    return shipped == NULL;
}

static int unload(void **state)
{
    (void)state;
    sl_words_free(shipped);
    sl_arena_free(arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(said_of_the_patient), cmocka_unit_test(means_something_else),
        cmocka_unit_test(denied), cmocka_unit_test(of_the_family), cmocka_unit_test(hidden_in_strings),
        cmocka_unit_test(hidden_in_markup), cmocka_unit_test(pictures), cmocka_unit_test(filter),
        cmocka_unit_test(linear), cmocka_unit_test(threads), cmocka_unit_test(loading)};
    return cmocka_run_group_tests(tests, load, unload);
}
