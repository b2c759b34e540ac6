// Blocks of positions on the device. See position_table.h.
#include "ops/position_table.h"

#include <math.h>

#include "base/memory.h"

enum {
    ROWS_AT_ONCE = 1024
}; // made and uploaded at a time; also made ahead, for those who come token by token

static pf_status set_frequencies(pf_position_table *table, const double *given)
{
    const int pairs = (table->width + 1) / 2;
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, (size_t)pairs, sizeof(double), "frequencies of positions"));
    table->frequencies = memory;
    for (int i = 0; i < pairs; i++)
        table->frequencies[i] = given ? given[i] : pow(10000, -2.0 * i / table->width);
    return PF_OK;
}

pf_status pf_position_table_create(pf_device *device, int room, int width, pf_position_rows make,
                                   const double *frequencies, pf_position_table *table)
{
    void *rows = NULL;
    table->room = room;
    table->width = width;
    table->make = make;
    PF_TRY(set_frequencies(table, frequencies));
    PF_TRY(pf_alloc(&rows, (size_t)width * ROWS_AT_ONCE, sizeof(float), "positions"));
    table->rows = rows;
    return pf_buffer_create(device, (size_t)room * (size_t)width * sizeof(float), "positions",
                            &table->buffer);
}

void pf_position_table_free(pf_position_table *table)
{
    pf_buffer_free(table->buffer);
    pf_free(table->rows);
    pf_free(table->frequencies);
}

pf_status pf_position_table_reach(pf_position_table *table, int first, int count)
{
    PF_CHECK(count <= table->room, PF_ERROR_USAGE, "%d positions, the table takes %d", count, table->room);
    if (first >= table->first && count <= table->first + table->count - first) return PF_OK;
    if (first != table->first) {
        table->first = first;
        table->count = 0;
    }
    while (table->count < count) {
        const int left = table->room - table->count, now = left < ROWS_AT_ONCE ? left : ROWS_AT_ONCE;
        const size_t row_bytes = (size_t)table->width * sizeof(float);
        table->make(table->rows, first + table->count, now, table->width, table->frequencies);
        PF_TRY(pf_buffer_write(table->buffer, (size_t)table->count * row_bytes, table->rows,
                               (size_t)now * row_bytes));
        table->count += now;
    }
    return PF_OK;
}
