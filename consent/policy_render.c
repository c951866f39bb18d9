/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A policy in plain English: what a privacy officer, counsel and the board read and sign. It is made of the files' own
 * trees and of the words of language.def, row by row, so that nothing a file says can be left out: a new word of the
 * language has to say how it reads before it can be used. A fact a line, in a fixed order; no value is left to guess.
 */
#include "language.h"
#include "policy_model.h"
#include "sluice/buffer.h"

struct rendering {
    const struct sl_policy *policy;
    struct sl_buffer *out;
};

static void say(const struct rendering *r, const char *text)
{
    sl_buffer_add(r->out, sl_slice_of(text));
}

static void indent(const struct rendering *r, unsigned depth)
{
    sl_buffer_printf(r->out, "%*s", (int)(2 * depth), "");
}

/* ---- Words ---- */

/* The title of the entry with this id, in whatever file. */
static struct sl_slice title_of(const struct sl_policy *policy, const char *section, struct sl_slice id)
{
    for (size_t i = 0; i < policy->source_count; i++) {
        const struct sl_yaml *list = sl_yaml_get(policy->sources[i].root, section);
        for (const struct sl_yaml *e = list ? list->first : NULL; e; e = e->next) {
            const struct sl_yaml *its = sl_yaml_get(e, "id"), *title = sl_yaml_get(e, "title");
            if (its && title && sl_slice_eq(its->text, id))
                return title->text;
        }
    }
    return (struct sl_slice){NULL, 0};
}

static void write_named(const struct rendering *r, const char *section, struct sl_slice id)
{
    struct sl_slice title = title_of(r->policy, section, id);
    if (title.len)
        sl_buffer_printf(r->out, "\"%.*s\" (%.*s)", SL_FMT(title), SL_FMT(id));
    else
        sl_buffer_add(r->out, id);
}

static void write_purpose(const struct rendering *r, struct sl_slice word)
{
    struct sl_slice code = sl_purpose_find(word);
    for (size_t i = 0; code.len && i < sl_purpose_count(); i++)
        if (sl_slice_eq(sl_purpose_code(i), code)) {
            sl_buffer_printf(r->out, "%.*s (%.*s)", SL_FMT(sl_purpose_name(i)), SL_FMT(code));
            return;
        }
    if (sl_slice_eq(word, SL_LIT("any")))
        say(r, "any purpose");
    else if (sl_slice_eq(word, SL_LIT("tpo")))
        say(r, "treatment, payment and health care operations, as 42 CFR part 2 means them (tpo)");
    else
        sl_buffer_add(r->out, word);
}

static void write_label(const struct rendering *r, struct sl_slice code)
{
    struct sl_coding found[1];
    sl_buffer_add(r->out, code);
    if (sl_security_label_find(code, false, found, 1) && found[0].display.len)
        sl_buffer_printf(r->out, " (%.*s)", SL_FMT(found[0].display));
}

/* A text of several lines stays within its place; what a block ends with is no part of it. */
static void write_text(const struct rendering *r, struct sl_slice text)
{
    while (text.len && (text.ptr[text.len - 1] == '\n' || text.ptr[text.len - 1] == ' '))
        text.len--;
    for (size_t i = 0; i < text.len; i++) {
        sl_buffer_add(r->out, (struct sl_slice){text.ptr + i, 1});
        if (text.ptr[i] == '\n')
            indent(r, 4);
    }
}

static void write_word(const struct rendering *r, enum sl_vocabulary of, struct sl_slice word)
{
    static const struct {
        enum sl_vocabulary of;
        const char *section;
    } named[] = {{SL_WORDS_CLASS_ID, "classes"}, {SL_WORDS_PARTY_ID, "parties"}, {SL_WORDS_PARTY_OR_NOBODY, "parties"},
        {SL_WORDS_CONSENT_ID, "consents"}, {SL_WORDS_LABEL_SET_ID, "label-sets"}, {SL_WORDS_LIST_ID, "element-lists"},
        {SL_WORDS_RULE_ID, "rules"}};
    for (size_t i = 0; i < sizeof named / sizeof *named; i++)
        if (named[i].of == of) {
            write_named(r, named[i].section, word);
            return;
        }
    if (of == SL_WORDS_PURPOSE || of == SL_WORDS_PURPOSES)
        write_purpose(r, word);
    else if (of == SL_WORDS_LABEL_IN || of == SL_WORDS_LABEL_OUT)
        write_label(r, word);
    else
        write_text(r, sl_vocabulary_reads(of, word));
}

/* ---- Values ---- */

static void write_map(const struct rendering *r, enum sl_map map, const struct sl_yaml *at, const char *between);

/* {system, code, display}: "code 42 (what it means) of the system …". */
static void write_coding(const struct rendering *r, const struct sl_yaml *at)
{
    const struct sl_yaml *display = sl_yaml_get(at, "display"), *code = sl_yaml_get(at, "code");
    const struct sl_yaml *system = sl_yaml_get(at, "system");
    sl_buffer_printf(r->out, "code %.*s", SL_FMT(code ? code->text : SL_LIT("(none)")));
    if (display)
        sl_buffer_printf(r->out, " (%.*s)", SL_FMT(display->text));
    sl_buffer_printf(r->out, " of %.*s", SL_FMT(system ? system->text : SL_LIT("no system")));
}

static void write_item(const struct rendering *r, const struct sl_word *word, const struct sl_yaml *item)
{
    if (item->kind != SL_YAML_MAP)
        write_word(r, (enum sl_vocabulary)(word->form == SL_FORM_MAPS ? SL_WORDS_ANY : word->of), item->text);
    else if (word->form == SL_FORM_MAPS && word->of == SL_MAP_FOLDER)
        write_map(r, SL_MAP_FOLDER, item, ", and ");
    else
        write_coding(r, item);
}

/* One value, or several with commas and a last word between them. */
static void write_values(
    const struct rendering *r, const struct sl_word *word, const struct sl_yaml *at, const char *last)
{
    if (at->kind != SL_YAML_LIST) {
        write_item(r, word, at);
        return;
    }
    if (!at->first)
        say(r, "nothing");
    for (const struct sl_yaml *item = at->first; item; item = item->next) {
        if (item != at->first)
            say(r, item->next ? ", " : last);
        write_item(r, word, item);
    }
}

static bool is_yes(const struct sl_yaml *at)
{
    return sl_slice_eq(at->text, SL_LIT("yes")) || sl_slice_eq(at->text, SL_LIT("true"));
}

/* The sentence of a row, with the value in its place. */
static void write_sentence(const struct rendering *r, const struct sl_word *word, const struct sl_yaml *at)
{
    struct sl_slice reads = sl_slice_of(word->reads);
    if (word->form == SL_FORM_FLAG) {
        const char *bar = strchr(word->reads, '|');
        size_t yes = bar ? (size_t)(bar - word->reads) : reads.len;
        sl_buffer_add(r->out, is_yes(at) ? (struct sl_slice){reads.ptr, yes} : sl_slice_from(reads, yes + 1));
        return;
    }
    for (size_t i = 0; i < reads.len; i++)
        if (reads.ptr[i] == '%' || reads.ptr[i] == '&')
            write_values(r, word, at, reads.ptr[i] == '%' ? " or " : " and ");
        else
            sl_buffer_add(r->out, (struct sl_slice){reads.ptr + i, 1});
}

/* The rows of a map on one line. */
static void write_map(const struct rendering *r, enum sl_map map, const struct sl_yaml *at, const char *between)
{
    size_t count;
    const struct sl_word *words = sl_language(map, &count);
    const char *lead = "";
    for (size_t i = 0; i < count; i++) {
        const struct sl_yaml *value = sl_yaml_get(at, words[i].key);
        if (!value || !words[i].reads[0])
            continue;
        say(r, lead);
        write_sentence(r, &words[i], value);
        lead = between;
    }
}

/* ---- Rows that take several lines ---- */

static void render_rows(const struct rendering *r, enum sl_map map, const struct sl_yaml *at, unsigned depth);

/* Each row of a map on a line of its own, after a dash. */
static void render_points(const struct rendering *r, enum sl_map map, const struct sl_yaml *at, unsigned depth)
{
    size_t count;
    const struct sl_word *words = sl_language(map, &count);
    for (size_t i = 0; i < count; i++) {
        const struct sl_yaml *value = sl_yaml_get(at, words[i].key);
        if (!value)
            continue;
        indent(r, depth);
        say(r, "- ");
        if (words[i].form == SL_FORM_MAP) {
            sl_buffer_printf(r->out, "%s\n", words[i].reads);
            render_points(r, (enum sl_map)words[i].of, value, depth + 1);
        } else {
            write_sentence(r, &words[i], value);
            say(r, "\n");
        }
    }
}

/* A line of only-if or unless, and what relying on it brings. */
static void render_line(const struct rendering *r, enum sl_map map, const struct sl_yaml *line, unsigned depth)
{
    const struct sl_yaml *then = sl_yaml_get(line, "then");
    indent(r, depth);
    say(r, "- ");
    write_map(r, map, line, map == SL_MAP_KEEP ? ": " : ", and ");
    say(r, then ? "; and then:\n" : "\n");
    if (then)
        render_points(r, SL_MAP_DUTIES, then, depth + 1);
}

static void render_lines(
    const struct rendering *r, const struct sl_word *word, const struct sl_yaml *at, unsigned depth)
{
    indent(r, depth);
    sl_buffer_printf(r->out, "%s\n", word->reads);
    for (const struct sl_yaml *line = at->kind == SL_YAML_LIST ? at->first : at; line; line = line->next) {
        render_line(r, (enum sl_map)word->of, line, depth + 1);
        if (line == at)
            break;
    }
}

static void render_each(const struct rendering *r, enum sl_vocabulary of, const struct sl_yaml *list, unsigned depth)
{
    for (const struct sl_yaml *item = list->kind == SL_YAML_LIST ? list->first : list; item; item = item->next) {
        indent(r, depth);
        say(r, "- ");
        write_word(r, of, item->text);
        say(r, "\n");
        if (item == list)
            break;
    }
}

static void render_data(const struct rendering *r, const struct sl_word *word, const struct sl_yaml *at, unsigned depth)
{
    const struct sl_yaml *except = sl_yaml_get(at, "all-except");
    indent(r, depth);
    if (at->kind == SL_YAML_SCALAR && sl_slice_eq(at->text, SL_LIT("all"))) {
        say(r, "every kind of data, also such as is added later,\n");
        return;
    }
    sl_buffer_printf(r->out, "%s\n", except ? "every kind of data, also such as is added later, except:" : word->reads);
    render_each(r, SL_WORDS_CLASS_ID, except ? except : at, depth + 1);
}

/* Whom a rule releases to, or withholds from. An invariant is about releases. */
static void render_to(const struct rendering *r, const struct sl_word *word, const struct sl_yaml *entry,
    const struct sl_yaml *at, unsigned depth)
{
    const struct sl_yaml *verdict = sl_yaml_get(entry, "verdict");
    bool release = !verdict || sl_slice_eq(verdict->text, SL_LIT("release"));
    const char *bar = strchr(word->reads, '|');
    struct sl_slice lead = {word->reads, bar ? (size_t)(bar - word->reads) : strlen(word->reads)};
    if (!release && bar)
        lead = sl_slice_of(bar + 1);
    indent(r, depth);
    lead.len--; /* the colon */
    if (at->kind == SL_YAML_SCALAR && sl_slice_eq(at->text, SL_LIT("everyone"))) {
        sl_buffer_printf(r->out, "%.*s everyone%s,\n", SL_FMT(lead), release ? " who is any of the parties" : "");
    } else if (at->kind == SL_YAML_SCALAR && sl_slice_eq(at->text, SL_LIT("nobody"))) {
        sl_buffer_printf(r->out, "%.*s whoever is none of the parties,\n", SL_FMT(lead));
    } else {
        sl_buffer_printf(r->out, "%.*s:\n", SL_FMT(lead));
        render_each(r, SL_WORDS_PARTY_ID, at, depth + 1);
    }
}

static void render_row(const struct rendering *r, const struct sl_word *word, const struct sl_yaml *entry,
    const struct sl_yaml *at, unsigned depth)
{
    if (word->form == SL_FORM_DATA) {
        render_data(r, word, at, depth + 1);
    } else if (word->form == SL_FORM_TO) {
        render_to(r, word, entry, at, depth + 1);
    } else if (word->form == SL_FORM_LINES ||
               (word->form == SL_FORM_MAPS && (word->of == SL_MAP_FORM || word->of == SL_MAP_KEEP))) {
        render_lines(r, word, at, depth);
    } else if (word->form == SL_FORM_MAP) {
        indent(r, depth);
        sl_buffer_printf(r->out, "%s\n", word->reads);
        render_points(r, (enum sl_map)word->of, at, depth + 1);
    } else {
        indent(r, depth);
        write_sentence(r, word, at);
        say(r, "\n");
    }
}

static void render_rows(const struct rendering *r, enum sl_map map, const struct sl_yaml *at, unsigned depth)
{
    size_t count;
    const struct sl_word *words = sl_language(map, &count);
    for (size_t i = 0; i < count; i++) {
        const struct sl_yaml *value = sl_yaml_get(at, words[i].key);
        if (value && words[i].reads[0])
            render_row(r, &words[i], at, value, depth);
    }
}

/* ---- Sections ---- */

static void render_entry(const struct rendering *r, const struct sl_policy_source *source, enum sl_map map,
    const char *what, const struct sl_yaml *entry)
{
    const struct sl_yaml *id = sl_yaml_get(entry, "id"), *title = sl_yaml_get(entry, "title");
    sl_buffer_printf(r->out, "\n%s", what);
    if (id)
        sl_buffer_printf(r->out, " %.*s", SL_FMT(id->text));
    sl_buffer_printf(r->out, ", of the file %.*s\n", SL_FMT(source->yaml.file));
    if (title) {
        indent(r, 1);
        sl_buffer_printf(r->out, "%.*s\n", SL_FMT(title->text));
    }
    render_rows(r, map, entry, 1);
}

static void render_sections(const struct rendering *r)
{
    static const struct {
        const char *key, *heading, *what;
        enum sl_map map;
    } sections[] = {
        {"parties", "WHO MAY ASK", "Party", SL_MAP_PARTY},
        {"classes", "KINDS OF DATA", "Class", SL_MAP_CLASS},
        {"notes", "NOTES KEPT APART", "Notes", SL_MAP_NOTE},
        {"consents", "CONSENTS", "Consent", SL_MAP_CONSENT},
        {"forms", "FORMS OF CONSENT", "Form", SL_MAP_REGISTERED},
        {"label-sets", "WHAT IS PUT ON A RELEASE", "Label set", SL_MAP_LABEL_SET},
        {"element-lists", "LISTS OF ELEMENTS", "Element list", SL_MAP_ELEMENT_LIST},
        {"rules", "RULES", "Rule", SL_MAP_RULE},
        {"writes", "WHO MAY WRITE", "Grant", SL_MAP_GRANT},
        {"searches", "WHO MAY SEARCH BY WORDS", "Grant", SL_MAP_SEARCH},
        {"invariants", "WHAT NO RULE MAY EVER DO", "Invariant", SL_MAP_INVARIANT},
    };
    for (size_t s = 0; s < sizeof sections / sizeof *sections; s++) {
        sl_buffer_printf(r->out, "\n\n%s\n", sections[s].heading);
        for (size_t i = 0; i < r->policy->source_count; i++) {
            const struct sl_policy_source *source = &r->policy->sources[i];
            const struct sl_yaml *list = sl_yaml_get(source->root, sections[s].key);
            for (const struct sl_yaml *entry = list ? list->first : NULL; entry; entry = entry->next)
                render_entry(r, source, sections[s].map, sections[s].what, entry);
        }
    }
}

/* What holds of every policy, and of which no file speaks. */
static const char preface[] =
    "\nHOW TO READ IT\n"
    "\n"
    "  A record, or a part of one, is of one or more kinds of data, called classes.\n"
    "  It goes out only if, for each of its classes that needs a rule to release it, some rule does; and if no rule\n"
    "  withholds any of its classes.\n"
    "  The order of rules never matters.\n"
    "  Files of federal and state law and of programs only withhold; the organization's files release.\n"
    "  A patient's Consent that denies a record withholds it.\n"
    "  What cannot be read, or is of no class, is withheld.\n"
    "  A release for a purpose covers the purposes below it that HIPAA's definition covers; what withholds covers all "
    "below.\n"
    "  Within a line of conditions everything must hold; one line is enough.\n";

/* What policy.yaml decides by saying nothing. */
static void render_defaults(const struct rendering *r)
{
    static const struct {
        const char *key;
        struct sl_yaml value;
    } unsaid[] = {
        {"denials-in-emergency", {.kind = SL_YAML_SCALAR, .text = {"bind", 4}}},
        {"inline-labels", {.kind = SL_YAML_SCALAR, .text = {"no", 2}}},
        {"narrative", {.kind = SL_YAML_SCALAR, .text = {"drop", 4}}},
        {"two-person-rule", {.kind = SL_YAML_SCALAR, .text = {"yes", 3}}},
    };
    for (size_t i = 0; i < sizeof unsaid / sizeof *unsaid; i++)
        if (!sl_yaml_get(r->policy->head, unsaid[i].key))
            render_row(
                r, sl_language_find(SL_MAP_HEAD, sl_slice_of(unsaid[i].key)), r->policy->head, &unsaid[i].value, 1);
}

static void render_files(const struct rendering *r)
{
    say(r, "\n\nTHE FILES\n");
    for (size_t i = 0; i < r->policy->source_count; i++) {
        const struct sl_policy_source *source = &r->policy->sources[i];
        sl_buffer_printf(r->out, "\nFile %.*s\n", SL_FMT(source->yaml.file));
        render_rows(r, SL_MAP_FILE, source->root, 1);
        const struct sl_yaml *cases = sl_yaml_get(source->root, "scenarios");
        if (cases && cases->count) {
            indent(r, 1);
            sl_buffer_printf(r->out, "It holds %zu worked cases, which release and withhold nothing.\n", cases->count);
        }
    }
}

static void render_lists(const struct rendering *r)
{
    say(r, "\n\nLISTS OF CODES AND WORDS\n\n");
    for (size_t i = 0; i < r->policy->file_count; i++) {
        const struct sl_policy_file *file = &r->policy->files[i];
        size_t lines = 0;
        if (file->path.len < 4 || memcmp(file->path.ptr + file->path.len - 4, ".csv", 4) != 0)
            continue;
        for (size_t k = 0; k < file->text.len; k++)
            lines += file->text.ptr[k] == '\n';
        indent(r, 1);
        sl_buffer_printf(r->out, "%.*s has %zu rows.\n", SL_FMT(file->path), lines ? lines - 1 : 0);
    }
}

enum sl_status sl_policy_render(const struct sl_policy *policy, struct sl_buffer *out)
{
    struct rendering r = {.policy = policy, .out = out};
    say(&r, "THE POLICY\n\n");
    render_rows(&r, SL_MAP_HEAD, policy->head, 1);
    render_defaults(&r);
    say(&r, preface);
    render_files(&r);
    render_sections(&r);
    render_lists(&r);
    sl_buffer_printf(out, "\n\nAll this is said by the files whose SHA-256 digest is\n  %s\n", policy->digest);
    return sl_buffer_failed(out) ? SL_LIMIT : SL_OK;
}
