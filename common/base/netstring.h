/*
 * netstring.h: netstrings (https://cr.yp.to/proto/netstrings.txt), as socket maps speak them: "LENGTH:BYTES,".
 *
 * Pure. Bytes of a peer come in pieces: what is not complete says so, and the same bytes with more behind them are given again.
 */
#ifndef COMMON_BASE_NETSTRING_H
#define COMMON_BASE_NETSTRING_H

#include "common/base/slice.h"

typedef enum NetstringResult {
  NETSTRING_MORE,  /* it is not complete */
  NETSTRING_WHOLE, /* *payload are its bytes, in the buffer; *used bytes of the buffer belong to it */
  NETSTRING_BAD,   /* *problem (static) says why, *excerpt where in the buffer */
} NetstringResult;

/* The most digits that the length of a payload of `limit` bytes has, and what stands around it. */
enum { NETSTRING_FRAME_MAX = 22 };

/* SYNTAX: DIGITS ":" BYTES ",", without leading zeros, at the start of `buffer`. A length over `limit` is bad as soon as it is seen. */
NetstringResult netstring_read(Slice buffer, size_t limit, Slice *payload, size_t *used, const char **problem, Slice *excerpt);
/* The parts, one behind the other, as one netstring in the arena. */
Slice netstring_make(Arena *arena, const Slice *parts, size_t count);

#endif
