// A run's history for plots. See history.h.
#include "tools/history.h"

#include <math.h>
#include <stdlib.h>

#include "tools/report.h"

enum { MOST_POINTS = 500 };

static pf_unit unit_of(const pf_unit *units, double most)
{
    while (units[1].name && most >= units[1].size) units++;
    return units[0];
}

pf_unit pf_unit_of_tokens(double most)
{
    static const pf_unit units[] = {
        {1, "tokens"}, {1e3, "thousand tokens"}, {1e6, "million tokens"}, {1e9, "billion tokens"}, {0, NULL}};
    return unit_of(units, most);
}

pf_unit pf_unit_of_seconds(double most)
{
    static const pf_unit units[] = {
        {1, "seconds"}, {60, "minutes"}, {3600, "hours"}, {86400, "days"}, {0, NULL}};
    return unit_of(units, most / 5); // 200 seconds rather than 3.3 minutes
}

// Means over groups of equal numbers of steps, the last may be smaller.
static void fill_steps(const pf_run *run, pf_history *h, int group)
{
    double tokens = 0;
    for (int first = 0, i = 0; first < run->n_steps; first += group, i++) {
        const int end = first + group < run->n_steps ? first + group : run->n_steps;
        double loss = 0, speed = 0;
        for (int s = first; s < end; s++) {
            tokens += (double)run->step[s].tokens;
            loss += run->step[s].loss;
            speed += run->step[s].tokens_per_s;
        }
        h->tokens[i] = tokens / h->token_unit.size;
        h->seconds[i] = run->step[end - 1].time_s / h->second_unit.size;
        h->loss[i] = loss / (end - first);
        h->speed[i] = speed / (end - first);
    }
}

// Means over neighbours, as many on both sides: a curve that falls steeply at first is followed without a
// lag. Towards the end, where it is flat, those on the left alone count.
static void smooth_losses(pf_history *h)
{
    const int width = h->n_steps / 40;
    for (int i = 0; i < h->n_steps; i++) {
        const int reach = i < width ? i : width, end = i + reach < h->n_steps ? i + reach : h->n_steps - 1;
        double sum = 0;
        for (int j = i - reach; j <= end; j++) sum += h->loss[j];
        h->smooth[i] = sum / (end - i + reach + 1);
    }
}

static void fill_evaluations(const pf_run *run, pf_history *h)
{
    for (int i = 0; i < run->n_evaluations; i++) {
        const pf_run_evaluation *e = &run->evaluation[i];
        h->valid_tokens[i] = (double)e->tokens_so_far / h->token_unit.size;
        h->valid_seconds[i] = e->time_s / h->second_unit.size;
        h->valid_loss[i] = e->loss;
        h->valid_perplexity[i] = e->perplexity;
    }
}

pf_status pf_history_create(const pf_run *run, pf_history *out)
{
    const int group = (run->n_steps + MOST_POINTS - 1) / MOST_POINTS;
    pf_history h = {
        .n_steps = group ? (run->n_steps + group - 1) / group : 0,
        .n_evaluations = run->n_evaluations,
        .token_unit = pf_unit_of_tokens((double)run->tokens),
        .second_unit = pf_unit_of_seconds(run->n_steps ? run->step[run->n_steps - 1].time_s : 0),
    };
    const size_t n = (size_t)h.n_steps, m = (size_t)h.n_evaluations;
    h.memory = calloc(5 * n + 4 * m + 1, sizeof *h.memory);
    if (!h.memory) return pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    double **const of_steps[] = {&h.tokens, &h.seconds, &h.loss, &h.speed, &h.smooth};
    double **const of_evaluations[] = {&h.valid_tokens, &h.valid_seconds, &h.valid_loss, &h.valid_perplexity};
    for (size_t i = 0; i < 5; i++) *of_steps[i] = h.memory + i * n;
    for (size_t i = 0; i < 4; i++) *of_evaluations[i] = h.memory + 5 * n + i * m;
    fill_steps(run, &h, group);
    smooth_losses(&h);
    fill_evaluations(run, &h);
    *out = h;
    return PF_OK;
}

void pf_history_free(pf_history *history)
{
    free(history->memory);
    *history = (pf_history){0};
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double pf_run_step_seconds(const pf_run *run, int64_t step, double *scratch)
{
    double seconds = 0;
    for (int i = 0; i < run->n_steps; i++)
        scratch[i] = (double)run->step[i].tokens / run->step[i].tokens_per_s;
    qsort(scratch, (size_t)run->n_steps, sizeof *scratch, by_size);
    const double most = run->n_steps ? 3 * scratch[run->n_steps / 2] : 0;
    for (int i = 0; i < run->n_steps && run->step[i].step <= step; i++)
        seconds += fmin((double)run->step[i].tokens / run->step[i].tokens_per_s, most);
    return seconds;
}
