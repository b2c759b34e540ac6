// The number formats that files hold, and how they become floats.
#ifndef PF_STORE_NUMBER_TYPE_H
#define PF_STORE_NUMBER_TYPE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

// Files are little-endian and are read without swapping.
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "files are little-endian: this host is not"
#endif

typedef enum pf_number_type {
    PF_F64,
    PF_F32,
    PF_F16,
    PF_BF16,
    PF_I64,
    PF_I32,
    PF_I16,
    PF_I8,
    PF_U64,
    PF_U32,
    PF_U16,
    PF_U8,
    PF_BOOL,
    PF_NUMBER_TYPES, // how many there are
} pf_number_type;

const char *pf_number_type_name(pf_number_type type);   // "F32", as safetensors says it
size_t pf_number_type_bytes(pf_number_type type);       // of one number
// Errors: PF_ERROR_INPUT with the names there are.
pf_status pf_number_type_read(const char *name, pf_number_type *out);

// `count` numbers of `type` at `numbers` as floats; doubles are rounded. Errors: PF_ERROR_INPUT for
// types that are no floating-point numbers.
pf_status pf_numbers_to_float(float *out, const void *numbers, size_t count, pf_number_type type);

// The nearest half-precision number, ties to even; infinite beyond 65504.
enum { PF_LARGEST_HALF = 65504 };
uint16_t pf_half_from_float(float x);

float pf_float_from_half(uint16_t bits);
float pf_float_from_bfloat(uint16_t bits);

#endif
