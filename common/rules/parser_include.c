/*
 * parser_include.c: include: which files a pattern brings, and reading them.
 *
 * A pattern starts at the folder of the file that it stands in, and what it brings must lie in that folder or below, links followed.
 * Nothing outside is opened.
 */
#include <errno.h>
#include <glob.h>
#include <stdlib.h>

#include "common/base/limits.h"
#include "common/rules/parser_internal.h"
#include "common/rules/source.h"

static int compare_paths(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* An error of glob: a folder that is not there has no files, all else is told. */
static int glob_error(const char *path, int code) {
  (void)path;
  return code == ENOENT || code == ENOTDIR ? 0 : 1;
}

static bool is_pattern(const char *text) {
  return strpbrk(text, "*?[") != NULL;
}

/* directory/pattern where the directory's own text is no pattern; "./" is left out. */
static char *join_pattern(const char *directory, const char *pattern) {
  if (pattern[0] == '/' || strcmp(directory, ".") == 0) {
    return g_strdup(pattern);
  }
  GString *joined = g_string_new(NULL);
  for (const char *c = directory; *c != '\0'; c++) {
    if (strchr("*?[\\", *c) != NULL && is_pattern(pattern)) {
      g_string_append_c(joined, '\\');
    }
    g_string_append_c(joined, *c);
  }
  g_string_append_printf(joined, "/%s", pattern);
  return g_string_free(joined, FALSE);
}

static bool is_inside(const char *path, const char *folder) {
  size_t length = strlen(folder);
  if (strcmp(folder, "/") == 0) {
    return true;
  }
  return strncmp(path, folder, length) == 0 && path[length] == '/';
}

/* The file that is being read under this path, or NULL. */
static const OpenFile *find_open(const OpenFile *open_file, const char *real_path) {
  for (; open_file != NULL; open_file = open_file->up) {
    if (open_file->real_path != NULL && strcmp(open_file->real_path, real_path) == 0) {
      return open_file;
    }
  }
  return NULL;
}

static RulesFile *include_file(Parser *parser, const Declaration *declaration, const char *path, const char *folder) {
  SourceSpan span = declaration->spec_span;
  if (parser->run->file_count++ >= LIMIT_INCLUDES) {
    parser_error(parser, span, NULL, "more than %d files in one ruleset", LIMIT_INCLUDES);
    return NULL;
  }
  char *real = realpath(path, NULL);
  if (real == NULL) {
    parser_error(parser, span, "a file that can be read", "cannot include \"%s\": %s", path, g_strerror(errno));
    return NULL;
  }
  char *real_path = slice_to_string(parser->arena, slice_from(real));
  free(real);
  if (!is_inside(real_path, folder)) {
    parser_error(parser, span, arena_printf(parser->arena, "a file in \"%s\" or below, links followed", parser->file->directory),
                 "\"%s\" lies outside of the folder of this file", path);
    return NULL;
  }
  const OpenFile *open_file = find_open(parser->open_file, real_path);
  if (open_file != NULL) {
    parser_error(parser, span, NULL, "\"%s\" includes itself%s", open_file->name,
                 open_file == parser->open_file ? "" : ", through other files");
    return NULL;
  }
  GError *error = NULL;
  const SourceText *source = source_read(parser->arena, real_path, path, parser->run->check_owners, &error);
  if (source == NULL) {
    parser_error(parser, span, NULL, "cannot include \"%s\": %s", path, error->message);
    g_error_free(error);
    return NULL;
  }
  g_autofree char *directory = g_path_get_dirname(path);
  OpenFile inner = {.up = parser->open_file, .real_path = real_path, .name = source->name, .depth = parser->open_file->depth + 1};
  return parse_source(parser->run, source, slice_to_string(parser->arena, slice_from(path)),
                      slice_to_string(parser->arena, slice_from(directory)), &inner);
}

static void add_file(Parser *parser, Declaration *declaration, RulesFile ***link, const char *path, const char *folder) {
  RulesFile *file = include_file(parser, declaration, path, folder);
  if (file == NULL) {
    parser_lose_part(parser);
    return;
  }
  **link = file;
  *link = &file->next;
}

/* In order of their names' bytes. */
static void include_matches(Parser *parser, Declaration *declaration, const char *pattern, const char *folder) {
  glob_t found = {0};
  int result = glob(pattern, GLOB_NOSORT, glob_error, &found);
  if (result != 0 && result != GLOB_NOMATCH) {
    parser_error(parser, declaration->spec_span, "folders that can be read", "cannot look for \"%s\"", pattern);
    parser_lose_part(parser);
  } else if (result == 0) {
    qsort(found.gl_pathv, found.gl_pathc, sizeof(char *), compare_paths);
    RulesFile **link = &declaration->files;
    for (size_t i = 0; i < found.gl_pathc; i++) {
      add_file(parser, declaration, &link, found.gl_pathv[i], folder);
    }
  }
  globfree(&found);
}

void parser_include(Parser *parser, Declaration *declaration) {
  if (parser->open_file->depth >= LIMIT_INCLUDE_DEPTH) {
    parser_error(parser, declaration->spec_span, NULL, "files within files, more than %d deep", LIMIT_INCLUDE_DEPTH);
    parser_lose_part(parser);
    return;
  }
  const char *written = slice_to_string(parser->arena, declaration->pattern);
  char *folder = realpath(parser->file->directory, NULL);
  if (folder == NULL) {
    if (!is_pattern(written)) {
      parser_error(parser, declaration->spec_span, "a file that can be read", "cannot include \"%s\": %s", written, g_strerror(errno));
      parser_lose_part(parser);
    }
    return;
  }
  g_autofree char *path = join_pattern(parser->file->directory, written);
  if (is_pattern(written)) {
    include_matches(parser, declaration, path, folder);
  } else {
    RulesFile **link = &declaration->files;
    add_file(parser, declaration, &link, path, folder);
  }
  free(folder);
}
