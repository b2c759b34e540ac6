// A known answer before a device is trusted: long loops, local memory and a barrier.
// src/device/device.c knows the expected numbers.
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
