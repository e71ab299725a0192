/*
 * milter_needs.c: ruleset -> what to ask of the MTA. Each step costs CPU in both processes and, with a reply, a round trip.
 *
 * A step is needed when its phase has rules or when it tells a fact that is read (plan->needed). It needs no reply when nothing
 * can be said there: rules of connect and helo without `disconnect`, whose refusals are held. A connection, a recipient and the end of a
 * message take three round trips then (negotiation, RCPT, end).
 */
#include "common/door/milter_internal.h"

enum { MACRO_LIST_MAX = 1024 }; /* fact.def names some thirty macros of at most twenty letters */

typedef struct MacroList {
  char text[MACRO_LIST_MAX];
  size_t length;
} MacroList;

static void add_macro(MacroList *list, Slice name) {
  g_assert(list->length + 1 + name.length <= sizeof list->text);
  if (list->length > 0) {
    list->text[list->length++] = ' ';
  }
  memcpy(list->text + list->length, name.data, name.length);
  list->length += name.length;
}

/* The macros to ask for at an event, blank-separated. */
static const char *macro_list(const MilterPlan *plan, MilterEventKind event) {
  const EventPlan *due = &plan->events[event];
  MacroList list;
  list.length = 0;
  for (size_t i = 0; i < due->count; i++) {
    for (const char *const *macro = due->facts[i].macros; *macro != NULL; macro++) {
      add_macro(&list, slice_from(*macro));
    }
    if (due->facts[i].fact == FACT_SERVICE && !plan->needed[FACT_SERVER_NAME]) {
      add_macro(&list, SLICE_LITERAL("j")); /* a {daemon_name} that only repeats it names no service */
    }
  }
  return slice_to_string(plan->arena, slice_make(list.text, list.length));
}

/* Is a fact read that only this event tells? (The log's own wishes bring no HELO: its name is in the log when a rule needs the step.) */
static bool tells(const MilterPlan *plan, MilterEventKind event) {
  for (Fact fact = 0; fact < FACT_COUNT; fact++) {
    if (fact == FACT_QUEUE_ID || (milter_fact_events(fact) & MILTER_EVENT_BIT(event)) == 0) {
      continue;
    }
    bool late = event == MILTER_HELO && (milter_fact_events(fact) & MILTER_EVENT_BIT(MILTER_MAIL)) != 0;
    for (Phase phase = 0; phase < PHASE_COUNT; phase++) {
      if (milter_consults(plan, phase) && plan->ruleset->phases[phase].facts[fact] && !(late && (PHASE_BIT(phase) & PHASES_MESSAGE))) {
        return true; /* what MAIL tells again needs HELO only for the phases that have no message */
      }
    }
  }
  return false;
}

static bool evaluates(const MilterPlan *plan, Phase phase) {
  return (plan->evaluated & PHASE_BIT(phase)) != 0;
}

static void plan_replies(const MilterPlan *plan, MilterStep *steps) {
  const PhaseProgram *phases = plan->ruleset->phases;
  bool at_once = plan->options.delay_reject == DELAY_REJECT_NO;
  bool may_hold = milter_holds(plan);
  steps[MILTER_CONNECT].reply = milter_answers(plan, PHASE_CONNECT) && (at_once || phases[PHASE_CONNECT].has_disconnect);
  steps[MILTER_HELO].reply = milter_answers(plan, PHASE_HELO) && (at_once || phases[PHASE_HELO].has_disconnect);
  steps[MILTER_MAIL].reply = milter_answers(plan, PHASE_MAIL) || (may_hold && plan->options.delay_reject != DELAY_REJECT_RCPT);
  steps[MILTER_RCPT].reply = milter_answers(plan, PHASE_RCPT) || may_hold;
  steps[MILTER_DATA].reply = milter_answers(plan, PHASE_DATA);
  steps[MILTER_UNKNOWN].reply = milter_answers(plan, PHASE_UNKNOWN) || milter_answers(plan, PHASE_EXPN);
  steps[MILTER_EOM].reply = true;
}

static void plan_steps(const MilterPlan *plan, MilterStep *steps) {
  bool rules = plan->evaluated != 0;
  steps[MILTER_CONNECT].needed = rules;
  steps[MILTER_HELO].needed = evaluates(plan, PHASE_HELO) || (rules && tells(plan, MILTER_HELO));
  steps[MILTER_MAIL].needed = rules;
  steps[MILTER_RCPT].needed =
      steps[MILTER_RCPT].reply || evaluates(plan, PHASE_RCPT) || plan->keeps_mailboxes || (rules && tells(plan, MILTER_RCPT));
  steps[MILTER_UNKNOWN].needed = evaluates(plan, PHASE_UNKNOWN) || evaluates(plan, PHASE_EXPN);
  /* An unknown command may come inside a message, and behind it libmilter takes no end that no DATA announced: the MTA would wait for its answer. */
  steps[MILTER_DATA].needed = evaluates(plan, PHASE_DATA) || steps[MILTER_UNKNOWN].needed;
  steps[MILTER_HEADER].needed = plan->header_count > 0 || message_needs_headers(&plan->message);
  steps[MILTER_BODY].needed = message_needs_body(&plan->message);
  steps[MILTER_EOM].needed = true;
}

static bool has_effect(const MilterPlan *plan, EffectSet effects) {
  return (plan->effects & effects) != 0;
}

static void plan_changes(const MilterPlan *plan, MilterNeeds *needs) {
  EffectSet replace = EFFECT_BIT(EFFECT_REPLACE_HEADER), redirect = EFFECT_BIT(EFFECT_REDIRECT_MESSAGE);
  needs->add_headers = has_effect(plan, EFFECT_BIT(EFFECT_PREPEND_HEADER) | EFFECT_BIT(EFFECT_APPEND_HEADER) | replace);
  needs->change_headers = has_effect(plan, EFFECT_BIT(EFFECT_DELETE_HEADER) | replace);
  needs->add_recipients = has_effect(plan, EFFECT_BIT(EFFECT_ADD_RECIPIENT) | EFFECT_BIT(EFFECT_BCC_MESSAGE) | redirect);
  needs->delete_recipients = has_effect(plan, EFFECT_BIT(EFFECT_REMOVE_RECIPIENT) | redirect);
  needs->change_sender = has_effect(plan, EFFECT_BIT(EFFECT_CHANGE_SENDER));
  needs->quarantine = has_effect(plan, EFFECT_BIT(EFFECT_QUARANTINE_MESSAGE));
}

void milter_needs_plan(MilterPlan *plan) {
  MilterNeeds *needs = &plan->needs;
  plan_replies(plan, needs->steps);
  plan_steps(plan, needs->steps);
  for (MilterEventKind event = 0; event < MILTER_EVENT_COUNT; event++) {
    bool asked = needs->steps[event].needed && plan->evaluated != 0;
    needs->steps[event].macros = asked ? macro_list(plan, event) : "";
  }
  plan_changes(plan, needs);
}

static bool implies(bool want, bool have) {
  return !want || have;
}

static bool has_words(const char *have, const char *want) {
  g_auto(GStrv) had = g_strsplit(have, " ", -1);
  g_auto(GStrv) wanted = g_strsplit(want, " ", -1);
  for (size_t i = 0; wanted[i]; i++) {
    if (wanted[i][0] != '\0' && !g_strv_contains((const char *const *)had, wanted[i])) {
      return false;
    }
  }
  return true;
}

bool milter_needs_cover(const MilterNeeds *have, const MilterNeeds *want) {
  for (MilterEventKind event = 0; event < MILTER_EVENT_COUNT; event++) {
    const MilterStep *had = &have->steps[event], *wanted = &want->steps[event];
    if (!implies(wanted->needed, had->needed) || !implies(wanted->reply, had->reply) || !has_words(had->macros, wanted->macros)) {
      return false;
    }
  }
  return implies(want->add_headers, have->add_headers) && implies(want->change_headers, have->change_headers) &&
         implies(want->add_recipients, have->add_recipients) && implies(want->delete_recipients, have->delete_recipients) &&
         implies(want->change_sender, have->change_sender) && implies(want->quarantine, have->quarantine);
}
