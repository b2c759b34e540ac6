// One step of AdamW (Loshchilov, Hutter 2019, arXiv:1711.05101) over a flat array of all trained numbers.
//
//   g = gradient * scale;  m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2
//   p -= lr * (m c1 / (sqrt(v c2) + eps) + decay p),   c1 = 1/(1 - b1^t), c2 = 1/(1 - b2^t)
//
//   -DRATE_BLOCK  numbers that share a learning rate, a multiple of VEC
//
// Numbers may have learning rates of their own, lr * rate[i / RATE_BLOCK]; those of rate 0 stay as they are, their
// moments too. Each number is read and written once; decay reaches the first n_decay numbers. If the gradient's norm is not
// finite (norm: what cl/global_norm.cl left) nothing is changed.
#include "lib/base.clh"

#ifndef RATE_BLOCK
#define RATE_BLOCK 256
#endif

typedef struct norm_result {
    float norm, scale;
    int finite, zero;
} norm_result;

// groups: ceil(n / n_each)
KERNEL void adamw(OUT p, OUT m, OUT v, IN gradient, __global const norm_result *restrict norm, IN rate,
                  const int has_rates, const int n, const int n_decay, const int n_each, const float b1,
                  const float b2, const float c1, const float c2, const float lr, const float eps, const float decay)
{
    const int first = get_group_id(0) * n_each, last = first + min(n_each, n - first);
    const float scale = norm->scale;
    if (!norm->finite) return;
    for (int i = first + LID * VEC; i < last; i += WG * VEC) {
        const int left = last - i;
        const float own = has_rates ? lr * rate[i / RATE_BLOCK] : lr;
        if (own == 0.0f && has_rates) continue;
        const vec old = load(p + i, left), g = load(gradient + i, left) * scale;
        const vec m1 = fma((vec)(b1), load(m + i, left), (1.0f - b1) * g);
        const vec v1 = fma((vec)(b2), load(v + i, left), (1.0f - b2) * g * g);
        const vec shrink = select((vec)(0), (vec)(decay), LANES < (ivec)(n_decay - i));
        const vec update = fma(shrink, old, m1 * c1 / (sqrt(v1 * c2) + eps));
        store(m + i, m1, left);
        store(v + i, v1, left);
        store(p + i, fma((vec)(-own), update, old), left);
    }
}
