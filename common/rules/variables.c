/*
 * variables.c: variables and scores of a session (variables.h).
 *
 * A slot that holds a text owns a small arena for it, emptied when the slot is written again: a session of ten thousand recipients keeps
 * no more than the last value. Scores are kept as what each rule added, not as sums: a rule scores once a scope, and what the helo rules
 * added can be taken back.
 */
#include "common/rules/variables.h"

#include <math.h>

#include "common/base/limits.h"

enum { SCOPE_COUNT = SCOPE_RECIPIENT + 1, SLOT_ARENA_SIZE = 256 };

typedef struct Slot {
  Value value;
  Arena *arena; /* NULL until a value needs one */
} Slot;

struct Variables {
  Ruleset *ruleset;
  Phase phase; /* of the last evaluation that was committed */
  Slot *slots[SCOPE_COUNT];
  bool written[SCOPE_COUNT];          /* a slot of the scope may be set */
  GArray *contributions[SCOPE_COUNT]; /* of Contribution; NULL until the first */
  bool any_accepted;                  /* a recipient of the message was accepted: the maxima hold */
  double *maxima;                     /* by score name, of the accepted recipients */
  double maximum_total;
  RecipientGroups *groups; /* made when first needed */
};

static void slots_free(Variables *variables, Scope scope) {
  size_t count = variables->ruleset->scope_slots[scope];
  for (size_t i = 0; i < count; i++)
    arena_free(variables->slots[scope][i].arena);
  g_clear_pointer(&variables->slots[scope], g_free);
  variables->written[scope] = false;
}

static void slots_new(Variables *variables, Scope scope) {
  size_t count = variables->ruleset->scope_slots[scope];
  variables->slots[scope] = count > 0 ? g_new0(Slot, count) : NULL;
  variables->written[scope] = false;
}

Variables *variables_new(Ruleset *ruleset) {
  Variables *variables = g_new0(Variables, 1);
  variables->ruleset = ruleset_ref(ruleset);
  for (Scope scope = SCOPE_SESSION; scope <= SCOPE_RECIPIENT; scope++)
    slots_new(variables, scope);
  return variables;
}

void variables_free(Variables *variables) {
  if (variables == NULL)
    return;
  for (Scope scope = SCOPE_SESSION; scope <= SCOPE_RECIPIENT; scope++) {
    slots_free(variables, scope);
    if (variables->contributions[scope] != NULL)
      g_array_free(variables->contributions[scope], TRUE);
  }
  g_free(variables->maxima);
  g_free(variables->groups);
  ruleset_unref(variables->ruleset);
  g_free(variables);
}

Ruleset *variables_ruleset(const Variables *variables) {
  return variables->ruleset;
}

/* ---- values ---- */

/* Cuts in front of a UTF-8 sequence, not inside. */
static Slice cut_text(Slice text) {
  if (text.length <= LIMIT_VARIABLE)
    return text;
  size_t length = LIMIT_VARIABLE;
  while (length > LIMIT_VARIABLE - 4 && ((unsigned char)text.data[length] & 0xc0) == 0x80)
    length--;
  return slice_make(text.data, length);
}

Value variables_copy_value(Arena *arena, const Value *value) {
  if (value->state != VALUE_SET || value->type != TYPE_STRING)
    return value_copy(arena, value);
  Value cut = *value;
  cut.as.text = cut_text(value->as.text);
  return value_copy(arena, &cut);
}

static bool needs_arena(const Value *value) {
  if (value->state == VALUE_UNKNOWN)
    return true;
  if (value->state != VALUE_SET)
    return false;
  switch (value->type) {
    case TYPE_STRING:
    case TYPE_ADDRESS:
    case TYPE_DOMAIN:
    case TYPE_ENUM:
    case TYPE_LIST:
    case TYPE_ACTION:
    case TYPE_RECORD:
      return true;
    case TYPE_IP:
    case TYPE_NET:
    case TYPE_INT:
    case TYPE_DECIMAL:
    case TYPE_SIZE:
    case TYPE_DURATION:
    case TYPE_TIME:
    case TYPE_DATE:
    case TYPE_BOOL:
    case TYPE_COUNT:
      break;
  }
  return false;
}

const Value *variables_slot(const Variables *variables, Scope scope, uint32_t slot) {
  return &variables->slots[scope][slot].value;
}

Value variables_get(const Variables *variables, const VariableInfo *info) {
  return *variables_slot(variables, info->scope, info->slot);
}

void variables_put(Variables *variables, Scope scope, uint32_t index, const Value *value) {
  Slot *slot = &variables->slots[scope][index];
  if (slot->arena != NULL)
    arena_reset(slot->arena);
  if (needs_arena(value)) {
    if (slot->arena == NULL)
      slot->arena = arena_new(SLOT_ARENA_SIZE);
    slot->value = variables_copy_value(slot->arena, value);
  } else {
    slot->value = *value;
  }
  variables->written[scope] = true;
}

static void forget_values(Variables *variables, Scope scope) {
  if (!variables->written[scope])
    return;
  size_t count = variables->ruleset->scope_slots[scope];
  for (size_t i = 0; i < count; i++) {
    Slot *slot = &variables->slots[scope][i];
    slot->value = VALUE_NONE;
    if (slot->arena != NULL)
      arena_reset(slot->arena);
  }
  variables->written[scope] = false;
}

/* ---- scores ---- */

static double sum_of(const GArray *contributions, uint32_t score) {
  double sum = 0;
  for (guint i = 0; contributions != NULL && i < contributions->len; i++) {
    const Contribution *contribution = &g_array_index(contributions, Contribution, i);
    if (score == SCORE_TOTAL || contribution->name == score)
      sum += contribution->amount;
  }
  return sum;
}

static double largest_accepted(const Variables *variables, uint32_t score) {
  if (!variables->any_accepted)
    return 0;
  return score == SCORE_TOTAL ? variables->maximum_total : variables->maxima[score];
}

double variables_score_at(const Variables *variables, uint32_t score, Phase phase) {
  bool at_recipient = phase == PHASE_RCPT || phase == PHASE_VRFY;
  double sum = sum_of(variables->contributions[SCOPE_SESSION], score) + sum_of(variables->contributions[SCOPE_MESSAGE], score);
  return sum + (at_recipient ? sum_of(variables->contributions[SCOPE_RECIPIENT], score) : largest_accepted(variables, score));
}

double variables_score(const Variables *variables, uint32_t score) {
  return variables_score_at(variables, score, variables->phase);
}

void variables_set_phase(Variables *variables, Phase phase) {
  variables->phase = phase;
}

bool variables_has_scored(const Variables *variables, const Rule *rule, Scope scope, uint32_t name) {
  const GArray *contributions = variables->contributions[scope];
  for (guint i = 0; contributions != NULL && i < contributions->len; i++) {
    const Contribution *contribution = &g_array_index(contributions, Contribution, i);
    if (contribution->rule == rule && contribution->name == name)
      return true;
  }
  return false;
}

void variables_add_score(Variables *variables, const Contribution *contribution) {
  GArray **contributions = &variables->contributions[contribution->scope];
  if (*contributions == NULL)
    *contributions = g_array_new(FALSE, FALSE, sizeof(Contribution));
  g_array_append_val(*contributions, *contribution);
}

static void forget_scores(Variables *variables, Scope scope) {
  if (variables->contributions[scope] != NULL)
    g_array_set_size(variables->contributions[scope], 0);
}

/* ---- groups ---- */

RecipientGroups *variables_groups(Variables *variables) {
  if (variables->groups == NULL)
    variables->groups = g_new0(RecipientGroups, 1);
  return variables->groups;
}

/* ---- ends of scopes ---- */

static void fold_recipient(Variables *variables) {
  size_t count = variables->ruleset->score_count;
  if (count == 0)
    return;
  if (variables->maxima == NULL)
    variables->maxima = g_new0(double, count);
  const GArray *mine = variables->contributions[SCOPE_RECIPIENT];
  for (uint32_t name = 0; name < count; name++) {
    double sum = sum_of(mine, name);
    variables->maxima[name] = variables->any_accepted ? fmax(variables->maxima[name], sum) : sum;
  }
  double total = sum_of(mine, SCORE_TOTAL);
  variables->maximum_total = variables->any_accepted ? fmax(variables->maximum_total, total) : total;
  variables->any_accepted = true;
}

void variables_end_recipient(Variables *variables, bool accepted) {
  if (accepted)
    fold_recipient(variables);
  if (variables->groups != NULL)
    recipient_groups_end_recipient(variables->groups, accepted);
  forget_scores(variables, SCOPE_RECIPIENT);
  forget_values(variables, SCOPE_RECIPIENT);
}

void variables_reset_message(Variables *variables) {
  variables_end_recipient(variables, false);
  forget_scores(variables, SCOPE_MESSAGE);
  forget_values(variables, SCOPE_MESSAGE);
  variables->any_accepted = false;
  if (variables->groups != NULL)
    *variables->groups = (RecipientGroups){.told_count = 0};
}

void variables_forget_phase(Variables *variables, Phase phase) {
  GArray *contributions = variables->contributions[SCOPE_SESSION];
  if (contributions == NULL)
    return;
  guint kept = 0;
  for (guint i = 0; i < contributions->len; i++) {
    Contribution contribution = g_array_index(contributions, Contribution, i);
    if (contribution.phase != phase)
      g_array_index(contributions, Contribution, kept++) = contribution;
  }
  g_array_set_size(contributions, kept);
}

void variables_reset(Variables *variables) {
  variables_reset_message(variables);
  forget_scores(variables, SCOPE_SESSION);
  forget_values(variables, SCOPE_SESSION);
  variables->phase = PHASE_CONNECT;
}

/* ---- another ruleset ---- */

static const Rule *same_rule(const Ruleset *ruleset, const Rule *rule) {
  for (size_t i = 0; rule != NULL && rule->labelled && i < ruleset->rule_count; i++) {
    if (slice_equal(ruleset->rules[i]->id, rule->id))
      return ruleset->rules[i];
  }
  return NULL;
}

/* By label, so that a rule that has scored in this session does not score again; names that the new ruleset does not know go. */
static void carry_scores(Variables *variables, const Ruleset *from, const Ruleset *to) {
  GArray *contributions = variables->contributions[SCOPE_SESSION];
  if (contributions == NULL)
    return;
  guint kept = 0;
  for (guint i = 0; i < contributions->len; i++) {
    Contribution contribution = g_array_index(contributions, Contribution, i);
    for (uint32_t name = 0; name < to->score_count; name++) {
      if (!slice_equal(to->score_names[name], from->score_names[contribution.name]))
        continue;
      contribution.rule = same_rule(to, contribution.rule);
      contribution.name = name;
      g_array_index(contributions, Contribution, kept++) = contribution;
      break;
    }
  }
  g_array_set_size(contributions, kept);
}

static const VariableInfo *same_variable(const Ruleset *ruleset, const VariableInfo *info) {
  for (size_t i = 0; i < ruleset->variable_count; i++) {
    const VariableInfo *other = ruleset->variables[i];
    if (other->scope == info->scope && other->type == info->type && slice_equal(other->name, info->name))
      return other;
  }
  return NULL;
}

static void carry_values(const Slot *old_slots, const Ruleset *from, Variables *variables) {
  for (size_t i = 0; i < from->variable_count; i++) {
    const VariableInfo *info = from->variables[i];
    if (info->scope != SCOPE_SESSION)
      continue;
    const VariableInfo *other = same_variable(variables->ruleset, info);
    if (other != NULL)
      variables_put(variables, SCOPE_SESSION, other->slot, &old_slots[info->slot].value);
  }
}

void variables_rebind(Variables *variables, Ruleset *ruleset) {
  Ruleset *old = variables->ruleset;
  if (old == ruleset)
    return;
  variables_reset_message(variables);
  slots_free(variables, SCOPE_MESSAGE);
  slots_free(variables, SCOPE_RECIPIENT);
  g_clear_pointer(&variables->maxima, g_free);
  Slot *session_slots = g_steal_pointer(&variables->slots[SCOPE_SESSION]);
  variables->ruleset = ruleset_ref(ruleset);
  for (Scope scope = SCOPE_SESSION; scope <= SCOPE_RECIPIENT; scope++)
    slots_new(variables, scope);
  carry_scores(variables, old, ruleset);
  carry_values(session_slots, old, variables);
  for (size_t i = 0; i < old->scope_slots[SCOPE_SESSION]; i++)
    arena_free(session_slots[i].arena);
  g_free(session_slots);
  ruleset_unref(old);
}
