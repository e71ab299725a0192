/*
 * door.c: the table of door.def.
 */
#include "common/smtp/door.h"

typedef struct DoorInfo {
  const char *name, *sentence;
} DoorInfo;

static const DoorInfo doors[DOOR_COUNT] = {
#define DOOR(symbol, name, sentence) {#name, sentence},
#include "common/smtp/door.def"
#undef DOOR
};

const char *door_name(Door door) {
  return doors[door].name;
}

const char *door_sentence(Door door) {
  return doors[door].sentence;
}

bool door_from_name(Slice name, Door *door) {
  for (int i = 0; i < DOOR_COUNT; i++) {
    if (slice_equal(name, slice_from(doors[i].name))) {
      *door = (Door)i;
      return true;
    }
  }
  return false;
}
