/*
 * map_question.c: a key as the texts to ask for, and the text that answers.
 */
#include "common/lookup/map_question.h"

#include "common/base/limits.h"
#include "common/base/text_buffer.h"
#include "common/lookup/map_key.h"

char *map_question_problem(const KeysetShape *shape) {
  for (size_t i = 0; i < shape->part_count; i++) {
    KeysetShape part = {.part_count = 1, .parts = {shape->parts[i]}};
    const char *problem = map_key_problem(&part);
    if (problem) {
      return g_strdup(problem);
    }
  }
  return NULL;
}

enum { KEY_ROOM = 2048 /* what most keys need; on the stack */ };

typedef struct Writing {
  TextBuffer *key;
  bool possible; /* a text with a NUL inside is in no table */
} Writing;

static bool add_text(void *self, Slice text) {
  Writing *writing = self;
  writing->possible &= slice_find(text, '\0') < 0;
  text_buffer_add(writing->key, text);
  text_buffer_add_byte(writing->key, '\0');
  return false;
}

/* The first of the texts that are tried, for a part of several. */
static bool add_first(void *self, Slice text) {
  (void)add_text(self, text);
  return true;
}

/* `whole`: of a key of several. */
static void add_part(Writing *writing, const KeysetShape *shape, size_t part, const Value *key, Arena *arena, bool whole) {
  KeysetShape one = {
      .part_count = 1, .parts = {shape->parts[part]}, .exact = shape->exact || whole, .order = shape->order, .tag = shape->tag};
  if (one.parts[0] == TYPE_STRING && one.order == KEY_ORDER_RULES) {
    (void)add_first(writing, key->as.text); /* letter by letter */
  } else {
    (void)map_key_each(&one, key, arena, whole ? add_first : add_text, writing);
  }
}

static void show_key(TextBuffer *key, const KeysetShape *shape, const Value *keys, Arena *arena) {
  text_buffer_add(key, SLICE_LITERAL(" ["));
  for (size_t i = 0; i < shape->part_count; i++) {
    text_buffer_add(key, slice_from(i ? ", " : ""));
    text_buffer_add_quoted(key, value_format(arena, &keys[i]), LIMIT_QUOTE);
  }
  text_buffer_add(key, slice_make("]", 2)); /* and the NUL */
}

Question *map_question_new(const LookupBackend *backend, void *backend_self, const char *title, const KeysetShape *shape, const Value *keys,
                           Arena *arena) {
  char room[KEY_ROOM];
  g_auto(TextBuffer) key = text_buffer_in(room, sizeof room);
  text_buffer_add(&key, slice_from(title));
  Writing writing = {&key, true};
  show_key(&key, shape, keys, arena);
  if (shape->part_count == 1) {
    add_part(&writing, shape, 0, &keys[0], arena, false);
  } else {
    for (size_t i = 0; i < shape->part_count; i++) {
      add_part(&writing, shape, i, &keys[i], arena, true);
    }
  }
  return writing.possible ? question_new_in(arena, backend, backend_self, LOOKUP_AHEAD, text_buffer_slice(&key), slice_from(title)) : NULL;
}

Slice map_question_texts(const Question *question) {
  Slice texts;
  bool found;
  (void)slice_split(slice_make(question->key, question->key_length), '\0', &texts, &found);
  return texts;
}

bool map_question_next(Slice *texts, Slice *parts, size_t count) {
  for (size_t i = 0; i < count; i++) {
    bool found;
    parts[i] = slice_split(*texts, '\0', texts, &found);
    if (!found) {
      return false;
    }
  }
  return true;
}

GBytes *map_question_payload(const Slice *parts, size_t count, Slice value) {
  g_autoptr(GString) payload = g_string_new(NULL);
  for (size_t i = 0; i < count; i++) {
    g_string_append_printf(payload, "%s%.*s", i ? ", " : "", SLICE_ARGS(parts[i]));
  }
  g_string_append_c(payload, '\0');
  if (value.length) {
    g_string_append_len(payload, value.data, (gssize)value.length);
  }
  return g_string_free_to_bytes(g_steal_pointer(&payload));
}

void map_question_read(const KeysetShape *shape, const Answer *raw, Arena *arena, ResourceAnswer *answer) {
  *answer = (ResourceAnswer){.state = raw->state, .value = VALUE_NONE};
  if (raw->state == ANSWER_FAILED) {
    answer->reason = arena_printf(arena, "%s", raw->reason);
  }
  if (raw->state != ANSWER_FOUND) {
    return;
  }
  gsize length;
  const char *bytes = g_bytes_get_data(raw->payload, &length);
  bool found;
  Slice value;
  answer->entry = slice_copy(arena, slice_split(slice_make(bytes, length), '\0', &value, &found));
  map_value_read(shape, value, arena, answer);
}
