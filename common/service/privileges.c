/*
 * privileges.c: from root to an ordinary user, for good.
 */
#include <config.h> /* _GNU_SOURCE, for setresuid */

#include "common/service/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

static GQuark privileges_quark(void) {
  return g_quark_from_static_string("mailreeve-privileges");
}

/* NULL where there is no such user; *error only when the question itself failed. */
static bool find_user(const char *name, Identity *identity) {
  struct passwd entry, *found = NULL;
  char buffer[16384];
  if (getpwnam_r(name, &entry, buffer, sizeof buffer, &found) != 0 || found == NULL) {
    return false;
  }
  *identity = (Identity){.uid = entry.pw_uid, .gid = entry.pw_gid, .name = g_strdup(name)};
  return true;
}

static bool identity_self(const char *name, Identity *identity, GError **error) {
  Identity wanted = {0};
  if (name != NULL && (!find_user(name, &wanted) || wanted.uid != geteuid())) {
    identity_clear(&wanted);
    g_set_error(error, privileges_quark(), 0, "cannot become user %s: not started as root", name);
    return false;
  }
  identity_clear(&wanted);
  *identity = (Identity){.uid = geteuid(), .gid = getegid(), .name = name ? g_strdup(name) : g_strdup_printf("%u", (unsigned)geteuid())};
  return true;
}

bool identity_choose(const char *name, Identity *identity, GError **error) {
  if (geteuid() != 0) {
    return identity_self(name, identity, error);
  }
  bool found = name != NULL ? find_user(name, identity) : find_user("mailreeve", identity) || find_user("nobody", identity);
  if (!found) {
    g_set_error(error, privileges_quark(), 0, "there is no user %s to become", name ? name : "mailreeve or nobody");
    return false;
  }
  if (identity->uid == 0 || identity->gid == 0) {
    g_set_error(error, privileges_quark(), 0, "refusing to run as root (user %s)", identity->name);
    identity_clear(identity);
    return false;
  }
  return true;
}

void identity_clear(Identity *identity) {
  g_free(identity->name);
  *identity = (Identity){0};
}

bool privileges_drop(const Identity *identity, GError **error) {
  if (geteuid() != 0) {
    return true;
  }
  if (initgroups(identity->name, identity->gid) != 0 || setresgid(identity->gid, identity->gid, identity->gid) != 0 ||
      setresuid(identity->uid, identity->uid, identity->uid) != 0) {
    g_set_error(error, privileges_quark(), 0, "cannot become user %s: %s", identity->name, g_strerror(errno));
    return false;
  }
  if (setuid(0) == 0 || geteuid() == 0 || getegid() == 0) {
    g_set_error(error, privileges_quark(), 0, "still root after becoming user %s", identity->name);
    return false;
  }
  return true;
}
