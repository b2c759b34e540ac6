// Lists of name patterns. See patterns.h.
#include "base/patterns.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

enum { PATTERN_BYTES = 512 };

bool pf_patterns_next(const char **list, char *out, size_t room)
{
    if (!**list) return false;
    const size_t length = strcspn(*list, ",");
    snprintf(out, room, "%.*s", (int)length, *list);
    *list += length + ((*list)[length] == ',');
    return true;
}

bool pf_patterns_match(const char *list, const char *name)
{
    char pattern[PATTERN_BYTES];
    while (pf_patterns_next(&list, pattern, sizeof pattern))
        if (fnmatch(pattern, name, 0) == 0) return true;
    return false;
}
