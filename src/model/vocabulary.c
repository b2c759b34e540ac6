// Alphabets of imported models. See vocabulary.h.
#include "model/vocabulary.h"

#include <string.h>

enum { RESIDUES = 25, AMINO_ACIDS = 20, MOST_NAMES = 5 };

static const char letters[] = "ACDEFGHIKLMNPQRSTVWYBOUXZ";

// What vocabularies call the others, in the order of the tokens of batches: ESM, BERT, fairseq.
static const char *const others[][MOST_NAMES] = {
    {"<cls>", "[CLS]", "<s>", "<bos>"},
    {"<eos>", "[SEP]", "</s>", "<sep>"},
    {"<pad>", "[PAD]"},
    {"<mask>", "[MASK]"},
};
static const char *const unknown[MOST_NAMES] = {"<unk>", "[UNK]"};

static int find(const struct pf_config *config, const char *text)
{
    for (int i = 0; i < config->n_tokens; i++)
        if (strcmp(config->token[i], text) == 0) return i;
    return -1;
}

static int find_any(const struct pf_config *config, const char *const *names)
{
    for (int i = 0; i < MOST_NAMES && names[i]; i++)
        if (find(config, names[i]) >= 0) return find(config, names[i]);
    return -1;
}

// The model's number of a token of batches, -1 if it has none.
static int number_of(const struct pf_config *config, int token)
{
    if (token >= RESIDUES) return find_any(config, others[token - RESIDUES]);
    const int number = find(config, (char[]){letters[token], '\0'});
    if (number >= 0 || token < AMINO_ACIDS) return number;
    return find(config, "X") >= 0 ? find(config, "X") : find_any(config, unknown);
}

pf_vocabulary pf_vocabulary_of(const struct pf_config *config)
{
    pf_vocabulary v = {.first_residue = PF_MAX_VOCAB_SIZE};
    for (int t = 0; t < PF_BATCH_TOKENS; t++) {
        v.number[t] = config->alphabet == PF_ALPHABET_TOKENS ? number_of(config, t) : t;
        if (t >= RESIDUES) continue;
        if (v.number[t] < v.first_residue) v.first_residue = v.number[t];
        if (v.number[t] > v.last_residue) v.last_residue = v.number[t];
    }
    return v;
}

pf_status pf_vocabulary_check(const struct pf_config *config, pf_status code)
{
    const bool is_own = config->alphabet == PF_ALPHABET_TOKENS;
    PF_CHECK(is_own || config->n_tokens == 0, code,
             "tokens are listed, but alphabet is protein-29; expected alphabet tokens");
    PF_CHECK(is_own || config->vocab_size == PF_VOCAB_SIZE, code,
             "vocab_size %d, alphabet protein-29 has %d tokens", config->vocab_size, PF_VOCAB_SIZE);
    if (!is_own) return PF_OK;
    PF_CHECK(config->n_tokens == config->vocab_size, code, "vocab_size %d, but tokens lists %d",
             config->vocab_size, config->n_tokens);
    const pf_vocabulary v = pf_vocabulary_of(config);
    for (int t = 0; t < PF_BATCH_TOKENS; t++) {
        const char letter[] = {letters[t < RESIDUES ? t : 0], '\0'};
        const bool is_needed =
            t != PF_BATCH_PAD && (t != PF_BATCH_MASK || config->objective == PF_OBJECTIVE_MLM);
        if (v.number[t] < 0 && !is_needed) continue;
        PF_CHECK(v.number[t] >= 0, code, "tokens: there is no %s",
                 t < RESIDUES ? letter : others[t - RESIDUES][0]);
        // Metrics tell residues from the others by one range.
        PF_CHECK(t < RESIDUES || v.number[t] < v.first_residue || v.number[t] > v.last_residue, code,
                 "tokens: %s stands among the residues, expected before or behind them",
                 config->token[v.number[t]]);
    }
    return PF_OK;
}
