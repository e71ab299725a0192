/*
 * evaluate.c: an evaluation's life, and the walk over a phase's statements (evaluate.h).
 *
 * A walk decides statement by statement. At the first one that is open it turns to collecting: from there on nothing is performed, and
 * conditions are read only for the look-ups that may be asked ahead, as far as the first rule that surely ends the phase. The walk goes
 * from statement to statement by next_statement(); where there is an index, past those that are false.
 */
#include "common/rules/evaluate.h"

#include "common/base/limits.h"
#include "common/rules/evaluation.h"
#include "common/rules/index.h"

enum { SCRATCH_SIZE = 4096, BLOCKS_MAX = LIMIT_NESTING + 4 };

/* What became of the branch that was considered last and was not false: the else branches behind it read this. */
typedef enum Settled { SETTLED_TAKEN, SETTLED_UNKNOWN, SETTLED_OPEN } Settled;

typedef struct Branch {
  uint32_t block;
  Settled settled;
} Branch;

typedef struct Walk {
  Branch settled;            /* block NO_STATEMENT: none */
  Branch inside[BLOCKS_MAX]; /* the blocks around the statement at hand */
  size_t depth;
  IndexCursor *cursor; /* NULL: every statement is read */
  uint32_t unsure_end; /* what stands before this index is in a block that is open */
  bool stop;
} Walk;

Evaluation *evaluation_new(Arena *arena, Ruleset *ruleset, Phase phase, Session *session, Variables *variables,
                           const EvaluationOptions *options) {
  Evaluation *evaluation = ARENA_NEW(arena, Evaluation);
  evaluation->arena = arena;
  evaluation->ruleset = ruleset;
  evaluation->program = &ruleset->phases[phase];
  evaluation->session = session;
  evaluation->variables = variables;
  evaluation->phase = phase;
  if (options != NULL) {
    evaluation->options = *options;
    evaluation->match_space = options->match_space;
  }
  return evaluation;
}

/* ---- one statement ---- */

/* The next statement at or behind `n` that may be anything but false. */
static inline uint32_t next_statement(const Walk *walk, const PhaseProgram *program, uint32_t n) {
  if (walk->cursor != NULL)
    return index_cursor_next(walk->cursor, n);
  return n < program->count ? n : NO_STATEMENT;
}

static inline void begin_statement(Run *run, const Expression *condition, bool reads_details) {
  run->pure_open = false;
  run->stateful = NULL;
  run->details_open = false;
  run->strict = reads_details;
  if (reads_details) {
    run->details = (Details){.offsets = NULL};
    run->condition = condition;
  }
}

static void trace_statement(Run *run, const Statement *statement, Logic logic) {
  if (run->trace == NULL || run->trace->statement == NULL)
    return;
  Value value = value_bool(logic.truth == TRUTH_TRUE);
  if (logic.truth == TRUTH_OPEN)
    value.state = VALUE_OPEN;
  if (logic.truth == TRUTH_UNKNOWN)
    value = (Value){VALUE_UNKNOWN, TYPE_BOOL, {.failures = logic.failures}};
  run->trace->statement(run->trace, statement, &value, !run->collecting);
}

/* A condition that may want look-ups: when it turns out to be decided, nobody is asked for it. */
static Logic decide_asking(Run *run, const Expression *condition) {
  AskMark mark = ask_mark(run);
  Logic logic = condition_decide(run, condition);
  if (logic.truth != TRUTH_OPEN && run->evaluation->wanted_count > mark.wanted)
    ask_back(run, &mark);
  return logic;
}

static Logic decide_with_care(Run *run, const Statement *statement) {
  const Expression *condition = statement->condition;
  Logic logic = LOGIC_TRUE;
  if (condition != NULL) {
    bool asks = (condition->lookup_classes & ~(1u << LOOKUP_HERE)) != 0 || condition->reads_details;
    logic = asks ? decide_asking(run, condition) : condition_decide(run, condition);
    if (logic.truth == TRUTH_UNKNOWN)
      run_tell_failures(run, logic.failures);
  }
  if (run->trace != NULL)
    trace_statement(run, statement, logic);
  return logic;
}

/* `reads_details`: its condition, or what is done when it is true, reads captures or details of a dnslist. */
static inline Logic decide_statement(Run *run, const Statement *statement, bool reads_details) {
  begin_statement(run, statement->condition, reads_details);
  if (!statement->is_plain || run->trace != NULL)
    return decide_with_care(run, statement);
  Logic logic = condition_decide_plain(run, statement->condition);
  if (logic.truth == TRUTH_UNKNOWN)
    run_tell_failures(run, logic.failures);
  return logic;
}

/* The statement at hand is open. The first one asks what only it may ask; behind it the walk collects. */
static void meet_open(Run *run, Walk *walk) {
  if (run->collecting)
    return;
  const PhaseProgram *program = run->evaluation->program;
  ask_stateful(run);
  run->collecting = true;
  run->variables_open = program->sets_variables;
  walk->stop = run->evaluation->options.here_only || (program->lookup_classes & (1u << LOOKUP_AHEAD)) == 0;
}

/* ---- blocks ---- */

static void unknown_block(Run *run, const Statement *statement, const Failure *failures) {
  if (run->collecting)
    return;
  if (unknown_behaviour(ON_ERROR_DEFAULT, failures) == ON_ERROR_TEMPFAIL) {
    run_fail(run, slice_from(arena_printf(run->arena, "%s:%u", statement->place->file, statement->place->line)));
  } else if (statement->holds_allow) {
    run->doubt = true;
  }
}

static uint32_t enter_block(Walk *walk, uint32_t index, Settled settled) {
  g_assert(walk->depth < BLOCKS_MAX);
  walk->inside[walk->depth++] = (Branch){index, settled};
  if (walk->cursor != NULL)
    index_cursor_enter(walk->cursor, index);
  return index + 1;
}

/* An else behind a branch that was taken or is unknown. Of an unknown one it might have been what is true: so might its accept. */
static uint32_t pass_over(Run *run, Walk *walk, const Statement *statement, uint32_t index) {
  if (walk->settled.settled == SETTLED_UNKNOWN && statement->holds_allow && !run->collecting)
    run->doubt = true;
  walk->settled.block = index;
  return statement->end;
}

static uint32_t step_block(Run *run, Walk *walk, const Statement *statement, uint32_t index) {
  bool behind = statement->previous_branch != NO_STATEMENT && walk->settled.block == statement->previous_branch;
  if (behind && walk->settled.settled != SETTLED_OPEN)
    return pass_over(run, walk, statement, index);
  Logic logic = decide_statement(run, statement, statement->condition != NULL && statement->condition->reads_details);
  if (behind || logic.truth == TRUTH_OPEN)
    walk->unsure_end = MAX(walk->unsure_end, statement->end);
  switch (logic.truth) {
    case TRUTH_FALSE:
      if (behind)
        walk->settled = (Branch){index, SETTLED_OPEN};
      return statement->end;
    case TRUTH_TRUE:
      return enter_block(walk, index, SETTLED_TAKEN);
    case TRUTH_UNKNOWN:
      walk->settled = (Branch){index, SETTLED_UNKNOWN};
      unknown_block(run, statement, logic.failures);
      return statement->end;
    case TRUTH_OPEN:
      break;
  }
  meet_open(run, walk);
  return enter_block(walk, index, SETTLED_OPEN);
}

/* ---- rules ---- */

/* Reads the arguments that may be open, all of them: their look-ups go side by side. What the condition captured stays for perform. */
static bool arguments_are_open(Run *run, const Rule *rule) {
  bool open = false;
  Details details;
  if (run->strict)
    details = run->details;
  for (size_t i = 0; i < rule->argument_count; i++) {
    const Expression *argument = rule->arguments[i];
    if ((argument->lookup_classes & ~(1u << LOOKUP_HERE)) == 0 && !argument->reads_details && !argument->reads_message)
      continue;
    Value scratch;
    open = expression_value(run, argument, &scratch)->state == VALUE_OPEN || open;
    if (run->strict)
      run->details = details;
  }
  return open;
}

static void step_rule(Run *run, Walk *walk, const Statement *statement, uint32_t index) {
  const Rule *rule = statement->rule;
  bool reads_details = rule->uses_details || (!statement->is_plain && statement->condition != NULL && statement->condition->reads_details);
  Logic logic = decide_statement(run, statement, reads_details);
  switch (logic.truth) {
    case TRUTH_FALSE:
      return;
    case TRUTH_OPEN:
      meet_open(run, walk);
      return;
    case TRUTH_UNKNOWN:
      if (run->collecting || !run_unknown_condition(run, rule, logic.failures))
        return;
      break;
    case TRUTH_TRUE:
      break;
  }
  run->pure_open = false;
  run->stateful = NULL;
  if (rule->argument_count > 0 && arguments_are_open(run, rule))
    meet_open(run, walk);
  if (run->collecting) {
    walk->stop = walk->stop || (index >= walk->unsure_end && rule->action->ends_phase && !rule->observe);
    return;
  }
  rule->action->perform(run, rule, statement->plan);
  if (run->trace != NULL && run->trace->performed != NULL)
    run->trace->performed(run->trace, rule);
}

static uint32_t step(Run *run, Walk *walk, uint32_t index) {
  const Statement *statements = run->evaluation->program->statements;
  while (walk->depth > 0 && index >= statements[walk->inside[walk->depth - 1].block].end)
    walk->settled = walk->inside[--walk->depth];
  const Statement *statement = &statements[index];
  switch (statement->kind) {
    case STATEMENT_BLOCK:
      return step_block(run, walk, statement, index);
    case STATEMENT_RULE:
      break;
  }
  step_rule(run, walk, statement, index);
  return index + 1;
}

/* ---- a run ---- */

static void begin_run(Evaluation *evaluation) {
  Run *run = &evaluation->run;
  Arena *arena = evaluation->arena;
  if (evaluation->runs++ > 0) {
    Holdings *holdings = evaluation_holdings(evaluation);
    if (holdings->scratch == NULL) {
      holdings->scratch = arena_new(SCRATCH_SIZE);
    } else {
      arena_reset(holdings->scratch);
    }
    arena = holdings->scratch;
    memset(run, 0, sizeof(*run));
    questions_begin_run(evaluation);
  }
  run->evaluation = evaluation;
  run->arena = arena;
  run->trace = evaluation->options.trace;
  if (run->trace != NULL && run->trace->begin_run != NULL)
    run->trace->begin_run(run->trace, evaluation->phase);
}

static void end_run(Evaluation *evaluation) {
  Run *run = &evaluation->run;
  if (evaluation->options.observe_all || run->collecting) {
    run->verdict = (Verdict){.outcome = OUTCOME_PASS, .phase = evaluation->phase};
    return;
  }
  run->verdict.phase = evaluation->phase;
  run->verdict.failures = run->failures;
  run->verdict.effects = run->effects;
  run->verdict.effect_count = run->effect_count;
}

static inline void read_statements(Run *run, IndexCursor *cursor) {
  const PhaseProgram *program = run->evaluation->program;
  Walk walk;
  walk.settled = (Branch){NO_STATEMENT, SETTLED_TAKEN};
  walk.depth = 0;
  walk.cursor = cursor;
  walk.unsure_end = 0;
  walk.stop = false;
  uint32_t index = next_statement(&walk, program, 0);
  while (index != NO_STATEMENT && !run->ended && !walk.stop)
    index = next_statement(&walk, program, step(run, &walk, index));
}

static G_GNUC_NO_INLINE void read_candidates(Run *run) {
  IndexCursor cursor;
  index_cursor_begin(&cursor, run->evaluation->program->index, run);
  read_statements(run, &cursor);
}

EvaluationState evaluation_run(Evaluation *evaluation) {
  const PhaseProgram *program = evaluation->program;
  Run *run = &evaluation->run;
  begin_run(evaluation);
  if (!evaluation->options.observe_all || program->sets_variables) {
    if (program->index != NULL && run->trace == NULL && !evaluation->options.walk) {
      read_candidates(run);
    } else {
      read_statements(run, NULL);
    }
  }
  end_run(evaluation);
  if (!run->collecting || evaluation->options.here_only)
    return EVALUATION_DECIDED;
  g_assert(evaluation->out + evaluation->wanted_count > 0 || run->fact_open);
  return EVALUATION_WAITS;
}

/* ---- answers ---- */

Question *const *evaluation_wanted(Evaluation *evaluation, size_t *count) {
  *count = evaluation->wanted_count;
  if (evaluation->question_room < evaluation->wanted_count) {
    evaluation->question_room = evaluation->wanted_room;
    evaluation->questions = ARENA_NEW_ARRAY(evaluation->arena, Question *, evaluation->question_room);
  }
  for (size_t i = 0; i < evaluation->wanted_count; i++) {
    evaluation->questions[i] = evaluation->wanted[i]->question;
    evaluation->wanted[i]->state = ASKED_OUT;
  }
  evaluation->out += evaluation->wanted_count;
  evaluation->wanted_count = 0;
  return evaluation->questions;
}

void evaluation_answer(Evaluation *evaluation, const Question *question, Answer *answer) {
  Asked *asked = asked_find(evaluation, question);
  if (asked == NULL || asked->state != ASKED_OUT)
    return;
  asked->answer = answer_ref(answer);
  asked->state = ASKED_DONE;
  evaluation->out--;
}

void evaluation_expire(Evaluation *evaluation, const char *reason) {
  if (evaluation->expired != NULL)
    return;
  evaluation->expired = reason;
  evaluation->out = 0;
  Holdings *holdings = evaluation_holdings(evaluation);
  for (size_t i = 0; i < ASKED_BUCKETS; i++) {
    for (Asked *asked = holdings->buckets[i]; asked != NULL; asked = asked->next) {
      if (asked->state == ASKED_OUT)
        asked->state = ASKED_DONE;
    }
  }
}

bool evaluation_is_waiting(const Evaluation *evaluation) {
  return evaluation->out > 0;
}

bool evaluation_misses_facts(const Evaluation *evaluation) {
  return evaluation->run.collecting && evaluation->run.fact_open;
}

const Verdict *evaluation_verdict(const Evaluation *evaluation) {
  return &evaluation->run.verdict;
}

static void commit_scope(Evaluation *evaluation, Scope scope) {
  const Run *run = &evaluation->run;
  if (run->values[scope] == NULL)
    return;
  for (uint32_t slot = 0; slot < evaluation->ruleset->scope_slots[scope]; slot++) {
    if (run->written[scope][slot])
      variables_put(evaluation->variables, scope, slot, &run->values[scope][slot]);
  }
}

static void commit_groups(Evaluation *evaluation) {
  const GroupNote *note = evaluation->run.group_note;
  RecipientGroups *groups = variables_groups(evaluation->variables);
  for (uint32_t group = 0; group < evaluation->ruleset->group_count; group++) {
    if (note->proposes[group])
      recipient_groups_propose(groups, group, note->values[group]);
  }
  if (note->tells)
    recipient_groups_tell(groups, note->recipient);
}

void evaluation_commit(Evaluation *evaluation) {
  const Run *run = &evaluation->run;
  if (evaluation->program->sets_variables) {
    for (Scope scope = SCOPE_SESSION; scope <= SCOPE_RECIPIENT; scope++)
      commit_scope(evaluation, scope);
    for (size_t i = 0; i < run->score_count; i++)
      variables_add_score(evaluation->variables, &run->scores[i]);
  }
  if (run->group_note != NULL)
    commit_groups(evaluation);
  variables_set_phase(evaluation->variables, evaluation->phase);
}
