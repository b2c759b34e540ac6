// The golden cases of tests/golden/attention: inputs and float64 answers, as rows of a batch.
#ifndef TESTS_SUPPORT_GOLDEN_ATTENTION_H
#define TESTS_SUPPORT_GOLDEN_ATTENTION_H

#include <stdbool.h>

enum { GOLDEN_MOST_SEQUENCES = 8 };

typedef struct golden_attention {
    char name[128], kernel[32];
    bool causal;
    int n_sequences, n_heads, length, head_size; // B, H, L, E
    int n_features;                              // M, 0 where there is no projection
    // Sequence b is rows b*L .. b*L+lengths[b]-1 of B*L rows of H*E numbers; other rows hold numbers
    // that must not be seen.
    int first_row[GOLDEN_MOST_SEQUENCES], lengths[GOLDEN_MOST_SEQUENCES];
    float *q, *k, *v, *g;              // g: gradient of o
    float *w;                          // [M,E] or NULL
    double *o, *dq, *dk, *dv;          // expected, as rows
    double tolerance, tolerance_gradients;
} golden_attention;

int golden_attention_count(void);

// Case `index`, or false (and nothing to free) if its kernel is not the one wanted; NULL wants all.
bool golden_attention_load(int index, const char *kernel, golden_attention *out);
void golden_attention_free(golden_attention *golden);

int golden_rows(const golden_attention *golden);  // B*L
int golden_width(const golden_attention *golden); // H*E

// Fails unless what the device gave, rows of H*E floats, is within the case's own tolerance. Rows of padding do not
// count. The divisor for dq and dk is at least 0.05 max|dv|: they are 0 for L = 1.
void golden_attention_check(const golden_attention *golden, const float *o);
void golden_attention_check_gradients(const golden_attention *golden, const float *dq, const float *dk, const float *dv);

#endif
