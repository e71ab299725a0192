/*
 * resource.h: what rules refer to by name and what outlives a ruleset: tables and DNS lists (later stores, limits).
 *
 * A resource is described by a spec, made by a kind, kept in the registry of the process under its identity, and found again by a
 * reload. Its content is a version of its own: a phase pins the version that it uses. One descriptor (ResourceKind) a kind, at the end of its file in common/lookup; the list is
 * common/lookup/kinds.def. A kind either answers inside the run (LOOKUP_HERE: `find`) or makes questions (`ask`, `read`).
 */
#ifndef COMMON_ASK_RESOURCE_H
#define COMMON_ASK_RESOURCE_H

#include <pthread.h>

#include "common/ask/keyset.h"
#include "common/ask/lookup.h"
#include "common/base/diagnostics.h"
#include "common/smtp/value.h"

const char *error_behaviour_name(ErrorBehaviour behaviour); /* "skip"; "default" for DEFAULT */

typedef struct ResourceKind ResourceKind;
typedef struct Resource Resource;
typedef struct ResourceVersion ResourceVersion;

typedef struct ResourceSpec {
  const ResourceKind *kind;
  const char *name;      /* in the rules: "banned"; not part of the identity */
  const char *text;      /* "our-nets", "zen.spamhaus.org" */
  const char *directory; /* of the rules file: relative paths start there */
  const char *codes;     /* dnslist only; NULL: none */
  KeysetShape shape;     /* tables: key and value; dnslist: one part, ip or domain */
  bool optional;         /* absent is empty */
} ResourceSpec;

/* What kinds need from the process. Any may be NULL where nothing needs it (`check` without DNS). */
typedef struct ResourceContext {
  const LookupBackend *dns; /* answers keys "NAME A" and "NAME TXT" (dns.h) */
  void *dns_self;
  bool check_owners;                                 /* files must be owned by root or our user and not be writable by others */
  void (*tell)(const char *label, const char *text); /* any thread: a warning for the log; NULL: nobody is told */
} ResourceContext;

/* What a resource says of a key. */
typedef struct ResourceAnswer {
  AnswerState state;
  Value value;            /* of a map, when found */
  const char *reason;     /* when failed */
  Slice entry;            /* of a table, when found: the entry that answered, as it is written there */
  Slice code, text, zone; /* dnslist, when found: the address that listed it, the list's TXT text (may be empty), the zone */
} ResourceAnswer;

enum { RESOURCE_FAULTS_TOLD = 5 };

/* A line of a table's file that cannot be read and is left out. */
typedef struct ResourceFault {
  SourceText source;     /* the file's name, the line, its number */
  size_t offset, length; /* the part of the line that it is about */
  const char *message;   /* `"x" is not a whole number` */
  const char *expected;  /* the right form; NULL: none */
} ResourceFault;

/* All of a content's: the first of them with what is wrong. */
typedef struct ResourceFaults {
  size_t count;
  size_t told_count; /* at most RESOURCE_FAULTS_TOLD */
  ResourceFault told[RESOURCE_FAULTS_TOLD];
  Arena *arena; /* of the texts; NULL when there are none */
} ResourceFaults;

void resource_faults_clear(ResourceFaults *faults);
/* "NAME:12: what is wrong; the right form". Transfer full. */
char *resource_fault_text(const ResourceFault *fault);

/* What looking at a resource found. */
typedef enum ResourceNews {
  RESOURCE_NEWS_NONE,
  RESOURCE_NEWS_CONTENT, /* another content was published */
  RESOURCE_NEWS_WELL,    /* what could not be read before can be read again, and is what was there */
  RESOURCE_NEWS_FAILED,  /* it was replaced by what cannot be used: the old content stays. Told once */
} ResourceNews;

struct ResourceKind {
  const char *name; /* "file", "dnslist": the word in the rules */
  const char *sentence;
  const char *synopsis; /* for the manual: "from file \"PATH\"" */
  LookupClass lookup_class;
  ErrorBehaviour on_error; /* its default */
  bool is_table;           /* declared by `table ... from KIND`; else by a word of its own */
  /* Checks the spec's text without touching the world: NULL, or what is wrong (transfer full). May be NULL. */
  char *(*check)(const ResourceSpec *spec);
  /* Makes the resource and its first version; NULL and *error if it cannot be used (missing file ...). */
  Resource *(*open)(const ResourceSpec *spec, const ResourceContext *context, GError **error);
  /* Reads its content anew (helper thread): true when it is good, then new pins see it; false keeps the old one. May be NULL. */
  bool (*refresh)(Resource *resource, GError **error);
  /*
   * Helper thread, about once a second: looks whether the content was replaced, reads it anew once it is at rest, and publishes it when it is another one.
   * *error is set with RESOURCE_NEWS_FAILED. May be NULL.
   */
  ResourceNews (*watch)(Resource *resource, GError **error);
  /* Of a version: how many entries it has, and the lines that were left out. NULL for kinds without `watch`. */
  size_t (*size)(const ResourceVersion *version);
  const ResourceFaults *(*faults)(const ResourceVersion *version);
  /* Any thread, in front of each pin: puts a new version in place when the content was replaced meanwhile. Cheap. May be NULL. */
  void (*renew)(Resource *resource);
  void (*close)(Resource *resource);
  /*
   * Tables: the texts that are looked up for a key, in order, with ", " between, for people; empty where nothing can be told. May be NULL: those of a keyset, keyset.h.
   */
  Slice (*tries)(const KeysetShape *shape, const Value *keys, Arena *arena);
  /* LOOKUP_HERE: */
  void (*find)(const ResourceVersion *version, const Value *keys, Arena *arena, ResourceAnswer *answer);
  /* All others: the question for a key, in the arena or on the heap (transfer full); NULL when the key can never be there (then it is not found). */
  Question *(*ask)(Resource *resource, const Value *keys, Arena *arena);
  void (*read)(Resource *resource, const Value *keys, const Answer *raw, Arena *arena, ResourceAnswer *answer);
  /* dnslist: the question for the list's text of a listed key, and reading it; NULL for kinds without. */
  Question *(*ask_text)(Resource *resource, const Value *keys, Arena *arena);
  Slice (*read_text)(Resource *resource, const Answer *raw, Arena *arena);
};

/* A version is what a phase pins; kinds embed it first in a struct of their own. */
struct ResourceVersion {
  gint references;
  void (*free)(ResourceVersion *version);
};

/* Kinds embed it first. */
struct Resource {
  gint references;
  const ResourceKind *kind;
  char *identity;           /* resource_identity() of its spec */
  char *label;              /* "dnslist zen.spamhaus.org", for logs */
  pthread_mutex_t lock;     /* guards `version` */
  ResourceVersion *version; /* the newest; NULL for kinds without content */
};

/* The file that a spec names: its text, from its directory on where it is relative. Transfer full. */
char *resource_path(const ResourceSpec *spec);
/* What kinds report in GError: the code is 0, the message says all. */
#define RESOURCE_ERROR (resource_error_quark())
GQuark resource_error_quark(void);

/* Everything that makes two specs the same resource, as one text. Transfer full. */
char *resource_identity(const ResourceSpec *spec);
void resource_init(Resource *resource, const ResourceSpec *spec);
Resource *resource_ref(Resource *resource);
void resource_unref(
    Resource *resource); /* takes NULL; the last one clears this struct, then calls kind->close, which frees it with its own */
/* Thread-safe: the newest version with a reference (NULL when the kind has none), renewed before where the kind does that. */
ResourceVersion *resource_pin(Resource *resource);
void resource_version_unref(ResourceVersion *version); /* takes NULL */
/* Puts a new version in place; takes over its one reference. */
void resource_publish(Resource *resource, ResourceVersion *version);

/*
 * Where a ruleset gets its resources: the registry of the process, or a plain one that opens each anew (tool, tests).
 * find_kind: by the word in the rules. open: transfer full; equal specs give the same resource.
 */
typedef struct ResourceSource ResourceSource;
struct ResourceSource {
  const ResourceKind *(*find_kind)(ResourceSource *self, Slice word);
  const char *const *(*kind_names)(ResourceSource *self); /* table kinds, NULL-terminated */
  Resource *(*open)(ResourceSource *self, const ResourceSpec *spec, GError **error);
};

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Resource, resource_unref)

#endif
