/*
 * privileges.h: which user the daemon becomes, and becoming it. For the start of a process: before there are threads.
 */
#ifndef COMMON_SERVICE_PRIVILEGES_H
#define COMMON_SERVICE_PRIVILEGES_H

#include <stdbool.h>
#include <sys/types.h>

#include <glib.h>

/* The user that the daemon runs as. */
typedef struct Identity {
  uid_t uid;
  gid_t gid;
  char *name;
} Identity;

/*
 * Whom to be: started as root, the user `name`, or without one mailreeve where it exists, else nobody; root itself is refused. Not started as root:
 * ourselves, and `name` must be that user or NULL. False and *error when there is no such user.
 */
bool identity_choose(const char *name, Identity *identity, GError **error);
void identity_clear(Identity *identity);

/* Takes the user's groups, gid and uid for good, and makes sure that root does not come back. Nothing to do when we are that user. */
bool privileges_drop(const Identity *identity, GError **error);

#endif
