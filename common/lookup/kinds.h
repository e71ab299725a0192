/*
 * kinds.h: the registry file of resource kinds: one line a kind in kinds.def, one file a kind beside it.
 */
#ifndef COMMON_LOOKUP_KINDS_H
#define COMMON_LOOKUP_KINDS_H

#include "common/ask/resource.h"

/* NULL-terminated. */
const ResourceKind *const *resource_kinds(void);
const ResourceKind *resource_kind_find(Slice word);
/* The kinds that `table ... from` takes. */
const char *const *resource_table_kind_names(void);

/* A source that opens each resource anew (equal specs in one source are one). For the tool and for tests. Confined. The context is copied. */
ResourceSource *resource_source_plain_new(const ResourceContext *context);
void resource_source_plain_free(ResourceSource *source); /* takes NULL; resources that others hold live on */

#endif
