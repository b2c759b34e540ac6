// A block of a table that has a row of numbers for each position: rotary angles, sinusoids. The rows are
// computed on the host in double (an angle in fp32 is off by 2e-2 at a million) and uploaded as positions are
// reached, so that memory depends on a batch, not on the longest sequence that a model allows.
#ifndef PF_OPS_POSITION_TABLE_H
#define PF_OPS_POSITION_TABLE_H

#include "device/device.h"

// Writes the rows [count, width] of positions first, first + 1, …; `frequencies` are the table's.
typedef void (*pf_position_rows)(float *rows, int first, int count, int width, const double *frequencies);

typedef struct pf_position_table {
    pf_buffer *buffer; // [room, width]
    int first;         // position of the first row, for kernels
    int count;         // rows that are there
    int room, width;
    pf_position_rows make;
    double *frequencies; // [width/2], angle per position of each pair of columns
    float *rows; // a few on their way
} pf_position_table;

// `table` is empty yet: zeros. `make` gets `frequencies` [width/2], which are copied;
// NULL: 10000^(-2i/width). Errors: PF_ERROR_DEVICE; pf_position_table_free is due all the same.
pf_status pf_position_table_create(pf_device *device, int room, int width, pf_position_rows make,
                                   const double *frequencies, pf_position_table *table);
void pf_position_table_free(pf_position_table *table);

// Lets the table hold positions first .. first+count-1, at most `room`. Rows that are there stay.
pf_status pf_position_table_reach(pf_position_table *table, int first, int count);

#endif
