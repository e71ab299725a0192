/*
 * capability.c: the table of capability.def.
 */
#include "common/smtp/capability.h"

#define CAN_REFUSE_FOR_GOOD \
  (OUTCOME_BIT(OUTCOME_PASS) | OUTCOME_BIT(OUTCOME_ACCEPT) | OUTCOME_BIT(OUTCOME_REJECT) | OUTCOME_BIT(OUTCOME_DISCONNECT))
#define CAN_REFUSE (CAN_REFUSE_FOR_GOOD | OUTCOME_BIT(OUTCOME_TEMPFAIL))
#define CAN_REFUSE_AND_STAY (CAN_REFUSE & (OutcomeSet)~OUTCOME_BIT(OUTCOME_DISCONNECT))
#define CAN_TELL (EFFECT_BIT(EFFECT_LOG) | EFFECT_BIT(EFFECT_DELAY) | EFFECT_BIT(EFFECT_OBSERVED) | EFFECT_BIT(EFFECT_UNDONE))
#define CAN_COPY (CAN_TELL | EFFECT_BIT(EFFECT_QUARANTINE_MESSAGE) | EFFECT_BIT(EFFECT_REDIRECT_MESSAGE) | EFFECT_BIT(EFFECT_BCC_MESSAGE))
#define CAN_ROUTE (CAN_COPY | EFFECT_BIT(EFFECT_FILTER_MESSAGE))
#define CAN_STAMP (CAN_ROUTE | EFFECT_BIT(EFFECT_PREPEND_HEADER))
#define CAN_CHANGE                                                                                                       \
  (CAN_COPY | EFFECT_BIT(EFFECT_PREPEND_HEADER) | EFFECT_BIT(EFFECT_APPEND_HEADER) | EFFECT_BIT(EFFECT_REPLACE_HEADER) | \
   EFFECT_BIT(EFFECT_DELETE_HEADER) | EFFECT_BIT(EFFECT_ADD_RECIPIENT) | EFFECT_BIT(EFFECT_REMOVE_RECIPIENT) |           \
   EFFECT_BIT(EFFECT_CHANGE_SENDER))

static const Capability capabilities[DOOR_COUNT][PHASE_COUNT] = {
#define CAPABILITY(phase_symbol, door_symbol, is_seen, outcome_set, effect_set, postfix_sentence, sendmail_sentence)     \
  [DOOR_##door_symbol][PHASE_##phase_symbol] = {PHASE_##phase_symbol, DOOR_##door_symbol, is_seen,          outcome_set, \
                                                effect_set,           postfix_sentence,   sendmail_sentence},
#include "common/smtp/capability.def"
#undef CAPABILITY
};

const Capability *capability(Door door, Phase phase) {
  return &capabilities[door][phase];
}

PhaseSet door_phases(Door door) {
  PhaseSet phases = 0;
  for (int phase = 0; phase < PHASE_COUNT; phase++) {
    if (capabilities[door][phase].seen) {
      phases |= PHASE_BIT(phase);
    }
  }
  return phases;
}
