/*
 * check_table.c: declarations of tables and DNS lists: types, entries, the kind's own check, opening.
 */
#include "common/rules/check_internal.h"

bool use_is_dnslist(const ResourceUse *use) {
  return slice_starts_with(use->label, SLICE_LITERAL("dnslist "));
}

static const char *const *type_names(Checker *checker) {
  const char **names = ARENA_NEW_ARRAY(checker->scratch, const char *, TYPE_COUNT + 1);
  for (ValueType type = 0; type < TYPE_COUNT; type++)
    names[type] = value_type_name(type);
  return names;
}

bool check_type_name(Checker *checker, Slice name, SourceSpan span, ValueType *type) {
  if (value_type_from_name(name, type))
    return true;
  const char *nearest = nearest_name(name, type_names(checker));
  Diagnostic *told = diagnostics_error(checker->diagnostics, span, "unknown type \"%.*s\"", SLICE_ARGS(name));
  diagnostic_expected(checker->diagnostics, told, "expected ip, net, string, address, domain, int, ...%s%s", nearest ? "; nearest: " : "",
                      nearest ? nearest : "");
  return false;
}

static bool is_key_type(ValueType type) {
  switch (type) {
    case TYPE_IP:
    case TYPE_NET:
    case TYPE_STRING:
    case TYPE_ADDRESS:
    case TYPE_DOMAIN:
    case TYPE_INT:
      return true;
    case TYPE_DECIMAL:
    case TYPE_SIZE:
    case TYPE_DURATION:
    case TYPE_TIME:
    case TYPE_DATE:
    case TYPE_BOOL:
    case TYPE_ENUM:
    case TYPE_LIST:
    case TYPE_ACTION:
    case TYPE_RECORD:
    case TYPE_COUNT:
      return false;
  }
  g_assert_not_reached();
}

/* What is right in the place of a key's type. */
static const char *expected_key_type(DeclarationKind kind, ValueType type) {
  if (kind == DECLARATION_DNSLIST) {
    return "expected ip or domain";
  }
  if (type == TYPE_LIST) {
    return "expected net, ip, domain, address, string or int: a list that is asked for is looked up element by element, as in `recipients "
           "in NAME`";
  }
  if (type == TYPE_ACTION) {
    return "expected net, ip, domain, address, string or int: actions are values, as in `table NAME of net -> action`";
  }
  return "expected net, ip, domain, address, string or int";
}

static bool is_tag(Slice tag) {
  for (size_t i = 0; i < tag.length; i++) {
    if (!g_ascii_isalnum(tag.data[i]) && tag.data[i] != '_') {
      return false;
    }
  }
  return true;
}

/* `keys postfix` and `keys sendmail`: orders of texts, one a key. */
static bool check_order(Checker *checker, const Declaration *declaration, KeysetShape *shape) {
  if (declaration->key_order == KEY_ORDER_RULES) {
    return true;
  }
  const char *wrong = NULL, *expected = NULL;
  if (declaration->entries) {
    wrong = "a set that stands in the rules has the order of the rules";
    expected = "write .example.org for what is below example.org, and 192.0.2.0/24 for a network";
  } else if (shape->part_count > 1) {
    wrong = "this order is of keys of one value";
  } else if (!is_tag(declaration->key_tag)) {
    wrong = "not a tag of an access_db";
    expected = "expected letters and digits, without the colon, such as \"From\"";
  }
  if (wrong) {
    Diagnostic *told = diagnostics_error(checker->diagnostics, declaration->key_order_span, "%s", wrong);
    if (expected)
      diagnostic_expected(checker->diagnostics, told, "%s", expected);
    return false;
  }
  shape->order = declaration->key_order;
  if (!slice_is_empty(declaration->key_tag))
    shape->tag = g_intern_string(slice_to_string(checker->scratch, slice_lower(checker->scratch, declaration->key_tag)));
  return true;
}

static bool check_shape(Checker *checker, const Declaration *declaration, KeysetShape *shape) {
  bool good = declaration->type_count > 0;
  *shape = (KeysetShape){.part_count = declaration->type_count, .exact = declaration->keys_exact};
  for (size_t i = 0; i < declaration->type_count; i++) {
    SourceSpan span = declaration->type_spans[i].source ? declaration->type_spans[i] : declaration->type_span;
    if (!check_type_name(checker, declaration->types[i], span, &shape->parts[i])) {
      good = false;
    } else if (!is_key_type(shape->parts[i]) ||
               (declaration->kind == DECLARATION_DNSLIST && shape->parts[i] != TYPE_IP && shape->parts[i] != TYPE_DOMAIN)) {
      Diagnostic *told =
          diagnostics_error(checker->diagnostics, span, "a %s cannot have keys of type %s",
                            declaration->kind == DECLARATION_DNSLIST ? "dnslist" : "table", value_type_name(shape->parts[i]));
      diagnostic_expected(checker->diagnostics, told, "%s", expected_key_type(declaration->kind, shape->parts[i]));
      good = false;
    }
  }
  good &= check_order(checker, declaration, shape);
  shape->has_value = !slice_is_empty(declaration->value_type);
  if (shape->has_value)
    good &= check_type_name(checker, declaration->value_type, declaration->value_type_span, &shape->value);
  if (shape->has_value && good && (shape->value == TYPE_ENUM || shape->value == TYPE_RECORD)) {
    Diagnostic *told = diagnostics_error(checker->diagnostics, declaration->value_type_span, "a table cannot have values of type %s",
                                         value_type_name(shape->value));
    diagnostic_expected(checker->diagnostics, told, "expected string");
    good = false;
  }
  return good;
}

static Slice net_text(Arena *arena, const Node *node) {
  char text[IP_NETWORK_TEXT_MAX];
  size_t length = node->kind == NODE_IP ? ip_format(&node->net.address, text) : ip_network_format(&node->net, text);
  return slice_copy(arena, slice_make(text, length));
}

static bool plain_text(Checker *checker, const Node *node, Slice *text) {
  if (!node->items) {
    *text = node->text;
    return true;
  }
  GString *joined = g_string_new(NULL);
  bool plain = true;
  for (const Node *part = node->items; part; part = part->next) {
    plain &= part->kind == NODE_LITERAL_TEXT;
    if (part->kind == NODE_LITERAL_TEXT && part->text.length)
      g_string_append_len(joined, part->text.data, (gssize)part->text.length);
  }
  if (plain)
    *text = slice_copy(checker->scratch, slice_make(joined->str, joined->len));
  g_string_free(joined, TRUE);
  return plain;
}

bool literal_text(Checker *checker, const Node *node, Slice *text) {
  switch (node->kind) {
    case NODE_TEXT:
      return plain_text(checker, node, text);
    case NODE_LITERAL_TEXT:
    case NODE_INT:
    case NODE_DECIMAL:
    case NODE_SIZE:
    case NODE_DURATION:
    case NODE_TIME:
    case NODE_DATE:
      *text = slice_is_empty(node->text) ? node_source(node) : node->text;
      return true;
    case NODE_IP:
    case NODE_NET:
      *text = net_text(checker->scratch, node);
      return true;
    case NODE_NULL_SENDER:
      *text = SLICE_LITERAL("<>");
      return true;
    case NODE_NAME:
    case NODE_CAPTURE:
    case NODE_REGEX:
    case NODE_SET:
    case NODE_MAP_ITEM:
    case NODE_TUPLE:
    case NODE_RANGE:
    case NODE_INDEX:
    case NODE_PROPERTY:
    case NODE_NOT:
    case NODE_AND:
    case NODE_OR:
    case NODE_COMPARE:
    case NODE_IN:
    case NODE_MATCH:
    case NODE_UNDER:
    case NODE_IS_SET:
    case NODE_QUANTIFIER:
    case NODE_DEFAULT:
      return false;
  }
  g_assert_not_reached();
}

Diagnostic *tell_problem(Checker *checker, const Node *node, const char *problem) {
  const char *is = g_str_has_prefix(problem, "not ") ? " is" : ":";
  Diagnostic *told = diagnostics_error(checker->diagnostics, node->span, "%.*s%s %s", SLICE_ARGS(node_source(node)), is, problem);
  tell_use(checker, told);
  return told;
}

static void tell_entry(Checker *checker, const Node *node, const char *problem, Slice right_form) {
  Diagnostic *told = tell_problem(checker, node, problem);
  if (!slice_is_empty(right_form))
    diagnostic_expected(checker->diagnostics, told, "write %.*s", SLICE_ARGS(right_form));
}

/* The texts of an entry's key: one, or those of a tuple. */
static bool entry_parts(Checker *checker, const Node *node, const KeysetShape *shape, Slice *parts) {
  size_t count = 0;
  const Node *item = node->kind == NODE_TUPLE ? node->items : node;
  for (; item; item = node->kind == NODE_TUPLE ? item->next : NULL, count++) {
    Slice text;
    if (!literal_text(checker, item, &text)) {
      Diagnostic *told = diagnostics_error(checker->diagnostics, item->span, "an entry of a table is a value that stands as it is");
      bool is_text = shape->parts[0] == TYPE_STRING || shape->parts[0] == TYPE_ADDRESS || shape->parts[0] == TYPE_DOMAIN;
      if (item->kind == NODE_NAME && is_text)
        diagnostic_expected(checker->diagnostics, told, "write \"%.*s\" in quotes", SLICE_ARGS(node_source(item)));
      else
        diagnostic_expected(checker->diagnostics, told, "expected a literal");
      return false;
    }
    if (count < KEYSET_PARTS_MAX)
      parts[count] = text;
  }
  if (count == shape->part_count)
    return true;
  Diagnostic *told = diagnostics_error(checker->diagnostics, node->span, "this entry has %zu %s, the table's keys have %zu", count,
                                       count == 1 ? "part" : "parts", shape->part_count);
  diagnostic_expected(checker->diagnostics, told, "expected as many parts as the table's type");
  return false;
}

static bool entry_value(Checker *checker, const Node *item, const KeysetShape *shape, Slice *value) {
  bool is_map_item = item->kind == NODE_MAP_ITEM;
  *value = SLICE_EMPTY;
  if (is_map_item != shape->has_value) {
    Diagnostic *told =
        diagnostics_error(checker->diagnostics, item->span, is_map_item ? "this table has no values" : "this entry has no value");
    diagnostic_expected(
        checker->diagnostics, told, "%s",
        is_map_item ? "expected the key only, or `table NAME of TYPE -> TYPE`" : "expected key -> value, as the table's type says");
    return false;
  }
  if (!is_map_item)
    return true;
  if (item->right->kind == NODE_NAME) {
    *value = item->right->text; /* REJECT, DUNNO */
    return true;
  }
  if (literal_text(checker, item->right, value))
    return true;
  diagnostics_error(checker->diagnostics, item->right->span, "a value in a table is a literal");
  return false;
}

/* The key of an entry when that is wrong, else its value. */
static const Node *wrong_part(Checker *checker, const Node *item, const KeysetShape *shape, const Slice *parts) {
  KeysetShape keys = *shape;
  const char *problem;
  Slice right_form;
  keys.has_value = false;
  if (item->kind != NODE_MAP_ITEM)
    return item;
  return keyset_entry_is_valid(checker->scratch, &keys, parts, &problem, &right_form) ? item->right : item->left;
}

static const Keyset *inline_entries(Checker *checker, const Declaration *declaration, const KeysetShape *shape) {
  bool good = true;
  g_autoptr(KeysetBuilder) builder = keyset_builder_new(shape);
  for (const Node *item = declaration->entries->items; item; item = item->next) {
    const Node *key = item->kind == NODE_MAP_ITEM ? item->left : item;
    Slice parts[KEYSET_PARTS_MAX], value, right_form = SLICE_EMPTY;
    const char *problem = NULL;
    if (!entry_value(checker, item, shape, &value) || !entry_parts(checker, key, shape, parts)) {
      good = false;
    } else if (!keyset_builder_add(builder, parts, value, &problem, &right_form)) {
      tell_entry(checker, wrong_part(checker, item, shape, parts), problem, right_form);
      good = false;
    }
  }
  if (!good)
    return NULL;
  Keyset *keyset = keyset_builder_end(g_steal_pointer(&builder));
  arena_on_reset(checker->arena, (ArenaRelease)keyset_free, keyset);
  return keyset;
}

static const ResourceKind *find_kind(Checker *checker, const Declaration *declaration) {
  ResourceSource *source = checker->options->resources;
  if (declaration->kind == DECLARATION_DNSLIST) {
    const ResourceKind *kind = source->find_kind(source, SLICE_LITERAL("dnslist"));
    if (!kind)
      diagnostics_error(checker->diagnostics, declaration->span, "this program was built without DNS lists");
    return kind;
  }
  const ResourceKind *kind = source->find_kind(source, declaration->source);
  if (kind && kind->is_table)
    return kind;
  const char *nearest = nearest_name(declaration->source, source->kind_names(source));
  g_autofree char *known = g_strjoinv(", ", (char **)source->kind_names(source));
  Diagnostic *told =
      diagnostics_error(checker->diagnostics, declaration->source_span, "unknown kind of table \"%.*s\"", SLICE_ARGS(declaration->source));
  diagnostic_expected(checker->diagnostics, told, "expected one of: %s%s%s", known, nearest ? "; nearest: " : "", nearest ? nearest : "");
  return NULL;
}

static void tell_fault(Checker *checker, SourceSpan span, const char *message, const char *expected) {
  Diagnostics *diagnostics = checker->diagnostics;
  Diagnostic *told = checker->options->strict_tables ? diagnostics_error(diagnostics, span, "%s", message)
                                                     : diagnostics_warning(diagnostics, span, "%s; the line is left out", message);
  if (expected)
    diagnostic_expected(diagnostics, told, "%s", expected);
}

/* The lines that the table leaves out, at their places in its file: texts that live as long as the diagnostics that point into them. */
static void tell_faults(Checker *checker, const Declaration *declaration, const ResourceUse *use) {
  const ResourceKind *kind = use->resource->kind;
  if (!kind->faults)
    return;
  Arena *arena = checker->program->tree->arena;
  ResourceVersion *version = resource_pin(use->resource);
  const ResourceFaults *faults = kind->faults(version);
  for (size_t i = 0; i < faults->told_count; i++) {
    const ResourceFault *fault = &faults->told[i];
    SourceText *source = ARENA_NEW(arena, SourceText);
    source->name = slice_to_string(arena, slice_from(fault->source.name));
    source->text = slice_copy(arena, fault->source.text);
    source->lines_before = fault->source.lines_before;
    tell_fault(checker, (SourceSpan){source, (uint32_t)fault->offset, (uint32_t)fault->length}, fault->message, fault->expected);
  }
  if (faults->count > faults->told_count) {
    SourceSpan span = declaration->spec_span;
    const char *text = arena_printf(checker->scratch, "%zu more lines of this file cannot be read", faults->count - faults->told_count);
    if (checker->options->strict_tables)
      diagnostics_error(checker->diagnostics, span, "%s", text);
    else
      diagnostics_warning(checker->diagnostics, span, "%s and are left out", text);
  }
  resource_version_unref(version);
}

static bool open_resource(Checker *checker, const Declaration *declaration, const RulesFile *file, ResourceUse *use) {
  const ResourceKind *kind = find_kind(checker, declaration);
  if (!kind)
    return false;
  bool has_codes = declaration->kind == DECLARATION_DNSLIST && !slice_is_empty(declaration->codes);
  ResourceSpec spec = {.kind = kind,
                       .name = slice_to_string(checker->arena, declaration->name),
                       .text = slice_to_string(checker->arena, declaration->spec),
                       .directory = file->directory,
                       .codes = has_codes ? slice_to_string(checker->arena, declaration->codes) : NULL,
                       .shape = use->shape,
                       .optional = declaration->optional};
  g_autofree char *wrong = kind->check ? kind->check(&spec) : NULL;
  if (wrong) {
    bool about_codes = has_codes && g_str_has_prefix(wrong, "codes ");
    diagnostics_error(checker->diagnostics, about_codes ? declaration->codes_span : declaration->spec_span, "%s", wrong);
    return false;
  }
  use->lookup_class = kind->lookup_class;
  if (use->on_error == ON_ERROR_DEFAULT)
    use->on_error = kind->on_error;
  if (!checker->options->open_resources)
    return true;
  g_autoptr(GError) error = NULL;
  ResourceSource *source = checker->options->resources;
  use->resource = source->open(source, &spec, &error);
  if (!use->resource) {
    diagnostics_error(checker->diagnostics, declaration->spec_span, "%.*s cannot be used: %s", SLICE_ARGS(use->label), error->message);
    return false;
  }
  arena_on_reset(checker->arena, (ArenaRelease)resource_unref, use->resource);
  tell_faults(checker, declaration, use);
  return true;
}

void check_table(Checker *checker, Symbol *symbol, const RulesFile *file) {
  const Declaration *declaration = symbol->declaration;
  ResourceUse *use = ARENA_NEW(checker->arena, ResourceUse);
  use->label = slice_from(
      arena_printf(checker->arena, "%s %.*s", symbol->kind == SYMBOL_TABLE ? "table" : "dnslist", SLICE_ARGS(declaration->name)));
  use->name = slice_from_offset(use->label, use->label.length - declaration->name.length);
  use->on_error = declaration->on_error;
  if (!check_shape(checker, declaration, &use->shape))
    return;
  if (declaration->entries) {
    use->keyset = inline_entries(checker, declaration, &use->shape);
    use->lookup_class = LOOKUP_HERE;
    if (use->on_error == ON_ERROR_DEFAULT)
      use->on_error = ON_ERROR_SKIP;
    if (!use->keyset)
      return;
  } else if (!open_resource(checker, declaration, file, use)) {
    return;
  }
  use->index = checker->uses->len;
  g_ptr_array_add(checker->uses, use);
  symbol->use = use;
}
