/*
 * regex_plain.c: reads a pattern by a grammar that is a part of PCRE2's, of the older PCRE's and of Hyperscan's (regex_plain.h). Whatever one of them reads in
 * another way, or only newer versions read so ({,3}, flags inside, classes with [ in them), is left out.
 */
#include "common/rules/regex_plain.h"

#include "common/base/limits.h"

enum { NESTING_MAX = 20, LENGTH_MAX = 512, REPEATS_MAX = 256, ENDLESS = 1 << 20, FRAMES_MAX = 300 };

/* Large enough for each limit, and its square fits. */
static const uint64_t countless = (uint64_t)1 << 31;

typedef struct Bytes {
  bool has[256];
} Bytes;

/* Of a part of a pattern, upper bounds in a text of Reader.length bytes. */
typedef struct Part {
  uint64_t ways;       /* how often what follows is tried, for one start */
  uint64_t calls;      /* what PCRE2 counts as steps, what follows left out */
  uint64_t empty_ways; /* the same two when the next byte is there, and none that the part may begin with */
  uint64_t empty_calls;
  uint64_t frames;    /* ways back that are kept at the same time */
  size_t size, least; /* of its automaton; bytes that it matches at least */
  Bytes first;        /* it may begin with */
  bool is_anchor;
  bool is_bound; /* it begins with ^ or \A */
  bool is_run;   /* a character or class, perhaps repeated: it consists of bytes of `first` */
} Part;

typedef struct Reader {
  Slice pattern;
  size_t at;
  size_t length; /* of the text */
  unsigned depth;
  const char *refusal; /* the first one */
} Reader;

static const char unusual[] = "it holds more than characters, classes, groups, alternatives, repeats and anchors";
static const char too_large[] = "it is too long or repeats too much";

static Part read_alternatives(Reader *reader);

static char peek(const Reader *reader, size_t ahead) {
  return reader->at + ahead < reader->pattern.length ? reader->pattern.data[reader->at + ahead] : '\0';
}

static void refuse(Reader *reader, const char *refusal) {
  if (reader->refusal == NULL)
    reader->refusal = refusal;
  reader->at = reader->pattern.length;
}

static bool is_digit(char byte) {
  return byte >= '0' && byte <= '9';
}

static bool is_alphanumeric(char byte) {
  return is_digit(byte) || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

static bool is_hexadecimal(char byte) {
  return is_digit(byte) || (byte >= 'a' && byte <= 'f') || (byte >= 'A' && byte <= 'F');
}

/* A visible character or a blank of ASCII that means itself outside of classes. */
static bool is_literal(char byte) {
  return byte >= ' ' && byte <= '~' && strchr("\\^$.[]{}()|*+?", byte) == NULL;
}

/* ---- counting ---- */

static uint64_t sum(uint64_t a, uint64_t b) {
  return MIN(a + b, countless);
}

static uint64_t product(uint64_t a, uint64_t b) {
  return MIN(a * b, countless);
}

static Part nothing(void) {
  return (Part){.ways = 1, .empty_ways = 1};
}

static bool meet(const Bytes *a, const Bytes *b) {
  for (int i = 0; i < 256; i++) {
    if (a->has[i] && b->has[i])
      return true;
  }
  return false;
}

static void add_bytes(Bytes *bytes, const Bytes *more) {
  for (int i = 0; i < 256; i++)
    bytes->has[i] |= more->has[i];
}

/* Whether case counts is not asked: both cases are taken, so that a set is too large rather than too small. */
static void fold(Bytes *bytes) {
  for (int i = 'a'; i <= 'z'; i++)
    bytes->has[i] = bytes->has[i - 'a' + 'A'] = bytes->has[i] || bytes->has[i - 'a' + 'A'];
}

/*
 * `part`, then `rest`. Where the rest can begin with no byte of a run, it is tried at each place of the run, and goes on only from the last one.
 */
static Part sequence_of(const Part *part, const Part *rest) {
  bool is_cut = part->is_run && rest->empty_ways == 0 && !meet(&part->first, &rest->first);
  Part both = *part;
  both.is_run = both.is_anchor = false;
  both.calls = is_cut ? sum(part->calls, sum(product(part->ways, 1 + rest->empty_calls), rest->calls))
                      : sum(part->calls, product(part->ways, sum(1, rest->calls)));
  both.ways = is_cut ? rest->ways : product(part->ways, rest->ways);
  both.empty_calls = sum(part->empty_calls, product(part->empty_ways, sum(1, rest->empty_calls)));
  both.empty_ways = product(part->empty_ways, rest->empty_ways);
  both.frames = sum(part->frames, rest->frames);
  both.size = part->size + rest->size;
  both.least = part->least + rest->least;
  if (part->least == 0)
    add_bytes(&both.first, &rest->first);
  return both;
}

static Part either_of(const Part *one, const Part *other) {
  Part both = *one;
  both.is_run = both.is_anchor = both.is_bound = false;
  both.calls = sum(1, sum(one->calls, other->calls));
  both.ways = sum(one->ways, other->ways);
  both.empty_calls = sum(1, sum(one->empty_calls, other->empty_calls));
  both.empty_ways = sum(one->empty_ways, other->empty_ways);
  both.frames = 1 + MAX(one->frames, other->frames);
  both.size = one->size + other->size;
  both.least = MIN(one->least, other->least);
  add_bytes(&both.first, &other->first);
  return both;
}

typedef struct Repeat {
  size_t low, high;
  bool is_there;
} Repeat;

static Part run_of(const Part *part, Repeat repeat, size_t length) {
  Part run = *part;
  size_t high = MIN(repeat.high, length);
  run.ways = high > repeat.low ? high - repeat.low + 1 : 1;
  run.calls = sum(high, 2);
  run.empty_ways = repeat.low == 0;
  run.empty_calls = 2;
  run.frames = 2;
  run.least = repeat.low;
  return run;
}

/* A group: with each turn all its ways once more. One without end that may match nothing is beyond counting. */
static Part group_of(const Part *part, Repeat repeat, size_t length) {
  Part group = *part;
  size_t high = repeat.high;
  bool is_endless = high >= ENDLESS && part->least == 0;
  if (high >= ENDLESS)
    high = repeat.low + length / MAX(part->least, 1) + 1;
  group.is_run = group.is_anchor = false;
  group.ways = group.empty_ways = 0;
  group.calls = group.empty_calls = 4;
  uint64_t ways = 1, empty_ways = 1;
  for (size_t turn = 0; turn <= high; turn++) {
    if (turn >= repeat.low) {
      group.ways = sum(group.ways, ways);
      group.empty_ways = sum(group.empty_ways, empty_ways);
    }
    group.calls = sum(group.calls, product(ways, sum(4, part->calls)));
    group.empty_calls = sum(group.empty_calls, product(empty_ways, sum(4, part->empty_calls)));
    ways = product(ways, part->ways);
    empty_ways = product(empty_ways, part->empty_ways);
  }
  if (is_endless)
    group.ways = group.calls = group.empty_ways = group.empty_calls = countless;
  /* Turns that match nothing end a repeat, so there are no more than bytes and those that must be. */
  group.frames = product(high + 1, part->frames + 2);
  group.least = part->least * repeat.low;
  return group;
}

/* ---- escapes ---- */

typedef enum Escape { ESCAPE_CHARACTER, ESCAPE_CLASS, ESCAPE_ANCHOR } Escape;

static bool is_of_class(char name, int byte) {
  switch (name) {
    case 'd':
      return is_digit((char)byte);
    case 'w':
      return byte == '_' || is_alphanumeric((char)byte);
    case 's':
      return byte == ' ' || (byte >= '\t' && byte <= '\r');
    default:
      return !is_of_class((char)(name - 'A' + 'a'), byte);
  }
}

static int hexadecimal(char byte) {
  return is_digit(byte) ? byte - '0' : (byte | 0x20) - 'a' + 10;
}

/* What it stands for is added; *byte: the character. */
static Escape read_escape(Reader *reader, Bytes *bytes, int *byte) {
  char name = peek(reader, 1);
  const char *control = name != '\0' ? strchr("tnrf", name) : NULL;
  bool is_code = name == 'x' && is_hexadecimal(peek(reader, 2)) && is_hexadecimal(peek(reader, 3));
  *byte = is_code ? hexadecimal(peek(reader, 2)) * 16 + hexadecimal(peek(reader, 3)) : (unsigned char)name;
  if (control != NULL)
    *byte = name == 't' ? '\t' : name == 'n' ? '\n' : name == 'r' ? '\r' : '\f';
  reader->at += is_code ? 4 : 2;
  if (is_code || control != NULL || (name > ' ' && name <= '~' && !is_alphanumeric(name))) {
    bytes->has[*byte] = true;
    return ESCAPE_CHARACTER;
  }
  if (name != '\0' && strchr("dDwWsS", name) != NULL) {
    for (int i = 0; i < 256; i++)
      bytes->has[i] |= is_of_class(name, i);
    return ESCAPE_CLASS;
  }
  if (name == '\0' || strchr("bBAzZ", name) == NULL)
    refuse(reader, unusual);
  return ESCAPE_ANCHOR;
}

/* ---- classes ---- */

/* [:alpha:] inside of one. Those that know case are left out. */
static void read_posix_name(Reader *reader, Bytes *bytes) {
  static const struct {
    const char *name;
    const char *more; /* beside letters and digits */
    bool letters, digits;
  } names[] = {{"[:alpha:]", "", true, false},
               {"[:digit:]", "", false, true},
               {"[:alnum:]", "", true, true},
               {"[:space:]", " \t\n\v\f\r", false, false},
               {"[:punct:]", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", false, false},
               {"[:xdigit:]", "abcdefABCDEF", false, true}};
  Slice rest = slice_from_offset(reader->pattern, reader->at);
  for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
    if (!slice_starts_with(rest, slice_from(names[i].name)))
      continue;
    for (int byte = 1; byte < 128; byte++)
      bytes->has[byte] |=
          (is_digit((char)byte) ? names[i].digits : is_alphanumeric((char)byte) && names[i].letters) || strchr(names[i].more, byte) != NULL;
    reader->at += strlen(names[i].name);
    return;
  }
  refuse(reader, unusual);
}

/* One character, or what stands for several: true for the former. */
static bool read_class_item(Reader *reader, Bytes *bytes, int *character) {
  char byte = peek(reader, 0);
  if (byte == '[') {
    read_posix_name(reader, bytes);
    return false;
  }
  if (byte == '\\') {
    Escape escape = read_escape(reader, bytes, character);
    if (escape == ESCAPE_ANCHOR)
      refuse(reader, unusual);
    return escape == ESCAPE_CHARACTER;
  }
  if (byte < ' ' || byte > '~')
    refuse(reader, unusual);
  *character = (unsigned char)byte;
  bytes->has[*character] = true;
  reader->at++;
  return true;
}

static void read_class(Reader *reader, Bytes *bytes) {
  bool is_negated = peek(reader, 1) == '^';
  reader->at += is_negated ? 2 : 1;
  if (peek(reader, 0) == ']')
    refuse(reader, unusual);
  while (reader->at < reader->pattern.length && peek(reader, 0) != ']') {
    int from = 0, to = 0;
    bool is_character = read_class_item(reader, bytes, &from);
    if (peek(reader, 0) != '-' || peek(reader, 1) == ']')
      continue;
    /* A hyphen behind an item is a range's, or it is not plain what it is. */
    reader->at++;
    if (!is_character || !read_class_item(reader, bytes, &to))
      refuse(reader, unusual);
    for (; from <= to; from++)
      bytes->has[from] = true;
  }
  reader->at++;
  for (int i = 0; i < 256 && is_negated; i++)
    bytes->has[i] = !bytes->has[i];
}

/* ---- atoms, repeats ---- */

static Part read_group(Reader *reader) {
  if (++reader->depth > NESTING_MAX)
    refuse(reader, too_large);
  bool is_special = peek(reader, 1) == '?' || peek(reader, 1) == '*';
  if (is_special && (peek(reader, 1) == '*' || peek(reader, 2) != ':'))
    refuse(reader, unusual);
  reader->at += is_special ? 3 : 1;
  Part part = read_alternatives(reader);
  if (reader->refusal == NULL && peek(reader, 0) != ')')
    refuse(reader, unusual);
  reader->at++;
  reader->depth--;
  part.is_run = part.is_anchor = part.is_bound = false;
  return part;
}

/* `$`, \z and \Z do not hold in front of a byte that is no newline; of the others this is not asked. */
static Part anchor_of(char name) {
  Part anchor = nothing();
  anchor.is_anchor = true;
  anchor.is_bound = name == '^' || name == 'A';
  anchor.empty_ways = strchr("$zZ", name) == NULL;
  anchor.first.has['\n'] = true;
  return anchor;
}

static Part read_atom(Reader *reader) {
  char byte = peek(reader, 0);
  Part part = {.ways = 1, .calls = 1, .empty_calls = 1, .frames = 1, .size = 1, .least = 1, .is_run = true};
  if (byte == '(')
    return read_group(reader);
  if (byte == '^' || byte == '$') {
    reader->at++;
    return anchor_of(byte);
  }
  if (byte == '[') {
    read_class(reader, &part.first);
  } else if (byte == '\\') {
    int character = 0;
    char name = peek(reader, 1);
    if (read_escape(reader, &part.first, &character) == ESCAPE_ANCHOR)
      return anchor_of(name);
  } else if (byte == '.') {
    reader->at++;
    memset(part.first.has, true, sizeof part.first.has);
  } else if (is_literal(byte)) {
    part.first.has[(unsigned char)byte] = true;
    reader->at++;
  } else {
    refuse(reader, unusual);
  }
  fold(&part.first);
  return part;
}

static size_t read_number(Reader *reader) {
  size_t number = 0;
  if (!is_digit(peek(reader, 0)))
    refuse(reader, unusual);
  for (; is_digit(peek(reader, 0)); reader->at++)
    number = number > REPEATS_MAX ? number : number * 10 + (size_t)(peek(reader, 0) - '0');
  return number;
}

/* {n}, {n,}, {n,m} */
static Repeat read_braces(Reader *reader) {
  reader->at++;
  Repeat repeat = {.low = read_number(reader), .is_there = true};
  repeat.high = repeat.low;
  if (peek(reader, 0) == ',') {
    reader->at++;
    repeat.high = peek(reader, 0) == '}' ? ENDLESS : read_number(reader);
  }
  if (peek(reader, 0) != '}')
    refuse(reader, unusual);
  reader->at++;
  return repeat;
}

static Repeat read_repeat(Reader *reader) {
  char byte = peek(reader, 0);
  Repeat repeat = {.low = byte == '+', .high = byte == '?' ? 1 : ENDLESS, .is_there = true};
  if (byte == '\0' || strchr("*+?{", byte) == NULL)
    return (Repeat){1, 1, false};
  if (byte == '{')
    repeat = read_braces(reader);
  else
    reader->at++;
  if (peek(reader, 0) == '?')
    reader->at++;
  byte = peek(reader, 0);
  if (byte != '\0' && strchr("*+?{", byte) != NULL)
    refuse(reader, unusual);
  return repeat;
}

static Part read_item(Reader *reader) {
  bool is_group = peek(reader, 0) == '(';
  Part atom = read_atom(reader);
  Repeat repeat = read_repeat(reader);
  if (atom.is_anchor && repeat.is_there)
    refuse(reader, unusual);
  size_t times = repeat.high < ENDLESS ? repeat.high : repeat.low + 1;
  if (times > REPEATS_MAX || repeat.low > REPEATS_MAX || atom.size * times > REGEX_PLAIN_SIZE_MAX) {
    refuse(reader, too_large);
    return atom;
  }
  Part item = is_group ? group_of(&atom, repeat, reader->length) : repeat.is_there ? run_of(&atom, repeat, reader->length) : atom;
  item.size = atom.size * MAX(times, 1);
  return item;
}

static Part read_sequence(Reader *reader) {
  GArray *items = g_array_new(FALSE, FALSE, sizeof(Part));
  while (reader->at < reader->pattern.length && peek(reader, 0) != '|' && peek(reader, 0) != ')') {
    Part item = read_item(reader);
    g_array_append_val(items, item);
  }
  Part sequence = nothing();
  for (guint i = items->len; i > 0; i--)
    sequence = sequence_of(&g_array_index(items, Part, i - 1), &sequence);
  g_array_unref(items);
  if (sequence.size > REGEX_PLAIN_SIZE_MAX)
    refuse(reader, too_large);
  return sequence;
}

static Part read_alternatives(Reader *reader) {
  Part part = read_sequence(reader);
  while (reader->refusal == NULL && peek(reader, 0) == '|') {
    reader->at++;
    Part other = read_sequence(reader);
    part = either_of(&part, &other);
    if (part.size > REGEX_PLAIN_SIZE_MAX)
      refuse(reader, too_large);
  }
  return part;
}

RegexPlain regex_plain_read(Slice pattern, size_t length) {
  Reader reader = {.pattern = pattern, .length = length};
  if (pattern.length > LENGTH_MAX)
    return (RegexPlain){.refusal = too_large};
  if (slice_starts_with(pattern, SLICE_LITERAL("(?i)")))
    reader.at = 4;
  Part part = read_alternatives(&reader);
  if (reader.at < pattern.length)
    refuse(&reader, unusual);
  /* The search is tried from each byte on; where the pattern is bound to the text's begin, it fails at once from all others. */
  uint64_t calls = sum(2, sum(part.calls, part.ways)), starts = length + 1;
  uint64_t steps = part.is_bound ? sum(calls, 2 * starts) : product(starts, calls);
  return (RegexPlain){reader.refusal, steps, part.frames, part.size};
}

RegexPlain regex_plain(Slice pattern, size_t *longest) {
  static const size_t lengths[] = {REGEX_PLAIN_TEXT_MAX, 200, 128, 96, 64};
  RegexPlain plain = {.refusal = NULL};
  *longest = 0;
  for (size_t i = 0; i < G_N_ELEMENTS(lengths); i++) {
    plain = regex_plain_read(pattern, lengths[i]);
    if (plain.refusal != NULL)
      return plain;
    if (plain.steps <= LIMIT_REGEX_STEPS && plain.frames <= FRAMES_MAX) {
      *longest = lengths[i];
      return plain;
    }
  }
  plain.refusal = "the search for it may take too many steps";
  return plain;
}
