/*
 * socketmap_client_reply.c: see socketmap_client_reply.h.
 */
#include "common/lookup/socketmap_client_reply.h"

#include "common/base/limits.h"
#include "common/base/netstring.h"

/* "WORD: TEXT", or the word alone; the text is the server's. */
static void set_reason(SocketmapReply *reply, const char *word, Slice text) {
  g_autoptr(Arena) arena = arena_new(0);
  Slice quoted = slice_quote(arena, slice_trim(text), LIMIT_QUOTE);
  reply->state = ANSWER_FAILED;
  (void)g_snprintf(reply->reason, sizeof reply->reason, "%s%s%.*s", word, quoted.length ? ": " : "", SLICE_ARGS(quoted));
}

static SocketmapReplyParse read_payload(Slice payload, SocketmapReply *reply) {
  static const Slice failures[] = {SLICE_LITERAL("TEMP"), SLICE_LITERAL("TIMEOUT"), SLICE_LITERAL("PERM")};
  Slice text;
  bool found;
  Slice word = slice_split(payload, ' ', &text, &found);
  if (slice_equal(word, SLICE_LITERAL("OK"))) {
    reply->state = ANSWER_FOUND;
    reply->value = text;
    return SOCKETMAP_REPLY_WHOLE;
  }
  if (slice_equal(word, SLICE_LITERAL("NOTFOUND"))) {
    reply->state = ANSWER_NOT_FOUND;
    return SOCKETMAP_REPLY_WHOLE;
  }
  for (size_t i = 0; i < G_N_ELEMENTS(failures); i++) {
    if (slice_equal(word, failures[i])) {
      set_reason(reply, failures[i].data, text);
      return SOCKETMAP_REPLY_WHOLE;
    }
  }
  set_reason(reply, "a reply that is none of OK, NOTFOUND, TEMP, TIMEOUT and PERM", payload);
  return SOCKETMAP_REPLY_BAD;
}

SocketmapReplyParse socketmap_reply_parse(Slice buffer, SocketmapReply *reply, size_t *used) {
  Slice payload, excerpt;
  const char *problem;
  reply->state = ANSWER_FAILED;
  reply->value = SLICE_EMPTY;
  reply->reason[0] = '\0';
  *used = 0;
  switch (netstring_read(buffer, LIMIT_SOCKETMAP_REPLY, &payload, used, &problem, &excerpt)) {
    case NETSTRING_MORE:
      return SOCKETMAP_REPLY_MORE;
    case NETSTRING_WHOLE:
      return read_payload(payload, reply);
    case NETSTRING_BAD:
      set_reason(reply, problem, excerpt);
      return SOCKETMAP_REPLY_BAD;
  }
  g_assert_not_reached();
}
