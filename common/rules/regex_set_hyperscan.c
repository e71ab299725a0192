/*
 * regex_set_hyperscan.c: regex_set.h with libhs (Hyperscan, or Vectorscan on other processors).
 *
 * A set is a few databases in block mode whose patterns are prefilters: the time that one takes grows faster than its patterns, and between two the thread can be
 * stopped. The thread that compiles it hands it over at one stroke; scratch space, which each
 * scan needs for itself, is kept and given out again.
 */
#include "common/rules/regex_set.h"

#include <hs.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "common/rules/regex_plain.h"

enum {
  SCANS_BEFORE = 64,              /* then it is compiled */
  PATTERNS_MAX = 64,              /* of one database */
  SHARD_SIZE_MAX = 512,           /* and of their sizes (regex_plain.h), unless it is a single one */
  DATABASE_MAX = 4 * 1024 * 1024, /* bytes */
  TRIES_MAX = 8,                  /* a pattern that cannot be compiled after all is left out */
  SPARES_MAX = 16
};

/* Entries from `first` on; for longer texts than the longest that all of them allow, each may match. */
typedef struct Shard {
  hs_database_t *database; /* NULL: each may match in any text */
  size_t first, count, longest;
} Shard;

/* What a thread has compiled. */
typedef struct Compiled {
  Shard *shards;
  size_t shard_count, database_count;
  hs_scratch_t *prototype; /* large enough for each of them */
  uint32_t *left_out;      /* places of entries that are not in the database */
  size_t left_out_count;
  pthread_mutex_t lock; /* of what follows */
  hs_scratch_t *spares[SPARES_MAX];
  size_t spare_count;
} Compiled;

struct RegexSet {
  const RegexSetEntry *entries;
  size_t count;
  gint scans;        /* before it was compiled; atomic */
  gint is_begun;     /* there is a thread, or there will be none; atomic */
  gint is_cancelled; /* atomic */
  bool has_thread;   /* of the thread that has set is_begun, and of release */
  pthread_t thread;
  gpointer compiled; /* Compiled *; atomic */
};

/* ---- which regexes ---- */

const char *regex_set_engine(void) {
  return hs_valid_platform() == HS_SUCCESS ? hs_version() : NULL;
}

static unsigned flags_of(const Regex *regex) {
  return HS_FLAG_DOTALL | HS_FLAG_SINGLEMATCH | HS_FLAG_PREFILTER | HS_FLAG_ALLOWEMPTY | (regex->exact_case ? 0 : HS_FLAG_CASELESS);
}

static char *text_of(const Regex *regex) {
  return g_strndup(regex->pattern.data != NULL ? regex->pattern.data : "", regex->pattern.length);
}

static bool is_taken(const Regex *regex) {
  g_autofree char *pattern = text_of(regex);
  hs_expr_info_t *info = NULL;
  hs_compile_error_t *error = NULL;
  bool taken = hs_expression_info(pattern, flags_of(regex), &info, &error) == HS_SUCCESS;
  free(info);
  (void)hs_free_compile_error(error);
  return taken;
}

const char *regex_set_refusal(const Regex *regex, bool sure) {
  if (regex->is_utf || regex->unusual != NULL)
    return REGEX_SET_NOT_PLAIN;
  if (sure && regex_set_engine() == NULL)
    return REGEX_SET_NO_TEXT ", and this processor lacks what libhs needs";
  return sure && !is_taken(regex) ? REGEX_SET_NO_TEXT ", and libhs does not take it" : NULL;
}

/* ---- compiling ---- */

static void compiled_free(Compiled *compiled) {
  if (compiled == NULL)
    return;
  for (size_t i = 0; i < compiled->spare_count; i++)
    (void)hs_free_scratch(compiled->spares[i]);
  (void)hs_free_scratch(compiled->prototype);
  for (size_t i = 0; i < compiled->shard_count; i++)
    (void)hs_free_database(compiled->shards[i].database);
  (void)pthread_mutex_destroy(&compiled->lock);
  g_free(compiled->left_out);
  g_free(compiled->shards);
  g_free(compiled);
}

/* Patterns as libhs wants them. */
typedef struct Patterns {
  GPtrArray *texts;
  GArray *flags, *places;
} Patterns;

static void patterns_init(Patterns *patterns) {
  patterns->texts = g_ptr_array_new_with_free_func(g_free);
  patterns->flags = g_array_new(FALSE, FALSE, sizeof(unsigned));
  patterns->places = g_array_new(FALSE, FALSE, sizeof(unsigned));
}

static void patterns_clear(Patterns *patterns) {
  g_ptr_array_unref(patterns->texts);
  g_array_unref(patterns->flags);
  g_array_unref(patterns->places);
}

static void leave_out(Compiled *compiled, unsigned place) {
  compiled->left_out[compiled->left_out_count++] = place;
}

/* Those from `first` to below `end` that libhs takes. */
static void collect(const RegexSet *set, unsigned first, unsigned end, Patterns *patterns, Compiled *compiled) {
  for (unsigned place = first; place < end; place++) {
    const Regex *regex = set->entries[place].regex;
    unsigned flags = flags_of(regex);
    if (!is_taken(regex)) {
      leave_out(compiled, place);
      continue;
    }
    g_ptr_array_add(patterns->texts, text_of(regex));
    g_array_append_val(patterns->flags, flags);
    g_array_append_val(patterns->places, place);
  }
}

/* The number in `patterns` of the one that is to blame when libhs does not want them; -1: none is. */
static int try_database(const Patterns *patterns, hs_database_t **database) {
  hs_compile_error_t *error = NULL;
  *database = NULL;
  hs_error_t code =
      hs_compile_multi((const char *const *)patterns->texts->pdata, (const unsigned *)(const void *)patterns->flags->data,
                       (const unsigned *)(const void *)patterns->places->data, patterns->texts->len, HS_MODE_BLOCK, NULL, database, &error);
  int blamed = code != HS_SUCCESS && error != NULL ? error->expression : -1;
  (void)hs_free_compile_error(error);
  return blamed;
}

static hs_database_t *database_of(Patterns *patterns, Compiled *compiled) {
  hs_database_t *database = NULL;
  for (int tries = 0; tries < TRIES_MAX && patterns->texts->len > 0; tries++) {
    int blamed = try_database(patterns, &database);
    if (database != NULL || blamed < 0 || (guint)blamed >= patterns->texts->len)
      break;
    leave_out(compiled, g_array_index(patterns->places, unsigned, blamed));
    (void)g_ptr_array_remove_index(patterns->texts, (guint)blamed);
    (void)g_array_remove_index(patterns->flags, (guint)blamed);
    (void)g_array_remove_index(patterns->places, (guint)blamed);
  }
  return database;
}

static bool is_usable(const hs_database_t *database, Compiled *compiled) {
  size_t size = 0;
  return hs_database_size(database, &size) == HS_SUCCESS && size <= DATABASE_MAX &&
         hs_alloc_scratch(database, &compiled->prototype) == HS_SUCCESS;
}

/* Patterns that come to no database may match in any text. */
static void add_shard(const RegexSet *set, unsigned first, unsigned end, Compiled *compiled) {
  Shard *shard = &compiled->shards[compiled->shard_count++];
  /* The entries are sorted by it. */
  *shard = (Shard){NULL, first, end - first, set->entries[end - 1].regex->longest};
  size_t left_out = compiled->left_out_count;
  Patterns patterns;
  patterns_init(&patterns);
  collect(set, first, end, &patterns, compiled);
  hs_database_t *database = database_of(&patterns, compiled);
  if (database != NULL && is_usable(database, compiled)) {
    shard->database = database;
    compiled->database_count++;
  } else {
    (void)hs_free_database(database);
    compiled->left_out_count = left_out;
  }
  patterns_clear(&patterns);
}

static size_t shard_end(const RegexSet *set, size_t first) {
  size_t end = first + 1, size = set->entries[first].regex->size;
  for (; end < set->count && end - first < PATTERNS_MAX; end++) {
    size += set->entries[end].regex->size;
    if (size > SHARD_SIZE_MAX)
      break;
  }
  return end;
}

static void *compile(void *data) {
  RegexSet *set = data;
  Compiled *compiled = g_new0(Compiled, 1);
  (void)pthread_mutex_init(&compiled->lock, NULL);
  compiled->left_out = g_new(uint32_t, set->count);
  compiled->shards = g_new0(Shard, set->count);
  bool goes_on = regex_set_engine() != NULL;
  for (size_t first = 0, end; first < set->count && goes_on; first = end) {
    end = shard_end(set, first);
    add_shard(set, (unsigned)first, (unsigned)end, compiled);
    goes_on = !g_atomic_int_get(&set->is_cancelled);
  }
  if (goes_on && compiled->database_count > 0)
    g_atomic_pointer_set(&set->compiled, compiled);
  else
    compiled_free(compiled);
  return NULL;
}

/* Once. The signals of the program are for others. */
static void begin(RegexSet *set) {
  if (!g_atomic_int_compare_and_exchange(&set->is_begun, 0, 1))
    return;
  sigset_t all, before;
  (void)sigfillset(&all);
  (void)pthread_sigmask(SIG_SETMASK, &all, &before);
  set->has_thread = pthread_create(&set->thread, NULL, compile, set) == 0;
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void end(RegexSet *set) {
  if (set->has_thread)
    (void)pthread_join(set->thread, NULL);
  set->has_thread = false;
}

static void release(void *object) {
  RegexSet *set = object;
  g_atomic_int_set(&set->is_cancelled, 1);
  end(set);
  compiled_free(g_atomic_pointer_get(&set->compiled));
}

static int compare_longest(const void *a, const void *b) {
  const RegexSetEntry *one = a, *two = b;
  return (one->regex->longest < two->regex->longest) - (one->regex->longest > two->regex->longest);
}

size_t regex_set_weight(const Regex *regex) {
  return 1 + regex->size / 16;
}

RegexSet *regex_set_new(Arena *arena, const RegexSetEntry *entries, size_t count) {
  RegexSet *set = ARENA_NEW(arena, RegexSet);
  RegexSetEntry *copies = ARENA_NEW_ARRAY(arena, RegexSetEntry, count);
  for (size_t i = 0; i < count; i++)
    copies[i] = entries[i];
  if (count > 0)
    qsort(copies, count, sizeof *copies, compare_longest);
  set->entries = copies;
  set->count = count;
  arena_on_reset(arena, release, set);
  return set;
}

bool regex_set_prepare(RegexSet *set) {
  begin(set);
  end(set);
  return g_atomic_pointer_get(&set->compiled) != NULL;
}

/* ---- scanning ---- */

static hs_scratch_t *take_scratch(Compiled *compiled) {
  (void)pthread_mutex_lock(&compiled->lock);
  hs_scratch_t *scratch = compiled->spare_count > 0 ? compiled->spares[--compiled->spare_count] : NULL;
  (void)pthread_mutex_unlock(&compiled->lock);
  if (scratch == NULL && hs_clone_scratch(compiled->prototype, &scratch) != HS_SUCCESS)
    return NULL;
  return scratch;
}

static void give_back(Compiled *compiled, hs_scratch_t *scratch) {
  (void)pthread_mutex_lock(&compiled->lock);
  bool kept = compiled->spare_count < SPARES_MAX;
  if (kept)
    compiled->spares[compiled->spare_count++] = scratch;
  (void)pthread_mutex_unlock(&compiled->lock);
  if (!kept)
    (void)hs_free_scratch(scratch);
}

typedef struct Scan {
  const RegexSetEntry *entries;
  RegexSetHit hit;
  void *data;
} Scan;

static int on_match(unsigned place, unsigned long long from, unsigned long long to, unsigned flags, void *context) {
  (void)from;
  (void)to;
  (void)flags;
  const Scan *scan = context;
  scan->hit(scan->data, scan->entries[place].target);
  return 0;
}

static void hit_some(const Shard *shard, Scan *scan) {
  for (size_t i = 0; i < shard->count; i++)
    scan->hit(scan->data, scan->entries[shard->first + i].target);
}

static bool scan_shard(const Shard *shard, Slice text, hs_scratch_t *scratch, Scan *scan) {
  return shard->database != NULL && text.length <= shard->longest &&
         hs_scan(shard->database, text.data, (unsigned)text.length, 0, scratch, on_match, scan) == HS_SUCCESS;
}

static bool scan_text(Compiled *compiled, Slice text, Scan *scan) {
  hs_scratch_t *scratch = take_scratch(compiled);
  if (scratch == NULL)
    return false;
  for (size_t i = 0; i < compiled->shard_count; i++) {
    if (!scan_shard(&compiled->shards[i], text, scratch, scan))
      hit_some(&compiled->shards[i], scan);
  }
  give_back(compiled, scratch);
  return true;
}

static void hit_all(const RegexSet *set, RegexSetHit hit, void *data) {
  for (size_t i = 0; i < set->count; i++)
    hit(data, set->entries[i].target);
}

void regex_set_scan(RegexSet *set, Slice text, RegexSetHit hit, void *data) {
  Compiled *compiled = g_atomic_pointer_get(&set->compiled);
  if (compiled == NULL) {
    if (set->count >= REGEX_SET_MIN && !g_atomic_int_get(&set->is_begun) && g_atomic_int_add(&set->scans, 1) == SCANS_BEFORE)
      begin(set);
    hit_all(set, hit, data);
    return;
  }
  Scan scan = {set->entries, hit, data};
  if (text.length == 0 || text.length > REGEX_PLAIN_TEXT_MAX || !scan_text(compiled, text, &scan)) {
    hit_all(set, hit, data);
    return;
  }
  for (size_t i = 0; i < compiled->left_out_count; i++)
    hit(data, set->entries[compiled->left_out[i]].target);
}
