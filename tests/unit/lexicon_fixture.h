/* SPDX-License-Identifier: Apache-2.0 */
/* The shipped lexicon, for tests and fuzzers. */
#ifndef SLUICE_TESTS_LEXICON_FIXTURE_H
#define SLUICE_TESTS_LEXICON_FIXTURE_H

#include <dirent.h>

#include "sluice/yaml.h"
#include "words.h"

/* NULL: it cannot be read. The arena is needed while this runs. */
static inline struct sl_words *lexicon_load(struct sl_arena *arena)
{
    struct sl_policy_file files[32];
    size_t count = 0;
    struct sl_issues issues = {.arena = arena};
    struct sl_words *words = NULL;
    DIR *folder = opendir(SLUICE_SOURCE "/consent/lexicon");
    if (!folder)
        return NULL;
    bool good = true;
    for (struct dirent *entry; good && (entry = readdir(folder)) && count < 32;) {
        if (!strstr(entry->d_name, ".csv"))
            continue;
        struct sl_slice path = sl_arena_printf(arena, SLUICE_SOURCE "/consent/lexicon/%s", entry->d_name);
        files[count].path = sl_arena_printf(arena, "lexicon/%s", entry->d_name);
        good = sl_file_read(arena, path.ptr, (size_t)1 << 24, &files[count++].text) == SL_OK;
    }
    closedir(folder);
    return good && sl_words_load(files, count, &issues, &words) == SL_OK ? words : NULL;
}

#endif
