/*
 * lookup.h: what a look-up is: a question to something outside the session, its answer, and the price class of asking.
 *
 * A question is identified by its kind, its resource and its key: equal questions in flight are one. An answer is
 * found, not found or failed, and immutable once given. Both are reference counted with atomic counts: thread-safe.
 */
#ifndef COMMON_ASK_LOOKUP_H
#define COMMON_ASK_LOOKUP_H

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "common/base/arena.h"
#include "common/base/slice.h"

/* When a look-up may be asked (evaluate.h has the rules of the run). */
typedef enum LookupClass {
  LOOKUP_HERE,     /* memory: answered inside the run */
  LOOKUP_AHEAD,    /* pure, asked side by side, also for rules that are not reached yet */
  LOOKUP_REACHED,  /* pure, but dear: only when every rule before and everything to its left is decided */
  LOOKUP_STATEFUL, /* changes something: last of all, one at a time, once per event */
} LookupClass;

const char *lookup_class_name(LookupClass lookup_class);

typedef enum AnswerState { ANSWER_FOUND, ANSWER_NOT_FOUND, ANSWER_FAILED } AnswerState;

typedef struct Answer {
  gint references;
  AnswerState state;
  const char *reason;      /* of ANSWER_FAILED: "timed out", "SERVFAIL"; of a stale answer: why no fresh one came; NULL otherwise */
  unsigned ttl_seconds;    /* how long it may be kept; 0: not at all */
  unsigned took_ms;        /* from asking to answering (explain, statistics) */
  bool from_cache;
  bool stale;              /* from the cache, and its time is over: the look-up failed, or no answer came */
  GBytes *payload;         /* of ANSWER_FOUND; its shape is the kind's; may be NULL */
  char *owned_reason;
} Answer;

/* Each takes over nothing; payload gets a reference. Transfer full. */
Answer *answer_new(AnswerState state, GBytes *payload, unsigned ttl_seconds);
Answer *answer_new_failed(const char *reason);
/* `kept`, given again because no fresh answer came: `reason` says why. */
Answer *answer_new_stale(const Answer *kept, const char *reason);
Answer *answer_ref(Answer *answer);
void answer_unref(Answer *answer); /* takes NULL */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Answer, answer_unref)

typedef struct Question Question;

/*
 * A backend answers questions of one kind: DNS, a store, a scripted fake. `start` is called on the look-up thread and must not
 * block; it ends, now or later, on that same thread or on one of the backend's own that ends before the scheduler does, in exactly one question_answer(). The question is borrowed for the call: a backend that answers
 * later takes a reference and drops it afterwards. It is not told when nobody waits any more: a late answer still fills the cache.
 */
typedef struct LookupBackend {
  const char *name; /* "dns" */
  void (*start)(void *self, Question *question);
  /* References to `self`, any thread: each question has one. NULL: `self` outlives all questions. */
  void (*hold)(void *self);
  void (*drop)(void *self);
} LookupBackend;

struct Question {
  gint references;
  const LookupBackend *backend;
  void *backend_self;
  LookupClass lookup_class;
  const char *key;       /* NUL-terminated and canonical: "4.3.2.127.zen.example.org A"; a stateful one holds the event id too */
  size_t key_length;
  guint hash;
  const char *resource;  /* what is asked, for who tells of its failures: "zen.example.org"; what fails together has one name */
  gint64 asked_at;       /* monotonic ns, when it went to the backend; set by the scheduler */
  void *scheduler;       /* the scheduler's own */
  bool in_arena;         /* has one owner, and no longer life than the arena */
};

/* Transfer full. `key` is copied. The resource is all that this backend_self answers, under the backend's name. */
Question *question_new(const LookupBackend *backend, void *backend_self, LookupClass lookup_class, Slice key);
/* For a backend_self that answers for several resources, which fail each on its own, and for one with a better name: "zen.example.org". It is copied. */
Question *question_new_for(const LookupBackend *backend, void *backend_self, LookupClass lookup_class, Slice key, Slice resource);
/*
 * The same in an arena, which a question that is answered at once never leaves: it costs nothing from the heap. Its one owner calls question_unref once, before the arena is reset; for
 * everybody else question_ref gives a copy on the heap.
 */
Question *question_new_in(Arena *arena, const LookupBackend *backend, void *backend_self, LookupClass lookup_class, Slice key, Slice resource);
Question *question_ref(Question *question);
void question_unref(Question *question); /* takes NULL */
bool question_equal(const Question *a, const Question *b); /* backend, self, key */
bool question_same_resource(const Question *a, const Question *b); /* backend, self, resource */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Question, question_unref)

/*
 * Where an evaluation gets answers that are there already, before it wants its questions to be asked: `find` gives one (transfer full) or NULL, at once. Only for look-ups
 * of class AHEAD. NULL `find`: there is nothing.
 */
typedef struct AnswerSource {
  Answer *(*find)(void *self, Question *question);
  void *self;
} AnswerSource;

#endif
