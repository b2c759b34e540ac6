// Prefix sums down the columns of matrices x[outer][count][inner], in place (Blelloch 1990, "Prefix sums and their
// applications"): sums of blocks of rows, their own prefix sums, then each block from where the one before it ends.
//
// Every column is summed in the order of its rows, and blocks are cut by `count` alone: fixed order, no waiting of one
// group for another. Groups: [columns / (WG * VEC), blocks, outer].
#include "lib/base.clh"

#define COLUMN ((get_group_id(0) * WG + LID) * VEC)

// sums[outer][blocks][inner]
KERNEL void prefix_sum_blocks(OUT sums, IN x, const int count, const int inner, const int block)
{
    const int c = COLUMN, first = get_group_id(1) * block, last = min(first + block, count);
    if (c >= inner) return;
    IN from = x + (size_t)get_group_id(2) * count * inner + c;
    vec sum = 0;
    for (int i = first; i < last; i++) sum += load(from + (size_t)i * inner, inner - c);
    store(sums + ((size_t)get_group_id(2) * get_num_groups(1) + get_group_id(1)) * inner + c, sum, inner - c);
}

// x becomes its prefix sums, of the rows before (exclusive) or up to (inclusive) each row; a block begins at
// starts[outer][blocks][inner], or at 0 without `has_starts`.
KERNEL void prefix_sum_apply(OUT x, IN starts, const int has_starts, const int count, const int inner, const int block,
                             const int exclusive)
{
    const int c = COLUMN, first = get_group_id(1) * block, last = min(first + block, count);
    if (c >= inner) return;
    OUT at = x + (size_t)get_group_id(2) * count * inner + c;
    vec sum = 0;
    if (has_starts)
        sum = load(starts + ((size_t)get_group_id(2) * get_num_groups(1) + get_group_id(1)) * inner + c, inner - c);
    for (int i = first; i < last; i++) {
        const vec next = sum + load(at + (size_t)i * inner, inner - c);
        store(at + (size_t)i * inner, exclusive ? sum : next, inner - c);
        sum = next;
    }
}
