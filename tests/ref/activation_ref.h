// Activations in double precision: the truth for cl/activation.cl.
#ifndef TESTS_REF_ACTIVATION_REF_H
#define TESTS_REF_ACTIVATION_REF_H

#include "ops/activation.h"

double activation_ref(pf_activation act, double u);
double activation_slope_ref(pf_activation act, double u);

#endif
