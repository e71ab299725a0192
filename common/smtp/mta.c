/*
 * mta.c: the table of mta.def.
 */
#include "common/smtp/mta.h"

typedef struct MtaInfo {
  const char *name, *title;
  DoorSet doors;
} MtaInfo;

static const MtaInfo mtas[MTA_COUNT] = {
#define MTA(symbol, name, title, doors) {#name, title, doors},
#include "common/smtp/mta.def"
#undef MTA
};

const char *mta_name(Mta mta) {
  return mtas[mta].name;
}

const char *mta_title(Mta mta) {
  return mtas[mta].title;
}

DoorSet mta_doors(Mta mta) {
  return mtas[mta].doors;
}

bool mta_from_name(Slice name, Mta *mta) {
  for (int i = 0; i < MTA_COUNT; i++) {
    if (slice_equal(name, slice_from(mtas[i].name))) {
      *mta = (Mta)i;
      return true;
    }
  }
  return false;
}
