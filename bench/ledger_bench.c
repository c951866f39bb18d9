/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much does grouping give? Records a second that are durable, in one run on one disk: one producer that waits for
 * each record (so one sync a record), 64 producers that each wait, and 64 that each keep 64 records under way, as
 * workers do. The figures are printed as ratios to the first.
 *
 *     ledger_bench [DIRECTORY [SECONDS]]      a scratch directory is made in DIRECTORY (default: the current one)
 */
#include "sluice/ledger.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define RECORD 400 /* bytes: a disclosure of a page of ten */
#define PRODUCERS 64
#define UNDER_WAY 64

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct producer {
    struct sl_ledger *ledger;
    unsigned under_way;
    double until;
    unsigned long made;
    sem_t free;
    atomic_ulong failed;
    char record[RECORD];
};

static void done(struct sl_append *append, enum sl_status status, uint64_t sequence)
{
    (void)sequence;
    struct producer *producer = append->context;
    if (status != SL_OK)
        atomic_fetch_add(&producer->failed, 1);
    sem_post(&producer->free);
}

/* A ring of appends: they are confirmed in order, so the oldest is free when one more is. */
static void *produce(void *context)
{
    struct producer *producer = context;
    struct sl_append ring[UNDER_WAY];
    sem_init(&producer->free, 0, producer->under_way);
    while (now() < producer->until) {
        sem_wait(&producer->free);
        struct sl_append *append = &ring[producer->made % producer->under_way];
        *append = (struct sl_append){.record = {producer->record, RECORD}, .done = done, .context = producer};
        if (sl_ledger_append(producer->ledger, append) != SL_OK) {
            atomic_fetch_add(&producer->failed, 1);
            return NULL;
        }
        producer->made++;
    }
    for (unsigned i = 0; i < producer->under_way; i++)
        sem_wait(&producer->free);
    return NULL;
}

static void empty(const char *directory)
{
    DIR *listing = opendir(directory);
    for (struct dirent *entry; listing && (entry = readdir(listing));)
        if (entry->d_name[0] != '.')
            unlinkat(dirfd(listing), entry->d_name, 0);
    if (listing)
        closedir(listing);
}

/* Durable records a second; 0 if one failed. */
static double measure(const char *directory, unsigned producers, unsigned under_way, double seconds)
{
    static struct producer all[PRODUCERS];
    pthread_t threads[PRODUCERS];
    struct sl_ledger *ledger;
    struct sl_ledger_options options = {.directory = directory};
    empty(directory);
    if (sl_ledger_open(&options, NULL, &ledger) != SL_OK)
        return 0;
    double begin = now();
    for (unsigned i = 0; i < producers; i++) {
        all[i] = (struct producer){.ledger = ledger, .under_way = under_way, .until = begin + seconds};
        memset(all[i].record, 'r', RECORD);
        if (pthread_create(&threads[i], NULL, produce, &all[i]) != 0)
            abort();
    }
    unsigned long made = 0, failed = 0;
    for (unsigned i = 0; i < producers; i++) {
        pthread_join(threads[i], NULL);
        made += all[i].made;
        failed += atomic_load(&all[i].failed);
        sem_destroy(&all[i].free);
    }
    double took = now() - begin;
    sl_ledger_close(ledger);
    return failed ? 0 : (double)made / took;
}

int main(int argc, char **argv)
{
    char directory[4096];
    snprintf(directory, sizeof directory, "%s/ledger_bench.XXXXXX", argc > 1 ? argv[1] : ".");
    double seconds = argc > 2 ? atof(argv[2]) : 2;
    if (!mkdtemp(directory)) {
        perror(directory);
        return 1;
    }
    double one = measure(directory, 1, 1, seconds);
    double waiting = measure(directory, PRODUCERS, 1, seconds);
    double ahead = measure(directory, PRODUCERS, UNDER_WAY, seconds);
    double begin = now();
    struct sl_ledger_state state = {0};
    enum sl_status status = sl_ledger_verify(directory, NULL, &state);
    double verified = now() - begin;
    empty(directory);
    rmdir(directory);
    if (one <= 0 || waiting <= 0 || ahead <= 0 || status != SL_OK) {
        fprintf(stderr, "ledger_bench: a record failed (%s)\n", sl_status_name(status));
        return 1;
    }
    printf("ledger: one sync a record        %9.0f records/s   1.0\n", one);
    printf("ledger: %d producers that wait   %9.0f records/s %5.1f times that\n", PRODUCERS, waiting, waiting / one);
    printf("ledger: %d each under way of %d  %9.0f records/s %5.1f times that\n", UNDER_WAY, PRODUCERS, ahead,
        ahead / one);
    printf("ledger: verify, tree and all     %9.0f records/s (%.2f GB/s)\n", (double)state.size / verified,
        (double)state.bytes / verified / 1e9);
    return 0;
}
