/*
 * rules_fixture.h: rules text, facts and scripted answers in, a verdict as text out. For unit tests of the evaluator.
 *
 * Table kinds of the fixture: `from here|ahead|reached|stateful "NAME"`, and `dnslist`; the text is the name that scripts use. A script
 * is a list of `NAME KEY = ANSWER` lines: a value, `found`, or `failed`; what is not in it is not found. "text NAME KEY = ..." is a
 * dnslist's text.
 */
#ifndef TESTS_UNIT_RULES_FIXTURE_H
#define TESTS_UNIT_RULES_FIXTURE_H

#include "common/rules/evaluate.h"

typedef struct Fixture Fixture;

/* Aborts the test when the rules have errors. */
Fixture *fixture_new(const char *rules);
/* NULL when they have. */
Fixture *fixture_try(const char *rules);
void fixture_free(Fixture *fixture);
/* "client_address=192.0.2.1 sender=a@example.org": sets facts, blank-separated; "helo_name=" unsets. */
void fixture_facts(Fixture *fixture, const char *facts);
/* These are set when an evaluation waits for facts alone. */
void fixture_late_facts(Fixture *fixture, const char *facts);
/* Replaces the script. */
void fixture_script(Fixture *fixture, const char *script);
/* Evaluates, commits and tells: "OUTCOME CODE ENHANCED RULE TEXT; effects ...". Borrowed until the next run. */
const char *fixture_run(Fixture *fixture, Phase phase);
const char *fixture_run_with(Fixture *fixture, Phase phase, const EvaluationOptions *options);
/* What the last run asked: "ahead 1, ahead 2 | stateful 1": a bar between what was asked at once. */
const char *fixture_asked(const Fixture *fixture);
/* Questions whose name is in this blank-separated list are never answered; the fixture then lets the deadline pass. */
void fixture_silence(Fixture *fixture, const char *names);
const Verdict *fixture_verdict(const Fixture *fixture);
Variables *fixture_variables(Fixture *fixture);
Session *fixture_session(Fixture *fixture);
Ruleset *fixture_ruleset(Fixture *fixture);
/* "session.x" as text: nothing when unset, "?" when unknown. */
const char *fixture_variable(Fixture *fixture, const char *name);

/* The source of the fixture's kinds, for loading further rulesets; belongs to the fixture. */
Ruleset *fixture_load(Fixture *fixture, const char *rules);

#endif
