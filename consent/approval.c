/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Approvals: a short text, and a detached Ed25519 signature over exactly its bytes. An approval file is the text and
 * one line more, so that it can travel by mail and be checked by hand:
 *
 *     Sluice policy approval, form 1
 *     policy: <SHA-256 of the sources>
 *     in-plain-english: <SHA-256 of what `sluice policy render` prints>
 *     replaces: generation 3
 *     whose-policy-is: <SHA-256 of its sources>
 *     recorded-as: <seal of its entry>
 *     signature: <base64>
 *
 * The seal is of the entry with its time and author, so that an approval is for one moment of one store: it cannot be
 * used again when the same policy has been in force before. What is verified is the text that is made anew here; what
 * the file says is only compared with it, to tell what differs.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "generation_log.h"
#include "generation_parts.h"

#define RENDERING_LIMIT ((size_t)64 << 20)
#define SIGNATURE_LEN 64u
#define BASE64_LEN 88u
#define KEY_LEN 32u

static const struct sl_slice policy_title = {"Sluice policy approval, form 1\n", 31};
static const struct sl_slice keys_title = {"Sluice key change, form 1\n", 26};
static const struct sl_slice signature_key = {"signature: ", 11};

/* ---- Texts ---- */

enum sl_status sl_approval_rendering(const struct sl_policy *policy, struct sl_arena *arena, struct sl_slice *out)
{
    struct sl_buffer text;
    struct sl_sha256 sha;
    sl_buffer_init(&text, RENDERING_LIMIT);
    enum sl_status status = sl_policy_render(policy, &text);
    if (status == SL_OK)
        status = sl_sha256_of(sl_buffer_slice(&text), &sha);
    sl_buffer_fini(&text);
    SL_TRY(status);
    *out = sl_sha256_hex(arena, &sha);
    return out->ptr ? SL_OK : SL_NO_MEMORY;
}

struct sl_slice sl_approval_text_make(
    struct sl_arena *arena, struct sl_slice digest, struct sl_slice rendering, const struct sl_generation *before)
{
    struct sl_slice head = sl_arena_printf(
        arena, "%.*spolicy: %.*s\nin-plain-english: %.*s\n", SL_FMT(policy_title), SL_FMT(digest), SL_FMT(rendering));
    if (!before)
        return sl_arena_printf(arena, "%.*sreplaces: nothing\n", SL_FMT(head));
    return sl_arena_printf(arena, "%.*sreplaces: generation %llu\nwhose-policy-is: %.*s\nrecorded-as: %.*s\n",
        SL_FMT(head), (unsigned long long)before->number,
        SL_FMT(before->damaged ? SL_LIT("unreadable") : before->digest), SL_FMT(before->seal));
}

struct sl_slice sl_key_text_make(
    struct sl_arena *arena, const struct sl_key_change *change, const struct sl_approver_log *log)
{
    return sl_arena_printf(arena, "%.*s%s: %.*s\nkey: %.*s\nafter: %.*s\n", SL_FMT(keys_title),
        change->retire ? "retire" : "add", SL_FMT(change->name), SL_FMT(change->key),
        SL_FMT(log->lines ? log->last_seal : SL_LIT("nothing")));
}

/* The value of the line `key: value` of a text; empty if it has none. */
static struct sl_slice line_of(struct sl_slice text, const char *key)
{
    size_t len = strlen(key);
    while (text.len) {
        const char *end = memchr(text.ptr, '\n', text.len);
        struct sl_slice line = {text.ptr, end ? (size_t)(end - text.ptr) : text.len};
        if (line.len > len + 2 && memcmp(line.ptr, key, len) == 0 && memcmp(line.ptr + len, ": ", 2) == 0)
            return sl_slice_from(line, len + 2);
        text = sl_slice_from(text, line.len + 1);
    }
    return (struct sl_slice){NULL, 0};
}

/* What mail does to line ends is no part of a text. */
static struct sl_slice without_returns(struct sl_arena *arena, struct sl_slice bytes)
{
    char *copy = sl_arena_raw(arena, bytes.len + 1, 1);
    size_t len = 0;
    for (size_t i = 0; copy && i < bytes.len; i++)
        if (bytes.ptr[i] != '\r')
            copy[len++] = bytes.ptr[i];
    return (struct sl_slice){copy, len};
}

enum sl_status sl_approval_text_check(
    struct sl_slice bytes, const struct sl_policy *policy, struct sl_arena *arena, struct sl_issues *issues)
{
    struct sl_slice text = without_returns(arena, bytes), rendering;
    bool about_keys = sl_slice_starts(text, keys_title);
    if (!about_keys && !sl_slice_starts(text, policy_title)) {
        sl_issue_add(issues, SL_GRADE_ERROR, "approval-unreadable", "This is no text of Sluice to be signed.");
        return SL_INVALID;
    }
    if (about_keys && !policy)
        return SL_OK;
    if (!policy || about_keys) {
        sl_issue_add(issues, SL_GRADE_ERROR, "approval-other", "The text is about %s.",
            about_keys ? "keys, not about a policy" : "a policy: name its directory, so that it can be compared");
        return SL_INVALID;
    }
    SL_TRY(sl_approval_rendering(policy, arena, &rendering));
    if (sl_slice_eq(line_of(text, "policy"), sl_policy_digest(policy)) &&
        sl_slice_eq(line_of(text, "in-plain-english"), rendering))
        return SL_OK;
    sl_issue_add(issues, SL_GRADE_ERROR, "approval-other", "The text is about the policy %.*s, and here is %.*s.",
        SL_FMT(line_of(text, "policy")), SL_FMT(sl_policy_digest(policy)));
    return SL_INVALID;
}

/* ---- Keys ---- */

static enum sl_status complain(struct sl_issues *issues, const char *path, const char *what)
{
    sl_issue_add(issues, SL_GRADE_ERROR, "key-file", "%s: %s", path, what);
    return SL_INVALID;
}

/* Either half of a key, from PEM. The library asks for a passphrase at the terminal if there is one. */
static EVP_PKEY *read_key(const char *path, bool private)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return NULL;
    EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
    if (!key && !private) {
        rewind(file);
        key = PEM_read_PUBKEY(file, NULL, NULL, NULL);
    }
    fclose(file);
    if (key && !EVP_PKEY_is_a(key, "ED25519")) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    return key;
}

static struct sl_slice hex_of(struct sl_arena *arena, const EVP_PKEY *key)
{
    struct sl_sha256 raw;
    size_t len = sizeof raw.bytes;
    _Static_assert(sizeof raw.bytes == KEY_LEN, "a key of Ed25519 is as long as a SHA-256");
    if (EVP_PKEY_get_raw_public_key(key, raw.bytes, &len) != 1 || len != KEY_LEN)
        return (struct sl_slice){NULL, 0};
    return sl_sha256_hex(arena, &raw);
}

enum sl_status sl_approval_key_read(
    const char *path, struct sl_arena *arena, struct sl_issues *issues, struct sl_slice *hex)
{
    EVP_PKEY *key = read_key(path, false);
    if (!key)
        return complain(issues, path, "There is no Ed25519 key in PEM here.");
    *hex = hex_of(arena, key);
    EVP_PKEY_free(key);
    return hex->ptr ? SL_OK : SL_CRYPTO;
}

static FILE *create(const char *path, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    FILE *file = fd >= 0 ? fdopen(fd, "wb") : NULL;
    if (!file && fd >= 0)
        close(fd);
    return file;
}

static bool write_key(const char *path, const EVP_PKEY *key, bool private)
{
    FILE *file = create(path, private ? 0600 : 0644);
    if (!file)
        return false;
    bool good = private ? PEM_write_PKCS8PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1
                        : PEM_write_PUBKEY(file, key) == 1;
    return fclose(file) == 0 && good;
}

enum sl_status sl_approval_key_new(const char *path, struct sl_issues *issues)
{
    char public[4096];
    int len = snprintf(public, sizeof public, "%s.pub", path);
    if (len < 0 || (size_t)len >= sizeof public)
        return complain(issues, path, "The name is too long.");
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    if (!key)
        return SL_CRYPTO;
    bool good = write_key(path, key, true) && write_key(public, key, false);
    EVP_PKEY_free(key); /* cleanses the private half */
    return good ? SL_OK : complain(issues, path, "The key cannot be written; neither file may be there before.");
}

/* ---- Signatures ---- */

static unsigned nibble(char c)
{
    return c >= '0' && c <= '9' ? (unsigned)(c - '0') : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 16;
}

static bool unhex(struct sl_slice hex, unsigned char out[KEY_LEN])
{
    if (hex.len != (size_t)2 * KEY_LEN)
        return false;
    for (size_t i = 0; i < KEY_LEN; i++) {
        unsigned high = nibble(hex.ptr[2 * i]), low = nibble(hex.ptr[2 * i + 1]);
        if (high > 15 || low > 15)
            return false;
        out[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

static bool unbase64(struct sl_slice text, unsigned char out[SIGNATURE_LEN])
{
    unsigned char bytes[BASE64_LEN];
    if (text.len != BASE64_LEN || memcmp(text.ptr + BASE64_LEN - 2, "==", 2) != 0 ||
        memchr(text.ptr, '=', BASE64_LEN - 2) ||
        EVP_DecodeBlock(bytes, (const unsigned char *)text.ptr, BASE64_LEN) != BASE64_LEN / 4 * 3)
        return false;
    memcpy(out, bytes, SIGNATURE_LEN);
    return true;
}

bool sl_approval_holds(struct sl_slice text, const struct sl_approval *approval)
{
    unsigned char raw[KEY_LEN], signature[SIGNATURE_LEN];
    if (!unhex(approval->key, raw) || !unbase64(approval->signature, signature))
        return false;
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, raw, KEY_LEN);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool holds = key && context && EVP_DigestVerifyInit_ex(context, NULL, NULL, NULL, NULL, key, NULL) == 1 &&
                 EVP_DigestVerify(context, signature, sizeof signature, (const unsigned char *)text.ptr, text.len) == 1;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    return holds;
}

static bool make_signature(EVP_PKEY *key, struct sl_slice text, unsigned char base64[BASE64_LEN + 1])
{
    unsigned char signature[SIGNATURE_LEN];
    size_t len = sizeof signature;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context && EVP_DigestSignInit_ex(context, NULL, NULL, NULL, NULL, key, NULL) == 1 &&
                EVP_DigestSign(context, signature, &len, (const unsigned char *)text.ptr, text.len) == 1 &&
                len == sizeof signature && EVP_EncodeBlock(base64, signature, SIGNATURE_LEN) == BASE64_LEN;
    EVP_MD_CTX_free(context);
    return good;
}

enum sl_status sl_approval_sign(
    const char *key_path, struct sl_slice bytes, struct sl_arena *arena, struct sl_issues *issues, struct sl_slice *out)
{
    struct sl_slice text = without_returns(arena, bytes);
    unsigned char base64[BASE64_LEN + 1];
    EVP_PKEY *key = read_key(key_path, true);
    if (!key)
        return complain(issues, key_path, "There is no private Ed25519 key in PEM here.");
    bool good = text.ptr && make_signature(key, text, base64);
    EVP_PKEY_free(key);
    if (!good)
        return SL_CRYPTO;
    *out = sl_arena_printf(arena, "%.*s%.*s%s\n", SL_FMT(text), SL_FMT(signature_key), (const char *)base64);
    return out->ptr ? SL_OK : SL_NO_MEMORY;
}

/* ---- Checking approval files ---- */

/* The text, and the signature in its last line. */
static bool split(struct sl_slice bytes, struct sl_slice *text, struct sl_slice *signature)
{
    while (bytes.len && (bytes.ptr[bytes.len - 1] == '\n' || bytes.ptr[bytes.len - 1] == ' '))
        bytes.len--;
    size_t at = bytes.len;
    while (at && bytes.ptr[at - 1] != '\n')
        at--;
    struct sl_slice last = sl_slice_from(bytes, at);
    if (!sl_slice_starts(last, signature_key))
        return false;
    *text = (struct sl_slice){bytes.ptr, at};
    *signature = sl_slice_from(last, signature_key.len);
    return signature->len == BASE64_LEN;
}

static void say_other(
    struct sl_issues *issues, const struct sl_approval_file *file, struct sl_slice said, struct sl_slice wanted)
{
    static const char *const keys[] = {
        "policy", "in-plain-english", "replaces", "whose-policy-is", "recorded-as", "add", "retire", "key", "after"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        struct sl_slice its = line_of(said, keys[i]), here = line_of(wanted, keys[i]);
        if (sl_slice_eq(its, here))
            continue;
        sl_issue_add(issues, SL_GRADE_ERROR, "approval-other",
            "%.*s is for something else: it says \"%s: %.*s\", and this is \"%s: %.*s\".", SL_FMT(file->name), keys[i],
            SL_FMT(its.len ? its : SL_LIT("(nothing)")), keys[i], SL_FMT(here.len ? here : SL_LIT("(nothing)")));
        return;
    }
    sl_issue_add(
        issues, SL_GRADE_ERROR, "approval-unreadable", "%.*s is not the text that was signed.", SL_FMT(file->name));
}

/* Whose signature it is: of all keys, retired ones too, so that it can be said. NULL: nobody's. */
static const struct sl_approver *signer_of(
    const struct sl_approver *list, size_t count, struct sl_slice text, struct sl_slice signature)
{
    for (size_t i = 0; i < count; i++) {
        struct sl_approval approval = {list[i].name, list[i].key, signature};
        if (sl_approval_holds(text, &approval))
            return &list[i];
    }
    return NULL;
}

static void add_signature(const struct sl_approver *by, struct sl_slice signature, struct sl_issues *issues,
    struct sl_arena *arena, struct sl_signatures *out)
{
    bool new_person = true;
    for (size_t i = 0; i < out->count; i++) {
        if (sl_slice_eq(out->approvals[i].key, by->key)) {
            sl_issue_add(
                issues, SL_GRADE_NOTE, "approval-twice", "%.*s signed twice, and counts once.", SL_FMT(by->name));
            return;
        }
        new_person &= !sl_slice_eq(out->approvals[i].name, by->name);
    }
    if (!new_person)
        sl_issue_add(
            issues, SL_GRADE_NOTE, "approval-twice", "%.*s signed with two keys, and counts once.", SL_FMT(by->name));
    out->approvals[out->count++] = (struct sl_approval){by->name, by->key, sl_arena_copy(arena, signature)};
    out->people += new_person;
}

static void check_file(const struct sl_approver *list, size_t count, struct sl_slice wanted,
    const struct sl_approval_file *file, struct sl_issues *issues, struct sl_signatures *out)
{
    struct sl_slice text, signature;
    if (!split(without_returns(issues->arena, file->bytes), &text, &signature)) {
        sl_issue_add(issues, SL_GRADE_ERROR, "approval-unreadable",
            "%.*s is no approval, or not all of it: its last line must be the signature.", SL_FMT(file->name));
        return;
    }
    if (!sl_slice_eq(text, wanted)) {
        say_other(issues, file, text, wanted);
        return;
    }
    const struct sl_approver *by = signer_of(list, count, wanted, signature);
    if (by && !by->retired) {
        add_signature(by, signature, issues, issues->arena, out);
        return;
    }
    if (by)
        sl_issue_add(issues, SL_GRADE_ERROR, "approval-retired", "%.*s is signed with a key of %.*s that is retired.",
            SL_FMT(file->name), SL_FMT(by->name));
    else
        sl_issue_add(issues, SL_GRADE_ERROR, "approval-unknown-key",
            "The signature of %.*s is of no key that is registered here, or it was changed on its way.",
            SL_FMT(file->name));
}

enum sl_status sl_approvals_check(const struct sl_approver *list, size_t count, struct sl_slice text,
    const struct sl_approval_file *files, size_t file_count, struct sl_issues *issues, struct sl_signatures *out)
{
    size_t errors = issues->errors;
    *out = (struct sl_signatures){.count = 0};
    if (file_count > SL_APPROVALS_MOST) {
        sl_issue_add(issues, SL_GRADE_ERROR, "too-many", "At most %u approvals go with one change.", SL_APPROVALS_MOST);
        return SL_INVALID;
    }
    for (size_t i = 0; i < file_count; i++)
        check_file(list, count, text, &files[i], issues, out);
    return issues->errors > errors ? SL_INVALID : SL_OK;
}
