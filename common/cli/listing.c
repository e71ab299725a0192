/*
 * listing.c: fields of text and pieces of JSON for the commands that print tables.
 */
#include "common/cli/listing.h"

#include <stdio.h>

#include "common/cli/command.h"

void listing_field(const char *name, const char *text) {
  if (text && text[0] != '\0') {
    (void)printf("    %-9s %s\n", name, text);
  }
}

void listing_field_phases(const char *name, PhaseSet phases, const char *none) {
  g_autoptr(Arena) arena = arena_new(0);
  listing_field(name, phases == 0 ? none : slice_to_string(arena, phase_set_names(arena, phases)));
}

void listing_field_doors(const char *name, DoorSet doors) {
  g_autoptr(GString) text = g_string_new(NULL);
  for (int door = 0; door < DOOR_COUNT; door++) {
    if (doors & DOOR_BIT(door)) {
      g_string_append_printf(text, "%s%s", text->len > 0 ? " " : "", door_name((Door)door));
    }
  }
  listing_field(name, text->str);
}

json_t *listing_json_phases(PhaseSet phases) {
  json_t *names = json_array();
  for (int phase = 0; phase < PHASE_COUNT; phase++) {
    if (phases & PHASE_BIT(phase)) {
      (void)json_array_append_new(names, json_string(phase_name((Phase)phase)));
    }
  }
  return names;
}

json_t *listing_json_doors(DoorSet doors) {
  json_t *names = json_array();
  for (int door = 0; door < DOOR_COUNT; door++) {
    if (doors & DOOR_BIT(door)) {
      (void)json_array_append_new(names, json_string(door_name((Door)door)));
    }
  }
  return names;
}

json_t *listing_json_text(const char *text) {
  if (text == NULL) {
    return json_null();
  }
  g_autofree char *valid = g_utf8_make_valid(text, -1);
  return json_string(valid);
}

int listing_json_print(json_t *json) {
  (void)json_dumpf(json, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
  (void)putchar('\n');
  json_decref(json);
  return EXIT_GOOD;
}
