/*
 * resolver_probe.c: the look-up thread with real DNS, driven by lines on standard input; for the tests beside it.
 *
 *     resolver_probe ADDRESS@PORT
 *
 *     ask NAME TYPE              asks and goes on; when the answer comes it prints
 *                                "answer NAME TYPE found|not-found|failed ttl=N cached=0|1|stale=1 [RECORD ...|REASON]"
 *     list ZONE CODES KEY        asks a DNS list (CODES "-": none; KEY an address or a domain), waits, and prints "listed CODE ZONE TEXT", "not listed" or
 *                                "failed REASON"
 *     drop                       nobody waits any more for what was asked; prints "dropped"
 *     counts                     prints "counts asked=N cached=N joined=N failed=N late=N refused=N
 *                                stale=N resting=N rests=N pending=N entries=N"
 *
 * At the end of its input it stops everything, whatever is still out, and prints "stopped".
 */
#include <inttypes.h>
#include <stdio.h>

#include "common/lookup/dns.h"
#include "common/lookup/kinds.h"

typedef struct Probe {
  Scheduler *scheduler;
  DnsResolver *resolver;
  AnswerBox *box;
  uv_thread_t printer;
} Probe;

static void print_records(const Question *question, GBytes *payload) {
  g_autoptr(Arena) arena = arena_new(0);
  size_t count = dns_payload_count(payload);
  for (size_t i = 0; i < count; i++) {
    Slice record = dns_payload_get(payload, i);
    if (g_str_has_suffix(question->key, " TXT")) {
      Slice quoted = slice_quote(arena, record, record.length);
      printf(" \"%.*s\"", SLICE_ARGS(quoted));
      continue;
    }
    IpAddress address = {.family = record.length == 4 ? 4 : 6};
    char text[IP_TEXT_MAX];
    memcpy(address.bytes, record.data, MIN(record.length, sizeof address.bytes));
    (void)ip_format(&address, text);
    printf(" %s", text);
  }
}

static void print_answer(const Question *question, const Answer *answer) {
  static const char *const states[] = {[ANSWER_FOUND] = "found", [ANSWER_NOT_FOUND] = "not-found", [ANSWER_FAILED] = "failed"};
  flockfile(stdout);
  printf("answer %s %s ttl=%u %s=%d", question->key, states[answer->state], answer->ttl_seconds, answer->stale ? "stale" : "cached",
         answer->from_cache);
  if (answer->state == ANSWER_FOUND) {
    print_records(question, answer->payload);
  } else if (answer->state == ANSWER_FAILED) {
    printf(" %s", answer->reason);
  }
  printf("\n");
  (void)fflush(stdout);
  funlockfile(stdout);
}

/* Prints answers until its box is closed. */
static void print_answers(void *data) {
  AnswerBox *box = data;
  while (answer_box_is_open(box)) {
    (void)answer_box_wait(box, G_MAXINT64);
    g_autoptr(Question) question = NULL;
    g_autoptr(Answer) answer = NULL;
    if (answer_box_take(box, &question, &answer)) {
      print_answer(question, answer);
    }
  }
}

static void open_box(Probe *probe) {
  probe->box = answer_box_new(NULL, NULL);
  if (uv_thread_create(&probe->printer, print_answers, probe->box) != 0) {
    g_error("cannot make a thread");
  }
}

static void close_box(Probe *probe) {
  answer_box_close(probe->box);
  (void)uv_thread_join(&probe->printer);
  g_clear_pointer(&probe->box, answer_box_unref);
}

static void command_ask(Probe *probe, char **words) {
  g_autofree char *key = g_strdup_printf("%s %s", words[1], words[2]);
  g_autoptr(Question) question = question_new(&dns_resolver_backend, probe->resolver, LOOKUP_AHEAD, slice_from(key));
  scheduler_ask(probe->scheduler, question, probe->box);
}

/* Asks and waits; NULL when there is nothing to ask. */
static Answer *ask_now(Probe *probe, Question *question) {
  if (!question) {
    return NULL;
  }
  g_autoptr(AnswerBox) box = answer_box_new(NULL, NULL);
  g_autoptr(Question) asked = NULL;
  Answer *answer = NULL;
  scheduler_ask(probe->scheduler, question, box);
  (void)answer_box_wait(box, G_MAXINT64);
  (void)answer_box_take(box, &asked, &answer);
  return answer;
}

static void print_listing(Probe *probe, Resource *list, const Value *key, Arena *arena) {
  const ResourceKind *kind = list->kind;
  g_autoptr(Question) question = kind->ask(list, key, arena);
  g_autoptr(Answer) raw = ask_now(probe, question);
  if (!raw) {
    printf("never listed\n");
    return;
  }
  ResourceAnswer answer;
  kind->read(list, key, raw, arena, &answer);
  if (answer.state == ANSWER_NOT_FOUND) {
    printf("not listed\n");
  } else if (answer.state == ANSWER_FAILED) {
    printf("failed %s\n", answer.reason);
  } else {
    g_autoptr(Question) text_question = kind->ask_text(list, key, arena);
    g_autoptr(Answer) text_answer = ask_now(probe, text_question);
    Slice text = kind->read_text(list, text_answer, arena);
    printf("listed %.*s %.*s %.*s\n", SLICE_ARGS(answer.code), SLICE_ARGS(answer.zone), SLICE_ARGS(text));
  }
}

static void command_list(Probe *probe, char **words) {
  g_autoptr(Arena) arena = arena_new(0);
  Value key = {.state = VALUE_SET, .type = TYPE_IP};
  if (!ip_parse(slice_from(words[3]), &key.as.ip)) {
    key.type = TYPE_DOMAIN;
    key.as.text = slice_from(words[3]);
  }
  ResourceSpec spec = {.kind = resource_kind_find(SLICE_LITERAL("dnslist")),
                       .name = "probe",
                       .text = words[1],
                       .shape = {.part_count = 1, .parts = {key.type}}};
  spec.codes = strcmp(words[2], "-") == 0 ? NULL : words[2];
  ResourceContext context = {.dns = &dns_resolver_backend, .dns_self = probe->resolver};
  g_autoptr(GError) error = NULL;
  g_autoptr(Resource) list = spec.kind->open(&spec, &context, &error);
  if (!list) {
    printf("error %s\n", error->message);
  } else {
    print_listing(probe, list, &key, arena);
  }
  (void)fflush(stdout);
}

static void command_drop(Probe *probe, char **words) {
  (void)words;
  close_box(probe);
  open_box(probe);
  printf("dropped\n");
  (void)fflush(stdout);
}

static void command_counts(Probe *probe, char **words) {
  (void)words;
  SchedulerCounts counts = scheduler_counts(probe->scheduler);
  printf("counts asked=%" PRIu64 " cached=%" PRIu64 " joined=%" PRIu64 " failed=%" PRIu64 " late=%" PRIu64 " refused=%" PRIu64
         " stale=%" PRIu64 " resting=%" PRIu64 " rests=%" PRIu64 " pending=%" PRIu64 " entries=%" PRIu64 "\n",
         counts.asked, counts.cached, counts.joined, counts.failed, counts.late, counts.refused, counts.stale, counts.resting, counts.rests,
         counts.pending, counts.entries);
  (void)fflush(stdout);
}

static const struct {
  const char *name;
  unsigned words;
  void (*run)(Probe *probe, char **words);
} commands[] = {{"ask", 3, command_ask}, {"list", 4, command_list}, {"drop", 1, command_drop}, {"counts", 1, command_counts}};

static void run_line(Probe *probe, char *line) {
  g_auto(GStrv) words = g_strsplit(g_strstrip(line), " ", 0);
  for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
    if (g_strcmp0(words[0], commands[i].name) == 0 && g_strv_length(words) == commands[i].words) {
      commands[i].run(probe, words);
      return;
    }
  }
  printf("error what is \"%s\"?\n", line);
  (void)fflush(stdout);
}

int main(int argc, char **argv) {
  Probe probe = {0};
  g_autoptr(GError) error = NULL;
  if (argc != 2 || !(probe.scheduler = scheduler_new(&error)) || !(probe.resolver = dns_resolver_new(probe.scheduler, argv[1], &error))) {
    (void)fprintf(stderr, "resolver_probe: %s\n", error ? error->message : "usage: resolver_probe ADDRESS@PORT");
    scheduler_free(probe.scheduler);
    return 2;
  }
  open_box(&probe);
  char line[1024];
  while (fgets(line, sizeof line, stdin)) {
    run_line(&probe, line);
  }
  close_box(&probe);
  dns_resolver_free(probe.resolver);
  scheduler_free(probe.scheduler);
  printf("stopped\n");
  return 0;
}
