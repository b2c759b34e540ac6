// Result files: written beside their place and renamed; stdout, whose errors count at the end.
#include "tools/output.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct pf_output {
    FILE *file;
    char *path;      // what messages say
    char *target;    // the file to replace, links followed; NULL when written in place
    char *temporary; // beside it
    int error;       // the first errno
};

static pf_status system_error(const char *path, int error)
{
    return pf_tool_fail(PF_ERROR_FAILED, "%s: %s", path, strerror(error));
}

// A temporary file beside `target` with the rights that a new or the old file has.
static pf_status open_beside(pf_output *output)
{
    struct stat old;
    const mode_t mask = umask(0);
    umask(mask);
    const mode_t mode = stat(output->target, &old) == 0 ? old.st_mode & 07777 : 0666 & ~mask;
    if (asprintf(&output->temporary, "%s.partial-XXXXXX", output->target) < 0) {
        output->temporary = NULL;
        return system_error(output->path, ENOMEM);
    }
    const int descriptor = mkstemp(output->temporary);
    if (descriptor < 0) {
        const pf_status status = system_error(output->path, errno);
        free(output->temporary);
        output->temporary = NULL;
        return status;
    }
    fchmod(descriptor, mode);
    output->file = fdopen(descriptor, "wb");
    return output->file ? PF_OK : system_error(output->path, errno);
}

static pf_status open_file(pf_output *output)
{
    struct stat there;
    const bool exists = stat(output->path, &there) == 0;
    if (exists && S_ISDIR(there.st_mode)) return system_error(output->path, EISDIR);
    if (exists && !S_ISREG(there.st_mode)) {
        output->file = fopen(output->path, "wb");
        return output->file ? PF_OK : system_error(output->path, errno);
    }
    output->target = exists ? realpath(output->path, NULL) : strdup(output->path);
    return output->target ? open_beside(output) : system_error(output->path, errno);
}

static void release(pf_output *output)
{
    free(output->path);
    free(output->target);
    free(output->temporary);
    free(output);
}

pf_status pf_output_open(const char *path, pf_output **out)
{
    *out = NULL;
    const bool is_stdout = !path || !strcmp(path, "-");
    pf_output *output = calloc(1, sizeof *output);
    if (!output) return system_error(is_stdout ? "standard output" : path, ENOMEM);
    output->path = strdup(is_stdout ? "standard output" : path);
    pf_status status = output->path ? PF_OK : system_error("output", ENOMEM);
    if (status == PF_OK && is_stdout)
        output->file = stdout;
    else if (status == PF_OK)
        status = open_file(output);
    if (status == PF_OK)
        *out = output;
    else
        pf_output_discard(output);
    return status;
}

static void note_error(pf_output *output)
{
    if (!output->error) output->error = errno ? errno : EIO;
}

void pf_output_write(pf_output *output, const void *bytes, size_t count)
{
    errno = 0;
    if (!output->error && fwrite(bytes, 1, count, output->file) != count) note_error(output);
}

void pf_output_print(pf_output *output, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    errno = 0;
    if (!output->error && vfprintf(output->file, format, arguments) < 0) note_error(output);
    va_end(arguments);
}

size_t pf_tool_utf8_length(const unsigned char *byte, size_t left)
{
    const size_t length = *byte < 0x80   ? 1
                          : *byte < 0xc2 ? 0
                          : *byte < 0xe0 ? 2
                          : *byte < 0xf0 ? 3
                          : *byte < 0xf5 ? 4
                                         : 0;
    if (length == 0 || length > left) return 0;
    for (size_t i = 1; i < length; i++) {
        if ((byte[i] & 0xc0) != 0x80) return 0;
    }
    const unsigned second = length > 1 ? byte[1] : 0x80;
    const bool overlong = (*byte == 0xe0 && second < 0xa0) || (*byte == 0xf0 && second < 0x90);
    const bool outside = (*byte == 0xed && second > 0x9f) || (*byte == 0xf4 && second > 0x8f);
    return overlong || outside ? 0 : length;
}

void pf_output_json_text(pf_output *output, const char *text, size_t length)
{
    pf_output_write(output, "\"", 1);
    for (size_t i = 0; i < length;) {
        const unsigned char *byte = (const unsigned char *)text + i;
        const size_t bytes = pf_tool_utf8_length(byte, length - i);
        if (bytes == 0)
            pf_output_print(output, "\\ufffd");
        else if (*byte == '"' || *byte == '\\')
            pf_output_print(output, "\\%c", *byte);
        else if (*byte < 0x20 || *byte == 0x7f)
            pf_output_print(output, "\\u%04x", *byte);
        else
            pf_output_write(output, byte, bytes);
        i += bytes ? bytes : 1;
    }
    pf_output_write(output, "\"", 1);
}

void pf_output_plain_text(pf_output *output, const char *text, size_t length)
{
    size_t done = 0;
    for (size_t i = 0; i < length; i++) {
        const unsigned char byte = (unsigned char)text[i];
        if (byte >= 0x20 && byte != 0x7f) continue;
        pf_output_write(output, text + done, i - done);
        pf_output_print(output, "\\x%02X", byte);
        done = i + 1;
    }
    pf_output_write(output, text + done, length - done);
}

bool pf_output_failed(const pf_output *output)
{
    return output->error != 0;
}

FILE *pf_output_stream(pf_output *output)
{
    return output->file;
}

pf_status pf_output_commit(pf_output *output)
{
    errno = 0;
    if (fflush(output->file) != 0 || ferror(output->file)) note_error(output);
    if (!output->error && output->temporary && fsync(fileno(output->file)) != 0) note_error(output);
    if (output->file == stdout) {
        clearerr(stdout); // told here, once
    } else {
        if (fclose(output->file) != 0) note_error(output);
        output->file = NULL;
    }
    if (!output->error && output->temporary && rename(output->temporary, output->target) != 0)
        note_error(output);
    if (!output->error || (output->error == EPIPE && !output->temporary)) {
        release(output);
        return PF_OK;
    }
    const pf_status status = system_error(output->path, output->error);
    pf_output_discard(output);
    return status;
}

void pf_output_discard(pf_output *output)
{
    if (!output) return;
    if (output->file && output->file != stdout) fclose(output->file);
    if (output->temporary) unlink(output->temporary);
    release(output);
}
