/*
 * table_file.c: the checks of a table's file that do not depend on what is in it.
 */
#include "common/lookup/table_file.h"

#include <unistd.h>

bool table_file_fail(GError **error, const char *path, const char *what) {
  g_set_error(error, RESOURCE_ERROR, 0, "%s: %s", path, what);
  return false;
}

bool table_file_check(const char *path, const struct stat *status, bool check_owners, GError **error) {
  if (!S_ISREG(status->st_mode)) {
    return table_file_fail(error, path, "not an ordinary file");
  }
  if (!check_owners) {
    return true;
  }
  if (status->st_uid != 0 && status->st_uid != geteuid()) {
    return table_file_fail(error, path, "the file belongs to another user; tables must be owned by root or by the user that reads them");
  }
  if (status->st_mode & (S_IWGRP | S_IWOTH)) {
    return table_file_fail(error, path, "the file can be written by others (chmod go-w)");
  }
  return true;
}
