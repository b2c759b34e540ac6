// Epochs of a corpus. See endless.h.
#include "data/endless.h"

#include "base/memory.h"
#include "base/random.h"

// Fisher and Yates's shuffle (Durstenfeld 1964), from the file order: a function of seed and epoch.
static void shuffle_epoch(pf_endless *list)
{
    if (!list->order) return;
    const uint64_t n = list->corpus->n_sequences;
    for (uint64_t i = 0; i < n; i++) list->order[i] = (uint32_t)i;
    for (uint64_t i = n - 1; i > 0; i--) {
        const uint64_t j = pf_random_below(i + 1, list->seed, PF_RANDOM_SHUFFLE, list->epoch, i);
        const uint32_t kept = list->order[i];
        list->order[i] = list->order[j];
        list->order[j] = kept;
    }
}

pf_status pf_endless_create(pf_endless *list, const pf_corpus *corpus, bool shuffle, uint64_t seed)
{
    PF_CHECK(corpus->n_sequences > 0 && corpus->n_sequences <= UINT32_MAX, PF_ERROR_INPUT,
             "a corpus of %zu sequences; expected 1 to 4294967295", corpus->n_sequences);
    pf_endless made = {.corpus = corpus, .seed = seed};
    if (shuffle) {
        PF_TRY(
            pf_alloc((void **)&made.order, corpus->n_sequences, sizeof(uint32_t), "order of the sequences"));
        shuffle_epoch(&made);
    }
    *list = made;
    return PF_OK;
}

void pf_endless_free(pf_endless *list)
{
    pf_free(list->order);
    *list = (pf_endless){0};
}

size_t pf_endless_sequence(const pf_endless *list)
{
    return list->order ? list->order[list->place] : list->place;
}

static void go_to_epoch(pf_endless *list, uint64_t epoch)
{
    const bool is_other = epoch != list->epoch;
    list->epoch = epoch;
    list->place = 0;
    list->offset = 0;
    if (is_other) shuffle_epoch(list);
}

void pf_endless_advance(pf_endless *list)
{
    list->offset = 0;
    if (++list->place == list->corpus->n_sequences) go_to_epoch(list, list->epoch + 1);
}

void pf_endless_seek(pf_endless *list, uint64_t count)
{
    go_to_epoch(list, count / list->corpus->n_sequences);
    list->place = (size_t)(count % list->corpus->n_sequences);
}

void pf_endless_seek_tokens(pf_endless *list, uint64_t count)
{
    const uint64_t in_epoch = list->corpus->n_residues + 2 * (uint64_t)list->corpus->n_sequences;
    go_to_epoch(list, count / in_epoch);
    uint64_t left = count % in_epoch;
    for (uint64_t length; left >= (length = pf_corpus_length(list->corpus, pf_endless_sequence(list)));) {
        left -= length;
        list->place++; // stays inside the epoch, as `left` is below its length
    }
    list->offset = left;
}

void pf_endless_take_tokens(pf_endless *list, size_t count, int32_t *token)
{
    while (count) {
        const size_t sequence = pf_endless_sequence(list);
        const uint64_t left = pf_corpus_length(list->corpus, sequence) - list->offset;
        const size_t taken = left < count ? (size_t)left : count;
        pf_corpus_tokens(list->corpus, sequence, list->offset, taken, token);
        token += taken;
        count -= taken;
        list->offset += taken;
        if (taken == left) pf_endless_advance(list);
    }
}
