/* test_listener.c: sockets are opened where they should and nothing living is ever taken over. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <grp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/service/listener.h"
#include "tests/unit/unit.h"

static char *folder, *path, *lock_path, *address;
static char *loopback[] = {(char *)"127.0.0.0/8", (char *)"::1", NULL};
static Config config;

static void setup(void) {
  folder = g_dir_make_tmp("mailreeve-listener-XXXXXX", NULL);
  path = g_build_filename(folder, "sock", NULL);
  lock_path = g_strconcat(path, ".lock", NULL);
  address = g_strconcat("unix:", path, NULL);
  config = (Config){.daemon = DAEMON_POLICY, .socket_mode = 0620, .allow = loopback, .service = (char *)"mx"};
}

static void teardown(void) {
  (void)g_unlink(path);
  (void)g_unlink(lock_path);
  (void)g_rmdir(folder);
  g_free(folder);
  g_free(path);
  g_free(lock_path);
  g_free(address);
}

static Listener *open_at(const char *where, GError **error) {
  return listener_open(where, &config, geteuid(), getegid(), error);
}

static void assert_refused(const char *where, const char *expected) {
  g_autoptr(GError) error = NULL;
  g_autoptr(Listener) listener = open_at(where, &error);
  ck_assert_ptr_null(listener);
  ck_assert_msg(strstr(error->message, expected) != NULL, "\"%s\" does not say \"%s\"", error->message, expected);
}

static int socket_at(const char *where, bool bound) {
  struct sockaddr_un un = {.sun_family = AF_UNIX};
  memcpy(un.sun_path, where, strlen(where));
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int result = bound ? bind(fd, (struct sockaddr *)&un, sizeof un) : connect(fd, (struct sockaddr *)&un, sizeof un);
  if (result != 0) {
    (void)close(fd);
    return -1;
  }
  return fd;
}

START_TEST(test_unix) {
  struct stat there;
  g_autoptr(GError) error = NULL;
  Listener *listener = open_at(address, &error);
  ck_assert_msg(listener != NULL, "%s", error ? error->message : "");
  ck_assert_str_eq(listener_address(listener), address);
  ck_assert_str_eq(listener_service(listener), "mx");
  ck_assert(listener_is_unix(listener));
  ck_assert_int_eq(lstat(path, &there), 0);
  ck_assert(S_ISSOCK(there.st_mode));
  ck_assert_uint_eq(there.st_mode & 0777, 0620);
  ck_assert(fcntl(listener_fd(listener), F_GETFD) & FD_CLOEXEC);
  ck_assert(fcntl(listener_fd(listener), F_GETFL) & O_NONBLOCK);
  int fd = socket_at(path, false);
  ck_assert_int_ge(fd, 0);
  ck_assert(listener_allows(listener, fd));
  (void)close(fd);
  listener_close(listener);
  ck_assert_int_ne(lstat(path, &there), 0);
  ck_assert_int_ne(lstat(lock_path, &there), 0);
}
END_TEST

START_TEST(test_stale_is_replaced) {
  int dead = socket_at(path, true);
  ck_assert_int_ge(dead, 0);
  (void)close(dead); /* the file stays, nobody listens */
  g_autoptr(GError) error = NULL;
  g_autoptr(Listener) listener = open_at(address, &error);
  ck_assert_msg(listener != NULL, "%s", error ? error->message : "");
  int fd = socket_at(path, false);
  ck_assert_int_ge(fd, 0);
  (void)close(fd);
}
END_TEST

START_TEST(test_living_is_left_alone) {
  int other = socket_at(path, true);
  ck_assert_int_eq(listen(other, 1), 0);
  assert_refused(address, "another program listens there");
  int fd = socket_at(path, false); /* still reached */
  ck_assert_int_ge(fd, 0);
  (void)close(fd);
  (void)close(other);
}
END_TEST

START_TEST(test_second_of_ours_is_refused) {
  g_autoptr(Listener) first = open_at(address, NULL);
  ck_assert_ptr_nonnull(first);
  assert_refused(address, "another daemon holds");
  /* even when someone has removed the socket's file */
  ck_assert_int_eq(g_unlink(path), 0);
  assert_refused(address, "another daemon holds");
}
END_TEST

START_TEST(test_not_a_socket) {
  ck_assert(g_file_set_contents(path, "precious", -1, NULL));
  assert_refused(address, "not a socket");
  g_autofree char *content = NULL;
  ck_assert(g_file_get_contents(path, &content, NULL, NULL));
  ck_assert_str_eq(content, "precious");
  (void)g_unlink(path);
  g_autofree char *target = g_build_filename(folder, "target", NULL);
  int dead = socket_at(target, true);
  (void)close(dead);
  ck_assert_int_eq(symlink(target, path), 0); /* a link to a socket is not a socket */
  assert_refused(address, "not a socket");
  (void)g_unlink(target);
}
END_TEST

START_TEST(test_lock_is_no_link) {
  g_autofree char *target = g_build_filename(folder, "victim", NULL);
  ck_assert_int_eq(symlink(target, lock_path), 0);
  assert_refused(address, ".lock");
  ck_assert(!g_file_test(target, G_FILE_TEST_EXISTS));
}
END_TEST

START_TEST(test_somebody_elses) {
  if (geteuid() != 0) {
    return; /* only root can make a socket of another user */
  }
  int dead = socket_at(path, true);
  (void)close(dead);
  ck_assert_int_eq(lchown(path, 12345, 12345), 0);
  assert_refused(address, "belongs to another user");
}
END_TEST

START_TEST(test_close_leaves_another_ones_socket) {
  Listener *listener = open_at(address, NULL);
  ck_assert_ptr_nonnull(listener);
  ck_assert_int_eq(g_unlink(path), 0);
  int other = socket_at(path, true);
  ck_assert_int_ge(other, 0);
  listener_close(listener);
  ck_assert(g_file_test(path, G_FILE_TEST_EXISTS));
  (void)close(other);
}
END_TEST

START_TEST(test_group) {
  config.socket_group = (char *)"no-such-group";
  assert_refused(address, "there is no such group");
  struct group *own = getgrgid(getegid());
  if (own == NULL) {
    return;
  }
  config.socket_group = own->gr_name;
  g_autoptr(Listener) listener = open_at(address, NULL);
  ck_assert_ptr_nonnull(listener);
  struct stat there;
  ck_assert_int_eq(lstat(path, &there), 0);
  ck_assert_uint_eq(there.st_gid, getegid());
}
END_TEST

static int inet_connect(const Listener *listener) {
  struct sockaddr_storage bound;
  socklen_t length = sizeof bound;
  ck_assert_int_eq(getsockname(listener_fd(listener), (struct sockaddr *)&bound, &length), 0);
  int fd = socket(bound.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ck_assert_int_eq(connect(fd, (struct sockaddr *)&bound, length), 0);
  return fd;
}

static int inet_accept(const Listener *listener) {
  int fd;
  do { /* the connection is complete, so it is there at once or almost */
    fd = accept(listener_fd(listener), NULL, NULL);
  } while (fd < 0 && (errno == EAGAIN || errno == EINTR));
  return fd;
}

START_TEST(test_inet) {
  g_autoptr(GError) error = NULL;
  g_autoptr(Listener) listener = open_at("inet:127.0.0.1:0,service=submission", &error);
  ck_assert_msg(listener != NULL, "%s", error ? error->message : "");
  ck_assert_str_eq(listener_service(listener), "submission");
  ck_assert(!listener_is_unix(listener));
  ck_assert(g_str_has_prefix(listener_address(listener), "inet:127.0.0.1:"));
  ck_assert(!g_str_has_suffix(listener_address(listener), ":0"));
  int client = inet_connect(listener), server = inet_accept(listener);
  ck_assert_int_ge(server, 0);
  ck_assert(listener_allows(listener, server));
  (void)close(client);
  (void)close(server);
  assert_refused(listener_address(listener), "Address already in use");
}
END_TEST

START_TEST(test_allow) {
  static char *others[] = {(char *)"192.0.2.0/24", NULL};
  config.allow = others;
  g_autoptr(Listener) listener = open_at("inet:127.0.0.1:0", NULL);
  int client = inet_connect(listener), server = inet_accept(listener);
  ck_assert(!listener_allows(listener, server));
  (void)close(client);
  (void)close(server);
}
END_TEST

static const struct {
  const char *where, *error;
} mistakes[] = {
    {"/run/x", "expected unix:PATH"},
    {"unix:relative", "absolute path"},
    {"unix:/a234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789", "longer than"},
    {"unix:/nonexistent-folder/x", "cannot open"},
    {"inet:127.0.0.1", "expected HOST:PORT"},
    {"inet:127.0.0.1:", "expected HOST:PORT"},
    {"inet::25", "expected HOST:PORT"},
    {"inet:::1:25", "expected HOST:PORT"},
    {"inet:[]:25", "expected HOST:PORT"},
    {"inet:127.0.0.1:70000", "expected HOST:PORT"},
    {"inet:127.0.0.1:smtp", "expected HOST:PORT"},
    {"inet:127.0.0.1:0,sevice=x", "expected ,service=NAME"},
    {"inet:127.0.0.1:0,service=", "expected ,service=NAME"},
};

START_TEST(test_mistakes) {
  assert_refused(mistakes[_i].where, mistakes[_i].error);
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_checked_fixture(tests, setup, teardown);
  tcase_add_test(tests, test_unix);
  tcase_add_test(tests, test_stale_is_replaced);
  tcase_add_test(tests, test_living_is_left_alone);
  tcase_add_test(tests, test_second_of_ours_is_refused);
  tcase_add_test(tests, test_not_a_socket);
  tcase_add_test(tests, test_lock_is_no_link);
  tcase_add_test(tests, test_somebody_elses);
  tcase_add_test(tests, test_close_leaves_another_ones_socket);
  tcase_add_test(tests, test_group);
  tcase_add_test(tests, test_inet);
  tcase_add_test(tests, test_allow);
  tcase_add_loop_test(tests, test_mistakes, 0, G_N_ELEMENTS(mistakes));
}

UNIT_MAIN("listener", add_tests)
