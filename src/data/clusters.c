// Tables of clusters. See clusters.h.
#include "data/clusters.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "data/fasta_input.h"

static pf_status add_line(pf_clusters *clusters, const char *line, size_t length)
{
    if (length && line[length - 1] == '\r') length--;
    if (length == 0) return PF_OK;
    const char *tab = memchr(line, '\t', length);
    const size_t first = tab ? (size_t)(tab - line) : 0, second = tab ? length - first - 1 : 0;
    char quoted[PF_QUOTE_BYTES];
    PF_CHECK(first > 0 && second > 0 && !memchr(tab + 1, '\t', second), PF_ERROR_INPUT,
             "expected two columns, representative and member id, found '%s'",
             pf_quote(quoted, line, length));
    PF_TRY(pf_grow((void **)&clusters->entries, &clusters->capacity, clusters->count + 1,
                   sizeof(pf_cluster_entry), "clusters"));
    clusters->entries[clusters->count++] = (pf_cluster_entry){
        .member = pf_digest_of(tab + 1, second), .representative = pf_digest_of(line, first).words[0]};
    return PF_OK;
}

static int compare(const void *a, const void *b)
{
    const pf_cluster_entry *left = a, *right = b;
    for (int i = 0; i < 2; i++)
        if (left->member.words[i] != right->member.words[i])
            return left->member.words[i] < right->member.words[i] ? -1 : 1;
    return left->representative < right->representative ? -1 : left->representative > right->representative;
}

static pf_status add_lines(pf_clusters *clusters, const pf_text *text)
{
    size_t line = 1;
    for (size_t at = 0; at < text->length; line++) {
        const char *begin = text->data + at, *end = memchr(begin, '\n', text->length - at);
        const size_t length = end ? (size_t)(end - begin) : text->length - at;
        PF_TRY(pf_context(add_line(clusters, begin, length), "line %zu", line));
        at += length + 1;
    }
    PF_CHECK(clusters->count > 0, PF_ERROR_INPUT, "no clusters in it");
    qsort(clusters->entries, clusters->count, sizeof(pf_cluster_entry), compare);
    return PF_OK;
}

// Finds a member that stands under two representatives, so that its share would be a matter of luck.
static pf_status check_unique(const pf_clusters *clusters, const pf_text *text)
{
    const pf_cluster_entry *entry = clusters->entries, *last = entry + clusters->count - 1;
    while (entry < last && (entry[0].representative == entry[1].representative ||
                            memcmp(&entry[0].member, &entry[1].member, sizeof(pf_digest)) != 0))
        entry++;
    if (entry == last) return PF_OK;
    for (const char *line = text->data, *tab; (tab = strchr(line, '\t')); line = strchr(tab, '\n') + 1) {
        const size_t length = strcspn(tab + 1, "\r\n");
        const pf_digest digest = pf_digest_of(tab + 1, length);
        char quoted[PF_QUOTE_BYTES];
        PF_CHECK(memcmp(&digest, &entry->member, sizeof digest) != 0, PF_ERROR_INPUT,
                 "member '%s' is in two clusters; ids must be unique", pf_quote(quoted, tab + 1, length));
        if (!strchr(tab, '\n')) break;
    }
    return pf_fail(PF_ERROR_INPUT, "a member is in two clusters; ids must be unique");
}

pf_status pf_clusters_read(const char *path, pf_clusters *out)
{
    pf_clusters clusters = {0};
    pf_text text = {0}, shown = {0};
    pf_status status;
    PF_TRY_OR(done, pf_fasta_input_read_all(path, &text));
    PF_TRY_OR(done, add_lines(&clusters, &text));
    PF_TRY_OR(done, check_unique(&clusters, &text));
    *out = clusters;
done:
    if (status != PF_OK) {
        pf_clusters_free(&clusters);
        if (pf_text_add_path(&shown, path) == PF_OK) pf_context(status, "%s", shown.data);
    }
    pf_text_free(&shown);
    pf_text_free(&text);
    return status;
}

void pf_clusters_free(pf_clusters *clusters)
{
    pf_free(clusters->entries);
    *clusters = (pf_clusters){0};
}

static bool find_one(const pf_clusters *clusters, const char *id, size_t length, uint64_t *representative)
{
    const pf_digest digest = pf_digest_of(id, length);
    size_t low = 0, high = clusters->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const pf_cluster_entry *entry = &clusters->entries[middle];
        if (memcmp(&entry->member, &digest, sizeof digest) == 0) {
            *representative = entry->representative;
            return true;
        }
        const pf_cluster_entry wanted = {.member = digest};
        if (compare(entry, &wanted) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

bool pf_clusters_find(const pf_clusters *clusters, const char *id, size_t length, uint64_t *representative)
{
    if (find_one(clusters, id, length, representative)) return true;
    if (!memchr(id, '|', length)) return false;
    for (size_t at = 0, part; at < length; at += part + 1) {
        const char *bar = memchr(id + at, '|', length - at);
        part = bar ? (size_t)(bar - id) - at : length - at;
        if (part && find_one(clusters, id + at, part, representative)) return true;
    }
    return false;
}
