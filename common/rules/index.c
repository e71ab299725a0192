/*
 * index.c: builds the indexes of a program (index.h); index_cursor.c reads them.
 *
 * A statement belongs to the group of the part of its condition that is tested; groups are what the structures of a field lead to. A part that several
 * statements share (a define) is entered once, so that the whole stays as large as the rules. Of the sides of an `and` that one is taken which fewer statements
 * test in the same way: `service == "mx"` says little where all say it.
 *
 * Blocks: what is inside a block that has no candidates is passed over with it, so that inner statements need not repeat its tests; inside a small block
 * that was entered nothing is looked up. An `else` branch is considered when a branch before it is, because what is unknown there counts here.
 */
#include "common/rules/index.h"

#include "common/rules/index_access.h"
#include "common/rules/index_internal.h"

enum { CHAIN_MAX = 16, COUNTED_MAX = 64, NO_GROUP = UINT32_MAX };

typedef struct FieldBuilder {
  const Expression *expression;
  GArray *keys;     /* KeyEntry */
  GArray *networks; /* NetworkEntry */
  GArray *literals; /* LiteralEntry */
  GArray *regexes;  /* RegexSetEntry */
  size_t weight;    /* of the regexes */
  GArray *groups;   /* uint32_t */
  unsigned kinds;
  size_t longest_suffix;
} FieldBuilder;

/* The part of a condition that is tested: a comparison, or an `or` of such. NULL: none. */
typedef struct Choice {
  const Expression *part;
  uint64_t load; /* statements that are tested in the same way: the fewer the better */
  const char *reason;
} Choice;

typedef struct Member {
  uint32_t group, statement;
} Member;

typedef struct Builder {
  Arena *scratch;
  const PhaseProgram *program;
  GHashTable *field_by_name; /* name -> FieldBuilder* */
  GPtrArray *fields;
  GHashTable *choices; /* Expression* of `and` and `or` -> Choice* */
  GHashTable *loads;   /* uint64_t* of a test -> count */
  GHashTable *groups;  /* Expression* -> group + 1 */
  GArray *members, *always;
  uint32_t group_count;
  size_t inside;               /* of `always`: in a block */
  uint32_t inside_end;         /* of the blocks that have begun */
  bool sure;                   /* libhs is asked about each regex that it is to take */
  const IndexVisitor *visitor; /* NULL: nobody is told */
} Builder;

static FieldBuilder *field_of(Builder *builder, const Expression *expression) {
  char name[ACCESS_NAME_MAX];
  bool is_field = access_field_name(expression, name);
  g_assert(is_field);
  FieldBuilder *field = g_hash_table_lookup(builder->field_by_name, name);
  if (field != NULL)
    return field;
  field = ARENA_NEW(builder->scratch, FieldBuilder);
  field->expression = expression;
  field->keys = g_array_new(FALSE, FALSE, sizeof(KeyEntry));
  field->networks = g_array_new(FALSE, FALSE, sizeof(NetworkEntry));
  field->literals = g_array_new(FALSE, FALSE, sizeof(LiteralEntry));
  field->regexes = g_array_new(FALSE, FALSE, sizeof(RegexSetEntry));
  field->groups = g_array_new(FALSE, FALSE, sizeof(uint32_t));
  g_hash_table_insert(builder->field_by_name, slice_to_string(builder->scratch, slice_from(name)), field);
  g_ptr_array_add(builder->fields, field);
  return field;
}

static void field_free(FieldBuilder *field) {
  g_array_unref(field->keys);
  g_array_unref(field->networks);
  g_array_unref(field->literals);
  g_array_unref(field->regexes);
  g_array_unref(field->groups);
}

/* ---- keys ---- */

static void add_key(FieldBuilder *field, KeyKind kind, uint64_t hash, uint32_t group) {
  KeyEntry entry = {hash, group};
  field->kinds |= 1u << kind;
  g_array_append_val(field->keys, entry);
}

static void add_text(FieldBuilder *field, KeyKind kind, Slice text, uint32_t group) {
  if (kind == KEY_SUFFIX)
    field->longest_suffix = MAX(field->longest_suffix, text.length);
  add_key(field, kind, index_hash_text(kind, text), group);
}

static void add_network(FieldBuilder *field, const IpNetwork *network, uint32_t group) {
  NetworkEntry entry = {*network, group};
  g_array_append_val(field->networks, entry);
}

static void add_value(FieldBuilder *field, const Value *value, uint32_t group) {
  switch (value->type) {
    case TYPE_STRING:
    case TYPE_DOMAIN:
    case TYPE_ENUM:
      add_text(field, KEY_TEXT, value->as.text, group);
      return;
    case TYPE_ADDRESS:
      add_key(field, KEY_ADDRESS, index_hash_address(value->as.address->localpart, value->as.address->domain), group);
      return;
    case TYPE_IP: {
      IpNetwork host = ip_network_of(&value->as.ip, 128);
      add_network(field, &host, group);
      return;
    }
    case TYPE_NET:
      add_network(field, &value->as.net, group);
      return;
    case TYPE_INT:
    case TYPE_DECIMAL:
    case TYPE_SIZE:
    case TYPE_DURATION:
    case TYPE_TIME:
    case TYPE_DATE:
      add_key(field, KEY_NUMBER, index_hash_number(access_number(value)), group);
      return;
    case TYPE_BOOL:
    case TYPE_LIST:
    case TYPE_ACTION:
    case TYPE_RECORD:
    case TYPE_COUNT:
      break;
  }
  g_assert_not_reached();
}

/* "<>", "user@domain", "user@", "@domain", "domain", ".parent" */
static void add_address_entry(FieldBuilder *field, Slice key, uint32_t group) {
  ptrdiff_t at = slice_find_last(key, '@');
  if (slice_equal(key, SLICE_LITERAL("<>")))
    add_key(field, KEY_ADDRESS, index_hash_address(SLICE_EMPTY, SLICE_EMPTY), group);
  else if (at < 0 && key.length > 0 && key.data[0] == '.')
    add_text(field, KEY_SUFFIX, slice_from_offset(key, 1), group);
  else if (at <= 0)
    add_text(field, KEY_DOMAIN, slice_from_offset(key, (size_t)(at + 1)), group);
  else if ((size_t)at + 1 == key.length)
    add_text(field, KEY_USER, slice_make(key.data, (size_t)at), group);
  else
    add_key(field, KEY_ADDRESS, index_hash_address(slice_make(key.data, (size_t)at), slice_from_offset(key, (size_t)at + 1)), group);
}

typedef struct SetVisit {
  FieldBuilder *field;
  ValueType type;
  uint32_t group;
} SetVisit;

static void add_entry(Slice key, void *data) {
  const SetVisit *visit = data;
  switch (visit->type) {
    case TYPE_IP:
    case TYPE_NET: {
      IpNetwork network = {{(uint8_t)key.data[0], {0}}, (uint8_t)key.data[1]};
      memcpy(network.address.bytes, key.data + 2, sizeof network.address.bytes);
      add_network(visit->field, &network, visit->group);
      return;
    }
    case TYPE_ADDRESS:
      add_address_entry(visit->field, key, visit->group);
      return;
    case TYPE_DOMAIN:
      if (key.length > 0 && key.data[0] == '.')
        add_text(visit->field, KEY_SUFFIX, slice_from_offset(key, 1), visit->group);
      else
        add_text(visit->field, KEY_TEXT, key, visit->group);
      return;
    case TYPE_STRING:
    case TYPE_ENUM:
      add_text(visit->field, KEY_TEXT, key, visit->group);
      return;
    case TYPE_DECIMAL: {
      Value value = {VALUE_SET, TYPE_DECIMAL, {.decimal = 0}};
      memcpy(&value.as.decimal, key.data, sizeof value.as.decimal);
      add_value(visit->field, &value, visit->group);
      return;
    }
    case TYPE_INT:
    case TYPE_SIZE:
    case TYPE_DURATION:
    case TYPE_TIME:
    case TYPE_DATE: {
      Value value = value_int(0);
      memcpy(&value.as.number, key.data, sizeof value.as.number);
      add_value(visit->field, &value, visit->group);
      return;
    }
    case TYPE_BOOL:
    case TYPE_LIST:
    case TYPE_ACTION:
    case TYPE_RECORD:
    case TYPE_COUNT:
      break;
  }
  g_assert_not_reached();
}

static void add_access(Builder *builder, const Access *access, uint32_t group) {
  FieldBuilder *field = field_of(builder, access->field);
  g_array_append_val(field->groups, group);
  switch (access->kind) {
    case ACCESS_EQUAL:
      add_value(field, access->value, group);
      return;
    case ACCESS_UNDER:
      add_text(field, KEY_TEXT, access->value->as.text, group);
      add_text(field, KEY_SUFFIX, access->value->as.text, group);
      return;
    case ACCESS_SET: {
      SetVisit visit = {field, keyset_shape(access->keyset)->parts[0], group};
      keyset_each_key(access->keyset, add_entry, &visit);
      return;
    }
    case ACCESS_NETWORK:
      add_network(field, access->network, group);
      return;
    case ACCESS_LITERALS:
      for (size_t i = 0; i < access->literals->count; i++) {
        LiteralEntry entry = {access->literals->items[i], group};
        g_array_append_val(field->literals, entry);
      }
      return;
    case ACCESS_REGEX: {
      RegexSetEntry entry = {access->regex, group};
      g_array_append_val(field->regexes, entry);
      field->weight += regex_set_weight(access->regex);
      return;
    }
  }
}

/* First pass: how many statements test the same. */
static void count_tests(Builder *builder, const Expression *expression, unsigned *budget) {
  Access access;
  const char *reason = NULL;
  if (*budget == 0)
    return;
  --*budget;
  if (expression->kind == EXPRESSION_AND || expression->kind == EXPRESSION_OR) {
    count_tests(builder, expression->left, budget);
    count_tests(builder, expression->right, budget);
  } else if (access_read(expression, &access, &reason)) {
    gpointer key = GSIZE_TO_POINTER(access_hash(&access));
    gsize count = GPOINTER_TO_SIZE(g_hash_table_lookup(builder->loads, key));
    g_hash_table_insert(builder->loads, key, GSIZE_TO_POINTER(count + 1));
  }
}

static Choice choose(Builder *builder, const Expression *expression);

static Choice choose_and(Builder *builder, const Expression *expression) {
  Choice left = choose(builder, expression->left);
  if (!access_is_silent(expression->left)) {
    if (left.part == NULL && choose(builder, expression->right).part != NULL)
      left.reason = "left of what could be tested stands what counts or stores: turn the sides of the `and` round";
    return left;
  }
  Choice right = choose(builder, expression->right);
  if (left.part == NULL || (right.part != NULL && right.load < left.load))
    return right;
  return left;
}

static Choice choose_or(Builder *builder, const Expression *expression) {
  Choice left = choose(builder, expression->left);
  if (left.part == NULL)
    return left;
  Choice right = choose(builder, expression->right);
  if (right.part == NULL)
    return right;
  return (Choice){expression, left.load + right.load, NULL};
}

static Choice choose_comparison(Builder *builder, const Expression *expression) {
  Access access;
  Choice choice = {NULL, 0, NULL};
  if (!access_read(expression, &access, &choice.reason))
    return choice;
  if (access.kind == ACCESS_REGEX && builder->sure && (choice.reason = regex_set_refusal(access.regex, true)) != NULL)
    return choice;
  choice.part = expression;
  choice.load = MAX(GPOINTER_TO_SIZE(g_hash_table_lookup(builder->loads, GSIZE_TO_POINTER(access_hash(&access)))), (gsize)1);
  if (access.kind == ACCESS_REGEX) /* there is little room for them, and until they are compiled they say nothing */
    choice.load += REGEX_SET_MAX;
  return choice;
}

static Choice choose(Builder *builder, const Expression *expression) {
  if (expression->kind == EXPRESSION_NOT && expression->left->kind == EXPRESSION_NOT)
    return choose(builder, expression->left->left);
  if (expression->kind != EXPRESSION_AND && expression->kind != EXPRESSION_OR)
    return choose_comparison(builder, expression);
  const Choice *known = g_hash_table_lookup(builder->choices, expression);
  if (known != NULL)
    return *known;
  Choice *choice = ARENA_NEW(builder->scratch, Choice);
  *choice = expression->kind == EXPRESSION_AND ? choose_and(builder, expression) : choose_or(builder, expression);
  g_hash_table_insert(builder->choices, (gpointer)expression, choice);
  return *choice;
}

/* Enters a part's tests. */
static void add_part(Builder *builder, const Expression *part, uint32_t group) {
  if (part->kind == EXPRESSION_OR) {
    add_part(builder, choose(builder, part->left).part, group);
    add_part(builder, choose(builder, part->right).part, group);
    return;
  }
  Access access;
  const char *reason = NULL;
  bool is_access = access_read(part, &access, &reason);
  g_assert(is_access);
  add_access(builder, &access, group);
}

static void add_member(Builder *builder, const Expression *part, uint32_t statement) {
  uint32_t group = GPOINTER_TO_UINT(g_hash_table_lookup(builder->groups, part));
  if (group == 0) {
    group = ++builder->group_count;
    g_hash_table_insert(builder->groups, (gpointer)part, GUINT_TO_POINTER(group));
    add_part(builder, part, group - 1);
  }
  Member member = {group - 1, statement};
  g_array_append_val(builder->members, member);
}

/* ---- statements ---- */

static Choice choose_statement(Builder *builder, const Statement *statement) {
  if (statement->condition == NULL)
    return (Choice){NULL, 0, "it has no condition"};
  return choose(builder, statement->condition);
}

/* What the regexes of a part weigh in sets; *room: how much more the fullest of these takes. */
static size_t weight_of(Builder *builder, const Expression *part, size_t *room) {
  Access access;
  const char *reason = NULL;
  if (part->kind == EXPRESSION_OR)
    return weight_of(builder, choose(builder, part->left).part, room) + weight_of(builder, choose(builder, part->right).part, room);
  if (!access_read(part, &access, &reason) || access.kind != ACCESS_REGEX)
    return 0;
  *room = MIN(*room, REGEX_SET_MAX - field_of(builder, access.field)->weight);
  return regex_set_weight(access.regex);
}

static bool has_room(Builder *builder, const Expression *part) {
  size_t room = REGEX_SET_MAX;
  return g_hash_table_contains(builder->groups, part) || weight_of(builder, part, &room) <= room;
}

/* The parts of a statement and, for an `else` branch, of the branches before it; 0 and a reason when it has no tests. */
static size_t statement_parts(Builder *builder, uint32_t index, const Expression *parts[CHAIN_MAX], const char **reason) {
  size_t count = 0;
  for (uint32_t at = index; at != NO_STATEMENT; at = builder->program->statements[at].previous_branch) {
    Choice choice = choose_statement(builder, &builder->program->statements[at]);
    *reason = choice.part != NULL ? "too many branches stand before this one"
              : at != index       ? "a branch before it has no index"
                                  : choice.reason;
    if (choice.part == NULL || count == CHAIN_MAX)
      return 0;
    if (!has_room(builder, choice.part)) {
      *reason = "there are as many regexes without a text that must be there as an index takes of one fact";
      return 0;
    }
    parts[count++] = choice.part;
  }
  return count;
}

static uint32_t add_statement(Builder *builder, uint32_t index, uint8_t *walked) {
  const Statement *statement = &builder->program->statements[index];
  const Expression *parts[CHAIN_MAX];
  const char *reason = NULL;
  size_t count = statement_parts(builder, index, parts, &reason);
  bool inside = index < builder->inside_end;
  if (statement->kind == STATEMENT_BLOCK)
    builder->inside_end = MAX(builder->inside_end, statement->end);
  for (size_t i = 0; i < count; i++)
    add_member(builder, parts[i], index);
  if (count == 0) {
    g_array_append_val(builder->always, index);
    builder->inside += inside;
    if (builder->visitor != NULL && builder->visitor->always != NULL)
      builder->visitor->always(statement, inside, reason, builder->visitor->data);
    return index + 1;
  }
  if (statement->kind == STATEMENT_RULE || statement->end - index - 1 > INDEX_BLOCK_WALKED)
    return index + 1;
  walked[index / 8] |= (uint8_t)(1u << index % 8);
  return statement->end;
}

static void builder_init(Builder *builder, const PhaseProgram *program) {
  *builder = (Builder){.scratch = arena_new(0), .program = program};
  builder->field_by_name = g_hash_table_new(g_str_hash, g_str_equal);
  builder->fields = g_ptr_array_new();
  builder->choices = g_hash_table_new(NULL, NULL);
  builder->loads = g_hash_table_new(NULL, NULL);
  builder->groups = g_hash_table_new(NULL, NULL);
  builder->members = g_array_new(FALSE, FALSE, sizeof(Member));
  builder->always = g_array_new(FALSE, FALSE, sizeof(uint32_t));
}

static void builder_clear(Builder *builder) {
  for (guint i = 0; i < builder->fields->len; i++)
    field_free(builder->fields->pdata[i]);
  g_hash_table_unref(builder->field_by_name);
  g_ptr_array_unref(builder->fields);
  g_hash_table_unref(builder->choices);
  g_hash_table_unref(builder->loads);
  g_hash_table_unref(builder->groups);
  g_array_unref(builder->members);
  g_array_unref(builder->always);
  arena_free(builder->scratch);
}

static void add_statements(Builder *builder, uint8_t *walked) {
  const PhaseProgram *program = builder->program;
  for (size_t i = 0; i < program->count; i++) {
    unsigned budget = COUNTED_MAX;
    if (program->statements[i].condition != NULL)
      count_tests(builder, program->statements[i].condition, &budget);
  }
  for (uint32_t i = 0; i < program->count;)
    i = add_statement(builder, i, walked);
}

/* ---- from the builder to the index ---- */

static const uint32_t *keep(Arena *arena, const GArray *numbers) {
  uint32_t *copy = ARENA_NEW_ARRAY(arena, uint32_t, numbers->len);
  if (numbers->len > 0)
    memcpy(copy, numbers->data, numbers->len * sizeof *copy);
  return copy;
}

/* False when a structure cannot hold it. */
static bool finish_field(Arena *arena, const FieldBuilder *from, IndexField *field) {
  *field = (IndexField){.expression = from->expression, .kinds = from->kinds, .longest_suffix = from->longest_suffix};
  field->groups = keep(arena, from->groups);
  field->group_count = from->groups->len;
  if (from->keys->len > 0)
    field->keys = key_table_new(arena, (KeyEntry *)(void *)from->keys->data, from->keys->len);
  if (from->networks->len > 0)
    field->networks = network_tree_new(arena, (NetworkEntry *)(void *)from->networks->data, from->networks->len);
  if (from->literals->len > 0)
    field->literals = literal_matcher_new(arena, (const LiteralEntry *)(const void *)from->literals->data, from->literals->len);
  if (from->regexes->len > 0)
    field->regexes = regex_set_new(arena, (const RegexSetEntry *)(const void *)from->regexes->data, from->regexes->len);
  return from->literals->len == 0 || field->literals != NULL;
}

static void finish_members(Arena *arena, const Builder *builder, PhaseIndex *index) {
  uint32_t *start = ARENA_NEW_ARRAY(arena, uint32_t, (size_t)builder->group_count + 1);
  uint32_t *members = ARENA_NEW_ARRAY(arena, uint32_t, builder->members->len);
  const Member *all = (const Member *)(const void *)builder->members->data;
  for (guint i = 0; i < builder->members->len; i++)
    start[all[i].group + 1]++;
  for (uint32_t group = 0; group < builder->group_count; group++)
    start[group + 1] += start[group];
  for (guint i = builder->members->len; i-- > 0;)
    members[--start[all[i].group + 1]] = all[i].statement;
  /* Each end has become its group's start: one place further, they are the starts. */
  for (uint32_t group = 0; group < builder->group_count; group++)
    start[group] = start[group + 1];
  start[builder->group_count] = builder->members->len;
  index->group_start = start;
  index->members = members;
}

static const PhaseIndex *build(Arena *arena, const PhaseProgram *program) {
  Builder builder;
  PhaseIndex *index = ARENA_NEW(arena, PhaseIndex);
  uint8_t *walked = ARENA_NEW_ARRAY(arena, uint8_t, program->count / 8 + 1);
  builder_init(&builder, program);
  add_statements(&builder, walked);
  IndexField *fields = ARENA_NEW_ARRAY(arena, IndexField, builder.fields->len);
  bool good = builder.fields->len > 0;
  for (guint i = 0; i < builder.fields->len && good; i++)
    good = finish_field(arena, builder.fields->pdata[i], &fields[i]);
  *index = (PhaseIndex){
      .statements = program->statements, .count = (uint32_t)program->count, .fields = fields, .field_count = builder.fields->len};
  index->walked = walked;
  index->always = keep(arena, builder.always);
  index->always_count = builder.always->len;
  finish_members(arena, &builder, index);
  builder_clear(&builder);
  return good ? index : NULL;
}

void program_index(Program *program, size_t least) {
  for (Phase phase = 0; phase < PHASE_COUNT; phase++)
    if (program->phases[phase].count >= least)
      program->phases[phase].index = build(program->arena, &program->phases[phase]);
}

size_t program_index_prepare(const Program *program) {
  size_t regexes = 0;
  for (Phase phase = 0; phase < PHASE_COUNT; phase++) {
    const PhaseIndex *index = program->phases[phase].index;
    for (size_t i = 0; index != NULL && i < index->field_count; i++)
      if (index->fields[i].regexes != NULL)
        regexes += regex_set_prepare(index->fields[i].regexes);
  }
  return regexes;
}

static void visit_fact(Builder *builder, const FieldBuilder *field, const IndexVisitor *visitor) {
  IndexFact fact = {access_field_text(field->expression, builder->scratch), field->keys->len, field->networks->len, field->literals->len,
                    field->regexes->len};
  visitor->fact(&fact, visitor->data);
}

IndexCost index_cost(const Program *program, Phase phase, const IndexVisitor *visitor) {
  const PhaseProgram *phase_program = &program->phases[phase];
  Builder builder;
  builder_init(&builder, phase_program);
  builder.visitor = visitor;
  builder.sure = true;
  g_autofree uint8_t *walked = g_new0(uint8_t, phase_program->count / 8 + 1);
  add_statements(&builder, walked);
  IndexCost cost = {
      .statements = phase_program->count, .always = builder.always->len, .inside = builder.inside, .facts = builder.fields->len};
  for (size_t i = 0; i < phase_program->count; i++)
    cost.blocks += phase_program->statements[i].kind == STATEMENT_BLOCK;
  for (guint i = 0; i < builder.fields->len; i++) {
    const FieldBuilder *field = builder.fields->pdata[i];
    cost.keys += field->keys->len;
    cost.networks += field->networks->len;
    cost.literals += field->literals->len;
    cost.regexes += field->regexes->len;
    if (visitor != NULL && visitor->fact != NULL)
      visit_fact(&builder, field, visitor);
  }
  builder_clear(&builder);
  return cost;
}
