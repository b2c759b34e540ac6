// Which cluster a sequence belongs to, by its id: a table read from a TSV of representatives and
// members. 24 bytes a member; the ids themselves are not kept.
#ifndef PF_DATA_CLUSTERS_H
#define PF_DATA_CLUSTERS_H

#include "data/hash_set.h"

typedef struct pf_cluster_entry {
    pf_digest member;
    uint64_t representative; // first 64 bits of its id's digest
} pf_cluster_entry;

typedef struct pf_clusters {
    pf_cluster_entry *entries; // sorted by member
    size_t count, capacity;
} pf_clusters;

// Errors: PF_ERROR_INPUT with path and line: not two columns, an id in two clusters, nothing in it.
pf_status pf_clusters_read(const char *path, pf_clusters *out);
void pf_clusters_free(pf_clusters *clusters);

// The cluster of `id`, or of one of its parts between bars; false if none is known.
bool pf_clusters_find(const pf_clusters *clusters, const char *id, size_t length, uint64_t *representative);

#endif
