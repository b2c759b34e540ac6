// performer attention-map: what the heads of a model attend to, and what that says about amino acids.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "performer/similarity.h"
#include "tools/commands.h"
#include "tools/device.h"
#include "tools/map_pictures.h"
#include "tools/output.h"
#include "tools/report.h"
#include "tools/similarity_report.h"
#include "tools/stream.h"

typedef struct map_options {
    pf_common common;
    pf_stream_flags stream;
    pf_integers layers, heads;
    pf_texts ids;
    int64_t sequences, draws;
    const char *similarity, *output;
} map_options;

#define AT(field) offsetof(map_options, field)

static const pf_option table[] = {
    {.name = "output",
     .letter = 'o',
     .type = PF_OPTION_TEXT,
     .value = "DIR",
     .at = AT(output),
     .required = true,
     .help = "new or empty directory for maps, pictures and tables"},
    {.name = "layers",
     .type = PF_OPTION_INTEGERS,
     .value = "N,N,...",
     .low = -100000,
     .high = 100000,
     .at = AT(layers),
     .help = "layers from 1, or from the end: -1 is the last; all by default"},
    {.name = "heads",
     .type = PF_OPTION_INTEGERS,
     .value = "N,N,...",
     .low = -100000,
     .high = 100000,
     .at = AT(heads),
     .help = "heads from 1; all by default"},
    {.name = "sequences",
     .type = PF_OPTION_INTEGER,
     .value = "N",
     .low = 0,
     .high = INT32_MAX,
     .fallback = "1",
     .at = AT(sequences),
     .help = "maps of the first N sequences; 0: no maps, only --similarity"},
    {.name = "id",
     .type = PF_OPTION_TEXTS,
     .value = "ID",
     .at = AT(ids),
     .help = "maps of the sequence with this id"},
    {.name = "draws",
     .type = PF_OPTION_INTEGER,
     .value = "N",
     .low = 2,
     .high = 100000,
     .at = AT(draws),
     .help = "maps as means over N fresh random projections, with their standard deviations; by default the "
             "model's own projection"},
    {.name = "similarity",
     .type = PF_OPTION_CHOICE,
     .value = "MATRIX",
     .choices = "BLOSUM62",
     .at = AT(similarity),
     .help = "similarity of amino acids to the attention over all sequences, compared with BLOSUM62"},
    PF_STREAM_ROWS(AT(stream)),
    {0},
};

static pf_status copy_numbers(const pf_integers *from, int32_t **out)
{
    *out = calloc((size_t)from->count + 1, sizeof **out);
    if (!*out) return pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    for (int i = 0; i < from->count; i++) (*out)[i] = (int32_t)from->item[i];
    return PF_OK;
}

typedef struct job {
    const map_options *options;
    pf_model *model;
    pf_stream_options stream;
    pf_head_choice choice;
    const char *directory; // where files are made
} job;

// ---- maps ----

static pf_status list_map(pf_output *index, const pf_attention_map *map)
{
    pf_output_print(index, "%s\t", map->name);
    pf_output_plain_text(index, map->id, map->id_length);
    pf_output_print(index, "\t%" PRIu64 "\t%d\n", map->n_residues, map->length);
    return PF_OK;
}

static pf_status take_maps(const job *j, pf_attention_maps *maps, pf_map_pictures *pictures, pf_output *index)
{
    const pf_common *common = &j->options->common;
    const double began = pf_tool_seconds();
    pf_attention_map map;
    uint64_t sequences = 0, tokens = 0;
    pf_status status;
    while ((status = pf_attention_maps_next(maps, &map)) == PF_OK) {
        status = pf_map_pictures_add(pictures, &map);
        if (status != PF_OK) break;
        if (map.is_first) list_map(index, &map);
        if (!map.is_last) continue;
        tokens += (uint64_t)map.length;
        pf_tool_print_progress(common, ++sequences, tokens, pf_tool_seconds() - began);
    }
    pf_tool_end_progress(common);
    const char *warning;
    for (size_t i = 0; (warning = pf_attention_maps_warning(maps, i)); i++) pf_warn(common, "%s", warning);
    return status == PF_END ? PF_OK : status;
}

static pf_status write_maps(const job *j)
{
    const map_options *o = j->options;
    const struct pf_config *config = pf_model_config(j->model);
    const pf_attention_maps_options options = {
        .stream = j->stream,
        .choice = j->choice,
        .ids = (const char *const *)o->ids.item,
        .n_ids = o->ids.count,
        .n_sequences = (int32_t)o->sequences,
        .draws = (int32_t)o->draws,
        .seed = (uint64_t)o->common.seed,
        .directory = j->directory,
    };
    const int n_layers = j->choice.n_layers ? j->choice.n_layers : config->num_hidden_layers;
    const int n_heads = j->choice.n_heads ? j->choice.n_heads : config->num_attention_heads;
    pf_attention_maps *maps = NULL;
    pf_map_pictures *pictures = NULL;
    pf_output *index = NULL;
    char path[4096];
    snprintf(path, sizeof path, "%s/maps.tsv", j->directory);
    pf_status status = pf_attention_maps_open(j->model, &options, &maps);
    if (status == PF_OK) status = pf_map_pictures_create(j->directory, n_layers, n_heads, &pictures);
    if (status == PF_OK) status = pf_output_open(path, &index);
    if (status == PF_OK) {
        pf_output_print(index, "file\tid\tresidues\ttokens\n");
        status = take_maps(j, maps, pictures, index);
    }
    if (status == PF_OK)
        status = pf_output_commit(index);
    else
        pf_output_discard(index);
    pf_map_pictures_free(pictures);
    pf_attention_maps_close(maps);
    return status;
}

// ---- similarity ----

static pf_status write_similarity(const job *j)
{
    const pf_common *common = &j->options->common;
    const pf_similarity_options options = {.stream = j->stream, .choice = j->choice};
    const double began = pf_tool_seconds();
    pf_similarity *similarity = NULL;
    pf_similarity_result result;
    uint64_t sequences, tokens;
    const char *warning;
    pf_status status = pf_similarity_open(j->model, &options, &similarity);
    if (status != PF_OK) return status;
    while ((status = pf_similarity_step(similarity, &sequences, &tokens)) == PF_OK)
        pf_tool_print_progress(common, sequences, tokens, pf_tool_seconds() - began);
    pf_tool_end_progress(common);
    for (size_t i = 0; (warning = pf_similarity_warning(similarity, i)); i++) pf_warn(common, "%s", warning);
    if (status == PF_END) {
        status = pf_similarity_get(similarity, &result);
        if (status == PF_OK) status = pf_similarity_report(common, j->directory, &result);
    }
    pf_similarity_close(similarity);
    return status;
}

// ---- the command ----

static bool wants_maps(const map_options *o)
{
    return o->sequences > 0 || o->ids.count > 0;
}

static pf_status check(const map_options *o)
{
    const pf_common *common = &o->common;
    if (!wants_maps(o) && !o->similarity)
        return pf_tool_fail(PF_ERROR_USAGE,
                            "attention-map: --sequences 0 leaves nothing to do without --similarity");
    for (int i = 1; wants_maps(o) && o->similarity && i < common->n_operands; i++)
        if (!strcmp(common->operands[i], "-"))
            return pf_tool_fail(
                PF_ERROR_USAGE,
                "attention-map: maps and --similarity read the sequences twice, standard input can be "
                "read once; give a file, or --sequences 0");
    return pf_output_directory_check(o->output);
}

static pf_status compute(job *j, pf_device *device)
{
    const map_options *o = j->options;
    pf_output_directory *directory = NULL;
    pf_status status = pf_tool_stream(&o->common, &o->stream, &j->stream);
    // A map is of one sequence, and the model grows with it; room for many is for the set of --similarity.
    pf_stream_flags flags = o->stream;
    if (!o->similarity && flags.batch_tokens == 0) flags.batch_tokens = 512;
    if (status == PF_OK)
        status = pf_tool_model_open(&o->common, &flags, device, (pf_model_options){.probe = true}, &j->model);
    if (status == PF_OK) status = pf_output_directory_open(o->output, &directory);
    if (status == PF_OK) j->directory = pf_output_staging(directory);
    if (status == PF_OK && wants_maps(o)) status = write_maps(j);
    if (status == PF_OK && o->similarity) status = write_similarity(j);
    if (status == PF_OK)
        status = pf_output_directory_commit(directory);
    else
        pf_output_directory_discard(directory);
    pf_model_close(j->model);
    return status;
}

static pf_status run(void *given)
{
    const map_options *o = given;
    int32_t *layers = NULL, *heads = NULL;
    pf_device *device = NULL;
    pf_status status = check(o);
    if (status == PF_OK) status = copy_numbers(&o->layers, &layers);
    if (status == PF_OK) status = copy_numbers(&o->heads, &heads);
    if (status == PF_OK) status = pf_tool_device_open(&o->common, &device);
    if (status == PF_OK) {
        job j = {.options = o, .choice = {layers, o->layers.count, heads, o->heads.count}};
        status = pf_tool_device_close(&o->common, device, compute(&j, device));
    }
    free(layers);
    free(heads);
    return status;
}

const pf_command pf_command_attention_map = {
    .name = "attention-map",
    .summary = "show what the heads of a model attend to",
    .operands = "MODEL FASTA...",
    .details =
        "DIR/N-ID.npy is the N-th sequence's weights [layers, heads, tokens, tokens], float32, begin and end "
        "among the tokens; row i says what token i attends to. N-ID.svg shows all its maps; up to 16 have a "
        "picture each (heads/N-ID.layerL.headH.svg). With --draws N-ID.npy holds means over fresh "
        "projections, "
        "queries and keys as the model has them, and N-ID.deviation.npy the standard deviations. maps.tsv "
        "lists "
        "the sequences.\n"
        "--similarity measures over all sequences how alike amino acids are to attention: `received`, the "
        "correlation over heads of the attention that two amino acids get (Vig et al. 2020); `given`, the "
        "correlation of what they attend to; `pairs`, what they give to each other over chance, BLOSUM's "
        "formula. "
        "It prints how each agrees with BLOSUM62 over the 190 pairs of different amino acids (p: how often "
        "it "
        "would by chance, were the letters shuffled), and writes similarity.tsv, a matrix of each "
        "(similarity-given.tsv) and similarity.svg.",
    .example = "performer attention-map run proteins.fasta -o maps\n"
               "performer attention-map run proteins.fasta --id P00974 --layers 1,-1 --draws 20 -o bpti\n"
               "performer attention-map run proteins.fasta --similarity BLOSUM62 --sequences 0 -o similarity",
    .options = table,
    .options_bytes = sizeof(map_options),
    .min_operands = 2,
    .max_operands = -1,
    .run = run,
};
