// Masks and targets. See mask.h.
#include "data/mask.h"

#include <math.h>
#include <stdbool.h>

#include "base/random.h"
#include "data/alphabet.h"
#include "performer/batch.h"

pf_masking pf_masking_default(void)
{
    return (pf_masking){.fraction = 0.15, .mask = 0.8, .random = 0.1, .keep = 0.1};
}

// A 32-bit word is below this with the given probability; 2^32 is always above.
static uint64_t threshold(double probability)
{
    return (uint64_t)nearbyint(fmin(fmax(probability, 0), 1) * 0x1p32);
}

static bool is_residue(int32_t token)
{
    return token >= 0 && token < PF_RESIDUES;
}

int32_t pf_mask_training(const pf_masking *masking, pf_mask_key key, int32_t *token, int32_t *target,
                         size_t length)
{
    const uint64_t chosen = threshold(masking->fraction);
    const uint64_t to_mask = threshold(masking->mask), to_change = threshold(1 - masking->keep);
    int32_t n_targets = 0;
    for (size_t i = 0; i < length; i++) {
        target[i] = PF_NO_TARGET;
        if (!is_residue(token[i])) continue;
        uint32_t words[4]; // is it chosen, what becomes of it, which amino acid, unused
        pf_random_block(words, key.seed, PF_RANDOM_MASK, key.step, key.number << 32 | i);
        if (words[0] >= chosen) continue;
        target[i] = token[i];
        n_targets++;
        if (words[1] < to_mask)
            token[i] = PF_TOKEN_MASK;
        else if (words[1] < to_change)
            token[i] = (int32_t)((uint64_t)words[2] * PF_AMINO_ACIDS >> 32);
    }
    return n_targets;
}

int32_t pf_mask_evaluation(uint64_t seed, uint64_t number, int32_t *token, int32_t *target, size_t length)
{
    static const pf_masking always = {.fraction = 0.15, .mask = 1};
    return pf_mask_training(&always, (pf_mask_key){.seed = seed, .number = number}, token, target, length);
}

int32_t pf_mask_causal(const int32_t *token, int32_t *target, size_t length)
{
    for (size_t i = 0; i + 1 < length; i++) target[i] = token[i + 1];
    if (length) target[length - 1] = PF_NO_TARGET;
    return length ? (int32_t)length - 1 : 0;
}
