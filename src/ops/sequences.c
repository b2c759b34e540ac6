// The tables of sequences and blocks. See sequences.h.
#include "ops/sequences.h"

#include "base/memory.h"

int32_t pf_blocks_of(int32_t length, int32_t *block_rows)
{
    int32_t rows = PF_BLOCK_ROWS;
    while (length > (int64_t)rows * PF_MOST_BLOCKS_EACH) rows *= 2;
    *block_rows = rows;
    return length / rows + (length % rows != 0);
}

int32_t pf_blocks_at_most(int32_t max_sequences, int32_t max_rows)
{
    const int64_t by_rows = (int64_t)max_rows / PF_BLOCK_ROWS + max_sequences;
    const int64_t by_sequences = (int64_t)PF_MOST_BLOCKS_EACH * max_sequences;
    return (int32_t)(by_rows < by_sequences ? by_rows : by_sequences);
}

pf_status pf_sequences_create(pf_device *device, int32_t max_sequences, int32_t max_rows, pf_sequences **out)
{
    void *made = NULL;
    pf_status status;
    PF_TRY(pf_alloc(&made, 1, sizeof(pf_sequences), "sequence table"));
    pf_sequences *s = made;
    s->max_sequences = max_sequences;
    s->max_blocks = pf_blocks_at_most(max_sequences, max_rows);
    const size_t n_sequences = (size_t)s->max_sequences, n_blocks = (size_t)s->max_blocks;
    void *host = NULL;
    PF_TRY_OR(failed, pf_alloc(&host, n_sequences, sizeof(pf_sequence), "sequence table"));
    s->host_sequences = host;
    PF_TRY_OR(failed, pf_alloc(&host, n_blocks, sizeof(pf_block), "block table"));
    s->host_blocks = host;
    PF_TRY_OR(failed, pf_buffer_create(device, n_sequences * sizeof(pf_sequence), "sequence table", &s->sequences));
    PF_TRY_OR(failed, pf_buffer_create(device, n_blocks * sizeof(pf_block), "block table", &s->blocks));
    *out = s;
    return PF_OK;
failed:
    pf_sequences_free(s);
    return status;
}

void pf_sequences_free(pf_sequences *s)
{
    if (!s) return;
    pf_buffer_free(s->sequences);
    pf_buffer_free(s->blocks);
    pf_free(s->host_sequences);
    pf_free(s->host_blocks);
    pf_free(s);
}

pf_status pf_sequences_set(pf_sequences *s, const int32_t *first_row, const int32_t *length, int32_t count)
{
    PF_CHECK(count <= s->max_sequences, PF_ERROR_USAGE, "%d sequences in a batch made for %d", count, s->max_sequences);
    int32_t n_blocks = 0;
    for (int32_t b = 0; b < count; b++) {
        int32_t rows, n = pf_blocks_of(length[b], &rows);
        PF_CHECK(n_blocks + n <= s->max_blocks, PF_ERROR_USAGE, "more than the %d blocks this batch was made for",
                 s->max_blocks);
        s->host_sequences[b] = (pf_sequence){first_row[b], length[b], n_blocks, n};
        for (int32_t i = 0; i < n; i++, n_blocks++) {
            const int32_t token = i * rows, left = length[b] - token;
            s->host_blocks[n_blocks] = (pf_block){first_row[b] + token, left < rows ? left : rows, b, token};
        }
    }
    s->n_sequences = count;
    s->n_blocks = n_blocks;
    PF_TRY(pf_buffer_write(s->sequences, 0, s->host_sequences, (size_t)count * sizeof(pf_sequence)));
    return pf_buffer_write(s->blocks, 0, s->host_blocks, (size_t)n_blocks * sizeof(pf_block));
}
