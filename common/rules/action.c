/*
 * action.c: the registry of actions, and their usage lines.
 */
#include "common/rules/action.h"

#define ACTION(descriptor) extern const Action descriptor;
#include "common/rules/action/actions.def"
#undef ACTION

static const Action *const ACTIONS[] = {
#define ACTION(descriptor) &descriptor,
#include "common/rules/action/actions.def"
#undef ACTION
    NULL,
};

const Action *const *actions_all(void) {
  return ACTIONS;
}

const Action *action_find(Slice first, Slice second) {
  const Action *one_word = NULL;
  for (const Action *const *action = ACTIONS; *action != NULL; action++) {
    Slice rest;
    bool two_words;
    Slice word = slice_split(slice_from((*action)->name), ' ', &rest, &two_words);
    if (slice_equal(word, first) && two_words && slice_equal(rest, second)) {
      return *action;
    }
    if (slice_equal(word, first) && !two_words) {
      one_word = *action;
    }
  }
  return one_word;
}

/* How an argument is written; `words` is what its action calls it. */
static void append_argument(GString *text, const ActionArgument *argument) {
  switch (argument->kind) {
    case ARGUMENT_END:
      break;
    case ARGUMENT_TEXT:
      g_string_append_printf(text, "\"%s\"", argument->words);
      break;
    case ARGUMENT_ADDRESS:
      g_string_append_printf(text, "\"%s\"|<>", argument->words);
      break;
    case ARGUMENT_WORD:
      for (const char *c = argument->words; *c != '\0'; c++) {
        g_string_append_c(text, *c == ' ' ? '|' : *c);
      }
      break;
    case ARGUMENT_NAME:
    case ARGUMENT_NUMBER:
    case ARGUMENT_DURATION:
    case ARGUMENT_EXPRESSION: {
      g_autofree char *upper = g_ascii_strup(argument->words, -1);
      g_string_append(text, upper);
      break;
    }
    case ARGUMENT_VARIABLE:
    case ARGUMENT_EQUALS:
    case ARGUMENT_CODE:
    case ARGUMENT_ENHANCED:
    case ARGUMENT_INDEX:
      g_string_append(text, argument->words);
      break;
  }
  if (argument->repeated) {
    g_string_append(text, " ...");
  }
}

Slice action_synopsis(Arena *arena, const Action *action) {
  GString *text = g_string_new(action->name);
  for (const ActionArgument *argument = action->arguments; argument->kind != ARGUMENT_END; argument++) {
    g_string_append(text, argument->optional ? " [" : " ");
    append_argument(text, argument);
    if (argument->optional) {
      g_string_append_c(text, ']');
    }
  }
  Slice copy = slice_copy(arena, slice_make(text->str, text->len));
  (void)g_string_free(text, TRUE);
  return copy;
}
