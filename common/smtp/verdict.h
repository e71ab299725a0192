/*
 * verdict.h: what an evaluation says: an outcome, which rule said so, and effects. Data only; nothing here performs anything.
 */
#ifndef COMMON_SMTP_VERDICT_H
#define COMMON_SMTP_VERDICT_H

#include "common/smtp/fact.h"
#include "common/smtp/reply.h"

typedef enum Outcome {
  OUTCOME_PASS,       /* no rule, or `pass`: the next phase decides */
  OUTCOME_ACCEPT,     /* accept, for the scope */
  OUTCOME_TEMPFAIL,   /* 4xx */
  OUTCOME_REJECT,     /* 5xx */
  OUTCOME_DISCONNECT, /* 421 or 521, said at once, then closed */
  OUTCOME_DISCARD,    /* the message is taken and thrown away */
} Outcome;
enum { OUTCOME_COUNT = OUTCOME_DISCARD + 1 };

typedef uint8_t OutcomeSet;
#define OUTCOME_BIT(outcome) ((OutcomeSet)(1u << (outcome)))

const char *outcome_name(Outcome outcome); /* "tempfail" */

typedef enum EffectKind {
#define EFFECT(symbol, name, whole_message, sentence) EFFECT_##symbol,
#include "common/smtp/effect.def"
#undef EFFECT
} EffectKind;
enum {
#define EFFECT(symbol, name, whole_message, sentence) +1
  EFFECT_COUNT = 0
#include "common/smtp/effect.def"
#undef EFFECT
};

typedef uint16_t EffectSet;
#define EFFECT_BIT(effect) ((EffectSet)(1u << (effect)))

const char *effect_name(EffectKind kind);
const char *effect_sentence(EffectKind kind);
bool effect_is_whole_message(EffectKind kind);

enum { HEADER_ALL = 0, HEADER_LAST = -1 };

typedef struct Effect {
  EffectKind kind;
  Slice rule; /* id of the rule that said it */
  union {
    Slice log_text;
    int64_t delay_ms;
    struct {
      Slice name, value; /* DELETE: no value */
      int nth;           /* REPLACE, DELETE: of that name as the client sent it, from 1; HEADER_ALL, HEADER_LAST */
    } header;
    Slice address; /* of recipients, senders, copies: normal form, "" for the null sender */
    Slice filter;  /* transport:destination */
    Slice why;     /* quarantine message */
    struct {
      Slice action; /* in words: "redirect message" */
      Slice text;   /* what its argument came to; a stranger's */
      const char *problem; /* static */
    } undone;
    struct {
      Outcome outcome;
      Reply reply; /* code 0 when the outcome has none */
      Slice action; /* what would have been done, in words: "reject 550 5.7.1" */
    } observed;
  } as;
} Effect;

typedef struct Verdict {
  Outcome outcome;
  Scope accept_scope;  /* of OUTCOME_ACCEPT */
  Phase phase;         /* whose rules said it */
  Reply reply;         /* of TEMPFAIL, REJECT, DISCONNECT */
  Slice discard_why;   /* of DISCARD */
  Slice rule;          /* id of the rule that decided: its label, or file:line; "" when none did (PASS by the end) */
  bool by_failure;     /* TEMPFAIL because a look-up failed (on error tempfail, or an unknown accept before a reject) */
  const Failure *failures; /* look-ups that failed while deciding, also when they were skipped; NULL: none */
  const Effect *effects;   /* in order */
  size_t effect_count;
} Verdict;

/* A deep copy whose texts live in the arena (failures included). */
Verdict verdict_copy(Arena *arena, const Verdict *verdict);
/* True for an outcome that sends a 4xx or 5xx. */
bool verdict_refuses(const Verdict *verdict);

#endif
