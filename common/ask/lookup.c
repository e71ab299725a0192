/*
 * lookup.c: questions and answers as reference-counted objects.
 */
#include "common/ask/lookup.h"

const char *lookup_class_name(LookupClass lookup_class) {
  switch (lookup_class) {
    case LOOKUP_HERE:
      return "here";
    case LOOKUP_AHEAD:
      return "ahead";
    case LOOKUP_REACHED:
      return "reached";
    case LOOKUP_STATEFUL:
      return "stateful";
  }
  g_assert_not_reached();
}

Answer *answer_new(AnswerState state, GBytes *payload, unsigned ttl_seconds) {
  Answer *answer = g_new0(Answer, 1);
  answer->references = 1;
  answer->state = state;
  answer->payload = payload ? g_bytes_ref(payload) : NULL;
  answer->ttl_seconds = ttl_seconds;
  return answer;
}

Answer *answer_new_failed(const char *reason) {
  g_assert(reason != NULL);
  Answer *answer = answer_new(ANSWER_FAILED, NULL, 0);
  answer->owned_reason = g_strdup(reason);
  answer->reason = answer->owned_reason;
  return answer;
}

Answer *answer_new_stale(const Answer *kept, const char *reason) {
  g_assert(kept->state != ANSWER_FAILED);
  Answer *answer = answer_new(kept->state, kept->payload, 0);
  answer->owned_reason = g_strdup(reason);
  answer->reason = answer->owned_reason;
  answer->from_cache = true;
  answer->stale = true;
  return answer;
}

Answer *answer_ref(Answer *answer) {
  g_atomic_int_inc(&answer->references);
  return answer;
}

void answer_unref(Answer *answer) {
  if (!answer || !g_atomic_int_dec_and_test(&answer->references)) {
    return;
  }
  g_clear_pointer(&answer->payload, g_bytes_unref);
  g_free(answer->owned_reason);
  g_free(answer);
}

static char *put_text(char *to, Slice text) {
  if (text.length > 0) {
    memcpy(to, text.data, text.length);
  }
  return to + text.length + 1;
}

/* Key and resource stand behind the object: one allocation a question. */
static size_t question_size(Slice key, Slice resource) {
  return sizeof(Question) + key.length + 1 + resource.length + 1;
}

/* Into zeroed memory of that size. */
static Question *question_init(Question *question, const LookupBackend *backend, void *backend_self, LookupClass lookup_class, Slice key,
                               Slice resource) {
  g_assert(backend != NULL);
  char *text = (char *)(question + 1);
  char *behind = put_text(text, key);
  (void)put_text(behind, resource);
  question->references = 1;
  question->backend = backend;
  question->backend_self = backend_self;
  if (backend->hold) {
    backend->hold(backend_self);
  }
  question->lookup_class = lookup_class;
  question->key = text;
  question->key_length = key.length;
  question->resource = behind;
  uint64_t hash = slice_hash(key);
  question->hash = (guint)(hash ^ (hash >> 32)) ^ g_direct_hash(backend_self);
  return question;
}

Question *question_new_for(const LookupBackend *backend, void *backend_self, LookupClass lookup_class, Slice key, Slice resource) {
  return question_init(g_malloc0(question_size(key, resource)), backend, backend_self, lookup_class, key, resource);
}

Question *question_new_in(Arena *arena, const LookupBackend *backend, void *backend_self, LookupClass lookup_class, Slice key,
                          Slice resource) {
  Question *question = question_init(arena_alloc(arena, question_size(key, resource)), backend, backend_self, lookup_class, key, resource);
  question->in_arena = true;
  return question;
}

Question *question_new(const LookupBackend *backend, void *backend_self, LookupClass lookup_class, Slice key) {
  return question_new_for(backend, backend_self, lookup_class, key, slice_from(backend->name));
}

Question *question_ref(Question *question) {
  if (question->in_arena) {
    return question_new_for(question->backend, question->backend_self, question->lookup_class,
                            slice_make(question->key, question->key_length), slice_from(question->resource));
  }
  g_atomic_int_inc(&question->references);
  return question;
}

void question_unref(Question *question) {
  if (question && g_atomic_int_dec_and_test(&question->references)) {
    if (question->backend->drop) {
      question->backend->drop(question->backend_self);
    }
    if (!question->in_arena) {
      g_free(question);
    }
  }
}

bool question_equal(const Question *a, const Question *b) {
  return a == b || (a->hash == b->hash && a->backend == b->backend && a->backend_self == b->backend_self &&
                    slice_equal(slice_make(a->key, a->key_length), slice_make(b->key, b->key_length)));
}

bool question_same_resource(const Question *a, const Question *b) {
  return a->backend == b->backend && a->backend_self == b->backend_self && strcmp(a->resource, b->resource) == 0;
}
