/*
 * reply_compiler.c: a verdict through a door's encoder, taken apart again, and the notes about what the encoder had to change.
 */
#include "common/door/reply_compiler.h"

#include <string.h>

#include "common/base/limits.h"
#include "common/door/policy.h"
#include "common/door/reply_internal.h"
#include "common/door/socketmap.h"
#include "common/smtp/capability.h"

static const struct {
  const char *name;
  ReplyNoteWeight weight;
  const char *advice;
} note_infos[REPLY_NOTE_COUNT] = {
#define REPLY_NOTE(symbol, name, weight, advice) {#name, REPLY_NOTE_##weight, advice},
#include "common/door/reply_note.def"
#undef REPLY_NOTE
};

const char *reply_note_name(ReplyNoteKind kind) {
  return note_infos[kind].name;
}

ReplyNoteWeight reply_note_weight(ReplyNoteKind kind) {
  return note_infos[kind].weight;
}

const char *reply_note_advice(ReplyNoteKind kind) {
  return note_infos[kind].advice;
}

bool mta_asks(Mta mta, Door door, Phase phase) {
  if ((mta_doors(mta) & DOOR_BIT(door)) == 0 || !capability(door, phase)->seen) {
    return false;
  }
  /* Sendmail answers EXPN itself: for Postfix it is an unknown command. */
  return !(mta == MTA_SENDMAIL && door == DOOR_MILTER && phase == PHASE_EXPN);
}

void reply_note(ReplyWork *work, ReplyNoteKind kind, const char *format, ...) {
  CompiledReply *result = &work->result;
  for (size_t i = 0; i < result->note_count; i++) {
    if (result->notes[i].kind == kind) {
      return;
    }
  }
  va_list arguments;
  va_start(arguments, format);
  g_autofree char *text = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  result->notes[result->note_count++] = (ReplyNote){kind, slice_to_string(work->arena, slice_from(text))};
}

static void see(ReplyWork *work, SeenReply seen) {
  g_assert(work->result.seen_count < SEEN_REPLIES_MAX);
  work->result.seen[work->result.seen_count++] = seen;
}

void reply_see(ReplyWork *work, Phase phase, const ReplyParts *parts, bool closes) {
  g_autoptr(GString) bytes = g_string_new(NULL);
  for (size_t i = 0; i < parts->count; i++) {
    g_string_append_printf(bytes, "%s%c%s%s%s\r\n", parts->code, i + 1 < parts->count ? '-' : ' ', parts->enhanced,
                           parts->enhanced[0] ? " " : "", parts->lines[i]);
  }
  see(work, (SeenReply){phase, slice_to_string(work->arena, slice_make(bytes->str, bytes->len)), closes, true});
}

void reply_see_server(ReplyWork *work, Phase phase, const char *line, bool closes) {
  see(work, (SeenReply){phase, arena_printf(work->arena, "%s\r\n", line), closes, false});
}

/* What the encoders change */

typedef struct TextFaults {
  bool controls, beyond_ascii, not_utf8, percent, marks, any;
  size_t longest; /* bytes of the longest line as libmilter counts them, '%' twice */
  size_t joined;  /* bytes of all lines with a blank between */
} TextFaults;

static TextFaults text_faults(const Reply *reply) {
  TextFaults faults = {0};
  for (size_t i = 0; i < reply->line_count; i++) {
    Slice line = reply->lines[i];
    size_t length = line.length;
    for (size_t k = 0; k < line.length; k++) {
      unsigned char byte = (unsigned char)line.data[k];
      faults.controls |= byte < 0x20 || byte == 0x7f;
      faults.beyond_ascii |= byte >= 0x80;
      faults.percent |= byte == '%';
      faults.marks |= byte == '"' || byte == '\\';
      faults.any |= byte > 0x20;
      length += byte == '%';
    }
    faults.not_utf8 |= !g_utf8_validate_len(line.data ? line.data : "", line.length, NULL);
    faults.longest = MAX(faults.longest, length);
    faults.joined += line.length + (i > 0);
  }
  return faults;
}

static void note_code(ReplyWork *work) {
  const Reply *reply = &work->verdict->reply;
  g_autofree char *code = g_strdup_printf("%u", reply->code);
  if (strcmp(code, work->parts.code) != 0 && work->door == DOOR_SOCKETMAP && reply->code == 521) {
    reply_note(work, REPLY_NOTE_CODE_CHANGED, "521 becomes 421: Sendmail closes the connection at no other code");
  } else if (strcmp(code, work->parts.code) != 0) {
    reply_note(work, REPLY_NOTE_CODE_CHANGED, "%s does not fit %s: %s is said", code, outcome_name(work->verdict->outcome),
               work->parts.code);
  }
  if (reply->enhanced.class_digit == 0 && work->parts.enhanced[0]) {
    reply_note(work, REPLY_NOTE_ENHANCED_ADDED, "the reply has no enhanced code: %s is said", work->parts.enhanced);
  } else if (reply->enhanced.class_digit != 0) {
    Slice enhanced = enhanced_format(work->arena, reply->enhanced);
    if (!slice_equal(enhanced, slice_from(work->parts.enhanced))) {
      reply_note(work, REPLY_NOTE_ENHANCED_CHANGED, "the class of %.*s does not fit %s: %s is said", SLICE_ARGS(enhanced), work->parts.code,
                 work->parts.enhanced);
    }
  }
}

/* Through libmilter: printable ASCII, each '%' twice, lines of LIMIT_REPLY_TEXT bytes. */
static void note_milter_text(ReplyWork *work) {
  TextFaults faults = text_faults(&work->verdict->reply);
  if (!faults.any) {
    reply_note(work, REPLY_NOTE_EMPTY_TEXT, "the text is empty: the default one is said");
    return;
  }
  if (work->parts.count < work->verdict->reply.line_count) {
    reply_note(work, REPLY_NOTE_LINES_CUT, "of %zu lines %zu %s said", work->verdict->reply.line_count, work->parts.count,
               work->parts.count == 1 ? "is" : "are");
  }
  if (faults.longest > LIMIT_REPLY_TEXT) {
    reply_note(work, REPLY_NOTE_TEXT_CUT, "the text is cut at %d bytes", LIMIT_REPLY_TEXT);
  }
  if (faults.beyond_ascii) {
    reply_note(work, REPLY_NOTE_NOT_ASCII, "bytes that are no ASCII become \"?\"");
  }
  if (faults.controls) {
    reply_note(work, REPLY_NOTE_CONTROLS, "control characters become \"?\"");
  }
  if (faults.percent) {
    reply_note(work, REPLY_NOTE_PERCENT, "the %% sign is doubled for libmilter: the client sees one");
  }
}

/* One line: UTF-8 for Postfix, ASCII in a quoted token for Sendmail. */
static void note_line_text(ReplyWork *work) {
  bool is_token = work->door == DOOR_SOCKETMAP;
  size_t limit = is_token ? LIMIT_SOCKETMAP_TEXT : LIMIT_POLICY_TEXT;
  TextFaults faults = text_faults(&work->verdict->reply);
  if (!faults.any) {
    reply_note(work, REPLY_NOTE_EMPTY_TEXT, "the text is empty: the default one is said");
    return;
  }
  if (work->verdict->reply.line_count > 1) {
    reply_note(work, REPLY_NOTE_LINES_JOINED, "%zu lines become one", work->verdict->reply.line_count);
  }
  if (faults.joined > limit) {
    reply_note(work, REPLY_NOTE_TEXT_CUT, "the text is cut at %zu bytes", limit);
  }
  if (is_token ? faults.beyond_ascii : faults.not_utf8) {
    reply_note(work, REPLY_NOTE_NOT_ASCII, "bytes that are no %s become \"?\"", is_token ? "ASCII" : "UTF-8");
  }
  if (faults.controls) {
    reply_note(work, REPLY_NOTE_CONTROLS, "control characters become blanks%s", is_token ? " or \"?\"" : "");
  }
  if (is_token && faults.marks) {
    reply_note(work, REPLY_NOTE_MARKS, "double quotes become single ones, backslashes slashes");
  }
  if (is_token && faults.percent) {
    reply_note(work, REPLY_NOTE_PERCENT, "the %% sign is doubled for Sendmail's maps: the client sees one");
  }
}

/* What the encoders say */

/* libmilter and Sendmail's maps take %% for %. */
static char *undouble(Arena *arena, Slice text) {
  char *line = slice_to_string(arena, text);
  char *end = line;
  for (const char *byte = line; *byte; byte++) {
    *end++ = *byte;
    byte += byte[0] == '%' && byte[1] == '%';
  }
  *end = '\0';
  return line;
}

/* libmilter gives lines without an enhanced code N.0.0 when there are several. */
static void take_milter_reply(ReplyWork *work) {
  MilterResult result = milter_encode(work->arena, work->verdict, work->verdict->phase);
  ReplyParts *parts = &work->parts;
  while (result.lines[parts->count]) {
    parts->count++;
  }
  parts->lines = ARENA_NEW_ARRAY(work->arena, const char *, parts->count);
  for (size_t i = 0; i < parts->count; i++) {
    parts->lines[i] = undouble(work->arena, slice_from(result.lines[i]));
  }
  memcpy(parts->code, result.code, sizeof parts->code);
  memcpy(parts->enhanced, result.enhanced, sizeof parts->enhanced);
  if (parts->count > 1 && !parts->enhanced[0]) {
    (void)g_snprintf(parts->enhanced, sizeof parts->enhanced, "%c.0.0", parts->code[0]);
  }
  note_code(work);
  note_milter_text(work);
}

/* NNN x.y.z text */
static void take_line(ReplyWork *work, Slice action) {
  Slice rest;
  bool more;
  Slice code = slice_split(action, ' ', &rest, &more);
  Slice enhanced = slice_split(rest, ' ', &rest, &more);
  ReplyParts *parts = &work->parts;
  (void)g_snprintf(parts->code, sizeof parts->code, "%.*s", SLICE_ARGS(code));
  (void)g_snprintf(parts->enhanced, sizeof parts->enhanced, "%.*s", SLICE_ARGS(enhanced));
  parts->lines = ARENA_NEW_ARRAY(work->arena, const char *, 1);
  parts->lines[0] = slice_to_string(work->arena, rest);
  parts->count = 1;
  note_code(work);
  note_line_text(work);
}

/* OK refuse "NNN x.y.z text", OK defer "..." */
static void take_token(ReplyWork *work) {
  Slice text = socketmap_encode(work->arena, work->verdict, work->phase, false);
  const char *start = memchr(text.data, '"', text.length);
  g_assert(start && text.length >= 2);
  Slice inner = slice_make(start + 1, (size_t)(text.data + text.length - start) - 2);
  take_line(work, slice_from(undouble(work->arena, inner)));
}

/* Where it is said */

static bool is_early(Phase phase) {
  return phase == PHASE_CONNECT || phase == PHASE_HELO;
}

static Phase said_at(const ReplyWork *work, Phase asked) {
  const ReplyContext *context = work->context;
  if (work->door == DOOR_POLICY) {
    return context->smtpd_delays && (is_early(asked) || asked == PHASE_MAIL) ? PHASE_RCPT : asked;
  }
  if (work->door != DOOR_MILTER || work->verdict->outcome == OUTCOME_DISCONNECT || !is_early(asked)) {
    return asked;
  }
  switch (context->delay_reject) {
    case DELAY_REJECT_NO:
      return asked;
    case DELAY_REJECT_MAIL:
      return PHASE_MAIL;
    case DELAY_REJECT_RCPT:
      return PHASE_RCPT;
  }
  g_assert_not_reached();
}

static void compile_for(ReplyWork *work) {
  switch (work->door) {
    case DOOR_POLICY:
      take_line(work, policy_encode(work->arena, work->verdict, NULL, false));
      reply_model_policy(work);
      return;
    case DOOR_MILTER:
      take_milter_reply(work);
      if (work->mta == MTA_POSTFIX) {
        reply_model_postfix_milter(work);
      } else {
        reply_model_sendmail_milter(work);
      }
      return;
    case DOOR_SOCKETMAP:
      take_token(work);
      reply_model_socketmap(work);
      return;
    case DOOR_COUNT:
      break;
  }
}

CompiledReply reply_compile(Arena *arena, const Verdict *verdict, Door door, Mta mta, Phase asked, const ReplyContext *context) {
  g_assert(verdict_refuses(verdict));
  ReplyWork work = {.arena = arena, .verdict = verdict, .context = context, .mta = mta, .door = door};
  if (!mta_asks(mta, door, asked)) {
    reply_note(&work, REPLY_NOTE_NOT_ASKED, "%s never asks the %s door about %s", mta_title(mta), door_name(door), phase_command(asked));
    return work.result;
  }
  work.phase = said_at(&work, asked);
  if (work.phase != verdict->phase) {
    reply_note(&work, REPLY_NOTE_LATER, "what %s refuses is said at %s", phase_name(verdict->phase), phase_command(work.phase));
  }
  compile_for(&work);
  return work.result;
}
