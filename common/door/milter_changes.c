/*
 * milter_changes.c: effects -> calls of the milter protocol. See the header.
 */
#include "common/door/milter_changes.h"

#include "common/base/limits.h"
#include "common/base/mailaddress.h"
#include "common/door/milter_session.h"
#include "common/rules/action_header.h"

/* What one of the client's headers becomes; index 0: the name has none, this is the first. */
typedef struct HeaderEdit {
  Slice name;
  int index;
  const Effect *effect; /* the last that spoke of it */
  bool deleted;
} HeaderEdit;

typedef struct Mailbox {
  const char *text; /* as the MTA is to be told */
  MailAddress address;
  const Effect *effect;  /* that added or deleted it */
  bool is_ours, is_gone; /* ours: the client did not name it */
} Mailbox;

typedef struct Changer {
  Arena *arena;
  const MilterMessage *message;
  GArray *edits;     /* of HeaderEdit */
  GArray *mailboxes; /* of Mailbox */
  bool knows_recipients;
  GArray *changes; /* of MilterChange */
} Changer;

static void add_change(Changer *changer, MilterChangeKind kind, const Effect *effect, const char *name, const char *value, int index) {
  MilterChange change = {.kind = kind, .rule = effect->rule, .effect = effect->kind, .name = name, .value = value, .index = index};
  g_array_append_val(changer->changes, change);
}

/* Headers */

static int count_of(const MilterMessage *message, Slice name) {
  for (size_t i = 0; i < message->header_count; i++) {
    if (slice_equal_fold(message->headers[i].name, name)) {
      return message->headers[i].count;
    }
  }
  return 0;
}

/* A word about all headers of a name takes back what was said of single ones. */
static void forget_edits(Changer *changer, Slice name) {
  guint kept = 0;
  for (guint i = 0; i < changer->edits->len; i++) {
    HeaderEdit edit = g_array_index(changer->edits, HeaderEdit, i);
    if (!slice_equal_fold(edit.name, name)) {
      g_array_index(changer->edits, HeaderEdit, kept++) = edit;
    }
  }
  g_array_set_size(changer->edits, kept);
}

static void edit_header(Changer *changer, const Effect *effect, int index, bool deleted) {
  HeaderEdit edit = {effect->as.header.name, index, effect, deleted};
  for (guint i = 0; i < changer->edits->len; i++) {
    HeaderEdit *known = &g_array_index(changer->edits, HeaderEdit, i);
    if (known->index == index && slice_equal_fold(known->name, edit.name)) {
      *known = edit;
      return;
    }
  }
  g_array_append_val(changer->edits, edit);
}

static void take_header(Changer *changer, const Effect *effect) {
  bool deletes = effect->kind == EFFECT_DELETE_HEADER;
  int count = count_of(changer->message, effect->as.header.name);
  int nth = effect->as.header.nth;
  if (nth != HEADER_ALL) {
    int index = nth == HEADER_LAST ? count : nth;
    if (index >= 1 && index <= count) {
      edit_header(changer, effect, index, deletes);
    }
    return;
  }
  forget_edits(changer, effect->as.header.name);
  for (int index = count == 0 && !deletes ? 0 : 1; index <= count; index++) {
    HeaderEdit edit = {effect->as.header.name, index, effect, deletes || index > 1};
    g_array_append_val(changer->edits, edit);
  }
}

/* The later in the message first; what is added last. */
static gint compare_edits(gconstpointer first, gconstpointer second) {
  const HeaderEdit *a = first, *b = second;
  return (a->index < b->index) - (a->index > b->index);
}

static void say_edits(Changer *changer) {
  g_array_sort(changer->edits, compare_edits);
  for (guint i = 0; i < changer->edits->len; i++) {
    const HeaderEdit *edit = &g_array_index(changer->edits, HeaderEdit, i);
    const char *name = milter_effect_text(changer->arena, edit->name);
    const char *value = edit->deleted ? NULL : milter_effect_text(changer->arena, edit->effect->as.header.value);
    add_change(changer, edit->index == 0 ? MILTER_ADD_HEADER : MILTER_CHANGE_HEADER, edit->effect, name, value, edit->index);
  }
}

static void say_new_header(Changer *changer, const Effect *effect) {
  add_change(changer, effect->kind == EFFECT_PREPEND_HEADER ? MILTER_INSERT_HEADER : MILTER_ADD_HEADER, effect,
             milter_effect_text(changer->arena, effect->as.header.name), milter_effect_text(changer->arena, effect->as.header.value), 0);
}

/* Recipients */

static void know_recipients(Changer *changer) {
  if (changer->knows_recipients) {
    return;
  }
  changer->knows_recipients = true;
  for (size_t i = 0; i < changer->message->recipient_count; i++) {
    Mailbox mailbox = {.text = changer->message->recipients[i]};
    if (mail_address_parse(changer->arena, slice_from(mailbox.text), &mailbox.address)) {
      g_array_append_val(changer->mailboxes, mailbox);
    }
  }
}

static void remove_mailbox(Changer *changer, const Effect *effect, const MailAddress *address) {
  for (guint i = 0; i < changer->mailboxes->len; i++) {
    Mailbox *mailbox = &g_array_index(changer->mailboxes, Mailbox, i);
    if (address == NULL || mail_address_equal(&mailbox->address, address)) {
      mailbox->is_gone = true;
      mailbox->effect = effect;
    }
  }
}

static const char *bracketed(Arena *arena, Slice address) {
  return arena_printf(arena, "<%.*s>", SLICE_ARGS(address));
}

static void add_mailbox(Changer *changer, const Effect *effect, const MailAddress *address) {
  for (guint i = 0; i < changer->mailboxes->len; i++) {
    Mailbox *mailbox = &g_array_index(changer->mailboxes, Mailbox, i);
    if (mail_address_equal(&mailbox->address, address)) {
      mailbox->is_gone = false;
      return;
    }
  }
  Mailbox mailbox = {.text = bracketed(changer->arena, address->text), .address = *address, .effect = effect, .is_ours = true};
  g_array_append_val(changer->mailboxes, mailbox);
}

static void take_recipient(Changer *changer, const Effect *effect) {
  MailAddress address;
  know_recipients(changer);
  if (!mail_address_parse(changer->arena, effect->as.address, &address)) {
    return; /* the action took it for one: cannot be */
  }
  if (effect->kind == EFFECT_REMOVE_RECIPIENT) {
    remove_mailbox(changer, effect, &address);
    return;
  }
  if (effect->kind == EFFECT_REDIRECT_MESSAGE) {
    remove_mailbox(changer, effect, NULL);
  }
  add_mailbox(changer, effect, &address);
}

static void say_recipients(Changer *changer) {
  for (int ours = 0; ours <= 1; ours++) {
    for (guint i = 0; i < changer->mailboxes->len; i++) {
      const Mailbox *mailbox = &g_array_index(changer->mailboxes, Mailbox, i);
      if (mailbox->is_ours == (ours == 1) && mailbox->is_gone == (ours == 0)) {
        add_change(changer, ours ? MILTER_ADD_RECIPIENT : MILTER_DELETE_RECIPIENT, mailbox->effect, NULL, mailbox->text, 0);
      }
    }
  }
}

/* All together */

/* What changes what the client said: taken first, said when all of it is known. */
static void take_effect(Changer *changer, const Effect *effect) {
  switch (effect->kind) {
    case EFFECT_REPLACE_HEADER:
    case EFFECT_DELETE_HEADER:
      take_header(changer, effect);
      return;
    case EFFECT_ADD_RECIPIENT:
    case EFFECT_REMOVE_RECIPIENT:
    case EFFECT_REDIRECT_MESSAGE:
    case EFFECT_BCC_MESSAGE:
      take_recipient(changer, effect);
      return;
    case EFFECT_PREPEND_HEADER:
    case EFFECT_APPEND_HEADER:
    case EFFECT_CHANGE_SENDER:
    case EFFECT_QUARANTINE_MESSAGE:
    case EFFECT_FILTER_MESSAGE: /* capability.def: only Postfix's policy protocol has it */
    case EFFECT_LOG:
    case EFFECT_DELAY:
    case EFFECT_OBSERVED:
    case EFFECT_UNDONE:
      return;
  }
  g_assert_not_reached();
}

static void say_effect(Changer *changer, const Effect *effect) {
  switch (effect->kind) {
    case EFFECT_PREPEND_HEADER:
    case EFFECT_APPEND_HEADER:
      say_new_header(changer, effect);
      return;
    case EFFECT_CHANGE_SENDER:
      add_change(changer, MILTER_CHANGE_SENDER, effect, NULL, bracketed(changer->arena, effect->as.address), 0);
      return;
    case EFFECT_QUARANTINE_MESSAGE:
      add_change(changer, MILTER_QUARANTINE, effect, NULL, milter_effect_text(changer->arena, effect->as.why), 0);
      return;
    case EFFECT_REPLACE_HEADER:
    case EFFECT_DELETE_HEADER:
    case EFFECT_ADD_RECIPIENT:
    case EFFECT_REMOVE_RECIPIENT:
    case EFFECT_REDIRECT_MESSAGE:
    case EFFECT_BCC_MESSAGE:
    case EFFECT_FILTER_MESSAGE:
    case EFFECT_LOG:
    case EFFECT_DELAY:
    case EFFECT_OBSERVED:
    case EFFECT_UNDONE:
      return;
  }
  g_assert_not_reached();
}

static const MilterChange *take_changes(Changer *changer, size_t *count) {
  *count = changer->changes->len;
  MilterChange *changes = ARENA_NEW_ARRAY(changer->arena, MilterChange, *count);
  for (size_t i = 0; i < *count; i++) {
    changes[i] = g_array_index(changer->changes, MilterChange, i);
  }
  return changes;
}

const MilterChange *milter_changes(Arena *arena, const Effect *effects, size_t effect_count, const MilterMessage *message, size_t *count) {
  *count = 0;
  if (effect_count == 0) {
    return NULL;
  }
  g_autoptr(GArray) edits = g_array_new(FALSE, FALSE, sizeof(HeaderEdit));
  g_autoptr(GArray) mailboxes = g_array_new(FALSE, FALSE, sizeof(Mailbox));
  g_autoptr(GArray) all = g_array_new(FALSE, FALSE, sizeof(MilterChange));
  Changer changer = {.arena = arena, .message = message, .edits = edits, .mailboxes = mailboxes, .changes = all};
  for (size_t i = 0; i < effect_count; i++) {
    take_effect(&changer, &effects[i]);
  }
  say_edits(&changer);
  say_recipients(&changer);
  for (size_t i = 0; i < effect_count; i++) {
    say_effect(&changer, &effects[i]);
  }
  return take_changes(&changer, count);
}

/* What a ruleset may do */

EffectSet milter_effects(const Ruleset *ruleset, PhaseSet phases) {
  EffectSet effects = 0;
  for (Phase phase = 0; phase < PHASE_COUNT; phase++) {
    if ((phases & PHASE_BIT(phase)) != 0) {
      effects |= ruleset->phases[phase].effects;
    }
  }
  return effects;
}

static bool is_known(const GArray *names, Slice name) {
  for (guint i = 0; i < names->len; i++) {
    if (slice_equal_fold(g_array_index(names, HeaderCount, i).name, name)) {
      return true;
    }
  }
  return false;
}

static void note_names(const PhaseProgram *program, GArray *names) {
  for (size_t i = 0; i < program->count; i++) {
    const Statement *statement = &program->statements[i];
    if (statement->kind != STATEMENT_RULE || statement->rule->observe ||
        !(statement->rule->action == &action_replace_header || statement->rule->action == &action_delete_header)) {
      continue;
    }
    const HeaderPlan *plan = statement->plan;
    if (!is_known(names, plan->name)) {
      HeaderCount name = {plan->name, 0};
      g_array_append_val(names, name);
    }
  }
}

HeaderCount *milter_changed_headers(Arena *arena, const Ruleset *ruleset, PhaseSet phases, size_t *count) {
  g_autoptr(GArray) names = g_array_new(FALSE, FALSE, sizeof(HeaderCount));
  for (Phase phase = 0; phase < PHASE_COUNT; phase++) {
    const PhaseProgram *program = &ruleset->phases[phase];
    if ((phases & PHASE_BIT(phase)) != 0 && (program->effects & (EFFECT_BIT(EFFECT_REPLACE_HEADER) | EFFECT_BIT(EFFECT_DELETE_HEADER)))) {
      note_names(program, names);
    }
  }
  *count = names->len;
  HeaderCount *counts = ARENA_NEW_ARRAY(arena, HeaderCount, names->len);
  for (guint i = 0; i < names->len; i++) {
    counts[i] = g_array_index(names, HeaderCount, i);
  }
  return counts;
}

void milter_count_header(HeaderCount *headers, size_t count, Slice name) {
  for (size_t i = 0; i < count; i++) {
    headers[i].count += slice_equal_fold(headers[i].name, name);
  }
}

/* Keeping effects until the end of the message */

static bool names_mailbox(EffectKind kind) {
  return kind == EFFECT_ADD_RECIPIENT || kind == EFFECT_REMOVE_RECIPIENT || kind == EFFECT_BCC_MESSAGE;
}

static bool is_kept(const GArray *kept, const Effect *effect) {
  for (guint i = 0; i < kept->len; i++) {
    const Effect *known = &g_array_index(kept, Effect, i);
    if (known->kind == effect->kind && slice_equal(known->rule, effect->rule) &&
        (!names_mailbox(effect->kind) || slice_equal(known->as.address, effect->as.address))) {
      return true;
    }
  }
  return false;
}

bool milter_keep_effects(GArray *kept, Arena *arena, const Verdict *verdict) {
  Verdict copy = {0};
  for (size_t i = 0; i < verdict->effect_count; i++) {
    const Effect *effect = &verdict->effects[i];
    if (!effect_is_whole_message(effect->kind) || is_kept(kept, effect)) {
      continue;
    }
    if (kept->len == LIMIT_MESSAGE_EFFECTS) {
      return false;
    }
    if (copy.effects == NULL) {
      copy = verdict_copy(arena, verdict);
    }
    g_array_append_val(kept, copy.effects[i]);
  }
  return true;
}
