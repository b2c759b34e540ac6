// Letters and tokens. See alphabet.h.
#include "data/alphabet.h"

static const char letters[] = "ACDEFGHIKLMNPQRSTVWYBOUXZ...*";

// Tokens of 'A' .. 'Z'; J is no letter of this alphabet.
static const uint8_t tokens[26] = {
    0,  20, 1,  2,  3,  4,  5,  6,  7,  PF_NO_TOKEN, 8,  9,  10, // A .. M
    11, 21, 12, 13, 14, 15, 16, 22, 17, 18,          23, 19, 24, // N .. Z
};

uint8_t pf_alphabet_token(char letter)
{
    if (letter == '*') return PF_TOKEN_MASK;
    return letter >= 'A' && letter <= 'Z' ? tokens[letter - 'A'] : PF_NO_TOKEN;
}

char pf_alphabet_letter(int token)
{
    return token >= 0 && token < PF_ALPHABET_SIZE ? letters[token] : '.';
}

void pf_alphabet_encode(uint8_t *token, const char *letter, size_t length)
{
    for (size_t i = 0; i < length; i++) token[i] = pf_alphabet_token(letter[i]);
}

void pf_alphabet_window(int32_t *token, const uint8_t *residue, uint64_t n_residues, uint64_t first,
                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const uint64_t at = first + i; // 0: begin, 1 .. n_residues: residues, then end
        token[i] = at == 0 ? PF_TOKEN_BEGIN : at <= n_residues ? residue[at - 1] : PF_TOKEN_END;
    }
}
