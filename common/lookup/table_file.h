/*
 * table_file.h: what all files of tables must be: ordinary files that nobody but root and the user who reads them can change.
 */
#ifndef COMMON_LOOKUP_TABLE_FILE_H
#define COMMON_LOOKUP_TABLE_FILE_H

#include <sys/stat.h>

#include "common/ask/resource.h"

/* Sets *error to "PATH: what"; always false. */
bool table_file_fail(GError **error, const char *path, const char *what);
/* `check_owners` as in ResourceContext. */
bool table_file_check(const char *path, const struct stat *status, bool check_owners, GError **error);

#endif
