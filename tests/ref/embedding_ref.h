// Embeddings in double precision: the truth for cl/embedding.cl.
#ifndef TESTS_REF_EMBEDDING_REF_H
#define TESTS_REF_EMBEDDING_REF_H

// mask [N,D] as in dropout_ref.h; position_table and scale [N] may be NULL.
typedef struct embedding_ref_call {
    const double *token_table, *position_table, *mask;
    const int *token, *position; // [N]
    int rows, width;
    const double *scale;
} embedding_ref_call;

void embedding_ref(double *x, const embedding_ref_call *call);

// Both gradients are added to; dposition may be NULL.
void embedding_backward_ref(double *dtoken, double *dposition, const double *dx, const embedding_ref_call *call);

#endif
