// Workloads: running them, and medians of several in turn. See performer/bench.h.
#include "api/bench.h"

#include <stdlib.h>
#include <time.h>

#include "base/memory.h"
#include "base/random.h"

struct pf_workload {
    pf_device *device;
    const pf_workload_kind *kind;
    void *state;
    pf_workload_facts facts;
};

// Shorter work is done several times over: starting and waiting would count as much as the work itself.
static const double long_enough_s = 2e-3;

enum { MOST_CALLS = 64, FEWEST_ROUNDS = 2, RANDOM_FLOATS = 1 << 16 };

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

pf_status pf_workload_run(pf_workload *workload, double *seconds)
{
    PF_TRY(pf_device_sync(workload->device));
    const double start = now_s();
    for (int i = 0; i < workload->facts.calls; i++) PF_TRY(workload->kind->run(workload->state));
    PF_TRY(pf_device_sync(workload->device));
    *seconds = (now_s() - start) / workload->facts.calls;
    return PF_OK;
}

static pf_status choose_calls(pf_workload *workload)
{
    double seconds = 0;
    workload->facts.calls = 1;
    PF_TRY(pf_workload_run(workload, &seconds)); // compiles, on some devices; touches all memory
    if (seconds > 10 * long_enough_s) return PF_OK;
    PF_TRY(pf_workload_run(workload, &seconds));
    const double calls = seconds > 0 ? long_enough_s / seconds : MOST_CALLS;
    workload->facts.calls = calls > MOST_CALLS ? MOST_CALLS : calls > 1 ? (int)calls + 1 : 1;
    return PF_OK;
}

pf_status pf_workload_create(pf_device *device, const pf_workload_kind *kind, void *state,
                             const pf_workload_facts *facts, pf_workload **out)
{
    void *memory = NULL;
    pf_status status = pf_alloc(&memory, 1, sizeof(pf_workload), "workload");
    if (status != PF_OK) {
        kind->free(state);
        return status;
    }
    pf_workload *workload = memory;
    *workload = (pf_workload){.device = device, .kind = kind, .state = state, .facts = *facts};
    status = choose_calls(workload);
    if (status == PF_OK)
        *out = workload;
    else
        pf_workload_free(workload);
    return status;
}

void pf_workload_free(pf_workload *workload)
{
    if (!workload) return;
    workload->kind->free(workload->state);
    pf_free(workload);
}

const pf_workload_facts *pf_workload_describe(const pf_workload *workload)
{
    return &workload->facts;
}

static int compare(const void *a, const void *b)
{
    const double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

// One workload's times so far.
typedef struct tally {
    double *seconds; // [repeats]
    double sum;
    int count;
} tally;

static pf_status take_rounds(pf_workload *const *workloads, int count, pf_rounds rounds, tally *tallies)
{
    for (int round = 0; round < rounds.repeats; round++)
        for (int i = 0; i < count; i++) {
            tally *t = &tallies[i];
            if (round >= FEWEST_ROUNDS && rounds.most_seconds > 0 && t->sum > rounds.most_seconds) continue;
            double seconds = 0;
            PF_TRY(pf_workload_run(workloads[i], &seconds));
            t->seconds[t->count++] = seconds;
            t->sum += seconds * workloads[i]->facts.calls;
        }
    return PF_OK;
}

pf_status pf_workloads_measure(pf_workload *const *workloads, int count, pf_rounds rounds, double *median_s)
{
    PF_CHECK(count >= 1 && rounds.repeats >= 1, PF_ERROR_USAGE,
             "%d workloads in %d rounds: expected at least one of each", count, rounds.repeats);
    void *memory = NULL, *times = NULL;
    pf_status status = pf_alloc(&memory, (size_t)count, sizeof(tally), "times");
    if (status == PF_OK)
        status = pf_alloc(&times, (size_t)count * (size_t)rounds.repeats, sizeof(double), "times");
    tally *tallies = memory;
    for (int i = 0; i < count && status == PF_OK; i++)
        tallies[i].seconds = (double *)times + (size_t)i * (size_t)rounds.repeats;
    if (status == PF_OK) status = take_rounds(workloads, count, rounds, tallies);
    for (int i = 0; i < count && status == PF_OK; i++) {
        qsort(tallies[i].seconds, (size_t)tallies[i].count, sizeof(double), compare);
        median_s[i] = tallies[i].seconds[tallies[i].count / 2];
    }
    pf_free(times);
    pf_free(memory);
    return status;
}

// ---- what the kinds of workloads need ----

pf_status pf_bench_zeros(pf_device *device, size_t floats, pf_buffer **out)
{
    pf_buffer *buffer = NULL;
    PF_TRY(pf_buffer_create(device, floats * sizeof(float), "benchmark", &buffer));
    const pf_status status = pf_buffer_zero(buffer, 0, floats * sizeof(float));
    if (status == PF_OK)
        *out = buffer;
    else
        pf_buffer_free(buffer);
    return status;
}

static pf_status repeat_numbers(pf_buffer *buffer, size_t floats)
{
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, RANDOM_FLOATS, sizeof(float), "random numbers"));
    float *numbers = memory;
    for (uint64_t i = 0; i < RANDOM_FLOATS; i++)
        numbers[i] = (float)(2 * pf_random_uniform(0, PF_RANDOM_STUDY, 1, i) - 1);
    pf_status status = PF_OK;
    for (size_t at = 0; at < floats && status == PF_OK; at += RANDOM_FLOATS) {
        const size_t left = floats - at < RANDOM_FLOATS ? floats - at : RANDOM_FLOATS;
        status = pf_buffer_write(buffer, at * sizeof(float), numbers, left * sizeof(float));
    }
    pf_free(numbers);
    return status;
}

// The same 65,536 numbers over and over: what they are does not matter as long as they are no zeros.
pf_status pf_bench_filled(pf_device *device, size_t floats, pf_buffer **out)
{
    pf_buffer *buffer = NULL;
    PF_TRY(pf_buffer_create(device, floats * sizeof(float), "benchmark", &buffer));
    const pf_status status = repeat_numbers(buffer, floats);
    if (status == PF_OK)
        *out = buffer;
    else
        pf_buffer_free(buffer);
    return status;
}
