// Dropout keys, the host's twin of the mask, and launching with or without it. See dropout.h.
#include "ops/dropout.h"

#include <string.h>

#include "base/random.h"

pf_dropout pf_dropout_at(double rate, uint64_t seed, uint64_t step, uint64_t site)
{
    uint32_t block[4];
    pf_random_block(block, seed, PF_RANDOM_DROPOUT, step, site);
    return (pf_dropout){(uint32_t)(rate * 0x1p16 + 0.5), (float)(1 / (1 - rate)), {block[0], block[1]}};
}

bool pf_dropout_keeps(const pf_dropout *dropout, const pf_place *place, int column)
{
    // The device's counter is the stream without a purpose, step = sequence number.
    const uint64_t key = (uint64_t)dropout->key[1] << 32 | dropout->key[0];
    const uint64_t number = (uint64_t)place->number_high << 32 | place->number_low;
    const uint64_t index = (uint64_t)place->position << 32 | (uint32_t)column / 8;
    uint32_t block[4];
    pf_random_block(block, key, (pf_purpose)0, number, index);
    return (block[column % 8 / 2] >> column % 2 * 16 & 0xFFFF) >= dropout->threshold;
}

pf_status pf_dropout_kernels_create(pf_device *device, const pf_program_key *key, const char *name, bool dropout,
                                    pf_dropout_kernels *out)
{
    pf_define defines[8];
    pf_program_key with = *key;
    pf_dropout_kernels made = {0};
    memcpy(defines, key->defines, (size_t)key->n_defines * sizeof *defines);
    defines[with.n_defines++] = (pf_define){"DROPOUT", 1};
    with.defines = defines;
    pf_status status = pf_kernel_create(device, key, name, &made.plain);
    if (status == PF_OK && dropout) status = pf_kernel_create(device, &with, name, &made.dropping);
    if (status != PF_OK) {
        pf_dropout_kernels_free(&made);
        return status;
    }
    *out = made;
    return PF_OK;
}

void pf_dropout_kernels_free(pf_dropout_kernels *kernels)
{
    pf_kernel_free(kernels->plain);
    pf_kernel_free(kernels->dropping);
}

pf_status pf_dropout_run(const pf_dropout_kernels *kernels, pf_dropout_launch how, pf_work work, const pf_arg *args,
                         int n_args)
{
    static const pf_dropout none = {0};
    pf_arg all[32];
    const pf_dropout *dropout = how.dropout ? how.dropout : &none;
    pf_kernel *kernel = dropout->threshold ? kernels->dropping : kernels->plain;
    PF_CHECK(kernel, PF_ERROR_USAGE, "dropout in an operation that was made without; create it with dropout");
    PF_CHECK(how.place || !dropout->threshold, PF_ERROR_USAGE, "dropout without the places of the rows");
    memcpy(all, args, (size_t)n_args * sizeof *all);
    all[n_args] = pf_arg_buffer(how.place ? how.place : how.spare);
    all[n_args + 1] = pf_arg_uint(dropout->key[0]);
    all[n_args + 2] = pf_arg_uint(dropout->key[1]);
    all[n_args + 3] = pf_arg_uint(dropout->threshold);
    all[n_args + 4] = pf_arg_float(dropout->keep_scale);
    return pf_launch(kernel, work, all, n_args + 5);
}
