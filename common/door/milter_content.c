/*
 * milter_content.c: the content of a message, for the rules at its end: collected while it comes by, where some of them read it.
 *
 * Before a large body is looked at, the rules are asked once as if the message were over, with what the body tells still open. When they come to a
 * verdict all the same, no body can change it: then it is not looked at. Their verdict at the end is the same one. A small body is read in less time.
 */
#include "common/door/milter_internal.h"

enum { LARGE_BODY = 16 * 1024 }; /* in its first piece: MTAs send some 64 KiB at once */

static MessageNeeds message_needs(const PhaseProgram *program) {
  const bool *facts = program->facts;
  return (MessageNeeds){
      .all_headers = program->reads_all_headers,
      .header_names = program->header_names,
      .header_count = facts[FACT_HEADER_COUNT],
      .header_duplicates = facts[FACT_HEADER_DUPLICATES],
      .header_from = facts[FACT_HEADER_FROM],
      .header_sender = facts[FACT_HEADER_SENDER],
      .header_reply_to = facts[FACT_HEADER_REPLY_TO],
      .header_to = facts[FACT_HEADER_TO],
      .header_cc = facts[FACT_HEADER_CC],
      .received_count = facts[FACT_RECEIVED_COUNT],
      .message_size = facts[FACT_MESSAGE_SIZE],
      .attachment = facts[FACT_ATTACHMENT],
      .body = facts[FACT_BODY] || facts[FACT_BODY_TRUNCATED],
  };
}

/* What the rules read at the end may be another text than behind the header: the time, a macro that comes late. */
static bool is_known_early(const MilterPlan *plan) {
  const EventPlan *end = &plan->events[MILTER_EOM];
  for (size_t i = 0; i < end->read_count; i++) {
    const MacroFact *row = &end->facts[i];
    if (row->macros[0] != NULL && row->fact != FACT_MESSAGE_SIZE) {
      return false;
    }
  }
  return (plan->timed & PHASE_BIT(PHASE_EOM)) == 0;
}

void milter_content_plan(MilterPlan *plan) {
  if ((plan->evaluated & PHASE_BIT(PHASE_EOM)) == 0) {
    return;
  }
  plan->message = message_needs(&plan->ruleset->phases[PHASE_EOM]);
  plan->judges_early = milter_answers(plan, PHASE_EOM) && (plan->message.attachment || plan->message.body) && is_known_early(plan);
}

/* This message; begun where it is not. */
static Message *content_message(MilterContent *content, const MilterPlan *plan) {
  if (content->message == NULL) {
    content->message = message_new(&plan->options.message);
  }
  if (!content->has_begun) {
    content->has_begun = true;
    message_begin(content->message, &plan->message);
  }
  return content->message;
}

void milter_content_header(MilterContent *content, const MilterPlan *plan, const MilterEvent *event) {
  const char *const *arguments = event->arguments;
  if (message_needs_headers(&plan->message) && arguments != NULL && arguments[0] != NULL) {
    message_header(content_message(content, plan), slice_from(arguments[0]), slice_from(arguments[1]));
  }
}

bool milter_content_is_worth_judging(MilterContent *content, Slice chunk) {
  bool is_first = !content->has_body;
  content->has_body = true;
  return is_first && chunk.length >= LARGE_BODY;
}

void milter_content_header_facts(MilterContent *content, const MilterPlan *plan, Session *facts) {
  message_header_facts(content_message(content, plan), facts);
}

void milter_content_body(MilterContent *content, const MilterPlan *plan, Slice chunk) {
  if (message_needs_body(&plan->message)) {
    (void)message_body(content_message(content, plan), chunk); /* libmilter cannot have the rest skipped where it waits for no reply */
  }
}

void milter_content_skip_body(MilterContent *content) {
  message_skip_body(content->message);
}

void milter_content_facts(MilterContent *content, const MilterPlan *plan, Session *facts) {
  if (message_needs_headers(&plan->message)) {
    message_facts(content_message(content, plan), facts);
  }
}

void milter_content_reset(MilterContent *content) {
  if (content->has_begun) {
    message_reset(content->message);
  }
  content->has_begun = content->has_body = false;
}

/* The limits may be others in the next plan. */
void milter_content_clear(MilterContent *content) {
  g_clear_pointer(&content->message, message_free);
  content->has_begun = content->has_body = false;
}
