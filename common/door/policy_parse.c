/*
 * policy_parse.c: one request of the policy protocol, read in place.
 *
 * Lines are read as they come in, each once; a line that is not complete is searched for its end from where the last search stopped. So a request costs the same in one
 * read as in many. The names of attributes are found in a table made from fact.def: one hash of a few letters, one
 * comparison; a line that names what it named in the connection's last request needs the comparison only.
 */
#include "common/door/policy.h"

#include <stddef.h>
#include <string.h>

#include "common/base/limits.h"

enum { ATTRIBUTE_PLACES = 128, NAME_WORDS = 4, NAME_ROOM = NAME_WORDS * 8, NO_SLOT = sizeof(PolicyRequest) };
G_STATIC_ASSERT(ATTRIBUTE_PLACES <= UINT8_MAX); /* PolicyParser.usual counts places from 1 */

typedef struct Attribute {
  Slice name;                 /* empty: a free place */
  size_t slot;                /* where its value goes: the offset of a slice in PolicyRequest */
  uint64_t words[NAME_WORDS]; /* "name=", compared eight bytes at a time */
  uint64_t mask;              /* the bytes of its last word that count */
} Attribute;

typedef struct AttributeTable {
  Attribute places[ATTRIBUTE_PLACES];
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
  g_assert(name.length < NAME_ROOM);
  Attribute *attribute = &table->places[place];
  *attribute = (Attribute){.name = name, .slot = slot};
  memcpy(attribute->words, name.data, name.length);
  ((char *)attribute->words)[name.length] = '=';
  memset(&attribute->mask, 0xff, name.length % 8 + 1);
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

/* SYNTAX: name "=" value; false and *problem when it is none. *usual becomes what the line names. */
static bool parse_line(const AttributeTable *table, Slice line, PolicyRequest *request, uint8_t *usual, const char **problem) {
  const char *equals = memchr(line.data, '=', line.length);
  if (equals == NULL) {
    *problem = "a line without \"=\"";
    return false;
  }
  const Attribute *attribute = attribute_find(table, slice_make(line.data, (size_t)(equals - line.data)));
  *usual = attribute != NULL ? (uint8_t)(attribute - table->places + 1) : 0;
  if (attribute == NULL) {
    return true;
  }
  return take_value(attribute, slice_make(equals + 1, (size_t)(line.data + line.length - (equals + 1))), request, problem);
}

static bool parse_state(PolicyRequest *request) {
  for (size_t i = 0; i < G_N_ELEMENTS(states); i++) {
    if (slice_equal(request->protocol_state, states[i].name)) {
      request->state = states[i].state;
      return true;
    }
  }
  return false;
}

/* At the empty line. */
static PolicyParse request_end(Slice whole, PolicyRequest *request, const Outcomes *out) {
  const char *nul = memchr(whole.data, '\0', whole.length);
  if (nul != NULL) {
    return malformed(out, "a NUL byte", slice_from_offset(whole, (size_t)(nul - whole.data)));
  }
  if (!request->has_request) {
    return malformed(out, "a request without request=smtpd_access_policy", whole);
  }
  if (!parse_state(request)) {
    bool missing = request->protocol_state.data == NULL;
    return malformed(out, missing ? "a request without protocol_state" : "an unknown protocol_state",
                     missing ? whole : request->protocol_state);
  }
  return POLICY_PARSE_REQUEST;
}

/* The line begins with "name=". `room` bytes may be read. */
static inline bool line_names(const Attribute *attribute, const char *line, size_t room) {
  size_t length = attribute->name.length;
  if (room < NAME_ROOM) {
    return room > length && line[length] == '=' && memcmp(line, attribute->name.data, length) == 0;
  }
  size_t last = length / 8;
  uint64_t word;
  for (size_t i = 0; i < last; i++) {
    memcpy(&word, line + i * 8, 8);
    if (word != attribute->words[i]) {
      return false;
    }
  }
  memcpy(&word, line + last * 8, 8);
  return ((word ^ attribute->words[last]) & attribute->mask) == 0;
}

/*
 * Reads lines as long as each names what it named in the last request: an attribute that goes to a slot. What else there is to say about a line (it is not complete, too
 * long, one too many) is left to parse_lines, which begins where this ends. Not inline: the loop wants all registers for itself.
 */
G_GNUC_NO_INLINE static void parse_usual_lines(const AttributeTable *table, PolicyParser *parser, Slice buffer, PolicyRequest *request) {
  const char *line = buffer.data + parser->line, *limit = buffer.data + MIN(buffer.length, (size_t)LIMIT_POLICY_REQUEST);
  unsigned count = parser->count;
  for (; count < LIMIT_POLICY_ATTRIBUTES && parser->usual[count] != 0; count++) {
    const Attribute *attribute = &table->places[parser->usual[count] - 1];
    if (attribute->slot == NO_SLOT || !line_names(attribute, line, (size_t)(limit - line))) {
      break;
    }
    /* Most values are empty. */
    const char *value = line + attribute->name.length + 1;
    const char *newline = value < limit && *value == '\n' ? value : memchr(value, '\n', (size_t)(limit - value));
    if (newline == NULL || newline - line > LIMIT_POLICY_LINE) {
      break;
    }
    Slice *slot = slot_of(attribute, request);
    if (slot->data == NULL) {
      *slot = slice_make(value, (size_t)(newline - value));
    }
    line = newline + 1;
  }
  parser->count = count;
  parser->line = (size_t)(line - buffer.data);
  parser->scanned = MAX(parser->scanned, parser->line);
}

static PolicyParse parse_lines(PolicyParser *parser, Slice buffer, PolicyRequest *request, size_t *used, const Outcomes *out) {
  const AttributeTable *table = attribute_table();
  for (;;) {
    parse_usual_lines(table, parser, buffer, request);
    Slice rest = slice_from_offset(buffer, parser->scanned);
    const char *newline = rest.length ? memchr(rest.data, '\n', rest.length) : NULL;
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
      return request_end(slice_make(buffer.data, end), request, out);
    }
    if (parser->count == LIMIT_POLICY_ATTRIBUTES) {
      return malformed(out, "a request with too many attributes", line);
    }
    const char *problem = NULL;
    if (!parse_line(table, line, request, &parser->usual[parser->count++], &problem)) {
      return malformed(out, problem, line);
    }
  }
}

PolicyParse policy_parse(PolicyParser *parser, Slice buffer, PolicyRequest *request, size_t *used, const char **problem, Slice *excerpt) {
  if (buffer.length == 0) {
    return POLICY_PARSE_MORE;
  }
  if (parser->line == 0 && parser->scanned == 0) {
    *request = (PolicyRequest){.buffer = buffer.data};
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
