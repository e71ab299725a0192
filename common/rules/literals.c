/*
 * literals.c: reads a pattern for the texts that it cannot match without (literals.h).
 *
 * A sequence of atoms needs each of its atoms that must occur at least once; runs of plain characters among them are literals, and so is what a group needs.
 * The best of a sequence is the one whose shortest literal is longest. Alternatives need one of what each needs. Characters are kept in lower case, so that
 * what a flag says of case does not matter; what changes how the rest is read (extended syntax, \Q, verbs, recursion, conditions) makes all of it unknown.
 */
#include "common/rules/literals.h"

enum { NESTING_MAX = 40, RUN_MAX = LITERAL_LENGTH_MAX };

typedef struct Needed {
  Slice items[LITERALS_MAX];
  size_t count; /* 0: nothing is known to be needed */
} Needed;

typedef struct Reader {
  Arena *arena;
  Slice pattern;
  size_t at;
  bool lost; /* something is not understood */
  unsigned depth;
} Reader;

typedef enum AtomKind {
  ATOM_CHARACTER,
  ATOM_OTHER, /* matches something, or nothing, that is not known */
  ATOM_GROUP,
  ATOM_FLAGS, /* (?i): no atom at all */
} AtomKind;

typedef struct Atom {
  AtomKind kind;
  char character;
  Needed needed; /* of a group */
} Atom;

static void read_alternatives(Reader *reader, Needed *needed);

static bool at_end(const Reader *reader) {
  return reader->at >= reader->pattern.length;
}

/* The byte `ahead` of the present place; 0 past the end, which no caller looks for. */
static char peek(const Reader *reader, size_t ahead) {
  return reader->at + ahead < reader->pattern.length ? reader->pattern.data[reader->at + ahead] : '\0';
}

static bool is_digit(char byte) {
  return byte >= '0' && byte <= '9';
}

static bool is_letter(char byte) {
  return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

static void lose(Reader *reader) {
  reader->lost = true;
  reader->at = reader->pattern.length;
}

/* ---- what is needed ---- */

static size_t shortest_of(const Needed *needed) {
  size_t shortest = SIZE_MAX;
  for (size_t i = 0; i < needed->count; i++)
    shortest = needed->items[i].length < shortest ? needed->items[i].length : shortest;
  return needed->count > 0 ? shortest : 0;
}

static void take_better(Needed *best, const Needed *other) {
  size_t one = shortest_of(best), two = shortest_of(other);
  if (two > one || (two == one && other->count < best->count))
    *best = *other;
}

/* ---- atoms ---- */

static Atom character(char byte) {
  Atom atom = {.kind = ATOM_CHARACTER};
  atom.character = byte;
  return atom;
}

static const Atom other_atom = {.kind = ATOM_OTHER};

static Atom read_escape(Reader *reader) {
  static const char classes[] = "dDwWsShHvVNRXbBAZzG", controls[] = "tnrfea", codes[] = "\t\n\r\f\x1b\a";
  char byte = peek(reader, 1);
  bool last = reader->at + 1 >= reader->pattern.length;
  reader->at += 2;
  if (last || byte == '\0') {
    lose(reader);
    return other_atom;
  }
  if (!is_letter(byte) && !is_digit(byte))
    return character(byte);
  if (strchr(classes, byte) != NULL)
    return other_atom;
  const char *control = strchr(controls, byte);
  if (control != NULL)
    return character(codes[control - controls]);
  if (byte < '1' || byte > '9' || is_digit(peek(reader, 0))) /* \1 is what a group matched; \12 may be a character */
    lose(reader);
  return other_atom;
}

/* [:alpha:] inside a class. */
static void read_posix_name(Reader *reader) {
  reader->at += 2;
  if (peek(reader, 0) == '^')
    reader->at++;
  while (is_letter(peek(reader, 0)))
    reader->at++;
  if (peek(reader, 0) == ':' && peek(reader, 1) == ']')
    reader->at += 2;
  else
    lose(reader);
}

/* [x] is x; any other class is not known. */
static Atom read_class(Reader *reader) {
  char only = peek(reader, 1);
  if (reader->at + 2 < reader->pattern.length && peek(reader, 2) == ']' && strchr("^\\[]", only) == NULL) {
    reader->at += 3;
    return character(only);
  }
  reader->at++;
  if (peek(reader, 0) == '^')
    reader->at++;
  if (peek(reader, 0) == ']')
    reader->at++;
  while (!at_end(reader) && peek(reader, 0) != ']') {
    char byte = peek(reader, 0), next = peek(reader, 1);
    if (byte == '\\' && (next == 'Q' || next == 'E'))
      lose(reader);
    else if (byte == '[' && (next == '.' || next == '='))
      lose(reader);
    else if (byte == '[' && next == ':')
      read_posix_name(reader);
    else
      reader->at += byte == '\\' ? 2 : 1;
  }
  if (at_end(reader))
    lose(reader);
  else
    reader->at++;
  return other_atom;
}

/* <name> and 'name', the opening byte at hand. */
static void skip_name(Reader *reader) {
  char end = peek(reader, 0) == '<' ? '>' : '\'';
  reader->at++;
  while (!at_end(reader) && peek(reader, 0) != end)
    reader->at++;
  reader->at++;
}

typedef enum GroupKind { GROUP_PLAIN, GROUP_ASSERTION, GROUP_FLAGS } GroupKind;

/* (?i) and (?i:, the place behind "(?": letters that change nothing of what is said here. */
static GroupKind read_flags(Reader *reader) {
  while (!at_end(reader) && strchr("ims-", peek(reader, 0)) != NULL)
    reader->at++;
  char end = peek(reader, 0);
  reader->at++;
  if (end == ')')
    return GROUP_FLAGS;
  if (end != ':')
    lose(reader);
  return GROUP_PLAIN;
}

/* What stands behind "(?". */
static GroupKind read_group_head(Reader *reader) {
  char first = peek(reader, 0), second = peek(reader, 1);
  switch (first) {
    case ':':
    case '>':
    case '|':
      reader->at++;
      return GROUP_PLAIN;
    case '=':
    case '!':
      reader->at++;
      return GROUP_ASSERTION;
    case '<':
      if (second == '=' || second == '!') {
        reader->at += 2;
        return GROUP_ASSERTION;
      }
      skip_name(reader);
      return GROUP_PLAIN;
    case '\'':
      skip_name(reader);
      return GROUP_PLAIN;
    case 'P':
      if (second != '<')
        break;
      reader->at++;
      skip_name(reader);
      return GROUP_PLAIN;
    case 'i':
    case 'm':
    case 's':
    case '-':
      return read_flags(reader);
    default: /* a byte, not one of our enums */
      break;
  }
  lose(reader);
  return GROUP_PLAIN;
}

static Atom read_group(Reader *reader) {
  Atom atom = {.kind = ATOM_GROUP};
  GroupKind kind = GROUP_PLAIN;
  reader->at++;
  if (peek(reader, 0) == '*' || ++reader->depth > NESTING_MAX) {
    lose(reader);
    return atom;
  }
  if (peek(reader, 0) == '?') {
    reader->at++;
    kind = read_group_head(reader);
  }
  if (kind == GROUP_FLAGS) {
    atom.kind = ATOM_FLAGS;
  } else {
    read_alternatives(reader, &atom.needed);
    if (at_end(reader))
      lose(reader);
    reader->at++;
    if (kind == GROUP_ASSERTION)
      atom.needed.count = 0;
  }
  reader->depth--;
  return atom;
}

static Atom read_atom(Reader *reader) {
  char byte = peek(reader, 0);
  switch (byte) {
    case '\\':
      return read_escape(reader);
    case '[':
      return read_class(reader);
    case '(':
      return read_group(reader);
    case '.':
    case '^':
    case '$':
      reader->at++;
      return other_atom;
    case '*':
    case '+':
    case '?':
    case '{':
      lose(reader);
      return other_atom;
    default: /* a byte, not one of our enums */
      reader->at++;
      return character(byte);
  }
}

/* ---- how often ---- */

static bool is_quantifier(char byte) {
  return byte == '*' || byte == '+' || byte == '?' || byte == '{';
}

/* {2}, {2,} and {2,5}; any other brace might be a character, or not, as the version of PCRE2 has it. */
static bool read_braces(Reader *reader) {
  bool some = false;
  reader->at++;
  if (!is_digit(peek(reader, 0)))
    lose(reader);
  for (; is_digit(peek(reader, 0)); reader->at++)
    some |= peek(reader, 0) != '0';
  if (peek(reader, 0) == ',')
    reader->at++;
  while (is_digit(peek(reader, 0)))
    reader->at++;
  if (peek(reader, 0) != '}')
    lose(reader);
  reader->at++;
  return some;
}

/* Reads a quantifier, if there is one: *some is false when the atom may be missing. */
static bool read_quantifier(Reader *reader, bool *some) {
  *some = true;
  if (at_end(reader) || !is_quantifier(peek(reader, 0)))
    return false;
  if (peek(reader, 0) == '{') {
    *some = read_braces(reader);
  } else {
    *some = peek(reader, 0) == '+';
    reader->at++;
  }
  if (peek(reader, 0) == '?' || peek(reader, 0) == '+')
    reader->at++;
  if (is_quantifier(peek(reader, 0)))
    lose(reader);
  return true;
}

/* ---- sequences and alternatives ---- */

typedef struct Characters {
  char bytes[RUN_MAX];
  size_t length;
} Characters;

static void end_run(Reader *reader, Characters *characters, Needed *best) {
  if (characters->length >= LITERAL_LENGTH_MIN) {
    Needed run = {.count = 1};
    run.items[0] = slice_lower(reader->arena, slice_make(characters->bytes, characters->length));
    take_better(best, &run);
  }
  characters->length = 0;
}

static void read_sequence(Reader *reader, Needed *best) {
  Characters characters = {.length = 0};
  best->count = 0;
  while (!at_end(reader) && peek(reader, 0) != '|' && peek(reader, 0) != ')') {
    Atom atom = read_atom(reader);
    bool some;
    bool repeats = read_quantifier(reader, &some);
    if (atom.kind == ATOM_FLAGS) {
      if (repeats)
        lose(reader);
      continue;
    }
    if (atom.kind == ATOM_CHARACTER && some) {
      if (characters.length == RUN_MAX)
        end_run(reader, &characters, best);
      characters.bytes[characters.length++] = atom.character;
    }
    if (atom.kind != ATOM_CHARACTER || repeats)
      end_run(reader, &characters, best);
    if (atom.kind == ATOM_GROUP && some)
      take_better(best, &atom.needed);
  }
  end_run(reader, &characters, best);
}

static void read_alternatives(Reader *reader, Needed *needed) {
  bool all = true;
  needed->count = 0;
  for (;;) {
    Needed one;
    read_sequence(reader, &one);
    if (one.count == 0 || needed->count + one.count > LITERALS_MAX)
      all = false;
    for (size_t i = 0; i < one.count && all; i++)
      needed->items[needed->count++] = one.items[i];
    if (at_end(reader) || peek(reader, 0) != '|')
      break;
    reader->at++;
  }
  if (!all)
    needed->count = 0;
}

const Literals *literals_of_pattern(Arena *arena, Slice pattern) {
  Reader reader = {.arena = arena, .pattern = pattern};
  Needed needed;
  read_alternatives(&reader, &needed);
  if (reader.lost || !at_end(&reader) || needed.count == 0)
    return NULL;
  Literals *literals = ARENA_NEW(arena, Literals);
  Slice *items = ARENA_NEW_ARRAY(arena, Slice, needed.count);
  memcpy(items, needed.items, needed.count * sizeof *items);
  literals->count = needed.count;
  literals->items = items;
  return literals;
}

bool literals_found(const Literals *literals, Slice text) {
  for (size_t i = 0; i < literals->count; i++) {
    Slice literal = literals->items[i];
    for (size_t at = 0; at + literal.length <= text.length; at++)
      if (slice_equal_fold(literal, slice_make(text.data + at, literal.length)))
        return true;
  }
  return false;
}
