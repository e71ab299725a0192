/*
 * verdict.c: names of outcomes and effects, and deep copies.
 */
#include "common/smtp/verdict.h"

const char *outcome_name(Outcome outcome) {
  switch (outcome) {
    case OUTCOME_PASS:
      return "pass";
    case OUTCOME_ACCEPT:
      return "accept";
    case OUTCOME_TEMPFAIL:
      return "tempfail";
    case OUTCOME_REJECT:
      return "reject";
    case OUTCOME_DISCONNECT:
      return "disconnect";
    case OUTCOME_DISCARD:
      return "discard";
  }
  g_assert_not_reached();
}

typedef struct EffectInfo {
  const char *name;
  bool whole_message;
  const char *sentence;
} EffectInfo;

static const EffectInfo effects[EFFECT_COUNT] = {
#define EFFECT(symbol, name, whole_message, sentence) {#name, whole_message, sentence},
#include "common/smtp/effect.def"
#undef EFFECT
};

const char *effect_name(EffectKind kind) {
  return effects[kind].name;
}

const char *effect_sentence(EffectKind kind) {
  return effects[kind].sentence;
}

bool effect_is_whole_message(EffectKind kind) {
  return effects[kind].whole_message;
}

static Reply reply_copy(Arena *arena, const Reply *reply) {
  Reply copy = *reply;
  Slice *lines = ARENA_NEW_ARRAY(arena, Slice, reply->line_count);
  for (size_t i = 0; i < reply->line_count; i++) {
    lines[i] = slice_copy(arena, reply->lines[i]);
  }
  copy.lines = lines;
  return copy;
}

static Effect effect_copy(Arena *arena, const Effect *effect) {
  Effect copy = *effect;
  copy.rule = slice_copy(arena, effect->rule);
  switch (effect->kind) {
    case EFFECT_LOG:
      copy.as.log_text = slice_copy(arena, effect->as.log_text);
      break;
    case EFFECT_DELAY:
      break;
    case EFFECT_PREPEND_HEADER:
    case EFFECT_APPEND_HEADER:
    case EFFECT_REPLACE_HEADER:
    case EFFECT_DELETE_HEADER:
      copy.as.header.name = slice_copy(arena, effect->as.header.name);
      copy.as.header.value = slice_copy(arena, effect->as.header.value);
      break;
    case EFFECT_ADD_RECIPIENT:
    case EFFECT_REMOVE_RECIPIENT:
    case EFFECT_CHANGE_SENDER:
    case EFFECT_REDIRECT_MESSAGE:
    case EFFECT_BCC_MESSAGE:
      copy.as.address = slice_copy(arena, effect->as.address);
      break;
    case EFFECT_FILTER_MESSAGE:
      copy.as.filter = slice_copy(arena, effect->as.filter);
      break;
    case EFFECT_UNDONE:
      copy.as.undone.action = slice_copy(arena, effect->as.undone.action);
      copy.as.undone.text = slice_copy(arena, effect->as.undone.text);
      break;
    case EFFECT_QUARANTINE_MESSAGE:
      copy.as.why = slice_copy(arena, effect->as.why);
      break;
    case EFFECT_OBSERVED:
      copy.as.observed.reply = reply_copy(arena, &effect->as.observed.reply);
      copy.as.observed.action = slice_copy(arena, effect->as.observed.action);
      break;
  }
  return copy;
}

Verdict verdict_copy(Arena *arena, const Verdict *verdict) {
  Verdict copy = *verdict;
  copy.reply = reply_copy(arena, &verdict->reply);
  copy.discard_why = slice_copy(arena, verdict->discard_why);
  copy.rule = slice_copy(arena, verdict->rule);
  copy.failures = failures_copy(arena, verdict->failures);
  Effect *copied = ARENA_NEW_ARRAY(arena, Effect, verdict->effect_count);
  for (size_t i = 0; i < verdict->effect_count; i++) {
    copied[i] = effect_copy(arena, &verdict->effects[i]);
  }
  copy.effects = copied;
  return copy;
}

bool verdict_refuses(const Verdict *verdict) {
  switch (verdict->outcome) {
    case OUTCOME_TEMPFAIL:
    case OUTCOME_REJECT:
    case OUTCOME_DISCONNECT:
      return true;
    case OUTCOME_PASS:
    case OUTCOME_ACCEPT:
    case OUTCOME_DISCARD:
      return false;
  }
  g_assert_not_reached();
}
