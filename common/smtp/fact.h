/*
 * fact.h: the named typed values that an MTA hands over or that follow from them; fact.def has one row each.
 */
#ifndef COMMON_SMTP_FACT_H
#define COMMON_SMTP_FACT_H

#include "common/base/slice.h"
#include "common/smtp/door.h"
#include "common/smtp/phase.h"
#include "common/smtp/value.h"

typedef enum Fact {
#define FACT(symbol, name, type, scope, phases, policy, milter, socketmap, empty, normal, sentence) FACT_##symbol,
#include "common/smtp/fact.def"
#undef FACT
  FACT_COUNT
} Fact;

typedef enum Scope { SCOPE_SESSION, SCOPE_MESSAGE, SCOPE_RECIPIENT } Scope;

/* What the MTA says when it means "none": turned into unset by session_set. */
typedef enum FactSentinel {
  SENTINEL_EMPTY,        /* "" */
  SENTINEL_NEVER,        /* nothing: the empty text is a value (sender: <>) */
  SENTINEL_UNKNOWN_NAME, /* "", "unknown", and "[ip]" (host names) */
  SENTINEL_ZERO,         /* "" and 0 */
} FactSentinel;

typedef struct FactInfo {
  const char *name;
  ValueType type;
  Scope scope;
  PhaseSet phases;            /* where rules may read it */
  const char *policy_source;  /* attribute of the policy protocol, "" when the door has its own way to know it, NULL: never */
  const char *milter_source;  /* macro ("{client_addr}", "i") or "argument"; several with a blank between, first that is there wins; NULL: never */
  const char *socketmap_source; /* macro of Sendmail or "argument", "" when the door has its own way to know it, NULL: never */
  FactSentinel empty;
  const char *normal_form;
  const char *sentence;
  const char *const *enum_names; /* NULL-terminated, for TYPE_ENUM, else NULL */
  ValueType element_type;        /* for TYPE_LIST: of its elements */
  RecordKind record;             /* for a list of TYPE_RECORD: their kind */
} FactInfo;

const FactInfo *fact_info(Fact fact);
bool fact_from_name(Slice name, Fact *fact);
/* NULL-terminated, for nearest_name. */
const char *const *fact_names(void);
/* Whether the door can ever give the fact at that phase. */
bool fact_in_door(Fact fact, Door door, Phase phase);
/* "domain", "list of address", "list of attachment". In the arena. */
const char *fact_type_words(Arena *arena, const FactInfo *info);
const char *scope_name(Scope scope); /* "message" */
/* Place of `name` among the fact's enum_names, from 0 (weekday ranges); -1 when it is none of them. */
int fact_enum_index(Fact fact, Slice name);

#endif
