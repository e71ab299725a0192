/*
 * test_index_property.c: the index never matters: random rules and sessions, read statement by statement and through the index, give the same verdict, the same
 * effects in the same order, the same failures, variables and scores, and ask the same look-ups in the same order.
 *
 * MAILREEVE_SEED=N starts at that seed (a failure prints it), MAILREEVE_ROUNDS=N takes that many rulesets, each with SESSIONS sessions of two phases. What
 * fails is made smaller and printed as a rules file and a scenario.
 */
#include "common/rules/index.h"
#include "tests/unit/rules_fixture.h"
#include "tests/unit/unit.h"

enum { SESSIONS = 40, PHASES = 2, LINES_MAX = 160, DEPTH_MAX = 3 };
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { DEFAULT_ROUNDS = 400 };
#else
enum { DEFAULT_ROUNDS = 13000 };
#endif

static const Phase phases[PHASES] = {PHASE_RCPT, PHASE_EOM};

/* ---- a small world, so that much of it meets ---- */

static const char *const ips[] = {"192.0.2.1",   "192.0.2.77",    "10.1.2.3",          "198.51.100.9",
                                  "2001:db8::1", "2001:db8:1::5", "::ffff:192.0.2.77", "::192.0.2.1"};
static const char *const nets[] = {"192.0.2.0/24",  "192.0.2.64/26",   "10.0.0.0/8", "0.0.0.0/0",
                                   "2001:db8::/32", "2001:db8:1::/48", "192.0.2.1"};
static const char *const senders[] = {"<>",          "a@example.org",   "A@Example.ORG", "b+x@mail.example.org",
                                      "u@evil.test", "x@sub.evil.test", "root",          "evil.two@example.net"};
static const char *const entries[] = {"a@example.org", "@evil.test",  ".evil.test", "b@mail.example.org",
                                      "root@",         "example.net", "u@",         "b@"};
static const char *const domains[] = {"example.org", "mail.example.org", "evil.test", "sub.evil.test", "example.net", "test"};
static const char *const dotted[] = {"example.org", ".example.org", ".test", "sub.evil.test", ".evil.test"};
static const char *const names[] = {"mail.example.org", "mail7.evil.test", "evil", "dsl-1.sub.evil.test", "x.y", "EVIL.two.test"};
static const char *const words[] = {"a", "b", "u", "root", "evil.two"};
static const char *const regexes[] = {"evil",        "^mail[0-9]+\\.", "(mail|dsl-)[^.]", "\\.test$",  "^.x",        "(sub|org)",
                                      "e{1}vil",     "(ev)?il",        "[e]vil",          "^(a|b).*@", "ex+ample",   "(?i)EVIL",
                                      "(?:mail|x)7", "ma?il",          "(.)vil\\.",       "two|seven", "\\bevil\\b", "^$|evil",
                                      "^[a-z0-9]+$", "[a-z][0-9]",     "^.{5,12}$",       "(x|y)\\.?", "^\\w+@",     "\\d",
                                      "[^a-z@.<>-]", "^[^.]*$",        "(?i)[A-C]$",      "(x+x*)+y$", "\\b.\\b",    "(?=.)x"};
static const char *const bodies[] = {"evil", "offer", "evil-offer", "nothing"};

#define ANY(random, list) (list)[g_rand_int_range((random), 0, (gint32)G_N_ELEMENTS(list))]

typedef struct Maker {
  GRand *random;
  Phase phase;
  bool has_match; /* the condition at hand is a match: its captures may be read */
} Maker;

static int below(Maker *maker, int limit) {
  return g_rand_int_range(maker->random, 0, limit);
}

/* ---- conditions ---- */

/* Around one of the addresses, of any prefix length that IPv4 or IPv6 has. */
static char *any_network(Maker *maker) {
  IpAddress address;
  char text[IP_NETWORK_TEXT_MAX];
  if (below(maker, 2))
    return g_strdup(ANY(maker->random, nets));
  bool good = ip_parse(slice_from(ANY(maker->random, ips)), &address);
  ck_assert(good);
  IpNetwork network = ip_network_of(&address, (uint8_t)below(maker, address.family == 4 ? 33 : 129));
  (void)ip_network_format(&network, text);
  return g_strdup(text);
}

static char *address_condition(Maker *maker) {
  switch (below(maker, 9)) {
    case 0:
      return g_strdup_printf("sender == \"%s\"", senders[1 + below(maker, 5)]);
    case 1:
      return g_strdup("sender == <>");
    case 2:
      return g_strdup_printf("sender in { \"%s\", \"%s\" }", ANY(maker->random, entries), ANY(maker->random, entries));
    case 3:
      return g_strdup_printf("sender.domain == \"%s\"", ANY(maker->random, domains));
    case 4:
      return g_strdup_printf("sender.domain in { \"%s\", \"%s\" }", ANY(maker->random, dotted), ANY(maker->random, dotted));
    case 5:
      return g_strdup_printf("sender under \"%s\"", ANY(maker->random, domains));
    case 6:
      return g_strdup_printf("sender.localpart in { \"%s\", \"%s\" }", ANY(maker->random, words), ANY(maker->random, words));
    case 7:
      return g_strdup_printf("sender.domain under { \"%s\", \"%s\" }", ANY(maker->random, domains), ANY(maker->random, domains));
    default:
      return g_strdup_printf("sender != \"%s\"", senders[1 + below(maker, 5)]);
  }
}

static char *client_condition(Maker *maker) {
  g_autofree char *network = any_network(maker), *other = any_network(maker);
  switch (below(maker, 8)) {
    case 0:
      return g_strdup_printf("client_address == %s", ANY(maker->random, ips));
    case 1:
      return g_strdup_printf("client_address in %s", network);
    case 2:
      return g_strdup_printf("client_address in { %s, %s, %s }", network, other, ANY(maker->random, ips));
    case 3:
      return g_strdup_printf("client_address not in %s", network);
    case 4:
      return g_strdup_printf("client_name under \"%s\"", ANY(maker->random, domains));
    case 5:
      return g_strdup_printf("helo_name == \"%s\"", ANY(maker->random, names));
    case 6:
      return g_strdup_printf("client_name in { \"%s\", \"%s\" }", ANY(maker->random, dotted), ANY(maker->random, dotted));
    default:
      return g_strdup_printf("client_name is %s", below(maker, 2) ? "set" : "unset");
  }
}

static char *number_condition(Maker *maker) {
  switch (below(maker, 6)) {
    case 0:
      return g_strdup_printf("size == %d", 10 * (1 + below(maker, 3)));
    case 1:
      return g_strdup_printf("size > %d", 10 * (1 + below(maker, 3)));
    case 2:
      return g_strdup_printf("client_port in { %d, %d, 5..6 }", 1 + below(maker, 5), 1 + below(maker, 5));
    case 3:
      return g_strdup_printf("client_port in %d..%d", 1 + below(maker, 2), 3 + below(maker, 3));
    case 4:
      return g_strdup_printf("service == \"%s\"", below(maker, 2) ? "mx" : "submission");
    default:
      return g_strdup_printf("client_port == %d.0", 1 + below(maker, 3));
  }
}

static char *looked_up_condition(Maker *maker) {
  static const char *const kinds[] = {"here", "ahead", "reached", "stateful"};
  switch (below(maker, 8)) {
    case 0:
      return g_strdup("client_address in tnet");
    case 1:
      return g_strdup("sender in taddr");
    case 2:
      return g_strdup("sender.domain in tdom");
    case 3:
      return g_strdup("(sender, client_address) in ttuple");
    case 4:
      return g_strdup_printf("client_address in %s", below(maker, 3) ? "zen" : "mute");
    case 5:
      return g_strdup_printf("default_of[sender.localpart] default 0 > %d", below(maker, 3));
    default:
      return g_strdup_printf("sender.localpart in %s%d", ANY(maker->random, kinds), below(maker, 2));
  }
}

static char *match_condition(Maker *maker) {
  static const char *const facts[] = {"sender", "helo_name", "client_name", "sender.domain", "sender.raw"};
  const char *fact = maker->phase == PHASE_EOM && below(maker, 3) == 0 ? "body" : ANY(maker->random, facts);
  return g_strdup_printf("%s %s /%s/%s", fact, below(maker, 5) ? "~" : "!~", ANY(maker->random, regexes), below(maker, 5) ? "" : "c");
}

static char *odd_condition(Maker *maker) {
  switch (below(maker, 8)) {
    case 0:
      return g_strdup_printf("session.v == \"%d\"", below(maker, 2));
    case 1:
      return g_strdup_printf("score >= %d", 1 + below(maker, 2));
    case 2:
      return g_strdup("helo_name == client_name");
    case 3:
      return g_strdup_printf("d%d", below(maker, 2));
    case 4:
      return g_strdup(maker->phase == PHASE_EOM ? "header_count == 3" : "sender == recipient");
    case 5:
      if (maker->phase == PHASE_EOM)
        return g_strdup_printf("recipients == \"%s\"", senders[1 + below(maker, 5)]);
      return g_strdup_printf("recipient.localpart == \"%s\"", ANY(maker->random, words));
    case 6:
      if (maker->phase == PHASE_EOM)
        return g_strdup_printf("any recipients has (value under \"%s\")", ANY(maker->random, domains));
      return g_strdup_printf("recipient in { \"%s\" }", ANY(maker->random, entries));
    default:
      return g_strdup_printf("protocol_name == %s", below(maker, 2) ? "smtp" : "esmtp");
  }
}

static char *comparison(Maker *maker) {
  switch (below(maker, 12)) {
    case 0:
    case 1:
    case 2:
      return address_condition(maker);
    case 3:
    case 4:
      return client_condition(maker);
    case 5:
      return number_condition(maker);
    case 6:
    case 7:
      return looked_up_condition(maker);
    case 8:
      return odd_condition(maker);
    default:
      return match_condition(maker);
  }
}

/* What is cheap and known, right of look-ups that may fail, wait, or stay silent; `first` stands leftmost. */
static char *guarded_condition(Maker *maker, const char *first) {
  g_autofree char *second = looked_up_condition(maker);
  g_autofree char *left = below(maker, 3) ? g_strdup(first) : g_strdup_printf("(%s %s %s)", first, below(maker, 2) ? "and" : "or", second);
  g_autofree char *right = below(maker, 2) ? address_condition(maker) : client_condition(maker);
  return g_strdup_printf("%s and %s%s", left, right, below(maker, 4) ? "" : " and helo_name ~ /evil/");
}

static char *guarded(Maker *maker) {
  g_autofree char *looked_up = looked_up_condition(maker);
  g_autofree char *first = below(maker, 4) ? g_strdup(looked_up) : g_strdup_printf("not (%s)", looked_up);
  return guarded_condition(maker, first);
}

static char *condition(Maker *maker, int depth) {
  int kind = depth == 0 ? 9 : below(maker, 12);
  if (kind > 9)
    return guarded(maker);
  if (kind > 4)
    return comparison(maker);
  g_autofree char *left = condition(maker, depth - 1), *right = condition(maker, depth - 1);
  if (kind == 0)
    return g_strdup_printf("not (%s)", left);
  return g_strdup_printf("(%s) %s (%s)", left, kind < 3 ? "and" : "or", right);
}

/* ---- rules ---- */

static void add_rule(Maker *maker, GPtrArray *lines, int depth) {
  static const char *const ends[] = {"reject \"no\"", "tempfail \"later\"", "pass"};
  static const char *const effects[] = {"log \"seen\"", "set session.v = \"1\"", "set session.v = \"0\"",
                                        "score 1",      "observe reject",        "log \"{sender}\""};
  static const char *const errors[] = {"", "", "", " on error skip", " on error tempfail", " on error match"};
  unsigned number = lines->len;
  bool captures = below(maker, 8) == 0, listing = !captures && below(maker, 8) == 0;
  g_autofree char *test = captures  ? g_strdup_printf("helo_name ~ /(%s)/", ANY(maker->random, regexes))
                          : listing ? guarded_condition(maker, "client_address in zen")
                                    : condition(maker, 2);
  const char *action = below(maker, 3) ? ANY(maker->random, effects) : ANY(maker->random, ends);
  if (captures)
    action = "log \"captured {1}\"";
  else if (listing)
    action = below(maker, 3) ? "log \"{dnslist.zone} {dnslist.code}\"" : "reject \"{dnslist.text}\"";
  else if (below(maker, 12) == 0)
    action = maker->phase == PHASE_RCPT ? "accept recipient" : "accept message";
  else if (below(maker, 12) == 0)
    action = "check actions[sender]";
  g_autofree char *indent = g_strnfill((gsize)depth * 2, ' ');
  const char *word = captures || below(maker, 6) ? "if" : "unless";
  g_ptr_array_add(lines, g_strdup_printf("%s[r%u] %s %s %s%s", indent, number, action, word, test, ANY(maker->random, errors)));
}

static void add_statements(Maker *maker, GPtrArray *lines, int depth, int count);

static void add_block(Maker *maker, GPtrArray *lines, int depth) {
  g_autofree char *indent = g_strnfill((gsize)depth * 2, ' ');
  g_autofree char *test = condition(maker, 1);
  g_ptr_array_add(lines, g_strdup_printf("%swhen %s {", indent, test));
  add_statements(maker, lines, depth + 1, below(maker, 4) ? 1 + below(maker, 3) : 17 + below(maker, 8));
  while (below(maker, 3) == 0) {
    g_autofree char *other = condition(maker, 1);
    g_ptr_array_add(lines, g_strdup_printf("%s} else when %s {", indent, other));
    add_statements(maker, lines, depth + 1, 1 + below(maker, 2));
  }
  if (below(maker, 4) == 0) {
    g_ptr_array_add(lines, g_strdup_printf("%s} else {", indent));
    add_statements(maker, lines, depth + 1, 1);
  }
  g_ptr_array_add(lines, g_strdup_printf("%s}", indent));
}

static void add_statements(Maker *maker, GPtrArray *lines, int depth, int count) {
  for (int i = 0; i < count && lines->len < LINES_MAX; i++) {
    if (depth < DEPTH_MAX && below(maker, 7) == 0)
      add_block(maker, lines, depth);
    else
      add_rule(maker, lines, depth);
  }
}

/* The rules as lines. Those of a block stand between its first and a line that begins with }. */
static GPtrArray *make_lines(GRand *random) {
  Maker maker = {.random = random};
  GPtrArray *lines = g_ptr_array_new_with_free_func(g_free);
  for (int i = 0; i < PHASES; i++) {
    maker.phase = phases[i];
    g_ptr_array_add(lines, g_strdup_printf("at %s {", phase_name(phases[i])));
    add_statements(&maker, lines, 1, 2 + below(&maker, 14));
    g_ptr_array_add(lines, g_strdup("}"));
  }
  return lines;
}

static const char declarations[] =
    "table tnet of net { 192.0.2.64/26, 2001:db8:1::/48, 10.1.2.3 }\n"
    "table taddr of address { \"@evil.test\", \"a@example.org\", \"root@\", \"<>\" }\n"
    "table tdom of domain { \".example.org\", \"evil.test\" }\n"
    "table ttuple of (address, net) { (\"a@example.org\", 192.0.2.1) }\n"
    "table here0 of string from here \"here0\"\ntable here1 of string from here \"here1\" on error skip\n"
    "table ahead0 of string from ahead \"ahead0\"\ntable ahead1 of string from ahead \"ahead1\" on error match\n"
    "table reached0 of string from reached \"reached0\"\ntable reached1 of string from reached \"reached1\" on error skip\n"
    "table stateful0 of string from stateful \"stateful0\"\ntable stateful1 of string from stateful \"stateful1\"\n"
    "table actions of address -> action from here \"actions\"\n"
    "table default_of of string -> int from ahead \"default_of\"\n"
    "dnslist zen of ip \"zen\"\ndnslist mute of ip \"mute\" on error tempfail\n"
    "define d0 = sender in { \"@evil.test\", \"a@example.org\" } or client_address in 10.0.0.0/8\n"
    "define d1 = helo_name ~ /evil/ and sender.domain == \"evil.test\"\n"
    "at vrfy {\n  set session.v = \"\" if client_port == 1\n  score 1 if client_port == 1\n}\n";

static char *text_of(const GPtrArray *lines) {
  GString *text = g_string_new(declarations);
  for (guint i = 0; i < lines->len; i++)
    g_string_append_printf(text, "%s\n", (const char *)lines->pdata[i]);
  return g_string_free(text, FALSE);
}

static char *make_script(GRand *random) {
  static const char *const tables[] = {"here0", "here1", "ahead0", "ahead1", "reached0", "reached1", "stateful0", "stateful1"};
  GString *script = g_string_new(NULL);
  for (size_t t = 0; t < G_N_ELEMENTS(tables); t++)
    for (size_t w = 0; w < G_N_ELEMENTS(words); w++)
      if (g_rand_int_range(random, 0, 3) > 0)
        g_string_append_printf(script, "%s %s = %s\n", tables[t], words[w], g_rand_boolean(random) ? "failed" : "found");
  for (size_t i = 0; i < G_N_ELEMENTS(ips); i++)
    if (g_rand_boolean(random))
      g_string_append_printf(script, "zen %s = %s\n", ips[i], g_rand_int_range(random, 0, 3) ? "127.0.0.2" : "failed");
  for (size_t w = 0; w < G_N_ELEMENTS(words); w++)
    if (g_rand_boolean(random))
      g_string_append_printf(script, "default_of %s = %s\n", words[w], g_rand_int_range(random, 0, 3) ? "2" : "failed");
  g_string_append_printf(script, "actions a@example.org = REJECT\nactions u@evil.test = %s\n", g_rand_boolean(random) ? "failed" : "DUNNO");
  return g_string_free(script, FALSE);
}

/* ---- sessions ---- */

typedef struct Story {
  const char *ip, *name, *helo, *sender, *recipient, *body; /* NULL: unset */
  int port, size;
  bool name_unknown, submission, esmtp, late, muted; /* the list `mute` never answers */
} Story;

static Story make_story(GRand *random) {
  Story story = {.ip = ANY(random, ips), .helo = ANY(random, names), .sender = ANY(random, senders)};
  story.name = g_rand_int_range(random, 0, 4) ? ANY(random, names) : NULL;
  story.recipient = senders[1 + g_rand_int_range(random, 0, 5)];
  story.body = ANY(random, bodies);
  story.port = g_rand_int_range(random, 0, 7);
  story.size = 10 * g_rand_int_range(random, 0, 4);
  story.name_unknown = g_rand_int_range(random, 0, 12) == 0;
  story.submission = g_rand_boolean(random);
  story.esmtp = g_rand_boolean(random);
  story.late = g_rand_boolean(random);
  story.muted = g_rand_int_range(random, 0, 4) == 0;
  return story;
}

static void set_fact(Session *session, Fact fact, const char *text) {
  if (text != NULL)
    ck_assert(session_set(session, fact, slice_from(text)));
}

static void tell_story(const Story *story, Fixture *fixture) {
  static const Failure failure = {NULL, {"names", 5}, {"timed out", 9}, ON_ERROR_SKIP};
  Session *session = fixture_session(fixture);
  char port[16], size[16];
  (void)g_snprintf(port, sizeof port, "%d", story->port);
  (void)g_snprintf(size, sizeof size, "%d", story->size);
  session_reset(session);
  set_fact(session, FACT_CLIENT_ADDRESS, story->ip);
  set_fact(session, FACT_CLIENT_NAME, story->name);
  if (story->name_unknown)
    session_set_value(session, FACT_CLIENT_NAME, &(Value){VALUE_UNKNOWN, TYPE_DOMAIN, {.failures = &failure}});
  set_fact(session, FACT_CLIENT_PORT, port);
  set_fact(session, FACT_HELO_NAME, story->helo);
  set_fact(session, FACT_SENDER, story->sender);
  set_fact(session, FACT_RECIPIENT, story->recipient);
  set_fact(session, FACT_SIZE, size);
  set_fact(session, FACT_SERVICE, story->submission ? "submission" : "mx");
  set_fact(session, FACT_PROTOCOL_NAME, story->esmtp ? "ESMTP" : "SMTP");
  const MailAddress address = {SLICE_LITERAL("a@example.org"), SLICE_LITERAL("a"), SLICE_LITERAL("example.org")};
  const Value items[] = {{VALUE_SET, TYPE_ADDRESS, {.address = &address}}};
  session_set_value(session, FACT_RECIPIENTS, &(Value){VALUE_SET, TYPE_LIST, {.list = &(ValueList){1, items}}});
  session_set_value(session, FACT_BODY, &(Value){VALUE_OPEN, TYPE_STRING, {.number = 0}});
  session_set_value(session, FACT_HEADER_COUNT, &(Value){VALUE_OPEN, TYPE_INT, {.number = 0}});
  g_autofree char *late = g_strdup_printf("body=%s header_count=%d", story->body, story->port);
  if (!story->late)
    fixture_facts(fixture, late);
  fixture_late_facts(fixture, story->late ? late : "");
}

/* All that a session's two phases come to. */
static void run_story(const Story *story, Fixture *fixture, bool walk, GString *out) {
  EvaluationOptions options = {.walk = walk};
  Variables *variables = fixture_variables(fixture);
  g_string_truncate(out, 0);
  variables_reset(variables);
  tell_story(story, fixture);
  fixture_silence(fixture, story->muted ? "mute" : "");
  for (int i = 0; i < PHASES; i++) {
    const char *told = fixture_run_with(fixture, phases[i], &options);
    g_string_append_printf(out, "%s: %s\n  asked %s\n", phase_name(phases[i]), told, fixture_asked(fixture));
    g_string_append_printf(out, "  v=%s score=%g\n", fixture_variable(fixture, "session.v"), variables_score(variables, SCORE_TOTAL));
  }
}

/* ---- comparing, shrinking ---- */

static bool differs(const char *rules, const char *script, const Story *story) {
  Fixture *fixture = fixture_try(rules);
  if (fixture == NULL)
    return false;
  program_index(fixture_ruleset(fixture), 1);
  (void)program_index_prepare(fixture_ruleset(fixture));
  fixture_script(fixture, script);
  g_autoptr(GString) walked = g_string_new(NULL);
  g_autoptr(GString) indexed = g_string_new(NULL);
  run_story(story, fixture, true, walked);
  run_story(story, fixture, false, indexed);
  bool differ = !g_string_equal(walked, indexed);
  fixture_free(fixture);
  return differ;
}

static int level_change(const char *line) {
  bool closes = line[strspn(line, " ")] == '}';
  size_t length = strlen(line);
  return (length > 0 && line[length - 1] == '{' ? 1 : 0) - (closes ? 1 : 0);
}

/* Tries the lines without those from `first` to below `end`. */
static bool try_without(GPtrArray *lines, guint first, guint end, const char *script, const Story *story) {
  GPtrArray *rest = g_ptr_array_new();
  for (guint i = 0; i < lines->len; i++)
    if (i < first || i >= end)
      g_ptr_array_add(rest, lines->pdata[i]);
  g_autofree char *rules = text_of(rest);
  g_ptr_array_free(rest, TRUE);
  if (!differs(rules, script, story))
    return false;
  g_ptr_array_remove_range(lines, first, end - first);
  return true;
}

/* A rule, a block, or a branch less. */
static bool shrink_once(GPtrArray *lines, const char *script, const Story *story) {
  for (guint first = 0; first < lines->len; first++) {
    int level = 0;
    for (guint end = first; end < lines->len && level >= 0; end++) {
      level += level_change(lines->pdata[end]);
      if (level == 0 && try_without(lines, first, end + 1, script, story))
        return true;
    }
  }
  return false;
}

static void fail_with(guint32 seed, GPtrArray *lines, const char *script, const Story *story) {
  while (shrink_once(lines, script, story))
    continue;
  g_autofree char *rules = text_of(lines);
  Fixture *fixture = fixture_new(rules);
  program_index(fixture_ruleset(fixture), 1);
  (void)program_index_prepare(fixture_ruleset(fixture));
  fixture_script(fixture, script);
  g_autoptr(GString) walked = g_string_new(NULL);
  g_autoptr(GString) indexed = g_string_new(NULL);
  run_story(story, fixture, true, walked);
  run_story(story, fixture, false, indexed);
  ck_abort_msg(
      "MAILREEVE_SEED=%u\nrules {\n%s}\n\nsession \"walked and indexed\" through milter {\n  client %s name %s # port %d, service %s%s\n"
      "  %s %s\n  mail <%s> size %d\n  rcpt <%s>\n  data\n  message # body %s%s\n}\n# answers:\n%s%s-- walked:\n%s-- indexed:\n%s",
      seed, rules, story->ip, story->name != NULL ? story->name : "unknown", story->port, story->submission ? "submission" : "mx",
      story->name_unknown ? ", name could not be found out" : "", story->esmtp ? "ehlo" : "helo", story->helo, story->sender, story->size,
      story->recipient, story->body, story->late ? ", which comes late" : "", story->muted ? "mute never answers\n" : "", script,
      walked->str, indexed->str);
}

static guint32 from_environment(const char *name, guint32 otherwise) {
  const char *text = g_getenv(name);
  int64_t number;
  return text != NULL && slice_to_int(slice_from(text), &number) ? (guint32)number : otherwise;
}

/* The number of phases that were compared. `prepare`: what libhs looks for is compiled first, which takes long; else all of it is a candidate. */
static unsigned compare_ruleset(guint32 seed, bool prepare) {
  GRand *random = g_rand_new_with_seed(seed);
  GPtrArray *lines = make_lines(random);
  g_autofree char *rules = text_of(lines), *script = make_script(random);
  Fixture *fixture = fixture_try(rules);
  unsigned compared = 0;
  if (fixture != NULL) {
    program_index(fixture_ruleset(fixture), 1);
    if (prepare)
      (void)program_index_prepare(fixture_ruleset(fixture));
    fixture_script(fixture, script);
    g_autoptr(GString) walked = g_string_new(NULL);
    g_autoptr(GString) indexed = g_string_new(NULL);
    for (int i = 0; i < SESSIONS; i++) {
      Story story = make_story(random);
      run_story(&story, fixture, true, walked);
      run_story(&story, fixture, false, indexed);
      if (!g_string_equal(walked, indexed))
        fail_with(seed, lines, script, &story);
      compared += PHASES;
    }
    fixture_free(fixture);
  }
  g_ptr_array_free(lines, TRUE);
  g_rand_free(random);
  return compared;
}

START_TEST(walked_and_indexed_are_the_same) {
  guint32 first = from_environment("MAILREEVE_SEED", 1);
  guint32 rounds = from_environment("MAILREEVE_ROUNDS", DEFAULT_ROUNDS);
  uint64_t compared = 0;
  for (guint32 seed = first; seed < first + rounds; seed++)
    compared += compare_ruleset(seed, false);
  /* Few of the rulesets may fall to what the checker refuses. */
  ck_assert_msg(compared >= (uint64_t)rounds * SESSIONS * PHASES * 9 / 10, "%u comparisons of %u rulesets", (unsigned)compared, rounds);
}
END_TEST

/* The same with the sets that libhs has compiled; without libhs there are none. */
START_TEST(regexes_without_a_literal_are_the_same) {
  guint32 first = from_environment("MAILREEVE_SEED", 1);
  guint32 rounds = from_environment("MAILREEVE_ROUNDS", DEFAULT_ROUNDS) / 100 + 1;
  for (guint32 seed = first; seed < first + rounds; seed++)
    ck_assert_uint_le(compare_ruleset(seed, true), SESSIONS * PHASES);
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_test(tests, walked_and_indexed_are_the_same);
  tcase_add_test(tests, regexes_without_a_literal_are_the_same);
}

UNIT_MAIN("index property", add_tests)
