// Prompts in files. See prompt.h. Nothing of a file is used before it was held against the model.
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "data/alphabet.h"
#include "infer/prompt_parts.h"
#include "infer/model_digest.h"
#include "model/state.h"
#include "store/safetensors.h"

#define FORMAT "performer-state-1"
enum { DIGEST_TEXT = 33, POSITION_TEXT = 24 };

static pf_status digest_text(pf_model *model, char out[DIGEST_TEXT])
{
    pf_digest digest;
    PF_TRY(pf_model_digest(model, &digest));
    snprintf(out, DIGEST_TEXT, "%016" PRIx64 "%016" PRIx64, digest.words[0], digest.words[1]);
    return PF_OK;
}

// ---- writing ----

static pf_status write_tensors(const pf_prompt *p, const pf_state_layout *layout,
                               pf_safetensors_writer *writer)
{
    PF_TRY(pf_safetensors_write(writer, p->token, (size_t)p->count));
    return pf_safetensors_write(writer, p->state, layout->count * sizeof *p->state);
}

static pf_status write_file(const pf_prompt *p, const pf_state_layout *layout, pf_tensor_spec *specs,
                            const char *digest, const char *path)
{
    char position[POSITION_TEXT];
    snprintf(position, sizeof position, "%d", p->position);
    const pf_metadata metadata[] = {{"format", FORMAT}, {"model", digest}, {"position", position}};
    pf_safetensors_writer *writer = NULL;
    specs[0] = (pf_tensor_spec){.name = "tokens", .type = PF_U8, .rank = 1, .shape = {(uint64_t)p->count}};
    for (int i = 0; i < layout->n_tensors; i++) {
        const pf_state_tensor *t = &layout->tensor[i];
        specs[i + 1] = (pf_tensor_spec){.name = t->name, .type = PF_F32, .rank = t->rank};
        memcpy(specs[i + 1].shape, t->shape, sizeof t->shape);
    }
    PF_TRY(pf_safetensors_writer_open(path, specs, layout->n_tensors + 1, metadata, 3, &writer));
    const pf_status status = write_tensors(p, layout, writer);
    if (status == PF_OK) return pf_safetensors_commit(writer, NULL);
    pf_safetensors_discard(writer);
    return status;
}

pf_status pf_prompt_save(const pf_prompt *p, pf_model *model, const char *path)
{
    char digest[DIGEST_TEXT];
    pf_state_layout layout = {0};
    void *specs = NULL;
    pf_status status;
    PF_CHECK(p->position == pf_prompt_border(p), PF_ERROR_USAGE, "the prompt was not read to be saved");
    PF_TRY(digest_text(model, digest));
    // Of a prompt shorter than a chunk there is no state: its tokens are read again.
    if (p->position > 0) PF_TRY(pf_state_layout_create(model, p->position, &layout));
    PF_TRY_OR(done, pf_alloc(&specs, (size_t)layout.n_tensors + 1, sizeof(pf_tensor_spec), "carried state"));
    PF_TRY_OR(done, write_file(p, &layout, specs, digest, path));
done:
    pf_free(specs);
    pf_state_layout_free(&layout);
    return status;
}

// ---- reading ----

static pf_status check_metadata(const pf_safetensors *file, const char *digest)
{
    const char *format = pf_safetensors_metadata(file, "format"),
               *model = pf_safetensors_metadata(file, "model");
    char quoted[PF_QUOTE_BYTES];
    PF_CHECK(format, PF_ERROR_INPUT,
             "no saved state: metadata \"format\" is missing; `generate --save-state` makes one");
    PF_CHECK(strcmp(format, FORMAT) == 0, PF_ERROR_INPUT,
             "metadata \"format\" is \"%s\", expected \"" FORMAT "\"",
             pf_quote(quoted, format, strlen(format)));
    PF_CHECK(model && strcmp(model, digest) == 0, PF_ERROR_INPUT,
             "the state of another model: its weights or configuration differ; read the sequence again with "
             "--prompt");
    return PF_OK;
}

static pf_status read_tokens(const pf_safetensors *file, int32_t most, pf_prompt *p)
{
    const pf_tensor_info *tensor = pf_safetensors_find(file, "tokens");
    void *token = NULL;
    PF_CHECK(tensor, PF_ERROR_INPUT, "tensor tokens is missing");
    PF_CHECK(tensor->type == PF_U8 && tensor->rank == 1 && tensor->count >= 1, PF_ERROR_INPUT,
             "tensor tokens: %s of rank %d with %" PRIu64 " numbers, expected U8 of rank 1, at least one",
             pf_number_type_name(tensor->type), tensor->rank, tensor->count);
    PF_CHECK(tensor->count <= (uint64_t)most, PF_ERROR_INPUT,
             "tensor tokens: %" PRIu64 " tokens, the model takes %d", tensor->count, most);
    PF_TRY(pf_alloc(&token, (size_t)tensor->count, 1, "tokens"));
    p->token = token;
    p->count = (int32_t)tensor->count;
    PF_TRY(pf_safetensors_read(file, tensor, p->token));
    for (int32_t i = 0; i < p->count; i++)
        PF_CHECK(i == 0 ? p->token[i] == PF_TOKEN_BEGIN : p->token[i] < PF_RESIDUES, PF_ERROR_INPUT,
                 "tensor tokens: %d at place %d, expected %s", p->token[i], i,
                 i == 0 ? "25, the begin token" : "a residue, 0 to 24");
    return PF_OK;
}

static pf_status read_position(const pf_safetensors *file, pf_prompt *p)
{
    const char *text = pf_safetensors_metadata(file, "position");
    int64_t position = -1;
    PF_CHECK(
        text && pf_parse_integer(text, 0, INT32_MAX, &position) == PF_OK && position == pf_prompt_border(p),
        PF_ERROR_INPUT, "metadata \"position\": expected %d for %d tokens", pf_prompt_border(p), p->count);
    p->position = (int32_t)position;
    return PF_OK;
}

static pf_status read_tensor(const pf_safetensors *file, const pf_state_tensor *expected, float *out)
{
    const pf_tensor_info *tensor = pf_safetensors_find(file, expected->name);
    char shape[3 * POSITION_TEXT] = "";
    PF_CHECK(tensor, PF_ERROR_INPUT, "tensor %s is missing", expected->name);
    bool fits = tensor->type == PF_F32 && tensor->rank == expected->rank;
    for (int i = 0; i < expected->rank; i++) {
        const size_t length = strlen(shape);
        fits = fits && tensor->shape[i] == expected->shape[i];
        snprintf(shape + length, sizeof shape - length, "%s%" PRIu64, i > 0 ? ", " : "", expected->shape[i]);
    }
    PF_CHECK(fits, PF_ERROR_INPUT, "tensor %s: wrong type or shape, expected F32 [%s]", expected->name,
             shape);
    PF_TRY(pf_safetensors_read(file, tensor, out));
    for (size_t i = 0; i < expected->count; i++)
        PF_CHECK(isfinite(out[i]), PF_ERROR_INPUT, "tensor %s: number %zu is NaN or infinite", expected->name,
                 i);
    return PF_OK;
}

static pf_status check_name(const pf_state_layout *layout, const char *name)
{
    char quoted[PF_QUOTE_BYTES];
    bool known = strcmp(name, "tokens") == 0;
    for (int i = 0; !known && i < layout->n_tensors; i++) known = strcmp(name, layout->tensor[i].name) == 0;
    PF_CHECK(known, PF_ERROR_INPUT, "tensor %s is none that this model carries",
             pf_quote(quoted, name, strlen(name)));
    return PF_OK;
}

static pf_status read_state(const pf_safetensors *file, pf_model *model, pf_prompt *p)
{
    pf_state_layout layout = {0};
    void *state = NULL;
    pf_status status;
    if (p->position > 0) PF_TRY(pf_state_layout_create(model, p->position, &layout));
    PF_TRY_OR(done, pf_alloc(&state, layout.count, sizeof(float), "carried state"));
    p->state = state;
    for (int i = 0; i < pf_safetensors_count(file); i++)
        PF_TRY_OR(done, check_name(&layout, pf_safetensors_get(file, i)->name));
    for (int i = 0; i < layout.n_tensors; i++)
        PF_TRY_OR(done, read_tensor(file, &layout.tensor[i], p->state + layout.tensor[i].offset));
done:
    pf_state_layout_free(&layout);
    return status;
}

static pf_status load(pf_prompt *p, pf_model *model, const pf_safetensors *file)
{
    char digest[DIGEST_TEXT];
    PF_TRY(digest_text(model, digest));
    PF_TRY(check_metadata(file, digest));
    PF_TRY(read_tokens(file, pf_model_config(model)->max_position_embeddings, p));
    PF_TRY(read_position(file, p));
    return read_state(file, model, p);
}

pf_status pf_prompt_load(pf_prompt *p, pf_model *model, const char *path)
{
    pf_safetensors *file = NULL;
    char quoted[PF_QUOTE_BYTES];
    PF_TRY(pf_safetensors_open(path, &file));
    const pf_status status = load(p, model, file);
    pf_safetensors_close(file);
    return pf_context(status, "%s", pf_quote(quoted, path, strlen(path)));
}
