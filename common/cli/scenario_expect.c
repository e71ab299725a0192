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

static const char *read_with_text(Parser *parser, WordLine *line, const char *form, const char *word, size_t count) {
  g_autoptr(GString) text = g_string_new(word);
  for (size_t i = 0; i < count; i++) {
    const Word *next = line_need_quoted(&parser->reader, line, form);
    if (next == NULL) {
      return NULL;
    }
    effect_text_quote(text, slice_from(next->text));
  }
  return slice_to_string(parser->reader.arena, slice_make(text->str, text->len));
}

static const char *read_with_word(Parser *parser, WordLine *line, const char *form, const char *word) {
  const Word *next = line_need(&parser->reader, line, form);
  return next ? arena_printf(parser->reader.arena, "%s %s", word, next->text) : NULL;
}

static const char *read_delay(Parser *parser, WordLine *line, const char *form) {
  const Word *word = line_need(&parser->reader, line, form);
  Value value;
  const char *problem;
  Slice right_form;
  if (word == NULL) {
    return NULL;
  }
  if (!value_parse(parser->reader.arena, TYPE_DURATION, slice_from(word->text), &value, &problem, &right_form)) {
    line_error(&parser->reader, line, word->span, "a duration: 2s", "%s is no duration", word->text);
    return NULL;
  }
  return effect_text_delay(parser->reader.arena, value.as.number * 1000);
}

static bool read_with(Parser *parser, WordLine *line, Expectation *expected) {
  static const char form[] =
      "prepend header \"NAME\" \"VALUE\", quarantine \"WHY\", log \"TEXT\", delay DURATION, observed RULE or failed \"LOOK-UP\"";
  With *with = ARENA_NEW(parser->reader.arena, With);
  const Word *word = line_need(&parser->reader, line, form);
  if (word == NULL) {
    return false;
  }
  if (strcmp(word->text, "prepend") == 0 && line_take(line, "header")) {
    with->kind = WITH_HEADER;
    with->text = read_with_text(parser, line, form, "prepend header", 2);
  } else if (strcmp(word->text, "quarantine") == 0) {
    with->kind = WITH_QUARANTINE;
    with->text = read_with_text(parser, line, form, "quarantine", 1);
  } else if (strcmp(word->text, "log") == 0) {
    with->kind = WITH_LOG;
    with->text = read_with_text(parser, line, form, "log", 1);
  } else if (strcmp(word->text, "delay") == 0) {
    with->kind = WITH_DELAY;
    with->text = read_delay(parser, line, form);
  } else if (strcmp(word->text, "observed") == 0) {
    with->kind = WITH_OBSERVED;
    with->text = read_with_word(parser, line, form, "observed");
  } else if (strcmp(word->text, "failed") == 0) {
    with->kind = WITH_FAILED;
    with->text = read_with_text(parser, line, form, "failed", 1);
  } else {
    line_error(&parser->reader, line, word->span, form, "nothing comes with %s", word->text);
    return false;
  }
  const With **place = &expected->with;
  while (*place) {
    place = (const With **)(uintptr_t) & (*place)->next;
  }
  *place = with;
  return with->text != NULL;
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
