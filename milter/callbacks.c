/*
 * callbacks.c: arguments -> event, result -> libmilter.
 *
 * A callback runs on any thread of libmilter's pool, so nothing is kept in thread-local storage. The filter has to be file-scope:
 * negotiation, which begins a conversation, comes with nothing of ours. Set once, before libmilter's threads are there.
 */
#include "milter/callbacks.h"

#include <libmilter/mfapi.h>
#include <libmilter/mfdef.h>

#include "common/base/limits.h"
#include "common/service/decision_log.h"
#include "milter/negotiate.h"
#include "milter/wait.h"

static Filter *the_filter;

static const char *macro_value(void *data, const char *name) {
  return smfi_getsymval(data, (char *)name); /* libmilter only reads it, though its prototype does not say so */
}

/* Results -> libmilter */

static void set_reply(SMFICTX *context, const MilterResult *result) {
  char *lines[LIMIT_REPLY_LINES] = {NULL};
  size_t count = 0;
  while (count < LIMIT_REPLY_LINES && result->lines[count] != NULL) {
    lines[count] = (char *)result->lines[count];
    count++;
  }
  char *code = (char *)result->code;
  char *enhanced = result->enhanced[0] ? (char *)result->enhanced : NULL;
  G_STATIC_ASSERT(LIMIT_REPLY_LINES == 32);
  int set = count == 1 ? smfi_setreply(context, code, enhanced, lines[0])
                       : smfi_setmlreply(context, code, enhanced, lines[0], lines[1], lines[2], lines[3], lines[4], lines[5], lines[6],
                                         lines[7], lines[8], lines[9], lines[10], lines[11], lines[12], lines[13], lines[14], lines[15],
                                         lines[16], lines[17], lines[18], lines[19], lines[20], lines[21], lines[22], lines[23], lines[24],
                                         lines[25], lines[26], lines[27], lines[28], lines[29], lines[30], lines[31], NULL);
  if (set != MI_SUCCESS) {
    log_limited("setreply", "libmilter did not take the reply %s %s: the mail server says its own", result->code, result->enhanced);
  }
}

static void apply_effects(SMFICTX *context, const Conversation *conversation, const MilterResult *result) {
  g_autoptr(Arena) arena = arena_new(0);
  for (size_t i = 0; i < result->effect_count; i++) {
    const Effect *effect = &result->effects[i];
    int done = MI_SUCCESS;
    switch (effect->kind) {
      case EFFECT_PREPEND_HEADER:
        done = smfi_insheader(context, 0, milter_effect_text(arena, effect->as.header.name),
                              milter_effect_text(arena, effect->as.header.value));
        break;
      case EFFECT_QUARANTINE_MESSAGE:
        done = smfi_quarantine(context, milter_effect_text(arena, effect->as.why));
        break;
      case EFFECT_LOG:
      case EFFECT_DELAY:
      case EFFECT_OBSERVED:
        break;
    }
    if (done != MI_SUCCESS) {
      log_warning("session=%s rule=%.*s: the mail server did not take: %s", conversation->id, SLICE_ARGS(effect->rule),
                  effect_name(effect->kind));
    }
  }
}

static sfsistat status_of(MilterAction action) {
  switch (action) {
    case MILTER_CONTINUE:
      return SMFIS_CONTINUE;
    case MILTER_REJECT:
      return SMFIS_REJECT;
    case MILTER_TEMPFAIL:
      return SMFIS_TEMPFAIL;
    case MILTER_ACCEPT:
      return SMFIS_ACCEPT;
    case MILTER_DISCARD:
      return SMFIS_DISCARD;
  }
  g_assert_not_reached();
}

/* The steps that may have been agreed to have no reply. */
static unsigned long no_reply_bit(MilterEventKind kind) {
  switch (kind) {
    case MILTER_CONNECT:
      return SMFIP_NR_CONN;
    case MILTER_HELO:
      return SMFIP_NR_HELO;
    case MILTER_MAIL:
      return SMFIP_NR_MAIL;
    case MILTER_RCPT:
      return SMFIP_NR_RCPT;
    case MILTER_DATA:
      return SMFIP_NR_DATA;
    case MILTER_UNKNOWN:
      return SMFIP_NR_UNKN;
    case MILTER_EOH:
      return SMFIP_NR_EOH;
    case MILTER_EOM:
    case MILTER_ABORT:
    case MILTER_CLOSE:
      return 0;
  }
  g_assert_not_reached();
}

/* Events -> session */

static sfsistat feed(SMFICTX *context, Conversation *conversation, const MilterEvent *event) {
  gint64 deadline = g_get_monotonic_time() + (gint64)daemon_config(filter_daemon(conversation->filter))->deadline_ms * 1000;
  bool begins = event->kind == MILTER_MAIL || event->kind == MILTER_RCPT;
  bool is_later = event->kind == MILTER_DATA || event->kind == MILTER_EOM;
  if ((begins || is_later) && !conversation->in_message && filter_is_stopping(conversation->filter)) {
    /* The MTA would say the same when we are gone. A step without a reply tells nothing, so each later one must: no rule has seen its sender. */
    return conversation->no_reply & no_reply_bit(event->kind) ? SMFIS_NOREPLY : SMFIS_TEMPFAIL;
  }
  if (begins && !conversation->in_message) {
    conversation_offer_ruleset(conversation);
  }
  if (begins || event->kind == MILTER_DATA) {
    conversation_set_in_message(conversation, true);
  }
  wait_for_verdict(conversation, milter_session_event(conversation->session, event), deadline);
  conversation_settle(conversation);
  const MilterResult *result = milter_session_result(conversation->session);
  if (result->verdict) {
    log_decision(daemon_config(filter_daemon(conversation->filter)), milter_session_facts(conversation->session), conversation->id,
                 result->verdict);
  }
  wait_for_delay(conversation, result->delay_ms, deadline);
  if (result->has_reply && event->kind != MILTER_CLOSE) {
    set_reply(context, result);
  }
  apply_effects(context, conversation, result);
  bool over = event->kind == MILTER_EOM || event->kind == MILTER_ABORT || event->kind == MILTER_CLOSE || event->kind == MILTER_HELO ||
              result->action == MILTER_ACCEPT || (event->kind == MILTER_MAIL && result->action != MILTER_CONTINUE);
  if (over) {
    conversation_set_in_message(conversation, false);
  }
  return conversation->no_reply & no_reply_bit(event->kind) ? SMFIS_NOREPLY : status_of(result->action);
}

static sfsistat on_event(SMFICTX *context, MilterEvent event) {
  if (!filter_enter(the_filter)) {
    return SMFIS_TEMPFAIL;
  }
  Conversation *conversation = smfi_getpriv(context);
  if (conversation == NULL && event.kind == MILTER_CONNECT) {
    /* A second SMTP session on this connection of the MTA (SMFIC_QUIT_NC): no negotiation comes again. */
    conversation = conversation_new(the_filter);
    (void)smfi_setpriv(context, conversation);
  }
  sfsistat status = SMFIS_TEMPFAIL;
  if (conversation != NULL && conversation->session != NULL) {
    event.macro = macro_value;
    event.macro_data = context;
    status = feed(context, conversation, &event);
  }
  filter_leave(the_filter);
  return status;
}

static sfsistat on_negotiate(SMFICTX *context, unsigned long actions, unsigned long steps, unsigned long unused2, unsigned long unused3,
                             unsigned long *our_actions, unsigned long *our_steps, unsigned long *our_unused2, unsigned long *our_unused3) {
  (void)unused2;
  (void)unused3;
  if (!filter_enter(the_filter)) {
    return SMFIS_REJECT;
  }
  Conversation *conversation = conversation_new(the_filter);
  (void)smfi_setpriv(context, conversation);
  if (conversation->session == NULL) {
    /* Too many: the answer is at connect, and at whatever the MTA shows none the less. */
    conversation->needs = (MilterNeeds){.connect = true, .reply_connect = true, .eom = true};
  }
  Negotiation agreed = negotiate(&conversation->needs, actions, steps);
  conversation->no_reply = agreed.no_reply;
  *our_actions = agreed.actions;
  *our_steps = agreed.steps;
  *our_unused2 = *our_unused3 = 0;
  if (agreed.actions & SMFIF_SETSYMLIST) {
    negotiate_macros(context, &conversation->needs);
  }
  filter_leave(the_filter);
  return SMFIS_CONTINUE;
}

static sfsistat on_connect(SMFICTX *context, char *name, _SOCK_ADDR *address) {
  const char *arguments[] = {name, NULL};
  IpAddress ip;
  unsigned port = 0;
  bool known = ip_from_socket((const struct sockaddr *)address, &ip, &port);
  return on_event(context, (MilterEvent){.kind = MILTER_CONNECT, .arguments = arguments, .address = known ? &ip : NULL, .port = port});
}

static sfsistat on_helo(SMFICTX *context, char *name) {
  const char *arguments[] = {name, NULL};
  return on_event(context, (MilterEvent){.kind = MILTER_HELO, .arguments = arguments});
}

static sfsistat on_mail(SMFICTX *context, char **arguments) {
  return on_event(context, (MilterEvent){.kind = MILTER_MAIL, .arguments = (const char *const *)arguments});
}

static sfsistat on_recipient(SMFICTX *context, char **arguments) {
  return on_event(context, (MilterEvent){.kind = MILTER_RCPT, .arguments = (const char *const *)arguments});
}

static sfsistat on_data(SMFICTX *context) {
  return on_event(context, (MilterEvent){.kind = MILTER_DATA});
}

static sfsistat on_unknown(SMFICTX *context, const char *command) {
  const char *arguments[] = {command, NULL};
  return on_event(context, (MilterEvent){.kind = MILTER_UNKNOWN, .arguments = arguments});
}

static sfsistat on_end_of_headers(SMFICTX *context) {
  return on_event(context, (MilterEvent){.kind = MILTER_EOH});
}

static sfsistat on_end_of_message(SMFICTX *context) {
  return on_event(context, (MilterEvent){.kind = MILTER_EOM});
}

static sfsistat on_abort(SMFICTX *context) {
  (void)on_event(context, (MilterEvent){.kind = MILTER_ABORT});
  return SMFIS_CONTINUE;
}

static sfsistat on_close(SMFICTX *context) {
  (void)on_event(context, (MilterEvent){.kind = MILTER_CLOSE});
  if (filter_enter(the_filter)) {
    Conversation *conversation = smfi_getpriv(context);
    (void)smfi_setpriv(context, NULL);
    if (conversation != NULL) {
      conversation_free(conversation);
    }
    filter_leave(the_filter);
  }
  return SMFIS_CONTINUE;
}

bool callbacks_register(Filter *filter) {
  static char name[] = "mailreeve-milter";
  the_filter = filter;
  struct smfiDesc description = {
      .xxfi_name = name,
      .xxfi_version = SMFI_VERSION,
      .xxfi_flags = SMFIF_ADDHDRS | SMFIF_QUARANTINE | SMFIF_SETSYMLIST,
      .xxfi_connect = on_connect,
      .xxfi_helo = on_helo,
      .xxfi_envfrom = on_mail,
      .xxfi_envrcpt = on_recipient,
      .xxfi_eoh = on_end_of_headers,
      .xxfi_eom = on_end_of_message,
      .xxfi_abort = on_abort,
      .xxfi_close = on_close,
      .xxfi_unknown = on_unknown,
      .xxfi_data = on_data,
      .xxfi_negotiate = on_negotiate,
  };
  return smfi_register(description) == MI_SUCCESS;
}
