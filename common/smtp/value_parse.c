/*
 * value_parse.c: texts as values of a type, as tables and quoted strings have them.
 */
#include <ctype.h>

#include "common/smtp/value.h"
#include "common/smtp/value_action.h"

typedef struct Problem {
  const char **text;
  Slice *right_form;
} Problem;

static bool fail(Problem problem, const char *text) {
  *problem.text = text;
  return false;
}

/* Unsigned digits at *text, taken off its front. */
static bool take_number(Slice *text, uint64_t *number) {
  size_t digits = 0;
  *number = 0;
  while (digits < text->length && g_ascii_isdigit(text->data[digits])) {
    if (*number > (uint64_t)INT64_MAX / 10 - 1) {
      return false;
    }
    *number = *number * 10 + (uint64_t)(text->data[digits] - '0');
    digits++;
  }
  *text = slice_from_offset(*text, digits);
  return digits > 0;
}

static bool parse_net(Arena *arena, Slice text, IpNetwork *net, Problem problem) {
  char right[IP_NETWORK_TEXT_MAX];
  switch (ip_network_parse(text, net)) {
    case IP_NETWORK_OK:
      return true;
    case IP_NETWORK_NOT_ADDRESS:
      return fail(problem, "not an IP address or network");
    case IP_NETWORK_BAD_PREFIX:
      return fail(problem, "the prefix length is not a number that fits the address");
    case IP_NETWORK_HOST_BITS:
      *problem.right_form = slice_copy(arena, slice_make(right, ip_network_format(net, right)));
      return fail(problem, "host bits are set");
  }
  g_assert_not_reached();
}

static bool parse_domain(Arena *arena, Slice text, Slice *domain, Problem problem) {
  if (text.length > 2 && text.data[0] == '[' && text.data[text.length - 1] == ']') {
    *domain = domain_normalize(arena, text);
    return true;
  }
  *domain = domain_normalize(arena, text);
  if (domain_is_valid(*domain)) {
    return true;
  }
  Slice right = SLICE_EMPTY;
  if (slice_starts_with(text, SLICE_LITERAL("*."))) {
    right = domain_normalize(arena, slice_from_offset(text, 1));
  } else if (slice_starts_with(text, SLICE_LITERAL("@"))) {
    right = domain_normalize(arena, slice_from_offset(text, 1));
  }
  *problem.right_form = right;
  return fail(problem, "not a domain");
}

static bool parse_address(Arena *arena, Slice text, Value *value, Problem problem) {
  MailAddress *address = ARENA_NEW(arena, MailAddress);
  if (!mail_address_parse(arena, text, address)) {
    return fail(problem, "not a mail address");
  }
  value->as.address = address;
  return true;
}

static bool parse_decimal(Arena *arena, Slice text, double *decimal, Problem problem) {
  size_t digits = 0, points = 0;
  for (size_t i = text.length > 0 && text.data[0] == '-' ? 1 : 0; i < text.length; i++) {
    digits += g_ascii_isdigit(text.data[i]) ? 1 : 0;
    points += text.data[i] == '.' ? 1 : 0;
    if (!g_ascii_isdigit(text.data[i]) && text.data[i] != '.') {
      return fail(problem, "not a number");
    }
  }
  if (digits == 0 || points > 1 || !g_ascii_isdigit(text.data[text.length - 1])) {
    return fail(problem, "not a number");
  }
  *decimal = g_ascii_strtod(slice_to_string(arena, text), NULL);
  return true;
}

/* 512, 512K, 10M, 1G, 1T */
static bool parse_size(Slice text, int64_t *size, Problem problem) {
  static const char units[] = "KMGT";
  uint64_t number;
  if (!take_number(&text, &number)) {
    return fail(problem, "not a size: expected bytes, or a number with K, M, G or T");
  }
  if (text.length > 0) {
    const char *unit = strchr(units, toupper((unsigned char)text.data[0]));
    if (text.length > 1 || text.data[0] == '\0' || unit == NULL) {
      return fail(problem, "not a size: expected bytes, or a number with K, M, G or T");
    }
    unsigned shift = 10 * (unsigned)(unit - units + 1);
    if (number > (uint64_t)INT64_MAX >> shift) {
      return fail(problem, "the size is too large");
    }
    number <<= shift;
  }
  *size = (int64_t)number;
  return true;
}

/* 30s, 5m, 2h, 2d, 1w, 1h30m: each unit once, the largest first. */
static bool parse_duration(Slice text, int64_t *duration, Problem problem) {
  static const char units[] = "wdhms";
  static const int64_t seconds[] = {604800, 86400, 3600, 60, 1};
  size_t next_unit = 0;
  int64_t sum = 0;
  do {
    uint64_t number;
    if (!take_number(&text, &number) || slice_is_empty(text)) {
      return fail(problem, "not a duration: expected a number with s, m, h, d or w, as in 1h30m");
    }
    const char *unit = text.data[0] != '\0' ? strchr(units + next_unit, text.data[0]) : NULL;
    if (unit == NULL) {
      return fail(problem, "not a duration: expected a number with s, m, h, d or w, as in 1h30m");
    }
    int64_t product;
    if (__builtin_mul_overflow((int64_t)number, seconds[unit - units], &product) || __builtin_add_overflow(sum, product, &sum)) {
      return fail(problem, "the duration is too long");
    }
    next_unit = (size_t)(unit - units) + 1;
    text = slice_from_offset(text, 1);
  } while (text.length > 0);
  *duration = sum;
  return true;
}

/* Two digits at `offset`. */
static bool two_digits(Slice text, size_t offset, int *number) {
  if (offset + 2 > text.length || !g_ascii_isdigit(text.data[offset]) || !g_ascii_isdigit(text.data[offset + 1])) {
    return false;
  }
  *number = (text.data[offset] - '0') * 10 + text.data[offset + 1] - '0';
  return true;
}

/* HH:MM or HH:MM:SS */
static bool parse_time(Slice text, int64_t *time, Problem problem) {
  int hour, minute, second = 0;
  bool good = (text.length == 5 || text.length == 8) && two_digits(text, 0, &hour) && text.data[2] == ':' && two_digits(text, 3, &minute);
  if (good && text.length == 8) {
    good = text.data[5] == ':' && two_digits(text, 6, &second);
  }
  if (!good || hour > 23 || minute > 59 || second > 59) {
    return fail(problem, "not a time of day: expected HH:MM");
  }
  *time = hour * 3600 + minute * 60 + second;
  return true;
}

/* YYYY-MM-DD */
static bool parse_date(Slice text, int64_t *date, Problem problem) {
  int century, year, month, day;
  bool good = text.length == 10 && two_digits(text, 0, &century) && two_digits(text, 2, &year) && text.data[4] == '-' &&
              two_digits(text, 5, &month) && text.data[7] == '-' && two_digits(text, 8, &day);
  if (!good || !g_date_valid_dmy((GDateDay)day, (GDateMonth)month, (GDateYear)(century * 100 + year))) {
    return fail(problem, "not a day: expected YYYY-MM-DD");
  }
  *date = (century * 100 + year) * 10000 + month * 100 + day;
  return true;
}

static bool parse_bool(Slice text, bool *truth, Problem problem) {
  bool is_true = slice_equal_fold(text, SLICE_LITERAL("true")) || slice_equal_fold(text, SLICE_LITERAL("yes"));
  if (!is_true && !slice_equal_fold(text, SLICE_LITERAL("false")) && !slice_equal_fold(text, SLICE_LITERAL("no"))) {
    return fail(problem, "not true or false");
  }
  *truth = is_true;
  return true;
}

static const ValueList *parse_list(Arena *arena, Slice text) {
  size_t count = slice_is_empty(slice_trim(text)) ? 0 : 1;
  for (size_t i = 0; i < text.length && count > 0; i++) {
    count += text.data[i] == ',' ? 1 : 0;
  }
  Value *items = ARENA_NEW_ARRAY(arena, Value, count);
  for (size_t i = 0; i < count; i++) {
    bool found;
    items[i] = value_text(slice_trim(slice_split(text, ',', &text, &found)));
  }
  ValueList *list = ARENA_NEW(arena, ValueList);
  *list = (ValueList){count, items};
  return list;
}

static bool parse_action(Arena *arena, Slice text, Value *value, Problem problem) {
  ActionValue *action = ARENA_NEW(arena, ActionValue);
  value->as.action = action;
  return action_value_parse(text, action, problem.text);
}

static bool parse_typed(Arena *arena, ValueType type, Slice text, Value *value, Problem problem) {
  switch (type) {
    case TYPE_IP:
      return ip_parse(text, &value->as.ip) || fail(problem, "not an IP address");
    case TYPE_NET:
      return parse_net(arena, text, &value->as.net, problem);
    case TYPE_STRING:
      value->as.text = text;
      return true;
    case TYPE_ENUM:
      value->as.text = slice_lower(arena, text);
      return !slice_is_empty(text) || fail(problem, "a name is missing");
    case TYPE_ADDRESS:
      return parse_address(arena, text, value, problem);
    case TYPE_DOMAIN:
      return parse_domain(arena, text, &value->as.text, problem);
    case TYPE_INT:
      return slice_to_int(text, &value->as.number) || fail(problem, "not a whole number");
    case TYPE_DECIMAL:
      return parse_decimal(arena, text, &value->as.decimal, problem);
    case TYPE_SIZE:
      return parse_size(text, &value->as.number, problem);
    case TYPE_DURATION:
      return parse_duration(text, &value->as.number, problem);
    case TYPE_TIME:
      return parse_time(text, &value->as.number, problem);
    case TYPE_DATE:
      return parse_date(text, &value->as.number, problem);
    case TYPE_BOOL:
      return parse_bool(text, &value->as.truth, problem);
    case TYPE_LIST:
      value->as.list = parse_list(arena, text);
      return true;
    case TYPE_ACTION:
      return parse_action(arena, text, value, problem);
    case TYPE_RECORD:
    case TYPE_COUNT:
      break;
  }
  g_assert_not_reached();
}

bool value_parse(Arena *arena, ValueType type, Slice text, Value *value, const char **problem, Slice *right_form) {
  Value parsed = {VALUE_SET, type, {.number = 0}};
  *right_form = SLICE_EMPTY;
  if (!parse_typed(arena, type, text, &parsed, (Problem){problem, right_form})) {
    return false;
  }
  *value = parsed;
  return true;
}
