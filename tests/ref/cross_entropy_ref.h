// Cross-entropy in double precision: the truth for cl/cross_entropy.cl.
#ifndef TESTS_REF_CROSS_ENTROPY_REF_H
#define TESTS_REF_CROSS_ENTROPY_REF_H

// -log of the softmax of one row at its target
double cross_entropy_ref(const double *logits, int target, int alphabet);

// (softmax - onehot) * scale; 0 for a target below 0
void cross_entropy_backward_ref(double *dlogits, const double *logits, int target, int alphabet, double scale);

// Whether the target is the first of the largest
int is_hit_ref(const double *logits, int target, int alphabet);

#endif
