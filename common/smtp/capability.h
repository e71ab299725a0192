/*
 * capability.h: what each door sees of each phase, and what can be answered there; capability.def has one row for each pair.
 */
#ifndef COMMON_SMTP_CAPABILITY_H
#define COMMON_SMTP_CAPABILITY_H

#include "common/smtp/door.h"
#include "common/smtp/phase.h"
#include "common/smtp/verdict.h"

typedef struct Capability {
  Phase phase;
  Door door;
  bool seen;           /* the MTA asks through this door at this phase */
  OutcomeSet outcomes; /* what a rule's verdict may be and reach the client; empty when not seen */
  EffectSet effects;
  const char *postfix;  /* what becomes of an answer, a sentence */
  const char *sendmail; /* the same; "" for a door that Sendmail does not have */
} Capability;

/* Never NULL. */
const Capability *capability(Door door, Phase phase);
/* The phases at which the MTA asks through the door. */
PhaseSet door_phases(Door door);

#endif
