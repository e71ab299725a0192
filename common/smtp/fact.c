/*
 * fact.c: the table of fact.def.
 */
#include "common/smtp/fact.h"

#include "common/smtp/capability.h"
#include "common/smtp/record.h"

static const char *const protocol_names[] = {"smtp", "esmtp", NULL};
static const char *const weekday_names[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun", NULL};

/* Rows of type ENUM have their names here. */
#define ENUM_NAMES_PROTOCOL_NAME protocol_names
#define ENUM_NAMES_WEEKDAY weekday_names
#define NAMES_OF_ENUM(symbol) ENUM_NAMES_##symbol
#define NAMES_OF_IP(symbol) NULL
#define NAMES_OF_NET(symbol) NULL
#define NAMES_OF_STRING(symbol) NULL
#define NAMES_OF_ADDRESS(symbol) NULL
#define NAMES_OF_DOMAIN(symbol) NULL
#define NAMES_OF_INT(symbol) NULL
#define NAMES_OF_SIZE(symbol) NULL
#define NAMES_OF_TIME(symbol) NULL
#define NAMES_OF_DATE(symbol) NULL
#define NAMES_OF_BOOL(symbol) NULL
#define NAMES_OF_LIST(symbol) NULL

/* Rows of type LIST have the type of their elements here, and the kind of record. */
#define ELEMENTS_RECIPIENTS TYPE_ADDRESS, RECORD_HEADER
#define ELEMENTS_HEADER TYPE_RECORD, RECORD_HEADER
#define ELEMENTS_HEADER_FROM TYPE_ADDRESS, RECORD_HEADER
#define ELEMENTS_HEADER_SENDER TYPE_ADDRESS, RECORD_HEADER
#define ELEMENTS_HEADER_REPLY_TO TYPE_ADDRESS, RECORD_HEADER
#define ELEMENTS_HEADER_TO TYPE_ADDRESS, RECORD_HEADER
#define ELEMENTS_HEADER_CC TYPE_ADDRESS, RECORD_HEADER
#define ELEMENTS_HEADER_DUPLICATES TYPE_STRING, RECORD_HEADER
#define ELEMENTS_ATTACHMENT TYPE_RECORD, RECORD_ATTACHMENT
#define NO_ELEMENTS TYPE_STRING, RECORD_HEADER
#define ELEMENTS_OF_LIST(symbol) ELEMENTS_##symbol
#define ELEMENTS_OF_ENUM(symbol) NO_ELEMENTS
#define ELEMENTS_OF_IP(symbol) NO_ELEMENTS
#define ELEMENTS_OF_NET(symbol) NO_ELEMENTS
#define ELEMENTS_OF_STRING(symbol) NO_ELEMENTS
#define ELEMENTS_OF_ADDRESS(symbol) NO_ELEMENTS
#define ELEMENTS_OF_DOMAIN(symbol) NO_ELEMENTS
#define ELEMENTS_OF_INT(symbol) NO_ELEMENTS
#define ELEMENTS_OF_SIZE(symbol) NO_ELEMENTS
#define ELEMENTS_OF_TIME(symbol) NO_ELEMENTS
#define ELEMENTS_OF_DATE(symbol) NO_ELEMENTS
#define ELEMENTS_OF_BOOL(symbol) NO_ELEMENTS

static const FactInfo facts[FACT_COUNT] = {
#define FACT(symbol, name, type, scope, phases, policy, milter, socketmap, empty, normal, sentence) \
  {#name, TYPE_##type, SCOPE_##scope, phases, policy, milter, socketmap, empty, normal, sentence, NAMES_OF_##type(symbol), ELEMENTS_OF_##type(symbol)},
#include "common/smtp/fact.def"
#undef FACT
};

static const char *const names[] = {
#define FACT(symbol, name, type, scope, phases, policy, milter, socketmap, empty, normal, sentence) #name,
#include "common/smtp/fact.def"
#undef FACT
    NULL,
};

const FactInfo *fact_info(Fact fact) {
  return &facts[fact];
}

bool fact_from_name(Slice name, Fact *fact) {
  for (int i = 0; i < FACT_COUNT; i++) {
    if (slice_equal(name, slice_from(names[i]))) {
      *fact = (Fact)i;
      return true;
    }
  }
  return false;
}

const char *const *fact_names(void) {
  return names;
}

bool fact_in_door(Fact fact, Door door, Phase phase) {
  if ((facts[fact].phases & PHASE_BIT(phase)) == 0 || !capability(door, phase)->seen) {
    return false;
  }
  switch (door) {
    case DOOR_POLICY:
      /* Postfix has one attribute for both sizes: the declared one until the message has ended, then the actual one. */
      if (fact == FACT_SIZE && phase == PHASE_EOM) {
        return false;
      }
      return facts[fact].policy_source != NULL;
    case DOOR_MILTER:
      return facts[fact].milter_source != NULL;
    case DOOR_SOCKETMAP:
      return facts[fact].socketmap_source != NULL;
    case DOOR_COUNT:
      break;
  }
  g_assert_not_reached();
}

const char *fact_type_words(Arena *arena, const FactInfo *info) {
  if (info->type != TYPE_LIST) {
    return value_type_name(info->type);
  }
  return arena_printf(arena, "list of %s", info->element_type == TYPE_RECORD ? record_name(info->record) : value_type_name(info->element_type));
}

const char *scope_name(Scope scope) {
  switch (scope) {
    case SCOPE_SESSION:
      return "session";
    case SCOPE_MESSAGE:
      return "message";
    case SCOPE_RECIPIENT:
      return "recipient";
  }
  g_assert_not_reached();
}

int fact_enum_index(Fact fact, Slice name) {
  const char *const *enum_names = facts[fact].enum_names;
  for (int i = 0; enum_names && enum_names[i]; i++) {
    if (slice_equal_fold(name, slice_from(enum_names[i]))) {
      return i;
    }
  }
  return -1;
}
