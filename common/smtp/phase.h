/*
 * phase.h: the steps of an SMTP session at which policy is asked; phase.def lists them.
 */
#ifndef COMMON_SMTP_PHASE_H
#define COMMON_SMTP_PHASE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/slice.h"

typedef enum Phase {
#define PHASE(symbol, name, command, message, sentence) PHASE_##symbol,
#include "common/smtp/phase.def"
#undef PHASE
  PHASE_COUNT
} Phase;

typedef uint16_t PhaseSet;
#define PHASE_BIT(phase) ((PhaseSet)(1u << (phase)))
#define PHASES_ALL ((PhaseSet)((1u << PHASE_COUNT) - 1))
/* The phases in which a message has begun. */
#define PHASES_SINCE_HELO (PHASES_ALL & (PhaseSet)~PHASE_BIT(PHASE_CONNECT))
#define PHASES_SINCE_RCPT (PHASE_BIT(PHASE_RCPT) | PHASE_BIT(PHASE_DATA) | PHASE_BIT(PHASE_EOM))
#define PHASES_SINCE_DATA (PHASE_BIT(PHASE_DATA) | PHASE_BIT(PHASE_EOM))
#define PHASES_MESSAGE (PHASE_BIT(PHASE_MAIL) | PHASE_BIT(PHASE_RCPT) | PHASE_BIT(PHASE_DATA) | PHASE_BIT(PHASE_EOM))

const char *phase_name(Phase phase);     /* "rcpt" */
const char *phase_command(Phase phase);  /* "RCPT TO" */
const char *phase_sentence(Phase phase);
bool phase_from_name(Slice name, Phase *phase);
/* "connect helo mail" in the arena. */
Slice phase_set_names(Arena *arena, PhaseSet set);

#endif
