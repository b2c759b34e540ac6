// Text: a growing string, numbers read strictly, and quoting of what files and users wrote.
#ifndef PF_BASE_TEXT_H
#define PF_BASE_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum { PF_QUOTE_BYTES = 400 };

// `length` bytes of foreign text made fit for a message: control characters, quotes' backslashes
// and bytes above 0x7e as \xHH, cut after 80 bytes with "...". Returns `out`.
const char *pf_quote(char out[PF_QUOTE_BYTES], const char *text, size_t length);

// Decimal integer, the whole of `text`, within low .. high. No blanks, no "+". Errors:
// PF_ERROR_USAGE with the text quoted and what is allowed; *out untouched.
pf_status pf_parse_integer(const char *text, int64_t low, int64_t high, int64_t *out);

// Finite decimal number, the whole of `text`, within low .. high, whatever the locale.
pf_status pf_parse_number(const char *text, double low, double high, double *out);

// Bytes of the UTF-8 character at `text`, of which `left` bytes (at least 1) are there; 0 where there is none.
size_t pf_utf8_length(const unsigned char *text, size_t left);

// A growing string; zero-initialise it, release it with pf_text_free.
typedef struct pf_text {
    char *data; // NUL-terminated once anything was added, else NULL
    size_t length, capacity;
} pf_text;

pf_status pf_text_add(pf_text *text, const char *format, ...) PF_PRINTF(2, 3);
// The shortest decimal that reads back as the same bits, "." whatever the locale; JSON's null where
// the number is not finite. The float form is shorter where the number came from a float.
pf_status pf_text_add_number(pf_text *text, double value);
pf_status pf_text_add_float(pf_text *text, float value);
// `length` bytes as a JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD.
pf_status pf_text_add_json(pf_text *text, const char *bytes, size_t length);
pf_status pf_text_add_bytes(pf_text *text, const void *bytes, size_t count);
// A path for a message: all of it, as its end matters most; UTF-8 stays readable, other bytes as in
// pf_quote.
pf_status pf_text_add_path(pf_text *text, const char *path);
pf_status pf_text_add_shown(pf_text *text, const char *bytes, size_t length); // the same for any text: TSV fields
void pf_text_free(pf_text *text);

#endif
