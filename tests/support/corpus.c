// Corpora for tests. See corpus.h.
#include "support/corpus.h"

#include "base/file.h"
#include "base/random.h"
#include "base/text.h"
#include "support/suite.h"
#include "support/temporary.h"

static pf_corpus *load(const void *text, size_t length)
{
    const char *path = temporary("corpus.fa");
    pf_corpus *corpus = NULL;
    ck_assert_msg(pf_write_file(path, text, length, NULL) == PF_OK, "%s", pf_error_message());
    ck_assert_msg(pf_corpus_load(&path, 1, &corpus) == PF_OK, "%s", pf_error_message());
    return corpus;
}

pf_corpus *test_corpus(const char *fasta)
{
    pf_text text = {0};
    ck_assert_int_eq(pf_text_add(&text, "%s", fasta), PF_OK);
    pf_corpus *corpus = load(text.data, text.length);
    pf_text_free(&text);
    return corpus;
}

pf_corpus *test_random_corpus(size_t count, size_t least, size_t most)
{
    pf_text text = {0};
    for (size_t i = 0; i < count; i++) {
        const uint64_t length = least + pf_random_below(most - least + 1, 0, PF_RANDOM_TEST, i, 0);
        ck_assert_int_eq(pf_text_add(&text, ">s%zu\n", i), PF_OK);
        for (uint64_t r = 0; r < length; r++) {
            const char *letter = "ACDEFGHIKLMNPQRSTVWY" + pf_random_below(20, 0, PF_RANDOM_TEST, i, r + 1);
            ck_assert_int_eq(pf_text_add_bytes(&text, letter, 1), PF_OK);
        }
        ck_assert_int_eq(pf_text_add(&text, "\n"), PF_OK);
    }
    pf_corpus *corpus = load(text.data, text.length);
    pf_text_free(&text);
    return corpus;
}
