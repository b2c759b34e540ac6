// Runs a fuzz target over pseudo-random inputs, the same in every run: a quick guard for every test
// run, not a search.
#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"
#include "fuzz/target.h"

int main(int count, char **arguments)
{
    enum { LONGEST = 200 };
    const int inputs = count > 1 ? atoi(arguments[1]) : 20000;
    for (int i = 0; i < inputs; i++) {
        const uint64_t step = (uint64_t)i;
        const size_t size = (size_t)pf_random_below(LONGEST, 1, PF_RANDOM_TEST, step, 1000);
        uint8_t *data = malloc(size ? size : 1); // exact, so that reading past the end is seen
        for (size_t j = 0; j < size; j++) data[j] = (uint8_t)pf_random_word(1, PF_RANDOM_TEST, step, j);
        LLVMFuzzerTestOneInput(data, size);
        free(data);
    }
    printf("1..1\nok 1 - %d inputs\n", inputs);
    return 0;
}
