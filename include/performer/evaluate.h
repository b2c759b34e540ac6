// How well a model predicts sequences: loss, perplexity and accuracy, beside what counts of letters reach.
//
// Masked language models: 15 % of the residues, chosen by the seed and the sequence's place in the input, are
// all replaced by the mask token and have to be said. Causal ones: every token but the first. Loss is the
// mean over all targets in nats, perplexity and accuracy are over residue targets only.
//
// Models with a task head are held against labels instead: below, pf_task_evaluation.
#ifndef PERFORMER_EVALUATE_H
#define PERFORMER_EVALUATE_H

#include "performer/fasta.h"
#include "performer/metrics.h"
#include "performer/model.h"
#include "performer/predict.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    PF_NGRAM_BASELINES = 6, // orders 1 to 6
    PF_LENGTH_GROUPS = 32,  // residues 1 - 128, 129 - 256, 257 - 512, then doubling
};

// Zero-initialise it, then name the files.
typedef struct pf_evaluate_options {
    const char *const *files; // FASTA; "-": standard input
    int n_files;
    const char *const *train_files; // what the baselines are fitted on; none: no baselines
    int n_train_files;
    uint64_t seed; // of the masks
    bool groups;   // measure by letter and by length too
} pf_evaluate_options;

typedef struct pf_group_metrics {
    uint64_t targets;
    double loss, accuracy; // means; 0 without a target
} pf_group_metrics;

typedef struct pf_baseline_metrics {
    double perplexity, accuracy;
} pf_baseline_metrics;

typedef struct pf_evaluate_result {
    bool is_causal, has_baselines, has_groups;
    uint64_t sequences, targets, residue_targets;
    double loss, perplexity, accuracy;
    double accuracy_with_end; // of causal models: end tokens among the targets counted too
    pf_baseline_metrics ngram[PF_NGRAM_BASELINES];     // of order 1 (unigram) to 6
    int best_order;                                    // the one of lowest perplexity
    pf_group_metrics by_letter[PF_FASTA_LETTER_COUNT]; // in the order of PF_FASTA_LETTERS, residue targets
    pf_group_metrics by_length[PF_LENGTH_GROUPS];      // loss over all targets, accuracy over residues
} pf_evaluate_result;

// Sequences longer than the model allows count with their first tokens. *warnings, if not NULL: a line each,
// or NULL; release it with pf_release. Errors: PF_ERROR_INPUT for the files, and where there is nothing to
// predict; PF_ERROR_NUMERICAL when the loss is not finite; PF_ERROR_DEVICE.
PF_API pf_status pf_evaluate(pf_model *model, const pf_evaluate_options *options, pf_evaluate_result *out,
                             char **warnings);

// The most residues of a sequence in by_length[group].
PF_API uint64_t pf_length_group_end(int group);

// --- tasks --------------------------------------------------------------------------------------

// Labels of a file, and the predictions that are held against them.
typedef struct pf_task_evaluation pf_task_evaluation;

typedef struct pf_task_evaluation_options {
    const char *labels; // TSV with a header row, ids in the first column; "-": standard input
    const char *column; // of the labels; NULL: the second of two
    uint64_t seed;      // of the intervals
    bool has_threshold; // classes are those that were chosen; else the likeliest
} pf_task_evaluation_options;

typedef struct pf_task_result {
    pf_task_metrics metrics;
    // 95 % of what the figures are when the sequences are drawn anew, with replacement (percentiles of 1,000
    // bootstrap samples; fewer where there is much to measure).
    bool has_intervals; // not where there are fewer than 2 sequences, or too many labels
    pf_task_metrics low, high;
    uint64_t sequences, unlabelled; // with labels, and without
    // What was measured, lent until the evaluation is closed: `metrics.count` labels, with predictions as
    // pf_prediction has them.
    const int32_t *target;     // of classes [count], else NULL
    const double *label;       // of a regression [count], else NULL
    const double *value;       // [count,C]
    const uint64_t *confusion; // [C,C] how often a label (row) was predicted as a class (column); else NULL
} pf_task_result;

// `config` is that of the model; it stays. Errors: PF_ERROR_USAGE (a language model), PF_ERROR_INPUT (the
// labels).
PF_API pf_status pf_task_evaluation_open(const struct pf_config *config,
                                         const pf_task_evaluation_options *options, pf_task_evaluation **out);
PF_API void pf_task_evaluation_close(pf_task_evaluation *evaluation); // NULL is fine

// Predictions in any order. Those without a label are counted and left out. Errors: PF_ERROR_INPUT for a
// label that does not fit its sequence.
PF_API pf_status pf_task_evaluation_add(pf_task_evaluation *evaluation, const pf_prediction *predictions,
                                        size_t count);

// The figures of all that was added. *warnings, if not NULL: a line each, or NULL; release it with
// pf_release. Errors: PF_ERROR_INPUT where nothing had a label.
PF_API pf_status pf_task_evaluation_finish(pf_task_evaluation *evaluation, pf_task_result *out,
                                           char **warnings);

#ifdef __cplusplus
}
#endif
#endif
