// Small models with heads of every kind, and FASTA files, for the tests of what looks at attention.
#ifndef TESTS_INFER_MAP_MODEL_H
#define TESTS_INFER_MAP_MODEL_H

#include "model/performer.h"

// E 12: neither tokens nor letters are whole blocks of values.
enum { D = 24, H = 2, E = 12, M = 20, LAYERS = 2, WINDOW = 5 };

// Kinds of heads, both directions.
enum { KINDS = 7, EXACT_CAUSAL = 1, RELU = 2, LOCAL_CAUSAL = 3, UNPROJECTED = 6 };

// A model of a kind with room for batches of `rows` rows, to be probed.
pf_model *map_model(int kind, int32_t rows);
// The same with one setting more ("key=value").
pf_model *map_model_with(int kind, int32_t rows, const char *setting);

// Path of a file with this text.
const char *map_fasta(const char *text);

#endif
