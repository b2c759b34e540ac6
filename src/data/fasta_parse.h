// One FASTA record from the bytes of an input: lines, headers, residues. What a good file may hold
// and what is an error is decided here; counting and warning is fasta.c's.
#ifndef PF_DATA_FASTA_PARSE_H
#define PF_DATA_FASTA_PARSE_H

#include "base/text.h"
#include "data/fasta_input.h"

typedef enum pf_line_ends { PF_ENDS_UNKNOWN, PF_ENDS_LF, PF_ENDS_CR } pf_line_ends; // LF: CRLF too

typedef struct pf_fasta_parser {
    pf_fasta_input *input; // not owned
    bool keep_masks;
    uint64_t most_residues;

    uint64_t line, line_start; // the line being read, from 1, and the offset of its first byte
    pf_line_ends ends;
    bool had_header;

    uint64_t header_line; // of the record below
    pf_text id, description;
    pf_text sequence;
    bool is_cut;            // the description is longer than what is kept
    uint64_t pending_stops; // '*' that end the sequence unless a residue follows

    // Counted over the whole input.
    uint64_t lower_case, stops_dropped, replaced, masks;
    uint64_t cut_descriptions, first_cut_line;
} pf_fasta_parser;

// Looks at the first bytes: refuses other formats, skips a byte order mark (*had_mark).
pf_status pf_fasta_parse_start(pf_fasta_parser *parser, bool *had_mark);

// Reads up to the next header or the end; PF_END when no header is left. The sequence may be empty.
// Errors: PF_ERROR_INPUT with "line N: reason" or ":N: reason"; the caller puts the path in front.
pf_status pf_fasta_parse_record(pf_fasta_parser *parser);

void pf_fasta_parse_free(pf_fasta_parser *parser);

#endif
