/*
 * reply_lint.c: warnings about replies, from the reply compiler. See the header.
 *
 * A rule's texts are templates: what stands in them as text is compiled, so what is told holds whatever the rest becomes.
 */
#include "common/door/reply_lint.h"

#include "common/door/reply_compiler.h"
#include "common/rules/check.h"
#include "common/smtp/capability.h"

extern const Action action_tempfail, action_reject, action_disconnect;

enum { ENHANCED_ARGUMENT = 1, TEXT_ARGUMENT = 2 }; /* of all three */

typedef struct ReplyLint {
  const RulesetOptions *options;
  Diagnostics *diagnostics;
  Arena *arena;
} ReplyLint;

/* With both doors on the milter owns what comes with the message. */
static bool door_answers(DoorSet doors, Door door, Phase phase) {
  if ((doors & DOOR_BIT(door)) == 0 || !capability(door, phase)->seen) {
    return false;
  }
  return !(door == DOOR_POLICY && (doors & DOOR_BIT(DOOR_MILTER)) && (PHASES_SINCE_DATA & PHASE_BIT(phase)));
}

/* A service that is asked through the policy door has Postfix, one with socket maps has Sendmail; with both or neither nobody knows. */
static bool mta_is_likely(DoorSet doors, Mta mta) {
  bool policy = doors & DOOR_BIT(DOOR_POLICY), socketmap = doors & DOOR_BIT(DOOR_SOCKETMAP);
  return policy == socketmap || mta == (policy ? MTA_POSTFIX : MTA_SENDMAIL);
}

static Slice sample_text(Arena *arena, const Expression *line) {
  if (line->kind == EXPRESSION_LITERAL) {
    return line->as.literal.as.text;
  }
  g_autoptr(GString) text = g_string_new(NULL);
  for (size_t i = 0; line->kind == EXPRESSION_TEMPLATE && i < line->as.parts.count; i++) {
    const Expression *part = line->as.parts.items[i];
    if (part->kind == EXPRESSION_LITERAL && part->as.literal.type == TYPE_STRING) {
      g_string_append_len(text, part->as.literal.as.text.data, (gssize)part->as.literal.as.text.length);
    }
  }
  return slice_copy(arena, text->len > 0 ? slice_make(text->str, text->len) : SLICE_LITERAL("x"));
}

static Verdict sample_verdict(Arena *arena, const ReplyPlan *plan, Outcome outcome, Phase phase) {
  Verdict verdict = {.outcome = outcome, .phase = phase, .reply = {.code = plan->code, .enhanced = plan->enhanced}};
  size_t count = MAX(plan->line_count, 1);
  Slice *lines = ARENA_NEW_ARRAY(arena, Slice, count);
  lines[0] = SLICE_LITERAL("x");
  for (size_t i = 0; i < plan->line_count; i++) {
    lines[i] = sample_text(arena, plan->lines[i]);
  }
  verdict.reply.lines = lines;
  verdict.reply.line_count = count;
  return verdict;
}

/* The part of the rule that a note is about. */
static SourceSpan place_of(const StatementNode *node, ReplyNoteKind kind) {
  const ArgumentNode *argument = NULL;
  switch (kind) {
    case REPLY_NOTE_LINES_JOINED:
      argument = action_argument(node->action, TEXT_ARGUMENT, 1);
      break;
    case REPLY_NOTE_TEXT_LOST:
    case REPLY_NOTE_LINES_CUT:
    case REPLY_NOTE_TEXT_CUT:
    case REPLY_NOTE_NOT_ASCII:
    case REPLY_NOTE_CONTROLS:
    case REPLY_NOTE_MARKS:
    case REPLY_NOTE_EMPTY_TEXT:
    case REPLY_NOTE_PERCENT:
    case REPLY_NOTE_PREFIX:
      argument = action_argument(node->action, TEXT_ARGUMENT, 0);
      break;
    case REPLY_NOTE_ENHANCED_CHANGED:
    case REPLY_NOTE_ENHANCED_ADDED:
      argument = action_argument(node->action, ENHANCED_ARGUMENT, 0);
      break;
    case REPLY_NOTE_NOT_ASKED:
    case REPLY_NOTE_CODE_CHANGED:
    case REPLY_NOTE_NOT_CLOSED:
    case REPLY_NOTE_TRANSACTION_OPEN:
    case REPLY_NOTE_END_OPEN:
    case REPLY_NOTE_GOES_ON:
    case REPLY_NOTE_GREETING:
    case REPLY_NOTE_LATER:
    case REPLY_NOTE_REPEATED:
    case REPLY_NOTE_COUNT:
      break;
  }
  return argument ? argument->span : node->action->span;
}

/* What the author did not write is not told of. */
static bool is_written(const StatementNode *node, ReplyNoteKind kind) {
  bool has_text = action_argument(node->action, TEXT_ARGUMENT, 0) != NULL;
  bool has_enhanced = action_argument(node->action, ENHANCED_ARGUMENT, 0) != NULL;
  return kind == REPLY_NOTE_TEXT_LOST ? has_text : kind == REPLY_NOTE_ENHANCED_CHANGED ? has_enhanced : true;
}

/* One sentence of several: who said it. */
typedef struct Saying {
  ReplyNote note;
  GString *doors; /* "policy door of Postfix, milter door of Postfix and Sendmail" */
  Door last;
} Saying;

static void add_saying(GArray *sayings, const ReplyNote *note, Door door, Mta mta) {
  for (guint i = 0; i < sayings->len; i++) {
    Saying *saying = &g_array_index(sayings, Saying, i);
    if (saying->note.kind == note->kind && g_strcmp0(saying->note.sentence, note->sentence) == 0) {
      if (saying->last == door) {
        g_string_append_printf(saying->doors, " and %s", mta_title(mta));
      } else {
        g_string_append_printf(saying->doors, ", %s door of %s", door_name(door), mta_title(mta));
      }
      saying->last = door;
      return;
    }
  }
  Saying saying = {*note, g_string_new(NULL), door};
  g_string_append_printf(saying.doors, "%s door of %s", door_name(door), mta_title(mta));
  g_array_append_val(sayings, saying);
}

static bool has_note(const CompiledReply *compiled, ReplyNoteKind kind) {
  for (size_t i = 0; i < compiled->note_count; i++) {
    if (compiled->notes[i].kind == kind) {
      return true;
    }
  }
  return false;
}

static bool is_told(const ReplyLint *lint, const StatementNode *node, const CompiledReply *compiled, ReplyNoteKind kind) {
  ReplyNoteWeight weight = reply_note_weight(kind);
  if (weight == REPLY_NOTE_DETAIL || (weight == REPLY_NOTE_PEDANTIC && !lint->options->pedantic)) {
    return false;
  }
  /* Of a text that is lost nothing else matters. */
  return is_written(node, kind) && (kind == REPLY_NOTE_TEXT_LOST || !has_note(compiled, REPLY_NOTE_TEXT_LOST));
}

static void lint_reply(ReplyLint *lint, const StatementNode *node, const Verdict *verdict) {
  static const ReplyContext context = {.server_name = "localhost", .delay_reject = DELAY_REJECT_RCPT, .smtpd_delays = true};
  g_autoptr(GArray) sayings = g_array_new(FALSE, FALSE, sizeof(Saying));
  DoorSet doors = lint->options->enabled_doors;
  for (int door = 0; door < DOOR_COUNT; door++) {
    for (int mta = 0; mta < MTA_COUNT; mta++) {
      if (!door_answers(doors, (Door)door, verdict->phase) || !mta_is_likely(doors, (Mta)mta) ||
          !mta_asks((Mta)mta, (Door)door, verdict->phase)) {
        continue;
      }
      CompiledReply compiled = reply_compile(lint->arena, verdict, (Door)door, (Mta)mta, verdict->phase, &context);
      for (size_t i = 0; i < compiled.note_count; i++) {
        if (is_told(lint, node, &compiled, compiled.notes[i].kind)) {
          add_saying(sayings, &compiled.notes[i], (Door)door, (Mta)mta);
        }
      }
    }
  }
  for (guint i = 0; i < sayings->len; i++) {
    Saying *saying = &g_array_index(sayings, Saying, i);
    Diagnostic *told =
        diagnostics_warning(lint->diagnostics, place_of(node, saying->note.kind), "%s (%s)", saying->note.sentence, saying->doors->str);
    diagnostic_expected(lint->diagnostics, told, "%s", reply_note_advice(saying->note.kind));
    (void)g_string_free(saying->doors, TRUE);
  }
}

static bool outcome_of(const Action *action, Outcome *outcome) {
  *outcome = action == &action_tempfail ? OUTCOME_TEMPFAIL : action == &action_reject ? OUTCOME_REJECT : OUTCOME_DISCONNECT;
  return action == &action_tempfail || action == &action_reject || action == &action_disconnect;
}

void reply_lint(const Program *program, const RulesetOptions *options, Diagnostics *diagnostics) {
  ReplyLint lint = {.options = options, .diagnostics = diagnostics};
  for (int phase = 0; phase < PHASE_COUNT; phase++) {
    const PhaseProgram *rules = &program->phases[phase];
    for (size_t i = 0; i < rules->count; i++) {
      const Statement *statement = &rules->statements[i];
      Outcome outcome;
      if (statement->kind != STATEMENT_RULE || statement->rule->observe || !outcome_of(statement->rule->action, &outcome)) {
        continue;
      }
      lint.arena = arena_new(0);
      Verdict verdict = sample_verdict(lint.arena, statement->plan, outcome, (Phase)phase);
      lint_reply(&lint, program_rule_node(program, statement->rule), &verdict);
      arena_free(lint.arena);
    }
  }
}
