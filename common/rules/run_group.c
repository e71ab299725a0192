/*
 * run_group.c: whether the recipient at hand belongs to the group of its message (run.h).
 *
 * Which value a message has is known once a recipient was accepted, so a run only notes what it would be: evaluation_commit hands the note
 * to the variables, and the door's answer to the recipient settles it.
 */
#include "common/rules/evaluation.h"

/* 0 is unset; all else is a set value. */
static uint64_t hash_of(Run *run, const Value *value) {
  if (value->state != VALUE_SET)
    return 0;
  Slice text = value_format(run->arena, value);
  uint64_t hash = value->type == TYPE_ADDRESS ? slice_hash_fold(text) : slice_hash(text);
  return hash != 0 ? hash : 1;
}

static GroupNote *note_of(Run *run) {
  if (run->group_note == NULL)
    run->group_note = ARENA_NEW(run->arena, GroupNote);
  return run->group_note;
}

GroupAnswer run_group(Run *run, uint32_t group, const Value *value) {
  const RecipientGroups *known = variables_groups(run->evaluation->variables);
  uint64_t hash = hash_of(run, value);
  GroupNote *note = note_of(run);
  note->proposes[group] = true;
  note->values[group] = hash;
  if (!known->has_first[group] || known->first[group] == hash)
    return GROUP_SAME;
  note->recipient = hash_of(run, session_get(run->evaluation->session, FACT_RECIPIENT));
  return recipient_groups_was_told(known, note->recipient) ? GROUP_CAME_AGAIN : GROUP_DIFFERS;
}

void run_end_group(Run *run, const Rule *rule, const Verdict *verdict) {
  note_of(run)->tells = !rule->observe;
  run_end(run, rule, verdict);
}
