/*
 * registry.h: the resources of the process, by identity: they outlive rulesets and are found again by a reload. Thread-safe.
 */
#ifndef COMMON_SERVICE_REGISTRY_H
#define COMMON_SERVICE_REGISTRY_H

#include "common/ask/resource.h"

typedef struct Registry Registry;

/* The context is copied; what it points to must outlive the registry. */
Registry *registry_new(const ResourceContext *context);
/* After all rulesets are gone. Takes NULL. */
void registry_free(Registry *registry);
/* A source for ruleset_load_*: opens or finds. During a reload found resources are refreshed: a content that cannot be read keeps the old one and is logged. */
ResourceSource *registry_source(Registry *registry);
/* A reload begins: each resource that is found from now on is refreshed once. */
void registry_begin_reload(Registry *registry);
/* After a reload: drops resources that no ruleset uses any more. */
void registry_sweep(Registry *registry);
/*
 * Helper thread, about once a second: looks at the tables that are watched, publishes contents that changed, logs what happened; frees contents that were replaced. False when
 * there is nothing to watch, before another ruleset is loaded.
 */
bool registry_watch(Registry *registry);
size_t registry_count(Registry *registry);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Registry, registry_free)

#endif
