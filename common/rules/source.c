/*
 * source.c: see source.h.
 */
#include "common/rules/source.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/limits.h"

/* More bad bytes than this in one text say nothing new. */
enum { BAD_BYTES_TOLD = 5 };

static bool fail(GError **error, int code, const char *text) {
  g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(code), "%s", text);
  return false;
}

static bool check_file(int descriptor, bool check_owners, struct stat *status, GError **error) {
  if (fstat(descriptor, status) != 0) {
    int code = errno;
    return fail(error, code, g_strerror(code));
  }
  if (!S_ISREG(status->st_mode)) {
    return fail(error, EINVAL, "it is not a regular file");
  }
  if (status->st_size > LIMIT_RULES_FILE) {
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "it is larger than %d bytes", LIMIT_RULES_FILE);
    return false;
  }
  if (check_owners && status->st_uid != 0 && status->st_uid != geteuid()) {
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_PERM, "it belongs to user %u; it must belong to root or to user %u",
                (unsigned)status->st_uid, (unsigned)geteuid());
    return false;
  }
  if (check_owners && (status->st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_PERM, "it may be written by others (mode %03o); only its owner may",
                (unsigned)(status->st_mode & 0777));
    return false;
  }
  return true;
}

/* Reads up to `size` bytes; a file that shrinks meanwhile gives what is there. */
static bool read_all(int descriptor, char *data, size_t size, size_t *length, GError **error) {
  size_t done = 0;
  while (done < size) {
    ssize_t got = read(descriptor, data + done, size - done);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      int code = errno;
      return fail(error, code, g_strerror(code));
    }
    if (got == 0) {
      break;
    }
    done += (size_t)got;
  }
  *length = done;
  return true;
}

static const SourceText *source_make(Arena *arena, const char *name, Slice text) {
  SourceText *source = ARENA_NEW(arena, SourceText);
  if (slice_starts_with(text, SLICE_LITERAL("\xef\xbb\xbf"))) {
    text = slice_from_offset(text, 3);
  }
  *source = (SourceText){.name = slice_to_string(arena, slice_from(name)), .text = text};
  return source;
}

const SourceText *source_from_text(Arena *arena, const char *name, Slice text) {
  return source_make(arena, name, slice_copy(arena, text));
}

const SourceText *source_read(Arena *arena, const char *path, const char *name, bool check_owners, GError **error) {
  /* O_NONBLOCK: a FIFO in the place of a file must not hang us. */
  int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (descriptor < 0) {
    int code = errno;
    (void)fail(error, code, g_strerror(code));
    return NULL;
  }
  struct stat status;
  const SourceText *source = NULL;
  if (check_file(descriptor, check_owners, &status, error)) {
    size_t size = (size_t)status.st_size;
    char *data = arena_alloc_text(arena, size + 1);
    size_t length = 0;
    if (read_all(descriptor, data, size, &length, error)) {
      source = source_make(arena, name, slice_make(data, length));
    }
  }
  (void)close(descriptor);
  return source;
}

/* Length of the well-formed UTF-8 sequence at `data`, or 0. */
static size_t utf8_length(const char *data, size_t left) {
  gunichar character = g_utf8_get_char_validated(data, (gssize)MIN(left, 4));
  return character == (gunichar)-1 || character == (gunichar)-2 ? 0 : (size_t)g_unichar_to_utf8(character, NULL);
}

bool source_check(const SourceText *source, Diagnostics *diagnostics) {
  Slice text = source->text;
  unsigned told = 0;
  for (size_t i = 0; i < text.length && told < BAD_BYTES_TOLD;) {
    unsigned char byte = (unsigned char)text.data[i];
    size_t length = byte == '\0' ? 1 : utf8_length(text.data + i, text.length - i);
    bool line_end = byte == '\r' && i + 1 < text.length && text.data[i + 1] == '\n';
    if (length == 0) {
      Diagnostic *diagnostic = diagnostics_error(diagnostics, source_span(source, i, i + 1), "byte 0x%02x is not UTF-8", byte);
      diagnostic_expected(diagnostics, diagnostic, "expected text in UTF-8");
      length = 1;
      told++;
    } else if ((byte < 0x20 && byte != '\t' && byte != '\n' && !line_end) || byte == 0x7f) {
      (void)diagnostics_error(diagnostics, source_span(source, i, i + 1), "control character 0x%02x in the text", byte);
      told++;
    }
    i += length;
  }
  return told == 0;
}

SourceSpan source_span(const SourceText *source, size_t start, size_t end) {
  return (SourceSpan){source, (uint32_t)start, (uint32_t)(end - start)};
}

Slice source_slice(SourceSpan span) {
  return slice_make(span.source->text.data + span.offset, span.length);
}
