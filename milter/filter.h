/*
 * filter.h: the milter of this process, and its conversations with MTAs.
 *
 * libmilter forgets its sessions when it stops, so the list of them is ours: whatever is left at the end is closed here. Every callback
 * runs between filter_enter and filter_leave; after filter_shut none comes in any more. Thread-safe; a Conversation is confined to the
 * callback that is running.
 */
#ifndef MILTER_FILTER_H
#define MILTER_FILTER_H

#include <stdbool.h>

#include "common/door/milter_session.h"
#include "common/service/daemon.h"

typedef struct Filter Filter;

/* One connection of an MTA: one SMTP session. */
typedef struct Conversation Conversation;
struct Conversation {
  Filter *filter;
  Conversation *next, *previous; /* in the filter's list */
  MilterSession *session;        /* NULL: there were too many, everything is answered with TEMPFAIL */
  MilterPlan *negotiated;        /* a reference: what it began with, and what was asked of the MTA */
  unsigned long no_reply;        /* SMFIP_NR_* that were negotiated */
  AnswerBox *box;                /* answers to look-ups, and what a delay sleeps on; made when first needed */
  uint64_t number;
  char id[40]; /* empty until somebody asks */
  bool in_message;
};

Filter *filter_new(Daemon *daemon);
/* All callbacks are out, see filter_shut. Closes what conversations are left. */
void filter_free(Filter *filter);
Daemon *filter_daemon(const Filter *filter);

/* False: we have stopped, nothing may be touched. */
bool filter_enter(Filter *filter);
void filter_leave(Filter *filter);

/* What is counted, and told when the daemon ends. */
typedef enum FilterCount {
  FILTER_EXPIRED,          /* a step whose look-ups had no answer at the deadline */
  FILTER_REFUSED,          /* a session too many */
  FILTER_REPLY_NOT_TAKEN,  /* libmilter did not take a reply */
  FILTER_EFFECT_NOT_TAKEN, /* the MTA did not take what a rule does to a message */
  FILTER_COUNTS
} FilterCount;
void filter_count(Filter *filter, FilterCount what);
void filter_log_counts(Filter *filter);

/* Adds it to the list. What ended conversations have left is used again. */
Conversation *conversation_new(Filter *filter);
void conversation_free(Conversation *conversation);
/* For the log. */
const char *conversation_id(Conversation *conversation);
/* What to negotiate. */
const MilterNeeds *conversation_needs(const Conversation *conversation);
AnswerBox *conversation_box(Conversation *conversation);
/* Before a message: offers the session the ruleset in force, if what was negotiated is enough for it. */
void conversation_offer_ruleset(Conversation *conversation);
void conversation_set_in_message(Conversation *conversation, bool in_message);

/* A callback begins to hold its thread; false when too many do. */
bool filter_begin_waiting(Filter *filter);
void filter_end_waiting(Filter *filter);
/* Returns when a callback waits and so many milliseconds have passed; false when we stop. *begun: how many have wanted to wait, ever. */
bool filter_still_waits(Filter *filter, unsigned milliseconds, uint64_t *begun);

bool filter_is_stopping(Filter *filter);
/* Waiting callbacks give up at once, those that come do not wait. */
void filter_stop_waiting(Filter *filter);
/* Waits until no conversation is inside a message, at most so long. */
void filter_drain(Filter *filter, unsigned seconds);
/* No callback gets in any more; waits for those inside. */
void filter_shut(Filter *filter);

#endif
