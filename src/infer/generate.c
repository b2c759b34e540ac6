// Generation: sequences side by side, one token each a pass. See performer/generate.h.
//
// All sequences of a group stand at the same position, as they begin with the same prompt. One that has ended
// keeps its slot in the carried states and is fed end tokens; slots behind the last living one are left out.
#include "performer/generate.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "data/alphabet.h"
#include "infer/sample.h"
#include "model/performer.h"

enum {
    PROMPT_TOKENS = 32, // of the prompt in a pass: fixed, since how a sequence is cut shows in its last bits
    MOST_TOGETHER = 64, // sequences
};

struct pf_generator {
    pf_model *model;
    pf_generate_options options;
    uint8_t *prompt; // tokens
    int32_t prompt_length;
    int32_t room;         // sequences of a group
    int32_t group, taken; // sequences of this group, and how many were handed out
    uint64_t begun;       // sequences of this and earlier groups
    uint64_t tokens;      // drawn
    char *letters;        // [room][max_length+1]
    int32_t *length;      // [room] residues so far
    bool *is_done;        // [room]
    int32_t *start, *token, *target;
    uint64_t *number;
    float *logits;
};

void pf_generate_default(pf_generate_options *options)
{
    *options = (pf_generate_options){.temperature = 1, .top_p = 1, .count = 1};
}

void pf_generate_model_options(pf_model_options *options)
{
    static const char *const settings[] = {"compute.matmul=tile"};
    *options = (pf_model_options){
        .settings = settings,
        .n_settings = 1,
        .batch_tokens = PROMPT_TOKENS,
        .max_sequences = 1,
        .carry = true,
    };
}

static pf_status check_options(const pf_generate_options *o, int32_t most)
{
    PF_CHECK(o->temperature >= 0 && isfinite(o->temperature), PF_ERROR_USAGE,
             "temperature %g, expected 0 or more", o->temperature);
    PF_CHECK(o->top_p > 0 && o->top_p <= 1, PF_ERROR_USAGE, "top-p %g, expected above 0, at most 1",
             o->top_p);
    PF_CHECK(most >= 1, PF_ERROR_USAGE, "the model takes %d tokens, too few for begin, a residue and end",
             most + 2);
    PF_CHECK(o->max_length >= 0 && o->max_length <= most, PF_ERROR_USAGE,
             "max-length %d, the model takes 1 to %d residues", o->max_length, most);
    return PF_OK;
}

// Small letters are taken as large ones, as in FASTA files.
static pf_status read_prompt(pf_generator *g)
{
    const char *prompt = g->options.prompt ? g->options.prompt : "";
    const size_t length = strlen(prompt);
    PF_CHECK(length <= (size_t)g->options.max_length, PF_ERROR_USAGE,
             "a prompt of %zu residues, max-length is %d with the prompt", length, g->options.max_length);
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, length, 1, "prompt"));
    g->prompt = memory;
    g->prompt_length = (int32_t)length;
    for (size_t i = 0; i < length; i++) {
        const char letter = prompt[i] >= 'a' && prompt[i] <= 'z' ? (char)(prompt[i] - 'a' + 'A') : prompt[i];
        g->prompt[i] = pf_alphabet_token(letter);
        if (g->prompt[i] < PF_RESIDUES) continue;
        const char bad[2] = {prompt[i], '\0'};
        return pf_fail(PF_ERROR_USAGE, "prompt: '%s' at position %zu is no residue",
                       (unsigned char)bad[0] < 0x7f ? bad : "?", i + 1);
    }
    return PF_OK;
}

// As many sequences as there are to make and a quarter of the device's memory holds the states of.
static pf_status make_room(pf_generator *g)
{
    pf_model_limits limits = *pf_model_get_limits(g->model);
    const pf_plan *plan = pf_model_plan(g->model);
    const uint64_t quarter = pf_device_describe(pf_model_device(g->model))->global_bytes / 4;
    const uint64_t each =
        (uint64_t)plan->n_layers * (plan->state + plan->cache) / (uint64_t)limits.max_sequences;
    uint64_t room = g->options.count < MOST_TOGETHER ? g->options.count : MOST_TOGETHER;
    if (each > 0 && room > quarter / each) room = quarter / each;
    if (room > (uint64_t)(INT32_MAX / limits.max_length)) room = (uint64_t)(INT32_MAX / limits.max_length);
    g->room = room < 1 ? 1 : (int32_t)room;
    if (g->room <= limits.max_sequences && g->room * PROMPT_TOKENS <= limits.max_rows) return PF_OK;
    limits.max_sequences = g->room;
    limits.max_rows = g->room * PROMPT_TOKENS;
    return pf_model_resize(g->model, &limits);
}

static pf_status take(void **out, size_t count, size_t item_bytes)
{
    return pf_alloc(out, count, item_bytes, "generation");
}

static pf_status create_arrays(pf_generator *g)
{
    const size_t room = (size_t)g->room, rows = room * PROMPT_TOKENS;
    void *memory = NULL;
    PF_TRY(take(&memory, room * ((size_t)g->options.max_length + 1), 1));
    g->letters = memory;
    PF_TRY(take(&memory, room, sizeof *g->length));
    g->length = memory;
    PF_TRY(take(&memory, room, sizeof *g->is_done));
    g->is_done = memory;
    PF_TRY(take(&memory, room + 1, sizeof *g->start));
    g->start = memory;
    PF_TRY(take(&memory, rows, sizeof *g->token));
    g->token = memory;
    PF_TRY(take(&memory, rows, sizeof *g->target));
    g->target = memory;
    for (size_t n = 0; n < rows; n++) g->target[n] = PF_NO_TARGET;
    PF_TRY(take(&memory, room, sizeof *g->number));
    g->number = memory;
    PF_TRY(take(&memory, rows * PF_VOCAB_SIZE, sizeof *g->logits));
    g->logits = memory;
    return PF_OK;
}

static pf_status prepare(pf_generator *g)
{
    const int32_t most = pf_model_get_limits(g->model)->max_length - 2;
    PF_CHECK(pf_model_get_limits(g->model)->carry, PF_ERROR_USAGE,
             "the model was opened without carry; see pf_generate_model_options");
    PF_TRY(check_options(&g->options, most));
    if (g->options.max_length == 0) g->options.max_length = most;
    PF_TRY(read_prompt(g));
    PF_TRY(make_room(g));
    return create_arrays(g);
}

pf_status pf_generator_create(pf_model *model, const pf_generate_options *options, pf_generator **out)
{
    void *memory = NULL;
    *out = NULL;
    PF_TRY(pf_alloc(&memory, 1, sizeof(pf_generator), "generator"));
    pf_generator *g = memory;
    g->model = model;
    g->options = *options;
    const pf_status status = prepare(g);
    g->options.prompt = NULL; // the caller's; read by now
    if (status == PF_OK)
        *out = g;
    else
        pf_generator_free(g);
    return status;
}

void pf_generator_free(pf_generator *g)
{
    if (!g) return;
    void *all[] = {g->prompt, g->letters, g->length, g->is_done, g->start,
                   g->token,  g->target,  g->number, g->logits};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) pf_free(all[i]);
    pf_free(g);
}

static char *letters_of(const pf_generator *g, int32_t b)
{
    return g->letters + (size_t)b * ((size_t)g->options.max_length + 1);
}

// A pass over `each` tokens of the first n sequences; their first token stands at `position`.
static pf_status forward(pf_generator *g, int32_t n, int32_t each, int32_t position)
{
    for (int32_t b = 0; b <= n; b++) g->start[b] = b * each;
    const pf_batch batch = {
        .n_sequences = n,
        .n_rows = n * each,
        .longest = each,
        .start = g->start,
        .token = g->token,
        .target = g->target,
        .number = g->number,
    };
    const pf_pass pass = {.carry = true, .first_position = position};
    PF_TRY(pf_model_forward(g->model, &batch, &pass));
    return pf_model_read_logits(g->model, g->logits);
}

static int32_t prompt_token(const pf_generator *g, int32_t at)
{
    return at == 0 ? PF_TOKEN_BEGIN : g->prompt[at - 1];
}

// Begin and the prompt through all sequences; *rows is how many rows each has in the logits now.
static pf_status run_prompt(pf_generator *g, int32_t *rows)
{
    const int32_t count = g->prompt_length + 1;
    for (int32_t at = 0; at < count; at += PROMPT_TOKENS) {
        const int32_t now = count - at < PROMPT_TOKENS ? count - at : PROMPT_TOKENS;
        for (int32_t b = 0; b < g->group; b++)
            for (int32_t t = 0; t < now; t++) g->token[b * now + t] = prompt_token(g, at + t);
        PF_TRY(forward(g, g->group, now, at));
        *rows = now;
    }
    return PF_OK;
}

// Draws the token at `position` of sequence b and leaves it for the next pass.
static pf_status draw(pf_generator *g, int32_t b, const float *logits, int32_t position)
{
    const pf_generate_options *o = &g->options;
    const uint64_t number = g->number[b];
    const pf_sample_request request = {
        .temperature = o->temperature,
        .top_p = o->top_p,
        .may_end = g->length[b] > 0, // a record without residues is none
        .uniform = pf_random_uniform(o->seed, PF_RANDOM_SAMPLE, number, (uint64_t)position),
    };
    const int token = pf_sample(logits, &request);
    PF_CHECK(token >= 0, PF_ERROR_NUMERICAL, "sequence %llu, position %d: the model's logits are not finite",
             (unsigned long long)number + 1, position);
    g->tokens++;
    if (token != PF_TOKEN_END) {
        letters_of(g, b)[g->length[b]++] = pf_alphabet_letter(token);
        letters_of(g, b)[g->length[b]] = '\0';
    }
    g->is_done[b] = token == PF_TOKEN_END || g->length[b] >= o->max_length;
    g->token[b] = token;
    return PF_OK;
}

static void begin_group(pf_generator *g)
{
    const uint64_t left = g->options.count - g->begun;
    g->group = left < (uint64_t)g->room ? (int32_t)left : g->room;
    g->taken = 0;
    for (int32_t b = 0; b < g->group; b++) {
        g->number[b] = g->options.first_number + g->begun + (uint64_t)b;
        g->length[b] = g->prompt_length;
        g->is_done[b] = g->prompt_length >= g->options.max_length;
        for (int32_t i = 0; i < g->prompt_length; i++) letters_of(g, b)[i] = pf_alphabet_letter(g->prompt[i]);
        letters_of(g, b)[g->prompt_length] = '\0';
    }
    g->begun += (uint64_t)g->group;
}

// Sequences up to the last one that goes on.
static int32_t living(const pf_generator *g)
{
    int32_t n = g->group;
    while (n > 0 && g->is_done[n - 1]) n--;
    return n;
}

static pf_status run_group(pf_generator *g)
{
    begin_group(g);
    int32_t rows = 1, n = living(g);
    if (n > 0) PF_TRY(run_prompt(g, &rows));
    for (int32_t position = g->prompt_length + 1; n > 0; position++) {
        for (int32_t b = 0; b < n; b++) {
            if (g->is_done[b])
                g->token[b] = PF_TOKEN_END;
            else
                PF_TRY(draw(g, b, g->logits + (size_t)((b + 1) * rows - 1) * PF_VOCAB_SIZE, position));
        }
        n = living(g);
        rows = 1;
        if (n > 0) PF_TRY(forward(g, n, 1, position));
    }
    return PF_OK;
}

pf_status pf_generator_next(pf_generator *g, const char **sequence, size_t *length)
{
    if (g->taken == g->group) {
        if (g->begun == g->options.count) return PF_END;
        g->group = g->taken = 0;
        PF_TRY(run_group(g));
    }
    const int32_t b = g->taken++;
    *sequence = letters_of(g, b);
    *length = (size_t)g->length[b];
    return PF_OK;
}

uint64_t pf_generator_tokens(const pf_generator *g)
{
    return g->tokens;
}
