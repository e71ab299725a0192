/*
 * socketmap_facts.c: fields of a socket map's key -> facts of a session.
 */
#include "common/door/socketmap.h"

/* Sendmail writes IPv6 addresses with a word before them. */
static Slice without_family(Slice value) {
  static const Slice word = SLICE_LITERAL("IPv6:");
  bool has = value.length >= word.length && slice_equal_fold(slice_make(value.data, word.length), word);
  return has ? slice_from_offset(value, word.length) : value;
}

/* A value over its limit leaves the fact unset, as one that is not there. */
static void borrow(Session *session, Fact fact, Slice value) {
  if (value.length > 0) {
    (void)session_borrow(session, fact, fact_info(fact)->type == TYPE_IP ? without_family(value) : value);
  }
}

/* ---- Addresses ---- */

typedef struct Scan {
  Slice text;
  size_t at;
  bool quoted;
  unsigned angles;
} Scan;

/* The next character that stands for itself: neither in quotes nor behind a backslash. False at the end. */
static bool scan_next(Scan *scan, char *character) {
  while (scan->at < scan->text.length) {
    char next = scan->text.data[scan->at++];
    if (next == '\\') {
      scan->at++;
    } else if (next == '"') {
      scan->quoted = !scan->quoted;
    } else if (!scan->quoted) {
      scan->angles += next == '<';
      scan->angles -= next == '>' && scan->angles > 0;
      *character = next;
      return true;
    }
  }
  return false;
}

static bool has_any(Slice text, const char *characters) {
  Scan scan = {.text = text};
  char next;
  while (scan_next(&scan, &next)) {
    if (strchr(characters, next) != NULL) {
      return true;
    }
  }
  return false;
}

/*
 * Sendmail takes several: between commas, and where neither a comma nor one of ;<( is there also between blanks (sendtolist of recipient.c). Comments are gone when
 * we see the text, so that blanks alone count here.
 */
static bool is_list(Slice text) {
  bool by_blanks = !has_any(text, ",;<(");
  Scan scan = {.text = text};
  char next;
  while (scan_next(&scan, &next)) {
    if (scan.angles == 0 && (next == ',' || (by_blanks && next == ' '))) {
      return true;
    }
  }
  return false;
}

/* What stands in the last pair of <>, as behind a name: Full Name <alice@example.org>. */
static Slice in_angles(Slice text) {
  Scan scan = {.text = text};
  char next;
  size_t start = 0, end = text.length;
  while (scan_next(&scan, &next)) {
    if (next == '<') {
      start = scan.at;
    } else if (next == '>') {
      end = scan.at - 1;
    }
  }
  return start <= end ? slice_trim(slice_make(text.data + start, end - start)) : text;
}

/* ---- The argument ---- */

static void know_etrn(Session *session, Slice argument) {
  /* @domain is the domain with all below it. */
  bool below = argument.length > 0 && argument.data[0] == '@';
  borrow(session, FACT_ETRN_DOMAIN, slice_from_offset(argument, below));
}

static void know_expn(Session *session, Slice argument) {
  Arena *arena = session_arena(session);
  borrow(session, FACT_COMMAND, slice_from(arena_printf(arena, "EXPN %.*s", SLICE_ARGS(argument))));
}

bool socketmap_facts(Session *session, const SocketmapRequest *request, const SocketmapOptions *options) {
  for (int fact = 0; fact < FACT_COUNT; fact++) {
    borrow(session, (Fact)fact, request->values[fact]);
  }
  if (request->values[FACT_SERVICE].length == 0) {
    borrow(session, FACT_SERVICE, slice_from(options->service));
  }
  if (request->values[FACT_SERVER_NAME].length == 0) {
    borrow(session, FACT_SERVER_NAME, slice_from(options->server_name));
  }
  if (request->phase == PHASE_ETRN) {
    know_etrn(session, request->argument);
    return true;
  }
  if (request->phase == PHASE_UNKNOWN) {
    borrow(session, FACT_COMMAND, request->argument);
    return true;
  }
  if (request->phase == PHASE_EXPN) {
    know_expn(session, request->argument);
  }
  if (is_list(request->argument)) {
    return false;
  }
  if (request->phase == PHASE_VRFY) {
    borrow(session, FACT_RECIPIENT, in_angles(request->argument));
  }
  return true;
}
