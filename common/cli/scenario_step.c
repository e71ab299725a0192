/*
 * scenario_step.c: the steps of a session: reading them and printing them.
 */
#include <string.h>

#include "common/base/mailaddress.h"
#include "common/cli/scenario_internal.h"
#include "common/smtp/capability.h"

const StepInfo *step_info(StepKind kind) {
  static const StepInfo infos[] = {
#define STEP(symbol, word, asks, synopsis, sentence) {#word, asks, synopsis, sentence},
#include "common/cli/step.def"
#undef STEP
  };
  return &infos[kind];
}

const char *fact_said_elsewhere(Fact fact) {
  static const struct {
    Fact fact;
    const char *where;
  } elsewhere[] = {
      {FACT_CLIENT_ADDRESS, "client"},
      {FACT_CLIENT_PORT, "client"},
      {FACT_CLIENT_NAME, "client"},
      {FACT_REVERSE_CLIENT_NAME, "client"},
      {FACT_HELO_NAME, "helo or ehlo"},
      {FACT_PROTOCOL_NAME, "helo or ehlo"},
      {FACT_SENDER, "mail"},
      {FACT_SIZE, "mail"},
      {FACT_RECIPIENT, "rcpt"},
      {FACT_RECIPIENT_COUNT, "rcpt"},
      {FACT_MESSAGE_SIZE, "message"},
      {FACT_RECIPIENTS, "rcpt"},
      {FACT_HEADER, "message"},
      {FACT_HEADER_FROM, "message"},
      {FACT_HEADER_SENDER, "message"},
      {FACT_HEADER_REPLY_TO, "message"},
      {FACT_HEADER_TO, "message"},
      {FACT_HEADER_CC, "message"},
      {FACT_HEADER_COUNT, "message"},
      {FACT_HEADER_DUPLICATES, "message"},
      {FACT_RECEIVED_COUNT, "message"},
      {FACT_ATTACHMENT, "message"},
      {FACT_BODY, "message"},
      {FACT_BODY_TRUNCATED, "message"},
      {FACT_ETRN_DOMAIN, "etrn"},
      {FACT_COMMAND, "unknown"},
      {FACT_TIME, "clock"},
      {FACT_DATE, "clock"},
      {FACT_WEEKDAY, "clock"},
      {FACT_SERVER_NAME, "server"},
      {FACT_POLICY_CONTEXT, "set service"},
  };
  for (size_t i = 0; i < G_N_ELEMENTS(elsewhere); i++) {
    if (elsewhere[i].fact == fact) {
      return elsewhere[i].where;
    }
  }
  return NULL;
}

Phase step_phase(StepKind kind, const char *text) {
  switch (kind) {
    case STEP_CLIENT:
      return PHASE_CONNECT;
    case STEP_HELO:
    case STEP_EHLO:
      return PHASE_HELO;
    case STEP_MAIL:
      return PHASE_MAIL;
    case STEP_RCPT:
      return PHASE_RCPT;
    case STEP_DATA:
      return PHASE_DATA;
    case STEP_MESSAGE:
      return PHASE_EOM;
    case STEP_VRFY:
      return PHASE_VRFY;
    case STEP_ETRN:
      return PHASE_ETRN;
    case STEP_UNKNOWN:
      return text && g_ascii_strncasecmp(text, "EXPN", 4) == 0 ? PHASE_EXPN : PHASE_UNKNOWN;
    case STEP_RSET:
    case STEP_QUIT:
    case STEP_SET:
    case STEP_UNSET:
    case STEP_CLOCK:
      return PHASE_COUNT;
  }
  g_assert_not_reached();
}

DoorSet step_doors(StepKind kind, const char *text) {
  Phase phase = step_phase(kind, text);
  if (phase == PHASE_COUNT) {
    return 0;
  }
  if (phase == PHASE_CONNECT || phase == PHASE_HELO) {
    return DOOR_BIT(DOOR_MILTER); /* the policy door is asked when there is a sender or a recipient, and tells then */
  }
  DoorSet doors = 0;
  for (int door = 0; door < DOOR_COUNT; door++) {
    doors |= capability((Door)door, phase)->seen ? DOOR_BIT(door) : 0;
  }
  return doors;
}

/* ---- arguments ---- */

static bool read_number(Parser *parser, WordLine *line, ValueType type, int64_t *number) {
  const Word *word = line_need(&parser->reader, line, "a number");
  Value value;
  const char *problem;
  Slice right_form;
  if (word == NULL) {
    return false;
  }
  if (!value_parse(parser->reader.arena, type, slice_from(word->text), &value, &problem, &right_form) || value.as.number <= 0) {
    line_error(&parser->reader, line, word->span, type == TYPE_SIZE ? "bytes: 2500 or 10M" : "a whole number above 0",
               "%s is no such number", word->text);
    return false;
  }
  *number = value.as.number;
  return true;
}

static bool read_client(Parser *parser, WordLine *line, ScenarioStep *step) {
  const Word *address = line_need(&parser->reader, line, "the client's IP address");
  IpAddress ip;
  if (address == NULL) {
    return false;
  }
  if (!ip_parse(slice_from(address->text), &ip)) {
    line_error(&parser->reader, line, address->span, "an IPv4 or IPv6 address", "%s is no IP address", address->text);
    return false;
  }
  step->text = address->text;
  for (;;) {
    if (line_take(line, "name") || line_take(line, "reverse")) {
      bool is_name = strcmp(line->words[line->at - 1].text, "name") == 0;
      const Word *name = line_need(&parser->reader, line, "a host name");
      if (name == NULL) {
        return false;
      }
      *(is_name ? &step->name : &step->reverse) = name->text;
    } else if (line_take(line, "port")) {
      if (!read_number(parser, line, TYPE_INT, &step->number)) {
        return false;
      }
    } else {
      return true;
    }
  }
}

static bool read_address(Parser *parser, WordLine *line, ScenarioStep *step) {
  const Word *word = line_need(&parser->reader, line, "<ADDRESS>");
  MailAddress address;
  if (word == NULL) {
    return false;
  }
  if (word->quoted || word->text[0] != '<' || !mail_address_parse(parser->reader.arena, slice_from(word->text), &address) ||
      (step->kind == STEP_RCPT && mail_address_is_null(&address))) {
    line_error(&parser->reader, line, word->span, "an address in <>", "%s is no address", word->text);
    return false;
  }
  step->text = word->text;
  return true;
}

static bool read_size(Parser *parser, WordLine *line, ScenarioStep *step) {
  return !line_take(line, "size") || read_number(parser, line, TYPE_SIZE, &step->number);
}

static bool read_word(Parser *parser, WordLine *line, ScenarioStep *step) {
  const Word *word = line_need(&parser->reader, line, step_info(step->kind)->synopsis);
  step->text = word ? word->text : NULL;
  return word != NULL;
}

static bool read_fact(Parser *parser, WordLine *line, ScenarioStep *step) {
  const Word *name = line_need(&parser->reader, line, "the name of a fact");
  if (name == NULL) {
    return false;
  }
  if (!fact_from_name(slice_from(name->text), &step->fact)) {
    const char *nearest = nearest_name(slice_from(name->text), fact_names());
    g_autofree char *expected = nearest ? g_strdup_printf("the name of a fact; nearest: %s", nearest) : g_strdup("the name of a fact");
    line_error(&parser->reader, line, name->span, expected, "there is no fact %s", name->text);
    return false;
  }
  const char *elsewhere = fact_said_elsewhere(step->fact);
  if (elsewhere) {
    g_autofree char *expected = g_strdup_printf("the step or line %s, which says it", elsewhere);
    line_error(&parser->reader, line, name->span, expected, "%s cannot be set", name->text);
    return false;
  }
  if (step->kind == STEP_SET) {
    const Word *value = line_need_quoted(&parser->reader, line, "the value in quotes");
    step->text = value ? value->text : NULL;
    return value != NULL;
  }
  return true;
}

static bool read_clock(Parser *parser, WordLine *line, ScenarioStep *step) {
  const Word *word = line_need(&parser->reader, line, step_info(STEP_CLOCK)->synopsis);
  Value value;
  const char *problem;
  Slice right_form;
  if (word == NULL) {
    return false;
  }
  step->text = word->text;
  step->absolute = word->quoted;
  if (word->quoted) {
    return parse_moment(parser, line, word, &step->number);
  }
  if (word->text[0] != '+' ||
      !value_parse(parser->reader.arena, TYPE_DURATION, slice_from(word->text + 1), &value, &problem, &right_form)) {
    line_error(&parser->reader, line, word->span, "+1h, or \"YYYY-MM-DD HH:MM\"", "%s is no time", word->text);
    return false;
  }
  step->number = value.as.number;
  return true;
}

static bool read_arguments(Parser *parser, WordLine *line, ScenarioStep *step) {
  switch (step->kind) {
    case STEP_CLIENT:
      return read_client(parser, line, step);
    case STEP_HELO:
    case STEP_EHLO:
    case STEP_VRFY:
    case STEP_ETRN:
    case STEP_UNKNOWN:
      return read_word(parser, line, step);
    case STEP_MAIL:
      return read_address(parser, line, step) && read_size(parser, line, step);
    case STEP_RCPT:
      return read_address(parser, line, step);
    case STEP_MESSAGE:
      return read_size(parser, line, step) && read_message(parser, line, step);
    case STEP_SET:
    case STEP_UNSET:
      return read_fact(parser, line, step);
    case STEP_CLOCK:
      return read_clock(parser, line, step);
    case STEP_DATA:
    case STEP_RSET:
    case STEP_QUIT:
      return true;
  }
  g_assert_not_reached();
}

/* ---- steps ---- */

static bool step_from_word(const char *word, StepKind *kind) {
  for (int i = 0; i < STEP_COUNT; i++) {
    if (strcmp(step_info((StepKind)i)->word, word) == 0) {
      *kind = (StepKind)i;
      return true;
    }
  }
  return false;
}

static void tell_unknown_step(Parser *parser, WordLine *line) {
  const char *names[STEP_COUNT + 1];
  for (int i = 0; i < STEP_COUNT; i++) {
    names[i] = step_info((StepKind)i)->word;
  }
  names[STEP_COUNT] = NULL;
  const Word *word = &line->words[0];
  const char *nearest = nearest_name(slice_from(word->text), names);
  g_autofree char *expected = nearest ? g_strdup_printf("a step; nearest: %s", nearest) : g_strdup("a step, or '}'");
  line_error(&parser->reader, line, word->span, expected, "%s is no step", word->text);
}

static const char *through_text(Arena *arena, DoorSet doors) {
  const char *text = "through";
  for (int door = 0; door < DOOR_COUNT; door++) {
    if (doors & DOOR_BIT(door)) {
      text = arena_printf(arena, "%s %s", text, door_name((Door)door));
      text = (doors >> door) > 1 ? arena_printf(arena, "%s or", text) : text;
    }
  }
  return text;
}

/* Puts one expectation in the step's place for each door that it is about. */
static void place_expectation(Parser *parser, WordLine *line, ScenarioStep *step, const Expectation *expected, DoorSet doors, bool first) {
  DoorSet seeing = step_doors(step->kind, step->text);
  DoorSet about = (doors ? doors : DOORS_ALL) & seeing;
  if (about == 0) {
    line_error(&parser->reader, line, expected->span, through_text(parser->reader.arena, seeing), "this door is not asked at %s",
               step_info(step->kind)->word);
    return;
  }
  for (int door = 0; door < DOOR_COUNT; door++) {
    if (about & DOOR_BIT(door)) {
      if (step->expected[door]) {
        line_error(&parser->reader, line, expected->span, NULL, "what is expected through %s was said before", door_name((Door)door));
        return;
      }
      step->expected[door] = expected;
    }
  }
  if (doors) {
    step->doors = first ? doors : (DoorSet)(step->doors | doors);
  }
}

/* The arrow of a step's own line, or of a line behind it. */
static void read_arrow(Parser *parser, WordLine *line, ScenarioStep *step, bool first) {
  DoorSet doors = 0;
  if (!step_info(step->kind)->asks) {
    line_error(&parser->reader, line, line_place(line), "the end of the line", "nobody is asked at %s", step_info(step->kind)->word);
    return;
  }
  const Expectation *expected = read_expectation(parser, line, &doors);
  if (expected) {
    place_expectation(parser, line, step, expected, doors, first);
  }
}

static bool step_has_expectation(const ScenarioStep *step) {
  bool has = false;
  for (int door = 0; door < DOOR_COUNT; door++) {
    has = has || step->expected[door];
  }
  return has;
}

static ScenarioStep *read_step(Parser *parser, WordLine *line) {
  ScenarioStep *step = ARENA_NEW(parser->reader.arena, ScenarioStep);
  step->span = line->span;
  step->doors = DOORS_ALL;
  if (!step_from_word(line->words[0].text, &step->kind)) {
    tell_unknown_step(parser, line);
    return NULL;
  }
  line->at = 1;
  if (!read_arguments(parser, line, step)) {
    return NULL;
  }
  if (line_take(line, "through")) {
    (void)parse_doors(parser, line, &step->doors, NULL);
    (void)line_need_end(parser, line);
  } else if (line_peek(line)) {
    read_arrow(parser, line, step, true);
  }
  return step;
}

/* A step without an arrow is expected to be ok, wherever a door is asked. */
static void finish_step(Parser *parser, ScenarioStep *step) {
  static const Expectation ok = {.outcome = EXPECT_OK};
  DoorSet seeing = step_doors(step->kind, step->text);
  bool is_early = step->kind == STEP_CLIENT || step->kind == STEP_HELO || step->kind == STEP_EHLO;
  if (step_info(step->kind)->asks && !is_early && (seeing & step->doors) == 0) {
    Diagnostic *diagnostic = diagnostics_error(parser->reader.diagnostics, step->span, "no door that the step goes through is asked at %s",
                                               step_info(step->kind)->word);
    diagnostic_expected(parser->reader.diagnostics, diagnostic, "expected %s", through_text(parser->reader.arena, seeing));
  }
  for (int door = 0; door < DOOR_COUNT; door++) {
    bool asked = (seeing & step->doors & DOOR_BIT(door)) != 0;
    if (asked && step->expected[door] == NULL) {
      step->expected[door] = &ok;
    } else if (!asked) {
      step->expected[door] = NULL;
    }
  }
}

void read_steps(Parser *parser, ScenarioSession *session, SourceSpan opened) {
  ScenarioStep **place = &session->steps;
  ScenarioStep *last = NULL;
  WordLine line;
  bool ended = false;
  while (!ended && line_reader_words(&parser->reader, &line)) {
    bool is_arrow = line.good && strcmp(line.words[0].text, "->") == 0 && !line.words[0].quoted;
    if (is_arrow && last) {
      read_arrow(parser, &line, last, !step_has_expectation(last));
      continue;
    }
    if (last) {
      finish_step(parser, last);
      last = NULL;
    }
    ended = line.good && line_take(&line, "}");
    if (ended) {
      (void)line_need_end(parser, &line);
    } else if (line.good) {
      last = read_step(parser, &line);
    }
    if (last) {
      *place = last;
      place = &last->next;
    }
  }
  if (last) {
    finish_step(parser, last);
  }
  if (!ended) {
    Diagnostic *diagnostic = diagnostics_error(parser->reader.diagnostics, opened, "the session does not end");
    diagnostic_expected(parser->reader.diagnostics, diagnostic, "expected a line that is only '}'");
  }
}

const char *step_text(Arena *arena, const ScenarioStep *step) {
  const char *word = step_info(step->kind)->word;
  switch (step->kind) {
    case STEP_CLIENT:
      return arena_printf(arena, "client %s%s%s", step->text, step->name ? " name " : "", step->name ? step->name : "");
    case STEP_MAIL:
      return step->number ? arena_printf(arena, "mail %s size %" G_GINT64_FORMAT, step->text, step->number)
                          : arena_printf(arena, "mail %s", step->text);
    case STEP_MESSAGE:
      return arena_printf(arena, "message%s%s%s%s%s", step->number ? arena_printf(arena, " size %" G_GINT64_FORMAT, step->number) : "",
                          step->name ? " from file \"" : "", step->name ? step->name : "", step->name ? "\"" : "",
                          step->has_content && !step->name ? " { ... }" : "");
    case STEP_SET:
    case STEP_UNSET:
      return arena_printf(arena, "%s %s%s%s%s", word, fact_info(step->fact)->name, step->text ? " \"" : "", step->text ? step->text : "",
                          step->text ? "\"" : "");
    case STEP_UNKNOWN:
      return arena_printf(arena, "unknown \"%s\"", step->text);
    case STEP_HELO:
    case STEP_EHLO:
    case STEP_RCPT:
    case STEP_VRFY:
    case STEP_ETRN:
    case STEP_CLOCK:
      return arena_printf(arena, "%s %s", word, step->text);
    case STEP_DATA:
    case STEP_RSET:
    case STEP_QUIT:
      return word;
  }
  g_assert_not_reached();
}
