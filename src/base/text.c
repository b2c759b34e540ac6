// Growing strings, strict numbers, quoting. See text.h.
#include "base/text.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

// Writes `byte` as it is or as \xHH; returns how many characters that took.
static size_t escape(char out[4], unsigned char byte)
{
    static const char hex[] = "0123456789abcdef";
    out[0] = (char)byte;
    if (byte >= 0x20 && byte <= 0x7e && byte != '\\') return 1;
    out[0] = '\\';
    out[1] = 'x';
    out[2] = hex[byte >> 4];
    out[3] = hex[byte & 15];
    return 4;
}

const char *pf_quote(char out[PF_QUOTE_BYTES], const char *text, size_t length)
{
    enum { SHOWN = 80 };
    size_t at = 0;
    for (size_t i = 0; i < length && i < SHOWN; i++) at += escape(out + at, (unsigned char)text[i]);
    memcpy(out + at, length > SHOWN ? "..." : "", length > SHOWN ? 4 : 1);
    return out;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

// Behind the digits at `text`; `text` itself where there are none.
static const char *skip_digits(const char *text)
{
    while (is_digit(*text)) text++;
    return text;
}

static bool is_integer(const char *text)
{
    text += *text == '-';
    return is_digit(*text) && *skip_digits(text) == '\0';
}

// -?(digits[.digits*] | .digits)([eE][+-]?digits)? and nothing else: strtod alone would also take
// blanks, hexadecimal, "inf" and "nan".
static bool is_number(const char *text)
{
    text += *text == '-';
    const char *rest = skip_digits(text);
    size_t digits = (size_t)(rest - text);
    if (*rest == '.') {
        const char *fraction = rest + 1;
        rest = skip_digits(fraction);
        digits += (size_t)(rest - fraction);
    }
    if (digits == 0) return false;
    if (*rest == 'e' || *rest == 'E') {
        rest++;
        rest += *rest == '+' || *rest == '-';
        if (!is_digit(*rest)) return false;
        rest = skip_digits(rest);
    }
    return *rest == '\0';
}

pf_status pf_parse_integer(const char *text, int64_t low, int64_t high, int64_t *out)
{
    char quoted[PF_QUOTE_BYTES];
    errno = 0;
    const long long value = is_integer(text) ? strtoll(text, NULL, 10) : 0;
    PF_CHECK(is_integer(text) && errno == 0 && value >= low && value <= high, PF_ERROR_USAGE,
             "'%s': expected a whole number from %lld to %lld", pf_quote(quoted, text, strlen(text)),
             (long long)low, (long long)high);
    *out = value;
    return PF_OK;
}

pf_status pf_parse_number(const char *text, double low, double high, double *out)
{
    char quoted[PF_QUOTE_BYTES];
    double value = NAN;
    if (is_number(text)) {
        const locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
        PF_CHECK(c_locale != (locale_t)0, PF_ERROR_FAILED, "no memory for the \"C\" locale");
        value = strtod_l(text, NULL, c_locale);
        freelocale(c_locale);
    }
    PF_CHECK(isfinite(value) && value >= low && value <= high, PF_ERROR_USAGE,
             "'%s': expected a number from %g to %g", pf_quote(quoted, text, strlen(text)), low, high);
    *out = value;
    return PF_OK;
}

pf_status pf_text_add(pf_text *text, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    const int needed = vsnprintf(NULL, 0, format, args);
    va_end(args);
    pf_status status = needed < 0 ? pf_fail(PF_ERROR_FAILED, "text cannot be formatted") : PF_OK;
    if (status == PF_OK)
        status = pf_grow((void **)&text->data, &text->capacity, text->length + (size_t)needed + 1, 1, "text");
    if (status == PF_OK) {
        vsnprintf(text->data + text->length, (size_t)needed + 1, format, again);
        text->length += (size_t)needed;
    }
    va_end(again);
    return status;
}

pf_status pf_text_add_bytes(pf_text *text, const void *bytes, size_t count)
{
    PF_TRY(pf_grow((void **)&text->data, &text->capacity, text->length + count + 1, 1, "text"));
    if (count) memcpy(text->data + text->length, bytes, count);
    text->length += count;
    text->data[text->length] = '\0';
    return PF_OK;
}

static pf_status add_shortest(pf_text *text, double value, bool is_float)
{
    if (!isfinite(value)) return pf_text_add(text, "null");
    const int most = is_float ? 9 : 17;
    char digits[40];
    for (int n = 1; n <= most; n++) {
        snprintf(digits, sizeof digits, "%.*g", n, value);
        const double back = is_float ? (double)strtof(digits, NULL) : strtod(digits, NULL);
        if (back == value) break;
    }
    const char point = *localeconv()->decimal_point;
    for (char *c = digits; *c; c++)
        if (*c == point) *c = '.';
    return pf_text_add(text, "%s", digits);
}

pf_status pf_text_add_number(pf_text *text, double value)
{
    return add_shortest(text, value, false);
}

pf_status pf_text_add_float(pf_text *text, float value)
{
    return add_shortest(text, (double)value, true);
}

// RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
size_t pf_utf8_length(const unsigned char *text, size_t left)
{
    if (text[0] < 0x80) return 1;
    const size_t length = text[0] < 0xC2 ? 0 : text[0] < 0xE0 ? 2 : text[0] < 0xF0 ? 3 : text[0] < 0xF5 ? 4 : 0;
    if (length == 0 || length > left) return 0;
    for (size_t i = 1; i < length; i++)
        if ((text[i] & 0xC0) != 0x80) return 0;
    if (text[0] == 0xE0 && text[1] < 0xA0) return 0;
    if (text[0] == 0xED && text[1] >= 0xA0) return 0;
    if (text[0] == 0xF0 && text[1] < 0x90) return 0;
    if (text[0] == 0xF4 && text[1] >= 0x90) return 0;
    return length;
}

pf_status pf_text_add_json(pf_text *text, const char *bytes, size_t length)
{
    PF_TRY(pf_text_add(text, "\""));
    for (size_t i = 0; i < length;) {
        const unsigned char byte = (unsigned char)bytes[i];
        const size_t taken = pf_utf8_length((const unsigned char *)bytes + i, length - i);
        if (taken == 0) {
            PF_TRY(pf_text_add(text, "\\ufffd"));
        } else if (byte == '"' || byte == '\\') {
            PF_TRY(pf_text_add(text, "\\%c", byte));
        } else if (byte < 0x20 || byte == 0x7f) {
            PF_TRY(pf_text_add(text, "\\u%04x", (unsigned)byte));
        } else {
            PF_TRY(pf_text_add_bytes(text, bytes + i, taken));
        }
        i += taken ? taken : 1;
    }
    return pf_text_add(text, "\"");
}

pf_status pf_text_add_path(pf_text *text, const char *path)
{
    return pf_text_add_shown(text, path, strlen(path));
}

pf_status pf_text_add_shown(pf_text *text, const char *bytes, size_t length)
{
    char shown[4];
    PF_TRY(pf_text_add_bytes(text, "", 0));
    for (size_t i = 0; i < length;) {
        const unsigned char *at = (const unsigned char *)bytes + i;
        const size_t taken = pf_utf8_length(at, length - i);
        const bool is_control = taken > 1 && at[0] == 0xC2 && at[1] < 0xA0; // U+0080 .. U+009F
        if (taken > 1 && !is_control)
            PF_TRY(pf_text_add_bytes(text, at, taken));
        else
            PF_TRY(pf_text_add_bytes(text, shown, escape(shown, *at)));
        i += taken > 1 && !is_control ? taken : 1;
    }
    return PF_OK;
}

void pf_text_free(pf_text *text)
{
    pf_free(text->data);
    *text = (pf_text){0};
}
