/*
 * socketmap_client_reply.h: what a server of socket maps answers: a netstring of "OK VALUE", "NOTFOUND", or "TEMP", "TIMEOUT" or "PERM" with a reason
 * (socketmap_table(5) of Postfix; Sendmail's are the same). Pure.
 */
#ifndef COMMON_LOOKUP_SOCKETMAP_CLIENT_REPLY_H
#define COMMON_LOOKUP_SOCKETMAP_CLIENT_REPLY_H

#include "common/ask/lookup.h"

typedef enum SocketmapReplyParse {
  SOCKETMAP_REPLY_MORE,  /* it is not complete */
  SOCKETMAP_REPLY_WHOLE, /* *reply is filled, *used bytes belong to it */
  SOCKETMAP_REPLY_BAD,   /* it follows no protocol, and what is behind it cannot be told: *reply is filled as a failure */
} SocketmapReplyParse;

enum { SOCKETMAP_REASON_MAX = 512 };

typedef struct SocketmapReply {
  AnswerState state;
  Slice value;                       /* of FOUND; borrowed from the buffer */
  char reason[SOCKETMAP_REASON_MAX]; /* of FAILED: printable, cut */
} SocketmapReply;

/* Parses the reply at the start of `buffer`; after MORE call again with more bytes behind the same ones. At most LIMIT_SOCKETMAP_REPLY bytes. */
SocketmapReplyParse socketmap_reply_parse(Slice buffer, SocketmapReply *reply, size_t *used);

#endif
