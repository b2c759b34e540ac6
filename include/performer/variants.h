// What mutations do to a protein, in a model's eyes: how much likelier or less likely it finds them than the
// wild type. Scores are differences of natural logarithms, above 0: likelier than the wild type.
//
//   wild-type marginals   sum over the sites of log p(mutant) - log p(wild type), the model seeing the whole
//                         wild type: one pass for all mutations of a protein
//   masked marginals      the same with each site masked alone, a pass for each; or, jointly, with all sites of a
//                         variant masked together (Meier et al. 2021, doi 10.1101/2021.07.09.450648)
//   pseudo-perplexity     the pseudo-log-likelihood of the mutant less that of the wild type, each residue masked
//                         alone: as many passes as residues, for each variant. For a causal model (clm) the
//                         log-likelihoods, one pass each
//
// A protein longer than the model allows is seen through windows of the model's length, each site by the one
// in whose middle it lies; what a variant's score is depends on the protein, the variant and the method
// alone.
#ifndef PERFORMER_VARIANTS_H
#define PERFORMER_VARIANTS_H

#include <stdbool.h>
#include <stddef.h>

#include "performer/model.h"
#include "performer/stream.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum pf_variant_method {
    PF_VARIANTS_WILD_TYPE,
    PF_VARIANTS_MASKED, // mlm only
    PF_VARIANTS_PSEUDO,
} pf_variant_method;

// Zero-initialise it, then name the files.
typedef struct pf_variants_options {
    const char *const *files; // FASTA of the wild types, gzip too; ids must differ
    int n_files;
    pf_variant_method method;
    bool joint;             // PF_VARIANTS_MASKED: mask the sites of a variant together
    int64_t first_position; // the number that mutations give the first residue; 0: 1
} pf_variants_options;

typedef struct pf_variants pf_variants;

// Reads the wild types. Errors: PF_ERROR_USAGE, PF_ERROR_INPUT.
PF_API pf_status pf_variants_open(pf_model *model, const pf_variants_options *options, pf_variants **out);
PF_API void pf_variants_close(pf_variants *variants); // NULL is fine; before the model is closed

// The wild types in the order of the files; `residues` are their letters. Lent until close.
typedef struct pf_wild_type {
    const char *id;
    size_t id_length;
    const char *residues; // NUL-terminated
    size_t length;
} pf_wild_type;

PF_API size_t pf_variants_count_wild_types(const pf_variants *variants);
PF_API pf_wild_type pf_variants_wild_type(const pf_variants *variants, size_t i);

// A variant of wild type `i`: substitutions such as "A42G", several joined by colons. Its number is the count
// of those added before. Errors: PF_ERROR_INPUT for what cannot be read, a position outside, a letter that is
// not the wild type's, a site named twice.
PF_API pf_status pf_variants_add(pf_variants *variants, size_t i, const char *mutations);

// Computes a batch of what the scores need. PF_END: all are known. Errors: PF_ERROR_DEVICE, PF_ERROR_FAILED,
// PF_ERROR_NUMERICAL.
PF_API pf_status pf_variants_step(pf_variants *variants, uint64_t *tokens);

// The score of a variant, after PF_END.
PF_API double pf_variants_score(const pf_variants *variants, size_t variant);

#ifdef __cplusplus
}
#endif
#endif
