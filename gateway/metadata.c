/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CapabilityStatement: see metadata.h. The same bytes for everyone, under one policy. Types that are reached by
 * route alone can be read, and not searched.
 */
#include "metadata.h"

#include "outcome.h"
#include "sluice/search.h"

static const char *param_type(enum sl_r4_param_type type)
{
    static const char *const names[] = {
        "", "number", "date", "string", "token", "reference", "composite", "quantity", "uri", "special"};
    return names[type];
}

static void add_params(struct sl_buffer *out, sl_r4_node type)
{
    size_t count = 0;
    const struct sl_r4_param *params = sl_r4_params(type, &count);
    sl_buffer_printf(out, ",\"searchInclude\":[\"*\"],\"searchParam\":[{\"name\":\"_list\",\"type\":\"special\"},"
                          "{\"name\":\"_filter\",\"type\":\"special\"},{\"name\":\"_text\",\"type\":\"special\"},"
                          "{\"name\":\"_content\",\"type\":\"special\"}");
    for (size_t i = 0; i < count; i++)
        if (sl_search_serves(&params[i]))
            sl_buffer_printf(out, ",{\"name\":\"%s\",\"type\":\"%s\"}", params[i].name, param_type(params[i].type));
    sl_buffer_add(out, SL_LIT("]"));
}

/* Of each type, $validate among them. */
static void add_operations(struct sl_buffer *out, sl_r4_node type)
{
    static const struct {
        sl_r4_node type;
        const char *name, *definition;
    } operations[] = {
        {SL_R4_Patient, "everything", "http://hl7.org/fhir/OperationDefinition/Patient-everything"},
        {SL_R4_Patient, "match", "http://hl7.org/fhir/OperationDefinition/Patient-match"},
        {SL_R4_Encounter, "everything", "http://hl7.org/fhir/OperationDefinition/Encounter-everything"},
        {SL_R4_Observation, "lastn", "http://hl7.org/fhir/OperationDefinition/Observation-lastn"},
        {SL_R4_DocumentReference, "docref", "http://hl7.org/fhir/us/core/OperationDefinition/docref"},
    };
    sl_buffer_printf(out, ",\"operation\":[{\"name\":\"validate\",\"definition\":"
                          "\"http://hl7.org/fhir/OperationDefinition/Resource-validate\"}");
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
        if (operations[i].type == type)
            sl_buffer_printf(
                out, ",{\"name\":\"%s\",\"definition\":\"%s\"}", operations[i].name, operations[i].definition);
    sl_buffer_add(out, SL_LIT("]"));
}

/* What a grant of the policy lets somebody do: who that is, it says to nobody. */
static void add_writes(struct sl_buffer *out, const struct sl_policy *policy, sl_r4_node type)
{
    for (enum sl_write_action action = SL_WRITE_CREATE; action < SL_WRITE_ACTIONS; action++)
        if (sl_write_offered(policy, type, action))
            sl_buffer_printf(out, ",{\"code\":\"%.*s\"}", SL_FMT(sl_write_word(action)));
}

static void add_conditions(struct sl_buffer *out, const struct sl_policy *policy, sl_r4_node type)
{
    bool creates = sl_write_offered(policy, type, SL_WRITE_CREATE);
    bool updates = sl_write_offered(policy, type, SL_WRITE_UPDATE);
    bool deletes = sl_write_offered(policy, type, SL_WRITE_DELETE);
    sl_buffer_printf(out,
        ",\"versioning\":\"%s\",\"updateCreate\":false,\"conditionalCreate\":%s,\"conditionalUpdate\":%s,"
        "\"conditionalDelete\":\"%s\"",
        updates ? "versioned-update" : "versioned", creates ? "true" : "false", updates ? "true" : "false",
        deletes ? "single" : "not-supported");
}

/* What is reached by route alone has no history to be asked for. */
static void add_versions(struct sl_buffer *out, bool history)
{
    if (history)
        sl_buffer_add(out, SL_LIT(",{\"code\":\"vread\"},{\"code\":\"history-instance\"},{\"code\":\"history-type\"}"));
    sl_buffer_printf(out, "],\"readHistory\":%s", history ? "true" : "false");
}

static void add_resource(
    const struct sl_config *config, const struct sl_policy *policy, struct sl_buffer *out, sl_r4_node type, bool first)
{
    struct sl_slice name = sl_r4_node_name(type);
    bool searched = !(sl_r4_facts(type) & SL_R4_BY_ROUTE);
    sl_buffer_printf(out, "%s{\"type\":\"%.*s\",\"interaction\":[{\"code\":\"read\"}%s", first ? "" : ",", SL_FMT(name),
        searched ? ",{\"code\":\"search-type\"}" : "");
    add_writes(out, policy, type);
    add_versions(out, config->upstream_history && (searched || type == SL_R4_Provenance));
    sl_buffer_add(out, SL_LIT(",\"conditionalRead\":\"full-support\""));
    add_conditions(out, policy, type);
    if (searched)
        add_params(out, type);
    add_operations(out, type);
    sl_buffer_add(out, SL_LIT("}"));
}

static void add_head(struct sl_buffer *out, const struct sl_config *config)
{
    sl_buffer_printf(out,
        "{\"resourceType\":\"CapabilityStatement\",\"status\":\"active\",\"date\":\"2026-11-22\",\"kind\":"
        "\"instance\",\"software\":{\"name\":\"Sluice\"},\"implementation\":{\"description\":");
    sl_buffer_json_string(out, sl_standing_sentence);
    sl_buffer_add(out, SL_LIT(",\"url\":"));
    sl_buffer_json_string(out, config->url);
    sl_buffer_printf(out, "},\"fhirVersion\":\"4.0.1\",\"format\":[\"application/fhir+json\",\"application/"
                          "fhir+xml\"],\"rest\":[{\"mode\":\"server\","
                          "\"documentation\":");
    sl_buffer_json_string(out, sl_standing_sentence);
    sl_buffer_printf(out,
        ",\"security\":{\"service\":[{\"coding\":[{\"system\":"
        "\"http://terminology.hl7.org/CodeSystem/restful-security-service\",\"code\":\"OAuth\"}]}],\"description\":"
        "\"A bearer token of a configured issuer; Sluice-Purpose picks one of its purposes of use; breaking the glass "
        "needs "
        "Sluice-Emergency (42 CFR 2.51).\"},\"resource\":[");
}

enum sl_status sl_metadata_write(const struct sl_config *config, const struct sl_policy *policy, struct sl_buffer *out)
{
    bool first = true;
    add_head(out, config);
    for (sl_r4_node type = 1; type < SL_R4_NODES; type++) {
        if (!sl_r4_is_resource(type) || !sl_r4_params(type, &(size_t){0}))
            continue;
        add_resource(config, policy, out, type, first);
        first = false;
    }
    sl_buffer_add(
        out, SL_LIT("],\"interaction\":[{\"code\":\"search-system\"},{\"code\":\"batch\"},{\"code\":\"transaction\"}"));
    if (config->upstream_history)
        sl_buffer_add(out, SL_LIT(",{\"code\":\"history-system\"}"));
#define COMPARTMENT "http://hl7.org/fhir/CompartmentDefinition/"
    sl_buffer_add(
        out, SL_LIT("],\"compartment\":[\"" COMPARTMENT "patient\",\"" COMPARTMENT "encounter\",\"" COMPARTMENT
                    "practitioner\",\"" COMPARTMENT "relatedPerson\",\"" COMPARTMENT "device\"]}]}"));
#undef COMPARTMENT
    return sl_buffer_failed(out) ? SL_LIMIT : SL_OK;
}
