// Generation: sequences side by side, one token each a pass. See performer/generate.h.
//
// The prompt is read once, as the first sequence; the others of a group take over its state. So all sequences
// of a group stand at the same position. One that has ended keeps its slot in the carried states and is fed
// end tokens; slots behind the last living one are left out.
#include "performer/generate.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "data/alphabet.h"
#include "infer/prompt.h"
#include "infer/sample.h"
#include "model/performer.h"
#include "model/state.h"
#include "ops/sequences.h"

enum { MOST_TOGETHER = 64 }; // sequences

struct pf_generator {
    pf_model *model;
    pf_generate_options options;
    pf_prompt *prompt;
    int32_t prompt_length;     // residues
    bool was_read;             // the prompt
    float *state;              // of all of the prompt, when further groups need it
    float next[PF_VOCAB_SIZE]; // logits behind the prompt
    int32_t room;              // sequences of a group
    int32_t group, taken;      // sequences of this group, and how many were handed out
    uint64_t begun;            // sequences of this and earlier groups
    uint64_t tokens;           // drawn
    char *letters;             // [room][max_length+1]
    int32_t *length;           // [room] residues so far
    bool *is_done;             // [room]
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
        .batch_tokens = PF_CHUNK_ROWS,
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

static pf_status read_prompt(pf_generator *g)
{
    PF_TRY(pf_prompt_create(g->model, g->options.state, g->options.prompt, &g->prompt));
    g->prompt_length = g->prompt->count - 1;
    PF_CHECK(g->prompt_length <= g->options.max_length, PF_ERROR_USAGE,
             "a prompt of %d residues%s, max-length is %d with the prompt", g->prompt_length,
             g->options.state ? ", those of the saved state among them" : "", g->options.max_length);
    return PF_OK;
}

// Bytes that a sequence of `length` tokens carries: only exact layers keep something of every token.
static uint64_t carried_bytes(const pf_generator *g, int32_t length)
{
    const pf_plan *plan = pf_model_plan(g->model);
    const pf_model_limits *limits = pf_model_get_limits(g->model);
    const uint64_t whole = (uint64_t)plan->n_exact * plan->cache / (uint64_t)limits->max_length;
    const uint64_t rest = pf_plan_carry_bytes(plan) - (uint64_t)plan->n_exact * plan->cache;
    return (rest + whole * (uint64_t)length) / (uint64_t)pf_carry_sequences(limits);
}

// As many sequences as there are to make and a quarter of the device's memory holds the states of.
static pf_status make_room(pf_generator *g)
{
    pf_model_limits limits = *pf_model_get_limits(g->model);
    const uint64_t quarter = pf_device_describe(pf_model_device(g->model))->global_bytes / 4;
    const int32_t chunk = pf_prompt_chunk(g->prompt), length = g->options.max_length + 2; // begin and end
    const uint64_t each = carried_bytes(g, length);
    uint64_t room = g->options.count < MOST_TOGETHER ? g->options.count : MOST_TOGETHER;
    if (each > 0 && room > quarter / each) room = quarter / each;
    if (limits.max_length < length) limits.max_length = length;
    if (room > (uint64_t)(INT32_MAX / limits.max_length)) room = (uint64_t)(INT32_MAX / limits.max_length);
    g->room = room < 1 ? 1 : (int32_t)room;
    const int32_t rows = g->room > chunk ? g->room : chunk;
    if (g->room <= pf_carry_sequences(&limits) && rows <= limits.max_rows &&
        chunk <= pf_carry_tokens(&limits) && limits.max_length == pf_model_get_limits(g->model)->max_length)
        return PF_OK;
    limits.max_sequences = g->room;
    limits.max_rows = rows;
    limits.carry_sequences = g->room;
    limits.carry_tokens = chunk;
    return pf_model_resize(g->model, &limits);
}

static pf_status take(void **out, size_t count, size_t item_bytes)
{
    return pf_alloc(out, count, item_bytes, "generation");
}

static pf_status create_arrays(pf_generator *g)
{
    const size_t room = (size_t)g->room;
    void *memory = NULL;
    PF_TRY(take(&memory, room * ((size_t)g->options.max_length + 1), 1));
    g->letters = memory;
    PF_TRY(take(&memory, room, sizeof *g->length));
    g->length = memory;
    PF_TRY(take(&memory, room, sizeof *g->is_done));
    g->is_done = memory;
    PF_TRY(take(&memory, room + 1, sizeof *g->start));
    g->start = memory;
    PF_TRY(take(&memory, room, sizeof *g->token));
    g->token = memory;
    PF_TRY(take(&memory, room, sizeof *g->target));
    g->target = memory;
    for (size_t n = 0; n < room; n++) g->target[n] = PF_NO_TARGET;
    PF_TRY(take(&memory, room, sizeof *g->number));
    g->number = memory;
    PF_TRY(take(&memory, room * PF_VOCAB_SIZE, sizeof *g->logits));
    g->logits = memory;
    return PF_OK;
}

static pf_status prepare(pf_generator *g)
{
    const int32_t most = pf_model_config(g->model)->max_position_embeddings - 2;
    PF_CHECK(pf_model_get_limits(g->model)->carry, PF_ERROR_USAGE,
             "the model was opened without carry; see pf_generate_model_options");
    PF_CHECK(pf_model_config(g->model)->alphabet == PF_ALPHABET_PROTEIN_29, PF_ERROR_USAGE,
             "generation is for alphabet protein-29; this model's has tokens of its own");
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
    g->options.prompt = g->options.state = NULL; // the caller's; read by now
    if (status == PF_OK)
        *out = g;
    else
        pf_generator_free(g);
    return status;
}

void pf_generator_free(pf_generator *g)
{
    if (!g) return;
    pf_prompt_free(g->prompt);
    void *all[] = {g->state, g->letters, g->length, g->is_done, g->start,
                   g->token, g->target,  g->number, g->logits};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) pf_free(all[i]);
    pf_free(g);
}

static char *letters_of(const pf_generator *g, int32_t b)
{
    return g->letters + (size_t)b * ((size_t)g->options.max_length + 1);
}

// A pass over a token of each of the first n sequences, at `position`.
static pf_status forward(pf_generator *g, int32_t n, int32_t position)
{
    for (int32_t b = 0; b <= n; b++) g->start[b] = b;
    const pf_batch batch = {
        .n_sequences = n,
        .n_rows = n,
        .longest = 1,
        .start = g->start,
        .token = g->token,
        .target = g->target,
        .number = g->number,
    };
    const pf_pass pass = {.carry = true, .first_position = position};
    PF_TRY(pf_model_forward(g->model, &batch, &pass));
    return pf_model_read_logits(g->model, g->logits);
}

// The state behind the prompt, for groups after the first.
static pf_status keep_state(pf_generator *g)
{
    pf_state_layout layout;
    void *state = NULL;
    PF_TRY(pf_state_layout_create(g->model, g->prompt->count, &layout));
    const pf_status status = take(&state, layout.count, sizeof *g->state);
    pf_state_layout_free(&layout);
    PF_TRY(status);
    g->state = state;
    return pf_model_read_state(g->model, 0, g->prompt->count, g->state);
}

// Lets the first n sequences have read the prompt.
static pf_status begin_with_prompt(pf_generator *g, int32_t n)
{
    const int32_t position = g->prompt->count;
    if (!g->was_read) PF_TRY(pf_prompt_read(g->prompt, g->model, false, g->next));
    g->was_read = true;
    if (!g->state && g->options.count > (uint64_t)g->room)
        PF_TRY(keep_state(g));
    else if (g->state)
        PF_TRY(pf_model_write_state(g->model, 0, position, g->state));
    for (int32_t b = 1; b < n; b++) PF_TRY(pf_model_copy_state(g->model, 0, b, position));
    return PF_OK;
}

pf_status pf_generator_save(pf_generator *g, const char *path)
{
    PF_CHECK(!g->was_read, PF_ERROR_USAGE,
             "the state behind the prompt is saved before the first sequence is made");
    PF_TRY(pf_prompt_read(g->prompt, g->model, true, g->next));
    g->was_read = true;
    return pf_prompt_save(g->prompt, g->model, path);
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
        for (int32_t i = 0; i < g->prompt_length; i++)
            letters_of(g, b)[i] = pf_alphabet_letter(g->prompt->token[i + 1]);
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
    int32_t n = living(g);
    if (n > 0) PF_TRY(begin_with_prompt(g, n));
    for (int32_t position = g->prompt->count; n > 0; position++) {
        const bool is_first = position == g->prompt->count;
        for (int32_t b = 0; b < n; b++) {
            if (g->is_done[b])
                g->token[b] = PF_TOKEN_END;
            else
                PF_TRY(draw(g, b, is_first ? g->next : g->logits + (size_t)b * PF_VOCAB_SIZE, position));
        }
        n = living(g);
        if (n > 0) PF_TRY(forward(g, n, position));
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
