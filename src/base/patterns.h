// Lists of name patterns, as users write them: "embed.*,layers.[0-3].*".
#ifndef PF_BASE_PATTERNS_H
#define PF_BASE_PATTERNS_H

#include <stdbool.h>
#include <stddef.h>

// The next pattern of a list with commas, in `out` (cut to `room` bytes); false behind the last. An empty one
// at the end is none.
bool pf_patterns_next(const char **list, char *out, size_t room);

// Whether any pattern of the list is the name's (fnmatch: * ? []).
bool pf_patterns_match(const char *list, const char *name);

#endif
