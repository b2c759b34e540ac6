// Steps from the endless list. See loader_step.h.
#include "data/loader_step.h"

#include "base/memory.h"
#include "base/random.h"

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

// The shortest and longest window that a step can hold.
static void window_limits(const pf_corpus *corpus, const pf_loader_options *options, uint64_t *least,
                          uint64_t *most)
{
    *least = *most = options->max_length;
    if (options->concat) return;
    for (size_t i = 0; i < corpus->n_sequences; i++) *least = smaller(*least, pf_corpus_length(corpus, i));
    *most = smaller(*most, corpus->longest + 2);
}

pf_status pf_step_buffer_create(pf_step_buffer *buffer, const pf_corpus *corpus,
                                const pf_loader_options *options)
{
    uint64_t least, most;
    window_limits(corpus, options, &least, &most);
    const size_t rows = (size_t)larger(options->batch_tokens, most);
    const size_t sequences = (size_t)larger(options->batch_tokens / least, 1);
    pf_step_buffer made = {0};
    pf_status status;
    PF_TRY_OR(done, pf_alloc((void **)&made.token, rows, sizeof(int32_t), "tokens of a step"));
    PF_TRY_OR(done, pf_alloc((void **)&made.target, rows, sizeof(int32_t), "targets of a step"));
    if (options->labels && options->labels->value)
        PF_TRY_OR(done, pf_alloc((void **)&made.value, rows, sizeof(float), "labels of a step"));
    PF_TRY_OR(done, pf_alloc((void **)&made.start, 2 * sequences, sizeof(int32_t), "sequences of a step"));
    PF_TRY_OR(done, pf_alloc((void **)&made.length, sequences, sizeof(int32_t), "sequences of a step"));
    PF_TRY_OR(done, pf_alloc((void **)&made.number, sequences, sizeof(uint64_t), "sequences of a step"));
    PF_TRY_OR(done, pf_alloc((void **)&made.micro, sequences, sizeof(pf_batch), "micro-batches of a step"));
    for (size_t i = 0; i < sequences; i++) made.number[i] = i;
    *buffer = made;
done:
    if (status != PF_OK) pf_step_buffer_free(&made);
    return status;
}

void pf_step_buffer_free(pf_step_buffer *buffer)
{
    pf_free(buffer->token);
    pf_free(buffer->target);
    pf_free(buffer->value);
    pf_free(buffer->start);
    pf_free(buffer->length);
    pf_free(buffer->number);
    pf_free(buffer->micro);
    *buffer = (pf_step_buffer){0};
}

// The window of the next sequence: its length, and in *first where it begins.
static size_t next_window(const pf_endless *list, const pf_loader_options *options, const pf_step *step,
                          uint64_t *first)
{
    *first = 0;
    const uint64_t window = options->max_length;
    if (options->concat) return (size_t)window;
    const uint64_t length = pf_corpus_length(list->corpus, pf_endless_sequence(list));
    if (length <= window) return (size_t)length;
    if (options->shuffle && options->crop_random)
        *first = pf_random_below(length - window + 1, options->seed, PF_RANDOM_CROP, step->step,
                                 step->n_sequences);
    return (size_t)window;
}

// What the next window's tokens, which are in place, have to be answered with; returns how many answers.
static int32_t add_targets(pf_step_buffer *buffer, const pf_endless *list, const pf_loader_options *options,
                           uint64_t first, size_t length)
{
    const pf_step *step = &buffer->step;
    int32_t *token = buffer->token + step->n_tokens, *target = buffer->target + step->n_tokens;
    if (options->labels)
        return pf_labels_window(options->labels, list->corpus, options->task,
                                (pf_label_window){pf_endless_sequence(list), first, length}, target,
                                buffer->value ? buffer->value + step->n_tokens : NULL);
    if (options->is_causal) return pf_mask_causal(token, target, length);
    const pf_mask_key key = {.seed = options->seed, .step = step->step, .number = step->n_sequences};
    return pf_mask_training(&options->masking, key, token, target, length);
}

// Adds tokens and targets of the next window to the step; false if it would exceed batch_tokens.
static bool add_window(pf_step_buffer *buffer, pf_endless *list, const pf_loader_options *options)
{
    pf_step *step = &buffer->step;
    uint64_t first;
    const size_t length = next_window(list, options, step, &first);
    if (step->n_sequences > 0 && step->n_tokens + length > options->batch_tokens) return false;
    int32_t *token = buffer->token + step->n_tokens;
    int32_t n_targets;
    if (options->concat) {
        pf_endless_take_tokens(list, length, token);
        n_targets = add_targets(buffer, list, options, 0, length);
        step->cursor += length;
    } else {
        pf_corpus_tokens(list->corpus, pf_endless_sequence(list), first, length, token);
        n_targets = add_targets(buffer, list, options, first, length);
        pf_endless_advance(list);
        step->cursor++;
    }
    buffer->length[step->n_sequences++] = (int32_t)length;
    step->n_tokens += length;
    step->n_targets += (uint64_t)n_targets;
    return true;
}

// Starts a micro-batch at sequence `first` of the step, row `row`; returns how many sequences it takes.
static size_t cut_micro_batch(pf_step_buffer *buffer, const pf_loader_options *options, size_t first,
                              size_t row)
{
    const pf_step *step = &buffer->step;
    // Every micro-batch before had an entry more than sequences.
    int32_t *start = buffer->start + first + step->n_micro;
    const int32_t *target = buffer->target + row;
    pf_batch *batch = &buffer->micro[step->n_micro];
    *batch = (pf_batch){.start = start,
                        .token = buffer->token + row,
                        .target = target,
                        .value = buffer->value ? buffer->value + row : NULL,
                        .number = buffer->number + first};
    start[0] = 0;
    for (size_t i = first; i < step->n_sequences; i++) {
        const int32_t length = buffer->length[i];
        if ((uint64_t)batch->n_sequences == options->micro_batch_sequences) break;
        if ((uint64_t)batch->n_rows + (uint64_t)length > options->micro_batch_tokens) break;
        batch->n_rows += length;
        batch->n_sequences++;
        start[batch->n_sequences] = batch->n_rows;
        if (length > batch->longest) batch->longest = length;
    }
    for (int32_t i = 0; i < batch->n_rows; i++) batch->n_targets += target[i] != PF_NO_TARGET;
    return (size_t)batch->n_sequences;
}

void pf_step_buffer_fill(pf_step_buffer *buffer, pf_endless *list, const pf_loader_options *options,
                         uint64_t step, uint64_t cursor)
{
    buffer->step = (pf_step){.step = step, .cursor = cursor, .micro = buffer->micro};
    while (add_window(buffer, list, options)) continue;
    size_t row = 0;
    for (size_t first = 0; first < buffer->step.n_sequences; buffer->step.n_micro++) {
        first += cut_micro_batch(buffer, options, first, row);
        row += (size_t)buffer->micro[buffer->step.n_micro].n_rows;
    }
}
