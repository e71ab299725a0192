/*
 * dns_fake.c: DNS from a script, for tests and scenarios. Thread-safe: a test may change the script while the look-up thread asks.
 *
 * The lock is libuv's (pthread), because the thread sanitizer does not understand GLib's.
 */
#include "common/base/mailaddress.h"
#include "common/lookup/dns.h"

enum { FAKE_TTL_SECONDS = 300, FAKE_NEGATIVE_TTL_SECONDS = 60 };

/* What the script says of one name. */
typedef struct FakeName {
  GHashTable *records; /* type -> GPtrArray of GBytes */
  char *failure;       /* NULL: it does not fail */
  bool silent;
} FakeName;

struct DnsFake {
  uv_mutex_t lock;   /* guards `names` and all below it */
  GHashTable *names; /* in normal form -> FakeName */
};

static void fake_name_free(void *item) {
  FakeName *name = item;
  g_hash_table_unref(name->records);
  g_free(name->failure);
  g_free(name);
}

DnsFake *dns_fake_new(void) {
  DnsFake *fake = g_new0(DnsFake, 1);
  if (uv_mutex_init(&fake->lock) != 0) {
    g_error("cannot make a lock");
  }
  fake->names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, fake_name_free);
  return fake;
}

void dns_fake_free(DnsFake *fake) {
  if (!fake) {
    return;
  }
  g_hash_table_unref(fake->names);
  uv_mutex_destroy(&fake->lock);
  g_free(fake);
}

/* With the lock. */
static FakeName *name_for_script(DnsFake *fake, Slice text) {
  g_autoptr(Arena) arena = arena_new(0);
  char *normal = slice_to_string(arena, domain_normalize(arena, text));
  FakeName *name = g_hash_table_lookup(fake->names, normal);
  if (!name) {
    name = g_new0(FakeName, 1);
    name->records = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_ptr_array_unref);
    g_hash_table_insert(fake->names, g_strdup(normal), name);
  }
  return name;
}

/* The record's bytes as DNS carries them, or NULL when `value` is none of this type. */
static GBytes *record_bytes(const char *type, Slice value) {
  if (strcmp(type, "TXT") == 0) {
    return g_bytes_new(value.data, MIN(value.length, UINT16_MAX));
  }
  uint8_t family = strcmp(type, "A") == 0 ? 4 : strcmp(type, "AAAA") == 0 ? 6 : 0;
  IpAddress address;
  if (family == 0 || !ip_parse(value, &address) || address.family != family) {
    return NULL;
  }
  return g_bytes_new(address.bytes, family == 4 ? 4 : 16);
}

bool dns_fake_add(DnsFake *fake, Slice name, const char *type, Slice value) {
  GBytes *bytes = record_bytes(type, value);
  if (!bytes) {
    return false;
  }
  uv_mutex_lock(&fake->lock);
  FakeName *scripted = name_for_script(fake, name);
  GPtrArray *records = g_hash_table_lookup(scripted->records, type);
  if (!records) {
    records = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    g_hash_table_insert(scripted->records, g_strdup(type), records);
  }
  g_ptr_array_add(records, bytes);
  uv_mutex_unlock(&fake->lock);
  return true;
}

void dns_fake_fail(DnsFake *fake, Slice name, const char *reason) {
  uv_mutex_lock(&fake->lock);
  FakeName *scripted = name_for_script(fake, name);
  g_free(scripted->failure);
  scripted->failure = g_strdup(reason);
  uv_mutex_unlock(&fake->lock);
}

void dns_fake_silence(DnsFake *fake, Slice name) {
  uv_mutex_lock(&fake->lock);
  name_for_script(fake, name)->silent = true;
  uv_mutex_unlock(&fake->lock);
}

void dns_fake_clear(DnsFake *fake) {
  uv_mutex_lock(&fake->lock);
  g_hash_table_remove_all(fake->names);
  uv_mutex_unlock(&fake->lock);
}

static Answer *answer_with_records(const GPtrArray *records) {
  g_autofree Slice *slices = g_new(Slice, records->len);
  for (guint i = 0; i < records->len; i++) {
    gsize length = 0;
    const char *data = g_bytes_get_data(records->pdata[i], &length);
    slices[i] = slice_make(data, length);
  }
  g_autoptr(GBytes) payload = dns_payload_from(slices, records->len);
  return answer_new(ANSWER_FOUND, payload, FAKE_TTL_SECONDS);
}

Answer *dns_fake_answer(DnsFake *fake, Slice key) {
  ptrdiff_t space = slice_find_last(key, ' ');
  if (space < 0) {
    return answer_new_failed("not a DNS question");
  }
  g_autofree char *text = g_strndup(key.data, (size_t)space);
  g_autofree char *type = g_strndup(key.data + space + 1, key.length - (size_t)space - 1);
  uv_mutex_lock(&fake->lock);
  const FakeName *name = g_hash_table_lookup(fake->names, text);
  const GPtrArray *records = name ? g_hash_table_lookup(name->records, type) : NULL;
  Answer *answer;
  if (name && name->silent) {
    answer = NULL;
  } else if (name && name->failure) {
    answer = answer_new_failed(name->failure);
  } else if (records) {
    answer = answer_with_records(records);
  } else {
    answer = answer_new(ANSWER_NOT_FOUND, NULL, FAKE_NEGATIVE_TTL_SECONDS);
  }
  uv_mutex_unlock(&fake->lock);
  return answer;
}

static void start(void *self, Question *question) {
  Answer *answer = dns_fake_answer(self, slice_make(question->key, question->key_length));
  if (answer) {
    question_answer(question, answer);
  }
}

const LookupBackend dns_fake_backend = {.name = "dns", .start = start};
