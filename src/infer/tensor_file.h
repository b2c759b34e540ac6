// Tensors of one name each, as they come, into .safetensors or .npz; the path's ending decides.
#ifndef PF_INFER_TENSOR_FILE_H
#define PF_INFER_TENSOR_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "store/npy.h"
#include "store/safetensors.h"

typedef struct pf_tensor_file {
    pf_safetensors_spool *spool; // one of the two
    pf_npz *npz;
    bool is_half;
} pf_tensor_file; // zero-initialise it

// Whether `path` ends in `ending` (".npz"), whatever its case.
bool pf_path_ends(const char *path, const char *ending);

// PF_ERROR_USAGE for another ending than the two.
pf_status pf_tensor_file_check(const char *path);

// Errors: those of pf_tensor_file_check, PF_ERROR_FAILED.
pf_status pf_tensor_file_open(const char *path, pf_tensor_file *file);
void pf_tensor_file_use_half(pf_tensor_file *file); // stores numbers in half precision
pf_status pf_tensor_file_add(pf_tensor_file *file, const char *name, int rank, const uint64_t *shape,
                             const float *data);
// The same in pieces: numbers belong to the tensor begun last.
pf_status pf_tensor_file_begin(pf_tensor_file *file, const char *name, int rank, const uint64_t *shape);
pf_status pf_tensor_file_write(pf_tensor_file *file, const float *data, size_t count);
pf_status pf_tensor_file_commit(pf_tensor_file *file);
void pf_tensor_file_discard(pf_tensor_file *file);

#endif
