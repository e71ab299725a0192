/*
 * scenario_parse.c: the text of a scenario -> Scenario. What is expected of a step is read in scenario_expect.c, the steps in scenario_step.c.
 */
#include "common/cli/scenario_internal.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/rules/source.h"

const Word *line_need_end(Parser *parser, WordLine *line) {
  const Word *more = line_peek(line);
  if (more && line->good) {
    line_error(&parser->reader, line, more->span, "the end of the line", "%s is too much", more->text);
  }
  return more;
}

/* ---- blocks of text ---- */

/* The lines up to a '}' that stands first in its line; *body covers them. */
static bool read_raw_block(Parser *parser, SourceSpan opened, SourceSpan *body) {
  SourceSpan line;
  size_t start = parser->reader.offset;
  while (line_reader_raw(&parser->reader, &line)) {
    Slice text = source_slice(line);
    if (text.length > 0 && text.data[0] == '}' && slice_trim(slice_from_offset(text, 1)).length == 0) {
      *body = source_span(parser->reader.source, start, line.offset);
      return true;
    }
  }
  Diagnostic *diagnostic = diagnostics_error(parser->reader.diagnostics, opened, "the block does not end");
  diagnostic_expected(parser->reader.diagnostics, diagnostic, "expected a line that is only '}', at its start");
  return false;
}

/* The rules with an empty line for each line before them, so that places in diagnostics and ids are those of the scenario. */
static const char *rules_in_place(Parser *parser, SourceSpan body) {
  unsigned line, column;
  source_position(body, &line, &column);
  Slice text = source_slice(body);
  char *padded = arena_alloc_text(parser->reader.arena, line + text.length + 1);
  memset(padded, '\n', line - 1);
  if (text.length > 0) {
    memcpy(padded + line - 1, text.data, text.length);
  }
  padded[line - 1 + text.length] = '\0';
  return padded;
}

static void read_rules(Parser *parser, WordLine *line) {
  Scenario *scenario = parser->scenario;
  ScenarioRules rules = {.span = line->span};
  SourceSpan body;
  if (line_take(line, "{")) {
    (void)line_need_end(parser, line);
    if (!read_raw_block(parser, line->span, &body)) {
      return;
    }
    rules.text = rules_in_place(parser, body);
  } else if (line_take(line, "from")) {
    const Word *path = line_need_quoted(&parser->reader, line, "the rules file in quotes, from the scenario's folder on");
    if (path == NULL || line_need_end(parser, line)) {
      return;
    }
    rules.path = path->text;
  } else {
    line_error(&parser->reader, line, line_place(line), "rules { or rules from \"FILE\"", "which rules?");
    return;
  }
  if (scenario->rules_count == SCENARIO_RULES_MAX) {
    line_error(&parser->reader, line, line->span, NULL, "more than %d rules in one scenario", (int)SCENARIO_RULES_MAX);
    return;
  }
  scenario->rules[scenario->rules_count++] = rules;
}

static bool file_name_is_good(const char *name) {
  if (name[0] == '\0' || name[0] == '/') {
    return false;
  }
  g_auto(GStrv) parts = g_strsplit(name, "/", -1);
  for (char **part = parts; *part; part++) {
    if ((*part)[0] == '\0' || strcmp(*part, ".") == 0 || strcmp(*part, "..") == 0) {
      return false;
    }
  }
  return true;
}

static void read_file(Parser *parser, WordLine *line) {
  const Word *name = line_need_quoted(&parser->reader, line, "file \"NAME\" {");
  SourceSpan body;
  if (name == NULL) {
    return;
  }
  if (!line_take(line, "{")) {
    line_error(&parser->reader, line, line_place(line), "file \"NAME\" {", "the file's text does not begin");
    return;
  }
  (void)line_need_end(parser, line);
  if (!read_raw_block(parser, line->span, &body)) {
    return;
  }
  if (!file_name_is_good(name->text)) {
    line_error(&parser->reader, line, name->span, "a name like our-nets or rules.d/10-own.rules",
               "this is no file of the scenario's folder");
    return;
  }
  ScenarioFile *file = ARENA_NEW(parser->reader.arena, ScenarioFile);
  *file = (ScenarioFile){.span = line->span, .name = name->text, .text = source_slice(body)};
  ScenarioFile **place = &parser->scenario->files;
  while (*place) {
    if (strcmp((*place)->name, file->name) == 0) {
      line_error(&parser->reader, line, name->span, NULL, "there is a file of this name already");
      return;
    }
    place = &(*place)->next;
  }
  *place = file;
}

/* ---- dns ---- */

static const char *const dns_words[] = {"A", "AAAA", "TXT", "fails", "silent", NULL};

static bool dns_value_fits(DnsWord word, const char *value) {
  IpAddress address;
  switch (word) {
    case DNS_A:
      return ip_parse(slice_from(value), &address) && address.family == 4;
    case DNS_AAAA:
      return ip_parse(slice_from(value), &address) && address.family == 6;
    case DNS_TXT:
    case DNS_FAILS:
    case DNS_SILENT:
      return true;
  }
  g_assert_not_reached();
}

static ScenarioDns *read_dns_line(Parser *parser, WordLine *line) {
  LineReader *reader = &parser->reader;
  static const char form[] = "NAME A ADDRESS | AAAA ADDRESS | TXT \"TEXT\" | fails REASON | silent";
  const Word *name = line_need(reader, line, form);
  const Word *kind = name ? line_need(reader, line, form) : NULL;
  if (kind == NULL) {
    return NULL;
  }
  int word = DNS_A;
  while (dns_words[word] && strcmp(dns_words[word], kind->text) != 0) {
    word++;
  }
  if (dns_words[word] == NULL) {
    line_error(reader, line, kind->span, form, "%s is no kind of answer", kind->text);
    return NULL;
  }
  const Word *value = word == DNS_SILENT ? NULL : line_need(reader, line, word == DNS_FAILS ? "a reason, as SERVFAIL" : form);
  if (word != DNS_SILENT && value == NULL) {
    return NULL;
  }
  if (value && !dns_value_fits((DnsWord)word, value->text)) {
    line_error(reader, line, value->span, word == DNS_A ? "an IPv4 address" : "an IPv6 address", "%s is no such address", value->text);
    return NULL;
  }
  if (line_need_end(parser, line)) {
    return NULL;
  }
  ScenarioDns *answer = ARENA_NEW(reader->arena, ScenarioDns);
  *answer = (ScenarioDns){.span = line->span, .name = name->text, .word = (DnsWord)word, .value = value ? value->text : NULL};
  return answer;
}

/* Lines of answers: up to '}' in a block, else to the end. */
static void read_dns_lines(Parser *parser, bool block, SourceSpan opened, ScenarioDns **answers) {
  WordLine line;
  while (*answers) {
    answers = &(*answers)->next;
  }
  while (line_reader_words(&parser->reader, &line)) {
    if (block && line_take(&line, "}")) {
      (void)line_need_end(parser, &line);
      return;
    }
    ScenarioDns *answer = line.good ? read_dns_line(parser, &line) : NULL;
    if (answer) {
      *answers = answer;
      answers = &answer->next;
    }
  }
  if (block) {
    Diagnostic *diagnostic = diagnostics_error(parser->reader.diagnostics, opened, "the block does not end");
    diagnostic_expected(parser->reader.diagnostics, diagnostic, "expected a line that is only '}'");
  }
}

static bool take_brace(Parser *parser, WordLine *line) {
  if (!line_take(line, "{")) {
    line_error(&parser->reader, line, line_place(line), "'{' at the end of the line", "the block does not begin");
    return false;
  }
  return line_need_end(parser, line) == NULL;
}

static void read_dns(Parser *parser, WordLine *line) {
  if (take_brace(parser, line)) {
    read_dns_lines(parser, true, line->span, &parser->scenario->dns);
  }
}

/* ---- settings ---- */

static void read_server(Parser *parser, WordLine *line) {
  const Word *name = line_need(&parser->reader, line, "the server's name");
  if (name && !line_need_end(parser, line)) {
    parser->scenario->server_name = name->text;
  }
}

static void read_service(Parser *parser, WordLine *line) {
  const Word *name = line_need_quoted(&parser->reader, line, "the service's name in quotes");
  if (name && !line_need_end(parser, line)) {
    parser->scenario->service = name->text;
  }
}

bool parse_moment(Parser *parser, WordLine *line, const Word *word, int64_t *unix_seconds) {
  Clock *clock = clock_manual_new(0);
  bool good = clock_parse(clock, slice_from(word->text), unix_seconds);
  clock_free(clock);
  if (!good) {
    line_error(&parser->reader, line, word->span, "\"YYYY-MM-DD HH:MM\"", "%s is no time", word->text);
  }
  return good;
}

static void read_clock(Parser *parser, WordLine *line) {
  const Word *word = line_need_quoted(&parser->reader, line, "\"YYYY-MM-DD HH:MM\"");
  int64_t time;
  if (word && parse_moment(parser, line, word, &time) && !line_need_end(parser, line)) {
    parser->scenario->clock = time;
  }
}

/* ---- sessions ---- */

bool parse_doors(Parser *parser, WordLine *line, DoorSet *doors, bool *through_mta) {
  *doors = 0;
  const char *expected = through_mta ? "policy, milter, socketmap or mta" : "policy, milter or socketmap";
  for (;;) {
    const Word *word = line_need(&parser->reader, line, expected);
    if (word == NULL) {
      return false;
    }
    Slice name = slice_from(word->text);
    bool more = name.length > 0 && name.data[name.length - 1] == ',';
    name.length -= more;
    Door door;
    if (door_from_name(name, &door)) {
      *doors |= DOOR_BIT(door);
    } else if (through_mta && slice_equal(name, SLICE_LITERAL("mta"))) {
      *through_mta = true;
    } else {
      line_error(&parser->reader, line, word->span, expected, "%.*s is no door", SLICE_ARGS(name));
      return false;
    }
    if (!more) {
      break;
    }
  }
  if (*doors == 0 && through_mta == NULL) {
    *doors = DOORS_ALL;
  }
  return true;
}

/* Of a session that names none: all but socket maps that would be asked nothing. */
static DoorSet doors_of_steps(const ScenarioSession *session) {
  DoorSet doors = DOOR_BIT(DOOR_POLICY) | DOOR_BIT(DOOR_MILTER);
  for (const ScenarioStep *step = session->steps; step; step = step->next) {
    doors |= step->doors & step_doors(step->kind, step->text);
  }
  return doors;
}

static void check_session(Parser *parser, const ScenarioSession *session) {
  const ScenarioStep *step = session->steps;
  while (step && !step_info(step->kind)->asks) {
    step = step->next;
  }
  if (step == NULL || step->kind != STEP_CLIENT) {
    Diagnostic *diagnostic = diagnostics_error(parser->reader.diagnostics, step ? step->span : session->span, "nobody has connected");
    diagnostic_expected(parser->reader.diagnostics, diagnostic, "expected %s", step_info(STEP_CLIENT)->synopsis);
  }
}

static void read_session(Parser *parser, WordLine *line) {
  Scenario *scenario = parser->scenario;
  ScenarioSession *session = ARENA_NEW(parser->reader.arena, ScenarioSession);
  *session = (ScenarioSession){.span = line->span, .title = ""};
  const Word *title = line_need_quoted(&parser->reader, line, "session \"TITLE\" [through DOOR] {");
  if (title) {
    session->title = title->text;
  }
  if (title && line_take(line, "through")) {
    (void)parse_doors(parser, line, &session->doors, &session->through_mta);
  }
  if (line->good) {
    (void)take_brace(parser, line);
  }
  if (scenario->rules_count == 0) {
    line_error(&parser->reader, line, line->span, "rules { ... } before the first session", "the session has no rules");
  } else {
    session->rules = scenario->rules_count - 1;
  }
  size_t errors = diagnostics_error_count(parser->reader.diagnostics);
  read_steps(parser, session, line->span);
  session->doors = session->doors ? session->doors : doors_of_steps(session);
  if (diagnostics_error_count(parser->reader.diagnostics) == errors) {
    check_session(parser, session);
  }
  ScenarioSession **place = &scenario->sessions;
  while (*place) {
    place = &(*place)->next;
  }
  *place = session;
}

/* ---- the file ---- */

typedef struct Section {
  const char *word;
  void (*read)(Parser *parser, WordLine *line);
} Section;

static void read_section(Parser *parser, WordLine *line) {
  static const Section sections[] = {{"rules", read_rules},     {"file", read_file},   {"dns", read_dns},        {"server", read_server},
                                     {"service", read_service}, {"clock", read_clock}, {"session", read_session}};
  static const char *const words[] = {"rules", "file", "dns", "server", "service", "clock", "session", NULL};
  for (size_t i = 0; i < G_N_ELEMENTS(sections); i++) {
    if (line_take(line, sections[i].word)) {
      sections[i].read(parser, line);
      return;
    }
  }
  const char *nearest = nearest_name(slice_from(line->words[0].text), words);
  g_autofree char *expected =
      g_strdup_printf("rules, file, dns, server, service, clock or session%s%s", nearest ? "; nearest: " : "", nearest ? nearest : "");
  line_error(&parser->reader, line, line->words[0].span, expected, "%s begins nothing", line->words[0].text);
}

static void parser_init(Parser *parser, Arena *arena, const SourceText *source, Diagnostics *diagnostics) {
  *parser = (Parser){.reader = {.arena = arena, .diagnostics = diagnostics, .source = source}};
}

Scenario *scenario_parse(Arena *arena, const char *path, const SourceText *source, Diagnostics *diagnostics) {
  size_t errors = diagnostics_error_count(diagnostics);
  if (!source_check(source, diagnostics)) {
    return NULL;
  }
  Parser parser;
  parser_init(&parser, arena, source, diagnostics);
  Scenario *scenario = parser.scenario = ARENA_NEW(arena, Scenario);
  *scenario = (Scenario){.path = path, .source = source, .server_name = SCENARIO_SERVER_NAME};
  Clock *clock = clock_manual_new(0);
  (void)clock_parse(clock, SLICE_LITERAL(SCENARIO_CLOCK), &scenario->clock);
  clock_free(clock);
  WordLine line;
  while (line_reader_words(&parser.reader, &line)) {
    if (line.good) {
      read_section(&parser, &line);
    }
  }
  find_contents(&parser);
  if (scenario->sessions == NULL && diagnostics_error_count(diagnostics) == errors) {
    Diagnostic *diagnostic =
        diagnostics_error(diagnostics, source_span(source, source->text.length, source->text.length), "there is no session");
    diagnostic_expected(diagnostics, diagnostic, "expected session \"TITLE\" {");
  }
  return diagnostics_error_count(diagnostics) == errors ? scenario : NULL;
}

bool scenario_parse_dns(Arena *arena, const SourceText *source, Diagnostics *diagnostics, ScenarioDns **answers) {
  *answers = NULL;
  if (!source_check(source, diagnostics)) {
    return false;
  }
  Parser parser;
  parser_init(&parser, arena, source, diagnostics);
  read_dns_lines(&parser, false, (SourceSpan){source, 0, 0}, answers);
  return diagnostics_error_count(diagnostics) == 0;
}
