// The 29 tokens of a protein language model and their letters. "protein-29" in config.json; the
// order is part of the format.
#ifndef PF_DATA_ALPHABET_H
#define PF_DATA_ALPHABET_H

#include <stddef.h>
#include <stdint.h>

enum {
    PF_AMINO_ACIDS = 20, // tokens 0 .. 19: A C D E F G H I K L M N P Q R S T V W Y
    PF_RESIDUES = 25,    // tokens 20 .. 24: B O U X Z
    PF_TOKEN_X = 23,
    PF_TOKEN_BEGIN = 25,
    PF_TOKEN_END = 26,
    PF_TOKEN_PAD = 27,
    PF_TOKEN_MASK = 28,
    PF_ALPHABET_SIZE = 29, // A
    PF_NO_TOKEN = 255,
};

// The token of an upper-case letter ('*': mask), PF_NO_TOKEN for any other byte.
uint8_t pf_alphabet_token(char letter);

// The letter of a token; '*' for mask and '.' for what has no letter.
char pf_alphabet_letter(int token);

// token[i] = the token of letter[i]; the letters are a reader's, so every one of them has a token.
void pf_alphabet_encode(uint8_t *token, const char *letter, size_t length);

// token[0 .. count-1] = tokens first .. first+count-1 of begin, the residues, end.
void pf_alphabet_window(int32_t *token, const uint8_t *residue, uint64_t n_residues, uint64_t first,
                        size_t count);

#endif
