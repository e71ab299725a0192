/*
 * policy_parse.c: one request of the policy protocol, read in place.
 *
 * Lines are read as they come in, each once; a line that is not complete is searched for its end from where the last search stopped. So a request costs the same in one
 * read as in many. The names of attributes are found in a table made from fact.def: one hash of a few letters, one
 * comparison.
 *
 * Postfix sends the same attributes in one order, and most have the values of the last request. So a connection keeps the text of a request as a pattern: where
 * a request is held against it byte by byte, what is equal needs no look at its lines, and where it differs in a value only that value is read.
 */
#include "common/door/policy.h"

#include <stddef.h>
#include <string.h>

#include "common/base/byte_find.h"
#include "common/base/limits.h"

enum { ATTRIBUTE_PLACES = 128, NO_SLOT = sizeof(PolicyRequest) };
G_STATIC_ASSERT(ATTRIBUTE_PLACES <= UINT8_MAX); /* PolicyPatternLine.place counts places from 1 */
G_STATIC_ASSERT(sizeof(PolicyRequest) <= UINT16_MAX);

typedef struct Attribute {
  Slice name;  /* empty: a free place */
  size_t slot; /* where its value goes: the offset of a slice in PolicyRequest */
} Attribute;

typedef struct AttributeTable {
  Attribute places[ATTRIBUTE_PLACES];
  size_t request_size; /* read from here, the compiler does not know it and calls memset, which is quicker than what it writes itself */
} AttributeTable;

/* Attributes that are not simply a fact. */
static const struct {
  const char *name;
  size_t slot;
} special_attributes[] = {
    {"request", NO_SLOT}, /* checked where it stands */
    {"protocol_state", offsetof(PolicyRequest, protocol_state)},
    {"policy_context", offsetof(PolicyRequest, policy_context)}, /* two facts */
    {"size", offsetof(PolicyRequest, size)},                     /* two facts */
};

static const struct {
  Slice name;
  PolicyState state;
  Phase phase;
} states[] = {
    {SLICE_LITERAL("CONNECT"), POLICY_STATE_CONNECT, PHASE_CONNECT},
    {SLICE_LITERAL("EHLO"), POLICY_STATE_EHLO, PHASE_HELO},
    {SLICE_LITERAL("HELO"), POLICY_STATE_HELO, PHASE_HELO},
    {SLICE_LITERAL("MAIL"), POLICY_STATE_MAIL, PHASE_MAIL},
    {SLICE_LITERAL("RCPT"), POLICY_STATE_RCPT, PHASE_RCPT},
    {SLICE_LITERAL("DATA"), POLICY_STATE_DATA, PHASE_DATA},
    {SLICE_LITERAL("END-OF-MESSAGE"), POLICY_STATE_END_OF_MESSAGE, PHASE_EOM},
    {SLICE_LITERAL("VRFY"), POLICY_STATE_VRFY, PHASE_VRFY},
    {SLICE_LITERAL("ETRN"), POLICY_STATE_ETRN, PHASE_ETRN},
    /* A proxy has named the real client: without smtpd_delay_reject Postfix asks its client restrictions anew. Other names of CONNECT stand behind the states. */
    {SLICE_LITERAL("XCLIENT"), POLICY_STATE_CONNECT, PHASE_CONNECT},
};

static inline size_t attribute_hash(Slice name) {
  return (name.length * 7 + (unsigned char)name.data[0] * 5 + (unsigned char)name.data[name.length - 1] * 3 +
          (unsigned char)name.data[name.length / 2] * 11) %
         ATTRIBUTE_PLACES;
}

static void attribute_add(AttributeTable *table, const char *text, size_t slot) {
  Slice name = slice_from(text);
  size_t place = attribute_hash(name);
  while (table->places[place].name.length > 0) {
    if (slice_equal(table->places[place].name, name)) {
      return; /* the special ones are in first */
    }
    place = (place + 1) % ATTRIBUTE_PLACES;
  }
  table->places[place] = (Attribute){.name = name, .slot = slot};
}

/* Made once, from fact.def; constant afterwards. */
static const AttributeTable *attribute_table(void) {
  static AttributeTable table;
  static gsize made = 0;
  if (g_once_init_enter(&made)) {
    for (size_t i = 0; i < G_N_ELEMENTS(special_attributes); i++) {
      attribute_add(&table, special_attributes[i].name, special_attributes[i].slot);
    }
    for (int fact = 0; fact < FACT_COUNT; fact++) {
      const char *source = fact_info((Fact)fact)->policy_source;
      if (source != NULL && *source != '\0') {
        attribute_add(&table, source, offsetof(PolicyRequest, attributes) + (size_t)fact * sizeof(Slice));
      }
    }
    table.request_size = sizeof(PolicyRequest);
    g_once_init_leave(&made, 1);
  }
  return &table;
}

static const Attribute *attribute_find(const AttributeTable *table, Slice name) {
  if (name.length == 0) {
    return NULL;
  }
  for (size_t place = attribute_hash(name); table->places[place].name.length > 0; place = (place + 1) % ATTRIBUTE_PLACES) {
    if (slice_equal(table->places[place].name, name)) {
      return &table->places[place];
    }
  }
  return NULL;
}

/* ---- Requests ---- */

typedef struct Outcomes {
  const char **problem;
  Slice *excerpt;
} Outcomes;

static PolicyParse malformed(const Outcomes *out, const char *problem, Slice excerpt) {
  *out->problem = problem;
  *out->excerpt = excerpt;
  return POLICY_PARSE_MALFORMED;
}

static void slice_rebase(Slice *slice, const char *from, const char *to) {
  if (slice->data != NULL) {
    slice->data = to + (slice->data - from);
  }
}

/* The buffer has moved between two calls: what was read so far moves with it. */
static void request_rebase(PolicyRequest *request, const char *buffer) {
  for (int fact = 0; fact < FACT_COUNT; fact++) {
    slice_rebase(&request->attributes[fact], request->buffer, buffer);
  }
  slice_rebase(&request->protocol_state, request->buffer, buffer);
  slice_rebase(&request->policy_context, request->buffer, buffer);
  slice_rebase(&request->size, request->buffer, buffer);
  slice_rebase(&request->other, request->buffer, buffer);
  request->buffer = buffer;
}

static inline Slice *slot_of(const Attribute *attribute, PolicyRequest *request) {
  return (Slice *)((char *)request + attribute->slot);
}

/* Of two equal attributes the first stays. */
static bool take_value(const Attribute *attribute, Slice value, PolicyRequest *request, const char **problem) {
  if (attribute->slot == NO_SLOT) {
    *problem = "a request other than smtpd_access_policy";
    request->has_request = request->has_request || slice_equal(value, SLICE_LITERAL("smtpd_access_policy"));
    return request->has_request;
  }
  Slice *slot = slot_of(attribute, request);
  if (slot->data == NULL) {
    *slot = value;
  }
  return true;
}

/* ---- The pattern ---- */

/* Where the value of a line of the pattern goes: to the attribute that it names, if no line before it names the same. */
static uint16_t pattern_slot(const PolicyPattern *pattern, const Attribute *attribute) {
  if (attribute == NULL || attribute->slot == NO_SLOT) {
    return offsetof(PolicyRequest, other);
  }
  for (unsigned i = 0; i < pattern->count; i++) {
    if (pattern->lines[i].slot == attribute->slot) {
      return offsetof(PolicyRequest, other);
    }
  }
  return (uint16_t)attribute->slot;
}

/* The request's line number `at` is this one: the pattern's is so too from now on, if it did not name the same. A long value is left out. */
static void pattern_learn(PolicyPattern *pattern, unsigned at, const Attribute *attribute, uint8_t place, Slice name, Slice value) {
  enum { VALUE_MAX = 64 };
  if (at < pattern->count && pattern->lines[at].place == place) {
    return;
  }
  if (at > pattern->count || at == POLICY_PATTERN_LINES) {
    return;
  }
  pattern->count = at;
  unsigned start = pattern->lines[at].start;
  bool is_request = attribute != NULL && attribute->slot == NO_SLOT;
  if (value.length > VALUE_MAX && !is_request) {
    value = SLICE_EMPTY;
  }
  size_t length = name.length + 1 + value.length + 1;
  if (length > POLICY_PATTERN_TEXT - start) {
    return;
  }
  char *text = pattern->text + start;
  memcpy(text, name.data, name.length);
  text[name.length] = '=';
  if (value.length > 0) {
    memcpy(text + name.length + 1, value.data, value.length);
  }
  text[length - 1] = '\n';
  PolicyPatternLine *line = &pattern->lines[at];
  line->place = place;
  line->slot = pattern_slot(pattern, attribute);
  line->value = (uint16_t)(is_request ? start + length : start + name.length + 1);
  line->length = (uint16_t)value.length;
  if (is_request && at <= pattern->request_line) {
    pattern->request_line = (uint8_t)at;
  } else if (at <= pattern->request_line) {
    pattern->request_line = UINT8_MAX;
  }
  pattern->lines[at + 1].start = (uint16_t)(start + length);
  pattern->lines[at + 2].start = UINT16_MAX;
  pattern->count = at + 1;
}

/*
 * Reads lines as long as each names what the pattern's does. What else there is to say about a line (it is not complete, too long, one too many, wrong) is left to
 * parse_lines, which begins where this ends. Not inline: the loop wants all registers for itself.
 */
G_GNUC_NO_INLINE static void parse_like_pattern(PolicyParser *parser, Slice buffer, PolicyRequest *request) {
  const PolicyPattern *pattern = &parser->pattern;
  const PolicyPatternLine *at = pattern->lines + parser->count, *end = pattern->lines + pattern->count;
  const char *line = buffer.data + parser->line, *limit = buffer.data + MIN(buffer.length, (size_t)LIMIT_POLICY_REQUEST);
  if (line > limit) {
    return;
  }
  while (at < end) {
    const ptrdiff_t shift = line - buffer.data - at->start; /* from the pattern's text to the buffer */
    size_t equal = bytes_common(line, pattern->text + at->start, (size_t)MIN(limit - line, end->start - at->start));
    size_t reach = at->start + equal;
    for (; at[1].start <= reach; at++) { /* ends: behind the last line stands one that begins nowhere */
      *(Slice *)((char *)request + at->slot) = slice_make(buffer.data + (shift + at->value), at->length);
    }
    line = buffer.data + (shift + at->start);
    if (at == end || reach < at->value) {
      break;
    }
    const char *newline = bytes_find(buffer.data + (shift + (ptrdiff_t)reach), limit, '\n');
    if (newline == NULL || newline - line > LIMIT_POLICY_LINE) {
      break;
    }
    const char *value = buffer.data + (shift + at->value);
    *(Slice *)((char *)request + at->slot) = slice_make(value, (size_t)(newline - value));
    line = newline + 1;
    at++;
  }
  parser->count = (unsigned)(at - pattern->lines);
  parser->line = (size_t)(line - buffer.data);
  parser->scanned = MAX(parser->scanned, parser->line);
  request->has_request = request->has_request || parser->count > pattern->request_line;
}

/* ---- Lines ---- */

/* SYNTAX: name "=" value; false and *problem when it is none. */
static bool parse_line(const AttributeTable *table, Slice line, PolicyParser *parser, PolicyRequest *request, const char **problem) {
  const char *equals = memchr(line.data, '=', line.length);
  if (equals == NULL) {
    *problem = "a line without \"=\"";
    return false;
  }
  Slice name = slice_make(line.data, (size_t)(equals - line.data));
  Slice value = slice_make(equals + 1, line.length - name.length - 1);
  const Attribute *attribute = attribute_find(table, name);
  if (attribute != NULL && !take_value(attribute, value, request, problem)) {
    return false;
  }
  uint8_t place = attribute != NULL ? (uint8_t)(attribute - table->places + 1) : 0;
  pattern_learn(&parser->pattern, parser->count++, attribute, place, name, value);
  return true;
}

/* What the last request asked is tried first. */
static bool parse_state(PolicyParser *parser, PolicyRequest *request) {
  if (!slice_equal(request->protocol_state, states[parser->usual_state].name)) {
    size_t at = 0;
    while (at < G_N_ELEMENTS(states) && !slice_equal(request->protocol_state, states[at].name)) {
      at++;
    }
    if (at == G_N_ELEMENTS(states)) {
      return false;
    }
    parser->usual_state = (uint8_t)at;
  }
  request->state = states[parser->usual_state].state;
  return true;
}

/* At the empty line. */
static PolicyParse request_end(PolicyParser *parser, Slice whole, PolicyRequest *request, const Outcomes *out) {
  const char *nul = memchr(whole.data, '\0', whole.length);
  if (nul != NULL) {
    return malformed(out, "a NUL byte", slice_from_offset(whole, (size_t)(nul - whole.data)));
  }
  if (!request->has_request) {
    return malformed(out, "a request without request=smtpd_access_policy", whole);
  }
  if (!parse_state(parser, request)) {
    bool missing = request->protocol_state.data == NULL;
    return malformed(out, missing ? "a request without protocol_state" : "an unknown protocol_state",
                     missing ? whole : request->protocol_state);
  }
  return POLICY_PARSE_REQUEST;
}

static PolicyParse parse_lines(PolicyParser *parser, Slice buffer, PolicyRequest *request, size_t *used, const Outcomes *out) {
  const AttributeTable *table = attribute_table();
  for (;;) {
    if (parser->count < parser->pattern.count) {
      parse_like_pattern(parser, buffer, request);
    }
    Slice rest = slice_from_offset(buffer, parser->scanned);
    const char *newline = bytes_find(rest.data, rest.data + rest.length, '\n');
    size_t end = newline ? (size_t)(newline - buffer.data) : buffer.length;
    Slice line = slice_make(buffer.data + parser->line, end - parser->line);
    if (line.length > LIMIT_POLICY_LINE) {
      return malformed(out, "a line that is too long", line);
    }
    if (end > LIMIT_POLICY_REQUEST) {
      return malformed(out, "a request that is too long", line);
    }
    if (newline == NULL) {
      parser->scanned = end;
      return POLICY_PARSE_MORE;
    }
    parser->line = parser->scanned = end + 1;
    if (line.length == 0) {
      *used = end + 1;
      return request_end(parser, slice_make(buffer.data, end), request, out);
    }
    if (parser->count == LIMIT_POLICY_ATTRIBUTES) {
      return malformed(out, "a request with too many attributes", line);
    }
    const char *problem = NULL;
    if (!parse_line(table, line, parser, request, &problem)) {
      return malformed(out, problem, line);
    }
  }
}

PolicyParse policy_parse(PolicyParser *parser, Slice buffer, PolicyRequest *request, size_t *used, const char **problem, Slice *excerpt) {
  if (buffer.length == 0) {
    return POLICY_PARSE_MORE;
  }
  if (parser->line == 0 && parser->scanned == 0) {
    memset(request, 0, attribute_table()->request_size);
    request->buffer = buffer.data;
  } else if (request->buffer != buffer.data) {
    request_rebase(request, buffer.data);
  }
  PolicyParse result = parse_lines(parser, buffer, request, used, &(Outcomes){problem, excerpt});
  if (result != POLICY_PARSE_MORE) {
    parser->line = parser->scanned = 0;
    parser->count = 0;
  }
  return result;
}

Phase policy_phase(const PolicyRequest *request) {
  return states[request->state].phase;
}
