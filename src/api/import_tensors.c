// The tensors of a model to import: all are looked at before any is read. See convert.h.
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "api/convert.h"
#include "base/memory.h"

enum { PROBLEMS_SHOWN = 8 };

typedef struct problems {
    pf_text text;
    int count;
} problems;

static pf_status add_shape(pf_text *text, int rank, const uint64_t *shape)
{
    PF_TRY(pf_text_add(text, "["));
    for (int i = 0; i < rank; i++) PF_TRY(pf_text_add(text, "%s%" PRIu64, i ? "," : "", shape[i]));
    return pf_text_add(text, "]");
}

static pf_status begin_problem(problems *all, const char *name)
{
    char quoted[PF_QUOTE_BYTES];
    return pf_text_add(&all->text, "%s%s", all->count > 1 ? "; " : "", pf_quote(quoted, name, strlen(name)));
}

// The shape that the source's tensor must have for one of ours.
static int expected_shape(const pf_import_job *job, const pf_parameter *ours, uint64_t shape[2])
{
    shape[0] = ours->shape[0];
    shape[1] = ours->rank == 2 ? ours->shape[1] : 0;
    if (strcmp(ours->name, "embed.position.weight") == 0) shape[0] += (uint64_t)job->skipped_positions;
    if (strcmp(ours->name, "contact.weight") == 0) {
        shape[1] = shape[0];
        shape[0] = 1;
        return 2;
    }
    return ours->rank;
}

static bool is_float(pf_number_type type)
{
    return type == PF_F32 || type == PF_F16 || type == PF_BF16 || type == PF_F64;
}

static pf_status compare(const pf_import_job *job, const pf_parameter *ours, const pf_source_tensor *found,
                         const char *name, problems *all)
{
    uint64_t shape[2];
    const int rank = expected_shape(job, ours, shape);
    bool is_same = found && found->info->rank == rank;
    for (int i = 0; is_same && i < rank; i++) is_same = found->info->shape[i] == shape[i];
    if (is_same && is_float(found->info->type)) return PF_OK;
    if (all->count++ >= PROBLEMS_SHOWN) return PF_OK;
    PF_TRY(begin_problem(all, name));
    if (!found) {
        PF_TRY(pf_text_add(&all->text, " is missing, expected "));
        return add_shape(&all->text, rank, shape);
    }
    if (!is_float(found->info->type))
        return pf_text_add(&all->text, " has dtype %s, expected F32, F16, BF16 or F64",
                           pf_number_type_name(found->info->type));
    PF_TRY(pf_text_add(&all->text, " has shape "));
    PF_TRY(add_shape(&all->text, found->info->rank, found->info->shape));
    PF_TRY(pf_text_add(&all->text, ", expected "));
    return add_shape(&all->text, rank, shape);
}

static bool is_ignored(const pf_import_job *job, const char *name)
{
    for (const char *const *part = job->family->ignored; *part; part++)
        if (strstr(name, *part)) return true;
    return false;
}

// Biases and projections that a family may lack start as 0, or freshly drawn.
static bool may_be_missing(const pf_import_job *job, const pf_parameter *ours)
{
    if (job->kind != PF_FAMILY_PERFORMER_PYTORCH) return ours->initial == PF_INITIAL_PROJECTION;
    const bool is_bias = strstr(ours->name, ".bias") && !strstr(ours->name, "norm.");
    return is_bias || ours->initial == PF_INITIAL_PROJECTION;
}

static pf_source_tensor *find(const pf_import_job *job, const pf_parameter *ours, char name[PF_FOREIGN_NAME])
{
    pf_foreign_name(job->family, ours->name, job->has_prefix, name);
    pf_source_tensor *found = *name ? pf_source_find(job->source, name) : NULL;
    // A table of positions that was not trained has the name of its module alone.
    char *ending = strrchr(name, '.');
    if (found || job->kind != PF_FAMILY_PERFORMER_PYTORCH || !ending ||
        strcmp(ours->name, "embed.position.weight") != 0)
        return found;
    *ending = '\0';
    return pf_source_find(job->source, name);
}

// BERT adds a row to every token that says to which of two texts it belongs: proteins have one.
static pf_source_tensor *find_token_types(const pf_import_job *job)
{
    return pf_source_find(job->source, job->has_prefix ? "bert.embeddings.token_type_embeddings.weight"
                                                       : "embeddings.token_type_embeddings.weight");
}

static pf_status check_token_types(const pf_import_job *job, int width, problems *all)
{
    pf_source_tensor *types = find_token_types(job);
    const bool is_right = types && types->info->rank == 2 && types->info->shape[0] > 0 &&
                          types->info->shape[1] == (uint64_t)width && is_float(types->info->type);
    if (types) types->is_used = true;
    if (is_right || all->count++ >= PROBLEMS_SHOWN) return PF_OK;
    PF_TRY(begin_problem(all, "token_type_embeddings.weight"));
    if (!types) return pf_text_add(&all->text, " is missing, expected [2,%d]", width);
    PF_TRY(pf_text_add(&all->text, " has shape "));
    PF_TRY(add_shape(&all->text, types->info->rank, types->info->shape));
    return pf_text_add(&all->text, ", expected [2,%d] of floating-point numbers", width);
}

// The row goes into the positions, which every token gets, too.
static pf_status add_token_type(const pf_import_job *job, float *positions, uint64_t rows, uint64_t width)
{
    const pf_source_tensor *types = find_token_types(job);
    void *row = NULL;
    PF_TRY(pf_alloc(&row, (size_t)width, sizeof(float), "token type"));
    const pf_status status = pf_safetensors_read_float(types->file, types->info, 0, width, row);
    for (uint64_t i = 0; status == PF_OK && i < rows * width; i++)
        positions[i] += ((const float *)row)[i % width];
    pf_free(row);
    return status;
}

static pf_status check(const pf_import_job *job, const pf_parameters *table, int width, problems *all)
{
    char name[PF_FOREIGN_NAME];
    for (int i = 0; i < table->n_tensors; i++) {
        pf_source_tensor *found = find(job, &table->tensor[i], name);
        if (!found && may_be_missing(job, &table->tensor[i])) continue;
        PF_TRY(compare(job, &table->tensor[i], found, name, all));
        if (found) found->is_used = true;
    }
    if (job->kind == PF_FAMILY_BERT) PF_TRY(check_token_types(job, width, all));
    for (int i = 0; i < job->source->n_tensors; i++) {
        const pf_source_tensor *t = &job->source->tensor[i];
        if (t->is_used || is_ignored(job, t->info->name) || all->count++ >= PROBLEMS_SHOWN) continue;
        PF_TRY(begin_problem(all, t->info->name));
        PF_TRY(pf_text_add(&all->text, " "));
        PF_TRY(add_shape(&all->text, t->info->rank, t->info->shape));
        PF_TRY(pf_text_add(&all->text, " is unexpected"));
    }
    if (all->count > PROBLEMS_SHOWN)
        return pf_text_add(&all->text, "; and %d more", all->count - PROBLEMS_SHOWN);
    return PF_OK;
}

// Rotation pairs columns 2i and 2i+1 of a head there, i and E/2+i here. Rows of queries and keys (and columns
// of projections, which go with them) change places; scalar products stay.
static void unpair(float *rows, size_t n_rows, size_t width, size_t head)
{
    float old[PF_MAX_HEAD_SIZE];
    for (size_t first = 0; first < n_rows; first += head)
        for (size_t column = 0; column < width; column++) {
            float *at = rows + first * width + column;
            for (size_t i = 0; i < head; i++) old[i] = at[i * width];
            for (size_t i = 0; i < head; i++)
                at[i * width] = old[i < head / 2 ? 2 * i : 2 * (i - head / 2) + 1];
        }
}

static void unpair_tensor(const pf_import_job *job, const struct pf_config *config, const pf_parameter *ours,
                          float *to)
{
    const size_t head = (size_t)pf_config_head_size(config);
    const bool is_projection = ours->initial == PF_INITIAL_PROJECTION;
    const bool turns = strstr(ours->name, "attention.query.") || strstr(ours->name, "attention.key.");
    if (job->kind != PF_FAMILY_PERFORMER_PYTORCH || !pf_config_is_rotary(config)) return;
    if (turns) unpair(to, (size_t)ours->shape[0], ours->rank == 2 ? (size_t)ours->shape[1] : 1, head);
    for (size_t m = 0; is_projection && m < ours->shape[0]; m++) unpair(to + m * head, head, 1, head);
}

static pf_status read_tensor(const pf_import_job *job, const pf_parameter *ours, pf_model_arrays *model)
{
    char name[PF_FOREIGN_NAME];
    float *to = (ours->is_trained ? model->trained : model->projections) + ours->offset;
    const pf_source_tensor *from = find(job, ours, name);
    const bool is_position = strcmp(ours->name, "embed.position.weight") == 0;
    if (!from) return PF_OK;
    const uint64_t first = is_position ? (uint64_t)job->skipped_positions * ours->shape[1] : 0;
    PF_TRY(pf_safetensors_read_float(from->file, from->info, first, ours->count, to));
    if (is_position && job->kind == PF_FAMILY_BERT)
        PF_TRY(add_token_type(job, to, ours->shape[0], ours->shape[1]));
    unpair_tensor(job, &model->config, ours, to);
    for (size_t i = 0; i < ours->count; i++) model->n_not_finite += !isfinite(to[i]);
    if (model->n_not_finite && !model->not_finite) model->not_finite = ours;
    return PF_OK;
}

static pf_status note_ignored(pf_import_job *job)
{
    int count = 0;
    const char *first = NULL;
    for (int i = 0; i < job->source->n_tensors; i++) {
        if (job->source->tensor[i].is_used) continue;
        if (count++ == 0) first = job->source->tensor[i].info->name;
    }
    if (count == 0) return PF_OK;
    char quoted[PF_QUOTE_BYTES];
    pf_quote(quoted, first, strlen(first));
    if (count == 1)
        return pf_text_add(&job->notes, "tensor %s is left out, the model does not use it\n", quoted);
    return pf_text_add(&job->notes, "%d tensors are left out, the model does not use them; the first is %s\n",
                       count, quoted);
}

pf_status pf_import_tensors(pf_import_job *job, pf_model_arrays *model)
{
    problems all = {0};
    pf_status status = check(job, model->parameters, model->config.hidden_size, &all);
    if (status == PF_OK && all.count)
        status = pf_fail(PF_ERROR_INPUT, "%s: its tensors are not those of %s with this configuration: %s",
                         job->source->path, job->family->name, all.text.data);
    pf_text_free(&all.text);
    PF_TRY(status);
    for (int i = 0; i < model->parameters->n_tensors; i++)
        PF_TRY(read_tensor(job, &model->parameters->tensor[i], model));
    return note_ignored(job);
}
