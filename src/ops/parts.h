// How the rows of a batch are shared out for the first pass of a sum over rows. The second pass adds
// the parts up in order (cl/lib/parts.clh): same rows, same device, same bits.
#ifndef PF_OPS_PARTS_H
#define PF_OPS_PARTS_H

#include "device/device.h"

typedef struct pf_parts {
    int count;     // groups of the first pass, at most pf_most_parts
    int rows_each; // rows of a part, but for the last
} pf_parts;

// What work buffers are sized for.
int pf_most_parts(const pf_device *device);

// Bytes of the parts of a sum over rows of `columns` numbers.
size_t pf_parts_bytes(const pf_device *device, size_t columns);

// `rows` in parts of `least` rows or more.
pf_parts pf_parts_of(const pf_device *device, int rows, int least);

// Rows of a group where rows have nothing to do with each other: `wide` ones make up for a launch on a CPU; a GPU
// wants many small groups.
int pf_rows_each(const pf_device *device, int wide);

// Groups of the second pass for `columns` columns.
size_t pf_part_groups(const pf_device *device, int columns);

// ceil(count / each)
size_t pf_groups(int64_t count, int64_t each);

#endif
