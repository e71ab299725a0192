/*
 * keyset.c: one open-addressing hash table over the entries' keys, whatever their type.
 *
 * Millions of entries must fit: an entry is a run of bytes in one buffer, and what points at it is 32 bits wide. A slot is four bytes of hash and the
 * entry's number, so that a probe that misses rarely leaves the slots. What a lookup tries (networks of each prefix length there is, parents of a
 * domain, forms of an address) is a probe each; forms, prefix lengths and lengths of keys that no entry has are not tried. Values that are
 * written alike are kept once: a map of a million lines has a few different ones.
 */
#include "common/ask/keyset.h"

#include "common/ask/keyset_entry.h"

/* Many rules have a set of one network each: what one entry needs is small. */
enum { FIRST_SLOTS = 4, FIRST_BYTES = 32, FIRST_VALUE_SLOTS = 8, PREFIX_WORDS = 3, LENGTHS_MAX = 10, NETWORK_KEY = 18 };

typedef struct Slot {
  uint32_t tag;
  uint32_t number; /* of the entry, from 1; 0: free */
} Slot;

/* An entry in the buffer: the lengths of its text and of its key, then both. A key length of 0 says that the key is the text, or a network read from it. */
typedef struct Entry {
  Slice text; /* as given */
  Slice key;  /* empty for networks */
} Entry;

struct Keyset {
  KeysetShape shape;
  char *bytes; /* of all entries */
  size_t byte_count, byte_capacity;
  Slot *slots;
  size_t slot_count; /* a power of two */
  uint32_t *places;  /* where in `bytes` each entry begins */
  size_t count, capacity;
  uint32_t *value_numbers; /* beside the places; NULL for a set */
  Value *values;           /* each once */
  size_t value_count, value_capacity;
  Arena *arena;          /* what values borrow; NULL for a set */
  uint64_t lengths;      /* of keys, as bits 1 << length % 64: in a small set most keys that are not there show it by their length */
  unsigned forms;        /* bits of EntryForm */
  size_t longest_parent; /* bytes of the longest ".parent" */
  uint64_t prefixes[2][PREFIX_WORDS]; /* of IPv4 and IPv6: those that there are, as bits */
};

struct KeysetBuilder {
  Keyset *keyset;        /* NULL once taken */
  Arena *scratch;        /* what reading an entry needs */
  Slice *value_texts;    /* beside the values */
  uint32_t *value_slots; /* numbers of values, from 1, by the hash of their texts */
  size_t value_slot_count;
};

KeysetBuilder *keyset_builder_new(const KeysetShape *shape) {
  g_assert(shape->part_count >= 1 && shape->part_count <= KEYSET_PARTS_MAX);
  Keyset *keyset = g_new0(Keyset, 1);
  keyset->shape = *shape;
  keyset->slot_count = FIRST_SLOTS;
  keyset->slots = g_new0(Slot, FIRST_SLOTS);
  KeysetBuilder *builder = g_new0(KeysetBuilder, 1);
  builder->keyset = keyset;
  builder->scratch = arena_new(0);
  if (shape->has_value) {
    keyset->arena = arena_new(0);
    builder->value_slot_count = FIRST_VALUE_SLOTS;
    builder->value_slots = g_new0(uint32_t, FIRST_VALUE_SLOTS);
  }
  return builder;
}

void keyset_builder_free(KeysetBuilder *builder) {
  if (builder) {
    keyset_free(builder->keyset);
    arena_free(builder->scratch);
    g_free(builder->value_texts);
    g_free(builder->value_slots);
    g_free(builder);
  }
}

void keyset_free(Keyset *keyset) {
  if (keyset) {
    arena_free(keyset->arena);
    g_free(keyset->bytes);
    g_free(keyset->slots);
    g_free(keyset->places);
    g_free(keyset->value_numbers);
    g_free(keyset->values);
    g_free(keyset);
  }
}

/* ---- entries as bytes ---- */

static bool is_network_shape(const KeysetShape *shape) {
  return shape->part_count == 1 && (shape->parts[0] == TYPE_IP || shape->parts[0] == TYPE_NET);
}

/* Seven bits a byte, the lowest first; the last byte has the top bit clear. */
static size_t put_length(char *out, size_t length) {
  size_t at = 0;
  for (; length >= 0x80; length >>= 7) {
    out[at++] = (char)(length | 0x80);
  }
  out[at++] = (char)length;
  return at;
}

static size_t take_length(const char **at) {
  size_t length = 0;
  for (unsigned shift = 0;; shift += 7) {
    unsigned char byte = (unsigned char)*(*at)++;
    length |= (size_t)(byte & 0x7f) << shift;
    if (byte < 0x80) {
      return length;
    }
  }
}

static Entry entry_at(const Keyset *keyset, size_t number) {
  const char *at = keyset->bytes + keyset->places[number];
  size_t text_length = take_length(&at);
  size_t key_length = take_length(&at);
  Entry entry = {.text = slice_make(at, text_length)};
  if (!is_network_shape(&keyset->shape)) {
    entry.key = key_length ? slice_make(at + text_length, key_length) : entry.text;
  }
  return entry;
}

/* Appends an entry. False: the buffer would be larger than 32 bits can tell. */
static bool put_entry(Keyset *keyset, Slice text, Slice key) {
  bool apart = !is_network_shape(&keyset->shape) && !slice_equal(text, key);
  size_t needed = 2 * LENGTHS_MAX + text.length + (apart ? key.length : 0);
  if (needed > UINT32_MAX - keyset->byte_count) {
    return false;
  }
  if (needed > keyset->byte_capacity - keyset->byte_count) {
    keyset->byte_capacity = MAX(keyset->byte_capacity * 2, keyset->byte_count + MAX(needed, (size_t)FIRST_BYTES));
    keyset->bytes = g_realloc(keyset->bytes, keyset->byte_capacity);
  }
  char *at = keyset->bytes + keyset->byte_count;
  at += put_length(at, text.length);
  at += put_length(at, apart ? key.length : 0);
  if (text.length) {
    memcpy(at, text.data, text.length);
  }
  if (apart && key.length) {
    memcpy(at + text.length, key.data, key.length);
  }
  keyset->places[keyset->count] = (uint32_t)keyset->byte_count;
  keyset->byte_count = (size_t)(at - keyset->bytes) + text.length + (apart ? key.length : 0);
  return true;
}

static void network_key(const IpNetwork *network, char key[NETWORK_KEY]) {
  key[0] = (char)network->address.family;
  key[1] = (char)network->prefix;
  memcpy(key + 2, network->address.bytes, sizeof network->address.bytes);
}

/* Networks are not kept beside their texts: reading one again costs less than a miss of the processor's cache. */
static Slice read_network_key(Slice text, char key[NETWORK_KEY]) {
  IpNetwork network;
  IpNetworkError error = ip_network_parse(text, &network);
  g_assert(error == IP_NETWORK_OK);
  network_key(&network, key);
  return slice_make(key, NETWORK_KEY);
}

static bool has_key(const Keyset *keyset, size_t number, Slice key) {
  char network[NETWORK_KEY];
  Entry entry = entry_at(keyset, number);
  return slice_equal(is_network_shape(&keyset->shape) ? read_network_key(entry.text, network) : entry.key, key);
}

/* ---- slots ---- */

/* Keys of networks have a fixed size, and up to 129 are tried for one address: these have a hash of their own, which strangers cannot
   turn against us because entries are the postmaster's. */
static uint32_t hash_key(const Keyset *keyset, Slice key) {
  if (!is_network_shape(&keyset->shape)) {
    return (uint32_t)(slice_hash(key) >> 32);
  }
  uint64_t high, low;
  memcpy(&high, key.data + 2, sizeof high);
  memcpy(&low, key.data + 10, sizeof low);
  uint64_t hash = (high ^ (uint64_t)(uint8_t)key.data[1] << 56 ^ (uint8_t)key.data[0]) * UINT64_C(0x9e3779b97f4a7c15);
  hash = (hash ^ hash >> 32 ^ low) * UINT64_C(0xd6e8feb86659fd93);
  hash = (hash ^ hash >> 32) * UINT64_C(0xd6e8feb86659fd93);
  return (uint32_t)(hash >> 32);
}

static inline uint64_t length_bit(Slice key) {
  return UINT64_C(1) << key.length % 64;
}

/* The slot with the key, or the free one where it belongs. */
static Slot *find_slot(const Keyset *keyset, uint32_t tag, Slice key) {
  for (size_t at = tag & (keyset->slot_count - 1);; at = (at + 1) & (keyset->slot_count - 1)) {
    Slot *slot = &keyset->slots[at];
    if (slot->number == 0 || (slot->tag == tag && has_key(keyset, slot->number - 1, key))) {
      return slot;
    }
  }
}

/* Entries were distinct before, so that none is looked at here. */
static void grow_slots(Keyset *keyset) {
  size_t old_count = keyset->slot_count;
  g_autofree Slot *old = g_steal_pointer(&keyset->slots);
  keyset->slot_count *= 2;
  keyset->slots = g_new0(Slot, keyset->slot_count);
  for (size_t i = 0; i < old_count; i++) {
    if (old[i].number == 0) {
      continue;
    }
    size_t at = old[i].tag & (keyset->slot_count - 1);
    while (keyset->slots[at].number) {
      at = (at + 1) & (keyset->slot_count - 1);
    }
    keyset->slots[at] = old[i];
  }
}

static void grow_entries(Keyset *keyset) {
  keyset->capacity = keyset->capacity ? keyset->capacity * 2 : 2;
  keyset->places = g_renew(uint32_t, keyset->places, keyset->capacity);
  if (keyset->shape.has_value) {
    keyset->value_numbers = g_renew(uint32_t, keyset->value_numbers, keyset->capacity);
  }
}

static void note_prefix(Keyset *keyset, Slice key) {
  size_t family = key.data[0] == 4 ? 0 : 1;
  uint8_t prefix = (uint8_t)key.data[1];
  keyset->prefixes[family][prefix / 64] |= UINT64_C(1) << prefix % 64;
}

/* A tuple's parts with ", " between, as the printer shows them. */
static Slice entry_text(Arena *arena, const KeysetShape *shape, const Slice *parts) {
  if (shape->part_count == 1) {
    return parts[0];
  }
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

/* False when the table is full. */
static bool insert(Keyset *keyset, Slice text, Slice key, EntryForm form, uint32_t value_number) {
  uint32_t tag = hash_key(keyset, key);
  Slot *slot = find_slot(keyset, tag, key);
  if (slot->number) {
    return true;
  }
  if (keyset->count == keyset->capacity) {
    grow_entries(keyset);
  }
  if (!put_entry(keyset, text, key)) {
    return false;
  }
  if (keyset->value_numbers) {
    keyset->value_numbers[keyset->count] = value_number;
  }
  *slot = (Slot){tag, (uint32_t)++keyset->count};
  keyset->lengths |= length_bit(key);
  keyset->forms |= 1u << form;
  if (form == ENTRY_PARENT) {
    keyset->longest_parent = MAX(keyset->longest_parent, key.length);
  }
  if (is_network_shape(&keyset->shape)) {
    note_prefix(keyset, key);
  }
  if (keyset->count > keyset->slot_count / 8 * 5 + (keyset->slot_count < 8 ? 2 : 0)) {
    grow_slots(keyset);
  }
  return true;
}

/* ---- values ---- */

/* The slot with the value of this text, or the free one where it belongs. */
static uint32_t *find_value_slot(const KeysetBuilder *builder, Slice text) {
  size_t mask = builder->value_slot_count - 1;
  for (size_t at = (size_t)slice_hash(text) & mask;; at = (at + 1) & mask) {
    uint32_t *slot = &builder->value_slots[at];
    if (*slot == 0 || slice_equal(builder->value_texts[*slot - 1], text)) {
      return slot;
    }
  }
}

static void grow_value_slots(KeysetBuilder *builder) {
  g_free(builder->value_slots);
  builder->value_slot_count *= 2;
  builder->value_slots = g_new0(uint32_t, builder->value_slot_count);
  for (size_t i = 0; i < builder->keyset->value_count; i++) {
    *find_value_slot(builder, builder->value_texts[i]) = (uint32_t)i + 1;
  }
}

/* The number of the value that the text says. */
static bool read_value(KeysetBuilder *builder, Slice text, uint32_t *number, const char **problem, Slice *right_form) {
  Keyset *keyset = builder->keyset;
  uint32_t *slot = find_value_slot(builder, text);
  Value value;
  if (*slot) {
    *number = *slot - 1;
    return true;
  }
  Slice kept = slice_copy(keyset->arena, text);
  if (!value_parse(keyset->arena, keyset->shape.value, kept, &value, problem, right_form)) {
    return false;
  }
  if (keyset->value_count == keyset->value_capacity) {
    keyset->value_capacity = keyset->value_capacity ? keyset->value_capacity * 2 : 2;
    keyset->values = g_renew(Value, keyset->values, keyset->value_capacity);
    builder->value_texts = g_renew(Slice, builder->value_texts, keyset->value_capacity);
  }
  *number = (uint32_t)keyset->value_count;
  keyset->values[keyset->value_count] = value;
  builder->value_texts[keyset->value_count++] = kept;
  *slot = *number + 1;
  if (keyset->value_count > builder->value_slot_count / 2) {
    grow_value_slots(builder);
  }
  return true;
}

/* ---- building ---- */

bool keyset_builder_add(KeysetBuilder *builder, const Slice *parts, Slice value_text, const char **problem, Slice *right_form) {
  Keyset *keyset = builder->keyset;
  KeyBuffer buffer;
  EntryForm form;
  uint32_t value_number = 0;
  arena_reset(builder->scratch);
  key_buffer_init(&buffer);
  bool good = keyset_entry_read(builder->scratch, &keyset->shape, parts, &buffer, &form, (EntryProblem){problem, right_form});
  if (good && keyset->shape.has_value) {
    *right_form = SLICE_EMPTY;
    good = read_value(builder, value_text, &value_number, problem, right_form);
  }
  if (good && !insert(keyset, entry_text(builder->scratch, &keyset->shape, parts), key_buffer_slice(&buffer), form, value_number)) {
    *problem = "the table is full: its entries have more than four gigabytes";
    good = false;
  }
  key_buffer_clear(&buffer);
  return good;
}

Keyset *keyset_builder_end(KeysetBuilder *builder) {
  Keyset *keyset = g_steal_pointer(&builder->keyset);
  keyset_builder_free(builder);
  /* Nothing is added any more. */
  keyset->bytes = g_realloc(keyset->bytes, keyset->byte_count);
  keyset->places = g_renew(uint32_t, keyset->places, keyset->count);
  keyset->value_numbers = keyset->value_numbers ? g_renew(uint32_t, keyset->value_numbers, keyset->count) : NULL;
  keyset->values = g_renew(Value, keyset->values, keyset->value_count);
  return keyset;
}

size_t keyset_size(const Keyset *keyset) {
  return keyset->count;
}

const KeysetShape *keyset_shape(const Keyset *keyset) {
  return &keyset->shape;
}

/* ---- finding ---- */

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

/* The longest prefix first. */
static bool find_network(const Keyset *keyset, const IpAddress *address, uint32_t *found) {
  size_t family = address->family == 4 ? 0 : 1;
  char key[NETWORK_KEY];
  for (size_t word = PREFIX_WORDS; word-- > 0;) {
    for (uint64_t left = keyset->prefixes[family][word]; left;) {
      unsigned bit = 63 - (unsigned)__builtin_clzll(left);
      left ^= UINT64_C(1) << bit;
      IpNetwork network = ip_network_of(address, (uint8_t)(word * 64 + bit));
      network_key(&network, key);
      if (probe(keyset, slice_make(key, sizeof key), found)) {
        return true;
      }
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
  if (is_there && value && keyset->value_numbers) {
    *value = keyset->values[keyset->value_numbers[found]];
  }
  if (is_there && entry) {
    *entry = entry_at(keyset, found).text;
  }
  return is_there;
}

bool keyset_find(const Keyset *keyset, const Value *keys, Value *value) {
  return keyset_find_entry(keyset, keys, value, NULL);
}

void keyset_each(const Keyset *keyset, void (*visit)(Slice entry, const Value *value, void *data), void *data) {
  for (size_t i = 0; i < keyset->count; i++) {
    visit(entry_at(keyset, i).text, keyset->value_numbers ? &keyset->values[keyset->value_numbers[i]] : NULL, data);
  }
}

void keyset_each_key(const Keyset *keyset, void (*visit)(Slice key, void *data), void *data) {
  char network[NETWORK_KEY];
  for (size_t i = 0; i < keyset->count; i++) {
    Entry entry = entry_at(keyset, i);
    visit(is_network_shape(&keyset->shape) ? read_network_key(entry.text, network) : entry.key, data);
  }
}
