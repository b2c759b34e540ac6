// A fresh directory for the files of a test, removed afterwards.
#ifndef TESTS_SUPPORT_TEMPORARY_H
#define TESTS_SUPPORT_TEMPORARY_H

// Makes the directory (checked fixture: one for each test) and removes it with all it holds.
void temporary_create(void);
void temporary_remove(void);

// "DIRECTORY/name"; the last eight results stay valid.
const char *temporary(const char *name);

#endif
