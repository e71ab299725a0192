/*
 * policy_load.c: asks a policy server over many connections at once, each as fast as it gets answers, and measures.
 *
 * policy_load PORT CONNECTIONS REQUESTS FILE: FILE holds requests, each ended by an empty line; they are sent in turn, REQUESTS in all. Prints
 * one line: requests=N seconds=S per_second=R p50_us=A p99_us=B answers: the number of answers that were not DUNNO. Traffic goes to 127.0.0.1 only.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <glib.h>

typedef struct Client {
  int fd;
  gint64 asked_at; /* ns */
  size_t answered; /* bytes of the answer so far */
  char answer[1024];
} Client;

typedef struct Load {
  GPtrArray *requests; /* GString */
  size_t next;
  size_t sent, done, total, ruled;
  gint64 *latencies;
} Load;

static gint64 now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (gint64)now.tv_sec * 1000000000 + now.tv_nsec;
}

static GPtrArray *requests_read(const char *path) {
  char *text = NULL;
  gsize length = 0;
  GError *error = NULL;
  if (!g_file_get_contents(path, &text, &length, &error)) {
    fprintf(stderr, "policy_load: %s\n", error->message);
    exit(2);
  }
  GPtrArray *requests = g_ptr_array_new();
  const char *start = text;
  for (const char *end; (end = strstr(start, "\n\n")) != NULL; start = end + 2) {
    g_ptr_array_add(requests, g_string_new_len(start, end + 2 - start));
  }
  g_free(text);
  if (requests->len == 0) {
    fprintf(stderr, "policy_load: %s holds no request\n", path);
    exit(2);
  }
  return requests;
}

static void client_ask(Load *load, Client *client) {
  const GString *request = g_ptr_array_index(load->requests, load->next);
  load->next = (load->next + 1) % load->requests->len;
  load->sent++;
  client->answered = 0;
  client->asked_at = now_ns();
  if (send(client->fd, request->str, request->len, MSG_NOSIGNAL) != (ssize_t)request->len) {
    perror("policy_load: send");
    exit(1);
  }
}

static void client_read(Load *load, Client *client) {
  ssize_t count = recv(client->fd, client->answer + client->answered, sizeof(client->answer) - client->answered, 0);
  if (count <= 0) {
    fprintf(stderr, "policy_load: the server closed a connection (%s)\n", count < 0 ? strerror(errno) : "end of file");
    exit(1);
  }
  client->answered += (size_t)count;
  if (client->answered < 2 || memcmp(client->answer + client->answered - 2, "\n\n", 2) != 0) {
    return;
  }
  load->latencies[load->done++] = now_ns() - client->asked_at;
  load->ruled += client->answered < 12 || memcmp(client->answer, "action=DUNNO", 12) != 0;
  if (load->sent < load->total) {
    client_ask(load, client);
  }
}

static int compare_latency(const void *a, const void *b) {
  gint64 x = *(const gint64 *)a;
  gint64 y = *(const gint64 *)b;
  return x < y ? -1 : x > y;
}

static void client_connect(Client *client, unsigned port, int poller) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (client->fd < 0 || connect(client->fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
    perror("policy_load: connect");
    exit(1);
  }
  int one = 1;
  setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
  epoll_ctl(poller, EPOLL_CTL_ADD, client->fd, &event);
}

static size_t number(const char *text) {
  guint64 value = 0;
  if (!g_ascii_string_to_unsigned(text, 10, 1, 100000000, &value, NULL)) {
    fprintf(stderr, "policy_load: not a number: %s\n", text);
    exit(2);
  }
  return (size_t)value;
}

int main(int argc, char **argv) {
  if (argc != 5) {
    fprintf(stderr, "usage: policy_load PORT CONNECTIONS REQUESTS FILE\n");
    return 2;
  }
  size_t count = number(argv[2]);
  Load load = {.requests = requests_read(argv[4]), .total = number(argv[3])};
  load.latencies = g_new(gint64, load.total);
  Client *clients = g_new0(Client, count);
  int poller = epoll_create1(EPOLL_CLOEXEC);
  for (size_t i = 0; i < count; i++) {
    client_connect(&clients[i], (unsigned)number(argv[1]), poller);
  }
  gint64 start = now_ns();
  for (size_t i = 0; i < count && load.sent < load.total; i++) {
    client_ask(&load, &clients[i]);
  }
  while (load.done < load.total) {
    struct epoll_event events[64];
    int ready = epoll_wait(poller, events, G_N_ELEMENTS(events), 30000);
    if (ready <= 0) {
      fprintf(stderr, "policy_load: no answer for 30 s\n");
      return 1;
    }
    for (int i = 0; i < ready; i++) {
      client_read(&load, events[i].data.ptr);
    }
  }
  double seconds = (double)(now_ns() - start) / 1e9;
  qsort(load.latencies, load.total, sizeof(gint64), compare_latency);
  printf("requests=%zu seconds=%.6f per_second=%.0f p50_us=%.1f p99_us=%.1f ruled=%zu\n", load.total, seconds, (double)load.total / seconds,
         (double)load.latencies[load.total / 2] / 1e3, (double)load.latencies[load.total * 99 / 100] / 1e3, load.ruled);
  return 0;
}
