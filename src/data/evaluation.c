// A corpus as batches of an evaluation. See evaluation.h.
#include "data/evaluation.h"

#include "base/memory.h"
#include "data/batch.h"
#include "data/mask.h"

struct pf_evaluation {
    const pf_corpus *corpus;
    pf_evaluation_options options;
    size_t next; // sequence
    pf_batch_builder builder;
    float *value; // labels of a regression, else NULL
};

static uint64_t window_length(const pf_evaluation *evaluation, size_t sequence)
{
    const uint64_t length = pf_corpus_length(evaluation->corpus, sequence);
    return length < evaluation->options.max_length ? length : evaluation->options.max_length;
}

pf_status pf_evaluation_create(const pf_corpus *corpus, const pf_evaluation_options *options,
                               pf_evaluation **out)
{
    const uint64_t longest = corpus->longest + 2;
    const uint64_t window = longest < options->max_length ? longest : options->max_length;
    PF_CHECK(window > 0 && options->most_sequences > 0, PF_ERROR_USAGE,
             "evaluation: a batch must hold at least a sequence of one token");
    PF_CHECK(options->most_rows >= window && options->most_rows <= INT32_MAX, PF_ERROR_USAGE,
             "evaluation: %llu tokens a batch do not fit sequences of up to %llu tokens",
             (unsigned long long)options->most_rows, (unsigned long long)window);
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, 1, sizeof(pf_evaluation), "evaluation"));
    pf_evaluation *evaluation = memory;
    evaluation->corpus = corpus;
    evaluation->options = *options;
    const uint64_t all = corpus->n_sequences;
    pf_status status = pf_batch_builder_create(&evaluation->builder, options->most_rows,
                                               options->most_sequences < all ? options->most_sequences : all);
    if (status == PF_OK && options->labels && options->labels->value)
        status = pf_alloc((void **)&evaluation->value, (size_t)options->most_rows, sizeof(float), "labels");
    if (status == PF_OK)
        *out = evaluation;
    else
        pf_evaluation_free(evaluation);
    return status;
}

void pf_evaluation_free(pf_evaluation *evaluation)
{
    if (!evaluation) return;
    pf_batch_builder_free(&evaluation->builder);
    pf_free(evaluation->value);
    pf_free(evaluation);
}

// Returns how many targets the next sequence has, whose tokens stand at `row`.
static int32_t add_targets(pf_evaluation *evaluation, int32_t row, size_t length)
{
    const pf_evaluation_options *o = &evaluation->options;
    int32_t *token = evaluation->builder.token + row, *target = evaluation->builder.target + row;
    if (o->labels)
        return pf_labels_window(o->labels, evaluation->corpus, o->task,
                                (pf_label_window){evaluation->next, 0, length}, target,
                                evaluation->value ? evaluation->value + row : NULL);
    if (o->is_causal) return pf_mask_causal(token, target, length);
    return pf_mask_evaluation(o->seed, evaluation->next, token, target, length);
}

// Puts sequence `next` behind the others.
static void add_sequence(pf_evaluation *evaluation)
{
    pf_batch_builder *builder = &evaluation->builder;
    const size_t length = (size_t)window_length(evaluation, evaluation->next);
    const int32_t row = pf_batch_builder_add(builder, length, evaluation->next);
    pf_corpus_tokens(evaluation->corpus, evaluation->next, 0, length, builder->token + row);
    builder->batch.n_targets += add_targets(evaluation, row, length);
    evaluation->next++;
}

pf_status pf_evaluation_next(pf_evaluation *evaluation, const pf_batch **batch)
{
    pf_batch_builder *builder = &evaluation->builder;
    pf_batch_builder_clear(builder);
    builder->batch.value = evaluation->value;
    while (evaluation->next < evaluation->corpus->n_sequences &&
           pf_batch_builder_fits(builder, window_length(evaluation, evaluation->next)))
        add_sequence(evaluation);
    if (builder->batch.n_sequences == 0) return PF_END;
    *batch = &builder->batch;
    return PF_OK;
}

void pf_evaluation_rewind(pf_evaluation *evaluation)
{
    evaluation->next = 0;
}
