// Shares by hash. See performer/split.h.
#include "performer/split.h"

#include "base/memory.h"
#include "base/random.h"
#include "base/text.h"
#include "data/clusters.h"
#include "data/hash_set.h"

struct pf_split {
    double valid, test;
    uint64_t seed;
    bool has_clusters;
    pf_clusters clusters;
    pf_hash_set seen;
};

pf_split_options pf_split_default(void)
{
    return (pf_split_options){.valid = 0.05, .test = 0.05};
}

pf_status pf_split_create(const pf_split_options *options, pf_split **out)
{
    PF_CHECK(options && out, PF_ERROR_USAGE, "pf_split_create: options and out are needed");
    PF_CHECK(options->valid >= 0 && options->test >= 0 && options->valid + options->test < 1, PF_ERROR_USAGE,
             "shares of %g for validation and %g for test: expected 0 or more, and less than 1 together",
             options->valid, options->test);
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, 1, sizeof(pf_split), "split"));
    pf_split *split = memory;
    split->valid = options->valid;
    split->test = options->test;
    split->seed = options->seed;
    split->has_clusters = options->clusters != NULL;
    const pf_status status =
        split->has_clusters ? pf_clusters_read(options->clusters, &split->clusters) : PF_OK;
    if (status == PF_OK)
        *out = split;
    else
        pf_split_free(split);
    return status;
}

void pf_split_free(pf_split *split)
{
    if (!split) return;
    pf_clusters_free(&split->clusters);
    pf_hash_set_free(&split->seen);
    pf_free(split);
}

pf_status pf_split_next(pf_split *split, const pf_fasta_record *record, pf_split_part *part)
{
    PF_CHECK(split && record && part, PF_ERROR_USAGE,
             "pf_split_next: a split, a record and a part are needed");
    const pf_digest digest = pf_digest_of(record->sequence, record->length);
    bool was_there;
    PF_TRY(pf_hash_set_add(&split->seen, digest, &was_there));
    if (was_there) {
        *part = PF_SPLIT_COPY;
        return PF_OK;
    }
    uint64_t hash = digest.words[0];
    if (split->has_clusters && !pf_clusters_find(&split->clusters, record->id, record->id_length, &hash)) {
        char quoted[PF_QUOTE_BYTES];
        return pf_fail(PF_ERROR_INPUT,
                       "sequence '%s' (line %llu) is in no cluster; cluster all sequences together",
                       pf_quote(quoted, record->id, record->id_length), (unsigned long long)record->line);
    }
    // In [0, 1).
    const double place =
        split->seed ? pf_random_uniform(split->seed, PF_RANDOM_SPLIT, 0, hash) : (double)(hash >> 11) * 0x1p-53;
    *part = place < split->valid                 ? PF_SPLIT_VALID
            : place < split->valid + split->test ? PF_SPLIT_TEST
                                                 : PF_SPLIT_TRAIN;
    return PF_OK;
}
