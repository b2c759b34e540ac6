// Sizes of all buffers of a model. See plan.h.
#include "model/parts.h"
#include "ops/parts.h"

static size_t largest(size_t a, size_t b)
{
    return a > b ? a : b;
}

int32_t pf_most_sequences(int32_t rows)
{
    return rows / 128 + 1;
}

int32_t pf_carry_sequences(const pf_model_limits *limits)
{
    return limits->carry_sequences ? limits->carry_sequences : limits->max_sequences;
}

int32_t pf_carry_tokens(const pf_model_limits *limits)
{
    return limits->carry_tokens ? limits->carry_tokens : limits->max_rows;
}

int32_t pf_position_room(const pf_model_limits *limits)
{
    enum { LEAST = 1024 }; // who comes token by token should not need new rows each time
    const int32_t rows = limits->max_rows > LEAST ? limits->max_rows : LEAST;
    return rows < limits->max_length ? rows : limits->max_length;
}

static void plan_carry(const struct pf_config *c, const pf_model_limits *limits, pf_plan *plan)
{
    const pf_favor_config favor = pf_favor_config_of(c, false);
    const size_t count = (size_t)pf_carry_sequences(limits), pair = 2 * sizeof(float);
    const size_t local = (size_t)c->attention.local_heads * (size_t)pf_config_head_size(c);
    const size_t kinds = (plan->n_exact > 0) + (local > 0);
    plan->state = favor.n_heads > 0 ? pf_favor_state_bytes(&favor, (int)count) : 0;
    plan->window = count * (size_t)pf_window_rows(c, limits) * local * pair;
    plan->cache = plan->n_exact ? count * (size_t)limits->max_length * (size_t)c->hidden_size * pair : 0;
    plan->rows += kinds * count * sizeof(pf_key_range);
}

static void plan_attention(const struct pf_config *c, const pf_model_limits *limits, pf_plan *plan)
{
    const bool has_exact = pf_model_has_type(c, PF_ATTENTION_SOFTMAX);
    const bool has_favor = pf_model_has_type(c, PF_ATTENTION_FAVOR);
    const pf_favor_config favor = pf_favor_config_of(c, limits->training);
    const pf_softmax_attention_config exact = pf_exact_config_of(c, false, limits->training);
    const int32_t rows = limits->max_rows;
    if (has_favor && favor.n_heads > 0) {
        const pf_favor_room room = {limits->max_sequences, pf_blocks_at_most(limits->max_sequences, rows),
                                    rows};
        plan->normalizer = pf_favor_normalizer_bytes(&favor, rows);
        if (!favor.causal) plan->state = pf_favor_state_bytes(&favor, limits->max_sequences);
        plan->scratch = pf_favor_forward_scratch_bytes(&favor, room);
        if (limits->training)
            plan->scratch = largest(plan->scratch, pf_favor_backward_scratch_bytes(&favor, room));
    }
    const bool exact_heads = has_exact || (has_favor && c->attention.local_heads > 0);
    if (exact_heads && limits->training)
        plan->log_sum = pf_softmax_attention_log_sum_floats(&exact, rows) * sizeof(float);
    if (limits->carry) plan_carry(c, limits, plan);
}

static pf_status plan_matmul(const struct pf_config *c, const pf_model_limits *limits,
                             const pf_matmul *matmul, pf_plan *plan)
{
    pf_linear kinds[PF_LINEAR_KINDS];
    pf_linear_kinds(c, kinds);
    for (int i = 0; i < PF_LINEAR_KINDS; i++) {
        pf_adapters adapters;
        if (pf_adapters_of(c, -1, i, &adapters)) {
            kinds[i].adapters = &adapters;
            plan->merged = largest(plan->merged, (size_t)kinds[i].in * (size_t)kinds[i].out * sizeof(float));
        }
        PF_TRY(pf_linear_scratch_bytes(matmul, &kinds[i], limits->max_rows, limits->training, &plan->matmul));
    }
    plan->d_merged = limits->training ? plan->merged : 0;
    return PF_OK;
}

// Layer norm, column sums and the embedding add up parts: 2D, the widest bias, and A*D numbers wide.
static size_t plan_reductions(const struct pf_config *c, const pf_device *device, bool training)
{
    const size_t D = (size_t)c->hidden_size, A = (size_t)c->vocab_size;
    const size_t widest_bias = training ? (size_t)pf_widest_bias(c) : 0;
    return pf_parts_bytes(device, 2 * D + widest_bias + A * D);
}

// What the head keeps: of a transform u, act(u), LN(act(u)) and statistics; of a task the means of residues.
static size_t plan_head(const struct pf_config *c, const pf_model_limits *limits, const pf_plan *plan)
{
    if (pf_head_has_transform(c)) return (limits->training ? 3 : 2) * plan->stream + plan->stat;
    if (!pf_head_pools(c)) return 0;
    return (size_t)limits->max_sequences * (size_t)c->hidden_size * sizeof(float);
}

static size_t plan_labels(const struct pf_config *c, const pf_model_limits *limits)
{
    const size_t ranges = pf_head_pools(c) ? (size_t)limits->max_sequences * 2 * sizeof(int32_t) : 0;
    return ranges + (c->task.type == PF_TASK_REGRESSION ? (size_t)limits->max_rows * sizeof(float) : 0);
}

static size_t projection_numbers(const struct pf_config *c)
{
    if (c->attention.projection == PF_PROJECTION_NONE) return 0;
    return (size_t)c->attention.num_features * (size_t)pf_config_head_size(c);
}

bool pf_plan_begins_segment(const pf_plan *p, int layer)
{
    return layer % p->segment == 0;
}

bool pf_plan_ends_segment(const pf_plan *p, int layer)
{
    return layer % p->segment == p->segment - 1 || layer == p->n_layers - 1;
}

bool pf_plan_packs(const pf_plan *p, int layer)
{
    return p->packed && !pf_plan_ends_segment(p, layer);
}

bool pf_plan_packs_x(const pf_plan *p, int layer)
{
    // The last segment is not computed again: where it is one layer, that needs no x.
    return pf_plan_packs(p, layer) ||
           (p->packed && pf_plan_begins_segment(p, layer) && layer < p->n_layers - 1);
}

pf_layer_buffers pf_plan_layer(const pf_plan *p, int layer)
{
    const bool in_first = layer < p->segment, begins = p->training && pf_plan_begins_segment(p, layer);
    return (pf_layer_buffers){
        .work = p->packed ? layer == 0 : in_first,
        .x = p->packed ? layer == 0 : in_first || begins,
        .small = in_first,
        .packed = in_first && pf_plan_packs(p, layer),
        .packed_x = (in_first || begins) && pf_plan_packs_x(p, layer),
    };
}

static uint64_t layer_bytes(const pf_plan *p, int layer, uint64_t state)
{
    const pf_layer_buffers own = pf_plan_layer(p, layer);
    const uint64_t work = p->stream + p->qkv + p->attended + p->hidden;
    const uint64_t small = 2 * p->stat + p->normalizer + p->log_sum + state;
    return own.work * work + own.x * p->stream + own.small * small + own.packed * work / 2 +
           own.packed_x * p->stream / 2;
}

static uint64_t kept_bytes(const pf_plan *p, uint64_t state)
{
    uint64_t sum = 0;
    for (int layer = 0; layer < p->n_layers; layer++) sum += layer_bytes(p, layer, state);
    return sum;
}

static int32_t choose_segment(const pf_plan *plan, int32_t recompute)
{
    pf_plan tried = *plan;
    int32_t best = plan->n_layers;
    uint64_t least = UINT64_MAX;
    if (recompute == PF_RECOMPUTE_OFF || recompute >= plan->n_layers) return plan->n_layers;
    if (recompute > 0) return recompute;
    for (tried.segment = 1; tried.segment <= plan->n_layers; tried.segment++) {
        const uint64_t bytes = kept_bytes(&tried, plan->state);
        if (bytes > least) continue;
        least = bytes;
        best = tried.segment;
    }
    return best;
}

pf_status pf_plan_make(const pf_plan_request *request, pf_plan *out)
{
    const struct pf_config *c = request->config;
    const pf_model_limits *limits = request->limits;
    const size_t number = sizeof(float), rows = (size_t)limits->max_rows, D = (size_t)c->hidden_size;
    const size_t F = (size_t)c->intermediate_size, A = (size_t)pf_config_outputs(c);
    const int32_t n_blocks = pf_blocks_at_most(limits->max_sequences, limits->max_rows);
    pf_plan plan = {
        .parameters = request->parameters->parameters_size * number,
        .projections = request->parameters->projections_size * number,
        .stream = rows * D * number,
        .stat = rows * 2 * number,
        .qkv = rows * 3 * D * number,
        .attended = rows * D * number,
        .hidden = rows * F * number,
        .normed = rows * D * number,
        .activated = rows * F * number,
        .logits = (pf_head_pools(c) ? (size_t)limits->max_sequences : rows) * A * number,
        .rows = rows * (2 * sizeof(int32_t) + sizeof(pf_place)) +
                (size_t)limits->max_sequences * sizeof(pf_sequence) + (size_t)n_blocks * sizeof(pf_block),
        .row_losses = limits->row_losses ? rows * number : 0,
        .probe = limits->probe ? (rows * D + projection_numbers(c)) * number : 0,
        .captured = (size_t)limits->n_captured * rows * D * number,
        .reductions = plan_reductions(c, request->device, limits->training),
        .n_layers = c->num_hidden_layers,
        .training = limits->training,
        .packed = limits->training && c->compute.storage != PF_STORAGE_FP32,
    };
    for (int layer = 0; layer < plan.n_layers; layer++)
        plan.n_exact += pf_config_layer_type(c, layer) == PF_ATTENTION_SOFTMAX;
    if (c->position_embedding_type == PF_POSITION_SINUSOIDAL)
        plan.tables = (size_t)pf_position_room(limits) * D * number;
    if (pf_config_is_rotary(c))
        plan.tables = (size_t)pf_position_room(limits) * (size_t)pf_config_head_size(c) * number;
    plan.head = plan_head(c, limits, &plan);
    if (limits->training && c->embedding_norm && c->norm_placement == PF_NORM_PRE)
        plan.embedded = plan.stream;
    plan.rows += (c->token_dropout ? rows * number : 0) + plan_labels(c, limits);
    plan_attention(c, limits, &plan);
    if (limits->training) {
        plan.gradients = request->parameters->trained_size * number;
        plan.moments = 2 * plan.gradients;
        plan.d_stream = plan.d_branch = plan.stream;
        plan.d_wide = largest(plan.qkv, plan.hidden);
    }
    plan.segment = limits->training ? choose_segment(&plan, c->train.recompute) : 1;
    PF_TRY(plan_matmul(c, limits, request->matmul, &plan));
    *out = plan;
    return PF_OK;
}

uint64_t pf_plan_kept_bytes(const pf_plan *p)
{
    return kept_bytes(p, p->state);
}

uint64_t pf_plan_plain_kept_bytes(const pf_plan *plan)
{
    pf_plan plain = *plan;
    plain.packed = false;
    plain.segment = plain.training ? plain.n_layers : 1;
    return kept_bytes(&plain, plain.state);
}

uint64_t pf_plan_carry_bytes(const pf_plan *p)
{
    return (uint64_t)p->n_exact * p->cache + (uint64_t)(p->n_layers - p->n_exact) * (p->state + p->window);
}

uint64_t pf_plan_activation_bytes(const pf_plan *p, bool carry)
{
    const uint64_t kept = carry ? kept_bytes(p, 0) + pf_plan_carry_bytes(p) : kept_bytes(p, p->state);
    return kept + p->stat + p->normed + p->head + p->embedded + (p->embedded ? p->stat : 0) + p->activated +
           p->logits + p->rows + p->captured + p->row_losses + p->probe + p->tables + p->d_stream +
           p->d_branch + p->d_wide + (p->training ? p->log_sum : 0);
}

uint64_t pf_plan_total_bytes(const pf_plan *p, bool carry)
{
    return p->parameters + p->gradients + p->moments + p->projections + p->merged + p->d_merged +
           pf_plan_activation_bytes(p, carry) + p->scratch + p->matmul + p->reductions;
}
