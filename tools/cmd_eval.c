// performer eval: how well a model predicts sequences, and whether counts of letters do it better; how well a
// task model predicts labels.
#include <inttypes.h>
#include <string.h>

#include "performer/evaluate.h"
#include "tools/commands.h"
#include "tools/device.h"
#include "tools/fasta_input.h"
#include "tools/output.h"
#include "tools/report.h"
#include "tools/stream.h"
#include "tools/task_report.h"

typedef struct eval_options {
    pf_common common;
    pf_stream_flags stream;
    pf_label_flags labels;
    pf_texts train;
    const char *by, *output;
    bool baseline, json;
} eval_options;

#define AT(field) offsetof(eval_options, field)

static const pf_option table[] = {
    {.name = "baseline",
     .type = PF_OPTION_FLAG,
     .at = AT(baseline),
     .help = "measure n-grams of orders 1 to 6 too, fitted on --train"},
    {.name = "train",
     .type = PF_OPTION_FILES,
     .value = "FASTA...",
     .at = AT(train),
     .help = "sequences for --baseline: those that the model was trained on"},
    {.name = "by",
     .type = PF_OPTION_CHOICE,
     .value = "WHAT",
     .choices = "letter|length",
     .at = AT(by),
     .help = "loss and accuracy for each letter, or for groups of sequence lengths"},
    {.name = "json", .type = PF_OPTION_FLAG, .at = AT(json), .help = "print the results as JSON"},
    PF_LABEL_ROWS(AT(labels)),
    PF_OUTPUT_ROW(AT(output)),
    PF_SETTINGS_ROW(AT(stream)),
    {0},
};

// The name of a group of lengths: "129-256".
static void name_group(int group, char out[48])
{
    const uint64_t first = group ? pf_length_group_end(group - 1) + 1 : 1;
    snprintf(out, 48, "%" PRIu64 "-%" PRIu64, first, pf_length_group_end(group));
}

static void print_json_group(pf_output *out, const char *name, const pf_group_metrics *g, bool *is_first)
{
    pf_output_print(out, "%s\"%s\": {\"targets\": %" PRIu64 ", \"loss\": %.17g, \"accuracy\": %.17g}",
                    *is_first ? "" : ", ", name, g->targets, g->loss, g->accuracy);
    *is_first = false;
}

static void print_json_groups(pf_output *out, const pf_evaluate_result *r, bool by_letter)
{
    bool is_first = true;
    pf_output_print(out, by_letter ? ",\n \"by_letter\": {" : ",\n \"by_length\": {");
    for (int i = 0; by_letter && i < PF_FASTA_LETTER_COUNT; i++) {
        const char letter[] = {PF_FASTA_LETTERS[i], '\0'};
        if (r->by_letter[i].targets) print_json_group(out, letter, &r->by_letter[i], &is_first);
    }
    for (int i = 0; !by_letter && i < PF_LENGTH_GROUPS; i++) {
        char name[48];
        name_group(i, name);
        if (r->by_length[i].targets) print_json_group(out, name, &r->by_length[i], &is_first);
    }
    pf_output_print(out, "}");
}

static void print_json(pf_output *out, const eval_options *o, const pf_evaluate_result *r)
{
    pf_output_print(out,
                    "{\"sequences\": %" PRIu64 ", \"targets\": %" PRIu64
                    ", \"loss\": %.17g, \"perplexity\": %.17g, \"accuracy\": %.17g",
                    r->sequences, r->targets, r->loss, r->perplexity, r->accuracy);
    if (r->is_causal) pf_output_print(out, ", \"accuracy_with_end\": %.17g", r->accuracy_with_end);
    if (r->has_baselines) {
        const pf_baseline_metrics *one = &r->ngram[0], *best = &r->ngram[r->best_order - 1];
        pf_output_print(
            out,
            ",\n \"baseline\": {\"unigram\": {\"perplexity\": %.17g, \"accuracy\": %.17g}, \"ngram\": "
            "{\"order\": %d, \"perplexity\": %.17g, \"accuracy\": %.17g}}",
            one->perplexity, one->accuracy, r->best_order, best->perplexity, best->accuracy);
    }
    if (o->by) print_json_groups(out, r, !strcmp(o->by, "letter"));
    pf_output_print(out, "}\n");
    const pf_baseline_metrics *best = &r->ngram[r->has_baselines ? r->best_order - 1 : 0];
    if (r->has_baselines && r->perplexity >= best->perplexity)
        pf_warn(&o->common,
                "the model's perplexity, %.4f, is not below that of the best n-gram, %.4f (order %d)",
                r->perplexity, best->perplexity, r->best_order);
}

static void print_group(pf_output *out, const char *name, const pf_group_metrics *g)
{
    if (g->targets)
        pf_output_print(out, "%-14s %12" PRIu64 " %10.4f %9.2f %%\n", name, g->targets, g->loss,
                        100 * g->accuracy);
}

static void print_groups(pf_output *out, const pf_evaluate_result *r, bool by_letter)
{
    pf_output_print(out, "\n%-14s %12s %10s %11s\n", by_letter ? "letter" : "residues", "targets", "loss",
                    "accuracy");
    for (int i = 0; by_letter && i < PF_FASTA_LETTER_COUNT; i++) {
        const char letter[] = {PF_FASTA_LETTERS[i], '\0'};
        print_group(out, letter, &r->by_letter[i]);
    }
    for (int i = 0; !by_letter && i < PF_LENGTH_GROUPS; i++) {
        char name[48];
        name_group(i, name);
        print_group(out, name, &r->by_length[i]);
    }
}

// Says plainly what the numbers mean.
static void print_verdict(pf_output *out, const pf_evaluate_result *r)
{
    if (r->perplexity < r->ngram[r->best_order - 1].perplexity)
        pf_output_print(out, "The model's perplexity is below that of the best n-gram, of order %d.\n",
                        r->best_order);
    else
        pf_output_print(
            out,
            "The model's perplexity is NOT below that of the best n-gram, of order %d: on these sequences "
            "it is no better than counts of letters.\n",
            r->best_order);
}

static void print_table(pf_output *out, const eval_options *o, const pf_evaluate_result *r)
{
    pf_output_print(out, "%-14s %12" PRIu64 "\n%-14s %12" PRIu64 "  %s\n", "sequences", r->sequences,
                    "targets", r->targets,
                    r->is_causal ? "every token but the first" : "15 % of the residues, masked");
    pf_output_print(out, "%-14s %12.4f  nats, over all targets\n%-14s %12.4f  over residues\n", "loss",
                    r->loss, "perplexity", r->perplexity);
    pf_output_print(out, "%-14s %12.2f %%\n", "accuracy", 100 * r->accuracy);
    if (r->is_causal) pf_output_print(out, "%-14s %12.2f %%\n", "  with ends", 100 * r->accuracy_with_end);
    if (r->has_baselines) {
        pf_output_print(out, "\n%-14s %12s %12s\n", "baseline", "perplexity", "accuracy");
        for (int i = 0; i < PF_NGRAM_BASELINES; i++) {
            char name[16] = "unigram";
            if (i) snprintf(name, sizeof name, "%d-gram", i + 1);
            pf_output_print(out, "%-14s %12.4f %10.2f %%%s\n", name, r->ngram[i].perplexity,
                            100 * r->ngram[i].accuracy, i + 1 == r->best_order ? "  best" : "");
        }
        print_verdict(out, r);
    }
    if (o->by) print_groups(out, r, !strcmp(o->by, "letter"));
}

static pf_status print_result(const eval_options *o, const pf_evaluate_result *result)
{
    pf_output *out;
    const pf_status status = pf_output_open(o->output, &out);
    if (status != PF_OK) return status;
    if (o->json)
        print_json(out, o, result);
    else
        print_table(out, o, result);
    return pf_output_commit(out);
}

static pf_status measure_language(const eval_options *o, pf_model *model)
{
    const pf_evaluate_options options = {
        .files = o->common.operands + 1,
        .n_files = o->common.n_operands - 1,
        .train_files = (const char *const *)o->train.item,
        .n_train_files = o->train.count,
        .seed = (uint64_t)o->common.seed,
        .groups = o->by != NULL,
    };
    char *warnings = NULL;
    pf_evaluate_result result;
    const pf_status status = pf_evaluate(model, &options, &result, &warnings);
    pf_tool_warn_lines(&o->common, warnings);
    return status == PF_OK ? print_result(o, &result) : status;
}

static pf_status predict_all(const pf_common *common, pf_predict *predict, pf_task_evaluation *evaluation)
{
    const pf_prediction *predictions;
    size_t count;
    pf_status status;
    const char *warning;
    while ((status = pf_predict_step(predict, &predictions, &count)) == PF_OK) {
        status = pf_task_evaluation_add(evaluation, predictions, count);
        if (status != PF_OK) return status;
    }
    for (size_t i = 0; (warning = pf_predict_warning(predict, i)); i++) pf_warn(common, "%s", warning);
    return status == PF_END ? PF_OK : status;
}

static pf_status measure_task(const eval_options *o, pf_model *model)
{
    const struct pf_task_config *task = &pf_model_config(model)->task;
    pf_predict_options options = {0};
    pf_predict *predict = NULL;
    pf_task_evaluation *evaluation = NULL;
    pf_task_result result;
    pf_status status = pf_tool_stream(&o->common, &o->stream, &options.stream);
    if (status == PF_OK) status = pf_label_flags_open(&o->common, &o->labels, model, false, &evaluation);
    if (status == PF_OK) status = pf_predict_open(model, &options, &predict);
    if (status == PF_OK) status = predict_all(&o->common, predict, evaluation);
    if (status == PF_OK) status = pf_task_report_finish(&o->common, evaluation, &result);
    if (status == PF_OK) status = pf_task_report_write(o->output, o->json, task, &result);
    if (status == PF_OK) status = pf_task_plot(o->labels.plot, task, &result);
    pf_task_evaluation_close(evaluation);
    pf_predict_close(predict);
    return status;
}

// Whether the options are for a model of this kind.
static pf_status check_kind(const eval_options *o, bool is_task)
{
    if (is_task && !o->labels.labels)
        return pf_tool_fail(PF_ERROR_USAGE,
                            "a model with a head for labels is measured with --labels TSV; give these");
    if (!is_task && o->labels.labels)
        return pf_tool_fail(PF_ERROR_USAGE,
                            "--labels is for a model with a head for labels, this is a language model; "
                            "performer train --init MODEL --task ... makes one");
    if (is_task && (o->baseline || o->by))
        return pf_tool_fail(PF_ERROR_USAGE, "%s is for language models, this model has a head for labels",
                            o->by ? "--by" : "--baseline");
    return PF_OK;
}

static pf_status measure(const eval_options *o, pf_device *device)
{
    pf_model *model = NULL;
    pf_status status = pf_tool_model_open(&o->common, &o->stream, device, (pf_model_options){0}, &model);
    if (status != PF_OK) return status;
    const bool is_task = pf_model_config(model)->task.type != PF_TASK_NONE;
    status = check_kind(o, is_task);
    if (status == PF_OK) status = is_task ? measure_task(o, model) : measure_language(o, model);
    pf_model_close(model);
    return status;
}

static pf_status run(void *given)
{
    const eval_options *o = given;
    if (o->baseline != (o->train.count > 0))
        return pf_tool_fail(PF_ERROR_USAGE,
                            o->baseline
                                ? "eval: --baseline counts letters in --train FASTA...; give these too"
                                : "eval: --train is for --baseline; give both");
    pf_status status = pf_check_stdin_once(o->common.operands, o->common.n_operands);
    pf_device *device = NULL;
    if (status == PF_OK) status = pf_label_flags_check(&o->labels);
    if (status == PF_OK) status = pf_tool_device_open(&o->common, &device);
    if (status != PF_OK) return status;
    return pf_tool_device_close(&o->common, device, measure(o, device));
}

const pf_command pf_command_eval = {
    .name = "eval",
    .summary = "measure loss, perplexity and accuracy of a model on sequences, or a task model beside labels",
    .operands = "MODEL FASTA...",
    .details =
        "Masked language models predict 15 % of the residues, chosen by --seed and all replaced by the mask "
        "token; causal ones every token from those before it. Perplexity and accuracy are over residues.\n"
        "With --baseline it is said plainly when counts of letters predict as well as the model.\n"
        "A model with a head for labels is measured with --labels, as `predict` does.",
    .example = "performer eval run test.fasta\n"
               "performer eval run test.fasta --baseline --train train.fasta --by letter\n"
               "performer eval run test.fasta --json\n"
               "performer eval task-run test.fasta --labels labels.tsv",
    .options = table,
    .options_bytes = sizeof(eval_options),
    .min_operands = 2,
    .max_operands = -1,
    .run = run,
};
