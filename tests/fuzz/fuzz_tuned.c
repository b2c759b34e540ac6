// Files of tuned choices made from bytes: lines of a good one, changed, doubled and cut. What is accepted
// fits the device and writes and reads back the same.
#include <stdlib.h>
#include <string.h>

#include "fuzz/target.h"
#include "ops/matmul/tuned.h"

static const pf_tuned_device device = {"A", "0", {1, 16}, 512 << 10};
static const char *const lines[] = {"performer tune 1\n",
                                    "device A\n",
                                    "kernels 0\n",
                                    "nt 8 9 tile 1 6 4 1 96 512 gflops 3 built-in 2\n",
                                    "tn 8 9 clblast gflops 3 built-in 2\n",
                                    "nn 1 2 tile 2 12 2 1 96 128 gflops 3 built-in 2\n",
                                    "end 1\n",
                                    "end 2\n",
                                    "\n",
                                    "tile 1 1 1 1 1 16 "};
enum { LINES = sizeof lines / sizeof *lines };

static void check(const pf_tuned *tuned)
{
    pf_text text = {0};
    pf_tuned back;
    for (int i = 0; i < tuned->count; i++)
        if (tuned->entry[i].provider == PF_MATMUL_TILE &&
            !pf_tile_shape_fits(&tuned->entry[i].shape, &device))
            abort();
    if (pf_tuned_write(tuned, &device, &text) != PF_OK) abort();
    if (pf_tuned_parse(text.data, text.length, &device, &back) != PF_OK || back.count != tuned->count)
        abort();
    pf_text_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pf_text text = {0};
    pf_tuned tuned;
    if (size == 0) return 0;
    // Half of the time a good beginning, so that what follows is reached.
    for (size_t i = 0; i < 3 && data[0] % 2; i++) pf_text_add(&text, "%s", lines[i]);
    for (size_t i = 1; i < size && i < 8; i++) pf_text_add(&text, "%s", lines[data[i] % LINES]);
    for (size_t i = 8; i + 1 < size && i < 12 && text.length; i += 2)
        text.data[data[i] % text.length] = (char)data[i + 1];
    char *exact = malloc(text.length ? text.length : 1); // so that reading past the end is seen
    if (text.length) memcpy(exact, text.data, text.length);
    if (pf_tuned_parse(exact, text.length, &device, &tuned) == PF_OK) check(&tuned);
    free(exact);
    pf_text_free(&text);
    return 0;
}
