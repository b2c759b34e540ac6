// Drawing the next token. See sample.h.
#include "infer/sample.h"

#include <math.h>

#include "data/alphabet.h"

enum { ALLOWED = PF_RESIDUES + 1 }; // residues, then end

static int token_of(int i)
{
    return i < PF_RESIDUES ? i : PF_TOKEN_END;
}

static int likeliest(const float *logits, int count)
{
    int best = 0;
    for (int i = 1; i < count; i++)
        if (logits[token_of(i)] > logits[token_of(best)]) best = i;
    return best;
}

// Nucleus sampling (Holtzman et al. 2020, arXiv:1904.09751): takes all weight from the tokens outside the
// smallest set of likeliest tokens that together have `top_p` of `total`. Returns the weight that is left.
static double keep_nucleus(double *weight, int count, double total, double top_p)
{
    bool is_kept[ALLOWED] = {false};
    double kept = 0;
    while (kept < top_p * total) {
        int best = -1;
        for (int i = 0; i < count; i++)
            if (!is_kept[i] && (best < 0 || weight[i] > weight[best])) best = i;
        if (best < 0) break; // rounding
        is_kept[best] = true;
        kept += weight[best];
    }
    for (int i = 0; i < count; i++)
        if (!is_kept[i]) weight[i] = 0;
    return kept;
}

int pf_sample(const float *logits, const pf_sample_request *request)
{
    const int count = request->may_end ? ALLOWED : PF_RESIDUES;
    double weight[ALLOWED], total = 0;
    for (int i = 0; i < count; i++)
        if (!isfinite(logits[token_of(i)])) return -1;
    const int best = likeliest(logits, count);
    if (request->temperature <= 0) return token_of(best);
    for (int i = 0; i < count; i++) {
        weight[i] =
            exp(((double)logits[token_of(i)] - (double)logits[token_of(best)]) / request->temperature);
        total += weight[i];
    }
    if (request->top_p < 1) total = keep_nucleus(weight, count, total, request->top_p);
    // In the order of tokens, so that rounding of the sum can only reach a token that has weight.
    double left = request->uniform * total;
    int chosen = best;
    for (int i = 0; i < count; i++) {
        if (weight[i] <= 0) continue;
        chosen = i;
        if (left < weight[i]) break;
        left -= weight[i];
    }
    return token_of(chosen);
}
