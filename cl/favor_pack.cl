// The projection W [M,E] as the kernels of FAVOR attention read it: [F,EP], padded with zeros, times
// E^(-1/4) (and sqrt(1-4a) for oprf), so that W times an unscaled row of q or k is u. Behind it the
// shift a|w|^2 of each feature's exponent [F], 0 but for oprf.
//
//   constants: see lib/features.clh. A group packs one row; `projected` 0: W is the identity.
#include "lib/features.clh"

KERNEL void favor_pack(OUT packed, IN W, const int projected, const float scale, const float a)
{
    const int f = get_group_id(0), m = f % MAP_ROWS; // two maps: the same rows again, hyperbolic negated
    const float sign = NEGATED(f) ? -scale : scale;
    for (int e = LID; e < EP; e += WG) {
        float w = e == m ? 1.0f : 0.0f;
        if (projected) w = m < M && e < E ? W[(size_t)m * E + e] : 0.0f;
        if (e >= E || m >= M) w = 0;
        packed[(size_t)f * EP + e] = sign * w;
    }
    if (LID > 0) return;
    float square = 0;
    for (int e = 0; e < E && m < M && projected; e++) square = fma(W[(size_t)m * E + e], W[(size_t)m * E + e], square);
    packed[(size_t)F * EP + f] = a * square;
}
