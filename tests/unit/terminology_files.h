/* SPDX-License-Identifier: Apache-2.0 */
/* Reads consent/terminology/ of the source tree into memory, for tests that need the lists as they are shipped. */
#ifndef SLUICE_TESTS_TERMINOLOGY_FILES_H
#define SLUICE_TESTS_TERMINOLOGY_FILES_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "terminology.h"

#define FILE_LIMIT 32

struct shipped {
    struct sl_policy_file files[FILE_LIMIT];
    size_t count;
};

static inline struct sl_slice read_whole(const char *path)
{
    struct sl_slice text = {NULL, 0};
    FILE *file = fopen(path, "rb");
    if (!file)
        return text;
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    char *bytes = malloc((size_t)size + 1);
    if (bytes && fread(bytes, 1, (size_t)size, file) == (size_t)size)
        text = (struct sl_slice){bytes, (size_t)size};
    fclose(file);
    return text;
}

static inline void shipped_read(struct shipped *shipped)
{
    char path[1024];
    shipped->count = 0;
    DIR *folder = opendir(SLUICE_SOURCE "/consent/terminology");
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        struct sl_slice name = sl_slice_of(entry->d_name);
        if (name.len < 5 || strcmp(entry->d_name + name.len - 4, ".csv") != 0 || shipped->count == FILE_LIMIT)
            continue;
        snprintf(path, sizeof path, "%s/consent/terminology/%s", SLUICE_SOURCE, entry->d_name);
        struct sl_slice text = read_whole(path);
        char *kept = malloc(sizeof "terminology/" + name.len);
        snprintf(kept, sizeof "terminology/" + name.len, "terminology/%s", entry->d_name);
        shipped->files[shipped->count++] = (struct sl_policy_file){sl_slice_of(kept), text};
    }
    if (folder)
        closedir(folder);
}

static inline void shipped_free(struct shipped *shipped)
{
    for (size_t i = 0; i < shipped->count; i++) {
        free((void *)(uintptr_t)shipped->files[i].path.ptr);
        free((void *)(uintptr_t)shipped->files[i].text.ptr);
    }
}

#endif
