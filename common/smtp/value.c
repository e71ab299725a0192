/*
 * value.c: types by name, values as text, copies.
 */
#include "common/smtp/value.h"

#include <inttypes.h>

#include "common/smtp/record.h"
#include "common/smtp/reply.h"

typedef struct TypeInfo {
  const char *name, *sentence;
} TypeInfo;

static const TypeInfo types[TYPE_COUNT] = {
#define VALUE_TYPE(symbol, name, sentence) {#name, sentence},
#include "common/smtp/type.def"
#undef VALUE_TYPE
};

const char *value_type_name(ValueType type) {
  return types[type].name;
}

const char *value_type_sentence(ValueType type) {
  return types[type].sentence;
}

bool value_type_from_name(Slice name, ValueType *type) {
  for (int i = 0; i < TYPE_COUNT; i++) {
    if (slice_equal(name, slice_from(types[i].name))) {
      *type = (ValueType)i;
      return true;
    }
  }
  return false;
}

static Slice format_printed(char *text) {
  return slice_from(text);
}

/* 5400 is "1h30m": the largest units first, none twice. */
static Slice format_duration(Arena *arena, int64_t seconds) {
  static const struct {
    char unit;
    int64_t seconds;
  } units[] = {{'w', 604800}, {'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};
  if (seconds == 0) {
    return SLICE_LITERAL("0s");
  }
  GString *text = g_string_new(seconds < 0 ? "-" : NULL);
  uint64_t rest = seconds < 0 ? -(uint64_t)seconds : (uint64_t)seconds;
  for (size_t i = 0; i < G_N_ELEMENTS(units); i++) {
    uint64_t count = rest / (uint64_t)units[i].seconds;
    if (count > 0) {
      g_string_append_printf(text, "%" PRIu64 "%c", count, units[i].unit);
      rest -= count * (uint64_t)units[i].seconds;
    }
  }
  Slice copy = slice_copy(arena, slice_make(text->str, text->len));
  g_string_free(text, TRUE);
  return copy;
}

static Slice format_time(Arena *arena, int64_t second_of_day) {
  int hour = (int)(second_of_day / 3600), minute = (int)(second_of_day / 60 % 60), second = (int)(second_of_day % 60);
  if (second == 0) {
    return format_printed(arena_printf(arena, "%02d:%02d", hour, minute));
  }
  return format_printed(arena_printf(arena, "%02d:%02d:%02d", hour, minute, second));
}

static Slice format_date(Arena *arena, int64_t date) {
  return format_printed(arena_printf(arena, "%04d-%02d-%02d", (int)(date / 10000), (int)(date / 100 % 100), (int)(date % 100)));
}

static Slice format_decimal(Arena *arena, double decimal) {
  char text[G_ASCII_DTOSTR_BUF_SIZE];
  return slice_copy(arena, slice_from(g_ascii_formatd(text, sizeof text, "%.10g", decimal)));
}

static Slice format_list(Arena *arena, const ValueList *list) {
  GString *text = g_string_new(NULL);
  for (size_t i = 0; i < list->count; i++) {
    Slice item = value_format(arena, &list->items[i]);
    if (i > 0) {
      g_string_append(text, ", ");
    }
    g_string_append_len(text, item.data ? item.data : "", (gssize)item.length);
  }
  Slice copy = slice_copy(arena, slice_make(text->str, text->len));
  g_string_free(text, TRUE);
  return copy;
}

static const char *action_word_text(ActionWord word) {
  switch (word) {
    case ACTION_WORD_REJECT:
      return "REJECT";
    case ACTION_WORD_TEMPFAIL:
      return "DEFER";
    case ACTION_WORD_PASS:
      return "OK";
    case ACTION_WORD_NEXT:
      return "DUNNO";
    case ACTION_WORD_DISCARD:
      return "DISCARD";
    case ACTION_WORD_HOLD:
      return "HOLD";
  }
  g_assert_not_reached();
}

/* As access(5) has it: the code where there is one, else the word; then what follows. */
static Slice format_action(Arena *arena, const ActionValue *action) {
  GString *text = g_string_new(NULL);
  if (action->code != 0) {
    g_string_append_printf(text, "%u", action->code);
  } else {
    g_string_append(text, action_word_text(action->word));
  }
  if (action->enhanced.class_digit != 0) {
    g_string_append_printf(text, " %u.%u.%u", action->enhanced.class_digit, action->enhanced.subject, action->enhanced.detail);
  }
  if (!slice_is_empty(action->text)) {
    g_string_append_c(text, ' ');
    g_string_append_len(text, action->text.data, (gssize)action->text.length);
  }
  Slice copy = slice_copy(arena, slice_make(text->str, text->len));
  g_string_free(text, TRUE);
  return copy;
}

/* The set values with a blank between: "X-Loop yes", "report.zip application/zip 12345". */
static Slice format_record(Arena *arena, const ValueRecord *record) {
  g_autoptr(GString) text = g_string_new(NULL);
  for (size_t i = 0; i < record_field_count(record->kind); i++) {
    Slice field = value_format(arena, &record->fields[i]);
    if (!slice_is_empty(field)) {
      g_string_append_printf(text, "%s%.*s", text->len > 0 ? " " : "", SLICE_ARGS(field));
    }
  }
  return slice_copy(arena, slice_make(text->str, text->len));
}

static Slice format_set(Arena *arena, const Value *value) {
  char buffer[IP_NETWORK_TEXT_MAX];
  switch (value->type) {
    case TYPE_IP:
      return slice_copy(arena, slice_make(buffer, ip_format(&value->as.ip, buffer)));
    case TYPE_NET:
      return slice_copy(arena, slice_make(buffer, ip_network_format(&value->as.net, buffer)));
    case TYPE_STRING:
    case TYPE_DOMAIN:
    case TYPE_ENUM:
      return value->as.text;
    case TYPE_ADDRESS:
      return mail_address_is_null(value->as.address) ? SLICE_LITERAL("<>") : value->as.address->text;
    case TYPE_INT:
    case TYPE_SIZE:
      return format_printed(arena_printf(arena, "%" PRId64, value->as.number));
    case TYPE_DECIMAL:
      return format_decimal(arena, value->as.decimal);
    case TYPE_DURATION:
      return format_duration(arena, value->as.number);
    case TYPE_TIME:
      return format_time(arena, value->as.number);
    case TYPE_DATE:
      return format_date(arena, value->as.number);
    case TYPE_BOOL:
      return value->as.truth ? SLICE_LITERAL("true") : SLICE_LITERAL("false");
    case TYPE_LIST:
      return format_list(arena, value->as.list);
    case TYPE_ACTION:
      return format_action(arena, value->as.action);
    case TYPE_RECORD:
      return format_record(arena, value->as.record);
    case TYPE_COUNT:
      break;
  }
  g_assert_not_reached();
}

Slice value_format(Arena *arena, const Value *value) {
  switch (value->state) {
    case VALUE_UNSET:
      return SLICE_EMPTY;
    case VALUE_UNKNOWN:
    case VALUE_OPEN:
      return SLICE_LITERAL("?");
    case VALUE_SET:
      return format_set(arena, value);
  }
  g_assert_not_reached();
}

const Failure *failures_copy(Arena *arena, const Failure *failures) {
  const Failure *first = NULL;
  const Failure **link = &first;
  for (const Failure *failure = failures; failure; failure = failure->next) {
    Failure *copy = ARENA_NEW(arena, Failure);
    copy->lookup = slice_copy(arena, failure->lookup);
    copy->reason = slice_copy(arena, failure->reason);
    copy->on_error = failure->on_error;
    *link = copy;
    link = &copy->next;
  }
  return first;
}

static const MailAddress *copy_address(Arena *arena, const MailAddress *address) {
  MailAddress *copy = ARENA_NEW(arena, MailAddress);
  copy->text = slice_copy(arena, address->text);
  copy->localpart = slice_copy(arena, address->localpart);
  copy->domain = slice_copy(arena, address->domain);
  return copy;
}

static const ValueList *copy_list(Arena *arena, const ValueList *list) {
  Value *items = ARENA_NEW_ARRAY(arena, Value, list->count);
  for (size_t i = 0; i < list->count; i++) {
    items[i] = value_copy(arena, &list->items[i]);
  }
  ValueList *copy = ARENA_NEW(arena, ValueList);
  copy->count = list->count;
  copy->items = items;
  return copy;
}

static const ActionValue *copy_action(Arena *arena, const ActionValue *action) {
  ActionValue *copy = ARENA_NEW(arena, ActionValue);
  *copy = *action;
  copy->text = slice_copy(arena, action->text);
  return copy;
}

static const ValueRecord *copy_record(Arena *arena, const ValueRecord *record) {
  size_t count = record_field_count(record->kind);
  Value *fields = ARENA_NEW_ARRAY(arena, Value, count);
  for (size_t i = 0; i < count; i++) {
    fields[i] = value_copy(arena, &record->fields[i]);
  }
  ValueRecord *copy = ARENA_NEW(arena, ValueRecord);
  copy->kind = record->kind;
  copy->fields = fields;
  return copy;
}

static Value copy_set(Arena *arena, const Value *value) {
  Value copy = *value;
  switch (value->type) {
    case TYPE_STRING:
    case TYPE_DOMAIN:
    case TYPE_ENUM:
      copy.as.text = slice_copy(arena, value->as.text);
      break;
    case TYPE_ADDRESS:
      copy.as.address = copy_address(arena, value->as.address);
      break;
    case TYPE_LIST:
      copy.as.list = copy_list(arena, value->as.list);
      break;
    case TYPE_ACTION:
      copy.as.action = copy_action(arena, value->as.action);
      break;
    case TYPE_RECORD:
      copy.as.record = copy_record(arena, value->as.record);
      break;
    case TYPE_IP:
    case TYPE_NET:
    case TYPE_INT:
    case TYPE_DECIMAL:
    case TYPE_SIZE:
    case TYPE_DURATION:
    case TYPE_TIME:
    case TYPE_DATE:
    case TYPE_BOOL:
    case TYPE_COUNT:
      break;
  }
  return copy;
}

Value value_copy(Arena *arena, const Value *value) {
  Value copy = *value;
  switch (value->state) {
    case VALUE_SET:
      return copy_set(arena, value);
    case VALUE_UNKNOWN:
      copy.as.failures = failures_copy(arena, value->as.failures);
      return copy;
    case VALUE_UNSET:
    case VALUE_OPEN:
      return copy;
  }
  g_assert_not_reached();
}
