/*
 * netstring.c: see netstring.h.
 */
#include "common/base/netstring.h"

static NetstringResult bad(const char *text, Slice where, const char **problem, Slice *excerpt) {
  *problem = text;
  *excerpt = where;
  return NETSTRING_BAD;
}

NetstringResult netstring_read(Slice buffer, size_t limit, Slice *payload, size_t *used, const char **problem, Slice *excerpt) {
  size_t length = 0, at = 0;
  for (; at < buffer.length && buffer.data[at] >= '0' && buffer.data[at] <= '9'; at++) {
    if (at > 0 && buffer.data[0] == '0') {
      return bad("a length that begins with 0", buffer, problem, excerpt);
    }
    length = length * 10 + (size_t)(buffer.data[at] - '0');
    if (length > limit) {
      return bad("a netstring that is too long", buffer, problem, excerpt);
    }
  }
  if (at == buffer.length) {
    return NETSTRING_MORE;
  }
  if (at == 0 || buffer.data[at] != ':') {
    return bad("no netstring", buffer, problem, excerpt);
  }
  Slice rest = slice_from_offset(buffer, at + 1);
  if (rest.length <= length) {
    return NETSTRING_MORE;
  }
  if (rest.data[length] != ',') {
    return bad("a netstring that does not end in a comma", slice_from_offset(rest, length), problem, excerpt);
  }
  *payload = slice_make(rest.data, length);
  *used = at + 1 + length + 1;
  return NETSTRING_WHOLE;
}

Slice netstring_make(Arena *arena, const Slice *parts, size_t count) {
  size_t length = 0;
  for (size_t i = 0; i < count; i++) {
    length += parts[i].length;
  }
  char *text = arena_alloc_text(arena, length + NETSTRING_FRAME_MAX + 1);
  size_t used = (size_t)g_snprintf(text, NETSTRING_FRAME_MAX + 1, "%zu:", length);
  for (size_t i = 0; i < count; i++) {
    if (parts[i].length) {
      memcpy(text + used, parts[i].data, parts[i].length);
      used += parts[i].length;
    }
  }
  text[used++] = ',';
  return slice_make(text, used);
}
