/*
 * golden.c: runs the golden files of the rules language.
 *
 * Each tests/lang/NAME.golden is one case:
 *
 *     # parse only          any of these lines may come first: "# parse only", "# pedantic", "# doors NAME" (several: of all those), "# open resources",
 *                           "# strict tables"
 *     at rcpt { ... }       the rules
 *     ---
 *     ok                    and the canonical form behind it; warnings, if any, behind another "---"
 *
 * or, for rules with errors, the diagnostics exactly as they are printed. Without "# parse only" the rules go through the whole
 * loader. For good rules it is also held that printing the printed text changes nothing.
 *
 * Run from anywhere ($srcdir is the top of the sources); names of cases may be given. --update writes what came out into the files.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "common/door/reply_lint.h"
#include "common/lookup/kinds.h"
#include "common/rules/format.h"
#include "common/rules/parser.h"
#include "common/rules/program.h"

#define SEPARATOR "---\n"
#define RULES_NAME "test.rules"
#define FILES "files"

typedef struct Case {
  const char *name;
  char *content;
  Slice header;
  Slice rules;
  const char *expected;
  bool parse_only, pedantic, open_resources, strict_tables;
  DoorSet doors;
} Case;

/* What came out of a case. */
typedef struct Outcomes {
  GString *text;
  bool stable; /* printing the printed text changed nothing */
} Outcomes;

static bool take_line(Slice *text, const char *line) {
  Slice whole = slice_from(line);
  if (!slice_starts_with(*text, whole)) {
    return false;
  }
  *text = slice_from_offset(*text, whole.length);
  return true;
}

/* "# doors NAME" */
static bool take_door(Case *test) {
  for (int door = 0; door < DOOR_COUNT; door++) {
    g_autofree char *line = g_strdup_printf("# doors %s\n", door_name((Door)door));
    if (take_line(&test->rules, line)) {
      test->doors |= DOOR_BIT(door);
      return true;
    }
  }
  return false;
}

static void read_header(Case *test) {
  const char *start = test->rules.data;
  test->doors = 0;
  bool more = true;
  while (more) {
    if (take_line(&test->rules, "# parse only\n")) {
      test->parse_only = true;
    } else if (take_line(&test->rules, "# pedantic\n")) {
      test->pedantic = true;
    } else if (take_line(&test->rules, "# open resources\n")) {
      test->open_resources = true;
    } else if (take_line(&test->rules, "# strict tables\n")) {
      test->strict_tables = true;
    } else if (!take_door(test)) {
      more = false;
    }
  }
  if (test->doors == 0)
    test->doors = DOORS_ALL;
  test->header = slice_make(start, (size_t)(test->rules.data - start));
}

/* False when the file is no case. */
static bool read_case(const char *name, Case *test) {
  *test = (Case){.name = name, .doors = DOORS_ALL};
  g_autofree char *path = g_strconcat(name, ".golden", NULL);
  g_autoptr(GError) error = NULL;
  if (!g_file_get_contents(path, &test->content, NULL, &error)) {
    fprintf(stderr, "%s: %s\n", path, error->message);
    return false;
  }
  char *separator = g_str_has_prefix(test->content, SEPARATOR) ? test->content : strstr(test->content, "\n" SEPARATOR);
  if (separator == NULL) {
    fprintf(stderr, "%s: no line \"---\"\n", path);
    return false;
  }
  separator += separator == test->content ? 0 : 1;
  test->rules = slice_make(test->content, (size_t)(separator - test->content));
  test->expected = separator + strlen(SEPARATOR);
  read_header(test);
  return true;
}

static void append_canonical(const RulesFile *file, Outcomes *outcomes) {
  g_autoptr(Arena) arena = arena_new(0);
  g_autofree char *once = rules_format(file);
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  const RulesFile *again = rules_parse_text(arena, RULES_NAME, slice_from(once), FILES, diagnostics);
  if (diagnostics_error_count(diagnostics) == 0) {
    g_autofree char *twice = rules_format(again);
    outcomes->stable = strcmp(once, twice) == 0;
  }
  g_string_append_printf(outcomes->text, "ok\n%s", once);
}

static void append_diagnostics(const Diagnostics *diagnostics, bool good, Outcomes *outcomes) {
  if (diagnostics_count(diagnostics) == 0) {
    return;
  }
  g_autofree char *text = diagnostics_print(diagnostics);
  g_string_append_printf(outcomes->text, "%s%s", good ? SEPARATOR : "", text);
}

static void run_parser(const Case *test, Outcomes *outcomes) {
  g_autoptr(Arena) arena = arena_new(0);
  Diagnostics *diagnostics = diagnostics_new();
  const RulesFile *file = rules_parse_text(arena, RULES_NAME, test->rules, FILES, diagnostics);
  bool good = diagnostics_error_count(diagnostics) == 0;
  if (good) {
    append_canonical(file, outcomes);
  }
  append_diagnostics(diagnostics, good, outcomes);
  diagnostics_free(diagnostics);
}

static void run_loader(const Case *test, Outcomes *outcomes) {
  ResourceContext context = {0};
  ResourceSource *source = resource_source_plain_new(&context);
  RulesetOptions options = {.enabled_doors = test->doors,
                            .pedantic = test->pedantic,
                            .resources = source,
                            .strict_tables = test->strict_tables,
                            .open_resources = test->open_resources,
                            .keep_tree = true,
                            .lint = reply_lint};
  Diagnostics *diagnostics = diagnostics_new();
  Ruleset *ruleset = ruleset_load_text(RULES_NAME, test->rules, FILES, &options, diagnostics);
  if (ruleset != NULL) {
    append_canonical(ruleset->tree->file, outcomes);
  }
  append_diagnostics(diagnostics, ruleset != NULL, outcomes);
  diagnostics_free(diagnostics);
  ruleset_unref(ruleset);
  resource_source_plain_free(source);
}

static bool update(const Case *test, const Outcomes *outcomes) {
  g_autofree char *path = g_strconcat(test->name, ".golden", NULL);
  g_autofree char *content =
      g_strdup_printf("%.*s%.*s" SEPARATOR "%s", SLICE_ARGS(test->header), SLICE_ARGS(test->rules), outcomes->text->str);
  return strcmp(content, test->content) == 0 || g_file_set_contents(path, content, -1, NULL);
}

static bool run_case(const char *name, bool rewrite) {
  Case test;
  if (!read_case(name, &test)) {
    return false;
  }
  Outcomes outcomes = {.text = g_string_new(NULL), .stable = true};
  if (test.parse_only) {
    run_parser(&test, &outcomes);
  } else {
    run_loader(&test, &outcomes);
  }
  bool good = outcomes.stable;
  if (!outcomes.stable) {
    printf("FAIL %s: printing the canonical form gives another one\n%s", name, outcomes.text->str);
  } else if (rewrite) {
    good = update(&test, &outcomes);
  } else if (strcmp(outcomes.text->str, test.expected) != 0) {
    printf("FAIL %s\n--- expected\n%s--- got\n%s", name, test.expected, outcomes.text->str);
    good = false;
  }
  (void)g_string_free(outcomes.text, TRUE);
  g_free(test.content);
  return good;
}

static int compare_names(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names of all cases in the current folder, sorted. */
static GPtrArray *find_cases(void) {
  GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
  GDir *folder = g_dir_open(".", 0, NULL);
  const char *entry;
  while (folder != NULL && (entry = g_dir_read_name(folder)) != NULL) {
    if (g_str_has_suffix(entry, ".golden")) {
      g_ptr_array_add(names, g_strndup(entry, strlen(entry) - strlen(".golden")));
    }
  }
  if (folder != NULL) {
    g_dir_close(folder);
  }
  g_ptr_array_sort(names, compare_names);
  return names;
}

int main(int argc, char **argv) {
  const char *sources = g_getenv("srcdir");
  g_autofree char *folder = g_build_filename(sources != NULL ? sources : ".", "tests", "lang", NULL);
  if (chdir(folder) != 0) {
    fprintf(stderr, "%s: %s\n", folder, g_strerror(errno));
    return 2;
  }
  bool rewrite = argc > 1 && strcmp(argv[1], "--update") == 0;
  int first_name = rewrite ? 2 : 1;
  g_autoptr(GPtrArray) names = find_cases();
  if (argc > first_name) {
    g_ptr_array_set_size(names, 0);
    for (int i = first_name; i < argc; i++) {
      g_ptr_array_add(names, g_strdup(argv[i]));
    }
  }
  unsigned failed = 0;
  for (unsigned i = 0; i < names->len; i++) {
    failed += run_case(names->pdata[i], rewrite) ? 0 : 1;
  }
  printf("%u cases, %u failed\n", names->len, failed);
  return failed == 0 && names->len > 0 ? 0 : 1;
}
