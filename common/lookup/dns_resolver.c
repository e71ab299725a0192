/*
 * dns_resolver.c: DNS over libunbound.
 *
 * libunbound works on a thread of its own and tells by a pipe, which the look-up thread's loop polls; nothing here blocks, and all state is confined to the
 * look-up thread. It retries lost answers itself and gives up after some 17 s; deadlines are the askers'. It caches too, and hands on the time that its answers have left. No
 * DNSSEC validation: a list that is spoofed is the resolver's business.
 */
#include <unbound.h>

#include "common/base/limits.h"
#include "common/lookup/dns.h"

enum {
  DNS_CLASS_IN = 1,
  DNS_PORT = 53,
  TTL_MAX_SECONDS = 3600,
  TTL_NEGATIVE_SECONDS =
      60,               /* for a negative answer without SOA (RFC 2308, 5: it should not be cached; a mail server asks again at once) */
  RECORDS_MAX = 256,    /* of one answer; a blocklist's has a few */
  TEXT_MAX = 16 * 1024, /* bytes of one answer's TXT records */
};

typedef struct RecordType {
  const char *name;
  int number;
  size_t length; /* 0: any */
} RecordType;

static const RecordType record_types[] = {{"A", 1, 4}, {"AAAA", 28, 16}, {"TXT", 16, 0}};

struct DnsResolver {
  Scheduler *scheduler;
  char *server; /* "192.0.2.1@53", or NULL */
  struct ub_ctx *context;
  uv_poll_t *poll;      /* its memory goes when the loop has closed it */
  GHashTable *requests; /* of Request: out at libunbound */
  char *problem;        /* why it could not be set up */
};

typedef struct Request {
  DnsResolver *resolver;
  Question *question;
  const RecordType *type;
} Request;

/* The texts of a TXT record (RFC 1035 3.3.14), joined. */
static Slice join_text(const char *data, int length, char *buffer) {
  const uint8_t *bytes = (const uint8_t *)data;
  size_t used = 0;
  for (int at = 0; at < length;) {
    int part = MIN(bytes[at], length - at - 1);
    memcpy(buffer + used, bytes + at + 1, (size_t)part);
    used += (size_t)part;
    at += 1 + part;
  }
  return slice_make(buffer, used);
}

static int compare_records(const void *a, const void *b) {
  return slice_compare(*(const Slice *)a, *(const Slice *)b);
}

/* Servers turn the order of their records round; ours is fixed, so that the same records are the same answer. */
static Answer *found(const struct ub_result *result, const RecordType *type) {
  Slice records[RECORDS_MAX];
  size_t count = 0, text_used = 0;
  g_autofree char *text = type->length == 0 ? g_malloc(TEXT_MAX) : NULL;
  for (int i = 0; result->data[i] && count < RECORDS_MAX; i++) {
    size_t length = result->len[i] > 0 ? (size_t)result->len[i] : 0;
    if (text && length <= TEXT_MAX - text_used) {
      records[count] = join_text(result->data[i], (int)length, text + text_used);
      text_used += records[count++].length;
    } else if (!text && length == type->length) {
      records[count++] = slice_make(result->data[i], length);
    }
  }
  if (count == 0) {
    return answer_new_failed("malformed answer");
  }
  qsort(records, count, sizeof records[0], compare_records);
  g_autoptr(GBytes) payload = dns_payload_from(records, count);
  return answer_new(ANSWER_FOUND, payload, (unsigned)CLAMP(result->ttl, 0, TTL_MAX_SECONDS));
}

/* NXDOMAIN, or no such record. libunbound has the time to live from the SOA, where the answer's authority section (its count is at byte 8) brings one. */
static Answer *not_found(const struct ub_result *result) {
  const uint8_t *packet = result->answer_packet;
  bool has_authority = packet && result->answer_len >= 12 && (packet[8] || packet[9]);
  int ttl = has_authority ? result->ttl : TTL_NEGATIVE_SECONDS;
  return answer_new(ANSWER_NOT_FOUND, NULL, (unsigned)CLAMP(ttl, 0, TTL_MAX_SECONDS));
}

static Answer *failed(const struct ub_result *result) {
  static const char *const names[] = {NULL, "FORMERR", "SERVFAIL", NULL, "NOTIMP", "REFUSED"};
  int code = result->rcode;
  if (code > 0 && code < (int)G_N_ELEMENTS(names) && names[code]) {
    return answer_new_failed(names[code]);
  }
  char reason[32];
  (void)g_snprintf(reason, sizeof reason, "DNS error %d", code);
  return answer_new_failed(reason);
}

static Answer *read_result(int error, const struct ub_result *result, const RecordType *type) {
  if (error || !result) {
    return answer_new_failed(ub_strerror(error));
  }
  if (result->bogus) {
    return answer_new_failed("bogus");
  }
  if (result->havedata) {
    return found(result, type);
  }
  if (result->nxdomain || result->rcode == 0) {
    return not_found(result);
  }
  return failed(result);
}

/* Ends a request that is in no table any more. */
static void request_end(Request *request, Answer *answer) {
  question_answer(request->question, answer);
  question_unref(request->question);
  g_free(request);
}

static void on_result(void *data, int error, struct ub_result *result) {
  Request *request = data;
  g_hash_table_remove(request->resolver->requests, request);
  request_end(request, read_result(error, result, request->type));
  ub_resolve_free(result);
}

static void on_readable(uv_poll_t *poll, int status, int events) {
  (void)status, (void)events;
  DnsResolver *resolver = poll->data;
  (void)ub_process(resolver->context);
}

/* Cuts "NAME TYPE"; the name goes into `name`. NULL when it is no such key. */
static const RecordType *split_key(const Question *question, char name[256]) {
  Slice key = slice_make(question->key, question->key_length);
  ptrdiff_t space = slice_find_last(key, ' ');
  if (space <= 0 || space > 253) {
    return NULL;
  }
  memcpy(name, key.data, (size_t)space);
  name[space] = '\0';
  for (size_t i = 0; i < G_N_ELEMENTS(record_types); i++) {
    if (strcmp(question->key + space + 1, record_types[i].name) == 0) {
      return &record_types[i];
    }
  }
  return NULL;
}

static void start(void *self, Question *question) {
  DnsResolver *resolver = self;
  char name[256];
  const RecordType *type = split_key(question, name);
  if (!type) {
    question_answer(question, answer_new_failed("not a DNS question"));
    return;
  }
  Request *request = g_new0(Request, 1);
  *request = (Request){resolver, question_ref(question), type};
  int error = ub_resolve_async(resolver->context, name, type->number, DNS_CLASS_IN, request, on_result, NULL);
  if (error) {
    request_end(request, answer_new_failed(ub_strerror(error)));
    return;
  }
  g_hash_table_add(resolver->requests, request);
}

const LookupBackend dns_resolver_backend = {.name = "dns", .start = start};

/*
 * Lists live in private and reserved zones too (a local list's, a test's), so libunbound must not answer these itself, and the forwarder may be on this
 * host. libunbound repeats a question when the server takes longer than it usually does; a forwarder on this host is fast for what it knows, and a second is no
 * long time for a list that it has to ask: less would ask again and again, and give up too early. What libunbound has learned of a server it forgets
 * after half a minute, so that one that was away is soon asked again. Its cache of whole answers is off, because it keeps a negative answer
 * without SOA for an hour; the scheduler has one.
 */
static int set_options(struct ub_ctx *context) {
  static const char *const options[][2] = {
      {"do-not-query-localhost:", "no"},
      {"unblock-lan-zones:", "yes"},
      {"local-zone:", "test. transparent"},
      {"local-zone:", "invalid. transparent"},
      {"module-config:", "iterator"},
      {"outgoing-range:", "512"},
      {"num-queries-per-thread:", "2048"},
      {"infra-cache-min-rtt:", "1000"},
      {"infra-host-ttl:", "30"},
      {"msg-cache-size:", "0"},
  };
  for (size_t i = 0; i < G_N_ELEMENTS(options); i++) {
    int error = ub_ctx_set_option(context, options[i][0], options[i][1]);
    if (error) {
      return error;
    }
  }
  return 0;
}

static void set_up(void *data) {
  DnsResolver *resolver = data;
  resolver->context = ub_ctx_create();
  if (!resolver->context) {
    resolver->problem = g_strdup("libunbound cannot start");
    return;
  }
  int error = set_options(resolver->context);
  if (!error && !resolver->server && (error = ub_ctx_resolvconf(resolver->context, NULL))) {
    resolver->problem = g_strdup_printf("/etc/resolv.conf: %s", ub_strerror(error));
    return;
  }
  if (!error && resolver->server) {
    error = ub_ctx_set_fwd(resolver->context, resolver->server);
  }
  if (!error) {
    error = ub_ctx_async(resolver->context, 1);
  }
  if (error) {
    resolver->problem = g_strdup_printf("libunbound: %s", ub_strerror(error));
    return;
  }
  resolver->poll = g_new0(uv_poll_t, 1);
  resolver->poll->data = resolver;
  error = uv_poll_init(scheduler_loop(resolver->scheduler), resolver->poll, ub_fd(resolver->context));
  if (error) {
    resolver->problem = g_strdup_printf("cannot watch libunbound: %s", uv_strerror(error));
    g_clear_pointer(&resolver->poll, g_free);
    return;
  }
  (void)uv_poll_start(resolver->poll, UV_READABLE, on_readable);
}

static void free_handle(uv_handle_t *handle) {
  g_free(handle);
}

static void take_down(void *data) {
  DnsResolver *resolver = data;
  if (resolver->poll) {
    (void)uv_poll_stop(resolver->poll);
    uv_close((uv_handle_t *)resolver->poll, free_handle);
  }
  if (resolver->context) {
    ub_ctx_delete(resolver->context); /* drops what is out without calling back */
  }
  GHashTableIter each;
  void *request;
  g_hash_table_iter_init(&each, resolver->requests);
  while (g_hash_table_iter_next(&each, &request, NULL)) {
    g_hash_table_iter_remove(&each);
    request_end(request, answer_new_failed("stopping"));
  }
}

/* "HOST@PORT" in the form that libunbound takes, or NULL. HOST is an address: finding a name would need a resolver. */
static char *server_parse(const char *server) {
  Slice text = slice_from(server);
  ptrdiff_t at = slice_find_last(text, '@');
  Slice host = at < 0 ? text : slice_make(text.data, (size_t)at);
  int64_t port = DNS_PORT;
  IpAddress address;
  char host_text[IP_TEXT_MAX];
  if (!ip_parse(host, &address) || (at >= 0 && !slice_to_int(slice_from_offset(text, (size_t)at + 1), &port)) || port < 1 ||
      port > UINT16_MAX) {
    return NULL;
  }
  (void)ip_format(&address, host_text);
  return g_strdup_printf("%s@%d", host_text, (int)port);
}

DnsResolver *dns_resolver_new(Scheduler *scheduler, const char *server, GError **error) {
  GQuark domain = g_quark_from_static_string("mailreeve-dns");
  g_autofree char *normal = server ? server_parse(server) : NULL;
  if (server && !normal) {
    g_set_error(error, domain, 0, "the resolver \"%s\" is not ADDRESS or ADDRESS@PORT", server);
    return NULL;
  }
  DnsResolver *resolver = g_new0(DnsResolver, 1);
  resolver->scheduler = scheduler;
  resolver->server = g_steal_pointer(&normal);
  resolver->requests = g_hash_table_new(NULL, NULL);
  scheduler_run_on_thread(scheduler, set_up, resolver);
  if (resolver->problem) {
    g_set_error(error, domain, 1, "cannot set up DNS: %s", resolver->problem);
    dns_resolver_free(resolver);
    return NULL;
  }
  return resolver;
}

void dns_resolver_free(DnsResolver *resolver) {
  if (!resolver) {
    return;
  }
  scheduler_run_on_thread(resolver->scheduler, take_down, resolver);
  g_hash_table_unref(resolver->requests);
  g_free(resolver->server);
  g_free(resolver->problem);
  g_free(resolver);
}
