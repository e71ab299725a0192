/*
 * rules_fixture.c: see rules_fixture.h.
 */
#include "tests/unit/rules_fixture.h"

#include <check.h>
#include <stdlib.h>

struct Fixture {
  ResourceSource source; /* first: find_kind and open get it */
  GHashTable *script;    /* "NAME KEY" -> answer */
  GHashTable *silent;
  Ruleset *ruleset;
  Session *session;
  Variables *variables;
  Arena *arena;
  const Verdict *verdict;
  GString *told, *asked;
  char *late; /* facts that come when they are waited for */
};

typedef struct FixtureResource {
  Resource base;
  Fixture *fixture;
  char *name;
  KeysetShape shape;
} FixtureResource;

typedef struct FixtureVersion {
  ResourceVersion base;
  FixtureResource *resource;
} FixtureVersion;

/* ---- answers ---- */

static void start_nothing(void *self, Question *question) {
  (void)self;
  (void)question;
}

static const LookupBackend fixture_backend = {.name = "fixture", .start = start_nothing};

static char *key_text(const FixtureResource *resource, const Value *keys, const char *before, Arena *arena) {
  GString *text = g_string_new(before);
  g_string_append(text, resource->name);
  for (size_t i = 0; i < resource->shape.part_count; i++) {
    Slice key = value_format(arena, &keys[i]);
    g_string_append_printf(text, "%c%.*s", i == 0 ? ' ' : ',', SLICE_ARGS(key));
  }
  return g_string_free(text, FALSE);
}

static void fill_answer(const FixtureResource *resource, const char *text, Arena *arena, ResourceAnswer *answer) {
  answer->state = text == NULL ? ANSWER_NOT_FOUND : g_str_equal(text, "failed") ? ANSWER_FAILED : ANSWER_FOUND;
  if (answer->state == ANSWER_FAILED)
    answer->reason = "scripted";
  if (answer->state != ANSWER_FOUND)
    return;
  const char *problem;
  Slice right_form;
  Slice copy = slice_copy(arena, slice_from(text));
  if (resource->shape.has_value)
    ck_assert(value_parse(arena, resource->shape.value, copy, &answer->value, &problem, &right_form));
}

static void fixture_find(const ResourceVersion *version, const Value *keys, Arena *arena, ResourceAnswer *answer) {
  const FixtureResource *resource = ((const FixtureVersion *)version)->resource;
  g_autofree char *key = key_text(resource, keys, "", arena);
  fill_answer(resource, g_hash_table_lookup(resource->fixture->script, key), arena, answer);
}

static Question *ask_with(Resource *resource, const Value *keys, const char *before, Arena *arena) {
  FixtureResource *mine = (FixtureResource *)resource;
  g_autofree char *key = key_text(mine, keys, before, arena);
  return question_new(&fixture_backend, mine->fixture, resource->kind->lookup_class, slice_from(key));
}

static Question *fixture_ask(Resource *resource, const Value *keys, Arena *arena) {
  return ask_with(resource, keys, "", arena);
}

static Question *fixture_ask_text(Resource *resource, const Value *keys, Arena *arena) {
  return ask_with(resource, keys, "text ", arena);
}

static const char *payload_text(const Answer *raw) {
  return raw->payload != NULL ? g_bytes_get_data(raw->payload, NULL) : NULL;
}

static void fixture_read(Resource *resource, const Value *keys, const Answer *raw, Arena *arena, ResourceAnswer *answer) {
  (void)keys;
  fill_answer((FixtureResource *)resource, payload_text(raw), arena, answer);
}

static void list_read(Resource *resource, const Value *keys, const Answer *raw, Arena *arena, ResourceAnswer *answer) {
  (void)keys;
  FixtureResource *mine = (FixtureResource *)resource;
  const char *text = payload_text(raw);
  if (text == NULL)
    return;
  answer->state = ANSWER_FOUND;
  answer->zone = slice_from(mine->name);
  answer->code = slice_copy(arena, slice_from(text));
}

static Slice list_read_text(Resource *resource, const Answer *raw, Arena *arena) {
  (void)resource;
  return slice_copy(arena, slice_from(payload_text(raw)));
}

static Answer *answer_of(const Fixture *fixture, const Question *question) {
  const char *text = g_hash_table_lookup(fixture->script, question->key);
  if (text == NULL)
    return answer_new(ANSWER_NOT_FOUND, NULL, 0);
  if (g_str_equal(text, "failed"))
    return answer_new_failed("scripted");
  g_autoptr(GBytes) payload = g_bytes_new(text, strlen(text) + 1);
  return answer_new(ANSWER_FOUND, payload, 0);
}

/* ---- resources ---- */

static void version_free(ResourceVersion *version) {
  g_free(version);
}

static void fixture_close(Resource *resource) {
  g_free(((FixtureResource *)resource)->name);
  g_free(resource);
}

static Resource *kind_open(const ResourceSpec *spec, const ResourceContext *context, GError **error) {
  (void)context;
  (void)error;
  FixtureResource *resource = g_new0(FixtureResource, 1);
  resource_init(&resource->base, spec);
  resource->name = g_strdup(spec->text);
  resource->shape = spec->shape;
  FixtureVersion *version = g_new0(FixtureVersion, 1);
  version->base.references = 1;
  version->base.free = version_free;
  version->resource = resource;
  resource_publish(&resource->base, &version->base);
  return &resource->base;
}

#define FIXTURE_KIND(word, class, behaviour)                                                                                             \
  {                                                                                                                                      \
    .name = word, .sentence = word, .synopsis = word, .lookup_class = class, .on_error = behaviour, .is_table = true, .open = kind_open, \
    .close = fixture_close, .find = fixture_find, .ask = fixture_ask, .read = fixture_read                                               \
  }

static const ResourceKind kinds[] = {
    FIXTURE_KIND("here", LOOKUP_HERE, ON_ERROR_TEMPFAIL),
    FIXTURE_KIND("ahead", LOOKUP_AHEAD, ON_ERROR_TEMPFAIL),
    FIXTURE_KIND("reached", LOOKUP_REACHED, ON_ERROR_TEMPFAIL),
    FIXTURE_KIND("stateful", LOOKUP_STATEFUL, ON_ERROR_SKIP),
    {.name = "dnslist",
     .sentence = "",
     .synopsis = "",
     .lookup_class = LOOKUP_AHEAD,
     .on_error = ON_ERROR_SKIP,
     .open = kind_open,
     .close = fixture_close,
     .ask = fixture_ask,
     .read = list_read,
     .ask_text = fixture_ask_text,
     .read_text = list_read_text},
};

static const ResourceKind *source_find_kind(ResourceSource *self, Slice word) {
  (void)self;
  for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
    if (slice_equal(word, slice_from(kinds[i].name)))
      return &kinds[i];
  }
  return NULL;
}

static const char *const *source_kind_names(ResourceSource *self) {
  static const char *const names[] = {"here", "ahead", "reached", "stateful", NULL};
  (void)self;
  return names;
}

static Resource *source_open(ResourceSource *self, const ResourceSpec *spec, GError **error) {
  Resource *resource = spec->kind->open(spec, NULL, error);
  ((FixtureResource *)resource)->fixture = (Fixture *)self;
  return resource;
}

/* ---- the fixture ---- */

static Ruleset *load(Fixture *fixture, const char *rules, Diagnostics *diagnostics) {
  RulesetOptions options = {.enabled_doors = DOORS_ALL, .resources = &fixture->source, .open_resources = true};
  return ruleset_load_text("test", slice_from(rules), NULL, &options, diagnostics);
}

Ruleset *fixture_load(Fixture *fixture, const char *rules) {
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  Ruleset *ruleset = load(fixture, rules, diagnostics);
  if (ruleset == NULL) {
    g_autofree char *text = diagnostics_print(diagnostics);
    ck_abort_msg("%s", text);
  }
  return ruleset;
}

static Fixture *fixture_empty(void) {
  Fixture *fixture = g_new0(Fixture, 1);
  fixture->source = (ResourceSource){source_find_kind, source_kind_names, source_open};
  fixture->script = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  fixture->silent = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  fixture->arena = arena_new(0);
  fixture->told = g_string_new(NULL);
  fixture->asked = g_string_new(NULL);
  return fixture;
}

static void fixture_begin(Fixture *fixture, Ruleset *ruleset) {
  fixture->ruleset = ruleset;
  fixture->session = session_new(DOOR_MILTER);
  fixture->variables = variables_new(fixture->ruleset);
}

Fixture *fixture_new(const char *rules) {
  Fixture *fixture = fixture_empty();
  fixture_begin(fixture, fixture_load(fixture, rules));
  return fixture;
}

Fixture *fixture_try(const char *rules) {
  Fixture *fixture = fixture_empty();
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  Ruleset *ruleset = load(fixture, rules, diagnostics);
  if (ruleset != NULL) {
    fixture_begin(fixture, ruleset);
    return fixture;
  }
  fixture_free(fixture);
  return NULL;
}

void fixture_free(Fixture *fixture) {
  arena_free(fixture->arena);
  variables_free(fixture->variables);
  session_free(fixture->session);
  if (fixture->ruleset != NULL)
    ruleset_unref(fixture->ruleset);
  g_free(fixture->late);
  g_hash_table_unref(fixture->script);
  g_hash_table_unref(fixture->silent);
  g_string_free(fixture->told, TRUE);
  g_string_free(fixture->asked, TRUE);
  g_free(fixture);
}

void fixture_facts(Fixture *fixture, const char *facts) {
  g_auto(GStrv) parts = g_strsplit(facts, " ", -1);
  for (char **part = parts; *part != NULL; part++) {
    if (**part == '\0')
      continue;
    char *value = strchr(*part, '=');
    Fact fact;
    ck_assert_msg(value != NULL && fact_from_name(slice_make(*part, (size_t)(value - *part)), &fact), "no fact: %s", *part);
    ck_assert(session_set(fixture->session, fact, slice_from(value + 1)));
  }
}

void fixture_late_facts(Fixture *fixture, const char *facts) {
  g_free(fixture->late);
  fixture->late = g_strdup(facts);
}

/* True when what was missing has come. */
static bool facts_come(Fixture *fixture) {
  g_autofree char *late = g_steal_pointer(&fixture->late);
  if (late != NULL)
    fixture_facts(fixture, late);
  return late != NULL;
}

void fixture_script(Fixture *fixture, const char *script) {
  g_hash_table_remove_all(fixture->script);
  g_auto(GStrv) lines = g_strsplit(script, "\n", -1);
  for (char **line = lines; *line != NULL; line++) {
    g_auto(GStrv) sides = g_strsplit(*line, " = ", 2);
    if (sides[0] == NULL || sides[1] == NULL)
      continue;
    g_hash_table_insert(fixture->script, g_strdup(g_strstrip(sides[0])), g_strdup(g_strstrip(sides[1])));
  }
}

void fixture_silence(Fixture *fixture, const char *names) {
  g_hash_table_remove_all(fixture->silent);
  g_auto(GStrv) parts = g_strsplit(names, " ", -1);
  for (char **part = parts; *part != NULL; part++)
    g_hash_table_add(fixture->silent, g_strdup(*part));
}

static bool is_silent(const Fixture *fixture, const Question *question) {
  g_auto(GStrv) words = g_strsplit(question->key, " ", 2);
  return g_hash_table_contains(fixture->silent, words[0]);
}

/* Asks what is wanted and answers all of it; true when something was answered. */
static bool answer_wanted(Fixture *fixture, Evaluation *evaluation) {
  size_t count;
  Question *const *wanted = evaluation_wanted(evaluation, &count);
  bool any = false;
  if (fixture->asked->len > 0 && count > 0)
    g_string_append(fixture->asked, " | ");
  for (size_t i = 0; i < count; i++) {
    g_string_append_printf(fixture->asked, "%s%s", i > 0 ? ", " : "", wanted[i]->key);
    if (is_silent(fixture, wanted[i]))
      continue;
    g_autoptr(Answer) answer = answer_of(fixture, wanted[i]);
    evaluation_answer(evaluation, wanted[i], answer);
    any = true;
  }
  return any;
}

static void tell_effect(GString *told, Arena *arena, const Effect *effect) {
  g_string_append_printf(told, "; %s %.*s", effect_name(effect->kind), SLICE_ARGS(effect->rule));
  switch (effect->kind) {
    case EFFECT_LOG:
      g_string_append_printf(told, " %.*s", SLICE_ARGS(effect->as.log_text));
      return;
    case EFFECT_DELAY:
      g_string_append_printf(told, " %d", (int)effect->as.delay_ms);
      return;
    case EFFECT_PREPEND_HEADER:
    case EFFECT_APPEND_HEADER:
      g_string_append_printf(told, " %.*s: %.*s", SLICE_ARGS(effect->as.header.name), SLICE_ARGS(effect->as.header.value));
      return;
    case EFFECT_REPLACE_HEADER:
    case EFFECT_DELETE_HEADER:
      g_string_append_printf(told, " %.*s[%d]: %.*s", SLICE_ARGS(effect->as.header.name), effect->as.header.nth,
                             SLICE_ARGS(effect->as.header.value));
      return;
    case EFFECT_ADD_RECIPIENT:
    case EFFECT_REMOVE_RECIPIENT:
    case EFFECT_CHANGE_SENDER:
    case EFFECT_REDIRECT_MESSAGE:
    case EFFECT_BCC_MESSAGE:
      g_string_append_printf(told, " <%.*s>", SLICE_ARGS(effect->as.address));
      return;
    case EFFECT_FILTER_MESSAGE:
      g_string_append_printf(told, " %.*s", SLICE_ARGS(effect->as.filter));
      return;
    case EFFECT_UNDONE:
      g_string_append_printf(told, " %.*s: %s \"%.*s\"", SLICE_ARGS(effect->as.undone.action), effect->as.undone.problem,
                             SLICE_ARGS(effect->as.undone.text));
      return;
    case EFFECT_QUARANTINE_MESSAGE:
      g_string_append_printf(told, " %.*s", SLICE_ARGS(effect->as.why));
      return;
    case EFFECT_OBSERVED:
      g_string_append_printf(told, " %s %d <%.*s>", outcome_name(effect->as.observed.outcome), effect->as.observed.reply.code,
                             SLICE_ARGS(effect->as.observed.action));
      return;
  }
  (void)arena;
}

static void tell(Fixture *fixture) {
  const Verdict *verdict = fixture->verdict;
  GString *told = fixture->told;
  g_string_assign(told, outcome_name(verdict->outcome));
  if (verdict->reply.code != 0) {
    Slice enhanced = enhanced_format(fixture->arena, verdict->reply.enhanced);
    g_string_append_printf(told, " %d %.*s", verdict->reply.code, SLICE_ARGS(enhanced));
  }
  if (verdict->rule.length > 0)
    g_string_append_printf(told, " %.*s", SLICE_ARGS(verdict->rule));
  for (size_t i = 0; i < verdict->reply.line_count; i++)
    g_string_append_printf(told, " \"%.*s\"", SLICE_ARGS(verdict->reply.lines[i]));
  if (verdict->by_failure)
    g_string_append(told, " by failure");
  for (const Failure *failure = verdict->failures; failure != NULL; failure = failure->next) {
    g_string_append_printf(told, "; failed %.*s: %.*s", SLICE_ARGS(failure->lookup), SLICE_ARGS(failure->reason));
  }
  for (size_t i = 0; i < verdict->effect_count; i++)
    tell_effect(told, fixture->arena, &verdict->effects[i]);
}

const char *fixture_run_with(Fixture *fixture, Phase phase, const EvaluationOptions *options) {
  arena_reset(fixture->arena);
  g_string_truncate(fixture->asked, 0);
  Evaluation *evaluation = evaluation_new(fixture->arena, fixture->ruleset, phase, fixture->session, fixture->variables, options);
  while (evaluation_run(evaluation) == EVALUATION_WAITS) {
    if (!answer_wanted(fixture, evaluation) && !(evaluation_misses_facts(evaluation) && facts_come(fixture)))
      evaluation_expire(evaluation, "no answer within 8 s");
  }
  fixture->verdict = evaluation_verdict(evaluation);
  tell(fixture);
  evaluation_commit(evaluation);
  return fixture->told->str;
}

const char *fixture_run(Fixture *fixture, Phase phase) {
  return fixture_run_with(fixture, phase, NULL);
}

const char *fixture_asked(const Fixture *fixture) {
  return fixture->asked->str;
}

const Verdict *fixture_verdict(const Fixture *fixture) {
  return fixture->verdict;
}

Variables *fixture_variables(Fixture *fixture) {
  return fixture->variables;
}

Session *fixture_session(Fixture *fixture) {
  return fixture->session;
}

Ruleset *fixture_ruleset(Fixture *fixture) {
  return fixture->ruleset;
}

const char *fixture_variable(Fixture *fixture, const char *name) {
  const Ruleset *ruleset = variables_ruleset(fixture->variables);
  for (size_t i = 0; i < ruleset->variable_count; i++) {
    const VariableInfo *info = ruleset->variables[i];
    const char *full = arena_printf(fixture->arena, "%s.%.*s", scope_name(info->scope), SLICE_ARGS(info->name));
    if (strcmp(full, name) != 0)
      continue;
    Value value = variables_get(fixture->variables, info);
    return slice_to_string(fixture->arena, value_format(fixture->arena, &value));
  }
  ck_abort_msg("no variable %s", name);
}
