// Lists the kernels that models build on a GPU, by building models on the recorder: every feature map, both
// directions, both kinds of attention, training and use. Only what src/ops itself asks for is listed; nothing
// here knows a constant.
//
// programs FOLDER    writes the kernel texts to FOLDER and a line `file TAB options TAB kernel` each to
// standard output
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/performer.h"
#include "ops/matmul/matmul.h"
#include "ops/pool.h"
#include "ops/prefix_sum.h"
#include "compile/recorder.h"
#include "train/trainer.h"

enum { ROWS = 96, SEQUENCES = 3, MOST_SETTINGS = 8 };

static void must(pf_status status)
{
    if (status == PF_OK) return;
    fprintf(stderr, "programs: %s\n", pf_error_message());
    exit(EXIT_FAILURE);
}

static pf_device *device;

static const pf_batch *three_sequences(void)
{
    static int32_t token[ROWS], target[ROWS];
    static const int32_t start[SEQUENCES + 1] = {0, 40, 41, ROWS};
    static const uint64_t number[SEQUENCES] = {0, 1, 2};
    static pf_batch batch = {.n_sequences = SEQUENCES,
                             .n_rows = ROWS,
                             .n_targets = ROWS,
                             .longest = 55,
                             .start = start,
                             .token = token,
                             .target = target,
                             .number = number};
    return &batch;
}

// A step of training; then the same model in use.
static void train(const struct pf_config *config)
{
    const pf_model_limits limits = {
        .max_rows = ROWS, .max_sequences = SEQUENCES, .max_length = 64, .training = true};
    pf_model *model = NULL;
    pf_trainer *trainer = NULL;
    pf_trainer_result result;
    must(pf_model_create(device, config, &limits, &model));
    must(pf_trainer_create(model, &trainer));
    const pf_trainer_step_call call = {
        .micro = three_sequences(), .n_micro = 1, .n_targets = ROWS, .step = 1, .learning_rate = 1e-3};
    const pf_status status = pf_trainer_step(trainer, &call, &result);
    if (status != PF_ERROR_NUMERICAL)
        must(status); // nothing was computed: the norm of the gradient has no value
    pf_trainer_free(trainer);
    pf_model_free(model);
}

static void use(const struct pf_config *config)
{
    const pf_model_limits limits = {.max_rows = ROWS,
                                    .max_sequences = SEQUENCES,
                                    .max_length = 64,
                                    .row_losses = true,
                                    .probe = true,
                                    .carry = config->objective == PF_OBJECTIVE_CLM,
                                    .n_captured = 1};
    const pf_pass pass = {.carry = limits.carry};
    static float logits[ROWS * PF_VOCAB_SIZE];
    pf_model *model = NULL;
    must(pf_model_create(device, config, &limits, &model));
    must(pf_model_clear_metrics(model));
    must(pf_model_forward(model, three_sequences(), &pass));
    must(pf_model_loss(model, 1));
    must(pf_model_read_logits(model, logits));
    pf_model_free(model);
}

static void build(const char *const settings[MOST_SETTINGS])
{
    static const char *const sizes[] = {
        "num_hidden_layers=1",        "intermediate_size=128", "max_position_embeddings=64",
        "attention.num_features=256", "hidden_size=128",       "num_attention_heads=2",
        "hidden_dropout=0.1",         "compute.matmul=tile"};
    struct pf_config config;
    pf_config_default(&config);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) must(pf_config_set(&config, sizes[i]));
    for (int i = 0; i < MOST_SETTINGS && settings[i]; i++) must(pf_config_set(&config, settings[i]));
    must(pf_config_finish(&config, PF_CONFIG_USER));
    train(&config);
    use(&config);
}

static const char *const directions[] = {"objective=mlm", "objective=clm"};

// Heads of 64 with 256 features, the sizes that papers use, with every map.
static void build_maps(void)
{
    static const char *const kernels[] = {
#define NAME(constant, name) "attention.kernel=" name,
        PF_FAVOR_KERNEL_TABLE(NAME)
#undef NAME
    };
    for (size_t k = 0; k < sizeof kernels / sizeof *kernels; k++)
        for (int d = 0; d < 2; d++) build((const char *const[MOST_SETTINGS]){kernels[k], directions[d]});
}

// The largest heads, and sizes that fill no tile, with a map of each family.
static void build_sizes(void)
{
    static const char *const kernels[] = {"attention.kernel=relu", "attention.kernel=softmax_hyperbolic"};
    static const char *const widths[] = {"hidden_size=256", "hidden_size=80"};
    static const char *const features[] = {"attention.num_features=256", "attention.num_features=100"};
    for (int k = 0; k < 2; k++)
        for (int w = 0; w < 2; w++)
            for (int d = 0; d < 2; d++)
                build((const char *const[MOST_SETTINGS]){kernels[k], widths[w], features[w], directions[d]});
}

static void build_exact(void)
{
    static const char *const widths[] = {"hidden_size=32",  "hidden_size=64",  "hidden_size=96",
                                         "hidden_size=128", "hidden_size=192", "hidden_size=256"};
    for (size_t w = 0; w < sizeof widths / sizeof *widths; w++)
        build((const char *const[MOST_SETTINGS]){"attention.type=softmax", widths[w]});
}

static void build_rest(void)
{
    build((const char *const[MOST_SETTINGS]){"compute.storage=bf16"});
    build((const char *const[MOST_SETTINGS]){"compute.storage=fp16"});
    build((const char *const[MOST_SETTINGS]){"position_embedding_type=rotary", "attention_bias=true",
                                             "tie_word_embeddings=true", "attention.renormalize=false"});
    build((const char *const[MOST_SETTINGS]){"position_embedding_type=sinusoidal", "hidden_act=relu",
                                             "hidden_dropout=0", "attention.projection=none"});
    build((const char *const[MOST_SETTINGS]){"task.type=regression"});
    for (int large = 0; large < 2; large++)
        build((const char *const[MOST_SETTINGS]){"attention.kernel=softmax", "attention.softmax_epsilon=1e-4",
                                                 large ? "hidden_size=256" : "hidden_size=128"});
    build((const char *const[MOST_SETTINGS]){"position_embedding_type=learned", "hidden_act=gelu_tanh",
                                             "attention.local_heads=1", "attention.window=8"});
}

// What serves models, but is in none that is built above.
static void build_tools(void)
{
    pf_pool *pool = NULL;
    pf_prefix_sum *sum = NULL;
    pf_matmul *clblast = NULL;
    pf_cross_entropy *loss = NULL;
    pf_device_peak peak;
    const float weight[PF_VOCAB_SIZE] = {1};
    must(pf_pool_create(device, &pool));
    must(pf_prefix_sum_create(device, &sum));
    must(pf_matmul_create(device, PF_MATMUL_CLBLAST, &clblast));
    must(pf_cross_entropy_create(device, PF_VOCAB_SIZE, 0, PF_RESIDUE_TOKENS, &loss));
    must(pf_cross_entropy_set_weights(loss, weight));
    must(pf_device_measure_peak(device, &peak));
    pf_cross_entropy_free(loss);
    pf_matmul_free(clblast);
    pf_prefix_sum_free(sum);
    pf_pool_free(pool);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: programs FOLDER\n");
        return EXIT_FAILURE;
    }
    const pf_device_options options = {.cache_directory = "off"};
    must(pf_device_open(&options, &device));
    build_maps();
    build_sizes();
    build_exact();
    build_rest();
    build_tools();
    if (!recorder_write(argv[1])) {
        fprintf(stderr, "programs: cannot write to %s\n", argv[1]);
        return EXIT_FAILURE;
    }
    return recorder_refusals() ? EXIT_FAILURE : EXIT_SUCCESS;
}
