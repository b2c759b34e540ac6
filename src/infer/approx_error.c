// Errors of estimates over several draws. See approx_parts.h.
#include <math.h>

#include "infer/approx_parts.h"

static void add(pf_approx_moments *m, double x)
{
    const double difference = x - m->mean;
    m->count++;
    m->mean += difference / m->count;
    m->squares += difference * (x - m->mean);
}

void pf_approx_add(pf_approx_errors *errors, const float *got, const float *expected, size_t count)
{
    double squares = 0, reference = 0;
    uint64_t not_finite = 0;
    for (size_t i = 0; i < count; i++) {
        const double difference = (double)got[i] - (double)expected[i];
        not_finite += !isfinite(got[i]);
        squares += difference * difference;
        reference += (double)expected[i] * (double)expected[i];
    }
    errors->not_finite += not_finite;
    if (not_finite > 0 || reference == 0) return;
    add(&errors->mse, squares / (double)count);
    add(&errors->relative, sqrt(squares / reference));
}

// log sum exp x, without overflow.
static double log_sum(const float *x, size_t count)
{
    double most = -INFINITY, sum = 0;
    for (size_t i = 0; i < count; i++) most = fmax(most, (double)x[i]);
    for (size_t i = 0; i < count; i++) sum += exp((double)x[i] - most);
    return most + log(sum);
}

void pf_approx_add_divergence(pf_approx_errors *errors, const float *got, const float *expected,
                              size_t n_rows, size_t n_letters)
{
    double total = 0;
    for (size_t n = 0; n < n_rows; n++, got += n_letters, expected += n_letters) {
        const double all = log_sum(expected, n_letters), all_got = log_sum(got, n_letters);
        for (size_t i = 0; i < n_letters; i++) {
            const double log_p = (double)expected[i] - all;
            total += exp(log_p) * (log_p - ((double)got[i] - all_got));
        }
    }
    if (isfinite(total)) add(&errors->divergence, total / (double)n_rows);
}

static double deviation(const pf_approx_moments *m)
{
    return m->count > 1 ? sqrt(m->squares / (m->count - 1)) : (double)NAN;
}

void pf_approx_fill(pf_approx_row *row, const pf_approx_errors *errors)
{
    row->draws = errors->mse.count;
    row->mse = row->draws ? errors->mse.mean : (double)NAN;
    row->relative = row->draws ? errors->relative.mean : (double)NAN;
    row->mse_deviation = deviation(&errors->mse);
    row->relative_deviation = deviation(&errors->relative);
    row->divergence = errors->divergence.count ? errors->divergence.mean : (double)NAN;
    row->divergence_deviation = deviation(&errors->divergence);
    row->not_finite = errors->not_finite;
}
