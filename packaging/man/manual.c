/*
 * manual.c: makes a manual page out of its template: prose is copied, a line "@facts@" becomes the table of facts, and so on.
 *
 *     manual TEMPLATE >PAGE
 *
 * The tables are those that the programs themselves use, so a page cannot tell another story than the program. Not installed: pages are kept
 * ready-made in packaging/man, `make manuals` makes them anew, and `make check` compares.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli/command.h"
#include "common/cli/scenario.h"
#include "common/lookup/kinds.h"
#include "common/rules/action.h"
#include "common/service/config.h"
#include "common/smtp/command.h"
#include "common/smtp/record.h"
#include "common/smtp/reply.h"

/* Text for lines of its own: no macro at its start, no escapes by accident, each sentence on a new line. */
static void print_text(const char *text) {
  if (text[0] == '.' || text[0] == '\'') {
    (void)fputs("\\&", stdout);
  }
  for (const char *byte = text; *byte != '\0'; byte++) {
    if (*byte == '\\') {
      (void)fputs("\\e", stdout);
    } else if (*byte == '\n') {
      (void)fputs("\n.Pp\n", stdout);
      while (byte[1] == '\n') {
        byte++;
      }
    } else if (byte[0] == '.' && byte[1] == ' ' && g_ascii_isupper(byte[2])) {
      (void)fputs(".\n", stdout);
      byte++;
    } else {
      (void)putchar(*byte);
    }
  }
}

/* The same as one argument of a macro. */
static void print_argument(const char *text) {
  (void)putchar('"');
  for (const char *byte = text; *byte != '\0'; byte++) {
    if (*byte == '\\') {
      (void)fputs("\\e", stdout);
    } else if (*byte == '"') {
      (void)fputs("\\(dq", stdout);
    } else if (*byte == '-') {
      (void)fputs("\\-", stdout);
    } else {
      (void)putchar(*byte);
    }
  }
  (void)putchar('"');
}

/* A sentence of the tables, which have neither capital nor full stop, on a line of its own. */
static void print_sentence(const char *text) {
  if (g_ascii_islower(text[0])) {
    (void)putchar(g_ascii_toupper(text[0]));
    text++;
  }
  print_text(text);
  (void)printf("%s\n", g_str_has_suffix(text, ".") ? "" : ".");
}

static void print_item(const char *macro, const char *name) {
  (void)printf(".It %s ", macro);
  print_argument(name);
  (void)putchar('\n');
}

static void list_begin(void) {
  (void)puts(".Bl -tag -width Ds");
}

static void list_end(void) {
  (void)puts(".El");
}

static void print_phases(PhaseSet phases) {
  g_autoptr(Arena) arena = arena_new(0);
  if (phases == PHASES_ALL) {
    (void)puts("Phases: all.");
  } else if (phases == PHASES_SINCE_HELO) {
    (void)puts("Phases: all but connect.");
  } else {
    (void)printf("Phases: %s.\n", slice_to_string(arena, phase_set_names(arena, phases)));
  }
}

static void print_phase_list(void) {
  list_begin();
  for (int phase = 0; phase < PHASE_COUNT; phase++) {
    print_item("Ic", phase_name((Phase)phase));
    print_sentence(phase_sentence((Phase)phase));
    (void)printf("SMTP: %s.\n", phase_command((Phase)phase));
  }
  list_end();
}

static const char *source_words(const char *source) {
  if (source == NULL) {
    return "never";
  }
  return source[0] == '\0' ? "by itself" : source;
}

/* The values that an element of a list of records has of its own. */
static void print_fields(RecordKind kind) {
  (void)puts("Each has:\n.Bl -tag -width Ds -compact");
  for (size_t i = 0; i < record_field_count(kind); i++) {
    const RecordField *field = record_field(kind, i);
    (void)printf(".It Va %s Pq %s\n", field->name, value_type_name(field->type));
    print_sentence(field->sentence);
  }
  (void)puts(".El");
}

static void print_facts(void) {
  g_autoptr(Arena) arena = arena_new(0);
  list_begin();
  for (int i = 0; i < FACT_COUNT; i++) {
    const FactInfo *info = fact_info((Fact)i);
    (void)printf(".It Va %s Pq %s , %s\n", info->name, fact_type_words(arena, info), scope_name(info->scope));
    print_sentence(info->sentence);
    if (info->type == TYPE_LIST && info->element_type == TYPE_RECORD) {
      print_fields(info->record);
    }
    print_phases(info->phases);
    (void)printf("Policy: %s; milter: %s; socket map: %s.\n", source_words(info->policy_source), source_words(info->milter_source),
                 source_words(info->socketmap_source));
  }
  list_end();
}

static void print_actions(void) {
  g_autoptr(Arena) arena = arena_new(0);
  list_begin();
  for (const Action *const *action = actions_all(); *action; action++) {
    print_item("Ic", slice_to_string(arena, action_synopsis(arena, *action)));
    print_sentence((*action)->sentence);
    print_phases((*action)->phases);
    (void)printf("%s\n.Dl ", (*action)->ends_phase ? "Ends the phase." : "The next rule is read.");
    print_argument((*action)->example);
    (void)putchar('\n');
  }
  list_end();
}

static void print_functions(void) {
  list_begin();
  for (const Function *const *function = functions_all(); *function; function++) {
    (void)printf(".It Ic .%s Pq of %s , is %s\n", (*function)->name, value_type_name((*function)->input),
                 value_type_name((*function)->output));
    print_sentence((*function)->sentence);
    (void)fputs("Example: ", stdout);
    print_text((*function)->example);
    (void)puts(".");
  }
  list_end();
}

static void print_tables(void) {
  list_begin();
  for (const ResourceKind *const *kind = resource_kinds(); *kind; kind++) {
    print_item("Ic", (*kind)->synopsis);
    print_sentence((*kind)->sentence);
    (void)printf("A failure does: %s, unless the rules say otherwise.\n", error_behaviour_name((*kind)->on_error));
  }
  list_end();
}

static void print_types(void) {
  list_begin();
  for (int type = 0; type < TYPE_COUNT; type++) {
    print_item("Ic", value_type_name((ValueType)type));
    print_sentence(value_type_sentence((ValueType)type));
  }
  list_end();
}

static void print_codes(void) {
  list_begin();
  for (size_t i = 0; i < reply_info_count(); i++) {
    const ReplyInfo *info = reply_info_at(i);
    (void)printf(".It Li %u\n", info->code);
    print_sentence(info->meaning);
    (void)printf("Answers: %s.\n", info->commands);
    if (info->sender == REPLY_BY_POLICY && info->legal != 0) {
      print_phases(info->legal);
    } else {
      (void)puts("Only the mail server sends it.");
    }
  }
  list_end();
}

static void print_enhanced(void) {
  list_begin();
  for (size_t i = 0; i < enhanced_info_count(); i++) {
    const EnhancedInfo *info = enhanced_info_at(i);
    (void)printf(".It Li X.%u.%u\n", info->subject, info->detail);
    print_sentence(info->meaning);
    if (info->codes[0] != '\0') {
      (void)printf("Registered with: %s.\n", info->codes);
    }
  }
  list_end();
}

static void print_door(Door door) {
  list_begin();
  for (int phase = 0; phase < PHASE_COUNT; phase++) {
    const Capability *row = capability(door, (Phase)phase);
    (void)printf(".It Ic %s%s\n", phase_name((Phase)phase), row->seen ? "" : " Pq not seen");
    (void)fputs("Postfix: ", stdout);
    print_text(row->postfix);
    (void)puts(".");
    if (row->sendmail[0] != '\0') {
      (void)fputs("Sendmail: ", stdout);
      print_text(row->sendmail);
      (void)puts(".");
    }
  }
  list_end();
}

static void print_policy_door(void) {
  print_door(DOOR_POLICY);
}

static void print_milter_door(void) {
  print_door(DOOR_MILTER);
}

static void print_socketmap_door(void) {
  print_door(DOOR_SOCKETMAP);
}

static void print_place(const SmtpCommandAt *at, Mta mta) {
  g_autoptr(Arena) arena = arena_new(0);
  (void)printf("%s", mta_title(mta));
  for (int door = 0, count = 0; door < DOOR_COUNT; door++) {
    if (at->doors & DOOR_BIT(door)) {
      (void)printf("%s %s", count++ > 0 ? " and" : ", through", door_name((Door)door));
    }
  }
  if (at->phases != 0) {
    (void)printf(" at %s", slice_to_string(arena, phase_set_names(arena, at->phases)));
  }
  (void)fputs(": ", stdout);
  print_text(at->sentence);
  (void)puts(".");
}

static void print_smtp_commands(void) {
  list_begin();
  for (int command = 0; command < SMTP_COMMAND_COUNT; command++) {
    const SmtpCommandInfo *info = smtp_command_info((SmtpCommand)command);
    print_item("Li", info->name);
    print_sentence(info->sentence);
    for (int mta = 0; mta < MTA_COUNT; mta++) {
      SmtpCommandAt at = smtp_command_at((SmtpCommand)command, (Mta)mta);
      print_place(&at, (Mta)mta);
    }
  }
  list_end();
}

static void print_options(const CommandOption *options) {
  if (options == NULL) {
    return;
  }
  list_begin();
  for (const CommandOption *option = options; option->flag; option++) {
    (void)printf(".It Fl %s%s%s\n", option->flag + 1, option->value ? " Ar " : "", option->value ? option->value : "");
    print_sentence(option->sentence);
  }
  list_end();
}

static void print_commands(void) {
  list_begin();
  for (const Command *const *command = commands_all(); *command; command++) {
    g_autofree char *usage = g_strdup_printf("%s %s", (*command)->name, (*command)->synopsis);
    print_item("Ic", g_strchomp(usage));
    print_sentence((*command)->sentence);
    if ((*command)->description[0] != '\0') {
      (void)puts(".Pp");
      print_text((*command)->description);
      (void)putchar('\n');
    }
    print_options((*command)->options);
  }
  list_end();
}

static void print_flags(void) {
  size_t count;
  const ConfigFlag *flags = config_flags(&count);
  list_begin();
  for (size_t i = 0; i < count; i++) {
    (void)printf(".It Fl %s%s%s\n", flags[i].flag + 1, flags[i].value[0] != '\0' ? " Ar " : "", flags[i].value);
    print_sentence(flags[i].sentence);
  }
  list_end();
}

static void print_settings(const char *group) {
  size_t count;
  const ConfigSetting *settings = config_settings(&count);
  list_begin();
  for (size_t i = 0; i < count; i++) {
    if (strcmp(settings[i].group, group) != 0) {
      continue;
    }
    (void)printf(".It Va %s Pq %s\n", settings[i].key, setting_kind_name(settings[i].kind));
    print_sentence(settings[i].sentence);
    if (settings[i].choices[0] != '\0') {
      (void)printf("Choices: %s.\n", settings[i].choices);
    }
    if (settings[i].default_text[0] != '\0') {
      (void)fputs("Default: ", stdout);
      print_text(settings[i].default_text);
      (void)puts(".");
    }
  }
  list_end();
}

static void print_common_settings(void) {
  print_settings("mailreeve");
}

static void print_policy_settings(void) {
  print_settings("policy");
}

static void print_milter_settings(void) {
  print_settings("milter");
}

static void print_steps(void) {
  list_begin();
  for (int kind = 0; kind < STEP_COUNT; kind++) {
    print_item("Ic", step_info((StepKind)kind)->synopsis);
    print_sentence(step_info((StepKind)kind)->sentence);
  }
  list_end();
}

/* What a client hears when a daemon fails: tested, row by row, against real mail servers. */
static const struct FailureRow {
  Door door;
  const char *mta, *setting, *what, *heard;
} failures[] = {
#define FAILURE(door, mta, setting, what, heard) {DOOR_##door, #mta, setting, what, heard},
#include "packaging/man/failure.def"
#undef FAILURE
};

static bool is_same_setting(const struct FailureRow *a, const struct FailureRow *b) {
  return a->door == b->door && strcmp(a->mta, b->mta) == 0 && strcmp(a->setting, b->setting) == 0;
}

/* The setting's rows from the first on that have its answer, as one item; nothing when an earlier row has told it. */
static void print_failure(size_t first, size_t row) {
  for (size_t i = first; i < row; i++) {
    if (strcmp(failures[i].heard, failures[row].heard) == 0) {
      return;
    }
  }
  (void)fputs(".It ", stdout);
  for (size_t i = row; i < G_N_ELEMENTS(failures) && is_same_setting(&failures[i], &failures[row]); i++) {
    if (strcmp(failures[i].heard, failures[row].heard) == 0) {
      (void)printf("%s%s", i == row ? "" : ", ", failures[i].what);
    }
  }
  (void)putchar('\n');
  print_text(failures[row].heard);
  (void)putchar('\n');
}

static void print_failures(Door door, const char *mta) {
  size_t first = 0;
  for (size_t i = 0; i < G_N_ELEMENTS(failures); i++) {
    if (failures[i].door != door || strcmp(failures[i].mta, mta) != 0) {
      continue;
    }
    if (i == 0 || !is_same_setting(&failures[i - 1], &failures[i])) {
      first = i;
      (void)printf(".Ss %s\n", failures[i].setting);
      list_begin();
    }
    print_failure(first, i);
    if (i + 1 == G_N_ELEMENTS(failures) || !is_same_setting(&failures[i], &failures[i + 1])) {
      list_end();
    }
  }
}

static void print_failures_policy(void) {
  print_failures(DOOR_POLICY, "Postfix");
}

static void print_failures_milter_postfix(void) {
  print_failures(DOOR_MILTER, "Postfix");
}

static void print_failures_milter_sendmail(void) {
  print_failures(DOOR_MILTER, "Sendmail");
}

static void print_failures_socketmap(void) {
  print_failures(DOOR_SOCKETMAP, "Sendmail");
}

static const struct {
  const char *line;
  void (*print)(void);
} parts[] = {
    {"@phases@", print_phase_list},
    {"@facts@", print_facts},
    {"@actions@", print_actions},
    {"@functions@", print_functions},
    {"@tables@", print_tables},
    {"@types@", print_types},
    {"@codes@", print_codes},
    {"@enhanced@", print_enhanced},
    {"@door policy@", print_policy_door},
    {"@door milter@", print_milter_door},
    {"@door socketmap@", print_socketmap_door},
    {"@smtp commands@", print_smtp_commands},
    {"@commands@", print_commands},
    {"@steps@", print_steps},
    {"@flags@", print_flags},
    {"@settings mailreeve@", print_common_settings},
    {"@settings policy@", print_policy_settings},
    {"@settings milter@", print_milter_settings},
    {"@failures policy@", print_failures_policy},
    {"@failures milter Postfix@", print_failures_milter_postfix},
    {"@failures milter Sendmail@", print_failures_milter_sendmail},
    {"@failures socketmap@", print_failures_socketmap},
};

/* False for a line of the form "@...@" that names no part. */
static bool print_line(const char *line) {
  for (size_t i = 0; i < G_N_ELEMENTS(parts); i++) {
    if (strcmp(line, parts[i].line) == 0) {
      parts[i].print();
      return true;
    }
  }
  if (line[0] == '@') {
    return false;
  }
  (void)puts(line);
  return true;
}

int main(int argc, char **argv) {
  if (argc != 2) {
    (void)fprintf(stderr, "usage: manual TEMPLATE\n");
    return EXIT_USAGE;
  }
  g_autofree char *text = NULL;
  g_autoptr(GError) error = NULL;
  if (!g_file_get_contents(argv[1], &text, NULL, &error)) {
    (void)fprintf(stderr, "manual: %s\n", error->message);
    return EXIT_USAGE;
  }
  g_auto(GStrv) lines = g_strsplit(g_strchomp(text), "\n", -1);
  for (size_t i = 0; lines[i]; i++) {
    if (!print_line(lines[i])) {
      (void)fprintf(stderr, "manual: %s:%zu: there is no part %s\n", argv[1], i + 1, lines[i]);
      return EXIT_RULES;
    }
  }
  return fflush(stdout) == 0 && !ferror(stdout) ? EXIT_GOOD : EXIT_USAGE;
}
