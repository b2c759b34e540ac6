// Named tensors into a file of either format. See tensor_file.h.
#include "infer/tensor_file.h"
#include "store/number_type.h"

#include <string.h>
#include <strings.h>

#include "base/text.h"

bool pf_path_ends(const char *path, const char *ending)
{
    const size_t length = strlen(path), wanted = strlen(ending);
    return length > wanted && strcasecmp(path + length - wanted, ending) == 0;
}

pf_status pf_tensor_file_check(const char *path)
{
    char quoted[PF_QUOTE_BYTES];
    PF_CHECK(pf_path_ends(path, ".safetensors") || pf_path_ends(path, ".npz"), PF_ERROR_USAGE,
             "output %s: its name must end in .safetensors or .npz", pf_quote(quoted, path, strlen(path)));
    return PF_OK;
}

pf_status pf_tensor_file_open(const char *path, pf_tensor_file *file)
{
    PF_TRY(pf_tensor_file_check(path));
    if (pf_path_ends(path, ".npz")) return pf_npz_open(path, &file->npz);
    return pf_safetensors_spool_open(path, &file->spool);
}

void pf_tensor_file_use_half(pf_tensor_file *file)
{
    file->is_half = true;
    if (file->npz) pf_npz_use_half(file->npz);
}

pf_status pf_tensor_file_begin(pf_tensor_file *file, const char *name, int rank, const uint64_t *shape)
{
    pf_tensor_spec spec = {.name = name, .type = file->is_half ? PF_F16 : PF_F32, .rank = rank};
    for (int i = 0; i < rank; i++) spec.shape[i] = shape[i];
    if (file->spool) return pf_safetensors_spool_begin(file->spool, &spec);
    return pf_npz_begin(file->npz, name, rank, shape);
}

pf_status pf_tensor_file_write(pf_tensor_file *file, const float *data, size_t count)
{
    enum { PART = 1024 };
    uint16_t half[PART];
    if (file->npz) return pf_npz_write(file->npz, data, count);
    if (!file->is_half) return pf_safetensors_spool_write(file->spool, data, count * sizeof *data);
    for (size_t first = 0; first < count; first += PART) {
        const size_t part = count - first < PART ? count - first : PART;
        for (size_t i = 0; i < part; i++) half[i] = pf_half_from_float(data[first + i]);
        PF_TRY(pf_safetensors_spool_write(file->spool, half, part * sizeof *half));
    }
    return PF_OK;
}

pf_status pf_tensor_file_add(pf_tensor_file *file, const char *name, int rank, const uint64_t *shape,
                             const float *data)
{
    size_t count = 1;
    for (int i = 0; i < rank; i++) count *= shape[i];
    PF_TRY(pf_tensor_file_begin(file, name, rank, shape));
    return pf_tensor_file_write(file, data, count);
}

pf_status pf_tensor_file_commit(pf_tensor_file *file)
{
    const pf_tensor_file taken = *file;
    *file = (pf_tensor_file){0};
    return taken.spool ? pf_safetensors_spool_commit(taken.spool, NULL, 0) : pf_npz_commit(taken.npz);
}

void pf_tensor_file_discard(pf_tensor_file *file)
{
    pf_safetensors_spool_discard(file->spool);
    pf_npz_discard(file->npz);
    *file = (pf_tensor_file){0};
}
