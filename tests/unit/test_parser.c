/* test_parser.c: the shape of trees, includes from real files, and depth. Messages are held by the golden files in tests/lang. */
#include <glib/gstdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/limits.h"
#include "common/rules/action.h"
#include "common/rules/format.h"
#include "common/rules/parser.h"
#include "tests/unit/unit.h"

typedef struct Parsed {
  Arena *arena;
  Diagnostics *diagnostics;
  RulesFile *file;
} Parsed;

static void parse(Parsed *parsed, const char *text) {
  parsed->arena = arena_new(0);
  parsed->diagnostics = diagnostics_new();
  parsed->file = rules_parse_text(parsed->arena, "t", slice_from(text), NULL, parsed->diagnostics);
}

static void done(Parsed *parsed) {
  diagnostics_free(parsed->diagnostics);
  arena_free(parsed->arena);
}

static const Node *define_of(Parsed *parsed, const char *text) {
  g_autofree char *whole = g_strdup_printf("define x = %s", text);
  parse(parsed, whole);
  g_autofree char *told = diagnostics_print(parsed->diagnostics);
  ck_assert_str_eq(told, "");
  return parsed->file->declarations->expression;
}

/* An expression with all its parentheses, so that binding can be seen. */
static void append_shape(GString *shape, const Node *node) {
  static const char *const names[] = {
      [NODE_NOT] = "not",      [NODE_AND] = "and",     [NODE_OR] = "or",         [NODE_COMPARE] = "cmp",      [NODE_IN] = "in",
      [NODE_MATCH] = "match",  [NODE_UNDER] = "under", [NODE_IS_SET] = "is",     [NODE_QUANTIFIER] = "quant", [NODE_DEFAULT] = "default",
      [NODE_RANGE] = "range",  [NODE_INDEX] = "index", [NODE_PROPERTY] = "prop", [NODE_TUPLE] = "tuple",      [NODE_SET] = "set",
      [NODE_MAP_ITEM] = "map", [NODE_TEXT] = "text"};
  const char *name = node->kind < G_N_ELEMENTS(names) ? names[node->kind] : NULL;
  if (name == NULL) {
    g_string_append_printf(shape, "%.*s", SLICE_ARGS(node->text));
    return;
  }
  g_string_append_printf(shape, "%s%s(",
                         (node->kind == NODE_IN || node->kind == NODE_MATCH || node->kind == NODE_IS_SET) && node->as.negated ? "!" : "",
                         name);
  const char *separator = "";
  const Node *parts[] = {node->left, node->right};
  for (size_t i = 0; !node_has_items(node) && i < G_N_ELEMENTS(parts); i++) {
    if (parts[i] != NULL) {
      g_string_append(shape, separator);
      append_shape(shape, parts[i]);
      separator = " ";
    }
  }
  if (node->kind == NODE_TEXT && node->items == NULL) {
    g_string_append_len(shape, node->text.data, (gssize)node->text.length);
  }
  for (const Node *item = node_has_items(node) ? node->items : NULL; item != NULL; item = item->next) {
    g_string_append(shape, separator);
    append_shape(shape, item);
    separator = " ";
  }
  g_string_append_c(shape, ')');
}

static const struct {
  const char *text, *shape;
} SHAPES[] = {
    {"a", "a"},
    {"a and b and c", "and(and(a b) c)"},
    {"a or b or c", "or(or(a b) c)"},
    {"a and (b or c)", "and(a or(b c))"},
    {"not a and b", "and(not(a) b)"},
    {"not a == b", "not(cmp(a b))"},
    {"not not a", "not(not(a))"},
    {"a default b == c", "cmp(default(a b) c)"},
    {"a default b default c", "default(default(a b) c)"},
    {"a == b default 5", "cmp(a default(b 5))"},
    {"a in b", "in(a b)"},
    {"a not in b", "!in(a b)"},
    {"not a in b", "not(in(a b))"},
    {"a ~ /x/", "match(a x)"},
    {"a !~ /x/", "!match(a x)"},
    {"a ~ pattern", "match(a pattern)"},
    {"a under b.domain", "under(a b.domain)"},
    {"a is set", "is(a)"},
    {"a is unset", "!is(a)"},
    {"any a has (b == c and d)", "quant(a and(cmp(b c) d))"},
    {"count a has (b) >= 2", "cmp(quant(a b) 2)"},
    {"t[a]", "index(t a)"},
    {"t[a].domain", "prop(index(t a))"},
    {"(a default b).domain", "prop(default(a b))"},
    {"(a).domain", "a.domain"},
    {"(a, b) in t", "in(tuple(a b) t)"},
    {"t[(a, b)]", "index(t tuple(a b))"},
    {"a in 1..5", "in(a range(1 5))"},
    {"a in mon..fri", "in(a range(mon fri))"},
    {"a in { 1, 2..3, }", "in(a set(1 range(2 3)))"},
    {"a in {}", "in(a set())"},
    {"a > -5", "cmp(a -5)"},
    {"a > - 2.5", "cmp(a -2.5)"},
    {"\"x{a}y{1}\"", "text(x a y 1)"},
    {"\"{a default \"z\"}\"", "text(default(a text(z)))"},
    {"/re/", "re"},
};

START_TEST(shape) {
  Parsed parsed;
  const Node *node = define_of(&parsed, SHAPES[_i].text);
  GString *got = g_string_new(NULL);
  append_shape(got, node);
  ck_assert_str_eq(got->str, SHAPES[_i].shape);
  g_string_free(got, TRUE);
  done(&parsed);
}
END_TEST

START_TEST(values_of_literals) {
  Parsed parsed;
  ck_assert_int_eq(define_of(&parsed, "-42")->number, -42);
  done(&parsed);
  ck_assert(define_of(&parsed, "-0.5")->decimal == -0.5);
  done(&parsed);
  ck_assert_int_eq(define_of(&parsed, "10M")->number, 10485760);
  done(&parsed);
  const Node *node = define_of(&parsed, "192.0.2.0/24");
  ck_assert(node->kind == NODE_NET && node->net.prefix == 24 && node->net.address.bytes[0] == 192);
  done(&parsed);
  node = define_of(&parsed, "\"a\\n\\\"\\\\{{}}\"");
  ck_assert(node->kind == NODE_TEXT && slice_equal(node->text, SLICE_LITERAL("a\n\"\\{}")) && node->items == NULL);
  done(&parsed);
  node = define_of(&parsed, "\"{12}\"");
  ck_assert(node->items->kind == NODE_CAPTURE && node->items->number == 12);
  done(&parsed);
  node = define_of(&parsed, "a ~ /x/c");
  ck_assert(node->right->as.exact_case && !node->as.negated);
  done(&parsed);
}
END_TEST

START_TEST(statements) {
  Parsed parsed;
  parse(&parsed,
        "at mail, rcpt when a {\n"
        "  [l] observe reject 550 5.7.1 \"x\" \"y\" unless b on error match\n"
        "  when c { pass } else when d { accept message } else { }\n"
        "  set session.x = 5\n"
        "     default 6 if e\n"
        "  score message bulk -2.5\n"
        "}\n");
  ck_assert_uint_eq(diagnostics_count(parsed.diagnostics), 0);
  const Declaration *at = parsed.file->declarations;
  ck_assert(at->kind == DECLARATION_AT && at->phases == (PHASE_BIT(PHASE_MAIL) | PHASE_BIT(PHASE_RCPT)) && at->condition != NULL);
  const StatementNode *rule = at->body;
  ck_assert(slice_equal(rule->label, SLICE_LITERAL("l")) && rule->observe && rule->unless && rule->on_error == ON_ERROR_MATCH);
  const ArgumentNode *argument = rule->action->arguments;
  ck_assert(argument->spec == 0 && slice_equal(argument->word, SLICE_LITERAL("550")));
  argument = argument->next;
  ck_assert(argument->spec == 1 && slice_equal(argument->word, SLICE_LITERAL("5.7.1")));
  argument = argument->next;
  ck_assert(argument->spec == 2 && argument->next->spec == 2 && argument->next->next == NULL);
  const StatementNode *when = rule->next;
  ck_assert(when->kind == STATEMENT_NODE_WHEN && when->branches->next->condition != NULL && when->branches->next->next->condition == NULL);
  ck_assert_ptr_null(when->branches->next->next->body);
  const StatementNode *set = when->next;
  ck_assert(slice_equal(set->action->arguments->word, SLICE_LITERAL("session.x")) && set->condition != NULL);
  ck_assert_int_eq(set->action->arguments->next->next->expression->kind, NODE_DEFAULT);
  const StatementNode *score = set->next;
  ck_assert(score->action->arguments->next->next->expression->decimal == -2.5 && score->next == NULL);
  done(&parsed);
}
END_TEST

/* Too deep is an error and not a crash, however it is done. */
START_TEST(depth_is_bounded) {
  static const char *const before[] = {"(", "not ", "{ ", "t[", "any a has (", "\"{", "a and ", "a default ", "-> ", "(1, ", "when a {\n"};
  for (size_t i = 0; i < G_N_ELEMENTS(before); i++) {
    GString *text = g_string_new(i == G_N_ELEMENTS(before) - 1 ? "at rcpt {\n" : "define x = ");
    for (int n = 0; n < 100000; n++) {
      g_string_append(text, before[i]);
    }
    Parsed parsed;
    parse(&parsed, text->str);
    ck_assert_msg(diagnostics_error_count(parsed.diagnostics) > 0, "%s", before[i]);
    done(&parsed);
    g_string_free(text, TRUE);
  }
}
END_TEST

START_TEST(depth_that_is_allowed) {
  GString *text = g_string_new("define x = ");
  for (int n = 0; n < LIMIT_NESTING - 2; n++) {
    g_string_append_c(text, '(');
  }
  g_string_append(text, "a == b");
  for (int n = 0; n < LIMIT_NESTING - 2; n++) {
    g_string_append_c(text, ')');
  }
  Parsed parsed;
  parse(&parsed, text->str);
  ck_assert_uint_eq(diagnostics_error_count(parsed.diagnostics), 0);
  done(&parsed);
  g_string_free(text, TRUE);
}
END_TEST

/* A folder of its own with files, removed at the end. */
typedef struct Folder {
  char *path;
  Arena *arena;
  Diagnostics *diagnostics;
  GError *error;
} Folder;

static char *in_folder(const Folder *folder, const char *name) {
  return g_build_filename(folder->path, name, NULL);
}

static void write_file(const Folder *folder, const char *name, const char *text) {
  g_autofree char *path = in_folder(folder, name);
  g_autofree char *parent = g_path_get_dirname(path);
  ck_assert_int_eq(g_mkdir_with_parents(parent, 0700), 0);
  ck_assert(g_file_set_contents(path, text, -1, NULL));
  ck_assert_int_eq(chmod(path, 0600), 0);
}

static void folder_open(Folder *folder) {
  *folder = (Folder){.path = g_dir_make_tmp("mailreeve-XXXXXX", NULL), .arena = arena_new(0), .diagnostics = diagnostics_new()};
  ck_assert_ptr_nonnull(folder->path);
}

static RulesFile *folder_parse(Folder *folder, const char *name, bool check_owners) {
  g_autofree char *path = in_folder(folder, name);
  return rules_parse_file(folder->arena, path, check_owners, folder->diagnostics, &folder->error);
}

static void remove_tree(const char *path) {
  GDir *directory = g_dir_open(path, 0, NULL);
  const char *entry;
  while (directory != NULL && (entry = g_dir_read_name(directory)) != NULL) {
    g_autofree char *inner = g_build_filename(path, entry, NULL);
    if (g_file_test(inner, G_FILE_TEST_IS_SYMLINK) || !g_file_test(inner, G_FILE_TEST_IS_DIR)) {
      (void)g_unlink(inner);
    } else {
      remove_tree(inner);
    }
  }
  if (directory != NULL) {
    g_dir_close(directory);
  }
  (void)g_rmdir(path);
}

static void folder_close(Folder *folder) {
  diagnostics_free(folder->diagnostics);
  arena_free(folder->arena);
  g_clear_error(&folder->error);
  remove_tree(folder->path);
  g_free(folder->path);
}

static void assert_message(const Folder *folder, const char *part) {
  g_autofree char *told = diagnostics_print(folder->diagnostics);
  ck_assert_msg(strstr(told, part) != NULL, "\"%s\" is not in:\n%s", part, told);
}

START_TEST(includes_in_order) {
  Folder folder;
  folder_open(&folder);
  write_file(&folder, "main.rules", "include \"d/*.rules\"\ninclude \"none/*.rules\"\ninclude \"one.rules\"\ndefine z = 1\n");
  write_file(&folder, "d/b.rules", "define b = 1\n");
  write_file(&folder, "d/a.rules", "include \"inner.x\"\ndefine a = 1\n");
  write_file(&folder, "d/inner.x", "define inner = 1\n");
  write_file(&folder, "d/c.rules~", "this is not read");
  write_file(&folder, "one.rules", "define one = 1\n");
  RulesFile *file = folder_parse(&folder, "main.rules", true);
  g_autofree char *told = diagnostics_print(folder.diagnostics);
  ck_assert_str_eq(told, "");
  ck_assert(file != NULL && !file->included);
  const RulesFile *a = file->declarations->files;
  ck_assert(slice_equal(a->declarations->next->name, SLICE_LITERAL("a")) && a->included);
  ck_assert(slice_equal(a->declarations->files->declarations->name, SLICE_LITERAL("inner")));
  ck_assert(slice_equal(a->next->declarations->name, SLICE_LITERAL("b")) && a->next->next == NULL);
  ck_assert(g_str_has_suffix(a->source->name, "d/a.rules") && g_str_has_suffix(a->directory, "/d"));
  ck_assert_ptr_null(file->declarations->next->files);
  ck_assert(slice_equal(file->declarations->next->next->files->declarations->name, SLICE_LITERAL("one")));
  folder_close(&folder);
}
END_TEST

START_TEST(includes_stay_in_their_folder) {
  Folder folder;
  folder_open(&folder);
  write_file(&folder, "outside.rules", "define o = 1\n");
  write_file(&folder, "in/main.rules", "include \"*.link\"\ninclude \"../outside.rules\"\ninclude \"self.rules\"\n");
  write_file(&folder, "in/target.txt", "define t = 1\n");
  g_autofree char *bad = in_folder(&folder, "in/bad.link");
  g_autofree char *good = in_folder(&folder, "in/good.link");
  g_autofree char *self = in_folder(&folder, "in/self.rules");
  ck_assert(symlink("../outside.rules", bad) == 0 && symlink("target.txt", good) == 0 && symlink("target.txt", self) == 0);
  RulesFile *file = folder_parse(&folder, "in/main.rules", true);
  assert_message(&folder, "bad.link\" lies outside of the folder");
  assert_message(&folder, "outside.rules\" lies outside of the folder");
  ck_assert_uint_eq(diagnostics_error_count(folder.diagnostics), 2);
  ck_assert(slice_equal(file->declarations->files->declarations->name, SLICE_LITERAL("t")));
  folder_close(&folder);
}
END_TEST

START_TEST(includes_that_cannot_be) {
  Folder folder;
  folder_open(&folder);
  write_file(&folder, "main.rules",
             "include \"missing.rules\"\ninclude \"loop.rules\"\ninclude \"dir\"\ninclude \"fifo\"\ninclude \"main.rules\"\n");
  write_file(&folder, "loop.rules", "include \"back.rules\"\n");
  write_file(&folder, "back.rules", "include \"loop.rules\"\n");
  write_file(&folder, "dir/x", "");
  g_autofree char *fifo = in_folder(&folder, "fifo");
  ck_assert_int_eq(mkfifo(fifo, 0600), 0);
  (void)folder_parse(&folder, "main.rules", true);
  assert_message(&folder, "missing.rules\": No such file or directory");
  assert_message(&folder, "loop.rules\" includes itself, through other files");
  assert_message(&folder, "main.rules\" includes itself");
  assert_message(&folder, "dir\": it is not a regular file");
  assert_message(&folder, "fifo\": it is not a regular file");
  ck_assert_uint_eq(diagnostics_error_count(folder.diagnostics), 5);
  folder_close(&folder);
}
END_TEST

START_TEST(include_depth) {
  Folder folder;
  folder_open(&folder);
  for (int i = 0; i < LIMIT_INCLUDE_DEPTH + 2; i++) {
    g_autofree char *name = g_strdup_printf("%d.rules", i);
    g_autofree char *text = g_strdup_printf("include \"%d.rules\"\n", i + 1);
    write_file(&folder, name, text);
  }
  (void)folder_parse(&folder, "0.rules", true);
  assert_message(&folder, "files within files, more than 16 deep");
  ck_assert_uint_eq(diagnostics_error_count(folder.diagnostics), 1);
  folder_close(&folder);
}
END_TEST

START_TEST(owners_are_checked) {
  Folder folder;
  folder_open(&folder);
  write_file(&folder, "main.rules", "include \"i.rules\"\n");
  write_file(&folder, "i.rules", "");
  g_autofree char *path = in_folder(&folder, "i.rules");
  ck_assert_int_eq(chmod(path, 0620), 0);
  ck_assert_ptr_nonnull(folder_parse(&folder, "main.rules", false));
  ck_assert_uint_eq(diagnostics_error_count(folder.diagnostics), 0);
  ck_assert_ptr_nonnull(folder_parse(&folder, "main.rules", true));
  assert_message(&folder, "i.rules\": it may be written by others (mode 620)");
  ck_assert_ptr_null(folder_parse(&folder, "i.rules", true));
  ck_assert_ptr_nonnull(folder.error);
  folder_close(&folder);
}
END_TEST

START_TEST(main_file_that_cannot_be_read) {
  Folder folder;
  folder_open(&folder);
  ck_assert_ptr_null(folder_parse(&folder, "none.rules", true));
  ck_assert_str_eq(folder.error->message, "No such file or directory");
  ck_assert_uint_eq(diagnostics_count(folder.diagnostics), 0);
  folder_close(&folder);
}
END_TEST

START_TEST(bytes_that_no_text_has) {
  static const struct {
    const char *text;
    size_t length;
    const char *told;
  } cases[] = {
      {"define a = 1\n\0", 14, "t:2:1: error: control character 0x00 in the text"},
      {"define \xff = 1\n", 13, "t:1:8: error: byte 0xff is not UTF-8"},
      {"# \xc3", 3, "t:1:3: error: byte 0xc3 is not UTF-8"},
      {"# \xed\xa0\x80", 5, "t:1:3: error: byte 0xed is not UTF-8"},
      {"define a = \"\x01\"", 14, "t:1:13: error: control character 0x01 in the text"},
      {"define a = 1\r \n", 15, "t:1:13: error: control character 0x0d in the text"},
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(Arena) arena = arena_new(0);
    Diagnostics *diagnostics = diagnostics_new();
    (void)rules_parse_text(arena, "t", slice_make(cases[i].text, cases[i].length), NULL, diagnostics);
    g_autofree char *told = diagnostics_print(diagnostics);
    ck_assert_msg(g_str_has_prefix(told, cases[i].told), "%s", told);
    diagnostics_free(diagnostics);
  }
}
END_TEST

START_TEST(byte_order_mark_and_crlf) {
  Parsed parsed;
  parse(&parsed,
        "\xef\xbb\xbf"
        "define a = 1\r\nat rcpt {\r\n  pass # c\r\n}\r\n");
  ck_assert_uint_eq(diagnostics_count(parsed.diagnostics), 0);
  g_autofree char *text = rules_format(parsed.file);
  ck_assert_str_eq(text, "define a = 1\nat rcpt {\n    pass  # c\n}\n");
  done(&parsed);
}
END_TEST

START_TEST(registry_of_actions) {
  for (const Action *const *action = actions_all(); *action != NULL; action++) {
    g_auto(GStrv) words = g_strsplit((*action)->name, " ", 2);
    ck_assert_ptr_eq(action_find(slice_from(words[0]), slice_from(words[1])), *action);
    /* Its example must be an action that it reads. */
    g_autofree char *text = g_strdup_printf("at eom {\n    %s\n}\n", (*action)->example);
    Parsed parsed;
    parse(&parsed, text);
    g_autofree char *told = diagnostics_print(parsed.diagnostics);
    ck_assert_str_eq(told, "");
    ck_assert_ptr_eq(parsed.file->declarations->body->action->action, *action);
    done(&parsed);
  }
  ck_assert_ptr_null(action_find(SLICE_LITERAL("nothing"), SLICE_EMPTY));
  ck_assert_ptr_null(action_find(SLICE_LITERAL("prepend"), SLICE_LITERAL("body")));
  ck_assert_ptr_null(action_find(SLICE_LITERAL("prepend"), SLICE_EMPTY));
  g_autoptr(Arena) arena = arena_new(0);
  Slice reject = action_synopsis(arena, action_find(SLICE_LITERAL("reject"), SLICE_EMPTY));
  ck_assert(slice_equal(reject, SLICE_LITERAL("reject [5NN] [5.x.y] [\"text\" ...]")));
  Slice header = action_synopsis(arena, action_find(SLICE_LITERAL("prepend"), SLICE_LITERAL("header")));
  ck_assert(slice_equal(header, SLICE_LITERAL("prepend header \"name\" \"value\"")));
  Slice accept = action_synopsis(arena, action_find(SLICE_LITERAL("accept"), SLICE_EMPTY));
  ck_assert(slice_equal(accept, SLICE_LITERAL("accept [recipient|message|session]")));
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_loop_test(tests, shape, 0, G_N_ELEMENTS(SHAPES));
  tcase_add_test(tests, values_of_literals);
  tcase_add_test(tests, statements);
  tcase_add_test(tests, depth_is_bounded);
  tcase_add_test(tests, depth_that_is_allowed);
  tcase_add_test(tests, includes_in_order);
  tcase_add_test(tests, includes_stay_in_their_folder);
  tcase_add_test(tests, includes_that_cannot_be);
  tcase_add_test(tests, include_depth);
  tcase_add_test(tests, owners_are_checked);
  tcase_add_test(tests, main_file_that_cannot_be_read);
  tcase_add_test(tests, bytes_that_no_text_has);
  tcase_add_test(tests, byte_order_mark_and_crlf);
  tcase_add_test(tests, registry_of_actions);
}

UNIT_MAIN("parser", add_tests)
