/* SPDX-License-Identifier: Apache-2.0 */
/* Citations of the Code of Federal Regulations, as `law:` has them: "42 CFR 2.31(a), 2.33(b), 45 CFR 164.508(a)(2)". */
#include "policy_review.h"

static const struct section {
    unsigned title;
    struct sl_slice number;
} sections[] = {
#define L(title, number) {title, {number, sizeof(number) - 1}},
#include "citations.def"
#undef L
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static struct sl_slice trimmed(struct sl_slice text)
{
    while (text.len && text.ptr[0] == ' ')
        text = sl_slice_from(text, 1);
    while (text.len && text.ptr[text.len - 1] == ' ')
        text.len--;
    return text;
}

/* "(a)(1)(i)": groups of letters or digits, one after another, down to the last byte. */
static bool are_paragraphs(struct sl_slice text)
{
    while (text.len) {
        size_t end = 1;
        while (end < text.len && (is_digit(text.ptr[end]) || is_letter(text.ptr[end])))
            end++;
        if (text.ptr[0] != '(' || end < 2 || end > 6 || end == text.len || text.ptr[end] != ')')
            return false;
        text = sl_slice_from(text, end + 1);
    }
    return true;
}

static bool is_section(unsigned title, struct sl_slice text)
{
    size_t end = 0;
    while (end < text.len && (is_digit(text.ptr[end]) || text.ptr[end] == '.'))
        end++;
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++)
        if (sections[i].title == title && sl_slice_eq(sections[i].number, (struct sl_slice){text.ptr, end}))
            return are_paragraphs(sl_slice_from(text, end));
    return false;
}

/* "42 CFR " at the front: its title, and how many bytes it takes; 0: none. */
static size_t title_length(struct sl_slice text, unsigned *title)
{
    size_t digits = 0;
    unsigned value = 0;
    while (digits < text.len && digits < 3 && is_digit(text.ptr[digits]))
        value = value * 10 + (unsigned)(text.ptr[digits++] - '0');
    if (!digits || !sl_slice_starts(sl_slice_from(text, digits), SL_LIT(" CFR ")))
        return 0;
    *title = value;
    return digits + 5;
}

struct sl_slice sl_citation_unknown(struct sl_slice law, bool strict)
{
    unsigned title = 0;
    while (law.len) {
        const char *comma = memchr(law.ptr, ',', law.len);
        struct sl_slice one = {law.ptr, comma ? (size_t)(comma - law.ptr) : law.len};
        law = sl_slice_from(law, one.len + 1);
        one = trimmed(one);
        size_t named = title_length(one, &title);
        bool ours = named || (title && one.len && is_digit(one.ptr[0]));
        if (ours ? !is_section(title, sl_slice_from(one, named)) : strict)
            return one.len ? one : SL_LIT(",");
        title = ours ? title : 0;
    }
    return (struct sl_slice){NULL, 0};
}
