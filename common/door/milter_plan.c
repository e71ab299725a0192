/*
 * milter_plan.c: a ruleset and the options -> what each event has to do, found out once.
 */
#include "common/door/milter_internal.h"
#include "common/rules/action.h"

static bool is_owned(const MilterPlan *plan, Phase phase) {
  return (plan->options.owned & PHASE_BIT(phase)) != 0;
}

bool milter_answers(const MilterPlan *plan, Phase phase) {
  return plan->ruleset->phases[phase].has_rules && is_owned(plan, phase);
}

bool milter_holds(const MilterPlan *plan) {
  return milter_answers(plan, PHASE_CONNECT) || milter_answers(plan, PHASE_HELO);
}

/* It has rules, and is ours to answer or sets what later phases read. */
static bool is_evaluated(const MilterPlan *plan, Phase phase) {
  const PhaseProgram *program = &plan->ruleset->phases[phase];
  return program->has_rules && (is_owned(plan, phase) || program->sets_variables);
}

bool milter_consults(const MilterPlan *plan, Phase phase) {
  bool may_spare = phase == PHASE_RCPT && plan->ruleset->phases[phase].has_rules && milter_holds(plan);
  return (plan->evaluated & PHASE_BIT(phase)) != 0 || may_spare;
}

static void plan_phases(MilterPlan *plan) {
  static const Fact logged[] = {FACT_CLIENT_ADDRESS, FACT_HELO_NAME, FACT_SENDER, FACT_RECIPIENT, FACT_QUEUE_ID};
  for (Phase phase = 0; phase < PHASE_COUNT; phase++) {
    const bool *facts = plan->ruleset->phases[phase].facts;
    if (is_evaluated(plan, phase)) {
      plan->evaluated |= PHASE_BIT(phase);
    }
    if (facts[FACT_TIME] || facts[FACT_DATE] || facts[FACT_WEEKDAY]) {
      plan->timed |= PHASE_BIT(phase);
    }
    for (Fact fact = 0; milter_consults(plan, phase) && fact < FACT_COUNT; fact++) {
      plan->read[fact] = plan->read[fact] || facts[fact];
    }
  }
  memcpy(plan->needed, plan->read, sizeof plan->needed);
  for (size_t i = 0; i < G_N_ELEMENTS(logged); i++) {
    plan->needed[logged[i]] = true;
  }
}

static void plan_changes(MilterPlan *plan) {
  PhaseSet ours = plan->evaluated & plan->options.owned;
  plan->effects = milter_effects(plan->ruleset, ours);
  plan->keeps_mailboxes = (plan->effects & (EFFECT_BIT(EFFECT_REMOVE_RECIPIENT) | EFFECT_BIT(EFFECT_REDIRECT_MESSAGE))) != 0;
  plan->headers = milter_changed_headers(plan->arena, plan->ruleset, ours, &plan->header_count);
}

static bool has_accepting_rule(const PhaseProgram *program) {
  for (size_t i = 0; i < program->count; i++) {
    const Statement *statement = &program->statements[i];
    if (statement->kind == STATEMENT_RULE && !statement->rule->observe && strcmp(statement->rule->action->name, "accept") == 0) {
      return true;
    }
  }
  return false;
}

MilterPlan *milter_plan_new(Ruleset *ruleset, const MilterOptions *options) {
  MilterPlan *plan = g_new0(MilterPlan, 1);
  plan->references = 1;
  plan->ruleset = ruleset_ref(ruleset);
  plan->options = *options;
  plan->arena = arena_new(0);
  plan_phases(plan);
  plan->spares = options->delay_reject == DELAY_REJECT_RCPT && has_accepting_rule(&ruleset->phases[PHASE_RCPT]);
  plan_changes(plan);
  milter_facts_plan(plan);
  milter_content_plan(plan);
  milter_needs_plan(plan);
  return plan;
}

MilterPlan *milter_plan_ref(MilterPlan *plan) {
  g_atomic_int_inc(&plan->references);
  return plan;
}

void milter_plan_unref(MilterPlan *plan) {
  if (plan != NULL && g_atomic_int_dec_and_test(&plan->references)) {
    ruleset_unref(plan->ruleset);
    arena_free(plan->arena);
    g_free(plan);
  }
}

const Ruleset *milter_plan_ruleset(const MilterPlan *plan) {
  return plan->ruleset;
}

const MilterNeeds *milter_plan_needs(const MilterPlan *plan) {
  return &plan->needs;
}
