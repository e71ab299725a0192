/*
 * mta.h: the mail servers that ask; mta.def lists them.
 */
#ifndef COMMON_SMTP_MTA_H
#define COMMON_SMTP_MTA_H

#include "common/smtp/door.h"

typedef enum Mta {
#define MTA(symbol, name, title, doors) MTA_##symbol,
#include "common/smtp/mta.def"
#undef MTA
  MTA_COUNT
} Mta;

const char *mta_name(Mta mta);  /* "postfix" */
const char *mta_title(Mta mta); /* "Postfix" */
DoorSet mta_doors(Mta mta);     /* doors that it asks through */
bool mta_from_name(Slice name, Mta *mta);

#endif
