/*
 * door.h: the protocols that an MTA asks through; door.def lists them.
 */
#ifndef COMMON_SMTP_DOOR_H
#define COMMON_SMTP_DOOR_H

#include "common/base/slice.h"

typedef enum Door {
#define DOOR(symbol, name, sentence) DOOR_##symbol,
#include "common/smtp/door.def"
#undef DOOR
  DOOR_COUNT
} Door;

typedef uint8_t DoorSet;
#define DOOR_BIT(door) ((DoorSet)(1u << (door)))
#define DOORS_ALL ((DoorSet)((1u << DOOR_COUNT) - 1))

const char *door_name(Door door);
const char *door_sentence(Door door);
bool door_from_name(Slice name, Door *door);

#endif
