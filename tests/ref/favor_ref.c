// FAVOR attention in double precision. See favor_ref.h.
#include "ref/favor_ref.h"

#include <math.h>
#include <stdlib.h>

static const double pi = 3.14159265358979323846;

static double oprf_a(double e, double s)
{
    const double rho = (sqrt((2 * s + e) * (2 * s + e) + 8 * e * s) - (2 * s + e)) / (4 * s);
    return (1 - 1 / rho) / 8;
}

// f(u) of the generalised kernels, and its derivative.
static double map(pf_favor_kernel kernel, double u, double *slope)
{
    switch (kernel) {
    case PF_FAVOR_RELU: return *slope = u > 0, u > 0 ? u : 0;
    case PF_FAVOR_REQU: return *slope = u > 0 ? 2 * u : 0, u > 0 ? u * u : 0;
    case PF_FAVOR_EXP: return *slope = exp(u);
    case PF_FAVOR_ABS: return *slope = (u > 0) - (u < 0), fabs(u);
    case PF_FAVOR_GELU:
        *slope = erfc(-u / sqrt(2)) / 2 + u * exp(-u * u / 2) / sqrt(2 * pi);
        return u / 2 * erfc(-u / sqrt(2));
    case PF_FAVOR_SIGMOID: return *slope = 1 / (1 + exp(-u)) / (1 + exp(u)), 1 / (1 + exp(-u));
    case PF_FAVOR_TANH: return *slope = 1 - tanh(u) * tanh(u), tanh(u);
    case PF_FAVOR_COS: return *slope = -sin(u), cos(u);
    case PF_FAVOR_SIN: return *slope = cos(u), sin(u);
    case PF_FAVOR_ELU1: return *slope = u > 0 ? 1 : exp(u), u > 0 ? u + 1 : exp(u);
    default: return *slope = 1, u;
    }
}

// Feature maps next to each other: hyperbolic and trig have two.
static int width(const favor_ref *c)
{
    return c->kernel == PF_FAVOR_SOFTMAX_HYPERBOLIC || c->kernel == PF_FAVOR_SOFTMAX_TRIG ? 2 * c->n_features
                                                                                          : c->n_features;
}

static bool is_softmax(pf_favor_kernel kernel)
{
    return kernel >= PF_FAVOR_SOFTMAX && kernel <= PF_FAVOR_SOFTMAX_OPRF;
}

// u = W y, y = x / E^(1/4); `square` receives |y|^2 and `norm` |w|^2.
static double project(const favor_ref *c, const float *x, int m, double *square, double *norm)
{
    const double scale = pow(c->head_size, -0.25);
    double u = 0;
    *square = *norm = 0;
    for (int e = 0; e < c->head_size; e++) {
        const double y = (double)x[e] * scale, w = c->w ? (double)c->w[m * c->head_size + e] : e == m;
        u += w * y;
        *square += y * y;
        *norm += w * w;
    }
    return u;
}

// phi[width] of a row x. du and dhalf: the derivatives of each by its u and by |y|^2/2.
static void features(const favor_ref *c, const float *x, double *phi, double *du, double *dhalf)
{
    const int n = width(c), m_count = c->n_features;
    const double a = c->kernel == PF_FAVOR_SOFTMAX_OPRF ? oprf_a(c->head_size, c->oprf_s) : 0;
    for (int m = 0; m < n; m++) {
        double square, norm, u = project(c, x, m % m_count, &square, &norm);
        const double sign = c->kernel == PF_FAVOR_SOFTMAX_HYPERBOLIC && m >= m_count ? -1 : 1;
        dhalf[m] = 0;
        if (!is_softmax(c->kernel)) {
            phi[m] = map(c->kernel, u, &du[m]) + c->epsilon;
        } else if (c->kernel == PF_FAVOR_SOFTMAX_TRIG) {
            const double size = exp(square / 2) / sqrt(m_count);
            phi[m] = size * (m < m_count ? cos(u) : sin(u));
            du[m] = size * (m < m_count ? -sin(u) : cos(u));
            dhalf[m] = phi[m];
        } else {
            const double root = sqrt(1 - 4 * a) * sign;
            phi[m] = pow(1 - 4 * a, c->head_size / 4.0) * exp(a * norm + root * u - square / 2) / sqrt(n);
            du[m] = root * phi[m];
            dhalf[m] = -phi[m];
        }
    }
}

// e^(u - |y|^2/2 - c) becomes the same + epsilon. c is the largest u of all `rows` rows, and no function of them for gradients.
static void add_epsilon(const favor_ref *c, const float *x, int rows, double *phi)
{
    double most = -(double)INFINITY, square, norm;
    for (int t = 0; t < rows; t++)
        for (int m = 0; m < c->n_features; m++) most = fmax(most, project(c, x + t * c->stride, m, &square, &norm));
    for (int i = 0; i < rows * c->n_features; i++) phi[i] += c->softmax_epsilon * exp(most) / sqrt(c->n_features);
}

// dx from the gradient of phi.
static void pull_back(const favor_ref *c, const float *x, const double *dphi, const double *du, const double *dhalf,
                      double *dx)
{
    const double scale = pow(c->head_size, -0.25);
    for (int e = 0; e < c->head_size; e++) {
        dx[e] = 0;
        for (int m = 0; m < width(c); m++) {
            const int row = m % c->n_features;
            const double w = c->w ? (double)c->w[row * c->head_size + e] : e == row;
            dx[e] += dphi[m] * (du[m] * w + dhalf[m] * (double)x[e] * scale) * scale;
        }
    }
}

typedef struct work {
    double *phi_q, *phi_k, *du_q, *du_k, *dhalf_q, *dhalf_k; // [L,width]
    double *p, *r;                                           // [L,L], [L]: products and what they are divided by
} work;

static void attend(const favor_ref *c, const work *s, double *o)
{
    const int length = c->tokens, n = width(c);
    const bool positive = is_softmax(c->kernel) && c->kernel != PF_FAVOR_SOFTMAX_TRIG;
    for (int i = 0; i < length; i++) {
        double sum = 0;
        for (int j = 0; j < length; j++) {
            double *p = &s->p[i * length + j];
            *p = 0;
            for (int m = 0; m < n && !(c->causal && j > i); m++) *p += s->phi_q[i * n + m] * s->phi_k[j * n + m];
            sum += *p;
        }
        if (!positive && fabs(sum) <= 1e-6) sum += 2e-6;
        s->r[i] = !c->renormalize ? 1 : sum == 0 ? (double)INFINITY : sum;
        for (int e = 0; e < c->head_size; e++) {
            double total = 0;
            for (int j = 0; j < length; j++) total += s->p[i * length + j] * (double)c->v[j * c->stride + e];
            o[i * c->head_size + e] = total / s->r[i];
        }
    }
}

// The gradient of p[i,j].
static double product_gradient(const favor_ref *c, const work *s, const double *o, int i, int j)
{
    if (c->causal && j > i) return 0;
    double d = 0;
    for (int e = 0; e < c->head_size; e++) {
        const double through_r = c->renormalize ? o[i * c->head_size + e] : 0;
        d += (double)c->g[i * c->stride + e] * ((double)c->v[j * c->stride + e] - through_r);
    }
    return d / s->r[i];
}

static void gradients(const favor_ref *c, const work *s, const double *o, double *dphi_q, double *dphi_k, double *dv)
{
    const int length = c->tokens, n = width(c);
    for (int i = 0; i < length; i++)
        for (int j = 0; j < length; j++) {
            const double d = product_gradient(c, s, o, i, j);
            for (int m = 0; m < n; m++) {
                dphi_q[i * n + m] += d * s->phi_k[j * n + m];
                dphi_k[j * n + m] += d * s->phi_q[i * n + m];
            }
            for (int e = 0; e < c->head_size; e++)
                dv[j * c->head_size + e] += s->p[i * length + j] * (double)c->g[i * c->stride + e] / s->r[i];
        }
}

void favor_ref_run(const favor_ref *c, double *o, double *dq, double *dk, double *dv)
{
    const size_t length = (size_t)c->tokens, each = length * (size_t)width(c);
    double *all = calloc(8 * each + length * (length + 1), sizeof *all);
    double *dphi_q = all + 6 * each, *dphi_k = all + 7 * each;
    const work s = {all,            all + each,     all + 2 * each, all + 3 * each,
                    all + 4 * each, all + 5 * each, all + 8 * each, all + 8 * each + length * length};
    for (int t = 0; t < c->tokens; t++) {
        const int at = t * width(c);
        features(c, c->q + t * c->stride, s.phi_q + at, s.du_q + at, s.dhalf_q + at);
        features(c, c->k + t * c->stride, s.phi_k + at, s.du_k + at, s.dhalf_k + at);
    }
    for (int t = 0; c->softmax_epsilon > 0 && t < c->tokens; t++)
        add_epsilon(c, c->q + t * c->stride, 1, s.phi_q + t * width(c));
    if (c->softmax_epsilon > 0) add_epsilon(c, c->k, c->tokens, s.phi_k);
    attend(c, &s, o);
    if (c->g) {
        for (int i = 0; i < c->tokens * c->head_size; i++) dv[i] = 0;
        gradients(c, &s, o, dphi_q, dphi_k, dv);
        for (int t = 0; t < c->tokens; t++) {
            const int at = t * width(c), out = t * c->head_size;
            pull_back(c, c->q + t * c->stride, dphi_q + at, s.du_q + at, s.dhalf_q + at, dq + out);
            pull_back(c, c->k + t * c->stride, dphi_k + at, s.du_k + at, s.dhalf_k + at, dk + out);
        }
    }
    free(all);
}

double favor_ref_nearest_kink(const favor_ref *c, const float *x)
{
    double nearest = (double)INFINITY, square, norm;
    for (int m = 0; m < c->n_features; m++) nearest = fmin(nearest, fabs(project(c, x, m, &square, &norm)));
    return nearest;
}
