// The tile provider: which constants of cl/matmul.cl suit a call, and how its work is shared out. None of it
// changes a bit of the result. See provider.h.
#include "base/memory.h"
#include "ops/matmul/provider.h"

// Measured on CPUs: 6 rows of 64 columns fill 24 of 32 vector registers. `thin` wastes less where few columns
// are left over; `few` leaves out the packing that a handful of rows would not pay back.
static const pf_tile_shape broad = {1, 6, 4, 1, 96, 512}, thin = {1, 12, 2, 1, 96, 512},
                           few = {0, 4, 4, 1, 4, 64};
// GPU: 64 items share 32 rows and 64 columns.
static const pf_tile_shape shared = {0, 4, 2, 8, 32, 32};

enum { FEW_ROWS = 4, PACK_ROWS = 32, PACK_COLUMNS = 256, GROUPS_PER_UNIT = 4 };
enum { BROAD, THIN, FEW, MOST_BUILT_IN, MOST_PROGRAMS = MOST_BUILT_IN + PF_TUNED_SHAPES };

typedef struct tile_program {
    pf_tile_shape shape;
    int panel;                           // columns: PW
    pf_kernel *multiply[2][2], *pack[2]; // by transpose_a, transpose_b
} tile_program;

struct pf_tile_provider {
    int units, vector;
    const pf_tuned *tuned;
    int n_built_in, n_programs;
    tile_program programs[MOST_PROGRAMS]; // broad, thin, few, or the narrow one alone; then those of `tuned`
};

// The shape with a depth whose staged rows fit local memory beside the rest; see A_FLOATS in cl/matmul.cl.
static pf_tile_shape fitted(const pf_device *device, pf_tile_shape shape)
{
    enum { PAD = 16, REST = 8192 };
    const uint64_t local = pf_device_describe(device)->local_bytes;
    while (shape.packed && shape.depth > PAD &&
           (uint64_t)(shape.staged_rows + PAD) * (uint64_t)(shape.depth + PAD) * sizeof(float) + REST > local)
        shape.depth /= 2;
    return shape;
}

static pf_status create_program(pf_device *device, tile_program *program, const pf_tile_shape *shape)
{
    static const char *const names[2][2] = {{"matmul_nn", "matmul_nt"}, {"matmul_tn", "matmul_tt"}};
    static const char *const pack[2] = {"matmul_pack_n", "matmul_pack_t"};
    const pf_define defines[] = {
        {"PACKED", shape->packed}, {"MR", shape->rows},        {"NV", shape->vectors},
        {"GN", shape->beside},     {"MC", shape->staged_rows}, {"KC", shape->depth},
    };
    const pf_program_key key = {"matmul", defines, (int)(sizeof defines / sizeof *defines), {0, 0}};
    program->shape = *shape;
    program->panel = shape->beside * shape->vectors * pf_device_shape(device).vector;
    for (int a = 0; a < 2; a++)
        for (int b = 0; b < 2; b++)
            if (shape->packed != 1 || !a || !b) // packed: B lies in panels either way
                PF_TRY(pf_kernel_create(device, &key, names[a][b && shape->packed != 1],
                                        &program->multiply[a][b]));
    for (int b = 0; b < 2 && shape->packed == 1; b++)
        PF_TRY(pf_kernel_create(device, &key, pack[b], &program->pack[b]));
    return PF_OK;
}

// Profiles name the constants of kernels that were tuned.
static void label_program(const tile_program *program, int vector)
{
    char label[40];
    pf_tile_shape_label(&program->shape, vector, label, sizeof label);
    for (int a = 0; a < 2; a++) {
        if (program->pack[a]) pf_kernel_label(program->pack[a], label);
        for (int b = 0; b < 2; b++)
            if (program->multiply[a][b]) pf_kernel_label(program->multiply[a][b], label);
    }
}

static const tile_program *find_program(const pf_tile_provider *tile, const pf_tile_shape *shape)
{
    for (int i = 0; i < tile->n_programs; i++)
        if (pf_tile_shape_equal(&tile->programs[i].shape, shape)) return &tile->programs[i];
    return NULL;
}

static pf_status create_programs(pf_device *device, pf_tile_provider *tile)
{
    const pf_tile_shape *const wide[] = {&broad, &thin, &few}, *const narrow[] = {&shared};
    const bool is_wide = pf_device_shape(device).work_group == 1;
    tile->n_built_in = is_wide ? MOST_BUILT_IN : 1;
    for (int i = 0; i < tile->n_built_in; i++) {
        const pf_tile_shape shape = fitted(device, is_wide ? *wide[i] : *narrow[i]);
        PF_TRY(create_program(device, &tile->programs[tile->n_programs++], &shape));
    }
    for (int i = 0; i < tile->tuned->count; i++) {
        const pf_tuned_entry *e = &tile->tuned->entry[i];
        if (e->provider != PF_MATMUL_TILE || find_program(tile, &e->shape)) continue;
        PF_CHECK(tile->n_programs < MOST_PROGRAMS, PF_ERROR_USAGE, "more than %d kinds of tiles",
                 PF_TUNED_SHAPES);
        tile_program *program = &tile->programs[tile->n_programs++];
        PF_TRY(create_program(device, program, &e->shape));
        label_program(program, tile->vector);
    }
    return PF_OK;
}

pf_status pf_tile_create(pf_device *device, const pf_tuned *tuned, pf_tile_provider **out)
{
    void *made = NULL;
    PF_TRY(pf_alloc(&made, 1, sizeof(pf_tile_provider), "tile provider"));
    pf_tile_provider *tile = made;
    tile->tuned = tuned;
    tile->units = (int)pf_device_describe(device)->compute_units;
    tile->vector = pf_device_shape(device).vector;
    const pf_status status = create_programs(device, tile);
    if (status == PF_OK)
        *out = tile;
    else
        pf_tile_free(tile);
    return status;
}

void pf_tile_free(pf_tile_provider *tile)
{
    if (!tile) return;
    for (int i = 0; i < tile->n_programs; i++)
        for (int a = 0; a < 2; a++) {
            pf_kernel_free(tile->programs[i].pack[a]);
            for (int b = 0; b < 2; b++) pf_kernel_free(tile->programs[i].multiply[a][b]);
        }
    pf_free(tile);
}

static size_t divide_up(size_t x, size_t by)
{
    return (x + by - 1) / by;
}

static const tile_program *choose(const pf_tile_provider *tile, const pf_matmul_call *call)
{
    const bool is_packed =
        !call->transpose_a || !(call->transpose_b || call->has_activation); // has a kernel for it
    if (tile->n_built_in > 1 && (call->m <= FEW_ROWS || !is_packed)) return &tile->programs[FEW];
    const pf_tuned_entry *entry = pf_tuned_find(tile->tuned, call);
    if (entry && entry->provider == PF_MATMUL_TILE) return find_program(tile, &entry->shape);
    if (tile->n_built_in == 1) return &tile->programs[0];
    // A product of one panel (the head, with an alphabet's columns) is too small a part of a step to compile
    // `thin` for.
    const tile_program *wider = &tile->programs[BROAD], *thinner = &tile->programs[THIN];
    const size_t n = (size_t)call->n;
    const size_t wider_columns = divide_up(n, (size_t)wider->panel) * (size_t)wider->panel;
    const size_t thinner_columns = divide_up(n, (size_t)thinner->panel) * (size_t)thinner->panel;
    return call->n > wider->panel && 16 * thinner_columns < 15 * wider_columns ? thinner : wider;
}

const pf_tile_shape *pf_tile_shape_of(const pf_tile_provider *tile, const pf_matmul_call *call)
{
    return &choose(tile, call)->shape;
}

// Floats of one packed B, and how many of them there are.
static size_t panels_floats(const pf_tile_provider *tile, const tile_program *program,
                            const pf_matmul_call *call)
{
    const size_t vector = (size_t)tile->vector, panel = (size_t)program->panel;
    return divide_up((size_t)call->n, panel) * panel * divide_up((size_t)call->k, vector) * vector;
}

static int packed_matrices(const pf_matmul_call *call)
{
    return call->b_stride ? call->batch : 1;
}

pf_status pf_tile_scratch(const pf_tile_provider *tile, const pf_matmul_call *call, size_t *bytes)
{
    // More rows never need less: few rows count as many.
    pf_matmul_call many = *call;
    if (many.m <= FEW_ROWS) many.m = FEW_ROWS + 1;
    const tile_program *program = choose(tile, &many);
    const size_t floats = program->shape.packed == 1 ? panels_floats(tile, program, call) : 0;
    PF_CHECK(floats <= UINT32_MAX, PF_ERROR_USAGE,
             "matrix product: %d x %d numbers are too many for one matrix", call->k, call->n);
    *bytes = floats * sizeof(float) * (size_t)packed_matrices(call);
    return PF_OK;
}

static pf_status pack(const pf_tile_provider *tile, const tile_program *program, const pf_matmul_call *call,
                      pf_buffer *scratch)
{
    const size_t floats = panels_floats(tile, program, call), count = (size_t)packed_matrices(call);
    const int depth = call->transpose_b ? PACK_COLUMNS : PACK_ROWS;
    const pf_work work = {
        .groups = {call->transpose_b ? divide_up((size_t)call->n, (size_t)program->panel) : 1,
                   divide_up((size_t)call->k, (size_t)depth), count},
        .bytes = 8.0 * (double)floats * (double)count};
    return pf_launch(program->pack[call->transpose_b], work,
                     PF_ARGS(pf_arg_buffer(scratch), pf_arg_buffer(call->b), pf_arg_int(call->n),
                             pf_arg_int(call->k), pf_arg_int(call->ldb),
                             pf_arg_uint((uint32_t)call->b_offset), pf_arg_uint((uint32_t)call->b_stride),
                             pf_arg_uint((uint32_t)floats), pf_arg_int(depth)));
}

// How a product is cut into groups.
typedef struct cut {
    size_t row_blocks, column_blocks;
    int rows_each, panels_each;
} cut;

// Whole register tiles, at most MC rows; as many groups as keep all units busy to the end, if the product has
// them.
static cut share_out(const pf_tile_provider *tile, const tile_program *program, const pf_matmul_call *call)
{
    const size_t m = (size_t)call->m, rows = (size_t)program->shape.rows, units = (size_t)tile->units;
    const size_t panels = divide_up((size_t)call->n, (size_t)program->panel),
                 wanted = GROUPS_PER_UNIT * units;
    if (!program->shape.packed)
        return (cut){divide_up(m, (size_t)program->shape.staged_rows), panels, program->shape.staged_rows, 1};
    size_t row_blocks = divide_up(m, (size_t)program->shape.staged_rows);
    if (row_blocks * panels < wanted && row_blocks < divide_up(wanted, panels))
        row_blocks = divide_up(wanted, panels);
    if (row_blocks > units) row_blocks = divide_up(row_blocks, units) * units;
    const size_t rows_each = divide_up(divide_up(m, row_blocks), rows) * rows;
    row_blocks = divide_up(m, rows_each);
    const size_t splits = row_blocks >= wanted ? 1 : divide_up(wanted, row_blocks);
    const size_t panels_each = splits >= panels ? 1 : divide_up(panels, splits);
    return (cut){row_blocks, divide_up(panels, panels_each), (int)rows_each, (int)panels_each};
}

pf_status pf_tile_run(pf_tile_provider *tile, const pf_matmul_call *call, pf_buffer *scratch)
{
    const tile_program *program = choose(tile, call);
    const bool packed = program->shape.packed == 1;
    if (packed && call->k > 0) PF_TRY(pack(tile, program, call, scratch));
    const cut groups = share_out(tile, program, call);
    const size_t panels_stride = call->b_stride ? panels_floats(tile, program, call) : 0;
    const pf_work work = {.groups = {groups.row_blocks, groups.column_blocks, (size_t)call->batch},
                          .flops = pf_product_flops(call),
                          .bytes = pf_product_bytes(call)};
    return pf_launch(
        program->multiply[call->transpose_a][call->transpose_b], work,
        PF_ARGS(pf_arg_buffer(call->c), pf_arg_buffer(call->pre_activation), pf_arg_buffer(call->a),
                pf_arg_buffer(packed ? scratch : call->b), pf_arg_buffer(call->residual),
                pf_arg_buffer(call->bias), pf_arg_int(call->m), pf_arg_int(call->n), pf_arg_int(call->k),
                pf_arg_int(call->lda), pf_arg_int(call->ldb), pf_arg_int(call->ldc),
                pf_arg_uint((uint32_t)call->a_offset), pf_arg_uint(packed ? 0 : (uint32_t)call->b_offset),
                pf_arg_uint((uint32_t)call->c_offset), pf_arg_uint((uint32_t)call->a_stride),
                pf_arg_uint((uint32_t)(packed ? panels_stride : call->b_stride)),
                pf_arg_uint((uint32_t)call->c_stride), pf_arg_float(call->alpha), pf_arg_float(call->beta),
                pf_arg_int(pf_activation_code(call)), pf_arg_int(groups.rows_each),
                pf_arg_int(groups.panels_each)));
}
