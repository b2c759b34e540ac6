// performer embed: embeddings of sequences; can be killed and resumed.
#include <stdlib.h>
#include <string.h>

#include "performer/embed.h"
#include "tools/commands.h"
#include "tools/device.h"
#include "tools/report.h"
#include "tools/stop.h"
#include "tools/stream.h"

typedef struct embed_options {
    pf_common common;
    pf_stream_flags stream;
    const char *output, *pool, *part_format;
    int64_t part_size;
    pf_integers layers;
    bool half, resume;
} embed_options;

#define AT(field) offsetof(embed_options, field)

static const pf_option table[] = {
    {.name = "output",
     .letter = 'o',
     .type = PF_OPTION_TEXT,
     .value = "FILE",
     .at = AT(output),
     .required = true,
     .help = "FILE.npz, .safetensors, .npy (ids in FILE.npy.ids.txt) or .tsv, replaced once all is done"},
    {.name = "pool",
     .type = PF_OPTION_CHOICE,
     .value = "WHAT",
     .choices = "mean|begin|max|none",
     .fallback = "mean",
     .at = AT(pool),
     .help = "mean and max over residues, the row of begin, or a row for each residue"},
    {.name = "layers",
     .type = PF_OPTION_INTEGERS,
     .value = "N,N,...",
     .low = -100000,
     .high = 100000,
     .at = AT(layers),
     .help = "0 the embedding sum, n after n layers, -1 (the default) the last one, after the final norm"},
    {.name = "half",
     .type = PF_OPTION_FLAG,
     .at = AT(half),
     .help = "store the numbers in half precision (fp16): half the size, rounded to 11 bits"},
    {.name = "part-size",
     .type = PF_OPTION_INTEGER,
     .value = "N",
     .low = 1,
     .high = 1000000000,
     .at = AT(part_size),
     .help =
         "FILE is a directory: part-00000, ... of N sequences each, index.tsv that says where each one is, "
         "manifest.json; memory does not grow with the number of sequences"},
    {.name = "part-format",
     .type = PF_OPTION_CHOICE,
     .value = "WHAT",
     .choices = "safetensors|npz|tsv",
     .at = AT(part_format),
     .help = "of the parts; safetensors by default"},
    PF_RESUME_ROW(AT(resume)),
    PF_STREAM_ROWS(AT(stream)),
    {0},
};

static pf_pooling read_pooling(const char *name)
{
    static const char *const names[] = {
        [PF_POOL_MEAN] = "mean", [PF_POOL_BEGIN] = "begin", [PF_POOL_MAX] = "max", [PF_POOL_NONE] = "none"};
    for (int i = 0; i < 4; i++)
        if (!strcmp(names[i], name)) return (pf_pooling)i;
    return PF_POOL_MEAN;
}

static pf_status run_steps(const pf_common *common, pf_embed *embed)
{
    const double began = pf_tool_seconds();
    pf_progress progress;
    pf_status status;
    const char *warning;
    while ((status = pf_embed_step(embed, &progress)) == PF_OK)
        pf_tool_print_progress(common, progress.sequences, progress.tokens, pf_tool_seconds() - began);
    pf_tool_end_progress(common);
    for (size_t i = 0; (warning = pf_embed_warning(embed, i)); i++) pf_warn(common, "%s", warning);
    return status == PF_END ? PF_OK : status;
}

static pf_status open_model(const embed_options *o, pf_device *device, pf_model **model)
{
    static const int32_t last[] = {-1};
    int32_t *layers = calloc((size_t)o->layers.count + 1, sizeof *layers);
    if (!layers) return pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    for (int i = 0; i < o->layers.count; i++) layers[i] = (int32_t)o->layers.item[i];
    const pf_model_options options = {
        .layers = o->layers.count ? layers : last,
        .n_layers = o->layers.count ? o->layers.count : 1,
    };
    const pf_status status = pf_tool_model_open(&o->common, &o->stream, device, options, model);
    free(layers);
    return status;
}

static pf_status write_embeddings(const embed_options *o, pf_device *device)
{
    pf_embed_options options = {.pool = read_pooling(o->pool),
                                .output = o->output,
                                .half = o->half,
                                .resume = o->resume,
                                .stop = pf_tool_catch_stop(),
                                .part_size = o->part_size,
                                .part_format = o->part_format};
    pf_model *model = NULL;
    pf_embed *embed = NULL;
    pf_status status = pf_tool_stream(&o->common, &o->stream, &options.stream);
    if (status == PF_OK) status = open_model(o, device, &model);
    if (status == PF_OK) status = pf_embed_open(model, &options, &embed);
    if (status == PF_OK) status = run_steps(&o->common, embed);
    pf_embed_close(embed);
    pf_model_close(model);
    return status;
}

static pf_status run(void *options)
{
    const embed_options *o = options;
    pf_device *device = NULL;
    if (o->part_format && !o->part_size)
        return pf_tool_fail(PF_ERROR_USAGE,
                            "--part-format is of the parts that --part-size N makes; give that too");
    if (o->resume && pf_stream_is_done(o->output)) pf_tell(&o->common, "%s is there already", o->output);
    const pf_status status = pf_tool_device_open(&o->common, &device);
    if (status != PF_OK) return status;
    return pf_tool_device_close(&o->common, device, write_embeddings(o, device));
}

const pf_command pf_command_embed = {
    .name = "embed",
    .summary = "write embeddings of sequences",
    .operands = "MODEL FASTA...",
    .details =
        "Pooled embeddings are one matrix `embeddings`, a row for each sequence in the order of the input, "
        "beside `ids`: X = numpy.load(\"FILE.npz\")[\"embeddings\"]. With --pool none each sequence has a "
        "tensor "
        "[residues, width] under its id; a repeated id becomes id#2, id#3, and so on. Several --layers add "
        "an "
        "axis (in .tsv a column, counted from 0 in the order given).\n"
        "Finished sequences wait in FILE.partial: a run that was killed goes on with --resume and ends with "
        "the "
        "same bytes. What the numbers were made of stands in FILE.manifest.json: with --resume a file that "
        "is there already "
        "must be of the same model, options and sequences.\n"
        "With --part-size N the output is a directory, for sequences by the million: parts of N sequences, "
        "index.tsv (record, id, length, part, row or tensor) and manifest.json with the SHA-256 of all. "
        "Ids of tensors are unique within a part.",
    .example =
        "performer embed run proteins.fasta -o embeddings.npz\n"
        "performer embed run proteins.fasta.gz -o residues.safetensors --pool none --layers 0,-1 --resume\n"
        "performer embed run proteins.fasta -o part3.npy --shard 3/8 --resume\n"
        "performer embed run millions.fasta.gz -o embeddings --part-size 100000 --half --resume",
    .options = table,
    .options_bytes = sizeof(embed_options),
    .min_operands = 2,
    .max_operands = -1,
    .run = run,
};
