// performer generate: new proteins from a causal model, as FASTA.
#include "performer/generate.h"
#include "performer/fasta.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tools/commands.h"
#include "tools/device.h"
#include "tools/output.h"
#include "tools/report.h"

enum { LINE_LETTERS = 60 };

typedef struct generate_options {
    pf_common common;
    const char *prompt, *state, *save_state, *output;
    int64_t count, max_length;
    double temperature, top_p;
    pf_texts settings;
} generate_options;

#define AT(field) offsetof(generate_options, field)

static const pf_option table[] = {
    {.name = "prompt",
     .type = PF_OPTION_TEXT,
     .value = "SEQ",
     .at = AT(prompt),
     .help = "residues that every sequence begins with; @FILE: those of the sequence in a FASTA file "
             "(@-: standard input), of any length"},
    {.name = "state",
     .type = PF_OPTION_TEXT,
     .value = "FILE",
     .at = AT(state),
     .help =
         "begin with what --save-state wrote, as if its prompt were read again; --prompt comes behind it"},
    {.name = "save-state",
     .type = PF_OPTION_TEXT,
     .value = "FILE",
     .at = AT(save_state),
     .help = "write what the model knows behind the prompt to FILE (.safetensors); -n 0: only this"},
    {.name = "number",
     .letter = 'n',
     .type = PF_OPTION_INTEGER,
     .value = "N",
     .low = 0,
     .high = 1e15,
     .fallback = "1",
     .at = AT(count),
     .help = "sequences to make"},
    {.name = "temperature",
     .type = PF_OPTION_NUMBER,
     .value = "T",
     .low = 0,
     .high = 1e30,
     .fallback = "1",
     .at = AT(temperature),
     .help = "below 1 prefers likely residues, 0 takes the likeliest, always"},
    {.name = "top-p",
     .type = PF_OPTION_NUMBER,
     .value = "P",
     .low = 1e-30,
     .high = 1,
     .fallback = "1",
     .at = AT(top_p),
     .help = "draw among the likeliest tokens that together have probability P"},
    {.name = "max-length",
     .type = PF_OPTION_INTEGER,
     .value = "L",
     .low = 1,
     .high = INT32_MAX,
     .at = AT(max_length),
     .help = "residues at most, prompt included; by default what the model takes"},
    {.name = "set",
     .type = PF_OPTION_TEXTS,
     .value = "KEY=VALUE",
     .at = AT(settings),
     .help = "set a compute key, as in --set compute.matmul=tile"},
    PF_OUTPUT_ROW(AT(output)),
    {0},
};

static void write_record(pf_output *out, uint64_t number, const char *sequence, size_t length)
{
    pf_output_print(out, ">generated_%" PRIu64, number);
    for (size_t i = 0; i < length; i += LINE_LETTERS) {
        const size_t left = length - i;
        pf_output_write(out, "\n", 1);
        pf_output_write(out, sequence + i, left < LINE_LETTERS ? left : LINE_LETTERS);
    }
    pf_output_write(out, "\n", 1);
}

static double now_s(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static pf_status write_all(const generate_options *o, pf_generator *generator, pf_output *out)
{
    const char *sequence;
    size_t length;
    pf_status status;
    const double start = now_s();
    for (uint64_t number = 1; (status = pf_generator_next(generator, &sequence, &length)) == PF_OK;
         number++) {
        write_record(out, number, sequence, length);
        if (pf_output_failed(out)) break; // the commit says why
    }
    if (status != PF_OK && status != PF_END) return status;
    const double tokens = (double)pf_generator_tokens(generator), seconds = now_s() - start;
    pf_tell(&o->common, "%.0f tokens drawn, %.1f tokens/s", tokens, tokens / seconds);
    return PF_OK;
}

static char *copy(const char *text, size_t length)
{
    char *made = malloc(length + 1);
    if (made) memcpy(made, text, length);
    if (made) made[length] = '\0';
    return made;
}

// The one sequence of a FASTA file.
static pf_status read_file(const generate_options *o, const char *path, char **out)
{
    pf_fasta *fasta = NULL;
    pf_fasta_record record;
    pf_status status = pf_fasta_open(path, NULL, &fasta);
    if (status != PF_OK) return status;
    status = pf_fasta_next(fasta, &record);
    if (status == PF_OK && !(*out = copy(record.sequence, record.length)))
        status = pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    if (status == PF_OK) {
        status = pf_fasta_next(fasta, &record);
        if (status == PF_OK)
            status = pf_tool_fail(PF_ERROR_INPUT, "%s: more than one sequence; a prompt is one", path);
        else if (status == PF_END)
            status = PF_OK;
    }
    for (size_t i = 0; i < pf_fasta_warning_count(fasta); i++)
        pf_warn(&o->common, "%s", pf_fasta_get_warning(fasta, i));
    pf_fasta_close(fasta);
    return status;
}

static pf_status run_generator(const generate_options *o, pf_generator *generator)
{
    pf_output *out = NULL;
    pf_status status = PF_OK;
    if (o->save_state) status = pf_generator_save(generator, o->save_state);
    if (status != PF_OK || o->count == 0) return status;
    status = pf_output_open(o->output, &out);
    if (status == PF_OK) status = write_all(o, generator, out);
    if (status == PF_OK) return pf_output_commit(out);
    pf_output_discard(out);
    return status;
}

static pf_status generate(const generate_options *o, pf_model *model, const char *prompt)
{
    pf_generate_options options;
    pf_generator *generator = NULL;
    pf_generate_default(&options);
    options.prompt = prompt;
    options.state = o->state;
    options.temperature = o->temperature;
    options.top_p = o->top_p;
    options.max_length = (int32_t)o->max_length;
    options.seed = (uint64_t)o->common.seed;
    options.count = (uint64_t)o->count;
    pf_status status = pf_generator_create(model, &options, &generator);
    if (status == PF_OK) status = run_generator(o, generator);
    pf_generator_free(generator);
    return status;
}

static pf_status open_model(const generate_options *o, pf_device *device, pf_model **out)
{
    char *warnings = NULL;
    pf_model_options options;
    pf_generate_model_options(&options);
    const int count = options.n_settings + o->settings.count;
    const char **settings = malloc((size_t)count * sizeof *settings);
    if (!settings) return pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    for (int i = 0; i < count; i++)
        settings[i] = i < options.n_settings ? options.settings[i] : o->settings.item[i - options.n_settings];
    options.settings = settings;
    options.n_settings = count;
    const pf_status status = pf_model_open(device, o->common.operands[0], &options, out, &warnings);
    free(settings);
    for (char *line = warnings, *end; line && *line; line = end + (*end != '\0')) {
        end = line + strcspn(line, "\n");
        pf_warn(&o->common, "%.*s", (int)(end - line), line);
    }
    pf_release(warnings);
    return status;
}

static pf_status run_on_device(const generate_options *o, const char *prompt)
{
    pf_device *device = NULL;
    pf_model *model = NULL;
    pf_status status = pf_tool_device_open(&o->common, &device);
    if (status != PF_OK) return status;
    status = open_model(o, device, &model);
    if (status == PF_OK) status = generate(o, model, prompt);
    pf_model_close(model);
    return pf_tool_device_close(&o->common, device, status);
}

static pf_status run(void *given)
{
    const generate_options *o = given;
    const bool is_file = o->prompt && o->prompt[0] == '@';
    char *prompt = NULL;
    pf_status status = PF_OK;
    if (o->count == 0 && !o->save_state)
        return pf_tool_fail(PF_ERROR_USAGE,
                            "-n: '0': nothing to make; only --save-state goes without sequences");
    if (is_file) status = read_file(o, o->prompt + 1, &prompt);
    if (status == PF_OK) status = run_on_device(o, is_file ? prompt : o->prompt);
    free(prompt);
    return status;
}

const pf_command pf_command_generate = {
    .name = "generate",
    .summary = "make new protein sequences with a causal model",
    .operands = "MODEL",
    .details =
        "MODEL must have objective clm. Sequences are drawn residue by residue until the model draws "
        "the end,\n"
        "or --max-length; the same seed gives the same sequences, and the first N of a larger -n.\n"
        "A long prompt is read in chunks, in memory that does not grow with it (but for layers of exact\n"
        "attention); --save-state keeps what was read, and --state goes on from there with the same bits.",
    .example = "performer generate run -n 10 --temperature 0.8 --top-p 0.95 -o new.fasta\n"
               "performer generate run --prompt MKTAYIAK --seed 7\n"
               "performer generate run --prompt @titin.fasta --save-state titin.safetensors -n 0\n"
               "performer generate run --state titin.safetensors -n 10",
    .options = table,
    .options_bytes = sizeof(generate_options),
    .min_operands = 1,
    .max_operands = 1,
    .run = run,
};
