/*
 * scenario_internal.h: what the files of the scenario parser share. Nobody else includes it.
 */
#ifndef COMMON_CLI_SCENARIO_INTERNAL_H
#define COMMON_CLI_SCENARIO_INTERNAL_H

#include "common/cli/scenario.h"
#include "common/cli/scenario_words.h"

typedef struct Parser {
  LineReader reader;
  Scenario *scenario;
} Parser;

/* scenario_parse.c */

/* NULL when the line ends here; else the word that is too much, told as an error. */
const Word *line_need_end(Parser *parser, WordLine *line);
/* "YYYY-MM-DD HH:MM"; false and an error when it is no time. */
bool parse_moment(Parser *parser, WordLine *line, const Word *word, int64_t *unix_seconds);
/* What stands behind `through`: names with commas. `through_mta` NULL: mta is none of them. */
bool parse_doors(Parser *parser, WordLine *line, DoorSet *doors, bool *through_mta);

/* scenario_message.c: `{ TEXT }` or `from file "NAME"` behind `message`, if anything. False after an error. */
bool read_message(Parser *parser, WordLine *line, ScenarioStep *step);
/* What comes from files, once all are known. */
void find_contents(Parser *parser);

/* scenario_step.c: up to the '}'. */
void read_steps(Parser *parser, ScenarioSession *session, SourceSpan opened);

/*
 * scenario_expect.c: `-> OUTCOME ...`, from the arrow on to the end of the line. `doors` gets what `through` says there, 0 where it does not. NULL after an error.
 */
Expectation *read_expectation(Parser *parser, WordLine *line, DoorSet *doors);

#endif
