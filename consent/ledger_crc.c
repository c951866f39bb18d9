/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C: by the processor's instruction where it has one (x86-64 with SSE 4.2, chosen at run time), else by table. */
#include "ledger_format.h"

#include <pthread.h>

#define POLYNOMIAL 0x82f63b78u /* reflected */

static uint32_t table[256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fill(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
        table[i] = crc;
    }
}

uint32_t sl_crc32c_portable(uint32_t crc, struct sl_slice bytes)
{
    pthread_once(&once, fill);
    crc = ~crc;
    for (size_t i = 0; i < bytes.len; i++)
        crc = crc >> 8 ^ table[(crc ^ (unsigned char)bytes.ptr[i]) & 0xff];
    return ~crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, struct sl_slice bytes)
{
    uint64_t state = ~crc;
    size_t i = 0;
    for (; i + 8 <= bytes.len; i += 8) {
        uint64_t word;
        memcpy(&word, bytes.ptr + i, sizeof word);
        state = __builtin_ia32_crc32di(state, word);
    }
    for (; i < bytes.len; i++)
        state = __builtin_ia32_crc32qi((uint32_t)state, (unsigned char)bytes.ptr[i]);
    return ~(uint32_t)state;
}

uint32_t sl_crc32c(uint32_t crc, struct sl_slice bytes)
{
    return __builtin_cpu_supports("sse4.2") ? by_instruction(crc, bytes) : sl_crc32c_portable(crc, bytes);
}
#else
uint32_t sl_crc32c(uint32_t crc, struct sl_slice bytes)
{
    return sl_crc32c_portable(crc, bytes);
}
#endif
