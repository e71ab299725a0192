/*
 * kinds.c: the registry of resource kinds, and a source that opens resources for one program run.
 */
#include "common/lookup/kinds.h"

#define KIND(descriptor) extern const ResourceKind descriptor;
#include "common/lookup/kinds.def"
#undef KIND

static const ResourceKind *const kinds[] = {
#define KIND(descriptor) &descriptor,
#include "common/lookup/kinds.def"
#undef KIND
    NULL,
};

const ResourceKind *const *resource_kinds(void) {
  return kinds;
}

const ResourceKind *resource_kind_find(Slice word) {
  for (size_t i = 0; kinds[i]; i++) {
    if (slice_equal(word, slice_from(kinds[i]->name))) {
      return kinds[i];
    }
  }
  return NULL;
}

const char *const *resource_table_kind_names(void) {
  static gsize made = 0;
  static const char *names[G_N_ELEMENTS(kinds)]; /* written once, before anyone reads it */
  if (g_once_init_enter(&made)) {
    size_t count = 0;
    for (size_t i = 0; kinds[i]; i++) {
      if (kinds[i]->is_table) {
        names[count++] = kinds[i]->name;
      }
    }
    g_once_init_leave(&made, 1);
  }
  return names;
}

typedef struct PlainSource {
  ResourceSource source;
  ResourceContext context;
  GHashTable *resources; /* identity (the resource's own) -> Resource, with a reference */
} PlainSource;

static const ResourceKind *plain_find_kind(ResourceSource *self, Slice word) {
  (void)self;
  return resource_kind_find(word);
}

static const char *const *plain_kind_names(ResourceSource *self) {
  (void)self;
  return resource_table_kind_names();
}

static Resource *plain_open(ResourceSource *self, const ResourceSpec *spec, GError **error) {
  PlainSource *plain = (PlainSource *)self;
  g_autofree char *identity = resource_identity(spec);
  Resource *resource = g_hash_table_lookup(plain->resources, identity);
  if (!resource) {
    resource = spec->kind->open(spec, &plain->context, error);
    if (!resource) {
      return NULL;
    }
    g_hash_table_insert(plain->resources, resource->identity, resource);
  }
  return resource_ref(resource);
}

ResourceSource *resource_source_plain_new(const ResourceContext *context) {
  PlainSource *plain = g_new0(PlainSource, 1);
  plain->source = (ResourceSource){plain_find_kind, plain_kind_names, plain_open};
  plain->context = *context;
  plain->resources = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)resource_unref);
  return &plain->source;
}

void resource_source_plain_free(ResourceSource *source) {
  PlainSource *plain = (PlainSource *)source;
  if (plain) {
    g_hash_table_destroy(plain->resources);
    g_free(plain);
  }
}
