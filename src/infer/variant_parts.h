// What variants.c (wild types and variants) and variant_passes.c (the model's passes for them) share.
#ifndef PF_INFER_VARIANT_PARTS_H
#define PF_INFER_VARIANT_PARTS_H

#include "data/batch.h"
#include "infer/mutation.h"
#include "performer/variants.h"

typedef struct pf_stored_wild_type {
    char *id, *letters;
    size_t id_length;
    uint8_t *residue; // [n_residues] tokens
    uint64_t n_residues;
    uint8_t *wanted; // [n_residues] 1 where the marginals of a site are needed
    float *log_p;    // [n_residues,A] of these sites; NULL before the first
    double total;    // its (pseudo-)log-likelihood
    bool is_used;    // it has variants
} pf_stored_wild_type;

typedef struct pf_stored_variant {
    size_t wild_type, first_site, n_sites;
    double total; // joint: the score; pseudo: the mutant's (pseudo-)log-likelihood
} pf_stored_variant;

// One sequence of a batch: a wild type or a variant of it, as the model is to see it.
typedef struct pf_variant_pass {
    size_t unit;         // a wild type, or n_wild_types + a variant
    uint64_t begin, end; // residues that it may tell of: those of its window
    uint64_t first;      // token of its window
    int32_t row;
} pf_variant_pass;

struct pf_variants {
    pf_model *model;
    pf_variant_method method;
    bool joint, is_causal;
    int64_t first_position;
    uint64_t longest; // tokens of a window
    pf_stored_wild_type *wild_type;
    size_t n_wild_types, wild_type_capacity;
    pf_stored_variant *variant;
    size_t n_variants, variant_capacity;
    pf_substitution *site;
    size_t n_sites, site_capacity;
    // where the passes have come to
    size_t unit;
    uint64_t position; // residue of the unit
    pf_batch_builder builder;
    pf_variant_pass *pass;
    size_t n_passes, pass_capacity;
    float *logits;
    size_t logits_capacity;
};

#endif
