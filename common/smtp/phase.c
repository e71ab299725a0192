/*
 * phase.c: the table of phase.def.
 */
#include "common/smtp/phase.h"

typedef struct PhaseInfo {
  const char *name, *command, *sentence;
} PhaseInfo;

static const PhaseInfo phases[PHASE_COUNT] = {
#define PHASE(symbol, name, command, message, sentence) {#name, command, sentence},
#include "common/smtp/phase.def"
#undef PHASE
};

const char *phase_name(Phase phase) {
  return phases[phase].name;
}

const char *phase_command(Phase phase) {
  return phases[phase].command;
}

const char *phase_sentence(Phase phase) {
  return phases[phase].sentence;
}

bool phase_from_name(Slice name, Phase *phase) {
  for (int i = 0; i < PHASE_COUNT; i++) {
    if (slice_equal(name, slice_from(phases[i].name))) {
      *phase = (Phase)i;
      return true;
    }
  }
  return false;
}

Slice phase_set_names(Arena *arena, PhaseSet set) {
  GString *names = g_string_new(NULL);
  for (int i = 0; i < PHASE_COUNT; i++) {
    if (set & PHASE_BIT(i)) {
      g_string_append_printf(names, "%s%s", names->len > 0 ? " " : "", phases[i].name);
    }
  }
  Slice copy = slice_copy(arena, slice_make(names->str, names->len));
  g_string_free(names, TRUE);
  return copy;
}
