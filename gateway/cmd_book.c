/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sluice label book: what the label book of a gateway holds, whether it counts now and why not, what a label was
 * derived from, and the whole of it made anew from the upstream. It works beside a running gateway. Ids, codes and
 * classes; never content.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"
#include "fetch.h"
#include "loop.h"
#include "route.h"
#include "sluice/buffer.h"
#include "state.h"

#define BATCH 400u      /* entries labelled together */
#define ROUNDS 4u       /* fetches of what labels lack, as of a request */
#define TREE_DEPTH 6u   /* steps back that `explain` goes */
#define TREE_LIMIT 200u /* lines it writes */
#define ARENA ((size_t)1 << 30)

struct keeping {
    struct sl_arena *arena;
    struct sl_issues issues;
    struct sl_config *config;
    struct sl_store *store;
    struct sl_policy *policy;
    struct sl_programs *programs;
    struct sl_registered *registered;
    struct sl_label_generation generation;
    struct sl_book *book;
    struct sl_book_when when;
    struct sl_slice server;
    struct sl_loop loop;
    struct sl_upstream *upstream; /* NULL: not asked yet */
    size_t waiting;               /* questions under way */
    bool looping;
};

/* ---- What labels rest on ---- */

static enum sl_status open_all(struct keeping *k, const char *path, bool writable)
{
    uint64_t number;
    SL_TRY(sl_config_load(path, &k->issues, &k->config));
    const struct sl_config *c = k->config;
    if (!c->label_book.len || c->records.len) {
        sl_issue_add(&k->issues, SL_GRADE_ERROR, "no-book", "%s",
            c->records.len ? "The embedded store is as quick to ask as a book, and none is kept."
                           : "labels.book is not configured: references are asked for each time.");
        return SL_MISSING;
    }
    k->server = c->upstream_url;
    k->when.max_age = (int64_t)c->label_age;
    SL_TRY(sl_cli_policy_store(c->policy_store.ptr, false, &k->issues, &k->store));
    SL_TRY(sl_policy_in_force(k->store, &k->issues, &number, &k->policy));
    SL_TRY(sl_gateway_programs(c, &k->issues, &k->programs));
    SL_TRY(sl_registered_of(k->store, k->policy, k->when.now, &k->issues, &k->registered));
    SL_TRY(sl_label_generation(k->policy, k->programs, &k->generation));
    SL_TRY(sl_label_generation_registered(k->registered, &k->generation));
    return sl_book_open(c->label_book.ptr, writable, &k->issues, &k->book);
}

static void close_all(struct keeping *k)
{
    sl_upstream_free(k->upstream);
    if (k->looping)
        sl_loop_fini(&k->loop);
    sl_book_close(k->book);
    sl_registered_unref(k->registered);
    sl_programs_unref(k->programs);
    sl_policy_unref(k->policy);
    if (k->store)
        sl_store_close(k->store);
    sl_config_free(k->config);
    sl_arena_free(k->arena);
}

/* ---- Asking the upstream ---- */

static enum sl_status open_upstream(struct keeping *k)
{
    struct sl_slice token;
    if (k->upstream)
        return SL_OK;
    sl_upstream_http_init();
    SL_TRY(sl_upstream_token_read(k->config, &token));
    SL_TRY(sl_loop_init(&k->loop));
    k->looping = true;
    k->upstream = sl_upstream_http_new(k->config, token, k->loop.base);
    return k->upstream ? SL_OK : SL_NO_MEMORY;
}

static void answered(struct sl_ask *ask)
{
    struct keeping *k = ask->context;
    if (--k->waiting == 0)
        sl_loop_stop(&k->loop);
}

static void ask_all(struct keeping *k, struct sl_ask *asks, size_t count)
{
    k->waiting = 1; /* so that nothing stops before all are asked */
    for (size_t i = 0; i < count; i++) {
        asks[i].done = answered;
        asks[i].context = k;
        sl_upstream_ask(k->upstream, &asks[i]);
        k->waiting += !asks[i].finished;
    }
    if (--k->waiting)
        sl_loop_run(&k->loop);
}

static bool split(struct sl_slice reference, struct sl_slice *type, struct sl_slice *id)
{
    const char *slash = reference.len ? memchr(reference.ptr, '/', reference.len) : NULL;
    if (!slash)
        return false;
    *type = (struct sl_slice){reference.ptr, (size_t)(slash - reference.ptr)};
    *id = sl_slice_from(reference, type->len + 1);
    return sl_r4_resource(*type) && sl_is_id(*id);
}

/* Questions for references: Type?_id=a,b,c. What names no record that can be asked for is left out. */
static struct sl_ask *make_asks(
    const struct sl_slice *references, size_t count, struct sl_arena *arena, size_t *ask_count)
{
    struct sl_ask *asks = sl_arena_array(arena, count + 1, sizeof *asks);
    *ask_count = 0;
    for (size_t i = 0; asks && i < count; i++) {
        struct sl_slice type, id;
        if (!split(references[i], &type, &id))
            continue;
        size_t at = 0;
        while (at < *ask_count && (!sl_slice_eq(asks[at].type, type) || asks[at].id_count == SL_ASK_IDS_LIMIT))
            at++;
        if (at == *ask_count)
            asks[(*ask_count)++] = (struct sl_ask){.kind = SL_ASK_IDS,
                .type = type,
                .ids = sl_arena_array(arena, SL_ASK_IDS_LIMIT, sizeof *asks[at].ids),
                .count = SL_ASK_IDS_LIMIT,
                .arena = arena};
        if (!asks[at].ids)
            return NULL;
        asks[at].ids[asks[at].id_count++] = id;
    }
    return asks;
}

/* Everything asked for becomes context; what is not there is known so. An upstream that does not answer ends it all: a
 * book made without it would be made of nothing. */
static enum sl_status take_answer(struct sl_labeller *labeller, struct sl_ask *ask)
{
    struct sl_fetched *page = NULL;
    if (ask->status != SL_OK)
        return SL_UPSTREAM;
    SL_TRY(sl_fetch_read(ask, &page));
    for (size_t i = 0; i < page->count; i++) {
        struct sl_item *item;
        SL_TRY(sl_labeller_add(labeller, &page->doc, page->entries[i].root, (struct sl_slice){NULL, 0}, true, &item));
    }
    for (size_t i = 0; i < ask->id_count && !page->next.len; i++) {
        const struct sl_slice parts[] = {ask->type, SL_LIT("/"), ask->ids[i]};
        struct sl_slice name = sl_arena_join(ask->arena, parts, 3);
        if (!name.ptr)
            return SL_NO_MEMORY;
        if (!sl_labeller_find(labeller, name))
            SL_TRY(sl_labeller_absent(labeller, name, true));
    }
    return SL_OK;
}

static enum sl_status fetch(struct keeping *k, struct sl_labeller *labeller, const struct sl_slice *references,
    size_t count, struct sl_arena *arena)
{
    size_t ask_count = 0;
    struct sl_ask *asks = make_asks(references, count, arena, &ask_count);
    if (!asks)
        return SL_NO_MEMORY;
    ask_all(k, asks, ask_count);
    for (size_t i = 0; i < ask_count; i++)
        SL_TRY(take_answer(labeller, &asks[i]));
    return SL_OK;
}

/* Labels these records and what they rest on, as a request would. */
static enum sl_status label(struct keeping *k, const struct sl_slice *references, size_t count, struct sl_arena *arena,
    struct sl_labeller **out)
{
    struct sl_slice *missing = NULL;
    size_t lacking = 0;
    struct sl_labeller *labeller = sl_labeller_new(arena, k->policy, k->programs);
    if (!labeller)
        return SL_NO_MEMORY;
    *out = labeller;
    sl_labeller_registered(labeller, k->registered);
    SL_TRY(fetch(k, labeller, references, count, arena));
    for (unsigned round = 0; round <= ROUNDS; round++) {
        SL_TRY(sl_labeller_resolve(labeller, &missing, &lacking));
        if (!lacking)
            return SL_OK;
        if (round < ROUNDS)
            SL_TRY(fetch(k, labeller, missing, lacking, arena));
    }
    for (size_t i = 0; i < lacking; i++)
        SL_TRY(sl_labeller_absent(labeller, missing[i], false));
    return sl_labeller_resolve(labeller, &missing, &lacking);
}

/* ---- What an entry says ---- */

static const char *why_not(enum sl_book_standing standing)
{
    static const char *const words[] = {[SL_BOOK_UNREADABLE] = "of another format",
        [SL_BOOK_COUNTS] = NULL,
        [SL_BOOK_OTHER_GENERATION] = "made under another policy, list of programs or register",
        [SL_BOOK_TOO_OLD] = "older than labels.max-age",
        [SL_BOOK_OTHER_VERSION] = "derived from an older version of"};
    return words[standing];
}

static void add_member(struct sl_buffer *out, const char *key, struct sl_slice text)
{
    if (!text.len)
        return;
    sl_buffer_printf(out, ",\"%s\":", key);
    sl_buffer_json_string(out, text);
}

/* Bits of another policy's classes name nothing here. */
static void add_classes(const struct keeping *k, const struct sl_book_found *found, struct sl_buffer *out)
{
    const char *comma = "";
    if (!found->comparable)
        return;
    sl_buffer_add(out, SL_LIT(",\"classes\":["));
    const struct sl_classes *set = &found->entry.classes;
    for (unsigned bit = sl_classes_next(set, 0); bit < SL_CLASS_LIMIT;
         bit = sl_classes_next(set, bit + 1), comma = ",") {
        const struct sl_class *class = sl_policy_class(k->policy, bit);
        sl_buffer_printf(out, "%s", comma);
        sl_buffer_json_string(out, class ? class->id : SL_LIT("?"));
    }
    sl_buffer_add(out, SL_LIT("]"));
}

/* By its name in the program table, where that is known. */
static struct sl_slice program_of(const struct sl_book_entry *entry)
{
    return entry->named_program.len ? entry->named_program : entry->program;
}

static void add_derived(const struct sl_book_entry *entry, struct sl_buffer *out)
{
    sl_buffer_add(out, SL_LIT(",\"derivedFrom\":["));
    for (uint32_t i = 0; i < entry->derived_count; i++) {
        sl_buffer_add(out, i ? SL_LIT(",{\"reference\":") : SL_LIT("{\"reference\":"));
        sl_buffer_json_string(out, entry->derived[i].reference);
        add_member(out, "version", entry->derived[i].version);
        sl_buffer_add(out, SL_LIT("}"));
    }
    sl_buffer_add(out, SL_LIT("]"));
}

static void describe(const struct keeping *k, const struct sl_book_found *found, struct sl_buffer *out)
{
    static const char *const sources[] = {
        [SL_SOURCE_UNKNOWN] = "unknown", [SL_SOURCE_NOT] = "not", [SL_SOURCE_PROGRAM] = "program"};
    const struct sl_book_entry *entry = &found->entry;
    const char *why = why_not(found->standing);
    sl_buffer_add(out, SL_LIT("{\"reference\":"));
    sl_buffer_json_string(out, entry->reference);
    if (!sl_slice_eq(found->server, k->server))
        add_member(out, "server", found->server);
    if (entry->state != SL_BOOK_THERE)
        add_member(out, "state", entry->state == SL_BOOK_ABSENT ? SL_LIT("absent") : SL_LIT("untold"));
    add_member(out, "version", entry->version);
    add_classes(k, found, out);
    if (found->standing != SL_BOOK_UNREADABLE && entry->state == SL_BOOK_THERE)
        add_member(out, "source", sl_slice_of(sources[sl_book_source(entry)]));
    add_member(out, "program", program_of(entry));
    add_derived(entry, out);
    sl_buffer_printf(out, ",\"age\":%" PRId64 ",\"counts\":%s", k->when.now - entry->stored, why ? "false" : "true");
    if (why)
        add_member(out, "why", sl_slice_of(why));
    add_member(out, "other", found->other);
    sl_buffer_add(out, SL_LIT("}\n"));
}

static enum sl_status print_found(void *context, const struct sl_book_found *found)
{
    struct sl_buffer line;
    sl_buffer_init(&line, (size_t)1 << 20);
    describe(context, found, &line);
    bool fine = !sl_buffer_failed(&line) && fwrite(line.ptr, 1, line.len, stdout) == line.len;
    sl_buffer_fini(&line);
    return fine ? SL_OK : SL_IO;
}

/* ---- show, stats ---- */

static enum sl_status show(struct keeping *k, const char *reference)
{
    const struct sl_book_visitor visitor = {print_found, k};
    struct sl_book_found found;
    if (!reference)
        return sl_book_each(k->book, &k->generation, &k->when, &visitor);
    SL_TRY(sl_book_look(k->book, &k->generation, k->server, sl_slice_of(reference), &k->when, k->arena, &found));
    return print_found(k, &found);
}

struct counting {
    size_t by_standing[SL_BOOK_OTHER_VERSION + 1], all;
};

static enum sl_status count_one(void *context, const struct sl_book_found *found)
{
    struct counting *c = context;
    c->by_standing[found->standing]++;
    c->all++;
    return SL_OK;
}

static enum sl_status stats(struct keeping *k)
{
    struct counting c = {.all = 0};
    const struct sl_book_visitor visitor = {count_one, &c};
    SL_TRY(sl_book_each(k->book, &k->generation, &k->when, &visitor));
    printf("%zu entries, %zu of them count now\n", c.all, c.by_standing[SL_BOOK_COUNTS]);
    for (unsigned s = 0; s <= SL_BOOK_OTHER_VERSION; s++)
        if (s != SL_BOOK_COUNTS && c.by_standing[s])
            printf("%zu: %s%s\n", c.by_standing[s], why_not(s), s == SL_BOOK_OTHER_VERSION ? " something" : "");
    return SL_OK;
}

/* ---- explain ---- */

struct tree {
    struct sl_slice reference[TREE_LIMIT], version[TREE_LIMIT];
    struct sl_book_found found[TREE_LIMIT];
    bool there[TREE_LIMIT];
    unsigned depth[TREE_LIMIT];
    size_t count;
};

/* Each once: what two rest on is told where it is met first. */
static enum sl_status grow(
    struct keeping *k, struct tree *t, struct sl_slice reference, struct sl_slice version, unsigned depth)
{
    for (size_t i = 0; i < t->count; i++)
        if (sl_slice_eq(t->reference[i], reference))
            return SL_OK;
    if (t->count == TREE_LIMIT || depth > TREE_DEPTH)
        return SL_OK;
    size_t at = t->count++;
    t->reference[at] = reference;
    t->version[at] = version;
    t->depth[at] = depth;
    enum sl_status status =
        sl_book_look(k->book, &k->generation, k->server, reference, &k->when, k->arena, &t->found[at]);
    t->there[at] = status == SL_OK;
    if (status != SL_OK)
        return status == SL_MISSING ? SL_OK : status;
    for (uint32_t i = 0; i < t->found[at].entry.derived_count; i++) {
        const struct sl_derived *from = &t->found[at].entry.derived[i];
        SL_TRY(grow(k, t, from->reference, from->version, depth + 1));
    }
    return SL_OK;
}

/* labeller NULL: nothing was to be had. */
static void print_now(const struct sl_labeller *labeller, struct sl_slice reference, struct sl_slice version)
{
    const struct sl_item *item = labeller ? sl_labeller_find(labeller, reference) : NULL;
    if (!labeller)
        printf("; the upstream could not be asked");
    else if (!item)
        printf("; the upstream does not give it now");
    else if (sl_slice_eq(item->version, version))
        printf("; so it is upstream");
    else
        printf(
            "; upstream it is version %.*s now", SL_FMT(item->version.len ? item->version : SL_LIT("without number")));
}

static void print_branch(const struct keeping *k, const struct tree *t, size_t i, const struct sl_labeller *labeller)
{
    const struct sl_book_found *found = &t->found[i];
    printf("%*s%.*s version %.*s", (int)(t->depth[i] * 2), "", SL_FMT(t->reference[i]),
        SL_FMT(t->version[i].len ? t->version[i] : SL_LIT("unknown")));
    if (t->there[i]) {
        const struct sl_classes *set = &found->entry.classes;
        const char *before = ": ";
        for (unsigned bit = sl_classes_next(set, 0); found->comparable && bit < SL_CLASS_LIMIT;
             bit = sl_classes_next(set, bit + 1), before = ", ") {
            const struct sl_class *class = sl_policy_class(k->policy, bit);
            printf("%s%.*s", before, SL_FMT(class ? class->id : SL_LIT("?")));
        }
        if (found->entry.state != SL_BOOK_THERE)
            printf(": not there");
        if (found->entry.program.len)
            printf("; of the program %.*s", SL_FMT(program_of(&found->entry)));
        const char *why = why_not(found->standing);
        printf(why ? "; does not count: %s %.*s" : "; counts", why ? why : "", SL_FMT(found->other));
    } else {
        printf(": not in the book");
    }
    print_now(labeller, t->reference[i], t->version[i]);
    printf("\n");
}

static enum sl_status explain(struct keeping *k, const char *reference)
{
    struct tree *t = sl_arena_alloc(k->arena, sizeof *t);
    struct sl_book_found first;
    if (!t)
        return SL_NO_MEMORY;
    SL_TRY(sl_book_look(k->book, &k->generation, k->server, sl_slice_of(reference), &k->when, k->arena, &first));
    SL_TRY(grow(k, t, sl_slice_of(reference), first.entry.version, 0));
    SL_TRY(open_upstream(k));
    struct sl_labeller *labeller = sl_labeller_new(k->arena, k->policy, k->programs);
    if (!labeller)
        return SL_NO_MEMORY;
    enum sl_status status = fetch(k, labeller, t->reference, t->count, k->arena);
    for (size_t i = 0; i < t->count; i++)
        print_branch(k, t, i, status == SL_OK ? labeller : NULL);
    return status;
}

/* ---- rebuild ---- */

struct old {
    struct sl_slice reference;
    struct sl_classes classes;
    bool comparable;
    struct old *next;
};

struct listing {
    struct keeping *k;
    struct old *first, *last;
    size_t count;
};

static enum sl_status list_old(void *context, const struct sl_book_found *found)
{
    struct listing *l = context;
    if (!found->entry.reference.len || !sl_slice_eq(found->server, l->k->server))
        return SL_OK;
    struct old *old = sl_arena_alloc(l->k->arena, sizeof *old);
    if (!old)
        return SL_NO_MEMORY;
    *old = (struct old){.reference = sl_arena_copy(l->k->arena, found->entry.reference),
        .classes = found->entry.classes,
        .comparable = found->comparable};
    if (l->last)
        l->last->next = old;
    else
        l->first = old;
    l->last = old;
    l->count++;
    return old->reference.ptr ? SL_OK : SL_NO_MEMORY;
}

struct rebuilt {
    size_t done, changed, incomparable, gone;
};

/* What cannot be labelled now is not in the book: a request that needs it will ask. */
static enum sl_status renew(struct keeping *k, const struct old *old, const struct sl_labeller *labeller,
    struct sl_arena *arena, struct sl_book_entry *entry, struct rebuilt *r)
{
    const struct sl_item *item = sl_labeller_find(labeller, old->reference);
    enum sl_status status = item ? sl_book_entry_of(item, arena, entry) : SL_MISSING;
    if (status == SL_MISSING) {
        r->gone++;
        *entry = (struct sl_book_entry){0};
        return sl_book_forget(k->book, k->server, old->reference);
    }
    SL_TRY(status);
    r->done++;
    r->incomparable += !old->comparable;
    r->changed += old->comparable && memcmp(&old->classes, &entry->classes, sizeof entry->classes) != 0;
    return SL_OK;
}

static enum sl_status renew_all(struct keeping *k, const struct old *old, size_t count,
    const struct sl_labeller *labeller, struct sl_arena *arena, struct rebuilt *r)
{
    struct sl_book_entry *entries = sl_arena_array(arena, count, sizeof *entries);
    size_t kept = 0;
    if (!entries)
        return SL_NO_MEMORY;
    for (size_t i = 0; i < count; i++, old = old->next) {
        SL_TRY(renew(k, old, labeller, arena, &entries[kept], r));
        kept += entries[kept].reference.len > 0;
    }
    return sl_book_put(k->book, &k->generation, k->server, entries, kept, k->when.now);
}

static enum sl_status rebuild_batch(struct keeping *k, const struct old *first, size_t count, struct rebuilt *r)
{
    struct sl_arena *arena = sl_arena_new(ARENA);
    struct sl_slice *references = arena ? sl_arena_array(arena, count, sizeof *references) : NULL;
    struct sl_labeller *labeller = NULL;
    const struct old *old = first;
    enum sl_status status = references ? SL_OK : SL_NO_MEMORY;
    for (size_t i = 0; status == SL_OK && i < count; i++, old = old->next)
        references[i] = old->reference;
    if (status == SL_OK)
        status = label(k, references, count, arena, &labeller);
    if (status == SL_OK)
        status = renew_all(k, first, count, labeller, arena, r);
    sl_arena_free(arena);
    return status;
}

static enum sl_status rebuild(struct keeping *k)
{
    struct listing l = {.k = k};
    struct rebuilt r = {0};
    const struct sl_book_visitor visitor = {list_old, &l};
    SL_TRY(sl_book_each(k->book, &k->generation, &k->when, &visitor));
    SL_TRY(open_upstream(k));
    const struct old *at = l.first;
    for (size_t done = 0; done < l.count;) {
        size_t batch = l.count - done < BATCH ? l.count - done : BATCH;
        SL_TRY(rebuild_batch(k, at, batch, &r));
        for (size_t i = 0; i < batch; i++)
            at = at->next;
        done += batch;
        fprintf(stderr, "sluice: %zu of %zu entries\n", done, l.count);
    }
    printf(
        "%zu entries labelled anew, %zu of them otherwise than before, %zu that a policy with other classes had made; "
        "%zu forgotten\n",
        r.done, r.changed, r.incomparable, r.gone);
    return SL_OK;
}

/* ---- The command ---- */

static const char usage[] = "label book show [REFERENCE] | explain REFERENCE | rebuild | stats  --config FILE";

static enum sl_status obey(struct keeping *k, const char *verb, const char *reference)
{
    if (strcmp(verb, "show") == 0)
        return show(k, reference);
    if (strcmp(verb, "stats") == 0)
        return stats(k);
    return strcmp(verb, "rebuild") == 0 ? rebuild(k) : explain(k, reference);
}

static bool is_usage(const struct sl_cli *cli)
{
    const char *verb = cli->operand_count > 1 ? cli->operands[1] : "";
    size_t more = cli->operand_count - (cli->operand_count > 1 ? 2 : cli->operand_count);
    if (strcmp(verb, "show") == 0)
        return more <= 1;
    return strcmp(verb, "explain") == 0 ? more == 1
                                        : more == 0 && (strcmp(verb, "rebuild") == 0 || strcmp(verb, "stats") == 0);
}

static int run(struct keeping *k, const struct sl_cli *cli)
{
    const char *verb = cli->operands[1], *reference = cli->operand_count > 2 ? cli->operands[2] : NULL;
    if (!sl_cli_instant(NULL, &k->when.now))
        return 1;
    enum sl_status status = open_all(k, sl_cli_value(cli, "config"), strcmp(verb, "rebuild") == 0);
    if (status != SL_OK)
        return sl_cli_failed("the label book", status, &k->issues);
    status = obey(k, verb, reference);
    if (status == SL_MISSING)
        fprintf(stderr, "sluice: the book has nothing of %s\n", reference ? reference : "this server");
    else if (status != SL_OK)
        (void)sl_cli_failed("the label book", status, &k->issues);
    return status == SL_OK && fflush(stdout) == 0 ? 0 : 1;
}

int sl_cmd_book(int argc, char **argv)
{
    static const struct sl_option options[] = {
        {"config", SL_OPTION_ONE, "FILE", "the configuration of the gateway whose book it is", true},
    };
    struct keeping k = {.arena = sl_arena_new(ARENA)};
    struct sl_cli cli;
    int status = 1;
    k.issues.arena = k.arena;
    if (k.arena && sl_cli_read(k.arena, argc, argv, usage, options, sizeof options / sizeof *options, &cli, &status)) {
        status = 2;
        if (is_usage(&cli))
            status = run(&k, &cli);
        else
            fprintf(stderr, "usage: sluice %s\n", usage);
    }
    close_all(&k);
    return status;
}
