// Learning rate of a step.
#ifndef PF_TRAIN_SCHEDULE_H
#define PF_TRAIN_SCHEDULE_H

#include "performer/config.h"

// lr*t/w for t <= w, then lr times constant 1, linear 1-x, cosine (1+cos(pi x))/2 with
// x = (t-1-w)/(T-w), rsqrt sqrt(max(w,1)/t); step t = 1 .. T, w warm-up steps.
double pf_learning_rate(const struct pf_train_config *train, int64_t step);

#endif
