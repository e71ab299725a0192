/*
 * scenario_folder.c: files of a scenario on disk. What was made is kept in a list, and removed in reverse, so that nothing else can be.
 */
#include "common/cli/scenario_folder.h"

#include <errno.h>
#include <glib/gstdio.h>

struct ScenarioFolder {
  char *path;
  GPtrArray *made; /* of char: files and folders, in order */
};

/* The folders above `path`, below ours. */
static bool make_parents(ScenarioFolder *folder, const char *path, GError **error) {
  for (const char *slash = path + strlen(folder->path) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
    g_autofree char *parent = g_strndup(path, (gsize)(slash - path));
    if (g_mkdir(parent, 0700) == 0) {
      g_ptr_array_add(folder->made, g_steal_pointer(&parent));
    } else if (errno != EEXIST) {
      g_set_error(error, G_FILE_ERROR, (gint)g_file_error_from_errno(errno), "%s: %s", parent, g_strerror(errno));
      return false;
    }
  }
  return true;
}

static bool write_file(ScenarioFolder *folder, const ScenarioFile *file, GError **error) {
  g_autofree char *path = g_build_filename(folder->path, file->name, NULL);
  if (!make_parents(folder, path, error) ||
      !g_file_set_contents(path, file->text.data ? file->text.data : "", (gssize)file->text.length, error)) {
    return false;
  }
  g_ptr_array_add(folder->made, g_steal_pointer(&path));
  return true;
}

ScenarioFolder *scenario_folder_new(const Scenario *scenario, GError **error) {
  g_autoptr(ScenarioFolder) folder = g_new0(ScenarioFolder, 1);
  folder->made = g_ptr_array_new_with_free_func(g_free);
  folder->path = g_dir_make_tmp("mailreeve-test-XXXXXX", error);
  if (folder->path == NULL) {
    return NULL;
  }
  for (const ScenarioFile *file = scenario->files; file; file = file->next) {
    if (!write_file(folder, file, error)) {
      return NULL;
    }
  }
  return g_steal_pointer(&folder);
}

const char *scenario_folder_path(const ScenarioFolder *folder) {
  return folder->path;
}

void scenario_folder_free(ScenarioFolder *folder) {
  if (folder == NULL) {
    return;
  }
  for (guint i = folder->made->len; i > 0; i--) {
    (void)g_remove(folder->made->pdata[i - 1]);
  }
  if (folder->path) {
    (void)g_rmdir(folder->path);
  }
  g_ptr_array_unref(folder->made);
  g_free(folder->path);
  g_free(folder);
}
