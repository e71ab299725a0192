/*
 * decision_log.c: a verdict and the facts behind it as one logfmt line.
 */
#include "common/service/decision_log.h"

#include <string.h>

#include "common/base/limits.h"

/* Bytes of a reply or an effect in a line; and what a usual line and a usual field of it take, so that nothing is allocated for them. */
enum { REPLY_QUOTE = 512, LINE_ROOM = 2048, FIELD_ROOM = 1024 };

/* What may stand in a line as it is. */
static const bool bare_bytes[256] = {
    ['!'] = true,
    ['#' ... '<'] = true,
    ['>' ... '['] = true,
    [']' ... '~'] = true,
};

static bool needs_quotes(Slice value) {
  for (size_t i = 0; i < value.length; i++) {
    if (!bare_bytes[(unsigned char)value.data[i]]) {
      return true;
    }
  }
  return value.length == 0;
}

static void field_limited(TextBuffer *line, const char *key, Slice value, size_t limit) {
  if (line->length > 0) {
    text_buffer_add_byte(line, ' ');
  }
  text_buffer_add(line, slice_from(key));
  text_buffer_add_byte(line, '=');
  if (value.length <= limit && !needs_quotes(value)) {
    text_buffer_add(line, value);
    return;
  }
  text_buffer_add_byte(line, '"');
  text_buffer_add_quoted(line, value, limit);
  text_buffer_add_byte(line, '"');
}

void log_field(TextBuffer *line, const char *key, Slice value) {
  field_limited(line, key, value, LIMIT_QUOTE);
}

/* A fact that is not there has no field. */
static void field_fact(TextBuffer *line, Session *session, const char *key, Fact fact) {
  Slice raw = session_raw(session, fact);
  if (raw.length > 0) {
    log_field(line, key, raw);
  }
}

static void field_sender(TextBuffer *line, Session *session, Phase phase) {
  const Value *sender = session_get(session, FACT_SENDER);
  bool in_message = phase == PHASE_MAIL || phase == PHASE_RCPT || phase == PHASE_DATA || phase == PHASE_EOM;
  if (sender->state == VALUE_SET && (in_message || session_raw(session, FACT_SENDER).length > 0)) {
    Slice raw = session_raw(session, FACT_SENDER);
    log_field(line, "sender", raw.length > 0 ? raw : SLICE_LITERAL("<>"));
  }
}

static void append_reply(TextBuffer *text, const Reply *reply) {
  text_buffer_add_number(text, reply->code);
  if (reply->enhanced.class_digit != 0) {
    text_buffer_add_byte(text, ' ');
    text_buffer_add_number(text, reply->enhanced.class_digit);
    text_buffer_add_byte(text, '.');
    text_buffer_add_number(text, reply->enhanced.subject);
    text_buffer_add_byte(text, '.');
    text_buffer_add_number(text, reply->enhanced.detail);
  }
  for (size_t i = 0; i < reply->line_count; i++) {
    text_buffer_add_byte(text, ' ');
    text_buffer_add(text, reply->lines[i]);
  }
}

static void field_text(TextBuffer *line, const char *key, const TextBuffer *text) {
  field_limited(line, key, text_buffer_slice(text), REPLY_QUOTE);
}

static void field_reply(TextBuffer *line, const Verdict *verdict) {
  char room[FIELD_ROOM];
  g_auto(TextBuffer) text = text_buffer_in(room, sizeof room);
  switch (verdict->outcome) {
    case OUTCOME_TEMPFAIL:
    case OUTCOME_REJECT:
    case OUTCOME_DISCONNECT:
      append_reply(&text, &verdict->reply);
      field_text(line, "reply", &text);
      break;
    case OUTCOME_DISCARD:
      text_buffer_add(&text, verdict->discard_why);
      field_text(line, "why", &text);
      break;
    case OUTCOME_PASS:
    case OUTCOME_ACCEPT:
      break;
  }
}

static void append_header(TextBuffer *text, const Effect *effect) {
  text_buffer_add_format(text, " %.*s", SLICE_ARGS(effect->as.header.name));
  if (effect->as.header.nth == HEADER_LAST) {
    text_buffer_add(text, SLICE_LITERAL(" last"));
  } else if (effect->as.header.nth != HEADER_ALL) {
    text_buffer_add_format(text, " %d", effect->as.header.nth);
  }
  if (effect->kind != EFFECT_DELETE_HEADER) {
    text_buffer_add_format(text, ": %.*s", SLICE_ARGS(effect->as.header.value));
  }
}

/* False for an effect that has a line of its own. */
static bool effect_text(const Effect *effect, TextBuffer *text) {
  text_buffer_add(text, slice_from(effect_name(effect->kind)));
  switch (effect->kind) {
    case EFFECT_LOG:
      return false;
    case EFFECT_DELAY:
      text_buffer_add_format(text, " %" G_GINT64_FORMAT "ms", (gint64)effect->as.delay_ms);
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
      text_buffer_add_format(text, " <%.*s>", SLICE_ARGS(effect->as.address));
      break;
    case EFFECT_FILTER_MESSAGE:
      text_buffer_add_format(text, " %.*s", SLICE_ARGS(effect->as.filter));
      break;
    case EFFECT_UNDONE:
      text_buffer_add_format(text, " %.*s: %s: %.*s", SLICE_ARGS(effect->as.undone.action), effect->as.undone.problem,
                             SLICE_ARGS(effect->as.undone.text));
      break;
    case EFFECT_QUARANTINE_MESSAGE:
      text_buffer_add_format(text, " %.*s", SLICE_ARGS(effect->as.why));
      break;
    case EFFECT_OBSERVED:
      text_buffer_add_format(text, " %.*s", SLICE_ARGS(effect->as.observed.action));
      if (effect->as.observed.reply.code != 0) {
        text_buffer_add(text, SLICE_LITERAL(": "));
        append_reply(text, &effect->as.observed.reply);
      }
      break;
  }
  text_buffer_add_format(text, " [%.*s]", SLICE_ARGS(effect->rule));
  return true;
}

static void field_effects(TextBuffer *line, const Verdict *verdict) {
  for (size_t i = 0; i < verdict->effect_count; i++) {
    char room[FIELD_ROOM];
    g_auto(TextBuffer) text = text_buffer_in(room, sizeof room);
    if (effect_text(&verdict->effects[i], &text)) {
      field_text(line, "effect", &text);
    }
  }
}

static void field_failures(TextBuffer *line, const Verdict *verdict) {
  if (verdict->failures == NULL) {
    return;
  }
  char room[FIELD_ROOM];
  g_auto(TextBuffer) text = text_buffer_in(room, sizeof room);
  for (const Failure *failure = verdict->failures; failure != NULL; failure = failure->next) {
    text_buffer_add_format(&text, "%s%.*s: %.*s", text.length ? "; " : "", SLICE_ARGS(failure->lookup), SLICE_ARGS(failure->reason));
  }
  field_text(line, "failed", &text);
}

/* Who the line is about: what decisions and `log` lines begin with. */
static void line_begin(TextBuffer *line, Session *session, const char *session_id, Phase phase) {
  log_field(line, "session", slice_from(session_id));
  field_fact(line, session, "queue_id", FACT_QUEUE_ID);
  field_fact(line, session, "client", FACT_CLIENT_ADDRESS);
  field_fact(line, session, "helo", FACT_HELO_NAME);
  field_sender(line, session, phase);
  field_fact(line, session, "recipient", FACT_RECIPIENT);
  log_field(line, "phase", slice_from(phase_name(phase)));
}

bool decision_is_logged(const Config *config, const Verdict *verdict) {
  return config->decisions == DECISIONS_ALL || verdict->rule.length > 0 || verdict->effect_count > 0 || verdict->failures != NULL;
}

void decision_line(TextBuffer *line, Session *session, const char *session_id, const Verdict *verdict) {
  line_begin(line, session, session_id, verdict->phase);
  log_field(line, "outcome", slice_from(outcome_name(verdict->outcome)));
  if (verdict->rule.length > 0) {
    log_field(line, "rule", verdict->rule);
  }
  field_reply(line, verdict);
  log_field(line, "door", slice_from(door_name(session_door(session))));
  field_failures(line, verdict);
  field_effects(line, verdict);
}

static void log_effects(Session *session, const char *session_id, const Verdict *verdict) {
  for (size_t i = 0; i < verdict->effect_count; i++) {
    const Effect *effect = &verdict->effects[i];
    if (effect->kind != EFFECT_LOG) {
      continue;
    }
    char room[LINE_ROOM];
    g_auto(TextBuffer) line = text_buffer_in(room, sizeof room);
    line_begin(&line, session, session_id, verdict->phase);
    log_field(&line, "rule", effect->rule);
    field_limited(&line, "log", effect->as.log_text, REPLY_QUOTE);
    log_info_line(&line);
  }
}

static void log_failures(const Verdict *verdict) {
  for (const Failure *failure = verdict->failures; failure != NULL; failure = failure->next) {
    char room[FIELD_ROOM];
    g_auto(TextBuffer) key = text_buffer_in(room, sizeof room);
    text_buffer_add_format(&key, "look-up %.*s", SLICE_ARGS(failure->lookup));
    log_limited(key.text, "%s failed: %.*s", key.text, SLICE_ARGS(failure->reason));
  }
}

void log_decision(const Config *config, Session *session, const char *session_id, const Verdict *verdict) {
  if (!decision_is_logged(config, verdict)) {
    return;
  }
  log_effects(session, session_id, verdict);
  log_failures(verdict);
  char room[LINE_ROOM];
  g_auto(TextBuffer) line = text_buffer_in(room, sizeof room);
  decision_line(&line, session, session_id, verdict);
  log_info_line(&line);
}
