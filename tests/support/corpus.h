// Small corpora for tests: made of text or of random residues.
#ifndef TESTS_SUPPORT_CORPUS_H
#define TESTS_SUPPORT_CORPUS_H

#include "data/corpus.h"

// The corpus of this FASTA text; by way of a file in the temporary directory.
pf_corpus *test_corpus(const char *fasta);

// `count` sequences of `least` to `most` residues each, from a stream of PF_RANDOM_TEST.
pf_corpus *test_random_corpus(size_t count, size_t least, size_t most);

#endif
