// Safetensors files: named tensors behind a JSON header (the format of Hugging Face). Nothing of a
// file is used before all of its header has been checked: types, shapes, products without overflow,
// and ranges that follow each other without hole or overlap up to the file's end.
#ifndef PF_STORE_SAFETENSORS_H
#define PF_STORE_SAFETENSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "store/number_type.h"

enum {
    PF_MAX_RANK = 8,
    PF_HEADER_LIMIT = 16 << 20, // bytes of JSON; parsing takes about eleven times as much memory
};

typedef struct pf_tensor_info {
    const char *name;
    pf_number_type type;
    int rank;
    uint64_t shape[PF_MAX_RANK];
    uint64_t count;       // numbers: product of the shape
    uint64_t bytes;
    uint64_t offset;      // in the file
} pf_tensor_info;

typedef struct pf_safetensors pf_safetensors;

// Opens a file and checks its header. Errors: PF_ERROR_INPUT with the path and what is wrong.
pf_status pf_safetensors_open(const char *path, pf_safetensors **out);
// The same for a header in memory, with `data_bytes` said to follow it; for tests. It cannot be read from.
pf_status pf_safetensors_parse(const char *header, size_t length, uint64_t data_bytes, pf_safetensors **out);
void pf_safetensors_close(pf_safetensors *file);

int pf_safetensors_count(const pf_safetensors *file);
const pf_tensor_info *pf_safetensors_get(const pf_safetensors *file, int i);                   // in file order
const pf_tensor_info *pf_safetensors_find(const pf_safetensors *file, const char *name);       // NULL: none
const char *pf_safetensors_metadata(const pf_safetensors *file, const char *key);              // NULL: none
const char *pf_safetensors_path(const pf_safetensors *file);

// Bytes of a tensor, or `count` numbers of it from `first` on as floats. Errors: PF_ERROR_INPUT with
// path and tensor.
pf_status pf_safetensors_read(const pf_safetensors *file, const pf_tensor_info *tensor, void *out);
pf_status pf_safetensors_read_float(const pf_safetensors *file, const pf_tensor_info *tensor, uint64_t first,
                                    uint64_t count, float *out);

// --- writing ------------------------------------------------------------------------------------

typedef struct pf_tensor_spec {
    const char *name;
    pf_number_type type;
    int rank;
    uint64_t shape[PF_MAX_RANK];
} pf_tensor_spec;

typedef struct pf_metadata {
    const char *key, *value;
} pf_metadata;

// Writing a file whose tensors are known beforehand: the header goes out first, then the tensors'
// bytes in the order of `tensors`, in pieces of any size; the file appears at the commit.
typedef struct pf_safetensors_writer pf_safetensors_writer;

pf_status pf_safetensors_writer_open(const char *path, const pf_tensor_spec *tensors, int n_tensors,
                                     const pf_metadata *metadata, int n_metadata, pf_safetensors_writer **out);
pf_status pf_safetensors_write(pf_safetensors_writer *writer, const void *bytes, size_t count);
// Errors: PF_ERROR_USAGE when fewer bytes were written than the header says. `writer` is gone in any
// case. `sha256_hex` (65 bytes) may be NULL.
pf_status pf_safetensors_commit(pf_safetensors_writer *writer, char *sha256_hex);
void pf_safetensors_discard(pf_safetensors_writer *writer);

// Writing tensors as they come: their bytes wait in a file beside ("PATH.data") until the
// header is known at the commit.
typedef struct pf_safetensors_spool pf_safetensors_spool;

pf_status pf_safetensors_spool_open(const char *path, pf_safetensors_spool **out);
// Errors: PF_ERROR_USAGE for a name that is there already.
pf_status pf_safetensors_spool_add(pf_safetensors_spool *spool, const pf_tensor_spec *tensor, const void *bytes);
// The same in pieces of any size: what is written belongs to the tensor begun last, whose bytes must all have come
// before the next begins.
pf_status pf_safetensors_spool_begin(pf_safetensors_spool *spool, const pf_tensor_spec *tensor);
pf_status pf_safetensors_spool_write(pf_safetensors_spool *spool, const void *bytes, size_t count);
pf_status pf_safetensors_spool_commit(pf_safetensors_spool *spool, const pf_metadata *metadata, int n_metadata);
void pf_safetensors_spool_discard(pf_safetensors_spool *spool);

#endif
