// FAVOR attention on the host: what both directions share. See favor.h; the directions themselves
// are in favor_both.c and favor_causal.c.
#include "ops/favor_parts.h"

#include <math.h>

#include "base/memory.h"

bool pf_favor_is_softmax(pf_favor_kernel kernel)
{
    return kernel >= PF_FAVOR_SOFTMAX && kernel <= PF_FAVOR_SOFTMAX_OPRF;
}

bool pf_favor_is_exponential(pf_favor_kernel kernel)
{
    return pf_favor_is_softmax(kernel) || kernel == PF_FAVOR_EXP;
}

int pf_favor_maps(pf_favor_kernel kernel)
{
    return kernel == PF_FAVOR_SOFTMAX_HYPERBOLIC || kernel == PF_FAVOR_SOFTMAX_TRIG ? 2 : 1;
}

int pf_favor_feature_rows(const pf_favor_config *config)
{
    return config->projected ? config->n_features : config->head_size;
}

pf_favor_tiles pf_favor_tiles_of(const pf_favor_config *config)
{
    pf_favor_tiles tiles = {.head = 16, .slice = 16};
    while (tiles.head < config->head_size) tiles.head *= 2;
    // The slice that wastes least; of those the deepest, since the tiles of sums are loaded and stored
    // once a slice.
    const int m = pf_favor_feature_rows(config);
    int rounded = 16;
    if (m > 16) {
        rounded = 0;
        for (int slice = 64; slice >= 32; slice -= 16) {
            const int now = (m + slice - 1) / slice * slice;
            if (rounded && now >= rounded) continue;
            rounded = now;
            tiles.slice = slice;
        }
    }
    tiles.features = rounded * pf_favor_maps(config->kernel);
    return tiles;
}

int pf_favor_tokens(const pf_favor_config *config, pf_shape shape)
{
    const bool large = pf_favor_tiles_of(config).head > 64;
    if (shape.work_group == 1) return large || config->causal ? 32 : 64; // causal: less to cut away at the diagonal
    return large ? 8 : 16; // all tiles of the backward pass within 32 KiB
}

size_t pf_favor_state_floats(const pf_favor_config *config)
{
    const pf_favor_tiles tiles = pf_favor_tiles_of(config);
    const size_t more = config->softmax_epsilon > 0 ? (size_t)(tiles.features + tiles.head + 16) : 0;
    return (size_t)tiles.features * (size_t)(tiles.head + 2) + more;
}

size_t pf_favor_packed_floats(const pf_favor_config *config)
{
    const pf_favor_tiles tiles = pf_favor_tiles_of(config);
    return (size_t)tiles.features * (size_t)(tiles.head + 1);
}

size_t pf_favor_state_bytes(const pf_favor_config *config, int n_sequences)
{
    return (size_t)n_sequences * (size_t)config->n_heads * pf_favor_state_floats(config) * sizeof(float);
}

size_t pf_favor_normalizer_bytes(const pf_favor_config *config, int rows)
{
    // Softmax kernels, and exp when causal, keep the reference of the query beside R.
    const size_t each = pf_favor_is_exponential(config->kernel) ? 2 : 1;
    return (size_t)rows * (size_t)config->n_heads * each * sizeof(float);
}

size_t pf_favor_forward_scratch_bytes(const pf_favor_config *config, pf_favor_room room)
{
    return config->causal ? pf_favor_causal_scratch_bytes(config, room, false)
                          : pf_favor_both_scratch_bytes(config, room, false);
}

size_t pf_favor_backward_scratch_bytes(const pf_favor_config *config, pf_favor_room room)
{
    return config->causal ? pf_favor_causal_scratch_bytes(config, room, true)
                          : pf_favor_both_scratch_bytes(config, room, true);
}

static pf_status check_config(const pf_favor_config *config)
{
    PF_CHECK(config->head_size >= 1 && config->head_size <= PF_MAX_HEAD_SIZE, PF_ERROR_USAGE,
             "FAVOR attention: heads of %d numbers, from 1 to %d are possible", config->head_size, PF_MAX_HEAD_SIZE);
    PF_CHECK(config->n_heads >= 1 && config->first_head >= 0, PF_ERROR_USAGE,
             "FAVOR attention: %d heads from head %d on", config->n_heads, config->first_head);
    PF_CHECK(pf_favor_feature_rows(config) >= 1 && pf_favor_feature_rows(config) <= PF_MAX_FEATURES, PF_ERROR_USAGE,
             "FAVOR attention: %d features, from 1 to %d are possible", config->n_features, PF_MAX_FEATURES);
    PF_CHECK(config->projected || !pf_favor_is_softmax(config->kernel), PF_ERROR_USAGE,
             "FAVOR attention: softmax kernels need a projection");
    PF_CHECK(config->softmax_epsilon == 0 ||
                 (config->kernel == PF_FAVOR_SOFTMAX && config->renormalize && !config->causal),
             PF_ERROR_USAGE, "FAVOR attention: softmax_epsilon is for kernel softmax, renormalised and over both sides");
    PF_CHECK(config->kernel >= 0 && config->kernel < PF_FAVOR_KERNELS, PF_ERROR_USAGE,
             "FAVOR attention: no kernel %d", (int)config->kernel);
    return PF_OK;
}

// What chooses a feature map: the file of cl/maps, or the parts of the softmax family, that see their constant.
#define DEFINE(constant, name) "MAP_" #constant,
static const char *const map_defines[] = {PF_FAVOR_KERNEL_TABLE(DEFINE)};
#undef DEFINE

// The constants of cl/lib/features.clh.
static void set_defines(pf_favor *op)
{
    const pf_favor_config *config = &op->config;
    const pf_define defines[] = {
        {"E", config->head_size},         {"EP", op->tiles.head},
        {"M", pf_favor_feature_rows(config)}, {"F", op->tiles.features},
        {"FP", op->tiles.slice},          {"T", pf_favor_tokens(config, pf_device_shape(op->device))},
        {map_defines[config->kernel], 1},  {"RENORMALIZE", config->renormalize},
        {"FEATURE_EPSILON", 1},
    };
    op->n_defines = sizeof defines / sizeof *defines - (config->softmax_epsilon == 0);
    for (int i = 0; i < op->n_defines; i++) op->defines[i] = defines[i];
}

pf_status pf_favor_kernel_create(pf_favor *op, const char *file, const char *name, pf_kernel **out)
{
    const pf_program_key program = {.file = file, .defines = op->defines, .n_defines = op->n_defines};
    return pf_kernel_create(op->device, &program, name, out);
}

pf_status pf_favor_create(pf_device *device, const pf_favor_config *config, pf_favor **out)
{
    pf_status status;
    void *made = NULL;
    PF_TRY(check_config(config));
    PF_TRY(pf_alloc(&made, 1, sizeof(pf_favor), "FAVOR attention"));
    pf_favor *op = made;
    op->device = device;
    op->config = *config;
    op->tiles = pf_favor_tiles_of(config);
    set_defines(op);
    PF_TRY_OR(failed, pf_favor_kernel_create(op, "favor_pack", "favor_pack", &op->pack));
    PF_TRY_OR(failed, config->causal ? pf_favor_causal_create(op) : pf_favor_both_create(op));
    *out = op;
    return PF_OK;
failed:
    pf_favor_free(op);
    return status;
}

void pf_favor_free(pf_favor *op)
{
    if (!op) return;
    pf_kernel_free(op->pack);
    for (int i = 0; i < PF_FAVOR_MOST_KERNELS; i++) {
        pf_kernel_free(op->forward[i]);
        pf_kernel_free(op->backward[i]);
    }
    pf_free(op);
}

// The constant a of optimal positive random features (Likhosherstov et al. 2022, arXiv:2205.15317):
// exp(a|w|^2 + sqrt(1-4a) w.y - |y|^2/2).
static double oprf_a(double e, double s)
{
    const double rho = (sqrt((2 * s + e) * (2 * s + e) + 8 * e * s) - (2 * s + e)) / (4 * s);
    return (1 - 1 / rho) / 8;
}

float pf_favor_log_constant(const pf_favor_config *config)
{
    if (!pf_favor_is_softmax(config->kernel)) return 0;
    const double e = config->head_size, columns = config->n_features * pf_favor_maps(config->kernel);
    if (config->kernel == PF_FAVOR_SOFTMAX_TRIG) return (float)-log(config->n_features);
    const double a = config->kernel == PF_FAVOR_SOFTMAX_OPRF ? oprf_a(e, (double)config->oprf_s) : 0;
    return (float)(e / 2 * log1p(-4 * a) - log(columns));
}

float pf_favor_constant(const pf_favor_config *config)
{
    if (!pf_favor_is_softmax(config->kernel)) return config->epsilon;
    return config->softmax_epsilon > 0 ? config->softmax_epsilon : pf_favor_log_constant(config);
}

pf_status pf_favor_pack(pf_favor *op, const pf_buffer *projection, pf_buffer *scratch)
{
    const double e = op->config.head_size;
    const bool oprf = op->config.kernel == PF_FAVOR_SOFTMAX_OPRF;
    const double a = oprf ? oprf_a(e, (double)op->config.oprf_s) : 0;
    const pf_work work = {.groups = {(size_t)op->tiles.features},
                          .bytes = 8.0 * op->tiles.features * op->tiles.head};
    // Without a projection W is the identity; any buffer serves as the argument then.
    return pf_launch(op->pack, work,
                     PF_ARGS(pf_arg_buffer(scratch), pf_arg_buffer(projection ? projection : scratch),
                             pf_arg_int(projection != NULL), pf_arg_float((float)(sqrt(1 - 4 * a) * pow(e, -0.25))),
                             pf_arg_float((float)a)));
}

static pf_status check_call(const pf_favor *op, const pf_buffer *projection)
{
    PF_CHECK((projection != NULL) == op->config.projected, PF_ERROR_USAGE, "FAVOR attention %s a projection",
             op->config.projected ? "needs" : "was made without");
    return PF_OK;
}

pf_status pf_favor_run(pf_favor *op, const pf_favor_forward *call)
{
    PF_TRY(check_call(op, call->projection));
    if (call->sequences->n_sequences == 0) return PF_OK;
    return op->config.causal ? pf_favor_causal_run(op, call) : pf_favor_both_run(op, call);
}

pf_status pf_favor_run_backward(pf_favor *op, const pf_favor_backward *call)
{
    PF_TRY(check_call(op, call->projection));
    PF_CHECK(op->config.trains, PF_ERROR_USAGE, "FAVOR attention was made without its backward pass");
    if (call->sequences->n_sequences == 0) return PF_OK;
    return op->config.causal ? pf_favor_causal_run_backward(op, call) : pf_favor_both_run_backward(op, call);
}
