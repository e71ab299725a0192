/*
 * negotiate.c: see the header. An MTA that cannot leave a step out or wait for no reply is served all the same: it gets a CONTINUE.
 */
#include "milter/negotiate.h"

#include <libmilter/mfdef.h>

enum { NO_STAGE = -1 };

/* What libmilter calls the steps; 0 and NO_STAGE: it has nothing of the kind. */
static const struct {
  unsigned long declined, no_reply;
  int stage; /* of the macros */
} steps_of_events[MILTER_EVENT_COUNT] = {
    [MILTER_CONNECT] = {SMFIP_NOCONNECT, SMFIP_NR_CONN, SMFIM_CONNECT},
    [MILTER_HELO] = {SMFIP_NOHELO, SMFIP_NR_HELO, SMFIM_HELO},
    [MILTER_MAIL] = {SMFIP_NOMAIL, SMFIP_NR_MAIL, SMFIM_ENVFROM},
    [MILTER_RCPT] = {SMFIP_NORCPT, SMFIP_NR_RCPT, SMFIM_ENVRCPT},
    [MILTER_DATA] = {SMFIP_NODATA, SMFIP_NR_DATA, SMFIM_DATA},
    [MILTER_HEADER] = {SMFIP_NOHDRS, SMFIP_NR_HDR, NO_STAGE},
    [MILTER_EOH] = {SMFIP_NOEOH, SMFIP_NR_EOH, NO_STAGE}, /* libmilter 8.17.1 mixes its macros and those of the end up */
    [MILTER_BODY] = {SMFIP_NOBODY, SMFIP_NR_BODY, NO_STAGE},
    [MILTER_EOM] = {0, 0, SMFIM_EOM},
    [MILTER_UNKNOWN] = {SMFIP_NOUNKNOWN, SMFIP_NR_UNKN, NO_STAGE},
    [MILTER_ABORT] = {0, 0, NO_STAGE},
    [MILTER_CLOSE] = {0, 0, NO_STAGE},
};

unsigned long negotiate_no_reply(MilterEventKind event) {
  return steps_of_events[event].no_reply;
}

static unsigned long needed_actions(const MilterNeeds *needs) {
  return (needs->add_headers ? SMFIF_ADDHDRS : 0) | (needs->change_headers ? SMFIF_CHGHDRS : 0) |
         (needs->add_recipients ? SMFIF_ADDRCPT : 0) | (needs->delete_recipients ? SMFIF_DELRCPT : 0) |
         (needs->change_sender ? SMFIF_CHGFROM : 0) | (needs->quarantine ? SMFIF_QUARANTINE : 0);
}

Negotiation negotiate(const MilterNeeds *needs, unsigned long actions, unsigned long steps) {
  Negotiation result = {0};
  for (MilterEventKind event = 0; event < MILTER_EVENT_COUNT; event++) {
    if (!needs->steps[event].needed && (steps & steps_of_events[event].declined)) {
      result.steps |= steps_of_events[event].declined;
    } else if (!needs->steps[event].reply) {
      result.no_reply |= steps & steps_of_events[event].no_reply;
    }
  }
  /* No SMFIP_SKIP: it takes a reply to each piece of the body, of which few messages have more than one. */
  result.steps |= result.no_reply;
  result.actions = actions & (needed_actions(needs) | SMFIF_SETSYMLIST);
  return result;
}

/* The MTA's own list stays where libmilter does not take ours: fewer facts, not wrong ones. It copies the list, though its prototype does not say so. */
static void ask_for_macros(SMFICTX *context, int stage, const char *list) {
  if (list != NULL && list[0] != '\0') {
    (void)smfi_setsymlist(context, stage, (char *)list);
  }
}

void negotiate_macros(SMFICTX *context, const MilterNeeds *needs) {
  for (MilterEventKind event = 0; event < MILTER_EVENT_COUNT; event++) {
    if (steps_of_events[event].stage != NO_STAGE) {
      ask_for_macros(context, steps_of_events[event].stage, needs->steps[event].macros);
    }
  }
  ask_for_macros(context, SMFIM_EOH, needs->steps[MILTER_EOM].macros);
}
