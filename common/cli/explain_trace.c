/*
 * explain_trace.c: the recorder.
 *
 * Values are told innermost first and live in the run's memory, so each is kept as text, by its expression, until the statement that it belongs to is told. Look-ups
 * likewise. What a rule's arguments read is told between its statement and its being performed.
 */
#include "common/cli/explain_trace.h"

#include "common/cli/listing.h"
#include "common/rules/format.h"

enum { VALUE_TEXT_MAX = 400 };

struct Recorder {
  Trace trace; /* first: the trace is the recorder */
  const Ruleset *ruleset;
  Arena *arena; /* for formatting; emptied at each statement */
  json_t *phases;
  json_t *statements; /* of the phase at hand; borrowed */
  json_t *rule;       /* told last; borrowed */
  Phase phase;
  GHashTable *values; /* const Expression * -> char * */
  json_t *lookups;    /* not yet in a statement */
};

/* ---- values ---- */

static const char *failure_words(Arena *arena, const Failure *failures) {
  g_autoptr(GString) text = g_string_new("unknown (");
  for (const Failure *failure = failures; failure; failure = failure->next) {
    g_string_append_printf(text, "%s%.*s: %.*s", failure == failures ? "" : "; ", SLICE_ARGS(failure->lookup), SLICE_ARGS(failure->reason));
  }
  g_string_append_c(text, ')');
  return slice_to_string(arena, slice_make(text->str, text->len));
}

static bool is_quoted_type(ValueType type) {
  return type == TYPE_STRING || type == TYPE_ACTION;
}

static const char *value_words(Arena *arena, const Value *value) {
  switch (value->state) {
    case VALUE_UNSET:
      return "unset";
    case VALUE_OPEN:
      return "waiting";
    case VALUE_UNKNOWN:
      return failure_words(arena, value->as.failures);
    case VALUE_SET:
      break;
  }
  if (value->type == TYPE_ADDRESS && mail_address_is_null(value->as.address)) {
    return "<>";
  }
  Slice text = slice_quote(arena, value_format(arena, value), VALUE_TEXT_MAX);
  return is_quoted_type(value->type) ? arena_printf(arena, "\"%.*s\"", SLICE_ARGS(text)) : slice_to_string(arena, text);
}

/* ---- conditions ---- */

static bool is_literal(const Expression *expression) {
  return expression->kind == EXPRESSION_LITERAL;
}

static json_t *expression_json(Recorder *recorder, const Expression *expression);

static void add_part(Recorder *recorder, json_t *parts, const Expression *part) {
  if (part == NULL || is_literal(part)) {
    return;
  }
  json_t *json = expression_json(recorder, part);
  if (json) {
    (void)json_array_append_new(parts, json);
  }
}

/* What stands below a `not` stands below what it turns round: that one's value says nothing new. */
static void add_parts(Recorder *recorder, json_t *parts, const Expression *expression) {
  if (expression->kind == EXPRESSION_NOT) {
    add_parts(recorder, parts, expression->left);
    return;
  }
  add_part(recorder, parts, expression->left);
  add_part(recorder, parts, expression->right);
  if (expression->kind == EXPRESSION_IN_RESOURCE || expression->kind == EXPRESSION_VALUE_OF) {
    for (size_t i = 0; i < expression->as.lookup->count; i++) {
      add_part(recorder, parts, expression->as.lookup->keys[i]);
    }
  }
  if (expression->kind == EXPRESSION_TEMPLATE) {
    for (size_t i = 0; i < expression->as.parts.count; i++) {
      add_part(recorder, parts, expression->as.parts.items[i]);
    }
  }
}

static const char *expression_text(Recorder *recorder, const Expression *expression) {
  const Node *node = program_node(recorder->ruleset, expression);
  if (expression->kind == EXPRESSION_FACT) {
    return fact_info(expression->as.fact)->name; /* its node may be that of a property of it */
  }
  if (expression->kind == EXPRESSION_ELEMENT) {
    Slice rest;
    bool more;
    return slice_to_string(recorder->arena, slice_split(node->text, '.', &rest, &more));
  }
  return node ? slice_to_string(recorder->arena, rules_format_expression(recorder->arena, node)) : "";
}

/* NULL when it was not asked. */
static json_t *expression_json(Recorder *recorder, const Expression *expression) {
  const char *value = g_hash_table_lookup(recorder->values, expression);
  if (value == NULL) {
    return NULL;
  }
  json_t *parts = json_array();
  add_parts(recorder, parts, expression);
  return json_pack("{s:o, s:o, s:o}", "text", listing_json_text(expression_text(recorder, expression)), "value", listing_json_text(value),
                   "parts", parts);
}

/* ---- statements ---- */

static size_t statement_depth(const Recorder *recorder, const Statement *statement) {
  const Statement *all = recorder->ruleset->phases[recorder->phase].statements;
  size_t depth = 0;
  for (uint32_t parent = statement->parent; parent != NO_STATEMENT; parent = all[parent].parent) {
    depth++;
  }
  return depth;
}

static const char *rule_text(const Recorder *recorder, const Rule *rule) {
  Arena *arena = recorder->arena;
  const StatementNode *node = program_rule_node(recorder->ruleset, rule);
  g_autoptr(GString) text = g_string_new(NULL);
  if (rule->labelled) {
    g_string_append_printf(text, "[%.*s] ", SLICE_ARGS(rule->id));
  }
  if (rule->observe) {
    g_string_append(text, "observe ");
  }
  if (node) {
    g_string_append_printf(text, "%.*s", SLICE_ARGS(rules_format_action(arena, node->action)));
  }
  if (node && node->condition) {
    Slice condition = rules_format_expression(arena, node->condition);
    g_string_append_printf(text, " %s %.*s", node->unless ? "unless" : "if", SLICE_ARGS(condition));
  }
  if (rule->on_error != ON_ERROR_DEFAULT) {
    g_string_append_printf(text, " on error %s", error_behaviour_name(rule->on_error));
  }
  return slice_to_string(arena, slice_make(text->str, text->len));
}

static const char *block_text(const Recorder *recorder, const Statement *statement) {
  const Node *condition = statement->condition ? program_node(recorder->ruleset, statement->condition) : NULL;
  bool is_else = statement->previous_branch != NO_STATEMENT;
  if (condition == NULL) {
    return is_else ? "else" : "always";
  }
  Slice text = rules_format_expression(recorder->arena, condition);
  return arena_printf(recorder->arena, "%swhen %.*s", is_else ? "else " : "", SLICE_ARGS(text));
}

static void take_lookups(Recorder *recorder, json_t *statement) {
  json_t *own = json_object_get(statement, "lookups");
  size_t i, k;
  json_t *lookup, *known;
  json_array_foreach(recorder->lookups, i, lookup) {
    bool is_known = false; /* a template that is read twice asks twice */
    json_array_foreach(own, k, known) {
      is_known = is_known || json_equal(known, lookup);
    }
    if (!is_known) {
      (void)json_array_append(own, lookup);
    }
  }
  (void)json_array_clear(recorder->lookups);
}

static void on_begin_run(Trace *trace, Phase phase) {
  Recorder *recorder = (Recorder *)trace;
  size_t count = json_array_size(recorder->phases);
  json_t *last = count > 0 ? json_array_get(recorder->phases, count - 1) : NULL;
  if (last && recorder->phase == phase) {
    (void)json_array_remove(recorder->phases, count - 1); /* the run before this one had to wait */
  }
  recorder->phase = phase;
  recorder->rule = NULL;
  recorder->statements = json_array();
  g_hash_table_remove_all(recorder->values);
  (void)json_array_clear(recorder->lookups);
  (void)json_array_append_new(recorder->phases, json_pack("{s:s, s:o}", "phase", phase_name(phase), "statements", recorder->statements));
}

static void on_statement(Trace *trace, const Statement *statement, const Value *condition, bool decided) {
  Recorder *recorder = (Recorder *)trace;
  if (!decided) {
    g_hash_table_remove_all(recorder->values);
    (void)json_array_clear(recorder->lookups);
    recorder->rule = NULL;
    return;
  }
  bool is_rule = statement->kind == STATEMENT_RULE;
  unsigned line = 0, column = 0;
  SourceSpan span = program_span(recorder->ruleset, recorder->phase, statement);
  source_position(span, &line, &column);
  const char *text = is_rule ? rule_text(recorder, statement->rule) : block_text(recorder, statement);
  json_t *parts = statement->condition ? expression_json(recorder, statement->condition) : NULL;
  json_t *json = json_pack("{s:s, s:o, s:o, s:o, s:i, s:i, s:o, s:o, s:o, s:b}", "kind", is_rule ? "rule" : "block", "id",
                           is_rule ? listing_json_text(slice_to_string(recorder->arena, statement->rule->id)) : json_null(), "text",
                           listing_json_text(text), "file", listing_json_text(span.source ? span.source->name : NULL), "line", (int)line,
                           "depth", (int)statement_depth(recorder, statement), "value",
                           statement->condition ? listing_json_text(value_words(recorder->arena, condition)) : json_null(), "condition",
                           parts ? parts : json_null(), "lookups", json_array(), "performed", false);
  take_lookups(recorder, json);
  (void)json_array_append_new(recorder->statements, json);
  recorder->rule = is_rule ? json : NULL;
  g_hash_table_remove_all(recorder->values);
  arena_reset(recorder->arena);
}

static void on_expression(Trace *trace, const Expression *expression, const Value *value) {
  Recorder *recorder = (Recorder *)trace;
  if (!is_literal(expression)) {
    g_hash_table_insert(recorder->values, (gpointer)expression, g_strdup(value_words(recorder->arena, value)));
  }
}

static const char *keys_words(Arena *arena, const ResourceUse *use, const Value *keys) {
  g_autoptr(GString) text = g_string_new(NULL);
  for (size_t i = 0; i < use->shape.part_count; i++) {
    g_string_append_printf(text, "%s%s", i > 0 ? ", " : "", value_words(arena, &keys[i]));
  }
  return slice_to_string(arena, slice_make(text->str, text->len));
}

static const char *result_words(Arena *arena, const ResourceAnswer *result) {
  switch (result->state) {
    case ANSWER_NOT_FOUND:
      return "not found";
    case ANSWER_FAILED:
      return arena_printf(arena, "failed: %s", result->reason ? result->reason : "no reason given");
    case ANSWER_FOUND:
      break;
  }
  if (result->code.length > 0) {
    Slice code = slice_quote(arena, result->code, VALUE_TEXT_MAX), text = slice_quote(arena, result->text, VALUE_TEXT_MAX);
    return text.length > 0 ? arena_printf(arena, "found: %.*s, \"%.*s\"", SLICE_ARGS(code), SLICE_ARGS(text))
                           : arena_printf(arena, "found: %.*s", SLICE_ARGS(code));
  }
  return result->value.state == VALUE_SET ? arena_printf(arena, "found: %s", value_words(arena, &result->value)) : "found";
}

static void on_lookup(Trace *trace, const ResourceUse *use, const Value *keys, const Question *question, const Answer *answer,
                      const ResourceAnswer *result) {
  Recorder *recorder = (Recorder *)trace;
  json_t *json =
      json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "lookup", listing_json_text(slice_to_string(recorder->arena, use->label)), "key",
                listing_json_text(keys_words(recorder->arena, use, keys)), "answer",
                listing_json_text(result_words(recorder->arena, result)), "question", listing_json_text(question ? question->key : NULL),
                "took_ms", answer ? json_integer(answer->took_ms) : json_null(), "from_cache", json_boolean(answer && answer->from_cache),
                "stale", answer && answer->stale ? listing_json_text(answer->reason) : json_null());
  (void)json_array_append_new(recorder->lookups, json);
}

static void on_performed(Trace *trace, const Rule *rule) {
  Recorder *recorder = (Recorder *)trace;
  (void)rule;
  if (recorder->rule) {
    (void)json_object_set_new(recorder->rule, "performed", json_true());
    take_lookups(recorder, recorder->rule);
  }
  g_hash_table_remove_all(recorder->values);
}

Recorder *recorder_new(const Ruleset *ruleset) {
  Recorder *recorder = g_new0(Recorder, 1);
  recorder->trace = (Trace){
      .begin_run = on_begin_run, .statement = on_statement, .expression = on_expression, .lookup = on_lookup, .performed = on_performed};
  recorder->ruleset = ruleset;
  recorder->arena = arena_new(0);
  recorder->phases = json_array();
  recorder->lookups = json_array();
  recorder->values = g_hash_table_new_full(NULL, NULL, NULL, g_free);
  return recorder;
}

void recorder_free(Recorder *recorder) {
  if (recorder == NULL) {
    return;
  }
  json_decref(recorder->phases);
  json_decref(recorder->lookups);
  g_hash_table_unref(recorder->values);
  arena_free(recorder->arena);
  g_free(recorder);
}

Trace *recorder_trace(Recorder *recorder) {
  return &recorder->trace;
}

json_t *recorder_take(Recorder *recorder) {
  json_t *phases = recorder->phases;
  recorder->phases = json_array();
  recorder->statements = recorder->rule = NULL;
  return phases;
}

/* ---- printing ---- */

static const char *text_of(const json_t *object, const char *key) {
  const char *text = json_string_value(json_object_get(object, key));
  return text ? text : "";
}

static void print_condition(GString *out, const json_t *condition, int indent) {
  size_t i;
  const json_t *part;
  const char *value = text_of(condition, "value"), *text = text_of(condition, "text");
  if (g_strcmp0(value, text) != 0) {
    g_string_append_printf(out, "%*s%s: %s\n", indent, "", text, value);
  }
  json_array_foreach(json_object_get(condition, "parts"), i, part) {
    print_condition(out, part, indent + 2);
  }
}

static void print_lookup(GString *out, const json_t *lookup, int indent) {
  const json_t *took = json_object_get(lookup, "took_ms");
  g_string_append_printf(out, "%*s%s, asked for %s: %s", indent, "", text_of(lookup, "lookup"), text_of(lookup, "key"),
                         text_of(lookup, "answer"));
  if (json_is_integer(took)) {
    g_string_append_printf(out, " (%s, %d ms%s", text_of(lookup, "question"), (int)json_integer_value(took),
                           json_is_true(json_object_get(lookup, "from_cache")) ? ", kept from before" : "");
    if (json_is_string(json_object_get(lookup, "stale"))) {
      g_string_append_printf(out, ", stale: %s", text_of(lookup, "stale"));
    }
    g_string_append_c(out, ')');
  }
  g_string_append_c(out, '\n');
}

static void print_statement(GString *out, const json_t *statement, int indent) {
  size_t i;
  const json_t *lookup;
  int own = indent + 2 * (int)json_integer_value(json_object_get(statement, "depth"));
  bool has_condition = json_is_object(json_object_get(statement, "condition"));
  g_string_append_printf(out, "%*s%s:%d: %s\n", own, "", text_of(statement, "file"),
                         (int)json_integer_value(json_object_get(statement, "line")), text_of(statement, "text"));
  if (has_condition) {
    print_condition(out, json_object_get(statement, "condition"), own + 4);
  }
  json_array_foreach(json_object_get(statement, "lookups"), i, lookup) {
    print_lookup(out, lookup, own + 4);
  }
  if (json_is_true(json_object_get(statement, "performed"))) {
    g_string_append_printf(out, "%*s=> done\n", own + 4, "");
  }
}

void recorded_print(GString *out, const json_t *phases, int indent) {
  size_t i, k;
  const json_t *phase, *statement;
  json_array_foreach(phases, i, phase) {
    g_string_append_printf(out, "%*srules at %s:\n", indent, "", text_of(phase, "phase"));
    json_array_foreach(json_object_get(phase, "statements"), k, statement) {
      print_statement(out, statement, indent + 2);
    }
  }
}
