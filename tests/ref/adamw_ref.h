// AdamW in double precision: the truth for cl/adamw.cl.
#ifndef TESTS_REF_ADAMW_REF_H
#define TESTS_REF_ADAMW_REF_H

typedef struct adamw_ref_state {
    double *p, *m, *v;
    int count, n_decay;
} adamw_ref_state;

// One step (1, 2, …) with gradient g [count] before clipping; clip 0: none. b1 0.9, b2 0.98, eps 1e-9.
void adamw_ref(adamw_ref_state *state, const double *g, int step, double lr, double decay, double clip);

#endif
