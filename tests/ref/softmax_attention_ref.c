// Exact softmax attention in double precision. See softmax_attention_ref.h.
#include "ref/softmax_attention_ref.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool is_seen(const softmax_attention_ref *in, int query, int key)
{
    const int apart = in->place + query - key;
    if (in->causal && apart < 0) return false;
    return in->window == 0 || abs(apart) < in->window;
}

static double dot(const float *a, const float *b, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

// p [n_keys]: the softmax weights of one query.
static void weigh(const softmax_attention_ref *in, int query, double *p)
{
    double top = -(double)INFINITY, sum = 0;
    for (int j = 0; j < in->n_keys; j++) {
        p[j] = is_seen(in, query, j) ? dot(in->q + query * in->stride, in->k + j * in->stride, in->head_size) /
                                           sqrt(in->head_size)
                                     : -(double)INFINITY;
        top = fmax(top, p[j]);
    }
    for (int j = 0; j < in->n_keys; j++) sum += p[j] = exp(p[j] - top);
    for (int j = 0; j < in->n_keys; j++) p[j] /= sum;
}

static void add_gradients(const softmax_attention_ref *in, int i, const double *p, double *dq, double *dk, double *dv)
{
    const float *gradient = in->d_o + i * in->stride;
    double mean = 0;
    for (int j = 0; j < in->n_keys; j++) mean += p[j] * dot(gradient, in->v + j * in->stride, in->head_size);
    for (int j = 0; j < in->n_keys; j++) {
        const double dp = dot(gradient, in->v + j * in->stride, in->head_size);
        const double ds = p[j] * (dp - mean) / sqrt(in->head_size);
        for (int e = 0; e < in->head_size; e++) {
            dq[i * in->stride + e] += ds * (double)in->k[j * in->stride + e];
            dk[j * in->stride + e] += ds * (double)in->q[i * in->stride + e];
            dv[j * in->stride + e] += p[j] * (double)gradient[e];
        }
    }
}

void softmax_attention_reference(const softmax_attention_ref *in, double *o, double *dq, double *dk, double *dv)
{
    double *p = malloc((size_t)in->n_keys * sizeof *p);
    for (int i = 0; i < in->n_queries; i++) {
        weigh(in, i, p);
        for (int e = 0; e < in->head_size; e++) {
            double sum = 0;
            for (int j = 0; j < in->n_keys; j++) sum += p[j] * (double)in->v[j * in->stride + e];
            o[i * in->stride + e] = sum;
        }
        if (dq) add_gradients(in, i, p, dq, dk, dv);
    }
    free(p);
}
