// NumPy's files: .npy (one array) read and written, .npz (a zip of them) written. Format: NEP 1,
// versions 1.0 to 3.0.
#ifndef PF_STORE_NPY_H
#define PF_STORE_NPY_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum { PF_NPY_MAX_RANK = 8 };

// As first dimension of an array to be written: however many rows will come.
#define PF_NPY_OPEN_END UINT64_MAX

typedef struct pf_npy_array {
    int rank;
    uint64_t shape[PF_NPY_MAX_RANK];
    uint64_t count; // numbers
    float *data;    // C order; release with pf_npy_free
} pf_npy_array;

// A whole array of float32 or float64 in C order; doubles are rounded. The size of the file is
// checked against the shape before memory is asked for. Errors: PF_ERROR_INPUT with the path, what is
// wrong and how to save it rightly; *out untouched.
pf_status pf_npy_read(const char *path, pf_npy_array *out);
void pf_npy_free(pf_npy_array *array);

pf_status pf_npy_write(const char *path, const float *data, int rank, const uint64_t *shape);

// An array row by row. Commit errors: PF_ERROR_USAGE when the numbers do not fill the shape.
typedef struct pf_npy_writer pf_npy_writer;
pf_status pf_npy_writer_open(const char *path, int rank, const uint64_t *shape, pf_npy_writer **out);
// The same with numbers stored in half precision, rounded to nearest.
pf_status pf_npy_writer_open_half(const char *path, int rank, const uint64_t *shape, pf_npy_writer **out);
pf_status pf_npy_writer_write(pf_npy_writer *writer, const float *data, size_t count);
pf_status pf_npy_writer_commit(pf_npy_writer *writer);
void pf_npy_writer_discard(pf_npy_writer *writer);

// An archive of arrays, not compressed (weights and embeddings do not shrink), of any size. An array
// ends where the next begins. `np.load(path)[name]` gives it back. The archive cannot be a pipe.
typedef struct pf_npz pf_npz;
pf_status pf_npz_open(const char *path, pf_npz **out);
void pf_npz_use_half(pf_npz *npz); // arrays begun from here on are stored in half precision
pf_status pf_npz_begin(pf_npz *npz, const char *name, int rank, const uint64_t *shape);
pf_status pf_npz_write(pf_npz *npz, const float *data, size_t count);
// An array of texts (UTF-8; bytes that are not become U+FFFD), of NumPy's type '<U': `count` of them, written one by
// one, each of at most `width` characters, as pf_npz_text_width counts them.
pf_status pf_npz_begin_texts(pf_npz *npz, const char *name, size_t width, uint64_t count);
pf_status pf_npz_write_text(pf_npz *npz, const char *text);
size_t pf_npz_text_width(const char *text);
pf_status pf_npz_commit(pf_npz *npz); // the file appears; `npz` is gone in any case
void pf_npz_discard(pf_npz *npz);

// The header of an array, for npy_write.c and npz.c: its length depends on rank and type only, so that
// an open end can be filled in later. `room` is PF_NPY_HEADER_BYTES; returns its length.
enum { PF_NPY_HEADER_BYTES = 320 };
size_t pf_npy_header(char *out, const char *descr, int rank, const uint64_t *shape);
// Rows of an array of that shape that `count` numbers are; errors: PF_ERROR_USAGE when they are none or
// the shape says otherwise.
pf_status pf_npy_close_shape(uint64_t *shape, int rank, uint64_t count);

#endif
