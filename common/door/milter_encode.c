/*
 * milter_encode.c: verdict -> what a milter callback returns and says.
 *
 * What libmilter and the MTAs do to a reply that they do not like was measured: a code that does not fit the action and a single '%' lose
 * the whole reply, an enhanced code of another class makes Postfix drop the filter, bytes beyond ASCII and controls are garbled, a 421 of
 * several lines is no 421 at Sendmail's connect, and Sendmail's process hangs on a reply of some 16 KiB. So: class, enhanced class and
 * action agree, '%' is doubled, printable ASCII only, never empty, 421 in one line at connect, LIMIT_REPLY_BYTES in all.
 */
#include <string.h>

#include "common/base/limits.h"
#include "common/door/milter_session.h"
#include "common/rules/check.h"

/* One line as smfi_setmlreply takes it. */
static const char *clean_line(Arena *arena, Slice text) {
  char *line = arena_alloc_text(arena, LIMIT_REPLY_TEXT + 1);
  size_t length = 0;
  for (size_t i = 0; i < text.length; i++) {
    char byte = text.data[i];
    size_t width = byte == '%' ? 2 : 1;
    if (length + width > LIMIT_REPLY_TEXT) {
      break;
    }
    line[length++] = byte >= 0x20 && byte <= 0x7e ? byte : '?';
    if (byte == '%') {
      line[length++] = byte;
    }
  }
  if (length == 0) {
    line[length++] = ' ';
  }
  line[length] = '\0';
  return line;
}

char *milter_effect_text(Arena *arena, Slice text) {
  size_t length = MIN(text.length, (size_t)LIMIT_HEADER_VALUE);
  char *clean = arena_alloc_text(arena, length + 2);
  for (size_t i = 0; i < length; i++) {
    clean[i] = text.data[i] >= 0x20 && text.data[i] <= 0x7e ? text.data[i] : '?';
  }
  if (length == 0) {
    clean[length++] = ' ';
  }
  clean[length] = '\0';
  return clean;
}

static bool has_text(const Reply *reply) {
  for (size_t i = 0; i < reply->line_count; i++) {
    if (!slice_is_empty(slice_trim(reply->lines[i]))) {
      return true;
    }
  }
  return false;
}

/* The lines that are said: cleaned, as many as fit. */
static const char *const *clean_lines(Arena *arena, const Reply *reply, Phase phase) {
  bool one_line = reply->code == 421 && phase == PHASE_CONNECT; /* whose text is lost anyhow */
  size_t count = one_line ? 1 : MIN(reply->line_count, (size_t)LIMIT_REPLY_LINES);
  const char **lines = ARENA_NEW_ARRAY(arena, const char *, count + 1);
  size_t total = 0;
  for (size_t i = 0; i < count; i++) {
    lines[i] = clean_line(arena, reply->lines[i]);
    total += strlen("550-5.7.1 \r\n") + strlen(lines[i]);
    if (total > LIMIT_REPLY_BYTES) {
      lines[i] = NULL;
      break;
    }
  }
  return lines;
}

static void encode_reply(Arena *arena, const Verdict *verdict, Phase phase, MilterResult *result) {
  Reply reply = verdict->reply;
  uint16_t code;
  EnhancedCode enhanced;
  Slice text;
  reply_default(verdict->outcome, phase, &code, &enhanced, &text);
  bool fits = verdict->outcome == OUTCOME_DISCONNECT ? reply.code == 421 || reply.code == 521
                                                     : reply.code / 100 == (verdict->outcome == OUTCOME_REJECT ? 5 : 4);
  if (!fits) {
    reply.code = code;
    reply.enhanced = enhanced;
  }
  if (reply.enhanced.class_digit != 0) {
    reply.enhanced.class_digit = (uint8_t)(reply.code / 100);
  }
  if (!has_text(&reply)) {
    reply.lines = &text;
    reply.line_count = 1;
  }
  result->action = reply.code / 100 == 5 ? MILTER_REJECT : MILTER_TEMPFAIL;
  result->has_reply = true;
  result->lines = clean_lines(arena, &reply, phase);
  g_snprintf(result->code, sizeof result->code, "%03u", reply.code % 1000u);
  if (reply.enhanced.class_digit != 0) {
    g_snprintf(result->enhanced, sizeof result->enhanced, "%u.%u.%u", reply.enhanced.class_digit % 10u, reply.enhanced.subject % 1000u,
               reply.enhanced.detail % 1000u);
  }
}

/* ACCEPT and DISCARD are for the whole message (at connect and helo: the session), and in an unknown command they crash Postfix's smtpd. */
static MilterAction accept_action(const Verdict *verdict, Phase phase) {
  switch (phase) {
    case PHASE_CONNECT:
    case PHASE_HELO:
    case PHASE_MAIL:
    case PHASE_DATA:
    case PHASE_EOM:
      return verdict->accept_scope == SCOPE_RECIPIENT ? MILTER_CONTINUE : MILTER_ACCEPT;
    case PHASE_RCPT:
    case PHASE_VRFY:
    case PHASE_EXPN:
    case PHASE_ETRN:
    case PHASE_UNKNOWN:
    case PHASE_COUNT:
      return MILTER_CONTINUE;
  }
  g_assert_not_reached();
}

MilterResult milter_encode(Arena *arena, const Verdict *verdict, Phase phase) {
  MilterResult result = {.action = MILTER_CONTINUE, .verdict = verdict};
  switch (verdict->outcome) {
    case OUTCOME_PASS:
      break;
    case OUTCOME_ACCEPT:
      result.action = accept_action(verdict, phase);
      break;
    case OUTCOME_TEMPFAIL:
    case OUTCOME_REJECT:
    case OUTCOME_DISCONNECT:
      encode_reply(arena, verdict, phase, &result);
      break;
    case OUTCOME_DISCARD:
      result.action = (PHASE_BIT(phase) & PHASES_MESSAGE) ? MILTER_DISCARD : MILTER_CONTINUE;
      break;
  }
  return result;
}
