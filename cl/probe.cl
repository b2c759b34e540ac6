// What the device layer itself runs. A known answer before a device is trusted: long loops, local memory and a
// barrier; src/device/device.c knows the expected numbers. And zeros, for drivers that fill a buffer with one thread.
#include "lib/base.clh"

// answers[i] = `terms` steps of x = x * 1664525 + 1013904223 from i + 1; groups: items / WG
KERNEL void probe(__global uint *restrict answers, const int terms)
{
    __local uint shared_answers[WG];
    uint x = (uint)get_global_id(0) + 1;
    for (int k = 0; k < terms; k++) x = x * 1664525u + 1013904223u;
    shared_answers[LID] = x;
    BARRIER;
    const int other = WG - 1 - LID; // hand over another item's answer: a broken barrier shows
    answers[get_group_id(0) * WG + other] = shared_answers[other];
}

// x[first .. first+count) = 0, `each` of them by a group. groups: ceil(count / each)
KERNEL void zero(OUT x, const uint first, const uint count, const uint each)
{
    const uint begin = get_group_id(0) * each, n = min(each, count - begin);
    for (uint i = LID * VEC; i < n; i += WG * VEC) store(x + (size_t)first + begin + i, (vec)(0), (int)(n - i));
}
