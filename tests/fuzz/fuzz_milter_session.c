/*
 * fuzz_milter_session.c: the milter's session machine, fed with any events in any order. A line is an event: a letter (C connect, H helo,
 * M mail, R rcpt, T data, L a header, N end of headers, B some of the body, E end of message, U unknown, A abort, Q close, D a macro "NAME VALUE", X the deadline is
 * over), then the arguments, separated by tabs.
 *
 * Promises: an unknown command and a recipient are never answered with ACCEPT or DISCARD; a reply is one that libmilter and the MTAs
 * take; effects come at the end of a message only.
 */
#include "tests/fuzz/fuzz.h"

#include "common/base/limits.h"
#include "common/door/milter_session.h"
#include "common/service/registry.h"

static const char rules_text[] =
    "dnslist zen of ip \"zen.test\" on error tempfail\n"
    "at connect { [c1] reject \"c {client_name}\" if client_address in 192.0.2.0/24\n [c2] disconnect if client_port == 25\n [c3] accept "
    "session if client_name under \"trusted.test\"\n"
    " set session.name = client_name }\n"
    "at helo { [h1] tempfail \"{helo_name}\" if helo_name ~ /%/\n [h2] accept session if helo_name == \"me\"\n [h3] disconnect 521 "
    "\"{helo_name}\" if helo_name == \"out\" }\n"
    "at mail { [m1] reject \"{sender} {size}\" if sender.domain == \"bad\"\n [m2] discard message \"{sender}\" if sender.localpart == "
    "\"trap\"\n"
    " [m3] accept message if sasl_username is set\n [m4] prepend header \"X-S\" \"{sender}\" }\n"
    "at rcpt { [r1] accept recipient if recipient.localpart == \"postmaster\"\n [r2] reject \"{recipient}\" \"{session.name}\" if "
    "recipient.domain == \"no\"\n"
    " [r3] discard message \"trap\" if recipient.localpart == \"trap\"\n [r4] tempfail if client_address in zen\n [r5] set message.last = "
    "recipient "
    "}\n"
    "at data { [d1] reject if recipient_count > 3\n [d2] accept message if recipient_count == 2 }\n"
    "at data { [d3] redirect message \"{sender.localpart}@x.test\" if sender.localpart == \"re\"\n [d4] remove recipient "
    "\"{sender.localpart}@y.test\" }\n"
    "at eom { [h1x] reject \"{header.from}\" if header[\"Subject\"] ~ /spam/ and header.from is set\n"
    " [h2x] tempfail if any attachment has (name ~ /exe$/ or size > 3)\n [h3x] reject if body ~ /^buy/ and not body_truncated\n"
    " [h4x] reject if any header has (name == \"X\" and raw ~ /x/) or \"subject\" in header_duplicates }\n"
    "at eom { [e3] replace header \"Subject\" \"{sender}\"\n [e4] delete header \"X\" 2\n [e5] bcc message \"{sender}\"\n [e6] change "
    "sender "
    "\"{message.last}\" }\n"
    "at eom { [e1] reject \"{message.last}\" if recipient_count is unset\n [e2] quarantine message \"{queue_id}\" }\n"
    "at expn, unknown { [u1] reject \"{command}\" if command ~ /x/ }\n";

static const char *macro_value(void *data, const char *name) {
  return g_hash_table_lookup(data, name);
}

static void check_reply(const MilterResult *result) {
  g_assert(result->action == MILTER_REJECT || result->action == MILTER_TEMPFAIL);
  g_assert(strlen(result->code) == 3 && result->code[0] == (result->action == MILTER_REJECT ? '5' : '4'));
  g_assert(result->enhanced[0] == '\0' || result->enhanced[0] == result->code[0]);
  size_t count = 0;
  for (; result->lines[count]; count++) {
    size_t length = strlen(result->lines[count]);
    g_assert(length >= 1 && length <= LIMIT_REPLY_TEXT);
    for (size_t i = 0; i < length; i++) {
      g_assert(result->lines[count][i] >= 0x20 && result->lines[count][i] <= 0x7e);
    }
  }
  g_assert(count >= 1 && count <= LIMIT_REPLY_LINES && (count == 1 || strcmp(result->code, "421") != 0));
}

/* What goes into a header or an envelope has no controls. */
static void check_text(const char *text) {
  for (; text != NULL && *text != '\0'; text++) {
    g_assert((unsigned char)*text >= 0x20 && *text != 0x7f);
  }
}

static void check_result(MilterEventKind kind, const MilterResult *result) {
  bool refuses = result->action == MILTER_REJECT || result->action == MILTER_TEMPFAIL;
  g_assert(result->has_reply == refuses);
  if (refuses) {
    check_reply(result);
  }
  g_assert((kind != MILTER_UNKNOWN && kind != MILTER_RCPT) || refuses || result->action == MILTER_CONTINUE);
  g_assert(result->action != MILTER_DISCARD || kind == MILTER_EOM);
  g_assert((kind != MILTER_HEADER && kind != MILTER_EOH && kind != MILTER_BODY) || result->verdict == NULL);
  g_assert(result->effect_count == 0 || (kind == MILTER_EOM && result->action == MILTER_CONTINUE));
  g_assert(result->change_count == 0 || result->effect_count > 0);
  for (size_t i = 0; i < result->change_count; i++) {
    check_text(result->changes[i].name);
    check_text(result->changes[i].value);
  }
}

static void answer(MilterSession *session, EvaluationState state, bool expired) {
  for (int rounds = 0; state == EVALUATION_WAITS; rounds++) {
    g_assert(rounds < 100);
    size_t count;
    Question *const *wanted = milter_session_wanted(session, &count);
    for (size_t i = 0; i < count && !expired; i++) {
      g_autoptr(Answer) found = answer_new(ANSWER_NOT_FOUND, NULL, 0);
      milter_session_answer(session, wanted[i], found);
    }
    if (expired) {
      milter_session_expire(session, "no answer within the deadline");
    }
    state = milter_session_run(session);
  }
}

static void feed_line(MilterSession *session, GHashTable *macros, char *line, bool *expired) {
  static const char letters[] = "CHMRTLNBEUAQ";
  static const MilterEventKind kinds[] = {MILTER_CONNECT, MILTER_HELO, MILTER_MAIL, MILTER_RCPT,    MILTER_DATA,  MILTER_HEADER,
                                          MILTER_EOH,     MILTER_BODY, MILTER_EOM,  MILTER_UNKNOWN, MILTER_ABORT, MILTER_CLOSE};
  g_auto(GStrv) words = g_strsplit(line[0] ? line + 1 : line, "\t", 64);
  if (line[0] == 'D' && words[0] && words[1]) {
    g_hash_table_replace(macros, g_strdup(words[0]), g_strdup(words[1]));
  } else if (line[0] == 'X') {
    *expired = !*expired;
  }
  const char *letter = line[0] ? strchr(letters, line[0]) : NULL;
  if (letter == NULL) {
    return;
  }
  IpAddress address;
  MilterEvent event = {
      .kind = kinds[letter - letters], .arguments = (const char *const *)words, .macro = macro_value, .macro_data = macros};
  if (event.kind == MILTER_BODY) {
    event.body = slice_from(line + 1);
  }
  if (event.kind == MILTER_CONNECT && words[0] && words[1] && ip_parse(slice_from(words[1]), &address)) {
    event.address = &address;
    event.port = words[2] ? (unsigned)strlen(words[2]) : 0;
  }
  answer(session, milter_session_event(session, &event), *expired);
  check_result(event.kind, milter_session_result(session));
}

/* Compiled once: the same for each input. */
static Ruleset *the_rules(void) {
  static Ruleset *rules;
  static Registry *registry;
  static const LookupBackend nobody = {.name = "dns"};
  static const ResourceContext context = {.dns = &nobody};
  if (rules == NULL) {
    g_autoptr(Diagnostics) diagnostics = diagnostics_new();
    registry = registry_new(&context);
    RulesetOptions options = {.enabled_doors = DOORS_ALL, .resources = registry_source(registry), .open_resources = true};
    rules = ruleset_load_text("fuzz.rules", slice_from(rules_text), ".", &options, diagnostics);
    g_autofree char *problems = diagnostics_print(diagnostics);
    if (rules == NULL) {
      g_error("%s", problems);
    }
  }
  return rules;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  g_autofree char *text = g_strndup((const char *)data, size);
  g_auto(GStrv) lines = g_strsplit(text, "\n", 200);
  MilterOptions options = {.delay_reject = size > 0 ? data[0] % 3 : DELAY_REJECT_RCPT,
                           .server_name = "mx.test",
                           .owned = PHASES_ALL,
                           .clock = clock_system(),
                           .message = {65536, 100}};
  GHashTable *macros = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  g_autoptr(MilterPlan) plan = milter_plan_new(the_rules(), &options);
  MilterSession *session = milter_session_new(plan);
  bool expired = false;
  for (size_t i = 0; lines[i]; i++) {
    feed_line(session, macros, lines[i], &expired);
  }
  milter_session_free(session);
  g_hash_table_destroy(macros);
  return 0;
}
