/*
 * keyset.c: one open-addressing hash table over the entries' keys, whatever their type.
 *
 * A slot is four bytes of hash and the entry's number, so that a probe that misses rarely leaves the table. What a lookup tries
 * (networks of each prefix length there is, parents of a domain, forms of an address) is a probe each; forms, prefix lengths and
 * lengths of keys that no entry has are not tried.
 */
#include "common/ask/keyset.h"

#include "common/ask/keyset_entry.h"

/* Many rules have a set of one network each: what one entry needs is small. */
enum { FIRST_SLOTS = 8, FIRST_BYTES = 96, PREFIXES = 129 };

typedef struct Slot {
  uint32_t tag;
  uint32_t number; /* of the entry, from 1; 0: free */
} Slot;

typedef struct Entry {
  const char *text; /* as given */
  const char *key;
  uint32_t text_length, key_length;
} Entry;

struct Keyset {
  KeysetShape shape;
  Arena *arena; /* texts, keys, what values borrow */
  Slot *slots;
  size_t slot_count; /* a power of two */
  Entry *entries;
  Value *values; /* beside the entries; NULL for a set */
  size_t count, capacity;
  uint64_t lengths;      /* of keys, as bits 1 << length % 64: in a small set most keys that are not there show it by their length */
  unsigned forms;        /* bits of EntryForm */
  size_t longest_parent; /* bytes of the longest ".parent" */
  uint8_t prefixes[2][PREFIXES]; /* of IPv4 and IPv6, the longest first */
  size_t prefix_counts[2];
};

struct KeysetBuilder {
  Keyset *keyset; /* NULL once taken */
  Arena *scratch; /* what reading an entry needs */
};

KeysetBuilder *keyset_builder_new(const KeysetShape *shape) {
  g_assert(shape->part_count >= 1 && shape->part_count <= KEYSET_PARTS_MAX);
  Keyset *keyset = g_new0(Keyset, 1);
  keyset->shape = *shape;
  keyset->arena = arena_new(FIRST_BYTES);
  keyset->slot_count = FIRST_SLOTS;
  keyset->slots = g_new0(Slot, FIRST_SLOTS);
  KeysetBuilder *builder = g_new0(KeysetBuilder, 1);
  builder->keyset = keyset;
  builder->scratch = arena_new(0);
  return builder;
}

void keyset_builder_free(KeysetBuilder *builder) {
  if (builder) {
    keyset_free(builder->keyset);
    arena_free(builder->scratch);
    g_free(builder);
  }
}

void keyset_free(Keyset *keyset) {
  if (keyset) {
    arena_free(keyset->arena);
    g_free(keyset->slots);
    g_free(keyset->entries);
    g_free(keyset->values);
    g_free(keyset);
  }
}

static bool is_network_shape(const KeysetShape *shape) {
  return shape->part_count == 1 && (shape->parts[0] == TYPE_IP || shape->parts[0] == TYPE_NET);
}

/* Keys of networks have a fixed size, and up to 129 are tried for one address: these have a hash of their own, which strangers cannot
   turn against us because entries are the postmaster's. */
static uint64_t hash_key(const Keyset *keyset, Slice key) {
  if (!is_network_shape(&keyset->shape)) {
    return slice_hash(key);
  }
  uint64_t high, low;
  memcpy(&high, key.data + 2, sizeof high);
  memcpy(&low, key.data + 10, sizeof low);
  uint64_t hash = (high ^ (uint64_t)(uint8_t)key.data[1] << 56 ^ (uint8_t)key.data[0]) * UINT64_C(0x9e3779b97f4a7c15);
  hash = (hash ^ hash >> 32 ^ low) * UINT64_C(0xd6e8feb86659fd93);
  hash = (hash ^ hash >> 32) * UINT64_C(0xd6e8feb86659fd93);
  return hash ^ hash >> 32;
}

static inline uint64_t length_bit(Slice key) {
  return UINT64_C(1) << key.length % 64;
}

/* The slot with the key, or the free one where it belongs. */
static Slot *find_slot(const Keyset *keyset, uint64_t hash, Slice key) {
  uint32_t tag = (uint32_t)(hash >> 32);
  for (size_t at = (size_t)hash & (keyset->slot_count - 1);; at = (at + 1) & (keyset->slot_count - 1)) {
    Slot *slot = &keyset->slots[at];
    if (slot->number == 0) {
      return slot;
    }
    const Entry *entry = &keyset->entries[slot->number - 1];
    if (slot->tag == tag && entry->key_length == key.length && memcmp(entry->key, key.data, key.length) == 0) {
      return slot;
    }
  }
}

/* Entries were distinct before, so that none is compared here. */
static void grow_slots(Keyset *keyset) {
  g_free(keyset->slots);
  keyset->slot_count *= 2;
  keyset->slots = g_new0(Slot, keyset->slot_count);
  for (size_t i = 0; i < keyset->count; i++) {
    uint64_t hash = hash_key(keyset, slice_make(keyset->entries[i].key, keyset->entries[i].key_length));
    size_t at = (size_t)hash & (keyset->slot_count - 1);
    while (keyset->slots[at].number) {
      at = (at + 1) & (keyset->slot_count - 1);
    }
    keyset->slots[at] = (Slot){(uint32_t)(hash >> 32), (uint32_t)i + 1};
  }
}

static void grow_entries(Keyset *keyset) {
  keyset->capacity = keyset->capacity ? keyset->capacity * 2 : 2;
  keyset->entries = g_renew(Entry, keyset->entries, keyset->capacity);
  if (keyset->shape.has_value) {
    keyset->values = g_renew(Value, keyset->values, keyset->capacity);
  }
}

static void note_prefix(Keyset *keyset, Slice key) {
  size_t family = key.data[0] == 4 ? 0 : 1;
  uint8_t prefix = (uint8_t)key.data[1];
  uint8_t *prefixes = keyset->prefixes[family];
  size_t count = keyset->prefix_counts[family];
  size_t at = 0;
  while (at < count && prefixes[at] > prefix) {
    at++;
  }
  if (at < count && prefixes[at] == prefix) {
    return;
  }
  memmove(prefixes + at + 1, prefixes + at, count - at);
  prefixes[at] = prefix;
  keyset->prefix_counts[family]++;
}

/* A tuple's parts with ", " between, as the printer shows them. */
static Slice entry_text(Arena *arena, const KeysetShape *shape, const Slice *parts) {
  size_t length = 0;
  for (size_t i = 0; i < shape->part_count; i++) {
    length += parts[i].length + 2;
  }
  char *text = arena_alloc_text(arena, length);
  size_t at = 0;
  for (size_t i = 0; i < shape->part_count; i++) {
    if (i > 0) {
      text[at++] = ',';
      text[at++] = ' ';
    }
    if (parts[i].length) {
      memcpy(text + at, parts[i].data, parts[i].length);
    }
    at += parts[i].length;
  }
  return slice_make(text, at);
}

static void insert(Keyset *keyset, const Slice *parts, Slice key, EntryForm form, const Value *value) {
  uint64_t hash = hash_key(keyset, key);
  Slot *slot = find_slot(keyset, hash, key);
  if (slot->number) {
    return;
  }
  g_assert(keyset->count < UINT32_MAX - 1);
  if (keyset->count == keyset->capacity) {
    grow_entries(keyset);
  }
  Slice text = entry_text(keyset->arena, &keyset->shape, parts);
  const char *kept = slice_equal(text, key) ? text.data : slice_copy(keyset->arena, key).data;
  keyset->entries[keyset->count] = (Entry){text.data, kept, (uint32_t)text.length, (uint32_t)key.length};
  if (keyset->values) {
    keyset->values[keyset->count] = *value;
  }
  *slot = (Slot){(uint32_t)(hash >> 32), (uint32_t)++keyset->count};
  keyset->lengths |= length_bit(key);
  keyset->forms |= 1u << form;
  if (form == ENTRY_PARENT) {
    keyset->longest_parent = MAX(keyset->longest_parent, key.length);
  }
  if (is_network_shape(&keyset->shape)) {
    note_prefix(keyset, key);
  }
  if (keyset->count > keyset->slot_count / 8 * 5) {
    grow_slots(keyset);
  }
}

bool keyset_builder_add(KeysetBuilder *builder, const Slice *parts, Slice value_text, const char **problem, Slice *right_form) {
  Keyset *keyset = builder->keyset;
  KeyBuffer buffer;
  EntryForm form;
  Value value = VALUE_NONE;
  arena_reset(builder->scratch);
  key_buffer_init(&buffer);
  bool good = keyset_entry_read(builder->scratch, &keyset->shape, parts, &buffer, &form, (EntryProblem){problem, right_form});
  if (good && keyset->shape.has_value) {
    *right_form = SLICE_EMPTY;
    good = value_parse(keyset->arena, keyset->shape.value, slice_copy(keyset->arena, value_text), &value, problem, right_form);
  }
  if (good) {
    insert(keyset, parts, key_buffer_slice(&buffer), form, &value);
  }
  key_buffer_clear(&buffer);
  return good;
}

Keyset *keyset_builder_end(KeysetBuilder *builder) {
  Keyset *keyset = g_steal_pointer(&builder->keyset);
  keyset_builder_free(builder);
  return keyset;
}

size_t keyset_size(const Keyset *keyset) {
  return keyset->count;
}

const KeysetShape *keyset_shape(const Keyset *keyset) {
  return &keyset->shape;
}

/* True when the key is there; *found gets its entry's place. */
static bool probe(const Keyset *keyset, Slice key, uint32_t *found) {
  if ((keyset->lengths & length_bit(key)) == 0) {
    return false;
  }
  const Slot *slot = find_slot(keyset, hash_key(keyset, key), key);
  if (slot->number == 0) {
    return false;
  }
  *found = slot->number - 1;
  return true;
}

static bool has_form(const Keyset *keyset, EntryForm form) {
  return keyset->forms & 1u << form;
}

static bool find_network(const Keyset *keyset, const IpAddress *address, uint32_t *found) {
  size_t family = address->family == 4 ? 0 : 1;
  char key[18];
  for (size_t i = 0; i < keyset->prefix_counts[family]; i++) {
    IpNetwork network = ip_network_of(address, keyset->prefixes[family][i]);
    key[0] = (char)network.address.family;
    key[1] = (char)network.prefix;
    memcpy(key + 2, network.address.bytes, sizeof network.address.bytes);
    if (probe(keyset, slice_make(key, sizeof key), found)) {
      return true;
    }
  }
  return false;
}

/* The parents of a domain in lower case, the nearest first. Those longer than any entry are passed over: strangers choose how many dots there are. */
static bool find_parent(const Keyset *keyset, Slice domain, uint32_t *found) {
  size_t longest = keyset->longest_parent;
  for (size_t i = domain.length > longest ? MAX(domain.length - longest, (size_t)1) : 1; i < domain.length; i++) {
    if (domain.data[i] == '.' && probe(keyset, slice_from_offset(domain, i), found)) {
      return true;
    }
  }
  return false;
}

static bool find_domain(const Keyset *keyset, KeyBuffer *buffer, Slice domain, uint32_t *found) {
  key_buffer_add_lower(buffer, domain);
  Slice key = key_buffer_slice(buffer);
  return key.length > 0 && ((has_form(keyset, ENTRY_WHOLE) && probe(keyset, key, found)) || find_parent(keyset, key, found));
}

/* "user@"; the buffer holds an address from its localpart on. */
static bool find_user(const Keyset *keyset, Slice whole, size_t localpart_length, KeyBuffer *user, uint32_t *found) {
  if (!has_form(keyset, ENTRY_USER)) {
    return false;
  }
  if (probe(keyset, slice_make(whole.data, localpart_length + 1), found)) {
    return true;
  }
  return user->length > 1 && probe(keyset, key_buffer_slice(user), found);
}

/* Writes "user@" of "user+extension" to `user`, nothing when there is no extension. */
static void put_user(const MailAddress *address, KeyBuffer *user) {
  Slice name, extension;
  if (mail_address_extension(address, &name, &extension)) {
    key_buffer_add_lower(user, name);
    key_buffer_add(user, "@", 1);
  }
}

static bool find_address_forms(const Keyset *keyset, const MailAddress *address, Slice whole, KeyBuffer *user, uint32_t *found) {
  Slice at_domain = slice_from_offset(whole, address->localpart.length);
  Slice domain = slice_from_offset(at_domain, 1);
  put_user(address, user);
  if (user->length && has_form(keyset, ENTRY_WHOLE)) {
    size_t length = user->length;
    key_buffer_add(user, domain.data, domain.length);
    if (probe(keyset, key_buffer_slice(user), found)) {
      return true;
    }
    user->length = length;
  }
  if (domain.length) {
    if ((has_form(keyset, ENTRY_AT_DOMAIN) && probe(keyset, at_domain, found)) ||
        (has_form(keyset, ENTRY_DOMAIN) && probe(keyset, domain, found)) || find_parent(keyset, domain, found)) {
      return true;
    }
  }
  return find_user(keyset, whole, address->localpart.length, user, found);
}

static bool find_address(const Keyset *keyset, KeyBuffer *buffer, const MailAddress *address, uint32_t *found) {
  keyset_key_add_address(buffer, address);
  Slice whole = key_buffer_slice(buffer);
  if (probe(keyset, whole, found)) {
    return true;
  }
  if (keyset->shape.exact || mail_address_is_null(address)) {
    return false;
  }
  KeyBuffer user;
  key_buffer_init(&user);
  bool is_there = find_address_forms(keyset, address, whole, &user, found);
  key_buffer_clear(&user);
  return is_there;
}

static bool find_single(const Keyset *keyset, KeyBuffer *buffer, const Value *key, uint32_t *found) {
  switch (keyset->shape.parts[0]) {
    case TYPE_IP:
    case TYPE_NET:
      return find_network(keyset, &key->as.ip, found);
    case TYPE_DOMAIN:
      return find_domain(keyset, buffer, key->as.text, found);
    case TYPE_ADDRESS:
      return find_address(keyset, buffer, key->as.address, found);
    case TYPE_STRING:
      return probe(keyset, key->as.text, found);
    case TYPE_INT:
    case TYPE_DECIMAL:
    case TYPE_SIZE:
    case TYPE_DURATION:
    case TYPE_TIME:
    case TYPE_DATE:
    case TYPE_BOOL:
    case TYPE_ENUM:
      keyset_key_add(buffer, keyset->shape.parts[0], key);
      return probe(keyset, key_buffer_slice(buffer), found);
    case TYPE_LIST:
    case TYPE_ACTION:
    case TYPE_RECORD:
    case TYPE_COUNT:
      break;
  }
  return false;
}

bool keyset_find_entry(const Keyset *keyset, const Value *keys, Value *value, Slice *entry) {
  if (keyset->count == 0) {
    return false;
  }
  KeyBuffer buffer;
  key_buffer_init(&buffer);
  uint32_t found = 0;
  bool is_there;
  if (keyset->shape.part_count == 1) {
    is_there = find_single(keyset, &buffer, &keys[0], &found);
  } else {
    for (size_t i = 0; i < keyset->shape.part_count; i++) {
      keyset_key_add_part(&buffer, keyset->shape.parts[i], &keys[i]);
    }
    is_there = probe(keyset, key_buffer_slice(&buffer), &found);
  }
  key_buffer_clear(&buffer);
  if (is_there && value && keyset->values) {
    *value = keyset->values[found];
  }
  if (is_there && entry) {
    *entry = slice_make(keyset->entries[found].text, keyset->entries[found].text_length);
  }
  return is_there;
}

bool keyset_find(const Keyset *keyset, const Value *keys, Value *value) {
  return keyset_find_entry(keyset, keys, value, NULL);
}

void keyset_each(const Keyset *keyset, void (*visit)(Slice entry, const Value *value, void *data), void *data) {
  for (size_t i = 0; i < keyset->count; i++) {
    const Entry *entry = &keyset->entries[i];
    visit(slice_make(entry->text, entry->text_length), keyset->values ? &keyset->values[i] : NULL, data);
  }
}

void keyset_each_key(const Keyset *keyset, void (*visit)(Slice key, void *data), void *data) {
  for (size_t i = 0; i < keyset->count; i++) {
    visit(slice_make(keyset->entries[i].key, keyset->entries[i].key_length), data);
  }
}
