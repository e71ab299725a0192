/*
 * scenario_run.h: tells a scenario's sessions through the doors and compares what came of each step with what was expected.
 */
#ifndef COMMON_CLI_SCENARIO_RUN_H
#define COMMON_CLI_SCENARIO_RUN_H

#include "common/cli/scenario.h"
#include "common/lookup/dns.h"

typedef struct ScenarioReport {
  GString *text;    /* the failures, readable; with `verbose` each step */
  json_t *sessions; /* one object for each session and door; NULL: not wanted */
  bool verbose;
  unsigned told;     /* sessions, each door counted */
  unsigned compared; /* steps */
  unsigned failures;
} ScenarioReport;

/* False when rules have errors or a file cannot be written: it is told in report->text. Failures of steps are counted. */
bool scenario_run(const Scenario *scenario, DoorSet doors, ScenarioReport *report);
/* Puts the answers into the fake. */
void scenario_script_dns(const ScenarioDns *answers, DnsFake *fake);

#endif
