// Embeds the sequences of a FASTA file with a trained model and prints them: id, then the numbers.
//
//   cc embed.c $(pkg-config --cflags --libs performer) -o embed && ./embed MODEL proteins.fasta
#include <performer/embed.h>
#include <stdio.h>

static pf_status print_embeddings(pf_model *model, const char *fasta)
{
    const int width = pf_model_config(model)->hidden_size;
    const pf_embed_options options = {.stream = {.files = &fasta, .n_files = 1}, .pool = PF_POOL_MEAN};
    pf_embed *embed = NULL;
    pf_progress progress;
    pf_status status = pf_embed_open(model, &options, &embed);
    while (status == PF_OK && (status = pf_embed_step(embed, &progress)) == PF_OK) {
        const pf_sequence_result *result; // of the sequences that this step completed
        const size_t count = pf_embed_results(embed, &result);
        for (size_t i = 0; i < count; i++) {
            printf("%s", result[i].id);
            for (int d = 0; d < width; d++) printf("\t%.9g", (double)result[i].values[d]);
            printf("\n");
        }
    }
    pf_embed_close(embed);
    return status == PF_END ? PF_OK : status;
}

int main(int count, char **arguments)
{
    if (count != 3) return fprintf(stderr, "usage: embed MODEL FASTA\n"), 2;
    const int32_t last = -1; // after the final norm
    pf_device *device = NULL;
    pf_model *model = NULL;
    pf_status status = pf_device_open(&(pf_device_options){.selector = "auto"}, &device);
    if (status == PF_OK)
        status = pf_model_open(device, arguments[1], &(pf_model_options){.layers = &last, .n_layers = 1}, &model, NULL);
    if (status == PF_OK) status = print_embeddings(model, arguments[2]);
    if (status != PF_OK) fprintf(stderr, "embed: %s\n", pf_error_message());
    pf_model_close(model);
    pf_device_close(device);
    return status;
}
