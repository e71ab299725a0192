/*
 * socketmap_parse.c: one request of a socket map, read in place.
 */
#include <string.h>

#include "common/base/limits.h"
#include "common/base/netstring.h"
#include "common/door/socketmap.h"

static const struct {
  Slice name;
  Phase phase;
} maps[] = {
    {SLICE_LITERAL("mailreeve_vrfy"), PHASE_VRFY},
    {SLICE_LITERAL("mailreeve_expn"), PHASE_EXPN},
    {SLICE_LITERAL("mailreeve_etrn"), PHASE_ETRN},
    {SLICE_LITERAL("mailreeve_other"), PHASE_UNKNOWN},
};

const char *socketmap_name(Phase phase) {
  for (size_t i = 0; i < G_N_ELEMENTS(maps); i++) {
    if (maps[i].phase == phase) {
      return maps[i].name.data;
    }
  }
  return NULL;
}

typedef struct Outcomes {
  const char **problem;
  Slice *excerpt;
} Outcomes;

static SocketmapParse malformed(const Outcomes *out, const char *problem, Slice excerpt) {
  *out->problem = problem;
  *out->excerpt = excerpt;
  return SOCKETMAP_PARSE_MALFORMED;
}

/* ---- The key ---- */

static Slice *find_value(SocketmapRequest *request, Slice name) {
  Fact fact;
  if (!fact_from_name(name, &fact)) {
    return NULL;
  }
  const char *source = fact_info(fact)->socketmap_source;
  return source != NULL && *source != '\0' ? &request->values[fact] : NULL;
}

/* The first "<>"; NULL when there is none. */
static const char *find_mark(Slice key) {
  for (size_t i = 0; i + 1 < key.length; i++) {
    if (key.data[i] == '<' && key.data[i + 1] == '>') {
      return key.data + i;
    }
  }
  return NULL;
}

/* SYNTAX: name "=" value { "<>" name "=" value }, the last one `argument`; what is wrong with it, or NULL. */
static const char *read_fields(Slice key, SocketmapRequest *request) {
  for (;;) {
    Slice value;
    bool found;
    Slice name = slice_trim(slice_split(key, '=', &value, &found));
    if (!found) {
      return "a field without \"=\"";
    }
    if (slice_equal(name, SLICE_LITERAL("argument"))) {
      request->argument = slice_trim(value);
      return NULL;
    }
    const char *mark = find_mark(value);
    if (mark == NULL) {
      return "a key without its argument";
    }
    Slice *place = find_value(request, name);
    if (place != NULL && place->data == NULL) {
      *place = slice_trim(slice_make(value.data, (size_t)(mark - value.data)));
    }
    key = slice_from_offset(value, (size_t)(mark - value.data) + 2);
  }
}

/* check_other is asked with the command, Sendmail's mark between two texts ($|, a byte that no text has) and the first digit of the reply that it will give. */
static void split_command(SocketmapRequest *request) {
  Slice text = request->argument;
  if (text.length >= 2 && (unsigned char)text.data[text.length - 2] == SOCKETMAP_SENDMAIL_MARK) {
    request->is_known = text.data[text.length - 1] == '2';
    request->argument = slice_trim(slice_make(text.data, text.length - 2));
  }
}

static SocketmapParse read_request(Slice payload, SocketmapRequest *request, const Outcomes *out) {
  Slice key;
  bool found;
  Slice name = slice_split(payload, ' ', &key, &found);
  const char *nul = payload.length > 0 ? memchr(payload.data, '\0', payload.length) : NULL;
  if (nul != NULL) {
    return malformed(out, "a NUL byte", slice_from_offset(payload, (size_t)(nul - payload.data)));
  }
  *request = (SocketmapRequest){.kind = SOCKETMAP_NO_MAP, .phase = PHASE_COUNT};
  for (size_t i = 0; i < G_N_ELEMENTS(maps); i++) {
    if (slice_equal(name, maps[i].name)) {
      request->kind = SOCKETMAP_ASKS;
      request->phase = maps[i].phase;
    }
  }
  if (request->kind == SOCKETMAP_NO_MAP) {
    return SOCKETMAP_PARSE_REQUEST;
  }
  if (key.length >= LIMIT_SOCKETMAP_KEY) {
    request->kind = SOCKETMAP_CUT;
    return SOCKETMAP_PARSE_REQUEST;
  }
  const char *problem = read_fields(key, request);
  if (problem != NULL) {
    return malformed(out, problem, payload);
  }
  if (request->phase == PHASE_UNKNOWN) {
    split_command(request);
  }
  return SOCKETMAP_PARSE_REQUEST;
}

SocketmapParse socketmap_parse(Slice buffer, SocketmapRequest *request, size_t *used, const char **problem, Slice *excerpt) {
  const Outcomes out = {problem, excerpt};
  Slice payload;
  switch (netstring_read(buffer, LIMIT_SOCKETMAP_REQUEST, &payload, used, problem, excerpt)) {
    case NETSTRING_MORE:
      return SOCKETMAP_PARSE_MORE;
    case NETSTRING_WHOLE:
      return read_request(payload, request, &out);
    case NETSTRING_BAD:
      return SOCKETMAP_PARSE_MALFORMED;
  }
  g_assert_not_reached();
}
