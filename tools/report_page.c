// What was trained on what, the learning curves, the speed. See report_page.h.
#include "tools/report_page.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ROWS = 30 };

static void print_attention(char *text, size_t size, const struct pf_config *c)
{
    int favor = 0;
    for (int i = 0; i < c->num_hidden_layers; i++) favor += pf_config_layer_type(c, i) == PF_ATTENTION_FAVOR;
    if (favor == 0) {
        snprintf(text, size, "exact softmax");
        return;
    }
    int used = favor < c->num_hidden_layers
                   ? snprintf(text, size, "%d of %d layers ", favor, c->num_hidden_layers)
                   : 0;
    used += snprintf(text + used, size - (size_t)used, "FAVOR, kernel %s, %d features%s",
                     pf_favor_kernel_name(c->attention.kernel), pf_config_feature_count(c),
                     c->attention.renormalize ? "" : ", not renormalised");
    if (c->attention.local_heads)
        snprintf(text + used, size - (size_t)used, "; %d of %d heads exact within a window of %d",
                 c->attention.local_heads, c->num_attention_heads, c->attention.window);
}

static void print_data(FILE *out, const char *name, pf_data_state state, const pf_run_files *files,
                       const pf_data_facts *facts)
{
    static const char *const words[] = {[PF_DATA_NONE] = "none",
                                        [PF_DATA_CHANGED] = "these files hold other sequences now",
                                        [PF_DATA_GONE] = "not there now"};
    fputs("<tr><th>", out);
    pf_page_text(out, name);
    fputs("</th><td>", out);
    for (int i = 0; i < files->count; i++) pf_page_print(out, "%s%.400s", i ? ", " : "", files->file[i]);
    if (files->count) fputs("<br>", out);
    if (state == PF_DATA_SAME)
        fprintf(out, "%" PRIu64 " sequences, %" PRIu64 " residues, the longest of %" PRIu64, facts->sequences,
                facts->residues, facts->longest);
    else
        pf_page_text(out, words[state]);
    if (files->count) pf_page_print(out, "; fingerprint %.64s", files->fingerprint);
    fputs("</td></tr>\n", out);
}

static void print_time(char text[64], double seconds)
{
    const pf_unit unit = pf_unit_of_seconds(seconds);
    snprintf(text, 64, "%.3g %s", seconds / unit.size, unit.name);
}

static double run_seconds(const pf_run *run)
{
    return run->n_steps ? run->step[run->n_steps - 1].time_s : 0;
}

static void print_model(FILE *out, const pf_run *run)
{
    static const char *const positions[] = {"learned", "sinusoidal", "rotary", "none"};
    const struct pf_config *c = &run->config;
    const char *level = c->task.level == PF_TASK_RESIDUE ? "residues" : "sequences";
    char attention[256];
    print_attention(attention, sizeof attention, c);
    pf_page_fact(out, "Model", "%d layers, width %d, %d heads of %d, feed-forward %d: %" PRId64 " parameters",
                 c->num_hidden_layers, c->hidden_size, c->num_attention_heads, pf_config_head_size(c),
                 c->intermediate_size, run->parameters);
    pf_page_fact(out, "Attention", "%s", attention);
    pf_page_fact(out, "Positions", "%s, up to %d tokens", positions[c->position_embedding_type],
                 c->max_position_embeddings);
    if (c->task.type == PF_TASK_REGRESSION)
        pf_page_fact(out, "Task", "regression of %s, labels of mean %g and standard deviation %g", level,
                     c->task.mean, c->task.deviation);
    else if (c->task.type == PF_TASK_CLASSIFICATION)
        pf_page_fact(out, "Task", "classification of %s, %d classes", level, c->task.n_classes);
    else
        pf_page_fact(out, "Objective", "%s",
                     c->objective == PF_OBJECTIVE_MLM ? "masked residues, from both sides (mlm)"
                                                      : "the next token, from those before (clm)");
}

void pf_report_facts(FILE *out, const pf_report *r)
{
    const pf_run *run = r->run;
    char time[64];
    print_time(time, run_seconds(run));
    pf_page_heading(out, "What was trained on what");
    pf_page_facts_begin(out);
    print_model(out, run);
    print_data(out, "Training data", r->train_state, &run->train, &r->train);
    print_data(out, "Validation data", r->valid_state, &run->valid, &r->valid);
    pf_page_fact(out, "Steps", "%d of %" PRId64, run->n_steps, run->config.train.steps);
    if (r->has_failed_step)
        pf_page_fact(out, "Not finite", "the loss or a gradient of step %d; failed-step.json holds its batch",
                     run->n_steps + 1);
    pf_page_fact(out, "Tokens", "%" PRId64 ", padding not counted; %" PRId64 " a step at most", run->tokens,
                 run->config.train.batch_tokens);
    pf_page_fact(out, "Time", "%s, evaluations and checkpoints included", time);
    if (run->device[0]) pf_page_fact(out, "Device", "%s (driver %s)", run->device, run->driver);
    pf_page_fact(out, "Seed", "%" PRId64, run->config.train.seed);
    if (run->checkpoint_step >= 0)
        pf_page_fact(out, "Newest checkpoint", "step %" PRId64, run->checkpoint_step);
    pf_page_facts_end(out);
    pf_page_details(out, "The whole configuration", run->config_text);
}

// --- learning curves ----------------------------------------------------------------------------

// From the least value to the largest that matters: validation, baselines, and training after its first
// quarter.
static void choose_range(pf_plot *plot, pf_plot_curve *curves)
{
    double low = INFINITY, high = -INFINITY;
    for (int n = 0; n < plot->n_curves; n++) {
        const pf_plot_curve *c = &curves[n];
        const bool is_training = c->count > 2 && !c->is_dashed && c->name && !strncmp(c->name, "training", 8);
        for (int i = is_training ? c->count / 4 : 0; i < c->count && !c->is_faint; i++) {
            low = fmin(low, c->y[i]);
            high = fmax(high, c->y[i]);
        }
    }
    const double room = high > low ? 0.08 * (high - low) : 0.1;
    if (!(high >= low)) return;
    plot->y_low = low - room, plot->y_high = high + room;
    for (int n = 0; n < plot->n_curves; n++)
        for (; curves[n].count && curves[n].y[0] > plot->y_high; curves[n].count--)
            curves[n].x++, curves[n].y++;
}

static void write_losses(FILE *out, const pf_report *r, bool by_time,
                         void (*write)(FILE *out, const pf_plot *plot))
{
    char label[64];
    const pf_history *h = &r->history;
    const double *x = by_time ? h->seconds : h->tokens;
    pf_plot_curve curves[] = {
        {.name = "validation",
         .x = by_time ? h->valid_seconds : h->valid_tokens,
         .y = h->valid_loss,
         .count = h->n_evaluations},
        {.name = "training", .x = x, .y = h->smooth, .count = h->n_steps},
        {.name = "each step", .x = x, .y = h->loss, .count = h->n_steps, .is_faint = true},
    };
    if (by_time)
        snprintf(label, sizeof label, "time, %s", h->second_unit.name);
    else
        snprintf(label, sizeof label, "trained on, %s", h->token_unit.name);
    pf_plot plot = {.title = by_time ? "Loss against time" : "Loss against tokens",
                    .x_label = label,
                    .y_label = r->run->config.task.type == PF_TASK_REGRESSION ? "loss" : "loss, nats",
                    .curves = curves,
                    .n_curves = 3};
    choose_range(&plot, curves);
    write(out, &plot);
}

// The two ends of a level line.
static int add_levels(const pf_report *r, pf_plot_curve *curve, double x[2], double y[2][2], char name[2][48])
{
    const pf_evaluate_result *e = r->result;
    if (!e || !e->has_baselines) return 0;
    const int order[2] = {1, e->best_order};
    const int n = order[1] == 1 ? 1 : 2;
    for (int i = 0; i < n; i++) {
        y[i][0] = y[i][1] = e->ngram[order[i] - 1].perplexity;
        if (order[i] == 1)
            snprintf(name[i], 48, "unigram %.2f", y[i][0]);
        else
            snprintf(name[i], 48, "%d-gram %.2f", order[i], y[i][0]);
        curve[i] = (pf_plot_curve){.name = name[i], .x = x, .y = y[i], .count = 2, .is_dashed = true};
    }
    return n;
}

static const char *baseline_note(const pf_report *r)
{
    const bool shown = r->result && r->result->has_baselines;
    return shown && !r->is_own_valid
               ? "the n-grams' lines are of the sequences measured below, not of the validation data"
           : r->run->config.objective == PF_OBJECTIVE_MLM
               ? "training is lower: some of the letters to say are left in their places"
               : NULL;
}

void pf_report_learning_curve(FILE *out, const pf_report *r, void (*write)(FILE *out, const pf_plot *plot))
{
    const pf_history *h = &r->history;
    if (r->run->config.task.type != PF_TASK_NONE) { // no perplexity there
        write_losses(out, r, false, write);
        return;
    }
    double *training = calloc((size_t)h->n_steps + 1, sizeof *training), x[2] = {0}, y[2][2];
    char title[160], label[64], level_name[2][48], valid_name[48] = "validation";
    pf_plot_curve curves[4];
    int n = 0;
    for (int i = 0; training && i < h->n_steps; i++) training[i] = exp(fmin(h->smooth[i], 20));
    if (h->n_evaluations)
        snprintf(valid_name, sizeof valid_name, "validation %.2f", h->valid_perplexity[h->n_evaluations - 1]);
    curves[n++] = (pf_plot_curve){
        .name = valid_name, .x = h->valid_tokens, .y = h->valid_perplexity, .count = h->n_evaluations};
    if (training)
        curves[n++] = (pf_plot_curve){.name = "training", .x = h->tokens, .y = training, .count = h->n_steps};
    if (h->n_steps) x[1] = h->tokens[h->n_steps - 1];
    n += add_levels(r, curves + n, x, y, level_name);
    snprintf(title, sizeof title, "Learning curve of %.100s", r->name);
    snprintf(label, sizeof label, "trained on, %s", h->token_unit.name);
    pf_plot plot = {.title = title,
                    .note = baseline_note(r),
                    .x_label = label,
                    .y_label = "perplexity",
                    .curves = curves,
                    .n_curves = n};
    choose_range(&plot, curves);
    write(out, &plot);
    free(training);
}

// Of a task: all its figures.
static void print_figures(FILE *out, const pf_run *run)
{
    const int every = (run->n_evaluations + MOST_ROWS - 1) / MOST_ROWS;
    const char *name;
    double value;
    fputs("<table><thead><tr><th>step</th><th>seconds</th><th>validation loss</th>", out);
    for (int f = 0; (name = pf_task_metric(&run->evaluation[0].metrics, f, &value)); f++)
        fprintf(out, "<th>%s</th>", name);
    fputs("</tr></thead><tbody>\n", out);
    for (int i = 0; i < run->n_evaluations; i++) {
        const pf_run_evaluation *e = &run->evaluation[i];
        if ((run->n_evaluations - 1 - i) % every) continue;
        fprintf(out, "<tr><td>%" PRId64 "</td><td>%.0f</td><td>%.4f</td>", e->step, e->time_s, e->loss);
        for (int f = 0; (name = pf_task_metric(&e->metrics, f, &value)); f++)
            isfinite(value) ? fprintf(out, "<td>%.4f</td>", value) : fprintf(out, "<td>&ndash;</td>");
        fputs("</tr>\n", out);
    }
    fputs("</tbody></table>\n", out);
}

static void print_evaluations(FILE *out, const pf_run *run)
{
    const int every = (run->n_evaluations + MOST_ROWS - 1) / MOST_ROWS;
    fputs("<table><thead><tr><th>step</th><th>tokens</th><th>seconds</th><th>validation "
          "loss</th><th>perplexity</th>"
          "<th>accuracy</th></tr></thead><tbody>\n",
          out);
    for (int i = 0; i < run->n_evaluations; i++) {
        const pf_run_evaluation *e = &run->evaluation[i];
        if ((run->n_evaluations - 1 - i) % every) continue;
        fprintf(out,
                "<tr><td>%" PRId64 "</td><td>%" PRId64
                "</td><td>%.0f</td><td>%.4f</td><td>%.3f</td><td>%.2f %%</td></tr>\n",
                e->step, e->tokens_so_far, e->time_s, e->loss, e->perplexity, 100 * e->accuracy);
    }
    fputs("</tbody></table>\n", out);
}

void pf_report_learning(FILE *out, const pf_report *r)
{
    pf_page_heading(out, "Learning");
    if (r->run->n_steps == 0) {
        pf_page_paragraph(out, "No step has been made yet.");
        return;
    }
    const bool has_task = r->run->config.task.type != PF_TASK_NONE;
    if (!has_task) pf_report_learning_curve(out, r, pf_page_plot);
    write_losses(out, r, false, pf_page_plot);
    write_losses(out, r, true, pf_page_plot);
    if (r->run->n_evaluations)
        has_task ? print_figures(out, r->run) : print_evaluations(out, r->run);
    else
        pf_page_paragraph(
            out, "No evaluation was made: the run has no validation data, or has not come to its first.");
}

void pf_report_speed(FILE *out, const pf_report *r)
{
    const pf_history *h = &r->history;
    double seconds = 0;
    char label[64];
    pf_page_heading(out, "Speed");
    if (r->run->n_steps == 0) {
        pf_page_paragraph(out, "No step has been made yet.");
        return;
    }
    for (int i = 0; i < r->run->n_steps; i++)
        seconds += (double)r->run->step[i].tokens / r->run->step[i].tokens_per_s;
    pf_page_paragraph(out, "%.0f tokens/s over all steps, evaluations and checkpoints left out.",
                      (double)r->run->tokens / seconds);
    snprintf(label, sizeof label, "time, %s", h->second_unit.name);
    const pf_plot_curve curve = {.name = "training", .x = h->seconds, .y = h->speed, .count = h->n_steps};
    double most = 0;
    for (int i = 0; i < h->n_steps; i++) most = fmax(most, h->speed[i]);
    pf_page_plot(out, &(pf_plot){.title = "Speed of training",
                                 .x_label = label,
                                 .y_label = "tokens/s",
                                 .y_high = 1.08 * most,
                                 .curves = &curve,
                                 .n_curves = 1});
}
