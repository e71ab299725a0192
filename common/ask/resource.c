/*
 * resource.c: what all kinds of resources share: identity, references, and the version that phases pin.
 */
#include "common/ask/resource.h"

const char *error_behaviour_name(ErrorBehaviour behaviour) {
  switch (behaviour) {
    case ON_ERROR_DEFAULT:
      return "default";
    case ON_ERROR_SKIP:
      return "skip";
    case ON_ERROR_TEMPFAIL:
      return "tempfail";
    case ON_ERROR_MATCH:
      return "match";
  }
  g_assert_not_reached();
}

GQuark resource_error_quark(void) {
  return g_quark_from_static_string("mailreeve-resource");
}

char *resource_path(const ResourceSpec *spec) {
  if (g_path_is_absolute(spec->text) || !spec->directory || spec->directory[0] == '\0') {
    return g_strdup(spec->text);
  }
  return g_build_filename(spec->directory, spec->text, NULL);
}

/* Each part stands behind its length, so that no text can look like two. */
static void add_text(GString *identity, const char *text) {
  g_string_append_printf(identity, "|%zu:%s", text ? strlen(text) : 0, text ? text : "");
}

char *resource_identity(const ResourceSpec *spec) {
  const KeysetShape *shape = &spec->shape;
  GString *identity = g_string_new(spec->kind->name);
  for (size_t i = 0; i < shape->part_count; i++) {
    g_string_append_printf(identity, "|%s", value_type_name(shape->parts[i]));
  }
  g_string_append_printf(identity, "|->%s", shape->has_value ? value_type_name(shape->value) : "");
  g_string_append_printf(identity, "|%d%d%d", shape->exact, spec->optional, (int)shape->order);
  add_text(identity, shape->tag);
  if (spec->kind->is_table && spec->kind->ask) {
    add_text(identity, spec->directory); /* the text is more than a path */
    add_text(identity, spec->text);
  } else if (spec->kind->is_table) {
    g_autofree char *path = resource_path(spec);
    g_autofree char *canonical = g_canonicalize_filename(path, NULL);
    add_text(identity, canonical);
  } else {
    add_text(identity, spec->text);
  }
  add_text(identity, spec->codes);
  g_string_append(identity, spec->codes ? "|codes" : "");
  return g_string_free(identity, FALSE);
}

void resource_init(Resource *resource, const ResourceSpec *spec) {
  resource->references = 1;
  resource->kind = spec->kind;
  resource->identity = resource_identity(spec);
  resource->label = g_strdup_printf("%s %s", spec->kind->name, spec->text);
  resource->version = NULL;
  (void)pthread_mutex_init(&resource->lock, NULL);
}

Resource *resource_ref(Resource *resource) {
  g_atomic_int_inc(&resource->references);
  return resource;
}

void resource_unref(Resource *resource) {
  if (!resource || !g_atomic_int_dec_and_test(&resource->references)) {
    return;
  }
  resource_version_unref(g_steal_pointer(&resource->version));
  g_clear_pointer(&resource->identity, g_free);
  g_clear_pointer(&resource->label, g_free);
  (void)pthread_mutex_destroy(&resource->lock);
  resource->kind->close(resource);
}

ResourceVersion *resource_pin(Resource *resource) {
  if (resource->kind->renew) {
    resource->kind->renew(resource);
  }
  (void)pthread_mutex_lock(&resource->lock);
  ResourceVersion *version = resource->version;
  if (version) {
    g_atomic_int_inc(&version->references);
  }
  (void)pthread_mutex_unlock(&resource->lock);
  return version;
}

void resource_version_unref(ResourceVersion *version) {
  if (version && g_atomic_int_dec_and_test(&version->references)) {
    version->free(version);
  }
}

void resource_publish(Resource *resource, ResourceVersion *version) {
  (void)pthread_mutex_lock(&resource->lock);
  ResourceVersion *old = resource->version;
  resource->version = version;
  (void)pthread_mutex_unlock(&resource->lock);
  resource_version_unref(old);
}

void resource_faults_clear(ResourceFaults *faults) {
  arena_free(faults->arena);
  *faults = (ResourceFaults){.count = 0};
}

char *resource_fault_text(const ResourceFault *fault) {
  return g_strdup_printf("%s:%u: %s%s%s", fault->source.name, fault->source.lines_before + 1, fault->message, fault->expected ? "; " : "",
                         fault->expected ? fault->expected : "");
}
