/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records at hand under two policies that differ in code lists alone: which would change class. Files are read one by
 * one, each by itself; what a record refers to outside its file names no record.
 */
#ifndef SLUICE_GATEWAY_TERMINOLOGY_REPLAY_H
#define SLUICE_GATEWAY_TERMINOLOGY_REPLAY_H

#include "sluice/policy.h"

struct sl_replay {
    const struct sl_policy *before, *after;
    size_t shown_limit; /* records named on standard output */
    /* Filled in. */
    size_t files, records, changed, unread;
    size_t gained[SL_CLASS_LIMIT], lost[SL_CLASS_LIMIT]; /* records, by class of `before` */
};

/* A file of one resource, a Bundle or NDJSON; or a directory: its .json and .ndjson files, and those of its
 * directories. What cannot be read is counted in `unread` and named on standard error. */
SL_MUST_CHECK enum sl_status sl_replay_path(struct sl_replay *replay, const char *path);

#endif
