/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each change does to which elements: see change.h. A table of rows; one that fits an element may cut it or put
 * another text in its place. Elements are told by type wherever they stand, so that an extension's value is found too,
 * and by name where R4 has a plain string for what is a name or a number of a person.
 *
 * Sources: 45 CFR 164.514(b)(2)(i)(A) to (R) and (e)(2); for the postal codes that become 000, the 17 areas of 20,000
 * people or fewer in the guidance of HHS on de-identification (26 November 2012, census of 2000).
 */
#include "change.h"

#define OLD 90 /* years: what is over 89 */

static const struct {
    const char *word, *reads;
    uint32_t bits;
} words[] = {
#define C(name, word, implied, reads) {word, reads, SL_CHANGE_BIT(name) | (implied)},
#include "changes.def"
#undef C
};

struct sl_slice sl_change_word(enum sl_change change)
{
    return sl_slice_of(words[change].word);
}

struct sl_slice sl_change_reads(enum sl_change change)
{
    return sl_slice_of(words[change].reads);
}

uint32_t sl_change_bits(enum sl_change change)
{
    return words[change].bits;
}

/* ---- What is done to one element ---- */

static enum sl_change_effect goes(const struct sl_change_place *p, struct sl_slice *text)
{
    (void)p;
    (void)text;
    return SL_CHANGE_CUT;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool digits(struct sl_slice text, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (i >= text.len || !is_digit(text.ptr[i]))
            return false;
    return true;
}

/* A date says its year in its first four digits; what does not is no date, and goes. */
static enum sl_change_effect to_year(const struct sl_change_place *p, struct sl_slice *text)
{
    struct sl_slice date = sl_span_raw(p->doc, p->span);
    if (!digits(date, 4) || (date.len > 4 && date.ptr[4] != '-'))
        return SL_CHANGE_CUT;
    if (date.len == 4)
        return SL_CHANGE_KEEP;
    *text = sl_arena_printf(p->arena, "\"%.4s\"", date.ptr);
    return SL_CHANGE_REPLACE;
}

/* A year so long past that whatever happened in it tells of an age over 89. The year alone decides, so that the answer
 * is the same whether the day goes out or not: it may go up to a year early. */
static enum sl_change_effect unless_recent(const struct sl_change_place *p, struct sl_slice *text)
{
    struct sl_slice date = sl_span_raw(p->doc, p->span);
    (void)text;
    if (!digits(date, 4))
        return SL_CHANGE_CUT;
    int year = (date.ptr[0] - '0') * 1000 + (date.ptr[1] - '0') * 100 + (date.ptr[2] - '0') * 10 + (date.ptr[3] - '0');
    return p->year - year >= OLD ? SL_CHANGE_CUT : SL_CHANGE_KEEP;
}

static struct sl_slice number_member(const struct sl_change_place *p)
{
    uint32_t value = sl_span_member(p->doc, p->span, SL_NAME_value);
    return value && p->doc->spans[value].type == SL_SPAN_NUMBER ? sl_span_text(p->doc, value)
                                                                : (struct sl_slice){NULL, 0};
}

/* The whole part of a number written plainly, at most 7 digits; -1: it is written in another way. */
static long whole_part(struct sl_slice number)
{
    long value = 0;
    size_t i = 0;
    for (; i < number.len && is_digit(number.ptr[i]); i++)
        value = i < 7 ? value * 10 + (number.ptr[i] - '0') : -1;
    if (!i || i > 7)
        return -1;
    for (size_t k = i + (i < number.len && number.ptr[i] == '.'); k < number.len; k++)
        if (!is_digit(number.ptr[k]) || k == i)
            return -1;
    return value;
}

/* How many of the unit are 90 years; 0: no unit of time that is known here. */
static long old_in(const struct sl_change_place *p)
{
    static const struct {
        struct sl_slice code;
        long old;
    } units[] = {{{"a", 1}, OLD}, {{"mo", 2}, OLD * 12L}, {{"wk", 2}, OLD * 52L}, {{"d", 1}, OLD * 365L},
        {{"h", 1}, OLD * 8760L}};
    uint32_t code = sl_span_member(p->doc, p->span, SL_NAME_code);
    for (size_t i = 0; code && i < sizeof units / sizeof *units; i++)
        if (sl_span_is(p->doc, code, units[i].code))
            return units[i].old;
    return 0;
}

/* An Age: one over 89 goes out as 90 or more, and one that cannot be told goes. */
static enum sl_change_effect cap_age(const struct sl_change_place *p, struct sl_slice *text)
{
    if (p->doc->spans[p->span].type != SL_SPAN_OBJECT)
        return SL_CHANGE_CUT;
    uint32_t comparator = sl_span_member(p->doc, p->span, SL_NAME_comparator);
    long value = whole_part(number_member(p)), old = old_in(p);
    bool below =
        !comparator || sl_span_is(p->doc, comparator, SL_LIT("<")) || sl_span_is(p->doc, comparator, SL_LIT("<="));
    if (value < 0 || !old || (!below && value < old))
        return SL_CHANGE_CUT;
    if (value < old)
        return SL_CHANGE_KEEP;
    *text = SL_LIT("{\"value\":90,\"comparator\":\">=\",\"unit\":\"years\",\"system\":\"http://unitsofmeasure.org\","
                   "\"code\":\"a\"}");
    return SL_CHANGE_REPLACE;
}

static bool is_american(const struct sl_change_place *p)
{
    uint32_t country = sl_span_member(p->doc, p->doc->parents[p->span], SL_NAME_country);
    return !country || sl_span_is(p->doc, country, SL_LIT("US")) || sl_span_is(p->doc, country, SL_LIT("USA")) ||
           sl_span_is(p->doc, country, SL_LIT("United States")) ||
           sl_span_is(p->doc, country, SL_LIT("United States of America"));
}

static enum sl_change_effect to_three_digits(const struct sl_change_place *p, struct sl_slice *text)
{
    static const char few[][4] = {"036", "059", "063", "102", "203", "556", "692", "790", "821", "823", "830", "831",
        "878", "879", "884", "890", "893"};
    struct sl_slice zip = sl_span_raw(p->doc, p->span);
    bool form =
        digits(zip, 5) && (zip.len == 5 || (zip.len == 10 && zip.ptr[5] == '-' && digits(sl_slice_from(zip, 6), 4)));
    bool short_form = zip.len == 3 && digits(zip, 3); /* as it came from one who had cut it down already */
    if ((!form && !short_form) || !is_american(p))
        return SL_CHANGE_CUT;
    *text = sl_arena_printf(p->arena, "\"%.3s\"", zip.ptr);
    for (size_t i = 0; i < sizeof few / sizeof *few; i++)
        if (memcmp(zip.ptr, few[i], 3) == 0)
            *text = SL_LIT("\"000\"");
    return SL_CHANGE_REPLACE;
}

/* ---- Which elements ---- */

#define ANY (~(uint32_t)0)
#define DATES SL_CHANGE_BIT(DATES_TO_YEAR)
#define AGES SL_CHANGE_BIT(AGES_OVER_89)
#define ZIP SL_CHANGE_BIT(ZIP_TO_3)
#define STREET SL_CHANGE_BIT(NO_STREET)
#define TOWN SL_CHANGE_BIT(NO_TOWN)
#define NAMES SL_CHANGE_BIT(NO_NAMES)
#define CONTACT SL_CHANGE_BIT(NO_CONTACT)
#define NUMBERS SL_CHANGE_BIT(NO_IDENTIFIERS)
#define PERSONAL (NAMES | CONTACT | NUMBERS)

/* By the type of its value (node), or by the node whose property it is and its name; 0: any. */
static const struct row {
    uint32_t changes;
    sl_r4_node node, parent;
    sl_name name;
    enum sl_change_effect (*effect)(const struct sl_change_place *place, struct sl_slice *text);
} rows[] = {
    {ANY, SL_R4_Attachment, 0, 0, goes},
    {ANY, SL_R4_Signature, 0, 0, goes},
    {DATES, SL_R4_date, 0, 0, to_year},
    {DATES, SL_R4_dateTime, 0, 0, to_year},
    {DATES, SL_R4_instant, 0, 0, goes}, /* an instant has no shorter form */
    {AGES, SL_R4_date, 0, 0, unless_recent},
    {AGES, SL_R4_dateTime, 0, 0, unless_recent},
    {AGES, SL_R4_instant, 0, 0, unless_recent},
    {AGES, SL_R4_Age, 0, 0, cap_age},
    {ZIP, 0, SL_R4_Address, SL_NAME_postalCode, to_three_digits},
    {STREET, 0, SL_R4_Address, SL_NAME_line, goes},
    {STREET, 0, SL_R4_Address, SL_NAME_text, goes},
    {ZIP | STREET, 0, SL_R4_Address, SL_NAME_extension, goes}, /* latitude and longitude, census tract */
    {ZIP, 0, SL_R4_Address, SL_NAME_text, goes},
    {TOWN, 0, SL_R4_Address, SL_NAME_city, goes},
    {TOWN, 0, SL_R4_Address, SL_NAME_district, goes},
    {ZIP | STREET, 0, SL_R4_Location, SL_NAME_position, goes},
    {NAMES, SL_R4_HumanName, 0, 0, goes},
    {NAMES, 0, SL_R4_Reference, SL_NAME_display, goes},
    {NAMES, 0, SL_R4_FamilyMemberHistory, SL_NAME_name, goes},
    {NAMES, 0, SL_R4_Account, SL_NAME_name, goes},
    {NAMES, 0, SL_R4_Group, SL_NAME_name, goes},
    {NAMES, 0, SL_R4_CareTeam, SL_NAME_name, goes}, /* what is called after its patient */
    {NAMES, 0, SL_R4_CarePlan, SL_NAME_title, goes},
    {NAMES, 0, SL_R4_List, SL_NAME_title, goes},
    {NAMES, 0, SL_R4_AuditEvent_agent, SL_NAME_name, goes},
    {NAMES, 0, SL_R4_AuditEvent_entity, SL_NAME_name, goes},
    {NAMES, 0, SL_R4_ContactDetail, SL_NAME_name, goes},
    {NAMES, 0, SL_R4_Contributor, SL_NAME_name, goes},
    {CONTACT, SL_R4_ContactPoint, 0, 0, goes},
    {CONTACT, 0, SL_R4_AuditEvent_agent_network, SL_NAME_address, goes},
    {NUMBERS, SL_R4_Identifier, 0, 0, goes},
    {NUMBERS, 0, SL_R4_AuditEvent_agent, SL_NAME_altId, goes},
    {NUMBERS, 0, SL_R4_Coverage, SL_NAME_subscriberId, goes},
    {NUMBERS, 0, SL_R4_Coverage, SL_NAME_dependent, goes},
    {NUMBERS, 0, SL_R4_CoverageEligibilityResponse, SL_NAME_preAuthRef, goes},
    {NUMBERS, 0, SL_R4_Claim_insurance, SL_NAME_preAuthRef, goes},
    {NUMBERS, 0, SL_R4_ClaimResponse, SL_NAME_preAuthRef, goes},
    {NUMBERS, 0, SL_R4_ExplanationOfBenefit, SL_NAME_preAuthRef, goes},
    {NUMBERS, 0, SL_R4_ExplanationOfBenefit_insurance, SL_NAME_preAuthRef, goes},
    {NUMBERS, 0, SL_R4_Device, SL_NAME_udiCarrier, goes},
    {NUMBERS, 0, SL_R4_Device, SL_NAME_serialNumber, goes},
    {NUMBERS, 0, SL_R4_Device, SL_NAME_distinctIdentifier, goes},
    {NUMBERS, 0, SL_R4_Device, SL_NAME_lotNumber, goes},
    {NUMBERS, 0, SL_R4_Device, SL_NAME_url, goes},
    /* What an extension says in plain words or as an address may be any of these: mother's maiden name, a page. */
    {PERSONAL, 0, SL_R4_Extension, SL_NAME_valueString, goes},
    {PERSONAL, 0, SL_R4_Extension, SL_NAME_valueUri, goes},
    {PERSONAL, 0, SL_R4_Extension, SL_NAME_valueUrl, goes},
    {PERSONAL, 0, SL_R4_Extension, SL_NAME_valueOid, goes},
    {PERSONAL, 0, SL_R4_Extension, SL_NAME_valueUuid, goes},
    {PERSONAL, 0, SL_R4_Extension, SL_NAME_valueId, goes},
};

static bool fits(const struct row *row, const struct sl_change_place *place)
{
    const struct sl_r4_element *e = place->element;
    return row->node ? e->node == row->node : e->parent == row->parent && e->name == row->name;
}

/* An age said in another way than as an Age: onsetRange and onsetString beside onsetAge. */
static bool is_age_in_words(const struct sl_r4_element *element)
{
    size_t count;
    const struct sl_r4_element *all = sl_r4_elements(element->parent, &count);
    if (!element->choice || (element->node != SL_R4_Range && element->node != SL_R4_string))
        return false;
    for (size_t i = 0; i < count; i++)
        if (all[i].choice == element->choice && all[i].node == SL_R4_Age && element->parent != SL_R4_Extension)
            return true;
    return false;
}

/* What the '_' half of a primitive says in extensions is of the value, in other words: the town's code, the street of
 * the line. It goes where the value would be taken away or cut short; the time of a date and the like are told by type.
 */
static bool half_goes(uint32_t changes, const struct sl_change_place *place)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].changes & changes && fits(&rows[i], place) &&
            (rows[i].effect == goes || rows[i].effect == to_three_digits))
            return true;
    return false;
}

enum sl_change_effect sl_change_apply(uint32_t changes, const struct sl_change_place *place, struct sl_slice *text)
{
    enum sl_change_effect effect = SL_CHANGE_KEEP;
    if (!changes || !place->element)
        return SL_CHANGE_KEEP;
    if (place->element->flags & (SL_R4_TEXT | SL_R4_ATTACHMENT) || (changes & AGES && is_age_in_words(place->element)))
        return SL_CHANGE_CUT;
    if (place->half)
        return half_goes(changes, place) ? SL_CHANGE_CUT : SL_CHANGE_KEEP;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!(rows[i].changes & changes) || !fits(&rows[i], place))
            continue;
        enum sl_change_effect one = rows[i].effect(place, text);
        if (one == SL_CHANGE_CUT)
            return one;
        if (one == SL_CHANGE_REPLACE)
            effect = one;
    }
    return effect;
}

/* ---- Searches ---- */

/* Does a row that puts something in the place of others fit the element, or one within it? */
static bool replaces(uint32_t changes, const struct sl_r4_element *element)
{
    sl_r4_node node = element->node;
    bool address = node == SL_R4_Address || (element->parent == SL_R4_Address && element->name == SL_NAME_postalCode);
    bool date = node == SL_R4_date || node == SL_R4_dateTime || node == SL_R4_Period || node == SL_R4_Timing;
    return (changes & DATES && date) || (changes & AGES && node == SL_R4_Age) || (changes & ZIP && address);
}

static const struct sl_r4_element *element_at(const char *path)
{
    size_t len = strcspn(path, ".");
    sl_r4_node node = sl_r4_resource((struct sl_slice){path, len});
    const struct sl_r4_element *element = NULL;
    for (path += len; node && *path == '.'; path += len) {
        len = strcspn(++path, ".");
        element = sl_r4_element(node, sl_name_find(path, len));
        node = element ? element->node : 0;
    }
    return *path ? NULL : element;
}

bool sl_change_touches(uint32_t changes, const struct sl_r4_param *param)
{
    for (const char *const *path = param->paths; path && *path; path++) {
        const struct sl_r4_element *element = element_at(*path);
        if (!element || replaces(changes, element))
            return true; /* where it leads is not known: as if it did */
    }
    return false;
}
