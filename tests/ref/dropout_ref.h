// The dropout mask in plain words: the truth for cl/lib/dropout.clh.
#ifndef TESTS_REF_DROPOUT_REF_H
#define TESTS_REF_DROPOUT_REF_H

#include "ops/dropout.h"

// mask [N,width]: 0 where a number is dropped, 1/(1-rate) where it stays. From Philox itself, not from the library's
// own twin of the mask.
void dropout_mask_ref(double *mask, const pf_dropout *dropout, double rate, const pf_place *place, int rows, int width);

// A batch's places: sequences of these lengths behind each other, numbered from first_number.
void places_ref(pf_place *place, const int *length, int n_sequences, uint64_t first_number);

#endif
