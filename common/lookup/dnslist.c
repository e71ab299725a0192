/*
 * dnslist.c: lists in DNS (RFC 5782), of addresses or of domains.
 *
 * A key is listed when its name under the zone has an A record that the list's filter takes. What is no address of 127.0.0.0/8 never lists: a zone that
 * has expired and is parked answers every name with its own address. 127.255.255.0/24 says that the resolver is being refused. Both are failures. All
 * lists on one zone ask the same question, whatever their filters.
 */
#include "common/lookup/code_filter.h"
#include "common/lookup/dns.h"
#include "common/lookup/kinds.h"

enum { NAME_MAX_LENGTH = 253, TEXT_MAX_LENGTH = 400 };

typedef struct DnsList {
  Resource resource;
  const LookupBackend *backend;
  void *backend_self;
  char *zone; /* in normal form */
  CodeFilter filter;
} DnsList;

/* Where the process has no resolver (the checker): whoever asks anyway learns it. */
static void answer_without_resolver(void *self, Question *question) {
  (void)self;
  question_answer(question, answer_new_failed("there is no resolver"));
}

static const LookupBackend no_resolver_backend = {.name = "no dns", .start = answer_without_resolver};

static char *check(const ResourceSpec *spec) {
  g_autoptr(Arena) arena = arena_new(0);
  Slice zone = domain_normalize(arena, slice_from(spec->text));
  if (slice_is_empty(zone)) {
    return g_strdup("the zone is empty");
  }
  if (!domain_is_valid(zone) || zone.length > NAME_MAX_LENGTH || slice_find(zone, '.') < 0) {
    return g_strdup("the zone is not a domain name such as \"zen.example.org\"");
  }
  if (spec->shape.part_count != 1 || (spec->shape.parts[0] != TYPE_IP && spec->shape.parts[0] != TYPE_DOMAIN)) {
    return g_strdup("a dnslist is of ip or of domain");
  }
  if (!spec->codes) {
    return NULL;
  }
  CodeFilter filter;
  const char *problem;
  size_t position;
  if (!code_filter_parse(slice_from(spec->codes), &filter, &problem, &position)) {
    return g_strdup_printf("codes \"%s\": %s (at character %zu)", spec->codes, problem, position + 1);
  }
  if (!(filter.octets[0][127 / 8] >> 127 % 8 & 1)) {
    return g_strdup_printf("codes \"%s\" can never match: lists answer with 127.x.x.x", spec->codes);
  }
  return NULL;
}

static Resource *open_list(const ResourceSpec *spec, const ResourceContext *context, GError **error) {
  g_autofree char *problem = check(spec);
  if (problem) {
    g_set_error(error, g_quark_from_static_string("mailreeve-dnslist"), 0, "dnslist \"%s\": %s", spec->text, problem);
    return NULL;
  }
  DnsList *list = g_new0(DnsList, 1);
  bool has_resolver = context && context->dns;
  list->backend = has_resolver ? context->dns : &no_resolver_backend;
  list->backend_self = has_resolver ? context->dns_self : NULL;
  g_autoptr(Arena) arena = arena_new(0);
  list->zone = g_strdup(slice_to_string(arena, domain_normalize(arena, slice_from(spec->text))));
  if (spec->codes) {
    const char *ignored;
    size_t position;
    (void)code_filter_parse(slice_from(spec->codes), &list->filter, &ignored, &position);
  } else {
    code_filter_any(&list->filter);
  }
  resource_init(&list->resource, spec);
  return &list->resource;
}

static void close_list(Resource *resource) {
  DnsList *list = (DnsList *)resource;
  g_free(list->zone);
  g_free(list);
}

/* A name whose last label is a number is an address: lists of domains answer with an error code for those (RFC 5782, 2.4 has no such names). */
static bool is_domain_to_ask(Slice name) {
  Slice last = slice_from_offset(name, (size_t)(slice_find_last(name, '.') + 1));
  int64_t number;
  return domain_is_valid(name) && !slice_to_int(last, &number);
}

/* The part of the name in front of the zone; empty when this key cannot be listed. */
static Slice name_of_key(const Value *key, Arena *arena) {
  if (key->state != VALUE_SET) {
    return SLICE_EMPTY;
  }
  if (key->type == TYPE_IP) {
    return key->as.ip.family ? ip_reverse(arena, &key->as.ip) : SLICE_EMPTY;
  }
  Slice name = domain_normalize(arena, key->as.text);
  return is_domain_to_ask(name) ? name : SLICE_EMPTY;
}

static Question *ask_type(const DnsList *list, const Value *keys, Arena *arena, const char *type) {
  Slice name = name_of_key(&keys[0], arena);
  if (slice_is_empty(name) || name.length + 1 + strlen(list->zone) > NAME_MAX_LENGTH) {
    return NULL;
  }
  char *key = arena_printf(arena, "%.*s.%s %s", SLICE_ARGS(name), list->zone, type);
  return question_new_in(arena, list->backend, list->backend_self, LOOKUP_AHEAD, slice_from(key), slice_from(list->zone));
}

static Question *ask(Resource *resource, const Value *keys, Arena *arena) {
  return ask_type((DnsList *)resource, keys, arena, "A");
}

static Question *ask_text(Resource *resource, const Value *keys, Arena *arena) {
  return ask_type((DnsList *)resource, keys, arena, "TXT");
}

/* What the addresses of an answer say. */
typedef struct ListVerdict {
  IpAddress listed, refused; /* family 0: none such */
  bool outside;
} ListVerdict;

static ListVerdict judge(const DnsList *list, GBytes *payload) {
  ListVerdict verdict = {0};
  size_t count = dns_payload_count(payload);
  for (size_t i = 0; i < count; i++) {
    Slice record = dns_payload_get(payload, i);
    IpAddress address = {.family = 4};
    if (record.length != 4) {
      continue;
    }
    memcpy(address.bytes, record.data, 4);
    if (code_filter_matches(&list->filter, &address)) {
      if (verdict.listed.family == 0) {
        verdict.listed = address;
      }
    } else if (code_is_refusal(&address)) {
      verdict.refused = address;
    } else if (address.bytes[0] != 127) {
      verdict.outside = true;
    }
  }
  return verdict;
}

static void read_answer(Resource *resource, const Value *keys, const Answer *raw, Arena *arena, ResourceAnswer *answer) {
  (void)keys;
  const DnsList *list = (const DnsList *)resource;
  *answer = (ResourceAnswer){.state = raw->state, .value = VALUE_NONE};
  if (raw->state == ANSWER_FAILED) {
    answer->reason = arena_printf(arena, "%s", raw->reason);
    return;
  }
  if (raw->state == ANSWER_NOT_FOUND) {
    return;
  }
  ListVerdict verdict = judge(list, raw->payload);
  char text[IP_TEXT_MAX];
  if (verdict.listed.family) {
    answer->code = slice_copy(arena, slice_make(text, ip_format(&verdict.listed, text)));
    answer->zone = slice_copy(arena, slice_from(list->zone));
  } else if (verdict.refused.family) {
    (void)ip_format(&verdict.refused, text);
    answer->state = ANSWER_FAILED;
    answer->reason = arena_printf(arena, "list refuses to answer: %s", text);
  } else if (verdict.outside) {
    answer->state = ANSWER_FAILED;
    answer->reason = "answer outside 127.0.0.0/8";
  } else {
    answer->state = ANSWER_NOT_FOUND;
  }
}

/* What stands in a reply is printable ASCII. */
static Slice read_text(Resource *resource, const Answer *raw, Arena *arena) {
  (void)resource;
  if (raw->state != ANSWER_FOUND) {
    return SLICE_EMPTY;
  }
  char *text = arena_alloc_text(arena, TEXT_MAX_LENGTH);
  size_t used = 0, count = dns_payload_count(raw->payload);
  for (size_t i = 0; i < count && used < TEXT_MAX_LENGTH; i++) {
    Slice record = dns_payload_get(raw->payload, i);
    if (used > 0) {
      text[used++] = ' ';
    }
    for (size_t j = 0; j < record.length && used < TEXT_MAX_LENGTH; j++) {
      text[used++] = record.data[j] >= ' ' && record.data[j] <= '~' ? record.data[j] : '?';
    }
  }
  return slice_trim(slice_make(text, used));
}

const ResourceKind resource_kind_dnslist = {
    .name = "dnslist",
    .sentence = "A list in DNS: an address or a domain is in it when its name under the zone has a record of 127.0.0.0/8.",
    .synopsis = "dnslist NAME of ip|domain \"ZONE\" [codes \"FILTER\"] [on error skip|tempfail|match]",
    .lookup_class = LOOKUP_AHEAD,
    .on_error = ON_ERROR_SKIP,
    .is_table = false,
    .check = check,
    .open = open_list,
    .close = close_list,
    .ask = ask,
    .read = read_answer,
    .ask_text = ask_text,
    .read_text = read_text,
};
