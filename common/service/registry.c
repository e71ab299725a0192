/*
 * registry.c: identity -> resource, each with the number of the reload that last refreshed it.
 *
 * Opening and refreshing read files, so they happen outside the lock: only the helper thread (and the start) loads rulesets, one at a time.
 */
#include "common/service/registry.h"

#include <pthread.h>

#include "common/lookup/kinds.h"
#include "common/service/decision_log.h"

typedef struct Entry {
  Resource *resource;
  unsigned refreshed; /* in this reload */
} Entry;

struct Registry {
  ResourceSource source; /* first: the source is the registry */
  ResourceContext context;
  pthread_mutex_t lock;
  GHashTable *entries; /* identity, of the resource -> Entry */
  GPtrArray *retired;  /* versions that were replaced, freed when nobody uses them any more; of the helper thread (and the start) */
  unsigned reload;     /* the number of the reload that goes on; 0 at start */
};

static void entry_free(gpointer data) {
  Entry *entry = data;
  resource_unref(entry->resource);
  g_free(entry);
}

static const ResourceKind *registry_find_kind(ResourceSource *self, Slice word) {
  (void)self;
  return resource_kind_find(word);
}

static const char *const *registry_kind_names(ResourceSource *self) {
  (void)self;
  return resource_table_kind_names();
}

/* A reference, or NULL; *refresh: it was not read in this reload yet. */
static Resource *registry_find(Registry *registry, const char *identity, bool *refresh) {
  (void)pthread_mutex_lock(&registry->lock);
  Entry *entry = g_hash_table_lookup(registry->entries, identity);
  Resource *resource = entry ? resource_ref(entry->resource) : NULL;
  *refresh = entry != NULL && entry->refreshed != registry->reload;
  if (entry != NULL) {
    entry->refreshed = registry->reload;
  }
  (void)pthread_mutex_unlock(&registry->lock);
  return resource;
}

static void registry_add(Registry *registry, Resource *resource) {
  Entry *entry = g_new0(Entry, 1);
  entry->resource = resource_ref(resource);
  (void)pthread_mutex_lock(&registry->lock);
  entry->refreshed = registry->reload;
  g_hash_table_replace(registry->entries, g_strdup(resource->identity), entry);
  (void)pthread_mutex_unlock(&registry->lock);
}

/* The old content of a table may be large: freeing it is nothing for a thread that answers. Takes over the reference. */
static void retire(Registry *registry, Resource *resource, ResourceVersion *old) {
  ResourceVersion *now = resource_pin(resource);
  resource_version_unref(now);
  if (old == NULL || old == now) {
    resource_version_unref(old);
  } else {
    g_ptr_array_add(registry->retired, old);
  }
}

static void free_retired(Registry *registry) {
  for (guint i = registry->retired->len; i > 0; i--) {
    ResourceVersion *version = registry->retired->pdata[i - 1];
    if (g_atomic_int_get(&version->references) == 1) {
      (void)g_ptr_array_remove_index_fast(registry->retired, i - 1); /* which gives the reference back */
    }
  }
}

static void refresh(Registry *registry, Resource *resource) {
  g_autoptr(GError) problem = NULL;
  ResourceVersion *old = resource->kind->watch != NULL ? resource_pin(resource) : NULL;
  if (!resource->kind->refresh(resource, &problem)) {
    log_warning("%s: the old content stays: %s", resource->label, problem ? problem->message : "it cannot be read");
  }
  retire(registry, resource, old);
}

static Resource *registry_open(ResourceSource *self, const ResourceSpec *spec, GError **error) {
  Registry *registry = (Registry *)self;
  g_autofree char *identity = resource_identity(spec);
  bool is_old = false;
  g_autoptr(Resource) resource = registry_find(registry, identity, &is_old);
  if (resource == NULL) {
    resource = spec->kind->open(spec, &registry->context, error);
    if (resource != NULL) {
      registry_add(registry, resource);
    }
    return g_steal_pointer(&resource);
  }
  if (is_old && spec->kind->refresh != NULL) {
    refresh(registry, resource);
  }
  return g_steal_pointer(&resource);
}

static void registry_tell(const char *label, const char *text) {
  log_warning("%s: the old content stays: %s", label, text);
}

Registry *registry_new(const ResourceContext *context) {
  Registry *registry = g_new0(Registry, 1);
  registry->source = (ResourceSource){.find_kind = registry_find_kind, .kind_names = registry_kind_names, .open = registry_open};
  registry->context = *context;
  registry->context.tell = registry_tell;
  (void)pthread_mutex_init(&registry->lock, NULL);
  registry->retired = g_ptr_array_new_with_free_func((GDestroyNotify)resource_version_unref);
  registry->entries = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, entry_free);
  return registry;
}

void registry_free(Registry *registry) {
  if (registry == NULL) {
    return;
  }
  g_ptr_array_unref(registry->retired);
  g_hash_table_unref(registry->entries);
  (void)pthread_mutex_destroy(&registry->lock);
  g_free(registry);
}

ResourceSource *registry_source(Registry *registry) {
  return &registry->source;
}

void registry_begin_reload(Registry *registry) {
  (void)pthread_mutex_lock(&registry->lock);
  registry->reload++;
  (void)pthread_mutex_unlock(&registry->lock);
}

static gboolean entry_is_unused(gpointer key, gpointer value, gpointer data) {
  (void)key;
  (void)data;
  return g_atomic_int_get(&((Entry *)value)->resource->references) == 1;
}

void registry_sweep(Registry *registry) {
  (void)pthread_mutex_lock(&registry->lock);
  (void)g_hash_table_foreach_remove(registry->entries, entry_is_unused, NULL);
  (void)pthread_mutex_unlock(&registry->lock);
}

size_t registry_count(Registry *registry) {
  (void)pthread_mutex_lock(&registry->lock);
  size_t count = g_hash_table_size(registry->entries);
  (void)pthread_mutex_unlock(&registry->lock);
  return count;
}

/* References to those that are to be watched. */
static GPtrArray *watched_resources(Registry *registry) {
  GPtrArray *resources = g_ptr_array_new_with_free_func((GDestroyNotify)resource_unref);
  GHashTableIter iter;
  gpointer entry;
  (void)pthread_mutex_lock(&registry->lock);
  g_hash_table_iter_init(&iter, registry->entries);
  while (g_hash_table_iter_next(&iter, NULL, &entry)) {
    Resource *resource = ((Entry *)entry)->resource;
    if (resource->kind->watch != NULL) {
      g_ptr_array_add(resources, resource_ref(resource));
    }
  }
  (void)pthread_mutex_unlock(&registry->lock);
  return resources;
}

static void log_content(Resource *resource) {
  ResourceVersion *version = resource_pin(resource);
  const ResourceFaults *faults = resource->kind->faults(version);
  size_t size = resource->kind->size(version);
  log_info("%s: changed, %zu %s now", resource->label, size, size == 1 ? "entry" : "entries");
  for (size_t i = 0; i < faults->told_count; i++) {
    g_autofree char *text = resource_fault_text(&faults->told[i]);
    log_warning("%s; the line is left out", text);
  }
  if (faults->count > faults->told_count) {
    log_warning("%s: %zu more lines cannot be read and are left out", resource->label, faults->count - faults->told_count);
  }
  resource_version_unref(version);
}

static void watch(Registry *registry, Resource *resource) {
  g_autoptr(GError) problem = NULL;
  ResourceVersion *old = resource_pin(resource);
  switch (resource->kind->watch(resource, &problem)) {
    case RESOURCE_NEWS_NONE:
      break;
    case RESOURCE_NEWS_CONTENT:
      log_content(resource);
      break;
    case RESOURCE_NEWS_WELL:
      log_info("%s: can be read again, with the content that it had", resource->label);
      break;
    case RESOURCE_NEWS_FAILED:
      registry_tell(resource->label, problem->message);
      break;
  }
  retire(registry, resource, old);
}

bool registry_watch(Registry *registry) {
  g_autoptr(GPtrArray) resources = watched_resources(registry);
  for (guint i = 0; i < resources->len; i++) {
    watch(registry, resources->pdata[i]);
  }
  free_retired(registry);
  return resources->len > 0 || registry->retired->len > 0;
}
