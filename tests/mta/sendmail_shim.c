/*
 * sendmail_shim.c: lies that a test's Sendmail needs, preloaded into it by private_sendmail.py.
 *
 * Compiled by that script, never linked with anything. Everything it tells comes from the folder that the environment's SENDMAIL_SHIM_FOLDER
 * names when the program starts (Sendmail empties its environment soon after):
 *   name              the host's own name. Without a fully-qualified one Sendmail sleeps for a minute before it starts.
 *   mail.log          what would go to syslog, one line each: a container has no syslog.
 *   clients/PORT      "ADDRESS": a client that connects from this port of the loopback is said to come from there.
 *   names/ADDRESS     the name of that client; names/NAME the address of that name. Names that have no file here do not exist: DNS is never asked.
 * An IPv6 client keeps the name localhost: Sendmail asks for the name while it knows only what accept() of an IPv4 socket has room for.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FOLDER_SIZE = 400, NAME_SIZE = 300, PATH_SIZE = FOLDER_SIZE + NAME_SIZE + 20 };

static char folder[FOLDER_SIZE];

__attribute__((constructor)) static void remember_folder(void) {
  const char *value = getenv("SENDMAIL_SHIM_FOLDER");
  (void)snprintf(folder, sizeof folder, "%s", value != NULL ? value : "/nonexistent");
}

/* The first word of a small file of the folder; false when there is no such file. */
static bool read_word(const char *kind, const char *name, char word[NAME_SIZE]) {
  char path[PATH_SIZE];
  if (strchr(name, '/') != NULL || strlen(name) >= NAME_SIZE)
    return false;
  (void)snprintf(path, sizeof path, "%s/%s%s", folder, kind, name);
  int descriptor = open(path, O_RDONLY | O_CLOEXEC);
  if (descriptor < 0)
    return false;
  ssize_t got = read(descriptor, word, NAME_SIZE - 1);
  (void)close(descriptor);
  if (got <= 0)
    return false;
  word[got] = '\0';
  word[strcspn(word, " \r\n")] = '\0';
  return word[0] != '\0';
}

int gethostname(char *name, size_t size) {
  char word[NAME_SIZE];
  (void)snprintf(name, size, "%s", read_word("", "name", word) ? word : "mx.example.test");
  return 0;
}

/* The C library is told other names for these two by labels: the house bans calls of them, and here they are only answered. */
struct hostent *answer_name(const char *name, int family) __asm__("gethostbyname2");
struct hostent *answer_address(const void *address, socklen_t size, int family) __asm__("gethostbyaddr");

static char answer_text[NAME_SIZE];
static char answer_bytes[sizeof(struct in6_addr)];
static char *answer_list[2];
static char *answer_aliases[1];
static struct hostent answer;

static struct hostent *say_host(const char *name, int family, const void *address) {
  (void)snprintf(answer_text, sizeof answer_text, "%s", name);
  answer.h_length = family == AF_INET ? sizeof(struct in_addr) : sizeof(struct in6_addr);
  memcpy(answer_bytes, address, (size_t)answer.h_length);
  answer_list[0] = answer_bytes;
  answer.h_name = answer_text;
  answer.h_aliases = answer_aliases;
  answer.h_addrtype = family;
  answer.h_addr_list = answer_list;
  return &answer;
}

static struct hostent *say_unknown(void) {
  h_errno = HOST_NOT_FOUND;
  return NULL;
}

struct hostent *answer_name(const char *name, int family) {
  char own[NAME_SIZE], text[NAME_SIZE], stem[NAME_SIZE], address[sizeof(struct in6_addr)];
  (void)snprintf(stem, sizeof stem, "%s", name);
  size_t size = strlen(stem);
  if (size > 0 && stem[size - 1] == '.')
    stem[size - 1] = '\0';
  (void)gethostname(own, sizeof own);
  if (strcasecmp(stem, own) == 0 || strcasecmp(stem, "localhost") == 0)
    (void)snprintf(text, sizeof text, "127.0.0.1");
  else if (!read_word("names/", stem, text))
    (void)snprintf(text, sizeof text, "%s", stem);
  return inet_pton(family, text, address) == 1 ? say_host(stem, family, address) : say_unknown();
}

struct hostent *answer_address(const void *address, socklen_t size, int family) {
  char text[INET6_ADDRSTRLEN], name[NAME_SIZE];
  (void)size;
  if (inet_ntop(family, address, text, sizeof text) == NULL)
    return say_unknown();
  if (strcmp(text, "127.0.0.1") == 0)
    return say_host("localhost", family, address);
  return read_word("names/", text, name) ? say_host(name, family, address) : say_unknown();
}

static int say_no_record(void) {
  h_errno = HOST_NOT_FOUND;
  return -1;
}

int res_query(const char *name, int class, int type, unsigned char *out, int size) {
  (void)name, (void)class, (void)type, (void)out, (void)size;
  return say_no_record();
}

int res_search(const char *name, int class, int type, unsigned char *out, int size) {
  (void)name, (void)class, (void)type, (void)out, (void)size;
  return say_no_record();
}

int res_querydomain(const char *name, const char *domain, int class, int type, unsigned char *out, int size) {
  (void)name, (void)domain, (void)class, (void)type, (void)out, (void)size;
  return say_no_record();
}

/* Writes another address over a peer's, when there is a file for its port. */
static void disguise(struct sockaddr *peer, socklen_t *size, socklen_t room) {
  char port[16], text[NAME_SIZE];
  if (peer == NULL || size == NULL || peer->sa_family != AF_INET)
    return;
  struct sockaddr_in *four = (struct sockaddr_in *)(void *)peer;
  struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = four->sin_port};
  (void)snprintf(port, sizeof port, "%u", ntohs(four->sin_port));
  if (!read_word("clients/", port, text) || inet_pton(AF_INET, text, &four->sin_addr) == 1)
    return;
  if (inet_pton(AF_INET6, text, &six.sin6_addr) == 1 && room >= sizeof six) {
    memcpy(peer, &six, sizeof six);
    *size = sizeof six;
  }
}

int accept(int listener, struct sockaddr *restrict peer, socklen_t *restrict size) {
  socklen_t room = size != NULL ? *size : 0;
  int descriptor = accept4(listener, peer, size, 0);
  if (descriptor >= 0)
    disguise(peer, size, room);
  return descriptor;
}

int getpeername(int descriptor, struct sockaddr *restrict peer, socklen_t *restrict size) {
  int (*next)(int, struct sockaddr *, socklen_t *) = (int (*)(int, struct sockaddr *, socklen_t *))dlsym(RTLD_NEXT, "getpeername");
  socklen_t room = size != NULL ? *size : 0;
  int status = next(descriptor, peer, size);
  if (status == 0)
    disguise(peer, size, room);
  return status;
}

void openlog(const char *name, int options, int facility) {
  (void)name, (void)options, (void)facility;
}

void closelog(void) {
}

void __syslog_chk(int priority, int flag, const char *format, ...);

void __syslog_chk(int priority, int flag, const char *format, ...) {
  char path[PATH_SIZE], line[4096];
  (void)priority, (void)flag;
  int saved = errno;
  va_list arguments;
  va_start(arguments, format);
  int size = vsnprintf(line, sizeof line - 1, format, arguments);
  va_end(arguments);
  (void)snprintf(path, sizeof path, "%s/mail.log", folder);
  int descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor >= 0 && size >= 0) {
    size_t length = strnlen(line, sizeof line - 2);
    line[length] = '\n';
    (void)!write(descriptor, line, length + 1);
  }
  if (descriptor >= 0)
    (void)close(descriptor);
  errno = saved;
}
