/*
 * milter_load.c: an MTA's side of the milter protocol (version 6), as fast as the filter answers, and measures.
 *
 * milter_load PORT SESSIONS CONNECTIONS SENDER [MESSAGE]: CONNECTIONS threads run SESSIONS sessions in all, each a connection of its own with one message
 * to one recipient, as Postfix does. MESSAGE is a file with header and body, lines ended by CR LF; without it the message has neither. Sends only the steps that the filter asked for and waits only where it replies. Prints one line: sessions, seconds, per_second,
 * round_trips of a session (negotiation included), steps (the flags asked for, hexadecimal), refused (sessions that were not answered with CONTINUE
 * or ACCEPT throughout). Traffic goes to 127.0.0.1 only.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <glib.h>
#include <libmilter/mfdef.h>

typedef struct Load {
  unsigned port;
  const char *sender;
  GPtrArray *header; /* packets' data as byte arrays: name, NUL, value, NUL */
  const char *body;  /* NULL: none */
  size_t body_length;
  gint sessions_left;
  gint refused;
  gint round_trips; /* of the last session */
  guint steps;
} Load;

typedef struct Session {
  int fd;
  GByteArray *out; /* packets that wait for the next one with a reply */
  unsigned round_trips;
  guint32 steps;
} Session;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void packet_add(Session *session, char command, const void *data, size_t length) {
  guint32 size = htonl((guint32)length + 1);
  g_byte_array_append(session->out, (const guint8 *)&size, sizeof(size));
  g_byte_array_append(session->out, (const guint8 *)&command, 1);
  g_byte_array_append(session->out, data, (guint)length);
}

static void session_flush(Session *session) {
  if (session->out->len > 0 && send(session->fd, session->out->data, session->out->len, MSG_NOSIGNAL) != (ssize_t)session->out->len) {
    fail("milter_load: send");
  }
  g_byte_array_set_size(session->out, 0);
}

static void receive(int fd, void *buffer, size_t length) {
  for (size_t used = 0; used < length;) {
    ssize_t count = recv(fd, (char *)buffer + used, length - used, 0);
    if (count <= 0) {
      fail("milter_load: the filter closed the connection");
    }
    used += (size_t)count;
  }
}

/* Sends what waits and reads the reply; progress and modifications are passed over. */
static char session_reply(Session *session, char *data, size_t capacity) {
  session_flush(session);
  session->round_trips++;
  for (;;) {
    guint32 size = 0;
    char command = 0;
    receive(session->fd, &size, sizeof(size));
    size = ntohl(size);
    receive(session->fd, &command, 1);
    if (size - 1 > capacity) {
      fprintf(stderr, "milter_load: a reply of %u bytes\n", size);
      exit(1);
    }
    receive(session->fd, data, size - 1);
    if (strchr("acdortyO" /* answers */, command) != NULL) {
      return command;
    }
  }
}

static void negotiate(Session *session, Load *load) {
  guint32 words[3] = {htonl(6), htonl(0x1ff), htonl(0x1fffff)};
  char data[4096];
  packet_add(session, SMFIC_OPTNEG, words, sizeof(words));
  if (session_reply(session, data, sizeof(data)) != SMFIC_OPTNEG) {
    fprintf(stderr, "milter_load: negotiation failed\n");
    exit(1);
  }
  memcpy(words, data, sizeof(words));
  session->steps = ntohl(words[2]);
  load->steps = session->steps;
}

/* One step: macros and command, unless the filter declined it. False when it was refused. */
static bool step(Session *session, guint32 declined, guint32 no_reply, char command, const char *macros, size_t macros_length,
                 const char *data, size_t length) {
  if ((session->steps & declined) != 0) {
    return true;
  }
  if (macros_length > 0) {
    packet_add(session, SMFIC_MACRO, macros, macros_length);
  }
  packet_add(session, command, data, length);
  if ((session->steps & no_reply) != 0) {
    return true;
  }
  char reply[4096];
  char answer = session_reply(session, reply, sizeof(reply));
  return answer == SMFIR_CONTINUE || answer == SMFIR_ACCEPT;
}

enum { BODY_CHUNK = 65535 };

/* The message, as far as the filter wants it. */
static bool send_content(Session *session, const Load *load) {
  bool good = true;
  for (guint i = 0; good && i < load->header->len; i++) {
    const GByteArray *field = g_ptr_array_index(load->header, i);
    good = step(session, SMFIP_NOHDRS, SMFIP_NR_HDR, SMFIC_HEADER, "", 0, (const char *)field->data, field->len);
  }
  good = good && step(session, SMFIP_NOEOH, SMFIP_NR_EOH, SMFIC_EOH, "", 0, "", 0);
  for (size_t at = 0; good && at < load->body_length; at += BODY_CHUNK) {
    good = step(session, SMFIP_NOBODY, SMFIP_NR_BODY, SMFIC_BODY, "", 0, load->body + at, MIN(load->body_length - at, BODY_CHUNK));
  }
  return good;
}

static void session_run(Load *load) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)load->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  Session session = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .out = g_byte_array_new()};
  if (session.fd < 0 || connect(session.fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
    fail("milter_load: connect");
  }
  int one = 1;
  setsockopt(session.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  negotiate(&session, load);
  static const char connect_macros[] = "Cj\0mx.example.test\0{daemon_name}\0mx.example.test\0{client_addr}\000198.51.100.7";
  static const char connect_data[] =
      "mail.example.org\0004\x9c\x40"
      "198.51.100.7";
  bool good = step(&session, SMFIP_NOCONNECT, SMFIP_NR_CONN, SMFIC_CONNECT, connect_macros, sizeof(connect_macros), connect_data,
                   sizeof(connect_data));
  good = good && step(&session, SMFIP_NOHELO, SMFIP_NR_HELO, SMFIC_HELO, "H", 1, "mail.example.org", sizeof("mail.example.org"));
  char *sender = g_strdup_printf("<%s>", load->sender);
  char *mail_macros = g_strdup_printf("M{mail_addr}%c%s", 1, load->sender);
  size_t mail_macros_length = strlen(mail_macros) + 1;
  *strchr(mail_macros, 1) = '\0';
  good = good && step(&session, SMFIP_NOMAIL, SMFIP_NR_MAIL, SMFIC_MAIL, mail_macros, mail_macros_length, sender, strlen(sender) + 1);
  static const char rcpt_macros[] = "R{rcpt_addr}\0alice@example.test";
  good = good && step(&session, SMFIP_NORCPT, SMFIP_NR_RCPT, SMFIC_RCPT, rcpt_macros, sizeof(rcpt_macros), "<alice@example.test>",
                      sizeof("<alice@example.test>"));
  good = good && step(&session, SMFIP_NODATA, SMFIP_NR_DATA, SMFIC_DATA,
                      "Ti\0"
                      "4DD52A84CC7",
                      sizeof("Ti\0"
                             "4DD52A84CC7"),
                      "", 0);
  good = good && send_content(&session, load);
  good = good && step(&session, 0, 0, SMFIC_BODYEOB,
                      "Ei\0"
                      "4DD52A84CC7",
                      sizeof("Ei\0"
                             "4DD52A84CC7"),
                      "", 0);
  if (!good) {
    g_atomic_int_inc(&load->refused);
  }
  packet_add(&session, SMFIC_QUIT, "", 0);
  session_flush(&session);
  load->round_trips = (gint)session.round_trips;
  close(session.fd);
  g_byte_array_unref(session.out);
  g_free(mail_macros);
  g_free(sender);
}

static gpointer thread_run(gpointer data) {
  Load *load = data;
  while (g_atomic_int_add(&load->sessions_left, -1) > 0) {
    session_run(load);
  }
  return NULL;
}

static unsigned number(const char *text) {
  guint64 value = 0;
  if (!g_ascii_string_to_unsigned(text, 10, 1, 100000000, &value, NULL)) {
    fprintf(stderr, "milter_load: not a number: %s\n", text);
    exit(2);
  }
  return (unsigned)value;
}

/* Header fields are unfolded only as far as the protocol does: a continued line stays behind a LF. */
static void load_message(Load *load, char *text) {
  char *end = strstr(text, "\r\n\r\n");
  if (end == NULL) {
    fprintf(stderr, "milter_load: the message has no empty line behind its header\n");
    exit(2);
  }
  load->body = end + 4;
  load->body_length = strlen(load->body);
  end[2] = '\0';
  for (char *line = text; *line != '\0';) {
    char *stop = strstr(line, "\r\n");
    while (stop[2] == ' ' || stop[2] == '\t') {
      stop = strstr(stop + 2, "\r\n");
    }
    *stop = '\0';
    char **parts = g_strsplit(line, ": ", 2);
    char **pieces = g_strsplit(parts[1], "\r\n", -1);
    char *value = g_strjoinv("\n", pieces);
    GByteArray *field = g_byte_array_new();
    g_byte_array_append(field, (const guint8 *)parts[0], (guint)strlen(parts[0]) + 1);
    g_byte_array_append(field, (const guint8 *)value, (guint)strlen(value) + 1);
    g_ptr_array_add(load->header, field);
    g_free(value);
    g_strfreev(pieces);
    g_strfreev(parts);
    line = stop + 2;
  }
}

static void free_field(gpointer field) {
  g_byte_array_unref(field);
}

int main(int argc, char **argv) {
  if (argc != 5 && argc != 6) {
    fprintf(stderr, "usage: milter_load PORT SESSIONS CONNECTIONS SENDER [MESSAGE]\n");
    return 2;
  }
  unsigned sessions = number(argv[2]);
  unsigned count = number(argv[3]);
  Load load = {
      .port = number(argv[1]), .sender = argv[4], .sessions_left = (gint)sessions, .header = g_ptr_array_new_with_free_func(free_field)};
  g_autofree char *message = NULL;
  if (argc == 6) {
    if (!g_file_get_contents(argv[5], &message, NULL, NULL)) {
      fail(argv[5]);
    }
    load_message(&load, message);
  }
  GThread **threads = g_new(GThread *, count);
  gint64 start = g_get_monotonic_time();
  for (unsigned i = 0; i < count; i++) {
    threads[i] = g_thread_new("load", thread_run, &load);
  }
  for (unsigned i = 0; i < count; i++) {
    g_thread_join(threads[i]);
  }
  double seconds = (double)(g_get_monotonic_time() - start) / 1e6;
  printf("sessions=%u seconds=%.6f per_second=%.0f round_trips=%d steps=%x refused=%d\n", sessions, seconds, sessions / seconds,
         load.round_trips, load.steps, load.refused);
  g_free(threads);
  g_ptr_array_unref(load.header);
  return 0;
}
