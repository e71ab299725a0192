/*
 * explain.c: `mailreeve explain`: one message through the rules, step by step: what each rule saw, and what each door would say.
 *
 * The message is a story of one session. It is told through both doors at once; --door says whose evaluations are shown.
 */
#include <stdio.h>
#include <string.h>

#include "common/base/mailaddress.h"
#include "common/cli/command.h"
#include "common/cli/explain_client.h"
#include "common/cli/explain_trace.h"
#include "common/cli/listing.h"
#include "common/cli/scenario_run.h"
#include "common/cli/story.h"
#include "common/lookup/kinds.h"
#include "common/rules/source.h"

extern const Command command_explain;

typedef struct Explain {
  const CommandLine *line;
  Arena *arena;
  Door door; /* whose evaluations are shown */
  const char *server_name, *service;
  ScenarioStep *steps, **end;
  ScenarioDns *dns; /* with --dns */
  Clock *clock;
  bool clock_is_manual;
  Answerer *answerer;
  Ruleset *ruleset;
  Recorder *recorder;
  StoryDoor *doors[DOOR_COUNT];
  bool smtpd_delays; /* Postfix's smtpd_delay_reject */
  ClientView view;
  json_t *told; /* of steps; NULL: text is printed */
} Explain;

static int usage_error(const char *what, const char *value) {
  return command_usage_error(&command_explain, "%s: %s", value, what);
}

/* ---- the command line as a story ---- */

static ScenarioStep *add_step(Explain *explain, StepKind kind, const char *text) {
  ScenarioStep *step = ARENA_NEW(explain->arena, ScenarioStep);
  *step = (ScenarioStep){.kind = kind, .text = text, .doors = DOORS_ALL};
  *explain->end = step;
  explain->end = &step->next;
  return step;
}

static bool text_is_clean(const char *text) {
  for (; *text != '\0'; text++) {
    if ((unsigned char)*text < 0x20 || *text == 0x7f) {
      return false;
    }
  }
  return true;
}

static const char *bracketed(Explain *explain, const char *address) {
  return address[0] == '<' ? address : arena_printf(explain->arena, "<%s>", address);
}

static bool read_number(Explain *explain, ValueType type, const char *text, int64_t *number) {
  Value value;
  const char *problem;
  Slice right_form;
  if (!value_parse(explain->arena, type, slice_from(text), &value, &problem, &right_form) || value.as.number < 0) {
    return usage_error("expected a number", text) == EXIT_GOOD;
  }
  *number = value.as.number;
  return true;
}

/* Facts that a step of the story says, when they come by --set. */
typedef struct Said {
  const char *reverse;
  int64_t size, message_size;
} Said;

static bool set_fact(Explain *explain, const char *setting, Said *said) {
  Slice value;
  bool has_value;
  Slice name = slice_split(slice_from(setting), '=', &value, &has_value);
  Fact fact;
  if (!has_value) {
    return usage_error("expected FACT=VALUE", setting) == EXIT_GOOD;
  }
  if (!fact_from_name(name, &fact)) {
    const char *nearest = nearest_name(name, fact_names());
    return command_usage_error(&command_explain, "there is no fact %.*s%s%s", SLICE_ARGS(name), nearest ? "; nearest: " : "",
                               nearest ? nearest : "") == EXIT_GOOD;
  }
  if (fact == FACT_SIZE || fact == FACT_MESSAGE_SIZE) {
    return read_number(explain, TYPE_SIZE, value.data, fact == FACT_SIZE ? &said->size : &said->message_size);
  }
  if (fact == FACT_SERVER_NAME || fact == FACT_REVERSE_CLIENT_NAME) {
    *(fact == FACT_SERVER_NAME ? &explain->server_name : &said->reverse) = value.data;
    return true;
  }
  if (fact_said_elsewhere(fact)) {
    return command_usage_error(&command_explain, "%s follows from the other options", fact_info(fact)->name) == EXIT_GOOD;
  }
  add_step(explain, STEP_SET, value.data)->fact = fact;
  return true;
}

static bool set_facts(Explain *explain, Said *said) {
  g_autofree const char **settings = command_line_values(explain->line, "--set");
  for (size_t i = 0; settings[i]; i++) {
    if (!text_is_clean(settings[i])) {
      return usage_error("control characters in --set", "FACT=VALUE") == EXIT_GOOD;
    }
    if (!set_fact(explain, settings[i], said)) {
      return false;
    }
  }
  return true;
}

static bool address_is_good(Explain *explain, const char *text, bool may_be_null) {
  MailAddress address;
  if (text_is_clean(text) && mail_address_parse(explain->arena, slice_from(text), &address) &&
      (may_be_null || !mail_address_is_null(&address))) {
    return true;
  }
  g_autofree char *clean = g_strescape(text, NULL);
  return usage_error("no mail address", clean) == EXIT_GOOD;
}

static bool add_client(Explain *explain, const Said *said) {
  const char *address = command_line_value(explain->line, "--client-address"), *port = command_line_value(explain->line, "--client-port");
  IpAddress ip;
  if (!ip_parse(slice_from(address), &ip)) {
    return usage_error("no IP address", address) == EXIT_GOOD;
  }
  ScenarioStep *step = add_step(explain, STEP_CLIENT, address);
  step->name = command_line_value(explain->line, "--client-name");
  step->reverse = said->reverse;
  return port == NULL || read_number(explain, TYPE_INT, port, &step->number);
}

static bool add_recipients(Explain *explain) {
  g_autofree const char **recipients = command_line_values(explain->line, "--recipient");
  for (size_t i = 0; recipients[i]; i++) {
    if (!address_is_good(explain, recipients[i], false)) {
      return false;
    }
    (void)add_step(explain, STEP_RCPT, bracketed(explain, recipients[i]));
  }
  return true;
}

/* VRFY and ETRN are steps with an argument, other commands are told as a whole. */
static bool add_commands(Explain *explain) {
  static const struct {
    const char *word;
    StepKind kind;
  } known[] = {{"VRFY ", STEP_VRFY}, {"ETRN ", STEP_ETRN}};
  g_autofree const char **commands = command_line_values(explain->line, "--command");
  for (size_t i = 0; commands[i]; i++) {
    if (!text_is_clean(commands[i])) {
      return usage_error("control characters in a command", "--command") == EXIT_GOOD;
    }
    StepKind kind = STEP_UNKNOWN;
    const char *text = commands[i];
    for (size_t k = 0; k < G_N_ELEMENTS(known); k++) {
      if (g_ascii_strncasecmp(commands[i], known[k].word, strlen(known[k].word)) == 0) {
        kind = known[k].kind;
        text = commands[i] + strlen(known[k].word);
      }
    }
    (void)add_step(explain, kind, text);
  }
  return true;
}

/* With --message: a file as mail programs keep it, header, empty line, body; its lines may end in LF alone. */
static bool read_content(Explain *explain, ScenarioStep *step) {
  const char *path = command_line_value(explain->line, "--message");
  g_autofree char *text = NULL;
  gsize length = 0;
  if (path == NULL) {
    return true;
  }
  if (!g_file_get_contents(path, &text, &length, NULL)) {
    return usage_error("cannot be read", path) == EXIT_GOOD;
  }
  step->content = message_content_lines(explain->arena, slice_make(text, length));
  step->has_content = true;
  return true;
}

static bool add_message(Explain *explain, const Said *said) {
  const char *sender = command_line_value(explain->line, "--sender");
  if (sender == NULL) {
    return true;
  }
  if (!address_is_good(explain, sender, true)) {
    return false;
  }
  add_step(explain, STEP_MAIL, bracketed(explain, sender))->number = said->size;
  if (!add_recipients(explain)) {
    return false;
  }
  (void)add_step(explain, STEP_DATA, NULL);
  ScenarioStep *message = add_step(explain, STEP_MESSAGE, NULL);
  message->number = said->message_size;
  return read_content(explain, message);
}

static bool make_story(Explain *explain) {
  static const char *const needed[] = {"--client-address", "--helo", "--sender", "--recipient"};
  Said said = {0};
  bool only_commands = command_line_value(explain->line, "--command") && !command_line_value(explain->line, "--sender") &&
                       !command_line_value(explain->line, "--recipient");
  for (size_t i = 0; i < (only_commands ? 2 : G_N_ELEMENTS(needed)); i++) {
    if (command_line_value(explain->line, needed[i]) == NULL) {
      return usage_error("is missing", needed[i]) == EXIT_GOOD;
    }
  }
  const char *helo = command_line_value(explain->line, "--helo"), *name = command_line_value(explain->line, "--client-name");
  if (!text_is_clean(helo) || (name && !text_is_clean(name))) {
    return usage_error("control characters in a name", "--helo") == EXIT_GOOD;
  }
  if (!set_facts(explain, &said) || !add_client(explain, &said)) {
    return false;
  }
  (void)add_step(explain, command_line_has(explain->line, "--ehlo") ? STEP_EHLO : STEP_HELO, helo);
  return add_commands(explain) && add_message(explain, &said);
}

/* ---- telling ---- */

static const char *smtp_text(Arena *arena, const ScenarioStep *step) {
  switch (step->kind) {
    case STEP_CLIENT:
      return arena_printf(arena, "connect from %s [%s]", step->name ? step->name : "unknown", step->text);
    case STEP_HELO:
      return arena_printf(arena, "HELO %s", step->text);
    case STEP_EHLO:
      return arena_printf(arena, "EHLO %s", step->text);
    case STEP_MAIL:
      return arena_printf(arena, "MAIL FROM:%s", step->text);
    case STEP_RCPT:
      return arena_printf(arena, "RCPT TO:%s", step->text);
    case STEP_DATA:
      return "DATA";
    case STEP_MESSAGE:
      return "end of message";
    case STEP_VRFY:
    case STEP_ETRN:
    case STEP_UNKNOWN:
    case STEP_RSET:
    case STEP_QUIT:
    case STEP_SET:
    case STEP_UNSET:
    case STEP_CLOCK:
      return step_text(arena, step);
  }
  g_assert_not_reached();
}

static bool is_early(StepKind kind) {
  return kind == STEP_CLIENT || kind == STEP_HELO || kind == STEP_EHLO;
}

/* The first one after the explained door that is asked at the step; the explained door where none is. */
static const StepOutcome *asked_door(const Explain *explain, const StepOutcome outcomes[DOOR_COUNT]) {
  for (int i = 0; i < DOOR_COUNT; i++) {
    const StepOutcome *outcome = &outcomes[((int)explain->door + i) % DOOR_COUNT];
    if (outcome->asked) {
      return outcome;
    }
  }
  return &outcomes[explain->door];
}

/* The policy door says at once what the milter holds: its verdict is the one to show. */
static const StepOutcome *deciding(const Explain *explain, StepKind kind, const StepOutcome outcomes[DOOR_COUNT], bool *held) {
  const StepOutcome *policy = &outcomes[DOOR_POLICY], *milter = &outcomes[DOOR_MILTER];
  bool early = is_early(kind) && policy->asked && policy->refused && !milter->refused;
  *held = early || policy->held;
  return early ? policy : asked_door(explain, outcomes);
}

static char *verdict_text(const ScenarioStep *step, const StepOutcome *outcome) {
  GString *text = g_string_new(outcome_name(outcome->outcome));
  if (outcome->rule.length > 0) {
    g_string_append_printf(text, " by %.*s", SLICE_ARGS(outcome->rule));
  }
  if (outcome->verdict && outcome->verdict->by_failure) {
    g_string_append(text, ", because a look-up failed");
  }
  if (outcome->verdict && step->kind == STEP_RCPT && (outcome->verdict->phase == PHASE_CONNECT || outcome->verdict->phase == PHASE_HELO) &&
      outcome->refused) {
    g_string_append_printf(text, " at %s, held until now", phase_name(outcome->verdict->phase));
  }
  return g_string_free(text, FALSE);
}

static json_t *texts_json(const char *const *texts) {
  json_t *list = json_array();
  for (size_t i = 0; texts[i]; i++) {
    (void)json_array_append_new(list, listing_json_text(texts[i]));
  }
  return list;
}

static json_t *outcome_json(const StepOutcome *outcome, json_t *clients) {
  return json_pack("{s:b, s:s, s:o, s:b, s:o, s:o, s:o, s:o, s:o}", "asked", outcome->asked, "outcome", outcome_name(outcome->outcome),
                   "said", listing_json_text(outcome->said), "refused", outcome->refused, "code", listing_json_text(outcome->code),
                   "enhanced", listing_json_text(outcome->enhanced), "lines", texts_json(outcome->lines), "done", texts_json(outcome->done),
                   "clients", clients);
}

static void tell_json(Explain *explain, const ScenarioStep *step, const StepOutcome outcomes[DOOR_COUNT], json_t *trace) {
  g_autoptr(Arena) arena = arena_new(0);
  bool held;
  const StepOutcome *shown = deciding(explain, step->kind, outcomes, &held);
  json_t *doors = json_object();
  for (int door = 0; door < DOOR_COUNT; door++) {
    (void)json_object_set_new(doors, door_name((Door)door),
                              outcome_json(&outcomes[door], client_view_json(&explain->view, step, (Door)door, &outcomes[door])));
  }
  (void)json_array_append_new(
      explain->told,
      json_pack("{s:s, s:o, s:O, s:s, s:o, s:b, s:b, s:o, s:o, s:o}", "step", step_info(step->kind)->word, "smtp",
                listing_json_text(smtp_text(arena, step)), "phases", trace, "outcome", outcome_name(shown->outcome), "rule",
                listing_json_text(slice_to_string(arena, shown->rule)), "by_failure", shown->verdict && shown->verdict->by_failure, "held",
                held, "effects", texts_json(shown->effects), "failures", texts_json(shown->failures), "doors", doors));
}

static void print_said(const StepOutcome *outcome, const char *door) {
  if (!outcome->asked) {
    return;
  }
  g_auto(GStrv) lines = g_strsplit(outcome->said, "\n", -1);
  for (size_t i = 0; lines[i]; i++) {
    (void)printf("  %-8s %s\n", i == 0 ? door : "", lines[i]);
  }
}

static void print_list(const char *word, const char *const *texts) {
  for (size_t i = 0; texts[i]; i++) {
    (void)printf("  %-8s %s\n", word, texts[i]);
  }
}

static void tell_text(const Explain *explain, const ScenarioStep *step, const StepOutcome outcomes[DOOR_COUNT], const json_t *trace) {
  g_autoptr(Arena) arena = arena_new(0);
  g_autoptr(GString) rules = g_string_new(NULL);
  bool held;
  const StepOutcome *shown = deciding(explain, step->kind, outcomes, &held);
  g_autofree char *verdict = verdict_text(step, shown);
  recorded_print(rules, trace, 2);
  (void)printf("%s\n%s  %-8s %s\n", smtp_text(arena, step), rules->str, "verdict", verdict);
  print_list("effect", shown->effects);
  print_list("", shown->failures);
  for (int door = 0; door < DOOR_COUNT; door++) {
    print_said(&outcomes[door], door_name((Door)door));
  }
  for (int door = 0; door < DOOR_COUNT; door++) {
    client_view_print(&explain->view, step, (Door)door, &outcomes[door]);
  }
  if (held) {
    (void)printf("  %-8s said at RCPT TO, to each recipient that the rcpt rules do not accept\n", "held");
  }
  if (step->kind == STEP_MESSAGE) {
    print_list("message", outcomes[explain->door].done);
  }
}

/* False: the client cannot go on. */
static bool tell_step(Explain *explain, const ScenarioStep *step) {
  StepOutcome outcomes[DOOR_COUNT];
  const char *impossible = story_door_refuses_step(explain->doors[explain->door], step);
  if (impossible) {
    if (explain->told == NULL) {
      (void)printf("the session ends here: %s\n", impossible);
    }
    return false;
  }
  story_door_step(explain->doors[explain->door], step,
                  &outcomes[explain->door]); /* first: the other one's look-ups are answered from what is kept */
  for (int door = 0; door < DOOR_COUNT; door++) {
    if ((Door)door != explain->door) {
      story_door_step(explain->doors[door], step, &outcomes[door]);
    }
  }
  json_t *trace = recorder_take(explain->recorder);
  client_view_step(&explain->view, step);
  if (step->kind != STEP_SET && explain->told) {
    tell_json(explain, step, outcomes, trace);
  } else if (step->kind != STEP_SET) {
    tell_text(explain, step, outcomes, trace);
  }
  json_decref(trace);
  return true;
}

static void tell_story(Explain *explain) {
  explain->recorder = recorder_new(explain->ruleset);
  for (int door = 0; door < DOOR_COUNT; door++) {
    StoryWorld world = {.ruleset = explain->ruleset,
                        .clock = explain->clock,
                        .answerer = explain->answerer,
                        .server_name = explain->server_name,
                        .service = explain->service,
                        .trace = (Door)door == explain->door ? recorder_trace(explain->recorder) : NULL,
                        .ask_early = true};
    explain->doors[door] = story_door_new((Door)door, &world);
  }
  explain->view = client_view_start(explain->steps, explain->server_name, explain->smtpd_delays);
  const ScenarioStep *step = explain->steps;
  while (step && tell_step(explain, step)) {
    step = step->next;
  }
  for (int door = 0; door < DOOR_COUNT; door++) {
    story_door_free(explain->doors[door]);
  }
  recorder_free(explain->recorder);
}

/* ---- what the story stands on ---- */

static bool read_dns(Explain *explain, const char *path, Diagnostics *diagnostics) {
  g_autoptr(GError) error = NULL;
  const SourceText *source = source_read(explain->arena, path, path, false, &error);
  if (source == NULL) {
    (void)fprintf(stderr, "%s: %s\n", path, error->message);
    return false;
  }
  bool good = scenario_parse_dns(explain->arena, source, diagnostics, &explain->dns);
  g_autofree char *problems = diagnostics_print(diagnostics);
  (void)fputs(problems, stderr);
  return good;
}

static bool open_dns(Explain *explain) {
  g_autoptr(GError) error = NULL;
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  const char *script = command_line_value(explain->line, "--dns"), *resolver = command_line_value(explain->line, "--resolver");
  if (script && resolver) {
    return usage_error("not together with --dns", "--resolver") == EXIT_GOOD;
  }
  if (script == NULL) {
    explain->answerer = answerer_real_new(resolver, &error);
    if (explain->answerer == NULL) {
      (void)fprintf(stderr, "mailreeve explain: %s\n", error->message);
    }
    return explain->answerer != NULL;
  }
  if (!read_dns(explain, script, diagnostics)) {
    return false;
  }
  explain->answerer = answerer_scripted_new();
  scenario_script_dns(explain->dns, answerer_script(explain->answerer));
  return true;
}

static bool open_clock(Explain *explain) {
  const char *text = command_line_value(explain->line, "--time");
  int64_t time;
  if (text == NULL) {
    explain->clock = clock_system();
    return true;
  }
  explain->clock = clock_manual_new(0);
  explain->clock_is_manual = true;
  if (!clock_parse(explain->clock, slice_from(text), &time)) {
    return usage_error("expected \"YYYY-MM-DD HH:MM\"", text) == EXIT_GOOD;
  }
  clock_manual_set(explain->clock, time);
  return true;
}

static bool read_settings(Explain *explain) {
  const char *name = command_line_value(explain->line, "--door");
  explain->door = DOOR_MILTER;
  explain->server_name = g_get_host_name();
  const char *delays = command_line_value(explain->line, "--smtpd-delay-reject");
  explain->smtpd_delays = delays == NULL || strcmp(delays, "yes") == 0;
  if (!explain->smtpd_delays && strcmp(delays, "no") != 0) {
    return usage_error("expected yes or no", delays) == EXIT_GOOD;
  }
  if (name && !door_from_name(slice_from(name), &explain->door)) {
    return usage_error("there is no such door: expected policy, milter or socketmap", name) == EXIT_GOOD;
  }
  if (command_line_operand_count(explain->line) != 1) {
    (void)command_usage_error(&command_explain, "which rules file?");
    return false;
  }
  return true;
}

static int explain_file(Explain *explain, const char *path) {
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  ResourceContext context = answerer_context(explain->answerer);
  ResourceSource *source = resource_source_plain_new(&context);
  RulesetOptions options = {.enabled_doors = DOORS_ALL, .resources = source, .open_resources = true, .keep_tree = true};
  explain->ruleset = ruleset_load_file(path, &options, diagnostics);
  g_autofree char *problems = diagnostics_print(diagnostics);
  (void)fputs(problems, stderr);
  bool good = explain->ruleset != NULL;
  if (good) {
    tell_story(explain);
    ruleset_unref(explain->ruleset);
  }
  resource_source_plain_free(source);
  return good ? EXIT_GOOD : EXIT_RULES;
}

static int run(int argc, char **argv) {
  g_autoptr(CommandLine) line = command_line_parse(&command_explain, argc, argv);
  if (line == NULL) {
    return EXIT_USAGE;
  }
  g_autoptr(Arena) arena = arena_new(0);
  Explain explain = {.line = line, .arena = arena};
  explain.end = &explain.steps;
  int code = EXIT_USAGE;
  if (read_settings(&explain) && make_story(&explain) && open_clock(&explain) && open_dns(&explain)) {
    explain.told = command_line_has(line, "--json") ? json_array() : NULL;
    code = explain_file(&explain, command_line_operand(line, 0));
    if (explain.told) {
      (void)listing_json_print(explain.told);
    }
  }
  answerer_free(explain.answerer);
  if (explain.clock_is_manual) {
    clock_free(explain.clock);
  }
  return code;
}

static const CommandOption options[] = {
    {"--client-address", "ADDRESS", "the client's IP address"},
    {"--client-name", "NAME", "its verified host name; unknown when not given"},
    {"--client-port", "PORT", "its port"},
    {"--helo", "NAME", "what it says in HELO"},
    {"--ehlo", NULL, "it says EHLO in place of HELO"},
    {"--sender", "ADDRESS", "the sender; <> or the empty text is the null sender"},
    {"--recipient", "ADDRESS", "a recipient; may be given several times"},
    {"--command", "LINE",
     "a command after HELO: VRFY, EXPN, ETRN or one that the server does not know; may be given several times, and alone"},
    {"--set", "FACT=VALUE", "what the mail server says of another fact; may be given several times"},
    {"--message", "FILE", "the message: its header, an empty line and its body; without it nothing is in it"},
    {"--time", "YYYY-MM-DD HH:MM", "the time; now when not given"},
    {"--resolver", "HOST[@PORT]", "the DNS server to ask; the system's when not given"},
    {"--dns", "FILE", "ask no DNS: the answers stand in this file, as in the dns block of a scenario"},
    {"--smtpd-delay-reject", "yes|no",
     "the setting of Postfix, for what the client sees of the policy daemon's answers; yes when not given"},
    {"--door", "policy|milter|socketmap", "show the evaluations of this door; milter when not given"},
    {"--json", NULL, "print JSON"},
    {0},
};

const Command command_explain = {
    .name = "explain",
    .synopsis = "FILE --client-address ADDRESS --helo NAME --sender ADDRESS --recipient ADDRESS ... [OPTIONS]",
    .sentence = "shows why one message is accepted or refused",
    .description =
        "Takes one message through the rules, step by step: each rule that was read, the value of its condition and of all parts that were "
        "asked, each look-up with its answer and how long it took, the verdict, what the policy daemon would answer to Postfix and what "
        "the milter would say to the client; at VRFY, EXPN, ETRN and unknown commands what Sendmail's socket maps would be told.\n\n"
        "For each refusal it shows the bytes that the SMTP client gets from Postfix and from Sendmail, at which command, and what was lost "
        "or "
        "changed on the way: each mail server has its own habits.\n\n"
        "The policy daemon evaluates all earlier phases anew for each question, the milter each phase once: --door policy shows that.",
    .options = options,
    .run = run,
};
