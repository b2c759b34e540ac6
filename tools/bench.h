// performer bench --fasta: how fast a model trains with one kind of attention or another. For tools/*bench*.c
// only.
#ifndef TOOLS_BENCH_H
#define TOOLS_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/options.h"

enum { PF_BENCH_KINDS = 3 };
typedef enum pf_bench_kind { PF_BENCH_EXACT, PF_BENCH_FAVOR, PF_BENCH_HYBRID } pf_bench_kind;

extern const char *const pf_bench_names[PF_BENCH_KINDS]; // "exact", "favor", "hybrid"

// What is measured: a configuration, sequences, and for how long.
typedef struct pf_bench {
    const pf_common *common;
    const char *preset, *config_file;
    const char *const *settings;
    int n_settings;
    const char *const *files;
    int n_files;
    double seconds; // of steps, for each measurement
    int local;      // heads that are exact, within a window, in the hybrid
} pf_bench;

typedef struct pf_bench_speed {
    double tokens_per_s; // median over steps, compilation left out
    uint64_t peak_bytes; // of the device's buffers
} pf_bench_speed;

// Chooses the local heads: the configuration's, or half of all. Errors: those of a configuration.
pf_status pf_bench_prepare(pf_bench *bench);

// Training steps of the whole model with this kind of attention: on the files' own sequences, or, with
// `length` above 0, on windows of so many tokens cut out of them. The device is opened anew. Errors: those of
// training.
pf_status pf_bench_measure(const pf_bench *bench, pf_bench_kind kind, int64_t length, pf_bench_speed *out);

// The whole of it: measures and prints. Errors: as above.
pf_status pf_bench_fasta(pf_bench *bench, const pf_integers *lengths, bool json);

#endif
