/*
 * socket.c: gives libmilter our listener.
 *
 * libmilter can only open its socket itself, and then takes the path of a daemon that is running, knows neither mode nor group, and lets
 * every peer in. So it is told to open a socket of the same family that nobody knows, and our listener is put in that descriptor's place.
 * The peers are looked at where libmilter accepts them: the program brings an `accept` of its own, which the dynamic linker gives to
 * libmilter (nothing else here calls it).
 *
 * Which listener that is has to be file-scope: accept(2) has no argument for it. Set once before libmilter's threads are there.
 */
#include "config.h"

#include "milter/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <libmilter/mfapi.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/service/decision_log.h"

enum { HIGHEST_FD = 1024 }; /* the lowest free one is taken, and few are open when a daemon starts */

static const Listener *adopted;
static int adopted_fd = -1;
static bool refusing;
static pthread_mutex_t refusing_lock = PTHREAD_MUTEX_INITIALIZER; /* the listener is in use, or will never be again */

int socket_libmilter_accept(int fd, struct sockaddr *address, socklen_t *length) __asm__("accept") __attribute__((visibility("default")));

static bool lets_in(const struct sockaddr *peer) {
  (void)pthread_mutex_lock(&refusing_lock);
  bool allowed = !refusing && listener_allows_peer(adopted, peer);
  if (!refusing && !allowed) {
    log_limited("refused peer", "%s: a connection was closed: its address is not among those that `allow` lists",
                listener_address(adopted));
  }
  (void)pthread_mutex_unlock(&refusing_lock);
  return allowed;
}

int socket_libmilter_accept(int fd, struct sockaddr *address, socklen_t *length) {
  int connected = accept4(fd, address, length, SOCK_CLOEXEC);
  if (connected < 0 || fd != adopted_fd || lets_in(address)) {
    return connected;
  }
  (void)close(connected);
  errno = ECONNABORTED; /* libmilter goes on after this one */
  return -1;
}

static bool is_listening(int fd, int family) {
  int accepts = 0;
  socklen_t length = sizeof accepts;
  struct sockaddr_storage name;
  socklen_t name_length = sizeof name;
  return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &length) == 0 && accepts != 0 &&
         getsockname(fd, (struct sockaddr *)&name, &name_length) == 0 && name.ss_family == family;
}

static int listener_family(const Listener *listener) {
  struct sockaddr_storage name;
  socklen_t length = sizeof name;
  return getsockname(listener_fd(listener), (struct sockaddr *)&name, &length) == 0 ? name.ss_family : AF_UNSPEC;
}

static bool fail(GError **error, const char *what) {
  g_set_error(error, g_quark_from_static_string("milter-socket"), 0, "%s", what);
  return false;
}

/* libmilter opens a socket at `where`; *fd is its descriptor. */
static bool open_placeholder(const char *where, int family, int *fd, GError **error) {
  bool before[HIGHEST_FD];
  for (int i = 0; i < HIGHEST_FD; i++) {
    before[i] = is_listening(i, family);
  }
  g_autofree char *connection = g_strdup(where); /* not const in libmilter's prototype */
  if (smfi_setconn(connection) != MI_SUCCESS || smfi_opensocket(false) != MI_SUCCESS) {
    return fail(error, "libmilter cannot open a socket");
  }
  *fd = -1;
  for (int i = 0; i < HIGHEST_FD; i++) {
    if (!before[i] && is_listening(i, family)) {
      *fd = *fd < 0 ? i : HIGHEST_FD;
    }
  }
  return (*fd >= 0 && *fd < HIGHEST_FD) || fail(error, "cannot tell which socket is libmilter's");
}

static bool open_unix_placeholder(int *fd, GError **error) {
  g_autofree char *folder = g_dir_make_tmp("mailreeve-milter-XXXXXX", error);
  if (folder == NULL) {
    return false;
  }
  g_autofree char *path = g_build_filename(folder, "socket", NULL);
  g_autofree char *where = g_strdup_printf("unix:%s", path);
  bool opened = open_placeholder(where, AF_UNIX, fd, error);
  (void)unlink(path);
  (void)rmdir(folder);
  return opened;
}

bool socket_adopt(const Listener *listener, GError **error) {
  int family = listener_family(listener);
  int fd = -1;
  bool opened = family == AF_UNIX    ? open_unix_placeholder(&fd, error)
                : family == AF_INET  ? open_placeholder("inet:0@[127.0.0.1]", AF_INET, &fd, error)
                : family == AF_INET6 ? open_placeholder("inet6:0@[::1]", AF_INET6, &fd, error)
                                     : fail(error, "libmilter cannot serve this family of sockets");
  if (!opened) {
    return false;
  }
  if (dup3(listener_fd(listener), fd, O_CLOEXEC) < 0) {
    return fail(error, g_strerror(errno));
  }
  adopted = listener;
  adopted_fd = fd;
  return true;
}

void socket_refuse(void) {
  (void)pthread_mutex_lock(&refusing_lock);
  refusing = true;
  (void)pthread_mutex_unlock(&refusing_lock);
}
