/*
 * milter_internal.h: what the files of the milter door share. Not for others.
 */
#ifndef COMMON_DOOR_MILTER_INTERNAL_H
#define COMMON_DOOR_MILTER_INTERNAL_H

#include "common/door/milter_session.h"

enum { MILTER_EVENT_COUNT = MILTER_CLOSE + 1 };

typedef uint16_t MilterEventSet;
#define MILTER_EVENT_BIT(kind) ((MilterEventSet)(1u << (kind)))

/* milter_facts.c */

/* The events at which the MTA can tell the fact; 0: never. */
MilterEventSet milter_fact_events(Fact fact);
/* The macros of a fact, one a call: true and *name while there is one more; *position starts at 0. The word "argument" is left out. */
bool milter_fact_macro(Fact fact, size_t *position, Slice *name);
/* True when a callback's argument tells it. */
bool milter_fact_is_argument(Fact fact);
/* Which facts the phases that this door evaluates and the log read. */
void milter_facts_needed(const Ruleset *ruleset, const MilterOptions *options, bool needed[FACT_COUNT]);
/* Sets the facts among `needed` that the event tells. */
void milter_facts_take(Session *facts, const bool needed[FACT_COUNT], const MilterEvent *event, const MilterOptions *options);
/* What is known before the MTA has said anything. */
void milter_facts_start(Session *facts, const MilterOptions *options);
/* EXPN has a phase of its own; all other commands share `unknown`. */
Phase milter_command_phase(const MilterEvent *event);

/* milter_needs.c */

/* True when the door evaluates the phase: it has rules, and is ours to answer or sets what later phases read. */
bool milter_evaluates(const Ruleset *ruleset, const MilterOptions *options, Phase phase);
/* True when the phase's rules are consulted at all: rcpt's may spare a recipient from what connect and helo refused, whoever owns rcpt. */
bool milter_consults(const Ruleset *ruleset, const MilterOptions *options, Phase phase);

#endif
