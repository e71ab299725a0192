/*
 * questions.c: the look-ups of an evaluation: which may be asked now, which are out, which have answered.
 *
 * What may be asked when (DESIGN section 1):
 *   ahead     always, but at most LIMIT_ASKED_AHEAD are out at once
 *   reached   when the statement is the first that is not decided, and nothing to its left waits for anything but a stateful look-up
 *             (those are last of all, so that waiting for them would be waiting for each other)
 *   stateful  when the statement is the first that is not decided and the condition waits for nothing else; the leftmost, one at a time
 * What the caller's source of answers has (what the scheduler keeps) is taken where a look-up ahead would be wanted, so that one that is known costs no second run. A look-up of
 * another class may be wanted and then turn out not to be needed: it is not even looked for.
 * An answer that was used stays for the evaluation; so does a failure at the deadline, though an answer may still come.
 */
#include "common/base/limits.h"
#include "common/rules/evaluation.h"

static void holdings_release(void *object) {
  Holdings *holdings = object;
  for (size_t i = 0; i < ASKED_BUCKETS; i++) {
    for (Asked *asked = holdings->buckets[i]; asked != NULL; asked = asked->next) {
      question_unref(asked->question);
      answer_unref(asked->answer);
    }
  }
  for (size_t i = 0; i < holdings->pin_count; i++) {
    if (holdings->pins[i].version != NULL)
      resource_version_unref(holdings->pins[i].version);
  }
  arena_free(holdings->scratch);
}

Holdings *evaluation_holdings(Evaluation *evaluation) {
  if (evaluation->holdings == NULL) {
    evaluation->holdings = ARENA_NEW(evaluation->arena, Holdings);
    arena_on_reset(evaluation->arena, holdings_release, evaluation->holdings);
  }
  return evaluation->holdings;
}

/* ---- what was asked ---- */

Asked *asked_find(const Evaluation *evaluation, const Question *question) {
  if (evaluation->holdings == NULL)
    return NULL;
  Asked *asked = evaluation->holdings->buckets[question->hash % ASKED_BUCKETS];
  while (asked != NULL && !question_equal(asked->question, question))
    asked = asked->next;
  return asked;
}

/* Takes over a question, and gives one that lasts as long as the evaluation: the run's arena does not. */
static Question *question_to_keep(Run *run, Question *question) {
  Evaluation *evaluation = run->evaluation;
  if (!question->in_arena || run->arena == evaluation->arena)
    return question;
  Question *mine = question_new_in(evaluation->arena, question->backend, question->backend_self, question->lookup_class,
                                   slice_make(question->key, question->key_length), slice_from(question->resource));
  question_unref(question);
  return mine;
}

/* Takes over the question, which is of the run's arena or of the heap. */
static Asked *asked_of(Run *run, Question *question) {
  Evaluation *evaluation = run->evaluation;
  Asked *asked = asked_find(evaluation, question);
  if (asked != NULL) {
    question_unref(question);
    return asked;
  }
  Asked **bucket = &evaluation_holdings(evaluation)->buckets[question->hash % ASKED_BUCKETS];
  asked = ARENA_NEW(evaluation->arena, Asked);
  asked->question = question_to_keep(run, question);
  asked->next = *bucket;
  *bucket = asked;
  return asked;
}

static void wanted_add(Evaluation *evaluation, Asked *asked) {
  if (evaluation->wanted_count == evaluation->wanted_room) {
    size_t room = evaluation->wanted_room > 0 ? evaluation->wanted_room * 2 : LIMIT_ASKED_AHEAD;
    Asked **wanted = ARENA_NEW_ARRAY(evaluation->arena, Asked *, room);
    for (size_t i = 0; i < evaluation->wanted_count; i++)
      wanted[i] = evaluation->wanted[i];
    evaluation->wanted = wanted;
    evaluation->wanted_room = room;
  }
  evaluation->wanted[evaluation->wanted_count++] = asked;
  asked->state = ASKED_WANTED;
}

/* True when it is answered now. */
static bool take_at_once(Evaluation *evaluation, Asked *asked) {
  const AnswerSource *source = &evaluation->options.answers;
  if (source->find == NULL || asked->looked || asked->question->lookup_class != LOOKUP_AHEAD)
    return false;
  asked->looked = true;
  asked->answer = source->find(source->self, asked->question);
  if (asked->answer == NULL)
    return false;
  asked->state = ASKED_DONE;
  return true;
}

/* True when it is answered at once. */
static bool want(Evaluation *evaluation, Asked *asked) {
  if (asked->state != ASKED_KNOWN)
    return false;
  if (take_at_once(evaluation, asked))
    return true;
  bool room = evaluation->out + evaluation->wanted_count < LIMIT_ASKED_AHEAD;
  if (room || asked->question->lookup_class != LOOKUP_AHEAD)
    wanted_add(evaluation, asked);
  return false;
}

void questions_begin_run(Evaluation *evaluation) {
  for (size_t i = 0; i < evaluation->wanted_count; i++)
    evaluation->wanted[i]->state = ASKED_KNOWN;
  evaluation->wanted_count = 0;
}

void ask_back(Run *run, const AskMark *mark) {
  Evaluation *evaluation = run->evaluation;
  while (evaluation->wanted_count > mark->wanted)
    evaluation->wanted[--evaluation->wanted_count]->state = ASKED_KNOWN;
  run->pure_open = mark->pure_open;
  run->stateful = mark->stateful;
}

/* True when it is answered or given up; else it has been wanted, if it may be now. */
static bool asked_is_done(Run *run, Asked *asked) {
  if (asked->state == ASKED_DONE)
    return true;
  if (run->evaluation->expired != NULL) {
    asked->state = ASKED_DONE;
    return true;
  }
  switch (asked->question->lookup_class) {
    case LOOKUP_HERE:
    case LOOKUP_AHEAD:
      if (want(run->evaluation, asked))
        return true;
      run->pure_open = true;
      break;
    case LOOKUP_REACHED:
      if (run->collecting)
        break;
      if (!run->pure_open)
        (void)want(run->evaluation, asked);
      run->pure_open = true;
      break;
    case LOOKUP_STATEFUL:
      if (!run->collecting && run->stateful == NULL)
        run->stateful = asked;
      break;
  }
  return false;
}

void ask_stateful(Run *run) {
  if (!run->collecting && !run->pure_open && run->stateful != NULL)
    (void)want(run->evaluation, run->stateful);
}

/* ---- failures ---- */

static bool failures_hold(const Failure *list, const Failure *failure) {
  for (; list != NULL; list = list->next) {
    if (slice_equal(list->lookup, failure->lookup) && slice_equal(list->reason, failure->reason))
      return true;
  }
  return false;
}

const Failure *failures_union(Arena *arena, const Failure *first, const Failure *second) {
  if (first == NULL || second == NULL)
    return first != NULL ? first : second;
  const Failure *head = NULL;
  const Failure **tail = &head;
  for (const Failure *from = first; from != NULL; from = from->next) {
    Failure *copy = ARENA_NEW(arena, Failure);
    *copy = *from;
    *tail = copy;
    tail = &copy->next;
  }
  *tail = NULL;
  for (const Failure *from = second; from != NULL; from = from->next) {
    if (failures_hold(first, from))
      continue;
    Failure *copy = ARENA_NEW(arena, Failure);
    *copy = *from;
    copy->next = NULL;
    *tail = copy;
    tail = &copy->next;
  }
  return head;
}

static void tell_failure(Run *run, const Failure *failure) {
  for (const Failure *told = run->failures; told != NULL; told = told->next) {
    if (slice_equal(told->lookup, failure->lookup) && slice_equal(told->reason, failure->reason))
      return;
  }
  Failure *copy = ARENA_NEW(run->arena, Failure);
  *copy = *failure;
  copy->next = NULL;
  if (run->failures == NULL)
    run->failures_tail = &run->failures;
  *run->failures_tail = copy;
  run->failures_tail = &copy->next;
}

const Failure *run_failure(Run *run, Slice lookup, Slice reason, ErrorBehaviour on_error) {
  Failure *failure = ARENA_NEW(run->arena, Failure);
  *failure = (Failure){NULL, lookup, reason, (uint8_t)on_error};
  return failure;
}

void run_tell_failures(Run *run, const Failure *failures) {
  for (; failures != NULL; failures = failures->next)
    tell_failure(run, failures);
}

static const Failure *lookup_failure(Run *run, const ResourceUse *use, const char *reason) {
  return run_failure(run, use->label, slice_from(reason != NULL ? reason : "no reason given"), use->on_error);
}

/* ---- asking ---- */

static const ResourceVersion *pinned_version(Evaluation *evaluation, const ResourceUse *use) {
  Holdings *holdings = evaluation_holdings(evaluation);
  if (holdings->pins == NULL) {
    holdings->pin_count = evaluation->ruleset->resource_count;
    holdings->pins = arena_alloc(evaluation->arena, holdings->pin_count * sizeof(*holdings->pins));
  }
  if (!holdings->pins[use->index].done) {
    holdings->pins[use->index].version = resource_pin(use->resource);
    holdings->pins[use->index].done = true;
  }
  return holdings->pins[use->index].version;
}

static void find_inline(const ResourceUse *use, const Value *keys, ResourceAnswer *result) {
  result->state = keyset_find(use->keyset, keys, &result->value) ? ANSWER_FOUND : ANSWER_NOT_FOUND;
}

/* For a dnslist: what `{dnslist.zone}` and the like read from now on in this rule. */
static void remember_listing(Run *run, const ResourceUse *use, const Value *keys, const ResourceAnswer *result) {
  if (!run->strict || run->details_open || result->zone.length == 0)
    return;
  Value *copy = ARENA_NEW_ARRAY(run->arena, Value, use->shape.part_count);
  for (size_t i = 0; i < use->shape.part_count; i++)
    copy[i] = keys[i];
  run->details.list = use;
  run->details.keys = copy;
  run->details.listed = *result;
}

static void trace_lookup(Run *run, const ResourceUse *use, const Value *keys, const Asked *asked, const ResourceAnswer *result) {
  if (run->trace == NULL || run->trace->lookup == NULL)
    return;
  run->trace->lookup(run->trace, use, keys, asked != NULL ? asked->question : NULL, asked != NULL ? asked->answer : NULL, result);
}

/* Answered is also "failed": the result says so. */
static LookupState find_asked(Run *run, const ResourceUse *use, const Value *keys, ResourceAnswer *result) {
  const ResourceKind *kind = use->resource->kind;
  Question *question = kind->ask(use->resource, keys, run->arena);
  if (question == NULL) {
    result->state = ANSWER_NOT_FOUND;
    trace_lookup(run, use, keys, NULL, result);
    return LOOKUP_ANSWERED;
  }
  Asked *asked = asked_of(run, question);
  if (!asked_is_done(run, asked))
    return LOOKUP_OPEN;
  if (asked->answer == NULL) {
    result->state = ANSWER_FAILED;
    result->reason = run->evaluation->expired;
  } else if (asked->answer->state == ANSWER_FAILED) {
    result->state = ANSWER_FAILED;
    result->reason = asked->answer->reason;
  } else {
    kind->read(use->resource, keys, asked->answer, run->arena, result);
  }
  trace_lookup(run, use, keys, asked, result);
  return LOOKUP_ANSWERED;
}

LookupState lookup_find(Run *run, const ResourceUse *use, const Value *keys, ResourceAnswer *result, const Failure **failures) {
  Evaluation *evaluation = run->evaluation;
  *result = (ResourceAnswer){.state = ANSWER_NOT_FOUND, .value = VALUE_NONE};
  if (use->keyset != NULL) {
    find_inline(use, keys, result);
    trace_lookup(run, use, keys, NULL, result);
  } else if (use->lookup_class == LOOKUP_HERE) {
    use->resource->kind->find(pinned_version(evaluation, use), keys, run->arena, result);
    trace_lookup(run, use, keys, NULL, result);
  } else if (evaluation->options.here_only) {
    return LOOKUP_OPEN;
  } else if (find_asked(run, use, keys, result) == LOOKUP_OPEN) {
    return LOOKUP_OPEN;
  }
  switch (result->state) {
    case ANSWER_FOUND:
      remember_listing(run, use, keys, result);
      return LOOKUP_ANSWERED;
    case ANSWER_NOT_FOUND:
      return LOOKUP_ANSWERED;
    case ANSWER_FAILED:
      break;
  }
  *failures = lookup_failure(run, use, result->reason);
  return LOOKUP_UNKNOWN;
}

LookupState lookup_text(Run *run, Slice *text, const Failure **failures) {
  const Details *details = &run->details;
  const ResourceUse *use = details->list;
  const ResourceKind *kind = use->resource != NULL ? use->resource->kind : NULL;
  *text = details->listed.text;
  if (text->length > 0 || kind == NULL || kind->ask_text == NULL)
    return LOOKUP_ANSWERED;
  if (run->evaluation->options.here_only)
    return LOOKUP_OPEN;
  Question *question = kind->ask_text(use->resource, details->keys, run->arena);
  if (question == NULL)
    return LOOKUP_ANSWERED;
  Asked *asked = asked_of(run, question);
  if (!asked_is_done(run, asked))
    return LOOKUP_OPEN;
  ResourceAnswer result = details->listed;
  if (asked->answer == NULL || asked->answer->state == ANSWER_FAILED) {
    result.state = ANSWER_FAILED;
    result.reason = asked->answer != NULL ? asked->answer->reason : run->evaluation->expired;
    trace_lookup(run, use, details->keys, asked, &result);
    *failures = lookup_failure(run, use, result.reason);
    return LOOKUP_UNKNOWN;
  }
  if (asked->answer->state == ANSWER_FOUND)
    *text = kind->read_text(use->resource, asked->answer, run->arena);
  result.text = *text;
  trace_lookup(run, use, details->keys, asked, &result);
  return LOOKUP_ANSWERED;
}
