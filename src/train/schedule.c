// Learning rate of a step. See schedule.h.
#include "train/schedule.h"

#include <math.h>

double pf_learning_rate(const struct pf_train_config *train, int64_t step)
{
    const double lr = train->learning_rate, t = (double)step, w = (double)train->warmup_steps;
    if (step <= train->warmup_steps) return lr * t / w;
    const double x = (t - 1 - w) / ((double)train->steps - w);
    switch (train->schedule) {
    case PF_SCHEDULE_LINEAR:
        return lr * (1 - x);
    case PF_SCHEDULE_COSINE:
        return lr * (1 + cos(3.14159265358979323846 * x)) / 2;
    case PF_SCHEDULE_RSQRT:
        return lr * sqrt(fmax(w, 1) / t);
    case PF_SCHEDULE_CONSTANT:
        break;
    }
    return lr;
}
