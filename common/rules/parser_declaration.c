/*
 * parser_declaration.c: what stands outside of blocks: include, table, dnslist, define, at.
 */
#include "common/rules/parser_internal.h"
#include "common/rules/source.h"

static const char *const DECLARATIONS[] = {"include", "table", "dnslist", "define", "at", NULL};
static const char *const TABLE_WORDS[] = {"from", "keys", "optional", "on", NULL};

static bool is_one_of(Slice word, const char *const *words) {
  for (; *words != NULL; words++) {
    if (slice_equal(word, slice_from(*words))) {
      return true;
    }
  }
  return false;
}

bool word_is_declaration(Slice word) {
  return is_one_of(word, DECLARATIONS);
}

void skip_declaration(Parser *parser) {
  parser->free_lines = 0;
  parser->open_sets = 0;
  parser->lexer.quiet = true;
  while (parser->token.kind != TOKEN_END &&
         !(parser->token.starts_line && parser->token.kind == TOKEN_WORD && word_is_declaration(parser->token.text))) {
    (void)parser_advance(parser);
  }
  parser->lexer.quiet = false;
}

/* SYNTAX: on-error := "on" "error" ( "skip" | "tempfail" | "match" ) */
bool parse_on_error(Parser *parser, ErrorBehaviour *behaviour, SourceSpan *span) {
  static const char *const names[] = {"skip", "tempfail", "match", NULL};
  static const ErrorBehaviour behaviours[] = {ON_ERROR_SKIP, ON_ERROR_TEMPFAIL, ON_ERROR_MATCH};
  SourceSpan start = parser_advance(parser).span;
  if (!parser_expect_word(parser, "error", "\"error\": on error skip, on error tempfail or on error match")) {
    return false;
  }
  for (size_t i = 0; names[i] != NULL; i++) {
    if (parser_accept_word(parser, names[i])) {
      *behaviour = behaviours[i];
      *span = source_span_join(start, parser->previous);
      return true;
    }
  }
  const char *nearest = parser_kind(parser) == TOKEN_WORD ? parser_nearest(parser, parser->token.text, names) : "";
  (void)parser_unexpected(parser, "skip, tempfail or match%s", nearest);
  return false;
}

static bool parse_type(Parser *parser, Slice *type, SourceSpan *span) {
  if (parser_kind(parser) != TOKEN_WORD || (parser->token.reserved)) {
    (void)parser_unexpected(parser, "a type, such as address, domain, net or string");
    return false;
  }
  Token token = parser_advance(parser);
  *type = token.text;
  *span = token.span;
  return true;
}

/*
 * SYNTAX: types := type | "(" type "," type { "," type } ")"
 */
static bool parse_types(Parser *parser, Declaration *declaration) {
  SourceSpan start = parser->token.span;
  bool tuple = parser_accept(parser, TOKEN_OPEN_PAREN);
  parser->free_lines += tuple;
  do {
    if (declaration->type_count == KEYSET_PARTS_MAX) {
      parser_error(parser, parser->token.span, NULL, "a key of more than %d parts", KEYSET_PARTS_MAX);
      return false;
    }
    size_t i = declaration->type_count++;
    if (!parse_type(parser, &declaration->types[i], &declaration->type_spans[i])) {
      return false;
    }
  } while (tuple && parser_accept(parser, TOKEN_COMMA));
  SourceSpan last = parser->token.span;
  if (tuple && declaration->type_count == 1) {
    parser_error(parser, source_span_join(start, declaration->type_spans[0]),
                 "at least two types, with \",\" between; a single one stands without parentheses", "a tuple of one");
    return false;
  }
  if (tuple && !parser_expect(parser, TOKEN_CLOSE_PAREN, "\",\" or \")\"")) {
    return false;
  }
  parser->free_lines -= tuple;
  declaration->type_span = source_span_join(start, tuple ? last : declaration->type_spans[0]);
  return true;
}

static bool tell_twice(Parser *parser, const char *what) {
  parser_error(parser, parser->token.span, NULL, "a second \"%s\" in one declaration", what);
  return false;
}

/* SYNTAX: keys := "keys" ( "exact" | "postfix" | "sendmail" [ string ] ) */
static bool parse_keys(Parser *parser, Declaration *declaration) {
  SourceSpan tag;
  if (declaration->keys_exact || declaration->key_order != KEY_ORDER_RULES) {
    return tell_twice(parser, "keys");
  }
  SourceSpan start = parser_advance(parser).span;
  if (parser_accept_word(parser, "exact")) {
    declaration->keys_exact = true;
  } else if (parser_accept_word(parser, "postfix")) {
    declaration->key_order = KEY_ORDER_POSTFIX;
  } else if (parser_accept_word(parser, "sendmail")) {
    declaration->key_order = KEY_ORDER_SENDMAIL;
  } else {
    static const char *const orders[] = {"exact", "postfix", "sendmail", NULL};
    const char *nearest = parser_kind(parser) == TOKEN_WORD ? parser_nearest(parser, parser->token.text, orders) : "";
    (void)parser_unexpected(parser, "exact, postfix or sendmail: whose order of keys%s", nearest);
    return false;
  }
  declaration->key_order_span = source_span_join(start, parser->previous);
  return declaration->key_order != KEY_ORDER_SENDMAIL || parser_kind(parser) != TOKEN_STRING ||
         parse_plain_string(parser, "a tag of the access_db", &declaration->key_tag, &tag);
}

/* SYNTAX: table-options := { keys | "optional" | on-error }       each once */
static bool parse_table_options(Parser *parser, Declaration *declaration) {
  SourceSpan on_error;
  while (!parser_at_end_of_line(parser)) {
    if (parser_is_word(parser, "keys")) {
      if (!parse_keys(parser, declaration)) {
        return false;
      }
    } else if (parser_is_word(parser, "optional")) {
      if (declaration->optional) {
        return tell_twice(parser, "optional");
      }
      (void)parser_advance(parser);
      declaration->optional = true;
    } else if (parser_is_word(parser, "on")) {
      if (declaration->on_error != ON_ERROR_DEFAULT) {
        return tell_twice(parser, "on error");
      }
      if (!parse_on_error(parser, &declaration->on_error, &on_error)) {
        return false;
      }
    } else {
      const char *nearest = parser_kind(parser) == TOKEN_WORD ? parser_nearest(parser, parser->token.text, TABLE_WORDS + 1) : "";
      (void)parser_unexpected(parser, "keys, optional, on error, or the end of the line%s", nearest);
      return false;
    }
  }
  return true;
}

/* SYNTAX: source := "from" KIND string table-options */
static bool parse_source_of_table(Parser *parser, Declaration *declaration) {
  (void)parser_advance(parser);
  if (parser_kind(parser) != TOKEN_WORD) {
    (void)parser_unexpected(parser, "the kind of table, such as file");
    return false;
  }
  Token kind = parser_advance(parser);
  declaration->source = kind.text;
  declaration->source_span = kind.span;
  return parse_plain_string(parser, "what the table is read from", &declaration->spec, &declaration->spec_span) &&
         parse_table_options(parser, declaration);
}

/*
 * SYNTAX: table := "table" name "of" types [ "->" type ] ( source | [ keys ] set )
 */
static bool parse_table(Parser *parser, Declaration *declaration) {
  declaration->kind = DECLARATION_TABLE;
  if (!parser_new_name(parser, "a table", &declaration->name, &declaration->name_span) ||
      !parser_expect_word(parser, "of", "\"of\" and the type of its keys") || !parse_types(parser, declaration)) {
    return false;
  }
  if (parser_accept(parser, TOKEN_ARROW) && !parse_type(parser, &declaration->value_type, &declaration->value_type_span)) {
    return false;
  }
  if (parser_is_word(parser, "from")) {
    return parse_source_of_table(parser, declaration);
  }
  if (parser_is_word(parser, "keys") && !parse_keys(parser, declaration)) {
    return false;
  }
  if (parser_kind(parser) != TOKEN_OPEN_BRACE) {
    const char *nearest = parser_kind(parser) == TOKEN_WORD ? parser_nearest(parser, parser->token.text, TABLE_WORDS) : "";
    (void)parser_unexpected(parser, "where its entries are: from KIND \"SPEC\", or { KEY, ... }%s", nearest);
    return false;
  }
  declaration->entries = parse_set(parser);
  return declaration->entries != NULL;
}

/*
 * SYNTAX: dnslist := "dnslist" name "of" ( "ip" | "domain" ) string [ "codes" string ] [ on-error ]
 */
static bool parse_dnslist(Parser *parser, Declaration *declaration) {
  declaration->kind = DECLARATION_DNSLIST;
  SourceSpan on_error;
  if (!parser_new_name(parser, "a dnslist", &declaration->name, &declaration->name_span) ||
      !parser_expect_word(parser, "of", "\"of ip\" or \"of domain\"") ||
      !parse_type(parser, &declaration->types[0], &declaration->type_spans[0])) {
    return false;
  }
  declaration->type_count = 1;
  declaration->type_span = declaration->type_spans[0];
  if (!slice_equal(declaration->types[0], SLICE_LITERAL("ip")) && !slice_equal(declaration->types[0], SLICE_LITERAL("domain"))) {
    parser_error(parser, declaration->type_span, "ip or domain", "a dnslist of %.*s", SLICE_ARGS(declaration->types[0]));
  }
  if (!parse_plain_string(parser, "the zone of the list", &declaration->spec, &declaration->spec_span)) {
    return false;
  }
  if (parser_accept_word(parser, "codes") &&
      !parse_plain_string(parser, "the codes that count, such as 127.0.0.[2..11]", &declaration->codes, &declaration->codes_span)) {
    return false;
  }
  if (parser_is_word(parser, "on") && !parse_on_error(parser, &declaration->on_error, &on_error)) {
    return false;
  }
  if (!parser_at_end_of_line(parser)) {
    (void)parser_unexpected(parser, "codes, on error, or the end of the line");
    return false;
  }
  return true;
}

/* SYNTAX: define := "define" name "=" assigned */
static bool parse_define(Parser *parser, Declaration *declaration) {
  declaration->kind = DECLARATION_DEFINE;
  if (!parser_new_name(parser, "a define", &declaration->name, &declaration->name_span) ||
      !parser_expect(parser, TOKEN_ASSIGN, "\"=\" and an expression")) {
    return false;
  }
  declaration->expression = parse_assigned(parser);
  if (declaration->expression == NULL) {
    return false;
  }
  if (!parser_at_end_of_line(parser)) {
    (void)parser_unexpected(parser, "an operator or the end of the line");
    return false;
  }
  return true;
}

static bool parse_phase(Parser *parser, PhaseSet *phases) {
  Phase phase;
  const char *names[PHASE_COUNT + 1];
  for (size_t i = 0; i < PHASE_COUNT; i++) {
    names[i] = phase_name((Phase)i);
  }
  names[PHASE_COUNT] = NULL;
  if (parser_kind(parser) != TOKEN_WORD || parser->token.reserved) {
    Slice all = phase_set_names(parser->arena, PHASES_ALL);
    (void)parser_unexpected(parser, "a phase: %.*s", SLICE_ARGS(all));
    return false;
  }
  Token token = parser_advance(parser);
  if (!phase_from_name(token.text, &phase)) {
    Slice all = phase_set_names(parser->arena, PHASES_ALL);
    const char *nearest = parser_nearest(parser, token.text, names);
    parser_error(parser, token.span, arena_printf(parser->arena, "%.*s%s", SLICE_ARGS(all), nearest), "unknown phase \"%.*s\"",
                 SLICE_ARGS(token.text));
    return true; /* told; the block can be read */
  }
  if (*phases & PHASE_BIT(phase)) {
    parser_error(parser, token.span, NULL, "the phase \"%.*s\" stands here twice", SLICE_ARGS(token.text));
  }
  *phases |= PHASE_BIT(phase);
  return true;
}

/*
 * SYNTAX: at := "at" phase { "," phase } [ "when" expression ] block
 */
static bool parse_at(Parser *parser, Declaration *declaration) {
  declaration->kind = DECLARATION_AT;
  bool good;
  do {
    good = parse_phase(parser, &declaration->phases);
  } while (good && parser_accept(parser, TOKEN_COMMA));
  const char *expected = "\",\" and another phase, \"when\" and a condition, or \"{\" and the statements";
  if (good && parser_accept_word(parser, "when")) {
    size_t errors = diagnostics_error_count(parser->diagnostics);
    declaration->condition = parse_when_condition(parser);
    declaration->is_broken = parser_told_since(parser, errors);
    good = declaration->condition != NULL;
    expected = "\"{\" and the statements, or an operator";
  }
  if (!good) {
    parse_block_after_error(parser, &declaration->body);
    return true;
  }
  return parse_block(parser, expected, &declaration->body);
}

/* SYNTAX: include := "include" string */
static bool parse_include(Parser *parser, Declaration *declaration) {
  declaration->kind = DECLARATION_INCLUDE;
  if (!parse_plain_string(parser, "a file or a pattern of files", &declaration->pattern, &declaration->spec_span)) {
    return false;
  }
  declaration->spec = declaration->pattern;
  if (!parser_at_end_of_line(parser)) {
    (void)parser_unexpected(parser, "the end of the line");
    return false;
  }
  parser_include(parser, declaration);
  return true;
}

static void tell_no_declaration(Parser *parser) {
  const Token *token = &parser->token;
  const char *what = "include, table, dnslist, define or at PHASE { ... }";
  if (token->kind == TOKEN_CLOSE_BRACE) {
    parser_error(parser, token->span, NULL, "a \"}\" that closes nothing");
  } else if (token_begins_statement(token)) {
    (void)parser_unexpected(parser, "a declaration; statements stand in a block: at PHASE { ... }");
  } else if (token->kind == TOKEN_WORD) {
    parser_error(parser, token->span, arena_printf(parser->arena, "%s%s", what, parser_nearest(parser, token->text, DECLARATIONS)),
                 "unknown declaration \"%.*s\"", SLICE_ARGS(token->text));
  } else {
    (void)parser_unexpected(parser, "%s", what);
  }
}

/* After an error: a name that was read stays, so that rules that use it are not told that there is none. */
static bool keep_after_error(Parser *parser, Declaration *declaration, bool complete) {
  bool is_named = declaration->kind != DECLARATION_AT && declaration->kind != DECLARATION_INCLUDE;
  if (is_named) {
    declaration->is_broken = true;
  }
  if (is_named && !slice_is_empty(declaration->name) && slice_find(declaration->name, '.') < 0) {
    return true;
  }
  if (!complete) {
    parser_lose_part(parser);
  }
  return complete;
}

/*
 * SYNTAX: declaration := include | table | dnslist | define | at
 */
Declaration *parse_declaration(Parser *parser, bool *complete) {
  static bool (*const parsers[])(Parser *, Declaration *) = {parse_include, parse_table, parse_dnslist, parse_define, parse_at};
  for (size_t i = 0; DECLARATIONS[i] != NULL; i++) {
    if (!parser_is_word(parser, DECLARATIONS[i])) {
      continue;
    }
    Declaration *declaration = ARENA_NEW(parser->arena, Declaration);
    SourceSpan start = parser_advance(parser).span;
    size_t errors = diagnostics_error_count(parser->diagnostics);
    *complete = parsers[i](parser, declaration);
    declaration->span = source_span_join(start, parser->previous);
    if ((!*complete || parser_told_since(parser, errors)) && !keep_after_error(parser, declaration, *complete)) {
      return NULL;
    }
    return declaration;
  }
  *complete = false;
  tell_no_declaration(parser);
  parser_lose_part(parser);
  return NULL;
}
