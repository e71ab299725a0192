/*
 * headers.c: header fields as they come -> the list of records, and addresses.
 *
 * GMime decodes the words of RFC 2047 and finds the addresses; what is handed to it is valid UTF-8 of bounded length, and with few enough
 * colons: its parser calls itself for each group within a group.
 */
#include "common/base/limits.h"
#include "common/message/message_internal.h"
#include "common/smtp/record.h"

G_STATIC_ASSERT(HEADER_FIELD_RAW == 2);
enum { HEADER_RECORD_FIELDS = HEADER_FIELD_RAW + 1 };
/* What a field costs beside its text, once it is a value. */
enum { HEADER_VALUE_COST = sizeof(Value) * (1 + HEADER_RECORD_FIELDS) + sizeof(ValueRecord) + sizeof(HeaderField) };
enum { ADDRESS_VALUE_COST = sizeof(Value) + sizeof(MailAddress) };

/* So many in one field are read without GMime. */
enum { SIMPLE_ADDRESSES = 32 };

static const char *const address_names[ADDRESS_FIELD_COUNT] = {"From", "Sender", "Reply-To", "To", "Cc"};

Slice text_as_utf8(Arena *arena, Slice text) {
  if (g_utf8_validate_len(text.data ? text.data : "", text.length, NULL)) {
    return text;
  }
  g_autofree char *valid = g_utf8_make_valid(text.data, (gssize)text.length);
  return slice_copy(arena, slice_from(valid));
}

static bool is_plain(Slice text) {
  for (size_t i = 0; i < text.length; i++) {
    unsigned char byte = (unsigned char)text.data[i];
    if (byte > 0x7e || (byte < 0x20 && byte != '\t') || (byte == '=' && i + 1 < text.length && text.data[i + 1] == '?')) {
      return false;
    }
  }
  return true;
}

static bool is_blank(char byte) {
  return byte == ' ' || byte == '\t';
}

/* Of the encoded word that ends at `end` with "?=": base64 that is not all of whole quartets of letters. */
static bool is_cut_base64(const char *text, const char *end) {
  const char *begin = end;
  while (begin > text && begin[-1] != '?') {
    begin--;
  }
  if (begin - text < 3 || begin[-3] != '?' || g_ascii_tolower(begin[-2]) != 'b') {
    return false;
  }
  bool all_letters = true;
  for (const char *at = begin; at < end; at++) {
    all_letters = all_letters && (g_ascii_isalnum(*at) || *at == '+' || *at == '/');
  }
  return !all_letters || (end - begin) % 4 != 0;
}

/*
 * GMime decodes adjacent words of base64 as one, since some programs split characters over two of them: what stands behind a padded one is
 * lost. An empty word between them keeps them apart. Takes `text`.
 */
static char *part_words(char *text) {
  GString *parted = NULL;
  const char *done = text;
  for (const char *end = strstr(text, "?="); end; end = strstr(end + 1, "?=")) {
    const char *next = end + 2 + strspn(end + 2, " \t");
    if (next[0] == '=' && next[1] == '?' && is_cut_base64(text, end)) {
      parted = parted ? parted : g_string_new(NULL);
      g_string_append_len(parted, done, end + 2 - done);
      g_string_append(parted,
                      " =?utf-8?q?"
                      "?=");
      done = end + 2;
    }
  }
  if (parted == NULL) {
    return text;
  }
  g_string_append(parted, done);
  g_free(text);
  return g_string_free(parted, FALSE);
}

/*
 * RFC 5322 2.2.3: a line end in front of a blank is no part of the text. Another line end was none to whoever sent it on: it parts words.
 */
char *header_unfold(Slice raw) {
  g_autofree char *text = g_malloc(raw.length + 1);
  char *out = text;
  for (const char *at = raw.data, *end = at + raw.length; at < end;) {
    const char *lf = memchr(at, '\n', (size_t)(end - at));
    size_t length = (size_t)((lf ? lf : end) - at);
    size_t cr = lf && length > 0 && lf[-1] == '\r';
    memcpy(out, at, length - cr);
    out += length - cr;
    at = lf ? lf + 1 : end;
    if (lf && at < end && !is_blank(*at)) {
      *out++ = ' ';
    }
  }
  *out = '\0';
  return part_words(g_utf8_validate_len(text, (size_t)(out - text), NULL) ? g_steal_pointer(&text) : g_utf8_make_valid(text, out - text));
}

Slice header_decode(Arena *arena, Slice raw) {
  raw = slice_trim(raw);
  Slice simple;
  if (is_plain(raw)) {
    return raw;
  }
  if (simple_encoded_words(arena, raw, &simple)) {
    return slice_trim(simple);
  }
  g_autofree char *text = header_unfold(raw);
  if (strstr(text, "=?") == NULL) {
    return slice_copy(arena, slice_from(text));
  }
  g_autofree char *decoded = g_mime_utils_header_decode_text(message_parser_options(), text);
  return slice_copy(arena, text_as_utf8(arena, slice_trim(slice_from(decoded))));
}

/* Keeping */

static bool address_is_needed(const MessageNeeds *needs, AddressField which) {
  switch (which) {
    case ADDRESS_FROM:
      return needs->header_from;
    case ADDRESS_SENDER:
      return needs->header_sender;
    case ADDRESS_REPLY_TO:
      return needs->header_reply_to;
    case ADDRESS_TO:
      return needs->header_to;
    case ADDRESS_CC:
      return needs->header_cc;
    case ADDRESS_FIELD_COUNT:
    case ADDRESS_NONE:
      return false;
  }
  g_assert_not_reached();
}

/* Nearly every name of a message is another one: the first letter tells. */
static bool is_name(Slice name, const char *other) {
  return name.length > 0 && ((name.data[0] ^ other[0]) & ~0x20) == 0 && slice_equal_fold(name, slice_from(other));
}

static AddressField address_field(const MessageNeeds *needs, Slice name) {
  for (AddressField which = 0; which < ADDRESS_FIELD_COUNT; which++) {
    if (is_name(name, address_names[which]) && address_is_needed(needs, which)) {
      return which;
    }
  }
  return ADDRESS_NONE;
}

static bool is_listed(const MessageNeeds *needs, Slice name) {
  for (size_t i = 0; !needs->all_headers && needs->header_names && needs->header_names[i]; i++) {
    if (is_name(name, needs->header_names[i])) {
      return true;
    }
  }
  return needs->all_headers;
}

static void cannot_keep(Headers *headers, const HeaderField *field, const char *what, size_t limit, const char *of) {
  const char **address_problem = field->address != ADDRESS_NONE ? &headers->address_problem[field->address] : NULL;
  if ((!field->listed || headers->problem) && (address_problem == NULL || *address_problem)) {
    return;
  }
  const char *problem = arena_printf(headers->arena, "%s%zu %s", what, limit, of);
  if (field->listed && headers->problem == NULL) {
    headers->problem = problem;
  }
  if (address_problem && *address_problem == NULL) {
    *address_problem = problem;
  }
}

void headers_take(Headers *headers, const MessageNeeds *needs, Budget *budget, Slice name, Slice raw) {
  HeaderField field = {.listed = is_listed(needs, name), .address = address_field(needs, name)};
  if (!field.listed && field.address == ADDRESS_NONE) {
    return;
  }
  if (headers->fields == NULL) {
    headers->fields = g_array_new(FALSE, FALSE, sizeof(HeaderField));
  }
  if (headers->fields->len >= LIMIT_HEADER_FIELDS) {
    cannot_keep(headers, &field, "more than ", LIMIT_HEADER_FIELDS, "header fields");
    return;
  }
  if (name.length > LIMIT_HEADER_FIELD || raw.length > LIMIT_HEADER_FIELD - name.length) {
    cannot_keep(headers, &field, "a header field of more than ", LIMIT_HEADER_FIELD, "bytes");
    return;
  }
  if (!budget_take(budget, name.length + raw.length + HEADER_VALUE_COST)) {
    cannot_keep(headers, &field, "more than ", budget->limit, "bytes of header fields");
    return;
  }
  field.name = slice_copy(headers->arena, text_as_utf8(headers->arena, name));
  field.raw = slice_copy(headers->arena, raw);
  g_array_append_val(headers->fields, field);
}

/* Values */

Value message_unknown(Arena *arena, ValueType type, const char *reason) {
  Failure *failure = ARENA_NEW(arena, Failure);
  *failure = (Failure){NULL, SLICE_LITERAL("message"), slice_copy(arena, slice_from(reason)), ON_ERROR_TEMPFAIL};
  return (Value){VALUE_UNKNOWN, type, {.failures = failure}};
}

static Value list_value(Arena *arena, const Value *items, size_t count) {
  if (count == 0) {
    return (Value){VALUE_UNSET, TYPE_LIST, {.number = 0}};
  }
  ValueList *list = ARENA_NEW(arena, ValueList);
  *list = (ValueList){count, items};
  return (Value){VALUE_SET, TYPE_LIST, {.list = list}};
}

static bool is_within(Slice part, Slice whole) {
  return part.length == 0 || (part.data >= whole.data && part.data < whole.data + whole.length);
}

/* False: no room for its decoded text. */
static bool header_value(const HeaderField *field, Arena *arena, Budget *budget, Value *value) {
  Slice text = header_decode(arena, field->raw), raw = text_as_utf8(arena, field->raw);
  size_t copied = (is_within(text, field->raw) ? 0 : text.length) + (is_within(raw, field->raw) ? 0 : raw.length);
  if (!budget_take(budget, copied)) {
    return false;
  }
  Value *fields = ARENA_NEW_ARRAY(arena, Value, HEADER_RECORD_FIELDS);
  fields[HEADER_FIELD_NAME] = value_text(field->name);
  fields[HEADER_FIELD_VALUE] = value_text(text);
  fields[HEADER_FIELD_RAW] = value_text(raw);
  ValueRecord *record = ARENA_NEW(arena, ValueRecord);
  *record = (ValueRecord){RECORD_HEADER, fields};
  *value = (Value){VALUE_SET, TYPE_RECORD, {.record = record}};
  return true;
}

Value headers_list(const Headers *headers, Arena *arena, Budget *budget) {
  if (headers->problem) {
    return message_unknown(arena, TYPE_LIST, headers->problem);
  }
  size_t kept = headers->fields ? headers->fields->len : 0, count = 0;
  Value *items = ARENA_NEW_ARRAY(arena, Value, kept);
  for (size_t i = 0; i < kept; i++) {
    const HeaderField *field = &g_array_index(headers->fields, HeaderField, i);
    if (field->listed && !header_value(field, arena, budget, &items[count++])) {
      return message_unknown(arena, TYPE_LIST, arena_printf(arena, "more than %zu bytes of header fields", budget->limit));
    }
  }
  return list_value(arena, items, count);
}

typedef struct AddressList {
  Arena *arena;
  Budget *budget;
  GArray *items; /* of Value */
  const char *problem;
} AddressList;

static void add_address(AddressList *list, Slice text) {
  MailAddress *address = ARENA_NEW(list->arena, MailAddress);
  Slice copy = slice_trim(slice_copy(list->arena, text));
  if (!mail_address_parse(list->arena, copy, address) || mail_address_is_null(address)) {
    return;
  }
  if (list->items->len == LIMIT_HEADER_ADDRESSES) {
    list->problem = arena_printf(list->arena, "more than %d addresses in a header field", LIMIT_HEADER_ADDRESSES);
  } else if (!budget_take(list->budget, ADDRESS_VALUE_COST + 2 * copy.length)) {
    list->problem = arena_printf(list->arena, "more than %zu bytes of header fields", list->budget->limit);
  } else {
    Value value = {VALUE_SET, TYPE_ADDRESS, {.address = address}};
    g_array_append_val(list->items, value);
  }
}

static void add_addresses(AddressList *list, InternetAddressList *found) {
  for (int i = 0; found && list->problem == NULL && i < internet_address_list_length(found); i++) {
    InternetAddress *one = internet_address_list_get_address(found, i);
    if (INTERNET_ADDRESS_IS_GROUP(one)) {
      add_addresses(list, internet_address_group_get_members(INTERNET_ADDRESS_GROUP(one)));
    } else if (INTERNET_ADDRESS_IS_MAILBOX(one)) {
      const char *text = internet_address_mailbox_get_addr(INTERNET_ADDRESS_MAILBOX(one));
      add_address(list, slice_from(text));
    }
  }
}

/* How many times a byte of `bytes` stands in the text. */
static size_t count_bytes(const char *text, const char *bytes) {
  size_t count = 0;
  for (const char *at = strpbrk(text, bytes); at; at = strpbrk(at + 1, bytes)) {
    count++;
  }
  return count;
}

static void read_addresses(AddressList *list, Slice raw) {
  Slice simple[SIMPLE_ADDRESSES];
  size_t count;
  if (simple_addresses(raw, simple, G_N_ELEMENTS(simple), &count)) {
    for (size_t i = 0; i < count && list->problem == NULL; i++) {
      add_address(list, simple[i]);
    }
    return;
  }
  g_autofree char *text = header_unfold(slice_trim(raw));
  /* `Name <user@host>,` and no more: GMime makes an object of each, and a call within a call of each colon. */
  if (count_bytes(text, "@<,;:") > 4 * LIMIT_HEADER_ADDRESSES || count_bytes(text, ":") > LIMIT_HEADER_ADDRESSES) {
    list->problem = arena_printf(list->arena, "more than %d addresses in a header field", LIMIT_HEADER_ADDRESSES);
    return;
  }
  InternetAddressList *found = internet_address_list_parse(message_parser_options(), text);
  add_addresses(list, found);
  g_clear_object(&found);
}

Value headers_addresses(const Headers *headers, AddressField which, Arena *arena, Budget *budget) {
  if (headers->address_problem[which]) {
    return message_unknown(arena, TYPE_LIST, headers->address_problem[which]);
  }
  g_autoptr(GArray) items = g_array_new(FALSE, FALSE, sizeof(Value));
  AddressList list = {arena, budget, items, NULL};
  for (guint i = 0; headers->fields && list.problem == NULL && i < headers->fields->len; i++) {
    const HeaderField *field = &g_array_index(headers->fields, HeaderField, i);
    if (field->address == which) {
      read_addresses(&list, field->raw);
    }
  }
  if (list.problem) {
    return message_unknown(arena, TYPE_LIST, list.problem);
  }
  Value *kept = ARENA_NEW_ARRAY(arena, Value, items->len);
  if (items->len > 0) {
    memcpy(kept, items->data, items->len * sizeof(Value));
  }
  return list_value(arena, kept, items->len);
}
