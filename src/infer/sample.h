// Drawing the next token from a row of logits.
#ifndef PF_INFER_SAMPLE_H
#define PF_INFER_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct pf_sample_request {
    double temperature, top_p; // as in performer/generate.h
    bool may_end;              // the end token counts too
    double uniform;            // the random number in [0, 1) that decides
} pf_sample_request;

// A residue or end token; begin, pad and mask are never drawn. Equally likely tokens: the lower one comes
// first. -1 if a logit of an allowed token is NaN or infinite.
int pf_sample(const float *logits, const pf_sample_request *request);

#endif
