// Cross-entropy in double precision. See cross_entropy_ref.h.
#include "ref/cross_entropy_ref.h"

#include <math.h>

// The largest logit, and in *rest log(sum of exp) - largest, of which no digit is lost.
static double largest_of(const double *logits, int alphabet, double *rest)
{
    int at = 0;
    double sum = 0;
    for (int a = 1; a < alphabet; a++)
        if (logits[a] > logits[at]) at = a;
    for (int a = 0; a < alphabet; a++)
        if (a != at) sum += exp(logits[a] - logits[at]);
    *rest = log1p(sum);
    return logits[at];
}

double cross_entropy_ref(const double *logits, int target, int alphabet)
{
    double rest;
    const double largest = largest_of(logits, alphabet, &rest);
    return largest - logits[target] + rest;
}

void cross_entropy_backward_ref(double *dlogits, const double *logits, int target, int alphabet, double scale)
{
    double rest;
    const double largest = largest_of(logits, alphabet, &rest);
    for (int a = 0; a < alphabet; a++)
        dlogits[a] = target < 0 ? 0 : (exp(logits[a] - largest - rest) - (a == target)) * scale;
}

int is_hit_ref(const double *logits, int target, int alphabet)
{
    int best = 0;
    for (int a = 1; a < alphabet; a++)
        if (logits[a] > logits[best]) best = a;
    return best == target;
}
