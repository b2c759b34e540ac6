// Philox4x32-10. See random.h.
#include "base/random.h"

#include <math.h>

static void philox_round(uint32_t c[4], uint32_t k0, uint32_t k1)
{
    const uint64_t a = (uint64_t)0xD2511F53u * c[0], b = (uint64_t)0xCD9E8D57u * c[2];
    const uint32_t c1 = c[1], c3 = c[3];
    c[0] = (uint32_t)(b >> 32) ^ c1 ^ k0;
    c[1] = (uint32_t)b;
    c[2] = (uint32_t)(a >> 32) ^ c3 ^ k1;
    c[3] = (uint32_t)a;
}

void pf_random_block(uint32_t out[4], uint64_t seed, pf_purpose purpose, uint64_t step, uint64_t index)
{
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    out[0] = (uint32_t)index;
    out[1] = (uint32_t)(index >> 32);
    out[2] = (uint32_t)step;
    out[3] = (uint32_t)(step >> 32) ^ (uint32_t)purpose << 24;
    for (int i = 0; i < 10; i++) {
        philox_round(out, k0, k1);
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}

uint32_t pf_random_word(uint64_t seed, pf_purpose purpose, uint64_t step, uint64_t index)
{
    uint32_t block[4];
    pf_random_block(block, seed, purpose, step, index / 4);
    return block[index % 4];
}

static uint64_t two_words(uint32_t high, uint32_t low)
{
    return (uint64_t)high << 32 | low;
}

double pf_random_uniform(uint64_t seed, pf_purpose purpose, uint64_t step, uint64_t index)
{
    uint32_t block[4];
    pf_random_block(block, seed, purpose, step, index);
    return (double)(two_words(block[0], block[1]) >> 11) * 0x1p-53;
}

double pf_random_normal(uint64_t seed, pf_purpose purpose, uint64_t step, uint64_t index)
{
    uint32_t block[4];
    pf_random_block(block, seed, purpose, step, index);
    const double u = ((double)(two_words(block[0], block[1]) >> 11) + 1) * 0x1p-53; // (0, 1]
    const double v = (double)(two_words(block[2], block[3]) >> 11) * 0x1p-53;
    return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

uint64_t pf_random_below(uint64_t n, uint64_t seed, pf_purpose purpose, uint64_t step, uint64_t index)
{
    uint32_t block[4];
    pf_random_block(block, seed, purpose, step, index);
    const uint64_t x = two_words(block[0], block[1]);
    // High word of x * n, by halves: no 128-bit type in C11.
    const uint64_t xh = x >> 32, xl = x & 0xFFFFFFFFu, nh = n >> 32, nl = n & 0xFFFFFFFFu;
    const uint64_t middle = xh * nl + (xl * nl >> 32);
    return xh * nh + (middle >> 32) + ((xl * nh + (middle & 0xFFFFFFFFu)) >> 32);
}
