// A batch on the device: tokens, targets, places and the tables of sequences. See parts.h.
#include "model/parts.h"

#include "base/memory.h"

pf_status pf_input_create(pf_device *device, const pf_model_limits *limits, pf_input *out)
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
    return pf_sequences_create(device, limits->max_sequences, limits->max_rows, &out->sequences);
}

void pf_input_free(pf_input *input)
{
    pf_buffer_free(input->token);
    pf_buffer_free(input->target);
    pf_buffer_free(input->place);
    pf_sequences_free(input->sequences);
    pf_free(input->host_places);
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
    PF_TRY(pf_buffer_write(input->token, 0, batch->token, rows * sizeof *batch->token));
    PF_TRY(pf_buffer_write(input->target, 0, batch->target, rows * sizeof *batch->target));
    PF_TRY(pf_buffer_write(input->place, 0, input->host_places, rows * sizeof(pf_place)));
    PF_TRY(pf_sequences_set(input->sequences, batch->start, input->lengths, batch->n_sequences));
    input->n_rows = batch->n_rows;
    input->n_sequences = batch->n_sequences;
    return PF_OK;
}
