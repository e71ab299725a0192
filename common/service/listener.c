/*
 * listener.c: opens the sockets of a daemon.
 *
 * A unix socket that a dead daemon left must go, one that a living daemon serves must stay. So: PATH.lock is locked first (a second daemon of ours ends
 * here, whatever state the socket is in), then the path must be a socket, belong to someone we trust, and refuse connections; only then it is removed.
 */
#include "common/service/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/ip.h"

enum { LISTEN_BACKLOG = 1024 };

struct Listener {
  int fd;
  int lock_fd; /* -1 for inet */
  char *path;  /* of a unix socket, else NULL */
  char *lock_path;
  char *address;
  char *service;
  Door door;
  dev_t device; /* the socket that we made: another one at the same path is not ours to remove */
  ino_t inode;
  GArray *allowed; /* IpNetwork; NULL for unix */
};

static GQuark listener_quark(void) {
  return g_quark_from_static_string("mailreeve-listener");
}

G_GNUC_PRINTF(3, 4)
static bool listener_fail(GError **error, const char *address, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  g_autofree char *message = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  g_set_error(error, listener_quark(), 0, "%s: %s", address, message);
  return false;
}

/* ---- unix ---- */

static bool unix_address(const char *path, struct sockaddr_un *address, GError **error) {
  *address = (struct sockaddr_un){.sun_family = AF_UNIX};
  size_t length = strlen(path);
  if (path[0] != '/') {
    return listener_fail(error, path, "a unix socket needs an absolute path");
  }
  if (length >= sizeof address->sun_path) {
    return listener_fail(error, path, "the path is longer than the %zu bytes that a unix socket may have", sizeof address->sun_path - 1);
  }
  memcpy(address->sun_path, path, length);
  return true;
}

/* Another daemon may remove its lock file between our open and our lock: then we hold a file that nobody sees, and try again. */
static bool lock_is_current(int fd, const char *lock_path) {
  struct stat held, there;
  return fstat(fd, &held) == 0 && lstat(lock_path, &there) == 0 && held.st_dev == there.st_dev && held.st_ino == there.st_ino;
}

/* First without O_CREAT: in a sticky folder Linux refuses that flag even to root for another user's file. */
static int lock_open(const char *lock_path) {
  int fd = open(lock_path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
  return fd >= 0 || errno != ENOENT ? fd : open(lock_path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
}

static bool lock_take(Listener *listener, uid_t owner, gid_t group, GError **error) {
  for (int attempt = 0; attempt < 10; attempt++) {
    int fd = lock_open(listener->lock_path);
    if (fd < 0) {
      return listener_fail(error, listener->address, "cannot open %s: %s", listener->lock_path, g_strerror(errno));
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
      bool busy = errno == EWOULDBLOCK;
      (void)listener_fail(error, listener->address, "%s %s", busy ? "another daemon holds" : "cannot lock", listener->lock_path);
      (void)close(fd);
      return false;
    }
    if (lock_is_current(fd, listener->lock_path)) {
      listener->lock_fd = fd;
      if (geteuid() == 0 && fchown(fd, owner, group) != 0) {
        return listener_fail(error, listener->address, "cannot give %s to its user: %s", listener->lock_path, g_strerror(errno));
      }
      return true;
    }
    (void)close(fd);
  }
  return listener_fail(error, listener->address, "cannot lock %s: it goes away again and again", listener->lock_path);
}

/* True when nobody listens there. */
static bool unix_is_stale(const struct sockaddr_un *address, int *why) {
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) {
    *why = errno;
    return false;
  }
  int result = connect(fd, (const struct sockaddr *)address, sizeof *address);
  *why = result == 0 ? 0 : errno;
  (void)close(fd);
  return result != 0 && *why == ECONNREFUSED;
}

static bool unix_clear(Listener *listener, const struct sockaddr_un *address, uid_t owner, GError **error) {
  struct stat there;
  if (lstat(listener->path, &there) != 0) {
    return errno == ENOENT || listener_fail(error, listener->address, "%s", g_strerror(errno));
  }
  if (!S_ISSOCK(there.st_mode)) {
    return listener_fail(error, listener->address, "there is something that is not a socket");
  }
  if (there.st_uid != 0 && there.st_uid != geteuid() && there.st_uid != owner) {
    return listener_fail(error, listener->address, "the socket that is there belongs to another user (uid %u)", (unsigned)there.st_uid);
  }
  int why = 0;
  if (!unix_is_stale(address, &why)) {
    return listener_fail(error, listener->address,
                         why == 0 ? "another program listens there" : "cannot tell whether another program listens there: %s",
                         g_strerror(why));
  }
  return unlink(listener->path) == 0 || listener_fail(error, listener->address, "cannot remove the stale socket: %s", g_strerror(errno));
}

static bool group_find(const Config *config, gid_t fallback, gid_t *gid, GError **error) {
  *gid = fallback;
  if (config->socket_group == NULL) {
    return true;
  }
  struct group entry, *found = NULL;
  char buffer[65536];
  if (getgrnam_r(config->socket_group, &entry, buffer, sizeof buffer, &found) != 0 || found == NULL) {
    return listener_fail(error, config->socket_group, "there is no such group");
  }
  *gid = entry.gr_gid;
  return true;
}

/* Bound with no permissions for anybody, opened up only when owner and group are right. */
static bool unix_bind(Listener *listener, const struct sockaddr_un *address, const Config *config, uid_t owner, gid_t group,
                      GError **error) {
  mode_t old_mask = umask(0777);
  int result = bind(listener->fd, (const struct sockaddr *)address, sizeof *address);
  int why = errno;
  (void)umask(old_mask);
  if (result != 0) {
    return listener_fail(error, listener->address, "%s", g_strerror(why));
  }
  struct stat made;
  if (lstat(listener->path, &made) != 0) {
    return listener_fail(error, listener->address, "%s", g_strerror(errno));
  }
  listener->device = made.st_dev;
  listener->inode = made.st_ino;
  bool give = geteuid() == 0 || config->socket_group != NULL;
  if (give && lchown(listener->path, geteuid() == 0 ? owner : (uid_t)-1, group) != 0) {
    return listener_fail(error, listener->address, "cannot set owner and group: %s", g_strerror(errno));
  }
  return chmod(listener->path, config->socket_mode) == 0 ||
         listener_fail(error, listener->address, "cannot set the mode: %s", g_strerror(errno));
}

static bool unix_open(Listener *listener, const char *path, const Config *config, uid_t owner, gid_t owner_group, GError **error) {
  struct sockaddr_un address;
  gid_t group;
  listener->path = g_strdup(path);
  listener->address = g_strdup_printf("unix:%s", path);
  listener->lock_path = g_strdup_printf("%s.lock", path);
  if (!unix_address(path, &address, error) || !group_find(config, owner_group, &group, error) ||
      !lock_take(listener, owner, owner_group, error) || !unix_clear(listener, &address, owner, error)) {
    return false;
  }
  listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (listener->fd < 0) {
    return listener_fail(error, listener->address, "%s", g_strerror(errno));
  }
  return unix_bind(listener, &address, config, owner, group, error);
}

/* ---- inet ---- */

/* SYNTAX: HOST:PORT | [HOST]:PORT; IPv6 addresses need the brackets. */
static bool inet_split(const char *text, char **host, char **port) {
  const char *colon = strrchr(text, ':');
  if (colon == NULL || colon == text || colon[1] == '\0') {
    return false;
  }
  bool brackets = text[0] == '[';
  if (brackets && (colon - text < 3 || colon[-1] != ']')) {
    return false;
  }
  if (!brackets && memchr(text, ':', (size_t)(colon - text)) != NULL) {
    return false;
  }
  *host = brackets ? g_strndup(text + 1, (size_t)(colon - text) - 2) : g_strndup(text, (size_t)(colon - text));
  *port = g_strdup(colon + 1);
  return true;
}

static bool port_is_valid(const char *port) {
  int64_t number = 0;
  return slice_to_int(slice_from(port), &number) && number >= 0 && number <= 65535;
}

static bool inet_parse(const char *text, char **host, char **port, GError **error) {
  return (inet_split(text, host, port) && port_is_valid(*port)) ||
         listener_fail(error, text, "expected HOST:PORT, or [ADDRESS]:PORT for IPv6");
}

static bool inet_bind(Listener *listener, const struct addrinfo *info, GError **error) {
  listener->fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (listener->fd < 0) {
    return listener_fail(error, listener->address, "%s", g_strerror(errno));
  }
  int on = 1;
  if (setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      (info->ai_family == AF_INET6 && setsockopt(listener->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) ||
      bind(listener->fd, info->ai_addr, info->ai_addrlen) != 0) {
    return listener_fail(error, listener->address, "%s", g_strerror(errno));
  }
  return true;
}

/* The canonical address, with the port that we really got. */
static bool inet_name(Listener *listener, GError **error) {
  struct sockaddr_storage bound;
  socklen_t length = sizeof bound;
  char host[NI_MAXHOST], port[NI_MAXSERV];
  if (getsockname(listener->fd, (struct sockaddr *)&bound, &length) != 0 ||
      getnameinfo((struct sockaddr *)&bound, length, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return listener_fail(error, listener->address, "cannot tell its own address");
  }
  g_free(listener->address);
  listener->address = g_strdup_printf(bound.ss_family == AF_INET6 ? "inet6:[%s]:%s" : "inet:%s:%s", host, port);
  return true;
}

static bool inet_open(Listener *listener, const char *text, int family, const Config *config, GError **error) {
  g_autofree char *host = NULL, *port = NULL;
  listener->address = g_strdup(text);
  if (!inet_parse(text, &host, &port, error)) {
    return false;
  }
  struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
  struct addrinfo *found = NULL;
  int result = getaddrinfo(host, port, &hints, &found);
  if (result != 0) {
    return listener_fail(error, text, "%s", gai_strerror(result));
  }
  bool good = inet_bind(listener, found, error);
  freeaddrinfo(found);
  listener->allowed = g_array_new(FALSE, FALSE, sizeof(IpNetwork));
  for (size_t i = 0; config->allow != NULL && config->allow[i] != NULL; i++) {
    IpNetwork network;
    if (ip_network_parse(slice_from(config->allow[i]), &network) == IP_NETWORK_OK) {
      g_array_append_val(listener->allowed, network);
    }
  }
  return good && inet_name(listener, error);
}

/* ---- Both ---- */

/* Cuts ",service=NAME" off. */
static bool options_split(char *address, char **service, GError **error) {
  char *comma = strchr(address, ',');
  if (comma == NULL) {
    return true;
  }
  static const char word[] = "service=";
  if (strncmp(comma + 1, word, sizeof word - 1) != 0 || comma[sizeof word] == '\0') {
    return listener_fail(error, address, "expected ,service=NAME behind the address");
  }
  *service = g_strdup(comma + sizeof word);
  *comma = '\0';
  return true;
}

/* AF_UNIX, AF_INET6, or AF_UNSPEC for inet; *rest is what follows the prefix. */
static bool family_split(const char *address, int *family, const char **rest, GError **error) {
  static const struct {
    const char *prefix;
    int family;
  } kinds[] = {{"unix:", AF_UNIX}, {"inet:", AF_UNSPEC}, {"inet6:", AF_INET6}};
  for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
    if (g_str_has_prefix(address, kinds[i].prefix)) {
      *rest = address + strlen(kinds[i].prefix);
      *family = kinds[i].family;
      return true;
    }
  }
  return listener_fail(error, address, "expected unix:PATH, inet:HOST:PORT or inet6:[HOST]:PORT");
}

static bool listener_bind(Listener *listener, const char *address, const Config *config, uid_t owner, gid_t owner_group, GError **error) {
  int family;
  const char *rest;
  if (!family_split(address, &family, &rest, error)) {
    return false;
  }
  return family == AF_UNIX ? unix_open(listener, rest, config, owner, owner_group, error)
                           : inet_open(listener, rest, family, config, error);
}

bool listener_check_address(const char *address, GError **error) {
  g_autofree char *text = g_strdup(address), *service = NULL, *host = NULL, *port = NULL;
  struct sockaddr_un path;
  int family;
  const char *rest;
  if (!options_split(text, &service, error) || !family_split(text, &family, &rest, error)) {
    return false;
  }
  return family == AF_UNIX ? unix_address(rest, &path, error) : inet_parse(rest, &host, &port, error);
}

Listener *listener_open(const char *address, const Config *config, uid_t owner, gid_t owner_group, GError **error) {
  g_autoptr(Listener) listener = g_new0(Listener, 1);
  listener->fd = listener->lock_fd = -1;
  g_autofree char *text = g_strdup(address);
  if (!options_split(text, &listener->service, error) || !listener_bind(listener, text, config, owner, owner_group, error)) {
    return NULL;
  }
  if (listener->service == NULL) {
    listener->service = g_strdup(config->service);
  }
  if (listen(listener->fd, LISTEN_BACKLOG) != 0) {
    (void)listener_fail(error, listener->address, "%s", g_strerror(errno));
    return NULL;
  }
  return g_steal_pointer(&listener);
}

int listener_fd(const Listener *listener) {
  return listener->fd;
}

bool listener_is_unix(const Listener *listener) {
  return listener->path != NULL;
}

const char *listener_address(const Listener *listener) {
  return listener->address;
}

void listener_set_door(Listener *listener, Door door) {
  listener->door = door;
}

Door listener_door(const Listener *listener) {
  return listener->door;
}

const char *listener_service(const Listener *listener) {
  return listener->service;
}

/* IPv4-mapped becomes IPv4, as everywhere. */
bool listener_allows_peer(const Listener *listener, const struct sockaddr *peer) {
  if (listener->allowed == NULL) {
    return true;
  }
  IpAddress address;
  if (!ip_from_socket(peer, &address, NULL)) {
    return false;
  }
  for (guint i = 0; i < listener->allowed->len; i++) {
    if (ip_network_contains(&g_array_index(listener->allowed, IpNetwork, i), &address)) {
      return true;
    }
  }
  return false;
}

bool listener_allows(const Listener *listener, int connected_fd) {
  struct sockaddr_storage peer;
  socklen_t length = sizeof peer;
  return listener->allowed == NULL || (getpeername(connected_fd, (struct sockaddr *)&peer, &length) == 0 &&
                                       listener_allows_peer(listener, (const struct sockaddr *)&peer));
}

/* What cannot be removed (a folder that only root may write) is replaced at the next start. */
static void unix_remove(Listener *listener) {
  struct stat there;
  if (listener->inode != 0 && lstat(listener->path, &there) == 0 && there.st_dev == listener->device && there.st_ino == listener->inode) {
    (void)unlink(listener->path);
  }
  if (listener->lock_fd >= 0) {
    (void)unlink(listener->lock_path);
    (void)close(listener->lock_fd);
  }
}

void listener_refuse(Listener *listener) {
  (void)shutdown(listener->fd, SHUT_RDWR);
}

void listener_close(Listener *listener) {
  if (listener == NULL) {
    return;
  }
  if (listener->path != NULL) {
    unix_remove(listener);
  }
  if (listener->fd >= 0) {
    (void)close(listener->fd);
  }
  if (listener->allowed != NULL) {
    g_array_free(listener->allowed, TRUE);
  }
  g_free(listener->path);
  g_free(listener->lock_path);
  g_free(listener->address);
  g_free(listener->service);
  g_free(listener);
}
