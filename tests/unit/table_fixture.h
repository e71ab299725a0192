/*
 * table_fixture.h: what tests of the kinds of tables share: a folder for the files of one test, an arena, shapes, keys, and answers as texts.
 */
#ifndef TESTS_UNIT_TABLE_FIXTURE_H
#define TESTS_UNIT_TABLE_FIXTURE_H

#include <glib/gstdio.h>

#include "common/ask/scheduler.h"
#include "common/lookup/kinds.h"
#include "tests/unit/unit.h"

static char *folder;
static Arena *arena;

static inline void table_set_up(void) {
  folder = g_dir_make_tmp("mailreeve-test-XXXXXX", NULL);
  ck_assert_ptr_nonnull(folder);
  arena = arena_new(0);
}

/* With all files of the folder. */
static inline void table_tear_down(void) {
  GDir *entries = g_dir_open(folder, 0, NULL);
  for (const char *name = g_dir_read_name(entries); name; name = g_dir_read_name(entries)) {
    g_autofree char *path = g_build_filename(folder, name, NULL);
    (void)g_remove(path);
  }
  g_dir_close(entries);
  ck_assert_int_eq(g_rmdir(folder), 0);
  g_clear_pointer(&folder, g_free);
  g_clear_pointer(&arena, arena_free);
}

static inline char *path_of(const char *name) {
  return g_build_filename(folder, name, NULL);
}

static const ResourceContext plain_context = {.check_owners = false};

static inline KeysetShape set_of(ValueType key) {
  return (KeysetShape){.part_count = 1, .parts = {key}};
}

static inline KeysetShape map_of(ValueType key, ValueType value) {
  return (KeysetShape){.part_count = 1, .parts = {key}, .has_value = true, .value = value};
}

static inline ResourceSpec table_spec(const char *kind, const char *text, KeysetShape shape) {
  return (ResourceSpec){.kind = resource_kind_find(slice_from(kind)), .name = "t", .text = text, .directory = folder, .shape = shape};
}

static inline Resource *open_spec(const ResourceSpec *spec, const ResourceContext *context) {
  g_autoptr(GError) error = NULL;
  Resource *resource = spec->kind->open(spec, context, &error);
  ck_assert_msg(resource != NULL, "%s", error ? error->message : "");
  return resource;
}

static inline Value key_of(ValueType type, const char *text) {
  Value key;
  const char *problem;
  Slice right_form;
  ck_assert_msg(value_parse(arena, type == TYPE_NET ? TYPE_IP : type, slice_from(text), &key, &problem, &right_form), "%s", text);
  return key;
}

/* "ENTRY=VALUE", "-" when it is not there, "failed: REASON". */
static inline const char *shown(const ResourceAnswer *answer) {
  switch (answer->state) {
    case ANSWER_FOUND:
      return arena_printf(arena, "%.*s=%.*s", SLICE_ARGS(answer->entry), SLICE_ARGS(value_format(arena, &answer->value)));
    case ANSWER_NOT_FOUND:
      return "-";
    case ANSWER_FAILED:
      return arena_printf(arena, "failed: %s", answer->reason);
  }
  g_assert_not_reached();
}

/* The next answer of the box, transfer full; waits for it. */
static inline Answer *wait_answer(AnswerBox *box) {
  g_autoptr(Question) asked = NULL;
  Answer *answer = NULL;
  while (!answer_box_take(box, &asked, &answer)) {
    (void)answer_box_wait(box, G_MAXINT64);
  }
  return answer;
}

#endif
