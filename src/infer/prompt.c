// Reading a prompt. See prompt.h; the file is read and written in prompt_file.c.
#include "infer/prompt.h"

#include <string.h>

#include "base/memory.h"
#include "data/alphabet.h"
#include "infer/prompt_parts.h"
#include "model/state.h"
#include "ops/sequences.h"

enum {
    LONG_CHUNK = 16 * PF_CHUNK_ROWS, // of a pass over what is long
    LONG = 4 * LONG_CHUNK,
};

// Small letters are taken as large ones, as in FASTA files.
static pf_status add_prompt(pf_prompt *p, const char *prompt)
{
    const size_t length = strlen(prompt);
    PF_CHECK(length <= (size_t)(INT32_MAX - p->count), PF_ERROR_USAGE, "a prompt of %zu residues is too long",
             length);
    void *token = NULL;
    PF_TRY(pf_alloc(&token, (size_t)p->count + length, 1, "prompt"));
    memcpy(token, p->token, (size_t)p->count);
    pf_free(p->token);
    p->token = token;
    for (size_t i = 0; i < length; i++) {
        const char letter = prompt[i] >= 'a' && prompt[i] <= 'z' ? (char)(prompt[i] - 'a' + 'A') : prompt[i];
        const uint8_t read = pf_alphabet_token(letter);
        if (read < PF_RESIDUES) {
            p->token[p->count++] = read;
            continue;
        }
        const char bad[2] = {prompt[i], '\0'};
        return pf_fail(PF_ERROR_USAGE, "prompt: '%s' at position %zu is no residue",
                       (unsigned char)bad[0] < 0x7f ? bad : "?", i + 1);
    }
    return PF_OK;
}

static pf_status begin(pf_prompt *p)
{
    void *token = NULL;
    PF_TRY(pf_alloc(&token, 1, 1, "prompt"));
    p->token = token;
    p->token[0] = PF_TOKEN_BEGIN;
    p->count = 1;
    return PF_OK;
}

pf_status pf_prompt_create(pf_model *model, const char *state_path, const char *prompt, pf_prompt **out)
{
    void *memory = NULL;
    *out = NULL;
    PF_TRY(pf_alloc(&memory, 1, sizeof(pf_prompt), "prompt"));
    pf_prompt *p = memory;
    pf_status status = state_path ? pf_prompt_load(p, model, state_path) : begin(p);
    if (status == PF_OK && prompt) status = add_prompt(p, prompt);
    if (status == PF_OK)
        *out = p;
    else
        pf_prompt_free(p);
    return status;
}

void pf_prompt_free(pf_prompt *p)
{
    if (!p) return;
    pf_free(p->token);
    pf_free(p->state);
    pf_free(p);
}

int32_t pf_prompt_chunk(const pf_prompt *p)
{
    return p->count - p->position > LONG ? LONG_CHUNK : PF_CHUNK_ROWS;
}

int32_t pf_prompt_border(const pf_prompt *p)
{
    return (p->count - 1) / PF_CHUNK_ROWS * PF_CHUNK_ROWS;
}

// A pass over tokens first .. end-1.
static pf_status pass_over(const pf_prompt *p, pf_model *model, int32_t first, int32_t end)
{
    int32_t start[2] = {0, end - first}, token[LONG_CHUNK], target[LONG_CHUNK];
    const uint64_t number = 0;
    const pf_batch batch = {.n_sequences = 1,
                            .n_rows = end - first,
                            .longest = end - first,
                            .start = start,
                            .token = token,
                            .target = target,
                            .number = &number};
    const pf_pass pass = {.carry = true, .first_position = first};
    for (int32_t t = first; t < end; t++) {
        token[t - first] = p->token[t];
        target[t - first] = PF_NO_TARGET;
    }
    return pf_model_forward(model, &batch, &pass);
}

// Keeps the state of `position` tokens, where the last pass ended.
static pf_status keep_state(pf_prompt *p, pf_model *model, int32_t position)
{
    pf_state_layout layout;
    void *state = NULL;
    PF_TRY(pf_state_layout_create(model, position, &layout));
    pf_status status = pf_alloc(&state, layout.count, sizeof(float), "carried state");
    if (status == PF_OK) status = pf_model_read_state(model, 0, position, state);
    pf_state_layout_free(&layout);
    if (status != PF_OK) {
        pf_free(state);
        return status;
    }
    pf_free(p->state);
    p->state = state;
    p->position = position;
    return PF_OK;
}

pf_status pf_prompt_read(pf_prompt *p, pf_model *model, bool keep, float *logits)
{
    float rows[PF_CHUNK_ROWS * PF_VOCAB_SIZE];
    const int32_t border = pf_prompt_border(p), most = pf_prompt_chunk(p), begun = p->position;
    if (begun > 0) PF_TRY(pf_model_write_state(model, 0, begun, p->state));
    for (int32_t at = begun, end; at < border; at = end) {
        end = border - at < most ? border : at + most;
        PF_TRY(pass_over(p, model, at, end));
    }
    if (keep && border > begun) PF_TRY(keep_state(p, model, border));
    PF_TRY(pass_over(p, model, border, p->count));
    PF_TRY(pf_model_read_logits(model, rows));
    memcpy(logits, rows + (size_t)(p->count - border - 1) * PF_VOCAB_SIZE, PF_VOCAB_SIZE * sizeof *logits);
    return PF_OK;
}
