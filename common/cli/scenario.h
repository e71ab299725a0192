/*
 * scenario.h: SMTP stories and what is expected of them: the files that `mailreeve test` reads. The language is described in mailreeve.scenario(5).
 *
 * A Scenario is what the parser makes of one file; all of it lives in its arena. It says nothing about how a story is told through a door: story.h does.
 */
#ifndef COMMON_CLI_SCENARIO_H
#define COMMON_CLI_SCENARIO_H

#include <jansson.h>

#include "common/base/diagnostics.h"
#include "common/smtp/door.h"
#include "common/smtp/fact.h"
#include "common/smtp/reply.h"

enum { SCENARIO_LINES_MAX = 8, SCENARIO_RULES_MAX = 64 };

typedef enum StepKind {
#define STEP(symbol, word, asks, synopsis, sentence) STEP_##symbol,
#include "common/cli/step.def"
#undef STEP
} StepKind;
enum {
#define STEP(symbol, word, asks, synopsis, sentence) +1
  STEP_COUNT = 0
#include "common/cli/step.def"
#undef STEP
};

typedef struct StepInfo {
  const char *word; /* the first word of its line */
  bool asks;        /* a door may be asked: it can have an expectation */
  const char *synopsis;
  const char *sentence;
} StepInfo;

const StepInfo *step_info(StepKind kind);

/* What the client hears. OK is a 2xx or 3xx reply, whichever rule allowed it. */
typedef enum ExpectedOutcome {
  EXPECT_OK,
  EXPECT_PASS,
  EXPECT_ACCEPT,
  EXPECT_TEMPFAIL,
  EXPECT_REJECT,
  EXPECT_DISCONNECT,
  EXPECT_DISCARD
} ExpectedOutcome;
/* NULL-terminated, in order of the enum. */
const char *const *expected_outcome_names(void);

/* CHANGE is what is done to the message: headers, recipients, where it goes. */
typedef enum WithKind { WITH_CHANGE, WITH_LOG, WITH_DELAY, WITH_OBSERVED, WITH_UNDONE, WITH_FAILED } WithKind;

/* One `with`: an effect or a failed look-up, as canonical text (effect_text). */
typedef struct With With;
struct With {
  With *next;
  WithKind kind;
  const char *text;
};

typedef struct Expectation {
  SourceSpan span; /* from the arrow on; the step where there is none */
  ExpectedOutcome outcome;
  uint16_t code;         /* 0: any */
  EnhancedCode enhanced; /* class 0: any */
  const char *lines[SCENARIO_LINES_MAX];
  size_t line_count; /* 0: any text */
  const char *rule;  /* NULL: any */
  const With *with;
  bool without_effects;
} Expectation;

typedef struct ScenarioStep ScenarioStep;
struct ScenarioStep {
  ScenarioStep *next;
  StepKind kind;
  SourceSpan span;
  const char *
      text; /* CLIENT: the address; HELO, EHLO: the name; MAIL, RCPT: <address>; VRFY, ETRN, UNKNOWN: the argument; SET: the value; CLOCK: as written */
  const char *name;    /* CLIENT: the host name, NULL: none; MESSAGE: the file that its content comes from, NULL: none */
  const char *reverse; /* CLIENT: the name that the address maps to */
  int64_t number;      /* CLIENT: port; MAIL, MESSAGE: size, 0: none; CLOCK: seconds to move, or the time when `absolute` */
  bool absolute;
  bool has_content; /* MESSAGE */
  Slice content;    /* its header, an empty line and its body; lines end in CR LF */
  SourceSpan content_span;
  Fact fact;                               /* SET, UNSET */
  DoorSet doors;                           /* through which the step goes */
  const Expectation *expected[DOOR_COUNT]; /* by door; NULL: not asked there */
};

typedef struct ScenarioSession ScenarioSession;
struct ScenarioSession {
  ScenarioSession *next;
  SourceSpan span;
  const char *title;
  size_t rules; /* index of the rules in force */
  DoorSet doors;
  bool through_mta; /* it is told to a real MTA too */
  ScenarioStep *steps;
};

typedef struct ScenarioRules {
  SourceSpan span;
  const char *text; /* in place: as many empty lines before it as the file has; NULL: `path` */
  const char *path;
} ScenarioRules;

typedef struct ScenarioFile ScenarioFile;
struct ScenarioFile {
  ScenarioFile *next;
  SourceSpan span;
  const char *name;
  Slice text;
};

typedef enum DnsWord { DNS_A, DNS_AAAA, DNS_TXT, DNS_FAILS, DNS_SILENT } DnsWord;

typedef struct ScenarioDns ScenarioDns;
struct ScenarioDns {
  ScenarioDns *next;
  SourceSpan span;
  const char *name;
  DnsWord word;
  const char *value; /* of the record, or why it fails; NULL: silent */
};

typedef struct Scenario {
  const char *path;
  const SourceText *source;
  const char *server_name; /* never NULL */
  const char *service;     /* NULL: none */
  int64_t clock;           /* unix seconds at the start of each session */
  ScenarioRules rules[SCENARIO_RULES_MAX];
  size_t rules_count;
  ScenarioFile *files;
  ScenarioDns *dns;
  ScenarioSession *sessions;
} Scenario;

/* NULL when there are errors. Everything lives in the arena; `source` too must outlive it. */
Scenario *scenario_parse(Arena *arena, const char *path, const SourceText *source, Diagnostics *diagnostics);
/* DNS answers alone, in the syntax of a dns block (explain). *answers is NULL when there are none. False when there are errors. */
bool scenario_parse_dns(Arena *arena, const SourceText *source, Diagnostics *diagnostics, ScenarioDns **answers);
/* The story as data, for programs that tell it over sockets. Transfer full. */
json_t *scenario_json(const Scenario *scenario);
/* "reject 550 5.7.1 "text" by banned", in the arena. */
const char *expectation_text(Arena *arena, const Expectation *expected);
/* A step as it is written, without its expectation. */
const char *step_text(Arena *arena, const ScenarioStep *step);
/* The doors that are asked at a step of this kind with this text. */
DoorSet step_doors(StepKind kind, const char *text);
/* The phase of the step; `text` is its argument: EXPN is an unknown command with a phase of its own. PHASE_COUNT: none. */
Phase step_phase(StepKind kind, const char *text);
/* Any text as the content of a message: its lines end in CR LF. */
Slice message_content_lines(Arena *arena, Slice text);
/*
 * The next field of a message's header as a milter hears it: unfolded lines joined by LF, without the blank behind the colon. *rest goes on behind it. False where the header ends: then
 * message_take_body gives the body.
 */
bool message_take_field(Arena *arena, Slice *rest, const char **name, const char **value);
Slice message_take_body(Slice rest);
/* The size that the MTA tells of a MESSAGE: what the step says, else its content's; 0: not known. */
int64_t message_size(const ScenarioStep *step);
/* NULL when `set` may say the fact; else how it is said instead: "the step client says it". */
const char *fact_said_elsewhere(Fact fact);

/* Of a story that does not say them. */
#define SCENARIO_SERVER_NAME "mx.example.org"
#define SCENARIO_CLOCK "2026-11-23 10:00"

#endif
