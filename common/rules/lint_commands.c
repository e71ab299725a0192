/*
 * lint_commands.c: warnings about rules that ask for a command which never comes where they stand, comes from one mail server only, or cannot be answered so.
 *
 * `command == "VRFY"`, `command in { ... }` and `command ~ /^VRFY/` at expn and unknown, against the table of SMTP commands. A rule of both phases is told of
 * only when the command comes at neither.
 */
#include "common/rules/check_internal.h"
#include "common/smtp/command.h"

extern const Action action_tempfail, action_reject;

typedef struct CommandLint {
  Checker *checker;
  GHashTable *told; /* places of what is compared: a rule of two phases is told of once */
  Phase phase;
  const Statement *statement;
  const Expression *comparison; /* what reads `command` now */
} CommandLint;

/* The mail servers that can be at the other side: those that have an enabled door to themselves; all with an enabled door when there is no such one. */
static bool is_in_use(DoorSet enabled, Mta mta) {
  bool own = false, others_own = false;
  for (Mta each = 0; each < MTA_COUNT; each++) {
    DoorSet others = 0;
    for (Mta other = 0; other < MTA_COUNT; other++)
      if (other != each)
        others |= mta_doors(other);
    if (mta_doors(each) & enabled & (DoorSet)~others)
      *(each == mta ? &own : &others_own) = true;
  }
  return own || (!others_own && (mta_doors(mta) & enabled));
}

/* The same rule may stand at several phases: it was written once. */
static bool stands_at(const CommandLint *lint, Phase phase) {
  const Program *program = lint->checker->program;
  SourceSpan wanted = program_span(program, lint->phase, lint->statement);
  for (size_t i = 0; i < program->phases[phase].count; i++) {
    SourceSpan span = program_span(program, phase, &program->phases[phase].statements[i]);
    if (span.source == wanted.source && span.offset == wanted.offset)
      return true;
  }
  return false;
}

static bool comes_here(const CommandLint *lint, SmtpCommandAt at) {
  if (!(at.doors & lint->checker->options->enabled_doors))
    return false;
  for (Phase phase = 0; phase < PHASE_COUNT; phase++)
    if ((at.phases & PHASE_BIT(phase)) && stands_at(lint, phase))
      return true;
  return false;
}

/* "Postfix asks about it at vrfy through policy", or the table's reason why nobody is asked. */
static void say_place(GString *text, SmtpCommandAt at, Mta mta) {
  g_string_append_printf(text, "%s%s", text->len > 0 ? "; " : "", mta_title(mta));
  if (at.doors == 0) {
    g_string_append_printf(text, ": %s", at.sentence);
    return;
  }
  g_autoptr(Arena) arena = arena_new(0);
  Slice phases = phase_set_names(arena, at.phases);
  g_string_append_printf(text, " asks about it at %.*s through", SLICE_ARGS(phases));
  for (int door = 0, count = 0; door < DOOR_COUNT; door++)
    if (at.doors & DOOR_BIT(door))
      g_string_append_printf(text, "%s %s", count++ > 0 ? " or" : "", door_name((Door)door));
}

static void tell(const CommandLint *lint, const char *expected, const char *format, ...) G_GNUC_PRINTF(3, 4);

static void tell(const CommandLint *lint, const char *expected, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  g_autofree char *message = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  Diagnostic *told = diagnostics_warning(lint->checker->diagnostics, node_of(lint->checker, lint->comparison)->span, "%s", message);
  diagnostic_expected(lint->checker->diagnostics, told, "%s", expected);
}

/* True when the rule refuses with something that the client never hears in answer to this command. */
static bool is_not_heard(const CommandLint *lint, SmtpCommandAt at) {
  const Rule *rule = lint->statement->kind == STATEMENT_RULE ? lint->statement->rule : NULL;
  if (!rule || rule->observe)
    return false;
  return (rule->action == &action_reject && !(at.outcomes & OUTCOME_BIT(OUTCOME_REJECT))) ||
         (rule->action == &action_tempfail && !(at.outcomes & OUTCOME_BIT(OUTCOME_TEMPFAIL)));
}

static void lint_verb(Slice line, CommandLint *lint) {
  SmtpCommand command = smtp_command_of_line(line);
  if (command == SMTP_COMMAND_OTHER)
    return;
  const char *name = smtp_command_info(command)->name;
  bool comes = false;
  g_autoptr(GString) places = g_string_new(NULL);
  for (Mta mta = 0; mta < MTA_COUNT; mta++) {
    if (!is_in_use(lint->checker->options->enabled_doors, mta))
      continue;
    SmtpCommandAt at = smtp_command_at(command, mta);
    comes |= comes_here(lint, at);
    say_place(places, at, mta);
  }
  if (!comes) {
    tell(lint, places->str, "%s never comes at %s", name, phase_name(lint->phase));
    return;
  }
  for (Mta mta = 0; mta < MTA_COUNT; mta++) {
    SmtpCommandAt at = smtp_command_at(command, mta);
    if (!is_in_use(lint->checker->options->enabled_doors, mta))
      continue;
    g_autoptr(GString) place = g_string_new(NULL);
    say_place(place, at, mta);
    g_autofree char *reason = g_strdup_printf("%s: %s", mta_title(mta), at.sentence);
    if (!comes_here(lint, at))
      tell(lint, place->str, "%s never asks about %s at %s through the doors in use", mta_title(mta), name, phase_name(lint->phase));
    else if (is_not_heard(lint, at))
      tell(lint, reason, "%s does not say \"%s\" in answer to %s", mta_title(mta), lint->statement->rule->action->name, name);
  }
}

/* The verb that a regex begins with: "^VRFY", "^VRFY\b" and the like; empty when there is no such one. */
static Slice verb_of_regex(Slice pattern) {
  if (pattern.length < 2 || pattern.data[0] != '^' || slice_find(pattern, '|') >= 0)
    return SLICE_EMPTY;
  size_t end = 1;
  while (end < pattern.length && g_ascii_isalpha(pattern.data[end]))
    end++;
  bool ends = end == pattern.length || pattern.data[end] == ' ' || pattern.data[end] == '$' ||
              (pattern.data[end] == '\\' && end + 1 < pattern.length && strchr("bs", pattern.data[end + 1]));
  return ends ? slice_make(pattern.data + 1, end - 1) : SLICE_EMPTY;
}

static bool is_command(const Expression *expression) {
  return expression && expression->kind == EXPRESSION_FACT && expression->as.fact == FACT_COMMAND;
}

static bool first_time(const CommandLint *lint, const Expression *comparison) {
  return g_hash_table_add(lint->told, (gpointer)node_source(node_of(lint->checker, comparison)).data);
}

static void visit_entry(Slice entry, const Value *value, void *lint) {
  (void)value;
  lint_verb(entry, lint);
}

static void lint_comparison(CommandLint *lint, const Expression *expression) {
  const Expression *other = is_command(expression->left) ? expression->right : expression->left;
  if ((!is_command(expression->left) && !is_command(expression->right)) || !first_time(lint, expression))
    return;
  lint->comparison = expression;
  if (expression->kind == EXPRESSION_IN_SET)
    keyset_each(expression->as.keyset, visit_entry, lint);
  else if (expression->kind == EXPRESSION_MATCH)
    lint_verb(verb_of_regex(expression->as.regex->pattern), lint);
  else if (expression->kind == EXPRESSION_COMPARE && expression->as.compare == COMPARE_EQUAL && other && other->kind == EXPRESSION_LITERAL)
    lint_verb(other->as.literal.as.text, lint);
}

static void lint_condition(CommandLint *lint, const Expression *expression) {
  if (!expression)
    return;
  lint_comparison(lint, expression);
  lint_condition(lint, expression->left);
  lint_condition(lint, expression->right);
}

void lint_commands(Checker *checker) {
  CommandLint lint = {.checker = checker, .told = g_hash_table_new(NULL, NULL)};
  for (Phase phase = 0; phase < PHASE_COUNT; phase++) {
    if (!(fact_info(FACT_COMMAND)->phases & PHASE_BIT(phase)))
      continue;
    lint.phase = phase;
    const PhaseProgram *program = &checker->program->phases[phase];
    for (size_t i = 0; i < program->count; i++) {
      lint.statement = &program->statements[i];
      lint_condition(&lint, lint.statement->condition);
    }
  }
  g_hash_table_unref(lint.told);
}
