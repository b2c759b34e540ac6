// A corpus as batches of an evaluation. See evaluation.h.
#include "data/evaluation.h"

#include "base/memory.h"
#include "data/mask.h"

struct pf_evaluation {
    const pf_corpus *corpus;
    pf_evaluation_options options;
    size_t next; // sequence
    int32_t *start, *token, *target;
    uint64_t *number;
    pf_batch batch; // of the arrays above
};

static uint64_t window_length(const pf_evaluation *evaluation, size_t sequence)
{
    const uint64_t length = pf_corpus_length(evaluation->corpus, sequence);
    return length < evaluation->options.max_length ? length : evaluation->options.max_length;
}

static pf_status make_room(pf_evaluation *evaluation)
{
    const pf_evaluation_options *options = &evaluation->options;
    PF_TRY(
        pf_alloc((void **)&evaluation->start, (size_t)options->most_sequences + 1, sizeof(int32_t), "batch"));
    PF_TRY(
        pf_alloc((void **)&evaluation->number, (size_t)options->most_sequences, sizeof(uint64_t), "batch"));
    PF_TRY(pf_alloc((void **)&evaluation->token, (size_t)options->most_rows, sizeof(int32_t), "batch"));
    PF_TRY(pf_alloc((void **)&evaluation->target, (size_t)options->most_rows, sizeof(int32_t), "batch"));
    evaluation->batch = (pf_batch){.start = evaluation->start,
                                   .token = evaluation->token,
                                   .target = evaluation->target,
                                   .number = evaluation->number};
    return PF_OK;
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
    if (options->most_sequences > corpus->n_sequences)
        evaluation->options.most_sequences = corpus->n_sequences;
    const pf_status status = make_room(evaluation);
    if (status == PF_OK)
        *out = evaluation;
    else
        pf_evaluation_free(evaluation);
    return status;
}

void pf_evaluation_free(pf_evaluation *evaluation)
{
    if (!evaluation) return;
    pf_free(evaluation->start);
    pf_free(evaluation->number);
    pf_free(evaluation->token);
    pf_free(evaluation->target);
    pf_free(evaluation);
}

// Puts sequence `next` behind the others.
static void add_sequence(pf_evaluation *evaluation)
{
    pf_batch *batch = &evaluation->batch;
    const size_t length = (size_t)window_length(evaluation, evaluation->next);
    int32_t *token = evaluation->token + batch->n_rows, *target = evaluation->target + batch->n_rows;
    pf_corpus_tokens(evaluation->corpus, evaluation->next, 0, length, token);
    batch->n_targets +=
        evaluation->options.is_causal
            ? pf_mask_causal(token, target, length)
            : pf_mask_evaluation(evaluation->options.seed, evaluation->next, token, target, length);
    evaluation->number[batch->n_sequences++] = evaluation->next++;
    batch->n_rows += (int32_t)length;
    evaluation->start[batch->n_sequences] = batch->n_rows;
    if ((int32_t)length > batch->longest) batch->longest = (int32_t)length;
}

pf_status pf_evaluation_next(pf_evaluation *evaluation, const pf_batch **batch)
{
    pf_batch *made = &evaluation->batch;
    const pf_evaluation_options *options = &evaluation->options;
    made->n_sequences = made->n_rows = made->n_targets = made->longest = 0;
    while (evaluation->next < evaluation->corpus->n_sequences &&
           (uint64_t)made->n_sequences < options->most_sequences &&
           (uint64_t)made->n_rows + window_length(evaluation, evaluation->next) <= options->most_rows)
        add_sequence(evaluation);
    if (made->n_sequences == 0) return PF_END;
    *batch = made;
    return PF_OK;
}

void pf_evaluation_rewind(pf_evaluation *evaluation)
{
    evaluation->next = 0;
}
