/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lines of rules ask of a record besides its classes: how old the patient was at its time, and in which state the
 * place is that made it. Worked out only if the policy asks, once everything is linked. What cannot be told stays
 * unknown: what that comes to, the line says.
 */
#include "labelling.h"

#include "directive_model.h"
#include "item_facts.h"
#include "terminology.h"

#define STEPS 8u       /* from a place to what it is part of */
#define HALF_DAY 50400 /* seconds by which the day at a place can be another than that of an instant in UTC */

/* ---- Age ---- */

/* A day as year, month and day in one number, so that years between two are one subtraction. */
static int64_t day_number(int64_t seconds)
{
    int64_t days = seconds / 86400 - (seconds % 86400 < 0);
    /* Howard Hinnant's civil_from_days: eras of 400 years that begin on the 1st of March. */
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097, of_era = days - era * 146097;
    int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * of_year + 2) / 153, day = of_year - (153 * shifted + 2) / 5 + 1;
    int64_t month = shifted < 10 ? shifted + 3 : shifted - 9;
    return (year_of_era + era * 400 + (month <= 2)) * 10000 + month * 100 + day;
}

static uint16_t years_between(int64_t birth, int64_t at)
{
    int64_t years = (day_number(at) - day_number(birth)) / 10000;
    return years < 0 ? 0 : years > UINT16_MAX ? UINT16_MAX : (uint16_t)years;
}

/* The first second and the last one in which it can have been. */
static bool read_service(const struct sl_item *item, int64_t *first, int64_t *last)
{
    struct sl_moment from, to;
    if (!sl_moment_read(item->date_from, &from))
        return false;
    to = from;
    if (item->date_to.len && !sl_moment_read(item->date_to, &to))
        return false;
    *first = from.begin - (from.whole_days ? 0 : HALF_DAY);
    *last = to.end - 1 + (to.whole_days ? 0 : HALF_DAY);
    return *first <= *last;
}

static const struct sl_item *patient_of(const struct sl_labeller *labeller, struct sl_slice reference)
{
    const struct sl_slice type = SL_LIT("Patient/");
    const struct labelled *item = sl_slice_starts(reference, type)
                                      ? sl_labeller_lookup(labeller, SL_R4_Patient, sl_slice_from(reference, type.len))
                                      : sl_labeller_lookup(labeller, 0, reference);
    for (; item; item = item->same_id)
        if (item->item.doc && item->item.type == SL_R4_Patient)
            return &item->item;
    return NULL;
}

static bool read_birth(
    const struct sl_labeller *labeller, const struct sl_item *item, struct sl_slice who, struct sl_moment *out)
{
    const struct sl_item *patient = item->type == SL_R4_Patient ? item : patient_of(labeller, who);
    uint32_t span = patient && patient->doc ? sl_span_member(patient->doc, patient->span, SL_NAME_birthDate) : 0;
    return span && sl_moment_read(sl_span_string(patient->doc, span, labeller->arena), out);
}

/* Of several patients, the youngest to the oldest. */
static void find_age(const struct sl_labeller *labeller, struct sl_item *item)
{
    struct sl_age age = {.known = item->patient_count > 0, .least = UINT16_MAX};
    int64_t first, last;
    if (!age.known || !read_service(item, &first, &last))
        return;
    for (uint32_t i = 0; i < item->patient_count; i++) {
        struct sl_moment birth;
        if (!read_birth(labeller, item, item->patients[i], &birth) || birth.begin > last)
            return;
        uint16_t least = years_between(birth.end - 1, first), most = years_between(birth.begin, last);
        age.least = least < age.least ? least : age.least;
        age.most = most > age.most ? most : age.most;
    }
    item->age = age;
}

/* ---- State ---- */

/* The state of an Address: two letters, as the postal service writes them; anything else is none that is known. */
static struct sl_slice read_state(struct sl_labeller *labeller, const struct sl_item *place)
{
    const struct sl_doc *doc = place->doc;
    uint32_t address = sl_span_member(doc, place->span, SL_NAME_address);
    if (address && doc->spans[address].type == SL_SPAN_ARRAY)
        address = doc->spans[address].next > address + 1 ? address + 1 : 0;
    if (!address || doc->spans[address].type != SL_SPAN_OBJECT)
        return (struct sl_slice){NULL, 0};
    uint32_t state_at = sl_span_member(doc, address, SL_NAME_state);
    struct sl_slice text = state_at ? sl_span_string(doc, state_at, labeller->arena) : (struct sl_slice){NULL, 0};
    if (text.len != 2)
        return (struct sl_slice){NULL, 0};
    const char upper[] = {(char)(text.ptr[0] & ~0x20), (char)(text.ptr[1] & ~0x20)};
    struct sl_slice state = {upper, 2};
    return sl_state_known(state) ? sl_arena_copy(labeller->arena, state) : (struct sl_slice){NULL, 0};
}

/* What a place is part of, or who runs it. */
static const struct sl_item *part_of(const struct sl_item *place)
{
    for (uint32_t i = 0; i < place->reference_count; i++) {
        const struct sl_item *to = place->references[i].item;
        if (place->references[i].kind == SL_REF_ORIGIN && to && to->doc && sl_programs_type(to->type))
            return to;
    }
    return NULL;
}

static struct sl_slice state_of_place(struct sl_labeller *labeller, const struct sl_item *place)
{
    struct sl_slice state = {NULL, 0};
    for (unsigned step = 0; place && place->doc && !state.len && step < STEPS; step++) {
        state = read_state(labeller, place);
        place = part_of(place);
    }
    return state;
}

/* The place that made it: the custodian, by way of its visit or by itself. */
static void find_state(struct sl_labeller *labeller, struct sl_item *item)
{
    const struct sl_item *place = sl_programs_type(item->type) ? item : NULL;
    const struct sl_slice type = SL_LIT("Organization/");
    if (!place && sl_slice_starts(item->custodian, type)) {
        const struct labelled *known =
            sl_labeller_lookup(labeller, SL_R4_Organization, sl_slice_from(item->custodian, type.len));
        place = known ? &known->item : NULL;
    }
    item->source_state = state_of_place(labeller, place);
}

void sl_label_facts(struct sl_labeller *labeller)
{
    if (!labeller->earning->ages && !labeller->earning->states)
        return;
    for (struct labelled *item = labeller->first; item; item = (struct labelled *)item->item.next) {
        item->item.age = (struct sl_age){.known = false};
        item->item.source_state = (struct sl_slice){NULL, 0};
        if (labeller->earning->ages)
            find_age(labeller, &item->item);
        if (labeller->earning->states)
            find_state(labeller, &item->item);
    }
}

bool sl_label_facts_need(const struct sl_labeller *labeller, const struct sl_item *from, const struct sl_reference *r)
{
    const struct sl_earning *earning = labeller->earning;
    if (from->context && sl_r4_facts(from->type) & SL_R4_DIRECTORY && !sl_programs_type(from->type))
        return false;
    return (earning->ages && r->patient && r->type == SL_R4_Patient && !from->context) ||
           (earning->states && r->kind == SL_REF_ORIGIN && sl_programs_type(r->type));
}
