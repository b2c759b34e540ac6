// Number formats of files. See number_type.h.
#include "store/number_type.h"

#include <string.h>

#include "base/text.h"

typedef struct type_row {
    const char *name;
    size_t bytes;
} type_row;

static const type_row types[PF_NUMBER_TYPES] = {
    [PF_F64] = {"F64", 8}, [PF_F32] = {"F32", 4}, [PF_F16] = {"F16", 2}, [PF_BF16] = {"BF16", 2},
    [PF_I64] = {"I64", 8}, [PF_I32] = {"I32", 4}, [PF_I16] = {"I16", 2}, [PF_I8] = {"I8", 1},
    [PF_U64] = {"U64", 8}, [PF_U32] = {"U32", 4}, [PF_U16] = {"U16", 2}, [PF_U8] = {"U8", 1},
    [PF_BOOL] = {"BOOL", 1},
};

const char *pf_number_type_name(pf_number_type type)
{
    return types[type].name;
}

size_t pf_number_type_bytes(pf_number_type type)
{
    return types[type].bytes;
}

pf_status pf_number_type_read(const char *name, pf_number_type *out)
{
    for (int i = 0; i < PF_NUMBER_TYPES; i++) {
        if (strcmp(name, types[i].name) != 0) continue;
        *out = (pf_number_type)i;
        return PF_OK;
    }
    char quoted[PF_QUOTE_BYTES];
    return pf_fail(PF_ERROR_INPUT, "dtype \"%s\", expected F64, F32, F16, BF16, I64 to I8, U64 to U8 or BOOL",
                   pf_quote(quoted, name, strlen(name)));
}

static float float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

float pf_float_from_bfloat(uint16_t bits)
{
    return float_of_bits((uint32_t)bits << 16);
}

uint16_t pf_half_from_float(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000u) return (uint16_t)(sign | 0x7e00);  // not a number
    if (magnitude >= 0x477ff000u) return (uint16_t)(sign | 0x7c00); // rounds to more than 65504
    if (magnitude < 0x38800000u) {                                  // subnormal: adding 1/2 rounds to units of 2^-24
        const float shifted = float_of_bits(magnitude) + 0.5f;
        memcpy(&bits, &shifted, sizeof bits);
        return (uint16_t)(sign | (bits - 0x3f000000u));
    }
    const uint32_t odd = magnitude >> 13 & 1;
    return (uint16_t)(sign | ((magnitude - 0x38000000u + 0xfff + odd) >> 13));
}

float pf_float_from_half(uint16_t bits)
{
    const uint32_t sign = (uint32_t)(bits & 0x8000) << 16, exponent = bits >> 10 & 31, fraction = bits & 0x3ff;
    if (exponent == 31) return float_of_bits(sign | 0x7f800000u | fraction << 13);
    if (exponent != 0) return float_of_bits(sign | (exponent + 112) << 23 | fraction << 13);
    const float magnitude = (float)fraction * 0x1p-24f; // subnormal: exact
    return sign ? -magnitude : magnitude;
}

pf_status pf_numbers_to_float(float *out, const void *numbers, size_t count, pf_number_type type)
{
    const double *f64 = numbers;
    const uint16_t *bits = numbers;
    switch (type) {
    case PF_F32:
        memcpy(out, numbers, count * sizeof *out);
        return PF_OK;
    case PF_F64:
        for (size_t i = 0; i < count; i++) out[i] = (float)f64[i];
        return PF_OK;
    case PF_F16:
        for (size_t i = 0; i < count; i++) out[i] = pf_float_from_half(bits[i]);
        return PF_OK;
    case PF_BF16:
        for (size_t i = 0; i < count; i++) out[i] = pf_float_from_bfloat(bits[i]);
        return PF_OK;
    default:
        return pf_fail(PF_ERROR_INPUT, "dtype %s, expected F32, F64, F16 or BF16", pf_number_type_name(type));
    }
}
