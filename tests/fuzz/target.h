// A fuzz target: any bytes must be survived, and what is said to be true of accepted ones must hold
// (a target aborts where it does not). `random_inputs.c` and `replay.c` run a target without a fuzzer; with one:
//   clang -fsanitize=fuzzer,address,undefined -Isrc -Iinclude -Itests -D_GNU_SOURCE
//         tests/fuzz/fuzz_X.c src/base/*.c src/data/*.c src/store/*.c src/model/{config*,params,presets}.c
//         -ljansson -lnettle -lz -lm
#ifndef TESTS_FUZZ_TARGET_H
#define TESTS_FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
