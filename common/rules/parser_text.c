/*
 * parser_text.c: the inside of quoted strings: escapes and templates.
 */
#include "common/rules/parser_internal.h"
#include "common/rules/source.h"

/* A string that is being read. */
typedef struct Text {
  Parser *parser;
  const SourceText *source;
  size_t position, end; /* of the source */
  GString *run;         /* literal text since the last template */
  size_t run_start;
  Node *node;
  Node **link;
} Text;

static char text_byte(const Text *text, size_t index) {
  return index < text->end ? text->source->text.data[index] : '\0';
}

static Slice run_text(const Text *text) {
  return slice_copy(text->parser->arena, slice_make(text->run->str, text->run->len));
}

static void end_run(Text *text) {
  if (text->run->len > 0) {
    Node *literal = node_new(text->parser, NODE_LITERAL_TEXT, source_span(text->source, text->run_start, text->position));
    literal->text = run_text(text);
    *text->link = literal;
    text->link = &literal->next;
  }
  g_string_truncate(text->run, 0);
}

/* SYNTAX: escape := "\\" ( "\\" | '"' | "n" ) */
static void read_escape(Text *text) {
  char byte = text_byte(text, text->position + 1);
  if (byte == 'n') {
    g_string_append_c(text->run, '\n');
  } else if (byte == '"' || byte == '\\') {
    g_string_append_c(text->run, byte);
  } else {
    SourceSpan span = source_span(text->source, text->position, MIN(text->position + 2, text->end));
    parser_error(text->parser, span, "\\\" for a quote, \\\\ for a backslash, \\n for a line break", "unknown escape in a string");
  }
  text->position += 2;
}

/* `what` is NULL where templates are allowed. */
static void read_template(Text *text, const char *what) {
  size_t close = lexer_template_end(text->source->text, text->position + 1, text->end);
  SourceSpan span = source_span(text->source, text->position, MIN(close + 1, text->end));
  end_run(text);
  if (what != NULL) {
    parser_error(text->parser, span, "plain text; a brace that is meant as such is written \"{{\"", "a template in %s", what);
  } else if (parser_enter(text->parser)) {
    Node *part = NULL;
    if (parse_template(text->parser, text->position + 1, close, &part) && part->depth >= text->node->depth) {
      text->node->depth = (uint16_t)(part->depth + 1);
    }
    if (part != NULL) {
      *text->link = part;
      text->link = &part->next;
    }
    parser_leave(text->parser);
  }
  text->position = close + 1;
  text->run_start = text->position;
}

static void read_byte(Text *text, const char *what) {
  char byte = text_byte(text, text->position);
  bool doubled = text_byte(text, text->position + 1) == byte;
  if (byte == '\\') {
    read_escape(text);
  } else if (byte == '{' && !doubled) {
    read_template(text, what);
  } else if (byte == '}' && !doubled) {
    parser_error(text->parser, source_span(text->source, text->position, text->position + 1), "\"}}\" for a brace",
                 "a \"}\" that closes nothing");
    text->position++;
  } else {
    g_string_append_c(text->run, byte);
    text->position += byte == '{' || byte == '}' ? 2 : 1;
  }
}

static Node *read_string(Parser *parser, const Token *token, const char *what) {
  Text text = {.parser = parser, .source = token->span.source, .position = token->span.offset + 1, .run = g_string_new(NULL)};
  text.end = text.position + token->text.length;
  text.run_start = text.position;
  text.node = node_new(parser, NODE_TEXT, token->span);
  text.link = &text.node->items;
  while (text.position < text.end) {
    read_byte(&text, what);
  }
  if (text.node->items == NULL) {
    text.node->text = run_text(&text);
  } else {
    end_run(&text);
  }
  (void)g_string_free(text.run, TRUE);
  return text.node;
}

/*
 * SYNTAX: string := '"' { character | escape | "{{" | "}}" | "{" template "}" } '"'
 */
Node *parse_string(Parser *parser) {
  Token token = parser_advance(parser);
  return read_string(parser, &token, NULL);
}

bool parse_plain_string(Parser *parser, const char *what, Slice *text, SourceSpan *span) {
  if (parser_kind(parser) != TOKEN_STRING) {
    (void)parser_unexpected(parser, "%s, in double quotes", what);
    return false;
  }
  Token token = parser_advance(parser);
  size_t errors = diagnostics_error_count(parser->diagnostics);
  const Node *node = read_string(parser, &token, what);
  *span = token.span;
  *text = node->items != NULL ? node->items->text : node->text;
  if (slice_is_empty(token.text)) {
    parser_error(parser, token.span, what, "an empty string");
  }
  return diagnostics_error_count(parser->diagnostics) == errors;
}
