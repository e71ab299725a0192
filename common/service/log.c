/*
 * log.c: the daemon's messages, to syslog or stderr. The only file that knows where they go: its state is the process's log.
 */
#include "common/service/decision_log.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

enum {
  LINE_ROOM = 2048, /* a usual line */
  LOG_LIMIT_SECONDS = 60,
  LOG_LIMIT_KEYS = 1000, /* keys come from our own texts, so this is only a guard */
};

typedef struct LimitedKey {
  gint64 last_us;
  unsigned left_out;
} LimitedKey;

/* The process has one log; `lock` guards all of it. */
static struct {
  pthread_mutex_t lock;
  const char *name;
  bool to_syslog;
  bool also_stderr;
  GHashTable *limited;
} log_state = {.lock = PTHREAD_MUTEX_INITIALIZER};

void log_open(const char *name, bool to_stderr) {
  (void)pthread_mutex_lock(&log_state.lock);
  log_state.name = name;
  log_state.to_syslog = !to_stderr;
  if (!to_stderr) {
    openlog(name, LOG_PID, LOG_MAIL);
  }
  (void)pthread_mutex_unlock(&log_state.lock);
}

void log_also_to_stderr(bool also) {
  (void)pthread_mutex_lock(&log_state.lock);
  log_state.also_stderr = also;
  (void)pthread_mutex_unlock(&log_state.lock);
}

/* One write a line, so that lines of several threads and processes stay whole. */
static void write_stderr(const char *name, const char *level, Slice message) {
  char room[LINE_ROOM];
  g_auto(TextBuffer) line = text_buffer_in(room, sizeof room);
  if (name != NULL) {
    text_buffer_add(&line, slice_from(name));
    text_buffer_add(&line, SLICE_LITERAL(": "));
  }
  text_buffer_add(&line, slice_from(level));
  text_buffer_add(&line, message);
  text_buffer_add_byte(&line, '\n');
  for (size_t at = 0; at < line.length;) {
    ssize_t written = write(STDERR_FILENO, line.text + at, line.length - at);
    if (written < 0 && errno == EINTR) {
      continue;
    }
    if (written <= 0) {
      return; /* nobody reads: there is nowhere left to say so */
    }
    at += (size_t)written;
  }
}

/* What a stranger's text may have brought in: a message is one line without controls. */
static void clean_controls(char *text, size_t length) {
  for (size_t i = 0; i < length; i++) {
    unsigned char byte = (unsigned char)text[i];
    if (byte < 0x20 || byte == 0x7f) {
      text[i] = ' ';
    }
  }
}

/* The same, eight bytes at a time as long as there is nothing to do. */
static void clean_usual(char *text, size_t length) {
  const uint64_t ones = UINT64_C(0x0101010101010101);
  size_t at = 0;
  for (; at + 8 <= length; at += 8) {
    uint64_t word;
    memcpy(&word, text + at, 8);
    uint64_t deletes = word ^ ones * 0x7f;
    if (((((word - ones * 0x20) & ~word) | ((deletes - ones) & ~deletes)) & ones * 0x80) != 0) {
      clean_controls(text + at, 8);
    }
  }
  clean_controls(text + at, length - at);
}

/* `message` ends in NUL and has `length` bytes before it. */
static void log_line(int priority, const char *level, char *message, size_t length) {
  clean_usual(message, length);
  (void)pthread_mutex_lock(&log_state.lock);
  const char *name = log_state.name;
  bool to_syslog = log_state.to_syslog, to_stderr = !to_syslog || log_state.also_stderr;
  (void)pthread_mutex_unlock(&log_state.lock);
  if (to_syslog) {
    syslog(priority, "%s%s", level, message);
  }
  if (to_stderr) {
    write_stderr(name, level, slice_make(message, length));
  }
}

#define LOG_FORMATTED(priority, level)                              \
  do {                                                              \
    char room[LINE_ROOM];                                           \
    g_auto(TextBuffer) message = text_buffer_in(room, sizeof room); \
    va_list arguments;                                              \
    va_start(arguments, format);                                    \
    text_buffer_add_format_list(&message, format, arguments);       \
    va_end(arguments);                                              \
    log_line(priority, level, message.text, message.length);        \
  } while (0)

void log_info(const char *format, ...) {
  LOG_FORMATTED(LOG_INFO, "");
}

void log_info_line(TextBuffer *line) {
  log_line(LOG_INFO, "", line->text, line->length);
}

void log_warning(const char *format, ...) {
  LOG_FORMATTED(LOG_WARNING, "warning: ");
}

void log_error(const char *format, ...) {
  LOG_FORMATTED(LOG_ERR, "error: ");
}

static void log_lines(const char *text, int priority) {
  g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
  for (size_t i = 0; lines[i] != NULL; i++) {
    if (*lines[i] != '\0') {
      log_line(priority, "", lines[i], strlen(lines[i]));
    }
  }
}

void log_error_lines(const char *text) {
  log_lines(text, LOG_ERR);
}

void log_warning_lines(const char *text) {
  log_lines(text, LOG_WARNING);
}

/* True when the line may be written; *left_out is how many were not since the last. */
static bool limited_may_write(const char *key, unsigned *left_out) {
  (void)pthread_mutex_lock(&log_state.lock);
  if (log_state.limited == NULL) {
    log_state.limited = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  }
  LimitedKey *entry = g_hash_table_lookup(log_state.limited, key);
  gint64 now = g_get_monotonic_time();
  bool may_write = entry == NULL || now - entry->last_us >= LOG_LIMIT_SECONDS * G_USEC_PER_SEC;
  *left_out = entry ? entry->left_out : 0;
  if (entry == NULL) {
    if (g_hash_table_size(log_state.limited) >= LOG_LIMIT_KEYS) {
      g_hash_table_remove_all(log_state.limited);
    }
    entry = g_new0(LimitedKey, 1);
    g_hash_table_insert(log_state.limited, g_strdup(key), entry);
  }
  if (may_write) {
    *entry = (LimitedKey){.last_us = now};
  } else {
    entry->left_out++;
  }
  (void)pthread_mutex_unlock(&log_state.lock);
  return may_write;
}

void log_limited(const char *key, const char *format, ...) {
  unsigned left_out = 0;
  if (!limited_may_write(key, &left_out)) {
    return;
  }
  va_list arguments;
  va_start(arguments, format);
  g_autofree char *message = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  if (left_out > 0) {
    log_warning("%s (%u more like this were left out)", message, left_out);
  } else {
    log_warning("%s", message);
  }
}
