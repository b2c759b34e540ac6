// Temporary directories of tests. See temporary.h.
#include "support/temporary.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "support/suite.h"

static char directory[200];

void temporary_create(void)
{
    const char *parent = getenv("TMPDIR");
    snprintf(directory, sizeof directory, "%s/performer-test-XXXXXX", parent ? parent : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(directory));
}

void temporary_remove(void)
{
    pf_remove_tree(directory);
}

const char *temporary(const char *name)
{
    static char paths[8][512];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}
