// Sharing out rows. See parts.h.
#include "ops/parts.h"

enum {
    MOST_WIDE = 64,    // a group is a core's worth of work
    MOST_NARROW = 256, // a group is a small share of a GPU
    NARROW_ROWS = 2,
    PART_VECTORS = 4,  // as in cl/lib/parts.clh
};

size_t pf_groups(int64_t count, int64_t each)
{
    return (size_t)((count + each - 1) / each);
}

int pf_most_parts(const pf_device *device)
{
    return pf_device_shape(device).work_group == 1 ? MOST_WIDE : MOST_NARROW;
}

size_t pf_parts_bytes(const pf_device *device, size_t columns)
{
    return (size_t)pf_most_parts(device) * columns * sizeof(float);
}

pf_parts pf_parts_of(const pf_device *device, int rows, int least)
{
    const int even = (int)pf_groups(rows, pf_most_parts(device));
    const int rows_each = even > least ? even : least;
    return (pf_parts){(int)pf_groups(rows, rows_each), rows_each};
}

int pf_rows_each(const pf_device *device, int wide)
{
    return pf_device_shape(device).work_group == 1 ? wide : NARROW_ROWS;
}

size_t pf_part_groups(const pf_device *device, int columns)
{
    return pf_groups(columns, (int64_t)PART_VECTORS * pf_device_shape(device).vector);
}
