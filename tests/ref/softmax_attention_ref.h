// Exact softmax attention in double precision: the truth for cl/softmax_attention*.cl.
#ifndef TESTS_REF_SOFTMAX_ATTENTION_REF_H
#define TESTS_REF_SOFTMAX_ATTENTION_REF_H

#include <stdbool.h>

// One head of one sequence; consecutive tokens are `stride` numbers apart in every tensor.
typedef struct softmax_attention_ref {
    const float *q, *k, *v, *d_o; // d_o: gradient of o, only for the backward pass
    int n_queries, n_keys, head_size, stride;
    int place; // query i is key place + i
    bool causal;
    int window; // 0: none
} softmax_attention_ref;

// o, and with dq also dq, dk, dv (which start from 0); query and key strides are the same.
void softmax_attention_reference(const softmax_attention_ref *in, double *o, double *dq, double *dk, double *dv);

#endif
