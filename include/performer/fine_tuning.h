// What of a configuration is for fine-tuning: a task's head, low-rank adapters. Part of performer/config.h.
#ifndef PERFORMER_FINE_TUNING_H
#define PERFORMER_FINE_TUNING_H

#include <stdint.h>

enum {
    PF_PATTERNS_BYTES = 512, // of train.freeze and the like, its NUL counted
    PF_MAX_LORA_RANK = 4096, // r
    PF_MAX_CLASSES = 256,    // C of a task
    PF_CLASS_BYTES = 64,     // of a class's name, its NUL counted
};

// What a model's head answers: a token of each row (a language model), or a user's question about each sequence
// or each residue.
typedef enum pf_task_type { PF_TASK_NONE, PF_TASK_REGRESSION, PF_TASK_CLASSIFICATION } pf_task_type;
typedef enum pf_task_level { PF_TASK_SEQUENCE, PF_TASK_RESIDUE } pf_task_level;

// A head task.weight [C,D], task.bias [C] in place of the language model's: it reads the last stream's norm,
// of each residue, or its mean over a sequence's residues.
struct pf_task_config {
    pf_task_type type;
    pf_task_level level;
    int32_t n_classes; // C of classification, 2 at least; regression has one output
    char class_name[PF_MAX_CLASSES][PF_CLASS_BYTES];
    double mean, deviation; // of the training labels: a regression's head gives (label - mean) / deviation
};

// Low-rank adapters (Hu et al. 2021, arXiv:2106.09685): W + alpha / rank * up down, of which up and down are
// trained.
struct pf_lora_config {
    int32_t rank; // r; 0: none, and nothing of this group is set
    double alpha;
    char targets[PF_PATTERNS_BYTES]; // matrices: query, key, value, output, up, down, or patterns
    char also[PF_PATTERNS_BYTES];    // names of tensors that are trained beside the adapters
};

#endif
