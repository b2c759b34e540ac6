// The table of parameter tensors: what a configuration's model consists of. Names, shapes, places,
// decay, initial values: sizes, checkpoints, the optimiser's regions and `info` all follow from it.
//
// All numbers that training makes lie in one flat arena of floats, the projections of FAVOR in another.
// Gradients and the optimiser's moments exist of the beginning of the former only, of what is trained now:
//
//   parameters:   [ decayed matrices | everything else that is trained | what adapters leave as it is ]
//   projections:  [ W of each favor layer | what a model carries along: a contact head ]
//
// Every tensor starts at a multiple of PF_TENSOR_ALIGNMENT numbers; gaps hold 0 and stay 0 (their
// gradients are 0). Query, key and value follow each other without a gap and are one [3D,D] matrix.
#ifndef PF_MODEL_PARAMS_H
#define PF_MODEL_PARAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "model/lora.h"
#include "performer/config.h"

enum { PF_TENSOR_ALIGNMENT = 256, PF_PARAMETER_NAME = 48 };

#define PF_ABSENT SIZE_MAX // offset of a tensor that this model does not have

typedef enum pf_initial {
    PF_INITIAL_UNIFORM, // within sqrt(6/(in+out)) of 0
    PF_INITIAL_NORMAL,  // N(0, deviation)
    PF_INITIAL_ZERO,
    PF_INITIAL_ONE,
    PF_INITIAL_SINUSOIDS,
    PF_INITIAL_PROJECTION, // projection.h
    PF_INITIAL_CARRIED,    // 0, and never trained
} pf_initial;

typedef struct pf_parameter {
    char name[PF_PARAMETER_NAME]; // as in model.safetensors
    int rank;
    uint64_t shape[2];
    size_t count;                 // numbers
    size_t offset;                // in the arena of parameters, or in that of the projections
    bool is_trained;              // made by training: in the former
    bool is_frozen;               // but not of this model, whose adapters are trained in its place (lora.h)
    bool is_adapter;
    bool is_decayed;
    bool joins;                   // follows the tensor before it without a gap
    pf_initial initial;
    double deviation;             // of PF_INITIAL_NORMAL
    int layer;                    // of a layer's tensors, else -1
} pf_parameter;

// Offsets by role. Biases that the model lacks are PF_ABSENT.
typedef struct pf_layer_parameters {
    size_t attention_norm_weight, attention_norm_bias; // [D]
    size_t qkv_weight, qkv_bias;                       // [3D,D], [3D]: query, key, value
    size_t output_weight, output_bias;                 // [D,D], [D]
    size_t feed_forward_norm_weight, feed_forward_norm_bias;
    size_t up_weight, up_bias;                         // [F,D], [F]
    size_t down_weight, down_bias;                     // [D,F], [D]
    size_t projection;                                 // [M,E], in the arena of projections
    size_t lora_down[PF_LORA_TARGETS], lora_up[PF_LORA_TARGETS]; // [r,in], [out,r]
} pf_layer_parameters;

typedef struct pf_parameters {
    int n_tensors;
    pf_parameter *tensor;        // in the order of the file
    int n_layers;
    pf_layer_parameters *layer;
    size_t token_embedding;      // [A,D]
    size_t position_embedding;   // [Lmax,D] or PF_ABSENT
    size_t embedding_norm_weight, embedding_norm_bias; // [D] or PF_ABSENT
    size_t transform_weight, transform_bias;           // [D,D], [D] or PF_ABSENT: in front of the head
    size_t transform_norm_weight, transform_norm_bias; // [D] or PF_ABSENT
    size_t norm_weight, norm_bias;
    size_t head_weight;          // [A,D]; the token embedding if tied; of a task [C,D]
    size_t head_bias;            // [A] or [C]
    size_t decayed_size;         // the optimiser decays numbers 0 .. decayed_size-1, gaps included
    size_t trained_size;         // numbers 0 .. trained_size-1 are trained, gaps included
    size_t parameters_size;      // of the arena
    size_t projections_size;
    uint64_t n_trained, n_frozen; // numbers of either kind, gaps not counted
    int *by_name;                // tensors' numbers in the order of names
} pf_parameters;

// The table of a finished configuration. Errors: PF_ERROR_USAGE for what lora.also cannot name,
// PF_ERROR_FAILED.
pf_status pf_parameters_create(const struct pf_config *config, pf_parameters **out);
void pf_parameters_free(pf_parameters *parameters);

// NULL if there is none of that name.
const pf_parameter *pf_parameters_find(const pf_parameters *parameters, const char *name);

#endif
