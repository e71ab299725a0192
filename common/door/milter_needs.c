/*
 * milter_needs.c: ruleset -> what to ask of the MTA. Each step costs CPU in both processes and, with a reply, a round trip.
 *
 * A step is needed when its phase has rules or when it tells a fact that is read (milter_facts_needed). It needs no reply when nothing
 * can be said there: rules of connect and helo without `disconnect`, whose refusals are held. A connection, a recipient and the end of a
 * message take three round trips then (negotiation, RCPT, end).
 */
#include "common/door/milter_internal.h"

static bool is_owned(const MilterOptions *options, Phase phase) {
  return (options->owned & PHASE_BIT(phase)) != 0;
}

bool milter_evaluates(const Ruleset *ruleset, const MilterOptions *options, Phase phase) {
  const PhaseProgram *program = &ruleset->phases[phase];
  return program->has_rules && (is_owned(options, phase) || program->sets_variables);
}

/* Rules that may answer. */
static bool answers(const Ruleset *ruleset, const MilterOptions *options, Phase phase) {
  return ruleset->phases[phase].has_rules && is_owned(options, phase);
}

/* Can there be a refusal that is held? */
static bool holds(const Ruleset *ruleset, const MilterOptions *options) {
  return answers(ruleset, options, PHASE_CONNECT) || answers(ruleset, options, PHASE_HELO);
}

bool milter_consults(const Ruleset *ruleset, const MilterOptions *options, Phase phase) {
  return milter_evaluates(ruleset, options, phase) || (phase == PHASE_RCPT && ruleset->phases[phase].has_rules && holds(ruleset, options));
}

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
static const char *macro_list(Arena *arena, const bool needed[FACT_COUNT], MilterEventKind event) {
  MacroList list;
  list.length = 0;
  for (Fact fact = 0; fact < FACT_COUNT; fact++) {
    if (!needed[fact] || (milter_fact_events(fact) & MILTER_EVENT_BIT(event)) == 0 || milter_fact_is_argument(fact)) {
      continue;
    }
    size_t position = 0;
    Slice name;
    while (milter_fact_macro(fact, &position, &name)) {
      add_macro(&list, name);
    }
    if (fact == FACT_SERVICE && !needed[FACT_SERVER_NAME]) {
      add_macro(&list, SLICE_LITERAL("j")); /* a {daemon_name} that only repeats it names no service */
    }
  }
  return slice_to_string(arena, slice_make(list.text, list.length));
}

/* Is a fact read that only this event tells? (The log's own wishes bring no HELO: its name is in the log when a rule needs the step.) */
static bool tells(const Ruleset *ruleset, const MilterOptions *options, MilterEventKind event) {
  for (Fact fact = 0; fact < FACT_COUNT; fact++) {
    if (fact == FACT_QUEUE_ID || (milter_fact_events(fact) & MILTER_EVENT_BIT(event)) == 0) {
      continue;
    }
    bool late = event == MILTER_HELO && (milter_fact_events(fact) & MILTER_EVENT_BIT(MILTER_MAIL)) != 0;
    for (Phase phase = 0; phase < PHASE_COUNT; phase++) {
      if (milter_consults(ruleset, options, phase) && ruleset->phases[phase].facts[fact] &&
          !(late && (PHASE_BIT(phase) & PHASES_MESSAGE))) {
        return true; /* what MAIL tells again needs HELO only for the phases that have no message */
      }
    }
  }
  return false;
}

MilterNeeds milter_needs(Arena *arena, const Ruleset *ruleset, const MilterOptions *options) {
  MilterNeeds needs = {0};
  bool needed[FACT_COUNT];
  bool rules = false;
  for (Phase phase = 0; phase < PHASE_COUNT; phase++) {
    rules = rules || milter_evaluates(ruleset, options, phase);
  }
  milter_facts_needed(ruleset, options, needed);
  bool may_hold = holds(ruleset, options);
  bool at_once = options->delay_reject == DELAY_REJECT_NO;

  needs.connect = rules;
  needs.helo = milter_evaluates(ruleset, options, PHASE_HELO) || (rules && tells(ruleset, options, MILTER_HELO));
  needs.mail = rules;
  needs.reply_connect = answers(ruleset, options, PHASE_CONNECT) && (at_once || ruleset->phases[PHASE_CONNECT].has_disconnect);
  needs.reply_helo = answers(ruleset, options, PHASE_HELO) && (at_once || ruleset->phases[PHASE_HELO].has_disconnect);
  needs.reply_mail = answers(ruleset, options, PHASE_MAIL) || (may_hold && options->delay_reject != DELAY_REJECT_RCPT);
  needs.reply_rcpt = answers(ruleset, options, PHASE_RCPT) || may_hold;
  needs.rcpt = needs.reply_rcpt || milter_evaluates(ruleset, options, PHASE_RCPT) || (rules && tells(ruleset, options, MILTER_RCPT));
  needs.reply_data = answers(ruleset, options, PHASE_DATA);
  needs.eom = true;
  needs.unknown = milter_evaluates(ruleset, options, PHASE_UNKNOWN) || milter_evaluates(ruleset, options, PHASE_EXPN);
  /* An unknown command may come inside a message, and behind it libmilter takes no end that no DATA announced: the MTA would wait for its answer. */
  needs.data = milter_evaluates(ruleset, options, PHASE_DATA) || needs.unknown;
  needs.reply_unknown = answers(ruleset, options, PHASE_UNKNOWN) || answers(ruleset, options, PHASE_EXPN);
  for (Phase phase = PHASE_MAIL; phase <= PHASE_EOM; phase++) {
    needs.add_headers = needs.quarantine = needs.add_headers || answers(ruleset, options, phase);
  }

  needs.macros_connect = needs.connect ? macro_list(arena, needed, MILTER_CONNECT) : "";
  needs.macros_helo = needs.helo ? macro_list(arena, needed, MILTER_HELO) : "";
  needs.macros_mail = needs.mail ? macro_list(arena, needed, MILTER_MAIL) : "";
  needs.macros_rcpt = needs.rcpt ? macro_list(arena, needed, MILTER_RCPT) : "";
  needs.macros_data = needs.data ? macro_list(arena, needed, MILTER_DATA) : "";
  needs.macros_eom = rules ? macro_list(arena, needed, MILTER_EOM) : "";
  return needs;
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
  return implies(want->connect, have->connect) && implies(want->helo, have->helo) && implies(want->mail, have->mail) &&
         implies(want->rcpt, have->rcpt) && implies(want->data, have->data) && implies(want->eoh, have->eoh) &&
         implies(want->eom, have->eom) && implies(want->unknown, have->unknown) && implies(want->reply_connect, have->reply_connect) &&
         implies(want->reply_helo, have->reply_helo) && implies(want->reply_mail, have->reply_mail) &&
         implies(want->reply_rcpt, have->reply_rcpt) && implies(want->reply_data, have->reply_data) &&
         implies(want->reply_unknown, have->reply_unknown) && implies(want->add_headers, have->add_headers) &&
         implies(want->quarantine, have->quarantine) && has_words(have->macros_connect, want->macros_connect) &&
         has_words(have->macros_helo, want->macros_helo) && has_words(have->macros_mail, want->macros_mail) &&
         has_words(have->macros_rcpt, want->macros_rcpt) && has_words(have->macros_data, want->macros_data) &&
         has_words(have->macros_eom, want->macros_eom);
}
