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

static void set_reply(SMFICTX *context, Filter *filter, const MilterResult *result) {
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
    filter_count(filter, FILTER_REPLY_NOT_TAKEN);
    log_limited("setreply", "libmilter did not take the reply %s %s: the mail server says its own", result->code, result->enhanced);
  }
}

/* libmilter only reads its arguments, though its prototypes do not say so. */
static int apply_change(SMFICTX *context, const MilterChange *change) {
  char *name = (char *)change->name, *value = (char *)change->value;
  switch (change->kind) {
    case MILTER_CHANGE_HEADER:
      return smfi_chgheader(context, name, change->index, value);
    case MILTER_ADD_HEADER:
      return smfi_addheader(context, name, value);
    case MILTER_INSERT_HEADER:
      return smfi_insheader(context, 0, name, value);
    case MILTER_DELETE_RECIPIENT:
      return smfi_delrcpt(context, value);
    case MILTER_ADD_RECIPIENT:
      return smfi_addrcpt(context, value);
    case MILTER_CHANGE_SENDER:
      return smfi_chgfrom(context, value, NULL);
    case MILTER_QUARANTINE:
      return smfi_quarantine(context, value);
  }
  g_assert_not_reached();
}

static void apply_changes(SMFICTX *context, Conversation *conversation, const MilterResult *result) {
  for (size_t i = 0; i < result->change_count; i++) {
    const MilterChange *change = &result->changes[i];
    if (apply_change(context, change) != MI_SUCCESS) {
      filter_count(conversation->filter, FILTER_EFFECT_NOT_TAKEN);
      log_warning("session=%s rule=%.*s: the mail server did not take: %s", conversation_id(conversation), SLICE_ARGS(change->rule),
                  effect_name(change->effect));
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

/* Events -> session */

/* What the MTA waits for, when it waits for anything. */
static sfsistat answer(const Conversation *conversation, MilterEventKind kind, sfsistat status) {
  return conversation->no_reply & negotiate_no_reply(kind) ? SMFIS_NOREPLY : status;
}

/* False: we stop, and the event would begin a message. */
static bool enter_message(Conversation *conversation, MilterEventKind kind) {
  bool begins = kind == MILTER_MAIL || kind == MILTER_RCPT;
  bool is_later = kind == MILTER_DATA || kind == MILTER_HEADER || kind == MILTER_EOM;
  if (conversation->in_message || (!begins && !is_later)) {
    return true;
  }
  if (filter_is_stopping(conversation->filter)) {
    return false;
  }
  if (begins) {
    conversation_offer_ruleset(conversation);
  }
  if (kind != MILTER_EOM) {
    conversation_set_in_message(conversation, true);
  }
  return true;
}

static bool ends_message(MilterEventKind kind, MilterAction action) {
  return kind == MILTER_EOM || kind == MILTER_ABORT || kind == MILTER_CLOSE || kind == MILTER_HELO || action == MILTER_ACCEPT ||
         (kind == MILTER_MAIL && action != MILTER_CONTINUE);
}

static sfsistat feed(SMFICTX *context, Conversation *conversation, const MilterEvent *event) {
  if (!enter_message(conversation, event->kind)) {
    /* The MTA would say the same when we are gone. A step without a reply tells nothing, so each later one must: no rule has seen its sender. */
    return answer(conversation, event->kind, SMFIS_TEMPFAIL);
  }
  const Config *config = daemon_config(filter_daemon(conversation->filter));
  EvaluationState state = milter_session_event(conversation->session, event);
  const MilterResult *result = milter_session_result(conversation->session);
  gint64 deadline = 0; /* an evaluation does not block: until something waits it is still the time when the MTA asked */
  if (state == EVALUATION_WAITS || result->delay_ms > 0) {
    deadline = g_get_monotonic_time() + (gint64)config->deadline_ms * 1000;
    wait_for_verdict(conversation, state, deadline);
  }
  if (result->verdict && decision_is_logged(config, result->verdict)) {
    milter_session_take_logged(conversation->session, event);
    log_decision(config, milter_session_facts(conversation->session), conversation_id(conversation), result->verdict);
  }
  if (result->delay_ms > 0) {
    wait_for_delay(conversation, result->delay_ms, deadline);
  }
  if (result->has_reply && event->kind != MILTER_CLOSE) {
    set_reply(context, conversation->filter, result);
  }
  if (result->change_count > 0) {
    apply_changes(context, conversation, result);
  }
  if (ends_message(event->kind, result->action)) {
    conversation_set_in_message(conversation, false);
  }
  return answer(conversation, event->kind, status_of(result->action));
}

static sfsistat on_event(SMFICTX *context, const MilterEvent *event) {
  if (!filter_enter(the_filter)) {
    return SMFIS_TEMPFAIL;
  }
  Conversation *conversation = smfi_getpriv(context);
  if (conversation == NULL && event->kind == MILTER_CONNECT) {
    /* A second SMTP session on this connection of the MTA (SMFIC_QUIT_NC): no negotiation comes again. */
    conversation = conversation_new(the_filter);
    (void)smfi_setpriv(context, conversation);
  }
  sfsistat status = SMFIS_TEMPFAIL;
  if (conversation != NULL && conversation->session != NULL) {
    status = feed(context, conversation, event);
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
  const MilterNeeds *needs = conversation_needs(conversation);
  Negotiation agreed = negotiate(needs, actions, steps);
  conversation->no_reply = agreed.no_reply;
  *our_actions = agreed.actions;
  *our_steps = agreed.steps;
  *our_unused2 = *our_unused3 = 0;
  if (agreed.actions & SMFIF_SETSYMLIST) {
    negotiate_macros(context, needs);
  }
  filter_leave(the_filter);
  return SMFIS_CONTINUE;
}

static sfsistat on_connect(SMFICTX *context, char *name, _SOCK_ADDR *address) {
  const char *arguments[] = {name, NULL};
  IpAddress ip;
  unsigned port = 0;
  bool known = ip_from_socket((const struct sockaddr *)address, &ip, &port);
  return on_event(context, &(MilterEvent){.kind = MILTER_CONNECT,
                                          .macro = macro_value,
                                          .macro_data = context,
                                          .arguments = arguments,
                                          .address = known ? &ip : NULL,
                                          .port = port});
}

static sfsistat on_helo(SMFICTX *context, char *name) {
  const char *arguments[] = {name, NULL};
  return on_event(context, &(MilterEvent){.kind = MILTER_HELO, .macro = macro_value, .macro_data = context, .arguments = arguments});
}

static sfsistat on_mail(SMFICTX *context, char **arguments) {
  return on_event(
      context,
      &(MilterEvent){.kind = MILTER_MAIL, .macro = macro_value, .macro_data = context, .arguments = (const char *const *)arguments});
}

static sfsistat on_recipient(SMFICTX *context, char **arguments) {
  return on_event(
      context,
      &(MilterEvent){.kind = MILTER_RCPT, .macro = macro_value, .macro_data = context, .arguments = (const char *const *)arguments});
}

static sfsistat on_data(SMFICTX *context) {
  return on_event(context, &(MilterEvent){.kind = MILTER_DATA, .macro = macro_value, .macro_data = context});
}

static sfsistat on_unknown(SMFICTX *context, const char *command) {
  const char *arguments[] = {command, NULL};
  return on_event(context, &(MilterEvent){.kind = MILTER_UNKNOWN, .macro = macro_value, .macro_data = context, .arguments = arguments});
}

static sfsistat on_header(SMFICTX *context, char *name, char *value) {
  const char *arguments[] = {name, value, NULL};
  return on_event(context, &(MilterEvent){.kind = MILTER_HEADER, .macro = macro_value, .macro_data = context, .arguments = arguments});
}

static sfsistat on_end_of_headers(SMFICTX *context) {
  return on_event(context, &(MilterEvent){.kind = MILTER_EOH, .macro = macro_value, .macro_data = context});
}

static sfsistat on_body(SMFICTX *context, unsigned char *data, size_t length) {
  return on_event(
      context,
      &(MilterEvent){.kind = MILTER_BODY, .macro = macro_value, .macro_data = context, .body = slice_make((const char *)data, length)});
}

static sfsistat on_end_of_message(SMFICTX *context) {
  return on_event(context, &(MilterEvent){.kind = MILTER_EOM, .macro = macro_value, .macro_data = context});
}

static sfsistat on_abort(SMFICTX *context) {
  (void)on_event(context, &(MilterEvent){.kind = MILTER_ABORT, .macro = macro_value, .macro_data = context});
  return SMFIS_CONTINUE;
}

static sfsistat on_close(SMFICTX *context) {
  if (!filter_enter(the_filter)) {
    return SMFIS_CONTINUE;
  }
  Conversation *conversation = smfi_getpriv(context);
  if (conversation != NULL) {
    if (conversation->session != NULL) {
      (void)feed(context, conversation, &(MilterEvent){.kind = MILTER_CLOSE, .macro = macro_value, .macro_data = context});
    }
    (void)smfi_setpriv(context, NULL);
    conversation_free(conversation);
  }
  filter_leave(the_filter);
  return SMFIS_CONTINUE;
}

bool callbacks_register(Filter *filter) {
  static char name[] = "mailreeve-milter";
  the_filter = filter;
  struct smfiDesc description = {
      .xxfi_name = name,
      .xxfi_version = SMFI_VERSION,
      .xxfi_flags = SMFIF_ADDHDRS | SMFIF_CHGHDRS | SMFIF_ADDRCPT | SMFIF_DELRCPT | SMFIF_CHGFROM | SMFIF_QUARANTINE | SMFIF_SETSYMLIST,
      .xxfi_connect = on_connect,
      .xxfi_helo = on_helo,
      .xxfi_envfrom = on_mail,
      .xxfi_envrcpt = on_recipient,
      .xxfi_header = on_header,
      .xxfi_eoh = on_end_of_headers,
      .xxfi_body = on_body,
      .xxfi_eom = on_end_of_message,
      .xxfi_abort = on_abort,
      .xxfi_close = on_close,
      .xxfi_unknown = on_unknown,
      .xxfi_data = on_data,
      .xxfi_negotiate = on_negotiate,
  };
  return smfi_register(description) == MI_SUCCESS;
}
