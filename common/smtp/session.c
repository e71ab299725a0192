/*
 * session.c: one slot a fact, and bits that say which slots hold something: a reset clears bits, not slots.
 *
 * Made for the policy door, which knows some 25 facts a request and whose rules read three of them: those that it lends cost nothing
 * until they are read; setting looks for the sentinels and keeps the slice, reading converts and keeps the value. Copied texts re-use their slot's buffer while it is large enough, so that
 * a client cannot grow a session by saying the same command for ever.
 */
#include "common/smtp/session.h"

#include "common/base/limits.h"

typedef uint64_t FactSet;
G_STATIC_ASSERT(FACT_COUNT <= 64);
#define FACT_BIT(fact) (UINT64_C(1) << (fact))

typedef struct Slot {
  Slice raw;
  Value value;
  char *buffer; /* of session_set; valid when the fact is in session->buffered */
  size_t capacity;
} Slot;

struct Session {
  FactSet present;   /* has a raw text or a value */
  FactSet converted; /* its value is in the slot, set or (unreadable) unset */
  FactSet buffered;
  FactSet textless;  /* a scalar whose raw text nobody has asked for yet */
  FactSet settled;   /* the lent text counts no more: what the bits above say does */
  const Slice *lent; /* by fact; NULL: nothing is lent */
  Door door;
  Arena *arena, *message_arena; /* made when first needed */
  Slot slots[FACT_COUNT];
};

/* What a fact that no one set reads as: unset, of its type. */
static const Value unset_values[FACT_COUNT] = {
#define FACT(symbol, name, type, scope, phases, policy, milter, socketmap, empty, normal, sentence) {VALUE_UNSET, TYPE_##type, {.number = 0}},
#include "common/smtp/fact.def"
#undef FACT
};

/* What each fact read needs of its row, side by side. */
typedef struct Trait {
  uint8_t type;  /* ValueType */
  uint8_t empty; /* FactSentinel */
  uint16_t longest;
} Trait;

#define LONGEST(type) ((type) == TYPE_ADDRESS ? LIMIT_ADDRESS : LIMIT_FACT)
G_STATIC_ASSERT(LIMIT_ADDRESS <= UINT16_MAX && LIMIT_FACT <= UINT16_MAX);
static const Trait traits[FACT_COUNT] = {
#define FACT(symbol, name, type, scope, phases, policy, milter, socketmap, empty, normal, sentence) {TYPE_##type, empty, LONGEST(TYPE_##type)},
#include "common/smtp/fact.def"
#undef FACT
};

static const FactSet recipient_facts = 0
#define FACT(symbol, name, type, scope, phases, policy, milter, socketmap, empty, normal, sentence) \
  | (SCOPE_##scope == SCOPE_RECIPIENT ? FACT_BIT(FACT_##symbol) : 0)
#include "common/smtp/fact.def"
#undef FACT
    ;

static const FactSet message_facts = 0
#define FACT(symbol, name, type, scope, phases, policy, milter, socketmap, empty, normal, sentence) \
  | (SCOPE_##scope != SCOPE_SESSION ? FACT_BIT(FACT_##symbol) : 0)
#include "common/smtp/fact.def"
#undef FACT
    ;

Session *session_new(Door door) {
  Session *session = g_new(Session, 1);
  session->present = session->converted = session->buffered = session->textless = session->settled = 0;
  session->lent = NULL;
  session->door = door;
  session->arena = session->message_arena = NULL;
  return session;
}

void session_free(Session *session) {
  if (session == NULL) {
    return;
  }
  arena_free(session->message_arena);
  arena_free(session->arena);
  g_free(session);
}

Door session_door(const Session *session) {
  return session->door;
}

Arena *session_arena(Session *session) {
  if (session->arena == NULL) {
    session->arena = arena_new(0);
  }
  return session->arena;
}

Arena *session_message_arena(Session *session) {
  if (session->message_arena == NULL) {
    session->message_arena = arena_new(0);
  }
  return session->message_arena;
}

static Arena *arena_of(Session *session, Fact fact) {
  return message_facts & FACT_BIT(fact) ? session_message_arena(session) : session_arena(session);
}

static bool is_zero(Slice text) {
  for (size_t i = 0; i < text.length; i++) {
    if (text.data[i] != '0') {
      return false;
    }
  }
  return true;
}

static inline bool is_sentinel(FactSentinel empty, Slice raw) {
  switch (empty) {
    case SENTINEL_EMPTY:
      return slice_is_empty(raw);
    case SENTINEL_NEVER:
      return false;
    case SENTINEL_UNKNOWN_NAME:
      return slice_is_empty(raw) || raw.data[0] == '[' || slice_equal_fold(raw, SLICE_LITERAL("unknown"));
    case SENTINEL_ZERO:
      return is_zero(raw);
  }
  g_assert_not_reached();
}

static inline bool is_too_long(Fact fact, Slice raw) {
  return raw.length > traits[fact].longest;
}

static inline bool borrow(Session *session, Fact fact, Slice raw) {
  FactSet bit = FACT_BIT(fact);
  session->converted &= ~bit;
  session->textless &= ~bit;
  session->settled |= bit;
  session->present &= ~bit;
  if (is_sentinel((FactSentinel)traits[fact].empty, raw)) {
    return true;
  }
  if (is_too_long(fact, raw)) {
    return false;
  }
  session->slots[fact].raw = raw;
  session->present |= bit;
  return true;
}

bool session_borrow(Session *session, Fact fact, Slice raw) {
  return borrow(session, fact, raw);
}

void session_lend(Session *session, const Slice *texts) {
  session->lent = texts;
}

/* Takes over a lent text that nobody looked at yet. */
static inline void settle(Session *session, Fact fact) {
  if (session->lent != NULL && (session->settled & FACT_BIT(fact)) == 0 && session->lent[fact].data != NULL) {
    (void)borrow(session, fact, session->lent[fact]);
  }
}

bool session_set(Session *session, Fact fact, Slice raw) {
  if (!session_borrow(session, fact, raw)) {
    return false;
  }
  if ((session->present & FACT_BIT(fact)) == 0 || raw.length == 0) {
    return true;
  }
  Slot *slot = &session->slots[fact];
  if ((session->buffered & FACT_BIT(fact)) == 0 || slot->capacity < raw.length) {
    size_t capacity = 32;
    while (capacity < raw.length) {
      capacity *= 2;
    }
    slot->buffer = arena_alloc_text(arena_of(session, fact), capacity);
    slot->capacity = capacity;
    session->buffered |= FACT_BIT(fact);
  }
  memmove(slot->buffer, raw.data, raw.length);
  slot->raw = slice_make(slot->buffer, raw.length);
  return true;
}

static void set_converted(Session *session, Fact fact, Value value) {
  session->slots[fact].value = value;
  session->slots[fact].raw = SLICE_EMPTY;
  session->textless &= ~FACT_BIT(fact);
  session->settled |= FACT_BIT(fact);
  session->present |= FACT_BIT(fact);
  session->converted |= FACT_BIT(fact);
}

void session_borrow_value(Session *session, Fact fact, const Value *value) {
  if (value->state == VALUE_UNSET) {
    session_unset(session, fact);
    return;
  }
  g_assert(value->state != VALUE_SET || value->type == fact_info(fact)->type);
  Value typed = *value;
  typed.type = fact_info(fact)->type;
  set_converted(session, fact, typed);
}

void session_set_value(Session *session, Fact fact, const Value *value) {
  Arena *arena = arena_of(session, fact);
  Value copy = value_copy(arena, value);
  session_borrow_value(session, fact, &copy);
  if (copy.state == VALUE_SET) {
    session->slots[fact].raw = value_format(arena, &copy);
  }
}

void session_set_scalar(Session *session, Fact fact, Value value) {
  g_assert(value.state == VALUE_SET && value.type == fact_info(fact)->type);
  set_converted(session, fact, value);
  session->textless |= FACT_BIT(fact);
}

void session_unset(Session *session, Fact fact) {
  session->settled |= FACT_BIT(fact);
  session->present &= ~FACT_BIT(fact);
  session->converted &= ~FACT_BIT(fact);
}

/* Into the slot. Whatever a client says in HELO is its name: no check of its form, rules do that. */
static void convert(Session *session, Fact fact) {
  Slot *slot = &session->slots[fact];
  ValueType type = (ValueType)traits[fact].type;
  const char *problem;
  Slice right_form;
  bool good = true;
  if (type == TYPE_DOMAIN) {
    slot->value.as.text = domain_normalize(arena_of(session, fact), slot->raw);
    good = !slice_is_empty(slot->value.as.text);
  } else if (type == TYPE_IP) {
    good = ip_parse(slot->raw, &slot->value.as.ip);
  } else if (type == TYPE_STRING) {
    slot->value.as.text = slot->raw;
  } else if (type == TYPE_ENUM) {
    int index = fact_enum_index(fact, slot->raw);
    good = index >= 0;
    slot->value.as.text = good ? slice_from(fact_info(fact)->enum_names[index]) : SLICE_EMPTY;
  } else {
    good = value_parse(arena_of(session, fact), type, slot->raw, &slot->value, &problem, &right_form);
  }
  slot->value.state = good ? VALUE_SET : VALUE_UNSET;
  slot->value.type = type;
}

/* Apart, so that reading what was read before stays a few instructions. */
static G_GNUC_NO_INLINE const Value *get_unread(Session *session, Fact fact) {
  settle(session, fact);
  if ((session->present & FACT_BIT(fact)) == 0) {
    return &unset_values[fact];
  }
  convert(session, fact);
  session->converted |= FACT_BIT(fact);
  return &session->slots[fact].value;
}

const Value *session_get(Session *session, Fact fact) {
  return (session->converted & FACT_BIT(fact)) != 0 ? &session->slots[fact].value : get_unread(session, fact);
}

Slice session_raw(Session *session, Fact fact) {
  if (session->lent != NULL && (session->settled & FACT_BIT(fact)) == 0) {
    Slice raw = session->lent[fact];
    return is_sentinel((FactSentinel)traits[fact].empty, raw) || is_too_long(fact, raw) ? SLICE_EMPTY : raw;
  }
  if ((session->present & FACT_BIT(fact)) == 0) {
    return SLICE_EMPTY;
  }
  Slot *slot = &session->slots[fact];
  if ((session->textless & FACT_BIT(fact)) != 0) {
    slot->raw = value_format(arena_of(session, fact), &slot->value);
    session->textless &= ~FACT_BIT(fact);
  }
  return slot->raw;
}

/* No MTA said them: they have no text. */
void session_set_time(Session *session, const ClockMoment *moment) {
  int64_t date = (int64_t)moment->year * 10000 + moment->month * 100 + moment->day;
  const char *weekday = fact_info(FACT_WEEKDAY)->enum_names[moment->weekday - 1];
  set_converted(session, FACT_TIME, (Value){VALUE_SET, TYPE_TIME, {.number = moment->second_of_day}});
  set_converted(session, FACT_DATE, (Value){VALUE_SET, TYPE_DATE, {.number = date}});
  set_converted(session, FACT_WEEKDAY, (Value){VALUE_SET, TYPE_ENUM, {.text = slice_from(weekday)}});
}

void session_reset_recipient(Session *session) {
  session->settled |= recipient_facts;
  session->present &= ~recipient_facts;
  session->converted &= ~recipient_facts;
}

void session_reset_message(Session *session) {
  session->settled |= message_facts;
  session->present &= ~message_facts;
  session->converted &= ~message_facts;
  session->buffered &= ~message_facts;
  if (session->message_arena) {
    arena_reset(session->message_arena);
  }
}

void session_reset(Session *session) {
  session->present = session->converted = session->buffered = session->textless = session->settled = 0;
  session->lent = NULL;
  if (session->message_arena) {
    arena_reset(session->message_arena);
  }
  if (session->arena) {
    arena_reset(session->arena);
  }
}
