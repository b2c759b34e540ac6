// Reading substitutions. See mutation.h.
#include "infer/mutation.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "base/text.h"
#include "data/alphabet.h"

static const int64_t most_position = 1000000000000; // far from overflow

// A letter of a residue, in either case.
static uint8_t residue_token(char letter)
{
    const uint8_t token = pf_alphabet_token((char)toupper((unsigned char)letter));
    return token < PF_RESIDUES ? token : PF_NO_TOKEN;
}

// The whole of `text`, [length]: a letter, a number, a letter.
static pf_status split(const char *text, size_t length, pf_substitution *out, int64_t *position)
{
    char number[24] = "", quoted[PF_QUOTE_BYTES];
    const bool has_room = length >= 3 && length - 2 < sizeof number;
    if (has_room) memcpy(number, text + 1, length - 2);
    out->from = length >= 3 ? residue_token(text[0]) : PF_NO_TOKEN;
    out->to = length >= 3 ? residue_token(text[length - 1]) : PF_NO_TOKEN;
    PF_CHECK(
        has_room && out->from != PF_NO_TOKEN && out->to != PF_NO_TOKEN &&
            pf_parse_integer(number, -most_position, most_position, position) == PF_OK,
        PF_ERROR_INPUT,
        "mutation '%s' cannot be read; write the wild type's letter, the position and the new letter, as in "
        "A42G, several joined by colons; insertions and deletions have no score here",
        pf_quote(quoted, text, length));
    return PF_OK;
}

static pf_status check_site(const pf_mutation_context *c, const char *text, size_t length, int64_t position,
                            pf_substitution *out)
{
    char quoted[PF_QUOTE_BYTES], name[PF_QUOTE_BYTES];
    pf_quote(quoted, text, length);
    pf_quote(name, c->name, c->name_length);
    PF_CHECK(position >= c->first_position && (uint64_t)(position - c->first_position) < c->n_residues,
             PF_ERROR_INPUT, "mutation %s: position %lld is not one of %s, which has %lld to %lld", quoted,
             (long long)position, name, (long long)c->first_position,
             (long long)(c->first_position + (int64_t)c->n_residues - 1));
    out->index = (uint64_t)(position - c->first_position);
    const uint8_t there = c->residue[out->index];
    PF_CHECK(there == out->from, PF_ERROR_INPUT,
             "mutation %s: position %lld of %s is %c, not %c; check the numbering and the sequence", quoted,
             (long long)position, name, pf_alphabet_letter(there), pf_alphabet_letter(out->from));
    return PF_OK;
}

pf_status pf_read_substitution(const pf_mutation_context *context, const char **text, pf_substitution *out)
{
    const size_t length = strcspn(*text, ":");
    pf_substitution read = {0};
    int64_t position = 0;
    PF_TRY(split(*text, length, &read, &position));
    PF_TRY(check_site(context, *text, length, position, &read));
    PF_CHECK((*text)[length] == '\0' || (*text)[length + 1] != '\0', PF_ERROR_INPUT,
             "mutation '%s' ends in a colon: another substitution was expected behind it", *text);
    *text += length + ((*text)[length] == ':');
    *out = read;
    return PF_OK;
}
