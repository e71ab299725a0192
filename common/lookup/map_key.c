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

/* Who is shown the texts, one after the other, until one was it. */
typedef struct Trying {
  MapKeyVisit visit;
  void *self;
  Arena *arena;
  const char *tag;
} Trying;

static bool try_text(const Trying *trying, Slice text) {
  return trying->visit(trying->self, text);
}

/* "tag:text", then "text": Sendmail's LookUp rulesets with the mark "+". */
static bool try_tagged(const Trying *trying, Slice text) {
  if (trying->tag && try_text(trying, slice_from(arena_printf(trying->arena, "%s:%.*s", trying->tag, SLICE_ARGS(text))))) {
    return true;
  }
  return try_text(trying, text);
}

/* ---- networks ---- */

/* Postfix cuts at the last separator, whatever stands in front of it: access(5) has "2001:db8:" for 2001:db8::/32. */
static bool each_network(const Trying *trying, const IpAddress *address, bool networks) {
  char text[IP_TEXT_MAX];
  size_t length = ip_format(address, text);
  char separator = address->family == 4 ? '.' : ':';
  if (try_text(trying, slice_make(text, length))) {
    return true;
  }
  while (networks && length > 0) {
    length--;
    if (text[length] == separator && length > 0 && try_text(trying, slice_make(text, length))) {
      return true;
    }
  }
  return false;
}

/* Sendmail writes IPv6 in full, "IPv6:2001:db8:0:0:0:0:0:1", unless told otherwise. */
static Slice sendmail_address(Arena *arena, const IpAddress *address) {
  char text[IP_TEXT_MAX];
  if (address->family == 4) {
    return slice_copy(arena, slice_make(text, ip_format(address, text)));
  }
  g_autoptr(GString) full = g_string_new("ipv6");
  for (size_t i = 0; i < sizeof address->bytes; i += 2) {
    g_string_append_printf(full, ":%x", (unsigned)address->bytes[i] << 8 | address->bytes[i + 1]);
  }
  return slice_copy(arena, slice_make(full->str, full->len));
}

/* LookUpAddress: what is behind the last separator is cut off. */
static bool each_sendmail_network(const Trying *trying, const IpAddress *address, bool networks) {
  Slice text = sendmail_address(trying->arena, address);
  char short_text[IP_TEXT_MAX];
  char separator = address->family == 4 ? '.' : ':';
  if (try_tagged(trying, text)) {
    return true;
  }
  if (address->family != 4) {
    Slice compressed = slice_make(short_text, ip_format(address, short_text));
    if (try_tagged(trying, slice_from(arena_printf(trying->arena, "ipv6:%.*s", SLICE_ARGS(compressed))))) {
      return true;
    }
  }
  while (networks && text.length > 0) {
    text.length--;
    if (text.data[text.length] == separator && try_tagged(trying, text)) {
      return true;
    }
  }
  return false;
}

/* ---- domains ---- */

/* The parents of a domain, the nearest first, with their dots (".parent") or without; not the domain itself, and none of "[192.0.2.1]". */
static bool each_parent(const Trying *trying, Slice domain, bool dots, bool (*try)(const Trying *trying, Slice text)) {
  bool literal = domain.length > 0 && domain.data[0] == '[';
  for (size_t i = 1; i + 1 < domain.length && !literal; i++) {
    if (domain.data[i] == '.' && try(trying, slice_from_offset(domain, dots ? i : i + 1))) {
      return true;
    }
  }
  return false;
}

static bool each_domain(const Trying *trying, Slice domain, KeyOrder order) {
  bool (*try)(const Trying *trying, Slice text) = order == KEY_ORDER_SENDMAIL ? try_tagged : try_text;
  return domain.length > 0 && (try(trying, domain) || each_parent(trying, domain, order == KEY_ORDER_RULES, try));
}

/* ---- addresses ---- */

static Slice user_at(Arena *arena, Slice user, Slice domain) {
  char *text = arena_alloc_text(arena, user.length + 1 + domain.length);
  slice_lower_into(user, text);
  text[user.length] = '@';
  slice_lower_into(domain, text + user.length + 1);
  return slice_make(text, user.length + 1 + domain.length);
}

/* The whole address; a localpart that needs quotes without them and with them, for who builds maps writes either. */
static bool try_whole(const Trying *trying, const MailAddress *address, Slice whole) {
  bool quoted = address->text.length > 0 && address->text.data[0] == '"';
  return try_text(trying, whole) || (quoted && try_text(trying, slice_lower(trying->arena, address->text)));
}

/* As the manual has it, and as Postfix's access(5) has it, where there is no @domain. */
static bool each_address(const Trying *trying, const MailAddress *address, const KeysetShape *shape) {
  Arena *arena = trying->arena;
  if (mail_address_is_null(address)) {
    return try_text(trying, SLICE_LITERAL("<>"));
  }
  Slice whole = user_at(arena, address->localpart, address->domain);
  Slice name, extension;
  bool extended = mail_address_extension(address, &name, &extension);
  if (try_whole(trying, address, whole)) {
    return true;
  }
  if (shape->exact) {
    return false;
  }
  if (address->domain.length > 0) {
    Slice at_domain = slice_from_offset(whole, address->localpart.length);
    if ((extended && try_text(trying, user_at(arena, name, address->domain))) ||
        (shape->order == KEY_ORDER_RULES && try_text(trying, at_domain)) ||
        each_domain(trying, slice_from_offset(at_domain, 1), shape->order) ||
        try_text(trying, user_at(arena, address->localpart, SLICE_EMPTY))) {
      return true;
    }
  }
  return extended && try_text(trying, user_at(arena, name, SLICE_EMPTY));
}

/* user+detail@domain, user+*@domain, user@domain; all without domain where that is empty. */
static bool each_sendmail_user(const Trying *trying, const MailAddress *address, Slice domain) {
  Arena *arena = trying->arena;
  Slice name, extension;
  if (try_tagged(trying, user_at(arena, address->localpart, domain))) {
    return true;
  }
  if (!mail_address_extension(address, &name, &extension)) {
    return false;
  }
  Slice any = slice_from(arena_printf(arena, "%.*s+*", SLICE_ARGS(name)));
  return try_tagged(trying, user_at(arena, any, domain)) || try_tagged(trying, user_at(arena, name, domain));
}

/* check_mail's: <F:user@domain> <U:user@> <D:domain>. The null sender is never looked up. */
static bool each_sendmail_address(const Trying *trying, const MailAddress *address) {
  Slice domain = slice_lower(trying->arena, address->domain);
  if (mail_address_is_null(address)) {
    return false;
  }
  return (domain.length > 0 && each_sendmail_user(trying, address, domain)) || each_sendmail_user(trying, address, SLICE_EMPTY) ||
         each_domain(trying, domain, KEY_ORDER_SENDMAIL);
}

/* ---- all ---- */

static bool each_string(const Trying *trying, Slice text) {
  Slice lower = slice_lower(trying->arena, text);
  return try_text(trying, text) || (!slice_equal(text, lower) && try_text(trying, lower));
}

bool map_key_each(const KeysetShape *shape, const Value *key, Arena *arena, MapKeyVisit visit, void *self) {
  const Trying trying = {visit, self, arena, shape->tag};
  bool sendmail = shape->order == KEY_ORDER_SENDMAIL;
  switch (shape->parts[0]) {
    case TYPE_IP:
    case TYPE_NET: {
      bool networks = shape->parts[0] == TYPE_NET;
      return sendmail ? each_sendmail_network(&trying, &key->as.ip, networks) : each_network(&trying, &key->as.ip, networks);
    }
    case TYPE_DOMAIN:
      return each_domain(&trying, slice_lower(arena, key->as.text), shape->order);
    case TYPE_ADDRESS:
      return sendmail ? each_sendmail_address(&trying, key->as.address) : each_address(&trying, key->as.address, shape);
    case TYPE_STRING:
      return sendmail ? try_tagged(&trying, slice_lower(arena, key->as.text)) : each_string(&trying, key->as.text);
    case TYPE_INT: {
      Slice text = slice_from(arena_printf(arena, "%" G_GINT64_FORMAT, key->as.number));
      return sendmail ? try_tagged(&trying, text) : try_text(&trying, text);
    }
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

/* ---- for people ---- */

static bool add_try(void *self, Slice text) {
  GString *tries = self;
  g_string_append_printf(tries, "%s%.*s", tries->len ? ", " : "", SLICE_ARGS(text));
  return false;
}

Slice map_key_tries(const KeysetShape *shape, const Value *keys, Arena *arena) {
  g_autoptr(GString) tries = g_string_new(NULL);
  (void)map_key_each(shape, keys, arena, add_try, tries);
  return slice_copy(arena, slice_make(tries->str, tries->len));
}

Slice map_key_tries_exact(const KeysetShape *shape, const Value *keys, Arena *arena) {
  bool strings = shape->parts[0] == TYPE_STRING && shape->order == KEY_ORDER_RULES;
  return shape->part_count > 1 ? SLICE_EMPTY : strings ? value_format(arena, keys) : map_key_tries(shape, keys, arena);
}

Slice map_key_tries_in_memory(const KeysetShape *shape, const Value *keys, Arena *arena) {
  bool networks = shape->parts[0] == TYPE_NET && shape->order == KEY_ORDER_RULES;
  return networks ? SLICE_EMPTY : map_key_tries_exact(shape, keys, arena);
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
