/*
 * negotiate.h: what the rules need -> what is agreed with the MTA.
 */
#ifndef MILTER_NEGOTIATE_H
#define MILTER_NEGOTIATE_H

#include <libmilter/mfapi.h>

#include "common/door/milter_session.h"

typedef struct Negotiation {
  unsigned long actions;  /* SMFIF_* */
  unsigned long steps;    /* SMFIP_*: declined, or taken without a reply */
  unsigned long no_reply; /* SMFIP_NR_* among `steps` */
} Negotiation;

/* `actions` and `steps` are what the MTA offers. */
Negotiation negotiate(const MilterNeeds *needs, unsigned long actions, unsigned long steps);
/* Asks for the macros; only while negotiating, and only when SMFIF_SETSYMLIST was agreed. */
void negotiate_macros(SMFICTX *context, const MilterNeeds *needs);
/* The SMFIP_NR_* of the step; 0: its reply is always waited for. */
unsigned long negotiate_no_reply(MilterEventKind event);

#endif
