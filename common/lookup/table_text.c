/*
 * table_text.c: reads the lines of a table.
 */
#include "common/lookup/table_text.h"

#include "common/base/limits.h"

typedef struct TableReader {
  const KeysetShape *shape; /* of the keyset */
  const char *tag;          /* that lines of Sendmail's access_db may have */
  const char *name;
  KeysetBuilder *builder;
  Arena *line_arena; /* emptied for each line */
  ResourceFaults *faults;
  unsigned line;
} TableReader;

/* A line's parts, as they are written: for telling where it is wrong. */
typedef struct LineParts {
  Slice key, value;
} LineParts;

/* What goes wrong with a line: the part of the line that it is about, and the right form (both may be empty). */
typedef struct LineProblem {
  const char *text;
  Slice found;
  Slice right_form;
} LineProblem;

static bool is_blank(char byte) {
  return byte == ' ' || byte == '\t';
}

static Slice skip_blanks(Slice text) {
  size_t at = 0;
  while (at < text.length && is_blank(text.data[at])) {
    at++;
  }
  return slice_from_offset(text, at);
}

static bool starts_comment(Slice text) {
  return text.length > 0 && text.data[0] == '#';
}

static bool fail(LineProblem *problem, const char *text, Slice found) {
  problem->text = text;
  problem->found = found;
  return false;
}

/* The bytes of a quoted text that begins with '"', up to and with its end; 0 when it has none. */
static size_t quoted_length(Slice text) {
  for (size_t i = 1; i < text.length; i++) {
    if (text.data[i] == '\\') {
      i++;
    } else if (text.data[i] == '"') {
      return i + 1;
    }
  }
  return 0;
}

/* Without the quotes around it, \" \\ and \n resolved; other backslashes stay. */
static Slice unquote(Arena *arena, Slice quoted) {
  char *text = arena_alloc_text(arena, quoted.length);
  size_t length = 0;
  for (size_t i = 1; i + 1 < quoted.length; i++) {
    char byte = quoted.data[i];
    char next = quoted.data[i + 1];
    if (byte == '\\' && (next == '"' || next == '\\' || next == 'n')) {
      byte = next == 'n' ? '\n' : next;
      i++;
    }
    text[length++] = byte;
  }
  return slice_make(text, length);
}

/* A word up to the next blank; what stands wholly in quotes loses them; an address may begin with a quoted localpart ("a b"@c). */
static bool take_key(Arena *arena, Slice *rest, Slice *key, LineProblem *problem) {
  Slice text = *rest;
  size_t length = 0;
  bool quoted = text.data[0] == '"';
  if (quoted) {
    length = quoted_length(text);
    if (length == 0) {
      return fail(problem, "the quote is not closed", text);
    }
  }
  size_t quote_end = length;
  while (length < text.length && !is_blank(text.data[length])) {
    length++;
  }
  *key = slice_make(text.data, length);
  if (quoted && quote_end == length) {
    *key = unquote(arena, *key);
  }
  *rest = skip_blanks(slice_from_offset(text, length));
  return true;
}

/* The rest of a line as a map's value. */
static bool take_value(Arena *arena, Slice rest, Slice *value, LineProblem *problem) {
  if (rest.length == 0 || starts_comment(rest)) {
    return fail(problem, "the value is missing: a line of a map is a key, a blank and a value", SLICE_EMPTY);
  }
  if (slice_starts_with(rest, SLICE_LITERAL("->"))) {
    return fail(problem, "in a file key and value stand with a blank between them, without '->'", rest);
  }
  if (rest.data[0] == '"') {
    size_t length = quoted_length(rest);
    if (length == 0) {
      return fail(problem, "the quote is not closed", rest);
    }
    *value = unquote(arena, slice_make(rest.data, length));
    Slice behind = slice_from_offset(rest, length);
    Slice more = skip_blanks(behind);
    if (more.length > 0 && (!starts_comment(more) || more.length == behind.length)) {
      return fail(problem, "something stands behind the quoted value", more);
    }
    return true;
  }
  size_t end = 1;
  while (end < rest.length && !(rest.data[end] == '#' && is_blank(rest.data[end - 1]))) {
    end++;
  }
  *value = slice_trim(slice_make(rest.data, end));
  return true;
}

static bool take_line(TableReader *reader, Slice line, Slice *parts, Slice *value, LineParts *written, LineProblem *problem) {
  Slice rest = line;
  for (size_t i = 0; i < reader->shape->part_count; i++) {
    if (rest.length == 0 || starts_comment(rest)) {
      return fail(problem, "a part of the key is missing: the parts of a tuple stand on one line with blanks between", line);
    }
    if (!take_key(reader->line_arena, &rest, &parts[i], problem)) {
      return false;
    }
  }
  written->key = slice_trim(slice_make(line.data, line.length - rest.length));
  written->value = rest;
  if (reader->shape->has_value) {
    return take_value(reader->line_arena, rest, value, problem);
  }
  if (rest.length > 0 && !starts_comment(rest)) {
    return fail(problem, "a set has one entry a line (quote an entry that holds blanks)", rest);
  }
  return true;
}

/* Whether the key is what the builder did not take. */
static bool is_key_bad(TableReader *reader, const Slice *parts) {
  const char *text;
  Slice right_form;
  return !keyset_entry_is_valid(reader->line_arena, reader->shape, parts, &text, &right_form);
}

/* "192.0.2" of access(5) -> "192.0.2.0/24"; else nothing. */
static Slice network_of_octets(Arena *arena, Slice text) {
  size_t octets = 1;
  IpNetwork network;
  for (size_t i = 0; i < text.length; i++) {
    octets += text.data[i] == '.';
  }
  if (octets > 3) {
    return SLICE_EMPTY;
  }
  Slice whole = slice_from(arena_printf(arena, "%.*s%s/%zu", SLICE_ARGS(text), &".0.0.0"[2 * (octets - 1)], 8 * octets));
  return ip_network_parse(whole, &network) == IP_NETWORK_OK ? whole : SLICE_EMPTY;
}

static bool check_bytes(Slice line, LineProblem *problem) {
  if (line.length > LIMIT_TABLE_LINE) {
    return fail(problem, "the line is too long", SLICE_EMPTY);
  }
  return slice_find(line, '\0') < 0 || fail(problem, "a NUL byte in the line", SLICE_EMPTY);
}

static bool add_line(TableReader *reader, Slice line, LineProblem *problem) {
  Slice parts[KEYSET_PARTS_MAX] = {{NULL, 0}};
  Slice value = SLICE_EMPTY;
  LineParts written;
  const char *text;
  if (!check_bytes(line, problem)) {
    return false;
  }
  line = slice_trim(line);
  if (line.length == 0 || starts_comment(line)) {
    return true;
  }
  if (!take_line(reader, line, parts, &value, &written, problem)) {
    return false;
  }
  if (keyset_builder_add(reader->builder, parts, value, &text, &problem->right_form)) {
    return true;
  }
  if (reader->shape->part_count == 1 && reader->shape->parts[0] == TYPE_NET && problem->right_form.length == 0) {
    problem->right_form = network_of_octets(reader->line_arena, parts[0]);
  }
  return fail(problem, text, reader->shape->has_value && !is_key_bad(reader, parts) ? written.value : written.key);
}

/* `"x" is not a whole number`, `"10.0.0.1/8": host bits are set` */
static const char *message_of(Arena *arena, const LineProblem *problem) {
  if (problem->found.length == 0) {
    return problem->text;
  }
  Slice found = slice_quote(arena, problem->found, LIMIT_QUOTE);
  return arena_printf(arena, "\"%.*s\"%s %s", SLICE_ARGS(found), g_str_has_prefix(problem->text, "not ") ? " is" : ":", problem->text);
}

static void tell(TableReader *reader, Slice line, const LineProblem *problem) {
  ResourceFaults *faults = reader->faults;
  if (faults->count++ >= RESOURCE_FAULTS_TOLD) {
    return;
  }
  faults->arena = faults->arena ? faults->arena : arena_new(0);
  ResourceFault *fault = &faults->told[faults->told_count++];
  bool has_place = problem->found.length > 0;
  fault->source.name = slice_to_string(faults->arena, slice_from(reader->name));
  fault->source.text = slice_copy(faults->arena, slice_make(line.data, MIN(line.length, (size_t)LIMIT_TABLE_LINE)));
  fault->source.lines_before = reader->line - 1;
  fault->offset = has_place ? (size_t)(problem->found.data - line.data) : 0;
  fault->length = has_place ? problem->found.length : fault->source.text.length;
  fault->message = message_of(faults->arena, problem);
  if (problem->right_form.length) {
    Slice right = slice_quote(faults->arena, problem->right_form, LIMIT_QUOTE);
    fault->expected = arena_printf(faults->arena, "write %.*s", SLICE_ARGS(right));
  }
}

static void read_lines(TableReader *reader, Slice text) {
  bool more = true;
  while (more) {
    Slice line = slice_split(text, '\n', &text, &more);
    LineProblem problem = {.text = NULL};
    reader->line++;
    arena_reset(reader->line_arena);
    if (!add_line(reader, line, &problem)) {
      tell(reader, line, &problem);
    }
  }
}

/* ---- the texts of access(5) and access_db ---- */

/* Up to the next blank outside of quotes, which stay: postmap's key. */
static Slice postfix_key(Slice line) {
  size_t length = 0;
  bool quoted = false;
  while (length < line.length && (quoted || !is_blank(line.data[length]))) {
    quoted ^= line.data[length] == '"';
    length += line.data[length] == '\\' && length + 1 < line.length ? 2 : 1;
  }
  return slice_make(line.data, length);
}

static Slice sendmail_key(Slice line) {
  size_t length = 0;
  while (length < line.length && !is_blank(line.data[length])) {
    length++;
  }
  return slice_make(line.data, length);
}

/* "Connect:", "To:", of a line that is not for this table; not "IPv6:". */
static bool has_other_tag(const TableReader *reader, Slice key) {
  size_t length = 0;
  while (length < key.length && (g_ascii_isalnum(key.data[length]) || key.data[length] == '_')) {
    length++;
  }
  Slice tag = slice_make(key.data, length);
  return length < key.length && key.data[length] == ':' && !slice_equal_fold(tag, SLICE_LITERAL("ipv6")) &&
         !(reader->tag && slice_equal_fold(tag, slice_from(reader->tag)));
}

/* One entry, however many lines it had. The rest of the line is the value: neither program knows comments there. */
static bool add_entry(TableReader *reader, bool sendmail, Slice line, LineProblem *problem) {
  const char *text;
  if (!check_bytes(line, problem)) {
    return false;
  }
  if (is_blank(line.data[0])) {
    return fail(problem, sendmail ? "a line begins with a blank" : "nothing stands before the line that this one continues", SLICE_EMPTY);
  }
  Slice written = sendmail ? sendmail_key(line) : postfix_key(line);
  Slice value = slice_trim(slice_from_offset(line, written.length));
  if (sendmail && has_other_tag(reader, written)) {
    return true;
  }
  if (value.length == 0 && reader->shape->has_value) {
    return fail(problem, "the value is missing: a line of a map is a key, a blank and a value", SLICE_EMPTY);
  }
  Slice key = slice_lower(reader->line_arena, written);
  return keyset_builder_add(reader->builder, &key, value, &text, &problem->right_form) || fail(problem, text, value);
}

static void end_entry(TableReader *reader, bool sendmail, GString *entry, unsigned last_line) {
  LineProblem problem = {.text = NULL};
  Slice line = slice_make(entry->str, entry->len);
  arena_reset(reader->line_arena);
  if (line.length > 0 && !add_entry(reader, sendmail, line, &problem)) {
    tell(reader, line, &problem);
  }
  (void)g_string_truncate(entry, 0);
  reader->line = last_line;
}

/* For Postfix a line that begins with a blank goes on with the one before, over comments and empty lines. */
static void read_entries(TableReader *reader, bool sendmail, Slice text) {
  bool more = true;
  unsigned number = 0;
  g_autoptr(GString) entry = g_string_new(NULL); /* begins at reader->line */
  while (more) {
    Slice line = slice_split(text, '\n', &text, &more);
    Slice shown = slice_trim(line);
    number++;
    if (shown.length == 0 || starts_comment(sendmail ? line : shown)) {
      continue;
    }
    bool goes_on = !sendmail && is_blank(line.data[0]) && entry->len > 0;
    if (!goes_on) {
      end_entry(reader, sendmail, entry, number);
    }
    line.length = (size_t)(shown.data + shown.length - line.data);
    if (entry->len <= LIMIT_TABLE_LINE) {
      g_string_append_len(entry, line.data, (gssize)line.length);
    }
  }
  end_entry(reader, sendmail, entry, number);
}

/* ---- all ---- */

KeysetShape table_text_shape(const KeysetShape *shape) {
  if (shape->order == KEY_ORDER_RULES) {
    return *shape;
  }
  return (KeysetShape){.part_count = 1, .parts = {TYPE_STRING}, .has_value = shape->has_value, .value = shape->value};
}

Keyset *table_text_read(const KeysetShape *shape, const char *name, Slice text, ResourceFaults *faults) {
  g_autoptr(Arena) line_arena = arena_new(0);
  KeysetShape own = table_text_shape(shape);
  TableReader reader = {
      .shape = &own, .tag = shape->tag, .name = name, .builder = keyset_builder_new(&own), .line_arena = line_arena, .faults = faults};
  *faults = (ResourceFaults){.count = 0};
  if (slice_starts_with(text, SLICE_LITERAL("\xEF\xBB\xBF"))) {
    text = slice_from_offset(text, 3);
  }
  switch (shape->order) {
    case KEY_ORDER_RULES:
      read_lines(&reader, text);
      break;
    case KEY_ORDER_POSTFIX:
    case KEY_ORDER_SENDMAIL:
      read_entries(&reader, shape->order == KEY_ORDER_SENDMAIL, text);
      break;
  }
  return keyset_builder_end(reader.builder);
}
