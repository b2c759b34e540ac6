// Numbers in 16 bits: what lies between the forward and the backward pass takes half as much memory.
//
//   -DHALF   0: bfloat16, the upper half of a float, rounded to nearest even on the bits: needs nothing of a device
//            1: IEEE half, by vstore_half and vload_half, which are in OpenCL's core. Beyond 65504 it becomes 65504:
//               a large number shall not turn into infinity. NaN stays NaN.
#include "lib/base.clh"

#ifndef HALF
#define HALF 0
#endif
#define LARGEST_HALF 65504.0f

#define ROUNDED(bits) ((bits) + 0x7FFFu + ((bits) >> 16 & 1u))
#define QUIET(bits) ((bits) | 0x400000u) // of a NaN: rounding could carry into the sign

INLINE void pack_one(__global ushort *to, const float x)
{
#if HALF
    vstore_half_rte(isnan(x) ? x : clamp(x, -LARGEST_HALF, LARGEST_HALF), 0, (__global half *)to);
#else
    const uint bits = as_uint(x);
    *to = (ushort)((isnan(x) ? QUIET(bits) : ROUNDED(bits)) >> 16);
#endif
}

INLINE float unpack_one(__global const ushort *from)
{
#if HALF
    return vload_half(0, (__global const half *)from);
#else
    return as_float((uint)*from << 16);
#endif
}

#if VEC == 1
#define pack_vector pack_one
#define unpack_vector unpack_one
#else
#define JOIN(a, b) a##b
#define JOINED(a, b) JOIN(a, b)
#define WIDE(name) JOINED(name, VEC) // of VEC lanes

INLINE void pack_vector(__global ushort *to, const vec x)
{
#if HALF
    const vec held = clamp(x, (vec)(-LARGEST_HALF), (vec)(LARGEST_HALF));
    JOINED(WIDE(vstore_half), _rte)(select(held, x, isnan(x)), 0, (__global half *)to);
#else
    const uvec bits = WIDE(as_uint)(x);
    WIDE(vstore)(WIDE(convert_ushort)(select(ROUNDED(bits), QUIET(bits), isnan(x)) >> 16), 0, to);
#endif
}

INLINE vec unpack_vector(__global const ushort *from)
{
#if HALF
    return WIDE(vload_half)(0, (__global const half *)from);
#else
    return AS_VEC(WIDE(convert_uint)(WIDE(vload)(0, from)) << 16);
#endif
}
#endif

// Numbers first .. last-1 of `rows` times `width` are a group's.
#define GROUP_RANGE                                                                 \
    const size_t count = (size_t)rows * width, first = get_group_id(0) * (size_t)each; \
    const size_t last = min(first + each, count), whole = first + (last - first) / VEC * VEC

// to [rows, width] in 16 bits = from. groups: ceil(rows * width / each); `each` a multiple of VEC
KERNEL void storage_pack(__global ushort *restrict to, IN from, const int rows, const int width, const int each)
{
    GROUP_RANGE;
    for (size_t i = first + LID * VEC; i < whole; i += WG * VEC) pack_vector(to + i, VLOAD(from + i));
    for (size_t i = whole + LID; i < last; i += WG) pack_one(to + i, from[i]);
}

// The same back.
KERNEL void storage_unpack(OUT to, __global const ushort *restrict from, const int rows, const int width,
                           const int each)
{
    GROUP_RANGE;
    for (size_t i = first + LID * VEC; i < whole; i += WG * VEC) VSTORE(unpack_vector(from + i), to + i);
    for (size_t i = whole + LID; i < last; i += WG) to[i] = unpack_one(from + i);
}
