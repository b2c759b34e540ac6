// A batch on the device: tokens, targets, places and the tables of sequences. See parts.h.
#include "model/parts.h"

#include "base/memory.h"

static pf_status create_translation(pf_device *device, const struct pf_config *config, size_t rows,
                                    pf_input *out)
{
    void *memory = NULL;
    out->vocabulary = pf_vocabulary_of(config);
    out->is_labelled = config->task.type != PF_TASK_NONE;
    if (config->alphabet == PF_ALPHABET_TOKENS) {
        PF_TRY(pf_alloc(&memory, rows, sizeof(int32_t), "tokens"));
        out->host_tokens = memory;
        memory = NULL;
    }
    if (!config->token_dropout) return PF_OK;
    PF_TRY(pf_alloc(&memory, rows, sizeof(float), "scales of tokens"));
    out->host_scales = memory;
    return pf_buffer_create(device, rows * sizeof(float), "scales of tokens", &out->scale);
}

pf_status pf_input_create(pf_device *device, const struct pf_config *config, const pf_model_limits *limits,
                          pf_input *out)
{
    const size_t rows = (size_t)limits->max_rows, sequences = (size_t)limits->max_sequences;
    void *memory = NULL;
    PF_TRY(pf_buffer_create(device, rows * sizeof(int32_t), "tokens", &out->token));
    PF_TRY(pf_buffer_create(device, rows * sizeof(int32_t), "targets", &out->target));
    PF_TRY(pf_buffer_create(device, rows * sizeof(pf_place), "places", &out->place));
    PF_TRY(pf_alloc(&memory, rows, sizeof(pf_place), "places"));
    out->host_places = memory;
    PF_TRY(pf_alloc(&memory, sequences, sizeof(int32_t), "lengths"));
    out->lengths = memory;
    PF_TRY(create_translation(device, config, rows, out));
    return pf_sequences_create(device, limits->max_sequences, limits->max_rows, &out->sequences);
}

void pf_input_free(pf_input *input)
{
    pf_buffer_free(input->token);
    pf_buffer_free(input->target);
    pf_buffer_free(input->place);
    pf_buffer_free(input->scale);
    pf_sequences_free(input->sequences);
    pf_free(input->host_places);
    pf_free(input->host_tokens);
    pf_free(input->host_scales);
    pf_free(input->lengths);
}

static pf_status check_batch(const pf_model_limits *limits, const pf_batch *batch, int32_t first)
{
    PF_CHECK(batch->n_rows <= limits->max_rows && batch->n_sequences <= limits->max_sequences, PF_ERROR_USAGE,
             "a batch of %d tokens in %d sequences, the model was made for %d in %d", batch->n_rows,
             batch->n_sequences, limits->max_rows, limits->max_sequences);
    PF_CHECK(batch->longest <= limits->max_length - first, PF_ERROR_USAGE,
             "a sequence of %d tokens, the model takes %d", first + batch->longest, limits->max_length);
    return PF_OK;
}

// Tokens or targets as the model numbers them; PF_NO_TARGET stays.
static pf_status upload_tokens(const pf_input *input, pf_buffer *to, const int32_t *token, size_t rows)
{
    if (!input->host_tokens) return pf_buffer_write(to, 0, token, rows * sizeof *token);
    for (size_t n = 0; n < rows; n++)
        input->host_tokens[n] = token[n] < 0 ? token[n] : input->vocabulary.number[token[n]];
    return pf_buffer_write(to, 0, input->host_tokens, rows * sizeof *input->host_tokens);
}

// ESM's token dropout (Lin et al. 2022): the rows of masks are 0, and the others are scaled as if each
// sequence had as many masks as in training, 80 % of 15 %; begin and end count among its tokens. A sequence
// of masks only has no other rows.
static pf_status upload_scales(const pf_input *input, const pf_batch *batch)
{
    const double kept_in_training = 1 - 0.15 * 0.8;
    for (int32_t b = 0; b < batch->n_sequences; b++) {
        int32_t n_masks = 0;
        const int32_t first = batch->start[b], end = batch->start[b + 1];
        for (int32_t n = first; n < end; n++) n_masks += batch->token[n] == PF_BATCH_MASK;
        const double kept = 1 - (double)n_masks / (end - first);
        for (int32_t n = first; n < end; n++)
            input->host_scales[n] = batch->token[n] == PF_BATCH_MASK ? 0 : (float)(kept_in_training / kept);
    }
    return pf_buffer_write(input->scale, 0, input->host_scales, (size_t)batch->n_rows * sizeof(float));
}

pf_status pf_input_upload(pf_input *input, const pf_model_limits *limits, const pf_batch *batch,
                          const pf_pass *pass)
{
    const int32_t first = pass->carry ? pass->first_position : 0;
    PF_TRY(check_batch(limits, batch, first));
    const size_t rows = (size_t)batch->n_rows;
    pf_places_fill(input->host_places, batch);
    for (size_t n = 0; n < rows; n++) input->host_places[n].position += (uint32_t)first;
    for (int32_t b = 0; b < batch->n_sequences; b++)
        input->lengths[b] = batch->start[b + 1] - batch->start[b];
    PF_TRY(upload_tokens(input, input->token, batch->token, rows));
    if (!input->is_labelled) PF_TRY(upload_tokens(input, input->target, batch->target, rows));
    if (input->scale) PF_TRY(upload_scales(input, batch));
    PF_TRY(pf_buffer_write(input->place, 0, input->host_places, rows * sizeof(pf_place)));
    PF_TRY(pf_sequences_set(input->sequences, batch->start, input->lengths, batch->n_sequences));
    input->n_rows = batch->n_rows;
    input->n_sequences = batch->n_sequences;
    return PF_OK;
}
