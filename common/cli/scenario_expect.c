/*
 * scenario_expect.c: what is expected of a step: reading it and printing it.
 */
#include <string.h>

#include "common/cli/effect_text.h"
#include "common/cli/scenario_internal.h"

static const char *const outcome_names[] = {"ok", "pass", "accept", "tempfail", "reject", "disconnect", "discard", NULL};

const char *const *expected_outcome_names(void) {
  return outcome_names;
}

static bool read_outcome(Parser *parser, WordLine *line, Expectation *expected) {
  static const char form[] = "ok, pass, accept, tempfail, reject, disconnect or discard";
  const Word *word = line_need(&parser->reader, line, form);
  if (word == NULL) {
    return false;
  }
  for (int i = 0; outcome_names[i]; i++) {
    if (strcmp(outcome_names[i], word->text) == 0) {
      expected->outcome = (ExpectedOutcome)i;
      return true;
    }
  }
  line_error(&parser->reader, line, word->span, form, "%s is no outcome", word->text);
  return false;
}

static bool is_refusal(ExpectedOutcome outcome) {
  switch (outcome) {
    case EXPECT_TEMPFAIL:
    case EXPECT_REJECT:
    case EXPECT_DISCONNECT:
      return true;
    case EXPECT_OK:
    case EXPECT_PASS:
    case EXPECT_ACCEPT:
    case EXPECT_DISCARD:
      return false;
  }
  g_assert_not_reached();
}

/* Code, enhanced code and lines of a refusal, as far as they are there. */
static void read_reply(WordLine *line, Expectation *expected) {
  const Word *word = line_peek(line);
  int64_t code;
  if (word && !word->quoted && strlen(word->text) == 3 && slice_to_int(slice_from(word->text), &code) && code >= 400 && code <= 599) {
    expected->code = (uint16_t)code;
    line->at++;
    word = line_peek(line);
  }
  if (word && !word->quoted && enhanced_parse(slice_from(word->text), &expected->enhanced)) {
    line->at++;
    word = line_peek(line);
  }
  while (word && word->quoted && expected->line_count < SCENARIO_LINES_MAX) {
    expected->lines[expected->line_count++] = word->text;
    line->at++;
    word = line_peek(line);
  }
}

/* What stands behind `with`: the words that begin it, and what follows them. */
typedef enum WithForm { FORM_TEXT, FORM_TWO_TEXTS, FORM_NTH, FORM_NTH_TEXT, FORM_DURATION, FORM_WORD } WithForm;

static const struct {
  const char *first, *second; /* NULL: one word */
  WithKind kind;
  WithForm form;
} withs[] = {
    {"prepend", "header", WITH_CHANGE, FORM_TWO_TEXTS},
    {"append", "header", WITH_CHANGE, FORM_TWO_TEXTS},
    {"replace", "header", WITH_CHANGE, FORM_NTH_TEXT},
    {"delete", "header", WITH_CHANGE, FORM_NTH},
    {"add", "recipient", WITH_CHANGE, FORM_TEXT},
    {"remove", "recipient", WITH_CHANGE, FORM_TEXT},
    {"change", "sender", WITH_CHANGE, FORM_TEXT},
    {"redirect", NULL, WITH_CHANGE, FORM_TEXT},
    {"bcc", NULL, WITH_CHANGE, FORM_TEXT},
    {"filter", NULL, WITH_CHANGE, FORM_TEXT},
    {"quarantine", NULL, WITH_CHANGE, FORM_TEXT},
    {"log", NULL, WITH_LOG, FORM_TEXT},
    {"delay", NULL, WITH_DELAY, FORM_DURATION},
    {"observed", NULL, WITH_OBSERVED, FORM_WORD},
    {"undone", NULL, WITH_UNDONE, FORM_WORD},
    {"failed", NULL, WITH_FAILED, FORM_TEXT},
};

static const char with_forms[] =
    "prepend|append|replace|delete header \"NAME\" ..., add|remove recipient \"ADDRESS\", change sender \"ADDRESS\", redirect|bcc \"ADDRESS\", "
    "filter \"TRANSPORT:DESTINATION\", quarantine \"WHY\", log \"TEXT\", delay DURATION, observed|undone RULE or failed \"LOOK-UP\"";

static bool read_quoted_text(Parser *parser, WordLine *line, GString *text) {
  const Word *next = line_need_quoted(&parser->reader, line, with_forms);
  if (next) {
    effect_text_quote(text, slice_from(next->text));
  }
  return next != NULL;
}

/* Which of several headers: a number or `last`, in front of what comes next. */
static void read_nth(WordLine *line, GString *text) {
  const Word *next = line_peek(line);
  int64_t number;
  if (next && !next->quoted && (strcmp(next->text, "last") == 0 || slice_to_int(slice_from(next->text), &number))) {
    g_string_append_printf(text, " %s", next->text);
    line->at++;
  }
}

static bool read_delay(Parser *parser, WordLine *line, GString *text) {
  const Word *word = line_need(&parser->reader, line, with_forms);
  Value value;
  const char *problem;
  Slice right_form;
  if (word == NULL) {
    return false;
  }
  if (!value_parse(parser->reader.arena, TYPE_DURATION, slice_from(word->text), &value, &problem, &right_form)) {
    line_error(&parser->reader, line, word->span, "a duration: 2s", "%s is no duration", word->text);
    return false;
  }
  g_string_assign(text, effect_text_delay(parser->reader.arena, value.as.number * 1000));
  return true;
}

static bool read_form(Parser *parser, WordLine *line, WithForm form, GString *text) {
  switch (form) {
    case FORM_TEXT:
      return read_quoted_text(parser, line, text);
    case FORM_TWO_TEXTS:
      return read_quoted_text(parser, line, text) && read_quoted_text(parser, line, text);
    case FORM_NTH:
    case FORM_NTH_TEXT:
      if (!read_quoted_text(parser, line, text)) {
        return false;
      }
      read_nth(line, text);
      return form == FORM_NTH || read_quoted_text(parser, line, text);
    case FORM_DURATION:
      return read_delay(parser, line, text);
    case FORM_WORD: {
      const Word *next = line_need(&parser->reader, line, with_forms);
      g_string_append_printf(text, " %s", next ? next->text : "");
      return next != NULL;
    }
  }
  g_assert_not_reached();
}

static void add_with(Expectation *expected, With *with) {
  const With **place = &expected->with;
  while (*place) {
    place = (const With **)(uintptr_t) & (*place)->next;
  }
  *place = with;
}

static bool read_with(Parser *parser, WordLine *line, Expectation *expected) {
  const Word *word = line_need(&parser->reader, line, with_forms);
  if (word == NULL) {
    return false;
  }
  for (size_t i = 0; i < G_N_ELEMENTS(withs); i++) {
    if (strcmp(word->text, withs[i].first) != 0 || (withs[i].second && !line_take(line, withs[i].second))) {
      continue;
    }
    g_autoptr(GString) text = g_string_new(withs[i].first);
    if (withs[i].second) {
      g_string_append_printf(text, " %s", withs[i].second);
    }
    if (!read_form(parser, line, withs[i].form, text)) {
      return false;
    }
    With *with = ARENA_NEW(parser->reader.arena, With);
    with->kind = withs[i].kind;
    with->text = slice_to_string(parser->reader.arena, slice_make(text->str, text->len));
    add_with(expected, with);
    return true;
  }
  line_error(&parser->reader, line, word->span, with_forms, "nothing comes with %s", word->text);
  return false;
}

Expectation *read_expectation(Parser *parser, WordLine *line, DoorSet *doors) {
  Expectation *expected = ARENA_NEW(parser->reader.arena, Expectation);
  *doors = 0;
  expected->span = line_place(line);
  if (!line_take(line, "->")) {
    line_error(&parser->reader, line, line_place(line), "-> and what is expected, or the end of the line", "%s is too much",
               line_peek(line)->text);
    return NULL;
  }
  if (!read_outcome(parser, line, expected)) {
    return NULL;
  }
  if (is_refusal(expected->outcome)) {
    read_reply(line, expected);
  }
  bool good = true;
  while (good && line_peek(line)) {
    if (line_take(line, "by")) {
      const Word *rule = line_need(&parser->reader, line, "the rule's label");
      good = rule != NULL;
      expected->rule = rule ? rule->text : NULL;
    } else if (line_take(line, "with")) {
      good = read_with(parser, line, expected);
    } else if (line_take(line, "without")) {
      good = expected->without_effects = line_take(line, "effects");
      if (!good) {
        line_error(&parser->reader, line, line_place(line), "without effects", "without what?");
      }
    } else if (line_take(line, "through")) {
      good = parse_doors(parser, line, doors, NULL);
    } else {
      line_error(&parser->reader, line, line_place(line), "by RULE, with EFFECT, without effects or through DOOR", "%s is too much",
                 line_peek(line)->text);
      good = false;
    }
  }
  return good ? expected : NULL;
}

const char *expectation_text(Arena *arena, const Expectation *expected) {
  g_autoptr(GString) text = g_string_new(outcome_names[expected->outcome]);
  if (expected->code != 0) {
    g_string_append_printf(text, " %u", expected->code);
  }
  if (expected->enhanced.class_digit != 0) {
    Slice enhanced = enhanced_format(arena, expected->enhanced);
    g_string_append_printf(text, " %.*s", SLICE_ARGS(enhanced));
  }
  for (size_t i = 0; i < expected->line_count; i++) {
    effect_text_quote(text, slice_from(expected->lines[i]));
  }
  if (expected->rule) {
    g_string_append_printf(text, " by %s", expected->rule);
  }
  for (const With *with = expected->with; with; with = with->next) {
    g_string_append_printf(text, " with %s", with->text);
  }
  if (expected->without_effects) {
    g_string_append(text, " without effects");
  }
  return slice_to_string(arena, slice_make(text->str, text->len));
}
