/*
 * parser_action.c: actions. Their grammar is the list of arguments of each action's descriptor; nothing here knows one by name.
 */
#include "common/rules/parser_internal.h"

/* An action that is being read. */
typedef struct ActionReader {
  Parser *parser;
  const Action *action;
  ActionNode *node;
  ArgumentNode **link;
} ActionReader;

static ArgumentNode *add_argument(ActionReader *reader, size_t spec, SourceSpan span) {
  ArgumentNode *argument = ARENA_NEW(reader->parser->arena, ArgumentNode);
  argument->spec = spec;
  argument->span = span;
  *reader->link = argument;
  reader->link = &argument->next;
  return argument;
}

/* True when `words` (blank-separated) has `word`. */
static bool words_have(const char *words, Slice word) {
  Slice rest = slice_from(words);
  bool more = true;
  while (more) {
    Slice one = slice_split(rest, ' ', &rest, &more);
    if (!slice_is_empty(one) && slice_equal(one, word)) {
      return true;
    }
  }
  return false;
}

/* Whether the token can begin an argument of this kind. */
static bool can_begin(const Parser *parser, const ActionArgument *argument) {
  TokenKind kind = parser_kind(parser);
  bool word = kind == TOKEN_WORD;
  bool number = kind == TOKEN_INT || kind == TOKEN_DECIMAL || kind == TOKEN_PLUS || kind == TOKEN_MINUS;
  switch (argument->kind) {
    case ARGUMENT_END:
      return false;
    case ARGUMENT_WORD:
      return word && words_have(argument->words, parser->token.text);
    case ARGUMENT_NAME:
    case ARGUMENT_VARIABLE:
    case ARGUMENT_INDEX:
      return word && !parser->token.reserved;
    case ARGUMENT_EQUALS:
      return kind == TOKEN_ASSIGN;
    case ARGUMENT_CODE:
      return kind == TOKEN_INT;
    case ARGUMENT_ENHANCED:
      return kind == TOKEN_ENHANCED;
    case ARGUMENT_TEXT:
      return kind == TOKEN_STRING;
    case ARGUMENT_ADDRESS:
      return kind == TOKEN_STRING || kind == TOKEN_NULL_SENDER;
    case ARGUMENT_NUMBER:
      return number;
    case ARGUMENT_DURATION:
      return kind == TOKEN_DURATION;
    case ARGUMENT_EXPRESSION:
      return kind != TOKEN_LINE_END && kind != TOKEN_END && kind != TOKEN_CLOSE_BRACE &&
             !(word && parser->token.reserved && !parser_is_word(parser, "not") && !parser_is_word(parser, "any") &&
               !parser_is_word(parser, "all") && !parser_is_word(parser, "count"));
  }
  return false;
}

static bool check_variable_name(Parser *parser, const Token *token) {
  static const char *const scopes[] = {"session.", "message.", "recipient."};
  for (size_t i = 0; i < G_N_ELEMENTS(scopes); i++) {
    Slice scope = slice_from(scopes[i]);
    if (slice_starts_with(token->text, scope) && slice_find(slice_from_offset(token->text, scope.length), '.') < 0) {
      return true;
    }
  }
  parser_error(parser, token->span, "session.NAME, message.NAME or recipient.NAME", "\"%.*s\" is no variable", SLICE_ARGS(token->text));
  return false;
}

/* An argument that is one token. */
static bool read_token(ActionReader *reader, size_t spec, ArgumentKind kind) {
  Parser *parser = reader->parser;
  Token token = parser_advance(parser);
  add_argument(reader, spec, token.span)->word = token.text;
  if (kind == ARGUMENT_CODE && token.text.length != 3) {
    parser_error(parser, token.span, "three digits", "\"%.*s\" is no reply code", SLICE_ARGS(token.text));
  } else if (kind == ARGUMENT_NAME && slice_find(token.text, '.') >= 0) {
    parser_error(parser, token.span, "a name without dots", "unexpected \"%.*s\"", SLICE_ARGS(token.text));
  } else if (kind == ARGUMENT_VARIABLE) {
    return check_variable_name(parser, &token);
  }
  return true;
}

static Node *read_node(Parser *parser, ArgumentKind kind) {
  switch (kind) {
    case ARGUMENT_TEXT:
      return parse_string(parser);
    case ARGUMENT_ADDRESS: {
      if (parser_kind(parser) == TOKEN_STRING) {
        return parse_string(parser);
      }
      Token token = parser_advance(parser);
      return node_literal(parser, NODE_NULL_SENDER, &token);
    }
    case ARGUMENT_NUMBER:
      return parse_number(parser);
    case ARGUMENT_INDEX:
      return parse_index(parser);
    case ARGUMENT_EXPRESSION:
      return parse_assigned(parser);
    case ARGUMENT_DURATION: {
      Token token = parser_advance(parser);
      return node_literal(parser, NODE_DURATION, &token);
    }
    case ARGUMENT_END:
    case ARGUMENT_WORD:
    case ARGUMENT_NAME:
    case ARGUMENT_VARIABLE:
    case ARGUMENT_EQUALS:
    case ARGUMENT_CODE:
    case ARGUMENT_ENHANCED:
      break;
  }
  g_assert_not_reached();
}

/* One argument, which can begin here. */
static bool read_argument(ActionReader *reader, size_t spec) {
  ArgumentKind kind = reader->action->arguments[spec].kind;
  switch (kind) {
    case ARGUMENT_WORD:
    case ARGUMENT_NAME:
    case ARGUMENT_VARIABLE:
    case ARGUMENT_EQUALS:
    case ARGUMENT_CODE:
    case ARGUMENT_ENHANCED:
      return read_token(reader, spec, kind);
    case ARGUMENT_END:
    case ARGUMENT_TEXT:
    case ARGUMENT_ADDRESS:
    case ARGUMENT_NUMBER:
    case ARGUMENT_DURATION:
    case ARGUMENT_EXPRESSION:
    case ARGUMENT_INDEX:
      break;
  }
  Node *node = read_node(reader->parser, kind);
  if (node == NULL) {
    return false;
  }
  add_argument(reader, spec, node->span)->expression = node;
  return true;
}

/* Words that could have stood where the arguments ended, for the nearest name. NULL-terminated, in the arena. */
static const char *const *possible_words(ActionReader *reader, size_t first, size_t end) {
  GString *all = g_string_new(NULL);
  for (size_t i = first; i < end; i++) {
    if (reader->action->arguments[i].kind == ARGUMENT_WORD) {
      g_string_append_printf(all, "%s ", reader->action->arguments[i].words);
    }
  }
  const char **words = ARENA_NEW_ARRAY(reader->parser->arena, const char *, all->len + 1);
  size_t count = 0;
  Slice rest = slice_copy(reader->parser->arena, slice_make(all->str, all->len));
  bool more = true;
  while (more) {
    Slice word = slice_split(rest, ' ', &rest, &more);
    if (!slice_is_empty(word)) {
      words[count++] = slice_to_string(reader->parser->arena, word);
    }
  }
  (void)g_string_free(all, TRUE);
  return words;
}

/* `first`: the arguments from there on were possible at this place. */
static bool tell_argument(ActionReader *reader, size_t first, size_t end) {
  Parser *parser = reader->parser;
  Slice synopsis = action_synopsis(parser->arena, reader->action);
  const char *nearest = "";
  if (parser_kind(parser) == TOKEN_WORD) {
    nearest = parser_nearest(parser, parser->token.text, possible_words(reader, first, end));
  }
  (void)parser_unexpected(parser, "%.*s%s", SLICE_ARGS(synopsis), nearest);
  return false;
}

/* True when the statement's own words, or its end, stand here. */
static bool at_modifiers(const Parser *parser) {
  return parser_at_end_of_line(parser) || parser_kind(parser) == TOKEN_CLOSE_BRACE || parser_is_word(parser, "if") ||
         parser_is_word(parser, "unless") || parser_is_word(parser, "on");
}

/*
 * SYNTAX: arguments := each argument of the action's list, in order
 */
static bool read_arguments(ActionReader *reader) {
  Parser *parser = reader->parser;
  const ActionArgument *arguments = reader->action->arguments;
  size_t possible = 0; /* the arguments from here on were passed over since the last one that was there */
  size_t i = 0;
  for (; arguments[i].kind != ARGUMENT_END; i++) {
    size_t count = 0;
    while (can_begin(parser, &arguments[i]) && (count == 0 || arguments[i].repeated)) {
      if (!read_argument(reader, i)) {
        return false;
      }
      count++;
    }
    if (count == 0 && !arguments[i].optional) {
      return tell_argument(reader, possible, i + 1);
    }
    possible = count > 0 ? i + 1 : possible;
  }
  return at_modifiers(parser) || tell_argument(reader, possible, i);
}

/* The first words of all actions, and what else may begin a statement. */
static const char *const *statement_words(Parser *parser) {
  size_t count = 0;
  while (actions_all()[count] != NULL) {
    count++;
  }
  const char **words = ARENA_NEW_ARRAY(parser->arena, const char *, count + 3);
  for (size_t i = 0; i < count; i++) {
    bool more;
    Slice rest;
    words[i] = slice_to_string(parser->arena, slice_split(slice_from(actions_all()[i]->name), ' ', &rest, &more));
  }
  words[count] = "when";
  words[count + 1] = "observe";
  return words;
}

bool word_begins_action(Slice word) {
  for (const Action *const *action = actions_all(); *action != NULL; action++) {
    Slice rest;
    bool more;
    if (slice_equal(slice_split(slice_from((*action)->name), ' ', &rest, &more), word)) {
      return true;
    }
  }
  return false;
}

/* Actions whose name begins with this word: "prepend header, prepend body", or NULL. */
static const char *actions_with(Parser *parser, Slice first) {
  const char *list = NULL;
  for (const Action *const *action = actions_all(); *action != NULL; action++) {
    Slice rest;
    bool more;
    if (slice_equal(slice_split(slice_from((*action)->name), ' ', &rest, &more), first)) {
      list = list == NULL ? (*action)->name : arena_printf(parser->arena, "%s, %s", list, (*action)->name);
    }
  }
  return list;
}

static void tell_unknown_action(Parser *parser, const Token *first) {
  const char *candidates = actions_with(parser, first->text);
  if (candidates != NULL) {
    parser_error(parser, first->span, candidates, "\"%.*s\" alone is no action", SLICE_ARGS(first->text));
    return;
  }
  if (word_is_declaration(first->text)) {
    parser_error(parser, first->span, "an action; declarations stand outside of blocks", "unexpected \"%.*s\"", SLICE_ARGS(first->text));
    return;
  }
  const char *expected =
      arena_printf(parser->arena, "the name of an action%s", parser_nearest(parser, first->text, statement_words(parser)));
  parser_error(parser, first->span, expected, "unknown action \"%.*s\"", SLICE_ARGS(first->text));
}

/*
 * SYNTAX: action := name arguments        a name may be two words: prepend header
 */
ActionNode *parse_action(Parser *parser) {
  if (parser_kind(parser) != TOKEN_WORD) {
    (void)parser_unexpected(parser, "an action");
    return NULL;
  }
  Token first = parser_advance(parser);
  Slice second = parser_kind(parser) == TOKEN_WORD ? parser->token.text : SLICE_EMPTY;
  const Action *action = action_find(first.text, second);
  if (action == NULL) {
    tell_unknown_action(parser, &first);
    return NULL;
  }
  if (strchr(action->name, ' ') != NULL) {
    (void)parser_advance(parser);
  }
  ActionNode *node = ARENA_NEW(parser->arena, ActionNode);
  node->action = action;
  node->name_span = first.span;
  ActionReader reader = {.parser = parser, .action = action, .node = node, .link = &node->arguments};
  if (!read_arguments(&reader)) {
    return NULL;
  }
  node->span = source_span_join(first.span, parser->previous);
  return node;
}
