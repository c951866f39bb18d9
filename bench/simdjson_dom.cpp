// SPDX-License-Identifier: Apache-2.0
// simdjson's DOM parse behind two C functions, for span_bench.c. The parser is kept between parses, as its authors
// advise.
#include <simdjson.h>

extern "C" {
int simdjson_dom_parse(const char *text, size_t length);
const char *simdjson_dom_name(void);
}

// The text is followed by SIMDJSON_PADDING bytes that may be read, so that nothing is copied. 1 if it is JSON.
int simdjson_dom_parse(const char *text, size_t length)
{
    static simdjson::dom::parser parser;
    simdjson::dom::element root;
    return parser.parse(text, length, false).get(root) == simdjson::SUCCESS;
}

const char *simdjson_dom_name(void)
{
    static const std::string name = simdjson::get_active_implementation()->name();
    return name.c_str();
}
