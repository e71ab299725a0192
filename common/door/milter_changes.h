/*
 * milter_changes.h: what a message's effects come to at its end, as the calls that the milter protocol has for them. Pure.
 *
 * The protocol knows the nth header of a name, and recipients by the text that RCPT said; it knows neither "all of that name" nor "all
 * recipients". So the door keeps the recipients of a message and counts its headers, where some rule may need it.
 */
#ifndef COMMON_DOOR_MILTER_CHANGES_H
#define COMMON_DOOR_MILTER_CHANGES_H

#include <glib.h>

#include "common/base/arena.h"
#include "common/rules/program.h"
#include "common/smtp/verdict.h"

typedef enum MilterChangeKind {
  MILTER_CHANGE_HEADER,    /* smfi_chgheader: name, index, value; without value it goes */
  MILTER_ADD_HEADER,       /* smfi_addheader: name, value; behind all others */
  MILTER_INSERT_HEADER,    /* smfi_insheader at 0: name, value */
  MILTER_DELETE_RECIPIENT, /* smfi_delrcpt: value */
  MILTER_ADD_RECIPIENT,    /* smfi_addrcpt: value */
  MILTER_CHANGE_SENDER,    /* smfi_chgfrom: value */
  MILTER_QUARANTINE,       /* smfi_quarantine: value */
} MilterChangeKind;

typedef struct MilterChange {
  MilterChangeKind kind;
  Slice rule;        /* that said it */
  EffectKind effect; /* ... as this */
  const char *name;
  const char *value; /* printable; addresses in <> */
  int index;         /* CHANGE_HEADER: from 1, of that name as the client sent them */
} MilterChange;

typedef struct HeaderCount {
  Slice name;
  int count;
} HeaderCount;

/* What the door knows of the message. */
typedef struct MilterMessage {
  const char *const *recipients; /* accepted ones, as RCPT said them */
  size_t recipient_count;
  const HeaderCount *headers; /* of the names that rules may change */
  size_t header_count;
} MilterMessage;

/*
 * In an order in which the indexes stay right: changes of headers from the last of a name to the first, then new ones. Of two changes of
 * one header the later counts. Lives in the arena; texts of the message are borrowed.
 */
const MilterChange *milter_changes(Arena *arena, const Effect *effects, size_t effect_count, const MilterMessage *message, size_t *count);

/*
 * Adds a verdict's effects on the message to those that are kept (of Effect) until it ends: each rule's header once, however many recipients
 * it was said for; each of its mailboxes once. False: there were more than LIMIT_MESSAGE_EFFECTS.
 */
bool milter_keep_effects(GArray *kept, Arena *arena, const Verdict *verdict);

/* What rules of these phases may do to a message. Observed ones do nothing. */
EffectSet milter_effects(const Ruleset *ruleset, PhaseSet phases);
/* The names, each once, of which rules of these phases replace or delete headers: with counts of 0. In the arena. */
HeaderCount *milter_changed_headers(Arena *arena, const Ruleset *ruleset, PhaseSet phases, size_t *count);
/* One field of a message's header has come. */
void milter_count_header(HeaderCount *headers, size_t count, Slice name);

#endif
