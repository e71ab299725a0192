/*
 * milter_facts.c: arguments and macros of a milter's callbacks -> facts.
 *
 * Which macro tells which fact stands in fact.def; here is only when the MTAs say it (Postfix MILTER_README, Sendmail's libmilter
 * documentation, and what both were seen to send): what belongs to the connection comes with connect, TLS with HELO and MAIL, the login
 * with MAIL, the queue id with each step of a message.
 */
#include "common/door/milter_internal.h"

static const MilterEventSet message_events =
    MILTER_EVENT_BIT(MILTER_MAIL) | MILTER_EVENT_BIT(MILTER_RCPT) | MILTER_EVENT_BIT(MILTER_DATA) | MILTER_EVENT_BIT(MILTER_EOM);

MilterEventSet milter_fact_events(Fact fact) {
  const FactInfo *info = fact_info(fact);
  if (info->milter_source == NULL || fact == FACT_TIME || fact == FACT_DATE || fact == FACT_WEEKDAY) {
    return 0;
  }
  if (fact == FACT_QUEUE_ID) {
    return message_events; /* Sendmail has one from MAIL on, Postfix from its first recipient on */
  }
  if (info->phases & PHASE_BIT(PHASE_CONNECT)) {
    return MILTER_EVENT_BIT(MILTER_CONNECT);
  }
  if (info->phases & PHASE_BIT(PHASE_HELO)) {
    /* Postfix has the TLS macros at MAIL too, where no second EHLO came after STARTTLS. */
    return fact == FACT_HELO_NAME ? MILTER_EVENT_BIT(MILTER_HELO) : MILTER_EVENT_BIT(MILTER_HELO) | MILTER_EVENT_BIT(MILTER_MAIL);
  }
  if (info->phases & PHASE_BIT(PHASE_MAIL)) {
    return MILTER_EVENT_BIT(MILTER_MAIL);
  }
  if (info->phases & PHASE_BIT(PHASE_RCPT)) {
    return MILTER_EVENT_BIT(MILTER_RCPT);
  }
  if (info->phases & PHASE_BIT(PHASE_DATA)) {
    return MILTER_EVENT_BIT(MILTER_RCPT); /* recipient_count: we count them */
  }
  if (info->phases & PHASE_BIT(PHASE_EOM)) {
    return MILTER_EVENT_BIT(MILTER_EOM);
  }
  return info->phases & PHASE_BIT(PHASE_UNKNOWN) ? MILTER_EVENT_BIT(MILTER_UNKNOWN) : 0;
}

/* The macros of a fact, one a call: true and *name while there is one more; *position starts at 0. The word "argument" is left out. */
static bool next_macro(Fact fact, size_t *position, Slice *name) {
  Slice source = slice_from(fact_info(fact)->milter_source);
  while (*position < source.length) {
    Slice rest;
    bool more;
    *name = slice_split(slice_from_offset(source, *position), ' ', &rest, &more);
    *position += name->length + 1;
    if (!slice_is_empty(*name) && !slice_equal(*name, SLICE_LITERAL("argument"))) {
      return true;
    }
  }
  return false;
}

/* True when a callback's argument tells it. */
static bool is_argument(Fact fact) {
  const char *source = fact_info(fact)->milter_source;
  return source != NULL && slice_starts_with(slice_from(source), SLICE_LITERAL("argument"));
}

/* Planning */

static const char *const *fact_macros(Arena *arena, Fact fact) {
  size_t count = 0, position = 0;
  Slice name;
  while (next_macro(fact, &position, &name)) {
    count++;
  }
  const char **macros = ARENA_NEW_ARRAY(arena, const char *, count + 1);
  position = 0;
  for (size_t i = 0; next_macro(fact, &position, &name); i++) {
    macros[i] = slice_to_string(arena, name);
  }
  return macros;
}

/* Appends the facts that macros tell at the event: those that rules read, or the others. */
static size_t add_facts(const MilterPlan *plan, MilterEventKind event, bool read, MacroFact *facts, size_t count) {
  for (Fact fact = 0; fact < FACT_COUNT; fact++) {
    if (plan->needed[fact] && plan->read[fact] == read && (milter_fact_events(fact) & MILTER_EVENT_BIT(event)) != 0 && !is_argument(fact)) {
      facts[count++] = (MacroFact){.fact = fact,
                                   .of_message = event == MILTER_MAIL && fact_info(fact)->scope == SCOPE_SESSION,
                                   .macros = fact_macros(plan->arena, fact)};
    }
  }
  return count;
}

static EventPlan event_plan(const MilterPlan *plan, MilterEventKind event) {
  MacroFact *facts = ARENA_NEW_ARRAY(plan->arena, MacroFact, FACT_COUNT);
  size_t read_count = add_facts(plan, event, true, facts, 0);
  return (EventPlan){facts, read_count, add_facts(plan, event, false, facts, read_count)};
}

void milter_facts_plan(MilterPlan *plan) {
  for (MilterEventKind event = 0; event < MILTER_EVENT_COUNT; event++) {
    plan->events[event] = event_plan(plan, event);
  }
  plan->address_macros = fact_macros(plan->arena, FACT_CLIENT_ADDRESS);
  plan->sender_macros = fact_macros(plan->arena, FACT_SENDER);
}

/* Taking */

static const char *macro_value(const MilterEvent *event, const char *name) {
  return event->macro ? event->macro(event->macro_data, name) : NULL;
}

/* The first of the macros that has a value; NULL: none. */
static const char *first_value(const MilterEvent *event, const char *const *macros) {
  const char *value = NULL;
  for (; value == NULL && *macros != NULL; macros++) {
    value = macro_value(event, *macros);
  }
  return value;
}

/* An envelope argument without what may stand behind it: Sendmail 8.17.1 leaves the ESMTP parameters in argv[0] of an SMTPUTF8 command. */
static Slice address_argument(Slice argument, Slice *parameters) {
  bool quoted = false, bracketed = false;
  argument = slice_trim(argument);
  *parameters = SLICE_EMPTY;
  if (argument.length > 0 && slice_find(argument, '>') == (ptrdiff_t)argument.length - 1 && argument.data[0] == '<' &&
      slice_find(argument, '"') < 0) {
    return argument; /* as nearly all are */
  }
  for (size_t i = 0; i < argument.length; i++) {
    char byte = argument.data[i];
    if (byte == '\\' && quoted) {
      i++;
    } else if (byte == '"') {
      quoted = !quoted;
    } else if (byte == '<' && !quoted) {
      bracketed = true;
    } else if (byte == '>' && !quoted && bracketed) {
      *parameters = slice_from_offset(argument, i + 1);
      return slice_make(argument.data, i + 1);
    } else if (byte == ' ' && !quoted && !bracketed) {
      *parameters = slice_from_offset(argument, i);
      return slice_make(argument.data, i);
    }
  }
  return argument;
}

static bool declared_size(Slice parameters, Slice *size) {
  bool more = true;
  while (more) {
    Slice rest;
    Slice word = slice_split(parameters, ' ', &rest, &more);
    if (word.length > 5 && slice_equal_fold(slice_make(word.data, 5), SLICE_LITERAL("SIZE="))) {
      *size = slice_from_offset(word, 5);
      return true;
    }
    parameters = rest;
  }
  return false;
}

static void take_size(Session *facts, const char *const *arguments, Slice parameters) {
  Slice size = SLICE_EMPTY;
  bool found = declared_size(parameters, &size);
  for (size_t i = 1; !found && arguments[i]; i++) {
    found = declared_size(slice_from(arguments[i]), &size);
  }
  if (found) {
    (void)session_set(facts, FACT_SIZE, size);
  }
}

static void take_mail(Session *facts, const MilterPlan *plan, const MilterEvent *event) {
  session_unset(facts, FACT_SENDER);
  session_unset(facts, FACT_SIZE);
  const char *const *arguments = event->arguments;
  if (!arguments || !arguments[0]) {
    const char *value = first_value(event, plan->sender_macros);
    if (value) {
      (void)session_set(facts, FACT_SENDER, slice_from(value));
    }
    return;
  }
  Slice parameters;
  (void)session_set(facts, FACT_SENDER, address_argument(slice_from(arguments[0]), &parameters));
  if (plan->needed[FACT_SIZE]) {
    take_size(facts, arguments, parameters);
  }
}

static void take_connect(Session *facts, const MilterPlan *plan, const MilterEvent *event) {
  const char *value;
  if (event->address) {
    session_set_scalar(facts, FACT_CLIENT_ADDRESS, (Value){VALUE_SET, TYPE_IP, {.ip = *event->address}});
  } else if ((value = first_value(event, plan->address_macros)) != NULL) {
    (void)session_set(facts, FACT_CLIENT_ADDRESS, slice_from(value));
  }
  if (event->port != 0) {
    session_set_scalar(facts, FACT_CLIENT_PORT, value_int(event->port));
  }
  if (plan->needed[FACT_CLIENT_NAME] && event->arguments && event->arguments[0]) {
    (void)session_set(facts, FACT_CLIENT_NAME, slice_from(event->arguments[0]));
  }
}

static Slice first_argument(const MilterEvent *event) {
  return event->arguments ? slice_from(event->arguments[0]) : SLICE_EMPTY;
}

static void take_arguments(Session *facts, const MilterPlan *plan, const MilterEvent *event) {
  Slice parameters;
  switch (event->kind) {
    case MILTER_CONNECT:
      take_connect(facts, plan, event);
      return;
    case MILTER_HELO:
      (void)session_set(facts, FACT_HELO_NAME, first_argument(event));
      return;
    case MILTER_MAIL:
      take_mail(facts, plan, event);
      return;
    case MILTER_RCPT:
      (void)session_borrow(facts, FACT_RECIPIENT, address_argument(first_argument(event), &parameters));
      return;
    case MILTER_UNKNOWN:
      (void)session_set(facts, FACT_COMMAND, slice_trim(first_argument(event)));
      return;
    case MILTER_DATA:
    case MILTER_HEADER:
    case MILTER_EOH:
    case MILTER_BODY:
    case MILTER_EOM:
    case MILTER_ABORT:
    case MILTER_CLOSE:
      return;
  }
}

/* Macros that need more than their text. */
static void set_macro_fact(Session *facts, const MilterPlan *plan, const MilterEvent *event, Fact fact, Slice value) {
  if (fact == FACT_PROTOCOL_NAME) {
    /* Sendmail says ESMTPS and ESMTPA too (RFC 3848). */
    bool extended = value.length > 0 && g_ascii_toupper(value.data[0]) == 'E';
    value = extended ? SLICE_LITERAL("esmtp") : SLICE_LITERAL("smtp");
  } else if (fact == FACT_SERVICE && slice_equal_fold(value, slice_from(macro_value(event, "j")))) {
    value = slice_from(plan->options.service); /* Postfix's default for {daemon_name} is the host's name: it names no service */
  }
  (void)session_set(facts, fact, value);
}

static void take_macros(Session *facts, const MilterPlan *plan, const MilterEvent *event, const MacroFact *rows, size_t count) {
  for (size_t i = 0; i < count; i++) {
    const MacroFact *row = &rows[i];
    const char *value = first_value(event, row->macros);
    if (value) {
      set_macro_fact(facts, plan, event, row->fact, slice_from(value));
    } else if (row->of_message) {
      session_unset(facts, row->fact); /* AUTH= of the message before is not this one's */
    }
  }
}

void milter_facts_take(Session *facts, const MilterPlan *plan, const MilterEvent *event) {
  take_arguments(facts, plan, event);
  const EventPlan *due = &plan->events[event->kind];
  take_macros(facts, plan, event, due->facts, due->read_count);
}

void milter_facts_take_logged(Session *facts, const MilterPlan *plan, const MilterEvent *event) {
  const EventPlan *due = &plan->events[event->kind];
  take_macros(facts, plan, event, due->facts + due->read_count, due->count - due->read_count);
}

void milter_facts_start(Session *facts, const MilterOptions *options) {
  (void)session_borrow(facts, FACT_SERVER_NAME, slice_from(options->server_name));
  (void)session_borrow(facts, FACT_SERVICE, slice_from(options->service));
}

Phase milter_command_phase(const MilterEvent *event) {
  Slice rest;
  bool more;
  Slice word = slice_split(slice_trim(first_argument(event)), ' ', &rest, &more);
  return slice_equal_fold(word, SLICE_LITERAL("EXPN")) ? PHASE_EXPN : PHASE_UNKNOWN;
}
