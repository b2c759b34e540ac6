// Activations in double precision. See activation_ref.h.
#include "ref/activation_ref.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

double activation_ref(pf_activation act, double u)
{
    if (act == PF_ACTIVATION_RELU) return u > 0 ? u : 0;
    if (act == PF_ACTIVATION_GELU) return u * 0.5 * erfc(-u / sqrt(2));
    return u / 2 * (1 + tanh(sqrt(2 / pi) * (u + 0.044715 * u * u * u)));
}

double activation_slope_ref(pf_activation act, double u)
{
    if (act == PF_ACTIVATION_RELU) return u > 0;
    if (act == PF_ACTIVATION_GELU) return 0.5 * erfc(-u / sqrt(2)) + u * exp(-u * u / 2) / sqrt(2 * pi);
    const double t = tanh(sqrt(2 / pi) * (u + 0.044715 * u * u * u));
    return (1 + t) / 2 + u / 2 * (1 - t * t) * sqrt(2 / pi) * (1 + 3 * 0.044715 * u * u);
}
