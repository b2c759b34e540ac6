// performer info: what there is to know about a model.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "performer/model_directory.h"
#include "tools/commands.h"
#include "tools/output.h"

typedef struct info_options {
    pf_common common;
    bool json;
    const char *output;
} info_options;

#define AT(field) offsetof(info_options, field)

static const pf_option table[] = {
    {.name = "json", .type = PF_OPTION_FLAG, .at = AT(json), .help = "print JSON, with every tensor"},
    PF_OUTPUT_ROW(AT(output)),
    {0},
};

static const char *objective_name(const pf_model_info *info)
{
    return info->config.objective == PF_OBJECTIVE_MLM ? "mlm" : "clm";
}

static void print_json(pf_output *out, const pf_model_info *info)
{
    pf_output_print(
        out, "{\"format\": \"performer-1\", \"objective\": \"%s\", \"parameters\": %" PRIu64 ", \"step\": ",
        objective_name(info), info->parameters);
    if (info->step >= 0)
        pf_output_print(out, "%" PRId64, info->step);
    else
        pf_output_print(out, "null");
    pf_output_print(out, ",\n\"source\": ");
    if (info->source)
        pf_output_json_text(out, info->source, strlen(info->source));
    else
        pf_output_print(out, "null");
    pf_output_print(out, ",\n\"config\": %s,\n\"tensors\": [", info->config_text);
    for (int i = 0; i < info->n_tensors; i++) {
        const pf_tensor_facts *tensor = &info->tensor[i];
        pf_output_print(out, "%s\n  {\"name\": \"%s\", \"shape\": [%" PRIu64, i ? "," : "", tensor->name,
                        tensor->shape[0]);
        if (tensor->rank > 1) pf_output_print(out, ", %" PRIu64, tensor->shape[1]);
        pf_output_print(out, "]}");
    }
    pf_output_print(out, "],\n\"files\": [");
    for (int i = 0; i < info->n_files; i++) {
        const pf_file_facts *file = &info->file[i];
        pf_output_print(out, "%s\n  {\"name\": \"%s\", \"bytes\": %" PRIu64 ", \"sha256\": \"%s\"}",
                        i ? "," : "", file->name, file->bytes, file->sha256);
    }
    pf_output_print(out, "]}\n");
}

static void print_attention(pf_output *out, const struct pf_config *c)
{
    int favor = 0;
    for (int i = 0; i < c->num_hidden_layers; i++) favor += pf_config_layer_type(c, i) == PF_ATTENTION_FAVOR;
    if (favor < c->num_hidden_layers) {
        pf_output_print(out, "exact softmax in %d of %d layers%s", c->num_hidden_layers - favor,
                        c->num_hidden_layers, favor ? ", " : "");
    }
    if (favor) {
        pf_output_print(out, "FAVOR, kernel %s, %d features", pf_favor_kernel_name(c->attention.kernel),
                        pf_config_feature_count(c));
        if (c->attention.local_heads) {
            pf_output_print(out, ", %d heads exact within %d", c->attention.local_heads, c->attention.window);
        }
    }
    pf_output_print(out, c->objective == PF_OBJECTIVE_CLM ? ", causal\n" : ", both directions\n");
}

static void print_task(pf_output *out, const struct pf_task_config *task)
{
    const char *const level = task->level == PF_TASK_RESIDUE ? "residues" : "sequences";
    if (task->type == PF_TASK_NONE) return;
    if (task->type == PF_TASK_REGRESSION) {
        pf_output_print(out, "%-12sregression of %s, labels %.6g +- %.6g\n", "task", level, task->mean,
                        task->deviation);
        return;
    }
    pf_output_print(out, "%-12sclassification of %s: ", "task", level);
    for (int c = 0; c < task->n_classes; c++) {
        pf_output_print(out, c ? ", " : "");
        pf_output_plain_text(out, task->class_name[c], strlen(task->class_name[c]));
    }
    pf_output_print(out, "\n");
}

static void print_table(pf_output *out, const pf_model_info *info)
{
    static const char *const positions[] = {"learned", "sinusoidal", "rotary", "none", "learned and rotary"};
    const struct pf_config *c = &info->config;
    pf_output_print(out, "%-12s", "model");
    pf_output_plain_text(out, info->directory, strlen(info->directory));
    pf_output_print(out, "\n%-12s", "source");
    if (info->source)
        pf_output_plain_text(out, info->source, strlen(info->source));
    else
        pf_output_print(out, "unknown");
    if (info->step >= 0) pf_output_print(out, "\n%-12s%" PRId64, "step", info->step);
    pf_output_print(out, "\n%-12s%s\n", "objective", objective_name(info));
    pf_output_print(out, "%-12s%" PRIu64 "\n", "parameters", info->parameters);
    pf_output_print(out, "%-12s%d layers, width %d, %d heads of %d, feed-forward %d\n", "size",
                    c->num_hidden_layers, c->hidden_size, c->num_attention_heads, pf_config_head_size(c),
                    c->intermediate_size);
    pf_output_print(out, "%-12s", "attention");
    print_attention(out, c);
    pf_output_print(out, "%-12s%s, up to %d tokens\n", "positions", positions[c->position_embedding_type],
                    c->max_position_embeddings);
    print_task(out, &c->task);
    if (c->lora.rank > 0) {
        pf_output_print(out, "%-12srank %d, alpha %g, in ", "adapters", c->lora.rank, c->lora.alpha);
        pf_output_plain_text(out, c->lora.targets, strlen(c->lora.targets));
        pf_output_print(out, "\n");
    }
    for (int i = 0; i < info->n_files; i++) {
        const pf_file_facts *file = &info->file[i];
        pf_output_print(out, "%-12s%s  %" PRIu64 " bytes  sha256 %s\n", i ? "" : "files", file->name,
                        file->bytes, file->sha256);
    }
}

static pf_status run(void *given)
{
    const info_options *options = given;
    pf_model_info *info;
    pf_output *out;
    pf_status status = pf_model_info_read(options->common.operands[0], &info);
    if (status != PF_OK) return status;
    if (info->passed_over)
        pf_warn(&options->common, "%.*s", (int)strcspn(info->passed_over, "\n"), info->passed_over);
    if (info->n_not_finite)
        pf_warn(&options->common, "%" PRIu64 " numbers are NaN or infinite", info->n_not_finite);
    status = pf_output_open(options->output, &out);
    if (status == PF_OK) {
        if (options->json)
            print_json(out, info);
        else
            print_table(out, info);
        status = pf_output_commit(out);
    }
    pf_model_info_free(info);
    return status;
}

const pf_command pf_command_info = {
    .name = "info",
    .summary = "describe a model: sizes, attention, origin, checksums",
    .operands = "MODEL",
    .details = "MODEL is a model directory, a run (its newest complete checkpoint) or a checkpoint. All of "
               "it is read,\n"
               "so what is damaged is found.",
    .example = "performer info run\nperformer info --json model",
    .options = table,
    .options_bytes = sizeof(info_options),
    .min_operands = 1,
    .max_operands = 1,
    .run = run,
};
