// The dropout mask in plain words. See dropout_ref.h.
#include "ref/dropout_ref.h"

#include <math.h>

static void philox(uint32_t c[4], uint32_t k0, uint32_t k1)
{
    for (int i = 0; i < 10; i++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
        const uint64_t a = (uint64_t)0xD2511F53u * c[0], b = (uint64_t)0xCD9E8D57u * c[2];
        const uint32_t next[4] = {(uint32_t)(b >> 32) ^ c[1] ^ k0, (uint32_t)b,
                                  (uint32_t)(a >> 32) ^ c[3] ^ k1, (uint32_t)a};
        for (int w = 0; w < 4; w++) c[w] = next[w];
    }
}

void dropout_mask_ref(double *mask, const pf_dropout *dropout, double rate, const pf_place *place, int rows,
                      int width)
{
    for (int n = 0; n < rows; n++)
        for (int c = 0; c < width; c++) {
            uint32_t word[4] = {(uint32_t)c / 8, place[n].position, place[n].number_low,
                                place[n].number_high};
            philox(word, dropout->key[0], dropout->key[1]);
            mask[(size_t)n * (size_t)width + (size_t)c] =
                (c % 2 ? word[c / 2 % 4] >> 16 : word[c / 2 % 4] & 0xFFFF) < round(rate * 65536)
                    ? 0
                    : 1 / (1 - rate);
        }
}

void places_ref(pf_place *place, const int *length, int n_sequences, uint64_t first_number)
{
    for (int b = 0; b < n_sequences; b++)
        for (int p = 0; p < length[b]; p++) {
            const uint64_t number = first_number + (uint64_t)b;
            *place++ = (pf_place){(uint32_t)p, (uint32_t)number, (uint32_t)(number >> 32), 0};
        }
}
