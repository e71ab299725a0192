/*
 * milter_internal.h: what the files of the milter door share. Not for others.
 */
#ifndef COMMON_DOOR_MILTER_INTERNAL_H
#define COMMON_DOOR_MILTER_INTERNAL_H

#include "common/door/milter_session.h"

typedef uint16_t MilterEventSet;
#define MILTER_EVENT_BIT(kind) ((MilterEventSet)(1u << (kind)))

/* A fact that macros tell at one event. */
typedef struct MacroFact {
  Fact fact;
  bool of_message;           /* no macro has a value: there is none now, whatever it was for the message before */
  const char *const *macros; /* NULL-terminated; the first that has a value counts */
} MacroFact;

/* What is to be taken at one event, beside its arguments. */
typedef struct EventPlan {
  const MacroFact *facts; /* those that rules read, then those that only the log does: taken when there is something to log */
  size_t read_count, count;
} EventPlan;

struct MilterPlan {
  gint references;
  Ruleset *ruleset; /* a reference: no other ruleset can come to its address */
  MilterOptions options;
  Arena *arena;
  PhaseSet evaluated;      /* phases that the door evaluates */
  PhaseSet timed;          /* phases whose rules read the clock */
  bool spares;             /* some rcpt rule accepts a recipient: a held refusal may come to nothing */
  bool read[FACT_COUNT];   /* facts that the rules of those phases read */
  bool needed[FACT_COUNT]; /* ... or the log */
  EventPlan events[MILTER_EVENT_COUNT];
  const char *const *address_macros; /* where connect and MAIL have no argument */
  const char *const *sender_macros;
  EffectSet effects;          /* that our rules may have on a message */
  bool keeps_mailboxes;       /* ... of which some speak of those that the client named */
  const HeaderCount *headers; /* names whose headers are counted; counts of 0 */
  size_t header_count;
  MessageNeeds message; /* that our rules read of a message's content */
  bool judges_early;    /* rules at its end may come to a verdict without its body, and that of a large one is asked for first */
  MilterNeeds needs;
};

/* A message's content, as far as rules read it. */
typedef struct MilterContent {
  Message *message; /* NULL: none was needed yet */
  bool has_begun;   /* something of this message is in it */
  bool has_body;    /* some of its body too */
} MilterContent;

/* milter_content.c */

/* Fills plan->message and plan->judges_early. Behind milter_facts_plan. */
void milter_content_plan(MilterPlan *plan);
void milter_content_header(MilterContent *content, const MilterPlan *plan, const MilterEvent *event);
/* True once a message, at the first piece of a large body: the rules may be asked early. */
bool milter_content_is_worth_judging(MilterContent *content, Slice chunk);
/* The facts at the end of the header: what the body tells is open. */
void milter_content_header_facts(MilterContent *content, const MilterPlan *plan, Session *facts);
void milter_content_body(MilterContent *content, const MilterPlan *plan, Slice chunk);
/* No verdict depends on the body; behind milter_content_header_facts. */
void milter_content_skip_body(MilterContent *content);
/* The facts at the end of the message. They borrow from the content until it is reset. */
void milter_content_facts(MilterContent *content, const MilterPlan *plan, Session *facts);
void milter_content_reset(MilterContent *content);
void milter_content_clear(MilterContent *content);

/* milter_plan.c */

/* True when the phase's rules are consulted at all: rcpt's may spare a recipient from what connect and helo refused, whoever owns rcpt. */
bool milter_consults(const MilterPlan *plan, Phase phase);
/* True when the door answers the phase by its rules. */
bool milter_answers(const MilterPlan *plan, Phase phase);
/* True when there may be a refusal of connect or helo that is held. */
bool milter_holds(const MilterPlan *plan);

/* milter_facts.c */

/* The events at which the MTA can tell the fact; 0: never. */
MilterEventSet milter_fact_events(Fact fact);
/* Fills plan->events for the facts that are needed. */
void milter_facts_plan(MilterPlan *plan);
/* Sets the needed facts that the event tells. */
void milter_facts_take(Session *facts, const MilterPlan *plan, const MilterEvent *event);
/* Sets those that only the log reads and that take more than looking at an argument. */
void milter_facts_take_logged(Session *facts, const MilterPlan *plan, const MilterEvent *event);
/* What is known before the MTA has said anything. */
void milter_facts_start(Session *facts, const MilterOptions *options);
/* EXPN has a phase of its own; all other commands share `unknown`. */
Phase milter_command_phase(const MilterEvent *event);

/* milter_needs.c */

/* Fills plan->needs, from all else in it. */
void milter_needs_plan(MilterPlan *plan);

#endif
