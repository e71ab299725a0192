/*
 * test_run_order.c: the property of the run model: any order in which answers arrive gives what asking one after the other gives.
 *
 * Random rulesets (run_model.h) go through a session of mail, rcpt, rcpt, data: by the simple evaluator of run_reference.c, and by the
 * real one with the answers coming in several orders. Compared are outcome, rule, failure, effects in order, variables, scores and the
 * sequence of stateful look-ups, and between the orders the failures that are told. Look-ups of class REACHED may only be asked where the simple evaluator reads them too.
 *
 * MAILREEVE_SEED=N starts at that seed (a failure prints it), MAILREEVE_ROUNDS=N takes that many rulesets.
 */
#include "tests/unit/run_model.h"
#include "common/base/limits.h"
#include "tests/unit/unit.h"

/* SOME_AT_HAND: half of the answers are there inside the run, the others come at random. DEADLINE: random, until the deadline comes. Not compared. */
typedef enum Order {
  ORDER_ALL_AT_ONCE,
  ORDER_FIRST_FIRST,
  ORDER_LAST_FIRST,
  ORDER_RANDOM,
  ORDER_RANDOM_BATCHES,
  ORDER_SOME_AT_HAND,
  ORDER_DEADLINE
} Order;
enum { ORDER_COUNT = ORDER_DEADLINE + 1, DEFAULT_ROUNDS = 5000 };

static const char *const order_names[ORDER_COUNT] = {
    "all at once", "first first", "last first", "random", "random batches", "some inside the run, others at random", "until the deadline"};

typedef struct Trial {
  const Model *model;
  ModelProgram *program;
  Order order;
  GRand *random;
  GString *out;
  GString *failures; /* that were told; may be NULL */
  Session *session;
  Variables *variables;
} Trial;

/* ---- one phase ---- */

typedef struct Asking {
  const Trial *trial;
  GPtrArray *out;  /* questions without an answer */
  GPtrArray *ever; /* all that were asked */
  GString *stateful;
  guint32 may_reach; /* look-ups of class REACHED that may be asked */
  bool reached_more;
} Asking;

static Answer *find_at_hand(void *self, Question *question) {
  Asking *asking = self;
  g_assert(question->lookup_class == LOOKUP_AHEAD);
  return g_rand_boolean(asking->trial->random) ? model_program_answer(question) : NULL;
}

static void take_wanted(Evaluation *evaluation, Asking *asking) {
  size_t count;
  Question *const *wanted = evaluation_wanted(evaluation, &count);
  for (size_t i = 0; i < count; i++) {
    for (guint j = 0; j < asking->ever->len; j++)
      g_assert(!question_equal(wanted[i], asking->ever->pdata[j]));
    g_ptr_array_add(asking->ever, wanted[i]);
    g_ptr_array_add(asking->out, wanted[i]);
    const ModelTable *table = wanted[i]->backend_self;
    int bit = (int)(table - asking->trial->model->tables) * MODEL_KEYS + wanted[i]->key[wanted[i]->key_length - 1] - '0';
    if (wanted[i]->lookup_class == LOOKUP_REACHED && (asking->may_reach & (1u << bit)) == 0)
      asking->reached_more = true;
    if (wanted[i]->lookup_class != LOOKUP_STATEFUL)
      continue;
    g_string_append_printf(asking->stateful, " %s:%c", table->name, wanted[i]->key[wanted[i]->key_length - 1]);
  }
  guint stateful = 0, ahead = 0;
  for (guint i = 0; i < asking->out->len; i++) {
    const Question *question = asking->out->pdata[i];
    stateful += question->lookup_class == LOOKUP_STATEFUL;
    ahead += question->lookup_class == LOOKUP_AHEAD;
  }
  g_assert(stateful <= 1);
  g_assert(ahead <= LIMIT_ASKED_AHEAD);
}

static void give(Evaluation *evaluation, Asking *asking, guint index) {
  Question *question = g_ptr_array_remove_index(asking->out, index);
  g_autoptr(Answer) answer = model_program_answer(question);
  evaluation_answer(evaluation, question, answer);
}

static void give_some(const Trial *trial, Evaluation *evaluation, Asking *asking) {
  g_assert(asking->out->len > 0);
  switch (trial->order) {
    case ORDER_ALL_AT_ONCE:
      while (asking->out->len > 0)
        give(evaluation, asking, 0);
      return;
    case ORDER_FIRST_FIRST:
      give(evaluation, asking, 0);
      return;
    case ORDER_LAST_FIRST:
      give(evaluation, asking, asking->out->len - 1);
      return;
    case ORDER_RANDOM:
    case ORDER_SOME_AT_HAND:
      give(evaluation, asking, (guint)g_rand_int_range(trial->random, 0, (gint32)asking->out->len));
      return;
    case ORDER_DEADLINE:
      if (g_rand_int_range(trial->random, 0, 3) == 0) {
        evaluation_expire(evaluation, "no answer");
        g_assert(!evaluation_is_waiting(evaluation));
        g_assert(evaluation_run(evaluation) == EVALUATION_DECIDED);
      } else {
        give(evaluation, asking, (guint)g_rand_int_range(trial->random, 0, (gint32)asking->out->len));
      }
      return;
    case ORDER_RANDOM_BATCHES:
      break;
  }
  do {
    give(evaluation, asking, (guint)g_rand_int_range(trial->random, 0, (gint32)asking->out->len));
  } while (asking->out->len > 0 && g_rand_boolean(trial->random));
}

static void append_effects(GString *out, const Verdict *verdict) {
  for (size_t i = 0; i < verdict->effect_count; i++) {
    const Effect *effect = &verdict->effects[i];
    g_string_append_printf(out, "  %.*s: ", SLICE_ARGS(effect->rule));
    if (effect->kind == EFFECT_LOG) {
      g_string_append_printf(out, "log %.*s\n", SLICE_ARGS(effect->as.log_text));
    } else {
      g_assert(effect->kind == EFFECT_OBSERVED);
      g_string_append_printf(out, "observed %s %d\n", outcome_name(effect->as.observed.outcome), effect->as.observed.reply.code);
    }
  }
}

static void append_variable(const Trial *trial, GString *out, const Value *value) {
  if (value->state == VALUE_SET)
    g_string_append_printf(out, "%d", (int)value->as.number);
  if (value->state != VALUE_UNKNOWN)
    return;
  g_string_append(out, "?");
  for (int table = 0; table < MODEL_TABLES; table++) {
    for (const Failure *failure = value->as.failures; failure != NULL; failure = failure->next) {
      Slice name = slice_from(trial->model->tables[table].name);
      if (slice_equal(failure->lookup, name))
        g_string_append_printf(out, ",%s", trial->model->tables[table].name);
    }
  }
}

static bool run_phase_of(Trial *trial, Phase phase, guint32 may_reach) {
  g_autoptr(Arena) arena = arena_new(0);
  Asking asking = {trial, g_ptr_array_new(), g_ptr_array_new(), g_string_new(NULL), may_reach, false};
  EvaluationOptions options = {.answers = {trial->order == ORDER_SOME_AT_HAND ? find_at_hand : NULL, &asking}};
  Evaluation *evaluation = evaluation_new(arena, model_program_ruleset(trial->program), phase, trial->session, trial->variables, &options);
  while (evaluation_run(evaluation) == EVALUATION_WAITS) {
    take_wanted(evaluation, &asking);
    g_assert(evaluation_is_waiting(evaluation));
    give_some(trial, evaluation, &asking);
  }
  const Verdict *verdict = evaluation_verdict(evaluation);
  g_string_append_printf(trial->out, "%s\n", phase_name(verdict->phase));
  append_effects(trial->out, verdict);
  for (const Failure *failure = verdict->failures; failure != NULL && trial->failures != NULL; failure = failure->next)
    g_string_append_printf(trial->failures, "%s: %.*s\n", phase_name(phase), SLICE_ARGS(failure->lookup));
  g_string_append_printf(trial->out, "  %s %d %.*s%s\n  stateful%s\n", outcome_name(verdict->outcome), verdict->reply.code,
                         SLICE_ARGS(verdict->rule), verdict->by_failure ? " by failure" : "", asking.stateful->str);
  if (asking.reached_more)
    g_string_append(trial->out, "  asked a look-up that is not reached\n");
  evaluation_commit(evaluation);
  bool refused = verdict_refuses(verdict);
  g_ptr_array_free(asking.out, TRUE);
  g_ptr_array_free(asking.ever, TRUE);
  g_string_free(asking.stateful, TRUE);
  return refused;
}

/* ---- a session ---- */

static void set_facts(const Model *model, Session *session) {
  static const Fact numbers[MODEL_FACTS] = {FACT_CLIENT_PORT, FACT_SERVER_PORT};
  static const Fact texts[MODEL_TEXTS] = {FACT_SASL_METHOD, FACT_SASL_USERNAME};
  for (int i = 0; i < MODEL_FACTS; i++) {
    Value value = value_int(model->facts[i]);
    if (model->facts[i] >= 0)
      session_set_value(session, numbers[i], &value);
  }
  for (int i = 0; i < MODEL_TEXTS; i++) {
    if (model->texts[i] != NULL)
      (void)session_set(session, texts[i], slice_from(model->texts[i]));
  }
}

static char *real_run(const Model *model, Order order, guint32 seed, const guint32 reached[MODEL_STEPS], GString *failures) {
  Trial trial = {.model = model, .order = order, .out = g_string_new(NULL), .failures = failures};
  trial.program = model_program_new(model);
  trial.random = g_rand_new_with_seed(seed);
  trial.session = session_new(DOOR_MILTER);
  const Ruleset *ruleset = model_program_ruleset(trial.program);
  trial.variables = variables_new(model_program_ruleset(trial.program));
  set_facts(model, trial.session);
  for (int step = 0; step < MODEL_STEPS; step++) {
    Phase phase = model_phase_of[model_steps[step]];
    bool refused = run_phase_of(&trial, phase, reached[step]);
    for (int i = 0; i < MODEL_VARIABLES; i++) {
      Value value = variables_get(trial.variables, ruleset->variables[i]);
      g_string_append_printf(trial.out, "  v%d=", i);
      append_variable(&trial, trial.out, &value);
    }
    for (int name = 0; name <= MODEL_SCORES; name++) {
      double score = variables_score(trial.variables, name == MODEL_SCORES ? SCORE_TOTAL : (uint32_t)name);
      g_string_append_printf(trial.out, "  s%d=%g", name, score);
    }
    g_string_append(trial.out, "\n");
    if (phase == PHASE_RCPT)
      variables_end_recipient(trial.variables, !refused);
  }
  variables_free(trial.variables);
  session_free(trial.session);
  g_rand_free(trial.random);
  model_program_free(trial.program);
  return g_string_free(trial.out, FALSE);
}

/* ---- comparing, shrinking ---- */

static bool differs(const Model *model, Order order, guint32 seed) {
  guint32 reached[MODEL_STEPS];
  g_autofree char *expected = reference_run(model, reached);
  g_autofree char *found = real_run(model, order, seed, reached, NULL);
  return strcmp(expected, found) != 0;
}

/* Tries one part of a condition in the place of the whole. */
static bool shrink_condition(Model *model, Term **place, Order order, guint32 seed) {
  Term *whole = *place;
  Term *parts[] = {whole->left, whole->right};
  if (whole->kind != COND_NOT && whole->kind != COND_AND && whole->kind != COND_OR)
    return false;
  for (size_t i = 0; i < G_N_ELEMENTS(parts); i++) {
    if (parts[i] == NULL)
      continue;
    *place = parts[i];
    if (differs(model, order, seed))
      return true;
  }
  *place = whole;
  return false;
}

static bool shrink_once(Model *model, Order order, guint32 seed) {
  bool *flag;
  for (size_t n = 0; (flag = model_dropped_flag(model, n)) != NULL; n++) {
    if (*flag)
      continue;
    *flag = true;
    if (differs(model, order, seed))
      return true;
    *flag = false;
  }
  Term **place;
  for (size_t n = 0; (place = model_condition(model, n)) != NULL; n++) {
    if (shrink_condition(model, place, order, seed))
      return true;
  }
  return false;
}

static void fail_with(Model *model, Order order, guint32 seed) {
  while (shrink_once(model, order, seed))
    continue;
  g_autofree char *rules = model_print(model);
  guint32 reached[MODEL_STEPS];
  g_autofree char *expected = reference_run(model, reached);
  g_autofree char *found = real_run(model, order, seed, reached, NULL);
  ck_abort_msg("MAILREEVE_SEED=%u, answers come %s\n%s\n-- one after the other:\n%s-- found:\n%s", seed, order_names[order], rules,
               expected, found);
}

static guint32 from_environment(const char *name, guint32 otherwise) {
  const char *text = g_getenv(name);
  int64_t number;
  return text != NULL && slice_to_int(slice_from(text), &number) ? (guint32)number : otherwise;
}

START_TEST(any_order_gives_the_same) {
  guint32 first = from_environment("MAILREEVE_SEED", 1);
  guint32 rounds = from_environment("MAILREEVE_ROUNDS", DEFAULT_ROUNDS);
  for (guint32 seed = first; seed < first + rounds; seed++) {
    Model *model = model_new(seed);
    guint32 reached[MODEL_STEPS];
    g_autofree char *expected = reference_run(model, reached);
    g_autoptr(GString) told = g_string_new(NULL);
    for (Order order = ORDER_ALL_AT_ONCE; order < ORDER_DEADLINE; order++) {
      g_autoptr(GString) failures = g_string_new(NULL);
      g_autofree char *found = real_run(model, order, seed, reached, failures);
      if (strcmp(expected, found) != 0)
        fail_with(model, order, seed);
      if (order == ORDER_ALL_AT_ONCE)
        g_string_assign(told, failures->str);
      g_autofree char *rules = g_string_equal(told, failures) ? NULL : model_print(model);
      ck_assert_msg(rules == NULL, "MAILREEVE_SEED=%u, answers come %s\n%s\n-- failures told, all at once:\n%s-- found:\n%s", seed,
                    order_names[order], rules, told->str, failures->str);
    }
    model_free(model);
  }
}
END_TEST

/* After the deadline the next run decides, whatever is out. */
START_TEST(deadline_always_decides) {
  for (guint32 seed = 1; seed <= 1000; seed++) {
    Model *model = model_new(seed);
    guint32 reached[MODEL_STEPS] = {G_MAXUINT32, G_MAXUINT32, G_MAXUINT32, G_MAXUINT32};
    g_autofree char *found = real_run(model, ORDER_DEADLINE, seed, reached, NULL);
    ck_assert_ptr_nonnull(strstr(found, "data\n"));
    model_free(model);
  }
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_test(tests, deadline_always_decides);
  tcase_add_test(tests, any_order_gives_the_same);
}

UNIT_MAIN("run order", add_tests)
