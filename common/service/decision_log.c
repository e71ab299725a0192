/*
 * decision_log.c: a verdict and the facts behind it as one logfmt line.
 */
#include "common/service/decision_log.h"

#include <string.h>

#include "common/base/limits.h"

enum { REPLY_QUOTE = 512 }; /* bytes of a reply or an effect in a line */

static bool needs_quotes(Slice value) {
  if (value.length == 0) {
    return true;
  }
  for (size_t i = 0; i < value.length; i++) {
    unsigned char byte = (unsigned char)value.data[i];
    if (byte <= ' ' || byte >= 0x7f || byte == '"' || byte == '=' || byte == '\\') {
      return true;
    }
  }
  return false;
}

static void field_limited(GString *line, const char *key, Slice value, size_t limit) {
  if (line->len > 0) {
    g_string_append_c(line, ' ');
  }
  g_string_append(line, key);
  g_string_append_c(line, '=');
  if (value.length <= limit && !needs_quotes(value)) {
    g_string_append_len(line, value.data, (gssize)value.length);
    return;
  }
  g_autoptr(Arena) arena = arena_new(0);
  Slice quoted = slice_quote(arena, value, limit);
  g_string_append_c(line, '"');
  g_string_append_len(line, quoted.data, (gssize)quoted.length);
  g_string_append_c(line, '"');
}

void log_field(GString *line, const char *key, Slice value) {
  field_limited(line, key, value, LIMIT_QUOTE);
}

/* A fact that is not there has no field. */
static void field_fact(GString *line, Session *session, const char *key, Fact fact) {
  Slice raw = session_raw(session, fact);
  if (raw.length > 0) {
    log_field(line, key, raw);
  }
}

static void field_sender(GString *line, Session *session, Phase phase) {
  const Value *sender = session_get(session, FACT_SENDER);
  bool in_message = phase == PHASE_MAIL || phase == PHASE_RCPT || phase == PHASE_DATA || phase == PHASE_EOM;
  if (sender->state == VALUE_SET && (in_message || session_raw(session, FACT_SENDER).length > 0)) {
    Slice raw = session_raw(session, FACT_SENDER);
    log_field(line, "sender", raw.length > 0 ? raw : SLICE_LITERAL("<>"));
  }
}

static void append_reply(GString *text, const Reply *reply) {
  g_string_append_printf(text, "%u", reply->code);
  if (reply->enhanced.class_digit != 0) {
    g_string_append_printf(text, " %u.%u.%u", reply->enhanced.class_digit, reply->enhanced.subject, reply->enhanced.detail);
  }
  for (size_t i = 0; i < reply->line_count; i++) {
    g_string_append_c(text, ' ');
    g_string_append_len(text, reply->lines[i].data, (gssize)reply->lines[i].length);
  }
}

static void field_text(GString *line, const char *key, const GString *text) {
  field_limited(line, key, slice_make(text->str, text->len), REPLY_QUOTE);
}

static void field_reply(GString *line, const Verdict *verdict) {
  g_autoptr(GString) text = g_string_new(NULL);
  switch (verdict->outcome) {
    case OUTCOME_TEMPFAIL:
    case OUTCOME_REJECT:
    case OUTCOME_DISCONNECT:
      append_reply(text, &verdict->reply);
      field_text(line, "reply", text);
      break;
    case OUTCOME_DISCARD:
      g_string_append_len(text, verdict->discard_why.data, (gssize)verdict->discard_why.length);
      field_text(line, "why", text);
      break;
    case OUTCOME_PASS:
    case OUTCOME_ACCEPT:
      break;
  }
}

static void append_header(GString *text, const Effect *effect) {
  g_string_append_printf(text, " %.*s", SLICE_ARGS(effect->as.header.name));
  if (effect->as.header.nth == HEADER_LAST) {
    g_string_append(text, " last");
  } else if (effect->as.header.nth != HEADER_ALL) {
    g_string_append_printf(text, " %d", effect->as.header.nth);
  }
  if (effect->kind != EFFECT_DELETE_HEADER) {
    g_string_append_printf(text, ": %.*s", SLICE_ARGS(effect->as.header.value));
  }
}

/* False for an effect that has a line of its own. */
static bool effect_text(const Effect *effect, GString *text) {
  g_string_append(text, effect_name(effect->kind));
  switch (effect->kind) {
    case EFFECT_LOG:
      return false;
    case EFFECT_DELAY:
      g_string_append_printf(text, " %" G_GINT64_FORMAT "ms", (gint64)effect->as.delay_ms);
      break;
    case EFFECT_PREPEND_HEADER:
    case EFFECT_APPEND_HEADER:
    case EFFECT_REPLACE_HEADER:
    case EFFECT_DELETE_HEADER:
      append_header(text, effect);
      break;
    case EFFECT_ADD_RECIPIENT:
    case EFFECT_REMOVE_RECIPIENT:
    case EFFECT_CHANGE_SENDER:
    case EFFECT_REDIRECT_MESSAGE:
    case EFFECT_BCC_MESSAGE:
      g_string_append_printf(text, " <%.*s>", SLICE_ARGS(effect->as.address));
      break;
    case EFFECT_FILTER_MESSAGE:
      g_string_append_printf(text, " %.*s", SLICE_ARGS(effect->as.filter));
      break;
    case EFFECT_UNDONE:
      g_string_append_printf(text, " %.*s: %s: %.*s", SLICE_ARGS(effect->as.undone.action), effect->as.undone.problem,
                             SLICE_ARGS(effect->as.undone.text));
      break;
    case EFFECT_QUARANTINE_MESSAGE:
      g_string_append_printf(text, " %.*s", SLICE_ARGS(effect->as.why));
      break;
    case EFFECT_OBSERVED:
      g_string_append_printf(text, " %.*s", SLICE_ARGS(effect->as.observed.action));
      if (effect->as.observed.reply.code != 0) {
        g_string_append(text, ": ");
        append_reply(text, &effect->as.observed.reply);
      }
      break;
  }
  g_string_append_printf(text, " [%.*s]", SLICE_ARGS(effect->rule));
  return true;
}

static void field_effects(GString *line, const Verdict *verdict) {
  for (size_t i = 0; i < verdict->effect_count; i++) {
    g_autoptr(GString) text = g_string_new(NULL);
    if (effect_text(&verdict->effects[i], text)) {
      field_text(line, "effect", text);
    }
  }
}

static void field_failures(GString *line, const Verdict *verdict) {
  if (verdict->failures == NULL) {
    return;
  }
  g_autoptr(GString) text = g_string_new(NULL);
  for (const Failure *failure = verdict->failures; failure != NULL; failure = failure->next) {
    g_string_append_printf(text, "%s%.*s: %.*s", text->len ? "; " : "", SLICE_ARGS(failure->lookup), SLICE_ARGS(failure->reason));
  }
  field_text(line, "failed", text);
}

/* Who the line is about: what decisions and `log` lines begin with. */
static GString *line_begin(Session *session, const char *session_id, Phase phase) {
  GString *line = g_string_sized_new(256);
  log_field(line, "session", slice_from(session_id));
  field_fact(line, session, "queue_id", FACT_QUEUE_ID);
  field_fact(line, session, "client", FACT_CLIENT_ADDRESS);
  field_fact(line, session, "helo", FACT_HELO_NAME);
  field_sender(line, session, phase);
  field_fact(line, session, "recipient", FACT_RECIPIENT);
  log_field(line, "phase", slice_from(phase_name(phase)));
  return line;
}

bool decision_is_logged(const Config *config, const Verdict *verdict) {
  return config->decisions == DECISIONS_ALL || verdict->rule.length > 0 || verdict->effect_count > 0 || verdict->failures != NULL;
}

char *decision_line(const Config *config, Session *session, const char *session_id, const Verdict *verdict) {
  if (!decision_is_logged(config, verdict)) {
    return NULL;
  }
  GString *line = line_begin(session, session_id, verdict->phase);
  log_field(line, "outcome", slice_from(outcome_name(verdict->outcome)));
  if (verdict->rule.length > 0) {
    log_field(line, "rule", verdict->rule);
  }
  field_reply(line, verdict);
  log_field(line, "door", slice_from(door_name(session_door(session))));
  field_failures(line, verdict);
  field_effects(line, verdict);
  return g_string_free(line, FALSE);
}

static void log_effects(Session *session, const char *session_id, const Verdict *verdict) {
  for (size_t i = 0; i < verdict->effect_count; i++) {
    const Effect *effect = &verdict->effects[i];
    if (effect->kind != EFFECT_LOG) {
      continue;
    }
    GString *line = line_begin(session, session_id, verdict->phase);
    log_field(line, "rule", effect->rule);
    field_limited(line, "log", effect->as.log_text, REPLY_QUOTE);
    log_info("%s", line->str);
    (void)g_string_free(line, TRUE);
  }
}

static void log_failures(const Verdict *verdict) {
  for (const Failure *failure = verdict->failures; failure != NULL; failure = failure->next) {
    g_autofree char *key = g_strdup_printf("look-up %.*s", SLICE_ARGS(failure->lookup));
    log_limited(key, "%s failed: %.*s", key, SLICE_ARGS(failure->reason));
  }
}

void log_decision(const Config *config, Session *session, const char *session_id, const Verdict *verdict) {
  if (!decision_is_logged(config, verdict)) {
    return;
  }
  log_effects(session, session_id, verdict);
  log_failures(verdict);
  g_autofree char *line = decision_line(config, session, session_id, verdict);
  log_info("%s", line);
}
