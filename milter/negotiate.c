/*
 * negotiate.c: see the header. An MTA that cannot leave a step out or wait for no reply is served all the same: it gets a CONTINUE.
 */
#include "milter/negotiate.h"

#include <libmilter/mfdef.h>

typedef struct Step {
  bool needed;
  bool reply;
  unsigned long declined, no_reply;
} Step;

Negotiation negotiate(const MilterNeeds *needs, unsigned long actions, unsigned long steps) {
  const Step all[] = {
      {needs->connect, needs->reply_connect, SMFIP_NOCONNECT, SMFIP_NR_CONN},
      {needs->helo, needs->reply_helo, SMFIP_NOHELO, SMFIP_NR_HELO},
      {needs->mail, needs->reply_mail, SMFIP_NOMAIL, SMFIP_NR_MAIL},
      {needs->rcpt, needs->reply_rcpt, SMFIP_NORCPT, SMFIP_NR_RCPT},
      {needs->data, needs->reply_data, SMFIP_NODATA, SMFIP_NR_DATA},
      {needs->unknown, needs->reply_unknown, SMFIP_NOUNKNOWN, SMFIP_NR_UNKN},
      {needs->eoh, false, SMFIP_NOEOH, SMFIP_NR_EOH},
      {false, false, SMFIP_NOHDRS, SMFIP_NR_HDR},
      {false, false, SMFIP_NOBODY, SMFIP_NR_BODY},
  };
  Negotiation result = {0};
  for (size_t i = 0; i < G_N_ELEMENTS(all); i++) {
    if (!all[i].needed && (steps & all[i].declined)) {
      result.steps |= all[i].declined;
    } else if (!all[i].reply) {
      result.no_reply |= steps & all[i].no_reply;
    }
  }
  result.steps |= result.no_reply;
  result.actions = actions & ((needs->add_headers ? SMFIF_ADDHDRS : 0) | (needs->quarantine ? SMFIF_QUARANTINE : 0) | SMFIF_SETSYMLIST);
  return result;
}

void negotiate_macros(SMFICTX *context, const MilterNeeds *needs) {
  const struct {
    int stage;
    const char *list;
  } stages[] = {
      {SMFIM_CONNECT, needs->macros_connect}, {SMFIM_HELO, needs->macros_helo}, {SMFIM_ENVFROM, needs->macros_mail},
      {SMFIM_ENVRCPT, needs->macros_rcpt},    {SMFIM_DATA, needs->macros_data}, {SMFIM_EOM, needs->macros_eom},
      {SMFIM_EOH, needs->macros_eom}, /* libmilter 8.17.1 mixes these two up */
  };
  for (size_t i = 0; i < G_N_ELEMENTS(stages); i++) {
    if (stages[i].list != NULL && stages[i].list[0] != '\0') {
      g_autofree char *list = g_strdup(stages[i].list);      /* not const in libmilter's prototype */
      (void)smfi_setsymlist(context, stages[i].stage, list); /* the MTA's own list stays: fewer facts, not wrong ones */
    }
  }
}
