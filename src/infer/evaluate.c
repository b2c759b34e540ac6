// Evaluation of a finished model. See performer/evaluate.h.
#include "performer/evaluate.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "data/corpus.h"
#include "data/evaluation.h"
#include "data/ngram.h"
#include "model/performer.h"

typedef struct evaluation {
    pf_model *model;
    pf_corpus *corpus, *train; // train: of the baselines, or NULL
    pf_evaluation *batches;
    pf_evaluation_options options;
    float *logits; // of a batch, for groups
    size_t logits_capacity;
    pf_metrics sums;
    double letter_hits[PF_FASTA_LETTER_COUNT], length_hits[PF_LENGTH_GROUPS]; // and sums of losses in *result
    uint64_t length_residues[PF_LENGTH_GROUPS];
    pf_text warnings;
} evaluation;

uint64_t pf_length_group_end(int group)
{
    return (uint64_t)128 << group;
}

static pf_status load(evaluation *e, const char *const *files, int n_files, pf_corpus **out)
{
    PF_TRY(pf_corpus_load(files, (size_t)n_files, out));
    for (size_t i = 0; i < (*out)->n_warnings; i++)
        PF_TRY(pf_text_add(&e->warnings, "%s\n", (*out)->warnings[i].data));
    return PF_OK;
}

static pf_status warn_of_crops(evaluation *e)
{
    uint64_t cropped = 0;
    for (size_t i = 0; i < e->corpus->n_sequences; i++)
        cropped += pf_corpus_length(e->corpus, i) > e->options.max_length;
    if (cropped == 0) return PF_OK;
    return pf_text_add(&e->warnings,
                       "%llu sequence%s longer than the model's %llu tokens: only their first tokens count\n",
                       (unsigned long long)cropped, cropped == 1 ? " is" : "s are",
                       (unsigned long long)e->options.max_length);
}

// Room in the model for the longest sequence.
static pf_status make_room(evaluation *e)
{
    pf_model_limits limits = *pf_model_get_limits(e->model);
    const uint64_t longest = e->corpus->longest + 2, most = e->options.max_length;
    const uint64_t needed = longest < most ? longest : most;
    if (needed > (uint64_t)limits.max_rows) {
        limits.max_rows = (int32_t)needed;
        PF_TRY(pf_model_resize(e->model, &limits));
    }
    e->options.most_rows = (uint64_t)limits.max_rows;
    e->options.most_sequences = (uint64_t)limits.max_sequences;
    return PF_OK;
}

static pf_status prepare(evaluation *e, const pf_evaluate_options *o)
{
    const struct pf_config *config = pf_model_config(e->model);
    PF_TRY(pf_model_need_tokens(e->model));
    PF_TRY(load(e, o->files, o->n_files, &e->corpus));
    if (o->n_train_files > 0) PF_TRY(load(e, o->train_files, o->n_train_files, &e->train));
    e->options = (pf_evaluation_options){
        .is_causal = config->objective == PF_OBJECTIVE_CLM,
        .max_length = (uint64_t)config->max_position_embeddings,
        .seed = o->seed,
    };
    PF_TRY(warn_of_crops(e));
    PF_TRY(make_room(e));
    return pf_evaluation_create(e->corpus, &e->options, &e->batches);
}

// -log of the target's probability, and whether it is the first of the largest.
static double loss_of(const float *logit, int A, int32_t target, bool *hit)
{
    int best = 0;
    for (int a = 1; a < A; a++)
        if (logit[a] > logit[best]) best = a;
    double sum = 0;
    for (int a = 0; a < A; a++) sum += exp((double)logit[a] - (double)logit[best]);
    *hit = best == target;
    return log(sum) + (double)logit[best] - (double)logit[target];
}

static int length_group(uint64_t n_residues)
{
    int group = 0;
    while (group < PF_LENGTH_GROUPS - 1 && n_residues > pf_length_group_end(group)) group++;
    return group;
}

static void add_group_row(evaluation *e, pf_evaluate_result *r, int group, int32_t target, const float *logit)
{
    bool hit;
    const int32_t number = pf_model_token_number(e->model, target);
    const double loss = loss_of(logit, pf_model_config(e->model)->vocab_size, number, &hit);
    r->by_length[group].targets++;
    r->by_length[group].loss += loss;
    if (target >= PF_RESIDUE_TOKENS) return;
    e->length_residues[group]++;
    e->length_hits[group] += hit;
    r->by_letter[target].targets++;
    r->by_letter[target].loss += loss;
    e->letter_hits[target] += hit;
}

// Sums by letter and by length, from the logits.
static pf_status add_groups(evaluation *e, pf_evaluate_result *r, const pf_batch *batch)
{
    const size_t A = (size_t)pf_model_config(e->model)->vocab_size, count = (size_t)batch->n_rows * A;
    PF_TRY(pf_grow((void **)&e->logits, &e->logits_capacity, count, sizeof *e->logits, "logits of a batch"));
    PF_TRY(pf_model_read_logits(e->model, e->logits));
    for (int32_t b = 0; b < batch->n_sequences; b++) {
        const uint64_t number = batch->number[b];
        const int group = length_group(e->corpus->start[number + 1] - e->corpus->start[number]);
        for (int32_t row = batch->start[b]; row < batch->start[b + 1]; row++)
            if (batch->target[row] != PF_NO_TARGET)
                add_group_row(e, r, group, batch->target[row], e->logits + (size_t)row * A);
    }
    return PF_OK;
}

// The device counts in 32 bits: its sums are taken over now and then.
static pf_status take_sums(evaluation *e)
{
    pf_metrics now;
    PF_TRY(pf_model_read_metrics(e->model, &now));
    e->sums.loss += now.loss;
    e->sums.residue_loss += now.residue_loss;
    e->sums.targets += now.targets;
    e->sums.hits += now.hits;
    e->sums.residue_targets += now.residue_targets;
    e->sums.residue_hits += now.residue_hits;
    return pf_model_clear_metrics(e->model);
}

static pf_status run(evaluation *e, bool groups, pf_evaluate_result *r)
{
    enum { ROWS_PER_SUM = 1 << 24 };
    const pf_pass pass = {0};
    const pf_batch *batch;
    pf_status status;
    uint64_t rows = 0;
    PF_TRY(pf_model_clear_metrics(e->model));
    while ((status = pf_evaluation_next(e->batches, &batch)) == PF_OK) {
        PF_TRY(pf_model_forward(e->model, batch, &pass));
        if (groups) PF_TRY(add_groups(e, r, batch));
        PF_TRY(pf_model_loss(e->model, 0));
        rows += (uint64_t)batch->n_rows;
        if (rows < ROWS_PER_SUM) continue;
        PF_TRY(take_sums(e));
        rows = 0;
    }
    return status == PF_END ? take_sums(e) : status;
}

static double mean(double sum, double count)
{
    return count > 0 ? sum / count : 0;
}

static pf_status finish(evaluation *e, pf_evaluate_result *r)
{
    const pf_metrics *s = &e->sums;
    PF_CHECK(s->targets > 0, PF_ERROR_INPUT,
             "%llu sequences with %llu residues hold nothing to predict%s; give more sequences",
             (unsigned long long)e->corpus->n_sequences, (unsigned long long)e->corpus->n_residues,
             e->options.is_causal ? "" : ": none of the 15 % of residues that are masked fell on one");
    r->is_causal = e->options.is_causal;
    r->sequences = e->corpus->n_sequences;
    r->targets = (uint64_t)s->targets;
    r->residue_targets = (uint64_t)s->residue_targets;
    r->loss = s->loss / (double)s->targets;
    r->perplexity = exp(mean(s->residue_loss, (double)s->residue_targets));
    r->accuracy = mean((double)s->residue_hits, (double)s->residue_targets);
    r->accuracy_with_end = (double)s->hits / (double)s->targets;
    for (int i = 0; i < PF_FASTA_LETTER_COUNT; i++) {
        r->by_letter[i].loss = mean(r->by_letter[i].loss, (double)r->by_letter[i].targets);
        r->by_letter[i].accuracy = mean(e->letter_hits[i], (double)r->by_letter[i].targets);
    }
    for (int i = 0; i < PF_LENGTH_GROUPS; i++) {
        r->by_length[i].loss = mean(r->by_length[i].loss, (double)r->by_length[i].targets);
        r->by_length[i].accuracy = mean(e->length_hits[i], (double)e->length_residues[i]);
    }
    PF_CHECK(isfinite(r->loss), PF_ERROR_NUMERICAL, "the loss is %g: the model's numbers are not usable",
             r->loss);
    return PF_OK;
}

static pf_status add_baselines(evaluation *e, pf_evaluate_result *r)
{
    pf_ngram *ngram = NULL;
    pf_ngram_score score;
    PF_TRY(pf_ngram_create(e->train, &ngram));
    const pf_status status = pf_ngram_evaluate(ngram, e->corpus, &e->options, &score);
    pf_ngram_free(ngram);
    PF_TRY(status);
    for (int i = 0; i < PF_NGRAM_BASELINES; i++)
        r->ngram[i] = (pf_baseline_metrics){score.perplexity[i], score.accuracy[i]};
    r->best_order = score.best;
    r->has_baselines = true;
    return PF_OK;
}

static void give_warnings(evaluation *e, char **warnings)
{
    pf_text *text = &e->warnings;
    if (!warnings) return;
    if (text->length) text->data[text->length - 1] = '\0'; // no line break behind the last
    *warnings = text->data;
    *text = (pf_text){0};
}

pf_status pf_evaluate(pf_model *model, const pf_evaluate_options *options, pf_evaluate_result *out,
                      char **warnings)
{
    evaluation e = {.model = model};
    pf_evaluate_result result = {.has_groups = options->groups};
    pf_status status;
    PF_TRY_OR(done, prepare(&e, options));
    PF_TRY_OR(done, run(&e, options->groups, &result));
    PF_TRY_OR(done, finish(&e, &result));
    if (e.train) PF_TRY_OR(done, add_baselines(&e, &result));
    *out = result;
    give_warnings(&e, warnings);
done:
    pf_evaluation_free(e.batches);
    pf_corpus_free(e.corpus);
    pf_corpus_free(e.train);
    pf_free(e.logits);
    pf_text_free(&e.warnings);
    return status;
}
