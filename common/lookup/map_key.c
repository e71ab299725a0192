/*
 * map_key.c: the texts that are tried for a key, one after the other.
 */
#include "common/lookup/map_key.h"

#include "common/base/limits.h"

const char *map_key_problem(const KeysetShape *shape) {
  if (shape->part_count != 1) {
    return "a map has one text for a key: keys of several parts are not possible";
  }
  switch (shape->parts[0]) {
    case TYPE_IP:
    case TYPE_NET:
    case TYPE_DOMAIN:
    case TYPE_ADDRESS:
    case TYPE_STRING:
    case TYPE_INT:
      return NULL;
    case TYPE_DECIMAL:
    case TYPE_SIZE:
    case TYPE_DURATION:
    case TYPE_TIME:
    case TYPE_DATE:
    case TYPE_BOOL:
    case TYPE_ENUM:
    case TYPE_LIST:
    case TYPE_ACTION:
    case TYPE_RECORD:
    case TYPE_COUNT:
      break;
  }
  return "a map has keys of net, ip, domain, address, string or int";
}

/* Postfix cuts at the last separator, whatever stands in front of it: access(5) has "2001:db8:" for 2001:db8::/32. */
static bool each_network(const IpAddress *address, bool networks, MapKeyVisit visit, void *self) {
  char text[IP_TEXT_MAX];
  size_t length = ip_format(address, text);
  char separator = address->family == 4 ? '.' : ':';
  if (visit(self, slice_make(text, length))) {
    return true;
  }
  while (networks && length > 0) {
    length--;
    if (text[length] == separator && length > 0 && visit(self, slice_make(text, length))) {
      return true;
    }
  }
  return false;
}

/* ".parent", the nearest first; not the domain itself. */
static bool each_parent(Slice domain, MapKeyVisit visit, void *self) {
  for (size_t i = 1; i + 1 < domain.length; i++) {
    if (domain.data[i] == '.' && visit(self, slice_from_offset(domain, i))) {
      return true;
    }
  }
  return false;
}

static bool each_domain(Slice domain, MapKeyVisit visit, void *self) {
  return domain.length > 0 && (visit(self, domain) || each_parent(domain, visit, self));
}

static Slice user_at(Arena *arena, Slice user, Slice domain) {
  char *text = arena_alloc_text(arena, user.length + 1 + domain.length);
  slice_lower_into(user, text);
  text[user.length] = '@';
  slice_lower_into(domain, text + user.length + 1);
  return slice_make(text, user.length + 1 + domain.length);
}

static bool each_address(const MailAddress *address, bool exact, Arena *arena, MapKeyVisit visit, void *self) {
  if (mail_address_is_null(address)) {
    return visit(self, SLICE_LITERAL("<>"));
  }
  Slice whole = user_at(arena, address->localpart, address->domain);
  Slice name, extension;
  bool extended = mail_address_extension(address, &name, &extension);
  if (visit(self, whole)) {
    return true;
  }
  if (exact) {
    return false;
  }
  if (address->domain.length > 0) {
    Slice at_domain = slice_from_offset(whole, address->localpart.length);
    if ((extended && visit(self, user_at(arena, name, address->domain))) || visit(self, at_domain) ||
        each_domain(slice_from_offset(at_domain, 1), visit, self) || visit(self, user_at(arena, address->localpart, SLICE_EMPTY))) {
      return true;
    }
  }
  return extended && visit(self, user_at(arena, name, SLICE_EMPTY));
}

static bool each_string(Slice text, Arena *arena, MapKeyVisit visit, void *self) {
  Slice lower = slice_lower(arena, text);
  return visit(self, text) || (!slice_equal(text, lower) && visit(self, lower));
}

bool map_key_each(const KeysetShape *shape, const Value *key, Arena *arena, MapKeyVisit visit, void *self) {
  switch (shape->parts[0]) {
    case TYPE_IP:
    case TYPE_NET:
      return each_network(&key->as.ip, shape->parts[0] == TYPE_NET, visit, self);
    case TYPE_DOMAIN:
      return each_domain(slice_lower(arena, key->as.text), visit, self);
    case TYPE_ADDRESS:
      return each_address(key->as.address, shape->exact, arena, visit, self);
    case TYPE_STRING:
      return each_string(key->as.text, arena, visit, self);
    case TYPE_INT:
      return visit(self, slice_from(arena_printf(arena, "%" G_GINT64_FORMAT, key->as.number)));
    case TYPE_DECIMAL:
    case TYPE_SIZE:
    case TYPE_DURATION:
    case TYPE_TIME:
    case TYPE_DATE:
    case TYPE_BOOL:
    case TYPE_ENUM:
    case TYPE_LIST:
    case TYPE_ACTION:
    case TYPE_RECORD:
    case TYPE_COUNT:
      break;
  }
  g_assert_not_reached(); /* map_key_problem refused them */
}

void map_value_read(const KeysetShape *shape, Slice value, Arena *arena, ResourceAnswer *answer) {
  const char *problem;
  Slice right_form;
  if (!shape->has_value || value_parse(arena, shape->value, slice_copy(arena, value), &answer->value, &problem, &right_form)) {
    return;
  }
  Slice shown = slice_quote(arena, value, LIMIT_QUOTE);
  Slice entry = slice_quote(arena, answer->entry, LIMIT_QUOTE);
  answer->state = ANSWER_FAILED;
  answer->value = VALUE_NONE;
  answer->reason = arena_printf(arena, "the value of \"%.*s\" is \"%.*s\": %s", SLICE_ARGS(entry), SLICE_ARGS(shown), problem);
}
