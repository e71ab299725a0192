/*
 * keyset_entry.c: reads the entries of sets and maps and makes the bytes that are hashed and compared.
 */
#include "common/ask/keyset_entry.h"

void key_buffer_init(KeyBuffer *buffer) {
  buffer->data = buffer->stack;
  buffer->length = 0;
  buffer->capacity = sizeof buffer->stack;
}

void key_buffer_clear(KeyBuffer *buffer) {
  if (buffer->data != buffer->stack) {
    g_free(buffer->data);
  }
  key_buffer_init(buffer);
}

static char *key_buffer_extend(KeyBuffer *buffer, size_t length) {
  if (length > buffer->capacity - buffer->length) {
    buffer->capacity = (buffer->length + length) * 2;
    if (buffer->data == buffer->stack) {
      buffer->data = g_malloc(buffer->capacity);
      memcpy(buffer->data, buffer->stack, buffer->length);
    } else {
      buffer->data = g_realloc(buffer->data, buffer->capacity);
    }
  }
  char *end = buffer->data + buffer->length;
  buffer->length += length;
  return end;
}

void key_buffer_add(KeyBuffer *buffer, const void *bytes, size_t length) {
  if (length) {
    memcpy(key_buffer_extend(buffer, length), bytes, length);
  }
}

void key_buffer_add_lower(KeyBuffer *buffer, Slice text) {
  slice_lower_into(text, key_buffer_extend(buffer, text.length));
}

void keyset_key_add_network(KeyBuffer *buffer, const IpNetwork *network) {
  const uint8_t head[2] = {network->address.family, network->prefix};
  key_buffer_add(buffer, head, sizeof head);
  key_buffer_add(buffer, network->address.bytes, sizeof network->address.bytes);
}

/* An address without domain is "user@". */
void keyset_key_add_address(KeyBuffer *buffer, const MailAddress *address) {
  if (mail_address_is_null(address)) {
    key_buffer_add(buffer, "<>", 2);
    return;
  }
  key_buffer_add_lower(buffer, address->localpart);
  key_buffer_add(buffer, "@", 1);
  key_buffer_add_lower(buffer, address->domain);
}

void keyset_key_add(KeyBuffer *buffer, ValueType type, const Value *value) {
  switch (type) {
    case TYPE_IP: {
      IpNetwork host = ip_network_of(&value->as.ip, 128);
      keyset_key_add_network(buffer, &host);
      return;
    }
    case TYPE_NET: {
      /* A key is an ip where entries are networks. */
      IpNetwork host = value->type == TYPE_IP ? ip_network_of(&value->as.ip, 128) : value->as.net;
      keyset_key_add_network(buffer, &host);
      return;
    }
    case TYPE_ADDRESS:
      keyset_key_add_address(buffer, value->as.address);
      return;
    case TYPE_DOMAIN:
    case TYPE_ENUM:
      key_buffer_add_lower(buffer, value->as.text);
      return;
    case TYPE_STRING:
      key_buffer_add(buffer, value->as.text.data, value->as.text.length);
      return;
    case TYPE_INT:
    case TYPE_SIZE:
    case TYPE_DURATION:
    case TYPE_TIME:
    case TYPE_DATE:
      key_buffer_add(buffer, &value->as.number, sizeof value->as.number);
      return;
    case TYPE_DECIMAL:
      key_buffer_add(buffer, &value->as.decimal, sizeof value->as.decimal);
      return;
    case TYPE_BOOL:
      key_buffer_add(buffer, value->as.truth ? "1" : "0", 1);
      return;
    case TYPE_LIST:
    case TYPE_ACTION:
    case TYPE_RECORD:
    case TYPE_COUNT:
      break;
  }
  g_assert_not_reached();
}

void keyset_key_add_part(KeyBuffer *buffer, ValueType type, const Value *value) {
  uint32_t length = 0;
  size_t at = buffer->length;
  key_buffer_add(buffer, &length, sizeof length);
  keyset_key_add(buffer, type, value);
  length = (uint32_t)(buffer->length - at - sizeof length);
  memcpy(buffer->data + at, &length, sizeof length);
}

static bool fail(EntryProblem problem, const char *text, Slice right_form) {
  *problem.text = text;
  *problem.right_form = right_form;
  return false;
}

static Slice join(Arena *arena, const char *before, Slice text) {
  return slice_from(arena_printf(arena, "%s%.*s", before, SLICE_ARGS(text)));
}

static bool is_domain_or_literal(Slice domain) {
  return domain_is_valid(domain) || (domain.length > 2 && domain.data[0] == '[' && domain.data[domain.length - 1] == ']');
}

/* "domain" and ".parent"; the normal form goes to *normal. */
static bool read_domain(Arena *arena, Slice text, bool parents, Slice *normal, EntryForm *form, EntryProblem problem) {
  bool parent = text.length > 0 && text.data[0] == '.';
  Slice rest = parent ? slice_from_offset(text, 1) : text;
  *normal = domain_normalize(arena, rest);
  *form = parent ? ENTRY_PARENT : ENTRY_WHOLE;
  if (parent && !parents) {
    return fail(problem, "a parent domain cannot stand in a key that compares whole", *normal);
  }
  if (parent ? domain_is_valid(*normal) : is_domain_or_literal(*normal)) {
    *normal = parent ? join(arena, ".", *normal) : *normal;
    return true;
  }
  if (slice_starts_with(text, SLICE_LITERAL("*.")) && domain_is_valid(domain_normalize(arena, slice_from_offset(text, 2)))) {
    return fail(problem, "'*' is not written in domains; a leading dot means any depth below",
                join(arena, ".", domain_normalize(arena, slice_from_offset(text, 2))));
  }
  ptrdiff_t at = slice_find_last(text, '@');
  if (at >= 0 && domain_is_valid(domain_normalize(arena, slice_from_offset(text, (size_t)at + 1)))) {
    return fail(problem, at == 0 ? "a domain stands without '@'" : "a mail address stands where a domain is expected",
                domain_normalize(arena, slice_from_offset(text, (size_t)at + 1)));
  }
  return fail(problem, text.length ? "not a domain" : "an empty entry", SLICE_EMPTY);
}

static bool read_domain_entry(Arena *arena, Slice text, bool whole, KeyBuffer *buffer, EntryForm *form, EntryProblem problem) {
  Slice normal;
  if (!read_domain(arena, text, !whole, &normal, form, problem)) {
    return false;
  }
  key_buffer_add_lower(buffer, normal);
  return true;
}

static const char not_address[] = "not a mail address, nor one of the forms @domain, domain, .parent and user@";

/* "@domain" */
static bool read_at_domain(Arena *arena, Slice text, KeyBuffer *buffer, EntryProblem problem) {
  Slice written = slice_from_offset(text, 1);
  Slice domain = domain_normalize(arena, written);
  if (is_domain_or_literal(domain)) {
    key_buffer_add(buffer, "@", 1);
    key_buffer_add_lower(buffer, domain);
    return true;
  }
  bool star = slice_starts_with(written, SLICE_LITERAL("*."));
  Slice parent = domain_normalize(arena, slice_from_offset(written, star ? 2 : 1));
  if ((star || slice_starts_with(written, SLICE_LITERAL("."))) && domain_is_valid(parent)) {
    return fail(problem, "domains of any depth below are written with a leading dot only", join(arena, ".", parent));
  }
  return fail(problem, not_address, SLICE_EMPTY);
}

/* "user@domain", "user@", "<>" */
static bool read_whole_address(Arena *arena, Slice text, KeyBuffer *buffer, EntryForm *form, EntryProblem problem) {
  bool user_only = text.length > 1 && text.data[text.length - 1] == '@';
  MailAddress address;
  if (!mail_address_parse(arena, user_only ? slice_make(text.data, text.length - 1) : text, &address)) {
    return fail(problem, not_address, SLICE_EMPTY);
  }
  bool has_domain = address.domain.length > 0;
  if (slice_equal(address.localpart, SLICE_LITERAL("*")) && is_domain_or_literal(address.domain)) {
    return fail(problem, "'*' is not written in addresses; all addresses of a domain are @domain", join(arena, "@", address.domain));
  }
  if (mail_address_is_null(&address) ? user_only : address.localpart.length == 0 || has_domain == user_only) {
    return fail(problem, not_address, SLICE_EMPTY);
  }
  if (has_domain && !is_domain_or_literal(address.domain)) {
    return fail(problem, "the part behind '@' is not a domain", SLICE_EMPTY);
  }
  *form = user_only ? ENTRY_USER : ENTRY_WHOLE;
  keyset_key_add_address(buffer, &address);
  return true;
}

static bool read_address_entry(Arena *arena, Slice text, bool whole, KeyBuffer *buffer, EntryForm *form, EntryProblem problem) {
  if (text.length == 0) {
    return fail(problem, "an empty entry; the null sender is written <>", SLICE_LITERAL("<>"));
  }
  bool has_at = slice_find(text, '@') >= 0;
  bool at_domain = text.data[0] == '@' && slice_find(text, ':') < 0;
  if (whole && (at_domain || !has_at) && text.data[0] != '<') {
    return fail(problem, "a part of an address can never match a key that compares whole", SLICE_EMPTY);
  }
  if (at_domain) {
    *form = ENTRY_AT_DOMAIN;
    return read_at_domain(arena, text, buffer, problem);
  }
  if (has_at || text.data[0] == '<') {
    return read_whole_address(arena, text, buffer, form, problem);
  }
  Slice normal;
  if (!read_domain(arena, text, true, &normal, form, problem)) {
    if (slice_is_empty(*problem.right_form)) {
      *problem.text = not_address;
    }
    return false;
  }
  *form = *form == ENTRY_WHOLE ? ENTRY_DOMAIN : ENTRY_PARENT;
  key_buffer_add_lower(buffer, normal);
  return true;
}

static bool read_network_entry(Arena *arena, ValueType type, Slice text, bool whole, KeyBuffer *buffer, EntryProblem problem) {
  Value value;
  if (!value_parse(arena, TYPE_NET, text, &value, problem.text, problem.right_form)) {
    return false;
  }
  if ((whole || type == TYPE_IP) && value.as.net.prefix < (value.as.net.address.family == 4 ? 32 : 128)) {
    return fail(problem, "a network stands where a single address is expected", SLICE_EMPTY);
  }
  keyset_key_add_network(buffer, &value.as.net);
  return true;
}

/* `whole`: the part compares exactly (a tuple, `keys exact`). */
static bool read_part(Arena *arena, ValueType type, Slice text, bool tuple, bool exact, KeyBuffer *buffer, EntryForm *form,
                      EntryProblem problem) {
  Value value;
  *form = ENTRY_WHOLE;
  switch (type) {
    case TYPE_IP:
    case TYPE_NET:
      return read_network_entry(arena, type, text, tuple, buffer, problem);
    case TYPE_DOMAIN:
      return read_domain_entry(arena, text, tuple, buffer, form, problem);
    case TYPE_ADDRESS:
      return read_address_entry(arena, text, tuple || exact, buffer, form, problem);
    case TYPE_LIST:
    case TYPE_ACTION:
    case TYPE_RECORD:
      return fail(problem, "lists, records and actions cannot be keys", SLICE_EMPTY);
    case TYPE_STRING:
    case TYPE_INT:
    case TYPE_DECIMAL:
    case TYPE_SIZE:
    case TYPE_DURATION:
    case TYPE_TIME:
    case TYPE_DATE:
    case TYPE_BOOL:
    case TYPE_ENUM:
      if (!value_parse(arena, type, text, &value, problem.text, problem.right_form)) {
        return false;
      }
      keyset_key_add(buffer, type, &value);
      return true;
    case TYPE_COUNT:
      break;
  }
  g_assert_not_reached();
}

bool keyset_entry_read(Arena *arena, const KeysetShape *shape, const Slice *parts, KeyBuffer *buffer, EntryForm *form,
                       EntryProblem problem) {
  *problem.right_form = SLICE_EMPTY;
  if (shape->part_count == 1) {
    return read_part(arena, shape->parts[0], parts[0], false, shape->exact, buffer, form, problem);
  }
  for (size_t i = 0; i < shape->part_count; i++) {
    uint32_t length = 0;
    size_t at = buffer->length;
    key_buffer_add(buffer, &length, sizeof length);
    if (!read_part(arena, shape->parts[i], parts[i], true, true, buffer, form, problem)) {
      return false;
    }
    length = (uint32_t)(buffer->length - at - sizeof length);
    memcpy(buffer->data + at, &length, sizeof length);
  }
  *form = ENTRY_WHOLE;
  return true;
}

bool keyset_entry_is_valid(Arena *arena, const KeysetShape *shape, const Slice *parts, const char **problem, Slice *right_form) {
  KeyBuffer buffer;
  EntryForm form;
  key_buffer_init(&buffer);
  bool valid = keyset_entry_read(arena, shape, parts, &buffer, &form, (EntryProblem){problem, right_form});
  key_buffer_clear(&buffer);
  return valid;
}
