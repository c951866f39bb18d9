/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Merkle tree over the ledger's records (RFC 6962, 2.1): leaf = SHA-256(0x00 || record), node = SHA-256(0x01 ||
 * left || right). Only the frontier is held: the heads of the complete subtrees that the records so far make up, one
 * for each bit that is set in their number.
 */
#include "ledger_format.h"

bool sl_hasher_init(struct sl_hasher *hasher)
{
    hasher->context = EVP_MD_CTX_new();
    return hasher->context && EVP_DigestInit_ex2(hasher->context, EVP_sha256(), NULL) == 1;
}

void sl_hasher_fini(struct sl_hasher *hasher)
{
    EVP_MD_CTX_free(hasher->context);
    hasher->context = NULL;
}

static enum sl_status hash(struct sl_hasher *hasher, unsigned char prefix, struct sl_slice a, struct sl_slice b,
    unsigned char out[SL_LEDGER_HASH])
{
    EVP_MD_CTX *context = hasher->context;
    bool done = EVP_DigestInit_ex2(context, NULL, NULL) == 1 && EVP_DigestUpdate(context, &prefix, 1) == 1 &&
                EVP_DigestUpdate(context, a.ptr, a.len) == 1 && EVP_DigestUpdate(context, b.ptr, b.len) == 1 &&
                EVP_DigestFinal_ex(context, out, NULL) == 1;
    return done ? SL_OK : SL_CRYPTO;
}

static struct sl_slice slice_of(const unsigned char node[SL_LEDGER_HASH])
{
    return (struct sl_slice){(const char *)node, SL_LEDGER_HASH};
}

enum sl_status sl_frontier_add(struct sl_frontier *frontier, struct sl_hasher *hasher, struct sl_slice record)
{
    unsigned char node[SL_LEDGER_HASH];
    SL_TRY(hash(hasher, 0, record, (struct sl_slice){"", 0}, node));
    unsigned level = 0;
    /* Two complete subtrees of one size make the next larger one, as a carry does in addition. */
    for (; frontier->size >> level & 1; level++)
        SL_TRY(hash(hasher, 1, slice_of(frontier->hash[level]), slice_of(node), node));
    memcpy(frontier->hash[level], node, sizeof node);
    frontier->size++;
    return SL_OK;
}

enum sl_status sl_frontier_root(
    const struct sl_frontier *frontier, struct sl_hasher *hasher, unsigned char root[SL_LEDGER_HASH])
{
    bool begun = false;
    for (unsigned level = 0; level < 64; level++) {
        if (!(frontier->size >> level & 1))
            continue;
        if (begun)
            SL_TRY(hash(hasher, 1, slice_of(frontier->hash[level]), slice_of(root), root));
        else
            memcpy(root, frontier->hash[level], SL_LEDGER_HASH);
        begun = true;
    }
    if (begun)
        return SL_OK;
    /* "The hash of an empty list is the hash of an empty string" (RFC 6962, 2.1). */
    return EVP_Digest("", 0, root, NULL, EVP_sha256(), NULL) == 1 ? SL_OK : SL_CRYPTO;
}
