// Where results go: stdout, a file that is replaced only once the new one is complete, or a
// directory that must be new or empty and gets its files only once all of them are complete.
#ifndef TOOLS_OUTPUT_H
#define TOOLS_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "performer/status.h"
#include "tools/report.h"

typedef struct pf_output pf_output;

// `path` NULL or "-": stdout. What is no regular file (a pipe, /dev/null) is written as it comes.
// Errors: PF_ERROR_FAILED with the path and the system's reason.
pf_status pf_output_open(const char *path, pf_output **out);

// The first error is kept for pf_output_commit; pf_output_failed says that there is no use in going
// on (a closed pipe, a full disk).
void pf_output_write(pf_output *output, const void *bytes, size_t count);
void pf_output_print(pf_output *output, const char *format, ...) PF_TOOL_PRINTF(2, 3);
// Text as a JSON string with its quotes; bytes that are not UTF-8 as U+FFFD.
void pf_output_json_text(pf_output *output, const char *text, size_t length);
// Text for people and TSV: control characters as \xHH.
void pf_output_plain_text(pf_output *output, const char *text, size_t length);
// Length of the UTF-8 character that begins at `byte`, 0 if none does.
size_t pf_tool_utf8_length(const unsigned char *byte, size_t left);
// The stream below, for pictures, which are written to one. What goes wrong there the commit finds.
FILE *pf_output_stream(pf_output *output);
bool pf_output_failed(const pf_output *output);

// Finishes; the file stands at its path from here on. `output` is gone in any case. A pipe that its
// reader closed is no error. Errors: PF_ERROR_FAILED.
pf_status pf_output_commit(pf_output *output);
// Drops it, the path stays as it was; NULL is fine.
void pf_output_discard(pf_output *output);

// A directory in the making: files go to pf_output_staging and reach `path` with the commit.
typedef struct pf_output_directory pf_output_directory;

// Errors: PF_ERROR_USAGE if `path` is in use, PF_ERROR_FAILED if the system refuses.
pf_status pf_output_directory_open(const char *path, pf_output_directory **out);
const char *pf_output_staging(const pf_output_directory *directory);
pf_status pf_output_directory_commit(pf_output_directory *directory);
void pf_output_directory_discard(pf_output_directory *directory);

// For directories that fill up as they go (a run): PF_ERROR_USAGE unless `path` is new or empty.
pf_status pf_output_directory_check(const char *path);

#endif
