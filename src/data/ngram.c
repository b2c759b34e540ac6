// Counting n-grams and asking them. See ngram.h.
//
// Orders 1 to 5 are dense tables of 25^order counts, a context's 25 letters side by side. Order 6
// would take 2 GB that way and is sparse anyhow: its n-grams are sorted, equal ones counted.
#include "data/ngram.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

enum { DENSE_ORDERS = 5, DIGIT_BITS = 10, DIGITS = 3 }; // 25^6 < 2^28 fits three digits

struct pf_ngram {
    uint64_t *dense[DENSE_ORDERS]; // [25^order], the letter itself last
    uint32_t *code, *count;        // [n_codes] n-grams of order 6, sorted
    size_t n_codes;
};

static void count_dense(pf_ngram *ngram, const uint8_t *residue, uint64_t length)
{
    for (int order = 1; order <= DENSE_ORDERS; order++) {
        uint64_t modulus = 1, code = 0;
        for (int i = 0; i < order; i++) modulus *= PF_RESIDUES;
        for (uint64_t i = 0; i < length; i++) {
            code = (code * PF_RESIDUES + residue[i]) % modulus;
            if (i + 1 >= (uint64_t)order) ngram->dense[order - 1][code]++;
        }
    }
}

// Appends the sequence's n-grams of order 6; returns how many.
static size_t list_codes(uint32_t *code, const uint8_t *residue, uint64_t length)
{
    const uint64_t modulus = 244140625; // 25^6
    uint64_t running = 0;
    size_t n = 0;
    for (uint64_t i = 0; i < length; i++) {
        running = (running * PF_RESIDUES + residue[i]) % modulus;
        if (i + 1 >= PF_NGRAM_ORDERS) code[n++] = (uint32_t)running;
    }
    return n;
}

// One pass of a radix sort, from `code` to `sorted`.
static void sort_digit(uint32_t *sorted, const uint32_t *code, size_t n, int digit)
{
    size_t place[1 << DIGIT_BITS] = {0}, sum = 0;
    const int shift = digit * DIGIT_BITS;
    const uint32_t low = (1u << DIGIT_BITS) - 1;
    for (size_t i = 0; i < n; i++) place[code[i] >> shift & low]++;
    for (size_t d = 0; d <= low; d++) {
        const size_t here = place[d];
        place[d] = sum;
        sum += here;
    }
    for (size_t i = 0; i < n; i++) sorted[place[code[i] >> shift & low]++] = code[i];
}

// Sorted codes with repeats become distinct codes with counts, in place.
static size_t count_runs(uint32_t *code, uint32_t *count, size_t n)
{
    size_t made = 0;
    for (size_t i = 0, run; i < n; i += run) {
        for (run = 1; i + run < n && code[i + run] == code[i]; run++) continue;
        code[made] = code[i];
        count[made++] = run < UINT32_MAX ? (uint32_t)run : UINT32_MAX;
    }
    return made;
}

static pf_status count_sparse(pf_ngram *ngram, const pf_corpus *corpus)
{
    PF_TRY(pf_alloc((void **)&ngram->code, (size_t)corpus->n_residues, sizeof(uint32_t), "n-grams"));
    PF_TRY(pf_alloc((void **)&ngram->count, (size_t)corpus->n_residues, sizeof(uint32_t), "n-grams"));
    size_t n = 0;
    for (size_t i = 0; i < corpus->n_sequences; i++)
        n += list_codes(ngram->code + n, corpus->residue + corpus->start[i],
                        corpus->start[i + 1] - corpus->start[i]);
    uint32_t *from = ngram->code, *to = ngram->count; // an odd number of passes: they change places
    for (int digit = 0; digit < DIGITS; digit++) {
        sort_digit(to, from, n, digit);
        uint32_t *kept = from;
        from = to;
        to = kept;
    }
    ngram->code = from;
    ngram->count = to;
    ngram->n_codes = count_runs(from, to, n);
    return PF_OK;
}

static pf_status count_all(pf_ngram *ngram, const pf_corpus *corpus)
{
    size_t size = 1;
    for (int order = 1; order <= DENSE_ORDERS; order++) {
        size *= PF_RESIDUES;
        PF_TRY(pf_alloc((void **)&ngram->dense[order - 1], size, sizeof(uint64_t), "n-grams"));
    }
    for (size_t i = 0; i < corpus->n_sequences; i++)
        count_dense(ngram, corpus->residue + corpus->start[i], corpus->start[i + 1] - corpus->start[i]);
    return count_sparse(ngram, corpus);
}

pf_status pf_ngram_create(const pf_corpus *corpus, pf_ngram **out)
{
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, 1, sizeof(pf_ngram), "n-grams"));
    pf_ngram *ngram = memory;
    const pf_status status = count_all(ngram, corpus);
    if (status == PF_OK)
        *out = ngram;
    else
        pf_ngram_free(ngram);
    return status;
}

void pf_ngram_free(pf_ngram *ngram)
{
    if (!ngram) return;
    for (int i = 0; i < DENSE_ORDERS; i++) pf_free(ngram->dense[i]);
    pf_free(ngram->code);
    pf_free(ngram->count);
    pf_free(ngram);
}

// count[c] = n(hc) for the context of order 6 with this code.
static void counts_sparse(const pf_ngram *ngram, uint64_t context, uint64_t count[PF_RESIDUES])
{
    const uint64_t first = context * PF_RESIDUES;
    size_t low = 0, high = ngram->n_codes;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (ngram->code[middle] < first)
            low = middle + 1;
        else
            high = middle;
    }
    memset(count, 0, PF_RESIDUES * sizeof *count);
    for (; low < ngram->n_codes && ngram->code[low] < first + PF_RESIDUES; low++)
        count[ngram->code[low] - first] = ngram->count[low];
}

static void interpolate(double p[PF_RESIDUES], const uint64_t count[PF_RESIDUES],
                        const double shorter[PF_RESIDUES])
{
    double n = 0, t = 0;
    for (int c = 0; c < PF_RESIDUES; c++) {
        n += (double)count[c];
        t += count[c] > 0;
    }
    for (int c = 0; c < PF_RESIDUES; c++)
        p[c] = n > 0 ? ((double)count[c] + t * shorter[c]) / (n + t) : shorter[c];
}

void pf_ngram_predict(const pf_ngram *ngram, const uint8_t *residue, uint64_t place,
                      double p[PF_NGRAM_ORDERS][PF_RESIDUES])
{
    double below[PF_RESIDUES];
    for (int c = 0; c < PF_RESIDUES; c++) below[c] = 1.0 / PF_AMINO_ACIDS;
    interpolate(p[0], ngram->dense[0], below);
    uint64_t context = 0, scale = 1; // the order - 1 letters before, the nearest one last
    for (int order = 2; order <= PF_NGRAM_ORDERS; order++, scale *= PF_RESIDUES) {
        if (place + 1 < (uint64_t)order) {
            memcpy(p[order - 1], p[order - 2], sizeof p[0]);
            continue;
        }
        context += residue[place + 1 - (uint64_t)order] * scale;
        uint64_t sparse[PF_RESIDUES];
        if (order > DENSE_ORDERS) counts_sparse(ngram, context, sparse);
        interpolate(p[order - 1],
                    order > DENSE_ORDERS ? sparse : ngram->dense[order - 1] + context * PF_RESIDUES,
                    p[order - 2]);
    }
}

// Adds the score of one target to the sums (not yet means) in *score.
static void add_target(const pf_ngram *ngram, const uint8_t *residue, uint64_t place, pf_ngram_score *score)
{
    double p[PF_NGRAM_ORDERS][PF_RESIDUES];
    pf_ngram_predict(ngram, residue, place, p);
    score->n_targets++;
    for (int k = 0; k < PF_NGRAM_ORDERS; k++) {
        int best = 0;
        for (int c = 1; c < PF_RESIDUES; c++)
            if (p[k][c] > p[k][best]) best = c;
        score->perplexity[k] -= log(p[k][residue[place]]);
        score->accuracy[k] += best == residue[place];
    }
}

static void add_batch(const pf_ngram *ngram, const pf_corpus *corpus, const pf_batch *batch, bool is_causal,
                      pf_ngram_score *score)
{
    for (int32_t b = 0; b < batch->n_sequences; b++) {
        const uint8_t *residue = corpus->residue + corpus->start[batch->number[b]];
        for (int32_t row = batch->start[b]; row < batch->start[b + 1]; row++) {
            const int32_t target = batch->target[row], place = row - batch->start[b] - !is_causal;
            if (target >= 0 && target < PF_RESIDUES) add_target(ngram, residue, (uint64_t)place, score);
        }
    }
}

pf_status pf_ngram_evaluate(const pf_ngram *ngram, const pf_corpus *corpus,
                            const pf_evaluation_options *options, pf_ngram_score *score)
{
    pf_evaluation *evaluation = NULL;
    const pf_batch *batch;
    PF_TRY(pf_evaluation_create(corpus, options, &evaluation));
    pf_ngram_score sums = {.best = 1};
    while (pf_evaluation_next(evaluation, &batch) == PF_OK)
        add_batch(ngram, corpus, batch, options->is_causal, &sums);
    pf_evaluation_free(evaluation);
    PF_CHECK(sums.n_targets > 0, PF_ERROR_INPUT, "no residue to be evaluated: too few sequences");
    for (int k = 0; k < PF_NGRAM_ORDERS; k++) {
        sums.perplexity[k] = exp(sums.perplexity[k] / (double)sums.n_targets);
        sums.accuracy[k] /= (double)sums.n_targets;
        if (sums.perplexity[k] < sums.perplexity[sums.best - 1]) sums.best = k + 1;
    }
    *score = sums;
    return PF_OK;
}
