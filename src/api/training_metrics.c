// metrics.jsonl of a run: a line per step and evaluation, each step once. See training.h.
#include "api/training.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

enum { LINE_BYTES = 4096 };

static pf_status fail_io(const pf_training *t)
{
    return pf_fail(PF_ERROR_FAILED, "%s/metrics.jsonl: cannot be written: %s", t->run, strerror(errno));
}

// Bytes of the lines that belong to steps up to that of `state`. Every line begins with {"step": N. An
// evaluation that is still due will write its line again.
static long lines_until(FILE *file, const pf_training_state *state)
{
    char line[LINE_BYTES];
    long end = 0;
    while (fgets(line, sizeof line, file)) {
        long long number = 0;
        const size_t length = strlen(line);
        if (line[length - 1] != '\n' || sscanf(line, "{\"step\": %lld", &number) != 1 || number > state->step)
            break;
        if (state->evaluation_due && number == state->step && strstr(line, "\"valid_loss\"")) break;
        end += (long)length;
    }
    return end;
}

pf_status pf_training_open_metrics(pf_training *t)
{
    char *path = NULL;
    pf_status status = PF_OK;
    PF_TRY(pf_join_path(&path, t->run, "metrics.jsonl"));
    FILE *file = fopen(path, "r+");
    if (!file && errno == ENOENT) file = fopen(path, "w+");
    if (!file) {
        status = fail_io(t);
    } else {
        const long end = lines_until(file, &t->state);
        if (ftruncate(fileno(file), end) != 0 || fseek(file, end, SEEK_SET) != 0) status = fail_io(t);
    }
    if (status == PF_OK)
        t->metrics = file;
    else if (file)
        fclose(file);
    pf_free(path);
    return status;
}

pf_status pf_training_log_step(pf_training *t, const pf_training_report *r)
{
    if (t->rehearsal) return PF_OK;
    // 17 digits give the same bits back. A non-finite number never gets here.
    const int n = fprintf(t->metrics,
                          "{\"step\": %lld, \"loss\": %.17g, \"tokens\": %lld, \"learning_rate\": %.17g, "
                          "\"grad_norm\": %.17g, \"tokens_per_s\": %.6g, \"time\": %.6f}\n",
                          (long long)r->step, r->loss, (long long)r->tokens, r->learning_rate, r->grad_norm,
                          r->tokens_per_s, r->time_s);
    return n > 0 && fflush(t->metrics) == 0 ? PF_OK : fail_io(t);
}

// {"step": N, "valid_loss": L, "valid_FIGURE": ..., ...}
static pf_status log_task(pf_training *t, const pf_training_report *r)
{
    const char *name;
    double value;
    pf_text line = {0};
    pf_status status =
        pf_text_add(&line, "{\"step\": %lld, \"valid_loss\": %.17g", (long long)r->step, r->valid_loss);
    for (int i = 0; status == PF_OK && (name = pf_task_metric(&r->valid_metrics, i, &value)); i++) {
        status = pf_text_add(&line, ", \"valid_%s\": ", name);
        if (status == PF_OK) status = pf_text_add_number(&line, value);
    }
    if (status == PF_OK && (fprintf(t->metrics, "%s}\n", line.data) < 0 || fflush(t->metrics) != 0))
        status = fail_io(t);
    pf_text_free(&line);
    return status;
}

pf_status pf_training_log_evaluation(pf_training *t, const pf_training_report *r)
{
    if (t->rehearsal) return PF_OK;
    if (r->valid_metrics.type != PF_TASK_NONE) return log_task(t, r);
    // The perplexity of a loss above 709 is beyond all numbers, and JSON has no word for that.
    char perplexity[32] = "null";
    if (isfinite(r->valid_perplexity)) snprintf(perplexity, sizeof perplexity, "%.17g", r->valid_perplexity);
    const int n = fprintf(t->metrics,
                          "{\"step\": %lld, \"valid_loss\": %.17g, \"valid_perplexity\": %s, "
                          "\"valid_accuracy\": %.17g}\n",
                          (long long)r->step, r->valid_loss, perplexity, r->valid_accuracy);
    return n > 0 && fflush(t->metrics) == 0 ? PF_OK : fail_io(t);
}

pf_status pf_training_sync_metrics(pf_training *t)
{
    return fflush(t->metrics) == 0 && fsync(fileno(t->metrics)) == 0 ? PF_OK : fail_io(t);
}
