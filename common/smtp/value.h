/*
 * value.h: a value of the rules language, and what it can be instead of a value.
 *
 * UNSET is "there is none". UNKNOWN is "could not find out", with the look-ups that failed. OPEN is "not known yet": a look-up is on
 * its way. Slices and pointers inside are borrowed from the session, the table version or the run's arena.
 */
#ifndef COMMON_SMTP_VALUE_H
#define COMMON_SMTP_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/ip.h"
#include "common/base/mailaddress.h"
#include "common/base/slice.h"

typedef enum ValueType {
#define VALUE_TYPE(symbol, name, sentence) TYPE_##symbol,
#include "common/smtp/type.def"
#undef VALUE_TYPE
  TYPE_COUNT
} ValueType;

const char *value_type_name(ValueType type); /* "ip" */
const char *value_type_sentence(ValueType type);
bool value_type_from_name(Slice name, ValueType *type);

typedef enum ValueState { VALUE_UNSET, VALUE_SET, VALUE_UNKNOWN, VALUE_OPEN } ValueState;

/* What an unknown condition does. DEFAULT in a rule: what the failed look-up says; in a resource: its kind's default. */
typedef enum ErrorBehaviour { ON_ERROR_DEFAULT, ON_ERROR_SKIP, ON_ERROR_TEMPFAIL, ON_ERROR_MATCH } ErrorBehaviour;

/* What failed, for VALUE_UNKNOWN: a linked list in the run's arena; order of first failure, no doubles. */
typedef struct Failure {
  const struct Failure *next;
  Slice lookup;     /* "dnslist zen", as the log names it */
  Slice reason;     /* "timed out", "SERVFAIL", "no answer within 8 s" */
  uint8_t on_error; /* ErrorBehaviour of what failed; never DEFAULT */
} Failure;

/* The value of an action map (access(5) style), checked when the table was read. */
typedef enum ActionWord { ACTION_WORD_REJECT, ACTION_WORD_TEMPFAIL, ACTION_WORD_PASS, ACTION_WORD_NEXT, ACTION_WORD_DISCARD, ACTION_WORD_HOLD } ActionWord;

/* RFC 3463: class.subject.detail, subject and detail 0..999. Class 0: none given. */
typedef struct EnhancedCode {
  uint8_t class_digit; /* 2, 4 or 5 */
  uint16_t subject;
  uint16_t detail;
} EnhancedCode;

typedef struct ActionValue {
  ActionWord word;
  uint16_t code;       /* 0: the phase's default */
  EnhancedCode enhanced; /* class 0: the default */
  Slice text;          /* may be empty */
} ActionValue;

typedef struct Value Value;

typedef struct ValueList {
  size_t count;
  const Value *items;
} ValueList;

/* The kinds of records and their fields, in order: record.def. */
typedef enum RecordKind {
#define RECORD(symbol, name, sentence) RECORD_##symbol,
#define FIELD(record, symbol, name, type, sentence)
#include "common/smtp/record.def"
#undef RECORD
#undef FIELD
} RecordKind;

struct Value {
  ValueState state;
  ValueType type;
  union {
    Slice text;             /* string, domain (normal form), enum (its name) */
    IpAddress ip;           /* ip */
    IpNetwork net;          /* net */
    const MailAddress *address;
    int64_t number;         /* int; size in bytes; duration in seconds; time: seconds of the day; date: yyyymmdd; weekday as enum */
    double decimal;
    bool truth;
    const ValueList *list;
    const ActionValue *action;
    const struct ValueRecord *record;
    const Failure *failures; /* when state is VALUE_UNKNOWN */
  } as;
};

/* Several values of one thing, in the order of the kind's fields. */
typedef struct ValueRecord {
  RecordKind kind;
  const Value *fields;
} ValueRecord;

#define VALUE_NONE ((Value){VALUE_UNSET, TYPE_STRING, {.number = 0}})
static inline Value value_text(Slice text) {
  return (Value){VALUE_SET, TYPE_STRING, {.text = text}};
}
static inline Value value_int(int64_t number) {
  return (Value){VALUE_SET, TYPE_INT, {.number = number}};
}
static inline Value value_bool(bool truth) {
  return (Value){VALUE_SET, TYPE_BOOL, {.truth = truth}};
}

/* As templates, logs and explain print it: unset as nothing, unknown as "?", a list with ", " between its items. */
Slice value_format(Arena *arena, const Value *value);
/* A copy whose texts live in the arena. */
Value value_copy(Arena *arena, const Value *value);

/* A copy of the list whose texts live in the arena. */
const Failure *failures_copy(Arena *arena, const Failure *failures);

/*
 * Reads a text as a value of `type`, as in files of tables and quoted strings in rules; `text` must outlive the value or be in the arena.
 * On failure false, and *problem (a static text such as "host bits are set") with *right_form (in the arena, or empty) for the message.
 */
bool value_parse(Arena *arena, ValueType type, Slice text, Value *value, const char **problem, Slice *right_form);

#endif
