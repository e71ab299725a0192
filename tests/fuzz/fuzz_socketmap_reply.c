/*
 * fuzz_socketmap_reply.c: what servers of socket maps answer. A reply that comes in pieces reads as when it comes at once; its value lies inside the bytes; a reason is short and
 * printable.
 */
#include "tests/fuzz/fuzz.h"

#include "common/base/limits.h"
#include "common/lookup/socketmap_client_reply.h"

static void check_reply(const SocketmapReply *reply, Slice bytes) {
  size_t length = strnlen(reply->reason, sizeof reply->reason);
  g_assert(length < sizeof reply->reason);
  for (size_t i = 0; i < length; i++) {
    g_assert(reply->reason[i] >= ' ' && reply->reason[i] <= '~');
  }
  if (reply->state == ANSWER_FOUND && reply->value.length > 0) {
    g_assert(reply->value.data >= bytes.data && reply->value.data + reply->value.length <= bytes.data + bytes.length);
    g_assert(reply->value.length <= LIMIT_SOCKETMAP_REPLY);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Slice bytes = slice_make((const char *)data, size);
  SocketmapReply whole, part;
  size_t used, part_used;
  SocketmapReplyParse result = socketmap_reply_parse(bytes, &whole, &used);
  g_assert(used <= size);
  check_reply(&whole, bytes);
  g_assert(result != SOCKETMAP_REPLY_BAD || (whole.state == ANSWER_FAILED && whole.reason[0] != '\0'));
  for (size_t have = 0; have < size; have += 1 + size / 64) {
    SocketmapReplyParse early = socketmap_reply_parse(slice_make(bytes.data, have), &part, &part_used);
    if (result == SOCKETMAP_REPLY_MORE || (result == SOCKETMAP_REPLY_WHOLE && have < used)) {
      g_assert(early == SOCKETMAP_REPLY_MORE);
    } else if (result == SOCKETMAP_REPLY_WHOLE) {
      g_assert(early == SOCKETMAP_REPLY_WHOLE && part_used == used && part.state == whole.state);
    }
  }
  return 0;
}
